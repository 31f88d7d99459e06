"""Verifying: each rule broken once, refused at the step that states it."""

from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.sd_jwt import (
    AUDIENCE,
    CLAIMS,
    HOLDER,
    ISSUER,
    NONCE,
    NOW,
    bind,
    digest,
    disclosure,
    issue,
    payload,
    present,
    sign,
    verify,
    verify_kb,
)
from wallet_core.encoding import base64url, strict_json
from wallet_core.errors import (
    Expired,
    HolderBindingError,
    InvalidSignature,
    MalformedError,
    NotYetValid,
    VerificationError,
)
from wallet_core.formats.sd_jwt.disclosure import MAX_DISCLOSURES
from wallet_core.formats.sd_jwt.holder import index_sd_jwt
from wallet_core.formats.sd_jwt.verifier import MAX_SD_JWT_CHARACTERS, parse_sd_jwt
from wallet_core.jose import jws
from wallet_core.keys.jwk import public_jwk
from wallet_core.keys.signer import SoftwareSigner

SECONDS = int(NOW.timestamp())
NAME = disclosure("salt-a", "name", "하나")
CHILD = disclosure("salt-b", "child", 1)
PARENT = disclosure("salt-c", "parent", {"_sd": [digest(CHILD)]})
ELEMENT = disclosure("salt-d", "one")


def refusal(text: str) -> VerificationError:
    with pytest.raises(VerificationError) as refused:
        verify(text)
    return refused.value


def binding_refusal(text: str, **changes: Any) -> HolderBindingError:
    with pytest.raises(HolderBindingError) as refused:
        verify_kb(text, **changes)
    return refused.value


def test_everything_and_nothing_disclosed() -> None:
    text = issue()
    assert verify(text).claims | CLAIMS == verify(text).claims
    held = index_sd_jwt(text)
    bare = verify(held.select([]))
    assert bare.disclosed == ()
    assert "family_name" not in bare.claims
    assert bare.claims["licence_classes"] == []
    assert bare.gaps == {("licence_classes",): ()}


def test_gaps_tell_where_the_elements_left_stood() -> None:
    held = index_sd_jwt(issue())
    shown = verify(held.select([("licence_classes", 1)]))
    assert shown.claims["licence_classes"] == ["2종소형"]
    assert shown.gaps == {("licence_classes",): (1,)}


@pytest.mark.clause("rfc9901-4-tilde", "rfc9901-4-empty-disclosure")
@pytest.mark.parametrize(
    "text",
    [
        "",
        "~",
        "a.b.c",
        "a~b",
        sign({})[:-1],
        sign({}) + "~",
        sign({}, [NAME, ""]),
        sign({}) + "not.a.jwt!",
        "가" + sign({}),
        sign({}) + "~" * (MAX_DISCLOSURES + 1),
        sign({}, ["A"] * (MAX_DISCLOSURES + 1)),
        sign({}, ["A" * MAX_SD_JWT_CHARACTERS]),
    ],
    ids=range(12),
)
def test_malformed(text: str) -> None:
    with pytest.raises(MalformedError):
        parse_sd_jwt(text)


@pytest.mark.parametrize("value", [[], {}, "AA", [1], ["A"], ["=="], ["가"], ["AA\n"], ["AAAA"] * 7])
def test_malformed_x5c(value: Any) -> None:
    with pytest.raises(MalformedError):
        parse_sd_jwt(sign({}, x5c=value)).x5c()


def test_no_x5c() -> None:
    assert parse_sd_jwt(sign({})).x5c() == ()


@pytest.mark.clause(
    "rfc9901-4.1.1-sd-alg",
    "rfc9901-4.1.1-top-level",
    "rfc9901-4.2.4.1-array",
    "rfc9901-4.2.3-digest",
    "rfc9901-4.2.4.2-dots-in-array",
    "rfc9901-4.2.4.2-dots-alone",
    "rfc9901-4.2.1-member",
    "rfc9901-4.2.2-element",
    "rfc9901-7.1-name",
    "rfc9901-7.1-digest-twice",
    "rfc9901-7.2-disclosure-once",
    "rfc9901-7.1-unreferenced",
)
@pytest.mark.parametrize(
    ("step", "claims", "disclosures"),
    [
        (2, [], []),
        (2, {"_sd_alg": "sha-1"}, []),
        (2, {"_sd_alg": "sha-256-128"}, []),
        (2, {"_sd_alg": None}, []),
        (2, {"_sd_alg": ["sha-256"]}, []),
        (3, {"_sd": {}}, []),
        (3, {"_sd": digest(NAME)}, [NAME]),
        (3, {"_sd": [1]}, []),
        (3, {"a": {"_sd_alg": "sha-256"}}, []),
        (3, {"a": [{"_sd_alg": "sha-256"}]}, []),
        (3, {"...": digest(NAME)}, []),
        (3, {"a": {"...": digest(ELEMENT)}}, [ELEMENT]),
        (3, {"a": [{"...": digest(ELEMENT), "b": 1}]}, [ELEMENT]),
        (3, {"a": [{"...": 1}]}, []),
        (3, {"_sd": [digest(ELEMENT)]}, [ELEMENT]),
        (3, {"a": [{"...": digest(NAME)}]}, [NAME]),
        (3, {"_sd": [digest(NAME)], "name": 1}, [NAME]),
        (4, {"_sd": ["x", "x"]}, []),
        (4, {"_sd": ["x"], "a": {"_sd": ["x"]}}, []),
        (4, {"_sd": ["x"], "a": [{"...": "x"}]}, []),
        (4, {"_sd": [digest(NAME)]}, [NAME, NAME]),
        (4, {"_sd": [digest(PARENT), digest(CHILD)]}, [PARENT, CHILD]),
        (5, {}, [NAME]),
        (5, {"_sd": [digest(PARENT)]}, [CHILD]),
        (3, {"_sd": [digest(NAME)]}, [NAME, "AA=="]),
    ],
    ids=str,
)
def test_payload_and_disclosures(step: int, claims: Any, disclosures: list[str]) -> None:
    assert refusal(sign(claims, disclosures)).step == step


@pytest.mark.clause("rfc9901-4.2-salt", "rfc9901-4.2.1-member", "rfc9901-7.1-name")
@pytest.mark.parametrize(
    "text",
    [
        disclosure(),
        disclosure("salt"),
        disclosure("salt", "name", 1, 2),
        disclosure(1, "name", 1),
        disclosure("salt", 1, 1),
        disclosure("salt", "_sd", []),
        disclosure("salt", "_sd_alg", "sha-256"),
        disclosure("salt", "...", 1),
        disclosure("salt", "name", {"_sd_alg": "sha-256"}),
        disclosure("salt", "name", {"...": "x"}),
        base64url.encode(b"not json"),
        base64url.encode(b'["s","n",{"a":1,"a":2}]'),
        base64url.encode(b'{"salt":1}'),
        base64url.encode(b'["s","n",NaN]'),
        NAME + "=",
        NAME[:-1],
        NAME + "\n",
    ],
)
def test_disclosures_that_are_none(text: str) -> None:
    assert refusal(sign({"_sd": [digest(text)]}, [text])).step == 3


def test_disclosures_nested_too_deeply() -> None:
    inner = disclosure("s", "n", 1)
    chain = [inner]
    for number in range(40):
        chain.append(disclosure(f"s{number}", "n", {"_sd": [digest(chain[-1])]}))
    assert refusal(sign({"_sd": [digest(chain[-1])]}, chain)).step == 3
    deep: list[Any] = []
    for _ in range(20):
        deep = [deep]
    inner = disclosure("s", deep)
    assert refusal(sign({"a": [[[[[[[[[[[[[{"...": digest(inner)}]]]]]]]]]]]]]}, [inner])).step == 3


@pytest.mark.clause("rfc9901-7.1-undisclosed")
def test_decoys_and_empty_arrays_of_digests_are_fine() -> None:
    assert verify(sign({"_sd": [], "a": [{"...": "decoy"}], "b": {"_sd": ["other"]}})).claims == {"a": [], "b": {}}


@pytest.mark.clause("jose-8725.3.1-alg", "jose-7515.5.2-signature", "jose-7515.4.1.11-crit")
def test_signature_and_algorithm() -> None:
    good = sign(payload())
    issuer_jwt, _ = good.split("~")
    header, body, _ = issuer_jwt.split(".")
    other = SoftwareSigner.generate().sign(f"{header}.{body}".encode())
    for text in (
        f"{header}.{body}.{base64url.encode(other)}~",
        sign(payload(), alg="none"),
        sign(payload(), alg="HS256"),
        sign(payload(), alg="ES384"),
        f"{header}.{base64url.encode(b'{}')}.{issuer_jwt.split('.')[2]}~",
    ):
        refused = refusal(text)
        assert isinstance(refused, InvalidSignature)
        assert refused.step == 1
    assert refusal(sign(payload(), crit=["x"])).step == 1


@pytest.mark.clause("rfc9901-7.1-times-are-numbers")
@pytest.mark.parametrize("name", ["exp", "nbf"])
@pytest.mark.parametrize("value", ["1", True, None, [], {}])
def test_times_that_are_none(name: str, value: Any) -> None:
    assert refusal(sign(payload(**{name: value}))).step == 6


@pytest.mark.clause("rfc9901-7.1-nbf", "rfc9901-7.1-exp")
def test_validity_times() -> None:
    minute = timedelta(minutes=1)
    text = sign(payload(nbf=SECONDS, exp=SECONDS + 3600.5))
    verify(text, NOW)
    verify(text, NOW - minute)
    verify(text, NOW + timedelta(hours=1) + minute)
    with pytest.raises(NotYetValid):
        verify(text, NOW - minute - timedelta(seconds=1))
    with pytest.raises(Expired):
        verify(text, NOW + timedelta(hours=1, seconds=1) + minute)
    hidden = disclosure("salt", "exp", SECONDS - 3600)
    assert isinstance(refusal(sign(payload(_sd=[digest(hidden)]), [hidden])), Expired)


def test_key_binding() -> None:
    verified = verify_kb(present([("family_name",)]))
    assert verified.claims["family_name"] == "시험"
    assert "given_name" not in verified.claims
    assert verified.disclosed == (("family_name",),)
    assert verified.holder_key == HOLDER.public_key
    assert verified.key_binding is not None
    assert verified.key_binding["aud"] == AUDIENCE


@pytest.mark.parametrize("curve", [ec.SECP384R1(), ec.SECP521R1()])
def test_key_binding_with_other_algorithms(curve: ec.EllipticCurve) -> None:
    holder = SoftwareSigner.from_key(ec.generate_private_key(curve))
    held = index_sd_jwt(issue(holder_key=holder.public_key))
    text = bind(held, [], algorithm=holder.algorithm)
    sd_jwt = text[: text.rindex("~") + 1]
    signing_input = text[len(sd_jwt) : text.rindex(".")].encode()
    verified = verify_kb(sd_jwt + jws.attach_signature(signing_input, holder.sign(signing_input)))
    assert verified.holder_key == holder.public_key


def rebind(sd_jwt: str, claims: dict[str, Any], header: dict[str, Any] | None = None) -> str:
    """Return ``sd_jwt`` with a Key Binding JWT of exactly these claims beside a right ``sd_hash``."""
    complete = {"iat": SECONDS, "aud": AUDIENCE, "nonce": NONCE, "sd_hash": digest(sd_jwt), **claims}
    data = jws.signing_input(
        {"alg": "ES256", "typ": "kb+jwt", **(header or {})},
        b"[]" if claims.get("array") else strict_json.dumps({k: v for k, v in complete.items() if v is not ...}),
    )
    return sd_jwt + jws.attach_signature(data, HOLDER.sign(data))


@pytest.mark.clause(
    "rfc9901-4.3-kb-typ",
    "rfc9901-4.3-kb-iat",
    "rfc9901-7.3-iat-window",
    "rfc9901-7.3-aud",
    "rfc9901-7.3-nonce",
    "rfc9901-7.3-sd-hash",
    "rfc9901-7.3-kb-times",
)
@pytest.mark.parametrize(
    ("step", "claims", "header"),
    [
        (9, {"array": True}, {}),
        (9, {}, {"typ": "JWT"}),
        (9, {}, {"typ": None}),
        (9, {}, {"alg": "none"}),
        (9, {}, {"alg": "ES384"}),
        (9, {}, {"crit": ["exp"]}),
        (10, {"iat": ...}, {}),
        (10, {"iat": None}, {}),
        (10, {"iat": True}, {}),
        (10, {"iat": str(SECONDS)}, {}),
        (10, {"iat": SECONDS - 361}, {}),
        (10, {"iat": SECONDS + 61}, {}),
        (11, {"aud": ...}, {}),
        (11, {"aud": [AUDIENCE]}, {}),
        (11, {"aud": AUDIENCE + "/"}, {}),
        (11, {"nonce": ...}, {}),
        (11, {"nonce": "other"}, {}),
        (11, {"nonce": None}, {}),
        (12, {"sd_hash": ...}, {}),
        (12, {"sd_hash": digest("other~")}, {}),
        (12, {"sd_hash": None}, {}),
        (13, {"exp": SECONDS - 3600}, {}),
        (13, {"nbf": SECONDS + 3600}, {}),
        (13, {"exp": "soon"}, {}),
    ],
    ids=str,
)
def test_key_binding_rules(step: int, claims: dict[str, Any], header: dict[str, Any]) -> None:
    sd_jwt = sign(payload())
    verify_kb(rebind(sd_jwt, {}))
    assert binding_refusal(rebind(sd_jwt, claims, header)).step == step


@pytest.mark.clause("rfc9901-7.3-required")
def test_key_binding_is_asked_for_by_the_caller() -> None:
    assert binding_refusal(issue()).step == 7
    # A Key Binding JWT nobody asked for is not looked at.
    verify(present([]) + "AA")


@pytest.mark.clause("rfc9901-7.3-cnf")
@pytest.mark.parametrize("cnf", [..., None, {}, {"kid": "1"}, {"jwk": {}}, {"jwk": None}, "jwk"])
def test_no_holder_key(cnf: Any) -> None:
    claims = {name: value for name, value in payload(cnf=cnf).items() if value is not ...}
    assert binding_refusal(rebind(sign(claims), {})).step == 8


def test_a_key_binding_of_another_key() -> None:
    other = public_jwk(ISSUER.public_key)
    assert binding_refusal(rebind(sign(payload(cnf={"jwk": other})), {})).step == 9


@pytest.mark.clause("rfc9901-7.3-sd-hash")
def test_a_presentation_changed_after_signing() -> None:
    text = present([("family_name",), ("given_name",)])
    issuer_jwt, first, second, key_binding = text.split("~")
    assert binding_refusal(f"{issuer_jwt}~{first}~{key_binding}").step == 12
    assert binding_refusal(f"{issuer_jwt}~{second}~{first}~{key_binding}").step == 12
    verify_kb(text)


def test_age_and_leeway_are_the_callers() -> None:
    text = rebind(sign(payload()), {"iat": SECONDS - 3600})
    verify_kb(text, max_age=timedelta(hours=1))
    assert binding_refusal(text, max_age=timedelta(minutes=50)).step == 10
