"""Attribution of predictions: saliency of pixels, checked by occlusion.

Letters: B examples, V cameras, T frames, S pixels, N samples, M muscles.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from video2emg.core.errors import UserError

Batch = Mapping[str, Any]
# (video [B, V, T, S, S, 3] float) -> EMG [B, N, M]
EMGFunction = Callable[[jax.Array], jax.Array]


def background(
    video: Float[Array, "B V T S S 3"], mask: Bool[np.ndarray, "B V T"]
) -> Float[Array, "B V T S S 3"]:
    """The mean of each camera over time, for every frame."""
    weight = jnp.asarray(mask, jnp.float32)[..., None, None, None]
    mean = (video * weight).sum(2, keepdims=True) / jnp.maximum(weight.sum(2, keepdims=True), 1.0)
    return jnp.broadcast_to(mean, video.shape)


def saliency(
    emg: EMGFunction, video: Float[Array, "B V T S S 3"], still: Float[Array, "B V T S S 3"]
) -> Float[np.ndarray, "B V T S S"]:
    """Contribution of each pixel to the sum of all EMG, to first order; absolute values.

    Gradient times the change if the pixel showed `still` (gradient × input, Shrikumar et al. 2016):
    a first-order prediction of the effect of hiding the pixel.

    Args:
      emg: the model, as a function of the video.
      video: brightness 0-255.
      still: brightness of hidden pixels, e.g. `background`.
    """
    gradient = jax.jit(jax.grad(lambda pixels: emg(pixels).sum()))(video)
    return np.asarray(jnp.abs(gradient * (video - still)).sum(-1))


@dataclasses.dataclass(frozen=True)
class Occlusion:
    """Effect of hiding a patch on the EMG: RMS change over samples and muscles, per example.

    Attributes:
      patch: [B, 3] camera, row and column of the most salient patch.
      salient: [B] change when that patch is hidden.
      random: [B] mean change when another patch is hidden.
    """

    patch: np.ndarray
    salient: np.ndarray
    random: np.ndarray

    @property
    def ratio(self) -> float:
        """Salient over random change, both averaged; 1 for an uninformative saliency."""
        return float(self.salient.mean() / max(self.random.mean(), 1e-12))


def occlusion(
    emg: EMGFunction,
    video: Float[Array, "B V T S S 3"],
    still: Float[Array, "B V T S S 3"],
    salient: Float[np.ndarray, "B V T S S"],
    patch: int,
    draws: int = 8,
    seed: int = 0,
) -> Occlusion:
    """Compares hiding the most salient patch, in all frames, with hiding random patches.

    Args:
      emg: the model, as a function of the video.
      video: brightness 0-255.
      still: brightness of hidden pixels.
      salient: `saliency`.
      patch: side of a patch, px; divides S.
      draws: random patches per example, of any camera, never the salient one.
      seed: of the draws.

    Raises:
      UserError: the patch does not divide the frame.
    """
    b, v, _, size, _ = salient.shape
    if size % patch:
        raise UserError(f"patch: {patch} px do not divide frames of {size} px")
    grid = size // patch
    score = salient.reshape(b, v, -1, grid, patch, grid, patch).sum((2, 4, 6)).reshape(b, -1)
    best = score.argmax(1)
    emg = jax.jit(emg)
    before = emg(video)

    def change(patches: np.ndarray) -> np.ndarray:
        chosen = np.zeros((b, v * grid * grid), bool)
        chosen[np.arange(b), patches] = True
        hidden = chosen.reshape(b, v, 1, grid, 1, grid, 1).repeat(patch, 4).repeat(patch, 6)
        hidden = hidden.reshape(b, v, 1, size, size, 1)
        after = emg(jnp.where(hidden, still, video))
        return np.sqrt(np.asarray(((after - before) ** 2).mean((1, 2))))

    rng = np.random.default_rng(seed)
    others = np.stack([rng.permuted(np.delete(np.arange(score.shape[1]), i)) for i in best])
    random = np.mean([change(others[:, k % others.shape[1]]) for k in range(draws)], axis=0)
    patches = np.stack(np.unravel_index(best, (v, grid, grid)), axis=1)
    return Occlusion(patches, change(best), random)


def emg_function(model: nn.Module, params: Any, batch: Batch) -> EMGFunction:
    """The model's EMG as a function of the video alone; samples without measurement are 0."""
    known = jnp.asarray(batch["emg_mask"], jnp.float32)

    def emg(video: jax.Array) -> jax.Array:
        outputs, _ = model.apply({"params": params}, dict(batch) | {"video": video}, train=False)  # pyright: ignore
        return outputs.emg * known

    return emg
