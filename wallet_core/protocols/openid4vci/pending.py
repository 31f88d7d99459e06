"""What the wallet keeps between two flows of an issuance: values that survive a restart.

Each has ``to_json`` and ``from_json``. They hold codes, tokens and credentials, so they are sealed where they lie.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from wallet_core.errors import MalformedError
from wallet_core.keys.algorithms import PublicKey
from wallet_core.keys.jwk import parse_public_jwk, public_jwk
from wallet_core.protocols.oauth2.metadata import AuthorizationServer, parse_authorization_server_metadata
from wallet_core.protocols.oauth2.token import TokenResponse, parse_token_members
from wallet_core.protocols.openid4vci import members
from wallet_core.protocols.openid4vci.metadata import (
    CredentialConfiguration,
    CredentialIssuerMetadata,
    parse_credential_issuer_metadata,
)
from wallet_core.protocols.openid4vci.offer import CredentialOffer, parse_credential_offer
from wallet_core.types import CredentialConfigurationId, Json, JsonObject


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
class ProofsToSign:
    """Every proof the holder's keys must sign before the credentials can be asked for.

    ``pending`` are the configurations still to be asked for, ``issued`` what already came. ``renewed`` tells that the
    issuer has asked for a fresh nonce once.
    """

    offer: ResolvedOffer
    token: TokenResponse
    pending: tuple[CredentialConfigurationId, ...]
    proofs: tuple[ProofToSign, ...]
    issued: tuple[IssuedBatch, ...] = ()
    renewed: bool = False

    def to_json(self) -> JsonObject:
        """Return everything as it is stored until the keys have signed. It holds the access token: seal it."""
        return {
            "resolved": self.offer.to_json(),
            "token": self.token.to_json(),
            "pending": list(self.pending),
            "proofs": [proof.to_json() for proof in self.proofs],
            "issued": [batch.to_json() for batch in self.issued],
            "renewed": self.renewed,
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
        )


@dataclass(frozen=True, slots=True)
class IssuedCredentials:
    """What the issuer sent. Nothing in it is verified yet.

    ``failures`` names the configurations that were asked for in vain, with the error of each.
    """

    offer: ResolvedOffer
    token: TokenResponse
    batches: tuple[IssuedBatch, ...]
    failures: Mapping[CredentialConfigurationId, str] = field(default_factory=dict)

    def to_json(self) -> JsonObject:
        """Return everything as it is stored until the issuer was notified. It holds credentials: seal it."""
        return {
            "resolved": self.offer.to_json(),
            "token": self.token.to_json(),
            "batches": [batch.to_json() for batch in self.batches],
            "failures": {str(name): error for name, error in self.failures.items()},
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
        )


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
