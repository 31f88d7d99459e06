"""Every rule relied on has an entry, a line that enforces it and a test that shows it, in every direction."""

from collections import Counter

import pytest

from tools.clauses import marks, shown_by, specifications

SPECIFICATIONS = specifications()
ENTRIES = {clause.id: clause for specification in SPECIFICATIONS for clause in specification.clauses}
ENFORCED = {id_ for id_, clause in ENTRIES.items() if clause.status == "enforced"}
IN_CODE = {mark.id for mark in marks()}
IN_TESTS = set(shown_by())


def listed(ids: set[str]) -> str:
    return ", ".join(sorted(ids))


def test_every_id_in_the_code_has_an_entry() -> None:
    assert not listed(IN_CODE - ENTRIES.keys())


def test_every_marker_has_an_entry() -> None:
    assert not listed(IN_TESTS - ENTRIES.keys())


def test_every_enforced_clause_stands_in_the_code() -> None:
    assert not listed(ENFORCED - IN_CODE)


def test_every_enforced_clause_has_a_test() -> None:
    assert not listed(ENFORCED - IN_TESTS)


def test_what_is_not_enforced_is_not_marked_as_if_it_were() -> None:
    assert not listed((IN_CODE | IN_TESTS) & ENTRIES.keys() - ENFORCED)


def test_ids_are_unique_and_carry_the_prefix_of_their_file() -> None:
    counted = Counter(clause.id for specification in SPECIFICATIONS for clause in specification.clauses)
    assert not [id_ for id_, count in counted.items() if count > 1]
    for specification in SPECIFICATIONS:
        assert all(clause.id.startswith(f"{specification.prefix}-") for clause in specification.clauses)


@pytest.mark.parametrize("clause", ENTRIES.values(), ids=lambda clause: clause.id)
def test_an_entry_says_what_and_why(clause) -> None:
    assert clause.words.endswith(".")
    assert clause.clause
    # Whatever is not enforced says why, and what comes later says with which issue.
    assert bool(clause.why) == (clause.status != "enforced")
    assert clause.status != "later" or "issue" in clause.why
