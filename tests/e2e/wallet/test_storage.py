"""The wallet's tables on both engines."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import func, insert, select

from holder_app.accounts.ports import SignInRefused
from holder_app.accounts.use_cases import CODE_TRIES, create_sign_in_code, resolve_session, sign_in
from holder_app.credentials.describe import CardState
from holder_app.credentials.use_cases import delete_card, list_cards, list_history
from holder_app.ports import UNDER_WAY
from holder_app.tables import MOST_EXPIRED, WalletBase
from holder_app.tasks import FORGET_EXPIRED, create_worker, forget_expired
from tests.support.browsing import browser
from tests.support.presentations import World
from tests.support.simultaneous import at_once
from tests.support.tables import own_tables
from tests.support.wallets import LICENCE, Town, new_town, new_verifier, receive
from wallet_core.adapters import migrations
from wallet_core.adapters.migrations import migrate, revisions
from wallet_core.spec_versions import FORMAT_MDOC, FORMAT_SD_JWT_VC


@pytest.fixture
def stored(tmp_path: Path, world: World, database_url: str) -> Iterator[Town]:
    town = new_town(tmp_path, world, database_url=database_url)
    yield town
    town.wallet.database.close()


def test_migrations_make_the_tables_of_the_code(stored: Town) -> None:
    database = stored.wallet.database
    migrate(database, "holder_app")
    at, head = revisions(database, "holder_app")
    assert at == head is not None
    with database.unit() as unit:
        context = MigrationContext.configure(unit.connection, opts=own_tables("holder_app", "wallet"))
        found = compare_metadata(context, WalletBase.metadata)
    assert found == []


def downgrade(town: Town, revision: str) -> None:
    script = migrations._script_directory("holder_app")
    with town.wallet.database.unit() as unit:
        migrations._run(
            unit.connection, script, "holder_app", lambda current, _: script._downgrade_revs(revision, current)
        )


def test_cards_survive_the_way_to_two_formats_and_back(stored: Town) -> None:
    receive(stored, LICENCE, formats=(FORMAT_SD_JWT_VC, FORMAT_MDOC))
    database = stored.wallet.database
    downgrade(stored, "0002")
    with database.unit() as unit:
        rows = unit.connection.exec_driver_sql("SELECT vct FROM wallet_card").all()
        copies = unit.connection.exec_driver_sql("SELECT count(*) FROM wallet_copy").scalar()
    # What an older wallet could not read is gone, with its keys; all else stays.
    assert [row[0] for row in rows] == [LICENCE.vct]
    assert copies == 3
    migrate(database, "holder_app")
    [card] = list_cards(stored.wallet.card_ports(), stored.owner.id)
    assert card.name["ko"] == LICENCE.name.ko
    receive(stored, LICENCE, formats=(FORMAT_MDOC,))
    assert len(list_cards(stored.wallet.card_ports(), stored.owner.id)) == 2


def test_from_offer_to_receipt(stored: Town) -> None:
    receive(stored, LICENCE)
    person, verifier = browser(stored), new_verifier(stored)
    person.get("/scan")
    person.post("/scan", {"link": verifier.link})
    person.post(f"{person.path}/fetch")
    person.post(f"{person.path}/answer")
    assert "보냈어요" in person.text
    ports = stored.wallet.card_ports()
    [card] = list_cards(ports, stored.owner.id)
    delete_card(ports, stored.owner.id, card.id)
    assert len(list_history(ports, stored.owner.id)) == 3


def test_what_waited_too_long_is_forgotten(stored: Town) -> None:
    person = browser(stored)
    person.get("/scan")
    person.post("/scan", {"link": stored.issuer.link})
    stored.clock.pass_by(stored.clock.now() - stored.clock.now().replace(year=2025))
    worker = create_worker(stored.wallet)
    assert worker.run_due() >= 1
    with stored.wallet.database.unit() as unit:
        for table in ("wallet_issuance", "wallet_session"):
            assert unit.connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar() == 0  # noqa: S608
    assert FORGET_EXPIRED == "forget_expired"


def test_one_job_after_another_forgets_all_that_is_over_however_much(stored: Town) -> None:
    over = stored.clock.now() - timedelta(seconds=1)
    session, account = WalletBase.metadata.tables["wallet_session"], stored.owner.id
    rows = [
        {"digest": each.to_bytes(32), "account_id": account, "expires_at": over}
        for each in range(3 * MOST_EXPIRED + 50)
    ]
    with stored.wallet.database.unit() as unit:
        unit.connection.execute(insert(session), rows)
        forget_expired(stored.wallet, None, unit, None)
        assert unit.connection.execute(select(func.count()).select_from(session)).scalar() == 2 * MOST_EXPIRED + 50
    create_worker(stored.wallet).run_due()
    with stored.wallet.database.unit() as unit:
        assert unit.connection.execute(select(func.count()).select_from(session)).scalar() == 0


def test_a_sealed_card_opens_for_its_own_account_only(stored: Town) -> None:
    receive(stored, LICENCE)
    from holder_app.accounts.use_cases import create_person

    other = create_person(stored.wallet.account_ports(), "김하나", "hana")
    with stored.wallet.database.unit() as unit:
        for table in ("wallet_copy", "wallet_card"):
            unit.connection.exec_driver_sql(f"UPDATE {table} SET account_id = 'hana'")  # noqa: S608
    [card] = list_cards(stored.wallet.card_ports(), other.id)
    assert (card.state, card.fields, card.copies) == (CardState.UNREADABLE, (), 0)


def test_of_simultaneous_refreshes_of_one_issuers_cards_exactly_one_begins(stored: Town) -> None:
    receive(stored, LICENCE, formats=(FORMAT_SD_JWT_VC, FORMAT_MDOC))
    cards = list_cards(stored.wallet.card_ports(), stored.owner.id)
    assert len(cards) == 2
    turns, now = iter(cards * 2), stored.clock.now()

    def begin() -> bool:
        card, ports = next(turns), stored.wallet.card_ports()
        with ports.unit:
            return ports.cards.claim_refresh(stored.owner.id, card.id, now, now + UNDER_WAY)

    assert sorted(at_once(4, begin)) == [False, False, False, True]


def test_of_simultaneous_sign_ins_with_one_code_exactly_one_wins(stored: Town) -> None:
    code = create_sign_in_code(stored.wallet.account_ports(), stored.owner.id)
    tokens = iter("abcd")

    def enter() -> bool:
        try:
            sign_in(stored.wallet.account_ports(), code, next(tokens))
        except SignInRefused:
            return False
        return True

    assert sorted(at_once(4, enter)) == [False, False, False, True]
    opened = [resolve_session(stored.wallet.account_ports(), token) for token in "abcd"]
    assert opened.count(stored.owner) == 1
    assert opened.count(None) == 3


def test_simultaneous_wrong_sign_in_codes_are_all_counted(stored: Town) -> None:
    code = create_sign_in_code(stored.wallet.account_ports(), stored.owner.id)
    wrong = code[:-1] + str((int(code[-1]) + 1) % 10)

    def guess() -> None:
        with pytest.raises(SignInRefused):
            sign_in(stored.wallet.account_ports(), wrong, "token")

    at_once(CODE_TRIES, guess)
    with pytest.raises(SignInRefused):
        sign_in(stored.wallet.account_ports(), code, "token")
