"""Only WalletError leaves the parsers and the verification of status lists, whatever they are given."""

import zlib
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fuzzing import DRAWN, repeatedly
from tests.support.mutation import encode, mutate_json, mutate_text
from tests.support.status_lists import ARRAY, NOW, SIGNER, URI, made, payload
from tests.unit.trust.status_list.test_cwt import made as made_cwt
from wallet_core import spec_versions as spec
from wallet_core.cose import sign1
from wallet_core.encoding import cbor
from wallet_core.errors import WalletError
from wallet_core.jose import jws
from wallet_core.trust.status_list.array import compress, decompress
from wallet_core.trust.status_list.cwt import parse_status_list_cwt, require_mdoc_profile
from wallet_core.trust.status_list.fetching import parse_aggregation
from wallet_core.trust.status_list.reference import StatusReference, parse_status
from wallet_core.trust.status_list.token import TokenParser, parse_status_list_jwt, verify_status_list_token

REFERENCE = StatusReference(3, URI)


def verify(parse: TokenParser, token: bytes) -> None:
    parsed = parse(token)
    verified = verify_status_list_token(parsed, key=SIGNER.public_key, uri=URI, now=NOW)
    verified.status(REFERENCE)
    require_mdoc_profile(verified.claims)


def flipped(random: Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(random.randint(1, 4)):
        at = random.randrange(len(changed))
        changed[at : at + random.randint(0, 2)] = random.randbytes(random.randint(0, 2))
    return bytes(changed)


def signed_jwt(random: Random) -> bytes:
    header: Any = {"alg": "ES256", "typ": spec.TYP_STATUS_LIST_JWT}
    claims: Any = payload()
    if random.random() < 0.2:
        header = mutate_json(random, header)
    else:
        claims = mutate_json(random, claims)
    data = f"{encode(header)}.{encode(claims)}".encode()
    return jws.attach_signature(data, SIGNER.sign(data)).encode()


def signed_cwt(random: Random) -> bytes:
    """A good signature over claims with values of every CBOR kind, or over changed bytes."""
    odd: list[Any] = [None, True, -1, 1.5, 2**70, "x", b"x", [], {}, cbor.Tagged(0, "x"), float("inf"), float("nan")]
    entry: dict[Any, Any] = {"bits": 1, "lst": compress(ARRAY)}
    claims: dict[Any, Any] = {2: URI, 6: int(NOW.timestamp()), 4: int(NOW.timestamp()) + 60, 65534: 60, 65533: entry}
    target = random.choice([claims, entry])
    target[random.choice(list(target))] = random.choice(odd)
    data = cbor.dumps(claims)
    if random.random() < 0.3:
        data = flipped(random, data)
    return sign1.sign(data, SIGNER, protected={16: spec.STATUS_LIST_CWT_MEDIA_TYPE}, tagged=True)


TARGETS = {
    "jwt.text": lambda random: verify(
        parse_status_list_jwt, mutate_text(random, made().decode()).encode("utf-8", "ignore")
    ),
    "jwt.signed": lambda random: verify(parse_status_list_jwt, signed_jwt(random)),
    "cwt.bytes": lambda random: verify(parse_status_list_cwt, flipped(random, made_cwt())),
    "cwt.signed": lambda random: verify(parse_status_list_cwt, signed_cwt(random)),
    "reference": lambda random: parse_status(mutate_json(random, REFERENCE.to_json())),
    "zlib": lambda random: decompress(
        flipped(random, zlib.compress(bytes(1000) + random.randbytes(20))), max_bytes=2000
    ),
    "aggregation": lambda random: parse_aggregation(
        mutate_text(random, '{"status_lists":["https://a.example"]}').encode("utf-8", "ignore")
    ),
}


@pytest.mark.fuzz
@pytest.mark.parametrize("name", TARGETS)
def test_only_wallet_errors_leave(name: str, fuzz_seconds: float) -> None:
    @DRAWN
    @given(st.randoms(use_true_random=True))
    def run(random: Random) -> None:
        try:
            TARGETS[name](random)
        except WalletError:
            return

    repeatedly(run, seconds=fuzz_seconds)
