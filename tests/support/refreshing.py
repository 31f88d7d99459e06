"""An agency that gives new copies for a refresh token, and a town whose owner has a card from it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from holder_app.credentials.ports import Card
from holder_app.credentials.refreshing import Refreshed, refresh_card
from tests.support.wallets import IssuingIssuer, Town, receive, wait
from wallet_core.catalogue import CredentialType
from wallet_core.http import HttpRequest, HttpResponse


@dataclass
class RefreshingIssuer(IssuingIssuer):
    """Takes one refresh token. ``said`` changes what it signs; each further attribute is one way to misbehave."""

    refresh_token: str = "refresh-1"
    rotates: bool = False
    said: dict[str, Any] = field(default_factory=dict)
    over: str = ""
    before_copies: Callable[[], None] | None = None

    def __post_init__(self) -> None:
        self.token_response = {**self.token_response, "refresh_token": self.refresh_token}
        self.metadata["batch_credential_issuance"] = {"batch_size": 10}

    def _token(self, request: HttpRequest) -> HttpResponse:
        form = parse_qs(request.body.decode())
        if form.get("grant_type") != ["refresh_token"]:
            return super()._token(request)
        if self.over or form["refresh_token"] != [self.refresh_token]:
            return self.reply({"error": self.over or "invalid_grant"}, 400)
        answer = dict(self.token_response)
        if self.rotates:
            self.refresh_token = f"{self.refresh_token}+"
            answer["refresh_token"] = self.refresh_token
        return self.reply(answer)

    def _nonce(self, request: HttpRequest) -> HttpResponse:
        nonce = f"nonce-{len(self.seen)}"
        self.good_nonces.add(nonce)
        return self.reply({"c_nonce": nonce})

    def _credential(self, request: HttpRequest) -> HttpResponse:
        if self.before_copies is not None:
            self.before_copies()
        return super()._credential(request)

    def sign(self, kind: CredentialType, jwk: Any) -> str:
        """One credential with what the agency knows now."""
        claims = kind.prepare_claims({**kind.example_record, **self.said}, today=self.agency.now.date())
        self.changes = {"claims": claims, **{name: each for name, each in self.changes.items() if name != "claims"}}
        return super().sign(kind, jwk)


def refreshing(town: Town, *types: CredentialType) -> RefreshingIssuer:
    """Put an agency with refresh tokens into the town, and a card of it into the owner's wallet."""
    issuer = RefreshingIssuer(agency=town.issuer.agency, mdocs=town.issuer.mdocs)
    town.issuer = issuer
    town.network.hosts["issuer.example"] = issuer
    receive(town, *types)
    issuer.metadata["batch_credential_issuance"] = {"batch_size": 10}
    return issuer


def the_card(town: Town) -> Card:
    """The one card in the wallet."""
    ports = town.wallet.card_ports(read_only=True)
    with ports.unit:
        (card,) = ports.cards.of_account(town.owner.id)
    return card


def refresh(town: Town, *, asked: bool = False) -> Refreshed:
    """Refresh the one card."""
    wallet = town.wallet
    return wait(refresh_card(wallet.card_ports, wallet.reissuer(), town.owner.id, the_card(town).id, asked=asked))


def use(town: Town, copies: int) -> None:
    """Show copies of the card to somebody."""
    for _ in range(copies):
        ports = town.wallet.card_ports()
        with ports.unit:
            card = ports.cards.of_account(town.owner.id)[0]
            assert ports.cards.take(town.owner.id, card.next_copy)
