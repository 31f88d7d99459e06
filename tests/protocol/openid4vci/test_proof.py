import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.proofs import verify_proof
from wallet_core.errors import InvalidNonce, InvalidProof
from wallet_core.jose import jws
from wallet_core.keys.jwk import public_jwk, thumbprint
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.protocols.openid4vci.nonce import LIFETIME, create_c_nonce, spent_digest, verify_c_nonce
from wallet_core.protocols.openid4vci.proof import (
    MAX_AGE,
    ProofPolicy,
    proof_signing_input,
    verify_key_proofs,
)
from wallet_core.trust.wallet_providers import WalletProviders
from wallet_core.types import CredentialIssuerId, Nonce

ISSUER = CredentialIssuerId("https://issuer.example/agencies/police")
OTHER = CredentialIssuerId("https://issuer.example/agencies/tax")
NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
KEY, OTHER_KEY = SoftwareSigner.generate(), SoftwareSigner.generate()
SECRET = b"k" * 32


def counter(length: int) -> bytes:
    return bytes(range(length))


def nonce(tenant: CredentialIssuerId = ISSUER, now: datetime = NOW, secret: bytes = SECRET) -> Nonce:
    return create_c_nonce(secret, tenant, now=now, random=counter)


def claims(**changes):
    return {"aud": ISSUER, "iat": int(NOW.timestamp()), "nonce": nonce(), **changes}


def header(**changes):
    return {"typ": "openid4vci-proof+jwt", "jwk": public_jwk(KEY.public_key), **changes}


def without(members, name):
    return {key: value for key, value in members.items() if key != name}


def verify(proof: str, now: datetime = NOW, client_id: str | None = None):
    return verify_proof(
        proof,
        audience=ISSUER,
        verify_nonce=lambda value: verify_c_nonce(value, SECRET, ISSUER, now=now),
        now=now,
        client_id=client_id,
    )


def test_what_the_wallet_makes_the_issuer_accepts():
    signing_input = proof_signing_input(KEY.public_key, audience=ISSUER, nonce=nonce(), issued_at=NOW)
    accepted = verify(jws.attach_signature(signing_input, KEY.sign(signing_input)))
    assert accepted.thumbprint == thumbprint(KEY.public_key)
    assert accepted.nonce == nonce()


BAD = {
    "another type": (header(typ="JWT"), claims(), KEY),
    "no type": (without(header(), "typ"), claims(), KEY),
    "alg none": (header(alg="none"), claims(), KEY),
    "symmetric alg": (header(alg="HS256"), claims(), KEY),
    "an algorithm we did not publish": (header(alg="ES384"), claims(), KEY),
    "a critical extension": (header(crit=["x"]), claims(), KEY),
    "signed by another key": (header(), claims(), OTHER_KEY),
    "two key references": (header(kid="0"), claims(), KEY),
    "kid alone": (without(header(kid="did:example:1#0"), "jwk"), claims(), KEY),
    "x5c alone": (without(header(x5c=["AAAA"]), "jwk"), claims(), KEY),
    "no key reference": (without(header(), "jwk"), claims(), KEY),
    "a private key": (header(jwk={**public_jwk(KEY.public_key), "d": "AAAA"}), claims(), KEY),
    "aud of another tenant": (header(), claims(aud=OTHER), KEY),
    "aud is the endpoint": (header(), claims(aud=f"{ISSUER}/credential"), KEY),
    "aud as array": (header(), claims(aud=[ISSUER]), KEY),
    "no aud": (header(), without(claims(), "aud"), KEY),
    "iss under anonymous access": (header(), claims(iss="client"), KEY),
    "iss is null": (header(), claims(iss=None), KEY),
    "no iat": (header(), without(claims(), "iat"), KEY),
    "iat as text": (header(), claims(iat="1"), KEY),
    "iat as truth value": (header(), claims(iat=True), KEY),
    "iat too old": (header(), claims(iat=int((NOW - MAX_AGE).timestamp()) - 1), KEY),
    "iat ahead": (header(), claims(iat=int(NOW.timestamp()) + 61), KEY),
    "expired": (header(), claims(exp=int(NOW.timestamp()) - 60), KEY),
    "not yet valid": (header(), claims(nbf=int(NOW.timestamp()) + 61), KEY),
    "exp as text": (header(), claims(exp="9999999999"), KEY),
    "no nonce": (header(), without(claims(), "nonce"), KEY),
    "an empty nonce": (header(), claims(nonce=""), KEY),
    "a nonce that is no text": (header(), claims(nonce=1), KEY),
}


@pytest.mark.clause(
    "vci-F.1-typ",
    "vci-F.1-alg",
    "vci-F.1-one-key",
    "vci-F.1-aud",
    "vci-F.1-iss",
    "vci-F.1-iat",
    "vci-F.4-validity",
    "vci-F.4-window",
    "vci-8.3.1.2-nonce-missing",
    "jose-7517-public",
    "jose-7515.4.1.11-crit",
)
@pytest.mark.parametrize("case", BAD)
def test_invalid_proofs(case):
    head, body, signer = BAD[case]
    proof = jws.sign(head, body, signer)
    with pytest.raises(InvalidProof):
        verify(proof)


@pytest.mark.clause("vci-7.2-ours", "vci-7.2-expired", "vci-8.3.1.2-nonce-checked")
@pytest.mark.parametrize(
    "bad",
    ["LarRGSbmUPYtRYO6BQ4yn8", "?", nonce(OTHER), nonce(secret=b"x" * 32), nonce(now=NOW - LIFETIME), nonce()[:-4]],
)
def test_invalid_nonces(bad):
    with pytest.raises(InvalidNonce):
        verify(jws.sign(header(), claims(nonce=bad), KEY))


@pytest.mark.parametrize("text", ["", "a.b", "a.b.c", "eyJhbGciOiJFUzI1NiJ9", "." * 9, "é.é.é"])
def test_what_is_no_jws_is_an_invalid_proof(text):
    with pytest.raises(InvalidProof):
        verify(text)


@pytest.mark.clause("vci-F.1-iss")
def test_iss_is_the_client_where_there_is_one():
    proof = jws.sign(header(), claims(iss="client"), KEY)
    assert verify(proof, client_id="client").thumbprint
    assert verify(jws.sign(header(), claims(), KEY), client_id="client").thumbprint
    with pytest.raises(InvalidProof):
        verify(proof, client_id="another")


def batch(*proofs):
    return verify_key_proofs(
        proofs,
        proof_type="jwt",
        audience=ISSUER,
        policy=ProofPolicy({"jwt": ["ES256"]}),
        trust=WalletProviders(),
        verify_nonce=lambda _: None,
        now=NOW,
        limit=10,
    )


def test_each_key_of_a_batch_counts_once():
    one, two = (
        jws.sign(header(), claims(), KEY),
        jws.sign(header(jwk=public_jwk(OTHER_KEY.public_key)), claims(), OTHER_KEY),
    )
    assert [key.thumbprint for key in batch(one, two, one)] == [
        thumbprint(KEY.public_key),
        thumbprint(OTHER_KEY.public_key),
    ]


def test_one_bad_proof_spoils_the_batch():
    with pytest.raises(InvalidProof):
        batch(jws.sign(header(), claims(), KEY), jws.sign(header(), claims(aud=OTHER), KEY))


@pytest.mark.clause("vci-8.2-one-nonce", "vci-8.2-proof-needed")
def test_a_batch_has_one_nonce_and_at_least_one_proof():
    other = jws.sign(header(jwk=public_jwk(OTHER_KEY.public_key)), claims(nonce="another"), OTHER_KEY)
    with pytest.raises(InvalidNonce):
        batch(jws.sign(header(), claims(), KEY), other)
    with pytest.raises(InvalidProof):
        batch()


@pytest.mark.clause("vci-7.2-expired")
def test_a_nonce_ends_on_time_and_is_spent_per_key():
    value = nonce()
    assert verify_c_nonce(value, SECRET, ISSUER, now=NOW + LIFETIME - timedelta(seconds=1)) == NOW + LIFETIME
    with pytest.raises(InvalidNonce):
        verify_c_nonce(value, SECRET, ISSUER, now=NOW + LIFETIME)
    assert spent_digest(value, b"a") != spent_digest(value, b"b")
    assert spent_digest(value, b"a") == spent_digest(value, b"a")


def test_nonces_differ():
    import os

    values = {create_c_nonce(SECRET, ISSUER, now=NOW, random=os.urandom) for _ in range(100)}
    assert len(values) == 100


def test_only_the_verification_makes_an_accepted_key():
    found = subprocess.run(
        ["git", "grep", "-l", "AcceptedKey(", "--", "*.py", ":!tests"],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.stdout.split() in ([], ["wallet_core/protocols/openid4vci/proof.py"])
