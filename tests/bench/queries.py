"""What a request asks of the database: the statements of each, in order, and its transactions."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine, event

_TABLE = re.compile(r"(?:FROM|INTO|UPDATE) (\w+)")
_WHERE = re.compile(r"WHERE (.*)", re.DOTALL)
_COLUMN = re.compile(r"\b(\w+)\"? (?:=|IS|IN|<|!=)")


@dataclass
class Queries:
    """``statements`` as short names, ``transactions`` by what they may do."""

    statements: list[str] = field(default_factory=list)
    reading: int = 0
    writing: int = 0

    def show(self) -> str:
        """Return one line."""
        return f"{len(self.statements)} in {self.reading}+{self.writing}: {'; '.join(self.statements)}"


@contextmanager
def recorded(engine: Engine) -> Iterator[Queries]:
    """Collect what is asked within."""
    queries = Queries()

    def begun(connection: Any) -> None:
        if connection.get_execution_options().get("jigap_read_only"):
            queries.reading += 1
        else:
            queries.writing += 1

    def executed(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        if not statement.startswith(("BEGIN", "PRAGMA", "SAVEPOINT", "SET LOCAL")):
            queries.statements.append(short(statement))

    event.listen(engine, "begin", begun)
    event.listen(engine, "before_cursor_execute", executed)
    try:
        yield queries
    finally:
        event.remove(engine, "begin", begun)
        event.remove(engine, "before_cursor_execute", executed)


def short(statement: str) -> str:
    """Return the verb, the table and the columns that are looked up by."""
    table, where = _TABLE.search(statement), _WHERE.search(statement)
    columns = [] if where is None else list(dict.fromkeys(_COLUMN.findall(where[1])))
    return f"{statement.split(maxsplit=1)[0]} {table[1] if table else '?'}" + (
        f" by {', '.join(columns)}" if columns else ""
    )
