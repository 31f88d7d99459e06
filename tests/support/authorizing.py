"""A stranger's wallet and a person's browser at our authorization server, over ASGI, without our wallet."""

import re
from dataclasses import dataclass, field
from datetime import date
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from starlette.testclient import TestClient

from issuer.issuance.use_cases import clients
from issuer.issuance.use_cases.clients import Client
from issuer.login.ports import Citizen
from issuer.login.use_cases.by_code import create_one_time_code
from issuer.records.ports import SubjectRecord
from issuer.records.use_cases import citizen_of
from tests.support.issuing import HOST, LICENCE, NOW, IssuerUnderTest, start_issuer
from wallet_core.protocols.oauth2.pkce import code_challenge
from wallet_core.types import AgencyId, ClientId

WALLET = "https://wallet.example/client"
CALLBACK = "https://wallet.example/callback"
LOOPBACK = "http://127.0.0.1/cb"
SCHEME = "example.wallet:/cb"
OTHER = "https://other.example/client"
ATTESTED = "https://attested.example/client"
VERIFIER = "v" * 43
SUBJECT = "p02"
TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')

CLIENTS = f"""
[[clients]]
client_id = "{WALLET}"
name = {{ ko = "남의 지갑 (시험용)", en = "Stranger's wallet (test)" }}
redirect_uris = ["{CALLBACK}", "{LOOPBACK}", "{SCHEME}"]

[[clients]]
client_id = "{OTHER}"
name = {{ ko = "다른 지갑 (시험용)", en = "Other wallet (test)" }}
redirect_uris = ["https://other.example/callback"]

[[clients]]
client_id = "{ATTESTED}"
name = {{ ko = "증명된 지갑 (시험용)", en = "Attested wallet (test)" }}
redirect_uris = ["https://attested.example/callback"]
public = false
"""


@dataclass
class Town:
    """An issuer with clients and a person on record."""

    under_test: IssuerUnderTest
    person: Citizen
    browsers: list[TestClient] = field(default_factory=list)

    @property
    def client(self) -> TestClient:
        """The stranger's wallet talks to the server through this."""
        return self.under_test.client

    def ci(self, agency: str = "police") -> str:
        return f"{HOST}/agencies/{agency}"

    def parameters(self, **changes: str | None) -> dict[str, str]:
        """Those of a good authorization request; None leaves one out."""
        good = {
            "response_type": "code",
            "client_id": WALLET,
            "redirect_uri": CALLBACK,
            "scope": LICENCE,
            "state": "the state",
            "code_challenge": code_challenge(VERIFIER),
            "code_challenge_method": "S256",
        }
        return {name: value for name, value in {**good, **changes}.items() if value is not None}

    def push(self, *, agency: str = "police", headers: dict[str, str] | None = None, **changes: str | None) -> Any:
        """Push a request."""
        return self.client.post(f"{self.ci(agency)}/oauth/par", data=self.parameters(**changes), headers=headers)

    def browser(self) -> "Browser":
        """A browser that has been nowhere yet."""
        found = TestClient(self.under_test.app, base_url=HOST, follow_redirects=False)
        self.browsers.append(found)
        return Browser(self, found)

    def code_for(self, person: Citizen | None = None) -> str:
        """A fresh one-time code."""
        return create_one_time_code(self.under_test.issuer.login, person or self.person)

    def authorize(self, *, headers: dict[str, str] | None = None, **changes: str | None) -> dict[str, str]:
        """Push a request, log in, consent, and return what the wallet gets at its redirect URI."""
        pushed = self.push(headers=headers, **changes)
        assert pushed.status_code == 201, pushed.text
        browser = self.browser()
        browser.open(client_id=changes.get("client_id") or WALLET, request_uri=pushed.json()["request_uri"])
        browser.log_in()
        return browser.consent()

    def token(self, *, agency: str = "police", headers: dict[str, str] | None = None, **fields: str | None) -> Any:
        """Ask for a token; None leaves a parameter out."""
        good = {
            "grant_type": "authorization_code",
            "client_id": WALLET,
            "redirect_uri": CALLBACK,
            "code_verifier": VERIFIER,
        }
        data = {name: value for name, value in {**good, **fields}.items() if value is not None}
        return self.client.post(f"{self.ci(agency)}/oauth/token", data=data, headers=headers)

    def put(self, subject_id: str, configuration: str = LICENCE, agency: str = "police", **changes: Any) -> Citizen:
        """Put a person on record."""
        issuer = self.under_test.issuer
        record = {**self.under_test.record(configuration), **changes}
        citizen = citizen_of(record)
        assert citizen is not None
        unit = issuer.database.unit()
        type_id = issuer.catalogue.by_configuration(configuration).id
        with unit:
            rows = [SubjectRecord(subject_id, record, citizen)]
            issuer.records(unit).put(AgencyId(agency), type_id, rows, now=NOW)
        return citizen


@dataclass
class Browser:
    """One browser: follows what it is told to, form by form, without script."""

    town: Town
    client: TestClient
    page: Any = None
    csrf_token: str = ""

    def open(self, *, agency: str = "police", **parameters: str | None) -> Any:
        """Open the authorization endpoint, and the login if it leads there."""
        query = urlencode({name: value for name, value in parameters.items() if value is not None})
        answer = self.client.get(f"/agencies/{agency}/authorize?{query}", headers={"accept": "text/html"})
        if answer.status_code == 303 and answer.headers["location"].startswith("/"):
            return self.get(answer.headers["location"])
        self.page = answer
        return answer

    def get(self, path: str) -> Any:
        self.page = self.client.get(path, headers={"accept": "text/html"})
        return self.page

    def post(self, path: str, data: dict[str, str] | None = None) -> Any:
        """Send a form of the page that is open."""
        if token := TOKEN.search(self.page.text):
            self.csrf_token = token[1]
        fields = {"csrf_token": self.csrf_token, **(data or {})}
        headers = {"origin": HOST, "sec-fetch-site": "same-origin", "accept": "text/html"}
        answer = self.client.post(path, data=fields, headers=headers)
        if answer.status_code == 303 and answer.headers["location"].startswith("/"):
            return self.get(answer.headers["location"])
        self.page = answer
        return answer

    def log_in(self, person: Citizen | None = None, *, agency: str = "police", code: str | None = None) -> Any:
        who = person or self.town.person
        self.get(f"/agencies/{agency}/login/test")
        typed = {"name": who.name, "birth_date": who.birth_date.isoformat(), "code": code or self.town.code_for(who)}
        return self.post(f"/agencies/{agency}/login/test", typed)

    def consent(self, decision: str = "yes", *, agency: str = "police") -> dict[str, str]:
        """Decide, and return what the wallet gets."""
        answer = self.post(f"/agencies/{agency}/login/consent", {"decision": decision})
        return answer_of(answer)

    @property
    def text(self) -> str:
        return unescape(re.sub(r"<[^>]+>", " ", self.page.text))


def answer_of(answer: Any) -> dict[str, str]:
    """What stands in the address that an answer sends the browser to."""
    assert answer.status_code == 303, answer.text
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}


def start_town(folder: Path, database_url: str, **more: Any) -> Town:
    """Build an issuer with a demo's test login."""
    file = folder / "clients.toml"
    file.write_text(CLIENTS)
    under_test = start_issuer(folder, database_url, clients=file, **{"demo": True, **more})
    town = Town(under_test, Citizen("", date(2000, 1, 1)))
    town.person = town.put(SUBJECT)
    return town


def prove_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let headers say what client authentication and DPoP will prove: ``x-client``, ``x-instance``, ``x-dpop``."""

    def authenticate(_ports: Any, _agency: Any, received: Any, parameters: Any) -> Client:
        def key(name: str) -> bytes | None:
            return received.all(name)[0].encode() if received.all(name) else None

        claimed = received.all("x-client")
        client_id = claimed[0] if claimed else parameters.get("client_id")
        return Client(None if client_id is None else ClientId(client_id), key("x-instance"), key("x-dpop"))

    monkeypatch.setattr(clients, "_authenticate", authenticate)
