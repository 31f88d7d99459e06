"""A wallet for tests, with an agency and a company in memory in place of the network. People are invented (시험용)."""

import asyncio
import json
import secrets
from collections.abc import Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

from pydantic import SecretStr

from holder_app.accounts.ports import Account
from holder_app.accounts.use_cases import create_person
from holder_app.dependencies import Wallet, create_wallet
from holder_app.issuance import use_cases as issuance_use_cases
from holder_app.presentation import use_cases as presentation_use_cases
from holder_app.presentation.choices import SHOWN_FIELD
from holder_app.presentation.states import Presentation, Reviewed
from holder_app.settings import WalletSettings
from tests.simulators.issuer import SimulatedIssuer, configuration, metadata, offer
from tests.simulators.verifier import SimulatedVerifier
from tests.support.mdoc_presentations import MdocAgency
from tests.support.presentations import NOW, World, new_ca
from tests.support.presentations import Agency as Signing
from tests.support.tables import migrate
from wallet_core.adapters.config import load_catalogue
from wallet_core.adapters.keystore import new_key_text
from wallet_core.catalogue import Catalogue, CredentialType
from wallet_core.encoding import base64url
from wallet_core.errors import FetchError
from wallet_core.formats.sd_jwt.vc import issue_sd_jwt_vc
from wallet_core.http import Flow, HttpRequest, HttpResponse
from wallet_core.keys.jwk import parse_public_jwk
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.protocols.openid4vp.transaction_data import create_transactions
from wallet_core.spec_versions import FORMAT_MDOC, FORMAT_SD_JWT_VC
from wallet_core.trust.anchors import format_trust_anchors

T = TypeVar("T")

CATALOGUE: Catalogue = load_catalogue()
LICENCE = CATALOGUE.types["drivers-licence"]
NAME = LICENCE.example_record["name"]


def licence_metadata(*types: CredentialType) -> dict[str, Any]:
    """Metadata of an agency that issues types of the catalogue."""
    entries = {kind.configuration_id: configuration(kind.vct) for kind in types}
    for kind in types:
        for entry in kind.formats:
            entries[entry.configuration_id] = kind.credential_configuration(entry)
    return {
        **metadata(),
        "display": [{"name": "시험경찰청", "locale": "ko"}, {"name": "Test Police", "locale": "en"}],
        "credential_configurations_supported": entries,
    }


def licence_offer(
    *types: CredentialType, tx_code: bool = True, formats: tuple[str, ...] = (FORMAT_SD_JWT_VC,)
) -> dict[str, Any]:
    """An offer of types of the catalogue, in these formats."""
    made = offer()
    entries = [entry for kind in types for entry in kind.formats if entry.format in formats]
    made["credential_configuration_ids"] = [entry.configuration_id for entry in entries]
    if not tx_code:
        made["grants"] = {
            grant: {k: v for k, v in value.items() if k != "tx_code"} for grant, value in made["grants"].items()
        }
    return made


@dataclass
class IssuingIssuer(SimulatedIssuer):
    """Signs real credentials of the catalogue. Each further attribute is one way to misbehave."""

    metadata: Any = field(default_factory=lambda: licence_metadata(LICENCE))
    offer: Any = field(default_factory=lambda: licence_offer(LICENCE))
    nonces: list[str] = field(default_factory=lambda: [f"nonce-{number}" for number in range(1, 20)])
    good_nonces: set[str] = field(default_factory=lambda: {f"nonce-{number}" for number in range(1, 20)})
    types: tuple[CredentialType, ...] = (LICENCE,)
    agency: Signing = field(default_factory=lambda: Signing(new_ca()))
    changes: dict[str, Any] = field(default_factory=dict)
    mdocs: MdocAgency = field(default_factory=MdocAgency)
    mdoc_changes: dict[str, Any] = field(default_factory=dict)
    holder_key: SoftwareSigner | None = None
    tries_left: int = 5
    used: bool = False
    down: str = ""

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer one request; ``down`` names an endpoint that cannot be reached."""
        if self.down and urlsplit(request.url).path.endswith(self.down):
            raise FetchError("the other server could not be reached")
        if request.url.endswith("/notification"):
            self.seen.append(request)
            return HttpResponse(204)
        return super().__call__(request)

    def _token(self, request: HttpRequest) -> HttpResponse:
        if self.used or self.tries_left == 0:
            return self.reply({"error": "invalid_grant", "error_description": "the code was used"}, 400)
        answer = super()._token(request) if "tx_code" in str(self.offer) else self.reply(self.token_response)
        if answer.ok:
            self.used = True
        else:
            self.tries_left -= 1
            text = f"the transaction code is wrong; {self.tries_left} tries left"
            answer = self.reply({"error": "invalid_grant", "error_description": text}, 400)
        return answer

    def _credential(self, request: HttpRequest) -> HttpResponse:
        body = json.loads(request.body)
        wanted = body["credential_configuration_id"]
        kind, entry = next((k, e) for k in self.types for e in k.formats if e.configuration_id == wanted)
        sign = self.sign_mdoc if entry.format == FORMAT_MDOC else self.sign
        headers = [json.loads(base64url.decode(proof.split(".")[0])) for proof in body["proofs"]["jwt"]]
        payloads = [json.loads(base64url.decode(proof.split(".")[1])) for proof in body["proofs"]["jwt"]]
        if any(payload["nonce"] not in self.good_nonces for payload in payloads):
            return self.reply({"error": "invalid_nonce"}, 400)
        credentials = [{"credential": sign(kind, header["jwk"])} for header in headers]
        return self.reply({"credentials": credentials, "notification_id": f"n-{kind.id}"})

    def sign(self, kind: CredentialType, jwk: Any) -> str:
        """One credential."""
        now = self.agency.now
        arguments: dict[str, Any] = {
            "vct": kind.vct,
            "issuer": self.agency.issuer,
            "claims": kind.prepare_claims(kind.example_record, today=now.date()),
            "selectively_disclosable": kind.selectively_disclosable,
            "holder_key": self.holder_key.public_key if self.holder_key else parse_public_jwk(jwk),
            "issued_at": now - timedelta(hours=1),
            "expires_at": now + timedelta(days=30),
            "signer": self.agency.signer,
            "x5c": self.agency.chain(),
            "random": secrets.token_bytes,
            **self.changes,
        }
        return issue_sd_jwt_vc(**arguments)

    def sign_mdoc(self, kind: CredentialType, jwk: Any) -> str:
        """The same as an mdoc."""
        assert kind.mdoc
        assert kind.mdoc.doctype
        claims = kind.prepare_claims(kind.example_record, today=self.mdocs.now.date())
        changes = {"doc_type": kind.mdoc.doctype, "name_spaces": kind.data_elements(claims), **self.mdoc_changes}
        key = self.holder_key.public_key if self.holder_key else parse_public_jwk(jwk)
        issued = self.mdocs.issue(SimpleNamespace(public_key=key), **changes)  # type: ignore[arg-type]
        return base64url.encode(issued)

    @property
    def link(self) -> str:
        """The offer by value."""
        return f"openid-credential-offer://?credential_offer={quote(json.dumps(self.offer))}"

    @property
    def reference(self) -> str:
        """The offer by reference."""
        return f"openid-credential-offer://?credential_offer_uri={quote('https://issuer.example/offer', safe='')}"

    def called(self, end: str) -> int:
        """How often an endpoint was called."""
        return sum(urlsplit(request.url).path.endswith(end) for request in self.seen)


@dataclass
class Network:
    """Runs flows against servers in memory: a ``Fetch`` port."""

    hosts: dict[str, Any] = field(default_factory=dict)
    seen: list[HttpRequest] = field(default_factory=list)

    async def arun(self, flow: Flow[Any]) -> Any:
        """Drive a flow."""
        try:
            request = next(flow)
            while True:
                self.seen.append(request)
                server = self.hosts.get(urlsplit(request.url).hostname or "")
                if server is None:
                    request = flow.throw(FetchError("no such host"))
                    continue
                try:
                    answer = server(request)
                except FetchError as error:
                    request = flow.throw(error)
                else:
                    request = flow.send(answer)
        except StopIteration as stop:
            return stop.value


@dataclass
class FixedClock:
    """A clock that a test moves."""

    time: datetime = NOW

    def now(self) -> datetime:
        """The time."""
        return self.time

    def pass_by(self, duration: timedelta) -> None:
        """Let time pass."""
        self.time += duration


@dataclass
class Town:
    """A wallet and everyone around it."""

    wallet: Wallet
    network: Network
    clock: FixedClock
    world: World
    issuer: IssuingIssuer
    owner: Account

    def reopened(self) -> "Town":
        """The same after a restart: nothing is kept but the database file and the sealing key."""
        wallet = create_wallet(self.wallet.settings, fetch=self.network, clock=self.clock)
        return Town(wallet, self.network, self.clock, self.world, self.issuer, self.owner)


def new_town(folder: Path, world: World, **settings: Any) -> Town:
    """A wallet in ``folder`` that trusts the world's two authorities."""
    issuer = IssuingIssuer(agency=world.agency)
    anchors = world.anchors + issuer.mdocs.anchors
    (folder / "anchors.pem").write_text(format_trust_anchors(anchors))
    configured = WalletSettings(
        public_url=settings.pop("public_url", "https://wallet.example"),
        database_url=settings.pop("database_url", f"sqlite:///{folder / 'wallet.db'}"),
        sealing_key=SecretStr(new_key_text()),
        trust_anchors=(folder / "anchors.pem",),
        demo=settings.pop("demo", True),
        **settings,
    )
    network, clock = Network({"issuer.example": issuer}), FixedClock()
    wallet = create_wallet(configured, fetch=network, clock=clock)
    migrate(wallet.database, "holder_app")
    owner = create_person(wallet.account_ports(), "한지우", "jiwoo")
    return Town(wallet, network, clock, world, issuer, owner)


def wait(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in a thread of its own: a browser's driver keeps an event loop in this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result()


def policy_query(policy: str) -> dict[str, Any]:
    """The DCQL query of a policy of the catalogue."""
    return deepcopy(CATALOGUE.policies[policy].dcql_query)


def new_verifier(
    town: Town, dcql: dict[str, Any] | None = None, agree: Sequence[dict[str, Any]] = (), **misbehave: Any
) -> SimulatedVerifier:
    """A company on the town's network that asks for ``dcql``, by default what account opening asks.

    ``agree`` is what is to be agreed to.
    """
    request = town.world.request(dcql or policy_query("account-opening"))
    if agree:
        entries = create_transactions(agree, request.dcql_query, CATALOGUE.transaction_types)
        request = replace(request, transaction_data=entries)
    verifier = SimulatedVerifier(town.world, request, **misbehave)
    town.network.hosts["verifier.example"] = verifier.respond
    return verifier


def reviewed(town: Town, verifier: SimulatedVerifier) -> Presentation:
    """The verifier's request as the wallet has it when the person looks at it."""
    ports = town.wallet.presentation_ports()
    given = presentation_use_cases.take_request_link(ports, town.owner.id, verifier.link)
    return wait(presentation_use_cases.fetch_request(ports, town.owner.id, given.id))


def issue_large(town: Town) -> dict[str, Any]:
    """Let the agency issue licences with a large portrait; return a query for it four times, twice of them optional."""
    portrait = {"portrait": "data:image/jpeg;base64," + base64url.encode(bytes(40_000))}
    town.issuer.changes = {"claims": portrait, "selectively_disclosable": [("portrait",)]}
    entry = {"format": FORMAT_SD_JWT_VC, "meta": {"vct_values": [LICENCE.vct]}, "claims": [{"path": ["portrait"]}]}
    return {
        "credentials": [{"id": f"q{number}", **entry} for number in range(4)],
        "credential_sets": [{"options": [["q0", "q1"]]}, {"options": [["q2", "q3"]], "required": False}],
    }


def receive(town: Town, *types: CredentialType, formats: tuple[str, ...] = (FORMAT_SD_JWT_VC,)) -> None:
    """Put cards into the owner's wallet."""
    issuer = town.issuer
    issuer.types, issuer.metadata = types, licence_metadata(*types)
    issuer.offer, issuer.used = licence_offer(*types, tx_code=False, formats=formats), False
    issuer.nonces = [f"nonce-{number}" for number in range(20)]
    issuer.good_nonces = set(issuer.nonces)
    wait(_receive(town))


def agree(town: Town, presentation: Presentation, answers: Mapping[str, str] | None = None) -> Presentation:
    """Look at the request, if it waits for that, and send what the answers say of it."""
    ports = town.wallet.presentation_ports()
    told = dict(answers or {})
    if isinstance(presentation.state, Reviewed):
        told.setdefault(SHOWN_FIELD, presentation_use_cases.review_request(ports, presentation).shown)
    return wait(presentation_use_cases.answer_request(ports, town.owner.id, presentation.id, told))


async def _receive(town: Town) -> None:
    ports, owner = town.wallet.issuance_ports(), town.owner.id
    issuance = issuance_use_cases.take_offer_link(ports, owner, town.issuer.link)
    await issuance_use_cases.fetch_offer(ports, owner, issuance.id)
    await issuance_use_cases.accept_offer(ports, owner, issuance.id)
    await issuance_use_cases.keep_cards(ports, owner, issuance.id)
