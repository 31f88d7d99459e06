"""Asking over the browser's Digital Credentials API: what a page passes to ``navigator.credentials.get``.

One call offers the same request in several exchange protocols; the browser and the wallet pick one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec

from verifier.presentations.ports import PresentationPorts, StoredPresentation
from verifier.presentations.use_cases.access_keys import signing_key
from verifier.relying_parties.ports import PartyId
from wallet_core import spec_versions as spec
from wallet_core.errors import InvalidRequest, LocalProtocolError
from wallet_core.formats.mdoc.device_request import RequestedElements
from wallet_core.keys.signer import CertifiedSigner
from wallet_core.protocols.iso18013.dc_api import create_encryption_info, create_request_data
from wallet_core.protocols.openid4vp.asking import (
    create_response_encryption,
    new_secret,
    private_key_to_bytes,
)
from wallet_core.protocols.openid4vp.client_id import ClientIdPrefix, create_client_id
from wallet_core.protocols.openid4vp.dc_api import (
    DcApiOffer,
    DcApiProtocol,
    DcApiRequest,
    Sender,
    create_multisigned_data,
    create_signed_data,
    create_unsigned_data,
    parse_own_origin,
)
from wallet_core.protocols.openid4vp.dcql import CredentialQuery, DcqlQuery
from wallet_core.protocols.openid4vp.transaction_data import TransactionData
from wallet_core.protocols.openid4vp.verifier_info import VerifierInfo
from wallet_core.types import DocType, JsonObject, Nonce

DEFAULT_PROTOCOLS: Final = (DcApiProtocol.SIGNED, DcApiProtocol.UNSIGNED, DcApiProtocol.ISO_MDOC)
"""What is offered where the caller names no protocols; the last one only where it can ask the query."""

MAX_OWN_ORIGINS: Final = 16
"""Origins of one request: as many as a wallet of ours looks at."""

_ISO_NONCE_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class NewDcApiRequest:
    """A request that is about to be stored: what is asked, how it is offered, and the private keys of the answer."""

    request: DcApiRequest
    offer: DcApiOffer
    private_keys: bytes


def new_dc_api_request(
    ports: PresentationPorts,
    party_id: PartyId,
    query: DcqlQuery,
    *,
    request_id: str,
    prefix: ClientIdPrefix,
    origins: Sequence[str],
    protocols: Sequence[DcApiProtocol] | None,
    encrypted: bool,
    transactions: tuple[TransactionData, ...] = (),
    verifier_info: tuple[VerifierInfo, ...] = (),
) -> NewDcApiRequest:
    """Return a new request with keys of its own.

    Args:
        ports: what is needed.
        party_id: who asks.
        query: what is asked.
        request_id: names the key of the answer.
        prefix: how the party identifies itself where it signs.
        origins: where the request will be made.
        protocols: what is offered; None for :data:`DEFAULT_PROTOCOLS`.
        encrypted: whether answers of OpenID4VP are encrypted (``dc_api.jwt``).
        transactions: what is to be agreed to.
        verifier_info: what others attest of the party; signed requests bring it.

    Raises:
        InvalidRequest: an origin is none, or a protocol cannot ask this.
        KeyUnavailable: the party has no access key.
    """
    expected = _own_origins(origins)
    # C.5: reader authentication is over the origin, so the request must know the one at which it will be made; and a
    # DeviceRequest has no place for what is to be agreed to.
    iso = asks_one_mdoc(query) is not None and len(expected) == 1 and not transactions
    offered = _offered(protocols, iso=iso)
    leaf = ports.keys.chain(party_id)[0]
    # HAIP 5: a key for each request; and one for each scheme of encryption, for no key serves two.
    jwe_key = ec.generate_private_key(ec.SECP256R1()) if encrypted else None
    iso_key = ec.generate_private_key(ec.SECP256R1()) if DcApiProtocol.ISO_MDOC in offered else None
    request = DcApiRequest(
        # An origin has a host like any address.
        client_id=create_client_id(prefix, leaf=leaf, response_uri=ports.public_url),
        # dcapi-5.2-fresh-nonce
        nonce=Nonce(new_secret(ports.random)),
        dcql_query=query,
        encryption=None if jwe_key is None else create_response_encryption(jwe_key, request_id),
        expected_origins=expected,
        transaction_data=transactions,
        verifier_info=verifier_info,
    )
    info = None if iso_key is None else create_encryption_info(iso_key.public_key(), ports.random(_ISO_NONCE_BYTES))
    keys = [private_key_to_bytes(key) for key in (jwe_key, iso_key) if key is not None]
    return NewDcApiRequest(request, DcApiOffer(tuple(offered), info), b"".join(keys))


def create_dc_api_call(ports: PresentationPorts, stored: StoredPresentation) -> JsonObject:
    """Return the object for ``navigator.credentials.get``, signed anew at each call with the same nonce and keys.

    Raises:
        LocalProtocolError: the presentation does not go through the API.
        KeyUnavailable: the party's access key is gone.
    """
    terms = stored.state.terms
    if terms.dc_api is None or not isinstance(terms.request, DcApiRequest):
        raise LocalProtocolError("this presentation does not go through the Digital Credentials API")
    offer = terms.dc_api
    data = {each: _data(ports, stored, terms.request, offer, each) for each in offer.protocols}
    return {"digital": {"requests": [{"protocol": str(each), "data": data[each]} for each in offer.protocols]}}


def asks_one_mdoc(query: DcqlQuery) -> CredentialQuery | None:
    """Return the one Credential Query that the ISO protocol can ask; None if that cannot say what is asked."""
    only = query.credentials[0] if len(query.credentials) == 1 else None
    # A DeviceRequest names elements of a document, at least one; it knows no alternatives and no second document.
    if only is None or only.format != spec.FORMAT_MDOC or only.multiple or len(only.claim_sets) != 1:
        return None
    return only


def _data(
    ports: PresentationPorts,
    stored: StoredPresentation,
    request: DcApiRequest,
    offer: DcApiOffer,
    protocol: DcApiProtocol,
) -> JsonObject:
    terms = stored.state.terms
    if protocol is DcApiProtocol.UNSIGNED:
        return create_unsigned_data(request)
    key = signing_key(ports, stored.party_id, request.client_id)
    if protocol is DcApiProtocol.ISO_MDOC:
        return _iso_data(request, offer.encryption_info or "", key)
    times = {"issued_at": ports.clock.now(), "expires_at": terms.expires_at}
    if protocol is DcApiProtocol.SIGNED:
        return create_signed_data(request, key, **times)
    # One trust framework knows a party by its certificate, another by its name: one key speaks for both.
    names = [create_client_id(each, leaf=key.chain[0], response_uri=ports.public_url) for each in _SIGNING_PREFIXES]
    return create_multisigned_data(request, [Sender(name, key) for name in names], **times)


_SIGNING_PREFIXES: Final = (ClientIdPrefix.X509_HASH, ClientIdPrefix.X509_SAN_DNS)


def _iso_data(request: DcApiRequest, encryption_info: str, key: CertifiedSigner) -> JsonObject:
    asked = asks_one_mdoc(request.dcql_query)
    if asked is None:
        raise LocalProtocolError("the ISO protocol cannot ask this query")
    return create_request_data(
        [(DocType(asked.types[0]), _elements(asked, request.dcql_query.source))],
        encryption_info=encryption_info,
        origin=request.expected_origins[0],
        signer=key.signer,
        x5chain=key.chain,
    )


def _elements(asked: CredentialQuery, source: JsonObject) -> RequestedElements:
    elements: dict[str, dict[str, bool]] = {}
    for claim, retained in zip(asked.claims, _intents(source), strict=True):
        elements.setdefault(str(claim.path[0]), {})[str(claim.path[1])] = retained
    return elements


def _intents(source: JsonObject) -> list[bool]:
    """Return ``intent_to_retain`` of each claim of the one Credential Query (OpenID4VP B.2.3); it parsed before."""
    credentials = source["credentials"]
    entry = credentials[0] if isinstance(credentials, list) else None
    claims = entry["claims"] if isinstance(entry, dict) else None
    found = claims if isinstance(claims, list) else []
    return [isinstance(claim, dict) and claim.get("intent_to_retain") is True for claim in found]


def _own_origins(origins: Sequence[str]) -> tuple[str, ...]:
    # A.2: a non-empty array; our own check of the answer needs it for unsigned requests as well.
    # dcapi-A.2-own-origins-there
    if not 0 < len(origins) <= MAX_OWN_ORIGINS:
        raise InvalidRequest("response_mode dc_api needs expected_origins", clause="OpenID4VP A.2")
    return tuple(parse_own_origin(each) for each in origins)


def _offered(protocols: Sequence[DcApiProtocol] | None, *, iso: bool) -> Sequence[DcApiProtocol]:
    """Return what is offered; ``iso`` says whether the ISO protocol can ask this."""
    if protocols is None:
        return [each for each in DEFAULT_PROTOCOLS if iso or each is not DcApiProtocol.ISO_MDOC]
    if not protocols or len(set(protocols)) != len(protocols):
        raise InvalidRequest("dc_api_protocols is empty, or names a protocol twice")
    # dcapi-C.2-one-document
    if DcApiProtocol.ISO_MDOC in protocols and not iso:
        raise InvalidRequest(
            "org-iso-mdoc asks for the elements of one mdoc at one origin", clause="ISO/IEC TS 18013-7 C"
        )
    return protocols
