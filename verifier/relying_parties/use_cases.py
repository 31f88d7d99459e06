"""What is done with relying parties: register one, find one, give it an API key, sign its staff in."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from verifier.ports import UnitOfWork
from verifier.relying_parties.ports import (
    SCOPES,
    AccessKeys,
    ApiKeys,
    PartyId,
    RelyingParties,
    RelyingParty,
)
from wallet_core.errors import InvalidRequest, NotFound
from wallet_core.trust.anchors import AnchorPurpose, TrustAnchors
from wallet_core.trust.x509 import validate_dns_name, verify_chain

_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,62}\Z")


@dataclass(frozen=True, slots=True)
class RegisteredParty:
    """A relying party just registered, with its API key, which is shown this once."""

    party: RelyingParty
    api_key_id: str
    api_key: str


def register_party(
    unit: UnitOfWork,
    parties: RelyingParties,
    api_keys: ApiKeys,
    access_keys: AccessKeys,
    party: RelyingParty,
    *,
    anchors: TrustAnchors,
    public_url: str,
    now: datetime,
) -> RegisteredParty:
    """Register a relying party and return it with a new API key. Doing it again gives a further key.

    The access certificate is checked as a wallet will: it leads to an anchor and names our host (OpenID4VP 5.9.3, M29).

    Raises:
        InvalidRequest: the id is not made of a-z, 0-9 and hyphen.
        KeyUnavailable: the key store has no access key with certificate under its id.
        UntrustedError, Expired, NotYetValid: wallets would refuse the certificate.
    """
    if not _ID.match(party.id):
        raise InvalidRequest("the id of a relying party has only a-z, 0-9 and hyphen")
    access_keys.signer(party.id)
    chain = access_keys.chain(party.id)
    # vp-5.9.3-own-certificate
    certificate = verify_chain(chain, anchors, purpose=AnchorPurpose.VERIFIER_ACCESS, at=now)
    # vp-5.9.3-own-host
    validate_dns_name(certificate, urlsplit(public_url).hostname or "")
    with unit:
        parties.add(party, now=now)
        key_id, text = api_keys.create(party.id, label="first", scopes=SCOPES, now=now)
    return RegisteredParty(party, key_id, text)


def find_party(unit: UnitOfWork, parties: RelyingParties, party_id: str) -> RelyingParty:
    """Return a registered relying party.

    Raises:
        NotFound: it is not registered.
    """
    with unit:
        party = parties.find(PartyId(party_id))
    if party is None:
        raise NotFound("no such relying party")
    return party


def create_api_key(
    unit: UnitOfWork, api_keys: ApiKeys, party: RelyingParty, *, label: str, scopes: Collection[str], now: datetime
) -> tuple[str, str]:
    """Return the id and the text of a new API key of ``party``; the text is shown this once.

    Raises:
        InvalidRequest: a scope that does not exist.
    """
    if not scopes or not set(scopes) <= set(SCOPES):
        raise InvalidRequest(f"scopes are among {' '.join(SCOPES)}")
    with unit:
        return api_keys.create(party.id, label=label, scopes=scopes, now=now)


def revoke_api_key(unit: UnitOfWork, api_keys: ApiKeys, key_id: str, *, now: datetime) -> None:
    """Make an API key useless from now on. Raises ``NotFound`` if there is none, or it was revoked before."""
    with unit:
        api_keys.revoke(key_id, now=now)


def sign_in(
    unit: UnitOfWork, parties: RelyingParties, api_keys: ApiKeys, api_key: str, *, now: datetime
) -> RelyingParty:
    """Return the relying party whose ``api_key`` this is: how staff sign in to the console.

    Raises:
        InvalidToken: the key is unknown, expired or revoked.
        InsufficientScope: the key is not for the console.
        NotFound: its relying party is not registered.
    """
    with unit:
        party = parties.find(api_keys.owner(api_key, scope="console", now=now))
    if party is None:
        raise NotFound("no such relying party")
    return party
