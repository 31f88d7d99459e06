"""Client attestation, DPoP and key attestation over the whole app, at an agency that keeps to HAIP and an open one."""

from collections.abc import Iterator
from copy import copy
from datetime import timedelta
from pathlib import Path

import pytest

from issuer.issuance.use_cases.clients import create_attestation_challenge, create_nonce_for_dpop
from tests.support.attested import POLICE, TAX, Instance, start_haip_issuer
from tests.support.issuing import IssuerUnderTest
from tests.support.simultaneous import at_once
from tests.support.wallet_providers import Provider
from wallet_core.formats.sd_jwt.vc import validate_sd_jwt_vc
from wallet_core.formats.sd_jwt.verifier import parse_sd_jwt, verify_sd_jwt
from wallet_core.keys.algorithms import public_key
from wallet_core.keys.jwk import thumbprint
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.protocols.oauth2.client_attestation import CHALLENGE_LIFETIME
from wallet_core.protocols.oauth2.dpop import NONCE_LIFETIME
from wallet_core.trust.x509 import load_certificate

KEYS = [SoftwareSigner.generate() for _ in range(4)]
PAR, TOKEN, CREDENTIAL = "/oauth/par", "/oauth/token", "/credential"
ATTESTATION, POP = "OAuth-Client-Attestation", "OAuth-Client-Attestation-PoP"


@pytest.fixture
def haip(tmp_path: Path, database_url: str) -> Iterator[IssuerUnderTest]:
    under_test = start_haip_issuer(tmp_path, database_url)
    yield under_test
    under_test.client.close()
    under_test.issuer.database.close()


@pytest.fixture
def sqlite_haip(tmp_path: Path) -> Iterator[IssuerUnderTest]:
    under_test = start_haip_issuer(tmp_path, f"sqlite:///{tmp_path}/issuer.db")
    yield under_test
    under_test.client.close()
    under_test.issuer.database.close()


def refusal(answer) -> tuple[int, str]:
    """Status and error; every refusal brings what the next try needs, each header once."""
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert len(answer.headers.get_list("dpop-nonce")) == 1
    assert set(answer.json()) == {"error", "error_description"}
    return answer.status_code, answer.json()["error"]


def challenge_of(answer) -> str:
    (value,) = answer.headers.get_list("oauth-client-attestation-challenge")
    assert 16 <= len(value) <= 512
    return value


def scheme_of(answer) -> str:
    (value,) = answer.headers.get_list("www-authenticate")
    return value


def test_a_licence_from_the_pushed_request_to_the_notification(haip: IssuerUnderTest) -> None:
    wallet = Instance(haip).learn()
    pushed = wallet.push()
    assert pushed.status_code == 201, pushed.text
    assert len(pushed.headers.get_list("dpop-nonce")) == 1
    wallet.challenge = challenge_of(pushed)
    token = wallet.token()
    answer = wallet.authorized(CREDENTIAL, token, wallet.licence_request(*KEYS))
    assert answer.status_code == 200, answer.text
    credentials = [each["credential"] for each in answer.json()["credentials"]]
    assert len(credentials) == len(KEYS)
    bound = set()
    for text in credentials:
        parsed = parse_sd_jwt(text)
        key = public_key(load_certificate(parsed.x5c()[0]).public_key())
        bound.add(
            thumbprint(validate_sd_jwt_vc(verify_sd_jwt(parsed, issuer_key=key, now=haip.clock.now())).holder_key)
        )
    assert bound == {thumbprint(key.public_key) for key in KEYS}
    notification = {"notification_id": answer.json()["notification_id"], "event": "credential_accepted"}
    for _ in range(2):
        assert wallet.authorized("/notification", token, notification).status_code == 204


@pytest.mark.clause("dpop-9449.8.2-nonce-header", "abca-07.8.2-challenge-header")
def test_every_answer_brings_a_nonce_and_at_the_authorization_server_a_challenge(sqlite_haip: IssuerUnderTest) -> None:
    wallet = Instance(sqlite_haip)
    for path in (PAR, TOKEN, "/oauth/challenge", "/nonce", CREDENTIAL, "/notification"):
        answer = sqlite_haip.client.post(f"{POLICE}{path}")
        assert len(answer.headers.get_list("dpop-nonce")) == 1, path
        assert answer.headers["cache-control"] == "no-store"
        assert len(answer.headers.get_list("oauth-client-attestation-challenge")) == (path in {PAR, TOKEN}), path
        assert "DPoP-Nonce" in answer.headers["access-control-expose-headers"]
    first = wallet.learn().nonce
    sqlite_haip.clock.advance(1)
    assert wallet.learn().nonce != first
    gone = sqlite_haip.client.get(f"{POLICE}/oauth/challenge")
    assert gone.status_code == 405


# --- client attestation -----------------------------------------------------------------------------------------------


def test_a_challenge_is_asked_for_and_may_be_used_again(sqlite_haip: IssuerUnderTest) -> None:
    wallet = Instance(sqlite_haip)
    first = wallet.push()
    assert refusal(first) == (400, "use_attestation_challenge")
    wallet.challenge, wallet.nonce = challenge_of(first), first.headers["dpop-nonce"]
    # M13: the same one for the pushed request and the token; it is good at every agency, and bound to no client.
    assert wallet.push().status_code == 201
    assert wallet.token()
    assert Instance(sqlite_haip, challenge=wallet.challenge, nonce=wallet.nonce).push().status_code == 201
    sqlite_haip.clock.advance(CHALLENGE_LIFETIME.total_seconds())
    late = wallet.push()
    assert refusal(late) == (400, "use_attestation_challenge")
    assert challenge_of(late) != wallet.challenge


@pytest.mark.clause("haip-4.4-client", "abca-07.6-one")
def test_who_does_not_prove_itself_is_not_served_at_a_haip_agency(sqlite_haip: IssuerUnderTest) -> None:
    wallet = Instance(sqlite_haip).learn()
    url = f"{POLICE}{PAR}"
    assert refusal(wallet.push({})) == (401, "invalid_client")
    assert refusal(wallet.push({"DPoP": wallet.dpop(url)})) == (401, "invalid_client")
    assert refusal(wallet.push({**wallet.proving(url), POP: ""})) == (401, "invalid_client_attestation")
    only = {ATTESTATION: wallet.attestation or ""}
    assert refusal(wallet.push(only)) == (401, "invalid_client")
    assert refusal(wallet.push({POP: wallet.pop()})) == (401, "invalid_client")
    twice = [*wallet.proving(url).items(), (POP, wallet.pop())]
    assert refusal(wallet.push(twice)) == (401, "invalid_client")
    assert refusal(wallet.post(TOKEN, {}, data=wallet.token_form())) == (401, "invalid_client")
    joined = f"{wallet.attestation}~{wallet.pop()}"
    assert refusal(wallet.push({ATTESTATION: joined, POP: wallet.pop()})) == (401, "invalid_client_attestation")
    # A pushed request needs no DPoP proof: the key may be named later.
    without_dpop = {name: value for name, value in wallet.proving(url).items() if name != "DPoP"}
    assert wallet.push(without_dpop).status_code == 201


def test_strangers_and_wrong_keys(sqlite_haip: IssuerUnderTest) -> None:
    wallet, other = Instance(sqlite_haip).learn(), SoftwareSigner.generate()
    stranger = Provider(sqlite_haip.clock.now())
    bad = {
        "an unknown provider": {ATTESTATION: stranger.attest_instance(wallet.key)},
        "another instance's proof": {POP: wallet.pop(signer=other)},
        "an attestation of another key": {ATTESTATION: wallet.provider.attest_instance(other)},
        "an old proof": {POP: wallet.pop(issued_at=sqlite_haip.clock.now() - timedelta(minutes=6))},
    }
    for name, changes in bad.items():
        answer = wallet.push({**wallet.proving(f"{POLICE}{PAR}"), **changes})
        assert refusal(answer) == (401, "invalid_client_attestation"), name
    expired = wallet.provider.attest_instance(wallet.key, expires_at=sqlite_haip.clock.now())
    answer = wallet.push({**wallet.proving(f"{POLICE}{PAR}"), ATTESTATION: expired})
    assert refusal(answer) == (400, "use_fresh_attestation")
    answer = wallet.push(client_id="https://other.example")
    assert refusal(answer) == (401, "invalid_client")


@pytest.mark.clause("haip-4.4-unknown-provider")
@pytest.mark.parametrize("client_id", [None, "https://stranger.example/client"])
def test_where_public_clients_are_served_a_wallet_of_an_unknown_provider_is_one(
    sqlite_haip: IssuerUnderTest, client_id: str | None
) -> None:
    stranger = Provider(sqlite_haip.clock.now(), client_id="https://stranger.example/client")
    wallet = Instance(sqlite_haip, agency=TAX, provider=stranger).learn()
    named = {} if client_id is None else {"client_id": client_id}
    form = {**wallet.token_form(configuration="local-tax-payment-sd-jwt"), **named}
    answer = wallet.post(TOKEN, data=form)
    assert answer.status_code == 200, answer.text
    # It is known by the name it gives itself: the proof says the same.
    body = {
        "credential_configuration_id": "local-tax-payment-sd-jwt",
        "proofs": {"jwt": [wallet.key_proof(KEYS[0], wallet.c_nonce())]},
    }
    assert wallet.authorized(CREDENTIAL, answer.json()["access_token"], body).status_code == 200
    # An agency that keeps to the profile says what is wrong: nobody here knows the provider.
    answer = Instance(sqlite_haip, provider=stranger).learn().push()
    assert refusal(answer) == (401, "invalid_client_attestation")
    # It gets nowhere that the provider's word would be needed for: neither to a registered redirect URI,
    assert refusal(wallet.push(client_id="https://stranger.example/client")) == (401, "invalid_client")
    # nor, with a wrong signature under a root that is trusted, to any answer at all.
    known = Instance(sqlite_haip, agency=TAX).learn()
    forged = {**known.proving(f"{TAX}{TOKEN}"), ATTESTATION: known.provider.attest_instance(SoftwareSigner.generate())}
    answer = known.post(TOKEN, forged, data=known.token_form(configuration="local-tax-payment-sd-jwt"))
    assert refusal(answer) == (401, "invalid_client_attestation")


@pytest.mark.clause("abca-M16-unlisted")
def test_an_attested_wallet_that_nobody_registered(sqlite_haip: IssuerUnderTest) -> None:
    # M16: the provider is trusted, the product is not on the list.
    wallet = Instance(sqlite_haip).learn()
    other = wallet.provider.attest_instance(wallet.key, client_id="https://other.example")
    pop = wallet.pop()
    headers = {ATTESTATION: other, POP: pop}
    answer = wallet.push(headers, client_id="https://other.example")
    assert refusal(answer) == (401, "invalid_client"), "iss of the proof is the other wallet"
    provider = copy(wallet.provider)
    provider.client_id = "https://other.example"
    named = Instance(sqlite_haip, provider=provider, challenge=wallet.challenge, nonce=wallet.nonce)
    assert refusal(named.push(client_id="https://other.example")) == (400, "invalid_request")
    assert refusal(named.post(TOKEN, data=named.token_form())) == (400, "invalid_request")


def test_redirect_uris_are_those_of_the_trust_list(sqlite_haip: IssuerUnderTest) -> None:
    wallet = Instance(sqlite_haip).learn()
    for uri in (
        "https://evil.example/callback",
        "https://wallet.example/callback/",
        "https://wallet.example/callback?a=b",
    ):
        assert refusal(wallet.push(redirect_uri=uri)) == (400, "invalid_request")


@pytest.mark.clause("abca-07.6-aud")
def test_a_proof_for_one_agency_is_none_for_another(sqlite_haip: IssuerUnderTest) -> None:
    wallet = Instance(sqlite_haip).learn()
    headers = wallet.proving(f"{TAX}{PAR}")
    answer = sqlite_haip.client.post(f"{TAX}{PAR}", headers=headers, data={"client_id": wallet.provider.client_id})
    assert refusal(answer) == (401, "invalid_client")


# --- DPoP -------------------------------------------------------------------------------------------------------------


@pytest.mark.clause("dpop-HAIP4.3-required")
def test_tokens_of_a_haip_agency_are_bound(sqlite_haip: IssuerUnderTest) -> None:
    wallet = Instance(sqlite_haip).learn()
    headers = {name: value for name, value in wallet.proving(f"{POLICE}{TOKEN}").items() if name != "DPoP"}
    assert refusal(wallet.post(TOKEN, headers, data=wallet.token_form())) == (400, "invalid_dpop_proof")


def test_the_token_endpoint_asks_for_a_nonce(sqlite_haip: IssuerUnderTest) -> None:
    wallet = Instance(sqlite_haip).learn()
    form, wallet.nonce = wallet.token_form(), None
    answer = wallet.post(TOKEN, data=form)
    assert refusal(answer) == (400, "use_dpop_nonce")
    assert "www-authenticate" not in answer.headers
    wallet.nonce = answer.headers["dpop-nonce"]
    assert wallet.post(TOKEN, data=form).status_code == 200
    sqlite_haip.clock.advance(NONCE_LIFETIME.total_seconds())
    assert refusal(wallet.post(TOKEN, data=wallet.token_form())) == (400, "use_dpop_nonce")


def test_a_bad_dpop_proof_at_the_authorization_server(sqlite_haip: IssuerUnderTest) -> None:
    wallet = Instance(sqlite_haip).learn()
    url, form = f"{POLICE}{TOKEN}", wallet.token_form()
    for proof in ("x", wallet.dpop(f"{POLICE}{PAR}"), wallet.dpop(url, method="GET"), wallet.dpop(f"{TAX}{TOKEN}")):
        assert refusal(wallet.post(TOKEN, {**wallet.proving(url), "DPoP": proof}, data=form)) == (
            400,
            "invalid_dpop_proof",
        )
    two = [*wallet.proving(url).items(), ("DPoP", wallet.dpop(url))]
    assert refusal(wallet.post(TOKEN, two, data=form)) == (400, "invalid_dpop_proof")
    assert wallet.post(TOKEN, data=form).status_code == 200, "what failed spent neither the code nor a good proof"


@pytest.mark.clause("oauth-9449.7.2-bearer", "dpop-9449.7.1-scheme", "dpop-9449.7.1-key")
def test_a_bound_token_is_good_with_its_key_only(sqlite_haip: IssuerUnderTest) -> None:
    wallet = Instance(sqlite_haip).learn()
    token, body, url = wallet.token(), wallet.licence_request(KEYS[0]), f"{POLICE}{CREDENTIAL}"
    bearer = wallet.authorized(CREDENTIAL, token, body, {"Authorization": f"Bearer {token}"})
    assert refusal(bearer) == (401, "invalid_token")
    thief = SoftwareSigner.generate()
    stolen = {"Authorization": f"DPoP {token}", "DPoP": wallet.dpop(url, token, signer=thief)}
    answer = wallet.authorized(CREDENTIAL, token, body, stolen)
    assert refusal(answer) == (401, "invalid_token")
    assert scheme_of(answer).startswith('DPoP error="invalid_token"')
    unknown = wallet.authorized(CREDENTIAL, "unknown", body)
    assert refusal(unknown) == (401, "invalid_token")
    assert scheme_of(unknown).startswith("DPoP ")
    nothing = wallet.authorized(CREDENTIAL, token, body, {})
    assert (nothing.status_code, scheme_of(nothing)) == (401, 'DPoP algs="ES256"')
    lower = {"Authorization": f"dpop {token}", "DPoP": wallet.dpop(url, token)}
    assert wallet.authorized(CREDENTIAL, token, body, lower).status_code == 200


def test_bad_dpop_proofs_at_the_resource_server(sqlite_haip: IssuerUnderTest) -> None:
    wallet = Instance(sqlite_haip).learn()
    token, body, url = wallet.token(), wallet.licence_request(KEYS[0]), f"{POLICE}{CREDENTIAL}"
    authorization = {"Authorization": f"DPoP {token}"}
    bad = {
        "no proof": authorization,
        "no ath": {**authorization, "DPoP": wallet.dpop(url)},
        "ath of another token": {**authorization, "DPoP": wallet.dpop(url, "other")},
        "another URL": {**authorization, "DPoP": wallet.dpop(f"{TAX}{CREDENTIAL}", token)},
    }
    for name, headers in bad.items():
        answer = wallet.authorized(CREDENTIAL, token, body, headers)
        assert refusal(answer) == (401, "invalid_dpop_proof"), name
        assert scheme_of(answer).startswith('DPoP error="invalid_dpop_proof"')
    wallet.nonce = None
    answer = wallet.authorized(CREDENTIAL, token, body)
    assert refusal(answer) == (401, "use_dpop_nonce")
    assert scheme_of(answer).startswith('DPoP error="use_dpop_nonce"')
    assert scheme_of(answer).endswith('algs="ES256"')
    # M10: what failed left the c_nonce unspent. M3: a nonce of any endpoint of any agency is good.
    wallet.nonce = sqlite_haip.client.post(f"{TAX}/nonce").headers["dpop-nonce"]
    assert wallet.authorized(CREDENTIAL, token, body).status_code == 200


# --- replay -----------------------------------------------------------------------------------------------------------


@pytest.mark.clause("dpop-9449.11.1-replay", "abca-07.12.1-replay", "vci-11.1-idempotent")
def test_a_proof_is_taken_once(haip: IssuerUnderTest) -> None:
    wallet = Instance(haip).learn()
    headers = wallet.proving(f"{POLICE}{PAR}")
    assert wallet.push(headers).status_code == 201
    assert refusal(wallet.push(headers)) == (401, "invalid_client_attestation")
    assert refusal(wallet.push({**headers, POP: wallet.pop()})) == (400, "invalid_dpop_proof")
    # A counted try of a transaction code spends as well; a request that stores nothing does not.
    form = {**wallet.token_form(tx_code=True), "tx_code": "wrong"}
    headers = wallet.proving(f"{POLICE}{TOKEN}")
    assert refusal(wallet.post(TOKEN, headers, data={**form, "pre-authorized_code": "x"})) == (400, "invalid_grant")
    assert refusal(wallet.post(TOKEN, headers, data=form)) == (400, "invalid_grant")
    assert refusal(wallet.post(TOKEN, headers, data=form)) == (401, "invalid_client_attestation")
    token, url = wallet.token(), f"{POLICE}{CREDENTIAL}"
    headers = {"Authorization": f"DPoP {token}", "DPoP": wallet.dpop(url, token)}
    answer = wallet.authorized(CREDENTIAL, token, wallet.licence_request(KEYS[0]), headers)
    assert answer.status_code == 200
    again = wallet.authorized(CREDENTIAL, token, wallet.licence_request(KEYS[1]), headers)
    assert refusal(again) == (401, "invalid_dpop_proof")
    assert scheme_of(again).startswith('DPoP error="invalid_dpop_proof"')
    notification = {"notification_id": answer.json()["notification_id"], "event": "credential_accepted"}
    assert wallet.authorized("/notification", token, notification).status_code == 204
    url = f"{POLICE}/notification"
    headers = {"Authorization": f"DPoP {token}", "DPoP": wallet.dpop(url, token)}
    statuses = [wallet.authorized("/notification", token, notification, headers).status_code for _ in range(2)]
    assert statuses == [204, 401], "the repeated notification changes nothing, and its proof is used up all the same"


def test_of_simultaneous_requests_with_one_proof_exactly_one_wins(haip: IssuerUnderTest) -> None:
    wallet = Instance(haip).learn()
    headers = wallet.proving(f"{POLICE}{PAR}")
    answers = at_once(6, lambda: wallet.push(headers))
    assert sorted(answer.status_code for answer in answers) == [201] + [401] * 5
    token, url = wallet.token(), f"{POLICE}{CREDENTIAL}"
    headers = {"Authorization": f"DPoP {token}", "DPoP": wallet.dpop(url, token)}
    bodies = iter([wallet.licence_request(SoftwareSigner.generate()) for _ in range(6)])
    answers = at_once(6, lambda: wallet.authorized(CREDENTIAL, token, next(bodies), headers))
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 5


# --- key attestation --------------------------------------------------------------------------------------------------


def credential_body(**proofs) -> dict:
    return {"credential_configuration_id": "drivers-licence-sd-jwt", "proofs": proofs}


def test_keys_are_attested_where_the_type_asks_for_it(haip: IssuerUnderTest) -> None:
    wallet = Instance(haip).learn()
    token, nonce = wallet.token(), wallet.c_nonce()
    attestation = wallet.provider.attest_keys(KEYS[0], KEYS[1], nonce=nonce)
    weak = wallet.provider.attest_keys(KEYS[0], nonce=nonce, key_storage=())
    strange = Provider(haip.clock.now()).attest_keys(KEYS[0], nonce=nonce)
    bad = {
        "none": credential_body(jwt=[wallet.key_proof(KEYS[0], nonce)]),
        "another key": credential_body(jwt=[wallet.key_proof(KEYS[2], nonce, attestation)]),
        "too weak": credential_body(jwt=[wallet.key_proof(KEYS[0], nonce, weak)]),
        "a stranger's": credential_body(jwt=[wallet.key_proof(KEYS[0], nonce, strange)]),
        "a stranger's alone": credential_body(attestation=[strange]),
        "two": credential_body(attestation=[attestation, attestation]),
    }
    for name, body in bad.items():
        assert refusal(wallet.authorized(CREDENTIAL, token, body)) == (400, "invalid_proof"), name
    other = credential_body(jwt=[wallet.key_proof(KEYS[0], wallet.c_nonce(), attestation)])
    assert refusal(wallet.authorized(CREDENTIAL, token, other)) == (400, "invalid_nonce")
    both = credential_body(jwt=[wallet.key_proof(KEYS[0], nonce)], attestation=[attestation])
    assert refusal(wallet.authorized(CREDENTIAL, token, both)) == (400, "invalid_credential_request")
    # None of these spent the nonce.
    answer = wallet.authorized(CREDENTIAL, token, credential_body(attestation=[attestation]))
    assert len(answer.json()["credentials"]) == 2
    again = wallet.authorized(CREDENTIAL, token, credential_body(attestation=[attestation]))
    assert refusal(again) == (400, "invalid_nonce")


def test_the_proof_may_name_the_client(sqlite_haip: IssuerUnderTest) -> None:
    wallet = Instance(sqlite_haip).learn()
    token, nonce = wallet.token(), wallet.c_nonce()
    attestation = wallet.provider.attest_keys(KEYS[0], nonce=nonce)
    other = wallet.key_proof(KEYS[0], nonce, attestation, client_id="https://other.example")
    assert refusal(wallet.authorized(CREDENTIAL, token, credential_body(jwt=[other]))) == (400, "invalid_proof")
    for client_id in (None, wallet.provider.client_id):
        nonce = wallet.c_nonce()
        attestation = wallet.provider.attest_keys(KEYS[0], nonce=nonce)
        good = wallet.key_proof(KEYS[0], nonce, attestation, client_id=client_id)
        assert wallet.authorized(CREDENTIAL, token, credential_body(jwt=[good])).status_code == 200


def test_never_more_credentials_than_the_batch(sqlite_haip: IssuerUnderTest) -> None:
    wallet = Instance(sqlite_haip).learn()
    keys = [SoftwareSigner.generate() for _ in range(12)]
    answer = wallet.authorized(CREDENTIAL, wallet.token(), wallet.licence_request(*keys))
    assert len(answer.json()["credentials"]) == 10


# --- metadata, and the agency that does not keep to HAIP --------------------------------------------------------------


def metadata(issuer: IssuerUnderTest, name: str, agency: str) -> dict:
    host, _, path = agency.partition("/agencies/")
    return issuer.client.get(f"{host}/.well-known/{name}/agencies/{path}").json()


def test_the_metadata_say_what_is_asked_for(sqlite_haip: IssuerUnderTest) -> None:
    server = metadata(sqlite_haip, "oauth-authorization-server", POLICE)
    assert server["token_endpoint_auth_methods_supported"] == ["attest_jwt_client_auth"]
    assert server["challenge_endpoint"] == f"{POLICE}/oauth/challenge"
    assert server["dpop_signing_alg_values_supported"] == ["ES256"]
    assert "ES256" in server["client_attestation_signing_alg_values_supported"]
    assert "ES256" in server["client_attestation_pop_signing_alg_values_supported"]
    assert server["require_pushed_authorization_requests"] is True
    issuer = metadata(sqlite_haip, "openid-credential-issuer", POLICE)
    types = issuer["credential_configurations_supported"]["drivers-licence-sd-jwt"]["proof_types_supported"]
    levels = ["iso_18045_high", "iso_18045_moderate", "iso_18045_enhanced-basic", "iso_18045_basic"]
    assert set(types) == {"jwt", "attestation"}
    for each in types.values():
        assert each["key_attestations_required"] == {"key_storage": levels, "user_authentication": levels}
    open_server = metadata(sqlite_haip, "oauth-authorization-server", TAX)
    assert open_server["token_endpoint_auth_methods_supported"] == ["none", "attest_jwt_client_auth"]
    open_types = metadata(sqlite_haip, "openid-credential-issuer", TAX)["credential_configurations_supported"]
    for each in open_types.values():
        assert set(each["proof_types_supported"]) == {"jwt"}
        assert "key_attestations_required" not in each["proof_types_supported"]["jwt"]


def test_without_wallet_providers_no_attestation_is_offered(sqlite_issuer: IssuerUnderTest) -> None:
    server = metadata(sqlite_issuer, "oauth-authorization-server", TAX)
    assert server["token_endpoint_auth_methods_supported"] == ["none"]
    assert "challenge_endpoint" not in server


TAX_TYPE = "local-tax-payment-sd-jwt"


def test_an_open_agency_serves_who_proves_nothing_and_binds_who_proves_something(haip: IssuerUnderTest) -> None:
    wallet = Instance(haip, agency=TAX).learn()
    public = wallet.post(TOKEN, {}, data=wallet.token_form(configuration=TAX_TYPE))
    assert public.json()["token_type"] == "Bearer"
    bound = wallet.post(TOKEN, {"DPoP": wallet.dpop(f"{TAX}{TOKEN}")}, data=wallet.token_form(configuration=TAX_TYPE))
    assert bound.json()["token_type"] == "DPoP"
    for answer, scheme in ((public, "DPoP"), (bound, "Bearer")):
        token = answer.json()["access_token"]
        headers = {"Authorization": f"{scheme} {token}", "DPoP": wallet.dpop(f"{TAX}{CREDENTIAL}", token)}
        assert refusal(wallet.authorized(CREDENTIAL, token, {}, headers)) == (401, "invalid_token")
    nonce = wallet.c_nonce()
    body = {
        "credential_configuration_id": TAX_TYPE,
        "proofs": {"jwt": [wallet.key_proof(KEYS[0], nonce, client_id=None)]},
    }
    answer = wallet.authorized(CREDENTIAL, bound.json()["access_token"], body)
    assert answer.status_code == 200, answer.text
    attested = wallet.post(TOKEN, data=wallet.token_form(configuration=TAX_TYPE))
    assert attested.json()["token_type"] == "DPoP"


# --- whom we trust ----------------------------------------------------------------------------------------------------


def test_a_new_list_needs_no_restart_and_a_bad_one_does_no_harm(sqlite_haip: IssuerUnderTest, tmp_path: Path) -> None:
    wallet = Instance(sqlite_haip).learn()
    assert wallet.push().status_code == 201
    (tmp_path / "list.jwt").write_text("eyJ.not.a-list")
    assert wallet.push().status_code == 201
    (tmp_path / "list.jwt").unlink()
    assert wallet.push().status_code == 201
    sqlite_haip.clock.advance(25 * 3600)
    late = Instance(sqlite_haip, provider=Provider(sqlite_haip.clock.now())).learn()
    late.provider = wallet.provider
    late.attestation = wallet.provider.attest_instance(
        late.key, issued_at=sqlite_haip.clock.now(), expires_at=sqlite_haip.clock.now() + timedelta(hours=1)
    )
    assert refusal(late.push()) == (400, "invalid_request"), "the last good list is over"


def test_the_answers_of_one_second_bring_one_nonce_and_one_challenge(sqlite_haip: IssuerUnderTest) -> None:
    ports = sqlite_haip.issuer.issuance
    for create in (create_nonce_for_dpop, create_attestation_challenge):
        first = create(ports)
        assert create(ports) == first
        sqlite_haip.clock.advance(1)
        assert create(ports) != first
