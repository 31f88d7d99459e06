import base64
import contextlib
import hashlib
import os
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.trust.conftest import ISSUER, NOW, Pki, new_ca
from wallet_core.errors import Expired, MalformedError, NotYetValid, UntrustedError, WalletError
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.trust.anchors import AnchorPurpose, TrustAnchor, TrustAnchors
from wallet_core.trust.certificates import create_issuer_certificate, create_verifier_certificate
from wallet_core.trust.x509 import (
    MAX_CHAIN,
    VerdictCache,
    format_x5c,
    load_certificate,
    parse_x5c,
    validate_dns_name,
    validate_issuer_name,
    verify_chain,
    x509_hash,
)
from wallet_core.types import CredentialIssuerId

ISSUER_PURPOSE = AnchorPurpose.CREDENTIAL_ISSUER
VERIFIER_PURPOSE = AnchorPurpose.VERIFIER_ACCESS


BY_HAND = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "By hand")])


def leaf_by(pki: Pki, subject: x509.Name = BY_HAND, **extensions: x509.ExtensionType) -> bytes:
    """A leaf made by hand below the issuers' CA, with exactly these extensions."""
    key = extensions.pop("key", None) or ec.generate_private_key(ec.SECP256R1())
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(pki.issuer_ca.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=1))
    )
    for extension in extensions.values():
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(pki.issuer_ca.private_key, SHA256()).public_bytes(Encoding.DER)


def test_a_good_chain_gives_key_names_and_period(pki: Pki) -> None:
    trusted = verify_chain([pki.issuer_leaf], pki.anchors, purpose=ISSUER_PURPOSE, at=NOW)
    assert trusted.public_key == pki.issuer_signer.public_key
    assert trusted.name == "서울특별시경찰청 (시험용)"
    assert (trusted.dns_names, trusted.uris) == (("localhost",), (ISSUER,))
    assert trusted.sha256 == hashlib.sha256(pki.issuer_leaf).digest()
    assert trusted.valid_until == NOW + timedelta(days=365)


def test_the_common_name_stands_in_for_a_missing_organization(pki: Pki) -> None:
    assert verify_chain([leaf_by(pki)], pki.anchors, purpose=ISSUER_PURPOSE, at=NOW).name == "By hand"


def test_a_name_that_would_steer_the_reader_is_one_plain_line(pki: Pki) -> None:
    named = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Evil\u202eknaB\nBank")])
    assert (
        verify_chain([leaf_by(pki, subject=named)], pki.anchors, purpose=ISSUER_PURPOSE, at=NOW).name
        == "Evil knaB Bank"
    )


def test_x5c_round_trip(pki: Pki) -> None:
    assert parse_x5c(list(format_x5c([pki.issuer_leaf, pki.verifier_leaf]))) == (pki.issuer_leaf, pki.verifier_leaf)


@pytest.mark.clause("jose-7515.4.1.6-x5c")
@pytest.mark.parametrize("value", [None, "text", [], [1], ["*"], ["a-_="], ["é"], ["AAAA"] * (MAX_CHAIN + 1)])
def test_x5c_of_a_wrong_shape_is_malformed(value: object) -> None:
    with pytest.raises(MalformedError):
        parse_x5c(value)


def test_x509_hash_is_the_base64url_sha256_of_the_der(pki: Pki) -> None:
    digest = hashlib.sha256(pki.verifier_leaf).digest()
    assert x509_hash(pki.verifier_leaf) == base64.urlsafe_b64encode(digest).decode().rstrip("=")


@pytest.mark.clause("x509-6.1-path")
def test_an_anchor_for_another_purpose_is_no_anchor(pki: Pki) -> None:
    with pytest.raises(UntrustedError) as caught:
        verify_chain([pki.issuer_leaf], pki.anchors, purpose=VERIFIER_PURPOSE, at=NOW)
    assert caught.value.step == 4
    assert "anchor for credential_issuer" in caught.value.detail


def test_no_anchor_for_the_purpose(pki: Pki) -> None:
    anchors = TrustAnchors([TrustAnchor(pki.verifier_ca.certificate, VERIFIER_PURPOSE)])
    with pytest.raises(UntrustedError, match="no anchor"):
        verify_chain([pki.issuer_leaf], anchors, purpose=ISSUER_PURPOSE, at=NOW)


@pytest.mark.clause("x509-4.2.1.12-purpose")
def test_the_ca_of_both_purposes_does_not_make_a_verifier_an_issuer(pki: Pki) -> None:
    ca = new_ca("For both")
    leaf = create_verifier_certificate(
        ca,
        response_uri="https://rp.example/r",
        organization="RP",
        public_key=SoftwareSigner.generate().public_key,
        now=NOW,
        random=os.urandom,
    ).public_bytes(Encoding.DER)
    anchors = TrustAnchors([TrustAnchor(ca.certificate, purpose) for purpose in AnchorPurpose])
    assert verify_chain([leaf], anchors, purpose=VERIFIER_PURPOSE, at=NOW).dns_names == ("rp.example",)
    with pytest.raises(UntrustedError) as caught:
        verify_chain([leaf], anchors, purpose=ISSUER_PURPOSE, at=NOW)
    assert caught.value.step == 5


@pytest.mark.clause("x509-6.1-path")
def test_an_unknown_ca(pki: Pki) -> None:
    stranger = new_ca("Issuers")
    anchors = TrustAnchors([TrustAnchor(stranger.certificate, ISSUER_PURPOSE)])
    with pytest.raises(UntrustedError) as caught:
        verify_chain([pki.issuer_leaf], anchors, purpose=ISSUER_PURPOSE, at=NOW)
    assert caught.value.step == 4


@pytest.mark.clause("x509-6.1.3-time")
@pytest.mark.parametrize(
    ("shift", "error"),
    [(timedelta(days=366), Expired), (-timedelta(days=2), NotYetValid)],
)
def test_the_time_counts(pki: Pki, shift: timedelta, error: type[WalletError]) -> None:
    with pytest.raises(error):
        verify_chain([pki.issuer_leaf], pki.anchors, purpose=ISSUER_PURPOSE, at=NOW + shift)


@pytest.mark.clause("x509-6.1.3-time")
def test_an_expired_anchor_is_no_anchor(pki: Pki) -> None:
    old = new_ca("Old", NOW - timedelta(days=10 * 365))
    leaf = create_issuer_certificate(
        old,
        issuer=ISSUER,
        organization="O",
        public_key=pki.issuer_signer.public_key,
        now=NOW - timedelta(days=2 * 365),
        random=os.urandom,
    )
    anchors = TrustAnchors([TrustAnchor(old.certificate, ISSUER_PURPOSE)])
    assert leaf.not_valid_after_utc == old.certificate.not_valid_after_utc
    with pytest.raises(Expired):
        verify_chain([leaf.public_bytes(Encoding.DER)], anchors, purpose=ISSUER_PURPOSE, at=NOW)


@pytest.mark.clause("x509-HAIP6.1.1-anchor", "x509-HAIP6.1.1-self-signed")
def test_a_root_in_the_chain_is_refused(pki: Pki) -> None:
    root = pki.issuer_ca.certificate.public_bytes(Encoding.DER)
    with pytest.raises(UntrustedError) as caught:
        verify_chain([pki.issuer_leaf, root], pki.anchors, purpose=ISSUER_PURPOSE, at=NOW)
    assert caught.value.step == 2


@pytest.mark.clause("x509-HAIP6.1.1-self-signed")
def test_a_self_signed_leaf_is_refused_even_if_it_is_an_anchor(pki: Pki) -> None:
    root = pki.issuer_ca.certificate.public_bytes(Encoding.DER)
    with pytest.raises(UntrustedError) as caught:
        verify_chain([root], pki.anchors, purpose=ISSUER_PURPOSE, at=NOW)
    assert caught.value.step == 2


@pytest.mark.clause("x509-HAIP6.1.1-self-signed")
def test_a_self_signed_leaf_of_a_stranger_is_refused_as_such(pki: Pki) -> None:
    stranger = new_ca("Stranger").certificate.public_bytes(Encoding.DER)
    with pytest.raises(UntrustedError, match="self-signed") as caught:
        verify_chain([stranger], pki.anchors, purpose=ISSUER_PURPOSE, at=NOW)
    assert caught.value.step == 2


@pytest.mark.clause("x509-HAIP6.1.1-anchor")
def test_an_anchor_that_is_not_self_signed_is_not_sent_either(pki: Pki) -> None:
    root, intermediate_key = pki.issuer_ca, ec.generate_private_key(ec.SECP256R1())
    signing = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    identifier = x509.SubjectKeyIdentifier.from_public_key(intermediate_key.public_key())
    above = x509.AuthorityKeyIdentifier.from_issuer_public_key(root.private_key.public_key())
    intermediate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Below the root")]))
        .issuer_name(root.certificate.subject)
        .public_key(intermediate_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=90))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(signing, critical=True)
        .add_extension(identifier, critical=False)
        .add_extension(above, critical=False)
        .sign(root.private_key, SHA256())
    )
    leaf = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Leaf")]))
        .issuer_name(intermediate.subject)
        .public_key(ec.generate_private_key(ec.SECP256R1()).public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=1))
        .sign(intermediate_key, SHA256())
    ).public_bytes(Encoding.DER)
    anchors = TrustAnchors([TrustAnchor(intermediate, ISSUER_PURPOSE)])
    assert verify_chain([leaf], anchors, purpose=ISSUER_PURPOSE, at=NOW).name == "Leaf"
    with pytest.raises(UntrustedError, match="trust anchor") as caught:
        verify_chain([leaf, intermediate.public_bytes(Encoding.DER)], anchors, purpose=ISSUER_PURPOSE, at=NOW)
    assert caught.value.step == 2


@pytest.mark.clause("jose-7515.4.1.6-x5c-order")
def test_a_certificate_too_many_is_refused(pki: Pki) -> None:
    with pytest.raises(UntrustedError):
        verify_chain([pki.issuer_leaf, pki.verifier_leaf], pki.anchors, purpose=ISSUER_PURPOSE, at=NOW)


@pytest.mark.clause("x509-5280.4.1.1.3-signature")
def test_a_certificate_has_one_encoding(pki: Pki) -> None:
    """A signature that ends with a zero bit may be written with one unused bit: another text, refused."""
    made = (leaf_by(pki) for _ in range(64))
    der = next(each for each in made if load_certificate(each).signature[-1] & 1 == 0)
    signature = load_certificate(der).signature
    unused = der[: -len(signature) - 1] + b"\1" + signature
    with pytest.raises(MalformedError, match="unused bits"):
        load_certificate(unused)


def test_a_changed_certificate_is_refused(pki: Pki) -> None:
    changed = pki.issuer_leaf[:-3] + bytes([pki.issuer_leaf[-3] ^ 1]) + pki.issuer_leaf[-2:]
    with pytest.raises(WalletError):
        verify_chain([changed], pki.anchors, purpose=ISSUER_PURPOSE, at=NOW)


@pytest.mark.clause("x509-4.2.1.9-ca", "x509-4.2.1.3-usage", "x509-4.2.1.12-purpose")
@pytest.mark.parametrize(
    "extension",
    [
        x509.BasicConstraints(ca=True, path_length=None),
        x509.KeyUsage(
            digital_signature=False,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=True,
            key_cert_sign=False,
            crl_sign=False,
            encipher_only=False,
            decipher_only=False,
        ),
        x509.ExtendedKeyUsage([x509.ObjectIdentifier("1.0.18013.5.1.6")]),
    ],
)
def test_a_leaf_that_may_not_sign_credentials_is_refused(pki: Pki, extension: x509.ExtensionType) -> None:
    with pytest.raises(UntrustedError):
        verify_chain([leaf_by(pki, one=extension)], pki.anchors, purpose=ISSUER_PURPOSE, at=NOW)


def test_foreign_usages_do_not_shut_out_a_strangers_certificate(pki: Pki) -> None:
    usage = x509.ExtendedKeyUsage([x509.ObjectIdentifier("1.2.3.4")])
    assert verify_chain([leaf_by(pki, one=usage)], pki.anchors, purpose=ISSUER_PURPOSE, at=NOW)


def test_an_rsa_key_is_refused(pki: Pki) -> None:
    leaf = leaf_by(pki, key=rsa.generate_private_key(65537, 2048))
    with pytest.raises(UntrustedError) as caught:
        verify_chain([leaf], pki.anchors, purpose=ISSUER_PURPOSE, at=NOW)
    assert caught.value.step == 6


@pytest.mark.parametrize("chain", [[], [b""], [b"\x30\x03\x02\x01\x01"], [b"\0" * 9000], [b"x"] * (MAX_CHAIN + 1)])
def test_malformed_chains(pki: Pki, chain: list[bytes]) -> None:
    with pytest.raises(MalformedError):
        verify_chain(chain, pki.anchors, purpose=ISSUER_PURPOSE, at=NOW)


@pytest.mark.clause("sdjwtvc-3.5-issuer-name")
def test_the_issuer_must_be_the_one_the_certificate_names(pki: Pki) -> None:
    trusted = verify_chain([pki.issuer_leaf], pki.anchors, purpose=ISSUER_PURPOSE, at=NOW)
    validate_issuer_name(trusted, ISSUER)
    # the same host, another agency: the URI entry decides
    with pytest.raises(UntrustedError):
        validate_issuer_name(trusted, CredentialIssuerId("http://localhost:8100/agencies/city"))


@pytest.mark.clause("sdjwtvc-3.5-issuer-name")
def test_a_certificate_without_uri_speaks_for_its_hosts(pki: Pki) -> None:
    leaf = leaf_by(pki, names=x509.SubjectAlternativeName([x509.DNSName("Issuer.example")]))
    trusted = verify_chain([leaf], pki.anchors, purpose=ISSUER_PURPOSE, at=NOW)
    validate_issuer_name(trusted, CredentialIssuerId("https://issuer.example/agencies/city"))
    with pytest.raises(UntrustedError):
        validate_issuer_name(trusted, CredentialIssuerId("https://other.example/agencies/city"))


@pytest.mark.clause("vp-5.9.3-x509-san-dns")
def test_the_host_must_be_the_one_the_certificate_names(pki: Pki) -> None:
    trusted = verify_chain([pki.verifier_leaf], pki.anchors, purpose=VERIFIER_PURPOSE, at=NOW)
    validate_dns_name(trusted, "LOCALHOST")
    with pytest.raises(UntrustedError):
        validate_dns_name(trusted, "bank.example")


def test_the_cache_answers_as_the_check_and_stays_small(pki: Pki) -> None:
    cache = VerdictCache(max_entries=2)
    first = cache.verify_chain([pki.issuer_leaf], pki.anchors, purpose=ISSUER_PURPOSE, at=NOW)
    assert cache.verify_chain([pki.issuer_leaf], pki.anchors, purpose=ISSUER_PURPOSE, at=NOW) is first
    with pytest.raises(UntrustedError):
        cache.verify_chain([pki.issuer_leaf], pki.anchors, purpose=VERIFIER_PURPOSE, at=NOW)
    with pytest.raises(Expired):
        cache.verify_chain([pki.issuer_leaf], pki.anchors, purpose=ISSUER_PURPOSE, at=NOW + timedelta(days=400))
    with pytest.raises(UntrustedError):
        cache.verify_chain([pki.issuer_leaf], TrustAnchors(), purpose=ISSUER_PURPOSE, at=NOW)
    for _ in range(3):
        cache.verify_chain([leaf_by(pki)], pki.anchors, purpose=ISSUER_PURPOSE, at=NOW)
    assert len(cache) == 2


@given(st.data())
@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
def test_only_wallet_errors_leave_for_changed_bytes(pki: Pki, data: st.DataObject) -> None:
    der = bytearray(pki.issuer_leaf)
    for _ in range(data.draw(st.integers(1, 4))):
        der[data.draw(st.integers(0, len(der) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(der)))
    chain = [bytes(der[:cut] if data.draw(st.booleans()) else der)]
    with contextlib.suppress(WalletError):
        verify_chain(chain, pki.anchors, purpose=ISSUER_PURPOSE, at=NOW)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda each: st.lists(each) | st.dictionaries(st.text(), each),
)


@given(_JSON)
def test_only_wallet_errors_leave_parse_x5c(value: object) -> None:
    with contextlib.suppress(WalletError):
        parse_x5c(value)
