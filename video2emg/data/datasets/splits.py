"""Who goes into training, validation and test."""

import numpy as np

SPLITS = {"train": 0.61, "validation": 0.14, "test": 0.25}


def deal_subjects(subjects: list[str], seed: int) -> dict[str, set[str]]:
    """Deals subjects into train, validation and test: disjoint, and none of the three empty."""
    order = list(np.random.default_rng([seed, 1]).permutation(sorted(subjects)))
    n_test = max(round(SPLITS["test"] * len(order)), 1)
    n_validation = max(round(SPLITS["validation"] * len(order)), 1)
    return {
        "test": set(order[:n_test]),
        "validation": set(order[n_test : n_test + n_validation]),
        "train": set(order[n_test + n_validation :]),
    }
