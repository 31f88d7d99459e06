"""One function prints the Credential Issuer Identifier, from the configured public URL."""

import ast
from pathlib import Path

ISSUER = Path(__file__).parents[3] / "issuer"
ROUTES = {"endpoints.py", "router.py", "pages.py", "record_pages.py"}


def builds_an_identifier(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr) and any(
        isinstance(part, ast.Constant) and "/agencies/" in str(part.value) for part in node.values
    )


def test_no_other_code_builds_an_identifier() -> None:
    found = {
        path.relative_to(ISSUER).as_posix()
        for path in ISSUER.rglob("*.py")
        if path.name not in ROUTES and any(map(builds_an_identifier, ast.walk(ast.parse(path.read_text()))))
    }
    assert found == {"agencies/use_cases.py"}


def test_routes_take_no_identifier_from_the_request() -> None:
    for path in ISSUER.rglob("*.py"):
        text = path.read_text()
        assert "request.base_url" not in text
        assert "url_for(" not in text
