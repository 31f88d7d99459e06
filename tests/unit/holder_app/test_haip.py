"""A wallet that is set to take only requests of the high-assurance profile: what the person and the verifier hear."""

from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlencode

import pytest
from starlette.testclient import TestClient

from holder_app.app import create_wallet_app
from holder_app.credentials.ports import RecordKind
from holder_app.presentation import use_cases
from holder_app.presentation.states import Answered, Blocked, Presentation, Reviewed
from holder_app.settings import WalletSettings
from tests.simulators.verifier import SimulatedVerifier
from tests.support.browsing import browser
from tests.support.presentations import RESPONSE_URI, World
from tests.support.wallets import LICENCE, Town, agree, new_town, new_verifier, receive, wait
from wallet_core.protocols.openid4vp.client_id import ClientIdPrefix
from wallet_core.protocols.openid4vp.wallet import wallet_metadata

WELL_KNOWN = "/.well-known/oauth-authorization-server"


@pytest.fixture
def strict(tmp_path: Path, world: World) -> Town:
    """A town whose wallet demands the profile and tells verifiers what was wrong."""
    folder = tmp_path / "strict"
    folder.mkdir()
    return new_town(folder, world, haip=True, post_errors="all")


def fetched(town: Town, link: str) -> Presentation:
    presentation = use_cases.take_request_link(town.wallet.presentation_ports(), town.owner.id, link)
    return wait(use_cases.fetch_request(town.wallet.presentation_ports(), town.owner.id, presentation.id))


def below(verifier: SimulatedVerifier) -> SimulatedVerifier:
    """The same verifier, asking for an answer in clear."""
    verifier.request = replace(verifier.request, encryption=None)
    return verifier


def test_the_setting_is_off_unless_it_is_set(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(fetched(town, below(new_verifier(town)).link).state, Reviewed)
    assert town.wallet.settings.haip is False
    for name, value in (("PUBLIC_URL", "https://wallet.example"), ("DATABASE_URL", "sqlite://"), ("HAIP", "true")):
        monkeypatch.setenv(f"JIGAP_WALLET_{name}", value)
    monkeypatch.setenv("JIGAP_WALLET_SEALING_KEY", town.wallet.settings.sealing_key.get_secret_value())  # type: ignore[union-attr]
    assert WalletSettings.from_environment().haip is True


@pytest.mark.clause("x509-HAIP5-haip")
def test_a_request_of_the_profile_is_answered(strict: Town) -> None:
    receive(strict, LICENCE)
    verifier = new_verifier(strict)
    presentation = fetched(strict, verifier.link)
    done = agree(strict, presentation)
    assert isinstance(done.state, Answered)
    assert verifier.received().vp_token


@pytest.mark.clause("x509-HAIP5-haip")
def test_another_one_is_blocked_with_its_reason_and_the_sender_told_if_the_person_agrees(strict: Town) -> None:
    receive(strict, LICENCE)
    verifier = below(new_verifier(strict))
    blocked = fetched(strict, verifier.link)
    assert isinstance(blocked.state, Blocked)
    assert (blocked.state.reason, blocked.state.detail) == ("profile", "the answer would not be encrypted")
    assert [request.method for request in verifier.seen] == ["GET"]
    ports = strict.wallet.card_ports()
    with ports.unit:
        kinds = [record.kind for record in ports.history.of_account(strict.owner.id)]
    assert RecordKind.BLOCKED in kinds
    wait(use_cases.report_error(strict.wallet.presentation_ports(), strict.owner.id, blocked.id))
    assert verifier.seen[-1].url == RESPONSE_URI
    assert parse_qs(verifier.seen[-1].body.decode()) == {"error": ["invalid_request"], "state": ["request-1"]}


def test_what_stands_in_the_link_itself_is_not_even_fetched(strict: Town) -> None:
    verifier = new_verifier(strict)
    link = f"openid4vp://?{urlencode({'client_id': verifier.request.client_id.full, 'request': verifier.token()})}"
    blocked = fetched(strict, link)
    assert isinstance(blocked.state, Blocked)
    assert (blocked.state.reason, verifier.seen) == ("profile", [])


@pytest.mark.parametrize(
    ("language", "title", "reason"),
    [
        ("ko", "높은 보안 기준(HAIP)을 지킨 요청만 받아요", "높은 보안 기준을 지키지 않은 요청이에요"),
        ("en", "takes only requests that keep to a high-security profile (HAIP)", "The request does not keep to"),
    ],
)
def test_the_person_is_told_why_in_both_languages(strict: Town, language: str, title: str, reason: str) -> None:
    verifier = new_verifier(strict)
    verifier.request = strict.world.request(prefix=ClientIdPrefix.X509_SAN_DNS)
    person = browser(strict)
    person.get(f"/scan?lang={language}")
    person.post("/scan", {"link": verifier.link})
    person.post(f"{person.path}/fetch")
    assert title in person.text
    person.get("/history")
    assert verifier.seen[-1].method == "GET"
    record = next(each for each in person.page.text.split('"') if each.startswith("/history/"))
    person.get(record)
    assert reason in person.text


def test_the_wallet_publishes_what_it_takes(strict: Town, town: Town) -> None:
    for each, haip in ((strict, True), (town, False)):
        said = TestClient(create_wallet_app(each.wallet), base_url="https://wallet.example").get(WELL_KNOWN).json()
        assert {name: said[name] for name in wallet_metadata()} == wallet_metadata(haip=haip)
