import json

import pytest

from wallet_core.errors import (
    InvalidCredentialRequest,
    InvalidEncryptionParameters,
    InvalidNotificationRequest,
    InvalidProof,
    UnknownCredentialIdentifier,
)
from wallet_core.protocols.openid4vci.messages import (
    MAX_EVENT_DESCRIPTION,
    CredentialRequest,
    NotificationEvent,
    NotificationRequest,
    create_credential_response,
    parse_credential_request,
    parse_notification_request,
)
from wallet_core.protocols.openid4vci.metadata import BATCH_SIZE

JSON = "application/json"


def request(**members):
    return json.dumps({"credential_configuration_id": "licence", "proofs": {"jwt": ["a.b.c"]}, **members}).encode()


def test_a_credential_request_and_members_that_are_not_known():
    parsed = parse_credential_request(JSON, request(unknown=1, proof={"proof_type": "jwt"}))
    assert parsed == CredentialRequest("licence", ("a.b.c",))


def test_proofs_may_be_left_out_of_the_message():
    assert parse_credential_request(JSON, b'{"credential_configuration_id":"licence"}').proofs == ()


@pytest.mark.clause(
    "vci-8.2-media-type",
    "vci-8.2-encrypted",
    "vci-8.2-response-encryption",
    "vci-8.2-identifier-excludes",
    "vci-8.2-configuration",
    "vci-8.3.1.2-unknown-identifier",
    "vci-8.2-one-proof-type",
    "vci-8.2-proofs-array",
    "vci-8.2-proofs-empty",
    "vci-12.2.4-batch-limit",
)
@pytest.mark.parametrize(
    ("media_type", "body", "error"),
    [
        ("application/jwt", b"a.b.c.d.e", InvalidEncryptionParameters),
        ("text/plain", request(), InvalidCredentialRequest),
        ("", request(), InvalidCredentialRequest),
        (JSON, b"", InvalidCredentialRequest),
        (JSON, b"[]", InvalidCredentialRequest),
        (JSON, b"{", InvalidCredentialRequest),
        (JSON, b"{}", InvalidCredentialRequest),
        (JSON, b"\xff", InvalidCredentialRequest),
        (JSON, b'{"credential_configuration_id":"a","credential_configuration_id":"a"}', InvalidCredentialRequest),
        (JSON, b'{"a":' * 40 + b"1" + b"}" * 40, InvalidCredentialRequest),
        (JSON, b'{"a":"' + b"x" * 200_000 + b'"}', InvalidCredentialRequest),
        (JSON, request(credential_configuration_id=""), InvalidCredentialRequest),
        (JSON, request(credential_configuration_id=1), InvalidCredentialRequest),
        (JSON, request(credential_configuration_id=None), InvalidCredentialRequest),
        (JSON, request(credential_identifier="x"), InvalidCredentialRequest),
        (JSON, b'{"credential_identifier":"x"}', UnknownCredentialIdentifier),
        (JSON, b'{"format":"dc+sd-jwt","vct":"licence"}', InvalidCredentialRequest),
        (JSON, request(proofs=[]), InvalidCredentialRequest),
        (JSON, request(proofs={}), InvalidCredentialRequest),
        (JSON, request(proofs={"jwt": ["a"], "di_vp": []}), InvalidCredentialRequest),
        (JSON, request(proofs={"di_vp": ["a"]}), InvalidCredentialRequest),
        (JSON, request(proofs={"jwt": "a.b.c"}), InvalidCredentialRequest),
        (JSON, request(proofs={"jwt": [1]}), InvalidCredentialRequest),
        (JSON, request(proofs={"jwt": ["a"] * (BATCH_SIZE + 1)}), InvalidCredentialRequest),
        (JSON, request(proofs={"jwt": []}), InvalidProof),
        (JSON, request(credential_response_encryption={"jwk": {}, "enc": "A128GCM"}), InvalidEncryptionParameters),
    ],
)
def test_credential_requests_that_are_refused(media_type, body, error):
    with pytest.raises(error) as caught:
        parse_credential_request(media_type, body)
    assert caught.value.http_status == 400


def test_notification_requests():
    body = b'{"notification_id":"n","event":"credential_deleted","event_description":"gone"}'
    expected = NotificationRequest("n", NotificationEvent.CREDENTIAL_DELETED, "gone")
    assert parse_notification_request(JSON, body) == expected
    long = f'{{"notification_id":"n","event":"credential_deleted","event_description":"{"x" * 5000}"}}'.encode()
    assert len(parse_notification_request(JSON, long).description) == MAX_EVENT_DESCRIPTION


@pytest.mark.clause("vci-11.1-event", "vci-11.1-media-type", "vci-11.1-description")
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b'{"notification_id":"n"}',
        b'{"event":"credential_accepted"}',
        b'{"notification_id":"n","event":"Credential_Accepted"}',
        b'{"notification_id":"n","event":1}',
        b'{"notification_id":1,"event":"credential_accepted"}',
        b'{"notification_id":"n","notification_id":"n","event":"credential_accepted"}',
        b'{"notification_id":"n","event":"credential_failure","event_description":"a \\" mark"}',
        b'{"notification_id":"n","event":"credential_failure","event_description":"back\\\\slash"}',
        b'{"notification_id":"n","event":"credential_failure","event_description":"line\\n"}',
        '{"notification_id":"n","event":"credential_failure","event_description":"실패"}'.encode(),
        b'{"notification_id":"n","event":"credential_failure","event_description":1}',
    ],
)
def test_notification_requests_that_are_refused(body):
    with pytest.raises(InvalidNotificationRequest):
        parse_notification_request(JSON, body)
    with pytest.raises(InvalidNotificationRequest):
        parse_notification_request("text/plain", b'{"notification_id":"n","event":"credential_accepted"}')


def test_a_credential_response():
    assert create_credential_response(["one", "two"], notification_id="n") == {
        "credentials": [{"credential": "one"}, {"credential": "two"}],
        "notification_id": "n",
    }
