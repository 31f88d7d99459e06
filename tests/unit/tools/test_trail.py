"""How ids are found in comments and markers in tests."""

from pathlib import Path

from tools.clauses import marks, shown_by, specifications

ENTRY = """
title = "T"
edition = "E"
prefix = "vp"
[[clause]]
id = "vp-1.2-x"
clause = "OpenID4VP 1.2"
words = "W."
status = "enforced"
"""
CODE = '''"""Not here: vp-1.2-doc."""
# The clause of the next statement, wherever the comment stands above it.
# vp-1.2-x
# and one more line
if True:  # vp-1.2-behind
    pass  # not an id: avp-1.2-x, vp-, vp-1.2
'''
TEST = """
import pytest

@pytest.mark.clause("vp-1.2-x", "vp-1.2-behind")
@pytest.mark.parametrize("a", [1])
def test_it(a): ...

@pytest.mark.other("vp-1.2-doc")
def test_other(): ...
"""


def test_marks_and_markers(tmp_path: Path) -> None:
    for name, text in (
        ("specs/clauses/vp.toml", ENTRY),
        ("verifier/a.py", CODE),
        ("tests/test_a.py", TEST),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (specification,) = specifications(tmp_path)
    assert [clause.id for clause in specification.clauses] == ["vp-1.2-x"]
    assert [(mark.id, mark.line) for mark in marks(tmp_path)] == [("vp-1.2-x", 5), ("vp-1.2-behind", 5)]
    assert {id_: [each.test for each in found] for id_, found in shown_by(tmp_path).items()} == {
        "vp-1.2-x": ["test_it"],
        "vp-1.2-behind": ["test_it"],
    }
