"""Prints the table and writes it as JSON. A slow machine changes rates, not ratios; nothing here fails a build."""

import argparse
import json
import platform
import ssl
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path

from tests.bench import dcql, hsm, http, issuances, lookup, status_list
from tests.bench.cases import CASES
from tests.bench.mdoc import MDOC_CASES
from tests.bench.measure import Row, measure

PACKAGES = ("cbor2", "cryptography", "orjson", "sd-jwt", "PyJWT")


def arguments() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="rounds of each case (median is shown)")
    parser.add_argument("--http-rounds", type=int, default=3, help="rounds of each HTTP case")
    parser.add_argument("--no-http", action="store_true", help="leave out the HTTP cases, which take minutes")
    parser.add_argument("--only", default="", help="only cases whose name contains this")
    parser.add_argument("--json", type=Path, default=Path("bench.json"), help="where the result is written")
    return parser.parse_args()


def rows(options: argparse.Namespace) -> Iterator[Row]:
    """Measure and yield one row after another."""
    for case in (*CASES, *MDOC_CASES):
        if options.only in case.name:
            yield measure(case, options.rounds)
    yield from dcql.rows(options.only, options.rounds)
    yield from hsm.rows(options.only, options.rounds)
    yield from status_list.rows(options.only, options.rounds)
    yield from lookup.rows(options.only, options.rounds)
    if not options.no_http:
        yield from http.rows(options.only, options.http_rounds)
        yield from issuances.rows(options.only, options.http_rounds)


def verdict(row: Row) -> str:
    """Say where a ratio stands, if it is one."""
    if row.void:
        return f"VOID: {row.void}"
    if row.floor is None:
        return ""
    if row.target is not None and row.ratio >= row.target:
        return "target"
    return "pass" if row.ratio >= row.floor else "BELOW FLOOR"


def show(row: Row) -> str:
    """Return one line of the table."""
    asked = "" if row.floor is None else f"{row.floor:>7.3g} {row.target or 0:>7.3g}"
    spread = f"{row.lowest:.3f}-{row.highest:.3f}"
    line = f"{row.name:<58} {row.ratio:>6.3f} {row.unit:<5} {spread:>13} {row.per_second:>9,.0f}/s {asked:>15}"
    return "\n    ".join([f"{line} {verdict(row)} {row.note}".rstrip(), *row.details])


def report(found: Iterable[Row]) -> list[Row]:
    """Print the table as it grows; return its rows."""
    print(f"{'case':<58} {'ratio':>12} {'spread':>13} {'rate':>11} {'floor':>7} {'target':>7}")
    kept = []
    for row in found:
        print(show(row), flush=True)
        kept.append(row)
    return kept


def main() -> int:
    """Run what was asked for."""
    options = arguments()
    kept = report(rows(options))
    software = {"python": platform.python_version(), "openssl": ssl.OPENSSL_VERSION}
    software |= {package: version(package) for package in PACKAGES}
    result = {"software": software, "rounds": options.rounds, "rows": [row.to_json() for row in kept]}
    options.json.write_text(json.dumps(result, ensure_ascii=False, indent=2) + "\n")
    print(f"written to {options.json}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
