"""Verification records: noted with the verdict, sealed by a job, given out, kept as the policy says, audited."""

import io
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from typer.testing import CliRunner

from tests.e2e.test_presentation_status import URI, Provider, connect
from tests.support.presentations import CLAIMS, NOW
from tests.support.verifying import BACK, PARTY, VerifierUnderTest, response_code
from verifier import cli
from verifier.app import create_worker
from verifier.presentations.tables import PresentationRow
from verifier.presentations.use_cases import records
from verifier.presentations.use_cases.results import delete_old_presentations, move_on_in_time
from verifier.tables import table_of
from wallet_core.adapters import log
from wallet_core.encoding import base64url
from wallet_core.errors import KeyUnavailable
from wallet_core.jose import jws
from wallet_core.protocols.openid4vp.record_audit import Audit, AuditStep, Brought, audit_record
from wallet_core.trust.anchors import format_trust_anchors
from wallet_core.trust.status_list.reference import StatusReference

TABLE = table_of(PresentationRow)
CONTRACT = {
    "name": "홍시험",
    "birth_date": "1990-02-03",
    "portrait": "data:image/jpeg;base64,AAAA",
    "document_number": "11",
}


def record_of(verifier: VerifierUnderTest, made, query: str = "", status: int = 200) -> str:
    answer = verifier.api("GET", f"/{made['id']}/record{query}")
    assert answer.status_code == status, answer.text
    return answer.text


def audit(verifier: VerifierUnderTest, record: str, **brought) -> Audit:
    return audit_record(record, Brought(verifier.world.anchors, **brought), now=verifier.clock.now())


def payload_of(record: str):
    return json.loads(jws.parse(record.strip().split("~")[0], max_characters=len(record)).payload)


def row(verifier: VerifierUnderTest, made):
    with verifier.verifier.database.reader() as unit:
        return unit.connection.execute(select(TABLE).where(TABLE.c.id == made["id"])).one()


def upkeep(verifier: VerifierUnderTest) -> None:
    """What the jobs do, by the test's clock."""
    with verifier.verifier.database.unit() as unit:
        storage, now = verifier.verifier.storage(unit), verifier.clock.now()
        move_on_in_time(storage, now=now)
        delete_old_presentations(storage, now=now)


def test_what_was_asked_and_answered_can_be_audited(sqlite_verifier: VerifierUnderTest) -> None:
    verifier = sqlite_verifier
    made = verifier.ask()
    pending = verifier.prepare(verifier.resolve(made["authorization_request"]))
    vp_token = verifier.vp_token(pending)
    assert verifier.post(pending.resolved, vp_token).status_code == 200
    record = record_of(verifier, made)
    found = audit(verifier, record, presentations=vp_token["licence"])
    assert found.refused_at is None, found.findings
    parameters = found.payload["request"]["parameters"]
    assert parameters["nonce"] == pending.resolved.request.nonce
    assert parameters["client_id"] == pending.resolved.request.client_id.full
    assert found.payload["id"] == made["id"]
    assert found.payload["program"].startswith("jigap ")
    # Nothing keeps claims without a policy: the file has their digests only, unless they are asked for meanwhile.
    assert record.endswith("~\n")
    assert record.count("~") == 1
    every = record_of(verifier, made, "?disclose=true")
    assert audit(verifier, every).claims == {"licence": [{"name": CLAIMS["name"], "age_over_19": True}]}
    assert every.split("~")[0] == record.split("~")[0]
    verifier.clock.advance(301)
    assert record_of(verifier, made, "?disclose=true") == record


def test_a_job_seals_within_seconds_and_downloads_before_and_after_are_one_record(
    verifier: VerifierUnderTest,
) -> None:
    first, second = verifier.ask(), verifier.ask()
    for made in (first, second):
        verifier.present(made["authorization_request"])
    early = record_of(verifier, first)
    assert row(verifier, second).record is None
    create_worker(verifier.verifier).run_due()
    sealed = row(verifier, second)
    assert sealed.record_notes is None
    assert record_of(verifier, second).strip() == sealed.record
    assert record_of(verifier, first) == early
    assert payload_of(early)["iat"] == int(NOW.timestamp())


def test_what_was_sealed_by_two_at_once_is_one_record(verifier: VerifierUnderTest) -> None:
    made = verifier.ask()
    verifier.present(made["authorization_request"])
    ports = verifier.verifier.presentations
    slow = records.seal_waiting(ports)
    kept = record_of(verifier, made)
    with verifier.verifier.database.unit() as unit:
        records.keep_sealed(verifier.verifier.storage(unit), slow)
    assert slow.records[0][1] != kept.strip()  # ECDSA is not deterministic
    assert record_of(verifier, made) == kept


def test_a_key_that_is_away_delays_the_seal_and_loses_nothing(sqlite_verifier: VerifierUnderTest, monkeypatch) -> None:
    made = sqlite_verifier.ask()
    sqlite_verifier.present(made["authorization_request"])
    with monkeypatch.context() as away:

        def gone(*_):
            raise KeyUnavailable("the token is away")

        away.setattr("verifier.presentations.use_cases.records.signing_key", gone)
        create_worker(sqlite_verifier.verifier).run_due()
        assert row(sqlite_verifier, made).record is None
        assert record_of(sqlite_verifier, made, status=500)
    assert audit(sqlite_verifier, record_of(sqlite_verifier, made)).refused_at is None


def test_more_than_one_batch_is_sealed_past_those_that_cannot_be(
    sqlite_verifier: VerifierUnderTest, monkeypatch
) -> None:
    monkeypatch.setattr(records, "SEAL_BATCH", 1)
    made = [sqlite_verifier.ask() for _ in range(3)]
    for one in made:
        sqlite_verifier.present(one["authorization_request"])
    honest, first = records._seal, made[0]["id"]

    def away_for_one(ports, parts, now):
        if parts.stored.id == first:
            raise KeyUnavailable("the key is gone")
        return honest(ports, parts, now)

    monkeypatch.setattr(records, "_seal", away_for_one)
    create_worker(sqlite_verifier.verifier).run_due()
    assert [row(sqlite_verifier, one).record is None for one in made] == [True, False, False]


def test_a_key_that_is_away_is_tried_once_and_said_once(sqlite_verifier: VerifierUnderTest, monkeypatch) -> None:
    made = [sqlite_verifier.ask(party=party) for party in (PARTY, PARTY, PARTY, "dodam-bank")]
    for one in made:
        sqlite_verifier.present(one["authorization_request"])
    honest, tried = records.signing_key, []

    def away_for_one(ports, party_id, client_id):
        tried.append(party_id)
        if party_id == PARTY:
            raise KeyUnavailable("the token is away")
        return honest(ports, party_id, client_id)

    monkeypatch.setattr(records, "signing_key", away_for_one)
    sealed = records.seal_waiting(sqlite_verifier.verifier.presentations)
    assert sorted(tried) == [PARTY, "dodam-bank"]
    assert [one for one, _ in sealed.records] == [made[3]["id"]]
    assert sealed.problems == ("the token is away",) * 3
    said = io.StringIO()
    log.configure(stream=said)
    create_worker(sqlite_verifier.verifier).run_due()
    warned = [line for line in map(json.loads, said.getvalue().splitlines()) if line["level"] == "warning"]
    assert [(line["count"], line["reasons"]) for line in warned] == [(3, ["the token is away"])]


# --- what cannot be read is in nobody else's way ----------------------------------------------------------------------
def deep(levels: int) -> dict[str, Any]:
    value: Any = "x"
    for _ in range(levels - 1):
        value = [value]
    return {"deep": value}


def test_claims_as_deep_as_any_are_read_again(sqlite_verifier: VerifierUnderTest) -> None:
    sqlite_verifier.held = sqlite_verifier.world.held(claims=deep(31), selectively_disclosable=[("deep",)])
    made = sqlite_verifier.ask(("deep",))
    sqlite_verifier.present(made["authorization_request"])
    assert sqlite_verifier.result(made["id"])["credentials"]["licence"][0]["claims"] == deep(31)
    create_worker(sqlite_verifier.verifier).run_due()
    assert row(sqlite_verifier, made).record is not None


def test_claims_that_grew_when_they_were_stored_are_read_again(sqlite_verifier: VerifierUnderTest) -> None:
    made = sqlite_verifier.ask()
    sqlite_verifier.present(made["authorization_request"])
    with sqlite_verifier.verifier.database.unit() as unit:
        presentations = sqlite_verifier.verifier.storage(unit).presentations
        stored = presentations.by_id(PARTY, made["id"])
        (one,) = stored.state.credentials["licence"]
        # Of 512 kB that were posted.
        grown = {"licence": (replace(one, claims={"control": "\x01" * (512 << 10)}),)}
        presentations.advance(stored, replace(stored.state, credentials=grown))
    assert len(sqlite_verifier.result(made["id"])["credentials"]["licence"][0]["claims"]["control"]) == 512 << 10


@pytest.mark.parametrize("damage", ["sealed_claims", "body"])
def test_a_row_that_cannot_be_read_stops_nobody_and_loses_its_claims_in_time(
    verifier: VerifierUnderTest, damage
) -> None:
    policies = ("mobile-contract", None)
    verifier.held = verifier.world.held(claims=CONTRACT, selectively_disclosable=[(name,) for name in CONTRACT])
    broken, good = [verifier.ask(policy=policies[0]), verifier.ask(policy=policies[0])]
    for one in (broken, good):
        verifier.present(one["authorization_request"])
    worth = {
        "sealed_claims": b"\x00\x00\x00\x09 sealed under a key that was removed",
        "body": {"of": "a later version"},
    }
    with verifier.verifier.database.unit() as unit:
        unit.connection.execute(update(TABLE).where(TABLE.c.id == broken["id"]).values({damage: worth[damage]}))
    sealed = records.seal_waiting(verifier.verifier.presentations)
    wanted = {good["id"]} if damage == "body" else {good["id"], broken["id"]}
    assert {one for one, _ in sealed.records} == wanted
    if damage == "sealed_claims":
        assert len(verifier.api("GET").json()["presentations"]) == 2
    else:
        assert sealed.problems == (f"{broken['id']} cannot be read: KeyError",)
    verifier.clock.advance(timedelta(days=184).total_seconds())
    upkeep(verifier)
    for one in (broken, good):
        gone = row(verifier, one)
        assert (gone.sealed_claims, gone.record_secrets, gone.changes_at) == (None, None, None)


def test_a_policy_decides_which_claims_lie_beside_the_record_and_for_how_long(verifier: VerifierUnderTest) -> None:
    verifier.held = verifier.world.held(claims=CONTRACT, selectively_disclosable=[(name,) for name in CONTRACT])
    made = verifier.ask(policy="mobile-contract")
    verifier.present(made["authorization_request"])
    record = record_of(verifier, made)
    found = audit(verifier, record)
    assert found.refused_at is None, found.findings
    # The policy does not keep the portrait.
    kept = {name: value for name, value in CONTRACT.items() if name != "portrait"}
    assert found.claims == {"licence": [kept]}
    policy = verifier.verifier.catalogue.policies["mobile-contract"]
    assert found.payload["policy"]["sha256"] == base64url.encode(policy.digest)
    assert found.payload["policy"]["purpose"]["ko"] == policy.purpose.ko
    # The claims go after 183 days, with what opened their digests; the record stays for years and still stands.
    verifier.clock.advance(timedelta(days=184).total_seconds())
    upkeep(verifier)
    gone = row(verifier, made)
    assert (gone.sealed_claims, gone.record_secrets) == (None, None)
    later = record_of(verifier, made)
    assert later.split("~")[0] == record.split("~")[0]
    assert later.count("~") == 1
    # Whoever kept one value with its salt can still show that it was shown.
    one = next(
        text for text in record.strip().split("~")[1:] if "홍시험" in base64url.decode(text or "bnVsbA").decode()
    )
    assert audit(verifier, f"{later.strip()}{one}~").claims == {"licence": [{"name": "홍시험"}]}
    verifier.clock.advance(timedelta(days=1826).total_seconds())
    upkeep(verifier)
    record_of(verifier, made, status=404)


def test_the_list_of_a_status_is_named_and_the_place_in_it_hidden(sqlite_verifier: VerifierUnderTest) -> None:
    verifier = sqlite_verifier
    provider: Provider = connect(verifier)
    verifier.held = verifier.world.held(status=StatusReference(7, URI).to_json())
    made = verifier.ask()
    verifier.present(made["authorization_request"])
    record = record_of(verifier, made)
    assert provider.asked == [URI]
    assert audit(verifier, record).refused_at is None
    status = payload_of(record)["credentials"]["licence"][0]["status"]
    assert (status["status"], status["list"]["uri"]) == ("valid", URI)
    assert "idx" not in json.dumps(status)
    opened = [
        json.loads(base64url.decode(one))[1:] for one in record_of(verifier, made, "?disclose=true").split("~")[1:-1]
    ]
    assert ["idx", 7] in opened


def test_a_refused_answer_has_a_record_without_a_claim(sqlite_verifier: VerifierUnderTest) -> None:
    verifier = sqlite_verifier
    made = verifier.ask()
    pending = verifier.prepare(verifier.resolve(made["authorization_request"]))
    vp_token = verifier.vp_token(pending)
    forged = {"licence": [vp_token["licence"][0][:-3] + "AAA"]}
    assert verifier.post(pending.resolved, forged).status_code == 400
    record = record_of(verifier, made, "?disclose=true")
    found = audit(verifier, record)
    assert found.refused_at is None, found.findings
    assert found.payload["result"]["state"] == "refused"
    assert "credentials" not in found.payload
    assert CLAIMS["name"] not in json.dumps(found.payload, ensure_ascii=False)
    assert row(verifier, made).record_secrets is None


def test_in_the_same_device_flow_the_record_comes_with_the_end(sqlite_verifier: VerifierUnderTest) -> None:
    verifier = sqlite_verifier
    made = verifier.ask(flow="same_device", redirect_uri=BACK)
    code = response_code(verifier.present(made["authorization_request"]).redirect_uri)
    create_worker(verifier.verifier).run_due()
    record_of(verifier, made, status=409)
    verifier.clock.advance(3)
    assert verifier.api("POST", f"/{made['id']}/redeem", json={"response_code": code}).status_code == 200
    found = audit(verifier, record_of(verifier, made))
    assert found.refused_at is None
    assert found.payload["result"] == {"state": "verified", "at": int(NOW.timestamp()) + 3}
    # Never redeemed: the record says that nobody read the claims.
    other = verifier.ask(flow="same_device", redirect_uri=BACK)
    verifier.present(other["authorization_request"])
    verifier.clock.advance(400)
    expired = audit(verifier, record_of(verifier, other, "?disclose=true"))
    assert expired.refused_at is None
    assert expired.payload["result"]["state"] == "expired"
    assert expired.claims == {"licence": [{}]}


def test_nobody_elses_and_nobodys_record(sqlite_verifier: VerifierUnderTest) -> None:
    made = sqlite_verifier.ask()
    record_of(sqlite_verifier, made, status=404)
    sqlite_verifier.present(made["authorization_request"])
    assert sqlite_verifier.api("GET", f"/{made['id']}/record", party="dodam-bank").status_code == 404
    assert (
        sqlite_verifier.client.get(f"https://verifier.example/api/v1/presentations/{made['id']}/record").status_code
        == 401
    )
    answer = sqlite_verifier.api("GET", f"/{made['id']}/record")
    assert answer.headers["content-type"].startswith("application/jigap-verification-record+sd-jwt")
    assert answer.headers["content-disposition"] == f'attachment; filename="verification-record-{made["id"]}.jwt"'
    assert answer.headers["cache-control"] == "no-store"


def test_the_command_audits_a_file_on_another_machine(
    sqlite_verifier: VerifierUnderTest, tmp_path, monkeypatch
) -> None:
    # Another machine: no settings, no database.
    for name in ("JIGAP_VERIFIER_TRUST_ANCHORS", "JIGAP_VERIFIER_PUBLIC_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("verifier.presentations.cli.SystemClock", lambda: sqlite_verifier.clock)
    made = sqlite_verifier.ask()
    pending = sqlite_verifier.prepare(sqlite_verifier.resolve(made["authorization_request"]))
    vp_token = sqlite_verifier.vp_token(pending)
    sqlite_verifier.post(pending.resolved, vp_token)
    file, roots, shown = tmp_path / "record.jwt", tmp_path / "roots.pem", tmp_path / "shown"
    file.write_text(record_of(sqlite_verifier, made, "?disclose=true"))
    roots.write_text(format_trust_anchors(sqlite_verifier.world.anchors))
    shown.write_text(vp_token["licence"][0])
    run = CliRunner().invoke
    trust = ["--trust", str(roots)]
    done = run(cli.app, ["audit", str(file), *trust, "--presentation", str(shown), "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["stands"] is True
    assert [one["step"] for one in told["steps"]] == list(range(1, 12))
    assert told["claims"] == {"licence": [{"name": CLAIMS["name"], "age_over_19": True}]}
    words = run(cli.app, ["audit", str(file), *trust])
    assert words.exit_code == 0
    assert "the record stands" in words.output
    piped = run(cli.app, ["audit", "-", *trust], input=file.read_text())
    assert piped.exit_code == 0
    # One changed byte.
    text = file.read_text()
    position = text.index(".") + 100
    file.write_text(text[:position] + ("A" if text[position] != "A" else "B") + text[position + 1 :])
    refused = run(cli.app, ["audit", str(file), *trust, "--json"])
    assert (refused.exit_code, json.loads(refused.stdout)["refused_at"]) in {(1, AuditStep.FORM), (1, AuditStep.SEAL)}
    assert run(cli.app, ["audit", str(shown), *trust]).exit_code == 1
    # Wrong usage.
    assert run(cli.app, ["audit", str(tmp_path / "nothing"), *trust]).exit_code == 2
    assert run(cli.app, ["audit", str(file)]).exit_code == 2


def test_a_rotated_access_key_still_seals_what_was_asked_under_it(
    sqlite_verifier: VerifierUnderTest, monkeypatch
) -> None:
    made = sqlite_verifier.ask()
    sqlite_verifier.present(made["authorization_request"])
    keys, old = sqlite_verifier.verifier.keys, sqlite_verifier.verifier.keys.signing_key(PARTY)
    other = sqlite_verifier.verifier.keys.signing_key("dodam-bank")
    ports = replace(sqlite_verifier.verifier.presentations, keys=Rotated(keys, other, old))
    party = sqlite_verifier.verifier.party(PARTY)
    assert audit(sqlite_verifier, records.show_record(ports, party, made["id"])).refused_at is None


class Rotated:
    """Access keys of which the second signed before the first did."""

    def __init__(self, keys, new, old) -> None:
        self.keys, self.new, self.old = keys, new, old

    def signing_key(self, _name):
        return self.new

    def signing_keys(self, _name):
        return [self.new, self.old]


@pytest.mark.parametrize("member", ["name", "age_over_19"])
def test_no_claim_lies_in_the_database_in_clear(sqlite_verifier: VerifierUnderTest, member) -> None:
    made = sqlite_verifier.ask()
    sqlite_verifier.present(made["authorization_request"])
    stored = row(sqlite_verifier, made)
    for column in (stored.record_notes, stored.record_secrets):
        assert str(CLAIMS[member]).encode() not in column or member == "age_over_19"
    assert b"seed" not in stored.record_secrets
    assert b"idx" not in stored.record_secrets
