"""Getting lists over HTTP: what is asked and which answers count."""

from datetime import UTC, datetime

import pytest

from tests.support.status_lists import URI
from wallet_core.encoding import strict_json
from wallet_core.errors import FetchError, MalformedError
from wallet_core.http import HttpResponse
from wallet_core.trust.status_list.fetching import (
    MAX_AGGREGATED,
    create_aggregation,
    fetch_aggregation,
    fetch_status_list,
    parse_aggregation,
)

JWT = "application/statuslist+jwt"


def run(flow, response: HttpResponse):
    request = next(flow)
    try:
        flow.send(response)
    except StopIteration as stop:
        return request, stop.value
    raise AssertionError("one request is enough")


def test_a_list_is_asked_for_by_its_address_and_form() -> None:
    request, body = run(fetch_status_list(URI), HttpResponse(200, {"content-type": f"{JWT}; v=1"}, b"token"))
    assert (request.method, request.url, request.headers["Accept"], body) == ("GET", URI, JWT, b"token")


def test_a_time_in_the_past_is_a_parameter() -> None:
    at = datetime.fromtimestamp(1_700_000_000, UTC)
    answer = HttpResponse(203, {"content-type": JWT}, b"token")
    assert run(fetch_status_list(URI, at=at), answer)[0].url == f"{URI}?time=1700000000"
    assert run(fetch_status_list(f"{URI}?a=b", at=at), answer)[0].url == f"{URI}?a=b&time=1700000000"


@pytest.mark.clause("tsl-8.2-status")
@pytest.mark.parametrize("status", [301, 404, 500, 501])
def test_another_status_than_2xx_is_no_answer(status: int) -> None:
    with pytest.raises(FetchError):
        run(fetch_status_list(URI), HttpResponse(status, {"content-type": JWT}, b"token"))


@pytest.mark.clause("tsl-8.2-type")
@pytest.mark.parametrize("media_type", ["", "text/html", "application/statuslist+cwt", "application/jwt"])
def test_another_form_is_no_answer(media_type: str) -> None:
    with pytest.raises(FetchError):
        run(fetch_status_list(URI), HttpResponse(200, {"content-type": media_type}, b"token"))


@pytest.mark.clause("tsl-9.3-lists")
def test_an_aggregation_is_a_list_of_addresses() -> None:
    document = strict_json.dumps(create_aggregation([URI, URI + "0"]))
    assert parse_aggregation(document) == (URI, URI + "0")
    request, lists = run(fetch_aggregation("https://issuer.example/all"), HttpResponse(200, {}, document))
    assert (request.headers["Accept"], lists) == ("application/json", (URI, URI + "0"))
    for bad in ({}, {"status_lists": "a"}, {"status_lists": [1]}, {"status_lists": ["a"] * (MAX_AGGREGATED + 1)}):
        with pytest.raises(MalformedError):
            parse_aggregation(strict_json.dumps(bad))
    with pytest.raises(FetchError):
        run(fetch_aggregation("https://issuer.example/all"), HttpResponse(404))
