"""A wallet of somebody else, written with PyJWT and jwcrypto and none of our code, at an issuer of two workers."""

import base64
import hashlib
import json
import signal
import uuid
from collections.abc import Iterator
from typing import Any

import httpx2
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwcrypto import jwe, jwk

from tests.support.issuer_program import IssuerProgram
from wallet_core.adapters.clock import SystemClock
from wallet_core.adapters.config import load_catalogue

GRANT = "urn:ietf:params:oauth:grant-type:pre-authorized_code"
LICENCE = "drivers-licence-sd-jwt"
RECORD = load_catalogue().types["drivers-licence"].example_record
OFFER = {"credential_configuration_ids": [LICENCE], "claims": {LICENCE: RECORD}, "tx_code": False}


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def public(key: ec.EllipticCurvePrivateKey, **more: Any) -> dict[str, Any]:
    numbers = key.public_key().public_numbers()
    x, y = (b64(value.to_bytes(32, "big")) for value in (numbers.x, numbers.y))
    return {"kty": "EC", "crv": "P-256", "x": x, "y": y, **more}


def signed(key: ec.EllipticCurvePrivateKey, header: dict[str, Any], claims: dict[str, Any]) -> str:
    present = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(present, key, algorithm="ES256", headers=header)


def seconds() -> int:
    return int(SystemClock().now().timestamp())


class Stranger:
    """One wallet with one DPoP key."""

    def __init__(self, program: IssuerProgram) -> None:
        self.program = program
        self.issuer = f"{program.url}/agencies/police"
        self.http = httpx2.Client(timeout=60)
        self.key = new_key()
        self.nonce = self.http.post(f"{self.issuer}/nonce").headers["dpop-nonce"]

    def dpop(self, url: str, token: str | None = None, **changes: Any) -> str:
        claims = {"jti": str(uuid.uuid4()), "htm": "POST", "htu": url, "iat": seconds(), "nonce": self.nonce}
        if token is not None:
            claims["ath"] = b64(hashlib.sha256(token.encode()).digest())
        return signed(self.key, {"typ": "dpop+jwt", "jwk": public(self.key)}, {**claims, **changes})

    def code(self, **more: Any) -> str:
        offer = self.program.api("police", "/offers", {**OFFER, **more})["credential_offer"]
        return str(offer["grants"][GRANT]["pre-authorized_code"])

    def token(self, headers: dict[str, str] | None = None, **form: str) -> httpx2.Response:
        form = {"grant_type": GRANT, "pre-authorized_code": form.pop("code", "") or self.code(), **form}
        return self.http.post(f"{self.issuer}/oauth/token", data=form, headers=headers)

    def access(self) -> str:
        return str(self.token({"DPoP": self.dpop(f"{self.issuer}/oauth/token")}).json()["access_token"])

    def c_nonce(self) -> str:
        return str(self.http.post(f"{self.issuer}/nonce").json()["c_nonce"])

    def proof(self, nonce: str, key: ec.EllipticCurvePrivateKey | None = None, **changes: Any) -> str:
        key = key or new_key()
        header = {"typ": "openid4vci-proof+jwt", "jwk": public(key, alg="ES256", use="sig")}
        return signed(key, header, {"aud": self.issuer, "iat": seconds(), "nonce": nonce, **changes})

    def request(self, nonce: str, count: int = 1, **more: Any) -> dict[str, Any]:
        proofs = {"jwt": [self.proof(nonce) for _ in range(count)]}
        return {"credential_configuration_id": LICENCE, "proofs": proofs, **more}

    def ask(self, token: str, body: Any, path: str = "/credential", media_type: str = "application/json") -> Any:
        url = f"{self.issuer}{path}"
        headers = {"Authorization": f"dpop {token}", "DPoP": self.dpop(url, token), "Content-Type": media_type}
        return self.http.post(url, content=body if isinstance(body, str) else json.dumps(body), headers=headers)

    def encrypted(self, body: dict[str, Any], **header: str) -> str:
        document = self.http.get(f"{self.program.url}/.well-known/openid-credential-issuer/agencies/police").json()
        (to,) = document["credential_request_encryption"]["jwks"]["keys"]
        protected = {"alg": "ECDH-ES", "enc": "A256GCM", "kid": to["kid"], **header}
        token = jwe.JWE(json.dumps(body).encode(), json.dumps(protected))
        token.add_recipient(jwk.JWK(**to))
        return str(token.serialize(compact=True))


@pytest.fixture(scope="module")
def wallet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stranger]:
    folder = tmp_path_factory.mktemp("strange")
    program = IssuerProgram(folder, f"sqlite:///{folder}/issuer.db")
    program.prepare("police")
    program.start()
    stranger = Stranger(program)
    yield stranger
    stranger.http.close()
    program.stop(signal.SIGKILL)


def test_manners_of_every_endpoint(wallet: Stranger) -> None:
    for path in ("oauth/par", "oauth/token", "oauth/challenge", "nonce", "credential", "deferred", "notification"):
        url = f"{wallet.issuer}/{path}"
        assert {wallet.http.request(method, url).status_code for method in ("GET", "HEAD", "PUT")} == {405}
        answer = wallet.http.post(url, headers={"Accept": "text/html"})
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["cache-control"] == "no-store"
        asked = wallet.http.options(url, headers={"Origin": "https://w.example"})
        assert asked.is_success
        assert "OAuth-Client-Attestation-PoP" in asked.headers["access-control-allow-headers"]
        for wrong, accept in ((f"{url}/", "*/*"), (url.replace("police", "nobody"), "text/html")):
            answer = wallet.http.post(wrong, headers={"Accept": accept})
            assert (answer.status_code, answer.headers["content-type"]) == (404, "application/json")
    # Attestations with their chains are large.
    assert wallet.http.post(f"{wallet.issuer}/nonce", headers={"X-Large": "a" * 15_000}).is_success


def test_addresses_in_proofs_are_compared_as_the_specification_says(wallet: Stranger) -> None:
    url = f"{wallet.issuer}/oauth/token"
    good = (url.replace("http", "HTTP"), url.replace("localhost", "LOCALHOST"), f"{url}?a=b", f"{url}#c")
    for htu in good:
        assert wallet.token({"DPoP": wallet.dpop(url, htu=htu)}).status_code == 200, htu
    for htu in (f"{url}/", url.replace("token", "par"), url.replace("police", "city"), None):
        answer = wallet.token({"DPoP": wallet.dpop(url, htu=htu)})
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_dpop_proof"), htu
    answer = wallet.token({"DPoP": wallet.dpop(url, nonce=None)})
    assert (answer.status_code, answer.json()["error"]) == (400, "use_dpop_nonce")


def test_a_crowd_behind_one_address_is_asked_for_nonces_and_still_served(wallet: Stranger) -> None:
    url, code = f"{wallet.issuer}/oauth/token", "nothing"
    for _ in range(120):
        answer = wallet.token({"DPoP": wallet.dpop(url, nonce=None)}, code=code)
        assert (answer.status_code, answer.json()["error"]) == (400, "use_dpop_nonce")
    assert wallet.token({"DPoP": wallet.dpop(url)}).status_code == 200


def test_copies_and_the_ways_to_ask_for_them(wallet: Stranger) -> None:
    token, nonce = wallet.access(), wallet.c_nonce()
    answer = wallet.ask(token, wallet.request(nonce, 10, format="dc+sd-jwt", vct="x"))
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["credentials"]) == 10
    # The same nonce is good for other keys, and the token for other requests.
    assert wallet.ask(token, wallet.request(nonce)).status_code == 200
    bad = {
        "invalid_proof": [wallet.request(nonce) | {"proofs": {"jwt": []}}],
        "invalid_nonce": [wallet.request("LarRGSbmUPYtRYO6BQ4yn8")],
        "unknown_credential_identifier": [{"credential_identifier": "x", "proofs": wallet.request(nonce)["proofs"]}],
        "unknown_credential_configuration": [wallet.request(nonce) | {"credential_configuration_id": "x"}],
        "invalid_credential_request": [
            wallet.request(nonce, credential_identifier="x"),
            wallet.request(nonce, 11),
            '{"a": 1, "a": 2}',
            "[]",
        ],
    }
    for code, bodies in bad.items():
        for body in bodies:
            answer = wallet.ask(token, body)
            assert (answer.status_code, answer.json()["error"]) == (400, code), body
            assert set(answer.json()) == {"error", "error_description"}
    url = f"{wallet.issuer}/credential"
    for headers in (
        {"Authorization": f"Bearer {token}"},
        {"Authorization": f"DPoP {token}"},
        {"Authorization": f"DPoP {token}", "DPoP": wallet.dpop(url)},
        {},
    ):
        answer = wallet.http.post(f"{url}?access_token={token}", json=wallet.request(nonce), headers=headers)
        assert answer.status_code == 401
        assert "www-authenticate" in answer.headers


def test_encrypted_messages(wallet: Stranger) -> None:
    token, nonce = wallet.access(), wallet.c_nonce()
    own = jwk.JWK.generate(kty="EC", crv="P-256", kid="own")
    wanted = {"jwk": {**json.loads(own.export_public()), "alg": "ECDH-ES"}, "enc": "A128GCM", "zip": "DEF"}
    body = wallet.request(nonce, 2, credential_response_encryption=wanted)
    answer = wallet.ask(token, wallet.encrypted(body, zip="DEF"), media_type="application/jwt")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/jwt")
    opened = jwe.JWE()
    opened.deserialize(answer.text, own)
    assert len(json.loads(opened.payload)["credentials"]) == 2
    fresh = wallet.request(nonce, credential_response_encryption=wanted)
    private = {**wanted, "jwk": {**json.loads(own.export()), "alg": "ECDH-ES"}}
    for text, media_type in (
        (json.dumps(fresh), "application/json"),
        (wallet.encrypted(fresh, kid="another"), "application/jwt"),
        (wallet.encrypted(fresh | {"credential_response_encryption": private}), "application/jwt"),
        (wallet.encrypted({"a": "x" * 3_000_000}, zip="DEF"), "application/jwt"),
    ):
        answer = wallet.ask(token, text, media_type=media_type)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_encryption_parameters")
        assert answer.headers["content-type"] == "application/json"
