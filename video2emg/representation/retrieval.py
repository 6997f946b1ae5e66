"""Retrieval across modalities: whether a query's partner is among the k most similar."""

import numpy as np
from jaxtyping import Bool, Float


def recall(
    similarity: Float[np.ndarray, "Q Q"],
    k: int,
    candidates: Bool[np.ndarray, "Q Q"] | None = None,
) -> Float[np.ndarray, " Q"]:
    """For each query, the probability that its partner is among the k most similar candidates.

    Partners are on the diagonal. Ties are broken at random, in expectation: a system to which all
    candidates are equally similar gets chance, whatever their order.

    Args:
      similarity: of queries (rows) and candidates; finite.
      k: from 1.
      candidates: which windows each query is compared with; its partner always is one of them. All
        by default.
    """
    own = np.diagonal(similarity)[:, None]
    others = ~np.eye(len(similarity), dtype=bool)
    if candidates is not None:
        others &= candidates
    better = ((similarity > own) & others).sum(1)
    equal = ((similarity == own) & others).sum(1)
    return np.clip((k - better) / (equal + 1), 0.0, 1.0)


def chance(k: int, candidates: Bool[np.ndarray, "Q Q"]) -> Float[np.ndarray, " Q"]:
    """The recall of a random order for each query; its partner is one of the `candidates`."""
    return np.minimum(k / candidates.sum(1), 1.0)
