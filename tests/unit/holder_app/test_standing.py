"""Who asks, as the wallet shows it: registered, not any more, not at all; and what goes beyond the registration."""

import secrets
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from holder_app.accounts.ports import AccountId
from holder_app.cli_views import Words
from holder_app.credentials.pages import registered_uses
from holder_app.credentials.ports import HistoryRecord, RecordKind
from holder_app.credentials.use_cases import list_history
from holder_app.presentation import use_cases
from holder_app.presentation.describe import RequestView
from holder_app.presentation.standing import StandingView
from holder_app.presentation.states import Blocked, Declined, Presentation
from tests.support.presentations import NOW, RESPONSE_URI, der, new_world
from tests.support.registering import OTHER_ID, PARTY_ID, info, register, registration_claims
from tests.support.wallets import CATALOGUE, LICENCE, Town, new_town, new_verifier, policy_query, receive, wait
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.protocols.openid4vp.client_id import ClientIdPrefix, parse_client_id
from wallet_core.protocols.openid4vp.request import create_unsigned_link
from wallet_core.protocols.openid4vp.verifier_info import Standing
from wallet_core.trust.certificates import create_verifier_certificate

REGISTER = register()
VCT = CATALOGUE.types["drivers-licence"].vct
UNREGISTERED_QUERY: dict[str, Any] = {
    "credentials": [
        {
            "id": "licence",
            "format": "dc+sd-jwt",
            "meta": {"vct_values": [VCT]},
            "claims": [{"path": ["adult_by_year"]}, {"path": ["name"]}, {"path": ["address", "full"]}],
        }
    ]
}


ADULT = {"ko": "청소년 보호법의 성인 나이", "en": "Adult by calendar year (Youth Protection Act)"}


@pytest.fixture
def town(tmp_path: Path) -> Town:
    """A wallet that trusts a register, and a verifier with a number in it."""
    world, key = new_world(), SoftwareSigner.generate()
    certificate = create_verifier_certificate(
        world.verifier_ca,
        response_uri=RESPONSE_URI,
        organization="모퉁이편의점 (시험용)",
        public_key=key.public_key,
        now=NOW - timedelta(days=1),
        random=secrets.token_bytes,
        organization_id=PARTY_ID,
    )
    town = new_town(
        tmp_path,
        replace(
            world,
            verifier_signer=key,
            verifier_chain=(der(certificate),),
            more_anchors=tuple(REGISTER.anchors.anchors[1:]),
        ),
    )
    receive(town, LICENCE)
    return town


def registered(*claims: Any, **changes: Any) -> list[dict[str, Any]]:
    """``verifier_info`` with a registration for claims of the licence."""
    credentials = [
        {
            "format": "dc+sd-jwt",
            "meta": {"vct_values": [VCT]},
            "claim": [{"path": list(path)} for path in claims or [("adult_by_year",)]],
        }
    ]
    return [info(REGISTER.registration(registration_claims(**{"credentials": credentials, **changes})))]


def fetched(town: Town, query: Any = None, **misbehave: Any) -> Presentation:
    verifier = new_verifier(town, query or UNREGISTERED_QUERY, **misbehave)
    ports = town.wallet.presentation_ports()
    return wait(
        use_cases.fetch_request(
            ports, town.owner.id, use_cases.take_request_link(ports, town.owner.id, verifier.link).id
        )
    )


def seen(town: Town, query: Any = None, **misbehave: Any) -> RequestView:
    presentation = fetched(town, query, **misbehave)
    return use_cases.review_request(town.wallet.presentation_ports(), presentation)


def kept_of(town: Town, kind: RecordKind) -> dict[str, Any]:
    """The one line of that kind in the history."""
    (record,) = [each for each in list_history(town.wallet.card_ports(), town.owner.id) if each.kind is kind]
    return record.body


def test_a_registered_verifier_shows_purpose_retention_and_addresses(town: Town) -> None:
    days = {"days": 30, "text": [{"lang": "en", "value": "Thirty days."}]}
    infos = registered(("adult_by_year",), ("name",), ("address",), jigap_retention=days)
    standing = seen(town, claims={"verifier_info": infos}).standing
    assert standing.standing is Standing.REGISTERED
    assert standing.name == {"ko": "가온편의점 (시험용)", "en": "Gaon Store (test)"}
    [use] = standing.uses
    assert use.purpose == {"ko": "술을 팔 때 나이를 확인해요.", "en": "To check ages."}
    # One language stands in for the other.
    assert use.retention == {"ko": "Thirty days.", "en": "Thirty days."}
    assert use.kept_until == town.clock.now() + timedelta(days=30)
    assert (use.privacy_policy, use.support) == ("https://gaon.example/privacy", "https://gaon.example/help")
    assert (standing.over_asked, standing.divided) == ((), False)


def test_each_over_asked_claim_is_warned_of_by_name(town: Town) -> None:
    view = seen(town, claims={"verifier_info": registered()})
    (pick,) = view.groups[0].alternatives[0]
    assert {asked.field.path for asked in pick.asked if asked.over_asked} == {("name",), ("address", "full")}
    assert [label["en"] for label in view.standing.over_asked] == ["Name", "Address, in full"]
    words = Words("en").request(view)
    assert "[caution] they ask for more than registered: Name, Address, in full" in words
    assert words.count("[caution] not registered for this") == 2
    assert "Gaon Store (test) asks" in words
    assert "[registered]" in words
    assert "https://gaon.example/privacy" in words
    assert "등록하지 않고 묻는 것" in Words("ko").request(view)


def test_an_over_asked_extra_is_warned_of(town: Town) -> None:
    query = {"credentials": [dict(UNREGISTERED_QUERY["credentials"][0])]}
    query["credentials"][0]["claims"] = [
        {"id": "a", "path": ["adult_by_year"]}, {"id": "n", "path": ["name"]}, {"id": "s", "path": ["sex"]},
    ]  # fmt: skip
    query["credentials"][0]["claim_sets"] = [["a", "n"], ["a"]]
    view = seen(town, query, claims={"verifier_info": registered()})
    (pick,) = view.groups[0].alternatives[0]
    assert [asked.over_asked for asked in pick.asked] == [False]
    assert [extra.over_asked for extra in pick.extras] == [True]
    assert "[caution] not registered for this" in Words("en").request(view)


def test_without_registration_the_wallet_guesses_from_the_catalogue_and_says_so(town: Town) -> None:
    known = seen(town, policy_query("account-opening"))
    assert known.standing.standing is Standing.UNREGISTERED
    assert known.policy is not None
    assert known.standing.uses == ()
    usual = known.standing.usual
    assert usual is not None
    assert usual.purpose == {"ko": known.policy.purpose.ko, "en": known.policy.purpose.en}
    assert [law["ko"] for law in usual.laws] == ["금융실명법", "특정금융정보법"]
    words = Words("en").request(known)
    assert "guess): Banks must check who you are" in words
    assert "guess): Kept for five years" in words
    assert "Why: " not in words
    unknown = seen(town).standing
    assert (unknown.uses, unknown.usual, unknown.over_asked) == ((), None, ())
    assert "[caution] not registered" in Words("en").request(seen(town))


def test_nobody_whom_nobody_vouches_for_borrows_a_purpose(town: Town) -> None:
    request = replace(
        town.world.request(policy_query("account-opening"), prefix=ClientIdPrefix.REDIRECT_URI, encrypted=False),
        client_id=parse_client_id("redirect_uri:https://evil.example/r"),
        response_uri="https://evil.example/r",
    )
    ports = town.wallet.presentation_ports()
    given = use_cases.take_request_link(ports, town.owner.id, create_unsigned_link("openid4vp:", request))
    presentation = wait(use_cases.fetch_request(ports, town.owner.id, given.id))
    view = use_cases.review_request(ports, presentation)
    assert not view.verifier.verified
    assert (view.policy, view.standing) == (None, StandingView())
    words = Words("en").request(view)
    assert "evil.example asks" in words
    assert not [word for word in ("Banks", "five years", "Real Name") if word in words]
    wait(use_cases.decline_request(ports, town.owner.id, presentation.id))
    body = kept_of(town, RecordKind.REQUEST_DECLINED)
    assert (body["uses"], body["usual"]) == ([], None)


def test_the_catalogue_does_not_speak_beside_a_registration(town: Town) -> None:
    view = seen(town, policy_query("account-opening"), claims={"verifier_info": registered()})
    assert view.standing.standing is Standing.REGISTERED
    assert view.standing.usual is None
    # The registration is about another claim than the query of account opening.
    assert view.standing.uses == ()
    assert "Why" not in Words("en").request(view)


def age_and_marketing(**changes: Any) -> list[dict[str, Any]]:
    """Two registrations of one party: a harmless one, and after it a wide one."""
    days = {"days": 3650, "text": [{"lang": "ko", "value": "10년 보관해요."}, {"lang": "en", "value": "Ten years."}]}
    purpose = [{"lang": "ko", "value": "광고를 보내요."}, {"lang": "en", "value": "To send advertising."}]
    changes = {
        "purpose": purpose,
        "jigap_retention": days,
        "exp": int((NOW + timedelta(days=9)).timestamp()),
        **changes,
    }
    return [*registered(), *registered(("name",), ("address",), **changes)]


def test_of_two_registrations_the_one_that_covers_what_is_asked_speaks(town: Town) -> None:
    claims = [{"path": ["name"]}, {"path": ["address", "full"]}]
    query = {"credentials": [{**UNREGISTERED_QUERY["credentials"][0], "claims": claims}]}
    view = seen(town, query, claims={"verifier_info": age_and_marketing()})
    [use] = view.standing.uses
    assert (use.purpose["en"], use.retention and use.retention["en"]) == ("To send advertising.", "Ten years.")
    assert use.kept_until == town.clock.now() + timedelta(days=3650)
    assert (view.standing.over_asked, view.standing.until) == ((), NOW + timedelta(days=9))
    words = Words("en").request(view)
    assert "To send advertising." in words
    assert "To check ages." not in words


def test_each_registration_is_shown_with_what_it_covers_and_the_rest_warned_of(town: Town) -> None:
    claims = [*UNREGISTERED_QUERY["credentials"][0]["claims"], {"path": ["sex"]}]
    query = {"credentials": [{**UNREGISTERED_QUERY["credentials"][0], "claims": claims}]}
    presentation = fetched(town, query, claims={"verifier_info": age_and_marketing()})
    ports = town.wallet.presentation_ports()
    view = use_cases.review_request(ports, presentation)
    shown = [(use.purpose["en"], [label["ko"] for label in use.claims]) for use in view.standing.uses]
    # What is kept longest stands first.
    assert shown == [("To send advertising.", ["이름", "주소 전체"]), ("To check ages.", [ADULT["ko"]])]
    assert [label["en"] for label in view.standing.over_asked] == ["Sex"]
    words = Words("en").request(view)
    assert "Why (Name, Address, in full): To send advertising." in words
    assert "How long it is kept (Name, Address, in full): Ten years." in words
    assert f"Why ({ADULT['en']}): To check ages." in words
    wait(use_cases.decline_request(ports, town.owner.id, presentation.id))
    kept = kept_of(town, RecordKind.REQUEST_DECLINED)["uses"]
    assert [(use["purpose"]["en"], len(use["claims"])) for use in kept] == [
        ("To send advertising.", 2),
        ("To check ages.", 1),
    ]


def test_who_does_not_say_how_long_stands_before_who_does(town: Town) -> None:
    view = seen(
        town, claims={"verifier_info": [*age_and_marketing(), *registered(("sex",), ("name",), jigap_retention=...)]}
    )
    assert [use.retention and use.retention["en"] for use in view.standing.uses] == [None, "Ten years.", "Not kept."]
    assert "How long it is kept (Name): they do not say" in Words("en").request(view)


def test_a_registration_that_ended_gives_no_purpose(town: Town) -> None:
    ended = seen(town, claims={"verifier_info": registered(exp=int(NOW.timestamp()))})
    assert ended.standing.standing is Standing.EXPIRED
    assert (ended.standing.until, ended.standing.uses, ended.standing.name) == (NOW, (), None)
    assert ended.name["ko"] == "모퉁이편의점 (시험용)"
    assert f"ended on {NOW:%Y-%m-%d}" in Words("en").request(ended)


def test_a_registration_of_somebody_else_is_blocked_and_nothing_posted(town: Town) -> None:
    blocked = fetched(town, claims={"verifier_info": registered(sub=OTHER_ID)})
    assert isinstance(blocked.state, Blocked)
    assert blocked.state.reason == "registration"
    assert kept_of(town, RecordKind.BLOCKED)["reason"] == "registration"


def test_the_history_keeps_who_asked_for_too_much(town: Town) -> None:
    presentation = fetched(town, claims={"verifier_info": registered()})
    done = wait(use_cases.decline_request(town.wallet.presentation_ports(), town.owner.id, presentation.id))
    assert isinstance(done.state, Declined)
    body = kept_of(town, RecordKind.REQUEST_DECLINED)
    kept: Any = body["registration"]
    assert (kept["standing"], kept["name"]["en"]) == ("registered", "Gaon Store (test)")
    assert [label["ko"] for label in kept["over_asked"]] == ["이름", "주소 전체"]
    [use] = body["uses"]
    assert use["purpose"] == {"ko": "술을 팔 때 나이를 확인해요.", "en": "To check ages."}
    assert [label["ko"] for label in use["claims"]] == [ADULT["ko"]]


@pytest.mark.parametrize(
    ("query", "labels"),
    [
        ({"meta": {"vct_values": ["urn:unknown:1"]}, "claims": [{"path": ["shoe_size", None]}]}, ["shoe size"]),
        ({"meta": {"vct_values": ["urn:unknown:1"]}}, ["urn:unknown:1"]),
        (
            {"meta": {"vct_values": [CATALOGUE.types["resident-certificate"].vct]}},
            ["Resident certificate (household)"],
        ),
    ],
    ids=["unknown claim", "unknown type", "known type"],
)
def test_what_the_catalogue_does_not_know_is_named_all_the_same(town: Town, query: Any, labels: list[str]) -> None:
    whole = {"credentials": [{"id": "c", "format": "dc+sd-jwt", **query}]}
    standing = seen(town, whole, claims={"verifier_info": registered()}).standing
    assert [label["en"] for label in standing.over_asked] == labels


@pytest.mark.parametrize("standing", ["registered", "unregistered"])
def test_an_old_receipt_says_why_only_where_a_register_said_it(standing: str) -> None:
    body = {
        "purpose": {"ko": "술을 팔 때 나이를 확인해요.", "en": "To check ages."},
        "retention": None,
        "kept_until": NOW.isoformat(),
        "registration": {"standing": standing},
    }
    found = registered_uses(HistoryRecord("r-1", AccountId("a-1"), RecordKind.SENT, NOW, body))
    assert [(use["purpose"], use["kept_until"]) for use in found] == (
        [(body["purpose"], NOW)] if standing == "registered" else []
    )
