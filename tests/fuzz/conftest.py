"""What the fuzz tests share: the time that each of them has."""

import pytest

from tests.support.fuzzing import drawing_seconds


@pytest.fixture
def fuzz_seconds(request: pytest.FixtureRequest) -> float:
    """Seconds of one fuzz test: all that were collected share the time."""
    return drawing_seconds(sum(item.get_closest_marker("fuzz") is not None for item in request.session.items))
