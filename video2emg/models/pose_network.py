"""Features of a moving body, for its left and for its right side.

The muscles of the left side read features of the body. Those of the right side read features of the
mirrored body. One network computes both, so that left and right are treated alike.

Axes: S = 2 sides, as in `vocabulary.SIDES`; T frames; K times of tokens; I instants of the
features; J joints.
"""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from video2emg.core import vocabulary
from video2emg.models.blocks import MLP, Dtype
from video2emg.models.mechanics_prior import Prior

# Values for each side at the times of the frames or at the instants, and which are known.
Frames = tuple[Float[Array, "B S K F"], Bool[Array, "B #S K #F"]]
Instants = tuple[Float[Array, "B S I F"], Bool[Array, "B #S I #F"]]


def mirrored_pose(pose: Float[Array, "B T J 3"], joints: Sequence[str]) -> Float[Array, "B T J 3"]:
    """The mirror image of a pose: left and right joints change places, and y its sign."""
    order = np.array(vocabulary.mirror_order(joints), np.int32)
    return pose[:, :, order] * np.array([1, -1, 1], np.float32)


def interpolation(
    frames: int, frame_rate: float, instants: int, rate: float, delay: int = 0
) -> Float[np.ndarray, "I T"]:
    """Weights of the frames in the values at regular instants.

    Values between two frames are linear in time. If there are more frames than instants, the value
    is a mean of the frames around the instant with triangular weights.

    Args:
      frames: T.
      frame_rate: of the frames, Hz.
      instants: I.
      rate: of the instants, Hz.
      delay: frames; an instant shows what was filmed so much earlier.

    Returns:
      Each row sums to one. Rows before the first frame are zero. After the last frame its value
      holds.
    """
    place = np.round(np.arange(instants) * (frame_rate / rate) - delay, 6)
    place = np.minimum(place, frames - 1)[:, None]
    # Symmetric at the edges too, so that the mean is not that of another instant.
    room = 1 + np.minimum(place, frames - 1 - place)
    width = np.maximum(np.minimum(room, frame_rate / rate), 1.0)
    weight = np.maximum(1 - np.abs(np.arange(frames) - place) / width, 0.0)
    weight = np.where(place < 0, 0.0, weight)
    return (weight / np.maximum(weight.sum(1, keepdims=True), 1e-9)).astype(np.float32)


def resample(signal: Frames, weight: Float[np.ndarray, "I K"]) -> Instants:
    """Weighted sums of a signal over time; known if all that they are made of is known."""
    values, known = signal
    used = (weight != 0).astype(np.float32)
    missing = jnp.einsum("ik,bskf->bsif", used, (~known).astype(jnp.float32))
    complete = (missing < 0.5) & used.any(1)[:, None]
    values = jnp.einsum("ik,bskf->bsif", weight, jnp.where(known, values, 0.0))
    return jnp.where(complete, values, 0.0), complete


def derivatives(
    instants: int, rate: float, ahead: int | None = None
) -> tuple[Float[np.ndarray, "I I"], Float[np.ndarray, "I I"]]:
    """Weights of all instants in the first and in the second derivative at each, in 1/s and 1/s².

    They are differences over 0.08 s to both sides. At the edges of the window they are those of the
    nearest instant that has both sides. With `ahead`, see `context_filters`, they are those of an
    earlier instant if needed, and zero where that has not both sides.
    """
    reach = min(max(round(0.08 * rate), 1), (instants - 1) // 2)
    late = 0 if ahead is None else max(reach - ahead, 0)
    centre = np.minimum(np.arange(instants) - late, instants - 1 - reach)
    if ahead is None:
        centre = np.maximum(centre, reach)
    rows = np.flatnonzero(centre >= reach)
    first, second = np.zeros((2, instants, instants), np.float32)
    for offset, slope, bend in ((-reach, -0.5, 1), (0, 0, -2), (reach, 0.5, 1)):
        first[rows, centre[rows] + offset] += slope * rate / reach
        second[rows, centre[rows] + offset] += bend * (rate / reach) ** 2
    return first, second


def context_filters(
    instants: int, rate: float, seconds: float, count: int, ahead: int | None = None
) -> Float[np.ndarray, "K I I"]:
    """Linear filters that show the time around an instant, near in detail and far in outline.

    The filters are triangles. Their distances from the instant grow geometrically up to `seconds`,
    and their widths grow with them. Outside the window the values of its edges hold; with `ahead`
    they count as zero, as what was before the first frame is unknown.

    Args:
      instants: I, in a window.
      rate: of the instants, Hz.
      seconds: the longest distance, s.
      count: of the filters on each side, at most.
      ahead: how many later instants may be seen; None for no limit.

    Returns:
      K filters. Row i of a filter holds the weights of all instants for instant i. Their number
      does not depend on `ahead`; those that see nothing are zero.
    """
    distances = np.unique(np.round(np.geomspace(1, max(seconds * rate, 2), count)))
    widths = np.diff(distances, append=2 * distances[-1] - distances[-2])
    margin = int(distances[-1] + widths[-1])
    offset = np.arange(-margin, instants + margin) - np.arange(instants)[:, None]
    filters = []
    for distance, width in zip(distances, widths, strict=True):
        for sign in (-1, 1):
            weight = np.maximum(1 - np.abs(offset - sign * distance) / width, 0) / width
            if ahead is not None:
                weight = np.where(offset <= ahead, weight, 0.0)
            before, inside, after = np.split(weight, [margin, margin + instants], axis=1)
            if ahead is None:
                inside[:, 0] += before.sum(1)
                inside[:, -1] += after.sum(1)
            filters.append(inside)
    return np.stack(filters).astype(np.float32)


class PoseNetwork(nn.Module):
    """Features of the body and of its mirror image, at regular instants.

    The features of an instant depend on the positions, velocities and accelerations around it. They
    hold no absolute time: a movement later in the window gives the same features later, apart from
    the edges of the window.

    Attributes:
      joints: names of the J joints.
      dim: D.
      frame_rate: of the pose, Hz.
      rate: of the instants, Hz.
      width: number of features by which an instant is known to its neighbours.
      context_s, contexts: reach and number of the filters, see `context_filters`.
      depth: number of residual layers after the context.
      dropout: rate.
      delay, ahead: see `interpolation` and `context_filters`; for causal models.
    """

    joints: Sequence[str]
    dim: int
    frame_rate: float
    rate: float
    width: int
    context_s: float
    contexts: int
    depth: int
    dropout: float
    dtype: Dtype
    delay: int = 0
    ahead: int | None = None

    def instants(self, frames: int) -> int:
        """I, in a window of so many frames."""
        return round(frames * self.rate / self.frame_rate)

    @nn.compact
    def __call__(
        self,
        pose: Float[Array, "B T J 3"],
        known: Bool[Array, "B T J"],
        video: Frames | None = None,
        constant: Float[Array, "B D"] | None = None,
        prior: Prior | None = None,
        cleaned: tuple[Float[Array, "B T J 3"], Bool[Array, "B T J"]] | None = None,
        *,
        train: bool,
    ) -> Float[Array, "B S I D"]:
        """Computes the features.

        Args:
          pose: joint positions in the canonical frame (`core.body_frame`), m.
          known: which joints are known.
          video: features of the video; K divides T.
          constant: features of the whole window, e.g. of the load.
          prior: what mechanics expects.
          cleaned: the pose without errors, as far as they were found, and which joints it has.
          train: whether dropout is active.
        """
        frames = pose.shape[1]
        instants = self.instants(frames)
        signals = [self._body(pose, known, instants)] if self.joints else []
        if cleaned is not None:
            signals.append(self._body(*cleaned, instants))
        if video is not None:
            stride = frames // video[0].shape[2]
            weight = interpolation(
                frames // stride, self.frame_rate / stride, instants, self.rate, self.delay
            )
            signals.append(resample(video, weight))
        if prior is not None:
            signals.append((prior.features, prior.known))
        parts = [part for values, known in signals for part in (values, known)]
        sides = (pose.shape[0], len(vocabulary.SIDES), instants)
        x = [jnp.broadcast_to(part, (*sides, part.shape[-1])) for part in parts]
        x = jnp.concatenate([part.astype(self.dtype) for part in x], -1)
        seen = jnp.stack([known.any((1, 3)) for _, known in signals]).any(0)
        around = nn.Dense(self.width, dtype=self.dtype, name="instant")(x)
        around = jnp.where(seen[:, None, :, None], around, 0.0)
        filters = context_filters(instants, self.rate, self.context_s, self.contexts, self.ahead)
        around = jnp.einsum("kij,bsjw->bsikw", filters.astype(self.dtype), around)
        around = around.reshape(*around.shape[:3], -1)
        x = nn.Dense(self.dim, dtype=self.dtype, name="now")(x)
        x = x + nn.Dense(self.dim, use_bias=False, dtype=self.dtype, name="context")(around)
        if constant is not None:
            x = x + constant[:, None, None].astype(self.dtype)
        for i in range(self.depth):
            normed = nn.LayerNorm(dtype=self.dtype, name=f"norm_{i}")(x)
            mlp = MLP(2, self.dropout, dtype=self.dtype, name=f"layer_{i}")
            x = x + mlp(normed, train=train)
        return nn.LayerNorm(dtype=self.dtype, name="norm")(x)

    def _body(
        self, pose: Float[Array, "B T J 3"], known: Bool[Array, "B T J"], instants: int
    ) -> tuple[Float[Array, "B S I F"], Bool[Array, "B S I G"]]:
        """Positions (m), velocities (m/s) and accelerations (10 m/s²) of body and mirror image."""
        b, t = pose.shape[:2]
        known = jnp.broadcast_to(known[..., None], pose.shape)
        weight = interpolation(t, self.frame_rate, instants, self.rate, self.delay)

        def both(x: jax.Array) -> jax.Array:
            order = np.array(vocabulary.mirror_order(self.joints), np.int32)
            return jnp.stack([x, x[:, :, order]], 1).reshape(b, 2, t, -1)

        poses = jnp.stack([pose, mirrored_pose(pose, self.joints)], 1).reshape(b, 2, t, -1)
        place = resample((poses, both(known)), weight)
        # Only the context looks ahead, so that the two do not add.
        ahead = None if self.ahead is None else 0
        first, second = derivatives(instants, self.rate, ahead)
        parts = [place, resample(place, first), resample(place, second / 10)]
        values, knowns = zip(*parts, strict=True)
        return jnp.concatenate(values, -1), jnp.concatenate([x[..., ::3] for x in knowns], -1)
