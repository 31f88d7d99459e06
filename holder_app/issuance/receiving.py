"""Redeem a code, prove possession of new keys, receive credentials and verify them.

Each step commits before it talks to another server and again after it, so that a crash anywhere leaves a row from
which the person goes on. No transaction is open while a server is waited for.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from holder_app.accounts.ports import AccountId
from holder_app.credentials.ports import Card, CardCopy, Cards, Grant, History, HistoryRecord, RecordKind
from holder_app.credentials.refreshing import copies_wanted, next_refresh
from holder_app.credentials.use_cases import new_record
from holder_app.issuance.describe import configuration_display, describe_receipt
from holder_app.issuance.ports import Issuances, Logins, Reminders
from holder_app.issuance.proving import attest_keys, by_thumbprint, sign_proofs
from holder_app.issuance.states import (
    Failed,
    Issuance,
    IssuanceState,
    Preview,
    Reason,
    Redeeming,
    Reviewed,
    Signing,
    Waiting,
)
from holder_app.issuance.verification import VerifiedCredential, anchor_purpose, verify_copies
from holder_app.ports import UNDER_WAY, Fetch
from holder_app.provider.ports import WalletProvider
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
from wallet_core.keys.algorithms import PublicKey, SignatureAlgorithm
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.ports import Clock, UnitOfWork
from wallet_core.protocols.oauth2.client import ClientInstance
from wallet_core.protocols.oauth2.token import TokenResponse
from wallet_core.protocols.openid4vci import wallet
from wallet_core.protocols.openid4vci.messages import NotificationEvent
from wallet_core.protocols.openid4vci.metadata import CredentialConfiguration
from wallet_core.protocols.openid4vci.pending import IssuedBatch, IssuedCredentials, ProofsToSign, ResolvedOffer
from wallet_core.protocols.openid4vci.proof_way import choose_proof_way
from wallet_core.trust.anchors import AnchorPurpose, TrustAnchors
from wallet_core.trust.policy import IssuerPolicy
from wallet_core.types import ClientId, CredentialConfigurationId, CredentialIssuerId, JsonObject, RandomBytes

ID_BYTES = 16
PREVIEWED = timedelta(hours=24)
"""How long received cards wait to be looked at, or for those that come with them."""

WAITED = timedelta(days=90)
"""How long an agency is waited for."""
MAX_WRONG_CODES = 5
"""Transaction codes after which the wallet stops asking, where the issuer does not say how many tries are left."""
_TRIES_LEFT = re.compile(r"\b(\d{1,2}) (?:tries|try|attempts?) (?:are |is )?(?:left|remain)")
_OFFER_GONE = re.compile(r"\b(?:used|expired|unknown|revoked|no longer)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ClientIdentity:
    """As whom this wallet talks to authorization servers.

    Attributes:
        client_id: the same for everybody.
        redirect_uri: where they send the browser back.
        instance_key: gives the key of a person at an issuer, always the same one, and another at every issuer (M15).
        issuers: Credential Issuers to offer beside those of the trust lists.
    """

    client_id: ClientId
    redirect_uri: str
    instance_key: Callable[[AccountId, CredentialIssuerId], SoftwareSigner]
    issuers: tuple[CredentialIssuerId, ...] = ()


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
    logins: Logins
    reminders: Reminders
    identity: ClientIdentity
    provider: WalletProvider | None = None


def client_of(ports: IssuancePorts, account_id: AccountId, offer: ResolvedOffer) -> ClientInstance:
    """Return this person's instance at the issuer of an offer, freshly attested where this wallet attests.

    Raises:
        KeyUnavailable: the provider's key cannot be used now.
    """
    # haip-4.4.1-per-issuer
    signer = ports.identity.instance_key(account_id, offer.offer.credential_issuer)
    # Made anew for each flow: it costs one signature, and none is ever shown at two issuers (HAIP 4.4.1).
    attestation = ports.provider.attest_instance(signer.public_key) if ports.provider is not None else None
    return ClientInstance(ports.identity.client_id, ports.identity.redirect_uri, signer, attestation)


def claim(ports: IssuancePorts, issuance: Issuance) -> Issuance:
    """Mark that the code is on its way: of two windows, one gets through."""
    state, now = issuance.state, ports.clock.now()
    if isinstance(state, Redeeming) and now < state.since + UNDER_WAY:
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
    signers = new_signers(ports, state.offer)
    try:
        client = client_of(ports, issuance.account_id, state.offer)
        flow = wallet.request_proofs(
            state.offer,
            public_keys(signers),
            tx_code=code,
            now=ports.clock.now(),
            client=client,
            random=ports.random,
        )
        pending = await ports.fetch.arun(flow)
    except FetchError:
        advance(ports, issuance, Reviewed(state.offer, state.wrong_codes))
        raise
    except PeerRefusal as exc:
        return advance(ports, issuance, _after_refusal(state, exc))
    except MalformedError as exc:
        return fail(ports, issuance, state.offer, Failed(Reason.BAD_ANSWER, exc.detail))
    return advance(ports, issuance, signing(pending, signers))


def _after_refusal(state: Redeeming, refusal: PeerRefusal) -> IssuanceState:
    """Tell a wrong transaction code, after which there may be another try, from a code that is gone."""
    if refusal.error != "invalid_grant":
        return Failed(Reason.REFUSED, refusal.description)
    # OpenID4VCI 6.3: one error for a wrong transaction code and for a code that is gone, and words are optional. In
    # doubt the person may have mistyped: another try costs nothing, for the issuer counts them too.
    # vci-6.3-try-again
    words, wrong_codes = refusal.error_description, state.wrong_codes + 1
    tries = _TRIES_LEFT.search(words)
    tries_left = int(tries[1]) if tries else None
    gone = tries is None and (_OFFER_GONE.search(words) is not None or wrong_codes >= MAX_WRONG_CODES)
    if not state.offer.needs_tx_code or gone or tries_left == 0:
        return Failed(Reason.CODE_GONE, refusal.description)
    return Reviewed(state.offer, wrong_codes, tries_left)


async def receive(ports: IssuancePorts, issuance: Issuance) -> Issuance:
    """Have the keys attested where that is asked for, sign the proofs, ask for the credentials and verify them.

    ``Preview`` follows, ``Waiting`` where the agency decides later, or ``Failed``.

    Raises:
        StateConflict: another window was first.
        FetchError: a server was not reached; it can be tried again.
        KeyUnavailable: a key of the wallet provider cannot be used now.
    """
    while isinstance(state := issuance.state, Signing):
        issuance = await _ask(ports, issuance, state)
    return issuance


async def _ask(ports: IssuancePorts, issuance: Issuance, state: Signing) -> Issuance:
    """Sign and ask once; ``Signing`` again where a nonce was too old, or the issuer gone after something had come."""

    def keep(token: TokenResponse) -> None:
        nonlocal issuance
        issuance = advance(ports, issuance, Signing(replace(state.pending, token=token), state.signers))

    try:
        pending = attest_keys(state.pending, ports.provider, now=ports.clock.now())
        flow = wallet.receive_credentials(
            pending,
            sign_proofs(pending, by_thumbprint(state.signers)),
            keep=keep,
            now=ports.clock.now(),
            client=client_of(ports, issuance.account_id, pending.offer),
            random=ports.random,
        )
        answer = await ports.fetch.arun(flow)
    except (PeerRefusal, MalformedError, VerificationError) as exc:
        return fail(ports, issuance, state.pending.offer, Failed(Reason.REFUSED, exc.detail))
    if isinstance(answer, ProofsToSign):
        until = ports.clock.now() + PREVIEWED if answer.issued else None
        return advance(ports, issuance, Signing(answer, state.signers), until=until)
    return await _verify(ports, issuance, answer, state.signers)


async def _verify(
    ports: IssuancePorts, issuance: Issuance, issued: IssuedCredentials, signers: tuple[SoftwareSigner, ...]
) -> Issuance:
    came = await verify_batches(ports, issuance, issued, signers)
    if isinstance(came, Issuance):
        return came
    now, good = ports.clock.now(), came.good
    if came.cards:
        moved = advance(ports, issuance, Preview(good, came.cards, signers), until=now + PREVIEWED)
    elif good.deferred:
        told = not_received(ports, issuance.account_id, good.offer, came.lack.reason) if good.failures else None
        moved = wait(ports, issuance, Waiting(good, signers, now, now + interval_of(good)), told=told)
    else:
        moved = fail(ports, issuance, good.offer, came.lack)
    await notify(ports, issuance.account_id, came.bad, NotificationEvent.CREDENTIAL_FAILURE)
    return moved


@dataclass(frozen=True, slots=True)
class JudgedBatches:
    """What came, each batch judged alone.

    Attributes:
        good: without the batches that do not verify, which stand in its ``failures``.
        cards: of the batches in ``good``.
        bad: the other batches alone.
    """

    good: IssuedCredentials
    cards: tuple[Card, ...]
    bad: IssuedCredentials

    @property
    def lack(self) -> Failed:
        """Why something did not come, where something did not.

        A decision is told from a transaction that is over: its answer may have been lost on the way (OpenID4VCI 9.3).
        """
        whys = self.good.failures.values()
        reason = Reason.DENIED if any("credential_request_denied" in why for why in whys) else Reason.REFUSED
        detail = "; ".join(whys) or "the issuer sent no credential"
        return Failed(Reason.BAD_CREDENTIAL if self.bad.batches else reason, detail)


async def verify_batches(
    ports: IssuancePorts, issuance: Issuance, issued: IssuedCredentials, signers: Sequence[SoftwareSigner]
) -> JudgedBatches | Issuance:
    """Return what came, judged; or the issuance, failed, if the issuer of one is not trusted: it is that of all."""
    keys, cards, bad = by_thumbprint(signers), list[Card](), dict[IssuedBatch, str]()
    for batch in issued.batches:
        try:
            card = _card(ports, issuance.account_id, issued, batch, keys)
        except UntrustedError as exc:
            failed = fail(ports, issuance, issued.offer, Failed(Reason.UNTRUSTED, exc.detail))
            await notify(ports, issuance.account_id, issued, NotificationEvent.CREDENTIAL_FAILURE)
            return failed
        except (VerificationError, MalformedError) as exc:
            bad[batch] = exc.detail
        else:
            cards.extend([card] if card is not None else [])
    good = tuple(batch for batch in issued.batches if batch not in bad)
    failures = {**issued.failures, **{batch.configuration_id: why for batch, why in bad.items()}}
    return JudgedBatches(
        replace(issued, batches=good, failures=failures), tuple(cards), replace(issued, batches=tuple(bad))
    )


def wait(ports: IssuancePorts, issuance: Issuance, state: Waiting, *, told: HistoryRecord | None = None) -> Issuance:
    """Store that the agency decides later, that it is to be asked again, and what the history tells of it."""
    now = ports.clock.now()
    with ports.unit:
        if told is not None:
            ports.history.add(told)
        waiting = ports.issuances.advance(issuance, state, until=state.since + WAITED)
        ports.reminders.ask_later(waiting, state.next_at - now)
    return waiting


def interval_of(issued: IssuedCredentials) -> timedelta:
    """Return after what time an issuer is to be asked again: the longest it named, for all are asked for together."""
    # OpenID4VCI 9.2: each interval is the least time to wait, also beside a shorter one.
    # vci-9.2-interval
    return timedelta(seconds=max(deferred.interval for deferred in issued.deferred))


def _card(
    ports: IssuancePorts,
    account_id: AccountId,
    issued: IssuedCredentials,
    batch: IssuedBatch,
    signers: Mapping[bytes, SoftwareSigner],
) -> Card | None:
    """Return the card of one batch, every copy verified."""
    configuration = issued.offer.issuer.configurations[batch.configuration_id]
    copies = verify_copies(
        batch.credentials,
        issuer=issued.offer.offer.credential_issuer,
        configuration=configuration,
        signers=signers,
        anchors=ports.anchors,
        now=ports.clock.now(),
        issuers=ports.issuers,
    )
    return _new_card(ports, account_id, issued, configuration, copies) if copies else None


def _new_card(
    ports: IssuancePorts,
    account_id: AccountId,
    issued: IssuedCredentials,
    configuration: CredentialConfiguration,
    copies: Sequence[VerifiedCredential],
) -> Card:
    first, issuer, now = copies[0], issued.offer.offer.credential_issuer, ports.clock.now()
    ends = [copy.expires_at for copy in copies if copy.expires_at is not None]
    card = Card(
        ports.random(ID_BYTES).hex(),
        account_id,
        configuration.id,
        configuration.format,
        first.type,
        issuer,
        first.certificate.name,
        now,
        min(ends) if ends else None,
        configuration_display(configuration),
        tuple(CardCopy(ports.random(ID_BYTES).hex(), copy.text, copy.signer) for copy in copies),
        grant=_grant(ports, account_id, issued, configuration.id),
    )
    return replace(card, refresh_at=next_refresh(card, now, ports.random))


def _grant(
    ports: IssuancePorts, account_id: AccountId, issued: IssuedCredentials, name: CredentialConfigurationId
) -> Grant | None:
    """Return with what new copies of a card are fetched; None if the issuer gave no refresh token."""
    token, offer = issued.token, issued.offer
    if token.refresh_token is None:
        return None
    issuer = offer.offer.credential_issuer
    return Grant(
        issuer,
        offer.server.issuer,
        name,
        token.credential_identifiers.get(name, ()),
        token.refresh_token,
        token.is_bound,
        None if offer.is_anonymous else ports.identity.client_id,
        ports.identity.redirect_uri,
        ports.identity.instance_key(account_id, issuer),
    )


def is_supported(configuration: CredentialConfiguration, *, attests: bool = False) -> bool:
    """Return whether this wallet can receive the configuration: a format it knows, and a proof with ES256.

    ``attests`` tells that somebody attests the keys of this wallet, where the issuer asks for that.
    """
    if configuration.format not in {spec.FORMAT_SD_JWT_VC, spec.FORMAT_MDOC} or not configuration.needs_proof:
        return False
    with suppress(MalformedError):
        way = choose_proof_way(configuration)
        usable = way is not None and SignatureAlgorithm.ES256.value in way.algorithms
        # OpenID4VCI 12.2.4: so would a proof without the key attestation that is asked for.
        # vci-12.2.4-unattested-jwk
        return usable and way is not None and (attests or way.attestation is None)
    return False


def keeps(ports: IssuancePorts) -> Callable[[CredentialConfiguration], bool]:
    """Return the question whether this wallet can receive a configuration."""
    return partial(is_supported, attests=ports.provider is not None)


def missing_anchor(ports: IssuancePorts, offer: ResolvedOffer) -> AnchorPurpose | None:
    """Return a purpose that this wallet trusts nobody for, so that what is offered could not be kept; None if none."""
    usable = keeps(ports)
    purposes = (anchor_purpose(each.format) for each in offer.configurations if usable(each))
    return next((purpose for purpose in purposes if not ports.anchors.certificates(purpose)), None)


def advance(
    ports: IssuancePorts, issuance: Issuance, state: IssuanceState, *, until: datetime | None = None
) -> Issuance:
    """Store the next state in a transaction of its own. Raises ``StateConflict`` if somebody else was first."""
    with ports.unit:
        return ports.issuances.advance(issuance, state, until=until)


async def notify(
    ports: IssuancePorts,
    account_id: AccountId,
    issued: IssuedCredentials,
    event: NotificationEvent,
    *,
    keep: Callable[[TokenResponse], None] | None = None,
) -> None:
    """Tell the issuer what became of its credentials. What it answers changes nothing for the person.

    ``keep`` stores a renewed token; without it a token that is over is not renewed.
    """
    if not issued.batches:
        return
    with suppress(WalletError):
        client = client_of(ports, account_id, issued.offer)
        flow = wallet.notify(issued, event, keep=keep, now=ports.clock.now(), client=client, random=ports.random)
        await ports.fetch.arun(flow)


NewSigners = Mapping[CredentialConfigurationId, Sequence[SoftwareSigner]]
"""Fresh keys for each configuration."""


def new_signers(
    ports: IssuancePorts, offer: ResolvedOffer, only: Collection[CredentialConfigurationId] | None = None
) -> NewSigners:
    """Return fresh P-256 keys, one for each copy of each card that this wallet can receive; of ``only`` these."""
    usable = keeps(ports)
    return {
        configuration.id: [SoftwareSigner.generate() for _ in range(_copies(offer, configuration, ports.catalogue))]
        for configuration in offer.configurations
        if usable(configuration) and (only is None or configuration.id in only)
    }


def _copies(offer: ResolvedOffer, configuration: CredentialConfiguration, catalogue: Catalogue) -> int:
    """Return how many copies to ask for: as many as the wallet holds, and no more than the issuer gives at once."""
    type_ = configuration.document.get("doctype" if configuration.format == spec.FORMAT_MDOC else "vct", "")
    return min(offer.issuer.batch_size, copies_wanted(configuration.format, str(type_), catalogue))


def public_keys(signers: NewSigners) -> dict[CredentialConfigurationId, list[PublicKey]]:
    """Return the public keys of fresh keys."""
    return {name: [signer.public_key for signer in group] for name, group in signers.items()}


def signing(pending: ProofsToSign, signers: NewSigners) -> Signing:
    """Return the state in which the keys have to sign."""
    return Signing(pending, tuple(signer for group in signers.values() for signer in group))


def fail(ports: IssuancePorts, issuance: Issuance, offer: ResolvedOffer, state: Failed) -> Issuance:
    """Store that it cannot go on, and why, in the history too."""
    kind = RecordKind.BLOCKED if state.reason in {Reason.UNTRUSTED, Reason.BAD_CREDENTIAL} else RecordKind.FAILED
    with ports.unit:
        failed = ports.issuances.advance(issuance, state)
        ports.history.add(not_received(ports, issuance.account_id, offer, state.reason, kind))
    return failed


def not_received(
    ports: IssuancePorts,
    account_id: AccountId,
    offer: ResolvedOffer,
    reason: Reason,
    kind: RecordKind = RecordKind.FAILED,
) -> HistoryRecord:
    """Return the line of the history that something was not received, and why."""
    body: JsonObject = {**describe_receipt(offer, (), ports.catalogue), "reason": reason}
    return new_record(ports.random, account_id, kind, ports.clock.now(), body)
