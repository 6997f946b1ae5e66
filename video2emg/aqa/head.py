"""Action quality assessment: what was done wrong, how badly, when, and what it costs.

The head reads two kinds of evidence, video tokens and EMG, whatever made them. One query per (key
step, error) of the clip's action attends to both, and compares the repetition with its template;
the graph's scoring turns the answers into a score. Letters: A actions, P key steps and E pairs of
an action (see `fkg.rubric`), R rows of evidence (a camera view or a muscle each), T instants, Q
finer instants.
"""

import functools
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
from video2emg.models.blocks import Block, time_embedding
from video2emg.models.fusion import AuxiliaryInputs
from video2emg.models.outputs import Outputs, aqa_inputs

Batch = Mapping[str, Any]
EXEMPLAR = "exemplar_"  # prefix of the fields of a second, judged repetition of the same action
SCORES = ("errors", "regression", "usdl", "relative")


@flax.struct.dataclass
class AQAOutputs:
    """Judgement of one batch of repetitions.

    Attributes:
      action_logits: [B, A].
      action: [B] the action whose errors were asked: given, or recognised.
      error_logits: [B, E] whether each error of `action` is made.
      severity: [B, E] in (0, 1), how badly, if it is.
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


class Evidence(nn.Module):
    """Video tokens and EMG as one grid of tokens, rows × instants.

    Rows are views as they come, then electrodes in the order of the vocabulary, then what else is
    given.

    Attributes:
      dim: of the tokens.
      rate: instants per second, Hz.
      views: rows of video, 0 for none.
      emg: whether there are rows of EMG.
      extra_inputs: what else is given, names of `vocabulary.INPUTS`; a row each.
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
        grids, masks = [], []
        b, k = batch["token_mask"].shape
        instants = k // max(batch["view"].shape[1], 1)  # the pose is a view without camera
        if self.views:
            x = nn.Dense(self.dim, name="from_video")(batch["tokens"])
            x = x.reshape(b, self.views, instants, self.dim)
            if batch["view"].shape[1]:
                place = nn.Embed(vocabulary.ROOM_VIEWS, self.dim, name="view")(batch["view"])
                x = x + place[:, :, None]
            grids.append(x)
            masks.append(batch["token_mask"].reshape(b, self.views, instants))
        if self.emg:
            order = jnp.argsort(batch["muscle"] * len(vocabulary.SIDES) + batch["side"], axis=1)
            muscle, side = (jnp.take_along_axis(batch[n], order, 1) for n in ("muscle", "side"))
            activity, known = (
                jnp.take_along_axis(batch[name], order[:, None], 2)
                for name in ("activity", "activity_mask")
            )
            # A root spreads the small values in which repetitions at a low load differ.
            emg = jnp.sqrt(jnp.where(known, activity, 0.0) + 1e-4)
            # Asymmetry is an error by itself, and hard to find for attention: hand it over.
            pair = (muscle[:, :, None] == muscle[:, None]) & (side[:, :, None] != side[:, None])
            other = jnp.einsum("bnk,bmk->bnm", emg, pair.astype(emg.dtype))
            gap = jnp.where(pair.any(2)[:, None], jnp.abs(emg - other), 0.0)

            def pieces(x: jax.Array) -> jax.Array:
                return x.reshape(b, instants, -1, x.shape[2]).transpose(0, 3, 1, 2)

            who = nn.Embed(vocabulary.ROOM_MUSCLES, self.dim, name="muscle")(muscle)
            who = who + nn.Embed(len(vocabulary.SIDES), self.dim, name="side")(side)
            both = jnp.concatenate([pieces(emg), pieces(gap)], -1)
            grids.append(nn.Dense(self.dim, name="from_emg")(both) + who[:, :, None])
            masks.append(pieces(known).any(-1))
        if self.extra_inputs:
            frames = batch["pose_mask"].shape[1] if "pose" in self.extra_inputs else instants
            look = AuxiliaryInputs(
                self.extra_inputs,
                self.dim,
                self.rate * frames / instants,
                timed=False,
                name="auxiliary_inputs",
            )
            for tokens, known, _ in look(batch, train=train).values():
                per = max(tokens.shape[1], instants)
                tokens = jnp.broadcast_to(tokens, (b, per, self.dim))
                known = jnp.broadcast_to(known, (b, per))
                grids.append(tokens.reshape(b, 1, instants, -1, self.dim).mean(3))
                masks.append(known.reshape(b, 1, instants, -1).any(-1))
        x, mask = jnp.concatenate(grids, 1), jnp.concatenate(masks, 1)
        when = jnp.arange(instants) / self.rate
        return x + nn.Dense(self.dim, name="when")(time_embedding(when, self.dim)), mask


class Questions(nn.Module):
    """Asks the evidence about the whole clip and about every (key step, error) of its action.

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
        evidence: Float[Array, "B R T D"],
        mask: Bool[Array, "B R T"],
        action: Int[Array, " B"],
        *,
        train: bool,
    ) -> tuple[Float[Array, "B D"], Float[Array, "B E D"]]:
        """The answers for the clip and for its pairs."""
        table, b = self.rubric, len(action)
        error = nn.Embed(len(table.error_names), self.dim, name="error")
        step = nn.Embed(len(table.step_names), self.dim, name="step")
        pairs = error(jnp.asarray(table.pair_error)[action])
        pairs = pairs + step(jnp.asarray(table.pair_step)[action])
        x = jnp.concatenate([jnp.zeros_like(pairs[:, :1]), pairs], axis=1)
        x = x + nn.Embed(len(table.actions), self.dim, name="action")(action)[:, None]
        for i in range(self.layers):
            ask = Block(self.heads, ratio=2, dropout=self.dropout, name=f"layer_{i}")
            x = ask(x, evidence.reshape(b, -1, self.dim), mask.reshape(b, -1), train=train)
        x = nn.LayerNorm(name="norm")(x)
        return x[:, 0], x[:, 1:]


class Templates(nn.Module):
    """Weighs the evidence over the whole repetition, linearly and for each action by itself.

    The repetition is brought to a common length, from the first to the last instant with any
    evidence, so that a weight means the same moment of the movement in all of them. What this adds
    to attention is in docs/aqa.md.

    Attributes:
      actions: A.
      outputs: numbers wanted of each action.
      instants: length to which repetitions are brought.
      width: features of each row and instant that are weighed.
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
        evidence: Float[Array, "B R T D"],
        mask: Bool[Array, "B R T"],
        action: Int[Array, " B"],
        *,
        train: bool,
    ) -> Float[Array, "B {self.outputs}"]:
        """The sums for the given action; 0 at initialisation."""
        x = nn.Dense(self.width, name="feature")(nn.LayerNorm(name="norm")(evidence))
        x = nn.gelu(x) * mask[..., None]
        known = mask.any(1)
        first = known.argmax(1)
        last = known.shape[1] - 1 - known[:, ::-1].argmax(1)
        when = first[:, None] + jnp.linspace(0, 1, self.instants) * (last - first)[:, None]
        near = jnp.maximum(1 - jnp.abs(when[..., None] - jnp.arange(known.shape[1])), 0.0)
        x = jnp.einsum("bkt,brtd->brkd", near, x) / jnp.sqrt(self.width)
        x = nn.Dropout(self.dropout, deterministic=not train)(x).reshape(len(action), -1)
        weigh = nn.Dense(
            self.actions * self.outputs, kernel_init=nn.initializers.zeros, name="weigh"
        )
        sums = weigh(x).reshape(len(action), self.actions, self.outputs)
        return jnp.take_along_axis(sums, action[:, None, None], axis=1)[:, 0]


class AQAHead(nn.Module):
    """The head.

    Attributes:
      rubric: of the graph.
      log_odds: per action, log p / (1 − p) of each pair in the training split. Errors are rare;
        starting from their prevalence, the head learns only what the evidence adds (logit
        adjustment, Menon et al., ICLR 2021), and its probabilities stay calibrated.
      score: how the score is made. `errors`: from the answers, by the graph; `regression`:
        directly; `usdl`: as a distribution (Tang et al., CVPR 2020); `relative`: as a difference
        to an exemplar (contrastive regression, Yu et al., ICCV 2021, without its regression tree).
      action: `given` or `recognised` (in training it is always given).
      dim, heads, layers, dropout: of the attention.
      instants, width: of the templates.
      rate: of the evidence, instants per second; views: rows of video, 0 hides it; emg: whether
        EMG is looked at; extra_inputs: what else is.
      phase_samples: Q / T.
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
        """Judges a batch.

        Args:
          batch: tokens [B, V·T, D], token_mask and view [B, V]; activity and activity_mask
            [B, N, M], muscle and side [B, M]; action [B]; what `extra_inputs` names. For
            `relative` the same of an exemplar, under `exemplar_…`, and exemplar_score [B].
          train: whether to drop out.

        Returns:
          The assessment and a dictionary of intermediate tensors for inspection.
        """
        batch = {name: jnp.asarray(value) for name, value in batch.items()}
        look = Evidence(
            self.dim, self.rate, self.views, self.emg, self.extra_inputs, name="evidence"
        )
        evidence, mask = look(batch, train=train)
        weight = mask[..., None].astype(jnp.float32)
        instants = (evidence * weight).sum(1) / jnp.maximum(weight.sum(1), 1.0)
        seen = mask.any(1)[..., None].astype(jnp.float32)
        clip = (instants * seen).sum(1) / jnp.maximum(seen.sum(1), 1.0)
        action_logits = nn.Dense(len(self.rubric.actions), name="recognise")(clip)
        action = batch["action"]
        if self.action == "recognised" and not train:
            action = action_logits.argmax(-1)

        questions = Questions(
            self.rubric, self.dim, self.heads, self.layers, self.dropout, name="questions"
        )
        whole, pairs = questions(evidence, mask, action, train=train)
        template = functools.partial(
            Templates,
            len(self.rubric.actions),
            instants=self.instants,
            width=self.width,
            dropout=self.dropout,
        )
        compare = template(outputs=2 * pairs.shape[1], name="templates")
        judge = nn.Dense(2, kernel_init=nn.initializers.zeros, name="judge")(pairs)
        judge += compare(evidence, mask, action, train=train).reshape(judge.shape)
        if self.score != "errors":
            overall = template(outputs=self.dim, name="overall")
            whole += overall(evidence, mask, action, train=train)
        error_logits = judge[..., 0] + jnp.asarray(self.log_odds)[action]
        severity = nn.sigmoid(judge[..., 1])

        score_logits = None
        if self.score == "errors":
            extent = nn.sigmoid(error_logits) * severity
            score = compositional_score(extent, jnp.asarray(self.rubric.weight)[action])
        elif self.score == "regression":
            score = 100 * nn.sigmoid(nn.Dense(1, name="regression")(whole)[:, 0])
        elif self.score == "usdl":
            score_logits = nn.Dense(101, name="distribution")(whole)
            score = nn.softmax(score_logits) @ jnp.arange(101.0)
        else:
            second = {
                name.removeprefix(EXEMPLAR): value
                for name, value in batch.items()
                if name.startswith(EXEMPLAR)
            }
            there = look(second, train=train)
            other, _ = questions(*there, action, train=train)
            other += overall(*there, action, train=train)
            both = jnp.concatenate([whole, other, second["score"][:, None] / 100], -1)
            hidden = nn.gelu(nn.Dense(self.dim, name="compare")(both))
            difference = nn.Dense(1, name="difference")(hidden)[:, 0]
            score = second["score"] + 100 * difference
            if not train:  # a clipped answer could not learn
                score = jnp.clip(score, 0.0, 100.0)

        x = nn.Dense(self.phase_samples * self.dim, name="phase")(instants)
        x = x.reshape(len(action), -1, self.dim)
        steps = nn.Embed(len(self.rubric.step_names), self.dim, name="phase_step")
        wanted = steps(jnp.asarray(self.rubric.step)[action])
        phase_logits = jnp.einsum("bqd,bpd->bqp", x, wanted) / jnp.sqrt(self.dim)
        exists = jnp.asarray(self.rubric.step_mask)[action][:, None]
        assessment = AQAOutputs(
            action_logits=action_logits,
            action=action,
            error_logits=error_logits,
            severity=severity,
            score=score,
            phase_logits=jnp.where(exists, phase_logits, -1e9),
            score_logits=score_logits,
        )
        return assessment, {"evidence": evidence, "evidence_mask": mask, "answers": pairs}


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
        """Judges a batch of windows with labels, see `core.batch.FIELDS`."""
        outputs, intermediates = self.video2emg(batch, train=train)
        assessment, more = self.head(
            dict(batch) | aqa_inputs(outputs, intermediates, batch), train=train
        )
        return assessment.replace(video=outputs), intermediates | more
