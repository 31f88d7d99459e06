"""The OpenAPI document of the verifier makes a working client, and says the truth of every answer it gets."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.simulators import run_flow
from tests.support.file_checks import REFERENCE, FileDesk, open_desk
from tests.support.openapi_client import GeneratedClient
from tests.support.presentations import CLAIMS, query
from tests.support.transactions import transaction
from tests.support.verifying import BACK, HOST, PARTY, VerifierUnderTest, response_code, start_verifier
from wallet_core.protocols.openid4vp import wallet

ASK = {"dcql_query": query(("name",), ("age_over_19",))}

UNHEARD_OF = {"status_list": {"idx": 3, "uri": "https://elsewhere.example/statuslists/9"}}

OPERATIONS = {
    "create_presentation": ("post", "/api/v1/presentations"),
    "list_presentations": ("get", "/api/v1/presentations"),
    "show_presentation": ("get", "/api/v1/presentations/{presentation_id}"),
    "redeem": ("post", "/api/v1/presentations/{presentation_id}/redeem"),
    "receive_dc_api_response": ("post", "/api/v1/presentations/{presentation_id}/dc-api-response"),
    "forget_claims": ("post", "/api/v1/presentations/{presentation_id}/forget-claims"),
    "show_record": ("get", "/api/v1/presentations/{presentation_id}/record"),
    "verify": ("post", "/api/v1/verify"),
    "list_failed_webhooks": ("get", "/api/v1/webhooks/failed"),
    "send_webhook_again": ("post", "/api/v1/webhooks/failed/{webhook_id}/send-again"),
}
"""Names that other people's generated clients have: none of them may ever change."""


@pytest.fixture(scope="module")
def under_test(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VerifierUnderTest]:
    folder = tmp_path_factory.mktemp("openapi")
    found: VerifierUnderTest = start_verifier(folder, f"sqlite:///{folder}/verifier.db")
    yield found
    found.client.close()
    found.verifier.database.close()


def generated(under_test: VerifierUnderTest, party: str = PARTY, token: str = "") -> GeneratedClient:
    """A client made from the document that this verifier serves."""
    document = under_test.client.get(f"{HOST}/openapi.json").json()
    return GeneratedClient(document, token or under_test.api_keys[party], under_test.client.request)


def test_a_presentation_from_asking_to_redeeming(under_test: VerifierUnderTest) -> None:
    client = generated(under_test)
    body = {**ASK, "flow": "same_device", "redirect_uri": BACK}
    made = client.create_presentation(body, idempotency_key="first")
    assert made.status == 201
    assert client.create_presentation(body, idempotency_key="first").body == made.body
    identifier = made.body["id"]
    assert client.show_presentation(presentation_id=identifier).body["state"] == "requested"

    sent = under_test.present(made.body["authorization_request"])
    waiting = client.show_presentation(presentation_id=identifier).body
    assert (waiting["state"], waiting["credentials"]) == ("answered", None)
    code = {"response_code": response_code(sent.redirect_uri)}
    redeemed = client.redeem(code, presentation_id=identifier, idempotency_key="second").body
    assert redeemed["state"] == "verified"
    assert redeemed["credentials"]["licence"][0]["claims"]["name"] == CLAIMS["name"]
    assert client.redeem(code, presentation_id=identifier).status == 409
    forgotten = client.forget_claims(presentation_id=identifier, idempotency_key="third").body
    assert (forgotten["state"], forgotten["credentials"]) == ("verified", None)
    assert client.forget_claims(presentation_id=identifier).body == forgotten
    listed = client.list_presentations(cursor="").body["presentations"]
    assert (listed[0]["id"], listed[0]["credentials"]) == (identifier, None)


def test_every_other_end_of_a_presentation(under_test: VerifierUnderTest) -> None:
    client = generated(under_test)
    made = client.create_presentation(ASK).body
    run_flow(wallet.decline(under_test.resolve(made["authorization_request"])), under_test.send)
    declined = client.show_presentation(presentation_id=made["id"]).body
    assert (declined["state"], declined["error"]) == ("refused", "access_denied")
    broken = client.create_presentation(ASK).body
    pending = under_test.prepare(under_test.resolve(broken["authorization_request"]))
    token = {name: [text[:-9] + "AAAAAAAAA" for text in texts] for name, texts in under_test.vp_token(pending).items()}
    under_test.post(pending.resolved, token)
    refused = client.show_presentation(presentation_id=broken["id"]).body
    assert refused["state"] == "refused"
    assert [check["ok"] for check in refused["checks"]].count(False) == 1
    late = client.create_presentation({"policy": "adult-check"}).body
    under_test.clock.advance(301)
    assert client.show_presentation(presentation_id=late["id"]).body["state"] == "expired"


def test_what_was_agreed_to_has_its_shape(under_test: VerifierUnderTest) -> None:
    client = generated(under_test)
    made = client.create_presentation({**ASK, "transaction_data": [transaction()]}).body
    under_test.present(made["authorization_request"])
    agreed = client.show_presentation(presentation_id=made["id"]).body["transaction_data"]
    assert [each["agreed_with"] for each in agreed] == ["licence"]


def test_refusals_have_the_documented_shape(under_test: VerifierUnderTest) -> None:
    client = generated(under_test)
    made = client.create_presentation(ASK, idempotency_key="once").body
    assert client.create_presentation({"policy": "adult-check"}, idempotency_key="once").status == 422
    assert client.create_presentation({}).status == 400
    assert client.create_presentation({"policy": "unheard-of"}).status == 404
    assert client.create_presentation({"policy": "x" * 600_000}).status == 413
    assert client.redeem({"response_code": "guess"}, presentation_id=made["id"]).status == 409
    assert client.forget_claims(presentation_id=made["id"]).status == 409
    assert client.show_presentation(presentation_id="unheard-of").status == 404
    others = generated(under_test, "dodam-bank")
    assert others.show_presentation(presentation_id=made["id"]).status == 404
    assert others.forget_claims(presentation_id=made["id"]).status == 404
    assert others.redeem({"response_code": "guess"}, presentation_id=made["id"]).status == 404
    assert generated(under_test, token="jgk_" + "A" * 43).list_presentations().status == 401


def test_a_file_is_checked(tmp_path: Path) -> None:
    desk: FileDesk = open_desk(tmp_path)
    client = generated(desk.under_test)
    agency, holder = desk.world.agency, desk.world.holder
    good = str(agency.issue(holder, status=REFERENCE))
    for text, state in ((good, "verified"), (good.replace("~", "~A", 1), "refused")):
        assert client.verify({"text": text}).body["state"] == state
    offline = client.verify({"text": str(agency.issue(holder, status=UNHEARD_OF)), "offline": True})
    assert offline.body["state"] == "not_verified"
    assert client.verify({}).status == 400


def test_the_document_is_a_valid_one(under_test: VerifierUnderTest) -> None:
    document = under_test.client.get(f"{HOST}/openapi.json").json()
    assert document["openapi"].startswith("3.1.")
    assert document["info"]["description"]
    assert document["servers"] == [{"url": HOST}]
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    assert set(references(document)) <= {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    for path, methods in document["paths"].items():
        for operation in methods.values():
            named = {each["name"] for each in operation.get("parameters", ()) if each["in"] == "path"}
            assert named == {part[1:-1] for part in path.split("/") if part.startswith("{")}
            assert operation["summary"]
            assert operation["description"]
            assert operation["security"][0].keys() <= document["components"]["securitySchemes"].keys()


def test_operations_keep_their_names(under_test: VerifierUnderTest) -> None:
    operations = generated(under_test).operations
    assert {name: (method, path) for name, (method, path, _) in operations.items()}.items() >= OPERATIONS.items()
    total = sum(len(methods) for methods in generated(under_test).document["paths"].values())
    assert len(operations) == total, "two operations share a name"


def test_every_operation_says_what_the_key_must_be_good_for(under_test: VerifierUnderTest) -> None:
    for _, _, operation in generated(under_test).operations.values():
        ((scheme, scopes),) = operation["security"][0].items()
        assert scheme == "apiKey"
        assert set(scopes) <= {"presentations:write", "presentations:read"}
        assert scopes


def test_every_example_is_what_it_is_an_example_of(under_test: VerifierUnderTest) -> None:
    client = generated(under_test)
    shown = 0
    for schema in client.document["components"]["schemas"].values():
        for example in schema.get("examples", ()):
            client.validate(example, schema)
            shown += 1
    assert shown >= 5


def references(value: Any) -> Iterator[str]:
    """Every ``$ref`` in a document."""
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for each in value.values():
            yield from references(each)
    elif isinstance(value, list):
        for each in value:
            yield from references(each)
