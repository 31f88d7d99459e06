"""Asking over the Digital Credentials API by our own API: every protocol, every refusal; the wallet is our core."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.test_mdoc_presentation import Scene, new_scene
from tests.support.dc_api import ORIGIN, PlatformWallet, requests_of
from tests.support.mdoc_presentations import NAME, mdoc_query
from tests.support.presentations import query
from tests.support.verifying import HOST
from wallet_core.protocols.iso18013.reader_auth import UnknownReader, VerifiedReader

SIGNED, UNSIGNED = "openid4vp-v1-signed", "openid4vp-v1-unsigned"
MULTISIGNED, ISO = "openid4vp-v1-multisigned", "org-iso-mdoc"
ALL = [SIGNED, UNSIGNED, MULTISIGNED, ISO]
ASKED = mdoc_query({"path": list(NAME), "intent_to_retain": True})


@pytest.fixture
def scene(tmp_path: Path, database_url: str) -> Iterator[Scene]:
    made = new_scene(tmp_path, database_url)
    yield made
    made.under_test.verifier.database.close()


@pytest.fixture
def sqlite_scene(tmp_path: Path) -> Iterator[Scene]:
    made = new_scene(tmp_path, f"sqlite:///{tmp_path}/verifier.db")
    yield made
    made.under_test.verifier.database.close()


def wallet_of(scene: Scene) -> PlatformWallet:
    under_test = scene.under_test
    cards = {"licence": under_test.held, "mdl": scene.held()}
    return PlatformWallet(under_test.world.anchors, under_test.world.holder, under_test.clock.now(), cards)


def ask(scene: Scene, **members: Any) -> dict[str, Any]:
    body = {"response_mode": "dc_api.jwt", "expected_origins": [ORIGIN], **members}
    return scene.under_test.ask(**body)


def give(scene: Scene, made: dict[str, Any], credential: dict[str, Any], origin: str = ORIGIN, **options: Any) -> Any:
    return scene.under_test.api(
        "POST", f"/{made['id']}/dc-api-response", json={**credential, "origin": origin}, **options
    )


def failed(scene: Scene, made: dict[str, Any]) -> list[int]:
    return [check["step"] for check in scene.under_test.result(made["id"])["checks"] if check["ok"] is False]


@pytest.mark.clause("dcapi-A.4-audience", "dcapi-B.2.6.2-handover", "dcapi-C.5-reader", "dcapi-C.4-info")
@pytest.mark.parametrize("mode", ["dc_api", "dc_api.jwt"])
@pytest.mark.parametrize("dcql", [query(("name",)), ASKED], ids=["sd-jwt", "mdoc"])
def test_every_protocol_brings_the_claims(scene: Scene, mode: str, dcql: dict[str, Any]) -> None:
    protocols = ALL if dcql is ASKED else ALL[:3]
    for protocol in protocols:
        made = ask(scene, dcql_query=dcql, response_mode=mode, dc_api_protocols=protocols)
        assert (made["authorization_request"], made["request_uri"], made["qr_svg"]) == (None, None, None)
        assert list(requests_of(made)) == protocols
        credential = wallet_of(scene).answer(protocol, requests_of(made)[protocol])
        encrypted = mode == "dc_api.jwt" or protocol == ISO
        assert list(credential["data"]) == (["response"] if encrypted else ["vp_token"])
        answer = give(scene, made, json.loads(json.dumps(credential)))
        assert answer.status_code == 200, answer.text
        assert answer.json() == scene.under_test.result(made["id"])
        assert answer.json()["state"] == "verified"
        [[shown]] = answer.json()["credentials"].values()
        assert shown["claims"] in ({"name": "홍시험"}, {NAME[0]: {"family_name": "SIHEOM"}})
        assert all(check["ok"] for check in answer.json()["checks"])
