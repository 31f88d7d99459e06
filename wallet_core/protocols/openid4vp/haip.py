"""What the high-assurance profile demands of a request, for a wallet that takes no other (HAIP 1.0 sections 5 to 5.2).

Pure. OpenID4VP allows more than the profile does, and so do our wallets unless they are told otherwise. Rules that hold
for every request here are not repeated: ``response_type`` and DCQL (``request``), certificates in ``x5c`` without
their root and never self-signed (``trust.x509``).
"""

from wallet_core.errors import ProfileNotKept
from wallet_core.jose import jwe
from wallet_core.protocols.openid4vp.client_id import ClientIdentifier, ClientIdPrefix
from wallet_core.protocols.openid4vp.dc_api import DcApiRequest
from wallet_core.protocols.openid4vp.reporting import reply_address
from wallet_core.protocols.openid4vp.request import (
    AuthorizationRequest,
    ParsedRequest,
    RequestReference,
    ResponseEncryption,
)


def validate_haip(parsed: ParsedRequest, request: AuthorizationRequest) -> None:
    """Check that a request which redirects brought keeps to the profile.

    Args:
        parsed: how it came.
        request: what it asks; verified, if it is signed.

    Steps:
        1. It is a Request Object behind a ``request_uri`` (5.1).
        2. Its sender is known by ``x509_hash`` (5).
        3. The answer is encrypted: ``direct_post.jwt`` (5.1), to a key on P-256, with both encryptions offered (5).

    Raises:
        ProfileNotKept: a step failed. Its sender may be told, if the signature proved who that is.
    """
    try:
        # 1.
        _validate_way(parsed)
        # 2.
        _validate_sender(request.client_id)
        # 3.
        _validate_encryption(request.encryption, "5.1")
    except ProfileNotKept as exc:
        exc.answer_to = reply_address(request.client_id, request.to_json())
        raise


def validate_haip_over_dc_api(request: DcApiRequest) -> None:
    """Check that a request over the Digital Credentials API keeps to the profile, signed or not.

    Of a request with several signatures it looks at the first that is trusted.

    Raises:
        ProfileNotKept: it is signed under another prefix than ``x509_hash`` (5), or the answer is not encrypted as the
            profile has it (5, 5.2).
    """
    if request.client_id is not None:
        _validate_sender(request.client_id)
    _validate_encryption(request.encryption, "5.2")


def _validate_way(parsed: ParsedRequest) -> None:
    # haip-5.1-demands-reference
    if not isinstance(parsed, RequestReference):
        raise ProfileNotKept("the request does not come by request_uri", clause="HAIP 5.1")


def _validate_sender(client_id: ClientIdentifier) -> None:
    # haip-5-demands-x509-hash
    if client_id.prefix is not ClientIdPrefix.X509_HASH:
        raise ProfileNotKept("the request is not signed under x509_hash", clause="HAIP 5")


def _validate_encryption(encryption: ResponseEncryption | None, section: str) -> None:
    # haip-5.1-demands-encryption
    if encryption is None:
        raise ProfileNotKept("the answer would not be encrypted", clause=f"HAIP {section}")
    # Of the keys that the Verifier lists, this is the first that is usable here.
    # haip-5-demands-p256
    if encryption.jwk.get("crv") != "P-256":
        raise ProfileNotKept("the key for the answer is not on P-256", clause="HAIP 5")
    # Verifiers list both, though a wallet need have only one of them.
    # haip-5-demands-both-enc
    if not set(jwe.ENC_VALUES) <= set(encryption.enc_values):
        raise ProfileNotKept("the verifier does not take both A128GCM and A256GCM", clause="HAIP 5")
