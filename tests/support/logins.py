"""An agency that lets people log in and signs real credentials of the catalogue, in memory. Everything is invented."""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from tests.simulators.authorizing import AuthorizingIssuer
from tests.simulators.issuer import ISSUER
from tests.support.browsing import Person
from tests.support.wallets import LICENCE, IssuingIssuer, Town, licence_metadata, licence_offer
from wallet_core.errors import FetchError
from wallet_core.http import HttpRequest, HttpResponse


def login_metadata() -> dict[str, Any]:
    """Metadata of an agency that may take its time."""
    return {**licence_metadata(LICENCE), "deferred_credential_endpoint": f"{ISSUER}/deferred"}


@dataclass
class LoginIssuer(AuthorizingIssuer, IssuingIssuer):
    """Both: whom :meth:`approve` lets in gets what the catalogue says."""

    metadata: Any = field(default_factory=login_metadata)
    offer: Any = field(default_factory=lambda: licence_offer(LICENCE))
    nonces: list[str] = field(default_factory=lambda: [f"nonce-{number}" for number in range(1, 20)])
    good_nonces: set[str] = field(default_factory=lambda: {f"nonce-{number}" for number in range(1, 20)})

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer one request; ``down`` names an endpoint that cannot be reached."""
        if self.down and urlsplit(request.url).path.endswith(self.down):
            raise FetchError("the other server could not be reached")
        return super().__call__(request)

    def issue(self, request: HttpRequest) -> HttpResponse:
        """Real credentials for what was proven."""
        return IssuingIssuer._credential(self, request)

    def issue_later(self) -> HttpResponse:
        """The same for what was put off."""
        assert self.put_off is not None
        return self.issue(self.put_off)


def with_login(town: Town, **changes: Any) -> LoginIssuer:
    """Let the town's agency have a login page."""
    issuer = LoginIssuer(agency=town.world.agency, **changes)
    town.issuer = issuer
    town.network.hosts["issuer.example"] = issuer
    return issuer


def choose_licence(person: Person) -> str:
    """Choose the licence of the agency, up to the page that asks to log in, and return its path."""
    person.get("/add")
    person.get(f"/add/issuer?id={ISSUER}")
    person.post("/add", {"issuer": ISSUER, "configuration": LICENCE.configuration_id})
    return person.path


def go_to_login(person: Person, path: str) -> str:
    """Press the button and return where the browser is sent."""
    answer = person.post(f"{path}/login", follow_redirects=False)
    location: str = answer.headers["location"]
    return location
