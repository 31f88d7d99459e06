"""Requests that look for rows at the same time: one statement, and to each its own."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from wallet_core.adapters.look_together import LookTogether
from wallet_core.errors import MalformedError, StorageError, WalletError


class Shelf:
    """What is looked up, and what was asked for at once."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def look(self, keys: Sequence[str]) -> Mapping[str, str | WalletError]:
        self.asked.append([*keys])
        if "broken" in keys:
            raise StorageError("the database could not be used")
        if "impossible" in keys:
            raise UnicodeEncodeError("ascii", "impossible", 0, 1, "no such character")
        found: dict[str, str | WalletError] = {key: key.upper() for key in keys if key != "nothing"}
        if "unreadable" in found:
            found["unreadable"] = MalformedError("it cannot be read")
        return found


async def _all(look: LookTogether[str], *keys: str) -> list[Any]:
    return await asyncio.gather(*[look(key) for key in keys], return_exceptions=True)


def test_who_asks_in_one_turn_is_answered_by_one_look() -> None:
    shelf = Shelf()
    found = asyncio.run(_all(LookTogether(shelf.look), "a", "nothing", "b", "a"))
    assert found == ["A", None, "B", "A"]
    assert shelf.asked == [["a", "nothing", "b"]]


def test_what_is_asked_later_is_looked_for_anew() -> None:
    shelf = Shelf()

    async def one_after_the_other() -> list[str | None]:
        look = LookTogether(shelf.look)
        return [await look("a"), await look("a")]

    assert asyncio.run(one_after_the_other()) == ["A", "A"]
    assert shelf.asked == [["a"], ["a"]]


def test_what_cannot_be_read_is_the_error_of_its_own_caller() -> None:
    unreadable, good = asyncio.run(_all(LookTogether(Shelf().look), "unreadable", "a"))
    assert isinstance(unreadable, MalformedError)
    assert good == "A"


def test_a_failing_look_fails_all_of_its_callers_and_no_later_one() -> None:
    async def twice() -> list[Any]:
        look = LookTogether(Shelf().look)
        return [*await _all(look, "broken", "a"), *await _all(look, "a")]

    broken, beside, later = asyncio.run(twice())
    assert isinstance(broken, StorageError)
    assert isinstance(beside, StorageError)
    assert later == "A"


def test_who_asks_for_what_makes_the_look_fail_fails_alone() -> None:
    shelf = Shelf()
    good, impossible, nothing = asyncio.run(_all(LookTogether(shelf.look), "a", "impossible", "nothing"))
    assert (good, nothing) == ("A", None)
    assert isinstance(impossible, UnicodeEncodeError)
    assert shelf.asked == [["a", "impossible", "nothing"], ["a"], ["impossible"], ["nothing"]]


def test_a_caller_that_went_away_harms_nobody() -> None:
    async def impatient() -> str | None:
        look = LookTogether(Shelf().look)
        gone, other = asyncio.ensure_future(look("a")), asyncio.ensure_future(look("a"))
        await asyncio.sleep(0)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        return await other

    assert asyncio.run(impatient()) == "A"


def test_every_loop_has_its_own_callers() -> None:
    shelf = Shelf()
    look = LookTogether(shelf.look)
    assert [asyncio.run(_all(look, "a")), asyncio.run(_all(look, "b"))] == [["A"], ["B"]]
