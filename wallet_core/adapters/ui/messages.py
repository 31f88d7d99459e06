"""Texts by key. ``messages/<area>.<language>.toml`` holds tables; a key is ``area.table.name``.

A text may hold ``{name}`` places. ``{name:이/가}`` appends the Korean particle that fits the value, ``{n:card|cards}``
stands for the first word when n is 1 and for the second otherwise. Texts are our own and may hold simple markup
(``<b>``, ``<br>``, ``<span lang="ko">``); values are escaped.
"""

import string
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from wallet_core.adapters.ui import MESSAGES
from wallet_core.adapters.ui.text import Language, josa

LANGUAGES: tuple[Language, ...] = ("ko", "en")
PSEUDO = str.maketrans("aeiouAEIOUcnsy", "áéíóúÁÉÍÓÚçñšý")


class _Places(string.Formatter):
    """Fills places with escaped values; the specification after the colon chooses a particle or a plural."""

    def format_field(self, value: Any, format_spec: str) -> str:
        if "|" in format_spec:
            one, _, many = format_spec.partition("|")
            return one if value == 1 else many
        text = str(escape(value))
        if "/" in format_spec:
            return text + josa(str(value), format_spec)[len(str(value)) :]
        return text


_PLACES = _Places()


@dataclass(frozen=True, slots=True)
class Messages:
    """All texts of an app, by language and key."""

    texts: Mapping[str, Mapping[str, str]]

    def text(self, language: str, key: str, **values: Any) -> Markup:
        """Return the text of ``key`` with its places filled.

        Raises:
            KeyError: no such key in this language, or a place without a value: a bug, and a test finds it.
        """
        return Markup(_PLACES.vformat(self.texts[language][key], (), values))  # noqa: S704 values are escaped above

    def has(self, language: str, key: str) -> bool:
        """Return whether ``key`` exists; for texts of codes that other people's software may extend."""
        return key in self.texts[language]


def load_messages(areas: Sequence[str], folder: Path = MESSAGES) -> Messages:
    """Read the catalogues of ``areas`` ("base", "issuer", …) in every language."""
    return Messages(
        {
            language: {
                f"{area}.{key}": text
                for area in areas
                for key, text in _flatten(tomllib.loads((folder / f"{area}.{language}.toml").read_text("utf-8")))
            }
            for language in LANGUAGES
        }
    )


def _flatten(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield prefix + name, str(value)


def pseudo_locale(messages: Messages) -> Messages:
    """Return ``messages`` whose English is accented, a third longer and bracketed.

    A page rendered with it shows at a glance which words come from no catalogue and which places break when
    a language needs more room.
    """
    english = {key: _pseudo(text) for key, text in messages.texts["en"].items()}
    return Messages({**messages.texts, "en": english})


def _pseudo(text: str) -> str:
    """Accent the letters of ``text`` outside places and tags."""
    pieces, depth = [], 0
    for character in text:
        depth += character in "{<"
        pieces.append(character if depth else character.translate(PSEUDO))
        depth -= character in "}>"
    return "⟦" + "".join(pieces) + "~" * (len(text) // 3) + "⟧"
