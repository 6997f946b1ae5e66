"""Questions about people who are made up, and fixtures of trained runs."""

import pytest

from tests.videoqa import people
from video2emg.fkg.load import load
from video2emg.videoqa.generate import generate


@pytest.fixture(scope="session")
def graph():
    return load("gymsim")


@pytest.fixture(scope="session")
def told(graph):
    """Accounts of a training and of a test split."""
    return {
        "train": people.accounts(graph, 8, seed=1),
        "test": people.accounts(graph, 5, seed=2),
    }


@pytest.fixture(scope="session")
def asked(graph, told):
    """Questions of both splits."""
    return {split: generate(graph, own, seed=0) for split, own in told.items()}
