"""Each server is killed (-9) before and during every step of the story: each step can be finished, nothing is lost."""

import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete

from demo.citizen import Citizen
from demo.deployment import APPS, Deployment
from demo.exchanges import RecordingClient
from demo.seed import seed
from demo.servers import Server, running
from demo.story import STEPS, Step, Story, tell
from issuer.tables import APP_TABLES as ISSUER_TABLES
from tests.support.network import free_base_port
from verifier.tables import APP_TABLES as VERIFIER_TABLES
from wallet_core.adapters.sql import Database
from wallet_core.http import HttpRequest

LONG = os.environ.get("JIGAP_LONG") == "1"  # noqa: TID251 - how the long form is asked for everywhere

POINTS = {
    ("licence", "issuer"): 10,
    ("certificate", "issuer"): 10,
    ("mdl", "issuer"): 10,
    ("bank", "verifier"): 4,
    ("shop", "verifier"): 4,
    ("over_asking", "verifier"): 6,
    ("rental", "verifier"): 4,
    ("tax", "issuer"): 29,
    ("used_up", "verifier"): 11,
    ("used_up", "issuer"): 13,
    ("clerk", "issuer"): 29,
    ("record", "verifier"): 4,
    ("payment", "verifier"): 5,
    ("wrong_code", "issuer"): 16,
    ("replay", "issuer"): 7,
    ("replay", "verifier"): 8,
    ("changed_claim", "issuer"): 7,
    ("changed_claim", "verifier"): 4,
    ("untrusted_issuer", "verifier"): 4,
    ("lost_licence", "issuer"): 13,
    ("lost_licence", "verifier"): 4,
    ("changed_payment", "verifier"): 8,
    ("other_type", "verifier"): 4,
    ("new_address", "issuer"): 18,
    ("new_address", "verifier"): 9,
    ("look_back", "issuer"): 4,
}
"""How many requests a step makes to a server: the moments at which that server can be killed."""

SHORT_POINTS = {
    ("licence", "issuer"): 7,  # the code is redeemed
    ("certificate", "issuer"): 8,  # the credential is signed
    ("bank", "verifier"): 3,  # the answer is checked
    ("tax", "issuer"): 19,  # the authorization code is redeemed
    ("used_up", "issuer"): 11,  # new copies are signed
    ("clerk", "issuer"): 22,  # the clerk approves
    ("record", "verifier"): 3,
    ("payment", "verifier"): 4,
    ("replay", "verifier"): 3,
    ("lost_licence", "issuer"): 12,  # it is reported lost
    ("new_address", "issuer"): 9,  # old copies are revoked with the first new one
}

TABLES = {"issuer": ISSUER_TABLES, "verifier": VERIFIER_TABLES}

DELAYS = (0.0, 0.004, 0.012)
"""Seconds between a request's leaving and the kill: before it arrives, while it is worked on, when it is answered."""


@dataclass
class Killer:
    """Kills one server when the n-th request of a step goes to it, after a delay."""

    servers: dict[str, Server]
    deployment: Deployment
    app: str = ""
    at: int = 0
    delay: float = 0.0
    kills: int = 0
    _seen: int = field(default=0)

    def aim(self, app: str, at: int, delay: float) -> None:
        self.app, self.at, self.delay, self._seen = app, at, delay, 0

    def __call__(self, request: HttpRequest) -> None:
        if not self.app or not request.url.startswith(self.deployment.url(self.app)):
            return
        self._seen += 1
        if self._seen == self.at:
            server, self.app = self.servers[self.app], ""
            self.kills += 1
            threading.Timer(self.delay, server.kill).start()


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    return Deployment(tmp_path_factory.mktemp("killed") / "state", free_base_port())


@pytest.fixture(scope="module")
def facts(deployment: Deployment) -> dict[str, Any]:
    return seed(deployment)


@pytest.fixture(scope="module")
def servers(deployment: Deployment, facts: dict[str, Any]) -> Iterator[dict[str, Server]]:
    with running(deployment) as started:
        yield started


def tell_one(story: Story, step: Step) -> int:
    """Tell one step, and return how often it was begun."""
    (told,) = tell(story, [step])
    return told.attempts


def let_the_address_rest(deployment: Deployment) -> None:
    """Forget what was refused to our address, as minutes of rest would: every kill costs it a few of its refusals."""
    for app, tables in TABLES.items():
        database = Database(deployment.settings(app)["database_url"])
        with database.unit() as unit:
            unit.connection.execute(delete(tables.rate).where(tables.rate.c.key.startswith("refusals/")))
        database.close()


def test_killed_before_every_step(
    servers: dict[str, Server],
    deployment: Deployment,
    facts: dict[str, Any],
    record_property: Callable[[str, object], None],
) -> None:
    story, kills = Story.begin(deployment, facts), 0
    for number, step in enumerate(STEPS):
        if not LONG and number % 2:  # the short form: before every second step one of the servers, in turn
            tell_one(story, step)
            continue
        for app in APPS if LONG else [APPS[number // 2 % len(APPS)]]:
            before = servers[app].restarts
            servers[app].kill()
            tell_one(story, step)
            servers[app].wait()
            assert servers[app].restarts > before
            kills += 1
    record_property("kills", kills)


def moments() -> Iterator[tuple[Step, str, int, float]]:
    """Step, server, number of the request and delay of each kill."""
    for number, step in enumerate(STEPS):
        for (name, app), last in (POINTS if LONG else SHORT_POINTS).items():
            if name == step.name and LONG:
                yield from ((step, app, at, delay) for at in range(1, last + 1) for delay in DELAYS)
            elif name == step.name:
                yield step, app, last, DELAYS[number % len(DELAYS)]


def test_killed_during_every_step(
    servers: dict[str, Server],
    deployment: Deployment,
    facts: dict[str, Any],
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    killer = Killer(servers, deployment)
    story = Story.begin(deployment, facts, RecordingClient(killer))
    interrupted = 0
    for number, (step, app, at, delay) in enumerate(moments()):
        told = story
        if step.name in {"licence", "certificate", "mdl"}:  # these begin with an empty wallet
            home = Citizen.open(tmp_path / f"citizen-{number}", deployment, client=story.client)
            told = replace(story, citizen=home)
        killer.aim(app, at, delay)
        interrupted += tell_one(told, step) > 1
        killer.aim("", 0, 0.0)
        servers[app].wait()
        let_the_address_rest(deployment)
    assert killer.kills == len(list(moments()))
    assert interrupted > 0
    record_property("kills", killer.kills)
    record_property("steps begun again", interrupted)


def test_afterwards_the_whole_story_holds_at_once(
    servers: dict[str, Server], deployment: Deployment, facts: dict[str, Any]
) -> None:
    for server in servers.values():
        server.wait()
    told = list(tell(Story.begin(deployment, facts)))
    assert [each.attempts for each in told] == [1] * len(STEPS)
