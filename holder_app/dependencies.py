"""Puts the wallet together, once for a process, and gives each request what its use cases need."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, Request

from holder_app.accounts.ports import Account, AccountId
from holder_app.accounts.repository import SqlAccounts
from holder_app.accounts.use_cases import AccountPorts, resolve_session
from holder_app.credentials.ports import Reissuer
from holder_app.credentials.repository import SqlCards, SqlHistory
from holder_app.credentials.use_cases import CardPorts
from holder_app.issuance.describe import issuer_display
from holder_app.issuance.receiving import ClientIdentity, IssuancePorts
from holder_app.issuance.reissuing import FlowReissuer
from holder_app.issuance.repository import SqlIssuances, SqlLogins, SqlReminders
from holder_app.issuance.states import UnfinishedState, kind_of, offer_of
from holder_app.issuance.use_cases import list_unfinished
from holder_app.ports import Fetch
from holder_app.presentation.ports import PresentationPorts
from holder_app.presentation.repository import SqlPresentations
from holder_app.provider.ports import ProviderPorts, WalletProvider
from holder_app.provider.use_cases import LocalWalletProvider, derive_instance_key
from holder_app.settings import WalletSettings
from wallet_core.adapters.clock import SystemClock
from wallet_core.adapters.config import load_catalogue
from wallet_core.adapters.http import HttpClient
from wallet_core.adapters.keystore import KeyStore, Sealer
from wallet_core.adapters.sql import Database
from wallet_core.adapters.trust_files import load_issuer_policy
from wallet_core.adapters.web import context, session
from wallet_core.catalogue import Catalogue
from wallet_core.ports import Clock
from wallet_core.trust.anchors import AnchorPurpose, TrustAnchors
from wallet_core.trust.policy import IssuerPolicy
from wallet_core.types import CredentialIssuerId, RandomBytes


@dataclass(frozen=True, slots=True)
class Wallet:
    """Everything the wallet stands on; shared by all requests."""

    settings: WalletSettings
    database: Database
    sealer: Sealer
    catalogue: Catalogue
    issuers: IssuerPolicy
    fetch: Fetch
    clock: Clock
    random: RandomBytes = os.urandom
    provider: WalletProvider | None = None

    @property
    def anchors(self) -> TrustAnchors:
        """The roots this wallet trusts, each for its purpose."""
        return self.issuers.anchors

    @property
    def identity(self) -> ClientIdentity:
        """As whom this wallet talks to authorization servers."""
        settings = self.settings
        return ClientIdentity(
            settings.provider_terms().client_id,
            f"{settings.public_url}/callback",
            lambda account_id, issuer: derive_instance_key(self.sealer.derive, account_id, issuer),
            tuple(CredentialIssuerId(issuer) for issuer in settings.issuers),
        )

    def account_ports(self, *, read_only: bool = False) -> AccountPorts:
        """Return what the use cases of accounts need; one that only reads waits for no writer."""
        unit = self.database.reader() if read_only else self.database.unit()
        return AccountPorts(unit, SqlAccounts(unit, self.sealer), self.clock, self.random)

    def card_ports(self, *, read_only: bool = False) -> CardPorts:
        """Return what the use cases of cards and history need; one that only reads waits for no writer."""
        unit = self.database.reader() if read_only else self.database.unit()
        cards, history = SqlCards(unit, self.sealer), SqlHistory(unit, self.sealer)
        return CardPorts(unit, cards, history, self.catalogue, self.clock, self.random)

    def reissuer(self) -> Reissuer:
        """Return what fetches new copies of cards."""
        return FlowReissuer(self.fetch, self.anchors, self.issuers, self.clock, self.random, self.provider)

    def issuance_ports(self) -> IssuancePorts:
        """Return what the use cases of issuance need."""
        unit = self.database.unit()
        return IssuancePorts(
            unit,
            SqlIssuances(unit, self.sealer),
            SqlCards(unit, self.sealer),
            SqlHistory(unit, self.sealer),
            self.catalogue,
            self.anchors,
            self.fetch,
            self.clock,
            self.random,
            self.issuers,
            SqlLogins(unit),
            SqlReminders(unit),
            self.identity,
            self.provider,
        )

    def unfinished(self, account_id: AccountId) -> list[dict[str, Any]]:
        """Return what is not in the wallet yet, for the first page: id, state, name of the agency, until when."""
        return [
            {
                "id": issuance.id,
                "state": issuance.state,
                "kind": kind_of(issuance.state),
                "name": issuer_display(offer_of(issuance.state)),
                "until": issuance.expires_at,
            }
            for issuance in list_unfinished(self.issuance_ports(), account_id)
            if isinstance(issuance.state, UnfinishedState)
        ]

    def presentation_ports(self) -> PresentationPorts:
        """Return what the use cases of presentation need."""
        unit = self.database.unit()
        return PresentationPorts(
            unit,
            SqlPresentations(unit, self.sealer),
            SqlCards(unit, self.sealer),
            SqlHistory(unit, self.sealer),
            self.catalogue,
            self.anchors,
            self.fetch,
            self.clock,
            self.random,
            self.settings.public_url,
            self.issuers,
            self.settings.post_errors,
            self.settings.haip,
        )


def create_wallet(
    settings: WalletSettings,
    *,
    fetch: Fetch | None = None,
    clock: Clock | None = None,
    database: Database | None = None,
) -> Wallet:
    """Return the wallet that ``settings`` describe.

    Raises:
        SettingsError: a file that is named cannot be read.
        MalformedError: a trust anchor does not parse.
        VerificationError: a list among the trust anchors is not to be trusted, or its time is over.
    """
    time = clock or SystemClock()
    return Wallet(
        settings,
        database or Database(settings.database_url),
        settings.sealer(),
        load_catalogue(settings.catalogue),
        read_issuer_policy(settings.trust_anchors, now=time.now()),
        fetch or HttpClient(allow_loopback=settings.insecure_allow_loopback),
        time,
        provider=_wallet_provider(settings, time),
    )


def _wallet_provider(settings: WalletSettings, clock: Clock) -> WalletProvider | None:
    """Return what attests this wallet's instances and keys; None if it has no key for that, as a public client."""
    keys = None if settings.key_store is None else KeyStore(settings.key_store)
    if keys is None or settings.provider_key not in keys.names():
        return None
    sealer = settings.sealer()
    ports = ProviderPorts(
        settings.provider_terms(), lambda: keys.signing_key(settings.provider_key), sealer.derive, clock
    )
    return LocalWalletProvider(ports)


def read_issuer_policy(files: Iterable[Path], *, now: datetime) -> IssuerPolicy:
    """Return whom PEM files, trust lists and VICALs make this wallet trust.

    A certificate that states no purpose is trusted for issuers and for verifiers, never to sign lists.

    Raises:
        SettingsError: a file cannot be read.
        MalformedError: one does not parse.
        VerificationError: a list is not signed under one of the roots, or its time is over.
    """
    purposes = (AnchorPurpose.CREDENTIAL_ISSUER, AnchorPurpose.VERIFIER_ACCESS, AnchorPurpose.MDL_ISSUER)
    return load_issuer_policy(files, now=now, purposes=purposes)


class SignInNeeded(Exception):
    """The page belongs to a person; the app answers with the sign-in page."""


async def get_wallet(request: Request) -> Wallet:
    """Return the wallet of this process."""
    wallet: Wallet = request.app.state.wallet
    return wallet


CurrentWallet = Annotated[Wallet, Depends(get_wallet)]


async def find_account(request: Request, wallet: CurrentWallet) -> Account | None:
    """Return whose session this request belongs to, if anybody's. A browser without our cookie is not asked further."""
    if context(request).session_cookie not in request.cookies:
        return None
    return resolve_session(wallet.account_ports(read_only=True), session(request).id)


MaybeAccount = Annotated[Account | None, Depends(find_account)]


async def current_account(account: MaybeAccount) -> Account:
    """Return whose session this request belongs to.

    Raises:
        SignInNeeded: nobody's.
    """
    if account is None:
        raise SignInNeeded
    return account


CurrentAccount = Annotated[Account, Depends(current_account)]
