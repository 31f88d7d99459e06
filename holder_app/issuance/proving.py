"""What new keys prove to an issuer: by their signatures, and by the wallet provider's word where that is asked for."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from holder_app.provider.ports import WalletProvider
from wallet_core.errors import MalformedError
from wallet_core.keys.jwk import thumbprint
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.protocols.openid4vci import wallet
from wallet_core.protocols.openid4vci.pending import ProofsToSign


def attest_keys(pending: ProofsToSign, provider: WalletProvider | None, *, now: datetime) -> ProofsToSign:
    """Return the proofs with the key attestations that they need (HAIP 4.5.1).

    Raises:
        MalformedError: they need some, and nobody attests the keys of this wallet.
    """
    if not pending.unattested:
        return pending
    if provider is None:
        raise MalformedError("the issuer wants attested keys, and nobody attests the keys of this wallet")
    attestations = {keys.configuration_id: provider.attest_keys(keys.keys, keys.nonce) for keys in pending.unattested}
    return wallet.attach_key_attestations(pending, attestations, now=now)


def sign_proofs(pending: ProofsToSign, signers: Mapping[bytes, SoftwareSigner]) -> list[bytes]:
    """Return the signature of each proof, by the key it is of."""
    return [signers[thumbprint(proof.key)].sign(proof.signing_input) for proof in pending.proofs]


def by_thumbprint(signers: Iterable[SoftwareSigner]) -> dict[bytes, SoftwareSigner]:
    """Return the keys as proofs and credentials name them."""
    return {thumbprint(signer.public_key): signer for signer in signers}
