"""SD-JWT VC: the rules beyond RFC 9901."""

from datetime import timedelta
from typing import Any

import pytest

from tests.support.sd_jwt import HOLDER, NOW, digest, disclosure, issue, payload, present, sign, verify, verify_kb
from wallet_core.errors import VerificationError
from wallet_core.formats.sd_jwt.vc import validate_sd_jwt_vc

SECONDS = int(NOW.timestamp())


def test_a_credential() -> None:
    credential = validate_sd_jwt_vc(verify_kb(present([("given_name",)])))
    assert credential.vct == "urn:jigap:vct:test:1"
    assert credential.issuer == "https://issuer.example/agencies/test"
    assert credential.holder_key == HOLDER.public_key
    assert credential.issued_at == NOW
    assert credential.not_before is None
    assert credential.expires_at == NOW + timedelta(days=30)
    assert credential.status is None
    assert credential.claims["given_name"] == "하나"
    assert credential.disclosed == (("given_name",),)
    assert credential.key_binding is not None


def test_without_key_binding_the_holder_key_is_still_read() -> None:
    credential = validate_sd_jwt_vc(verify(issue()))
    assert credential.holder_key == HOLDER.public_key
    assert credential.key_binding is None
    assert validate_sd_jwt_vc(verify(issue(holder_key=None))).holder_key is None


def test_a_status_is_handed_on_for_the_caller_to_look_up() -> None:
    status = {"status_list": {"idx": 1, "uri": "https://issuer.example/status/1"}}
    assert validate_sd_jwt_vc(verify(sign(payload(status=status)))).status == status


@pytest.mark.clause("sdjwtvc-2.2.1-typ")
@pytest.mark.parametrize("typ", ["vc+sd-jwt", "JWT", "application/dc+sd-jwt", None])
def test_type_of_token(typ: Any) -> None:
    with pytest.raises(VerificationError) as refused:
        validate_sd_jwt_vc(verify(sign(payload(), typ=typ)))
    assert refused.value.step == 14


@pytest.mark.clause("sdjwtvc-2.2.2.2-never-hidden")
@pytest.mark.parametrize("name", ["iss", "nbf", "exp", "vct#integrity", "aka_vcts", "cnf"])
def test_registered_claims_never_hidden(name: str) -> None:
    values: dict[str, Any] = {"nbf": SECONDS, "exp": SECONDS + 60, "aka_vcts": ["urn:x"], "cnf": payload()["cnf"]}
    hidden = disclosure("salt", name, values.get(name, "text"))
    claims = {**payload(_sd=[digest(hidden)])}
    claims.pop(name, None)
    with pytest.raises(VerificationError) as refused:
        validate_sd_jwt_vc(verify(sign(claims, [hidden])))
    assert refused.value.step == 15


@pytest.mark.clause("sdjwtvc-2.2.2.2-never-hidden")
@pytest.mark.parametrize(
    "changes",
    [
        {"cnf": {**payload()["cnf"], "_sd": ["x"]}},
        {"cnf": {"jwk": {**payload()["cnf"]["jwk"], "_sd": ["x"]}}},
        {"status": {"status_list": {"_sd": ["x"]}}},
        {"aka_vcts": ["urn:x", {"...": "x"}]},
    ],
)
def test_nothing_may_be_hidden_inside_them(changes: dict[str, Any]) -> None:
    with pytest.raises(VerificationError) as refused:
        validate_sd_jwt_vc(verify(sign(payload(**changes))))
    assert refused.value.step == 15


@pytest.mark.clause("sdjwtvc-2.2.2-vct", "sdjwtvc-2.2.2-aka-vcts", "sdjwtvc-2.2.2-cnf", "rfc9901-7.1-times-are-numbers")
@pytest.mark.parametrize(
    ("step", "changes"),
    [
        (16, {"vct": ""}),
        (16, {"vct": None}),
        (16, {"vct": ["urn:x"]}),
        (16, {"vct#integrity": 1}),
        (16, {"iss": ["https://issuer.example"]}),
        (16, {"iss": None}),
        (16, {"status": "valid"}),
        (16, {"status": None}),
        (16, {"aka_vcts": []}),
        (16, {"aka_vcts": "urn:x"}),
        (16, {"aka_vcts": [1]}),
        (16, {"aka_vcts": ["urn:jigap:vct:test:1"]}),
        (17, {"cnf": None}),
        (17, {"cnf": {}}),
        (17, {"cnf": {"kid": "1"}}),
        (17, {"cnf": {"jwk": {"kty": "RSA"}}}),
        (18, {"iat": "now"}),
        (18, {"iat": 10**15}),
        (18, {"nbf": -(10**15)}),
        (18, {"exp": 1e300}),
    ],
    ids=str,
)
def test_types(step: int, changes: dict[str, Any]) -> None:
    with pytest.raises(VerificationError) as refused:
        validate_sd_jwt_vc(verify(sign(payload(**changes))))
    assert refused.value.step == step


def test_optional_claims_of_the_right_type() -> None:
    claims = payload(**{"aka_vcts": ["urn:x"], "vct#integrity": "sha256-x", "iat": SECONDS + 0.5, "nbf": SECONDS})
    claims.pop("iss")
    credential = validate_sd_jwt_vc(verify(sign(claims)))
    assert credential.issuer is None
    assert credential.not_before == NOW
