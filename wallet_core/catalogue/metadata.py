"""What other parties read of a credential type: issuer metadata and SD-JWT VC type metadata."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from wallet_core.catalogue.text import LANGUAGES, Text
from wallet_core.keys.algorithms import SignatureAlgorithm
from wallet_core.spec_versions import ATTACK_POTENTIALS, FORMAT_MDOC, PROOF_TYPE_JWT
from wallet_core.types import Json, JsonObject

if TYPE_CHECKING:
    from wallet_core.catalogue.credential_type import Claim, CredentialType, FormatEntry, KeyPolicy

CLOTHS: Final = {"jjok": "#17396b", "gam": "#9a3d1f", "ssuk": "#2a5f48", "jaju": "#662f5c"}
"""Base colours of the cards, named after Korean dyes; white text on each is at least 5:1."""

TEXT_COLOUR: Final = "#ffffff"
SIGNING_ALGORITHMS: Final = (SignatureAlgorithm.ES256,)
COSE_SIGNING_ALGORITHMS: Final = (-7, -9)
"""ES256 as COSE numbers it (RFC 9053 2.1) and its fully-specified name (RFC 9864 2.1); both mean the same here."""

PROOF_ALGORITHMS: Final = (SignatureAlgorithm.ES256, SignatureAlgorithm.ES384, SignatureAlgorithm.EDDSA)

_ISSUED_AT: Final[JsonObject] = {"path": ["iat"], "mandatory": True, "sd": "never"}
"""Beside the content, the one claim that SD-JWT VC 2.2.2 would let an issuer hide. Readers who take the list of claims
as whole need to find it there, and that it never hides (decision 0110)."""


def credential_configuration(credential_type: "CredentialType", entry: "FormatEntry", *, haip: bool) -> JsonObject:
    """Return the entry of ``credential_configurations_supported`` for one form of a type (OpenID4VCI 12.2.4)."""
    special = _mdoc_members(entry) if entry.format == FORMAT_MDOC else _sd_jwt_members(credential_type)
    path = _element_path if entry.format == FORMAT_MDOC else _path
    claims = [claim for claim in credential_type.claims if claim.default_issue]
    return {
        "format": entry.format,
        # haip-4.1-scope
        "scope": entry.scope,
        **special,
        "proof_types_supported": _proof_types(credential_type.key_policy, haip=haip),
        "credential_metadata": {
            "display": [_card_display(credential_type, language) for language in LANGUAGES],
            # Appendix B.2: the order of the entries is the order of display.
            "claims": [_claim_description(claim, found) for claim in claims if (found := path(claim))],
        },
    }


def accepted_levels(levels: Iterable[str]) -> tuple[str, ...]:
    """Return ``levels`` and every stronger one, the strongest first: who resists more resists less as well (D.2)."""
    known = [ATTACK_POTENTIALS.index(level) for level in levels]
    return ATTACK_POTENTIALS[: max(known) + 1] if known else ()


def _proof_types(policy: "KeyPolicy", *, haip: bool) -> JsonObject:
    proof_type: JsonObject = {"proof_signing_alg_values_supported": [str(each) for each in PROOF_ALGORITHMS]}
    # 12.2.4: key_attestations_required MUST NOT be there where no attestation is needed.
    if not policy.attested(haip=haip):
        return {name: {**proof_type} for name in policy.proof_types if name == PROOF_TYPE_JWT}
    asked = (("key_storage", policy.key_storage), ("user_authentication", policy.user_authentication))
    required: JsonObject = {name: [*accepted_levels(levels)] for name, levels in asked if levels}
    return {name: {**proof_type, "key_attestations_required": required} for name in policy.proof_types}


def _sd_jwt_members(credential_type: "CredentialType") -> JsonObject:
    # A.3.2
    return {
        "vct": credential_type.vct,
        "cryptographic_binding_methods_supported": ["jwk"],
        "credential_signing_alg_values_supported": [str(each) for each in SIGNING_ALGORITHMS],
    }


def _mdoc_members(entry: "FormatEntry") -> JsonObject:
    # A.2.2: algorithms are COSE numbers there; -9 is the fully-specified name of -7 on P-256 (RFC 9864).
    return {
        "doctype": entry.doctype,
        "cryptographic_binding_methods_supported": ["cose_key"],
        "credential_signing_alg_values_supported": [*COSE_SIGNING_ALGORITHMS],
    }


def type_metadata(credential_type: "CredentialType") -> JsonObject:
    """Return the type metadata document of ``vct`` (SD-JWT VC 4.2)."""
    # SD-JWT VC 4.2: "extends" is there only where a type inherits from another.
    inherited: JsonObject = {} if credential_type.extends is None else {"extends": credential_type.extends}
    return {
        "vct": credential_type.vct,
        **inherited,
        "name": credential_type.name.en,
        "description": credential_type.description.en,
        "display": [_type_display(credential_type, language) for language in LANGUAGES],
        "claims": [*(_claim_metadata(claim) for claim in credential_type.claims if claim.default_issue), _ISSUED_AT],
    }


def _card_display(credential_type: "CredentialType", language: str) -> JsonObject:
    return {
        "name": credential_type.name.get(language),
        "locale": language,
        "description": credential_type.description.get(language),
        "background_color": CLOTHS[credential_type.cloth],
        "text_color": TEXT_COLOUR,
    }


def _type_display(credential_type: "CredentialType", language: str) -> JsonObject:
    colours: JsonObject = {"background_color": CLOTHS[credential_type.cloth], "text_color": TEXT_COLOUR}
    return {
        "locale": language,
        "name": credential_type.name.get(language),
        "description": credential_type.description.get(language),
        "rendering": {"simple": colours},
    }


def _path(claim: "Claim") -> list[Json]:
    return list(claim.path)


def _labels(label: Text, member: str) -> list[Json]:
    return [{"locale": language, member: label.get(language)} for language in LANGUAGES]


def _element_path(claim: "Claim") -> list[Json]:
    # C.2.2 of OpenID4VCI: namespace and data element identifier; empty for what the mdoc form does not have.
    return [claim.mdoc.namespace, claim.mdoc.element] if claim.mdoc is not None else []


def _claim_description(claim: "Claim", path: list[Json]) -> JsonObject:
    return {"path": path, "mandatory": claim.mandatory, "display": _labels(claim.label, "name")}


def _claim_metadata(claim: "Claim") -> JsonObject:
    return {
        "path": _path(claim),
        "display": _labels(claim.label, "label"),
        "mandatory": claim.mandatory,
        "sd": claim.sd,
    }
