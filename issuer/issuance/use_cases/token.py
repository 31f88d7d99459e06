"""The Token Endpoint (OpenID4VCI 6)."""

from issuer.agencies.ports import Agency
from issuer.issuance.ports import IssuancePorts
from issuer.issuance.use_cases.clients import identify_client
from issuer.issuance.use_cases.races import read, until_no_race
from wallet_core.errors import InvalidGrant
from wallet_core.http import ReceivedRequest
from wallet_core.protocols.oauth2.form import parse_form
from wallet_core.protocols.oauth2.token import create_token_response, parse_token_request
from wallet_core.protocols.openid4vci.issuance import (
    Authorized,
    Offered,
    create_access_token,
    digest,
    digest_tx_code,
    redeem_code,
)
from wallet_core.types import JsonObject


def redeem(ports: IssuancePorts, agency: Agency, received: ReceivedRequest) -> JsonObject:
    """Answer a token request (OpenID4VCI 6).

    Raises:
        InvalidRequest, UnsupportedGrantType: as ``oauth2.token.parse_token_request``; or a transaction code too many.
        InvalidGrant: the code or the transaction code is wrong, used, expired or dead.
    """
    identify_client(ports, agency, received, parse_form(received.media_type, received.body))
    request = parse_token_request(received.media_type, received.body)
    token = create_access_token(ports.random)

    def attempt() -> JsonObject:
        now = ports.clock.now()
        offer = read(ports, lambda storage: storage.offers.find_by_code(agency.id, digest(request.pre_authorized_code)))
        # OpenID4VCI 6.3: an unknown code and one of another issuer are the same: invalid_grant.
        # vci-6.3-unknown-code
        if offer is None:
            raise InvalidGrant("the pre-authorized code is unknown", clause="OpenID4VCI 6.3")
        typed = request.tx_code
        sent = None if typed is None else digest_tx_code(ports.secrets.tx_code, offer.id, typed)
        state = redeem_code(offer.state, tx_code_digest=sent, token_digest=digest(token), now=now)
        storage = ports.storage()
        with storage.unit:
            storage.offers.advance(offer, state)
        # The counted try is committed before the refusal leaves.
        if not isinstance(state, Authorized):
            left = state.tries_left if isinstance(state, Offered) else 0
            text = f"the transaction code is wrong; {left} {'try' if left == 1 else 'tries'} left"
            raise InvalidGrant(text, clause="OpenID4VCI 6.3")
        return create_token_response(token)

    return until_no_race(attempt)
