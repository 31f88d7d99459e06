"""How a page is judged: axe, sideways scroll, size of targets, complaints on the console; and how it is photographed.

With ``JIGAP_SCREENSHOTS`` naming a folder, every judged page is saved there (``make screenshots``).
"""

import os
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import ConsoleMessage, Page

SERIOUS = {"serious", "critical"}
SMALLEST_TARGET = 43.5
"""Pixels; 44 less rounding."""

_AXE = Axe()
_RUN_AXE = "axe.run({resultTypes: ['violations'], elementRef: false}).then((found) => found.violations)"
_SMALL_TARGETS = """(smallest) => [...document.querySelectorAll('a, button, summary, input, select, textarea')]
  .filter((e) => e.checkVisibility() && !e.closest('.hide, p, dd, .skip') && !e.matches('.skip, [type=hidden]'))
  .map((e) => [e.getBoundingClientRect(), e.outerHTML.slice(0, 120)])
  .filter(([box]) => box.width > 0 && (box.height < smallest || box.width < smallest))
  .map(([box, html]) => `${Math.round(box.width)}x${Math.round(box.height)} ${html}`)"""
# Links inside a sentence are exempt (WCAG 2.5.8), so are checkboxes whose label is the target.


def watch(page: Page) -> list[str]:
    """Return a list that fills with what the browser complains about: errors of scripts, refusals of the CSP.

    Every document of the page gets axe as well: half a megabyte that goes to the browser once.
    """
    page.add_init_script(_AXE.axe_script)
    complaints: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type == "error" and "favicon" not in message.text and "status of" not in message.text:
            complaints.append(f"{page.url}: {message.text}")

    page.on("console", note)
    page.on("pageerror", lambda error: complaints.append(f"{page.url}: {error}"))
    return complaints


def ready(page: Page) -> None:
    """Wait until every module of the page has started."""
    page.wait_for_selector("html[data-ready]", state="attached")


def accessibility_problems(page: Page) -> list[str]:
    """Return axe's serious and critical findings, one line each."""
    violations: list[dict[str, Any]] = page.evaluate(_RUN_AXE)
    return [
        f"{page.url} {rule['id']}: {node['html'][:160]}"
        for rule in violations
        if rule["impact"] in SERIOUS
        for node in rule["nodes"]
    ]


def sideways_scroll(page: Page) -> int:
    """Return by how many pixels the page is wider than the window."""
    width: int = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    return width


def small_targets(page: Page) -> list[str]:
    """Return what can be pressed and is smaller than a finger tip."""
    found: list[str] = page.evaluate(_SMALL_TARGETS, SMALLEST_TARGET)
    return [f"{page.url} {line}" for line in found]


def photograph(page: Page, name: str) -> None:
    """Save the whole page as ``<name>.<width>.<language>.png`` if the run asks for pictures."""
    folder = os.environ.get("JIGAP_SCREENSHOTS")  # noqa: TID251 only this run's wish
    if folder and page.viewport_size:
        language = page.evaluate("document.documentElement.lang")
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=f"{folder}/{name}.{page.viewport_size['width']}.{language}.png", full_page=True)


def assert_fit(page: Page, name: str, *, with_axe: bool = True) -> None:
    """Check one page as it stands: accessibility, width, targets."""
    photograph(page, name)
    problems = (accessibility_problems(page) if with_axe else []) + small_targets(page)
    if page.locator(".cta").count() and page.locator(".tabbar").count():
        problems.append(f"{page.url}: the tabs lie over the buttons at the bottom of a phone")
    if (wide := sideways_scroll(page)) > 0:
        problems.append(f"{page.url} is {wide} px wider than the window")
    assert not problems, "\n".join(problems)


_THEMES = {360: "light", 1280: "high-contrast"}


def assert_sample_fits(window: Page, gallery: str, address: str) -> None:
    """Both languages, narrow and wide; then larger text and narrower screens, which need no sideways scroll."""
    for width, language in ((360, "ko"), (1280, "en")):
        window.set_viewport_size({"width": width, "height": 900})
        window.goto(f"{gallery}{address}?lang={language}&theme={_THEMES[width]}")
        ready(window)
        assert_fit(window, f"sample{address.replace('/', '-')}")
        for narrow, size in ((320, "100"), (360, "130"), (360, "200"), (1280, "200")):
            window.set_viewport_size({"width": narrow, "height": 780})
            window.evaluate("(size) => { document.documentElement.dataset.size = size }", size)
            assert sideways_scroll(window) <= 0, (language, narrow, size)
