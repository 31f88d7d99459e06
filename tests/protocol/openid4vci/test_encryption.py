"""Encrypted messages, on both sides: what is offered, asked for, sent and refused."""

import json
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from wallet_core.errors import (
    InvalidCredentialRequest,
    InvalidEncryptionParameters,
    InvalidTransactionId,
    MalformedError,
    PeerRefusal,
    VerificationError,
)
from wallet_core.http import HttpRequest, HttpResponse
from wallet_core.jose import jwe
from wallet_core.protocols.openid4vci.encryption import (
    MessageEncryption,
    RequestDecryption,
    choose_encryption,
    create_request_encryption,
    create_response_encryption,
    encryption_jwk,
    parse_encryption_parameters,
    parse_request_encryption,
    parse_response_encryption,
)
from wallet_core.protocols.openid4vci.messages import (
    CredentialResponse,
    Deferral,
    create_answer,
    create_credential_request,
    create_credential_response,
    create_deferral,
    create_deferred_request,
    parse_credential_request,
    parse_credential_response,
    parse_deferred_request,
    parse_deferred_response,
)

JSON, JWT = "application/json", "application/jwt"
ENDPOINT = "https://issuer.example/agencies/police/credential"
KEY, OLD = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
JWK = encryption_jwk(KEY)
KEYS = {str(encryption_jwk(key)["kid"]): key for key in (KEY, OLD)}
OPTIONAL, REQUIRED = RequestDecryption(KEYS), RequestDecryption(KEYS, required=True)
PARAMETERS = {"jwk": encryption_jwk(OLD), "enc": "A256GCM", "zip": "DEF"}


def offered(*, request: bool = True, response: bool = True) -> MessageEncryption:
    """What a wallet does with our own metadata."""
    document = {
        "credential_request_encryption": create_request_encryption([KEY, OLD], required=request),
        "credential_response_encryption": create_response_encryption(required=response),
    }
    chosen = choose_encryption(parse_request_encryption(document), parse_response_encryption(document))
    assert chosen is not None
    return chosen


def asked(encryption: MessageEncryption | None) -> HttpRequest:
    return create_credential_request(
        ENDPOINT,
        "token",
        configuration_id="licence",
        credential_identifier=None,
        proofs=["a.b.c"],
        encryption=encryption,
    )


def sealed(payload: Any, **options: Any) -> bytes:
    options = {"enc": "A128GCM", **options}
    text = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return jwe.encrypt(text, options.pop("jwk", JWK), **options).encode()


REQUEST: dict[str, Any] = {"credential_configuration_id": "licence", "proofs": {"jwt": ["a.b.c"]}}


@pytest.mark.clause("vci-10-media-type", "vci-10-jwk-alg", "vci-10-encrypts-where-offered")
@pytest.mark.parametrize(
    "demanded", [{}, {"response": False}, {"request": False}, {"request": False, "response": False}]
)
def test_a_request_and_its_answer_are_encrypted_as_the_metadata_say(demanded: dict[str, bool]) -> None:
    encryption = offered(**demanded)
    request = asked(encryption)
    assert request.headers["Content-Type"] == JWT
    header = jwe.parse_header(request.body.decode())
    assert (header["enc"], header["zip"], header["kid"]) == ("A256GCM", "DEF", JWK["kid"])
    parsed = parse_credential_request(JWT, request.body, REQUIRED)
    assert (parsed.configuration_id, parsed.proofs) == ("licence", ("a.b.c",))
    assert parsed.response_encryption is not None
    answer = create_answer(create_credential_response(["one"], notification_id="n"), parsed.response_encryption)
    assert answer.media_type == JWT
    assert b"one" not in answer.body
    assert parse_credential_response(answer, encryption) == CredentialResponse(("one",), "n")


@pytest.mark.clause("vci-10-encrypts-where-offered")
@pytest.mark.parametrize(
    "members",
    [
        {},
        {"request": {}},
        {"response": {}},
        {"request": {}, "response": {"alg_values_supported": ["RSA-OAEP-256"]}},
        {"request": {"enc_values_supported": ["A256CBC-HS512"]}, "response": {}},
    ],
    ids=["nothing", "only requests", "only answers", "foreign answers", "foreign requests"],
)
def test_what_cannot_be_encrypted_both_ways_goes_in_clear_without_demand(members: Any) -> None:
    document: dict[str, Any] = {}
    if "request" in members:
        document |= request_encryption(encryption_required=False, **members["request"])
    if "response" in members:
        document |= response_encryption(encryption_required=False, **members["response"])
    assert choose_encryption(parse_request_encryption(document), parse_response_encryption(document)) is None


def test_in_clear() -> None:
    request = asked(None)
    assert request.headers["Content-Type"] == JSON
    assert parse_credential_request(JSON, request.body, OPTIONAL).response_encryption is None
    answer = create_answer(create_credential_response(["one"], notification_id=None), None)
    assert parse_credential_response(answer) == CredentialResponse(("one",), None)


def test_a_wallet_encrypts_to_an_issuer_that_encrypts_no_answers() -> None:
    encryption = choose_encryption(
        parse_request_encryption({"credential_request_encryption": create_request_encryption([KEY], required=True)}),
        None,
    )
    assert encryption is not None
    parsed = parse_credential_request(JWT, asked(encryption).body, OPTIONAL)
    assert parsed.response_encryption is None
    answer = create_answer(create_credential_response(["one"], notification_id=None), None)
    assert parse_credential_response(answer, encryption) == CredentialResponse(("one",), None)
    with pytest.raises(MalformedError, match="not asked for"):
        encryption.decrypt_response("a.b.c.d.e")


def test_a_deferral_is_encrypted_like_any_answer() -> None:
    encryption = offered()
    request = create_deferred_request(ENDPOINT, "token", transaction_id="t", encryption=encryption)
    parsed = parse_deferred_request(JWT, request.body, REQUIRED)
    assert parsed.transaction_id == "t"
    answer = create_answer(create_deferral("t", interval=5), parsed.response_encryption, status=202)
    assert (answer.status, answer.media_type) == (202, JWT)
    assert parse_deferred_response(answer, encryption, transaction_id="t") == Deferral("t", 5)


@pytest.mark.clause(
    "vci-8.2-encrypted",
    "vci-8.2-response-encryption",
    "vci-8.2-request-encrypted-too",
    "vci-8.3.1.2-encryption-parameters",
    "vci-8.3.1.2-encryption-missing",
    "vci-10-clear-refused",
)
@pytest.mark.parametrize("parse", [parse_credential_request, parse_deferred_request])
@pytest.mark.parametrize(
    ("media_type", "body", "decryption"),
    [
        (JWT, sealed(REQUEST), None),
        (JWT, b"", OPTIONAL),
        (JWT, b"a.b.c.d.e", OPTIONAL),
        (JWT, "가".encode(), OPTIONAL),
        (JWT, b"\xff", OPTIONAL),
        (JWT, b"a" * 400_000, OPTIONAL),
        (JWT, json.dumps(REQUEST).encode(), OPTIONAL),
        (JWT, sealed(REQUEST, jwk=encryption_jwk(ec.generate_private_key(ec.SECP256R1()))), OPTIONAL),
        (JWT, sealed(REQUEST, jwk={**JWK, "kid": "other"}), OPTIONAL),
        (JWT, sealed(REQUEST, jwk={name: JWK[name] for name in ("kty", "crv", "x", "y")}), OPTIONAL),
        (JWT, sealed(REQUEST)[:-4] + b"AAAA", OPTIONAL),
        (JSON, json.dumps(REQUEST).encode(), REQUIRED),
        (JSON, json.dumps({**REQUEST, "credential_response_encryption": PARAMETERS}).encode(), OPTIONAL),
        (JSON, json.dumps({**REQUEST, "credential_response_encryption": PARAMETERS}).encode(), None),
        (JWT, sealed(REQUEST), REQUIRED),
        (JWT, sealed({**REQUEST, "credential_response_encryption": {}}), OPTIONAL),
    ],
)
def test_encryption_that_is_not_what_was_offered(
    parse: Any, media_type: str, body: bytes, decryption: RequestDecryption | None
) -> None:
    if parse is parse_deferred_request:
        body = body.replace(b'"credential_configuration_id"', b'"transaction_id"')
        if media_type == JWT and decryption is not None and (decryption.required or b"." in body):
            body = resealed(body, decryption)
    with pytest.raises(InvalidEncryptionParameters) as caught:
        parse(media_type, body, decryption)
    assert (caught.value.http_status, caught.value.code) == (400, "invalid_encryption_parameters")


def resealed(body: bytes, decryption: RequestDecryption) -> bytes:
    """The request, where it can be opened, as one of the Deferred Credential Endpoint."""
    try:
        payload = json.loads(decryption.decrypt(body.decode()))
    except (MalformedError, VerificationError):
        return body
    return sealed({"transaction_id": "t", **payload})


def test_what_an_encrypted_request_holds_is_looked_at_like_any_other() -> None:
    for payload in (b"", b"[]", b'{"a":1,"a":2}', b"\xff", {"credential_configuration_id": 1}, {}):
        with pytest.raises(InvalidCredentialRequest):
            parse_credential_request(JWT, sealed(payload), OPTIONAL)
    with pytest.raises(InvalidCredentialRequest):
        parse_deferred_request("text/plain", b"{}", OPTIONAL)


def test_a_compressed_request_does_not_outgrow_the_limit() -> None:
    bomb = json.dumps({**REQUEST, "padding": "x" * 10_000_000}).encode()
    body = jwe.encrypt(bomb, JWK, enc="A128GCM", deflate=True, max_bytes=len(bomb)).encode()
    assert len(body) < 20_000
    with pytest.raises(InvalidEncryptionParameters):
        parse_credential_request(JWT, body, OPTIONAL)


def test_both_keys_of_a_rotation_are_taken() -> None:
    for key in (KEY, OLD):
        parse_credential_request(JWT, sealed(REQUEST, jwk=encryption_jwk(key)), OPTIONAL)


@pytest.mark.clause("vci-9.1-transaction-id")
@pytest.mark.parametrize("body", [{}, *[{"transaction_id": value} for value in (None, 1, "", ["t"])]])
def test_a_deferred_request_names_its_transaction(body: Any) -> None:
    with pytest.raises(InvalidCredentialRequest) as caught:
        parse_deferred_request(JSON, json.dumps(body).encode())
    assert (caught.value.http_status, caught.value.code) == (400, "invalid_credential_request")


@pytest.mark.clause("vci-9.3-not-ours")
def test_a_transaction_that_cannot_be_ours() -> None:
    with pytest.raises(InvalidTransactionId) as caught:
        parse_deferred_request(JSON, json.dumps({"transaction_id": "x" * 201}).encode())
    assert (caught.value.http_status, caught.value.code) == (400, "invalid_transaction_id")


def parameters(drop: str = "", **members: Any) -> dict[str, Any]:
    return {name: value for name, value in {**PARAMETERS, **members}.items() if name != drop}


@pytest.mark.clause("vci-10-response-jwk", "vci-8.2-response-enc", "vci-8.2-response-zip")
@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        "jwk",
        {},
        parameters(drop="jwk"),
        parameters(drop="enc"),
        parameters(jwk=[]),
        parameters(jwk={}),
        parameters(jwk={name: value for name, value in JWK.items() if name != "alg"}),
        parameters(jwk={**JWK, "alg": "ECDH-ES+A256KW"}),
        parameters(jwk={**JWK, "alg": "RSA-OAEP-256"}),
        parameters(jwk={**JWK, "kid": 1}),
        parameters(jwk={**JWK, "use": "sig"}),
        parameters(jwk={**JWK, "crv": "P-384"}),
        parameters(jwk={**JWK, "d": "AAAA"}),
        parameters(jwk={**JWK, "x": JWK["y"]}),
        parameters(jwk={"kty": "oct", "k": "AAAA", "alg": "dir"}),
        parameters(enc="A128CBC-HS256"),
        parameters(enc=["A128GCM"]),
        parameters(enc=None),
        parameters(zip="GZIP"),
        parameters(zip=None),
        parameters(zip=["DEF"]),
    ],
)
def test_parameters_of_an_answer_that_are_refused(value: Any) -> None:
    with pytest.raises(InvalidEncryptionParameters):
        parse_encryption_parameters(value)
    assert parse_encryption_parameters(parameters(drop="zip")).zip is None
    assert parse_encryption_parameters(PARAMETERS).to_json() == PARAMETERS


@pytest.mark.clause("vci-10-clear-answer")
def test_an_answer_that_is_not_protected_as_was_asked_for_is_refused() -> None:
    encryption = offered()
    clear = create_answer(create_credential_response(["one"], notification_id=None), None)
    others = create_answer(create_credential_response(["one"], notification_id=None), offered().parameters)
    weaker = create_answer({"credentials": [{"credential": "one"}]}, replace(encryption.parameters, enc="A128GCM"))
    changed = create_answer({"credentials": [{"credential": "one"}]}, encryption.parameters)
    changed = replace(changed, body=changed.body[:-4] + b"AAAA")
    for answer in (clear, others, weaker, changed, HttpResponse(200, {"content-type": JWT}, b"\xff")):
        with pytest.raises((MalformedError, VerificationError)):
            parse_credential_response(answer, encryption)
    with pytest.raises(MalformedError):
        parse_credential_response(create_answer({}, encryption.parameters), None)
    # Errors are never encrypted, whatever was asked for.
    refusal = HttpResponse(400, {"content-type": JSON}, b'{"error":"invalid_encryption_parameters"}')
    with pytest.raises(PeerRefusal) as caught:
        parse_credential_response(refusal, encryption)
    assert caught.value.error == "invalid_encryption_parameters"


@pytest.mark.clause("vci-10-clear-refused", "vci-8.2-response-encryption", "vci-10-clear-answer")
def test_who_sends_in_clear_is_told_what_is_wrong() -> None:
    # A later check would refuse each of them too, with the same code and less help.
    wish = {**REQUEST, "credential_response_encryption": {"jwk": JWK, "enc": "A128GCM"}}
    for body in (REQUEST, wish):
        with pytest.raises(InvalidEncryptionParameters, match="requests to this issuer are encrypted"):
            parse_credential_request(JSON, json.dumps(body).encode(), REQUIRED)
    with pytest.raises(InvalidEncryptionParameters, match="encrypted responses are not supported here"):
        parse_credential_request(JSON, json.dumps(wish).encode())
    clear = create_answer(create_credential_response(["one"], notification_id=None), None)
    with pytest.raises(MalformedError, match="is not application/jwt"):
        parse_credential_response(clear, offered())


@pytest.mark.clause("vci-8.3-deferred", "vci-8.3-interval", "vci-8.3-credentials")
@pytest.mark.parametrize(
    ("status", "body"),
    [
        (202, {}),
        (202, {"transaction_id": "t"}),
        (202, {"interval": 5}),
        (202, {"transaction_id": "t", "interval": 0}),
        (202, {"transaction_id": "t", "interval": -1}),
        (202, {"transaction_id": "t", "interval": "5"}),
        (202, {"transaction_id": "t", "interval": True}),
        (202, {"transaction_id": "t", "interval": 1.5}),
        (202, {"transaction_id": "", "interval": 5}),
        (202, {"transaction_id": 1, "interval": 5}),
        (200, {"transaction_id": "t", "interval": 5}),
        (200, {"credentials": []}),
    ],
)
def test_deferrals_that_are_none(status: int, body: Any) -> None:
    with pytest.raises(MalformedError):
        parse_credential_response(HttpResponse(status, {"content-type": JSON}, json.dumps(body).encode()))


@pytest.mark.clause("vci-8.3-deferred", "vci-9.2-same-transaction")
def test_a_deferral_names_its_transaction() -> None:
    answer = create_answer(create_deferral("t", interval=10**9), None, status=202)
    assert parse_credential_response(answer) == Deferral("t", 7 * 24 * 3600)
    with pytest.raises(MalformedError, match="another"):
        parse_deferred_response(answer, transaction_id="u")
    with pytest.raises(PeerRefusal):
        parse_deferred_response(HttpResponse(400, {}, b""), transaction_id="t")
    ready = create_answer(create_credential_response(["one"], notification_id=None), None)
    assert parse_deferred_response(ready, transaction_id="t") == CredentialResponse(("one",), None)


def request_encryption(drop: str = "", **members: Any) -> dict[str, Any]:
    document = {**create_request_encryption([KEY], required=True), **members}
    document.pop(drop, None)
    return {"credential_request_encryption": document}


def response_encryption(drop: str = "", **members: Any) -> dict[str, Any]:
    document = {**create_response_encryption(required=True), **members}
    document.pop(drop, None)
    return {"credential_response_encryption": document}


@pytest.mark.clause(
    "vci-12.2.4-request-jwks", "vci-12.2.4-kid", "vci-12.2.4-response-alg", "vci-12.2.4-encryption-required"
)
@pytest.mark.parametrize(
    ("parse", "document"),
    [
        (parse_request_encryption, {"credential_request_encryption": []}),
        (parse_request_encryption, request_encryption(drop="jwks")),
        (parse_request_encryption, request_encryption(jwks={"keys": []})),
        (parse_request_encryption, request_encryption(jwks={"keys": ["key"]})),
        (parse_request_encryption, request_encryption(jwks={"keys": [{**JWK, "kid": str(n)} for n in range(17)]})),
        (parse_request_encryption, request_encryption(jwks={"keys": [JWK, JWK]})),
        (parse_request_encryption, request_encryption(jwks={"keys": [{**JWK, "kid": None}]})),
        (parse_request_encryption, request_encryption(drop="enc_values_supported")),
        (parse_request_encryption, request_encryption(enc_values_supported=[])),
        (parse_request_encryption, request_encryption(zip_values_supported="DEF")),
        (parse_request_encryption, request_encryption(drop="encryption_required")),
        (parse_request_encryption, request_encryption(encryption_required="true")),
        (parse_response_encryption, {"credential_response_encryption": 1}),
        (parse_response_encryption, response_encryption(drop="alg_values_supported")),
        (parse_response_encryption, response_encryption(alg_values_supported=[])),
        (parse_response_encryption, response_encryption(drop="enc_values_supported")),
        (parse_response_encryption, response_encryption(drop="encryption_required")),
        (parse_response_encryption, response_encryption(encryption_required=1)),
    ],
)
def test_metadata_that_are_refused(parse: Any, document: Any) -> None:
    with pytest.raises(MalformedError):
        parse(document)


@pytest.mark.clause("vci-12.2.4-encryption-demanded")
@pytest.mark.parametrize(
    "document",
    [
        response_encryption(),
        {**request_encryption(jwks={"keys": [{**JWK, "alg": "RSA-OAEP-256"}]}), **response_encryption()},
        request_encryption(jwks={"keys": [{**JWK, "alg": "ECDH-ES+A256KW"}]}),
        request_encryption(enc_values_supported=["A128CBC-HS256"]),
        {**request_encryption(), **response_encryption(alg_values_supported=["RSA-OAEP-256"])},
        {**request_encryption(), **response_encryption(enc_values_supported=["A256CBC-HS512"])},
    ],
)
def test_a_demand_that_this_wallet_cannot_meet(document: Any) -> None:
    with pytest.raises(MalformedError, match="demands"):
        choose_encryption(parse_request_encryption(document), parse_response_encryption(document))


def test_what_both_have_is_taken_the_strongest_first() -> None:
    document = {
        **request_encryption(
            jwks={"keys": [{**JWK, "kid": "rsa", "alg": "RSA-OAEP-256"}, JWK]},
            enc_values_supported=["A256CBC-HS512", "A128GCM"],
        ),
        **response_encryption(enc_values_supported=["A256GCM", "A128GCM"], zip_values_supported=["GZ"]),
    }
    chosen = choose_encryption(parse_request_encryption(document), parse_response_encryption(document))
    assert chosen is not None
    assert (chosen.request_jwk, chosen.request_enc, chosen.request_zip) == (JWK, "A128GCM", "DEF")
    assert (chosen.response_enc, chosen.response_zip) == ("A256GCM", None)
