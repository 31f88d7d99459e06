"""Authorization requests: pushed, opened in the browser, approved or denied (RFC 6749 4.1, RFC 9126, OpenID4VCI 5).

Who the person is, and whether they consent, is found out by ``issuer.login``, which ends by calling
:func:`approve_authorization` or :func:`deny_authorization`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from issuer.agencies.ports import Agency
from issuer.issuance.ports import Authorization, IssuancePorts, IssuedType, Offer
from issuer.issuance.use_cases import clients
from issuer.issuance.use_cases.clients import Client, registered_client
from issuer.issuance.use_cases.dataset import new_id
from issuer.issuance.use_cases.metadata import issued_by
from issuer.issuance.use_cases.races import look, until_no_race
from wallet_core import spec_versions as spec
from wallet_core.errors import (
    InvalidAuthorizationDetails,
    InvalidClient,
    InvalidGrant,
    InvalidRequest,
    InvalidRequestUri,
    InvalidScope,
    NotFound,
    ProtocolError,
)
from wallet_core.http import ReceivedRequest
from wallet_core.protocols.oauth2.authorization import (
    AuthorizationRequest,
    RequestedCredentials,
    create_code_url,
    create_error_url,
    parse_authorization_request,
    parse_client_id,
    requested_credentials,
)
from wallet_core.protocols.oauth2.authorization_states import (
    LOGIN_LIFETIME,
    REQUEST_URI_LIFETIME,
    Asked,
    Started,
    approve,
    begin,
    deny,
    open_request,
    push,
)
from wallet_core.protocols.oauth2.clients import RegisteredClient, redirect_target, validate_redirect_uri
from wallet_core.protocols.oauth2.form import parse_form, parse_query
from wallet_core.protocols.oauth2.par import (
    check_pushed_parameters,
    create_pushed_response,
    create_request_uri,
    parse_request_uri,
)
from wallet_core.protocols.openid4vci.issuance import Invited, create_access_token, digest, validate_invitation
from wallet_core.types import CredentialConfigurationId, JsonObject


@dataclass(frozen=True, slots=True)
class SentBack:
    """The request is refused, and the wallet, which is known, is told so: ``url`` is where the browser goes."""

    url: str


@dataclass(frozen=True, slots=True)
class ShownAuthorization:
    """What the pages of the login show.

    Attributes:
        id: of the authorization.
        client: the wallet that asks.
        issued: what it asks for.
        target: origin or ``scheme:`` of the wallet, for ``form-action``.
        subject_id: for whom the offer was made; None if anybody may log in.
    """

    id: str
    client: RegisteredClient
    issued: Sequence[IssuedType]
    target: str
    subject_id: str | None


def push_authorization(ports: IssuancePorts, agency: Agency, received: ReceivedRequest) -> JsonObject:
    """Answer a pushed authorization request; the answer goes with status 201 (RFC 9126 2).

    Raises:
        InvalidClient, InvalidDpopProof: the client is unknown, did not authenticate where that is asked for, or did so
            with a proof that is wrong or was used before.
        InvalidRequest, UnsupportedResponseType, InvalidScope, InvalidTarget, InvalidAuthorizationDetails,
            RequestNotSupported: as RFC 9126 2.3 says.
    """
    parameters = parse_form(received.media_type, received.body)
    client = clients.identify_client(ports, agency, received, parameters)
    check_pushed_parameters(parameters)
    client_id = parse_client_id(parameters)
    # RFC 9126 2.1, HAIP 4.4.1: the client that authenticated is the one that asks.
    # oauth-9126.2.1-client
    if client.client_id is not None and client.client_id != client_id:
        raise InvalidRequest("client_id is not that of the client that authenticated", clause="RFC 9126 2.1")
    registered = registered_client(ports, client_id, proved=client.instance is not None)
    redirect_uri = validate_redirect_uri(registered, parameters.get("redirect_uri"))
    asked, offer_id = _asked(ports, agency, client, registered, redirect_uri, parameters)
    now, request_uri = ports.clock.now(), create_request_uri(ports.random)
    new = Authorization(new_id(ports, now), agency.id, 1, push(asked, now=now), digest(request_uri), offer_id=offer_id)
    storage = ports.storage()
    with storage.unit:
        clients.spend_proofs(storage, client)
        storage.authorizations.add(new, ends_at=now + REQUEST_URI_LIFETIME)
    return create_pushed_response(request_uri, lifetime=REQUEST_URI_LIFETIME)


def begin_authorization(ports: IssuancePorts, agency: Agency, query: bytes) -> str | SentBack:
    """Return the id of the authorization that a browser opened, or where it is sent back to (RFC 6749 4.1.1).

    Raises:
        WalletError: nobody may be sent anywhere, because the wallet is not known for sure; it is shown to the person.
    """
    parameters = parse_query(query)
    request_uri = parse_request_uri(parameters)
    if request_uri is not None:
        return _open_pushed(ports, agency, parameters, request_uri)
    # HAIP 4.4, M1: no authorization request without PAR.
    # haip-4.4-par
    if agency.haip:
        raise InvalidRequest("authorization requests are pushed here first", clause="HAIP 4.4")
    try:
        registered = registered_client(ports, parse_client_id(parameters), proved=False)
    except InvalidClient as exc:
        # To a person's browser; 401 would ask it for a password.
        raise InvalidRequest(exc.description, clause="RFC 6749 4.1.2.1") from exc
    # From here on the wallet may be told; before, a redirect would go wherever a stranger wants.
    redirect_uri = validate_redirect_uri(registered, parameters.get("redirect_uri"))
    try:
        asked, offer_id = _asked(ports, agency, Client(registered.client_id), registered, redirect_uri, parameters)
    except ProtocolError as exc:
        answerable = AuthorizationRequest(registered.client_id, redirect_uri, parameters.get("state"), "")
        url = create_error_url(answerable, error=exc.code, description=exc.description, issuer=agency.credential_issuer)
        return SentBack(url)
    now = ports.clock.now()
    new = Authorization(new_id(ports, now), agency.id, 1, begin(asked, now=now), offer_id=offer_id)
    storage = ports.storage()
    with storage.unit:
        storage.authorizations.add(new, ends_at=now + LOGIN_LIFETIME)
    return new.id


def show_authorization(ports: IssuancePorts, agency: Agency, authorization_id: str) -> ShownAuthorization:
    """Return what the person decides about.

    Raises:
        NotFound: there is no such authorization, or it is over.
    """
    found, state = _started(ports, agency, authorization_id)
    request = state.asked.request
    every = issued_by(ports, agency)
    return ShownAuthorization(
        found.id,
        registered_client(ports, request.client_id, proved=state.asked.instance is not None),
        [every[each] for each in state.asked.configuration_ids if each in every],
        redirect_target(request.redirect_uri),
        _meant_for(ports, agency, found),
    )


def available_records(
    ports: IssuancePorts, agency: Agency, issued: Sequence[IssuedType], *, subject_id: str
) -> Mapping[CredentialConfigurationId, JsonObject]:
    """Return the records that the agency has of a person for what is asked for, by configuration."""
    storage = ports.reading()
    with storage.unit:
        found = {
            each.entry.configuration_id: storage.records.find(agency.id, each.type.id, subject_id) for each in issued
        }
    return {configuration_id: record for configuration_id, record in found.items() if record is not None}


def approve_authorization(ports: IssuancePorts, agency: Agency, authorization_id: str, *, subject_id: str) -> str:
    """Return where the person is sent with a code, once they logged in as ``subject_id`` and consented.

    What the agency has no record of is not granted; if that is all, the answer is ``access_denied``.

    Raises:
        NotFound: there is no such authorization, or it is over.
        InvalidRequest: the offer was made for somebody else, or the authorization took too long.
    """
    code = create_access_token(ports.random)

    def attempt() -> str:
        now = ports.clock.now()
        found, state = _started(ports, agency, authorization_id)
        meant_for = _meant_for(ports, agency, found)
        # OpenID4VCI 5.1.3, 13.x: issuer_state is anybody's to send; what it opens is only for whom it was made.
        # vci-5.1.3-injected
        if meant_for is not None and meant_for != subject_id:
            raise InvalidRequest("the offer was made for somebody else")
        granted = _available(ports, agency, state.asked.configuration_ids, subject_id)
        if not granted:
            return deny_authorization(ports, agency, authorization_id, error="access_denied")
        identified = tuple(each for each in state.asked.identified if each in granted)
        narrowed = replace(state, asked=replace(state.asked, configuration_ids=granted, identified=identified))
        approved = approve(narrowed, now=now)
        storage = ports.storage()
        with storage.unit:
            storage.authorizations.advance(found, approved, code_digest=digest(code), subject_id=subject_id)
        return create_code_url(state.asked.request, code=code, issuer=agency.credential_issuer)

    return until_no_race(attempt)


def deny_authorization(ports: IssuancePorts, agency: Agency, authorization_id: str, *, error: str) -> str:
    """Return where the person is sent with ``error``, such as ``access_denied`` after they said no.

    Raises:
        NotFound: there is no such authorization, or it is over.
    """

    def attempt() -> str:
        found, state = _started(ports, agency, authorization_id)
        denied = deny(state, error=error, now=ports.clock.now())
        storage = ports.storage()
        with storage.unit:
            storage.authorizations.advance(found, denied)
        return create_error_url(state.asked.request, error=error, description=None, issuer=agency.credential_issuer)

    return until_no_race(attempt)


def _open_pushed(ports: IssuancePorts, agency: Agency, parameters: Mapping[str, str], request_uri: str) -> str:
    # RFC 9126 4: whatever else stands in the query, only what was pushed counts.
    client_id = parse_client_id(parameters)

    def attempt() -> str:
        found = look(ports, lambda storage: storage.authorizations.find_by_request(agency.id, digest(request_uri)))
        # oauth-9126.4-unknown
        if found is None:
            raise InvalidRequestUri("this request_uri is unknown or has expired", clause="RFC 9126 4")
        state = open_request(found.state, client_id=client_id, now=ports.clock.now())
        if state != found.state:
            storage = ports.storage()
            with storage.unit:
                storage.authorizations.advance(found, state)
        return found.id

    return until_no_race(attempt)


def _asked(
    ports: IssuancePorts,
    agency: Agency,
    client: Client,
    registered: RegisteredClient,
    redirect_uri: str,
    parameters: Mapping[str, str],
) -> tuple[Asked, str | None]:
    """Return what a request asks for, and the id of the offer it came of."""
    issuer = agency.credential_issuer
    request = parse_authorization_request(parameters, client=registered, redirect_uri=redirect_uri, issuer=issuer)
    # RFC 9449 10.1: where both are there, dpop_jkt and the DPoP proof name the same key.
    # oauth-9449.10.1-same
    if request.dpop_jkt is not None and client.dpop not in {None, request.dpop_jkt}:
        raise InvalidRequest("dpop_jkt is not the key of the DPoP proof", clause="RFC 9449 10.1")
    every = {
        id_: issued
        for id_, issued in issued_by(ports, agency).items()
        if spec.GRANT_AUTHORIZATION_CODE in issued.type.issuance.grants
    }
    scopes = {issued.entry.scope: id_ for id_, issued in every.items()}
    wanted = requested_credentials(request, scopes=scopes, configuration_ids=every)
    offer = _invitation(ports, agency, request)
    if offer is not None:
        wanted = _offered(wanted, offer.state.configuration_ids)
    bound = request.dpop_jkt or client.dpop
    asked = Asked(request, wanted.configuration_ids, wanted.identified, client.instance, bound)
    return asked, None if offer is None else offer.id


def _invitation(ports: IssuancePorts, agency: Agency, request: AuthorizationRequest) -> Offer | None:
    """Return the offer that ``issuer_state`` names; None without one.

    Raises:
        InvalidRequest: it names none, or one that is over.
    """
    issuer_state = request.issuer_state
    if issuer_state is None:
        return None
    offer = look(ports, lambda storage: storage.offers.find_by_code(agency.id, digest(issuer_state)))
    # vci-5.1.3-issuer-state-unknown
    if offer is None or not isinstance(offer.state, Invited):
        raise InvalidRequest("issuer_state names no offer that waits", clause="OpenID4VCI 5.1.3")
    try:
        validate_invitation(offer.state, now=ports.clock.now())
    except InvalidGrant as exc:
        raise InvalidRequest(exc.description, clause="OpenID4VCI 5.1.3") from exc
    return offer


def _offered(wanted: RequestedCredentials, offered: Sequence[CredentialConfigurationId]) -> RequestedCredentials:
    """Return what of a request stands in the offer it refers to."""
    if not set(wanted.identified) <= set(offered):
        raise InvalidAuthorizationDetails("the offer has no such credential configuration", clause="RFC 9396 5")
    found = tuple(each for each in wanted.configuration_ids if each in offered)
    if not found:
        raise InvalidScope("nothing is asked for that stands in the offer", clause="RFC 6749 4.1.2.1")
    return RequestedCredentials(found, wanted.identified)


def _started(ports: IssuancePorts, agency: Agency, authorization_id: str) -> tuple[Authorization, Started]:
    found = look(ports, lambda storage: storage.authorizations.find(agency.id, authorization_id))
    if found is None or not isinstance(found.state, Started) or ports.clock.now() >= found.state.expires_at:
        raise NotFound("this authorization is over; begin again in the wallet")
    return found, found.state


def _meant_for(ports: IssuancePorts, agency: Agency, found: Authorization) -> str | None:
    offer_id = found.offer_id
    if offer_id is None:
        return None
    offer = look(ports, lambda storage: storage.offers.find(agency.id, offer_id))
    return None if offer is None else offer.subject_id


def _available(
    ports: IssuancePorts, agency: Agency, asked: Sequence[CredentialConfigurationId], subject_id: str
) -> tuple[CredentialConfigurationId, ...]:
    every = issued_by(ports, agency)
    return tuple(
        available_records(ports, agency, [every[each] for each in asked if each in every], subject_id=subject_id)
    )
