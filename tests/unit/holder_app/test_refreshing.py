"""Copies are used once, and new ones come before they run out, before they end, and after a change."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from holder_app.credentials.keys import card_from_json, card_to_json
from holder_app.credentials.ports import Card, CardStatus, RecordKind
from holder_app.credentials.refreshing import (
    HIDE_USE,
    LOOK_AGAIN,
    RENEW_WITHIN,
    RETRY,
    Refreshed,
    next_refresh,
    refill_time,
    refresh_card,
    renewal_time,
    runs_low,
)
from holder_app.credentials.use_cases import claims_of, delete_card, list_history
from holder_app.ports import UNDER_WAY
from holder_app.tasks import create_worker
from tests.support.damaging import WAYS, damage
from tests.support.refreshing import RefreshingIssuer, refresh, refreshing, the_card, use
from tests.support.wallets import CATALOGUE, LICENCE, NAME, Town, receive, wait
from wallet_core.errors import NotFound
from wallet_core.http import HttpRequest, HttpResponse
from wallet_core.keys.jwk import thumbprint

HOUR = timedelta(hours=1)


@pytest.fixture
def issuer(town: Town) -> RefreshingIssuer:
    """An agency with refresh tokens, and a licence of it in the wallet."""
    found = refreshing(town, LICENCE)
    assert len(the_card(town).copies) == 3
    # It gave three at first, by its metadata of then.
    assert refresh(town, asked=True) is Refreshed.NEW
    return found


def keys_of(card: Card) -> set[bytes]:
    return {thumbprint(copy.signer.public_key) for copy in card.copies}


def history(town: Town) -> list[Any]:
    return list(list_history(town.wallet.card_ports(read_only=True), town.owner.id, (RecordKind.UPDATED,)))


@pytest.mark.clause("haip-4-copy-once")
def test_each_copy_is_next_once_and_then_always_the_last(town: Town, issuer: RefreshingIssuer) -> None:
    shown = []
    for _ in range(13):
        shown.append(the_card(town).next_copy.id)
        use(town, 1)
    assert len(set(shown[:10])) == 10
    assert set(shown[9:]) == {shown[9]}


@pytest.mark.clause("haip-4-taken-once")
def test_a_copy_that_was_read_twice_is_taken_once(town: Town, issuer: RefreshingIssuer) -> None:
    copy = the_card(town).next_copy
    taken = []
    for _ in range(2):
        ports = town.wallet.card_ports()
        with ports.unit:
            taken.append(ports.cards.take(town.owner.id, copy))
    assert taken == [True, False]


def test_a_card_has_as_many_copies_as_the_catalogue_says(town: Town, issuer: RefreshingIssuer) -> None:
    assert len(the_card(town).copies) == LICENCE.issuance.copies == 10


@pytest.mark.parametrize(("copies", "low"), [(1, 1), (3, 1), (10, 3)])
def test_a_third_is_left_when_it_is_time(town: Town, issuer: RefreshingIssuer, copies: int, low: int) -> None:
    card = the_card(town)
    some = replace(card, copies=card.copies[:copies])
    assert not runs_low(some) or copies == 1
    used = tuple(replace(copy, uses=1) for copy in some.copies[low:])
    assert runs_low(replace(some, copies=used + some.copies[:low]))


def test_copies_are_refilled_at_a_time_that_says_nothing_about_the_use(town: Town, issuer: RefreshingIssuer) -> None:
    use(town, 6)
    card, now = the_card(town), town.clock.now()
    assert refill_time(card, now, bytes) == now
    assert refill_time(card, now, lambda size: b"\xff" * size) > now + HIDE_USE * 0.9
    assert refill_time(replace(card, grant=None), now, bytes) is None
    full = replace(card, copies=tuple(replace(copy, uses=0) for copy in card.copies))
    assert refill_time(full, now, bytes) is None
    last = replace(card, copies=card.copies[-1:])
    assert refill_time(last, now, lambda size: b"\xff" * size) == now


def test_when_the_issuer_is_asked_again(town: Town, issuer: RefreshingIssuer) -> None:
    card, now = the_card(town), town.clock.now()
    assert next_refresh(card, now, bytes) == now + LOOK_AGAIN * 0.9
    assert next_refresh(card, now, lambda size: b"\xff" * size) < now + LOOK_AGAIN * 1.1
    assert next_refresh(replace(card, grant=None), now, bytes) is None
    assert next_refresh(replace(card, expires_at=None), now, bytes) == now + LOOK_AGAIN * 0.9
    soon = replace(card, expires_at=now + timedelta(days=4))
    assert next_refresh(soon, now, bytes) == renewal_time(soon) == now + timedelta(days=2)
    far = replace(card, expires_at=now + timedelta(days=100))
    assert renewal_time(far) == now + timedelta(days=100) - RENEW_WITHIN
    assert renewal_time(replace(card, expires_at=None)) is None


def test_a_look_that_finds_nothing_costs_one_copy_and_keeps_it(town: Town, issuer: RefreshingIssuer) -> None:
    use(town, 2)
    before = the_card(town)
    assert refresh(town) is Refreshed.SAME
    after = the_card(town)
    assert len(after.copies) == 11
    assert keys_of(before) < keys_of(after)
    assert after.refresh_at
    assert after.refresh_at > town.clock.now() + HOUR
    # There is room for no more unused ones than the card had.
    assert refresh(town) is Refreshed.SAME
    assert refresh(town) is Refreshed.SAME
    assert len(the_card(town).unused) == 10
    assert history(town) == []


def test_used_copies_are_replaced_by_a_whole_batch(town: Town, issuer: RefreshingIssuer) -> None:
    use(town, 7)
    before = the_card(town)
    assert refresh(town) is Refreshed.NEW
    after = the_card(town)
    assert len(after.copies) == len(after.unused) == 10
    assert not keys_of(before) & keys_of(after)
    assert issuer.called("/notification") >= 1
    assert history(town) == []


def test_what_changed_is_seen_by_a_look_and_all_copies_are_replaced(town: Town, issuer: RefreshingIssuer) -> None:
    before = the_card(town)
    issuer.said = {"name": "한새봄"}
    assert refresh(town) is Refreshed.CHANGED
    after = the_card(town)
    assert claims_of(after)["name"] == "한새봄"
    assert len(after.copies) == 10
    assert not keys_of(before) & keys_of(after)
    (record,) = history(town)
    assert [label["en"] for label in record.body["changed"]] == ["Name"]
    assert refresh(town) is Refreshed.SAME


def test_before_its_end_a_card_is_renewed(town: Town, issuer: RefreshingIssuer) -> None:
    before = the_card(town)
    renew = renewal_time(before)
    assert renew is not None
    town.clock.pass_by(renew - town.clock.now())
    issuer.agency = replace(issuer.agency, now=town.clock.now())
    assert refresh(town) is Refreshed.NEW
    after = the_card(town)
    assert after.expires_at > before.expires_at
    assert after.received_at == before.received_at
    assert after.refreshed_at == town.clock.now()


def test_after_it_was_revoked_it_is_asked_about_once(town: Town, issuer: RefreshingIssuer) -> None:
    mark_revoked(town)
    issuer.refuse = {"/agencies/police/credential": refusal("credential_request_denied")}
    assert refresh(town) is Refreshed.OVER
    card = the_card(town)
    assert card.refresh_at is None
    assert card.grant is not None
    issuer.refuse = {}
    assert refresh(town, asked=True) is Refreshed.NEW
    assert the_card(town).status is None
    assert [record.body["changed"] for record in history(town)] == [[]]


def mark_revoked(town: Town) -> None:
    ports = town.wallet.card_ports()
    with ports.unit:
        ports.cards.set_status(town.owner.id, the_card_id(ports, town), CardStatus.REVOKED, checked_at=town.clock.now())


def the_card_id(ports: Any, town: Town) -> str:
    return str(ports.cards.of_account(town.owner.id)[0].id)


def refusal(error: str) -> HttpResponse:
    return HttpResponse(400, {"content-type": "application/json"}, f'{{"error":"{error}"}}'.encode())


@pytest.mark.parametrize("error", ["invalid_grant", "unauthorized_client"])
def test_a_grant_that_is_over_is_forgotten(town: Town, issuer: RefreshingIssuer, error: str) -> None:
    issuer.over = error
    assert refresh(town) is Refreshed.OVER
    card = the_card(town)
    assert (card.grant, card.refresh_at) == (None, None)
    assert len(card.copies) == 10
    assert refresh(town) is Refreshed.NO_GRANT


def test_a_wallet_that_the_issuer_does_not_know_for_a_while_keeps_its_grants(
    town: Town, issuer: RefreshingIssuer
) -> None:
    issuer.over = "invalid_client"
    assert refresh(town) is Refreshed.LATER
    assert the_card(town).refresh_at == town.clock.now() + LOOK_AGAIN
    issuer.over = ""
    assert refresh(town) is Refreshed.SAME


def test_an_issuer_that_is_away_is_asked_again(town: Town, issuer: RefreshingIssuer) -> None:
    issuer.down = "/credential"
    before = the_card(town)
    assert refresh(town) is Refreshed.LATER
    card = the_card(town)
    assert keys_of(card) == keys_of(before)
    assert card.refresh_at == town.clock.now() + RETRY
    issuer.down = ""
    assert refresh(town) is Refreshed.SAME


def test_an_agency_that_decides_later_is_not_asked_all_the_time(town: Town, issuer: RefreshingIssuer) -> None:
    issuer.metadata["deferred_credential_endpoint"] = "https://issuer.example/agencies/police/deferred"
    answer = b'{"transaction_id":"t","interval":5}'
    issuer.refuse = {"/agencies/police/credential": HttpResponse(202, {"content-type": "application/json"}, answer)}
    assert refresh(town) is Refreshed.LATER
    assert the_card(town).refresh_at == town.clock.now() + LOOK_AGAIN


@pytest.mark.clause("vci-8.3-key-once")
@pytest.mark.parametrize("how", ["another key", "another type", "another agency", "no copy"])
def test_old_copies_stay_until_the_new_ones_are_verified(town: Town, issuer: RefreshingIssuer, how: str) -> None:
    before = the_card(town)
    if how == "another key":
        issuer.holder_key = before.copies[0].signer
    elif how == "another type":
        issuer.changes = {"vct": "urn:example:other"}
    elif how == "another agency":
        issuer.changes = {"issuer": "https://issuer.example/agencies/other"}
    else:
        issuer.refuse = {"/agencies/police/credential": HttpResponse(200, {"content-type": "application/json"}, b"{}")}
    assert refresh(town, asked=True) is Refreshed.LATER
    after = the_card(town)
    assert keys_of(after) == keys_of(before)
    assert after.refresh_at == town.clock.now() + RETRY


@pytest.mark.clause("vci-8.3-key-once")
def test_two_new_copies_with_one_key_are_refused(town: Town, issuer: RefreshingIssuer) -> None:
    real, first = issuer.sign, []

    def sign(kind: Any, jwk: Any) -> str:
        first.append(jwk)
        return real(kind, first[0])

    issuer.sign = sign  # type: ignore[method-assign]
    before = the_card(town)
    assert refresh(town, asked=True) is Refreshed.LATER
    assert keys_of(the_card(town)) == keys_of(before)


@pytest.mark.clause("vci-12.2.4-same-server")
def test_a_refresh_token_goes_to_no_other_server(town: Town, issuer: RefreshingIssuer) -> None:
    issuer.metadata["authorization_servers"] = ["https://elsewhere.example"]
    asked = len(issuer.seen)
    assert refresh(town) is Refreshed.LATER
    assert [request.method for request in issuer.seen[asked:]] == ["GET"]
    assert not any("elsewhere" in request.url for request in town.network.seen)


def test_another_refresh_token_is_kept_before_anything_else_is_sent(town: Town, issuer: RefreshingIssuer) -> None:
    issuer.rotates, issuer.down = True, "/credential"
    assert refresh(town) is Refreshed.LATER
    grant = the_card(town).grant
    assert grant is not None
    assert grant.refresh_token == issuer.refresh_token == "refresh-1+"
    issuer.down, issuer.said = "", {"name": "한새봄"}
    # A look and a whole batch: each with the token of its time.
    assert refresh(town) is Refreshed.CHANGED
    assert issuer.refresh_token == "refresh-1+++"


def two_cards(town: Town) -> tuple[RefreshingIssuer, list[Card]]:
    """Two cards that came together, from an agency that gives another refresh token each time."""
    issuer = refreshing(town, LICENCE, CATALOGUE.types["resident-card"])
    issuer.rotates = True
    return issuer, cards_of(town)


def cards_of(town: Town) -> list[Card]:
    ports = town.wallet.card_ports(read_only=True)
    with ports.unit:
        return list(ports.cards.of_account(town.owner.id))


def refresh_one(town: Town, card: Card) -> Refreshed:
    wallet = town.wallet
    return wait(refresh_card(wallet.card_ports, wallet.reissuer(), town.owner.id, card.id, asked=True))


def test_cards_that_came_together_go_on_with_one_refresh_token(town: Town) -> None:
    issuer, cards = two_cards(town)
    assert [refresh_one(town, card) for card in cards * 2] == [Refreshed.NEW] * 4
    assert issuer.refresh_token == "refresh-1++++"
    assert [card.grant and card.grant.refresh_token for card in cards_of(town)] == [issuer.refresh_token] * 2


def token_of(town: Town) -> str:
    grant = the_card(town).grant
    assert grant is not None
    return grant.refresh_token


@pytest.mark.parametrize("change", [{"account_id": "hana"}, {"issuer": "https://other.example"}, {"old": "refresh-2"}])
def test_a_new_token_goes_to_no_other_card(town: Town, issuer: RefreshingIssuer, change: dict[str, str]) -> None:
    card, ports = the_card(town), town.wallet.card_ports()
    asked: dict[str, Any] = {"account_id": card.account_id, "issuer": card.issuer, "old": "refresh-1", "new": "new"}
    with ports.unit:
        ports.cards.rotate_token(**{**asked, **change})
    assert token_of(town) == "refresh-1"
    with ports.unit:
        ports.cards.rotate_token(**asked)
    assert token_of(town) == "new"


def test_two_cards_of_one_issuer_are_not_refreshed_at_once(town: Town) -> None:
    issuer, (one, other) = two_cards(town)
    ports, now = town.wallet.card_ports(), town.clock.now()
    with ports.unit:
        assert ports.cards.claim_refresh(town.owner.id, one.id, now, now + UNDER_WAY)
    asked = len(issuer.seen)
    assert refresh_one(town, other) is Refreshed.LATER
    assert len(issuer.seen) == asked
    with ports.unit:
        ports.cards.plan_refresh(town.owner.id, one.id, now + HOUR)
    assert refresh_one(town, other) is Refreshed.NEW


def test_a_refusal_of_the_token_before_the_renewed_one_ends_nothing(town: Town, issuer: RefreshingIssuer) -> None:
    card = the_card(town)

    def renewed_meanwhile(request: HttpRequest) -> HttpResponse:
        if request.url.endswith("/token"):
            ports = town.wallet.card_ports()
            with ports.unit:
                ports.cards.rotate_token(card.account_id, card.issuer, "refresh-1", "refresh-1+")
            issuer.refresh_token = "refresh-1+"
        return issuer(request)

    town.network.hosts["issuer.example"] = renewed_meanwhile
    assert refresh(town) is Refreshed.LATER
    after = the_card(town)
    assert after.grant is not None
    assert (after.grant.refresh_token, after.refresh_at) == ("refresh-1+", town.clock.now() + RETRY)
    town.network.hosts["issuer.example"] = issuer
    assert refresh(town) is Refreshed.SAME


@pytest.mark.parametrize("way", WAYS)
def test_a_card_that_cannot_be_read_is_mended_by_new_copies(town: Town, issuer: RefreshingIssuer, way: str) -> None:
    damage(town.wallet, the_card(town).id, way)
    assert refresh(town) is Refreshed.NEW
    after = the_card(town)
    assert claims_of(after)["name"] == NAME
    assert len(after.copies) == 10
    assert history(town) == []


def test_a_grant_that_cannot_be_opened_is_not_tried_all_the_time(town: Town, issuer: RefreshingIssuer) -> None:
    damage(town.wallet, the_card(town).id, "damaged", copies=0, grant=True)
    assert len(the_card(town).copies) == 10
    assert refresh(town) is Refreshed.NO_GRANT
    assert the_card(town).refresh_at == town.clock.now() + LOOK_AGAIN


def test_a_new_token_is_kept_beside_a_grant_that_cannot_be_opened(town: Town) -> None:
    issuer, (one, other) = two_cards(town)
    damage(town.wallet, other.id, "damaged", copies=0, grant=True)
    assert refresh_one(town, one) is Refreshed.NEW
    assert {card.id: card.grant and card.grant.refresh_token for card in cards_of(town)} == {
        one.id: issuer.refresh_token,
        other.id: None,
    }


def test_of_two_that_refresh_one_does_it(town: Town, issuer: RefreshingIssuer) -> None:
    ports, card = town.wallet.card_ports(), the_card(town)
    now = town.clock.now()
    with ports.unit:
        assert ports.cards.claim_refresh(town.owner.id, card.id, now, now + UNDER_WAY)
    asked = len(issuer.seen)
    assert refresh(town, asked=True) is Refreshed.LATER
    assert len(issuer.seen) == asked
    # Who died while at it holds nobody up for long.
    town.clock.pass_by(UNDER_WAY)
    assert refresh(town) is Refreshed.SAME


def test_a_card_deleted_meanwhile_stays_deleted(town: Town, issuer: RefreshingIssuer) -> None:
    card_id = the_card(town).id

    def delete() -> None:
        issuer.before_copies = None
        delete_card(town.wallet.card_ports(), town.owner.id, card_id)

    issuer.before_copies = delete
    assert refresh(town) is Refreshed.LATER
    ports = town.wallet.card_ports(read_only=True)
    with ports.unit:
        assert ports.cards.of_account(town.owner.id) == []
    with pytest.raises(NotFound):
        wait(refresh_card(town.wallet.card_ports, town.wallet.reissuer(), town.owner.id, card_id))


def test_a_copy_shown_while_new_ones_are_fetched_is_gone_with_the_others(town: Town, issuer: RefreshingIssuer) -> None:
    stale = the_card(town).next_copy
    refresh(town, asked=True)
    ports = town.wallet.card_ports()
    with ports.unit:
        assert not ports.cards.take(town.owner.id, stale)


def test_the_worker_refreshes_what_is_due(town: Town, issuer: RefreshingIssuer) -> None:
    before = the_card(town)
    create_worker(town.wallet).run_due()
    assert keys_of(the_card(town)) == keys_of(before)
    use(town, 8)
    ports = town.wallet.card_ports()
    with ports.unit:
        ports.cards.refresh_soon(town.owner.id, before.id, town.clock.now())
    with town.wallet.database.unit() as unit:
        unit.connection.exec_driver_sql("UPDATE wallet_cron SET next_at = 0")
    create_worker(town.wallet).run_due()
    after = the_card(town)
    assert len(after.unused) == 10
    assert after.refresh_at
    assert after.refresh_at > town.clock.now()


def test_a_card_without_grant_is_never_due(town: Town) -> None:
    receive(town, LICENCE)
    card, ports = the_card(town), town.wallet.card_ports()
    with ports.unit:
        ports.cards.refresh_soon(town.owner.id, card.id, town.clock.now())
        assert ports.cards.due(town.clock.now() + timedelta(days=1000), 10) == []
    assert refresh(town) is Refreshed.NO_GRANT


def test_refreshing_sooner_never_moves_it_later(town: Town, issuer: RefreshingIssuer) -> None:
    card, ports = the_card(town), town.wallet.card_ports()
    at: datetime = town.clock.now() + HOUR
    with ports.unit:
        ports.cards.refresh_soon(town.owner.id, card.id, at)
        ports.cards.refresh_soon(town.owner.id, card.id, at + HOUR)
    assert the_card(town).refresh_at == at


def test_a_card_survives_a_pause_with_its_grant(town: Town, issuer: RefreshingIssuer) -> None:
    card = the_card(town)
    again = card_from_json(card_to_json(card))
    assert again.grant is not None
    assert card.grant is not None
    assert again.grant.instance is not None
    assert card.grant.instance is not None
    assert again.grant.instance.public_key == card.grant.instance.public_key
    assert replace(again.grant, instance=None) == replace(card.grant, instance=None)
    assert again.refresh_at == card.refresh_at


def test_the_grant_lies_sealed(town: Town, issuer: RefreshingIssuer) -> None:
    with town.wallet.database.reader() as unit:
        (sealed,) = unit.connection.exec_driver_sql("SELECT sealed_grant FROM wallet_card").one()
    assert issuer.refresh_token.encode() not in sealed


def test_a_cancelled_refresh_leaves_the_card_as_it_is(town: Town, issuer: RefreshingIssuer) -> None:
    class Silent:
        async def fetch(self, *_: Any) -> Any:
            await asyncio.sleep(60)

    async def give_up() -> None:
        wallet = town.wallet
        async with asyncio.timeout(0.05):
            await refresh_card(wallet.card_ports, Silent(), town.owner.id, the_card(town).id)  # type: ignore[arg-type]

    before = the_card(town)
    with pytest.raises(TimeoutError):
        wait(give_up())
    assert keys_of(the_card(town)) == keys_of(before)


def test_keys_that_must_be_attested_by_now_and_cannot_be_are_asked_for_later(
    town: Town, issuer: RefreshingIssuer
) -> None:
    before = the_card(town)
    for configuration in issuer.metadata["credential_configurations_supported"].values():
        configuration["proof_types_supported"]["jwt"]["key_attestations_required"] = {}
    assert refresh(town, asked=True) is Refreshed.LATER
    assert keys_of(the_card(town)) == keys_of(before)
    assert the_card(town).refresh_at == town.clock.now() + RETRY
