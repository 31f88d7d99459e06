"""The issuer under load: one Credential Request for each offer, with a fresh proof of a key of its own."""

import gc
import os
import pickle
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

from fastapi import FastAPI
from sqlalchemy import insert

from issuer.agencies.ports import Agency
from issuer.agencies.use_cases import register_agency
from issuer.app import create_app
from issuer.dependencies import Issuer, build_issuer
from issuer.issuance.ports import Offer, Storage
from issuer.issuance.tables import OfferRow
from issuer.issuance.use_cases.dataset import seal_dataset
from issuer.settings import IssuerSettings
from issuer.status.ports import StatusListHead, StatusStorage
from issuer.tables import table_of
from tests.bench.catalogue import AGENCY, CLAIMS, CONFIGURATION, write_catalogue
from tests.bench.post import Post
from tests.support.issuing import add_signing_key, issuer_settings, new_ca
from wallet_core.adapters import log
from wallet_core.adapters.migrations import migrate
from wallet_core.encoding import strict_json
from wallet_core.jose import jws
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.protocols.openid4vci.issuance import (
    Authorized,
    create_access_token,
    digest,
    ends_at,
)
from wallet_core.protocols.openid4vci.issuance_stored import state_kind, state_to_json
from wallet_core.protocols.openid4vci.nonce import create_c_nonce
from wallet_core.protocols.openid4vci.proof import proof_signing_input
from wallet_core.types import AgencyId, CredentialConfigurationId, Nonce

WORLD = "offers.pickle"
_HOLDERS = 64


class IssuerWorld:
    """An issuer in a folder, ready to be served by other processes with :attr:`environment`."""

    factory = "issuer.app:create"
    factory_in_memory = "tests.bench.issuing:create_in_memory"

    def __init__(self, folder: Path, database_url: str, public_url: str) -> None:
        now_minus_a_day = timedelta(days=1)
        self.folder = folder
        settings = issuer_settings(
            folder, database_url, public_url=public_url, catalogue=write_catalogue(folder), insecure_allow_loopback=True
        )
        self.issuer = build_issuer(settings)
        self.environment = {
            f"{settings.prefix}PUBLIC_URL": public_url,
            f"{settings.prefix}DATABASE_URL": database_url,
            f"{settings.prefix}KEY_STORE": str(settings.key_store),
            f"{settings.prefix}SEALING_KEY_FILE": str(settings.sealing_key_file),
            f"{settings.prefix}CATALOGUE": str(settings.catalogue),
            f"{settings.prefix}INSECURE_ALLOW_LOOPBACK": "true",
        }
        migrate(self.issuer.database, "issuer")
        before = self.issuer.clock.now() - now_minus_a_day
        add_signing_key(self.issuer.keys, new_ca(before), AGENCY, public_url=public_url, now=before)
        unit = self.issuer.database.unit()
        self.agency: Agency = register_agency(
            unit,
            self.issuer.agencies(unit),
            self.issuer.api_keys(unit),
            self.issuer.keys,
            self.issuer.catalogue,
            AgencyId(AGENCY),
            public_url=public_url,
            now=self.issuer.clock.now(),
        ).agency
        self._holders = [SoftwareSigner.generate() for _ in range(_HOLDERS)]

    def posts(self, count: int, *, in_memory: bool) -> list[Post]:
        """Store ``count`` redeemed offers and return the requests that use them up."""
        tokens = [create_access_token(os.urandom) for _ in range(count)]
        offers = [self._offer(token) for token in tokens]
        if in_memory:
            (self.folder / WORLD).write_bytes(pickle.dumps(offers))
        else:
            with self.issuer.database.unit() as unit:
                unit.connection.execute(insert(table_of(OfferRow)), [_row(offer) for offer in offers])
        return [self._post(number, token) for number, token in enumerate(tokens)]

    def _offer(self, token: str) -> Offer:
        now = self.issuer.clock.now()
        configuration = CredentialConfigurationId(CONFIGURATION)
        state = Authorized((configuration,), digest(token), now + timedelta(minutes=5))
        identifier = os.urandom(16).hex()
        sealed = seal_dataset(
            self.issuer.issuance, self.agency.id, identifier, claims={CONFIGURATION: CLAIMS}, tx_code=None
        )
        return Offer(identifier, self.agency.id, 1, state, os.urandom(32), None, sealed, now)

    def _post(self, number: int, token: str) -> Post:
        ports, now = self.issuer.issuance, self.issuer.clock.now()
        nonce: Nonce = create_c_nonce(ports.secrets.nonce, self.agency.credential_issuer, now=now, random=os.urandom)
        holder = self._holders[number % _HOLDERS]
        data = proof_signing_input(
            holder.public_key, audience=self.agency.credential_issuer, nonce=nonce, issued_at=now
        )
        proof = jws.attach_signature(data, holder.sign(data))
        body = strict_json.dumps_text({"credential_configuration_id": CONFIGURATION, "proofs": {"jwt": [proof]}})
        return Post(f"/agencies/{AGENCY}/credential", f"Bearer {token}", "application/json", body)


def _row(offer: Offer) -> dict[str, Any]:
    assert isinstance(offer.state, Authorized)
    return {
        "id": offer.id,
        "agency_id": offer.agency_id,
        "kind": state_kind(offer.state),
        "version": offer.version,
        "body": state_to_json(offer.state),
        "code_digest": offer.code_digest,
        "token_digest": offer.state.token_digest,
        "subject_id": None,
        "sealed": offer.sealed,
        "created_at": offer.created_at,
        "ends_at": ends_at(offer.state),
    }


# --- storage in memory: for measuring the protocol alone --------------------------------------------------------------


class MemoryUnit:
    """A transaction of nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class MemoryIssuance:
    """Offers, spent nonces and the record of issue of one process, as far as a Credential Request needs them."""

    def __init__(self, offers: list[Offer]) -> None:
        self.by_token = {offer.state.token_digest: offer for offer in offers if isinstance(offer.state, Authorized)}
        self.spent: set[bytes] = set()
        self.issued: list[Any] = []

    def find_by_token(self, _agency_id: AgencyId, token_digest: bytes) -> Offer | None:
        """Return the offer with this access token."""
        return self.by_token.get(token_digest)

    def advance(self, offer: Offer, state: Any) -> None:
        """Store the next state."""
        self.by_token[state.token_digest] = Offer(
            offer.id,
            offer.agency_id,
            offer.version + 1,
            state,
            offer.code_digest,
            offer.subject_id,
            offer.sealed,
            offer.created_at,
        )

    def spend(self, digests: Iterable[bytes], *, expires_at: object) -> None:
        """Record the use of a nonce with a key."""
        del expires_at
        for each in digests:
            assert each not in self.spent
            self.spent.add(each)

    def to_replace(self, _agency_id: AgencyId, _offer_id: str, _configuration_id: object) -> tuple[()]:
        """Return the copies that new ones replace: none."""
        return ()

    def add(self, credentials: Any) -> None:
        """Record what was issued."""
        self.issued.extend(credentials)


class MemoryStatusLists:
    """One status list and the places taken in it."""

    def __init__(self, head: StatusListHead) -> None:
        self._head = head
        self._taken: set[int] = set()

    def open_list(self, _agency_id: AgencyId, _credential_format: str) -> StatusListHead:
        """Return the list from which places are drawn."""
        return self._head

    def taken(self, _head: StatusListHead, indices: Any) -> frozenset[int]:
        """Return those of ``indices`` that a credential has."""
        return frozenset(self._taken.intersection(indices))

    def assign(self, entries: Any) -> None:
        """Give places to credentials."""
        self._taken.update(entry.idx for entry in entries)


def create_in_memory() -> FastAPI:
    """Return the issuer's own web app on storage in memory: the factory that uvicorn's workers call."""
    log.configure()
    settings = IssuerSettings.from_environment()
    assert settings.key_store is not None
    issuer: Issuer = build_issuer(settings)
    memory: Any = MemoryIssuance(pickle.loads((settings.key_store.parent / WORLD).read_bytes()))  # noqa: S301 - ours
    # What a database would hold is no work for the garbage collector.
    gc.collect()
    gc.freeze()
    unit: Any = MemoryUnit()
    head = StatusListHead(AGENCY, 1, "dc+sd-jwt", 2, settings.status_list_size, 1, issuer.clock.now())
    lists: Any = MemoryStatusLists(head)
    statuses = StatusStorage(unit, lists)
    units = ("storage", "reading", "looking")
    status_units: Any = {name: lambda: statuses for name in units}
    status = replace(issuer.status, **status_units)
    storage = Storage(unit, memory, memory, memory, memory, memory, lists, memory, memory, memory)
    storage_units: Any = {name: lambda: storage for name in units}
    issuance = replace(issuer.issuance, **storage_units, status=status)

    async def commit(work: Any) -> Any:
        return work(storage)

    return create_app(replace(issuer, issuance=issuance, status=status, commit=commit))
