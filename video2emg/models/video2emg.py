"""Video (or pose) → EMG: encode each view, let views and instants talk, ask a query per muscle."""

from collections.abc import Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from video2emg.core import vocabulary
from video2emg.models.blocks import Block, Dtype, time_embedding
from video2emg.models.encoders import PoseMLP
from video2emg.models.fusion import Beside, Mixer
from video2emg.models.moment_arms import Levers
from video2emg.models.outputs import Outputs

Batch = Mapping[str, jax.typing.ArrayLike]


class MuscleDecoder(nn.Module):
    """Muscle queries read the EMG of any set of electrodes out of video tokens.

    One learned embedding per muscle of the vocabulary and one per side make the query, so that
    datasets with different electrodes share one decoder.

    Attributes:
      dim, layers, heads: of the cross-attention.
      samples: EMG samples per query instant.
      output_scale: initial scale of the output; learned (a fixed one decides the result).
      predicted_mae: whether it also predicts its own mean absolute error.
      causal, lookahead_s: see `Video2EMG`.
    """

    dim: int
    layers: int
    heads: int
    samples: int
    dropout: float = 0.0
    output_scale: float = 0.3
    predicted_mae: bool = False
    causal: bool = False
    lookahead_s: float = 0.0
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(
        self,
        tokens: Float[Array, "B K D"],
        mask: Bool[Array, "B K"],
        told: Float[Array, " K"],
        instants: Float[Array, " Q"],
        muscle: Int[Array, "B M"],
        side: Int[Array, "B M"],
        *,
        train: bool,
    ) -> tuple[Float[Array, "B N M"], Float[Array, "B N M"] | None]:
        """Answers each (muscle, side) query at `instants` s from tokens of `told` s.

        N = Q · samples. Returns the EMG and, if asked, its expected mean absolute error.
        """
        b, m = muscle.shape
        who = nn.Embed(len(vocabulary.MUSCLES), self.dim, name="muscle")(muscle)
        who = who + nn.Embed(len(vocabulary.SIDES), self.dim, name="side")(side)
        x = jnp.repeat(who[:, :, None], len(instants), axis=2)
        if not self.causal:
            x = x + nn.Dense(self.dim, name="when")(time_embedding(instants, self.dim))
        x = x.reshape(b, -1, self.dim).astype(self.dtype)
        # Not jnp.tile, which the converter to ONNX cannot do for any number of muscles.
        asked = jnp.broadcast_to(instants, (m, len(instants))).reshape(-1) + self.lookahead_s
        when = (asked, told) if self.causal else None
        for i in range(self.layers):
            block = Block(self.heads, dropout=self.dropout, dtype=self.dtype, name=f"layer_{i}")
            x = block(x, tokens, mask, when, train=train)
        x = nn.LayerNorm(dtype=self.dtype)(x)

        def answers(name: str, x: jax.Array) -> jax.Array:
            # Every query answers for its own interval and the next, and neighbours are cross-faded:
            # cut side by side, their answers would meet in steps that no muscle makes.
            y = nn.Dense(2 * self.samples, name=name)(x.astype(jnp.float32))
            own, next_one = jnp.split(y.reshape(b, m, -1, 2 * self.samples), 2, axis=-1)
            rise = (jnp.arange(self.samples) + 0.5) / self.samples
            before = jnp.concatenate([own[:, :, :1], next_one[:, :, :-1]], axis=2)
            y = rise * own + (1 - rise) * before
            return nn.softplus(y).reshape(b, m, -1).transpose(0, 2, 1)

        scale = self.param("output_scale", nn.initializers.constant(self.output_scale), ())
        emg = scale * answers("samples", x)
        if not self.predicted_mae:
            return emg, None
        # Learned beside the EMG, which is the same with and without it.
        return emg, 0.1 * answers("spread", jax.lax.stop_gradient(x)) + 1e-3


class Body(nn.Module):
    """A second look: at the body that was found in the pictures.

    What muscles do is easier to read off joints in metres and their speed than off tokens of
    pictures (docs/choices.md), so tokens of the predicted pose join all others.

    Attributes:
      layers, heads, dropout: of the transformer over all tokens.
      frame_rate: Hz, of the pose.
      teacher_forcing: share of the training examples that are shown the true joints.
    """

    layers: int
    heads: int
    frame_rate: float
    teacher_forcing: float = 0.0
    dropout: float = 0.0
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(
        self,
        tokens: Float[Array, "B K D"],
        known: Bool[Array, "B K"],
        pose: Float[Array, "B T J 3"],
        seen: Bool[Array, "B T"],
        batch: Mapping[str, jax.Array],
        *,
        train: bool,
    ) -> tuple[Float[Array, "B K2 D"], Bool[Array, "B K2"], Float[Array, " T"]]:
        """All tokens after the second look, K2 = K + T, which are known, and when the new ones are.

        Args:
          tokens: of the first look.
          known: which of them are.
          pose: predicted, m relative to the hips.
          seen: at which instants there are pictures.
          batch: pose [B, T, J, 3] m and pose_mask, in training.
          train: whether to drop out, and to show the true pose to some.
        """
        # Where the joints are is for the pose's own loss to say.
        pose = jax.lax.stop_gradient(pose)
        b, t, j, _ = pose.shape
        if train and self.teacher_forcing:
            shown = jax.random.bernoulli(self.make_rng("dropout"), self.teacher_forcing, (b, 1, 1))
            pose = jnp.where((shown & batch["pose_mask"])[..., None], batch["pose"], pose)
        look = PoseMLP(tokens.shape[-1], self.frame_rate, dtype=self.dtype, name="pose")
        x = look(pose, jnp.broadcast_to(seen[..., None], (b, t, j)), train=train)
        when = jnp.arange(t) / self.frame_rate
        x = x + nn.Dense(x.shape[-1], name="when")(time_embedding(when, x.shape[-1]))
        x = jnp.concatenate([tokens, x.astype(self.dtype)], 1)
        known = jnp.concatenate([known, seen], 1)
        for i in range(self.layers):
            block = Block(self.heads, dropout=self.dropout, dtype=self.dtype, name=f"layer_{i}")
            x = block(x, mask=known, train=train)
        return x, known, when


class Video2EMG(nn.Module):
    """The whole model.

    Attributes:
      encoder: a module of `models.encoders`; shared by all views. With a `PoseMLP` the pose is the
        one view, and pictures are not looked at.
      dim, heads, layers: of the transformer over (view, instant) tokens.
      decoder_layers: of the muscle decoder.
      frame_rate, emg_rate: Hz; of the window.
      joints, dofs: how many joints and torques the auxiliary heads predict; 0 leaves one out.
      load: whether the load is predicted.
      predicted_mae: whether the mean absolute error of the EMG is predicted too.
      causal: whether nothing that is said of an instant depends on frames after it (but the load,
        which is said of the whole window). Time within the window then means nothing, only how
        long ago things were. The encoder must be causal too.
      lookahead_s: by how much a causal model is late: what it says of the EMG of an instant may
        depend on frames up to so many seconds after it. Tokens stay causal, so that layers add
        nothing to it.
      extra_inputs: what else is given, names of `vocabulary.INPUTS`.
      fusion: how these and the pictures meet, see `fusion.Mixer`.
      bottlenecks: likewise.
      view_embedding: whether tokens say which camera they come from. A model without it can
        shown cameras that it has never seen.
      moment_arms: whether, in training, the EMG is also asked to explain the joint torques.
      pose_refinement_layers, teacher_forcing: of `Body`, which reads the predicted pose; without
        layers, or
        without a pose to learn from, there is none.
    """

    encoder: nn.Module
    dim: int
    heads: int
    layers: int
    decoder_layers: int
    frame_rate: float
    emg_rate: float
    joints: int = 0
    dofs: int = 0
    load: bool = True
    predicted_mae: bool = False
    dropout: float = 0.0
    causal: bool = False
    lookahead_s: float = 0.0
    extra_inputs: Sequence[str] = ()
    fusion: str = "joint"
    bottlenecks: int = 4
    view_embedding: bool = True
    moment_arms: bool = False
    pose_refinement_layers: int = 0
    teacher_forcing: float = 0.0
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, batch: Batch, *, train: bool) -> tuple[Outputs, dict[str, Any]]:
        """Predicts EMG for a batch of windows.

        Args:
          batch: video [B, V, T, S, S, 3] uint8, video_mask [B, V, T] and view [B, V] int, or pose
            [B, T, J, 3] and pose_mask [B, T, J]; muscle and side [B, M] int; what `extra_inputs`
            names; see `core.batch.FIELDS`.
          train: whether to drop out.

        Returns:
          The outputs and a dictionary of intermediate tensors for inspection.
        """
        batch = {name: jnp.asarray(value) for name, value in batch.items()}
        stride = getattr(self.encoder, "stride", 1)
        if isinstance(self.encoder, PoseMLP):
            mask = batch["pose_mask"].any(-1)[:, None]
            frames = self.encoder(batch["pose"], batch["pose_mask"], train=train)
        else:
            mask = batch["video_mask"]
            pixels = batch["video"].astype(self.dtype) / 127.5 - 1.0
            # Mid-grey, so that nothing of a frame that is not there enters a token it shares.
            pixels = jnp.where(mask[..., None, None, None], pixels, 0.0)
            b, v, t = mask.shape
            pixels = pixels.reshape(b * v, *pixels.shape[2:])
            frames = self.encoder(pixels, mask.reshape(b * v, t), train=train)
        b, v, t = mask.shape
        instants = jnp.arange(t // stride) * (stride / self.frame_rate)
        x = nn.Dense(self.dim, dtype=self.dtype, name="project")(frames)
        x = x.reshape(b, v, t // stride, self.dim)
        if self.view_embedding and not isinstance(self.encoder, PoseMLP):
            view = nn.Embed(len(vocabulary.VIEWS), self.dim, name="view")(batch["view"])
            x = x + view[:, :, None]
        if not self.causal:
            x = x + nn.Dense(self.dim, name="when")(time_embedding(instants, self.dim))
        x = x.astype(self.dtype).reshape(b, -1, self.dim)
        mask = mask.reshape(b, v, t // stride, stride).any(-1).reshape(b, -1)
        groups = {"frames": (x, mask, jnp.tile(instants, v))}
        if self.extra_inputs:
            groups |= Beside(
                self.extra_inputs,
                self.dim,
                self.frame_rate,
                timed=not self.causal,
                dtype=self.dtype,
                name="beside",
            )(batch, train=train)
        told = jnp.concatenate([of[2] for of in groups.values()])
        known = jnp.concatenate([of[1] for of in groups.values()], 1)
        mix = Mixer(
            self.layers, self.heads, self.dropout, self.fusion, self.bottlenecks, self.dtype
        )
        nn.share_scope(self, mix)  # its layers are this module's, as in runs from before fusion
        mixed = mix(
            {name: of[0] for name, of in groups.items()},
            {name: of[1] for name, of in groups.items()},
            (told, told) if self.causal else None,
            train=train,
        )
        x = mixed["frames"]
        read = self._auxiliary(x, mask, (b, v, t, stride))
        tokens = jnp.concatenate(list(mixed.values()), 1)
        if self.pose_refinement_layers and self.joints:
            look = Body(
                self.pose_refinement_layers,
                self.heads,
                self.frame_rate,
                self.teacher_forcing,
                self.dropout,
                self.dtype,
                name="body",
            )
            seen = batch["video_mask"].any(1)
            tokens, known, when = look(tokens, known, read["pose"], seen, batch, train=train)
            told = jnp.concatenate([told, when])
            x = tokens[:, : x.shape[1]]
        emg, predicted_mae = MuscleDecoder(
            self.dim,
            self.decoder_layers,
            self.heads,
            samples=round(stride * self.emg_rate / self.frame_rate),
            dropout=self.dropout,
            predicted_mae=self.predicted_mae,
            causal=self.causal,
            lookahead_s=self.lookahead_s,
            dtype=self.dtype,
            name="decoder",
        )(tokens, known, told, instants, batch["muscle"], batch["side"], train=train)
        if self.moment_arms:
            read["explained"] = self._explained(emg, batch, t)
        outputs = Outputs(emg=emg, predicted_mae=predicted_mae, **read)
        return outputs, {"frames": frames, "tokens": x, "token_mask": mask}

    def _explained(
        self, emg: Float[Array, "B N M"], batch: Mapping[str, jax.Array], frames: int
    ) -> Float[Array, "B 2 T D"]:
        """Joint torques by the predicted EMG, and by the measured, of which levers are learned."""
        mask = batch.get("emg_mask", jnp.ones_like(emg, bool))
        levers, of = Levers(name="levers"), (batch["muscle"], batch["side"], mask.any(1), frames)
        ours = levers(emg, *of, learn=False)
        return jnp.stack([ours, levers(batch.get("emg", emg), *of, learn=True)], 1)

    def _auxiliary(
        self,
        tokens: Float[Array, "B K D"],
        mask: Bool[Array, "B K"],
        shape: Sequence[Any],  # numbers; a symbol for the batch when the model is exported
    ) -> dict[str, jax.Array]:
        """Pose, torque and load, as far as they are asked for, read from the same tokens."""
        b, v, t, stride = shape
        x = nn.LayerNorm(name="auxiliary_norm")(tokens.astype(jnp.float32))
        weight = mask.astype(jnp.float32).reshape(b, v, -1, 1)
        x = x.reshape(b, v, -1, self.dim) * weight
        instants = x.sum(1) / jnp.maximum(weight.sum(1), 1.0)
        clip = x.sum((1, 2)) / jnp.maximum(weight.sum((1, 2)), 1.0)

        def per_frame(width: int, name: str) -> jax.Array:
            return nn.Dense(stride * width, name=name)(instants).reshape(b, t, width)

        found = {}
        if self.joints:
            found["pose"] = per_frame(3 * self.joints, "pose").reshape(b, t, self.joints, 3)
        if self.dofs:
            # Torques reach 200 N·m; the head's outputs should not have to.
            found["torque"] = 100.0 * per_frame(self.dofs, "torque")
        if self.load:
            found["load"] = nn.Dense(1, name="load")(clip)[:, 0]
        return found
