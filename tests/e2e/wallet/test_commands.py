"""The command-line wallet, with an agency and a company in memory in place of the network."""

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from typer.testing import CliRunner

import holder_app.cli
import holder_app.home
from holder_app.cli import app
from holder_app.credentials.ports import CardStatus
from holder_app.dependencies import create_wallet
from holder_app.settings import WalletSettings
from tests.support.presentations import NOW
from tests.support.refreshing import refreshing
from tests.support.transactions import transaction
from tests.support.wallets import LICENCE, NAME, Town, issue_large, licence_offer, new_verifier, policy_query
from wallet_core.errors import AccessDenied, AnswerTooLarge, FetchError, QueryNotSatisfied, UntrustedError, WalletError
from wallet_core.protocols.openid4vp.asking import match_number
from wallet_core.spec_versions import FORMAT_MDOC, FORMAT_SD_JWT_VC, NAMESPACE_MDL
from wallet_core.trust.anchors import format_trust_anchors


def invoke(arguments: list[str], typed: str = "") -> Any:
    """Run a command in a thread of its own: a browser's driver keeps an event loop in this one."""
    with ThreadPoolExecutor(1) as thread:
        environment = {"LANG": "ko_KR.UTF-8"}
        return thread.submit(CliRunner().invoke, app, arguments, input=typed, env=environment).result()


class Terminal:
    """A person at the command line, with a wallet in a folder."""

    def __init__(self, town: Town, folder: Path) -> None:
        self.town = town
        self.home = folder / "home"
        self.trust = folder / "anchors.pem"

    def run(self, *arguments: str, typed: str = "", trust: bool = True) -> Any:
        """Run ``jigap wallet``; an error of ours is what ``result.exception`` holds."""
        options = ["--home", str(self.home)]
        if trust and arguments[0] in {"accept", "check", "present", "refresh"}:
            options += ["--trust", str(self.trust)]
        return invoke([*arguments, *options], typed)

    def json(self, *arguments: str) -> Any:
        """Run it with ``--json``."""
        result = self.run(*arguments, "--json")
        assert result.exit_code == 0, result.exception
        return json.loads(result.stdout)

    def error(self, *arguments: str, typed: str = "", trust: bool = True) -> WalletError:
        """Run it and return the refusal."""
        result = self.run(*arguments, typed=typed, trust=trust)
        assert isinstance(result.exception, WalletError), (result.exception, result.output)
        return result.exception


@pytest.fixture
def terminal(town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    def in_town(settings: WalletSettings) -> Any:
        return create_wallet(settings, fetch=town.network, clock=town.clock)

    monkeypatch.setattr(holder_app.home, "create_wallet", in_town)
    return Terminal(town, tmp_path)


def test_a_card_that_was_not_put_into_the_wallet_waits_for_check(terminal: Terminal) -> None:
    stopped = terminal.run("accept", terminal.town.issuer.link, "--tx-code", "123456", typed="y\n")
    assert stopped.exit_code == 1
    assert "jigap wallet check로 지갑에 넣을 수 있어요" in stopped.output
    assert terminal.json("list") == {"cards": []}
    assert NAME in terminal.run("check", typed="y\n").output
    assert len(terminal.json("list")["cards"]) == 1
    assert terminal.json("check") == {"cards": [], "waiting": 0, "ended": [], "failed": []}


def test_receiving_that_was_cut_short_goes_on_by_check(terminal: Terminal) -> None:
    terminal.town.issuer.down = "/credential"
    terminal.error("accept", terminal.town.issuer.link, "--tx-code", "123456", "--yes")
    terminal.town.issuer.down = ""
    result = terminal.json("check", "--yes")
    assert (len(result["cards"]), result["waiting"]) == (1, 0)


def test_check_prints_what_came_beside_what_cannot_be_reached(terminal: Terminal) -> None:
    town = terminal.town
    town.issuer.down = "/credential"
    terminal.error("accept", town.issuer.link, "--tx-code", "123456", "--yes")
    town.issuer.down, town.issuer.used = "", False
    town.clock.pass_by(timedelta(minutes=1))
    terminal.run("accept", town.issuer.link, "--tx-code", "123456", typed="y\n")
    town.issuer.down = "/credential"
    result = terminal.run("check", "--json", "--yes")
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert (len(told["cards"]), told["waiting"], told["ended"]) == (1, 0, [])
    (why,) = told["failed"]
    assert "could not be reached" in why
    town.issuer.down = ""
    assert len(terminal.json("check", "--yes")["cards"]) == 1


def test_receive_list_show_present_delete(terminal: Terminal) -> None:
    town = terminal.town
    assert terminal.json("list") == {"cards": []}
    received = terminal.json("accept", town.issuer.link, "--tx-code", "123456", "--yes")["cards"]
    assert [card["name"]["ko"] for card in received] == [LICENCE.name.ko]
    card_id = received[0]["id"]
    assert terminal.json("list")["cards"][0]["id"] == card_id
    shown = terminal.json("show", card_id)
    assert {"path": ["name"], "label": {"ko": "이름", "en": "Name"}, "value": NAME} in shown["claims"]
    verifier = new_verifier(town)
    sent = terminal.json("present", verifier.link, "--yes")
    assert sent["redirect_uri"] == "https://verifier.example/back"
    assert sent["record"]["kind"] == "sent"
    assert terminal.json("delete", card_id, "--yes") == {"deleted": card_id}
    kinds = [record["kind"] for record in terminal.json("history")["records"]]
    assert sorted(kinds) == ["deleted", "received", "sent"]


def test_an_mdoc_at_the_command_line(terminal: Terminal) -> None:
    town = terminal.town
    town.issuer.offer = licence_offer(LICENCE, tx_code=False, formats=(FORMAT_SD_JWT_VC, FORMAT_MDOC))
    received = terminal.json("accept", town.issuer.link, "--yes")["cards"]
    assert {card["name"]["en"] for card in received} == {LICENCE.name.en, f"{LICENCE.name.en} (ISO)"}
    card_id = next(card["id"] for card in received if card["name"]["en"].endswith("(ISO)"))
    assert len(terminal.json("list")["cards"]) == 2
    shown = {tuple(claim["path"]): claim["value"] for claim in terminal.json("show", card_id)["claims"]}
    assert shown[(NAMESPACE_MDL, "birth_date")] == LICENCE.example_record["birth_date"]
    text = terminal.run("show", card_id).stdout
    assert NAMESPACE_MDL not in text
    assert "T00:00:00Z" not in text
    assert "/9j/" not in text
    verifier = new_verifier(town, policy_query("car-rental"))
    asked = terminal.run("present", verifier.link, typed="0\ny\n")
    assert "국제" in asked.stderr
    assert asked.exit_code == 0, asked.exception
    assert list(verifier.received().vp_token) == ["licence_mdoc"]
    assert terminal.json("delete", card_id, "--yes") == {"deleted": card_id}
    assert len(terminal.json("list")["cards"]) == 1


def test_a_person_sees_everything_before_saying_yes(terminal: Terminal) -> None:
    town = terminal.town
    result = terminal.run("accept", town.issuer.link, typed="y\n000000\n123456\ny\n")
    assert result.exit_code == 0
    for text in ("시험경찰청", "issuer.example", "남은 횟수: 4", NAME, "지갑에 넣었어요"):
        assert text in result.stderr
    verifier = new_verifier(town)
    result = terminal.run("present", verifier.link, typed="y\n")
    assert result.exit_code == 0
    for text in (
        "바람렌터카",
        "비대면으로 계좌를 열 때",
        "만 19세 이상: 예",
        "보내지 않아요: ",
        "생년월일",
        "보냈어요",
    ):
        assert text in result.stderr


def test_a_transaction_is_said_before_it_is_agreed_to(terminal: Terminal) -> None:
    town = terminal.town
    terminal.json("accept", town.issuer.link, "--tx-code", "123456", "--yes")
    verifier = new_verifier(town, policy_query("tax-payment"), agree=[transaction(without=("credential_ids",))])
    result = terminal.run("present", verifier.link, typed="y\n")
    assert result.exit_code == 0, result.exception
    agreed, asked = (result.stderr.index(text) for text in ("184,000원을 내요", "꼭 보낼 것"))
    assert agreed < asked
    assert "납부기한: 2026년 12월 31일" in result.stderr
    unknown = new_verifier(town, claims={"transaction_data": ["e30"]})
    assert "transaction" in terminal.error("present", unknown.link, "--yes").detail
    assert len(unknown.seen) == 1


def test_english_by_option(terminal: Terminal) -> None:
    result = terminal.run("list", "--lang", "en")
    assert "No cards yet" in result.stderr


def test_what_cannot_be_kept_is_said_before_the_rest_is_received(terminal: Terminal) -> None:
    issuer = terminal.town.issuer
    other = {"format": "ldp_vc", "credential_metadata": {"display": [{"name": "Diploma", "locale": "en"}]}}
    issuer.metadata["credential_configurations_supported"]["diploma"] = other
    issuer.offer["credential_configuration_ids"].append("diploma")
    result = terminal.run("accept", issuer.link, "--tx-code", "123456", "--yes", "--lang", "en")
    assert result.exit_code == 0, result.output
    said = result.stderr
    assert "Diploma" in said
    assert said.count("cannot keep a card of this kind yet: it is left out") == 1
    assert len(terminal.json("list")["cards"]) == 1


def test_saying_no(terminal: Terminal) -> None:
    town = terminal.town
    assert isinstance(terminal.error("accept", town.issuer.link, typed="n\n"), AccessDenied)
    assert town.issuer.called("/token") == 0
    terminal.json("accept", town.issuer.link, "--tx-code", "123456", "--yes")
    verifier = new_verifier(town)
    assert isinstance(terminal.error("present", verifier.link, typed="n\n"), AccessDenied)
    assert verifier.received().error == "access_denied"


def test_a_wrong_code_is_refused_with_the_tries_left(terminal: Terminal) -> None:
    error = terminal.error("accept", terminal.town.issuer.link, "--tx-code", "000000", "--yes")
    assert (error.code, error.fault) == ("wrong_tx_code", "you")
    assert "4" in error.detail


def test_a_code_of_another_length_costs_no_try(terminal: Terminal) -> None:
    town = terminal.town
    error = terminal.error("accept", town.issuer.link, "--tx-code", "12345", "--yes")
    assert error.code == "wrong_tx_code"
    assert "숫자 6자리" in error.detail
    assert terminal.run("accept", town.issuer.link, "--tx-code", "", "--yes").exit_code == 2
    assert town.issuer.called("/token") == 0
    result = terminal.run("accept", town.issuer.link, typed="y\n12345\n123456\ny\n")
    assert (result.exit_code, "숫자 6자리" in result.stderr) == (0, True)
    assert town.issuer.called("/token") == 1


def test_a_code_that_is_needed_and_missing_is_wrong_usage(terminal: Terminal) -> None:
    assert terminal.run("accept", terminal.town.issuer.link, "--yes").exit_code == 2


def test_without_trust_nothing_is_kept_or_sent_and_the_offer_stays_good(terminal: Terminal) -> None:
    town = terminal.town
    refused = terminal.error("accept", town.issuer.link, "--tx-code", "123456", "--yes", trust=False)
    assert isinstance(refused, UntrustedError)
    assert "--trust" in refused.detail
    assert town.issuer.called("/token") == 0
    assert terminal.json("list") == {"cards": []}
    verifier = new_verifier(town)
    refused = terminal.error("present", verifier.link, "--yes", trust=False)
    assert isinstance(refused, UntrustedError)
    assert "--trust" in refused.detail
    assert len(verifier.seen) == 1
    assert terminal.json("accept", town.issuer.link, "--tx-code", "123456", "--yes")["cards"]


def test_a_root_for_one_format_is_none_for_another(terminal: Terminal) -> None:
    town = terminal.town
    town.issuer.offer = licence_offer(LICENCE, tx_code=False, formats=(FORMAT_SD_JWT_VC, FORMAT_MDOC))
    terminal.trust.write_text(format_trust_anchors(town.world.anchors))
    assert "no anchor for mdl_issuer" in terminal.error("accept", town.issuer.link, "--yes").detail
    assert town.issuer.called("/token") == 0


@pytest.mark.parametrize("url", ["http://localhost/offer", "https://127.0.0.1/offer"])
def test_an_address_of_this_machine_names_the_option_that_admits_it(tmp_path: Path, url: str) -> None:
    link = f"openid-credential-offer://?credential_offer_uri={quote(url, safe='')}"
    refused = invoke(["accept", link, "--yes", "--home", str(tmp_path / "home")]).exception
    assert isinstance(refused, FetchError)
    assert "--insecure-allow-loopback" in refused.detail


@pytest.mark.clause("vp-15.4.1-no-match")
def test_no_card_answers(terminal: Terminal) -> None:
    """The verifier hears the same as after a refusal, when a person has ended it, and nothing where nobody acted."""
    verifier = new_verifier(terminal.town)
    assert isinstance(terminal.error("present", verifier.link, "--yes"), QueryNotSatisfied)
    assert isinstance(terminal.error("present", verifier.link, typed="n\n"), QueryNotSatisfied)
    assert [request.method for request in verifier.seen] == ["GET", "GET"]
    assert isinstance(terminal.error("present", verifier.link, typed="y\n"), QueryNotSatisfied)
    assert verifier.received().error == "access_denied"


def test_a_card_that_says_something_else_is_there(terminal: Terminal) -> None:
    town = terminal.town
    claims = LICENCE.prepare_claims({**LICENCE.example_record, "birth_date": "2008-03-02"}, today=NOW.date())
    town.issuer.changes = {"claims": claims}
    terminal.json("accept", town.issuer.link, "--tx-code", "123456", "--yes")
    verifier = new_verifier(town, policy_query("adult-check"))
    result = terminal.run("present", verifier.link, "--yes")
    assert isinstance(result.exception, QueryNotSatisfied)
    assert "카드는 있지만" in result.exception.detail
    assert "아니요" in result.stderr
    assert len(verifier.seen) == 1


def test_the_number_of_the_other_screen_is_shown(terminal: Terminal) -> None:
    verifier = new_verifier(terminal.town)
    terminal.json("accept", terminal.town.issuer.link, "--tx-code", "123456", "--yes")
    asked = terminal.run("present", verifier.link, typed="n\n").stderr
    assert f"숫자가 있으면 {match_number(verifier.request)}여야" in asked


def test_what_changed_after_it_was_printed_is_not_sent(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    town = terminal.town
    card_id = terminal.json("accept", town.issuer.link, "--tx-code", "123456", "--yes")["cards"][0]["id"]
    verifier, real = new_verifier(town), holder_app.cli.review_request

    def review(ports: Any, presentation: Any) -> Any:
        view = real(ports, presentation)
        with ports.unit:
            ports.cards.set_status(presentation.account_id, card_id, CardStatus.REVOKED, checked_at=ports.clock.now())
        return view

    monkeypatch.setattr(holder_app.cli, "review_request", review)
    refused = terminal.error("present", verifier.link, "--yes")
    assert (refused.code, refused.detail[:11]) == ("presentation_failed", "보여 드린 뒤에 보낼")
    assert len(verifier.seen) == 1


@pytest.mark.parametrize("command", ["accept", "present"])
@pytest.mark.parametrize("link", ["", "hello", "openid4vp://?client_id=a", "mdoc:a"])
def test_malformed_links(terminal: Terminal, command: str, link: str) -> None:
    assert terminal.error(command, link, "--yes").code == "invalid_request"


@pytest.mark.parametrize("command", ["show", "delete"])
def test_an_unknown_card(terminal: Terminal, command: str) -> None:
    arguments = [command, "unknown", *(["--yes"] if command == "delete" else [])]
    assert terminal.error(*arguments).code == "not_found"


def test_a_choice_that_is_none(terminal: Terminal) -> None:
    verifier = new_verifier(terminal.town)
    assert terminal.error("present", verifier.link, "--yes", "--choose", "everything").code == "invalid_request"


def test_the_key_file_is_its_owners_alone(terminal: Terminal) -> None:
    terminal.json("list")
    key = terminal.home / "sealing.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    before = key.read_text()
    terminal.json("list")
    assert key.read_text() == before


def test_the_folder_may_be_named_before_the_command_too(tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    runner = CliRunner()
    for arguments in (["--home", str(before), "list"], ["list", "--home", str(after)]):
        assert json.loads(runner.invoke(app, [*arguments, "--json"]).stdout) == {"cards": []}
    assert (before / "wallet.db").exists()
    assert (after / "wallet.db").exists()


def test_people_are_for_demos(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "sealing.key").write_text("1:" + "A" * 43)
    environment = {
        "JIGAP_WALLET_PUBLIC_URL": "https://wallet.example",
        "JIGAP_WALLET_DATABASE_URL": f"sqlite:///{tmp_path / 'wallet.db'}",
        "JIGAP_WALLET_SEALING_KEY_FILE": str(tmp_path / "sealing.key"),
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    runner = CliRunner()
    assert isinstance(runner.invoke(app, ["person", "add", "김하나", "--json"]).exception, AccessDenied)
    monkeypatch.setenv("JIGAP_WALLET_DEMO", "true")
    assert runner.invoke(app, ["migrate"]).exit_code == 0
    added = json.loads(runner.invoke(app, ["person", "add", "김하나 (시험용)", "--id", "hana", "--json"]).stdout)
    assert added == {"id": "hana", "name": "김하나 (시험용)"}
    code = json.loads(runner.invoke(app, ["person", "code", "hana", "--json"]).stdout)["code"]
    assert len(code.replace("-", "")) == 12
    assert json.loads(runner.invoke(app, ["person", "list", "--json"]).stdout)["people"] == [added]


def test_an_answer_that_is_too_large_is_said_in_words(terminal: Terminal) -> None:
    town = terminal.town
    query = issue_large(town)
    terminal.json("accept", town.issuer.link, "--tx-code", "123456", "--yes")
    verifier = new_verifier(town, query)
    refused = terminal.error("present", verifier.link, "--yes", "--choose", "send-1")
    assert isinstance(refused, AnswerTooLarge)
    assert "너무 많아요" in refused.detail
    assert terminal.run("present", verifier.link, "--yes").exit_code == 0


def test_a_request_below_the_profile_that_is_demanded(terminal: Terminal) -> None:
    town = terminal.town
    terminal.json("accept", town.issuer.link, "--tx-code", "123456", "--yes")
    verifier = new_verifier(town)
    verifier.request = replace(verifier.request, encryption=None)
    refused = terminal.error("present", verifier.link, "--yes", "--haip")
    assert (refused.code, refused.detail) == ("presentation_failed", "profile: the answer would not be encrypted")
    # A script that is told so does not look for the fault on this side.
    assert refused.fault == "peer"
    assert [request.method for request in verifier.seen] == ["GET"]
    assert terminal.run("present", verifier.link, "--yes").exit_code == 0
    of_the_profile = new_verifier(town)
    assert terminal.run("present", of_the_profile.link, "--yes", "--haip").exit_code == 0


def test_a_refresh_that_failed_says_why_and_is_no_success(terminal: Terminal) -> None:
    town = terminal.town
    issuer = refreshing(town, LICENCE)
    issuer.used = False
    card_id = terminal.json("accept", issuer.link, "--yes")["cards"][0]["id"]
    asked = issuer.called("/token")
    refused = terminal.error("refresh", card_id, trust=False)
    assert refused.code == "refresh_failed"
    assert "no anchor for credential_issuer" in refused.detail
    assert "--trust" in refused.detail
    assert issuer.called("/token") == asked
    issuer.down = "/credential"
    assert "could not be reached" in terminal.error("refresh", card_id).detail
    issuer.down = ""
    assert terminal.json("refresh", card_id)["refreshed"] == "new"
    issuer.over = "invalid_grant"
    assert "다시 받아 주세요" in terminal.error("refresh", card_id).detail
    assert "받을 수 없어요" in terminal.error("refresh", card_id).detail
