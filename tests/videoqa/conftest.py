"""Questions about synthetic repetitions."""

import pytest

from tests.videoqa import synthetic
from video2emg.fkg.load import load
from video2emg.videoqa.generate import generate


@pytest.fixture(scope="session")
def graph():
    return load("gymsim")


@pytest.fixture(scope="session")
def repetitions(graph):
    """Records of a training and of a test split."""
    return {
        "train": synthetic.repetitions(graph, 5, seed=1),
        "test": synthetic.repetitions(graph, 3, seed=2),
    }


@pytest.fixture(scope="session")
def items(graph, repetitions):
    """Questions of both splits."""
    return {split: generate(graph, subset, seed=0) for split, subset in repetitions.items()}
