"""Our verifiers against a wallet that demands the high-assurance profile: what they ask by default passes."""

from typing import Any

import pytest

from tests.e2e.test_dc_api import ask, wallet_of
from tests.e2e.test_mdoc_presentation import Scene, new_scene
from tests.simulators import run_flow
from tests.support.dc_api import ORIGIN, requests_of
from tests.support.mdoc_presentations import NAME, mdoc_query
from tests.support.presentations import query
from tests.support.verifying import VerifierUnderTest
from wallet_core.errors import PeerRefusal, ProfileNotKept
from wallet_core.protocols.openid4vp import wallet
from wallet_core.protocols.openid4vp.dc_api_wallet import resolve_dc_api_request
from wallet_core.protocols.openid4vp.pending import ResolvedRequest


def resolve(under_test: VerifierUnderTest, link: str) -> ResolvedRequest:
    flow = wallet.resolve_request(
        link, anchors=under_test.world.anchors, now=under_test.clock.now(), wallet_nonce="w-0123456789", haip=True
    )
    found: ResolvedRequest = run_flow(flow, under_test.send)
    return found


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("flow", ["cross_device", "same_device"])
def test_what_is_asked_by_default_is_answered(verifier: VerifierUnderTest, method: str, flow: str) -> None:
    back = {"redirect_uri": "https://shop.example/back"} if flow == "same_device" else {}
    made = verifier.ask(request_uri_method=method, flow=flow, **back)
    pending = verifier.prepare(resolve(verifier, made["authorization_request"]))
    sent = run_flow(wallet.send_response(pending, verifier.sign(pending)), verifier.send)
    assert (sent.redirect_uri is not None) or flow == "cross_device"
    assert verifier.result(made["id"])["state"] == ("verified" if flow == "cross_device" else "answered")


BELOW: list[dict[str, Any]] = [
    {"client_id_prefix": "x509_san_dns"},
    {"response_mode": "direct_post"},
    {"client_id_prefix": "redirect_uri", "response_mode": "direct_post"},
]


@pytest.mark.parametrize("members", BELOW, ids=str)
def test_what_is_asked_otherwise_is_refused_and_stays_open(
    sqlite_verifier: VerifierUnderTest, members: dict[str, Any]
) -> None:
    made = sqlite_verifier.ask(**members)
    with pytest.raises(ProfileNotKept):
        resolve(sqlite_verifier, made["authorization_request"])
    assert all(request.method == "GET" for request in sqlite_verifier.sent)
    assert sqlite_verifier.present(made["authorization_request"])
    assert sqlite_verifier.result(made["id"])["state"] == "verified"


@pytest.mark.clause("haip-5-metadata")
@pytest.mark.parametrize("members", BELOW[:2], ids=str)
def test_our_verifier_is_told_before_it_gives_out_its_request(
    sqlite_verifier: VerifierUnderTest, members: dict[str, Any]
) -> None:
    made = sqlite_verifier.ask(request_uri_method="post", **members)
    with pytest.raises(PeerRefusal) as caught:
        resolve(sqlite_verifier, made["authorization_request"])
    assert (caught.value.status, caught.value.error) == (400, "invalid_request")
    assert sqlite_verifier.result(made["id"])["state"] == "requested"


@pytest.mark.clause("haip-5.2-demanded")
@pytest.mark.parametrize("dcql", [query(("name",)), mdoc_query(NAME)], ids=["sd-jwt", "mdoc"])
def test_the_calls_of_our_pages_are_of_the_profile(tmp_path: Any, dcql: dict[str, Any]) -> None:
    scene: Scene = new_scene(tmp_path, f"sqlite:///{tmp_path}/verifier.db")
    anchors, now = wallet_of(scene).anchors, scene.under_test.clock.now()
    protocols = ["openid4vp-v1-signed", "openid4vp-v1-multisigned", "openid4vp-v1-unsigned"]
    strict = {"origin": ORIGIN, "anchors": anchors, "now": now, "haip": True}
    for protocol, data in requests_of(ask(scene, dcql_query=dcql, dc_api_protocols=protocols)).items():
        assert resolve_dc_api_request(protocol, data, **strict).request.encryption is not None
    in_clear = ask(scene, dcql_query=dcql, dc_api_protocols=protocols, response_mode="dc_api")
    for protocol, data in requests_of(in_clear).items():
        with pytest.raises(ProfileNotKept):
            resolve_dc_api_request(protocol, data, **strict)
    scene.under_test.verifier.database.close()
