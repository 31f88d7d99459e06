"""Holding: what a wallet knows of a credential, and what a choice of claims takes along."""

import json

import pytest

from tests.support.sd_jwt import (
    AUDIENCE,
    CLAIMS,
    HOLDER,
    NONCE,
    NOW,
    disclosure,
    every_path,
    issue,
    present,
    sign,
    verify,
    verify_kb,
)
from wallet_core.encoding import base64url
from wallet_core.errors import MalformedError, VerificationError
from wallet_core.formats.sd_jwt.holder import HeldSdJwt, create_key_binding, index_sd_jwt
from wallet_core.formats.sd_jwt.verifier import parse_sd_jwt


def shown(held: HeldSdJwt, *paths: tuple[str | int, ...]) -> dict[str, object]:
    claims = verify(held.select(paths)).claims
    return {name: claims[name] for name in CLAIMS if name in claims}


def test_index() -> None:
    text = issue()
    held = index_sd_jwt(text)
    assert {name: held.claims[name] for name in CLAIMS} == CLAIMS
    assert set(held.paths) == {
        ("family_name",),
        ("given_name",),
        ("address", "street_address"),
        ("address",),
        ("licence_classes", 0),
        ("licence_classes", 1),
    }
    assert held.text == text
    assert held.header["typ"] == "dc+sd-jwt"


@pytest.mark.clause("rfc9901-7.2-parents")
def test_what_a_choice_takes_along() -> None:
    held = index_sd_jwt(issue())
    open_claims = {"licence_classes": [], "portrait": "AAAA"}
    assert shown(held) == open_claims
    assert shown(held, ("portrait",)) == open_claims
    assert shown(held, ("family_name",)) == {**open_claims, "family_name": "시험"}
    # A child brings its parent, but not its hidden siblings; a parent brings its children.
    assert shown(held, ("address", "region")) == {**open_claims, "address": {"region": "서울특별시"}}
    assert shown(held, ("address", "street_address"))["address"] == CLAIMS["address"]
    assert shown(held, ("address",))["address"] == CLAIMS["address"]
    assert shown(held, ("licence_classes", 1))["licence_classes"] == ["2종소형"]
    assert shown(held, ("licence_classes",))["licence_classes"] == CLAIMS["licence_classes"]


def test_order_and_number_of_disclosures() -> None:
    held = index_sd_jwt(issue())
    both = held.select([("given_name",), ("family_name",), ("family_name",)])
    shown = [
        text for text in held.disclosures if json.loads(base64url.decode(text))[1] in ("family_name", "given_name")
    ]
    assert [*parse_sd_jwt(both).disclosures] == shown
    assert len(shown) == 2
    assert held.select(every_path(held.claims)) == held.text


@pytest.mark.parametrize(
    "path", [("other",), ("address", "other"), ("licence_classes", 2), ("licence_classes", -1), (), ("family_name", 0)]
)
def test_a_path_that_is_not_there(path: tuple[str | int, ...]) -> None:
    with pytest.raises(ValueError, match="path"):
        index_sd_jwt(issue()).select([path])


@pytest.mark.clause("rfc9901-7.2-no-kb-from-issuer")
def test_a_key_binding_from_an_issuer_is_refused() -> None:
    with pytest.raises(MalformedError) as refused:
        index_sd_jwt(present([]))
    assert refused.value.clause == "RFC 9901 7.2"


def test_disclosures_that_do_not_belong() -> None:
    with pytest.raises(VerificationError) as refused:
        index_sd_jwt(sign({"a": 1}, [disclosure("salt", "b", 2)]))
    assert refused.value.step == 5
    with pytest.raises(MalformedError):
        index_sd_jwt(sign([]))


def test_transaction_data() -> None:
    held = index_sd_jwt(issue())
    to_sign = create_key_binding(
        held,
        [],
        audience=AUDIENCE,
        nonce=NONCE,
        issued_at=NOW,
        algorithm=HOLDER.algorithm,
        transaction_data_hashes=["fOBUSQvo46yQO-wRwXBcGqvnbKIueISEL961_Sjd4do"],
        transaction_data_hashes_alg="sha-256",
    )
    key_binding = verify_kb(to_sign.attach(HOLDER.sign(to_sign.signing_input))).key_binding
    assert key_binding is not None
    assert key_binding["transaction_data_hashes"] == ["fOBUSQvo46yQO-wRwXBcGqvnbKIueISEL961_Sjd4do"]
    assert key_binding["transaction_data_hashes_alg"] == "sha-256"
