"""An issuer of npm's packages gives cards to our wallet over HTTP: it verifies our proofs, and we its cards."""

import json
from base64 import b64encode
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from holder_app.credentials.use_cases import show_card
from holder_app.dependencies import create_wallet
from holder_app.issuance import use_cases
from holder_app.issuance.states import Kept, Preview, Reviewed, Waiting
from holder_app.issuance.waiting import ask_again
from tests.interop.conftest import NodeServer
from tests.support.mdoc_presentations import MdocAgency
from tests.support.network import free_port
from tests.support.peers import peer_key
from tests.support.presentations import Agency, new_world
from tests.support.wallets import Town, new_town, wait
from wallet_core.adapters.http import HttpClient
from wallet_core.spec_versions import NAMESPACE_MDL

TX_CODE = "ab12"
MANNERS: dict[str, dict[str, bool]] = {
    "an offer by value": {},
    "by reference, metadata signed": {"byReference": True, "signed": True},
    "a DPoP nonce, a decision that takes time": {"dpopNonce": True, "deferred": True},
}


@pytest.fixture
def town(tmp_path: Path) -> Town:
    """A wallet that talks to the world by its own HTTP client."""
    found = new_town(tmp_path, new_world(), insecure_allow_loopback=True)
    wallet = create_wallet(found.wallet.settings, fetch=HttpClient(allow_loopback=True), clock=found.clock)
    return Town(wallet, found.network, found.clock, found.world, found.issuer, found.owner)


def signs(agency: Agency | MdocAgency) -> dict[str, Any]:
    key = peer_key(agency.signer).export(private_key=True, as_dict=True)
    jwk = {name: key[name] for name in ("kty", "crv", "x", "y", "d")}
    return {"key": jwk, "x5c": [b64encode(each).decode() for each in agency.chain()]}


async def receive(town: Town, link: str) -> tuple[str, ...]:
    """Do as a person does who wants the cards, and return their ids."""
    ports, owner = town.wallet.issuance_ports(), town.owner.id
    issuance = await use_cases.fetch_offer(ports, owner, use_cases.take_offer_link(ports, owner, link).id)
    assert isinstance(issuance.state, Reviewed), issuance.state
    issuance = await use_cases.accept_offer(ports, owner, issuance.id, TX_CODE)
    assert isinstance(issuance.state, Preview), issuance.state
    issuance = await use_cases.keep_cards(ports, owner, issuance.id)
    first = issuance.state.card_ids if isinstance(issuance.state, Kept | Waiting) else ()
    if isinstance(issuance.state, Waiting):
        town.clock.pass_by(timedelta(seconds=2))
        issuance = await ask_again(ports, owner, issuance.id)
    assert isinstance(issuance.state, Kept), issuance.state
    return (*first, *(each for each in issuance.state.card_ids if each not in first))


@pytest.mark.parametrize("case", MANNERS)
def test_cards_of_a_strange_issuer(node_server: NodeServer, town: Town, case: str) -> None:
    port = free_port()
    identifier = f"http://localhost:{port}/club"
    sd_jwt = Agency(town.world.issuer_ca, issuer=identifier)
    mdoc = MdocAgency(town.issuer.mdocs.iaca, issuer=identifier)
    told = {"id": identifier, "port": port, "txCode": TX_CODE, "sdJwt": signs(sd_jwt), "mdoc": signs(mdoc)}
    with node_server("issuer", {**told, "manners": MANNERS[case]}, now=town.clock.now()) as running:
        assert running.stdout is not None
        card_ids = wait(receive(town, running.stdout.readline().strip()))
        running.terminate()
        said = [json.loads(line) for line in running.stdout]
    assert [each for each in said if "refused" in each] == []
    assert {each["event"] for each in said} == {"credential_accepted"}
    cards = [show_card(town.wallet.card_ports(), town.owner.id, each) for each in card_ids]
    assert [(card.issuer_name, card.copies) for card in cards] == [(sd_jwt.name, 3), (mdoc.name, 3)]
    values = {field.path: field.value for card in cards for field in card.fields}
    assert (values["given_name",], values["address",]) == ("Jiwoo", {"city": "Seoul", "zip": "00000"})
    assert values[NAMESPACE_MDL, "age_over_19"] is True
