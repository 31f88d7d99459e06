"""Every command that the documentation names exists, with the options it names."""

import re
from functools import cache
from pathlib import Path

import pytest

from tests.support.commands import jigap, printed_by

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "specs").glob("*.md")])


def _commands() -> list[str]:
    """Lines of code blocks and inline code that begin with ``jigap``, without their prompts and comments."""
    found: set[str] = set()
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8").replace("\\\n", " ")
        for match in re.finditer(r"(?:^|`)[ $]*(?:\.venv/bin/)?(jigap [^`\n#|]*)", text, re.MULTILINE):
            found.add(" ".join(match[1].split()))
    return sorted(found)


@cache
def _help(*names: str) -> tuple[int, str]:
    done = jigap([*names, "--help"], environment={"COLUMNS": "200", "PATH": "/usr/bin:/bin"})
    return done.returncode, done.stdout


def _names(words: list[str]) -> list[str]:
    """The words that name a command: as many as the program's groups take."""
    names: list[str] = []
    for word in words:
        status, text = _help(*names)
        listed = re.search(rf"(?m)^│ {re.escape(word)} ", text.partition("Commands")[2])
        if status != 0 or not listed:
            break
        names.append(word)
    return names


@pytest.mark.parametrize("command", _commands())
def test_a_documented_command_exists_with_its_options(command: str) -> None:
    words = [word for word in command.split()[1:] if "…" not in word and "|" not in word]
    names = _names(words)
    assert names or words[:1] in ([], ["--help"]), f"jigap has no command {words[:1]}"
    status, text = _help(*names)
    assert status == 0
    assert "Commands" not in text or len(names) == len([w for w in words if not w.startswith("-")]), (
        f"{command}: {names} has no such command"
    )
    for option in (word.strip("[]").partition("=")[0] for word in words if word.strip("[").startswith("--")):
        assert option in text, f"{command}: no option {option}"


def _targets() -> list[str]:
    texts = [document.read_text(encoding="utf-8") for document in DOCUMENTS]
    inline = {target for text in texts for target in re.findall(r"`(?:[A-Z]+=\S+ )?make ([a-z][a-z-]*)", text)}
    blocks = [block for text in texts for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL)]
    return sorted(inline | {target for block in blocks for target in re.findall(r"(?m)^make ([a-z][a-z-]*)", block)})


@pytest.mark.parametrize("target", _targets())
def test_a_documented_make_target_exists(target: str) -> None:
    assert re.search(rf"(?m)^{target}:", (ROOT / "Makefile").read_text())


def test_the_skips_that_the_readme_shows_are_skips_of_these_tests() -> None:
    sources = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("conftest.py"))
    for line in printed_by("make test"):
        found = re.fullmatch(r"SKIPPED \[\d+\] (tests/\S+\.py):\d+: (.+)", line)
        assert found, line
        assert (ROOT / found[1]).is_file(), line
        assert f'"{found[2]}"' in sources, line
