"""A wallet that says what it can do when it fetches its request (OpenID4VP 5.10), over the whole verifier."""

import json
from typing import Any

import pytest
from jwcrypto import jwe as peer_jwe
from jwcrypto import jwk as peer_jwk

from tests.support.presentations import NOW
from tests.support.verifying import VerifierUnderTest
from wallet_core.encoding import base64url, strict_json
from wallet_core.protocols.openid4vp.request_object import verify_request_object
from wallet_core.protocols.openid4vp.wallet import wallet_metadata

OWN = peer_jwk.JWK.generate(kty="EC", crv="P-256", kid="own", alg="ECDH-ES", use="enc")
KEY = json.loads(OWN.export_public())


def opened(text: str) -> tuple[str, dict[str, Any]]:
    """The nested token, decrypted by somebody else's library, and the header around it."""
    token = peer_jwe.JWE()
    token.deserialize(text, OWN)
    return token.payload.decode(), token.jose_header


def bare_key() -> dict[str, Any]:
    """The same key as the wallet library of the European Commission posts it: without ``alg`` and ``kid``."""
    return {name: value for name, value in KEY.items() if name not in {"alg", "kid"}}


@pytest.mark.clause("vp-5.10-encrypted-request")
@pytest.mark.parametrize(("encs", "enc"), [(..., "A256GCM"), (["A128GCM", "A192GCM"], "A128GCM")])
def test_a_wallet_gets_its_request_encrypted(sqlite_verifier: VerifierUnderTest, encs: Any, enc: str) -> None:
    made = sqlite_verifier.ask(request_uri_method="post")
    more = {} if encs is ... else {"request_object_encryption_enc_values_supported": encs}
    metadata = {**wallet_metadata(), "jwks": {"keys": [KEY]}, **more}
    form = {"wallet_metadata": json.dumps(metadata), "wallet_nonce": "w-0123456789"}
    answer = sqlite_verifier.client.post(made["request_uri"], data=form)
    assert answer.headers["content-type"] == "application/oauth-authz-req+jwt"
    token, header = opened(answer.text)
    assert (header["cty"], header["kid"], header["enc"]) == ("JWT", "own", enc)
    plain = sqlite_verifier.resolve(made["authorization_request"]).request
    request, _ = verify_request_object(
        token, client_id=plain.client_id, anchors=sqlite_verifier.world.anchors, now=NOW, wallet_nonce="w-0123456789"
    )
    # M24: encrypted or not, it is the same request.
    assert request == plain


@pytest.mark.clause("vp-5.10-key-without-alg")
@pytest.mark.parametrize("more", [{}, {"request_object_encryption_alg_values_supported": ["ECDH-ES"]}])
def test_a_key_that_names_no_algorithm_is_encrypted_to(sqlite_verifier: VerifierUnderTest, more: Any) -> None:
    made = sqlite_verifier.ask(request_uri_method="post")
    metadata = {**wallet_metadata(), "jwks": {"keys": [bare_key()]}, **more}
    answer = sqlite_verifier.client.post(made["request_uri"], data={"wallet_metadata": json.dumps(metadata)})
    assert answer.headers["content-type"] == "application/oauth-authz-req+jwt", answer.text
    token, header = opened(answer.text)
    assert (header["alg"], header.get("kid")) == ("ECDH-ES", None)
    assert token.count(".") == 2


def test_a_wallet_that_cannot_answer_is_told_and_another_one_still_may(sqlite_verifier: VerifierUnderTest) -> None:
    made = sqlite_verifier.ask(request_uri_method="post")
    for members, error in (
        ({"vp_formats_supported": {"ldp_vc": {}}}, "vp_formats_not_supported"),
        ({"client_id_prefixes_supported": ["redirect_uri"]}, "invalid_request"),
    ):
        form = {"wallet_metadata": json.dumps(wallet_metadata() | members)}
        answer = sqlite_verifier.client.post(made["request_uri"], data=form)
        assert (answer.status_code, answer.json()["error"]) == (400, error)
        assert sqlite_verifier.result(made["id"])["state"] == "requested"
    # Section 21: metadata as loose fields of the form are no metadata.
    loose = {"vp_formats_supported": '{"ldp_vc":{}}', "client_id_prefixes_supported": "[]"}
    answer = sqlite_verifier.client.post(made["request_uri"], data=loose)
    assert "wallet_nonce" not in strict_json.loads_object(base64url.decode(answer.text.split(".")[1]))
    assert sqlite_verifier.present(made["authorization_request"])
