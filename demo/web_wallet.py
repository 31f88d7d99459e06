"""A step of the story in the web wallet: pages and forms over HTTP, as a browser without script uses them.

Its server keeps cards, history and unfinished offers: what was done when it died is there afterwards, or can be done.
"""

import re
from contextlib import closing, suppress
from typing import Any, Final
from urllib.parse import urlsplit

from demo.citizen import WalletRefusal
from demo.desks import ApiRefusal, Browser
from demo.stage import (
    CHECKED,
    GOT,
    HELD,
    LIST_OUT_OF_REACH,
    SENT,
    SHOP,
    Line,
    Story,
    expect,
    failed_check,
    times,
)
from holder_app.accounts.use_cases import create_person, create_sign_in_code
from holder_app.dependencies import create_wallet
from holder_app.settings import WalletSettings
from wallet_core.errors import FetchError

NAME, SUBJECT = "남궁별하", "p07"
LICENCE: Final = "drivers-licence"
POLICY: Final = "adult-check"

_CARD: Final = re.compile(r'href="/cards/([0-9a-f]+)"')
_UNFINISHED: Final = re.compile(r'href="(/offers/[0-9a-f]+)"')
_SHOWN: Final = re.compile(r'href="/history/([0-9a-f]+)"')
_MOST_FORMS: Final = 3
"""Forms between an offer and its card: fetch, accept, keep."""


def use_web_wallet(story: Story) -> list[Line]:
    """Another citizen signs in to the web wallet, puts her licence into it, shows the shop that she is an adult."""
    browser = Browser(story.client, story.facts["wallet"]["url"])
    browser.open(f"{browser.url}/sign-in")
    browser.submit("/sign-in", {"code": _sign_in_code(story)})
    label = HELD if _cards(browser) else GOT
    if label is GOT:
        _receive(story, browser)
    (_card,) = _cards(browser)
    agency = story.catalogue.agencies[story.catalogue.types[LICENCE].agency].name.ko
    claims = _share(story, browser)
    shown = _history(story, browser)
    shop = story.facts["verifier"]["parties"][SHOP]["name"]["ko"]
    return [
        Line(label, f"{agency} → 웹 지갑 · web wallet: 1 card"),
        Line(SENT, f"웹 지갑 → {shop}: {', '.join(claims)}"),
        Line(CHECKED, f"기록에 {shown}건, 빠진 것 없음 · {shown} in the history, none is missing"),
        times(story),
    ]


def _sign_in_code(story: Story) -> str:
    """Return a new one-time code, as the demo prints them; the printed ones are for trying it by hand."""
    wallet = create_wallet(WalletSettings.from_environment(story.wallet_environment))
    with closing(wallet.database):
        person = create_person(wallet.account_ports(), NAME, story.web_account)
        return create_sign_in_code(wallet.account_ports(), person.id)


def _cards(browser: Browser) -> set[str]:
    browser.open(f"{browser.url}/")
    return set(_CARD.findall(browser.page.body.decode()))


def _receive(story: Story, browser: Browser) -> None:
    """Finish what was begun before the wallet's server died; if that cannot go on yet, take a new offer."""
    if begun := _UNFINISHED.search(browser.page.body.decode()):
        # The wallet sends a code again only after a while: it may be on its way.
        with suppress(ApiRefusal):
            browser.open(browser.url + begun[1])
            if _finish(story, browser, begun[1]):
                return
    offer = story.offer("police", LICENCE, SUBJECT)
    story.web_code = offer["tx_code"]
    browser.open(f"{browser.url}/scan")
    at = urlsplit(browser.submit("/scan", {"link": offer["uri"]})).path
    expect(_finish(story, browser, at), "the web wallet did not put the card away")


def _finish(story: Story, browser: Browser, at: str) -> bool:
    """Send the form of the open page until the card is in the wallet. Raises as :meth:`Browser.submit`."""
    for _ in range(_MOST_FORMS):
        form = re.search(rf'action="{at}/(fetch|accept|keep)"', browser.page.body.decode())
        if form is None:
            break
        _go_on(story, browser, f"{at}/{form[1]}", {"tx_code": story.web_code} if form[1] == "accept" else {})
    return bool(_CARD.search(browser.page.body.decode()))


def _share(story: Story, browser: Browser) -> list[str]:
    """Show what the shop asks for, and return what it got."""
    request = story.request(SHOP, POLICY)
    story.web_requests.append(request["id"])
    browser.open(f"{browser.url}/scan")
    at = urlsplit(browser.submit("/scan", {"link": request["authorization_request"]})).path
    _go_on(story, browser, f"{at}/fetch", {})
    _go_on(story, browser, f"{at}/answer", browser.hidden)
    result = story.result(SHOP, request["id"])
    # As everywhere: the shop did not reach the agency's list.
    story.client.interrupted |= failed_check(result).get("detail") == LIST_OUT_OF_REACH
    if result["state"] != "verified":
        raise WalletRefusal("the shop did not take the answer", detail=f"the shop's result is {result['state']}")
    expect(all(check["ok"] for check in result["checks"]), "a check failed")
    claims: dict[str, Any] = result["credentials"]["licence"][0]["claims"]
    expect(claims == {"adult_by_year": True}, f"the shop got {sorted(claims)}")
    return sorted(claims)


def _go_on(story: Story, browser: Browser, action: str, fields: dict[str, str]) -> None:
    """Send a form. Raises ``FetchError`` if the wallet says that it did not reach the other side."""
    address = browser.submit(action, fields)
    if urlsplit(address).query == "unreachable":
        story.client.interrupted = True
        raise FetchError("the web wallet did not reach the other side", detail=f"{action} led to {address}")


def _history(story: Story, browser: Browser) -> int:
    """See that the history has whatever the shop got, also before the wallet's server died; return how much it has."""
    browser.open(f"{browser.url}/history?kind=sent")
    shown = len(set(_SHOWN.findall(browser.page.body.decode())))
    got = sum(story.result(SHOP, each)["state"] == "verified" for each in story.web_requests)
    expect(shown >= got >= 1, f"the shop got {got} answers, the history knows {shown}")
    return shown
