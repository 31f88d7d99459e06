"""Pages that programs write are as these programs would write them now: ``make specs``."""

from tools import commands, spec_tables


def test_the_commands_are_those_of_the_program() -> None:
    assert commands.PAGE.read_text() == commands.page(), "run make specs"


def test_the_tables_of_clauses_are_those_of_the_files() -> None:
    assert spec_tables.PAGE.read_text() == spec_tables.page(), "run make specs"
