"""The three apps as the demo runs them, for real clicks."""

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect

from demo.deployment import Deployment
from demo.seed import seed
from demo.servers import running
from tests.browser.looks import ready
from tests.support.network import free_base_port


@dataclass(frozen=True)
class System:
    """Addresses, keys and people of a running demo."""

    issuer: str
    verifier: str
    wallet: str
    facts: dict[str, Any]

    def agency_key(self, agency_id: str) -> str:
        return str(self.facts["issuer"]["agencies"][agency_id]["api_key"])

    def party_key(self, party_id: str) -> str:
        return str(self.facts["verifier"]["parties"][party_id]["api_key"])

    def open_wallet(self, page: Page, person: int) -> None:
        """Sign in to the wallet as one of the demo's people; each code works once."""
        page.goto(self.wallet)
        page.get_by_label("한 번 쓰는 코드").fill(self.facts["people"][person]["sign_in_code"])
        page.get_by_role("button", name="들어가기").click()
        expect(page.locator("h1")).to_contain_text("지갑")

    def open_console(self, page: Page, origin: str, key: str) -> None:
        """Sign in to a console."""
        page.goto(f"{origin}/console")
        page.get_by_label("API 열쇠").fill(key)
        page.get_by_role("button", name="들어가기").click()
        expect(page).to_have_url(f"{origin}/console")

    def make_offer(self, page: Page, type_name: str, subject_id: str, form: str = "") -> tuple[str, str]:
        """Make an offer by clicks; return its link and transaction code. The page stays on the offer.

        ``form`` is the label of another form of the card than the usual one.
        """
        page.goto(f"{self.issuer}/console/offers/new")
        page.get_by_label(type_name).check()
        page.get_by_role("button", name="다음").click()
        page.get_by_label("이름이나 번호로 찾기").fill(subject_id)
        page.get_by_role("button", name="찾기").click()
        page.get_by_role("radio").first.check()
        page.get_by_role("button", name="다음").click()
        if form:
            page.get_by_label(form).check()
        page.get_by_role("button", name="제안 만들기").click()
        ready(page)
        page.locator("summary", has_text="확인 번호 보기").click()
        return page.locator(".copybox code").inner_text(), page.locator(".txcode").inner_text()

    def paste(self, page: Page, link: str) -> None:
        """Give the wallet a link, up to the page that says where it leads."""
        page.goto(f"{self.wallet}/scan")
        page.get_by_label("링크", exact=False).last.fill(link)
        page.locator("form", has=page.locator("textarea")).locator("button").click()

    def receive(self, page: Page, link: str, tx_code: str) -> None:
        """Take an offered card into the wallet."""
        self.paste(page, link)
        page.get_by_role("button", name="내용 보기").click()
        page.get_by_label("확인 번호").fill(tx_code)
        page.get_by_role("button", name="받기", exact=True).click()
        page.get_by_role("button", name="지갑에 넣기").click()
        expect(page.locator("h1")).to_contain_text("지갑에 넣었어요")

    def start_check(self, page: Page, policy: str) -> None:
        """Make a code at the desk, with a yes where the party is not registered for it."""
        page.goto(f"{self.verifier}/console")
        page.get_by_label(policy).check()
        page.get_by_role("button", name="다음").click()
        page.wait_for_url("**/console/ask?*")
        if (yes := page.get_by_label("그래도 물어볼게요")).count():
            yes.check()
        page.get_by_role("button", name="코드 만들기").click()
        ready(page)


@contextlib.contextmanager
def run_system(folder: Path) -> Iterator[System]:
    """Fill a new demo and run its servers on free ports."""
    # A second, so that what a clerk decides is in the wallet before the test is tired of waiting.
    impatient = {"JIGAP_ISSUER_DEFERRED_INTERVAL_SECONDS": "1"}
    deployment = Deployment(folder, free_base_port(), impatient)
    servers = running(deployment)
    # Playwright's loop runs in this thread; the demo asks its servers for their health with a loop of its own.
    with ThreadPoolExecutor(1) as beside:
        facts = beside.submit(seed, deployment).result()
        beside.submit(servers.__enter__).result()
        try:
            yield System(deployment.url("issuer"), deployment.url("verifier"), deployment.url("wallet"), facts)
        finally:
            beside.submit(servers.__exit__, None, None, None).result()
