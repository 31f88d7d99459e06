"""What a list says of one credential, who may sign it, and how long a copy is used."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.support.status_lists import NOW, URI, made, verify
from tests.unit.trust.conftest import NOW as PKI_NOW
from wallet_core.errors import RevokedError, StatusUnknown, UntrustedError
from wallet_core.trust.anchors import AnchorPurpose
from wallet_core.trust.status_list.judging import (
    LEAST_TTL,
    MOST_TTL,
    USUAL_TTL,
    StatusFinding,
    fresh_until,
    judge_status,
    refuse_status,
    validate_list_signer,
)
from wallet_core.trust.status_list.reference import StatusReference
from wallet_core.trust.x509 import verify_chain


@pytest.mark.clause("tsl-8.3-status")
def test_only_a_valid_credential_is_one() -> None:
    statuses = verify(made(b"\xe4", 2))
    assert judge_status(statuses, StatusReference(0, URI), checked_at=NOW) == StatusFinding("valid", NOW)
    for index, words in ((1, "was revoked"), (2, "is suspended")):
        with pytest.raises(RevokedError, match=words):
            judge_status(statuses, StatusReference(index, URI), checked_at=NOW)
    with pytest.raises(StatusUnknown):
        judge_status(statuses, StatusReference(3, URI), checked_at=NOW)


@pytest.mark.clause("tsl-11.3-signer")
def test_a_list_is_signed_by_the_agency_itself(pki) -> None:
    issuer = verify_chain([pki.issuer_leaf], pki.anchors, purpose=AnchorPurpose.CREDENTIAL_ISSUER, at=PKI_NOW)
    other = replace(issuer, uris=("http://localhost:8100/agencies/tax",))
    validate_list_signer(issuer, issuer)
    validate_list_signer(replace(issuer, uris=(*other.uris, *issuer.uris)), issuer)
    nameless = replace(issuer, uris=())
    validate_list_signer(nameless, nameless)
    for signer, of in ((other, issuer), (nameless, issuer), (replace(nameless, name="다른 기관"), nameless)):
        with pytest.raises(UntrustedError):
            validate_list_signer(signer, of)
    with pytest.raises(StatusUnknown):
        refuse_status({}, issuer, "application/statuslist+jwt", NOW)


@pytest.mark.clause("tsl-13.7-ttl")
def test_a_copy_is_used_for_its_ttl_within_bounds() -> None:
    claims = verify(made()).claims
    assert fresh_until(claims, fetched_at=NOW) == NOW + timedelta(seconds=60)
    assert fresh_until(replace(claims, ttl=timedelta(seconds=1)), fetched_at=NOW) == NOW + LEAST_TTL
    endless = replace(claims, expires_at=None)
    assert fresh_until(replace(endless, ttl=timedelta(days=900)), fetched_at=NOW) == NOW + MOST_TTL
    assert fresh_until(replace(endless, ttl=None), fetched_at=NOW) == NOW + USUAL_TTL
    late = NOW + timedelta(minutes=59, seconds=30)
    assert fresh_until(claims, fetched_at=late) == NOW + timedelta(hours=1)
