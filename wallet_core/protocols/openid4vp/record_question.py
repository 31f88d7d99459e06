"""What a verification record says was asked, as what its answer had to fit: for an audit that verifies it again.

The invariant: everything comes from the record and from the auditor's roots, nothing from the verifier that made it.
"""

from collections.abc import Mapping

from wallet_core.errors import MalformedError
from wallet_core.formats.mdoc.session_transcript import dcapi_transcript
from wallet_core.protocols.openid4vp.dc_api import DcApiRequest, origin_audience, parse_dc_api_members
from wallet_core.protocols.openid4vp.mdoc import request_transcript
from wallet_core.protocols.openid4vp.presented import Expectation
from wallet_core.protocols.openid4vp.request import AuthorizationRequest, parse_request_members
from wallet_core.trust.anchors import AnchorPurpose, TrustAnchors
from wallet_core.trust.status_list.judging import StatusVerifier
from wallet_core.trust.x509 import verify_chain
from wallet_core.types import JsonObject


def expectation_of(
    parameters: JsonObject,
    dc_api: JsonObject | None,
    anchors: TrustAnchors,
    *,
    supertypes: Mapping[str, frozenset[str]],
    verify_status: StatusVerifier,
) -> Expectation:
    """Return what the answer to the question of a record had to fit.

    Args:
        parameters: the Authorization Request, as the record has it.
        dc_api: how a browser's page brought the answer (``record.dc_api_members``); None if the wallet posted it.
        anchors: the auditor's roots of issuers.
        supertypes: the types that the relying party knew to extend others.
        verify_status: what is said of the status of each credential.

    Raises:
        MalformedError, InvalidRequest: the question cannot be read.
    """
    asked: AuthorizationRequest | DcApiRequest
    if dc_api is None:
        linked = parse_request_members(parameters)
        asked, audience, transcript = linked, linked.client_id.full, request_transcript(linked)
    else:
        called = parse_dc_api_members(parameters)
        origin, sealed_for = dc_api.get("origin"), dc_api.get("encryption_info")
        if not isinstance(origin, str) or not isinstance(sealed_for, str | None):
            raise MalformedError("how the answer came cannot be read", clause="specs/verification-record.md 2")
        asked, audience = called, origin_audience(origin)
        # 18013-7 C.5: the ISO protocol binds an mdoc to its own members instead.
        transcript = (
            called.session_transcript(origin)
            if sealed_for is None
            else dcapi_transcript(encryption_info=sealed_for, origin=origin)
        )
    return Expectation(
        asked.dcql_query,
        audience,
        asked.nonce,
        lambda chain, at: verify_chain(chain, anchors, purpose=AnchorPurpose.CREDENTIAL_ISSUER, at=at),
        verify_mdoc_chain=lambda chain, at: verify_chain(chain, anchors, purpose=AnchorPurpose.MDL_ISSUER, at=at),
        session_transcript=transcript,
        transaction_data=asked.transaction_data,
        supertypes=supertypes,
        verify_status=verify_status,
    )
