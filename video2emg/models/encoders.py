"""Encoders: from the frames of one camera, or from the pose, to one token per time step."""

from collections.abc import Sequence
from typing import Any, ClassVar, Protocol, runtime_checkable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from video2emg.models.blocks import MLP, Dtype, stack


@runtime_checkable
class Encoder(Protocol):
    """What `Video2EMG` needs of its encoder, a Flax module.

    A video encoder gets the frames [B, T, S, S, 3] in [-1, 1] of one camera, and a mask [B, T] that
    is false where a frame is missing. `PoseMLP`, the only encoder of the pose, gets joint positions
    [B, T, J, 3] and a mask [B, T, J].
    """

    @property
    def stride(self) -> int:
        """Frames per token; the number of frames must be a multiple of it."""
        ...

    @property
    def granularity(self) -> int:
        """The frame size must be a multiple of it, px."""
        ...

    @property
    def causal(self) -> bool:
        """Whether no token depends on a later frame, which a causal model needs."""
        ...

    def __call__(self, inputs: Any, mask: Any, /, *, train: bool) -> Float[Array, "B T2 D"]:
        """Tokens, T2 = T / `stride`; `train` says whether dropout is active."""
        ...


class Stem(nn.Module):
    """Maps patches of pixels, and their change over time, to `width` channels.

    With `motion`, the linear map is applied to the patch and to the patch minus its mean over time.
    Because it is linear, the two kernels are added for the patch and the mean is mapped separately,
    which halves the work.

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
        """Applies the map; P = S / patch."""
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


class FrameCNN(nn.Module):
    """A small convolutional network that encodes each frame separately.

    With little data and two CPU cores it is more accurate than attention (docs/choices.md). The
    stem maps `patch × patch` pixels to channels by one matrix product, as in a vision transformer.
    Each further stage halves the resolution by a 2 × 2 convolution with stride 2, which is a matrix
    product too. The norms have no scale and no offset: on CPUs their gradients, sums over all
    positions of few channels, would take longer than the convolutions.

    Attributes:
      widths: channels of the stem and of the stages.
      dim: D.
      patch: px.
      motion: also give the network the difference from the view's mean frame. With a fixed camera,
        this shows what moves.
      causal: take the mean over the current and the earlier frames only.
    """

    widths: Sequence[int]
    dim: int
    patch: int
    motion: bool
    causal: bool
    dtype: Dtype
    stride: ClassVar[int] = 1

    @property
    def granularity(self) -> int:
        """The frame size must be a multiple of this, px."""
        return self.patch * 2 ** (len(self.widths) - 1)

    @nn.compact
    def __call__(
        self, video: Float[Array, "B T S S 3"], mask: Bool[Array, "B T"], *, train: bool
    ) -> Float[Array, "B T {self.dim}"]:
        """Encodes the frames."""
        b, t = mask.shape
        x = Stem(self.widths[0], self.patch, self.motion, self.causal, self.dtype, name="stem")(
            video, mask
        )
        x = x.reshape(b * t, *x.shape[2:])
        x = self._activated(x)
        for i, width in enumerate(self.widths[1:]):
            n, h, w, c = x.shape
            x = x.reshape(n, h // 2, 2, w // 2, 2, c).transpose(0, 1, 3, 2, 4, 5)
            x = x.reshape(n, h // 2, w // 2, 4 * c)
            x = nn.Dense(width, use_bias=False, dtype=self.dtype, name=f"stage_{i}")(x)
            x = self._activated(x)
        # No pooling: positions in the image matter (a bent arm, a deep squat).
        return nn.Dense(self.dim, dtype=self.dtype)(x.reshape(b, t, -1))

    def _activated(self, x: Float[Array, "*N C"]) -> Float[Array, "*N C"]:
        return nn.gelu(nn.LayerNorm(dtype=self.dtype, use_scale=False, use_bias=False)(x))


class TubeletTransformer(nn.Module):
    """Factorised video transformer (ViViT, Arnab et al. 2021, model 2), spatial part.

    Tubelets of `stride × patch × patch` pixels become tokens by a reshape and a matrix product,
    because XLA's 3-D convolution is slow on CPUs. The tokens of each time step attend to each other
    and are averaged.

    Attributes:
      dim, layers, heads: of the transformer; ViT-B has 768, 12 and 12.
      patch: px.
      stride: frames per tubelet.
      remat, scan, dropout: see `blocks.stack`.
    """

    dim: int
    layers: int
    heads: int
    patch: int
    stride: int
    remat: str
    scan: bool
    dtype: Dtype
    dropout: float = 0.0

    @property
    def granularity(self) -> int:
        """The frame size must be a multiple of this, px."""
        return self.patch

    @property
    def causal(self) -> bool:
        """A tubelet of several frames contains frames after its first."""
        return self.stride == 1

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
        position = self.param("place", nn.initializers.normal(0.02), (1, g * g, self.dim))
        x = x + position.astype(self.dtype)
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
    """An MLP on the joint positions and velocities of each time step.

    As with video, the transformer that follows relates the time steps to each other.

    Attributes:
      dim: D.
      frame_rate: Hz; makes velocities m/s at any frame rate.
      depth: number of residual layers.
      motion: whether velocities are used too.
    """

    dim: int
    frame_rate: float
    dtype: Dtype
    depth: int = 2
    motion: bool = True
    stride: ClassVar[int] = 1
    granularity: ClassVar[int] = 1

    @property
    def causal(self) -> bool:
        """Velocities are central differences, which use the next frame."""
        return not self.motion

    @nn.compact
    def __call__(
        self, pose: Float[Array, "B T J 3"], mask: Bool[Array, "B T J"], *, train: bool
    ) -> Float[Array, "B T {self.dim}"]:
        """Encodes joint positions (canonical frame, m) where `mask` is true."""
        known = mask[..., None]
        # Unknown joints are zeroed first, so that they do not enter a velocity either.
        features = [jnp.where(known, pose, 0.0), known]
        if self.motion:
            pads = ((0, 0), (1, 1), (0, 0), (0, 0))
            padded = jnp.pad(features[0], pads, mode="edge")
            padded_known = jnp.pad(known, pads, mode="edge")
            velocity_known = known & padded_known[:, 2:] & padded_known[:, :-2]
            velocity = 0.5 * self.frame_rate * (padded[:, 2:] - padded[:, :-2])
            features += [jnp.where(velocity_known, velocity, 0.0), velocity_known]
        b, t = pose.shape[:2]
        x = jnp.concatenate([part.reshape(b, t, -1).astype(self.dtype) for part in features], -1)
        x = nn.Dense(self.dim, dtype=self.dtype, name="joints")(x)
        for i in range(self.depth):
            normed = nn.LayerNorm(dtype=self.dtype, name=f"norm_{i}")(x)
            x = x + MLP(dtype=self.dtype, name=f"layer_{i}")(normed, train=train)
        return nn.LayerNorm(dtype=self.dtype, name="norm")(x)
