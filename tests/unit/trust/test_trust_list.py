import contextlib
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.simulators import run_flow
from tests.support.mutation import encode, mutate_json, mutate_token
from tests.support.trust import ListOperator, listed, new_list
from tests.unit.trust.conftest import ISSUER, NOW, Pki
from wallet_core.errors import (
    Expired,
    FetchError,
    InvalidSignature,
    MalformedError,
    NotYetValid,
    UntrustedError,
    VerificationError,
    WalletError,
)
from wallet_core.http import HttpRequest, HttpResponse
from wallet_core.jose import jws
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.trust.anchors import AnchorPurpose, TrustAnchor, TrustAnchors
from wallet_core.trust.profiles import CertificateRole
from wallet_core.trust.trust_list import (
    KnownList,
    ListedWallet,
    Period,
    PermittedType,
    TrustList,
    create_trust_list,
    fetch_trust_list,
    parse_trust_list,
    trust_list_payload,
    verify_trust_list,
)
from wallet_core.trust.x509 import format_x5c

OPERATOR = ListOperator(NOW)
VCT = "urn:jigap:vct:drivers-licence:1"


def content(pki: Pki, **changes: Any) -> TrustList:
    root = TrustAnchor(pki.issuer_ca.certificate, AnchorPurpose.CREDENTIAL_ISSUER)
    agency = listed(
        ISSUER,
        VCT,
        certificates=(b"\x01" * 32,),
        authorities=(b"\x02" * 32,),
        period=Period(NOW.replace(microsecond=0), NOW.replace(microsecond=0) + timedelta(days=300)),
    )
    return replace(new_list(NOW, root, agencies=(agency,)), **changes)


def test_round_trip(pki: Pki) -> None:
    made = content(pki)
    assert parse_trust_list(trust_list_payload(made)) == made
    verified = verify_trust_list(OPERATOR.sign(made), OPERATOR.anchors, at=NOW)
    assert verified.content == made
    assert verified.signer.uris == (made.operator,)


def test_a_period_ends_before_its_end() -> None:
    period = Period(NOW, NOW + timedelta(hours=1))
    shifts = (-1, 0, 3599, 3600)
    assert [period.holds(NOW + timedelta(seconds=shift)) for shift in shifts] == [False, True, True, False]
    assert Period().holds(NOW)


@pytest.mark.clause("tl-3-anchor")
@pytest.mark.parametrize(
    "purpose", [each for each in AnchorPurpose if each is not AnchorPurpose.TRUST_LIST_OPERATOR], ids=str
)
def test_a_root_for_anything_else_keeps_no_list(pki: Pki, purpose: AnchorPurpose) -> None:
    anchors = TrustAnchors([TrustAnchor(OPERATOR.ca.certificate, purpose)])
    with pytest.raises(UntrustedError) as caught:
        verify_trust_list(OPERATOR.sign(content(pki)), anchors, at=NOW)
    assert caught.value.step == 4


@pytest.mark.clause("tl-3-anchor", "x509-4.2.1.12-purpose")
def test_the_certificate_of_another_trade_signs_no_list(pki: Pki) -> None:
    anchors = TrustAnchors([TrustAnchor(pki.issuer_ca.certificate, AnchorPurpose.TRUST_LIST_OPERATOR)])
    text = create_trust_list(content(pki, operator=ISSUER), signer=pki.issuer_signer, chain=[pki.issuer_leaf])
    with pytest.raises(UntrustedError, match="another purpose"):
        verify_trust_list(text, anchors, at=NOW)


@pytest.mark.clause("tl-3-anchor")
@pytest.mark.parametrize(("shift", "error"), [(365, Expired), (-3, NotYetValid)])
def test_the_operators_certificate_has_its_time(pki: Pki, shift: int, error: type[WalletError]) -> None:
    at = NOW + timedelta(days=shift)
    text = OPERATOR.sign(content(pki, issued_at=at, next_update=at + timedelta(days=1)))
    with pytest.raises(error, match="certificate"):
        verify_trust_list(text, OPERATOR.anchors, at=at)


@pytest.mark.clause("tl-3-signature")
def test_another_key_or_type_is_refused(pki: Pki) -> None:
    payload, x5c = trust_list_payload(content(pki)), format_x5c(OPERATOR.chain)
    header = {"typ": "jigap-trust-list+jwt", "x5c": x5c}
    with pytest.raises(InvalidSignature):
        verify_trust_list(jws.sign(header, payload, SoftwareSigner.generate()), OPERATOR.anchors, at=NOW)
    with pytest.raises(VerificationError, match="type"):
        verify_trust_list(jws.sign(header | {"typ": "JWT"}, payload, OPERATOR.signer), OPERATOR.anchors, at=NOW)
    with pytest.raises(MalformedError, match="x5c"):
        verify_trust_list(jws.sign({"typ": header["typ"]}, payload, OPERATOR.signer), OPERATOR.anchors, at=NOW)


@pytest.mark.clause("tl-3-signature")
def test_a_changed_list_is_refused(pki: Pki) -> None:
    text = OPERATOR.sign(content(pki))
    header, payload, signature = text.split(".")
    for place in range(0, len(payload), 97):
        changed = "A" if payload[place] != "A" else "B"
        with pytest.raises(WalletError):
            verify_trust_list(
                ".".join([header, payload[:place] + changed + payload[place + 1 :], signature]),
                OPERATOR.anchors,
                at=NOW,
            )


@pytest.mark.clause("tl-3-operator")
def test_the_list_of_another_operator_is_refused(pki: Pki) -> None:
    text = OPERATOR.sign(content(pki, operator="https://other.example"))
    with pytest.raises(UntrustedError) as caught:
        verify_trust_list(text, OPERATOR.anchors, at=NOW)
    assert caught.value.step == 5


@pytest.mark.clause("tl-3-next-update", "tl-3-not-yet")
def test_a_list_has_its_time(pki: Pki) -> None:
    text = OPERATOR.sign(content(pki))
    with pytest.raises(Expired) as caught:
        verify_trust_list(text, OPERATOR.anchors, at=NOW + timedelta(days=1))
    with pytest.raises(Expired):
        verify_trust_list(text, OPERATOR.anchors, at=NOW + timedelta(days=1, hours=2), grace=timedelta(hours=2))
    verify_trust_list(text, OPERATOR.anchors, at=NOW + timedelta(days=1, hours=1), grace=timedelta(hours=2))
    assert caught.value.step == 6
    with pytest.raises(NotYetValid) as early:
        verify_trust_list(text, OPERATOR.anchors, at=NOW - timedelta(minutes=6))
    assert early.value.step == 6
    assert verify_trust_list(text, OPERATOR.anchors, at=NOW - timedelta(minutes=4))


@pytest.mark.clause("tl-3-sequence", "tl-3-one-list")
def test_a_list_is_not_rolled_back(pki: Pki) -> None:
    first = verify_trust_list(OPERATOR.sign(content(pki)), OPERATOR.anchors, at=NOW)
    known = KnownList(first.content.sequence_number, first.digest)
    # the same list again, signed anew, and the next one
    assert verify_trust_list(OPERATOR.sign(content(pki)), OPERATOR.anchors, at=NOW, known=known)
    assert verify_trust_list(OPERATOR.sign(content(pki, sequence_number=8)), OPERATOR.anchors, at=NOW, known=known)
    for changes in ({"sequence_number": 6}, {"agencies": ()}):
        with pytest.raises(UntrustedError) as caught:
            verify_trust_list(OPERATOR.sign(content(pki, **changes)), OPERATOR.anchors, at=NOW, known=known)
        assert caught.value.step == 7


def without(member: str) -> Any:
    return lambda payload: payload.pop(member)


def put(value: Any, *path: Any) -> Any:
    def change(payload: Any) -> None:
        for part in path[:-1]:
            payload = payload[part]
        payload[path[-1]] = value

    return change


WRONG = {
    "no operator": without("iss"),
    "no sequence": without("sequence_number"),
    "sequence of nothing": put(0, "sequence_number"),
    "sequence as a truth": put(True, "sequence_number"),
    "sequence as text": put("7", "sequence_number"),
    "no time": without("iat"),
    "no end": without("next_update"),
    "time as text": put("today", "iat"),
    "time beyond years": put(2**52, "next_update"),
    "agencies are no array": put({}, "agencies"),
    "an agency is no object": put(["police"], "agencies"),
    "no id": put("", "agencies", 0, "id"),
    "no name": put({}, "agencies", 0, "name"),
    "issuers are no texts": put([1], "agencies", 0, "credential_issuers"),
    "thumbprint of another length": put(["AAAA"], "agencies", 0, "certificates"),
    "thumbprint no base64url": put(["+/=="], "agencies", 0, "authorities"),
    "type without format": put([{"type": VCT}], "agencies", 0, "types"),
    "period as text": put("2026", "agencies", 0, "valid_from"),
    "certificate no base64": put("*", "authorities", 0, "certificate"),
    "certificate no certificate": put("AAAA", "authorities", 0, "certificate"),
    "purpose unknown": put("everything", "authorities", 0, "purpose"),
}


@pytest.mark.clause("tl-2-sequence")
@pytest.mark.parametrize("case", WRONG)
def test_malformed(pki: Pki, case: str) -> None:
    payload = trust_list_payload(content(pki))
    WRONG[case](payload)
    with pytest.raises(MalformedError):
        parse_trust_list(payload)


@pytest.mark.clause("tl-2-times")
def test_a_list_that_ends_before_it_begins(pki: Pki) -> None:
    with pytest.raises(MalformedError, match="before it begins"):
        parse_trust_list(trust_list_payload(content(pki, next_update=NOW)))


@pytest.mark.clause("tl-2-unique")
def test_an_agency_stands_once(pki: Pki) -> None:
    agency = content(pki).agencies[0]
    twice = (agency, replace(agency, credential_issuers=()))
    with pytest.raises(MalformedError, match="twice"):
        parse_trust_list(trust_list_payload(content(pki, agencies=twice)))
    with pytest.raises(MalformedError, match="one identifier"):
        parse_trust_list(trust_list_payload(content(pki, agencies=(agency, replace(agency, id="other")))))


@pytest.mark.clause("tl-2-purpose")
@pytest.mark.parametrize(
    "purpose",
    [AnchorPurpose.VERIFIER_ACCESS, AnchorPurpose.TRUST_LIST_OPERATOR, AnchorPurpose.VICAL_PROVIDER],
    ids=str,
)
def test_a_list_makes_no_verifier_and_no_other_operator(pki: Pki, purpose: AnchorPurpose) -> None:
    root = TrustAnchor(pki.issuer_ca.certificate, purpose)
    with pytest.raises(MalformedError, match="purpose"):
        parse_trust_list(trust_list_payload(content(pki, authorities=(root,))))


def test_unknown_members_are_ignored(pki: Pki) -> None:
    payload = trust_list_payload(content(pki))
    payload["note"] = {"deep": [1]}
    payload["agencies"][0]["note"] = "more"
    assert parse_trust_list(payload) == content(pki)


@given(st.randoms(use_true_random=False))
@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
def test_only_wallet_errors_leave(pki: Pki, random: Random) -> None:
    header = {"alg": "ES256", "typ": "jigap-trust-list+jwt", "x5c": format_x5c(OPERATOR.chain)}
    data = f"{encode(header)}.{encode(mutate_json(random, trust_list_payload(content(pki))))}".encode()
    for text in (
        jws.attach_signature(data, OPERATOR.signer.sign(data)),
        mutate_token(random, OPERATOR.sign(content(pki))),
    ):
        with contextlib.suppress(WalletError):
            verify_trust_list(text, OPERATOR.anchors, at=NOW)


def test_a_type_may_have_its_own_period(pki: Pki) -> None:
    agency = replace(
        content(pki).agencies[0],
        types=(PermittedType("mso_mdoc", "org.iso.18013.5.1.mDL", Period(None, NOW.replace(microsecond=0))),),
    )
    made = content(pki, agencies=(agency,))
    assert parse_trust_list(trust_list_payload(made)) == made
    assert OPERATOR.role is CertificateRole.TRUST_LIST_SIGNER


def test_a_list_behind_an_address(pki: Pki) -> None:
    url, asked = "https://trust.example/list", []

    def send(request: HttpRequest) -> HttpResponse:
        asked.append(request)
        return answers.pop(0)

    answers = [HttpResponse(200, {}, b"a.b.c"), HttpResponse(404, {}, b"a.b.c"), HttpResponse(200, {}, b"\xff")]
    assert run_flow(fetch_trust_list(url), send) == "a.b.c"
    for _ in range(2):
        with pytest.raises(FetchError):
            run_flow(fetch_trust_list(url), send)
    assert (asked[0].url, asked[0].headers["Accept"]) == (url, "application/jigap-trust-list+jwt")


WALLET = ListedWallet(
    "https://wallet.example",
    {"ko": "시험지갑 (시험용)"},
    "https://provider.example",
    ("https://wallet.example/callback", "com.example.wallet:/callback", "http://localhost:8300/callback"),
)


def test_a_list_names_wallets(pki: Pki) -> None:
    made = content(pki, wallets=(WALLET,))
    assert parse_trust_list(trust_list_payload(made)).wallets == (WALLET,)
    assert "wallets" not in trust_list_payload(content(pki))


@pytest.mark.clause("tl-2-wallet-unique")
def test_a_wallet_stands_once(pki: Pki) -> None:
    twice = (WALLET, replace(WALLET, redirect_uris=()))
    with pytest.raises(MalformedError, match="twice"):
        parse_trust_list(trust_list_payload(content(pki, wallets=twice)))


@pytest.mark.clause("tl-2-redirect-uris")
@pytest.mark.parametrize(
    "uris",
    [
        ("https://wallet.example/#a",),
        ("/callback",),
        ("javascript:alert(1)",),
        ("data:text/html,a",),
        ("HTTPS://wallet.example/",),
        ("https://wallet.example/a b",),
        ("https://wallet.example/" + "a" * 2048,),
        tuple(f"https://wallet.example/{number}" for number in range(21)),
    ],
)
def test_redirect_uris_are_few_and_absolute(pki: Pki, uris: tuple[str, ...]) -> None:
    with pytest.raises(MalformedError, match="redirect_uris"):
        parse_trust_list(trust_list_payload(content(pki, wallets=(replace(WALLET, redirect_uris=uris),))))


@pytest.mark.parametrize("changes", [{"name": {}}, {"client_id": ""}, {"client_id": "c" * 2049}, {"provider": ""}])
def test_a_wallet_has_names(pki: Pki, changes: dict[str, Any]) -> None:
    with pytest.raises(MalformedError):
        parse_trust_list(trust_list_payload(content(pki, wallets=(replace(WALLET, **changes),))))
