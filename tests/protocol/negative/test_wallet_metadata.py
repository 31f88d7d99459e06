"""What a wallet posts to a request_uri, and when a verifier stops there (OpenID4VP 5.10, 10.1)."""

import json
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.support.mdoc_presentations import NAME, mdoc_query
from tests.support.presentations import query, world
from wallet_core.errors import InvalidRequest, VpFormatsNotSupported, WalletError
from wallet_core.keys.algorithms import SignatureAlgorithm
from wallet_core.protocols.openid4vp.client_id import ClientIdPrefix
from wallet_core.protocols.openid4vp.wallet import wallet_metadata
from wallet_core.protocols.openid4vp.wallet_metadata import (
    ClaimedMetadata,
    encrypt_request_object,
    parse_request_uri_post,
    validate_wallet_can_answer,
)

WORLD = world()
FORM = "application/x-www-form-urlencoded"
KEY = WORLD.encryption.jwk


def claimed(**members: Any) -> ClaimedMetadata:
    """What the verifier reads of metadata like our wallet's with some members changed; ... takes one out."""
    changed = {name: value for name, value in {**wallet_metadata(), **members}.items() if value is not ...}
    return parse_request_uri_post(FORM, urlencode({"wallet_metadata": json.dumps(changed)}).encode()).metadata


def check(metadata: ClaimedMetadata, dcql: Any = None, **changes: Any) -> None:
    validate_wallet_can_answer(WORLD.request(dcql, **changes), metadata, algorithm=SignatureAlgorithm.ES256)


def test_our_own_wallet_and_one_that_says_nothing_can_answer() -> None:
    check(claimed())
    check(ClaimedMetadata())
    check(claimed(**dict.fromkeys(wallet_metadata(), ...)))
    # The specification's own example (5.10): formats and nothing else.
    formats = {"dc+sd-jwt": {"sd-jwt_alg_values": ["ES256"], "kb-jwt_alg_values": ["ES256"]}}
    only = json.dumps({"vp_formats_supported": formats})
    check(parse_request_uri_post(FORM, urlencode({"wallet_metadata": only}).encode()).metadata)


@pytest.mark.clause("vp-10.1-formats")
@pytest.mark.parametrize(
    "formats",
    [{}, {"ldp_vc": {}}, {"mso_mdoc": {}}, {"dc+sd-jwt": {"sd-jwt_alg_values": ["RS256"]}}],
)
def test_a_wallet_without_a_format_that_answers(formats: Any) -> None:
    with pytest.raises(VpFormatsNotSupported):
        check(claimed(vp_formats_supported=formats))


def test_an_alternative_in_a_format_of_the_wallet_is_enough() -> None:
    both = query(("name",))["credentials"] + mdoc_query(NAME)["credentials"]
    either = {"credentials": both, "credential_sets": [{"options": [["licence"], ["mdl"]]}]}
    mdoc_only = claimed(vp_formats_supported={"mso_mdoc": {}})
    check(mdoc_only, either)
    with pytest.raises(VpFormatsNotSupported):
        check(mdoc_only, {"credentials": both})


@pytest.mark.clause("vp-10.1-prefix", "vp-5.10-signing-alg", "vp-5.10-response-encryption")
@pytest.mark.parametrize(
    "members",
    [
        {"client_id_prefixes_supported": ["pre-registered", "x509_san_dns"]},
        {"client_id_prefixes_supported": []},
        {"response_modes_supported": ["direct_post", "fragment"]},
        {"request_object_signing_alg_values_supported": ["ES384", "EdDSA"]},
        {"authorization_encryption_alg_values_supported": ["RSA-OAEP"]},
        {"authorization_encryption_enc_values_supported": ["A128CBC-HS256"]},
    ],
)
def test_a_wallet_that_cannot_take_this_request(members: Any) -> None:
    with pytest.raises(InvalidRequest):
        check(claimed(**members))


def test_encryption_is_asked_of_those_only_who_are_to_encrypt() -> None:
    in_clear = claimed(authorization_encryption_alg_values_supported=[])
    check(in_clear, encrypted=False)
    with pytest.raises(InvalidRequest):
        check(in_clear)
    check(claimed(authorization_encryption_enc_values_supported=["A128GCM"]))


def test_both_names_of_one_signature_count() -> None:
    request = WORLD.request()
    for name in ("EdDSA", "Ed25519"):
        metadata = claimed(request_object_signing_alg_values_supported=[name])
        validate_wallet_can_answer(request, metadata, algorithm=SignatureAlgorithm.EDDSA)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '"text"',
        '{"a":1,"a":2}',
        '{"vp_formats_supported":[]}',
        '{"client_id_prefixes_supported":"x509_hash"}',
        json.dumps({"response_modes_supported": ["x"] * 65}),
        json.dumps({"jwks": {"keys": [{"kty": "AKP", "alg": "ML-KEM-768"}]}}),
        json.dumps({"jwks": {"keys": [KEY]}, "request_object_encryption_alg_values_supported": ["RSA-OAEP"]}),
        json.dumps({"jwks": {"keys": [KEY]}, "request_object_encryption_enc_values_supported": ["A192GCM"]}),
        json.dumps({"jwks": {"keys": [KEY | {"alg": "ECDH-ES+A256KW"}]}}),
    ],
)
def test_metadata_that_are_none(text: str) -> None:
    with pytest.raises(InvalidRequest):
        parse_request_uri_post(FORM, urlencode({"wallet_metadata": text}).encode())


@pytest.mark.parametrize("jwks", [None, {}, {"keys": []}, {"keys": [{"kty": "EC", "use": "sig"}]}, [], {"keys": "x"}])
def test_without_a_key_to_encrypt_to_the_request_comes_in_clear(jwks: Any) -> None:
    metadata = claimed(jwks=jwks)
    assert metadata.request_key is None
    assert encrypt_request_object("a.b.c", metadata) == "a.b.c"


@pytest.mark.clause("vp-5.10-key-without-alg")
def test_a_key_that_says_what_it_is_for_comes_before_one_that_does_not() -> None:
    signing = {name: KEY[name] for name in ("kty", "crv", "x", "y")}
    assert claimed(jwks={"keys": [signing, KEY]}).request_key == KEY
    assert claimed(jwks={"keys": [signing]}).request_key == signing | {"alg": "ECDH-ES"}


def test_no_prefix_can_be_exchanged_for_another() -> None:
    """The client_id of the link stands in the request (5.10.1): who lacks its prefix is refused, not served."""
    request = WORLD.request(prefix=ClientIdPrefix.X509_SAN_DNS)
    with pytest.raises(WalletError):
        validate_wallet_can_answer(
            request, claimed(client_id_prefixes_supported=["x509_hash"]), algorithm=SignatureAlgorithm.ES256
        )
    validate_wallet_can_answer(
        replace(request, encryption=None), claimed(response_modes_supported=...), algorithm=SignatureAlgorithm.ES256
    )
