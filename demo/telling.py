"""How the story looks on a terminal: Korean first, a short English gloss beside it."""

import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import qrcode
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
        issuer, verifier, wallet = facts["issuer"], facts["verifier"], facts["wallet"]
        agencies = {agency["api_key"]: agency for agency in issuer["agencies"].values() if agency["records"]}
        self.say("\n직접 해보기", "try it by hand (시험용)")
        self.say(f"   1 지갑에 코드로 들어가요  {wallet['url']}", "sign in to the wallet with a one-time code")
        self._keys((person["sign_in_code"], f"{person['name']} ({person['subject_id']})") for person in facts["people"])
        self.say(f"   2 기관에서 카드를 보내요  {issuer['url']}/console", "offer a card to one of them, by p02, p04, …")
        self._keys((key, agency["name"]["ko"]) for key, agency in agencies.items())
        self.say(
            "   3 기관에 로그인할 때 (이름 · 생년월일 · 코드)",
            "to log in at an agency",
        )
        self._keys((person["login_code"], f"{person['name']} {person['birth_date']}") for person in facts["people"])
        self.say(f"   4 회사가 물어봐요  {verifier['url']}/console", "ask for a presentation")
        self._keys((party["api_key"], party["name"]["ko"]) for party in verifier["parties"].values())

    def trust(self, page: str, certificate: Path, *, reachable: bool, name: str) -> None:
        """Write how a browser here and a phone learn to trust the demo's https.

        Args:
            page: its address, by http.
            certificate: file of the authority's certificate.
            reachable: whether a phone can reach the page.
            name: of this machine in its network, as far as it knows.
        """
        self.say("\nhttps를 믿게 하려면", "how to trust it (시험용)")
        self.say(f"   이 컴퓨터  {certificate}", "import it in the browser as an authority for web sites")
        self.say(f"   curl --cacert {certificate}", "or SSL_CERT_FILE for programs")
        if reachable:
            self.say(f"   휴대전화  {page}", "on the phone: open it, download, install as the page says")
            code = qrcode.QRCode(border=2)
            code.add_data(page)
            drawn = io.StringIO()
            code.print_ascii(out=drawn, invert=True)
            self._console.print(drawn.getvalue(), markup=False)
        else:
            command = f"make demo TLS=1 FRESH=1 ADDRESS={name}"
            self.say(f"   휴대전화로 하려면  {command}", "for a phone in the same network")

    def _keys(self, entries: Iterable[tuple[str, str]]) -> None:
        for key, whose in entries:
            self._console.print(Rich.assemble("       ", (key, "yellow"), "  ", whose))
