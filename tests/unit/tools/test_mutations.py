"""What is taken out when a statement is taken out."""

import textwrap

import pytest

from tools.mutations import mutations


def outcomes(source: str, line: int = 2) -> list[str]:
    """The changed text of each mutation, without the first line, which is the function's."""
    text = "def f(a, b, m, anchors):\n" + textwrap.indent(textwrap.dedent(source), "    ")
    return [textwrap.dedent(found.source.split("\n", 1)[1]) for found in mutations(text, line)]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("if a:\n    raise ValueError", ["if a:\n    pass"]),
        ("if a:\n    return b", ["if a:\n    pass", "if True:\n    return b"]),
        ("raise ValueError", ["pass"]),
        ("check(a)", ["pass"]),
        ("a += [1]", ["pass"]),
        ("a['b'] = 1", ["pass"]),
        ("a['b'] = [*sorted(b)]", ["a['b'] = [*b]"]),
        ("return a is None or b == 1", ["return True"]),
        ("c = a == b", ["c = True", "c = False"]),
        ("c = [x for x in a if x]", ["c = [x for x in a]"]),
        ("c = verify(a, typ=b)", ["c = verify(a, typ=None)"]),
        ("c = verify(a, purpose=P.VERIFIER_ACCESS)", ["c = verify(a, purpose=P.CREDENTIAL_ISSUER)"]),
        (
            "c = bind(a, audience=b, nonce=m)",
            ["c = bind(a, audience='mutated', nonce=m)", "c = bind(a, audience=b, nonce='mutated')"],
        ),
        ("c = parse_url(a, what='x')", ["c = a"]),
        ("c = members.string(m, 'x', clause='y')", ["c = m.get('x')"]),
        ("c = members.strings(m, 'x', clause='y')", ["c = tuple(m.get('x') or ())"]),
        ("return withdraw(a, b)", ["return a"]),
        ("return Name(f'{a}:{b}')", ["return f':{b}'"]),
        ("a.b = clean(b)", ["a.b = b"]),
        ("return g(a if b else m)", ["return g(a)"]),
    ],
)
def test_each_kind_of_statement(source: str, expected: list[str]) -> None:
    assert outcomes(source) == expected


def test_a_keyword_on_its_own_line_is_changed_alone() -> None:
    source = "return make(\n    x=members.string(m, 'x', clause='y'),\n    y=members.string(m, 'y', clause='y'),\n)"
    assert outcomes(source, 3) == ["return make(x=m.get('x'), y=members.string(m, 'y', clause='y'))"]


def test_only_the_statement_at_the_line_is_changed() -> None:
    source = "if a:\n    raise ValueError\nif b:\n    raise ValueError"
    assert outcomes(source, 4) == ["if a:\n    raise ValueError\nif b:\n    pass"]


def test_what_fits_no_rule_has_no_mutation() -> None:
    assert outcomes("c = a") == []
