"""Every error that may leave the core, and what each means.

```text
WalletError                     code: the registered error name
├─ MalformedError               does not parse
│  └─ AnswerTooLarge            an answer of ours that nobody would read
├─ VerificationError            parsed, but a check failed; has .step
│  ├─ InvalidSignature
│  ├─ UntrustedError            no path to an anchor, or an anchor for another purpose
│  ├─ FalseRegistration         a registration certificate that is forged, or somebody else's
│  ├─ NotYetValid / Expired
│  ├─ RevokedError / StatusUnknown
│  ├─ HolderBindingError        aud, nonce, sd_hash, device signature
│  └─ QueryNotSatisfied
├─ ProtocolError                a rule of OAuth, OpenID4VCI or OpenID4VP
│  ├─ LocalProtocolError        we were about to break it (a bug: HTTP 500)
│  ├─ PeerRefusal               the peer answered our request with an error
│  └─ RemoteProtocolError       the peer broke it (HTTP 4xx)
│     ├─ InvalidRequest InvalidClient InvalidGrant InvalidToken InsufficientScope UnsupportedGrantType AccessDenied
│     │  UnsupportedResponseType InvalidScope InvalidTarget InvalidAuthorizationDetails InvalidRequestUri
│     │  RequestNotSupported
│     ├─ InvalidDpopProof UseDpopNonce
│     ├─ InvalidClientAttestation UntrustedAttestation UseAttestationChallenge UseFreshAttestation
│     ├─ InvalidCredentialRequest UnknownCredentialConfiguration UnknownCredentialIdentifier InvalidProof
│     │  InvalidNonce InvalidEncryptionParameters CredentialRequestDenied InvalidNotificationId
│     │  InvalidNotificationRequest
│     └─ VpFormatsNotSupported InvalidRequestUriMethod InvalidTransactionData WalletUnavailable
├─ StateConflict                the session moved, ended, or the secret was already spent
├─ NotFound                     nothing is known by that name
├─ NotSupported                 known, and not done here (HTTP 501)
├─ KeyUnavailable               key missing, locked or of the wrong kind
│  ├─ HsmUnavailable            the token that holds it cannot be used now
│  └─ CertificateUnavailable    its certificate is not in force yet, or about to end
└─ OutsideError                 I/O failed: FetchError, AddressNotAllowed, StorageError
```

Wrong arguments of our own code are plain ``TypeError`` or ``ValueError`` and stand outside this tree.
"""

from collections.abc import Mapping
from typing import ClassVar, Final, Literal, Self

Fault = Literal["you", "us", "peer"]

DPOP_ALGORITHM: Final = "ES256"
"""What a DPoP proof is signed with here (``dpop_signing_alg_values_supported``, ``algs`` of a challenge)."""

# OpenID4VCI 8.3.1.2 and RFC 6749 5.2: %x20-21 / %x23-5B / %x5D-7E.
_DESCRIPTION_CHARACTERS = frozenset(chr(c) for c in range(0x20, 0x7F)) - {'"', "\\"}


class WalletError(Exception):
    """Anything the core refuses, with one text for the peer and one for our log.

    Attributes:
        code: the registered error name that goes on the wire.
        http_status: the status a server answers with when the specification names none.
        fault: whose mistake it is, seen by whoever receives the error.
        description: for the peer: ASCII without quotation mark and backslash, no personal data.
        detail: for our log: which rule, what to change. No claim value, token or key either.
        clause: the clause of the specification that was broken, where known.
    """

    code: ClassVar[str] = "server_error"
    http_status: int = 500
    fault: ClassVar[Fault] = "us"

    def __init__(self, description: str, *, detail: str | None = None, clause: str | None = None) -> None:
        super().__init__(detail or description)
        # vci-8.3.1.2-ascii
        self.description = peer_text(description)
        self.detail = detail or description
        self.clause = clause


def peer_text(text: str) -> str:
    """Return ``text`` with every character that may not stand in an ``error_description`` replaced."""
    return "".join(c if c in _DESCRIPTION_CHARACTERS else "'" if c in '"\\' else "?" for c in text)


class MalformedError(WalletError):
    """Bytes, text, JSON or CBOR that do not parse."""

    code = "invalid_request"
    http_status = 400
    fault = "you"


class AnswerTooLarge(MalformedError):
    """What would be answered is larger than what is read on the other side. Nothing was sent."""


class VerificationError(WalletError):
    """It parsed, but a check failed.

    ``step`` is the number of the check in the verifying function's docstring. Where several presentations were looked
    at, ``query_id`` is the Credential Query of the one that failed, and ``others`` are the failures of the others.
    """

    code = "invalid_request"
    http_status = 400
    fault = "you"

    def __init__(
        self,
        description: str,
        *,
        step: int | None = None,
        detail: str | None = None,
        clause: str | None = None,
    ) -> None:
        super().__init__(description, detail=detail, clause=clause)
        self.step = step
        self.query_id: str | None = None
        self.others: tuple[VerificationError, ...] = ()


class InvalidSignature(VerificationError):
    """A signature does not verify with the key it was checked against."""


class UntrustedError(VerificationError):
    """No path leads to a trust anchor, or the anchor is there for another purpose."""


class FalseRegistration(VerificationError):
    """A registration certificate in the name of a registrar whom we trust is forged, or is about somebody else."""


class NotYetValid(VerificationError):
    """Valid only from a later time on."""


class Expired(VerificationError):
    """No longer valid."""


class RevokedError(VerificationError):
    """The issuer withdrew or suspended it."""


class StatusUnknown(VerificationError):
    """The status could not be learnt, and the policy asks for it."""


class HolderBindingError(VerificationError):
    """Audience, nonce, hash or signature of the holder's proof do not fit."""


class QueryNotSatisfied(VerificationError):
    """What was presented does not answer the query."""


class ProtocolError(WalletError):
    """A rule of OAuth, OpenID4VCI or OpenID4VP."""


class LocalProtocolError(ProtocolError):
    """We were about to break a rule: a bug of ours."""


class PeerRefusal(ProtocolError):
    """The peer answered our request with an error of the protocol.

    ``status`` is the HTTP status and ``error`` the registered error name that the peer sent (empty if it sent none).
    """

    code = "refused_by_peer"
    http_status = 502
    fault = "peer"

    def __init__(self, who: str, *, status: int, error: str = "", error_description: str = "") -> None:
        self.status = status
        self.error = peer_text(error)
        self.error_description = peer_text(error_description)
        answer = " ".join(part for part in (str(status), self.error) if part)
        super().__init__(f"{who} answered {answer}" + (f": {self.error_description}" if self.error_description else ""))


class RemoteProtocolError(ProtocolError):
    """The peer broke a rule.

    ``headers`` are response headers that the specification demands with this error. ``answer_to`` is where its sender
    may be told, with the ``state`` to give back, if the peer's signature proved who that is (OpenID4VP 8.2).
    """

    answer_to: tuple[str, str | None] | None = None

    code = "invalid_request"
    http_status = 400
    fault = "you"

    def __init__(
        self,
        description: str,
        *,
        detail: str | None = None,
        clause: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(description, detail=detail, clause=clause)
        self.headers = dict(headers or {})


class InvalidRequest(RemoteProtocolError):
    """RFC 6749 5.2: a parameter is missing, repeated, unknown or malformed."""


class ProfileNotKept(InvalidRequest):
    """The same: the protocol allows it, and the profile that this side keeps to does not (HAIP 5)."""


class InvalidClient(RemoteProtocolError):
    """RFC 6749 5.2: client authentication failed or is missing."""

    code = "invalid_client"
    http_status = 401


class InvalidClientAttestation(InvalidClient):
    """Attestation-based client authentication 07, 6: the attestation or its proof of possession does not verify."""

    code = "invalid_client_attestation"


class UntrustedAttestation(InvalidClientAttestation):
    """The same: nobody here trusts who made the attestation. Where public clients are served, that proves nothing."""


class UseAttestationChallenge(InvalidClient):
    """The same: the proof of possession lacks a challenge of ours that is still good. The answer carries a new one."""

    code = "use_attestation_challenge"
    http_status = 400


class UseFreshAttestation(InvalidClient):
    """The same: the client attestation is too old to be taken; get a new one from its maker."""

    code = "use_fresh_attestation"
    http_status = 400


class InvalidGrant(RemoteProtocolError):
    """RFC 6749 5.2: the code is wrong, expired or used."""

    code = "invalid_grant"


class UnsupportedGrantType(RemoteProtocolError):
    """RFC 6749 5.2: the grant type is not offered here."""

    code = "unsupported_grant_type"


class UnsupportedResponseType(RemoteProtocolError):
    """RFC 6749 4.1.2.1: another response type than ``code``."""

    code = "unsupported_response_type"


class InvalidScope(RemoteProtocolError):
    """RFC 6749 4.1.2.1: nothing that is issued here was asked for."""

    code = "invalid_scope"


class InvalidTarget(RemoteProtocolError):
    """RFC 8707 2: the resource is not the one this server speaks for."""

    code = "invalid_target"


class InvalidAuthorizationDetails(RemoteProtocolError):
    """RFC 9396 5: an authorization detail is malformed, of an unknown type, or names what is not issued here."""

    code = "invalid_authorization_details"


class InvalidRequestUri(RemoteProtocolError):
    """RFC 9101 7, RFC 9126 4: the ``request_uri`` is unknown, expired, used, or another client's."""

    code = "invalid_request_uri"


class RequestNotSupported(RemoteProtocolError):
    """OpenID Connect Core 3.1.2.6: request objects are not taken here."""

    code = "request_not_supported"


class InvalidToken(RemoteProtocolError):
    """RFC 6750 3.1: the access token is missing, malformed, expired or for another resource."""

    code = "invalid_token"
    http_status = 401

    def __init__(
        self, description: str, *, missing: bool = False, detail: str | None = None, clause: str | None = None
    ) -> None:
        """As :class:`WalletError`; ``missing`` says that there was no token at all."""
        self.missing = missing
        challenge = f'Bearer error="{self.code}", error_description="{peer_text(description)}"'
        # RFC 6750 3.1: whoever sent no token is asked for one and told of no error.
        # oauth-6750.3.1-no-token
        challenge = "Bearer" if missing else challenge
        # oauth-6750.3-challenge
        super().__init__(description, detail=detail, clause=clause, headers={"WWW-Authenticate": challenge})

    def with_dpop(self) -> Self:
        """Return the same error for a token that is, or must be, bound to a DPoP key (RFC 9449 7.1)."""
        error = type(self)(self.description, missing=self.missing, detail=self.detail, clause=self.clause)
        said = "" if self.missing else f'error="{self.code}", error_description="{self.description}", '
        # dpop-9449.7.1-scheme
        error.headers["WWW-Authenticate"] = f'DPoP {said}algs="{DPOP_ALGORITHM}"'
        return error


class InvalidDpopProof(RemoteProtocolError):
    """RFC 9449 5, 7.1: the proof of the DPoP key is missing, malformed or for another request.

    400 at an authorization server; see :meth:`at_resource_server`.
    """

    code = "invalid_dpop_proof"

    def at_resource_server(self) -> Self:
        """Return the same error as a resource server answers it: 401 with a challenge (RFC 9449 7.1)."""
        challenge = f'DPoP error="{self.code}", error_description="{self.description}", algs="{DPOP_ALGORITHM}"'
        # dpop-9449.7.1-challenge
        headers = {"WWW-Authenticate": challenge}
        error = type(self)(self.description, detail=self.detail, clause=self.clause, headers=headers)
        error.http_status = 401
        return error


class UseDpopNonce(InvalidDpopProof):
    """RFC 9449 8, 9: the proof lacks a nonce of ours that is still good. The answer carries a new one."""

    code = "use_dpop_nonce"


class InsufficientScope(InvalidToken):
    """RFC 6750 3.1: the token is good but not for this."""

    code = "insufficient_scope"
    http_status = 403


class AccessDenied(RemoteProtocolError):
    """RFC 6749 4.1.2.1: the person or the server said no."""

    code = "access_denied"
    http_status = 403


class InvalidCredentialRequest(RemoteProtocolError):
    """OpenID4VCI 8.3.1.2: a parameter is missing, unsupported, repeated or malformed."""

    code = "invalid_credential_request"


class UnknownCredentialConfiguration(RemoteProtocolError):
    """OpenID4VCI 8.3.1.2: no such credential configuration."""

    code = "unknown_credential_configuration"


class UnknownCredentialIdentifier(RemoteProtocolError):
    """OpenID4VCI 8.3.1.2: no such credential identifier."""

    code = "unknown_credential_identifier"


class InvalidProof(RemoteProtocolError):
    """OpenID4VCI 8.3.1.2: proofs are missing, one is invalid, or one lacks the ``c_nonce``."""

    code = "invalid_proof"


class InvalidNonce(RemoteProtocolError):
    """OpenID4VCI 8.3.1.2: a proof carries a wrong, expired or used ``c_nonce``; fetch a new one."""

    code = "invalid_nonce"


class InvalidEncryptionParameters(RemoteProtocolError):
    """OpenID4VCI 8.3.1.2: encryption parameters are missing or not supported."""

    code = "invalid_encryption_parameters"


class CredentialRequestDenied(RemoteProtocolError):
    """OpenID4VCI 8.3.1.2: refused for good; do not retry."""

    code = "credential_request_denied"


class InvalidTransactionId(RemoteProtocolError):
    """OpenID4VCI 9.3: the ``transaction_id`` is unknown, or its credentials were already fetched."""

    code = "invalid_transaction_id"


class InvalidNotificationId(RemoteProtocolError):
    """OpenID4VCI 11.3: the ``notification_id`` is unknown."""

    code = "invalid_notification_id"


class InvalidNotificationRequest(RemoteProtocolError):
    """OpenID4VCI 11.3: the notification is malformed."""

    code = "invalid_notification_request"


class VpFormatsNotSupported(RemoteProtocolError):
    """OpenID4VP 8.5: the wallet has none of the requested formats."""

    code = "vp_formats_not_supported"


class InvalidRequestUriMethod(RemoteProtocolError):
    """OpenID4VP 8.5: ``request_uri_method`` is neither ``get`` nor ``post``."""

    code = "invalid_request_uri_method"


class InvalidTransactionData(RemoteProtocolError):
    """OpenID4VP 8.5: transaction data is unknown, malformed or not supported."""

    code = "invalid_transaction_data"


class WalletUnavailable(RemoteProtocolError):
    """OpenID4VP 8.5: the wallet cannot answer now."""

    code = "wallet_unavailable"


class StateConflict(WalletError):
    """The session moved, ended, or the secret was already spent."""

    code = "invalid_request"
    http_status = 409
    fault = "you"


class NotFound(WalletError):
    """Nothing is known by that name here."""

    code = "not_found"
    http_status = 404
    fault = "you"


class NotSupported(WalletError):
    """A part of a specification that this deployment does not offer."""

    code = "not_supported"
    http_status = 501


class KeyUnavailable(WalletError):
    """A key is missing, locked or of the wrong kind."""


class HsmUnavailable(KeyUnavailable):
    """The token (HSM) that holds a key is away, or does not let us in: the same request may succeed later."""

    code = "temporarily_unavailable"
    http_status = 503


class CertificateUnavailable(KeyUnavailable):
    """The certificate of a key is not in force yet, or about to end: with a renewed one the request succeeds."""

    code = "temporarily_unavailable"
    http_status = 503


class OutsideError(WalletError):
    """Input or output failed."""

    code = "temporarily_unavailable"
    http_status = 503


class FetchError(OutsideError):
    """Another server could not be reached, or its answer broke a limit."""

    http_status = 502
    fault = "peer"


class AddressNotAllowed(FetchError):
    """A URL, or an address of its host, that is fetched only where loopback and http are admitted."""


class StorageError(OutsideError):
    """The database or a file could not be used."""
