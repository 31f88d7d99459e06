"""Receiving cards: every state, every refusal, crashes between the steps."""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from holder_app.credentials.ports import RecordKind
from holder_app.credentials.use_cases import list_cards, list_history
from holder_app.issuance import receiving, use_cases
from holder_app.issuance.states import (
    Declined,
    Failed,
    Given,
    Issuance,
    Kept,
    Preview,
    Reason,
    Redeeming,
    Reviewed,
    Signing,
)
from holder_app.ports import UNDER_WAY
from tests.support.presentations import Agency, new_ca
from tests.support.wallets import LICENCE, NAME, IssuingIssuer, Town, licence_offer, wait
from wallet_core.errors import FetchError, MalformedError, NotFound, StateConflict
from wallet_core.http import HttpRequest, HttpResponse
from wallet_core.keys.signer import CertifiedSigner, SoftwareSigner
from wallet_core.protocols.openid4vci.offer import TxCodeInput
from wallet_core.protocols.openid4vci.signed_metadata import create_signed_metadata
from wallet_core.trust.anchors import TrustAnchors
from wallet_core.trust.policy import IssuerPolicy

TX_CODE = "123456"


def reviewed(town: Town, link: str | None = None) -> Issuance:
    ports = town.wallet.issuance_ports()
    given = use_cases.take_offer_link(ports, town.owner.id, link or town.issuer.link)
    assert isinstance(given.state, Given)
    return wait(use_cases.fetch_offer(ports, town.owner.id, given.id))


def accepted(town: Town, issuance: Issuance, tx_code: str | None = TX_CODE) -> Issuance:
    return wait(use_cases.accept_offer(town.wallet.issuance_ports(), town.owner.id, issuance.id, tx_code))


def kept(town: Town) -> Issuance:
    previewed = accepted(town, reviewed(town))
    return wait(use_cases.keep_cards(town.wallet.issuance_ports(), town.owner.id, previewed.id))


def kinds(town: Town) -> list[RecordKind]:
    return [record.kind for record in list_history(town.wallet.card_ports(), town.owner.id)]


def test_nothing_is_fetched_before_the_person_acts(town: Town) -> None:
    given = use_cases.take_offer_link(town.wallet.issuance_ports(), town.owner.id, town.issuer.reference)
    assert given.state == Given(town.issuer.reference, "issuer.example")
    assert town.network.seen == []


def test_a_card_is_received_with_a_key_for_each_copy(town: Town) -> None:
    done = kept(town)
    assert isinstance(done.state, Kept)
    [card] = list_cards(town.wallet.card_ports(), town.owner.id)
    assert (card.name["ko"], card.copies, card.issuer_name) == (LICENCE.name.ko, 3, town.world.agency.name)
    assert {field.path: field.value for field in card.fields}[("name",)] == NAME
    with town.wallet.database.unit() as unit:
        copies = unit.connection.exec_driver_sql("SELECT count(*) FROM wallet_copy").scalar()
    assert copies == 3
    assert kinds(town) == [RecordKind.RECEIVED]
    assert b"credential_accepted" in town.issuer.seen[-1].body


def test_an_offer_without_a_transaction_code(town: Town) -> None:
    town.issuer.offer = licence_offer(LICENCE, tx_code=False)
    assert isinstance(accepted(town, reviewed(town), None).state, Preview)


def test_an_offer_by_reference(town: Town) -> None:
    assert isinstance(reviewed(town, town.issuer.reference).state, Reviewed)


@pytest.mark.clause("vci-12.2.3-trusted")
@pytest.mark.parametrize("honest", [True, False])
def test_metadata_are_asked_for_signed_and_a_strangers_signature_is_refused(town: Town, honest: bool) -> None:  # noqa: FBT001
    issuer = town.issuer
    agency = issuer.agency if honest else Agency(new_ca())
    signer = CertifiedSigner(agency.signer, agency.chain())

    def signing(request: HttpRequest) -> HttpResponse:
        answer = issuer(request)
        if "openid-credential-issuer" not in request.url:
            return answer
        assert request.headers["Accept"].startswith("application/jwt")
        text = create_signed_metadata(json.loads(answer.body), signer, now=town.wallet.clock.now())
        return HttpResponse(200, {"content-type": "application/jwt"}, text.encode())

    town.network.hosts["issuer.example"] = signing
    state = reviewed(town).state
    assert isinstance(state, Reviewed if honest else Failed)
    assert getattr(state, "reason", "") == ("" if honest else "bad_offer")


def test_a_wrong_code_says_how_many_tries_are_left(town: Town) -> None:
    first = accepted(town, reviewed(town), "000000")
    assert isinstance(first.state, Reviewed)
    assert (first.state.wrong_codes, first.state.tries_left) == (1, 4)
    assert isinstance(accepted(town, first).state, Preview)


@pytest.mark.parametrize("code", ["12345", "1234567", "12345a", "\uff11" * 6, "12 456"])
def test_a_code_that_cannot_be_right_is_not_sent(town: Town, code: str) -> None:
    ready = reviewed(town)
    with pytest.raises(use_cases.UnfitCode):
        accepted(town, ready, code)
    assert town.issuer.called("/token") == 0
    assert isinstance(accepted(town, ready, TX_CODE).state, Preview)


def test_a_code_of_letters_is_told_by_its_length_alone() -> None:
    assert TxCodeInput("text", 4).admits("a-1b")
    assert not TxCodeInput("text", 4).admits("a-1")
    assert TxCodeInput("text").admits("anything")
    assert TxCodeInput("numeric").admits("1")
    assert not TxCodeInput("numeric").admits("a")


@pytest.mark.parametrize("code", [None, "", "  "])
def test_an_empty_code_costs_no_try(town: Town, code: str | None) -> None:
    again = accepted(town, reviewed(town), code)
    assert isinstance(again.state, Reviewed)
    assert again.state.wrong_codes == 0
    assert town.issuer.called("/token") == 0


def test_the_last_wrong_code_ends_the_offer(town: Town) -> None:
    issuance = reviewed(town)
    for _ in range(4):
        issuance = accepted(town, issuance, "000000")
    issuance = accepted(town, issuance, "000000")
    assert isinstance(issuance.state, Failed)
    assert issuance.state.reason == "code_gone"


def test_a_used_offer_is_refused(town: Town) -> None:
    kept(town)
    again = accepted(town, reviewed(town))
    assert isinstance(again.state, Failed)
    assert again.state.reason == "code_gone"
    assert "400 invalid_grant" in again.state.detail


def test_two_windows_on_one_offer(town: Town) -> None:
    issuance = reviewed(town)
    ports = town.wallet.issuance_ports()
    claimed = receiving.claim(ports, issuance)
    assert isinstance(claimed.state, Redeeming)
    with pytest.raises(StateConflict):
        accepted(town, issuance)
    with pytest.raises(StateConflict):
        receiving.claim(ports, issuance)
    town.clock.pass_by(UNDER_WAY)
    assert isinstance(accepted(town, issuance).state, Preview)
    assert town.issuer.called("/token") == 1


def test_accepting_twice_gives_one_card(town: Town) -> None:
    issuance = accepted(town, reviewed(town))
    assert isinstance(accepted(town, issuance).state, Preview)
    ports = town.wallet.issuance_ports()
    first = wait(use_cases.keep_cards(ports, town.owner.id, issuance.id))
    assert wait(use_cases.keep_cards(ports, town.owner.id, issuance.id)).state == first.state
    assert len(list_cards(town.wallet.card_ports(), town.owner.id)) == 1


def test_a_restart_between_every_two_steps(town: Town) -> None:
    issuance = reviewed(town)
    town.issuer.down = "/credential"
    with pytest.raises(FetchError):
        accepted(town.reopened(), issuance)
    state = use_cases.show_issuance(town.wallet.issuance_ports(), town.owner.id, issuance.id).state
    assert isinstance(state, Signing)
    town.issuer.down = ""
    assert isinstance(accepted(town.reopened(), issuance).state, Preview)
    other = town.reopened()
    done = wait(use_cases.keep_cards(other.wallet.issuance_ports(), town.owner.id, issuance.id))
    assert isinstance(done.state, Kept)
    assert len(list_cards(town.reopened().wallet.card_ports(), town.owner.id)) == 1


def test_an_unreachable_token_endpoint_can_be_tried_again(town: Town) -> None:
    issuance = reviewed(town)
    town.issuer.down = "/token"
    with pytest.raises(FetchError):
        accepted(town, issuance)
    town.issuer.down = ""
    assert isinstance(accepted(town, issuance).state, Preview)


def test_an_unreachable_offer_can_be_tried_again(town: Town) -> None:
    town.issuer.down = "/offer"
    ports = town.wallet.issuance_ports()
    given = use_cases.take_offer_link(ports, town.owner.id, town.issuer.reference)
    with pytest.raises(FetchError):
        wait(use_cases.fetch_offer(ports, town.owner.id, given.id))
    town.issuer.down = ""
    assert isinstance(wait(use_cases.fetch_offer(ports, town.owner.id, given.id)).state, Reviewed)


def test_a_spent_nonce_is_renewed_once(town: Town) -> None:
    town.issuer.good_nonces = {"nonce-2"}
    assert isinstance(accepted(town, reviewed(town)).state, Preview)


def test_nonces_that_never_fit_end_it(town: Town) -> None:
    town.issuer.good_nonces = set()
    failed = accepted(town, reviewed(town))
    assert isinstance(failed.state, Failed)
    assert kinds(town) == [RecordKind.FAILED]


def test_an_issuer_that_refuses_nonces_and_gives_none_ends_it(town: Town) -> None:
    del town.issuer.metadata["nonce_endpoint"]
    town.issuer.refuse = {"/agencies/police/credential": town.issuer.reply({"error": "invalid_nonce"}, 400)}
    failed = accepted(town, reviewed(town))
    assert isinstance(failed.state, Failed)
    assert (failed.state.reason, kinds(town)) == ("refused", [RecordKind.FAILED])
    assert accepted(town, failed).state == failed.state


def _other_ca(issuer: IssuingIssuer) -> None:
    issuer.agency = Agency(new_ca())


def _other_issuer(issuer: IssuingIssuer) -> None:
    issuer.agency = Agency(issuer.agency.ca, issuer="https://issuer.example/agencies/tax")


def _other_key(issuer: IssuingIssuer) -> None:
    issuer.holder_key = SoftwareSigner.generate()


def _other_signature(issuer: IssuingIssuer) -> None:
    chain = issuer.agency.chain()
    issuer.changes = {"signer": SoftwareSigner.generate(), "x5c": chain}


def _expired(now: datetime) -> dict[str, datetime]:
    return {"issued_at": now - timedelta(days=2), "expires_at": now - timedelta(days=1)}


@pytest.mark.parametrize(
    ("misbehave", "reason"),
    [
        (_other_ca, "untrusted"),
        (_other_issuer, "untrusted"),
        (_other_key, "bad_credential"),
        (_other_signature, "bad_credential"),
        (lambda issuer: issuer.changes.update(vct="urn:jigap:vct:resident-card:1"), "bad_credential"),
        (lambda issuer: issuer.changes.update(issuer="https://issuer.example/agencies/tax"), "untrusted"),
        (lambda issuer: issuer.changes.update(holder_key=None), "bad_credential"),
        (lambda issuer: issuer.changes.update(**_expired(issuer.agency.now)), "bad_credential"),
    ],
    ids=["ca", "certificate", "cnf", "signature", "vct", "iss", "no cnf", "expired"],
)
def test_a_bad_credential_is_never_stored(world: Any, town: Town, misbehave: Any, reason: str) -> None:
    town.issuer.agency = replace(world.agency)
    misbehave(town.issuer)
    failed = accepted(town, reviewed(town))
    assert isinstance(failed.state, Failed)
    assert failed.state.reason == reason
    assert list_cards(town.wallet.card_ports(), town.owner.id) == ()
    assert kinds(town) == [RecordKind.BLOCKED]
    assert b"credential_failure" in town.issuer.seen[-1].body
    with pytest.raises(StateConflict):
        wait(use_cases.keep_cards(town.wallet.issuance_ports(), town.owner.id, failed.id))


def test_declining_before_and_after_looking(town: Town) -> None:
    ports = town.wallet.issuance_ports()
    given = use_cases.take_offer_link(ports, town.owner.id, town.issuer.link)
    assert isinstance(wait(use_cases.decline_offer(ports, town.owner.id, given.id)).state, Declined)
    assert kinds(town) == []
    declined = wait(use_cases.decline_offer(ports, town.owner.id, reviewed(town).id))
    assert kinds(town) == [RecordKind.OFFER_DECLINED]
    assert town.issuer.called("/token") == 0
    with pytest.raises(StateConflict):
        accepted(town, declined)


def test_declining_after_the_preview_tells_the_issuer(town: Town) -> None:
    issuance = accepted(town, reviewed(town))
    wait(use_cases.decline_offer(town.wallet.issuance_ports(), town.owner.id, issuance.id))
    assert b"credential_deleted" in town.issuer.seen[-1].body
    assert list_cards(town.wallet.card_ports(), town.owner.id) == ()


def test_kept_cards_cannot_be_declined(town: Town) -> None:
    done = kept(town)
    with pytest.raises(StateConflict):
        wait(use_cases.decline_offer(town.wallet.issuance_ports(), town.owner.id, done.id))


def test_a_refused_notification_changes_nothing(town: Town) -> None:
    issuance = accepted(town, reviewed(town))
    town.network.hosts["issuer.example"] = lambda _: HttpResponse(500)
    done = wait(use_cases.keep_cards(town.wallet.issuance_ports(), town.owner.id, issuance.id))
    assert isinstance(done.state, Kept)


def test_an_offer_waits_an_hour(town: Town) -> None:
    issuance = reviewed(town)
    town.clock.pass_by(use_cases.UNDECIDED)
    with pytest.raises(NotFound):
        accepted(town, issuance)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "https://issuer.example/",
        "openid-credential-offer://?credential_offer=%7B",
        "openid-credential-offer://?credential_offer=1&credential_offer_uri=https://a.example/",
        "openid-credential-offer://?credential_offer_uri=ftp://a.example/",
        "openid4vp://?client_id=x509_hash:a&request_uri=https://a.example/",
        "mdoc:owBj",
        "x?" + "credential_offer_uri=" + "a" * 40000,
    ],
)
def test_what_is_no_offer(town: Town, text: str) -> None:
    with pytest.raises(MalformedError):
        use_cases.take_offer_link(town.wallet.issuance_ports(), town.owner.id, text)


def test_bad_metadata_end_the_offer(town: Town) -> None:
    town.issuer.metadata = {"credential_issuer": "https://other.example"}
    failed = reviewed(town)
    assert isinstance(failed.state, Failed)
    assert failed.state.reason == "bad_offer"


@pytest.mark.parametrize("status", [404, 410])
def test_an_offer_that_is_gone(town: Town, status: int) -> None:
    town.issuer.refuse = {"/offer": HttpResponse(status, {"content-type": "application/json"}, b"{}")}
    failed = reviewed(town, town.issuer.reference)
    assert isinstance(failed.state, Failed)
    assert failed.state.reason == "code_gone"


def test_formats_of_others_are_not_supported(town: Town) -> None:
    entry = town.issuer.metadata["credential_configurations_supported"][LICENCE.configuration_id]
    town.issuer.metadata["credential_configurations_supported"][LICENCE.configuration_id] = {
        **entry,
        "format": "ldp_vc",
    }
    failed = reviewed(town)
    assert isinstance(failed.state, Failed)
    assert failed.state.reason == "unsupported"


@pytest.mark.clause("vci-12.2.4-unattested-jwk")
@pytest.mark.parametrize(
    "jwt",
    [
        {"proof_signing_alg_values_supported": ["ES256"], "key_attestations_required": {}},
        {"proof_signing_alg_values_supported": ["ES384"]},
        {"proof_signing_alg_values_supported": []},
    ],
)
def test_a_card_whose_proof_this_wallet_cannot_make_is_not_asked_for(town: Town, jwt: dict[str, Any]) -> None:
    town.issuer.metadata["credential_configurations_supported"][LICENCE.configuration_id]["proof_types_supported"] = {
        "jwt": jwt
    }
    failed = reviewed(town)
    assert isinstance(failed.state, Failed)
    assert failed.state.reason == "unsupported"


def test_a_wallet_that_trusts_nobody_does_not_spend_the_code(town: Town) -> None:
    ready, trusting = reviewed(town), town.wallet
    town.wallet = replace(trusting, issuers=IssuerPolicy(TrustAnchors()))
    for state in (reviewed(town).state, accepted(town, ready).state):
        assert state == Failed(Reason.NO_ANCHOR, "no anchor for credential_issuer")
    assert town.issuer.called("/token") == 0
    town.wallet = trusting
    assert isinstance(accepted(town, reviewed(town)).state, Preview)
