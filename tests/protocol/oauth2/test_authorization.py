"""Authorization requests and responses, redirect URIs, PKCE, PAR and details, read on both sides."""

import os
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from wallet_core.errors import (
    InvalidAuthorizationDetails,
    InvalidRequest,
    InvalidRequestUri,
    InvalidScope,
    InvalidTarget,
    MalformedError,
    PeerRefusal,
    RequestNotSupported,
    UnsupportedResponseType,
    UntrustedError,
)
from wallet_core.http import HttpResponse
from wallet_core.protocols.oauth2 import par
from wallet_core.protocols.oauth2.authorization import (
    AuthorizationRequest,
    create_code_url,
    create_error_url,
    parse_authorization_request,
    parse_client_id,
    requested_credentials,
)
from wallet_core.protocols.oauth2.authorization_response import validate_authorization_response
from wallet_core.protocols.oauth2.clients import (
    RegisteredClient,
    parse_redirect_uri,
    parse_registered_clients,
    redirect_target,
    validate_redirect_uri,
)
from wallet_core.protocols.oauth2.details import parse_authorization_details
from wallet_core.protocols.oauth2.pkce import code_challenge, create_code_verifier
from wallet_core.protocols.oauth2.token import (
    AuthorizationCodeRequest,
    RefreshRequest,
    TokenRequest,
    create_token_response,
    parse_token_members,
    parse_token_request,
    token_lifetime,
)

CI = "https://issuer.example/agencies/police"
CALLBACK = "https://wallet.example/callback?x=1"
CLIENT = RegisteredClient("w", "지갑", "Wallet", (CALLBACK, "http://127.0.0.1/cb", "http://[::1]:1/cb", "app.w:/cb"))
CHALLENGE = code_challenge("v" * 43)
GOOD = {
    "response_type": "code",
    "client_id": "w",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
    "scope": "a b a",
    "state": "s",
}


def parse(**changes: str | None) -> AuthorizationRequest:
    parameters = {name: value for name, value in {**GOOD, **changes}.items() if value is not None}
    return parse_authorization_request(parameters, client=CLIENT, redirect_uri=CALLBACK, issuer=CI)


def test_unknown_parameters_are_ignored():
    assert parse(prompt="login", nonce="n", claims="{}").scopes == ("a", "b")


@pytest.mark.clause(
    "oauth-9101.5-request",
    "oauth-6749.4.1.1-response-type",
    "oauth-6749.4.1.2.1-response-type",
    "oauth-7636.4.4.1-required",
    "oauth-7636.4.4.1-method",
    "oauth-7636.4.2-challenge",
    "oauth-8707.2-resource",
    "oauth-9449.10-jkt",
)
@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"request": "e30.e30."}, RequestNotSupported),
        ({"response_type": None}, InvalidRequest),
        ({"response_type": "token"}, UnsupportedResponseType),
        ({"response_type": "code id_token"}, UnsupportedResponseType),
        ({"response_mode": "form_post"}, InvalidRequest),
        ({"code_challenge": None}, InvalidRequest),
        ({"code_challenge_method": None}, InvalidRequest),
        ({"code_challenge_method": "plain"}, InvalidRequest),
        ({"code_challenge": "x" * 42}, InvalidRequest),
        ({"code_challenge": "+" * 43}, InvalidRequest),
        ({"resource": "https://other.example"}, InvalidTarget),
        ({"dpop_jkt": "x"}, InvalidRequest),
        ({"dpop_jkt": "AAAA"}, InvalidRequest),
        ({"dpop_jkt": "A" * 42 + "B"}, InvalidRequest),
        ({"state": "s" * 4097}, InvalidRequest),
        ({"authorization_details": "[]"}, InvalidAuthorizationDetails),
    ],
)
def test_requests_that_are_refused(changes, error):
    with pytest.raises(error) as caught:
        parse(**changes)
    assert caught.value.http_status == 400


@pytest.mark.clause("oauth-6749.4.1.1-client-id")
@pytest.mark.parametrize("parameters", [{}, {"client_id": "x" * 501}])
def test_a_client_has_a_name(parameters):
    with pytest.raises(InvalidRequest):
        parse_client_id(parameters)


@pytest.mark.clause("oauth-9396.2-array", "oauth-9396.5-type", "vci-5.1.1-configuration", "vci-5.1.1-locations")
@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("{", InvalidAuthorizationDetails),
        ("{}", InvalidAuthorizationDetails),
        ("[]", InvalidAuthorizationDetails),
        ("[1]", InvalidAuthorizationDetails),
        ('[{"type": "payment"}]', InvalidAuthorizationDetails),
        ('[{"credential_configuration_id": "a"}]', InvalidAuthorizationDetails),
        ('[{"type": "openid_credential"}]', InvalidAuthorizationDetails),
        ('[{"type": "openid_credential", "format": "dc+sd-jwt"}]', InvalidAuthorizationDetails),
        ('[{"type": "openid_credential", "credential_configuration_id": 1}]', InvalidAuthorizationDetails),
        (
            '[{"type": "openid_credential", "credential_configuration_id": "a", "locations": ["https://o.example"]}]',
            InvalidRequest,
        ),
        ('[{"type": "openid_credential", "credential_configuration_id": "a", "locations": 1}]', InvalidRequest),
        (f"[{','.join(['1'] * 65)}]", InvalidAuthorizationDetails),
    ],
)
def test_details_that_are_refused(text, error):
    with pytest.raises(error):
        parse_authorization_details(text, issuer=CI)


def test_details_that_are_taken():
    text = f'[{{"type": "openid_credential", "credential_configuration_id": "a", "locations": ["{CI}"], "x": 1}}]'
    assert parse_authorization_details(text, issuer=CI) == ("a",)


@pytest.mark.clause("vci-5.1.2-unknown-scope", "vci-5.1.1-unknown", "oauth-6749.4.1.2.1-scope", "vci-5.1-details-win")
def test_what_is_asked_for_among_what_is_issued():
    request = AuthorizationRequest("w", CALLBACK, None, CHALLENGE, ("scope-a", "unknown"), ("B",))
    scopes = {"scope-a": "A", "scope-b": "B"}
    found = requested_credentials(request, scopes=scopes, configuration_ids=["A", "B"])
    assert (found.configuration_ids, found.identified) == (("B", "A"), ("B",))
    with pytest.raises(InvalidAuthorizationDetails):
        requested_credentials(request, scopes=scopes, configuration_ids=["A"])
    # The same credential in both ways is asked for once, by the detail.
    both = AuthorizationRequest("w", CALLBACK, None, CHALLENGE, ("scope-b",), ("B",))
    found = requested_credentials(both, scopes=scopes, configuration_ids=["A", "B"])
    assert (found.configuration_ids, found.identified) == (("B",), ("B",))
    nothing = AuthorizationRequest("w", CALLBACK, None, CHALLENGE, ("unknown",))
    with pytest.raises(InvalidScope):
        requested_credentials(nothing, scopes=scopes, configuration_ids=["A"])


@pytest.mark.clause("oauth-9700.2.1-exact", "oauth-6749.3.1.2.3-missing")
@pytest.mark.parametrize(
    "sent",
    [
        None,
        "",
        f"{CALLBACK}#",
        f"{CALLBACK}&y=2",
        "https://wallet.example/callback",
        "https://wallet.example/callback?x=1/",
        "https://WALLET.example/callback?x=1",
        "https://wallet.example:443/callback?x=1",
        "http://wallet.example/callback?x=1",
        "https://wallet.example.evil.example/callback?x=1",
        "http://127.0.0.1/other",
        "http://127.0.0.1:80@evil.example/cb",
        "http://a@127.0.0.1/cb",
        "http://127.0.0.1:99999/cb",
        "http://127.0.0.1:x/cb",
        "http://127.0.0.1/cb#f",
        "https://127.0.0.1/cb",
        "http://localhost/cb",
        "app.w:/cb?x",
        "javascript:alert(1)",
    ],
)
def test_redirect_uris_that_are_not_the_clients(sent):
    with pytest.raises(InvalidRequest):
        validate_redirect_uri(CLIENT, sent)


@pytest.mark.clause("oauth-6749.3.1.2.3-missing")
def test_a_request_without_redirect_uri_is_told_so():
    with pytest.raises(InvalidRequest, match="missing"):
        validate_redirect_uri(CLIENT, None)


@pytest.mark.parametrize(
    "sent", [CALLBACK, "http://127.0.0.1/cb", "http://127.0.0.1:49152/cb", "http://[::1]:8/cb", "app.w:/cb"]
)
def test_redirect_uris_of_the_client(sent):
    assert validate_redirect_uri(CLIENT, sent) == sent


@pytest.mark.clause("oauth-6749.3.1.2-absolute", "oauth-FAPI2.5.3.2.2-scheme")
@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "/callback",
        "https://w.example/#f",
        "http://w.example/cb",
        "https:///cb",
        "https://a@w.example/",
        "javascript:alert(1)",
        "data:text/html,x",
        "file:///etc",
        "https://w.example/ x",
        "https://w.example:x/",
    ],
)
def test_redirect_uris_that_cannot_be_registered(value):
    with pytest.raises(MalformedError):
        parse_redirect_uri(value)


def test_where_forms_may_lead():
    assert redirect_target(CALLBACK) == "https://wallet.example"
    assert redirect_target("http://127.0.0.1:8080/cb") == "http://127.0.0.1:8080"
    assert redirect_target("app.w:/cb") == "app.w:"


def test_a_file_of_clients():
    table = (
        '[[clients]]\nclient_id = "w"\nname = {ko = "지갑", en = "Wallet"}\nredirect_uris = ["https://w.example/cb"]\n'
    )
    found = parse_registered_clients(table)["w"]
    assert (found.public, found.redirect_uris) == (True, ("https://w.example/cb",))
    assert parse_registered_clients("") == {}
    for wrong in (
        "[[clients",
        "clients = 1",
        table + table,
        table.replace("client_id", "id"),
        table.replace("https:", "javascript:"),
        table.replace('["https://w.example/cb"]', "[]"),
    ):
        with pytest.raises(MalformedError):
            parse_registered_clients(wrong)


@pytest.mark.clause("oauth-9207.2-iss", "oauth-6749.4.1.2-state-back")
def test_answers_are_read_by_the_wallet_that_asked():
    request = AuthorizationRequest("w", CALLBACK, "s", CHALLENGE)
    url = create_code_url(request, code="c", issuer=CI)
    assert url.startswith(f"{CALLBACK}&")
    answer = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    expected = {"state": "s", "issuer": CI, "iss_promised": True}
    assert validate_authorization_response(answer, **expected) == "c"
    for changes in ({"state": "t"}, {"iss": "https://other.example"}):
        with pytest.raises(UntrustedError):
            validate_authorization_response({**answer, **changes}, **expected)
    with pytest.raises(MalformedError):
        validate_authorization_response({**answer, "code": ""}, **expected)
    without_iss = {name: value for name, value in answer.items() if name != "iss"}
    with pytest.raises(UntrustedError):
        validate_authorization_response(without_iss, **expected)
    assert validate_authorization_response(without_iss, state="s", issuer=CI, iss_promised=False) == "c"
    with pytest.raises(UntrustedError):
        validate_authorization_response({"code": "c", "iss": CI}, **expected)
    error = create_error_url(request, error="access_denied", description="no", issuer=CI)
    refused = {name: values[0] for name, values in parse_qs(urlsplit(error).query).items()}
    assert refused == {"x": "1", "error": "access_denied", "error_description": "no", "state": "s", "iss": CI}
    with pytest.raises(PeerRefusal) as caught:
        validate_authorization_response(refused, **expected)
    assert caught.value.error == "access_denied"


@pytest.mark.clause("oauth-9126.2.1-request-uri", "oauth-9126.2.2-expires", "oauth-9126.4-ours")
def test_pushed_requests():
    one, other = par.create_request_uri(os.urandom), par.create_request_uri(os.urandom)
    assert one != other
    assert len(one.rpartition(":")[2]) >= 22  # 128 bits
    assert par.parse_request_uri({"request_uri": one}) == one
    assert par.parse_request_uri({}) is None
    for wrong in ("https://evil.example/request", one + "x" * 500):
        with pytest.raises(InvalidRequestUri):
            par.parse_request_uri({"request_uri": wrong})
    with pytest.raises(InvalidRequest):
        par.check_pushed_parameters({"request_uri": one})
    body = par.create_pushed_response(one, lifetime=timedelta(seconds=90))
    assert body == {"request_uri": one, "expires_in": 90}
    answer = HttpResponse(201, {"content-type": "application/json"}, b'{"request_uri": "urn:x", "expires_in": 90}')
    assert par.parse_pushed_response(answer) == par.PushedRequest("urn:x", 90)
    for wrong in (b'{"expires_in": 90}', b'{"request_uri": "u"}', b'{"request_uri": "u", "expires_in": true}'):
        with pytest.raises(MalformedError):
            par.parse_pushed_response(HttpResponse(201, {"content-type": "application/json"}, wrong))


def test_pkce():
    # RFC 7636 appendix B.
    assert code_challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk") == (
        "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    )
    assert len(create_code_verifier(os.urandom)) == 43


@pytest.mark.clause("oauth-6749.4.1.3-code", "oauth-6749.6-token")
def test_grants_of_the_token_endpoint():
    fields = {"grant_type": "authorization_code", "code": "c", "redirect_uri": CALLBACK, "code_verifier": "v"}
    assert parse_token_request(fields, issuer=CI) == AuthorizationCodeRequest("c", CALLBACK, "v")
    for name in ("code", "redirect_uri"):
        with pytest.raises(InvalidRequest):
            parse_token_request({k: v for k, v in fields.items() if k != name}, issuer=CI)
    fields = {"grant_type": "refresh_token", "refresh_token": "r"}
    assert parse_token_request(fields, issuer=CI) == RefreshRequest("r")
    with pytest.raises(InvalidRequest):
        parse_token_request({"grant_type": "refresh_token"}, issuer=CI)
    detailed = parse_token_request(
        {
            "grant_type": "urn:ietf:params:oauth:grant-type:pre-authorized_code",
            "pre-authorized_code": "c",
            "authorization_details": '[{"type": "openid_credential", "credential_configuration_id": "a"}]',
        },
        issuer=CI,
    )
    assert detailed == TokenRequest("c", None, ("a",))


@pytest.mark.clause("vci-13.10-bound", "vci-6.2-details")
def test_token_responses():
    assert token_lifetime(dpop=None) == timedelta(seconds=300)
    assert token_lifetime(dpop=b"k") > timedelta(seconds=300)
    body = create_token_response(
        "t", lifetime=token_lifetime(dpop=b"k"), token_type="DPoP", refresh_token="r", identified=["a"]
    )
    read = parse_token_members(body)
    assert (read.token_type, read.refresh_token) == ("DPoP", "r")
    assert list(read.credential_identifiers) == ["a"]
    assert parse_token_members(read.to_json()) == read
    with pytest.raises(MalformedError):
        parse_token_members({**body, "refresh_token": 1})
    # Some servers write the number as a string.
    assert parse_token_members({**body, "expires_in": "1800"}).expires_in == 1800
    for wrong in ("", "0", "-5", "1.5", "soon", "9" * 20):
        with pytest.raises(MalformedError):
            parse_token_members({**body, "expires_in": wrong})
