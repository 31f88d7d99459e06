"""A wallet with mdocs: receiving, showing, presenting, deleting."""

from datetime import timedelta
from typing import Any

import pytest

from holder_app.credentials.describe import describe_card, describe_claims, published_display
from holder_app.credentials.ports import CardStatus, RecordKind
from holder_app.credentials.use_cases import delete_card, list_cards, list_history, show_card
from holder_app.issuance import use_cases as issuing
from holder_app.issuance.describe import describe_offer
from holder_app.issuance.states import Failed, Issuance, Kept, Preview, Reviewed
from holder_app.presentation import use_cases
from holder_app.presentation.describe import RequestView, divide_fields
from holder_app.presentation.states import Answered, Answering, Declined, Presentation
from tests.simulators.verifier import SimulatedVerifier, refusal
from tests.support.mdoc_presentations import MdocAgency, mdoc_query
from tests.support.presentations import NOW, query
from tests.support.wallets import (
    CATALOGUE,
    LICENCE,
    Town,
    agree,
    licence_offer,
    new_verifier,
    policy_query,
    receive,
    reviewed,
    wait,
)
from tests.unit.holder_app.test_describe import card
from wallet_core.encoding import base64url
from wallet_core.errors import FetchError, NotFound
from wallet_core.formats.mdoc.structures import ValidityInfo
from wallet_core.formats.mdoc.verifier import VerifiedMdoc
from wallet_core.keys.jwk import thumbprint
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.protocols.openid4vp.mdoc import request_transcript, verify_presentation
from wallet_core.protocols.openid4vp.response import PresentationResponse
from wallet_core.spec_versions import DOCTYPE_MDL, FORMAT_MDOC, FORMAT_SD_JWT_VC, NAMESPACE_MDL, NAMESPACE_MDL_KR
from wallet_core.trust.anchors import AnchorPurpose
from wallet_core.trust.x509 import verify_chain
from wallet_core.types import DocType

BOTH = (FORMAT_SD_JWT_VC, FORMAT_MDOC)
MDOC = (FORMAT_MDOC,)
HOUR = NOW.replace(minute=0)
NAME, SEX, BORN = (NAMESPACE_MDL, "family_name"), (NAMESPACE_MDL, "sex"), (NAMESPACE_MDL, "birth_date")


# --- receiving --------------------------------------------------------------------------------------------------------
def offered(town: Town, formats: tuple[str, ...] = MDOC) -> Issuance:
    town.issuer.offer = licence_offer(LICENCE, tx_code=False, formats=formats)
    ports = town.wallet.issuance_ports()
    given = issuing.take_offer_link(ports, town.owner.id, town.issuer.link)
    return wait(issuing.fetch_offer(ports, town.owner.id, given.id))


def accepted(town: Town, formats: tuple[str, ...] = MDOC) -> Issuance:
    return wait(issuing.accept_offer(town.wallet.issuance_ports(), town.owner.id, offered(town, formats).id, None))


def kinds(town: Town) -> list[RecordKind]:
    return [record.kind for record in list_history(town.wallet.card_ports(), town.owner.id)]


def test_an_offer_of_two_formats_says_which_card_is_which(town: Town) -> None:
    state = offered(town, BOTH).state
    assert isinstance(state, Reviewed)
    first, second = describe_offer(state.offer, CATALOGUE).cards
    assert (first.name["en"], second.name["en"]) == (LICENCE.name.en, f"{LICENCE.name.en} (ISO)")
    labels = [label["ko"] for label in second.claims]
    assert len(set(labels)) == len(labels)
    assert {"생년월일", "사진"} < set(labels)


def test_two_formats_are_two_cards_with_a_key_for_each_copy(town: Town) -> None:
    issuance = accepted(town, BOTH)
    assert isinstance(issuance.state, Preview)
    done = wait(issuing.keep_cards(town.wallet.issuance_ports(), town.owner.id, issuance.id))
    assert isinstance(done.state, Kept)
    cards = {one.name["en"]: one for one in list_cards(town.wallet.card_ports(), town.owner.id)}
    assert set(cards) == {LICENCE.name.en, f"{LICENCE.name.en} (ISO)"}
    mdoc = cards[f"{LICENCE.name.en} (ISO)"]
    assert (mdoc.copies, mdoc.issuer_name, mdoc.expires_at) == (3, town.issuer.mdocs.name, HOUR + timedelta(days=30))
    assert mdoc.cloth == LICENCE.cloth
    with town.wallet.database.unit() as unit:
        rows = unit.connection.exec_driver_sql("SELECT format, type FROM wallet_card ORDER BY format").all()
    assert [tuple(row) for row in rows] == [(FORMAT_SD_JWT_VC, LICENCE.vct), (FORMAT_MDOC, DOCTYPE_MDL)]


def _other_iaca(issuer: Any) -> None:
    issuer.mdocs = MdocAgency()


def _other_issuer(issuer: Any) -> None:
    issuer.mdocs = MdocAgency(issuer.mdocs.iaca, issuer="https://issuer.example/agencies/tax")


def _other_country(issuer: Any) -> None:
    issuer.mdoc_changes = {"name_spaces": {NAMESPACE_MDL: {"family_name": "HAN", "issuing_country": "UT"}}}


def _other_signature(issuer: Any) -> None:
    issuer.mdoc_changes = {"signer": SoftwareSigner.generate(), "x5chain": issuer.mdocs.chain()}


def _signed_by_the_other_ca(issuer: Any) -> None:
    chain = issuer.agency.chain()
    issuer.mdoc_changes = {"signer": issuer.agency.signer, "x5chain": chain}


def _validity(start: timedelta, end: timedelta, signed: timedelta = timedelta(0)) -> Any:
    validity = ValidityInfo(HOUR + signed, HOUR + start, HOUR + end)
    return lambda issuer: issuer.mdoc_changes.update(validity=validity)


def _other_key(issuer: Any) -> None:
    issuer.holder_key = SoftwareSigner.generate()


def _no_json(value: Any) -> Any:
    return lambda issuer: issuer.mdoc_changes.update(name_spaces={"org.example.1": {"odd": value}})


def _an_sd_jwt(issuer: Any) -> None:
    issuer.sign_mdoc = issuer.sign


@pytest.mark.clause("mdoc-18013.9.3.1-chain-wallet", "vp-B.2.1-sayable", "vci-8.3-our-device-key")
@pytest.mark.parametrize(
    ("misbehave", "reason"),
    [
        pytest.param(_an_sd_jwt, "bad_credential", id="1 another format"),
        pytest.param(_other_iaca, "untrusted", id="2 root"),
        pytest.param(_signed_by_the_other_ca, "untrusted", id="2 root for SD-JWT VCs"),
        pytest.param(_other_issuer, "untrusted", id="2 another issuer's signer"),
        pytest.param(_other_signature, "bad_credential", id="3 signature"),
        pytest.param(
            lambda issuer: issuer.mdoc_changes.update(doc_type="org.iso.7367.1.mVRC"), "bad_credential", id="3 type"
        ),
        pytest.param(
            _validity(timedelta(hours=-5), timedelta(hours=-1), timedelta(hours=-5)), "bad_credential", id="3 expired"
        ),
        pytest.param(_validity(timedelta(1), timedelta(2)), "bad_credential", id="3 not yet"),
        pytest.param(
            _validity(timedelta(0), timedelta(9), timedelta(-9)), "bad_credential", id="3 signed before the certificate"
        ),
        pytest.param(_other_country, "untrusted", id="4 country"),
        pytest.param(_other_key, "bad_credential", id="5 device key"),
        pytest.param(_no_json({True: 1}), "bad_credential", id="6 a key that JSON does not have"),
        pytest.param(_no_json({1: "a", "1": "b"}), "bad_credential", id="6 two keys that become one"),
    ],
)
def test_a_bad_mdoc_is_never_stored(town: Town, misbehave: Any, reason: str) -> None:
    misbehave(town.issuer)
    failed = accepted(town)
    assert isinstance(failed.state, Failed)
    assert failed.state.reason == reason, failed.state.detail
    assert list_cards(town.wallet.card_ports(), town.owner.id) == ()
    assert kinds(town) == [RecordKind.BLOCKED]
    assert b"credential_failure" in town.issuer.seen[-1].body


def test_a_changed_element_is_never_stored(town: Town) -> None:
    honest = town.issuer.sign_mdoc

    def tampered(*arguments: Any) -> str:
        data = base64url.decode(honest(*arguments))
        assert data.count(b"JIWOO") + data.count(b"Jiwoo") >= 1
        return base64url.encode(data.replace(b"JIWOO", b"JIWON").replace(b"Jiwoo", b"Jiwon"))

    town.issuer.sign_mdoc = tampered  # type: ignore[method-assign]
    failed = accepted(town)
    assert isinstance(failed.state, Failed)
    assert failed.state.reason == "bad_credential"


def test_an_mdoc_where_an_sd_jwt_was_asked_for(town: Town) -> None:
    town.issuer.sign = town.issuer.sign_mdoc  # type: ignore[method-assign]
    failed = accepted(town, (FORMAT_SD_JWT_VC,))
    assert isinstance(failed.state, Failed)
    assert failed.state.reason == "bad_credential"


def test_one_bad_card_of_two_keeps_both_out(town: Town) -> None:
    _other_key(town.issuer)
    assert isinstance(accepted(town, BOTH).state, Failed)
    assert list_cards(town.wallet.card_ports(), town.owner.id) == ()


# --- showing ----------------------------------------------------------------------------------------------------------
def test_a_card_in_words(town: Town) -> None:
    receive(town, LICENCE, formats=MDOC)
    [listed] = list_cards(town.wallet.card_ports(), town.owner.id)
    view = show_card(town.wallet.card_ports(), town.owner.id, listed.id)
    fields = {field.path: field for field in view.fields}
    assert len(fields) == len(view.fields)
    assert {path[0] for path in fields} == {NAMESPACE_MDL, NAMESPACE_MDL_KR}
    assert all(len(path) == 2 for path in fields)
    assert fields[BORN].label["ko"] == "생년월일"
    assert fields[SEX].words == {"ko": "여", "en": "female"}
    portrait = fields[(NAMESPACE_MDL, "portrait")]
    assert portrait.is_image
    assert portrait.value == LICENCE.example_record["portrait"]
    assert portrait.to_json()["value"] is None
    # In the catalogue's order, and none twice.
    known = [LICENCE.claim_at(field.path) for field in view.fields]
    order = [LICENCE.claims.index(claim) for claim in known if claim]
    assert order == sorted(order)
    assert len(known) == len(order)


def test_the_front_is_that_of_the_other_format(town: Town) -> None:
    receive(town, LICENCE, formats=BOTH)
    first, second = list_cards(town.wallet.card_ports(), town.owner.id)
    assert [field.label for field in first.front] == [field.label for field in second.front]
    assert len(first.front) == len(LICENCE.front)


def test_what_the_catalogue_does_not_know_of_a_type_comes_last() -> None:
    claims: Any = {NAMESPACE_MDL: {"new_element": 1, "sex": 2}, "own": {"shoe_size": 240}}
    fields = describe_claims(claims, LICENCE, {}, is_mdoc=True)
    assert [field.path for field in fields] == [SEX, (NAMESPACE_MDL, "new_element"), ("own", "shoe_size")]
    assert [field.label["en"] for field in fields[1:]] == ["new element", "shoe size"]
    assert fields[2].mask == "hidden"


def test_an_mdoc_type_of_a_stranger_is_named_by_its_issuer() -> None:
    document = {
        "credential_metadata": {
            "display": [{"name": "Vehicle", "locale": "en"}],
            "claims": [
                {"path": ["org.iso.7367.1", "plate"], "display": [{"name": "Number plate", "locale": "en"}]},
                {"path": ["org.iso.7367.1", "absent"], "display": [{"name": "Absent", "locale": "en"}]},
                {"path": ["org.iso.7367.1", None]},
            ],
        }
    }
    held = card("org.iso.7367.1.mVRC", format=FORMAT_MDOC, display=published_display(document))
    view = describe_card(held, {"org.iso.7367.1": {"seats": 4, "plate": "12가 3456"}}, CATALOGUE, NOW)
    assert view.name == {"ko": "Vehicle", "en": "Vehicle"}
    assert [(field.path[1], field.label["en"]) for field in view.fields] == [
        ("plate", "Number plate"),
        ("seats", "seats"),
    ]


def test_a_withdrawn_mdoc_says_so() -> None:
    held = card(DOCTYPE_MDL, format=FORMAT_MDOC, status=CardStatus.REVOKED)
    assert describe_card(held, {}, CATALOGUE, NOW).state == "revoked"


def test_an_element_of_a_strangers_namespace_is_hidden_until_it_is_shown() -> None:
    held = card(DOCTYPE_MDL, format=FORMAT_MDOC)
    claims: Any = {"own": {"shoe_size": 240, "hat_size": 58}}
    sent, anyway, hidden = divide_fields(held, claims, [("own", "shoe_size")], (), CATALOGUE, None)
    assert [[field.path[1] for field in part] for part in (sent, anyway, hidden)] == [["shoe_size"], [], ["hat_size"]]


# --- presenting -------------------------------------------------------------------------------------------------------
def view_of(town: Town, presentation: Presentation) -> RequestView:
    return use_cases.review_request(town.wallet.presentation_ports(), presentation)


def answered(town: Town, presentation: Presentation, **answers: str) -> Presentation:
    named = {name.replace("_", "-"): value for name, value in answers.items()}
    return agree(town, presentation, named)


def shown(town: Town, verifier: SimulatedVerifier, query_id: str = "mdl") -> VerifiedMdoc:
    """What came, verified as a verifier does."""
    answer = verifier.received()
    assert isinstance(answer, PresentationResponse)
    assert set(answer.vp_token) == {query_id}
    [text] = answer.vp_token[query_id]  # type: ignore[index]
    anchors = town.issuer.mdocs.anchors
    return verify_presentation(
        text,
        doc_type=DocType(DOCTYPE_MDL),
        session_transcript=request_transcript(verifier.request),
        verify_chain=lambda chain, at: verify_chain(chain, anchors, purpose=AnchorPurpose.MDL_ISSUER, at=at),
        now=town.clock.now(),
        leeway=timedelta(0),
    ).mdoc


def elements(mdoc: VerifiedMdoc) -> set[tuple[str, str]]:
    return {(name_space, element) for name_space, found in mdoc.claims.items() for element in found}


def test_only_the_elements_asked_for_are_shown(town: Town) -> None:
    receive(town, LICENCE, formats=MDOC)
    verifier = new_verifier(town, mdoc_query(NAME, BORN))
    presentation = reviewed(town, verifier)
    [pick] = view_of(town, presentation).groups[0].alternatives[0]
    assert [asked.field.path for asked in pick.asked] == [NAME, BORN]
    assert pick.always == ()
    assert SEX in {field.path for field in pick.hidden}
    assert isinstance(answered(town, presentation).state, Answered)
    assert elements(shown(town, verifier)) == {NAME, BORN}
    record = next(r for r in list_history(town.wallet.card_ports(), town.owner.id) if r.kind is RecordKind.SENT)
    cards: Any = record.body["cards"]
    [kept] = cards
    assert kept["name"]["en"] == f"{LICENCE.name.en} (ISO)"
    assert [entry["path"] for entry in kept["sent"]] == [list(NAME), list(BORN)]
    assert kept["sent"][1]["value"] == LICENCE.example_record["birth_date"]
    assert kept["anyway"] == []
    assert list(SEX) in [entry["path"] for entry in kept["hidden"]]
    assert len(kept["hidden"]) == len(pick.hidden)


def test_of_two_formats_the_person_chooses(town: Town) -> None:
    receive(town, LICENCE, formats=BOTH)
    verifier = new_verifier(town, policy_query("car-rental"))
    presentation = reviewed(town, verifier)
    view = view_of(town, presentation)
    assert view.policy is not None
    [group] = view.groups
    names = [[pick.name["en"] for pick in picks] for picks in group.alternatives]
    # The mdoc shows nothing that was not asked for; an SD-JWT VC always names its issuer as well.
    assert names == [[f"{LICENCE.name.en} (ISO)"], [LICENCE.name.en]]
    # What the policy says it does not ask for comes first among the hidden.
    first = LICENCE.claim_at(group.alternatives[0][0].hidden[0].path)
    assert first is not None
    assert first.path[0] in {entry.path[0] for entry in view.policy.not_asked}
    answered(town, presentation, group_0="0")
    assert elements(shown(town, verifier, "licence_mdoc")) == {
        (NAMESPACE_MDL_KR, "may_drive_ordinary_car"),
        (NAMESPACE_MDL, "expiry_date"),
        (NAMESPACE_MDL, "portrait"),
    }


def test_a_yes_stands_in_for_what_stays_hidden(town: Town) -> None:
    receive(town, LICENCE, formats=MDOC)
    verifier = new_verifier(town, mdoc_query((NAMESPACE_MDL, "age_over_19")))
    [pick] = view_of(town, reviewed(town, verifier)).groups[0].alternatives[0]
    assert pick.asked[0].instead_of == {"ko": "생년월일", "en": "Date of birth"}
    verifier = new_verifier(town, mdoc_query((NAMESPACE_MDL, "age_over_19"), BORN))
    [pick] = view_of(town, reviewed(town, verifier)).groups[0].alternatives[0]
    assert pick.asked[0].instead_of is None


@pytest.mark.parametrize(
    ("claim", "fits"),
    [
        ({"path": list(SEX), "values": [1, 2]}, True),
        ({"path": list(SEX), "values": [1]}, False),
        ({"path": list(SEX), "values": ["2"]}, False),
        ({"path": list(BORN), "values": ["1993-05-14"]}, True),
        ({"path": list(BORN), "values": ["1993-05-15"]}, False),
        ({"path": [NAMESPACE_MDL, "age_over_19"], "values": [True]}, True),
        ({"path": [NAMESPACE_MDL, "age_over_19"], "values": [1]}, False),
        ({"path": [NAMESPACE_MDL, "nothing_like_it"]}, False),
        ({"path": ["org.example", "sex"]}, False),
    ],
)
def test_values_are_compared_as_json(town: Town, claim: dict[str, Any], fits: bool) -> None:  # noqa: FBT001
    receive(town, LICENCE, formats=MDOC)
    assert view_of(town, reviewed(town, new_verifier(town, mdoc_query(claim)))).satisfiable is fits


def test_an_mdoc_answers_no_query_for_an_sd_jwt(town: Town) -> None:
    receive(town, LICENCE, formats=MDOC)
    assert not view_of(town, reviewed(town, new_verifier(town, query(("name",))))).satisfiable
    receive(town, LICENCE)
    other = mdoc_query(NAME, meta={"doctype_value": LICENCE.vct})
    assert not view_of(town, reviewed(town, new_verifier(town, other))).satisfiable


def test_a_restart_while_sending_repeats_the_same_bytes(town: Town) -> None:
    receive(town, LICENCE, formats=MDOC)
    verifier = new_verifier(town, mdoc_query(NAME))
    presentation = reviewed(town, verifier)
    down = town.network.hosts.pop("verifier.example")
    with pytest.raises(FetchError):
        answered(town, presentation)
    other = town.reopened()
    other.network.hosts["verifier.example"] = down
    ports = other.wallet.presentation_ports()
    waiting = use_cases.show_presentation(ports, town.owner.id, presentation.id)
    assert isinstance(waiting.state, Answering)
    done = wait(use_cases.answer_request(ports, town.owner.id, presentation.id, {}))
    assert isinstance(done.state, Answered)
    assert elements(shown(other, verifier)) == {NAME}


def test_declining(town: Town) -> None:
    receive(town, LICENCE, formats=MDOC)
    verifier = new_verifier(town, mdoc_query(NAME))
    presentation = reviewed(town, verifier)
    done = wait(use_cases.decline_request(town.wallet.presentation_ports(), town.owner.id, presentation.id))
    assert isinstance(done.state, Declined)
    assert verifier.received().error == "access_denied"


def test_a_verifier_that_refuses(town: Town) -> None:
    receive(town, LICENCE, formats=MDOC)
    verifier = new_verifier(town, mdoc_query(NAME), answer=refusal(400, "invalid_request"))
    answered(town, reviewed(town, verifier))
    [record] = list_history(town.wallet.card_ports(), town.owner.id, [RecordKind.FAILED])
    assert record.body["reason"] == "not_accepted"


def test_each_answer_takes_another_copy(town: Town) -> None:
    receive(town, LICENCE, formats=MDOC)
    keys = set()
    for _ in range(3):
        verifier = new_verifier(town, mdoc_query(NAME))
        answered(town, reviewed(town, verifier))
        keys.add(thumbprint(shown(town, verifier).device_key))
    assert len(keys) == 3


# --- deleting ---------------------------------------------------------------------------------------------------------
def test_a_deleted_mdoc_leaves_its_name_only(town: Town) -> None:
    receive(town, LICENCE, formats=BOTH)
    ports = town.wallet.card_ports()
    mdoc = next(one for one in list_cards(ports, town.owner.id) if one.name["en"].endswith("(ISO)"))
    cards: Any = delete_card(ports, town.owner.id, mdoc.id).body["cards"]
    assert cards[0]["name"] == mdoc.name
    assert [one.name["en"] for one in list_cards(ports, town.owner.id)] == [LICENCE.name.en]
    with pytest.raises(NotFound):
        delete_card(ports, town.owner.id, mdoc.id)
    with town.wallet.database.unit() as unit:
        copies = unit.connection.exec_driver_sql("SELECT count(*) FROM wallet_copy").scalar()
    assert copies == 3
