"""What the verifier is made of, put together once for the web app, the worker and the command line."""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from importlib.metadata import version

from starlette.requests import HTTPConnection

from verifier.presentations.ports import Periods, PresentationPorts, Storage, StoredPresentation
from verifier.presentations.repository import SqlPresentations
from verifier.relying_parties.ports import RelyingParty
from verifier.relying_parties.repository import SqlApiKeys, SqlRelyingParties
from verifier.relying_parties.use_cases import find_party
from verifier.settings import VerifierSettings
from verifier.status.ports import RunFlow, StatusStorage
from verifier.status.repository import SqlStoredLists
from verifier.status.use_cases import StatusLists
from verifier.trust_lists.ports import TrustPorts, TrustStorage
from verifier.trust_lists.repository import SqlTrustLists
from verifier.trust_lists.use_cases import CurrentTrust
from verifier.webhooks.ports import WebhookPorts, WebhookStorage
from verifier.webhooks.repository import SqlWebhooks
from wallet_core.adapters.clock import SystemClock
from wallet_core.adapters.config import SettingsError, load_catalogue
from wallet_core.adapters.group_commit import Commit, CommitTogether
from wallet_core.adapters.http import HttpClient
from wallet_core.adapters.keystore import KeyStore, Sealer
from wallet_core.adapters.look_together import LookTogether
from wallet_core.adapters.sql import Database, UnitOfWork
from wallet_core.adapters.trust_files import load_issuer_policy, read_trust_list
from wallet_core.catalogue import Catalogue
from wallet_core.errors import WalletError
from wallet_core.ports import Clock
from wallet_core.trust.anchors import TrustAnchors
from wallet_core.types import RandomBytes

STATUS_TIMEOUT = 3.0
"""Seconds that a status list may take: a wallet waits for our answer meanwhile."""


WEBHOOK_TIMEOUT = 20.0
"""Seconds that a receiver of webhooks may take; Standard Webhooks recommends 15 to 30."""

REMEMBERED = timedelta(seconds=10)
"""How long a relying party is not looked up again: a new name is shown by every process after that."""


@dataclass(frozen=True, slots=True)
class Verifier:
    """The parts of one verifier process. Registered parties are remembered for ``REMEMBERED``: none is ever removed."""

    settings: VerifierSettings
    database: Database
    clock: Clock
    sealer: Sealer
    catalogue: Catalogue
    keys: KeyStore
    anchors: TrustAnchors
    presentations: PresentationPorts
    commit: Commit[Storage]
    find_request: LookTogether[StoredPresentation]
    trust_ports: TrustPorts
    trust: CurrentTrust
    status_lists: StatusLists
    http: RunFlow
    webhooks: WebhookPorts
    known: dict[str, tuple[RelyingParty, datetime]] = field(default_factory=dict)

    def party(self, party_id: str) -> RelyingParty:
        """Return a registered relying party. Raises ``NotFound``."""
        now = self.clock.now()
        known = self.known.get(party_id)
        if known is None or now >= known[1] + REMEMBERED:
            unit = self.database.reader()
            known = self.known[party_id] = find_party(unit, self.parties(unit), party_id), now
        return known[0]

    def parties(self, unit: UnitOfWork) -> SqlRelyingParties:
        """Return the relying parties of ``unit``."""
        return SqlRelyingParties(unit)

    def api_keys(self, unit: UnitOfWork) -> SqlApiKeys:
        """Return the API keys of ``unit``."""
        return SqlApiKeys(unit)

    def storage(self, unit: UnitOfWork) -> Storage:
        """Return what presentations do in ``unit``."""
        return Storage(unit, SqlPresentations(unit, self.sealer))

    def trust_storage(self, unit: UnitOfWork) -> TrustStorage:
        """Return the trust lists of ``unit``."""
        return TrustStorage(unit, SqlTrustLists(unit))

    def webhook_storage(self, unit: UnitOfWork) -> WebhookStorage:
        """Return what is done with webhooks in ``unit``."""
        return _webhook_storage(unit, self.sealer)

    def status_storage(self, unit: UnitOfWork) -> StatusStorage:
        """Return what is done with fetched status lists in ``unit``."""
        return _status_storage(unit)


def build_verifier(
    settings: VerifierSettings,
    *,
    clock: Clock | None = None,
    random: RandomBytes = os.urandom,
    catalogue: Catalogue | None = None,
) -> Verifier:
    """Put a verifier together. ``catalogue`` is read from its folder unless it is given.

    Raises:
        SettingsError: a setting that the verifier needs is missing.
        CatalogueError: the catalogue breaks a rule.
        MalformedError: a file of trust anchors does not parse.
        VerificationError: a list among the trust anchors is not to be trusted, or its time is over.
    """
    if settings.key_store is None:
        raise SettingsError(f"set {settings.prefix}KEY_STORE to the folder of the relying parties' access keys")
    database, sealer = Database(settings.database_url), settings.sealer()
    catalogue = catalogue or load_catalogue(settings.catalogue)
    keys, time = KeyStore(settings.key_store), clock or SystemClock()
    trust_ports = _trust_ports(settings, database, time)
    trust = CurrentTrust(trust_ports)
    ports = PresentationPorts(
        storage=lambda: _storage(database.unit(), sealer),
        reading=lambda: _storage(database.reader(), sealer),
        looking=lambda: _storage(database.glance(), sealer),
        public_url=settings.public_url,
        policies=catalogue.policies,
        periods=Periods(
            request=timedelta(seconds=settings.request_seconds),
            result=timedelta(seconds=settings.result_seconds),
            record=timedelta(days=settings.record_days),
        ),
        keys=keys,
        verify_chain=trust.verify_chain,
        verify_mdoc_chain=trust.verify_mdoc_chain,
        may_issue=trust.may_issue,
        trust_version=trust.version,
        program=f"jigap {version('jigap')}",
        seal=sealer,
        clock=time,
        random=random,
        trust_lists=trust.lists_of,
        supertypes=catalogue.supertypes(),
        transactions=catalogue.transactions,
    )
    commit = CommitTogether(database, lambda unit: _storage(unit, sealer))
    anchors = trust_ports.by_hand.anchors
    lists = StatusLists(
        lambda: _status_storage(database.unit()),
        lambda: _status_storage(database.reader()),
        ports.verify_chain,
        ports.verify_mdoc_chain,
        time,
    )
    http = HttpClient(allow_loopback=settings.insecure_allow_loopback, timeout=STATUS_TIMEOUT)
    return Verifier(
        settings,
        database,
        time,
        sealer,
        catalogue,
        keys,
        anchors,
        ports,
        commit,
        LookTogether(partial(_by_request_ids, database, sealer)),
        trust_ports,
        trust,
        lists,
        http,
        _webhook_ports(settings, database, sealer, time, random),
    )


def verifier_of(connection: HTTPConnection) -> Verifier:
    """Return the verifier that serves this request."""
    found: Verifier = connection.app.state.verifier
    return found


def _storage(unit: UnitOfWork, sealer: Sealer) -> Storage:
    return Storage(unit, SqlPresentations(unit, sealer))


def _by_request_ids(
    database: Database, sealer: Sealer, request_ids: Sequence[str]
) -> dict[str, StoredPresentation | WalletError]:
    with (unit := database.glance()):
        return SqlPresentations(unit, sealer).by_request_ids(request_ids)


def _status_storage(unit: UnitOfWork) -> StatusStorage:
    return StatusStorage(unit, SqlStoredLists(unit))


def _webhook_ports(
    settings: VerifierSettings, database: Database, sealer: Sealer, clock: Clock, random: RandomBytes
) -> WebhookPorts:
    client = HttpClient(allow_loopback=settings.insecure_allow_loopback, timeout=WEBHOOK_TIMEOUT)
    return WebhookPorts(
        reading=lambda: _webhook_storage(database.reader(), sealer),
        send=lambda request: asyncio.run(client.fetch(request)),
        clock=clock,
        random=random,
    )


def _webhook_storage(unit: UnitOfWork, sealer: Sealer) -> WebhookStorage:
    return WebhookStorage(unit, SqlWebhooks(unit, sealer))


def _trust_ports(settings: VerifierSettings, database: Database, clock: Clock) -> TrustPorts:
    grace = timedelta(hours=settings.trust_list_grace_hours)
    client = HttpClient(allow_loopback=settings.insecure_allow_loopback)

    def reading() -> TrustStorage:
        unit = database.reader()
        return TrustStorage(unit, SqlTrustLists(unit))

    return TrustPorts(
        by_hand=load_issuer_policy(settings.trust_anchors, now=clock.now(), grace=grace),
        source=settings.trust_list,
        grace=grace,
        read=lambda source: read_trust_list(source, client),
        reading=reading,
        clock=clock,
    )
