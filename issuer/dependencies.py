"""What the issuer is made of, put together once for the web app, the worker and the command line."""

import os
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from starlette.requests import HTTPConnection

from issuer.agencies.ports import Agency
from issuer.agencies.repository import SqlAgencies, SqlApiKeys
from issuer.agencies.use_cases import find_agency
from issuer.issuance.ports import IssuancePorts, Secrets, Storage
from issuer.issuance.repository.authorizations import SqlAuthorizations
from issuer.issuance.repository.bulk_reissuances import SqlBulkReissuances
from issuer.issuance.repository.credentials import SqlIssuedCredentials
from issuer.issuance.repository.deferrals import SqlDeferrals
from issuer.issuance.repository.offers import SqlOffers
from issuer.issuance.repository.spent import SqlSpentNonces, SqlUsedProofs
from issuer.issuance.use_cases.metadata import issued_types
from issuer.login.assembly import OUTSIDE_TIMEOUT, presentation_login, provider_account
from issuer.login.openid.ports import OpenIdLoginPorts, ProviderAccount
from issuer.login.openid.use_cases import method as openid_method
from issuer.login.ports import LoginPorts, LoginStorage
from issuer.login.presentation.ports import PresentationLoginPorts
from issuer.login.presentation.use_cases.requests import METHOD as PRESENTATION
from issuer.login.repository import SqlLoginSessions, SqlOneTimeCodes
from issuer.login.use_cases.session import TEST
from issuer.records.repository import SqlRecords
from issuer.settings import IssuerSettings
from issuer.status.ports import StatusPorts, StatusStorage
from issuer.status.repository import SqlStatusLists
from issuer.status.use_cases.publishing import SignedLists
from wallet_core.adapters.clock import SystemClock
from wallet_core.adapters.config import SettingsError, load_catalogue
from wallet_core.adapters.group_commit import Commit, CommitTogether
from wallet_core.adapters.http import HttpClient
from wallet_core.adapters.keystore import KeyStore, Sealer
from wallet_core.adapters.sql import Database, UnitOfWork
from wallet_core.adapters.trust_files import follow_wallet_providers
from wallet_core.catalogue.catalogue import Catalogue
from wallet_core.errors import NotFound
from wallet_core.ports import Clock
from wallet_core.types import RandomBytes

REMEMBERED = timedelta(seconds=10)
"""How long an agency is not looked up again: what it switches is in force in every process after that."""


@dataclass(frozen=True, slots=True)
class Issuer:
    """The parts of one issuer process. Registered agencies are remembered for ``REMEMBERED``: none is ever removed."""

    settings: IssuerSettings
    database: Database
    clock: Clock
    sealer: Sealer
    catalogue: Catalogue
    keys: KeyStore
    issuance: IssuancePorts
    status: StatusPorts
    login: LoginPorts
    citizen_key: bytes
    http: HttpClient
    presentation_login: PresentationLoginPorts | None
    openid_login: OpenIdLoginPorts | None
    commit: Commit[Storage]
    known: dict[str, tuple[Agency, datetime]] = field(default_factory=dict)
    signed_lists: SignedLists = field(default_factory=SignedLists)

    def agency(self, agency_id: str) -> Agency:
        """Return a registered agency. Raises ``NotFound``."""
        now = self.clock.now()
        known = self.known.get(agency_id)
        if known is None or now >= known[1] + REMEMBERED:
            if agency_id not in self.catalogue.agencies:
                raise NotFound("no such agency")
            unit = self.database.reader()
            known = self.known[agency_id] = find_agency(unit, self.agencies(unit), agency_id), now
        return known[0]

    def agencies(self, unit: UnitOfWork) -> SqlAgencies:
        """Return the agencies of ``unit``."""
        return SqlAgencies(unit, self.settings.public_url)

    def api_keys(self, unit: UnitOfWork) -> SqlApiKeys:
        """Return the API keys of ``unit``."""
        return SqlApiKeys(unit)

    def records(self, unit: UnitOfWork) -> SqlRecords:
        """Return the records of ``unit``."""
        return SqlRecords(unit, self.sealer, self.citizen_key)

    def storage(self, unit: UnitOfWork) -> Storage:
        """Return what issuance does in ``unit``."""
        return sql_storage(unit, self.sealer, self.citizen_key)

    def login_storage(self, unit: UnitOfWork) -> LoginStorage:
        """Return what the login does in ``unit``."""
        return _login_storage(unit)


def _login_storage(unit: UnitOfWork) -> LoginStorage:
    return LoginStorage(unit, SqlLoginSessions(unit), SqlOneTimeCodes(unit))


def sql_storage(unit: UnitOfWork, sealer: Sealer, citizen_key: bytes) -> Storage:
    """Return the storage of issuance in one unit of work."""
    return Storage(
        unit,
        SqlOffers(unit),
        SqlDeferrals(unit),
        SqlIssuedCredentials(unit),
        SqlSpentNonces(unit),
        SqlRecords(unit, sealer, citizen_key),
        SqlStatusLists(unit),
        SqlBulkReissuances(unit),
        SqlAuthorizations(unit),
        SqlUsedProofs(unit),
    )


def _login(
    database: Database,
    settings: IssuerSettings,
    sealer: Sealer,
    issuance: IssuancePorts,
    presentation: PresentationLoginPorts | None,
    account: ProviderAccount | None,
) -> LoginPorts:
    # Anybody who reads the terminal can be anybody: only in a demo, whose people are invented.
    offered = [TEST] if settings.demo else []
    offered += [PRESENTATION] if presentation else []
    offered += [openid_method(settings.openid_name)] if account else []
    return LoginPorts(
        storage=lambda: _login_storage(database.unit()),
        reading=lambda: _login_storage(database.reader()),
        issuance=issuance,
        methods={each.id: each for each in offered},
        code_key=sealer.derive("test_login"),
    )


def _status_storage(unit: UnitOfWork) -> StatusStorage:
    return StatusStorage(unit, SqlStatusLists(unit))


def build_issuer(
    settings: IssuerSettings,
    *,
    clock: Clock | None = None,
    random: RandomBytes = os.urandom,
) -> Issuer:
    """Put an issuer together.

    Raises:
        SettingsError: a setting that the issuer needs is missing.
        CatalogueError: the catalogue breaks a rule.
    """
    if settings.key_store is None:
        raise SettingsError(f"set {settings.prefix}KEY_STORE to the folder of the agencies' signing keys")
    database, sealer, catalogue = Database(settings.database_url), settings.sealer(), load_catalogue(settings.catalogue)
    citizen_key = sealer.derive("citizen")
    keys, time = KeyStore(settings.key_store), clock or SystemClock()
    status = StatusPorts(
        storage=lambda: _status_storage(database.unit()),
        reading=lambda: _status_storage(database.reader()),
        looking=lambda: _status_storage(database.glance()),
        keys=keys,
        terms=settings.status_terms(sealer.derive("status_decoys")),
        clock=time,
        random=random,
    )
    ports = IssuancePorts(
        storage=lambda: sql_storage(database.unit(), sealer, citizen_key),
        reading=lambda: sql_storage(database.reader(), sealer, citizen_key),
        looking=lambda: sql_storage(database.glance(), sealer, citizen_key),
        types=issued_types(catalogue),
        keys=keys,
        seal=sealer,
        secrets=_secrets(sealer),
        clock=time,
        random=random,
        status=status,
        wallet_providers=follow_wallet_providers(settings.trust_anchors, time.now).current,
        clients=settings.registered_clients(),
        deferral=settings.deferral_terms,
    )
    http = HttpClient(allow_loopback=settings.insecure_allow_loopback, timeout=OUTSIDE_TIMEOUT)
    presentation = presentation_login(settings, database, sealer, catalogue, keys, time, random)
    account = provider_account(settings, keys)
    login = _login(database, settings, sealer, ports, presentation, account)
    return Issuer(
        settings,
        database,
        time,
        sealer,
        catalogue,
        keys,
        ports,
        status,
        login,
        citizen_key,
        http,
        presentation,
        None if account is None else OpenIdLoginPorts(login, account, sealer, time, random),
        CommitTogether(database, lambda unit: sql_storage(unit, sealer, citizen_key)),
    )


def _secrets(sealer: Sealer) -> Secrets:
    return Secrets(
        code=sealer.derive("pre-authorized_code"),
        tx_code=sealer.derive("tx_code"),
        nonce=sealer.derive("c_nonce"),
        dpop_nonce=sealer.derive("dpop_nonce"),
        challenge=sealer.derive("attestation_challenge"),
        encryption=sealer.derive("request_encryption"),
    )


def issuer_of(connection: HTTPConnection) -> Issuer:
    """Return the issuer that serves this request."""
    found: Issuer = connection.app.state.issuer
    return found
