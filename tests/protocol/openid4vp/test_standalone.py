"""What nobody asked for: recognised, verified with the numbered checks, and honest about the holder."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.file_checks import BothWorld, both_world
from tests.support.mdoc_presentations import CLASSES, NAME, mdoc_query, new_iaca
from tests.support.presentations import NOW, Agency, new_ca, query
from wallet_core.encoding import base64url, cbor
from wallet_core.errors import InvalidRequest, MalformedError, UntrustedError, VerificationError, WalletError
from wallet_core.formats.mdoc.holder import create_document
from wallet_core.formats.sd_jwt.holder import create_key_binding
from wallet_core.formats.sd_jwt.json_serialization import flattened_json
from wallet_core.jose.jws import attach_signature
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.protocols.openid4vp.checks import CHECKS, WHERE_ASKED, CheckStep, ListCopy, age_said
from wallet_core.protocols.openid4vp.dcql import parse_dcql_query
from wallet_core.protocols.openid4vp.presented import anybody_trusted
from wallet_core.protocols.openid4vp.standalone import (
    NO_SESSION,
    Copies,
    Demands,
    GivenKind,
    HolderProof,
    KnownSession,
    VerifiedGiven,
    kind_of,
    recognise,
    refused_checks,
    verified_checks,
    verify_given,
)
from wallet_core.trust.anchors import AnchorPurpose
from wallet_core.trust.status_list.judging import StatusFinding, refuse_status
from wallet_core.trust.x509 import verify_chain
from wallet_core.types import ClientId, Nonce

AUDIENCE, NONCE = ClientId("x509_hash:abc"), Nonce("n-0123456789abcdef0123")
SESSION = KnownSession(AUDIENCE, NONCE, "https://verifier.example/response")
WORLD = both_world()


def demands(world: BothWorld = WORLD, **changes: Any) -> Demands:
    anchors = world.anchors
    base = Demands(
        lambda chain, at: verify_chain(chain, anchors, purpose=AnchorPurpose.CREDENTIAL_ISSUER, at=at),
        lambda chain, at: verify_chain(chain, anchors, purpose=AnchorPurpose.MDL_ISSUER, at=at),
        anybody_trusted,
        refuse_status,
    )
    return replace(base, **changes)


def sd_jwt(**changes: Any) -> str:
    return str(WORLD.agency.issue(WORLD.holder, **changes))


def bound(audience: str = AUDIENCE, nonce: str = NONCE, signer: SoftwareSigner | None = None) -> str:
    held = WORLD.held()
    pending = create_key_binding(
        held,
        held.paths,
        audience=audience,
        nonce=Nonce(nonce),
        issued_at=NOW,
        algorithm=WORLD.holder.algorithm,
    )
    signature = (signer or WORLD.holder).sign(pending.signing_input)
    return pending.sd_jwt + attach_signature(pending.signing_input, signature)


def device_response(session: KnownSession = SESSION, device: SoftwareSigner | None = None) -> bytes:
    held = WORLD.held_mdoc()
    pending = create_document(
        held, [NAME, CLASSES], session_transcript=session.transcript(), algorithm=WORLD.holder.algorithm
    )
    return bytes(pending.attach((device or WORLD.holder).sign(pending.signing_input)))


def check(data: str | bytes, now: Any = NOW, **changes: Any) -> VerifiedGiven:
    raw = data.encode() if isinstance(data, str) else data
    return verify_given(recognise(raw), demands(**changes), now=now)


def refusal(data: str | bytes, now: Any = NOW, **changes: Any) -> VerificationError:
    with pytest.raises(VerificationError) as caught:
        check(data, now, **changes)
    return caught.value


ISSUER_SIGNED = WORLD.mdocs.issue(WORLD.holder)
GIVEN = {
    GivenKind.SD_JWT_VC: sd_jwt().encode(),
    GivenKind.SD_JWT_KB: bound().encode(),
    GivenKind.ISSUER_SIGNED: ISSUER_SIGNED,
    GivenKind.DEVICE_RESPONSE: device_response(),
}


@pytest.mark.parametrize("kind", GIVEN)
def test_each_kind_is_recognised_and_verified(kind: GivenKind) -> None:
    data = GIVEN[kind]
    if kind.is_mdoc:
        forms = [data, base64url.encode(data).encode() + b"\n"]
    else:
        in_json = json.dumps({**flattened_json(data.decode()), "비고": "시험용"}, indent=2, ensure_ascii=False).encode()
        forms = [data, b"\n " + data + b"\r\n", in_json, b"\n" + in_json + b"\n"]
    for form in forms:
        given_ = recognise(form)
        assert kind_of(given_) is kind
        verified = verify_given(given_, demands(), now=NOW)
        assert verified.kind is kind
        proof = HolderProof.NOT_CHECKED if kind.is_presentation else HolderProof.NOT_PROVEN
        assert (verified.holder, verified.credential.holder_bound) == (proof, False)
        assert verified.credential.claims
        assert not {"iss", "exp", "cnf", "vct", "status"} & verified.credential.claims.keys()


@pytest.mark.parametrize("kind", [GivenKind.SD_JWT_KB, GivenKind.DEVICE_RESPONSE])
def test_in_a_known_session_the_holder_is_proven(kind: GivenKind) -> None:
    verified = check(GIVEN[kind], session=SESSION, holder=True)
    assert (verified.holder, verified.credential.holder_bound) == (HolderProof.PROVEN, True)
    checks = verified_checks(verified, asked=False, accepted=False, copies=Copies(), now=NOW)
    assert checks[CheckStep.HOLDER_PRESENT - 1].ok is True


def test_the_transcript_of_any_session_can_be_given() -> None:
    session = KnownSession(session_transcript=SESSION.transcript())
    assert check(GIVEN[GivenKind.DEVICE_RESPONSE], session=session).holder is HolderProof.PROVEN


@pytest.mark.parametrize(
    "data",
    [
        bound(nonce="another-nonce-0123456789"),
        bound(audience="x509_hash:other"),
        bound(signer=SoftwareSigner.generate()),
        sd_jwt(),
        device_response(replace(SESSION, nonce=Nonce("another-nonce-0123456789"))),
        device_response(replace(SESSION, response_uri="https://other.example/response")),
        device_response(device=SoftwareSigner.generate()),
        ISSUER_SIGNED,
    ],
)
def test_what_was_not_shown_in_the_named_session_is_refused_at_the_holder(data: str | bytes) -> None:
    assert refusal(data, session=SESSION).step == CheckStep.HOLDER_PRESENT


def test_a_proof_is_fresh_only_for_minutes() -> None:
    error = refusal(bound(), NOW + timedelta(minutes=7), session=SESSION)
    assert error.step == CheckStep.HOLDER_PRESENT


@pytest.mark.clause("vp-14.1.2-holder-wanted")
@pytest.mark.parametrize("kind", GIVEN)
def test_who_wants_the_holder_gets_a_refusal_where_nothing_is_proven(kind: GivenKind) -> None:
    assert refusal(GIVEN[kind], holder=True).step == CheckStep.HOLDER_PRESENT


def test_a_session_told_by_halves_is_the_caller_s_mistake() -> None:
    with pytest.raises(InvalidRequest):
        check(GIVEN[GivenKind.DEVICE_RESPONSE], session=KnownSession(AUDIENCE, NONCE))
    with pytest.raises(InvalidRequest):
        check(bound(), session=KnownSession(session_transcript=SESSION.transcript()))


def flipped(data: bytes, part: bytes) -> bytes:
    """Another byte in the middle of a part of the data."""
    at = data.index(part) + len(part) // 2
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def twice(response: bytes) -> bytes:
    """The same document two times in one response."""
    members = cbor.loads(response)
    return cbor.dumps({**members, "documents": members["documents"] * 2})


def without_disclosure_digest() -> str:
    issuer_jwt, *rest = sd_jwt().split("~")
    disclosure = base64url.encode(b'["c2FsdHNhbHRzYWx0c2FsdA","name","x"]')
    return "~".join([issuer_jwt, disclosure, *rest])


FOREIGN = Agency(new_ca("다른 인증기관 (시험용)"))
SD_JWT_REFUSALS: dict[str, tuple[str, dict[str, Any], CheckStep]] = {
    "nobody trusts the issuer": (FOREIGN.issue(WORLD.holder), {}, CheckStep.ISSUER_TRUSTED),
    "no certificate": (
        "eyJhbGciOiJFUzI1NiIsInR5cCI6ImRjK3NkLWp3dCJ9.e30.AAAA~",
        {},
        CheckStep.ISSUER_TRUSTED,
    ),
    "another iss": (sd_jwt(issuer="https://issuer.example/agencies/other"), {}, CheckStep.ISSUER_TRUSTED),
    "another key": (sd_jwt(signer=SoftwareSigner.generate()), {}, CheckStep.ISSUER_SIGNED),
    "a Disclosure of nobody": (without_disclosure_digest(), {}, CheckStep.CONTENT_UNCHANGED),
    "expired": (sd_jwt(expires_at=NOW - timedelta(minutes=5)), {}, CheckStep.WITHIN_VALIDITY),
    "for others": (
        sd_jwt(claims={"aud": "https://other.example"}, selectively_disclosable=[]),
        {},
        CheckStep.WITHIN_VALIDITY,
    ),
    "a status nobody can look up": (
        sd_jwt(status={"status_list": {"idx": 1, "uri": "https://x.example/1"}}),
        {},
        CheckStep.NOT_WITHDRAWN,
    ),
}
MDOC_REFUSALS: dict[str, tuple[bytes, dict[str, Any], CheckStep]] = {
    "nobody trusts the signer": (
        replace(WORLD.mdocs, iaca=new_iaca()).issue(WORLD.holder),
        {},
        CheckStep.ISSUER_TRUSTED,
    ),
    "another country": (
        replace(WORLD.mdocs).issue(
            WORLD.holder, name_spaces={"org.iso.18013.5.1": {"issuing_country": "JP", "family_name": "A"}}
        ),
        {},
        CheckStep.ISSUER_TRUSTED,
    ),
    "another key": (WORLD.mdocs.issue(WORLD.holder, signer=SoftwareSigner.generate()), {}, CheckStep.ISSUER_SIGNED),
    "another element": (flipped(ISSUER_SIGNED, b"SIHEOM"), {}, CheckStep.CONTENT_UNCHANGED),
    "expired": (ISSUER_SIGNED, {"now": NOW + timedelta(days=31)}, CheckStep.WITHIN_VALIDITY),
    "another doctype": (
        flipped(GIVEN[GivenKind.DEVICE_RESPONSE], b"org.iso.18013.5.1.mDL"),
        {},
        CheckStep.CONTENT_UNCHANGED,
    ),
    "no document": (cbor.dumps({"version": "1.0", "status": 0}), {}, CheckStep.ANSWER_FITS_REQUEST),
    "an error": (cbor.dumps({"version": "1.0", "status": 10}), {}, CheckStep.ANSWER_FITS_REQUEST),
    "two documents": (twice(GIVEN[GivenKind.DEVICE_RESPONSE]), {}, CheckStep.ANSWER_FITS_REQUEST),
    "a status nobody can look up": (
        WORLD.mdocs.issue(WORLD.holder, status={"status_list": {"idx": 1, "uri": "https://x.example/1"}}),
        {},
        CheckStep.NOT_WITHDRAWN,
    ),
}


@pytest.mark.parametrize("name", SD_JWT_REFUSALS)
def test_an_sd_jwt_is_refused_with_its_step(name: str) -> None:
    data, options, step = SD_JWT_REFUSALS[name]
    assert refusal(data, **options).step == step


@pytest.mark.parametrize("name", MDOC_REFUSALS)
def test_an_mdoc_is_refused_with_its_step(name: str) -> None:
    data, options, step = MDOC_REFUSALS[name]
    assert refusal(data, **options).step == step


@pytest.mark.parametrize("kind", GIVEN)
def test_an_issuer_outside_its_types_is_refused_at_the_last_step(kind: GivenKind) -> None:
    def nobody(*_args: object, **_asked: object) -> str:
        raise UntrustedError("the issuer may not issue this type")

    assert refusal(GIVEN[kind], may_issue=nobody).step == CheckStep.ISSUER_PERMITTED


@pytest.mark.clause("dcql-6.4-policy-answered")
def test_under_a_query_only_what_it_asks_is_returned() -> None:
    asked = parse_dcql_query(query(("name",)))
    assert check(sd_jwt(), query=asked).credential.claims == {"name": "홍시험"}
    mdocs = parse_dcql_query(mdoc_query(NAME))
    assert check(ISSUER_SIGNED, query=mdocs).credential.claims == {NAME[0]: {NAME[1]: "SIHEOM"}}
    assert refusal(ISSUER_SIGNED, query=asked).step == CheckStep.QUERY_ANSWERED
    wanting = parse_dcql_query(query({"path": ["name"], "values": ["다른 사람"]}))
    assert refusal(sd_jwt(), query=wanting).step == CheckStep.QUERY_ANSWERED


def test_the_list_says_what_stays_open_and_why() -> None:
    verified = check(sd_jwt())
    copies = Copies(ListCopy(NOW - timedelta(hours=2), NOW + timedelta(hours=22)))
    checks = verified_checks(verified, asked=False, accepted=False, copies=copies, now=NOW)
    assert [each.step for each in checks] == list(range(1, 11))
    assert [each.ok for each in checks] == [None, True, True, True, True, None, True, None, None, True]
    assert checks[5].detail == "nobody proved that the holder showed it"
    assert checks[0].detail == checks[7].detail == "not checked: there is no request to compare with"
    assert checks[6].detail == "the credential has no status list"
    assert checks[9].detail.endswith("trust list of 2 h ago, good until 2026-11-23 01:00 UTC")


@pytest.mark.parametrize("accepted", [False, True])
def test_an_unknown_status_is_open_unless_the_policy_accepts_it(accepted: bool) -> None:  # noqa: FBT001
    def unknown(*_args: object) -> StatusFinding:
        return StatusFinding("unknown", NOW - timedelta(days=3))

    text = sd_jwt(status={"status_list": {"idx": 1, "uri": "https://x.example/1"}})
    verified = check(text, verify_status=unknown)
    copies = Copies(status_list=ListCopy(NOW - timedelta(days=3)))
    line = verified_checks(verified, asked=False, accepted=accepted, copies=copies, now=NOW)[6]
    assert line.ok is (True if accepted else None)
    assert "status list of 3 days ago" in line.detail
    bare = verified_checks(verified, asked=False, accepted=False, copies=Copies(), now=NOW)[6]
    assert bare.detail == "unknown: there is no copy of its list"


@pytest.mark.parametrize("kind", GIVEN)
def test_a_refused_list_marks_one_and_leaves_the_later_ones(kind: GivenKind) -> None:
    given_ = recognise(GIVEN[kind])
    error = VerificationError("the issuer is not on the trust list", step=CheckStep.ISSUER_PERMITTED)
    copies = Copies(trust_list=ListCopy(NOW - timedelta(minutes=5)))
    checks = refused_checks(error, given_, NO_SESSION, asked=True, copies=copies, now=NOW)
    assert [each.ok for each in checks] == [None, True, True, True, True, None, True, None, True, False]
    assert checks[9].detail == "the issuer is not on the trust list; trust list of 5 min ago"
    assert ("ISO/IEC 18013-5" in checks[2].clause) is kind.is_mdoc
    first = refused_checks(
        VerificationError("x", step=CheckStep.ISSUER_SIGNED), given_, SESSION, asked=False, copies=copies, now=NOW
    )
    assert [each.ok for each in first] == [None, True, False, *[None] * 7]
    assert [each.name for each in first] == [name for step, (name, _) in CHECKS.items() if step not in WHERE_ASKED]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"hello",
        b"a.b.c",
        b"openid4vp://?client_id=x",
        b"~",
        b"a~b~",
        b"\xa0",
        b"\xa1\x61a\x01",
        cbor.dumps({"issuerAuth": 1}),
        base64url.encode(cbor.dumps({"version": "9", "status": 0})).encode(),
        b"{}",
        "시험".encode(),
        b"A" * 300_000,
    ],
)
def test_what_is_nothing_of_the_kind_does_not_parse(data: bytes) -> None:
    with pytest.raises(MalformedError):
        recognise(data)


def test_only_the_function_makes_the_verdict() -> None:
    verified = check(sd_jwt())
    with pytest.raises(TypeError):
        VerifiedGiven(verified.kind, verified.credential, verified.holder, "", object())


def test_ages_in_words() -> None:
    said = [age_said(timedelta(seconds=seconds)) for seconds in (0, 119, 120, 7199, 7200, 86_400 * 2, -5)]
    assert said == ["0 s", "119 s", "2 min", "119 min", "2 h", "2 days", "0 s"]


@given(st.randoms(use_true_random=False), st.sampled_from(sorted(GIVEN)), st.booleans())
def test_only_wallet_errors_leave(random: Any, kind: str, as_text: bool) -> None:  # noqa: FBT001
    data = bytearray(GIVEN[GivenKind(kind)])
    for _ in range(random.randint(1, 4)):
        at = random.randrange(len(data))
        data[at : at + random.randint(0, 3)] = random.randbytes(random.randint(0, 3))
    raw = base64url.encode(bytes(data)).encode() if as_text else bytes(data)
    try:
        verify_given(recognise(raw), demands(session=random.choice([NO_SESSION, SESSION])), now=NOW)
    except WalletError:
        return


@given(st.binary(max_size=400) | st.text(max_size=200).map(str.encode))
def test_the_recogniser_takes_anything(data: bytes) -> None:
    try:
        recognise(data)
    except WalletError:
        return
