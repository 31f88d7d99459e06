"""How the story looks on a terminal: Korean first, a short English gloss beside it."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.text import Text as Rich

from demo.story import Told

_LABEL_CELLS = 26


class Telling:
    """Writes to standard output."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=True)

    def say(self, korean: str, english: str) -> None:
        """Write one line in both languages."""
        self._console.print(Rich.assemble((korean, "bold"), "  ", (english, "dim")))

    def step(self, number: int, told: Told) -> None:
        """Write a step that held."""
        title = told.step.title
        again = f", {told.attempts}번 만에 (attempts)" if told.attempts > 1 else ""
        heading = Rich.assemble(
            (f"\n{number:2} ", "bold cyan"),
            (title.ko, "bold"),
            "  ",
            (title.en, "dim"),
            (f"  {told.milliseconds:.0f} ms{again}", "green"),
        )
        self._console.print(heading)
        for line in told.lines:
            label = Rich(f"   {line.label.ko} · {line.label.en}", "cyan")
            label.pad_right(max(1, _LABEL_CELLS - label.cell_len))
            self._console.print(Rich.assemble(label, " ", line.words))

    def by_hand(self, facts: Mapping[str, Any]) -> None:
        """Write the addresses and codes for trying everything by hand."""
        self.say("\n직접 해보기", "try it by hand (시험용)")
        self._console.print(f"   지갑 · wallet      {facts['wallet']['url']}")
        for person in facts["people"]:
            self._console.print(f"     {person['sign_in_code']}  {person['name']} ({person['subject_id']})")
        self._console.print(f"   발급 · issuer      {facts['issuer']['url']}/console")
        for agency_id, agency in facts["issuer"]["agencies"].items():
            if agency["records"]:
                self._console.print(f"     {agency['api_key']}  {agency['name']['ko']} ({agency_id})")
        self._console.print(f"   확인 · verifier    {facts['verifier']['url']}/console")
        for party_id, party in facts["verifier"]["parties"].items():
            self._console.print(f"     {party['api_key']}  {party['name']['ko']} ({party_id})")
