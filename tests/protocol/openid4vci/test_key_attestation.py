import os
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.wallet_providers import Provider
from wallet_core.errors import InvalidNonce, InvalidProof, MalformedError
from wallet_core.jose import jws
from wallet_core.keys.jwk import public_jwk, thumbprint
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.protocols.openid4vci.key_attestation import (
    MAX_AGE,
    MAX_AHEAD,
    MAX_KEYS,
    KeyAttestationRequirements,
    create_key_attestation,
    parse_key_attestation_requirements,
    verify_key_attestation,
)
from wallet_core.protocols.openid4vci.nonce import LIFETIME, create_c_nonce, verify_c_nonce
from wallet_core.protocols.openid4vci.proof import (
    ProofPolicy,
    parse_proof_types,
    proof_signing_input,
    verify_key_proofs,
)
from wallet_core.trust.anchors import AnchorPurpose, TrustAnchor, TrustAnchors
from wallet_core.trust.wallet_providers import WalletProviders
from wallet_core.trust.x509 import format_x5c
from wallet_core.types import CredentialIssuerId

ISSUER = CredentialIssuerId("https://issuer.example/agencies/police")
NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
SECRET = b"k" * 32
OURS, STRANGER = Provider(NOW), Provider(NOW, url="https://stranger.example")
KEYS = [SoftwareSigner.generate() for _ in range(4)]
FIRST, SECOND, THIRD, ELSE = KEYS
BASIC = KeyAttestationRequirements(("iso_18045_high", "iso_18045_basic"), ("iso_18045_basic",))
HOUR = timedelta(hours=1)


def fresh(now: datetime = NOW, tenant: CredentialIssuerId = ISSUER) -> str:
    return create_c_nonce(SECRET, tenant, now=now, random=os.urandom)


NONCE = fresh()


def seconds(at: datetime) -> int:
    return int(at.timestamp())


def without(members, name):
    return {key: value for key, value in members.items() if key != name}


def check_nonce(value) -> None:
    verify_c_nonce(value, SECRET, ISSUER, now=NOW)


def claims(**changes):
    return {
        "iat": seconds(NOW),
        "exp": seconds(NOW + HOUR),
        "attested_keys": [public_jwk(key.public_key) for key in (FIRST, SECOND, THIRD)],
        "key_storage": ["iso_18045_basic"],
        "user_authentication": ["iso_18045_basic"],
        "nonce": NONCE,
        **changes,
    }


def attestation(content=None, *, signer: SoftwareSigner = OURS.signer, **header) -> str:
    protected = {"typ": "key-attestation+jwt", "x5c": format_x5c(OURS.chain), **header}
    return jws.sign(protected, content or claims(), signer)


def verify(text: str, *, required=BASIC, with_proof: bool = True, trust: WalletProviders | None = None):
    return verify_key_attestation(
        text,
        algorithms=["ES256"],
        verify_nonce=check_nonce,
        now=NOW,
        trust=trust or OURS.trusted(),
        required=required,
        with_proof=with_proof,
    )


def test_what_a_provider_makes_an_issuer_accepts():
    found = verify(OURS.attest_keys(FIRST, SECOND, nonce=NONCE))
    assert [each.thumbprint for each in found.keys] == [thumbprint(key.public_key) for key in (FIRST, SECOND)]
    assert found.nonce == NONCE


BAD = {
    "another type": attestation(typ="JWT"),
    "the type of an old draft": attestation(typ="keyattestation+jwt"),
    "alg none": attestation(alg="none"),
    "an algorithm we did not publish": attestation(alg="ES384"),
    "signed by another key": attestation(signer=ELSE),
    "a critical extension": attestation(crit=["x"]),
    "no x5c": jws.sign({"typ": "key-attestation+jwt"}, claims(), OURS.signer),
    "x5c of a stranger": attestation(x5c=format_x5c(STRANGER.chain), signer=STRANGER.signer),
    "no iat": attestation(without(claims(), "iat")),
    "iat is text": attestation(claims(iat="now")),
    "iat lies ahead": attestation(claims(iat=seconds(NOW + MAX_AHEAD) + 1)),
    "no exp": attestation(without(claims(), "exp")),
    "expired": attestation(claims(exp=seconds(NOW))),
    "no keys": attestation(without(claims(), "attested_keys")),
    "an empty list of keys": attestation(claims(attested_keys=[])),
    "too many keys": attestation(claims(attested_keys=[public_jwk(FIRST.public_key)] * (MAX_KEYS + 1))),
    "keys are no list": attestation(claims(attested_keys=public_jwk(FIRST.public_key))),
    "a key is no object": attestation(claims(attested_keys=["key"])),
    "a private key": attestation(claims(attested_keys=[{**public_jwk(FIRST.public_key), "d": "AAAA"}])),
    "no storage level": attestation(without(claims(), "key_storage")),
    "another storage level": attestation(claims(key_storage=["iso_18045_enhanced-basic"])),
    "storage is text": attestation(claims(key_storage="iso_18045_basic")),
    "another level of authentication": attestation(claims(user_authentication=["iso_18045_high"])),
    "no nonce": attestation(without(claims(), "nonce")),
    "nonce is a number": attestation(claims(nonce=1)),
    "no JWT": "attestation",
}


@pytest.mark.clause(
    "vci-D.1-attester", "vci-D.1-typ", "vci-D.1-iat", "vci-D.1-exp", "vci-D.1-expired", "vci-D.1-times", "vci-D.1-keys",
    "vci-D.1-level", "vci-D.1-nonce", "vci-F.1-attestation-alg",
)  # fmt: skip
@pytest.mark.parametrize("name", BAD)
def test_a_bad_attestation_is_a_bad_proof(name: str):
    with pytest.raises(InvalidProof) as refused:
        verify(BAD[name])
    assert refused.value.code == "invalid_proof"


@pytest.mark.clause("vci-F.1-attestation-alg")
def test_an_algorithm_that_is_not_published_is_refused_though_it_is_the_keys_own():
    other = Provider(NOW, signer=SoftwareSigner.from_key(ec.generate_private_key(ec.SECP384R1())))
    with pytest.raises(InvalidProof, match="alg"):
        verify(other.attest_keys(FIRST, nonce=NONCE), trust=other.trusted())


@pytest.mark.clause("vci-D.1-nonce-checked")
@pytest.mark.parametrize(
    "nonce",
    [fresh(NOW - LIFETIME), fresh(tenant=CredentialIssuerId("https://issuer.example/agencies/tax")), "n"],
    ids=["too old", "another agency's", "none of ours"],
)
def test_a_wrong_nonce_is_a_bad_nonce(nonce: str):
    with pytest.raises(InvalidNonce):
        verify(attestation(claims(nonce=nonce)))


def test_an_attestation_proof_may_leave_exp_out_and_is_then_not_old():
    assert verify(attestation(without(claims(), "exp")), with_proof=False)
    old = without(claims(iat=seconds(NOW - MAX_AGE)), "exp")
    with pytest.raises(InvalidProof, match="expired"):
        verify(attestation(old), with_proof=False)


def test_nothing_required_takes_any_level():
    bare = without(without(claims(), "key_storage"), "user_authentication")
    assert verify(attestation(bare), required=KeyAttestationRequirements())
    assert verify(attestation(claims(key_storage=["https://level.example"])), required=KeyAttestationRequirements())


def test_an_anchor_for_another_purpose_attests_nothing():
    root = TrustAnchor(OURS.ca.certificate, AnchorPurpose.CREDENTIAL_ISSUER)
    with pytest.raises(InvalidProof):
        verify(attestation(), trust=WalletProviders(TrustAnchors([root])))


def test_one_to_a_hundred_keys_are_attested():
    for keys in ([], [FIRST.public_key] * (MAX_KEYS + 1)):
        with pytest.raises(ValueError, match="keys"):
            create_key_attestation(OURS.signer, OURS.chain, keys=keys, nonce=None, issued_at=NOW, expires_at=NOW)


def proof(signer: SoftwareSigner = FIRST, text: str | None = None, *, nonce: str = NONCE, **header) -> str:
    protected = {"typ": "openid4vci-proof+jwt", "jwk": public_jwk(signer.public_key), **header}
    if text is not None:
        protected["key_attestation"] = text
    protected = {name: value for name, value in protected.items() if value is not None}
    return jws.sign(protected, {"aud": ISSUER, "iat": seconds(NOW), "nonce": nonce}, signer)


def verify_all(*proofs: str, proof_type: str = "jwt", required=BASIC, limit: int = 10, types=("jwt", "attestation")):
    return verify_key_proofs(
        proofs,
        proof_type=proof_type,
        audience=ISSUER,
        policy=ProofPolicy({each: ["ES256"] for each in types}, required),
        trust=OURS.trusted(),
        verify_nonce=check_nonce,
        now=NOW,
        limit=limit,
    )


def keys_of(accepted) -> list[bytes]:
    return [key.thumbprint for key in accepted]


def prints(*signers: SoftwareSigner) -> list[bytes]:
    return [thumbprint(signer.public_key) for signer in signers]


def test_the_wallet_puts_the_attestation_into_its_proof():
    data = proof_signing_input(
        SECOND.public_key, audience=ISSUER, nonce=NONCE, issued_at=NOW, key_attestation=attestation()
    )
    accepted = verify_all(jws.attach_signature(data, SECOND.sign(data)))
    assert keys_of(accepted) == prints(SECOND, FIRST, THIRD), "the key that signed comes first, the others follow"


@pytest.mark.clause("vci-F.1-limit")
def test_every_attested_key_gets_one_credential_and_no_more_than_the_batch():
    both = [proof(FIRST, attestation()), proof(THIRD, attestation())]
    assert keys_of(verify_all(*both)) == prints(FIRST, THIRD, SECOND)
    assert keys_of(verify_all(*both, limit=2)) == prints(FIRST, THIRD)
    twice = attestation(claims(attested_keys=[public_jwk(FIRST.public_key)] * 2))
    assert keys_of(verify_all(proof(FIRST, twice))) == prints(FIRST)


@pytest.mark.clause("vci-F.1-attestation-kid")
@pytest.mark.parametrize(("kid", "signer"), [("0", FIRST), ("1", SECOND), ("third", THIRD)])
def test_kid_may_name_an_attested_key(kid: str, signer: SoftwareSigner):
    jwks = [
        public_jwk(FIRST.public_key),
        public_jwk(SECOND.public_key),
        {**public_jwk(THIRD.public_key), "kid": "third"},
    ]
    text = attestation(claims(attested_keys=jwks))
    assert keys_of(verify_all(proof(signer, text, kid=kid, jwk=None)))[0] == thumbprint(signer.public_key)
    for bad in ("3", "-1", " 0", "\u0660", "9" * 400, "other", 0, None):
        with pytest.raises(InvalidProof):
            verify_all(proof(signer, text, kid=bad, jwk=None))
    with pytest.raises(InvalidProof):
        verify_all(proof(signer, text, kid=kid))
    with pytest.raises(InvalidProof):
        verify_all(proof(signer, kid=kid, jwk=None), required=None)


def test_a_kid_that_names_another_attested_key_does_not_verify():
    with pytest.raises(InvalidProof):
        verify_all(proof(FIRST, attestation(), kid="1", jwk=None))


@pytest.mark.clause("vci-F.1-attested", "vci-12.2.4-attestation-required", "vci-12.2.4-proof-type", "vci-F.3-one")
@pytest.mark.parametrize(
    ("proofs", "more"),
    [
        ([proof(ELSE, attestation())], {}),
        ([proof(FIRST)], {}),
        ([proof(FIRST, attestation()), proof(SECOND)], {}),
        ([proof(FIRST, attestation(signer=ELSE))], {"required": None}),
        ([proof(FIRST, "text")], {"required": None}),
        ([proof(FIRST, key_attestation=1)], {"required": None}),
        ([proof(FIRST, attestation())], {"types": ("attestation",)}),
        ([attestation()], {"proof_type": "attestation", "types": ("jwt",)}),
        ([attestation(), attestation()], {"proof_type": "attestation"}),
        ([proof(FIRST, attestation())], {"proof_type": "attestation"}),
        ([attestation()], {}),
    ],
)
def test_bad_proofs(proofs: list[str], more):
    with pytest.raises(InvalidProof):
        verify_all(*proofs, **more)


def test_attestation_proofs():
    accepted = verify_all(attestation(), proof_type="attestation")
    assert keys_of(accepted) == prints(FIRST, SECOND, THIRD)
    assert {key.nonce for key in accepted} == {NONCE}


@pytest.mark.clause("vci-F.1-attestation-nonce")
def test_one_nonce_for_the_proof_and_its_attestation():
    with pytest.raises(InvalidNonce, match="its key attestation carry different"):
        verify_all(proof(FIRST, attestation(), nonce=fresh()))
    only_first = attestation(claims(attested_keys=[public_jwk(FIRST.public_key)]))
    with pytest.raises(InvalidNonce, match="its key attestation carry different"):
        verify_all(proof(FIRST, only_first, nonce=fresh()))
    other = fresh()
    second = attestation(claims(nonce=other, attested_keys=[public_jwk(SECOND.public_key)]))
    with pytest.raises(InvalidNonce, match="different"):
        verify_all(proof(FIRST, only_first), proof(SECOND, second, nonce=other))


@pytest.mark.clause("vci-12.2.4-attestation-levels")
def test_requirements_of_the_metadata():
    assert parse_key_attestation_requirements({}) is None
    assert parse_key_attestation_requirements({"key_attestations_required": {}}) == KeyAttestationRequirements()
    levels = {"key_storage": ["iso_18045_high"], "user_authentication": ["iso_18045_basic"], "x": 1}
    found = parse_key_attestation_requirements({"key_attestations_required": levels})
    assert found == KeyAttestationRequirements(("iso_18045_high",), ("iso_18045_basic",))
    for bad in ([], None, {"key_storage": []}, {"key_storage": "x"}, {"user_authentication": [1]}):
        with pytest.raises(MalformedError):
            parse_key_attestation_requirements({"key_attestations_required": bad})


def test_proof_types_of_the_metadata():
    jwt = {"proof_signing_alg_values_supported": ["ES256"]}
    both = {"jwt": jwt, "attestation": {**jwt, "key_attestations_required": {}}, "di_vp": "?"}
    found = parse_proof_types({"proof_types_supported": both})
    assert found == ProofPolicy({"jwt": ("ES256",), "attestation": ("ES256",)}, KeyAttestationRequirements())
    assert parse_proof_types({}) == ProofPolicy({})
    with pytest.raises(MalformedError):
        parse_proof_types({"proof_types_supported": {"jwt": {}}})
