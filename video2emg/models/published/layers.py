"""Layers of several published systems: 3-D convolution and pooling, frozen batch norm."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from video2emg.models.blocks import Dtype

Triple = tuple[int, int, int]

# How a 3-D convolution is computed. On CPUs, XLA's 3-D convolution is several times slower than
# PyTorch's in the forward pass and up to a hundred times in the backward pass; its 2-D convolution
# is not (benchmarks/published.py).
#   direct   one call of XLA's 3-D convolution
#   taps     a 2-D convolution per time step of the kernel, summed
#   stack    the time steps of the kernel stacked as channels, then one 2-D convolution
#   auto     stack on CPUs, direct elsewhere
FORMULATIONS = ("auto", "direct", "taps", "stack")


def conv3d(
    x: Float[Array, "B T H W C"],
    kernel: Float[Array, "t h w C D"],
    strides: Triple = (1, 1, 1),
    formulation: str = "auto",
) -> Float[Array, "B T2 H2 W2 D"]:
    """Convolution with TensorFlow's `SAME` padding: sizes are divided by the stride, rounded up.

    Args:
      x: videos.
      kernel: weights.
      strides: in time, height and width.
      formulation: one of `FORMULATIONS`; all give the same result up to rounding.

    Raises:
      ValueError: an unknown formulation.
    """
    if formulation not in FORMULATIONS:
        raise ValueError(f"formulation {formulation!r} is not one of {FORMULATIONS}")
    if formulation == "auto":
        formulation = "stack" if jax.default_backend() == "cpu" else "direct"
    window = kernel.shape[:3]
    if window == (1, 1, 1) and strides == (1, 1, 1):
        return x @ kernel[0, 0, 0]
    pads = jax.lax.padtype_to_pads(x.shape[1:4], window, strides, "SAME")
    if formulation == "direct":
        layout = ("NDHWC", "DHWIO", "NDHWC")
        return jax.lax.conv_general_dilated(x, kernel, strides, pads, dimension_numbers=layout)

    x = jnp.pad(x, ((0, 0), pads[0], (0, 0), (0, 0), (0, 0)))
    last = x.shape[1] - window[0]
    steps = [x[:, i : i + last + 1 : strides[0]] for i in range(window[0])]
    b, t = steps[0].shape[:2]

    def conv2d(images: jax.Array, weights: jax.Array) -> jax.Array:
        return jax.lax.conv_general_dilated(
            images.reshape(b * t, *images.shape[2:]),
            weights,
            strides[1:],
            pads[1:],
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )

    if formulation == "taps":
        out = conv2d(steps[0], kernel[0])
        for step, weights in zip(steps[1:], kernel[1:], strict=True):
            out = out + conv2d(step, weights)
    else:
        weights = kernel.transpose(1, 2, 0, 3, 4)
        weights = weights.reshape(*weights.shape[:2], -1, weights.shape[-1])
        out = conv2d(jnp.concatenate(steps, axis=-1), weights)
    return out.reshape(b, t, *out.shape[1:])


class Conv3D(nn.Module):
    """3-D convolution without bias, `SAME` padding; `[B, T, H, W, C] -> [B, T2, H2, W2, D]`.

    Attributes:
      features: D.
      window, strides: in time, height and width.
      formulation: one of `FORMULATIONS`.
    """

    features: int
    window: Triple
    strides: Triple = (1, 1, 1)
    formulation: str = "auto"
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "B T H W C"]) -> Float[Array, "B T2 H2 W2 D"]:
        """Convolves."""
        shape = (*self.window, x.shape[-1], self.features)
        kernel = self.param("kernel", nn.initializers.he_normal(), shape)
        kernel = kernel.astype(self.dtype)
        return conv3d(x.astype(self.dtype), kernel, self.strides, self.formulation)


def max_pool3d(
    x: Float[Array, "B T H W C"], window: Triple, strides: Triple
) -> Float[Array, "B T2 H2 W2 C"]:
    """Maximum over windows, with `SAME` padding."""
    return nn.max_pool(x, window, strides, padding="SAME")


class FrozenBatchNorm(nn.Module):
    """Batch norm with the fixed mean and variance of pretraining; `[..., C]`.

    CoRe and FLEX use their pretrained encoders so, because they train with batches of one. Without
    imported weights it is a learned scale and shift.

    Attributes:
      epsilon: added to the variance.
    """

    epsilon: float = 1e-5
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "*B C"]) -> Float[Array, "*B C"]:
        """Normalises by the stored statistics."""
        shape = (x.shape[-1],)
        scale = self.param("scale", nn.initializers.ones, shape)
        bias = self.param("bias", nn.initializers.zeros, shape)
        mean = jax.lax.stop_gradient(self.param("mean", nn.initializers.zeros, shape))
        var = jax.lax.stop_gradient(self.param("var", nn.initializers.ones, shape))
        factor = scale * jax.lax.rsqrt(var + self.epsilon)
        return x * factor.astype(self.dtype) + (bias - mean * factor).astype(self.dtype)
