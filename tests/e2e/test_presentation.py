"""Presentation over the whole app: request, Request Object, answer, result."""

from datetime import timedelta

import pytest

from tests.support.presentations import AGENCY, CLAIMS, VCT
from tests.support.verifying import BACK, HOST, VerifierUnderTest, response_code


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"request_uri_method": "post"},
        {"response_mode": "direct_post"},
        {"client_id_prefix": "x509_san_dns"},
        {"client_id_prefix": "redirect_uri"},
        {"authorization_endpoint": "https://wallet.example/authorize?lang=ko"},
    ],
)
def test_a_presentation_across_devices(verifier: VerifierUnderTest, members) -> None:
    made = verifier.ask(**members)
    assert made["qr_svg"].startswith("<svg")
    assert made["authorization_request"].startswith(members.get("authorization_endpoint", "openid4vp://?"))
    assert verifier.result(made["id"])["state"] == "requested"
    resolved = verifier.resolve(made["authorization_request"])
    unsigned = members.get("client_id_prefix") == "redirect_uri"
    assert resolved.verifier.name == (None if unsigned else "시험용 baram-rental")
    assert verifier.result(made["id"])["state"] == ("requested" if unsigned else "retrieved")
    sent = verifier.present(made["authorization_request"])
    # Protocols 24: across devices the wallet is sent to a page that knows nothing.
    assert sent.redirect_uri.startswith(f"{HOST}/continue?response_code=")
    result = verifier.result(made["id"])
    assert result["state"] == "verified"
    (credential,) = result["credentials"]["licence"]
    assert credential == {
        "format": "dc+sd-jwt",
        "type": VCT,
        "claims": {"name": CLAIMS["name"], "age_over_19": True},
        "issuer": AGENCY,
        "issuer_name": verifier.world.agency.name,
        "status": "none",
        "status_checked_at": None,
        "valid_until": (verifier.clock.now() + timedelta(days=365)).isoformat(),
    }
    assert [check["ok"] for check in result["checks"]] == [True] * 10


def test_a_presentation_on_the_same_device(verifier: VerifierUnderTest) -> None:
    made = verifier.ask(flow="same_device", redirect_uri=f"{BACK}?shop=1")
    sent = verifier.present(made["authorization_request"])
    assert sent.redirect_uri.startswith(f"{BACK}?shop=1&response_code=")
    # No claim before the code is redeemed.
    assert verifier.result(made["id"])["credentials"] is None
    assert verifier.result(made["id"])["state"] == "answered"
    redeemed = verifier.api("POST", f"/{made['id']}/redeem", json={"response_code": response_code(sent.redirect_uri)})
    assert redeemed.status_code == 200
    assert redeemed.json()["credentials"]["licence"][0]["claims"]["name"] == CLAIMS["name"]
    again = verifier.api("POST", f"/{made['id']}/redeem", json={"response_code": response_code(sent.redirect_uri)})
    assert again.status_code == 409
    assert verifier.result(made["id"])["state"] == "verified"
