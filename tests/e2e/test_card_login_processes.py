"""Login by a licence at an issuer as people run it: two workers behind one port that fetch each other's status list."""

import re
import secrets
import signal
from collections import Counter
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest

from tests.support.authorizing import CALLBACK, CLIENTS, TOKEN, VERIFIER, WALLET
from tests.support.issuer_program import IssuerProgram
from tests.support.issuing import LICENCE, sign_proofs
from tests.support.simultaneous import at_once
from wallet_core.adapters.clock import SystemClock
from wallet_core.adapters.config import load_catalogue, load_trust_anchors
from wallet_core.adapters.http import HttpClient
from wallet_core.catalogue.records import Record, format_records
from wallet_core.formats.sd_jwt.holder import HeldSdJwt, index_sd_jwt
from wallet_core.http import HttpRequest
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.protocols.oauth2.pkce import code_challenge
from wallet_core.protocols.openid4vci.wallet import receive_credentials, request_proofs, resolve_offer
from wallet_core.protocols.openid4vp import wallet
from wallet_core.protocols.openid4vp.candidates import candidate_of
from wallet_core.protocols.openid4vp.matching import approve, match

TAX = "local-tax-payment-sd-jwt"
ROOT = "/agencies/city-tax/login"
CARD = f"{ROOT}/presentation"
CODE = re.compile(r"<code[^>]*>(openid4vp://[^<]+)</code>")
CLIENT = HttpClient(allow_loopback=True)
HOLDER = SoftwareSigner.generate()


class LoginProgram(IssuerProgram):
    """An issuer with an access key of its own."""

    @property
    def environment(self) -> dict[str, str]:
        keys = self.folder / "keys"
        settings = {
            "JIGAP_ISSUER_CLIENTS": str(self.folder / "clients.toml"),
            "JIGAP_ISSUER_TRUST_ANCHORS": f"{keys}/ca.anchor.pem,{keys}/access.anchor.pem",
        }
        named = {"JIGAP_ISSUER_LOGIN_KEY": "login"} if (keys / "login.key.pem").exists() else {}
        return {**super().environment, **settings, **named}


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoginProgram]:
    """A running issuer, once for each database engine: its keys are made by the commands people use."""
    folder: Path = tmp_path_factory.mktemp("issuer")
    database = f"sqlite:///{folder}/issuer.db"
    if request.param == "postgres":
        database = request.getfixturevalue("postgres_cluster").create_database("card_login_processes")
    issuer = LoginProgram(folder, database)
    (folder / "clients.toml").write_text(CLIENTS)
    issuer.prepare("police", "city-tax")
    store = ["--store", str(folder / "keys"), "--organization", "시험용"]
    purpose = ["--purpose", "verifier_access", "--contact", "https://ca.example"]
    issuer.run("keys", "new-ca", "access", *store, *purpose)
    issuer.run("keys", "new-verifier", "login", *store, "--ca", "access", "--response-uri", issuer.url)
    record = load_catalogue().types["local-tax-payment"].example_record
    person = {"taxpayer_name": "한지우", "birth_date": "1993-05-14"}
    (folder / "taxes.csv").write_text(format_records([Record(2, "p02", "local-tax-payment", record | person)]))
    issuer.run("issuer", "records", "import", str(folder / "taxes.csv"), "--agency", "city-tax")
    issuer.start()
    yield issuer
    issuer.stop(signal.SIGKILL)


def licence(program: LoginProgram) -> HeldSdJwt:
    """A licence of the police, received over HTTP."""
    claims = {LICENCE: load_catalogue().types["drivers-licence"].example_record}
    made = program.api(
        "police", "/offers", {"credential_configuration_ids": [LICENCE], "claims": claims, "tx_code": False}
    )
    now = SystemClock().now()
    resolved = CLIENT.run(resolve_offer(made["uri"]))
    pending = CLIENT.run(request_proofs(resolved, {LICENCE: [HOLDER.public_key]}, tx_code=None, now=now))
    issued = CLIENT.run(receive_credentials(pending, sign_proofs(pending, [HOLDER]), now=now))
    return index_sd_jwt(issued.batches[0].credentials[0])  # type: ignore[union-attr]


@pytest.fixture
def person(program: LoginProgram) -> Iterator[httpx2.Client]:
    """A browser that a wallet sent to the tax office, where its person chose to show a card."""
    with httpx2.Client(base_url=program.url, follow_redirects=False, timeout=30) as found:
        begin(program, found)
        yield found


def begin(program: LoginProgram, browser: httpx2.Client) -> None:
    parameters = {
        "response_type": "code",
        "client_id": WALLET,
        "redirect_uri": CALLBACK,
        "scope": TAX,
        "state": secrets.token_urlsafe(8),
        "code_challenge": code_challenge(VERIFIER),
        "code_challenge_method": "S256",
    }
    query = urlencode(parameters)
    assert browser.get(f"/agencies/city-tax/authorize?{query}").headers["location"] == ROOT
    token = TOKEN.search(browser.get(CARD).text)
    assert token
    started = browser.post(CARD, data={"csrf_token": token[1]}, headers={"Origin": program.url})
    assert (started.status_code, started.headers["location"]) == (303, CARD)


def answer_to(program: LoginProgram, browser: httpx2.Client, held: HeldSdJwt) -> HttpRequest:
    """The answer that a wallet on another device would post."""
    link = CODE.search(browser.get(CARD).text)
    assert link
    now = SystemClock().now()
    anchors = load_trust_anchors([program.folder / "keys" / "access.anchor.pem"])
    resolved = CLIENT.run(
        wallet.resolve_request(unescape(link[1]), anchors=anchors, now=now, wallet_nonce=secrets.token_urlsafe(16))
    )
    approved = approve(match(resolved.request.dcql_query, [candidate_of("card", held)]))
    pending = wallet.create_presentation(resolved, approved, {"card": held}, now=now)
    signatures = [HOLDER.sign(item.signing_input) for item in pending.to_sign if item.signing_input]
    return next(wallet.send_response(pending, signatures))


def post(request: HttpRequest) -> httpx2.Response:
    return httpx2.post(request.url, content=request.body, headers=dict(request.headers), timeout=30)


def test_a_storm_of_answers_logs_in_once(program: LoginProgram, person: httpx2.Client) -> None:
    request = answer_to(program, person, licence(program))
    answers = Counter(answer.status_code for answer in at_once(10, lambda: post(request)))
    assert answers == {200: 1, 409: 9}
    assert person.get(f"{CARD}/state").json() == {"state": "verified"}
    # The person's person asks several times at once: one request finds the card, nobody is logged in twice.
    cookies: dict[str, Any] = dict(person.cookies)

    def look() -> int:
        return httpx2.get(f"{program.url}{CARD}", cookies=cookies, follow_redirects=False, timeout=30).status_code

    assert 303 in at_once(6, look)
    consent = person.get(f"{ROOT}/consent")
    assert (consent.status_code, "한*우" in consent.text) == (200, True)


def test_a_revoked_licence_is_known_at_once(program: LoginProgram, person: httpx2.Client) -> None:
    held = licence(program)
    issued = program.get("police", "/credentials")["credentials"][-1]["credential_id"]
    program.api("police", f"/credentials/{issued}/status", {"status": "invalid"})
    assert post(answer_to(program, person, held)).status_code == 400
    assert "지금은 쓸 수 없는" in person.get(CARD).text


def test_nothing_personal_is_in_the_log(program: LoginProgram, person: httpx2.Client) -> None:
    post(answer_to(program, person, licence(program)))
    assert "한지우" not in program.log()
    assert "1993-05-14" not in program.log()
