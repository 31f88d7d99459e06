"""The wallet says that a card was suspended or revoked, and waits for nobody to say so."""

import asyncio
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from holder_app.cli_views import Words, card_json
from holder_app.credentials.ports import CardStatus
from holder_app.credentials.status import CHECK_AGAIN, WAIT_SECONDS, check_cards_soon
from holder_app.credentials.use_cases import list_cards
from tests.support.browsing import browser
from tests.support.presentations import Agency, new_ca
from tests.support.wallets import LICENCE, Town, new_verifier, receive, wait
from wallet_core.errors import FetchError
from wallet_core.http import HttpRequest, HttpResponse
from wallet_core.trust.status_list.array import new_array, with_statuses
from wallet_core.trust.status_list.cwt import create_status_list_cwt
from wallet_core.trust.status_list.reference import StatusReference
from wallet_core.trust.status_list.token import create_status_list_jwt, status_list_claims

URI = "https://lists.example/1"
JWT = "application/statuslist+jwt"


@dataclass
class Provider:
    """Serves the list of the town's agency."""

    town: Town
    statuses: dict[int, int] = field(default_factory=dict)
    signer: Agency | None = None
    down: bool = False
    asked: int = 0

    def __call__(self, request: HttpRequest) -> HttpResponse:
        self.asked += 1
        if self.down:
            raise FetchError("the other server could not be reached")
        now, agency = self.town.clock.now(), self.signer or self.town.world.agency
        claims = status_list_claims(
            with_statuses(bytes(new_array(16, 2)), 2, self.statuses),
            2,
            uri=request.url,
            issued_at=now,
            expires_at=now + timedelta(hours=1),
            ttl=timedelta(seconds=10),
        )
        body = create_status_list_jwt(claims, signer=agency.signer, x5c=agency.chain()).encode()
        return HttpResponse(200, {"content-type": JWT}, body)


@pytest.fixture
def provider(town: Town) -> Provider:
    found = Provider(town)
    town.network.hosts["lists.example"] = found
    town.issuer.changes = {"status": StatusReference(5, URI).to_json()}
    receive(town, LICENCE)
    return found


def check(town: Town) -> Any:
    wallet = town.wallet
    wait(check_cards_soon(wallet.card_ports, wallet.fetch, wallet.anchors, town.owner.id))
    ports = wallet.card_ports(read_only=True)
    with ports.unit:
        (card,) = ports.cards.of_account(town.owner.id)
    return card


def test_a_card_shows_that_it_was_suspended_and_that_it_is_good_again(provider: Provider, town: Town) -> None:
    person = browser(town)
    address = f"/cards/{check(town).id}"
    person.get(address)
    assert "지금 쓸 수 있어요" in person.text
    provider.statuses = {5: 2}
    town.clock.pass_by(CHECK_AGAIN)
    person.get(address)
    assert "기관이 정지한 카드예요" in person.text
    person.get("/")
    assert "정지됐어요" in person.text
    person.get("/?lang=en")
    assert "Suspended" in person.text
    provider.statuses = {}
    town.clock.pass_by(CHECK_AGAIN)
    person.get(f"{address}?lang=ko")
    assert "지금 쓸 수 있어요" in person.text


def test_an_mdoc_is_looked_up_in_its_own_form_of_list(town: Town) -> None:
    def answer(request: HttpRequest) -> HttpResponse:
        asked.append(request.headers["Accept"])
        now, agency = town.clock.now(), town.issuer.mdocs
        claims = status_list_claims(
            with_statuses(bytes(new_array(16, 1)), 1, {5: 1}),
            1,
            uri=request.url,
            issued_at=now,
            expires_at=now + timedelta(hours=1),
            ttl=timedelta(seconds=10),
        )
        body = create_status_list_cwt(claims, signer=agency.signer, x5chain=agency.chain())
        return HttpResponse(200, {"content-type": "application/statuslist+cwt"}, body)

    asked: list[str] = []
    town.network.hosts["lists.example"] = answer
    town.issuer.mdoc_changes = {"status": StatusReference(5, URI).to_json()}
    receive(town, LICENCE, formats=("mso_mdoc",))
    assert check(town).status is CardStatus.REVOKED
    assert asked == ["application/statuslist+cwt"]


@pytest.mark.parametrize("order", [1, -1])
def test_a_list_says_nothing_of_the_cards_of_another_issuer(provider: Provider, town: Town, order: int) -> None:
    provider.statuses = {5: 1}
    mine = check(town)
    other = Agency(town.world.issuer_ca, issuer="https://issuer.example/agencies/other")
    text = other.issue(town.world.holder, status=StatusReference(5, URI).to_json())
    theirs = replace(mine, id="theirs", copies=tuple(replace(copy, credential=text) for copy in mine.copies))
    town.clock.pass_by(CHECK_AGAIN)
    found: dict[str, CardStatus] = {}

    def set_status(_: str, card_id: str, status: CardStatus, *, checked_at: datetime) -> None:
        del checked_at
        found[card_id] = status

    cards = SimpleNamespace(of_account=lambda _: [mine, theirs][::order], set_status=set_status)
    ports: Any = SimpleNamespace(clock=town.clock, unit=nullcontext(), cards=cards)
    wait(check_cards_soon(lambda: ports, town.wallet.fetch, town.wallet.anchors, town.owner.id))
    assert found == {mine.id: CardStatus.REVOKED}


def test_before_a_revoked_card_is_sent_the_wallet_says_so(provider: Provider, town: Town) -> None:
    provider.statuses = {5: 1}
    person, verifier = browser(town), new_verifier(town, query_of_the_licence())
    person.get("/scan")
    person.post("/scan", {"link": verifier.link})
    person.post(f"{person.path}/fetch")
    assert "기관이 폐기한 카드예요" in person.text
    assert "보내도 받아 주지 않을 거예요" in person.text


def query_of_the_licence() -> dict[str, Any]:
    licence = {"id": "licence", "format": "dc+sd-jwt", "meta": {"vct_values": [LICENCE.vct]}}
    return {"credentials": [{**licence, "claims": [{"path": ["name"]}]}]}


def test_reloading_asks_nobody_again_at_once(provider: Provider, town: Town) -> None:
    check(town)
    check(town)
    assert provider.asked == 1
    town.clock.pass_by(CHECK_AGAIN)
    check(town)
    assert provider.asked == 2


def test_what_was_learnt_stays_while_the_issuer_is_away(provider: Provider, town: Town) -> None:
    provider.statuses = {5: 2}
    assert check(town).status is CardStatus.SUSPENDED
    provider.down, provider.statuses = True, {}
    town.clock.pass_by(timedelta(days=1))
    assert check(town).status is CardStatus.SUSPENDED


@pytest.mark.parametrize("who", ["another agency", "another ca"])
def test_a_list_of_somebody_else_says_nothing(provider: Provider, town: Town, who: str) -> None:
    provider.statuses = {5: 1}
    if who == "another ca":
        provider.signer = Agency(new_ca())
    else:
        provider.signer = Agency(town.world.issuer_ca, issuer="https://issuer.example/agencies/other")
    assert check(town).status is None


def test_a_dead_issuer_holds_no_page_up(provider: Provider, town: Town) -> None:
    class Silent:
        async def arun(self, flow: Any) -> Any:
            del flow
            await asyncio.sleep(60)

    wallet = town.wallet

    async def timed() -> float:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        await check_cards_soon(wallet.card_ports, Silent(), wallet.anchors, town.owner.id)
        return loop.time() - begun

    assert wait(timed()) < WAIT_SECONDS + 5


def test_a_card_without_status_is_not_asked_about(town: Town) -> None:
    receive(town, LICENCE)
    before = len(town.network.seen)
    assert check(town).status is None
    assert len(town.network.seen) == before


def test_the_command_line_says_it_too(provider: Provider, town: Town) -> None:
    provider.statuses = {5: 2}
    check(town)
    words = Words("en")
    (card,) = list_cards(town.wallet.card_ports(read_only=True), town.owner.id)
    assert words.card_line(card).endswith("suspended by its issuer")
    assert card_json(card)["state"] == "suspended"
