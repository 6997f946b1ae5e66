"""Jobs run on one device here; sharding is tested in tests/train and tests/multi_process."""

import pytest

from tests.conftest import single_device


@pytest.fixture(autouse=True)
def _single_device():
    with single_device():
        yield
