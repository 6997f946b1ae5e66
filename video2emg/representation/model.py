"""What pre-training puts beside a Video→EMG model.

An encoder of EMG, a space that video and EMG share, and a model of what was hidden. B examples, K
tokens, N samples, M channels, T instants of tokens, F video frames.
"""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from video2emg.core import vocabulary
from video2emg.models.blocks import Block, Dtype, time_embedding
from video2emg.models.outputs import Outputs

_LARGEST_SCALE = 100.0  # of CLIP; beyond it training is known to become unstable


@flax.struct.dataclass
class RepresentationOutputs:
    """What is said of one batch of windows, for the losses of `representation.losses`.

    Attributes:
      main: of the Video→EMG model.
      video, emg: [B, E] unit vectors, or None without alignment.
      scale: [B] 1 / temperature, the same for all examples, or None.
      hidden: [B, T] which instants were hidden, or None without masked modelling.
      hidden_emg: [B, N, M] envelopes guessed, or None.
      hidden_pose: [B, F, J, 3] m, joints guessed in F frames, or None.
    """

    main: Outputs
    video: jax.Array | None = None
    emg: jax.Array | None = None
    scale: jax.Array | None = None
    hidden: jax.Array | None = None
    hidden_emg: jax.Array | None = None
    hidden_pose: jax.Array | None = None


def spans(key: jax.Array, shape: tuple[int, int], length: int, share: float) -> Array:
    """Hides spans of instants at random.

    Every instant begins a span with the same probability, spans may overlap (wav2vec 2.0, Baevski
    et al. 2020) and go round the end, so that each instant is hidden with probability `share`.

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

    Which muscle a token is of is told by embeddings of muscle and side, as in the decoder's
    queries, so that datasets with different electrodes share one encoder.

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
        hidden: Bool[Array, "B T"] | None = None,
        *,
        train: bool,
    ) -> tuple[Float[Array, "B K D"], Bool[Array, "B K"]]:
        """Encodes envelopes where they were measured (`mask`) and are not `hidden`.

        Returns:
          Tokens, K = M · T, channel by channel, and which of them hold a measured sample; hidden
          ones do, but say only where they are.
        """
        b, n, m = emg.shape
        t = n // self.samples

        def patches(x: jax.Array) -> jax.Array:
            return x.reshape(b, t, self.samples, m).transpose(0, 3, 1, 2)

        known = patches(mask)
        values = jnp.where(known, patches(emg), 0.0)
        x = jnp.concatenate([values, known.astype(values.dtype)], axis=-1).astype(self.dtype)
        x = nn.Dense(self.dim, dtype=self.dtype, name="samples")(x)
        blank = self.param("hidden", nn.initializers.normal(0.02), (self.dim,))
        if hidden is not None:
            x = jnp.where(hidden[:, None, :, None], blank.astype(self.dtype), x)
        who = nn.Embed(vocabulary.ROOM_MUSCLES, self.dim, name="muscle")(muscle)
        who = who + nn.Embed(len(vocabulary.SIDES), self.dim, name="side")(side)
        when = time_embedding(jnp.arange(t) * self.token_s, self.dim)
        x = x + who[:, :, None] + nn.Dense(self.dim, name="when")(when)
        x = x.astype(self.dtype).reshape(b, m * t, self.dim)
        there = known.any(-1).reshape(b, m * t)
        for i in range(self.layers):
            block = Block(self.heads, dropout=self.dropout, dtype=self.dtype, name=f"layer_{i}")
            x = block(x, mask=there, train=train)
        return x, there


class Projection(nn.Module):
    """Mean token → unit vector in the shared space."""

    dim: int

    @nn.compact
    def __call__(
        self, tokens: Float[Array, "B K D"], mask: Bool[Array, "B K"]
    ) -> Float[Array, "B E"]:
        """Projects; what is masked has no part in it."""
        x = nn.LayerNorm()(pool(tokens, mask))
        x = nn.Dense(self.dim, use_bias=False)(x)
        return x / jnp.maximum(jnp.linalg.norm(x, axis=-1, keepdims=True), 1e-6)


def pool(tokens: Float[Array, "B K D"], mask: Bool[Array, "B K"]) -> Float[Array, "B D"]:
    """The mean token where `mask`; zero if it is false everywhere."""
    weight = mask[..., None].astype(jnp.float32)
    return (tokens * weight).sum(1) / jnp.maximum(weight.sum(1), 1.0)


class Filling(nn.Module):
    """Guesses hidden EMG and pose from what is left of them and from the video.

    All are tokens of one transformer (MultiMAE, Bachmann et al. 2022), here with the video whole.

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
        hidden: Bool[Array, "B T"],
        *,
        train: bool,
    ) -> tuple[Float[Array, "B N M"], Float[Array, "B F J 3"] | None]:
        """EMG and pose everywhere; only where they were `hidden` that is a guess.

        Args:
          video: tokens and which of them are there.
          emg: tokens of `EMGEncoder` with the hidden ones hidden, and which are there.
          pose: joints, m, and which are known.
          hidden: instants.
          train: whether to drop out.
        """
        b, t = hidden.shape
        kinds = nn.Embed(3, self.dim, name="kind")(jnp.arange(3))
        parts = [video[0] + kinds[0], emg[0] + kinds[1]]
        masks = [video[1], emg[1]]
        if self.joints:
            known = pose[1].reshape(b, t, self.frames, self.joints, 1)
            values = jnp.where(known, pose[0].reshape(b, t, self.frames, self.joints, 3), 0.0)
            x = jnp.concatenate([values, known.astype(values.dtype)], axis=-1).reshape(b, t, -1)
            x = nn.Dense(self.dim, dtype=self.dtype, name="joints")(x.astype(self.dtype))
            blank = self.param("hidden", nn.initializers.normal(0.02), (self.dim,))
            x = jnp.where(hidden[..., None], blank.astype(self.dtype), x)
            when = time_embedding(jnp.arange(t) * self.token_s, self.dim)
            parts.append(x + nn.Dense(self.dim, name="when")(when) + kinds[2])
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
    """A Video→EMG model with what its objectives need beside it.

    Parameters of the model keep their paths, so that what is said by path (fine-tuning, sharding)
    holds for both.

    Attributes:
      model: gives `tokens` [B, K, D] and `token_mask` [B, K] among its intermediates.
      dim, heads, layers: of the EMG encoder and of `Filling`.
      samples, frames: EMG samples and video frames per instant of the tokens.
      token_s: how long an instant lasts, s.
      joints: J of the poses, 0 for none; a model that is shown the pose has none to guess.
      space: E of the shared space; 0: no alignment.
      span_s: length of what is hidden at a time, s; 0: no masked modelling.
      hidden: share of the instants that are hidden, of EMG and pose alike and in all channels, so
        that no neighbour gives it away (VideoMAE's tubes, Tong et al. 2022).
    """

    model: nn.Module
    dim: int
    heads: int
    layers: int
    samples: int
    frames: int
    token_s: float
    joints: int
    space: int = 0
    span_s: float = 0.0
    hidden: float = 0.6
    dropout: float = 0.0
    dtype: Dtype = jnp.float32

    def setup(self) -> None:
        """Makes the parts that an objective asks for."""
        nn.share_scope(self, self.model)
        sizes: dict[str, Any] = dict(
            dim=self.dim, heads=self.heads, layers=self.layers, dropout=self.dropout
        )
        sizes |= dict(samples=self.samples, token_s=self.token_s, dtype=self.dtype)
        if self.space or self.span_s:
            self.emg_encoder = EMGEncoder(**sizes)
        if self.space:
            self.video_projection = Projection(self.space)
            self.emg_projection = Projection(self.space)
            # 1 / 0.07, where CLIP starts (Radford et al. 2021).
            self.log_scale = self.param("log_scale", nn.initializers.constant(2.659), ())
        if self.span_s:
            self.filling = Filling(frames=self.frames, joints=self.joints, **sizes)

    def __call__(
        self, batch: Mapping[str, Any], *, train: bool
    ) -> tuple[RepresentationOutputs, dict[str, Any]]:
        """The model's outputs, and what the objectives compare.

        Args:
          batch: what the model is given; emg [B, N, M] and emg_mask; for masked modelling pose and
            pose_mask. See `core.batch.FIELDS`.
          train: whether to drop out; what is hidden is otherwise the same every time.

        Returns:
          The outputs and the model's intermediate tensors.
        """
        batch = {name: jnp.asarray(value) for name, value in batch.items()}
        main, intermediates = self.model(batch, train=train)
        tokens, mask = intermediates["tokens"], intermediates["token_mask"]
        found = RepresentationOutputs(main=main)
        channels = (batch["muscle"], batch["side"])
        if self.space:
            emg = self.emg_encoder(batch["emg"], batch["emg_mask"], *channels, train=train)
            scale = jnp.minimum(jnp.exp(self.log_scale), _LARGEST_SCALE)
            found = found.replace(
                video=self.video_projection(tokens, mask),
                emg=self.emg_projection(*emg),
                scale=jnp.broadcast_to(scale, (len(tokens),)),
            )
        if self.span_s:
            key = self.make_rng("dropout") if train else jax.random.key(0)
            shape = (len(tokens), batch["emg"].shape[1] // self.samples)
            hidden = spans(key, shape, max(round(self.span_s / self.token_s), 1), self.hidden)
            emg = self.emg_encoder(batch["emg"], batch["emg_mask"], *channels, hidden, train=train)
            pose = (batch["pose"], batch["pose_mask"])
            envelopes, joints = self.filling((tokens, mask), emg, pose, hidden, train=train)
            found = found.replace(hidden=hidden, hidden_emg=envelopes, hidden_pose=joints)
        return found, intermediates
