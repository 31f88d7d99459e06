"""An issuer that takes encrypted requests, and one that takes nothing else."""

import json
from dataclasses import replace
from typing import Any

import pytest
from starlette.testclient import TestClient

from issuer.agencies.use_cases import demand_encryption
from issuer.app import create_app
from issuer.dependencies import build_issuer
from tests.simulators import run_flow
from tests.support.issuing import HOST, LICENCE, IssuerUnderTest, sign_proofs
from wallet_core.encoding import base64url
from wallet_core.errors import MalformedError
from wallet_core.jose import jwe
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.protocols.openid4vci.encryption import (
    KEY_PERIOD,
    MessageEncryption,
    choose_encryption,
    parse_request_encryption,
    parse_response_encryption,
)
from wallet_core.protocols.openid4vci.messages import (
    CredentialResponse,
    create_credential_request,
    parse_credential_response,
)
from wallet_core.protocols.openid4vci.pending import IssuedCredentials, ProofsToSign
from wallet_core.protocols.openid4vci.wallet import resolve_offer
from wallet_core.types import CredentialConfigurationId

CI = f"{HOST}/agencies/police"
KEYS = [SoftwareSigner.generate()]


def metadata(issuer: IssuerUnderTest) -> Any:
    return issuer.client.get(f"{HOST}/.well-known/openid-credential-issuer/agencies/police").json()


def wanted(issuer: IssuerUnderTest) -> MessageEncryption:
    """How a wallet encrypts."""
    document = metadata(issuer)
    chosen = choose_encryption(parse_request_encryption(document), parse_response_encryption(document))
    assert chosen is not None
    return chosen


def demand(issuer: IssuerUnderTest, *, encrypted: bool = True) -> None:
    unit = issuer.issuer.database.unit()
    agency = demand_encryption(unit, issuer.issuer.agencies(unit), issuer.issuer.agency("police"), encrypted=encrypted)
    assert agency.encrypted == encrypted
    issuer.clock.advance(11)


def signed(pending: ProofsToSign) -> list[str]:
    return [
        f"{proof.signing_input.decode()}.{signature}"
        for proof, signature in zip(pending.proofs, map(encoded, sign_proofs(pending, KEYS)), strict=True)
    ]


def encoded(signature: bytes) -> str:
    return base64url.encode(signature)


def ask(issuer: IssuerUnderTest, encryption: MessageEncryption | None) -> Any:
    pending = issuer.proofs(issuer.offer()["uri"], KEYS)
    return issuer.send(
        create_credential_request(
            f"{CI}/credential",
            pending.token.access_token,
            configuration_id=CredentialConfigurationId(LICENCE),
            credential_identifier=None,
            proofs=signed(pending),
            encryption=encryption,
        )
    )


def test_an_encrypted_request_gets_an_encrypted_answer(issuer: IssuerUnderTest) -> None:
    encryption = wanted(issuer)
    answer = ask(issuer, encryption)
    assert (answer.status, answer.media_type, answer.headers["cache-control"]) == (200, "application/jwt", "no-store")
    assert jwe.parse_header(answer.body.decode(), max_bytes=1 << 21)["zip"] == "DEF"
    assert isinstance(parse_credential_response(answer, encryption), CredentialResponse)


def test_the_metadata_say_what_is_so(sqlite_issuer: IssuerUnderTest) -> None:
    document = metadata(sqlite_issuer)
    assert document["credential_request_encryption"]["encryption_required"] is False
    assert document["credential_response_encryption"]["alg_values_supported"] == ["ECDH-ES"]
    keys = document["credential_request_encryption"]["jwks"]["keys"]
    assert [set(key) for key in keys] == [{"kty", "crv", "x", "y", "kid", "use", "alg"}]
    city = sqlite_issuer.client.get(f"{HOST}/.well-known/openid-credential-issuer/agencies/city-tax").json()
    assert city["credential_request_encryption"]["jwks"] != document["credential_request_encryption"]["jwks"]


@pytest.mark.clause("vci-10-clear-refused", "vci-8.3.1.2-encryption-missing")
def test_an_agency_that_demands_encryption(issuer: IssuerUnderTest) -> None:
    optional = wanted(issuer)
    demand(issuer)
    document = metadata(issuer)
    assert document["credential_request_encryption"]["encryption_required"] is True
    assert document["credential_response_encryption"]["encryption_required"] is True
    for encryption in (None, replace(optional, response_key=None)):
        answer = ask(issuer, encryption)
        assert (answer.status, answer.media_type) == (400, "application/json")
        assert set(json.loads(answer.body)) == {"error", "error_description"}
        assert json.loads(answer.body)["error"] == "invalid_encryption_parameters"
    # Our wallet does what is demanded by itself.
    pending = issuer.proofs(issuer.offer()["uri"], KEYS)
    assert isinstance(issuer.receive(pending, KEYS), IssuedCredentials)
    assert issuer.requests[-1].headers["Content-Type"] == "application/jwt"
    demand(issuer, encrypted=False)
    assert ask(issuer, None).status == 200


def test_a_new_key_does_not_break_wallets_that_know_the_old_one(sqlite_issuer: IssuerUnderTest) -> None:
    old = wanted(sqlite_issuer)
    sqlite_issuer.clock.advance(KEY_PERIOD.total_seconds())
    new = wanted(sqlite_issuer)
    assert new.request_jwk["kid"] != old.request_jwk["kid"]
    assert ask(sqlite_issuer, old).status == 200
    assert ask(sqlite_issuer, new).status == 200
    sqlite_issuer.clock.advance(KEY_PERIOD.total_seconds())
    answer = ask(sqlite_issuer, old)
    assert (answer.status, json.loads(answer.body)["error"]) == (400, "invalid_encryption_parameters")


def test_keys_are_the_same_in_every_process(sqlite_issuer: IssuerUnderTest) -> None:
    second = build_issuer(sqlite_issuer.issuer.settings, clock=sqlite_issuer.clock)
    with TestClient(create_app(second), base_url=HOST) as client:
        other = client.get(f"{HOST}/.well-known/openid-credential-issuer/agencies/police").json()
    assert other == metadata(sqlite_issuer)
    second.database.close()


@pytest.mark.clause("vci-8.3.1.2-json", "vci-8.3.1.2-members")
def test_errors_are_never_encrypted(sqlite_issuer: IssuerUnderTest) -> None:
    encryption = wanted(sqlite_issuer)
    request = create_credential_request(
        f"{CI}/credential",
        sqlite_issuer.proofs(sqlite_issuer.offer()["uri"], KEYS).token.access_token,
        configuration_id=CredentialConfigurationId(LICENCE),
        credential_identifier=None,
        proofs=["a.b.c"],
        encryption=encryption,
    )
    answer = sqlite_issuer.send(request)
    assert (answer.status, answer.media_type) == (400, "application/json")
    assert json.loads(answer.body)["error"] == "invalid_proof"


def test_our_wallet_stops_where_it_cannot_meet_a_demand(sqlite_issuer: IssuerUnderTest) -> None:
    demand(sqlite_issuer)
    uri = sqlite_issuer.offer()["uri"]

    def without_keys(request: Any) -> Any:
        answer = sqlite_issuer.send(request)
        if "openid-credential-issuer" not in request.url:
            return answer
        document = json.loads(answer.body)
        del document["credential_request_encryption"]
        return replace(answer, body=json.dumps(document).encode())

    with pytest.raises(MalformedError, match="demands"):
        run_flow(resolve_offer(uri), without_keys)
