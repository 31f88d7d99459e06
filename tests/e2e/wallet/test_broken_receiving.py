"""Receiving of which a part fails or comes late: what came stays, and the rest is fetched when one goes on."""

import json
import re
from datetime import timedelta
from pathlib import Path

import pytest

from holder_app.credentials.ports import Card
from holder_app.credentials.refreshing import Refreshed, refresh_card
from holder_app.issuance.states import Declined, Failed, Issuance, Kept, Preview, Reason, Signing, Waiting
from holder_app.issuance.use_cases import show_issuance
from holder_app.ports import UNDER_WAY
from tests.simulators.issuer import ISSUER
from tests.support.browsing import Person, browser
from tests.support.logins import LoginIssuer, go_to_login, with_login
from tests.support.presentations import World
from tests.support.wallets import LICENCE, Town, new_town, wait
from wallet_core.errors import FetchError
from wallet_core.http import HttpRequest, HttpResponse

WHAT: list[str] = [entry.configuration_id for entry in LICENCE.formats]


@pytest.fixture
def town(tmp_path: Path, world: World) -> Town:
    return new_town(tmp_path, world, issuers=(ISSUER,))


def gone_after_the_first(issuer: LoginIssuer) -> list[HttpResponse]:
    """Let the issuer answer one Credential Request, and no further one before the list is cleared."""
    came, credential = list[HttpResponse](), issuer.issue

    def issue(request: HttpRequest) -> HttpResponse:
        if came:
            raise FetchError("the other server could not be reached")
        answer = credential(request)
        came.append(answer)
        return answer

    issuer.issue = issue  # type: ignore[method-assign]
    return came


def begin(issuer: LoginIssuer, person: Person, wanted: list[str] = WHAT) -> str:
    """Log in for cards, and return the path of what came of it."""
    person.get("/add")
    person.get(f"/add/issuer?id={ISSUER}")
    person.post("/add", {"issuer": ISSUER, "configuration": wanted})  # type: ignore[dict-item]
    path = person.path
    person.get(f"/callback?{issuer.approve(go_to_login(person, path))}")
    return path


def issuance_of(town: Town, path: str) -> Issuance:
    return show_issuance(town.wallet.issuance_ports(), town.owner.id, path.rpartition("/")[2])


def left(town: Town, path: str) -> tuple[int, int]:
    """How many cards came, and how many are still to be asked for."""
    state = issuance_of(town, path).state
    assert isinstance(state, Signing)
    return len(state.pending.issued), len(state.pending.pending)


def test_what_came_before_the_issuer_was_gone_stays(town: Town) -> None:
    issuer, person = with_login(town, mdocs=town.issuer.mdocs), browser(town)
    came = gone_after_the_first(issuer)
    path = begin(issuer, person)
    assert left(town, path) == (1, 1)
    # Longer than an offer waits.
    town.clock.pass_by(timedelta(hours=2))
    person.get(path)
    person.post(f"{path}/accept")
    assert left(town, path) == (1, 1)
    came.clear()
    person.post(f"{path}/accept")
    assert isinstance(issuance_of(town, path).state, Preview)
    person.post(f"{path}/keep")
    person.get("/")
    assert person.page.text.count('href="/cards/') >= 2


def test_a_token_that_is_over_when_one_goes_on_is_renewed_and_kept(town: Town) -> None:
    issuer, person = with_login(town, mdocs=town.issuer.mdocs, rotates=True), browser(town)
    came = gone_after_the_first(issuer)
    path = begin(issuer, person)
    issuer.expired.add("token")
    person.post(f"{path}/accept")
    state = issuance_of(town, path).state
    assert isinstance(state, Signing)
    # The issuer is gone still, and the token before this one is dead.
    assert state.pending.token.refresh_token == issuer.refresh_token == "refresh+"
    came.clear()
    person.post(f"{path}/accept")
    state = issuance_of(town, path).state
    assert isinstance(state, Preview)
    assert [grant_of(card) for card in state.cards] == ["refresh+"] * 2


def cards(town: Town) -> list[Card]:
    ports = town.wallet.card_ports(read_only=True)
    with ports.unit:
        return list(ports.cards.of_account(town.owner.id))


def grant_of(card: Card) -> str:
    assert card.grant is not None
    return card.grant.refresh_token


def refresh(town: Town, card: Card) -> Refreshed:
    wallet = town.wallet
    return wait(refresh_card(wallet.card_ports, wallet.reissuer(), town.owner.id, card.id, asked=True))


def events(issuer: LoginIssuer) -> list[str]:
    """What the wallet said of the cards, in its order."""
    return [json.loads(each.body)["event"] for each in issuer.seen if each.url.endswith("/notification")]


def newest_receipt(person: Person) -> str:
    person.get("/history")
    person.get(re.findall(r'href="(/history/[^"]+)"', person.page.text)[0])
    return str(person.text)


BAD_MDOC = {"doc_type": "org.iso.7367.1.mVRC"}
OTHER_TYPE = {"vct": "urn:jigap:vct:resident-card:1"}


def test_a_bad_card_does_not_cost_the_good_one(town: Town) -> None:
    issuer, person = with_login(town, mdocs=town.issuer.mdocs, mdoc_changes=BAD_MDOC), browser(town)
    path = begin(issuer, person)
    person.get(path)
    assert "1가지는 받지 못했어요" in person.text
    assert events(issuer) == ["credential_failure"]
    person.post(f"{path}/keep")
    state = issuance_of(town, path).state
    assert isinstance(state, Kept)
    assert len(state.card_ids) == 1
    # Nobody is told that the bad one was taken.
    assert events(issuer) == ["credential_failure", "credential_accepted"]


def test_a_bad_card_does_not_end_the_waiting_for_another(town: Town) -> None:
    issuer = with_login(town, mdocs=town.issuer.mdocs, mdoc_changes=BAD_MDOC, deferrals=1)
    person = browser(town)
    path = begin(issuer, person)
    assert isinstance(issuance_of(town, path).state, Waiting)
    assert events(issuer) == ["credential_failure"]
    assert "서명이나 내용이 맞지 않아요" in newest_receipt(person)
    town.clock.pass_by(timedelta(seconds=61))
    person.get(path)
    person.post(f"{path}/ask")
    state = issuance_of(town, path).state
    assert isinstance(state, Kept)
    assert len(state.card_ids) == 1
    assert events(issuer) == ["credential_failure", "credential_accepted"]


@pytest.mark.parametrize("wanted", [1, 2])
def test_a_bad_card_that_comes_late_is_told(town: Town, wanted: int) -> None:
    issuer, person = with_login(town, mdocs=town.issuer.mdocs, deferrals=1), browser(town)
    path = begin(issuer, person, WHAT[:wanted])
    if wanted == 2:
        person.get(path)
        person.post(f"{path}/keep")
    issuer.changes = OTHER_TYPE
    town.clock.pass_by(timedelta(seconds=61))
    person.get(path)
    person.post(f"{path}/ask")
    state = issuance_of(town, path).state
    assert isinstance(state, Failed if wanted == 1 else Kept)
    assert events(issuer)[-1] == "credential_failure"
    assert "서명이나 내용이 맞지 않아요" in newest_receipt(person)


def test_an_issuer_that_is_not_trusted_for_one_card_gives_none(town: Town) -> None:
    issuer, person = with_login(town, mdocs=town.issuer.mdocs), browser(town)
    issuer.changes = {"issuer": "https://issuer.example/agencies/tax"}
    state = issuance_of(town, begin(issuer, person)).state
    assert isinstance(state, Failed)
    assert state.reason is Reason.UNTRUSTED
    assert events(issuer) == ["credential_failure"] * 2


def test_who_says_no_before_all_came_is_reported(town: Town) -> None:
    issuer, person = with_login(town, mdocs=town.issuer.mdocs), browser(town)
    gone_after_the_first(issuer)
    path = begin(issuer, person)
    person.get(path)
    person.post(f"{path}/decline")
    assert isinstance(issuance_of(town, path).state, Declined)
    assert events(issuer) == ["credential_deleted"]


def over_by_now(town: Town, issuer: LoginIssuer) -> None:
    """The first access token is over, for notifications too."""
    issuer.expired.add("token")

    def answer(request: HttpRequest) -> HttpResponse:
        if request.url.endswith("/notification") and (refusal := issuer._at_resource(request)) is not None:
            return refusal
        return issuer(request)

    town.network.hosts["issuer.example"] = answer


@pytest.mark.parametrize(("button", "event"), [("keep", "credential_accepted"), ("decline", "credential_deleted")])
def test_who_decides_late_is_reported_all_the_same(town: Town, button: str, event: str) -> None:
    issuer, person = with_login(town, mdocs=town.issuer.mdocs, rotates=True), browser(town)
    path = begin(issuer, person)
    over_by_now(town, issuer)
    town.clock.pass_by(timedelta(hours=2))
    person.get(path)
    person.post(f"{path}/{button}")
    assert events(issuer) == [event] * 2
    assert {grant_of(card) for card in cards(town)} == ({"refresh+"} if button == "keep" else set())
    assert issuer.refresh_token == "refresh+"
    # And nobody is in the way of who looks for changes next.
    assert {refresh(town, card) for card in cards(town)} <= {Refreshed.NEW}


def test_a_report_takes_nobody_the_refresh_token(town: Town) -> None:
    issuer, person = with_login(town, mdocs=town.issuer.mdocs, rotates=True), browser(town)
    first = begin(issuer, person, WHAT[:1])
    person.get(first)
    person.post(f"{first}/keep")
    path = begin(issuer, person, WHAT[1:])
    over_by_now(town, issuer)
    ports, now, (busy,) = town.wallet.card_ports(), town.clock.now(), cards(town)
    with ports.unit:
        assert ports.cards.claim_refresh(town.owner.id, busy.id, now, now + UNDER_WAY)
    person.get(path)
    person.post(f"{path}/keep")
    assert len(cards(town)) == 2
    assert issuer.refresh_token == "refresh"
    with ports.unit:
        assert not ports.cards.claim_refresh(town.owner.id, busy.id, now, now + UNDER_WAY)
