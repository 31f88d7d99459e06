"""Fetching what a person decides about: an offer, an issuer's metadata, its authorization server (OpenID4VCI 4, 12)."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Final

from wallet_core import spec_versions as spec
from wallet_core.errors import MalformedError
from wallet_core.http import Flow, get
from wallet_core.protocols.oauth2.answers import parse_answer
from wallet_core.protocols.oauth2.metadata import AuthorizationServer, parse_authorization_server_metadata
from wallet_core.protocols.oauth2.metadata import metadata_locations as authorization_server_locations
from wallet_core.protocols.openid4vci.encryption import choose_encryption
from wallet_core.protocols.openid4vci.metadata import (
    CredentialIssuerMetadata,
    metadata_locations,
    parse_credential_issuer_metadata,
)
from wallet_core.protocols.openid4vci.offer import (
    CredentialOffer,
    OfferReference,
    parse_credential_offer,
    parse_offer_link,
)
from wallet_core.protocols.openid4vci.pending import ResolvedOffer, supports_authorization
from wallet_core.protocols.openid4vci.signed_metadata import MetadataTrust, metadata_request, read_metadata
from wallet_core.types import CredentialConfigurationId, CredentialIssuerId, JsonObject

OFFER_LIMIT: Final = 64 * 1024
"""Bytes of an offer by reference."""

MAX_SERVERS: Final = 4
"""Authorization servers of one issuer that are asked for their metadata, until one has the grant that is needed."""


def resolve_offer(link: str, *, trust: MetadataTrust | None = None) -> Flow[ResolvedOffer]:
    """Fetch what is needed to show an offer: the offer itself if by reference, and the issuer's metadata.

    Call it only once the person has seen the host of the link and acted (OpenID4VCI 13.5).

    Raises:
        MalformedError: the offer or the metadata break a rule, or ask for what this wallet does not have.
        VerificationError: the metadata are signed, but not by whom ``trust`` has.
        PeerRefusal: a server answered with an error.
    """
    found = parse_offer_link(link)
    offer = (yield from _fetch_offer(found)) if isinstance(found, OfferReference) else found
    return (yield from _resolve(offer, trust))


def resolve_catalogue(
    credential_issuer: CredentialIssuerId, *, trust: MetadataTrust | None = None
) -> Flow[CredentialIssuerMetadata]:
    """Fetch everything that a Credential Issuer offers, for a person who asks it of her own accord.

    Raises:
        MalformedError: the metadata break a rule or speak of another issuer.
        PeerRefusal: a server answered with an error.
    """
    return (yield from resolve_credential_issuer(credential_issuer, trust=trust))


def resolve_choice(
    credential_issuer: CredentialIssuerId,
    configuration_ids: Sequence[CredentialConfigurationId],
    *,
    trust: MetadataTrust | None = None,
) -> Flow[ResolvedOffer]:
    """Fetch what is needed to ask ``credential_issuer`` for something without its offer (OpenID4VCI 3.3.2).

    Raises:
        MalformedError: the metadata break a rule, lack a configuration, or have no authorization endpoint.
        PeerRefusal: a server answered with an error.
    """
    return (yield from _resolve(CredentialOffer(credential_issuer, tuple(configuration_ids)), trust))


def resolve_again(
    credential_issuer: CredentialIssuerId,
    configuration_id: CredentialConfigurationId,
    *,
    authorization_server: str,
    trust: MetadataTrust | None = None,
) -> Flow[ResolvedOffer]:
    """Fetch what is needed to ask again for what was issued before, with a grant of ``authorization_server``.

    Raises:
        MalformedError: the metadata break a rule, or lack the configuration or the server by now.
        PeerRefusal: a server answered with an error.
    """
    issuer = yield from resolve_credential_issuer(credential_issuer, only=(configuration_id,), trust=trust)
    # A refresh token goes to the server that gave it, and only while the issuer still relies on that one.
    # vci-12.2.4-same-server
    if authorization_server not in issuer.authorization_servers:
        raise MalformedError("the issuer no longer lists the server of the grant", clause="OpenID4VCI 12.2.4")
    if configuration_id not in issuer.configurations:
        raise MalformedError("the issuer no longer has the configuration", clause="OpenID4VCI 12.2.4")
    choose_encryption(issuer.request_encryption, issuer.response_encryption)
    server = yield from _resolve_authorization_server(authorization_server)
    return ResolvedOffer(CredentialOffer(credential_issuer, (configuration_id,)), issuer, server)


def resolve_today(offer: ResolvedOffer, *, trust: MetadataTrust | None = None) -> Flow[ResolvedOffer]:
    """Return an offer with what its issuer's metadata say by now: an agency may decide weeks later (OpenID4VCI 9).

    Metadata that lack what was asked for by now change nothing: what was promised is still asked for.

    Raises:
        MalformedError, VerificationError: as :func:`resolve_credential_issuer`.
        PeerRefusal: a server answered with an error.
    """
    names = offer.offer.configuration_ids
    issuer = yield from resolve_credential_issuer(offer.offer.credential_issuer, only=names, trust=trust)
    # OpenID4VCI 10: requests are encrypted to a key of the current metadata; keys are replaced.
    # vci-10-current-key
    return replace(offer, issuer=issuer) if set(names) <= set(issuer.configurations) else offer


def resolve_credential_issuer(
    credential_issuer: CredentialIssuerId,
    *,
    only: Collection[CredentialConfigurationId] | None = None,
    trust: MetadataTrust | None = None,
) -> Flow[CredentialIssuerMetadata]:
    """Fetch the metadata of a Credential Issuer (OpenID4VCI 12.2.2); of its configurations ``only`` these, if named.

    With ``trust`` they are asked for signed, and believed only then if their signer is trusted; an issuer that signs
    none still answers in plain JSON.

    Raises:
        MalformedError: they break a rule or speak of another issuer.
        VerificationError: they are signed, but not by whom we trust to speak for this issuer.
        PeerRefusal: a server answered with an error.
    """
    if trust is None:
        document = yield from _first_document(metadata_locations(credential_issuer), who="the credential issuer")
    else:
        document = yield from _signed_document(credential_issuer, trust)
    return parse_credential_issuer_metadata(document, credential_issuer=credential_issuer, only=only)


def _resolve(offer: CredentialOffer, trust: MetadataTrust | None) -> Flow[ResolvedOffer]:
    issuer = yield from resolve_credential_issuer(offer.credential_issuer, only=offer.configuration_ids, trust=trust)
    # OpenID4VCI 4.1.1: each string identifies an object in credential_configurations_supported.
    # vci-4.1.1-known-configuration
    if any(id_ not in issuer.configurations for id_ in offer.configuration_ids):
        raise MalformedError("the offer names a configuration that the issuer does not have", clause="OpenID4VCI 4.1.1")
    # What cannot be answered in the way the issuer demands is refused before the person is asked.
    choose_encryption(issuer.request_encryption, issuer.response_encryption)
    found = ResolvedOffer(offer, issuer, (yield from _find_server(offer, issuer)))
    # OpenID4VCI 4.1.1: the wallet uses a grant of the offer; without any, one that the metadata name.
    # vci-4.1.1-usable-grant
    if not found.has_code and not found.can_authorize:
        raise MalformedError("neither offer nor server have a grant that this wallet has", clause="OpenID4VCI 4.1.1")
    return found


def _fetch_offer(reference: OfferReference) -> Flow[CredentialOffer]:
    # OpenID4VCI 4.1.3: GET; the answer is application/json.
    response = yield get(reference.url, accept=spec.JSON, response_limit=OFFER_LIMIT)
    # vci-4.1.3-json
    return parse_credential_offer(parse_answer(response, who="the offer's server"))


def _first_document(locations: Sequence[str], *, who: str) -> Flow[JsonObject]:
    """Return the document at the first location that is not 404: others are for older software."""
    for location in locations[:-1]:
        response = yield get(location, accept=spec.JSON)
        if response.status != 404:
            return parse_answer(response, who=who)
    return parse_answer((yield get(locations[-1], accept=spec.JSON)), who=who)


def _signed_document(credential_issuer: CredentialIssuerId, trust: MetadataTrust) -> Flow[JsonObject]:
    first, last = metadata_locations(credential_issuer)
    response = yield metadata_request(first)
    if response.status == 404:
        response = yield metadata_request(last)
    return read_metadata(response, credential_issuer=credential_issuer, anchors=trust.anchors, at=trust.at)


def _find_server(offer: CredentialOffer, issuer: CredentialIssuerMetadata) -> Flow[AuthorizationServer]:
    """Return the metadata of the server the offer names, or of the first one that has the grant that is needed."""
    named = offer.authorization_server
    # OpenID4VCI 4.1.1: authorization_server must be one that the metadata list; otherwise stop.
    # vci-4.1.1-server-listed
    if named is not None and named not in issuer.authorization_servers:
        raise MalformedError("the offer names a server that the issuer does not list", clause="OpenID4VCI 4.1.1")
    candidates = (named,) if named is not None else issuer.authorization_servers[:MAX_SERVERS]
    for candidate in candidates[:-1]:
        server = yield from _resolve_authorization_server(candidate)
        # OpenID4VCI 12.2.4: which server to use is told by the grants in their metadata.
        if supports_authorization(server) if offer.pre_authorized_code is None else _has_pre_authorized(server):
            return server
    return (yield from _resolve_authorization_server(candidates[-1]))


def _has_pre_authorized(server: AuthorizationServer) -> bool:
    return spec.GRANT_PRE_AUTHORIZED_CODE in server.grant_types


def _resolve_authorization_server(issuer: str) -> Flow[AuthorizationServer]:
    document = yield from _first_document(authorization_server_locations(issuer), who="the authorization server")
    return parse_authorization_server_metadata(document, issuer=issuer)
