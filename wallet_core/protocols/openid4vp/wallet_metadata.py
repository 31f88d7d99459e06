"""What a wallet says of itself when it fetches a request by POST, and what a Verifier makes of it (OpenID4VP 5.10, 10).

The invariant: what is said here is claimed, by whoever knows the ``request_uri``. It may stop a request that the wallet
could not answer, and seal the answer for it; it changes nothing in the request, which is the same for everybody (M24).
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from wallet_core.encoding import strict_json
from wallet_core.errors import InvalidRequest, MalformedError, VpFormatsNotSupported
from wallet_core.jose import jwe
from wallet_core.keys.algorithms import SignatureAlgorithm
from wallet_core.protocols.oauth2.form import parse_form
from wallet_core.protocols.openid4vp.request import AuthorizationRequest
from wallet_core.protocols.openid4vp.vp_formats import is_format_shared
from wallet_core.types import Json, JsonObject

MAX_WALLET_NONCE: Final = 512
"""Characters of a ``wallet_nonce``, which we sign."""

MAX_REQUEST_FORM: Final = 64 * 1024
"""Bytes of what is posted to a ``request_uri``; metadata with a key are about 2 kB."""

_MAX_NAMES = 64
# RFC 9864: the fully-specified name stands for the same key.
_SIGNING_NAMES: Final = {SignatureAlgorithm.EDDSA: ("EdDSA", "Ed25519")}


@dataclass(frozen=True, slots=True)
class ClaimedMetadata:
    """Wallet metadata as posted (10.1). None where nothing is said, which then means: no objection.

    That is not the default of ``client_id_prefixes_supported``, ``pre-registered``: the specification's own example of
    a posted form (5.10) leaves it out and is answered under ``x509_san_dns``.

    Attributes:
        formats: Credential Formats that share an algorithm with ours, or name none.
        prefixes: Client Identifier Prefixes.
        response_modes: Response Modes.
        signing_algorithms: what Request Objects may be signed with.
        encryption_algorithms: how answers can be encrypted: ``alg``.
        encryption_encs: how answers can be encrypted: ``enc``.
        request_key: what the Request Object is to be encrypted to; None if in clear.
        request_enc: with which ``enc``.
    """

    formats: frozenset[str] | None = None
    prefixes: frozenset[str] | None = None
    response_modes: frozenset[str] | None = None
    signing_algorithms: frozenset[str] | None = None
    encryption_algorithms: frozenset[str] | None = None
    encryption_encs: frozenset[str] | None = None
    request_key: JsonObject | None = None
    request_enc: str = ""


@dataclass(frozen=True, slots=True)
class PostedToRequestUri:
    """What a wallet posted to a ``request_uri``; GET is as if nothing was."""

    wallet_nonce: str | None = None
    metadata: ClaimedMetadata = ClaimedMetadata()


NOTHING_POSTED: Final = PostedToRequestUri()
"""What GET says."""


def parse_request_uri_post(media_type: str, body: bytes) -> PostedToRequestUri:
    """Return what a wallet posted. Parameters that are not known are ignored, loose metadata among them (5.10).

    Raises:
        InvalidRequest: not a form, a nonce that is too long, or ``wallet_metadata`` that is not what section 10 says.
    """
    # 5.10: both parameters are optional. HTTP libraries leave out the type of a body that is empty.
    if not body and not media_type:
        return NOTHING_POSTED
    parameters = parse_form(media_type, body, max_bytes=MAX_REQUEST_FORM)
    wallet_nonce = parameters.get("wallet_nonce")
    if wallet_nonce is not None and len(wallet_nonce) > MAX_WALLET_NONCE:
        raise InvalidRequest("wallet_nonce is too long", clause="OpenID4VP 5.10")
    # "A string containing a JSON object containing metadata parameters".
    text = parameters.get("wallet_metadata")
    metadata = ClaimedMetadata() if text is None else _parse_metadata(text)
    return PostedToRequestUri(wallet_nonce, metadata)


def validate_wallet_can_answer(
    request: AuthorizationRequest, wallet: ClaimedMetadata, *, algorithm: SignatureAlgorithm
) -> None:
    """Check that a wallet of these abilities can answer ``request``, whose Request Object is signed with ``algorithm``.

    Nothing is adapted but the choice that the wallet has anyway: the request was made, and is the same for all (M24).

    Raises:
        VpFormatsNotSupported: not with its formats.
        InvalidRequest: not under this Client Identifier Prefix, with this Response Mode, signature or encryption.
    """
    # vp-10.1-formats
    if wallet.formats is not None and not request.dcql_query.is_satisfied_by(
        [query.id for query in request.dcql_query.credentials if query.format in wallet.formats]
    ):
        raise VpFormatsNotSupported("the wallet has no format that answers this request", clause="OpenID4VP 10.1")
    # 5.9.1: "the Verifier needs to determine which Client Identifier Prefixes the Wallet supports".
    # vp-10.1-prefix
    _require(wallet.prefixes, [request.client_id.prefix], "Client Identifier Prefix")
    _require(wallet.response_modes, [request.response_mode], "Response Mode")
    # vp-5.10-signing-alg
    _require(wallet.signing_algorithms, _SIGNING_NAMES.get(algorithm, (algorithm,)), "signature of a Request Object")
    if request.encryption is not None:
        # vp-5.10-response-encryption
        _require(wallet.encryption_algorithms, [jwe.ALG], "key agreement of an encrypted answer")
        _require(wallet.encryption_encs, request.encryption.enc_values, "content encryption of an encrypted answer")


def encrypt_request_object(token: str, wallet: ClaimedMetadata) -> str:
    """Return the signed Request Object as the wallet wants it: nested in a JWE to its key, if it posted one (5.10).

    Raises:
        MalformedError: the key cannot be encrypted to.
    """
    # "If the Wallet requires the Verifier to encrypt the Request Object, it SHOULD use the jwks parameter".
    # vp-5.10-encrypted-request
    if wallet.request_key is None:
        return token
    # RFC 7519 5.2, RFC 9101 6.1: signed first, then encrypted.
    return jwe.encrypt(token.encode("ascii"), wallet.request_key, enc=wallet.request_enc, header={"cty": "JWT"})


def _require(supported: Collection[str] | None, ours: Collection[str], what: str) -> None:
    if supported is not None and not any(name in supported for name in ours):
        raise InvalidRequest(f"the wallet does not support our {what}", clause="OpenID4VP 5.10")


def _parse_metadata(text: str) -> ClaimedMetadata:
    try:
        members = strict_json.loads_object(text, what="wallet_metadata", max_bytes=MAX_REQUEST_FORM)
        key, enc = _request_encryption(members)
        return ClaimedMetadata(
            _formats(members.get("vp_formats_supported")),
            _names(members, "client_id_prefixes_supported"),
            _names(members, "response_modes_supported"),
            _names(members, "request_object_signing_alg_values_supported"),
            _names(members, "authorization_encryption_alg_values_supported"),
            _names(members, "authorization_encryption_enc_values_supported"),
            key,
            enc,
        )
    except MalformedError as exc:
        raise InvalidRequest(exc.description, clause=exc.clause or "OpenID4VP 5.10") from exc


def _formats(value: Json) -> frozenset[str] | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise MalformedError("vp_formats_supported is not a JSON object", clause="OpenID4VP 10.1")
    return frozenset(name for name, accepted in value.items() if is_format_shared(name, accepted))


def _names(members: JsonObject, member: str) -> frozenset[str] | None:
    value = members.get(member)
    if value is None:
        return None
    if not isinstance(value, list) or len(value) > _MAX_NAMES:
        raise MalformedError(f"{member} is not an array of names", clause="RFC 8414 2")
    return frozenset(name for name in value if isinstance(name, str))


def _request_encryption(members: JsonObject) -> tuple[JsonObject | None, str]:
    """Return the key and the ``enc`` that a Request Object is to be encrypted with; no key if it may be in clear."""
    jwks = members.get("jwks")
    keys = jwks.get("keys") if isinstance(jwks, dict) else None
    wanted = (
        [key for key in keys if isinstance(key, dict) and key.get("use") != "sig"] if isinstance(keys, list) else []
    )
    if not wanted:
        return None, ""
    # RFC 7517 4.4 leaves alg optional, and 5.10 does not ask for it as 8.3 does of a Verifier's keys. A key that says
    # what it is for comes first: one that says nothing may be there to verify signatures.
    # vp-5.10-key-without-alg
    unnamed = [{**key, "alg": jwe.ALG} for key in wanted if "alg" not in key]
    usable = [key for key in (*wanted, *unnamed) if jwe.is_usable(key)]
    algorithms = _names(members, "request_object_encryption_alg_values_supported")
    offered = _names(members, "request_object_encryption_enc_values_supported")
    encs = [enc for enc in jwe.ENC_VALUES if offered is None or enc in offered]
    # A wallet that must have it encrypted and cannot get it stops either way: said now, it knows why.
    if not usable or not encs or (algorithms is not None and jwe.ALG not in algorithms):
        raise MalformedError("a Request Object cannot be encrypted to the wallet's keys", clause="OpenID4VP 5.10")
    return usable[0], encs[-1]
