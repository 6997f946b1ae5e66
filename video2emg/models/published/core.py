"""CoRe (Yu et al. 2021): a repetition is judged against another one whose score is known.

A tree decides in which interval the difference of the two scores lies, and a regressor per leaf
where in it. L leaves.
"""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from video2emg.core.errors import UserError
from video2emg.models.blocks import Dtype


class RegressionTree(nn.Module):
    """A binary tree whose nodes have layers of their own; `[B, C]` → two times `[B, L]`.

    Attributes:
      depth: levels; L = 2 ** (depth - 1).
      hidden: width of every node.
    """

    depth: int = 5
    hidden: int = 256
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "B C"]) -> tuple[Float[Array, "B L"], Float[Array, "B L"]]:
        """Log-probability of each leaf; position in each leaf's interval (0 left, 1 right)."""
        b = x.shape[0]
        x = nn.relu(nn.Dense(self.hidden, dtype=self.dtype, name="first")(x))[:, None]
        log_probability = jnp.zeros((b, 1))
        for level in range(self.depth - 1):
            turn = self._nodes(x, 2, f"turn_{level}").astype(jnp.float32)
            log_probability = (log_probability[..., None] + nn.log_softmax(turn)).reshape(b, -1)
            x = nn.relu(self._nodes(x, 2 * self.hidden, f"grow_{level}"))
            x = x.reshape(b, -1, self.hidden)
        position = self._nodes(x, 1, "position")[..., 0].astype(jnp.float32)
        return log_probability, position

    def _nodes(self, x: Float[Array, "B N D"], outputs: int, name: str) -> Float[Array, "B N E"]:
        """A dense layer per node: PyTorch's grouped 1 × 1 convolution."""
        start = nn.initializers.lecun_normal(in_axis=-1, out_axis=-2, batch_axis=0)
        nodes = x.shape[1]
        kernel = self.param(f"{name}_kernel", start, (nodes, outputs, self.hidden))
        bias = self.param(f"{name}_bias", nn.initializers.zeros, (nodes, outputs))
        return jnp.einsum("bni,noi->bno", x, kernel.astype(self.dtype)) + bias.astype(self.dtype)


@dataclasses.dataclass(frozen=True)
class Intervals:
    """Which differences of scores belong to which leaf: the group helper.

    The left half mirrors the right one. Every difference has a leaf: those from the largest edge on
    belong to the outermost. `as_published` keeps what CoRe's code does instead: the largest
    difference belongs to no leaf and is taught as leaf 0 (the *most negative*), and where many
    differences coincide intervals have no width and can never be hit.

    Attributes:
      left, right: [L], edges.
      as_published: whether targets are made as CoRe's code makes them.
    """

    left: np.ndarray
    right: np.ndarray
    as_published: bool = False

    @classmethod
    def fit(
        cls,
        differences: Float[np.ndarray, " K"],
        depth: int = 5,
        largest: float = 100.0,
        as_published: bool = False,
    ) -> "Intervals":
        """Quantiles of the differences between training scores of the same action.

        Args:
          differences: absolute, of all pairs.
          depth: of the tree.
          largest: outermost edge; the scores' range.
          as_published: see the class.

        Raises:
          UserError: no pair, or a difference larger than the scores' range.
        """
        half = 2 ** (depth - 2)
        values = np.sort(np.abs(np.asarray(differences, np.float64)))
        if not len(values):
            raise UserError("CoRe's intervals: no two training repetitions of the same action")
        if values[-1] > largest:
            raise UserError(f"CoRe's intervals: a difference of {values[-1]:g} is larger than the "
                            f"range of scores, {largest:g}")  # fmt: skip
        if not as_published:
            # Coinciding quantiles would make intervals without width.
            distinct = np.unique(values[(values > 0) & (values < largest)])
            for candidates in (values, distinct):
                edges = _quantiles(candidates, half, largest) if len(candidates) else values[:0]
                if len(edges) and (np.diff(edges) > 1e-6 * largest).all():
                    break
            else:
                edges = np.linspace(0, largest, half + 1)
        else:
            edges = _quantiles(values, half, largest)
        left = np.concatenate([-edges[:0:-1], edges[:-1]])
        right = np.concatenate([-edges[-2::-1], edges[1:]])
        return cls(left.astype(np.float32), right.astype(np.float32), as_published)

    def targets(
        self, difference: Float[Array, " B"]
    ) -> tuple[Int[Array, " B"], Float[Array, " B"]]:
        """Leaf and position in its interval; the position is NaN if there is no leaf."""
        d = difference[:, None]
        left, width = jnp.asarray(self.left), jnp.asarray(self.right - self.left)
        if self.as_published:
            hit = jnp.where(
                d >= 0, (d >= self.left) & (d < self.right), (d > self.left) & (d <= self.right)
            )
            leaf = hit.argmax(-1)
            known = hit.any(-1)
        else:
            half = len(self.left) // 2
            inner = jnp.searchsorted(left[half:], jnp.abs(difference), "right") - 1
            leaf = jnp.where(difference >= 0, half + inner, half - 1 - inner)
            known = jnp.ones(len(leaf), bool)
        position = (difference - left[leaf]) / jnp.where(width > 0, width, 1.0)[leaf]
        return leaf, jnp.where(known, position, jnp.nan)

    def difference(
        self, log_probability: Float[Array, "B L"], position: Float[Array, "B L"]
    ) -> Float[Array, " B"]:
        """What the tree says: the position in the most probable leaf."""
        leaf = log_probability.argmax(-1)
        left, width = jnp.asarray(self.left), jnp.asarray(self.right - self.left)
        chosen = jnp.take_along_axis(position, leaf[:, None], axis=1)[:, 0]
        return left[leaf] + jnp.where(width > 0, width, 1.0)[leaf] * chosen


def _quantiles(values: np.ndarray, count: int, largest: float) -> Float[np.ndarray, " E"]:
    """`count` + 1 edges: 0, order statistics of sorted `values`, `largest`."""
    place = [int(i / count * (len(values) - 1)) for i in range(count + 1)]
    return np.concatenate([[0.0], values[place[1:-1]], [largest]])


def loss(
    log_probability: Float[Array, "B L"],
    position: Float[Array, "B L"],
    difference: Float[Array, " B"],
    intervals: Intervals,
) -> Float[Array, ""]:
    """Negative log-likelihood of the right leaf plus squared error of the position in it.

    Both are means over the batch. As published, the squared error is averaged within each leaf and
    then summed over leaves, so that its weight depends on how many leaves a batch happens to hit;
    the two agree for single pairs, with which CoRe and FLEX train.
    """
    leaf, target = intervals.targets(difference)
    known = jnp.isfinite(target)
    chosen = jnp.take_along_axis(log_probability, leaf[:, None], axis=1)[:, 0]
    said = jnp.take_along_axis(position, leaf[:, None], axis=1)[:, 0]
    error = jnp.where(known, said - jnp.where(known, target, 0.0), 0.0) ** 2
    if not intervals.as_published:
        return error.mean() - chosen.mean()
    inside = jax.nn.one_hot(leaf, position.shape[1]) * known[:, None]
    per_leaf = (inside * error[:, None]).sum(0) / jnp.maximum(inside.sum(0), 1.0)
    return per_leaf.sum() - chosen.mean()


def pair(
    first: Float[Array, "B D"],
    second: Float[Array, "B D"],
    score: Float[Array, " B"],
    score_range: float = 100.0,
) -> Float[Array, "B E"]:
    """What the tree is shown to say `second`'s score minus `first`'s; `score` is `first`'s."""
    return jnp.concatenate([first, second, score[:, None] / score_range], axis=-1)


def vote(differences: Float[Array, "B K"], scores: Float[Array, "B K"]) -> Float[Array, " B"]:
    """The mean of what K exemplars say of a repetition's score."""
    return (differences + scores).mean(-1)


def choose_exemplars(
    actions: Int[np.ndarray, " A"], library: Int[np.ndarray, " L"], count: int, seed: int
) -> Int[np.ndarray, "A K"]:
    """Which training repetitions each repetition is compared with.

    The draw depends on the seed alone, so that an evaluation can be repeated; FLEX draws anew at
    every epoch and keeps the best.

    Args:
      actions: of the repetitions.
      library: actions of the training repetitions.
      count: exemplars each; 3 in FLEX, 10 in CoRe.
      seed: of the draw.

    Raises:
      UserError: an action without training repetition.
    """
    rng = np.random.default_rng(seed)
    chosen = np.empty((len(actions), count), int)
    for row, action in enumerate(actions):
        allowed = np.flatnonzero(library == action)
        if not len(allowed):
            raise UserError(f"CoRe: no training repetition of action {action} to compare with")
        chosen[row] = rng.choice(allowed, count, replace=len(allowed) < count)
    return chosen
