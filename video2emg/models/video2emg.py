"""The Video→EMG model: pixels → tokens → pose → features of both sides of the body → EMG.

With the pose as input, the first two steps are left out.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from video2emg.core import vocabulary
from video2emg.core.equipment import PLACES
from video2emg.models.auxiliary import AuxiliaryInputs
from video2emg.models.blocks import Block, Dtype
from video2emg.models.encoders import Encoder
from video2emg.models.mechanics_prior import MechanicsPrior, Prior, start
from video2emg.models.moment_arms import MomentArms
from video2emg.models.outputs import Outputs
from video2emg.models.pose_cleaner import PoseCleaner
from video2emg.models.pose_network import Frames, PoseNetwork, mirrored_pose

Batch = Mapping[str, jax.typing.ArrayLike]
Arrays = Mapping[str, jax.Array]

_MAX_LOAD = float(np.log1p(500.0))  # of 500 kg, as log(1 + kg)

# Tokens of V cameras at T2 times, and which of them are known.
Tokens = tuple[Float[Array, "B V T2 D"], Bool[Array, "B V T2"]]


class MuscleReadout(nn.Module):
    """Reads the EMG of any set of electrodes out of the features of both sides of the body.

    One linear layer gives the samples of every muscle of a side, so that the cost hardly depends on
    the number of electrodes, and datasets with different electrodes share it.

    Attributes:
      samples: EMG samples per instant of the features.
      predicted_mae: whether the mean absolute error of the EMG is predicted too.
      output_scale: initial value of the learned scale of the output.

    With a prior of mechanics, the output starts there: a learned trust decides, at each instant and
    for each muscle, how much of the prior remains.
    """

    samples: int
    predicted_mae: bool
    output_scale: float = 0.3

    @nn.compact
    def __call__(
        self,
        features: Float[Array, "B S I D"],
        muscle: Int[Array, "B M"],
        side: Int[Array, "B M"],
        prior: Prior | None = None,
    ) -> tuple[Float[Array, "B N M"], Float[Array, "B N M"] | None]:
        """Reads the EMG of each (muscle, side) pair.

        Args:
          features: of the left and of the right side.
          muscle: index in `vocabulary.MUSCLES`.
          side: index in `vocabulary.SIDES`.
          prior: what mechanics expects.

        Returns:
          The EMG, N = I · `samples`, and its expected mean absolute error if that is predicted.
        """
        features = features.astype(jnp.float32)
        # A product with ones and zeros, because exported graphs then take any number of muscles.
        channel = side * vocabulary.ROOM_MUSCLES + muscle
        chosen = jax.nn.one_hot(channel, len(vocabulary.SIDES) * vocabulary.ROOM_MUSCLES)
        scale = self.param("output_scale", nn.initializers.constant(self.output_scale), ())
        level = self._level("samples", features, chosen)
        if prior is not None:
            level = level + self._start(prior, features, chosen, scale)
        emg = scale * nn.softplus(level)
        if not self.predicted_mae:
            return emg, None
        # No gradient to the rest of the model: predicting the error must not change the EMG.
        features = jax.lax.stop_gradient(features)
        return emg, 0.1 * nn.softplus(self._level("predicted_mae", features, chosen)) + 1e-3

    def _start(
        self,
        prior: Prior,
        features: Float[Array, "B S I D"],
        chosen: Float[Array, "B M C"],
        scale: Float[Array, ""],
    ) -> Float[Array, "B N M"]:
        """The level of the prior, as far as it is trusted; all of it before training."""
        rows = nn.Dense(vocabulary.ROOM_MUSCLES, kernel_init=nn.initializers.zeros, name="trust")(
            features
        )
        rows = jnp.repeat(jnp.clip(1 + rows, 0.0, 1.5), self.samples, 2)
        level = jnp.where(prior.trusted, start(prior.excitation, scale), 0.0)
        missing = vocabulary.ROOM_MUSCLES - level.shape[-1]
        level = jnp.pad(level, ((0, 0), (0, 0), (0, 0), (0, missing)))
        level = level * rows.transpose(0, 2, 1, 3)
        return jnp.einsum("bnc,bmc->bnm", level.reshape(*level.shape[:2], -1), chosen)

    def _level(
        self, name: str, features: Float[Array, "B S I D"], chosen: Float[Array, "B M C"]
    ) -> Float[Array, "B N M"]:
        """Samples of the chosen channels, out of the C = S · `ROOM_MUSCLES` possible."""
        b, s, i, _ = features.shape
        y = nn.Dense(vocabulary.ROOM_MUSCLES * self.samples, name=name)(features)
        y = y.reshape(b, s, i, vocabulary.ROOM_MUSCLES, self.samples).transpose(0, 2, 4, 1, 3)
        y = y.reshape(b, i * self.samples, s * vocabulary.ROOM_MUSCLES)
        return jnp.einsum("bnc,bmc->bnm", y, chosen)


class Body(NamedTuple):
    """What is known of the body before the pose network.

    Attributes:
      pose, known: [B, T, J, 3] positions, and which joints are known.
      cleaned: the same of a given pose without its errors; None without a cleaner.
      video: features of the left and right side, and which are known; None for models of poses.
      predictions: outputs of the model so far.
      tensors: intermediate tensors of the video; empty without one.
    """

    pose: Float[Array, "B T J 3"]
    known: Bool[Array, "B T J"]
    cleaned: tuple[Float[Array, "B T J 3"], Bool[Array, "B T J"]] | None
    video: Frames | None
    predictions: dict[str, jax.Array]
    tensors: dict[str, jax.Array]


class Video2EMG(nn.Module):
    """The whole model; `build` makes it from `config.model`.

    Attributes:
      encoder: a module of `build.ENCODERS`, shared by all views; None if the pose is the input.
      pose_network: makes features of the pose and of the tokens.
      cleaner: predicts the pose without the errors of a given one, for the mechanics, beside the
        given one for the pose network, and as an output; None: without.
      mechanics: what the muscles must do by mechanics, see `mechanics_prior`; None: without.
      hide_pose: share of the training examples in which only the mechanics see the pose, so that
        the model can do without its own reading of a pose that is novel.
      dim, heads, layers: of the transformer over the tokens of all views and times.
      frame_rate, emg_rate: of the window, Hz.
      dofs: names of the joint torques that are predicted.
      pose: whether the pose is predicted from the video.
      load: whether the load is predicted; from video also its place. What follows the pose then
        reads both where none is told, if the model is not causal.
      predicted_mae: whether the mean absolute error of the EMG is predicted.
      dropout: rate.
      causal: whether a prediction may depend on earlier frames only (the load, one prediction per
        window, is excepted, as is its place). The encoder must be causal too.
      extra_inputs: auxiliary inputs, names of `vocabulary.INPUTS`.
      view_embedding: whether tokens contain the camera's placement. A model without it can be used
        with placements that were not in its training data.
      symmetric: whether the mirrored video is encoded too, so that the muscles of the right side
        read mirrored tokens. Otherwise only the pose is mirrored.
      moment_arms: whether the EMG is also trained to explain the joint torques.
    """

    encoder: Encoder | None
    pose_network: PoseNetwork
    cleaner: PoseCleaner | None
    mechanics: MechanicsPrior | None
    hide_pose: float
    dim: int
    heads: int
    layers: int
    frame_rate: float
    emg_rate: float
    dofs: Sequence[str]
    pose: bool
    load: bool
    predicted_mae: bool
    dropout: float
    causal: bool
    extra_inputs: Sequence[str]
    view_embedding: bool
    symmetric: bool
    moment_arms: bool
    dtype: Dtype

    @nn.compact
    def __call__(self, batch: Batch, *, train: bool) -> tuple[Outputs, dict[str, Any]]:
        """Predicts EMG for a batch of windows.

        Args:
          batch: video [B, V, T, S, S, 3] uint8, video_mask [B, V, T] and view [B, V] int, or, for
            models of poses and if V is 0, pose [B, T, J, 3] and pose_mask [B, T, J]; muscle and
            side [B, M] int; the fields of `extra_inputs`; see `core.batch.FIELDS`.
          train: whether dropout is active.

        Returns:
          The outputs and a dictionary of intermediate tensors: `frames`, tokens of the encoder;
          `tokens`, the same after mixing, [B, V · T2, D]; `token_mask`, which are known. With the
          pose as input both are the features of the left and right side at the times of the frames.
          `torque` [B, N, D], N·m, what mechanics say of the joints, if the model has them.
        """
        arrays = {name: jnp.asarray(value) for name, value in batch.items()}
        filmed = self.encoder is not None and arrays["video"].shape[1] > 0
        arrays, body = (self._filmed if filmed else self._given)(arrays, train=train)
        pose, known, cleaned, video, predictions, tensors = body
        constant = self._constant(arrays, train=train)
        prior = None
        if self.mechanics is not None:
            prior = self.mechanics(*(cleaned or (pose, known)), arrays, train=train)
            shown = self._shown(len(pose), train=train)
            known = known & shown
            cleaned = cleaned and (cleaned[0], cleaned[1] & shown)
        features = self.pose_network(pose, known, video, constant, prior, cleaned, train=train)
        frames = pose.shape[1]
        at_frames = features[:, :, np.arange(frames) * features.shape[2] // frames]
        if not tensors:
            flat = at_frames.transpose(0, 2, 1, 3).reshape(pose.shape[0], frames, -1)
            tensors = {"frames": flat, "tokens": flat, "token_mask": known.any(-1)}
        if prior is not None:
            tensors["torque"] = prior.torque
        if self.dofs:
            predictions["torque"] = self._torque(at_frames)
        if self.load and self.encoder is None:
            predictions["load"] = self._load(at_frames, known.any(-1))
        emg, predicted_mae = MuscleReadout(
            samples=round(self.emg_rate / self.pose_network.rate),
            predicted_mae=self.predicted_mae,
            name="decoder",
        )(features, arrays["muscle"], arrays["side"], prior)
        if self.moment_arms:
            predictions["explained"] = self._explained(emg, arrays, frames)
        return Outputs(emg=emg, predicted_mae=predicted_mae, **predictions), tensors

    def _given(self, arrays: Arrays, *, train: bool) -> tuple[Arrays, Body]:
        """The body as a given pose shows it, cleaned if there is a cleaner."""
        pose, known = arrays["pose"], arrays["pose_mask"]
        predictions, cleaned, video = {}, None, None
        if self.cleaner is not None:
            predictions["pose"], complete = self.cleaner(pose, known, train=train)
            # Only its own loss trains the pose.
            cleaned = jax.lax.stop_gradient(predictions["pose"]), complete
        if self.encoder is not None:  # no video, of either side
            sides = len(pose), len(vocabulary.SIDES), 1
            video = jnp.zeros((*sides, self.dim)), jnp.zeros((*sides, 1), bool)
        return arrays, Body(pose, known, cleaned, video, predictions, {})

    def _filmed(self, arrays: Arrays, *, train: bool) -> tuple[Arrays, Body]:
        """The body as video shows it, and the fields of the batch with the load that it shows."""
        tensors, tokens, mirror = self._tokens(arrays, train=train)
        predictions = {}
        if self.pose:
            predictions["pose"] = self._predicted_pose(tokens, mirror)
        pose, known = self._best_pose(predictions.get("pose"), arrays)
        if self.load:
            predictions |= self._seen_load(tokens)
        if self._reads_load:
            arrays = _with_seen_load(arrays, predictions, "load" in self.extra_inputs)
        video = self._of_sides(tokens, mirror)
        return arrays, Body(pose, known, None, video, predictions, tensors)

    def _tokens(
        self, batch: Mapping[str, jax.Array], *, train: bool
    ) -> tuple[dict[str, jax.Array], Tokens, Float[Array, "B V T2 D"] | None]:
        """Intermediate tensors, tokens of the video, and of the mirrored video if `symmetric`."""
        assert self.encoder is not None
        video, shown, view = (batch[name] for name in ("video", "video_mask", "view"))
        if self.symmetric:
            names = map(vocabulary.mirror_view, vocabulary.VIEWS)
            places = jnp.array([vocabulary.VIEWS.index(name) for name in names])
            video = jnp.concatenate([video, video[..., ::-1, :]])
            view = jnp.concatenate([view, places[view]])
            shown = jnp.concatenate([shown, shown])
        pixels = video.astype(self.dtype) / 127.5 - 1.0
        # Missing frames become grey, so that their content cannot enter a token of several frames.
        pixels = jnp.where(shown[..., None, None, None], pixels, 0.0)
        b, v, t = shown.shape
        flat = shown.reshape(b * v, t)
        frames = self.encoder(pixels.reshape(b * v, *pixels.shape[2:]), flat, train=train)
        stride = self.encoder.stride
        known = shown.reshape(b, v, t // stride, stride).any(-1)
        tokens = self._mix(frames.reshape(b, v, t // stride, -1), known, view, train=train)
        mirror = None
        if self.symmetric:
            half = b // 2
            tokens, mirror = tokens[:half], tokens[half:]
            frames, known, b = frames[: half * v], known[:half], half
        tensors = {
            "frames": frames,
            "tokens": tokens.reshape(b, v * (t // stride), -1),
            "token_mask": known.reshape(b, -1),
        }
        return tensors, (tokens, known), mirror

    def _mix(
        self,
        frames: Float[Array, "B V T2 E"],
        known: Bool[Array, "B V T2"],
        view: Int[Array, "B V"],
        *,
        train: bool,
    ) -> Float[Array, "B V T2 D"]:
        """Adds the camera to the tokens and relates those of all cameras and times.

        Attention depends on time differences only, as nothing may tell the place in the window.
        """
        b, v, t, _ = frames.shape
        x = nn.Dense(self.dim, dtype=self.dtype, name="project")(frames)
        if self.view_embedding:
            place = nn.Embed(vocabulary.ROOM_VIEWS, self.dim, name="view")(view)
            x = x + place[:, :, None].astype(self.dtype)
        x, mask = x.reshape(b, v * t, -1), known.reshape(b, v * t)
        times = np.arange(t) * (self.encoder.stride / self.frame_rate)  # pyright: ignore
        times = jnp.asarray(np.tile(times, v), jnp.float32)
        for i in range(self.layers):
            block = Block(
                self.heads,
                dropout=self.dropout,
                causal=self.causal,
                dtype=self.dtype,
                name=f"layer_{i}",
            )
            x = block(x, mask=mask, times=(times, times), train=train)
        return x.reshape(b, v, t, -1)

    def _predicted_pose(
        self, tokens: Tokens, mirror: Float[Array, "B V T2 D"] | None
    ) -> Float[Array, "B T J 3"]:
        """Joint positions at the time of each frame."""
        joints = self.pose_network.joints
        norm, head = (
            nn.LayerNorm(name="pose_norm"),
            nn.Dense(self.encoder.stride * len(joints) * 3, name="pose"),
        )

        def pose(values: jax.Array) -> jax.Array:
            x = head(_mean_of_views(norm(values.astype(jnp.float32)), tokens[1]))
            return x.reshape(x.shape[0], -1, len(joints), 3)

        if mirror is None:
            return pose(tokens[0])
        return (pose(tokens[0]) + mirrored_pose(pose(mirror), joints)) / 2

    def _best_pose(
        self,
        predicted: Float[Array, "B T J 3"] | None,
        batch: Mapping[str, jax.Array],
    ) -> tuple[Float[Array, "B T J 3"], Bool[Array, "B T J"]]:
        """The given pose where there is one, elsewhere the predicted pose; and what is known."""
        shown = batch["video_mask"].any(1)[..., None]
        shape = (*shown.shape[:2], len(self.pose_network.joints))
        pose, known = jnp.zeros((*shape, 3)), jnp.zeros(shape, bool)
        if predicted is not None:
            # Only its own loss trains the pose.
            pose, known = jax.lax.stop_gradient(predicted), jnp.broadcast_to(shown, shape)
        if "pose" not in self.extra_inputs:
            return pose, known
        given = batch["pose_mask"]
        return jnp.where(given[..., None], batch["pose"], pose), known | given

    def _shown(self, size: int, *, train: bool) -> Bool[Array, "#B 1 1"]:
        """Whether the pose network may see the pose."""
        if not (train and self.hide_pose):
            return jnp.ones((1, 1, 1), bool)
        return ~jax.random.bernoulli(self.make_rng("dropout"), self.hide_pose, (size, 1, 1))

    def _of_sides(self, tokens: Tokens, mirror: Float[Array, "B V T2 D"] | None) -> Frames:
        """Features of the video for the left and for the right side."""
        values, known = tokens
        norm = nn.LayerNorm(name="video_norm")
        if mirror is not None:
            sides = [_mean_of_views(norm(x), known) for x in (values, mirror)]
            x = jnp.stack(sides, 1)
        else:
            x = nn.Dense(2 * self.dim, name="sides")(_mean_of_views(norm(values), known))
            x = x.reshape(*x.shape[:2], 2, -1).transpose(0, 2, 1, 3)
        return x, known.any(1)[:, None, :, None]

    def _constant(
        self, batch: Mapping[str, jax.Array], *, train: bool
    ) -> Float[Array, "B D"] | None:
        """Features of the auxiliary inputs that are constant over the window."""
        inputs = [name for name in self.extra_inputs if name != "pose"]
        if self._reads_load and "load" not in inputs:
            inputs.append("load")
        if not inputs:
            return None
        groups = AuxiliaryInputs(
            inputs, self.pose_network.dim, self.frame_rate, self.dtype, name="auxiliary_inputs"
        )(batch, train=train)
        known = [jnp.where(mask[..., None], tokens, 0.0) for tokens, mask in groups.values()]
        return sum(x[:, 0] for x in known)  # pyright: ignore

    def _torque(self, features: Float[Array, "B S T D"]) -> Float[Array, "B T K"]:
        """Joint torques, N·m: the mean of what both sides of the body say."""
        order = np.array(vocabulary.mirror_order(self.dofs), np.int32)
        # Torques reach 200 N·m; the scale keeps the outputs of the linear layer small.
        y = 100.0 * nn.Dense(len(self.dofs), name="torque")(features.astype(jnp.float32))
        return (
            y[:, 0] + y[:, 1][..., order] * np.array(vocabulary.mirror_signs(self.dofs), np.float32)
        ) / 2

    def _load(
        self, features: Float[Array, "B S T D"], known: Bool[Array, "B T"]
    ) -> Float[Array, " B"]:
        """Load, as log(1 + kg)."""
        weight = known[:, None, :, None].astype(jnp.float32)
        mean = (features * weight).sum((1, 2)) / jnp.maximum(2 * weight.sum((1, 2)), 1.0)
        return nn.Dense(1, name="load")(mean)[:, 0]

    @property
    def _reads_load(self) -> bool:
        """Whether what follows the pose is given the load that the video shows.

        It is one value for the window, so a causal model cannot use it.
        """
        return self.encoder is not None and self.load and not self.causal

    def _seen_load(self, tokens: Tokens) -> dict[str, jax.Array]:
        """Load, as log(1 + kg), and its share at each place, as the video shows them."""
        values, known = tokens
        normed = nn.LayerNorm(name="load_norm")(values.astype(jnp.float32))
        weight = known.any(1)[..., None].astype(jnp.float32)
        mean = (_mean_of_views(normed, known) * weight).sum(1) / jnp.maximum(weight.sum(1), 1.0)
        hidden = nn.gelu(nn.Dense(self.dim, name="load_hidden")(mean))
        y = nn.Dense(1 + len(PLACES), name="load")(hidden)
        return {"load": y[:, 0], "held": nn.sigmoid(y[:, 1:])}

    def _explained(
        self, emg: Float[Array, "B N M"], batch: Mapping[str, jax.Array], frames: int
    ) -> Float[Array, "B 2 T K"]:
        """Joint torques explained by the predicted and by the measured EMG.

        Only the measured EMG trains the moment arms.
        """
        mask = batch.get("emg_mask", jnp.ones_like(emg, bool))
        arms = MomentArms(name="moment_arms")
        channels = (batch["muscle"], batch["side"], mask.any(1), frames)
        predicted = arms(emg, *channels, learn=False)
        measured = arms(batch.get("emg", emg), *channels, learn=True)
        return jnp.stack([predicted, measured], 1)


def _with_seen_load(
    batch: Mapping[str, jax.Array], seen: Mapping[str, jax.Array], told: bool
) -> dict[str, jax.Array]:
    """The batch with the load that a video shows, where none is told.

    Only its own loss trains the load.
    """
    shown = batch["video_mask"].any((1, 2))
    load, held = map(jax.lax.stop_gradient, (seen["load"], seen["held"]))
    load, known = jnp.expm1(jnp.clip(load, 0.0, _MAX_LOAD)), shown
    if told:
        load = jnp.where(batch["load_mask"], batch["load"], load)
        known = known | batch["load_mask"]
    return {**batch, "load": load, "load_mask": known, "held": held, "held_mask": shown}


def _mean_of_views(
    tokens: Float[Array, "B V T2 D"], known: Bool[Array, "B V T2"]
) -> Float[Array, "B T2 D"]:
    weight = known[..., None].astype(jnp.float32)
    return (tokens * weight).sum(1) / jnp.maximum(weight.sum(1), 1.0)
