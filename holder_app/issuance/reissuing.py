"""Fetching new copies of a card with its grant, without the person: flows of OpenID4VCI (RFC 6749 6, OpenID4VCI 8)."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from holder_app.credentials.ports import Card, CardCopy, Grant, NewCopies
from holder_app.issuance.describe import configuration_display
from holder_app.issuance.proving import attest_keys, by_thumbprint, sign_proofs
from holder_app.issuance.verification import NoAnchor, anchor_purpose, verify_copies
from holder_app.ports import Fetch
from holder_app.provider.ports import WalletProvider
from wallet_core.errors import NotSupported, VerificationError, WalletError
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.ports import Clock
from wallet_core.protocols.oauth2.client import ClientInstance
from wallet_core.protocols.oauth2.token import BEARER, DPOP, TokenResponse
from wallet_core.protocols.openid4vci import wallet
from wallet_core.protocols.openid4vci.messages import NotificationEvent
from wallet_core.protocols.openid4vci.pending import IssuedCredentials, ProofsToSign, ResolvedOffer
from wallet_core.protocols.openid4vci.resolving import resolve_again
from wallet_core.protocols.openid4vci.signed_metadata import metadata_trust
from wallet_core.trust.anchors import TrustAnchors
from wallet_core.trust.policy import IssuerPolicy
from wallet_core.types import RandomBytes

ID_BYTES = 16

_NO_ACCESS = "-"
"""In place of an access token: the stored one ended long ago."""


@dataclass(frozen=True, slots=True)
class FlowReissuer:
    """Fulfils ``credentials.ports.Reissuer`` with flows. ``provider`` is None for a wallet that nobody attests."""

    flows: Fetch
    anchors: TrustAnchors
    issuers: IssuerPolicy | None
    clock: Clock
    random: RandomBytes
    provider: WalletProvider | None = None

    async def fetch(self, card: Card, grant: Grant, count: int, keep: Callable[[Grant], None]) -> NewCopies:
        """Return up to ``count`` new copies of the card, each verified.

        Raises:
            PeerRefusal, FetchError, MalformedError, VerificationError: as the port says.
            NoAnchor: what comes could not be verified, so nothing is asked for.
            NotSupported: the issuer decides later; it is asked again another time.
        """
        if not self.anchors.certificates(purpose := anchor_purpose(card.format)):
            raise NoAnchor("this wallet trusts nobody to issue", detail=f"no anchor for {purpose}")
        client = self._client(grant)
        now = self.clock.now()
        offer = await self.flows.arun(
            resolve_again(
                grant.issuer,
                grant.configuration_id,
                authorization_server=grant.authorization_server,
                trust=metadata_trust(self.anchors, at=now),
            )
        )
        old = _token(grant)
        token, memory = await self.flows.arun(wallet.refresh_access(offer, old, client, now=now, random=self.random))
        if token.refresh_token is not None and token.refresh_token != grant.refresh_token:
            keep(replace(grant, refresh_token=token.refresh_token))
        signers = [SoftwareSigner.generate() for _ in range(max(1, min(count, offer.issuer.batch_size)))]
        keys = {grant.configuration_id: [signer.public_key for signer in signers]}
        pending = await self.flows.arun(
            wallet.request_more_proofs(offer, token, keys, client, now=now, random=self.random, memory=memory)
        )
        fresh = by_thumbprint(signers)
        issued = await self._receive(pending, fresh, client)
        return self._verified(card, offer, issued, fresh, client)

    async def _receive(
        self, pending: ProofsToSign, signers: Mapping[bytes, SoftwareSigner], client: ClientInstance | None
    ) -> IssuedCredentials:
        while True:
            pending = attest_keys(pending, self.provider, now=self.clock.now())
            signatures = sign_proofs(pending, signers)
            answer = await self.flows.arun(
                wallet.receive_credentials(pending, signatures, now=self.clock.now(), client=client, random=self.random)
            )
            if isinstance(answer, IssuedCredentials):
                return answer
            pending = answer

    def _verified(
        self,
        card: Card,
        offer: ResolvedOffer,
        issued: IssuedCredentials,
        signers: Mapping[bytes, SoftwareSigner],
        client: ClientInstance | None,
    ) -> NewCopies:
        configuration = offer.issuer.configurations[card.configuration_id]
        if not issued.batches:
            raise NotSupported("the issuer decides later about new copies")
        copies = verify_copies(
            [text for batch in issued.batches for text in batch.credentials],
            issuer=card.issuer,
            configuration=configuration,
            signers=signers,
            anchors=self.anchors,
            now=self.clock.now(),
            issuers=self.issuers,
        )
        # An issuer that changes what a configuration is does not change what the person holds.
        if any(copy.type != card.type for copy in copies):
            raise VerificationError("the new copies are of another type than the card", clause="OpenID4VCI 8.3")
        ends = [copy.expires_at for copy in copies if copy.expires_at is not None]
        return NewCopies(
            tuple(CardCopy(self.random(ID_BYTES).hex(), copy.text, copy.signer) for copy in copies),
            min(ends) if ends else None,
            copies[0].certificate.name,
            configuration_display(configuration),
            lambda: self._accepted(issued, client),
        )

    async def _accepted(self, issued: IssuedCredentials, client: ClientInstance | None) -> None:
        event, now = NotificationEvent.CREDENTIAL_ACCEPTED, self.clock.now()
        with suppress(WalletError):
            await self.flows.arun(wallet.notify(issued, event, now=now, client=client, random=self.random))

    def _client(self, grant: Grant) -> ClientInstance | None:
        if grant.client_id is None or grant.instance is None:
            return None
        key = grant.instance.public_key
        attestation = None if self.provider is None else self.provider.attest_instance(key)
        return ClientInstance(grant.client_id, grant.redirect_uri, grant.instance, attestation)


def _token(grant: Grant) -> TokenResponse:
    named = grant.credential_identifiers
    identifiers: dict[str, tuple[str, ...]] = {grant.configuration_id: named} if named else {}
    return TokenResponse(_NO_ACCESS, None, identifiers, DPOP if grant.is_bound else BEARER, grant.refresh_token)
