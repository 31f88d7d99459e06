"""Asking for a presentation: one request, or three that stand beside each other on a page."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography.hazmat.primitives.asymmetric import ec

from verifier.presentations.ports import Periods, PresentationPorts, Storage, StoredPresentation
from verifier.presentations.use_cases.dc_api_requests import create_dc_api_call, new_dc_api_request
from verifier.relying_parties.ports import ATTESTATION, RelyingParty, registration_of
from verifier.webhooks.use_cases import parse_webhook_url
from wallet_core import spec_versions as spec
from wallet_core.catalogue.policy import Policy
from wallet_core.errors import InvalidRequest, InvalidTransactionData, MalformedError, NotFound
from wallet_core.protocols.oauth2.identifiers import parse_url, parse_wallet_endpoint
from wallet_core.protocols.openid4vp.asking import create_response_encryption, new_secret, private_key_to_bytes
from wallet_core.protocols.openid4vp.client_id import ClientIdentifier, ClientIdPrefix, create_client_id
from wallet_core.protocols.openid4vp.dc_api import DcApiOffer, DcApiProtocol, DcApiRequest
from wallet_core.protocols.openid4vp.dcql import DcqlQuery, parse_dcql_query, validate_own_query
from wallet_core.protocols.openid4vp.presentation import REDEEM_WITHIN, PresentationFlow, Requested, Terms
from wallet_core.protocols.openid4vp.request import (
    AuthorizationRequest,
    RequestUriMethod,
    create_request_uri_link,
    create_unsigned_link,
)
from wallet_core.protocols.openid4vp.transaction_data import TransactionData, create_transactions
from wallet_core.protocols.openid4vp.verifier_attestation import read_own_attestation
from wallet_core.protocols.openid4vp.verifier_info import VerifierInfo, registration_info
from wallet_core.types import JsonObject, Nonce


@dataclass(frozen=True, slots=True)
class PresentationOrder:
    """What a relying party wants to ask. Either ``policy`` or ``dcql_query`` says what.

    Attributes:
        policy: id of a policy of the catalogue.
        dcql_query: a query of the party's own.
        encrypted: whether the answer is encrypted (``direct_post.jwt``, ``dc_api.jwt``) or not.
        client_id_prefix: how the party identifies itself.
        request_uri_method: how the wallet is to fetch the request.
        flow: where the wallet is.
        redirect_uri: where the wallet sends the browser back; needed in the same-device flow.
        authorization_endpoint: the wallet's address or scheme.
        registration: id of the policy under whose registration a query of the party's own is asked.
        session_digest: SHA-256 of the browser session that begins, where the page is ours.
        webhook: where the party is told of its moves; None for where it always is.
        expected_origins: where a page asks over the Digital Credentials API; empty for the other ways.
        dc_api_protocols: exchange protocols that are offered there; None for those that fit.
        transaction_data: what is to be agreed to, as JSON objects; ``credential_ids`` may be left out of them.
    """

    policy: str | None = None
    dcql_query: JsonObject | None = None
    # haip-5-encrypts
    encrypted: bool = True
    # haip-5-x509-hash
    client_id_prefix: ClientIdPrefix = ClientIdPrefix.X509_HASH
    request_uri_method: RequestUriMethod = "get"
    flow: PresentationFlow = PresentationFlow.CROSS_DEVICE
    redirect_uri: str | None = None
    authorization_endpoint: str = spec.REQUEST_SCHEME
    registration: str | None = None
    session_digest: bytes | None = None
    webhook: str | None = None
    expected_origins: tuple[str, ...] = ()
    dc_api_protocols: tuple[DcApiProtocol, ...] | None = None
    transaction_data: tuple[JsonObject, ...] = ()


@dataclass(frozen=True, slots=True)
class CreatedPresentation:
    """A request as it is handed over.

    Attributes:
        id: for the relying party, never for the wallet.
        authorization_request: the link for a QR code or a button; None over the Digital Credentials API.
        request_uri: where the link finds the request; None if the link carries it whole, or there is none.
        expires_at: until when it can be answered.
        dc_api_request: the object for ``navigator.credentials.get``; None for the other ways.
    """

    id: str
    authorization_request: str | None
    request_uri: str | None
    expires_at: datetime
    dc_api_request: JsonObject | None = None


@dataclass(frozen=True, slots=True)
class StartedCheck:
    """Three requests that stand beside each other on a page (M23): the first that is answered ends the others.

    Attributes:
        id: of the check.
        policy: what it asks.
        qr: the request for a wallet on another device, to be shown as a QR code.
        link: the request for a wallet on this device, behind a link.
        browser: the request for a wallet that the browser finds, where it can.
    """

    id: str
    policy: Policy
    qr: CreatedPresentation
    link: CreatedPresentation
    browser: CreatedPresentation


def request_uri(public_url: str, request_id: str) -> str:
    """Return where a wallet fetches a request. No other code builds this address."""
    return f"{public_url}/openid4vp/requests/{request_id}"


def response_uri(public_url: str, request_id: str) -> str:
    """Return where a wallet posts its answer. No other code builds this address."""
    return f"{public_url}/openid4vp/responses/{request_id}"


def create_presentation(
    ports: PresentationPorts, storage: Storage, party: RelyingParty, order: PresentationOrder
) -> CreatedPresentation:
    """Make a request in the unit of ``storage``, joining the transaction if the caller has begun it.

    Raises:
        InvalidRequest: the order breaks a rule, or asks for what is not supported.
        InvalidTransactionData: what is to be agreed to is of no known type or form, or does not go with the policy.
        NotFound: the catalogue has no such policy.
        KeyUnavailable: the party has no access key.
    """
    with storage.unit:
        return _create(ports, storage, party, order, check_id=None)


def start_check(
    ports: PresentationPorts,
    party: RelyingParty,
    policy: str,
    *,
    session_digest: bytes,
    return_uri: str,
    wallet_endpoint: str = spec.REQUEST_SCHEME,
    transaction_data: tuple[JsonObject, ...] = (),
) -> StartedCheck:
    """Make the three requests of a page: a QR code, a link, and a call of the browser's own API (M23).

    Args:
        ports: what is needed.
        party: who asks.
        policy: id of a policy of the catalogue.
        session_digest: SHA-256 of the browser session of the page.
        return_uri: the page of ours to which the wallet on this device sends the browser back.
        wallet_endpoint: address or scheme of the wallet behind the link.
        transaction_data: what is to be agreed to.

    Raises:
        InvalidTransactionData: as :func:`create_presentation`.
        NotFound: the catalogue has no such policy.
        KeyUnavailable: the party has no access key.
    """
    check_id = _new_id(ports)
    across = PresentationOrder(policy=policy, session_digest=session_digest, transaction_data=transaction_data)
    beside = PresentationOrder(
        policy=policy,
        session_digest=session_digest,
        flow=PresentationFlow.SAME_DEVICE,
        redirect_uri=return_uri,
        authorization_endpoint=wallet_endpoint,
        transaction_data=transaction_data,
    )
    within = PresentationOrder(
        policy=policy,
        session_digest=session_digest,
        expected_origins=(ports.public_url,),
        transaction_data=transaction_data,
    )
    storage = ports.storage()
    with storage.unit:
        qr = _create(ports, storage, party, across, check_id=check_id)
        link = _create(ports, storage, party, beside, check_id=check_id)
        browser = _create(ports, storage, party, within, check_id=check_id)
    return StartedCheck(check_id, ports.policies[policy], qr, link, browser)


def key_context(presentation_id: str) -> str:
    """Return what the sealed private key of a presentation is bound to."""
    return f"verifier_presentation.sealed_key:{presentation_id}"


def _create(
    ports: PresentationPorts, storage: Storage, party: RelyingParty, order: PresentationOrder, *, check_id: str | None
) -> CreatedPresentation:
    _validate_addresses(order)
    policy, query = _asked(ports, order)
    # vp-13.3-two-numbers
    now, request_id, presentation_id = ports.clock.now(), new_secret(ports.random), _new_id(ports)
    make = _new_dc_api_request if order.expected_origins else _new_linked_request
    transactions = _transactions(ports, order, policy, query)
    request, offer, private_keys = make(ports, party, order, query, transactions, request_id)
    keep_for, delete_at = _retention(policy, ports.periods, now)
    terms = Terms(
        request,
        order.flow,
        order.request_uri_method,
        order.redirect_uri,
        created_at=now,
        expires_at=now + ports.periods.request,
        keep_for=keep_for,
        dc_api=offer,
    )
    stored = StoredPresentation(
        id=presentation_id,
        request_id=request_id,
        party_id=party.id,
        policy_id=order.policy,
        check_id=check_id,
        version=1,
        state=Requested(terms),
        sealed_key=ports.seal.seal(private_keys, key_context(presentation_id)) if private_keys else None,
        session_digest=order.session_digest,
        delete_at=delete_at,
        webhook=None if order.webhook is None else parse_webhook_url(order.webhook),
    )
    storage.presentations.add(stored)
    if offer is not None:
        return CreatedPresentation(presentation_id, None, None, terms.expires_at, create_dc_api_call(ports, stored))
    return _handed_over(ports, order, terms, presentation_id, request_id)


def _new_linked_request(
    ports: PresentationPorts,
    party: RelyingParty,
    order: PresentationOrder,
    query: DcqlQuery,
    transactions: tuple[TransactionData, ...],
    request_id: str,
) -> tuple[AuthorizationRequest, None, bytes]:
    # haip-5-fresh-key
    private_key = ec.generate_private_key(ec.SECP256R1()) if order.encrypted else None
    answer_to = response_uri(ports.public_url, request_id)
    request = AuthorizationRequest(
        client_id=_client_id(ports, party, order.client_id_prefix, answer_to),
        response_uri=answer_to,
        # 5.2: "a fresh, cryptographically random number […] for every Authorization Request".
        # vp-5.2-fresh-nonce
        nonce=Nonce(new_secret(ports.random)),
        dcql_query=query,
        state=request_id,
        encryption=None if private_key is None else create_response_encryption(private_key, request_id),
        verifier_info=_verifier_info(ports, party, order),
        transaction_data=transactions,
    )
    return request, None, b"" if private_key is None else private_key_to_bytes(private_key)


def _new_dc_api_request(
    ports: PresentationPorts,
    party: RelyingParty,
    order: PresentationOrder,
    query: DcqlQuery,
    transactions: tuple[TransactionData, ...],
    request_id: str,
) -> tuple[DcApiRequest, DcApiOffer, bytes]:
    if order.client_id_prefix is ClientIdPrefix.VERIFIER_ATTESTATION:
        raise InvalidRequest("over the Digital Credentials API parties are known by their certificate")
    made = new_dc_api_request(
        ports,
        party.id,
        query,
        request_id=request_id,
        prefix=order.client_id_prefix,
        origins=order.expected_origins,
        protocols=order.dc_api_protocols,
        encrypted=order.encrypted,
        transactions=transactions,
        verifier_info=_verifier_info(ports, party, order),
    )
    return made.request, made.offer, made.private_keys


def _client_id(
    ports: PresentationPorts, party: RelyingParty, prefix: ClientIdPrefix, answer_to: str
) -> ClientIdentifier:
    attested = ""
    if prefix is ClientIdPrefix.VERIFIER_ATTESTATION:
        token = ports.keys.statement(party.id, ATTESTATION)
        # vp-12-own
        if token is None:
            raise InvalidRequest("the relying party has no verifier attestation", clause="OpenID4VP 5.9.3")
        attestation = read_own_attestation(token)
        if ports.clock.now() >= attestation.expires_at:
            raise InvalidRequest("the verifier attestation of the relying party has expired", clause="OpenID4VP 12")
        attested = attestation.subject
    return create_client_id(prefix, leaf=ports.keys.chain(party.id)[0], response_uri=answer_to, attested=attested)


def _verifier_info(ports: PresentationPorts, party: RelyingParty, order: PresentationOrder) -> tuple[VerifierInfo, ...]:
    if order.registration is not None and order.policy is not None:
        raise InvalidRequest("a policy is asked under its own registration")
    policy = order.policy or order.registration
    # Nobody vouches for whoever asks under redirect_uri, so that no registration can be bound to it.
    if policy is None or order.client_id_prefix is ClientIdPrefix.REDIRECT_URI:
        return ()
    if policy not in ports.policies:
        raise NotFound("the catalogue has no such policy", detail=f"there are: {', '.join(ports.policies)}")
    token = ports.keys.statement(party.id, registration_of(policy))
    if token is None and order.registration is not None:
        raise InvalidRequest("the relying party has no registration for that policy")
    return registration_info(token)


def _handed_over(
    ports: PresentationPorts, order: PresentationOrder, terms: Terms, presentation_id: str, request_id: str
) -> CreatedPresentation:
    endpoint, request = order.authorization_endpoint, terms.linked_request
    # 5.9.3: a redirect_uri request cannot be signed, so it travels whole, in the link.
    if not request.client_id.signs:
        return CreatedPresentation(presentation_id, create_unsigned_link(endpoint, request), None, terms.expires_at)
    uri = request_uri(ports.public_url, request_id)
    link = create_request_uri_link(endpoint, request.client_id, uri, method=order.request_uri_method)
    return CreatedPresentation(presentation_id, link, uri, terms.expires_at)


def _asked(ports: PresentationPorts, order: PresentationOrder) -> tuple[Policy | None, DcqlQuery]:
    if (order.policy is None) == (order.dcql_query is None):
        raise InvalidRequest("give either policy or dcql_query")
    policies = {name: each for name, each in ports.policies.items() if not each.is_for_logins}
    policy = policies.get(order.policy) if order.policy is not None else None
    if order.policy is not None and policy is None:
        raise NotFound("the catalogue has no such policy", detail=f"there are: {', '.join(policies)}")
    query = parse_dcql_query(policy.dcql_query if policy else order.dcql_query)
    validate_own_query(query)
    return policy, query


def _transactions(
    ports: PresentationPorts, order: PresentationOrder, policy: Policy | None, query: DcqlQuery
) -> tuple[TransactionData, ...]:
    """Return what is to be agreed to, checked against the catalogue and the query before anybody is asked."""
    made = create_transactions(order.transaction_data, query, {each.type: each for each in ports.transactions.values()})
    if policy is None:
        return made
    # A policy says what it is for: what is agreed under it is part of that.
    accepted = {ports.transactions[each].type for each in policy.transactions}
    if not accepted.issuperset(entry.type for entry in made):
        raise InvalidTransactionData("the policy does not go with this transaction")
    if accepted and not made:
        raise InvalidTransactionData("the policy needs transaction_data")
    return made


def _retention(policy: Policy | None, periods: Periods, now: datetime) -> tuple[timedelta, datetime]:
    """Return how long claims are kept once they may be read, and when the row goes."""
    kept, record = periods.result, periods.record
    if policy is not None:
        kept = timedelta(days=policy.retention.claims_days) or kept
        record = timedelta(days=policy.retention.record_days)
    # The claims are counted from the verdict, which in the same-device flow is when the code is redeemed. The record
    # outlives them, however policy and settings count.
    latest_verdict = now + periods.request + REDEEM_WITHIN
    return kept, latest_verdict + max(kept, record)


def _validate_addresses(order: PresentationOrder) -> None:
    _validate_endpoint(order.authorization_endpoint)
    # A.1: the answer comes back in the page that asked; and only a certificate signs what a page passes to the API.
    # dcapi-A.1-no-way-back
    if order.expected_origins and (
        order.redirect_uri is not None
        or order.flow is PresentationFlow.SAME_DEVICE
        or order.client_id_prefix is ClientIdPrefix.REDIRECT_URI
    ):
        raise InvalidRequest("the Digital Credentials API takes no redirect_uri and no flow", clause="OpenID4VP A.1")
    # 13.3, protocols 24: without a way back the answer could never be redeemed.
    # vp-13.3-way-back
    if order.flow is PresentationFlow.SAME_DEVICE and order.redirect_uri is None:
        raise InvalidRequest("the same-device flow needs a redirect_uri")
    if order.redirect_uri is not None:
        _https(order.redirect_uri.removesuffix("#"), "redirect_uri")


def _validate_endpoint(endpoint: str) -> None:
    try:
        parse_wallet_endpoint(endpoint, what="authorization_endpoint")
    except MalformedError as exc:
        raise InvalidRequest("authorization_endpoint is an https URL or a wallet's scheme") from exc


def _https(value: str, what: str) -> None:
    try:
        parse_url(value, what=what)
    except MalformedError as exc:
        raise InvalidRequest(exc.description) from exc


def _new_id(ports: PresentationPorts) -> str:
    # Ids grow with time, so that lists are read off the index; the random rest cannot be guessed.
    milliseconds = int(ports.clock.now().timestamp() * 1000)
    return f"{milliseconds:012x}{ports.random(12).hex()}"
