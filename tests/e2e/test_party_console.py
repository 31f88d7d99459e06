"""Staff pages beside the desk: policies and queries tried, results with filters, the certificate calendar, API keys."""

import html as html_module
import json
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from tests.e2e.test_verifier_console import PAGE, POLICY, Staff, opened, signed_in
from tests.support.html import assert_whole
from tests.support.presentations import CLAIMS, query
from tests.support.transactions import transaction
from tests.support.verifying import HOST, PARTY, VerifierUnderTest, add_access_key
from verifier.console.calendar import Entry, calendar
from verifier.relying_parties.ports import registration_of
from wallet_core.encoding import base64url
from wallet_core.trust.calendar import WARN_BEFORE

PAGES = [
    "/console/policies", f"/console/policies/{POLICY}", "/console/try", "/console/checks", "/console/certificates",
    "/console/keys",
]  # fmt: skip


@pytest.fixture
def staff(sqlite_verifier: VerifierUnderTest) -> Iterator[Staff]:
    """A browser of the party's staff, signed in."""
    with signed_in(sqlite_verifier) as found:
        yield found


def text_of(page: str) -> str:
    return html_module.unescape(page)


@pytest.mark.parametrize(
    "path",
    [*PAGES, "/console/asked/x", "/console/asked/x/forget-claims", "/console/keys/x/rotate", "/console/keys/x/revoke"],
)
def test_every_page_is_behind_the_sign_in(sqlite_verifier: VerifierUnderTest, path: str) -> None:
    stranger = opened(sqlite_verifier, demo=True)
    answer = stranger.client.get(HOST + path, headers=PAGE, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/sign-in")
    opened(sqlite_verifier).get(path, 403)


@pytest.mark.parametrize("path", ["/console/try", "/console/keys", "/console/keys/x/rotate", "/console/keys/x/revoke"])
def test_every_form_needs_its_token(staff: Staff, path: str) -> None:
    for headers in ({"Origin": HOST}, {"Origin": "https://elsewhere.example"}):
        answer = staff.client.post(HOST + path, data={"label": "x", "scope": "console"}, headers={**PAGE, **headers})
        assert answer.status_code == 403


@pytest.mark.parametrize("path", PAGES)
def test_every_page_is_whole_in_both_languages(staff: Staff, path: str) -> None:
    assert_whole(staff.get(path))
    assert 'lang="en"' in staff.get(f"{path}?lang=en")


# --- policies ---------------------------------------------------------------------------------------------------------
def test_a_policy_is_shown_whole(staff: Staff) -> None:
    assert "성인 확인" in staff.get("/console/policies")
    page = text_of(staff.get(f"/console/policies/{POLICY}"))
    assert "성인인지" in page
    assert "묻지 않아요" in page
    assert "90일 동안 남겨요" in page
    assert '"dcql_query"' not in page
    assert '"credentials": [' in page
    staff.get("/console/policies/unheard-of", 404)


def test_a_test_request_of_a_policy_shows_its_code(staff: Staff) -> None:
    answer = staff.post("/console/checks", f"/console/policies/{POLICY}", policy=POLICY)
    assert "openid4vp://" in staff.get(answer.headers["location"])


def test_a_test_request_with_something_to_agree_to_is_filled_in_first(staff: Staff) -> None:
    assert 'href="/console/ask?policy=tax-payment"' in staff.get("/console/policies/tax-payment")
    staff.get("/console/ask?policy=tax-payment")


def test_what_a_program_let_people_agree_to_is_shown(staff: Staff) -> None:
    made = staff.under_test.ask(dcql_query=query(("name",)), transaction_data=[transaction()])
    staff.under_test.present(made["authorization_request"])
    assert 'class="tag tag--ok"' in staff.get(f"/console/asked/{made['id']}")
    assert "동의" in staff.get(f"/console/asked/{made['id']}")


def tried(staff: Staff, asked: Any) -> str:
    answer = staff.post("/console/try", "/console/try", query=json.dumps(asked))
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


def test_a_query_of_its_own_is_tried(staff: Staff) -> None:
    page = tried(staff, query(("name",), ("age_over_19",)))
    shown = text_of(staff.get(page))
    link = re.search(r"openid4vp://[^<\s\"]+", shown)
    assert link
    assert staff.state(page) == "requested"
    staff.under_test.present(link[0])
    assert staff.state(page) == "verified"
    assert CLAIMS["name"] in text_of(staff.get(page))
    # Without a policy it is kept for some minutes only; the checks stay.
    staff.under_test.clock.advance(301)
    later = text_of(staff.get(page))
    assert CLAIMS["name"] not in later
    assert "지웠어요" in later


@pytest.mark.parametrize(
    "asked",
    [
        "",
        "{",
        "[]",
        '{"credentials": []}',
        '{"a": 1, "a": 2}',
        '{"credentials": [{"id": "x", "format": "jwt_vc_json"}]}',
    ],
    ids=["nothing", "broken", "list", "empty", "twice", "format"],
)
def test_a_query_that_cannot_be_asked_says_why_and_stays(staff: Staff, asked: str) -> None:
    answer = staff.post("/console/try", "/console/try", query=asked)
    assert answer.status_code == 400
    assert_whole(answer.text)
    assert "이 질문으로는 물을 수 없어요" in answer.text
    assert html_module.escape(asked, quote=False).replace('"', "&#34;") in answer.text


def test_what_another_party_asked_is_not_there(staff: Staff) -> None:
    others = staff.under_test.ask(party="dodam-bank")
    staff.get(f"/console/asked/{others['id']}", 404)
    staff.get(f"/console/asked/{others['id']}/state", 404)
    assert others["id"] not in staff.get("/console/checks")


# --- results ----------------------------------------------------------------------------------------------------------
def rows(page: str) -> list[str]:
    return re.findall(r'<a class="row[^"]*" href="(/console/(?:asked|checks)/[^"]+)"', page)


def test_results_are_filtered_by_state_and_policy(staff: Staff) -> None:
    under_test = staff.under_test
    verified = under_test.ask()
    under_test.present(verified["authorization_request"])
    # Ids grow with time, so that of one millisecond has no order.
    under_test.clock.advance(0.01)
    waiting = under_test.ask(policy=POLICY)
    under_test.clock.advance(0.01)
    expired = under_test.ask(policy=POLICY)

    def listed(**wanted: str) -> list[str]:
        address = "&".join(f"{name}={value}" for name, value in wanted.items())
        return [href.rpartition("/")[2] for href in rows(staff.get(f"/console/checks?{address}"))]

    assert listed() == [expired["id"], waiting["id"], verified["id"]]
    assert listed(state="verified") == [verified["id"]]
    assert listed(state="requested", policy=POLICY) == [expired["id"], waiting["id"]]
    assert listed(policy="own") == [verified["id"]]
    assert listed(state="refused") == listed(policy="unheard-of") == listed(state="nonsense") == []
    # What time has ended is expired at once, before any job has stored it.
    under_test.clock.advance(301)
    assert listed(state="requested") == []
    assert listed(state="expired") == [expired["id"], waiting["id"]]
    shown = text_of(staff.get(f"/console/asked/{expired['id']}"))
    assert "답이 오지 않았어요" in shown


def test_the_request_left_over_beside_an_answered_one_is_no_expired_check(staff: Staff) -> None:
    staff.under_test.held = staff.under_test.world.held(
        claims={"adult_by_year": True}, selectively_disclosable=[("adult_by_year",)]
    )
    page, across, _ = staff.start()
    staff.under_test.present(across)
    assert rows(staff.get("/console/checks?state=verified")) == [page]
    assert rows(staff.get("/console/checks?state=expired")) == []


def test_pages_of_a_filtered_list_keep_the_filter(staff: Staff) -> None:
    for _ in range(51):
        staff.under_test.clock.advance(0.01)
        staff.under_test.ask(policy=POLICY)
    first = text_of(staff.get(f"/console/checks?policy={POLICY}&state=requested"))
    following = re.search(r'href="(/console/checks\?cursor=[^"]+)"', first)
    assert following
    assert len(rows(first)) == 50
    assert "policy=adult-check" in following[1]
    assert len(rows(staff.get(following[1]))) == 1


def test_a_list_shows_no_claims(staff: Staff) -> None:
    made = staff.under_test.ask()
    staff.under_test.present(made["authorization_request"])
    assert CLAIMS["name"] in text_of(staff.get(f"/console/asked/{made['id']}"))
    assert CLAIMS["name"] not in text_of(staff.get("/console/checks"))


def test_a_refusal_says_where_it_stopped_and_why(staff: Staff) -> None:
    made = staff.under_test.ask()
    pending = staff.under_test.prepare(staff.under_test.resolve(made["authorization_request"]))
    token = {
        name: [text[:-9] + "AAAAAAAAA" for text in texts] for name, texts in staff.under_test.vp_token(pending).items()
    }
    staff.under_test.post(pending.resolved, token)
    page = text_of(staff.get(f"/console/asked/{made['id']}"))
    result = staff.under_test.result(made["id"])
    assert result["error_description"] in page
    assert page.count('id="failed-check"') == 1


# --- the calendar -----------------------------------------------------------------------------------------------------
def test_the_calendar_shows_what_ends_and_what_to_do(staff: Staff) -> None:
    under_test = staff.under_test
    store, ca = under_test.verifier.keys, under_test.world.verifier_ca
    add_access_key(store, ca, f"{PARTY}.2")
    page = text_of(staff.get("/console/certificates"))
    assert page.count("접근 인증서") == 2
    assert "지금 요청에 서명해요" in page
    assert "때가 되면 이것으로 바꿔 주세요" in page
    assert "관리자가 고른 뿌리예요" in page
    assert "규칙 등록 증명" not in page
    ends = under_test.clock.now() + timedelta(days=20)
    filed = json.dumps({"iat": int(ends.timestamp()) - 86_400 * 300, "exp": int(ends.timestamp())}).encode()
    store.add_statement(PARTY, registration_of("car-rental"), f"e30.{base64url.encode(filed)}.AA")
    page = text_of(staff.get("/console/certificates"))
    assert page.count("규칙 등록 증명") == 1
    assert "끝나기 전에 등록 기관에서 새로 받아 주세요" in page
    store.rotate(PARTY, f"{PARTY}.2")
    assert "다른 인증서로 바꿨어요" in text_of(staff.get("/console/certificates"))


def test_what_ends_first_stands_first(staff: Staff) -> None:
    now = staff.under_test.clock.now()
    day = timedelta(days=1)

    def entry(name: str, ends: int | None, renewal: Any = "trusted", begins: int = -100) -> Entry:
        return Entry("anchor", name, now + begins * day, None if ends is None else now + ends * day, renewal)

    entries = [
        entry("idle", 1, "rotated_out"), entry("endless", None), entry("late", 400), entry("soon", 20),
        entry("over", -2), entry("early", 300, begins=5),
    ]  # fmt: skip
    ordered = calendar(entries, now=now)
    assert [each.name for each in ordered] == ["over", "soon", "early", "late", "endless", "idle"]
    assert [each.urgency(now) for each in ordered] == ["over", "soon", "early", "later", "later", "idle"]
    assert [each.days_left(now) for each in ordered] == [-2, 20, 300, 400, None, 1]
    edge = Entry("anchor", "edge", now - day, now + WARN_BEFORE, "trusted")
    assert edge.urgency(now) == "soon"
    assert edge.urgency(now - timedelta(seconds=1)) == "later"
    assert edge.urgency(now + WARN_BEFORE) == "over"


# --- keys -------------------------------------------------------------------------------------------------------------
def call(staff: Staff, key: str) -> int:
    url = f"{HOST}/api/v1/presentations"
    return int(staff.under_test.client.get(url, headers={"Authorization": f"Bearer {key}"}).status_code)


def made_key(answer: Any) -> tuple[str, str]:
    """The id and the text on the page that shows them once."""
    assert answer.status_code == 201, answer.text
    assert_whole(answer.text)
    key = re.search(r">(jgk_[\w-]+)<", answer.text)
    key_id = re.search(r">([0-9a-f]{16})<", answer.text)
    assert key
    assert key_id
    return key_id[1], key[1]


def test_a_key_is_made_shown_once_rotated_and_revoked(staff: Staff) -> None:
    fields = {"label": "web shop", "scope": ["presentations:read", "presentations:write"], "days": "90"}
    first_id, first = made_key(staff.post("/console/keys", "/console/keys", **fields))
    assert call(staff, first) == 200
    listed = staff.get("/console/keys")
    assert "web shop" in listed
    assert first_id in listed
    assert first not in listed

    rotate = f"/console/keys/{first_id}/rotate"
    second_id, second = made_key(staff.post(rotate, rotate, overlap="1", days="0"))
    assert (call(staff, first), call(staff, second)) == (200, 200)
    assert "곧 끝남" in staff.get("/console/keys")
    staff.under_test.clock.advance(86_400)
    staff.client.cookies.clear()
    staff.sign_in()
    assert (call(staff, first), call(staff, second)) == (401, 200)

    revoke = f"/console/keys/{second_id}/revoke"
    assert staff.post(revoke, revoke).headers["location"] == "/console/keys"
    assert call(staff, second) == 401
    assert "막음" in staff.get("/console/keys")
    staff.get(f"/console/keys/{second_id}/revoke", 200)
    assert staff.post(revoke, revoke).status_code == 404
    assert staff.post(f"/console/keys/{second_id}/rotate", revoke, overlap="1").status_code == 400


@pytest.mark.parametrize("what", ["make", "rotate"])
def test_a_page_with_a_new_key_that_is_loaded_again_makes_no_second_key(staff: Staff, what: str) -> None:
    page = path = "/console/keys"
    fields = {"label": "web shop", "scope": "presentations:read"}
    if what == "rotate":
        first_id, _ = made_key(staff.post(path, page, **fields))
        page = path = f"/console/keys/{first_id}/rotate"
    form = dict(re.findall(r'name="(csrf_token|once)" value="([^"]+)"', staff.get(page)))

    def send(**more: str) -> Any:
        data = form | fields | more
        return staff.client.post(HOST + path, data=data, headers={**PAGE, "Origin": HOST}, follow_redirects=False)

    _, key = made_key(send())
    keys = staff.get("/console/keys").count("/revoke")
    for again in (send(), send(label="other")):
        assert (again.status_code, again.headers["location"]) == (303, "/console/keys?repeated=1")
    shown = staff.get("/console/keys?repeated=1")
    assert "열쇠를 또 만들지 않았어요" in shown
    assert shown.count("/revoke") == keys
    assert call(staff, key) == 200


def test_a_form_that_was_refused_can_be_sent_again(staff: Staff) -> None:
    form = dict(re.findall(r'name="(csrf_token|once)" value="([^"]+)"', staff.get("/console/keys")))
    for label, status in (("", 400), ("web shop", 201)):
        fields = form | {"label": label, "scope": "console"}
        answer = staff.client.post(f"{HOST}/console/keys", data=fields, headers={**PAGE, "Origin": HOST})
        assert answer.status_code == status


def test_no_language_link_takes_the_only_sight_of_a_key_away(staff: Staff) -> None:
    answer = staff.post("/console/keys", "/console/keys", label="web shop", scope="presentations:read")
    made_key(answer)
    assert "hreflang" not in answer.text
    assert "언어는 다음 화면에서 바꿔 주세요" in answer.text


@pytest.mark.parametrize(
    "fields",
    [
        {"label": "", "scope": "console"},
        {"label": "x" * 61, "scope": "console"},
        {"label": "x"},
        {"label": "x", "scope": "all"},
    ],
    ids=["no-name", "long-name", "no-scope", "unknown-scope"],
)
def test_a_key_that_makes_no_sense_is_not_made(staff: Staff, fields: dict[str, str]) -> None:
    answer = staff.post("/console/keys", "/console/keys", **fields)
    assert answer.status_code == 400
    assert "jgk_" not in answer.text
    assert answer.text.count("/revoke") == staff.get("/console/keys").count("/revoke")


def test_the_keys_of_others_are_not_there(staff: Staff) -> None:
    others = opened(staff.under_test, demo=True)
    others.sign_in("dodam-bank")
    key_id, key = made_key(others.post("/console/keys", "/console/keys", label="theirs", scope="presentations:read"))
    assert "theirs" not in staff.get("/console/keys")
    for what in ("rotate", "revoke"):
        staff.get(f"/console/keys/{key_id}/{what}", 404)
        assert staff.post(f"/console/keys/{key_id}/{what}", "/console/keys").status_code == 404
    assert call(staff, key) == 200


def test_a_revoked_key_closes_the_console_that_it_opened(staff: Staff) -> None:
    key_id, key = made_key(staff.post("/console/keys", "/console/keys", label="counter", scope="console"))
    counter = opened(staff.under_test, demo=True)
    counter.post("/console/sign-in", "/console/sign-in", api_key=key)
    counter.get("/console")
    revoke = f"/console/keys/{key_id}/revoke"
    staff.post(revoke, revoke)
    counter.get("/console", 303)
    counter.get("/console/checks", 303)
    staff.get("/console")
