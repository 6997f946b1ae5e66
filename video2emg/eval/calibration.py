"""Gain and offset of a person's electrodes, from a few measured repetitions.

C channels of a clip, N samples.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from sklearn.linear_model import Ridge

from video2emg.eval.series import ClipSeries

Pairs = Sequence[tuple[np.ndarray, np.ndarray]]  # prediction and measurement, one per repetition


class GainOffset:
    """Predictions times a gain plus an offset, one pair per channel of one person.

    Ridge regression of the measurement on the prediction. Its prior is that nothing has to change:
    a channel's gain is drawn towards the gain of all channels of the person, that gain towards 1,
    and offsets towards 0.

    Attributes:
      strength: of the prior, in repetitions.
    """

    def __init__(self, strength: float = 1.0) -> None:
        """Sets the strength of the prior."""
        self.strength = strength

    def fit(self, series: Sequence[ClipSeries], predictions: Sequence[np.ndarray]) -> "GainOffset":
        """Learns from the repetitions of one person, one [N, C] each; returns itself."""
        pairs: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
        for clip, prediction in zip(series, predictions, strict=True):
            for c, name in enumerate(clip.muscles):
                known = clip.mask[:, c]
                if known.any():
                    predicted = prediction[known, c].astype(np.float64)
                    pairs.setdefault(name, []).append((predicted, clip.target[known, c]))
        self._common_gain = 1.0
        self._channels: dict[str, tuple[float, float]] = {}
        all_pairs = [pair for channel in pairs.values() for pair in channel]
        if not all_pairs:
            return self
        self._common_gain, _ = self._ridge(all_pairs, 1.0, offset=False)
        for name, channel in pairs.items():
            self._channels[name] = self._ridge(channel, self._common_gain, offset=True)
        return self

    def _ridge(self, pairs: Pairs, expected: float, offset: bool) -> tuple[float, float]:
        """Gain and offset that minimise the squared error plus that of the prior."""
        p, y = (np.concatenate(part) for part in zip(*pairs, strict=True))
        samples = self.strength * len(p) / len(pairs)  # that the prior counts for
        scale = np.sqrt(max(float((p**2).mean()), 1e-12))
        columns = [p / scale, np.ones_like(p)] if offset else [p / scale]
        model = Ridge(samples, fit_intercept=False).fit(np.stack(columns, 1), y - expected * p)
        gain = expected + float(model.coef_[0]) / scale
        return gain, float(model.coef_[1]) if offset else 0.0

    def apply(
        self, series: ClipSeries, prediction: Float[np.ndarray, "N C"]
    ) -> Float[np.ndarray, "N C"]:
        """The corrected prediction; activity cannot be negative."""
        gains, offsets = zip(
            *(self._channels.get(name, (self._common_gain, 0.0)) for name in series.muscles),
            strict=True,
        )
        changed = prediction * np.array(gains) + np.array(offsets)
        return np.maximum(changed, 0.0).astype(np.float32)
