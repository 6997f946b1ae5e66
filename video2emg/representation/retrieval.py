"""Retrieval across modalities: is the one that belongs to a query among the first k?"""

import numpy as np
from jaxtyping import Bool, Float


def recall(
    similarity: Float[np.ndarray, "Q Q"],
    k: int,
    candidates: Bool[np.ndarray, "Q Q"] | None = None,
) -> Float[np.ndarray, " Q"]:
    """Of each query, the probability that its partner is among the k most similar.

    Partners are on the diagonal. Ties are broken at random, in expectation: a system that finds all
    alike gets chance, and not the luck of an order.

    Args:
      similarity: of queries (rows) and candidates; finite.
      k: from 1.
      candidates: who may be found by each query; its partner always may. All by default.
    """
    own = np.diagonal(similarity)[:, None]
    others = ~np.eye(len(similarity), dtype=bool)
    if candidates is not None:
        others &= candidates
    better = ((similarity > own) & others).sum(1)
    equal = ((similarity == own) & others).sum(1)
    return np.clip((k - better) / (equal + 1), 0.0, 1.0)


def chance(k: int, candidates: Bool[np.ndarray, "Q Q"]) -> Float[np.ndarray, " Q"]:
    """What guessing gives each query; its partner is one of the `candidates`."""
    return np.minimum(k / candidates.sum(1), 1.0)
