"""Status List Tokens as CWT: the same checks, and what is the form's own."""

from datetime import timedelta
from typing import Any

import pytest

from tests.support.status_lists import ARRAY, NOW, SIGNER, URI
from wallet_core import spec_versions as spec
from wallet_core.cose import sign1
from wallet_core.encoding import cbor
from wallet_core.encoding.cbor import Tagged
from wallet_core.errors import Expired, InvalidSignature, MalformedError, VerificationError
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.trust.status_list.array import compress
from wallet_core.trust.status_list.cwt import create_status_list_cwt, parse_status_list_cwt, require_mdoc_profile
from wallet_core.trust.status_list.reference import StatusReference
from wallet_core.trust.status_list.token import VerifiedStatusList, status_list_claims, verify_status_list_token

IAT = int(NOW.timestamp())


def made(bits: int = 1, **changes: Any) -> bytes:
    times = {"issued_at": NOW, "expires_at": NOW + timedelta(hours=1), "ttl": timedelta(seconds=60)}
    claims = status_list_claims(ARRAY, bits, uri=URI, **{**times, **changes})
    return create_status_list_cwt(claims, signer=SIGNER, x5chain=[b"not read here"])


def signed(header: dict[int, Any] | None = None, *, tagged: bool = True, **changes: Any) -> bytes:
    """Return a token signed by hand; a change to None takes a claim out."""
    names = {"sub": 2, "iat": 6, "exp": 4, "ttl": 65534, "status_list": 65533}
    entry = {"bits": 1, "lst": compress(ARRAY)}
    values = {"sub": URI, "iat": IAT, "exp": IAT + 3600, "ttl": 60, "status_list": entry, **changes}
    payload = {names[name]: value for name, value in values.items() if value is not None}
    protected = {16: spec.STATUS_LIST_CWT_MEDIA_TYPE} if header is None else header
    return sign1.sign(cbor.dumps(payload), SIGNER, protected=protected, tagged=tagged)


def verify(token: bytes, **changes: Any) -> VerifiedStatusList:
    arguments: dict[str, Any] = {"key": SIGNER.public_key, "uri": URI, "now": NOW}
    return verify_status_list_token(parse_status_list_cwt(token), **{**arguments, **changes})


def test_a_list_is_read_back_as_it_was_made() -> None:
    token = made(aggregation_uri="https://issuer.example/all")
    parsed = parse_status_list_cwt(token)
    assert parsed.chain == (b"not read here",)
    verified = verify(token)
    assert verified.status(StatusReference(6, URI)) == ARRAY[0] >> 6 & 1
    assert verified.claims.aggregation_uri == "https://issuer.example/all"
    require_mdoc_profile(verified.claims)


def test_the_certificates_stand_in_the_protected_header() -> None:
    parsed = sign1.parse(made(), tagged=True)
    assert (parsed.protected[33], parsed.protected[16]) == (b"not read here", "application/statuslist+cwt")
    assert parsed.unprotected == {}


@pytest.mark.clause("tsl-5.2-typ")
def test_another_type_is_refused() -> None:
    verify(signed({16: "statuslist+cwt"}))
    for header in ({16: "application/identifierlist+cwt"}, {16: 1}, {16: b"statuslist+cwt"}, {16: []}, {}):
        with pytest.raises(VerificationError) as refused:
            verify(signed(header))
        assert refused.value.step == 1


@pytest.mark.clause("tsl-5.2-tag")
def test_the_tag_is_that_of_a_signature() -> None:
    with pytest.raises(MalformedError):
        parse_status_list_cwt(signed(tagged=False))
    with pytest.raises(MalformedError):
        parse_status_list_cwt(cbor.dumps(Tagged(61, cbor.loads(signed()))))
    with pytest.raises(MalformedError):
        parse_status_list_cwt(cbor.dumps(Tagged(17, cbor.loads(signed()).value)))


def test_the_signature_of_another_key_is_refused() -> None:
    with pytest.raises(InvalidSignature):
        verify(made(), key=SoftwareSigner.generate().public_key)


@pytest.mark.clause("tsl-5.2-status-list", "tsl-5.1-sub", "tsl-5.1-iat", "tsl-5.1-ttl")
@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("sub", None),
        ("sub", b"uri"),
        ("iat", None),
        ("iat", "now"),
        ("exp", Tagged(0, "2026-11-22T10:00:00Z")),
        ("ttl", 0),
        ("status_list", None),
        ("status_list", [1, b""]),
        ("status_list", {"bits": 1, "lst": "eNrb"}),
        ("status_list", {"lst": b""}),
    ],
)
def test_a_claim_that_is_missing_or_wrong_is_refused(member: str, value: Any) -> None:
    with pytest.raises(VerificationError) as refused:
        verify(signed(**{member: value}))
    assert refused.value.step in {1, 2}


def test_a_payload_that_is_no_map_is_refused() -> None:
    token = sign1.sign(cbor.dumps([1]), SIGNER, protected={16: spec.STATUS_LIST_CWT_MEDIA_TYPE}, tagged=True)
    with pytest.raises(VerificationError):
        verify(token)


def test_time_and_name_are_checked_as_in_the_other_form() -> None:
    with pytest.raises(Expired):
        verify(made(), now=NOW + timedelta(hours=2))
    with pytest.raises(VerificationError) as refused:
        verify(made(), uri=URI + "0")
    assert refused.value.step == 3


@pytest.mark.clause("tsl-5.2-mdoc")
def test_a_list_of_an_mdoc_ends_and_has_one_bit() -> None:
    for token in (signed(exp=None), made(2)):
        with pytest.raises(VerificationError):
            require_mdoc_profile(verify(token).claims)
