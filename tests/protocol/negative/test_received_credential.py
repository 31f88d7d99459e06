"""What an issuer sends differs in one thing from what was asked for: the wallet keeps none of it."""

from datetime import timedelta
from typing import Any

import pytest

from holder_app.issuance.verification import VerifiedCredential, verify_issued
from tests.support.presentations import AGENCY, NOW, VCT, Agency, new_ca, world
from tests.support.trust import listed, new_list
from wallet_core.errors import Expired, HolderBindingError, MalformedError, UntrustedError, VerificationError
from wallet_core.formats.sd_jwt.holder import create_key_binding
from wallet_core.keys.algorithms import SignatureAlgorithm
from wallet_core.keys.jwk import thumbprint
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.protocols.openid4vci.metadata import CredentialConfiguration
from wallet_core.trust.anchors import AnchorPurpose, TrustAnchor
from wallet_core.trust.policy import create_issuer_policy
from wallet_core.types import CredentialConfigurationId, CredentialIssuerId

WORLD = world()
ASKED = CredentialConfiguration(CredentialConfigurationId("licence"), "dc+sd-jwt", {"format": "dc+sd-jwt", "vct": VCT})


def keep(text: str, issuer: str = AGENCY, **changes: Any) -> VerifiedCredential:
    arguments: dict[str, Any] = {
        "issuer": CredentialIssuerId(issuer),
        "configuration": ASKED,
        "signers": {thumbprint(WORLD.holder.public_key): WORLD.holder},
        "anchors": WORLD.anchors,
        "now": NOW,
        **changes,
    }
    return verify_issued(text, **arguments)


def test_what_was_asked_for_is_kept() -> None:
    kept = keep(WORLD.agency.issue(WORLD.holder))
    assert kept.signer is WORLD.holder
    assert kept.type == VCT


@pytest.mark.clause("vci-A.3.4-type")
def test_a_credential_of_another_type() -> None:
    with pytest.raises(VerificationError, match="another type"):
        keep(WORLD.agency.issue(WORLD.holder, vct="urn:jigap:vct:other:1"))


@pytest.mark.clause("vci-8.3-our-key")
@pytest.mark.parametrize("holder", [None, SoftwareSigner.generate()])
def test_a_credential_that_is_not_bound_to_our_key(holder) -> None:
    with pytest.raises(HolderBindingError):
        keep(WORLD.agency.issue(holder))


@pytest.mark.clause("sdjwtvc-3.5-issuer-asked")
def test_a_credential_that_names_another_issuer() -> None:
    with pytest.raises(UntrustedError, match="another issuer"):
        keep(WORLD.agency.issue(WORLD.holder, issuer="https://issuer.example/agencies/tax"))


@pytest.mark.clause("sdjwtvc-3.5-issuer-name")
def test_a_credential_of_another_agency_than_the_offers() -> None:
    with pytest.raises(UntrustedError):
        keep(WORLD.agency.issue(WORLD.holder), issuer="https://issuer.example/agencies/tax")


@pytest.mark.clause("sdjwtvc-3.5-chain")
def test_a_credential_signed_under_a_verifiers_certificate() -> None:
    with pytest.raises(UntrustedError):
        keep(Agency(WORLD.verifier_ca).issue(WORLD.holder))


@pytest.mark.clause("x509-6.1-path")
def test_a_credential_of_an_issuer_nobody_vouches_for() -> None:
    with pytest.raises(UntrustedError):
        keep(Agency(new_ca("모르는 인증기관")).issue(WORLD.holder))


@pytest.mark.clause("rfc9901-7.2-no-kb-from-issuer")
def test_a_credential_that_comes_with_a_key_binding() -> None:
    held = WORLD.held()
    unsigned = create_key_binding(held, [], audience="a", nonce="n", issued_at=NOW, algorithm=SignatureAlgorithm.ES256)
    with pytest.raises(MalformedError):
        keep(unsigned.attach(WORLD.holder.sign(unsigned.signing_input)))


@pytest.mark.clause("rfc9901-7.1-exp")
def test_a_credential_that_has_expired() -> None:
    with pytest.raises(Expired):
        keep(WORLD.agency.issue(WORLD.holder, issued_at=NOW - timedelta(days=2), expires_at=NOW - timedelta(days=1)))


@pytest.mark.clause("sdjwtvc-2.2.1-typ")
def test_a_credential_of_the_old_media_type() -> None:
    from tests.support.sd_jwt import ISSUER, issue, sign
    from wallet_core.formats.sd_jwt.vc import validate_sd_jwt_vc
    from wallet_core.formats.sd_jwt.verifier import parse_sd_jwt, verify_sd_jwt

    good = parse_sd_jwt(issue()).issuer_jws.claims()
    old = verify_sd_jwt(parse_sd_jwt(sign(good, typ="vc+sd-jwt")), issuer_key=ISSUER.public_key, now=NOW)
    with pytest.raises(VerificationError, match="type"):
        validate_sd_jwt_vc(old)


@pytest.mark.clause("tl-4-received")
def test_a_type_that_the_trust_list_does_not_let_this_issuer_issue() -> None:
    root = TrustAnchor(WORLD.issuer_ca.certificate, AnchorPurpose.CREDENTIAL_ISSUER)
    for permitted, good in ((VCT, True), ("urn:jigap:vct:other:1", False)):
        listing = new_list(NOW, root, agencies=(listed(AGENCY, permitted),))
        issuers = create_issuer_policy(WORLD.anchors, [listing])
        if good:
            assert keep(WORLD.agency.issue(WORLD.holder), issuers=issuers)
        else:
            with pytest.raises(UntrustedError, match="may not issue this type"):
                keep(WORLD.agency.issue(WORLD.holder), issuers=issuers)
