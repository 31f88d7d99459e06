"""Each server is killed (-9) before and during every step of the story: each step can be finished, nothing is lost.

The short form kills one server before every second step, and one at one request of the steps in which most is at stake.
It leaves to the long form (``make crash-test``) the other servers before a step, the other requests of :data:`POINTS`,
and the other delays.
"""

import os
import re
import threading
from collections import Counter
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
from holder_app.tables import APP_TABLES as WALLET_TABLES
from issuer.tables import APP_TABLES as ISSUER_TABLES
from tests.support.network import free_base_port
from verifier.tables import APP_TABLES as VERIFIER_TABLES
from wallet_core.adapters.sql import Database
from wallet_core.http import HttpRequest

LONG = os.environ.get("JIGAP_LONG") == "1"  # noqa: TID251 - how the long form is asked for everywhere
ONE_DELAY = os.environ.get("JIGAP_ONE_DELAY") == "1"  # noqa: TID251 - of the long form, in a third of the time

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
    ("record", "issuer"): 7,
    ("record", "verifier"): 4,
    ("web_wallet", "issuer"): 1,
    ("web_wallet", "verifier"): 3,
    ("web_wallet", "wallet"): 22,
    ("payment", "verifier"): 5,
    ("wrong_code", "issuer"): 16,
    ("replay", "issuer"): 7,
    ("replay", "verifier"): 8,
    ("changed_claim", "issuer"): 7,
    ("changed_claim", "verifier"): 4,
    ("changed_mdoc", "issuer"): 7,
    ("changed_mdoc", "verifier"): 8,
    ("untrusted_issuer", "verifier"): 4,
    ("forged_answers", "issuer"): 7,
    ("forged_answers", "verifier"): 32,
    ("forged_proofs", "issuer"): 11,
    ("deceived_wallet", "issuer"): 42,
    ("deceived_wallet", "verifier"): 3,
    ("lost_licence", "issuer"): 13,
    ("lost_licence", "verifier"): 4,
    ("changed_payment", "issuer"): 7,
    ("changed_payment", "verifier"): 8,
    ("issuer_stopped", "issuer"): 7,
    ("issuer_stopped", "verifier"): 4,
    ("other_type", "verifier"): 4,
    ("new_address", "issuer"): 18,
    ("new_address", "verifier"): 9,
    ("look_back", "issuer"): 4,
}
"""How many requests a step makes to a server: the moments at which that server can be killed."""

LOOKS_AGAIN = {"lost_licence", "new_address"}
"""Steps that ask until a status list was renewed: at least as often as :data:`POINTS` says."""

SHORT_POINTS = {
    ("licence", "issuer"): 7,  # the code is redeemed
    ("certificate", "issuer"): 8,  # the credential is signed
    ("bank", "verifier"): 3,  # the answer is checked
    ("tax", "issuer"): 19,  # the authorization code is redeemed
    ("used_up", "issuer"): 11,  # new copies are signed
    ("clerk", "issuer"): 22,  # the clerk approves
    ("record", "verifier"): 3,
    ("web_wallet", "wallet"): 20,  # the answer is sent
    ("payment", "verifier"): 4,
    ("replay", "verifier"): 3,
    ("lost_licence", "issuer"): 12,  # it is reported lost
    ("new_address", "issuer"): 9,  # old copies are revoked with the first new one
}

TABLES = {"issuer": ISSUER_TABLES, "verifier": VERIFIER_TABLES, "wallet": WALLET_TABLES}

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
    with pytest.MonkeyPatch.context() as patch, running(deployment) as started:
        # Who dies often is started again at once all the same: here it is no fault of the server's.
        patch.setattr("demo.servers._HEALTHY_SECONDS", 0.0)
        yield started


def tell_one(story: Story, step: Step) -> int:
    """Tell one step, and return how often it was begun."""
    (told,) = tell(story, [step])
    return told.attempts


def with_empty_wallet(story: Story, deployment: Deployment, home: Path) -> Story:
    """Return the story of somebody whose wallets are empty, at the command line and in the web."""
    citizen = Citizen.open(home, deployment, client=story.client)
    return replace(story, citizen=citizen, web_account=home.name, web_requests=[])


def requests_by_server(story: Story, deployment: Deployment) -> Counter[str]:
    """Return how many requests the last step made to each server, but for further pages of a list that has grown."""
    urls = [url for each in story.client.exchanges if not re.search("cursor=.", url := each.request.url)]
    return Counter(app for app in APPS for url in urls if url.startswith(deployment.url(app)))


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
        # The short form: of the servers that the step uses, the last one, so that each has its turn.
        used = [app for app in APPS if (step.name, app) in POINTS]
        if not LONG and number % 2 == 0:
            tell_one(story, step)
            continue
        for app in APPS if LONG else used[-1:]:
            before = servers[app].restarts
            servers[app].kill()
            tell_one(story, step)
            servers[app].wait()
            assert servers[app].restarts > before
            let_the_address_rest(deployment)
            kills += 1
    record_property("kills", kills)


def _delays(at: int) -> tuple[float, ...]:
    return (DELAYS[at % len(DELAYS)],) if ONE_DELAY else DELAYS


def moments() -> Iterator[tuple[Step, str, int, float]]:
    """Step, server, number of the request and delay of each kill."""
    for number, step in enumerate(STEPS):
        for (name, app), last in (POINTS if LONG else SHORT_POINTS).items():
            if name == step.name and LONG:
                yield from ((step, app, at, delay) for at in range(1, last + 1) for delay in _delays(at))
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
            told = with_empty_wallet(story, deployment, tmp_path / f"citizen-{number}")
        if step.name == "web_wallet":
            told = replace(story, web_account=f"story-{number}", web_requests=[])
        killer.aim(app, at, delay)
        interrupted += tell_one(told, step) > 1
        killer.aim("", 0, 0.0)
        servers[app].wait()
        let_the_address_rest(deployment)
    assert killer.kills == len(list(moments()))
    assert interrupted > 0
    tell_one(story, STEPS[-1])  # what the interrupted ones received and showed is there
    record_property("kills", killer.kills)
    record_property("steps begun again", interrupted)


def test_afterwards_the_whole_story_holds_at_once(
    servers: dict[str, Server], deployment: Deployment, facts: dict[str, Any], tmp_path: Path
) -> None:
    for server in servers.values():
        server.wait()
    story = with_empty_wallet(Story.begin(deployment, facts), deployment, tmp_path / "afterwards")
    made: dict[tuple[str, str], int] = {}
    for step in STEPS:
        assert tell_one(story, step) == 1
        made |= {(step.name, app): count for app, count in requests_by_server(story, deployment).items()}
    for moment, least in POINTS.items():
        if moment[0] in LOOKS_AGAIN:
            made[moment] = min(made[moment], least)
    # No moment is forgotten, neither of a step nor of a server.
    assert made == POINTS
