"""A wallet of npm's packages at our issuer and our verifier over HTTP; other packages of npm verify what it was given.

Its time and the addresses it sees are the test's, the connections are real ones.
"""

from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.interop.conftest import NodePeer, behind_a_port
from tests.support.issuing import HOST as ISSUER
from tests.support.issuing import IssuerUnderTest, add_document_signer, start_issuer
from tests.support.mdoc_presentations import CLASSES, NAME, MdocAgency, mdoc_query, new_iaca
from tests.support.peers import peer_key
from tests.support.presentations import HOST as VERIFIER
from tests.support.presentations import der, new_world, query
from tests.support.verifying import VerifierUnderTest, response_code, start_verifier
from tests.support.whole_issuance import HAIP_AGENCY, HAIP_CONFIGURATION, WALLET_URL, start_country
from wallet_core.adapters.config import load_catalogue
from wallet_core.adapters.keystore import KeyStore
from wallet_core.encoding import base64url
from wallet_core.keys.signer import SoftwareSigner

SD_JWT, MDOC = "drivers-licence-sd-jwt", "drivers-licence-mdoc"


def private_jwk(signer: SoftwareSigner) -> dict[str, Any]:
    found: dict[str, Any] = peer_key(signer).export(private_key=True, as_dict=True)
    return {name: found[name] for name in ("kty", "crv", "x", "y", "d")}


def base64(*certificates: bytes) -> list[str]:
    return [b64encode(each).decode() for each in certificates]


@pytest.fixture
def iaca() -> Any:
    return new_iaca()


@pytest.fixture
def issuer(tmp_path: Path, iaca: Any) -> Iterator[IssuerUnderTest]:
    started = start_issuer(tmp_path, f"sqlite:///{tmp_path}/issuer.db")
    add_document_signer(started.issuer.keys, iaca, "police")
    yield started
    started.client.close()
    started.issuer.database.close()


def test_a_code_for_credentials_of_both_formats(node: NodePeer, issuer: IssuerUnderTest, iaca: Any) -> None:
    first = issuer.offer(tx_code=True)
    record = issuer.record(SD_JWT)
    # The package wants the document signer to be of the jurisdiction; ISO/IEC 18013-5 9.3.3 where it names one.
    placeless = {name: value for name, value in record.items() if name != "issuing_jurisdiction"}
    second = issuer.offer(configuration=MDOC, by_reference=False, claims={MDOC: placeless})
    with behind_a_port(issuer.app) as address:
        sd_jwts, mdocs = node(
            "wallet",
            {"task": "receive", "link": first["uri"], "txCode": first["tx_code"], "configuration": SD_JWT, "copies": 3},
            {"task": "receive", "link": second["uri"], "configuration": MDOC, "copies": 2},
            roads={ISSUER: address},
        )
        assert (sd_jwts["version"], sd_jwts["signed"], sd_jwts["token"]["token_type"]) == ("V1", True, "DPoP")
        assert (len(sd_jwts["credentials"]), len(mdocs["credentials"])) == (3, 2)
        # The list is fetched, verified and looked into while the package verifies the rest.
        *verified, mdoc = node(
            "formats",
            *({"task": "verifySdJwtVc", "credential": each} for each in sd_jwts["credentials"]),
            {"task": "verifyMdoc", "credential": mdocs["credentials"][0], "anchors": base64(der(iaca.certificate))},
            roads={ISSUER: address},
        )
    assert [each.get("why") for each in verified] == [None] * 3
    assert {each["payload"]["name"] for each in verified} == {record["name"]}
    confirmed = [each["payload"]["cnf"]["jwk"]["x"] for each in verified]
    assert confirmed == [each["x"] for each in sd_jwts["holders"]]
    assert mdoc["ok"], mdoc["why"]
    assert mdoc["same"]
    assert mdoc["claims"]["family_name"] == record["family_name"]


def test_a_suspended_credential_is_suspended_for_others_too(node: NodePeer, issuer: IssuerUnderTest) -> None:
    with behind_a_port(issuer.app) as address:
        link = issuer.offer()["uri"]
        (taken,) = node("wallet", {"task": "receive", "link": link, "configuration": SD_JWT}, roads={ISSUER: address})
        (known,) = issuer.api("GET", "/credentials").json()["credentials"]
        changed = issuer.api("POST", f"/credentials/{known['credential_id']}/status", json={"status": "suspended"})
        assert changed.status_code == 200, changed.text
        issuer.clock.advance(issuer.issuer.settings.status_ttl_seconds + 1)
        listed = issuer.client.get(f"{ISSUER}/agencies/police/statuslists/1").text
        (credential,) = taken["credentials"]
        status, verified = node(
            "formats",
            {"task": "readStatus", "credential": credential, "list": listed},
            {"task": "verifySdJwtVc", "credential": credential},
            now=issuer.clock.now(),
            roads={ISSUER: address},
        )
    assert (status["status"], status["bits"]) == (2, 2)
    assert not verified["ok"]
    assert "Status is not valid" in verified["why"]


def test_the_type_metadata_are_what_the_package_reads(node: NodePeer) -> None:
    types = load_catalogue().types.values()
    tasks = [{"task": "readTypeMetadata", "document": each.type_metadata()} for each in types]
    for each, answer in zip(types, node("formats", *tasks), strict=True):
        assert answer["ok"], (each.id, answer["why"])
        assert len(answer["read"]["claims"]) == len(each.type_metadata()["claims"]), each.id  # type: ignore[arg-type]


LOGINS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "plain": (HAIP_AGENCY, HAIP_CONFIGURATION, {}),
    "encrypted": (HAIP_AGENCY, HAIP_CONFIGURATION, {"encrypted": True}),
    "keys attested instead of proven": ("police", SD_JWT, {"proof": "attestation"}),
}


@pytest.mark.parametrize("case", LOGINS)
def test_a_login_at_an_agency_of_the_high_assurance_profile(node: NodePeer, tmp_path: Path, case: str) -> None:
    agency, configuration, wanted = LOGINS[case]
    country = start_country(tmp_path, f"sqlite:///{tmp_path}/issuer.db", f"sqlite:///{tmp_path}/wallet.db")
    under_test = country.issuers.under_test
    with under_test.issuer.database.unit() as unit:
        unit.connection.exec_driver_sql("UPDATE issuer_agency SET haip = TRUE")
    store = KeyStore(tmp_path / "wallet-keys")
    key = private_jwk(SoftwareSigner.from_key(store.private_key("wallet-provider")))
    provider = {"name": WALLET_URL, "key": key, "x5c": base64(*store.chain("wallet-provider"))}
    facts = {"clientId": f"{WALLET_URL}/client", "redirectUri": f"{WALLET_URL}/callback", "provider": provider}
    body = {"credential_configuration_ids": [configuration], "grant": "authorization_code"}
    link = under_test.api("POST", "/offers", agency=agency, json=body).json()["uri"]
    with behind_a_port(under_test.app) as address:
        begin = {"task": "authorize", "link": link, "configuration": configuration, **facts}
        (begun,) = node("wallet", begin, roads={ISSUER: address})
        back = country.log_in(begun["url"], agency=agency)
        finish = {"task": "redeem", **begun, "back": back, "configuration": configuration, **facts}
        (taken,) = node("wallet", {**finish, "copies": 2, "refresh": True, **wanted}, roads={ISSUER: address})
    assert len(taken["credentials"]) == 2
    assert (taken["token"]["token_type"], taken["refreshed"]["token_type"]) == ("DPoP", "DPoP")
    for each in (country.issuers.client, *country.issuers.browsers):
        each.close()
    under_test.issuer.database.close()


@pytest.fixture
def mdocs() -> MdocAgency:
    return MdocAgency()


@pytest.fixture
def verifier(tmp_path: Path, mdocs: MdocAgency) -> Iterator[VerifierUnderTest]:
    world = replace(new_world(), more_anchors=mdocs.anchors.anchors)
    started = start_verifier(tmp_path, f"sqlite:///{tmp_path}/verifier.db", world=world)
    yield started
    started.client.close()
    started.verifier.database.close()


def cards(verifier: VerifierUnderTest, mdocs: MdocAgency) -> dict[str, Any]:
    world = verifier.world
    key = private_jwk(world.holder)
    return {
        "dc+sd-jwt": {"credential": world.agency.issue(world.holder), "key": key},
        "mso_mdoc": {"credential": base64url.encode(mdocs.issue(world.holder)), "key": key},
    }


BOTH = {"credentials": [*query(("name",), ("address", "region"))["credentials"], *mdoc_query(NAME)["credentials"]]}
ASKED: dict[str, dict[str, Any]] = {
    "encrypted": {"dcql_query": query(("name",), ("age_over_19",))},
    "A128GCM": {"dcql_query": BOTH, "encryption": "A128GCM"},
    "not encrypted": {"dcql_query": BOTH, "response_mode": "direct_post"},
    "by name": {"dcql_query": query(("name",)), "client_id_prefix": "x509_san_dns"},
    "unsigned": {"dcql_query": BOTH, "client_id_prefix": "redirect_uri"},
    "by POST": {"dcql_query": mdoc_query(NAME, CLASSES), "request_uri_method": "post"},
    "same device": {
        "dcql_query": query(("name",)),
        "flow": "same_device",
        "redirect_uri": "https://shop.example/back",
    },
}


def test_requests_are_answered_and_the_answers_verified(
    node: NodePeer, verifier: VerifierUnderTest, mdocs: MdocAgency
) -> None:
    asked = {name: dict(body) for name, body in ASKED.items()}
    encryption = [body.pop("encryption", "A256GCM") for body in asked.values()]
    made = [verifier.ask(**body) for body in asked.values()]
    tasks = [
        {
            "task": "present",
            "request": each["authorization_request"],
            "cards": cards(verifier, mdocs),
            "encryption": enc,
        }
        for each, enc in zip(made, encryption, strict=True)
    ]
    with behind_a_port(verifier.app) as address:
        answers = node("wallet", *tasks, now=verifier.clock.now(), roads={VERIFIER: address})
    for name, request, answer in zip(asked, made, answers, strict=True):
        assert answer["ok"], (name, answer["why"])
        assert (answer["status"], answer["version"]) == (200, 100), (name, answer)
        result = verifier.result(request["id"])
        if name == "same device":
            code = response_code(answer["body"]["redirect_uri"])
            result = verifier.api("POST", f"/{request['id']}/redeem", json={"response_code": code}).json()
        assert result["state"] == "verified", (name, result)


def test_requests_of_the_browsers_api(node: NodePeer, verifier: VerifierUnderTest, mdocs: MdocAgency) -> None:
    origin, shown, asked = "https://shop.example", cards(verifier, mdocs), []
    for protocol in ("openid4vp-v1-unsigned", "openid4vp-v1-signed"):
        for mode in ("dc_api", "dc_api.jwt"):
            offered = {"expected_origins": [origin], "dc_api_protocols": [protocol]}
            asked.append(verifier.ask(dcql_query=query(("name",)), response_mode=mode, **offered))
    requests = [each["dc_api_request"]["digital"]["requests"][0] for each in asked]
    tasks = [{"task": "present", "request": each["data"], "origin": origin, "cards": shown} for each in requests]
    answers = node("wallet", *tasks, now=verifier.clock.now())
    for made, request, answer in zip(asked, requests, answers, strict=True):
        assert answer["ok"], (request["protocol"], answer["why"])
        body = {"protocol": request["protocol"], "data": answer["data"], "origin": origin}
        result = verifier.api("POST", f"/{made['id']}/dc-api-response", json=body).json()
        assert result["state"] == "verified", (request["protocol"], result)
