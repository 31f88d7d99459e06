"""Who asks: the client of a PAR or token request, and the offer behind an access token (RFC 6749 3.2.1, RFC 6750).

The one place where client authentication and sender-constrained tokens join: everything that is known of a client is in
a :class:`Client`, and every endpoint that takes an access token asks :func:`authorized_offer`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache

from issuer.agencies.ports import Agency
from issuer.issuance.ports import IssuancePorts, Offer, Storage, UsedProof
from issuer.issuance.use_cases.races import look
from wallet_core import spec_versions as spec
from wallet_core.errors import (
    InvalidClient,
    InvalidClientAttestation,
    InvalidDpopProof,
    InvalidRequest,
    InvalidToken,
    UntrustedAttestation,
)
from wallet_core.http import ReceivedRequest
from wallet_core.protocols.oauth2.client_attestation import (
    AttestedClient,
    claimed_client_id,
    create_challenge,
    create_challenge_response,
    verify_challenge,
    verify_client_attestation,
)
from wallet_core.protocols.oauth2.clients import RegisteredClient
from wallet_core.protocols.oauth2.dpop import DpopProof, create_dpop_nonce, verify_dpop_nonce, verify_dpop_proof
from wallet_core.protocols.oauth2.token import DPOP, AccessToken, parse_access_token
from wallet_core.protocols.openid4vci.issuance import Authorized, Issued, digest
from wallet_core.types import ClientId, JsonObject, RandomBytes

_DPOP = spec.HEADER_DPOP.lower()
_ATTESTATION = spec.HEADER_CLIENT_ATTESTATION.lower()
_POP = spec.HEADER_CLIENT_ATTESTATION_POP.lower()


@dataclass(frozen=True, slots=True)
class Client:
    """Who sent a request, as far as it was proved.

    Attributes:
        client_id: which client; None for an anonymous one, which may only redeem a pre-authorized code.
        instance: thumbprint of the attested client instance key; None for a public client, which proves nothing.
        dpop: thumbprint of the DPoP key; None without a DPoP proof.
        proofs: what it proved this with; to be spent with what the request stores (:func:`spend_proofs`).
    """

    client_id: ClientId | None = None
    instance: bytes | None = None
    dpop: bytes | None = None
    proofs: tuple[UsedProof, ...] = ()


def identify_client(
    ports: IssuancePorts, agency: Agency, received: ReceivedRequest, parameters: Mapping[str, str]
) -> Client:
    """Return who sent a PAR or token request. A public client is believed its ``client_id``, and bound to nothing.

    So is, at an agency that serves public clients, a wallet whose provider is not known here.

    Raises:
        InvalidClient: the agency serves only wallets of the high-assurance profile, and this one did not prove itself;
            it sent a password; or what it proves is wrong (also ``InvalidClientAttestation``,
            ``UseAttestationChallenge``, ``UseFreshAttestation``).
        InvalidRequest: a wallet that proves itself and that nobody registered (M16).
        InvalidDpopProof: the DPoP proof is not for this request (also ``UseDpopNonce``).
    """
    _refuse_password(received)
    client = _authenticate(ports, agency, received, parameters)
    # HAIP 4.4: client authentication at PAR and at the token endpoint.
    # haip-4.4-client
    if agency.haip and client.instance is None:
        raise InvalidClient("client attestation is required here", clause="HAIP 4.4")
    return client


def require_dpop(agency: Agency, client: Client) -> None:
    """Check that a token request that must bring a DPoP proof did (HAIP 4.3: tokens are sender-constrained).

    A pushed request may name the key by ``dpop_jkt`` instead, or not yet.

    Raises:
        InvalidDpopProof: it did not.
    """
    # dpop-HAIP4.3-required
    if agency.haip and client.dpop is None:
        raise InvalidDpopProof("a DPoP proof is required here", clause="HAIP 4.3")


def spend_proofs(storage: Storage, client: Client) -> None:
    """Record, in the transaction of what a request stores, that the proofs of its client were used.

    Raises:
        InvalidDpopProof, InvalidClientAttestation: one was used before.
    """
    for proof in client.proofs:
        storage.proofs.spend(proof)


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
    found = (_listed_client(ports, client_id) if proved else None) or ports.clients.get(client_id)
    # oauth-M16-unknown
    if found is None and proved:
        raise InvalidRequest("this wallet is not registered here")
    # RFC 6749 5.2: "unknown client, no client authentication included".
    # oauth-6749.5.2-client
    if found is None or not (found.public or proved):
        raise InvalidClient("the client is unknown, or did not authenticate", clause="RFC 6749 5.2")
    return found


def create_attestation_challenge(ports: IssuancePorts) -> str:
    """Return a challenge for client attestations. It is good at every agency; nothing is written (M13)."""
    return _challenge(ports.secrets.challenge, int(ports.clock.now().timestamp()), ports.random)


def answer_challenge_request(ports: IssuancePorts) -> JsonObject:
    """Answer a request at the challenge endpoint (attestation-based client authentication 8.1)."""
    return create_challenge_response(create_attestation_challenge(ports))


def create_nonce_for_dpop(ports: IssuancePorts) -> str:
    """Return a DPoP nonce. It is good at every endpoint of every agency; nothing is written (M3)."""
    return _dpop_nonce(ports.secrets.dpop_nonce, int(ports.clock.now().timestamp()), ports.random)


# Both say when they were made and nothing else, neither is used up, and every answer brings one: the answers of one
# worker in one second bring the same.
@lru_cache(maxsize=16)
def _dpop_nonce(secret: bytes, second: int, random: RandomBytes) -> str:
    return create_dpop_nonce(secret, now=datetime.fromtimestamp(second, UTC), random=random)


@lru_cache(maxsize=16)
def _challenge(secret: bytes, second: int, random: RandomBytes) -> str:
    return create_challenge(secret, now=datetime.fromtimestamp(second, UTC), random=random)


def authorized_offer(ports: IssuancePorts, agency: Agency, received: ReceivedRequest) -> Offer:
    """Return the offer that the access token of a request opens, at this issuer.

    Its ``proof`` is spent by whatever is stored of it (``Offers.advance``, ``Offers.keep``).

    Not done here: whether the token has expired; the transitions of the offer's state look at that.

    Raises:
        InvalidToken: no token, one that this issuer did not give out, or one bound to a key that was not proved.
        InvalidDpopProof: the DPoP proof is not for this request (also ``UseDpopNonce``).
    """
    access = parse_access_token(received.all("authorization"))
    offer = look(ports, lambda storage: storage.offers.find_by_token(agency.id, digest(access.token)))
    # RFC 6750 3.1: a token of another issuer is as unknown as any other.
    # oauth-6750.3.1-unknown
    if offer is None:
        raise InvalidToken("the access token is unknown", clause="RFC 6750 3.1")
    bound_to = offer.state.holder.dpop if isinstance(offer.state, Authorized | Issued) else None
    # RFC 9449 7.2: a token that is bound to a DPoP key is no Bearer token, and one that is not, is no DPoP token.
    # oauth-9449.7.2-bearer
    if (bound_to is not None) != (access.scheme == DPOP):
        raise InvalidToken("the access token is of the other type", clause="RFC 9449 7.2")
    return offer if bound_to is None else replace(offer, proof=_proved(ports, received, access, bound_to))


def _authenticate(
    ports: IssuancePorts, agency: Agency, received: ReceivedRequest, parameters: Mapping[str, str]
) -> Client:
    """Return what a request proves: by its attestation headers who it is, by its DPoP header which key it has."""
    now, client_id = ports.clock.now(), parameters.get("client_id")
    client = Client(None if client_id is None else ClientId(client_id))
    if received.all(_ATTESTATION) or received.all(_POP):
        try:
            client = _attested(ports, agency, received, client_id, now)
        except UntrustedAttestation:
            # A wallet whose provider nobody here knows proves nothing; where that is not asked for, it need not.
            # haip-4.4-unknown-provider
            if agency.haip:
                raise
            claimed = claimed_client_id(received.all(_ATTESTATION))
            client = client if client.client_id is not None else Client(claimed)
    if received.all(_DPOP):
        proof = _dpop_proof(ports, received, None, now)
        client = replace(client, dpop=proof.thumbprint, proofs=(*client.proofs, _used(proof)))
    return client


def _refuse_password(received: ReceivedRequest) -> None:
    """Check that nobody tries HTTP Basic, which no client here has a password for."""
    # RFC 6749 5.2: 401 with a challenge of "the authentication scheme used by the client".
    # oauth-6749.5.2-basic
    if any(value.partition(" ")[0].lower() == "basic" for value in received.all("authorization")):
        raise InvalidClient(
            "clients do not authenticate by a password here",
            clause="RFC 6749 5.2",
            headers={"WWW-Authenticate": 'Basic realm="issuer"'},
        )


def _attested(
    ports: IssuancePorts, agency: Agency, received: ReceivedRequest, client_id: str | None, now: datetime
) -> Client:
    found = verify_client_attestation(
        received.all(_ATTESTATION),
        received.all(_POP),
        audience=agency.credential_issuer,
        now=now,
        trust=ports.wallet_providers(),
        verify_challenge=lambda challenge: verify_challenge(challenge, ports.secrets.challenge, now=now),
        client_id=client_id,
    )
    _check_listed(ports, found)
    replayed = InvalidClientAttestation("the proof of possession was used before")
    return Client(found.client_id, found.instance, None, (UsedProof(found.spent, found.expires_at, replayed),))


def _check_listed(ports: IssuancePorts, found: AttestedClient) -> None:
    """Check that the provider may speak for the wallet: by a list, or, below a root chosen by hand, by registration."""
    if found.wallet is not None:
        return
    by_list = found.provider.anchor_sha256 in ports.wallet_providers().listed
    # abca-M16-unlisted
    if by_list or found.client_id not in ports.clients:
        raise InvalidRequest("this wallet is not registered here")


def _listed_client(ports: IssuancePorts, client_id: ClientId) -> RegisteredClient | None:
    """Return the client of a trust list's entry that is in force."""
    now = ports.clock.now()
    for entry in ports.wallet_providers().wallets.get(client_id, ()):
        wallet = entry.wallet
        if now < entry.fresh_until and wallet.period.holds(now):
            some = next(iter(wallet.name.values()))
            names = (wallet.name.get("ko", some), wallet.name.get("en", some))
            return RegisteredClient(client_id, *names, wallet.redirect_uris, public=False)
    return None


def _proved(ports: IssuancePorts, received: ReceivedRequest, access: AccessToken, bound_to: bytes) -> UsedProof:
    """Return the DPoP proof that came with a token, which must be by the key that the token is bound to."""
    proof = _dpop_proof(ports, received, access.token, ports.clock.now())
    # RFC 9449 4.3 (12), 7.1: "confirm that the public key to which the access token is bound matches".
    # dpop-9449.7.1-key
    if proof.thumbprint != bound_to:
        raise InvalidToken("the access token is bound to another DPoP key", clause="RFC 9449 7.1")
    return _used(proof, at_resource_server=True)


def _dpop_proof(ports: IssuancePorts, received: ReceivedRequest, token: str | None, now: datetime) -> DpopProof:
    return verify_dpop_proof(
        received.all(_DPOP),
        method=received.method,
        url=received.url,
        now=now,
        verify_nonce=lambda nonce: verify_dpop_nonce(nonce, ports.secrets.dpop_nonce, now=now),
        access_token=token,
    )


def _used(proof: DpopProof, *, at_resource_server: bool = False) -> UsedProof:
    # RFC 9449 11.1: a proof is taken once, whichever worker sees it first.
    replayed = InvalidDpopProof("the DPoP proof was used before", clause="RFC 9449 11.1")
    error = replayed.at_resource_server() if at_resource_server else replayed
    return UsedProof(proof.spent, proof.expires_at, error)
