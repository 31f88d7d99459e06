"""Only WalletError leaves a flow, whichever of the answers that it fetches is changed, and each comes to its end."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any
from urllib.parse import quote

import pytest

from tests.fuzz.test_parsers import DC_API_UNSIGNED, ORIGIN, Members, Target, only_wallet_errors
from tests.simulators import run_flow
from tests.simulators.authorizing import AuthorizingIssuer, authorizing_server
from tests.simulators.issuer import ISSUER, SimulatedIssuer
from tests.simulators.openid_provider import ISSUER as PROVIDER_ID
from tests.simulators.openid_provider import SimulatedProvider
from tests.support import sd_jwt as samples
from tests.support.mutation import json_bytes, mutate_json, mutate_token
from tests.support.presentations import NOW, REQUEST_URI, world
from tests.support.transactions import transaction_types
from wallet_core.errors import WalletError
from wallet_core.http import Flow, HttpRequest, HttpResponse
from wallet_core.protocols.oauth2.openid_connect import resolve_provider
from wallet_core.protocols.openid4vci.resolving import (
    resolve_again,
    resolve_catalogue,
    resolve_choice,
    resolve_offer,
    resolve_today,
)
from wallet_core.protocols.openid4vci.wallet import receive_credentials, request_proofs
from wallet_core.protocols.openid4vp.dc_api import DcApiProtocol
from wallet_core.protocols.openid4vp.dc_api_wallet import resolve_dc_api_request
from wallet_core.protocols.openid4vp.request import create_request_uri_link
from wallet_core.protocols.openid4vp.request_object import create_request_object
from wallet_core.protocols.openid4vp.wallet import resolve_request
from wallet_core.spec_versions import REQUEST_OBJECT_MEDIA_TYPE

MOST_REQUESTS = 60
"""Of one flow: one that asks for more goes round and round."""

Network = Callable[[HttpRequest], HttpResponse]
Changed = tuple[int, HttpResponse]


class Talk:
    """A flow and the network it talks to, both new for each run; draws one answer of a good run and changes it."""

    def __init__(self, begin: Callable[[], Flow[Any]], network: Callable[[], Network]) -> None:
        self.begin, self.network = begin, network
        self.good: list[HttpResponse] = []
        self.run(-1, HttpResponse(404), self.good)

    def run(self, at: int, changed: HttpResponse, kept: list[HttpResponse] | None = None) -> None:
        """Run the flow, with ``changed`` in the place of answer ``at``."""
        network, count = self.network(), 0

        def answer(request: HttpRequest) -> HttpResponse:
            nonlocal count
            count += 1
            assert count < MOST_REQUESTS, f"the flow goes on: {request.url}"
            response = changed if count == at + 1 else elsewhere(network, request)
            if kept is not None:
                kept.append(response)
            return response

        run_flow(self.begin(), answer)

    def __call__(self, random: Random) -> Changed:
        at = random.randrange(len(self.good))
        return at, changed_answer(random, self.good[at])


def elsewhere(network: Network, request: HttpRequest) -> HttpResponse:
    """What a party of the tests answers, who is not made for odd requests."""
    try:
        return network(request)
    except Exception:  # noqa: BLE001 - what the simulators cannot read is a mistake of nobody
        return HttpResponse(400, {"content-type": "application/json"}, b'{"error":"invalid_request"}')


def changed_answer(random: Random, good: HttpResponse) -> HttpResponse:
    kind = random.random()
    if kind < 0.1:
        return replace(good, status=random.choice([204, 301, 400, 404, 429, 500]))
    if kind < 0.2:
        media_type = random.choice(["", "text/html", "application/jwt", "application/json; charset=euc-kr", "/"])
        return replace(good, headers={"content-type": media_type})
    if good.body[:1] != b"{":
        return replace(good, body=mutate_token(random, good.body.decode()).encode(errors="surrogatepass"))
    return replace(good, body=json_bytes(mutate_json(random, json.loads(good.body))))


def talk(begin: Callable[[], Flow[Any]], network: Callable[[], Network]) -> Target:
    drawn = Talk(begin, network)
    return Target(lambda message: drawn.run(*message), drawn)


# --- issuance ---------------------------------------------------------------------------------------------------------

SIMULATED = SimulatedIssuer()
BY_VALUE = "openid-credential-offer://?credential_offer=" + quote(json.dumps(SIMULATED.offer))
BY_REFERENCE = "openid-credential-offer://?credential_offer_uri=" + quote("https://issuer.example/offer", safe="")
RESOLVED = run_flow(resolve_offer(BY_VALUE), SIMULATED)
LATER = samples.NOW + timedelta(minutes=1)


def receive() -> Flow[Any]:
    resolved = yield from resolve_offer(BY_REFERENCE)
    keys = {name: [samples.HOLDER.public_key] for name in resolved.offer.configuration_ids}
    to_sign = yield from request_proofs(resolved, keys, tx_code=SIMULATED.tx_code, now=samples.NOW)
    signatures = [samples.HOLDER.sign(proof.signing_input) for proof in to_sign.proofs]
    return (yield from receive_credentials(to_sign, signatures, now=LATER))


def authorizing() -> Network:
    return AuthorizingIssuer(server=authorizing_server())


# --- presentation -----------------------------------------------------------------------------------------------------

WORLD = world()
REQUEST = WORLD.request()
LINK = create_request_uri_link("openid4vp://", REQUEST.client_id, REQUEST_URI, method="get")
REQUEST_OBJECT = create_request_object(
    REQUEST,
    signer=WORLD.verifier_signer,
    chain=WORLD.verifier_chain,
    issued_at=NOW,
    expires_at=NOW + timedelta(hours=1),
)


def serving_the_request() -> Network:
    return lambda _: HttpResponse(200, {"content-type": REQUEST_OBJECT_MEDIA_TYPE}, REQUEST_OBJECT.encode())


def resolve_over_the_api(data: Any) -> None:
    for haip in (False, True):
        try:
            resolve_dc_api_request(
                DcApiProtocol.UNSIGNED,
                data,
                origin=ORIGIN,
                anchors=WORLD.anchors,
                now=NOW,
                transaction_types=transaction_types(),
                haip=haip,
            )
        except WalletError:
            continue


TARGETS = {
    "flow.offer": talk(lambda: resolve_offer(BY_VALUE), SimulatedIssuer),
    "flow.offer.by_reference": talk(lambda: resolve_offer(BY_REFERENCE), SimulatedIssuer),
    "flow.receive": talk(receive, SimulatedIssuer),
    "flow.catalogue": talk(lambda: resolve_catalogue(ISSUER), SimulatedIssuer),  # type: ignore[arg-type]
    "flow.choice": talk(lambda: resolve_choice(ISSUER, ["licence"]), authorizing),  # type: ignore[arg-type, list-item]
    "flow.again": talk(
        lambda: resolve_again(ISSUER, "licence", authorization_server=ISSUER),  # type: ignore[arg-type]
        authorizing,
    ),
    "flow.today": talk(lambda: resolve_today(RESOLVED), SimulatedIssuer),
    "flow.provider": talk(lambda: resolve_provider(PROVIDER_ID), SimulatedProvider),
    "flow.request": talk(
        lambda: resolve_request(LINK, anchors=WORLD.anchors, now=NOW, wallet_nonce="n" * 22), serving_the_request
    ),
    "dc_api.resolved": Target(resolve_over_the_api, Members(DC_API_UNSIGNED)),
}


@pytest.mark.parametrize("name", [name for name in TARGETS if name.startswith("flow.")])
def test_every_flow_that_is_disturbed_ends_well_when_it_is_not(name: str) -> None:
    drawn = TARGETS[name].draw
    assert isinstance(drawn, Talk)
    assert drawn.good
    assert all(response.status < 300 for response in drawn.good)


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
@pytest.mark.fuzz
@pytest.mark.parametrize("name", TARGETS)
def test_only_wallet_errors_leave(name: str, fuzz_seconds: float) -> None:
    only_wallet_errors(TARGETS[name], fuzz_seconds)
