"""A verifier that checks files, an agency for each format, and a provider of status lists: invented, keys made here."""

import json
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from tests.simulators import run_flow
from tests.support.mdoc_presentations import MdocAgency
from tests.support.presentations import AGENCY, NOW, World, new_world
from tests.support.verifying import HOST, VerifierUnderTest, start_verifier
from verifier.app import create_app
from wallet_core.errors import FetchError
from wallet_core.formats.mdoc.holder import HeldMdoc
from wallet_core.http import HttpRequest, HttpResponse
from wallet_core.trust.anchors import TrustAnchors
from wallet_core.trust.status_list.array import new_array, with_statuses
from wallet_core.trust.status_list.cwt import create_status_list_cwt
from wallet_core.trust.status_list.reference import StatusReference
from wallet_core.trust.status_list.token import create_status_list_jwt, status_list_claims

URI = f"{AGENCY}/statuslists/1"
JWT, CWT = "application/statuslist+jwt", "application/statuslist+cwt"
REFERENCE = StatusReference(3, URI).to_json()
SIZE = 64


@dataclass
class BothWorld(World):
    """A world whose police issue mdocs too."""

    mdocs: MdocAgency = field(default_factory=MdocAgency)

    @property
    def anchors(self) -> TrustAnchors:
        return super().anchors + self.mdocs.anchors

    def held_mdoc(self, **changes: Any) -> HeldMdoc:
        return self.mdocs.held(self.holder, **changes)


def both_world(now: Any = NOW, **options: Any) -> BothWorld:
    return BothWorld(**vars(new_world(now, **options)), mdocs=MdocAgency(now=now))


@dataclass
class Lists:
    """Serves the agency's list as a test wants it: an HTTP client whose network is this object."""

    world: BothWorld
    now: Any
    statuses: dict[int, int] = field(default_factory=dict)
    down: bool = False
    lives: timedelta = timedelta(hours=20)
    asked: list[str] = field(default_factory=list)
    aggregations: dict[str, list[str]] = field(default_factory=dict)
    only: dict[str, str] = field(default_factory=dict)

    async def arun(self, flow: Any) -> Any:
        return run_flow(flow, self.answer)

    def answer(self, request: HttpRequest) -> HttpResponse:
        self.asked.append(request.url)
        if self.down:
            raise FetchError("the other server could not be reached")
        media_type = request.headers["Accept"]
        if request.url in self.aggregations:
            body = json.dumps({"status_lists": self.aggregations[request.url]}).encode()
            return HttpResponse(200, {"content-type": "application/json"}, body)
        media_type = self.only.get(request.url, media_type)
        return HttpResponse(200, {"content-type": media_type}, self.token(request.url, media_type))

    def token(self, uri: str, media_type: str = JWT) -> bytes:
        now, bits = self.now(), 2 if media_type == JWT else 1
        array = with_statuses(bytes(new_array(SIZE, bits)), bits, self.statuses)
        claims = status_list_claims(
            array, bits, uri=uri, issued_at=now, expires_at=now + self.lives, ttl=timedelta(seconds=60)
        )
        if media_type == JWT:
            agency = self.world.agency
            return create_status_list_jwt(claims, signer=agency.signer, x5c=agency.chain()).encode()
        mdocs = self.world.mdocs
        return create_status_list_cwt(claims, signer=mdocs.signer, x5chain=mdocs.chain())


@dataclass
class FileDesk:
    """A verifier whose lists come from ``lists``, asked by a program."""

    under_test: VerifierUnderTest
    world: BothWorld
    lists: Lists

    def post(self, body: Any, **options: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.under_test.api_keys['baram-rental']}", **options.pop("headers", {})}
        return self.under_test.client.post(f"{HOST}/api/v1/verify", json=body, headers=headers, **options)

    def verify(self, text: str, **members: Any) -> dict[str, Any]:
        """Check a text, and return what is known of it."""
        answer = self.post({"text": text, **members})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


def open_desk(folder: Path, **settings: Any) -> FileDesk:
    """Start a verifier that checks files."""
    world = both_world()
    under_test = start_verifier(folder, f"sqlite:///{folder}/verifier.db", world=world, **settings)
    lists = Lists(world, under_test.clock.now)
    verifier = replace(under_test.verifier, http=lists)
    under_test.verifier, under_test.app = verifier, create_app(verifier)
    under_test.client = TestClient(under_test.app, base_url=HOST, follow_redirects=False)
    return FileDesk(under_test, world, lists)


def failed_step(result: dict[str, Any]) -> tuple[int, str]:
    """The number and detail of the check that failed."""
    (failed,) = [check for check in result["checks"] if check["ok"] is False]
    return failed["step"], failed["detail"]
