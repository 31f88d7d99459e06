import os
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import NameOID

from tests.unit.trust.conftest import ISSUER, NOW, Pki, new_ca
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.trust.certificates import create_ca, create_issuer_certificate, create_verifier_certificate
from wallet_core.types import CredentialIssuerId


def extension(certificate: x509.Certificate, kind: type[x509.ExtensionType]) -> x509.Extension[x509.ExtensionType]:
    return certificate.extensions.get_extension_for_class(kind)


def test_the_ca_has_its_profile() -> None:
    ca = new_ca().certificate
    ca.verify_directly_issued_by(ca)
    constraints = extension(ca, x509.BasicConstraints)
    assert (constraints.critical, constraints.value) == (True, x509.BasicConstraints(ca=True, path_length=0))
    usage = extension(ca, x509.KeyUsage)
    assert usage.critical
    assert (usage.value.key_cert_sign, usage.value.crl_sign, usage.value.digital_signature) == (True, True, False)
    assert extension(ca, x509.SubjectKeyIdentifier).value == x509.SubjectKeyIdentifier.from_public_key(ca.public_key())
    assert ca.subject.get_attributes_for_oid(NameOID.COUNTRY_NAME)[0].value == "KR"
    assert 2**126 <= ca.serial_number < 2**127
    assert extension(ca, x509.IssuerAlternativeName)


def test_the_issuer_certificate_has_its_profile(pki: Pki) -> None:
    leaf = x509.load_der_x509_certificate(pki.issuer_leaf)
    leaf.verify_directly_issued_by(pki.issuer_ca.certificate)
    names = extension(leaf, x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [ISSUER]
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    identifier = extension(pki.issuer_ca.certificate, x509.SubjectKeyIdentifier).value
    assert extension(leaf, x509.AuthorityKeyIdentifier).value.key_identifier == identifier.key_identifier
    assert extension(leaf, x509.KeyUsage).critical
    # Multipaz cannot read "CA: no", which DER writes as an empty sequence (decision 0112).
    assert x509.BasicConstraints.oid not in {each.oid for each in leaf.extensions}
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc <= timedelta(days=457)
    # M12: valid before the hour to which a credential's times are rounded
    assert leaf.not_valid_before_utc <= NOW.replace(minute=0, second=0)


def test_an_address_becomes_an_address_entry(pki: Pki) -> None:
    leaf = create_verifier_certificate(
        pki.verifier_ca,
        response_uri="http://127.0.0.1:8200/r",
        organization="RP",
        public_key=SoftwareSigner.generate().public_key,
        now=NOW,
        random=os.urandom,
    )
    names = extension(leaf, x509.SubjectAlternativeName).value
    assert [str(each) for each in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]


def test_an_ed25519_ca_can_sign() -> None:
    ca = create_ca(
        organization="O",
        common_name="C",
        contact="https://ca.example",
        private_key=ed25519.Ed25519PrivateKey.generate(),
        now=NOW,
        random=os.urandom,
    )
    ca.certificate.verify_directly_issued_by(ca.certificate)


def test_no_leaf_outlives_its_ca(pki: Pki) -> None:
    late = pki.issuer_ca.certificate.not_valid_after_utc - timedelta(days=10)
    leaf = create_issuer_certificate(
        pki.issuer_ca,
        issuer=ISSUER,
        organization="O",
        public_key=pki.issuer_signer.public_key,
        now=late,
        random=os.urandom,
    )
    assert leaf.not_valid_after_utc == pki.issuer_ca.certificate.not_valid_after_utc


@pytest.mark.parametrize("change", [{"life": timedelta(days=457)}, {"issuer": CredentialIssuerId("nowhere")}])
def test_wrong_leaves_are_not_made(pki: Pki, change: dict[str, object]) -> None:
    arguments = {
        "issuer": ISSUER,
        "organization": "O",
        "public_key": pki.issuer_signer.public_key,
        "now": NOW,
        "random": os.urandom,
    }
    with pytest.raises(ValueError, match=r"host|days"):
        create_issuer_certificate(pki.issuer_ca, **(arguments | change))


@pytest.mark.parametrize("change", [{"life": timedelta(days=21 * 365)}, {"country": "kr"}, {"country": "KOR"}])
def test_wrong_cas_are_not_made(change: dict[str, object]) -> None:
    arguments = {
        "organization": "O",
        "common_name": "C",
        "contact": "https://ca.example",
        "private_key": ec.generate_private_key(ec.SECP256R1()),
        "now": NOW,
        "random": os.urandom,
    }
    with pytest.raises(ValueError, match=r"country|days"):
        create_ca(**(arguments | change))
