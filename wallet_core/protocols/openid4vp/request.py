"""Authorization Requests: their parameters and the links that carry them (OpenID4VP 1.0 section 5).

The invariant: an :class:`AuthorizationRequest` keeps every rule about its parameters; who sent it is another question,
answered by ``request_object``.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias
from urllib.parse import parse_qsl, urlencode

from wallet_core import spec_versions as spec
from wallet_core.encoding import strict_json
from wallet_core.errors import (
    InvalidRequest,
    InvalidRequestUriMethod,
    InvalidTransactionData,
    MalformedError,
    VpFormatsNotSupported,
    WalletError,
)
from wallet_core.jose import jwe
from wallet_core.protocols.oauth2.identifiers import parse_url
from wallet_core.protocols.openid4vp.client_id import (
    ClientIdentifier,
    parse_client_id,
    validate_response_uri,
)
from wallet_core.protocols.openid4vp.dcql import DcqlQuery, parse_dcql_query
from wallet_core.protocols.openid4vp.transaction_data import TransactionData, parse_transaction_data
from wallet_core.protocols.openid4vp.verifier_info import VerifierInfo, parse_verifier_info
from wallet_core.protocols.openid4vp.vp_formats import OUR_FORMATS, AcceptedFormats, parse_vp_formats
from wallet_core.types import Json, JsonObject, Nonce
from wallet_core.values import statically_frozen

RequestUriMethod: TypeAlias = Literal["get", "post"]

MAX_REQUEST_CHARACTERS: Final = 64 * 1024
"""Longest Authorization Request by value; one by reference is about 300 characters."""

# 5.2: nonce and state "MUST only contain ASCII URL safe characters".
_URL_SAFE = re.compile(r"[A-Za-z0-9._~-]+\Z")
_MAX_URL_SAFE = 4096


@dataclass(frozen=True, slots=True)
class ResponseEncryption:
    """How a Verifier wants its answer encrypted (8.3): a public JWK, and the ``enc`` values that both sides know."""

    jwk: JsonObject
    enc_values: tuple[str, ...]

    @property
    def enc(self) -> str:
        """The ``enc`` to use: HAIP 5 prefers A256GCM."""
        # haip-5-prefers-a256gcm
        return max(self.enc_values, key=jwe.ENC_VALUES.index)


@statically_frozen
class Asked:
    """What a request asks for, however it travels: the members that requests of every kind share.

    ``formats`` is what the Verifier accepts; None where it does not say.
    """

    nonce: Nonce
    dcql_query: DcqlQuery
    encryption: ResponseEncryption | None
    transaction_data: tuple[TransactionData, ...] = ()
    verifier_info: tuple[VerifierInfo, ...] = ()
    formats: AcceptedFormats | None = OUR_FORMATS

    def to_json(self) -> JsonObject:
        """Return the members (5.1, 5.2) but for ``response_mode``; :func:`parse_asked` reads them."""
        metadata: JsonObject = {} if self.formats is None else {"vp_formats_supported": self.formats.to_json()}
        if self.encryption is not None:
            metadata["jwks"] = {"keys": [self.encryption.jwk]}
            # 5.1: MUST be present for anything but the default.
            # vp-5.1-enc-values
            metadata["encrypted_response_enc_values_supported"] = list(self.encryption.enc_values)
        members: JsonObject = {
            "response_type": spec.RESPONSE_TYPE_VP_TOKEN,
            "nonce": self.nonce,
            "dcql_query": self.dcql_query.source,
            "client_metadata": metadata,
        }
        if self.transaction_data:
            members["transaction_data"] = [entry.text for entry in self.transaction_data]
        if self.verifier_info:
            members["verifier_info"] = [info.to_json() for info in self.verifier_info]
        return members


@statically_frozen
class AuthorizationRequest:
    """What a Verifier asks for (5).

    ``encryption`` is there exactly with the response mode ``direct_post.jwt``; ``formats`` as in :class:`Asked`.
    """

    client_id: ClientIdentifier
    response_uri: str
    nonce: Nonce
    dcql_query: DcqlQuery
    state: str | None
    encryption: ResponseEncryption | None
    transaction_data: tuple[TransactionData, ...] = ()
    verifier_info: tuple[VerifierInfo, ...] = ()
    formats: AcceptedFormats | None = OUR_FORMATS

    @property
    def response_mode(self) -> str:
        """``direct_post`` or ``direct_post.jwt``."""
        return spec.RESPONSE_MODE_DIRECT_POST_JWT if self.encryption else spec.RESPONSE_MODE_DIRECT_POST

    def to_json(self) -> JsonObject:
        """Return the request as its parameters (5.1, 5.2), which :func:`parse_request_members` reads."""
        asked = Asked(
            self.nonce, self.dcql_query, self.encryption, self.transaction_data, self.verifier_info, self.formats
        )
        members: JsonObject = {
            **asked.to_json(),
            "client_id": self.client_id.full,
            "response_mode": self.response_mode,
            "response_uri": self.response_uri,
        }
        return members if self.state is None else {**members, "state": self.state}


@dataclass(frozen=True, slots=True)
class RequestReference:
    """An Authorization Request by reference (5.10, RFC 9101 5.2)."""

    client_id: ClientIdentifier
    request_uri: str
    method: RequestUriMethod


@dataclass(frozen=True, slots=True)
class RequestObject:
    """An Authorization Request whose signed Request Object came along (RFC 9101 5.1). Nothing is verified yet."""

    client_id: ClientIdentifier
    token: str


@dataclass(frozen=True, slots=True)
class UnsignedRequest:
    """An Authorization Request in URL parameters, as only ``redirect_uri:`` allows. Nobody vouches for the sender."""

    request: AuthorizationRequest


ParsedRequest: TypeAlias = RequestReference | RequestObject | UnsignedRequest


def create_request_uri_link(
    endpoint: str, client_id: ClientIdentifier, request_uri: str, *, method: RequestUriMethod = "get"
) -> str:
    """Return the link that starts a presentation by reference, for a QR code or a button.

    M24: only ``client_id``, ``request_uri`` and, for POST, ``request_uri_method`` stand outside the Request Object.
    """
    parameters = {"client_id": client_id.full, "request_uri": request_uri}
    if method == "post":
        parameters["request_uri_method"] = method
    return _link(endpoint, parameters)


def create_unsigned_link(endpoint: str, request: AuthorizationRequest) -> str:
    """Return the link that holds a whole unsigned request (5.9.3, ``redirect_uri:``).

    Raises:
        ValueError: the Client Identifier is one whose requests must be signed.
    """
    if request.client_id.signs:
        raise ValueError("a request under this prefix is signed")
    # 5.1: "parameters containing objects are transferred as JSON-serialized strings".
    members = request.to_json()
    texts = {
        name: value if isinstance(value, str) else strict_json.dumps_text(value) for name, value in members.items()
    }
    return _link(endpoint, texts)


def parse_authorization_request(request: str | Mapping[str, str]) -> ParsedRequest:
    """Return what a link, a QR code or the parameters of an authorization endpoint ask for.

    The scheme does not matter (others reach a web wallet in many ways); the query does.

    Raises:
        InvalidRequest: not an Authorization Request, or a rule of section 5 is broken.
        InvalidRequestUriMethod: ``request_uri_method`` is neither ``get`` nor ``post``.
        InvalidTransactionData: a rule about ``transaction_data`` is broken.
    """
    parameters = _query_parameters(request) if isinstance(request, str) else dict(request)
    client_id = parse_client_id(parameters.get("client_id"))
    if "request_uri" in parameters:
        return _parse_reference(client_id, parameters)
    # 5.1: "request_uri_method parameter MUST NOT be present if a request_uri parameter is not present."
    # vp-5.1-method-alone
    if "request_uri_method" in parameters:
        raise InvalidRequest("request_uri_method is there without request_uri", clause="OpenID4VP 5.1")
    if "request" in parameters:
        return RequestObject(client_id, parameters["request"])
    # 5.9.3: the certificate prefixes demand a signature.
    # vp-5.9.3-must-sign
    if client_id.signs:
        raise InvalidRequest("a request under this client_id must be signed", clause="OpenID4VP 5.9.3")
    return UnsignedRequest(parse_request_members(_decoded(parameters)))


def parse_request_members(members: Mapping[str, Json]) -> AuthorizationRequest:
    """Return the request that these parameters make, wherever they stood. Unknown ones are ignored (5).

    Raises:
        InvalidRequest: a rule of sections 5 or 8 is broken.
        InvalidTransactionData: a rule about ``transaction_data`` is broken; its types are not looked at.
        VpFormatsNotSupported: the Verifier accepts none of our formats.
    """
    client_id = parse_client_id(members.get("client_id"))
    response_uri = _parse_response_uri(client_id, members)
    asked = parse_asked(members, plain=spec.RESPONSE_MODE_DIRECT_POST, encrypted=spec.RESPONSE_MODE_DIRECT_POST_JWT)
    state = _url_safe(members["state"], "state") if "state" in members else None
    # 5.3: without a proof of holder binding, state is what ties the answer to the request.
    # vp-5.3-state
    if state is None and not all(credential.holder_binding for credential in asked.dcql_query.credentials):
        raise InvalidRequest("state is missing, though no holder binding is asked for", clause="OpenID4VP 5.3")
    return AuthorizationRequest(
        client_id,
        response_uri,
        asked.nonce,
        asked.dcql_query,
        state,
        asked.encryption,
        asked.transaction_data,
        asked.verifier_info,
        asked.formats,
    )


def parse_asked(members: Mapping[str, Json], *, plain: str, encrypted: str) -> Asked:
    """Return what parameters ask for, whichever way they travelled.

    Args:
        members: the parameters.
        plain: the response mode of this way for an answer in clear.
        encrypted: the one for an encrypted answer.

    Raises:
        InvalidRequest: a rule of section 5 or 8 is broken.
        InvalidTransactionData: ``transaction_data`` breaks a rule of the protocol.
        VpFormatsNotSupported: the Verifier accepts none of our formats.
    """
    # vp-5.2-response-type
    if members.get("response_type") != spec.RESPONSE_TYPE_VP_TOKEN:
        raise InvalidRequest("response_type is not vp_token", clause="OpenID4VP 5.2")
    # 5.2: response_mode is REQUIRED; fragment is not offered.
    mode = members.get("response_mode")
    # vp-5.2-response-mode
    if mode not in (plain, encrypted):
        raise InvalidRequest(f"response_mode is neither {plain} nor {encrypted}", clause="OpenID4VP 5.2")
    query = _parse_query(members)
    nonce = Nonce(_url_safe(members.get("nonce"), "nonce"))
    metadata, formats = _parse_metadata(members)
    encryption = _parse_encryption(metadata) if mode == encrypted else None
    given = parse_verifier_info(members["verifier_info"], query) if "verifier_info" in members else ()
    return Asked(nonce, query, encryption, _parse_transactions(members, query), given, formats)


def _parse_reference(client_id: ClientIdentifier, parameters: Mapping[str, str]) -> RequestReference:
    # RFC 9101 5: request and request_uri "MUST NOT be used together".
    # jose-9101.5-one
    if "request" in parameters:
        raise InvalidRequest("request and request_uri are both there", clause="RFC 9101 5")
    # 5.9.3: what lies at a request_uri is signed (5.10.1), which redirect_uri requests cannot be.
    # vp-5.9.3-redirect-reference
    if not client_id.signs:
        raise InvalidRequest("a request under redirect_uri cannot be signed", clause="OpenID4VP 5.9.3")
    method = parameters.get("request_uri_method", "get")
    # vp-5.1-method
    if method not in {"get", "post"}:
        raise InvalidRequestUriMethod("request_uri_method is neither get nor post", clause="OpenID4VP 5.1")
    uri = _url(parameters["request_uri"], "request_uri")
    return RequestReference(client_id, uri, "post" if method == "post" else "get")


def _parse_response_uri(client_id: ClientIdentifier, members: Mapping[str, Json]) -> str:
    # 8.2: with direct_post, redirect_uri MUST NOT be present; "the Wallet MUST return an invalid_request".
    # vp-8.2-redirect-uri
    if "redirect_uri" in members:
        raise InvalidRequest("redirect_uri is there although the answer is posted", clause="OpenID4VP 8.2")
    # 5.9.3: under redirect_uri the identifier is the Response URI, and the parameter may be left out.
    default = None if client_id.signs else client_id.rest
    # 8.2: response_uri is "REQUIRED when the Response Mode direct_post is used".
    uri = _url(members.get("response_uri", default), "response_uri")
    try:
        # vp-8.2-response-uri
        validate_response_uri(client_id, uri)
    except MalformedError as exc:
        raise InvalidRequest(exc.description, clause=exc.clause) from exc
    return uri


def _parse_query(members: Mapping[str, Json]) -> DcqlQuery:
    # 5.1: "Either a dcql_query or a scope parameter […] MUST be present […], but not both." No scope is defined here.
    # vp-5.1-query
    if "dcql_query" not in members or "scope" in members:
        raise InvalidRequest("there must be a dcql_query, and no scope", clause="OpenID4VP 5.1")
    return parse_dcql_query(members["dcql_query"])


def _parse_transactions(members: Mapping[str, Json], query: DcqlQuery) -> tuple[TransactionData, ...]:
    return parse_transaction_data(members["transaction_data"], query) if "transaction_data" in members else ()


def _parse_metadata(members: Mapping[str, Json]) -> tuple[JsonObject, AcceptedFormats | None]:
    metadata = members.get("client_metadata", {})
    if not isinstance(metadata, dict):
        raise InvalidRequest("client_metadata is not a JSON object", clause="OpenID4VP 5.1")
    formats = parse_vp_formats(metadata.get("vp_formats_supported"))
    # 5.1: REQUIRED when not available otherwise. Some verifiers leave it out; the query names the format anyway.
    # vp-5.1-formats
    if formats is not None and not formats.by_format:
        raise VpFormatsNotSupported("no format of the verifier is supported here", clause="OpenID4VP 8.5")
    return metadata, formats


def _parse_encryption(metadata: JsonObject) -> ResponseEncryption:
    jwks = metadata.get("jwks")
    keys = jwks.get("keys") if isinstance(jwks, dict) else None
    # 8.3: keys of other kinds or uses are passed over; the Verifier lists what it likes best first.
    # vp-8.3-usable-key
    usable = [key for key in keys if isinstance(key, dict) and jwe.is_usable(key)] if isinstance(keys, list) else []
    # vp-8.3-default-enc
    offered = metadata.get("encrypted_response_enc_values_supported", [spec.DEFAULT_ENC])
    known = tuple(enc for enc in jwe.ENC_VALUES if isinstance(offered, list) and enc in offered)
    # vp-8.3-no-key
    if not usable or not known:
        raise InvalidRequest("no key and encryption of the verifier can be used here", clause="OpenID4VP 8.3")
    return ResponseEncryption(usable[0], known)


def _query_parameters(text: str) -> dict[str, str]:
    query = text.strip().partition("?")[2].partition("#")[0]
    if len(text) > MAX_REQUEST_CHARACTERS or not query:
        raise InvalidRequest("this is not an authorization request")
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=64)
    except ValueError as exc:
        raise InvalidRequest("the authorization request cannot be read", clause="RFC 6749 B") from exc
    parameters = dict(pairs)
    # RFC 6749 3.1: "Request and response parameters MUST NOT be included more than once."
    # oauth-6749.3.1-once
    if len(parameters) != len(pairs):
        raise InvalidRequest("a parameter is there twice", clause="RFC 6749 3.1")
    return parameters


def _decoded(parameters: Mapping[str, str]) -> JsonObject:
    members: JsonObject = dict(parameters)
    for name in ("dcql_query", "client_metadata", "transaction_data", "verifier_info"):
        if name in parameters:
            try:
                # vp-5.1-serialised
                members[name] = strict_json.loads(parameters[name], what=name)
            except WalletError as exc:
                kind = InvalidTransactionData if name == "transaction_data" else InvalidRequest
                raise kind(exc.description, clause="OpenID4VP 5.1") from exc
    return members


def _url(value: Json, what: str) -> str:
    try:
        return parse_url(value, what=what)
    except MalformedError as exc:
        raise InvalidRequest(exc.description, clause="OpenID4VP 5.10") from exc


def _url_safe(value: Json, what: str) -> str:
    # vp-5.2-url-safe
    if not isinstance(value, str) or len(value) > _MAX_URL_SAFE or not _URL_SAFE.match(value):
        raise InvalidRequest(f"{what} is missing or not URL safe", clause="OpenID4VP 5.2")
    return value


def _link(endpoint: str, parameters: Mapping[str, str]) -> str:
    return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(parameters)}"
