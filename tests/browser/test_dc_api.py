"""Asking a wallet by the browser's Digital Credentials API, in a real Chromium.

The wallet is the virtual one of the developer tools, which gives a page what it was told beforehand. So a page's own
``navigator.credentials.get`` is kept waiting until our wallet core has seen the request, as a platform would show it,
and the virtual wallet knows the answer; then Chromium's own code goes on, with its checks of secure context and click.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.looks import assert_fit, ready, watch
from tests.e2e.test_mdoc_presentation import Scene
from tests.support.dc_api import PlatformWallet
from tests.support.mdoc_presentations import NAME, MdocAgency, mdoc_query, new_iaca
from tests.support.network import free_port
from tests.support.presentations import new_world, query
from tests.support.serving import serving
from tests.support.verifying import PARTY, VerifierUnderTest, start_verifier
from wallet_core.errors import WalletError
from wallet_core.trust.anchors import format_trust_anchors

pytestmark = pytest.mark.browser

SHOP, EVIL = "https://shop.example", "https://evil.example"
SIGNED, UNSIGNED = "openid4vp-v1-signed", "openid4vp-v1-unsigned"
MULTISIGNED, ISO = "openid4vp-v1-multisigned", "org-iso-mdoc"
KEEP_WAITING = """() => {
  const get = navigator.credentials.get.bind(navigator.credentials);
  navigator.credentials.get = async (options) => {
    await window.platformSees(options.digital.requests);
    return get(options);
  };
}"""
BUTTON = """<!doctype html><title>shop</title><button>show</button><script>
  document.querySelector('button').onclick = async () => {
    try {
      const { protocol, data } = await navigator.credentials.get(window.call);
      window.result = { protocol, data };
    } catch (error) {
      window.result = { error: error.name };
    }
  };
</script>"""


@dataclass
class Platform:
    """What stands between the page and the wallet: it names the origin, and gives the page what the wallet answers."""

    page: Page
    wallet: PlatformWallet
    protocol: str = SIGNED
    offered: list[list[str]] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    origins: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Stand there."""
        self.session = self.page.context.new_cdp_session(self.page)
        self.page.expose_binding("platformSees", self.sees)
        self.page.add_init_script(f"({KEEP_WAITING})()")

    def sees(self, source: dict[str, Any], requests: list[dict[str, Any]]) -> None:
        """Ask the wallet; tell the virtual one what it said, or that nobody answers."""
        origin = source["frame"].evaluate("self.origin")
        self.origins.append(origin)
        self.offered.append([each["protocol"] for each in requests])
        data = {each["protocol"]: each["data"] for each in requests}
        try:
            answer = self.wallet.answer(self.protocol, data[self.protocol], origin)
        except WalletError as exc:
            # Before the person acted: the platform cancels (OpenID4VP 15.9.2).
            self.refusals.append(exc.description)
            self.behave(action="decline")
            return
        self.behave(action="respond", protocol=answer["protocol"], response=answer["data"])

    def behave(self, **how: Any) -> None:
        self.session.send("DigitalCredentials.setVirtualWalletBehavior", how)


@dataclass
class Desk:
    """A served verifier and what is behind it."""

    scene: Scene
    url: str

    @property
    def under_test(self) -> VerifierUnderTest:
        return self.scene.under_test

    def wallet(self) -> PlatformWallet:
        world = self.under_test.world
        cards = {"licence": self.under_test.held, "mdl": self.scene.held()}
        return PlatformWallet(world.anchors, world.holder, self.under_test.clock.now(), cards)

    def ask(self, **members: Any) -> dict[str, Any]:
        return self.under_test.ask(**{"response_mode": "dc_api.jwt", "expected_origins": [SHOP], **members})


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A verifier on a port of this machine."""
    folder: Path = tmp_path_factory.mktemp("verifier")
    port, world, agency = free_port(), new_world(), MdocAgency(new_iaca())
    (folder / "mdl.pem").write_text(format_trust_anchors(agency.anchors))
    under_test = start_verifier(
        folder,
        f"sqlite:///{folder}/verifier.db",
        world=world,
        public_url=f"http://localhost:{port}",
        trust_anchors=(folder / "anchors.pem", folder / "mdl.pem"),
        insecure_allow_loopback=True,
        demo=True,
    )
    with serving(under_test.app, port):
        yield Desk(Scene(under_test, agency), f"http://localhost:{port}")
    under_test.verifier.database.close()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A browser; a page of a shop's is any address of a host that is not there."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, locale="ko-KR", reduced_motion="reduce")
    context.set_default_timeout(10_000)
    found = context.new_page()
    complaints = watch(found)
    for origin in (SHOP, EVIL):
        found.route(f"{origin}/**", lambda route: route.fulfill(body=BUTTON, content_type="text/html"))
    yield found
    context.close()
    assert complaints == []


def show(page: Page, call: dict[str, Any]) -> dict[str, Any]:
    """Click the shop's button and return what its page got."""
    page.evaluate("(call) => { window.call = call; window.result = undefined; }", call)
    page.get_by_role("button").click()
    page.wait_for_function("window.result")
    found: dict[str, Any] = page.evaluate("window.result")
    return found


CALLS = [
    (protocol, mode, dcql)
    for mode in ("dc_api", "dc_api.jwt")
    for protocol in (UNSIGNED, SIGNED, MULTISIGNED, ISO)
    for dcql in (query(("name",)), mdoc_query(NAME))
    if protocol != ISO or dcql["credentials"][0]["format"] == "mso_mdoc"
]


def test_a_page_of_a_shop_s_own_gets_every_kind_of_answer(desk: Desk, page: Page) -> None:
    platform = Platform(page, desk.wallet())
    page.goto(f"{SHOP}/checkout")
    assert page.evaluate("isSecureContext")
    for protocol, mode, dcql in CALLS:
        made = desk.ask(dcql_query=dcql, response_mode=mode, dc_api_protocols=[protocol])
        platform.protocol = protocol
        credential = show(page, made["dc_api_request"])
        assert credential["protocol"] == protocol, credential
        body = {**credential, "origin": page.evaluate("self.origin")}
        answer = desk.under_test.api("POST", f"/{made['id']}/dc-api-response", json=body)
        assert answer.status_code == 200, (protocol, mode, answer.text)
        assert answer.json()["state"] == "verified"
        [[shown]] = answer.json()["credentials"].values()
        assert shown["claims"] in ({"name": "홍시험"}, {NAME[0]: {"family_name": "SIHEOM"}})
    assert set(platform.origins) == {SHOP}
    assert platform.refusals == []


def test_a_stranger_s_page_gets_nothing_for_a_request_it_copied(desk: Desk, page: Page) -> None:
    platform = Platform(page, desk.wallet())
    page.goto(f"{EVIL}/copied")
    for protocol in (SIGNED, MULTISIGNED):
        made = desk.ask(dcql_query=query(("name",)), dc_api_protocols=[protocol])
        platform.protocol = protocol
        # The wallet refuses, and the page cannot tell that from a person who closed the window.
        assert show(page, made["dc_api_request"]) == {"error": "NotAllowedError"}
    assert platform.refusals == ["the request is for another origin"] * 2
    # Nobody signed this one, so the wallet answers; what it answers is worth nothing at the shop.
    made = desk.ask(dcql_query=query(("name",)), dc_api_protocols=[UNSIGNED])
    platform.protocol = UNSIGNED
    relayed = show(page, made["dc_api_request"])
    answer = desk.under_test.api("POST", f"/{made['id']}/dc-api-response", json={**relayed, "origin": SHOP})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    failed = [check["step"] for check in desk.under_test.result(made["id"])["checks"] if check["ok"] is False]
    assert failed == [6]


def sign_in(page: Page, desk: Desk) -> None:
    page.goto(f"{desk.url}/console")
    page.get_by_label("API 열쇠").fill(desk.under_test.api_keys[PARTY])
    page.get_by_role("button", name="들어가기").click()
    expect(page).to_have_url(f"{desk.url}/console")


def start_check(page: Page, desk: Desk) -> None:
    page.goto(f"{desk.url}/console/ask?policy=adult-check")
    page.get_by_role("button", name="코드 만들기").click()
    ready(page)


@pytest.mark.parametrize("protocol", [SIGNED, UNSIGNED])
def test_our_desk_s_page_goes_on_by_itself(desk: Desk, page: Page, protocol: str) -> None:
    platform = Platform(page, desk.wallet(), protocol)
    sign_in(page, desk)
    start_check(page, desk)
    assert_fit(page, "verifier-check-with-the-browser-s-wallet")
    page.get_by_role("button", name="이 기기의 지갑").click()
    expect(page.locator("h1")).to_contain_text("확인했어요")
    assert (platform.offered, platform.origins) == ([[SIGNED, UNSIGNED]], [desk.url])


def test_who_declines_still_has_the_code(desk: Desk, page: Page) -> None:
    platform = Platform(page, desk.wallet())
    platform.wallet.cards = {}
    sign_in(page, desk)
    start_check(page, desk)
    address = page.url
    button = page.get_by_role("button", name="이 기기의 지갑")
    for _ in range(2):
        button.click()
        page.wait_for_timeout(200)
    assert len(platform.refusals) == 2
    assert page.url == address
    expect(page.locator(".qrbox, .qrblock").first).to_be_visible()
    # With a card it works at the third try.
    platform.wallet.cards = desk.wallet().cards
    button.click()
    expect(page.locator("h1")).to_contain_text("확인했어요")


@pytest.mark.parametrize(
    "without", ["delete window.DigitalCredential", "DigitalCredential.userAgentAllowsProtocol = () => false"]
)
def test_a_browser_that_cannot_shows_no_button(desk: Desk, page: Page, without: str) -> None:
    page.add_init_script(without)
    sign_in(page, desk)
    start_check(page, desk)
    expect(page.locator("[data-module=dcapi]")).to_be_hidden()
    expect(page.get_by_role("button", name="이 기기의 지갑")).to_have_count(0)
