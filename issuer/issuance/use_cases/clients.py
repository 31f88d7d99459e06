"""Who asks: the client of a PAR or token request, and the offer behind an access token (RFC 6749 3.2.1, RFC 6750).

The one place where client authentication and sender-constrained tokens join: everything that is known of a client is in
a :class:`Client`, and every endpoint that takes an access token asks :func:`authorized_offer`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from issuer.agencies.ports import Agency
from issuer.issuance.ports import IssuancePorts, Offer
from issuer.issuance.use_cases.races import read
from wallet_core.errors import InvalidClient, InvalidRequest, InvalidToken
from wallet_core.http import ReceivedRequest
from wallet_core.protocols.oauth2.clients import RegisteredClient
from wallet_core.protocols.oauth2.token import parse_bearer_token
from wallet_core.protocols.openid4vci.issuance import Authorized, Issued, digest
from wallet_core.types import ClientId


@dataclass(frozen=True, slots=True)
class Client:
    """Who sent a request, as far as it was proved.

    Attributes:
        client_id: which client; None for an anonymous one, which may only redeem a pre-authorized code.
        instance: thumbprint of the attested client instance key; None for a public client, which proves nothing.
        dpop: thumbprint of the DPoP key; None without a DPoP proof.
    """

    client_id: ClientId | None = None
    instance: bytes | None = None
    dpop: bytes | None = None


def identify_client(
    ports: IssuancePorts, agency: Agency, received: ReceivedRequest, parameters: Mapping[str, str]
) -> Client:
    """Return who sent a PAR or token request. A public client is believed its ``client_id``, and bound to nothing.

    Raises:
        InvalidClient: the agency serves only wallets of the high-assurance profile, and this one did not prove itself.
    """
    client = _authenticate(ports, agency, received, parameters)
    # HAIP 4.3, 4.4: client authentication and DPoP, at PAR and at the token endpoint.
    # haip-4.4-client
    if agency.haip and (client.client_id is None or client.instance is None or client.dpop is None):
        raise InvalidClient("client attestation and DPoP are required here", clause="HAIP 4.4")
    return client


def registered_client(ports: IssuancePorts, client_id: ClientId, *, proved: bool) -> RegisteredClient:
    """Return the wallet product of a ``client_id``, whose redirect URIs were registered.

    Args:
        ports: of issuance.
        client_id: as sent.
        proved: whether client authentication vouches for it.

    Raises:
        InvalidRequest: proved, and still no product that is known here (M16).
        InvalidClient: unknown, or one that must authenticate and did not.
    """
    found = ports.clients.get(client_id)
    # oauth-M16-unknown
    if found is None and proved:
        raise InvalidRequest("this wallet is not registered here")
    # RFC 6749 5.2: "unknown client, no client authentication included".
    # oauth-6749.5.2-client
    if found is None or not (found.public or proved):
        raise InvalidClient("the client is unknown, or did not authenticate", clause="RFC 6749 5.2")
    return found


def _authenticate(
    ports: IssuancePorts, agency: Agency, received: ReceivedRequest, parameters: Mapping[str, str]
) -> Client:
    """Return what a request proves. Client attestation and DPoP proofs are verified here once they are built."""
    del ports, agency, received
    client_id = parameters.get("client_id")
    return Client(None if client_id is None else ClientId(client_id))


def authorized_offer(ports: IssuancePorts, agency: Agency, received: ReceivedRequest) -> Offer:
    """Return the offer that the access token of a request opens, at this issuer.

    Not done here: whether the token has expired; the transitions of the offer's state look at that.

    Raises:
        InvalidToken: no token, one that this issuer did not give out, or one bound to a key that was not proved.
    """
    token = parse_bearer_token(received.all("authorization"))
    offer = read(ports, lambda storage: storage.offers.find_by_token(agency.id, digest(token)))
    # RFC 6750 3.1: a token of another issuer is as unknown as any other.
    # oauth-6750.3.1-unknown
    if offer is None:
        raise InvalidToken("the access token is unknown", clause="RFC 6750 3.1")
    # RFC 9449 7.2: a token that is bound to a DPoP key is no Bearer token.
    # oauth-9449.7.2-bearer
    if isinstance(offer.state, Authorized | Issued) and offer.state.holder.dpop is not None:
        raise InvalidToken("the access token is bound to a DPoP key", clause="RFC 9449 7.2")
    return offer
