"""Transaction data: read, shown, bound in one credential, and checked by the verifier. One negative test per rule."""

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.simulators.verifier import SimulatedVerifier
from tests.support.presentations import CLAIMS, NOW, VCT, query, world
from tests.support.transactions import BILL, DOCUMENT, REFUND, digest, encoded, transaction, transaction_types
from wallet_core.encoding import base64url, strict_json
from wallet_core.errors import (
    InvalidTransactionData,
    QueryNotSatisfied,
    VerificationError,
)
from wallet_core.formats.sd_jwt.holder import create_key_binding, index_sd_jwt
from wallet_core.jose import jws
from wallet_core.keys.algorithms import SignatureAlgorithm
from wallet_core.protocols.openid4vp import wallet
from wallet_core.protocols.openid4vp.candidates import sd_jwt_candidate
from wallet_core.protocols.openid4vp.checks import CheckStep, failed_checks
from wallet_core.protocols.openid4vp.client_id import ClientIdPrefix
from wallet_core.protocols.openid4vp.dcql import parse_dcql_query
from wallet_core.protocols.openid4vp.matching import Candidate, Selection, approve, default_choice, match
from wallet_core.protocols.openid4vp.pending import PresentationToSign, ResolvedRequest
from wallet_core.protocols.openid4vp.presented import Expectation
from wallet_core.protocols.openid4vp.request import (
    UnsignedRequest,
    create_unsigned_link,
    parse_authorization_request,
    parse_request_members,
)
from wallet_core.protocols.openid4vp.transaction_data import (
    MAX_CHARACTERS,
    MAX_ENTRIES,
    NO_TYPES,
    create_transaction_data,
    create_transactions,
    narrow,
    parse_transaction_data,
    understand,
)
from wallet_core.protocols.openid4vp.validation import validate_vp_token
from wallet_core.trust.anchors import AnchorPurpose
from wallet_core.trust.x509 import verify_chain

WORLD = world()
HELD = WORLD.held()
TYPES = transaction_types()
MDL = {
    "id": "mdl",
    "format": "mso_mdoc",
    "meta": {"doctype_value": "org.iso.18013.5.1.mDL"},
    "claims": [{"path": ["org.iso.18013.5.1", "given_name"]}],
}


def licence(query_id: str = "licence", **members: Any) -> dict[str, Any]:
    return {
        "id": query_id,
        "format": "dc+sd-jwt",
        "meta": {"vct_values": [VCT]},
        "claims": [{"path": ["name"]}],
        **members,
    }


def asked(*credentials: dict[str, Any], sets: Any = None) -> Any:
    source: dict[str, Any] = {"credentials": list(credentials or (licence(),))}
    return parse_dcql_query({**source, "credential_sets": sets} if sets else source)


# --- reading


def test_an_entry_is_kept_as_it_came() -> None:
    # Spaces and the order of members are the verifier's; nobody writes it again.
    text = base64url.encode(b' { "credential_ids" : ["licence"], "type":"x" } ')
    (entry,) = parse_transaction_data([text], asked())
    assert entry.text == text
    assert (entry.type, entry.credential_ids) == ("x", ("licence",))
    assert (entry.hashes, entry.names_hash) == (("sha-256",), False)


MALFORMED: dict[str, tuple[str, Any]] = {
    "no array": ("vp-5.1-transaction-array", "text"),
    "an object": ("vp-5.1-transaction-array", {}),
    "empty": ("vp-5.1-transaction-array", []),
    "too many": ("vp-5.1-transaction-array", [encoded(transaction(amount=n + 1)) for n in range(MAX_ENTRIES + 1)]),
    "no text": ("vp-5.1-transaction-object", [transaction()]),
    "too long": ("vp-5.1-transaction-object", ["A" * (MAX_CHARACTERS + 4)]),
    "padded": ("vp-5.1-transaction-object", ["e30="]),
    "no JSON": ("vp-5.1-transaction-object", [base64url.encode(b"hello")]),
    "no object": ("vp-5.1-transaction-object", [encoded([])]),
    "a member twice": ("vp-5.1-transaction-object", [base64url.encode(b'{"type":"a","type":"b"}')]),
    "no type": ("vp-5.1-transaction-type", [encoded(transaction(without=("type",)))]),
    "type is empty": ("vp-5.1-transaction-type", [encoded(transaction() | {"type": ""})]),
    "type is a number": ("vp-5.1-transaction-type", [encoded(transaction() | {"type": 1})]),
    "no credential_ids": ("vp-5.1-credential-ids", [encoded(transaction(without=("credential_ids",)))]),
    "credential_ids is text": ("vp-5.1-credential-ids", [encoded(transaction(credential_ids="licence"))]),
    "credential_ids is empty": ("vp-5.1-credential-ids", [encoded(transaction(credential_ids=[]))]),
    "credential_ids holds a number": ("vp-5.1-credential-ids", [encoded(transaction(credential_ids=[1]))]),
    "credential_ids twice": ("vp-5.1-credential-ids", [encoded(transaction(credential_ids=["licence", "licence"]))]),
    "an id nobody asks for": (
        "vp-8.5-credential-ids-match",
        [encoded(transaction(credential_ids=["licence", "other"]))],
    ),
    "alg is text": ("vp-B.3.3.1-alg-array", [encoded(transaction(transaction_data_hashes_alg="sha-256"))]),
    "alg is empty": ("vp-B.3.3.1-alg-array", [encoded(transaction(transaction_data_hashes_alg=[]))]),
    "alg is unknown": ("vp-B.3.3.1-alg-array", [encoded(transaction(transaction_data_hashes_alg=["sha-1"]))]),
    "twice": ("vp-B.3.3.1-one-each", [encoded(transaction())] * 2),
    "no shared algorithm": (
        "vp-B.3.3.1-shared-hash",
        [
            encoded(transaction(transaction_data_hashes_alg=["sha-512"])),
            encoded(transaction(DOCUMENT)),
        ],
    ),
}


@pytest.mark.clause(
    "vp-5.1-transaction-array",
    "vp-5.1-transaction-object",
    "vp-5.1-transaction-type",
    "vp-5.1-credential-ids",
    "vp-8.5-credential-ids-match",
    "vp-B.3.3.1-alg-array",
    "vp-B.3.3.1-one-each",
    "vp-B.3.3.1-shared-hash",
)
@pytest.mark.parametrize("name", MALFORMED)
def test_what_breaks_a_rule_is_refused(name: str) -> None:
    with pytest.raises(InvalidTransactionData):
        parse_transaction_data(MALFORMED[name][1], asked())


@pytest.mark.clause("vp-B.3.3-holder-binding")
def test_without_the_holders_proof_nothing_is_agreed_to() -> None:
    open_query = asked(licence(), licence("open", require_cryptographic_holder_binding=False))
    text = encoded(transaction(credential_ids=["licence", "open"]))
    with pytest.raises(InvalidTransactionData):
        parse_transaction_data([text], open_query)
    assert parse_transaction_data([encoded(transaction())], open_query)


@pytest.mark.clause("vp-B.2.1-unauthorized")
def test_an_mdoc_alone_cannot_agree() -> None:
    both = asked(licence(), MDL)
    with pytest.raises(InvalidTransactionData):
        parse_transaction_data([encoded(transaction(credential_ids=["mdl"]))], both)
    assert parse_transaction_data([encoded(transaction(credential_ids=["mdl", "licence"]))], both)


NOT_CONFORMING: dict[str, dict[str, Any]] = {
    "unknown member": {"tip": 1000},
    "missing": {"without": ("payee",)},
    "amount is text": {"amount": "184000"},
    "amount is a fraction": {"amount": 184000.5},
    "amount is a boolean": {"amount": True},
    "amount is nothing": {"amount": 0},
    "amount is negative": {"amount": -1},
    "amount is too much": {"amount": 1_000_000_001},
    "payee is no text": {"payee": 1},
    "payee is empty": {"payee": ""},
    "payee is too long": {"payee": "가" * 61},
    "payee on two lines": {"payee": "마포구\n0원"},
    "payee turned around": {"payee": "마포구\u202e"},
    "payee with a space before it": {"payee": " 마포구"},
    "number has letters": {"bill_no": "A99999"},
    "no day": {"due": "2026-02-30"},
    "a day in another form": {"due": "20261231"},
    "an optional member of another type": {"bank": None},
}


@pytest.mark.clause("vp-8.5-not-conforming")
@pytest.mark.parametrize("name", NOT_CONFORMING)
def test_what_does_not_keep_to_its_type_is_refused(name: str) -> None:
    entries = parse_transaction_data([encoded(transaction(**NOT_CONFORMING[name]))], asked())
    with pytest.raises(InvalidTransactionData) as caught:
        understand(entries, TYPES)
    assert caught.value.detail
    assert "마포구" not in caught.value.detail


@pytest.mark.clause("vp-8.5-not-conforming")
@pytest.mark.parametrize(
    "changes",
    [
        {"sha256": "0" * 42},
        {"sha256": "0" * 44},
        {"sha256": "_" * 43},
        {"size": 0},
        {"url": "http://bank.example/a"},
        {"url": "javascript:alert(1)"},
        {"url": "https://user@bank.example/a"},
        {"url": "https://bank.example:0/"},
        {"url": "https://"},
        {"url": "https://[/"},
        {"media_type": "PDF"},
    ],
    ids=lambda changes: next(f"{name}-{str(value)[:12]}" for name, value in changes.items()),
)
def test_a_document_is_named_exactly(changes: dict[str, Any]) -> None:
    entries = parse_transaction_data([encoded(transaction(DOCUMENT, **changes))], asked())
    with pytest.raises(InvalidTransactionData):
        understand(entries, TYPES)


@pytest.mark.clause("vp-5.1-unknown-type")
def test_one_unknown_type_refuses_all() -> None:
    entries = parse_transaction_data([encoded(transaction()), encoded(transaction() | {"type": "other"})], asked())
    with pytest.raises(InvalidTransactionData):
        understand(entries, TYPES)
    assert understand(entries[:1], TYPES)
    with pytest.raises(InvalidTransactionData):
        understand(entries[:1], NO_TYPES)


@pytest.mark.parametrize("type_", [BILL, DOCUMENT, REFUND])
def test_every_type_is_put_into_words(type_: str) -> None:
    (found,) = understand(parse_transaction_data([encoded(transaction(type_))], asked()), TYPES)
    words = found.type.words(found.values)
    assert "{" not in words.ko + words.en
    assert len(found.type.lines(found.values)) == len(found.values)


def test_the_words_of_a_bill() -> None:
    (found,) = understand(parse_transaction_data([encoded(transaction())], asked()), TYPES)
    words = found.type.words(found.values)
    assert words.ko == "서울특별시 마포구 (시험용)에 184,000원을 내요"
    assert words.en == "Pay 184,000 won to 서울특별시 마포구 (시험용)"
    lines = {line.label.en: line.value for line in found.type.lines(found.values)}
    assert lines["Due day"].en == "31 December 2026"
    assert lines["Due day"].ko == "2026년 12월 31일"


def test_what_a_stranger_wrote_is_no_template() -> None:
    (found,) = understand(parse_transaction_data([encoded(transaction(payee="{amount}{x}"))], asked()), TYPES)
    assert found.type.words(found.values).en == "Pay 184,000 won to {amount}{x}"


# --- in a request


def request_with(*transactions: dict[str, Any], dcql: Any = None, **arguments: Any) -> Any:
    request = WORLD.request(dcql or query(("name",), ("age_over_19",)), **arguments)
    return replace(request, transaction_data=create_transactions(transactions, request.dcql_query, TYPES))


def resolve(verifier: SimulatedVerifier, link: str | None = None, **changes: Any) -> ResolvedRequest:
    arguments = {"anchors": WORLD.anchors, "now": NOW, "wallet_nonce": "w", "transaction_types": TYPES, **changes}
    resolved: ResolvedRequest = verifier.run(wallet.resolve_request(link or verifier.link, **arguments))
    return resolved


def test_a_request_object_carries_it_as_an_array() -> None:
    request = request_with(transaction())
    members = request.to_json()
    assert members["transaction_data"] == [entry.text for entry in request.transaction_data]
    assert parse_request_members(members) == request


def test_a_link_carries_it_as_json_text() -> None:
    request = request_with(transaction(), prefix=ClientIdPrefix.REDIRECT_URI)
    link = create_unsigned_link("openid4vp://", request)
    parsed = parse_authorization_request(link)
    assert isinstance(parsed, UnsignedRequest)
    assert parsed.request.transaction_data == request.transaction_data
    broken = link.replace("transaction_data=", "transaction_data=%5B")
    with pytest.raises(InvalidTransactionData):
        parse_authorization_request(broken)


@pytest.mark.clause("vp-8.4-transaction-data", "vp-8.4-transaction-data-unsigned")
@pytest.mark.parametrize("prefix", [ClientIdPrefix.X509_HASH, ClientIdPrefix.REDIRECT_URI])
def test_a_wallet_that_understands_no_type_refuses_and_posts_nothing(prefix: ClientIdPrefix) -> None:
    verifier = SimulatedVerifier(WORLD, request_with(transaction(), prefix=prefix))
    link = None if prefix is ClientIdPrefix.X509_HASH else create_unsigned_link("openid4vp://", verifier.request)
    with pytest.raises(InvalidTransactionData):
        resolve(verifier, link, transaction_types=NO_TYPES)
    assert all(seen.url != verifier.request.response_uri for seen in verifier.seen)
    assert resolve(verifier, link).request.transaction_data


def test_nothing_is_signed_that_is_not_understood() -> None:
    resolved = resolve(SimulatedVerifier(WORLD, request_with(transaction())))
    approved = approve(match(resolved.request.dcql_query, [sd_jwt_candidate("card", HELD)]))
    with pytest.raises(InvalidTransactionData):
        wallet.create_presentation(resolved, approved, {"card": HELD}, now=NOW)


# --- what a verifier may ask


def test_a_verifier_may_leave_out_which_card() -> None:
    both = asked(licence(), MDL, licence("open", require_cryptographic_holder_binding=False), licence("second"))
    (entry,) = create_transactions([transaction(without=("credential_ids",))], both, TYPES)
    assert entry.credential_ids == ("licence", "second")
    assert create_transactions([], both, TYPES) == ()


@pytest.mark.clause("vp-B.2.1-not-asked")
def test_a_verifier_names_no_card_that_cannot_agree() -> None:
    with pytest.raises(InvalidTransactionData):
        create_transactions([transaction(credential_ids=["licence", "mdl"])], asked(licence(), MDL), TYPES)


@pytest.mark.parametrize(
    "members",
    [
        transaction() | {"type": "other"},
        transaction(tip=1),
        transaction(credential_ids=["other"]),
        transaction(credential_ids=[]),
        transaction(amount=2**60),
        transaction(payee="\ud800"),
    ],
    ids=["type", "member", "id", "no id", "number", "text"],
)
def test_a_verifier_does_not_ask_what_wallets_must_refuse(members: dict[str, Any]) -> None:
    with pytest.raises(InvalidTransactionData):
        create_transactions([members], asked(), TYPES)


def test_nothing_can_be_asked_of_mdocs_alone() -> None:
    with pytest.raises(InvalidTransactionData):
        create_transactions([transaction(without=("credential_ids",))], asked(MDL), TYPES)


# --- who can agree


def candidates(*kinds: str) -> list[Candidate]:
    made = {
        "licence": Candidate("card", "dc+sd-jwt", VCT, {"name": "홍시험"}, frozenset({("name",)})),
        "mdl": Candidate(
            "mdoc", "mso_mdoc", "org.iso.18013.5.1.mDL", {"org.iso.18013.5.1": {"given_name": "홍"}}, frozenset()
        ),
    }
    return [made[kind] for kind in kinds]


def narrowed(dcql: Any, ids: list[str], *held: str) -> Any:
    entries = parse_transaction_data([encoded(transaction(credential_ids=ids))], dcql)
    return narrow(match(dcql, candidates(*held)), entries)


def test_a_card_that_cannot_agree_is_not_offered() -> None:
    dcql = asked(MDL, licence(), sets=[{"options": [["mdl"], ["licence"]]}])
    matches = narrowed(dcql, ["licence"], "mdl", "licence")
    assert default_choice(matches) == {"licence": (Selection("card"),)}
    assert [found.options for found in matches.sets] == [(("licence",),)]
    assert not narrowed(dcql, ["licence"], "mdl").satisfiable


def test_an_optional_card_that_alone_can_agree_is_needed() -> None:
    dcql = asked(MDL, licence(), sets=[{"options": [["mdl"]]}, {"options": [["licence"]], "required": False}])
    matches = narrowed(dcql, ["licence"], "mdl", "licence")
    assert [found.required for found in matches.sets] == [True, True]
    assert set(default_choice(matches)) == {"mdl", "licence"}


def test_nothing_changes_where_every_choice_can_agree() -> None:
    dcql = asked(licence(), licence("second"), sets=[{"options": [["licence"], ["second"]]}])
    matches = match(dcql, candidates("licence"))
    assert narrowed(dcql, ["licence", "second"], "licence") == matches


@pytest.mark.clause("vp-5.1-bound-once")
def test_a_choice_that_cannot_agree_is_not_sent() -> None:
    dcql = {
        "credentials": [licence(), licence("second")],
        "credential_sets": [{"options": [["licence"], ["second"]]}],
    }
    resolved = resolve(SimulatedVerifier(WORLD, request_with(transaction(), dcql=dcql)))
    choice = {"second": (Selection("card"),)}
    approved = approve(match(resolved.request.dcql_query, [sd_jwt_candidate("card", HELD)]), choice)  # type: ignore[arg-type]
    with pytest.raises(QueryNotSatisfied):
        wallet.create_presentation(resolved, approved, {"card": HELD}, now=NOW, transaction_types=TYPES)


# --- what is signed


def payloads(resolved: ResolvedRequest, choice: Any = None) -> list[dict[str, Any]]:
    matches = match(resolved.request.dcql_query, [sd_jwt_candidate("card", HELD)])
    approved = approve(matches, choice)
    pending = wallet.create_presentation(resolved, approved, {"card": HELD}, now=NOW, transaction_types=TYPES)
    pending = PresentationToSign.from_json(json.loads(json.dumps(pending.to_json())))
    return [
        json.loads(base64url.decode(item.signing_input.decode().split(".")[1]))
        for item in pending.items
        if item.signing_input is not None
    ]


@pytest.mark.clause("vp-8.4-bound", "vp-B.3.3.1-over-the-text", "vp-B.3.3.1-alg-sent")
def test_the_hash_is_over_the_text_that_came() -> None:
    request = request_with(transaction())
    resolved = resolve(SimulatedVerifier(WORLD, request))
    (payload,) = payloads(resolved)
    assert payload["transaction_data_hashes"] == [digest(request.transaction_data[0].text)]
    assert "transaction_data_hashes_alg" not in payload
    (payload,) = payloads(resolve(SimulatedVerifier(WORLD, WORLD.request())))
    assert "transaction_data_hashes" not in payload


@pytest.mark.clause("vp-B.3.3.1-alg-sent")
@pytest.mark.parametrize(
    ("named", "chosen", "function"),
    [
        (["sha-256"], "sha-256", "sha256"),
        (["sha-512", "sha-256"], "sha-256", "sha256"),
        (["sha-1", "sha-384"], "sha-384", "sha384"),
        (["sha-512"], "sha-512", "sha512"),
    ],
)
def test_an_algorithm_that_is_named_comes_back(named: list[str], chosen: str, function: str) -> None:
    request = request_with(transaction(transaction_data_hashes_alg=named))
    (payload,) = payloads(resolve(SimulatedVerifier(WORLD, request)))
    assert payload["transaction_data_hashes_alg"] == chosen
    assert payload["transaction_data_hashes"] == [digest(request.transaction_data[0].text, function)]


@pytest.mark.clause("vp-5.1-bound-once")
def test_each_is_bound_by_one_credential() -> None:
    dcql = {"credentials": [licence(), licence("second")]}
    entries = [
        transaction(credential_ids=["second", "licence"]),
        transaction(DOCUMENT, credential_ids=["licence"], transaction_data_hashes_alg=["sha-256"]),
        transaction(REFUND, credential_ids=["second"]),
    ]
    request = request_with(*entries, dcql=dcql)
    first, second = payloads(resolve(SimulatedVerifier(WORLD, request)))
    bill, document, refund = (digest(each.text) for each in request.transaction_data)
    assert (first["transaction_data_hashes"], first["transaction_data_hashes_alg"]) == ([document], "sha-256")
    assert second["transaction_data_hashes"] == [bill, refund]
    assert "transaction_data_hashes_alg" not in second


# --- what the verifier believes

AUDIENCE, NONCE = "x509_hash:abc", "n-0123456789abcdef"
BILL_TEXT, REFUND_TEXT = encoded(transaction()), encoded(transaction(REFUND))


def expectation(*texts: str, dcql: Any = None) -> Expectation:
    source = dcql or asked()
    return Expectation(
        query=source,
        client_id=AUDIENCE,  # type: ignore[arg-type]
        nonce=NONCE,  # type: ignore[arg-type]
        verify_chain=lambda chain, now: verify_chain(
            chain, WORLD.anchors, purpose=AnchorPurpose.CREDENTIAL_ISSUER, at=now
        ),
        transaction_data=parse_transaction_data(list(texts), source) if texts else (),
    )


def present(**members: Any) -> str:
    """A presentation whose Key Binding JWT says this beside what it must say."""
    held = index_sd_jwt(WORLD.agency.issue(WORLD.holder))
    unsigned = create_key_binding(
        held,
        [("name",)],
        audience=AUDIENCE,
        nonce=NONCE,
        issued_at=NOW,
        algorithm=SignatureAlgorithm.ES256,  # type: ignore[arg-type]
    )
    header, payload = (base64url.decode(part) for part in unsigned.signing_input.decode().split("."))
    changed = strict_json.dumps({**json.loads(payload), **members})
    signing_input = jws.signing_input_for(base64url.encode(header), changed)
    return unsigned.sd_jwt + jws.attach_signature(signing_input, WORLD.holder.sign(signing_input))


@pytest.mark.clause("vp-8.4-agreed")
def test_what_was_agreed_to_is_known_with_its_card() -> None:
    vp_token = {"licence": [present(transaction_data_hashes=[digest(REFUND_TEXT), digest(BILL_TEXT)])]}
    validated = validate_vp_token(vp_token, expectation(BILL_TEXT, REFUND_TEXT), now=NOW)  # type: ignore[arg-type]
    assert validated.agreed == ("licence", "licence")
    assert validated.credentials["licence"][0].claims == {"name": CLAIMS["name"]}  # type: ignore[index]
    last = validated.checks[-1]
    assert (last.step, last.name, last.ok, last.detail) == (11, "transaction_data_agreed", True, "2 with licence")


def test_the_check_is_there_only_where_it_was_asked_for() -> None:
    validated = validate_vp_token({"licence": [present()]}, expectation(), now=NOW)  # type: ignore[dict-item]
    assert [check.step for check in validated.checks] == list(range(1, 11))
    failed = VerificationError("x", step=3)
    assert len(failed_checks(failed)) == 10
    reached = failed_checks(failed, {CheckStep.TRANSACTION_AGREED})
    assert (len(reached), reached[-1].ok) == (11, None)


NAMED_TEXT = encoded(transaction(transaction_data_hashes_alg=["sha-256", "sha-384"]))

REFUSED: dict[str, tuple[str, tuple[str, ...], dict[str, Any]]] = {
    "none": ("vp-8.4-agreed", (BILL_TEXT,), {}),
    "one is missing": ("vp-8.4-agreed", (BILL_TEXT, REFUND_TEXT), {"transaction_data_hashes": [digest(BILL_TEXT)]}),
    "another amount": (
        "vp-B.3.3.1-only-asked",
        (BILL_TEXT,),
        {"transaction_data_hashes": [digest(encoded(transaction(amount=1)))]},
    ),
    "one too many": (
        "vp-B.3.3.1-only-asked",
        (BILL_TEXT,),
        {"transaction_data_hashes": [digest(BILL_TEXT), digest(REFUND_TEXT)]},
    ),
    "nobody asked": ("vp-B.3.3.1-only-asked", (), {"transaction_data_hashes": [digest(BILL_TEXT)]}),
    "over the decoded bytes": (
        "vp-B.3.3.1-over-the-text",
        (BILL_TEXT,),
        {"transaction_data_hashes": [digest(base64url.decode(BILL_TEXT).decode())]},
    ),
    "the same twice": ("vp-B.3.3.1-hashes-array", (BILL_TEXT,), {"transaction_data_hashes": [digest(BILL_TEXT)] * 2}),
    "text": ("vp-B.3.3.1-hashes-array", (BILL_TEXT,), {"transaction_data_hashes": digest(BILL_TEXT)}),
    "empty": ("vp-B.3.3.1-hashes-array", (BILL_TEXT,), {"transaction_data_hashes": []}),
    "numbers": ("vp-B.3.3.1-hashes-array", (BILL_TEXT,), {"transaction_data_hashes": [1]}),
    "unknown algorithm": (
        "vp-B.3.3.1-alg-known",
        (BILL_TEXT,),
        {"transaction_data_hashes": [digest(BILL_TEXT)], "transaction_data_hashes_alg": "sha-1"},
    ),
    "algorithm as an array": (
        "vp-B.3.3.1-alg-known",
        (NAMED_TEXT,),
        {"transaction_data_hashes": [digest(NAMED_TEXT)], "transaction_data_hashes_alg": ["sha-256"]},
    ),
    "an algorithm that was not offered": (
        "vp-B.3.3.1-alg-offered",
        (NAMED_TEXT,),
        {"transaction_data_hashes": [digest(NAMED_TEXT, "sha512")], "transaction_data_hashes_alg": "sha-512"},
    ),
    "another one than the default": (
        "vp-B.3.3.1-alg-offered",
        (BILL_TEXT,),
        {"transaction_data_hashes": [digest(BILL_TEXT, "sha384")], "transaction_data_hashes_alg": "sha-384"},
    ),
    "algorithm not named": ("vp-B.3.3.1-alg-named", (NAMED_TEXT,), {"transaction_data_hashes": [digest(NAMED_TEXT)]}),
}


@pytest.mark.clause(
    "vp-8.4-agreed",
    "vp-B.3.3.1-over-the-text",
    "vp-B.3.3.1-hashes-array",
    "vp-B.3.3.1-alg-known",
    "vp-B.3.3.1-alg-offered",
    "vp-B.3.3.1-alg-named",
    "vp-B.3.3.1-only-asked",
)
@pytest.mark.parametrize("name", REFUSED)
def test_what_was_not_agreed_to_exactly_is_refused(name: str) -> None:
    _, texts, members = REFUSED[name]
    with pytest.raises(VerificationError) as caught:
        validate_vp_token({"licence": [present(**members)]}, expectation(*texts), now=NOW)  # type: ignore[dict-item]
    assert caught.value.step == CheckStep.TRANSACTION_AGREED
    assert failed_checks(caught.value)[-1].ok is False


def test_an_algorithm_that_was_offered_is_accepted() -> None:
    answer = present(transaction_data_hashes=[digest(NAMED_TEXT, "sha384")], transaction_data_hashes_alg="sha-384")
    assert validate_vp_token({"licence": [answer]}, expectation(NAMED_TEXT), now=NOW).agreed == ("licence",)  # type: ignore[dict-item]
    # Named though nobody asked for it: the default all the same.
    answer = present(transaction_data_hashes=[digest(BILL_TEXT)], transaction_data_hashes_alg="sha-256")
    assert validate_vp_token({"licence": [answer]}, expectation(BILL_TEXT), now=NOW).agreed == ("licence",)  # type: ignore[dict-item]


TWO = asked(licence(), licence("second"))


@pytest.mark.clause("vp-5.1-referenced")
def test_another_card_than_the_named_ones_cannot_agree() -> None:
    bound = present(transaction_data_hashes=[digest(BILL_TEXT)])
    expected = expectation(BILL_TEXT, dcql=TWO)
    with pytest.raises(VerificationError) as caught:
        validate_vp_token({"licence": [present()], "second": [bound]}, expected, now=NOW)  # type: ignore[dict-item]
    assert (caught.value.step, caught.value.clause) == (CheckStep.TRANSACTION_AGREED, "OpenID4VP 5.1")
    assert validate_vp_token({"licence": [bound], "second": [present()]}, expected, now=NOW).agreed == ("licence",)  # type: ignore[dict-item]


@pytest.mark.clause("vp-5.1-one-credential")
def test_two_cards_for_one_transaction_are_refused() -> None:
    text = encoded(transaction(credential_ids=["licence", "second"]))
    bound = present(transaction_data_hashes=[digest(text)])
    with pytest.raises(VerificationError) as caught:
        validate_vp_token({"licence": [bound], "second": [bound]}, expectation(text, dcql=TWO), now=NOW)  # type: ignore[dict-item]
    assert caught.value.step == CheckStep.TRANSACTION_AGREED


def test_wallet_and_verifier_agree() -> None:
    verifier = SimulatedVerifier(WORLD, request_with(transaction(), transaction(DOCUMENT)))
    resolved = resolve(verifier)
    resolved = ResolvedRequest.from_json(json.loads(json.dumps(resolved.to_json())))
    approved = approve(match(resolved.request.dcql_query, [sd_jwt_candidate("card", HELD)]))
    pending = wallet.create_presentation(resolved, approved, {"card": HELD}, now=NOW, transaction_types=TYPES)
    signatures = [WORLD.holder.sign(item.signing_input) for item in pending.to_sign if item.signing_input]
    verifier.run(wallet.send_response(pending, signatures))
    request = verifier.request
    expected = replace(
        expectation(),
        query=request.dcql_query,
        client_id=request.client_id.full,
        nonce=request.nonce,
        transaction_data=request.transaction_data,
    )
    assert validate_vp_token(verifier.received().vp_token, expected, now=NOW).agreed == ("licence", "licence")


def test_what_json_cannot_say_is_no_entry() -> None:
    with pytest.raises(InvalidTransactionData):
        create_transaction_data({"type": BILL, "payee": "\ud800"})
