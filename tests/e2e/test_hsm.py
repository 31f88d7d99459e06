"""Agencies whose signing keys are in tokens: the whole way with two workers; a token goes away and comes back."""

import json
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cryptography import x509

from tests.support.commands import jigap
from tests.support.issuer_program import IssuerProgram
from tests.support.issuing import sign_proofs
from tests.support.presentations import new_world, query
from tests.support.softhsm import PIN, SoftHsm
from tests.support.verifier_program import VerifierProgram
from tests.support.verifying import PARTY
from wallet_core.adapters import hsm
from wallet_core.adapters.cli_keys import _authority
from wallet_core.adapters.clock import SystemClock
from wallet_core.adapters.config import child_environment, load_catalogue
from wallet_core.adapters.http import HttpClient
from wallet_core.catalogue.records import Record, format_records
from wallet_core.errors import PeerRefusal
from wallet_core.formats.sd_jwt.verifier import parse_sd_jwt
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.protocols.openid4vci.pending import IssuedCredentials, ProofsToSign
from wallet_core.protocols.openid4vci.wallet import receive_credentials, request_proofs, resolve_offer
from wallet_core.trust.anchors import format_trust_anchors

CLIENT = HttpClient(allow_loopback=True)
KEYS = [SoftwareSigner.generate() for _ in range(2)]
# Each agency keeps its key as it chose: two tokens, and a file.
TYPES = {"police": "drivers-licence", "city-tax": "local-tax-payment", "driving": "driving-record"}


@pytest.fixture(scope="module")
def softhsm(softhsm_module: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoftHsm]:
    """SoftHSM of this module's tests."""
    with SoftHsm(softhsm_module, tmp_path_factory.mktemp("softhsm") / "softhsm").in_use() as made:
        yield made


@pytest.fixture(scope="module")
def issuer(softhsm: SoftHsm, tmp_path_factory: pytest.TempPathFactory) -> Iterator[IssuerProgram]:
    """A running issuer of two workers and three agencies, with one person known to each."""
    tmp_path = tmp_path_factory.mktemp("issuer")
    program = IssuerProgram(tmp_path, f"sqlite:///{tmp_path}/issuer.db")
    tokens = {}
    for agency in ("police", "city-tax"):
        softhsm.add_token(agency)
        tokens[agency] = tmp_path / f"{agency}.toml"
        tokens[agency].write_text(softhsm.describe(agency))
    program.prepare(*TYPES, tokens=tokens)
    for agency, type_id in TYPES.items():
        csv = tmp_path / f"{agency}.csv"
        csv.write_text(format_records([Record(2, "person-1", type_id, load_catalogue().types[type_id].example_record)]))
        assert program.run("issuer", "records", "import", str(csv), "--agency", agency)["imported"] == 1
    program.start()
    yield program
    program.stop(signal.SIGKILL)


def offer(issuer: IssuerProgram, agency: str = "police") -> str:
    configuration = f"{TYPES[agency]}-sd-jwt"
    body = {"credential_configuration_ids": [configuration], "subject_id": "person-1", "tx_code": False}
    return str(issuer.api(agency, "/offers", body)["uri"])


def redeem(issuer: IssuerProgram, agency: str = "police") -> ProofsToSign:
    resolved = CLIENT.run(resolve_offer(offer(issuer, agency)))
    wanted = {resolved.offer.configuration_ids[0]: [key.public_key for key in KEYS]}
    return CLIENT.run(request_proofs(resolved, wanted, tx_code=None, now=SystemClock().now()))


def receive(pending: ProofsToSign) -> list[str]:
    issued = CLIENT.run(receive_credentials(pending, sign_proofs(pending, KEYS), now=SystemClock().now()))
    assert isinstance(issued, IssuedCredentials)
    return list(issued.batches[0].credentials)


def issued_by(issuer: IssuerProgram, agency: str = "police") -> int:
    """How many credentials the issuer has on record as issued."""
    headers = {"Authorization": f"Bearer {issuer.api_keys[agency]}"}
    answer = httpx2.get(f"{issuer.url}/api/v1/agencies/{agency}/credentials", headers=headers, timeout=30)
    return len(answer.json()["credentials"])


def refused(pending: ProofsToSign) -> bool:
    """Whether the issuer refuses; a wallet may ask again with the same token, nonce and proofs."""
    try:
        receive(pending)
    except PeerRefusal:
        return True
    return False


def recovers(pending: ProofsToSign) -> bool:
    """Ask until the worker that answers has found the token again."""
    deadline = time.monotonic() + 20 * hsm.PAUSE_SECONDS
    while time.monotonic() < deadline:
        if not refused(pending):
            return True
        time.sleep(hsm.PAUSE_SECONDS / 4)
    return False


def command_lines(group: int) -> str:
    """The command lines of a process group."""
    pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
    texts = []
    for pid in pids:
        try:
            if os.getpgid(pid) == group:
                texts.append(Path(f"/proc/{pid}/cmdline").read_text())
        except (ProcessLookupError, FileNotFoundError):
            continue
    return "\n".join(texts)


def test_a_licence_signed_in_a_token_is_received_and_accepted(issuer: IssuerProgram, tmp_path: Path) -> None:
    world = replace(new_world(SystemClock().now()), issuer_ca=_authority(issuer.folder / "keys", "ca"))
    (tmp_path / "verifier").mkdir()
    verifier = VerifierProgram(tmp_path / "verifier", f"sqlite:///{tmp_path}/verifier.db", world)
    verifier.prepare()
    verifier.start()
    try:
        anchors = tmp_path / "anchors.pem"
        anchors.write_text(format_trust_anchors(world.anchors))
        options = ["--home", str(tmp_path / "home"), "--trust", str(anchors), "--insecure-allow-loopback", "--yes"]

        def wallet(*words: str) -> dict[str, Any]:
            done = jigap(["wallet", *words, *options, "--json"], environment=child_environment({}))
            assert done.returncode == 0, done.stderr
            printed: dict[str, Any] = json.loads(done.stdout)
            return printed

        assert len(wallet("accept", offer(issuer))["cards"]) == 1
        made = verifier.ask(dcql_query=query(("name",), ("age_over_19",)))
        wallet("present", made["authorization_request"])
        result = verifier.result(made["id"])
        assert (result["state"], PARTY) == ("verified", "baram-rental")
        assert result["credentials"]["licence"][0]["issuer"] == f"{issuer.url}/agencies/police"
    finally:
        verifier.stop(signal.SIGKILL)


def test_each_agency_signs_with_its_own_key_in_both_workers(issuer: IssuerProgram) -> None:
    before = [issued_by(issuer, agency) for agency in TYPES]
    with ThreadPoolExecutor(8) as threads:
        received = list(threads.map(lambda n: receive(redeem(issuer, list(TYPES)[n % 3])), range(12)))
    keys = set()
    for credential in (each for batch in received for each in batch):
        parsed = parse_sd_jwt(credential)
        leaf = x509.load_der_x509_certificate(parsed.x5c()[0])
        keys.add(leaf.public_key().public_numbers())
    assert len(keys) == len(TYPES)
    assert [issued_by(issuer, agency) for agency in TYPES] == [count + 8 for count in before]
    assert issuer.process is not None
    assert PIN not in command_lines(issuer.process.pid)


def test_while_its_token_is_away_an_agency_issues_nothing(issuer: IssuerProgram, softhsm: SoftHsm) -> None:
    assert len(receive(redeem(issuer))) == 2
    pending, before = redeem(issuer), issued_by(issuer)
    softhsm.take_away("police")
    for _ in range(4):
        with pytest.raises(PeerRefusal) as refusal:
            receive(pending)
        assert (refusal.value.status, refusal.value.error) == (503, "temporarily_unavailable")
        assert refusal.value.error_description == "the signing key cannot be used now"
    # Nothing half-written, and the other agencies go on, with a token of the same module and with a file.
    assert issued_by(issuer) == before
    for agency in ("city-tax", "driving"):
        assert len(receive(redeem(issuer, agency))) == 2
    assert httpx2.get(f"{issuer.url}/healthz").status_code == 200

    softhsm.put_back("police")
    assert recovers(pending)
    assert issued_by(issuer) == before + 2
    assert "key signing of token police: No token" in issuer.log()
    # The worker that answered first may be one that was not asked meanwhile.
    deadline = time.monotonic() + 20 * hsm.PAUSE_SECONDS
    while "key signing of token police is in use again" not in issuer.log():
        assert time.monotonic() < deadline
        refused(redeem(issuer))
    assert PIN not in issuer.log()


def test_started_without_its_token_it_recovers(issuer: IssuerProgram, softhsm: SoftHsm) -> None:
    issuer.stop()
    softhsm.take_away("police")
    issuer.start()
    # What it publishes comes from the certificates.
    assert httpx2.get(f"{issuer.url}/.well-known/jwt-vc-issuer/agencies/police").json()["jwks"]["keys"]
    pending, before = redeem(issuer), issued_by(issuer)
    assert refused(pending)
    assert issuer.run("issuer", "agency", "add", "police", code=1)["error"] == "temporarily_unavailable"
    softhsm.put_back("police")
    assert recovers(pending)
    assert issued_by(issuer) == before + 2
