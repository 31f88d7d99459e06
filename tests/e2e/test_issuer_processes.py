"""The issuer as people run it: two workers behind one port, stopped and killed, with real HTTP."""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.support.commands import jigap
from tests.support.issuer_program import IssuerProgram
from tests.support.issuing import LICENCE, sign_proofs
from wallet_core.adapters.clock import SystemClock
from wallet_core.adapters.config import load_catalogue
from wallet_core.adapters.http import HttpClient
from wallet_core.adapters.keystore import KeyStore
from wallet_core.catalogue.records import Record, format_records
from wallet_core.formats.sd_jwt.verifier import parse_sd_jwt
from wallet_core.jose import jws
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.protocols.oauth2.dpop import create_dpop_proof
from wallet_core.protocols.openid4vci.pending import IssuedCredentials, ProofsToSign, ResolvedOffer
from wallet_core.protocols.openid4vci.proof import proof_signing_input
from wallet_core.protocols.openid4vci.wallet import receive_credentials, request_proofs, resolve_offer
from wallet_core.trust.status_list.fetching import fetch_status_list
from wallet_core.trust.status_list.reference import parse_status
from wallet_core.trust.status_list.token import parse_status_list_jwt, verify_status_list_token

GRANT = "urn:ietf:params:oauth:grant-type:pre-authorized_code"
CLIENT = HttpClient(allow_loopback=True)
KEYS = [SoftwareSigner.generate() for _ in range(2)]
NAME = "가나다시험용"


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[IssuerProgram]:
    """A running issuer with one agency and one person, once for each database engine."""
    folder = tmp_path_factory.mktemp("issuer")
    database = f"sqlite:///{folder}/issuer.db"
    if request.param == "postgres":
        database = request.getfixturevalue("postgres_cluster").create_database("issuer_processes")
    issuer = IssuerProgram(folder, database)
    issuer.prepare("police")
    record = load_catalogue().types["drivers-licence"].example_record | {"name": NAME}
    csv = folder / "licences.csv"
    csv.write_text(format_records([Record(2, "person-1", "drivers-licence", record)]))
    assert issuer.run("issuer", "records", "import", str(csv), "--agency", "police")["imported"] == 1
    issuer.start()
    yield issuer
    issuer.stop(signal.SIGKILL)


def offer(issuer: IssuerProgram, *, tx_code: bool = False) -> dict[str, Any]:
    body = {"credential_configuration_ids": [LICENCE], "subject_id": "person-1", "tx_code": tx_code}
    return issuer.api("police", "/offers", body)


def redeem(resolved: ResolvedOffer, tx_code: str | None = None) -> ProofsToSign:
    keys = {LICENCE: [key.public_key for key in KEYS]}
    return CLIENT.run(request_proofs(resolved, keys, tx_code=tx_code, now=SystemClock().now()))


def receive(pending: ProofsToSign) -> IssuedCredentials:
    issued = CLIENT.run(receive_credentials(pending, sign_proofs(pending, KEYS), now=SystemClock().now()))
    assert isinstance(issued, IssuedCredentials)
    return issued


def at_once(call: Any, times: int) -> list[Any]:
    """Call from so many threads at once, each with a connection of its own, so that both workers get some."""
    with ThreadPoolExecutor(times) as threads:
        return [future.result() for future in [threads.submit(call) for _ in range(times)]]


def test_the_state_outlives_every_stop(program: IssuerProgram) -> None:
    made = offer(program, tx_code=True)
    resolved = ResolvedOffer.from_json(CLIENT.run(resolve_offer(made["uri"])).to_json())
    program.stop()
    program.start()
    pending = ProofsToSign.from_json(redeem(resolved, made["tx_code"]).to_json())
    program.stop(signal.SIGKILL)
    program.start()
    assert len(receive(pending).batches[0].credentials) == 2
    program.stop(signal.SIGKILL)
    program.start()
    # Nothing about the person and no secret stands in the log.
    log = program.log()
    assert "request" in log
    for text in (
        NAME,
        "person-1",
        made["tx_code"] + '"',
        pending.token.access_token,
        resolved.offer.pre_authorized_code,
    ):
        assert text not in log


def test_of_simultaneous_posts_of_one_secret_exactly_one_wins(program: IssuerProgram) -> None:
    made = offer(program)
    base = f"{program.url}/agencies/police"
    form = {
        "grant_type": GRANT,
        "pre-authorized_code": made["credential_offer"]["grants"][GRANT]["pre-authorized_code"],
    }

    answers = at_once(lambda: httpx2.post(f"{base}/oauth/token", data=form, timeout=30), 8)
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 7
    assert {answer.json()["error"] for answer in answers if answer.status_code == 400} == {"invalid_grant"}

    token = next(answer.json()["access_token"] for answer in answers if answer.status_code == 200)
    nonce = httpx2.post(f"{base}/nonce").json()["c_nonce"]
    data = proof_signing_input(KEYS[0].public_key, audience=base, nonce=nonce, issued_at=SystemClock().now())
    proof = jws.attach_signature(data, KEYS[0].sign(data))
    body = {"credential_configuration_id": LICENCE, "proofs": {"jwt": [proof]}}
    headers = {"Authorization": f"Bearer {token}"}

    answers = at_once(lambda: httpx2.post(f"{base}/credential", json=body, headers=headers, timeout=30), 8)
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 7
    assert {answer.json()["error"] for answer in answers if answer.status_code == 400} == {"invalid_nonce"}


def test_simultaneous_guesses_are_all_counted(program: IssuerProgram) -> None:
    made = offer(program, tx_code=True)
    code = made["credential_offer"]["grants"][GRANT]["pre-authorized_code"]
    wrong = "000000" if made["tx_code"] != "000000" else "111111"
    form = {"grant_type": GRANT, "pre-authorized_code": code, "tx_code": wrong}
    url = f"{program.url}/agencies/police/oauth/token"
    answers = at_once(lambda: httpx2.post(url, data=form, timeout=30), 8)
    assert {answer.status_code for answer in answers} == {400}
    right = httpx2.post(url, data={**form, "tx_code": made["tx_code"]})
    assert right.json()["error"] == "invalid_grant"


def test_many_wallets_at_once(program: IssuerProgram) -> None:
    resolved = [CLIENT.run(resolve_offer(offer(program)["uri"])) for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        issued = list(threads.map(lambda each: receive(redeem(each)), resolved))
    assert all(len(each.batches[0].credentials) == 2 for each in issued)


def test_commands_refuse_with_a_clear_line(program: IssuerProgram, tmp_path: Path) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_bytes("subject_id,name\nperson-2,홍시험\n".encode("cp949"))
    report = program.run("issuer", "records", "import", str(bad), "--agency", "police", "--dry-run", code=1)
    assert report["imported"] == 0
    assert report["problems"][0]["reason"]["en"] == "it is CP949, not UTF-8"
    made = program.run(
        "issuer", "offer", "create", LICENCE, "--agency", "police", "--subject", "person-1", "--by-value"
    )
    assert made["uri"].startswith("openid-credential-offer://?credential_offer=")
    assert len(made["tx_code"]) == 6
    refusal = program.run("issuer", "offer", "create", LICENCE, "--agency", "police", "--subject", "nobody", code=1)
    assert refusal["error"] == "not_found"
    assert program.run("issuer", "agency", "add", "nowhere", code=1)["error"] == "not_found"
    answer = program.run("issuer", "credential", "status", "1", "invalid", "--agency", "police", code=1)
    assert answer["error"] == "not_found"


def test_a_template_is_written_filled_in_and_imported(program: IssuerProgram, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    order = ("issuer", "records", "template", "--agency", "police", "--out", str(file))
    assert program.run(*order, "--type", "nothing", code=1)["error"] == "not_found"
    assert program.run(*order, "--type", "drivers-licence") == {"file": str(file)}
    check = ("issuer", "records", "import", str(file), "--agency", "police", "--dry-run")
    assert [each["line"] for each in program.run(*check, code=1)["problems"]] == [2]
    file.write_bytes(file.read_bytes().replace("(예시)".encode(), b"person-1"))
    told = program.run(*check)
    assert (told["new"], told["replaced"], told["problems"]) == (0, 1, [])
    # What was filled in is not written over.
    before = file.read_bytes()
    assert jigap(order, environment=program.environment).returncode == 2
    assert file.read_bytes() == before


def test_api_keys_are_made_scoped_and_revoked(program: IssuerProgram) -> None:
    made = program.run("issuer", "agency", "new-key", "police", "--scope", "offers:read")
    url = f"{program.url}/api/v1/agencies/police"
    headers = {"Authorization": f"Bearer {made['api_key']}"}
    assert httpx2.get(f"{url}/offers", headers=headers).status_code == 200
    assert httpx2.get(f"{url}/credentials", headers=headers).status_code == 403
    program.run("issuer", "agency", "revoke-key", made["api_key_id"])
    assert httpx2.get(f"{url}/offers", headers=headers).status_code == 401
    assert program.run("issuer", "agency", "new-key", "police", "--scope", "all", code=1)["error"] == "invalid_request"


def statuses_of(program: IssuerProgram, credentials: list[str]) -> list[int]:
    """Fetch the list anew for each copy, so that both workers answer, and read what it says of the copy."""
    found = []
    for text in credentials:
        reference = parse_status(parse_sd_jwt(text).issuer_jws.claims()["status"])
        token = parse_status_list_jwt(CLIENT.run(fetch_status_list(reference.uri)))
        key = KeyStore(program.folder / "keys").signer("police").public_key
        verified = verify_status_list_token(token, key=key, uri=reference.uri, now=SystemClock().now())
        found.append(verified.status(reference))
    return found


def test_statuses_changed_at_once_by_two_workers_are_all_in_the_list(program: IssuerProgram) -> None:
    made = [offer(program) for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        batches = list(threads.map(lambda each: receive(redeem(CLIENT.run(resolve_offer(each["uri"])))), made))
    credentials = [text for batch in batches for text in batch.batches[0].credentials]
    offers = {each["id"] for each in made}
    listed = program.get("police", "/credentials")["credentials"]
    ids = [each["credential_id"] for each in listed if each["offer_id"] in offers]
    assert len(ids) == len(credentials) == 8
    places = {parse_status(parse_sd_jwt(text).issuer_jws.claims()["status"]) for text in credentials}
    assert len(places) == 8
    body = {"status": "suspended", "reason": "lost"}
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda id_: program.api("police", f"/credentials/{id_}/status", body), ids))
    assert {answer["status"] for answer in answers} == {"suspended"}
    assert statuses_of(program, credentials) == [2] * 8
    # Whatever was answered survives a kill, and the list is as good as before.
    program.api("police", f"/credentials/{ids[0]}/status", {"status": "invalid", "reason": "stolen"})
    program.stop(signal.SIGKILL)
    program.start()
    assert sorted(statuses_of(program, credentials)) == [1] + [2] * 7
    shown = program.run("issuer", "credential", "status", ids[1], "valid", "--agency", "police", "--reason", "found")
    assert (shown["status"], shown["history"][-1]["changed_by"]) == ("valid", "command line")
    assert sorted(statuses_of(program, credentials)) == [0, 1] + [2] * 6


def dpop(url: str, nonce: str, token: str | None = None) -> str:
    return create_dpop_proof(
        KEYS[0],
        method="POST",
        url=url,
        issued_at=SystemClock().now(),
        random=os.urandom,
        nonce=nonce,
        access_token=token,
    )


@pytest.mark.clause("dpop-9449.11.1-replay")
def test_of_simultaneous_requests_with_one_dpop_proof_exactly_one_wins(program: IssuerProgram) -> None:
    base = f"{program.url}/agencies/police"
    nonce = httpx2.post(f"{base}/nonce").headers["dpop-nonce"]
    codes = [offer(program)["credential_offer"]["grants"][GRANT]["pre-authorized_code"] for _ in range(8)]
    headers, left = {"DPoP": dpop(f"{base}/oauth/token", nonce)}, iter(codes)

    def redeem_one() -> httpx2.Response:
        form = {"grant_type": GRANT, "pre-authorized_code": next(left)}
        return httpx2.post(f"{base}/oauth/token", data=form, headers=headers, timeout=30)

    answers = at_once(redeem_one, 8)
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 7
    assert {answer.json()["error"] for answer in answers if answer.status_code == 400} == {"invalid_dpop_proof"}
    (won,) = [answer.json() for answer in answers if answer.status_code == 200]
    assert won["token_type"] == "DPoP"

    # A nonce of the worker that answered is good at the other one, too.
    headers = {
        "Authorization": f"DPoP {won['access_token']}",
        "DPoP": dpop(f"{base}/credential", nonce, won["access_token"]),
    }
    c_nonce = httpx2.post(f"{base}/nonce").json()["c_nonce"]
    data = proof_signing_input(KEYS[0].public_key, audience=base, nonce=c_nonce, issued_at=SystemClock().now())
    body = {
        "credential_configuration_id": LICENCE,
        "proofs": {"jwt": [jws.attach_signature(data, KEYS[0].sign(data))]},
    }
    answers = at_once(lambda: httpx2.post(f"{base}/credential", json=body, headers=headers, timeout=30), 8)
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 7
    assert {answer.json()["error"] for answer in answers if answer.status_code == 401} == {"invalid_dpop_proof"}
