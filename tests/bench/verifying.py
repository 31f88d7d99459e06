"""The verifier under load: one answer by ``direct_post`` for each request, three of ten claims with key binding."""

import gc
import pickle
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from fastapi import FastAPI

from tests.bench import cases
from tests.bench.post import Post
from tests.support.issuing import new_ca
from tests.support.verifying import add_access_key
from verifier.app import create_app
from verifier.dependencies import build_verifier
from verifier.presentations.ports import Storage, StoredPresentation
from verifier.presentations.repository import SqlPresentations
from verifier.presentations.use_cases.requests import PresentationOrder, create_presentation
from verifier.relying_parties.ports import PartyId, RelyingParty
from verifier.relying_parties.use_cases import register_party
from verifier.settings import VerifierSettings
from verifier.status.ports import StoredList
from wallet_core import spec_versions as spec
from wallet_core.adapters import log
from wallet_core.adapters.keystore import KeyStore, new_key_text
from wallet_core.adapters.look_together import LookTogether
from wallet_core.adapters.migrations import migrate
from wallet_core.catalogue import Text
from wallet_core.encoding import strict_json
from wallet_core.errors import StateConflict, WalletError
from wallet_core.formats.sd_jwt.holder import create_key_binding
from wallet_core.protocols.openid4vp.presentation import Presentation
from wallet_core.protocols.openid4vp.record import RecordNotes
from wallet_core.trust.anchors import AnchorPurpose, TrustAnchor, TrustAnchors, format_trust_anchors
from wallet_core.trust.status_list.array import new_array
from wallet_core.trust.status_list.token import create_status_list_jwt, status_list_claims
from wallet_core.types import JsonObject

PARTY = PartyId("bench")
WORLD = "presentations.pickle"
QUERY: JsonObject = {
    "credentials": [
        {
            "id": "card",
            "format": "dc+sd-jwt",
            "meta": {"vct_values": [cases.VCT]},
            "claims": [{"path": list(path)} for path in cases.SHOWN],
        }
    ]
}


class VerifierWorld:
    """A verifier in a folder, ready to be served by other processes with :attr:`environment`."""

    factory = "verifier.app:create"
    factory_in_memory = "tests.bench.verifying:create_in_memory"

    def __init__(self, folder: Path, database_url: str, public_url: str) -> None:
        self.folder = folder
        prefix = VerifierSettings.prefix
        (folder / "sealing.key").write_text(new_key_text())
        before = cases.NOW - timedelta(days=1)
        access_ca = new_ca(before)
        anchors = cases.ANCHORS + TrustAnchors([TrustAnchor(access_ca.certificate, AnchorPurpose.VERIFIER_ACCESS)])
        (folder / "anchors.pem").write_text(format_trust_anchors(anchors))
        self.environment = {
            f"{prefix}PUBLIC_URL": public_url,
            f"{prefix}DATABASE_URL": database_url,
            f"{prefix}KEY_STORE": str(folder / "keys"),
            f"{prefix}SEALING_KEY_FILE": str(folder / "sealing.key"),
            f"{prefix}TRUST_ANCHORS": str(folder / "anchors.pem"),
            f"{prefix}INSECURE_ALLOW_LOOPBACK": "true",
        }
        add_access_key(KeyStore(folder / "keys"), access_ca, PARTY, public_url=public_url, now=before)
        self.verifier = build_verifier(VerifierSettings.from_environment(self.environment))
        migrate(self.verifier.database, "verifier")
        self.party = RelyingParty(PARTY, Text("시험용", "Test"))
        unit = self.verifier.database.unit()
        register_party(
            unit,
            self.verifier.parties(unit),
            self.verifier.api_keys(unit),
            self.verifier.keys,
            self.party,
            anchors=anchors,
            public_url=public_url,
            now=self.verifier.clock.now(),
        )

        self._keep_status_list()

    def _keep_status_list(self) -> None:
        """Put the list of the card's status where a worker that fetched it would have: once in its ttl."""
        now = self.verifier.clock.now()
        claims = status_list_claims(
            bytes(new_array(1 << 17, 2)),
            2,
            uri=cases.STATUS.uri,
            issued_at=now,
            expires_at=now + timedelta(days=1),
            ttl=timedelta(hours=1),
        )
        token = create_status_list_jwt(claims, signer=cases.ISSUER, x5c=cases.X5C).encode()
        with (unit := self.verifier.database.unit()):
            stored = StoredList(cases.STATUS.uri, spec.STATUS_LIST_JWT_MEDIA_TYPE, token, now)
            self.verifier.status_storage(unit).lists.put(stored)

    def posts(self, count: int, *, in_memory: bool) -> list[Post]:
        """Store ``count`` requests and return the answers to them."""
        unit = self.verifier.database.unit()
        made = MemoryPresentations([])
        presentations: Any = _Both(made, SqlPresentations(unit, self.verifier.sealer)) if not in_memory else made
        order = PresentationOrder(dcql_query=QUERY, encrypted=False)
        with unit:
            for _ in range(count):
                create_presentation(self.verifier.presentations, Storage(unit, presentations), self.party, order)
        stored = list(made.by_request.values())
        if in_memory:
            (self.folder / WORLD).write_bytes(pickle.dumps(stored))
        return [self._post(presentation) for presentation in stored]

    def _post(self, stored: StoredPresentation) -> Post:
        request = stored.state.terms.request
        to_sign = create_key_binding(
            cases.HELD,
            cases.SHOWN,
            audience=request.client_id.full,
            nonce=request.nonce,
            issued_at=self.verifier.clock.now(),
            algorithm=cases.HOLDER.algorithm,
        )
        presentation = to_sign.attach(cases.HOLDER.sign(to_sign.signing_input))
        fields = {"vp_token": strict_json.dumps_text({"card": [presentation]}), "state": stored.request_id}
        return Post(
            f"/openid4vp/responses/{stored.request_id}", "", "application/x-www-form-urlencoded", urlencode(fields)
        )


# --- storage in memory: for measuring the protocol alone --------------------------------------------------------------


class MemoryUnit:
    """A transaction of nothing."""

    def __enter__(self) -> "MemoryUnit":  # noqa: PYI034 - nobody inherits
        return self

    def __exit__(self, *_: object) -> None:
        pass


class MemoryPresentations:
    """Presentations of one process, as far as an answer needs them."""

    def __init__(self, stored: list[StoredPresentation]) -> None:
        self.by_request = {each.request_id: each for each in stored}
        self.moved: dict[str, Presentation] = {}
        # One block that grows: a file would not ask the kernel for pages of memory with every answer either.
        self.notes = bytearray()

    def add(self, presentation: StoredPresentation) -> None:
        """Store a new one."""
        self.by_request[presentation.request_id] = presentation

    def by_request_id(self, request_id: str) -> StoredPresentation | None:
        """Return the presentation that a wallet names."""
        found, state = self.by_request.get(request_id), self.moved.get(request_id)
        return found if found is None or state is None else found.moved(state)

    def by_request_ids(self, request_ids: Sequence[str]) -> dict[str, StoredPresentation | WalletError]:
        """Return the presentations that wallets name."""
        found = {each: self.by_request_id(each) for each in request_ids}
        return {request_id: presentation for request_id, presentation in found.items() if presentation is not None}

    def advance(self, presentation: StoredPresentation, state: Presentation, notes: RecordNotes | None = None) -> None:
        """Store its new state, and what its verification record will need."""
        if presentation.request_id in self.moved:
            raise StateConflict("this request was answered")
        self.moved[presentation.request_id] = state
        if notes is not None:
            self.notes += notes.body
            self.notes += notes.secrets or b""


class _Both:
    """Stores in the database, and remembers what was stored."""

    def __init__(self, made: MemoryPresentations, stored: SqlPresentations) -> None:
        self._made, self._stored = made, stored

    def add(self, presentation: StoredPresentation) -> None:
        self._made.add(presentation)
        self._stored.add(presentation)


def create_in_memory() -> FastAPI:
    """Return the verifier's own web app on storage in memory: the factory that uvicorn's workers call."""
    log.configure()
    settings = VerifierSettings.from_environment()
    assert settings.key_store is not None
    verifier = build_verifier(settings)
    memory: Any = MemoryPresentations(pickle.loads((settings.key_store.parent / WORLD).read_bytes()))  # noqa: S301
    # What a database would hold is no work for the garbage collector.
    gc.collect()
    gc.freeze()
    unit: Any = MemoryUnit()
    storage = Storage(unit, memory)
    ports = replace(verifier.presentations, storage=lambda: storage, reading=lambda: storage, looking=lambda: storage)

    async def commit(work: Any) -> None:
        work(storage)

    find = LookTogether(memory.by_request_ids)
    return create_app(replace(verifier, presentations=ports, commit=commit, find_request=find))
