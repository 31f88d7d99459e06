"""Credentials a wallet holds, as candidates for a query."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from wallet_core import spec_versions as spec
from wallet_core.errors import MalformedError
from wallet_core.formats.mdoc.holder import HeldMdoc
from wallet_core.formats.mdoc.verifier import claims_to_json
from wallet_core.formats.sd_jwt.holder import HeldSdJwt
from wallet_core.keys.algorithms import SignatureAlgorithm, cose_identifiers
from wallet_core.protocols.openid4vp.authorities import authorities_of
from wallet_core.protocols.openid4vp.dcql import DcqlQuery
from wallet_core.protocols.openid4vp.matching import Candidate
from wallet_core.protocols.openid4vp.vp_formats import AlgorithmName
from wallet_core.trust.x509 import parse_x5c
from wallet_core.types import ClaimsPath, Json

# RFC 7518 3.4, RFC 8037: each curve has one algorithm, so that no key needs to be read for its name.
_CURVES: Final = {
    "P-256": SignatureAlgorithm.ES256,
    "P-384": SignatureAlgorithm.ES384,
    "P-521": SignatureAlgorithm.ES512,
    "Ed25519": SignatureAlgorithm.EDDSA,
}

HeldCredential: TypeAlias = HeldSdJwt | HeldMdoc
"""A credential that the wallet holds, indexed."""


def _no_lists(_chain: Sequence[bytes], _format: str) -> frozenset[str]:
    return frozenset()


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What a wallet knows beside its credentials.

    Attributes:
        supertypes: the types that a ``vct`` extends, from type metadata that the wallet trusts.
        special: claims that say more than others, by format and type; null stands for any element.
        trust_lists: the lists on which an issuer's chain stands, by their identifiers. No I/O.
    """

    supertypes: Mapping[str, frozenset[str]] = field(default_factory=dict)
    special: Mapping[tuple[str, str], frozenset[ClaimsPath]] = field(default_factory=dict)
    trust_lists: Callable[[Sequence[bytes], str], frozenset[str]] = _no_lists

    def asked_types(self, query: DcqlQuery) -> frozenset[tuple[str, str]]:
        """Return format and type of every credential that could answer: nothing else needs to be opened."""
        asked = {(one.format, type_) for one in query.credentials for type_ in one.types}
        below = {
            (spec.FORMAT_SD_JWT_VC, vct)
            for vct, above in self.supertypes.items()
            if any((spec.FORMAT_SD_JWT_VC, type_) in asked for type_ in above)
        }
        return frozenset(asked | below)


NO_KNOWLEDGE: Final = Knowledge()
"""Every type stands for itself, and every claim says as much as another."""


def candidate_of(credential_id: str, held: HeldCredential, knowledge: Knowledge = NO_KNOWLEDGE) -> Candidate:
    """Return a held credential as matching sees it. Raises ``MalformedError`` for an mdoc that JSON cannot say."""
    if isinstance(held, HeldMdoc):
        return mdoc_candidate(credential_id, held, knowledge)
    return sd_jwt_candidate(credential_id, held, knowledge)


def mdoc_candidate(credential_id: str, held: HeldMdoc, knowledge: Knowledge = NO_KNOWLEDGE) -> Candidate:
    """Return a held mdoc as matching sees it: values converted to JSON (OpenID4VP B.2.1, RFC 8949 6.1).

    An mdoc always comes with the device's proof, so it answers queries that waive it as well (B.2.4).

    Raises:
        MalformedError: a value has no form in JSON.
    """
    return Candidate(
        id=credential_id,
        format=spec.FORMAT_MDOC,
        type=held.doc_type,
        claims={**claims_to_json(held.claims)},
        hideable=frozenset(held.items),
        holder_bound=True,
        authorities=authorities_of(held.x5chain, knowledge.trust_lists(held.x5chain, spec.FORMAT_MDOC)),
        special=knowledge.special.get((spec.FORMAT_MDOC, held.doc_type), frozenset()),
        issuer_algorithms=_cose_names(held.algorithm),
        # What the wallet writes into the DeviceSignature, and the number that names its curve as well.
        holder_algorithms=frozenset(cose_identifiers(held.mso.device_key.algorithm)),
    )


def sd_jwt_candidate(credential_id: str, held: HeldSdJwt, knowledge: Knowledge = NO_KNOWLEDGE) -> Candidate:
    """Return a held SD-JWT VC as matching sees it."""
    vct, chain = str(held.claims.get("vct", "")), _x5c(held.header)
    return Candidate(
        id=credential_id,
        format=spec.FORMAT_SD_JWT_VC,
        type=vct,
        claims=held.claims,
        hideable=frozenset(held.paths),
        holder_bound="cnf" in held.claims,
        authorities=authorities_of(chain, knowledge.trust_lists(chain, spec.FORMAT_SD_JWT_VC)),
        # dcql-B.3.5-extends-wallet
        supertypes=knowledge.supertypes.get(vct, frozenset()),
        special=knowledge.special.get((spec.FORMAT_SD_JWT_VC, vct), frozenset()),
        issuer_algorithms=_jose_names(held.header.get("alg")),
        holder_algorithms=_key_binding_names(held.claims.get("cnf")),
    )


def _jose_names(alg: Json) -> frozenset[AlgorithmName]:
    # B.3.4: the alg header as it stands is compared.
    return frozenset({alg}) if isinstance(alg, str) else frozenset()


def _key_binding_names(cnf: Json) -> frozenset[AlgorithmName]:
    jwk = cnf.get("jwk") if isinstance(cnf, dict) else None
    algorithm = _CURVES.get(str(jwk.get("crv"))) if isinstance(jwk, dict) else None
    return frozenset() if algorithm is None else frozenset({str(algorithm)})


def _cose_names(alg: int | None) -> frozenset[AlgorithmName]:
    """Return what an ``alg`` fulfils (B.2.2): itself, and the fully-specified number with the curve of its keys.

    Each of our curves has one algorithm, so that the number tells the curve.
    """
    if alg is None:
        return frozenset()
    return frozenset({alg}).union(
        cose_identifiers(each)[-1] for each in SignatureAlgorithm if alg in cose_identifiers(each)
    )


def _x5c(header: Mapping[str, Json]) -> Sequence[bytes]:
    try:
        return parse_x5c(header.get("x5c"))
    except MalformedError:
        return ()
