import contextlib
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from tests.support.trust import ListOperator, sha256_of
from tests.unit.trust.conftest import NOW, Pki
from tests.unit.trust.test_profiles import der, new_iaca, new_signer
from wallet_core.cose import sign1
from wallet_core.encoding import cbor
from wallet_core.encoding.cbor import Tagged
from wallet_core.errors import Expired, InvalidSignature, MalformedError, NotYetValid, UntrustedError, WalletError
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.trust.anchors import AnchorPurpose, TrustAnchor, TrustAnchors
from wallet_core.trust.policy import create_issuer_policy
from wallet_core.trust.profiles import CertificateRole
from wallet_core.trust.trust_list import KnownList
from wallet_core.trust.vical import Vical, VicalCertificate, create_vical, parse_vical, verify_vical
from wallet_core.trust.x509 import verify_chain

MDL, CAR = "org.iso.18013.5.1.mDL", "org.iso.7367.1.mVRC"
WHEN = NOW.replace(microsecond=0)
PROVIDER = ListOperator(NOW, CertificateRole.VICAL_SIGNER, AnchorPurpose.VICAL_PROVIDER)
IACA, OTHER = new_iaca(state="KR-11"), new_iaca("another")
CONTENT = Vical(
    "Jigap tests",
    WHEN,
    (
        VicalCertificate(IACA.certificate, (MDL,), ("urn:example:profile",), "시험경찰청 (시험용)"),
        VicalCertificate(OTHER.certificate, (MDL, CAR)),
    ),
    issue_id=3,
    next_update=WHEN + timedelta(days=1),
)


def signed(content: Vical = CONTENT) -> bytes:
    return create_vical(content, signer=PROVIDER.signer, chain=PROVIDER.chain)


def signed_members(members: dict[str, Any]) -> bytes:
    return sign1.sign(cbor.dumps(members), PROVIDER.signer, unprotected=sign1.x5chain_header(PROVIDER.chain))


def members() -> dict[str, Any]:
    payload = sign1.parse(signed(), tagged=False).payload
    assert payload
    return cbor.loads_map(payload)


def test_round_trip() -> None:
    verified = verify_vical(signed(), PROVIDER.anchors, at=NOW)
    assert verified.content == CONTENT
    assert [anchor.purpose for anchor in verified.anchors.anchors] == [AnchorPurpose.MDL_ISSUER] * 2
    bare = Vical("Jigap tests", WHEN, ())
    assert verify_vical(signed(bare), PROVIDER.anchors, at=NOW + timedelta(days=100)).content == bare


def test_what_it_brings_is_good_for_mdocs_of_its_doctypes() -> None:
    verified = verify_vical(signed(), PROVIDER.anchors, at=NOW)
    policy = create_issuer_policy(verified.anchors, by_authority=verified.grants())
    signer = verify_chain([der(new_signer(IACA))], policy.anchors, purpose=AnchorPurpose.MDL_ISSUER, at=NOW)
    asked = {"issuer": None, "format": "mso_mdoc", "at": NOW}
    assert policy.validate_may_issue(signer, type=MDL, **asked) == "시험경찰청 (시험용)"
    with pytest.raises(UntrustedError, match="this type"):
        policy.validate_may_issue(signer, type=CAR, **asked)
    with pytest.raises(Expired, match="out of date"):
        policy.validate_may_issue(signer, type=MDL, **(asked | {"at": NOW + timedelta(days=1)}))
    with pytest.raises(UntrustedError):
        verify_chain([der(new_signer(IACA))], policy.anchors, purpose=AnchorPurpose.CREDENTIAL_ISSUER, at=NOW)
    patient = create_issuer_policy(verified.anchors, by_authority=verified.grants(grace=timedelta(days=7)))
    assert patient.validate_may_issue(signer, type=MDL, **(asked | {"at": NOW + timedelta(days=2)}))
    assert sha256_of(IACA) in policy.listed


@pytest.mark.clause("vical-C.1.7.1-anchor")
@pytest.mark.parametrize(
    "purpose", [each for each in AnchorPurpose if each is not AnchorPurpose.VICAL_PROVIDER], ids=str
)
def test_a_root_for_anything_else_provides_no_vical(purpose: AnchorPurpose) -> None:
    with pytest.raises(UntrustedError) as caught:
        verify_vical(signed(), TrustAnchors([TrustAnchor(PROVIDER.ca.certificate, purpose)]), at=NOW)
    assert caught.value.step == 4


@pytest.mark.clause("vical-C.1.7.1-anchor", "x509-4.2.1.12-purpose")
def test_the_certificate_of_another_trade_signs_no_vical(pki: Pki) -> None:
    anchors = TrustAnchors([TrustAnchor(pki.issuer_ca.certificate, AnchorPurpose.VICAL_PROVIDER)])
    with pytest.raises(UntrustedError, match="another purpose"):
        verify_vical(create_vical(CONTENT, signer=pki.issuer_signer, chain=[pki.issuer_leaf]), anchors, at=NOW)


def test_a_root_that_comes_along_adds_nothing() -> None:
    root = PROVIDER.ca.certificate.public_bytes(Encoding.DER)
    with_root = create_vical(CONTENT, signer=PROVIDER.signer, chain=[*PROVIDER.chain, root])
    assert verify_vical(with_root, PROVIDER.anchors, at=NOW).content == CONTENT
    stranger = ListOperator(NOW, CertificateRole.VICAL_SIGNER, AnchorPurpose.VICAL_PROVIDER)
    with pytest.raises(UntrustedError):
        verify_vical(with_root, stranger.anchors, at=NOW)


@pytest.mark.clause("vical-C.1.7.1-signature")
def test_another_key_is_refused() -> None:
    with pytest.raises(InvalidSignature):
        verify_vical(
            create_vical(CONTENT, signer=SoftwareSigner.generate(), chain=PROVIDER.chain), PROVIDER.anchors, at=NOW
        )


@pytest.mark.clause("vical-C.1.7.1-signature")
@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
def test_every_flipped_bit_is_refused() -> None:
    data = signed(replace(CONTENT, certificates=CONTENT.certificates[:1]))
    for place in range(0, len(data), 7):
        changed = data[:place] + bytes([data[place] ^ (1 << place % 8)]) + data[place + 1 :]
        # What stands in the unprotected header is not signed: it must lead to the anchor by itself.
        with pytest.raises(WalletError):
            verify_vical(changed, PROVIDER.anchors, at=NOW)


def test_truncated_or_longer_is_refused() -> None:
    data = signed()
    for changed in (b"", data[:1], data[:-1], data[: len(data) // 2], data + b"\0", b"\xd2" + data):
        with pytest.raises(MalformedError):
            verify_vical(changed, PROVIDER.anchors, at=NOW)


@pytest.mark.clause("vical-C.1.7.1-date", "vical-C.1.7.1-next-update")
def test_a_vical_has_its_time() -> None:
    with pytest.raises(Expired) as caught:
        verify_vical(signed(), PROVIDER.anchors, at=NOW + timedelta(days=1))
    assert caught.value.step == 5
    assert verify_vical(signed(), PROVIDER.anchors, at=NOW + timedelta(days=1), grace=timedelta(hours=1))
    with pytest.raises(NotYetValid) as early:
        verify_vical(signed(), PROVIDER.anchors, at=NOW - timedelta(minutes=6))
    assert early.value.step == 5


@pytest.mark.clause("vical-C.1.7.1-issue-id", "vical-C.1.7.1-one-issue")
def test_a_vical_is_not_rolled_back() -> None:
    first = verify_vical(signed(), PROVIDER.anchors, at=NOW)
    known = KnownList(3, first.digest)
    assert verify_vical(signed(), PROVIDER.anchors, at=NOW, known=known)
    assert verify_vical(signed(replace(CONTENT, issue_id=4)), PROVIDER.anchors, at=NOW, known=known)
    for changed in (replace(CONTENT, issue_id=2), replace(CONTENT, issue_id=None), replace(CONTENT, provider="else")):
        with pytest.raises(UntrustedError) as caught:
            verify_vical(signed(changed), PROVIDER.anchors, at=NOW, known=known)
        assert caught.value.step == 6


WRONG: dict[str, dict[str, Any]] = {
    "version": {"version": "2.0"},
    "version as number": {"version": 1},
    "provider": {"vicalProvider": None},
    "date": {"date": "2026-11-22T01:30:30Z"},
    "date in another tag": {"date": Tagged(1, 1_700_000_000)},
    "end": {"nextUpdate": 5},
    "issue": {"vicalIssueID": "3"},
    "issue below zero": {"vicalIssueID": -1},
    "issue as truth": {"vicalIssueID": True},
}


@pytest.mark.clause("vical-C.1.7.1-version")
@pytest.mark.parametrize("case", WRONG)
def test_malformed(case: str) -> None:
    with pytest.raises(MalformedError):
        verify_vical(signed_members(members() | WRONG[case]), PROVIDER.anchors, at=NOW)


WRONG_ENTRY: dict[str, Any] = {
    "no map": 1,
    "no certificate": {"certificate": None},
    "no doctype": {"docType": []},
    "doctype no text": {"docType": [1]},
    "doctype no array": {"docType": MDL},
    "serial no number": {"serialNumber": "7"},
    "profile no array": {"certificateProfile": "x"},
}


@pytest.mark.clause("vical-C.1.7.1-certificates", "vical-C.1.7.1-doctype")
@pytest.mark.parametrize("case", WRONG_ENTRY)
def test_a_malformed_entry(case: str) -> None:
    changed, entry = members(), WRONG_ENTRY[case]
    changed["certificateInfos"][0] = changed["certificateInfos"][0] | entry if isinstance(entry, dict) else entry
    with pytest.raises(MalformedError):
        parse_vical(cbor.dumps(changed))
    with pytest.raises(MalformedError):
        parse_vical(cbor.dumps(members() | {"certificateInfos": {}}))


@pytest.mark.clause("vical-C.1.7.1-same-certificate")
@pytest.mark.parametrize(
    "change",
    [
        {"serialNumber": 7},
        {"ski": b"\0" * 20},
        {"ski": "text"},
        {"certificate": b"\x30\x03\x02\x01\x01"},
        {"certificate": OTHER.certificate.public_bytes(Encoding.DER)},
    ],
)
def test_an_entry_that_speaks_of_another_certificate_is_left_out(change: dict[str, Any]) -> None:
    changed = members()
    changed["certificateInfos"][0] |= change
    read = parse_vical(cbor.dumps(changed))
    assert (read.certificates, read.left_out) == (CONTENT.certificates[1:], 1)


def test_how_others_write_is_read() -> None:
    changed = members()
    entry = changed["certificateInfos"][0]
    # the identifier with the heads of the extension, members that we do not know, a serial number with leading zeros
    entry["ski"] = b"\x04\x16\x04\x14" + entry["ski"]
    entry["Extensions"] = {}
    entry["serialNumber"] = Tagged(2, b"\0" + entry["serialNumber"].value)
    changed["vicalUrl"] = "https://vical.example"
    assert parse_vical(cbor.dumps(changed)) == CONTENT


def test_what_cannot_be_listed_is_not_made() -> None:
    with pytest.raises(ValueError, match="fraction"):
        signed(replace(CONTENT, date=NOW.replace(microsecond=5)))


@given(st.randoms(use_true_random=False))
@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
def test_only_wallet_errors_leave(random: Random) -> None:
    data = bytearray(signed())
    for _ in range(random.randint(1, 4)):
        place = random.randrange(len(data))
        data[place : place + random.randint(0, 2)] = random.randbytes(random.randint(0, 2))
    with contextlib.suppress(WalletError):
        verify_vical(bytes(data), PROVIDER.anchors, at=NOW)
    payload = bytearray(cbor.dumps(members()))
    payload[random.randrange(len(payload))] = random.randrange(256)
    with contextlib.suppress(WalletError):
        parse_vical(bytes(payload))
