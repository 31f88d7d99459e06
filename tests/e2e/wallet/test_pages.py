"""The web wallet as a person without script uses it."""

import json
import re
from dataclasses import replace
from html import unescape
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import pytest
import qrcode
from PIL import Image

from holder_app.accounts.use_cases import create_person, create_sign_in_code
from holder_app.issuance.receiving import claim
from holder_app.issuance.use_cases import fetch_offer, take_offer_link
from holder_app.ports import UNDER_WAY
from tests.support.browsing import Person, browser, visitor
from tests.support.presentations import NOW
from tests.support.transactions import transaction
from tests.support.wallets import CATALOGUE, LICENCE, NAME, Town, new_town, new_verifier, policy_query, receive, wait
from wallet_core.protocols.openid4vp.asking import match_number
from wallet_core.protocols.openid4vp.client_id import ClientIdentifier, ClientIdPrefix
from wallet_core.protocols.openid4vp.request import create_unsigned_link
from wallet_core.protocols.openid4vp.response import PresentationResponse
from wallet_core.spec_versions import FORMAT_MDOC, FORMAT_SD_JWT_VC

FORM = {"origin": "https://wallet.example", "sec-fetch-site": "same-origin"}


def read(person: Person, link: str) -> None:
    """Paste a link and look at what it leads to."""
    person.get("/scan")
    person.post("/scan", {"link": link})
    person.post(f"{person.path}/fetch")


def picture(text: str) -> bytes:
    """A PNG of a QR code."""
    image, output = qrcode.make(text), BytesIO()
    image.save(output)
    return output.getvalue()


def test_from_the_first_code_to_the_receipt(town: Town) -> None:
    person = browser(town)
    assert "아직 카드가 없어요" in person.text
    read(person, town.issuer.reference)
    assert "시험경찰청" in person.text
    assert "issuer.example" in person.text
    offer = person.path
    person.post(f"{offer}/accept", {"tx_code": "1234"})
    assert person.page.status_code == 400
    assert "숫자 6자리" in person.text
    assert 'value="1234"' in person.page.text
    person.post(f"{offer}/accept", {"tx_code": "000000"})
    assert "4번 더 넣을 수 있어요" in person.text
    person.post(f"{offer}/accept", {"tx_code": "123456"})
    assert "확인된 곳" in person.text
    person.post(f"{offer}/keep")
    assert "지갑에 넣었어요" in person.text
    verifier = new_verifier(town)
    read(person, verifier.link)
    assert "바람렌터카 (시험용)" in person.text
    assert "비대면으로 계좌를 열 때" in person.text
    assert "생년월일은 보내지 않아요" in person.text
    person.post(f"{person.path}/answer")
    assert "바람렌터카에 보냈어요" in person.text
    assert 'href="https://verifier.example/back"' in person.page.text
    person.get("/history")
    assert "바람렌터카에 보냈어요" in person.text


def test_english_is_complete(town: Town) -> None:
    receive(town, LICENCE)
    person = browser(town)
    verifier = new_verifier(town)
    person.get("/?lang=en")
    read(person, verifier.link)
    assert "asks for" in person.text
    assert "Share" in person.text
    hangul = re.findall("[가-힣]+", re.sub(r'<(\w+)[^>]*lang="ko".*?</\1>', "", person.page.text))
    allowed = f"{NAME} {town.world.agency.name} 바람렌터카 (시험용) 한국어"
    assert [word for word in hangul if word not in allowed] == []


def test_a_picture_of_a_code(town: Town) -> None:
    person = browser(town)
    person.get("/scan")
    files = {"picture": ("code.png", picture(town.issuer.reference), "image/png")}
    person.post("/scan", files=files)
    assert person.path.startswith("/offers/")
    assert "issuer.example" in person.text
    assert town.network.seen == []


@pytest.mark.parametrize(
    "content",
    [b"", b"not a picture", b"\x89PNG\r\n\x1a\n" + b"0" * 100, b"%PDF-1.7"],
    ids=["empty", "text", "broken", "pdf"],
)
def test_what_is_no_picture(town: Town, content: bytes) -> None:
    person = browser(town)
    person.get("/scan")
    person.post("/scan", files={"picture": ("code.png", content, "image/png")})
    assert person.page.status_code == 400
    assert "찾지 못했어요" in person.text


def test_a_picture_without_a_code(town: Town) -> None:
    output = BytesIO()
    Image.new("L", (300, 300), 255).save(output, "PNG")
    person = browser(town)
    person.get("/scan")
    person.post("/scan", files={"picture": ("code.png", output.getvalue(), "image/png")})
    assert person.page.status_code == 400


def test_an_oversized_picture(town: Town) -> None:
    person = browser(town)
    person.get("/scan")
    person.post("/scan", files={"picture": ("code.png", b"\0" * (9 * 1024 * 1024), "image/png")})
    assert person.page.status_code == 413


@pytest.mark.parametrize("link", ["", "hello", "https://example.org/?x=1", "openid4vp://?client_id=a"])
def test_what_is_no_link(town: Town, link: str) -> None:
    person = browser(town)
    person.get("/scan")
    person.post("/scan", {"link": link})
    assert person.page.status_code == 400
    assert "링크도 아니에요" in person.text


def test_a_link_copied_with_the_words_after_it(town: Town) -> None:
    person = browser(town)
    read(person, f"{town.issuer.link} 확인 번호 123456")
    assert "시험경찰청" in person.text
    person.post(f"{person.path}/accept", {"tx_code": "123456"})
    assert "확인된 곳" in person.text


def test_an_offer_that_cannot_be_read_keeps_what_was_pasted(town: Town) -> None:
    person = browser(town)
    person.get("/scan")
    person.post("/scan", {"link": "openid-credential-offer://?credential_offer=%7Bbroken"})
    assert person.page.status_code == 400
    assert "링크도 아니에요" in person.text
    assert "credential_offer=%7Bbroken</textarea>" in person.page.text


def test_endpoints_for_others_do_nothing_until_the_person_acts(town: Town) -> None:
    person, verifier = browser(town), new_verifier(town)
    before = _rows(town)
    person.get(f"/credential-offer?{urlsplit(town.issuer.link).query}")
    assert "issuer.example" in person.text
    person.get(f"/authorize?{urlsplit(verifier.link).query}")
    assert "verifier.example" in person.text
    assert _rows(town) == before
    assert town.network.seen == []


def test_signing_in_leads_back_to_the_request(town: Town) -> None:
    person, verifier = visitor(town), new_verifier(town)
    person.get(f"/authorize?{urlsplit(verifier.link).query}")
    assert person.path == "/sign-in"
    field = re.search(r'name="next_page" value="([^"]+)"', person.page.text)
    assert field is not None
    assert field[1].startswith("/authorize?client_id=")


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"]
)
def test_signing_in_leads_nowhere_else(town: Town, target: str) -> None:
    person = visitor(town)
    person.get(f"/sign-in?next={quote(target, safe='')}")
    assert 'name="next_page" value="/"' in person.page.text


@pytest.mark.clause("vp-8.2-go-back")
def test_the_same_device_goes_back_by_itself(town: Town) -> None:
    receive(town, LICENCE)
    person, verifier = browser(town), new_verifier(town)
    link = f"/authorize?{urlsplit(verifier.link).query}"
    person.get(link)
    person.post("/requests", {"link": link})
    policy = person.page.headers["content-security-policy"]
    assert "form-action 'self' https://verifier.example;" in policy
    answer = person.post(f"{person.path}/answer", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "https://verifier.example/back")


def test_every_request_shows_the_number_of_the_screen_it_may_come_from(town: Town) -> None:
    receive(town, LICENCE)
    person, verifier = browser(town), new_verifier(town)
    shown = f'class="match"><b>{match_number(verifier.request)}</b>'
    person.get("/scan")
    person.post("/scan", {"link": verifier.link})
    page = person.post(f"{person.path}/fetch").text
    assert shown in page
    assert "QR 코드를 보여 준 화면에" in page
    # Whoever sends the link of somebody else's screen chooses that it opens here.
    link = f"/authorize?{urlsplit(verifier.link).query}"
    person.get(link)
    person.post("/requests", {"link": link})
    assert shown in person.page.text
    assert "직접 시작한 일이 아니면 멈춰 주세요" in person.page.text


@pytest.mark.clause("vp-8.2-go-back")
@pytest.mark.parametrize("url", ["https://other.example/", "javascript:alert(1)", "http://verifier.example/back"])
def test_the_same_device_goes_to_another_origin_by_way_of_the_receipt(town: Town, url: str) -> None:
    receive(town, LICENCE)
    person, verifier = browser(town), new_verifier(town)
    body = json.dumps({"redirect_uri": url}).encode()
    verifier.answer = type(verifier.answer)(200, {"content-type": "application/json"}, body)
    link = f"/authorize?{urlsplit(verifier.link).query}"
    person.get(link)
    person.post("/requests", {"link": link})
    answer = person.post(f"{person.path}/answer", follow_redirects=False)
    here = answer.headers["location"]
    assert here.startswith("/requests/")
    page = person.get(here)
    opens = url.startswith("https://")
    assert (f'href="{url}"' in page.text) == opens
    # Where the consent page allowed no redirect, the receipt sends the browser on, once.
    assert page.headers.get("refresh") == (f"0; url={url}" if opens else None)
    assert "refresh" not in person.get(here.partition("?")[0]).headers


def test_a_response_uri_that_would_write_our_policy(town: Town) -> None:
    receive(town, LICENCE)
    person, verifier = browser(town), new_verifier(town)
    verifier.request = replace(verifier.request, response_uri="https://verifier.example;script-src/answer")
    link = f"/authorize?{urlsplit(verifier.link).query}"
    person.get(link)
    page = person.post("/requests", {"link": link})
    assert page.status_code == 200
    assert "form-action 'self';" in page.headers["content-security-policy"]


def test_a_request_by_form_goes_on_as_a_link(town: Town) -> None:
    person, verifier = browser(town), new_verifier(town)
    fields = dict(pair.split("=", 1) for pair in urlsplit(verifier.link).query.split("&"))
    answer = person.client.post("/authorize", data=fields, headers={"origin": "null"}, follow_redirects=False)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/authorize?client_id=")
    assert town.network.seen == []


@pytest.mark.parametrize("by_form", [True, False])
def test_a_whole_request_by_value_waits_for_the_sign_in(town: Town, by_form: bool) -> None:  # noqa: FBT001
    """Protocols.md 25: GET and form POST with plain parameters, kept while the person signs in, fetched from nobody."""
    receive(town, LICENCE)
    person, verifier = visitor(town), new_verifier(town)
    verifier.request = replace(
        verifier.request, client_id=ClientIdentifier(ClientIdPrefix.REDIRECT_URI, verifier.request.response_uri)
    )
    link = create_unsigned_link("https://wallet.example/authorize", verifier.request)
    if by_form:
        fields = dict(parse_qsl(urlsplit(link).query))
        person.page = person.client.post("/authorize", data=fields, headers={"origin": "null", "accept": "text/html"})
    else:
        person.get(f"/authorize?{urlsplit(link).query}")
    assert person.path == "/sign-in"
    kept = re.search(r'name="next_page" value="([^"]+)"', person.page.text)
    assert kept
    code = create_sign_in_code(town.wallet.account_ports(), town.owner.id)
    person.post("/sign-in", {"code": code, "next_page": unescape(kept[1])})
    assert person.path == "/authorize"
    assert "verifier.example" in person.text
    assert town.network.seen[-1].url != verifier.request.response_uri
    given = re.search(r'name="link" value="([^"]+)"', person.page.text)
    assert given
    person.post("/requests", {"link": unescape(given[1])})
    assert "누구인지 확인되지 않았어요" in person.text
    assert verifier.seen == []
    answer = person.post(f"{person.path}/answer", follow_redirects=False)
    assert answer.headers["location"] == "https://verifier.example/back"
    assert isinstance(verifier.received(), PresentationResponse)


def test_declining_is_one_button(town: Town) -> None:
    receive(town, LICENCE)
    person, verifier = browser(town), new_verifier(town)
    read(person, verifier.link)
    person.post(f"{person.path}/decline")
    assert "안 보냈어요" in person.text
    assert verifier.received().error == "access_denied"


def test_what_is_agreed_to_comes_before_what_is_shown(town: Town) -> None:
    receive(town, LICENCE)
    person = browser(town)
    verifier = new_verifier(town, policy_query("tax-payment"), agree=[transaction(without=("credential_ids",))])
    read(person, verifier.link)
    text = person.text
    sentence, shown = "서울특별시 마포구 (시험용)에 184,000원을 내요", "무엇을 보내나요"
    assert 0 < text.index(sentence) < text.index(shown)
    for words in ("전자납부번호", "99999-1-26-12-0000006", "2026년 12월 31일", "동의하고 보내기"):
        assert words in text
    person.post(f"{person.path}/answer")
    assert sentence in person.text
    assert "동의한 것" in person.text


def test_a_transaction_that_cannot_be_put_into_words_is_a_clear_page(town: Town) -> None:
    receive(town, LICENCE)
    person, verifier = browser(town), new_verifier(town, claims={"transaction_data": ["e30"]})
    read(person, verifier.link)
    assert "무엇에 동의하라는 것인지 알 수 없어요" in person.text
    assert len(verifier.seen) == 1
    person.get("/history")
    assert "막았어요" in person.text


def test_no_matching_card_is_a_clear_page(town: Town) -> None:
    person, verifier = browser(town), new_verifier(town)
    read(person, verifier.link)
    assert "묻는 카드가 없어요" in person.text
    person.post(f"{person.path}/decline")
    assert verifier.received().error == "access_denied"


def test_choosing_an_optional_card(town: Town) -> None:
    receive(town, LICENCE, CATALOGUE.types["resident-certificate"])
    person, verifier = browser(town), new_verifier(town)
    read(person, verifier.link)
    assert 'name="send-1"' in person.page.text
    assert 'name="send-1" value="on" checked' not in person.page.text
    person.post(f"{person.path}/answer", {"send-1": "on"})
    assert "주민등록표" in person.text


def test_a_licence_in_two_formats(town: Town) -> None:
    receive(town, LICENCE, formats=(FORMAT_SD_JWT_VC, FORMAT_MDOC))
    person, verifier = browser(town), new_verifier(town, policy_query("car-rental"))
    person.get("/")
    assert "(국제\xa0규격)" in person.text
    for card in re.findall(r'href="(/cards/[^"]+)"', person.page.text):
        person.get(card)
        assert f'src="{LICENCE.example_record["portrait"]}"' in person.page.text
        assert "org.iso" not in person.page.text
    read(person, verifier.link)
    # What stays hidden is said with each of the two cards.
    assert person.text.count("보내지 않아요 (") == 2
    assert 'name="group-0" value="1"' in person.page.text
    # The mdoc shows less, so it is the one that is chosen at first.
    assert re.search(r'name="group-0" value="0" checked', person.page.text)
    person.post(f"{person.path}/answer")
    assert "보냈어요" in person.text
    assert "국제" in person.text
    assert list(verifier.received().vp_token) == ["licence_mdoc"]


def test_deleting_asks_first(town: Town) -> None:
    receive(town, LICENCE)
    person = browser(town)
    card = re.search(r'href="(/cards/[^"]+)"', person.page.text)
    assert card is not None
    person.get(f"{card[1]}/delete")
    assert "지울까요" in person.text
    person.post(f"{card[1]}/delete")
    assert person.path.startswith("/history/")
    assert person.get(card[1]).status_code == 404


def test_an_unreachable_issuer_can_be_tried_again(town: Town) -> None:
    person = browser(town)
    town.issuer.down = "/offer"
    read(person, town.issuer.reference)
    assert person.path.startswith("/offers/")
    assert "닿지 않았어요" in person.text
    town.issuer.down = ""
    person.post(f"{person.path}/fetch")
    assert "시험경찰청" in person.text


def test_an_interrupted_offer_goes_on(town: Town) -> None:
    person = browser(town)
    read(person, town.issuer.link)
    offer = person.path
    town.issuer.down = "/credential"
    person.post(f"{offer}/accept", {"tx_code": "123456"})
    assert "이어서 할 수 있어요" in person.text
    town.issuer.down = ""
    person.post(f"{offer}/accept")
    assert "이 카드를 지갑에 넣을까요" in person.text


def test_a_card_that_was_not_put_into_the_wallet_is_found_again(town: Town) -> None:
    person = browser(town)
    read(person, town.issuer.reference)
    offer = person.path
    person.get("/")
    assert "마저 할 일" not in person.text
    person.get(offer)
    person.post(f"{offer}/accept", {"tx_code": "123456"})
    person.get("/")
    assert f'href="{offer}"' in person.page.text
    assert "시험경찰청에서 온 카드를 살펴보고 지갑에 넣어 주세요" in person.text
    assert "까지 할 수 있어요" in person.text
    person.get(offer)
    person.post(f"{offer}/keep")
    person.get("/")
    assert "마저 할 일" not in person.text


def test_an_offer_that_was_cut_short_is_found_again(town: Town) -> None:
    person = browser(town)
    ports = town.wallet.issuance_ports()
    given = take_offer_link(ports, town.owner.id, town.issuer.link)
    claim(ports, wait(fetch_offer(ports, town.owner.id, given.id)))
    person.get("/")
    assert f'href="/offers/{given.id}"' in person.page.text
    assert "아직 다 받지 못했어요" in person.text


def test_two_windows_on_one_offer(town: Town) -> None:
    person = browser(town)
    ports = town.wallet.issuance_ports()
    given = take_offer_link(ports, town.owner.id, town.issuer.link)
    claim(ports, wait(fetch_offer(ports, town.owner.id, given.id)))
    person.get(f"/offers/{given.id}")
    person.post(f"/offers/{given.id}/accept", {"tx_code": "123456"})
    assert "부터 이어서 할 수 있어요" in person.text
    assert town.issuer.called("/token") == 0
    town.clock.pass_by(UNDER_WAY)
    person.get(f"/offers/{given.id}")
    assert "부터 이어서 할 수 있어요" not in person.text
    person.post(f"/offers/{given.id}/accept", {"tx_code": "123456"})
    assert town.issuer.called("/token") == 1


def test_a_form_without_its_token_is_refused(town: Town) -> None:
    person = browser(town)
    for path in ("/scan", "/offers", "/requests", "/sign-out", "/sign-in", "/cards/x/delete", "/offers/x/accept"):
        assert person.client.post(path, data={"link": town.issuer.link}, headers=FORM).status_code == 403
    assert "카드" in person.get("/").text


def test_a_form_from_another_site_is_refused(town: Town) -> None:
    person = browser(town)
    person.get("/scan")
    token = re.search(r'name="csrf_token" value="([^"]+)"', person.page.text)
    assert token is not None
    for headers in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}):
        data = {"csrf_token": token[1], "link": town.issuer.link}
        assert person.client.post("/scan", data=data, headers=headers).status_code == 403


def test_signing_out_is_asked_first_and_says_how_to_come_back(town: Town) -> None:
    person = browser(town)
    assert 'href="/sign-out"' in person.page.text
    assert 'action="/sign-out"' not in person.page.text
    person.get("/sign-out")
    assert "새 코드가 필요해요" in person.text
    assert f"jigap wallet person code {town.owner.id}" in person.text
    assert person.get("/").url.path == "/"
    person.get("/sign-out")
    person.post("/sign-out")
    assert person.path == "/sign-in"
    assert "jigap wallet person code p02" in person.text
    assert person.get("/sign-out").url.path == "/sign-in"


def test_a_code_of_another_length_says_how_many_digits_it_has(town: Town) -> None:
    person = visitor(town)
    person.get("/sign-in")
    person.post("/sign-in", {"code": "1234-5678-901"})
    assert person.page.status_code == 400
    assert "숫자 12자리예요" in person.text
    assert 'value="1234-5678-901"' in person.page.text


def test_signing_out_shuts_the_wallet(town: Town) -> None:
    person = browser(town)
    stolen = dict(person.client.cookies)
    person.get("/sign-out")
    person.post("/sign-out")
    assert person.get("/").url.path == "/sign-in"
    other = visitor(town)
    other.client.cookies.update(stolen)
    assert other.get("/").url.path == "/sign-in"


def test_a_wrong_code_says_nothing_more(town: Town) -> None:
    person = visitor(town)
    person.get("/sign-in")
    person.post("/sign-in", {"code": "0000-0000-0000"})
    assert person.page.status_code == 403
    assert "맞지 않거나" in person.text


def test_without_the_demo_switch_nobody_signs_in(tmp_path: Any, world: Any) -> None:
    closed = new_town(tmp_path, world, demo=False)
    person = visitor(closed)
    person.get("/sign-in")
    assert "지금은 들어갈 수 없어요" in person.text
    assert "jigap wallet person" not in person.text
    assert "field-code" not in person.page.text
    from holder_app.accounts.use_cases import create_sign_in_code

    code = create_sign_in_code(closed.wallet.account_ports(), closed.owner.id)
    token = person.get("/docs")  # no form there: the token comes from the session of another page
    assert token.status_code == 200
    assert person.client.post("/sign-in", data={"code": code}, headers=FORM).status_code == 403


def test_cookies_and_headers(town: Town) -> None:
    person = visitor(town)
    page = person.get("/sign-in")
    [cookie] = page.headers.get_list("set-cookie")
    assert cookie.startswith("__Host-jigap-wallet=")
    assert all(part in cookie for part in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/"))
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert page.headers["x-frame-options"] == "DENY"
    assert "style=" not in page.text
    assert "<script>" not in page.text


def test_metadata_for_verifiers(town: Town) -> None:
    found = visitor(town).get("/.well-known/oauth-authorization-server")
    body = found.json()
    assert body["issuer"] == "https://wallet.example"
    assert body["authorization_endpoint"] == "https://wallet.example/authorize"
    assert body["response_modes_supported"] == ["direct_post", "direct_post.jwt"]
    assert found.headers["access-control-allow-origin"] == "*"


def test_client_metadata_for_issuers(town: Town) -> None:
    body = visitor(town).get("/client").json()
    assert body["client_id"] == "https://wallet.example/client"
    assert body["credential_offer_endpoint"] == "https://wallet.example/credential-offer"


def test_one_account_never_sees_another(town: Town) -> None:
    receive(town, LICENCE)
    owner, verifier = browser(town), new_verifier(town)
    read(owner, verifier.link)
    request = owner.path
    read(owner, town.issuer.link)
    offer = owner.path
    home = owner.get("/").text
    card = re.search(r'href="(/cards/[^"]+)"', home)
    record = re.search(r'href="(/history/[^"?]+)"', home)
    assert card is not None
    assert record is not None
    create_person(town.wallet.account_ports(), "김하나", "hana")
    stranger = browser(town, "hana")
    assert "아직 카드가 없어요" in stranger.text
    before = _rows(town)
    for path in (card[1], f"{card[1]}/delete", record[1], offer, request):
        assert stranger.get(path).status_code == 404, path
    stranger.get("/scan")
    token = re.search(r'name="csrf_token" value="([^"]+)"', stranger.page.text)
    assert token is not None
    steps = [f"{offer}/{step}" for step in ("fetch", "accept", "keep", "decline")]
    steps += [f"{request}/{step}" for step in ("fetch", "answer", "decline")]
    for path in [*steps, f"{card[1]}/delete"]:
        answer = stranger.client.post(path, data={"csrf_token": token[1]}, headers=FORM)
        assert answer.status_code == 404, path
    assert _rows(town) == before
    assert owner.get(card[1]).status_code == 200


def test_every_page_but_a_few_needs_a_person(town: Town) -> None:
    from fastapi.routing import APIRoute

    person = visitor(town)
    public = {"/sign-in", "/client", "/.well-known/oauth-authorization-server", "/healthz", "/docs", "/openapi.json"}
    public |= {"/callback"}  # says that nobody is waited for here; nothing of a person (protocols.md 24)
    routes = [route for route in _routes(person.client.app) if isinstance(route, APIRoute) and "GET" in route.methods]
    assert len(routes) > 10
    for route in routes:
        if route.path not in public:
            path = re.sub(r"\{\w+\}", "x", route.path)
            assert person.get(path).url.path == "/sign-in", path


def _routes(app: Any) -> list[Any]:
    found: list[Any] = []
    for route in app.routes:
        inner = getattr(route, "original_router", None) or getattr(route, "router", None)
        found += inner.routes if inner is not None else [route]
    return found


def test_what_lies_in_the_database_tells_nothing(town: Town) -> None:
    receive(town, LICENCE)
    person, verifier = browser(town), new_verifier(town)
    read(person, verifier.link)
    person.post(f"{person.path}/answer")
    read(person, town.issuer.link)
    folder = Path(town.wallet.settings.database_url.removeprefix("sqlite:///")).parent
    content = b"".join(file.read_bytes() for file in folder.glob("wallet.db*"))
    claims = LICENCE.example_record
    secrets = [
        NAME,
        claims["document_number"],
        claims["birth_date"],
        "월드컵로",
        "the-code",
        "바람렌터카",
        "한지우",
        "eyJhbGciOi",
    ]
    assert [secret for secret in secrets if str(secret).encode() in content] == []
    assert b"wallet_card" in content


def test_nothing_personal_is_logged(town: Town) -> None:
    from io import StringIO

    from wallet_core.adapters import log

    lines = StringIO()
    log.configure(stream=lines)
    receive(town, LICENCE)
    person, verifier = browser(town), new_verifier(town)
    read(person, verifier.link)
    person.post(f"{person.path}/answer")
    read(person, town.issuer.link)
    person.post(f"{person.path}/accept", {"tx_code": "987654"})
    new_verifier(town, status=404)
    read(person, verifier.link)
    person.get("/cards/unknown")
    text = lines.getvalue()
    assert '"/requests/{presentation_id}/answer"' in text
    claims = LICENCE.example_record
    secrets = [NAME, claims["document_number"], claims["birth_date"], "the-code", "987654", "eyJhbGciOi"]
    assert [secret for secret in secrets if str(secret) in text] == []


def _rows(town: Town) -> list[int]:
    tables = ("wallet_card", "wallet_copy", "wallet_history", "wallet_issuance", "wallet_presentation")
    with town.wallet.database.unit() as unit:
        return [unit.connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar() or 0 for table in tables]  # noqa: S608


def test_the_form_data_of_a_policy_with_alternatives(town: Town) -> None:
    receive(town, LICENCE, CATALOGUE.types["resident-card"])
    person, verifier = browser(town), new_verifier(town, policy_query("adult-check"))
    read(person, verifier.link)
    assert 'name="group-0" value="1"' in person.page.text
    person.post(f"{person.path}/answer", {"group-0": "1"})
    assert "보냈어요" in person.text


def test_a_card_that_says_something_else_is_not_called_missing(town: Town) -> None:
    """Whoever asks for adults hears the same of a minor's card and of no card."""
    person = browser(town)
    missing, answers = new_verifier(town, policy_query("adult-check")), []
    read(person, missing.link)
    assert "카드부터 받기" in person.text
    person.post(f"{person.path}/decline")
    answers.append((missing.received().error, len(missing.seen)))
    claims = LICENCE.prepare_claims({**LICENCE.example_record, "birth_date": "2008-03-02"}, today=NOW.date())
    town.issuer.changes = {"claims": claims}
    receive(town, LICENCE)
    verifier = new_verifier(town, policy_query("adult-check"))
    read(person, verifier.link)
    assert "카드는 있지만 답이 달라요" in person.text
    assert LICENCE.name.ko in person.text
    assert "아니요" in person.text
    assert "카드부터 받기" not in person.text
    person.post(f"{person.path}/decline")
    answers.append((verifier.received().error, len(verifier.seen)))
    assert answers == [("access_denied", 2)] * 2
