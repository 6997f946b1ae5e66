"""CoRe (Yu et al. 2021): the score of a repetition relative to another one with a known score.

The difference of the two scores is predicted: a binary tree classifies the interval that contains
it, and a regressor per leaf predicts the position in the interval. L is the number of leaves.
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
    """A binary tree with separate layers for every node; `[B, C]` → two times `[B, L]`.

    Attributes:
      depth: number of levels; L = 2 ** (depth - 1).
      hidden: width of every node.
    """

    depth: int = 5
    hidden: int = 256
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "B C"]) -> tuple[Float[Array, "B L"], Float[Array, "B L"]]:
        """Log-probability of each leaf; position in each leaf's interval, 0 left to 1 right."""
        b = x.shape[0]
        x = nn.relu(nn.Dense(self.hidden, dtype=self.dtype, name="first")(x))[:, None]
        log_probability = jnp.zeros((b, 1))
        for level in range(self.depth - 1):
            branch = self._nodes(x, 2, f"turn_{level}").astype(jnp.float32)
            log_probability = (log_probability[..., None] + nn.log_softmax(branch)).reshape(b, -1)
            x = nn.relu(self._nodes(x, 2 * self.hidden, f"grow_{level}"))
            x = x.reshape(b, -1, self.hidden)
        position = self._nodes(x, 1, "position")[..., 0].astype(jnp.float32)
        return log_probability, position

    def _nodes(self, x: Float[Array, "B N D"], outputs: int, name: str) -> Float[Array, "B N E"]:
        """A dense layer per node: PyTorch's grouped 1 × 1 convolution."""
        init = nn.initializers.lecun_normal(in_axis=-1, out_axis=-2, batch_axis=0)
        nodes = x.shape[1]
        kernel = self.param(f"{name}_kernel", init, (nodes, outputs, self.hidden))
        bias = self.param(f"{name}_bias", nn.initializers.zeros, (nodes, outputs))
        return jnp.einsum("bni,noi->bno", x, kernel.astype(self.dtype)) + bias.astype(self.dtype)


@dataclasses.dataclass(frozen=True)
class Intervals:
    """The interval of score differences that belongs to each leaf (`Group_helper` in CoRe's code).

    The left half mirrors the right half. Differences beyond the largest edge belong to the last
    leaf. CoRe's code differs: the largest difference belongs to no leaf and is trained as leaf 0,
    the *most negative* one, and where many differences are equal, intervals have zero width and are
    never a target.

    Attributes:
      left, right: [L], edges of the intervals.
      as_published: whether to do as CoRe's code does.
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
          differences: absolute differences of all pairs.
          depth: of the tree.
          largest: outermost edge, which is the range of the scores.
          as_published: see the class.

        Raises:
          UserError: no pair, or a difference larger than the range of the scores.
        """
        half = 2 ** (depth - 2)
        values = np.sort(np.abs(np.asarray(differences, np.float64)))
        if not len(values):
            raise UserError("CoRe's intervals: no two training repetitions of the same action")
        if values[-1] > largest:
            raise UserError(
                f"CoRe's intervals: a difference of {values[-1]:g} is larger than the range of "
                f"scores, {largest:g}"
            )
        if not as_published:
            # Equal quantiles would give intervals of zero width.
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
        """Leaf of each difference and position in its interval; NaN if there is no leaf."""
        d = difference[:, None]
        left, width = jnp.asarray(self.left), jnp.asarray(self.right - self.left)
        if self.as_published:
            inside = jnp.where(
                d >= 0, (d >= self.left) & (d < self.right), (d > self.left) & (d <= self.right)
            )
            leaf = inside.argmax(-1)
            known = inside.any(-1)
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
        """The predicted difference: the position in the interval of the most probable leaf."""
        leaf = log_probability.argmax(-1)
        left, width = jnp.asarray(self.left), jnp.asarray(self.right - self.left)
        chosen = jnp.take_along_axis(position, leaf[:, None], axis=1)[:, 0]
        return left[leaf] + jnp.where(width > 0, width, 1.0)[leaf] * chosen


def _quantiles(values: np.ndarray, count: int, largest: float) -> Float[np.ndarray, " E"]:
    """`count` + 1 edges: 0, order statistics of sorted `values`, `largest`."""
    index = [int(i / count * (len(values) - 1)) for i in range(count + 1)]
    return np.concatenate([[0.0], values[index[1:-1]], [largest]])


def loss(
    log_probability: Float[Array, "B L"],
    position: Float[Array, "B L"],
    difference: Float[Array, " B"],
    intervals: Intervals,
) -> Float[Array, ""]:
    """Negative log-likelihood of the target leaf plus squared error of the position in it.

    Both are means over the batch. With `as_published`, the first half of the rows are pairs and the
    second half the same pairs the other way round; the losses of the two halves are added, and the
    squared error is averaged within each leaf and summed over leaves, so that its weight depends
    on how many leaves are targets in the batch. For a single pair, with which CoRe and FLEX train,
    it is twice the mean over the two ways.
    """
    leaf, target = intervals.targets(difference)
    known = jnp.isfinite(target)
    chosen = jnp.take_along_axis(log_probability, leaf[:, None], axis=1)[:, 0]
    predicted = jnp.take_along_axis(position, leaf[:, None], axis=1)[:, 0]
    error = jnp.where(known, predicted - jnp.where(known, target, 0.0), 0.0) ** 2
    if not intervals.as_published:
        return error.mean() - chosen.mean()
    inside = (jax.nn.one_hot(leaf, position.shape[1]) * known[:, None]).reshape(
        2, len(leaf) // 2, -1
    )
    per_leaf = (inside * error.reshape(2, -1, 1)).sum(1) / jnp.maximum(inside.sum(1), 1.0)
    return per_leaf.sum() - 2 * chosen.mean()


def pair(
    first: Float[Array, "B D"],
    second: Float[Array, "B D"],
    score: Float[Array, " B"],
    score_range: float = 100.0,
) -> Float[Array, "B E"]:
    """The tree's input to predict `second`'s score minus `first`'s; `score` is `first`'s."""
    return jnp.concatenate([first, second, score[:, None] / score_range], axis=-1)
