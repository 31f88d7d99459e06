"""What other parties read of a credential type: issuer metadata and SD-JWT VC type metadata."""

from typing import TYPE_CHECKING, Final

from wallet_core.catalogue.text import LANGUAGES, Text
from wallet_core.keys.algorithms import SignatureAlgorithm
from wallet_core.types import Json, JsonObject

if TYPE_CHECKING:
    from wallet_core.catalogue.credential_type import Claim, CredentialType

CLOTHS: Final = {"jjok": "#17396b", "gam": "#9a3d1f", "ssuk": "#2a5f48", "jaju": "#662f5c"}
"""Base colours of the cards, named after Korean dyes; white text on each is at least 5:1."""

TEXT_COLOUR: Final = "#ffffff"
SIGNING_ALGORITHMS: Final = (SignatureAlgorithm.ES256,)
PROOF_ALGORITHMS: Final = (SignatureAlgorithm.ES256, SignatureAlgorithm.ES384, SignatureAlgorithm.EDDSA)


def credential_configuration(credential_type: "CredentialType") -> JsonObject:
    """Return the entry of ``credential_configurations_supported`` for the SD-JWT VC form (OpenID4VCI 12.2.4, A.3)."""
    return {
        "format": credential_type.sd_jwt.format,
        "scope": credential_type.scope,
        "vct": credential_type.vct,
        "cryptographic_binding_methods_supported": ["jwk"],
        "credential_signing_alg_values_supported": [str(each) for each in SIGNING_ALGORITHMS],
        "proof_types_supported": {
            "jwt": {"proof_signing_alg_values_supported": [str(each) for each in PROOF_ALGORITHMS]}
        },
        "credential_metadata": {
            "display": [_card_display(credential_type, language) for language in LANGUAGES],
            # Appendix B.2: the order of the entries is the order of display.
            "claims": [_claim_description(claim) for claim in credential_type.claims if claim.default_issue],
        },
    }


def type_metadata(credential_type: "CredentialType") -> JsonObject:
    """Return the type metadata document of ``vct`` (SD-JWT VC 4.2)."""
    return {
        "vct": credential_type.vct,
        "name": credential_type.name.en,
        "description": credential_type.description.en,
        "display": [_type_display(credential_type, language) for language in LANGUAGES],
        "claims": [_claim_metadata(claim) for claim in credential_type.claims if claim.default_issue],
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


def _claim_description(claim: "Claim") -> JsonObject:
    return {"path": _path(claim), "mandatory": claim.mandatory, "display": _labels(claim.label, "name")}


def _claim_metadata(claim: "Claim") -> JsonObject:
    return {
        "path": _path(claim),
        "display": _labels(claim.label, "label"),
        "mandatory": claim.mandatory,
        "sd": claim.sd,
    }
