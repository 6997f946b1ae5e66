"""Time-depth separable networks for pose → EMG, as in PianoKPM: emg2pose in reverse.

The blocks are those of Hannun et al. 2019; the order of layers and the direction of time are those
of emg2pose (Salter et al. 2024): every filter ends at the present sample, and a residual connection
adds the present sample. emg2pose drops the first outputs, for which it lacks the past; here the
past of a window is zero in each layer, so that every instant has an output.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from video2emg.models.blocks import Dtype


class TimeBlock(nn.Module):
    """Convolution over the past that mixes `channels` channels, the same for the other rows."""

    channels: int
    window: int
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "B T C"]) -> Float[Array, "B T C"]:
        """Applies convolution, residual connection and norm."""
        b, t, c = x.shape
        rows = x.reshape(b, t, self.channels, -1).transpose(0, 3, 1, 2)
        past = ((0, 0), (self.window - 1, 0))
        y = nn.Conv(self.channels, (1, self.window), 1, past, dtype=self.dtype, name="time")(rows)
        y = nn.relu(y).transpose(0, 2, 3, 1).reshape(b, t, c)
        return nn.LayerNorm(1e-5, dtype=self.dtype, name="norm")(x + y)


class DenseBlock(nn.Module):
    """Two dense layers, applied to each time step."""

    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "B T C"]) -> Float[Array, "B T C"]:
        """Applies the layers, residual connection and norm."""
        c = x.shape[-1]
        y = nn.relu(nn.Dense(c, dtype=self.dtype, name="hidden")(x))
        y = nn.Dense(c, dtype=self.dtype, name="mlp_out")(y)
        return nn.LayerNorm(1e-5, dtype=self.dtype, name="norm")(x + y)


class Stage(nn.Module):
    """A convolution that sets width and rate, then pairs of blocks; `[B, T, C] -> [B, T2, D]`.

    Attributes:
      channels, width: D is their product.
      blocks: number of pairs of a time and a dense block.
      window: kernel size of the time blocks, frames.
      embed, stride: kernel size and stride of the first convolution, frames. Its last output ends
        at the last frame.
      outputs: width of a last dense layer, 0 for none.
    """

    channels: int
    width: int
    blocks: int
    window: int
    embed: int = 5
    stride: int = 1
    outputs: int = 0
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "B T C"]) -> Float[Array, "B T2 D"]:
        """Applies the stage."""
        t = x.shape[1]
        past = (-(-t // self.stride) - 1) * self.stride + self.embed - t
        x = nn.Conv(
            self.channels * self.width,
            (self.embed,),
            (self.stride,),
            padding=((past, 0),),
            dtype=self.dtype,
            name="embed",
        )(x)
        x = nn.LayerNorm(1e-5, dtype=self.dtype, name="embed_norm")(nn.relu(x))
        for i in range(self.blocks):
            x = TimeBlock(self.channels, self.window, self.dtype, name=f"block_{2 * i}")(x)
            x = DenseBlock(self.dtype, name=f"block_{2 * i + 1}")(x)
        return nn.Dense(self.outputs, name="out")(x) if self.outputs else x


class TDS(nn.Module):
    """Stages, resampling to the EMG's rate, then an MLP; `[B, T, C] -> [B, N, outputs]`.

    The originals multiply the output by a fixed 0.01, which decides the result (arXiv 2603.08212);
    here the scale is learned. PianoKPM also feeds the previous output back into the MLP; here all
    time steps are computed at once.

    Attributes:
      outputs: EMG channels.
      samples: N / T.
      stages: settings of each `Stage`.
      decoder: widths of the MLP's hidden layers.
      output_scale: initial scale of the output.
    """

    outputs: int
    samples: int
    stages: Sequence[Mapping[str, Any]]
    decoder: Sequence[int] = (128,)
    output_scale: float = 0.3

    @nn.compact
    def __call__(self, x: Float[Array, "B T C"], *, train: bool = False) -> Float[Array, "B N M"]:
        """Applies the network."""
        t, stride = x.shape[1], 1
        for i, settings in enumerate(self.stages):
            stage = Stage(**settings, name=f"stage_{i}")
            x, stride = stage(x), stride * stage.stride
        x = resample(x, t, stride, t * self.samples)
        for i, width in enumerate(self.decoder):
            x = nn.leaky_relu(nn.Dense(width, name=f"decoder_{2 * i}")(x))
        x = nn.Dense(self.outputs, name=f"decoder_{2 * len(self.decoder)}")(x)
        scale = self.param("output_scale", nn.initializers.constant(self.output_scale), ())
        return scale * x


def resample(
    x: Float[Array, "B T C"], frames: int, stride: int, length: int
) -> Float[Array, "B N C"]:
    """Linear interpolation over time.

    Args:
      x: a value every `stride` frames, the last at the last frame.
      frames: length of the recording.
      stride: frames.
      length: N; the first sample is at the first frame, the last one at the last.
    """
    t = x.shape[1]
    position = jnp.clip(t - 1 - (frames - 1 - jnp.linspace(0, frames - 1, length)) / stride, 0)
    left = jnp.clip(jnp.floor(position).astype(int), 0, max(t - 2, 0))
    weight = (position - left)[:, None]
    return x[:, left] * (1 - weight) + x[:, jnp.minimum(left + 1, t - 1)] * weight


class TemporalCNN(nn.Module):
    """Convolutions over time with ReLU in between; `[B, T, C] -> [B, T, outputs]`.

    Attributes:
      outputs: output channels.
      widths: of the hidden layers; the default is that of the baseline of MIA's authors.
      window: kernel size, frames.
    """

    outputs: int
    widths: Sequence[int] = (128, 64, 128, 64)
    window: int = 9
    dropout: float = 0.1
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "B T C"], *, train: bool = False) -> jax.Array:
        """Applies the layers."""
        for i, width in enumerate(self.widths):
            x = nn.relu(nn.Conv(width, (self.window,), dtype=self.dtype, name=f"time_{i}")(x))
            x = nn.Dropout(self.dropout, deterministic=not train)(x)
        return nn.Conv(self.outputs, (self.window,), name="out")(x.astype(jnp.float32))
