"""Our wallet at our issuer over https, two processes behind its port: plain and high-assurance, on both engines."""

import os
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from demo.citizen import Citizen, WalletRefusal
from demo.deployment import DEFERRED_INTERVAL_SECONDS, Deployment
from demo.desks import Browser, Desk
from demo.exchanges import Exchange, RecordingClient
from demo.seed import seed
from demo.servers import Server
from holder_app.accounts.use_cases import create_person
from holder_app.credentials.ports import Card
from holder_app.credentials.refreshing import Refreshed
from holder_app.credentials.use_cases import claims_of
from holder_app.dependencies import create_wallet
from holder_app.issuance.states import Reviewed, Waiting
from holder_app.settings import WalletSettings
from tests.support.network import free_base_port
from tests.support.simultaneous import at_once
from wallet_core.adapters.clock import SystemClock
from wallet_core.adapters.http import HttpClient
from wallet_core.errors import PeerRefusal
from wallet_core.http import post_form
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.protocols.oauth2.client import ClientInstance
from wallet_core.protocols.openid4vci import wallet as flows

SUBJECT = "p02"
PLAIN, HAIP = "city", "national-tax"
CONFIGURATIONS = {PLAIN: "resident-certificate-sd-jwt", HAIP: "income-certificate-sd-jwt"}
PROVED = {"DPoP", "OAuth-Client-Attestation", "OAuth-Client-Attestation-PoP"}


@dataclass
class Place:
    """An issuer of two workers, and the wallet of a person on its records; both keep their tables in one database."""

    deployment: Deployment
    facts: dict[str, Any]
    client: RecordingClient
    citizen: Citizen

    def plain(self) -> Citizen:
        """The same wallet with nobody to attest it: a public client."""
        return replace(self.citizen, wallet=replace(self.citizen.wallet, provider=None))

    def issuer(self, agency: str) -> str:
        """The Credential Issuer Identifier of an agency."""
        found: str = self.facts["issuer"]["agencies"][agency]["credential_issuer"]
        return found

    def desk(self, agency: str) -> Desk:
        key = self.facts["issuer"]["agencies"][agency]["api_key"]
        return Desk(self.client, f"{self.deployment.url('issuer')}/api/v1/agencies/{agency}", key)

    def offer(self, agency: str, **more: Any) -> dict[str, Any]:
        body = {"credential_configuration_ids": [CONFIGURATIONS[agency]], "subject_id": SUBJECT, "tx_code": True}
        return self.desk(agency).post("/offers", {**body, **more}, key=os.urandom(8).hex())

    def log_in(self, url: str, agency: str) -> str:
        """Log in with a one-time code, agree, and return where the browser is sent home to."""
        (person,) = [each for each in seed(self.deployment)["people"] if each["subject_id"] == SUBJECT]
        browser, path = Browser(self.client, self.deployment.url("issuer")), f"/agencies/{agency}/login"
        browser.open(url)
        browser.open(f"{browser.url}{path}/test")
        typed = {"name": person["name"], "birth_date": person["birth_date"], "code": person["login_code"]}
        browser.submit(f"{path}/test", typed)
        return browser.submit(f"{path}/consent", {"decision": "yes"})

    def sent_to(self, end: str) -> Exchange:
        """The latest request to an endpoint."""
        return [each for each in self.client.exchanges if urlsplit(each.request.url).path.endswith(end)][-1]


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Filled as the demo fills its own, once for each database engine."""
    folder = tmp_path_factory.mktemp("https") / "state"
    database = f"sqlite:///{folder}/both.db"
    if request.param == "postgres":
        database = request.getfixturevalue("postgres_cluster").create_database("two_workers_over_https")
    urls = {f"JIGAP_{app}_DATABASE_URL": database for app in ("ISSUER", "WALLET")}
    deployment = Deployment(folder, free_base_port(), urls, tls=True, workers=2)
    facts, client = seed(deployment), RecordingClient(tls_roots=deployment.tls_roots)
    wallet = create_wallet(WalletSettings.from_environment(deployment.environment("wallet")), fetch=client)
    server = Server(deployment, "issuer")
    server.start()
    try:
        server.wait()
        yield Place(
            deployment, facts, client, Citizen(wallet, create_person(wallet.account_ports(), "한지우", SUBJECT))
        )
    finally:
        server.stop()
        wallet.database.close()


@pytest.mark.parametrize("agency", [PLAIN, HAIP])
def test_a_person_asks_of_her_own_accord(place: Place, agency: str) -> None:
    card = ask_and_log_in(place, place.citizen, agency)
    assert set(place.sent_to("/oauth/par").request.headers) >= PROVED
    assert set(place.sent_to("/oauth/token").request.headers) >= PROVED
    assert place.sent_to("/credential").request.headers["Authorization"].startswith("DPoP ")
    assert len(card.copies) == 3
    assert claims_of(card)["name"] == "한지우"
    assert refill(place, place.citizen, card) is Refreshed.NEW


def ask_and_log_in(place: Place, citizen: Citizen, agency: str) -> Card:
    started = citizen.ask_for(place.issuer(agency), CONFIGURATIONS[agency]).started
    (card,) = citizen.keep(citizen.come_back(place.log_in(started.url, agency)))
    return card


def refill(place: Place, citizen: Citizen, card: Card) -> Refreshed:
    """Show every copy to somebody, and fetch new ones."""
    for copy in card.copies:
        with (ports := citizen.wallet.card_ports()).unit:
            assert ports.cards.take(citizen.owner.id, copy)
    return citizen.refresh(card)


def test_a_wallet_that_nobody_attests_is_served_where_the_agency_takes_any(place: Place) -> None:
    card = ask_and_log_in(place, place.plain(), PLAIN)
    assert "OAuth-Client-Attestation" not in place.sent_to("/oauth/token").request.headers
    assert refill(place, place.plain(), card) is Refreshed.NEW
    with pytest.raises(WalletRefusal):
        place.plain().ask_for(place.issuer(HAIP), "national-tax-payment-sd-jwt")
    fields = {"response_type": "code", "client_id": place.plain().wallet.identity.client_id}
    assert place.client.send(post_form(f"{place.issuer(HAIP)}/oauth/par", fields)).status == 401
    assert place.client.last.error == "invalid_client"


@pytest.mark.parametrize("agency", [PLAIN, HAIP])
def test_an_offer_with_a_transaction_code(place: Place, agency: str) -> None:
    offer = place.offer(agency)
    wrong = "".join(str((int(digit) + 1) % 10) for digit in offer["tx_code"])
    refused = place.citizen.apply(offer["uri"], wrong)
    assert isinstance(refused.state, Reviewed)
    assert refused.state.wrong_codes == 1
    (card,) = place.citizen.accept(offer["uri"], offer["tx_code"])
    assert len(card.copies) == 3
    assert refill(place, place.citizen, card) is Refreshed.NEW
    listed = place.desk(agency).get(f"/offers/{offer['id']}")
    assert listed["state"] == "issued"


@pytest.mark.parametrize("agency", [PLAIN, HAIP])
def test_what_a_clerk_decides_later(place: Place, agency: str) -> None:
    offer = place.offer(agency, deferred=True)
    waiting = place.citizen.apply(offer["uri"], offer["tx_code"])
    assert isinstance(waiting.state, Waiting)
    assert place.sent_to("/credential").response.status == 202
    (issuance,) = place.desk(agency).get(f"/offers/{offer['id']}")["deferred"]
    path = f"/issuances/{issuance['id']}/decision"
    place.desk(agency).post(path, {"decision": "ready"}, key=os.urandom(8).hex())
    assert waiting.state.issued.deferred[0].interval == DEFERRED_INTERVAL_SECONDS
    pass_until(waiting.state)
    (card,) = place.citizen.keep(place.citizen.ask_again(waiting))
    assert len(card.copies) == 3


def pass_until(state: Waiting) -> None:
    time.sleep(max(0.0, (state.next_at - SystemClock().now()).total_seconds()))


@pytest.mark.parametrize("agency", [PLAIN, HAIP])
def test_of_simultaneous_uses_of_one_code_exactly_one_wins(place: Place, agency: str) -> None:
    citizen, client = place.citizen, HttpClient(allow_loopback=True, tls_roots=place.deployment.tls_roots)
    started = citizen.ask_for(place.issuer(agency), CONFIGURATIONS[agency]).started
    answer = dict(parse_qsl(urlsplit(place.log_in(started.url, agency)).query))
    identity, provider = citizen.wallet.identity, citizen.wallet.provider
    assert provider is not None
    key = identity.instance_key(citizen.owner.id, started.offer.offer.credential_issuer)
    instance = ClientInstance(identity.client_id, identity.redirect_uri, key, provider.attest_instance(key.public_key))
    keys = {started.configuration_ids[0]: [SoftwareSigner.generate().public_key]}

    def redeem() -> str:
        now = SystemClock().now()
        try:
            client.run(flows.finish_authorization(started, answer, keys, instance, now=now, random=os.urandom))
        except PeerRefusal as exc:
            return exc.error
        return "taken"

    assert Counter(at_once(6, redeem)) == {"taken": 1, "invalid_grant": 5}


def test_it_was_https_with_two_workers(place: Place) -> None:
    assert place.issuer(PLAIN).startswith("https://localhost:")
    # What a process warns of when it begins.
    assert place.deployment.log("issuer").read_text().count("JIGAP_ISSUER_DEMO") == 2
