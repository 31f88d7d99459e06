"""A wallet that breaks one rule of OpenID4VCI each, as an issuer meets it."""

from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.proofs import verify_proof
from wallet_core.errors import InvalidNotificationId, InvalidProof, UnknownCredentialConfiguration
from wallet_core.jose import jws
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.protocols.openid4vci.issuance import Authorized, create_offered, issue, notify, redeem_code
from wallet_core.protocols.openid4vci.messages import NotificationEvent
from wallet_core.protocols.openid4vci.proof import proof_signing_input
from wallet_core.types import CredentialConfigurationId, CredentialIssuerId, Nonce

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
ISSUER = CredentialIssuerId("https://issuer.example/agencies/police")
LICENCE = CredentialConfigurationId("licence")
TOKEN, CODE = b"t" * 32, b"c" * 32


def authorized() -> Authorized:
    state = redeem_code(
        create_offered((LICENCE,), tx_code_digest=CODE, now=NOW), tx_code_digest=CODE, token_digest=TOKEN, now=NOW
    )
    assert isinstance(state, Authorized)
    return state


def prove(signer: SoftwareSigner) -> None:
    signing_input = proof_signing_input(signer.public_key, audience=ISSUER, nonce=Nonce("n"), issued_at=NOW)
    verify_proof(jws.attach_signature(signing_input, signer.sign(signing_input)), audience=ISSUER, now=NOW)


@pytest.mark.clause("vci-F.1-alg")
def test_a_proof_with_an_algorithm_that_is_good_but_not_published() -> None:
    prove(SoftwareSigner.generate())
    with pytest.raises(InvalidProof, match="alg"):
        prove(SoftwareSigner.from_key(ec.generate_private_key(ec.SECP384R1())))


@pytest.mark.clause("vci-6.3-tx-code-wrong")
def test_the_right_transaction_code_is_taken() -> None:
    assert authorized().token_digest == TOKEN


@pytest.mark.clause("vci-8.3.1.2-unknown-configuration")
def test_a_credential_that_was_not_offered() -> None:
    with pytest.raises(UnknownCredentialConfiguration):
        issue(
            authorized(),
            configuration_id=CredentialConfigurationId("record"),
            copies=1,
            notification_id="n",
            now=NOW,
        )


@pytest.mark.clause("vci-11.3-unknown-id")
def test_a_notification_of_something_else() -> None:
    issued = issue(authorized(), configuration_id=LICENCE, copies=1, notification_id="n", now=NOW)
    with pytest.raises(InvalidNotificationId):
        notify(issued, notification_id="m", event=NotificationEvent.CREDENTIAL_ACCEPTED, now=NOW)
    with pytest.raises(InvalidNotificationId):
        notify(authorized(), notification_id="n", event=NotificationEvent.CREDENTIAL_ACCEPTED, now=NOW)
