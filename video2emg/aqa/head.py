"""Action quality assessment: the errors of a repetition, their severity, the key steps, the score.

The head reads video tokens and EMG of any source. One query per (key step, error) of the clip's
action attends to both; a template of the action is compared with the whole repetition; the graph's
formula turns the predicted errors into a score. Letters: A actions, P key steps and E pairs of an
action (see `fkg.rubric`), R rows of input tokens (a camera view or the muscles of a side each), T
instants, Q finer instants.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from video2emg.core import vocabulary
from video2emg.fkg.rubric import Rubric
from video2emg.fkg.scoring import compositional_score
from video2emg.models.auxiliary import AuxiliaryInputs
from video2emg.models.blocks import Block, time_embedding
from video2emg.models.outputs import Outputs, aqa_inputs

Batch = Mapping[str, Any]
EXEMPLAR = "exemplar_"  # prefix of the fields of a second repetition of the action, with its score
SCORES = ("errors", "regression", "usdl", "relative")


@flax.struct.dataclass
class AQAOutputs:
    """Predictions for one batch of repetitions.

    Attributes:
      action_logits: [B, A].
      action: [B] the action whose errors are predicted: given, or recognised.
      error_logits: [B, E] whether each error of `action` is made.
      severity: [B, E] in (0, 1), of the error if it is made.
      score: [B] 0-100.
      phase_logits: [B, Q, P] which key step each instant belongs to; very low on padding.
      score_logits: [B, 101], distribution of the score (`usdl` only).
      video: of the Video→EMG model, where it is trained jointly.
      score_loss: [B], of a system with a loss of its own, in training.
    """

    action_logits: jax.Array
    action: jax.Array
    error_logits: jax.Array
    severity: jax.Array
    score: jax.Array
    phase_logits: jax.Array
    score_logits: jax.Array | None = None
    video: Outputs | None = None
    score_loss: jax.Array | None = None


class InputTokens(nn.Module):
    """Video tokens, EMG and extra inputs as one grid of tokens, rows × instants.

    Rows are the views in the order of the batch, then both sides' muscles, then the extra inputs.

    Attributes:
      dim: of the tokens.
      rate: instants per second, Hz.
      views: rows of video, 0 for none.
      emg: whether there are rows of EMG, one for each side.
      extra_inputs: names of `vocabulary.INPUTS`; a row each.
    """

    dim: int
    rate: float
    views: int
    emg: bool
    extra_inputs: Sequence[str] = ()

    @nn.compact
    def __call__(
        self, batch: Batch, *, train: bool
    ) -> tuple[Float[Array, "B R T D"], Bool[Array, "B R T"]]:
        """Tokens and where they are known."""
        parts: list[tuple[jax.Array, jax.Array]] = []
        # Without a camera the pose is the only view.
        instants = batch["token_mask"].shape[1] // max(batch["view"].shape[1], 1)
        if self.views:
            parts.append(self._video(batch, instants))
        if self.emg:
            parts.append(self._emg(batch, instants))
        if self.extra_inputs:
            parts += self._extra(batch, instants, train)
        tokens, mask = (jnp.concatenate(part, 1) for part in zip(*parts, strict=True))
        time = time_embedding(jnp.arange(instants) / self.rate, self.dim)
        return tokens + nn.Dense(self.dim, name="time")(time), mask

    def _video(self, batch: Batch, instants: int) -> tuple[jax.Array, jax.Array]:
        b = len(batch["tokens"])
        x = nn.Dense(self.dim, name="from_video")(batch["tokens"])
        x = x.reshape(b, self.views, instants, self.dim)
        if batch["view"].shape[1]:
            view = nn.Embed(vocabulary.ROOM_VIEWS, self.dim, name="view")(batch["view"])
            x = x + view[:, :, None]
        return x, batch["token_mask"].reshape(b, self.views, instants)

    def _emg(self, batch: Batch, instants: int) -> tuple[jax.Array, jax.Array]:
        """A token for all muscles of a side, at each instant."""
        channel = batch["side"] * vocabulary.ROOM_MUSCLES + batch["muscle"]
        place = jax.nn.one_hot(channel, len(vocabulary.SIDES) * vocabulary.ROOM_MUSCLES)
        place = place * batch["activity_mask"].any(1)[..., None]  # padding has no place
        known = jnp.einsum("bnm,bmc->bnc", batch["activity_mask"].astype(jnp.float32), place)
        activity = jnp.where(batch["activity_mask"], batch["activity"], 0.0)
        # A root spreads the small values in which repetitions at a low load differ.
        emg = jnp.sqrt(jnp.einsum("bnm,bmc->bnc", activity, place) + 1e-4)
        sides = (*emg.shape[:2], len(vocabulary.SIDES), vocabulary.ROOM_MUSCLES)
        emg, known = emg.reshape(sides), known.reshape(sides) > 0
        emg = jnp.where(known, emg, 0.0)
        # Asymmetry is an error by itself, and hard to find for attention, so it is an input.
        asymmetry = jnp.where(known.all(2), jnp.abs(emg[:, :, 0] - emg[:, :, 1]), 0.0)
        asymmetry = jnp.broadcast_to(asymmetry[:, :, None], sides)
        x = jnp.stack([emg, asymmetry, known.astype(jnp.float32)], -1)

        def by_instant(x: jax.Array) -> jax.Array:
            b, n, s = x.shape[:3]
            x = x[:, : n // instants * instants].reshape(b, instants, n // instants, s, -1)
            return x.transpose(0, 3, 1, 2, 4).reshape(b, s, instants, -1)

        side = nn.Embed(len(vocabulary.SIDES), self.dim, name="side")(jnp.arange(sides[2]))
        tokens = nn.Dense(self.dim, name="from_emg")(by_instant(x)) + side[:, None]
        return tokens, by_instant(known).any(-1)

    def _extra(self, batch: Batch, instants: int, train: bool) -> list[tuple[jax.Array, jax.Array]]:
        b = len(batch["token_mask"])
        frames = batch["pose_mask"].shape[1] if "pose" in self.extra_inputs else instants
        rate = self.rate * (frames // instants)
        encoder = AuxiliaryInputs(self.extra_inputs, self.dim, rate, name="extra_inputs")
        parts = []
        for tokens, known in encoder(batch, train=train).values():
            count = max(tokens.shape[1] // instants, 1) * instants
            tokens = jnp.broadcast_to(tokens[:, :count], (b, count, self.dim))
            known = jnp.broadcast_to(known[:, :count], (b, count))
            tokens = tokens.reshape(b, 1, instants, -1, self.dim).mean(3)
            parts.append((tokens, known.reshape(b, 1, instants, -1).any(-1)))
        return parts


class ErrorQueries(nn.Module):
    """Queries for the whole clip and for every (key step, error) of its action.

    Attributes:
      rubric: of the graph.
      dim, heads, layers, dropout: of the cross-attention.
    """

    rubric: Rubric
    dim: int
    heads: int
    layers: int
    dropout: float

    @nn.compact
    def __call__(
        self,
        tokens: Float[Array, "B R T D"],
        mask: Bool[Array, "B R T"],
        action: Int[Array, " B"],
        *,
        train: bool,
    ) -> tuple[Float[Array, "B D"], Float[Array, "B E D"]]:
        """Features of the clip and of its pairs."""
        table, b = self.rubric, len(action)
        error = nn.Embed(len(table.error_names), self.dim, name="error")
        step = nn.Embed(len(table.step_names), self.dim, name="step")
        pairs = error(jnp.asarray(table.pair_error)[action])
        pairs = pairs + step(jnp.asarray(table.pair_step)[action])
        x = jnp.concatenate([jnp.zeros_like(pairs[:, :1]), pairs], axis=1)
        x = x + nn.Embed(len(table.actions), self.dim, name="action")(action)[:, None]
        for i in range(self.layers):
            block = Block(self.heads, ratio=2, dropout=self.dropout, name=f"layer_{i}")
            x = block(x, tokens.reshape(b, -1, self.dim), mask.reshape(b, -1), train=train)
        x = nn.LayerNorm(name="norm")(x)
        return x[:, 0], x[:, 1:]


class PhaseTemplates(nn.Module):
    """Linear weights over the tokens of the whole repetition, one set for each action.

    The repetition is resampled to a common length, from its first to its last known instant, so
    that a weight belongs to the same moment of the movement in all of them. What this adds to
    attention is in docs/aqa.md.

    Attributes:
      actions: A.
      outputs: weighted sums of each action.
      instants: length to which repetitions are resampled.
      width: features of each row and instant that are weighted.
      dropout: of these features.
    """

    actions: int
    outputs: int
    instants: int
    width: int
    dropout: float

    @nn.compact
    def __call__(
        self,
        tokens: Float[Array, "B R T D"],
        mask: Bool[Array, "B R T"],
        action: Int[Array, " B"],
        *,
        train: bool,
    ) -> Float[Array, "B {self.outputs}"]:
        """The sums of the given action; 0 at initialisation."""
        x = nn.Dense(self.width, name="feature")(nn.LayerNorm(name="norm")(tokens))
        x = nn.gelu(x) * mask[..., None]
        known = mask.any(1)
        first = known.argmax(1)
        last = known.shape[1] - 1 - known[:, ::-1].argmax(1)
        time = first[:, None] + jnp.linspace(0, 1, self.instants) * (last - first)[:, None]
        near = jnp.maximum(1 - jnp.abs(time[..., None] - jnp.arange(known.shape[1])), 0.0)
        x = jnp.einsum("bkt,brtd->brkd", near, x) / jnp.sqrt(self.width)
        x = nn.Dropout(self.dropout, deterministic=not train)(x).reshape(len(action), -1)
        weights = nn.Dense(
            self.actions * self.outputs, kernel_init=nn.initializers.zeros, name="weights"
        )
        sums = weights(x).reshape(len(action), self.actions, self.outputs)
        return jnp.take_along_axis(sums, action[:, None, None], axis=1)[:, 0]


class AQAHead(nn.Module):
    """The head.

    Attributes:
      rubric: of the graph.
      log_odds: per action, log p / (1 − p) of each pair in the training split. Errors are rare;
        starting from their prevalence, the head learns only what the inputs add (logit adjustment,
        Menon et al., ICLR 2021), and its probabilities stay calibrated.
      score: how the score is made. `errors`: from the predicted errors, by the graph; `regression`:
        directly; `usdl`: as a distribution (Tang et al., CVPR 2020); `relative`: as a difference
        to an exemplar (contrastive regression, Yu et al., ICCV 2021, without its regression tree).
      action: `given` or `recognised` (in training it is always given).
      dim, heads, layers, dropout: of the attention.
      instants, width: of the templates.
      rate: instants of the tokens per second, Hz.
      views: rows of video; 0 hides it.
      emg: whether EMG is an input.
      phase_samples: Q / T.
      extra_inputs: names of `vocabulary.INPUTS`.
    """

    rubric: Rubric
    log_odds: tuple[tuple[float, ...], ...]
    score: str
    action: str
    dim: int
    heads: int
    layers: int
    dropout: float
    instants: int
    width: int
    rate: float
    views: int
    emg: bool
    phase_samples: int
    extra_inputs: Sequence[str] = ()

    @nn.compact
    def __call__(self, batch: Batch, *, train: bool) -> tuple[AQAOutputs, dict[str, Any]]:
        """Assesses a batch of repetitions.

        Args:
          batch: tokens [B, V·T, D], token_mask and view [B, V]; activity and activity_mask
            [B, N, M], muscle and side [B, M]; action [B]; the `extra_inputs`. For `relative` the
            same of an exemplar, under `exemplar_…`, and exemplar_score [B].
          train: whether to drop out.

        Returns:
          The outputs and a dictionary of intermediate tensors for inspection.
        """
        batch = {name: jnp.asarray(value) for name, value in batch.items()}
        embed = InputTokens(
            self.dim, self.rate, self.views, self.emg, self.extra_inputs, name="input_tokens"
        )
        tokens, mask = embed(batch, train=train)
        instants = mean_where(tokens, mask)
        action_logits = nn.Dense(len(self.rubric.actions), name="action_logits")(
            mean_where(instants, mask.any(1))
        )
        action = batch["action"]
        if self.action == "recognised" and not train:
            action = action_logits.argmax(-1)
        query = ErrorQueries(
            self.rubric, self.dim, self.heads, self.layers, self.dropout, name="error_queries"
        )
        clip, pairs = query(tokens, mask, action, train=train)
        error_logits, severity = self._errors(tokens, mask, action, pairs, train)
        score_logits = None
        if self.score == "errors":
            expected = nn.sigmoid(error_logits) * severity
            score = compositional_score(expected, jnp.asarray(self.rubric.weight)[action])
        else:
            overall = self._templates(self.dim, "overall")
            clip += overall(tokens, mask, action, train=train)
            if self.score == "regression":
                score = 100 * nn.sigmoid(nn.Dense(1, name="regression")(clip)[:, 0])
            elif self.score == "usdl":
                score_logits = nn.Dense(101, name="distribution")(clip)
                score = nn.softmax(score_logits) @ jnp.arange(101.0)
            else:
                exemplar = exemplar_of(batch)
                its_tokens, its_mask = embed(exemplar, train=train)
                other, _ = query(its_tokens, its_mask, action, train=train)
                other += overall(its_tokens, its_mask, action, train=train)
                score = self._relative_score(clip, other, exemplar["score"], train)
        outputs = AQAOutputs(
            action_logits=action_logits,
            action=action,
            error_logits=error_logits,
            severity=severity,
            score=score,
            phase_logits=self._phases(instants, action),
            score_logits=score_logits,
        )
        return outputs, {"input_tokens": tokens, "input_mask": mask, "pair_features": pairs}

    def _templates(self, outputs: int, name: str) -> PhaseTemplates:
        return PhaseTemplates(
            len(self.rubric.actions), outputs, self.instants, self.width, self.dropout, name=name
        )

    def _errors(
        self, tokens: jax.Array, mask: jax.Array, action: jax.Array, pairs: jax.Array, train: bool
    ) -> tuple[Float[Array, "B E"], Float[Array, "B E"]]:
        """Logit and severity of every pair, from its query and the action's template."""
        template = self._templates(2 * pairs.shape[1], "templates")
        x = nn.Dense(2, kernel_init=nn.initializers.zeros, name="errors")(pairs)
        x += template(tokens, mask, action, train=train).reshape(x.shape)
        return x[..., 0] + jnp.asarray(self.log_odds)[action], nn.sigmoid(x[..., 1])

    def _relative_score(
        self, clip: jax.Array, exemplar: jax.Array, its_score: jax.Array, train: bool
    ) -> Float[Array, " B"]:
        """The exemplar's score plus the predicted difference to it."""
        x = jnp.concatenate([clip, exemplar, its_score[:, None] / 100], -1)
        x = nn.gelu(nn.Dense(self.dim, name="comparison")(x))
        score = its_score + 100 * nn.Dense(1, name="difference")(x)[:, 0]
        # In training it is not clipped, because a clipped score has no gradient.
        return score if train else jnp.clip(score, 0.0, 100.0)

    def _phases(
        self, instants: Float[Array, "B T D"], action: Int[Array, " B"]
    ) -> Float[Array, "B Q P"]:
        """Logits of the key steps at every finer instant."""
        x = nn.Dense(self.phase_samples * self.dim, name="phase")(instants)
        x = x.reshape(len(action), -1, self.dim)
        steps = nn.Embed(len(self.rubric.step_names), self.dim, name="phase_step")
        x = jnp.einsum("bqd,bpd->bqp", x, steps(jnp.asarray(self.rubric.step)[action]))
        exists = jnp.asarray(self.rubric.step_mask)[action][:, None]
        return jnp.where(exists, x / jnp.sqrt(self.dim), -1e9)


def exemplar_of(batch: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
    """The fields of the exemplar, without their prefix."""
    return {
        name.removeprefix(EXEMPLAR): value
        for name, value in batch.items()
        if name.startswith(EXEMPLAR)
    }


def mean_where(x: Float[Array, "B K *D"], mask: Bool[Array, "B K *d"]) -> Float[Array, "B *D"]:
    """Mean over the second axis where `mask`; 0 if it is false everywhere."""
    weight = mask[..., None].astype(jnp.float32)
    return (x * weight).sum(1) / jnp.maximum(weight.sum(1), 1.0)


class JointAQAModel(nn.Module):
    """Video→EMG model and head in one, trained together.

    Attributes:
      video2emg: from `models.build`.
      head: an `AQAHead`.
    """

    video2emg: nn.Module
    head: AQAHead

    @nn.compact
    def __call__(self, batch: Batch, *, train: bool) -> tuple[AQAOutputs, dict[str, Any]]:
        """Assesses a batch of windows with labels, see `core.batch.FIELDS`."""
        outputs, intermediates = self.video2emg(batch, train=train)
        inputs = dict(batch) | aqa_inputs(outputs, intermediates, batch)
        assessment, head_intermediates = self.head(inputs, train=train)
        return assessment.replace(video=outputs), intermediates | head_intermediates
