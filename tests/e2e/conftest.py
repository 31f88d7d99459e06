from pathlib import Path

import pytest

from tests.support.issuing import IssuerUnderTest, start_issuer
from tests.support.verifying import VerifierUnderTest, start_verifier


@pytest.fixture
def issuer(tmp_path: Path, database_url: str) -> IssuerUnderTest:
    """An issuer with two agencies, once for each database engine."""
    under_test = start_issuer(tmp_path, database_url)
    yield under_test
    under_test.client.close()
    under_test.issuer.database.close()


@pytest.fixture
def sqlite_issuer(tmp_path: Path) -> IssuerUnderTest:
    """The same on SQLite only, for what does not depend on the engine."""
    under_test = start_issuer(tmp_path, f"sqlite:///{tmp_path}/issuer.db")
    yield under_test
    under_test.client.close()
    under_test.issuer.database.close()


@pytest.fixture
def verifier(tmp_path: Path, database_url: str) -> VerifierUnderTest:
    """A verifier with two relying parties, once for each database engine."""
    under_test = start_verifier(tmp_path, database_url)
    yield under_test
    under_test.client.close()
    under_test.verifier.database.close()


@pytest.fixture
def sqlite_verifier(tmp_path: Path) -> VerifierUnderTest:
    """The same on SQLite only, for what does not depend on the engine."""
    under_test = start_verifier(tmp_path, f"sqlite:///{tmp_path}/verifier.db")
    yield under_test
    under_test.client.close()
    under_test.verifier.database.close()
