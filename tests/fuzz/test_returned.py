"""Only WalletError leaves what checks the secrets and addresses that were given out and come back, changed or not."""

import os

import pytest

from tests.fuzz.test_parsers import AT, ISSUER_ID, Target, Text, only_wallet_errors
from wallet_core.protocols.oauth2.client_attestation import create_challenge, verify_challenge
from wallet_core.protocols.oauth2.dpop import create_dpop_nonce, verify_dpop_nonce
from wallet_core.protocols.oauth2.identifiers import parse_wallet_endpoint
from wallet_core.protocols.oauth2.pkce import code_challenge, verify_code_verifier
from wallet_core.protocols.openid4vci.nonce import create_c_nonce, verify_c_nonce
from wallet_core.protocols.openid4vp.dc_api import parse_own_origin
from wallet_core.types import Nonce

SECRET = bytes(range(32))
VERIFIER = "v" * 43
CHALLENGE = code_challenge(VERIFIER)

TARGETS = {
    "c_nonce": Target(
        lambda text: verify_c_nonce(Nonce(text), SECRET, ISSUER_ID, now=AT),
        Text(create_c_nonce(SECRET, ISSUER_ID, now=AT, random=os.urandom)),
    ),
    "dpop_nonce": Target(
        lambda text: verify_dpop_nonce(text, SECRET, now=AT),
        Text(create_dpop_nonce(SECRET, now=AT, random=os.urandom)),
    ),
    "attestation_challenge": Target(
        lambda text: verify_challenge(text, SECRET, now=AT), Text(create_challenge(SECRET, now=AT, random=os.urandom))
    ),
    "code_verifier": Target(lambda text: verify_code_verifier(text, CHALLENGE), Text(VERIFIER)),
    "wallet_endpoint": Target(
        lambda text: parse_wallet_endpoint(text, what="the endpoint"), Text("openid-credential-offer://")
    ),
    "own_origin": Target(parse_own_origin, Text("https://verifier.example")),
}


@pytest.mark.parametrize("name", TARGETS)
def test_the_message_that_is_changed_is_a_good_one(name: str) -> None:
    target = TARGETS[name]
    target.call(target.draw.valid)  # type: ignore[attr-defined]


@pytest.mark.fuzz
@pytest.mark.parametrize("name", TARGETS)
def test_only_wallet_errors_leave(name: str, fuzz_seconds: float) -> None:
    only_wallet_errors(TARGETS[name], fuzz_seconds)
