"""Which key speaks for a relying party under the Client Identifier of a request (OpenID4VP 1.0 section 5.9.3)."""

from verifier.presentations.ports import PresentationPorts
from verifier.relying_parties.ports import ATTESTATION, PartyId
from wallet_core.keys.signer import CertifiedSigner
from wallet_core.protocols.openid4vp.asking import find_access_key
from wallet_core.protocols.openid4vp.client_id import ClientIdentifier, ClientIdPrefix
from wallet_core.protocols.openid4vp.verifier_attestation import read_own_attestation


def attestation_of(ports: PresentationPorts, party_id: PartyId, client_id: ClientIdentifier) -> str | None:
    """Return the party's attestation if the request is made under it."""
    if client_id.prefix is not ClientIdPrefix.VERIFIER_ATTESTATION:
        return None
    return ports.keys.statement(party_id, ATTESTATION)


def signing_key(ports: PresentationPorts, party_id: PartyId, client_id: ClientIdentifier | None) -> CertifiedSigner:
    """Return the access key that a request's Client Identifier names, which may have been rotated meanwhile.

    The current one where a request names nobody.

    Raises:
        KeyUnavailable: it is gone.
    """
    current = ports.keys.signing_key(party_id)
    if client_id is None:
        return current
    attestation = attestation_of(ports, party_id, client_id)
    return find_access_key(
        client_id,
        current,
        lambda: ports.keys.signing_keys(party_id),
        attested=None if attestation is None else read_own_attestation(attestation).key,
    )
