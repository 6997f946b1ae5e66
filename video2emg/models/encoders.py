"""Encoders: frames of one camera, or the pose, in; one token per instant out.

Those of video map `video [B, T, S, S, 3]` in [-1, 1], true where `mask [B, T]` is, to `[B, T', D]`,
T' = T / `stride`; `PoseMLP` takes joints instead.
"""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from video2emg.models.blocks import MLP, Dtype, stack


class Stem(nn.Module):
    """Patches of pixels, and what moves in them, into `width` channels by a matrix product.

    With `motion` the product is of a patch and of the patch minus its mean over time. Both are
    linear, so the two kernels are added for the patch and the mean is multiplied by itself: half
    the work.

    Attributes:
      width: W.
      patch: px.
      motion, causal: see `FrameCNN`.
    """

    width: int
    patch: int
    motion: bool
    causal: bool
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(
        self, video: Float[Array, "B T S S 3"], mask: Bool[Array, "B T"]
    ) -> Float[Array, "B T P P W"]:
        """Multiplies; P = S / patch."""
        b, t, s, _, c = video.shape
        p, parts = self.patch, 2 if self.motion else 1
        shape = (p * p * c * parts, self.width)
        kernel = self.param("kernel", nn.initializers.lecun_normal(), shape).astype(self.dtype)
        bias = self.param("bias", nn.initializers.zeros, (self.width,)).astype(self.dtype)
        kernel = kernel.reshape(p * p, parts, c, self.width)

        def patches(video: jax.Array) -> jax.Array:
            t = video.shape[1]
            x = video.astype(self.dtype).reshape(b, t, s // p, p, s // p, p, c)
            return x.transpose(0, 1, 2, 4, 3, 5, 6).reshape(b, t, s // p, s // p, p * p * c)

        y = patches(video) @ kernel.sum(1).reshape(-1, self.width) + bias
        if not self.motion:
            return y
        weight = mask.astype(video.dtype)[:, None]
        if self.causal:
            weight = weight * jnp.tri(t, dtype=video.dtype)
        weight = weight / jnp.maximum(weight.sum(2, keepdims=True), 1.0)
        background = jnp.einsum("but,bthwc->buhwc", weight, video)
        return y - patches(background) @ kernel[:, 1].reshape(-1, self.width)


class HalvingConv(nn.Module):
    """A 3 × 3 convolution with stride 2 and `SAME` padding: `[N, H, W, C] → [N, H/2, W/2, D]`.

    On CPUs it is computed as a product of the nine pixels under the kernel: the gradients of XLA's
    own convolution take twice as long there.

    Attributes:
      features: D.
    """

    features: int
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "N H W C"]) -> Float[Array, "N H2 W2 {self.features}"]:
        """Convolves; H and W are even."""
        shape = (3, 3, x.shape[-1], self.features)
        kernel = self.param("kernel", nn.initializers.lecun_normal(), shape).astype(self.dtype)
        bias = self.param("bias", nn.initializers.zeros, (self.features,)).astype(self.dtype)
        if jax.default_backend() != "cpu":
            layout = ("NHWC", "HWIO", "NHWC")
            return (
                jax.lax.conv_general_dilated(x, kernel, (2, 2), "SAME", dimension_numbers=layout)
                + bias
            )
        h, w = x.shape[1:3]
        x = jnp.pad(x, ((0, 0), (0, 1), (0, 1), (0, 0)))
        under = [x[:, i : i + h : 2, j : j + w : 2] for i in range(3) for j in range(3)]
        return jnp.concatenate(under, -1) @ kernel.reshape(-1, self.features) + bias


class FrameCNN(nn.Module):
    """A small convolutional network on every frame by itself.

    On few data and two cores its locality is worth more than attention (docs/choices.md). The stem
    folds `patch × patch` pixels into channels and mixes them by one matrix product, as a vision
    transformer's does; every further stage is a 3 × 3 convolution that halves the resolution.

    Attributes:
      widths: channels of the stem and the stages.
      dim: D.
      patch: pixels.
      motion: also show the network what is left after subtracting the view's mean frame: with a
        camera at rest, that is who and what moves.
      causal: the mean is then of this frame and those before it.
    """

    widths: Sequence[int]
    dim: int
    patch: int = 4
    motion: bool = True
    causal: bool = False
    dtype: Dtype = jnp.float32
    stride: int = 1

    @property
    def granularity(self) -> int:
        """The frame size must be a multiple of this, px."""
        return self.patch * 2 ** (len(self.widths) - 1)

    @nn.compact
    def __call__(
        self, video: Float[Array, "B T S S 3"], mask: Bool[Array, "B T"], *, train: bool
    ) -> Float[Array, "B T {self.dim}"]:
        """Encodes every frame by itself."""
        b, t = mask.shape
        x = Stem(self.widths[0], self.patch, self.motion, self.causal, self.dtype, name="stem")(
            video, mask
        )
        x = x.reshape(b * t, *x.shape[2:])
        x = nn.gelu(nn.LayerNorm(dtype=self.dtype)(x))
        for i, width in enumerate(self.widths[1:]):
            x = HalvingConv(width, self.dtype, name=f"Conv_{i}")(x)
            x = nn.gelu(nn.LayerNorm(dtype=self.dtype)(x))
        # Where things are matters (a bent arm, a deep squat), so positions are kept, not pooled.
        return nn.Dense(self.dim, dtype=self.dtype)(x.reshape(b, t, -1))


class TubeletTransformer(nn.Module):
    """Factorised video transformer (ViViT, Arnab et al. 2021, model 2), spatial part.

    Tubelets of `frames × patch × patch` pixels become tokens by reshape and matrix product (XLA's
    3-D convolution is slow on CPU); each instant is encoded by spatial attention and pooled.

    Attributes:
      dim, layers, heads: of the transformer; ViT-B is 768, 12, 12.
      patch: pixels.
      stride: frames per tubelet.
      remat, scan: see `blocks.stack`.
    """

    dim: int
    layers: int
    heads: int
    patch: int = 16
    stride: int = 2
    dropout: float = 0.0
    remat: str = "none"
    scan: bool = False
    dtype: Dtype = jnp.float32

    @property
    def granularity(self) -> int:
        """The frame size must be a multiple of this, px."""
        return self.patch

    @nn.compact
    def __call__(
        self, video: Float[Array, "B T S S 3"], mask: Bool[Array, "B T"], *, train: bool
    ) -> Float[Array, "B T2 {self.dim}"]:
        """Encodes tubelets; T2 = T / stride."""
        b, t, s, _, c = video.shape
        f, p = self.stride, self.patch
        g = s // p
        x = video.astype(self.dtype).reshape(b * t // f, f, g, p, g, p, c)
        x = x.transpose(0, 2, 4, 1, 3, 5, 6).reshape(b * t // f, g * g, f * p * p * c)
        x = nn.Dense(self.dim, dtype=self.dtype, name="tubelet")(x)
        place = self.param("place", nn.initializers.normal(0.02), (1, g * g, self.dim))
        x = x + place.astype(self.dtype)
        x = stack(
            x,
            self.layers,
            heads=self.heads,
            dropout=self.dropout,
            dtype=self.dtype,
            remat=self.remat,
            scan=self.scan,
            train=train,
        )
        x = nn.LayerNorm(dtype=self.dtype)(x)
        return x.mean(axis=1).reshape(b, t // f, self.dim)


class PoseMLP(nn.Module):
    """Joints instead of pixels: positions and velocities of every instant by itself.

    What remains to be seen over time is left to the transformer that follows, as with video.

    Attributes:
      dim: D.
      frame_rate: Hz, so that velocities are in m/s whatever it is.
      depth: residual layers.
      motion: whether velocities are given too.
    """

    dim: int
    frame_rate: float
    depth: int = 2
    motion: bool = True
    dtype: Dtype = jnp.float32
    stride: int = 1
    granularity: int = 1

    @nn.compact
    def __call__(
        self, pose: Float[Array, "B T J 3"], mask: Bool[Array, "B T J"], *, train: bool
    ) -> Float[Array, "B T {self.dim}"]:
        """Encodes joints, m relative to the hips; those that `mask` does not mark are not seen."""
        known = mask[..., None]
        # Nothing of what is not there: not even its place in a difference.
        seen = [jnp.where(known, pose, 0.0), known]
        if self.motion:
            ends = ((0, 0), (1, 1), (0, 0), (0, 0))
            near = jnp.pad(seen[0], ends, mode="edge")
            both = jnp.pad(known, ends, mode="edge")
            both = known & both[:, 2:] & both[:, :-2]
            speed = 0.5 * self.frame_rate * (near[:, 2:] - near[:, :-2])
            seen += [jnp.where(both, speed, 0.0), both]
        b, t = pose.shape[:2]
        x = jnp.concatenate([part.reshape(b, t, -1).astype(self.dtype) for part in seen], -1)
        x = nn.Dense(self.dim, dtype=self.dtype, name="joints")(x)
        for i in range(self.depth):
            normed = nn.LayerNorm(dtype=self.dtype, name=f"norm_{i}")(x)
            x = x + MLP(dtype=self.dtype, name=f"layer_{i}")(normed, train=train)
        return nn.LayerNorm(dtype=self.dtype, name="norm")(x)
