"""The mobile driving licence: its data elements, and what readers of any country expect of them (ISO/IEC 18013-5 7.2).

The domestic namespace (``org.iso.18013.5.1.KR``) takes its elements from the catalogue; the rules here are those of the
standard's own namespace.
"""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from wallet_core.cose.sign1 import sig_structure
from wallet_core.encoding import cbor
from wallet_core.encoding.cbor import Tagged
from wallet_core.errors import MalformedError
from wallet_core.formats.mdoc.structures import NameSpaces, UnverifiedIssuerSigned, is_uint, parse_mso
from wallet_core.spec_versions import MDL_MANDATORY, NAMESPACE_MDL

MAX_TEXT: Final = 150
"""Characters of a text element (7.2.1)."""

MAX_AGE_REQUESTS: Final = 2
"""``age_over_NN`` elements one request may ask for (7.2.5): more would enclose the age."""

ZK_SHA256_BLOCKS: Final = 40
"""Blocks of SHA-256 that the signed MSO may fill, for the zero-knowledge circuits in use to prove it (longfellow-zk,
circuits of version 7; earlier ones take 35)."""

_AGE: Final = re.compile(r"age_over_(\d\d)\Z", re.ASCII)
_COUNTRY: Final = re.compile(r"[A-Z]{2}\Z")
_SUBDIVISION: Final = re.compile(r"[A-Z]{2}-[A-Z0-9]{1,3}\Z")
_UN_SIGN: Final = re.compile(r"[A-Z]{1,3}\Z")
_IMAGES: Final = (b"\xff\xd8\xff", b"\x00\x00\x00\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51")
"""How JPEG, JPEG 2000 and a bare JPEG 2000 codestream begin."""

_SEX: Final = frozenset({0, 1, 2, 9})
_EYES: Final = frozenset(
    {"black", "blue", "brown", "dichromatic", "grey", "green", "hazel", "maroon", "pink", "unknown"}
)
_HAIR: Final = frozenset({"bald", "black", "blond", "brown", "grey", "red", "auburn", "sandy", "white", "unknown"})


@dataclass(frozen=True, slots=True)
class MsoSize:
    """How large what the issuer signs is: zero-knowledge circuits have room for so many blocks of its hash.

    Attributes:
        mso_bytes: the payload of IssuerAuth.
        sha256_blocks: blocks of SHA-256 over the bytes that are signed, padding included.
        digests: digests in it, of all namespaces.
    """

    mso_bytes: int
    sha256_blocks: int
    digests: int

    @property
    def fits_zero_knowledge_circuits(self) -> bool:
        """Whether the circuits in use can prove statements about it."""
        return self.sha256_blocks <= ZK_SHA256_BLOCKS


def mso_size(issuer_signed: UnverifiedIssuerSigned) -> MsoSize:
    """Return how large the signed part of an mdoc is.

    Raises:
        MalformedError: it has no MobileSecurityObject.
    """
    payload = issuer_signed.issuer_auth.payload or b""
    digests = sum(map(len, parse_mso(payload).value_digests.values()))
    signed = len(sig_structure(issuer_signed.issuer_auth.protected_bytes, payload))
    # FIPS 180-4 5.1.1: one byte and eight bytes of length follow the message.
    return MsoSize(len(payload), -(-(signed + 9) // 64), digests)


def lint_mdl(name_spaces: NameSpaces) -> tuple[str, ...]:
    """Return what in the standard's namespace a reader would stumble over, one sentence each; empty if nothing.

    ISO/IEC 18013-5 7.2.1, table 5. For issuers, before they sign; values stand in no sentence.
    """
    elements = name_spaces.get(NAMESPACE_MDL, {})
    # mdoc-18013.7.2.1-mandatory
    found = [f"{element} is missing" for element in sorted(MDL_MANDATORY - elements.keys())]
    for element, value in elements.items():
        # mdoc-18013.7.2.1-values
        rule = _rule(element)
        if rule is None:
            found.append(f"{element} is not an element of this namespace")
        elif not rule.holds(value):
            found.append(f"{element} is not {rule.words}")
    return tuple(found)


def nearest_age_attestation(requested: str, held: Mapping[str, Any]) -> str | None:
    """Return which element a device returns for a requested ``age_over_NN``; None if none of them answers (7.2.5).

    The nearest that is true at or above the requested age; otherwise the nearest that is false at or below it. For ISO
    requests only: DCQL asks for exact identifiers.

    Raises:
        MalformedError: ``requested`` is not an ``age_over_NN``.
    """
    asked = _age(requested)
    if asked is None:
        raise MalformedError("the element is not an age attestation", clause="ISO/IEC 18013-5 7.2.5")
    ages = [(age, element) for element in held if (age := _age(element)) is not None]
    # mdoc-18013.7.2.5-nearest
    over = [(age, element) for age, element in ages if age >= asked and held[element] is True]
    under = [(age, element) for age, element in ages if age <= asked and held[element] is False]
    return min(over)[1] if over else max(under)[1] if under else None


def select_age_attestations(requested: Collection[str], held: Mapping[str, Any]) -> dict[str, str | None]:
    """Return for each ``age_over_NN`` among the requested elements which held element answers it.

    Raises:
        MalformedError: more of them are requested than one request may.
    """
    ages = [element for element in requested if _age(element) is not None]
    # mdoc-18013.7.2.5-two
    if len(ages) > MAX_AGE_REQUESTS:
        raise MalformedError(
            f"a request asks for at most {MAX_AGE_REQUESTS} age attestations", clause="ISO/IEC 18013-5 7.2.5"
        )
    return {element: nearest_age_attestation(element, held) for element in ages}


def _rule(element: str) -> "_Rule | None":
    if _AGE.match(element):
        return _AGE_RULE
    return _BIOMETRIC if element.startswith("biometric_template_") else _RULES.get(element)


def _age(element: str) -> int | None:
    match = _AGE.match(element)
    return int(match[1]) if match else None


@dataclass(frozen=True, slots=True)
class _Rule:
    """What the value of an element is, in words and as a test."""

    words: str
    holds: Callable[[Any], bool]


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_TEXT


def _is_latin1(value: Any) -> bool:
    return _is_text(value) and all(ord(character) < 0x100 for character in value)


def _is_full_date(value: Any) -> bool:
    try:
        cbor.parse_full_date(value, what="element")
    except MalformedError:
        return False
    return True


def _is_tdate(value: Any) -> bool:
    try:
        # What others write is read with a fraction; what we sign has none.
        return cbor.parse_tdate(value, what="element").microsecond == 0 and "." not in value.value
    except MalformedError:
        return False


def _is_day(value: Any) -> bool:
    return _is_tdate(value) if isinstance(value, Tagged) and value.tag == cbor.TAG_TDATE else _is_full_date(value)


def _matches(pattern: re.Pattern[str]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and pattern.match(value) is not None


def _is_image(value: Any) -> bool:
    return isinstance(value, bytes) and value.startswith(_IMAGES)


def _is_privileges(value: Any) -> bool:
    return isinstance(value, list) and all(_is_privilege(entry) for entry in value)


def _is_privilege(entry: Any) -> bool:
    """Return whether ``entry`` is a DrivingPrivilege (7.2.4)."""
    if not isinstance(entry, dict) or not _is_text(entry.get("vehicle_category_code")):
        return False
    codes = entry.get("codes", [])
    return all(_is_full_date(entry[name]) for name in ("issue_date", "expiry_date") if name in entry) and (
        isinstance(codes, list)
        and all(
            isinstance(code, dict)
            and _is_text(code.get("code"))
            and all(_is_text(code[name]) for name in ("sign", "value") if name in code)
            for code in codes
        )
    )


_LATIN1: Final = _Rule(f"a Latin-1 text of at most {MAX_TEXT} characters", _is_latin1)
_TEXT: Final = _Rule(f"a text of at most {MAX_TEXT} characters", _is_text)
_FULL_DATE: Final = _Rule("a full-date", _is_full_date)
_DAY: Final = _Rule("a full-date or a tdate", _is_day)
_TDATE: Final = _Rule("a tdate", _is_tdate)
_UINT: Final = _Rule("an unsigned integer", is_uint)
_ALPHA_2: Final = _Rule("a country code of two capital letters", _matches(_COUNTRY))
_IMAGE: Final = _Rule("a JPEG or JPEG 2000 picture", _is_image)
_AGE_RULE: Final = _Rule("true or false", lambda value: isinstance(value, bool))
_BIOMETRIC: Final = _Rule("a byte string", lambda value: isinstance(value, bytes))

_RULES: Final[Mapping[str, _Rule]] = {
    "family_name": _LATIN1,
    "given_name": _LATIN1,
    "birth_date": _FULL_DATE,
    "issue_date": _DAY,
    "expiry_date": _DAY,
    "issuing_country": _ALPHA_2,
    "issuing_authority": _LATIN1,
    "document_number": _LATIN1,
    "portrait": _IMAGE,
    "driving_privileges": _Rule("an array of driving privileges", _is_privileges),
    "un_distinguishing_sign": _Rule("a distinguishing sign of one to three capital letters", _matches(_UN_SIGN)),
    "administrative_number": _LATIN1,
    "sex": _Rule("a code of ISO/IEC 5218", lambda value: is_uint(value) and value in _SEX),
    "height": _UINT,
    "weight": _UINT,
    "eye_colour": _Rule("an eye colour of the standard", lambda value: isinstance(value, str) and value in _EYES),
    "hair_colour": _Rule("a hair colour of the standard", lambda value: isinstance(value, str) and value in _HAIR),
    "birth_place": _LATIN1,
    "resident_address": _LATIN1,
    "portrait_capture_date": _TDATE,
    "age_in_years": _UINT,
    "age_birth_year": _UINT,
    "issuing_jurisdiction": _Rule("a code of ISO 3166-2", _matches(_SUBDIVISION)),
    "nationality": _ALPHA_2,
    "resident_city": _LATIN1,
    "resident_state": _LATIN1,
    "resident_postal_code": _LATIN1,
    "resident_country": _ALPHA_2,
    "family_name_national_character": _TEXT,
    "given_name_national_character": _TEXT,
    "signature_usual_mark": _IMAGE,
}
"""ISO/IEC 18013-5 7.2.1, table 5, but ``age_over_NN`` and ``biometric_template_xx``."""
