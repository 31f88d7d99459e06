"""OpenID4VP over the Digital Credentials API: its requests and its answers (OpenID4VP 1.0 appendix A).

The invariant: an origin is an opaque string. Only the platform says which one it is; it is compared byte by byte and is
never parsed to be believed. A request never says where its answer goes: the platform brings it back to the origin.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

from wallet_core import spec_versions as spec
from wallet_core.encoding import base64url, strict_json
from wallet_core.errors import InvalidRequest, MalformedError, WalletError
from wallet_core.formats.mdoc.session_transcript import openid4vp_dc_api_transcript
from wallet_core.jose import jws
from wallet_core.keys.jwk import jwk_thumbprint
from wallet_core.keys.signer import CertifiedSigner
from wallet_core.protocols.oauth2.identifiers import LOOPBACK_HOSTS
from wallet_core.protocols.openid4vp.client_id import ClientIdentifier, VerifiedClient, parse_client_id
from wallet_core.protocols.openid4vp.dcql import DcqlQuery
from wallet_core.protocols.openid4vp.request import Asked, ResponseEncryption, parse_asked
from wallet_core.protocols.openid4vp.request_object import request_claims, validate_request_claims, verify_sender
from wallet_core.protocols.openid4vp.response import (
    EncryptedResponse,
    PostedResponse,
    VpToken,
    encrypt_members,
    parse_response_members,
    vp_token_members,
)
from wallet_core.protocols.openid4vp.transaction_data import TransactionData
from wallet_core.protocols.openid4vp.verifier_info import VerifierInfo
from wallet_core.protocols.openid4vp.vp_formats import OUR_FORMATS, AcceptedFormats
from wallet_core.trust.anchors import TrustAnchors
from wallet_core.trust.x509 import format_x5c
from wallet_core.types import ClientId, Json, JsonObject, Nonce, SessionTranscript

MAX_ORIGINS: Final = 16
"""Origins of one Verifier in a request: a party with a page in each language has a handful."""

MAX_ORIGIN_CHARACTERS: Final = 512
"""Characters of an origin: a scheme, a host name of at most 253 and a port; the hash of an app's key is shorter."""

MAX_SIGNATURES: Final = 8
"""Signatures of one multi-signed request: one for each trust framework of the Verifier."""

_FORBIDDEN_SCHEMES: Final = frozenset({"ftp", "javascript", "data", "ws", "wss", "file", "blob", "about", "http"})
_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]*:[\x21-\x7e]+\Z")
_WEB_ORIGIN: Final = re.compile(r"(?!https:.*:443\Z)(?!http:.*:80\Z)https?://[a-z0-9.\[\]:-]+\Z")
_PER_SENDER: Final = frozenset({"client_id", "verifier_info", "trust_chain"})
"""Parameters that stand in each protected header of a multi-signed request, and only there (A.3.2.2)."""
_OF_SIGNED: Final = frozenset({"client_id", "verifier_info", "expected_origins"})
"""Parameters that say nothing in a request that nobody signed."""


class DcApiProtocol(StrEnum):
    """The exchange protocols of presentations that browsers allow (W3C Digital Credentials)."""

    SIGNED = spec.DC_API_SIGNED
    UNSIGNED = spec.DC_API_UNSIGNED
    MULTISIGNED = spec.DC_API_MULTISIGNED
    ISO_MDOC = spec.DC_API_ISO_MDOC


@dataclass(frozen=True, slots=True)
class DcApiRequest:
    """What a Verifier asks over the Digital Credentials API (A.2).

    Attributes:
        client_id: who the Verifier says it is; None in a request that nobody signed.
        nonce: of this request.
        dcql_query: what is asked.
        encryption: how the answer is encrypted; there exactly with the response mode ``dc_api.jwt``.
        expected_origins: where the request may be made; empty in a request that nobody signed.
        transaction_data: what is to be agreed to.
        verifier_info: what others attest of the Verifier; of no use in a request that nobody signed.
        formats: what the Verifier accepts; None where it does not say.
    """

    client_id: ClientIdentifier | None
    nonce: Nonce
    dcql_query: DcqlQuery
    encryption: ResponseEncryption | None
    expected_origins: tuple[str, ...]
    transaction_data: tuple[TransactionData, ...] = ()
    verifier_info: tuple[VerifierInfo, ...] = ()
    formats: AcceptedFormats | None = OUR_FORMATS

    @property
    def response_mode(self) -> str:
        """``dc_api`` or ``dc_api.jwt``."""
        return spec.RESPONSE_MODE_DC_API_JWT if self.encryption else spec.RESPONSE_MODE_DC_API

    def session_transcript(self, origin: str) -> SessionTranscript:
        """Return what binds an mdoc's device authentication to this request, made at ``origin`` (B.2.6.2)."""
        # dcapi-B.2.6.2-handover
        return openid4vp_dc_api_transcript(
            origin=origin,
            nonce=self.nonce,
            jwk_thumbprint=None if self.encryption is None else jwk_thumbprint(self.encryption.jwk),
        )

    def to_json(self) -> JsonObject:
        """Return the request as its parameters, which :func:`parse_dc_api_members` reads."""
        asked = Asked(
            self.nonce, self.dcql_query, self.encryption, self.transaction_data, self.verifier_info, self.formats
        )
        members: JsonObject = {**asked.to_json(), "response_mode": self.response_mode}
        if self.client_id is not None:
            members |= {"client_id": self.client_id.full, "expected_origins": list(self.expected_origins)}
        return members


@dataclass(frozen=True, slots=True)
class DcApiOffer:
    """How a Verifier offers a request to the browser.

    Attributes:
        protocols: what the wallet may answer with, in the Verifier's order.
        encryption_info: ``encryptionInfo`` of the ISO protocol; None where that is not offered.
    """

    protocols: tuple[DcApiProtocol, ...]
    encryption_info: str | None

    def to_json(self) -> JsonObject:
        """Return the value for storage."""
        return {"protocols": [str(each) for each in self.protocols], "encryption_info": self.encryption_info}


@dataclass(frozen=True, slots=True)
class Sender:
    """A Client Identifier with the key that speaks for it."""

    client_id: ClientIdentifier
    key: CertifiedSigner


def origin_audience(origin: str) -> ClientId:
    """Return the audience of every presentation over the API, of signed requests too (A.4)."""
    # dcapi-A.4-audience
    return ClientId(f"{spec.ORIGIN_AUDIENCE}{origin}")


def parse_own_origin(value: str) -> str:
    """Return an origin at which a Verifier of ours may ask: as a browser serialises it, or of an app.

    Raises:
        InvalidRequest: an unsafe scheme, or not an origin: with a path or a final slash it would never be met.
    """
    _validate_scheme(value)
    # A.2: compared byte by byte, so what no browser would serialise (a path, a capital letter, 443) is never met.
    # dcapi-A.2-own-origin
    if value.startswith(("https:", "http:")) and not _WEB_ORIGIN.match(value):
        raise InvalidRequest("expected_origins holds something else than an origin", clause="OpenID4VP A.2")
    return value


def create_unsigned_data(request: DcApiRequest) -> JsonObject:
    """Return ``data`` of an unsigned request (A.3.1)."""
    # A.2: "The client_id parameter MUST be omitted in unsigned requests"; nor does what is bound to it belong there.
    # dcapi-A.2-unsigned-nameless
    return {name: value for name, value in request.to_json().items() if name not in _OF_SIGNED}


def create_signed_data(
    request: DcApiRequest, key: CertifiedSigner, *, issued_at: datetime, expires_at: datetime
) -> JsonObject:
    """Return ``data`` of a signed request in JWS Compact Serialization (A.3.2.1).

    Raises:
        ValueError: the request has no Client Identifier, or one whose requests cannot be signed.
    """
    if request.client_id is None or not request.client_id.signs:
        raise ValueError("only a Verifier with a certificate signs its requests")
    header = {"typ": spec.TYP_REQUEST_OBJECT, "x5c": format_x5c(key.chain)}
    return {"request": jws.sign(header, _claims(request, issued_at, expires_at), key.signer)}


def create_multisigned_data(
    request: DcApiRequest, senders: Sequence[Sender], *, issued_at: datetime, expires_at: datetime
) -> JsonObject:
    """Return ``data`` of a request that a Verifier signs under several Client Identifiers (A.3.2.2).

    Raises:
        ValueError: there is no sender, or one whose requests cannot be signed.
    """
    if not senders or not all(sender.client_id.signs for sender in senders):
        raise ValueError("only a Verifier with a certificate signs its requests")
    members = _claims(request, issued_at, expires_at)
    # dcapi-A.3.2.2-own-headers
    payload = strict_json.dumps({name: value for name, value in members.items() if name not in _PER_SENDER})
    attested: JsonObject = {"verifier_info": members["verifier_info"]} if "verifier_info" in members else {}
    signatures: list[Json] = [_signature(sender, payload, attested) for sender in senders]
    return {"request": {"payload": base64url.encode(payload), "signatures": signatures}}


def verify_dc_api_request(
    protocol: str,
    data: Json,
    *,
    origin: str,
    anchors: TrustAnchors,
    now: datetime,
    audiences: Collection[str] = (spec.SELF_ISSUED_AUDIENCE,),
) -> tuple[DcApiRequest, VerifiedClient | None]:
    """Return the request in ``data``, and the certificate of the Verifier that signed it, if somebody did.

    Args:
        protocol: the exchange protocol that the platform names.
        data: what the page passed to the API.
        origin: of the page or app, as the platform names it.
        anchors: who is trusted to certify Verifiers.
        now: the time.
        audiences: what ``aud`` may name.

    Steps:
        1. The platform names an origin, and the protocol is one of OpenID4VP 1.0 (A.1, A.2).
        2. A signed request is a Request Object whose signature verifies under its ``client_id``; of a multi-signed one
           at least one signature does (A.3.2).
        3. ``aud``, ``exp``, ``nbf`` and ``iat``, if there, admit this wallet now (5.8).
        4. The origin is one of ``expected_origins``, which only a signed request has (A.2).
        5. The parameters keep the rules of section 5. Unknown ones are ignored, ``state`` among them (A.2).

    Raises:
        WalletError: a step failed. Nothing of it may reach the page before the person acted (15.9.2).
    """
    # 1.
    # dcapi-A.2-no-origin
    if not origin:
        raise InvalidRequest("the platform named no origin", clause="OpenID4VP A.2")
    if not isinstance(data, dict):
        raise InvalidRequest("data is not a JSON object", clause="OpenID4VP A.2")
    match protocol:
        case DcApiProtocol.UNSIGNED:
            # A.2: in an unsigned request "the Wallet MUST ignore any client_id parameter", and expected_origins.
            # dcapi-A.2-ignored
            named = {name: value for name, value in data.items() if name not in _OF_SIGNED}
            return parse_dc_api_members(named), None
        case DcApiProtocol.SIGNED:
            claims, client = _verify_compact(data, anchors, now)
        case DcApiProtocol.MULTISIGNED:
            claims, client = _verify_general(data, anchors, now)
        case _:
            # dcapi-A.1-protocol
            raise InvalidRequest("this exchange protocol is not supported here", clause="OpenID4VP A.1")
    # 3.
    validate_request_claims(claims, now=now, audiences=audiences)
    # 4. and 5.
    request = parse_dc_api_members(claims)
    # "simple string comparison, without any prior processing or interpretation".
    # dcapi-A.2-expected-origins
    if origin not in request.expected_origins:
        raise InvalidRequest("the request is for another origin", clause="OpenID4VP A.2")
    return request, client


def parse_dc_api_members(members: Mapping[str, Json]) -> DcApiRequest:
    """Return the request that these parameters make; without ``client_id`` it is an unsigned one.

    Raises:
        InvalidRequest: a rule of section 5 or of appendix A is broken.
        InvalidTransactionData: ``transaction_data`` breaks a rule of the protocol.
        VpFormatsNotSupported: the Verifier accepts none of our formats.
    """
    asked = parse_asked(members, plain=spec.RESPONSE_MODE_DC_API, encrypted=spec.RESPONSE_MODE_DC_API_JWT)
    unsigned = members.get("client_id") is None
    return DcApiRequest(
        client_id=None if unsigned else parse_client_id(members["client_id"]),
        nonce=asked.nonce,
        dcql_query=asked.dcql_query,
        encryption=asked.encryption,
        expected_origins=() if unsigned else _parse_expected_origins(members.get("expected_origins")),
        transaction_data=asked.transaction_data,
        verifier_info=asked.verifier_info,
        formats=asked.formats,
    )


def create_dc_api_response(request: DcApiRequest, vp_token: VpToken) -> JsonObject:
    """Return ``data`` of an answer (A.4): the VP Token, or all of it encrypted.

    Raises:
        AnswerTooLarge: it is to be encrypted, and too long for that.
        MalformedError: the Verifier's key cannot be encrypted to.
    """
    members = vp_token_members(vp_token)
    # dcapi-A.2-encrypted
    if request.encryption is not None:
        return {"response": encrypt_members(members, request.encryption)}
    return members


def parse_dc_api_response(data: Json) -> PostedResponse:
    """Return the answer in ``data``. Nothing in it is verified.

    Raises:
        MalformedError: not a JSON object, or a member has the wrong shape.
        InvalidRequest: neither an answer nor an error.
    """
    if not isinstance(data, dict):
        raise MalformedError("data is not a JSON object", clause="OpenID4VP A.4")
    response = data.get("response")
    if response is None:
        # A.2: state is not defined here, so whatever bears its name is ignored.
        return parse_response_members({name: value for name, value in data.items() if name != "state"})
    if not isinstance(response, str):
        raise MalformedError("response is not text", clause="OpenID4VP A.4")
    return EncryptedResponse(response)


def _claims(request: DcApiRequest, issued_at: datetime, expires_at: datetime) -> JsonObject:
    return {
        **request.to_json(),
        "aud": spec.SELF_ISSUED_AUDIENCE,
        "iat": int(issued_at.timestamp()),
        "exp": int(expires_at.timestamp()),
    }


def _signature(sender: Sender, payload: bytes, attested: JsonObject) -> JsonObject:
    header = jws.encode_header(
        {
            "alg": sender.key.signer.public_key.algorithm.value,
            "typ": spec.TYP_REQUEST_OBJECT,
            "x5c": format_x5c(sender.key.chain),
            "client_id": sender.client_id.full,
            **attested,
        }
    )
    signature = sender.key.signer.sign(jws.signing_input_for(header, payload))
    return {"protected": header, "signature": base64url.encode(signature)}


_Verified = tuple[JsonObject, VerifiedClient]


def _verify_compact(data: JsonObject, anchors: TrustAnchors, now: datetime) -> _Verified:
    token = data.get("request")
    # dcapi-A.3.2.1-compact
    if not isinstance(token, str):
        raise InvalidRequest("request is not a compact JWS", clause="OpenID4VP A.3.2.1")
    unverified = jws.parse(token, what="Request Object")
    # A.2: "The client_id parameter MUST be present in signed requests".
    # dcapi-A.2-signed-named
    claims = request_claims(unverified)
    client_id = parse_client_id(claims.get("client_id"))
    return claims, verify_sender(unverified, client_id, anchors=anchors, now=now)


def _verify_general(data: JsonObject, anchors: TrustAnchors, now: datetime) -> _Verified:
    # A.3.2.2 does not say whether data is the serialization or has it as request: both are read (decision 0113).
    # dcapi-A.3.2.2-bare
    request = data.get("request", data)
    signatures = request.get("signatures") if isinstance(request, dict) else None
    # dcapi-A.3.2.2-general
    if not isinstance(request, dict) or not isinstance(signatures, list) or not 0 < len(signatures) <= MAX_SIGNATURES:
        raise InvalidRequest("request is not a JWS with signatures", clause="OpenID4VP A.3.2.2")
    first: WalletError | None = None
    # The wallet need not know every trust framework of the Verifier: one signature that it trusts is enough.
    for entry in signatures:
        try:
            return _verify_one(request.get("payload"), entry, anchors, now)
        except WalletError as exc:
            first = first or exc
    # dcapi-A.3.2.2-one-trusted
    raise first or InvalidRequest("request has no signature", clause="OpenID4VP A.3.2.2")


def _verify_one(payload: Json, entry: Json, anchors: TrustAnchors, now: datetime) -> _Verified:
    parts = [payload, *(entry.get(name) for name in ("protected", "signature"))] if isinstance(entry, dict) else []
    texts = [part for part in parts if isinstance(part, str)]
    if len(texts) != 3:
        raise MalformedError("a signature of the request is not one", clause="RFC 7515 7.2.1")
    body, protected, signature = texts
    # An unprotected header is not looked at: nobody vouches for it.
    unverified = jws.parse(f"{protected}.{body}.{signature}", what="Request Object")
    # "MUST be present only in the protected header of the respective signature object".
    # dcapi-A.3.2.2-header-only
    claims, header = request_claims(unverified), unverified.header
    if not _PER_SENDER.isdisjoint(claims):
        raise InvalidRequest("the payload names a sender", clause="OpenID4VP A.3.2.2")
    client_id = parse_client_id(header.get("client_id"))
    # dcapi-A.3.2.2-verifier-info
    own: JsonObject = {name: header[name] for name in ("client_id", "verifier_info") if name in header}
    return {**claims, **own}, verify_sender(unverified, client_id, anchors=anchors, now=now)


def _parse_expected_origins(value: Json) -> tuple[str, ...]:
    # A.2: "REQUIRED when signed requests […] are used […]. A non-empty array of strings".
    # dcapi-A.2-expected-origins-there
    if not isinstance(value, list) or not 0 < len(value) <= MAX_ORIGINS:
        raise InvalidRequest("expected_origins is not an array of origins", clause="OpenID4VP A.2")
    origins = tuple(each for each in value if isinstance(each, str))
    if len(origins) != len(value):
        raise InvalidRequest("expected_origins holds something else than text", clause="OpenID4VP A.2")
    for origin in origins:
        _validate_scheme(origin)
    return origins


def _validate_scheme(origin: str) -> None:
    """Check what may stand in ``expected_origins``; the comparison with the platform's origin is another matter."""
    parts = _split(origin)
    loopback = parts is not None and parts[0] == "http" and _host(parts[1]) in LOOPBACK_HOSTS
    # A.2: unsafe schemes "MUST NOT be used"; http only "for constrained scenarios such as local development".
    # dcapi-A.2-unsafe-scheme
    if parts is None or (parts[0] in _FORBIDDEN_SCHEMES and not loopback):
        raise InvalidRequest("expected_origins holds an origin with an unsafe scheme", clause="OpenID4VP A.2")


def _split(origin: str) -> tuple[str, str] | None:
    if len(origin) > MAX_ORIGIN_CHARACTERS or not _SCHEME.match(origin.lower()):
        return None
    scheme, _, rest = origin.partition(":")
    return scheme.lower(), rest.removeprefix("//")


def _host(rest: str) -> str:
    try:
        return urlsplit(f"//{rest}").hostname or ""
    except ValueError:
        return ""
