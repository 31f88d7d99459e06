"""The numbered checks of an answer, as the Verifier's page and API show them: always the same list."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from functools import cached_property
from typing import Final

from wallet_core.encoding import strict_json
from wallet_core.errors import MalformedError, VerificationError
from wallet_core.spec_versions import FORMAT_MDOC
from wallet_core.types import JsonObject


class CheckStep(IntEnum):
    """The numbers of the checks, in the order in which they are shown."""

    ANSWER_FITS_REQUEST = 1
    ISSUER_TRUSTED = 2
    ISSUER_SIGNED = 3
    CONTENT_UNCHANGED = 4
    WITHIN_VALIDITY = 5
    HOLDER_PRESENT = 6
    NOT_WITHDRAWN = 7
    ONLY_WHAT_WAS_ASKED = 8
    QUERY_ANSWERED = 9
    ISSUER_PERMITTED = 10
    TRANSACTION_AGREED = 11


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the list that pages and API show.

    Attributes:
        step: its number, from 1.
        name: a stable name for programs; pages translate it.
        clause: where the specification asks for it.
        ok: True passed, False failed, None not reached because an earlier one failed.
        detail: what was found, in English, without personal data; empty if there is nothing to add.
        query_id: the Credential Query whose presentation failed; None for a check of the whole answer.
    """

    step: int
    name: str
    clause: str
    ok: bool | None
    detail: str = ""
    query_id: str | None = None

    def to_json(self) -> JsonObject:
        """Return the line as our API shows it."""
        return {
            "step": self.step,
            "name": self.name,
            "clause": self.clause,
            "ok": self.ok,
            "detail": self.detail,
            "query_id": self.query_id,
        }


class Checks(tuple[Check, ...]):  # noqa: SLOT001 - its JSON has to be kept somewhere
    """The list. Its JSON is made once: most answers of one second share theirs."""

    @cached_property
    def json(self) -> bytes:
        """The list as verification records and our API have it."""
        return strict_json.dumps([check.to_json() for check in self])


@dataclass(frozen=True, slots=True)
class ListCopy:
    """A copy of a trust or status list: since when we have it, and until when it counts; None if it does not say."""

    fetched_at: datetime
    good_until: datetime | None = None

    def said(self, now: datetime) -> str:
        """Return its age in words."""
        until = f", good until {self.good_until:%Y-%m-%d %H:%M} UTC" if self.good_until else ""
        return f"of {age_said(now - self.fetched_at)} ago{until}"


def age_said(age: timedelta) -> str:
    """Return an age in the largest unit of which there are two: ``2 h``, ``45 min``."""
    seconds = max(0, int(age.total_seconds()))
    for unit, length in (("days", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


CHECKS: Final[Mapping[CheckStep, tuple[str, str]]] = {
    CheckStep.ANSWER_FITS_REQUEST: ("answer_fits_request", "OpenID4VP 8.1, 8.2"),
    CheckStep.ISSUER_TRUSTED: ("issuer_trusted", "OpenID4VP 8.6, HAIP 6.1.1"),
    CheckStep.ISSUER_SIGNED: ("issuer_signed", "RFC 9901 7.1"),
    CheckStep.CONTENT_UNCHANGED: ("content_unchanged", "RFC 9901 7.1"),
    CheckStep.WITHIN_VALIDITY: ("within_validity", "RFC 9901 7.1, SD-JWT VC 2.2.2"),
    CheckStep.HOLDER_PRESENT: ("holder_present", "OpenID4VP 14.1.2, RFC 9901 7.3"),
    CheckStep.NOT_WITHDRAWN: ("not_withdrawn", "OpenID4VP 8.6"),
    CheckStep.ONLY_WHAT_WAS_ASKED: ("only_what_was_asked", "OpenID4VP 6.4"),
    CheckStep.QUERY_ANSWERED: ("query_answered", "OpenID4VP 6.4, 14.9"),
    CheckStep.ISSUER_PERMITTED: ("issuer_permitted", "OpenID4VP 8.6, specs/trust-list.md 4"),
    CheckStep.TRANSACTION_AGREED: ("transaction_data_agreed", "OpenID4VP 8.4, B.3.3.1"),
}
"""Name and clause of each check."""

WHERE_ASKED: Final = frozenset({CheckStep.TRANSACTION_AGREED})
"""Checks that stand in the list only where the request asked for what they check."""

_MDOC_CLAUSES: Final[Mapping[CheckStep, str]] = {
    CheckStep.ISSUER_TRUSTED: "ISO/IEC 18013-5 9.3.1",
    CheckStep.ISSUER_SIGNED: "ISO/IEC 18013-5 9.1.2.4, 9.3.1",
    CheckStep.CONTENT_UNCHANGED: "ISO/IEC 18013-5 9.1.2.5, 9.3.1",
    CheckStep.WITHIN_VALIDITY: "ISO/IEC 18013-5 9.3.1",
    CheckStep.HOLDER_PRESENT: "ISO/IEC 18013-5 9.1.3",
    CheckStep.NOT_WITHDRAWN: "Token Status List 8.3",
}
"""Where the checks stand for mdocs; the others as for any credential."""


def clauses_of(step: CheckStep, formats: Collection[str]) -> str:
    """Return where a check stands for credentials of these formats."""
    _, usual = CHECKS[step]
    clauses = (_MDOC_CLAUSES.get(step, usual) if each == FORMAT_MDOC else usual for each in sorted(formats))
    return "; ".join(dict.fromkeys(clauses)) or usual


def passed_checks(details: Mapping[CheckStep, str], formats: Collection[str]) -> Checks:
    """Return the list with every check passed on credentials of these formats, and what was found at some of them.

    The checks of :data:`WHERE_ASKED` are there if something was found at them.
    """
    return Checks(
        Check(step, name, clauses_of(step, formats), ok=True, detail=details.get(step, ""))
        for step, (name, _) in CHECKS.items()
        if step not in WHERE_ASKED or step in details
    )


def failed_checks(error: VerificationError, asked: Collection[CheckStep] = ()) -> Checks:
    """Return the list of checks with those marked at which the answer failed.

    A check passed if every presentation came past it; later ones were not reached by all. An error without step
    belongs to the first check: the answer could not even be read. ``asked`` are those of :data:`WHERE_ASKED` that the
    request asked for.
    """
    failures: dict[CheckStep, VerificationError] = {}
    for each in (error, *error.others):
        failures.setdefault(_step_of(each), each)
    first = min(failures)
    return Checks(
        _failed(failures[step]) if step in failures else Check(step, name, clause, ok=True if step < first else None)
        for step, (name, clause) in CHECKS.items()
        if step not in WHERE_ASKED or step in asked or step in failures
    )


def discarded_checks(failures: Iterable[VerificationError]) -> Checks:
    """Return a line for each presentation that was discarded from an answer that holds without it (8.6)."""
    return Checks(_failed(failure) for failure in failures)


def _failed(failure: VerificationError) -> Check:
    step = _step_of(failure)
    name, clause = CHECKS[step]
    return Check(step, name, failure.clause or clause, False, failure.description, failure.query_id)


def _step_of(error: VerificationError) -> CheckStep:
    return CheckStep(error.step) if error.step in set(CheckStep) else CheckStep.ANSWER_FITS_REQUEST


def check_failed(
    step: CheckStep, description: str, cause: MalformedError | VerificationError | None = None
) -> VerificationError:
    """Return ``cause`` as the same kind of error, numbered as the check it belongs to."""
    kind = type(cause) if isinstance(cause, VerificationError) else VerificationError
    return kind(
        description,
        step=step,
        detail=cause.detail if cause else None,
        clause=(cause.clause if cause else None) or CHECKS[step][1],
    )
