"""``specs/commands.md``: every command of ``jigap`` with its arguments and options, from the program itself."""

import sys
from collections.abc import Iterator
from enum import Enum
from inspect import cleandoc
from typing import Any, Final, Literal, get_args, get_origin

import typer

from tools.clauses import ROOT
from wallet_core.adapters import cli

PAGE: Final = ROOT / "specs" / "commands.md"
_HEAD: Final = """\
# Commands

Every command of `jigap`, written from the program by `make specs`; a test compares the two. Words go to standard error;
with `--json` one object goes to standard output. Exit codes: 0 done, 1 refused, 2 wrong usage.
"""


def page() -> str:
    """Return the page as it should be."""
    cli._add_commands(None)  # noqa: SLF001 - the program does the same for itself
    program = typer.main.get_command(cli.app)
    return "\n".join([_HEAD, *_lines(program, ("jigap",))]).rstrip() + "\n"


def main() -> int:
    """Write the page."""
    PAGE.write_text(page())
    return 0


def _lines(command: Any, names: tuple[str, ...]) -> Iterator[str]:
    # Typer carries its own copy of click, so groups and arguments are known by what they have, not by their class.
    if hasattr(command, "commands"):
        if len(names) > 1:
            yield from (f"## {' '.join(names)}", "", cleandoc(command.help or ""), "", *_table(command))
        for name in sorted(command.commands):
            yield from _lines(command.commands[name], (*names, name))
        return
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    usage = [*names, *(_argument(each) for each in arguments)]
    yield from (f"### {' '.join(usage)}", "", cleandoc(command.help or ""), "", *_table(command))


def _table(command: Any) -> list[str]:
    rows = [row for each in command.params if (row := _row(each))]
    return ["| | |", "|---|---|", *rows, ""] if rows else []


def _argument(argument: Any) -> str:
    name = (argument.metavar or argument.name or "").upper() + ("…" if argument.nargs != 1 else "")
    return name if argument.required else f"[{name}]"


def _row(parameter: Any) -> str:
    text = getattr(parameter, "help", None) or ""
    if parameter.param_type_name == "argument":
        return f"| {_argument(parameter)} | {text} |" if text else ""
    names = ", ".join([*parameter.opts, *parameter.secondary_opts])
    facts = [fact for fact in (_choices(parameter), _default(parameter)) if fact]
    if parameter.required:
        facts.append("required")
    return f"| `{names}` | {' '.join([text, *(f'({fact})' for fact in facts)]).strip()} |"


def _choices(parameter: Any) -> str:
    return " or ".join(_values(parameter.type_descriptor.annotation))


def _values(annotation: Any) -> list[str]:
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return [str(member.value) for member in annotation]
    inner = get_args(annotation)
    if get_origin(annotation) is Literal:
        return [str(value) for value in inner]
    return [value for each in inner for value in _values(each)]


def _default(parameter: Any) -> str:
    value = parameter.default
    # A default that is computed, or that only says "not given", tells a reader nothing.
    if value in (None, False, "", (), []) or callable(value) or not isinstance(value, str | int | float):
        return ""
    return f"default {value}"


if __name__ == "__main__":
    sys.exit(main())
