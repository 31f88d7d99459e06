"""A verifier policy of the catalogue: what is asked, why, on what ground, and how long it is kept."""

from dataclasses import dataclass
from typing import Final, Literal

from wallet_core.catalogue.text import Text
from wallet_core.types import ClaimsPath, JsonObject


@dataclass(frozen=True, slots=True)
class LegalGround:
    """Why a party may ask. ``mark`` says how sure the entry is, as in ``specs/catalogue/README.md``."""

    basis: str
    law: Text | None
    article: str
    rule: str
    mark: str


@dataclass(frozen=True, slots=True)
class Retention:
    """How long an answer is kept.

    No program knows of events at the company: the verifier counts ``claims_days`` from the answer, and whoever asked
    deletes the claims where ``earlier`` comes true, or where the days from ``counted_from`` are over sooner.

    Attributes:
        claims_days: days the claims are kept; 0 = not at all.
        counted_from: the event from which the days count.
        record_days: days for which the fact of the check is kept.
        text: for the consent screen.
        earlier: the case in which the claims go sooner.
    """

    claims_days: int
    counted_from: str
    record_days: int
    text: Text
    earlier: Text | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """One line of what is asked, as a person sees it.

    Attributes:
        label: the line.
        claims: ids of the query's claims; several = any one of these ways, over all cards and formats.
        required: whether it can be refused.
        kept: whether the party keeps it.
        note: why, where it needs a reason.
    """

    label: Text
    claims: tuple[str, ...]
    required: bool
    kept: bool
    note: str = ""


@dataclass(frozen=True, slots=True)
class NotAsked:
    """One line of what stays hidden."""

    type_id: str
    path: ClaimsPath
    label: Text


MAX_STATUS_AGE_HOURS: Final = 366 * 24
"""Hours: the oldest that a rule may let a status list be. A year: more says nothing but "whatever its age"."""


@dataclass(frozen=True, slots=True)
class StatusRule:
    """How fresh a status list must be, and what to do without one."""

    max_age_hours: int
    unknown: Literal["refuse", "ask_the_clerk", "accept_and_say_age"]


@dataclass(frozen=True, slots=True)
class SampleParty:
    """An invented relying party that uses the policy."""

    id: str
    name: Text
    kind: str


@dataclass(frozen=True, slots=True)
class Policy:
    """A verifier policy.

    Attributes:
        dcql_query: what is sent (OpenID4VP 6), with alternatives in each format that a type has.
        must_match: claim ids of which the cards of one answer must share a value, those that show one.
        mixes_yes_no_and_identity: the consent screen says so where it is true.
        digest: SHA-256 of the file, which tells one version of the policy from another.
        transactions: ids of the transaction types that are agreed to with it; empty for most.
    """

    id: str
    name: Text
    purpose: Text
    party: SampleParty
    channels: tuple[str, ...]
    legal_ground: tuple[LegalGround, ...]
    retention: Retention
    dcql_query: JsonObject
    asks: tuple[Ask, ...]
    not_asked: tuple[NotAsked, ...]
    must_match: tuple[tuple[str, ...], ...]
    status: StatusRule
    mixes_yes_no_and_identity: bool
    notes: tuple[str, ...] = ()
    digest: bytes = b""
    transactions: tuple[str, ...] = ()

    @property
    def is_for_logins(self) -> bool:
        """Whether only agencies ask with it, where citizens log in."""
        return self.channels == ("login",)
