"""The console over the whole app: what staff see and do, without a browser."""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from starlette.testclient import TestClient

from issuer.app import create_app
from issuer.console import record_pages
from issuer.issuance.use_cases import issued_cards
from issuer.issuance.use_cases.decisions import list_waiting
from issuer.issuance.use_cases.offers import show_offer_again
from tests.simulators import run_flow
from tests.support.html import assert_whole
from tests.support.issuing import HOST, NOW, IssuerUnderTest, add_document_signer, sign_proofs
from tests.support.mdoc_presentations import new_iaca
from wallet_core.catalogue.records import Record, format_records
from wallet_core.jose import jws
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.protocols.openid4vci.messages import NotificationEvent
from wallet_core.protocols.openid4vci.pending import IssuedCredentials, ProofsToSign
from wallet_core.protocols.openid4vci.wallet import notify

WALLET = "https://wallet.example"


@dataclass
class Staff:
    """A browser at the console."""

    under_test: IssuerUnderTest
    client: TestClient

    def get(self, path: str, status: int = 200) -> str:
        answer = self.client.get(HOST + path, headers={"Accept": "text/html"}, follow_redirects=False)
        assert answer.status_code == status, answer.text
        if status == 200:
            assert_whole(answer.text)
        return str(answer.text)

    def post(self, path: str, page: str, **fields: Any) -> Any:
        token = re.search(r'name="csrf_token" value="([^"]+)"', self.get(page))
        assert token
        files = fields.pop("files", None)
        return self.client.post(
            HOST + path,
            data={"csrf_token": token[1], **fields},
            files=files,
            headers={"Accept": "text/html", "Origin": HOST},
            follow_redirects=False,
        )

    def sign_in(self) -> None:
        answer = self.post("/console/sign-in", "/console/sign-in", api_key=self.under_test.api_keys["police"])
        assert answer.status_code == 303
        assert answer.headers["location"] == "/console"


def opened(under_test: IssuerUnderTest, **settings: Any) -> Staff:
    changed = under_test.issuer.settings.model_copy(update=settings)
    app = create_app(replace(under_test.issuer, settings=changed))
    return Staff(under_test, TestClient(app, base_url=HOST))


@pytest.fixture
def staff(sqlite_issuer: IssuerUnderTest) -> Iterator[Staff]:
    """A browser, not signed in yet."""
    found = opened(sqlite_issuer, demo=True, wallet=WALLET)
    yield found
    found.client.close()


def records_csv(staff: Staff, **changes: Any) -> bytes:
    known = staff.under_test.issuer.catalogue.types["drivers-licence"]
    record = {**known.example_record, **changes}
    return format_records([Record(2, "p-1", known.id, record)]).encode()


def import_one(staff: Staff) -> None:
    files = {"csv": ("people.csv", records_csv(staff), "text/csv")}
    checked = staff.post("/console/records/check", "/console/records", files=files)
    # Its address takes forms only: no language link leads there.
    assert "hreflang" not in checked.text
    assert checked.status_code == 200, checked.text
    assert_whole(checked.text)
    stored = staff.post("/console/records", "/console/records", csv=records_csv(staff).decode())
    assert stored.status_code == 200
    assert "1명을 명부에 넣었어요" in stored.text


def test_the_front_page_needs_no_sign_in(staff: Staff) -> None:
    html = staff.get("/")
    assert "모바일 운전면허증" in html
    assert "Mobile driver" in staff.get("/?lang=en")


def test_the_console_is_shut_outside_a_demo(sqlite_issuer: IssuerUnderTest) -> None:
    shut = opened(sqlite_issuer)
    shut.get("/console/sign-in", 403)
    shut.get("/console", 403)
    shut.get("/")


def test_strangers_are_sent_to_sign_in(staff: Staff) -> None:
    for path in ("/console", "/console/offers", "/console/records", "/console/credentials", "/console/offers/new"):
        staff.get(path, 303)


def test_a_wrong_key_opens_nothing(staff: Staff) -> None:
    answer = staff.post("/console/sign-in", "/console/sign-in", api_key="nonsense")
    assert answer.status_code == 401
    assert "들어갈 수 없어요" in answer.text
    staff.get("/console", 303)


def test_a_form_without_its_token_is_refused(staff: Staff) -> None:
    key = staff.under_test.api_keys["police"]
    answer = staff.client.post(HOST + "/console/sign-in", data={"api_key": key}, headers={"Accept": "text/html"})
    assert answer.status_code == 403


def test_signing_out_ends_the_session(staff: Staff) -> None:
    staff.sign_in()
    assert staff.post("/console/sign-out", "/console").status_code == 303
    staff.get("/console", 303)


def test_what_has_ended_is_not_offered(staff: Staff) -> None:
    staff.sign_in()
    ended = records_csv(staff, issue_date="2014-12-31", expiry_date="2024-12-31").decode()
    assert staff.post("/console/records", "/console/records", csv=ended).status_code == 200
    confirm = staff.get("/console/offers/confirm?type=drivers-licence&subject=p-1")
    assert "기한이 지나서 발급할 수 없어요" in confirm
    assert 'action="/console/offers"' not in confirm


def test_an_offer_from_records_to_the_wallet(staff: Staff) -> None:
    staff.sign_in()
    assert "찾은 사람이 없어요" in staff.get("/console/offers/new?type=drivers-licence")
    import_one(staff)
    staff.get("/console/offers/new")
    assert "한*우" in staff.get("/console/offers/new?type=drivers-licence&q=한지")
    assert "찾은 사람이 없어요" in staff.get("/console/offers/new?type=drivers-licence&q=없는")
    confirm = staff.get("/console/offers/confirm?type=drivers-licence&subject=p-1")
    assert "한*우" in confirm
    assert "한지우" not in confirm
    made = staff.post("/console/offers", "/console/offers/new", type="drivers-licence", subject="p-1")
    assert made.status_code == 303
    page = made.headers["location"]
    html = staff.get(page)
    assert f"{WALLET}/credential-offer?credential_offer_uri=" in html
    link = re.search(r"<code[^>]*>(openid-credential-offer://[^<]+)</code>", html)
    tx_code = re.search(r'class="txcode">(\d{6})<', html)
    assert link
    assert tx_code
    assert staff.client.get(HOST + page + "/state").json() == {"state": "offered"}

    keys = [SoftwareSigner.generate()]
    pending = staff.under_test.proofs(link[1], keys, tx_code[1])
    assert staff.client.get(HOST + page + "/state").json() == {"state": "authorized"}
    assert tx_code[1] not in staff.get(page)
    staff.under_test.receive(pending, keys)
    assert staff.client.get(HOST + page + "/state").json() == {"state": "sent"}
    assert "보냈어요, 받는 사람이 보고 있어요" in staff.get(page)
    assert "한*우" in staff.get("/console/credentials")
    assert "보냈어요" in staff.get("/console/offers")
    assert "한*우" in staff.get("/console")


@pytest.mark.parametrize(
    ("event", "words", "state"),
    [
        (NotificationEvent.CREDENTIAL_ACCEPTED, "카드를 받았어요", "accepted"),
        (NotificationEvent.CREDENTIAL_DELETED, "카드를 안 받았어요", "declined"),
        (NotificationEvent.CREDENTIAL_FAILURE, "카드를 넣지 못했어요", "failed"),
    ],
)
def test_staff_are_told_what_the_wallet_says(staff: Staff, event: NotificationEvent, words: str, state: str) -> None:
    staff.sign_in()
    page, found = hand_over(staff)
    run_flow(notify(found, event), staff.under_test.send)
    assert staff.client.get(HOST + page + "/state").json() == {"state": state}
    assert words in staff.get(page)
    assert ("쓸 수 있어요" in staff.get("/console/credentials")) == (state == "accepted")
    listed = staff.under_test.api("GET", "/credentials").json()["credentials"]
    assert {each["status"] for each in listed} == {"valid"}


def test_of_a_wallet_that_says_nothing_no_more_is_claimed(staff: Staff) -> None:
    staff.sign_in()
    page, _ = hand_over(staff)
    staff.under_test.clock.advance(timedelta(hours=1).total_seconds())
    html = staff.get(page)
    assert "보냈어요" in html
    for claim in ("보고 있어요", "지갑에 들어갔어요", "받았어요", 'data-module="poll"'):
        assert claim not in html


def hand_over(staff: Staff) -> tuple[str, IssuedCredentials]:
    """Give a licence to a wallet; return the page of the offer and what the wallet got."""
    under_test, keys = staff.under_test, [SoftwareSigner.generate()]
    made = under_test.offer()
    found = under_test.receive(under_test.proofs(made["uri"], keys), keys)
    assert isinstance(found, IssuedCredentials)
    return f"/console/offers/{made['id']}", found


@pytest.mark.parametrize(
    ("form", "configurations"),
    [
        ("sd_jwt", ["drivers-licence-sd-jwt"]),
        ("mdoc", ["drivers-licence-mdoc"]),
        ("both", ["drivers-licence-sd-jwt", "drivers-licence-mdoc"]),
    ],
)
def test_staff_choose_the_form_of_a_card(staff: Staff, form: str, configurations: list[str]) -> None:
    add_document_signer(staff.under_test.issuer.keys, new_iaca(now=NOW), "police")
    staff.sign_in()
    import_one(staff)
    confirm = staff.get("/console/offers/confirm?type=drivers-licence&subject=p-1")
    assert re.findall(r'name="form" value="(\w+)"', confirm) == ["sd_jwt", "mdoc", "both"]
    assert re.search(r'value="sd_jwt" required checked', confirm)
    fields = {"type": "drivers-licence", "subject": "p-1", "form": form}
    page = staff.post("/console/offers", "/console/offers/new", **fields).headers["location"]
    offer = staff.under_test.api("GET", f"/offers/{page.rpartition('/')[2]}").json()
    assert offer["credential_configuration_ids"] == configurations
    assert ("모바일 운전면허증 (국제\xa0규격)" in staff.get(page)) == (form != "sd_jwt")


def test_an_agency_without_a_document_signer_has_no_choice(staff: Staff) -> None:
    staff.sign_in()
    import_one(staff)
    assert 'name="form"' not in staff.get("/console/offers/confirm?type=drivers-licence&subject=p-1")
    for form in ("mdoc", "both", "paper"):
        fields = {"type": "drivers-licence", "subject": "p-1", "form": form}
        assert staff.post("/console/offers", "/console/offers/new", **fields).status_code == 400


def test_every_bad_row_is_shown_and_nothing_is_stored(staff: Staff) -> None:
    staff.sign_in()
    bad = records_csv(staff, birth_date="2026-02-30")
    answer = staff.post("/console/records/check", "/console/records", files={"csv": ("p.csv", bad, "text/csv")})
    assert answer.status_code == 200
    assert "1줄을 고쳐야 해요" in answer.text
    assert "birth_date" in answer.text
    assert "2026-02-30" not in answer.text
    again = staff.post("/console/records", "/console/records", csv=bad.decode())
    assert "1줄을 고쳐야 해요" in again.text
    assert "찾은 사람이 없어요" in staff.get("/console/offers/new?type=drivers-licence")


def test_a_template_is_handed_out_and_taken_back(staff: Staff) -> None:
    staff.sign_in()
    assert 'href="/console/records/template?type=drivers-licence"' in staff.get("/console/records")
    for path in ("/console/records/template?type=drivers-licence", "/console/records/template"):
        answer = staff.client.get(HOST + path)
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        assert answer.headers["content-disposition"].startswith("attachment")
        assert answer.content.startswith(b"\xef\xbb\xbfsubject_id,type,")
    files = {"csv": ("p.csv", answer.content.replace("(예시)".encode(), b"p-1"), "text/csv")}
    checked = staff.post("/console/records/check", "/console/records", files=files)
    assert "새 사람 1명, 바뀌는 사람 0명" in checked.text
    import_one(staff)
    again = staff.post("/console/records/check", "/console/records", files=files)
    assert "새 사람 0명, 바뀌는 사람 1명" in again.text
    staff.get("/console/records/template?type=income-certificate", 404)


@pytest.mark.parametrize("data", [b"", b"\n", b"\xff\xfe\x00", b"nonsense", b'subject_id,type\n"'])
def test_files_that_are_no_records(staff: Staff, data: bytes) -> None:
    staff.sign_in()
    answer = staff.post("/console/records/check", "/console/records", files={"csv": ("p.csv", data, "text/csv")})
    assert answer.status_code in {200, 400}
    assert '<textarea name="csv"' not in answer.text
    assert_whole(answer.text)


def test_a_file_of_some_megabytes_is_checked_and_stored(staff: Staff) -> None:
    staff.sign_in()
    header, row = records_csv(staff).decode().splitlines()
    text = "\n".join([header, *(row.replace("p-1", f"p-{number}", 1) for number in range(1700))])
    assert len(text.encode()) > 1 << 20
    files = {"csv": ("people.csv", text.encode(), "text/csv")}
    checked = staff.post("/console/records/check", "/console/records", files=files)
    assert 'enctype="multipart/form-data"' in checked.text.partition("<textarea")[0]
    # As a browser sends a field of a form with that enctype.
    stored = staff.post("/console/records", "/console/records", files={"csv": (None, text)})
    assert stored.status_code == 200
    assert "1700명을 명부에 넣었어요" in stored.text


def test_another_agency_sees_nothing(staff: Staff) -> None:
    staff.sign_in()
    import_one(staff)
    page = staff.post("/console/offers", "/console/offers/new", type="drivers-licence", subject="p-1").headers[
        "location"
    ]
    staff.post("/console/sign-out", "/console")
    staff.post("/console/sign-in", "/console/sign-in", api_key=staff.under_test.api_keys["city-tax"])
    staff.get(page, 404)
    staff.get("/console/offers/new?type=drivers-licence", 404)
    assert "한*우" not in staff.get("/console/offers")


def issue_copies(staff: Staff) -> list[str]:
    """Issue three copies of a licence and return their numbers."""
    under_test, keys = staff.under_test, [SoftwareSigner.generate() for _ in range(3)]
    under_test.receive(under_test.proofs(under_test.offer()["uri"], keys), keys)
    return [each["credential_id"] for each in under_test.api("GET", "/credentials").json()["credentials"]]


def issued_rows(html: str) -> list[str]:
    """The rows of the list of issued cards."""
    return re.findall(r"<tr><td.*?</tr>", html, re.DOTALL)


def give(staff: Staff, subject: str, name: str, copies: int) -> None:
    """Put a person on record and issue a licence to her wallet, a minute after the last one."""
    under_test, keys = staff.under_test, [SoftwareSigner.generate() for _ in range(copies)]
    record = Record(2, subject, "drivers-licence", {**under_test.record(), "name": name})
    assert under_test.api("POST", "/records", content=format_records([record]).encode()).status_code == 200
    under_test.clock.advance(60)
    under_test.receive(under_test.proofs(under_test.offer(subject_id=subject)["uri"], keys), keys)


def test_issued_cards_are_listed_newest_first_with_their_copies_in_one_row(staff: Staff) -> None:
    staff.sign_in()
    give(staff, "p-1", "한지우", 3)
    give(staff, "p-2", "나은서", 1)
    rows = issued_rows(staff.get("/console/credentials"))
    assert [("한*우" in row, "사본 3장" in row) for row in rows] == [(False, False), (True, True)]
    assert "나*서" in rows[0]
    assert "1 copy" in staff.get("/console/credentials?lang=en")


@pytest.mark.parametrize(
    ("query", "found"),
    [("한지", ["한*우"]), ("P-2", ["나*서"]), ("p-", ["나*서", "한*우"]), ("없는", []), (" ", ["나*서", "한*우"])],
)
def test_an_issued_card_is_found_by_name_or_number(staff: Staff, query: str, found: list[str]) -> None:
    staff.sign_in()
    give(staff, "p-1", "한지우", 2)
    give(staff, "p-2", "나은서", 2)
    html = staff.get(f"/console/credentials?q={query}")
    assert re.findall(r"<b>(\S\*\S)</b>", html) == found
    assert ("찾은 카드가 없어요" in html) == (not found)


def test_every_copy_is_on_one_page_of_the_list(staff: Staff, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(issued_cards, "MOST_COPIES", 5)
    staff.sign_in()
    for number in range(4):
        give(staff, f"p-{number}", "한지우", 2)
    address, pages = "/console/credentials?q=p-", []
    while address:
        html = staff.get(address)
        pages.append([re.findall(r"사본 \d장", row) for row in issued_rows(html)])
        following = re.search(r'class="link" href="(/console/credentials\?cursor=[^"]+)"', html)
        address = following[1].replace("&amp;", "&") if following else ""
    assert pages == [[["사본 2장"], ["사본 2장"]]] * 2


def test_a_licence_is_reported_lost_found_and_at_last_revoked(staff: Staff) -> None:
    staff.sign_in()
    copies = issue_copies(staff)
    page = f"/console/credentials/{copies[0]}"
    # One row for the three.
    listed = staff.get("/console/credentials")
    assert [each in listed for each in copies] == [False, False, True]
    assert "정지하기" in staff.get(page)
    confirm = f"{page}/status?to=suspended"
    assert "정지할까요?" in staff.get(confirm)
    answer = staff.post(f"{page}/status", confirm, to="suspended", reason="분실 신고")
    assert (answer.status_code, answer.headers["location"]) == (303, page)
    shown = staff.get(page)
    assert "분실 신고" in shown
    assert "정지 풀기" in shown

    def statuses() -> set[str]:
        listed = staff.under_test.api("GET", "/credentials").json()["credentials"]
        return {each["status"] for each in listed}

    # All copies that were issued together.
    assert statuses() == {"suspended"}
    staff.post(f"{page}/status", f"{page}/status?to=valid", to="valid", reason="찾음")
    assert statuses() == {"valid"}
    staff.post(f"{page}/status", f"{page}/status?to=invalid", to="invalid", reason="도난")
    assert statuses() == {"invalid"}
    gone = staff.get(page)
    assert "되돌릴 수 없어요" in gone
    assert "/status?to=" not in gone
    for to in ("valid", "suspended"):
        staff.get(f"{page}/status?to={to}", status=409)


def test_nobody_is_told_to_suspend_an_mdoc(staff: Staff) -> None:
    under_test, keys = staff.under_test, [SoftwareSigner.generate()]
    add_document_signer(under_test.issuer.keys, new_iaca(now=NOW), "police")
    under_test.receive(under_test.proofs(under_test.offer(configuration="drivers-licence-mdoc")["uri"], keys), keys)
    (credential,) = under_test.api("GET", "/credentials").json()["credentials"]
    staff.sign_in()
    page = f"/console/credentials/{credential['credential_id']}"
    assert "정지" not in staff.get(page)
    assert "정지" not in staff.get(f"{page}/status?to=invalid")


def test_a_reason_is_asked_and_nonsense_is_refused(staff: Staff) -> None:
    staff.sign_in()
    page = f"/console/credentials/{issue_copies(staff)[0]}"
    confirm = f"{page}/status?to=suspended"
    assert staff.post(f"{page}/status", confirm, to="suspended", reason="").status_code == 400
    assert staff.post(f"{page}/status", confirm, to="lost", reason="x").status_code == 400
    staff.get(f"{page}/status?to=lost", status=400)
    staff.get("/console/credentials/nobody", status=404)
    assert staff.under_test.api("GET", page.removeprefix("/console")).json()["history"] == []


def test_what_waits_is_looked_at_and_decided(staff: Staff) -> None:
    staff.sign_in()
    assert "기다리는 신청이 없어요" in staff.get("/console/issuances")
    assert "심사를 마친 신청이 없어요" in staff.get("/console/issuances/decided")
    import_one(staff)
    confirm = "/console/offers/confirm?type=drivers-licence&subject=p-1"
    made = staff.post("/console/offers", confirm, type="drivers-licence", subject="p-1", when="deferred")
    offer = str(made.headers["location"])
    id_ = ask_for(staff, offer.rpartition("/")[2])
    assert "심사하고 있어요" in staff.get(offer)
    assert "기다리는 심사 보기" in staff.get("/console")
    page = f"/console/issuances/{id_}"
    assert page in staff.get("/console/issuances")
    assert f"{page}/decision?to=ready" in staff.get(page)
    # A refusal needs its reason, and can be taken back until the wallet has heard of it.
    question = f"{page}/decision?to=denied"
    assert staff.post(f"{page}/decision", question, to="denied", reason=" ").status_code == 400
    assert staff.post(f"{page}/decision", question, to="denied", reason="<b>주소가 달라요").status_code == 303
    assert "&lt;b&gt;주소가 달라요" in staff.get(page)
    staff.get(f"{page}/decision?to=ready", 409)
    back = f"{page}/decision?to=waiting"
    assert staff.post(f"{page}/decision", back, to="waiting").status_code == 303
    assert staff.post(f"{page}/decision", f"{page}/decision?to=ready", to="ready").status_code == 303
    assert "승인했어요" in staff.get(page)
    assert page in staff.get("/console/issuances/decided")
    assert page not in staff.get("/console/issuances")
    assert "Approved" in staff.get(f"{page}?lang=en")
    staff.get("/console/issuances/unknown", 404)


def test_a_decision_needs_the_form_of_its_page(staff: Staff) -> None:
    staff.sign_in()
    answer = staff.client.post(
        f"{HOST}/console/issuances/1/decision",
        data={"to": "ready"},
        headers={"Accept": "text/html", "Origin": HOST},
        follow_redirects=False,
    )
    assert answer.status_code == 403


def ask_for(staff: Staff, offer_id: str) -> str:
    """Ask for what was offered as a wallet does, and return our id of what waits then."""
    ports, agency = staff.under_test.issuer.issuance, staff.under_test.issuer.agency("police")
    made = show_offer_again(ports, agency, offer_id)
    key = SoftwareSigner.generate()
    pending = staff.under_test.proofs(made.uri, [key], made.tx_code)
    body = {"credential_configuration_id": "drivers-licence-sd-jwt", "proofs": {"jwt": signed_proofs(pending, key)}}
    headers = {"Authorization": f"Bearer {pending.token.access_token}"}
    answer = staff.under_test.client.post(f"{agency.credential_issuer}/credential", json=body, headers=headers)
    assert answer.status_code == 202
    found, _ = list_waiting(ports, agency)
    return found[0].id


def signed_proofs(pending: ProofsToSign, key: SoftwareSigner) -> list[str]:
    return [
        jws.attach_signature(proof.signing_input, signature)
        for proof, signature in zip(pending.proofs, sign_proofs(pending, [key]), strict=True)
    ]


def faults_of(staff: Staff, data: bytes, **headers: str) -> tuple[str, Any]:
    """The page of a checked file, and the file of its faults as the page's form asks for it."""
    files = {"csv": ("people.csv", data, "text/csv")}
    page = staff.post("/console/records/check", "/console/records", files=files).text
    form = re.search(r'<textarea name="faults" hidden>(.*?)</textarea>', page, re.DOTALL)
    assert form
    kept = unescape(form[1])
    return page, staff.post("/console/records/faults", "/console/records", faults=kept)


def test_all_faults_are_saved_as_a_file(staff: Staff) -> None:
    staff.sign_in()
    head, row = records_csv(staff, birth_date="1993-02-30").decode().splitlines()
    rows = [row.replace("p-1,", f"p-{number},", 1) for number in range(300)]
    page, file = faults_of(staff, "\n".join([head, *rows]).encode())
    assert "처음 200군데" in page
    assert "모두 보려면 내려받아 주세요" in page
    assert file.headers["content-type"] == "text/csv; charset=utf-8"
    assert file.headers["content-disposition"] == 'attachment; filename="police-faults.csv"'
    assert file.headers["cache-control"] == "no-store"
    table = list(csv.reader(io.StringIO(file.content.decode("utf-8-sig"))))
    assert table[0] == ["줄", "칸", "무엇이 틀렸나요", "이렇게 고쳐요"]
    assert {int(line[0]) for line in table[1:]} == set(range(2, 302))
    assert f"{len(table) - 1:,}군데 내려받기" in page
    # What a row says is not in it.
    assert "한지우" not in file.text
    assert "1993-02-30" not in file.text


def test_a_spreadsheet_computes_nothing_of_a_file_of_faults(staff: Staff) -> None:
    staff.sign_in()
    head, row = records_csv(staff).decode().splitlines()
    _, file = faults_of(staff, f"{head},=cmd|A1,@x\n{row},1,2".encode())
    table = list(csv.reader(io.StringIO(file.content.decode("utf-8-sig"))))
    assert {"'=cmd|A1", "'@x"} <= {line[1] for line in table}
    assert not [cell for line in table for cell in line if cell.startswith(("=", "+", "-", "@"))]


def test_more_faults_than_a_page_can_bear(staff: Staff, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_pages, "MAX_SAVED", 250)
    staff.sign_in()
    head, row = records_csv(staff, birth_date="1993-02-30").decode().splitlines()
    page, file = faults_of(staff, "\n".join([head, *[row] * 300]).encode())
    assert "내려받는 파일에는 처음 250군데가 있어요" in page
    assert len(list(csv.reader(io.StringIO(file.content.decode("utf-8-sig"))))) == 251


def test_faults_are_saved_in_the_reader_s_language(staff: Staff) -> None:
    staff.sign_in()
    staff.get("/console?lang=en")
    page, file = faults_of(staff, records_csv(staff, birth_date="1993-02-30"))
    assert "Save 1 as CSV" in page
    assert file.content.decode("utf-8-sig").startswith("Line,Column,What is wrong,How to mend it\r\n")


def test_a_file_of_faults_is_handed_to_staff_only(staff: Staff) -> None:
    answer = staff.client.post(HOST + "/console/records/faults", data={"faults": "x"}, headers={"Origin": HOST})
    assert answer.status_code == 403
