"""Authorization Responses: posted by the Wallet, read by the Verifier (OpenID4VP 1.0 section 8).

The invariant: with ``direct_post.jwt`` no presentation leaves the Wallet, or is taken by the Verifier, in clear.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias
from urllib.parse import urlsplit

from wallet_core.encoding import strict_json
from wallet_core.errors import AnswerTooLarge, InvalidRequest, MalformedError, peer_text
from wallet_core.http import HttpResponse
from wallet_core.jose import jwe
from wallet_core.protocols.oauth2.answers import parse_answer
from wallet_core.protocols.oauth2.form import parse_form
from wallet_core.protocols.openid4vp.request import AuthorizationRequest, ResponseEncryption
from wallet_core.types import Json, JsonObject, QueryId
from wallet_core.values import statically_frozen

MAX_RESPONSE_BYTES: Final = jwe.MAX_TOKEN_BYTES + 4096
"""Bytes of a posted answer."""

MAX_PRESENTATIONS: Final = 64
"""Presentations for one Credential Query."""

_MAX_ERROR_CHARACTERS = 300

VpToken: TypeAlias = Mapping[QueryId, Sequence[str]]
"""Presentations by Credential Query (8.1). Only formats whose presentations are text."""


@statically_frozen
class PresentationResponse:
    """An answer with a VP Token. Nothing in it is verified."""

    vp_token: VpToken
    state: str | None


@dataclass(frozen=True, slots=True)
class ErrorResponse:
    """An answer that says no (8.5)."""

    error: str
    state: str | None


@dataclass(frozen=True, slots=True)
class EncryptedResponse:
    """An answer that must be decrypted first: its members, ``state`` too, are inside (8.3)."""

    token: str


Response: TypeAlias = PresentationResponse | ErrorResponse
PostedResponse: TypeAlias = PresentationResponse | ErrorResponse | EncryptedResponse


def create_response(request: AuthorizationRequest, vp_token: VpToken) -> dict[str, str]:
    """Return the form fields that answer ``request`` (8.2, 8.3.1).

    Raises:
        AnswerTooLarge: as :func:`validate_size`.
        MalformedError: the Verifier's key cannot be encrypted to.
    """
    return _fields(request, vp_token_members(vp_token))


def validate_size(request: AuthorizationRequest, vp_token: VpToken) -> None:
    """Check that an answer is no larger than what can be encrypted, before a copy of a card is used for it.

    Raises:
        AnswerTooLarge: it is.
    """
    if request.encryption is not None:
        _plaintext(_with_state(request, vp_token_members(vp_token)))


def vp_token_members(vp_token: VpToken) -> JsonObject:
    """Return the parameters of an answer with a VP Token (8.1)."""
    return {"vp_token": {str(query_id): list(texts) for query_id, texts in vp_token.items()}}


def encrypt_members(members: JsonObject, encryption: ResponseEncryption) -> str:
    """Return the encrypted answer with these parameters inside (8.3).

    Raises:
        AnswerTooLarge: they are longer than what is encrypted here.
        MalformedError: the Verifier's key cannot be encrypted to.
    """
    return jwe.encrypt(_plaintext(members), encryption.jwk, enc=encryption.enc)


def create_error_response(request: AuthorizationRequest, error: str) -> dict[str, str]:
    """Return the form fields that refuse ``request`` (8.5), encrypted like an answer would be.

    Only the error code is said: 15.9 warns that more could tell about the person.
    """
    return _fields(request, {"error": error})


def parse_posted_response(media_type: str, body: bytes) -> PostedResponse:
    """Return what a wallet posted to a ``response_uri``. Unknown parameters are ignored (8.1).

    Raises:
        InvalidRequest: not a form, too large, or neither an answer nor an error.
        MalformedError: ``vp_token`` is not a JSON object of arrays of text.
    """
    # 8.2: "encoded in the request body using […] application/x-www-form-urlencoded", in UTF-8.
    parameters = parse_form(media_type, body, max_bytes=MAX_RESPONSE_BYTES)
    if "response" in parameters:
        return EncryptedResponse(parameters["response"])
    members: JsonObject = dict(parameters)
    if "vp_token" in parameters:
        members["vp_token"] = strict_json.loads(parameters["vp_token"], what="vp_token")
    return parse_response_members(members)


def parse_response_members(members: Mapping[str, Json]) -> Response:
    """Return the answer that decoded parameters make, wherever they stood. Unknown ones are ignored (8.1).

    Raises:
        MalformedError: a parameter has the wrong shape.
        InvalidRequest: neither an answer nor an error, or both.
    """
    state, error = members.get("state"), members.get("error")
    if state is not None and not isinstance(state, str):
        raise MalformedError("state is not text", clause="OpenID4VP 8.2")
    if error is not None:
        # vp-8.1-not-both
        if "vp_token" in members:
            raise InvalidRequest("there is a vp_token and an error", clause="OpenID4VP 8.1")
        if not isinstance(error, str):
            raise MalformedError("error is not text", clause="OpenID4VP 8.5")
        return ErrorResponse(peer_text(error[:_MAX_ERROR_CHARACTERS]), state)
    # vp-8.1-neither
    if "vp_token" not in members:
        raise InvalidRequest("there is neither a vp_token nor an error", clause="OpenID4VP 8.1")
    return PresentationResponse(_parse_vp_token(members["vp_token"]), state)


def decrypt_response(response: EncryptedResponse, keys: Mapping[str, jwe.DecryptionKey]) -> Response:
    """Return the answer inside an encrypted one (8.3).

    Raises:
        MalformedError: it does not parse, before or after decryption.
        VerificationError: it is not encrypted to one of ``keys`` in a way that was offered.
        InvalidRequest: neither an answer nor an error.
    """
    plaintext = jwe.decrypt(response.token, keys)
    # 8.3: the payload has "the contents of the response […] as top-level JSON members".
    # vp-8.3-top-level
    return parse_response_members(strict_json.loads_object(plaintext, what="encrypted response"))


def parse_response_answer(response: HttpResponse) -> str | None:
    """Return the ``redirect_uri`` of the Verifier's answer to a posted response, if it has one (8.2).

    Raises:
        PeerRefusal: the status is not 2xx; redirects count as errors (8.2: SHOULD NOT be followed).
        MalformedError: the answer is not a JSON object, or ``redirect_uri`` is not an absolute URI that may be opened.
    """
    # vp-14-no-redirects
    members = parse_answer(response, who="the verifier")
    redirect_uri = members.get("redirect_uri")
    if redirect_uri is None:
        return None
    return _absolute_uri(redirect_uri)


def _plaintext(members: JsonObject) -> bytes:
    plaintext = strict_json.dumps(members)
    if len(plaintext) > jwe.MAX_PLAINTEXT_BYTES:
        raise AnswerTooLarge(f"the answer is longer than {jwe.MAX_PLAINTEXT_BYTES} bytes", clause="OpenID4VP 8.3")
    return plaintext


def _with_state(request: AuthorizationRequest, members: JsonObject) -> JsonObject:
    # 8.2, RFC 6749 4.1.2: state comes back exactly as it was received.
    # vp-8.2-state-back
    if request.state is not None:
        return {**members, "state": request.state}
    return members


def _fields(request: AuthorizationRequest, members: JsonObject) -> dict[str, str]:
    members = _with_state(request, members)
    # vp-8.3.1-response-only
    if request.encryption is None:
        return {
            name: value if isinstance(value, str) else strict_json.dumps_text(value) for name, value in members.items()
        }
    # 8.3.1: nothing is posted but the encrypted text, and everything is inside it.
    return {"response": encrypt_members(members, request.encryption)}


def _parse_vp_token(value: Json) -> VpToken:
    # 8.1: an object whose keys are ids of Credential Queries and whose values are arrays of one or more Presentations.
    # vp-8.1-object
    if not isinstance(value, dict) or not value:
        raise MalformedError("vp_token is not a JSON object with presentations", clause="OpenID4VP 8.1")
    return {QueryId(query_id): _parse_presentations(entry) for query_id, entry in value.items()}


def _parse_presentations(value: Json) -> tuple[str, ...]:
    # vp-8.1-array
    if not isinstance(value, list) or not 0 < len(value) <= MAX_PRESENTATIONS:
        raise MalformedError("an entry of vp_token is not an array of presentations", clause="OpenID4VP 8.1")
    texts = tuple([text for text in value if isinstance(text, str)])
    if len(texts) != len(value):
        raise MalformedError("a presentation is not text", clause="OpenID4VP B.3")
    return texts


def _absolute_uri(value: Json) -> str:
    if (
        not isinstance(value, str)
        or len(value) > 4096
        or not value.isascii()
        or not value.isprintable()
        or " " in value
    ):
        raise MalformedError("redirect_uri is not an absolute URI", clause="OpenID4VP 8.2")
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError as exc:
        raise MalformedError("redirect_uri is not an absolute URI", clause="OpenID4VP 8.2") from exc
    # M26: https, or http for one machine's own demo; a script: or data: URI would run in our own page.
    # vp-8.2-follow
    if parts.scheme != "https" and not (parts.scheme == "http" and host in {"localhost", "127.0.0.1", "::1"}):
        raise MalformedError("redirect_uri is not https", clause="OpenID4VP 8.2")
    if not host or "@" in parts.netloc:
        raise MalformedError("redirect_uri has no host, or has user information", clause="OpenID4VP 8.2")
    return value
