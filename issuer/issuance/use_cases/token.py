"""The Token Endpoint with its three grants (OpenID4VCI 6, RFC 6749 4.1.3, 6)."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from issuer.agencies.ports import Agency
from issuer.issuance.ports import Authorization, IssuancePorts, Offer
from issuer.issuance.use_cases import clients
from issuer.issuance.use_cases.clients import Client
from issuer.issuance.use_cases.dataset import new_id
from issuer.issuance.use_cases.metadata import issued_by
from issuer.issuance.use_cases.races import look, until_no_race
from wallet_core.errors import InvalidClient, InvalidGrant, InvalidScope
from wallet_core.http import ReceivedRequest
from wallet_core.protocols.oauth2 import authorization_states
from wallet_core.protocols.oauth2.authorization_states import Redeemed, Replayed
from wallet_core.protocols.oauth2.form import parse_form
from wallet_core.protocols.oauth2.token import (
    BEARER,
    DPOP,
    AuthorizationCodeRequest,
    RefreshRequest,
    TokenRequest,
    create_token_response,
    parse_token_request,
    token_lifetime,
)
from wallet_core.protocols.openid4vci.issuance import (
    REFRESH_TOKEN_LIFETIME,
    Authorized,
    Issued,
    Offered,
    TokenHolder,
    create_access_token,
    digest,
    digest_tx_code,
    grant,
    identify,
    pick,
    redeem_code,
    refresh,
    revoke,
    validate_invitation,
)
from wallet_core.types import JsonObject


def redeem(ports: IssuancePorts, agency: Agency, received: ReceivedRequest) -> JsonObject:
    """Answer a token request.

    Raises:
        InvalidRequest, InvalidTarget, UnsupportedGrantType, InvalidAuthorizationDetails: as
            ``oauth2.token.parse_token_request``; or a transaction code too many.
        InvalidClient, InvalidDpopProof: as ``clients.identify_client`` and ``clients.require_dpop``; or a grant that is
            a client's came without ``client_id``.
        InvalidGrant: the code, the transaction code or the refresh token is wrong, used, expired or dead.
        InvalidScope: a refresh request asks for more than was granted.
    """
    parameters = parse_form(received.media_type, received.body)
    client = clients.identify_client(ports, agency, received, parameters)
    clients.require_dpop(agency, client)
    match parse_token_request(parameters, issuer=agency.credential_issuer):
        case TokenRequest() as request:
            return _redeem_pre_authorized_code(ports, agency, client, request)
        case AuthorizationCodeRequest() as request:
            return _redeem_authorization_code(ports, agency, client, request)
        case RefreshRequest() as request:
            return _refresh(ports, agency, client, request)


def _redeem_pre_authorized_code(
    ports: IssuancePorts, agency: Agency, client: Client, request: TokenRequest
) -> JsonObject:
    token, refresh_token = create_access_token(ports.random), create_access_token(ports.random)

    def attempt() -> JsonObject:
        now = ports.clock.now()
        offer = look(ports, lambda storage: storage.offers.find_by_code(agency.id, digest(request.pre_authorized_code)))
        # OpenID4VCI 6.3: an unknown code and one of another issuer are the same: invalid_grant.
        # vci-6.3-unknown-code
        if offer is None:
            raise InvalidGrant("the pre-authorized code is unknown", clause="OpenID4VCI 6.3")
        typed = request.tx_code
        sent = None if typed is None else digest_tx_code(ports.secrets.tx_code, offer.id, typed)
        holder = _holder(client, offer.subject_id, refresh_token, now)
        state = redeem_code(
            offer.state,
            tx_code_digest=sent,
            token_digest=digest(token),
            now=now,
            holder=holder,
            details=request.details,
        )
        storage = ports.storage()
        with storage.unit:
            clients.spend_proofs(storage, client)
            storage.offers.advance(offer, state)
        # The counted try is committed before the refusal leaves.
        if not isinstance(state, Authorized):
            left = state.tries_left if isinstance(state, Offered) else 0
            text = f"the transaction code is wrong; {left} {'try' if left == 1 else 'tries'} left"
            raise InvalidGrant(text, clause="OpenID4VCI 6.3")
        return _answer(state, token, refresh_token)

    return until_no_race(attempt)


def _redeem_authorization_code(
    ports: IssuancePorts, agency: Agency, client: Client, request: AuthorizationCodeRequest
) -> JsonObject:
    _check_named(client)
    token, refresh_token = create_access_token(ports.random), create_access_token(ports.random)

    def attempt() -> JsonObject:
        now = ports.clock.now()
        found = look(ports, lambda storage: storage.authorizations.find_by_code(agency.id, digest(request.code)))
        # RFC 6749 5.2: an unknown code and one of another issuer are the same.
        # oauth-6749.5.2-code
        if found is None:
            raise InvalidGrant("the code is unknown", clause="RFC 6749 5.2")
        state = authorization_states.redeem(
            found.state,
            request,
            client_id=client.client_id,
            instance=client.instance,
            dpop=client.dpop,
            grant_id=found.offer_id or new_id(ports, now),
            now=now,
        )
        if isinstance(state, Replayed):
            _revoke(ports, agency, client, found, state)
            raise InvalidGrant("the code was used before", clause="RFC 6749 4.1.2")
        holder = _holder(client, found.subject_id, refresh_token, now)
        granted = _grant(state, request, holder, token, now)
        _store(ports, agency, client, found, state, granted, now)
        return _answer(granted, token, refresh_token, _scopes(ports, agency, state, granted))

    return until_no_race(attempt)


def _scopes(ports: IssuancePorts, agency: Agency, state: Redeemed, granted: Authorized) -> list[str]:
    """Return the scopes of the request that were granted: unknown ones, and those without a record, were not."""
    asked, every = state.asked.request.scopes, issued_by(ports, agency)
    given = {every[each].entry.scope for each in granted.configuration_ids if each in every}
    return [scope for scope in asked if scope in given]


def _grant(
    state: Redeemed, request: AuthorizationCodeRequest, holder: TokenHolder, token: str, now: datetime
) -> Authorized:
    asked = state.asked
    configuration_ids, final = pick(
        asked.configuration_ids, request.details, replace(holder, identified=asked.identified)
    )
    return grant(configuration_ids, token_digest=digest(token), holder=final, now=now)


def _store(
    ports: IssuancePorts,
    agency: Agency,
    client: Client,
    found: Authorization,
    state: Redeemed,
    granted: Authorized,
    now: datetime,
) -> None:
    """Spend the code and store what it gave, in one transaction: of two simultaneous redemptions one wins."""
    storage = ports.storage()
    with storage.unit:
        clients.spend_proofs(storage, client)
        storage.authorizations.advance(found, state)
        if found.offer_id is None:
            # Found by its tokens only; the code's digest keeps the column unique.
            new = Offer(state.grant_id, agency.id, 1, granted, found.code_digest or b"", found.subject_id, None, now)
            storage.offers.add(new)
            return
        offer = storage.offers.find(agency.id, found.offer_id)
        if offer is None:
            raise InvalidGrant("the offer is gone", clause="OpenID4VCI 5.1.3")
        validate_invitation(offer.state, now=now)
        storage.offers.advance(offer, granted, subject_id=found.subject_id)


def _revoke(ports: IssuancePorts, agency: Agency, client: Client, found: Authorization, state: Replayed) -> None:
    storage = ports.storage()
    with storage.unit:
        clients.spend_proofs(storage, client)
        storage.authorizations.advance(found, state)
        offer = storage.offers.find(agency.id, state.grant_id)
        if offer is not None and isinstance(offer.state, Authorized | Issued):
            storage.offers.forget(offer, revoke(offer.state))


def _refresh(ports: IssuancePorts, agency: Agency, client: Client, request: RefreshRequest) -> JsonObject:
    _check_named(client)
    token = create_access_token(ports.random)

    def attempt() -> JsonObject:
        now = ports.clock.now()
        offer = look(ports, lambda storage: storage.offers.find_by_refresh(agency.id, digest(request.refresh_token)))
        # oauth-6749.6-unknown
        if offer is None:
            raise InvalidGrant("the refresh token is unknown", clause="RFC 6749 5.2")
        who = TokenHolder(client.client_id, client.instance, client.dpop)
        refreshed = refresh(offer.state, token_digest=digest(token), holder=who, now=now)
        state = identify(refreshed, request.details)
        scopes = _scopes_left(ports, agency, request, state)
        storage = ports.storage()
        with storage.unit:
            clients.spend_proofs(storage, client)
            storage.offers.advance(offer, state)
        # M1: the refresh token is not rotated; RFC 6749 6: none in the answer means that the old one stays.
        # oauth-FAPI2.5.3.2.1-no-rotation
        return _answer(state, token, None, scopes)

    return until_no_race(attempt)


def _scopes_left(
    ports: IssuancePorts, agency: Agency, request: RefreshRequest, state: Authorized | Issued
) -> Sequence[str]:
    """Return the scopes of the new token, for whoever asked for some of them: those of the whole grant."""
    if request.scopes is None:
        return ()
    every = issued_by(ports, agency)
    granted = dict.fromkeys(every[each].entry.scope for each in state.configuration_ids if each in every)
    # RFC 6749 6: "MUST NOT include any scope not originally granted".
    # oauth-6749.6-scope
    if not set(request.scopes) <= set(granted):
        raise InvalidScope("more was asked for than was granted", clause="RFC 6749 6")
    return list(granted)


def _holder(client: Client, subject_id: str | None, refresh_token: str, now: datetime) -> TokenHolder:
    """Return to whom tokens are given. A refresh token only goes to a client that proves a key (RFC 9700 2.2.2).

    And only for a person on record, from whom a later copy can be made.
    """
    # oauth-9700.2.2.2-bound
    bound = client.client_id is not None and (client.instance is not None or client.dpop is not None)
    if not bound or subject_id is None:
        return TokenHolder(client.client_id, client.instance, client.dpop)
    return TokenHolder(
        client.client_id,
        client.instance,
        client.dpop,
        refresh_digest=digest(refresh_token),
        refresh_expires_at=now + REFRESH_TOKEN_LIFETIME,
    )


def _answer(
    state: Authorized | Issued, token: str, refresh_token: str | None, scopes: Sequence[str] = ()
) -> JsonObject:
    holder = state.holder
    return create_token_response(
        token,
        lifetime=token_lifetime(dpop=holder.dpop),
        token_type=BEARER if holder.dpop is None else DPOP,
        refresh_token=None if holder.refresh_digest is None else refresh_token,
        identified=holder.identified,
        scopes=scopes,
    )


def _check_named(client: Client) -> None:
    # RFC 6749 4.1.3, 6: a code and a refresh token are a client's.
    # oauth-6749.4.1.3-named
    if client.client_id is None:
        raise InvalidClient("client_id is missing", clause="RFC 6749 4.1.3")
