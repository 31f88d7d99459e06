"""After a lost device nothing more is got under an offer, in whatever state it is."""

from datetime import UTC, datetime, timedelta

import pytest

from wallet_core.errors import InvalidGrant, InvalidToken
from wallet_core.protocols.openid4vci.issuance import (
    Authorized,
    Expired,
    Issued,
    RefusalReason,
    Refused,
    create_offered,
    end_access,
    ends_at,
    issue,
    redeem_code,
    validate_token,
)
from wallet_core.protocols.openid4vci.issuance_stored import state_from_json, state_kind, state_to_json

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
TOKEN = b"t" * 32
OFFERED = create_offered(("a",), tx_code_digest=None, now=NOW)
AUTHORIZED = redeem_code(OFFERED, tx_code_digest=None, token_digest=TOKEN, now=NOW)
assert isinstance(AUTHORIZED, Authorized)
ISSUED = issue(AUTHORIZED, configuration_id="a", copies=2, notification_id="n", now=NOW)
REFUSED, EXPIRED = Refused(("a",), RefusalReason.TOO_MANY_TRIES), Expired(("a",))


@pytest.mark.parametrize("state", [OFFERED, AUTHORIZED, ISSUED, REFUSED, EXPIRED], ids=state_kind)
def test_no_code_and_no_token_is_good_any_more(state):
    ended = end_access(state, now=NOW)
    with pytest.raises(InvalidGrant):
        redeem_code(ended, tx_code_digest=None, token_digest=TOKEN, now=NOW)
    with pytest.raises(InvalidToken):
        validate_token(ended, now=NOW)
    assert ends_at(ended) in {None, NOW}
    assert end_access(ended, now=NOW + timedelta(hours=1)) == ended
    assert state_from_json(state_kind(ended), state_to_json(ended)) == ended


def test_what_was_issued_stays_on_record():
    ended = end_access(ISSUED, now=NOW)
    assert isinstance(ended, Issued)
    assert ended.issuances == ISSUED.issuances
    assert end_access(AUTHORIZED, now=NOW) == Refused(("a",), RefusalReason.WITHDRAWN)
