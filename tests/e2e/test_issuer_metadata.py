"""What the issuer says of itself, and how its endpoints behave towards any HTTP client."""

import re
from typing import Any

import httpx2
import pytest

from tests.simulators import run_flow
from tests.support.issuer_program import IssuerProgram
from tests.support.issuing import HOST, IssuerUnderTest, issuer_anchors
from wallet_core.errors import UntrustedError
from wallet_core.http import HttpResponse
from wallet_core.jose import jws
from wallet_core.protocols.openid4vci.metadata import parse_credential_issuer_metadata
from wallet_core.protocols.openid4vci.resolving import resolve_credential_issuer
from wallet_core.protocols.openid4vci.signed_metadata import MetadataTrust, metadata_request, read_metadata
from wallet_core.trust.anchors import TrustAnchors
from wallet_core.types import CredentialIssuerId

CI = CredentialIssuerId(f"{HOST}/agencies/police")
METADATA = f"{HOST}/.well-known/openid-credential-issuer/agencies/police"
POSTED = ("oauth/token", "oauth/par", "oauth/challenge", "nonce", "credential", "deferred", "notification")


def fetched(issuer: IssuerUnderTest, **headers: str) -> Any:
    return issuer.client.get(METADATA, headers=headers)


def test_signed_metadata_say_the_same_as_plain_ones(sqlite_issuer: IssuerUnderTest) -> None:
    plain = fetched(sqlite_issuer, Accept="application/json")
    assert plain.headers["content-type"] == "application/json"
    answer = fetched(sqlite_issuer, Accept=metadata_request(METADATA).headers["Accept"])
    assert answer.headers["content-type"] == "application/jwt"
    document = read_metadata(
        HttpResponse(200, {"content-type": "application/jwt"}, answer.content),
        credential_issuer=CI,
        anchors=issuer_anchors(sqlite_issuer.ca),
        at=sqlite_issuer.clock.now(),
    )
    assert document == plain.json()
    assert parse_credential_issuer_metadata(document, credential_issuer=CI).deferred_endpoint == f"{CI}/deferred"
    trust = MetadataTrust(issuer_anchors(sqlite_issuer.ca), sqlite_issuer.clock.now())
    assert run_flow(resolve_credential_issuer(CI, trust=trust), sqlite_issuer.send).document == document
    with pytest.raises(UntrustedError):
        run_flow(resolve_credential_issuer(CI, trust=MetadataTrust(TrustAnchors([]), trust.at)), sqlite_issuer.send)
    header = jws.parse(answer.text).header
    assert (header["typ"], len(header["x5c"])) == ("openidvci-issuer-metadata+jwt", 1)


@pytest.mark.clause("vci-12.2.2-language")
def test_both_languages_the_one_asked_for_first(sqlite_issuer: IssuerUnderTest) -> None:
    for asked, first in (
        ("", "ko"),
        ("en-US,en;q=0.9", "en"),
        ("ko", "ko"),
        ("fr", "ko"),
        ("en;q=0.1, ko;q=0.9", "ko"),
    ):
        answer = fetched(sqlite_issuer, **{"Accept-Language": asked})
        second = "ko" if first == "en" else "en"
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["content-language"] == f"{first}, {second}"
        assert {"accept", "accept-language"} <= set(re.split(r"[,\s]+", answer.headers["vary"].lower()))
        document = answer.json()
        assert [each["locale"] for each in document["display"]] == [first, second]
        for configuration in document["credential_configurations_supported"].values():
            shown = configuration["credential_metadata"]
            assert [each["locale"] for each in shown["display"]] == [first, second]
            assert [each["locale"] for each in shown["claims"][0]["display"]] == [first, second]


def test_metadata_may_be_kept_for_a_minute_and_secrets_not_at_all(sqlite_issuer: IssuerUnderTest) -> None:
    assert fetched(sqlite_issuer).headers["cache-control"] == "public, max-age=60"
    for path in POSTED:
        assert sqlite_issuer.client.post(f"{CI}/{path}").headers["cache-control"] == "no-store"


def test_a_wallet_in_a_browser_may_call_every_endpoint(sqlite_issuer: IssuerUnderTest) -> None:
    addresses = [METADATA, *(f"{CI}/{path}" for path in POSTED)]
    addresses.append(METADATA.replace("openid-credential-issuer", "oauth-authorization-server"))
    for address in addresses:
        preflight = sqlite_issuer.client.options(
            address, headers={"Origin": "https://wallet.example", "Access-Control-Request-Method": "POST"}
        )
        assert preflight.status_code == 204
        assert preflight.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in preflight.headers
        allowed = preflight.headers["access-control-allow-headers"].lower()
        assert all(
            name in allowed for name in ("authorization", "dpop", "content-type", "oauth-client-attestation-pop")
        )
        answer = sqlite_issuer.client.post(address, headers={"Origin": "https://wallet.example"})
        assert answer.headers["access-control-allow-origin"] == "*"
        exposed = answer.headers["access-control-expose-headers"]
        assert all(name in exposed for name in ("DPoP-Nonce", "OAuth-Client-Attestation-Challenge", "WWW-Authenticate"))


def test_nothing_redirects_and_what_is_unknown_is_404_json(sqlite_issuer: IssuerUnderTest) -> None:
    browser = {"Accept": "text/html,*/*;q=0.8"}
    for method, address in (
        ("GET", METADATA + "/"),
        ("GET", METADATA.replace("police", "nobody")),
        ("GET", f"{HOST}/.well-known/openid-credential-issuer"),
        ("GET", f"{HOST}/.well-known/unknown/agencies/police"),
        ("POST", f"{HOST}/agencies/nobody/credential"),
        ("POST", f"{HOST}/agencies/nobody/deferred"),
        ("POST", f"{HOST}/agencies/nobody/nonce"),
    ):
        answer = sqlite_issuer.client.request(method, address, headers=browser, follow_redirects=False)
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/json")
        assert set(answer.json()) == {"error", "error_description"}
    for path in POSTED:
        slash = sqlite_issuer.client.post(f"{CI}/{path}/", follow_redirects=False)
        assert slash.status_code == 404
        assert sqlite_issuer.client.get(f"{CI}/{path}", follow_redirects=False).status_code == 405


def test_answers_carry_the_date_and_commands_reach_the_same_issuer(tmp_path: Any) -> None:
    program = IssuerProgram(tmp_path, f"sqlite:///{tmp_path}/issuer.db")
    program.prepare("police")
    program.start()
    try:
        for path in POSTED:
            answer = httpx2.post(f"{program.url}/agencies/police/{path}")
            assert len(answer.headers.get_list("date")) == 1
        # M6: attestation with its chain, proof of possession and DPoP proof fit into the headers of a request.
        large = {"OAuth-Client-Attestation": "a" * 15_000}
        answer = httpx2.post(f"{program.url}/agencies/police/oauth/par", headers=large)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
        large["OAuth-Client-Attestation-PoP"] = ""
        answer = httpx2.post(f"{program.url}/agencies/police/oauth/par", headers=large, data={"client_id": "c"})
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client_attestation")
        # M6, M2: what the issuer is called is configured, and nobody changes it with a header.
        place = f"{program.url}/.well-known/openid-credential-issuer/agencies/police"
        named = httpx2.get(place, headers={"Host": "evil.example", "X-Forwarded-Host": "evil.example"})
        assert named.status_code in {200, 400, 404, 421}
        assert "evil.example" not in named.text
        assert program.run("issuer", "issuance", "list", "--agency", "police") == {"issuances": []}
        assert program.run("issuer", "agency", "encryption", "police", "required")["encrypted"] is True
    finally:
        program.stop()
