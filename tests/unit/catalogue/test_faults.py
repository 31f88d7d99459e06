"""One line of one file is wrong: the check names exactly that file and line."""

import contextlib
import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from wallet_core.adapters.cli_catalogue import app
from wallet_core.catalogue import CatalogueError, CatalogueProblem, parse_catalogue

LICENCE = "credentials/drivers-licence.toml"
RESIDENT = "credentials/resident-certificate.toml"
INCOME = "credentials/income-certificate.toml"
TAX = "credentials/local-tax-payment.toml"
ADULT = "policies/adult-check.json"
ACCOUNT = "policies/account-opening.json"
SCHOOL = "policies/school-admission.json"
PAYMENT = "policies/tax-payment.json"
BILL = "transactions/bill-payment.toml"
DOCUMENT = "transactions/document-agreement.toml"

# file, the line as it is (its n-th occurrence), what stands there instead, the rule that notices
FAULTS = [
    (LICENCE, 'id = "drivers-licence"', 0, 'id = "drivers licence"', "id"),
    (LICENCE, 'id = "drivers-licence"', 0, 'id = "driving-licence"', "vct+1"),
    (LICENCE, 'id = "drivers-licence"', 0, "id = 7", "type"),
    (LICENCE, 'id = "drivers-licence"', 0, 'id = "drivers-licence', "syntax"),
    (LICENCE, 'vct = "urn:jigap:vct:drivers-licence:1"', 0, 'vct = "https://example.org/licence"', "vct"),
    (LICENCE, 'agency = "police"', 0, 'agency = "police"\nextends = "urn:jigap:vct:passport:1"', "extends+1"),
    (LICENCE, 'agency = "police"', 0, 'agency = "police"\nextends = "urn:jigap:vct:drivers-licence:1"', "extends+1"),
    (LICENCE, 'agency = "police"', 0, 'agency = "nobody"', "agency"),
    (LICENCE, 'agency = "police"', 0, 'agency = "police"\nagency = "city"', "syntax+1"),
    (LICENCE, 'cloth = "jjok"', 0, 'cloth = "silk"', "choice"),
    (LICENCE, 'cloth = "jjok"', 0, 'cloth = "jjok"\nfringe = true', "unknown-key+1"),
    (LICENCE, 'front = ["portrait", "name", "licence_classes"]', 0, 'front = ["nose"]', "path"),
    (LICENCE, 'scope = "drivers-licence-sd-jwt"', 0, 'scope = "licence"', "scope"),
    (LICENCE, 'configuration_id = "drivers-licence-mdoc"', 0, 'configuration_id = "drivers-licence-sd-jwt"', "scope+1"),
    (LICENCE, "status_bits = 1", 0, "status_bits = 2", "status"),
    (LICENCE, "status_bits = 2", 0, "status_bits = 1", "status"),
    (LICENCE, "days = 30", 0, "days = 0", "type"),
    (LICENCE, 'not_after_claim = ["expiry_date"]', 0, 'not_after_claim = ["name"]', "path"),
    (LICENCE, "revocable = true", 0, 'revocable = "yes"', "type"),
    (LICENCE, 'who = ["self"]', 0, 'who = ["anybody"]', "choice"),
    (LICENCE, 'key_storage = ["iso_18045_basic"]', 0, 'key_storage = ["basic"]', "choice"),
    (LICENCE, 'key_storage = ["iso_18045_basic"]', 0, "key_storage = []", "empty"),
    (LICENCE, 'key_storage = ["iso_18045_basic"]', 0, 'key_storage = "iso_18045_basic"', "type"),
    (LICENCE, 'user_authentication = ["iso_18045_basic"]', 0, 'user_authentication = ["a"]', "choice"),
    (LICENCE, 'attestation = "haip"', 0, 'attestation = "always"', "choice"),
    (LICENCE, 'attestation = "haip"', 0, 'attestation = "none"', "proof-type+1"),
    (LICENCE, 'proof_types = ["jwt", "attestation"]', 0, 'proof_types = ["attestation"]', "proof-type"),
    (LICENCE, 'proof_types = ["jwt", "attestation"]', 0, 'proof_types = ["jwt", "jwt"]', "unique"),
    (LICENCE, 'proof_types = ["jwt", "attestation"]', 0, 'proof_types = ["di_vp"]', "choice"),
    (LICENCE, 'proof_types = ["jwt", "attestation"]', 0, "proof_types = []", "empty"),
    (LICENCE, 'path = "given_name"', 0, 'path = "given name"', "path"),
    (LICENCE, 'path = "given_name"', 0, 'path = "family_name"', "unique"),
    (LICENCE, 'path = "security_serial"', 1, 'path = "status"', "reserved"),
    (LICENCE, 'path = "address.sido"', 0, 'path = "home.sido"', "container"),
    (LICENCE, 'type = "date"', 0, 'type = "day"', "choice"),
    (LICENCE, 'type = "date"', 0, 'type = "date"\nshape = "round"', "unknown-key+1"),
    (LICENCE, 'label = { ko = "국적", en = "Nationality" }', 0, 'label = { ko = "국적", en = "Name" }', "labels"),
    (LICENCE, 'label = { ko = "국적", en = "Nationality" }', 0, 'label = { ko = "국적" }', "missing"),
    (LICENCE, 'sd = "never"', 0, 'sd = "maybe"', "choice"),
    (LICENCE, "pattern = '^[A-Z]{2}$'", 0, "pattern = '^[A-Z'", "pattern"),
    (LICENCE, "pattern = '^[A-Z]{2}$'", 0, "pattern = '^[a-z]{2}$'", "example+2"),
    (LICENCE, 'example = "1993-05-14"', 0, 'example = "1993-02-30"', "example"),
    (LICENCE, "example = 1993", 0, "example = 1994", "example"),
    (LICENCE, 'example = ["A"]', 0, 'example = ["Z"]', "example"),
    (LICENCE, "example = 2", 0, "example = 3", "example"),
    (LICENCE, 'example = "ROK"', 0, "example = true", "example"),
    (LICENCE, '  { value = 9, ko = "정하지 않음", en = "not specified" },', 0,
     '  { value = 1, ko = "a", en = "b" },', "codes"),
    (LICENCE, 'derived = { rule = "age", from = "birth_date" }', 0, 'derived = { rule = "guess" }', "choice"),
    (LICENCE, 'derived = { rule = "age", from = "birth_date" }', 0,
     'derived = { rule = "age", from = "x" }', "derived"),
    (LICENCE, 'derived = { rule = "age", from = "birth_date" }', 0,
     'derived = { rule = "age", from = "name" }', "derived"),
    (
        LICENCE,
        'derived = { rule = "age_at_least", from = "birth_date", years = 18 }',
        0,
        'derived = { rule = "age_at_least", from = "birth_date" }',
        "missing",
    ),
    (
        LICENCE,
        'derived = { rule = "age_at_least", from = "birth_date", years = 18 }',
        0,
        'derived = { rule = "age_at_least", from = "birth_date", years = "18" }',
        "type",
    ),
    (
        LICENCE,
        'mdoc = { namespace = "org.iso.18013.5.1", element = "given_name", cbor = "tstr" }',
        0,
        'mdoc = { namespace = "org.iso.18013.5.1", element = "given_name", cbor = "text" }',
        "choice",
    ),
    (RESIDENT, "default_issue = false", 0, "default_issue = false\nmandatory = true", "mandatory+1"),
    (INCOME, "example = 41200000", 0, "example = 41200001", "example"),
    ("agencies.toml", 'id = "police"', 0, 'id = "driving"', "agency-moved"),
    ("agencies.toml", "as_of = 2026-11-22   # the day on which the examples hold", 0, 'as_of = "today"', "type"),
    (ADULT, '  "id": "adult-check",', 0, '  "id": "adult",', "file-name"),
    (ADULT, '  "id": "adult-check",', 0, '  "id": "adult-check", "id": "b",', "duplicate"),
    (ADULT, '  "id": "adult-check",', 0, '  "id": adult-check,', "syntax"),
    (ADULT, '  "party_kind": "shop",', 0, '  "party_kind": "shop", "motto": "x",', "unknown-key"),
    (ACCOUNT, '          {"id": "licence_no", "path": ["document_number"]},', 0,
     '          {"id": "licence_no", "path": ["number"]},', "path"),
    (ACCOUNT, '          {"id": "licence_no", "path": ["document_number"]},', 0,
     '          {"id": "licence_no", "path": ["resident_number"]},', "path"),
    (ACCOUNT, '          {"id": "licence_no", "path": ["document_number"]},', 0,
     '          {"id": "licence_no", "path": ["name"]},', "dcql"),
    (ACCOUNT, '          {"id": "licence_no", "path": ["document_number"]},', 0,
     '          {"id": "licence_no", "path": "document_number"},', "dcql"),
    (ACCOUNT, '          {"id": "licence_no", "path": ["document_number"]},', 0,
     '          {"id": "licence_no", "path": ["document_number"], "values": []},', "dcql"),
    (ACCOUNT, '        "meta": {"vct_values": ["urn:jigap:vct:resident-abstract:1"]},', 0,
     '        "meta": {"vct_values": ["urn:jigap:vct:nothing:1"]},', "type"),
    (ACCOUNT, '      {"options": [["licence"], ["licence_mdoc"], ["resident_card"]]},', 0,
     '      {"options": [["passport"], ["licence_mdoc"], ["resident_card"]]},', "dcql"),
    (ACCOUNT, '  "must_match": [["name", "address_name"]],', 0, '  "must_match": [["name", "nick"]],', "must-match"),
    (ACCOUNT, '  "status": {"max_age_hours": 1, "unknown": "refuse"},', 0,
     '  "status": {"max_age_hours": 8785, "unknown": "refuse"},', "bounds"),
    (PAYMENT, '  "transactions": ["bill-payment"],', 0, '  "transactions": ["bill"],', "transaction"),
    (PAYMENT, '  "transactions": ["bill-payment"],', 0, '  "transactions": "bill-payment",', "type"),
    (BILL, 'id = "bill-payment"', 0, 'id = "bill payment"', "id"),
    (BILL, 'id = "bill-payment"', 0, 'id = "bill"', "urn+1"),
    (BILL, 'type = "urn:jigap:transaction:bill-payment:1"', 0, 'type = "payment"', "urn"),
    (BILL, 'type = "won"', 0, 'type = "euro"', "choice"),
    (BILL, 'type = "won"', 0, 'type = "won"\nround = true', "unknown-key+1"),
    (BILL, 'name = "payee"', 0, 'name = "type"', "reserved"),
    (BILL, 'name = "payee"', 0, 'name = "amount"', "unique+7"),
    (BILL, 'name = "payee"', 0, 'name = "to"', "sentence-moved"),
    (BILL, 'label = { ko = "금액", en = "Amount" }', 0, 'label = { ko = "금액", en = "Payee" }', "labels"),
    (BILL, 'label = { ko = "금액", en = "Amount" }', 0, 'label = { ko = "금액" }', "missing"),
    (BILL, "least = 1", 0, "least = 1000000001", "bounds+-4"),
    (BILL, "most = 60", 0, "most = 201", "bounds"),
    (BILL, "most = 60", 0, "most = 3", "example+1"),
    (BILL, "example = 184000", 0, "example = 0", "example"),
    (BILL, "example = 184000", 0, 'example = "184000"', "example"),
    (BILL, 'example = "2026-12-31"', 0, 'example = "2026-12-32"', "example"),
    (BILL, 'example = "2026-12-31"', 0, 'example = "2026-12-31"\npattern = ".*"', "pattern+1"),
    (BILL, 'example = "99999-1-26-12-0000006"', 0, 'example = "A"', "example"),
    (DOCUMENT, 'example = "0000000000000000000000000000000000000000000"', 0, 'example = "0000"', "example"),
    (DOCUMENT, 'example = "https://bank.example/documents/0000"', 0, 'example = "http://bank.example"', "example"),
]  # fmt: skip


def break_line(text: str, line: str, occurrence: int, instead: str) -> tuple[str, int]:
    lines = text.split("\n")
    places = [number for number, each in enumerate(lines) if each == line]
    lines[places[occurrence]] = instead
    return "\n".join(lines), places[occurrence] + 1


def around(texts: dict[str, str], file: str) -> dict[str, str]:
    """The file and what it speaks of: a whole catalogue for each fault takes ten times as long."""
    ids = [name for name in texts if name.startswith("credentials/") and f"{Path(name).stem}" in texts[file]]
    ids += [name for name in texts if name.startswith("transactions/") and Path(name).stem in texts[file]]
    kept = {"agencies.toml", file, *(ids if file.startswith("policies/") else [])}
    return {name: text for name, text in texts.items() if name in kept}


def problems_of(texts: dict[str, str]) -> tuple[CatalogueProblem, ...]:
    with pytest.raises(CatalogueError) as caught:
        parse_catalogue(texts)
    return caught.value.problems


@pytest.mark.clause("sdjwtvc-4-extends")
@pytest.mark.parametrize(("file", "line", "occurrence", "instead", "rule"), FAULTS)
def test_the_fault_is_named_where_it_stands(
    texts: dict[str, str], file: str, line: str, occurrence: int, instead: str, rule: str
) -> None:
    wrong, number = break_line(texts[file], line, occurrence, instead)
    problems = problems_of({**around(texts, file), file: wrong})
    name, _, shift = rule.partition("+")
    if name == "agency-moved":  # two agencies with one id: the second is at fault, and the type loses its agency
        assert {(each.file, each.rule) for each in problems} == {("agencies.toml", "unique")}
        return
    if name == "sentence-moved":  # the sentence has a place for a member that is gone
        assert {(each.file, each.rule) for each in problems} == {(BILL, "sentence")}
        return
    assert (file, number + int(shift or 0), name) in {(each.file, each.line, each.rule) for each in problems}
    assert all(each.reason for each in problems)


def change(policy: str, edit: str, texts: dict[str, str]) -> tuple[CatalogueProblem, ...]:
    value = json.loads(texts[policy])
    exec(edit, {"p": value})  # noqa: S102 - the edits stand below
    return problems_of({**around(texts, policy), policy: json.dumps(value, ensure_ascii=False, indent=1)})


@pytest.mark.parametrize(
    ("policy", "edit", "rule"),
    [
        (ACCOUNT, "p['asks'][0]['required'] = False", "asks"),
        (ACCOUNT, "p['asks'][3]['required'] = True", "asks"),
        (ACCOUNT, "p['asks'][0]['kept'] = False", "asks"),
        (ACCOUNT, "p['asks'][0]['claims'] = ['nothing']", "asks"),
        (ACCOUNT, "del p['asks'][2]", "asks"),
        (ACCOUNT, "del p['asks'][1]['note']", "special"),
        (ACCOUNT, "p['not_asked'][0]['path'] = ['document_number']", "not-asked"),
        (ACCOUNT, "p['not_asked'][0]['path'] = ['nothing']", "not-asked"),
        (ACCOUNT, "p['dcql_query']['credentials'] = []", "dcql"),
        (ACCOUNT, "p['dcql_query']['credentials'] = 7", "dcql"),
        (ACCOUNT, "p['dcql_query']['credential_sets'] = [7]", "dcql"),
        (ACCOUNT, "p['dcql_query']['credential_sets'][0]['options'] = [[{}]]", "dcql"),
        (ACCOUNT, "del p['dcql_query']['credentials'][0]['id']", "dcql"),
        (ACCOUNT, "p['dcql_query']['credentials'][0]['format'] = []", "dcql"),
        (ACCOUNT, "p['dcql_query']['credentials'][0]['id'] = 'a b'", "dcql"),
        (ACCOUNT, "p['dcql_query']['credentials'][0]['format'] = 'jwt_vc_json'", "dcql"),
        (ACCOUNT, "p['dcql_query']['credentials'][0]['claims'] = []", "dcql"),
        (ADULT, "p['dcql_query']['credentials'][0]['claim_sets'] = [['nobody']]", "dcql"),
        (ADULT, "for c in p['dcql_query']['credentials']: [q.update(values=[False]) for q in c['claims']]", "example"),
        (ADULT, "p['mixes_yes_no_and_identity'] = True", "mixing"),
        (ACCOUNT, "p['mixes_yes_no_and_identity'] = False", "mixing"),
        (ADULT, "p['retention']['claims_days'] = -1", "type"),
        (
            PAYMENT,
            "for c in p['dcql_query']['credentials']: c['require_cryptographic_holder_binding'] = False",
            "transaction",
        ),
    ],
)
def test_the_rules_between_parts(texts: dict[str, str], policy: str, edit: str, rule: str) -> None:
    problems = change(policy, edit, texts)
    assert rule in {each.rule for each in problems}
    assert {each.file for each in problems} == {policy}


def test_two_files_with_the_same_type(texts: dict[str, str]) -> None:
    problems = problems_of({**texts, "credentials/copy.toml": texts[LICENCE]})
    assert {each.rule for each in problems} == {"unique", "file-name"}


def test_two_transactions_of_one_type(texts: dict[str, str]) -> None:
    problems = problems_of({**texts, "transactions/copy.toml": texts[BILL]})
    assert {each.rule for each in problems} == {"unique", "file-name"}


def test_a_missing_agency_file(texts: dict[str, str]) -> None:
    problems = problems_of({name: text for name, text in texts.items() if name != "agencies.toml"})
    assert str(problems[0]) == "agencies.toml:1: the file is missing [missing]"


def test_a_container_milder_than_its_members(texts: dict[str, str]) -> None:
    text = texts[TAX]
    at = text.index('path = "address"')
    wrong = text[:at] + text[at:].replace('sensitivity = "personal"\n', "", 1)
    assert {each.rule for each in problems_of({**texts, TAX: wrong})} == {"sensitivity"}


def test_a_licence_without_a_mandatory_mdl_element(texts: dict[str, str]) -> None:
    wrong, number = break_line(
        texts[LICENCE],
        'mdoc = { namespace = "org.iso.18013.5.1", element = "un_distinguishing_sign", cbor = "tstr" }',
        0,
        "",
    )
    (problem,) = problems_of({**texts, LICENCE: wrong})
    assert (problem.rule, problem.line < number) == ("mdl", True)


def test_every_fault_is_reported_at_once(texts: dict[str, str]) -> None:
    wrong, first = break_line(texts[LICENCE], 'cloth = "jjok"', 0, 'cloth = "silk"')
    wrong, second = break_line(wrong, "days = 30", 0, "days = 0")
    assert [each.line for each in problems_of({**texts, LICENCE: wrong})] == [first, second]


def test_the_command_says_file_line_and_reason_and_ends_with_1(texts: dict[str, str], tmp_path: Path) -> None:
    wrong, number = break_line(texts[LICENCE], 'cloth = "jjok"', 0, 'cloth = "silk"')
    for name, text in {**texts, LICENCE: wrong}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    result = CliRunner().invoke(app, ["check", "--folder", str(tmp_path), "--json"])
    assert result.exit_code == 1
    (problem,) = json.loads(result.stdout)["problems"]
    assert (problem["file"], problem["line"], problem["rule"]) == (LICENCE, number, "choice")
    words = CliRunner().invoke(app, ["check", "--folder", str(tmp_path)])
    assert f"{LICENCE}:{number}: cloth is 'silk'" in words.stderr


def test_files_without_text_hide_no_other_fault(texts: dict[str, str], tmp_path: Path) -> None:
    wrong, number = break_line(texts[LICENCE], 'cloth = "jjok"', 0, 'cloth = "silk"')
    written = {name: text.encode() for name, text in {**texts, LICENCE: wrong}.items()}
    lines = written[SCHOOL].splitlines(keepends=True)
    written[SCHOOL] = b"".join([*lines[:2], "# 시험".encode("cp949") + b"\n", *lines[2:]])
    written["agencies.toml"] = b'as_of = 2026-01-01\nnotice = "\x00"\n'
    written["notes.toml"] = b"\xff"  # no file of the catalogue
    del written[ADULT]
    for name, data in written.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    (tmp_path / ADULT).mkdir(parents=True)
    result = CliRunner().invoke(app, ["check", "--folder", str(tmp_path), "--json"])
    assert result.exit_code == 1
    found = {
        (each["file"], each["line"], each["rule"]): each["reason"] for each in json.loads(result.stdout)["problems"]
    }
    assert found.keys() == {
        (LICENCE, number, "choice"),
        (SCHOOL, 3, "syntax"),
        ("agencies.toml", 2, "syntax"),
        (ADULT, 1, "syntax"),
    }
    assert "UTF-8" in found[SCHOOL, 3, "syntax"]


def test_the_command_is_content_with_our_own_catalogue() -> None:
    result = CliRunner().invoke(app, ["check", "--json"])
    assert (result.exit_code, json.loads(result.stdout)["credential_types"]) == (0, 20)
    assert len(json.loads(CliRunner().invoke(app, ["list", "--json"]).stdout)["policies"]) == 16
    listed = CliRunner().invoke(app, ["list"]).output
    assert "bill-payment" in listed


@given(st.data())
def test_only_catalogue_errors_leave_for_changed_texts(texts: dict[str, str], data: st.DataObject) -> None:
    file = data.draw(st.sampled_from([LICENCE, ADULT, SCHOOL, "agencies.toml"]))
    text = texts[file]
    at = data.draw(st.integers(0, len(text)))
    upto = min(len(text), at + data.draw(st.integers(0, 40)))
    chosen = {"agencies.toml": texts["agencies.toml"], LICENCE: texts[LICENCE], SCHOOL: texts[SCHOOL]}
    pieces = ["", "x", "[", "{", "]", "}", '"', "null", "[[claims]]\n", "true", "-1", "\x00", "=="]
    inserted = data.draw(st.sampled_from(pieces))
    with contextlib.suppress(CatalogueError):
        parse_catalogue({**chosen, file: text[:at] + inserted + text[upto:]})


@given(st.dictionaries(st.sampled_from(["agencies.toml", "credentials/a.toml", "policies/a.json"]), st.text()))
def test_only_catalogue_errors_leave_for_any_text(anything: dict[str, str]) -> None:
    with pytest.raises(CatalogueError):
        parse_catalogue(anything)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        (LICENCE, "\n\na" + ".a" * 8000 + " = 1\n"),
        (LICENCE, "\n\n[a" + " . 'a'" * 8000 + "]\n"),
        (LICENCE, '\n\na = { "a"' + '."a"' * 8000 + " = 1 }\n"),
        (ADULT, "\n\n" + "[" * 16_000),
        (ADULT, "\n\n" + '{"a":' * 3000),
        (ADULT, '\n\n{"a":"' + '\\"' * 16_000),
    ],
)
def test_deep_files_cost_less_than_good_ones(texts: dict[str, str], file: str, text: str) -> None:
    begun = time.process_time()
    parse_catalogue(texts)
    good, begun = time.process_time() - begun, time.process_time()
    with pytest.raises(CatalogueError) as refused:
        parse_catalogue({file: text})
    assert time.process_time() - begun < good
    assert any(each.file == file and each.rule == "syntax" for each in refused.value.problems)
