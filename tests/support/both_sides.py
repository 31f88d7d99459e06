"""Our wallet at our issuer, over ASGI, in the high-assurance profile: people and keys are invented (시험용)."""

from copy import copy
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from holder_app.accounts.ports import Account
from holder_app.accounts.use_cases import create_person
from holder_app.credentials.ports import Card
from holder_app.credentials.refreshing import Refreshed, refresh_card
from holder_app.credentials.status import check_cards_soon
from holder_app.dependencies import Wallet, create_wallet
from holder_app.issuance import use_cases as issuance_use_cases
from holder_app.issuance.states import Kept
from holder_app.provider.ports import ProviderPorts
from holder_app.provider.use_cases import LocalWalletProvider
from holder_app.settings import WalletSettings
from tests.support.issuing import HOST, LICENCE, NOW, FixedClock, IssuerUnderTest, issuer_anchors
from tests.support.reissuing import put_on_record
from tests.support.tables import migrate
from tests.support.wallet_providers import CLIENT_ID, PROVIDER, Provider
from tests.support.wallets import Network, wait
from wallet_core.adapters.keystore import new_key_text
from wallet_core.http import HttpRequest, HttpResponse
from wallet_core.keys.signer import CertifiedSigner
from wallet_core.trust.anchors import format_trust_anchors


@dataclass
class BothSides:
    """An agency of the high-assurance profile, and a person's wallet that it believes."""

    issuer: IssuerUnderTest
    wallet: Wallet
    owner: Account
    clock: FixedClock
    network: Network

    def receive(self, subject: str = "p-1", configuration: str = LICENCE) -> Card:
        """Give the person on record a card, by an offer at the counter."""
        made = self.issuer.offer(subject_id=subject, configuration=configuration)
        wait(self._receive(made["uri"]))
        return self.card

    async def _receive(self, link: str) -> None:
        ports, owner = self.wallet.issuance_ports(), self.owner.id
        issuance = issuance_use_cases.take_offer_link(ports, owner, link)
        await issuance_use_cases.fetch_offer(ports, owner, issuance.id)
        await issuance_use_cases.accept_offer(ports, owner, issuance.id)
        kept = await issuance_use_cases.keep_cards(ports, owner, issuance.id)
        assert isinstance(kept.state, Kept), kept.state

    @property
    def card(self) -> Card:
        """The newest card."""
        ports = self.wallet.card_ports(read_only=True)
        with ports.unit:
            return ports.cards.of_account(self.owner.id)[0]

    def refresh(self, *, asked: bool = False) -> Refreshed:
        """Refresh the newest card."""
        wallet, card_id = self.wallet, self.card.id
        return wait(refresh_card(wallet.card_ports, wallet.reissuer(), self.owner.id, card_id, asked=asked))

    def use(self, copies: int) -> None:
        """Show copies of the newest card to somebody."""
        for _ in range(copies):
            card, ports = self.card, self.wallet.card_ports()
            with ports.unit:
                assert ports.cards.take(self.owner.id, card.next_copy)

    def look_at_status(self) -> None:
        """What the wallet does when a card is opened."""
        wallet = self.wallet
        wait(check_cards_soon(wallet.card_ports, wallet.fetch, wallet.anchors, self.owner.id))

    def reissue(self, path: str, **body: Any) -> Any:
        """Order something at the agency."""
        return self.issuer.api("POST", path, json=body)

    def statuses(self) -> list[str]:
        """The statuses of what the agency issued, in the order of issue."""
        return [each["status"] for each in self.issuer.api("GET", "/credentials").json()["credentials"]]

    def pass_by(self, duration: timedelta) -> datetime:
        """Let time pass on both sides."""
        self.clock.advance(duration.total_seconds())
        return self.clock.now()


def both_sides(issuer: IssuerUnderTest, folder: Path, database_url: str) -> BothSides:
    """Let an issuer serve only attested wallets, and give it one."""
    with issuer.issuer.database.unit() as unit:
        unit.connection.exec_driver_sql("UPDATE issuer_agency SET haip = TRUE")
    provider = Provider(NOW, client_id=CLIENT_ID)
    # The operator signs a new list each day.
    trusted = replace(
        issuer.issuer.issuance, wallet_providers=lambda: replace_now(provider, issuer.clock.now()).trusted()
    )
    issuer.issuer = replace(issuer.issuer, issuance=trusted, known={})
    issuer.app.state.issuer = issuer.issuer
    put_on_record(issuer, "p-1")
    (folder / "wallet-anchors.pem").write_text(format_trust_anchors(issuer_anchors(issuer.ca)))
    settings = WalletSettings(
        public_url="https://wallet.example",
        database_url=database_url,
        sealing_key=SecretStr(new_key_text()),
        trust_anchors=(folder / "wallet-anchors.pem",),
        client_id=CLIENT_ID,
        provider_url=PROVIDER,
        demo=True,
    )
    network = Network({"issuer.example": lambda request: _send(issuer, request)})
    wallet = create_wallet(settings, fetch=network, clock=issuer.clock)
    key = CertifiedSigner(provider.signer, provider.chain)
    ports = ProviderPorts(settings.provider_terms(), lambda: key, wallet.sealer.derive, issuer.clock)
    wallet = replace(wallet, provider=LocalWalletProvider(ports))
    migrate(wallet.database, "holder_app")
    owner = create_person(wallet.account_ports(), "한지우", "jiwoo")
    return BothSides(issuer, wallet, owner, issuer.clock, network)


def replace_now(provider: Provider, now: datetime) -> Provider:
    """The same provider on a list of ``now``."""
    later = copy(provider)
    later.now = now
    return later


def _send(issuer: IssuerUnderTest, request: HttpRequest) -> HttpResponse:
    assert request.url.startswith(HOST)
    # Credentials are listed in the order of their time of issue.
    issuer.clock.advance(1)
    return issuer.send(request)
