"""The program ``jigap``: words on standard error, with ``--json`` one object on standard output.

Exit codes: 0 done, 1 refused, 2 wrong usage. The apps and the demo join through the entry points ``jigap.commands``.
"""

import sys
from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.metadata import entry_points, version
from typing import Annotated, Any

import typer
from rich.console import Console

from wallet_core.encoding.plain_text import printable
from wallet_core.encoding.strict_json import dumps_text
from wallet_core.errors import WalletError

COMMANDS = "jigap.commands"
"""The entry-point group: a name and a ``typer.Typer``."""

_OWN_COMMANDS = {
    "keys": "wallet_core.adapters.cli_keys",
    "catalogue": "wallet_core.adapters.cli_catalogue",
    "trust": "wallet_core.adapters.cli_trust",
}

JsonFlag = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]
"""Type of the ``--json`` option of every command."""

app = typer.Typer(
    name="jigap",
    help="Jigap (지갑): issue, hold and verify signed credentials.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_words = Console(stderr=True, highlight=False, soft_wrap=True)


def out(as_json: bool, value: Any, text: str) -> None:
    """Answer a command: ``value`` as one JSON object on standard output, or ``text`` on standard error."""
    if as_json:
        sys.stdout.write(dumps_text(value) + "\n")
    else:
        say(text)


def say(text: str) -> None:
    """Write words for a person to standard error."""
    # Names and errors of other servers are among the words; none of them may steer the terminal.
    _words.print(printable(text), markup=False)


def refuse(error: WalletError) -> None:
    """Say one clear line about ``error``, and the wire form on standard output if ``--json`` was given."""
    say(f"refused ({error.code}): {error.detail}")
    if "--json" in sys.argv:
        members = {"error": error.code, "error_description": error.description, "fault": error.fault}
        sys.stdout.write(dumps_text(members | ({"clause": error.clause} if error.clause else {})) + "\n")


@app.command("version")
def show_version(*, as_json: JsonFlag = False) -> None:
    """Print the version."""
    number = version("jigap")
    out(as_json, {"version": number}, f"jigap {number}")


def _add_commands(wanted: str | None) -> None:
    """Add the groups of the apps: only the wanted one, if there is one of that name, so that it starts fast."""
    found: dict[str, Callable[[], typer.Typer]] = {point.name: point.load for point in entry_points(group=COMMANDS)}
    found |= {name: partial(_own_commands, module) for name, module in _OWN_COMMANDS.items()}
    for name, load in found.items():
        if wanted not in found or name == wanted:
            app.add_typer(load(), name=name)


def _own_commands(module: str) -> typer.Typer:
    commands: typer.Typer = import_module(module).app
    return commands


def main() -> None:
    """Run ``jigap``."""
    _add_commands(sys.argv[1] if len(sys.argv) > 1 else None)
    try:
        app()
    except WalletError as error:
        refuse(error)
        sys.exit(1)
