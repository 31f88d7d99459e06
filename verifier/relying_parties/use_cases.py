"""What is done with relying parties: register one, find one, its API keys, sign its staff in."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from verifier.relying_parties.ports import (
    ATTESTATION,
    MAX_LABEL_CHARACTERS,
    SCOPES,
    AccessKeys,
    ApiKeys,
    KeyTerms,
    KeyView,
    PartyId,
    RelyingParties,
    RelyingParty,
    registration_of,
)
from wallet_core.catalogue.policy import Policy
from wallet_core.errors import InvalidRequest, NotFound
from wallet_core.ports import UnitOfWork
from wallet_core.protocols.openid4vp.dcql import parse_dcql_query
from wallet_core.protocols.openid4vp.registration import Registration
from wallet_core.protocols.openid4vp.verifier_attestation import VerifierAttestation, verify_verifier_attestation
from wallet_core.protocols.openid4vp.verifier_info import Standing, judge_verifier, registration_info
from wallet_core.trust.anchors import AnchorPurpose, TrustAnchors
from wallet_core.trust.x509 import validate_dns_name, verify_chain

MAX_OVERLAP: Final = timedelta(days=90)
"""For how long an old and a new API key may be good together: a quarter is enough to change every program."""

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
        key_id, text = api_keys.create(party.id, KeyTerms("first", frozenset(SCOPES)), now=now)
    return RegisteredParty(party, key_id, text)


def file_registration(
    access_keys: AccessKeys,
    party: RelyingParty,
    policy: Policy,
    text: str,
    *,
    anchors: TrustAnchors,
    now: datetime,
) -> Registration:
    """Keep the registration certificate with which the party asks under ``policy``, and return what it says.

    It is judged as a wallet will: a trusted registrar signed it, about the number in the party's access certificate,
    and it has not ended. And it must cover what the policy asks, or wallets would warn of every request.

    Raises:
        InvalidRequest: no wallet would count it, or the policy asks for more.
        FalseRegistration: it is about another party.
        KeyUnavailable: the party has no access key, or the store cannot be written.
        UntrustedError, Expired, NotYetValid: wallets would refuse the access certificate.
    """
    chain, token = access_keys.chain(party.id), text.strip()
    certificate = verify_chain(chain, anchors, purpose=AnchorPurpose.VERIFIER_ACCESS, at=now)
    number = certificate.organization_id
    # vp-5.1-info-own
    judgement = judge_verifier(registration_info(token), () if number is None else (number,), anchors, now=now)
    if judgement.registration is None or judgement.standing is not Standing.REGISTERED:
        raise InvalidRequest("no wallet would count this registration: its registrar is not trusted, or it has ended")
    over = judgement.over_asked(parse_dcql_query(policy.dcql_query))
    if over:
        paths = ", ".join(f"{one.query_id}: {one.path}" for one in over)
        raise InvalidRequest("the policy asks for more than is registered", detail=f"{policy.id} asks for {paths}")
    access_keys.add_statement(party.id, registration_of(policy.id), token)
    return judgement.registration


def file_attestation(
    access_keys: AccessKeys, party: RelyingParty, text: str, *, anchors: TrustAnchors, now: datetime
) -> VerifierAttestation:
    """Keep the Verifier Attestation JWT with which the party asks under ``verifier_attestation``, and return it.

    Raises:
        InvalidRequest: it is of another key or number than the party's, or it restricts where answers go.
        KeyUnavailable: the party has no access key, or the store cannot be written.
        MalformedError, VerificationError: wallets would refuse it.
    """
    token, keys = text.strip(), access_keys.signing_keys(party.id)
    attestation = verify_verifier_attestation(token, anchors, at=now)
    # vp-5.9.3-own-attestation
    if not any(each.signer.public_key == attestation.key for each in keys):
        raise InvalidRequest("the attestation is of another key than the party's access key")
    certificate = verify_chain(keys[0].chain, anchors, purpose=AnchorPurpose.VERIFIER_ACCESS, at=now)
    # Its registrations are bound to the number in the certificate: under another one wallets would find them borrowed.
    if certificate.organization_id not in {None, attestation.subject}:
        raise InvalidRequest("the attestation is about another number than the access certificate")
    # 5.9.3: compared as a whole, and every request of ours has a response_uri of its own.
    if attestation.redirect_uris is not None:
        raise InvalidRequest("the attestation names where answers go, which here differs for every request")
    access_keys.add_statement(party.id, ATTESTATION, token)
    return attestation


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
    unit: UnitOfWork, api_keys: ApiKeys, party: RelyingParty, terms: KeyTerms, *, now: datetime
) -> tuple[str, str]:
    """Return the id and the text of a new API key of ``party``; the text is shown this once.

    Raises:
        InvalidRequest: it has no name, a scope that does not exist or none, or an end that is over.
    """
    _validate_terms(terms, now)
    with unit:
        return api_keys.create(party.id, terms, now=now)


def list_api_keys(unit: UnitOfWork, api_keys: ApiKeys, party: RelyingParty) -> Sequence[KeyView]:
    """Return every API key that ``party`` ever had, the newest first."""
    with unit:
        return api_keys.all(party.id)


def show_api_key(unit: UnitOfWork, api_keys: ApiKeys, party: RelyingParty, key_id: str) -> KeyView:
    """Return an API key of ``party``. Raises ``NotFound`` if it has no such key."""
    with unit:
        return api_keys.find(party.id, key_id)


def rotate_api_key(
    unit: UnitOfWork,
    api_keys: ApiKeys,
    party: RelyingParty,
    key_id: str,
    *,
    overlap: timedelta,
    expires_at: datetime | None = None,
    now: datetime,
) -> tuple[str, str]:
    """Return the id and the text of a new API key in place of an old one, which ends after ``overlap``.

    The new one has the old one's name and scopes. In between both are good, so that programs change one by one.

    Args:
        unit: one transaction: there is never only the old key's end.
        api_keys: of that unit.
        party: whose keys they are.
        key_id: of the old one.
        overlap: for how long both are good.
        expires_at: when the new one ends by itself; None: never.
        now: the present time.

    Raises:
        NotFound: the party has no such key.
        InvalidRequest: the old one is not good any more, or the overlap is negative or longer than
            :data:`MAX_OVERLAP`.
    """
    if not timedelta() <= overlap <= MAX_OVERLAP:
        raise InvalidRequest(f"both keys may be good for 0 to {MAX_OVERLAP.days} days")
    with unit:
        old = api_keys.find(party.id, key_id)
        if old.state(now) not in {"good", "ending"}:
            raise InvalidRequest("this API key is not good any more; make a new one")
        terms = KeyTerms(old.label, old.scopes, expires_at)
        _validate_terms(terms, now)
        made = api_keys.create(party.id, terms, now=now)
        api_keys.end(key_id, at=now + overlap)
    return made


def revoke_api_key(unit: UnitOfWork, api_keys: ApiKeys, party: RelyingParty, key_id: str, *, now: datetime) -> None:
    """Make an API key useless from now on.

    Raises:
        NotFound: the party has no such key, or it was revoked before.
    """
    with unit:
        api_keys.find(party.id, key_id)
        api_keys.revoke(key_id, now=now)


def sign_in(
    unit: UnitOfWork, parties: RelyingParties, api_keys: ApiKeys, api_key: str, *, now: datetime
) -> tuple[RelyingParty, str]:
    """Return the relying party whose ``api_key`` this is, and the key's id: how staff sign in to the console.

    Raises:
        InvalidToken: the key is unknown, expired or revoked.
        InsufficientScope: the key is not for the console.
        NotFound: its relying party is not registered.
    """
    with unit:
        party_id, key_id = api_keys.use(api_key, scope="console", now=now)
        party = parties.find(party_id)
    if party is None:
        raise NotFound("no such relying party")
    return party, key_id


def _validate_terms(terms: KeyTerms, now: datetime) -> None:
    if not 0 < len(terms.label) <= MAX_LABEL_CHARACTERS or not terms.label.isprintable():
        raise InvalidRequest(f"the name of an API key has 1 to {MAX_LABEL_CHARACTERS} printable characters")
    if not terms.scopes or not terms.scopes <= set(SCOPES):
        raise InvalidRequest(f"scopes are among {' '.join(SCOPES)}")
    if terms.expires_at is not None and terms.expires_at <= now:
        raise InvalidRequest("the end of an API key must be in the future")
