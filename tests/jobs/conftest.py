"""Jobs run fast here; sharding is tested in tests/train, figures in tests/test_launch.py."""

import pytest

from tests.conftest import fast_jobs


@pytest.fixture(autouse=True)
def _fast_jobs():
    with fast_jobs():
        yield
