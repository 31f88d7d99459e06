"""What may be used once, in the database: a ``c_nonce`` with a key, and a proof."""

from collections.abc import Iterable
from datetime import datetime

from issuer.issuance.ports import UsedProof
from issuer.tables import APP_TABLES
from wallet_core.adapters import sql
from wallet_core.adapters.sql import UnitOfWork
from wallet_core.errors import InvalidNonce, StateConflict


class SqlSpentNonces:
    """Which ``c_nonce`` was used with which key."""

    def __init__(self, unit: UnitOfWork) -> None:
        self._unit = unit

    def spend(self, digests: Iterable[bytes], *, expires_at: datetime) -> None:
        """Record uses, each a different one. Raises ``InvalidNonce`` if one was used before."""
        try:
            sql.spend_together(self._unit, APP_TABLES.spent, digests, expires_at=expires_at)
        except StateConflict as exc:
            # OpenID4VCI 8.3.1.2: a proof that was used before needs a fresh nonce.
            raise InvalidNonce("the c_nonce was used before", clause="OpenID4VCI 8.3.1.2") from exc


class SqlUsedProofs:
    """Which DPoP proofs and proofs of possession were used."""

    def __init__(self, unit: UnitOfWork) -> None:
        self._unit = unit

    def spend(self, proof: UsedProof) -> None:
        """Record a use. Raises the proof's own error if it was used before."""
        spend_proof(self._unit, proof)


def spend_proof(unit: UnitOfWork, proof: UsedProof) -> None:
    """Record the use of a proof. Raises the proof's own error if it was used before."""
    try:
        # dpop-9449.11.1-replay
        # abca-07.12.1-replay
        sql.spend_together(unit, APP_TABLES.spent, [proof.digest], expires_at=proof.expires_at)
    except StateConflict as exc:
        raise proof.replayed from exc
