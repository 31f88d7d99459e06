"""Requests that several wallets name are read by one statement, each by itself."""

from pathlib import Path

from sqlalchemy import update

from tests.bench.verifying import VerifierWorld
from verifier.presentations.ports import StoredPresentation
from verifier.presentations.repository import SqlPresentations
from verifier.presentations.tables import PresentationRow
from verifier.tables import table_of
from wallet_core.errors import MalformedError


def test_a_row_or_a_name_that_cannot_be_read_is_in_nobody_elses_way(tmp_path: Path, database_url: str) -> None:
    world = VerifierWorld(tmp_path, database_url, "http://localhost:8199")
    good, bad = (post.path.rpartition("/")[2] for post in world.posts(2, in_memory=False))
    table = table_of(PresentationRow)
    with world.verifier.database.unit() as unit:
        unit.connection.execute(update(table).where(table.c.request_id == bad).values(body={}))
    names = [good, "nobody-s", bad, f"{good}\0", "\ud800", "😀", ""]
    with world.verifier.database.glance() as unit:
        found = SqlPresentations(unit, world.verifier.sealer).by_request_ids(names)
    world.verifier.database.close()
    assert found.keys() == {good, bad}
    assert isinstance(found[good], StoredPresentation)
    assert found[good].request_id == good
    assert isinstance(found[bad], MalformedError)
