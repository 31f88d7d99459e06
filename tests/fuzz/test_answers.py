"""Only WalletError leaves what reads and judges answers, files that are handed in and fetched lists, past the wrapping.

Everybody's keys are those of one invented world, so that a message with changes is signed again by whoever has to.
"""

from datetime import datetime
from random import Random
from typing import Any

import pytest

from tests.fuzz import test_parsers as parsers
from tests.fuzz.test_parsers import Form, Target, Token, only_wallet_errors
from tests.protocol.openid4vp import test_standalone as files
from tests.support.cbor_mutation import CborBytes, mutate_cbor
from tests.support.file_checks import CWT, JWT, URI, Lists
from tests.support.mdoc_presentations import CLASSES, NAME, mdoc_query
from tests.support.mutation import encode, json_bytes, mutate_json
from tests.support.presentations import NOW, query
from tests.support.registering import register
from wallet_core.cose import sign1
from wallet_core.encoding import base64url, cbor
from wallet_core.errors import WalletError
from wallet_core.formats.mdoc.holder import create_document, index_mdoc
from wallet_core.formats.sd_jwt.holder import create_key_binding, index_sd_jwt
from wallet_core.formats.sd_jwt.verifier import parse_sd_jwt, verify_sd_jwt
from wallet_core.jose import jwe, jws
from wallet_core.protocols.openid4vp.asking import read_response
from wallet_core.protocols.openid4vp.client_id import ClientIdentifier, ClientIdPrefix, verify_attested_client
from wallet_core.protocols.openid4vp.dcql import parse_dcql_query
from wallet_core.protocols.openid4vp.mdoc import verify_presentation
from wallet_core.protocols.openid4vp.presented import Expectation
from wallet_core.protocols.openid4vp.standalone import GivenKind, recognise, verify_given
from wallet_core.protocols.openid4vp.validation import validate_vp_token
from wallet_core.protocols.openid4vp.verifier_attestation import read_own_attestation
from wallet_core.spec_versions import DOCTYPE_MDL
from wallet_core.trust.anchors import AnchorPurpose
from wallet_core.trust.status_list.reading import read_status_list
from wallet_core.trust.x509 import TrustedCertificate, verify_chain
from wallet_core.types import DocType

WORLD, SESSION = files.WORLD, files.SESSION
ANCHORS = WORLD.anchors
QUERY = parse_dcql_query(
    {
        "credentials": [
            *query(("name",), ("age_over_19",), ("address",), ("classes", None), ("licence_no",))["credentials"],
            *mdoc_query(NAME, CLASSES)["credentials"],
        ],
        "credential_sets": [{"options": [["licence"], ["mdl"]]}],
    }
)


def of_issuers(chain: Any, at: datetime) -> TrustedCertificate:
    return verify_chain(chain, ANCHORS, purpose=AnchorPurpose.CREDENTIAL_ISSUER, at=at)


def of_mdocs(chain: Any, at: datetime) -> TrustedCertificate:
    return verify_chain(chain, ANCHORS, purpose=AnchorPurpose.MDL_ISSUER, at=at)


# --- a credential with changes, signed again by its issuer and its holder ---------------------------------------------

SD_JWT = parse_sd_jwt(files.sd_jwt())


def bound(sd_jwt: str) -> str:
    held = index_sd_jwt(sd_jwt)
    assert SESSION.audience is not None
    assert SESSION.nonce is not None
    pending = create_key_binding(
        held,
        held.paths,
        audience=SESSION.audience,
        nonce=SESSION.nonce,
        issued_at=NOW,
        algorithm=WORLD.holder.algorithm,
    )
    return pending.attach(WORLD.holder.sign(pending.signing_input))


def as_sd_jwt(random: Random) -> str:
    """A credential with a changed header or payload; a holder of ours presents it if it can be held."""
    header, payload = SD_JWT.issuer_jws.header, SD_JWT.issuer_jws.claims()
    changed_header = mutate_json(random, header) if random.random() < 0.2 else header
    changed_payload = payload if changed_header is not header else mutate_json(random, payload)
    data = f"{encode(changed_header)}.{encode(changed_payload)}".encode()
    text = "~".join([jws.attach_signature(data, WORLD.agency.signer.sign(data)), *SD_JWT.disclosures, ""])
    if random.random() < 0.3:
        return text
    try:
        return bound(text)
    except WalletError:
        return text


def as_device_response(random: Random) -> bytes:
    """An mdoc with a changed MSO, signed by its issuer; a device of ours presents it if it can be held."""
    parsed = cbor.loads_map(files.ISSUER_SIGNED)
    protected, unprotected, payload, _ = parsed["issuerAuth"]
    mso = mutate_cbor(random, cbor.loads(cbor.loads(payload).value))
    data = cbor.embed(cbor.dumps(mso))
    signature = WORLD.mdocs.signer.sign(sign1.sig_structure(protected, data))
    parsed["issuerAuth"] = [protected, unprotected, data, signature]
    encoded = cbor.dumps(parsed)
    try:
        held = index_mdoc(encoded)
        pending = create_document(
            held, [NAME, CLASSES], session_transcript=SESSION.transcript(), algorithm=WORLD.holder.algorithm
        )
        return pending.attach(WORLD.holder.sign(pending.signing_input))
    except WalletError:
        return encoded


# --- what is called ---------------------------------------------------------------------------------------------------


def check_given(data: bytes) -> None:
    verify_given(recognise(data), files.demands(session=SESSION), now=NOW)


def check_bare(data: bytes) -> None:
    verify_given(recognise(data), files.demands(query=QUERY), now=NOW)


def check_issued(text: str) -> None:
    verify_sd_jwt(parse_sd_jwt(text), issuer_key=WORLD.agency.signer.public_key, now=NOW)


def check_vp_token(query_id: str, text: str) -> None:
    assert SESSION.audience is not None
    assert SESSION.nonce is not None
    expected = Expectation(
        query=QUERY,
        client_id=SESSION.audience,
        nonce=SESSION.nonce,
        verify_chain=of_issuers,
        verify_mdoc_chain=of_mdocs,
        session_transcript=SESSION.transcript(),
    )
    validate_vp_token({query_id: [text]}, expected, now=NOW)  # type: ignore[dict-item]


def check_presented_mdoc(data: bytes) -> None:
    verify_presentation(
        base64url.encode(data),
        doc_type=DocType(DOCTYPE_MDL),
        session_transcript=SESSION.transcript(),
        verify_chain=of_mdocs,
        now=NOW,
        leeway=files.demands().leeway,
    )


IN_CLEAR, ENCRYPTED = WORLD.request(encrypted=False), WORLD.request()
ANSWER = {"vp_token": {"licence": ["a~"]}, "state": "request-1"}
FORM = "application/x-www-form-urlencoded"


def read(request: Any, body: bytes) -> None:
    read_response(request, FORM, body, open_key=lambda: WORLD.encryption_key)


def sealed(plaintext: bytes) -> str:
    assert ENCRYPTED.encryption is not None
    return jwe.encrypt(plaintext, ENCRYPTED.encryption.jwk, enc="A128GCM")


def as_sealed_answer(random: Random) -> bytes:
    return f"response={sealed(json_bytes(mutate_json(random, ANSWER)))}".encode()


LISTS = Lists(WORLD, lambda: NOW)
NAMES = {"jwt": (URI, JWT), "cwt": (URI, CWT)}


def check_list(kind: str, token: bytes) -> None:
    verify_signer = of_issuers if kind == "jwt" else of_mdocs
    read_status_list(token, NAMES[kind], verify_signer=verify_signer, fetched_at=NOW, now=NOW)


REGISTER = register()
ATTESTATION = REGISTER.attestation()
ATTESTED = ClientIdentifier(ClientIdPrefix.VERIFIER_ATTESTATION, str(jws.parse(ATTESTATION).claims()["sub"]))


def check_attested(token: Any) -> None:
    verify_attested_client(ATTESTED, token, REGISTER.anchors, at=parsers.REGISTERED_AT)


def texts(call: Any) -> Any:
    """What is called with the bytes of a text."""
    return lambda text: call(text.encode(errors="surrogatepass"))


PRESENTED = files.GIVEN[GivenKind.SD_JWT_KB].decode()
RESPONSE = files.GIVEN[GivenKind.DEVICE_RESPONSE]
TARGETS = {
    "given.sd_jwt": Target(texts(check_given), Token(PRESENTED)),
    "given.sd_jwt.signed": Target(texts(check_given), as_sd_jwt),
    "given.sd_jwt.bare": Target(texts(check_bare), Token(files.sd_jwt())),
    "given.mdoc": Target(check_given, CborBytes(RESPONSE)),
    "given.mdoc.signed": Target(check_given, as_device_response),
    "given.mdoc.bare": Target(check_bare, CborBytes(files.ISSUER_SIGNED)),
    "sd_jwt.issued": Target(check_issued, Token(files.sd_jwt())),
    "vp_token.sd_jwt": Target(lambda text: check_vp_token("licence", text), Token(PRESENTED)),
    "vp_token.sd_jwt.signed": Target(lambda text: check_vp_token("licence", text), as_sd_jwt),
    "vp_token.mdoc": Target(lambda data: check_vp_token("mdl", base64url.encode(data)), CborBytes(RESPONSE)),
    "vp_token.mdoc.signed": Target(lambda data: check_vp_token("mdl", base64url.encode(data)), as_device_response),
    "presented_mdoc": Target(check_presented_mdoc, CborBytes(RESPONSE)),
    "answer": Target(lambda body: read(IN_CLEAR, body), Form({"vp_token": '{"licence":["a~"]}', "state": "request-1"})),
    "answer.encrypted": Target(
        lambda token: read(ENCRYPTED, b"response=" + token.encode(errors="surrogatepass")),
        Token(sealed(json_bytes(ANSWER))),
    ),
    "answer.sealed": Target(lambda body: read(ENCRYPTED, body), as_sealed_answer),
    "status_list.jwt": Target(texts(lambda token: check_list("jwt", token)), Token(LISTS.token(URI, JWT).decode())),
    "status_list.cwt": Target(lambda token: check_list("cwt", token), CborBytes(LISTS.token(URI, CWT))),
    "verifier_attestation.client": Target(check_attested, Token(ATTESTATION)),
    "verifier_attestation.own": Target(read_own_attestation, Token(ATTESTATION)),
}


@pytest.mark.parametrize("name", [name for name, target in TARGETS.items() if hasattr(target.draw, "valid")])
def test_the_message_that_is_changed_is_a_good_one(name: str) -> None:
    target = TARGETS[name]
    target.call(target.draw.valid)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", [name for name in TARGETS if name.endswith((".signed", ".sealed"))])
def test_what_is_signed_again_can_be_good(name: str) -> None:
    random = Random(0)  # noqa: S311 - reproducible, nothing secret
    accepted = 0
    for _ in range(200):
        try:
            TARGETS[name].call(TARGETS[name].draw(random))
        except WalletError:
            continue
        accepted += 1
    assert accepted


# The library warns of odd certificates where it does not refuse them; a warning is no exception in production.
@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
@pytest.mark.fuzz
@pytest.mark.parametrize("name", TARGETS)
def test_only_wallet_errors_leave(name: str, fuzz_seconds: float) -> None:
    only_wallet_errors(TARGETS[name], fuzz_seconds)
