"""Which subjects belong to training, validation and test."""

import numpy as np

SPLITS = {"train": 0.61, "validation": 0.14, "test": 0.25}  # shares of the subjects
VALIDATION_SHARE = 0.15  # of a published training list, for lists without validation


def deal_subjects(subjects: list[str], seed: int = 0) -> dict[str, set[str]]:
    """Divides subjects at random into the three splits; fewer than three are all in the test."""
    if len(subjects) < len(SPLITS):
        return {"test": set(subjects), "validation": set(), "train": set()}
    order = list(np.random.default_rng([seed, 1]).permutation(sorted(subjects)))
    n_test = max(round(SPLITS["test"] * len(order)), 1)
    n_validation = max(round(SPLITS["validation"] * len(order)), 1)
    return {
        "test": set(order[:n_test]),
        "validation": set(order[n_test : n_test + n_validation]),
        "train": set(order[n_test + n_validation :]),
    }
