"""Errors, headers, CSRF, sessions, CORS, API keys, repeated requests: through a small app."""

import asyncio
import io
import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient

from wallet_core.adapters import api_keys
from wallet_core.adapters.web.answers import page_policy
from wallet_core.adapters.web.frame import Frame

BROWSER = {"Accept": "text/html"}
ORDERS = "/api/v1/owners/a/orders"


def _token(client: TestClient) -> str:
    found = re.search(r'value="([\w-]+)"', client.get("/form").text)
    assert found
    return found[1]


def _bearer(key: str, **more: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}", **more}


# --- errors -----------------------------------------------------------------------------------------------------------


def test_a_protocol_error_has_two_members_and_its_headers(client: TestClient) -> None:
    answer = client.get("/wire")
    assert (answer.status_code, answer.json()) == (401, {"error": "invalid_token", "error_description": "no token"})
    assert answer.headers["www-authenticate"].startswith("Bearer ")
    assert answer.headers["content-type"] == "application/json"


def test_an_error_of_our_api_says_clause_fault_and_trace_id(client: TestClient) -> None:
    answer = client.get("/api/v1/wire")
    assert answer.json() == {
        "error": "invalid_token",
        "error_description": "no token",
        "clause": "RFC 6750 3.1",
        "fault": "you",
        "trace_id": answer.headers["trace-id"],
    }


def test_a_bug_is_a_server_error_with_a_trace_id_and_says_nothing_else(client: TestClient) -> None:
    answer = client.get("/bug")
    assert answer.status_code == 500
    assert answer.json()["error"] == "server_error"
    assert answer.headers["trace-id"] in answer.json()["error_description"]
    assert "KeyError" not in answer.text


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/.well-known/openid-credential-issuer/nobody", 404, "not_found"),
        ("DELETE", "/wire", 405, "method_not_allowed"),
        ("GET", "/wire/", 404, "not_found"),
    ],
)
def test_errors_of_the_framework_have_our_shape(
    client: TestClient, method: str, path: str, status: int, code: str
) -> None:
    answer = client.request(method, path)
    assert (answer.status_code, answer.json()["error"]) == (status, code)


@pytest.mark.clause("vci-8.3.1.2-json")
def test_a_browser_gets_an_error_page(client: TestClient) -> None:
    answer = client.get("/nowhere", headers=BROWSER)
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["trace-id"] in answer.text


@pytest.mark.clause("vci-8.3.1.2-json")
@pytest.mark.parametrize("accept", ["text/html", "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2"])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_what_wallets_call_never_answers_with_a_page(client: TestClient, method: str, accept: str) -> None:
    answer = client.request(method, "/wire", headers={"Accept": accept})
    assert answer.headers["content-type"] == "application/json"
    assert set(answer.json()) == {"error", "error_description"}


def test_a_body_of_the_wrong_shape_is_400_and_quotes_no_value(client: TestClient, api_key: str) -> None:
    answer = client.post(ORDERS, json={"item": "x", "count": "홍길동"}, headers=_bearer(api_key))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert "body.count" in answer.json()["error_description"]
    assert "?" not in answer.json()["error_description"]


def test_a_large_body_is_refused(client: TestClient, api_key: str) -> None:
    answer = client.post(ORDERS, content=b" " * 600_000, headers=_bearer(api_key))
    assert (answer.status_code, answer.json()["error"]) == (413, "request_too_large")
    assert answer.json().keys() == {"error", "error_description", "trace_id", "fault"}
    assert answer.json()["trace_id"] == answer.headers["trace-id"]
    assert client.post("/form", content=b" " * 600_000).json().keys() == {"error", "error_description"}


@pytest.mark.parametrize(
    ("address", "status", "error"),
    [("/wire/%00", 404, "not_found"), ("/note?a=%00", 400, "invalid_request"), ("/api/v1/wire?b=1&%00", 400, None)],
)
def test_a_nul_in_an_address_is_the_caller_s_mistake(
    client: TestClient, address: str, status: int, error: str | None
) -> None:
    answer = client.get(address)
    assert answer.status_code == status
    assert answer.json()["error"] == (error or "invalid_request")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert ("fault" in answer.json()) == address.startswith("/api/")


def test_an_upload_that_breaks_off_is_no_error_of_ours(app: FastAPI, lines: io.StringIO) -> None:
    async def upload(request: Request) -> Response:
        return Response(await request.body())

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(_message: Any) -> None:
        pytest.fail("nobody is there to be answered")

    app.router.routes.append(Route("/upload", upload, methods=["POST"]))
    scope = {"type": "http", "method": "POST", "path": "/upload", "query_string": b"", "headers": [], "app": app}
    asyncio.run(app(scope, receive, send))
    (line,) = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert (line["event"], line["level"], line["status"]) == ("request", "info", 0)


# --- headers ----------------------------------------------------------------------------------------------------------


def test_every_answer_has_the_security_headers(client: TestClient) -> None:
    for path in ("/form", "/wire", "/nowhere", "/healthz", "/docs"):
        headers = client.get(path, headers=BROWSER).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["strict-transport-security"].startswith("max-age=")
        assert "unsafe" not in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["cache-control"] == "no-store"
        # What wallets' programs read leads nowhere.
        assert headers.get("referrer-policy") == (None if path == "/wire" else "same-origin")


def test_a_form_that_ends_elsewhere_names_that_place_only(client: TestClient) -> None:
    policy = client.get("/form").headers["content-security-policy"]
    assert "form-action 'self' https://other.example;" in policy
    assert "https://other.example" not in client.get("/docs").headers["content-security-policy"]
    with pytest.raises(ValueError, match="form-action"):
        page_policy(["https://a.example; script-src *"])


def test_static_files_with_a_version_are_kept(client: TestClient) -> None:
    page = client.get("/docs").text
    address = re.search(r'href="(/static/css/tokens\.css\?v=\w+)"', page)
    assert address
    assert "immutable" in client.get(address[1]).headers["cache-control"]
    assert client.get("/static/css/tokens.css").headers["cache-control"] == "no-store"
    assert client.get("/static/../app.py").status_code == 404


def test_protocol_paths_have_cors_and_others_do_not(client: TestClient) -> None:
    preflight = client.options(
        "/wire", headers={"Origin": "https://w.example", "Access-Control-Request-Method": "POST"}
    )
    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert "DPoP" in preflight.headers["access-control-allow-headers"]
    assert "WWW-Authenticate" in client.get("/wire").headers["access-control-expose-headers"]
    assert "access-control-allow-origin" not in client.get("/form").headers
    assert "access-control-allow-credentials" not in preflight.headers
    assert client.options("/form").status_code == 405


# --- sessions and forms -----------------------------------------------------------------------------------------------


def test_a_form_with_its_token_is_taken_and_the_session_remembers(client: TestClient) -> None:
    token = _token(client)
    answer = client.post("/form", data={"note": "hi", "csrf_token": token}, headers={"Sec-Fetch-Site": "same-origin"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/note")
    assert client.get("/note").json() == {"note": "hi"}


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
def test_a_form_from_elsewhere_is_refused_even_with_a_token(client: TestClient, headers: dict[str, str]) -> None:
    data = {"note": "hi", "csrf_token": _token(client)}
    assert client.post("/form", data=data, headers=headers).status_code == 403


def test_a_form_without_or_with_another_session_s_token_is_refused(app: FastAPI, client: TestClient) -> None:
    with TestClient(app, base_url="https://sample.example") as other:
        foreign = _token(other)
    _token(client)
    for token in ("", "x", foreign):
        assert client.post("/form", data={"note": "hi", "csrf_token": token}).status_code == 403
    assert client.post("/form", data={"note": "hi"}).status_code == 403


def test_cookies_carry_the_app_s_name_and_are_locked_down(client: TestClient, make_app: Callable[..., FastAPI]) -> None:
    cookie = client.get("/form").headers["set-cookie"]
    assert cookie.startswith("__Host-jigap-wallet=")
    assert all(part in cookie for part in ("; Path=/", "; HttpOnly", "; SameSite=Lax", "; Secure"))
    plain = make_app("http://localhost:8300", insecure=True, name="issuer")
    with TestClient(plain, base_url="http://localhost:8300") as other:
        assert other.get("/form").headers["set-cookie"].startswith("jigap-issuer=")


def test_a_page_without_a_form_starts_no_session(client: TestClient) -> None:
    assert "set-cookie" not in client.get("/docs").headers


def test_a_session_ends_when_told_and_by_time(client: TestClient, app: FastAPI) -> None:
    token = _token(client)
    client.post("/form", data={"note": "hi", "csrf_token": token})
    app.state.web.clock.time += timedelta(hours=9)
    assert client.get("/note").json() == {"note": None}
    app.state.web.clock.time -= timedelta(hours=9)
    assert client.get("/note").json() == {"note": "hi"}
    client.post("/leave", data={"csrf_token": token})
    assert client.get("/note").json() == {"note": None}


def test_a_changed_session_cookie_is_as_none(client: TestClient) -> None:
    client.cookies.set("__Host-jigap-wallet", "AAAA", domain="sample.example")
    assert client.get("/note").json() == {"note": None}


@pytest.mark.parametrize("cookie", ["", "AAAA"], ids=["of yesterday", "sealed elsewhere"])
def test_a_browser_whose_cookie_does_not_open_can_send_forms(client: TestClient, app: FastAPI, cookie: str) -> None:
    if not cookie:
        _token(client)
        app.state.web.clock.time += timedelta(hours=9)
    else:
        client.cookies.set("__Host-jigap-wallet", cookie, domain="sample.example", path="/")
    token = _token(client)
    assert client.post("/form", data={"note": "hi", "csrf_token": token}).status_code == 303
    assert client.get("/note").json() == {"note": "hi"}


def test_a_session_that_opens_is_sent_once(client: TestClient) -> None:
    assert "set-cookie" in client.get("/form").headers
    assert "set-cookie" not in client.get("/form").headers


def test_signing_in_gives_a_new_id_and_all_the_time_again(client: TestClient, app: FastAPI) -> None:
    before = _token(client)
    app.state.web.clock.time += timedelta(hours=7)
    answer = client.post("/sign-in", data={"csrf_token": before})
    assert "Max-Age=28800" in answer.headers["set-cookie"]
    assert _token(client) != before
    app.state.web.clock.time += timedelta(hours=7)
    assert client.get("/note").json() == {"note": "in"}


def test_language_comes_from_query_then_cookie_then_browser_then_korean(client: TestClient) -> None:
    assert '<html lang="ko"' in client.get("/docs").text
    assert '<html lang="en"' in client.get("/docs", headers={"Accept-Language": "en-US,ko;q=0.5"}).text
    assert '<html lang="en"' in client.get("/docs?lang=en").text
    assert '<html lang="en"' in client.get("/docs").text


# --- our own APIs -----------------------------------------------------------------------------------------------------


def test_a_key_is_needed_with_the_scope_and_of_the_owner(client: TestClient, app: FastAPI, api_key: str) -> None:
    body = {"item": "x", "count": 1}
    assert client.post(ORDERS, json=body).status_code == 401
    assert client.post(ORDERS, json=body, headers=_bearer("jgk_" + "A" * 43)).status_code == 401
    assert client.post(ORDERS, json=body, headers=_bearer(api_key)).status_code == 201
    assert client.post("/api/v1/owners/b/orders", json=body, headers=_bearer(api_key)).status_code == 403
    web = app.state.web
    with web.database.unit() as unit:
        _, weak = api_keys.create_api_key(
            unit.connection, web.tables, owner="a", label="weak", scopes=[], now=web.clock.now()
        )
        key = api_keys.find_api_key(unit.connection, web.tables, f"bearer {api_key}", now=web.clock.now())
        api_keys.revoke_api_key(unit.connection, web.tables, key.id, now=web.clock.now())
    assert client.post(ORDERS, json=body, headers=_bearer(weak)).json()["error"] == "insufficient_scope"
    assert client.post(ORDERS, json=body, headers=_bearer(api_key)).status_code == 401


def test_a_repeated_request_gets_the_first_answer(client: TestClient, api_key: str) -> None:
    headers = _bearer(api_key, **{"Idempotency-Key": "k1"})
    first = client.post(ORDERS, json={"item": "x", "count": 1}, headers=headers)
    again = client.post(ORDERS, json={"item": "x", "count": 1}, headers=headers)
    assert (again.status_code, again.json()) == (first.status_code, first.json()) == (201, {"number": 1, "item": "x"})
    other = client.post(ORDERS, json={"item": "y", "count": 1}, headers=headers)
    assert (other.status_code, other.json()["error"]) == (422, "idempotency_mismatch")
    new = client.post(ORDERS, json={"item": "y", "count": 1}, headers=_bearer(api_key, **{"Idempotency-Key": "k2"}))
    assert new.json()["number"] == 2


def test_a_refused_request_may_be_sent_again_under_its_key(client: TestClient, api_key: str) -> None:
    headers = _bearer(api_key, **{"Idempotency-Key": "k"})
    assert client.post(ORDERS, json={"item": "x", "count": -1}, headers=headers).status_code == 503
    assert client.post(ORDERS, json={"item": "x", "count": 1}, headers=headers).status_code == 201


def test_an_answer_is_sealed_and_forgotten(client: TestClient, app: FastAPI, api_key: str) -> None:
    headers = _bearer(api_key, **{"Idempotency-Key": "k"})
    client.post(ORDERS, json={"item": "needle", "count": 1}, headers=headers)
    web = app.state.web
    with web.database.unit() as unit:
        row = unit.connection.execute(web.tables.idempotency.select()).one()
    assert b"needle" not in row.answer
    web.clock.time += timedelta(days=2)
    assert client.post(ORDERS, json={"item": "other", "count": 1}, headers=headers).json()["number"] == 2


def test_the_api_document_names_our_apis_only(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    assert "/api/v1/owners/{owner}/orders" in paths
    assert "/form" not in paths
    assert ORDERS.replace("/a/", "/{owner}/") in client.get("/docs").text


def test_the_api_document_says_what_is_answered(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    post = document["paths"]["/api/v1/owners/{owner}/orders"]["post"]
    assert [each["name"] for each in post["parameters"]] == ["owner", "Idempotency-Key"]
    assert post["security"] == [{"apiKey": ["orders"]}]
    assert post["operationId"] == "order"
    error = {"schema": {"$ref": "#/components/schemas/Error"}}
    refusals = {status: answer["content"] for status, answer in post["responses"].items() if status >= "400"}
    assert refusals == {
        key: {"application/json": error} for key in ["400", "401", "403", "404", "409", "413", "422", "500", "503"]
    }
    shape = document["components"]["schemas"]["Error"]
    assert client.get("/api/v1/wire").json().keys() == shape["properties"].keys()
    assert "422" not in document["paths"]["/wire"]["get"]["responses"]
    assert "HTTPValidationError" not in str(document)


def test_health_says_so_when_the_database_is_gone(client: TestClient, app: FastAPI) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    web = app.state.web
    web.database._reading = type(web.database)("postgresql://nobody@127.0.0.1:1/none")._reading
    assert client.get("/healthz").status_code == 503


def test_the_log_names_the_route_and_never_the_path(app: FastAPI, client: TestClient, lines: io.StringIO) -> None:
    async def receive_answer(_request: Request) -> Response:
        return Response()

    app.router.routes.append(Route("/answers/{secret}", receive_answer))
    client.get("/answers/s3cret")
    client.get("/healthz")
    client.get("/nowhere/s3cret")
    written = [json.loads(line) for line in lines.getvalue().splitlines()]
    paths = [line["path"] for line in written if line["event"] == "request"]
    assert paths == ["receive_answer", "/healthz", "(none)"]


def test_nothing_stands_outside_of_the_frame(app: FastAPI) -> None:
    assert isinstance(app.build_middleware_stack(), Frame)
