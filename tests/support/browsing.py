"""A person at the wallet's pages, over ASGI: follows forms with their tokens as a browser without script does."""

import re
from dataclasses import dataclass
from html import unescape
from typing import Any

from starlette.testclient import TestClient

from holder_app.accounts.use_cases import create_sign_in_code
from holder_app.app import create_wallet_app
from tests.support.wallets import Town

TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')
SHOWN = re.compile(r'name="(shown)" value="([^"]+)"')
ORIGIN = {"origin": "https://wallet.example", "sec-fetch-site": "same-origin", "accept": "text/html"}


@dataclass
class Person:
    """One browser."""

    client: TestClient
    page: Any = None

    def get(self, path: str, **options: Any) -> Any:
        """Open a page."""
        self.page = self.client.get(path, headers={"accept": "text/html"}, **options)
        return self.page

    def post(self, path: str, data: dict[str, str] | None = None, **options: Any) -> Any:
        """Send the form of the page that is open."""
        token = TOKEN.search(self.page.text)
        fields = {"csrf_token": token[1] if token else "", **dict(SHOWN.findall(self.page.text)), **(data or {})}
        self.page = self.client.post(path, data=fields, headers=ORIGIN, **options)
        return self.page

    @property
    def text(self) -> str:
        """What stands on the page."""
        return unescape(re.sub(r"<[^>]+>", " ", self.page.text))

    @property
    def path(self) -> str:
        """Where the browser is."""
        path: str = self.page.url.path
        return path

    def sign_in(self, town: Town, account_id: str) -> "Person":
        """Use a fresh code."""
        code = create_sign_in_code(town.wallet.account_ports(), account_id)
        self.get("/sign-in")
        self.post("/sign-in", {"code": code})
        assert self.page.status_code == 200, self.page.text
        return self


def visitor(town: Town) -> Person:
    """A browser that nobody has signed in with."""
    return Person(TestClient(create_wallet_app(town.wallet), base_url="https://wallet.example"))


def browser(town: Town, account_id: str = "jiwoo") -> Person:
    """A browser of a person who has signed in."""
    return visitor(town).sign_in(town, account_id)
