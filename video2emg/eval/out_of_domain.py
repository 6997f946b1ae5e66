"""What a run knows about its own limits: what its clips look like, and how far off it usually is.

Computed once from the run's training and validation clips and kept in `workdir/ood_detector.npz`.
Letters: n training clips, V views, F features, M muscles of the vocabulary, B levels.
"""

import dataclasses
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from video2emg.core.errors import UserError
from video2emg.core.files import write_atomically
from video2emg.eval import intervals

FILE = "ood_detector.npz"
FORMAT = 1
QUANTILE = 0.99  # of the validation clips lie on the right side of each view's threshold
LEVEL = 0.9  # of the intervals
# A repetition moves less on smooth pictures than on the grainy ones of a dataset; a room without a
# person moves not at all.
_STILLER = 0.5
_NEIGHBOURS = 5


@dataclasses.dataclass(frozen=True)
class EncoderFeatures:
    """How windows look to the encoder.

    Attributes:
      feature: [K, V, F] mean and standard deviation over time of what the encoder says of a view.
      motion: [K, V] mean absolute change from frame to frame, as a share of full brightness.
      seen: [K, V] whether the view was recording.
    """

    feature: np.ndarray
    motion: np.ndarray
    seen: np.ndarray

    def __len__(self) -> int:
        return len(self.feature)

    @classmethod
    def join(cls, parts: Iterable["EncoderFeatures"]) -> "EncoderFeatures":
        """All windows of `parts`."""
        columns = zip(*(dataclasses.astuple(part) for part in parts), strict=True)
        return cls(*map(np.concatenate, columns))


@dataclasses.dataclass(frozen=True)
class OODScore:
    """Whether windows look like the run's own clips.

    Attributes:
      distance: [K] to the training clips, 1 at the threshold; of the view that is farthest off.
      motion: [K] of the view that moves most, 1 at the threshold, below it nothing much moves.
    """

    distance: np.ndarray
    motion: np.ndarray

    @property
    def inside(self) -> np.ndarray:
        """[K] bool."""
        return (self.distance <= 1) & (self.motion >= 1)


@dataclasses.dataclass(frozen=True)
class OODDetector:
    """See the module.

    Attributes:
      about: what else is needed to use the run without its data: joints, dofs, muscles by action,
        dataset, reference, share of validation clips whose action is recognised, counts; `spread`:
        whether `low` and `high` are multiples of the spread that the model predicts.
      feature: [n, V, F] float32 of training clips, standardised.
      action: [n] place in `actions`.
      mean, scale: [V, F] that standardise.
      distance, motion: [V] thresholds.
      level, low, high: [M, B] predicted EMG, and quantiles of measured minus predicted EMG there;
        NaN for muscles that the run does not know.
    """

    about: Mapping[str, Any]
    feature: np.ndarray
    action: np.ndarray
    mean: np.ndarray
    scale: np.ndarray
    distance: np.ndarray
    motion: np.ndarray
    level: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @property
    def actions(self) -> tuple[str, ...]:
        """Names, in the order of `action`."""
        return tuple(self.about["muscles"])

    @classmethod
    def fit(
        cls,
        train: EncoderFeatures,
        action: Int[np.ndarray, " n"],
        validation: EncoderFeatures,
        validation_action: Int[np.ndarray, " K"],
        errors: tuple[np.ndarray, ...],
        about: Mapping[str, Any],
    ) -> "OODDetector":
        """Sets the thresholds.

        Args:
          train: of training clips.
          action: of each, a place in `about["muscles"]`.
          validation: of validation clips, of other subjects.
          validation_action: of each.
          errors: of `eval.intervals.tabulate`.
          about: see the class, without what is added here.
        """
        mean, scale = train.feature.mean(0), train.feature.std(0) + 1e-6
        found = cls(
            about=about,
            feature=((train.feature - mean) / scale).astype(np.float32),
            action=np.asarray(action, np.int32),
            mean=mean.astype(np.float32),
            scale=scale.astype(np.float32),
            distance=np.ones(mean.shape[0], np.float32),
            motion=np.ones(mean.shape[0], np.float32),
            level=errors[0],
            low=errors[1],
            high=errors[2],
        )
        distance = found._nearest(validation.feature)[..., :_NEIGHBOURS].mean(-1)
        found = dataclasses.replace(
            found,
            distance=np.quantile(distance, QUANTILE, axis=0).astype(np.float32),
            motion=(_STILLER * np.quantile(validation.motion, 1 - QUANTILE, axis=0)).astype(
                np.float32
            ),
        )
        guess, _ = found.recognise(validation)
        return dataclasses.replace(
            found,
            about=dict(about)
            | {
                "format": FORMAT,
                "quantile": QUANTILE,
                "level": LEVEL,
                "train_clips": len(train),
                "validation_clips": len(validation),
                "validation_inside": float(found.judge(validation).inside.mean()),
                "action_accuracy": float((guess == validation_action).mean()),
            },
        )

    def judge(self, look: EncoderFeatures) -> OODScore:
        """Compares windows with the run's own clips."""
        near = self._nearest(look.feature)[..., :_NEIGHBOURS].mean(-1) / self.distance
        moves = look.motion / np.maximum(self.motion, 1e-9)
        return OODScore(
            np.where(look.seen, near, -np.inf).max(1), np.where(look.seen, moves, -np.inf).max(1)
        )

    def recognise(
        self, look: EncoderFeatures
    ) -> tuple[Int[np.ndarray, " K"], Float[np.ndarray, " K"]]:
        """The action of each window by its nearest training clips, and their share of the votes."""
        apart = self._apart(look.feature)
        apart = np.where(look.seen[:, None], apart, 0).sum(-1)
        nearest = np.argsort(apart, axis=1)[:, :_NEIGHBOURS]
        votes = np.stack(
            [(self.action[nearest] == a).mean(1) for a in range(len(self.actions))], axis=1
        )
        return votes.argmax(1), votes.max(1)

    def interval(
        self,
        emg: Float[np.ndarray, "N C"],
        spread: Float[np.ndarray, "N C"] | None,
        muscles: tuple[str, ...],
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """Bounds [N, C] between which `LEVEL` of the validation samples lie; None if unknown.

        Args:
          emg: predicted.
          spread: predicted with it; counts only if the run's own intervals are made of it.
          muscles: of the channels.
        """
        width = spread if self.about.get("predicted_mae") else None
        return intervals.bounds((self.level, self.low, self.high), emg, width, muscles)

    def _nearest(self, feature: np.ndarray) -> np.ndarray:
        """[K, V, n] distances to the training clips in order of size."""
        return np.sort(self._apart(feature).swapaxes(1, 2), axis=-1)

    def _apart(self, feature: np.ndarray) -> np.ndarray:
        """[K, n, V] root-mean-square distance of standardised features."""
        x = (feature - self.mean) / self.scale
        square = (
            (x**2).sum(-1)[:, None]
            + (self.feature**2).sum(-1)[None]
            - 2 * np.einsum("kvf,nvf->knv", x, self.feature)
        )
        return np.sqrt(np.maximum(square, 0) / x.shape[-1])

    def save(self, workdir: Path) -> None:
        """Writes `workdir/ood_detector.npz`."""
        arrays = {
            f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "about"
        }
        text = np.array(json.dumps(dict(self.about)))
        write_atomically(
            workdir / FILE, lambda file: np.savez_compressed(file, about=text, **arrays)
        )

    @classmethod
    def load(cls, workdir: Path) -> "OODDetector":
        """Reads `workdir/ood_detector.npz`.

        Raises:
          UserError: it is missing, damaged or of another version.
        """
        path = workdir / FILE
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = dict(file)
            about = json.loads(str(arrays.pop("about")))
            if about["format"] != FORMAT:
                raise UserError(f"{path}: format {about['format']}, not {FORMAT}; delete it, and "
                                "it is made again where the run's dataset is")  # fmt: skip
            return cls(about=about, **arrays)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path}: missing or damaged ({error})") from None
