"""FLEX's fusion for CoRe: two views, a skeleton, and how much each side's muscles contribute.

What its code does wrong is done right unless `Choices` says otherwise; a result must carry
`dataclasses.asdict(choices)`.
"""

import dataclasses
from collections.abc import Mapping

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from video2emg.core import vocabulary
from video2emg.core.errors import UserError
from video2emg.models.published import core, stgcn
from video2emg.models.published.i3d import I3D, snippet_starts, snippets
from video2emg.models.published.pixels import normalise

MODALITIES = ("video", "pose", "emg")

# Smallest and largest score of each action in FLEX's code, over the *whole* dataset.
PUBLISHED_RANGES = (
    (40.99, 93.79), (47.68, 96.69), (44.8, 95.2), (45.71, 95.24), (34.59, 95.49), (33.96, 93.4),
    (33.73, 93.98), (37.4, 100.0), (41.98, 100.0), (36.64, 93.89), (40.82, 93.2), (38.78, 92.52),
    (48.3, 94.56), (30.22, 94.24), (22.16, 96.41), (29.85, 94.03), (43.31, 91.08), (47.77, 96.82),
    (45.4, 92.53), (44.89, 89.77),
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Choices:
    """Where FLEX's code and a sound method differ; the defaults are sound.

    Attributes:
      leaves_as_published: see `core.Intervals`.
      skeleton_per_frame: see `stgcn.normalise_skeleton`.
      ranges_of_whole_dataset: scores are scaled by minima and maxima that include the test set's.
      last_frame_unseen: see `i3d.snippet_starts`.
      pixels: FLEX gives I3D `imagenet` pixels; its weights were made with `symmetric` ones.
      epsilon: of I3D's batch norms; FLEX's port has 1e-5, its weights were made with 1e-3.
    """

    leaves_as_published: bool = False
    skeleton_per_frame: bool = False
    ranges_of_whole_dataset: bool = False
    last_frame_unseen: bool = False
    pixels: str = "symmetric"
    epsilon: float = 1e-3


PUBLISHED = Choices(True, True, True, True, "imagenet", 1e-5)


def contribution(
    emg: Float[Array, "B N M"],
    mask: Bool[Array, "B N M"],
    side: Int[Array, "B M"],
    percentile: float = 95.0,
) -> Float[Array, "B 2"]:
    """Left's and right's share of the muscles' level; the sum is one.

    Args:
      emg: envelope.
      mask: where it was measured.
      side: place of each channel in `vocabulary.SIDES`.
      percentile: over time, of each channel; its side's level is the mean over channels.

    Returns:
      Shares; one half each where nothing was measured on either side.
    """
    level = jnp.nanpercentile(jnp.where(mask, emg, jnp.nan), percentile, axis=1)
    known = mask.any(1)
    level = jnp.where(known, level, 0.0)
    own = (side[..., None] == jnp.arange(len(vocabulary.SIDES))) & known[..., None]
    sides = (level[..., None] * own).sum(1) / jnp.maximum(own.sum(1), 1)
    total = sides.sum(-1, keepdims=True)
    return jnp.where(total > 0, sides / jnp.where(total > 0, total, 1.0), 0.5)


@dataclasses.dataclass(frozen=True)
class ScoreScale:
    """Maps each action's scores to 0-100 and back.

    Attributes:
      low, high: [A] by action.
    """

    low: np.ndarray
    high: np.ndarray

    @classmethod
    def fit(
        cls, score: Float[np.ndarray, " K"], action: Int[np.ndarray, " K"], actions: int
    ) -> "ScoreScale":
        """From training repetitions; test scores may then fall outside 0-100.

        Raises:
          UserError: an action with less than two different scores.
        """
        low, high = np.full(actions, np.inf), np.full(actions, -np.inf)
        np.minimum.at(low, action, score)
        np.maximum.at(high, action, score)
        seen = np.isfinite(low)
        if (low[seen] >= high[seen]).any():
            raise UserError("scores: an action has a single score in training; it has no range")
        return cls(np.where(seen, low, 0.0), np.where(seen, high, 100.0))

    @classmethod
    def published(cls) -> "ScoreScale":
        """FLEX's own, which includes the test set."""
        low, high = np.array(PUBLISHED_RANGES).T
        return cls(low, high)

    def normalise(self, score: np.ndarray, action: np.ndarray) -> np.ndarray:
        """Scores → 0-100."""
        return (score - self.low[action]) / (self.high - self.low)[action] * 100.0

    def restore(self, normalised: np.ndarray, action: np.ndarray) -> np.ndarray:
        """0-100 → scores."""
        return normalised / 100.0 * (self.high - self.low)[action] + self.low[action]


class FlexCoRe(nn.Module):
    """The whole pipeline: features of a repetition, and the tree that compares two of them.

    Attributes:
      modalities: of `MODALITIES`, those that are used.
      choices: see `Choices`.
      depth, hidden: of the tree.
      narrow: divides the channels of both encoders, for tests.
      snippet, snippets: frames of each, and how many; shared encoder for both views.
    """

    modalities: tuple[str, ...] = MODALITIES
    choices: Choices = Choices()
    depth: int = 5
    hidden: int = 256
    narrow: int = 1
    snippet: int = 16
    snippets: int = 10
    remat: str = "none"

    def setup(self) -> None:
        """Makes the parts that are used."""
        if not self.modalities or not set(self.modalities) <= set(MODALITIES):
            raise UserError(f"modalities: {self.modalities} are not among {MODALITIES}")
        if "video" in self.modalities:
            self.video = I3D(epsilon=self.choices.epsilon, narrow=self.narrow, remat=self.remat)
        if "pose" in self.modalities:
            self.pose = stgcn.STGCN("uniform", narrow=self.narrow)
        self.tree = core.RegressionTree(self.depth, self.hidden)

    def features(self, batch: Mapping[str, jax.Array]) -> Float[Array, "B D"]:
        """One vector per repetition; D = 2306 with two views, pose and EMG.

        Args:
          batch: video [B, V, F, S, S, 3] uint8; pose [B, F, 21, 3] m, FLEX's joints; contribution
            [B, 2], see `contribution`.
        """
        found = []
        if "video" in self.modalities:
            video = batch["video"]
            b, v, f = video.shape[:3]
            pixels = normalise(video.astype(jnp.float32) / 127.5 - 1, self.choices.pixels)
            starts = snippet_starts(f, self.snippet, self.snippets)
            if self.choices.last_frame_unseen:
                starts = tuple(min(s, f - self.snippet - 1) for s in starts)
            cut = snippets(pixels.reshape(b * v, *pixels.shape[2:]), starts, self.snippet)
            seen = self.video.features(cut).mean((1, 2, 3))
            found.append(seen.reshape(b, v, len(starts), -1).mean(2).reshape(b, -1))
        if "pose" in self.modalities:
            pose = stgcn.normalise_skeleton(
                stgcn.ntu_of_flex(batch["pose"]), self.choices.skeleton_per_frame
            )
            found.append(self.pose(pose).mean((1, 2)))
        if "emg" in self.modalities:
            found.append(batch["contribution"])
        return jnp.concatenate(found, axis=-1)

    def compare(
        self,
        exemplar: Float[Array, "B D"],
        query: Float[Array, "B D"],
        score: Float[Array, " B"],
    ) -> tuple[Float[Array, "B L"], Float[Array, "B L"]]:
        """What the tree says of `query`'s score minus `score`, that of `exemplar`."""
        return self.tree(core.pair(exemplar, query, score))

    def __call__(
        self, first: Mapping[str, jax.Array], second: Mapping[str, jax.Array]
    ) -> tuple[Float[Array, "B2 L"], Float[Array, "B2 L"]]:
        """Both directions, one after the other: second minus first, then first minus second."""
        a, b = self.features(first), self.features(second)
        return self.compare(
            jnp.concatenate([a, b]),
            jnp.concatenate([b, a]),
            jnp.concatenate([first["score"], second["score"]]),
        )
