"""The two login methods that ask somebody else, put together from the settings and the parts of the issuer."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from issuer.login.openid.ports import ProviderAccount
from issuer.login.presentation.ports import POLICY, LoginRequestStorage, PresentationLoginPorts
from issuer.login.presentation.repository import SqlLoginRequests
from issuer.settings import IssuerSettings
from wallet_core import spec_versions as spec
from wallet_core.adapters.config import SettingsError
from wallet_core.adapters.keystore import KeyStore, Sealer
from wallet_core.adapters.sql import Database
from wallet_core.adapters.trust_files import FollowedFiles, follow_issuer_policy
from wallet_core.catalogue.catalogue import Catalogue
from wallet_core.errors import KeyUnavailable, MalformedError
from wallet_core.ports import Clock
from wallet_core.protocols.oauth2.identifiers import parse_identifier
from wallet_core.protocols.openid4vp.presented import ChainVerifier
from wallet_core.trust.anchors import AnchorPurpose
from wallet_core.trust.policy import IssuerPolicy
from wallet_core.trust.x509 import TrustedCertificate, verify_chain
from wallet_core.types import RandomBytes

OUTSIDE_TIMEOUT: Final = 3.0
"""Seconds that a status list, or one answer of an OpenID provider, may take: a person waits meanwhile."""

_WALLET_PATH: Final = "/authorize"


def presentation_login(
    settings: IssuerSettings,
    database: Database,
    sealer: Sealer,
    catalogue: Catalogue,
    keys: KeyStore,
    clock: Clock,
    random: RandomBytes,
) -> PresentationLoginPorts | None:
    """Return what the login by showing a card needs; None if it is not configured.

    Raises:
        SettingsError: the catalogue does not say what a login asks, or the key store has no such key.
        MalformedError: a file of trust anchors does not parse.
        VerificationError: a list among the trust anchors is not to be trusted, or its time is over.
    """
    if settings.login_key is None:
        return None
    if POLICY not in catalogue.policies:
        raise SettingsError(f"{settings.prefix}LOGIN_KEY is set, but the catalogue has no policy {POLICY}")
    try:
        keys.signing_key(settings.login_key)
    except KeyUnavailable as exc:
        raise SettingsError(
            f"{settings.prefix}LOGIN_KEY names no key with certificate", detail="make it: jigap keys new-verifier"
        ) from exc
    trust = follow_issuer_policy(settings.trust_anchors, clock.now)
    return PresentationLoginPorts(
        storage=lambda: _storage(database, sealer, writing=True),
        reading=lambda: _storage(database, sealer, writing=False),
        policy=catalogue.policies[POLICY],
        types=catalogue.types,
        keys=keys,
        key_name=settings.login_key,
        wallet_endpoint=f"{settings.wallet}{_WALLET_PATH}" if settings.wallet else spec.REQUEST_SCHEME,
        lifetime=timedelta(seconds=settings.login_seconds),
        verify_chain=_verifier(trust, AnchorPurpose.CREDENTIAL_ISSUER),
        verify_mdoc_chain=_verifier(trust, AnchorPurpose.MDL_ISSUER),
        may_issue=lambda *asked, **terms: trust.current().validate_may_issue(*asked, **terms),
        seal=sealer,
        clock=clock,
        random=random,
    )


def provider_account(settings: IssuerSettings, keys: KeyStore) -> ProviderAccount | None:
    """Return us at the OpenID provider; None if there is none.

    Raises:
        SettingsError: the provider's address or our proof there cannot be used.
    """
    if settings.openid_issuer is None:
        return None
    try:
        issuer = parse_identifier(settings.openid_issuer, what="OPENID_ISSUER")
    except MalformedError as exc:
        raise SettingsError(f"{settings.prefix}OPENID_ISSUER is no address of a provider: {exc.description}") from exc
    secret, key_name = None, settings.openid_client_key
    if settings.openid_client_secret_file is not None:
        try:
            secret = settings.openid_client_secret_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as exc:
            raise SettingsError(f"{settings.prefix}OPENID_CLIENT_SECRET_FILE cannot be read") from exc
    signer = None if key_name is None else lambda: keys.signer(key_name)
    return ProviderAccount(issuer, settings.openid_client_id or "", secret, signer, key_name)


def _storage(database: Database, sealer: Sealer, *, writing: bool) -> LoginRequestStorage:
    unit = database.unit() if writing else database.reader()
    return LoginRequestStorage(unit, SqlLoginRequests(unit, sealer))


def _verifier(trust: FollowedFiles[IssuerPolicy], purpose: AnchorPurpose) -> ChainVerifier:
    def verify(chain: Sequence[bytes], at: datetime) -> TrustedCertificate:
        return verify_chain(chain, trust.current().anchors, purpose=purpose, at=at)

    return verify
