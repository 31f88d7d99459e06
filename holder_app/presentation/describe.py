"""Put a request into words: who asks, why, what would be sent, what stays hidden, how long it is kept. Pure."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache

from holder_app.credentials.describe import (
    Field,
    Text,
    card_name,
    claim_at,
    claim_path,
    credential_type,
    describe_claims,
    field_of,
    label_of,
    texts,
)
from holder_app.credentials.ports import Card, CardStatus
from holder_app.presentation.choices import Extra, Pick, create_groups, digest_of
from holder_app.presentation.standing import OverPaths, StandingView, describe_standing, is_over_asked, over_paths
from wallet_core.catalogue import Catalogue, CredentialType, Policy
from wallet_core.encoding.claims_path import ConcretePath, value_at
from wallet_core.protocols.openid4vp.asking import match_number
from wallet_core.protocols.openid4vp.dcql import ClaimsQuery, CredentialQuery, DcqlQuery
from wallet_core.protocols.openid4vp.matching import Candidate, Matches, select
from wallet_core.protocols.openid4vp.pending import ResolvedRequest, VerifierIdentity
from wallet_core.protocols.openid4vp.transaction_data import understand
from wallet_core.spec_versions import FORMAT_MDOC
from wallet_core.types import Json, JsonObject


@dataclass(frozen=True, slots=True)
class Asked:
    """One line of the consent screen.

    ``instead_of`` is the label of the claim that a yes or no stands in for and that is not sent; ``over_asked`` tells
    that whoever asks is not registered for it.
    """

    field: Field
    instead_of: Text | None
    over_asked: bool = False


@dataclass(frozen=True, slots=True)
class ExtraView:
    """Claims that may be sent as well, off at first; ``over_asked`` as in :class:`Asked`, of any of them."""

    number: int
    fields: tuple[Field, ...]
    over_asked: bool = False


@dataclass(frozen=True, slots=True)
class PickView:
    """One card of an answer.

    Attributes:
        received_at: what tells two cards of one kind apart.
        asked: what is asked for and sent.
        always: what is sent as well because this card cannot hide it, asked for or not.
        extras: what may be sent as well.
        hidden: what stays hidden.
        withdrawn: ``suspended`` or ``revoked`` if the issuer says so; empty otherwise.
        used_up: every copy was shown before, so that this showing could be linked with another.
        can_refresh: new copies can be fetched.
        others: cards that may be sent as well, off at first.
    """

    card_id: str
    name: Text
    issuer_name: str
    cloth: str
    received_at: datetime
    asked: tuple[Asked, ...]
    always: tuple[Field, ...]
    extras: tuple[ExtraView, ...]
    hidden: tuple[Field, ...]
    withdrawn: str = ""
    used_up: bool = False
    can_refresh: bool = False
    others: "tuple[PickView, ...]" = ()

    @property
    def shown(self) -> tuple[Field, ...]:
        """All that is sent of the card unless the person adds something."""
        return (*(asked.field for asked in self.asked), *self.always)


@dataclass(frozen=True, slots=True)
class TransactionView:
    """What the person agrees to, in words: one sentence, and each member of it as (label, value)."""

    name: Text
    sentence: Text
    lines: tuple[tuple[Text, Text], ...]


@dataclass(frozen=True, slots=True)
class GroupView:
    """One thing that is asked for, with the ways to answer it."""

    number: int
    required: bool
    alternatives: tuple[tuple[PickView, ...], ...]


@dataclass(frozen=True, slots=True)
class UnlikeView:
    """A card of the kind that is asked for, which says something else than what would do: ``fields`` are those."""

    name: Text
    issuer_name: str
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class RequestView:
    """A request in words. ``policy`` is the catalogue's, where it knows exactly this query: no word of whoever asks.

    ``standing`` is what registers say of whoever asks, ``transactions`` what is agreed to with an answer.

    ``match_number`` is what another screen that led here shows as well, if it is one of ours. Always said: whoever
    makes a link chooses how it is opened, so that one that was followed may stem from another screen too.

    ``unlike`` are cards that would answer but for what they say; only where nothing answers, and for the person alone.

    ``shown`` is the digest of ``groups`` that an answer must bring along; see ``choices.digest_of``.
    """

    verifier: VerifierIdentity
    policy: Policy | None
    standing: StandingView
    groups: tuple[GroupView, ...]
    satisfiable: bool
    match_number: str = ""
    transactions: tuple[TransactionView, ...] = ()
    shown: str = ""
    unlike: tuple[UnlikeView, ...] = ()

    @property
    def name(self) -> Text:
        """Who asks: the name in the register, else in the certificate, else the host."""
        name = self.verifier.name or self.verifier.host
        return self.standing.name or {"ko": name, "en": name}

    @property
    def asked_count(self) -> int:
        """How many things must be sent to answer with the defaults."""
        return sum(len(pick.asked) for group in self.groups if group.required for pick in group.alternatives[0])


def describe_request(
    resolved: ResolvedRequest,
    matches: Matches,
    cards: Mapping[str, Card],
    catalogue: Catalogue,
    now: datetime,
    withdrawn: Collection[str] = (),
) -> RequestView:
    """Return what the consent screen shows."""
    policy = policy_of(resolved, catalogue)
    candidates = {one.candidate.id: one.candidate for found in matches.by_query.values() for one in found}
    over = over_paths(resolved)
    found = create_groups(matches, withdrawn) if matches.satisfiable else ()

    @cache  # one card may stand in many places of a query
    def view(pick: Pick) -> PickView:
        others = tuple(map(view, pick.others))
        return _pick_view(pick, candidates, cards, catalogue, policy, over, others)

    groups = tuple(
        GroupView(number, group.required, tuple(tuple(map(view, picks)) for picks in group.alternatives))
        for number, group in enumerate(found)
    )
    return RequestView(
        resolved.verifier,
        policy,
        describe_standing(resolved, policy, catalogue, now),
        groups,
        matches.satisfiable,
        match_number(resolved.request),
        describe_transactions(resolved, catalogue),
        digest_of(found, candidates, withdrawn),
    )


def without_values(query: DcqlQuery) -> DcqlQuery:
    """Return the query as if any value would do."""

    def any_value(claims: Sequence[ClaimsQuery]) -> tuple[ClaimsQuery, ...]:
        return tuple(replace(claim, values=None) for claim in claims)

    credentials = tuple(
        replace(one, claims=any_value(one.claims), claim_sets=tuple(map(any_value, one.claim_sets)))
        for one in query.credentials
    )
    return replace(query, credentials=credentials)


def describe_unlike(
    matches: Matches, any_value: Matches, cards: Mapping[str, Card], catalogue: Catalogue
) -> tuple[UnlikeView, ...]:
    """Return the cards that would answer but for their values; none if there is an answer, or would be none anyhow.

    Args:
        matches: what answers.
        any_value: what would, if any value did.
        cards: the cards, by id.
        catalogue: names and labels.
    """
    if matches.satisfiable or not any_value.satisfiable:
        return ()
    found = {
        one.candidate.id: (one.candidate, query)
        for query in matches.query.credentials
        if query.id in matches.query.required_ids and not matches.by_query[query.id]
        for one in any_value.by_query[query.id]
    }
    return tuple(_unlike(cards[card_id], candidate, query, catalogue) for card_id, (candidate, query) in found.items())


def _unlike(card: Card, candidate: Candidate, query: CredentialQuery, catalogue: Catalogue) -> UnlikeView:
    known = credential_type(catalogue, card.format, card.type)
    other = [claim for claim in query.claims if claim.values is not None and not select(claim, candidate.claims)]
    paths = [path for claim in other for path in select(replace(claim, values=None), candidate.claims)]
    fields = tuple(_field_at(path, candidate.claims, known, card.display) for path in dict.fromkeys(paths))
    return UnlikeView(card_name(known, card.display, card.format), card.issuer_name, fields)


def describe_transactions(resolved: ResolvedRequest, catalogue: Catalogue) -> tuple[TransactionView, ...]:
    """Return what an answer to the request agrees to, in the verifier's order.

    Raises:
        InvalidTransactionData: the catalogue does not know it, so that it cannot be put into words.
    """
    return tuple(
        TransactionView(
            texts(each.type.name),
            texts(each.type.words(each.values)),
            tuple((texts(line.label), texts(line.value)) for line in each.type.lines(each.values)),
        )
        for each in understand(resolved.request.transaction_data, catalogue.transaction_types)
    )


def policy_of(resolved: ResolvedRequest, catalogue: Catalogue) -> Policy | None:
    """Return the catalogue's policy with exactly this query, if somebody whom we trust vouches for whoever asks.

    The catalogue is public, so that whoever likes can ask with its query: the policy says what such requests are for,
    and nothing of this one. Whose transactions do not go with it says something else than the policy does (decision
    0085): then there is none.
    """
    if not resolved.verifier.verified:
        return None
    request = resolved.request
    agreed = {entry.type for entry in request.transaction_data}
    return next(
        (
            policy
            for policy in catalogue.policies.values()
            if policy.dcql_query == request.dcql_query.source and catalogue.goes_with(policy, agreed)
        ),
        None,
    )


def divide_fields(
    card: Card,
    claims: JsonObject,
    selected: Collection[ConcretePath],
    always: Collection[ConcretePath],
    catalogue: Catalogue,
    policy: Policy | None,
) -> tuple[tuple[Field, ...], tuple[Field, ...], tuple[Field, ...]]:
    """Return what of a card is sent because it was asked for, what is shown anyway, and what stays hidden.

    What the policy names as not asked for comes first among the hidden: people look for it.
    """
    known = credential_type(catalogue, card.format, card.type)
    sent = tuple(_field_at(path, claims, known, card.display) for path in selected)
    anyway = tuple(_field_at(path, claims, known, card.display) for path in always if path not in selected)
    shown = {field.path for field in (*sent, *anyway)}
    every = describe_claims(claims, known, card.display, is_mdoc=card.format == FORMAT_MDOC)
    hidden = [each for field in every for each in _hidden_parts(field, shown, claims, known, card.display)]
    named = [entry.path[0] for entry in policy.not_asked if known and entry.type_id == known.id] if policy else []
    return sent, anyway, tuple(sorted(hidden, key=lambda field: claim_path(field.path, known)[0] not in named))


def describe_receipt(
    resolved: ResolvedRequest, catalogue: Catalogue, cards: Sequence[Json], now: datetime
) -> JsonObject:
    """Return what the history keeps of an answer: to whom, why, what, what not, until when, and what was agreed."""
    verifier, policy = resolved.verifier, policy_of(resolved, catalogue)
    standing = describe_standing(resolved, policy, catalogue, now)
    transactions = describe_transactions(resolved, catalogue)
    return {
        "peer": {
            "name": verifier.name,
            "host": verifier.host,
            "id": verifier.client_id,
            "certificate_sha256": verifier.certificate_sha256,
        },
        "uses": [use.to_json() for use in standing.uses],
        "usual": standing.usual.to_json() if standing.usual else None,
        "registration": standing.to_json(),
        "transactions": [
            {
                "name": dict(each.name),
                "sentence": dict(each.sentence),
                "lines": [{"label": dict(label), "value": dict(value)} for label, value in each.lines],
            }
            for each in transactions
        ],
        "cards": list(cards),
    }


def _pick_view(
    pick: Pick,
    candidates: Mapping[str, Candidate],
    cards: Mapping[str, Card],
    catalogue: Catalogue,
    policy: Policy | None,
    over: OverPaths,
    others: tuple[PickView, ...],
) -> PickView:
    card, candidate = cards[pick.card_id], candidates[pick.card_id]
    known, claims = credential_type(catalogue, card.format, card.type), candidate.claims
    # Many extras add the same claims: each is compared once.
    named = {*pick.selected, *(path for extra in pick.extras for path in extra.adds)}
    beyond = {path for path in named if is_over_asked(path, over.get(pick.query_id, ()))}
    sent, anyway, hidden = divide_fields(card, claims, pick.selected, pick.besides, catalogue, policy)
    paths = {field.path for field in sent}
    return PickView(
        card.id,
        card_name(known, card.display, card.format),
        card.issuer_name,
        known.cloth if known else "jjok",
        card.received_at,
        tuple(Asked(field, _instead_of(field, known, paths), field.path in beyond) for field in sent),
        anyway,
        tuple(_extra_view(number, extra, claims, known, card, beyond) for number, extra in enumerate(pick.extras)),
        hidden,
        card.status if card.status in {CardStatus.SUSPENDED, CardStatus.REVOKED} else "",
        not card.unused,
        card.grant is not None,
        others,
    )


def _hidden_parts(
    field: Field, shown: Collection[ConcretePath], claims: JsonObject, known: CredentialType | None, display: JsonObject
) -> Iterator[Field]:
    """Yield the field, if nothing of it is shown; else those parts of it of which nothing is shown."""
    if _is_covered(field.path, shown):
        return
    if not any(path[: len(field.path)] == field.path for path in shown):
        yield field
        return
    inside = value_at(claims, field.path)
    for part in inside if isinstance(inside, dict) else range(len(inside)) if isinstance(inside, list) else ():
        yield from _hidden_parts(_field_at((*field.path, part), claims, known, display), shown, claims, known, display)


def _extra_view(
    number: int,
    extra: Extra,
    claims: JsonObject,
    known: CredentialType | None,
    card: Card,
    beyond: Collection[ConcretePath],
) -> ExtraView:
    fields = tuple(_field_at(path, claims, known, card.display) for path in extra.adds)
    return ExtraView(number, fields, any(path in beyond for path in extra.adds))


def _field_at(path: ConcretePath, claims: JsonObject, known: CredentialType | None, display: JsonObject) -> Field:
    claim = claim_at(path, known)
    return (
        Field(path, label_of(path, known, display), value_at(claims, path))
        if claim is None
        else field_of(claim, path, claims)
    )


def _instead_of(field: Field, known: CredentialType | None, sent: Collection[ConcretePath]) -> Text | None:
    """Return the label of what a yes or no was computed from, unless that is sent too."""
    claim = claim_at(field.path, known)
    if known is None or claim is None or claim.derived is None or not isinstance(field.value, bool):
        return None
    # What the claims of one card are computed from stands at its top level, so that its path has no wildcard.
    sources = [(str(source[0]),) for source in claim.derived.sources]
    hidden = [source for source in sources if not _is_covered(source, {claim_path(path, known) for path in sent})]
    return label_of(hidden[0], known, {}) if hidden else None


def _is_covered(path: ConcretePath, shown: Collection[ConcretePath]) -> bool:
    """Whether the element at ``path`` is one of those shown, or lies inside one."""
    return any(path[:length] in shown for length in range(1, len(path) + 1))
