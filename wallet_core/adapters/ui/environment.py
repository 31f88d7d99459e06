"""The Jinja environment of all pages: autoescaping, strict about unknown names, words by key, Korean text rules.

A template finds: ``t(key, **values)``, ``lang``, ``display``, ``asset(path)``, ``here(**changes)`` (this page's
address with other query values), ``posted`` (it answers a form), the filters of ``_FILTERS``, and what the page passes.
With ``now`` among that, dates of this year drop the year; with ``csrf_token``, forms carry it.

An app makes its pages once, ``create_pages(load_messages(["base", "issuer"]), [folder, …])``, serves `STATIC` at
`STATIC_PATH`, and renders with ``pages.render("console/offer.html", choose_display(…), address, **context)``.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import jinja2
from jinja2.runtime import Context
from markupsafe import Markup

from wallet_core.adapters.qr import qr_svg
from wallet_core.adapters.ui import STATIC, TEMPLATES, masking, text
from wallet_core.adapters.ui.claims import ClaimLine
from wallet_core.adapters.ui.display import COOKIES, Display
from wallet_core.adapters.ui.messages import Messages
from wallet_core.catalogue.text import Text

STATIC_PATH = "/static"

_HANGUL = re.compile("[가-힣]")


@dataclass(frozen=True, slots=True)
class Pages:
    """Renders templates of one app.

    Attributes:
        messages: the app's texts.
        environment: Jinja, looking first in the app's template folders, then in the base's.
    """

    messages: Messages
    environment: jinja2.Environment = field(repr=False)

    def render(self, template: str, display: Display, address: str = "/", **context: Any) -> str:
        """Return the page ``template`` for a reader; ``address`` is the path and query it is shown at."""
        return self.environment.get_template(template).render(
            context, display=display, lang=display.language, address=address
        )


def create_pages(messages: Messages, folders: Sequence[Path] = ()) -> Pages:
    """Return the pages of an app whose templates stand in ``folders``; ``base.html`` and macros come from here."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([*map(str, folders), str(TEMPLATES)]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,  # templates change as code does: with a restart
    )
    environment.globals |= {
        "t": _translate(messages),
        "has_text": _has_text(messages),
        "here": _here,
        "asset": _asset(),
    }
    environment.globals |= {"csrf_token": "", "now": None, "posted": False}
    environment.filters |= _FILTERS
    return Pages(messages, environment)


def _translate(messages: Messages) -> Any:
    @jinja2.pass_context
    def t(context: Context, key: str, **values: Any) -> Markup:
        return messages.text(context["lang"], key, **values)

    return t


def _has_text(messages: Messages) -> Any:
    @jinja2.pass_context
    def has_text(context: Context, key: str) -> bool:
        return messages.has(context["lang"], key)

    return has_text


@jinja2.pass_context
def _here(context: Context, **changes: str) -> str:
    """Return the address of this page with display choices replaced, all other query values kept as they are.

    A page that answers a form has no address: then the front page remembers the choice.
    """
    if context["posted"]:
        return f"/?{urlencode(changes)}"
    path, _, query = context["address"].partition("?")
    kept = [pair for pair in parse_qsl(query, keep_blank_values=True) if pair[0] not in COOKIES]
    return f"{path}?{urlencode([*kept, *changes.items()])}"


def _asset() -> Any:
    """Return a function from a static file's path to its address with a version, so that caches may keep it long."""
    versions: Mapping[str, str] = {
        str(file.relative_to(STATIC)): hashlib.sha256(file.read_bytes()).hexdigest()[:8]
        for file in STATIC.rglob("*")
        if file.is_file()
    }

    def asset(path: str) -> str:
        return f"{STATIC_PATH}/{path}?v={versions[path]}"

    return asset


def _today(context: Context) -> date | None:
    now = context.get("now")
    return text.in_korea(now).date() if isinstance(now, datetime) else None


@jinja2.pass_context
def _day(context: Context, value: date) -> str:
    return text.day(value, context["lang"], today=_today(context))


@jinja2.pass_context
def _full_day(context: Context, value: date) -> str:
    return text.day(value, context["lang"])


@jinja2.pass_context
def _short_day(context: Context, value: date) -> str:
    return text.short_day(value, context["lang"])


@jinja2.pass_context
def _clock(context: Context, value: datetime, *, seconds: bool = False) -> str:
    return text.clock(value, context["lang"], seconds=seconds)


@jinja2.pass_context
def _moment(context: Context, value: datetime, *, seconds: bool = False) -> str:
    return text.moment(value, context["lang"], today=_today(context), seconds=seconds)


@jinja2.pass_context
def _ago(context: Context, value: datetime) -> str:
    return text.ago(context["now"] - value, context["lang"])


@jinja2.pass_context
def _won(context: Context, value: int) -> Markup:
    """Amount for the eye, full digits for a screen reader."""
    return Markup('<span aria-hidden="true">{}</span><span class="hide">{}</span>').format(
        text.won(value, context["lang"]), f"{value:,}원" if context["lang"] == "ko" else f"{value:,} won"
    )


@jinja2.pass_context
def _number(context: Context, value: int) -> str:
    return text.number(value, context["lang"])


@jinja2.pass_context
def _mask(context: Context, value: Any, kind: str = "hidden") -> str:
    return masking.mask(value, kind, context["lang"])


@jinja2.pass_context
def _words(context: Context, value: Any) -> str:
    return masking.words(value, context["lang"])


@jinja2.pass_context
def _local(context: Context, texts: Text | Mapping[str, str]) -> str:
    """Return the reader's language of a text, Korean where it has no other."""
    if isinstance(texts, Text):
        return texts.get(context["lang"])
    return texts.get(context["lang"]) or texts["ko"]


@jinja2.pass_context
def _shown(context: Context, line: ClaimLine) -> str:
    return line.shown(context["lang"])


@jinja2.pass_context
def _covered(context: Context, line: ClaimLine) -> str:
    return line.covered(context["lang"])


def _qr(content: str, label: str) -> Markup:
    """Return the QR code of ``content`` as SVG, named ``label`` for those who do not see it."""
    return Markup(qr_svg(content, title=label))  # noqa: S704 drawn by us, title escaped there


def _initial(name: str) -> str:
    """Return the letter that stands for a name in its square."""
    return name.strip()[:1].upper()


@jinja2.pass_context
def _named(context: Context, name: Any) -> Any:
    """Mark a Korean name on an English page as Korean, so that it is read aloud as such (WCAG 3.1.2)."""
    if context["lang"] == "ko" or isinstance(name, Markup) or not _HANGUL.search(str(name)):
        return name
    return Markup('<span lang="ko">{}</span>').format(name)


def _iso(value: datetime) -> str:
    return value.isoformat().replace("+00:00", "Z")


_FILTERS: Mapping[str, Any] = {
    "day": _day, "full_day": _full_day, "short_day": _short_day, "clock": _clock, "moment": _moment, "ago": _ago,
    "won": _won, "number": _number, "mask": _mask, "words": _words, "local": _local,
    "shown": _shown, "covered": _covered, "initial": _initial, "named": _named,
    "qr": _qr, "josa": text.josa, "iso": _iso,
}  # fmt: skip
