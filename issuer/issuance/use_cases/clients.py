"""Who asks: the client of a PAR or token request, and the offer behind an access token (RFC 6749 3.2.1, RFC 6750).

The one place where client authentication and sender-constrained tokens join: everything that is known of a client is in
a :class:`Client`, and every endpoint that takes an access token asks :func:`authorized_offer`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from issuer.agencies.ports import Agency
from issuer.issuance.ports import IssuancePorts, Offer
from issuer.issuance.use_cases.races import read
from wallet_core.errors import InvalidToken
from wallet_core.http import ReceivedRequest
from wallet_core.protocols.oauth2.token import parse_bearer_token
from wallet_core.protocols.openid4vci.issuance import digest
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
    """Return who sent a PAR or token request. A public client is believed its ``client_id``, and bound to nothing."""
    del ports, agency, received
    client_id = parameters.get("client_id")
    return Client(None if client_id is None else ClientId(client_id))


def authorized_offer(ports: IssuancePorts, agency: Agency, received: ReceivedRequest) -> Offer:
    """Return the offer that the access token of a request opens, at this issuer.

    Not done here: whether the token has expired; the transitions of the offer's state look at that.

    Raises:
        InvalidToken: no token, or one that this issuer did not give out.
    """
    token = parse_bearer_token(received.all("authorization"))
    offer = read(ports, lambda storage: storage.offers.find_by_token(agency.id, digest(token)))
    # RFC 6750 3.1: a token of another issuer is as unknown as any other.
    # oauth-6750.3.1-unknown
    if offer is None:
        raise InvalidToken("the access token is unknown", clause="RFC 6750 3.1")
    return offer
