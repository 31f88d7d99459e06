"""Answers to a response_uri that break one rule of OpenID4VP 8 each."""

import json
from urllib.parse import urlencode

import pytest

from tests.support.presentations import world
from wallet_core.encoding import base64url
from wallet_core.errors import InvalidRequest, MalformedError, VerificationError
from wallet_core.jose import jwe
from wallet_core.protocols.openid4vp.response import (
    EncryptedResponse,
    ErrorResponse,
    PresentationResponse,
    decrypt_response,
    parse_posted_response,
)

FORM = "application/x-www-form-urlencoded"
GOOD = {"vp_token": {"licence": ["a~"]}, "state": "request-1"}
WORLD = world()
KEYS = {"enc-1": WORLD.encryption_key}


def posted(members):
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in members.items()}
    return parse_posted_response(FORM, urlencode(texts).encode())


def encrypted(members, jwk=None, **header):
    recipient = jwk or WORLD.encryption.jwk
    return EncryptedResponse(jwe.encrypt(json.dumps(members).encode(), recipient, enc="A128GCM", header=header))


def test_good_ones() -> None:
    assert (
        posted(GOOD)
        == decrypt_response(encrypted(GOOD), KEYS)
        == PresentationResponse({"licence": ("a~",)}, "request-1")
    )
    assert posted({"error": "access_denied"}) == ErrorResponse("access_denied", None)


@pytest.mark.clause("vp-8.1-object")
@pytest.mark.parametrize("vp_token", [{}, [], "a~", ["a~"], None, 1])
def test_a_vp_token_that_is_no_object_with_entries(vp_token) -> None:
    with pytest.raises(MalformedError):
        decrypt_response(encrypted({**GOOD, "vp_token": vp_token}), KEYS)


@pytest.mark.clause("vp-8.1-array")
@pytest.mark.parametrize("entry", ["a~", [], {}, None, [1], ["a~", None]])
def test_an_entry_that_is_no_array_of_presentations(entry) -> None:
    with pytest.raises(MalformedError):
        posted({**GOOD, "vp_token": {"licence": entry}})


@pytest.mark.clause("vp-8.1-neither")
def test_neither_vp_token_nor_error() -> None:
    with pytest.raises(InvalidRequest):
        posted({"state": "request-1", "presentation_submission": "{}"})


@pytest.mark.clause("vp-8.1-not-both")
def test_a_vp_token_and_an_error() -> None:
    both = {"vp_token": '{"licence":["a~"]}', "error": "access_denied"}
    with pytest.raises(InvalidRequest):
        posted(both)
    with pytest.raises(InvalidRequest):
        decrypt_response(encrypted({"vp_token": {"licence": ["a~"]}, "error": "access_denied"}), KEYS)


@pytest.mark.clause("oauth-6749.3.2-form")
def test_an_answer_as_json() -> None:
    with pytest.raises(InvalidRequest):
        parse_posted_response("application/json", json.dumps(GOOD).encode())


@pytest.mark.clause("oauth-6749.3.2-once")
def test_a_vp_token_twice() -> None:
    with pytest.raises(InvalidRequest):
        parse_posted_response(FORM, b"vp_token=%7B%22a%22%3A%5B%22b%22%5D%7D&vp_token=%7B%7D")


@pytest.mark.clause("jose-7493-duplicate")
def test_a_query_id_twice() -> None:
    with pytest.raises(MalformedError):
        posted({"vp_token": '{"licence":["a~"],"licence":["b~"]}'})


@pytest.mark.clause("vp-8.3-our-kid")
def test_encrypted_to_a_key_of_another_request() -> None:
    with pytest.raises(VerificationError):
        decrypt_response(encrypted(GOOD, {**WORLD.encryption.jwk, "kid": "enc-2"}), KEYS)


@pytest.mark.clause("jose-7516.4.1.13-crit-zip")
def test_a_compressed_answer() -> None:
    token = encrypted(GOOD).token
    header, rest = token.split(".", 1)
    changed = {**json.loads(base64url.decode(header)), "zip": "DEF"}
    with pytest.raises(VerificationError, match="extension"):
        decrypt_response(EncryptedResponse(f"{base64url.encode(json.dumps(changed).encode())}.{rest}"), KEYS)


@pytest.mark.clause("jose-7518.4.6-parts")
@pytest.mark.parametrize("change", [lambda parts: parts[:4], lambda parts: [parts[0], "AAAA", *parts[2:]]])
def test_parts_too_few_or_an_encrypted_key(change) -> None:
    parts = encrypted(GOOD).token.split(".")
    with pytest.raises(MalformedError):
        decrypt_response(EncryptedResponse(".".join(change(parts))), KEYS)


@pytest.mark.clause("jose-7516.4.1-offered")
@pytest.mark.parametrize("member", [{"alg": "ECDH-ES+A256KW"}, {"alg": "dir"}, {"enc": "A128CBC-HS256"}])
def test_encrypted_in_a_way_nobody_offered(member) -> None:
    header, rest = encrypted(GOOD).token.split(".", 1)
    changed = {**json.loads(base64url.decode(header)), **member}
    with pytest.raises(VerificationError, match="not offered"):
        decrypt_response(EncryptedResponse(f"{base64url.encode(json.dumps(changed).encode())}.{rest}"), KEYS)
