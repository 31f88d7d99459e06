"""Our wallet at our verifier over https, two workers behind its port: on one device and across two, on both engines."""

import re
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from demo.deployment import Deployment
from demo.exchanges import RecordingClient
from demo.tls import make_certificates
from holder_app.dependencies import create_wallet
from tests.support.browsing import Person, browser
from tests.support.network import free_base_port
from tests.support.presentations import new_world
from tests.support.roads import Roads
from tests.support.simultaneous import at_once
from tests.support.verifier_program import VerifierProgram
from tests.support.verifying import BACK, response_code
from tests.support.wallets import LICENCE, NAME, Town, new_town, receive
from wallet_core.adapters.clock import SystemClock
from wallet_core.http import HttpRequest

WALLET = "https://wallet.example"
POLICY = "account-opening"
TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')
MODES = ("direct_post", "direct_post.jwt")


@dataclass
class Place:
    """A verifier of two processes, and a person with a licence in her wallet."""

    program: VerifierProgram
    town: Town
    client: RecordingClient

    def person(self) -> Person:
        return browser(self.town)

    def answer(self) -> HttpRequest:
        """What the wallet posted last."""
        return [each.request for each in self.client.exchanges if "/responses/" in each.request.url][-1]

    def post(self, request: HttpRequest) -> int:
        """Post it once more, over a connection of its own."""
        with self.program.browser() as stranger:
            return stranger.post(request.url, content=request.body, headers=dict(request.headers)).status_code


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Once for each database engine."""
    folder: Path = tmp_path_factory.mktemp("https")
    database = f"sqlite:///{folder}/verifier.db"
    if request.param == "postgres":
        database = request.getfixturevalue("postgres_cluster").create_database("presentations_over_https")
    now = SystemClock().now()
    deployment = Deployment(folder, free_base_port(), tls=True)
    make_certificates(deployment, now)
    world, settings = new_world(now), {"JIGAP_VERIFIER_DEMO": "true", "JIGAP_VERIFIER_WALLET": WALLET}
    files = (deployment.tls_certificate, deployment.tls_key, deployment.tls_roots)
    program = VerifierProgram(folder, database, world, deployment.base_port, tls=files, settings=settings)
    program.prepare_here()
    program.start()
    (folder / "wallet").mkdir()
    town = new_town(folder / "wallet", world)
    client = RecordingClient(tls_roots=deployment.tls_roots)
    town.wallet = create_wallet(town.wallet.settings, fetch=Roads(town.network, client), clock=SystemClock())
    receive(town, LICENCE)
    yield Place(program, town, client)
    program.stop(signal.SIGKILL)
    town.wallet.database.close()


def consent(person: Person, link: str, *, same_device: bool) -> None:
    """Open the request in the wallet, up to the page that asks for consent."""
    if same_device:
        address = f"/authorize?{urlsplit(link).query}"
        person.get(address)
        person.post("/requests", {"link": address})
    else:
        person.get("/scan")
        person.post("/scan", {"link": link})
        person.post(f"{person.path}/fetch")
    assert person.page.status_code == 200, person.text


def agree(person: Person, **options: Any) -> Any:
    """Press the button; copies that were shown before are shown again, as the page says."""
    told = dict.fromkeys(re.findall(r'name="(reuse-[^"]+)"', person.page.text), "on")
    return person.post(f"{person.path}/answer", told, **options)


@pytest.mark.parametrize("mode", MODES)
def test_across_devices(place: Place, mode: str) -> None:
    made = place.program.ask(policy=POLICY, response_mode=mode, request_uri_method="post")
    person = place.person()
    consent(person, made["authorization_request"], same_device=False)
    agree(person)
    assert f"{place.program.url}/continue?response_code=" in person.page.text
    result = place.program.result(made["id"])
    assert (result["state"], result["error"]) == ("verified", None)
    assert NAME in str(result["credentials"])
    assert (b"vp_token" in place.answer().body) == (mode == "direct_post")


@pytest.mark.parametrize("mode", MODES)
def test_on_the_same_device(place: Place, mode: str) -> None:
    endpoint = {"authorization_endpoint": f"{WALLET}/authorize"}
    made = place.program.ask(policy=POLICY, response_mode=mode, flow="same_device", redirect_uri=BACK, **endpoint)
    person = place.person()
    consent(person, made["authorization_request"], same_device=True)
    agree(person)
    back = re.search(rf'href="({re.escape(BACK)}[^"]+)"', person.page.text)
    assert back
    # Before the browser is back nobody reads a claim, at neither worker.
    assert {place.program.result(made["id"])["state"] for _ in range(4)} == {"answered"}
    assert place.program.redeem(made["id"], "guess").status_code == 404
    opened = at_once(6, lambda: place.program.redeem(made["id"], response_code(unescape(back[1]))).status_code)
    assert Counter(opened) == {200: 1, 409: 5}
    assert NAME in str(place.program.result(made["id"])["credentials"])


@pytest.mark.clause("vp-13.3-once")
@pytest.mark.parametrize("mode", MODES)
def test_an_answer_sent_again_to_either_worker(place: Place, mode: str) -> None:
    made = place.program.ask(policy=POLICY, response_mode=mode)
    person = place.person()
    consent(person, made["authorization_request"], same_device=False)
    agree(person)
    answer = place.answer()
    assert Counter(at_once(8, lambda: place.post(answer))) == {409: 8}
    other = place.program.ask(policy=POLICY, response_mode=mode)
    address = other["request_uri"].replace("/requests/", "/responses/")
    assert place.post(replace(answer, url=address)) == 400
    assert place.program.result(other["id"])["state"] == "requested"


def sign_in(place: Place, desk: httpx2.Client) -> None:
    page = desk.get("/console/sign-in").text
    fields = {"csrf_token": _token(page), "api_key": place.program.api_key}
    assert desk.post("/console/sign-in", data=fields, headers={"Origin": place.program.url}).status_code == 303


def _token(page: str) -> str:
    found = TOKEN.search(page)
    assert found
    return found[1]


def start(place: Place, desk: httpx2.Client) -> tuple[str, str, str]:
    """Begin a check at the desk: its page, the link behind the code and the one for this device."""
    page = desk.get(f"/console/ask?policy={POLICY}").text
    fields = {"csrf_token": _token(page), "policy": POLICY}
    check = desk.post("/console/checks", data=fields, headers={"Origin": place.program.url}).headers["location"]
    shown = desk.get(check).text
    across = re.search(r"<code[^>]*>(openid4vp://[^<]+)</code>", shown)
    beside = re.search(rf'href="({WALLET}/authorize[^"]+)"', shown)
    assert across
    assert beside
    return check, unescape(across[1]), unescape(beside[1])


def test_our_own_page_on_the_same_device_and_in_a_strangers_browser(place: Place) -> None:
    with place.program.browser() as desk, place.program.browser() as stranger:
        sign_in(place, desk)
        for returning, state in ((desk, "verified"), (stranger, "refused")):
            check, _, beside = start(place, desk)
            person = place.person()
            consent(person, beside, same_device=True)
            went = agree(person, follow_redirects=False).headers["location"]
            assert went.startswith(f"{place.program.url}/console/return?response_code=")
            assert desk.get(f"{check}/state").json() == {"state": "answered"}
            answer = returning.get(went, headers={"Accept": "text/html"})
            assert desk.get(f"{check}/state").json() == {"state": state}
            shown = desk.get(check).text
            assert (NAME in shown) == (state == "verified")
            if state == "verified":
                assert (answer.status_code, answer.headers["location"]) == (303, check)
                assert answer.headers["referrer-policy"] == "no-referrer"
                assert answer.headers["cache-control"] == "no-store"
            else:
                assert answer.status_code == 403
                assert NAME not in answer.text
                assert "다른 브라우저로 돌아왔어요" in shown


def test_the_code_on_the_page_and_the_number_on_both_screens(place: Place) -> None:
    with place.program.browser() as desk:
        sign_in(place, desk)
        check, across, beside = start(place, desk)
        person = place.person()
        consent(person, across, same_device=False)
        numbers = [re.search(r'class="match"><b>(\d\d)</b>', page) for page in (desk.get(check).text, person.page.text)]
        assert numbers[0]
        assert numbers[1]
        assert numbers[0][1] == numbers[1][1]
        agree(person)
        assert desk.get(f"{check}/state").json() == {"state": "verified"}
        # M23: the first that is answered ends the other.
        late = place.person()
        address = f"/authorize?{urlsplit(beside).query}"
        late.get(address)
        late.post("/requests", {"link": address})
        assert "이 요청은 끝났어요" in late.text


def press_stop(place: Place, desk: httpx2.Client, check: str) -> None:
    fields = {"csrf_token": _token(desk.get(check).text)}
    desk.post(f"{check}/stop", data=fields, headers={"Origin": place.program.url})


def test_what_the_wallet_says_when_the_desk_has_stopped(place: Place) -> None:
    with place.program.browser() as desk:
        sign_in(place, desk)
        check, across, beside = start(place, desk)
        deciding = place.person()
        consent(deciding, across, same_device=False)
        press_stop(place, desk, check)
        # Who opens the link only now sends nothing.
        late = place.person()
        address = f"/authorize?{urlsplit(beside).query}"
        late.get(address)
        late.post("/requests", {"link": address})
        assert "이 요청은 끝났어요" in late.text
        assert "물어본 곳이 그만뒀어요" in late.text
        assert "아무것도 보내지 않았어요" in late.text
        # Who was looking at it already is told that it was not taken.
        agree(deciding)
        assert "그사이 묻기를 그만뒀을 수도 있어요" in deciding.text
        shown = desk.get(check).text
        assert "묻기를 그만뒀어요" in shown
        assert NAME not in shown


def each_once(*works: Callable[[], Any]) -> Callable[[], Any]:
    """Whoever calls it does the next of these."""
    left = iter(works)

    def do_next() -> Any:
        return next(left)()

    return do_next


def test_stopping_and_answering_at_once(place: Place) -> None:
    with place.program.browser() as desk:
        sign_in(place, desk)
        for _ in range(4):
            check, across, _ = start(place, desk)
            person = place.person()
            consent(person, across, same_device=False)
            at_once(2, each_once(partial(agree, person), partial(press_stop, place, desk, check)))
            shown = desk.get(check).text
            state = desk.get(f"{check}/state").json()["state"]
            # One of them was first, and the other was told.
            assert (state, NAME in shown, "묻기를 그만뒀어요" in shown) in {
                ("verified", True, False),
                ("expired", False, True),
            }
            assert (state == "verified") == (f"{place.program.url}/continue?" in person.page.text)


def test_it_was_https_with_two_workers(place: Place) -> None:
    assert place.program.url.startswith("https://")
    assert all(each.request.url.startswith("https://") for each in place.client.exchanges)
    assert place.program.log().count("JIGAP_VERIFIER_DEMO") == 2
    assert NAME not in place.program.log()
