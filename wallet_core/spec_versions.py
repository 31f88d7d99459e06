"""Every identifier string that a specification fixes, in one place, with the edition in force.

Editions: OpenID4VCI 1.0, OpenID4VP 1.0, HAIP 1.0, RFC 9901 (SD-JWT), SD-JWT VC draft (HAIP pins -13), RFC 9449 (DPoP),
attestation-based client authentication draft 07 (OpenID4VCI pins it); see ``specs/README.md``. A new edition is one
diff of this file.
"""

from typing import Final

# --- media types -----------------------------------------------------------------------------------------------------
JSON: Final = "application/json"
JWT_MEDIA_TYPE: Final = "application/jwt"
FORM: Final = "application/x-www-form-urlencoded"
REQUEST_OBJECT_MEDIA_TYPE: Final = "application/oauth-authz-req+jwt"
VERIFICATION_RECORD_MEDIA_TYPE: Final = "application/jigap-verification-record+sd-jwt"
TRUST_LIST_MEDIA_TYPE: Final = "application/jigap-trust-list+jwt"
STATUS_LIST_JWT_MEDIA_TYPE: Final = "application/statuslist+jwt"
STATUS_LIST_CWT_MEDIA_TYPE: Final = "application/statuslist+cwt"

# --- JOSE typ header values ------------------------------------------------------------------------------------------
TYP_SD_JWT_VC: Final = "dc+sd-jwt"
TYP_KEY_BINDING: Final = "kb+jwt"
TYP_KEY_PROOF: Final = "openid4vci-proof+jwt"
TYP_KEY_ATTESTATION: Final = "key-attestation+jwt"
TYP_DPOP: Final = "dpop+jwt"
TYP_CLIENT_ATTESTATION: Final = "oauth-client-attestation+jwt"
TYP_CLIENT_ATTESTATION_POP: Final = "oauth-client-attestation-pop+jwt"
TYP_REQUEST_OBJECT: Final = "oauth-authz-req+jwt"
TYP_ISSUER_METADATA: Final = "openidvci-issuer-metadata+jwt"
TYP_TRUST_LIST: Final = "jigap-trust-list+jwt"
TYP_VERIFICATION_RECORD: Final = "jigap-verification-record+sd-jwt"
TYP_STATUS_LIST_JWT: Final = "statuslist+jwt"
TYP_VERIFIER_ATTESTATION: Final = "verifier-attestation+jwt"
TYP_REGISTRATION: Final = "rc-wrp+jwt"
"""ETSI TS 119 475 V1.2.1 5.2.1: a registration certificate of a wallet-relying party."""

# --- CWT claims and COSE headers of Token Status List 14 (RFC 8392, RFC 9596) -----------------------------------------
CWT_SUB: Final = 2
CWT_EXP: Final = 4
CWT_IAT: Final = 6
CWT_STATUS_LIST: Final = 65533
CWT_TTL: Final = 65534
COSE_TYP: Final = 16

# --- formats ---------------------------------------------------------------------------------------------------------
FORMAT_SD_JWT_VC: Final = "dc+sd-jwt"
FORMAT_MDOC: Final = "mso_mdoc"

# --- ISO/IEC 18013-5 -------------------------------------------------------------------------------------------------
DOCTYPE_MDL: Final = "org.iso.18013.5.1.mDL"
NAMESPACE_MDL: Final = "org.iso.18013.5.1"
NAMESPACE_MDL_KR: Final = "org.iso.18013.5.1.KR"
MDL_MANDATORY: Final = frozenset(
    {
        "family_name",
        "given_name",
        "birth_date",
        "issue_date",
        "expiry_date",
        "issuing_country",
        "issuing_authority",
        "document_number",
        "portrait",
        "driving_privileges",
        "un_distinguishing_sign",
    }
)
"""ISO/IEC 18013-5 7.2.1, table 5, presence M."""
MDOC_VERSION: Final = "1.0"
HANDOVER_OPENID4VP: Final = "OpenID4VPHandover"
HANDOVER_OPENID4VP_DC_API: Final = "OpenID4VPDCAPIHandover"
HANDOVER_DCAPI: Final = "dcapi"

# --- Digital Credentials API: protocol identifiers (OpenID4VP A.1, W3C Digital Credentials) ---------------------------
DC_API_UNSIGNED: Final = "openid4vp-v1-unsigned"
DC_API_SIGNED: Final = "openid4vp-v1-signed"
DC_API_MULTISIGNED: Final = "openid4vp-v1-multisigned"
DC_API_ISO_MDOC: Final = "org-iso-mdoc"

# --- OAuth and OpenID4VCI --------------------------------------------------------------------------------------------
GRANT_PRE_AUTHORIZED_CODE: Final = "urn:ietf:params:oauth:grant-type:pre-authorized_code"
GRANT_AUTHORIZATION_CODE: Final = "authorization_code"
GRANT_REFRESH_TOKEN: Final = "refresh_token"
CODE_CHALLENGE_S256: Final = "S256"
DETAIL_OPENID_CREDENTIAL: Final = "openid_credential"
AUTH_METHOD_NONE: Final = "none"
OFFER_SCHEME: Final = "openid-credential-offer://"
WELL_KNOWN_CREDENTIAL_ISSUER: Final = "openid-credential-issuer"
WELL_KNOWN_AUTHORIZATION_SERVER: Final = "oauth-authorization-server"
WELL_KNOWN_JWT_VC_ISSUER: Final = "jwt-vc-issuer"
WELL_KNOWN_OPENID_CONFIGURATION: Final = "openid-configuration"

AUTH_METHOD_CLIENT_ATTESTATION: Final = "attest_jwt_client_auth"
PROOF_TYPE_JWT: Final = "jwt"
PROOF_TYPE_ATTESTATION: Final = "attestation"

ATTACK_POTENTIALS: Final = ("iso_18045_high", "iso_18045_moderate", "iso_18045_enhanced-basic", "iso_18045_basic")
"""Levels of key attestations (OpenID4VCI D.2), the strongest first: AVA_VAN 5, 4, 3, 2."""

# --- HTTP headers (RFC 9449; attestation-based client authentication, draft 07) ---------------------------------------
HEADER_DPOP: Final = "DPoP"
HEADER_DPOP_NONCE: Final = "DPoP-Nonce"
HEADER_CLIENT_ATTESTATION: Final = "OAuth-Client-Attestation"
HEADER_CLIENT_ATTESTATION_POP: Final = "OAuth-Client-Attestation-PoP"
HEADER_ATTESTATION_CHALLENGE: Final = "OAuth-Client-Attestation-Challenge"

# --- OpenID4VP -------------------------------------------------------------------------------------------------------
REQUEST_SCHEME: Final = "openid4vp://"
SELF_ISSUED_AUDIENCE: Final = "https://self-issued.me/v2"
RESPONSE_TYPE_VP_TOKEN: Final = "vp_token"
RESPONSE_MODE_DIRECT_POST: Final = "direct_post"
RESPONSE_MODE_DIRECT_POST_JWT: Final = "direct_post.jwt"
RESPONSE_MODE_DC_API: Final = "dc_api"
RESPONSE_MODE_DC_API_JWT: Final = "dc_api.jwt"
ORIGIN_AUDIENCE: Final = "origin:"
PREFIX_REDIRECT_URI: Final = "redirect_uri"
PREFIX_X509_SAN_DNS: Final = "x509_san_dns"
PREFIX_X509_HASH: Final = "x509_hash"
PREFIX_VERIFIER_ATTESTATION: Final = "verifier_attestation"
VERIFIER_INFO_REGISTRATION: Final = "registration_cert"
"""ETSI TS 119 472-2: ``format`` of a registration certificate in ``verifier_info``."""
DEFAULT_ENC: Final = "A128GCM"
