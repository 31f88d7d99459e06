"""SD-JWTs in JSON: the same as in compact form, and nothing else can be brought in."""

from typing import Any

import pytest

from tests.support.sd_jwt import AUDIENCE, ISSUER, NONCE, NOW, issue, present
from wallet_core.encoding import base64url, strict_json
from wallet_core.errors import HolderBindingError, MalformedError
from wallet_core.formats.sd_jwt.json_serialization import MAX_SIGNATURES, flattened_json, parse_sd_jwt_json
from wallet_core.formats.sd_jwt.verifier import MAX_SD_JWT_CHARACTERS, parse_sd_jwt, verify_sd_jwt, verify_sd_jwt_kb

PRESENTATION = present([("family_name",), ("address",)])
ISSUED = issue()


def flattened(**changes: Any) -> dict[str, Any]:
    return {**flattened_json(PRESENTATION), **changes}


def general(*more: Any, **changes: Any) -> dict[str, Any]:
    members = flattened_json(PRESENTATION)
    first = {name: members[name] for name in ("protected", "header", "signature")}
    return {"payload": members["payload"], "signatures": [first, *more], **changes}


def header(**changes: Any) -> dict[str, Any]:
    members: dict[str, Any] = flattened_json(PRESENTATION)
    return {**members, "header": {**members["header"], **changes}}


def refusal(members: Any) -> str:
    with pytest.raises(MalformedError) as refused:
        parse_sd_jwt_json(strict_json.dumps(members))
    return refused.value.description


@pytest.mark.parametrize("text", [ISSUED, PRESENTATION])
def test_it_is_the_same_as_in_compact_form(text: str) -> None:
    assert parse_sd_jwt_json(strict_json.dumps_text(flattened_json(text))) == parse_sd_jwt(text)


def test_the_first_of_several_signatures_counts() -> None:
    other = {"header": {"kid": "other"}, "protected": "e30", "signature": "AAAA"}
    assert parse_sd_jwt_json(strict_json.dumps(general(other))) == parse_sd_jwt(PRESENTATION)


def test_without_a_header_nothing_is_disclosed() -> None:
    members = flattened()
    del members["header"]
    sd_jwt = parse_sd_jwt_json(strict_json.dumps(members))
    assert (sd_jwt.disclosures, sd_jwt.key_binding_jwt) == ((), None)
    assert verify_sd_jwt(sd_jwt, issuer_key=ISSUER.public_key, now=NOW).disclosed == ()


def test_members_that_nobody_vouches_for_change_nothing() -> None:
    assert parse_sd_jwt_json(strict_json.dumps(header(kid="other", iss="x"))) == parse_sd_jwt(PRESENTATION)
    assert parse_sd_jwt_json(strict_json.dumps(flattened(more=1))) == parse_sd_jwt(PRESENTATION)


def test_a_disclosure_taken_out_of_the_json_is_noticed() -> None:
    # RFC 9901 8.1: sd_hash is over the compact form, so over the Disclosures of the JSON.
    sd_jwt = parse_sd_jwt_json(strict_json.dumps(header(disclosures=[])))
    with pytest.raises(HolderBindingError) as refused:
        verify_sd_jwt_kb(sd_jwt, issuer_key=ISSUER.public_key, audience=AUDIENCE, nonce=NONCE, now=NOW)
    assert refused.value.step == 12


@pytest.mark.clause(
    "rfc9901-8.1-parts",
    "rfc9901-8.1-kb-jwt",
    "rfc9901-8.3-first-header",
    "jose-7515.7.2.1-disjoint",
    "jose-7515.7.2.2-one-form",
)
@pytest.mark.parametrize(
    ("members", "said"),
    [
        ([], "is not a JSON object"),
        ({}, "not base64url"),
        (flattened(payload=None), "not base64url"),
        (flattened(protected=""), "not base64url"),
        (flattened(signature="AA.AA"), "not base64url"),
        (flattened(payload="AA~AA"), "not base64url"),
        (flattened(header=[]), "an unprotected header is not an object"),
        (header(disclosures="AA"), "disclosures is not an array"),
        (header(disclosures=[1]), "not base64url"),
        (header(disclosures=[""]), "not base64url"),
        (header(disclosures=["AA~AA"]), "not base64url"),
        (header(kb_jwt=""), "kb_jwt is not a JWT"),
        (header(kb_jwt=None), "kb_jwt is not a JWT"),
        (header(kb_jwt=["a"]), "kb_jwt is not a JWT"),
        (header(kb_jwt="AA~a.b.c"), "kb_jwt is not a JWT"),
        (header(kb_jwt="AA"), "does not have three parts"),
        (header(alg="none"), "in both headers"),
        (header(typ="dc+sd-jwt"), "in both headers"),
        (flattened(signatures=[]), "flattened and general JSON at once"),
        (general(header={}), "flattened and general JSON at once"),
        (general(signatures=[]), "short non-empty array"),
        (general(signatures={}), "short non-empty array"),
        (general(*[{}] * MAX_SIGNATURES), "short non-empty array"),
        (general("AA"), "a signature is not an object"),
        (general({"header": 1}), "an unprotected header is not an object"),
        (general({"header": {"disclosures": []}}), "beside a second signature"),
        (general({"header": {"kb_jwt": "a.b.c"}}), "beside a second signature"),
        (flattened(more="x" * MAX_SD_JWT_CHARACTERS), "larger than"),
    ],
)
def test_refused(members: Any, said: str) -> None:
    assert said in refusal(members)


def test_a_member_that_stands_there_twice_is_refused() -> None:
    text = strict_json.dumps_text(flattened())
    with pytest.raises(MalformedError, match="twice"):
        parse_sd_jwt_json(text[:-1] + ',"payload":"e30"}')


@pytest.mark.parametrize("text", ["", "a.b.c", base64url.encode(b"{}"), "a~b"])
def test_what_is_no_sd_jwt_is_not_written_as_one(text: str) -> None:
    with pytest.raises(MalformedError):
        flattened_json(text)
