"""Claims Path Pointers: concrete paths of what exists, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wallet_core.encoding.claims_path import parse_claims_path, resolve, value_at
from wallet_core.errors import MalformedError, WalletError

CREDENTIAL = {
    "name": "홍길동",
    "degrees": [{"type": "학사"}, {"type": "석사", "year": 2020}, {}],
    "nested": [[1, 2], [3]],
    "0": "a name that looks like an index",
}
COMPONENTS = st.none() | st.sampled_from(["name", "degrees", "type", "nested", "0", "other"]) | st.integers(0, 3)
ANYTHING = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (("name",), [("name",)]),
        (("0",), [("0",)]),
        (("degrees", None, "type"), [("degrees", 0, "type"), ("degrees", 1, "type")]),
        (("degrees", 1, "year"), [("degrees", 1, "year")]),
        (("degrees", 7), []),
        (("other",), []),
        (("nested", None, None), [("nested", 0, 0), ("nested", 0, 1), ("nested", 1, 0)]),
        (("nested", None, 1), [("nested", 0, 1)]),
    ],
)
def test_resolve(path: tuple[str | int | None, ...], expected: list[tuple[str | int, ...]]) -> None:
    assert list(resolve(CREDENTIAL, path)) == expected


@pytest.mark.clause("dcql-7.1.1-object", "dcql-7.1.1-array")
@pytest.mark.parametrize("path", [("name", "x"), ("name", None), ("name", 0), ("degrees", "type"), (0,), (None,)])
def test_a_type_conflict_is_an_error(path: tuple[str | int | None, ...]) -> None:
    with pytest.raises(MalformedError):
        resolve(CREDENTIAL, path)


@given(st.lists(COMPONENTS, min_size=1, max_size=4))
def test_what_is_resolved_is_there(path: list[str | int | None]) -> None:
    try:
        found = resolve(CREDENTIAL, parse_claims_path(list(path)))
    except WalletError:
        return
    assert len(set(found)) == len(found)
    for concrete in found:
        value_at(CREDENTIAL, concrete)
        assert all(asked is None or asked == got for asked, got in zip(path, concrete, strict=True))


@pytest.mark.parametrize("path", [("other",), ("degrees", 9), ("name", "x"), ("degrees", -1), ("degrees", "0")])
def test_nothing_at_a_path(path: tuple[str | int, ...]) -> None:
    with pytest.raises(MalformedError):
        value_at(CREDENTIAL, path)


@pytest.mark.clause("dcql-7-path", "dcql-7-component")
@given(ANYTHING)
def test_only_paths_parse(value: object) -> None:
    try:
        path = parse_claims_path(value)
    except MalformedError:
        return
    assert list(path) == value
    assert all(part is None or isinstance(part, str) or (type(part) is int and part >= 0) for part in path)


def test_length() -> None:
    parse_claims_path(["a"] * 32)
    with pytest.raises(MalformedError):
        parse_claims_path(["a"] * 33)
