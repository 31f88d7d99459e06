"""Digital Credentials Query Language: the query as values (OpenID4VP 1.0 section 6).

The invariant: every identifier that a parsed query uses is defined in it, exactly once.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, TypeAlias, TypeVar

from wallet_core import spec_versions as spec
from wallet_core.encoding import strict_json
from wallet_core.encoding.claims_path import parse_claims_path
from wallet_core.errors import InvalidRequest, MalformedError
from wallet_core.types import ClaimsPath, Json, JsonObject, QueryId

T = TypeVar("T")
ClaimValue: TypeAlias = str | int | bool

MAX_ENTRIES: Final = 64
"""Entries of any array of a query but those of claims; the largest honest one has a handful."""

MAX_CLAIMS: Final = 256
"""Claims of one Credential Query, and of one of its claim sets; an mDL with everything has about 70."""

MAX_ALL_CLAIMS: Final = 512
"""Claims of all Credential Queries together: each is looked for in each card of the type."""

MAX_ALL_CLAIM_SETS: Final = 256
"""Claim sets of all Credential Queries together, one where there is none: each is weighed for each card that has it."""

MAX_CLAIM_REFERENCES: Final = 4096
"""Claims that the claim sets of all Credential Queries name together."""

MAX_SET_REFERENCES: Final = 256
"""Credential Queries that the options of all credential_sets name together: each is a card for a person to look at."""

MAX_KEPT_BYTES: Final = 4096
"""Bytes of a query whose parsed form is kept: everybody who is asked for the same is asked by the same query."""

AUTHORITY_KEY: Final = "aki"
"""Type of a Trusted Authorities Query: base64url of an AuthorityKeyIdentifier (6.1.1.1)."""

TRUST_LIST: Final = "etsi_tl"
"""Type of a Trusted Authorities Query: the identifier of a trust list (6.1.1.2); ours is its ``iss``. Never fetched."""

_IDENTIFIER = re.compile(r"[A-Za-z0-9_-]{1,128}\Z")
# Which member of ``meta`` names the types, per format (OpenID4VP B.1.1, B.2.3, B.3.5).
_TYPE_MEMBERS: Final = {
    spec.FORMAT_SD_JWT_VC: "vct_values",
    spec.FORMAT_MDOC: "doctype_value",
    "jwt_vc_json": "type_values",
    "ldp_vc": "type_values",
}


@dataclass(frozen=True, slots=True)
class ClaimsQuery:
    """One claim that is asked for (6.3). ``values`` is None where any value will do."""

    id: str | None
    path: ClaimsPath
    values: tuple[ClaimValue, ...] | None = None


@dataclass(frozen=True, slots=True)
class TrustedAuthority:
    """One way to recognise who certifies the issuer (6.1.1)."""

    type: str
    values: tuple[str, ...]

    @property
    def matched(self) -> tuple[str, ...]:
        """The values as they are compared: "the raw byte representation" counts, so padding does not (6.1.1.1)."""
        return tuple(value.rstrip("=") for value in self.values) if self.type == AUTHORITY_KEY else self.values


@dataclass(frozen=True, slots=True)
class CredentialQuery:
    """One credential that is asked for (6.1).

    Attributes:
        id: the key of its presentations in the VP Token.
        format: a Credential Format Identifier; one that is unknown here matches nothing.
        types: accepted ``vct`` values, or the one doctype; empty for other formats.
        multiple: whether more than one credential may answer.
        holder_binding: ``require_cryptographic_holder_binding``.
        trusted_authorities: any of them suffices; empty if none is named.
        claims: what is asked for; empty means nothing selectively disclosable.
        claim_sets: alternatives of claims in the verifier's order of preference; never empty where ``claims`` is not.
    """

    id: QueryId
    format: str
    types: tuple[str, ...]
    multiple: bool
    holder_binding: bool
    trusted_authorities: tuple[TrustedAuthority, ...]
    claims: tuple[ClaimsQuery, ...]
    claim_sets: tuple[tuple[ClaimsQuery, ...], ...]

    def accepts_type(self, type_: str, supertypes: Mapping[str, frozenset[str]]) -> bool:
        """Return whether a type is one of those asked for, or extends one of them as ``supertypes`` tells (B.3.5)."""
        return type_ in self.types or not supertypes.get(type_, frozenset()).isdisjoint(self.types)


@dataclass(frozen=True, slots=True)
class CredentialSetQuery:
    """Alternatives of credentials (6.2), in the verifier's order."""

    options: tuple[tuple[QueryId, ...], ...]
    required: bool


@dataclass(frozen=True, slots=True)
class DcqlQuery:
    """A whole query. ``source`` is the JSON it came from.

    ``credential_sets`` is never empty: without sets in the source it is one required set with all credentials (6.4.2).
    """

    credentials: tuple[CredentialQuery, ...]
    credential_sets: tuple[CredentialSetQuery, ...]
    source: JsonObject = field(compare=False, repr=False)

    def credential(self, query_id: str) -> CredentialQuery | None:
        """Return the Credential Query of that id, if there is one."""
        for query in self.credentials:
            if query.id == query_id:
                return query
        return None

    @property
    def required_ids(self) -> frozenset[QueryId]:
        """The Credential Queries that some required set names."""
        return frozenset(
            query_id for one in self.credential_sets if one.required for option in one.options for query_id in option
        )

    def is_satisfied_by(self, answered: Collection[str]) -> bool:
        """Return whether answers to these Credential Queries satisfy every required set (6.4.2)."""
        completed = set(answered).issuperset
        return all(any(map(completed, one.options)) for one in self.credential_sets if one.required)


def parse_dcql_query(value: Json) -> DcqlQuery:
    """Return the query in a JSON object. Unknown members and formats are kept out of the way, not refused (6).

    What is returned may be shared: never change its ``source``.

    Raises:
        InvalidRequest: a rule of section 6 is broken, or it is longer than anybody's; the text says what.
    """
    try:
        source = _object(value, "dcql_query")
        text = _text_of(source)
        return _parse_query(source) if text is None or len(text) > MAX_KEPT_BYTES else _parse_text(text)
    except MalformedError as exc:
        raise InvalidRequest(exc.description, clause=exc.clause or "OpenID4VP 6") from exc


def validate_own_query(
    query: DcqlQuery, *, formats: Collection[str] = (spec.FORMAT_SD_JWT_VC, spec.FORMAT_MDOC)
) -> None:
    """Check what a Verifier must not send, though a Wallet tolerates it.

    Raises:
        InvalidRequest: a format outside ``formats``, the same claim twice in one Credential Query, a claim that no
            claim set names, or a kind of trusted authority that is not checked here.
    """
    for credential in query.credentials:
        # Query engines of other wallets refuse a whole query for one format they do not know.
        if credential.format not in formats:
            raise InvalidRequest("dcql_query asks for a format that is not offered here", clause="OpenID4VP 6.1")
        # What a wallet matched and we cannot check is not asked for; some wallets refuse a query for an unknown kind.
        if not {AUTHORITY_KEY, TRUST_LIST}.issuperset(authority.type for authority in credential.trusted_authorities):
            raise InvalidRequest(
                "dcql_query names a kind of authority that is not checked here", clause="OpenID4VP 6.1.1"
            )
        # 6.1: "Verifiers MUST NOT point to the same claim more than once in a single query."
        paths = [claim.path for claim in credential.claims]
        # dcql-6.1-same-claim
        if len(set(paths)) != len(paths):
            raise InvalidRequest("a Credential Query asks for the same claim twice", clause="OpenID4VP 6.1")
        # A claim that no claim set names can never be answered: a slip of whoever wrote the query.
        named = {claim for option in credential.claim_sets for claim in option}
        if not named.issuperset(credential.claims):
            raise InvalidRequest("a claim is listed that no claim set names", clause="OpenID4VP 6.4.1")


def _text_of(source: JsonObject) -> bytes | None:
    try:
        return strict_json.dumps(source)
    except TypeError:
        # A number or text that strict_json would have refused: nothing of ours, so nothing to keep.
        return None


@lru_cache(maxsize=128)
def _parse_text(text: bytes) -> DcqlQuery:
    return _parse_query(strict_json.loads_object(text, what="dcql_query"))


def _parse_query(source: JsonObject) -> DcqlQuery:
    credentials = _entries(source, "credentials", _parse_credential)
    # dcql-6-credentials
    if credentials is None:
        raise MalformedError("dcql_query has no credentials", clause="OpenID4VP 6")
    ids = tuple(query.id for query in credentials)
    # 6.1: "Within the Authorization Request, the same id MUST NOT be present more than once."
    # dcql-6.1-id-once
    _require_distinct(ids, "id of a Credential Query", "OpenID4VP 6.1")
    _validate_work(credentials)
    sets = _entries(source, "credential_sets", lambda entry: _parse_set(entry, ids)) or ()
    places = sum(len(option) for one in sets for option in one.options)
    _require_few(places, MAX_SET_REFERENCES, "Credential Queries in credential_sets", "OpenID4VP 6.2")
    # 6.4.2: without credential_sets, all credentials are requested. One that is there twice asks for nothing more.
    return DcqlQuery(credentials, _distinct(sets) or (CredentialSetQuery((ids,), required=True),), source)


def _validate_work(credentials: Sequence[CredentialQuery]) -> None:
    """Refuse more than is looked for. The cards have no part in it: a refusal tells nothing about them (15.9)."""
    claims = sum(len(one.claims) for one in credentials)
    sets = sum(len(one.claim_sets) or 1 for one in credentials)
    references = sum(len(option) for one in credentials for option in one.claim_sets)
    _require_few(claims, MAX_ALL_CLAIMS, "claims", "OpenID4VP 6.3")
    _require_few(sets, MAX_ALL_CLAIM_SETS, "claim sets", "OpenID4VP 6.1")
    _require_few(references, MAX_CLAIM_REFERENCES, "claims in claim_sets", "OpenID4VP 6.1")


def _parse_credential(value: Json) -> CredentialQuery:
    entry = _object(value, "a Credential Query")
    name = _string(entry, "format")
    claims = _entries(entry, "claims", lambda claim: _parse_claim(claim, name), MAX_CLAIMS) or ()
    return CredentialQuery(
        id=QueryId(_identifier(entry.get("id"), "id of a Credential Query")),
        format=name,
        types=_parse_types(name, entry.get("meta")),
        multiple=_boolean(entry, "multiple", default=False),
        holder_binding=_boolean(entry, "require_cryptographic_holder_binding", default=True),
        trusted_authorities=_entries(entry, "trusted_authorities", _parse_authority) or (),
        claims=claims,
        claim_sets=_parse_claim_sets(entry, claims),
    )


def _parse_types(name: str, meta: Json) -> tuple[str, ...]:
    members = _object(meta, "meta")
    member = _TYPE_MEMBERS.get(name)
    if member is None or member == "type_values":
        return ()
    # B.2.3: doctype_value is one string; B.3.5: vct_values is a non-empty array of strings. Both are REQUIRED.
    value = members.get(member)
    values = [value] if member == "doctype_value" else value
    # dcql-B.3.5-meta
    if not isinstance(values, list) or not 0 < len(values) <= MAX_ENTRIES:
        raise MalformedError(f"meta has no {member}", clause="OpenID4VP B.3.5")
    return tuple(_text(item, member) for item in values)


def _parse_authority(value: Json) -> TrustedAuthority:
    entry = _object(value, "an entry of trusted_authorities")
    values = _entries(entry, "values", lambda item: _text(item, "a value of trusted_authorities"))
    # 6.1.1: "A non-empty array of strings".
    # dcql-6.1-authorities-shape
    if values is None:
        raise MalformedError("an entry of trusted_authorities has no values", clause="OpenID4VP 6.1.1")
    return TrustedAuthority(_string(entry, "type"), values)


def _parse_claim(value: Json, format_name: str) -> ClaimsQuery:
    entry = _object(value, "a Claims Query")
    path = parse_claims_path(entry.get("path"))
    # 7.2.1: for mdocs the path is exactly namespace and data element identifier.
    # dcql-7.2-mdoc
    if format_name == spec.FORMAT_MDOC and (len(path) != 2 or not all(isinstance(part, str) and part for part in path)):
        raise MalformedError("the path of an mdoc claim is not namespace and element", clause="OpenID4VP 7.2")
    # B.2.3: where it is absent the verifier says nothing about it; what it says is shown nowhere without a policy.
    # dcql-B.2.3-intent
    _boolean(entry, "intent_to_retain", default=False)
    return ClaimsQuery(
        id=_identifier(entry["id"], "id of a Claims Query") if "id" in entry else None,
        path=path,
        values=_entries(entry, "values", _claim_value),
    )


def _parse_claim_sets(entry: JsonObject, claims: tuple[ClaimsQuery, ...]) -> tuple[tuple[ClaimsQuery, ...], ...]:
    by_id = {claim.id: claim for claim in claims if claim.id is not None}
    # 6.3: "Within the particular claims array, the same id MUST NOT be present more than once."
    # dcql-6.3-claim-id-once
    _require_distinct([claim.id for claim in claims if claim.id is not None], "id of a Claims Query", "OpenID4VP 6.3")
    sets = _entries(entry, "claim_sets", lambda value: _references(value, "claim_sets", MAX_CLAIMS))
    if sets is None:
        return (claims,) if claims else ()
    # 6.4.1: "claim_sets MUST NOT be present if claims is absent." 6.3: with claim_sets, id is REQUIRED.
    # dcql-6.3-claim-ids
    if not claims or len(by_id) != len(claims):
        raise MalformedError("claim_sets is there, but a claim has no id", clause="OpenID4VP 6.3")
    # dcql-6.3-claim-sets-known
    if not all(name in by_id for option in sets for name in option):
        raise MalformedError("claim_sets names a claim that is not listed", clause="OpenID4VP 6.1")
    return tuple(tuple(by_id[name] for name in option) for option in _distinct(sets))


def _parse_set(value: Json, known: Collection[str]) -> CredentialSetQuery:
    entry = _object(value, "a Credential Set Query")
    options = _entries(entry, "options", lambda option: _references(option, "options"))
    # dcql-6.2-options
    if options is None:
        raise MalformedError("a Credential Set Query has no options", clause="OpenID4VP 6.2")
    # dcql-6.2-known
    if not all(name in known for option in options for name in option):
        raise MalformedError("options names a Credential Query that is not listed", clause="OpenID4VP 6.2")
    return CredentialSetQuery(
        tuple(tuple(QueryId(name) for name in option) for option in _distinct(options)),
        _boolean(entry, "required", default=True),
    )


def _claim_value(value: Json) -> ClaimValue:
    # 6.3: strings, integers or booleans. The text does not forbid an empty string, OpenID's conformance suite does.
    if isinstance(value, str | int) and value != "":
        return value
    # dcql-6.3-values
    raise MalformedError("values holds something else than strings, integers and booleans", clause="OpenID4VP 6.3")


def _references(value: Json, what: str, limit: int = MAX_ENTRIES) -> tuple[str, ...]:
    if not isinstance(value, list) or not 0 < len(value) <= limit:
        raise MalformedError(f"{what} holds something else than arrays of identifiers", clause="OpenID4VP 6.2")
    return _distinct(_identifier(item, f"an entry of {what}") for item in value)


def _distinct(entries: Iterable[T]) -> tuple[T, ...]:
    """Return entries in the verifier's order, each once: 6 gives a second one that is equal no meaning of its own."""
    return tuple(dict.fromkeys(entries))


def _entries(
    source: Mapping[str, Json], member: str, parse: Callable[[Json], T], limit: int = MAX_ENTRIES
) -> tuple[T, ...] | None:
    if member not in source:
        return None
    value = source[member]
    # dcql-6-non-empty
    if not isinstance(value, list) or not 0 < len(value) <= limit:
        raise MalformedError(f"{member} is not an array of 1 to {limit} entries", clause="OpenID4VP 6")
    return tuple(parse(entry) for entry in value)


def _object(value: Json, what: str) -> JsonObject:
    if not isinstance(value, dict):
        raise MalformedError(f"{what} is missing or not a JSON object", clause="OpenID4VP 6")
    return value


def _text(value: Json, what: str) -> str:
    if not isinstance(value, str) or not value:
        raise MalformedError(f"{what} is missing, empty or not text", clause="OpenID4VP 6.1")
    return value


def _string(entry: JsonObject, member: str) -> str:
    return _text(entry.get(member), member)


def _identifier(value: Json, what: str) -> str:
    # 6.1: "a non-empty string consisting of alphanumeric, underscore (_), or hyphen (-) characters".
    # dcql-6.1-id
    if not isinstance(value, str) or not _IDENTIFIER.match(value):
        raise MalformedError(f"{what} is not an identifier of letters, digits, _ and -", clause="OpenID4VP 6.1")
    return value


def _boolean(entry: JsonObject, member: str, *, default: bool) -> bool:
    value = entry.get(member, default)
    # dcql-6.1-boolean
    if not isinstance(value, bool):
        raise MalformedError(f"{member} is not a boolean", clause="OpenID4VP 6.1")
    return value


def _require_distinct(values: Collection[object], what: str, clause: str) -> None:
    if len(set(values)) != len(values):
        raise MalformedError(f"{what} occurs twice", clause=clause)


def _require_few(count: int, limit: int, what: str, clause: str) -> None:
    if count > limit:
        raise MalformedError(f"dcql_query has more than {limit} {what} in all", clause=clause)
