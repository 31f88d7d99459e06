from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from wallet_core.encoding import base64url
from wallet_core.errors import InvalidDpopProof, RemoteProtocolError, UseDpopNonce
from wallet_core.jose import jws
from wallet_core.keys.jwk import public_jwk, thumbprint
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.protocols.oauth2.dpop import (
    MAX_AGE,
    MAX_AHEAD,
    MAX_JTI_CHARACTERS,
    MAX_PROOF_CHARACTERS,
    NONCE_LIFETIME,
    create_dpop_nonce,
    create_dpop_proof,
    normalize_htu,
    verify_dpop_nonce,
    verify_dpop_proof,
)
from wallet_core.protocols.openid4vci.nonce import create_c_nonce
from wallet_core.types import CredentialIssuerId

URL = "https://issuer.example/agencies/police/oauth/token"
NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
KEY, OTHER_KEY = SoftwareSigner.generate(), SoftwareSigner.generate()
SECRET = b"k" * 32
TOKEN = "access-token"
ATH = "PwEGlaMhXkjKUHSRXpLSP0kVLvHJCWrd81sI6OZVAVc"


def counter(length: int) -> bytes:
    return bytes(range(length))


def dpop_nonce(now: datetime = NOW) -> str:
    return create_dpop_nonce(SECRET, now=now, random=counter)


def claims(**changes):
    return {
        "jti": "j",
        "htm": "POST",
        "htu": URL,
        "iat": int(NOW.timestamp()),
        "nonce": dpop_nonce(),
        **changes,
    }


def header(**changes):
    return {"typ": "dpop+jwt", "jwk": public_jwk(KEY.public_key), **changes}


def without(members, name):
    return {key: value for key, value in members.items() if key != name}


def verify(*proofs: str, url: str = URL, method: str = "POST", now: datetime = NOW, token: str | None = None):
    return verify_dpop_proof(
        proofs,
        method=method,
        url=url,
        now=now,
        verify_nonce=lambda value: verify_dpop_nonce(value, SECRET, now=now),
        access_token=token,
    )


def test_what_a_client_makes_a_server_accepts():
    proof = create_dpop_proof(
        KEY, method="POST", url=f"{URL}?a=b#c", issued_at=NOW, random=counter, nonce=dpop_nonce(), access_token=TOKEN
    )
    verified = verify(proof, token=TOKEN)
    assert verified.thumbprint == thumbprint(KEY.public_key)
    assert NOW + MAX_AGE < verified.expires_at <= NOW + MAX_AGE + timedelta(seconds=2)


BAD = {
    "another type": (header(typ="JWT"), claims(), KEY),
    "no type": (without(header(), "typ"), claims(), KEY),
    "alg none": (header(alg="none"), claims(), KEY),
    "symmetric alg": (header(alg="HS256"), claims(), KEY),
    "another alg": (header(alg="ES384"), claims(), KEY),
    "a critical extension": (header(crit=["x"]), claims(), KEY),
    "signed by another key": (header(), claims(), OTHER_KEY),
    "no key": (without(header(), "jwk"), claims(), KEY),
    "a private key": (header(jwk={**public_jwk(KEY.public_key), "d": "AAAA"}), claims(), KEY),
    "a symmetric key": (header(jwk={"kty": "oct", "k": "AAAA"}), claims(), KEY),
    "no jti": (header(), without(claims(), "jti"), KEY),
    "an empty jti": (header(), claims(jti=""), KEY),
    "a jti that is no text": (header(), claims(jti=1), KEY),
    "a jti too long": (header(), claims(jti="j" * (MAX_JTI_CHARACTERS + 1)), KEY),
    "no htm": (header(), without(claims(), "htm"), KEY),
    "another htm": (header(), claims(htm="GET"), KEY),
    "htm in lower case": (header(), claims(htm="post"), KEY),
    "no htu": (header(), without(claims(), "htu"), KEY),
    "another htu": (header(), claims(htu="https://issuer.example/agencies/tax/oauth/token"), KEY),
    "htu of another scheme": (header(), claims(htu=URL.replace("https", "http")), KEY),
    "htu of another host": (header(), claims(htu=URL.replace("issuer", "other")), KEY),
    "htu with another port": (header(), claims(htu=URL.replace("example", "example:8443")), KEY),
    "htu is no URL": (header(), claims(htu="https://[::1"), KEY),
    "htu with user information": (header(), claims(htu=URL.replace("issuer", "me@issuer")), KEY),
    "htu too long": (header(), claims(htu=URL + "?" + "a" * 2100), KEY),
    "no iat": (header(), without(claims(), "iat"), KEY),
    "iat is text": (header(), claims(iat=str(int(NOW.timestamp()))), KEY),
    "iat is a truth value": (header(), claims(iat=True), KEY),
    "iat beyond all years": (header(), claims(iat=1e300), KEY),
    "too old": (header(), claims(iat=int((NOW - MAX_AGE).timestamp()) - 1), KEY),
    "from the future": (header(), claims(iat=int((NOW + MAX_AHEAD).timestamp()) + 1), KEY),
}


@pytest.mark.clause(
    "dpop-9449.4.3-alg", "dpop-9449.4.3-typ", "dpop-9449.4.2-jti", "dpop-9449.4.3-htm", "dpop-9449.4.3-htu",
    "dpop-9449.4.2-iat", "dpop-9449.4.3-iat",
)  # fmt: skip
@pytest.mark.parametrize("name", BAD)
def test_a_bad_proof_is_refused(name: str):
    proof_header, proof_claims, signer = BAD[name]
    with pytest.raises(InvalidDpopProof) as refused:
        verify(jws.sign(proof_header, proof_claims, signer))
    assert (refused.value.code, refused.value.http_status) == ("invalid_dpop_proof", 400)


@pytest.mark.clause("dpop-9449.4.3-alg")
def test_an_algorithm_that_is_not_published_is_refused_though_it_is_the_keys_own():
    other = SoftwareSigner.from_key(ec.generate_private_key(ec.SECP384R1()))
    with pytest.raises(InvalidDpopProof, match="ES256"):
        verify(jws.sign(header(jwk=public_jwk(other.public_key)), claims(), other))


@pytest.mark.clause("dpop-9449.4.3-one")
@pytest.mark.parametrize("count", [0, 2])
def test_there_is_exactly_one_proof(count: int):
    with pytest.raises(InvalidDpopProof, match="exactly one"):
        verify(*[jws.sign(header(), claims(), KEY)] * count)


@pytest.mark.parametrize("text", ["", "a.b", "a.b.c", "é", "x" * (MAX_PROOF_CHARACTERS + 1)])
def test_what_is_no_jwt_is_refused(text: str):
    with pytest.raises(InvalidDpopProof):
        verify(text)


@pytest.mark.parametrize(
    "htu", [URL.upper().replace("/AGENCIES/POLICE/OAUTH/TOKEN", "/agencies/police/oauth/token"),
            URL.replace("example", "example:443"), f"{URL}?a=b", f"{URL}#c"],
)  # fmt: skip
def test_equal_addresses_are_equal(htu: str):
    assert verify(jws.sign(header(), claims(htu=htu), KEY))


def test_no_path_is_the_root():
    assert normalize_htu("http://Localhost:80") == "http://localhost/"
    assert normalize_htu("http://[::1]:8100/a") == "http://[::1]:8100/a"


@pytest.mark.parametrize("seconds", [-MAX_AGE.total_seconds(), 0, 10, MAX_AHEAD.total_seconds()])
def test_the_window_includes_its_ends(seconds: float):
    assert verify(jws.sign(header(), claims(iat=NOW.timestamp() + seconds), KEY))


@pytest.mark.clause("dpop-9449.4.3-nonce", "dpop-9449.8-ours", "dpop-9449.8-expired")
@pytest.mark.parametrize(
    "value",
    [
        None,
        1,
        "",
        "AAAA",
        "not base64url!",
        dpop_nonce()[:-1] + "A",
        dpop_nonce(NOW - NONCE_LIFETIME),
        create_dpop_nonce(b"x" * 32, now=NOW, random=counter),
        # M3 is for DPoP nonces only: what was given out for another purpose is none.
        create_c_nonce(SECRET, CredentialIssuerId("https://issuer.example/agencies/police"), now=NOW, random=counter),
    ],
)
def test_a_nonce_that_is_not_good_asks_for_another(value):
    changed = without(claims(), "nonce") if value is None else claims(nonce=value)
    with pytest.raises(UseDpopNonce) as refused:
        verify(jws.sign(header(), changed, KEY))
    assert (refused.value.code, refused.value.http_status) == ("use_dpop_nonce", 400)


def test_a_proof_that_is_wrong_anyway_is_not_answered_with_try_again():
    with pytest.raises(InvalidDpopProof) as refused:
        verify(jws.sign(header(), without(claims(htm="GET"), "nonce"), KEY))
    assert refused.value.code == "invalid_dpop_proof"


@pytest.mark.clause("dpop-9449.4.3-ath")
@pytest.mark.parametrize("ath", [None, "", 1, ATH])
def test_the_proof_is_for_the_token_that_came_with_it(ath):
    changed = claims() if ath is None else claims(ath=ath)
    with pytest.raises(InvalidDpopProof, match="ath"):
        verify(jws.sign(header(), changed, KEY), token="another token")


@pytest.mark.clause("dpop-9449.7.1-resource-server", "dpop-9449.7.1-challenge")
@pytest.mark.parametrize(
    ("changed", "code"), [(claims(htm="GET"), "invalid_dpop_proof"), (without(claims(), "nonce"), "use_dpop_nonce")]
)
def test_a_resource_server_answers_401_with_a_challenge(changed, code: str):
    right = create_dpop_proof(KEY, method="POST", url=URL, issued_at=NOW, random=counter, access_token=TOKEN)
    ath = jws.parse(right).claims()["ath"]
    with pytest.raises(RemoteProtocolError) as refused:
        verify(jws.sign(header(), {**changed, "ath": ath}, KEY), token=TOKEN)
    assert (refused.value.code, refused.value.http_status) == (code, 401)
    challenge = refused.value.headers["WWW-Authenticate"]
    assert challenge.startswith(f'DPoP error="{code}", ')
    assert challenge.endswith('algs="ES256"')


def test_the_same_proof_is_spent_the_same_and_another_is_not():
    first, second = jws.sign(header(), claims(), KEY), jws.sign(header(), claims(), KEY)
    assert first != second, "ECDSA signatures differ"
    assert verify(first).spent == verify(second).spent
    other_jti = verify(jws.sign(header(), claims(jti="k"), KEY))
    other_key = verify(jws.sign(header(jwk=public_jwk(OTHER_KEY.public_key)), claims(), OTHER_KEY))
    other_url = verify(jws.sign(header(), claims(htu="https://a.example/"), KEY), url="https://a.example/")
    assert len({verify(first).spent, other_jti.spent, other_key.spent, other_url.spent}) == 4


def test_a_nonce_is_url_safe_and_unpredictable():
    values = {create_dpop_nonce(SECRET, now=NOW, random=lambda n, i=i: bytes([i]) * n) for i in range(3)}
    assert len(values) == 3
    assert all(base64url.is_alphabet(value) and len(value) == 51 for value in values)
