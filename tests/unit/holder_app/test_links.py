"""What people paste, scan and click."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holder_app.links import LinkKind, UnsupportedLink, host_of, origin_of, parse_link
from holder_app.presentation.use_cases import request_host
from wallet_core.errors import WalletError


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("openid-credential-offer://?credential_offer_uri=https%3A%2F%2Fa.example", LinkKind.OFFER),
        ("openid-credential-offer:?credential_offer=%7B%7D", LinkKind.OFFER),
        ("haip-vci://?credential_offer=%7B%7D", LinkKind.OFFER),
        (" https://wallet.example/credential-offer?credential_offer_uri=x ", LinkKind.OFFER),
        ("openid4vp://?client_id=a&request_uri=b", LinkKind.REQUEST),
        ("openid4vp:?client_id=a&request=b", LinkKind.REQUEST),
        ("haip-vp://?client_id=a&request_uri=b", LinkKind.REQUEST),
        ("eudi-openid4vp://?client_id=a&dcql_query=b", LinkKind.REQUEST),
        ("https://other.example/authorize?client_id=a&request_uri=b#x", LinkKind.REQUEST),
    ],
)
def test_the_query_counts_and_not_the_scheme(text: str, kind: LinkKind) -> None:
    assert parse_link(text).kind is kind


@pytest.mark.parametrize("after", [" 확인 번호 773962", "\n773962", "\t(code 773962)", "\u3000773962", "\u00a0773962"])
def test_words_after_a_link_are_no_part_of_it(after: str) -> None:
    link = "openid-credential-offer://?credential_offer_uri=https%3A%2F%2Fa.example"
    assert parse_link(f"  {link}{after}").text == link


@pytest.mark.parametrize(
    "text", ["mdoc:owBjMS4wAYIB", "mdoc-openid4vp://?client_id=a&request_uri=b", " MDOC:abc", "mdoc://x?client_id=a"]
)
def test_what_others_have_and_this_wallet_has_not_is_said_so(text: str) -> None:
    with pytest.raises(UnsupportedLink, match="not supported"):
        parse_link(text)


@given(st.text() | st.text().map(lambda text: f"openid4vp://?client_id={text}&request_uri={text}"))
def test_nothing_but_our_errors_leaves(text: str) -> None:
    with contextlib.suppress(WalletError):
        request_host(parse_link(text).text)
    host_of(text)
    origin_of(text)


@pytest.mark.parametrize(
    ("url", "host", "origin"),
    [
        ("https://a.example/x?y", "a.example", "https://a.example"),
        ("https://A.example:8443/#x", "", "https://A.example:8443"),
        ("https://user@a.example:8443/", "", ""),
        # A browser reads a backslash as a slash.
        ("https://evil.example\\@bank.example/r", "", ""),
        # Turned, the last part reads as the name of somebody else.
        ("https://evil.example\u202eelpmaxe.knab/r", "", ""),
        ("https://b\u0430nk.example/r", "", ""),
        ("https://a_b.example/r", "a_b.example", ""),
        ("http://localhost:8200/", "localhost:8200", "http://localhost:8200"),
        ("https://a.example;script-src/x", "a.example;script-src", ""),
        ("http://a.example/", "", ""),
        ("http://[::1]:8200/", "[::1]:8200", "http://[::1]:8200"),
        ("javascript:alert(1)", "", ""),
        ("https://[broken", "", ""),
    ],
)
def test_hosts_for_people(url: str, host: str, origin: str) -> None:
    assert (host_of(url), origin_of(url)) == (host, origin)


def test_where_a_request_leads() -> None:
    assert request_host("openid4vp://?client_id=x509_hash:a&request_uri=https%3A%2F%2Fv.example%2Fr") == "v.example"
    assert request_host("openid4vp://?client_id=redirect_uri:https%3A%2F%2Fv.example%2Fr&dcql_query=x") == "v.example"
    assert request_host("openid4vp://?client_id=a&request=b") == ""


@pytest.mark.parametrize(
    "query",
    [
        # What stands beside a Request Object does not count, and in it nothing is verified yet.
        "client_id=x509_hash:a&request=b&response_uri=https%3A%2F%2Fbank.example%2Fr",
        "client_id=redirect_uri:https%3A%2F%2Fbank.example%2Fr&request=b",
        # This is fetched from nowhere.
        "client_id=x509_hash:a&request_uri=https%3A%2F%2Fevil.example%5C%40bank.example%2Fr",
        "client_id=x509_hash:a&request_uri=&response_uri=https%3A%2F%2Fbank.example%2Fr",
        # This is not signed, and so refused.
        "client_id=x509_hash:https%3A%2F%2Fbank.example%2Fr&dcql_query=x",
        "client_id=x509_hash:a&dcql_query=x&response_uri=https%3A%2F%2Fbank.example%2Fr",
    ],
)
def test_no_other_party_is_shown_before_the_request_is_fetched(query: str) -> None:
    assert request_host(f"openid4vp://?{query}") == ""
