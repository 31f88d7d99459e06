"""Verification records: noted with the verdict, sealed a moment later, given out on demand.

A record is noted in the transaction of the verdict and sealed by a job within seconds: a signature for each answer
would cost the wallets that wait. Whoever asks earlier gets it sealed at once; whoever is first, one record is kept.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from verifier.presentations.ports import PresentationPorts, RecordParts, Storage, StoredPresentation, Unreadable
from verifier.presentations.use_cases.access_keys import signing_key
from verifier.relying_parties.ports import PartyId, RelyingParty
from wallet_core.errors import KeyUnavailable, NotFound, StateConflict, WalletError
from wallet_core.protocols.openid4vp import presentation as states
from wallet_core.protocols.openid4vp.client_id import ClientIdentifier
from wallet_core.protocols.openid4vp.presentation import Answered
from wallet_core.protocols.openid4vp.record import (
    SEED_BYTES,
    RecordNotes,
    disclosures,
    kept_by,
    note_answer,
    policy_members,
    seal_record,
    with_disclosures,
)
from wallet_core.protocols.openid4vp.response import VpToken
from wallet_core.protocols.openid4vp.statuses import DEFAULT_RULE
from wallet_core.protocols.openid4vp.stored import credentials_of
from wallet_core.protocols.openid4vp.validation import ValidatedResponse
from wallet_core.types import Json, JsonObject

SEAL_BATCH: Final = 200
"""Records that one job seals: a second's work where the key is in an HSM."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """Records that were made and are not stored yet, by presentation; what could not be made, and where to go on.

    Attributes:
        records: id of the presentation and sealed record.
        problems: why others could not be sealed, one text for each.
        following: the id after which more may wait; None if nothing does.
    """

    records: tuple[tuple[str, str], ...]
    problems: tuple[str, ...]
    following: str | None


def note(
    ports: PresentationPorts,
    stored: StoredPresentation,
    answer_body: bytes,
    vp_token: VpToken | None = None,
    validated: ValidatedResponse | None = None,
    *,
    now: datetime,
    trust: JsonObject,
    dc_api: JsonObject | None = None,
) -> RecordNotes:
    """Return what the record of an answer will need: what was sent, proved, and under what it was judged.

    ``now`` is when it was judged, and ``trust`` what ``trust_version`` said then; ``dc_api`` is
    ``record.dc_api_members`` of an answer that a browser's page brought.
    """
    policy = ports.policies.get(stored.policy_id or "")
    rule = DEFAULT_RULE if policy is None else policy.status
    circumstances: dict[str, Json] = {
        "program": ports.program,
        "trust": trust,
        "policy": None if policy is None else policy_members(policy),
        "extends": {} if validated is None else _extended(ports, validated),
        "status_rule": {"max_age_hours": rule.max_age_hours, "unknown": rule.unknown},
    }
    seed = ports.random(SEED_BYTES)
    return note_answer(answer_body, vp_token, validated, circumstances, seed=seed, now=now, dc_api=dc_api)


def _extended(ports: PresentationPorts, validated: ValidatedResponse) -> dict[str, Json]:
    shown = [one.type for several in validated.credentials.values() for one in several]
    return {name: [*sorted(ports.supertypes[name])] for name in shown if name in ports.supertypes}


def seal_waiting(ports: PresentationPorts, *, after: str = "") -> Sealed:
    """Seal what waits, at most :data:`SEAL_BATCH`. No transaction is open meanwhile, and nothing is stored yet.

    What cannot be sealed now (the key is away) waits on; of many under one key, one tries.
    """
    storage, now = ports.reading(), ports.clock.now()
    with storage.unit:
        waiting = storage.presentations.unsealed(after=after, limit=SEAL_BATCH)
    records: list[tuple[str, str]] = []
    problems: list[str] = []
    away: dict[tuple[PartyId, ClientIdentifier | None], str] = {}
    for parts in waiting:
        if isinstance(parts, Unreadable):
            problems.append(f"{parts.id} cannot be read: {parts.problem}")
            continue
        # A party's next key may be there where its last one is gone for good.
        key = parts.stored.party_id, parts.stored.state.terms.request.client_id
        if key in away:
            problems.append(away[key])
            continue
        try:
            records.append((parts.stored.id, _seal(ports, parts, now)))
        except WalletError as exc:
            problems.append(exc.detail)
            if isinstance(exc, KeyUnavailable):
                away[key] = exc.detail
    following = _id(waiting[-1]) if len(waiting) == SEAL_BATCH else None
    return Sealed(tuple(records), tuple(problems), following)


def _id(parts: RecordParts | Unreadable) -> str:
    return parts.id if isinstance(parts, Unreadable) else parts.stored.id


def keep_sealed(storage: Storage, sealed: Sealed) -> None:
    """Store records in the caller's transaction; one that was sealed meanwhile stays as it is."""
    for presentation_id, record in sealed.records:
        storage.presentations.keep_record(presentation_id, record)


def show_record(ports: PresentationPorts, party: RelyingParty, presentation_id: str, *, disclose: bool = False) -> str:
    """Return the sealed verification record of a presentation.

    Beside it lie the claims that the policy lets the party keep, while they are kept.

    Args:
        ports: what is needed.
        party: who asks.
        presentation_id: of the presentation.
        disclose: whether every claim that is still there shall lie beside it, whatever the policy.

    Raises:
        NotFound: the party has no such presentation, or nobody answered it.
        StateConflict: it has not ended.
        KeyUnavailable: it is not sealed yet, and cannot be now.
    """
    reading, now = ports.reading(), ports.clock.now()
    with reading.unit:
        parts = reading.presentations.record_of(PartyId(party.id), presentation_id)
    if parts is None:
        raise NotFound("there is no such presentation")
    record = parts.record or _seal_now(ports, parts, now)
    stored = parts.stored
    credentials = credentials_of(states.observe(stored.state, now=now))
    if credentials is None or parts.secrets is None:
        return record
    every = disclosures(credentials, parts.secrets)
    if not disclose:
        policy = ports.policies.get(stored.policy_id or "")
        every = kept_by(policy, stored.state.terms.request.dcql_query, every)
    return with_disclosures(record, every)


def _seal_now(ports: PresentationPorts, parts: RecordParts, now: datetime) -> str:
    if isinstance(states.observe(parts.stored.state, now=now), Answered):
        raise StateConflict("this presentation has not ended: there is a record when it has")
    if parts.notes is None:
        raise NotFound("nobody has answered this request: there is no record")
    sealed = _seal(ports, parts, now)
    storage = ports.storage()
    with storage.unit:
        kept = storage.presentations.keep_record(parts.stored.id, sealed)
    if kept is None:
        raise NotFound("there is no such presentation")
    return kept


def _seal(ports: PresentationPorts, parts: RecordParts, now: datetime) -> str:
    stored = parts.stored
    notes = parts.notes or b""  # there are notes wherever there is no record and somebody answered
    # An answer that nobody redeemed in time has ended, though no job may have written that down yet.
    state = states.observe(stored.state, now=now)
    key = signing_key(ports, stored.party_id, stored.state.terms.request.client_id)
    return seal_record(stored.id, stored.party_id, state, notes, key, now=now)
