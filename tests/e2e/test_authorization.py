"""The authorization code flow over the whole app, with a raw client: PAR, login, consent, token, credential."""

from pathlib import Path
from urllib.parse import urlencode

import pytest

from issuer.issuance.use_cases.authorization import approve_authorization, begin_authorization
from tests.support.authorizing import CALLBACK, LICENCE, SUBJECT, WALLET, Town, answer_of, prove_clients, start_town
from tests.support.issuing import HOST
from tests.support.simultaneous import at_once
from wallet_core.encoding import base64url, strict_json
from wallet_core.errors import InvalidRequest
from wallet_core.keys.jwk import public_jwk
from wallet_core.keys.signer import SoftwareSigner

CI = f"{HOST}/agencies/police"


@pytest.fixture
def town(tmp_path: Path, database_url: str) -> Town:
    found = start_town(tmp_path, database_url)
    yield found
    for each in (found.client, *found.browsers):
        each.close()
    found.under_test.issuer.database.close()


def proof(town: Town, key: SoftwareSigner) -> str:
    nonce = town.client.post(f"{CI}/nonce").json()["c_nonce"]
    header = {"typ": "openid4vci-proof+jwt", "alg": "ES256", "jwk": public_jwk(key.public_key)}
    payload = {"aud": CI, "iat": int(town.under_test.clock.now().timestamp()), "nonce": nonce}
    parts = ".".join(base64url.encode(strict_json.dumps(part)) for part in (header, payload))
    return f"{parts}.{base64url.encode(key.sign(parts.encode()))}"


def ask(town: Town, token: str, **named: str) -> object:
    body = {**named, "proofs": {"jwt": [proof(town, SoftwareSigner.generate())]}}
    return town.client.post(f"{CI}/credential", json=body, headers={"authorization": f"Bearer {token}"})


def test_a_wallet_begins_and_ends_with_a_credential(town: Town) -> None:
    answer = town.authorize()
    assert set(answer) == {"code", "iss", "state"}
    assert (answer["iss"], answer["state"]) == (CI, "the state")
    got = town.token(code=answer["code"])
    assert got.status_code == 200
    assert got.headers["cache-control"] == "no-store"
    body = got.json()
    assert set(body) == {"access_token", "token_type", "expires_in", "scope"}  # a public client gets no refresh token
    assert (body["token_type"], body["expires_in"]) == ("Bearer", 300)
    issued = ask(town, body["access_token"], credential_configuration_id=LICENCE)
    assert issued.status_code == 200, issued.text
    listed = town.under_test.api("GET", "/credentials").json()["credentials"]
    assert [each["subject_id"] for each in listed] == [SUBJECT]


def test_details_are_asked_for_by_identifier(town: Town) -> None:
    details = strict_json.dumps_text([{"type": "openid_credential", "credential_configuration_id": LICENCE, "x": 1}])
    answer = town.authorize(scope=None, authorization_details=details)
    body = town.token(code=answer["code"]).json()
    (detail,) = body["authorization_details"]
    assert detail["credential_configuration_id"] == LICENCE
    (identifier,) = detail["credential_identifiers"]
    # Either name is clear where there is one identifier (decision 0111).
    assert ask(town, body["access_token"], credential_configuration_id=LICENCE).status_code == 200
    unknown = ask(town, body["access_token"], credential_identifier="other.own")
    assert (unknown.status_code, unknown.json()["error"]) == (400, "unknown_credential_identifier")
    assert ask(town, body["access_token"], credential_identifier=identifier).status_code == 200


@pytest.mark.clause("oauth-6749.5.1-scope")
def test_without_par_the_browser_brings_the_request(town: Town) -> None:
    browser = town.browser()
    browser.open(**town.parameters(scope=f"unknown {LICENCE}"))
    browser.log_in()
    answer = browser.consent()
    assert town.token(code=answer["code"]).json()["scope"] == LICENCE


@pytest.mark.clause("vci-5.1.3-issuer-state-unknown")
def test_an_offer_that_asks_to_log_in(town: Town) -> None:
    offer = town.under_test.api(
        "POST",
        "/offers",
        json={"credential_configuration_ids": [LICENCE], "grant": "authorization_code", "subject_id": SUBJECT},
    )
    assert offer.status_code == 201, offer.text
    made = offer.json()
    assert made["tx_code"] is None
    grants = made["credential_offer"]["grants"]
    assert list(grants) == ["authorization_code"]
    state = grants["authorization_code"]["issuer_state"]
    # The issuer_state is no pre-authorized code.
    as_code = town.client.post(
        f"{CI}/oauth/token",
        data={"grant_type": "urn:ietf:params:oauth:grant-type:pre-authorized_code", "pre-authorized_code": state},
    )
    assert as_code.json()["error"] == "invalid_grant"
    # Somebody else who sends it gets nothing of it.
    other = town.put("p03", name="김시험", birth_date="1980-02-03")
    pushed = town.push(issuer_state=state).json()
    browser = town.browser()
    browser.open(client_id=WALLET, request_uri=pushed["request_uri"])
    browser.log_in(other)
    assert "somebody else" in browser.text or "다른 사람" in browser.text
    assert answer_of(browser.post("/agencies/police/login/cancel"))["error"] == "access_denied"
    answer = town.authorize(issuer_state=state)
    assert town.token(code=answer["code"]).status_code == 200
    assert town.under_test.api("GET", f"/offers/{made['id']}").json()["state"] == "authorized"
    again = town.push(issuer_state=state)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_request")


@pytest.mark.clause("vci-5.1.3-injected")
def test_even_a_login_that_let_somebody_by_gives_them_nothing(town: Town) -> None:
    body = {"credential_configuration_ids": [LICENCE], "grant": "authorization_code", "subject_id": SUBJECT}
    made = town.under_test.api("POST", "/offers", json=body).json()
    town.put("p03", name="김시험", birth_date="1980-02-03")
    query = town.parameters(issuer_state=made["credential_offer"]["grants"]["authorization_code"]["issuer_state"])
    issuer = town.under_test.issuer
    agency = issuer.agency("police")
    begun = begin_authorization(issuer.issuance, agency, urlencode(query).encode())
    assert isinstance(begun, str)
    with pytest.raises(InvalidRequest):
        approve_authorization(issuer.issuance, agency, begun, subject_id="p03")
    assert "code=" in approve_authorization(issuer.issuance, agency, begun, subject_id=SUBJECT)


def test_an_offer_for_everybody_is_taken_once(town: Town) -> None:
    body = {"credential_configuration_ids": [LICENCE], "grant": "authorization_code"}
    made = town.under_test.api("POST", "/offers", json=body).json()
    state = made["credential_offer"]["grants"]["authorization_code"]["issuer_state"]
    first, second = town.authorize(issuer_state=state), town.authorize(issuer_state=state)
    token = town.token(code=first["code"]).json()["access_token"]
    assert ask(town, token, credential_configuration_id=LICENCE).status_code == 200
    late = town.token(code=second["code"])
    assert (late.status_code, late.json()["error"]) == (400, "invalid_grant")
    for wrong in ({"tx_code": True}, {"claims": {LICENCE: {}}}):
        assert town.under_test.api("POST", "/offers", json={**body, **wrong}).status_code == 400


@pytest.mark.clause("oauth-6749.4.1.2-once")
def test_a_replayed_code_kills_what_was_given_for_it(town: Town) -> None:
    code = town.authorize()["code"]
    token = town.token(code=code).json()["access_token"]
    again = town.token(code=code)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    dead = ask(town, token, credential_configuration_id=LICENCE)
    assert (dead.status_code, dead.json()["error"]) == (401, "invalid_token")
    assert town.token(code=code).json()["error"] == "invalid_grant"


def test_of_simultaneous_redemptions_one_wins(town: Town) -> None:
    code = town.authorize()["code"]
    answers = at_once(4, lambda: town.token(code=code).status_code)
    assert sorted(answers) == [200, 400, 400, 400]


def test_of_two_browsers_with_one_request_uri_one_wins(town: Town) -> None:
    uri = town.push().json()["request_uri"]
    browsers = [town.browser(), town.browser()]
    for each in browsers:  # opening does not spend it
        assert each.open(client_id=WALLET, request_uri=uri).status_code == 200
        each.log_in()
    waiting = list(browsers)

    def decide() -> int:
        return waiting.pop().post("/agencies/police/login/consent", {"decision": "yes"}).status_code

    assert sorted(at_once(2, decide)) == [303, 404]
    late = town.browser().open(client_id=WALLET, request_uri=uri)
    assert late.status_code == 400
    assert "location" not in late.headers


@pytest.mark.clause(
    "oauth-9449.7.2-bearer", "oauth-6749.6-unknown", "oauth-6749.4.1.3-named", "oauth-FAPI2.5.3.2.1-no-rotation"
)
def test_a_bound_client_gets_a_longer_token_and_refreshes_it(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    prove_clients(monkeypatch)
    keys = {"x-instance": "instance", "x-dpop": "dpop"}
    code = town.authorize(headers=keys)["code"]
    for wrong in ({}, {"x-instance": "instance"}, {**keys, "x-dpop": "x"}, {**keys, "x-instance": "x"}):
        assert town.token(code=code, headers=wrong).json()["error"] == "invalid_grant"
    body = town.token(code=code, headers=keys).json()
    assert (body["token_type"], body["expires_in"]) == ("DPoP", 1800)
    # A bound token is no Bearer token.
    as_bearer = ask(town, body["access_token"], credential_configuration_id=LICENCE)
    assert (as_bearer.status_code, as_bearer.json()["error"]) == (401, "invalid_token")
    refresh = {"grant_type": "refresh_token", "refresh_token": body["refresh_token"]}
    for fields, headers in (
        (refresh, {}),
        (refresh, {**keys, "x-dpop": "x"}),
        (refresh, {**keys, "x-instance": "x"}),
        ({**refresh, "client_id": "https://other.example/client"}, keys),
        ({**refresh, "refresh_token": "wrong"}, keys),
    ):
        refused = town.token(headers=headers, **fields)
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    nameless = town.token(headers=keys, **refresh, client_id=None)
    assert (nameless.status_code, nameless.json()["error"]) == (401, "invalid_client")
    town.under_test.clock.advance(30 * 24 * 3600)
    for _ in range(2):  # not rotated: the same works again
        fresh = town.token(headers=keys, **refresh).json()
        assert set(fresh) == {"access_token", "token_type", "expires_in"}
    town.under_test.clock.advance(61 * 24 * 3600)
    assert town.token(headers=keys, **refresh).json()["error"] == "invalid_grant"


def details(configuration: str) -> str:
    return strict_json.dumps_text([{"type": "openid_credential", "credential_configuration_id": configuration}])


@pytest.mark.clause("oauth-6749.6-scope", "vci-6.1-subset", "vci-6.2-details", "oauth-8707.2.2-resource")
def test_a_refresh_asks_for_no_more_than_was_granted(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    prove_clients(monkeypatch)
    keys = {"x-instance": "instance", "x-dpop": "dpop"}
    body = town.token(code=town.authorize(headers=keys)["code"], headers=keys).json()
    refresh = {"grant_type": "refresh_token", "refresh_token": body["refresh_token"]}
    for more, error in (
        ({"scope": "local-tax-payment-sd-jwt"}, "invalid_scope"),
        ({"scope": f"{LICENCE} nothing"}, "invalid_scope"),
        ({"scope": 'a"b'}, "invalid_scope"),
        ({"authorization_details": "nothing"}, "invalid_authorization_details"),
        ({"authorization_details": details("local-tax-payment-sd-jwt")}, "invalid_authorization_details"),
        ({"resource": "https://other.example"}, "invalid_target"),
    ):
        refused = town.token(headers=keys, **refresh, **more)
        assert (refused.status_code, refused.json()["error"]) == (400, error)
    assert town.token(headers=keys, **refresh, scope=LICENCE, resource=CI).json()["scope"] == LICENCE
    for _ in range(2):
        named = town.token(headers=keys, **refresh, authorization_details=details(LICENCE)).json()
        (detail,) = named["authorization_details"]
        assert detail["credential_configuration_id"] == LICENCE
        assert len(detail["credential_identifiers"]) == 1


@pytest.mark.clause("oauth-6749.5.2-basic")
def test_a_client_with_a_password_is_told_that_there_are_none(town: Town) -> None:
    for answer in (
        town.token(code="any", headers={"authorization": "Basic Zm9vOmJhcg=="}),
        town.push(headers={"authorization": "basic Zm9vOmJhcg=="}),
    ):
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
        assert answer.headers["www-authenticate"].startswith("Basic ")


def test_a_browser_of_an_unknown_wallet_is_not_asked_for_a_password(town: Town) -> None:
    parameters = {**town.parameters(), "client_id": "https://nobody.example"}
    answer = town.client.get(f"{CI}/authorize", params=parameters, follow_redirects=False)
    assert answer.status_code == 400
    assert "location" not in answer.headers


def test_what_is_not_on_record_is_not_granted(town: Town) -> None:
    pushed = town.push(scope=f"{LICENCE} drivers-licence-mdoc").json()  # no document signer: not issued, ignored
    browser = town.browser()
    browser.open(client_id=WALLET, request_uri=pushed["request_uri"])
    other = town.put("p09", configuration="local-tax-payment-sd-jwt", agency="city-tax")
    browser.log_in(other)
    # Nobody of that name at the police: nothing but the way back.
    assert answer_of(browser.post("/agencies/police/login/cancel"))["error"] == "access_denied"


@pytest.mark.parametrize("secret", ["code", "request_uri", "token"])
def test_nothing_of_one_agency_is_good_at_another(town: Town, secret: str) -> None:
    town.put(SUBJECT, configuration="local-tax-payment-sd-jwt", agency="city-tax")
    if secret == "request_uri":
        uri = town.push().json()["request_uri"]
        answer = town.browser().open(agency="city-tax", client_id=WALLET, request_uri=uri)
        assert answer.status_code == 400
        assert "location" not in answer.headers
        return
    code = town.authorize()["code"]
    if secret == "code":
        answer = town.token(agency="city-tax", code=code)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
        assert town.token(code=code).status_code == 200  # and is not spent by that
        return
    token = town.token(code=code).json()["access_token"]
    headers = {"authorization": f"Bearer {token}"}
    answer = town.client.post(f"{HOST}/agencies/city-tax/credential", json={}, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")


def test_a_login_of_one_agency_is_none_at_another(town: Town) -> None:
    browser = town.browser()
    browser.open(**town.parameters())
    assert browser.get("/agencies/police/login").status_code == 200
    assert browser.get("/agencies/city-tax/login").status_code == 404


def test_the_authorization_endpoint_is_for_browsers_only(town: Town) -> None:
    answer = town.client.get(f"{CI}/authorize", params=town.parameters(), follow_redirects=False)
    assert answer.status_code == 303
    assert "access-control-allow-origin" not in answer.headers
    assert answer.headers["cache-control"] == "no-store"
    (cookie,) = [each for each in answer.headers.get_list("set-cookie") if "login" in each]
    assert cookie.startswith("__Host-jigap-issuer-login=")
    assert all(part in cookie for part in ("HttpOnly", "Secure", "Path=/", "SameSite=lax"))
    assert "Domain" not in cookie


def test_metadata_of_the_server(town: Town) -> None:
    document = town.client.get(f"{HOST}/.well-known/oauth-authorization-server/agencies/police").json()
    assert document["authorization_endpoint"] == f"{CI}/authorize"
    assert document["pushed_authorization_request_endpoint"] == f"{CI}/oauth/par"
    assert document["require_pushed_authorization_requests"] is False
    assert document["response_types_supported"] == ["code"]
    assert "authorization_code" in document["grant_types_supported"]
    assert document["authorization_response_iss_parameter_supported"] is True
    assert CALLBACK not in str(document)
