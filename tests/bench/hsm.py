"""A signature by a key in a token, with Debian's SoftHSM for the token. No row where it is not installed."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.bench.cases import CLAIMS
from tests.bench.measure import Case, Row, measure
from tests.support.softhsm import SoftHsm, find_module
from wallet_core.adapters.hsm import HsmKey, create_hsm_key
from wallet_core.encoding import strict_json

NAME = "sign in a token over PKCS#11 (SoftHSM), P-256"


def rows(only: str, rounds: int) -> Iterator[Row]:
    """Measure and yield the row."""
    module = find_module()
    if module is None or only not in NAME:
        return
    with tempfile.TemporaryDirectory() as folder, SoftHsm(module, Path(folder) / "softhsm").in_use() as softhsm:
        softhsm.add_token("bench")
        signer = create_hsm_key(HsmKey.parse(softhsm.describe("bench")), random=os.urandom)
        message = strict_json.dumps(CLAIMS)
        yield measure(Case(NAME, "s", lambda: signer.sign(message)), rounds)
