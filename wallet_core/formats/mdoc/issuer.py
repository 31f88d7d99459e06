"""Issuing: data elements become digests in a signed MobileSecurityObject, and items beside it (ISO/IEC 18013-5 9.1.2).

The invariant: every salt is fresh, and the digestIDs follow the salts, so that the number of an element in one mdoc
says nothing about its number in another (9.1.2.4). The maps whose shape never changes are written by hand: that is
twice as fast as handing forty small maps to a general encoder.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from wallet_core.cose import sign1
from wallet_core.encoding import cbor
from wallet_core.formats.mdoc.structures import DIGEST_ALGORITHMS, KeyAuthorizations, NameSpaces, ValidityInfo
from wallet_core.keys.algorithms import PublicKey, SignatureAlgorithm
from wallet_core.keys.cose_key import encode_cose_key
from wallet_core.keys.signer import Signer
from wallet_core.spec_versions import MDOC_VERSION
from wallet_core.types import DocType, RandomBytes

SALT_BYTES: Final = 24
"""9.1.2.5 asks for at least 16; 24 bytes keep most items within two blocks of SHA-256."""

DEFAULT_DIGEST_ALGORITHM: Final = "SHA-256"

_DIGEST_ID: Final = cbor.head(5, 4) + cbor.text("digestID")
_RANDOM: Final = cbor.text("random") + cbor.head(2, SALT_BYTES)
_TRUE: Final = cbor.dumps(True)
_FALSE: Final = cbor.dumps(False)
_MSO_START: Final = cbor.text("version") + cbor.text(MDOC_VERSION) + cbor.text("digestAlgorithm")
_VALUE_DIGESTS: Final = cbor.text("valueDigests")
_DEVICE_KEY_INFO: Final = cbor.text("deviceKeyInfo")
_DEVICE_KEY: Final = cbor.text("deviceKey")
_DOC_TYPE: Final = cbor.text("docType")
_VALIDITY_INFO: Final = cbor.text("validityInfo")
_ISSUER_SIGNED: Final = cbor.head(5, 2) + cbor.text("nameSpaces")
_ISSUER_AUTH: Final = cbor.text("issuerAuth")


@dataclass(frozen=True, slots=True)
class IssuerSignedToSign:
    """An mdoc that lacks only the issuer's signature.

    Attributes:
        name_spaces: the encoded map of items.
        issuer_auth: IssuerAuth with the exact bytes to sign.
    """

    name_spaces: bytes
    issuer_auth: sign1.Sign1ToSign

    def attach(self, signature: bytes) -> bytes:
        """Return the IssuerSigned with the JOSE-form ``signature`` of ``issuer_auth.signing_input``."""
        return b"".join((_ISSUER_SIGNED, self.name_spaces, _ISSUER_AUTH, self.issuer_auth.attach(signature)))


def issue_mdoc(
    *,
    doc_type: DocType,
    name_spaces: NameSpaces,
    device_key: PublicKey,
    validity: ValidityInfo,
    signer: Signer,
    x5chain: Sequence[bytes],
    random: RandomBytes,
    digest_algorithm: str = DEFAULT_DIGEST_ALGORITHM,
    key_authorizations: KeyAuthorizations | None = None,
    status: Mapping[str, Any] | None = None,
) -> bytes:
    """Return an mdoc: the encoded IssuerSigned with all its items (8.3.2.1.2.2).

    Not done here: ``validUntil`` within the validity of the signer's certificate, ``mdl.lint_mdl``.

    Args:
        doc_type: the document type.
        name_spaces: data elements; dates as ``cbor.full_date`` and ``cbor.tdate`` make them.
        device_key: the holder's key.
        validity: times without fractions, rounded by the caller so that they identify nobody.
        signer: the issuer's key.
        x5chain: its certificate and intermediates as DER, leaf first, without the root.
        random: source of salts.
        digest_algorithm: a key of ``DIGEST_ALGORITHMS``.
        key_authorizations: data elements the device may sign; none by default.
        status: what ``status`` says of the status list, opaque here.

    Raises:
        ValueError: no data elements, or times in the wrong order or with fractions of a second.
        KeyUnavailable: the signer cannot sign now.
    """
    pending = create_issuer_signed(
        doc_type=doc_type,
        name_spaces=name_spaces,
        device_key=device_key,
        validity=validity,
        algorithm=signer.public_key.algorithm,
        x5chain=x5chain,
        random=random,
        digest_algorithm=digest_algorithm,
        key_authorizations=key_authorizations,
        status=status,
    )
    return pending.attach(signer.sign(pending.issuer_auth.signing_input))


def create_issuer_signed(
    *,
    doc_type: DocType,
    name_spaces: NameSpaces,
    device_key: PublicKey,
    validity: ValidityInfo,
    algorithm: SignatureAlgorithm,
    x5chain: Sequence[bytes],
    random: RandomBytes,
    digest_algorithm: str = DEFAULT_DIGEST_ALGORITHM,
    key_authorizations: KeyAuthorizations | None = None,
    status: Mapping[str, Any] | None = None,
) -> IssuerSignedToSign:
    """Return an mdoc ready for a key of ``algorithm`` to sign. Arguments and errors as :func:`issue_mdoc`."""
    if not name_spaces or not all(name_spaces.values()):
        raise ValueError("an mdoc has at least one data element in each namespace")
    items, digests = _items_and_digests(name_spaces, random, digest_algorithm)
    mso = b"".join(
        (
            cbor.head(5, 6 if status is None else 7),
            _MSO_START,
            cbor.text(digest_algorithm),
            _VALUE_DIGESTS,
            digests,
            _DEVICE_KEY_INFO,
            _device_key_info(device_key, key_authorizations),
            _DOC_TYPE,
            cbor.text(doc_type),
            _VALIDITY_INFO,
            _encoded_validity(validity),
            b"" if status is None else cbor.text("status") + cbor.dumps(dict(status)),
        )
    )
    # x5chain is not signed (9.1.2.4); readers of the first edition look for it there only.
    return IssuerSignedToSign(
        items,
        sign1.to_sign(cbor.embed(mso), algorithm, unprotected=sign1.x5chain_header(x5chain)),
    )


def _items_and_digests(name_spaces: NameSpaces, random: RandomBytes, digest_algorithm: str) -> tuple[bytes, bytes]:
    """Return two encoded maps: the items by namespace, and their digests by namespace and digestID."""
    hash_function = DIGEST_ALGORITHMS[digest_algorithm]
    size = hash_function(b"").digest_size
    items, digests = [cbor.head(5, len(name_spaces))], [cbor.head(5, len(name_spaces))]
    for name_space, elements in name_spaces.items():
        encoded = _items(elements, random)
        name = cbor.text(name_space)
        items += (name, cbor.head(4, len(encoded)), *encoded)
        digests += (name, cbor.head(5, len(encoded)))
        # 9.1.2.5: over IssuerSignedItemBytes, tag included.
        digests += [_digest_head(number, size) + hash_function(item).digest() for number, item in enumerate(encoded)]
    return b"".join(items), b"".join(digests)


def _items(elements: Mapping[str, Any], random: RandomBytes) -> list[bytes]:
    """Return the encoded ``IssuerSignedItemBytes`` of one namespace; the place of each is its digestID."""
    salts = random(SALT_BYTES * len(elements))
    pairs = [
        (salts[SALT_BYTES * number : SALT_BYTES * (number + 1)], element) for number, element in enumerate(elements)
    ]
    # 9.1.2.4: digestIDs of two MSOs must not be correlated. Sorted by salt, the order is a new one each time.
    # mdoc-18013.9.1.2.4-digest-ids
    pairs.sort()
    return [
        cbor.embed(
            b"".join((_digest_id(digest_id), salt, _element_identifier(element), _encoded_value(elements[element])))
        )
        for digest_id, (salt, element) in enumerate(pairs)
    ]


@lru_cache(maxsize=1024)
def _digest_id(digest_id: int) -> bytes:
    return _DIGEST_ID + cbor.head(0, digest_id) + _RANDOM


@lru_cache(maxsize=2048)
def _digest_head(digest_id: int, size: int) -> bytes:
    return cbor.head(0, digest_id) + cbor.head(2, size)


@lru_cache(maxsize=1024)
def _element_identifier(element: str) -> bytes:
    return cbor.text("elementIdentifier") + cbor.text(element) + cbor.text("elementValue")


def _encoded_value(value: Any) -> bytes:
    """Return the encoding of a value. Most are texts or answers, which need no general encoder."""
    if type(value) is str:
        return cbor.text(value)
    if type(value) is bool:
        return _TRUE if value else _FALSE
    return cbor.dumps(value)


def _device_key_info(device_key: PublicKey, authorizations: KeyAuthorizations | None) -> bytes:
    # 9.1.2.4: only the members that make the key.
    key = _DEVICE_KEY + encode_cose_key(device_key)
    if authorizations is None:
        return cbor.head(5, 1) + key
    by_name_space: dict[str, list[str]] = {}
    for name_space, element in sorted(authorizations.data_elements):
        by_name_space.setdefault(name_space, []).append(element)
    members: dict[str, Any] = {}
    if authorizations.name_spaces:
        members["nameSpaces"] = sorted(authorizations.name_spaces)
    if by_name_space:
        members["dataElements"] = by_name_space
    return cbor.head(5, 2) + key + cbor.text("keyAuthorizations") + cbor.dumps(members)


@lru_cache(maxsize=256)
def _encoded_validity(validity: ValidityInfo) -> bytes:
    # 9.1.2.4: "validFrom" is not before "signed", and "validUntil" is later than "validFrom".
    # mdoc-18013.9.1.2.4-order
    if not validity.signed <= validity.valid_from < validity.valid_until:
        raise ValueError("signed, validFrom and validUntil stand in that order")
    members = {
        "signed": cbor.tdate(validity.signed),
        "validFrom": cbor.tdate(validity.valid_from),
        "validUntil": cbor.tdate(validity.valid_until),
    }
    if validity.expected_update is not None:
        members["expectedUpdate"] = cbor.tdate(validity.expected_update)
    return cbor.dumps(members)
