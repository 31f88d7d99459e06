import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from holder_app.accounts.ports import AccountId
from holder_app.dependencies import create_wallet
from holder_app.provider.ports import ProviderPorts
from holder_app.provider.use_cases import LocalWalletProvider
from holder_app.settings import WalletSettings
from tests.support.wallet_providers import CLIENT_ID, PROVIDER, Provider
from wallet_core.adapters.config import SettingsError
from wallet_core.adapters.keystore import KeyStore, Sealer, new_key_text
from wallet_core.errors import KeyUnavailable
from wallet_core.jose import jws
from wallet_core.keys.jwk import thumbprint
from wallet_core.keys.signer import CertifiedSigner
from wallet_core.protocols.oauth2.client_attestation import create_client_attestation_pop, verify_client_attestation
from wallet_core.protocols.openid4vci.key_attestation import KeyAttestationRequirements, verify_key_attestation

NOW = datetime(2026, 11, 22, 3, 41, 7, tzinfo=UTC)
ISSUER, OTHER = "https://issuer.example/agencies/police", "https://issuer.example/agencies/tax"
ANNA, BORI = AccountId("anna"), AccountId("bori")
MAKER = Provider(NOW)
SETTINGS = WalletSettings(
    public_url="https://wallet.example", database_url="sqlite://", client_id=CLIENT_ID, provider_url=PROVIDER
)


class At:
    def now(self) -> datetime:
        return NOW


def new_provider(sealer: Sealer | None = None) -> LocalWalletProvider:
    sealer = sealer or Sealer.from_text(new_key_text())
    key = CertifiedSigner(MAKER.signer, MAKER.chain)
    return LocalWalletProvider(ProviderPorts(SETTINGS.provider_terms(), lambda: key, sealer.derive, At()))


def test_an_instance_key_is_one_persons_at_one_issuer():
    sealer = Sealer.from_text(new_key_text())
    provider, after_a_restart = new_provider(sealer), new_provider(sealer)
    keys = {
        thumbprint(provider.instance_key(account, issuer).public_key)
        for account in (ANNA, BORI)
        for issuer in (ISSUER, OTHER)
    }
    assert len(keys) == 4
    again = after_a_restart.instance_key(ANNA, ISSUER)
    assert thumbprint(again.public_key) in keys
    assert thumbprint(new_provider().instance_key(ANNA, ISSUER).public_key) not in keys
    again.public_key.verify(again.sign(b"data"), b"data")


def test_an_issuer_believes_an_attested_instance():
    provider = new_provider()
    key = provider.instance_key(ANNA, ISSUER)
    text = provider.attest_instance(key.public_key)
    pop = create_client_attestation_pop(
        key, client_id=provider.client_id, audience=ISSUER, issued_at=NOW, random=os.urandom, challenge=None
    )
    client = verify_client_attestation(
        [text], [pop], audience=ISSUER, now=NOW, trust=MAKER.trusted(), verify_challenge=lambda _: None
    )
    assert (client.client_id, client.instance) == (CLIENT_ID, thumbprint(key.public_key))
    assert client.wallet is not None


def test_nothing_but_the_key_tells_instances_apart():
    provider = new_provider()
    claims = [
        jws.parse(provider.attest_instance(provider.instance_key(account, ISSUER).public_key)).claims()
        for account in (ANNA, BORI)
    ]
    assert claims[0].pop("cnf") != claims[1].pop("cnf")
    assert claims[0] == claims[1]
    assert claims[0]["iat"] == int(NOW.replace(minute=0, second=0).timestamp())
    assert NOW + timedelta(hours=1) < datetime.fromtimestamp(claims[0]["exp"], UTC) <= NOW + timedelta(hours=3)


def test_an_issuer_believes_attested_keys():
    provider = new_provider()
    keys = [provider.instance_key(ANNA, str(number)).public_key for number in range(10)]
    found = verify_key_attestation(
        provider.attest_keys(keys, "nonce"),
        algorithms=["ES256"],
        verify_nonce=lambda _: None,
        now=NOW,
        trust=MAKER.trusted(),
        required=KeyAttestationRequirements(("iso_18045_basic",), ("iso_18045_basic",)),
        with_proof=True,
    )
    assert [each.thumbprint for each in found.keys] == [thumbprint(key) for key in keys]


def test_a_wallet_without_the_key_attests_nothing(tmp_path: Path):
    KeyStore(tmp_path).add("wallet-provider", MAKER.signer.private_key, MAKER.chain)
    common = {"database_url": "sqlite://", "public_url": "https://wallet.example", "sealing_key": new_key_text()}
    with_key = create_wallet(WalletSettings(**common, key_store=tmp_path))
    assert with_key.provider is not None
    assert with_key.provider.client_id == "https://wallet.example/client"
    assert create_wallet(WalletSettings(**common, key_store=tmp_path, provider_key="other")).provider is None
    assert create_wallet(WalletSettings(**common)).provider is None


def test_a_key_that_is_away_is_said_so():
    def away() -> CertifiedSigner:
        raise KeyUnavailable("the key is away")

    provider = LocalWalletProvider(ProviderPorts(SETTINGS.provider_terms(), away, lambda _: bytes(32), At()))
    with pytest.raises(KeyUnavailable):
        provider.attest_instance(provider.instance_key(ANNA, ISSUER).public_key)


def test_levels_are_those_of_the_specification():
    with pytest.raises(SettingsError, match="KEY_STORAGE"):
        WalletSettings.from_environment(
            {"JIGAP_WALLET_PUBLIC_URL": "https://a.example", "JIGAP_WALLET_DATABASE_URL": "sqlite://",
             "JIGAP_WALLET_KEY_STORAGE": "best"}
        )  # fmt: skip
