"""SD-JWT VC: the credentials and presentations of the draft, and its examples of claims."""

from datetime import UTC, datetime
from typing import Any

import jsonschema
import pytest

from tests.support import vectors
from wallet_core.adapters.config import load_catalogue
from wallet_core.errors import VerificationError
from wallet_core.formats.sd_jwt.holder import index_sd_jwt
from wallet_core.formats.sd_jwt.issuer import create_sd_jwt
from wallet_core.formats.sd_jwt.vc import SdJwtVc, validate_sd_jwt_vc
from wallet_core.formats.sd_jwt.verifier import parse_sd_jwt, verify_sd_jwt, verify_sd_jwt_kb
from wallet_core.jose import jws
from wallet_core.keys.jwk import parse_private_jwk
from wallet_core.keys.signer import SoftwareSigner

KEYS = vectors.load("sd_jwt_vc", "keys.json")
ISSUER = SoftwareSigner.from_key(parse_private_jwk(KEYS["issuer_key"]))
HOLDER = SoftwareSigner.from_key(parse_private_jwk(KEYS["holder_key"]))
CATALOGUE = load_catalogue()
METADATA = {case["id"]: case["value"] for case in vectors.load("sd_jwt_vc", "metadata_examples.json")["examples"]}


def verify(text: str, key_binding: dict[str, Any] | None, now: datetime) -> SdJwtVc:
    sd_jwt = parse_sd_jwt(text)
    if key_binding is None:
        return validate_sd_jwt_vc(verify_sd_jwt(sd_jwt, issuer_key=ISSUER.public_key, now=now))
    verified = verify_sd_jwt_kb(
        sd_jwt, issuer_key=ISSUER.public_key, audience=key_binding["aud"], nonce=key_binding["nonce"], now=now
    )
    return validate_sd_jwt_vc(verified)


@pytest.mark.parametrize("case", vectors.cases("sd_jwt_vc", "examples.json", "examples"))
def test_example(case: dict[str, Any]) -> None:
    key_binding = case.get("kb_jwt_payload")
    now = datetime.fromtimestamp(key_binding["iat"] if key_binding else 1700000000, UTC)
    if "presentation" in case:
        credential = verify(case["presentation"], key_binding, now)
        assert credential.claims == case["processed_payload"]
        assert credential.vct == case["issuer_payload"]["vct"]
        assert credential.key_binding == key_binding
        assert credential.holder_key == (HOLDER.public_key if "cnf" in case["issuer_payload"] else None)
    if "sd_jwt" in case:
        assert verify(case["sd_jwt"], None, now).claims == case["processed_payload_all_disclosed"]
        assert index_sd_jwt(case["sd_jwt"]).claims == case["processed_payload_all_disclosed"]


def validate(payload: dict[str, Any]) -> SdJwtVc:
    header = jws.encode_header(METADATA["s2_2_1_1"])
    text = create_sd_jwt(claims=payload, selectively_disclosable=(), encoded_header=header, signer=ISSUER, random=bytes)
    return verify(text, None, datetime(2026, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize("case", vectors.cases("sd_jwt_vc", "metadata_examples.json", "examples"))
def test_example_of_claims(case: dict[str, Any]) -> None:
    payload = case["value"] if "alg" not in case["value"] else {"vct": "urn:example"}
    assert validate(payload).claims == payload


@pytest.mark.parametrize("type_id", CATALOGUE.types)
def test_type_metadata_of_the_catalogue(type_id: str) -> None:
    document = CATALOGUE.types[type_id].type_metadata()
    jsonschema.validate(document, vectors.load("sd_jwt_vc", "type_metadata.schema.json"))
    assert document["vct"] == CATALOGUE.types[type_id].vct


def test_aka_vcts_must_not_repeat_vct() -> None:
    payload = METADATA["s2_2_2_2_3"]
    with pytest.raises(VerificationError) as refused:
        validate({**payload, "aka_vcts": [payload["vct"]]})
    assert refused.value.step == 16
