"""Logs: nothing personal or secret, one JSON object a line."""

import io
import json
import logging
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wallet_core.adapters import log

SECRETS = [
    "900101-1234567", "9001011234567", "주민 900101 2234567 끝", "11-22-123456-78", "010-1234-5678", "01012345678",
    "eyJhbGciOiJFUzI1NiJ9.eyJhIjoxfQ.c2ln~WyJzYWx0Il0~", "Bearer jgk_0123456789abcdef", "code=abc123&x=1",
    "access_token=abc", "state=xyz",
]  # fmt: skip
HARMLESS = [
    "2026-11-22T10:00:00Z",
    "OpenID4VCI 8.3.1.2",
    "trace 0123456789abcdef",
    "port 8100",
    "step 7",
    "urn:jigap:vct:x:1",
]


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_is_hidden_in_text_lists_and_mappings(secret: str) -> None:
    assert log.HIDDEN in log.scrub(secret)
    assert log.HIDDEN in log.scrub([secret])[0]
    assert log.HIDDEN in log.scrub({"a": {"b": secret}})["a"]["b"]


@pytest.mark.parametrize("text", HARMLESS)
def test_ordinary_words_stay(text: str) -> None:
    assert log.scrub(text) == text


@pytest.mark.parametrize(
    "name", ["access_token", "tx_code", "password", "Authorization", "vp_token", "api_key", "c_nonce"]
)
def test_a_value_under_a_secret_name_is_hidden(name: str) -> None:
    assert log.scrub({name: "anything"}) == {name: log.HIDDEN}


@given(
    st.recursive(
        st.none() | st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_scrubbing_never_fails(value: object) -> None:
    log.scrub(value)


def test_a_line_is_json_with_the_trace_id(lines: io.StringIO) -> None:
    token = log.trace_id.set("abc")
    log.get_logger("issuer.web").info("refused", detail="number 900101-1234567", 이름=1)
    logging.getLogger("uvicorn.error").warning("Bearer %s", "jgk_0123456789")
    log.trace_id.reset(token)
    ours, theirs = (json.loads(line) for line in lines.getvalue().splitlines())
    assert ours["trace_id"] == theirs["trace_id"] == "abc"
    assert (ours["module"], ours["level"], ours["detail"]) == ("issuer.web", "info", "number [hidden]")
    assert "jgk_" not in theirs["event"]


def test_what_a_library_warns_of_is_a_line_as_well(lines: io.StringIO) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)  # pytest puts its own function in the place of ours
        log.configure(stream=lines)
        warnings.warn("a certificate of 900101-1234567", UserWarning, stacklevel=1)
    line = json.loads(lines.getvalue())
    assert (line["level"], "[hidden]" in line["event"]) == ("warning", True)


def test_a_traceback_is_scrubbed_too(lines: io.StringIO) -> None:
    log.get_logger("x").error("unexpected", exc_info=KeyError("900101-1234567"))
    assert "900101" not in lines.getvalue()
    assert "KeyError" in lines.getvalue()


def test_the_line_of_a_request_is_scrubbed_like_any_other(lines: io.StringIO) -> None:
    log.note_request("issuer.web", method="POST", path="/x/900101-1234567", status=200, ms=1.5)
    line = json.loads(lines.getvalue())
    assert (line["event"], line["level"], line["module"], line["ms"]) == ("request", "info", "issuer.web", 1.5)
    assert line["path"] == "/x/[hidden]"
    assert line["timestamp"].endswith("Z")


def test_lines_of_requests_are_left_out_where_only_warnings_are_wanted(lines: io.StringIO) -> None:
    log.configure(level=logging.WARNING, stream=lines)
    log.note_request("issuer.web", method="POST", path="/x", status=200, ms=1.5)
    assert not lines.getvalue()
