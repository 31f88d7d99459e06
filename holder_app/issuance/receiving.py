"""Redeem a code, prove possession of new keys, receive credentials and verify them.

Each step commits before it talks to another server and again after it, so that a crash anywhere leaves a row from
which the person goes on. No transaction is open while a server is waited for.
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from holder_app.accounts.ports import AccountId
from holder_app.credentials.ports import Card, CardCopy, Cards, History, RecordKind
from holder_app.credentials.refreshing import copies_wanted, next_refresh
from holder_app.credentials.use_cases import new_record
from holder_app.issuance.describe import configuration_display, describe_receipt
from holder_app.issuance.ports import Issuances
from holder_app.issuance.reissuing import grant_of
from holder_app.issuance.states import Failed, Issuance, IssuanceState, Preview, Redeeming, Reviewed, Signing
from holder_app.issuance.verification import VerifiedCredential, verify_issued
from holder_app.ports import Clock, Fetch, UnitOfWork
from wallet_core import spec_versions as spec
from wallet_core.catalogue import Catalogue
from wallet_core.errors import (
    FetchError,
    MalformedError,
    PeerRefusal,
    StateConflict,
    UntrustedError,
    VerificationError,
    WalletError,
)
from wallet_core.keys.algorithms import SignatureAlgorithm
from wallet_core.keys.jwk import thumbprint
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.protocols.openid4vci import wallet
from wallet_core.protocols.openid4vci.messages import NotificationEvent
from wallet_core.protocols.openid4vci.metadata import CredentialConfiguration
from wallet_core.protocols.openid4vci.pending import IssuedBatch, IssuedCredentials, ProofsToSign, ResolvedOffer
from wallet_core.trust.anchors import TrustAnchors
from wallet_core.trust.policy import IssuerPolicy
from wallet_core.types import CredentialConfigurationId, CredentialIssuerId, RandomBytes

ID_BYTES = 16
PREVIEWED = timedelta(hours=24)
"""How long received cards wait to be looked at."""
RETRY_AFTER = timedelta(seconds=30)
"""After this a code that seems to be on its way is sent again: three times the client's time limit."""
_TRIES_LEFT = re.compile(r"\b(\d{1,2}) (?:tries|try|attempts?) (?:are |is )?(?:left|remain)")


@dataclass(frozen=True, slots=True)
class IssuancePorts:
    """What the use cases of this package need."""

    unit: UnitOfWork
    issuances: Issuances
    cards: Cards
    history: History
    catalogue: Catalogue
    anchors: TrustAnchors
    fetch: Fetch
    clock: Clock
    random: RandomBytes
    issuers: IssuerPolicy


def claim(ports: IssuancePorts, issuance: Issuance) -> Issuance:
    """Mark that the code is on its way: of two windows, one gets through."""
    state, now = issuance.state, ports.clock.now()
    if isinstance(state, Redeeming) and now < state.since + RETRY_AFTER:
        raise StateConflict("this offer is being accepted at the moment")
    if not isinstance(state, Reviewed | Redeeming):
        raise StateConflict("the offer is not open")
    return advance(ports, issuance, Redeeming(state.offer, now, state.wrong_codes))


async def redeem(ports: IssuancePorts, issuance: Issuance, tx_code: str | None) -> Issuance:
    """Send the code with new keys in hand; ``Signing`` follows, or ``Reviewed`` after a wrong transaction code."""
    state = issuance.state
    if not isinstance(state, Redeeming):
        raise StateConflict("the offer is not open")
    code = (tx_code or "").strip() if state.offer.needs_tx_code else None
    if code == "":  # an empty form must not cost one of the tries
        return advance(ports, issuance, Reviewed(state.offer, state.wrong_codes))
    signers = _new_signers(state.offer, ports.catalogue)
    keys = {name: [signer.public_key for signer in group] for name, group in signers.items()}
    flow = wallet.request_proofs(state.offer, keys, tx_code=code, now=ports.clock.now())
    try:
        pending = await ports.fetch.arun(flow)
    except FetchError:
        advance(ports, issuance, Reviewed(state.offer, state.wrong_codes))
        raise
    except PeerRefusal as exc:
        return advance(ports, issuance, _after_refusal(state, exc))
    except MalformedError as exc:
        return _fail(ports, issuance, state.offer, Failed("bad_answer", exc.detail))
    return advance(ports, issuance, _signing(pending, [s for group in signers.values() for s in group]))


def _after_refusal(state: Redeeming, refusal: PeerRefusal) -> IssuanceState:
    """Tell a wrong transaction code, after which there may be another try, from a dead or used one."""
    # OpenID4VCI 6.3: invalid_grant for a wrong transaction code and for a dead code alike; the words differ.
    tries = _TRIES_LEFT.search(refusal.error_description)
    wrong_code = "transaction code" in refusal.error_description.lower() or "tx_code" in refusal.error_description
    if refusal.error == "invalid_grant" and state.offer.needs_tx_code and (tries or wrong_code):
        tries_left = int(tries[1]) if tries else None
        if tries_left != 0:
            return Reviewed(state.offer, state.wrong_codes + 1, tries_left)
    return Failed("code_gone" if refusal.error == "invalid_grant" else "refused", refusal.description)


async def receive(ports: IssuancePorts, issuance: Issuance) -> Issuance:
    """Sign the proofs, ask for the credentials and verify them; ``Preview`` follows, or ``Failed``."""
    while isinstance(state := issuance.state, Signing):
        signatures = [
            signer.sign(proof.signing_input) for proof, signer in zip(state.pending.proofs, state.signers, strict=True)
        ]
        flow = wallet.receive_credentials(state.pending, signatures, now=ports.clock.now())
        try:
            answer = await ports.fetch.arun(flow)
        except (PeerRefusal, MalformedError) as exc:
            return _fail(ports, issuance, state.pending.offer, Failed("refused", exc.detail))
        if isinstance(answer, ProofsToSign):
            issuance = advance(ports, issuance, _signing(answer, state.signers))
        else:
            issuance = await _verify(ports, issuance, answer, state.signers)
    return issuance


async def _verify(
    ports: IssuancePorts, issuance: Issuance, issued: IssuedCredentials, signers: tuple[SoftwareSigner, ...]
) -> Issuance:
    now = ports.clock.now()
    by_thumbprint = {thumbprint(signer.public_key): signer for signer in signers}
    try:
        found = (_card(ports, issuance.account_id, issued, batch, by_thumbprint) for batch in issued.batches)
        cards = tuple(card for card in found if card is not None)
    except (VerificationError, MalformedError) as exc:
        reason = "untrusted" if isinstance(exc, UntrustedError) else "bad_credential"
        failed = _fail(ports, issuance, issued.offer, Failed(reason, exc.detail))
        await notify(ports, issued, NotificationEvent.CREDENTIAL_FAILURE)
        return failed
    if not cards:
        return _fail(ports, issuance, issued.offer, Failed("refused", "the issuer sent no credential"))
    return advance(ports, issuance, Preview(issued, cards), until=now + PREVIEWED)


def _card(
    ports: IssuancePorts,
    account_id: AccountId,
    issued: IssuedCredentials,
    batch: IssuedBatch,
    signers: Mapping[bytes, SoftwareSigner],
) -> Card | None:
    """Return the card of one batch, every copy verified. No two copies may share a key."""
    issuer, now = issued.offer.offer.credential_issuer, ports.clock.now()
    configuration = issued.offer.issuer.configurations[batch.configuration_id]
    copies = [
        verify_issued(
            text,
            issuer=issuer,
            configuration=configuration,
            signers=signers,
            anchors=ports.anchors,
            now=now,
            issuers=ports.issuers,
        )
        for text in batch.credentials
    ]
    # OpenID4VCI 8.3: at most one credential per key.
    if len({thumbprint(copy.signer.public_key) for copy in copies}) != len(copies):
        raise VerificationError("two copies are bound to one key", clause="OpenID4VCI 8.3")
    if not copies:
        return None
    card = _new_card(ports, account_id, issuer, configuration, copies)
    kept = replace(card, grant=grant_of(issued, batch, None, None))
    return replace(kept, refresh_at=next_refresh(kept, now, ports.random))


def _new_card(
    ports: IssuancePorts,
    account_id: AccountId,
    issuer: CredentialIssuerId,
    configuration: CredentialConfiguration,
    copies: Sequence[VerifiedCredential],
) -> Card:
    first = copies[0]
    ends = [copy.expires_at for copy in copies if copy.expires_at is not None]
    return Card(
        ports.random(ID_BYTES).hex(),
        account_id,
        configuration.id,
        configuration.format,
        first.type,
        issuer,
        first.certificate.name,
        ports.clock.now(),
        min(ends) if ends else None,
        configuration_display(configuration),
        tuple(CardCopy(ports.random(ID_BYTES).hex(), copy.text, copy.signer) for copy in copies),
    )


def is_supported(configuration: CredentialConfiguration) -> bool:
    """Return whether this wallet can receive the configuration: a format it knows, proven by an ES256 ``jwt`` proof."""
    algorithms = configuration.proof_algorithms or ()
    known = (spec.FORMAT_SD_JWT_VC, spec.FORMAT_MDOC)
    return configuration.format in known and SignatureAlgorithm.ES256.value in algorithms


def advance(
    ports: IssuancePorts, issuance: Issuance, state: IssuanceState, *, until: datetime | None = None
) -> Issuance:
    """Store the next state in a transaction of its own. Raises ``StateConflict`` if somebody else was first."""
    with ports.unit:
        return ports.issuances.advance(issuance, state, until=until)


async def notify(ports: IssuancePorts, issued: IssuedCredentials, event: NotificationEvent) -> None:
    """Tell the issuer what became of its credentials. What it answers changes nothing for the person."""
    with suppress(WalletError):
        await ports.fetch.arun(wallet.notify(issued, event))


def _new_signers(offer: ResolvedOffer, catalogue: Catalogue) -> dict[CredentialConfigurationId, list[SoftwareSigner]]:
    """Return fresh P-256 keys, one for each copy of each card."""
    return {
        configuration.id: [SoftwareSigner.generate() for _ in range(_copies(offer, configuration, catalogue))]
        for configuration in offer.configurations
        if is_supported(configuration)
    }


def _copies(offer: ResolvedOffer, configuration: CredentialConfiguration, catalogue: Catalogue) -> int:
    """Return how many copies to ask for: as many as the wallet holds, and no more than the issuer gives at once."""
    type_ = configuration.document.get("doctype" if configuration.format == spec.FORMAT_MDOC else "vct", "")
    return min(offer.issuer.batch_size, copies_wanted(configuration.format, str(type_), catalogue))


def _signing(pending: ProofsToSign, signers: Sequence[SoftwareSigner]) -> Signing:
    """Put the keys in the order in which the proofs ask for them."""
    by_thumbprint = {thumbprint(signer.public_key): signer for signer in signers}
    return Signing(pending, tuple(by_thumbprint[thumbprint(proof.key)] for proof in pending.proofs))


def _fail(ports: IssuancePorts, issuance: Issuance, offer: ResolvedOffer, state: Failed) -> Issuance:
    """Store that it cannot go on, and why, in the history too."""
    kind = RecordKind.BLOCKED if state.reason in {"untrusted", "bad_credential"} else RecordKind.FAILED
    body = {**describe_receipt(offer, (), ports.catalogue), "reason": state.reason}
    with ports.unit:
        failed = ports.issuances.advance(issuance, state)
        ports.history.add(new_record(ports.random, issuance.account_id, kind, ports.clock.now(), body))
    return failed
