import pytest

from wallet_core.adapters.config import read_catalogue_texts
from wallet_core.catalogue import Catalogue, parse_catalogue


@pytest.fixture(scope="session")
def texts() -> dict[str, str]:
    return read_catalogue_texts()


@pytest.fixture(scope="session")
def catalogue(texts: dict[str, str]) -> Catalogue:
    return parse_catalogue(texts)
