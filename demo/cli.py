"""``jigap demo``: everything on this machine."""

import contextlib
import logging
import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import typer

from demo.deployment import DEFAULT_FOLDER, Deployment
from demo.phone_page import trust_page
from demo.seed import seed
from demo.servers import check_ports, program, running
from demo.story import STEPS, Story, tell
from demo.telling import Telling
from demo.tls import check_host, own_name
from wallet_core.adapters import log

app = typer.Typer(help="The whole system on this machine: three servers, fifty invented citizens, one story.")


@app.callback(invoke_without_command=True)
def demo(
    *,
    base_port: Annotated[
        int, typer.Option("--base-port", min=1024, max=65335, help="Port of the issuer; the others are +100 and +200.")
    ] = 8100,
    once: Annotated[bool, typer.Option("--once", help="End after the story; exit 0 only if every step held.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget the last run.")] = False,
    tls: Annotated[
        bool, typer.Option("--tls", help="Serve https, certified by an authority made on the spot.")
    ] = False,
    host: Annotated[
        str, typer.Option("--host", help="Name of this machine, so that a phone reaches it; with --tls.")
    ] = "localhost",
) -> None:
    """Fill the databases, start the servers, tell the story, and serve until Ctrl-C."""
    if host != "localhost" and not tls:
        raise typer.BadParameter("another host than localhost is reached by https only: add --tls (TLS=1)")
    check_host(host)
    telling = Telling()
    for ending in (signal.SIGTERM, signal.SIGHUP):
        # Ended from outside, the servers are still stopped and the temporary folder removed.
        signal.signal(ending, _end)
    with _folder(once=once, fresh=fresh) as folder:
        deployment = Deployment(folder, base_port, tls=tls, host=host.lower())
        check_ports(deployment)
        # What the servers log goes to their files; between the lines of the story there is nothing but trouble.
        log.configure(level=logging.WARNING)
        telling.say("기관과 회사, 시민 50명의 자료를 준비해요", "preparing agencies, companies, fifty citizens")
        facts = seed(deployment)
        telling.say("서버 셋을 켜요", "starting three servers")
        with running(deployment) as servers:
            story = Story.begin(deployment, facts, servers=servers)
            for number, told in enumerate(tell(story), 1):
                telling.step(number, told)
            telling.say(f"\n{len(STEPS)}개 장면이 모두 맞았어요", f"all {len(STEPS)} steps held")
            if not once:
                telling.by_hand(facts)
                settings = deployment.settings_file("issuer")
                # As it can be typed here: nothing puts our programs on the path.
                typed = os.path.relpath(program())
                telling.say("\n명령으로도 할 수 있어요", f". {settings} && {typed} issuer offer create --help")
                telling.say("Ctrl-C로 끝내요", f"Ctrl-C ends it; scripts read {deployment.file}")
                with _phones(deployment, telling):
                    _wait()


@contextlib.contextmanager
def _folder(*, once: bool, fresh: bool) -> Iterator[Path]:
    if once:
        with tempfile.TemporaryDirectory(prefix="jigap-demo-") as temporary:
            yield Path(temporary)
        return
    if fresh and DEFAULT_FOLDER.exists():
        shutil.rmtree(DEFAULT_FOLDER)
    yield DEFAULT_FOLDER


@contextlib.contextmanager
def _phones(deployment: Deployment, telling: Telling) -> Iterator[None]:
    """With https: say how a phone, and this machine's browser, learn to trust it."""
    if not deployment.tls:
        yield
        return
    with trust_page(deployment) as page:
        telling.trust(page, deployment.tls_roots, reachable=deployment.host != "localhost", name=own_name())
        yield


def _end(number: int, _frame: FrameType | None) -> NoReturn:
    # Once is enough: a second signal must not cut the stopping short.
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, signal.SIG_IGN)
    sys.exit(128 + number)


def _wait() -> None:
    with contextlib.suppress(KeyboardInterrupt):
        threading.Event().wait()
