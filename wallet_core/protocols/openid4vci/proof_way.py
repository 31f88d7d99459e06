"""How possession of the holder's keys is proven for a configuration: what the issuer takes, seen by the wallet.

OpenID4VCI 12.2.4, appendix F. The ``jwt`` proof comes first: it alone may do without a key attestation, which would
tell the issuer more.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from wallet_core import spec_versions as spec
from wallet_core.errors import MalformedError
from wallet_core.protocols.openid4vci import members
from wallet_core.protocols.openid4vci.key_attestation import (
    KeyAttestationRequirements,
    parse_key_attestation_requirements,
)
from wallet_core.protocols.openid4vci.metadata import CredentialConfiguration
from wallet_core.types import Json

_CLAUSE: Final = "OpenID4VCI 12.2.4"


@dataclass(frozen=True, slots=True)
class ProofWay:
    """One way to prove possession.

    Attributes:
        proof_type: ``jwt`` or ``attestation``.
        algorithms: that the issuer takes, for the proof and for a key attestation in it.
        attestation: what the issuer asks of the key attestation; None if it asks for none.
    """

    proof_type: str
    algorithms: tuple[str, ...]
    attestation: KeyAttestationRequirements | None = None

    @property
    def is_signed(self) -> bool:
        """Whether a holder's key signs: everywhere but in the ``attestation`` proof."""
        return self.proof_type == spec.PROOF_TYPE_JWT


def choose_proof_way(configuration: CredentialConfiguration) -> ProofWay | None:
    """Return how to prove possession for ``configuration``; None if this wallet has no way that the issuer takes.

    Not to be asked where no proof is needed.

    Raises:
        MalformedError: the metadata of the proof types break a rule.
    """
    document = configuration.document
    methods = members.strings(document, "cryptographic_binding_methods_supported", clause=_CLAUSE)
    named = "cose_key" if configuration.format == spec.FORMAT_MDOC else "jwk"
    # 12.2.4, 8.2.1.1: a proof of a key that is named in another way would be refused.
    # vci-12.2.4-unattested-jwk
    if named not in methods:
        return None
    types = members.optional_object(document, "proof_types_supported", clause=_CLAUSE) or {}
    ways = [_way(types, name) for name in (spec.PROOF_TYPE_JWT, spec.PROOF_TYPE_ATTESTATION)]
    return next((way for way in ways if way is not None), None)


def _way(types: Mapping[str, Json], name: str) -> ProofWay | None:
    offered = members.optional_object(types, name, clause=_CLAUSE)
    if offered is None:
        return None
    # vci-12.2.4-proof-algorithms
    algorithms = members.strings(offered, "proof_signing_alg_values_supported", clause=_CLAUSE)
    required = parse_key_attestation_requirements(offered)
    # OpenID4VCI F.3: the attestation proof is a key attestation, whatever else the metadata ask of it.
    if required is None and name == spec.PROOF_TYPE_ATTESTATION:
        required = KeyAttestationRequirements()
    return ProofWay(name, algorithms, required)


def require_proof_way(configuration: CredentialConfiguration) -> ProofWay:
    """Return :func:`choose_proof_way`. Raises ``MalformedError`` also if there is none."""
    way = choose_proof_way(configuration)
    if way is None:
        raise MalformedError("the issuer takes no key proof that this wallet can make", clause=_CLAUSE)
    return way
