"""The verifier as people run it: two workers behind one port, killed between two steps, with real HTTP."""

import json
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from tests.support.dc_api import PlatformWallet, requests_of
from tests.support.mdoc import NAME_SPACES
from tests.support.mdoc_presentations import NAME, MdocAgency, mdoc_query, new_iaca
from tests.support.presentations import CLAIMS, new_world, query
from tests.support.verifier_program import VerifierProgram
from wallet_core.adapters.clock import SystemClock
from wallet_core.adapters.http import HttpClient
from wallet_core.jose.jws import attach_signature
from wallet_core.protocols.openid4vp import wallet
from wallet_core.protocols.openid4vp.candidates import HeldCredential, candidate_of
from wallet_core.protocols.openid4vp.matching import approve, match
from wallet_core.protocols.openid4vp.pending import PresentationToSign
from wallet_core.protocols.openid4vp.response import create_response
from wallet_core.trust.anchors import format_trust_anchors

CLIENT = HttpClient(allow_loopback=True)
POLICE = MdocAgency(new_iaca(now=SystemClock().now()), now=SystemClock().now())
ASKED = query(("name",), ("age_over_19",))


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VerifierProgram]:
    """A running verifier with one relying party, once for each database engine."""
    folder: Path = tmp_path_factory.mktemp("verifier")
    database = f"sqlite:///{folder}/verifier.db"
    if request.param == "postgres":
        database = request.getfixturevalue("postgres_cluster").create_database("verifier_processes")
    verifier = VerifierProgram(folder, database, new_world(SystemClock().now()))
    verifier.prepare()
    with (folder / "anchors.pem").open("a") as anchors:
        anchors.write(format_trust_anchors(POLICE.anchors))
    verifier.start()
    yield verifier
    verifier.stop(signal.SIGKILL)


def prepare(program: VerifierProgram, link: str, card: HeldCredential | None = None) -> PresentationToSign:
    now, held = SystemClock().now(), card or program.world.held()
    resolved = CLIENT.run(
        wallet.resolve_request(link, anchors=program.world.anchors, now=now, wallet_nonce="w-0123456789abcdef")
    )
    approved = approve(match(resolved.request.dcql_query, [candidate_of("card", held)]))
    return wallet.create_presentation(resolved, approved, {"card": held}, now=now)


def signatures(program: VerifierProgram, pending: PresentationToSign) -> list[bytes]:
    return [program.world.holder.sign(item.signing_input) for item in pending.to_sign if item.signing_input]


def test_killed_between_every_two_steps(program: VerifierProgram) -> None:
    made = program.ask(dcql_query=ASKED, request_uri_method="post")
    again(program)
    pending = prepare(program, made["authorization_request"])
    again(program)
    assert program.result(made["id"])["state"] == "retrieved"
    sent = CLIENT.run(wallet.send_response(pending, signatures(program, pending)))
    assert sent.redirect_uri
    again(program)
    result = program.result(made["id"])
    assert result["state"] == "verified"
    assert result["credentials"]["licence"][0]["claims"]["name"] == CLAIMS["name"]
    shown = program.run("request", "show", made["id"], "--party", "baram-rental")
    assert shown["state"] == "verified"
    assert CLAIMS["name"] not in program.log()


def test_an_mdoc_between_kills_and_at_two_workers_at_once(program: VerifierProgram) -> None:
    held = POLICE.held(program.world.holder)
    made = program.ask(dcql_query=mdoc_query(NAME))
    again(program)
    pending = prepare(program, made["authorization_request"], held)
    (item,) = pending.to_sign
    text = item.attach(signatures(program, pending)[0])
    again(program)
    body = create_response(pending.resolved.request, {item.query_id: [text]})
    with ThreadPoolExecutor(6) as pool:
        statuses = list(pool.map(post, [(pending.resolved.request.response_uri, body)] * 6))
    assert sorted(statuses) == [200, 409, 409, 409, 409, 409]
    again(program)
    result = program.result(made["id"])
    assert result["state"] == "verified"
    assert result["credentials"]["mdl"][0]["claims"] == {NAME[0]: {NAME[1]: NAME_SPACES[NAME[0]][NAME[1]]}}


def again(program: VerifierProgram) -> None:
    program.stop(signal.SIGKILL)
    program.start()


def post(what: tuple[str, dict[str, str]]) -> int:
    address, body = what
    return httpx2.post(address, data=body, timeout=30).status_code


def test_of_simultaneous_answers_at_two_workers_one_wins(program: VerifierProgram) -> None:
    for _ in range(3):
        made = program.ask(dcql_query=ASKED, response_mode="direct_post")
        pending = prepare(program, made["authorization_request"])
        (item,) = pending.to_sign
        text = item.sd_jwt + attach_signature(item.signing_input or b"", signatures(program, pending)[0])
        body = create_response(pending.resolved.request, {item.query_id: [text]})
        with ThreadPoolExecutor(6) as pool:
            statuses = list(pool.map(post, [(pending.resolved.request.response_uri, body)] * 6))
        assert sorted(statuses) == [200, 409, 409, 409, 409, 409]
        assert program.result(made["id"])["state"] == "verified"


def test_many_at_once_all_arrive(program: VerifierProgram) -> None:
    def one(_: int) -> str:
        made = program.ask(dcql_query=ASKED)
        pending = prepare(program, made["authorization_request"])
        CLIENT.run(wallet.send_response(pending, signatures(program, pending)))
        return str(program.result(made["id"])["state"])

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(one, range(24))) == {"verified"}


def test_an_answer_over_the_dc_api_counts_once_at_two_workers(program: VerifierProgram) -> None:
    asked = program.folder / "query.json"
    asked.write_text(json.dumps(ASKED))
    origin, protocol, now = "https://shop.example", "openid4vp-v1-signed", SystemClock().now()
    order = ["--party", "baram-rental", "--query", str(asked), "--origin", origin, "--protocol", protocol]
    made = program.run("request", "create", *order)
    assert (made["authorization_request"], list(requests_of(made))) == (None, [protocol])
    held = PlatformWallet(program.world.anchors, program.world.holder, now, {"card": program.world.held()})
    credential = held.answer(protocol, requests_of(made)[protocol], origin)
    address = f"{program.url}/api/v1/presentations/{made['id']}/dc-api-response"
    key = {"Authorization": f"Bearer {program.api_key}"}

    def bring(_: int) -> int:
        answer = httpx2.post(address, json={**credential, "origin": origin}, headers=key, timeout=30)
        return answer.status_code

    with ThreadPoolExecutor(6) as pool:
        statuses = list(pool.map(bring, range(6)))
    assert sorted(statuses) == [200, 409, 409, 409, 409, 409]
    assert program.result(made["id"])["credentials"]["licence"][0]["claims"]["name"] == CLAIMS["name"]
