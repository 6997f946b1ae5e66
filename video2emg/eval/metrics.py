"""Definitions of the metrics: pure functions of arrays, on mergeable sufficient statistics.

y is the measured envelope, p its prediction, e = p - y. Letters: N samples, C channels, G groups;
`*s` any shape (channels, clips × channels, …).
"""

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

# Zero-dimensional results of NumPy are its scalars.
Scores = Float[np.ndarray | np.float64, "*s"]
_Numbers = np.ndarray | np.number | float

# The course of an inactive muscle is noise: below this normalised envelope (e.g. 5 % of the MVC)
# correlation over time, specificity, peak ratio, onset and symmetry are undefined.
QUIET = 0.05

# The measured courses of two channels differ if their Pearson's r is below this.
DIFFERENT = 0.5

# Predicted amplitudes that vary over clips by less than this share of the measured ones count as
# constant in `within_group_r`: so small a variation comes from the sampling, not from the clip.
FLAT = 0.02


@dataclasses.dataclass(frozen=True)
class Moments:
    """Sufficient statistics of (target, prediction) pairs; elementwise over any shape `*s`.

    Means and centred second moments instead of raw sums: Σy² - (Σy)²/n loses all digits when the
    offset is large, and does not give exactly zero for a constant.

    Attributes:
      count: samples.
      mean_target, mean_prediction: means, 0 where there is no sample.
      m2_target, m2_prediction: Σ(y - mean y)², Σ(p - mean p)².
      co: Σ(y - mean y)(p - mean p).
      abs_error, sq_error: Σ|e|, Σe².
      low, high: smallest and largest target, ±inf where there is no sample.
    """

    count: Scores
    mean_target: Scores
    mean_prediction: Scores
    m2_target: Scores
    m2_prediction: Scores
    co: Scores
    abs_error: Scores
    sq_error: Scores
    low: Scores
    high: Scores

    @classmethod
    def of(
        cls,
        target: Float[np.ndarray, "N *s"],
        prediction: Float[np.ndarray, "N *s"],
        mask: Bool[np.ndarray, "N *s"] | None = None,
    ) -> "Moments":
        """Statistics over the first axis, of the samples where the mask is true."""
        mask = np.ones(target.shape, bool) if mask is None else mask
        y = np.where(mask, target, 0).astype(np.float64)
        p = np.where(mask, prediction, 0).astype(np.float64)
        count = mask.sum(0).astype(np.float64)
        # Relative to the first valid sample, so that a constant has a variance of exactly zero.
        first = mask.argmax(0)[None]
        shift_y, shift_p = (np.take_along_axis(x, first, 0)[0] for x in (y, p))
        dy, dp = np.where(mask, y - shift_y, 0), np.where(mask, p - shift_p, 0)
        mean_dy, mean_dp = divide(dy.sum(0), count, 0.0), divide(dp.sum(0), count, 0.0)
        dy, dp = np.where(mask, dy - mean_dy, 0), np.where(mask, dp - mean_dp, 0)
        return cls(
            count=count,
            mean_target=shift_y + mean_dy,
            mean_prediction=shift_p + mean_dp,
            m2_target=(dy**2).sum(0),
            m2_prediction=(dp**2).sum(0),
            co=(dy * dp).sum(0),
            abs_error=np.abs(p - y).sum(0),
            sq_error=((p - y) ** 2).sum(0),
            low=np.where(mask, y, np.inf).min(0),
            high=np.where(mask, y, -np.inf).max(0),
        )

    @classmethod
    def empty(cls, shape: tuple[int, ...]) -> "Moments":
        """Statistics of no samples: the neutral element of `merge`."""
        zero = {f.name: np.zeros(shape) for f in dataclasses.fields(cls)}
        return cls(**zero | {"low": np.full(shape, np.inf), "high": np.full(shape, -np.inf)})

    def merge(self, other: "Moments") -> "Moments":
        """Statistics of both sets of samples together."""
        pairs = zip(self._fields(), other._fields(), strict=True)
        return Moments(*(np.stack(np.broadcast_arrays(a, b)) for a, b in pairs)).reduce(0)

    def reduce(self, axis: int) -> "Moments":
        """Merges along one axis, e.g. clips.

        The parallel update of Chan, Golub and LeVeque (1979), "Updating formulae and a pairwise
        algorithm for computing sample variances", for any number of parts at once.
        """
        count = self.count.sum(axis)
        # Offsets of the parts' means from that of the first part that has samples.
        first = np.expand_dims((self.count > 0).argmax(axis), axis)
        shift_y = np.take_along_axis(self.mean_target, first, axis)
        shift_p = np.take_along_axis(self.mean_prediction, first, axis)
        filled = self.count > 0
        dy = np.where(filled, self.mean_target - shift_y, 0)
        dp = np.where(filled, self.mean_prediction - shift_p, 0)
        mean_dy = divide((self.count * dy).sum(axis), count, 0.0)
        mean_dp = divide((self.count * dp).sum(axis), count, 0.0)
        dy, dp = dy - np.expand_dims(mean_dy, axis), dp - np.expand_dims(mean_dp, axis)
        return Moments(
            count=count,
            mean_target=np.squeeze(shift_y, axis) + mean_dy,
            mean_prediction=np.squeeze(shift_p, axis) + mean_dp,
            m2_target=(self.m2_target + self.count * dy**2).sum(axis),
            m2_prediction=(self.m2_prediction + self.count * dp**2).sum(axis),
            co=(self.co + self.count * dy * dp).sum(axis),
            abs_error=self.abs_error.sum(axis),
            sq_error=self.sq_error.sum(axis),
            low=self.low.min(axis),
            high=self.high.max(axis),
        )

    def __getitem__(self, index: Any) -> "Moments":
        return Moments(*(x[index] for x in self._fields()))

    def _fields(self) -> list[np.ndarray]:
        return [np.asarray(getattr(self, f.name)) for f in dataclasses.fields(self)]


def divide(a: _Numbers, b: _Numbers, otherwise: float = np.nan) -> np.ndarray:
    """Returns a / b, and `otherwise` where b is 0."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    out = np.full(np.broadcast_shapes(a.shape, b.shape), otherwise)
    return np.divide(a, b, out=out, where=b != 0)


def rmse(m: Moments) -> Scores:
    """Root mean squared error, in units of the normalisation; NaN without samples.

    Of merged moments this is the *micro* RMSE (every sample counts the same). The mean of per-clip
    RMSEs (*macro*) is smaller or equal (Jensen): the two must not be compared.
    """
    return np.sqrt(divide(m.sq_error, m.count))


def mae(m: Moments) -> Scores:
    """Mean absolute error, in units of the normalisation."""
    return divide(m.abs_error, m.count)


def bias(m: Moments) -> Scores:
    """Mean error, prediction minus measurement: positive means that predictions are too high."""
    return np.where(m.count > 0, m.mean_prediction - m.mean_target, np.nan)


def nrmse(m: Moments, by: str = "range") -> Scores:
    """RMSE divided by a scale of the *measured* signal; NaN where that scale is 0.

    Args:
      m: the statistics.
      by: `range` (max - min, as LibEMG; grows with the length of the recording, since a longer one
        sees a larger maximum), `mean`, `sd` (then nRMSE² = 1 - R²) or `peak` (max).
        An RMSE in units of the MVC is already normalised: it is plain `rmse`.
    """
    scales = {
        "range": np.where(m.count > 0, m.high - m.low, np.nan),
        "mean": m.mean_target,
        "sd": np.sqrt(divide(m.m2_target, m.count)),
        "peak": m.high,
    }
    return divide(rmse(m), scales[by])


def pcc(m: Moments) -> Scores:
    """Pearson's r; NaN where target or prediction is constant (it is then undefined).

    Covariance and variances are all divided by the same n: mixing n and n - 1 gives values beyond
    1. For the moments of one clip it measures the time course. For merged moments it measures
    mostly which clip or channel a sample came from, and is high for predictors that know the
    exercise only: report the mean over clips.
    """
    return np.clip(divide(m.co, np.sqrt(m.m2_target) * np.sqrt(m.m2_prediction)), -1, 1)


def r2(m: Moments) -> Scores:
    """Coefficient of determination 1 - Σe² / Σ(y - mean y)².

    Negative when worse than the constant mean. For a constant target NaN if predicted exactly and
    -inf otherwise, NaN for one sample, as scikit-learn's `r2_score(force_finite=False)`. Not the
    square of `pcc`, which forgives gain and offset.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        value = 1 - m.sq_error / m.m2_target
    return np.where(m.count > 1, value, np.nan)


def vaf(m: Moments) -> Scores:
    """Variance accounted for, uncentred: 1 - Σe² / Σy², as in muscle synergy analysis.

    Far above `r2` for positive signals, for which predicting the mean already scores high: its
    usual threshold of 0.9 implies nothing about R².
    """
    return 1 - divide(m.sq_error, m.m2_target + m.count * m.mean_target**2)


def skill(sq_error: Scores, template_sq_error: Scores) -> Scores:
    """1 - Σe² / Σe²(template): 1 perfect, 0 no better than the action template.

    A ratio of sums over a whole set, not a mean of ratios per clip: clips on which the template
    happens to be right would otherwise dominate. NaN if the template makes no error.
    """
    return 1 - divide(sq_error, template_sq_error)


def within_group_r(
    count: Float[np.ndarray, "*r G"],
    y: Float[np.ndarray, "*r G"],
    p: Float[np.ndarray, "*r G"],
    yy: Float[np.ndarray, "*r G"],
    pp: Float[np.ndarray, "*r G"],
    yp: Float[np.ndarray, "*r G"],
) -> Float[np.ndarray | np.float64, "*r"]:
    """Correlation within groups, of sums Σ1, Σy, Σp, Σy², Σp², Σyp per group.

    Both variables are centred on their group's mean, then covariance and variances are summed over
    the groups (Bland and Altman 1995, "Calculating correlation coefficients with repeated
    observations: part 1", BMJ 310:446). Differences *between* groups count for nothing, so a
    predictor that is constant within groups gets 0. Averaging one r per group instead would skip
    exactly the groups where such a predictor is flat, and be dominated by small groups.

    Returns:
      r, NaN where y does not vary within any group; 0 where y varies and p does not (a standard
      deviation below `FLAT` times that of y).
    """
    s_yy = (yy - divide(y * y, count, 0.0)).clip(0).sum(-1)
    s_pp = (pp - divide(p * p, count, 0.0)).clip(0).sum(-1)
    s_yp = (yp - divide(y * p, count, 0.0)).sum(-1)
    r = np.clip(divide(s_yp, np.sqrt(s_yy) * np.sqrt(s_pp)), -1, 1)
    r = np.where(s_pp <= FLAT**2 * s_yy, 0.0, r)
    return np.where(s_yy > 0, r, np.nan)


def amplitude(
    envelope: Float[np.ndarray, "N C"], mask: Bool[np.ndarray, "N C"]
) -> Float[np.ndarray, " C"]:
    """Mean of the envelope over the measured samples; NaN without any."""
    total = np.where(mask, envelope, 0).sum(0, dtype=np.float64)
    return divide(total, mask.sum(0))


def peak(
    envelope: Float[np.ndarray, "N C"], mask: Bool[np.ndarray, "N C"]
) -> Float[np.ndarray, " C"]:
    """Largest value over the measured samples; NaN without any."""
    high = np.where(mask, envelope, -np.inf).max(0).astype(np.float64)
    return np.where(mask.any(0), high, np.nan)


def peak_ratio(
    target: Float[np.ndarray, "N C"],
    prediction: Float[np.ndarray, "N C"],
    mask: Bool[np.ndarray, "N C"],
) -> Float[np.ndarray, " C"]:
    """Predicted peak / measured peak; regression to the mean makes it smaller than 1.

    NaN where the measured peak is below `QUIET`. Peaks need not be at the same time.
    """
    measured = peak(target, mask)
    return np.where(measured >= QUIET, divide(peak(prediction, mask), measured), np.nan)


def specificity(
    target: Float[np.ndarray, "N C"],
    prediction: Float[np.ndarray, "N C"],
    mask: Bool[np.ndarray, "N C"],
    length: int,
) -> Float[np.ndarray, " C"]:
    """How much better a channel is predicted by its own prediction than by that of other channels.

    In windows of `length` samples side by side, over the channels j that differ from channel i: the
    mean of r(prediction i, measurement i) - r(prediction j, measurement i). Two channels differ in
    a window where both are measured throughout and active (peak of at least `QUIET`) and the r of
    their measurements is below `DIFFERENT`. 0 if one curve is predicted for all; a flat prediction
    has r = 0. NaN for a channel that differs from no other. A clip shorter than a window is one
    window; a remainder is left out.
    """
    n, c = target.shape
    length = min(length, n)
    windows = (n // length, length, c)
    y, p, known = (x[: windows[0] * length].reshape(windows) for x in (target, prediction, mask))
    active = known.all(1) & (np.where(known, y, 0).max(1) >= QUIET)
    y, p = _standardised(np.where(known, y, 0)), _standardised(p)
    active &= (y != 0).any(1)
    measured = y.swapaxes(1, 2) @ y  # r of measurements i and j
    r = y.swapaxes(1, 2) @ p  # r of measurement i and prediction j
    differ = active[:, :, None] & active[:, None, :] & (measured < DIFFERENT)
    own = np.diagonal(r, axis1=1, axis2=2)[..., None]
    return divide(np.where(differ, own - r, 0).sum((0, 2)), differ.sum((0, 2)))


def _standardised(x: Float[np.ndarray, "W L C"]) -> Float[np.ndarray, "W L C"]:
    """Courses with zero mean and a sum of squares of 1, over L; zeros for a constant."""
    # Relative to the first sample, so that a constant is exactly zero.
    x = (x - x[:, :1]).astype(np.float64)
    x -= x.mean(1, keepdims=True)
    return divide(x, np.sqrt((x**2).sum(1, keepdims=True)), 0.0)


def onset(
    time: Float[np.ndarray, " N"],
    envelope: Float[np.ndarray, "N C"],
    mask: Bool[np.ndarray, "N C"],
    k: float = 0.2,
    rest_s: float = 0.1,
) -> Float[np.ndarray, " C"]:
    """When each channel first rises through min + k·(max - min) of itself, s.

    The threshold is relative to the channel's own range, so that an error of gain is not also one
    of timing; between samples it is interpolated linearly. The channel must have been below for
    `rest_s` before: a muscle that is active when the recording starts has no onset there. NaN where
    there is no such rise, or the range is below `QUIET`. Clinical detectors with k·SD of a resting
    baseline need a recording at rest, which a single repetition does not have.
    """
    x = np.where(mask, envelope, np.nan).astype(np.float64)
    high = np.where(mask, x, -np.inf).max(0)
    low = np.where(mask, x, np.inf).min(0)
    own_range = np.where(mask.any(0), high - low, 0)
    threshold = np.where(own_range > 0, low + k * own_range, np.inf)
    if len(x) < 2:
        return np.full(x.shape[1], np.nan)
    # Comparisons with NaN are false: a crossing needs measured samples on both sides.
    index = np.arange(len(x))[:, None]
    below_for = index - np.maximum.accumulate(np.where(x < threshold, -1, index), axis=0)
    rest = max(round(rest_s / float(time[1] - time[0])), 1)
    rises = (below_for[:-1] >= rest) & (x[1:] >= threshold)
    first, columns = rises.argmax(0), np.arange(x.shape[1])
    before, after = x[first, columns], x[first + 1, columns]
    share = divide(threshold - before, after - before, 0.0)
    crossed = time[first] + share * (time[first + 1] - time[first])
    return np.where(rises.any(0) & (own_range >= QUIET), crossed, np.nan)


def left_share(left: Scores, right: Scores) -> Scores:
    """Contribution of the left side L / (L + R) in [0, 1]; 0.5 where neither is above 0."""
    left, right = np.maximum(left, 0), np.maximum(right, 0)
    return divide(left, left + right, 0.5)
