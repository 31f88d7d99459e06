"""What a wallet keeps between two flows of a presentation; each value goes to JSON and back unchanged."""

from dataclasses import dataclass, field
from typing import Self, TypeAlias

from wallet_core.cose.sign1 import Sign1ToSign
from wallet_core.encoding import base64url
from wallet_core.errors import MalformedError
from wallet_core.formats.mdoc.holder import DocumentToSign
from wallet_core.jose.jws import attach_signature
from wallet_core.protocols.openid4vp.request import AuthorizationRequest, parse_request_members
from wallet_core.protocols.openid4vp.verifier_info import Judgement
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


@dataclass(frozen=True, slots=True)
class ResolvedRequest:
    """A request that was fetched and verified: what a consent screen needs.

    ``judgement`` is what registers say of who asks.
    """

    request: AuthorizationRequest
    verifier: VerifierIdentity
    judgement: Judgement = field(default_factory=Judgement)

    def to_json(self) -> JsonObject:
        """Return the value for storage."""
        verifier = self.verifier
        return {
            "request": self.request.to_json(),
            "verifier": {
                "client_id": verifier.client_id,
                "host": verifier.host,
                "name": verifier.name,
                "certificate_sha256": verifier.certificate_sha256,
            },
            "judgement": self.judgement.to_json(),
        }

    @classmethod
    def from_json(cls, value: JsonObject) -> Self:
        """Return the value that was stored. Raises ``WalletError`` if it was not made by :meth:`to_json`."""
        request, verifier = _object(value, "request"), _object(value, "verifier")
        return cls(
            parse_request_members(request),
            VerifierIdentity(
                client_id=ClientId(_text(verifier, "client_id")),
                host=_text(verifier, "host"),
                name=_optional(verifier, "name"),
                certificate_sha256=_optional(verifier, "certificate_sha256"),
            ),
            Judgement.from_json(value.get("judgement")),
        )


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


@dataclass(frozen=True, slots=True)
class PresentationToSign:
    """An answer that the holder agreed to and that the holder's keys must sign."""

    resolved: ResolvedRequest
    items: tuple[PresentationItem, ...]

    @property
    def to_sign(self) -> tuple[PresentationItem, ...]:
        """The items that need a signature, in the order in which ``wallet.send_response`` takes the signatures."""
        return tuple(item for item in self.items if item.signing_input is not None)

    def to_json(self) -> JsonObject:
        """Return the value for storage."""
        items: list[Json] = [item.to_json() for item in self.items]
        return {"resolved": self.resolved.to_json(), "items": items}

    @classmethod
    def from_json(cls, value: JsonObject) -> Self:
        """Return the value that was stored. Raises ``WalletError`` if it was not made by :meth:`to_json`."""
        items = value.get("items")
        if not isinstance(items, list):
            raise MalformedError("a stored presentation has no items")
        return cls(ResolvedRequest.from_json(_object(value, "resolved")), tuple(_item(item) for item in items))


@dataclass(frozen=True, slots=True)
class Sent:
    """The Verifier took the answer. ``redirect_uri`` is where the browser must go next, as a top-level GET (M26)."""

    redirect_uri: str | None


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
