"""Language, text size and theme: chosen by a link (``?lang=``, ``?size=``, ``?theme=``), remembered in cookies."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from wallet_core.adapters.ui.text import Language

LANGUAGES = ("ko", "en")
SIZES = ("100", "130", "160", "200")
THEMES = ("light", "high-contrast")
COOKIES = {"lang": LANGUAGES, "size": SIZES, "theme": THEMES}
COOKIE_PREFIX = "jigap-"
COOKIE_SECONDS = 365 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Display:
    """How one reader wants pages to look."""

    language: Language = "ko"
    size: str = "100"
    theme: str = "light"


def choose_display(query: Mapping[str, str], cookies: Mapping[str, str], accept_language: str = "") -> Display:
    """Return what the query asks for, else what cookies remember, else Korean or what the browser prefers."""

    def chosen(name: str, default: str) -> str:
        for value in (query.get(name), cookies.get(COOKIE_PREFIX + name)):
            if value in COOKIES[name]:
                return value
        return default

    language = cast("Language", chosen("lang", _preferred(accept_language)))
    return Display(language, chosen("size", "100"), chosen("theme", "light"))


def choices_to_remember(query: Mapping[str, str]) -> dict[str, str]:
    """Return the cookies (name to value) that a request with this query sets; valid values only."""
    return {COOKIE_PREFIX + name: query[name] for name, allowed in COOKIES.items() if query.get(name) in allowed}


def _preferred(accept_language: str) -> str:
    """Return the first language of the header that we have; its order is what browsers send."""
    for entry in accept_language.lower().split(","):
        tag = entry.split(";")[0].strip()[:2]
        if tag in LANGUAGES:
            return tag
    return "ko"
