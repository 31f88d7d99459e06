"""One key proof, as the Credential Endpoint verifies it."""

from collections.abc import Collection
from datetime import datetime

from wallet_core.protocols.openid4vci.proof import AcceptedKey, NonceCheck, ProofPolicy, verify_key_proofs
from wallet_core.trust.wallet_providers import WalletProviders
from wallet_core.types import CredentialIssuerId


def verify_proof(
    proof: str,
    *,
    audience: str,
    algorithms: Collection[str] = ("ES256",),
    verify_nonce: NonceCheck = lambda _: None,
    now: datetime,
    client_id: str | None = None,
) -> AcceptedKey:
    """Verify a request's only ``jwt`` proof, at an issuer that asks for no key attestation and trusts nobody's."""
    (accepted,) = verify_key_proofs(
        [proof],
        proof_type="jwt",
        audience=CredentialIssuerId(audience),
        policy=ProofPolicy({"jwt": algorithms}),
        trust=WalletProviders(),
        verify_nonce=verify_nonce,
        now=now,
        client_id=client_id,
        limit=1,
    )
    return accepted
