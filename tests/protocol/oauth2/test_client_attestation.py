import os
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding

from tests.support.wallet_providers import CLIENT_ID, PROVIDER, REDIRECT_URI, Provider
from wallet_core.encoding import base64url, strict_json
from wallet_core.errors import (
    InvalidClient,
    InvalidClientAttestation,
    MalformedError,
    UseAttestationChallenge,
    UseFreshAttestation,
)
from wallet_core.http import HttpResponse
from wallet_core.jose import jws
from wallet_core.keys.jwk import public_jwk, thumbprint
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.protocols.oauth2.client_attestation import (
    CHALLENGE_LIFETIME,
    MAX_AHEAD,
    MAX_ATTESTATION_AGE,
    MAX_JTI_CHARACTERS,
    MAX_POP_AGE,
    create_challenge,
    create_challenge_response,
    create_client_attestation_pop,
    parse_challenge,
    parse_challenge_response,
    verify_challenge,
    verify_client_attestation,
)
from wallet_core.protocols.oauth2.dpop import create_dpop_nonce
from wallet_core.trust.anchors import AnchorPurpose, TrustAnchor, TrustAnchors
from wallet_core.trust.trust_list import Period
from wallet_core.trust.wallet_providers import WalletProviders
from wallet_core.trust.x509 import format_x5c

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
AUDIENCE = "https://issuer.example/agencies/police"
SECRET = b"c" * 32
INSTANCE, OTHER_KEY = SoftwareSigner.generate(), SoftwareSigner.generate()
OURS, STRANGER = Provider(NOW), Provider(NOW, url="https://stranger.example")
HOUR = timedelta(hours=1)


def challenge(now: datetime = NOW) -> str:
    return create_challenge(SECRET, now=now, random=os.urandom)


def seconds(at: datetime) -> int:
    return int(at.timestamp())


def without(members, name):
    return {key: value for key, value in members.items() if key != name}


def attestation_claims(**changes):
    return {
        "iss": PROVIDER,
        "sub": CLIENT_ID,
        "iat": seconds(NOW),
        "exp": seconds(NOW + HOUR),
        "cnf": {"jwk": public_jwk(INSTANCE.public_key)},
        **changes,
    }


def attestation(claims=None, *, signer: SoftwareSigner = OURS.signer, **header) -> str:
    protected = {"typ": "oauth-client-attestation+jwt", "x5c": format_x5c(OURS.chain), **header}
    return jws.sign(protected, claims or attestation_claims(), signer)


def pop_claims(**changes):
    claims = {"iss": CLIENT_ID, "aud": AUDIENCE, "jti": "j", "iat": seconds(NOW), "challenge": challenge()}
    return {**claims, **changes}


def pop(claims=None, *, signer: SoftwareSigner = INSTANCE, **header) -> str:
    return jws.sign({"typ": "oauth-client-attestation-pop+jwt", **header}, claims or pop_claims(), signer)


def verify(*attestations: str, pops=None, trust: WalletProviders | None = None, client_id=None, now: datetime = NOW):
    return verify_client_attestation(
        attestations or (attestation(),),
        (pop(),) if pops is None else pops,
        audience=AUDIENCE,
        now=now,
        trust=trust or OURS.trusted(),
        verify_challenge=lambda value: verify_challenge(value, SECRET, now=now),
        client_id=client_id,
    )


@pytest.mark.clause("abca-07.6-attester", "tl-5-fresh", "tl-5-provider", "tl-5-period")
def test_what_a_wallet_makes_a_server_accepts():
    proof = create_client_attestation_pop(
        INSTANCE, client_id=CLIENT_ID, audience=AUDIENCE, issued_at=NOW, random=os.urandom, challenge=challenge()
    )
    client = verify(OURS.attest_instance(INSTANCE), pops=[proof], client_id=CLIENT_ID)
    assert client.client_id == CLIENT_ID
    assert client.instance == thumbprint(INSTANCE.public_key)
    assert client.wallet == OURS.wallet()
    assert client.wallet.redirect_uris == (REDIRECT_URI,)
    assert client.provider.uris == (PROVIDER,)
    assert {"iss", "aud", "jti", "iat", "exp", "challenge"} == set(jws.parse(proof).claims())


BAD_ATTESTATIONS = {
    "another type": attestation(typ="JWT"),
    "alg none": attestation(alg="none"),
    "symmetric alg": attestation(alg="HS256"),
    "another algorithm than the key's": attestation(alg="ES384"),
    "an algorithm we did not publish": attestation(alg="EdDSA"),
    "signed by another key": attestation(signer=OTHER_KEY),
    "no x5c": jws.sign({"typ": "oauth-client-attestation+jwt"}, attestation_claims(), OURS.signer),
    "x5c of a stranger": attestation(x5c=format_x5c(STRANGER.chain), signer=STRANGER.signer),
    "the anchor in x5c": attestation(
        x5c=format_x5c([*OURS.chain, OURS.ca.certificate.public_bytes(Encoding.DER)])
    ),
    "no sub": attestation(without(attestation_claims(), "sub")),
    "sub is no text": attestation(attestation_claims(sub=1)),
    "sub is too long": attestation(attestation_claims(sub="s" * 2049)),
    "no exp": attestation(without(attestation_claims(), "exp")),
    "exp is text": attestation(attestation_claims(exp="soon")),
    "iat lies ahead": attestation(attestation_claims(iat=seconds(NOW + MAX_AHEAD) + 1)),
    "nbf lies ahead": attestation(attestation_claims(nbf=seconds(NOW + MAX_AHEAD) + 1)),
    "no cnf": attestation(without(attestation_claims(), "cnf")),
    "cnf without jwk": attestation(attestation_claims(cnf={"kid": "1"})),
    "cnf is no object": attestation(attestation_claims(cnf="key")),
    "a private key": attestation(attestation_claims(cnf={"jwk": {**public_jwk(INSTANCE.public_key), "d": "AAAA"}})),
    "no JWT": "attestation",
    "joined with a tilde": f"{attestation()}~{pop()}",
}  # fmt: skip


@pytest.mark.clause(
    "abca-07.6-alg", "abca-07.6-attester", "abca-07.6-attestation-signature", "abca-07.5.1-sub", "abca-07.5.1-exp",
    "abca-07.5-times", "abca-07.6-not-yet", "abca-07.5.1-cnf",
)  # fmt: skip
@pytest.mark.parametrize("name", BAD_ATTESTATIONS)
def test_a_bad_attestation_is_refused(name: str):
    with pytest.raises(InvalidClientAttestation) as refused:
        verify(BAD_ATTESTATIONS[name])
    assert (refused.value.code, refused.value.http_status) == ("invalid_client_attestation", 401)


@pytest.mark.clause("abca-07.6-expired", "abca-07.6-fresh")
@pytest.mark.parametrize(
    "changes",
    [
        {"exp": seconds(NOW)},
        {"iat": seconds(NOW - MAX_ATTESTATION_AGE) - 1},
    ],
)
def test_an_old_attestation_asks_for_a_fresh_one(changes):
    with pytest.raises(UseFreshAttestation) as refused:
        verify(attestation(attestation_claims(**changes)))
    assert (refused.value.code, refused.value.http_status) == ("use_fresh_attestation", 400)


@pytest.mark.parametrize("name", ["iss", "iat"])
def test_claims_that_later_drafts_dropped_are_not_asked_for(name: str):
    assert verify(attestation(without(attestation_claims(), name)))


@pytest.mark.parametrize("changes", [{"nbf": seconds(NOW)}, {"iat": seconds(NOW) + 10}, {"wallet_name": 1, "x": {}}])
def test_an_attestation_may_say_more(changes):
    assert verify(attestation(attestation_claims(**changes)))


@pytest.mark.clause("abca-07.6-one")
@pytest.mark.parametrize(("attestations", "pops"), [(0, 1), (1, 0), (2, 1), (1, 2), (0, 0)])
def test_there_is_exactly_one_of_each_header(attestations: int, pops: int):
    with pytest.raises(InvalidClient, match="exactly one") as refused:
        verify_client_attestation(
            [attestation()] * attestations,
            [pop()] * pops,
            audience=AUDIENCE,
            now=NOW,
            trust=OURS.trusted(),
            verify_challenge=lambda value: None,
        )
    assert refused.value.code == "invalid_client"


@pytest.mark.clause("abca-07.6-client-id")
def test_client_id_is_sub():
    with pytest.raises(InvalidClient, match="client_id"):
        verify(client_id="https://other.example")


BAD_POPS = {
    "another type": pop(typ="JWT"),
    "alg none": pop(alg="none"),
    "symmetric alg": pop(alg="HS256"),
    "an algorithm we did not publish": pop(alg="EdDSA"),
    "signed by another key": pop(signer=OTHER_KEY),
    "no iat": pop(without(pop_claims(), "iat")),
    "too old": pop(pop_claims(iat=seconds(NOW - MAX_POP_AGE) - 1)),
    "from the future": pop(pop_claims(iat=seconds(NOW + MAX_AHEAD) + 1)),
    "expired": pop(pop_claims(exp=seconds(NOW - MAX_AHEAD))),
    "not valid yet": pop(pop_claims(nbf=seconds(NOW + MAX_AHEAD) + 1)),
    "exp is text": pop(pop_claims(exp="soon")),
    "no jti": pop(without(pop_claims(), "jti")),
    "an empty jti": pop(pop_claims(jti="")),
    "a jti too long": pop(pop_claims(jti="j" * (MAX_JTI_CHARACTERS + 1))),
    "no JWT": "pop",
}


@pytest.mark.clause(
    "abca-07.6-alg", "abca-07.6-pop-signature", "abca-07.5.2-iat", "abca-07.6-window", "abca-07.6-pop-validity",
    "abca-07.5.2-jti",
)  # fmt: skip
@pytest.mark.parametrize("name", BAD_POPS)
def test_a_bad_proof_of_possession_is_refused(name: str):
    with pytest.raises(InvalidClientAttestation):
        verify(pops=[BAD_POPS[name]])


@pytest.mark.clause("abca-07.6-alg")
def test_an_algorithm_that_is_not_published_is_refused_though_it_is_the_keys_own():
    other = SoftwareSigner.from_key(ed25519.Ed25519PrivateKey.generate())
    bound = attestation(attestation_claims(cnf={"jwk": public_jwk(other.public_key)}))
    with pytest.raises(InvalidClientAttestation, match="algorithm"):
        verify(bound, pops=[pop(signer=other)])


@pytest.mark.clause("abca-07.5.2-iss", "abca-07.6-aud")
@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://other.example"},
        {"aud": "https://issuer.example/agencies/tax"},
        {"aud": f"{AUDIENCE}/oauth/token"},
        {"aud": []},
        {"aud": None},
        {"aud": {AUDIENCE: 1}},
    ],
)
def test_a_proof_of_another_client_or_for_another_server_is_invalid_client(changes):
    with pytest.raises(InvalidClient) as refused:
        verify(pops=[pop(pop_claims(**changes))])
    assert (refused.value.code, refused.value.http_status) == ("invalid_client", 401)


@pytest.mark.parametrize(
    "claims",
    [without(pop_claims(), "iss"), pop_claims(aud=["https://a.example", AUDIENCE]), pop_claims(exp=seconds(NOW))],
)
def test_a_proof_may_say_less_and_have_several_audiences(claims):
    assert verify(pops=[pop(claims)])


@pytest.mark.clause("abca-07.6-challenge", "abca-07.8-challenge", "abca-07.8-expired")
@pytest.mark.parametrize(
    "value",
    [
        None,
        1,
        "",
        "A" * 43,
        challenge(NOW - CHALLENGE_LIFETIME),
        create_challenge(b"x" * 32, now=NOW, random=os.urandom),
        create_dpop_nonce(SECRET, now=NOW, random=os.urandom),
    ],
    # Names of their own: what is drawn at random would name the tests differently in every process.
    ids=["missing", "number", "empty", "invented", "old", "of another secret", "another kind"],
)
def test_a_challenge_that_is_not_good_asks_for_another(value):
    claims = without(pop_claims(), "challenge") if value is None else pop_claims(challenge=value)
    with pytest.raises(UseAttestationChallenge) as refused:
        verify(pops=[pop(claims)])
    assert (refused.value.code, refused.value.http_status) == ("use_attestation_challenge", 400)


def test_a_challenge_is_used_again_and_the_proof_is_not():
    one = challenge()
    first, again, other = (verify(pops=[pop(pop_claims(challenge=one, jti=jti))]) for jti in ("a", "a", "b"))
    assert first.spent == again.spent != other.spent
    assert first.expires_at > NOW + MAX_POP_AGE
    elsewhere = verify(
        attestation(attestation_claims(cnf={"jwk": public_jwk(OTHER_KEY.public_key)})),
        pops=[pop(pop_claims(jti="a"), signer=OTHER_KEY)],
    )
    assert elsewhere.spent != first.spent


@pytest.mark.clause("tl-5-provider", "tl-5-period")
@pytest.mark.parametrize(
    "trust",
    [
        WalletProviders(OURS.trusted().anchors),
        OURS.trusted(OURS.wallet(client_id="https://other.example")),
        OURS.trusted(OURS.wallet(provider="https://stranger.example")),
        OURS.trusted(OURS.wallet(period=Period(valid_until=NOW))),
        WalletProviders(OURS.trusted().anchors, STRANGER.trusted().wallets),
    ],
)
def test_an_attested_client_that_no_list_names_has_no_wallet(trust):
    assert verify(trust=trust).wallet is None


@pytest.mark.clause("tl-5-fresh")
def test_a_list_that_is_over_names_nobody():
    later = NOW + timedelta(days=1)
    claims = attestation_claims(iat=seconds(later), exp=seconds(later + HOUR))
    proof = pop(pop_claims(iat=seconds(later), challenge=challenge(later)))
    assert verify(attestation(claims), pops=[proof], now=later).wallet is None


def test_an_anchor_for_another_purpose_attests_nothing():
    root = TrustAnchor(OURS.ca.certificate, AnchorPurpose.VERIFIER_ACCESS)
    with pytest.raises(InvalidClientAttestation):
        verify(trust=WalletProviders(TrustAnchors([root]), OURS.trusted().wallets))


@pytest.mark.clause("abca-07.8-form", "abca-07.8.1-answer")
def test_the_challenge_endpoint():
    made = challenge()
    assert base64url.is_alphabet(made)
    assert 16 <= len(made) <= 512
    body = strict_json.dumps(create_challenge_response(made))
    assert parse_challenge_response(HttpResponse(200, {"content-type": "application/json"}, body)) == made
    for bad in (None, 1, "short", "c" * 513, "with a space in the middle", "line\nbreak-in-the-middle"):
        with pytest.raises(MalformedError):
            parse_challenge(bad)
