from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.support.trust import listed, new_list, sha256_of
from tests.unit.trust.conftest import ISSUER, NOW, Pki, new_ca
from tests.unit.trust.test_profiles import der, new_iaca, new_signer
from wallet_core.errors import Expired, UntrustedError
from wallet_core.trust.anchors import AnchorPurpose, TrustAnchor, TrustAnchors
from wallet_core.trust.policy import Grant, IssuerPolicy, create_issuer_policy
from wallet_core.trust.trust_list import ListedAgency, Period, PermittedType, TrustList
from wallet_core.trust.x509 import TrustedCertificate, verify_chain
from wallet_core.types import CredentialIssuerId

VCT, OTHER = "urn:jigap:vct:drivers-licence:1", "urn:jigap:vct:resident-card:1"
SD_JWT, MDOC, MDL = "dc+sd-jwt", "mso_mdoc", "org.iso.18013.5.1.mDL"
AGENCY = listed(ISSUER, VCT)


@pytest.fixture(scope="module")
def certificate(pki: Pki) -> TrustedCertificate:
    """The signing certificate of the listed agency."""
    return verify_chain([pki.issuer_leaf], pki.anchors, purpose=AnchorPurpose.CREDENTIAL_ISSUER, at=NOW)


def list_of(pki: Pki, agency: ListedAgency = AGENCY, **changes: Any) -> TrustList:
    root = TrustAnchor(pki.issuer_ca.certificate, AnchorPurpose.CREDENTIAL_ISSUER)
    return new_list(NOW, root, agencies=(agency,), **changes)


def ask(policy: IssuerPolicy, certificate: TrustedCertificate, type_: str = VCT, **changes: Any) -> str:
    return policy.validate_may_issue(
        certificate, **{"issuer": ISSUER, "format": SD_JWT, "type": type_, "at": NOW, **changes}
    )


@pytest.mark.clause("tl-4-type", "tl-4-type-period", "tl-4-agency-period")
def test_a_listed_issuer_issues_its_types(pki: Pki, certificate: TrustedCertificate) -> None:
    policy = create_issuer_policy(TrustAnchors(), [list_of(pki)], closed=True)
    assert ask(policy, certificate) == "시험경찰청 (시험용)"
    # the list brings the root along
    assert verify_chain([pki.issuer_leaf], policy.anchors, purpose=AnchorPurpose.CREDENTIAL_ISSUER, at=NOW)


@pytest.mark.clause("tl-4-type")
@pytest.mark.parametrize(("format_", "type_"), [(SD_JWT, OTHER), (MDOC, VCT), (SD_JWT, ""), ("", VCT)])
def test_no_other_types(pki: Pki, certificate: TrustedCertificate, format_: str, type_: str) -> None:
    policy = create_issuer_policy(TrustAnchors(), [list_of(pki)])
    with pytest.raises(UntrustedError, match="this type"):
        ask(policy, certificate, type_, format=format_)


@pytest.mark.clause("tl-4-unlisted")
def test_an_issuer_on_no_list(pki: Pki, certificate: TrustedCertificate) -> None:
    nobody = list_of(pki, replace(AGENCY, credential_issuers=(CredentialIssuerId("https://other.example"),)))
    # its root is listed, so the root alone is not enough, closed or not
    for closed in (True, False):
        with pytest.raises(UntrustedError, match="not on the trust list"):
            ask(create_issuer_policy(pki.anchors, [nobody], closed=closed), certificate)
    # another root, chosen by hand
    foreign = replace(nobody, authorities=(TrustAnchor(new_ca().certificate, AnchorPurpose.CREDENTIAL_ISSUER),))
    assert ask(create_issuer_policy(pki.anchors, [foreign]), certificate) == ""
    with pytest.raises(UntrustedError, match="not on the trust list"):
        ask(create_issuer_policy(pki.anchors, [foreign], closed=True), certificate)
    with pytest.raises(UntrustedError, match="not on the trust list"):
        ask(create_issuer_policy(pki.anchors, closed=True), certificate)
    assert ask(create_issuer_policy(pki.anchors), certificate) == ""


@pytest.mark.clause("tl-4-root")
def test_a_name_below_another_root_is_not_the_listed_one(pki: Pki, certificate: TrustedCertificate) -> None:
    foreign = list_of(pki, authorities=(TrustAnchor(new_ca().certificate, AnchorPurpose.CREDENTIAL_ISSUER),))
    with pytest.raises(UntrustedError, match="not on the trust list"):
        ask(create_issuer_policy(pki.anchors, [foreign], closed=True), certificate)


def test_of_the_names_of_a_certificate_the_one_that_iss_says_counts(pki: Pki, certificate: TrustedCertificate) -> None:
    both = replace(certificate, uris=(ISSUER, "https://other.example"))
    other = replace(listed("https://other.example", OTHER), id="other")
    policy = create_issuer_policy(TrustAnchors(), [replace(list_of(pki), agencies=(AGENCY, other))], closed=True)
    assert ask(policy, both) == "시험경찰청 (시험용)"
    with pytest.raises(UntrustedError, match="this type"):
        ask(policy, both, OTHER)
    assert ask(policy, both, OTHER, issuer="https://other.example")


@pytest.mark.clause("tl-4-fresh")
def test_a_list_counts_as_long_as_it_says_and_as_our_setting_adds(pki: Pki, certificate: TrustedCertificate) -> None:
    strict = create_issuer_policy(TrustAnchors(), [list_of(pki)], closed=True)
    patient = create_issuer_policy(TrustAnchors(), [list_of(pki)], closed=True, grace=timedelta(hours=6))
    end = NOW + timedelta(days=1)
    assert ask(strict, certificate, at=end - timedelta(seconds=1))
    assert ask(patient, certificate, at=end + timedelta(hours=5))
    for policy, at in ((strict, end), (patient, end + timedelta(hours=6))):
        with pytest.raises(Expired, match="out of date"):
            ask(policy, certificate, at=at)


@pytest.mark.clause("tl-4-agency-period", "tl-4-type-period")
def test_agency_and_type_have_their_time(pki: Pki, certificate: TrustedCertificate) -> None:
    past, future = Period(None, NOW), Period(NOW + timedelta(seconds=1), None)
    for period in (past, future):
        for agency in (
            replace(AGENCY, period=period),
            replace(AGENCY, types=(PermittedType(SD_JWT, VCT, period),)),
        ):
            with pytest.raises(UntrustedError, match="at this time"):
                ask(create_issuer_policy(TrustAnchors(), [list_of(pki, agency)]), certificate)


def test_a_certificate_of_its_own_outranks_what_it_names(pki: Pki, certificate: TrustedCertificate) -> None:
    own = listed("https://elsewhere.example", OTHER, certificates=(certificate.sha256,))
    policy = create_issuer_policy(TrustAnchors(), [list_of(pki, own)], closed=True)
    assert ask(policy, certificate, OTHER)
    with pytest.raises(UntrustedError, match="this type"):
        ask(policy, certificate)


def test_an_authority_of_its_own_names_the_agency() -> None:
    iaca = new_iaca()
    root = TrustAnchor(iaca.certificate, AnchorPurpose.MDL_ISSUER)
    own = listed("", MDL, format=MDOC, credential_issuers=(), authorities=(sha256_of(iaca),))
    policy = create_issuer_policy(TrustAnchors(), [new_list(NOW, root, agencies=(own,))], closed=True)
    signer = verify_chain([der(new_signer(iaca))], policy.anchors, purpose=AnchorPurpose.MDL_ISSUER, at=NOW)
    assert ask(policy, signer, MDL, format=MDOC, issuer=None)
    # an authority that the list does not bring makes nobody's
    with pytest.raises(UntrustedError, match="not on the trust list"):
        ask(create_issuer_policy(TrustAnchors(), [new_list(NOW, agencies=(own,))], closed=True), signer, MDL,
            format=MDOC, issuer=None)  # fmt: skip


def test_agencies_below_one_iaca_are_told_apart_by_name() -> None:
    iaca = new_iaca()
    root = TrustAnchor(iaca.certificate, AnchorPurpose.MDL_ISSUER)
    police = listed(ISSUER, MDL, format=MDOC)
    policy = create_issuer_policy(TrustAnchors(), [new_list(NOW, root, agencies=(police,))], closed=True)
    for issuer, good in ((ISSUER, True), ("http://localhost:8100/agencies/city", False)):
        chain = [der(new_signer(iaca, issuer=issuer))]
        signer = verify_chain(chain, policy.anchors, purpose=AnchorPurpose.MDL_ISSUER, at=NOW)
        if good:
            assert ask(policy, signer, MDL, format=MDOC, issuer=None)
        else:
            with pytest.raises(UntrustedError, match="not on the trust list"):
                ask(policy, signer, MDL, format=MDOC, issuer=None)


def test_of_several_lists_one_is_enough() -> None:
    iaca = new_iaca()
    chain = [der(new_signer(iaca))]
    root = TrustAnchor(iaca.certificate, AnchorPurpose.MDL_ISSUER)
    signer = verify_chain(chain, TrustAnchors([root]), purpose=AnchorPurpose.MDL_ISSUER, at=NOW)
    grant = Grant("VICAL", {(MDOC, MDL): Period()}, Period(), NOW + timedelta(days=1))
    own = listed("", OTHER, format=MDOC, credential_issuers=(), authorities=(sha256_of(iaca),))
    policy = create_issuer_policy(
        TrustAnchors([root]),
        [new_list(NOW, root, agencies=(own,))],
        closed=True,
        by_authority={sha256_of(iaca): [grant]},
    )
    assert ask(policy, signer, MDL, format=MDOC, issuer=None) == "VICAL"
    assert ask(policy, signer, OTHER, format=MDOC, issuer=None)
    with pytest.raises(UntrustedError, match="this type"):
        ask(policy, signer, VCT, format=MDOC, issuer=None)


def test_an_issuer_has_its_names_in_every_language_of_the_list(pki: Pki) -> None:
    (grant,) = create_issuer_policy(pki.anchors, [list_of(pki)]).by_issuer[ISSUER]
    assert (grant.name, grant.names) == (AGENCY.name["ko"], AGENCY.name)
