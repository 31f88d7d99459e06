"""What the login by presentation needs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Protocol

from wallet_core.catalogue.credential_type import CredentialType
from wallet_core.catalogue.policy import Policy
from wallet_core.keys.signer import CertifiedSigner
from wallet_core.ports import Clock, Seal, UnitOfWork
from wallet_core.protocols.openid4vp.presentation import Presentation
from wallet_core.protocols.openid4vp.presented import ChainVerifier, IssuerPermission
from wallet_core.types import AgencyId, RandomBytes

POLICY: Final = "issuer-login"
"""The policy of the catalogue that says what a login asks."""


@dataclass(frozen=True, slots=True)
class LoginRequest:
    """One request for a presentation within a login, with what belongs to its row.

    Attributes:
        id: ``state`` of the request, part of its addresses (the request-id of OpenID4VP 13.3).
        login_id: the login session that it belongs to, which is bound to a browser by its cookie.
        agency_id: at whose authorization endpoint.
        version: counts its moves.
        state: where it stands.
        sealed_key: private key that the answer is encrypted to; None once answered.
        delete_at: when the row goes.
    """

    id: str
    login_id: str
    agency_id: AgencyId
    version: int
    state: Presentation
    sealed_key: bytes | None
    delete_at: datetime

    def moved(self, state: Presentation) -> "LoginRequest":
        """Return the same request in another state, not yet stored."""
        return replace(self, state=state)


class LoginRequests(Protocol):
    """Requests of every login."""

    def add(self, request: LoginRequest) -> None:
        """Store a new one."""
        ...

    def advance(self, request: LoginRequest, state: Presentation) -> None:
        """Store its new state. Raises ``StateConflict`` if the stored one moved since ``version`` was read."""
        ...

    def find(self, agency_id: AgencyId, request_id: str) -> LoginRequest | None:
        """Return the request that a wallet names."""
        ...

    def by_response_code(self, agency_id: AgencyId, digest: bytes) -> LoginRequest | None:
        """Return the request whose response_code has this SHA-256 digest."""
        ...

    def of_login(self, login_id: str) -> Sequence[LoginRequest]:
        """Return the requests of a login."""
        ...

    def delete_of_login(self, login_id: str) -> None:
        """Delete the requests of a login, whatever they hold."""
        ...

    def delete_old(self, *, now: datetime, limit: int) -> int:
        """Delete requests whose time is over, and return how many."""
        ...


@dataclass(frozen=True, slots=True)
class LoginRequestStorage:
    """One transaction and what can be done in it."""

    unit: UnitOfWork
    requests: LoginRequests


class AccessKeys(Protocol):
    """The issuer's own access key, by name."""

    def signing_key(self, name: str) -> CertifiedSigner:
        """Return signer and certificates of the key that signs now. Raises ``KeyUnavailable``."""
        ...

    def signing_keys(self, name: str) -> Sequence[CertifiedSigner]:
        """Return every key: the one that signs now first. Raises ``KeyUnavailable``."""
        ...

    def statement(self, name: str, kind: str) -> str | None:
        """Return what others signed about its owner: ``registration.POLICY``, say. Raises ``KeyUnavailable``."""
        ...


@dataclass(frozen=True, slots=True)
class PresentationLoginPorts:
    """Everything the use cases of this login need.

    Attributes:
        storage: opens a unit that writes.
        reading: opens one that only reads and waits for no writer.
        policy: what is asked, whichever card answers it.
        types: the catalogue's credential types by id.
        keys: where the issuer's access key is.
        key_name: its name.
        wallet_endpoint: Authorization Endpoint of a web wallet, or a scheme, for the link on the same device.
        lifetime: how long a wallet may answer.
        verify_chain: whom we trust to issue credentials.
        verify_mdoc_chain: whom to issue mdocs.
        may_issue: which types each of them may issue.
        seal: seals private keys and claims.
        clock: tells the time.
        random: bytes nobody can guess.
    """

    storage: Callable[[], LoginRequestStorage]
    reading: Callable[[], LoginRequestStorage]
    policy: Policy
    types: Mapping[str, CredentialType]
    keys: AccessKeys
    key_name: str
    wallet_endpoint: str
    lifetime: timedelta
    verify_chain: ChainVerifier
    verify_mdoc_chain: ChainVerifier
    may_issue: IssuerPermission
    seal: Seal
    clock: Clock
    random: RandomBytes
