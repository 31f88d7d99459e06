"""A file, a text or a picture is checked without a session, by API, page and command; and with the issuer stopped."""

import base64
import io
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import qrcode
from qrcode.constants import ERROR_CORRECT_L
from starlette.testclient import TestClient

from tests.support.commands import jigap
from tests.support.file_checks import REFERENCE, URI, FileDesk, both_world, failed_step, open_desk
from tests.support.html import assert_whole
from tests.support.presentations import NOW, VCT, query
from tests.support.trust import ListOperator, listed, new_list
from tests.support.verifier_program import VerifierProgram
from tests.support.verifying import HOST
from verifier.app import create_app
from verifier.checks.assembly import check_ports
from verifier.checks.use_cases import fill_cache
from verifier.trust_lists.tasks import renew_trust_list
from wallet_core.adapters.clock import SystemClock
from wallet_core.encoding import base64url
from wallet_core.formats.sd_jwt.holder import create_key_binding
from wallet_core.jose.jws import attach_signature
from wallet_core.trust.anchors import AnchorPurpose, TrustAnchor

PAGE = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate"}
AUDIENCE, NONCE = "x509_hash:abc", "n-0123456789abcdef0123"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[FileDesk]:
    """A verifier whose lists come from an object that can be shut down."""
    opened = open_desk(tmp_path)
    yield opened
    opened.under_test.client.close()
    opened.under_test.verifier.database.close()


def sd_jwt(desk: FileDesk, **changes: Any) -> str:
    return str(desk.world.agency.issue(desk.world.holder, **{"status": REFERENCE, **changes}))


def mdoc(desk: FileDesk, **changes: Any) -> str:
    return base64url.encode(desk.world.mdocs.issue(desk.world.holder, **{"status": REFERENCE, **changes}))


FORMS = {"dc+sd-jwt": sd_jwt, "mso_mdoc": mdoc}


def picture(text: str, kind: str = "PNG") -> bytes:
    code = qrcode.QRCode(error_correction=ERROR_CORRECT_L, border=4, box_size=6)
    code.add_data(text)
    data = io.BytesIO()
    code.make_image().get_image().convert("RGB").save(data, kind)
    return data.getvalue()


def lines(result: dict[str, Any]) -> dict[str, Any]:
    return {check["name"]: check for check in result["checks"]}


# --- with the issuer, and then without


@pytest.mark.parametrize("form", FORMS)
def test_with_the_issuer_stopped_it_is_verified_again_from_the_copy(desk: FileDesk, form: str) -> None:
    text = FORMS[form](desk)
    first = desk.verify(text)
    assert (first["state"], first["credential"]["format"], first["credential"]["status"]) == ("verified", form, "valid")
    assert desk.lists.asked == [URI]
    desk.lists.down = True
    desk.under_test.clock.advance(300)
    again = desk.verify(text, offline=True)
    assert again["state"] == "verified"
    assert again["status_list"] == {
        "fetched_at": NOW.isoformat(),
        "age_seconds": 300,
        "good_until": (NOW + timedelta(hours=20)).isoformat(),
    }
    detail = lines(again)["not_withdrawn"]["detail"]
    assert detail == "checked 5 min ago; status list of 5 min ago, good until 2026-11-22 23:00 UTC"
    assert desk.lists.asked == [URI]
    # Without --offline a stale list is asked for; the issuer does not answer, and the copy counts.
    assert desk.verify(text)["state"] == "verified"
    assert desk.lists.asked == [URI, URI]


@pytest.mark.parametrize("form", FORMS)
def test_offline_without_a_copy_the_status_is_unknown_and_nothing_is_asked(desk: FileDesk, form: str) -> None:
    result = desk.verify(FORMS[form](desk), offline=True)
    assert (result["state"], result["credential"]["status"], result["error"]) == ("not_verified", "unknown", None)
    assert lines(result)["not_withdrawn"]["ok"] is None
    assert lines(result)["not_withdrawn"]["detail"] == "unknown: there is no copy of its list"
    assert desk.lists.asked == []


def test_a_copy_counts_until_its_own_end(desk: FileDesk) -> None:
    text = sd_jwt(desk)
    desk.verify(text)
    desk.under_test.clock.advance(int(timedelta(hours=20, minutes=2).total_seconds()))
    assert desk.verify(text, offline=True)["state"] == "not_verified"


@pytest.mark.parametrize(("status", "words"), [(1, "was revoked"), (2, "is suspended")])
def test_what_a_copy_calls_withdrawn_is_refused_offline_too(desk: FileDesk, status: int, words: str) -> None:
    desk.lists.statuses = {3: status}
    text = sd_jwt(desk)
    for offline in (False, True):
        result = desk.verify(text, offline=offline)
        step, detail = failed_step(result)
        assert (result["state"], result["credential"], step) == ("refused", None, 7)
        assert words in detail
        assert "status list of 0 s ago" in detail


@pytest.mark.parametrize("form", FORMS)
def test_lists_fetched_beforehand_serve_a_verifier_without_network(desk: FileDesk, form: str) -> None:
    import asyncio

    media_type = "application/statuslist+jwt" if form == "dc+sd-jwt" else "application/statuslist+cwt"
    ports = check_ports(desk.under_test.verifier)
    (one,) = asyncio.run(fill_cache(ports, [URI], media_type=media_type))
    assert (one.name, one.problem) == ((URI, media_type), None)
    desk.lists.down = True
    assert desk.verify(FORMS[form](desk), offline=True)["state"] == "verified"
    (missing,) = asyncio.run(fill_cache(ports, [URI + "9"]))
    assert missing.copy is None
    assert missing.problem is not None


def test_an_aggregation_names_lists_of_both_forms(desk: FileDesk) -> None:
    import asyncio

    address, other = "https://agency.example/statuslists", f"{URI}9"
    desk.lists.aggregations = {address: [URI, other]}
    desk.lists.only = {URI: "application/statuslist+cwt", other: "application/statuslist+jwt"}
    ports = check_ports(desk.under_test.verifier)
    found = asyncio.run(fill_cache(ports, [address], aggregated=True))
    assert {(each.name, each.problem) for each in found} == {
        ((URI, "application/statuslist+cwt"), None),
        ((other, "application/statuslist+jwt"), None),
    }
    desk.lists.down = True
    assert desk.verify(mdoc(desk), offline=True)["state"] == "verified"


def test_a_policy_decides_what_an_unknown_status_means(desk: FileDesk) -> None:
    catalogue = desk.under_test.verifier.catalogue
    lenient = next(each for each in catalogue.policies.values() if each.status.unknown == "accept_and_say_age")
    strict = next(each for each in catalogue.policies.values() if each.status.unknown == "refuse")
    asked = query(("name",), ("age_over_19",))
    policies = {each.id: replace(each, dcql_query=asked, must_match=()) for each in (lenient, strict)}
    ports = replace(desk.under_test.verifier.presentations, policies=policies)
    app = create_app(replace(desk.under_test.verifier, presentations=ports))
    desk.under_test.client = TestClient(app, base_url=HOST)
    text = sd_jwt(desk)
    accepted = desk.verify(text, offline=True, policy=lenient.id)
    assert (accepted["state"], accepted["credential"]["status"], accepted["policy"]) == (
        "verified",
        "unknown",
        lenient.id,
    )
    assert accepted["credential"]["claims"] == {"name": "홍시험", "age_over_19": True}
    assert "the policy accepts that" in lines(accepted)["not_withdrawn"]["detail"]
    assert lines(accepted)["query_answered"]["ok"] is True
    refused = desk.verify(text, offline=True, policy=strict.id)
    assert (refused["state"], failed_step(refused)[0]) == ("refused", 7)
    other = desk.verify(mdoc(desk, status=None), offline=True, policy=lenient.id)
    assert failed_step(other) == (9, "the policy asks for another kind of credential")


# --- the holder


def presented(desk: FileDesk) -> str:
    held = desk.world.held()
    pending = create_key_binding(
        held,
        held.paths,
        audience=AUDIENCE,
        nonce=NONCE,  # type: ignore[arg-type]
        issued_at=desk.under_test.clock.now(),
        algorithm=desk.world.holder.algorithm,
    )
    return pending.sd_jwt + attach_signature(pending.signing_input, desk.world.holder.sign(pending.signing_input))


def test_the_holder_is_proven_only_in_a_session_the_caller_names(desk: FileDesk) -> None:
    text = presented(desk)
    assert desk.verify(text)["holder_binding"] == "not_checked"
    assert desk.verify(sd_jwt(desk))["holder_binding"] == "not_proven"
    known = desk.verify(text, nonce=NONCE, audience=AUDIENCE, require_holder=True)
    assert (known["state"], known["holder_binding"]) == ("verified", "proven")
    for members in ({"nonce": "other", "audience": AUDIENCE}, {"require_holder": True}):
        refused = desk.verify(text, **members)
        assert (refused["state"], failed_step(refused)[0]) == ("refused", 6)
        assert refused["holder_binding"] != "proven"


# --- the API


def test_a_file_is_base64_of_any_form(desk: FileDesk) -> None:
    small = desk.world.agency.issue(desk.world.holder, claims={"name": "홍시험"})
    raw = desk.world.mdocs.issue(desk.world.holder)
    files = [small.encode(), raw, picture(small), picture(small, "JPEG")]
    for data in files:
        answer = desk.post({"file": base64.b64encode(data).decode(), "offline": True})
        assert answer.json()["state"] == "verified", answer.text


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"text": "a~", "file": "AAAA"},
        {"text": "hello"},
        {"text": "openid4vp://?client_id=x"},
        {"file": "not base64!"},
        {"file": base64.b64encode(picture("openid4vp://?x")).decode()},
        {"file": base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()},
        {"text": "a~", "nonce": "x"},
        {"text": "a~", "response_uri": "x"},
        {"text": "a~", "jwk_thumbprint": "AAAA", "nonce": "x", "audience": "y"},
        {"text": "a~", "surprise": 1},
        {"text": 1},
    ],
)
def test_a_body_of_the_wrong_shape_is_400(desk: FileDesk, body: dict[str, Any]) -> None:
    answer = desk.post(body)
    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_request"
    assert answer.json()["trace_id"]


def test_who_may_ask_and_for_what(desk: FileDesk) -> None:
    client = desk.under_test.client
    assert client.post(f"{HOST}/api/v1/verify", json={"text": "a~"}).status_code == 401
    assert desk.post({"text": sd_jwt(desk), "policy": "unheard-of"}).status_code == 404
    assert desk.post({"text": "a" * (600 * 1024)}).status_code == 400
    assert desk.post({"file": "A" * 14_000_000}).status_code == 413


def test_the_api_is_documented(desk: FileDesk) -> None:
    document = desk.under_test.client.get(f"{HOST}/openapi.json").json()
    operation = document["paths"]["/api/v1/verify"]["post"]
    assert "Idempotency-Key" in operation["description"]
    assert not operation.get("parameters")
    assert "x-stores-nothing" not in operation
    assert {"400", "401", "413"} <= operation["responses"].keys()
    assert "offline" in document["components"]["schemas"]["VerifyBody"]["properties"]


def test_nothing_is_kept_and_a_key_changes_nothing(desk: FileDesk, capsys: pytest.CaptureFixture[str]) -> None:
    text, headers = sd_jwt(desk), {"Idempotency-Key": "same"}
    assert desk.post({"text": text}, headers=headers).json()["state"] == "verified"
    assert desk.post({"text": text.replace("~", "~A", 1)}, headers=headers).json()["state"] == "refused"
    database = desk.under_test.verifier.database
    with (unit := database.reader()):
        for table in ("verifier_presentation", "verifier_idempotency"):
            assert unit.connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar() == 0  # noqa: S608
    folder = Path(database.url.removeprefix("sqlite:///")).parent if hasattr(database, "url") else None
    written = capsys.readouterr()
    assert "홍시험" not in written.out + written.err
    if folder is not None:
        assert all("홍시험".encode() not in file.read_bytes() for file in folder.glob("*.db*"))


# --- the page


class Staff:
    """A browser at the desk."""

    def __init__(self, desk: FileDesk) -> None:
        verifier = desk.under_test.verifier
        settings = verifier.settings.model_copy(update={"demo": True})
        self.client = TestClient(create_app(replace(verifier, settings=settings)), base_url=HOST)
        self.post("/console/sign-in", api_key=desk.under_test.api_keys["baram-rental"])

    def get(self, path: str) -> str:
        answer = self.client.get(HOST + path, headers=PAGE)
        assert answer.status_code == 200, answer.text
        assert_whole(answer.text)
        return str(answer.text)

    def post(self, path: str, files: Any = None, **fields: Any) -> Any:
        token = re.search(r'name="csrf_token" value="([^"]+)"', self.get(path))
        assert token
        return self.client.post(
            HOST + path,
            data={"csrf_token": token[1], **fields},
            files=files,
            headers={**PAGE, "Origin": HOST},
            follow_redirects=False,
        )


@pytest.fixture
def staff(desk: FileDesk) -> Iterator[Staff]:
    found = Staff(desk)
    yield found
    found.client.close()


def test_the_page_shows_what_it_is_and_what_nobody_proved(staff: Staff, desk: FileDesk) -> None:
    answer = staff.post("/console/file", text=sd_jwt(desk), network="online")
    assert answer.status_code == 200
    assert_whole(answer.text)
    assert answer.headers["cache-control"] == "no-store"
    assert "기관이 발급한 그대로예요" in answer.text
    assert "주인이 보여 줬는지는 아무도 증명하지 않았어요" in answer.text
    assert "홍시험" in answer.text
    for words in ("정지되거나 폐기되지 않았어요", "OpenID4VP 8.6", "상태 목록 방금 받았어요"):
        assert words in answer.text
    desk.lists.down = True
    desk.under_test.clock.advance(7200)
    offline = staff.post("/console/file", text=sd_jwt(desk), network="offline")
    assert "2시간 전 받았어요" in offline.text
    assert "인터넷 없이 저장한 목록만 봤어요" in offline.text


def test_the_page_takes_files_pictures_and_mdocs(staff: Staff, desk: FileDesk) -> None:
    small = desk.world.agency.issue(desk.world.holder, claims={"name": "홍시험"})
    for name, data in (("card.png", picture(small)), ("card.txt", small.encode())):
        answer = staff.post("/console/file", files={"file": (name, data)}, network="offline")
        assert "기관이 발급한 그대로예요" in answer.text
    raw = desk.world.mdocs.issue(desk.world.holder, status=REFERENCE)
    shown = staff.post("/console/file", files={"file": ("licence.cbor", raw)}, network="offline")
    assert_whole(shown.text)
    assert "지금 쓸 수 있는지 몰라요" in shown.text
    assert "SIHEOM" in shown.text
    assert "data:image/jpeg;base64," in shown.text


def test_the_page_refuses_without_showing_anything(staff: Staff, desk: FileDesk) -> None:
    desk.lists.statuses = {3: 1}
    answer = staff.post("/console/file", text=sd_jwt(desk))
    assert answer.status_code == 200
    assert_whole(answer.text)
    assert "받아들일 수 없어요" in answer.text
    assert 'id="failed-check"' in answer.text
    assert "홍시험" not in answer.text


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "글자를 붙여 넣거나"),
        ({"text": "hello"}, "읽을 수 없어요"),
        ({"text": "a.b.c~", "nonce": "x"}, "함께 적어 주세요"),
    ],
)
def test_the_page_asks_again(staff: Staff, fields: dict[str, str], words: str) -> None:
    answer = staff.post("/console/file", **fields)
    assert answer.status_code == 400
    assert_whole(answer.text)
    assert words in answer.text


def test_the_page_is_for_staff(desk: FileDesk) -> None:
    answer = desk.under_test.client.get(f"{HOST}/console/file", headers=PAGE)
    assert answer.status_code in {303, 403}


# --- the command


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> VerifierProgram:
    folder = tmp_path_factory.mktemp("files")
    made = VerifierProgram(folder, f"sqlite:///{folder}/verifier.db", both_world(SystemClock().now()))
    made.prepare()
    return made


def run(program: VerifierProgram, *arguments: str, given: bytes = b"") -> tuple[int, dict[str, Any], str]:
    done = jigap(["verifier", *arguments], environment=program.environment, given=given)
    printed = json.loads(done.stdout) if done.stdout else {}
    return done.returncode, printed, done.stderr


def test_the_command_says_it_in_words_and_in_json(program: VerifierProgram, tmp_path: Path) -> None:
    world: Any = program.world
    file = tmp_path / "card.txt"
    file.write_text(world.agency.issue(world.holder) + "\n")
    code, _, said = run(program, "verify", str(file), "--offline")
    assert code == 0, said
    for words in ("확인했어요", "verified", "홍시험", "Nobody proved that the holder showed it", "RFC 9901 7.1"):
        assert words in said
    claims = {"name": "\x1b[31m홍시험\u202e"}
    code, _, said = run(program, "verify", "-", "--offline", given=world.agency.issue(world.holder, claims).encode())
    assert (code, "홍시험" in said, "\x1b[31m홍" in said, "\u202e" in said) == (0, True, False, False)
    code, printed, _ = run(program, "verify", "-", "--offline", "--json", given=world.mdocs.issue(world.holder))
    assert (code, printed["state"], printed["kind"]) == (0, "verified", "mdoc_issuer_signed")
    small = world.agency.issue(world.holder, claims={"name": "홍시험"})
    code, printed, _ = run(program, "verify", "-", "--json", given=picture(small))
    assert (code, printed["credential"]["claims"]) == (0, {"name": "홍시험"})


def test_the_command_s_exit_says_whether_it_holds(program: VerifierProgram, tmp_path: Path) -> None:
    world: Any = program.world
    unknown = world.agency.issue(world.holder, status=REFERENCE)
    code, printed, _ = run(program, "verify", "-", "--offline", "--json", given=unknown.encode())
    assert (code, printed["state"]) == (1, "not_verified")
    forged = both_world(SystemClock().now()).agency.issue(world.holder)
    code, printed, _ = run(program, "verify", "-", "--offline", "--json", given=forged.encode())
    assert (code, printed["state"], failed_step(printed)[0]) == (1, "refused", 2)
    code, _, said = run(program, "verify", "-", "--offline", given=b"hello")
    assert (code, "refused" in said) == (1, True)
    for wrong in (
        ["verify", str(tmp_path / "nowhere")],
        ["verify", "-", "--nonce", "x"],
        ["verify", "-", "--policy", "unheard-of"],
    ):
        assert run(program, *wrong, given=forged.encode())[0] == 2, wrong


def test_the_cache_command_tells_what_it_could_not_fetch(program: VerifierProgram) -> None:
    code, printed, _ = run(program, "cache", "--json")
    assert (code, printed) == (0, {"trust_list": None, "status_lists": []})
    code, printed, _ = run(program, "cache", "http://localhost:9/list", "--json")
    assert code == 1
    assert printed["status_lists"][0]["error_description"]


# --- trust lists decide offline too


def test_the_trust_list_s_age_is_said_and_its_end_holds(tmp_path: Path) -> None:
    from tests.support.file_checks import Lists
    from tests.support.verifying import start_verifier

    world, operator, source = both_world(), ListOperator(NOW), tmp_path / "list.jws"

    class Trusting(type(world)):  # type: ignore[misc]
        @property
        def anchors(self) -> Any:
            return super().anchors + operator.anchors

    world = Trusting(**vars(world))
    root = TrustAnchor(world.issuer_ca.certificate, AnchorPurpose.CREDENTIAL_ISSUER)
    source.write_text(operator.sign(new_list(NOW, root, agencies=(listed(world.agency.issuer, VCT),))))
    under_test = start_verifier(tmp_path, f"sqlite:///{tmp_path}/verifier.db", world=world, trust_list=str(source))
    desk = FileDesk(under_test, world, Lists(world, under_test.clock.now))
    text = world.agency.issue(world.holder)
    # Nothing is trusted before there is a list, and offline none is fetched.
    assert failed_step(desk.verify(text, offline=True))[0] == 10
    assert desk.verify(text)["trust_list"] is not None or renew_trust_list(under_test.verifier)
    under_test.clock.advance(7200)
    source.unlink()
    result = desk.verify(text, offline=True)
    assert result["state"] == "verified"
    assert result["trust_list"]["age_seconds"] == 7200
    assert lines(result)["issuer_permitted"]["detail"].endswith(
        "trust list of 2 h ago, good until 2026-11-23 03:00 UTC"
    )
    under_test.clock.advance(86_400)
    late = desk.verify(text, offline=True)
    assert failed_step(late) == (
        10,
        "the trust list is out of date; trust list of 26 h ago, good until 2026-11-23 03:00 UTC",
    )
    under_test.client.close()
    under_test.verifier.database.close()
