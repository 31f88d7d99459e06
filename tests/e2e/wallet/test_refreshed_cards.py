"""Our wallet at our issuer: copies run out and come again, data change, a card ends, a device is lost."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from holder_app.credentials.ports import CardStatus
from holder_app.credentials.refreshing import LOOK_AGAIN, Refreshed, renewal_time
from holder_app.credentials.status import CHECK_AGAIN
from holder_app.credentials.use_cases import claims_of
from holder_app.tasks import create_worker
from issuer.app import create_worker as create_issuer_worker
from issuer.issuance.use_cases.reissuance import GRACE, revoke_overdue
from tests.support.both_sides import BothSides, both_sides
from tests.support.issuing import start_issuer
from tests.support.reissuing import TYPE, put_on_record
from wallet_core.keys.jwk import thumbprint


@pytest.fixture
def sides(tmp_path: Path, database_url: str) -> Iterator[BothSides]:
    """Both sides with their tables in one database, once for each engine."""
    issuer = start_issuer(tmp_path, database_url)
    found = both_sides(issuer, tmp_path, database_url)
    yield found
    issuer.client.close()
    issuer.issuer.database.close()
    found.wallet.database.close()


def keys_of(sides: BothSides) -> set[bytes]:
    return {thumbprint(copy.signer.public_key) for copy in sides.card.copies}


def work(sides: BothSides) -> None:
    """Let the wallet's worker find out what is due."""
    with sides.wallet.database.unit() as unit:
        unit.connection.exec_driver_sql("UPDATE wallet_cron SET next_at = 0")
    create_worker(sides.wallet).run_due()


def test_a_batch_of_ten_is_used_up_and_refilled(sides: BothSides) -> None:
    card = sides.receive()
    assert len(card.copies) == 10
    assert card.grant is not None
    assert card.grant.is_bound
    create_worker(sides.wallet).run_due()
    sides.use(10)
    assert sides.card.unused == ()
    before, asked = keys_of(sides), len(sides.network.seen)
    ports = sides.wallet.card_ports()
    with ports.unit:
        ports.cards.refresh_soon(sides.owner.id, card.id, sides.clock.now())
    work(sides)
    assert len(sides.card.unused) == 10
    assert not keys_of(sides) & before
    # By the refresh token alone: no code, no person.
    forms = [request.body for request in sides.network.seen[asked:] if request.url.endswith("/oauth/token")]
    assert all(b"grant_type=refresh_token" in form for form in forms)
    # M9: what was issued before stays as it is.
    assert sides.statuses() == ["valid"] * 20


def test_after_a_change_of_address_all_copies_are_new_and_the_old_ones_revoked(sides: BothSides) -> None:
    sides.receive()
    put_on_record(sides.issuer, "p-1", name="한새봄")
    marked = sides.reissue("/subjects/p-1/reissue", credential_type=TYPE, reason="new data").json()
    assert marked["copies"] == 10
    # Nobody tells the wallet: it looks by itself, well before the old copies end.
    assert LOOK_AGAIN * 1.1 < GRACE
    sides.pass_by(LOOK_AGAIN * 1.2)
    create_worker(sides.wallet).run_due()
    work(sides)
    assert claims_of(sides.card)["name"] == "한새봄"
    assert len(sides.card.unused) == 10
    assert sides.statuses() == ["invalid"] * 10 + ["valid"] * 11
    sides.look_at_status()
    assert sides.card.status is CardStatus.VALID


def test_who_was_away_until_the_deadline_gets_new_copies_afterwards(sides: BothSides) -> None:
    sides.receive()
    put_on_record(sides.issuer, "p-1", name="한새봄")
    sides.reissue("/subjects/p-1/reissue", credential_type=TYPE, reason="new data", grace_seconds=60)
    sides.pass_by(timedelta(seconds=61))
    storage = sides.issuer.issuer.storage(sides.issuer.issuer.database.unit())
    assert revoke_overdue(sides.issuer.issuer.issuance, storage) == 10
    sides.pass_by(CHECK_AGAIN)
    sides.look_at_status()
    card = sides.card
    assert card.status is CardStatus.REVOKED
    assert card.refresh_at is not None
    assert card.refresh_at <= sides.clock.now()
    create_worker(sides.wallet).run_due()
    work(sides)
    assert sides.card.status is None
    assert claims_of(sides.card)["name"] == "한새봄"
    sides.pass_by(CHECK_AGAIN)
    sides.look_at_status()
    assert sides.card.status is CardStatus.VALID


def test_before_its_end_a_card_is_renewed(sides: BothSides) -> None:
    before = sides.receive()
    renew = renewal_time(before)
    assert renew is not None
    assert before.expires_at is not None
    sides.pass_by(renew - sides.clock.now())
    assert sides.refresh() is Refreshed.NEW
    after = sides.card
    assert after.expires_at is not None
    assert after.expires_at > before.expires_at
    assert len(after.copies) == 10


def test_a_lost_wallet_gets_nothing_more(sides: BothSides) -> None:
    sides.receive()
    lost = sides.reissue("/subjects/p-1/lost-device", reason="phone lost").json()
    assert lost == {"revoked": 10, "grants_ended": 1}
    assert sides.statuses() == ["invalid"] * 10
    assert sides.refresh(asked=True) is Refreshed.OVER
    assert sides.card.grant is None
    sides.pass_by(CHECK_AGAIN)
    sides.look_at_status()
    assert sides.card.status is CardStatus.REVOKED
    # With a new offer the person has a card again.
    assert sides.receive().grant is not None
    assert sides.refresh() is Refreshed.SAME


def test_all_cards_of_one_wallet_are_lost_together(sides: BothSides) -> None:
    sides.receive()
    sides.receive()
    first = sides.issuer.api("GET", "/credentials").json()["credentials"][0]["credential_id"]
    body = {"reason": "phone lost", "credential_id": first}
    assert sides.reissue("/subjects/p-1/lost-device", **body).json() == {"revoked": 20, "grants_ended": 2}


def test_everybodys_copies_are_replaced_as_wallets_ask(sides: BothSides) -> None:
    sides.receive()
    made = sides.reissue("/reissuances", credential_type=TYPE, reason="new form").json()
    assert (made["subjects"], made["copies"]) == (1, 10)
    create_issuer_worker(sides.issuer.issuer).run_due()
    assert sides.statuses() == ["valid"] * 10
    assert sides.refresh(asked=True) is Refreshed.NEW
    assert sides.statuses() == ["invalid"] * 10 + ["valid"] * 10


def test_a_year_of_refills_stays_within_the_caps(sides: BothSides) -> None:
    """The cap of requests is one access token's, and what was issued last is kept with the offer, not everything."""
    sides.receive()
    for _ in range(12):
        sides.use(10)
        assert sides.refresh() is Refreshed.NEW
    with sides.issuer.issuer.database.reader() as unit:
        assert unit.connection.exec_driver_sql("SELECT count(*) FROM issuer_credential").scalar() == 130
    (offer,) = sides.issuer.api("GET", "/offers").json()["offers"]
    assert len(offer["issued"]) == 13
