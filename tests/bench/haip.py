"""One whole issuance of the high-assurance profile, as a wallet and a person's browser make it, request by request.

PAR, authorization, test login, consent, token, nonce and credential: DPoP and client attestation wherever they are
asked for, and ten keys in one key attestation. The keys are made beforehand; what the wallet must sign, it signs.
"""

import os
import re
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import parse_qs, urlencode, urlsplit

import orjson

from issuer.agencies.use_cases import register_agency
from issuer.dependencies import Issuer, build_issuer
from issuer.issuance.use_cases.clients import create_attestation_challenge, create_nonce_for_dpop
from issuer.login.use_cases.by_code import create_one_time_code
from issuer.records.ports import Citizen, SubjectRecord
from tests.bench.catalogue import AGENCY, CLAIMS, CONFIGURATION, TYPE, write_catalogue
from tests.support.issuing import add_signing_key, issuer_settings, new_ca
from tests.support.wallet_providers import Provider
from wallet_core.adapters.migrations import migrate
from wallet_core.jose import jws
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.protocols.oauth2.client_attestation import create_client_attestation_pop
from wallet_core.protocols.oauth2.dpop import create_dpop_proof
from wallet_core.protocols.oauth2.pkce import code_challenge
from wallet_core.protocols.openid4vci.proof import proof_signing_input
from wallet_core.trust.anchors import TrustAnchors, format_trust_anchors
from wallet_core.types import AgencyId, ClientId, CredentialIssuerId, Nonce

COPIES = 10
REQUESTS = ("par", "authorize", "login", "login/test", "login/test (code)", "consent", "consent (yes)", "token")
KINDS = (*REQUESTS, "nonce", "credential")
"""The requests of one issuance, in order."""

_CLIENT_ID = ClientId("https://wallet.example/client")
_CALLBACK = "https://wallet.example/callback"
_VERIFIER = "v" * 43
_CSRF = re.compile(r'name="csrf_token" value="([^"]+)"')
_WALLETS = 32
_FORM, _JSON = "application/x-www-form-urlencoded", "application/json"
_CLIENTS = f"""
[[clients]]
client_id = "{_CLIENT_ID}"
name = {{ ko = "시험지갑 (시험용)", en = "Test wallet" }}
redirect_uris = ["{_CALLBACK}"]
public = false
"""


@dataclass(frozen=True, slots=True)
class Call:
    """A request: ``kind`` is one of :data:`KINDS`, ``path`` has the query."""

    kind: str
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


Issuance: TypeAlias = Generator[Call, Reply, Any]


@dataclass(frozen=True, slots=True)
class Person:
    """Who logs in, with the code that was printed for them."""

    name: str
    birth_date: str
    code: str


@dataclass(frozen=True, slots=True)
class Wallet:
    """An attested instance, and the keys of its next ten copies."""

    key: SoftwareSigner
    attestation: str
    copies: tuple[SoftwareSigner, ...]


class HaipWorld:
    """An issuer whose only agency keeps to HAIP, a wallet provider it trusts, and people on record."""

    factory = "issuer.app:create"

    def __init__(self, folder: Path, database_url: str, public_url: str) -> None:
        clients, anchors = folder / "clients.toml", folder / "providers.pem"
        clients.write_text(_CLIENTS)
        settings = issuer_settings(
            folder,
            database_url,
            public_url=public_url,
            catalogue=write_catalogue(folder),
            clients=clients,
            trust_anchors=(anchors,),
            demo=True,
            insecure_allow_loopback=True,
        )
        self.issuer: Issuer = build_issuer(settings)
        self.public_url = public_url
        now = self.issuer.clock.now()
        self.provider = Provider(now, client_id=_CLIENT_ID)
        anchors.write_text(format_trust_anchors(TrustAnchors((self.provider.anchor,))))
        self.environment = {
            f"{settings.prefix}{name}": str(value)
            for name, value in {
                "PUBLIC_URL": public_url,
                "DATABASE_URL": database_url,
                "KEY_STORE": settings.key_store,
                "SEALING_KEY_FILE": settings.sealing_key_file,
                "CATALOGUE": settings.catalogue,
                "CLIENTS": clients,
                "TRUST_ANCHORS": anchors,
                "DEMO": "true",
                "INSECURE_ALLOW_LOOPBACK": "true",
            }.items()
        }
        migrate(self.issuer.database, "issuer")
        before = now - timedelta(days=1)
        add_signing_key(self.issuer.keys, new_ca(before), AGENCY, public_url=public_url, now=before)
        unit = self.issuer.database.unit()
        self.agency = register_agency(
            unit,
            self.issuer.agencies(unit),
            self.issuer.api_keys(unit),
            self.issuer.keys,
            self.issuer.catalogue,
            AgencyId(AGENCY),
            public_url=public_url,
            now=now,
            haip=True,
        ).agency
        self._wallets = [self._wallet() for _ in range(_WALLETS)]
        self._people = 0

    def people(self, count: int) -> list[Person]:
        """Put ``count`` more people on record, each with a code for the login."""
        found = []
        for number in range(self._people, self._people + count):
            citizen = Citizen(f"시험용 {number}", date(1990, 1, 1) + timedelta(days=number % 9000))
            claims = {**CLAIMS, "name": citizen.name, "birth_date": citizen.birth_date.isoformat()}
            found.append((SubjectRecord(f"p{number}", claims, citizen), citizen))
        self._people += count
        unit = self.issuer.database.unit()
        with unit:
            records = self.issuer.records(unit)
            records.put(AgencyId(AGENCY), TYPE, [record for record, _ in found], now=self.issuer.clock.now())
        login = self.issuer.login
        return [Person(each.name, each.birth_date.isoformat(), create_one_time_code(login, each)) for _, each in found]

    def issuances(self, count: int) -> list[Issuance]:
        """Return ``count`` issuances, to people of their own."""
        return [
            self._issuance(person, self._wallets[number % _WALLETS]) for number, person in enumerate(self.people(count))
        ]

    def _wallet(self) -> Wallet:
        key = SoftwareSigner.generate()
        copies = tuple(SoftwareSigner.generate() for _ in range(COPIES))
        return Wallet(key, self.provider.attest_instance(key), copies)

    def _issuance(self, person: Person, wallet: Wallet) -> Issuance:
        root, ci = f"/agencies/{AGENCY}", self.agency.credential_issuer
        secrets = self._secrets()
        now = self.issuer.clock.now

        def dpop(path: str, token: str | None = None) -> str:
            return create_dpop_proof(
                wallet.key,
                method="POST",
                url=f"{self.public_url}{path}",
                issued_at=now(),
                random=os.urandom,
                nonce=secrets["nonce"],
                access_token=token,
            )

        def proving(path: str) -> dict[str, str]:
            pop = create_client_attestation_pop(
                wallet.key,
                client_id=_CLIENT_ID,
                audience=ci,
                issued_at=now(),
                random=os.urandom,
                challenge=secrets["challenge"],
            )
            return {
                "content-type": _FORM,
                "DPoP": dpop(path),
                "OAuth-Client-Attestation": wallet.attestation,
                "OAuth-Client-Attestation-PoP": pop,
            }

        def form(kind: str, path: str, fields: dict[str, str], headers: dict[str, str]) -> Call:
            return Call(kind, "POST", path, headers, urlencode(fields).encode())

        par = yield form("par", f"{root}/oauth/par", _PUSHED, proving(f"{root}/oauth/par"))
        query = urlencode({"client_id": _CLIENT_ID, "request_uri": _member(par, "request_uri")})
        opened = yield Call("authorize", "GET", f"{root}/authorize?{query}", {"accept": "text/html"})
        cookies = _cookies(opened, {})
        page = yield Call("login", "GET", _location(opened), _browsing(cookies))
        cookies = _cookies(page, cookies)
        page = yield Call("login/test", "GET", f"{root}/login/test", _browsing(cookies))
        cookies = _cookies(page, cookies)
        typed = {"csrf_token": _csrf(page), "name": person.name, "birth_date": person.birth_date, "code": person.code}
        sent = yield form("login/test (code)", f"{root}/login/test", typed, self._submitting(cookies))
        page = yield Call("consent", "GET", _location(sent), _browsing(cookies))
        agreed = {"csrf_token": _csrf(page), "decision": "yes"}
        done = yield form("consent (yes)", f"{root}/login/consent", agreed, self._submitting(cookies))
        code = parse_qs(urlsplit(_location(done)).query)["code"][0]
        redeemed = {
            "grant_type": "authorization_code",
            "client_id": _CLIENT_ID,
            "code": code,
            "redirect_uri": _CALLBACK,
            "code_verifier": _VERIFIER,
        }
        answer = yield form("token", f"{root}/oauth/token", redeemed, proving(f"{root}/oauth/token"))
        token = _member(answer, "access_token")
        nonce = Nonce(_member((yield Call("nonce", "POST", f"{root}/nonce", {})), "c_nonce"))
        body = orjson.dumps(self._credential_request(wallet, ci, nonce))
        path = f"{root}/credential"
        headers = {"content-type": _JSON, "authorization": f"DPoP {token}", "DPoP": dpop(path, token)}
        credentials = orjson.loads((yield Call("credential", "POST", path, headers, body)).body)["credentials"]
        return [each["credential"] for each in credentials]

    def _credential_request(self, wallet: Wallet, ci: CredentialIssuerId, nonce: Nonce) -> dict[str, object]:
        now, first = self.issuer.clock.now(), wallet.copies[0]
        attested = self.provider.attest_keys(
            *wallet.copies, nonce=nonce, issued_at=now, expires_at=now + timedelta(minutes=5)
        )
        data = proof_signing_input(
            first.public_key,
            audience=ci,
            nonce=nonce,
            issued_at=now,
            client_id=_CLIENT_ID,
            key_attestation=attested,
        )
        proof = jws.attach_signature(data, first.sign(data))
        return {"credential_configuration_id": CONFIGURATION, "proofs": {"jwt": [proof]}}

    def _submitting(self, cookies: Mapping[str, str]) -> dict[str, str]:
        posting = {"content-type": _FORM, "origin": self.public_url, "sec-fetch-site": "same-origin"}
        return {**_browsing(cookies), **posting}

    def _secrets(self) -> dict[str, str]:
        """A DPoP nonce and a challenge, as an earlier answer brought them: both are good for minutes."""
        ports = self.issuer.issuance
        return {"nonce": create_nonce_for_dpop(ports), "challenge": create_attestation_challenge(ports)}


_PUSHED = {
    "client_id": _CLIENT_ID,
    "response_type": "code",
    "redirect_uri": _CALLBACK,
    "scope": CONFIGURATION,
    "state": "state",
    "code_challenge": code_challenge(_VERIFIER),
    "code_challenge_method": "S256",
}


def _browsing(cookies: Mapping[str, str]) -> dict[str, str]:
    return {"accept": "text/html", "cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}


def _cookies(reply: Reply, before: Mapping[str, str]) -> dict[str, str]:
    name, _, value = reply.headers.get("set-cookie", "").partition(";")[0].partition("=")
    return {**before, name: value} if name else dict(before)


def _csrf(reply: Reply) -> str:
    found = _CSRF.search(reply.body.decode())
    assert found is not None, reply
    return found[1]


def _location(reply: Reply) -> str:
    assert reply.status == 303, reply
    return reply.headers["location"]


def _member(reply: Reply, name: str) -> str:
    assert reply.status in {200, 201}, reply
    return str(orjson.loads(reply.body)[name])
