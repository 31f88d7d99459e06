"""What a wallet may answer to a DCQL query, and what its holder agrees to (OpenID4VP 1.0 section 6.4).

The invariant: only :func:`approve` makes an :class:`ApprovedDisclosure`, and only that can be presented. It holds
nothing that the query did not select.

Of several answers the least disclosing one is proposed: the one that shows the fewest values of special claims, then
the fewest values, always-shown ones included; the verifier's order decides between equals (decision 0100).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import InitVar, dataclass
from typing import Final, TypeAlias

from wallet_core.encoding.claims_path import ConcretePath, resolve, value_at
from wallet_core.errors import MalformedError, QueryNotSatisfied
from wallet_core.protocols.openid4vp.dcql import ClaimsQuery, CredentialQuery, DcqlQuery
from wallet_core.protocols.openid4vp.vp_formats import AcceptedFormats, AlgorithmName
from wallet_core.types import ClaimsPath, Json, JsonObject, QueryId

_SEAL: Final = object()

TECHNICAL_CLAIMS: Final = frozenset(
    {"iss", "iat", "nbf", "exp", "cnf", "vct", "vct#integrity", "aka_vcts", "status", "_sd_alg"}
)
"""Claims about the credential itself: they are always sent, and a consent screen does not list them."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One credential a wallet holds, as far as matching needs it.

    Attributes:
        id: the wallet's own name of it.
        format: Credential Format Identifier.
        type: ``vct`` or doctype.
        claims: everything in it, also what is hidden until disclosed.
        hideable: the paths that stay hidden unless disclosed.
        holder_bound: whether the holder can prove possession of its key.
        authorities: what certifies the issuer, as (type, value) of 6.1.1; ("aki", …) per certificate of its chain.
        supertypes: the types that ``type`` extends, as this wallet knows (B.3.5); never as the credential says.
        special: paths of claims that say more than others, null for any element: see :func:`weight`.
        issuer_algorithms: every name that the algorithm of the issuer's signature answers to (B.2.2, B.3.4).
        holder_algorithms: the same of what the holder signs with.
    """

    id: str
    format: str
    type: str
    claims: JsonObject
    hideable: frozenset[ConcretePath] = frozenset()
    holder_bound: bool = True
    authorities: frozenset[tuple[str, str]] = frozenset()
    supertypes: frozenset[str] = frozenset()
    special: frozenset[ClaimsPath] = frozenset()
    issuer_algorithms: frozenset[AlgorithmName] = frozenset()
    holder_algorithms: frozenset[AlgorithmName] = frozenset()


@dataclass(frozen=True, slots=True)
class Holdings:
    """Candidates by format and each of their types, with their place: a query looks only at those that it names."""

    by_type: Mapping[tuple[str, str], Sequence[tuple[int, Candidate]]]

    def of(self, query: CredentialQuery) -> Sequence[Candidate]:
        """Return the candidates of the format and a type that the query names, in their order."""
        # dcql-B.3.5-type-wallet
        found = [self.by_type.get((query.format, type_), ()) for type_ in dict.fromkeys(query.types)]
        if len(found) == 1:
            return [candidate for _, candidate in found[0]]
        # One candidate may be of several of the types.
        places = {place: candidate for several in found for place, candidate in several}
        return [places[place] for place in sorted(places)]


@dataclass(frozen=True, slots=True)
class ClaimOption:
    """One way a credential answers a Credential Query: the elements that it would show."""

    selected: tuple[ConcretePath, ...]


@dataclass(frozen=True, slots=True)
class CredentialMatch:
    """A credential that answers a Credential Query. ``options`` stand in the verifier's order and are never empty."""

    candidate: Candidate
    options: tuple[ClaimOption, ...]


@dataclass(frozen=True, slots=True)
class SetMatch:
    """The options of a Credential Set Query that this wallet can answer. An optional set may have none."""

    options: tuple[tuple[QueryId, ...], ...]
    required: bool


@dataclass(frozen=True, slots=True)
class Matches:
    """Everything that a wallet could answer to a query. ``by_query`` has a key for each Credential Query."""

    query: DcqlQuery
    by_query: Mapping[QueryId, tuple[CredentialMatch, ...]]
    sets: tuple[SetMatch, ...]

    @property
    def satisfiable(self) -> bool:
        """Whether each required set can be answered (6.4.2), and anything at all."""
        return all(match.options for match in self.sets if match.required) and any(match.options for match in self.sets)


@dataclass(frozen=True, slots=True)
class Selection:
    """One credential the holder picks for a Credential Query, and which of the match's ``options``."""

    credential_id: str
    option: int = 0


Choice: TypeAlias = Mapping[QueryId, Sequence[Selection]]


@dataclass(frozen=True, slots=True)
class ApprovedCredential:
    """What of one credential is shown to the verifier, and nothing else is.

    Attributes:
        query_id: the Credential Query that is answered.
        credential_id: the wallet's name of the credential.
        holder_binding: whether a proof of possession goes with it.
        selected: the elements that were asked for.
        disclosed: the hideable paths that are opened: the selected ones with their parents and all below them.
        always_shown: what else becomes readable, see :func:`shown_besides`.
    """

    query_id: QueryId
    credential_id: str
    holder_binding: bool
    selected: tuple[ConcretePath, ...]
    disclosed: tuple[ConcretePath, ...]
    always_shown: tuple[ConcretePath, ...]


@dataclass(frozen=True, slots=True)
class ApprovedDisclosure:
    """What the holder agreed to send. Only :func:`approve` makes one."""

    credentials: tuple[ApprovedCredential, ...]
    seal: InitVar[object]

    def __post_init__(self, seal: object) -> None:
        """Refuse to exist without :func:`approve`."""
        if seal is not _SEAL:
            raise TypeError("only matching.approve makes an ApprovedDisclosure")


def index_candidates(candidates: Iterable[Candidate]) -> Holdings:
    """Return candidates ready for queries. A wallet makes it once for what it holds."""
    by_type: dict[tuple[str, str], list[tuple[int, Candidate]]] = {}
    for place, candidate in enumerate(candidates):
        for type_ in {candidate.type, *candidate.supertypes}:
            by_type.setdefault((candidate.format, type_), []).append((place, candidate))
    return Holdings(by_type)


def match(
    query: DcqlQuery, candidates: Iterable[Candidate] | Holdings, formats: AcceptedFormats | None = None
) -> Matches:
    """Return what of ``candidates`` answers ``query``. Order: the query's for options, the caller's for credentials.

    ``formats`` is what the Verifier accepts, where it says so.
    """
    held = candidates if isinstance(candidates, Holdings) else index_candidates(candidates)
    by_query = {credential.id: tuple(_match_credentials(credential, held, formats)) for credential in query.credentials}
    sets = tuple(
        SetMatch(
            tuple(option for option in credential_set.options if all(by_query[query_id] for query_id in option)),
            credential_set.required,
        )
        for credential_set in query.credential_sets
    )
    return Matches(query, by_query, sets)


Weight: TypeAlias = tuple[int, int]
"""How much is shown: values of special claims, and values in all. Less is better, in this order."""


def weight(candidate: Candidate, option: ClaimOption) -> Weight:
    """Return how much a credential shows with this option, in single values: what cannot be hidden counts too."""
    return _Scale(candidate).weigh(option)


def least_options(matches: Matches) -> Mapping[QueryId, Sequence[tuple[Weight, int]]]:
    """Return for each credential that answers how much it shows with the option that shows least, and its number.

    Of equals the first (6.4.1). It looks at every option: ask once for all.
    """
    # Many queries may be answered by the same card.
    scales: dict[str, _Scale] = {}
    for found in matches.by_query.values():
        for one in found:
            if one.candidate.id not in scales:
                scales[one.candidate.id] = _Scale(one.candidate)
    return {
        query_id: [_least_option(one, scales[one.candidate.id]) for one in found]
        for query_id, found in matches.by_query.items()
    }


def _least_option(found: CredentialMatch, scale: "_Scale") -> tuple[Weight, int]:
    return min((scale.weigh(option), number) for number, option in enumerate(found.options))


class _Scale:
    """What a credential shows, for many options of it. A set of its values is a number with a bit for each.

    What an option shows is what each of its elements shows alone, together: to open one never hides another. So each
    value is looked at once, however many options there are. :func:`shown_besides` says the same of one, in paths.
    """

    def __init__(self, candidate: Candidate) -> None:
        self._always = self._special = 0
        self._below: dict[ConcretePath, int] = {}
        self._opened: dict[ConcretePath, int] = {}
        leaves = (leaf for name, value in candidate.claims.items() for leaf in _leaves(value, (name,)))
        for place, leaf in enumerate(leaves):
            self._add(candidate, leaf, 1 << place)

    def _add(self, candidate: Candidate, leaf: ConcretePath, bit: int) -> None:
        hidden_in: ConcretePath | None = None
        for end in range(1, len(leaf) + 1):
            path = leaf[:end]
            self._below[path] = self._below.get(path, 0) | bit
            if path in candidate.hideable:
                hidden_in = path
        # The innermost Disclosure tells: whoever opens it has opened what it lies in.
        if hidden_in is not None:
            self._opened[hidden_in] = self._opened.get(hidden_in, 0) | bit
        elif leaf[0] not in TECHNICAL_CLAIMS:
            self._always |= bit
        if candidate.special and _is_special(candidate, leaf):
            self._special |= bit

    def weigh(self, option: ClaimOption) -> Weight:
        shown = self._always
        for path in option.selected:
            shown |= self._below.get(path, 0)
            for end in range(1, len(path)):
                shown |= self._opened.get(path[:end], 0)
        return (shown & self._special).bit_count(), shown.bit_count()


def default_choice(matches: Matches) -> Choice:
    """Return the least that satisfies the query, for each required set: option, credentials and claims that show least.

    Optional sets are left out.

    Raises:
        QueryNotSatisfied: a required set cannot be answered.
    """
    if not matches.satisfiable:
        raise QueryNotSatisfied("no credential here answers the query", clause="OpenID4VP 6.4.2")
    # How much is shown, by which credential, and by which of its options.
    least = {
        query_id: min((shows, place, option) for place, (shows, option) in enumerate(found))
        for query_id, found in least_options(matches).items()
        if found
    }
    choice: dict[QueryId, tuple[Selection, ...]] = {}
    for required in (found for found in matches.sets if found.required):
        option = min(required.options, key=lambda names: total([least[name][0] for name in names]))
        for query_id in option:
            _, place, number = least[query_id]
            choice[query_id] = (Selection(matches.by_query[query_id][place].candidate.id, number),)
    return choice


def total(weights: Iterable[Weight]) -> Weight:
    """Return how much is shown together."""
    several = tuple(weights)
    return sum(special for special, _ in several), sum(values for _, values in several)


def approve(matches: Matches, choice: Choice | None = None) -> ApprovedDisclosure:
    """Return the disclosure that the holder agreed to.

    Args:
        matches: what could be answered.
        choice: what the holder picked; None for :func:`default_choice`.

    Steps:
        1. Each pick is one of the matches, and its option exists (6.4.1).
        2. Only ``multiple`` queries have more than one credential, none twice (6.1).
        3. Each required set is answered (6.4.2), and there is an answer: none at all is a refusal (8.5).
        4. Each answer belongs to an option that is answered whole: nothing is sent that nobody asked for (6.4).

    Raises:
        QueryNotSatisfied: a step failed; ``step`` is its number.
    """
    picked = {
        query_id: tuple(picks)
        for query_id, picks in (default_choice(matches) if choice is None else choice).items()
        if picks
    }
    approved: list[ApprovedCredential] = []
    for query_id, picks in picked.items():
        credential = matches.query.credential(query_id)
        # 2. 8.1: when multiple is omitted or false, the array MUST contain only one Presentation.
        names = {pick.credential_id for pick in picks}
        # dcql-8.1-single-wallet
        if credential is None or len(names) != len(picks) or (len(picks) > 1 and not credential.multiple):
            raise QueryNotSatisfied("one credential answers each query", step=2, clause="OpenID4VP 8.1")
        approved.extend(_approve_credential(credential, matches.by_query[query_id], pick) for pick in picks)
    # 3. "If the Wallet cannot deliver all non-optional Credentials […], it MUST NOT return any Credential(s)."
    # dcql-6.4.2-required-wallet
    if not picked or not matches.query.is_satisfied_by(picked):
        raise QueryNotSatisfied("a required credential is not part of the choice", step=3, clause="OpenID4VP 6.4.2")
    # 4. "Wallets MUST NOT send selectively disclosable claims that have not been selected".
    whole = {
        query_id
        for credential_set in matches.query.credential_sets
        for option in credential_set.options
        if all(other in picked for other in option)
        for query_id in option
    }
    # dcql-6.4-only-asked-wallet
    if not whole.issuperset(picked):
        raise QueryNotSatisfied("a chosen credential completes no option", step=4, clause="OpenID4VP 6.4")
    return ApprovedDisclosure(tuple(approved), _SEAL)


def value_matches(claim: ClaimsQuery, value: Json) -> bool:
    """Return whether ``value`` is one that the Claims Query accepts: "type and value […] match exactly" (6.3)."""
    if claim.values is None:
        return True
    # Most values are none of those, which is found out fast; but to Python 1 is True.
    # dcql-6.3-exact
    return value in claim.values and any(type(value) is type(wanted) and value == wanted for wanted in claim.values)


def select(claim: ClaimsQuery, claims: JsonObject) -> tuple[ConcretePath, ...]:
    """Return the elements of ``claims`` that answer a Claims Query; empty if none does (6.4.1, 7.1.1)."""
    try:
        found = resolve(claims, claim.path)
    except MalformedError:
        # 7.1.1: a path that meets the wrong type is an error, which here means that the claim is not there.
        return ()
    if claim.values is None:
        return found
    # 6.4.1: a claim whose value does not match "should be treated the same as if it did not exist".
    # dcql-6.4.1-value-filter
    return tuple(path for path in found if value_matches(claim, value_at(claims, path)))


def disclosures_for(hideable: Iterable[ConcretePath], selected: Iterable[ConcretePath]) -> tuple[ConcretePath, ...]:
    """Return which hideable paths must be opened to show ``selected`` whole: parents, itself, everything below."""
    wanted = frozenset(selected)
    above = {path[:end] for path in wanted for end in range(1, len(path))}
    return tuple(
        path
        for path in sorted(hideable, key=_order)
        if path in above or any(path[:end] in wanted for end in range(1, len(path) + 1))
    )


def shown_besides(candidate: Candidate, selected: Iterable[ConcretePath]) -> tuple[ConcretePath, ...]:
    """Return what becomes readable when ``selected`` is shown, though nobody asked for it.

    It is what cannot be hidden: in the credential itself, and in whatever must be opened to show ``selected``. Where
    one Disclosure holds a whole address, asking for its country shows the street too. Technical claims are left out.
    """
    wanted = frozenset(selected)
    # What contains one of these is opened to show it; what contains one, or something hideable, is shown part by part.
    above = {path[:end] for path in wanted for end in range(1, len(path))}
    divided = above | {path[:end] for path in candidate.hideable for end in range(1, len(path))}
    opened, hidden = candidate.hideable & above, candidate.hideable - above

    def walk(path: ConcretePath, value: Json) -> Iterator[ConcretePath]:
        if path in wanted or path in hidden:
            return
        if path in divided:
            for part, child in _children(value):
                yield from walk((*path, part), child)
        elif path[0] not in TECHNICAL_CLAIMS or not opened.isdisjoint(path[:end] for end in range(1, len(path))):
            yield path

    return tuple(path for name, value in candidate.claims.items() for path in walk((name,), value))


def overlap(path: ConcretePath, other: ConcretePath) -> bool:
    """Return whether one path is the other, above it or below it."""
    shared = min(len(path), len(other))
    return path[:shared] == other[:shared]


def _match_credentials(
    query: CredentialQuery, held: Holdings, formats: AcceptedFormats | None
) -> Iterator[CredentialMatch]:
    algorithms = formats.by_format.get(query.format) if formats else None
    # 5.1: vp_formats_supported lists what the Verifier supports; of another format it takes nothing.
    # vp-5.1-formats-asked
    if formats and algorithms is None:
        return
    accepted = {(authority.type, value) for authority in query.trusted_authorities for value in authority.matched}
    # 6.4.1: without claims nothing selectively disclosable is requested.
    # dcql-6.4.1-no-claims
    wanted = [_Wanted(claims) for claims in query.claim_sets] or [_Wanted(())]
    only = wanted[0] if len(wanted) == 1 else None
    for candidate in held.of(query):
        # 6.1: a proof of holder binding is required unless the query waives it.
        # dcql-6.1-holder-binding
        if query.holder_binding and not candidate.holder_bound:
            continue
        # B.3.4, B.2.2: the algorithm of what is presented "MUST match one of the array values".
        # vp-B.3.4-algorithms
        if algorithms and not algorithms.takes_issuer(candidate.issuer_algorithms):
            continue
        # vp-B.3.4-holder-algorithms
        if algorithms and candidate.holder_bound and not algorithms.takes_holder(candidate.holder_algorithms):
            continue
        # 6.1: "Every Credential returned by the Wallet SHOULD match at least one of the conditions".
        # dcql-6.1.1-authorities
        if accepted and candidate.authorities.isdisjoint(accepted):
            continue
        options = (
            _only_option(only.claims, only.fixed, candidate.claims)
            if only and only.fixed
            else _options(wanted, candidate.claims)
        )
        # 6.4.1: "If the Wallet cannot deliver all claims requested […], it MUST NOT return the respective Credential."
        # dcql-6.4.1-all-claims
        if options:
            yield CredentialMatch(candidate, options)


class _Wanted:
    """One claim set of a query. Most have no wildcard: then each credential that has them all shows the same paths."""

    def __init__(self, claims: Sequence[ClaimsQuery]) -> None:
        self.claims = claims
        paths = [claim.path for claim in claims]
        fixed = [path for path in map(_concrete, paths) if path is not None]
        self.fixed = ClaimOption(tuple(dict.fromkeys(fixed))) if len(fixed) == len(paths) else None
        self.elements = frozenset(fixed)


def _options(wanted: Sequence[_Wanted], claims: JsonObject) -> tuple[ClaimOption, ...]:
    """Return what a credential with these claims may show; empty if it lacks something of each claim set."""
    # By identity: claim sets hold the very same queries. Each is looked for once, and only if a set comes to it.
    found: dict[int, tuple[ConcretePath, ...]] = {}
    # Sets that show the same elements are one option, where the first of them stands.
    options: dict[frozenset[ConcretePath], ClaimOption] = {}
    for each in wanted:
        for claim in each.claims:
            if id(claim) not in found:
                found[id(claim)] = _find(claim, claims)
            if not found[id(claim)]:
                break
        else:
            if each.fixed is not None:
                options.setdefault(each.elements, each.fixed)
            else:
                option = ClaimOption(tuple(dict.fromkeys(path for claim in each.claims for path in found[id(claim)])))
                options.setdefault(frozenset(option.selected), option)
    return tuple(options.values())


def _only_option(wanted: Sequence[ClaimsQuery], shows: ClaimOption, claims: JsonObject) -> tuple[ClaimOption, ...]:
    """Do what :func:`_options` does for a single claim set without wildcard, in a fraction of the time: most are so."""
    for claim in wanted:
        if not _is_there(claim, claims):
            return ()
    return (shows,)


def _find(claim: ClaimsQuery, claims: JsonObject) -> tuple[ConcretePath, ...]:
    path = _concrete(claim.path)
    if path is None:
        return select(claim, claims)
    return (path,) if _is_there(claim, claims) else ()


def _concrete(path: ClaimsPath) -> ConcretePath | None:
    return None if None in path else tuple(part for part in path if part is not None)


def _is_there(claim: ClaimsQuery, value: Json) -> bool:
    """Return what :func:`select` finds for a path without wildcard, in a fraction of the time."""
    for part in claim.path:
        if isinstance(value, dict):
            if part not in value:
                return False
            value = value[str(part)]
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        else:
            return False
    return claim.values is None or value_matches(claim, value)


def _approve_credential(
    query: CredentialQuery, found: Sequence[CredentialMatch], pick: Selection
) -> ApprovedCredential:
    # 1.
    chosen = next((one for one in found if one.candidate.id == pick.credential_id), None)
    if chosen is None or not 0 <= pick.option < len(chosen.options):
        raise QueryNotSatisfied("the chosen credential does not answer the query", step=1, clause="OpenID4VP 6.4.1")
    candidate, selected = chosen.candidate, chosen.options[pick.option].selected
    disclosed = disclosures_for(candidate.hideable, selected)
    return ApprovedCredential(
        query_id=query.id,
        credential_id=candidate.id,
        holder_binding=candidate.holder_bound,
        selected=selected,
        disclosed=disclosed,
        always_shown=shown_besides(candidate, selected),
    )


def _leaves(value: Json, path: ConcretePath) -> Iterator[ConcretePath]:
    if not isinstance(value, dict | list) or not value:
        yield path
        return
    for part, child in _children(value):
        yield from _leaves(child, (*path, part))


def _children(value: Json) -> Iterable[tuple[str | int, Json]]:
    if isinstance(value, dict):
        return value.items()
    return enumerate(value) if isinstance(value, list) else ()


def _is_special(candidate: Candidate, leaf: ConcretePath) -> bool:
    general = tuple(None if isinstance(part, int) else part for part in leaf)
    return any(general[:end] in candidate.special for end in range(1, len(general) + 1))


def _order(path: ConcretePath) -> tuple[tuple[bool, int, str], ...]:
    # Indices and names cannot be compared with each other; indices come first, by number.
    return tuple((isinstance(part, str), 0 if isinstance(part, str) else part, str(part)) for part in path)
