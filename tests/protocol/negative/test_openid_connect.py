"""An outside OpenID provider that breaks one rule: nobody is logged in. A test is one difference to an honest one."""

import json
import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import jwt
import pytest

from tests.simulators import run_flow
from tests.simulators.openid_provider import (
    CLIENT_ID,
    ISSUER,
    SECRET,
    SimulatedProvider,
    ec_jwk,
    rsa_jwk,
    rsa_key,
)
from tests.support.presentations import NOW
from wallet_core.errors import (
    AccessDenied,
    Expired,
    InvalidSignature,
    MalformedError,
    PeerRefusal,
    VerificationError,
    WalletError,
)
from wallet_core.http import Flow
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.protocols.oauth2.openid_connect import (
    IdentityClaims,
    OpenIdClient,
    create_authentication_request,
    parse_authentication_response,
    parse_provider_keys,
    parse_provider_metadata,
    redeem_code,
    resolve_provider,
)

CLIENT = OpenIdClient(CLIENT_ID, "https://issuer.example/agencies/tax/login/openid/callback", secret=SECRET)
T0 = int(NOW.timestamp())


def log_in(
    provider: SimulatedProvider, client: OpenIdClient = CLIENT, *, change_back: Callable[[str], str] = lambda url: url
) -> IdentityClaims:
    """The whole login."""

    def flow() -> Flow[IdentityClaims]:
        found = yield from resolve_provider(ISSUER)
        request = create_authentication_request(found, client, random=secrets.token_bytes)
        back = change_back(provider.log_in(request.url))
        parameters = dict(parse_qsl(urlsplit(back).query))
        again = yield from resolve_provider(ISSUER)
        code = parse_authentication_response(parameters, state=request.state, provider=again)
        return (
            yield from redeem_code(
                again,
                client,
                code,
                code_verifier=request.code_verifier,
                nonce=request.nonce,
                now=NOW,
                random=secrets.token_bytes,
            )
        )

    return run_flow(flow(), provider)


def refused(
    kind: type[WalletError],
    provider: SimulatedProvider,
    step: int | None = None,
    clause: str | None = None,
    **options: Any,
) -> None:
    """The login fails at this step, and by this clause if one is named: PyJWT would notice some of it as well."""
    with pytest.raises(kind) as caught:
        log_in(provider, **options)
    if step is not None:
        assert getattr(caught.value, "step", None) == step
    if clause is not None:
        assert caught.value.clause == clause


# --- an honest provider -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "provider",
    [
        SimulatedProvider(),
        SimulatedProvider(algorithm="ES256"),
        SimulatedProvider(algorithm="PS256", keys={"keys": [rsa_jwk(alg="PS256")]}),
        SimulatedProvider(keys={"keys": [rsa_jwk(alg="RS256"), {"kty": "oct", "k": "AAAA", "use": "enc"}]}),
        SimulatedProvider(keys={"keys": [{**rsa_jwk(), "kid": "r1"}]}, header={"kid": None}),
        SimulatedProvider(claims={"aud": [CLIENT_ID], "azp": CLIENT_ID, "nbf": T0}),
        SimulatedProvider(metadata={"token_endpoint_auth_methods_supported": ["client_secret_post"]}),
        SimulatedProvider(metadata={"authorization_response_iss_parameter_supported": False}, answer={"iss": None}),
        SimulatedProvider(metadata={"claims_parameter_supported": False}),
        SimulatedProvider(metadata={"code_challenge_methods_supported": None}),
        SimulatedProvider(userinfo={}),
    ],
    # By what is unusual about it; keys drawn at random are in no name.
    ids=lambda provider: "-".join(
        name for name, value in vars(provider).items() if value != getattr(SimulatedProvider(), name)
    ),
)
def test_an_honest_provider_says_who_it_is(provider: SimulatedProvider) -> None:
    assert log_in(provider) == IdentityClaims("subject-1", "한지우", "1993-05-14")


def test_the_request_asks_for_the_least_and_is_fresh() -> None:
    first, second = SimulatedProvider(), SimulatedProvider()
    log_in(first)
    log_in(second)
    assert json.loads(first.asked["claims"]) == {
        "id_token": {"name": {"essential": True}, "birthdate": {"essential": True}}
    }
    assert (first.asked["scope"], first.asked["response_type"]) == ("openid profile", "code")
    for name in ("state", "nonce", "code_challenge"):
        assert first.asked[name] != second.asked[name]
        assert len(first.asked[name]) >= 32


def test_private_key_jwt_is_for_the_provider_and_fresh() -> None:
    signer, provider = SoftwareSigner.generate(), SimulatedProvider()
    log_in(provider, replace(CLIENT, secret=None, signer=signer, key_id="login"))
    claims = jwt.decode(
        provider.assertion,
        signer.private_key.public_key(),
        algorithms=["ES256"],
        audience=ISSUER,
        options={"verify_exp": False, "verify_iat": False},
    )
    assert claims["iss"] == claims["sub"] == CLIENT_ID
    assert claims["exp"] - claims["iat"] == 60
    assert len(claims["jti"]) == 32
    assert jwt.get_unverified_header(provider.assertion)["kid"] == "login"


# --- metadata ---------------------------------------------------------------------------------------------------------


@pytest.mark.clause("oidc-4.3-issuer")
@pytest.mark.parametrize("issuer", ["https://other.example", f"{ISSUER}/", None])
def test_metadata_of_another_provider(issuer: Any) -> None:
    refused(MalformedError, SimulatedProvider(metadata={"issuer": issuer}))


@pytest.mark.clause("oidc-7636.4.2-method")
def test_a_provider_without_s256() -> None:
    refused(MalformedError, SimulatedProvider(metadata={"code_challenge_methods_supported": ["plain"]}))


@pytest.mark.parametrize("member", ["authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint"])
def test_an_endpoint_that_is_not_https(member: str) -> None:
    with pytest.raises(MalformedError):
        parse_provider_metadata(
            SimulatedProvider(metadata={member: "http://login.example/x"}).document(), issuer=ISSUER
        )


# --- the answer -------------------------------------------------------------------------------------------------------


@pytest.mark.clause("oidc-10.12-state")
@pytest.mark.parametrize("state", ["another", None, "에"])
def test_an_answer_to_another_login(state: str | None) -> None:
    refused(VerificationError, SimulatedProvider(answer={"state": state}), 1)


@pytest.mark.clause("oidc-9207.2.4-iss")
@pytest.mark.parametrize("issuer", ["https://other.example", None])
def test_an_answer_of_another_provider(issuer: str | None) -> None:
    refused(VerificationError, SimulatedProvider(answer={"iss": issuer}), 2)


@pytest.mark.clause("oidc-9207.2.4-iss")
def test_an_unpromised_iss_counts_too() -> None:
    metadata = {"authorization_response_iss_parameter_supported": False}
    refused(VerificationError, SimulatedProvider(metadata=metadata, answer={"iss": "https://other.example"}), 2)


def test_the_person_said_no() -> None:
    refused(AccessDenied, SimulatedProvider(answer={"code": None, "error": "access_denied"}))


@pytest.mark.clause("oidc-3.1.2.5-code")
@pytest.mark.parametrize("code", [None, "x" * 3000])
def test_an_answer_without_code(code: str | None) -> None:
    refused(MalformedError, SimulatedProvider(answer={"code": code}))


def test_a_code_is_redeemed_once() -> None:
    refused(PeerRefusal, SimulatedProvider(redeemed=1))


@pytest.mark.clause("oidc-3.1.3.3-id-token")
def test_an_answer_without_id_token() -> None:
    refused(MalformedError, SimulatedProvider(token_response={"access_token": "access-1", "token_type": "Bearer"}))


# --- keys and signature -----------------------------------------------------------------------------------------------


@pytest.mark.clause("oidc-7517.5-keys")
@pytest.mark.parametrize("keys", [{}, {"keys": "none"}, {"keys": [rsa_jwk()] * 65}])
def test_keys_that_are_no_set_of_keys(keys: Any) -> None:
    refused(MalformedError, SimulatedProvider(keys=keys))


@pytest.mark.clause("oidc-10.1-kid")
@pytest.mark.parametrize(
    "provider",
    [
        SimulatedProvider(header={"kid": "gone"}),
        SimulatedProvider(keys={"keys": []}),
        SimulatedProvider(keys={"keys": [rsa_jwk(), rsa_jwk()]}),
        SimulatedProvider(keys={"keys": [rsa_jwk(use="enc")]}),
    ],
    ids=["unknown", "none", "twice", "for encryption"],
)
def test_a_token_under_no_key_of_the_provider(provider: SimulatedProvider) -> None:
    refused(VerificationError, provider, 1)


@pytest.mark.clause("oidc-8725.3.1-alg")
@pytest.mark.parametrize(
    "provider",
    [
        # The token chose another algorithm of the same key.
        SimulatedProvider(algorithm="PS256"),
        SimulatedProvider(algorithm="RS512"),
        # A key that names one outside of the list.
        SimulatedProvider(algorithm="RS512", keys={"keys": [rsa_jwk(alg="RS512")]}),
        # A MAC under a public key, the classic one.
        SimulatedProvider(algorithm="HS256", signing_key=b"x" * 32, header={"kid": "r1"}),
        SimulatedProvider(keys={"keys": [{"kty": "oct", "kid": "r1", "k": "AAAA"}]}),
        SimulatedProvider(keys={"keys": [ec_jwk(kid="r1", alg="RS256")]}),
    ],
    ids=["PS256", "RS512", "key RS512", "HS256", "oct", "EC as RS256"],
)
def test_a_token_that_chooses_its_algorithm(provider: SimulatedProvider) -> None:
    refused(VerificationError, provider, 2, "RFC 8725 3.1")


@pytest.mark.clause("oidc-8725.3.1-alg")
def test_a_token_without_signature() -> None:
    def unsigned(token: str) -> str:
        return jwt.encode(jwt.decode(token, options={"verify_signature": False}), None, "none", {"kid": "r1"})  # type: ignore[arg-type]

    refused(VerificationError, SimulatedProvider(change_token=unsigned), 2, "RFC 8725 3.1")


@pytest.mark.clause("oidc-7515.4.1.11-crit")
def test_a_token_with_a_critical_extension() -> None:
    refused(VerificationError, SimulatedProvider(header={"crit": ["b64"], "b64": True}), 2, "RFC 7515 4.1.11")


@pytest.mark.clause("oidc-7518.3.3-size")
@pytest.mark.filterwarnings("ignore")
def test_a_key_that_is_too_short() -> None:
    refused(VerificationError, SimulatedProvider(signing_key=rsa_key(1024), keys={"keys": [rsa_jwk(1024)]}), 2)


@pytest.mark.clause("oidc-3.1.3.7-signature")
@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_a_token_that_was_changed(algorithm: str) -> None:
    def changed(token: str) -> str:
        head, payload, signature = token.split(".")
        return f"{head}.{payload[:-8]}AAAA{payload[-4:]}.{signature}"

    refused(InvalidSignature, SimulatedProvider(algorithm=algorithm, change_token=changed), 2)


@pytest.mark.clause("oidc-3.1.3.7-signature")
def test_a_token_of_another_key() -> None:
    keys = {"keys": [{**rsa_jwk(), "n": rsa_jwk(3072)["n"]}]}
    refused(InvalidSignature, SimulatedProvider(keys=keys), 2)


@pytest.mark.parametrize(
    "jwk", [{"n": "AA"}, {"n": 5}, {"e": "AQ"}, {"kty": "EC", "crv": "P-256"}, {"kty": "OKP", "crv": "Ed25519"}]
)
def test_keys_that_are_none(jwk: dict[str, Any]) -> None:
    refused(VerificationError, SimulatedProvider(keys={"keys": [{**rsa_jwk(), **jwk}]}), 2)


# --- claims -----------------------------------------------------------------------------------------------------------


@pytest.mark.clause("oidc-3.1.3.7-iss")
@pytest.mark.parametrize("issuer", ["https://other.example", f"{ISSUER}/", None])
def test_a_token_of_another_provider(issuer: Any) -> None:
    refused(VerificationError, SimulatedProvider(claims={"iss": issuer}, without=() if issuer else ("iss",)), 3)


@pytest.mark.clause("oidc-3.1.3.7-aud")
@pytest.mark.parametrize("audience", ["other", ["other"], [CLIENT_ID, "other"], []])
def test_a_token_for_another_client(audience: Any) -> None:
    refused(VerificationError, SimulatedProvider(claims={"aud": audience}), 4)


@pytest.mark.clause("oidc-3.1.3.7-azp")
def test_a_token_for_another_party() -> None:
    refused(VerificationError, SimulatedProvider(claims={"azp": "other"}), 4)


@pytest.mark.clause("oidc-3.1.3.7-exp")
@pytest.mark.parametrize("claims", [{"exp": T0 - 61}, {"exp": T0 - 60}])
def test_a_token_that_has_expired(claims: dict[str, Any]) -> None:
    refused(Expired, SimulatedProvider(claims=claims), 5)


@pytest.mark.parametrize("claims", [{"exp": "soon"}, {"exp": True}])
def test_a_token_whose_end_is_no_time(claims: dict[str, Any]) -> None:
    # PyJWT writes what it is given; the payload is signed.
    refused(VerificationError, SimulatedProvider(claims=claims), 5)


@pytest.mark.parametrize("member", ["exp", "iat"])
def test_a_token_without_times(member: str) -> None:
    refused(VerificationError, SimulatedProvider(without=(member,)), 5)


@pytest.mark.clause("oidc-3.1.3.7-iat")
@pytest.mark.parametrize("issued", [T0 - 601, T0 + 61])
def test_a_token_that_was_not_made_just_now(issued: int) -> None:
    refused(VerificationError, SimulatedProvider(claims={"iat": issued, "exp": T0 + 900}), 5)


@pytest.mark.clause("oidc-7519.4.1.5-nbf")
def test_a_token_that_is_not_valid_yet() -> None:
    refused(VerificationError, SimulatedProvider(claims={"nbf": T0 + 61}), 5)


@pytest.mark.clause("oidc-3.1.3.7-nonce")
@pytest.mark.parametrize("claims", [{"nonce": "another"}, {"nonce": None}, {"nonce": ["x"]}])
def test_a_token_of_another_login(claims: dict[str, Any]) -> None:
    refused(VerificationError, SimulatedProvider(claims=claims), 6)


@pytest.mark.clause("oidc-2-sub")
@pytest.mark.parametrize("subject", ["", "x" * 600])
def test_a_token_that_names_nobody(subject: str) -> None:
    refused(VerificationError, SimulatedProvider(claims={"sub": subject}), 7)


@pytest.mark.clause("oidc-5.3.2-sub")
def test_userinfo_of_another_person() -> None:
    refused(VerificationError, SimulatedProvider(userinfo={"sub": "subject-2"}), 7)


def test_userinfo_that_refuses_leaves_claims_missing() -> None:
    claims = log_in(SimulatedProvider(userinfo={}, down="/userinfo"))
    assert (claims.complete, claims.name) == (False, None)


def test_missing_claims_are_missing() -> None:
    assert log_in(SimulatedProvider(birthdate=None)) == IdentityClaims("subject-1", "한지우", None)


def test_keys_for_encryption_are_passed_over() -> None:
    assert parse_provider_keys({"keys": [rsa_jwk(use="enc"), 5, rsa_jwk()]}) == (rsa_jwk(),)
