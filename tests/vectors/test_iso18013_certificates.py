"""Certificates of ISO 18013-5 annex D and of other people's software: chains and profiles."""

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.support import vectors
from wallet_core.errors import WalletError
from wallet_core.trust.anchors import AnchorPurpose, TrustAnchor, TrustAnchors
from wallet_core.trust.profiles import CertificateRole, profile_faults
from wallet_core.trust.x509 import validate_issuing_country, verify_chain

CERTIFICATES = vectors.load("iso18013_5", "certificates.json")
NAMES = list(CERTIFICATES["certificates"])
ANNEX_D = datetime(2020, 10, 15, tzinfo=UTC)
MDL = AnchorPurpose.MDL_ISSUER

# Each breaks a rule although its signature is good.
WRONG = {
    "isomdl_incorrect_iaca_signer": "a CA",
    "isomdl_iaca_intermediate": "a CA",
    "isomdl_iaca_leaf_signer": "a CA, and below no IACA",
    "owf_multipaz_ds_p384": "a negative serial number (RFC 5280 4.1.2.2)",
}


def annex_d(name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((vectors.DATA / "iso18013_5" / f"annex_d_{name}.pem").read_bytes())


def certificate(name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(CERTIFICATES["certificates"][name]["pem"].encode())


def trusted(leaf: x509.Certificate, root: x509.Certificate, purpose: AnchorPurpose, at: datetime) -> bool:
    try:
        verify_chain(
            [leaf.public_bytes(Encoding.DER)], TrustAnchors([TrustAnchor(root, purpose)]), purpose=purpose, at=at
        )
    except WalletError:
        return False
    return True


def test_annex_d_chains() -> None:
    signer, iaca, reader, root = (annex_d(name) for name in ("ds", "iaca", "reader", "reader_root"))
    found = verify_chain(
        [signer.public_bytes(Encoding.DER)], TrustAnchors([TrustAnchor(iaca, MDL)]), purpose=MDL, at=ANNEX_D
    )
    validate_issuing_country(found, "US")
    assert trusted(reader, root, AnchorPurpose.VERIFIER_ACCESS, ANNEX_D)
    for leaf, anchor, purpose, at in (
        (signer, root, MDL, ANNEX_D),
        (reader, root, MDL, ANNEX_D),
        (signer, iaca, MDL, ANNEX_D + timedelta(days=360)),
        (signer, iaca, MDL, ANNEX_D - timedelta(days=20)),
        (signer, iaca, AnchorPurpose.VERIFIER_ACCESS, ANNEX_D),
        (reader, root, AnchorPurpose.CREDENTIAL_ISSUER, ANNEX_D),
    ):
        assert not trusted(leaf, anchor, purpose, at)


def test_annex_d_profiles() -> None:
    assert profile_faults(annex_d("iaca"), CertificateRole.IACA) == ()
    assert profile_faults(annex_d("ds"), CertificateRole.DOCUMENT_SIGNER, annex_d("iaca")) == ()


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
@pytest.mark.parametrize(("leaf", "root"), list(product(NAMES, NAMES)))
def test_only_pairs_that_belong_together_make_a_chain(leaf: str, root: str) -> None:
    issued = [leaf, root] in CERTIFICATES["issued_by_pairs"] and leaf != root
    signer = certificate(leaf)
    at = max(signer.not_valid_before_utc, certificate(root).not_valid_before_utc) + timedelta(days=1)
    assert trusted(signer, certificate(root), MDL, at) == (issued and leaf not in WRONG)
