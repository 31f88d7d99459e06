"""Ctrl-C at a question of the command-line wallet, typed at a terminal."""

import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

from tools.clauses import ROOT

_PATIENCE = 60.0
"""Seconds to wait for a process that imports everything first."""


def read_until(terminal: int, wanted: str) -> str:
    """What the terminal shows, until ``wanted`` stands there or the process is gone."""
    shown, end = b"", time.monotonic() + _PATIENCE
    while wanted.encode() not in shown and time.monotonic() < end:
        if not select.select([terminal], [], [], 1)[0]:
            continue
        try:
            part = os.read(terminal, 4096)
        except OSError:  # Linux: the other end is closed
            break
        if not part:
            break
        shown += part
    return shown.decode()


def test_one_ctrl_c_ends_the_question_and_nothing_was_sent(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "tests.support.at_a_terminal", str(tmp_path)]
    # A controlling terminal of its own, or the key would be no more than a character.
    script = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
    process = subprocess.Popen(
        [sys.executable, "-c", script, *command],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=ROOT,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        assert "Share this?" in read_until(ours, "Share this? [y/N]:")
        os.write(ours, b"\x03")
        rest = read_until(ours, "never said")
        assert process.wait(_PATIENCE) == 1
        assert "Nothing was sent." in rest
        assert (tmp_path / "seen").read_text() == "GET\n"
    finally:
        process.kill()
        process.wait()
        os.close(ours)
