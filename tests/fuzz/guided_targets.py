"""What the guided engine calls: every target of the neighbours, and more, as functions of bytes.

A target of the neighbours draws its messages from a ``Random``. Here a message is made from the bytes of the engine: as
they are, as the text or the value they encode, sealed or signed first where a signature would stop them at the door,
or, where a message is put together by a function, by letting the bytes take the place of chance.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from io import BytesIO
from random import Random
from typing import Any
from urllib.parse import quote

import qrcode

from holder_app.links import parse_link
from tests.fuzz import test_answers as answers
from tests.fuzz import test_flows as flows
from tests.fuzz import test_iso18013 as iso
from tests.fuzz import test_parsers as parsers
from tests.fuzz import test_returned as returned
from tests.support import mdoc, status_lists
from tests.support import sd_jwt as samples
from tests.support.cbor_mutation import CborBytes, CborValue, as_response
from tests.support.mutation import encode, json_bytes, mutate_text
from tests.support.verification_records import PAYLOAD, resealed
from tests.unit.trust.status_list.test_cwt import made as made_cwt
from wallet_core import spec_versions as spec
from wallet_core.adapters.config import read_catalogue_texts
from wallet_core.adapters.http import parse_target
from wallet_core.adapters.qr import read_qr
from wallet_core.catalogue import parse_catalogue, parse_text
from wallet_core.catalogue.paths import parse_path_text
from wallet_core.catalogue.records import Record, format_records, parse_records
from wallet_core.cose import sign1
from wallet_core.encoding import base64url, cbor, strict_json
from wallet_core.errors import WalletError
from wallet_core.formats.mdoc.structures import parse_mso
from wallet_core.formats.sd_jwt.verifier import parse_sd_jwt
from wallet_core.jose import jws
from wallet_core.protocols.iso18013 import ephemeral
from wallet_core.protocols.iso18013.engagement import format_qr
from wallet_core.protocols.iso18013.session import (
    create_session_data,
    create_session_establishment,
    parse_session_data,
    parse_session_establishment,
)
from wallet_core.protocols.openid4vp.client_id import parse_client_id
from wallet_core.protocols.openid4vp.registration import Registration
from wallet_core.protocols.openid4vp.verifier_info import parse_verifier_info
from wallet_core.trust.status_list.array import compress, decompress
from wallet_core.trust.status_list.cwt import parse_status_list_cwt, require_mdoc_profile
from wallet_core.trust.status_list.fetching import parse_aggregation
from wallet_core.trust.status_list.reference import StatusReference, parse_status
from wallet_core.trust.status_list.token import TokenParser, parse_status_list_jwt, verify_status_list_token
from wallet_core.trust.trust_list import parse_trust_list, trust_list_payload
from wallet_core.trust.vical import parse_vical
from wallet_core.trust.x509 import load_certificate
from wallet_core.types import AgencyId

Change = Callable[[Random, bytes], bytes]


@dataclass(frozen=True)
class GuidedTarget:
    """One function under test.

    Attributes:
        call: is given a message; only WalletErrors may leave it.
        seeds: bytes of valid messages.
        message: makes a message of bytes; what it refuses with a WalletError is none.
        change: makes one message of another in its structure; None leaves all changes to the engine.
        quiet: not even a WalletError may leave.
    """

    call: Callable[[Any], object]
    seeds: tuple[bytes, ...]
    message: Callable[[bytes], Any] = bytes
    change: Change | None = None
    quiet: bool = False

    def run(self, data: bytes) -> None:
        """Call the function with the message that ``data`` makes."""
        try:
            message = self.message(data)
        except WalletError:
            return
        try:
            self.call(message)
        except WalletError as exc:
            if self.quiet:
                raise AssertionError("something left what swallows everything") from exc


class Choices(Random):
    """Chance that is read from bytes, and is zero after their end."""

    def __init__(self, data: bytes) -> None:
        super().__init__(0)
        self._data, self._position = data, 0

    def getrandbits(self, k: int) -> int:
        """Return the next bits of the bytes."""
        start, self._position = self._position, self._position + (k + 7) // 8
        return int.from_bytes(self._data[start : self._position], "big") & ((1 << k) - 1)

    def random(self) -> float:
        """Return a number of [0, 1) from the next two bytes."""
        return self.getrandbits(16) / 65536


def change_cbor(random: Random, data: bytes) -> bytes:
    """Return CBOR with nodes or octets changed."""
    return CborBytes(data)(random)


def change_json(random: Random, data: bytes) -> bytes:
    """Return JSON with members or characters changed."""
    return parsers.JsonBytes(json.loads(data))(random)


def change_text(random: Random, data: bytes) -> bytes:
    """Return text with characters changed."""
    return bytes_of(mutate_text(random, text_of(data)))


def change_token(random: Random, data: bytes) -> bytes:
    """Return a token with one part changed."""
    return bytes_of(parsers.mutate_token(random, text_of(data)))


def text_of(data: bytes) -> str:
    """Return text; what is not UTF-8 becomes lone surrogates, which texts of strangers hold too."""
    return data.decode(errors="surrogateescape")


def bytes_of(text: str) -> bytes:
    """Return the bytes of text, whatever surrogates it holds."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def object_of(data: bytes) -> dict[str, Any]:
    """Return a JSON object; another value becomes the member of one."""
    value = strict_json.loads(data)
    return value if isinstance(value, dict) else {"": value}


def as_guided(target: parsers.Target) -> GuidedTarget:
    """Return a target of a neighbour in the form that takes bytes."""
    call, draw = target.call, target.draw
    valid = getattr(draw, "valid", None)
    if valid is None:
        return by_choices(call, draw)
    if isinstance(draw, CborValue):
        return GuidedTarget(call, (cbor.dumps(valid),), cbor.loads, change_cbor)
    if isinstance(valid, str):
        change = change_token if isinstance(draw, parsers.Token) else change_text
        return GuidedTarget(call, (valid.encode(),), text_of, change)
    if isinstance(valid, bytes):
        changes: dict[type, Change] = {
            CborBytes: change_cbor, parsers.VicalBytes: change_cbor,
            parsers.JsonBytes: change_json, parsers.Form: change_text,
        }  # fmt: skip
        return GuidedTarget(call, (valid,), change=changes.get(type(draw)))
    return GuidedTarget(call, (json_bytes(valid),), value_reader(draw), change_json)


def value_reader(draw: Any) -> Callable[[bytes], Any]:
    """Return how the value of a message is read from JSON."""
    if isinstance(draw, parsers.Parameters):
        return lambda data: parsers.request_parameters(object_of(data))
    return object_of if isinstance(draw, parsers.Members) else strict_json.loads


def by_choices(call: Callable[[Any], object], draw: Callable[[Random], Any]) -> GuidedTarget:
    """Return a target whose bytes are the choices of ``draw``. Kept cases of it last as long as ``draw`` does."""
    seeds = tuple(Random(number).randbytes(200) for number in range(16))  # noqa: S311 - reproducible, nothing secret
    return GuidedTarget(call, seeds, lambda data: draw(Choices(data)))


# --- ISO/IEC 18013-5 sessions: see test_iso18013.py -------------------------------------------------------------------


def sealed_request(request: bytes) -> bytes:
    at_reader = iso.scanned()
    _, data = iso.careless(at_reader.session.channel).seal(request)
    return create_session_establishment(at_reader.e_reader_key_bytes, data)


def sealed_answer(response: bytes) -> bytes:
    return create_session_data(iso.careless(iso.PAIR.device.session.channel).seal(response)[1])


def to_the_mdoc(message: bytes) -> None:
    iso.to_the_mdoc(message, iso.engaged())


def to_the_asking_mdoc(message: bytes) -> None:
    iso.to_the_mdoc(message, iso.ANSWER.state)


def to_the_reader(message: bytes) -> None:
    iso.to_the_reader(message, iso.PAIR.reader)


E_READER_KEY = cbor.loads(cbor.loads_map(iso.ESTABLISHMENT)["eReaderKey"].value)
SESSIONS = {
    "iso.qr": GuidedTarget(iso.parse_qr, (format_qr(iso.ENGAGEMENT).encode(),), text_of, change_text),
    "iso.engagement": GuidedTarget(iso.parse_device_engagement, (iso.ENGAGEMENT.encoded,), change=change_cbor),
    "iso.request": GuidedTarget(iso.parse_device_request, (iso.REQUEST,), change=change_cbor),
    "iso.key": GuidedTarget(
        lambda data: ephemeral.parse(data, what="key"), (cbor.dumps(E_READER_KEY),), change=change_cbor
    ),
    "iso.session_establishment": GuidedTarget(parse_session_establishment, (iso.ESTABLISHMENT,), change=change_cbor),
    "iso.session_data": GuidedTarget(parse_session_data, (iso.ANSWER.send,), change=change_cbor),
    "iso.establishment": GuidedTarget(to_the_mdoc, (iso.ESTABLISHMENT,), change=change_cbor, quiet=True),
    "iso.establishment.request": GuidedTarget(to_the_mdoc, (iso.REQUEST,), sealed_request, change_cbor, quiet=True),
    "iso.data.at_the_mdoc": GuidedTarget(to_the_asking_mdoc, (iso.ANSWER.send,), change=change_cbor, quiet=True),
    "iso.data.at_the_reader": GuidedTarget(to_the_reader, (iso.ANSWER.send,), change=change_cbor, quiet=True),
    "iso.data.answer": GuidedTarget(to_the_reader, (iso.RESPONSE,), sealed_answer, change_cbor, quiet=True),
    "iso.answer.leaves": GuidedTarget(iso.leaves, (iso.RESPONSE,), change=change_cbor),
}

# --- mdoc, SD-JWT VC and lists below their signature ------------------------------------------------------------------

ISSUER_AUTH = cbor.loads_map(mdoc.ISSUER_SIGNED)["issuerAuth"]


def mdoc_around(mso: bytes) -> bytes:
    """Return a DeviceResponse with this payload of its issuer's signature, which fits, as does the device's."""
    parsed = cbor.loads_map(mdoc.ISSUER_SIGNED)
    protected, unprotected, _, _ = ISSUER_AUTH
    parsed["issuerAuth"] = [protected, unprotected, mso, mdoc.ISSUER.sign(sign1.sig_structure(protected, mso))]
    return as_response(Choices(b"\0"), parsed)


SD_JWT = parse_sd_jwt(parsers.PRESENTATION)
BOUND_WELL = b"\xff" * 2
"""Choices with which the key binding stays as it is."""


def sd_jwt_around(payload: bytes) -> str:
    """Return a presentation with this payload of its issuer's signature, bound to the holder's key."""
    data = f"{encode({'alg': 'ES256', 'typ': 'dc+sd-jwt'})}.{base64url.encode(payload)}".encode()
    text = "~".join([jws.attach_signature(data, samples.ISSUER.sign(data)), *SD_JWT.disclosures, ""])
    return parsers.bind_again(Choices(BOUND_WELL), text)


VICAL_PAYLOAD = sign1.parse(parsers.VicalBytes.valid, tagged=False).payload or b""
SIGNED = {
    "mdoc.mso": GuidedTarget(parse_mso, (ISSUER_AUTH[2],), change=change_cbor),
    "mdoc.mso.signed": GuidedTarget(parsers.verify_mdoc, (ISSUER_AUTH[2],), mdoc_around, change_cbor),
    "sd_jwt.payload": GuidedTarget(
        parsers.verify_presentation, (json_bytes(SD_JWT.issuer_jws.claims()),), sd_jwt_around, change_json
    ),
    "vical.payload": GuidedTarget(parse_vical, (VICAL_PAYLOAD,), change=change_cbor),
    "trust_list.payload": GuidedTarget(
        parse_trust_list, (json_bytes(trust_list_payload(parsers.TRUST_LIST)),), object_of, change_json
    ),
    "certificate": GuidedTarget(load_certificate, (parsers.LEAF,)),
    "verification_record.payload": GuidedTarget(
        lambda payload: parsers.check_record(resealed(payload)), (json_bytes(PAYLOAD),), object_of, change_json
    ),
    "registration.payload": GuidedTarget(
        Registration.from_json, (json_bytes(parsers.REGISTRATION),), object_of, change_json
    ),
    "verifier_info": GuidedTarget(
        lambda value: parse_verifier_info(value, parsers.INFO_QUERY),
        (json_bytes(parsers.VERIFIER_INFO),),
        strict_json.loads,
    ),
}

# --- Token Status List ------------------------------------------------------------------------------------------------

REFERENCE = StatusReference(3, status_lists.URI)


def verifying(parse: TokenParser) -> Callable[[bytes], None]:
    """Return a function that reads and verifies a token, and looks into its list."""

    def verify(token: bytes) -> None:
        verified = verify_status_list_token(
            parse(token), key=status_lists.SIGNER.public_key, uri=status_lists.URI, now=status_lists.NOW
        )
        verified.status(REFERENCE)
        require_mdoc_profile(verified.claims)

    return verify


def jwt_around(payload: bytes) -> bytes:
    data = f"{encode({'alg': 'ES256', 'typ': spec.TYP_STATUS_LIST_JWT})}.{base64url.encode(payload)}".encode()
    return jws.attach_signature(data, status_lists.SIGNER.sign(data)).encode()


def cwt_around(payload: bytes) -> bytes:
    media_type = {16: spec.STATUS_LIST_CWT_MEDIA_TYPE}
    return sign1.sign(payload, status_lists.SIGNER, protected=media_type, tagged=True)


CWT_PAYLOAD = sign1.parse(made_cwt(), tagged=True).payload or b""
STATUS_LISTS = {
    "status.jwt": GuidedTarget(verifying(parse_status_list_jwt), (status_lists.made(),), change=change_token),
    "status.jwt.signed": GuidedTarget(
        verifying(parse_status_list_jwt), (json_bytes(status_lists.payload()),), jwt_around, change_json
    ),
    "status.cwt": GuidedTarget(verifying(parse_status_list_cwt), (made_cwt(),), change=change_cbor),
    "status.cwt.signed": GuidedTarget(verifying(parse_status_list_cwt), (CWT_PAYLOAD,), cwt_around, change_cbor),
    "status.array": GuidedTarget(
        lambda data: decompress(data, max_bytes=2000), (compress(bytes(1000) + bytes(range(20))),)
    ),
    "status.reference": GuidedTarget(parse_status, (json_bytes(REFERENCE.to_json()),), strict_json.loads, change_json),
    "status.reference.cbor": GuidedTarget(parse_status, (cbor.dumps(REFERENCE.to_json()),), cbor.loads, change_cbor),
    "status.aggregation": GuidedTarget(
        parse_aggregation, (json_bytes({"status_lists": [status_lists.URI]}),), change=change_json
    ),
}

# --- Files and links --------------------------------------------------------------------------------------------------

TODAY = date(2026, 11, 22)
TEXTS = read_catalogue_texts()
CATALOGUE = parse_catalogue(TEXTS)
POLICE = CATALOGUE.issued_by(AgencyId("police"))
RECORDS = format_records([Record(2, "p1", each.id, each.example_record) for each in POLICE])


def catalogue_with(name: str) -> GuidedTarget:
    """Return a target for one file of the catalogue, read without the other types and policies."""
    beside = {"agencies.toml": TEXTS["agencies.toml"]}
    return GuidedTarget(
        lambda text: parse_catalogue({**beside, name: text}), (TEXTS[name].encode(),), text_of, change_text
    )


def qr_picture() -> bytes:
    """Return a small PNG of a QR code."""
    file = BytesIO()
    qrcode.make("openid4vp://?a=b", box_size=2, border=2).save(file)
    return file.getvalue()


FILES = {
    "records": GuidedTarget(
        lambda data: parse_records(data, POLICE, today=TODAY), (RECORDS.encode(),), change=change_text, quiet=True
    ),
    "catalogue.agencies": catalogue_with("agencies.toml"),
    "catalogue.type": catalogue_with("credentials/drivers-licence.toml"),
    "catalogue.policy": catalogue_with("policies/adult-check.json"),
    "catalogue.transaction": catalogue_with("transactions/bill-payment.toml"),
    "catalogue.bytes": GuidedTarget(
        lambda data: parse_catalogue({"agencies.toml": parse_text(data)}), (TEXTS["agencies.toml"].encode(),)
    ),
    "path_text": GuidedTarget(parse_path_text, (b"address.lines[].text",), text_of, change_text),
    "client_id": GuidedTarget(parse_client_id, (json_bytes(parsers.REQUEST["client_id"]),), strict_json.loads),
    "link": GuidedTarget(
        parse_link,
        (b"openid-credential-offer://?credential_offer=" + quote(json_bytes(parsers.OFFER)).encode(),),
        text_of,
        change_text,
    ),
    "url": GuidedTarget(
        lambda text: parse_target(text, allow_loopback=True), (b"https://a.example:1/b?c=d",), text_of, change_text
    ),
    "qr_picture": GuidedTarget(read_qr, (qr_picture(),)),
}
TARGETS: Mapping[str, GuidedTarget] = {
    **{
        name: as_guided(target)
        for neighbour in (parsers, answers, returned, flows)
        for name, target in neighbour.TARGETS.items()
    },
    **SESSIONS,
    **SIGNED,
    **STATUS_LISTS,
    **FILES,
}

SHORT: tuple[str, ...] = (
    "cbor", "sign1", "mdoc.response", "mdoc.mso.signed", "mdoc.holder", "iso.engagement", "iso.establishment.request",
    "iso.data.answer", "status.jwt.signed", "status.cwt.signed", "status.array", "vical.payload", "sd_jwt.payload",
    "dcql", "request_members", "records", "dpop.signed", "client_attestation.signed", "key_attestation.signed",
)  # fmt: skip
"""The targets of the run that belongs to `make test`: bytes from strangers, of each kind, past the signatures."""
