"""Token Status List: the draft's encodings and tokens, and cases derived from them."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support import vectors
from wallet_core.cose import sign1
from wallet_core.encoding import base64url, cbor
from wallet_core.errors import WalletError
from wallet_core.keys.jwk import parse_private_jwk
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.trust.status_list.array import StatusList, compress, decompress, new_array, with_statuses
from wallet_core.trust.status_list.cwt import parse_status_list_cwt
from wallet_core.trust.status_list.reference import parse_status
from wallet_core.trust.status_list.token import parse_status_list_jwt, verify_status_list_token

DERIVED = vectors.load("status_list", "derived_cases.json")
TOKENS = vectors.load("status_list", "tokens.json")


def key_of(jwk: dict[str, Any]):
    return SoftwareSigner.from_key(parse_private_jwk(jwk)).public_key


@pytest.mark.parametrize("case", vectors.cases("status_list", "encodings.json", "vectors"))
def test_encoding(case: dict[str, Any]) -> None:
    bits, listed = case["bits"], dict(case["statuses_nonzero_or_listed"])
    array = with_statuses(bytes(new_array(case["entries"], bits)), bits, listed)
    entry = cbor.loads(bytes.fromhex(case["cbor_hex"]))
    for size, lst in ((case["json"]["bits"], base64url.decode(case["json"]["lst"])), (entry["bits"], entry["lst"])):
        statuses = StatusList(size, decompress(lst))
        assert statuses.data == array
        assert {index: statuses.status(index) for index in listed} == listed
    assert decompress(compress(array)) == array


@pytest.mark.parametrize("case", vectors.cases("status_list", "derived_cases.json", "cases"))
def test_derived_case(case: dict[str, Any]) -> None:
    def status() -> int:
        reference = parse_status(case["reference"])
        token = parse_status_list_jwt(case["token"].encode())
        now = datetime.fromtimestamp(DERIVED["evaluate_at"], UTC)
        key = key_of(DERIVED["signing_key"])
        return verify_status_list_token(token, key=key, uri=reference.uri, now=now).status(reference)

    if case["expect"] == "reject":
        with pytest.raises(WalletError):
            status()
    else:
        assert status() == case["status"]


def test_status_list_jwt() -> None:
    vector = TOKENS["status_list_jwt"]
    token = parse_status_list_jwt(vector["token"].encode())
    payload = vector["payload"]
    now = datetime.fromtimestamp(payload["iat"], UTC)
    verified = verify_status_list_token(token, key=key_of(TOKENS["signing_key"]), uri=payload["sub"], now=now)
    assert verified.statuses.data.hex() == "b9a3"
    assert verified.claims.ttl is not None
    assert verified.claims.ttl.total_seconds() == payload["ttl"]


def test_status_list_cwt() -> None:
    vector = TOKENS["status_list_cwt"]
    token = parse_status_list_cwt(bytes.fromhex(vector["cbor_hex"]))
    claims = vector["claims"]
    now = datetime.fromtimestamp(claims["6"], UTC)
    verified = verify_status_list_token(token, key=key_of(TOKENS["signing_key"]), uri=claims["2"], now=now)
    assert verified.statuses.data.hex() == "b9a3"
    assert verified.claims.lst.hex() == claims["65533"]["lst"]["hex"]
    assert verified.claims.expires_at == datetime.fromtimestamp(claims["4"], UTC)


def test_referenced_token_cwt() -> None:
    vector = TOKENS["referenced_token_cwt"]
    parsed = sign1.parse(bytes.fromhex(vector["cbor_hex"]), tagged=True)
    verified = sign1.verify(parsed, key_of(TOKENS["signing_key"]))
    # Token Status List 6.3: the claim "status".
    reference = parse_status(cbor.loads(verified.payload)[65535])
    assert reference.to_json() == vector["claims"]["65535"]
