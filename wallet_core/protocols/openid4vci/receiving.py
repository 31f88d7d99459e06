"""From an access token to credentials: proofs, the Credential Endpoint, coming back later, telling what became of it.

OpenID4VCI 7, 8, 9 and 11, the wallet's side, as flows that end wherever the holder's keys must sign.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from wallet_core import spec_versions as spec
from wallet_core.errors import FetchError, MalformedError, PeerRefusal, VerificationError
from wallet_core.http import Flow, HttpRequest, HttpResponse
from wallet_core.jose import jws
from wallet_core.keys.algorithms import PublicKey
from wallet_core.protocols.oauth2.answers import peer_refusal
from wallet_core.protocols.oauth2.client import ClientInstance, ClientMemory, ClientSession
from wallet_core.protocols.oauth2.token import TokenResponse, parse_token_response
from wallet_core.protocols.openid4vci import messages
from wallet_core.protocols.openid4vci.encryption import MessageEncryption, choose_encryption
from wallet_core.protocols.openid4vci.messages import CredentialResponse, Deferral, NotificationEvent
from wallet_core.protocols.openid4vci.pending import (
    DeferredCredential,
    IssuedBatch,
    IssuedCredentials,
    KeysToAttest,
    ProofsToSign,
    ProofToSign,
    ResolvedOffer,
)
from wallet_core.protocols.openid4vci.proof import proof_signing_input
from wallet_core.protocols.openid4vci.proof_way import require_proof_way
from wallet_core.types import CredentialConfigurationId, Nonce, RandomBytes

Keys = Mapping[CredentialConfigurationId, Sequence[PublicKey]]
"""For each configuration wanted, new keys, one per copy; none where no binding is needed. Not one key twice."""

FINAL_ERRORS: Final = frozenset({"credential_request_denied", "invalid_transaction_id"})
"""OpenID4VCI 9.3: after these a deferred credential is not asked for again."""

_NEVER: Final = datetime.min.replace(tzinfo=UTC)

Keep = Callable[[TokenResponse], None]
"""Stores a renewed token. It is called before anything else is sent: whatever comes next may fail, and the refresh
token before it may be dead by then."""

Trouble = FetchError | PeerRefusal | MalformedError | VerificationError
"""What one answer may come to without costing the others."""


def request_proofs(
    offer: ResolvedOffer,
    keys: Keys,
    *,
    tx_code: str | None,
    now: datetime,
    client: ClientInstance | None = None,
    random: RandomBytes | None = None,
) -> Flow[ProofsToSign]:
    """Fetch a nonce, redeem the pre-authorized code, and return what the holder's keys must sign.

    The code works once, so its answer comes last: nothing can fail between it and the value that is stored.

    Args:
        offer: what the person accepted.
        keys: for each configuration wanted, new keys.
        tx_code: what the person typed.
        now: the time, for ``iat`` of the proofs.
        client: who redeems it, where the server binds tokens or takes no anonymous client.
        random: needed with a client, for its proofs.

    Raises:
        ValueError: the keys do not fit what is offered.
        PeerRefusal: a server refused, for example with ``invalid_grant`` for a wrong transaction code.
        MalformedError: an answer breaks a rule.
    """
    validate_keys(offer, keys)
    talk = open_session(offer, client, now=now, random=random)
    nonce = yield from request_nonce(offer, talk)
    fields = {
        "grant_type": spec.GRANT_PRE_AUTHORIZED_CODE,
        "pre-authorized_code": offer.offer.pre_authorized_code or "",
    }
    if tx_code is not None:
        fields["tx_code"] = tx_code
    response = yield from talk.post_form(offer.server.token_endpoint, fields, anonymous=offer.is_anonymous)
    # A server that does not know this wallet may still serve it as nobody in particular: without a refresh token.
    # vci-6.1-unknown-wallet
    if not offer.is_anonymous and offer.server.anonymous_pre_authorized and _is_invalid_client(response):
        response = yield from talk.post_form(offer.server.token_endpoint, fields, anonymous=True)
    return proofs_to_sign(offer, parse_token_response(response, bound=talk.uses_dpop), keys, nonce, talk)


def _is_invalid_client(response: HttpResponse) -> bool:
    return response.status in {400, 401} and peer_refusal(response, who="the token endpoint").error == "invalid_client"


def attach_key_attestations(
    pending: ProofsToSign, attestations: Mapping[CredentialConfigurationId, str], *, now: datetime
) -> ProofsToSign:
    """Return the proofs with the wallet provider's statements about the keys in them (OpenID4VCI F.1, F.3).

    Args:
        pending: with ``unattested`` keys.
        attestations: one for the keys of each configuration that needs one.
        now: the time, for ``iat`` of the proofs.

    Raises:
        ValueError: not one for each.
    """
    if set(attestations) != {keys.configuration_id for keys in pending.unattested}:
        raise ValueError("one key attestation for each configuration that needs one")
    attested = tuple(
        replace(keys, attestation=attestations.get(keys.configuration_id, keys.attestation))
        for keys in pending.attested
    )
    # haip-4.5.1-batch
    proofs = tuple(
        # HAIP 4.5.1: all keys of a batch are in one statement; the first signs, the others need not.
        _proof(pending.offer, keys.configuration_id, keys.keys[0], keys.nonce, now, attestation=keys.attestation)
        for keys in attested
        if keys.is_signed and keys.configuration_id in attestations
    )
    return replace(pending, attested=attested, proofs=pending.proofs + proofs)


def receive_credentials(
    pending: ProofsToSign,
    signatures: Sequence[bytes],
    *,
    keep: Keep | None = None,
    now: datetime,
    client: ClientInstance | None = None,
    random: RandomBytes | None = None,
) -> Flow[IssuedCredentials | ProofsToSign]:
    """Send the signed proofs and return the credentials, or what is still to be signed and asked for.

    That is once the same question with a fresh nonce; and what is left, if the issuer cannot be reached any more after
    something came, which must not get lost.

    Args:
        pending: what was to be signed.
        signatures: of ``pending.proofs``, in their order.
        keep: as its type says; without it a token that is over is not renewed.
        now: the time, for proofs that must be signed again.
        client: whose key the access token is bound to, if to any.
        random: needed with a client, for its proofs.

    Raises:
        ValueError: not one signature for each proof, or keys lack their attestation.
        FetchError: the issuer was not reached and nothing new came; it can be tried again.
        PeerRefusal: the issuer refused and nothing came; ``invalid_nonce`` only the second time, or from an issuer
            that has no fresh nonce to give.
        MalformedError: an answer breaks a rule and nothing came.
    """
    if len(signatures) != len(pending.proofs) or pending.unattested:
        raise ValueError("one signature for each proof is needed, and every key attestation")
    talk = open_session(pending.offer, client, now=now, random=random, memory=pending.memory)
    access = _Access(talk, pending.token, keep)
    proofs = _proofs_of(pending, signatures)
    issued, deferred = list(pending.issued), list(pending.deferred)
    failures = dict[CredentialConfigurationId, Trouble]()
    for position, name in enumerate(pending.pending):
        encryption = _encryption(pending.offer)
        request = _credential_request(pending, name, proofs.get(name, ()), encryption)
        not_yet = (*failures, *pending.pending[position:])
        try:
            response = yield from access.send(request)
            # OpenID4VCI 8.3.1.2: on invalid_nonce fetch a new nonce and sign again; once, so that it ends.
            # vci-8.3.1.2-fresh-nonce
            if messages.is_invalid_nonce(response) and _can_renew_nonce(pending):
                return (yield from _renew_nonce(_left(pending, not_yet, issued, deferred, access), talk))
            answer = messages.parse_credential_response(response, encryption)
            _file(pending.offer, name, answer, issued, deferred, keys=pending.key_count(name))
        except FetchError:
            if len(issued) + len(deferred) == len(pending.issued) + len(pending.deferred):
                raise
            return _left(pending, not_yet, issued, deferred, access)
        except (PeerRefusal, MalformedError, VerificationError) as exc:
            failures[name] = exc
    # What came is kept even if something else did not come.
    if not issued and not deferred:
        raise next(iter(failures.values()))
    errors = {name: exc.description for name, exc in failures.items()}
    return IssuedCredentials(pending.offer, access.token, tuple(issued), errors, tuple(deferred), talk.memory)


def _left(
    pending: ProofsToSign,
    names: Collection[CredentialConfigurationId],
    issued: Sequence[IssuedBatch],
    deferred: Sequence[DeferredCredential],
    access: "_Access",
) -> ProofsToSign:
    """Return what is still to be signed and asked for; keys are attested anew, for a statement does not last."""
    attested = tuple(replace(keys, attestation=None) for keys in pending.attested if keys.configuration_id in names)
    signed_here = set(names) - {keys.configuration_id for keys in attested}
    return ProofsToSign(
        pending.offer,
        access.token,
        tuple(names),
        tuple(proof for proof in pending.proofs if proof.configuration_id in signed_here),
        tuple(issued),
        attested=attested,
        deferred=tuple(deferred),
        memory=access.talk.memory,
    )


def poll_deferred(
    waiting: IssuedCredentials,
    *,
    keep: Keep,
    now: datetime,
    client: ClientInstance | None = None,
    random: RandomBytes | None = None,
) -> Flow[IssuedCredentials]:
    """Ask for every credential that the issuer put off, and return what there is now (OpenID4VCI 9).

    What still waits stands in ``deferred`` with its new interval; what was refused for good, in ``failures``. A token
    that is over is renewed with the refresh token, if there is one.

    Args:
        waiting: what was put off.
        keep: as its type says.
        now: the time, for the proofs of the client.
        client: whose key the access token is bound to, if to any.
        random: needed with a client, for its proofs.

    Raises:
        FetchError: a server was not reached, and nothing came; it can be asked again.
        PeerRefusal: the issuer refused for now, and nothing came; it can be asked again.
        MalformedError: an answer breaks a rule, and nothing came.
    """
    talk = open_session(waiting.offer, client, now=now, random=random, memory=waiting.memory)
    access = _Access(talk, waiting.token, keep)
    batches, left = list(waiting.batches), list[DeferredCredential]()
    failures, troubles = dict(waiting.failures), list[Trouble]()
    for each in waiting.deferred:
        encryption = _encryption(waiting.offer)
        request = _deferred_request(waiting.offer, access.token, each, encryption)
        # An answer with credentials comes only once: whatever befalls the others, what came is returned.
        try:
            response = yield from access.send(request)
            answer = messages.parse_deferred_response(response, encryption, transaction_id=each.transaction_id)
            _file(waiting.offer, each.configuration_id, answer, batches, left, keys=each.keys)
        except (FetchError, PeerRefusal, MalformedError, VerificationError) as exc:
            # OpenID4VCI 9.3: credential_request_denied and invalid_transaction_id end it; anything else may pass.
            # vci-9.3-final
            if isinstance(exc, PeerRefusal) and exc.error in FINAL_ERRORS:
                failures[each.configuration_id] = exc.description
            else:
                left.append(each)
                troubles.append(exc)
    if troubles and len(left) == len(waiting.deferred):
        raise troubles[0]
    return IssuedCredentials(waiting.offer, access.token, tuple(batches), failures, tuple(left), talk.memory)


def notify(
    issued: IssuedCredentials,
    event: NotificationEvent,
    *,
    keep: Keep | None = None,
    now: datetime | None = None,
    client: ClientInstance | None = None,
    random: RandomBytes | None = None,
) -> Flow[None]:
    """Tell the issuer what became of the credentials, where it wants to know (OpenID4VCI 11).

    Args:
        issued: what came.
        event: what became of it.
        keep: as its type says; without it a token that is over is not renewed.
        now: the time, for the proofs of the client.
        client: whose key the access token is bound to, if to any.
        random: needed with a client, for its proofs.

    Raises:
        ValueError: a client without time and randomness.
        PeerRefusal: the issuer refused. The credentials stay good.
    """
    endpoint = issued.offer.issuer.notification_endpoint
    if endpoint is None:
        return
    talk = open_session(issued.offer, client, now=now, random=random, memory=issued.memory)
    access = _Access(talk, issued.token, keep)
    for batch in issued.batches:
        if batch.notification_id is not None:
            request = messages.create_notification_request(
                endpoint, access.token.access_token, notification_id=batch.notification_id, event=event
            )
            response = yield from access.send(request)
            # OpenID4VCI 11.2: any 2xx is success, with or without a body.
            if not response.ok:
                raise peer_refusal(response, who="the notification endpoint")


def open_session(
    offer: ResolvedOffer,
    client: ClientInstance | None,
    *,
    now: datetime | None,
    random: RandomBytes | None,
    memory: ClientMemory | None = None,
) -> ClientSession:
    """Return the talk of one flow. Raises ``ValueError`` for a client without time and randomness for its proofs."""
    if client is not None and (now is None or random is None):
        raise ValueError("a client needs time and randomness for its proofs")
    return ClientSession(client, offer.server, now or _NEVER, random or _no_random, memory or ClientMemory())


def _no_random(_length: int) -> bytes:
    raise ValueError("there is no client that needs randomness")


def refresh(talk: ClientSession, token: TokenResponse) -> Flow[TokenResponse]:
    """Return a new access token for the refresh token of ``token``, which stays good if no other came (RFC 6749 6).

    Raises:
        ValueError: there is no refresh token.
        PeerRefusal: the server refused; ``invalid_grant`` means that the person must log in again.
        MalformedError: the answer breaks a rule.
    """
    if token.refresh_token is None:
        raise ValueError("there is no refresh token")
    fields = {"grant_type": spec.GRANT_REFRESH_TOKEN, "refresh_token": token.refresh_token}
    response = yield from talk.post_form(talk.server.token_endpoint, fields)
    fresh = parse_token_response(response, bound=talk.uses_dpop)
    # RFC 6749 6: a new refresh token replaces the old one; identifiers stay those of the first answer.
    return replace(
        fresh,
        refresh_token=fresh.refresh_token or token.refresh_token,
        credential_identifiers=fresh.credential_identifiers or token.credential_identifiers,
    )


@dataclass(slots=True)
class _Access:
    """An access token in use: renewed where the issuer takes it no more. ``keep`` as its type says, or None."""

    talk: ClientSession
    token: TokenResponse
    keep: Keep | None

    def send(self, request: HttpRequest) -> Flow[HttpResponse]:
        """Send a request, and once more with a renewed token. Raises as :func:`refresh` does."""
        response = yield from self.talk.send(request, self.token)
        if response.status == 401 and self.token.refresh_token is not None and self.keep is not None:
            self.token = yield from refresh(self.talk, self.token)
            # RFC 6749 6: the server may have revoked the refresh token before it.
            self.keep(self.token)
            response = yield from self.talk.send(request, self.token)
        return response


def validate_keys(offer: ResolvedOffer, keys: Keys) -> None:
    """Refuse keys that do not fit what is offered. Raises ``ValueError``."""
    if not keys or not set(keys) <= set(offer.offer.configuration_ids):
        raise ValueError("keys are for configurations of the offer, at least one")
    for name, group in keys.items():
        configuration = offer.issuer.configurations[name]
        # OpenID4VCI 8.2: at most batch_size proofs, and at least one where the configuration asks for proofs.
        # vci-8.2-batch-limit-wallet
        if not (1 if configuration.needs_proof else 0) <= len(group) <= offer.issuer.batch_size:
            raise ValueError(f"{name} takes 1 to {offer.issuer.batch_size} keys")
        algorithms = require_proof_way(configuration).algorithms if configuration.needs_proof else ()
        if any(key.algorithm.value not in algorithms for key in group):
            raise ValueError(f"a key for {name} is of an algorithm that the issuer does not take")


def request_nonce(offer: ResolvedOffer, talk: ClientSession) -> Flow[Nonce | None]:
    """Return a ``c_nonce``; None if the issuer needs none."""
    # OpenID4VCI 12.2.4: without a Nonce Endpoint no c_nonce is needed.
    if offer.issuer.nonce_endpoint is None:
        return None
    # OpenID4VCI 7.1: POST without body and without access token.
    request = HttpRequest("POST", offer.issuer.nonce_endpoint, {"Accept": spec.JSON})
    return messages.parse_nonce_response((yield from talk.send_open(request)))


def proofs_to_sign(
    offer: ResolvedOffer, token: TokenResponse, keys: Keys, nonce: Nonce | None, talk: ClientSession
) -> ProofsToSign:
    """Return what the holder's keys must sign, and which need a key attestation before."""
    proofs, attested = _prepare(offer, keys, nonce, talk.now)
    return ProofsToSign(offer, token, tuple(keys), proofs, attested=attested, memory=talk.memory)


def _prepare(
    offer: ResolvedOffer, keys: Keys, nonce: Nonce | None, now: datetime
) -> tuple[tuple[ProofToSign, ...], tuple[KeysToAttest, ...]]:
    proofs, attested = list[ProofToSign](), list[KeysToAttest]()
    for name, group in keys.items():
        if not group:
            continue
        way = require_proof_way(offer.issuer.configurations[name])
        # OpenID4VCI 12.2.4: where the metadata demand a key attestation, a proof without one would be refused.
        # vci-12.2.4-attestation-demanded
        if way.attestation is not None:
            attested.append(KeysToAttest(name, tuple(group), nonce, way.attestation, way.is_signed))
        else:
            proofs.extend(_proof(offer, name, key, nonce, now) for key in group)
    return tuple(proofs), tuple(attested)


def _proof(
    offer: ResolvedOffer,
    name: CredentialConfigurationId,
    key: PublicKey,
    nonce: Nonce | None,
    now: datetime,
    *,
    attestation: str | None = None,
) -> ProofToSign:
    signing_input = proof_signing_input(
        key,
        audience=offer.issuer.credential_issuer,
        nonce=nonce,
        issued_at=now,
        key_attestation=attestation,
    )
    return ProofToSign(name, key, signing_input)


def _can_renew_nonce(pending: ProofsToSign) -> bool:
    # OpenID4VCI 7: a nonce comes from the Nonce Endpoint only. Without one invalid_nonce is a refusal like any other.
    return not pending.renewed and pending.offer.issuer.nonce_endpoint is not None


def _renew_nonce(pending: ProofsToSign, talk: ClientSession) -> Flow[ProofsToSign]:
    nonce = yield from request_nonce(pending.offer, talk)
    keys: dict[CredentialConfigurationId, list[PublicKey]] = {name: [] for name in pending.pending}
    for attested in pending.attested:
        keys[attested.configuration_id].extend(attested.keys)
    for proof in pending.proofs:
        keys[proof.configuration_id].append(proof.key)
    proofs, unattested = _prepare(pending.offer, keys, nonce, talk.now)
    return replace(pending, proofs=proofs, attested=unattested, renewed=True, memory=talk.memory)


def _proofs_of(pending: ProofsToSign, signatures: Iterable[bytes]) -> Mapping[CredentialConfigurationId, Sequence[str]]:
    """Return the proofs of each configuration: signed ones, or its one key attestation."""
    found: dict[CredentialConfigurationId, list[str]] = {}
    for proof, signature in zip(pending.proofs, signatures, strict=True):
        found.setdefault(proof.configuration_id, []).append(jws.attach_signature(proof.signing_input, signature))
    for keys in pending.attested:
        # OpenID4VCI F.3: an attestation array has exactly one element, and no key signs.
        if not keys.is_signed and keys.attestation is not None:
            found[keys.configuration_id] = [keys.attestation]
    return found


def _encryption(offer: ResolvedOffer) -> MessageEncryption | None:
    return choose_encryption(offer.issuer.request_encryption, offer.issuer.response_encryption)


def _credential_request(
    pending: ProofsToSign,
    name: CredentialConfigurationId,
    proofs: Sequence[str],
    encryption: MessageEncryption | None,
) -> HttpRequest:
    # OpenID4VCI 8.2: identifiers of the token response must be used where there are some.
    identifiers = pending.token.credential_identifiers.get(name, ())
    unsigned = any(keys.configuration_id == name and not keys.is_signed for keys in pending.attested)
    # vci-8.2-use-identifiers
    return messages.create_credential_request(
        pending.offer.issuer.credential_endpoint,
        pending.token.access_token,
        configuration_id=name,
        credential_identifier=identifiers[0] if identifiers else None,
        proofs=proofs,
        proof_type=spec.PROOF_TYPE_ATTESTATION if unsigned else spec.PROOF_TYPE_JWT,
        encryption=encryption,
    )


def _deferred_request(
    offer: ResolvedOffer, token: TokenResponse, deferred: DeferredCredential, encryption: MessageEncryption | None
) -> HttpRequest:
    return messages.create_deferred_request(
        _deferred_endpoint(offer), token.access_token, transaction_id=deferred.transaction_id, encryption=encryption
    )


def _deferred_endpoint(offer: ResolvedOffer) -> str:
    endpoint = offer.issuer.deferred_endpoint
    # OpenID4VCI 9: without the endpoint nothing can be deferred.
    # vci-12.2.4-deferred-endpoint
    if endpoint is None:
        raise MalformedError("the issuer defers, but has no deferred credential endpoint", clause="OpenID4VCI 9")
    return endpoint


def _file(
    offer: ResolvedOffer,
    name: CredentialConfigurationId,
    answer: CredentialResponse | Deferral,
    issued: list[IssuedBatch],
    deferred: list[DeferredCredential],
    *,
    keys: int,
) -> None:
    """Put an answer where it belongs."""
    if isinstance(answer, Deferral):
        _deferred_endpoint(offer)
        deferred.append(DeferredCredential(name, answer.transaction_id, answer.interval, max(keys, 1)))
        return
    # OpenID4VCI 8.3: never more credentials than keys.
    # vci-8.3-no-more-than-keys
    if len(answer.credentials) > max(keys, 1):
        raise MalformedError("the issuer sent more credentials than keys", clause="OpenID4VCI 8.3")
    issued.append(IssuedBatch(name, answer.credentials, answer.notification_id))
