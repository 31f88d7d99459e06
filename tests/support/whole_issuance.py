"""Our wallet, our issuer and a person's browser between them, over ASGI, in plain and in high-assurance mode."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr
from starlette.testclient import TestClient

from holder_app.accounts.use_cases import create_person
from holder_app.app import create_wallet_app
from holder_app.dependencies import Wallet, create_wallet
from holder_app.settings import WalletSettings
from issuer.agencies.use_cases import register_agency
from tests.support.authorizing import Browser, start_town
from tests.support.authorizing import Town as IssuerTown
from tests.support.browsing import Person
from tests.support.issuing import HOST, NOW, add_signing_key, issuer_anchors
from tests.support.tables import migrate
from tests.support.wallet_providers import Provider
from tests.support.wallets import Network
from wallet_core.adapters.keystore import KeyStore, new_key_text
from wallet_core.trust.anchors import TrustAnchors, format_trust_anchors
from wallet_core.types import AgencyId, ClientId

WALLET_URL = "https://wallet.example"
HAIP_AGENCY = "national-tax"
HAIP_CONFIGURATION = "national-tax-payment-sd-jwt"


@dataclass
class Country:
    """An issuer, a wallet, a person at both."""

    issuers: IssuerTown
    wallet: Wallet
    network: Network
    person: Person
    browser: Browser = field(init=False)

    def __post_init__(self) -> None:
        self.browser = self.issuers.browser()

    def identifier(self, agency: str) -> str:
        """The Credential Issuer Identifier of an agency."""
        return f"{HOST}/agencies/{agency}"

    def log_in(self, url: str, *, agency: str) -> str:
        """Log in and agree at the issuer's pages, and return the address the browser is sent back to."""
        parts = urlsplit(url)
        answer = self.browser.client.get(f"{parts.path}?{parts.query}", headers={"accept": "text/html"})
        while answer.status_code == 303:
            answer = self.browser.client.get(answer.headers["location"], headers={"accept": "text/html"})
        self.browser.page = answer
        assert answer.status_code == 200, answer.text
        self.browser.log_in(agency=agency)
        answer = self.browser.post(f"/agencies/{agency}/login/consent", {"decision": "yes"})
        assert answer.status_code == 303, answer.text
        location: str = answer.headers["location"]
        return location

    def requests_to(self, end: str) -> list[Any]:
        """What the wallet sent to an endpoint."""
        return [request for request in self.network.seen if urlsplit(request.url).path.endswith(end)]


def start_country(folder: Path, database_url: str, wallet_database_url: str) -> Country:
    """Build an issuer with a plain and a high-assurance agency, and a wallet that is attested where asked."""
    provider = Provider(NOW, url=WALLET_URL, client_id=ClientId(f"{WALLET_URL}/client"))
    anchors = folder / "providers.pem"
    anchors.write_text(format_trust_anchors(TrustAnchors((provider.anchor,))))
    issuers = start_town(folder, database_url, trust_anchors=(anchors,))
    _register_haip(issuers)
    network = Network({urlsplit(HOST).hostname or "": issuers.under_test.send})
    wallet = create_wallet(
        _settings(folder, wallet_database_url, issuers, provider), fetch=network, clock=issuers.under_test.clock
    )
    migrate(wallet.database, "holder_app")
    create_person(wallet.account_ports(), "한지우", "jiwoo")
    client = TestClient(create_wallet_app(wallet), base_url=WALLET_URL)
    return Country(issuers, wallet, network, Person(client))


def _settings(folder: Path, database_url: str, issuers: IssuerTown, provider: Provider) -> WalletSettings:
    trusted, keys = folder / "issuers.pem", folder / "wallet-keys"
    trusted.write_text(format_trust_anchors(issuer_anchors(issuers.under_test.ca)))
    keys.mkdir()
    KeyStore(keys).add("wallet-provider", provider.signer.private_key, list(provider.chain))
    return WalletSettings(
        public_url=WALLET_URL,
        database_url=database_url,
        sealing_key=SecretStr(new_key_text()),
        trust_anchors=(trusted,),
        key_store=keys,
        issuers=(f"{HOST}/agencies/police", f"{HOST}/agencies/{HAIP_AGENCY}"),
        demo=True,
    )


def _register_haip(issuers: IssuerTown) -> None:
    issuer = issuers.under_test.issuer
    add_signing_key(issuer.keys, issuers.under_test.ca, HAIP_AGENCY)
    unit = issuer.database.unit()
    registered = register_agency(
        unit,
        issuer.agencies(unit),
        issuer.api_keys(unit),
        issuer.keys,
        issuer.catalogue,
        AgencyId(HAIP_AGENCY),
        public_url=HOST,
        now=NOW,
        haip=True,
    )
    issuers.under_test.api_keys[HAIP_AGENCY] = registered.api_key
    issuers.put("p02", HAIP_CONFIGURATION, agency=HAIP_AGENCY, name=issuers.person.name)
