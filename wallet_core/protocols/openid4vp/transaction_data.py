"""Transaction data: what a person agrees to with a presentation (OpenID4VP 1.0 sections 5.1, 8.4, B.2.1 and B.3.3).

The invariant: an entry is kept as the text in which it came, for what binds it is a hash of that very text.

```text
request ──parse_transaction_data──▶ entries ──understand──▶ Transactions (for the consent screen)
                                       └──(the person agrees) bind──▶ BoundTransactions, into one Key Binding JWT each
                                       └──(the Verifier) validate_agreement──▶ which credential agreed to which entry
```
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final, TypeAlias

from wallet_core import spec_versions as spec
from wallet_core.catalogue.transaction import TransactionType, TransactionValues
from wallet_core.encoding import base64url, strict_json
from wallet_core.errors import InvalidTransactionData, MalformedError, QueryNotSatisfied, VerificationError
from wallet_core.protocols.openid4vp.checks import CheckStep
from wallet_core.protocols.openid4vp.dcql import CredentialQuery, DcqlQuery
from wallet_core.protocols.openid4vp.matching import ApprovedDisclosure, Matches, SetMatch
from wallet_core.types import Json, JsonObject, QueryId
from wallet_core.values import statically_frozen

DEFAULT_HASH: Final = "sha-256"
"""B.3.3.1: the hash where the request names none, which every implementation has."""

HASHES: Final[Mapping[str, str]] = MappingProxyType({"sha-256": "sha256", "sha-384": "sha384", "sha-512": "sha512"})
"""Names of the IANA "Named Information Hash Algorithm" registry with what computes them here, best liked first."""

MAX_ENTRIES: Final = 8
"""Transactions of one request: a person reads each of them."""

MAX_CHARACTERS: Final = 8192
"""Characters of one entry; the longest of our types with every member at its bound has about 5000."""

_CLAUSE: Final = "OpenID4VP 5.1"

TransactionTypes: TypeAlias = Mapping[str, TransactionType]
"""What is understood here, by the value of ``type``."""

NO_TYPES: Final[TransactionTypes] = MappingProxyType({})
"""Whoever says nothing understands no type: every entry is refused then."""


@dataclass(frozen=True, slots=True)
class TransactionData:
    """One entry of ``transaction_data``; whether its type is known is another question.

    Attributes:
        text: as it came, base64url; what is hashed.
        type: its type.
        credential_ids: the Credential Queries with one of which it may be agreed.
        hashes: the hash algorithms it may be bound by; the default where it names none.
        names_hash: whether it names them, so that the answer must too.
        members: the whole JSON object.
    """

    text: str
    type: str
    credential_ids: tuple[QueryId, ...]
    hashes: tuple[str, ...]
    names_hash: bool
    members: JsonObject = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Transaction:
    """An entry that is understood: its type and the values of the type's members."""

    data: TransactionData
    type: TransactionType
    values: TransactionValues


@dataclass(frozen=True, slots=True)
class BoundTransactions:
    """What one Key Binding JWT says (B.3.3.1). ``algorithm`` is None where the request did not name one."""

    hashes: tuple[str, ...]
    algorithm: str | None


@statically_frozen
class PresentedBinding:
    """The Key Binding JWT of one verified presentation: for which query, and its payload; None without one."""

    query_id: QueryId
    key_binding: JsonObject | None


def create_transaction_data(members: JsonObject) -> str:
    """Return an entry as it travels. Raises ``InvalidTransactionData`` if JSON cannot say it."""
    try:
        return base64url.encode(strict_json.dumps(members))
    except TypeError as exc:
        raise InvalidTransactionData("transaction data holds what JSON cannot say", clause=_CLAUSE) from exc


def create_transactions(
    transactions: Sequence[JsonObject], query: DcqlQuery, types: TransactionTypes
) -> tuple[TransactionData, ...]:
    """Return what a Verifier asks to be agreed to, as the entries of its request; none if there are none.

    Args:
        transactions: as JSON objects; without ``credential_ids`` every Credential Query that can bind is named.
        query: of the same request.
        types: what may be agreed to.

    Raises:
        InvalidTransactionData: a Wallet would have to refuse one, or could not bind it with a credential it names.
    """
    able = [each.id for each in query.credentials if can_bind(each)]
    texts = [create_transaction_data({"credential_ids": [*able], **each}) for each in transactions]
    entries = parse_transaction_data([*texts], query) if texts else ()
    for each in understand(entries, types):
        # A wallet that holds only this one would have to refuse the request (B.2.1).
        # vp-B.2.1-not-asked
        if not set(able).issuperset(each.data.credential_ids):
            raise InvalidTransactionData("credential_ids names a format that cannot agree", clause="OpenID4VP B.2.1")
    return entries


def parse_transaction_data(value: Json, query: DcqlQuery) -> tuple[TransactionData, ...]:
    """Return the entries of a request's ``transaction_data``, as far as the protocol itself fixes them (5.1, B.3.3).

    Not done here: whether the types are known and their members right, which :func:`understand` says.

    Raises:
        InvalidTransactionData: a rule of 5.1 or B.3.3 is broken.
    """
    # 5.1: "Non-empty array of strings".
    # vp-5.1-transaction-array
    if not isinstance(value, list) or not 0 < len(value) <= MAX_ENTRIES:
        raise InvalidTransactionData("transaction_data is not an array of some entries", clause=_CLAUSE)
    entries = tuple(_parse_entry(each, query) for each in value)
    # One hash stands for one entry ("maps to the respective transaction data object", B.3.3.1).
    # vp-B.3.3.1-one-each
    if len({entry.text for entry in entries}) != len(entries):
        raise InvalidTransactionData("an entry of transaction_data is there twice", clause="OpenID4VP B.3.3.1")
    # A Key Binding JWT names one algorithm for all its hashes, so there must be one that serves every entry.
    # vp-B.3.3.1-shared-hash
    if not _shared_hash(entries):
        raise InvalidTransactionData("no hash algorithm serves every entry", clause="OpenID4VP B.3.3.1")
    return entries


def understand(entries: Iterable[TransactionData], types: TransactionTypes) -> tuple[Transaction, ...]:
    """Return what the entries mean.

    Raises:
        InvalidTransactionData: a type is unknown, or an entry does not keep to its type (5.1, 8.5).
    """
    return tuple(_understand(entry, types) for entry in entries)


def can_bind(query: CredentialQuery) -> bool:
    """Return whether answers to a Credential Query can agree to a transaction.

    Only an SD-JWT VC with the holder's proof (B.3.3). No mdoc of ours authorises its key for a data element of
    transaction data, nor does any of our types define one (B.2.1).
    """
    return query.format == spec.FORMAT_SD_JWT_VC and query.holder_binding


def narrow(matches: Matches, entries: Iterable[TransactionData]) -> Matches:
    """Return of ``matches`` only what can agree to every entry, so that whatever is chosen can be sent.

    A set that offers a card that can, among others that cannot, offers only the former; an optional set becomes
    required where nothing else can. Where nothing at all can, the result is not satisfiable.
    """
    for entry in entries:
        matches = _narrow(matches, entry)
    return matches


def bind(
    entries: Sequence[TransactionData], approved: ApprovedDisclosure, query: DcqlQuery
) -> Mapping[int, BoundTransactions]:
    """Return what the Key Binding JWT of each approved credential says, by its place among them.

    Each entry is bound by exactly one credential: the first of its ``credential_ids`` that is part of the answer.

    Raises:
        QueryNotSatisfied: an entry can be bound by none of them.
    """
    places: dict[int, list[TransactionData]] = {}
    for entry in entries:
        places.setdefault(_place(entry, approved, query), []).append(entry)
    shared = _shared_hash(entries)
    return {
        place: BoundTransactions(
            tuple(_hash(entry, shared[0]) for entry in several),
            # B.3.3.1: "REQUIRED when this parameter was present in the transaction_data request parameter".
            # vp-B.3.3.1-alg-sent
            shared[0] if any(entry.names_hash for entry in several) else None,
        )
        for place, several in places.items()
    }


def validate_agreement(
    entries: Sequence[TransactionData], presented: Sequence[PresentedBinding]
) -> tuple[QueryId, ...]:
    """Return for each entry the Credential Query whose answer agreed to it (check 11).

    Steps:
        1. ``transaction_data_hashes`` of each Key Binding JWT is a non-empty array of distinct texts.
        2. Its algorithm is one that each entry it binds allows, and is named where the request names one.
        3. Each hash is that of an entry, and its credential one of the entry's ``credential_ids``.
        4. Each entry is bound by exactly one credential.

    Raises:
        VerificationError: a step failed.
    """
    agreed: dict[str, QueryId] = {}
    for each in presented:
        for entry in _bound_by(each, entries):
            # 4. "The Wallet MUST use only one of the referenced Credentials" (5.1).
            # vp-5.1-one-credential
            if entry.text in agreed:
                raise _failed("two credentials agree to the same transaction", "OpenID4VP 5.1")
            agreed[entry.text] = each.query_id
    # 4. 8.4: "MUST include a representation or reference to the data in the respective Credential presentation".
    # vp-8.4-agreed
    if len(agreed) != len(entries):
        raise _failed("a transaction was not agreed to", "OpenID4VP 8.4")
    return tuple(agreed[entry.text] for entry in entries)


def _parse_entry(text: Json, query: DcqlQuery) -> TransactionData:
    # vp-5.1-transaction-object
    if not isinstance(text, str) or len(text) > MAX_CHARACTERS:
        raise InvalidTransactionData("an entry of transaction_data is not text, or is too long", clause=_CLAUSE)
    try:
        members = strict_json.loads_object(base64url.decode(text), what="transaction_data")
    except MalformedError as exc:
        raise InvalidTransactionData(
            "an entry of transaction_data is not a JSON object in base64url", detail=exc.detail, clause=_CLAUSE
        ) from exc
    type_ = members.get("type")
    # vp-5.1-transaction-type
    if not isinstance(type_, str) or not type_:
        raise InvalidTransactionData("transaction data has no type", clause=_CLAUSE)
    names_hash = "transaction_data_hashes_alg" in members
    hashes = _texts(members.get("transaction_data_hashes_alg", [DEFAULT_HASH]))
    # B.3.3.1: "Non-empty array of strings […] one of which MUST be used".
    # vp-B.3.3.1-alg-array
    if hashes is None or HASHES.keys().isdisjoint(hashes):
        raise InvalidTransactionData("no hash algorithm of an entry can be used here", clause="OpenID4VP B.3.3.1")
    return TransactionData(text, type_, _credential_ids(members, query), hashes, names_hash, members)


def _credential_ids(members: JsonObject, query: DcqlQuery) -> tuple[QueryId, ...]:
    named = _texts(members.get("credential_ids"))
    # 5.1: "Non-empty array of strings each referencing a Credential requested by the Verifier".
    # vp-5.1-credential-ids
    if named is None or len(set(named)) != len(named):
        raise InvalidTransactionData("credential_ids is not an array of ids", clause=_CLAUSE)
    queries = [query.credential(each) for each in named]
    known = [each for each in queries if each is not None]
    # 8.5: "the credential_ids does not match".
    # vp-8.5-credential-ids-match
    if len(known) != len(queries):
        raise InvalidTransactionData("credential_ids names what is not asked for", clause="OpenID4VP 8.5")
    # B.3.3: "Wallets MUST reject requests with transaction data types that have
    # require_cryptographic_holder_binding […] set to false."
    # vp-B.3.3-holder-binding
    if not all(each.holder_binding for each in known):
        raise InvalidTransactionData("a transaction needs the holder's proof", clause="OpenID4VP B.3.3")
    # B.2.1: "If a Wallet receives a request with a transaction_data type whose data element is unauthorized, the Wallet
    # MUST reject the request".
    # vp-B.2.1-unauthorized
    if not any(map(can_bind, known)):
        raise InvalidTransactionData("no credential of this format can agree to it", clause="OpenID4VP B.2.1")
    return tuple(each.id for each in known)


def _texts(value: Json) -> tuple[str, ...] | None:
    """Return a non-empty array of texts; None for anything else."""
    if not isinstance(value, list) or not value:
        return None
    found = tuple(each for each in value if isinstance(each, str))
    return found if len(found) == len(value) else None


def _understand(entry: TransactionData, types: TransactionTypes) -> Transaction:
    known = types.get(entry.type)
    # 5.1: "The Wallet MUST return an error if a request contains even one unrecognized transaction data type".
    # vp-5.1-unknown-type
    if known is None:
        raise InvalidTransactionData("the type of a transaction is not known here", clause=_CLAUSE)
    fault = next(known.faults(entry.members), None)
    # 5.1: "or transaction data not conforming to the respective type definition"; 8.5 lists how.
    # vp-8.5-not-conforming
    if fault is not None:
        raise InvalidTransactionData("a transaction does not keep to its type", detail=fault, clause="OpenID4VP 8.5")
    return Transaction(entry, known, known.values(entry.members))


def _narrow(matches: Matches, entry: TransactionData) -> Matches:
    able = {each.id for each in matches.query.credentials if each.id in entry.credential_ids and can_bind(each)}
    kept = [tuple(option for option in found.options if not able.isdisjoint(option)) for found in matches.sets]
    whole = [
        found.required and options and options == found.options
        for found, options in zip(matches.sets, kept, strict=True)
    ]
    if any(whole):
        return matches
    # The required set that can, or else an optional one, which is required then.
    order = sorted(range(len(kept)), key=lambda number: not matches.sets[number].required)
    chosen = next((number for number in order if kept[number]), None)
    if chosen is None:
        return replace(matches, sets=(*matches.sets, SetMatch((), required=True)))
    narrowed = SetMatch(kept[chosen], required=True)
    return replace(matches, sets=(*matches.sets[:chosen], narrowed, *matches.sets[chosen + 1 :]))


def _place(entry: TransactionData, approved: ApprovedDisclosure, query: DcqlQuery) -> int:
    for query_id in entry.credential_ids:
        asked = query.credential(query_id)
        for place, one in enumerate(approved.credentials):
            # 5.1: "the Wallet MUST use only one of the referenced Credentials for transaction authorization".
            # vp-5.1-bound-once
            if one.query_id == query_id and one.holder_binding and asked is not None and can_bind(asked):
                return place
    raise QueryNotSatisfied("no chosen credential can agree to the transaction", clause=_CLAUSE)


def _shared_hash(entries: Sequence[TransactionData]) -> tuple[str, ...]:
    return tuple(name for name in HASHES if all(name in entry.hashes for entry in entries))


def _hash(entry: TransactionData, algorithm: str) -> str:
    # B.3.3.1: "calculated […] over the string received […] (base64url decoding is not performed before hashing)".
    # vp-B.3.3.1-over-the-text
    return base64url.encode(hashlib.new(HASHES[algorithm], entry.text.encode("ascii")).digest())


def _bound_by(presented: PresentedBinding, entries: Sequence[TransactionData]) -> list[TransactionData]:
    """Return the entries that one Key Binding JWT binds."""
    payload = presented.key_binding or {}
    if "transaction_data_hashes" not in payload:
        return []
    # 1.
    hashes = _texts(payload["transaction_data_hashes"])
    # vp-B.3.3.1-hashes-array
    if hashes is None or len(set(hashes)) != len(hashes):
        raise _failed("transaction_data_hashes is not an array of distinct hashes", "OpenID4VP B.3.3.1")
    # 2.
    algorithm = payload.get("transaction_data_hashes_alg", DEFAULT_HASH)
    # vp-B.3.3.1-alg-known
    if not isinstance(algorithm, str) or algorithm not in HASHES:
        raise _failed("the hash algorithm of a transaction is not one that was offered", "OpenID4VP B.3.3.1")
    by_hash = {_hash(entry, algorithm): entry for entry in entries}
    bound = [by_hash[each] for each in hashes if each in by_hash]
    # 3.
    # vp-B.3.3.1-only-asked
    if len(bound) != len(hashes):
        raise _failed("a transaction was agreed to that was not asked for", "OpenID4VP B.3.3.1")
    for entry in bound:
        # vp-B.3.3.1-alg-offered
        if algorithm not in entry.hashes:
            raise _failed("the hash algorithm of a transaction is not one that was offered", "OpenID4VP B.3.3.1")
        # vp-B.3.3.1-alg-named
        if entry.names_hash and "transaction_data_hashes_alg" not in payload:
            raise _failed("transaction_data_hashes_alg is missing", "OpenID4VP B.3.3.1")
        # vp-5.1-referenced
        if presented.query_id not in entry.credential_ids:
            raise _failed("a transaction was agreed to with another credential", "OpenID4VP 5.1")
    return bound


def _failed(description: str, clause: str) -> VerificationError:
    return VerificationError(description, step=CheckStep.TRANSACTION_AGREED, clause=clause)
