"""Our wallet, by its pages and by its commands, at an issuer of somebody else over HTTP."""

import http.client
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from jwcrypto.jwk import JWK
from typer.testing import CliRunner

import holder_app.cli
import holder_app.home
from holder_app.cli import WrongCode
from holder_app.credentials.refreshing import Refreshed, refresh_card
from holder_app.dependencies import create_wallet
from holder_app.settings import WalletSettings
from tests.simulators.stranger import CONFIGURATION, PRE_AUTHORIZED, Stranger
from tests.support.browsing import Person, browser
from tests.support.presentations import Agency, World
from tests.support.wallets import LICENCE, Town, new_town, wait
from wallet_core.adapters.http import HttpClient


@pytest.fixture
def stranger(world: World, tmp_path: Path) -> Iterator[Stranger]:
    agency = Agency(world.issuer_ca)
    found = Stranger(agency.signer.private_key, LICENCE.vct, lambda: agency.now)
    with found.serving():
        agency.issuer = found.issuer
        found.chain = agency.chain()
        yield found
    assert found.complaints == []


@pytest.fixture
def town(stranger: Stranger, world: World, tmp_path: Path) -> Town:
    """A wallet that talks to the world by its own HTTP client."""
    found = new_town(tmp_path, world, issuers=(stranger.issuer,), insecure_allow_loopback=True)
    stranger.now = found.clock.now
    wallet = create_wallet(found.wallet.settings, fetch=HttpClient(allow_loopback=True), clock=found.clock)
    return Town(wallet, found.network, found.clock, world, found.issuer, found.owner)


def follow(url: str) -> str:
    """What a browser does at the login page: nothing but go where it is sent."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
    connection.request("GET", f"{parts.path}?{parts.query}")
    answer = connection.getresponse()
    location = answer.headers["location"]
    connection.close()
    assert answer.status == 302
    return location


def log_in(person: Person) -> None:
    """Press the button, log in there, come back."""
    sent = person.post(f"{person.path}/login", follow_redirects=False)
    assert sent.status_code == 303, person.text
    back = urlsplit(follow(sent.headers["location"]))
    assert f"{back.scheme}://{back.netloc}{back.path}" == "https://wallet.example/callback"
    person.get(f"/callback?{back.query}")


def choose(person: Person, stranger: Stranger) -> None:
    """From the list of agencies to the page that asks to log in."""
    person.get(f"/add/issuer?id={stranger.issuer}")
    assert person.page.status_code == 200, person.text
    person.post("/add", {"issuer": stranger.issuer, "configuration": CONFIGURATION})
    assert person.path.startswith("/offers/"), person.text


def scan(person: Person, link: str) -> None:
    """From a link to the offer."""
    person.get("/scan")
    person.post("/scan", {"link": link})
    person.post(f"{person.path}/fetch")


def keep(person: Person) -> None:
    """From the preview into the wallet."""
    assert "지갑에 넣을까요" in person.text, person.text
    person.post(f"{person.path}/keep")
    assert "지갑에 넣었어요" in person.text


def copies(town: Town) -> int:
    ports = town.wallet.card_ports()
    with ports.unit:
        return sum(len(card.copies) for card in ports.cards.of_account(town.owner.id))


@pytest.mark.parametrize("pushed", [True, False], ids=["pushed", "by the browser"])
@pytest.mark.parametrize("dpop", [True, False], ids=["bound", "bearer"])
def test_of_her_own_accord(town: Town, stranger: Stranger, *, pushed: bool, dpop: bool) -> None:
    stranger.pushed, stranger.dpop = pushed, dpop
    person = browser(town)
    choose(person, stranger)
    log_in(person)
    keep(person)
    assert stranger.events == ["credential_accepted"]
    assert copies(town) == stranger.batch
    asked = [each.path for each in stranger.seen]
    assert (f"{urlsplit(stranger.server).path}/par" in asked) == pushed


def test_an_offer_that_asks_to_log_in(town: Town, stranger: Stranger) -> None:
    person = browser(town)
    scan(person, stranger.offer("authorization_code"))
    log_in(person)
    keep(person)


@pytest.mark.clause("vci-6.3-try-again")
def test_a_mistyped_transaction_code_can_be_typed_again(town: Town, stranger: Stranger) -> None:
    person = browser(town)
    scan(person, stranger.offer(PRE_AUTHORIZED))
    person.post(f"{person.path}/accept", {"tx_code": "1111"})
    person.post(f"{person.path}/accept", {"tx_code": stranger.tx_code})
    keep(person)
    assert copies(town) == stranger.batch


def test_one_copy_where_there_is_no_batch_and_no_transaction_code(town: Town, stranger: Stranger) -> None:
    stranger.batch, stranger.tx_code = 1, ""
    person = browser(town)
    scan(person, stranger.offer(PRE_AUTHORIZED))
    person.post(f"{person.path}/accept")
    keep(person)
    assert copies(town) == 1


def test_a_nonce_that_was_too_old_is_fetched_again(town: Town, stranger: Stranger) -> None:
    stranger.stale_nonces = 1
    person = browser(town)
    choose(person, stranger)
    log_in(person)
    keep(person)


@pytest.mark.parametrize(("encryption", "compressed"), [("offered", False), ("demanded", True)])
def test_encrypted_wherever_it_is_offered(town: Town, stranger: Stranger, encryption: str, *, compressed: bool) -> None:
    stranger.encryption, stranger.compressed = encryption, compressed
    person = browser(town)
    choose(person, stranger)
    log_in(person)
    keep(person)
    assert stranger.in_clear == 0


@pytest.mark.clause("vci-10-current-key")
@pytest.mark.parametrize("encryption", ["", "demanded"], ids=["clear", "encrypted"])
def test_decided_later(town: Town, stranger: Stranger, encryption: str) -> None:
    stranger.deferrals, stranger.encryption = 2, encryption
    person = browser(town)
    choose(person, stranger)
    log_in(person)
    path = person.path
    for _ in range(2):
        assert copies(town) == 0
        stranger.encryption_key = JWK.generate(kty="EC", crv="P-256", kid=f"after {stranger.deferrals}")
        town.clock.pass_by(timedelta(seconds=6))
        person.post(f"{path}/ask")
    assert copies(town) == stranger.batch, person.text
    assert stranger.events == ["credential_accepted"]


def test_new_copies_come_without_the_person(town: Town, stranger: Stranger) -> None:
    stranger.encryption = "offered"
    person = browser(town)
    choose(person, stranger)
    log_in(person)
    keep(person)
    ports = town.wallet.card_ports()
    with ports.unit:
        (card,) = ports.cards.of_account(town.owner.id)
    before = {copy.credential for copy in card.copies}
    for _ in range(2):  # with another refresh token the second time
        wallet = town.wallet
        again = wait(refresh_card(wallet.card_ports, wallet.reissuer(), town.owner.id, card.id, asked=True))
        assert again is Refreshed.NEW
    ports = town.wallet.card_ports()
    with ports.unit:
        (card,) = ports.cards.of_account(town.owner.id)
    assert len(card.unused) == stranger.batch
    assert not before & {copy.credential for copy in card.unused}


class Desk:
    """A person at the command line, whose browser is let in at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def open(self, url: str) -> int:
        """Instead of a browser."""
        parts = urlsplit(follow(url))
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
        connection.request("GET", f"{parts.path}?{parts.query}")
        status = connection.getresponse().status
        connection.close()
        return status

    def run(self, *arguments: str, typed: str = "") -> Any:
        options = ["--home", str(self.folder / "home"), "--lang", "en", "--trust", str(self.folder / "anchors.pem")]
        options.append("--insecure-allow-loopback")
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(CliRunner().invoke, holder_app.cli.app, [*arguments, *options], input=typed).result()


@pytest.fixture
def desk(town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    def at_the_time(settings: WalletSettings) -> Any:
        return create_wallet(settings, clock=town.clock)

    monkeypatch.setattr(holder_app.home, "create_wallet", at_the_time)
    found = Desk(tmp_path)
    monkeypatch.setattr(holder_app.cli.typer, "launch", found.open)
    return found


def test_from_the_command_line(desk: Desk, stranger: Stranger) -> None:
    stranger.encryption = "demanded"
    result = desk.run("add", stranger.issuer, "--configuration", CONFIGURATION, "--yes", "--json")
    assert result.exit_code == 0, (result.exception, result.output)
    (card,) = json.loads(result.stdout)["cards"]
    assert card["name"]["en"] == LICENCE.name.en
    link = stranger.offer(PRE_AUTHORIZED)
    mistyped = desk.run("accept", link, "--yes", "--tx-code", "1111")
    assert isinstance(mistyped.exception, WrongCode)
    result = desk.run("accept", link, "--yes", "--tx-code", stranger.tx_code)
    assert result.exit_code == 0, (result.exception, result.output)
