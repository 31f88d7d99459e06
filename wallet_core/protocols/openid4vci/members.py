"""Reading members of JSON objects from strangers: one place for "is there and has the right type"."""

from collections.abc import Mapping

from wallet_core.errors import MalformedError
from wallet_core.types import Json, JsonObject

MAX_STRING_CHARACTERS = 16 * 1024
"""Longest string member other than a credential or proof; codes and identifiers are below 1 kB."""


def string(members: Mapping[str, Json], name: str, *, clause: str) -> str:
    """Return a required, non-empty string member. Raises ``MalformedError``."""
    value = members.get(name)
    if not isinstance(value, str) or not value or len(value) > MAX_STRING_CHARACTERS:
        raise MalformedError(f"{name} is missing or not a string", clause=clause)
    return value


def optional_string(members: Mapping[str, Json], name: str, *, clause: str) -> str | None:
    """Return a string member or None if it is not there. Raises ``MalformedError``."""
    return string(members, name, clause=clause) if name in members else None


def strings(members: Mapping[str, Json], name: str, *, clause: str) -> tuple[str, ...]:
    """Return a required, non-empty array of non-empty strings. Raises ``MalformedError``."""
    value = members.get(name)
    if not isinstance(value, list) or not value or not all(isinstance(item, str) and item for item in value):
        raise MalformedError(f"{name} is not a non-empty array of strings", clause=clause)
    return tuple(str(item) for item in value)


def objects(members: Mapping[str, Json], name: str, *, clause: str) -> tuple[JsonObject, ...]:
    """Return an array of objects, empty if it is not there. Raises ``MalformedError``."""
    value = members.get(name, [])
    if not isinstance(value, list):
        raise MalformedError(f"{name} is not an array", clause=clause)
    found = tuple(item for item in value if isinstance(item, dict))
    if len(found) != len(value):
        raise MalformedError(f"{name} is not an array of objects", clause=clause)
    return found


def optional_object(members: Mapping[str, Json], name: str, *, clause: str) -> JsonObject | None:
    """Return an object member or None if it is not there. Raises ``MalformedError``."""
    value = members.get(name)
    if name in members and not isinstance(value, dict):
        raise MalformedError(f"{name} is not an object", clause=clause)
    return value if isinstance(value, dict) else None


def integer(members: Mapping[str, Json], name: str, *, at_least: int, clause: str) -> int:
    """Return a required integer member of at least ``at_least``. Raises ``MalformedError``."""
    value = members.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or value < at_least:
        raise MalformedError(f"{name} is not an integer of at least {at_least}", clause=clause)
    return value
