"""What a wallet keeps between two flows of a presentation; each value goes to JSON and back unchanged."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, Self, TypeAlias, TypeVar

from wallet_core.cose.sign1 import Sign1ToSign
from wallet_core.encoding import base64url
from wallet_core.errors import MalformedError
from wallet_core.formats.mdoc.holder import DocumentToSign
from wallet_core.jose.jws import attach_signature
from wallet_core.protocols.openid4vp.request import AuthorizationRequest, parse_request_members
from wallet_core.protocols.openid4vp.verifier_info import VerifierJudgement
from wallet_core.types import ClientId, Json, JsonObject, QueryId


@dataclass(frozen=True, slots=True)
class VerifierIdentity:
    """Who asks.

    Attributes:
        client_id: full Client Identifier.
        host: where the answer goes.
        name: the organisation in its verified certificate, or the name that its attester gave it; None where nobody
            vouches for the sender.
        certificate_sha256: of that certificate, in base64url; None where there is none. M29: it changes when the
            certificate is renewed, so histories keep the name beside it.
    """

    client_id: ClientId
    host: str
    name: str | None
    certificate_sha256: str | None

    @property
    def verified(self) -> bool:
        """Whether a trusted certificate says who this is."""
        return self.name is not None

    def to_json(self) -> JsonObject:
        """Return the value for storage."""
        return {
            "client_id": self.client_id,
            "host": self.host,
            "name": self.name,
            "certificate_sha256": self.certificate_sha256,
        }

    @classmethod
    def from_json(cls, value: JsonObject) -> Self:
        """Return the value that was stored. Raises ``WalletError`` if it was not made by :meth:`to_json`."""
        return cls(
            client_id=ClientId(_text(value, "client_id")),
            host=_text(value, "host"),
            name=_optional(value, "name"),
            certificate_sha256=_optional(value, "certificate_sha256"),
        )


@dataclass(frozen=True, slots=True)
class ResolvedRequest:
    """A request that was fetched and verified: what a consent screen needs.

    ``judgement`` is what registers say of who asks.
    """

    request: AuthorizationRequest
    verifier: VerifierIdentity
    judgement: VerifierJudgement = field(default_factory=VerifierJudgement)

    def to_json(self) -> JsonObject:
        """Return the value for storage."""
        return {
            "request": self.request.to_json(),
            "verifier": self.verifier.to_json(),
            "judgement": self.judgement.to_json(),
        }

    @classmethod
    def from_json(cls, value: JsonObject) -> Self:
        """Return the value that was stored. Raises ``WalletError`` if it was not made by :meth:`to_json`."""
        request = parse_request_members(_object(value, "request"))
        identity = VerifierIdentity.from_json(_object(value, "verifier"))
        return cls(request, identity, VerifierJudgement.from_json(value.get("judgement")))


@dataclass(frozen=True, slots=True)
class SdJwtItem:
    """One SD-JWT presentation, complete but for the holder's signature.

    Attributes:
        query_id: the Credential Query it answers.
        credential_id: the wallet's name of the credential, and so of the key that signs.
        sd_jwt: the SD-JWT with the chosen Disclosures.
        signing_input: the exact bytes to sign; None where the credential is bound to no key.
    """

    query_id: QueryId
    credential_id: str
    sd_jwt: str
    signing_input: bytes | None

    def attach(self, signature: bytes | None) -> str:
        """Return the presentation: with a Key Binding JWT, if there is something to sign (RFC 9901 4)."""
        if self.signing_input is None or signature is None:
            return self.sd_jwt
        return self.sd_jwt + attach_signature(self.signing_input, signature)

    def to_json(self) -> JsonObject:
        """Return the item for storage."""
        signing_input = None if self.signing_input is None else base64url.encode(self.signing_input)
        return {
            "query_id": self.query_id,
            "credential_id": self.credential_id,
            "sd_jwt": self.sd_jwt,
            "signing_input": signing_input,
        }


@dataclass(frozen=True, slots=True)
class MdocItem:
    """One mdoc presentation, complete but for the signature of the device key.

    Attributes:
        query_id: the Credential Query it answers.
        credential_id: the wallet's name of the credential, and so of the key that signs.
        document: the document with the chosen data elements.
    """

    query_id: QueryId
    credential_id: str
    document: DocumentToSign

    @property
    def signing_input(self) -> bytes:
        """The exact bytes to sign."""
        return self.document.signing_input

    def attach(self, signature: bytes | None) -> str:
        """Return the presentation: base64url of a DeviceResponse with this document alone (OpenID4VP B.2.4)."""
        if signature is None:
            raise TypeError("an mdoc is presented with the signature of its device key")
        return base64url.encode(self.document.attach(signature))

    def to_json(self) -> JsonObject:
        """Return the item for storage."""
        signature = self.document.device_signature
        return {
            "query_id": self.query_id,
            "credential_id": self.credential_id,
            "start": base64url.encode(self.document.start),
            "protected": base64url.encode(signature.protected_bytes),
            "signing_input": base64url.encode(signature.signing_input),
        }


PresentationItem: TypeAlias = SdJwtItem | MdocItem


class _Resolved(Protocol):
    def to_json(self) -> JsonObject: ...


R = TypeVar("R", bound=_Resolved)


@dataclass(frozen=True, slots=True)
class AnswerToSign(Generic[R]):
    """An answer that the holder agreed to and that the holder's keys must sign; ``resolved`` is the request."""

    resolved: R
    items: tuple[PresentationItem, ...]

    @property
    def to_sign(self) -> tuple[PresentationItem, ...]:
        """The items that need a signature, in the order in which :func:`signed_vp_token` takes the signatures."""
        return tuple(item for item in self.items if item.signing_input is not None)

    def to_json(self) -> JsonObject:
        """Return the value for storage."""
        return {"resolved": self.resolved.to_json(), "items": [item.to_json() for item in self.items]}

    @classmethod
    def read(cls, value: JsonObject, resolved: Callable[[JsonObject], R]) -> Self:
        """Return the value that was stored, its request as ``resolved`` reads it. Raises ``WalletError``."""
        items = value.get("items")
        if not isinstance(items, list):
            raise MalformedError("a stored presentation has no items")
        return cls(resolved(_object(value, "resolved")), tuple(_item(item) for item in items))


@dataclass(frozen=True, slots=True)
class PresentationToSign(AnswerToSign[ResolvedRequest]):
    """An answer to be posted."""

    @classmethod
    def from_json(cls, value: JsonObject) -> Self:
        """Return the value that was stored. Raises ``WalletError`` if it was not made by :meth:`to_json`."""
        return cls.read(value, ResolvedRequest.from_json)


@dataclass(frozen=True, slots=True)
class Sent:
    """The Verifier took the answer. ``redirect_uri`` is where the browser must go next, as a top-level GET (M26)."""

    redirect_uri: str | None


def signed_vp_token(items: Sequence[PresentationItem], signatures: Sequence[bytes]) -> dict[QueryId, list[str]]:
    """Return the VP Token of signed presentations (OpenID4VP 8.1).

    Args:
        items: the presentations.
        signatures: JOSE-form signatures of those that need one, in their order.

    Raises:
        ValueError: not one signature for each.
    """
    if len(signatures) != sum(item.signing_input is not None for item in items):
        raise ValueError("one signature for each presentation is needed")
    remaining = iter(signatures)
    vp_token: dict[QueryId, list[str]] = {}
    for item in items:
        text = item.attach(None if item.signing_input is None else next(remaining))
        # vp-8.1-only-matched
        vp_token.setdefault(item.query_id, []).append(text)
    return vp_token


def _item(value: Json) -> PresentationItem:
    if not isinstance(value, dict):
        raise MalformedError("a stored presentation item is not an object")
    query_id, credential_id = QueryId(_text(value, "query_id")), _text(value, "credential_id")
    if "start" in value:
        signature = Sign1ToSign(_bytes(value, "protected"), {}, None, _bytes(value, "signing_input"))
        return MdocItem(query_id, credential_id, DocumentToSign(_bytes(value, "start"), b"", signature))
    signing_input = None if _optional(value, "signing_input") is None else _bytes(value, "signing_input")
    return SdJwtItem(query_id, credential_id, _text(value, "sd_jwt"), signing_input)


def _bytes(value: JsonObject, member: str) -> bytes:
    return base64url.decode(_text(value, member), what=member)


def _object(value: JsonObject, member: str) -> JsonObject:
    found = value.get(member)
    if not isinstance(found, dict):
        raise MalformedError(f"a stored value has no {member}")
    return found


def _optional(value: JsonObject, member: str) -> str | None:
    found = value.get(member)
    if found is not None and not isinstance(found, str):
        raise MalformedError(f"a stored value has a wrong {member}")
    return found


def _text(value: JsonObject, member: str) -> str:
    found = _optional(value, member)
    if found is None:
        raise MalformedError(f"a stored value has no {member}")
    return found
