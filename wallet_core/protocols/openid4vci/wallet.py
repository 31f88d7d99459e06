"""The wallet's side of issuance, as flows that end wherever a person or the holder's key must act (OpenID4VCI 3.5).

```text
link ──resolve_offer──▶ ResolvedOffer ──(the person accepts)── request_proofs ──▶ ProofsToSign
     ──(the keys sign)── receive_credentials ──▶ IssuedCredentials, or once more ProofsToSign ── notify
```
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from wallet_core import spec_versions as spec
from wallet_core.errors import InvalidNonce, MalformedError, PeerRefusal, VerificationError
from wallet_core.http import Flow, HttpRequest, HttpResponse, get
from wallet_core.jose import jws
from wallet_core.keys.algorithms import PublicKey
from wallet_core.protocols.oauth2.answers import parse_answer, peer_refusal
from wallet_core.protocols.oauth2.metadata import (
    AuthorizationServer,
    parse_authorization_server_metadata,
)
from wallet_core.protocols.oauth2.metadata import metadata_locations as authorization_server_locations
from wallet_core.protocols.oauth2.token import create_token_request, parse_token_response
from wallet_core.protocols.openid4vci import messages
from wallet_core.protocols.openid4vci.encryption import MessageEncryption, choose_encryption
from wallet_core.protocols.openid4vci.messages import Deferral, NotificationEvent
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
from wallet_core.protocols.openid4vci.pending import (
    IssuedBatch,
    IssuedCredentials,
    ProofsToSign,
    ProofToSign,
    ResolvedOffer,
)
from wallet_core.protocols.openid4vci.proof import proof_signing_input
from wallet_core.types import CredentialConfigurationId, CredentialIssuerId, JsonObject, Nonce

OFFER_LIMIT: Final = 64 * 1024
"""Bytes of an offer by reference."""

__all__ = [
    "IssuedBatch",
    "IssuedCredentials",
    "ProofToSign",
    "ProofsToSign",
    "ResolvedOffer",
    "notify",
    "receive_credentials",
    "request_proofs",
    "resolve_credential_issuer",
    "resolve_offer",
]


def resolve_offer(link: str) -> Flow[ResolvedOffer]:
    """Fetch what is needed to show an offer: the offer itself if by reference, and the issuer's metadata.

    Call it only once the person has seen the host of the link and acted (OpenID4VCI 13.5).

    Raises:
        MalformedError: the offer or the metadata break a rule, or ask for what this wallet does not have.
        PeerRefusal: a server answered with an error.
    """
    found = parse_offer_link(link)
    offer = (yield from _fetch_offer(found)) if isinstance(found, OfferReference) else found
    # OpenID4VCI 4.1.1: without this grant the wallet would use others, which this one does not have.
    if offer.pre_authorized_code is None:
        raise MalformedError("the offer has no pre-authorized code, the only grant supported yet")
    issuer = yield from resolve_credential_issuer(offer.credential_issuer, only=offer.configuration_ids)
    # OpenID4VCI 4.1.1: each string identifies an object in credential_configurations_supported.
    # vci-4.1.1-known-configuration
    if any(id_ not in issuer.configurations for id_ in offer.configuration_ids):
        raise MalformedError("the offer names a configuration that the issuer does not have", clause="OpenID4VCI 4.1.1")
    # What cannot be answered in the way the issuer demands is refused before the person is asked.
    choose_encryption(issuer.request_encryption, issuer.response_encryption)
    server = yield from _resolve_authorization_server(_authorization_server(offer, issuer))
    return ResolvedOffer(offer, issuer, server)


def resolve_credential_issuer(
    credential_issuer: CredentialIssuerId, *, only: Collection[CredentialConfigurationId] | None = None
) -> Flow[CredentialIssuerMetadata]:
    """Fetch the metadata of a Credential Issuer (OpenID4VCI 12.2.2); of its configurations ``only`` these, if named.

    Raises:
        MalformedError: they break a rule or speak of another issuer.
        PeerRefusal: a server answered with an error.
    """
    document = yield from _first_document(metadata_locations(credential_issuer), who="the credential issuer")
    return parse_credential_issuer_metadata(document, credential_issuer=credential_issuer, only=only)


def request_proofs(
    offer: ResolvedOffer,
    keys: Mapping[CredentialConfigurationId, Sequence[PublicKey]],
    *,
    tx_code: str | None,
    now: datetime,
) -> Flow[ProofsToSign]:
    """Fetch a nonce, redeem the code, and return what the holder's keys must sign.

    The code works once, so its answer comes last: nothing can fail between it and the value that is stored.

    Args:
        offer: what the person accepted.
        keys: for each configuration wanted, new keys, one per copy; none where no binding is needed. Not one key twice.
        tx_code: what the person typed.
        now: the time, for ``iat`` of the proofs.

    Raises:
        ValueError: the keys do not fit what is offered.
        PeerRefusal: a server refused, for example with ``invalid_grant`` for a wrong transaction code.
        MalformedError: an answer breaks a rule.
    """
    _validate_keys(offer, keys)
    code = offer.offer.pre_authorized_code or ""
    nonce = yield from _request_nonce(offer)
    request = create_token_request(offer.server.token_endpoint, pre_authorized_code=code, tx_code=tx_code)
    token = parse_token_response((yield request))
    proofs = tuple(_proof(offer, name, key, nonce, now) for name, group in keys.items() for key in group)
    return ProofsToSign(offer, token, tuple(keys), proofs)


def receive_credentials(
    pending: ProofsToSign, signatures: Sequence[bytes], *, now: datetime
) -> Flow[IssuedCredentials | ProofsToSign]:
    """Send the signed proofs and return the credentials, or once the same question with a fresh nonce.

    Args:
        pending: what was to be signed.
        signatures: of ``pending.proofs``, in their order.
        now: the time, for proofs that must be signed again.

    Raises:
        ValueError: not one signature for each proof.
        PeerRefusal: the issuer refused and nothing came; ``invalid_nonce`` only the second time.
        MalformedError: an answer breaks a rule and nothing came.
    """
    if len(signatures) != len(pending.proofs):
        raise ValueError("one signature for each proof is needed")
    signed = [
        (proof.configuration_id, jws.attach_signature(proof.signing_input, signature))
        for proof, signature in zip(pending.proofs, signatures, strict=True)
    ]
    issued, failures = (
        list(pending.issued),
        dict[CredentialConfigurationId, PeerRefusal | MalformedError | VerificationError](),
    )
    for position, name in enumerate(pending.pending):
        issuer = pending.offer.issuer
        encryption = choose_encryption(issuer.request_encryption, issuer.response_encryption)
        proofs = [jwt for owner, jwt in signed if owner == name]
        response = yield _credential_request(pending, name, proofs, encryption)
        # OpenID4VCI 8.3.1.2: on invalid_nonce fetch a new nonce and sign again; once, so that it ends.
        # vci-8.3.1.2-fresh-nonce
        if messages.is_invalid_nonce(response) and not pending.renewed:
            left = replace(pending, pending=pending.pending[position:], issued=tuple(issued))
            return (yield from _renew_nonce(left, now=now))
        try:
            issued.append(_issued_batch(pending, name, response, encryption))
        except (PeerRefusal, MalformedError, VerificationError) as exc:
            failures[name] = exc
    # What came is kept even if something else did not come.
    if not issued:
        raise next(iter(failures.values()))
    errors = {name: exc.description for name, exc in failures.items()}
    return IssuedCredentials(pending.offer, pending.token, tuple(issued), errors)


def notify(issued: IssuedCredentials, event: NotificationEvent) -> Flow[None]:
    """Tell the issuer what became of the credentials, where it wants to know (OpenID4VCI 11).

    Raises:
        PeerRefusal: the issuer refused. The credentials stay good.
    """
    endpoint = issued.offer.issuer.notification_endpoint
    if endpoint is None:
        return
    for batch in issued.batches:
        if batch.notification_id is not None:
            response = yield messages.create_notification_request(
                endpoint, issued.token.access_token, notification_id=batch.notification_id, event=event
            )
            # OpenID4VCI 11.2: any 2xx is success, with or without a body.
            if not response.ok:
                raise peer_refusal(response, who="the notification endpoint")


def _fetch_offer(reference: OfferReference) -> Flow[CredentialOffer]:
    # OpenID4VCI 4.1.3: GET; the answer is application/json.
    response = yield get(reference.url, accept=spec.JSON, response_limit=OFFER_LIMIT)
    return parse_credential_offer(parse_answer(response, who="the offer's server"))


def _first_document(locations: Sequence[str], *, who: str) -> Flow[JsonObject]:
    """Return the document at the first location that is not 404: others are for older software."""
    for location in locations[:-1]:
        response = yield get(location, accept=spec.JSON)
        if response.status != 404:
            return parse_answer(response, who=who)
    return parse_answer((yield get(locations[-1], accept=spec.JSON)), who=who)


def _authorization_server(offer: CredentialOffer, issuer: CredentialIssuerMetadata) -> str:
    # OpenID4VCI 4.1.1: authorization_server must be one that the metadata list; otherwise stop.
    if offer.authorization_server is None:
        return issuer.authorization_servers[0]
    # vci-4.1.1-server-listed
    if offer.authorization_server not in issuer.authorization_servers:
        raise MalformedError("the offer names a server that the issuer does not list", clause="OpenID4VCI 4.1.1")
    return offer.authorization_server


def _resolve_authorization_server(issuer: str) -> Flow[AuthorizationServer]:
    document = yield from _first_document(authorization_server_locations(issuer), who="the authorization server")
    return parse_authorization_server_metadata(document, issuer=issuer)


def _validate_keys(offer: ResolvedOffer, keys: Mapping[CredentialConfigurationId, Sequence[PublicKey]]) -> None:
    if not keys or not set(keys) <= set(offer.offer.configuration_ids):
        raise ValueError("keys are for configurations of the offer, at least one")
    for name, group in keys.items():
        configuration = offer.issuer.configurations[name]
        # OpenID4VCI 8.2: at most batch_size proofs, and at least one where the configuration asks for proofs.
        # vci-8.2-batch-limit-wallet
        if not (1 if configuration.needs_proof else 0) <= len(group) <= offer.issuer.batch_size:
            raise ValueError(f"{name} takes 1 to {offer.issuer.batch_size} keys")
        algorithms = configuration.proof_algorithms or ()
        if any(key.algorithm.value not in algorithms for key in group):
            raise ValueError(f"a key for {name} is of an algorithm that the issuer does not take")


def _request_nonce(offer: ResolvedOffer) -> Flow[Nonce | None]:
    # OpenID4VCI 12.2.4: without a Nonce Endpoint no c_nonce is needed.
    if offer.issuer.nonce_endpoint is None:
        return None
    # OpenID4VCI 7.1: POST without body and without access token.
    request = HttpRequest("POST", offer.issuer.nonce_endpoint, {"Accept": spec.JSON})
    return messages.parse_nonce_response((yield request))


def _proof(
    offer: ResolvedOffer, name: CredentialConfigurationId, key: PublicKey, nonce: Nonce | None, now: datetime
) -> ProofToSign:
    audience = offer.issuer.credential_issuer
    return ProofToSign(name, key, proof_signing_input(key, audience=audience, nonce=nonce, issued_at=now))


def _renew_nonce(pending: ProofsToSign, *, now: datetime) -> Flow[ProofsToSign]:
    nonce = yield from _request_nonce(pending.offer)
    if nonce is None:
        raise InvalidNonce("the issuer refuses the nonce but has no nonce endpoint", clause="OpenID4VCI 8.3.1.2")
    proofs = tuple(
        _proof(pending.offer, proof.configuration_id, proof.key, nonce, now)
        for proof in pending.proofs
        if proof.configuration_id in pending.pending
    )
    return replace(pending, proofs=proofs, renewed=True)


def _credential_request(
    pending: ProofsToSign,
    name: CredentialConfigurationId,
    proofs: Sequence[str],
    encryption: MessageEncryption | None,
) -> HttpRequest:
    # OpenID4VCI 8.2: identifiers of the token response must be used where there are some.
    identifiers = pending.token.credential_identifiers.get(name, ())
    # vci-8.2-use-identifiers
    return messages.create_credential_request(
        pending.offer.issuer.credential_endpoint,
        pending.token.access_token,
        configuration_id=name,
        credential_identifier=identifiers[0] if identifiers else None,
        proofs=proofs,
        encryption=encryption,
    )


def _issued_batch(
    pending: ProofsToSign,
    name: CredentialConfigurationId,
    response: HttpResponse,
    encryption: MessageEncryption | None,
) -> IssuedBatch:
    answer = messages.parse_credential_response(response, encryption)
    if isinstance(answer, Deferral):
        raise MalformedError("the issuer defers the credential, which is not supported yet", clause="OpenID4VCI 9")
    asked = sum(proof.configuration_id == name for proof in pending.proofs)
    # OpenID4VCI 8.3: never more credentials than keys.
    # vci-8.3-no-more-than-keys
    if len(answer.credentials) > max(asked, 1):
        raise MalformedError("the issuer sent more credentials than keys", clause="OpenID4VCI 8.3")
    return IssuedBatch(name, answer.credentials, answer.notification_id)
