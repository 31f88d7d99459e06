"""Small random changes to valid messages: most of what a parser gets wrong lies one step from something valid."""

import copy
import json
import re
from random import Random
from typing import Any

from wallet_core.encoding import base64url

DEEP: Any = None
for _ in range(40):
    DEEP = [DEEP]

ODD_VALUES: list[Any] = [
    None, True, False, 0, -1, 1, 3, 10**8, 2**53, 2**64, 1.5, -0.0, 1e308, "", "A", "\0", "가", "_sd", "...", "none",
    "ES256", "https://x.example", "urn:x", "A" * 3000, [], {}, [[]], [None] * 40, {"": None}, {"...": "x"},
    {"_sd": ["x"]}, DEEP,
]  # fmt: skip
ODD_TEXTS = [
    "",
    "\0",
    "\n",
    " ",
    "~",
    ".",
    "=",
    "%",
    "&",
    "가",
    "\ud800",
    "{",
    "[",
    '"',
    "\\",
    "-",
    "_",
    "A",
    "AAAA",
    "🪪",
]


def mutate_json(random: Random, value: Any) -> Any:
    """Return a copy of ``value`` with one to three nodes replaced, removed, doubled or renamed."""
    changed = copy.deepcopy(value)
    for _ in range(random.randint(1, 3)):
        changed = _mutate_node(random, changed)
    return changed


def _mutate_node(random: Random, value: Any) -> Any:
    if not isinstance(value, dict | list) or not value or random.random() < 0.1:
        return copy.deepcopy(random.choice(ODD_VALUES))
    key = random.choice(list(value)) if isinstance(value, dict) else random.randrange(len(value))
    kind = random.random()
    if kind < 0.5:
        value[key] = _mutate_node(random, value[key])
    elif kind < 0.65:
        del value[key]
    elif kind < 0.85:
        value[key] = copy.deepcopy(random.choice(ODD_VALUES))
    elif isinstance(value, dict):
        value[str(random.choice(ODD_TEXTS))] = copy.deepcopy(value[key])
    else:
        value.append(copy.deepcopy(value[key]))
    return value


def mutate_text(random: Random, text: str) -> str:
    """Return ``text`` with one to three slices removed, doubled or replaced by something odd."""
    for _ in range(random.randint(1, 3)):
        start = random.randrange(len(text) + 1)
        end = min(len(text), start + random.choice([0, 1, 1, 2, 30]))
        middle = random.choice([random.choice(ODD_TEXTS), text[start:end] * 2])
        text = text[:start] + middle + text[end:]
    return text


def mutate_token(random: Random, token: str) -> str:
    """Return a dotted or tilded token with one part changed, inside its JSON where it has some."""
    pieces = re.split(r"([.~])", token)
    at = random.randrange(len(pieces))
    try:
        value = json.loads(base64url.decode(pieces[at]))
        pieces[at] = encode(mutate_json(random, value))
    except Exception:  # noqa: BLE001 - whatever does not decode is changed as text
        pieces[at] = mutate_text(random, pieces[at])
    return "".join(pieces)


def encode(value: Any) -> str:
    """Return the base64url of the JSON of ``value``."""
    return base64url.encode(json_bytes(value))


def json_bytes(value: Any) -> bytes:
    """Return the JSON of ``value``; a lone surrogate becomes an escape, as a stranger could write it."""
    return json.dumps(value).encode()
