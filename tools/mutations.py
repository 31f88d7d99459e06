"""What "take the enforcing statement out" means for each kind of statement.

A mutation is the text of a module with one statement neutralised: a refusal that no longer refuses, a condition that
always holds, a parser of a member that takes whatever is there. What fits no rule here has no mutation, and is said so.
"""

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

# Keyword arguments whose value says what a check compares with, and what stands there when it compares with nothing.
_NEUTRAL: Final = {"typ": "None", "credential_identifier": "None", "audience": "'mutated'", "nonce": "'mutated'"}
_OTHER_PURPOSE: Final = {
    "VERIFIER_ACCESS": "CREDENTIAL_ISSUER",
    "CREDENTIAL_ISSUER": "VERIFIER_ACCESS",
    "WALLET_PROVIDER": "VERIFIER_ACCESS",
}
_VALUE_PARSERS: Final = frozenset({"parse_url", "parse_identifier", "_url", "_url_safe"})
_MEMBER_PARSERS: Final = frozenset({"string", "strings", "integer", "objects", "optional_string", "optional_object"})


@dataclass(frozen=True, slots=True)
class Mutation:
    """One way to take a statement out: what was done, and the module's text after it."""

    what: str
    source: str


def mutations(source: str, line: int) -> tuple[Mutation, ...]:
    """Return the ways to take out what stands at ``line`` (from 1) of a module; empty if none is known."""
    tree = ast.parse(source)
    node = _node_at(tree, line)
    return tuple(
        Mutation(what, ast.unparse(ast.fix_missing_locations(_replaced(tree, node, other))))
        for what, other in _alternatives(node)
    )


def _node_at(tree: ast.Module, line: int) -> ast.AST:
    """Return the outermost statement or keyword that begins at the line; else the innermost one around it."""
    found: ast.AST = tree
    for node in ast.walk(tree):
        if not isinstance(node, ast.stmt | ast.keyword):
            continue
        if node.lineno == line:
            return node
        if node.lineno < line <= (node.end_lineno or node.lineno):
            found = node
    return found


def _alternatives(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    if isinstance(node, ast.If):
        yield from _of_condition(node)
    elif isinstance(node, ast.Expr | ast.Raise | ast.AugAssign):
        yield "statement removed", ast.Pass()
        yield from (each for each in _of_value(node) if each[0].endswith("left out"))
    elif isinstance(node, ast.Return) and isinstance(node.value, ast.BoolOp | ast.Compare):
        yield "always true", ast.Return(ast.Constant(value=True))
    elif isinstance(node, ast.Assign) and isinstance(node.value, ast.BoolOp | ast.Compare):
        for value in (True, False):
            yield f"always {value}".lower(), ast.Assign(node.targets, ast.Constant(value))
    elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
        yield from list(_of_value(node)) or [("statement removed", ast.Pass())]
    elif isinstance(node, ast.Return | ast.Assign) and isinstance(node.value, ast.Call) and not list(_of_value(node)):
        yield from _argument_alone(node, node.value)
    else:
        yield from _of_value(node)


def _argument_alone(node: ast.AST, call: ast.Call) -> Iterator[tuple[str, ast.AST]]:
    if call.args and isinstance(text := call.args[0], ast.JoinedStr):
        # A name for a kind of text adds nothing to it.
        yield "beginning left out", _replaced(node, call, ast.JoinedStr(text.values[1:]))
    elif call.args:
        yield "argument taken as it is", _replaced(node, call, call.args[0])


def _of_condition(node: ast.If) -> Iterator[tuple[str, ast.AST]]:
    never = copy.deepcopy(node)
    never.body = [ast.Pass()]
    yield "never refuses", never
    if any(isinstance(each, ast.Return) for each in node.body):
        always = copy.deepcopy(node)
        always.test = ast.Constant(value=True)
        yield "always so", always


def _of_value(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    for number, call in enumerate(ast.walk(node)):
        for what, change in _changes(call):
            changed = copy.deepcopy(node)
            twin = list(ast.walk(changed))[number]
            yield what, _replaced(changed, twin, change)


def _changes(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Return what one expression may be replaced with."""
    if isinstance(node, ast.keyword) and node.arg in _NEUTRAL and not isinstance(node.value, ast.Constant):
        neutral = ast.parse(_NEUTRAL[node.arg], mode="eval").body
        yield f"{node.arg} compared with nothing", ast.keyword(node.arg, neutral)
    elif isinstance(node, ast.Attribute) and node.attr in _OTHER_PURPOSE:
        yield "another purpose", ast.Attribute(node.value, _OTHER_PURPOSE[node.attr], node.ctx)
    elif isinstance(node, ast.comprehension) and node.ifs:
        yield "nothing filtered", ast.comprehension(node.target, node.iter, [], node.is_async)
    elif isinstance(node, ast.IfExp):
        yield "always the first", node.body
    elif isinstance(node, ast.Dict) and node.keys and isinstance(node.keys[0], ast.Constant):
        yield f"{node.keys[0].value} left out", ast.Dict(node.keys[1:], node.values[1:])
    elif isinstance(node, ast.Call):
        yield from _of_call(node)


def _of_call(node: ast.Call) -> Iterator[tuple[str, ast.AST]]:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if name == "sorted":
        yield "not sorted", node.args[0]
    elif name in _VALUE_PARSERS:
        yield "taken as it is", node.args[0]
    elif name in _MEMBER_PARSERS and isinstance(node.func, ast.Attribute) and len(node.args) == 2:
        get = ast.Call(ast.Attribute(node.args[0], "get", ast.Load()), [node.args[1]], [])
        several = ast.Call(ast.Name("tuple", ast.Load()), [ast.BoolOp(ast.Or(), [get, ast.Tuple([], ast.Load())])], [])
        yield "taken as it is", several if name == "strings" else get


def _replaced(tree: ast.AST, node: ast.AST, other: ast.AST) -> ast.AST:
    """Return ``tree`` with ``node`` replaced; ``tree`` itself is left as it was."""
    if node is tree:
        return other
    twin = copy.deepcopy(tree)
    place = list(ast.walk(tree)).index(node)
    wanted = list(ast.walk(twin))[place]
    for parent in ast.walk(twin):
        for field, value in ast.iter_fields(parent):
            if value is wanted:
                setattr(parent, field, other)
            elif isinstance(value, list) and any(each is wanted for each in value):
                setattr(parent, field, [other if each is wanted else each for each in value])
    return twin
