"""A citizen with the code of ``jigap wallet``: the same home folder, use cases and storage."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from demo.exchanges import RecordingClient
from holder_app.accounts.ports import Account
from holder_app.credentials.ports import Card, HistoryRecord
from holder_app.credentials.use_cases import show_record
from holder_app.dependencies import Wallet
from holder_app.home import open_home
from holder_app.issuance import states as issuing
from holder_app.issuance.use_cases import accept_offer, fetch_offer, keep_cards, take_offer_link
from holder_app.presentation import states as presenting
from holder_app.presentation.use_cases import answer_request, fetch_request, review_request, take_request_link
from wallet_core.errors import WalletError


class WalletRefusal(WalletError):
    """The citizen's own wallet refused, or an exchange with it failed; the detail is the wallet's reason."""

    code = "wallet_refusal"


@dataclass(frozen=True, slots=True)
class Citizen:
    """One person and her wallet."""

    wallet: Wallet
    owner: Account

    @classmethod
    def open(cls, home: Path, *, trust: tuple[Path, ...], client: RecordingClient) -> "Citizen":
        """Return the person whose wallet lies in ``home``; an empty folder becomes a new wallet."""
        wallet, owner = open_home(home, trust=trust, allow_loopback=True)
        return cls(replace(wallet, fetch=client), owner)

    def accept(self, link: str, tx_code: str | None) -> list[Card]:
        """Take the cards of an offer into the wallet and return them.

        Raises:
            FetchError: a server was not reached.
            WalletRefusal: it cannot be finished.
        """
        return asyncio.run(self._accept(link, tx_code))

    async def _accept(self, link: str, tx_code: str | None) -> list[Card]:
        ports = self.wallet.issuance_ports()
        issuance = await fetch_offer(ports, self.owner.id, take_offer_link(ports, self.owner.id, link).id)
        if isinstance(issuance.state, issuing.Reviewed):
            issuance = await accept_offer(ports, self.owner.id, issuance.id, tx_code)
        if isinstance(issuance.state, issuing.Preview):
            issuance = await keep_cards(ports, self.owner.id, issuance.id)
        state = issuance.state
        if not isinstance(state, issuing.Kept):
            detail = f"{state.reason}: {state.detail}" if isinstance(state, issuing.Failed) else "wrong tx_code"
            raise WalletRefusal("the wallet did not receive the cards", detail=detail)
        kept = state.card_ids
        return [card for card in self.cards() if card.id in kept]

    def present(self, link: str, answers: Mapping[str, str]) -> HistoryRecord:
        """Answer a request with what it asks and ``answers`` adds; return the line of the history.

        Raises:
            FetchError: the verifier was not reached.
            WalletRefusal: the wallet blocked the request, or the verifier did not take the answer.
        """
        return asyncio.run(self._present(link, answers))

    async def _present(self, link: str, answers: Mapping[str, str]) -> HistoryRecord:
        ports = self.wallet.presentation_ports()
        taken = take_request_link(ports, self.owner.id, link)
        presentation = await fetch_request(ports, self.owner.id, taken.id)
        if isinstance(presentation.state, presenting.Blocked):
            raise WalletRefusal("the wallet blocked the request", detail=presentation.state.detail)
        if not review_request(ports, presentation).satisfiable:
            raise WalletRefusal("no card answers the request")
        done = await answer_request(ports, self.owner.id, presentation.id, answers)
        if not isinstance(done.state, presenting.Answered):
            detail = done.state.detail if isinstance(done.state, presenting.Failed) else type(done.state).__name__
            raise WalletRefusal("the verifier did not take the answer", detail=detail)
        return show_record(self.wallet.card_ports(), self.owner.id, done.state.record_id)

    def cards(self) -> list[Card]:
        """Return the cards in the wallet."""
        ports = self.wallet.card_ports()
        with ports.unit:
            return list(ports.cards.of_account(self.owner.id))
