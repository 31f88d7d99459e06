"""JOSE: signatures, thumbprints and encryption as the RFCs print them."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash

from tests.support import vectors
from wallet_core.encoding import base64url
from wallet_core.errors import InvalidDpopProof, MalformedError, VerificationError
from wallet_core.jose import jwe, jws
from wallet_core.keys.jwk import jwk_thumbprint, parse_key_members, parse_private_jwk, parse_public_jwk, thumbprint
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.protocols.oauth2.dpop import DpopProof, verify_dpop_proof

DPOP = vectors.load("jose", "rfc9449_dpop.json")


def public(jwk: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in jwk.items() if name != "d"}


def test_es256() -> None:
    vector = vectors.load("jose", "rfc7515_a3_es256.json")
    token = jws.parse(vector["compact"])
    assert token.header == vector["protected_header"]
    assert token.payload == vector["payload_utf8"].encode()
    assert token.signing_input == vector["signing_input_ascii"].encode()
    assert token.signature.hex() == vector["r_hex"] + vector["s_hex"]
    verified = jws.verify(token, parse_public_jwk(public(vector["jwk"])), typ=None)
    assert verified.claims() == vector["payload"]
    signer = SoftwareSigner.from_key(parse_private_jwk(vector["jwk"]))
    again = jws.parse(jws.attach_signature(token.signing_input, signer.sign(token.signing_input)))
    jws.verify(again, signer.public_key, typ=None)


def test_eddsa() -> None:
    vector = vectors.load("jose", "rfc8037_a4_eddsa.json")
    signer = SoftwareSigner.from_key(parse_private_jwk(vector["jwk"]))
    data = jws.signing_input({"alg": "EdDSA"}, vector["payload_utf8"].encode())
    assert jws.attach_signature(data, signer.sign(data)) == vector["compact"]
    jws.verify(jws.parse(vector["compact"]), signer.public_key, typ=None)


@pytest.mark.parametrize("case", vectors.cases("jose", "jwk_thumbprints.json", "vectors"))
def test_thumbprint(case: dict[str, Any]) -> None:
    expected = base64url.decode(case["thumbprint_sha256_b64url"])
    if case["jwk"]["kty"] == "RSA":
        # RSA is no key type of ours; its thumbprint is none either.
        with pytest.raises(MalformedError):
            jwk_thumbprint(case["jwk"])
        return
    assert jwk_thumbprint(case["jwk"]) == expected
    assert thumbprint(parse_key_members(public(case["jwk"]))) == expected


def test_ecdh_es_key_derivation() -> None:
    vector = vectors.load("jose", "rfc7518_c_ecdh_es.json")
    alice = parse_private_jwk(vector["alice_ephemeral_jwk"])
    bob = parse_private_jwk(vector["bob_jwk"])
    assert isinstance(alice, ec.EllipticCurvePrivateKey)
    assert isinstance(bob, ec.EllipticCurvePrivateKey)
    shared = alice.exchange(ec.ECDH(), bob.public_key())
    assert shared.hex() == vector["z_hex"]
    derived = ConcatKDFHash(hashes.SHA256(), 16, bytes.fromhex(vector["other_info_hex"])).derive(shared)
    assert derived.hex() == vector["derived_key_hex"]


def test_cookbook_es512() -> None:
    case = vectors.load("jose", "rfc7520_cookbook.json")["cases"][0]
    token = jws.parse(case["output"]["compact"])
    assert token.payload == case["input"]["payload"].encode()
    jws.verify(token, parse_public_jwk(public(case["input"]["key"])), typ=None)


@pytest.mark.parametrize("case", vectors.load("jose", "rfc7520_cookbook.json")["cases"][1:], ids=lambda c: c["title"])
def test_cookbook_encryption_of_other_kinds_is_refused(case: dict[str, Any]) -> None:
    # AES-CBC with HMAC, key wrapping and direct encryption: none of them is in our closed list.
    with pytest.raises((MalformedError, VerificationError)):
        jwe.decrypt(case["output"]["compact"], {})


@pytest.mark.parametrize("case", DPOP["proofs"], ids=lambda c: c["request"]["uri"])
def test_dpop_proof_signature(case: dict[str, Any]) -> None:
    token = jws.parse(case["token"])
    key = parse_public_jwk(token.header["jwk"])
    assert jws.verify(token, key, typ="dpop+jwt").claims() == case["payload"]
    if "jkt" in case:
        assert base64url.encode(thumbprint(key)) == case["jkt"]


@pytest.mark.parametrize("case", DPOP["proofs"], ids=lambda c: f"{c['request']['uri']}-{c['payload']['iat']}")
def test_dpop_proof_of_a_request(case: dict[str, Any]) -> None:
    token, request = case.get("access_token"), case["request"]

    def verify(**changes: Any) -> DpopProof:
        terms: dict[str, Any] = {
            "method": request["method"],
            "url": request["uri"],
            "now": datetime.fromtimestamp(case["payload"]["iat"], UTC),
            "verify_nonce": lambda _: None,
            "access_token": token,
        }
        return verify_dpop_proof([case["token"]], **terms | changes)

    assert (
        base64url.encode(verify().thumbprint) == case["jkt"] == DPOP["bound_access_token_jwt"]["payload"]["cnf"]["jkt"]
    )
    others = {
        "method": "PUT",
        "url": "https://other.example.com/",
        "access_token": "another",
        "now": datetime(2026, 1, 1, tzinfo=UTC),
    }
    for name, value in others.items():
        with pytest.raises(InvalidDpopProof):
            verify(**{name: value})


def test_dpop_bound_token_is_read() -> None:
    bound = DPOP["bound_access_token_jwt"]
    token = jws.parse(bound["token"])
    assert token.header == bound["header"]
    assert json.loads(token.payload) == bound["payload"]
