"""Verifying an mdoc: what the issuer signed, and that the device of this session shows it (ISO/IEC 18013-5 9.1, 9.3.1).

The invariant: :class:`VerifiedIssuerSigned` and :class:`VerifiedMdoc` come only from the functions here. Digests are
taken over the bytes that came.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from wallet_core.cose import mac0, sign1
from wallet_core.encoding import cbor
from wallet_core.errors import (
    Expired,
    HolderBindingError,
    InvalidSignature,
    MalformedError,
    NotYetValid,
    VerificationError,
)
from wallet_core.formats.mdoc.document import ResponseStatus, UnverifiedDeviceResponse, UnverifiedDocument
from wallet_core.formats.mdoc.session_transcript import device_authentication_bytes
from wallet_core.formats.mdoc.structures import (
    DIGEST_ALGORITHMS,
    IssuerSignedItem,
    MobileSecurityObject,
    NameSpaces,
    UnverifiedDeviceSigned,
    UnverifiedIssuerSigned,
    ValidityInfo,
    parse_mso,
)
from wallet_core.keys.algorithms import PublicKey
from wallet_core.types import DocType, JsonObject, SessionTranscript

LEEWAY: Final = timedelta(seconds=60)
"""How far the clocks of two parties may stand apart."""


class DeviceAuth(StrEnum):
    """How the device proved that it holds the key (9.1.3)."""

    SIGNATURE = "deviceSignature"
    MAC = "deviceMac"


@dataclass(frozen=True, slots=True)
class VerifiedIssuerSigned:
    """What the issuer signed, verified with the key the caller named.

    Attributes:
        mso: the MobileSecurityObject.
        claims: the data elements that were returned, by namespace; values as ``encoding.cbor`` parses them.
    """

    mso: MobileSecurityObject
    claims: NameSpaces


@dataclass(frozen=True, slots=True)
class VerifiedMdoc:
    """What an mdoc says, shown by the device that holds its key, in this session.

    Attributes:
        doc_type: the document type.
        claims: the data elements of the issuer that were returned, by namespace.
        device_claims: the data elements the device vouches for, which the issuer authorized.
        validity: when it was signed and is valid.
        device_key: the key of the device.
        device_auth: how the device proved that it holds the key.
        status: ``status`` as signed; None if there is none. Whoever relies on the mdoc must look it up, or refuse what
            cannot be looked up.
    """

    doc_type: DocType
    claims: NameSpaces
    device_claims: NameSpaces
    validity: ValidityInfo
    device_key: PublicKey
    device_auth: DeviceAuth
    status: Mapping[str, Any] | None


def claims_to_json(claims: NameSpaces) -> dict[str, JsonObject]:
    """Return data elements as JSON, as DCQL compares them (OpenID4VP B.2, RFC 8949 6.1).

    Raises:
        MalformedError: a value has no form in JSON.
    """
    return {
        name_space: {element: cbor.to_json(value, what=element) for element, value in elements.items()}
        for name_space, elements in claims.items()
    }


def verify_issuer_signed(
    issuer_signed: UnverifiedIssuerSigned,
    *,
    issuer_key: PublicKey,
    doc_type: DocType,
    now: datetime,
    signer_validity: tuple[datetime, datetime] | None = None,
    leeway: timedelta = LEEWAY,
) -> VerifiedIssuerSigned:
    """Verify what the issuer signed and return it: issuer data authentication (9.1.2, 9.3.1).

    Trust in ``issuer_key`` is the caller's: see ``trust.x509``. ``signer_validity`` is that of its certificate.

    Steps:
        1. IssuerAuth verifies with the issuer's key and its algorithm (9.3.1, step 2).
        2. Its payload is a MobileSecurityObject with a digest algorithm and a device key we support (9.1.2.4).
        3. The digest of every returned item stands in the MSO under its digestID; no digestID and no element occurs
           twice in a namespace (9.3.1, step 3).
        4. The document type of the MSO is the expected one (9.3.1, step 4).
        5. ``signed`` lies within the validity of the signer's certificate, where that is given (9.3.1, step 5).
        6. ``validFrom`` and ``validUntil`` allow ``now`` (9.3.1, step 5).

    Not done here: the chain of the certificate, status, the country of an mDL (``trust.x509``).

    Raises:
        VerificationError: a step failed; ``step`` is its number.
    """
    # 1.
    try:
        # mdoc-18013.9.3.1-issuer-auth
        verified = sign1.verify(issuer_signed.issuer_auth, issuer_key)
    except VerificationError as exc:
        exc.step = 1
        raise
    # 2.
    try:
        mso = parse_mso(verified.payload)
    except MalformedError as exc:
        raise VerificationError(exc.description, step=2, clause=exc.clause) from exc
    # 3.
    claims = check_digests(issuer_signed, mso)
    # 4.
    # mdoc-18013.9.3.1-doc-type
    if mso.doc_type != doc_type:
        raise VerificationError("the MSO is of another document type", step=4, clause="ISO/IEC 18013-5 9.3.1")
    _check_times(mso.validity, now, leeway, signer_validity)
    return VerifiedIssuerSigned(mso, claims)


def verify_document(
    document: UnverifiedDocument,
    *,
    issuer_key: PublicKey,
    session_transcript: SessionTranscript,
    now: datetime,
    signer_validity: tuple[datetime, datetime] | None = None,
    mac_key: bytes | None = None,
    leeway: timedelta = LEEWAY,
) -> VerifiedMdoc:
    """Verify one document of a DeviceResponse: issuer data, then the device (9.1.2, 9.1.3, 9.3.1).

    Args:
        document: the parsed document.
        issuer_key: the key of the signer's certificate, trusted by the caller.
        session_transcript: of our session, computed by ourselves.
        now: the time.
        signer_validity: from when until when the signer's certificate is valid.
        mac_key: EMacKey where the session has a reader key; without it a DeviceMac is refused.
        leeway: for clocks that stand apart.

    Steps:
        1. to 6. as in :func:`verify_issuer_signed`, for the document type that the document names.
        7. The issuer authorized every data element that the device signed (9.1.2.4, keyAuthorizations).
        8. DeviceSignature verifies with the device key of the MSO, or DeviceMac with the session's key, over our
           SessionTranscript, the document type and the device's elements (9.1.3.4).

    Not done here: what :func:`verify_issuer_signed` leaves out; whether the document is of the type that was asked for
    (:func:`verify_device_response` does it); whether the session's nonce was used before.

    Raises:
        VerificationError: a step of 1 to 6 failed; ``step`` is its number.
        HolderBindingError: step 7 or 8 failed.
    """
    issuer_signed = verify_issuer_signed(
        document.issuer_signed,
        issuer_key=issuer_key,
        doc_type=document.doc_type,
        now=now,
        signer_validity=signer_validity,
        leeway=leeway,
    )
    mso = issuer_signed.mso
    return VerifiedMdoc(
        mso.doc_type,
        issuer_signed.claims,
        document.device_signed.name_spaces,
        mso.validity,
        mso.device_key,
        verify_device(document, mso, session_transcript=session_transcript, mac_key=mac_key),
        mso.status,
    )


def verify_device(
    document: UnverifiedDocument,
    mso: MobileSecurityObject,
    *,
    session_transcript: SessionTranscript,
    mac_key: bytes | None = None,
) -> DeviceAuth:
    """Return how the device that ``mso`` names proved itself in our session: steps 7 and 8 of :func:`verify_document`.

    Raises:
        HolderBindingError: step 7 or 8 failed.
    """
    device_signed = document.device_signed
    _check_authorized(device_signed, mso)
    # 8.
    payload = device_authentication_bytes(session_transcript, document.doc_type, device_signed.name_spaces_bytes)
    return _verify_device_auth(device_signed, mso.device_key, payload, mac_key)


def verify_device_response(
    response: UnverifiedDeviceResponse,
    *,
    doc_type: DocType,
    issuer_key: PublicKey,
    session_transcript: SessionTranscript,
    now: datetime,
    signer_validity: tuple[datetime, datetime] | None = None,
    leeway: timedelta = LEEWAY,
) -> VerifiedMdoc:
    """Verify a DeviceResponse that answers for one document, as OpenID4VP carries it (HAIP 5.3.1).

    Steps:
        0. Its status is 0 and it holds exactly one document, of the asked type (8.3.2.1.2.2, HAIP 5.3.1).
        1. to 8. as in :func:`verify_document`; a DeviceMac is refused, since there is no reader key.

    Not done here: what :func:`verify_document` leaves out; the elements that were asked for (``dcql``).

    Raises:
        VerificationError: a step of 0 to 6 failed; ``step`` is its number.
        HolderBindingError: step 7 or 8 failed.
    """
    document = only_document(response, doc_type)
    return verify_document(
        document,
        issuer_key=issuer_key,
        session_transcript=session_transcript,
        now=now,
        signer_validity=signer_validity,
        leeway=leeway,
    )


def only_document(response: UnverifiedDeviceResponse, doc_type: DocType) -> UnverifiedDocument:
    """Return the one document of a DeviceResponse, whose certificate is then looked at: step 0 alone.

    Raises:
        VerificationError: the status is an error, there is not exactly one document, or it is of another type.
    """
    # mdoc-18013.8.3.2.1-status-ok
    if response.status != ResponseStatus.OK:
        raise VerificationError("the device answered with an error", step=0, clause="ISO/IEC 18013-5 8.3.2.1.2.3")
    # mdoc-HAIP5.3.1-one-document
    if len(response.documents) != 1:
        raise VerificationError("there is not exactly one document", step=0, clause="HAIP 5.3.1")
    document = response.documents[0]
    # mdoc-18013.8.3.2.1-asked-type
    if document.doc_type != doc_type:
        raise VerificationError("the document is not of the type asked for", step=0, clause="OpenID4VP B.2.3")
    return document


def check_digests(issuer_signed: UnverifiedIssuerSigned, mso: MobileSecurityObject) -> dict[str, dict[str, Any]]:
    """Return the data elements whose digests stand in ``mso``: step 3 of :func:`verify_issuer_signed` alone.

    Raises:
        VerificationError: a digest differs or is missing, or a digestID or an element occurs twice in a namespace.
    """
    hash_function = DIGEST_ALGORITHMS[mso.digest_algorithm]
    claims: dict[str, dict[str, Any]] = {}
    for name_space, items in issuer_signed.items.items():
        digests = mso.value_digests.get(name_space, {})
        # Mostly none: an item whose length was written longer than necessary.
        unusual = [
            item for item in items if hash_function(cbor.embed(item.inner)).digest() != digests.get(item.digest_id)
        ]
        encoded = cbor.each_as_received((item.inner for item in unusual), issuer_signed.received)
        for item, as_received in zip(unusual, encoded, strict=True):
            # mdoc-18013.9.3.1-digest
            if hash_function(as_received).digest() != digests.get(item.digest_id):
                raise VerificationError(
                    "a data element does not fit its digest", step=3, clause="ISO/IEC 18013-5 9.3.1"
                )
        claims[name_space] = _elements(items)
    return claims


def _elements(items: tuple[IssuerSignedItem, ...]) -> dict[str, Any]:
    elements = {item.element: item.value for item in items}
    # mdoc-18013.9.1.2.4-digest-id-once
    if len({item.digest_id for item in items}) != len(items):
        raise VerificationError("a digestID occurs twice", step=3, clause="ISO/IEC 18013-5 9.1.2.4")
    # Two items for one element could be read as either.
    # mdoc-18013.8.3.2.1-element-once
    if len(elements) != len(items):
        raise VerificationError("a data element occurs twice", step=3, clause="ISO/IEC 18013-5 8.3.2.1.2.2")
    return elements


def _check_times(
    validity: ValidityInfo, now: datetime, leeway: timedelta, signer_validity: tuple[datetime, datetime] | None
) -> None:
    # 5. The certificate may have ended since: what counts is that it was valid when it signed.
    # mdoc-18013.9.3.1-signed
    if signer_validity is not None and not signer_validity[0] <= validity.signed <= signer_validity[1]:
        raise VerificationError(
            "the mdoc was signed outside the validity of the signer's certificate",
            step=5,
            clause="ISO/IEC 18013-5 9.3.1",
        )
    # 6.
    # mdoc-18013.9.3.1-valid-from
    if now + leeway < validity.valid_from:
        raise NotYetValid("the mdoc is not valid yet", step=6, clause="ISO/IEC 18013-5 9.3.1")
    # mdoc-18013.9.3.1-valid-until
    if now - leeway > validity.valid_until:
        raise Expired("the mdoc has expired", step=6, clause="ISO/IEC 18013-5 9.3.1")


def _check_authorized(device_signed: UnverifiedDeviceSigned, mso: MobileSecurityObject) -> None:
    # 7.
    for name_space, elements in device_signed.name_spaces.items():
        for element in elements:
            # mdoc-18013.9.1.2.4-authorized
            if not mso.key_authorizations.allow(name_space, element):
                raise HolderBindingError(
                    "the device signed a data element that it may not sign", step=7, clause="ISO/IEC 18013-5 9.1.2.4"
                )


def _verify_device_auth(
    device_signed: UnverifiedDeviceSigned, device_key: PublicKey, payload: bytes, mac_key: bytes | None
) -> DeviceAuth:
    try:
        if device_signed.signature is not None:
            # mdoc-18013.9.1.3.6-device-signature
            sign1.verify(device_signed.signature, device_key, detached_payload=payload)
            return DeviceAuth.SIGNATURE
        # mdoc-18013.9.1.3.5-mac-key
        if mac_key is None or device_signed.mac is None:
            raise InvalidSignature("there is no key for a MAC in this session", clause="ISO/IEC 18013-5 9.1.3.5")
        # mdoc-18013.9.1.3.5-device-mac
        mac0.verify(device_signed.mac, mac_key, detached_payload=payload)
    except VerificationError as exc:
        raise HolderBindingError(
            "the device authentication does not verify", step=8, detail=exc.detail, clause="ISO/IEC 18013-5 9.1.3"
        ) from exc
    return DeviceAuth.MAC
