"""``POST /api/v1/verify``: check a credential or presentation without a session."""

import binascii
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from verifier.checks import shapes
from verifier.checks.answers import result_json
from verifier.checks.assembly import checks_of
from verifier.checks.use_cases import FileOrder, check_file, known_session
from wallet_core.adapters.api_keys import ApiKey
from wallet_core.adapters.qr import MAX_IMAGE_BYTES
from wallet_core.adapters.web import protocol_json, require_api_key
from wallet_core.adapters.web.document import STORES_NOTHING
from wallet_core.errors import InvalidRequest, MalformedError
from wallet_core.protocols.openid4vp.standalone import MAX_BYTES

router = APIRouter(prefix="/api/v1/verify", tags=["verify"])

Reader = Annotated[ApiKey, Depends(require_api_key("presentations:read"))]

MAX_FILE_CHARACTERS = (MAX_IMAGE_BYTES + 2) // 3 * 4
"""Characters of the base64 text of the largest picture."""

MAX_BODY_BYTES = MAX_FILE_CHARACTERS + MAX_BYTES
"""Bytes of the whole body: the largest file, with room for the other members."""


class VerifyBody(BaseModel):
    """A credential or presentation as `text` or as `file`, and how it is to be checked."""

    model_config = ConfigDict(extra="forbid")
    text: str | None = Field(
        None,
        max_length=MAX_BYTES,
        description="SD-JWT VC or SD-JWT+KB, compact or in JSON, or base64url of an IssuerSigned or DeviceResponse.",
    )
    file: str | None = Field(
        None,
        max_length=MAX_FILE_CHARACTERS,
        description="base64 of a file: one of these texts, their CBOR, or a PNG or JPEG of a QR code with such a text.",
    )
    policy: str | None = Field(
        None, max_length=64, description="A policy of the catalogue: its query and its rule for the status count."
    )
    offline: bool = Field(False, description="Open no connection: the copies of trust and status lists count.")
    require_holder: bool = Field(False, description="Refuse what its holder did not prove to hold.")
    nonce: str | None = Field(None, max_length=512, description="Of the session it was shown in.")
    audience: str | None = Field(None, max_length=2048, description="Full Client Identifier of whoever asked.")
    response_uri: str | None = Field(None, max_length=2048, description="Where the answer went; for mdocs.")
    jwk_thumbprint: str | None = Field(
        None, max_length=64, description="base64url SHA-256 thumbprint of the key it was encrypted with; for mdocs."
    )
    session_transcript: str | None = Field(
        None, max_length=16_384, description="base64url of an mdoc's SessionTranscript, instead of the four others."
    )

    def order(self) -> FileOrder:
        """Return the order. Raises ``InvalidRequest`` or ``MalformedError``."""
        if (self.text is None) == (self.file is None):
            raise InvalidRequest("give either text or file")
        data = self.text.encode() if self.text is not None else _file(self.file or "")
        session = known_session(
            self.nonce, self.audience, self.response_uri, self.jwk_thumbprint, self.session_transcript
        )
        return FileOrder(data, self.policy, self.offline, session, self.require_holder)


@router.post("", max_body_size=MAX_BODY_BYTES, openapi_extra={STORES_NOTHING: True}, response_model=shapes.CheckedFile)
async def verify(request: Request, body: VerifyBody, _key: Reader) -> Response:
    """Check a credential or presentation without a session, and return the numbered checks.

    `state` is `verified`, `not_verified` (nothing speaks against it, but its status is unknown) or `refused`.
    `holder_binding` is `proven` only where you name the session it was shown in, which must have been fresh and your
    own. Nothing is stored, so an `Idempotency-Key` changes nothing: a repeat is checked anew, at its own time.
    """
    return protocol_json(result_json(await check_file(checks_of(request), body.order())))


def _file(text: str) -> bytes:
    try:
        return binascii.a2b_base64("".join(text.split()), strict_mode=True)
    except ValueError as exc:
        raise MalformedError("file is not base64") from exc
