import os
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from tests.unit.trust.conftest import ISSUER, NOW, Pki, new_ca
from wallet_core.errors import Expired, NotYetValid, UntrustedError, WalletError
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.trust.anchors import AnchorPurpose, TrustAnchor, TrustAnchors
from wallet_core.trust.certificates import (
    CertificateAuthority,
    create_document_signer,
    create_iaca,
    create_operator_certificate,
    create_wallet_provider_certificate,
    renew_certificate,
)
from wallet_core.trust.profiles import PROFILES, CertificateRole, ProfileRule, profile_faults, role_of
from wallet_core.trust.x509 import VerdictCache, validate_issuing_country, verify_chain

MDL = AnchorPurpose.MDL_ISSUER


def new_iaca(name: str = "시험용 IACA", now: datetime = NOW, **changes: Any) -> CertificateAuthority:
    return create_iaca(
        **{
            "organization": "Jigap tests",
            "common_name": name,
            "contact": "https://ca.example",
            "revocation_list": "https://ca.example/crl",
            "private_key": ec.generate_private_key(ec.SECP256R1()),
            "now": now,
            "random": os.urandom,
            **changes,
        }
    )


def new_signer(iaca: CertificateAuthority, now: datetime = NOW, **changes: Any) -> x509.Certificate:
    return create_document_signer(
        iaca,
        **{
            "issuer": ISSUER,
            "organization": "시험경찰청 (시험용)",
            "public_key": SoftwareSigner.generate().public_key,
            "now": now,
            "random": os.urandom,
            **changes,
        },
    )


@pytest.fixture(scope="module")
def iaca() -> CertificateAuthority:
    return new_iaca()


def anchored(*authorities: CertificateAuthority, purpose: AnchorPurpose = MDL) -> TrustAnchors:
    return TrustAnchors(TrustAnchor(each.certificate, purpose) for each in authorities)


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def changed(
    certificate: x509.Certificate,
    iaca: CertificateAuthority,
    *,
    subject: x509.Name | None = None,
    without: tuple[type, ...] = (),
    more: tuple[tuple[x509.ExtensionType, bool], ...] = (),
    uncritical: tuple[type, ...] = (),
    serial: int | None = None,
    until: datetime | None = None,
) -> x509.Certificate:
    """The certificate again, signed by the IACA, with one thing changed."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject or certificate.subject)
        .issuer_name(certificate.issuer)
        .public_key(certificate.public_key())
        .serial_number(serial or certificate.serial_number)
        .not_valid_before(certificate.not_valid_before_utc)
        .not_valid_after(until or certificate.not_valid_after_utc)
    )
    replaced = tuple(type(extension) for extension, _ in more)
    for extension in certificate.extensions:
        if not isinstance(extension.value, without + replaced):
            critical = extension.critical and not isinstance(extension.value, uncritical)
            builder = builder.add_extension(extension.value, critical)
    for extension, critical in more:
        builder = builder.add_extension(extension, critical)
    return builder.sign(iaca.private_key, SHA256())


def name(country: str | None = "KR", state: str | None = None) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, "시험용")]
    if country is not None:
        attributes.append(x509.NameAttribute(NameOID.COUNTRY_NAME, country, _validate=False))
    if state is not None:
        attributes.append(x509.NameAttribute(NameOID.STATE_OR_PROVINCE_NAME, state))
    return x509.Name(attributes)


def usage(*granted: str) -> x509.KeyUsage:
    names = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**{each: each in granted for each in names})


def rules(certificate: x509.Certificate, role: CertificateRole, issuer: x509.Certificate | None = None) -> set[str]:
    return {fault.rule.value for fault in profile_faults(certificate, role, issuer)}


def new_wallet_provider(pki: Pki) -> x509.Certificate:
    return create_wallet_provider_certificate(
        pki.issuer_ca, provider="https://provider.example", organization="시험용 지갑 제공자",
        public_key=SoftwareSigner.generate().public_key, now=NOW, random=os.urandom,
    )  # fmt: skip


def test_what_we_make_has_its_profile(pki: Pki, iaca: CertificateAuthority) -> None:
    signer = new_signer(iaca)
    made = {
        CertificateRole.IACA: (iaca.certificate, iaca),
        CertificateRole.DOCUMENT_SIGNER: (signer, iaca),
        CertificateRole.CA: (pki.issuer_ca.certificate, pki.issuer_ca),
        CertificateRole.CREDENTIAL_ISSUER: (x509.load_der_x509_certificate(pki.issuer_leaf), pki.issuer_ca),
        CertificateRole.VERIFIER_ACCESS: (x509.load_der_x509_certificate(pki.verifier_leaf), pki.verifier_ca),
        CertificateRole.WALLET_PROVIDER: (new_wallet_provider(pki), pki.issuer_ca),
    }
    for role in set(CertificateRole) - made.keys():
        certificate = create_operator_certificate(
            pki.issuer_ca, role, operator="https://lists.example", organization="시험용 목록 운영자",
            public_key=SoftwareSigner.generate().public_key, now=NOW, random=os.urandom,
        )  # fmt: skip
        made[role] = certificate, pki.issuer_ca
    for role, (certificate, ca) in made.items():
        certificate.verify_directly_issued_by(ca.certificate)
        assert rules(certificate, role, ca.certificate) == set(), role
        if role is not CertificateRole.STATUS_LIST_SIGNER:
            assert role_of(certificate) is role


def test_the_longest_lives_keep_the_profile() -> None:
    iaca = new_iaca(life=timedelta(days=20 * 365))
    assert rules(iaca.certificate, CertificateRole.IACA) == set()
    assert rules(new_signer(iaca, life=timedelta(days=456)), CertificateRole.DOCUMENT_SIGNER) == set()


def test_wrong_certificates_are_not_made(pki: Pki, iaca: CertificateAuthority) -> None:
    with pytest.raises(ValueError, match="days"):
        new_signer(iaca, life=timedelta(days=457))
    with pytest.raises(ValueError, match="IACA"):
        new_signer(pki.issuer_ca)
    with pytest.raises(ValueError, match="role"):
        create_operator_certificate(
            iaca, CertificateRole.DOCUMENT_SIGNER, operator="https://lists.example", organization="O",
            public_key=pki.issuer_signer.public_key, now=NOW, random=os.urandom,
        )  # fmt: skip


def test_a_renewed_certificate_says_the_same_of_another_key(pki: Pki, iaca: CertificateAuthority) -> None:
    key = SoftwareSigner.generate().public_key
    later = NOW + timedelta(days=300)
    for old, ca in ((new_signer(iaca), iaca), (x509.load_der_x509_certificate(pki.issuer_leaf), pki.issuer_ca)):
        new = renew_certificate(ca, old, public_key=key, now=later, random=os.urandom)
        assert rules(new, role_of(old), ca.certificate) == set()
        assert new.public_key() == key.raw
        assert new.subject == old.subject
        assert new.not_valid_after_utc == later + timedelta(days=365)
        names = [each.extensions.get_extension_for_class(x509.SubjectAlternativeName).value for each in (new, old)]
        assert names[0] == names[1]
    with pytest.raises(ValueError, match="another CA"):
        renew_certificate(new_ca("another"), new_signer(iaca), public_key=key, now=NOW, random=os.urandom)


def test_a_renewed_certificate_loses_the_basic_constraints_of_earlier_ones(pki: Pki) -> None:
    leaf, ca = x509.load_der_x509_certificate(pki.issuer_leaf), pki.issuer_ca
    builder = x509.CertificateBuilder(
        leaf.issuer, leaf.subject, leaf.public_key(), 1, leaf.not_valid_before_utc, leaf.not_valid_after_utc
    ).add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    for each in leaf.extensions:
        builder = builder.add_extension(each.value, each.critical)
    earlier = builder.sign(ca.private_key, SHA256())
    key = SoftwareSigner.generate().public_key
    new = renew_certificate(ca, earlier, public_key=key, now=NOW, random=os.urandom)
    assert {each.oid for each in new.extensions} == {each.oid for each in leaf.extensions}


def test_a_document_signer_below_its_iaca_is_trusted_for_mdocs_only(iaca: CertificateAuthority) -> None:
    chain = (der(new_signer(iaca)),)
    trusted = verify_chain(chain, anchored(iaca), purpose=MDL, at=NOW)
    assert trusted.uris == (ISSUER,)
    assert trusted.anchor_sha256 == iaca.certificate.fingerprint(SHA256())
    assert trusted.valid_until == NOW + timedelta(days=365)
    for purpose in set(AnchorPurpose) - {MDL}:
        with pytest.raises(UntrustedError) as caught:
            verify_chain(chain, anchored(iaca), purpose=purpose, at=NOW)
        assert caught.value.step == 4


@pytest.mark.parametrize("purpose", [each for each in AnchorPurpose if each is not MDL], ids=str)
def test_an_anchor_of_another_purpose_certifies_no_mdoc(iaca: CertificateAuthority, purpose: AnchorPurpose) -> None:
    with pytest.raises(UntrustedError) as caught:
        verify_chain((der(new_signer(iaca)),), anchored(iaca, purpose=purpose), purpose=MDL, at=NOW)
    assert caught.value.step == 4
    assert f"anchor for {purpose}" in caught.value.detail


@pytest.mark.clause("x509-18013.9.3.3-iaca")
def test_an_iaca_of_the_same_name_is_another(iaca: CertificateAuthority) -> None:
    with pytest.raises(UntrustedError) as caught:
        verify_chain((der(new_signer(new_iaca())),), anchored(iaca), purpose=MDL, at=NOW)
    assert caught.value.step == 4


def test_of_two_iacas_of_one_name_the_one_that_signed_counts(iaca: CertificateAuthority) -> None:
    second = new_iaca()
    for signing in (iaca, second):
        trusted = verify_chain((der(new_signer(signing)),), anchored(iaca, second), purpose=MDL, at=NOW)
        assert trusted.anchor_sha256 == signing.certificate.fingerprint(SHA256())


@pytest.mark.clause("x509-18013B.1.1-one-link")
def test_nothing_stands_between_a_document_signer_and_its_iaca(iaca: CertificateAuthority) -> None:
    signer = der(new_signer(iaca))
    with pytest.raises(UntrustedError, match="one certificate"):
        verify_chain((signer, der(new_signer(iaca))), anchored(iaca), purpose=MDL, at=NOW)
    with pytest.raises(UntrustedError) as caught:
        verify_chain((signer, der(iaca.certificate)), anchored(iaca), purpose=MDL, at=NOW)
    assert caught.value.step == 2


@pytest.mark.clause("x509-6.1.3-time")
@pytest.mark.parametrize(("shift", "error"), [(366, Expired), (-3, NotYetValid)])
def test_a_document_signer_has_its_time(iaca: CertificateAuthority, shift: int, error: type[WalletError]) -> None:
    with pytest.raises(error):
        verify_chain((der(new_signer(iaca)),), anchored(iaca), purpose=MDL, at=NOW + timedelta(days=shift))


@pytest.mark.clause("x509-18013.9.3.3-iaca-time")
def test_an_expired_iaca_certifies_nothing() -> None:
    old = new_iaca(now=NOW - timedelta(days=30), life=timedelta(days=20))
    signer = changed(new_signer(old, now=NOW - timedelta(days=15)), old, until=NOW + timedelta(days=10))
    with pytest.raises(Expired):
        verify_chain((der(signer),), anchored(old), purpose=MDL, at=NOW)


FATAL: dict[str, tuple[ProfileRule, dict[str, Any]]] = {
    "another country": (ProfileRule.COUNTRY_DIFFERS, {"subject": name("DE")}),
    "no country": (ProfileRule.COUNTRY, {"subject": name(None)}),
    "no purpose": (ProfileRule.PURPOSE, {"without": (x509.ExtendedKeyUsage,)}),
    "the readers' purpose": (
        ProfileRule.PURPOSE,
        {"more": ((x509.ExtendedKeyUsage([x509.ObjectIdentifier("1.0.18013.5.1.6")]), True),)},
    ),
    "no key usage": (ProfileRule.KEY_USAGE, {"without": (x509.KeyUsage,)}),
    "certifies too": (ProfileRule.KEY_USAGE, {"more": ((usage("digital_signature", "key_cert_sign"), True),)}),
    "a CA": (ProfileRule.IS_A_CA, {"more": ((x509.BasicConstraints(ca=True, path_length=0), True),)}),
    "forbidden extension": (
        ProfileRule.FORBIDDEN_EXTENSION,
        {"more": ((x509.PolicyConstraints(require_explicit_policy=0, inhibit_policy_mapping=None), False),)},
    ),
    "name constraints": (
        ProfileRule.FORBIDDEN_EXTENSION,
        {"more": ((x509.NameConstraints([x509.DNSName("x.example")], None), False),)},
    ),
    "critical and unknown": (
        ProfileRule.UNKNOWN_EXTENSION,
        {"more": ((x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True),)},
    ),
    "another key of the issuer": (
        ProfileRule.KEY_IDENTIFIER_DIFFERS,
        {"more": ((x509.AuthorityKeyIdentifier(b"\0" * 20, None, None), False),)},
    ),
}  # fmt: skip


@pytest.mark.clause("x509-18013B-profile", "x509-4.2.1.12-purpose")
@pytest.mark.parametrize("case", FATAL)
def test_a_document_signer_without_its_profile_is_refused(iaca: CertificateAuthority, case: str) -> None:
    rule, changes = FATAL[case]
    signer = changed(new_signer(iaca), iaca, **changes)
    assert rule in {fault.rule for fault in profile_faults(signer, CertificateRole.DOCUMENT_SIGNER, iaca.certificate)}
    with pytest.raises(UntrustedError) as caught:
        verify_chain((der(signer),), anchored(iaca), purpose=MDL, at=NOW)
    assert (caught.value.step, str(rule) in caught.value.detail) == (5, True)


def test_states_are_compared_where_both_have_one() -> None:
    iaca = new_iaca(state="서울특별시")
    same, other = new_signer(iaca), changed(new_signer(iaca), iaca, subject=name("KR", "부산광역시"))
    without = changed(new_signer(iaca), iaca, subject=name("KR"))
    for good in (same, without):
        assert verify_chain((der(good),), anchored(iaca), purpose=MDL, at=NOW)
    with pytest.raises(UntrustedError, match="state_differs"):
        verify_chain((der(other),), anchored(iaca), purpose=MDL, at=NOW)


@pytest.mark.clause("x509-18013B-profile")
def test_a_ca_that_is_no_ca_certifies_no_mdoc(iaca: CertificateAuthority) -> None:
    own = changed(iaca.certificate, iaca, more=((x509.BasicConstraints(ca=False, path_length=None), True),))
    anchors = TrustAnchors([TrustAnchor(own, MDL)])
    with pytest.raises(UntrustedError, match="not_a_ca"):
        verify_chain((der(new_signer(iaca)),), anchors, purpose=MDL, at=NOW)


MENDED_BY_THE_MAKER: dict[ProfileRule, dict[str, Any]] = {
    ProfileRule.CONTACT: {"without": (x509.IssuerAlternativeName,)},
    ProfileRule.REVOCATION_LIST: {"without": (x509.CRLDistributionPoints,)},
    ProfileRule.KEY_IDENTIFIER: {"without": (x509.SubjectKeyIdentifier,)},
    ProfileRule.CRITICAL: {"uncritical": (x509.ExtendedKeyUsage,)},
    ProfileRule.SERIAL: {"serial": 7},
    ProfileRule.LIFE: {"until": NOW + timedelta(days=500)},
}


@pytest.mark.parametrize("rule", MENDED_BY_THE_MAKER, ids=str)
def test_lesser_faults_are_named_but_do_not_refuse(iaca: CertificateAuthority, rule: ProfileRule) -> None:
    signer = changed(new_signer(iaca), iaca, **MENDED_BY_THE_MAKER[rule])
    assert rules(signer, CertificateRole.DOCUMENT_SIGNER, iaca.certificate) == {rule.value}
    assert verify_chain((der(signer),), anchored(iaca), purpose=MDL, at=NOW)


def test_an_iaca_with_room_below_it_is_named(iaca: CertificateAuthority) -> None:
    deep = changed(iaca.certificate, iaca, more=((x509.BasicConstraints(ca=True, path_length=1), True),))
    assert rules(deep, CertificateRole.IACA) == {"path_length"}
    short = new_iaca(life=timedelta(days=30))
    late = changed(new_signer(short), short, until=NOW + timedelta(days=60))
    assert rules(late, CertificateRole.DOCUMENT_SIGNER, short.certificate) == {"outlives_ca"}


@pytest.mark.clause("x509-18013.9.3.3-issuing-country", "x509-18013.9.3.3-issuing-jurisdiction")
def test_a_document_names_the_place_of_its_signer() -> None:
    iaca = new_iaca(state="KR-11")
    trusted = verify_chain((der(new_signer(iaca)),), anchored(iaca), purpose=MDL, at=NOW)
    validate_issuing_country(trusted, "KR", "KR-11")
    validate_issuing_country(trusted, None)
    for country, state in (("DE", None), ("KR", "KR-26"), ("kr", None), (["KR"], None)):
        with pytest.raises(UntrustedError):
            validate_issuing_country(trusted, country, state)


def test_the_cache_holds_for_mdocs_too(iaca: CertificateAuthority) -> None:
    cache, chain = VerdictCache(), (der(new_signer(iaca)),)
    first = cache.verify_chain(chain, anchored(iaca), purpose=MDL, at=NOW)
    assert cache.verify_chain(chain, anchored(iaca), purpose=MDL, at=NOW) is first
    # another purpose, other anchors, another time: no remembered verdict stands in
    with pytest.raises(UntrustedError):
        cache.verify_chain(chain, anchored(iaca), purpose=AnchorPurpose.CREDENTIAL_ISSUER, at=NOW)
    with pytest.raises(UntrustedError):
        cache.verify_chain(chain, anchored(iaca, purpose=AnchorPurpose.CREDENTIAL_ISSUER), purpose=MDL, at=NOW)
    with pytest.raises(Expired):
        cache.verify_chain(chain, anchored(iaca), purpose=MDL, at=first.valid_until + timedelta(seconds=1))
    with pytest.raises(NotYetValid):
        cache.verify_chain(chain, anchored(iaca), purpose=MDL, at=first.valid_from - timedelta(seconds=1))


def test_the_verdict_ends_with_the_shortest_validity() -> None:
    short = new_iaca(now=NOW - timedelta(days=300), life=timedelta(days=330))
    signer = changed(new_signer(short), short, until=NOW + timedelta(days=200))
    trusted = verify_chain((der(signer),), anchored(short), purpose=MDL, at=NOW)
    assert trusted.valid_until == short.certificate.not_valid_after_utc < signer.not_valid_after_utc
    assert trusted.valid_from == signer.not_valid_before_utc > short.certificate.not_valid_before_utc


def test_roles_have_profiles() -> None:
    assert PROFILES.keys() == set(CertificateRole)
