"""Who asks, as the wallet shows it: registered, not any more, not at all; and what goes beyond the registration."""

import secrets
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from holder_app.cli_views import Words
from holder_app.credentials.ports import RecordKind
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
    assert standing.purpose == {"ko": "술을 팔 때 나이를 확인해요.", "en": "To check ages."}
    # One language stands in for the other.
    assert standing.retention == {"ko": "Thirty days.", "en": "Thirty days."}
    assert standing.kept_until == town.clock.now() + timedelta(days=30)
    assert (standing.privacy_policy, standing.support) == ("https://gaon.example/privacy", "https://gaon.example/help")
    assert standing.over_asked == ()


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
    assert (known.standing.purpose, known.standing.retention, known.standing.kept_until) == (None, None, None)
    usual = known.standing.usual
    assert usual is not None
    assert usual.purpose == {"ko": known.policy.purpose.ko, "en": known.policy.purpose.en}
    assert [law["ko"] for law in usual.laws] == ["금융실명법", "특정금융정보법"]
    words = Words("en").request(known)
    assert "guess): Banks must check who you are" in words
    assert "guess): Kept for five years" in words
    assert "Why: " not in words
    unknown = seen(town).standing
    assert (unknown.purpose, unknown.retention, unknown.usual, unknown.over_asked) == (None, None, None, ())
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
    assert (body["purpose"], body["retention"], body["kept_until"], body["usual"]) == (None, None, None, None)


def test_the_catalogue_does_not_speak_beside_a_registration(town: Town) -> None:
    view = seen(town, policy_query("account-opening"), claims={"verifier_info": registered()})
    assert view.standing.standing is Standing.REGISTERED
    assert (view.standing.purpose, view.standing.usual) == (
        {"ko": "술을 팔 때 나이를 확인해요.", "en": "To check ages."},
        None,
    )


def test_a_registration_that_ended_gives_no_purpose(town: Town) -> None:
    ended = seen(town, claims={"verifier_info": registered(exp=int(NOW.timestamp()))})
    assert ended.standing.standing is Standing.EXPIRED
    assert (ended.standing.until, ended.standing.purpose, ended.standing.name) == (NOW, None, None)
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
    assert body["purpose"] == {"ko": "술을 팔 때 나이를 확인해요.", "en": "To check ages."}


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
