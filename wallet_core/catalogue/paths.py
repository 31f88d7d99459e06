"""Claims paths as text, as catalogue files and CSV columns write them: ``address.sido``, ``household[].name``."""

import re
from collections.abc import Iterator

from wallet_core.errors import MalformedError
from wallet_core.types import ClaimsPath, Json

_SEGMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)((?:\[\])*)\Z")


def parse_path_text(text: str) -> ClaimsPath:
    """Return the Claims Path Pointer that ``text`` stands for; ``[]`` is every element (OpenID4VP 7).

    Raises:
        MalformedError: a segment is not a claim name followed by ``[]`` or nothing.
    """
    path: list[str | int | None] = []
    for segment in text.split("."):
        found = _SEGMENT.match(segment)
        if found is None:
            raise MalformedError("a claims path is written name.member or name[].member")
        path += [found.group(1), *([None] * (len(found.group(2)) // 2))]
    return tuple(path)


def path_text(path: ClaimsPath) -> str:
    """Return ``path`` as text; an index counts from 1, as people and CSV columns do."""
    text = ""
    for part in path:
        if part is None:
            text += "[]"
        elif isinstance(part, int):
            text += f".{part + 1}"
        else:
            text += f".{part}" if text else part
    return text


def select(value: Json, path: ClaimsPath) -> Iterator[Json]:
    """Yield what ``path`` selects in ``value``; nothing where it leads nowhere."""
    if not path:
        yield value
        return
    first, rest = path[0], path[1:]
    if isinstance(first, str):
        chosen = [value[first]] if isinstance(value, dict) and first in value else []
    elif isinstance(value, list):
        chosen = value if first is None else value[first : first + 1]
    else:
        chosen = []
    for each in chosen:
        yield from select(each, rest)
