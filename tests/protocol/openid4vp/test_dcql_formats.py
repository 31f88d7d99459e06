"""Formats of tomorrow: a wallet tolerates them, a verifier does not send them."""

import pytest

from wallet_core.errors import InvalidRequest
from wallet_core.protocols.openid4vp.dcql import parse_dcql_query, validate_own_query


def test_a_wallet_tolerates_a_format_it_does_not_know() -> None:
    unknown = {"id": "x", "format": "of-tomorrow", "meta": {}}
    parsed = parse_dcql_query({"credentials": [unknown]})
    assert parsed.credentials[0].types == ()
    with pytest.raises(InvalidRequest):
        validate_own_query(parsed)
