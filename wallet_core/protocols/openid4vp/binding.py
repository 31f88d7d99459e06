"""Whether a presentation that is discarded was at least made for this request (OpenID4VP 1.0 sections 8.6, 14.1.2).

A presentation that fails for itself is left out of the answer. One with a wrong nonce refuses the whole answer,
whatever else is wrong with it: somebody injects what was made for another request.
"""

from wallet_core.encoding import base64url
from wallet_core.errors import HolderBindingError, MalformedError
from wallet_core.formats.mdoc.document import parse_device_response
from wallet_core.formats.mdoc.structures import parse_mso
from wallet_core.formats.mdoc.verifier import verify_device
from wallet_core.formats.sd_jwt.verifier import parse_sd_jwt
from wallet_core.types import Nonce, SessionTranscript

_CLAUSE = "OpenID4VP 14.1.2"


def require_nonce_of_sd_jwt(text: str, nonce: Nonce, *, required: bool) -> None:
    """Check that an SD-JWT which failed otherwise carries the nonce of this request. Its signatures are not looked at.

    Args:
        text: the presentation.
        nonce: of this request.
        required: whether a Key Binding JWT has to be there.

    Raises:
        HolderBindingError: the nonce is another one, or there is none and there should be.
    """
    try:
        token = parse_sd_jwt(text).key_binding_jwt
        found = None if token is None else token.claims().get("nonce")
    except MalformedError as exc:
        raise HolderBindingError(exc.description, clause=_CLAUSE) from exc
    if found != nonce and (required or token is not None):
        raise HolderBindingError("the Key Binding JWT carries another nonce", clause=_CLAUSE)


def require_session_of_mdoc(text: str, session_transcript: SessionTranscript) -> None:
    """Check that an mdoc which failed otherwise was signed in this session, by the device that it names itself.

    The nonce of an mdoc is in the transcript, so only the signature over it can tell.

    Raises:
        HolderBindingError: it was not.
    """
    try:
        for document in parse_device_response(base64url.decode(text, what="presentation")).documents:
            mso = parse_mso(document.issuer_signed.issuer_auth.payload)
            verify_device(document, mso, session_transcript=session_transcript)
    except MalformedError as exc:
        raise HolderBindingError(exc.description, clause=_CLAUSE) from exc
