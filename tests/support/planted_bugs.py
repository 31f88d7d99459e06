"""Targets with bugs, to see that the guided engine finds them."""

import time


class Planted:
    """What the guided engine needs of a target."""

    seeds = (b"AAAAAAAA",)
    change = None


class WrongError(Planted):
    """Reads a table with bytes that were not looked at, behind a gate that chance alone does not pass."""

    def run(self, data: bytes) -> None:
        """Raise KeyError for some bytes."""
        if len(data) > 4 and data[0] == 0xD8 and data[1] == 0x18 and data[2] == 0x43 and data[3] > 0xF0:
            {1: "one"}[data[4]]


class Slow(Planted):
    """Takes the longer the larger a number of the message is."""

    def run(self, data: bytes) -> None:
        """Compute for a second for some bytes."""
        begun = time.process_time()
        if data[:1] == b"\x9f":
            while time.process_time() < begun + 1:
                pass


class Harmless(Planted):
    """Does nothing wrong."""

    def run(self, data: bytes) -> None:
        """Look at the bytes."""
        data.count(b"A")


TARGETS = {"harmless": Harmless(), "wrong_error": WrongError(), "slow": Slow()}
SHORT = tuple(TARGETS)
