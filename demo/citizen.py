"""A citizen with the code of ``jigap wallet``: the same home folder, use cases and storage.

Her wallet is an instance of the demo's wallet, which attests it and its keys where an agency asks for that.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from demo.deployment import Deployment
from demo.exchanges import RecordingClient
from holder_app.accounts.ports import Account
from holder_app.credentials.ports import Card, HistoryRecord
from holder_app.credentials.refreshing import Refreshed, refresh_card
from holder_app.credentials.use_cases import delete_card, list_history, show_record
from holder_app.dependencies import Wallet, create_wallet
from holder_app.home import open_home
from holder_app.issuance import states as issuing
from holder_app.issuance.authorizing import exchange, start_login, take_answer
from holder_app.issuance.choosing import choose
from holder_app.issuance.states import Issuance
from holder_app.issuance.use_cases import accept_offer, fetch_offer, keep_cards, take_offer_link
from holder_app.issuance.waiting import ask_again
from holder_app.presentation import states as presenting
from holder_app.presentation.choices import SHOWN_FIELD
from holder_app.presentation.describe import RequestView
from holder_app.presentation.sending import CopiesUsedUp
from holder_app.presentation.use_cases import (
    answer_request,
    decline_request,
    fetch_request,
    review_request,
    take_request_link,
)
from wallet_core.errors import WalletError
from wallet_core.spec_versions import FORMAT_SD_JWT_VC

SESSION: Final = "the citizen's browser"
"""What the wallet knows her browser by."""


class WalletRefusal(WalletError):
    """The citizen's own wallet refused, or an exchange with it failed; the detail is the wallet's reason."""

    code = "wallet_refusal"


@dataclass(frozen=True, slots=True)
class Citizen:
    """One person and her wallet."""

    wallet: Wallet
    owner: Account

    @classmethod
    def open(cls, home: Path, deployment: Deployment, *, client: RecordingClient) -> "Citizen":
        """Return the person whose wallet lies in ``home``; an empty folder becomes a new wallet."""
        plain, owner = open_home(home, trust=deployment.trust_files("wallet"), allow_loopback=True)
        attested = {"public_url": deployment.url("wallet"), "key_store": deployment.keys("wallet")}
        settings = plain.settings.model_copy(update=attested)
        return cls(create_wallet(settings, fetch=client, database=plain.database), owner)

    def accept(self, link: str, tx_code: str | None) -> list[Card]:
        """Take the cards of an offer into the wallet and return them.

        Raises:
            FetchError: a server was not reached.
            WalletRefusal: it cannot be finished.
        """
        return self.keep(self.apply(link, tx_code))

    def apply(self, link: str, tx_code: str | None) -> Issuance:
        """Accept an offer; what came is previewed, or waited for. Raises ``FetchError``."""
        return asyncio.run(self._apply(link, tx_code))

    async def _apply(self, link: str, tx_code: str | None) -> Issuance:
        ports = self.wallet.issuance_ports()
        issuance = await fetch_offer(ports, self.owner.id, take_offer_link(ports, self.owner.id, link).id)
        if isinstance(issuance.state, issuing.Reviewed):
            issuance = await accept_offer(ports, self.owner.id, issuance.id, tx_code)
        return issuance

    def keep(self, issuance: Issuance) -> list[Card]:
        """Keep what is previewed and return the cards.

        Raises:
            FetchError: a server was not reached.
            WalletRefusal: there is nothing to keep.
        """
        if isinstance(issuance.state, issuing.Preview):
            issuance = asyncio.run(keep_cards(self.wallet.issuance_ports(), self.owner.id, issuance.id))
        state = issuance.state
        if not isinstance(state, issuing.Kept):
            detail = f"{state.reason}: {state.detail}" if isinstance(state, issuing.Failed) else type(state).__name__
            raise WalletRefusal("the wallet did not receive the cards", detail=detail)
        kept = state.card_ids
        return [card for card in self.cards() if card.id in kept]

    def ask_for(self, issuer: str, configuration_id: str) -> issuing.Authorizing:
        """Choose a certificate of a known agency, and return the login that the browser is sent to.

        Raises:
            FetchError: a server was not reached.
            WalletRefusal: the agency takes no such request.
        """
        return asyncio.run(self._ask_for(issuer, configuration_id))

    async def _ask_for(self, issuer: str, configuration_id: str) -> issuing.Authorizing:
        ports = self.wallet.issuance_ports()
        chosen = await choose(ports, self.owner.id, issuer, [configuration_id])
        state = (await start_login(ports, chosen, SESSION)).state
        if not isinstance(state, issuing.Authorizing):
            detail = state.detail if isinstance(state, issuing.Failed) else type(state).__name__
            raise WalletRefusal("the agency did not take the request", detail=detail)
        return state

    def come_back(self, url: str) -> Issuance:
        """Bring back from the login what the browser was sent home with, and receive; what came is previewed.

        Raises:
            FetchError: a server was not reached.
            NoSuchLogin: nobody went from here.
        """
        ports = self.wallet.issuance_ports()
        taken = take_answer(ports, self.owner.id, SESSION, dict(parse_qsl(urlsplit(url).query)))
        return asyncio.run(exchange(ports, taken))

    def ask_again(self, issuance: Issuance) -> Issuance:
        """Ask whether an agency has decided. Raises ``StateConflict``."""
        return asyncio.run(ask_again(self.wallet.issuance_ports(), self.owner.id, issuance.id))

    def refresh(self, card: Card) -> Refreshed:
        """Ask for new copies of a card as far as they are needed, as the wallet's worker does."""
        return asyncio.run(refresh_card(self.wallet.card_ports, self.wallet.reissuer(), self.owner.id, card.id))

    def refill(self) -> None:
        """Fetch new copies of every card that has none left to show, as the wallet's worker would have by then."""
        for card in self.cards():
            if not card.unused:
                self.refresh(card)

    def delete(self, card: Card) -> None:
        """Delete a card."""
        delete_card(self.wallet.card_ports(), self.owner.id, card.id)

    def present(self, link: str, answers: Mapping[str, str], form: str = FORMAT_SD_JWT_VC) -> HistoryRecord:
        """Answer a request with what it asks and ``answers`` adds; return the line of the history.

        Of two cards that both answer, the one of the format ``form`` is chosen.

        Raises:
            FetchError: the verifier was not reached.
            WalletRefusal: the wallet blocked the request, or the verifier did not take the answer.
        """
        return self.show(link, answers, form=form)[0]

    def show(
        self, link: str, answers: Mapping[str, str], *, same_device: bool = False, form: str = FORMAT_SD_JWT_VC
    ) -> tuple[HistoryRecord, str]:
        """Do as :meth:`present`, and return where the browser goes next as well; empty if nowhere."""
        return asyncio.run(self._show(link, answers, same_device=same_device, form=form))

    async def _show(
        self, link: str, answers: Mapping[str, str], *, same_device: bool, form: str
    ) -> tuple[HistoryRecord, str]:
        ports = self.wallet.presentation_ports()
        taken = take_request_link(ports, self.owner.id, link, same_device=same_device)
        presentation = await fetch_request(ports, self.owner.id, taken.id)
        if isinstance(presentation.state, presenting.Blocked):
            raise WalletRefusal("the wallet blocked the request", detail=presentation.state.detail)
        view = review_request(ports, presentation)
        if not view.satisfiable:
            raise WalletRefusal("no card answers the request")
        try:
            chosen = {**self._in_form(view, form), **answers, SHOWN_FIELD: view.shown}
            done = await answer_request(ports, self.owner.id, presentation.id, chosen)
        except CopiesUsedUp as exc:
            raise WalletRefusal("every copy was shown before", detail=exc.code) from exc
        if not isinstance(done.state, presenting.Answered):
            detail = done.state.detail if isinstance(done.state, presenting.Failed) else type(done.state).__name__
            raise WalletRefusal("the verifier did not take the answer", detail=detail)
        record = show_record(self.wallet.card_ports(), self.owner.id, done.state.record_id)
        return record, done.state.redirect_uri or ""

    def review(self, link: str) -> tuple[str, RequestView]:
        """Fetch a request and return its id with what the consent screen shows; nothing is sent.

        Raises:
            FetchError: the verifier was not reached.
            WalletRefusal: the wallet blocked the request.
        """
        ports = self.wallet.presentation_ports()
        taken = take_request_link(ports, self.owner.id, link)
        presentation = asyncio.run(fetch_request(ports, self.owner.id, taken.id))
        if isinstance(presentation.state, presenting.Blocked):
            raise WalletRefusal("the wallet blocked the request", detail=presentation.state.detail)
        return presentation.id, review_request(ports, presentation)

    def decline(self, presentation_id: str) -> HistoryRecord:
        """Say no to a request that was reviewed; return the line of the history."""
        ports = self.wallet.presentation_ports()
        done = asyncio.run(decline_request(ports, self.owner.id, presentation_id))
        if not isinstance(done.state, presenting.Declined):
            raise WalletRefusal("the request was not declined", detail=type(done.state).__name__)
        return show_record(self.wallet.card_ports(), self.owner.id, done.state.record_id)

    def _in_form(self, view: RequestView, form: str) -> dict[str, str]:
        """Return which alternative of each group has cards of one format only: the wallet proposes what shows least."""
        formats = {card.id: card.format for card in self.cards()}
        return {
            f"group-{group.number}": str(number)
            for group in view.groups
            for number, picks in reversed([*enumerate(group.alternatives)])
            if all(formats[pick.card_id] == form for pick in picks)
        }

    def latest(self) -> HistoryRecord:
        """Return the newest line of the history. Raises ``WalletRefusal`` if there is none."""
        records = list_history(self.wallet.card_ports(), self.owner.id)
        if not records:
            raise WalletRefusal("nothing has happened in this wallet yet")
        return records[0]

    def cards(self) -> list[Card]:
        """Return the cards in the wallet."""
        ports = self.wallet.card_ports()
        with ports.unit:
            return list(ports.cards.of_account(self.owner.id))
