"""Put into words what registers say of whoever asks, and which claims go beyond it. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from holder_app.credentials.describe import Text, claim_at, credential_type, plain_label, texts
from wallet_core.catalogue import Catalogue, Policy
from wallet_core.encoding.claims_path import ConcretePath
from wallet_core.protocols.openid4vp.dcql import CredentialQuery
from wallet_core.protocols.openid4vp.pending import ResolvedRequest
from wallet_core.protocols.openid4vp.registration import LocalText, Registration
from wallet_core.protocols.openid4vp.verifier_info import Standing, VerifierJudgement
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
class StandingView:
    """What is known of whoever asks, for a person.

    Attributes:
        standing: registered, not any more, or not at all.
        name: the name in the register; None where none counts.
        until: until when the registration counts, or counted; None where there is none.
        purpose: why it asks, as registered; None where nobody whom we believe says it.
        retention: how long it keeps what it gets; likewise.
        kept_until: the same as a day, where it can be said.
        privacy_policy: address of its privacy policy; None where there is none.
        support: address where it helps; likewise.
        over_asked: labels of all claims of the request that go beyond the registration.
        usual: what such requests are usually for; None where nobody knows, or a registration says what this one is.
    """

    standing: Standing = Standing.UNREGISTERED
    name: Text | None = None
    until: datetime | None = None
    purpose: Text | None = None
    retention: Text | None = None
    kept_until: datetime | None = None
    privacy_policy: str | None = None
    support: str | None = None
    over_asked: tuple[Text, ...] = ()
    usual: Usual | None = None

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

    Purpose and retention come from a registration that counts, and from nowhere else. Without one the catalogue's
    ``policy`` says what such requests are usually for.
    """
    judgement, registration = resolved.judgement, resolved.judgement.registration
    if registration is not None and judgement.standing is Standing.REGISTERED:
        return _registered(registration, _over_labels(resolved, catalogue), now)
    until = registration.expires_at if registration else None
    return StandingView(judgement.standing, until=until, usual=_usual(policy) if policy else None)


def over_paths(resolved: ResolvedRequest) -> OverPaths:
    """Return the claims that no registration covers, by Credential Query."""
    found: dict[QueryId, list[ClaimsPath]] = {}
    for one in _over_asked(resolved.judgement, resolved):
        if one[1] is not None:
            found.setdefault(one[0].id, []).append(one[1])
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


def _registered(registration: Registration, over: tuple[Text, ...], now: datetime) -> StandingView:
    retention = registration.retention
    days = retention.days if retention else None
    return StandingView(
        Standing.REGISTERED,
        _both(registration.name),
        registration.expires_at,
        _both(registration.purpose),
        _both(retention.text) if retention else None,
        now + timedelta(days=days) if days else None,
        registration.privacy_policy,
        registration.support,
        over,
    )


def _over_asked(
    judgement: VerifierJudgement, resolved: ResolvedRequest
) -> list[tuple[CredentialQuery, ClaimsPath | None]]:
    query = resolved.request.dcql_query
    return [
        (credential, one.path)
        for one in judgement.over_asked(query)
        if (credential := query.credential(one.query_id)) is not None
    ]


def _over_labels(resolved: ResolvedRequest, catalogue: Catalogue) -> tuple[Text, ...]:
    labels = [_label(credential, path, catalogue) for credential, path in _over_asked(resolved.judgement, resolved)]
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
