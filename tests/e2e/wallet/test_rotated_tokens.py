"""A refresh token that an agency rotates: cards that came, and what is still waited for, go on with the new one."""

from datetime import timedelta
from pathlib import Path

import pytest

from holder_app.credentials.ports import Card
from holder_app.credentials.refreshing import Refreshed, refresh_card
from holder_app.issuance.states import Waiting
from holder_app.issuance.use_cases import show_issuance
from tests.simulators.issuer import ISSUER
from tests.support.browsing import Person, browser
from tests.support.logins import LoginIssuer, go_to_login, with_login
from tests.support.presentations import World
from tests.support.wallets import LICENCE, Town, new_town, wait
from wallet_core.errors import FetchError
from wallet_core.http import HttpResponse

INTERVAL = timedelta(seconds=61)
WHAT = [entry.configuration_id for entry in LICENCE.formats]


@pytest.fixture
def town(tmp_path: Path, world: World) -> Town:
    return new_town(tmp_path, world, issuers=(ISSUER,))


def waiting_for(town: Town, issuer: LoginIssuer, person: Person, wanted: list[str]) -> str:
    """Log in for cards of which the first is put off; the path of what is waited for."""
    issuer.deferrals = 1
    person.get("/add")
    person.get(f"/add/issuer?id={ISSUER}")
    person.post("/add", {"issuer": ISSUER, "configuration": wanted})  # type: ignore[dict-item]
    path = person.path
    person.get(f"/callback?{issuer.approve(go_to_login(person, path))}")
    if len(wanted) > 1:
        person.post(f"{path}/keep")
    person.get(path)
    issuer.rotates = True
    return path


def state_of(town: Town, path: str) -> Waiting:
    state = show_issuance(town.wallet.issuance_ports(), town.owner.id, path.rpartition("/")[2]).state
    assert isinstance(state, Waiting)
    return state


def cards(town: Town) -> list[Card]:
    ports = town.wallet.card_ports(read_only=True)
    with ports.unit:
        return list(ports.cards.of_account(town.owner.id))


@pytest.mark.parametrize("unreachable", [True, False])
def test_a_renewed_token_is_kept_although_the_next_answer_is_none(town: Town, unreachable: bool) -> None:  # noqa: FBT001
    issuer, person = with_login(town, mdocs=town.issuer.mdocs), browser(town)
    path = waiting_for(town, issuer, person, WHAT[:1])
    issuer.expired.add("token")
    later = issuer.issue_later

    def trouble() -> HttpResponse:
        if unreachable:
            raise FetchError("the other server could not be reached")
        return HttpResponse(500)

    issuer.issue_later = trouble  # type: ignore[method-assign]
    town.clock.pass_by(INTERVAL)
    person.post(f"{path}/ask")
    assert "답을 듣지 못했어요" in person.text
    token = state_of(town, path).issued.token
    assert (token.access_token, token.refresh_token) == ("fresh", "refresh+")
    issuer.issue_later = later  # type: ignore[method-assign]
    town.clock.pass_by(timedelta(minutes=11))
    person.post(f"{path}/ask")
    assert "지갑에 넣었어요" in person.text


def test_who_stops_waiting_while_the_token_is_renewed_does_not_lose_it_for_the_cards(town: Town) -> None:
    issuer, person = with_login(town, mdocs=town.issuer.mdocs), browser(town)
    path = waiting_for(town, issuer, person, WHAT)
    issuer.expired.add("token")
    refreshed = issuer._refreshed

    def declined(form: dict[str, str]) -> HttpResponse:
        other = browser(town)
        other.get(path)
        other.post(f"{path}/decline")
        return refreshed(form)

    issuer._refreshed = declined  # type: ignore[method-assign]
    town.clock.pass_by(INTERVAL)
    person.post(f"{path}/ask")
    assert issuer.called("/deferred") == 1
    assert [card.grant and card.grant.refresh_token for card in cards(town)] == ["refresh+"]


def test_what_is_waited_for_and_what_came_use_one_token(town: Town) -> None:
    issuer, person = with_login(town, mdocs=town.issuer.mdocs), browser(town)
    path = waiting_for(town, issuer, person, WHAT)
    # The card that came renews the token: who waits goes on with the new one,
    [card] = cards(town)
    done = wait(refresh_card(town.wallet.card_ports, town.wallet.reissuer(), town.owner.id, card.id, asked=True))
    assert done is Refreshed.NEW
    issuer.expired.add("token")
    town.clock.pass_by(INTERVAL)
    issuer.deferrals = 1
    person.post(f"{path}/ask")
    # and what it renews then is the card's too.
    assert [one.grant and one.grant.refresh_token for one in cards(town)] == ["refresh++"]
    assert state_of(town, path).issued.token.refresh_token == "refresh++"
    town.clock.pass_by(INTERVAL)
    person.post(f"{path}/ask")
    assert "지갑에 넣었어요" in person.text
    assert [one.grant and one.grant.refresh_token for one in cards(town)] == ["refresh++"] * 2
