"""A verifier policy of the catalogue: what is asked, why, on what ground, and how long it is kept."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final, Literal

from wallet_core.catalogue.text import Text
from wallet_core.spec_versions import FORMAT_SD_JWT_VC
from wallet_core.types import ClaimsPath, Json, JsonObject

SUPPORTED_FORMATS: Final = (FORMAT_SD_JWT_VC,)
"""Formats this product presents today. A policy file may hold others; :attr:`Policy.dcql_query` leaves them out."""


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
        full_query: the DCQL query of the file, with alternatives in formats that are not supported yet.
        dcql_query: the DCQL query in the formats that are supported (OpenID4VP 6): what is sent.
        must_match: claim ids whose values must be equal across the cards of one answer.
        mixes_yes_no_and_identity: the consent screen says so where it is true.
    """

    id: str
    name: Text
    purpose: Text
    party: SampleParty
    channels: tuple[str, ...]
    legal_ground: tuple[LegalGround, ...]
    retention: Retention
    full_query: JsonObject
    asks: tuple[Ask, ...]
    not_asked: tuple[NotAsked, ...]
    must_match: tuple[tuple[str, ...], ...]
    status: StatusRule
    mixes_yes_no_and_identity: bool
    notes: tuple[str, ...] = ()

    dcql_query: JsonObject = field(init=False)

    def __post_init__(self) -> None:
        """Work out the query once: it is compared with every request a wallet gets."""
        object.__setattr__(self, "dcql_query", query_in_formats(self.full_query, SUPPORTED_FORMATS))


def query_in_formats(query: JsonObject, formats: Collection[str]) -> JsonObject:
    """Return ``query`` without Credential Queries of other formats, and without the options that need them.

    A set whose every option goes is left out too: the catalogue check sees to it that no required one does.
    """
    credentials = [each for each in _objects(query.get("credentials")) if each.get("format") in formats]
    kept = [each.get("id") for each in credentials]
    result: JsonObject = {**query, "credentials": list(credentials)}
    sets: list[Json] = []
    for entry in _objects(query.get("credential_sets")):
        options = entry.get("options")
        possible: list[Json] = [
            option
            for option in (options if isinstance(options, list) else [])
            if isinstance(option, list) and all(each in kept for each in option)
        ]
        if possible:
            sets.append({**entry, "options": possible})
    if sets:
        result["credential_sets"] = sets
    else:
        result.pop("credential_sets", None)
    return result


def _objects(value: Json) -> list[JsonObject]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
