from datetime import UTC, datetime, timedelta

import pytest

from issuer.issuance.use_cases.outcome import outcome_of
from wallet_core.protocols.openid4vci.issuance import Issuance, Issued, RefusalReason, Refused
from wallet_core.protocols.openid4vci.messages import NotificationEvent
from wallet_core.types import CredentialConfigurationId

NOW = datetime(2026, 11, 22, tzinfo=UTC)
YES, NO, BROKEN = (
    NotificationEvent.CREDENTIAL_ACCEPTED,
    NotificationEvent.CREDENTIAL_DELETED,
    NotificationEvent.CREDENTIAL_FAILURE,
)


def issued(*answers: tuple[str, NotificationEvent | None]) -> Issued:
    said = tuple(
        Issuance(str(number), CredentialConfigurationId(name), 1, NOW, event)
        for number, (name, event) in enumerate(answers)
    )
    return Issued((CredentialConfigurationId("a"), CredentialConfigurationId("b")), b"", NOW + timedelta(hours=1), said)


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([("a", None)], "sent"),
        ([("a", YES)], "accepted"),
        ([("a", NO)], "declined"),
        ([("a", BROKEN)], "failed"),
        ([], "sent"),
        # The wallet tried again, and later got new copies.
        ([("a", BROKEN), ("a", YES)], "accepted"),
        ([("a", YES), ("a", None)], "accepted"),
        ([("a", BROKEN), ("a", None)], "sent"),
        # Of two cards one is not enough.
        ([("a", YES), ("b", None)], "sent"),
        ([("a", YES), ("b", BROKEN)], "failed"),
        ([("a", YES), ("b", NO)], "declined"),
        ([("a", YES), ("b", YES)], "accepted"),
    ],
)
def test_what_wallets_say_of_an_issued_offer(
    answers: list[tuple[str, NotificationEvent | None]], expected: str
) -> None:
    assert outcome_of("issued", issued(*answers), [], now=NOW) == expected


def test_a_wallet_that_can_say_no_more_stays_unheard() -> None:
    state = issued(("a", None))
    assert outcome_of("issued", state, [], now=state.token_expires_at) == "unheard"
    assert outcome_of("issued", issued(("a", YES)), [], now=NOW + timedelta(days=9)) == "accepted"


@pytest.mark.parametrize(
    ("answer", "deferred", "expected"),
    [
        (YES, ["denied"], "partly"),
        (YES, ["delivered", "denied"], "partly"),
        (YES, ["delivered"], "accepted"),
        (NO, ["denied"], "declined"),
        (BROKEN, ["denied"], "failed"),
        (None, ["denied"], "sent"),
    ],
)
def test_nobody_is_told_that_all_was_received_where_something_was_denied(
    answer: NotificationEvent | None, deferred: list[str], expected: str
) -> None:
    assert outcome_of("issued", issued(("a", answer)), deferred, now=NOW) == expected


def test_what_the_agency_ended_was_not_refused() -> None:
    ids = (CredentialConfigurationId("a"),)
    assert outcome_of("refused", Refused(ids, RefusalReason.WITHDRAWN), [], now=NOW) == "withdrawn"
    for reason in (RefusalReason.TOO_MANY_TRIES, RefusalReason.CODE_REPLAYED):
        assert outcome_of("refused", Refused(ids, reason), [], now=NOW) == "refused"


@pytest.mark.parametrize("overall", ["offered", "authorized", "deferred", "refused", "expired"])
def test_every_other_state_is_its_own_outcome(overall: str) -> None:
    assert outcome_of(overall, issued(("a", YES)), ["denied"], now=NOW) == overall
