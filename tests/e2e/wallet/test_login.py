"""Asking an agency for a certificate, as a person without script does: choose, log in there, come back, keep."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from holder_app.accounts.ports import AccountId
from holder_app.accounts.use_cases import create_person
from holder_app.issuance.states import Waiting
from holder_app.issuance.use_cases import show_issuance
from holder_app.tasks import create_worker
from tests.simulators.issuer import ISSUER
from tests.support.browsing import Person, browser, visitor
from tests.support.logins import LoginIssuer, choose_licence, go_to_login, with_login
from tests.support.presentations import Agency, World, new_ca
from tests.support.wallets import LICENCE, Town, new_town
from wallet_core.http import HttpRequest, HttpResponse
from wallet_core.keys.jwk import thumbprint
from wallet_core.keys.signer import CertifiedSigner
from wallet_core.protocols.openid4vci.signed_metadata import create_signed_metadata
from wallet_core.trust.policy import Grant
from wallet_core.trust.trust_list import Period
from wallet_core.types import CredentialIssuerId


@pytest.fixture
def town(tmp_path: Path, world: World) -> Town:
    return new_town(tmp_path, world, issuers=(ISSUER,))


def logged_in(town: Town, issuer: LoginIssuer, person: Person) -> str:
    """From the list of agencies to the page after the login."""
    path = choose_licence(person)
    url = go_to_login(person, path)
    person.get(f"/callback?{issuer.approve(url)}")
    assert person.path == path
    return path


def test_from_the_list_of_agencies_to_the_card(town: Town) -> None:
    issuer, person = with_login(town), browser(town)
    assert "증명서 추가" in person.text
    person.get("/add")
    assert "issuer.example" in person.text
    assert issuer.seen == []
    person.get(f"/add/issuer?id={ISSUER}")
    assert LICENCE.name.ko in person.text
    person.post("/add", {"issuer": ISSUER})
    assert "하나 골라" in person.text
    path = choose_licence(person)
    assert "issuer.example에서 로그인해요" in person.text
    assert "form-action 'self' https://issuer.example" in person.page.headers["content-security-policy"]
    url = go_to_login(person, path)
    assert url.startswith(f"{ISSUER}/authorize?")
    person.get(path)
    assert "로그인하는 중" in person.text
    person.get(f"/callback?{issuer.approve(url)}")
    assert (person.path, person.page.url.query) == (path, b"")
    assert "이 카드를 지갑에 넣을까요" in person.text
    person.post(f"{path}/keep")
    assert "지갑에 넣었어요" in person.text


def test_in_english(town: Town) -> None:
    issuer, person = with_login(town), browser(town)
    person.get("/add?lang=en")
    assert "From which agency?" in person.text
    path = choose_licence(person)
    assert "You log in at issuer.example" in person.text
    issuer.answer = {"code": None, "error": "access_denied"}
    person.get(f"/callback?{issuer.approve(go_to_login(person, path))}")
    assert "You stopped logging in" in person.text


@pytest.mark.parametrize(
    ("names", "korean", "english"),
    [
        ({"ko": "시험경찰청", "en": "Test Police"}, "시험경찰청", "Test Police"),
        ({"ko": "시험경찰청"}, "시험경찰청", "시험경찰청"),
        ({"en": "Test Police"}, "Test Police", "Test Police"),
    ],
)
def test_agencies_have_their_names_in_the_language_of_the_page(
    town: Town, names: dict[str, str], korean: str, english: str
) -> None:
    grant = Grant(names.get("ko") or names["en"], {}, Period(), None, names=names)
    town.wallet = replace(town.wallet, issuers=replace(town.wallet.issuers, by_issuer={ISSUER: [grant]}))
    with_login(town)
    person = browser(town)
    for language, name in (("ko", korean), ("en", english)):
        for path in (f"/add?lang={language}", f"/add/issuer?id={ISSUER}"):
            person.get(path)
            assert name in person.text
            assert not [other for other in names.values() if other != name and other in person.text]


def test_an_offer_that_asks_to_log_in(town: Town) -> None:
    issuer, person = with_login(town), browser(town)
    issuer.offer = {
        "credential_issuer": ISSUER,
        "credential_configuration_ids": [LICENCE.configuration_id],
        "grants": {"authorization_code": {"issuer_state": "from-the-counter"}},
    }
    person.get(f"/credential-offer?credential_offer={quote(issuer.link.partition('credential_offer=')[2], safe='%')}")
    person.get("/scan")
    person.post("/scan", {"link": issuer.link})
    person.post(f"{person.path}/fetch")
    path = person.path
    url = go_to_login(person, path)
    assert issuer.pushed["issuer_state"] == "from-the-counter"
    person.get(f"/callback?{issuer.approve(url)}")
    assert "이 카드를 지갑에 넣을까요" in person.text


def test_an_offer_with_both_grants_shows_both_ways(town: Town) -> None:
    issuer, person = with_login(town), browser(town)
    issuer.offer["grants"]["authorization_code"] = {"issuer_state": "s"}
    person.get("/scan")
    person.post("/scan", {"link": issuer.link})
    person.post(f"{person.path}/fetch")
    assert "확인 번호" in person.text
    assert "번호 없이 기관에 로그인해서 받기" in person.text
    path = person.path
    person.get(f"/callback?{issuer.approve(go_to_login(person, path))}")
    assert person.path == path
    assert "이 카드를 지갑에 넣을까요" in person.text


@pytest.mark.clause("oauth-6749.10.12-session")
def test_an_answer_works_once_and_in_one_browser_only(town: Town) -> None:
    issuer, person = with_login(town), browser(town)
    create_person(town.wallet.account_ports(), "박서준", "seojun")
    path = choose_licence(person)
    answer = issuer.approve(go_to_login(person, path))
    for other in (visitor(town), browser(town), browser(town, "seojun")):
        assert other.get(f"/callback?{answer}").status_code == 403
        assert "여기서 시작한 로그인이 아니에요" in other.text
    assert issuer.called("/oauth/token") == 0
    person.get(f"/callback?{answer}")
    assert person.path == path
    assert person.get(f"/callback?{answer}").status_code == 403
    assert issuer.called("/oauth/token") == 1


@pytest.mark.clause("oauth-6749.10.12-session")
@pytest.mark.parametrize("query", ["", "state=unknown&code=c", "state=a&state=b", "code=%FF", "state=%01"])
def test_answers_to_nothing_that_was_asked(town: Town, query: str) -> None:
    person = browser(town)
    assert person.get(f"/callback?{query}").status_code == 403


def test_what_a_page_loads_by_itself_is_not_an_answer(town: Town) -> None:
    issuer, person = with_login(town), browser(town)
    path = choose_licence(person)
    answer = issuer.approve(go_to_login(person, path))
    answered = person.client.get(f"/callback?{answer}", headers={"sec-fetch-mode": "no-cors"})
    assert answered.status_code == 403
    assert issuer.called("/oauth/token") == 0


def test_a_second_worker_finishes_what_the_first_began(town: Town) -> None:
    issuer, person = with_login(town), browser(town)
    path = choose_licence(person)
    answer = issuer.approve(go_to_login(person, path))
    second = visitor(town.reopened())
    second.client.cookies = person.client.cookies
    second.get(f"/callback?{answer}")
    assert second.path == path
    assert "이 카드를 지갑에 넣을까요" in second.text


def test_an_answer_that_comes_too_late(town: Town) -> None:
    issuer, person = with_login(town), browser(town)
    answer = issuer.approve(go_to_login(person, choose_licence(person)))
    town.clock.pass_by(timedelta(minutes=40))
    assert person.get(f"/callback?{answer}").status_code == 403


def test_the_older_of_two_logins_is_for_nothing(town: Town) -> None:
    issuer, person = with_login(town), browser(town)
    path = choose_licence(person)
    older = issuer.approve(go_to_login(person, path))
    person.get(path)
    newer = issuer.approve(go_to_login(person, path))
    assert person.get(f"/callback?{older}").status_code == 403
    person.get(f"/callback?{newer}")
    assert "이 카드를 지갑에 넣을까요" in person.text


@pytest.mark.parametrize("iss", ["https://honest.example", None])
def test_a_mix_up_is_blocked_and_stands_in_the_history(town: Town, iss: str | None) -> None:
    issuer, person = with_login(town, answer={"iss": iss}), browser(town)
    logged_in(town, issuer, person)
    assert "다른 곳에서 온 답이라 막았어요" in person.text
    assert issuer.called("/oauth/token") == 0
    person.get("/history")
    assert "막았어요" in person.text


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("access_denied", "로그인을 그만뒀어요"),
        ("temporarily_unavailable", "지금은 로그인을 받지 못해요"),
        ("invalid_scope", "기관이 로그인을 받지 않았어요"),
    ],
)
def test_errors_of_the_login_page(town: Town, error: str, words: str) -> None:
    issuer, person = with_login(town, answer={"code": None, "error": error}), browser(town)
    logged_in(town, issuer, person)
    assert words in person.text


def test_who_cancelled_can_log_in_again(town: Town) -> None:
    issuer, person = with_login(town, answer={"code": None, "error": "access_denied"}), browser(town)
    path = logged_in(town, issuer, person)
    issuer.answer = {}
    person.get(f"/callback?{issuer.approve(go_to_login(person, path))}")
    assert "이 카드를 지갑에 넣을까요" in person.text


def test_a_code_that_is_over_leads_back_to_the_login(town: Town) -> None:
    issuer, person = with_login(town), browser(town)
    issuer.refuse["/agencies/police/oauth/token"] = issuer.reply({"error": "invalid_grant"}, 400)
    logged_in(town, issuer, person)
    assert "로그인한 지 너무 오래됐어요" in person.text


def test_a_server_that_was_not_reached_gets_the_code_again(town: Town) -> None:
    issuer, person = with_login(town), browser(town)
    path = choose_licence(person)
    answer = issuer.approve(go_to_login(person, path))
    issuer.down = "/oauth/token"
    person.get(f"/callback?{answer}")
    assert person.path == path
    assert "서버" in person.text or "닿지" in person.text
    issuer.down = ""
    person.post(f"{path}/accept")
    assert "이 카드를 지갑에 넣을까요" in person.text


def test_a_refused_request_ends_it(town: Town) -> None:
    issuer, person = with_login(town), browser(town)
    issuer.refuse["/agencies/police/oauth/par"] = issuer.reply({"error": "invalid_client"}, 401)
    path = choose_licence(person)
    assert go_to_login(person, path) == path
    person.get(path)
    assert "기관이 로그인을 받지 않았어요" in person.text


def test_an_issuer_nobody_knows_is_not_fetched(town: Town) -> None:
    issuer, person = with_login(town), browser(town)
    assert person.get("/add/issuer?id=https://elsewhere.example").status_code == 404
    person.get("/scan")
    assert person.post("/add", {"issuer": "https://elsewhere.example", "configuration": "x"}).status_code == 404
    assert issuer.seen == []


def test_an_issuer_that_does_not_answer(town: Town) -> None:
    issuer, person = with_login(town), browser(town)
    issuer.down = ".well-known/openid-credential-issuer/agencies/police"
    assert person.get(f"/add/issuer?id={ISSUER}").status_code == 502
    assert "issuer.example에서 답이 없어요" in person.text
    issuer.down = ""
    issuer.refuse["/.well-known/openid-credential-issuer/agencies/police"] = HttpResponse(500)
    assert person.get(f"/add/issuer?id={ISSUER}").status_code == 502


@pytest.mark.clause("vci-12.2.3-trusted")
def test_an_agency_whose_metadata_somebody_else_signs_is_not_shown(town: Town) -> None:
    issuer, person, stranger = with_login(town), browser(town), Agency(new_ca())

    def signing(request: HttpRequest) -> HttpResponse:
        answer = issuer(request)
        signer = CertifiedSigner(stranger.signer, stranger.chain())
        text = create_signed_metadata(json.loads(answer.body), signer, now=town.clock.now())
        return HttpResponse(200, {"content-type": "application/jwt"}, text.encode())

    person.get(f"/add/issuer?id={ISSUER}")
    town.network.hosts["issuer.example"] = signing
    shown = person.page
    assert person.get(f"/add/issuer?id={ISSUER}").status_code == 502
    person.page = shown
    assert person.post("/add", {"issuer": ISSUER, "configuration": LICENCE.configuration_id}).status_code == 502


def deferred(town: Town, issuer: LoginIssuer, person: Person) -> str:
    issuer.deferrals = 1
    path = logged_in(town, issuer, person)
    assert "심사하고 있어요" in person.text
    return path


def test_a_deferred_certificate_comes_by_itself(town: Town) -> None:
    issuer, person = with_login(town), browser(town)
    path = deferred(town, issuer, person)
    person.get("/")
    assert "심사를 기다려요" in person.text
    worker = create_worker(town.wallet)
    worker.run_due()
    assert issuer.called("/deferred") == 0
    state = show_issuance(town.wallet.issuance_ports(), town.owner.id, path.rpartition("/")[2]).state
    assert isinstance(state, Waiting)
    town.clock.pass_by(timedelta(seconds=61))
    person.get(path)
    person.post(f"{path}/ask")
    assert "지갑에 넣었어요" in person.text
    assert issuer.called("/deferred") == 1
    person.get("/history")
    assert "받았어요" in person.text


@pytest.mark.clause("vci-9.2-interval")
def test_nobody_asks_before_the_interval_is_over(town: Town) -> None:
    issuer, person = with_login(town), browser(town)
    path = deferred(town, issuer, person)
    person.post(f"{path}/ask")
    assert "조금만 더 기다려 주세요" in person.text
    assert issuer.called("/deferred") == 0


def test_an_agency_that_decides_against_it(town: Town) -> None:
    issuer, person = with_login(town), browser(town)
    path = deferred(town, issuer, person)
    issuer.refuse["/agencies/police/deferred"] = issuer.reply({"error": "credential_request_denied"}, 400)
    town.clock.pass_by(timedelta(seconds=61))
    person.post(f"{path}/ask")
    assert "주지 않기로 했어요" in person.text


def test_trouble_while_waiting_passes(town: Town) -> None:
    issuer, person = with_login(town), browser(town)
    path = deferred(town, issuer, person)
    issuer.down = "/deferred"
    town.clock.pass_by(timedelta(seconds=61))
    person.post(f"{path}/ask")
    assert "답을 듣지 못했어요" in person.text
    issuer.down = ""
    town.clock.pass_by(timedelta(minutes=11))
    person.post(f"{path}/ask")
    assert "지갑에 넣었어요" in person.text


def test_who_does_not_want_to_wait_any_more(town: Town) -> None:
    issuer, person = with_login(town), browser(town)
    path = deferred(town, issuer, person)
    person.post(f"{path}/decline")
    assert "받지 않았어요" in person.text
    person.get("/")
    assert "심사를 기다려요" not in person.text


def test_what_other_software_reads_about_this_wallet(town: Town) -> None:
    metadata = visitor(town).get("/client").json()
    assert metadata["client_id"] == "https://wallet.example/client"
    assert metadata["redirect_uris"] == ["https://wallet.example/callback"]
    assert metadata["token_endpoint_auth_method"] == "none"
    assert metadata["credential_offer_endpoint"] == "https://wallet.example/credential-offer"


def test_one_key_for_each_person_and_issuer(town: Town) -> None:
    def key(town: Town, account: str, issuer: str) -> bytes:
        return thumbprint(town.wallet.identity.instance_key(AccountId(account), CredentialIssuerId(issuer)).public_key)

    keys = {key(town, account, at) for account in ("jiwoo", "seojun") for at in (ISSUER, "https://other.example")}
    assert len(keys) == 4
    assert key(town.reopened(), "jiwoo", ISSUER) in keys


def test_nothing_of_the_login_stands_in_an_address_of_ours(town: Town) -> None:
    issuer, person = with_login(town), browser(town)
    path = choose_licence(person)
    url = go_to_login(person, path)
    assert set(parse_qs(urlsplit(url).query)) == {"client_id", "request_uri"}
    person.get(f"/callback?{issuer.approve(url)}")
    assert person.page.history[0].headers["location"] == path
