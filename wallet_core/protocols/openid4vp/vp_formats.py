"""Credential formats and signature algorithms that a side accepts: ``vp_formats_supported`` (OpenID4VP 1.0 5.1, 11.1).

The invariant: what is not named is not restricted; what is named and cannot be read accepts nothing.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from wallet_core import spec_versions as spec
from wallet_core.keys.algorithms import SignatureAlgorithm, cose_identifiers
from wallet_core.types import Json, JsonObject

AlgorithmName: TypeAlias = str | int
"""A JOSE name, or a number of COSE."""

SIGNATURE_ALGORITHMS: Final = ("ES256", "ES384", "ES512", "Ed25519", "EdDSA")
"""B.3.4 asks for fully-specified names (RFC 9864); ``EdDSA`` stays for those who know Ed25519 by that name only."""

COSE_ALGORITHMS: Final = tuple(number for each in SignatureAlgorithm for number in cose_identifiers(each))
"""B.2.2: the same for mdocs; M28: old and fully-specified numbers, since both are in use for the same keys."""

# B.3.4, B.2.2: the member for the issuer's signature, that for the holder's, and what of them is understood here.
_MEMBERS: Final[Mapping[str, tuple[str, str, Sequence[AlgorithmName]]]] = {
    spec.FORMAT_SD_JWT_VC: ("sd-jwt_alg_values", "kb-jwt_alg_values", SIGNATURE_ALGORITHMS),
    spec.FORMAT_MDOC: ("issuerauth_alg_values", "deviceauth_alg_values", COSE_ALGORITHMS),
}


@dataclass(frozen=True, slots=True)
class AcceptedAlgorithms:
    """Accepted algorithms of one format, of the issuer's and of the holder's signature; None where any will do."""

    issuer: tuple[AlgorithmName, ...] | None
    holder: tuple[AlgorithmName, ...] | None

    def takes_issuer(self, names: Collection[AlgorithmName]) -> bool:
        """Return whether one of the names that the issuer's signature answers to is accepted."""
        return self.issuer is None or not set(names).isdisjoint(self.issuer)

    def takes_holder(self, names: Collection[AlgorithmName]) -> bool:
        """Return the same of the holder's signature."""
        return self.holder is None or not set(names).isdisjoint(self.holder)


@dataclass(frozen=True, slots=True)
class AcceptedFormats:
    """The formats that are known here among those that a side accepts."""

    by_format: Mapping[str, AcceptedAlgorithms]

    def to_json(self) -> JsonObject:
        """Return ``vp_formats_supported``, which :func:`parse_vp_formats` reads."""
        return {name: _members(name, accepted) for name, accepted in self.by_format.items()}


def parse_vp_formats(value: Json) -> AcceptedFormats | None:
    """Return what ``vp_formats_supported`` accepts; None where it is no JSON object and so says nothing."""
    if not isinstance(value, dict):
        return None
    return AcceptedFormats({name: _parse_format(name, value[name]) for name in _MEMBERS if name in value})


def is_format_shared(format_: str, accepted: Json) -> bool:
    """Return whether both sides know a Credential Format and, where the peer names algorithms of it, one of those."""
    peer = parse_vp_formats({format_: accepted})
    if peer is None or format_ not in peer.by_format:
        return False
    ours, named = _MEMBERS[format_][2], peer.by_format[format_]
    return named.takes_issuer(ours) and named.takes_holder(ours)


def _parse_format(name: str, accepted: Json) -> AcceptedAlgorithms:
    issuer, holder, _ = _MEMBERS[name]
    return AcceptedAlgorithms(_algorithms(accepted, issuer), _algorithms(accepted, holder))


def _algorithms(accepted: Json, member: str) -> tuple[AlgorithmName, ...] | None:
    if not isinstance(accepted, dict) or member not in accepted:
        return None
    named = accepted[member]
    return tuple(name for name in named if isinstance(name, str | int)) if isinstance(named, list) else ()


def _members(format_: str, accepted: AcceptedAlgorithms) -> JsonObject:
    issuer, holder, _ = _MEMBERS[format_]
    named = {issuer: accepted.issuer, holder: accepted.holder}
    return {member: [*names] for member, names in named.items() if names is not None}


OUR_FORMATS: Final = AcceptedFormats(
    {name: AcceptedAlgorithms(tuple(ours), tuple(ours)) for name, (_, _, ours) in _MEMBERS.items()}
)
"""The formats and algorithms that both our sides understand."""


def vp_formats_supported() -> JsonObject:
    """Return the formats and algorithms that both our sides understand (11.1, B.3.4)."""
    return OUR_FORMATS.to_json()
