import os
from datetime import UTC, datetime, timedelta

import pytest

from wallet_core.errors import (
    InvalidRequest,
    InvalidTarget,
    InvalidToken,
    MalformedError,
    PeerRefusal,
    UnsupportedGrantType,
)
from wallet_core.http import HttpResponse
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.protocols.oauth2.answers import parse_answer, peer_refusal
from wallet_core.protocols.oauth2.client import ClientInstance, ClientSession
from wallet_core.protocols.oauth2.form import parse_form
from wallet_core.protocols.oauth2.identifiers import (
    parse_identifier,
    parse_url,
    parse_wallet_endpoint,
    well_known_location,
)
from wallet_core.protocols.oauth2.metadata import (
    create_authorization_server_metadata,
    metadata_locations,
    parse_authorization_server_metadata,
)
from wallet_core.protocols.oauth2.token import (
    AccessToken,
    TokenRequest,
    create_token_response,
    parse_access_token,
    parse_token_request,
    parse_token_response,
)

FORM = "application/x-www-form-urlencoded"
GRANT = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Apre-authorized_code"
CI = "https://issuer.example/agencies/police"


def test_parameters_of_old_drafts_are_ignored():
    body = f"{GRANT}&pre-authorized_code=c&user_pin=1&client_id=x&tx_code=".encode()
    assert parse_token_request(parse_form(FORM, body), issuer=CI) == TokenRequest("c", None)


@pytest.mark.clause(
    "oauth-6749.3.2-form", "oauth-6749.3.2-once", "oauth-6749.5.2-grant", "oauth-6749.5.2-no-grant", "vci-6.1-code"
)
@pytest.mark.parametrize(
    ("media_type", "body", "error"),
    [
        ("application/json", f"{GRANT}&pre-authorized_code=c", InvalidRequest),
        (FORM, "", InvalidRequest),
        (FORM, "pre-authorized_code=c", InvalidRequest),
        (FORM, GRANT, InvalidRequest),
        (FORM, f"{GRANT}&pre-authorized_code=", InvalidRequest),
        (FORM, f"{GRANT}&pre-authorized_code=c&pre-authorized_code=d", InvalidRequest),
        (FORM, f"{GRANT}&{GRANT}&pre-authorized_code=c", InvalidRequest),
        (FORM, f"{GRANT}&pre-authorized_code=%FF", InvalidRequest),
        (FORM, f"{GRANT}&pre-authorized_code=é", InvalidRequest),
        (FORM, f"{GRANT}&pre-authorized_code={'c' * 20_000}", InvalidRequest),
        (FORM, "&".join(f"a{n}=1" for n in range(100)), InvalidRequest),
        (FORM, f"{GRANT}&pre-authorized_code=c&resource=y", InvalidTarget),
        (FORM, "grant_type=password&username=a", UnsupportedGrantType),
        (FORM, "grant_type=client_credentials", UnsupportedGrantType),
    ],
)
def test_token_requests_that_are_refused(media_type, body, error):
    with pytest.raises(error) as caught:
        parse_token_request(parse_form(media_type, body.encode()), issuer=CI)
    assert caught.value.http_status == 400


@pytest.mark.clause("vci-13.10-lifetime")
def test_a_bearer_token_lives_at_most_five_minutes():
    assert create_token_response("t") == {"access_token": "t", "token_type": "Bearer", "expires_in": 300}
    with pytest.raises(ValueError, match="300"):
        create_token_response("t", lifetime=timedelta(seconds=301))


@pytest.mark.parametrize("header", ["Bearer abc", "bearer abc", "BEARER a-._~+/="])
def test_bearer_tokens(header):
    assert parse_access_token([header]) == AccessToken("Bearer", header.split(" ")[1])


@pytest.mark.clause("oauth-6750.3-challenge")
@pytest.mark.clause("oauth-6750.2-one", "oauth-6750.2.1-bearer")
@pytest.mark.parametrize(
    "headers", [[], [""], ["Bearer"], ["Bearer "], ["Bearer a b"], ["abc"], ["Bearer a", "Bearer a"]]
)
def test_authorization_headers_that_are_refused(headers):
    with pytest.raises(InvalidToken) as caught:
        parse_access_token(headers)
    assert caught.value.http_status == 401
    wanted = 'Bearer error="invalid_token"' if headers else "Bearer"
    assert caught.value.headers["WWW-Authenticate"].startswith(wanted)


@pytest.mark.clause("oauth-6750.3.1-no-token")
def test_only_who_sends_something_is_told_what_is_wrong_with_it():
    challenges = []
    for headers in ([], ["Basic YTpi"]):
        with pytest.raises(InvalidToken) as refused:
            parse_access_token(headers)
        challenges.append(refused.value.headers["WWW-Authenticate"])
    assert challenges[0] == "Bearer"
    assert challenges[1].startswith('Bearer error="invalid_token", ')


def test_our_metadata_name_what_is_served_and_nothing_else():
    document = create_authorization_server_metadata(CI, scopes=["a"])
    parsed = parse_authorization_server_metadata(document, issuer=CI)
    assert parsed.anonymous_pre_authorized
    assert parsed.iss_promised
    assert parse_authorization_server_metadata(parsed.to_json(), issuer=CI) == parsed
    assert set(document) == {
        "issuer",
        "authorization_endpoint",
        "authorization_details_types_supported",
        "authorization_response_iss_parameter_supported",
        "code_challenge_methods_supported",
        "pushed_authorization_request_endpoint",
        "require_pushed_authorization_requests",
        "response_modes_supported",
        "response_types_supported",
        "token_endpoint",
        "grant_types_supported",
        "token_endpoint_auth_methods_supported",
        "scopes_supported",
        "pre-authorized_grant_anonymous_access_supported",
    }


def test_a_server_that_says_nothing_of_client_authentication_takes_public_clients():
    document = create_authorization_server_metadata(CI, scopes=[])
    del document["token_endpoint_auth_methods_supported"]
    server = parse_authorization_server_metadata(document, issuer=CI)
    client = ClientInstance("wallet", "https://w.example/cb", SoftwareSigner.generate(), "an.attest.ation")
    talk = ClientSession(client, server, datetime(2026, 11, 22, tzinfo=UTC), os.urandom)
    request = next(talk.post_form(server.token_endpoint, {"grant_type": "x"}))
    assert b"client_id=wallet" in request.body
    assert "OAuth-Client-Attestation" not in request.headers


def test_locations_of_server_metadata():
    assert metadata_locations(CI) == (
        "https://issuer.example/.well-known/oauth-authorization-server/agencies/police",
        f"{CI}/.well-known/oauth-authorization-server",
        f"{CI}/.well-known/openid-configuration",
        "https://issuer.example/.well-known/openid-configuration/agencies/police",
    )
    assert well_known_location("https://h.example/a/", "x") == "https://h.example/.well-known/x/a"
    assert well_known_location("https://h.example/a/", "x", keep_final_slash=True).endswith("/a/")


@pytest.mark.clause("oauth-8414.3.3-issuer")
@pytest.mark.parametrize(
    "change",
    [
        {"issuer": "https://other.example"},
        {"issuer": None},
        {"token_endpoint": "x"},
        {"grant_types_supported": "x"},
        {"pre-authorized_grant_anonymous_access_supported": "yes"},
    ],
)
def test_server_metadata_that_are_refused(change):
    document = create_authorization_server_metadata(CI, scopes=[])
    with pytest.raises(MalformedError):
        parse_authorization_server_metadata({**document, **change}, issuer=CI)


@pytest.mark.parametrize(
    "url", ["https://a.example", "https://a.example:8443/x?y=z", "http://localhost:8100/a", "http://[::1]/",
     f"https://{'a' * 63}.example./"],
)  # fmt: skip
def test_urls(url):
    assert parse_url(url, what="url") == url


@pytest.mark.clause("vci-12.2.1-https")
@pytest.mark.parametrize(
    "url",
    [None, 1, "", "a", "http://a.example", "https://", "https://u@a.example", "https://a.example#f", "https://a b",
     "https://a.example:port", "https://[", "//a.example", "https://a.example/\n", "javascript:alert(1)",
     "https://" + "a" * 3000, f"https://{'a' * 64}.example/", "https://.example/", "https://a..example/", "https://./"],
)  # fmt: skip
def test_what_is_no_url_here(url):
    with pytest.raises(MalformedError):
        parse_url(url, what="url")


@pytest.mark.parametrize(
    "endpoint",
    [
        "openid4vp://",
        "haip-vp:",
        "datawallet://",
        "filewallet://",
        "aboutme:",
        "httpd-wallet://",
        "https://a.example/x",
    ],
)
def test_where_a_wallet_is_called(endpoint):
    assert parse_wallet_endpoint(endpoint, what="endpoint") == endpoint


@pytest.mark.parametrize(
    "endpoint",
    [None, 7, "", "javascript:", "data:", "vbscript:", "file://", "blob:", "about:", "http:", "https://", "Wallet:",
     "a:", "7wallet:", "wallet:/x", "wallet://\n", "http://wallet.example/"],
)  # fmt: skip
def test_where_no_wallet_is_called(endpoint):
    with pytest.raises(MalformedError):
        parse_wallet_endpoint(endpoint, what="endpoint")


@pytest.mark.clause("vci-12.2.1-no-query")
def test_an_identifier_has_no_query():
    with pytest.raises(MalformedError):
        parse_identifier("https://a.example/?x", what="issuer")


def test_a_refusal_carries_what_the_peer_said_made_safe():
    answer = HttpResponse(400, {}, b'{"error":"invalid_grant","error_description":"say \\"no\\" \\u00e9"}')
    refusal = peer_refusal(answer, who="the server")
    assert (refusal.status, refusal.error, refusal.error_description) == (400, "invalid_grant", "say 'no' ?")
    assert refusal.description == "the server answered 400 invalid_grant: say 'no' ?"


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"error":5}'])
def test_a_refusal_without_a_proper_body(body):
    with pytest.raises(PeerRefusal) as caught:
        parse_token_response(HttpResponse(502, {}, body))
    assert (caught.value.status, caught.value.error) == (502, "")


@pytest.mark.clause("oauth-6749.5.1-json")
def test_an_answer_is_json_by_its_type():
    with pytest.raises(MalformedError):
        parse_answer(HttpResponse(200, {"content-type": "text/html"}, b"{}"), who="x")
