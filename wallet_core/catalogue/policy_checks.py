"""Rules of verifier policies: what ``jigap catalogue check`` demands of ``policies/*.json``.

The query is read here as plain JSON (OpenID4VP 6): the protocol's own parser stands above the catalogue.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import product
from types import UnionType
from typing import Any

from wallet_core.catalogue.credential_type import Claim, ClaimType, CredentialType, Sensitivity
from wallet_core.catalogue.parsing import IDENTIFIER
from wallet_core.catalogue.paths import path_text, select
from wallet_core.catalogue.policy import Policy
from wallet_core.catalogue.source import Document
from wallet_core.catalogue.type_checks import TypeFile
from wallet_core.spec_versions import FORMAT_MDOC, FORMAT_SD_JWT_VC
from wallet_core.types import ClaimsPath, JsonObject, Vct

Location = tuple[str | int, ...]
_FORMATS = (FORMAT_SD_JWT_VC, FORMAT_MDOC)
_CREDENTIALS: Location = ("dcql_query", "credentials")
_SETS: Location = ("dcql_query", "credential_sets")


def check_policies(
    files: Sequence[tuple[Document, Policy]], types: Sequence[TypeFile], transactions: Collection[str] = ()
) -> None:
    """Note every broken rule of the policies; ``transactions`` are the ids of the transaction types there are."""
    seen: set[str] = set()
    known = [credential_type for _, credential_type in types]
    for document, policy in files:
        if policy.id in seen:
            document.report(("id",), "unique", f"another policy has the id {policy.id}")
        seen.add(policy.id)
        if not document.file.endswith(f"/{policy.id}.json"):
            document.report(("id",), "file-name", "the file is not named after its id")
        for index, each in enumerate(policy.transactions):
            if each not in transactions:
                document.report(("transactions", index), "transaction", f"there is no transaction type {each}")
        faults = list(_query_shape(policy.dcql_query))
        for location, rule, reason in faults:
            document.report(location, rule, reason)
        # The rules below read the query: only one of the right shape.
        if not faults:
            for location, rule, reason in _PolicyFaults(policy, known).all():
                document.report(location, rule, reason)


Fault = tuple[Location, str, str]


def _query_shape(query: Mapping[str, Any]) -> Iterator[Fault]:
    credentials = query.get("credentials")
    if not isinstance(credentials, list) or not credentials or not all(isinstance(each, dict) for each in credentials):
        yield _CREDENTIALS, "dcql", "credentials is not a list of Credential Queries (OpenID4VP 6)"
        return
    ids = [each.get("id") for each in credentials]
    for index, each in enumerate(credentials):
        place = (*_CREDENTIALS, index)
        if not isinstance(each.get("id"), str) or not IDENTIFIER.match(each["id"]) or ids.count(each["id"]) > 1:
            yield (*place, "id"), "dcql", "id is missing, has strange characters or stands twice (OpenID4VP 6.1)"
        if each.get("format") not in _FORMATS or not _is_meta(each.get("meta")):
            yield place, "dcql", "format is unknown, or meta is not the one of the format (OpenID4VP 6.1)"
        yield from _claims_shape(each, place)
    yield from _sets_shape(query.get("credential_sets", []), ids)


def _sets_shape(sets: Any, ids: list[Any]) -> Iterator[Fault]:
    if not isinstance(sets, list):
        yield _SETS, "dcql", "credential_sets is not a list (OpenID4VP 6.2)"
        return
    for index, each in enumerate(sets):
        options = each.get("options") if isinstance(each, dict) else None
        if isinstance(each, dict) and not isinstance(each.get("required", True), bool):
            yield (*_SETS, index, "required"), "dcql", "required is neither true nor false (OpenID4VP 6.2)"
        if not _is_list_of(options, list):
            yield (*_SETS, index), "dcql", "options is not a list of lists of ids (OpenID4VP 6.2)"
            continue
        for number, option in enumerate(options or []):
            if not option or not all(each_id in ids for each_id in option):
                yield (*_SETS, index, "options", number), "dcql", "an option names no Credential Query (OpenID4VP 6.2)"


def _claims_shape(credential: Mapping[str, Any], place: Location) -> Iterator[Fault]:
    claims = credential.get("claims")
    if not isinstance(claims, list) or not claims or not all(isinstance(each, dict) for each in claims):
        yield (*place, "claims"), "dcql", "claims is not a list of Claims Queries (OpenID4VP 6.3)"
        return
    paths: list[Any] = []
    for index, each in enumerate(claims):
        here = (*place, "claims", index)
        if not isinstance(each.get("id"), str) or not IDENTIFIER.match(each["id"]):
            yield here, "dcql", "a policy's claim needs an id of letters, digits, - and _"
        path = each.get("path")
        if (
            not isinstance(path, list)
            or not path
            or not all(isinstance(part, str | int) or part is None for part in path)
        ):
            yield (*here, "path"), "dcql", "path is not a Claims Path Pointer (OpenID4VP 7)"
        elif path in paths:
            yield (*here, "path"), "dcql", "the same claim stands twice in one query (OpenID4VP 6.3)"
        paths.append(path)
        if "values" in each and not _is_list_of(each["values"], str | int):
            yield (*here, "values"), "dcql", "values is not a non-empty list (OpenID4VP 6.3)"
    yield from _claim_sets_shape(credential.get("claim_sets", []), [each.get("id") for each in claims], place)


def _claim_sets_shape(claim_sets: Any, ids: list[Any], place: Location) -> Iterator[Fault]:
    if not isinstance(claim_sets, list):
        yield (*place, "claim_sets"), "dcql", "claim_sets is not a list (OpenID4VP 6.4.1)"
        return
    for index, claim_set in enumerate(claim_sets):
        if not isinstance(claim_set, list) or not claim_set or not all(each in ids for each in claim_set):
            yield (*place, "claim_sets", index), "dcql", "a claim set names no claim of its query (OpenID4VP 6.4.1)"


def _is_meta(meta: Any) -> bool:
    if not isinstance(meta, dict):
        return False
    doctype, types = meta.get("doctype_value"), meta.get("vct_values")
    return isinstance(doctype, str) if types is None else _is_list_of(types, str)


def _is_list_of(value: Any, kind: type | UnionType) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(each, kind) for each in value)


class _PolicyFaults:
    """The rules of one policy whose query has the right shape."""

    def __init__(self, policy: Policy, types: Sequence[CredentialType]) -> None:
        self.policy = policy
        self.types = types
        self.query: dict[str, Any] = dict(policy.dcql_query)
        self.credentials: list[Any] = self.query["credentials"]
        self.claims = [
            ((*_CREDENTIALS, i, "claims", j), credential, claim)
            for i, credential in enumerate(self.credentials)
            for j, claim in enumerate(credential["claims"])
        ]

    def all(self) -> Iterator[Fault]:
        """Yield every fault."""
        paths = list(self.paths())
        yield from paths
        yield from self.asks()
        yield from self.not_asked()
        yield from self.must_match()
        yield from self.transactions()
        if not paths:
            yield from self.sensitivity()
            yield from self.mixing()
            yield from self.examples()

    def types_of(self, credential: Mapping[str, Any]) -> list[CredentialType]:
        """Return the catalogue's types that answer a Credential Query."""
        meta = credential["meta"]
        if credential["format"] == FORMAT_SD_JWT_VC:
            return [each for each in self.types if each.vct in [Vct(v) for v in meta.get("vct_values", [])]]
        doctype = meta.get("doctype_value")
        return [each for each in self.types if any(entry.doctype == doctype for entry in each.formats if doctype)]

    def found(self, credential: Mapping[str, Any], path: ClaimsPath) -> list[Claim]:
        """Return the claims that ``path`` names, one per type, of those that are issued."""
        claims: list[Claim] = []
        for credential_type in self.types_of(credential):
            if credential["format"] == FORMAT_MDOC:
                of_mdoc = [each for each in credential_type.claims if each.mdoc]
                claims += [
                    c for c in of_mdoc if c.mdoc and (c.mdoc.namespace, c.mdoc.element) == path and c.default_issue
                ]
            elif (claim := credential_type.claim(path)) is not None and claim.default_issue:
                claims.append(claim)
        return claims

    def paths(self) -> Iterator[Fault]:
        for index, credential in enumerate(self.credentials):
            if not self.types_of(credential):
                yield (*_CREDENTIALS, index, "meta"), "type", "no credential type of the catalogue answers this query"
        for place, credential, claim in self.claims:
            types = self.types_of(credential)
            if types and len(self.found(credential, tuple(claim["path"]))) != len(types):
                yield (*place, "path"), "path", "the path is no claim of the type, or one that is not issued"

    def ways(self, query: Mapping[str, Any]) -> Iterator[list[set[str]]]:
        """Yield, for each choice of cards that answers what is required, the sets of claim ids it can take."""
        by_id = {each["id"]: each for each in query["credentials"]}
        required = [each["options"] for each in query.get("credential_sets", []) if each.get("required", True)]
        choices = product(*required) if "credential_sets" in query else [(list(by_id),)]
        for chosen in choices:
            cards = dict.fromkeys(card for option in chosen for card in option)
            telling = [by_id[card].get("claim_sets") or [[c["id"] for c in by_id[card]["claims"]]] for card in cards]
            yield [set().union(*sets) for sets in product(*telling)]

    def asks(self) -> Iterator[Fault]:
        listed = [claim for ask in self.policy.asks for claim in ask.claims]
        wanted = {claim["id"] for _, _, claim in self.claims}
        for index, ask in enumerate(self.policy.asks):
            place: Location = ("asks", index, "claims")
            for claim_id in ask.claims:
                if claim_id not in wanted or listed.count(claim_id) > 1:
                    yield place, "asks", f"{claim_id} is no claim of the query, or stands in two lines"
            for sets in self.ways(self.query):
                hits = [bool(claims & set(ask.claims)) for claims in sets]
                if ask.required and not all(hits):
                    yield ("asks", index, "required"), "asks", "it is called required, but can be avoided"
                    break
                if not ask.required and all(hits):
                    yield ("asks", index, "required"), "asks", "it is called optional, but cannot be avoided"
                    break
        for place, _, claim in self.claims:
            if claim["id"] not in listed:
                yield (*place, "id"), "asks", f"{claim['id']} is asked, but no line of asks says so"
        yield from self.intent_to_retain()

    def intent_to_retain(self) -> Iterator[Fault]:
        kept = {claim_id: ask.kept for ask in self.policy.asks for claim_id in ask.claims}
        for place, _, claim in self.claims:
            if "intent_to_retain" in claim and claim["intent_to_retain"] != kept.get(claim["id"]):
                yield (*place, "intent_to_retain"), "asks", "intent_to_retain differs from kept in asks"

    def not_asked(self) -> Iterator[Fault]:
        by_id = {each.id: each for each in self.types}
        for index, line in enumerate(self.policy.not_asked):
            credential_type = by_id.get(line.type_id)
            if credential_type is None or credential_type.claim(line.path) is None:
                yield ("not_asked", index), "not-asked", "there is no such claim"
                continue
            for _, credential, claim in self.claims:
                mine = credential["format"] == FORMAT_SD_JWT_VC and credential_type in self.types_of(credential)
                shorter = min(len(claim["path"]), len(line.path))
                if mine and tuple(claim["path"])[:shorter] == line.path[:shorter]:
                    yield ("not_asked", index), "not-asked", f"{path_text(line.path)} is asked after all"

    def must_match(self) -> Iterator[Fault]:
        wanted = {claim["id"] for _, _, claim in self.claims}
        for index, group in enumerate(self.policy.must_match):
            if not set(group) <= wanted:
                yield ("must_match", index), "must-match", "it names a claim that is not asked"

    def transactions(self) -> Iterator[Fault]:
        """What is agreed to is bound to an SD-JWT VC with the holder's proof (OpenID4VP B.3.3): one must be asked."""
        bound = [
            each
            for each in self.credentials
            if each["format"] == FORMAT_SD_JWT_VC and each.get("require_cryptographic_holder_binding", True) is True
        ]
        if self.policy.transactions and not bound:
            yield ("transactions",), "transaction", "no card that it asks for can be bound to a transaction"

    def sensitivity(self) -> Iterator[Fault]:
        """A line that takes a unique identifier or sensitive data says why."""
        special = {
            claim["id"]
            for _, credential, claim in self.claims
            for found in self.found(credential, tuple(claim["path"]))
            if found.sensitivity is Sensitivity.SPECIAL
        }
        for index, ask in enumerate(self.policy.asks):
            if special & set(ask.claims) and not ask.note:
                yield ("asks", index), "special", "it takes a special claim and has no note that says why"

    def mixing(self) -> Iterator[Fault]:
        """The consent screen says where yes/no answers and identifying claims are asked together."""
        found = [each for _, credential, claim in self.claims for each in self.found(credential, tuple(claim["path"]))]
        answers = any(each.type is ClaimType.BOOLEAN for each in found)
        identity = any(
            each.type is not ClaimType.BOOLEAN and each.sensitivity is not Sensitivity.NORMAL for each in found
        )
        if self.policy.mixes_yes_no_and_identity != (answers and identity):
            yield ("mixes_yes_no_and_identity",), "mixing", "it does not say what the query asks"

    def examples(self) -> Iterator[Fault]:
        """The examples of the types answer the query."""
        good = {each["id"] for each in self.credentials if self.answers(each)}
        required = [each for each in self.query.get("credential_sets", []) if each.get("required", True)]
        for entry in required:
            if not any(set(option) <= good for option in entry["options"]):
                yield (*_SETS, self.query["credential_sets"].index(entry)), "example", "the examples do not answer it"
        if "credential_sets" not in self.query and len(good) != len(self.credentials):
            yield _CREDENTIALS, "example", "the examples do not answer it"

    def answers(self, credential: Mapping[str, Any]) -> bool:
        by_id = {claim["id"]: claim for claim in credential["claims"]}
        sets = credential.get("claim_sets") or [list(by_id)]
        return any(
            all(_matches(_example(each, credential["format"]), by_id[claim_id]) for claim_id in claim_set)
            for each in self.types_of(credential)
            for claim_set in sets
        )


def _example(credential_type: CredentialType, format_: str) -> JsonObject:
    if format_ == FORMAT_MDOC:
        given = [(c.mdoc, c.example) for c in credential_type.claims if c.mdoc is not None and c.example is not None]
        return {
            name_space: {place.element: example for place, example in given if place.namespace == name_space}
            for name_space in {place.namespace for place, _ in given}
        }
    return {
        str(claim.path[0]): claim.example
        for claim in credential_type.claims
        if len(claim.path) == 1 and claim.example is not None
    }


def _matches(example: JsonObject, claim: Mapping[str, Any]) -> bool:
    values = list(select(example, tuple(claim["path"])))
    if "values" not in claim:
        return bool(values)
    return any(type(value) is type(wanted) and value == wanted for value in values for wanted in claim["values"])
