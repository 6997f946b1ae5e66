"""I3D: Inception-v1 inflated to video (Carreira & Zisserman 2017), the usual encoder in AQA."""

from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from video2emg.models.blocks import Dtype, with_remat
from video2emg.models.published.layers import Conv3D, FrozenBatchNorm, Triple, max_pool3d
from video2emg.models.published.pixels import normalise

# Channels of each Inception block: 1 × 1; 1 × 1 then 3 × 3; 1 × 1 then 3 × 3; pool then 1 × 1.
_MIXED = {
    "mixed_3b": (64, 96, 128, 16, 32, 32),
    "mixed_3c": (128, 128, 192, 32, 96, 64),
    "mixed_4b": (192, 96, 208, 16, 48, 64),
    "mixed_4c": (160, 112, 224, 24, 64, 64),
    "mixed_4d": (128, 128, 256, 24, 64, 64),
    "mixed_4e": (112, 144, 288, 32, 64, 64),
    "mixed_4f": (256, 160, 320, 32, 128, 128),
    "mixed_5b": (256, 160, 320, 32, 128, 128),
    "mixed_5c": (384, 192, 384, 48, 128, 128),
}
_POOL_BEFORE: dict[str, tuple[Triple, Triple]] = {
    "mixed_3b": ((1, 3, 3), (1, 2, 2)),
    "mixed_4b": ((3, 3, 3), (2, 2, 2)),
    "mixed_5b": ((2, 2, 2), (2, 2, 2)),
}


class Unit(nn.Module):
    """Convolution, batch norm, ReLU; `[B, T, H, W, C] -> [B, T2, H2, W2, D]`."""

    features: int
    window: Triple = (1, 1, 1)
    strides: Triple = (1, 1, 1)
    epsilon: float = 1e-3
    formulation: str = "auto"
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "B T H W C"]) -> Float[Array, "B T2 H2 W2 D"]:
        """Applies the unit."""
        conv = Conv3D(
            self.features, self.window, self.strides, self.formulation, self.dtype, name="conv"
        )
        return nn.relu(FrozenBatchNorm(self.epsilon, self.dtype, name="norm")(conv(x)))


class I3D(nn.Module):
    """The network up to the last Inception block.

    Time is divided by 8, height and width by 32, each rounded up. As a Video→EMG encoder:
    `[B, T, S, S, 3]` in [-1, 1] → `[B, T / 8, 1024]`, averaged over the image.

    Attributes:
      epsilon: of the batch norms. The Kinetics weights were trained with 1e-3; the PyTorch port
        that CoRe and FLEX use has 1e-5.
      narrow: divides the number of channels of every layer, for tests.
      last: the last block.
      pixels: how pixels are normalised, see `pixels.NORMALISATIONS`. Kinetics I3D was trained on
        [-1, 1]; FLEX and CoRe normalise by ImageNet's mean and standard deviation.
      formulation: of the convolutions, see `layers.FORMULATIONS`.
      remat: rematerialisation policy, a key of `blocks.REMAT`.
    """

    epsilon: float = 1e-3
    narrow: int = 1
    last: str = "mixed_5c"
    pixels: str = "symmetric"
    formulation: str = "auto"
    remat: str = "none"
    dtype: Dtype = jnp.float32
    stride: ClassVar[int] = 8
    granularity: ClassVar[int] = 32
    causal: ClassVar[bool] = False

    def __call__(
        self, video: Float[Array, "B T S S 3"], mask: Bool[Array, "B T"], *, train: bool
    ) -> Float[Array, "B T8 D"]:
        """Tokens: the features averaged over the image."""
        return self.features(normalise(video, self.pixels)).mean((2, 3))

    @nn.compact
    def features(self, video: Float[Array, "B T H W 3"]) -> Float[Array, "B T8 H32 W32 D"]:
        """Features of the last block, D = 1024 / `narrow`, from normalised pixels."""
        make = with_remat(Unit, self.remat)

        def unit(
            x: jax.Array, name: str, width: int, window: Triple = (1, 1, 1), stride: int = 1
        ) -> jax.Array:
            return make(
                width // self.narrow,
                window,
                (stride, stride, stride),
                self.epsilon,
                self.formulation,
                self.dtype,
                name=name,
            )(x)

        x = unit(video, "conv_1a", 64, (7, 7, 7), 2)
        x = max_pool3d(x, (1, 3, 3), (1, 2, 2))
        x = unit(unit(x, "conv_2b", 64), "conv_2c", 192, (3, 3, 3))
        for name, (a, b0, b1, c0, c1, d) in _MIXED.items():
            if name in _POOL_BEFORE:
                x = max_pool3d(x, *_POOL_BEFORE[name])
            pooled = max_pool3d(x, (3, 3, 3), (1, 1, 1))
            branches = (
                unit(x, f"{name}_0", a),
                unit(unit(x, f"{name}_1a", b0), f"{name}_1b", b1, (3, 3, 3)),
                unit(unit(x, f"{name}_2a", c0), f"{name}_2b", c1, (3, 3, 3)),
                unit(pooled, f"{name}_3b", d),
            )
            x = jnp.concatenate(branches, axis=-1)
            if name == self.last:
                break
        return x
