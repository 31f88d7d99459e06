"""Receiving that breaks in the middle: what came stays, and the rest is fetched when one goes on."""

from datetime import timedelta
from pathlib import Path

import pytest

from holder_app.issuance.states import Issuance, Preview, Signing
from holder_app.issuance.use_cases import show_issuance
from tests.simulators.issuer import ISSUER
from tests.support.browsing import Person, browser
from tests.support.logins import LoginIssuer, go_to_login, with_login
from tests.support.presentations import World
from tests.support.wallets import LICENCE, Town, new_town
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


def begin(issuer: LoginIssuer, person: Person) -> str:
    """Log in for two cards, and return the path of what came of it."""
    person.get("/add")
    person.get(f"/add/issuer?id={ISSUER}")
    person.post("/add", {"issuer": ISSUER, "configuration": WHAT})  # type: ignore[dict-item]
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
    assert [card.grant and card.grant.refresh_token for card in state.cards] == ["refresh+"] * 2
