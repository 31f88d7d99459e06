"""The page of the certificate calendar."""

from collections.abc import Iterator
from typing import Annotated

from cryptography import x509
from fastapi import Depends
from starlette.requests import Request
from starlette.responses import Response

from verifier.console.calendar import (
    AccessCertificate,
    Entry,
    access_entries,
    anchor_entries,
    calendar,
    key_entries,
    statement_entries,
    trust_list_entry,
)
from verifier.console.desk import Desk, staff
from verifier.relying_parties.ports import ATTESTATION, registration_of
from verifier.relying_parties.use_cases import list_api_keys
from wallet_core.adapters.web import html, page_router
from wallet_core.errors import KeyUnavailable

router = page_router()


@router.get("/console/certificates")
async def certificate_page(request: Request, desk: Annotated[Desk, Depends(staff)]) -> Response:
    """Show what ends by itself here, and what to do next."""
    now = desk.verifier.clock.now()
    entries = [(each, each.urgency(now), each.days_left(now)) for each in calendar(_entries(desk), now=now)]
    return html(request, "console/certificates.html", party=desk.party, entries=entries)


def _entries(desk: Desk) -> Iterator[Entry]:
    verifier = desk.verifier
    unit, now = verifier.database.reader(), verifier.clock.now()
    yield from access_entries(_certificates(desk))
    keys, party_id = verifier.keys, desk.party.id
    yield from statement_entries("attestation", party_id, keys.statement(party_id, ATTESTATION))
    for policy_id in verifier.presentations.policies:
        token = keys.statement(party_id, registration_of(policy_id))
        yield from statement_entries("registration", policy_id, token)
    yield from anchor_entries(verifier.anchors)
    source = verifier.trust_ports.source
    if source is not None:
        copy, storage = verifier.trust.copy(now), verifier.trust_ports.reading()
        with storage.unit:
            stored = storage.lists.find(source)
        if stored is not None:
            yield trust_list_entry(source, stored, copy.good_until if copy else None)
    yield from key_entries(list_api_keys(unit, verifier.api_keys(unit), desk.party), now=now)


def _certificates(desk: Desk) -> Iterator[AccessCertificate]:
    """Return the leaves of the party's access keys; a key whose chain cannot be read is left to the log."""
    keys, party = desk.verifier.keys, desk.party.id
    signing = keys.current(party)
    generations = keys.generations(party)
    for place, name in enumerate(generations):
        try:
            leaf = x509.load_der_x509_certificate(keys.published_chain(name)[0])
        except KeyUnavailable:
            continue
        signs = name == signing
        waits = place > generations.index(signing)
        yield AccessCertificate(name, leaf, "signs" if signs else "waits" if waits else "rotated_out")
