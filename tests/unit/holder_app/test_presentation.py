"""Answering requests: what is shown, what is sent, what is blocked, crashes between the steps."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.hashes import SHA256

from holder_app.cli_views import Words
from holder_app.credentials.ports import CardStatus, RecordKind
from holder_app.credentials.use_cases import delete_card, list_cards, list_history
from holder_app.presentation import held, sending, use_cases
from holder_app.presentation.choices import SHOWN_FIELD
from holder_app.presentation.states import Answered, Answering, Blocked, Declined, Failed, Given, Presentation
from tests.simulators.verifier import SimulatedVerifier, refusal
from tests.support.browsing import browser
from tests.support.presentations import der, new_ca
from tests.support.transactions import DOCUMENT, digest, transaction
from tests.support.wallets import (
    CATALOGUE,
    LICENCE,
    NAME,
    Town,
    agree,
    issue_large,
    new_verifier,
    policy_query,
    receive,
    wait,
)
from wallet_core.encoding import base64url, strict_json
from wallet_core.errors import AnswerTooLarge, FetchError, MalformedError, NotFound, QueryNotSatisfied, StateConflict
from wallet_core.formats.sd_jwt.holder import index_sd_jwt
from wallet_core.http import HttpResponse
from wallet_core.protocols.openid4vp.response import PresentationResponse
from wallet_core.spec_versions import FORMAT_MDOC, FORMAT_SD_JWT_VC

RESIDENT = CATALOGUE.types["resident-certificate"]
CARD = CATALOGUE.types["resident-card"]


def given(town: Town, verifier: SimulatedVerifier) -> Presentation:
    return use_cases.take_request_link(town.wallet.presentation_ports(), town.owner.id, verifier.link)


def reviewed(town: Town, verifier: SimulatedVerifier) -> Presentation:
    presentation = given(town, verifier)
    return wait(use_cases.fetch_request(town.wallet.presentation_ports(), town.owner.id, presentation.id))


def answered(town: Town, presentation: Presentation, **answers: str) -> Presentation:
    named = {name.replace("_", "-"): value for name, value in answers.items()}
    return agree(town, presentation, named)


def sign(town: Town, presentation: Presentation) -> Presentation:
    """Sign what the consent screen shows, as if the process died then."""
    ports = town.wallet.presentation_ports()
    return sending.sign(ports, presentation, {SHOWN_FIELD: use_cases.review_request(ports, presentation).shown})


def received(verifier: SimulatedVerifier) -> dict[str, dict[str, Any]]:
    """The claims of each presentation that came, by query id."""
    answer = verifier.received()
    assert isinstance(answer, PresentationResponse)
    opened = {query_id: texts[0].rpartition("~")[0] + "~" for query_id, texts in answer.vp_token.items()}
    return {query_id: index_sd_jwt(text).claims for query_id, text in opened.items()}


def records(town: Town) -> list[Any]:
    return [
        record
        for record in list_history(town.wallet.card_ports(), town.owner.id)
        if record.kind is not RecordKind.RECEIVED
    ]


def test_nothing_is_fetched_before_the_person_acts(town: Town) -> None:
    verifier = new_verifier(town)
    assert isinstance(given(town, verifier).state, Given)
    assert verifier.seen == []


def test_only_what_was_asked_is_sent(town: Town) -> None:
    receive(town, LICENCE)
    verifier = new_verifier(town)
    done = answered(town, reviewed(town, verifier))
    assert done.state == Answered(done.state.record_id, "https://verifier.example/back", "https://verifier.example")  # type: ignore[union-attr]
    claims = received(verifier)["licence"]
    assert claims["name"] == NAME
    assert claims["age_over_19"] is True
    assert "birth_date" not in claims
    [record] = records(town)
    assert record.kind is RecordKind.SENT
    assert record.body["peer"]["name"] == "바람렌터카 (시험용)"
    assert record.body["usual"]["name"] == {"ko": "비대면 계좌 개설", "en": "Account opening at a distance"}
    assert record.body["uses"] == []
    sent = {tuple(entry["path"]) for entry in record.body["cards"][0]["sent"]}
    assert sent == {("name",), ("document_number",), ("age_over_19",)}
    assert ["birth_date"] in [entry["path"] for entry in record.body["cards"][0]["hidden"]]


def test_the_consent_screen_says_what_the_answer_then_holds(town: Town) -> None:
    receive(town, LICENCE)
    verifier = new_verifier(town)
    presentation = reviewed(town, verifier)
    view = use_cases.review_request(town.wallet.presentation_ports(), presentation)
    [pick] = view.groups[0].alternatives[0]
    shown = {asked.field.path for asked in pick.asked}
    answered(town, presentation)
    claims = received(verifier)["licence"]
    assert all(path[0] in claims for path in shown)
    assert {field.path[0] for field in pick.always} <= set(claims)
    assert {field.path[0] for field in pick.always}.isdisjoint(path[0] for path in shown)
    hidden = {field.path[0] for field in pick.hidden}
    assert hidden.isdisjoint(claims)
    assert view.policy is not None
    instead = {asked.field.path: asked.instead_of for asked in pick.asked}
    assert instead[("age_over_19",)] == {"ko": "생년월일", "en": "Date of birth"}


WHOLE = {
    "name": NAME,
    "address": {"country": "KR", "street": "시험로 1", "resident_number": "000000-0000000"},
    "children": [{"name": "홍하나"}, {"name": "홍두리"}],
}


def test_what_is_opened_together_with_what_was_asked_is_said_before_and_after(town: Town) -> None:
    town.issuer.changes = {"claims": WHOLE, "selectively_disclosable": [(name,) for name in WHOLE]}
    receive(town, LICENCE)
    asked = [{"path": ["address", "country"]}, {"path": ["children", 0, "name"]}]
    verifier = new_verifier(town, licence_query(claims=asked))
    presentation = reviewed(town, verifier)
    view = use_cases.review_request(town.wallet.presentation_ports(), presentation)
    [pick] = view.groups[0].alternatives[0]
    besides = {("address", "street"), ("address", "resident_number"), ("children", 1)}
    assert {field.path for field in pick.always} == besides
    assert {field.path for field in pick.hidden} == {("name",)}
    printed = Words("en").request(view)
    assert "address · resident number: 000000-0000000" in printed
    answered(town, presentation)
    claims = received(verifier)["licence"]
    assert (claims["address"], claims["children"], claims.get("name")) == (WHOLE["address"], WHOLE["children"], None)
    [card] = records(town)[0].body["cards"]
    assert {tuple(entry["path"]) for entry in card["anyway"]} == besides
    assert [entry["path"] for entry in card["hidden"]] == [["name"]]


def test_an_extra_and_another_card_say_what_they_open(town: Town) -> None:
    town.issuer.changes = {"claims": WHOLE, "selectively_disclosable": [(name,) for name in WHOLE]}
    receive(town, LICENCE)
    receive(town, LICENCE)
    claims = [{"id": "n", "path": ["name"]}, {"id": "c", "path": ["address", "country"]}]
    sets = [["n"], ["n", "c"]]
    presentation = reviewed(town, new_verifier(town, licence_query(multiple=True, claims=claims, claim_sets=sets)))
    view = use_cases.review_request(town.wallet.presentation_ports(), presentation)
    [pick] = view.groups[0].alternatives[0]
    opened = [("address", "country"), ("address", "street"), ("address", "resident_number")]
    assert [[field.path for field in extra.fields] for extra in pick.extras] == [opened]
    only_address = reviewed(town, new_verifier(town, licence_query(multiple=True, claims=claims[1:])))
    view = use_cases.review_request(town.wallet.presentation_ports(), only_address)
    [other] = view.groups[0].alternatives[0][0].others
    assert [field.path for field in other.shown] == opened


def test_a_part_that_stays_hidden_is_not_hidden_by_its_name(town: Town) -> None:
    town.issuer.changes = {"claims": WHOLE, "selectively_disclosable": [("name",), ("address", "street")]}
    receive(town, LICENCE)
    presentation = reviewed(town, new_verifier(town, licence_query()))
    view = use_cases.review_request(town.wallet.presentation_ports(), presentation)
    [pick] = view.groups[0].alternatives[0]
    always = {("address", "country"), ("address", "resident_number"), ("children",)}
    assert {field.path for field in pick.always} == always
    assert {field.path for field in pick.hidden} == {("address", "street")}


@pytest.mark.clause("vp-B.3.4-algorithms", "vp-5.1-formats-asked")
@pytest.mark.parametrize(
    "formats",
    [
        {"dc+sd-jwt": {"sd-jwt_alg_values": ["ES512"]}},
        {"dc+sd-jwt": {"kb-jwt_alg_values": ["EdDSA"]}},
        {"mso_mdoc": {}},
    ],
)
def test_a_card_that_the_verifier_cannot_read_is_no_match_after_a_restart_too(
    town: Town, formats: dict[str, Any]
) -> None:
    receive(town, LICENCE)
    verifier = new_verifier(town)
    metadata: Any = verifier.request.to_json()["client_metadata"]
    verifier.claims = {"client_metadata": {**metadata, "vp_formats_supported": formats}}
    presentation = reviewed(town, verifier)
    ports = town.reopened().wallet.presentation_ports()
    stored = use_cases.show_presentation(ports, town.owner.id, presentation.id)
    assert not use_cases.review_request(ports, stored).satisfiable
    assert len(verifier.seen) == 1


def test_optional_cards_are_off_at_first(town: Town) -> None:
    receive(town, LICENCE, RESIDENT)
    verifier = new_verifier(town)
    answered(town, reviewed(town, verifier))
    assert set(received(verifier)) == {"licence"}


def test_optional_cards_can_be_switched_on(town: Town) -> None:
    receive(town, LICENCE, RESIDENT)
    verifier = new_verifier(town)
    answered(town, reviewed(town, verifier), send_1="on")
    assert set(received(verifier)) == {"licence", "resident_certificate"}


def test_one_of_several_cards_is_chosen(town: Town) -> None:
    receive(town, LICENCE, CARD)
    verifier = new_verifier(town)
    presentation = reviewed(town, verifier)
    view = use_cases.review_request(town.wallet.presentation_ports(), presentation)
    assert len(view.groups[0].alternatives) == 2
    names = [pick.name["en"] for [pick] in view.groups[0].alternatives]
    answered(town, presentation, group_0=str(names.index(CARD.name.en)))
    assert set(received(verifier)) == {"resident_card"}


def licence_query(**members: Any) -> dict[str, Any]:
    claims = [{"path": ["name"]}]
    licence = {"id": "licence", "format": "dc+sd-jwt", "meta": {"vct_values": [LICENCE.vct]}, "claims": claims}
    return {"credentials": [{**licence, **members}]}


EITHER = {"vct_values": [LICENCE.vct, CARD.vct]}


def test_several_cards_are_sent_where_the_verifier_takes_them_and_the_person_adds_them(town: Town) -> None:
    receive(town, LICENCE, CARD)
    for answers, count in (({}, 1), ({"also_0_0_0_0": "on"}, 2)):
        verifier = new_verifier(town, licence_query(multiple=True, meta=EITHER))
        presentation = reviewed(town, verifier)
        view = use_cases.review_request(town.wallet.presentation_ports(), presentation)
        [pick] = view.groups[0].alternatives[0]
        assert [other.card_id != pick.card_id for other in pick.others] == [True]
        answered(town, presentation, **answers)
        answer = verifier.received()
        assert isinstance(answer, PresentationResponse)
        assert len(answer.vp_token["licence"]) == count


def test_where_one_card_is_asked_for_no_second_one_goes_along(town: Town) -> None:
    receive(town, LICENCE, CARD)
    verifier = new_verifier(town, licence_query(meta=EITHER))
    presentation = reviewed(town, verifier)
    view = use_cases.review_request(town.wallet.presentation_ports(), presentation)
    assert len(view.groups[0].alternatives) == 2
    assert all(pick.others == () for [pick] in view.groups[0].alternatives)
    answered(town, presentation, also_0_0_0_0="on")
    answer = verifier.received()
    assert isinstance(answer, PresentationResponse)
    assert len(answer.vp_token["licence"]) == 1


def test_a_withdrawn_card_is_proposed_last(town: Town) -> None:
    receive(town, LICENCE, CARD)
    verifier, ports = new_verifier(town, licence_query(meta=EITHER)), town.wallet.presentation_ports()
    presentation = reviewed(town, verifier)
    [first] = use_cases.review_request(ports, presentation).groups[0].alternatives[0]
    with ports.unit:
        ports.cards.set_status(town.owner.id, first.card_id, CardStatus.REVOKED, checked_at=ports.clock.now())
    [[proposed], [last]] = use_cases.review_request(ports, presentation).groups[0].alternatives
    assert proposed.card_id != first.card_id == last.card_id
    assert last.withdrawn == "revoked"


def test_only_cards_of_the_asked_types_are_opened(town: Town, monkeypatch: Any) -> None:
    receive(town, LICENCE, RESIDENT, CARD)
    opened: list[str] = []
    real = held.open_copy
    monkeypatch.setattr(held, "open_copy", lambda card, copy: opened.append(card.type) or real(card, copy))
    presentation = reviewed(town, new_verifier(town, licence_query()))
    use_cases.review_request(town.wallet.presentation_ports(), presentation)
    assert opened == [LICENCE.vct]


def test_a_query_that_names_a_trust_list_is_answered_by_issuers_on_one_that_is_loaded(town: Town) -> None:
    receive(town, LICENCE)
    named = {"type": "etsi_tl", "values": ["https://lists.example/kr"]}
    verifier = new_verifier(town, licence_query(trusted_authorities=[named]))
    presentation = reviewed(town, verifier)
    ports = town.wallet.presentation_ports()
    assert not use_cases.review_request(ports, presentation).satisfiable
    roots = frozenset(anchor.certificate.fingerprint(SHA256()) for anchor in ports.anchors.anchors)
    listed = replace(ports, issuers=replace(ports.issuers, entries={"https://lists.example/kr": roots}))
    assert use_cases.review_request(listed, presentation).satisfiable
    elsewhere = replace(ports, issuers=replace(ports.issuers, entries={"https://lists.example/other": roots}))
    assert not use_cases.review_request(elsewhere, presentation).satisfiable


def test_what_a_longer_set_adds_is_an_extra(town: Town) -> None:
    receive(town, LICENCE)
    query = {
        "credentials": [
            {
                "id": "licence",
                "format": "dc+sd-jwt",
                "meta": {"vct_values": [LICENCE.vct]},
                "claims": [{"id": "name", "path": ["name"]}, {"id": "sex", "path": ["sex"]}],
                "claim_sets": [["name", "sex"], ["name"]],
            }
        ]
    }
    verifier = new_verifier(town, query)
    presentation = reviewed(town, verifier)
    [pick] = use_cases.review_request(town.wallet.presentation_ports(), presentation).groups[0].alternatives[0]
    assert [field.path for field in pick.extras[0].fields] == [("sex",)]
    answered(town, presentation)
    assert "sex" not in received(verifier)["licence"]
    again = new_verifier(town, query)
    answered(town, reviewed(town, again), extra_0_0_0="0")
    assert "sex" in received(again)["licence"]


def test_a_request_as_deep_as_one_may_be_is_shown_and_answered(town: Town) -> None:
    receive(town, LICENCE)
    query = policy_query("account-opening")
    # The query stands one level inside the Request Object.
    nested: Any = "x"
    for _ in range(strict_json.MAX_DEPTH - 2):
        nested = [nested]
    verifier = new_verifier(town, claims={"dcql_query": {**query, "unknown": nested}})
    presentation = reviewed(town, verifier)
    ports, owner = town.wallet.presentation_ports(), town.owner.id
    assert use_cases.review_request(ports, use_cases.show_presentation(ports, owner, presentation.id)).satisfiable
    use_cases.show_presentation(ports, owner, sign(town, presentation).id)
    nested = [nested]
    deeper = new_verifier(town, claims={"dcql_query": {**query, "unknown": nested}})
    assert isinstance(reviewed(town, deeper).state, Blocked)


@pytest.mark.parametrize(
    "answers",
    [{"group_0": "7"}, {"group_0": "x"}, {"group_0": "-1"}, {"extra_0_0_0": "3"}, {"group_0": "0" * 5000 + "1"}],
)
def test_a_choice_that_was_not_offered(town: Town, answers: dict[str, str]) -> None:
    receive(town, LICENCE)
    verifier = new_verifier(town)
    presentation = reviewed(town, verifier)
    with pytest.raises(MalformedError):
        answered(town, presentation, **answers)
    assert len(verifier.seen) == 1


def test_an_answer_that_is_too_large_uses_no_copy_and_can_be_made_smaller(town: Town) -> None:
    query = issue_large(town)
    receive(town, LICENCE)
    verifier = new_verifier(town, query)
    presentation = reviewed(town, verifier)
    with pytest.raises(AnswerTooLarge):
        answered(town, presentation, send_1="on")
    ports, owner = town.wallet.presentation_ports(), town.owner.id
    assert use_cases.show_presentation(ports, owner, presentation.id) == presentation
    assert records(town) == []
    with ports.unit:
        assert [copy.uses for card in ports.cards.of_account(owner) for copy in card.copies] == [0, 0, 0]
    assert len(verifier.seen) == 1
    assert isinstance(answered(town, presentation).state, Answered)
    # What is not encrypted has no such limit.
    verifier = new_verifier(town, query)
    verifier.request = replace(verifier.request, encryption=None)
    assert isinstance(answered(town, reviewed(town, verifier), send_1="on").state, Answered)


def test_the_page_says_that_an_answer_is_too_large(town: Town) -> None:
    query = issue_large(town)
    receive(town, LICENCE)
    presentation, person = reviewed(town, new_verifier(town, query)), browser(town)
    person.get(f"/requests/{presentation.id}?lang=en")
    assert "Too much to send at once" not in person.text
    person.post(f"/requests/{presentation.id}/answer", {"send-1": "on"})
    assert "Too much to send at once" in person.text
    person.post(f"/requests/{presentation.id}/answer")
    assert "Shared" in person.text


def test_each_answer_takes_the_least_used_copy(town: Town) -> None:
    receive(town, LICENCE)
    keys = []
    for _ in range(3):
        verifier = new_verifier(town)
        answered(town, reviewed(town, verifier))
        keys.append(str(received(verifier)["licence"]["cnf"]))
    assert len(set(keys)) == 3


def test_no_card_answers(town: Town) -> None:
    verifier = new_verifier(town)
    presentation = reviewed(town, verifier)
    view = use_cases.review_request(town.wallet.presentation_ports(), presentation)
    assert not view.satisfiable
    with pytest.raises(QueryNotSatisfied):
        answered(town, presentation)
    wait(use_cases.decline_request(town.wallet.presentation_ports(), town.owner.id, presentation.id))
    assert verifier.received().error == "access_denied"


def test_an_expired_card_answers_nothing(town: Town) -> None:
    receive(town, LICENCE)
    town.clock.pass_by(timedelta(days=31))
    verifier = new_verifier(town)
    view = use_cases.review_request(town.wallet.presentation_ports(), reviewed(town, verifier))
    assert not view.satisfiable


def test_declining_sends_access_denied_and_nothing_else(town: Town) -> None:
    receive(town, LICENCE)
    verifier = new_verifier(town)
    presentation = reviewed(town, verifier)
    done = wait(use_cases.decline_request(town.wallet.presentation_ports(), town.owner.id, presentation.id))
    assert isinstance(done.state, Declined)
    assert done.state.redirect_uri == "https://verifier.example/back"
    assert verifier.received().error == "access_denied"
    assert [record.kind for record in records(town)] == [RecordKind.REQUEST_DECLINED]
    with pytest.raises(StateConflict):
        answered(town, presentation)


def test_declining_before_looking_posts_nothing(town: Town) -> None:
    verifier = new_verifier(town)
    presentation = given(town, verifier)
    wait(use_cases.decline_request(town.wallet.presentation_ports(), town.owner.id, presentation.id))
    assert verifier.seen == []


def test_a_verifier_that_does_not_hear_the_refusal(town: Town) -> None:
    verifier = new_verifier(town, answer=refusal(500, "server_error"))
    presentation = reviewed(town, verifier)
    done = wait(use_cases.decline_request(town.wallet.presentation_ports(), town.owner.id, presentation.id))
    assert isinstance(done.state, Declined)


@pytest.mark.parametrize(
    ("misbehave", "reason"),
    [
        ({"status": 403}, "bad_request"),
        ({"content_type": "text/html"}, "bad_request"),
        ({"header": {"typ": "JWT"}}, "bad_request"),
        ({"claims": {"client_id": "x509_hash:other"}}, "bad_request"),
        ({"claims": {"aud": "https://other.example"}}, "bad_request"),
        ({"claims": {"redirect_uri": "https://verifier.example/"}}, "bad_request"),
        ({"claims": {"transaction_data": ["e30"]}}, "transaction"),
        ({"without": ("nonce",)}, "bad_request"),
        ({"change_token": lambda token: token[:-4] + "AAAA"}, "bad_request"),
    ],
)
def test_a_bad_request_is_blocked_and_nothing_posted(town: Town, misbehave: dict[str, Any], reason: str) -> None:
    receive(town, LICENCE)
    verifier = new_verifier(town, **misbehave)
    blocked = reviewed(town, verifier)
    assert isinstance(blocked.state, Blocked)
    assert blocked.state.reason == reason
    assert len(verifier.seen) == 1
    assert [record.kind for record in records(town)] == [RecordKind.BLOCKED]


BILL_TEXT = "서울특별시 마포구 (시험용)에 184,000원을 내요"


def hashes_in(verifier: SimulatedVerifier) -> dict[str, list[str]]:
    """What each Key Binding JWT binds, by query id."""
    answer = verifier.received()
    assert isinstance(answer, PresentationResponse)
    proofs = {query_id: texts[0].rpartition("~")[2] for query_id, texts in answer.vp_token.items()}
    return {
        query_id: json.loads(base64url.decode(proof.split(".")[1])).get("transaction_data_hashes", [])
        for query_id, proof in proofs.items()
    }


@pytest.mark.clause("vp-8.4-bound")
def test_what_is_agreed_to_is_said_in_words_bound_and_remembered(town: Town) -> None:
    receive(town, LICENCE)
    verifier = new_verifier(town, policy_query("tax-payment"), agree=[transaction(without=("credential_ids",))])
    presentation = reviewed(town, verifier)
    view = use_cases.review_request(town.wallet.presentation_ports(), presentation)
    assert view.policy is not None
    [agreed] = view.transactions
    assert agreed.sentence["ko"] == BILL_TEXT
    assert ({"ko": "금액", "en": "Amount"}, {"ko": "184,000원", "en": "184,000 won"}) in agreed.lines
    answered(town, presentation)
    assert hashes_in(verifier) == {"licence": [digest(verifier.request.transaction_data[0].text)]}
    [record] = records(town)
    assert record.kind is RecordKind.SENT
    [kept] = record.body["transactions"]
    assert kept["sentence"]["ko"] == BILL_TEXT
    assert {
        "label": {"ko": "납부기한", "en": "Due day"},
        "value": {"ko": "2026년 12월 31일", "en": "31 December 2026"},
    } in kept["lines"]


@pytest.mark.parametrize(
    ("policy", "agree"),
    [
        ("parcel-pickup", [transaction(credential_ids=["licence"])]),
        ("tax-payment", [transaction(DOCUMENT, credential_ids=["licence"])]),
        ("tax-payment", []),
    ],
    ids=["a payment to collect a parcel", "a document to pay tax", "no payment to pay tax"],
)
def test_a_purpose_is_not_believed_where_something_else_is_to_be_agreed_to(
    town: Town, policy: str, agree: list[dict[str, Any]]
) -> None:
    receive(town, LICENCE)
    verifier = new_verifier(town, policy_query(policy), agree=agree)
    view = use_cases.review_request(town.wallet.presentation_ports(), reviewed(town, verifier))
    assert view.satisfiable
    assert view.policy is None


def test_what_was_not_agreed_to_is_remembered_as_that(town: Town) -> None:
    receive(town, LICENCE)
    verifier = new_verifier(town, policy_query("tax-payment"), agree=[transaction(without=("credential_ids",))])
    wait(use_cases.decline_request(town.wallet.presentation_ports(), town.owner.id, reviewed(town, verifier).id))
    [record] = records(town)
    assert record.kind is RecordKind.REQUEST_DECLINED
    assert record.body["transactions"][0]["sentence"]["ko"] == BILL_TEXT
    assert verifier.received().error == "access_denied"


def test_an_mdoc_is_not_offered_where_something_is_to_be_agreed_to(town: Town) -> None:
    receive(town, LICENCE, formats=(FORMAT_SD_JWT_VC, FORMAT_MDOC))
    plain = new_verifier(town, policy_query("parcel-pickup"))
    view = use_cases.review_request(town.wallet.presentation_ports(), reviewed(town, plain))
    assert len(view.groups[0].alternatives) == 2
    agree = [transaction(credential_ids=["licence", "resident_card"])]
    verifier = new_verifier(town, policy_query("parcel-pickup"), agree=agree)
    presentation = reviewed(town, verifier)
    view = use_cases.review_request(town.wallet.presentation_ports(), presentation)
    assert len(view.groups[0].alternatives) == 1
    answered(town, presentation)
    assert set(hashes_in(verifier)) == {"licence"}


def test_without_a_card_that_can_agree_nothing_matches(town: Town) -> None:
    receive(town, LICENCE, formats=(FORMAT_MDOC,))
    agree = [transaction(credential_ids=["licence", "resident_card"])]
    verifier = new_verifier(town, policy_query("parcel-pickup"), agree=agree)
    presentation = reviewed(town, verifier)
    view = use_cases.review_request(town.wallet.presentation_ports(), presentation)
    assert not view.satisfiable
    assert [agreed.sentence["ko"] for agreed in view.transactions] == [BILL_TEXT]


def test_two_cards_and_one_transaction(town: Town) -> None:
    receive(town, LICENCE, RESIDENT)
    agree = [transaction(credential_ids=["resident_certificate", "licence"])]
    verifier = new_verifier(town, agree=agree)
    answered(town, reviewed(town, verifier), send_1="on")
    text = verifier.request.transaction_data[0].text
    assert hashes_in(verifier) == {"licence": [], "resident_certificate": [digest(text)]}


@pytest.mark.parametrize("status", [404, 409, 410])
def test_a_request_that_is_gone_has_ended(town: Town, status: int) -> None:
    ended = reviewed(town, new_verifier(town, status=status))
    assert isinstance(ended.state, Blocked)
    assert ended.state.reason == "expired"
    assert [record.kind for record in records(town)] == [RecordKind.FAILED]


def test_an_untrusted_verifier_is_blocked(town: Town) -> None:
    ca = new_ca()
    from wallet_core.trust.certificates import create_verifier_certificate

    certificate = create_verifier_certificate(
        ca,
        response_uri="https://verifier.example/",
        organization="가짜은행 (시험용)",
        public_key=town.world.verifier_signer.public_key,
        now=town.clock.now() - timedelta(days=1),
        random=lambda size: b"\7" * size,
    )
    from wallet_core.trust.x509 import x509_hash

    chain = (der(certificate),)
    verifier = new_verifier(town, chain=chain, claims={"client_id": f"x509_hash:{x509_hash(chain[0])}"})
    link = verifier.link.replace(verifier.request.client_id.full, f"x509_hash:{x509_hash(chain[0])}")
    presentation = use_cases.take_request_link(town.wallet.presentation_ports(), town.owner.id, link)
    blocked = wait(use_cases.fetch_request(town.wallet.presentation_ports(), town.owner.id, presentation.id))
    assert isinstance(blocked.state, Blocked)
    assert blocked.state.reason == "untrusted"
    assert len(verifier.seen) == 1


def test_a_verifier_that_refuses_the_answer(town: Town) -> None:
    receive(town, LICENCE)
    verifier = new_verifier(town, answer=refusal(400, "invalid_request"))
    failed = answered(town, reviewed(town, verifier))
    assert isinstance(failed.state, Failed)
    assert "400 invalid_request" in failed.state.detail
    [record] = records(town)
    # It has been read all the same: the history must not say that nothing was shown.
    assert (record.kind, record.body["reason"]) == (RecordKind.FAILED, "not_accepted")
    assert record.body["cards"]


@pytest.mark.parametrize("redirect_uri", ["javascript:alert(1)", 7])
def test_a_verifier_that_takes_the_answer_and_sends_nonsense_back(town: Town, redirect_uri: Any) -> None:
    receive(town, LICENCE)
    body = json.dumps({"redirect_uri": redirect_uri}).encode()
    verifier = new_verifier(town, answer=HttpResponse(200, {"content-type": "application/json"}, body))
    done = answered(town, reviewed(town, verifier))
    assert isinstance(done.state, Answered)
    assert done.state.redirect_uri is None
    assert [record.kind for record in records(town)] == [RecordKind.SENT]


def test_a_restart_while_sending(town: Town) -> None:
    receive(town, LICENCE)
    verifier = new_verifier(town)
    presentation = reviewed(town, verifier)
    town.network.hosts["verifier.example"] = _unreachable
    with pytest.raises(FetchError):
        answered(town, presentation)
    assert [record.kind for record in records(town)] == [RecordKind.SENDING]
    town.network.hosts["verifier.example"] = verifier.respond
    done = answered(town.reopened(), presentation)
    assert isinstance(done.state, Answered)
    assert [record.kind for record in records(town)] == [RecordKind.SENT]
    assert answered(town, presentation).state == done.state
    assert len(verifier.seen) == 2


def test_a_second_sending_that_is_refused_stays_unsure(town: Town) -> None:
    receive(town, LICENCE)
    verifier = new_verifier(town)
    presentation = reviewed(town, verifier)
    sign(town, presentation)  # then the process died
    town.clock.pass_by(sending.RETRY_AFTER)
    verifier.answer = refusal(400, "invalid_request")
    assert isinstance(answered(town, presentation).state, Failed)
    assert [record.kind for record in records(town)] == [RecordKind.SENDING]


def test_two_windows_answer_once(town: Town) -> None:
    receive(town, LICENCE)
    verifier = new_verifier(town)
    presentation = reviewed(town, verifier)
    signed = sign(town, presentation)
    assert isinstance(signed.state, Answering)
    with pytest.raises(StateConflict):
        answered(town, presentation)
    with pytest.raises(StateConflict):
        sign(town, presentation)


def test_a_request_waits_half_an_hour(town: Town) -> None:
    presentation = reviewed(town, new_verifier(town))
    town.clock.pass_by(use_cases.UNDECIDED)
    with pytest.raises(NotFound):
        use_cases.show_presentation(town.wallet.presentation_ports(), town.owner.id, presentation.id)


def test_a_deleted_card_answers_nothing(town: Town) -> None:
    receive(town, LICENCE)
    [card] = list_cards(town.wallet.card_ports(), town.owner.id)
    delete_card(town.wallet.card_ports(), town.owner.id, card.id)
    with town.wallet.database.unit() as unit:
        assert unit.connection.exec_driver_sql("SELECT count(*) FROM wallet_copy").scalar() == 0
    view = use_cases.review_request(town.wallet.presentation_ports(), reviewed(town, new_verifier(town)))
    assert not view.satisfiable
    with pytest.raises(NotFound):
        delete_card(town.wallet.card_ports(), town.owner.id, card.id)


def test_an_unknown_query_has_no_known_purpose(town: Town) -> None:
    receive(town, LICENCE)
    query = policy_query("account-opening")
    query["credentials"][0]["claims"].append({"path": ["sex"]})
    view = use_cases.review_request(town.wallet.presentation_ports(), reviewed(town, new_verifier(town, query)))
    assert view.policy is None
    assert view.standing.usual is None


def _unreachable(_: Any) -> HttpResponse:
    raise FetchError("the other server could not be reached")


@pytest.mark.parametrize(
    ("origin", "url", "back"),
    [
        ("https://verifier.example", "https://verifier.example/back?x#y", True),
        ("https://verifier.example", "https://other.example/", False),
        # Of neither a policy header could tell the origin.
        ("", "https://other_one.example/", False),
        ("", "https://verifier.example/", False),
    ],
)
def test_a_browser_goes_back_only_to_an_origin_that_is_known(town: Town, origin: str, url: str, *, back: bool) -> None:
    state = Answered("r-1", url, origin)
    presentation = Presentation("p-1", town.owner.id, 1, state, same_device=True, expires_at=town.clock.now())
    assert presentation.leads_back(url) is back
