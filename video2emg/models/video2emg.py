"""The Video→EMG model: encode each view, mix the tokens of all views, decode muscle queries."""

from collections.abc import Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from video2emg.core import vocabulary
from video2emg.models.blocks import Block, Dtype, time_embedding
from video2emg.models.encoders import Encoder, PoseMLP
from video2emg.models.fusion import AuxiliaryInputs, Group, Mixer
from video2emg.models.moment_arms import MomentArms
from video2emg.models.outputs import Outputs

Batch = Mapping[str, jax.typing.ArrayLike]


class MuscleDecoder(nn.Module):
    """Reads the EMG of any set of electrodes out of the tokens, with one query per electrode.

    A query is the sum of a learned embedding of the muscle and one of the side, so that datasets
    with different electrodes share one decoder.

    Attributes:
      dim, layers, heads: of the cross-attention.
      samples: EMG samples per query time.
      dropout: rate.
      predicted_mae: whether the mean absolute error of the EMG is predicted too.
      causal, lookahead_s: see `Video2EMG`.
      output_scale: initial value of the learned scale of the output.
    """

    dim: int
    layers: int
    heads: int
    samples: int
    dropout: float
    predicted_mae: bool
    causal: bool
    lookahead_s: float
    dtype: Dtype
    output_scale: float = 0.3

    @nn.compact
    def __call__(
        self,
        group: Group,
        query_times: Float[Array, " Q"],
        muscle: Int[Array, "B M"],
        side: Int[Array, "B M"],
        *,
        train: bool,
    ) -> tuple[Float[Array, "B N M"], Float[Array, "B N M"] | None]:
        """Decodes the EMG of each (muscle, side) pair.

        Args:
          group: all tokens, which of them are known, and their times.
          query_times: s.
          muscle: index in `vocabulary.MUSCLES`.
          side: index in `vocabulary.SIDES`.
          train: whether dropout is active.

        Returns:
          The EMG, N = Q · `samples`, and its expected mean absolute error if that is predicted.
        """
        tokens, mask, token_times = group
        b, m = muscle.shape
        query = nn.Embed(vocabulary.ROOM_MUSCLES, self.dim, name="muscle")(muscle)
        query = query + nn.Embed(len(vocabulary.SIDES), self.dim, name="side")(side)
        x = jnp.repeat(query[:, :, None], len(query_times), axis=2)
        if not self.causal:
            x = x + nn.Dense(self.dim, name="when")(time_embedding(query_times, self.dim))
        x = x.reshape(b, -1, self.dim).astype(self.dtype)
        # Not jnp.tile, which the ONNX converter cannot export for a variable number of muscles.
        latest = jnp.broadcast_to(query_times, (m, len(query_times))).reshape(-1) + self.lookahead_s
        times = (latest, token_times) if self.causal else None
        for i in range(self.layers):
            block = Block(self.heads, dropout=self.dropout, dtype=self.dtype, name=f"layer_{i}")
            x = block(x, tokens, mask, times, train=train)
        x = nn.LayerNorm(dtype=self.dtype)(x)
        scale = self.param("output_scale", nn.initializers.constant(self.output_scale), ())
        emg = scale * self._signal("samples", x, m)
        if not self.predicted_mae:
            return emg, None
        # No gradient to the rest of the model: predicting the error must not change the EMG.
        return emg, 0.1 * self._signal("predicted_mae", jax.lax.stop_gradient(x), m) + 1e-3

    def _signal(self, name: str, x: Float[Array, "B MQ D"], muscles: Any) -> Float[Array, "B N M"]:
        """Positive samples from the decoded queries of all muscles.

        Each query predicts the samples of its own interval and of the next one, and the two
        predictions of an interval are cross-faded. Without this, neighbouring predictions would
        meet in steps, which muscles do not make.
        """
        b = x.shape[0]
        y = nn.Dense(2 * self.samples, name=name)(x.astype(jnp.float32))
        y = y.reshape(b, muscles, -1, 2 * self.samples)
        current, following = jnp.split(y, 2, axis=-1)
        weight = (jnp.arange(self.samples) + 0.5) / self.samples
        previous = jnp.concatenate([current[:, :, :1], following[:, :, :-1]], axis=2)
        y = weight * current + (1 - weight) * previous
        return nn.softplus(y).reshape(b, muscles, -1).transpose(0, 2, 1)


class PoseRefinement(nn.Module):
    """Adds tokens of the predicted pose to all tokens, and mixes them again.

    Joint positions in metres and their velocities are easier to relate to muscle activation than
    tokens of pixels (docs/choices.md).

    Attributes:
      layers, heads, dropout: of the transformer over all tokens.
      frame_rate: of the pose, Hz.
      teacher_forcing: share of the training examples that get the true instead of the predicted
        pose.
    """

    layers: int
    heads: int
    frame_rate: float
    teacher_forcing: float
    dropout: float
    dtype: Dtype

    @nn.compact
    def __call__(
        self,
        group: Group,
        pose: Float[Array, "B T J 3"],
        frame_known: Bool[Array, "B T"],
        batch: Mapping[str, jax.Array],
        *,
        train: bool,
    ) -> tuple[Float[Array, "B K2 D"], Bool[Array, "B K2"], Float[Array, " K2"]]:
        """Refines the tokens.

        Args:
          group: K tokens, which of them are known, and their times.
          pose: predicted joint positions in the canonical frame (`core.body_frame`), m.
          frame_known: at which times any camera has a frame.
          batch: in training, pose [B, T, J, 3] m and pose_mask.
          train: whether dropout and teacher forcing are active.

        Returns:
          The same for the K2 = K + T refined tokens; those of the pose come last.
        """
        tokens, known, times = group
        pose = jax.lax.stop_gradient(pose)  # only its own loss trains the pose
        b, t, j, _ = pose.shape
        if train and self.teacher_forcing:
            forced = jax.random.bernoulli(self.make_rng("dropout"), self.teacher_forcing, (b, 1, 1))
            pose = jnp.where((forced & batch["pose_mask"])[..., None], batch["pose"], pose)
        encoder = PoseMLP(tokens.shape[-1], self.frame_rate, self.dtype, name="pose")
        x = encoder(pose, jnp.broadcast_to(frame_known[..., None], (b, t, j)), train=train)
        pose_times = jnp.arange(t) / self.frame_rate
        x = x + nn.Dense(x.shape[-1], name="when")(time_embedding(pose_times, x.shape[-1]))
        x = jnp.concatenate([tokens, x.astype(self.dtype)], 1)
        known = jnp.concatenate([known, frame_known], 1)
        for i in range(self.layers):
            block = Block(self.heads, dropout=self.dropout, dtype=self.dtype, name=f"layer_{i}")
            x = block(x, mask=known, train=train)
        return x, known, jnp.concatenate([times, pose_times])


class Video2EMG(nn.Module):
    """The whole model; `build` makes it from `config.model`.

    Attributes:
      encoder: a module of `build.ENCODERS`, shared by all views. With a `PoseMLP` the pose takes
        the place of the one view, and the video is not used.
      dim, heads, layers: of the transformer over the tokens of all views and times.
      decoder_layers: of the muscle decoder.
      frame_rate, emg_rate: of the window, Hz.
      joints, dofs: number of joints and of joint torques that are predicted; 0 for none.
      load: whether the load is predicted.
      predicted_mae: whether the mean absolute error of the EMG is predicted.
      dropout: rate.
      causal: whether a prediction may depend on earlier frames only (the load, one prediction per
        window, is excepted). Tokens then hold no absolute time, and the attention uses time
        differences. The encoder must be causal too.
      lookahead_s: delay of a causal model: the EMG at a time may depend on frames up to
        `lookahead_s` later. Only the decoder looks ahead, so more layers do not add to it.
      extra_inputs: auxiliary inputs, names of `vocabulary.INPUTS`.
      fusion, bottlenecks: how their tokens and those of the video are mixed, see `fusion.Mixer`.
      view_embedding: whether tokens contain the camera's placement. A model without it can be used
        with placements that were not in its training data.
      moment_arms: whether the EMG is also trained to explain the joint torques.
      pose_refinement_layers, teacher_forcing: see `PoseRefinement`; it is left out if there are no
        layers or the pose is not predicted.
    """

    encoder: Encoder
    dim: int
    heads: int
    layers: int
    decoder_layers: int
    frame_rate: float
    emg_rate: float
    joints: int
    dofs: int
    load: bool
    predicted_mae: bool
    dropout: float
    causal: bool
    lookahead_s: float
    extra_inputs: Sequence[str]
    fusion: str
    bottlenecks: int
    view_embedding: bool
    moment_arms: bool
    pose_refinement_layers: int
    teacher_forcing: float
    dtype: Dtype

    @nn.compact
    def __call__(self, batch: Batch, *, train: bool) -> tuple[Outputs, dict[str, Any]]:
        """Predicts EMG for a batch of windows.

        Args:
          batch: video [B, V, T, S, S, 3] uint8, video_mask [B, V, T] and view [B, V] int, or pose
            [B, T, J, 3] and pose_mask [B, T, J]; muscle and side [B, M] int; the fields of
            `extra_inputs`; see `core.batch.FIELDS`.
          train: whether dropout and teacher forcing are active.

        Returns:
          The outputs and a dictionary of intermediate tensors: `frames`, tokens of the encoder;
          `tokens`, the same after mixing, [B, V · T / stride, D]; `token_mask`, which are known.
        """
        batch = {name: jnp.asarray(value) for name, value in batch.items()}
        frames, frame_mask = self._encode(batch, train=train)
        b, v, t = frame_mask.shape
        stride = self.encoder.stride
        query_times = jnp.arange(t // stride) * (stride / self.frame_rate)
        x = self._embed(frames, query_times, batch, (b, v))
        mask = frame_mask.reshape(b, v, t // stride, stride).any(-1).reshape(b, -1)
        groups: dict[str, Group] = {"frames": (x, mask, jnp.tile(query_times, v))}
        if self.extra_inputs:
            groups |= AuxiliaryInputs(
                self.extra_inputs,
                self.dim,
                self.frame_rate,
                timed=not self.causal,
                dtype=self.dtype,
                name="auxiliary_inputs",
            )(batch, train=train)
        mixed = self._mix(groups, train=train)
        x = mixed["frames"]
        predictions = self._auxiliary(x, mask, (b, v, t, stride))
        group = (
            jnp.concatenate(list(mixed.values()), 1),
            jnp.concatenate([known for _, known, _ in groups.values()], 1),
            jnp.concatenate([times for *_, times in groups.values()]),
        )
        if self.pose_refinement_layers and self.joints:
            refine = PoseRefinement(
                self.pose_refinement_layers,
                self.heads,
                self.frame_rate,
                self.teacher_forcing,
                self.dropout,
                self.dtype,
                name="pose_refinement",
            )
            frame_known = frame_mask.any(1)
            group = refine(group, predictions["pose"], frame_known, batch, train=train)
            x = group[0][:, : x.shape[1]]
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
        )(group, query_times, batch["muscle"], batch["side"], train=train)
        if self.moment_arms:
            predictions["explained"] = self._explained(emg, batch, t)
        outputs = Outputs(emg=emg, predicted_mae=predicted_mae, **predictions)
        return outputs, {"frames": frames, "tokens": x, "token_mask": mask}

    def _encode(
        self, batch: Mapping[str, jax.Array], *, train: bool
    ) -> tuple[Float[Array, "BV T2 D"], Bool[Array, "B V T"]]:
        """Tokens of every view, one view after the other, and which frames are known."""
        if isinstance(self.encoder, PoseMLP):
            tokens = self.encoder(batch["pose"], batch["pose_mask"], train=train)
            return tokens, batch["pose_mask"].any(-1)[:, None]
        mask = batch["video_mask"]
        pixels = batch["video"].astype(self.dtype) / 127.5 - 1.0
        # Missing frames become grey, so that their content cannot enter a token of several frames.
        pixels = jnp.where(mask[..., None, None, None], pixels, 0.0)
        b, v, t = mask.shape
        pixels = pixels.reshape(b * v, *pixels.shape[2:])
        return self.encoder(pixels, mask.reshape(b * v, t), train=train), mask

    def _embed(
        self,
        frames: Float[Array, "BV T2 E"],
        times: Float[Array, " T2"],
        batch: Mapping[str, jax.Array],
        shape: Sequence[Any],
    ) -> Float[Array, "B K D"]:
        """Projects the encoder's tokens and adds their view and their time; `shape` is (B, V)."""
        x = nn.Dense(self.dim, dtype=self.dtype, name="project")(frames)
        x = x.reshape(*shape, len(times), self.dim)
        if self.view_embedding and not isinstance(self.encoder, PoseMLP):
            view = nn.Embed(vocabulary.ROOM_VIEWS, self.dim, name="view")(batch["view"])
            x = x + view[:, :, None]
        if not self.causal:
            x = x + nn.Dense(self.dim, name="when")(time_embedding(times, self.dim))
        return x.astype(self.dtype).reshape(shape[0], -1, self.dim)

    def _mix(self, groups: Mapping[str, Group], *, train: bool) -> dict[str, Float[Array, "B K D"]]:
        """The tokens of each group after the transformer."""
        times = jnp.concatenate([times for *_, times in groups.values()])
        mixer = Mixer(
            self.layers, self.heads, self.dropout, self.fusion, self.bottlenecks, self.dtype
        )
        nn.share_scope(self, mixer)  # its parameters are stored directly under this module
        return mixer(
            {name: tokens for name, (tokens, *_) in groups.items()},
            {name: known for name, (_, known, _) in groups.items()},
            (times, times) if self.causal else None,
            train=train,
        )

    def _explained(
        self, emg: Float[Array, "B N M"], batch: Mapping[str, jax.Array], frames: int
    ) -> Float[Array, "B 2 T D"]:
        """Joint torques explained by the predicted and by the measured EMG.

        Only the measured EMG trains the moment arms.
        """
        mask = batch.get("emg_mask", jnp.ones_like(emg, bool))
        arms = MomentArms(name="moment_arms")
        channels = (batch["muscle"], batch["side"], mask.any(1), frames)
        predicted = arms(emg, *channels, learn=False)
        measured = arms(batch.get("emg", emg), *channels, learn=True)
        return jnp.stack([predicted, measured], 1)

    def _auxiliary(
        self,
        tokens: Float[Array, "B K D"],
        mask: Bool[Array, "B K"],
        shape: Sequence[Any],  # integers, but symbolic for the batch when the model is exported
    ) -> dict[str, jax.Array]:
        """Pose, torque and load, as far as they are predicted."""
        b, v, t, stride = shape
        x = nn.LayerNorm(name="auxiliary_norm")(tokens.astype(jnp.float32))
        weight = mask.astype(jnp.float32).reshape(b, v, -1, 1)
        x = x.reshape(b, v, -1, self.dim) * weight
        per_time = x.sum(1) / jnp.maximum(weight.sum(1), 1.0)
        per_window = x.sum((1, 2)) / jnp.maximum(weight.sum((1, 2)), 1.0)

        def per_frame(width: int, name: str) -> jax.Array:
            return nn.Dense(stride * width, name=name)(per_time).reshape(b, t, width)

        predictions = {}
        if self.joints:
            pose = per_frame(3 * self.joints, "pose")
            predictions["pose"] = pose.reshape(b, t, self.joints, 3)
        if self.dofs:
            # Torques reach 200 N·m; the scale keeps the outputs of the linear layer small.
            predictions["torque"] = 100.0 * per_frame(self.dofs, "torque")
        if self.load:
            predictions["load"] = nn.Dense(1, name="load")(per_window)[:, 0]
        return predictions
