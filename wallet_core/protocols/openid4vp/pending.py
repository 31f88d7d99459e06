"""What a wallet keeps between two flows of a presentation; each value goes to JSON and back unchanged."""

from dataclasses import dataclass
from typing import Self

from wallet_core.encoding import base64url
from wallet_core.errors import MalformedError
from wallet_core.protocols.openid4vp.request import AuthorizationRequest, parse_request_members
from wallet_core.types import ClientId, Json, JsonObject, QueryId


@dataclass(frozen=True, slots=True)
class VerifierIdentity:
    """Who asks.

    Attributes:
        client_id: full Client Identifier.
        host: where the answer goes.
        name: the organisation in its verified certificate; None where nobody vouches for the sender.
        certificate_sha256: of that certificate, in base64url; None likewise. M29: it changes when the certificate is
            renewed, so histories keep the name beside it.
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
    """A request that was fetched and verified: what a consent screen needs."""

    request: AuthorizationRequest
    verifier: VerifierIdentity

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
        )


@dataclass(frozen=True, slots=True)
class PresentationItem:
    """One presentation, complete but for the holder's signature.

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
        items: list[Json] = [
            {
                "query_id": item.query_id,
                "credential_id": item.credential_id,
                "sd_jwt": item.sd_jwt,
                "signing_input": None if item.signing_input is None else base64url.encode(item.signing_input),
            }
            for item in self.items
        ]
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
    signing_input = _optional(value, "signing_input")
    return PresentationItem(
        query_id=QueryId(_text(value, "query_id")),
        credential_id=_text(value, "credential_id"),
        sd_jwt=_text(value, "sd_jwt"),
        signing_input=None if signing_input is None else base64url.decode(signing_input),
    )


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
