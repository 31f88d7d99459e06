"""What a wallet does with an mdoc: know what is in it, choose what to show, bind it to a session (ISO 18013-5 9.1.3).

The invariant: an item is sent as the bytes the issuer sent, and a response holds only what was chosen.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from wallet_core.cose import headers, mac0, sign1
from wallet_core.encoding import cbor
from wallet_core.formats.mdoc.document import ElementErrors, encode_device_response
from wallet_core.formats.mdoc.session_transcript import EMPTY_DEVICE_NAME_SPACES, device_authentication_bytes
from wallet_core.formats.mdoc.structures import (
    MobileSecurityObject,
    NameSpaces,
    UnverifiedIssuerSigned,
    parse_issuer_signed,
    parse_mso,
)
from wallet_core.formats.mdoc.verifier import check_digests
from wallet_core.keys.algorithms import SignatureAlgorithm
from wallet_core.types import DocType, SessionTranscript

_DOC_TYPE: Final = cbor.text("docType")
_ISSUER_SIGNED: Final = cbor.text("issuerSigned")
_NAME_SPACES: Final = cbor.text("nameSpaces")
_ISSUER_AUTH: Final = cbor.text("issuerAuth")
_DEVICE_SIGNED: Final = cbor.text("deviceSigned") + cbor.head(5, 2) + _NAME_SPACES
_DEVICE_AUTH: Final = cbor.text("deviceAuth") + cbor.head(5, 1)
_DEVICE_SIGNATURE: Final = cbor.text("deviceSignature")
_DEVICE_MAC: Final = cbor.text("deviceMac")


@dataclass(frozen=True, slots=True)
class HeldMdoc:
    """An mdoc as the wallet keeps it: everything in it, and the bytes of each item.

    Attributes:
        doc_type: the document type.
        items: ``IssuerSignedItemBytes`` as the issuer sent them, by namespace and element, in its order.
        claims: all data elements.
        mso: what the issuer signed; not verified here.
        x5chain: the issuer's certificates as DER, leaf first.
        issuer_auth: IssuerAuth, encoded.
        encoded: the IssuerSigned as the issuer sent it.
        algorithm: ``alg`` of IssuerAuth; None where it is no number.
    """

    doc_type: DocType
    items: Mapping[tuple[str, str], bytes]
    claims: NameSpaces
    mso: MobileSecurityObject
    x5chain: tuple[bytes, ...]
    issuer_auth: bytes
    encoded: bytes
    algorithm: int | None

    def select(self, disclose: Collection[tuple[str, str]]) -> bytes:
        """Return the encoded IssuerSigned with only these elements, each given as namespace and identifier.

        Raises:
            ValueError: an element is not in this mdoc.
        """
        chosen = set(disclose)
        if not chosen <= self.items.keys():
            raise ValueError("there is no such data element in the mdoc")
        # ISO/IEC 18013-5 8.3.2.1.2.2: where nothing is shown there is no nameSpaces; the map is never empty.
        # mdoc-18013.8.3.2.1-nothing
        if not chosen:
            return b"".join((cbor.head(5, 1), _ISSUER_AUTH, self.issuer_auth))
        by_name_space: dict[str, list[bytes]] = {}
        for place, item in self.items.items():
            if place in chosen:
                by_name_space.setdefault(place[0], []).append(item)
        parts = [cbor.head(5, 2), _NAME_SPACES, cbor.head(5, len(by_name_space))]
        for name_space, items in by_name_space.items():
            parts += (cbor.text(name_space), cbor.head(4, len(items)), *items)
        return b"".join((*parts, _ISSUER_AUTH, self.issuer_auth))


@dataclass(frozen=True, slots=True)
class DocumentToSign:
    """One document that lacks only the signature of the device key.

    Attributes:
        start: the encoded document up to the device authentication.
        errors: its last member, encoded; empty where nothing was left out.
        device_signature: DeviceSignature with the exact bytes to sign with the key that the MSO names.
    """

    start: bytes
    errors: bytes
    device_signature: sign1.Sign1ToSign

    @property
    def signing_input(self) -> bytes:
        """The exact bytes to sign."""
        return self.device_signature.signing_input

    def attach_to_document(self, signature: bytes) -> bytes:
        """Return the encoded document with the JOSE-form ``signature`` of :attr:`signing_input`."""
        return b"".join((self.start, _DEVICE_SIGNATURE, self.device_signature.attach(signature), self.errors))

    def attach(self, signature: bytes) -> bytes:
        """Return a DeviceResponse with this document alone, as OpenID4VP sends it."""
        return encode_device_response([self.attach_to_document(signature)])


def index_mdoc(data: bytes) -> HeldMdoc:
    """Return what a wallet keeps of an mdoc it received: the encoded IssuerSigned of a Credential Response.

    Not done here: the issuer's signature, trust and times; see ``verifier.verify_issuer_signed``.

    Raises:
        MalformedError: not an IssuerSigned.
        VerificationError: an item does not fit its digest; ``step`` as in ``verifier.verify_issuer_signed``.
    """
    issuer_signed = parse_issuer_signed(data)
    mso = parse_mso(issuer_signed.issuer_auth.payload)
    claims = check_digests(issuer_signed, mso)
    auth = issuer_signed.issuer_auth
    algorithm = auth.protected.get(headers.ALG)
    return HeldMdoc(
        doc_type=mso.doc_type,
        items=_items_as_received(issuer_signed),
        claims=claims,
        mso=mso,
        x5chain=issuer_signed.x5chain(),
        # The signature is over protected header and payload, both kept as they came.
        issuer_auth=cbor.dumps([auth.protected_bytes, dict(auth.unprotected), auth.payload, auth.signature]),
        encoded=data,
        algorithm=algorithm if isinstance(algorithm, int) else None,
    )


def _items_as_received(issuer_signed: UnverifiedIssuerSigned) -> dict[tuple[str, str], bytes]:
    places = [(name_space, item) for name_space, items in issuer_signed.items.items() for item in items]
    encoded = cbor.each_as_received((item.inner for _, item in places), issuer_signed.received)
    return {(name_space, item.element): each for (name_space, item), each in zip(places, encoded, strict=True)}


def create_document(
    held: HeldMdoc,
    disclose: Collection[tuple[str, str]],
    *,
    session_transcript: SessionTranscript,
    algorithm: SignatureAlgorithm,
    device_signed: NameSpaces | None = None,
    errors: ElementErrors | None = None,
) -> DocumentToSign:
    """Return a document with the chosen elements, ready for the device key to sign (9.1.3.6).

    Args:
        held: the mdoc.
        disclose: namespace and identifier of each element to show. Empty shows none.
        session_transcript: of this session.
        algorithm: that of the device key.
        device_signed: elements the device vouches for itself; the MSO must authorize them.
        errors: for ISO requests: elements that were asked for and are not returned.

    Raises:
        ValueError: an element is not in this mdoc, or one is not authorized.
    """
    name_spaces_bytes = _device_name_spaces(held, device_signed)
    payload = device_authentication_bytes(session_transcript, held.doc_type, name_spaces_bytes)
    return DocumentToSign(
        _document_start(held, disclose, name_spaces_bytes, errors),
        _encoded_errors(errors),
        sign1.to_sign(payload, algorithm, detached=True),
    )


def create_maced_document(
    held: HeldMdoc,
    disclose: Collection[tuple[str, str]],
    *,
    session_transcript: SessionTranscript,
    mac_key: bytes,
    device_signed: NameSpaces | None = None,
    errors: ElementErrors | None = None,
) -> bytes:
    """Return an encoded document with the chosen elements and a DeviceMac (9.1.3.5).

    A device key serves for MACs or for signatures, never for both during its life: which, the wallet decides once.

    Args:
        held: the mdoc.
        disclose: namespace and identifier of each element to show.
        session_transcript: of this session.
        mac_key: EMacKey, from ``session_transcript.mac_key``.
        device_signed: as in :func:`create_document`.
        errors: as in :func:`create_document`.

    Raises:
        ValueError: as :func:`create_document`.
    """
    name_spaces_bytes = _device_name_spaces(held, device_signed)
    payload = device_authentication_bytes(session_transcript, held.doc_type, name_spaces_bytes)
    start = _document_start(held, disclose, name_spaces_bytes, errors)
    return b"".join((start, _DEVICE_MAC, mac0.create(payload, mac_key, detached=True), _encoded_errors(errors)))


def _document_start(
    held: HeldMdoc, disclose: Collection[tuple[str, str]], name_spaces_bytes: bytes, errors: ElementErrors | None
) -> bytes:
    return b"".join(
        (
            cbor.head(5, 4 if errors else 3),
            _DOC_TYPE,
            cbor.text(held.doc_type),
            _ISSUER_SIGNED,
            held.select(disclose),
            _DEVICE_SIGNED,
            name_spaces_bytes,
            _DEVICE_AUTH,
        )
    )


def _device_name_spaces(held: HeldMdoc, device_signed: NameSpaces | None) -> bytes:
    if not device_signed:
        return EMPTY_DEVICE_NAME_SPACES
    for name_space, element in _places(device_signed):
        if not held.mso.key_authorizations.allow(name_space, element):
            raise ValueError("the issuer did not authorize the device to sign this data element")
    return cbor.embed(cbor.dumps({name_space: dict(elements) for name_space, elements in device_signed.items()}))


def _encoded_errors(errors: ElementErrors | None) -> bytes:
    if not errors:
        return b""
    plain: dict[str, Any] = {name_space: dict(elements) for name_space, elements in errors.items()}
    return cbor.text("errors") + cbor.dumps(plain)


def _places(name_spaces: NameSpaces) -> Iterable[tuple[str, str]]:
    return ((name_space, element) for name_space, elements in name_spaces.items() for element in elements)
