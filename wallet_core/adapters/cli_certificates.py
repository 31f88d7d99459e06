"""Certificates in words: who, for what, until when, and which rules of their profile they break."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from wallet_core.trust.anchors import AnchorPurpose
from wallet_core.trust.calendar import WARN_BEFORE
from wallet_core.trust.profiles import CertificateRole, ProfileRule, extension_of, profile_faults, role_of
from wallet_core.trust.x509 import x509_hash

Words = tuple[str, str]

ROLES: Final[dict[CertificateRole, Words]] = {
    CertificateRole.CA: ("인증기관 (뿌리)", "A certification authority (trust anchor)"),
    CertificateRole.IACA: ("모바일 신분증 인증기관 IACA (뿌리)", "An IACA: a CA for mdocs (trust anchor)"),
    CertificateRole.CREDENTIAL_ISSUER: ("발급 기관의 서명 인증서 (SD-JWT VC)", "A signing certificate (SD-JWT VC)"),
    CertificateRole.DOCUMENT_SIGNER: ("발급 기관의 서명 인증서 (mdoc)", "A document signer (mdoc)"),
    CertificateRole.VERIFIER_ACCESS: ("확인하는 회사의 접근 인증서", "An access certificate of a verifier"),
    CertificateRole.STATUS_LIST_SIGNER: ("상태 목록 서명 인증서", "A signer of status lists"),
    CertificateRole.VICAL_SIGNER: ("VICAL 서명 인증서", "A signer of VICALs"),
    CertificateRole.TRUST_LIST_SIGNER: ("목록 서명 인증서", "A signer of lists"),
    CertificateRole.WALLET_PROVIDER: ("지갑 제공자의 서명 인증서", "A signing certificate of a wallet provider"),
    CertificateRole.REGISTRAR: ("등록기관의 서명 인증서", "A registrar of relying parties"),
    CertificateRole.VERIFIER_ATTESTER: ("확인하는 회사를 보증하는 곳의 서명 인증서", "An attester of verifiers"),
}  # fmt: skip

PURPOSES: Final[dict[AnchorPurpose, Words]] = {
    AnchorPurpose.CREDENTIAL_ISSUER: ("증명서 발급 기관 (SD-JWT VC)", "agencies that sign SD-JWT VCs"),
    AnchorPurpose.VERIFIER_ACCESS: ("확인하는 회사", "companies that ask"),
    AnchorPurpose.MDL_ISSUER: ("모바일 신분증 발급 기관 (mdoc)", "agencies that sign mdocs"),
    AnchorPurpose.STATUS_LIST_SIGNER: ("상태 목록을 내는 곳", "signers of status lists"),
    AnchorPurpose.VICAL_PROVIDER: ("VICAL을 내는 곳", "providers of VICALs"),
    AnchorPurpose.TRUST_LIST_OPERATOR: ("신뢰 목록을 내는 곳", "operators of trust lists"),
    AnchorPurpose.WALLET_PROVIDER: ("지갑 제공자", "wallet providers"),
    AnchorPurpose.REGISTRAR: ("확인하는 회사를 등록하는 곳", "registrars of companies that ask"),
    AnchorPurpose.VERIFIER_ATTESTER: ("확인하는 회사를 보증하는 곳", "attesters of companies that ask"),
}

RULES: Final[dict[ProfileRule, Words]] = {
    ProfileRule.NOT_A_CA: ("인증기관이 아니에요", "it is no CA"),
    ProfileRule.IS_A_CA: ("서명 인증서인데 인증기관으로 되어 있어요", "it signs, but is marked as a CA"),
    ProfileRule.KEY_USAGE: ("키 용도(key usage)가 맞지 않아요", "its key usage is not that of its purpose"),
    ProfileRule.PURPOSE: ("확장 키 용도에 자기 역할이 없어요", "its extended key usage does not name its purpose"),
    ProfileRule.FORBIDDEN_EXTENSION: ("금지된 확장이 있어요", "it has an extension that is forbidden"),
    ProfileRule.UNKNOWN_EXTENSION: ("모르는 필수 확장이 있어요", "it has a critical extension that nobody knows"),
    ProfileRule.COUNTRY: ("나라 코드가 대문자 두 글자가 아니에요", "its country is not two capital letters"),
    ProfileRule.COUNTRY_DIFFERS: ("나라가 인증기관과 달라요", "its country is not that of its CA"),
    ProfileRule.STATE_DIFFERS: ("지역이 인증기관과 달라요", "its state or province is not that of its CA"),
    ProfileRule.KEY_IDENTIFIER_DIFFERS: ("인증기관의 다른 키를 가리켜요", "it names another key of its CA"),
    ProfileRule.KEY_IDENTIFIER: ("키 식별자가 없어요", "it has no key identifier"),
    ProfileRule.LIFE: ("유효 기간이 너무 길어요", "it lives longer than allowed"),
    ProfileRule.OUTLIVES_CA: ("인증기관보다 오래 살아요", "it outlives its CA"),
    ProfileRule.SERIAL: ("일련번호가 너무 짧거나 길어요", "its serial number is too short or too long"),
    ProfileRule.CRITICAL: ("필수(critical) 표시가 빠졌어요", "an extension is not marked as critical"),
    ProfileRule.PATH_LENGTH: ("아래에 다른 인증기관을 둘 수 있어요", "it may certify further CAs"),
    ProfileRule.CONTACT: ("발급자 연락처(issuerAltName)가 없어요", "it has no contact of its issuer"),
    ProfileRule.REVOCATION_LIST: ("폐지 목록 주소가 없어요", "it has no address of a revocation list"),
}


def describe(
    certificate: x509.Certificate,
    file: str,
    *,
    now: datetime,
    issuer: x509.Certificate | None = None,
    purposes: Iterable[AnchorPurpose] = (),
) -> dict[str, Any]:
    """Return what there is to say of a certificate, as ``jigap keys show --json`` prints it."""
    role = role_of(certificate)
    names = extension_of(certificate, x509.SubjectAlternativeName) or x509.SubjectAlternativeName([])
    left = certificate.not_valid_after_utc - now
    return {
        "file": file,
        "role": role.value,
        "purposes": [purpose.value for purpose in purposes],
        "subject": certificate.subject.rfc4514_string(),
        "issuer": certificate.issuer.rfc4514_string(),
        "self_signed": certificate.subject == certificate.issuer,
        "speaks_for": [str(each.value) for each in names],
        "valid_from": certificate.not_valid_before_utc.isoformat(),
        "valid_until": certificate.not_valid_after_utc.isoformat(),
        "not_yet_valid": now < certificate.not_valid_before_utc,
        "days_left": left // timedelta(days=1),
        "ends_soon": left <= WARN_BEFORE,
        "faults": [fault.rule.value for fault in profile_faults(certificate, role, issuer)],
        "x509_hash": x509_hash(certificate.public_bytes(Encoding.DER)),
        "sha256": certificate.fingerprint(SHA256()).hex(),
    }


def in_words(described: dict[str, Any], *, korean: bool = False) -> str:
    """Return the same for a person to read."""
    lines = _korean(described) if korean else _english(described)
    width = 14
    rows = (f"  {label:<{width}}{text}" for label, text in lines if text)
    return "\n".join((f"{described['file']}: {_say(ROLES[CertificateRole(described['role'])], korean)}", *rows))


def _english(described: dict[str, Any]) -> list[Words]:
    return [
        ("of", described["subject"]),
        ("certified by", "itself" if described["self_signed"] else described["issuer"]),
        ("speaks for", ", ".join(described["speaks_for"]) or "nobody by name"),
        ("trusted for", _each(PURPOSES, AnchorPurpose, described["purposes"], korean=False)),
        ("valid", f"{described['valid_from']} to {described['valid_until']}"),
        ("", _left(described, "expired {n} days ago", "not valid yet", "{n} days left", "{n} days left: renew it")),
        ("x509_hash", described["x509_hash"]),
        ("faults", _each(RULES, ProfileRule, described["faults"], korean=False)),
    ]


def _korean(described: dict[str, Any]) -> list[Words]:
    return [
        ("주인", described["subject"]),
        ("인증한 곳", "스스로" if described["self_signed"] else described["issuer"]),
        ("대표하는 이름", ", ".join(described["speaks_for"]) or "없음"),
        ("믿는 까닭", _each(PURPOSES, AnchorPurpose, described["purposes"], korean=True)),
        ("기간", f"{described['valid_from']}부터 {described['valid_until']}까지"),
        ("", _left(described, "{n}일 전에 끝났어요", "아직 쓸 수 없어요", "{n}일 남음", "{n}일 남음: 새로 만드세요")),
        ("x509_hash", described["x509_hash"]),
        ("어긴 규칙", _each(RULES, ProfileRule, described["faults"], korean=True)),
    ]  # fmt: skip


def _left(described: dict[str, Any], over: str, early: str, good: str, soon: str) -> str:
    days = described["days_left"]
    if days < 0:
        return over.format(n=-days)
    if described["not_yet_valid"]:
        return early
    return (soon if described["ends_soon"] else good).format(n=days)


def _each(words: dict[Any, Words], kind: Any, names: Iterable[str], *, korean: bool) -> str:
    return "; ".join(_say(words[kind(name)], korean) for name in names)


def _say(words: Words, korean: bool) -> str:  # noqa: FBT001 - which of the two
    return words[0] if korean else words[1]
