"""A verifier of npm's packages asks our wallet and takes what comes back: its packages find nothing wrong with it."""

import json
from base64 import b64encode
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from holder_app.presentation import use_cases
from holder_app.presentation.states import Answered
from tests.interop.conftest import NodePeer
from tests.support.mdoc_presentations import CLASSES, mdoc_query
from tests.support.mdoc_presentations import NAME as FAMILY_NAME
from tests.support.presentations import World, der, new_world, query
from tests.support.wallets import LICENCE, NAME, Town, agree, new_town, receive, wait
from wallet_core.http import HttpRequest, HttpResponse
from wallet_core.spec_versions import FORMAT_MDOC, FORMAT_SD_JWT_VC

SD_JWT = query(("name",), ("address", "sido"), ("licence_classes",), meta={"vct_values": [LICENCE.vct]})
MDOC = mdoc_query(FAMILY_NAME, CLASSES)
EITHER = {
    "credentials": [*SD_JWT["credentials"], *MDOC["credentials"]],
    "credential_sets": [{"options": [["licence", "mdl"]]}],
}
ASKED: dict[str, dict[str, Any]] = {
    "encrypted": {"query": SD_JWT},
    "A128GCM": {"query": EITHER, "encryption": ["A128GCM"]},
    "mdoc": {"query": MDOC},
    "not encrypted": {"query": EITHER, "mode": "direct_post"},
    "by name": {"query": SD_JWT, "prefix": "x509_san_dns"},
    "unsigned": {"query": MDOC, "prefix": "redirect_uri"},
}


@pytest.fixture
def town(tmp_path: Path) -> Town:
    return new_town(tmp_path, new_world())


def party_of(world: World) -> dict[str, Any]:
    pem = world.verifier_signer.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return {"x5c": [b64encode(each).decode() for each in world.verifier_chain], "key": pem.decode()}


def answer(town: Town, link: str) -> dict[str, str]:
    """Agree to a request as a person does, with a fresh card, and return what is posted."""
    # The newest card is shown, and each is of a moment of its own.
    town.clock.pass_by(timedelta(seconds=1))
    receive(town, LICENCE, formats=(FORMAT_SD_JWT_VC, FORMAT_MDOC))
    posted: list[HttpRequest] = []

    def take(request: HttpRequest) -> HttpResponse:
        posted.append(request)
        return HttpResponse(200, {"content-type": "application/json"}, json.dumps({}).encode())

    town.network.hosts["verifier.example"] = take
    ports = town.wallet.presentation_ports()
    given = use_cases.take_request_link(ports, town.owner.id, link)
    presentation = wait(use_cases.fetch_request(ports, town.owner.id, given.id))
    done = agree(town, presentation)
    assert isinstance(done.state, Answered), done.state
    (request,) = posted
    return dict(parse_qsl((request.body or b"").decode()))


def test_our_answers_are_taken(node: NodePeer, town: Town) -> None:
    party = party_of(town.world)
    tasks = [{"task": "ask", "party": party, **each} for each in ASKED.values()]
    asked = node("verifier", *tasks, now=town.clock.now())
    anchor = b64encode(der(town.issuer.mdocs.iaca.certificate)).decode()
    posted = [answer(town, each["link"]) for each in asked]
    tasks = [
        {"task": "check", "session": made["session"], "posted": fields, "anchors": [anchor]}
        for made, fields in zip(asked, posted, strict=True)
    ]
    record = LICENCE.example_record
    answers = node("verifier", *tasks, now=town.clock.now())
    for (name, wanted), found in zip(ASKED.items(), answers, strict=True):
        assert found["ok"], (name, found["why"])
        assert {*found["results"]} == {one["id"] for one in wanted["query"]["credentials"]}, name
        assert found.get("enc") == (None if wanted.get("mode") else wanted.get("encryption", ["A256GCM"])[0]), name
        for shown in found["results"].get("licence", []):
            assert shown["claims"]["name"] == NAME
            assert shown["claims"]["address"] == {"sido": record["address"]["sido"]}
            assert "birth_date" not in shown["claims"]
        for shown in found["results"].get("mdl", []):
            (elements,) = shown["namespaces"].values()
            assert {*elements} == {FAMILY_NAME[1], CLASSES[1]}
            assert elements["family_name"] == record["family_name"]


def test_an_answer_for_another_request_is_refused(node: NodePeer, town: Town) -> None:
    # What the package refuses tells that it looked.
    party = party_of(town.world)
    tasks = [{"task": "ask", "party": party, "query": SD_JWT, "mode": "direct_post"}] * 2
    first, second = node("verifier", *tasks, now=town.clock.now())
    fields = answer(town, first["link"])
    stolen = {**fields, "state": second["session"]["payload"]["state"]}
    good, replayed = node(
        "verifier",
        {"task": "check", "session": first["session"], "posted": fields},
        {"task": "check", "session": second["session"], "posted": stolen},
        now=town.clock.now(),
    )
    assert good["ok"], good["why"]
    assert not replayed["ok"]
    assert "nonce" in replayed["why"].lower()
