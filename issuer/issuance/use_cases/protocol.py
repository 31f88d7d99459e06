"""The Nonce and Notification Endpoints (OpenID4VCI 7, 11)."""

from issuer.agencies.ports import Agency
from issuer.issuance.ports import IssuancePorts
from issuer.issuance.use_cases.clients import authorized_offer
from issuer.issuance.use_cases.races import until_no_race
from wallet_core.http import ReceivedRequest
from wallet_core.protocols.openid4vci.issuance import notify, validate_token
from wallet_core.protocols.openid4vci.messages import create_nonce_response, parse_notification_request
from wallet_core.protocols.openid4vci.nonce import create_c_nonce
from wallet_core.types import JsonObject


def create_nonce(ports: IssuancePorts, agency: Agency) -> JsonObject:
    """Answer a nonce request (OpenID4VCI 7). Nothing is written."""
    nonce = create_c_nonce(ports.secrets.nonce, agency.credential_issuer, now=ports.clock.now(), random=ports.random)
    return create_nonce_response(nonce)


def record_notification(ports: IssuancePorts, agency: Agency, received: ReceivedRequest) -> None:
    """Note what a wallet says became of its credentials (OpenID4VCI 11).

    Raises:
        InvalidToken: the access token is not one of this issuer, or has expired.
        InvalidNotificationRequest, InvalidNotificationId: as OpenID4VCI 11.3 says.
    """

    def attempt() -> None:
        now = ports.clock.now()
        offer = authorized_offer(ports, agency, received)
        validate_token(offer.state, now=now)
        request = parse_notification_request(received.media_type, received.body)
        state = notify(
            offer.state,
            notification_id=request.notification_id,
            event=request.event,
            description=request.description,
            now=now,
        )
        # OpenID4VCI 11.1: a repeated notification is answered like the first one and changes nothing.
        if state == offer.state and offer.proof is None:
            return
        storage = ports.storage()
        with storage.unit:
            # vci-11.1-idempotent
            if state == offer.state:
                storage.offers.keep(offer)
            else:
                storage.offers.advance(offer, state)
                storage.credentials.note_event(agency.id, offer.id, request.notification_id, request.event)

    until_no_race(attempt)
