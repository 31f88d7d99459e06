"""Status over the whole issuer: places at issuance, suspending and revoking, the published lists."""

import gzip
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from issuer.issuance.use_cases.withdrawal import change_credential_status
from issuer.status.ports import StatusEntry, StatusListHead
from issuer.status.use_cases.changes import StatusOrder
from issuer.status.use_cases.places import draw_places, is_decoy, take_places
from tests.simulators import run_flow
from tests.support.issuing import (
    HOST,
    LICENCE,
    NOW,
    IssuerUnderTest,
    add_document_signer,
    issuer_anchors,
    start_issuer,
)
from tests.support.mdoc_presentations import new_iaca
from wallet_core.errors import StateConflict
from wallet_core.formats.sd_jwt.verifier import parse_sd_jwt
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.protocols.openid4vci.pending import IssuedCredentials
from wallet_core.trust.anchors import AnchorPurpose, TrustAnchor, TrustAnchors
from wallet_core.trust.status_list.cwt import parse_status_list_cwt, require_mdoc_profile
from wallet_core.trust.status_list.fetching import fetch_aggregation, fetch_status_list
from wallet_core.trust.status_list.reference import StatusReference, parse_status
from wallet_core.trust.status_list.token import (
    VerifiedStatusList,
    parse_status_list_jwt,
    verify_status_list_token,
)
from wallet_core.trust.x509 import validate_issuer_name, verify_chain

JWT = "application/statuslist+jwt"
CWT = "application/statuslist+cwt"
KEYS = [SoftwareSigner.generate() for _ in range(3)]


def issue(issuer: IssuerUnderTest, copies: int = 3, **offer: Any) -> list[StatusReference]:
    """Issue copies of one credential and return where they say their status is."""
    keys = KEYS[:copies]
    issued = issuer.receive(issuer.proofs(issuer.offer(**offer)["uri"], keys), keys)
    assert isinstance(issued, IssuedCredentials)
    payloads = [parse_sd_jwt(text).issuer_jws.claims() for text in issued.batches[0].credentials]
    return [parse_status(payload["status"]) for payload in payloads]


def ids(issuer: IssuerUnderTest) -> list[str]:
    return [each["credential_id"] for each in issuer.api("GET", "/credentials").json()["credentials"]]


def place_of(issuer: IssuerUnderTest, credential_id: str) -> StatusReference:
    with (unit := issuer.issuer.database.reader()):
        entry = issuer.issuer.storage(unit).statuses.entry("police", credential_id)
    assert entry is not None
    return StatusReference(entry.idx, f"{HOST}/agencies/police/statuslists/{entry.number}")


def fetch(
    issuer: IssuerUnderTest,
    uri: str,
    media_type: str = JWT,
    *,
    anchors: TrustAnchors | None = None,
    purpose: AnchorPurpose = AnchorPurpose.CREDENTIAL_ISSUER,
) -> VerifiedStatusList:
    """Fetch and verify a list as whoever checks a credential does."""
    body = run_flow(fetch_status_list(uri, media_type=media_type), issuer.send)
    token = parse_status_list_jwt(body) if media_type == JWT else parse_status_list_cwt(body)
    now = issuer.clock.now()
    signer = verify_chain(token.chain, anchors or issuer_anchors(issuer.ca), purpose=purpose, at=now)
    validate_issuer_name(signer, f"{HOST}/agencies/police")
    return verify_status_list_token(token, key=signer.public_key, uri=uri, now=now)


def set_status(issuer: IssuerUnderTest, credential_id: str, status: str, **options: Any):
    body = {"status": status, "reason": options.pop("reason", "lost")}
    return issuer.api("POST", f"/credentials/{credential_id}/status", json=body, **options)


def status_of(issuer: IssuerUnderTest, credential_id: str) -> int:
    reference = place_of(issuer, credential_id)
    return fetch(issuer, reference.uri).status(reference)


@pytest.mark.clause("tsl-13.2-random", "tsl-13.3-once")
def test_each_copy_has_a_place_of_its_own_and_is_valid(issuer: IssuerUnderTest) -> None:
    references = issue(issuer) + issue(issuer)
    assert len(set(references)) == 6
    assert {reference.uri for reference in references} == {f"{HOST}/agencies/police/statuslists/1"}
    statuses = fetch(issuer, references[0].uri)
    assert [statuses.status(reference) for reference in references] == [0] * 6
    assert len(statuses.statuses) == issuer.issuer.settings.status_list_size
    assert statuses.claims.bits == 2


def test_a_licence_is_suspended_reinstated_and_revoked_for_good(issuer: IssuerUnderTest) -> None:
    issue(issuer)
    first, second, _ = ids(issuer)
    assert set_status(issuer, first, "suspended").json()["possible_statuses"] == ["valid", "invalid"]
    assert (status_of(issuer, first), status_of(issuer, second)) == (2, 0)
    assert set_status(issuer, first, "valid", reason="found").status_code == 200
    assert status_of(issuer, first) == 0
    revoked = set_status(issuer, first, "invalid").json()
    assert (revoked["status"], revoked["possible_statuses"]) == ("invalid", [])
    assert [(each["before"], each["after"], each["reason"]) for each in revoked["history"]] == [
        ("valid", "suspended", "lost"),
        ("suspended", "valid", "found"),
        ("valid", "invalid", "lost"),
    ]
    assert status_of(issuer, first) == 1
    shown = {each["credential_id"]: each["status"] for each in issuer.api("GET", "/credentials").json()["credentials"]}
    assert (shown[first], shown[second]) == ("invalid", "valid")


@pytest.mark.clause("tsl-7.1-for-good")
def test_what_was_revoked_stays_revoked(issuer: IssuerUnderTest) -> None:
    issue(issuer, copies=1)
    (credential,) = ids(issuer)
    set_status(issuer, credential, "invalid")
    for status in ("valid", "suspended"):
        assert set_status(issuer, credential, status).status_code == 409
    assert status_of(issuer, credential) == 1
    # Saying it again changes nothing and is no mistake.
    assert len(set_status(issuer, credential, "invalid").json()["history"]) == 1


@pytest.mark.clause("tsl-7.1-mdoc")
def test_an_mdoc_is_revoked_for_good_and_never_suspended(issuer: IssuerUnderTest) -> None:
    iaca = new_iaca(now=NOW)
    add_document_signer(issuer.issuer.keys, iaca, "police")
    ports, agency = issuer.issuer.status, issuer.issuer.agency("police")
    places = draw_places(ports, agency, credential_format="mso_mdoc", bits=1, count=1)
    issue(issuer, copies=1)
    (credential,) = ids(issuer)
    # The record of another credential, given a place in a list of one bit.
    with (unit := issuer.issuer.database.unit()):
        storage = issuer.issuer.storage(unit)
        unit.connection.exec_driver_sql("DELETE FROM issuer_status_entry")
        take_places(storage.statuses, agency.id, {credential: places[0]})
    assert places[0].reference.uri.endswith("/1")
    refused = set_status(issuer, credential, "suspended")
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_request")
    assert set_status(issuer, credential, "invalid").status_code == 200
    anchors = TrustAnchors([TrustAnchor(iaca.certificate, AnchorPurpose.MDL_ISSUER)])
    for media_type in (JWT, CWT):
        published = fetch(
            issuer, places[0].reference.uri, media_type, anchors=anchors, purpose=AnchorPurpose.MDL_ISSUER
        )
        assert published.status(places[0].reference) == 1
        require_mdoc_profile(published.claims)
    assert set_status(issuer, credential, "valid").status_code == 409


def test_who_may_change_a_status(sqlite_issuer: IssuerUnderTest) -> None:
    issue(sqlite_issuer, copies=1)
    (credential,) = ids(sqlite_issuer)
    assert set_status(sqlite_issuer, credential, "invalid", agency="city-tax").status_code == 404
    for nobody in ("1", "%00", "a" * 44):
        assert set_status(sqlite_issuer, nobody, "invalid").status_code == 404
    assert sqlite_issuer.api("GET", f"/credentials/{credential}").json()["history"] == []
    assert set_status(sqlite_issuer, credential, "revoked").status_code == 400
    assert set_status(sqlite_issuer, credential, "invalid", reason="x" * 501).status_code == 400
    assert status_of(sqlite_issuer, credential) == 0


def test_a_repeat_with_the_same_key_is_the_first_answer(sqlite_issuer: IssuerUnderTest) -> None:
    issue(sqlite_issuer, copies=1)
    (credential,) = ids(sqlite_issuer)
    headers = {"Idempotency-Key": "once"}
    first = set_status(sqlite_issuer, credential, "suspended", headers=headers).json()
    set_status(sqlite_issuer, credential, "valid")
    assert set_status(sqlite_issuer, credential, "suspended", headers=headers).json() == first
    assert status_of(sqlite_issuer, credential) == 0


def test_a_credential_without_a_place_cannot_be_withdrawn(sqlite_issuer: IssuerUnderTest) -> None:
    issue(sqlite_issuer, copies=1)
    (credential,) = ids(sqlite_issuer)
    with (unit := sqlite_issuer.issuer.database.unit()):
        unit.connection.exec_driver_sql("DELETE FROM issuer_status_entry")
    assert sqlite_issuer.api("GET", f"/credentials/{credential}").json()["possible_statuses"] == []
    assert set_status(sqlite_issuer, credential, "invalid").status_code == 409


@pytest.mark.clause("tsl-8.1-accept", "tsl-8.2-cache")
def test_a_list_is_public_negotiated_compressed_and_kept_for_its_ttl(sqlite_issuer: IssuerUnderTest) -> None:
    uri = issue(sqlite_issuer, copies=1)[0].uri
    for accept in (None, JWT, "*/*", f"text/html, {JWT};q=0.5", "application/*;q=0.1"):
        headers = {} if accept is None else {"Accept": accept}
        answer = sqlite_issuer.client.get(uri, headers=headers)
        assert (answer.status_code, answer.headers["content-type"]) == (200, JWT)
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["vary"] == "Accept, Accept-Encoding"
    assert answer.headers["cache-control"] == "public, max-age=300"
    for accept in ("text/html", f"{JWT};q=0", "application/json", f"{JWT};q=x"):
        assert sqlite_issuer.client.get(uri, headers={"Accept": accept}).status_code == 400
    binary = sqlite_issuer.client.get(uri, headers={"Accept": f"{JWT};q=0.3, {CWT};q=0.4", "Accept-Encoding": "gzip"})
    assert (binary.headers["content-type"], "content-encoding" in binary.headers) == (CWT, False)
    with sqlite_issuer.client.stream("GET", uri, headers={"Accept-Encoding": "br, gzip;q=0.5"}) as compressed:
        raw = b"".join(compressed.iter_raw())
        assert compressed.headers["content-encoding"] == "gzip"
    plain = sqlite_issuer.client.get(uri, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert gzip.decompress(raw) == plain.content
    sqlite_issuer.clock.advance(100)
    assert sqlite_issuer.client.get(uri).headers["cache-control"] == "public, max-age=200"


def test_a_list_is_signed_again_when_it_changed_or_gets_old(sqlite_issuer: IssuerUnderTest) -> None:
    uri = issue(sqlite_issuer, copies=1)[0].uri
    (credential,) = ids(sqlite_issuer)
    first = sqlite_issuer.client.get(uri).content
    sqlite_issuer.clock.advance(1)
    assert sqlite_issuer.client.get(uri).content == first
    set_status(sqlite_issuer, credential, "suspended")
    changed = fetch(sqlite_issuer, uri).claims
    assert changed.issued_at == sqlite_issuer.clock.now()
    sqlite_issuer.clock.advance(150)
    assert fetch(sqlite_issuer, uri).claims.issued_at == changed.issued_at + timedelta(seconds=150)
    assert changed.expires_at == changed.issued_at + timedelta(days=1)
    assert changed.ttl == timedelta(seconds=300)


@pytest.mark.parametrize("number", ["2", "0", "01", "-1", "x", "1" * 30, "%00", "٣"])
def test_lists_that_are_not_there(sqlite_issuer: IssuerUnderTest, number: str) -> None:
    issue(sqlite_issuer, copies=1)
    assert sqlite_issuer.client.get(f"{HOST}/agencies/police/statuslists/{number}").status_code == 404
    assert sqlite_issuer.client.get(f"{HOST}/agencies/city-tax/statuslists/1").status_code == 404


def test_all_lists_of_an_agency_are_named(issuer: IssuerUnderTest) -> None:
    uri = issue(issuer, copies=1)[0].uri
    metadata = issuer.client.get(f"{HOST}/.well-known/oauth-authorization-server/agencies/police").json()
    endpoint = metadata["status_list_aggregation_endpoint"]
    assert run_flow(fetch_aggregation(endpoint), issuer.send) == (uri,)
    assert fetch(issuer, uri).claims.aggregation_uri == endpoint


@pytest.mark.clause("tsl-8.4-501")
def test_lists_of_the_past_are_not_handed_out_unasked(sqlite_issuer: IssuerUnderTest) -> None:
    uri = issue(sqlite_issuer, copies=1)[0].uri
    answer = sqlite_issuer.client.get(f"{uri}?time={int(sqlite_issuer.clock.now().timestamp())}")
    assert (answer.status_code, answer.json()["error"]) == (501, "not_supported")


@pytest.mark.clause("tsl-8.4-404")
def test_a_list_of_the_past_is_as_it_was(tmp_path, database_url: str) -> None:
    issuer = start_issuer(tmp_path, database_url, status_history=True)
    issuer.clock.advance(1)
    begun = issuer.clock.now()
    issue(issuer)
    first, second, _ = ids(issuer)
    moments = {}
    for name, (credential, status) in {
        "one": (first, "suspended"),
        "two": (second, "invalid"),
        "three": (first, "valid"),
    }.items():
        issuer.clock.advance(60)
        set_status(issuer, credential, status)
        moments[name] = issuer.clock.now() + timedelta(seconds=30)
    issuer.clock.advance(3600)
    place = {credential: place_of(issuer, credential) for credential in (first, second)}
    uri = place[first].uri

    def at(moment) -> tuple[int, int]:
        token = parse_status_list_jwt(run_flow(fetch_status_list(uri, at=moment), issuer.send))
        key = issuer.issuer.keys.signer("police").public_key
        verified = verify_status_list_token(token, key=key, uri=uri, now=issuer.clock.now(), at=moment)
        return verified.status(place[first]), verified.status(place[second])

    assert at(begun + timedelta(seconds=1)) == (0, 0)
    assert [at(moments[name]) for name in ("one", "two", "three")] == [(2, 0), (2, 1), (0, 1)]
    for moment in (begun - timedelta(days=1), issuer.clock.now() + timedelta(days=1)):
        assert issuer.client.get(f"{uri}?time={int(moment.timestamp())}").status_code == 404
    for text in ("", "now", "-1", "9" * 12, "1" * 40):
        assert issuer.client.get(f"{uri}?time={text}").status_code == 400


def test_a_full_list_is_followed_by_another(tmp_path, database_url: str) -> None:
    issuer = start_issuer(tmp_path, database_url, status_list_size=32)
    references = [reference for _ in range(16) for reference in issue(issuer)]
    assert len(set(references)) == 48
    lists = {reference.uri for reference in references}
    assert len(lists) > 1
    for uri in lists:
        assert len(fetch(issuer, uri).statuses) == 32
    changed = ids(issuer)[::7]
    for credential in changed:
        set_status(issuer, credential, "suspended")
    for credential in ids(issuer):
        assert status_of(issuer, credential) == (2 if credential in changed else 0)


def test_decoys_change_too_and_no_credential_has_one(sqlite_issuer: IssuerUnderTest) -> None:
    for _ in range(8):
        issue(sqlite_issuer)
    places = {place_of(sqlite_issuer, credential).idx for credential in ids(sqlite_issuer)}
    for credential in ids(sqlite_issuer):
        set_status(sqlite_issuer, credential, "suspended")
    uri = f"{HOST}/agencies/police/statuslists/1"
    statuses = fetch(sqlite_issuer, uri).statuses
    changed = {index for index in range(len(statuses)) if statuses.status(index)}
    assert places < changed
    terms = sqlite_issuer.issuer.status.terms
    with (unit := sqlite_issuer.issuer.database.reader()):
        head = sqlite_issuer.issuer.storage(unit).statuses.head("police", 1)
    assert isinstance(head, StatusListHead)
    assert all(is_decoy(terms, head, index) for index in changed - places)
    assert not any(is_decoy(terms, head, index) for index in places)


@pytest.mark.clause("tsl-13.3-once")
def test_a_place_that_was_taken_meanwhile_is_not_taken_twice(issuer: IssuerUnderTest) -> None:
    reference = issue(issuer, copies=1)[0]
    with (
        pytest.raises(StateConflict),
        (unit := issuer.issuer.database.unit()),
    ):
        issuer.issuer.storage(unit).statuses.assign([StatusEntry("police", 1, reference.idx, "another")])


def test_a_change_that_is_rolled_back_never_happened(issuer: IssuerUnderTest) -> None:
    issue(issuer, copies=1)
    (credential,) = ids(issuer)
    agency = issuer.issuer.agency("police")
    unit = issuer.issuer.database.unit()
    order = StatusOrder("suspended", "lost", "test")

    def change_and_fail() -> None:
        with unit:
            change_credential_status(issuer.issuer.issuance, issuer.issuer.storage(unit), agency, credential, order)
            raise KeyError

    with pytest.raises(KeyError):
        change_and_fail()
    assert status_of(issuer, credential) == 0
    assert issuer.api("GET", f"/credentials/{credential}").json()["history"] == []


def test_what_the_catalogue_forbids_is_refused(sqlite_issuer: IssuerUnderTest) -> None:
    issue(sqlite_issuer, copies=1)
    (credential,) = ids(sqlite_issuer)
    types: Any = sqlite_issuer.issuer.issuance.types["police"]
    fixed = replace(types[LICENCE].type, suspendable=False, revocable=False)
    types[LICENCE] = replace(types[LICENCE], type=fixed)
    for status in ("suspended", "invalid"):
        assert set_status(sqlite_issuer, credential, status).status_code == 400
    assert sqlite_issuer.api("GET", f"/credentials/{credential}").json()["possible_statuses"] == []
