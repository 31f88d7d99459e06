"""``verifier_info``: what others attest of the Verifier, and what that makes of its request (OpenID4VP 1.0, 5.1).

The invariant: nothing in it counts before its signature verified and it was found to be about the Verifier that asks.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, Self

from wallet_core import spec_versions as spec
from wallet_core.errors import (
    Expired,
    FalseRegistration,
    InvalidRequest,
    MalformedError,
    NotYetValid,
    UntrustedError,
    VerificationError,
)
from wallet_core.protocols.openid4vp.dcql import CredentialQuery, DcqlQuery
from wallet_core.protocols.openid4vp.registration import Registration, verify_registration
from wallet_core.trust.anchors import TrustAnchors
from wallet_core.types import ClaimsPath, Json, JsonObject, QueryId

MAX_ATTESTATIONS: Final = 16
"""Entries of ``verifier_info`` that are taken; honest Verifiers send one or two. Each may cost two signatures."""

_CLAUSE: Final = "OpenID4VP 5.1"


@dataclass(frozen=True, slots=True)
class VerifierInfo:
    """One attestation about the Verifier, as it came. ``credential_ids`` is None where it is about everything."""

    format: str
    data: str | JsonObject
    credential_ids: tuple[QueryId, ...] | None = None

    def to_json(self) -> JsonObject:
        """Return the entry of ``verifier_info``."""
        entry: JsonObject = {"format": self.format, "data": self.data}
        return entry if self.credential_ids is None else {**entry, "credential_ids": [*self.credential_ids]}


def registration_info(token: str | None) -> tuple[VerifierInfo, ...]:
    """Return the ``verifier_info`` that brings a registration certificate about everything; empty without one."""
    return () if token is None else (VerifierInfo(spec.VERIFIER_INFO_REGISTRATION, token),)


class Standing(StrEnum):
    """What the registers whom we trust say of whoever asks."""

    REGISTERED = "registered"
    EXPIRED = "expired"
    UNREGISTERED = "unregistered"


@dataclass(frozen=True, slots=True)
class RegisteredUse:
    """A registration and the Credential Queries it is about; None: all."""

    registration: Registration
    credential_ids: tuple[QueryId, ...] | None

    def covers(self, credential: CredentialQuery, path: ClaimsPath | None) -> bool:
        """Return whether a Credential Query may ask for ``path`` by this registration; None asks for no claim."""
        about = self.credential_ids is None or credential.id in self.credential_ids
        return about and self.registration.covers(credential, path)

    def to_json(self) -> JsonObject:
        """Return the value for storage."""
        ids: Json = None if self.credential_ids is None else [*self.credential_ids]
        return {"claims": self.registration.source, "credential_ids": ids}

    @classmethod
    def from_json(cls, value: Json) -> Self:
        """Return the value that was stored. Raises ``MalformedError`` for anything else."""
        if not isinstance(value, dict) or not isinstance(claims := value.get("claims"), dict):
            raise MalformedError("a stored registration cannot be read")
        ids = value.get("credential_ids")
        return cls(
            Registration.from_json(claims),
            None if not isinstance(ids, list) else tuple(QueryId(str(one)) for one in ids),
        )


@dataclass(frozen=True, slots=True)
class AskedClaim:
    """A claim that a Credential Query asks for; ``path`` is None where it asks for the credential and no claim."""

    query_id: QueryId
    path: ClaimsPath | None


@dataclass(frozen=True, slots=True)
class CoveringUse:
    """A registered use, and what of a request it covers: never nothing."""

    use: RegisteredUse
    claims: tuple[AskedClaim, ...]


@dataclass(frozen=True, slots=True)
class VerifierJudgement:
    """What ``verifier_info`` makes of a request. ``uses`` are verified; with ``EXPIRED`` they no longer count."""

    standing: Standing = Standing.UNREGISTERED
    uses: tuple[RegisteredUse, ...] = ()

    @property
    def registration(self) -> Registration | None:
        """The first registration. Of a request, ``covering`` tells what each covers: the first may cover nothing."""
        return self.uses[0].registration if self.uses else None

    def covering(self, query: DcqlQuery) -> tuple[CoveringUse, ...]:
        """Return each use that covers something of ``query``, with that; none where nobody is registered."""
        if self.standing is not Standing.REGISTERED:
            return ()
        found = (
            CoveringUse(
                use,
                tuple(AskedClaim(one.id, path) for one, path in _asked_claims(query) if use.covers(one, path)),
            )
            for use in self.uses
        )
        return tuple(each for each in found if each.claims)

    def over_asked(self, query: DcqlQuery) -> tuple[AskedClaim, ...]:
        """Return each claim of ``query`` that the registrations do not cover; none where nobody is registered."""
        if self.standing is not Standing.REGISTERED:
            return ()
        return tuple(
            AskedClaim(one.id, path)
            for one, path in _asked_claims(query)
            if not any(use.covers(one, path) for use in self.uses)
        )

    def to_json(self) -> JsonObject:
        """Return the value for storage."""
        return {"standing": str(self.standing), "uses": [use.to_json() for use in self.uses]}

    @classmethod
    def from_json(cls, value: Json) -> Self:
        """Return the value that was stored; absent is unregistered. Raises ``MalformedError`` for anything else."""
        if value is None:
            return cls()
        uses = value.get("uses") if isinstance(value, dict) else None
        try:
            standing = Standing(str(value.get("standing"))) if isinstance(value, dict) else None
        except ValueError as exc:
            raise MalformedError("a stored registration cannot be read") from exc
        if standing is None or not isinstance(uses, list):
            raise MalformedError("a stored registration cannot be read")
        return cls(standing, tuple(RegisteredUse.from_json(use) for use in uses))


def parse_verifier_info(value: Json, query: DcqlQuery) -> tuple[VerifierInfo, ...]:
    """Return the attestations in ``verifier_info``, of formats that are unknown here too. Nothing is verified.

    Raises:
        InvalidRequest: not a non-empty array of objects of the form of 5.1, or one names a credential nobody asks for.
    """
    # vp-5.1-info-array
    if not isinstance(value, list) or not 0 < len(value) <= MAX_ATTESTATIONS:
        raise InvalidRequest(f"verifier_info is not an array of 1 to {MAX_ATTESTATIONS} attestations", clause=_CLAUSE)
    return tuple(_parse_entry(entry, query) for entry in value)


def judge_verifier(
    infos: Sequence[VerifierInfo], registered_as: Collection[str], anchors: TrustAnchors, *, now: datetime
) -> VerifierJudgement:
    """Return what the registration certificates in ``verifier_info`` make of the Verifier.

    One that counts suffices. Unknown formats, registrars whom nobody here trusts, and certificates of a form that is
    not read here say nothing: the Verifier may be registered elsewhere too.

    Args:
        infos: the attestations.
        registered_as: the registered numbers under which the Verifier was authenticated; empty if it was not.
        anchors: which registrars are trusted.
        now: the time.

    Raises:
        FalseRegistration: no certificate counts, and a registrar whom we trust seems to have made one that is false or
            somebody else's: that is no oversight.
    """
    uses: list[RegisteredUse] = []
    false: FalseRegistration | None = None
    for info in infos:
        # 5.1: the Wallet decides which attestations it uses; those of formats it does not know it SHOULD ignore.
        # vp-5.1-info-unknown
        if info.format != spec.VERIFIER_INFO_REGISTRATION or not isinstance(info.data, str):
            continue
        try:
            use = RegisteredUse(_own_registration(info.data, registered_as, anchors, now), info.credential_ids)
        except FalseRegistration as exc:
            false = exc
        except (UntrustedError, Expired, NotYetValid, MalformedError):
            continue
        else:
            uses.append(use)
    # reg-5.2.4-end
    valid = tuple(use for use in uses if now < use.registration.expires_at)
    if valid:
        return VerifierJudgement(Standing.REGISTERED, valid)
    if false is not None:
        raise false
    return VerifierJudgement(Standing.EXPIRED, tuple(uses)) if uses else VerifierJudgement()


def _asked_claims(query: DcqlQuery) -> Iterator[tuple[CredentialQuery, ClaimsPath | None]]:
    for credential in query.credentials:
        paths: Sequence[ClaimsPath | None] = [claim.path for claim in credential.claims] or [None]
        yield from ((credential, path) for path in paths)


def _own_registration(token: str, registered_as: Collection[str], anchors: TrustAnchors, now: datetime) -> Registration:
    try:
        registration = verify_registration(token, anchors, at=now)
    except (UntrustedError, Expired, NotYetValid):
        raise
    except VerificationError as exc:
        raise FalseRegistration(
            "the registration of the verifier is false", detail=exc.detail, clause=exc.clause
        ) from exc
    # 5.1: a Wallet that uses what is in verifier_info "MUST validate the signature and ensure binding".
    # vp-5.1-info-binding
    if registration.identifier not in registered_as:
        raise FalseRegistration("the registration is of another verifier", clause=_CLAUSE)
    return registration


def _parse_entry(value: Json, query: DcqlQuery) -> VerifierInfo:
    if not isinstance(value, dict):
        raise InvalidRequest("an attestation in verifier_info is not an object", clause=_CLAUSE)
    name, data = value.get("format"), value.get("data")
    # vp-5.1-info-format
    if not isinstance(name, str) or not name:
        raise InvalidRequest("an attestation in verifier_info has no format", clause=_CLAUSE)
    # vp-5.1-info-data
    if not isinstance(data, str | dict) or not data:
        raise InvalidRequest("an attestation in verifier_info has no data", clause=_CLAUSE)
    if "credential_ids" not in value:
        return VerifierInfo(name, data)
    ids = value["credential_ids"]
    # vp-5.1-info-credentials
    if not isinstance(ids, list) or not ids or not all(isinstance(one, str) and query.credential(one) for one in ids):
        raise InvalidRequest("an attestation in verifier_info is about a credential nobody asks for", clause=_CLAUSE)
    return VerifierInfo(name, data, tuple(QueryId(str(one)) for one in ids))
