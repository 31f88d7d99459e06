"""Values of data elements from JSON: what an agency's record holds, as CBOR types (ISO/IEC 18013-5 7.2.1, catalogue).

The way back is ``encoding.cbor.to_json``.
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time
from typing import Any, Final

from wallet_core.encoding import cbor
from wallet_core.errors import MalformedError
from wallet_core.types import Json

_DATA_URL: Final = "data:"
_PRIVILEGE_DATES: Final = ("issue_date", "expiry_date")


def element_value(value: Json, kind: str, *, what: str) -> Any:
    """Return the value of a data element.

    Args:
        value: the claim in JSON, as the SD-JWT VC form has it.
        kind: the CBOR type the catalogue names: ``tstr``, ``uint``, ``bool``, ``full-date``, ``tdate``, ``bstr``,
            ``array``. A date as ``tdate`` is midnight UTC of that day; a ``bstr`` is a data URL or base64; the dates in
            an array of driving privileges are full-dates.
        what: the name of the element, for the error.

    Raises:
        MalformedError: the value is not of that kind.
        KeyError: there is no such kind (a mistake of our own code).
    """
    return _KINDS[kind](value, what)


def _text(value: Json, what: str) -> str:
    if isinstance(value, str):
        return value
    raise MalformedError(f"{what} is not a text")


def _uint(value: Json, what: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise MalformedError(f"{what} is not an unsigned integer")


def _bool(value: Json, what: str) -> bool:
    if isinstance(value, bool):
        return value
    raise MalformedError(f"{what} is neither true nor false")


def _day(value: Json, what: str) -> date:
    try:
        return datetime.strptime(_text(value, what), "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError as exc:
        raise MalformedError(f"{what} is not a date") from exc


def _full_date(value: Json, what: str) -> Any:
    return cbor.full_date(_day(value, what))


def _tdate(value: Json, what: str) -> Any:
    return cbor.tdate(datetime.combine(_day(value, what), time(), UTC))


def _bytes(value: Json, what: str) -> bytes:
    text = _text(value, what)
    if text.startswith(_DATA_URL):
        start, comma, text = text.partition(",")
        if not comma or not start.endswith(";base64"):
            raise MalformedError(f"{what} is not a data URL in base64")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise MalformedError(f"{what} is not base64") from exc


def _array(value: Json, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise MalformedError(f"{what} is not an array")
    return [_privilege(entry, what) if isinstance(entry, dict) else entry for entry in value]


def _privilege(entry: Mapping[str, Json], what: str) -> dict[str, Any]:
    return {
        name: _full_date(value, f"{name} of {what}") if name in _PRIVILEGE_DATES else value
        for name, value in entry.items()
    }


_KINDS: Final[Mapping[str, Callable[[Json, str], Any]]] = {
    "tstr": _text,
    "uint": _uint,
    "bool": _bool,
    "full-date": _full_date,
    "tdate": _tdate,
    "bstr": _bytes,
    "array": _array,
}
