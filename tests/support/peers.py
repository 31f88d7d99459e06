"""PyPI ``sd-jwt``, written by an author of RFC 9901: the other side in interop tests and in the bench."""

import copy
from collections.abc import Sequence
from typing import Any

from jwcrypto.jwk import JWK
from sd_jwt.common import SDObj
from sd_jwt.holder import SDJWTHolder
from sd_jwt.issuer import SDJWTIssuer
from sd_jwt.verifier import SDJWTVerifier

from wallet_core.keys.signer import SoftwareSigner
from wallet_core.types import ClaimsPath

Marks = Any
"""Their way to choose: a tree like the claims with True where something is disclosed."""


def peer_key(signer: SoftwareSigner) -> JWK:
    """Return the key pair of ``signer`` as their library wants it."""
    return JWK.from_pyca(signer.private_key)


def peer_public_key(signer: SoftwareSigner) -> JWK:
    """Return the public key of ``signer`` as their library wants it."""
    return JWK.from_pyca(signer.public_key.raw)


def mark(claims: dict[str, Any], paths: Sequence[ClaimsPath]) -> Any:
    """Return ``claims`` with their marker around everything selectively disclosable. No null paths."""
    marked = copy.deepcopy(claims)
    # The deepest first: a marked member has a key that no longer equals its name.
    for path in sorted(paths, key=len, reverse=True):
        parent: Any = marked
        for part in path[:-1]:
            parent = parent[part]
        last: Any = path[-1]
        if isinstance(parent, list):
            parent[last] = SDObj(parent[last])
        else:
            parent[SDObj(last)] = parent.pop(last)
    return marked


def peer_issue(marked: Any, issuer: JWK, holder: JWK, *, decoys: bool = False, **header: Any) -> str:
    """Return an SD-JWT of theirs."""
    issued = SDJWTIssuer(marked, issuer, holder, add_decoy_claims=decoys, extra_header_parameters=header)
    return str(issued.sd_jwt_issuance)


def peer_present(sd_jwt: str, marks: Marks, *, audience: str, nonce: str, holder: JWK) -> str:
    """Return a presentation of theirs, with a Key Binding JWT of this moment."""
    theirs = SDJWTHolder(sd_jwt)
    theirs.create_presentation(marks, nonce, audience, holder)
    return str(theirs.sd_jwt_presentation)


def peer_verify(presentation: str, issuer: JWK, *, audience: str | None = None, nonce: str | None = None) -> Any:
    """Return the processed payload by their verification."""
    return SDJWTVerifier(presentation, lambda *_: issuer, audience, nonce).get_verified_payload()
