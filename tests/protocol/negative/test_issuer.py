"""An issuer that breaks one rule of OpenID4VCI each, as a wallet meets it."""

import json
from typing import Any

import pytest

from tests.simulators import run_flow
from tests.simulators.issuer import GRANT, NOW, SimulatedIssuer
from wallet_core.encoding import base64url
from wallet_core.errors import MalformedError
from wallet_core.http import HttpResponse
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.protocols.openid4vci.proof_way import ProofWay, choose_proof_way
from wallet_core.protocols.openid4vci.wallet import ResolvedOffer, receive_credentials, request_proofs, resolve_offer

LINK = "openid-credential-offer://?credential_offer_uri=https%3A%2F%2Fissuer.example%2Foffer"
KEY = SoftwareSigner.generate()


def resolve(issuer: SimulatedIssuer) -> ResolvedOffer:
    return run_flow(resolve_offer(LINK), issuer)


def licence(issuer: SimulatedIssuer) -> dict[str, Any]:
    configuration: dict[str, Any] = issuer.metadata["credential_configurations_supported"]["licence"]
    return configuration


def with_claims(*paths: list[Any]) -> SimulatedIssuer:
    issuer = SimulatedIssuer()
    licence(issuer)["credential_metadata"]["claims"] = [{"path": path} for path in paths]
    return issuer


def test_claims_that_agree() -> None:
    agreeing = (["name"], ["address"], ["address", "region"], ["classes"], ["classes", None], ["pair", 0], ["pair", 1])
    assert resolve(with_claims(*agreeing)).configurations


@pytest.mark.clause("vci-B.3-repeated")
def test_a_claim_described_twice() -> None:
    with pytest.raises(MalformedError, match="same path"):
        resolve(with_claims(["name"], ["address"], ["name"]))


@pytest.mark.clause("vci-B.3-contradictory")
@pytest.mark.parametrize(
    ("one", "other"),
    [(["a", None], ["a", 0]), (["a", None], ["a", "b"]), (["a", 0], ["a", "b"]), (["a", "b", None], ["a", "b", "c"])],
)
def test_claims_that_contradict_one_another(one, other) -> None:
    with pytest.raises(MalformedError, match="contradict"):
        resolve(with_claims(one, other))


@pytest.mark.clause("dcql-7-path", "dcql-7-component")
@pytest.mark.parametrize("path", [[], None, "name", ["a", -1], ["a", True], ["a", {}]])
def test_a_claim_whose_path_is_none(path) -> None:
    with pytest.raises(MalformedError):
        resolve(with_claims(path))


def way_of(issuer: SimulatedIssuer) -> ProofWay | None:
    return choose_proof_way(resolve(issuer).configurations[0])


def test_the_proof_that_everybody_takes() -> None:
    assert way_of(SimulatedIssuer()) == ProofWay("jwt", ("ES256",))


@pytest.mark.clause("vci-12.2.4-unattested-jwk")
@pytest.mark.parametrize("change", [{"cryptographic_binding_methods_supported": ["did:key"]}, {"format": "mso_mdoc"}])
def test_a_binding_method_that_this_wallet_has_not(change: dict[str, Any]) -> None:
    issuer = SimulatedIssuer()
    # The format asks for cose_key where it is an mdoc.
    licence(issuer).update(change, doctype="org.example.licence")
    assert way_of(issuer) is None
    with pytest.raises(MalformedError, match="no key proof"):
        run_flow(request_proofs(resolve(issuer), {"licence": [KEY.public_key]}, tx_code="123456", now=NOW), issuer)


def test_a_proof_type_that_this_wallet_has_not() -> None:
    issuer = SimulatedIssuer()
    licence(issuer)["proof_types_supported"] = {"di_vp": {"proof_signing_alg_values_supported": ["ES256"]}}
    assert way_of(issuer) is None


@pytest.mark.clause("vci-12.2.4-proof-algorithms")
@pytest.mark.parametrize("values", [[], None, "ES256", [7]])
@pytest.mark.parametrize("proof_type", ["jwt", "attestation"])
def test_a_proof_type_without_algorithms(proof_type: str, values: Any) -> None:
    issuer = SimulatedIssuer()
    licence(issuer)["proof_types_supported"] = {proof_type: {"proof_signing_alg_values_supported": values}}
    with pytest.raises(MalformedError):
        way_of(issuer)
    # Others of the same offer can be had.
    assert choose_proof_way(resolve(issuer).configurations[1]) is not None


@pytest.mark.clause("vci-8.3-deferred")
def test_an_answer_that_comes_later() -> None:
    issuer = SimulatedIssuer()
    offer = resolve(issuer)
    pending = run_flow(request_proofs(offer, {"licence": [KEY.public_key]}, tx_code="123456", now=NOW), issuer)
    body = json.dumps({"transaction_id": "t", "interval": 5}).encode()
    issuer.refuse["/agencies/police/credential"] = HttpResponse(202, {"content-type": "application/json"}, body)
    signature = KEY.sign(pending.proofs[0].signing_input)
    with pytest.raises(MalformedError, match="defers"):
        run_flow(receive_credentials(pending, [signature], now=NOW), issuer)


@pytest.mark.clause("vci-4.1.1-tx-code-object")
def test_an_offer_without_tx_code_asks_for_none() -> None:
    issuer = SimulatedIssuer()
    del issuer.offer["grants"][GRANT]["tx_code"]
    assert not resolve(issuer).needs_tx_code
    issuer.offer["grants"][GRANT]["tx_code"] = {}
    assert resolve(issuer).needs_tx_code


@pytest.mark.clause("vci-4.1.3-json")
@pytest.mark.parametrize("content_type", ["application/jwt", "text/html", ""])
def test_an_offer_by_reference_that_is_not_json(content_type: str) -> None:
    issuer = SimulatedIssuer()
    assert resolve(issuer).offer.credential_issuer == issuer.offer["credential_issuer"]
    # OpenID4VCI 4.1.3: an offer is never signed, and one with the algorithm none is no better.
    unsigned = ".".join(base64url.encode(json.dumps(part).encode()) for part in ({"alg": "none"}, issuer.offer)) + "."
    for body in (json.dumps(issuer.offer).encode(), unsigned.encode()):
        issuer.refuse["/offer"] = HttpResponse(200, {"content-type": content_type}, body)
        with pytest.raises(MalformedError, match="application/json"):
            resolve(issuer)


@pytest.mark.clause("vci-12.2.4-encryption-required")
@pytest.mark.parametrize("required", [None, "yes", 0])
def test_encryption_required_that_is_no_truth_value(required) -> None:
    issuer = SimulatedIssuer()
    issuer.metadata["credential_response_encryption"] = {
        "alg_values_supported": ["ECDH-ES"],
        "enc_values_supported": ["A128GCM"],
        "encryption_required": False,
    }
    assert resolve(issuer)
    issuer.metadata["credential_response_encryption"]["encryption_required"] = required
    with pytest.raises(MalformedError, match="encryption_required"):
        resolve(issuer)


@pytest.mark.clause("vci-12.2.4-batch-size")
def test_without_a_batch_size_there_is_one_copy() -> None:
    issuer = SimulatedIssuer()
    issuer.metadata.pop("batch_credential_issuance", None)
    assert resolve(issuer).issuer.batch_size == 1
    issuer.metadata["batch_credential_issuance"] = {"batch_size": 1}
    with pytest.raises(MalformedError, match="batch_size"):
        resolve(issuer)
