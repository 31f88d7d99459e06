"""A wallet provider and what it attests, for tests: invented, with keys made here (시험용)."""

import os
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from tests.support.trust import OPERATOR
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.protocols.oauth2.client_attestation import create_client_attestation
from wallet_core.protocols.openid4vci.key_attestation import create_key_attestation
from wallet_core.trust.anchors import AnchorPurpose, TrustAnchor, TrustAnchors
from wallet_core.trust.certificates import CertificateAuthority, create_ca, create_wallet_provider_certificate
from wallet_core.trust.trust_list import ListedWallet, TrustList
from wallet_core.trust.wallet_providers import WalletProviders, create_wallet_providers
from wallet_core.types import ClientId

PROVIDER = "https://provider.example"
CLIENT_ID = ClientId("https://wallet.example")
REDIRECT_URI = "https://wallet.example/callback"


@dataclass
class Provider:
    """Attests wallets and keys: a CA, and a signing certificate below it."""

    now: datetime
    url: str = PROVIDER
    client_id: ClientId = CLIENT_ID
    signer: SoftwareSigner = field(default_factory=SoftwareSigner.generate)
    ca: CertificateAuthority = field(init=False)
    chain: tuple[bytes, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.ca = create_ca(
            organization="시험용 지갑 인증기관",
            common_name="시험용 지갑 인증기관",
            contact=self.url,
            private_key=ec.generate_private_key(ec.SECP256R1()),
            now=self.now - timedelta(days=2),
            random=os.urandom,
        )
        leaf = create_wallet_provider_certificate(
            self.ca,
            provider=self.url,
            organization="시험용 지갑 제공자",
            public_key=self.signer.public_key,
            now=self.now - timedelta(days=1),
            random=os.urandom,
        )
        self.chain = (leaf.public_bytes(Encoding.DER),)

    @property
    def anchor(self) -> TrustAnchor:
        return TrustAnchor(self.ca.certificate, AnchorPurpose.WALLET_PROVIDER)

    def wallet(self, **changes: Any) -> ListedWallet:
        name = {"ko": "시험지갑 (시험용)", "en": "Test wallet"}
        return replace(ListedWallet(self.client_id, name, self.url, (REDIRECT_URI,)), **changes)

    def listed(self, *wallets: ListedWallet) -> TrustList:
        """A list, good for a day, that names the wallet."""
        until = self.now + timedelta(days=1)
        return TrustList(OPERATOR, 7, self.now, until, (self.anchor,), (), wallets or (self.wallet(),))

    def trusted(self, *wallets: ListedWallet) -> WalletProviders:
        return create_wallet_providers(TrustAnchors(), [self.listed(*wallets)])

    def attest_instance(self, instance: SoftwareSigner, **changes: Any) -> str:
        terms = {
            "issuer": self.url,
            "client_id": self.client_id,
            "issued_at": self.now,
            "expires_at": self.now + timedelta(hours=1),
            "wallet_name": "시험지갑",
        }
        return create_client_attestation(
            self.signer, self.chain, instance_key=instance.public_key, **{**terms, **changes}
        )

    def attest_keys(self, *keys: SoftwareSigner, nonce: str | None, **changes: Any) -> str:
        terms = {
            "issued_at": self.now,
            "expires_at": self.now + timedelta(minutes=5),
            "key_storage": ("iso_18045_basic",),
            "user_authentication": ("iso_18045_basic",),
        }
        public = [key.public_key for key in keys]
        return create_key_attestation(self.signer, self.chain, keys=public, nonce=nonce, **{**terms, **changes})
