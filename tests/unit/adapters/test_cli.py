"""The program: exit codes, words on standard error, one object on standard output."""

import json
import subprocess
import sys

import pytest


def _jigap(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = "from wallet_core.adapters.cli import main; main()"
    return subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False)


def test_json_is_one_object_on_standard_output_and_no_words() -> None:
    done = _jigap("version", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout).keys() == {"version"}


def test_words_go_to_standard_error() -> None:
    done = _jigap("version")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith("jigap ")


@pytest.mark.parametrize("arguments", [["nothing"], ["version", "--nothing"], ["keys", "show"]])
def test_wrong_usage_is_exit_code_2(arguments: list[str]) -> None:
    done = _jigap(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_a_refusal_is_one_line_and_exit_code_1() -> None:
    done = _jigap("catalogue", "check", "--folder", "/nowhere/at/all", "--json")
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert json.loads(done.stdout)["error"]


def test_the_catalogue_check_says_how_large_a_signed_mdoc_is() -> None:
    done = _jigap("catalogue", "check", "--json")
    size = json.loads(done.stdout)["mdoc"]["drivers-licence"]
    # Tags, names and lengths stand beside the digests of 32 bytes.
    assert 32 * size["digests"] < size["mso_bytes"] < 50 * size["digests"]
    assert 64 * (size["sha256_blocks"] - 1) > size["mso_bytes"]
    said = _jigap("catalogue", "check").stderr
    assert f"an MSO of {size['mso_bytes']} bytes with {size['digests']} digests" in said.replace("\n", " ")


def test_every_group_is_listed() -> None:
    done = _jigap("--help")
    assert done.returncode == 0
    for group in ("version", "keys", "catalogue", "issuer", "verifier", "wallet", "demo"):
        assert group in done.stdout
