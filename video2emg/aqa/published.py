"""Published systems on our frozen features: CoRe as in FLEX, USDL, and an MLP.

They get the same frozen tokens and the same EMG as `aqa.head.AQAHead`, so that a table compares
heads and not encoders. They predict a score only, no errors and no key steps.
"""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from video2emg.aqa.head import AQAOutputs, Batch, exemplar_of, mean_where
from video2emg.fkg.rubric import Rubric
from video2emg.models.published import core, stgcn, usdl
from video2emg.models.published.flex import Choices, contribution

SYSTEMS = ("core", "usdl", "mlp")


class PublishedAQAHead(nn.Module):
    """Features of a repetition, and a score from them.

    The features are those of FLEX's fusion: mean token of each view, mean ST-GCN feature of the
    skeleton, and how much each side's muscles contribute. The tokens are the frozen model's; those
    of an I3D come by a Video→EMG model with that encoder.

    Attributes:
      rubric: of the graph.
      system: of `SYSTEMS`.
      modalities: of `flex.MODALITIES`.
      views: rows of video.
      choices: which oddities of FLEX's code are reproduced; those that concern heads.
      edges: left and right edges of CoRe's intervals, see `core.Intervals`; () for the others.
      scale: lowest and highest score of each action; scores are learned as 0-100 between them.
      narrow: divides ST-GCN's channels.
    """

    rubric: Rubric
    system: str
    modalities: tuple[str, ...]
    views: int
    choices: Choices
    edges: tuple[tuple[float, ...], ...]
    scale: tuple[tuple[float, ...], tuple[float, ...]]
    narrow: int = 4

    def setup(self) -> None:
        """Makes the parts that are used."""
        if "pose" in self.modalities:
            self.pose = stgcn.STGCN("uniform", narrow=self.narrow)
        if self.system == "core":
            depth = int(np.log2(len(self.edges[0]))) + 1
            self.tree = core.RegressionTree(depth)
        else:
            self.head = usdl.ScoreMLP(101 if self.system == "usdl" else 1)

    def features(self, batch: Batch) -> Float[Array, "B D"]:
        """One vector per repetition."""
        parts = []
        if "video" in self.modalities:
            tokens, mask = batch["tokens"], batch["token_mask"]
            b, k, d = tokens.shape
            rows = tokens.reshape(b * self.views, k // self.views, d)
            parts.append(mean_where(rows, mask.reshape(rows.shape[:2])).reshape(b, -1))
        if "pose" in self.modalities:
            parts.append(self._skeleton(batch["pose"], batch["pose_mask"]))
        if "emg" in self.modalities:
            parts.append(contribution(batch["activity"], batch["activity_mask"], batch["side"]))
        return jnp.concatenate(parts, axis=-1)

    def _skeleton(
        self, pose: Float[Array, "B T 21 3"], mask: Bool[Array, "B T 21"]
    ) -> Float[Array, "B D"]:
        pose = jnp.where(mask[..., None], pose, 0.0)
        pose = stgcn.normalise_skeleton(stgcn.ntu_of_flex(pose), self.choices.skeleton_per_frame)
        return self.pose(pose).mean((1, 2))

    def __call__(self, batch: Batch, *, train: bool) -> tuple[AQAOutputs, dict[str, Any]]:
        """Scores a batch, see `aqa.head.AQAHead`; in training with `score` [B]."""
        batch = {name: jnp.asarray(value) for name, value in batch.items()}
        action = batch["action"]
        low, high = (jnp.asarray(ends)[action] for ends in self.scale)
        features = self.features(batch)
        target = (batch["score"] - low) / (high - low) * 100.0 if train else None
        if self.system == "core":
            score, loss = self._relative(features, target, exemplar_of(batch), low, high)
        else:
            score, loss = self._absolute(self.head(features), target)
        known = jnp.asarray(self.rubric.step_mask)[action][:, None]
        instants = jnp.zeros((*batch["phase"].shape, 1))
        no_errors = jnp.zeros((len(action), *self.rubric.pair_error.shape[1:]))
        score = score / 100.0 * (high - low) + low
        outputs = AQAOutputs(
            action_logits=jax.nn.one_hot(action, len(self.rubric.actions)),
            action=action,
            error_logits=no_errors,
            severity=no_errors,
            score=score if self.choices.scores_beyond_range else jnp.clip(score, 0.0, 100.0),
            phase_logits=instants + jnp.where(known, 0.0, -1e9),
            score_loss=loss,
        )
        return outputs, {"features": features}

    def _absolute(
        self, logits: Float[Array, "B K"], target: Float[Array, " B"] | None
    ) -> tuple[jax.Array, jax.Array | None]:
        """USDL's distribution or the MLP's number; score in 0-100 and loss per repetition."""
        if self.system == "mlp":
            score = logits[:, 0] * 100.0
            return score, None if target is None else ((score - target) / 100.0) ** 2
        loss = None
        if target is not None:
            divergence = jax.vmap(usdl.divergence, in_axes=(0, 0))
            loss = divergence(logits, usdl.soft_labels(target))
        return usdl.expected_score(logits), loss

    def _relative(
        self,
        features: Float[Array, "B D"],
        target: Float[Array, " B"] | None,
        exemplar: Mapping[str, jax.Array],
        low: Float[Array, " B"],
        high: Float[Array, " B"],
    ) -> tuple[jax.Array, jax.Array | None]:
        """CoRe's comparison with an exemplar; in training both ways, as published."""
        intervals = core.Intervals(
            np.array(self.edges[0], np.float32),
            np.array(self.edges[1], np.float32),
            self.choices.leaves_as_published,
        )
        other = self.features(exemplar)
        known = (exemplar["score"] - low) / (high - low) * 100.0
        leaf, position = self.tree(core.pair(other, features, known))
        score = known + intervals.difference(leaf, position)
        if target is None:
            return score, None
        reverse_leaf, reverse_position = self.tree(core.pair(features, other, target))
        loss = core.loss(
            jnp.concatenate([leaf, reverse_leaf]),
            jnp.concatenate([position, reverse_position]),
            jnp.concatenate([target - known, known - target]),
            intervals,
        )
        return score, jnp.full(len(features), loss)


def intervals_of(
    scores: Float[np.ndarray, " K"], actions: np.ndarray, as_published: bool
) -> core.Intervals:
    """CoRe's intervals from the normalised scores of training repetitions, by pairs of an action.

    Args:
      scores: 0-100.
      actions: of each repetition.
      as_published: see `core.Intervals`.
    """
    pairs = []
    for action in np.unique(actions):
        own = scores[actions == action]
        pairs.append(np.abs(own[:, None] - own[None])[np.triu_indices(len(own), 1)])
    return core.Intervals.fit(np.concatenate(pairs), as_published=as_published)
