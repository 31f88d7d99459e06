"""Status List Tokens as JWT: each check, one attack for each."""

import zlib
from datetime import timedelta
from typing import Any

import pytest

from tests.support.status_lists import ARRAY, NOW, SIGNER, URI, made, payload, signed, verify
from wallet_core.encoding import base64url
from wallet_core.errors import Expired, InvalidSignature, MalformedError, NotYetValid, VerificationError
from wallet_core.jose import jws
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.trust.status_list.reference import StatusReference
from wallet_core.trust.status_list.token import (
    MAX_TOKEN_BYTES,
    StatusListClaims,
    VerifiedStatusList,
    parse_status_list_jwt,
    status_list_claims,
)


def at(index: int, uri: str = URI) -> StatusReference:
    return StatusReference(index, uri)


def test_a_list_is_read_back_as_it_was_made() -> None:
    token = parse_status_list_jwt(made(aggregation_uri="https://issuer.example/all"))
    assert token.chain == (b"not read here",)
    verified = verify(made(aggregation_uri="https://issuer.example/all"))
    assert [verified.status(at(index)) for index in (2, 3, 5)] == [0, 1, 2]
    assert verified.claims.ttl == timedelta(seconds=60)
    assert verified.claims.expires_at == NOW + timedelta(hours=1)
    assert verified.claims.aggregation_uri == "https://issuer.example/all"


def test_a_token_without_exp_and_ttl_is_read() -> None:
    claims = verify(signed(exp=None, ttl=None)).claims
    assert (claims.expires_at, claims.ttl, claims.aggregation_uri) == (None, None, None)


@pytest.mark.clause("tsl-5.1-typ")
@pytest.mark.parametrize("typ", ["JWT", "application/statuslist+jwt", "statuslist+cwt", None])
def test_another_type_is_refused(typ: str | None) -> None:
    with pytest.raises(VerificationError) as refused:
        verify(signed({"typ": typ}))
    assert refused.value.step == 1


def test_the_signature_of_another_key_is_refused() -> None:
    with pytest.raises(InvalidSignature) as refused:
        verify(made(), key=SoftwareSigner.generate().public_key)
    assert refused.value.step == 1


def test_a_changed_list_is_refused() -> None:
    header, _, signature = made().decode().split(".")
    data = base64url.encode(b'{"sub":"x"}')
    with pytest.raises(InvalidSignature):
        verify(f"{header}.{data}.{signature}".encode())


@pytest.mark.clause("tsl-5.1-sub", "tsl-5.1-iat", "tsl-5.1-ttl", "tsl-5.1-status-list")
@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("sub", None),
        ("sub", 1),
        ("iat", None),
        ("iat", "now"),
        ("iat", True),
        ("iat", 10**15),
        ("exp", "later"),
        ("ttl", 0),
        ("ttl", -1),
        ("ttl", "60"),
        ("ttl", 10**12),
        ("status_list", None),
        ("status_list", []),
        ("status_list", {}),
        ("status_list", {"bits": 1}),
        ("status_list", {"bits": "1", "lst": ""}),
    ],
)
def test_a_claim_that_is_missing_or_wrong_is_refused(member: str, value: Any) -> None:
    with pytest.raises(VerificationError) as refused:
        verify(signed(**{member: value}))
    assert refused.value.step in {1, 2}


@pytest.mark.clause("tsl-8.3-sub")
@pytest.mark.parametrize("uri", [URI + "/", URI.upper(), URI.replace("/1", "/2"), URI.replace("https", "http")])
def test_a_list_of_another_name_is_refused(uri: str) -> None:
    with pytest.raises(VerificationError) as refused:
        verify(made(), uri=uri)
    assert refused.value.step == 3
    with pytest.raises(VerificationError):
        verify(made()).status(at(1, uri))


@pytest.mark.clause("tsl-8.3-iat", "tsl-8.3-exp")
def test_a_list_is_used_only_in_its_time() -> None:
    verify(made(), now=NOW - timedelta(seconds=30))
    with pytest.raises(NotYetValid):
        verify(made(), now=NOW - timedelta(minutes=2))
    verify(made(), now=NOW + timedelta(minutes=59))
    with pytest.raises(Expired) as refused:
        verify(made(), now=NOW + timedelta(hours=1))
    assert refused.value.step == 4


@pytest.mark.clause("tsl-8.4-time")
def test_an_answer_about_the_past_covers_the_time_that_was_asked_for() -> None:
    later = NOW + timedelta(days=1)
    verify(made(), now=later, at=NOW + timedelta(minutes=5))
    for asked in (NOW - timedelta(seconds=1), NOW + timedelta(hours=2)):
        with pytest.raises(VerificationError) as refused:
            verify(made(), now=later, at=asked)
        assert refused.value.step == 4


@pytest.mark.clause("tsl-4.2-bits", "tsl-11.1-bound")
@pytest.mark.parametrize(
    "entry",
    [
        {"bits": 3, "lst": base64url.encode(zlib.compress(ARRAY))},
        {"bits": 1, "lst": base64url.encode(b"not zlib")},
        {"bits": 1, "lst": base64url.encode(zlib.compress(bytes((1 << 24) + 1)))},
    ],
)
def test_a_list_that_cannot_be_read_is_refused(entry: dict[str, Any]) -> None:
    with pytest.raises(VerificationError) as refused:
        verify(signed(status_list=entry))
    assert refused.value.step == 5


@pytest.mark.clause("tsl-8.3-index")
def test_an_index_beyond_the_list_is_refused() -> None:
    with pytest.raises(VerificationError) as refused:
        verify(made()).status(at(16))
    assert refused.value.step == 6


@pytest.mark.parametrize("token", [b"", b"a.b", b"\xff.\xff.\xff", b"a" * (MAX_TOKEN_BYTES + 1)])
def test_what_is_no_token_is_refused(token: bytes) -> None:
    with pytest.raises(MalformedError):
        parse_status_list_jwt(token)


def test_a_long_list_is_no_longer_than_other_tokens_may_be() -> None:
    many = bytes(range(256)) * 1024
    assert verify(made(many, 8)).status(at(511)) == 255
    text = jws.sign({"typ": "statuslist+jwt"}, {**payload(), "ext": ["a" * 300_000]}, SIGNER)
    assert verify(text.encode()).status(at(3)) == 1


@pytest.mark.clause("tsl-13.7-ttl-issued")
@pytest.mark.parametrize("change", [{"ttl": timedelta(0)}, {"ttl": timedelta(seconds=1.5)}, {"expires_at": NOW}])
def test_a_list_is_not_issued_with_times_that_make_no_sense(change: dict[str, Any]) -> None:
    times = {"issued_at": NOW, "expires_at": NOW + timedelta(hours=1), "ttl": timedelta(seconds=60)}
    with pytest.raises(ValueError, match="ttl"):
        status_list_claims(ARRAY, 2, uri=URI, **{**times, **change})


def test_only_the_verification_makes_a_verified_list() -> None:
    claims = StatusListClaims(URI, NOW, None, None, 2, b"")
    with pytest.raises(TypeError):
        VerifiedStatusList(claims, verify(made()).statuses, object())
