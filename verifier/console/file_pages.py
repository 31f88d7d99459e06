"""Pages where staff check a file, a text or a picture of a QR code. What is uploaded is shown once and kept nowhere."""

from typing import Annotated

from fastapi import Depends, File, Form, UploadFile
from starlette.requests import Request
from starlette.responses import Response

from verifier.checks.assembly import checks_of
from verifier.checks.use_cases import FileOrder, check_file, known_session
from verifier.console.desk import Desk, staff
from wallet_core.adapters.qr import MAX_IMAGE_BYTES
from wallet_core.adapters.web import html, page_router
from wallet_core.errors import InvalidRequest, MalformedError
from wallet_core.protocols.openid4vp.standalone import MAX_BYTES

router = page_router()

Staff = Annotated[Desk, Depends(staff)]
MAX_FORM_BYTES = MAX_IMAGE_BYTES + MAX_BYTES + 64 * 1024
"""Bytes of the form: the largest picture and the longest text, with room for the other fields."""


@router.get("/console/file")
async def file_page(request: Request, desk: Staff) -> Response:
    """Ask for a file, a text or a picture."""
    return _ask(request, desk)


@router.post("/console/file", max_body_size=MAX_FORM_BYTES)
async def file_form(
    request: Request,
    desk: Staff,
    text: Annotated[str, Form(max_length=MAX_BYTES)] = "",
    file: Annotated[UploadFile | None, File()] = None,
    policy: Annotated[str, Form(max_length=64)] = "",
    network: Annotated[str, Form(max_length=16)] = "online",
    nonce: Annotated[str, Form(max_length=512)] = "",
    audience: Annotated[str, Form(max_length=2048)] = "",
    response_uri: Annotated[str, Form(max_length=2048)] = "",
    jwk_thumbprint: Annotated[str, Form(max_length=64)] = "",
) -> Response:
    """Check it and show the result in the answer to the form: there is no address to come back to."""
    uploaded = b"" if file is None else await file.read(MAX_IMAGE_BYTES + 1)
    if bool(text.strip()) == bool(uploaded):
        return _ask(request, desk, error="nothing", text=text)
    try:
        session = known_session(nonce.strip(), audience.strip(), response_uri.strip(), jwk_thumbprint.strip(), "")
        order = FileOrder(uploaded or text.encode(), policy or None, network == "offline", session)
        result = await check_file(checks_of(request), order)
    except InvalidRequest:
        return _ask(request, desk, error="session_bad", text=text)
    except MalformedError:
        return _ask(request, desk, error="unreadable", text=text)
    return html(request, "console/file_result.html", party=desk.party, check=desk.shown_file(result))


def _ask(request: Request, desk: Desk, *, error: str = "", text: str = "") -> Response:
    status = 400 if error else 200
    policies = desk.policies
    return html(
        request, "console/file.html", status=status, party=desk.party, policies=policies, error=error, text=text
    )
