"""The wallet's side of issuance, as flows that end wherever a person or the holder's key must act (OpenID4VCI 3.5).

```text
link ──resolve_offer──▶ ResolvedOffer ◀──resolve_choice── an issuer and what the person wants of it
     ──(the person accepts)── request_proofs ─────────────────────────────────────────────▶ ProofsToSign
     ──(the person accepts)── start_authorization ──▶ AuthorizationStarted
     ──(the browser comes back)── finish_authorization ────────────────────────────────────▶ ProofsToSign
     ──(attach_key_attestations where asked for; the keys sign)── receive_credentials ──▶ IssuedCredentials,
     or once more ProofsToSign
     ──(later, while something is deferred: resolve_today)── poll_deferred ──▶ IssuedCredentials ── notify
```
"""

from wallet_core.protocols.openid4vci.authorizing import (
    finish_authorization,
    refresh_access,
    request_more_proofs,
    start_authorization,
)
from wallet_core.protocols.openid4vci.pending import (
    AuthorizationStarted,
    DeferredCredential,
    IssuedBatch,
    IssuedCredentials,
    KeysToAttest,
    ProofsToSign,
    ProofToSign,
    ResolvedOffer,
)
from wallet_core.protocols.openid4vci.receiving import (
    attach_key_attestations,
    notify,
    poll_deferred,
    receive_credentials,
    request_proofs,
)
from wallet_core.protocols.openid4vci.resolving import (
    resolve_catalogue,
    resolve_choice,
    resolve_credential_issuer,
    resolve_offer,
    resolve_today,
)

__all__ = [
    "AuthorizationStarted",
    "DeferredCredential",
    "IssuedBatch",
    "IssuedCredentials",
    "KeysToAttest",
    "ProofToSign",
    "ProofsToSign",
    "ResolvedOffer",
    "attach_key_attestations",
    "finish_authorization",
    "notify",
    "poll_deferred",
    "receive_credentials",
    "refresh_access",
    "request_more_proofs",
    "request_proofs",
    "resolve_catalogue",
    "resolve_choice",
    "resolve_credential_issuer",
    "resolve_offer",
    "resolve_today",
    "start_authorization",
]
