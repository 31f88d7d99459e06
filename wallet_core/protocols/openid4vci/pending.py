"""What the wallet keeps between two flows of an issuance: values that survive a restart.

Each has ``to_json`` and ``from_json``. They hold codes, tokens and credentials, so they are sealed where they lie.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

from wallet_core import spec_versions as spec
from wallet_core.errors import MalformedError
from wallet_core.keys.algorithms import PublicKey
from wallet_core.keys.jwk import parse_public_jwk, public_jwk
from wallet_core.protocols.oauth2.client import ClientMemory
from wallet_core.protocols.oauth2.metadata import AuthorizationServer, parse_authorization_server_metadata
from wallet_core.protocols.oauth2.token import TokenResponse, parse_token_members
from wallet_core.protocols.openid4vci import members
from wallet_core.protocols.openid4vci.key_attestation import KeyAttestationRequirements
from wallet_core.protocols.openid4vci.metadata import (
    CredentialConfiguration,
    CredentialIssuerMetadata,
    parse_credential_issuer_metadata,
)
from wallet_core.protocols.openid4vci.offer import CredentialOffer, parse_credential_offer
from wallet_core.types import CredentialConfigurationId, Json, JsonObject, Nonce


@dataclass(frozen=True, slots=True)
class ResolvedOffer:
    """An offer with the metadata of the issuer it names: what the person is asked about."""

    offer: CredentialOffer
    issuer: CredentialIssuerMetadata
    server: AuthorizationServer

    @property
    def configurations(self) -> tuple[CredentialConfiguration, ...]:
        """What is offered, in the offer's order."""
        return tuple(self.issuer.configurations[id_] for id_ in self.offer.configuration_ids)

    @property
    def needs_tx_code(self) -> bool:
        """Whether the person must type a transaction code, which came by another way."""
        return self.offer.tx_code is not None

    @property
    def has_code(self) -> bool:
        """Whether the pre-authorized code grant can be used."""
        return self.offer.pre_authorized_code is not None

    @property
    def is_anonymous(self) -> bool:
        """Whether the code is redeemed by nobody in particular.

        Where the server has refresh tokens the client names itself: they are given to clients only, and without one
        neither more copies nor a certificate that is decided late could be fetched.
        """
        # OpenID4VCI 6.1: client_id is needed only where the client authenticates.
        # vci-6.1-anonymous-wallet
        anonymous = self.server.anonymous_pre_authorized and spec.GRANT_REFRESH_TOKEN not in self.server.grant_types
        return self.has_code and anonymous

    @property
    def can_authorize(self) -> bool:
        """Whether the person can be sent to the authorization server: the offer says so, or says nothing of grants."""
        # OpenID4VCI 4.1.1: without grants the metadata decide.
        # vci-4.1.1-no-grants
        allowed = self.offer.authorization_code or self.offer.pre_authorized_code is None
        return allowed and supports_authorization(self.server)

    def to_json(self) -> JsonObject:
        """Return the offer as it is stored while the person decides. It holds the code: seal it."""
        return {
            "offer": self.offer.to_json(),
            "issuer": self.issuer.to_json(self.offer.configuration_ids),
            "server": self.server.to_json(),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Json]) -> Self:
        """Return what :meth:`to_json` wrote. Raises ``MalformedError`` for anything else."""
        return cls(*_parse_resolved(value))


def supports_authorization(server: AuthorizationServer) -> bool:
    """Return whether a server has the authorization code grant."""
    return server.authorization_endpoint is not None and spec.GRANT_AUTHORIZATION_CODE in server.grant_types


@dataclass(frozen=True, slots=True)
class AuthorizationStarted:
    """The browser is to go to ``url``, and comes back to ``redirect_uri`` with an answer that carries ``state``.

    Attributes:
        offer: what the person accepted.
        configuration_ids: what she wants of it.
        url: of the authorization endpoint, for a top-level navigation.
        state: bound to the browser's session, used once.
        code_verifier: the secret of PKCE; it never leaves the wallet before the code is redeemed.
        redirect_uri: that the request named.
        expires_at: after this the authorization server does not know the request any more.
        memory: what the servers gave last.
    """

    offer: ResolvedOffer
    configuration_ids: tuple[CredentialConfigurationId, ...]
    url: str
    state: str
    code_verifier: str
    redirect_uri: str
    expires_at: datetime
    memory: ClientMemory = field(default_factory=ClientMemory)

    def to_json(self) -> JsonObject:
        """Return everything as it is stored while the browser is away. It holds secrets: seal it."""
        return {
            "resolved": self.offer.to_json(),
            "configuration_ids": list(self.configuration_ids),
            "url": self.url,
            "state": self.state,
            "code_verifier": self.code_verifier,
            "redirect_uri": self.redirect_uri,
            "expires_at": self.expires_at.isoformat(),
            "memory": self.memory.to_json(),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Json]) -> Self:
        """Return what :meth:`to_json` wrote. Raises ``MalformedError`` for anything else."""
        clause = "stored authorization"
        resolved = ResolvedOffer.from_json(members.optional_object(value, "resolved", clause=clause) or {})
        names = members.strings(value, "configuration_ids", clause=clause)
        if not set(names) <= set(resolved.offer.configuration_ids):
            raise MalformedError("a configuration is not in the offer", clause=clause)
        try:
            expires_at = datetime.fromisoformat(members.string(value, "expires_at", clause=clause))
        except ValueError as exc:
            raise MalformedError("expires_at is not a time", clause=clause) from exc
        return cls(
            resolved,
            tuple(CredentialConfigurationId(name) for name in names),
            members.string(value, "url", clause=clause),
            members.string(value, "state", clause=clause),
            members.string(value, "code_verifier", clause=clause),
            members.string(value, "redirect_uri", clause=clause),
            expires_at,
            _memory(value),
        )


@dataclass(frozen=True, slots=True)
class KeysToAttest:
    """Keys of one configuration that the wallet provider must attest in one statement (OpenID4VCI D).

    ``nonce`` goes into the statement, ``requirements`` is what the issuer asks of it, ``is_signed`` whether the first
    key signs a ``jwt`` proof around it. ``attestation`` is the statement once it is there.
    """

    configuration_id: CredentialConfigurationId
    keys: tuple[PublicKey, ...]
    nonce: Nonce | None
    requirements: KeyAttestationRequirements
    is_signed: bool
    attestation: str | None = None

    def to_json(self) -> JsonObject:
        """Return the keys as they are stored."""
        return {
            "configuration_id": self.configuration_id,
            "jwks": [public_jwk(key) for key in self.keys],
            "nonce": self.nonce,
            "key_storage": list(self.requirements.key_storage),
            "user_authentication": list(self.requirements.user_authentication),
            "is_signed": self.is_signed,
            "attestation": self.attestation,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Json]) -> Self:
        """Return what :meth:`to_json` wrote. Raises ``MalformedError`` for anything else."""
        clause = "stored keys"
        nonce, attestation = value.get("nonce"), value.get("attestation")
        return cls(
            CredentialConfigurationId(members.string(value, "configuration_id", clause=clause)),
            tuple(parse_public_jwk(jwk) for jwk in members.objects(value, "jwks", clause=clause)),
            None if nonce is None else Nonce(str(nonce)),
            KeyAttestationRequirements(_names(value, "key_storage"), _names(value, "user_authentication")),
            value.get("is_signed") is True,
            None if attestation is None else str(attestation),
        )


@dataclass(frozen=True, slots=True)
class ProofToSign:
    """The bytes one holder key must sign, and for which credential."""

    configuration_id: CredentialConfigurationId
    key: PublicKey
    signing_input: bytes

    def to_json(self) -> JsonObject:
        """Return the proof as it is stored."""
        return {
            "configuration_id": self.configuration_id,
            "jwk": public_jwk(self.key),
            "signing_input": self.signing_input.decode("ascii"),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Json]) -> Self:
        """Return what :meth:`to_json` wrote. Raises ``MalformedError`` for anything else."""
        clause = "stored proof"
        return cls(
            CredentialConfigurationId(members.string(value, "configuration_id", clause=clause)),
            parse_public_jwk(value.get("jwk")),
            members.string(value, "signing_input", clause=clause).encode(),
        )


@dataclass(frozen=True, slots=True)
class IssuedBatch:
    """The answer to one Credential Request. Find each credential's key by its ``cnf``, never by position."""

    configuration_id: CredentialConfigurationId
    credentials: tuple[str, ...]
    notification_id: str | None

    def to_json(self) -> JsonObject:
        """Return the batch as it is stored. It holds credentials: seal it."""
        return {
            "configuration_id": self.configuration_id,
            "credentials": list(self.credentials),
            "notification_id": self.notification_id,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Json]) -> Self:
        """Return what :meth:`to_json` wrote. Raises ``MalformedError`` for anything else."""
        clause = "stored batch"
        credentials = value.get("credentials")
        if not isinstance(credentials, list) or not all(isinstance(c, str) for c in credentials):
            raise MalformedError("credentials is not an array of strings", clause=clause)
        notification_id = value.get("notification_id")
        return cls(
            CredentialConfigurationId(members.string(value, "configuration_id", clause=clause)),
            tuple(str(c) for c in credentials),
            None if notification_id is None else members.string(value, "notification_id", clause=clause),
        )


@dataclass(frozen=True, slots=True)
class DeferredCredential:
    """A credential that the issuer decides about later (OpenID4VCI 9).

    ``keys`` is for how many keys it was asked, ``interval`` how many seconds to wait before asking again.
    """

    configuration_id: CredentialConfigurationId
    transaction_id: str
    interval: int
    keys: int

    def to_json(self) -> JsonObject:
        """Return it as it is stored."""
        return {
            "configuration_id": self.configuration_id,
            "transaction_id": self.transaction_id,
            "interval": self.interval,
            "keys": self.keys,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Json]) -> Self:
        """Return what :meth:`to_json` wrote. Raises ``MalformedError`` for anything else."""
        clause = "stored deferred credential"
        return cls(
            CredentialConfigurationId(members.string(value, "configuration_id", clause=clause)),
            members.string(value, "transaction_id", clause=clause),
            members.integer(value, "interval", at_least=1, clause=clause),
            members.integer(value, "keys", at_least=1, clause=clause),
        )


@dataclass(frozen=True, slots=True)
class ProofsToSign:
    """Every proof the holder's keys must sign before the credentials can be asked for.

    ``pending`` are the configurations still to be asked for, ``issued`` and ``deferred`` what already came or was put
    off. ``renewed`` tells that the issuer has just asked for a fresh nonce. ``attested`` are the keys that go with a
    key attestation; while one lacks it (``unattested``), :func:`receiving.attach_key_attestations` comes first.
    """

    offer: ResolvedOffer
    token: TokenResponse
    pending: tuple[CredentialConfigurationId, ...]
    proofs: tuple[ProofToSign, ...]
    issued: tuple[IssuedBatch, ...] = ()
    renewed: bool = False
    attested: tuple[KeysToAttest, ...] = ()
    deferred: tuple[DeferredCredential, ...] = ()
    memory: ClientMemory = field(default_factory=ClientMemory)

    @property
    def unattested(self) -> tuple[KeysToAttest, ...]:
        """The keys whose key attestation is not there yet."""
        return tuple(keys for keys in self.attested if keys.attestation is None)

    def key_count(self, name: CredentialConfigurationId) -> int:
        """Return for how many keys a configuration is asked for."""
        attested = [keys for keys in self.attested if keys.configuration_id == name]
        return len(attested[0].keys) if attested else sum(proof.configuration_id == name for proof in self.proofs)

    def to_json(self) -> JsonObject:
        """Return everything as it is stored until the keys have signed. It holds the access token: seal it."""
        return {
            "resolved": self.offer.to_json(),
            "token": self.token.to_json(),
            "pending": list(self.pending),
            "proofs": [proof.to_json() for proof in self.proofs],
            "issued": [batch.to_json() for batch in self.issued],
            "renewed": self.renewed,
            "attested": [keys.to_json() for keys in self.attested],
            "deferred": [deferred.to_json() for deferred in self.deferred],
            "memory": self.memory.to_json(),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Json]) -> Self:
        """Return what :meth:`to_json` wrote. Raises ``MalformedError`` for anything else."""
        clause = "stored issuance"
        resolved = ResolvedOffer.from_json(members.optional_object(value, "resolved", clause=clause) or {})
        pending = members.strings(value, "pending", clause=clause)
        if not set(pending) <= set(resolved.offer.configuration_ids):
            raise MalformedError("a pending configuration is not in the offer", clause=clause)
        return cls(
            resolved,
            parse_token_members(members.optional_object(value, "token", clause=clause) or {}),
            tuple(CredentialConfigurationId(name) for name in pending),
            tuple(ProofToSign.from_json(proof) for proof in members.objects(value, "proofs", clause=clause)),
            tuple(IssuedBatch.from_json(batch) for batch in members.objects(value, "issued", clause=clause)),
            value.get("renewed") is True,
            tuple(KeysToAttest.from_json(keys) for keys in members.objects(value, "attested", clause=clause)),
            _deferred(value),
            _memory(value),
        )


@dataclass(frozen=True, slots=True)
class IssuedCredentials:
    """What the issuer sent. Nothing in it is verified yet.

    ``failures`` names the configurations that were asked for in vain, with the error of each; ``deferred`` those that
    the issuer still decides about.
    """

    offer: ResolvedOffer
    token: TokenResponse
    batches: tuple[IssuedBatch, ...]
    failures: Mapping[CredentialConfigurationId, str] = field(default_factory=dict)
    deferred: tuple[DeferredCredential, ...] = ()
    memory: ClientMemory = field(default_factory=ClientMemory)

    def to_json(self) -> JsonObject:
        """Return everything as it is stored until the issuer was notified. It holds credentials: seal it."""
        return {
            "resolved": self.offer.to_json(),
            "token": self.token.to_json(),
            "batches": [batch.to_json() for batch in self.batches],
            "failures": {str(name): error for name, error in self.failures.items()},
            "deferred": [deferred.to_json() for deferred in self.deferred],
            "memory": self.memory.to_json(),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Json]) -> Self:
        """Return what :meth:`to_json` wrote. Raises ``MalformedError`` for anything else."""
        clause = "stored credentials"
        failures = members.optional_object(value, "failures", clause=clause) or {}
        return cls(
            ResolvedOffer.from_json(members.optional_object(value, "resolved", clause=clause) or {}),
            parse_token_members(members.optional_object(value, "token", clause=clause) or {}),
            tuple(IssuedBatch.from_json(batch) for batch in members.objects(value, "batches", clause=clause)),
            {CredentialConfigurationId(name): str(error) for name, error in failures.items()},
            _deferred(value),
            _memory(value),
        )


def _deferred(value: Mapping[str, Json]) -> tuple[DeferredCredential, ...]:
    found = members.objects(value, "deferred", clause="stored issuance")
    return tuple(DeferredCredential.from_json(deferred) for deferred in found)


def _names(value: Mapping[str, Json], member: str) -> tuple[str, ...]:
    return members.strings(value, member, clause="stored keys") if value.get(member) else ()


def _memory(value: Mapping[str, Json]) -> ClientMemory:
    return ClientMemory.from_json(members.optional_object(value, "memory", clause="stored flow") or {})


def _parse_resolved(
    value: Mapping[str, Json],
) -> tuple[CredentialOffer, CredentialIssuerMetadata, AuthorizationServer]:
    offer = parse_credential_offer(value.get("offer"))
    document = members.optional_object(value, "issuer", clause="stored offer") or {}
    issuer = parse_credential_issuer_metadata(document, credential_issuer=offer.credential_issuer)
    if any(id_ not in issuer.configurations for id_ in offer.configuration_ids):
        raise MalformedError("a stored configuration is missing", clause="stored offer")
    server = members.optional_object(value, "server", clause="stored offer") or {}
    return offer, issuer, parse_authorization_server_metadata(server, issuer=str(server.get("issuer")))
