"""The generated part of ``specs/README.md``: the rules relied on, clause by clause, from ``specs/clauses``."""

import re
import sys
from collections.abc import Iterator
from typing import Final

from tools.clauses import ROOT, Specification, specifications

PAGE: Final = ROOT / "specs" / "README.md"
BEGIN: Final = "<!-- from specs/clauses by make specs -->"
END: Final = "<!-- end -->"


def page() -> str:
    """Return the page as it should be: the hand-written text with fresh tables."""
    tables = "\n".join(line for each in specifications() for line in _table(each))
    written = PAGE.read_text()
    return re.sub(rf"{BEGIN}.*{END}", lambda _: f"{BEGIN}\n\n{tables}\n{END}", written, flags=re.DOTALL)


def main() -> int:
    """Write the page."""
    PAGE.write_text(page())
    return 0


def _table(specification: Specification) -> Iterator[str]:
    enforced = [clause for clause in specification.clauses if clause.status == "enforced"]
    others = [clause for clause in specification.clauses if clause.status != "enforced"]
    yield f"### {specification.title}"
    yield ""
    yield f"Edition: {specification.edition}. {len(enforced)} rules enforced; ids in `{specification.path.name}`."
    yield ""
    yield "| clause | rule |"
    yield "|---|---|"
    yield from (f"| {clause.clause} | {clause.words} |" for clause in enforced)
    yield ""
    if others:
        yield "| clause | not yet, or not needed | why |"
        yield "|---|---|---|"
        yield from (f"| {clause.clause} | {clause.words} | {clause.status}: {clause.why} |" for clause in others)
        yield ""


if __name__ == "__main__":
    sys.exit(main())
