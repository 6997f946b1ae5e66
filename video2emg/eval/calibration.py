"""Gain and offset of a person's electrodes, from a few measured repetitions.

C channels of a clip, N samples.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from video2emg.eval.series import ClipSeries


class GainOffset:
    """Predictions times a gain plus an offset, one pair per channel of one person.

    Ridge regression of what was measured on what was predicted, with the prior that nothing has to
    be changed: a channel's gain is drawn to the person's common one, that to 1, offsets to 0.

    Attributes:
      strength: of the prior, in repetitions.
    """

    def __init__(self, strength: float = 1.0) -> None:
        """Says how much is believed before anything is measured."""
        self.strength = strength

    def fit(self, series: Sequence[ClipSeries], predictions: Sequence[np.ndarray]) -> "GainOffset":
        """Learns from the repetitions of one person, one [N, C] each; returns itself."""
        pairs: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
        for clip, prediction in zip(series, predictions, strict=True):
            for c, name in enumerate(clip.muscles):
                known = clip.mask[:, c]
                if known.any():
                    seen = prediction[known, c].astype(np.float64)
                    pairs.setdefault(name, []).append((seen, clip.target[known, c]))
        self._common = 1.0
        self._channels: dict[str, tuple[float, float]] = {}
        every = [pair for of in pairs.values() for pair in of]
        if not every:
            return self
        self._common, _ = self._ridge(every, 1.0, offset=False)
        for name, of in pairs.items():
            self._channels[name] = self._ridge(of, self._common, offset=True)
        return self

    def _ridge(
        self, pairs: list[tuple[np.ndarray, np.ndarray]], expected: float, offset: bool
    ) -> tuple[float, float]:
        """Gain and offset that minimise the squared error plus the prior's."""
        p, y = (np.concatenate(part) for part in zip(*pairs, strict=True))
        weight = self.strength * len(p) / len(pairs)  # samples
        energy = max(float((p**2).mean()), 1e-12)
        normal = np.array([[(p**2).sum() + weight * energy, p.sum()], [p.sum(), len(p) + weight]])
        right = np.array([(p * y).sum() + weight * energy * expected, y.sum()])
        if not offset:
            return float(right[0] / normal[0, 0]), 0.0
        gain, shift = np.linalg.solve(normal, right)
        return float(gain), float(shift)

    def apply(
        self, series: ClipSeries, prediction: Float[np.ndarray, "N C"]
    ) -> Float[np.ndarray, "N C"]:
        """The corrected prediction; activity cannot be negative."""
        gains, offsets = zip(
            *(self._channels.get(name, (self._common, 0.0)) for name in series.muscles),
            strict=True,
        )
        changed = prediction * np.array(gains) + np.array(offsets)
        return np.maximum(changed, 0.0).astype(np.float32)
