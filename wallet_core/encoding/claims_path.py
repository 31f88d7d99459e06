"""Claims Path Pointers: how a query names claims of a JSON credential (OpenID4VP 1.0 section 7).

The invariant: what :func:`resolve` returns are paths that exist in the value, without wildcards, in document order.
"""

from collections.abc import Iterator
from typing import Final, TypeAlias

from wallet_core.encoding.strict_json import MAX_DEPTH
from wallet_core.errors import MalformedError
from wallet_core.types import ClaimsPath, Json

ConcretePath: TypeAlias = tuple[str | int, ...]
"""Path of one element: member names and array indices, no wildcard."""

_CLAUSE: Final = "OpenID4VP 7"
_PROCESSING: Final = "OpenID4VP 7.1.1"


def parse_claims_path(value: Json) -> ClaimsPath:
    """Return the Claims Path Pointer that a JSON array stands for (OpenID4VP 7).

    Raises:
        MalformedError: not a non-empty array of strings, nulls and non-negative integers, or longer than a JSON text
            can be deep here.
    """
    # dcql-7-path
    if not isinstance(value, list) or not value:
        raise MalformedError("a claims path is not a non-empty array", clause=_CLAUSE)
    if len(value) > MAX_DEPTH:
        raise MalformedError(f"a claims path has more than {MAX_DEPTH} components", clause=_CLAUSE)
    return tuple(_parse_component(component) for component in value)


def resolve(value: Json, path: ClaimsPath) -> tuple[ConcretePath, ...]:
    """Return the concrete paths of the elements of ``value`` that ``path`` selects; empty if there is none.

    OpenID4VP 7.1.1. A missing member and an index out of range select nothing.

    Raises:
        MalformedError: a component meets an element of the wrong type (a name where there is no object, an index or
            null where there is no array).
    """
    selected: list[tuple[ConcretePath, Json]] = [((), value)]
    for component in path:
        selected = [child for element in selected for child in _children(element, component)]
    return tuple(concrete for concrete, _ in selected)


def value_at(value: Json, path: ConcretePath) -> Json:
    """Return the element of ``value`` at ``path``.

    Raises:
        MalformedError: there is no such element.
    """
    for component in path:
        if isinstance(value, dict) and isinstance(component, str) and component in value:
            value = value[component]
            continue
        # Python counts negative indices from the end; a path has none.
        if not isinstance(value, list) or isinstance(component, str) or not 0 <= component < len(value):
            raise MalformedError("there is no element at this path", clause=_PROCESSING)
        value = value[component]
    return value


def _parse_component(component: Json) -> str | int | None:
    if component is None or isinstance(component, str):
        return component
    # True is an int to Python, not to JSON.
    if isinstance(component, int) and not isinstance(component, bool) and component >= 0:
        return component
    # dcql-7-component
    raise MalformedError("a component of a claims path is no string, null or non-negative integer", clause=_CLAUSE)


def _children(element: tuple[ConcretePath, Json], component: str | int | None) -> Iterator[tuple[ConcretePath, Json]]:
    concrete, value = element
    if isinstance(component, str):
        # 7.1.1: "If any of the currently selected element(s) is not an object, abort processing and return an error."
        # dcql-7.1.1-object
        if not isinstance(value, dict):
            raise MalformedError("a claims path names a member of something that is no object", clause=_PROCESSING)
        if component in value:
            yield (*concrete, component), value[component]
        return
    # dcql-7.1.1-array
    if not isinstance(value, list):
        raise MalformedError("a claims path selects in something that is no array", clause=_PROCESSING)
    if component is None:
        yield from (((*concrete, index), item) for index, item in enumerate(value))
    elif 0 <= component < len(value):
        yield (*concrete, component), value[component]
