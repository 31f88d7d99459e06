"""Issuance over the whole app: offers, tokens, nonces, credentials, notifications."""

import json
from datetime import datetime

import pytest

from tests.simulators import run_flow
from tests.support.issuing import HOST, LICENCE, NOW, IssuerUnderTest, issuer_anchors, sign_proofs
from wallet_core.errors import PeerRefusal
from wallet_core.formats.sd_jwt.vc import validate_sd_jwt_vc
from wallet_core.formats.sd_jwt.verifier import parse_sd_jwt, verify_sd_jwt
from wallet_core.keys.jwk import thumbprint
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.protocols.openid4vci.messages import NotificationEvent
from wallet_core.protocols.openid4vci.pending import IssuedCredentials, ProofsToSign
from wallet_core.protocols.openid4vci.wallet import notify, receive_credentials, resolve_offer
from wallet_core.trust.anchors import AnchorPurpose
from wallet_core.trust.x509 import verify_chain

KEYS = [SoftwareSigner.generate() for _ in range(3)]


def test_a_credential_from_offer_to_notification(issuer: IssuerUnderTest) -> None:
    made = issuer.offer(tx_code=True)
    assert made["uri"].startswith("openid-credential-offer://?credential_offer_uri=")
    assert made["qr_svg"].startswith("<svg")
    pending = issuer.proofs(made["uri"], KEYS, made["tx_code"])
    issued = issuer.receive(pending, KEYS)
    assert isinstance(issued, IssuedCredentials)
    run_flow(notify(issued, NotificationEvent.CREDENTIAL_ACCEPTED), issuer.send)
    credentials = issued.batches[0].credentials
    assert len(set(credentials)) == 3
    for text in credentials:
        parsed = parse_sd_jwt(text)
        trusted = verify_chain(
            parsed.x5c(), issuer_anchors(issuer.ca), purpose=AnchorPurpose.CREDENTIAL_ISSUER, at=issuer.clock.now()
        )
        vc = validate_sd_jwt_vc(verify_sd_jwt(parsed, issuer_key=trusted.public_key, now=issuer.clock.now()))
        assert vc.vct == "urn:jigap:vct:drivers-licence:1"
        assert vc.issuer == f"{HOST}/agencies/police"
        assert vc.issuer in trusted.uris
        assert thumbprint(vc.holder_key) in {thumbprint(key.public_key) for key in KEYS}
        # M12: no time in it tells copies apart or says when exactly it was issued.
        assert vc.issued_at == NOW.replace(minute=0)
        assert vc.expires_at.minute == 0
    status = issuer.api("GET", f"/offers/{made['id']}").json()
    assert status["state"] == "issued"
    assert status["issued"] == [
        {
            "credential_configuration_id": LICENCE,
            "copies": 3,
            "issued_at": NOW.isoformat(),
            "event": "credential_accepted",
            "event_description": "",
        }
    ]


def test_by_value_and_by_reference_hold_the_same_offer(sqlite_issuer: IssuerUnderTest) -> None:
    # A scheme of a wallet may begin like one that browsers run.
    assert sqlite_issuer.offer(credential_offer_endpoint="datawallet://")["uri"].startswith("datawallet://?")
    made = sqlite_issuer.offer(by_reference=False, credential_offer_endpoint="https://wallet.example/credential-offer")
    assert made["uri"].startswith("https://wallet.example/credential-offer?credential_offer=%7B")
    assert made["credential_offer_uri"] is None
    assert run_flow(resolve_offer(made["uri"]), sqlite_issuer.send).offer.to_json() == made["credential_offer"]
    referenced = sqlite_issuer.offer()
    assert sqlite_issuer.client.get(referenced["credential_offer_uri"]).json() == referenced["credential_offer"]


def test_an_offer_by_reference_is_gone_once_redeemed(sqlite_issuer: IssuerUnderTest) -> None:
    made = sqlite_issuer.offer()
    sqlite_issuer.proofs(made["uri"], KEYS[:1])
    answer = sqlite_issuer.client.get(made["credential_offer_uri"])
    assert (answer.status_code, answer.json()["error"]) == (404, "not_found")


def test_wrong_transaction_codes_are_counted_then_the_code_dies(issuer: IssuerUnderTest) -> None:
    made = issuer.offer(tx_code=True)
    wrong = "000000" if made["tx_code"] != "000000" else "111111"
    for left in (4, 3, 2, 1, None):
        with pytest.raises(PeerRefusal) as caught:
            issuer.proofs(made["uri"], KEYS[:1], wrong)
        assert (caught.value.status, caught.value.error) == (400, "invalid_grant")
        assert f"; {left or 0} " in caught.value.error_description
        assert issuer.api("GET", f"/offers/{made['id']}").json()["tries_left"] == left
    assert issuer.api("GET", f"/offers/{made['id']}").json()["state"] == "refused"
    form = {"grant_type": GRANT, "pre-authorized_code": code_of(made), "tx_code": made["tx_code"]}
    assert error_of(token(issuer, form)) == (400, "invalid_grant")


@pytest.mark.clause("vci-7.2-no-store")
def test_a_replayed_code_is_refused(issuer: IssuerUnderTest) -> None:
    made = issuer.offer()
    form = {"grant_type": GRANT, "pre-authorized_code": code_of(made)}
    first = token(issuer, form)
    assert first.status_code == 200
    assert first.headers["cache-control"] == "no-store"
    assert set(first.json()) == {"access_token", "token_type", "expires_in"}
    assert error_of(token(issuer, form)) == (400, "invalid_grant")


@pytest.mark.clause("vci-8.3.1.2-nonce-spent")
def test_a_replayed_proof_is_refused_and_a_new_nonce_helps(issuer: IssuerUnderTest) -> None:
    made = issuer.offer()
    pending = issuer.proofs(made["uri"], KEYS[:1])
    assert isinstance(issuer.receive(pending, KEYS[:1]), IssuedCredentials)
    again = issuer.receive(pending, KEYS[:1])
    assert isinstance(again, ProofsToSign)
    assert again.renewed
    # M9: the token is not one-shot.
    assert isinstance(issuer.receive(again, KEYS[:1]), IssuedCredentials)


def test_one_nonce_serves_two_requests_with_different_keys(issuer: IssuerUnderTest) -> None:
    pending = issuer.proofs(issuer.offer()["uri"], KEYS[:1])
    nonce = json.loads(decoded(pending.proofs[0].signing_input.decode().split(".")[1]))["nonce"]
    assert isinstance(issuer.receive(pending, KEYS[:1]), IssuedCredentials)
    for key, expected in ((KEYS[1], 200), (KEYS[1], 400)):
        answer = credential_request(issuer, pending.token.access_token, [proof(issuer, key, nonce)])
        assert answer.status_code == expected
    assert answer.json()["error"] == "invalid_nonce"


def test_a_request_that_fails_leaves_the_nonce_unspent(issuer: IssuerUnderTest) -> None:
    pending = issuer.proofs(issuer.offer()["uri"], KEYS[:1])
    nonce = json.loads(decoded(pending.proofs[0].signing_input.decode().split(".")[1]))["nonce"]
    good = proof(issuer, KEYS[0], nonce)
    other = proof(issuer, KEYS[1], nonce, aud=f"{HOST}/agencies/city-tax")
    assert error_of(credential_request(issuer, pending.token.access_token, [good, other])) == (400, "invalid_proof")
    assert error_of(credential_request(issuer, "wrong", [good])) == (401, "invalid_token")
    assert credential_request(issuer, pending.token.access_token, [good]).status_code == 200


def test_each_key_gets_one_credential(sqlite_issuer: IssuerUnderTest) -> None:
    pending = sqlite_issuer.proofs(sqlite_issuer.offer()["uri"], KEYS[:1])
    nonce = json.loads(decoded(pending.proofs[0].signing_input.decode().split(".")[1]))["nonce"]
    twice = [proof(sqlite_issuer, KEYS[0], nonce), proof(sqlite_issuer, KEYS[0], nonce)]
    answer = credential_request(sqlite_issuer, pending.token.access_token, twice)
    assert len(answer.json()["credentials"]) == 1


def test_tokens_and_offers_end_in_time(issuer: IssuerUnderTest) -> None:
    made = issuer.offer()
    pending = issuer.proofs(made["uri"], KEYS[:1])
    issuer.clock.advance(300)
    with pytest.raises(PeerRefusal) as caught:
        run_flow(receive_credentials(pending, sign_proofs(pending, KEYS[:1]), now=issuer.clock.now()), issuer.send)
    assert (caught.value.status, caught.value.error) == (401, "invalid_token")
    assert issuer.api("GET", f"/offers/{made['id']}").json()["state"] == "expired"
    late = issuer.offer()
    issuer.clock.advance(1800)
    assert error_of(token(issuer, {"grant_type": GRANT, "pre-authorized_code": code_of(late)})) == (
        400,
        "invalid_grant",
    )
    assert issuer.client.get(late["credential_offer_uri"]).status_code == 404


@pytest.mark.clause("oauth-6750.3-challenge")
@pytest.mark.clause("vci-6.3-unknown-code", "oauth-6750.3.1-unknown", "vci-7.2-ours", "vci-F.1-aud")
def test_nothing_of_one_agency_is_good_at_another(issuer: IssuerUnderTest) -> None:
    made = issuer.offer()
    form = {"grant_type": GRANT, "pre-authorized_code": code_of(made)}
    assert error_of(token(issuer, form, agency="city-tax")) == (400, "invalid_grant")
    pending = issuer.proofs(made["uri"], KEYS[:1])
    access = pending.token.access_token
    foreign_nonce = issuer.client.post(f"{HOST}/agencies/city-tax/nonce").json()["c_nonce"]
    own_nonce = issuer.client.post(f"{HOST}/agencies/police/nonce").json()["c_nonce"]
    # The token of one at another.
    answer = credential_request(issuer, access, [proof(issuer, KEYS[0], foreign_nonce)], agency="city-tax")
    assert error_of(answer) == (401, "invalid_token")
    assert answer.headers["www-authenticate"].startswith('Bearer error="invalid_token"')
    # A proof for one at another.
    bad = proof(issuer, KEYS[0], own_nonce, aud=f"{HOST}/agencies/city-tax")
    assert error_of(credential_request(issuer, access, [bad])) == (400, "invalid_proof")
    # A nonce of one at another.
    assert error_of(credential_request(issuer, access, [proof(issuer, KEYS[0], foreign_nonce)])) == (
        400,
        "invalid_nonce",
    )
    # A configuration of one at another.
    answer = credential_request(
        issuer, access, [proof(issuer, KEYS[0], own_nonce)], configuration="local-tax-payment-sd-jwt"
    )
    assert error_of(answer) == (400, "unknown_credential_configuration")
    # An offer of one at another.
    assert issuer.client.get(f"{HOST}/agencies/city-tax/offers/{made['id']}").status_code == 404
    # An API key of one at another.
    answer = issuer.client.get(
        f"{HOST}/api/v1/agencies/city-tax/offers", headers={"Authorization": f"Bearer {issuer.api_keys['police']}"}
    )
    assert answer.status_code == 403


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'{"credential_configuration_id":"a","credential_configuration_id":"a"}',
        b'{"a":' * 60 + b"1" + b"}" * 60,
        b"\xff\xfe",
        b'{"format":"vc+sd-jwt"}',
    ],
)
def test_bad_credential_requests(sqlite_issuer: IssuerUnderTest, body: bytes) -> None:
    pending = sqlite_issuer.proofs(sqlite_issuer.offer()["uri"], KEYS[:1])
    answer = sqlite_issuer.client.post(
        f"{HOST}/agencies/police/credential",
        content=body,
        headers={"Authorization": f"Bearer {pending.token.access_token}", "Content-Type": "application/json"},
    )
    assert error_of(answer) == (400, "invalid_credential_request")
    assert set(answer.json()) <= {"error", "error_description"}
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("path", ["oauth/token", "credential", "notification"])
def test_a_body_without_end_is_refused(sqlite_issuer: IssuerUnderTest, path: str) -> None:
    answer = sqlite_issuer.client.post(f"{HOST}/agencies/police/{path}", content=b"x" * 600_000)
    assert answer.status_code == 413
    assert answer.json()["error"] == "request_too_large"


def test_the_token_comes_before_the_shape_of_the_request(sqlite_issuer: IssuerUnderTest) -> None:
    url = f"{HOST}/agencies/police/credential"
    assert error_of(sqlite_issuer.client.post(url, content=b"{")) == (401, "invalid_token")
    query = sqlite_issuer.client.post(f"{url}?access_token=abc", content=b"{}")
    assert error_of(query) == (401, "invalid_token")


@pytest.mark.parametrize(
    "path",
    [
        "/.well-known/openid-credential-issuer/agencies/nobody",
        "/.well-known/oauth-authorization-server/agencies/nobody",
        "/.well-known/jwt-vc-issuer/agencies/nobody",
        "/.well-known/openid-credential-issuer",
        "/.well-known/openid-credential-issuer/agencies/police/",
        "/agencies/police/.well-known/unknown",
        "/agencies/police/",
        "/agencies/nobody/offers/1",
    ],
)
def test_unknown_addresses_are_404_json_without_redirect(sqlite_issuer: IssuerUnderTest, path: str) -> None:
    answer = sqlite_issuer.client.get(HOST + path, follow_redirects=False)
    assert answer.status_code == 404
    assert answer.json()["error"] == "not_found"


def test_every_well_known_document(sqlite_issuer: IssuerUnderTest) -> None:
    identifier = f"{HOST}/agencies/police"
    issuer_places = (
        "/.well-known/openid-credential-issuer/agencies/police",
        "/agencies/police/.well-known/openid-credential-issuer",
    )
    for place in issuer_places:
        document = sqlite_issuer.client.get(HOST + place).json()
        assert document["credential_issuer"] == identifier
        assert set(document["credential_configurations_supported"]) == {LICENCE}
        assert "authorization_servers" not in document
    for place in (
        "/.well-known/oauth-authorization-server/agencies/police",
        "/agencies/police/.well-known/oauth-authorization-server",
        "/agencies/police/.well-known/openid-configuration",
        "/.well-known/openid-configuration/agencies/police",
    ):
        document = sqlite_issuer.client.get(HOST + place).json()
        assert document["issuer"] == identifier
        assert document["pre-authorized_grant_anonymous_access_supported"] is True
    keys = sqlite_issuer.client.get(f"{HOST}/.well-known/jwt-vc-issuer/agencies/police").json()
    assert keys["issuer"] == identifier
    assert keys["jwks"]["keys"][0]["kid"]
    types = sqlite_issuer.client.get(f"{identifier}/types/drivers-licence").json()
    assert types["vct"] == "urn:jigap:vct:drivers-licence:1"


def test_wallets_in_a_browser_may_call(sqlite_issuer: IssuerUnderTest) -> None:
    for path in ("/agencies/police/nonce", "/agencies/police/credential", "/.well-known/jwt-vc-issuer/agencies/police"):
        answer = sqlite_issuer.client.options(HOST + path, headers={"Origin": "https://wallet.example"})
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "Authorization" in answer.headers["access-control-allow-headers"]
    answer = sqlite_issuer.client.get(
        f"{HOST}/api/v1/agencies/police/offers", headers={"Origin": "https://wallet.example"}
    )
    assert "access-control-allow-origin" not in answer.headers


def test_an_idempotent_offer_is_made_once(issuer: IssuerUnderTest) -> None:
    body = {"credential_configuration_ids": [LICENCE], "claims": {LICENCE: issuer.record()}}
    headers = {"Idempotency-Key": "order-1"}
    first = issuer.api("POST", "/offers", headers=headers, json=body)
    assert first.json()["tx_code"], "the catalogue demands a transaction code for a licence"
    assert issuer.api("POST", "/offers", headers=headers, json=body).json() == first.json()
    assert len(issuer.api("GET", "/offers").json()["offers"]) == 1
    other = issuer.api("POST", "/offers", headers=headers, json={**body, "by_reference": False})
    assert other.status_code == 422


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"grant": "authorization_code"}, "invalid_request"),
        ({"credential_configuration_ids": []}, "invalid_request"),
        ({"credential_configuration_ids": [LICENCE, LICENCE]}, "invalid_request"),
        ({"credential_configuration_ids": ["unknown"], "claims": {"unknown": {}}}, "unknown_credential_configuration"),
        ({"subject_id": "somebody"}, "invalid_request"),
        ({"claims": None}, "invalid_request"),
        ({"claims": {LICENCE: {"name": "시험용"}}}, "invalid_request"),
        ({"claims": {"other": {}}}, "invalid_request"),
        ({"credential_offer_endpoint": "javascript:alert(1)"}, "invalid_request"),
        ({"credential_offer_endpoint": "http://wallet.example/"}, "invalid_request"),
        ({"credential_offer_endpoint": "data:"}, "invalid_request"),
        ({"unknown": 1}, "invalid_request"),
        ({"tx_code": "perhaps"}, "invalid_request"),
    ],
)
def test_orders_that_are_refused(sqlite_issuer: IssuerUnderTest, change: dict, code: str) -> None:
    body = {"credential_configuration_ids": [LICENCE], "claims": {LICENCE: sqlite_issuer.record()}, **change}
    answer = sqlite_issuer.api("POST", "/offers", json=body)
    assert error_of(answer) == (400, code)
    assert answer.json()["trace_id"]
    assert sqlite_issuer.api("GET", "/offers").json()["offers"] == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"[" * 100_000,
        b'{"a":' * 50 + b"1" + b"}" * 50,
        b'{"credential_configuration_ids":["x"],"credential_configuration_ids":["x"],"subject_id":"a"}',
        b'{"credential_configuration_ids":["x"],"claims":{"x":{"name":"\\ud800"}}}',
        b'{"credential_configuration_ids":["x"],"claims":{"x":{"name":1208925819614629174706176}}}',
        b'{"credential_configuration_ids":["x"],"claims":{"x":{"name":NaN}}}',
        b'{"credential_configuration_ids":["drivers-licence-sd-jwt"],"subject_id":"\\u0000"}',
        b"\xff\xfe",
    ],
)
def test_bodies_that_nobody_should_read(issuer: IssuerUnderTest, body: bytes) -> None:
    answer = issuer.api("POST", "/offers", content=body, headers={"Content-Type": "application/json"})
    assert error_of(answer) == (400, "invalid_request")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/offers/%00", 404),
        ("/offers/%ff", 404),
        ("/offers?cursor=%00", 400),
        ("/credentials?cursor=%ED%A0%80", 400),
        ("/credentials?subject_id=%00", 400),
    ],
)
def test_addresses_that_nobody_should_ask_for(issuer: IssuerUnderTest, path: str, status: int) -> None:
    assert issuer.api("GET", path).status_code == status


@pytest.mark.parametrize("agency", ["%00", "%ff", "police%00", "a" * 5000])
def test_agencies_that_cannot_be(issuer: IssuerUnderTest, agency: str) -> None:
    for path in ("nonce", "oauth/token", "credential"):
        assert issuer.client.post(f"{HOST}/agencies/{agency}/{path}").status_code == 404
    assert issuer.client.get(f"{HOST}/.well-known/openid-credential-issuer/agencies/{agency}").status_code == 404


def test_an_order_for_nobody_is_404(sqlite_issuer: IssuerUnderTest) -> None:
    body = {"credential_configuration_ids": [LICENCE], "subject_id": "nobody"}
    assert error_of(sqlite_issuer.api("POST", "/offers", json=body)) == (404, "not_found")


def test_there_is_nothing_to_decide_about_what_is_not_there(sqlite_issuer: IssuerUnderTest) -> None:
    for id_ in ("1", "x" * 44, "..%2f"):
        answer = sqlite_issuer.api("POST", f"/issuances/{id_}/decision", json={"decision": "ready"})
        assert error_of(answer) == (404, "not_found")


def test_issued_credentials_are_listed_page_by_page(sqlite_issuer: IssuerUnderTest) -> None:
    for _ in range(2):
        issued = sqlite_issuer.receive(sqlite_issuer.proofs(sqlite_issuer.offer()["uri"], KEYS), KEYS)
        assert isinstance(issued, IssuedCredentials)
    page = sqlite_issuer.api("GET", "/credentials").json()
    assert len(page["credentials"]) == 6
    assert page["next_cursor"] is None
    after = page["credentials"][3]["credential_id"]
    assert len(sqlite_issuer.api("GET", f"/credentials?cursor={after}").json()["credentials"]) == 2
    assert sqlite_issuer.api("GET", "/credentials?subject_id=other").json()["credentials"] == []
    assert datetime.fromisoformat(page["credentials"][0]["expires_at"]) > NOW


GRANT = "urn:ietf:params:oauth:grant-type:pre-authorized_code"


def code_of(made: dict) -> str:
    return made["credential_offer"]["grants"][GRANT]["pre-authorized_code"]


def token(issuer: IssuerUnderTest, form: dict, agency: str = "police"):
    return issuer.client.post(f"{HOST}/agencies/{agency}/oauth/token", data=form)


def error_of(answer) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]


def proof(issuer: IssuerUnderTest, key: SoftwareSigner, nonce: str, aud: str = f"{HOST}/agencies/police") -> str:
    from wallet_core.jose import jws
    from wallet_core.protocols.openid4vci.proof import proof_signing_input

    data = proof_signing_input(key.public_key, audience=aud, nonce=nonce, issued_at=issuer.clock.now())
    return jws.attach_signature(data, key.sign(data))


def credential_request(
    issuer: IssuerUnderTest, access: str, proofs: list[str], *, agency="police", configuration=LICENCE
):
    return issuer.client.post(
        f"{HOST}/agencies/{agency}/credential",
        json={"credential_configuration_id": configuration, "proofs": {"jwt": proofs}},
        headers={"Authorization": f"Bearer {access}"},
    )


def decoded(part: str) -> bytes:
    from wallet_core.encoding import base64url

    return base64url.decode(part)
