"""Other people's mdoc and COSE, as a program: one JSON object in, one out.

It runs in an environment of its own (``make venv-interop``), since these packages need an older ``cbor2`` than ours.
Keys are of the tests alone. Binary values are hex.
"""

import json
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import cbor2
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from cryptography.x509 import load_der_x509_certificate
from cwt import COSE, COSEKey
from isomdoc import create_mdoc, verify_device_response
from pymdoccbor.mdoc.issuer import MdocCborIssuer
from pymdoccbor.mdoc.verifier import MdocCbor


def plain(value: Any) -> Any:
    """Return a value as JSON: bytes as hex, dates as their text."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {str(key): plain(element) for key, element in value.items()}
    if isinstance(value, list | tuple):
        return [plain(element) for element in value]
    return value if isinstance(value, bool | int | str) or value is None else str(value)


def isomdoc_verify(task: dict[str, Any]) -> dict[str, Any]:
    """Verify a DeviceResponse and return its elements."""
    transcript = cbor2.loads(bytes.fromhex(task["session_transcript"]))
    response = verify_device_response(bytes.fromhex(task["device_response"]), transcript)
    return {
        document.doctype: {
            name_space: {item.element_identifier: plain(item.element_value) for item in items}
            for name_space, items in document.issuer_signed.namespaces.items()
        }
        for document in response.documents
    }


def isomdoc_issue(task: dict[str, Any]) -> str:
    """Return an IssuerSigned."""
    certificate = load_der_x509_certificate(bytes.fromhex(task["certificate"]))
    mdoc = create_mdoc(task["doc_type"], [certificate], load_pem_private_key(task["issuer"].encode(), None))
    for name_space, elements in task["name_spaces"].items():
        for element, value in elements.items():
            mdoc.add_data_item(name_space, element, value)
    at = datetime.fromisoformat(task["at"])
    return mdoc.generate_credential(load_pem_public_key(task["device"].encode()), at, at, at + timedelta(days=30)).hex()


def pymdoccbor_verify(task: dict[str, Any]) -> bool:
    """Return whether IssuerAuth and the digests of a DeviceResponse verify."""
    mdoc = MdocCbor()
    mdoc.loads(bytes.fromhex(task["device_response"]))
    return mdoc.verify()


def pymdoccbor_issue(task: dict[str, Any]) -> str:
    """Return an IssuerSigned, under a certificate that the library makes."""
    d, x, y = (bytes.fromhex(task["issuer"][name]) for name in ("d", "x", "y"))
    device = {name.upper(): bytes.fromhex(task["device"][name]) for name in ("x", "y")}
    issuer = MdocCborIssuer(
        private_key={"KTY": "EC2", "CURVE": "P_256", "ALG": "ES256", "D": d, "X": x, "Y": y, "KID": b"kid"},
        alg="ES256",
        cert_info={
            "country_name": "KR",
            "state_or_province_name": "Seoul",
            "locality_name": "Seoul",
            "organization_name": "Test",
            "common_name": "Test",
            "not_valid_before": datetime(2026, 1, 1, tzinfo=UTC),
            "not_valid_after": datetime(2099, 12, 31, tzinfo=UTC),
            "san_url": "https://issuer.example",
        },
    )
    signed = issuer.new(
        doctype=task["doc_type"],
        data=task["name_spaces"],
        devicekeyinfo={"KTY": "EC2", "CURVE": "P_256", **device},
        validity=task["validity"],
    )
    return cbor2.dumps(signed["documents"][0]["issuerSigned"]).hex()


def cwt_verify(task: dict[str, Any]) -> str:
    """Return the payload of a tagged COSE message that verifies."""
    detached = task.get("detached_payload")
    return (
        COSE.new()
        .decode(
            bytes.fromhex(task["message"]),
            cose_key(task["key"]),
            detached_payload=None if detached is None else bytes.fromhex(detached),
        )
        .hex()
    )


def cwt_sign(task: dict[str, Any]) -> str:
    """Return a tagged COSE message over a payload."""
    return COSE.new(alg_auto_inclusion=True).encode(bytes.fromhex(task["payload"]), cose_key(task["key"])).hex()


def cose_key(key: dict[str, Any]) -> Any:
    """Return a key of ``cwt``: from a JWK, or an HMAC key from hex."""
    if "hmac" in key:
        return COSEKey.from_symmetric_key(bytes.fromhex(key["hmac"]), alg="HS256")
    return COSEKey.from_jwk(key)


TASKS = {
    function.__name__: function
    for function in (isomdoc_verify, isomdoc_issue, pymdoccbor_verify, pymdoccbor_issue, cwt_verify, cwt_sign)
}


def main() -> None:
    """Do each task of the list on stdin; say of each what came out or what was raised."""
    answers = []
    for task in json.load(sys.stdin):
        try:
            answers.append({"result": TASKS[task["do"]](task)})
        except Exception as exc:  # noqa: BLE001 - what their library raises is the answer
            answers.append({"error": f"{type(exc).__name__}: {exc}"})
    json.dump(answers, sys.stdout)


main()
