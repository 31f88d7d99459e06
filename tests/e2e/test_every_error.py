"""Every error of the endpoints that wallets call: code, status, headers, and nothing else (protocols.md 3.4 to 3.11).

One rule is broken each; what is right otherwise stands in ``Wallet``. Errors of pushed requests and of clients that
prove themselves stand in ``test_authorization_refusals`` and ``test_client_authentication``.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.support.issuing import HOST, LICENCE, IssuerUnderTest
from wallet_core.errors import CredentialRequestDenied
from wallet_core.jose import jws
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.protocols.oauth2.token import ACCESS_TOKEN_LIFETIME
from wallet_core.protocols.openid4vci.encryption import encryption_jwk
from wallet_core.protocols.openid4vci.issuance import OFFER_LIFETIME
from wallet_core.protocols.openid4vci.nonce import LIFETIME
from wallet_core.protocols.openid4vci.proof import proof_signing_input

CI = f"{HOST}/agencies/police"
GRANT = "urn:ietf:params:oauth:grant-type:pre-authorized_code"
KEYS = [SoftwareSigner.generate() for _ in range(11)]
JWK = encryption_jwk(SoftwareSigner.generate().private_key)
DETAIL = '[{"type": "openid_credential", "credential_configuration_id": "drivers-licence-mdoc"}]'
JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@dataclass
class Wallet:
    """A wallet without code of ours between it and the wire."""

    issuer: IssuerUnderTest
    access_token: str = ""
    made: dict[str, Any] = field(default_factory=dict)

    def offered(self, **more: Any) -> dict[str, str]:
        """Return the form that redeems a new offer."""
        self.made = self.issuer.offer(**more)
        code = self.made["credential_offer"]["grants"][GRANT]["pre-authorized_code"]
        form = {"grant_type": GRANT, "pre-authorized_code": code}
        return form | ({"tx_code": self.made["tx_code"]} if self.made["tx_code"] else {})

    def authorized(self, **more: Any) -> "Wallet":
        """Get a token for a new offer."""
        self.access_token = self.post("oauth/token", data=self.offered(**more)).json()["access_token"]
        return self

    def post(self, path: str, **options: Any) -> Any:
        return self.issuer.client.post(f"{CI}/{path}", follow_redirects=False, **options)

    def ask(self, path: str, body: Any, headers: Any = None, **options: Any) -> Any:
        """Post with the token; ``body`` as it is if it is bytes."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {**JSON, "Authorization": f"Bearer {self.access_token}"} if headers is None else headers
        return self.post(path, content=content, headers=sent, **options)

    def nonce(self) -> str:
        return str(self.post("nonce").json()["c_nonce"])

    def proof(self, nonce: str | None, key: SoftwareSigner = KEYS[0], **changes: Any) -> str:
        terms = {"audience": CI, "nonce": nonce, "issued_at": self.issuer.clock.now(), **changes}
        data = proof_signing_input(key.public_key, **terms)
        return jws.attach_signature(data, key.sign(data))

    def request(self, **changes: Any) -> dict[str, Any]:
        """Return a good Credential Request, changed; None leaves a member out."""
        proofs = {"jwt": [self.proof(self.nonce())]} if "proofs" not in changes else None
        good = {"credential_configuration_id": LICENCE, "proofs": proofs}
        return {name: value for name, value in {**good, **changes}.items() if value is not None}


def refused(answer: Any, status: int, error: str) -> None:
    """The one shape that an error has at these endpoints."""
    assert (answer.status_code, answer.json()["error"]) == (status, error), answer.text
    assert set(answer.json()) == {"error", "error_description"}
    description = answer.json()["error_description"]
    assert description.isascii()
    assert description.isprintable()
    assert not set(description) & set('"\\')
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert len(answer.headers.get_list("dpop-nonce")) == 1
    assert "location" not in answer.headers
    path = answer.request.url.path
    at_server = path.endswith(("/token", "/par"))
    assert len(answer.headers.get_list("oauth-client-attestation-challenge")) == at_server
    # RFC 6750 3, RFC 6749 5.2: a challenge goes with the refusal of an access token, and with nothing else.
    assert len(answer.headers.get_list("www-authenticate")) == (status == 401 and not at_server)


@pytest.fixture
def wallet(sqlite_issuer: IssuerUnderTest) -> Wallet:
    return Wallet(sqlite_issuer)


@pytest.mark.clause(
    "vci-8.3.1.2-members",
    "vci-6.3-tx-code-expected",
    "vci-6.3-tx-code-wrong",
    "vci-6.3-once",
    "vci-6.3-expired",
    "vci-6.3-unknown-code",
    "vci-6.1-code",
    "vci-6.1-subset",
    "oauth-6749.4.1.3-named",
    "oauth-8707.2.2-resource",
)
def test_at_the_token_endpoint(wallet: Wallet) -> None:
    good, with_code = wallet.offered(), wallet.offered(tx_code=True)
    wrong = "000000" if with_code["tx_code"] != "000000" else "111111"
    for form, status, error in (
        ({**good, "grant_type": ""}, 400, "invalid_request"),
        ({**good, "grant_type": "password"}, 400, "unsupported_grant_type"),
        ({**good, "grant_type": [GRANT, GRANT]}, 400, "invalid_request"),
        ({"grant_type": GRANT}, 400, "invalid_request"),
        ({**good, "pre-authorized_code": "unknown"}, 400, "invalid_grant"),
        ({**good, "tx_code": "123456"}, 400, "invalid_request"),
        ({**with_code, "tx_code": ""}, 400, "invalid_request"),
        ({**with_code, "tx_code": wrong}, 400, "invalid_grant"),
        ({**good, "authorization_details": DETAIL}, 400, "invalid_authorization_details"),
        ({**good, "authorization_details": "{}"}, 400, "invalid_authorization_details"),
        ({**good, "resource": "https://other.example"}, 400, "invalid_target"),
        ({"grant_type": "authorization_code", "code": "c", "redirect_uri": "https://w.example"}, 401, "invalid_client"),
        ({"grant_type": "refresh_token", "refresh_token": "r"}, 401, "invalid_client"),
        ({"grant_type": "refresh_token"}, 400, "invalid_request"),
        ({"grant_type": "refresh_token", "refresh_token": "r", "client_id": "c"}, 400, "invalid_grant"),
    ):
        refused(wallet.post("oauth/token", data=form), status, error)
    refused(wallet.post("oauth/token", json=good), 400, "invalid_request")
    refused(wallet.post("oauth/token", content=b"\xff=\xff", headers=FORM), 400, "invalid_request")
    # None of them spent a code; and what nobody asked for is ignored.
    known = wallet.post("oauth/token", data={**good, "user_pin": "1", "unknown": "y"})
    assert known.status_code == 200
    assert wallet.post("oauth/token", data=with_code).status_code == 200
    refused(wallet.post("oauth/token", data=good), 400, "invalid_grant")
    late = wallet.offered()
    wallet.issuer.clock.advance(OFFER_LIFETIME.total_seconds())
    refused(wallet.post("oauth/token", data=late), 400, "invalid_grant")


@pytest.mark.clause("oauth-6750.3.1-no-token", "oauth-6750.3-challenge", "oauth-6750.3.1-unknown", "vci-8.3.1.1-token")
@pytest.mark.parametrize("path", ["credential", "deferred", "notification"])
def test_without_a_good_access_token(wallet: Wallet, path: str) -> None:
    token = wallet.authorized().access_token

    def challenged(headers: Any, *, error: bool = True, **options: Any) -> None:
        answer = wallet.ask(path, {}, headers, **options)
        refused(answer, 401, "invalid_token")
        said = answer.headers["www-authenticate"]
        assert said.startswith('Bearer error="invalid_token"' if error else "Bearer")
        assert ("error" in said) == error

    challenged(JSON, error=False)
    challenged(JSON, error=False, params={"access_token": token})
    challenged({**JSON, "Authorization": "Bearer unknown"})
    challenged({**JSON, "Authorization": "Basic dTpw"})
    challenged({**JSON, "Authorization": f"Bearer {token} x"})
    challenged([("Authorization", f"Bearer {token}"), ("Authorization", f"Bearer {token}")])
    foreign = {**JSON, "Authorization": f"Bearer {token}"}
    elsewhere = wallet.issuer.client.post(f"{HOST}/agencies/city-tax/{path}", json={}, headers=foreign)
    refused(elsewhere, 401, "invalid_token")
    wallet.issuer.clock.advance(ACCESS_TOKEN_LIFETIME.total_seconds())
    challenged(None)


def encrypted_anyhow(**changes: Any) -> dict[str, Any]:
    """Return how an answer is to be encrypted, changed; None leaves a member out."""
    good = {"jwk": JWK, "enc": "A128GCM", **changes}
    return {"credential_response_encryption": {name: value for name, value in good.items() if value is not None}}


BAD_REQUESTS: dict[str, tuple[Callable[[Wallet], Any], str]] = {
    "no JSON": (lambda wallet: b"{", "invalid_credential_request"),
    "no object": (lambda wallet: [], "invalid_credential_request"),
    "no name": (lambda wallet: wallet.request(credential_configuration_id=None), "invalid_credential_request"),
    "a name that is none": (lambda wallet: wallet.request(credential_configuration_id=1), "invalid_credential_request"),
    "both names": (lambda wallet: wallet.request(credential_identifier="a.own"), "invalid_credential_request"),
    "an unknown configuration": (
        lambda wallet: wallet.request(credential_configuration_id="unknown"),
        "unknown_credential_configuration",
    ),
    "another configuration of the agency": (
        lambda wallet: wallet.request(credential_configuration_id="drivers-licence-mdoc"),
        "unknown_credential_configuration",
    ),
    "an unknown identifier": (
        lambda wallet: wallet.request(credential_configuration_id=None, credential_identifier="unknown"),
        "unknown_credential_identifier",
    ),
    "an identifier that was not given": (
        lambda wallet: wallet.request(credential_configuration_id=None, credential_identifier=f"{LICENCE}.own"),
        "unknown_credential_identifier",
    ),
    "proofs that are none": (lambda wallet: wallet.request(proofs=["a.b.c"]), "invalid_credential_request"),
    "a proof that is no array": (lambda wallet: wallet.request(proofs={"jwt": "a.b.c"}), "invalid_credential_request"),
    "two types of proof": (
        lambda wallet: wallet.request(proofs={"jwt": ["a.b.c"], "attestation": ["a.b.c"]}),
        "invalid_credential_request",
    ),
    "a type that is not taken": (lambda wallet: wallet.request(proofs={"di_vp": [{}]}), "invalid_credential_request"),
    "too many proofs": (
        lambda wallet: wallet.request(
            proofs={"jwt": [wallet.proof(nonce, key) for nonce in [wallet.nonce()] for key in KEYS]}
        ),
        "invalid_credential_request",
    ),
    "no proofs": (lambda wallet: wallet.request(proofs=None), "invalid_proof"),
    "no proof among the proofs": (lambda wallet: wallet.request(proofs={"jwt": []}), "invalid_proof"),
    "a proof that is no JWT": (lambda wallet: wallet.request(proofs={"jwt": ["x"]}), "invalid_proof"),
    "an attestation that is not taken": (
        lambda wallet: wallet.request(proofs={"attestation": ["a.b.c"]}),
        "invalid_proof",
    ),
    "a proof without nonce": (lambda wallet: wallet.request(proofs={"jwt": [wallet.proof(None)]}), "invalid_proof"),
    "a proof for another": (
        lambda wallet: wallet.request(proofs={"jwt": [wallet.proof(wallet.nonce(), audience=HOST)]}),
        "invalid_proof",
    ),
    "one proof of two is bad": (
        lambda wallet: wallet.request(proofs={"jwt": [wallet.proof(wallet.nonce()), "a.b.c"]}),
        "invalid_proof",
    ),
    "a nonce that is not ours": (lambda wallet: wallet.request(proofs={"jwt": [wallet.proof("n")]}), "invalid_nonce"),
    "two nonces": (
        lambda wallet: wallet.request(
            proofs={"jwt": [wallet.proof(wallet.nonce(), KEYS[0]), wallet.proof(wallet.nonce(), KEYS[1])]}
        ),
        "invalid_nonce",
    ),
    "an answer to encrypt, asked for in clear": (
        lambda wallet: wallet.request(**encrypted_anyhow()),
        "invalid_encryption_parameters",
    ),
    "an algorithm that is not offered": (
        lambda wallet: wallet.request(**encrypted_anyhow(jwk={**JWK, "alg": "RSA-OAEP-256"})),
        "invalid_encryption_parameters",
    ),
    "a key without algorithm": (
        lambda wallet: wallet.request(**encrypted_anyhow(jwk={k: v for k, v in JWK.items() if k != "alg"})),
        "invalid_encryption_parameters",
    ),
    "a content encryption that is not offered": (
        lambda wallet: wallet.request(**encrypted_anyhow(enc="A128CBC-HS256")),
        "invalid_encryption_parameters",
    ),
    "no content encryption": (
        lambda wallet: wallet.request(**encrypted_anyhow(enc=None)),
        "invalid_encryption_parameters",
    ),
    "a compression that is not offered": (
        lambda wallet: wallet.request(**encrypted_anyhow(zip="GZIP")),
        "invalid_encryption_parameters",
    ),
    "parameters that are none": (
        lambda wallet: wallet.request(credential_response_encryption="A128GCM"),
        "invalid_encryption_parameters",
    ),
}


@pytest.mark.clause(
    "vci-8.2-configuration",
    "vci-8.2-identifier-excludes",
    "vci-8.3.1.2-unknown-configuration",
    "vci-8.3.1.2-unknown-identifier",
    "vci-8.3.1.2-identifier-not-given",
    "vci-8.2-one-proof-type",
    "vci-8.2-proofs-array",
    "vci-12.2.4-batch-limit",
    "vci-8.2-proof-needed",
    "vci-8.2-proofs-empty",
    "vci-12.2.4-proof-type",
    "vci-8.3.1.2-nonce-missing",
    "vci-8.2-one-nonce",
    "vci-8.2-request-encrypted-too",
    "vci-10-response-jwk",
    "vci-8.2-response-enc",
    "vci-8.2-response-zip",
)
def test_at_the_credential_endpoint(wallet: Wallet, subtests: pytest.Subtests) -> None:
    wallet.authorized()
    for name, (make, error) in BAD_REQUESTS.items():
        with subtests.test(name):
            refused(wallet.ask("credential", make(wallet)), 400, error)
    bearer = {"Authorization": f"Bearer {wallet.access_token}"}
    request = wallet.request()
    for media_type, error in (
        ("text/plain", "invalid_credential_request"),
        (FORM["Content-Type"], "invalid_credential_request"),
        ("application/jwt", "invalid_encryption_parameters"),
    ):
        refused(wallet.ask("credential", request, {**bearer, "Content-Type": media_type}), 400, error)
    late = wallet.request()
    # None of them spent anything; and what nobody knows is ignored.
    answer = wallet.ask("credential", {**request, "format": "vc+sd-jwt", "proof": {}, "unknown": [1]})
    assert answer.status_code == 200
    assert set(answer.json()) == {"credentials", "notification_id"}
    refused(wallet.ask("credential", request), 400, "invalid_nonce")
    wallet.issuer.clock.advance(LIFETIME.total_seconds() - 1)
    wallet.authorized()
    wallet.issuer.clock.advance(1)
    refused(wallet.ask("credential", late), 400, "invalid_nonce")


def test_what_is_denied_for_good(wallet: Wallet, monkeypatch: pytest.MonkeyPatch) -> None:
    wallet.authorized()

    def gone(*_arguments: Any) -> Any:
        raise CredentialRequestDenied("the data for this credential is no longer there")

    monkeypatch.setattr("issuer.issuance.use_cases.credential.offered_record", gone)
    refused(wallet.ask("credential", wallet.request()), 400, "credential_request_denied")


@pytest.mark.clause("vci-9.1-transaction-id", "vci-9.3-unknown", "vci-9.3-denied", "vci-8.2-request-encrypted-too")
def test_at_the_deferred_endpoint(wallet: Wallet) -> None:
    asked = wallet.authorized(deferred=True).ask("credential", wallet.request())
    assert (asked.status_code, set(asked.json())) == (202, {"transaction_id", "interval"})
    transaction = {"transaction_id": asked.json()["transaction_id"]}
    for body, error in (
        (b"{", "invalid_credential_request"),
        ([], "invalid_credential_request"),
        ({}, "invalid_credential_request"),
        ({"transaction_id": 1}, "invalid_credential_request"),
        ({"transaction_id": "unknown"}, "invalid_transaction_id"),
        ({**transaction, **encrypted_anyhow()}, "invalid_encryption_parameters"),
        ({**transaction, **encrypted_anyhow(enc="none")}, "invalid_encryption_parameters"),
    ):
        refused(wallet.ask("deferred", body), 400, error)
    bearer = {"Authorization": f"Bearer {wallet.access_token}"}
    refused(wallet.ask("deferred", transaction, {**bearer, **FORM}), 400, "invalid_credential_request")
    jwt = {**bearer, "Content-Type": "application/jwt"}
    refused(wallet.ask("deferred", b"a.b.c.d.e", jwt), 400, "invalid_encryption_parameters")
    again = wallet.ask("deferred", {**transaction, "unknown": 1})
    assert (again.status_code, again.json()) == (202, asked.json())
    assert again.headers["cache-control"] == "no-store"
    (waiting,) = wallet.issuer.api("GET", "/issuances").json()["issuances"]
    decision = {"decision": "denied", "reason": "r"}
    assert wallet.issuer.api("POST", f"/issuances/{waiting['id']}/decision", json=decision).status_code == 200
    for _ in range(2):
        refused(wallet.ask("deferred", transaction), 400, "credential_request_denied")


@pytest.mark.clause("vci-11.1-event", "vci-11.1-media-type", "vci-11.1-description", "vci-11.3-unknown-id")
def test_at_the_notification_endpoint(wallet: Wallet) -> None:
    id_ = wallet.authorized().ask("credential", wallet.request()).json()["notification_id"]
    good = {"notification_id": id_, "event": "credential_accepted"}
    for body, error in (
        (b"{", "invalid_notification_request"),
        ({**good, "event": "CREDENTIAL_ACCEPTED"}, "invalid_notification_request"),
        ({"notification_id": id_}, "invalid_notification_request"),
        ({"event": "credential_accepted"}, "invalid_notification_request"),
        ({**good, "notification_id": 1}, "invalid_notification_request"),
        ({**good, "event_description": "\\"}, "invalid_notification_request"),
        ({**good, "event_description": 1}, "invalid_notification_request"),
        ({**good, "notification_id": "unknown"}, "invalid_notification_id"),
    ):
        refused(wallet.ask("notification", body), 400, error)
    bearer = {"Authorization": f"Bearer {wallet.access_token}"}
    refused(wallet.ask("notification", good, {**bearer, **FORM}), 400, "invalid_notification_request")
    for _ in range(2):
        answer = wallet.ask("notification", {**good, "unknown": 1})
        assert (answer.status_code, answer.content) == (204, b"")


@pytest.mark.parametrize("path", ["oauth/token", "oauth/par", "oauth/challenge", "nonce", "credential", "deferred"])
def test_where_nobody_is_and_how_nobody_asks(wallet: Wallet, path: str) -> None:
    for answer, status, error in (
        (wallet.issuer.client.post(f"{HOST}/agencies/nobody/{path}"), 404, "not_found"),
        (wallet.issuer.client.get(f"{CI}/{path}"), 405, "method_not_allowed"),
        (wallet.post(path, content=b"x" * 600_000), 413, "request_too_large"),
    ):
        assert (answer.status_code, answer.json()["error"]) == (status, error)
        assert set(answer.json()) == {"error", "error_description"}
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["cache-control"] == "no-store"
