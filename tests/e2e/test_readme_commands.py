"""The commands that the README gives for the demo work on a demo, as they stand there."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from demo.deployment import Deployment
from demo.seed import seed
from demo.servers import running
from tests.support.commands import jigap
from tests.support.network import free_base_port
from tools.clauses import ROOT


def wallet_commands() -> dict[str, str]:
    """The lines of the README that accept and present, by the command's name."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    lines = re.findall(r"(?m)^\.venv/bin/(jigap wallet (accept|present|list)\b.*)$", text)
    return {name: line for line, name in lines}


def run(line: str, folder: Path, said: dict[str, str], typed: str = "") -> tuple[int, str]:
    """Run a line of the README with its placeholders replaced, on the demo in ``folder``."""
    for name, value in said.items():
        line = line.replace(f"'{name}'", shlex.quote(value))
    words = [word.replace(".demo/", f"{folder}/") for word in shlex.split(line)[1:]]
    done = jigap(words, environment={"HOME": str(folder), "LANG": "ko_KR.UTF-8"}, given=typed.encode())
    return done.returncode, done.stdout + done.stderr


def operated(deployment: Deployment, app: str, *words: str) -> dict[str, Any]:
    """What agency staff and company staff do on their pages, by command."""
    environment = {**deployment.environment(app), "HOME": str(deployment.folder)}
    done = jigap([app, *words, "--json"], environment=environment)
    assert done.returncode == 0, done.stderr
    made: dict[str, Any] = json.loads(done.stdout)
    return made


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    return Deployment(tmp_path / "state", free_base_port())


def test_a_licence_is_accepted_and_shown_by_the_commands_of_the_readme(deployment: Deployment) -> None:
    seed(deployment)
    commands, folder = wallet_commands(), deployment.folder
    with running(deployment):
        made = ("offer", "create", "drivers-licence-sd-jwt", "--agency", "police", "--subject", "p02")
        offer = operated(deployment, "issuer", *made)
        said = {"OFFER": offer["uri"], "CODE": offer["tx_code"]}
        status, text = run(commands["accept"], folder, said, typed="y\ny\n")
        assert (status, "지갑에 넣었어요" in text) == (0, True), text
        asked = operated(
            deployment, "verifier", "request", "create", "--party", "corner-store", "--policy", "adult-check"
        )
        status, text = run(commands["present"], folder, {"REQUEST": asked["authorization_request"]}, typed="y\n")
        assert (status, "보냈어요" in text) == (0, True), text
        assert run(commands["list"], folder, {})[0] == 0
