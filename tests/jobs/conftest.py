"""Jobs run on one device here; sharding is tested in tests/train and tests/multi_process."""

import pytest

from tests.conftest import single_device
from video2emg.viz import run_figures


@pytest.fixture(autouse=True)
def _fast_runs(monkeypatch):
    """Runs on one device, without the figures of each run (see tests/test_launch.py)."""
    monkeypatch.setattr(run_figures, "figures", lambda *args: None)
    with single_device():
        yield
