"""A town for each test; its wallet is reached over ASGI."""

from pathlib import Path

import pytest

from tests.support.presentations import World, new_world
from tests.support.wallets import Town, new_town


@pytest.fixture(scope="session")
def world() -> World:
    return new_world()


@pytest.fixture
def town(tmp_path: Path, world: World) -> Town:
    return new_town(tmp_path, world)
