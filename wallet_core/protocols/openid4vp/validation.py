"""What the Verifier checks before it believes a VP Token (OpenID4VP 1.0 sections 8.6, 6.4, 14.1 and 14.9).

What is particular to a format is in ``validation_sd_jwt`` and ``validation_mdoc``. The invariant: only
:func:`validate_vp_token` makes a :class:`ValidatedResponse`, which holds only what was asked.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import InitVar, dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import Final, NamedTuple, TypeAlias

from wallet_core import spec_versions as spec
from wallet_core.errors import HolderBindingError, QueryNotSatisfied, VerificationError
from wallet_core.protocols.openid4vp.binding import require_nonce_of_sd_jwt, require_session_of_mdoc
from wallet_core.protocols.openid4vp.checks import Checks, CheckStep, check_failed, discarded_checks, passed_checks
from wallet_core.protocols.openid4vp.dcql import CredentialQuery
from wallet_core.protocols.openid4vp.presented import Expectation, PresentedCredential, status_said, validate_permitted
from wallet_core.protocols.openid4vp.response import VpToken
from wallet_core.protocols.openid4vp.transaction_data import PresentedBinding, TransactionData, validate_agreement
from wallet_core.protocols.openid4vp.validation_mdoc import validate_presented_mdoc
from wallet_core.protocols.openid4vp.validation_sd_jwt import validate_presented_sd_jwt
from wallet_core.types import QueryId

_SEAL: Final = object()

_REFUSE_ALL: Final = frozenset({CheckStep.ANSWER_FITS_REQUEST, CheckStep.HOLDER_PRESENT})
"""Checks that refuse the whole answer, whichever presentation fails them (OpenID4VP 8.6, 14.1.2)."""

_Validate: TypeAlias = Callable[[str, CredentialQuery, Expectation, datetime], PresentedCredential]

_BY_FORMAT: Final[Mapping[str, _Validate]] = {
    spec.FORMAT_SD_JWT_VC: validate_presented_sd_jwt,
    spec.FORMAT_MDOC: validate_presented_mdoc,
}


@dataclass(frozen=True, slots=True)
class ValidatedResponse:
    """An answer that passed every check. Only :func:`validate_vp_token` makes one.

    ``agreed`` has, for each entry of the request's ``transaction_data``, the query whose answer agreed to it.
    """

    credentials: Mapping[QueryId, tuple[PresentedCredential, ...]]
    checks: Checks
    seal: InitVar[object]
    agreed: tuple[QueryId, ...] = ()

    def __post_init__(self, seal: object) -> None:
        """Refuse to exist without :func:`validate_vp_token`."""
        if seal is not _SEAL:
            raise TypeError("only validate_vp_token makes a ValidatedResponse")


def validate_vp_token(vp_token: VpToken, expected: Expectation, *, now: datetime) -> ValidatedResponse:
    """Return what a VP Token proves, if it answers the request in every respect.

    OpenID4VP 8.6: a presentation that fails is discarded, and what is left has to satisfy the request. The whole answer
    is refused if it is not one (1), or if a presentation was not made for this request (6): a wrong nonce means that
    somebody injects what was shown elsewhere.

    Steps (names and clauses: ``checks.CHECKS``, for mdocs ``checks._MDOC_CLAUSES``; to which of them each step of a
    format belongs: ``validation_sd_jwt``, ``validation_mdoc``):
        1. The VP Token has an entry only for queries of the request, and one presentation unless ``multiple`` (8.1).
        2. Each issuer's certificate leads to an anchor, and speaks for ``iss`` (8.6).
        3. Each issuer's signature verifies (RFC 9901 7.1).
        4. Every Disclosure belongs to what was signed, and the rules of SD-JWT VC hold (RFC 9901 7.1).
        5. Each credential is valid now, and not meant for others only (RFC 9901 7.1, step 6; RFC 7519 4.1.3).
        6. Each holder proved possession, for this request and for us: ``aud``, ``nonce``, ``sd_hash`` (14.1.2).
        7. No credential is withdrawn; one whose status cannot be looked up is refused, unless policy says else (8.6).
        8. No claim was disclosed that the request did not ask for (6.4).
        9. Each presentation answers its query, values and authorities included, and what is left answers every required
           set (6.4, 14.9).
        10. Each issuer may issue this type: as the trust lists say, where lists are used (``trust.policy``).
        11. Exactly what the request asked to agree to is bound in one Key Binding JWT each (8.4, B.3.3.1).

    Not done here: decryption, ``state``, whether the request was answered before.

    Raises:
        VerificationError: a check failed; ``step`` is its number, ``query_id`` whose, ``others`` what else failed.
    """
    # 1.
    answered: list[tuple[CredentialQuery, Sequence[str]]] = []
    for query_id, presentations in vp_token.items():
        query = expected.query.credential(query_id)
        # vp-8.1-asked-and-single
        if query is None or (len(presentations) > 1 and not query.multiple):
            raise check_failed(CheckStep.ANSWER_FITS_REQUEST, "the vp_token has an entry that was not asked for")
        answered.append((query, presentations))
    # 2. to 10., each presentation by itself.
    looked_at = [
        (query, _look_at(text, query, expected, now)) for query, presentations in answered for text in presentations
    ]
    failures = [result for _, result in looked_at if isinstance(result, VerificationError)]
    good = [(query, result) for query, result in looked_at if not isinstance(result, VerificationError)]
    # 1., 6. "If any Verifiable Presentation in the response does not contain the correct nonce value, the response MUST
    # be rejected" (14.1.2).
    refusing = [failure for failure in failures if failure.step in _REFUSE_ALL]
    # vp-14.1.2-nonce-rejects-all
    if refusing:
        raise _blamed(refusing, failures)
    credentials: dict[QueryId, tuple[PresentedCredential, ...]] = {}
    for query, (credential, _) in good:
        credentials[query.id] = (*credentials.get(query.id, ()), credential)
    # 9. "Check that the set of Presentations returned satisfies all requirements" (8.6).
    # dcql-6.4.2-required
    if not expected.query.is_satisfied_by(credentials):
        needed = {query_id for query_id in expected.query.required_ids if query_id not in credentials}
        raise _blamed([failure for failure in failures if failure.query_id in needed], failures)
    # 11.
    agreed = _validate_agreed(expected.transaction_data, credentials, failures)
    passed = _passed(tuple([_say(credential, name, now) for _, (credential, name) in good]), agreed)
    checks = Checks((*passed, *discarded_checks(failures))) if failures else passed
    return ValidatedResponse(credentials, checks, _SEAL, agreed)


def _validate_agreed(
    entries: Sequence[TransactionData],
    credentials: Mapping[QueryId, Sequence[PresentedCredential]],
    failures: Sequence[VerificationError],
) -> tuple[QueryId, ...]:
    """Return which query's answer agreed to each entry (11.); what was discarded agrees to nothing."""
    presented = [
        PresentedBinding(query_id, one.key_binding) for query_id, several in credentials.items() for one in several
    ]
    try:
        return validate_agreement(entries, presented)
    except VerificationError as exc:
        exc.others = tuple(failures)
        raise


def _look_at(
    text: str, query: CredentialQuery, expected: Expectation, now: datetime
) -> tuple[PresentedCredential, str] | VerificationError:
    """Return what one presentation proves and which listed issuer may say so, or why it is discarded (2. to 10.)."""
    try:
        try:
            if query.format not in _BY_FORMAT:
                raise check_failed(CheckStep.ANSWER_FITS_REQUEST, "the answer has a format that is not verified here")
            credential = _BY_FORMAT[query.format](text, query, expected, now)
            # 10.
            return credential, validate_permitted(credential, expected.may_issue, now)
        except VerificationError as exc:
            if exc.step not in _REFUSE_ALL:
                _require_this_request(text, query, expected)
            raise
    except VerificationError as exc:
        # 8.6: "If any of the checks related to an individual Presentation fail, the effected Presentation MUST be
        # discarded."
        exc.query_id = query.id
        # vp-8.6-discarded
        return exc


def _require_this_request(text: str, query: CredentialQuery, expected: Expectation) -> None:
    """Check of a presentation that failed before check 6 that it was made for this request (6.)."""
    try:
        if query.format == spec.FORMAT_SD_JWT_VC:
            require_nonce_of_sd_jwt(text, expected.nonce, required=query.holder_binding)
        elif expected.session_transcript is not None:
            require_session_of_mdoc(text, expected.session_transcript)
    except HolderBindingError as exc:
        raise check_failed(CheckStep.HOLDER_PRESENT, exc.description, exc) from exc


def _blamed(candidates: Sequence[VerificationError], failures: Sequence[VerificationError]) -> VerificationError:
    """Return the failure that is the reason: of ``candidates`` the first in the list of checks. The others go with it.

    Where no presentation failed that was needed, the one that is needed did not come.
    """
    missing = QueryNotSatisfied(
        "a required credential is missing", step=CheckStep.QUERY_ANSWERED, clause="OpenID4VP 6.4.2"
    )
    reason = min(candidates, key=lambda failure: failure.step or 0, default=missing)
    reason.others = tuple(failure for failure in failures if failure is not reason)
    return reason


class _Said(NamedTuple):
    """What the list of checks says of one credential."""

    format: str
    issuer_name: str
    valid_until: date | None
    holder_bound: bool
    status: str
    permitted: str


def _say(one: PresentedCredential, permitted: str, now: datetime) -> _Said:
    until = None if one.valid_until is None else one.valid_until.date()
    return _Said(one.format, one.issuer_name, until, one.holder_bound, status_said(one.status, now), permitted)


# Most answers of one second have the same list: of one kind of credential, by one issuer, with one age of its list.
@lru_cache(maxsize=256)
def _passed(presented: tuple[_Said, ...], agreed: tuple[QueryId, ...]) -> Checks:
    until = [one.valid_until for one in presented if one.valid_until is not None]
    details: dict[CheckStep, str] = {
        CheckStep.ISSUER_TRUSTED: _each_once([one.issuer_name for one in presented], ", "),
        CheckStep.WITHIN_VALIDITY: f"until {min(until).isoformat()}" if until else "",
        CheckStep.HOLDER_PRESENT: "" if all(one.holder_bound for one in presented) else "not asked for",
        CheckStep.NOT_WITHDRAWN: _each_once([one.status for one in presented], "; "),
        CheckStep.QUERY_ANSWERED: f"{len(presented)} credential(s)",
        CheckStep.ISSUER_PERMITTED: _each_once([one.permitted or "no list used" for one in presented], ", "),
    }
    if agreed:
        details[CheckStep.TRANSACTION_AGREED] = f"{len(agreed)} with {_each_once(agreed, ', ')}"
    return passed_checks(details, {one.format for one in presented})


def _each_once(texts: Sequence[str], between: str) -> str:
    return between.join(dict.fromkeys(texts))
