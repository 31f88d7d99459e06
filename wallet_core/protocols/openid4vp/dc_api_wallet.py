"""The wallet's side of a presentation over the Digital Credentials API (OpenID4VP 1.0 appendix A). No network at all.

```text
protocol, data, origin ──resolve_dc_api_request──▶ ResolvedDcApiRequest ──matching.match──▶ Matches
──(the person agrees) matching.approve──▶ ApprovedDisclosure ──create_dc_api_presentation──▶
DcApiPresentationToSign ──(the keys sign) create_dc_api_answer──▶ what the platform gives to the page
```

Whatever goes wrong on the way, :func:`answer_to_error` says what the page gets: nothing (the platform cancels), or an
error code once the person has acted.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self
from urllib.parse import urlsplit

from wallet_core import spec_versions as spec
from wallet_core.encoding import base64url
from wallet_core.errors import AccessDenied, MalformedError, QueryNotSatisfied, WalletError
from wallet_core.protocols.openid4vp.candidates import HeldCredential
from wallet_core.protocols.openid4vp.client_id import VerifiedClient
from wallet_core.protocols.openid4vp.dc_api import (
    DcApiProtocol,
    DcApiRequest,
    create_dc_api_response,
    origin_audience,
    parse_dc_api_members,
    verify_dc_api_request,
)
from wallet_core.protocols.openid4vp.haip import validate_haip_over_dc_api
from wallet_core.protocols.openid4vp.matching import ApprovedDisclosure
from wallet_core.protocols.openid4vp.pending import (
    AnswerToSign,
    VerifierIdentity,
    signed_vp_token,
)
from wallet_core.protocols.openid4vp.transaction_data import NO_TYPES, TransactionTypes, understand
from wallet_core.protocols.openid4vp.verifier_info import VerifierJudgement, judge_verifier
from wallet_core.protocols.openid4vp.wallet import create_items
from wallet_core.trust.anchors import TrustAnchors
from wallet_core.types import Json, JsonObject


@dataclass(frozen=True, slots=True)
class ResolvedDcApiRequest:
    """A verified request that a page made: what a consent screen needs.

    Attributes:
        protocol: the exchange protocol, which the answer names again.
        origin: of the page or app, as the platform names it; the person sees it whoever signed.
        request: what is asked.
        verifier: who asks; without a name where nobody signed.
        judgement: what its registrations make of it.
    """

    protocol: DcApiProtocol
    origin: str
    request: DcApiRequest
    verifier: VerifierIdentity
    judgement: VerifierJudgement = field(default_factory=VerifierJudgement)

    def to_json(self) -> JsonObject:
        """Return the value for storage."""
        return {
            "protocol": str(self.protocol),
            "origin": self.origin,
            "request": self.request.to_json(),
            "verifier": self.verifier.to_json(),
            "judgement": self.judgement.to_json(),
        }

    @classmethod
    def from_json(cls, value: JsonObject) -> Self:
        """Return the value that was stored. Raises ``WalletError`` if it was not made by :meth:`to_json`."""
        request, verifier, origin = value.get("request"), value.get("verifier"), value.get("origin")
        if not isinstance(request, dict) or not isinstance(verifier, dict) or not isinstance(origin, str):
            raise MalformedError("a stored request cannot be read")
        try:
            protocol = DcApiProtocol(str(value.get("protocol")))
        except ValueError as exc:
            raise MalformedError("a stored request is of no known protocol") from exc
        judgement = VerifierJudgement.from_json(value.get("judgement"))
        return cls(protocol, origin, parse_dc_api_members(request), VerifierIdentity.from_json(verifier), judgement)


@dataclass(frozen=True, slots=True)
class DcApiPresentationToSign(AnswerToSign[ResolvedDcApiRequest]):
    """An answer to be given to the page."""

    @classmethod
    def from_json(cls, value: JsonObject) -> Self:
        """Return the value that was stored. Raises ``WalletError`` if it was not made by :meth:`to_json`."""
        return cls.read(value, ResolvedDcApiRequest.from_json)


def resolve_dc_api_request(
    protocol: str,
    data: Json,
    *,
    origin: str,
    anchors: TrustAnchors,
    now: datetime,
    audiences: Collection[str] = (spec.SELF_ISSUED_AUDIENCE,),
    transaction_types: TransactionTypes = NO_TYPES,
    haip: bool = False,
) -> ResolvedDcApiRequest:
    """Return the request that a page passed to the API, verified. ``org-iso-mdoc`` is in ``iso18013.dc_api``.

    The arguments and steps are those of :func:`~.dc_api.verify_dc_api_request`; ``transaction_types`` is what may be
    agreed to: a request with anything else is refused (8.4). With ``haip`` so is every one that is not of the
    high-assurance profile.

    Raises:
        ProfileNotKept: the request is good, and not of the profile that is demanded.
        WalletError: the request breaks a rule, nobody trusted vouches for its sender, or it brings a registration that
            is false.
    """
    request, client = verify_dc_api_request(
        protocol, data, origin=origin, anchors=anchors, now=now, audiences=audiences
    )
    # haip-5.2-demanded
    if haip:
        validate_haip_over_dc_api(request)
    # 8.4: a wallet that does not understand what is to be agreed to "MUST return an error".
    # dcapi-8.4-transaction-data
    understand(request.transaction_data, transaction_types)
    numbers = () if client is None else client.registered_numbers
    judgement = judge_verifier(request.verifier_info, numbers, anchors, now=now)
    return ResolvedDcApiRequest(DcApiProtocol(protocol), origin, request, _identity(request, origin, client), judgement)


def create_dc_api_presentation(
    resolved: ResolvedDcApiRequest,
    approved: ApprovedDisclosure,
    credentials: Mapping[str, HeldCredential],
    *,
    now: datetime,
    transaction_types: TransactionTypes = NO_TYPES,
) -> DcApiPresentationToSign:
    """Return the presentations that the holder agreed to, bound to the origin and ready to sign.

    Args:
        resolved: the request.
        approved: what may be shown, and nothing else is.
        credentials: the held credentials by the wallet's name of them; at least those of ``approved``.
        now: becomes ``iat`` of the Key Binding JWTs.
        transaction_types: as in :func:`resolve_dc_api_request`: nothing is signed that could not be shown.

    Raises:
        InvalidTransactionData: a transaction is not understood.
        QueryNotSatisfied: no approved credential can agree to one.
        MalformedError: a credential is bound to a key that is not supported.
        KeyError: ``credentials`` lacks one (a mistake of our own code).
    """
    request, origin = resolved.request, resolved.origin
    items = create_items(
        request,
        approved,
        credentials,
        audience=origin_audience(origin),
        transcript=lambda: request.session_transcript(origin),
        transaction_types=transaction_types,
        now=now,
    )
    return DcApiPresentationToSign(resolved, items)


def create_dc_api_answer(pending: DcApiPresentationToSign, signatures: Sequence[bytes]) -> JsonObject:
    """Return what the platform gives to the page: ``protocol`` and ``data`` of a ``DigitalCredential`` (A.4).

    Args:
        pending: what was to be signed.
        signatures: JOSE-form signatures of ``pending.to_sign``, in their order.

    Raises:
        ValueError: not one signature for each.
        AnswerTooLarge: the answer is to be encrypted, and too long for that.
        MalformedError: the Verifier's key cannot be encrypted to.
    """
    resolved = pending.resolved
    data = create_dc_api_response(resolved.request, signed_vp_token(pending.items, signatures))
    return {"protocol": str(resolved.protocol), "data": data}


def answer_to_error(protocol: str, error: WalletError, *, person_acted: bool) -> JsonObject | None:
    """Return what the platform gives to the page when there is no presentation; None: the platform cancels.

    15.9.2: an error before the person acted would tell the page that the wallet, and so a fitting credential, is there.
    That nothing matches and that the person said no look the same, and like any other cancelled call.
    """
    # dcapi-15.9.2-nothing-before-the-person
    if not person_acted or isinstance(error, AccessDenied | QueryNotSatisfied):
        return None
    # A.4: "This object has a single property with the name error".
    # dcapi-A.4-error-alone
    return {"protocol": protocol, "data": {"error": error.code}}


def _identity(request: DcApiRequest, origin: str, client: VerifiedClient | None) -> VerifierIdentity:
    return VerifierIdentity(
        client_id=origin_audience(origin) if request.client_id is None else request.client_id.full,
        host=urlsplit(origin).netloc or origin,
        name=client.name if client else None,
        certificate_sha256=base64url.encode(client.sha256) if client and client.sha256 else None,
    )
