"""Recall, compared with the mean over random orders of tied candidates."""

import numpy as np
import pytest

from video2emg.representation import retrieval


def by_random_orders(similarity, k, candidates, query, draws, rng):
    """The share of random orders of tied candidates in which the partner is among the first k."""
    others = [j for j in range(len(similarity)) if j != query and candidates[query, j]]
    row = np.array([query, *others])
    hits = 0
    for _ in range(draws):
        order = row[np.lexsort((rng.random(len(row)), -similarity[query, row]))]
        hits += query in order[:k].tolist()
    return hits / draws


@pytest.mark.parametrize("k", [1, 2, 5])
def test_recall_is_the_mean_over_random_orders_of_ties(k):
    rng = np.random.default_rng(0)
    similarity = rng.integers(0, 4, (9, 9)).astype(float)  # many ties
    action = np.array([0, 0, 0, 1, 1, 2, 2, 2, 2])
    same = action[:, None] == action[None, :]
    for candidates in (np.ones((9, 9), bool), same):
        recall = retrieval.recall(similarity, k, candidates)
        for query in range(9):
            expected = by_random_orders(similarity, k, candidates, query, 2000, rng)
            assert recall[query] == pytest.approx(expected, abs=0.05)


def test_without_ties_it_is_the_rank():
    rng = np.random.default_rng(1)
    similarity = rng.normal(size=(30, 30))
    rank = (similarity > np.diagonal(similarity)[:, None]).sum(1)
    for k in (1, 3, 30):
        np.testing.assert_array_equal(retrieval.recall(similarity, k), rank < k)


def test_equal_similarities_give_chance():
    same = np.arange(12)[:, None] // 4 == np.arange(12)[None, :] // 4
    for candidates in (same, np.ones((12, 12), bool)):
        for k in (1, 3, 10):
            np.testing.assert_allclose(
                retrieval.recall(np.zeros((12, 12)), k, candidates),
                retrieval.chance(k, candidates),
            )
