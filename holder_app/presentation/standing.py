"""Put into words what registers say of whoever asks, and which claims go beyond it. Pure."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from holder_app.credentials.describe import Text, claim_at, credential_type, plain_label, texts
from wallet_core.catalogue import Catalogue, Policy
from wallet_core.encoding.claims_path import ConcretePath
from wallet_core.protocols.openid4vp.dcql import CredentialQuery, DcqlQuery
from wallet_core.protocols.openid4vp.pending import ResolvedRequest
from wallet_core.protocols.openid4vp.registration import LocalText, Registration
from wallet_core.protocols.openid4vp.verifier_info import AskedClaim, CoveringUse, Standing
from wallet_core.types import ClaimsPath, JsonObject, QueryId

OverPaths = Mapping[QueryId, Collection[ClaimsPath]]
"""Claims that no registration covers, by Credential Query."""


@dataclass(frozen=True, slots=True)
class Usual:
    """What requests like this one are usually for, as the catalogue has it: our guess, and no word of whoever asks.

    ``laws`` are those that the catalogue names, ``retention`` is how long such answers are usually kept.
    """

    name: Text
    purpose: Text
    laws: tuple[Text, ...]
    retention: Text

    def to_json(self) -> JsonObject:
        """Return what the history keeps of it."""
        return {"name": dict(self.name), "purpose": dict(self.purpose), "retention": dict(self.retention)}


@dataclass(frozen=True, slots=True)
class UseView:
    """One registered use that covers something of what is asked.

    Attributes:
        claims: labels of what it covers.
        purpose: why that is asked.
        retention: how long it is kept; None where the register does not say.
        kept_until: the same as a day, where it can be said.
        privacy_policy: address of the privacy policy; None where there is none.
        support: address where people get help; likewise.
    """

    claims: tuple[Text, ...]
    purpose: Text
    retention: Text | None = None
    kept_until: datetime | None = None
    privacy_policy: str | None = None
    support: str | None = None

    def to_json(self) -> JsonObject:
        """Return what the history keeps of it."""
        return {
            "claims": [dict(label) for label in self.claims],
            "purpose": dict(self.purpose),
            "retention": None if self.retention is None else dict(self.retention),
            "kept_until": None if self.kept_until is None else self.kept_until.isoformat(),
        }


@dataclass(frozen=True, slots=True)
class StandingView:
    """What is known of whoever asks, for a person.

    Attributes:
        standing: registered, not any more, or not at all.
        name: the name in the register; None where none counts.
        until: until when all that is shown here is registered, or was; None where nothing is.
        uses: why it asks for what, as registered; what is kept longest stands first. Empty where nobody whom we believe
            says it.
        over_asked: labels of all claims of the request that go beyond the registration.
        usual: what such requests are usually for; None where nobody knows, or a registration says what this one is.
    """

    standing: Standing = Standing.UNREGISTERED
    name: Text | None = None
    until: datetime | None = None
    uses: tuple[UseView, ...] = ()
    over_asked: tuple[Text, ...] = ()
    usual: Usual | None = None

    @property
    def divided(self) -> bool:
        """Whether no use speaks for all that is asked, so that it is said what each is about."""
        return len(self.uses) > 1 or bool(self.over_asked)

    def to_json(self) -> JsonObject:
        """Return what the history keeps of it."""
        return {
            "standing": str(self.standing),
            "name": None if self.name is None else dict(self.name),
            "until": None if self.until is None else self.until.isoformat(),
            "over_asked": [dict(label) for label in self.over_asked],
        }


def describe_standing(
    resolved: ResolvedRequest, policy: Policy | None, catalogue: Catalogue, now: datetime
) -> StandingView:
    """Return what is known of whoever asks.

    Purposes and retention come from registrations that count, and from nowhere else: of each that covers something of
    what is asked, since of two that come along the harmless one must not speak for the other. Without any the
    catalogue's ``policy`` says what such requests are usually for.
    """
    judgement = resolved.judgement
    if judgement.standing is Standing.REGISTERED:
        return _registered(resolved, catalogue, now)
    registration = judgement.registration
    until = registration.expires_at if registration else None
    return StandingView(judgement.standing, until=until, usual=_usual(policy) if policy else None)


def over_paths(resolved: ResolvedRequest) -> OverPaths:
    """Return the claims that no registration covers, by Credential Query."""
    found: dict[QueryId, list[ClaimsPath]] = {}
    for one in resolved.judgement.over_asked(resolved.request.dcql_query):
        if one.path is not None:
            found.setdefault(one.query_id, []).append(one.path)
    return found


def is_over_asked(path: ConcretePath, over: Collection[ClaimsPath]) -> bool:
    """Return whether the element at ``path`` is one of the claims ``over``."""
    return any(
        len(one) == len(path) and all(part in {None, here} for part, here in zip(one, path, strict=True))
        for one in over
    )


def _usual(policy: Policy) -> Usual:
    laws = {ground.law.ko: texts(ground.law) for ground in policy.legal_ground if ground.law}
    return Usual(texts(policy.name), texts(policy.purpose), tuple(laws.values()), texts(policy.retention.text))


def _registered(resolved: ResolvedRequest, catalogue: Catalogue, now: datetime) -> StandingView:
    judgement, query = resolved.judgement, resolved.request.dcql_query
    covering = sorted(judgement.covering(query), key=_kept_longest)
    shown = [each.use.registration for each in covering] or [use.registration for use in judgement.uses]
    return StandingView(
        Standing.REGISTERED,
        _both(shown[0].name),
        min(one.expires_at for one in shown),
        tuple(_use_view(each.use.registration, _labels(each.claims, query, catalogue), now) for each in covering),
        _labels(judgement.over_asked(query), query, catalogue),
    )


def _kept_longest(covering: CoveringUse) -> float:
    retention = covering.use.registration.retention
    return -math.inf if retention is None or retention.days is None else -retention.days


def _use_view(registration: Registration, claims: tuple[Text, ...], now: datetime) -> UseView:
    retention = registration.retention
    days = retention.days if retention else None
    return UseView(
        claims,
        _both(registration.purpose),
        _both(retention.text) if retention else None,
        now + timedelta(days=days) if days else None,
        registration.privacy_policy,
        registration.support,
    )


def _labels(claims: Collection[AskedClaim], query: DcqlQuery, catalogue: Catalogue) -> tuple[Text, ...]:
    """Return what claims are called, each name once."""
    asked = ((query.credential(one.query_id), one.path) for one in claims)
    labels = [_label(credential, path, catalogue) for credential, path in asked if credential is not None]
    return tuple({label["ko"]: label for label in labels}.values())


def _label(credential: CredentialQuery, path: ClaimsPath | None, catalogue: Catalogue) -> Text:
    type_ = credential.types[0] if credential.types else ""
    known = credential_type(catalogue, credential.format, type_)
    if path is None:
        return texts(known.name) if known else plain_label([type_ or credential.id])
    # A null stands for every element: what any one of them is called is what they are.
    claim = claim_at(tuple(0 if part is None else part for part in path), known)
    return texts(claim.label) if claim else plain_label([part for part in path if part is not None])


def _both(text: LocalText) -> Text:
    """Return a text in our two languages: each stands in for the other, and any third one for both."""
    first = next(iter(text.values()))
    english = text.get("en", text.get("ko", first))
    return {"ko": text.get("ko", english), "en": english}
