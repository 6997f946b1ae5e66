"""Out-of-domain detector of a run: features of its own clips, thresholds, usual errors.

Computed once from the run's training and validation clips and kept in `workdir/ood_detector.npz`.
A model that reads the pose has it in place of a single view.
Letters: n training clips, V views, F features, M muscles of the vocabulary, B levels.
"""

import dataclasses
import json
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from video2emg.core.errors import UserError
from video2emg.core.files import write_atomically
from video2emg.eval import intervals

FILE = "ood_detector.npz"
FORMAT = 1
QUANTILE = 0.99  # share of the validation clips within each view's threshold
LEVEL = 0.9  # of the intervals
# A repetition changes smooth pictures less than the grainy ones of a dataset, so the threshold of
# motion is lower than that of the validation clips. An empty room changes by noise only.
_MOTION_FACTOR = 0.5
# Real people move otherwise than those of the simulator. In features of the pose, windows of squats
# lie at 0.7 (film) to 1.6 (motion capture) times the distance of simulated validation people.
POSE_MARGIN = 2.0
_NEIGHBOURS = 5


@dataclasses.dataclass(frozen=True)
class EncoderFeatures:
    """Features of K windows.

    Attributes:
      feature: [K, V, F] mean and standard deviation over time of the encoder's output for a view.
      motion: [K, V] mean absolute difference from the mean picture, 1 is full brightness; of poses
        the mean change of the joints from frame to frame, m.
      recorded: [K, V] whether the view has any frame.
    """

    feature: np.ndarray
    motion: np.ndarray
    recorded: np.ndarray

    def __len__(self) -> int:
        return len(self.feature)

    @classmethod
    def join(cls, parts: Iterable["EncoderFeatures"]) -> "EncoderFeatures":
        """All windows of `parts`."""
        columns = zip(*(dataclasses.astuple(part) for part in parts), strict=True)
        return cls(*map(np.concatenate, columns))

    def select(self, rows: np.ndarray) -> "EncoderFeatures":
        """Some of the windows, by index or mask."""
        return EncoderFeatures(*(column[rows] for column in dataclasses.astuple(self)))


@dataclasses.dataclass(frozen=True)
class OODScore:
    """How similar K windows are to the run's own clips.

    Attributes:
      distance: [K] to the training clips, 1 at the threshold; of the most distant view.
      motion: [K] of the view with most motion, 1 at the threshold; below it hardly anything moves.
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
      about: other facts that are needed to use the run without its data: `dataset`,
        `normalisation`, `simulated`, `joints`, `dofs`, `muscles` by action, `action_accuracy` on
        validation clips, counts; `predicted_mae`: whether `low` and `high` are multiples of the
        mean absolute error that the model predicts.
      feature: [n, V, F] float32 of training clips, standardised.
      action: [n] index in `actions`.
      mean, scale: [V, F] of the features of training clips.
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
        margin: float = 1.0,
    ) -> "OODDetector":
        """Sets the thresholds.

        Args:
          train: of training clips.
          action: of each, an index in `about["muscles"]`.
          validation: of validation clips, of other subjects.
          validation_action: of each.
          errors: of `eval.intervals.tabulate`.
          about: see the class; format, level, counts and accuracy are added here.
          margin: factor on the threshold of the distance.
        """
        mean, scale = train.feature.mean(0), train.feature.std(0) + 1e-6
        detector = cls(
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
        distance = detector._nearest(validation.feature)[..., :_NEIGHBOURS].mean(-1)
        detector = dataclasses.replace(
            detector,
            distance=(margin * np.quantile(distance, QUANTILE, axis=0)).astype(np.float32),
            motion=(_MOTION_FACTOR * np.quantile(validation.motion, 1 - QUANTILE, axis=0)).astype(
                np.float32
            ),
        )
        recognised, _ = detector.recognise(validation)
        return dataclasses.replace(
            detector,
            about=dict(about)
            | {
                "format": FORMAT,
                "quantile": QUANTILE,
                "level": LEVEL,
                "train_clips": len(train),
                "validation_clips": len(validation),
                "validation_inside": float(detector.score(validation).inside.mean()),
                "action_accuracy": float((recognised == validation_action).mean()),
            },
        )

    def score(self, features: EncoderFeatures) -> OODScore:
        """Compares windows with the run's own clips."""
        distance = self._nearest(features.feature)[..., :_NEIGHBOURS].mean(-1)
        distance = distance / np.maximum(self.distance, 1e-9)
        motion = features.motion / np.maximum(self.motion, 1e-9)
        return OODScore(
            np.where(features.recorded, distance, -np.inf).max(1),
            np.where(features.recorded, motion, -np.inf).max(1),
        )

    def recognise(
        self, features: EncoderFeatures, among: Collection[str] = ()
    ) -> tuple[Int[np.ndarray, " K"], Float[np.ndarray, " K"]]:
        """The action of each window by its nearest training clips, and its share of their votes.

        Args:
          features: of K windows.
          among: actions that are asked about; all by default.
        """
        distance = self._distances(features.feature)
        distance = np.where(features.recorded[:, None], distance, 0).sum(-1)
        if among:
            asked = [self.actions[a] in among for a in self.action]
            distance = np.where(asked, distance, np.inf)
        nearest = np.argsort(distance, axis=1)[:, :_NEIGHBOURS]
        votes = np.stack(
            [(self.action[nearest] == a).mean(1) for a in range(len(self.actions))], axis=1
        )
        return votes.argmax(1), votes.max(1)

    def interval(
        self,
        emg: Float[np.ndarray, "N C"],
        predicted_mae: Float[np.ndarray, "N C"] | None,
        muscles: tuple[str, ...],
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """Bounds [N, C] between which `LEVEL` of the validation samples lie; None if unknown.

        Args:
          emg: predicted.
          predicted_mae: predicted with it; used only if the run's intervals are multiples of it.
          muscles: of the channels.
        """
        mae = predicted_mae if self.about.get("predicted_mae") else None
        return intervals.bounds((self.level, self.low, self.high), emg, mae, muscles)

    def _nearest(self, feature: np.ndarray) -> np.ndarray:
        """[K, V, n] distances to the training clips, sorted."""
        return np.sort(self._distances(feature).swapaxes(1, 2), axis=-1)

    def _distances(self, feature: np.ndarray) -> np.ndarray:
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
                raise UserError(
                    f"{path}: format {about['format']}, not {FORMAT}; delete it, and it is made "
                    "again where the run's dataset is"
                )
            arrays["feature"] = arrays["feature"].astype(np.float32)  # 16 bits in packed runs
            return cls(about=about, **arrays)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path}: missing or damaged ({error})") from None
