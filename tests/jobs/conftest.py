"""Jobs run fast here; sharding is tested in tests/train, figures where a test asks for them."""

import pytest

from tests.conftest import fast_jobs


@pytest.fixture
def figures():
    """A test that uses this draws figures."""


@pytest.fixture(autouse=True)
def _fast_jobs(request):
    with fast_jobs(figures="figures" in request.fixturenames):
        yield
