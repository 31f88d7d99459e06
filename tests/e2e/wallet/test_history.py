"""The whole history can be reached, page by page: on both engines, by pages without script and at the command line."""

import re
from collections.abc import Iterator
from datetime import timedelta
from html import unescape
from pathlib import Path

import pytest

from holder_app.accounts.ports import AccountId
from holder_app.credentials.ports import RecordKind
from holder_app.credentials.use_cases import ID_BYTES, PAGE, list_history, new_record, page_history
from holder_app.dependencies import Wallet
from holder_app.home import open_home
from tests.e2e.wallet.test_commands import Terminal, terminal  # noqa: F401 the fixture
from tests.support.browsing import Person, browser
from tests.support.html import assert_whole
from tests.support.presentations import NOW, World
from tests.support.wallets import LICENCE, Town, new_town, receive

SENT_SHOP = {"ko": "오래된 가게", "en": "An old shop"}


@pytest.fixture
def stored(tmp_path: Path, world: World, database_url: str) -> Iterator[Town]:
    town = new_town(tmp_path, world, database_url=database_url)
    yield town
    town.wallet.database.close()


def write(town: Town, kinds: list[RecordKind], together: int = 1) -> list[str]:
    """Write lines, the newest first; ``together`` of them at one moment. Return their ids in no order."""
    return write_into(town.wallet, town.owner.id, kinds, together)


def write_into(wallet: Wallet, account_id: AccountId, kinds: list[RecordKind], together: int = 1) -> list[str]:
    ports, found = wallet.card_ports(), []
    with ports.unit:
        for number, kind in enumerate(kinds):
            at = NOW - timedelta(minutes=number // together)
            body = {"peer": {"name": SENT_SHOP}} if kind is RecordKind.SENT else {}
            record = new_record(ports.random, account_id, kind, at, body)
            ports.history.add(record)
            found.append(record.id)
    return found


def all_pages(town: Town, kinds: tuple[RecordKind, ...] | None = None, size: int = PAGE) -> list[list[str]]:
    pages, before = [], ""
    while True:
        found, older = page_history(
            town.wallet.card_ports(read_only=True), town.owner.id, kinds, before=before, size=size
        )
        pages.append([record.id for record in found])
        if older is None:
            return pages
        before = older


@pytest.mark.parametrize("together", [1, 7, 40])
def test_every_line_is_on_one_page_whatever_came_at_one_moment(stored: Town, together: int) -> None:
    written = write(stored, [RecordKind.RECEIVED] * 40, together=together)
    pages = all_pages(stored, size=9)
    assert [len(page) for page in pages] == [9, 9, 9, 9, 4]
    assert sorted(line for page in pages for line in page) == sorted(written)
    assert all_pages(stored, size=40) == [[line for page in pages for line in page]]


def test_the_filter_comes_before_the_limit(stored: Town) -> None:
    write(stored, [RecordKind.RECEIVED] * 30 + [RecordKind.SENT])
    ports = stored.wallet.card_ports(read_only=True)
    assert len(list_history(ports, stored.owner.id, (RecordKind.SENT,), limit=5)) == 1
    found, older = page_history(ports, stored.owner.id, (RecordKind.SENT, RecordKind.SENDING), size=5)
    assert (len(found), older) == (1, None)


def test_what_comes_meanwhile_moves_no_page(stored: Town) -> None:
    write(stored, [RecordKind.RECEIVED] * 20)
    ports = stored.wallet.card_ports()
    first, older = page_history(ports, stored.owner.id, size=10)
    with ports.unit:
        ports.history.add(new_record(ports.random, stored.owner.id, RecordKind.SENT, NOW + timedelta(hours=1), {}))
    assert older
    second, end = page_history(ports, stored.owner.id, before=older, size=10)
    assert end is None
    assert len({record.id for record in (*first, *second)}) == 20


def test_a_line_of_somebody_else_leads_nowhere(stored: Town) -> None:
    write(stored, [RecordKind.RECEIVED] * 3)
    ports = stored.wallet.card_ports()
    for before in (ports.random(ID_BYTES).hex(), "\x00", "a b", "가"):
        assert page_history(ports, stored.owner.id, before=before) == ((), None)


def lines(person: Person) -> list[str]:
    return re.findall(r'href="/history/([0-9a-f]+)"', person.page.text)


def older(person: Person) -> str:
    link = re.search(r'href="(/history\?[^"]*before=[^"]+)"', person.page.text)
    assert link
    return unescape(link[1])


def test_a_person_goes_back_to_the_first_line(town: Town) -> None:
    write(town, [RecordKind.RECEIVED] * (PAGE + 5) + [RecordKind.SENT] + [RecordKind.DELETED])
    person = browser(town)
    person.get("/history")
    assert_whole(person.page.text)
    seen = lines(person)
    assert len(seen) == PAGE
    assert "최근 것부터" not in person.text
    person.get(older(person))
    assert_whole(person.page.text)
    assert len(lines(person)) == 7
    assert not set(seen) & set(lines(person))
    assert "더 오래된 것" not in person.text
    assert "최근 것부터" in person.text
    # What is filtered is found however old it is, and pages keep the filter.
    person.get("/history?kind=sent")
    assert len(lines(person)) == 1
    assert "오래된 가게" in person.text
    person.get("/history?kind=received")
    assert older(person).startswith("/history?kind=received&before=")
    person.get(older(person))
    assert len(lines(person)) == 5
    person.get("/history?kind=blocked")
    assert "이런 일은 없었어요" in person.text
    person.get("/history?before=nonsense")
    assert "더 오래된 것은 없어요" in person.text
    assert person.get("/history?before=" + "a" * 65).status_code == 400


def test_where_a_card_was_used_is_shown_however_much_came_since(town: Town) -> None:
    receive(town, LICENCE)
    ports = town.wallet.card_ports()
    with ports.unit:
        (card,) = ports.cards.of_account(town.owner.id)
        body = {"peer": {"name": SENT_SHOP}, "cards": [{"card_id": card.id, "name": SENT_SHOP}]}
        old = new_record(ports.random, town.owner.id, RecordKind.SENT, NOW - timedelta(days=300), body)
        ports.history.add(old)
    write(town, [RecordKind.RECEIVED] * 510)
    person = browser(town)
    person.get(f"/cards/{card.id}")
    assert "오래된 가게" in person.text
    # Without script the seal says when the page was opened.
    assert re.search(r"오(전|후) \d+:\d\d:\d\d\s+이때 연 화면", person.text)


def test_older_lines_at_the_command_line(terminal: Terminal) -> None:  # noqa: F811
    wallet, owner = open_home(terminal.home, trust=(), allow_loopback=False)
    written = write_into(wallet, owner.id, [RecordKind.RECEIVED] * 503)
    first = terminal.json("history")
    assert len(first["records"]) == 500
    second = terminal.json("history", "--before", first["next"])
    assert second["next"] is None
    assert sorted(each["id"] for each in first["records"] + second["records"]) == sorted(written)
    assert f"--before {first['next']}" in terminal.run("history").output
    assert "더 오래된 것은 없어요" in terminal.run("history", "--before", "nonsense").output
