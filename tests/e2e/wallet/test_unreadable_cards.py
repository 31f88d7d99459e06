"""A card that cannot be read any more is shown as such, is in no other card's way, and can be deleted."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

import holder_app.home
from holder_app.cli import app
from holder_app.cli_views import Words, record_json
from holder_app.credentials.describe import CardState
from holder_app.credentials.ports import RecordKind
from holder_app.credentials.use_cases import delete_card, list_cards, list_history, show_card
from holder_app.dependencies import create_wallet
from holder_app.presentation import use_cases
from holder_app.presentation.states import Answered
from holder_app.settings import WalletSettings
from tests.simulators.issuer import ISSUER
from tests.support.browsing import browser
from tests.support.damaging import WAYS, damage
from tests.support.logins import choose_licence, go_to_login, with_login
from tests.support.presentations import World
from tests.support.wallets import (
    LICENCE,
    NAME,
    IssuingIssuer,
    Town,
    agree,
    new_town,
    new_verifier,
    receive,
    reviewed,
)
from wallet_core.adapters.keystore import new_key_text
from wallet_core.errors import NotFound
from wallet_core.spec_versions import FORMAT_MDOC, FORMAT_SD_JWT_VC

EITHER = {
    "credentials": [
        {"id": "licence", "format": FORMAT_SD_JWT_VC, "meta": {"vct_values": [LICENCE.vct]}},
    ]
}


@pytest.fixture
def town(tmp_path: Path, world: World) -> Town:
    return new_town(tmp_path, world, issuers=(ISSUER,))


def with_a_bad_one(town: Town, way: str) -> tuple[str, str]:
    """Two licences, of which the newer one cannot be read; the ids of it and of the good one."""
    receive(town, LICENCE)
    [good] = list_cards(town.wallet.card_ports(), town.owner.id)
    receive(town, LICENCE)
    [bad] = [card for card in list_cards(town.wallet.card_ports(), town.owner.id) if card.id != good.id]
    damage(town.wallet, bad.id, way)
    return bad.id, good.id


@pytest.mark.parametrize("way", WAYS)
def test_the_list_shows_it_beside_the_good_ones(town: Town, way: str) -> None:
    bad, good = with_a_bad_one(town, way)
    cards = {card.id: card for card in list_cards(town.wallet.card_ports(), town.owner.id)}
    assert (cards[bad].state, cards[bad].fields) == (CardState.UNREADABLE, ())
    assert (cards[bad].name["ko"], cards[good].state) == (LICENCE.name.ko, CardState.USABLE)
    assert NAME in [field.value for field in cards[good].fields]
    person = browser(town)
    assert person.get("/").status_code == 200
    assert "읽을 수 없어요" in person.text
    assert person.get(f"/cards/{bad}").status_code == 200
    assert "지우고 시험경찰청 (시험용)에서 다시 받아 주세요" in person.text


@pytest.mark.parametrize("way", WAYS)
def test_it_can_be_deleted(town: Town, way: str) -> None:
    bad, good = with_a_bad_one(town, way)
    person = browser(town)
    assert person.get(f"/cards/{bad}/delete").status_code == 200
    person.post(f"/cards/{bad}/delete")
    assert [card.id for card in list_cards(town.wallet.card_ports(), town.owner.id)] == [good]
    assert len(list_history(town.wallet.card_ports(), town.owner.id, [RecordKind.DELETED])) == 1
    with pytest.raises(NotFound):
        delete_card(town.wallet.card_ports(), town.owner.id, bad)


@pytest.mark.parametrize("format_", [FORMAT_SD_JWT_VC, FORMAT_MDOC])
@pytest.mark.parametrize("way", WAYS)
def test_an_unreadable_card_of_either_format(town: Town, way: str, format_: str) -> None:
    receive(town, LICENCE, formats=(format_,))
    [card] = list_cards(town.wallet.card_ports(), town.owner.id)
    damage(town.wallet, card.id, way)
    assert show_card(town.wallet.card_ports(), town.owner.id, card.id).state is CardState.UNREADABLE


@pytest.mark.parametrize("way", WAYS)
def test_a_request_is_answered_with_the_good_card(town: Town, way: str) -> None:
    _, good = with_a_bad_one(town, way)
    presentation = reviewed(town, new_verifier(town, EITHER))
    view = use_cases.review_request(town.wallet.presentation_ports(), presentation)
    picks = [pick for alternative in view.groups[0].alternatives for pick in alternative]
    assert [pick.card_id for pick in picks] == [good]
    assert isinstance(agree(town, presentation).state, Answered)
    delete_card(town.wallet.card_ports(), town.owner.id, good)
    view = use_cases.review_request(town.wallet.presentation_ports(), reviewed(town, new_verifier(town, EITHER)))
    assert not view.satisfiable


def test_a_card_is_as_good_as_the_copies_that_can_be_opened(town: Town) -> None:
    receive(town, LICENCE)
    [card] = list_cards(town.wallet.card_ports(), town.owner.id)
    damage(town.wallet, card.id, "lost key", copies=2)
    view = show_card(town.wallet.card_ports(), town.owner.id, card.id)
    assert (view.state, view.copies, view.copies_left) == (CardState.USABLE, 1, 1)
    assert isinstance(agree(town, reviewed(town, new_verifier(town, EITHER))).state, Answered)


@pytest.fixture
def command(town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run ``jigap wallet`` over the town's wallet."""

    def in_town(settings: WalletSettings) -> Any:
        return create_wallet(town.wallet.settings, fetch=town.network, clock=town.clock)

    monkeypatch.setattr(holder_app.home, "create_wallet", in_town)
    monkeypatch.setattr(holder_app.home, "OWNER", town.owner.id)

    def run(*arguments: str) -> Any:
        result = CliRunner().invoke(app, [*arguments, "--home", str(tmp_path / "home")])
        assert result.exit_code == 0, (result.exception, result.output)
        return json.loads(result.stdout) if "--json" in arguments else " ".join(result.stderr.split())

    return run


@pytest.mark.parametrize("way", WAYS)
def test_the_command_line_says_the_same(town: Town, command: Any, way: str) -> None:
    bad, good = with_a_bad_one(town, way)
    what_to_do = {
        "en": "cannot be read: delete it and get it again from the agency",
        "ko": "읽을 수 없어요. 지우고 기관에서 다시 받아 주세요",
    }
    for language, words in what_to_do.items():
        assert command("list", "--lang", language).count(words) == 1
        assert f"! {words}" in command("show", bad, "--lang", language)
        assert words not in command("show", good, "--lang", language)
    listed = command("list", "--json")["cards"]
    assert {card["id"]: (card["state"], bool(card["claims"])) for card in listed} == {
        bad: ("unreadable", False),
        good: ("usable", True),
    }
    command("delete", bad, "--yes")
    assert [card["id"] for card in command("list", "--json")["cards"]] == [good]


def with_later_key(town: Town, version: int) -> Town:
    """The same wallet with its first key and a new one, which seals."""
    first = town.wallet.settings.sealing_key
    assert first is not None
    keys = f"{first.get_secret_value().split()[0]} {version}:{new_key_text()[2:]}"
    settings = town.wallet.settings.model_copy(update={"sealing_key": SecretStr(keys)})
    return replace(town, wallet=create_wallet(settings, fetch=town.network, clock=town.clock))


def test_after_a_later_key_is_lost_the_wallet_goes_on_with_what_is_new(town: Town) -> None:
    issuer, before = with_login(town, deferrals=1), with_later_key(town, 2)
    person = browser(before)
    path = choose_licence(person)
    person.get(f"/callback?{issuer.approve(go_to_login(person, path))}")
    assert "심사하고 있어요" in person.text
    before.issuer = town.network.hosts["issuer.example"] = IssuingIssuer(agency=town.world.agency)
    receive(before, LICENCE)
    after = replace(with_later_key(town, 3), issuer=before.issuer)
    receive(after, LICENCE)
    ports = after.wallet.card_ports()
    assert sorted(card.state for card in list_cards(ports, town.owner.id)) == ["unreadable", "usable"]
    old, new = sorted(list_history(ports, town.owner.id), key=lambda record: record.is_readable)
    assert (old.is_readable, old.kind, old.body) == (False, RecordKind.RECEIVED, {})
    assert new.body["cards"]
    visitor = browser(after)
    assert visitor.get("/").status_code == 200
    assert "심사를 기다려요" not in visitor.text
    assert "내용을 읽을 수 없는 기록이에요" in visitor.text
    assert visitor.get(f"/history/{old.id}").status_code == 200
    assert "읽을 수 없는 기록이에요" in visitor.text
    assert "내용을 읽을 수 없어요" in Words("ko").record(old)
    assert record_json(old)["readable"] is False
    assert "readable" not in record_json(new)
    assert isinstance(agree(after, reviewed(after, new_verifier(after, EITHER))).state, Answered)
