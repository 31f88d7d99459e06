"""A wallet that demands the high-assurance profile: one request for each rule that only the profile has."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlencode

import pytest

from tests.simulators.verifier import SimulatedVerifier
from tests.support.presentations import NOW, RESPONSE_URI, query, world
from tests.support.registering import PARTY_ID, register
from wallet_core.errors import InvalidRequest, ProfileNotKept
from wallet_core.keys.signer import CertifiedSigner
from wallet_core.protocols.openid4vp import wallet
from wallet_core.protocols.openid4vp.client_id import ClientIdPrefix, create_client_id
from wallet_core.protocols.openid4vp.dc_api import DcApiRequest, create_signed_data, create_unsigned_data
from wallet_core.protocols.openid4vp.dc_api_wallet import resolve_dc_api_request
from wallet_core.protocols.openid4vp.request import (
    AuthorizationRequest,
    ResponseEncryption,
    create_unsigned_link,
)

WORLD = world()
ORIGIN = "https://verifier.example"
TELL = (RESPONSE_URI, "request-1")
"""Where the sender can be told, where a certificate proves who that is."""


def resolve(verifier: SimulatedVerifier, link: str = "", *, haip: bool, **changes: Any) -> Any:
    arguments = {"anchors": WORLD.anchors, "now": NOW, "wallet_nonce": "w-0123456789", **changes}
    return verifier.run(wallet.resolve_request(link or verifier.link, haip=haip, **arguments))


def encrypted_to(encryption: ResponseEncryption) -> AuthorizationRequest:
    return replace(WORLD.request(), encryption=encryption)


X25519 = {"kty": "OKP", "crv": "X25519", "x": "hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo"}
FOREIGN_KEY = ResponseEncryption({**X25519, "kid": "x", "use": "enc", "alg": "ECDH-ES"}, ("A128GCM", "A256GCM"))
ONE_ENC = [pytest.param((enc,), id=enc) for enc in ("A128GCM", "A256GCM")]


def refused(request: AuthorizationRequest, clause: str, link: str = "", **changes: Any) -> ProfileNotKept:
    """The request is good, and refused where the profile is demanded."""
    verifier = SimulatedVerifier(WORLD, request)
    assert resolve(verifier, link, haip=False, **changes).request == request
    with pytest.raises(ProfileNotKept) as caught:
        resolve(verifier, link, haip=True, **changes)
    assert (caught.value.code, caught.value.clause) == ("invalid_request", clause)
    # M27: by itself nothing is posted.
    assert all(each.url != RESPONSE_URI for each in verifier.seen)
    return caught.value


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_request_of_the_profile_is_taken(method: str) -> None:
    verifier = SimulatedVerifier(WORLD, WORLD.request())
    link = verifier.link + ("&request_uri_method=post" if method == "post" else "")
    assert resolve(verifier, link, haip=True) == resolve(verifier, link, haip=False)


@pytest.mark.clause("haip-5-demands-x509-hash", "x509-HAIP5-haip")
def test_another_prefix_is_refused() -> None:
    error = refused(WORLD.request(prefix=ClientIdPrefix.X509_SAN_DNS), "HAIP 5")
    assert error.answer_to == TELL


@pytest.mark.clause("haip-5-demands-x509-hash")
def test_an_attestation_is_refused_and_nobody_told() -> None:
    others = register()
    token = others.attestation()
    verifier = SimulatedVerifier(WORLD, others.request(prefix=ClientIdPrefix.VERIFIER_ATTESTATION))
    verifier.request = replace(verifier.request, encryption=WORLD.encryption)
    verifier.header, verifier.signer = {"x5c": None, "jwt": token}, others.verifier.signer
    found = resolve(verifier, haip=False, anchors=others.anchors)
    assert found.verifier.client_id == f"verifier_attestation:{PARTY_ID}"
    with pytest.raises(ProfileNotKept, match="x509_hash") as caught:
        resolve(verifier, haip=True, anchors=others.anchors)
    assert caught.value.answer_to is None


@pytest.mark.clause("haip-5.1-demands-reference")
def test_a_request_object_in_the_link_is_refused() -> None:
    request = WORLD.request()
    token = SimulatedVerifier(WORLD, request).token()
    link = f"openid4vp://?{urlencode({'client_id': request.client_id.full, 'request': token})}"
    assert refused(request, "HAIP 5.1", link).answer_to == TELL


@pytest.mark.clause("haip-5.1-demands-reference", "x509-HAIP5-haip")
def test_a_request_that_nobody_signed_is_refused_and_nobody_told() -> None:
    client_id = create_client_id(ClientIdPrefix.REDIRECT_URI, leaf=b"", response_uri=RESPONSE_URI)
    request = replace(WORLD.request(), client_id=client_id)
    assert refused(request, "HAIP 5.1", create_unsigned_link("openid4vp://", request)).answer_to is None


@pytest.mark.clause("haip-5.1-demands-encryption")
def test_an_answer_in_clear_is_refused() -> None:
    assert refused(WORLD.request(encrypted=False), "HAIP 5.1").answer_to == TELL


@pytest.mark.clause("haip-5-demands-p256")
def test_a_key_on_another_curve_is_refused() -> None:
    assert refused(encrypted_to(FOREIGN_KEY), "HAIP 5").answer_to == TELL


@pytest.mark.clause("haip-5-demands-both-enc")
@pytest.mark.parametrize("enc_values", ONE_ENC)
def test_one_encryption_of_two_is_refused(enc_values: tuple[str, ...]) -> None:
    request = encrypted_to(replace(WORLD.encryption, enc_values=enc_values))
    assert refused(request, "HAIP 5").answer_to == TELL


@pytest.mark.clause("haip-5-demands-both-enc")
def test_the_default_encryption_is_one_of_two() -> None:
    verifier = SimulatedVerifier(WORLD, WORLD.request())
    metadata = {**WORLD.request().to_json()["client_metadata"]}  # type: ignore[dict-item]
    del metadata["encrypted_response_enc_values_supported"]
    verifier.claims = {"client_metadata": metadata}
    assert resolve(verifier, haip=False).request.encryption.enc_values == ("A128GCM",)
    with pytest.raises(ProfileNotKept, match="A256GCM"):
        resolve(verifier, haip=True)


def test_a_broken_request_is_broken_and_not_below_the_profile() -> None:
    verifier = SimulatedVerifier(WORLD, WORLD.request(encrypted=False), without=("nonce",))
    with pytest.raises(InvalidRequest) as caught:
        resolve(verifier, haip=True)
    assert not isinstance(caught.value, ProfileNotKept)


@pytest.mark.clause("haip-5-metadata")
def test_the_verifier_is_told_beforehand_what_is_demanded() -> None:
    verifier = SimulatedVerifier(WORLD, WORLD.request())
    resolve(verifier, f"{verifier.link}&request_uri_method=post", haip=True)
    [sent] = parse_qs(verifier.seen[0].body.decode())["wallet_metadata"]
    said = json.loads(sent)
    assert said == wallet.wallet_metadata(haip=True)
    assert said["response_modes_supported"] == ["direct_post.jwt"]
    assert said["client_id_prefixes_supported"] == ["x509_hash"]
    free = wallet.wallet_metadata()
    differing = {name for name in free if free[name] != said[name]}
    assert differing == {"response_modes_supported", "client_id_prefixes_supported"}


# --- over the Digital Credentials API ---------------------------------------------------------------------------------
def call(prefix: ClientIdPrefix | None = None, encryption: ResponseEncryption | None = WORLD.encryption) -> Any:
    """``protocol`` and ``data`` of a request, signed if there is a prefix."""
    asked = WORLD.request(query(("name",)))
    client_id = None
    if prefix is not None:
        client_id = create_client_id(prefix, leaf=WORLD.verifier_chain[0], response_uri=RESPONSE_URI)
    request = DcApiRequest(client_id, asked.nonce, asked.dcql_query, encryption, (ORIGIN,) if prefix else ())
    if prefix is None:
        return "openid4vp-v1-unsigned", create_unsigned_data(request)
    key = CertifiedSigner(WORLD.verifier_signer, WORLD.verifier_chain)
    return "openid4vp-v1-signed", create_signed_data(request, key, issued_at=NOW, expires_at=NOW)


def over_the_api(made: Any, *, haip: bool) -> Any:
    return resolve_dc_api_request(*made, origin=ORIGIN, anchors=WORLD.anchors, now=NOW, haip=haip)


@pytest.mark.parametrize("prefix", [None, ClientIdPrefix.X509_HASH])
def test_a_call_of_the_profile_is_taken(prefix: ClientIdPrefix | None) -> None:
    made = call(prefix)
    assert over_the_api(made, haip=True) == over_the_api(made, haip=False)


@pytest.mark.clause("haip-5.2-demanded", "haip-5.1-demands-encryption")
@pytest.mark.parametrize(
    ("make", "clause"),
    [
        pytest.param(lambda: call(ClientIdPrefix.X509_SAN_DNS), "HAIP 5", id="prefix"),
        pytest.param(lambda: call(encryption=None), "HAIP 5.2", id="in clear"),
        pytest.param(lambda: call(encryption=FOREIGN_KEY), "HAIP 5", id="curve"),
        pytest.param(
            lambda: call(encryption=replace(WORLD.encryption, enc_values=("A256GCM",))), "HAIP 5", id="encryption"
        ),
    ],
)
def test_a_call_below_the_profile_is_refused(make: Callable[[], Any], clause: str) -> None:
    made = make()
    assert over_the_api(made, haip=False).request
    with pytest.raises(ProfileNotKept) as caught:
        over_the_api(made, haip=True)
    assert caught.value.clause == clause
