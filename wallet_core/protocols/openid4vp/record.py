"""Verification records: what a relying party can show years later (``specs/verification-record.md``).

A record is an SD-JWT (RFC 9901) under the party's access key. Of each claim that was shown it holds a salted digest,
so one signature serves for all time: where claims may be kept the disclosures lie beside it, and where they go, they go
without breaking the seal.

It comes about in two steps. :func:`note_answer` catches, when an answer is judged, what nothing else keeps.
:func:`seal_record` later joins that with what the presentation itself says, and signs.
"""

import hashlib
import hmac
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeAlias

from wallet_core import spec_versions as spec
from wallet_core.catalogue.policy import Policy
from wallet_core.encoding import base64url, strict_json
from wallet_core.errors import MalformedError
from wallet_core.formats.sd_jwt.disclosure import DEFAULT_DIGEST_ALGORITHM, SD, SD_ALG, refuse_reserved_names
from wallet_core.jose import jws
from wallet_core.keys.signer import CertifiedSigner
from wallet_core.protocols.openid4vp.dcql import DcqlQuery
from wallet_core.protocols.openid4vp.presentation import (
    Credentials,
    Expired,
    Presentation,
    Refused,
    Verified,
)
from wallet_core.protocols.openid4vp.presented import PresentedCredential
from wallet_core.protocols.openid4vp.response import VpToken
from wallet_core.protocols.openid4vp.stored import MAX_STORED_DEPTH
from wallet_core.protocols.openid4vp.validation import ValidatedResponse
from wallet_core.trust.status_list.judging import StatusFinding
from wallet_core.trust.x509 import format_x5c
from wallet_core.types import Json, JsonObject
from wallet_core.values import statically_frozen

VERSION: Final = 1
"""Version of the form of records."""

SEED_BYTES: Final = 32
"""Bytes of the secret from which the salts of one record are drawn."""

MAX_RECORD_CHARACTERS: Final = 8 << 20
"""Characters of a record with its disclosures; one with a portrait has about 100 000."""

MAX_RECORD_DISCLOSURES: Final = 20_000
"""Disclosures of one record: as many claims as an answer can hold."""

_MAX_PAYLOAD_BYTES: Final = 4 << 20
_SALT_BYTES, _SALT_CHARACTERS = 18, 24
_INDEX: Final = "idx"
_SEED: Final = "seed"
_SALT: Final = "salt"  # its name when salts were drawn by path

Place = tuple[str, int]
"""Of a credential in a record: its Credential Query and its number among the answers to it."""

_Leaf: TypeAlias = tuple[tuple[str, ...], Json]  # the path of a claim, and its value; no path: the place in a list


@statically_frozen
class RecordNotes:
    """What is caught when an answer is judged.

    Attributes:
        body: what goes into the record as it is; no claim in it.
        secrets: what opens its digests, to be sealed and kept no longer than the claims; None if there is no claim.
    """

    body: bytes
    secrets: bytes | None


@dataclass(frozen=True, slots=True)
class Disclosed:
    """One disclosure of a record: whose, which claim (no ``path``: the place in a status list), and its text."""

    place: Place
    path: tuple[str, ...]
    text: str

    @property
    def is_index(self) -> bool:
        """Whether it opens the place in a status list."""
        return not self.path


@dataclass(frozen=True, slots=True)
class ParsedRecord:
    """A record taken apart. Nothing in it is verified."""

    unverified: jws.UnverifiedJws
    payload: JsonObject
    disclosures: tuple[str, ...]


# --- in the moment ----------------------------------------------------------------------------------------------------


def note_answer(
    answer_body: bytes,
    vp_token: VpToken | None,
    validated: ValidatedResponse | None,
    circumstances: Mapping[str, Json],
    *,
    seed: bytes,
    now: datetime,
    dc_api: JsonObject | None = None,
) -> RecordNotes:
    """Return what a record will need of an answer.

    Args:
        answer_body: the answer as it came.
        vp_token: the presentations in it; None if the wallet said no.
        validated: what they proved; None if they were refused.
        circumstances: members of the record that say under which trust, policy and program it was judged.
        seed: a fresh secret of :data:`SEED_BYTES`.
        now: the moment.
        dc_api: :func:`dc_api_members` of an answer that came over the Digital Credentials API.
    """
    answer: JsonObject = {"received_at": _seconds(now), "sha256": _digest(answer_body)}
    if dc_api is not None:
        answer["dc_api"] = dc_api
    if vp_token is not None:
        answer["presentations"] = {
            str(query_id): [_digest(text.encode()) for text in texts] for query_id, texts in vp_token.items()
        }
    body: dict[str, Any] = {"answer": answer, **circumstances}
    if validated is None:
        return RecordNotes(strict_json.dumps(body), None)
    # A state that expires before anybody redeemed it forgets its checks.
    body["checks"] = strict_json.prepared(validated.checks.json)
    credentials: JsonObject = {}
    indices: JsonObject = {}
    for query_id, several in validated.credentials.items():
        places = [(str(query_id), number) for number in range(len(several))]
        credentials[str(query_id)] = [_credential(one, place, seed) for one, place in zip(several, places, strict=True)]
        indices[str(query_id)] = [None if one.status.evidence is None else one.status.evidence.index for one in several]
    body["credentials"] = credentials
    secrets: JsonObject = {_SEED: base64url.encode(seed), _INDEX: indices}
    return RecordNotes(strict_json.dumps(body), strict_json.dumps(secrets))


def dc_api_members(protocol: str, origin: str, encryption_info: str | None) -> JsonObject:
    """Return what a record says of the call that brought an answer: its holder signed over these, not over an address.

    ``encryption_info`` is that of the ISO protocol; None of the others.
    """
    members: JsonObject = {"protocol": protocol, "origin": origin}
    return members if encryption_info is None else {**members, "encryption_info": encryption_info}


def policy_members(policy: Policy) -> JsonObject:
    """Return what a record says of the policy that was followed: which version, and what it tells people."""
    return {
        "id": policy.id,
        "sha256": base64url.encode(policy.digest),
        "purpose": _both(policy.purpose.ko, policy.purpose.en),
        "retention": _both(policy.retention.text.ko, policy.retention.text.en),
        "claims_days": policy.retention.claims_days,
        "record_days": policy.retention.record_days,
    }


def _both(korean: str, english: str) -> JsonObject:
    return {"ko": korean, "en": english}


def _credential(one: PresentedCredential, place: Place, seed: bytes) -> JsonObject:
    certificate, evidence = one.certificate, one.status.evidence
    claims = one.claims if _can_be_recorded(one.claims) else None
    leaves = _leaves(claims, None if evidence is None else evidence.index)
    texts = _conceal(leaves, _salts(seed, place, len(leaves)))
    # In the order of the leaves, in which they are taken below: first by the status, then by the claims.
    digests = iter(base64url.encode_each([hashlib.sha256(text).digest() for text in texts]))
    members: JsonObject = {
        "format": one.format,
        "type": one.type,
        "issuer": one.issuer,
        "issuer_name": one.issuer_name,
        "valid_until": None if one.valid_until is None else _seconds(one.valid_until),
        "holder_bound": one.holder_bound,
        "status": _status(one.status, digests),
        "claims": None if claims is None else _hidden(claims, digests),
    }
    if certificate is not None:
        members["x5c"] = [*format_x5c(certificate.chain)]
        members["anchor_sha256"] = base64url.encode(certificate.anchor_sha256)
    return members


def _status(finding: StatusFinding, digests: Iterator[str]) -> JsonObject:
    members: JsonObject = {
        "status": finding.status,
        "fetched_at": None if finding.checked_at is None else _seconds(finding.checked_at),
    }
    if (seen := finding.evidence) is not None:
        members["list"] = {
            "uri": seen.uri,
            "iat": _seconds(seen.issued_at),
            "exp": None if seen.expires_at is None else _seconds(seen.expires_at),
            "sha256": base64url.encode(seen.token_sha256),
            # The place in the list tells one credential from another: it is hidden like a claim.
            SD: [next(digests)],
        }
    return members


def _can_be_recorded(claims: JsonObject) -> bool:
    try:
        refuse_reserved_names(claims)
    except ValueError:
        # An mdoc may use names that mean something else here.
        return False
    return True


def _leaves(claims: JsonObject | None, index: int | None) -> list[_Leaf]:
    """Return everything of a credential that a record hides: its place in a status list, then its claims."""
    leaves: list[_Leaf] = [] if index is None else [((), index)]
    if claims is not None:
        _add_claims(leaves, claims, ())
    return leaves


def _add_claims(leaves: list[_Leaf], claims: JsonObject, path: tuple[str, ...]) -> None:
    for name, value in claims.items():
        if isinstance(value, dict) and value:
            _add_claims(leaves, value, (*path, name))
        else:
            leaves.append(((*path, name), value))


def _conceal(leaves: Sequence[_Leaf], salts: Sequence[str]) -> list[bytes]:
    """Return the disclosure of each leaf."""
    contents = [[salt, path[-1] if path else _INDEX, value] for salt, (path, value) in zip(salts, leaves, strict=True)]
    return base64url.encode_all(strict_json.dumps_each(contents))


def _salts(seed: bytes, place: Place, count: int) -> list[str]:
    # One secret for all salts: it is small enough to be kept apart from the claims, and goes when they go. Nobody who
    # is shown one part of what SHAKE256 draws from it can tell another.
    drawn = base64url.encode(hashlib.shake_256(seed + strict_json.dumps(place)).digest(_SALT_BYTES * count))
    return [drawn[at : at + _SALT_CHARACTERS] for at in range(0, len(drawn), _SALT_CHARACTERS)]


def _salts_by_path(secret: bytes, place: Place, leaves: Sequence[_Leaf]) -> list[str]:
    # Of records that were noted before salts were drawn in one go. To be deleted when no policy keeps claims as old.
    drawn = [hmac.digest(secret, strict_json.dumps([*place, *path]), "sha256") for path, _ in leaves]
    return [base64url.encode(each[:_SALT_BYTES]) for each in drawn]


def _hidden(claims: JsonObject, digests: Iterator[str]) -> JsonObject:
    """Return claims with the next digest in place of every value."""
    visible: JsonObject = {}
    hidden: list[str] = []
    for name, value in claims.items():
        if isinstance(value, dict) and value:
            visible[name] = _hidden(value, digests)
        else:
            hidden.append(next(digests))
    if hidden:
        # RFC 9901 4.2.4.1: the order must not give away that of the claims.
        visible[SD] = [*sorted(hidden)]
    return visible


# --- later ------------------------------------------------------------------------------------------------------------


def seal_record(
    presentation_id: str, party_id: str, state: Presentation, notes: bytes, key: CertifiedSigner, *, now: datetime
) -> str:
    """Return the sealed record of a presentation that has ended, without disclosures.

    Args:
        presentation_id: its id.
        party_id: whose it is.
        state: where it ended.
        notes: ``body`` of what :func:`note_answer` gave.
        key: the access key that the request's Client Identifier names.
        now: becomes ``iat``.

    Raises:
        MalformedError: the notes cannot be read.
        KeyUnavailable: the key cannot sign now.
        ValueError: the presentation has not ended (a mistake of our own code).
    """
    caught = strict_json.loads_object(
        notes, what="the notes of a record", max_bytes=_MAX_PAYLOAD_BYTES, max_depth=MAX_STORED_DEPTH
    )
    terms = state.terms
    refused = state.checks if isinstance(state, Refused) else ()
    payload: JsonObject = {
        "checks": [check.to_json() for check in refused],
        **caught,
        "version": VERSION,
        "id": presentation_id,
        "iat": _seconds(now),
        "party": party_id,
        "request": {
            "parameters": terms.request.to_json(),
            "flow": str(terms.flow),
            "asked_at": _seconds(terms.created_at),
            "expires_at": _seconds(terms.expires_at),
        },
        "result": _result(state),
        SD_ALG: DEFAULT_DIGEST_ALGORITHM,
    }
    header = {
        "alg": key.signer.public_key.algorithm.value,
        "typ": spec.TYP_VERIFICATION_RECORD,
        "x5c": format_x5c(key.chain),
    }
    data = jws.signing_input(header, strict_json.dumps_sorted(payload))
    return f"{jws.attach_signature(data, key.signer.sign(data))}~"


def disclosures(credentials: Credentials, secrets: bytes) -> list[Disclosed]:
    """Return every disclosure of a record while its claims are kept.

    Args:
        credentials: all the claims, in the order in which they were noted: a salt goes by the place of its claim.
        secrets: what :func:`note_answer` gave.

    Raises:
        MalformedError: the secrets cannot be read.
    """
    members = strict_json.loads_object(secrets, what="the secrets of a record")
    by_path = _SALT in members
    secret, indices = members.get(_SALT if by_path else _SEED), members.get(_INDEX)
    if not isinstance(secret, str) or not isinstance(indices, dict):
        raise MalformedError("the secrets of a record cannot be read")
    seed = base64url.decode(secret, what="the secret of a record")
    found: list[Disclosed] = []
    for query_id, several in credentials.items():
        numbers = indices.get(str(query_id))
        for number, one in enumerate(several):
            place, index = (str(query_id), number), numbers[number] if isinstance(numbers, list) else None
            claims = one.claims if _can_be_recorded(one.claims) else None
            leaves = _leaves(claims, index if isinstance(index, int) else None)
            salts = _salts_by_path(seed, place, leaves) if by_path else _salts(seed, place, len(leaves))
            texts = _conceal(leaves, salts)
            found += [
                Disclosed(place, path, text.decode("ascii")) for (path, _), text in zip(leaves, texts, strict=True)
            ]
    return found


def kept_by(policy: Policy | None, query: DcqlQuery, every: Iterable[Disclosed]) -> list[Disclosed]:
    """Return the disclosures of the claims that a policy lets the party keep; none without a policy."""
    if policy is None or policy.retention.claims_days == 0:
        return []
    ids = {claim_id for ask in policy.asks if ask.kept for claim_id in ask.claims}
    return [one for one in every if not one.is_index and _is_kept(query, ids, one)]


def with_disclosures(record: str, opened: Sequence[Disclosed]) -> str:
    """Return a record with disclosures beside it.

    Raises:
        ValueError: one of them belongs to another record (a mistake of our own code): it would show nothing, but
            could tell the salt of another claim.
    """
    payload = parse_record(record).unverified.payload
    if not all(_digest(one.text.encode("ascii")).encode("ascii") in payload for one in opened):
        raise ValueError("a disclosure does not belong to this record")
    return record + "".join(f"{one.text}~" for one in opened)


def parse_record(text: str) -> ParsedRecord:
    """Take a record apart; the file may end in a line break.

    Raises:
        MalformedError: it is not of this form.
    """
    if len(text) > MAX_RECORD_CHARACTERS:
        raise MalformedError(f"the record is longer than {MAX_RECORD_CHARACTERS} characters")
    token, *disclosed = text.strip().split("~")
    if not disclosed or disclosed.pop() or len(disclosed) > MAX_RECORD_DISCLOSURES:
        raise MalformedError("this is not a verification record", clause="specs/verification-record.md 1")
    unverified = jws.parse(token, what="verification record", max_characters=MAX_RECORD_CHARACTERS)
    payload = strict_json.loads_object(
        unverified.payload, what="verification record", max_bytes=_MAX_PAYLOAD_BYTES, max_depth=MAX_STORED_DEPTH
    )
    return ParsedRecord(unverified, payload, tuple(disclosed))


def asks_for(path: Sequence[str], claim_path: Sequence[str | int | None]) -> bool:
    """Return whether a claim at ``path`` of a record is, holds, or is part of what a Claims Path Pointer asks for."""
    return all(name == asked for name, asked in zip(path, claim_path, strict=False) if isinstance(asked, str))


def _is_kept(query: DcqlQuery, ids: set[str], one: Disclosed) -> bool:
    asked = query.credential(one.place[0])
    return asked is not None and any(claim.id in ids and asks_for(one.path, claim.path) for claim in asked.claims)


def _result(state: Presentation) -> JsonObject:
    members: JsonObject = {"state": state.kind}
    match state:
        case Verified():
            members["at"] = _seconds(state.verified_at)
        case Refused():
            members |= {"at": _seconds(state.refused_at), "error": state.error, "description": state.description}
            members["clause"] = state.clause
        case Expired():
            members["at"] = _seconds(state.expired_at)
        case _:
            raise ValueError("the presentation has not ended")
    return members


def _digest(data: bytes) -> str:
    return base64url.encode(hashlib.sha256(data).digest())


def _seconds(time: datetime) -> int:
    return int(time.timestamp())
