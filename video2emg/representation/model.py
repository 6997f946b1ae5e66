"""The parts that pre-training adds to a Video→EMG model.

An encoder of EMG, projections of video and EMG into a shared embedding space, and a model that
reconstructs masked EMG and pose. B examples, K tokens, N samples, M channels, T instants of tokens,
F video frames.
"""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from video2emg.aqa.head import mean_where
from video2emg.core import vocabulary
from video2emg.models.blocks import Block, Dtype, time_embedding
from video2emg.models.outputs import Outputs

_LARGEST_SCALE = 100.0  # of CLIP; beyond it training is known to become unstable


@flax.struct.dataclass
class RepresentationOutputs:
    """Outputs for one batch of windows, for the losses of `representation.losses`.

    Attributes:
      main: of the Video→EMG model.
      video, emg: [B, E] embeddings, unit vectors, or None without a contrastive objective.
      scale: [B] 1 / temperature, the same for all examples, or None.
      masked: [B, T] which instants were masked, or None without masked modelling.
      reconstructed_emg: [B, N, M] envelopes, or None.
      reconstructed_pose: [B, F, J, 3] m, joints in F frames, or None.
    """

    main: Outputs
    video: jax.Array | None = None
    emg: jax.Array | None = None
    scale: jax.Array | None = None
    masked: jax.Array | None = None
    reconstructed_emg: jax.Array | None = None
    reconstructed_pose: jax.Array | None = None


def span_mask(key: jax.Array, shape: tuple[int, int], length: int, share: float) -> Array:
    """Masks random spans of instants.

    Every instant begins a span with the same probability. Spans may overlap (wav2vec 2.0, Baevski
    et al. 2020) and continue at the beginning of the window, so that each instant is masked with
    probability `share`.

    Args:
      key: of the draw.
      shape: [B, T].
      length: of a span, instants.
      share: in [0, 1).

    Returns:
      [B, T] bool.
    """
    begins = jax.random.bernoulli(key, 1 - (1 - share) ** (1 / length), shape)
    return jnp.stack([jnp.roll(begins, n, axis=1) for n in range(length)]).any(0)


class EMGEncoder(nn.Module):
    """Envelopes of any set of electrodes → tokens, one per channel and instant.

    A token carries embeddings of its muscle and side, like the decoder's queries, so that datasets
    with different electrodes share one encoder.

    Attributes:
      dim, layers, heads: of the transformer.
      samples: EMG samples per token.
      token_s: how long a token lasts, s.
    """

    dim: int
    layers: int
    heads: int
    samples: int
    token_s: float
    dropout: float = 0.0
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(
        self,
        emg: Float[Array, "B N M"],
        mask: Bool[Array, "B N M"],
        muscle: Int[Array, "B M"],
        side: Int[Array, "B M"],
        masked: Bool[Array, "B T"] | None = None,
        *,
        train: bool,
    ) -> tuple[Float[Array, "B K D"], Bool[Array, "B K"]]:
        """Encodes envelopes where they were measured (`mask`) and are not `masked`.

        Returns:
          Tokens, K = M · T, channel by channel, and which of them have a measured sample. Masked
          tokens carry their channel and time only.
        """
        b, n, m = emg.shape
        t = n // self.samples

        def patches(x: jax.Array) -> jax.Array:
            return x.reshape(b, t, self.samples, m).transpose(0, 3, 1, 2)

        known = patches(mask)
        values = jnp.where(known, patches(emg), 0.0)
        x = jnp.concatenate([values, known.astype(values.dtype)], axis=-1).astype(self.dtype)
        x = nn.Dense(self.dim, dtype=self.dtype, name="samples")(x)
        mask_token = self.param("mask_token", nn.initializers.normal(0.02), (self.dim,))
        if masked is not None:
            x = jnp.where(masked[:, None, :, None], mask_token.astype(self.dtype), x)
        channel = nn.Embed(vocabulary.ROOM_MUSCLES, self.dim, name="muscle")(muscle)
        channel = channel + nn.Embed(len(vocabulary.SIDES), self.dim, name="side")(side)
        time = time_embedding(jnp.arange(t) * self.token_s, self.dim)
        x = x + channel[:, :, None] + nn.Dense(self.dim, name="time")(time)
        x = x.astype(self.dtype).reshape(b, m * t, self.dim)
        token_mask = known.any(-1).reshape(b, m * t)
        for i in range(self.layers):
            block = Block(self.heads, dropout=self.dropout, dtype=self.dtype, name=f"layer_{i}")
            x = block(x, mask=token_mask, train=train)
        return x, token_mask


class Projection(nn.Module):
    """Mean token → embedding, a unit vector."""

    dim: int

    @nn.compact
    def __call__(
        self, tokens: Float[Array, "B K D"], mask: Bool[Array, "B K"]
    ) -> Float[Array, "B E"]:
        """Embeds the tokens where `mask`."""
        x = nn.LayerNorm()(mean_where(tokens, mask))
        x = nn.Dense(self.dim, use_bias=False)(x)
        return x / jnp.maximum(jnp.linalg.norm(x, axis=-1, keepdims=True), 1e-6)


class MaskedReconstruction(nn.Module):
    """Reconstructs masked EMG and pose from their unmasked part and the video.

    All are tokens of one transformer (MultiMAE, Bachmann et al. 2022); the video is not masked.

    Attributes:
      dim, layers, heads: of the transformer.
      samples, frames: EMG samples and video frames per token.
      joints: J; 0 if the data has no pose.
      token_s: how long a token lasts, s.
    """

    dim: int
    layers: int
    heads: int
    samples: int
    frames: int
    joints: int
    token_s: float
    dropout: float = 0.0
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(
        self,
        video: tuple[Float[Array, "B K D"], Bool[Array, "B K"]],
        emg: tuple[Float[Array, "B L D"], Bool[Array, "B L"]],
        pose: tuple[Float[Array, "B F J 3"], Bool[Array, "B F J"]],
        masked: Bool[Array, "B T"],
        *,
        train: bool,
    ) -> tuple[Float[Array, "B N M"], Float[Array, "B F J 3"] | None]:
        """EMG and pose of all instants; it is a reconstruction only where they were `masked`.

        Args:
          video: tokens and which of them are valid.
          emg: tokens of `EMGEncoder` for these masked instants, and which are valid.
          pose: joints, m, and which are known.
          masked: instants.
          train: whether to drop out.
        """
        b, t = masked.shape
        kinds = nn.Embed(3, self.dim, name="kind")(jnp.arange(3))
        parts = [video[0] + kinds[0], emg[0] + kinds[1]]
        masks = [video[1], emg[1]]
        if self.joints:
            known = pose[1].reshape(b, t, self.frames, self.joints, 1)
            values = jnp.where(known, pose[0].reshape(b, t, self.frames, self.joints, 3), 0.0)
            x = jnp.concatenate([values, known.astype(values.dtype)], axis=-1).reshape(b, t, -1)
            x = nn.Dense(self.dim, dtype=self.dtype, name="joints")(x.astype(self.dtype))
            mask_token = self.param("mask_token", nn.initializers.normal(0.02), (self.dim,))
            x = jnp.where(masked[..., None], mask_token.astype(self.dtype), x)
            time = time_embedding(jnp.arange(t) * self.token_s, self.dim)
            parts.append(x + nn.Dense(self.dim, name="time")(time) + kinds[2])
            masks.append(known.any((2, 3, 4)))
        x, mask = jnp.concatenate(parts, axis=1).astype(self.dtype), jnp.concatenate(masks, axis=1)
        for i in range(self.layers):
            block = Block(self.heads, dropout=self.dropout, dtype=self.dtype, name=f"layer_{i}")
            x = block(x, mask=mask, train=train)
        x = nn.LayerNorm(name="norm")(x.astype(jnp.float32))
        first, last = video[0].shape[1], video[0].shape[1] + emg[0].shape[1]
        envelopes = nn.Dense(self.samples, name="emg")(x[:, first:last])
        # Channel by channel → samples by channels.
        envelopes = envelopes.reshape(b, -1, t * self.samples).transpose(0, 2, 1)
        if not self.joints:
            return envelopes, None
        joints = nn.Dense(self.frames * self.joints * 3, name="pose")(x[:, last:])
        return envelopes, joints.reshape(b, t * self.frames, self.joints, 3)


class RepresentationModel(nn.Module):
    """A Video→EMG model with the parts that its objectives need.

    The model's parameters keep their paths, so that rules about paths (fine-tuning, sharding) apply
    to both.

    Attributes:
      model: gives `tokens` [B, K, D] and `token_mask` [B, K] among its intermediates.
      dim, heads, layers: of the EMG encoder and of the masked reconstruction.
      samples, frames: EMG samples and video frames per instant of the tokens.
      token_s: how long an instant lasts, s.
      joints: J of the poses that are reconstructed, 0 for none (the pose may be the model's input).
      embedding_dim: E of the shared embedding space; 0: no contrastive objective.
      mask_span_s: length of a masked span, s; 0: no masked modelling.
      mask_share: share of the instants that are masked, in EMG, pose and all channels at once, so
        that no neighbouring channel reveals them (VideoMAE's tubes, Tong et al. 2022).
    """

    model: nn.Module
    dim: int
    heads: int
    layers: int
    samples: int
    frames: int
    token_s: float
    joints: int
    embedding_dim: int = 0
    mask_span_s: float = 0.0
    mask_share: float = 0.6
    dropout: float = 0.0
    dtype: Dtype = jnp.float32

    def setup(self) -> None:
        """Makes the parts that an objective needs."""
        nn.share_scope(self, self.model)
        sizes: dict[str, Any] = dict(
            dim=self.dim, heads=self.heads, layers=self.layers, dropout=self.dropout
        )
        sizes |= dict(samples=self.samples, token_s=self.token_s, dtype=self.dtype)
        if self.embedding_dim or self.mask_span_s:
            self.emg_encoder = EMGEncoder(**sizes)
        if self.embedding_dim:
            self.video_projection = Projection(self.embedding_dim)
            self.emg_projection = Projection(self.embedding_dim)
            # 1 / 0.07, where CLIP starts (Radford et al. 2021).
            self.log_scale = self.param("log_scale", nn.initializers.constant(2.659), ())
        if self.mask_span_s:
            self.masked_reconstruction = MaskedReconstruction(
                frames=self.frames, joints=self.joints, **sizes
            )

    def __call__(
        self, batch: Mapping[str, Any], *, train: bool
    ) -> tuple[RepresentationOutputs, dict[str, Any]]:
        """The model's outputs, and those that the objectives compare.

        Args:
          batch: inputs of the model; emg [B, N, M] and emg_mask; for masked modelling pose and
            pose_mask. See `core.batch.FIELDS`.
          train: whether to drop out, and to draw the mask; otherwise the mask is always the same.

        Returns:
          The outputs and the model's intermediate tensors.
        """
        batch = {name: jnp.asarray(value) for name, value in batch.items()}
        main, intermediates = self.model(batch, train=train)
        tokens, mask = intermediates["tokens"], intermediates["token_mask"]
        outputs = RepresentationOutputs(main=main)
        channels = (batch["muscle"], batch["side"])
        if self.embedding_dim:
            emg = self.emg_encoder(batch["emg"], batch["emg_mask"], *channels, train=train)
            scale = jnp.minimum(jnp.exp(self.log_scale), _LARGEST_SCALE)
            outputs = outputs.replace(
                video=self.video_projection(tokens, mask),
                emg=self.emg_projection(*emg),
                scale=jnp.broadcast_to(scale, (len(tokens),)),
            )
        if self.mask_span_s:
            key = self.make_rng("dropout") if train else jax.random.key(0)
            shape = (len(tokens), batch["emg"].shape[1] // self.samples)
            length = max(round(self.mask_span_s / self.token_s), 1)
            masked = span_mask(key, shape, length, self.mask_share)
            emg = self.emg_encoder(batch["emg"], batch["emg_mask"], *channels, masked, train=train)
            pose = (batch["pose"], batch["pose_mask"])
            envelopes, joints = self.masked_reconstruction(
                (tokens, mask), emg, pose, masked, train=train
            )
            outputs = outputs.replace(
                masked=masked, reconstructed_emg=envelopes, reconstructed_pose=joints
            )
        return outputs, intermediates
