"""Coming back for what an agency put off: what came stays, and nobody is in another's way."""

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, select

from holder_app.credentials.ports import Card
from holder_app.credentials.refreshing import Refreshed, refresh_card
from holder_app.issuance.repository import ASK_AGAIN
from holder_app.issuance.states import Failed, Issuance, Kept, Waiting
from holder_app.issuance.use_cases import show_issuance
from holder_app.ports import UNDER_WAY
from holder_app.tables import APP_TABLES
from holder_app.tasks import create_worker
from tests.simulators.issuer import ISSUER
from tests.support.browsing import Person, browser
from tests.support.logins import LoginIssuer, go_to_login, with_login
from tests.support.presentations import World
from tests.support.wallets import LICENCE, Town, new_town, wait
from wallet_core.errors import FetchError
from wallet_core.http import HttpRequest, HttpResponse

INTERVAL = timedelta(seconds=61)
WHAT: list[str] = [entry.configuration_id for entry in LICENCE.formats]
DEFERRED = "/agencies/police/deferred"


@pytest.fixture
def town(tmp_path: Path, world: World) -> Town:
    return new_town(tmp_path, world, issuers=(ISSUER,))


def begin(town: Town, issuer: LoginIssuer, person: Person, wanted: list[str], deferrals: int) -> str:
    """Log in for cards of which some are put off; the path of what is waited for, whose interval is over."""
    issuer.deferrals = deferrals
    person.get("/add")
    person.get(f"/add/issuer?id={ISSUER}")
    person.post("/add", {"issuer": ISSUER, "configuration": wanted})  # type: ignore[dict-item]
    path = person.path
    person.get(f"/callback?{issuer.approve(go_to_login(person, path))}")
    if len(wanted) > deferrals:
        person.post(f"{path}/keep")
    person.get(path)
    town.clock.pass_by(INTERVAL)
    return path


def issuance_of(town: Town, path: str) -> Issuance:
    return show_issuance(town.wallet.issuance_ports(), town.owner.id, path.rpartition("/")[2])


def cards(town: Town) -> list[Card]:
    ports = town.wallet.card_ports(read_only=True)
    with ports.unit:
        return list(ports.cards.of_account(town.owner.id))


def refresh(town: Town, card: Card) -> Refreshed:
    wallet = town.wallet
    return wait(refresh_card(wallet.card_ports, wallet.reissuer(), town.owner.id, card.id, asked=True))


def claim(town: Town, card: Card) -> None:
    """Somebody else fetches new copies of the card."""
    ports, now = town.wallet.card_ports(), town.clock.now()
    with ports.unit:
        assert ports.cards.claim_refresh(town.owner.id, card.id, now, now + UNDER_WAY)


def test_what_came_stays_although_the_next_cannot_be_reached(town: Town) -> None:
    issuer, person = with_login(town, mdocs=town.issuer.mdocs), browser(town)
    asked: list[HttpRequest] = []
    credential = issuer._credential

    def remembering(request: HttpRequest) -> HttpResponse:
        asked.append(request)
        return credential(request)

    def first_only() -> HttpResponse:
        if not asked:
            raise FetchError("the other server could not be reached")
        return issuer.issue(asked.pop(0))

    issuer._credential = remembering  # type: ignore[method-assign]
    path = begin(town, issuer, person, WHAT, 2)
    last = asked.pop()
    issuer.issue_later = first_only  # type: ignore[method-assign]
    person.post(f"{path}/ask")
    state = issuance_of(town, path).state
    assert isinstance(state, Waiting)
    assert (len(cards(town)), len(state.issued.deferred)) == (1, 1)
    asked.append(last)
    town.clock.pass_by(INTERVAL)
    person.post(f"{path}/ask")
    assert isinstance(issuance_of(town, path).state, Kept)
    assert len(cards(town)) == 2


def test_who_is_slow_is_not_overtaken(town: Town) -> None:
    issuer, person, other = with_login(town), browser(town), browser(town)
    path = begin(town, issuer, person, WHAT[:1], 1)
    later = issuer.issue_later

    def slow() -> HttpResponse:
        answer = later()
        # The metadata, a refused token, its renewal and this took nine seconds each.
        town.clock.pass_by(timedelta(seconds=36))
        issuer.refuse[DEFERRED] = issuer.reply({"error": "invalid_transaction_id"}, 400)
        other.get(path)
        other.post(f"{path}/ask")
        return answer

    issuer.issue_later = slow  # type: ignore[method-assign]
    person.post(f"{path}/ask")
    assert len(cards(town)) == 1


def test_a_card_keeps_its_grant_while_the_token_is_renewed_for_what_is_waited_for(town: Town) -> None:
    issuer, person = with_login(town, mdocs=town.issuer.mdocs), browser(town)
    path = begin(town, issuer, person, WHAT, 1)
    issuer.rotates = True
    issuer.expired.add("token")
    refreshed, done = issuer._refreshed, list[Refreshed]()

    def meanwhile(form: dict[str, str]) -> HttpResponse:
        answer = refreshed(form)
        if not done:
            done.append(Refreshed.NEW)
            done[0] = refresh(town, *cards(town))
        return answer

    issuer._refreshed = meanwhile  # type: ignore[method-assign]
    person.post(f"{path}/ask")
    assert done == [Refreshed.LATER]
    assert [card.grant and card.grant.refresh_token for card in cards(town)] == [issuer.refresh_token] * 2
    # Whoever asked is in nobody's way any more.
    assert refresh(town, cards(town)[0]) is Refreshed.NEW


def test_nobody_asks_while_a_card_that_came_before_is_refreshed(town: Town) -> None:
    issuer, person = with_login(town, mdocs=town.issuer.mdocs), browser(town)
    path = begin(town, issuer, person, WHAT, 1)
    claim(town, *cards(town))
    person.post(f"{path}/ask")
    assert issuer.called("/deferred") == 0
    town.clock.pass_by(UNDER_WAY)
    person.get(path)
    person.post(f"{path}/ask")
    assert isinstance(issuance_of(town, path).state, Kept)


def test_a_card_that_finds_another_being_refreshed_comes_next(town: Town) -> None:
    issuer, person = with_login(town, mdocs=town.issuer.mdocs), browser(town)
    begin(town, issuer, person, WHAT, 0)
    one, other = cards(town)
    claim(town, one)
    person.get(f"/cards/{other.id}")
    person.post(f"/cards/{other.id}/refresh")
    assert "다시 해 볼게요" in person.text
    (waits,) = [card for card in cards(town) if card.id == other.id]
    assert waits.refresh_at == town.clock.now()


def test_an_answer_that_was_lost_is_no_decision(town: Town) -> None:
    issuer, person = with_login(town), browser(town)
    path = begin(town, issuer, person, WHAT[:1], 1)

    def lost() -> HttpResponse:
        issuer.refuse[DEFERRED] = issuer.reply({"error": "invalid_transaction_id"}, 400)
        raise FetchError("the other server did not answer in time")

    issuer.issue_later = lost  # type: ignore[method-assign]
    person.post(f"{path}/ask")
    town.clock.pass_by(timedelta(minutes=11))
    person.get(path)
    person.post(f"{path}/ask")
    state = issuance_of(town, path).state
    assert isinstance(state, Failed)
    assert state.reason == "refused"
    assert "주지 않기로 했어요" not in person.text


def receipt(person: Person) -> int:
    """Open the newest line of the history and return the status."""
    person.get("/history")
    return int(person.get(re.findall(r'href="(/history/[^"]+)"', person.page.text)[0]).status_code)


@pytest.mark.parametrize("wanted", [1, 2])
def test_what_an_agency_decides_against_is_told(town: Town, wanted: int) -> None:
    issuer, person = with_login(town, mdocs=town.issuer.mdocs), browser(town)
    path = begin(town, issuer, person, WHAT[:wanted], 1)
    issuer.refuse[DEFERRED] = issuer.reply({"error": "credential_request_denied"}, 400)
    person.post(f"{path}/ask")
    assert receipt(person) == 200
    assert "주지 않기로 했어요" in person.text


@pytest.mark.parametrize("error", ["invalid_grant", "invalid_client"])
@pytest.mark.parametrize("wanted", [1, 2])
def test_without_a_good_refresh_token_the_waiting_ends(town: Town, wanted: int, error: str) -> None:
    issuer, person = with_login(town, mdocs=town.issuer.mdocs), browser(town)
    path = begin(town, issuer, person, WHAT[:wanted], 1)
    issuer.expired.add("token")
    issuer.refuse["/agencies/police/oauth/token"] = issuer.reply({"error": error}, 400)
    person.post(f"{path}/ask")
    state = issuance_of(town, path).state
    if error == "invalid_client":  # which somebody may mend
        assert isinstance(state, Waiting)
        return
    assert isinstance(state, Failed if wanted == 1 else Kept)
    assert receipt(person) == 200
    assert "기관이 주지 않았어요" in person.text


@pytest.mark.parametrize("answer", [{"code": None, "error": "unauthorized_client"}, {"iss": "https://other.example"}])
def test_the_receipt_of_a_login_that_failed_opens(town: Town, answer: dict[str, str | None]) -> None:
    issuer, person = with_login(town, answer=answer), browser(town)
    begin(town, issuer, person, WHAT[:1], 1)
    assert receipt(person) == 200


def test_who_is_reminded_too_early_after_a_crash_is_reminded_again(town: Town) -> None:
    issuer, person = with_login(town), browser(town)
    path = begin(town, issuer, person, WHAT[:1], 1)
    ports, issuance = town.wallet.issuance_ports(), issuance_of(town, path)
    assert isinstance(issuance.state, Waiting)
    job = APP_TABLES.job
    with (unit := town.wallet.database.unit()):
        unit.connection.execute(delete(job).where(job.c.name == ASK_AGAIN))
    with ports.unit:
        ports.issuances.advance(issuance, replace(issuance.state, asking_since=town.clock.now()))
        ports.reminders.ask_later(issuance, timedelta())
    create_worker(town.wallet).run_due()
    assert issuer.called("/deferred") == 0
    with (unit := town.wallet.database.reader()):
        assert ASK_AGAIN in unit.connection.execute(select(job.c.name)).scalars().all()
