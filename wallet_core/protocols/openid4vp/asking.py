"""What everybody who asks for presentations does alike: make a request, sign it, open and judge its answer, lead back.

The verifier asks for companies, the issuer within a login. Neither states nor rows are here: ``presentation`` has the
former, each app the latter.
"""

import hashlib
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Final, Protocol, TypeAlias, TypeVar

from cryptography.hazmat.primitives.asymmetric import ec

from wallet_core.encoding import base64url
from wallet_core.errors import InvalidRequest, KeyUnavailable, StateConflict, VerificationError
from wallet_core.jose import jwe
from wallet_core.keys.algorithms import PublicKey
from wallet_core.keys.jwk import public_jwk
from wallet_core.keys.signer import CertifiedSigner
from wallet_core.protocols.openid4vp import presentation as states
from wallet_core.protocols.openid4vp.client_id import ClientIdentifier, ClientIdPrefix
from wallet_core.protocols.openid4vp.presentation import Presentation, Requested, Retrieved, Terms
from wallet_core.protocols.openid4vp.request import AuthorizationRequest, ResponseEncryption
from wallet_core.protocols.openid4vp.request_object import create_request_object
from wallet_core.protocols.openid4vp.response import (
    EncryptedResponse,
    ErrorResponse,
    PostedResponse,
    PresentationResponse,
    Response,
    VpToken,
    decrypt_response,
    parse_posted_response,
)
from wallet_core.protocols.openid4vp.validation import ValidatedResponse
from wallet_core.protocols.openid4vp.wallet_metadata import PostedToRequestUri, encrypt_request_object
from wallet_core.trust.x509 import x509_hash
from wallet_core.types import JsonObject, RandomBytes
from wallet_core.values import statically_frozen

SECRET_BYTES: Final = 24
"""Bytes of state, nonce and response_code: 192 bits, 32 characters (OpenID4VP 5.2 asks for 128 bits; M24)."""

Move: TypeAlias = Callable[[Presentation], Presentation]
"""A transition with everything but the state bound."""


class Stored(Protocol):
    """A row of an app, as far as it is known here."""

    @property
    def id(self) -> str:
        """Which row it is."""
        ...

    @property
    def state(self) -> Presentation:
        """Where it stood when it was read."""
        ...


S = TypeVar("S", bound=Stored)

_TRIES = 3
_PRIVATE_KEY_BYTES = 32


def new_secret(random: RandomBytes) -> str:
    """Return a fresh ``state``, ``nonce`` or ``response_code``."""
    return base64url.encode(random(SECRET_BYTES))


def code_digest(code: str) -> bytes:
    """Return what is stored of a response_code."""
    return hashlib.sha256(code.encode()).digest()


def create_response_encryption(private_key: ec.EllipticCurvePrivateKey, key_id: str) -> ResponseEncryption:
    """Return how an answer is to be encrypted to ``private_key``, which is fresh for each request (HAIP 5)."""
    # 5.1: each JWK MUST have a kid; 8.3: alg MUST be present. HAIP 5: P-256, fresh per request, both enc values.
    # vp-5.1-kid
    members: JsonObject = {"kid": key_id, "use": "enc", "alg": jwe.ALG}
    jwk: JsonObject = {**public_jwk(PublicKey(private_key.public_key())), **members}
    return ResponseEncryption(jwk, jwe.ENC_VALUES)


def private_key_to_bytes(private_key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return the private key of an answer, to be sealed."""
    return private_key.private_numbers().private_value.to_bytes(_PRIVATE_KEY_BYTES, "big")


def private_keys_from_bytes(value: bytes) -> list[ec.EllipticCurvePrivateKey]:
    """Return the private keys of which :func:`private_key_to_bytes` gave each, one behind the other."""
    parts = (value[start : start + _PRIVATE_KEY_BYTES] for start in range(0, len(value), _PRIVATE_KEY_BYTES))
    return [ec.derive_private_key(int.from_bytes(part, "big"), ec.SECP256R1()) for part in parts]


def find_access_key(
    client_id: ClientIdentifier,
    current: CertifiedSigner,
    every: Callable[[], Iterable[CertifiedSigner]],
    *,
    attested: PublicKey | None = None,
) -> CertifiedSigner:
    """Return the access key that a request's Client Identifier names, which may have been rotated meanwhile.

    ``attested`` is the key of the party's attestation, for requests under ``verifier_attestation``.

    Raises:
        KeyUnavailable: it is gone.
    """
    if client_id.prefix is ClientIdPrefix.VERIFIER_ATTESTATION:
        for key in every():
            # 5.9.3: "signed with the private key corresponding to the public key in the cnf claim".
            # vp-5.9.3-attested-key
            if key.signer.public_key == attested:
                return key
        raise KeyUnavailable("the attested key is gone", detail="file an attestation of the access key")
    if client_id.prefix is not ClientIdPrefix.X509_HASH or x509_hash(current.chain[0]) == client_id.rest:
        return current
    for key in every():
        # vp-5.9.3-same-key
        if x509_hash(key.chain[0]) == client_id.rest:
            return key
    raise KeyUnavailable("the access key of this request is gone", detail="ask anew")


def sign_request(
    terms: Terms,
    key: CertifiedSigner,
    wallet_says: PostedToRequestUri,
    *,
    now: datetime,
    attestation: str | None = None,
) -> str:
    """Return the Request Object, signed with ``key`` as it is now, as the wallet that fetches it wants it.

    Raises:
        MalformedError: it cannot be encrypted to the key that the wallet posted.
    """
    token = create_request_object(
        terms.linked_request,
        signer=key.signer,
        chain=key.chain,
        issued_at=now,
        expires_at=terms.expires_at,
        wallet_nonce=wallet_says.wallet_nonce,
        attestation=attestation,
    )
    return encrypt_request_object(token, wallet_says.metadata)


def read_response(
    request: AuthorizationRequest, media_type: str, body: bytes, *, open_key: Callable[[], ec.EllipticCurvePrivateKey]
) -> Response:
    """Return what a wallet posted, decrypted, if it is for this request.

    Args:
        request: what was asked.
        media_type: of the body.
        body: what came.
        open_key: returns the private key of the request's encryption; it may raise ``InvalidRequest``.

    Raises:
        MalformedError, InvalidRequest: it cannot be read, or is not for this request.
        VerificationError: it cannot be decrypted.
    """
    response = open_response(request.encryption, parse_posted_response(media_type, body), open_key=open_key)
    # 8.2, 13.3: state ties the answer to the request.
    # vp-5.3-state-back
    if response.state != request.state:
        raise InvalidRequest("state is not that of the request", clause="OpenID4VP 13.3")
    return response


def open_response(
    encryption: ResponseEncryption | None,
    received: PostedResponse,
    *,
    open_key: Callable[[], ec.EllipticCurvePrivateKey],
) -> Response:
    """Return an answer in clear, decrypted if encryption was asked for.

    Raises:
        InvalidRequest: encrypted though that was not asked for, or the other way round.
        MalformedError, VerificationError: it cannot be decrypted or read.
    """
    if isinstance(received, EncryptedResponse):
        if encryption is None:
            raise InvalidRequest("no encrypted answer was asked for", clause="OpenID4VP 8.3")
        # The kid under which create_response_encryption published the key.
        return decrypt_response(received, {str(encryption.jwk["kid"]): open_key()})
    # 8.3.1: only an error may come in clear where encryption was asked for.
    # vp-8.3.1-no-clear-answer
    if isinstance(received, PresentationResponse) and encryption is not None:
        raise InvalidRequest("the answer is not encrypted", clause="OpenID4VP 8.3.1")
    return received


@statically_frozen
class Judgement:
    """What an answer means.

    Attributes:
        move: to the state after the answer.
        vp_token: what was presented; None if the wallet declined, empty if it cannot be read.
        validated: what that proves; None unless it passed every check.
        error: what the wallet is told instead, once the move is stored; None if the answer was accepted.
    """

    move: Move
    vp_token: VpToken | None = None
    validated: ValidatedResponse | None = None
    error: VerificationError | None = None


def judge(
    response: Response,
    validate: Callable[[VpToken], ValidatedResponse],
    *,
    response_code_digest: bytes,
    now: datetime,
) -> Judgement:
    """Return what an answer in clear means. ``validate`` returns what a VP Token proves, or raises as it does."""
    if isinstance(response, ErrorResponse):
        error = response.error
        return Judgement(lambda state: states.decline(state, error, now=now))
    try:
        validated = validate(response.vp_token)
    except VerificationError as exc:
        return refused(exc, response.vp_token, now=now)
    return Judgement(
        lambda state: states.answer(state, validated, response_code_digest=response_code_digest, now=now),
        response.vp_token,
        validated,
    )


def refused(error: VerificationError, vp_token: VpToken, *, now: datetime) -> Judgement:
    """Return that an answer fails."""
    return Judgement(lambda state: states.refuse(state, error, now=now), vp_token, error=error)


def way_back(target: str, code: str) -> str:
    """Return the ``redirect_uri`` of an answer (8.2): ``target`` with the code, in the fragment if it ends in one."""
    if target.endswith("#"):
        return f"{target}response_code={code}"
    return f"{target}{'&' if '?' in target else '?'}response_code={code}"


def match_number(request: AuthorizationRequest) -> str:
    """Return the two digits that both screens show of one cross-device request, for a person to compare.

    A convention of ours: drawn from what both sides hold, so that nothing more has to travel.
    """
    drawn = hashlib.sha256(f"jigap match {request.client_id.full} {request.nonce}".encode()).digest()
    return f"{int.from_bytes(drawn[:8], 'big') % 100:02d}"


def settle(
    stored: S, move: Move, *, advance: Callable[[S, Presentation], None], read_again: Callable[[], S | None]
) -> None:
    """Store the moved state of a row.

    Somebody may have fetched the request since the row was read; then the move is made from where it stands now. Of two
    answers one finds the request closed.

    Raises:
        StateConflict, Expired: the move is not possible, or the row kept moving.
    """
    for _ in range(_TRIES - 1):
        # Outside of what is tried: a move that the state does not allow is the caller's conflict, not a race.
        moved = move(stored.state)
        try:
            advance(stored, moved)
        except StateConflict:
            again = read_again()
            if again is None:
                raise
            stored = again
        else:
            return
    advance(stored, move(stored.state))


def end_others(answered: S, beside: Iterable[S], settle_one: Callable[[S, Move], None], *, now: datetime) -> None:
    """End the open requests that stand beside one that was answered: "the first completed ends the other" (M23)."""
    for other in beside:
        # vp-13.3-one-of-two
        if other.id != answered.id and isinstance(other.state, Requested | Retrieved):
            settle_one(other, lambda state: states.end(state, now=now))
