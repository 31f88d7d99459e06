"""Registrations that differ from a good one in one thing, as a wallet judges them (OpenID4VP 5.1, ETSI TS 119 475)."""

from datetime import timedelta
from typing import Any

import pytest

from tests.support.presentations import NOW, VCT, query
from tests.support.registering import (
    OTHER_ID,
    PARTY_ID,
    REGISTRAR,
    Register,
    info,
    register,
    registration_claims,
    signer_below,
)
from wallet_core.encoding import strict_json
from wallet_core.errors import Expired, FalseRegistration, InvalidRequest, MalformedError, VerificationError
from wallet_core.jose import jws
from wallet_core.protocols.openid4vp import wallet
from wallet_core.protocols.openid4vp.client_id import ClientIdPrefix
from wallet_core.protocols.openid4vp.dcql import parse_dcql_query
from wallet_core.protocols.openid4vp.pending import ResolvedRequest
from wallet_core.protocols.openid4vp.registration import verify_registration
from wallet_core.protocols.openid4vp.request import create_unsigned_link, parse_request_members
from wallet_core.protocols.openid4vp.request_object import create_request_object
from wallet_core.protocols.openid4vp.verifier_info import Standing, VerifierJudgement, parse_verifier_info
from wallet_core.trust.profiles import CertificateRole

REGISTER = register()


def resolve(infos: Any, dcql: dict[str, Any] | None = None, *, register: Register = REGISTER) -> ResolvedRequest:
    """What the wallet makes of a signed request with these attestations."""
    request = register.request(dcql)
    parsed = parse_request_members({**request.to_json(), "verifier_info": infos})
    token = create_request_object(
        parsed,
        signer=register.verifier.signer,
        chain=register.verifier.chain,
        issued_at=NOW,
        expires_at=NOW + timedelta(minutes=5),
    )
    flow = wallet.resolve_request(
        {"client_id": request.client_id.full, "request": token}, anchors=register.anchors, now=NOW, wallet_nonce="n"
    )
    with pytest.raises(StopIteration) as stop:
        next(flow)
    resolved: ResolvedRequest = stop.value.value
    return resolved


def judged(claims: dict[str, Any] | None = None, **header: Any) -> VerifierJudgement:
    return resolve([info(REGISTER.registration(claims, **header))]).judgement


def test_a_registered_verifier_is_known_with_purpose_and_retention() -> None:
    resolved = resolve([info(REGISTER.registration())])
    assert resolved.judgement.standing is Standing.REGISTERED
    registration = resolved.judgement.registration
    assert registration is not None
    assert registration.retention is not None
    assert registration.identifier == PARTY_ID
    assert registration.name == {"ko": "가온편의점 (시험용)", "en": "Gaon Store (test)"}
    assert registration.purpose == {"ko": "술을 팔 때 나이를 확인해요.", "en": "To check ages."}
    assert (registration.retention.days, registration.retention.text["en"]) == (0, "Not kept.")
    assert registration.privacy_policy == "https://gaon.example/privacy"
    assert registration.support == "https://gaon.example/help"
    assert resolved.judgement.over_asked(resolved.request.dcql_query) == ()
    assert ResolvedRequest.from_json(resolved.to_json()) == resolved


def test_without_verifier_info_nobody_is_registered() -> None:
    request = REGISTER.request()
    assert parse_request_members(request.to_json()).verifier_info == ()
    assert (
        ResolvedRequest.from_json({**resolve([info("x")]).to_json(), "judgement": None}).judgement
        == VerifierJudgement()
    )


@pytest.mark.clause("vp-5.1-info-array")
@pytest.mark.parametrize(
    "value", [None, {}, [], "x", [info("x")] * 17], ids=["null", "object", "empty", "text", "many"]
)
def test_verifier_info_that_is_no_array_of_attestations(value: Any) -> None:
    with pytest.raises(InvalidRequest, match="array"):
        parse_verifier_info(value, parse_dcql_query(query(("name",))))


@pytest.mark.clause("vp-5.1-info-format")
@pytest.mark.parametrize(
    "entry", ["x", {"data": "x"}, {"format": "", "data": "x"}, {"format": 1, "data": "x"}], ids=str
)
def test_an_attestation_without_format(entry: Any) -> None:
    with pytest.raises(InvalidRequest, match="verifier_info"):
        parse_verifier_info([entry], parse_dcql_query(query(("name",))))


@pytest.mark.clause("vp-5.1-info-data")
@pytest.mark.parametrize("data", [None, "", 1, [], {}, True], ids=str)
def test_an_attestation_without_data(data: Any) -> None:
    with pytest.raises(InvalidRequest, match="data"):
        parse_verifier_info([{"format": "jwt", "data": data}], parse_dcql_query(query(("name",))))


@pytest.mark.clause("vp-5.1-info-credentials")
@pytest.mark.parametrize("ids", [[], "licence", ["other"], [1], ["licence", "other"], None], ids=str)
def test_an_attestation_about_a_credential_nobody_asks_for(ids: Any) -> None:
    with pytest.raises(InvalidRequest, match="credential nobody asks for"):
        parse_verifier_info([info("x", credential_ids=ids)], parse_dcql_query(query(("name",))))


@pytest.mark.clause("vp-5.1-info-unknown")
def test_attestations_of_unknown_formats_are_passed_over() -> None:
    unknown = [{"format": "example", "data": {"a": 1}}, {"format": "jwt", "data": REGISTER.registration()}]
    assert resolve(unknown).judgement.standing is Standing.UNREGISTERED
    assert resolve([*unknown, info(REGISTER.registration())]).judgement.standing is Standing.REGISTERED
    assert resolve([info({"jwt": "object"})]).judgement.standing is Standing.UNREGISTERED


@pytest.mark.clause("vp-5.1-info-trust")
def test_a_registrar_whom_nobody_here_trusts_says_nothing() -> None:
    stranger = signer_below(REGISTER.access_ca, CertificateRole.REGISTRAR, REGISTRAR)
    assert resolve([info(REGISTER.registration(by=stranger))]).judgement == VerifierJudgement()
    # Below the registrars' root, but certified for something else.
    attester = signer_below(REGISTER.registrar_ca, CertificateRole.VERIFIER_ATTESTER, REGISTRAR)
    assert resolve([info(REGISTER.registration(by=attester))]).judgement == VerifierJudgement()


@pytest.mark.clause("vp-5.1-info-signature")
def test_a_registration_that_was_changed() -> None:
    with pytest.raises(FalseRegistration):
        resolve([info(REGISTER.tampered(REGISTER.registration()))])


@pytest.mark.clause("vp-5.1-info-binding")
def test_a_borrowed_registration() -> None:
    with pytest.raises(FalseRegistration, match="another verifier"):
        judged(registration_claims(identifier=OTHER_ID))


@pytest.mark.clause("vp-5.1-info-binding")
def test_a_verifier_without_registered_number_has_no_registration() -> None:
    numberless = Register(REGISTER.access_ca, REGISTER.registrar_ca, REGISTER.attester_ca)
    numberless.verifier = numberless.access(None)
    with pytest.raises(FalseRegistration, match="another verifier"):
        resolve([info(REGISTER.registration())], register=numberless)


def test_an_unsigned_request_is_never_registered() -> None:
    request = REGISTER.request(prefix=ClientIdPrefix.REDIRECT_URI)
    parsed = parse_request_members({**request.to_json(), "verifier_info": [info(REGISTER.registration())]})
    link = create_unsigned_link("openid4vp://", parsed)
    flow = wallet.resolve_request(link, anchors=REGISTER.anchors, now=NOW, wallet_nonce="n")
    with pytest.raises(StopIteration) as stop:
        next(flow)
    assert stop.value.value.request.verifier_info == parsed.verifier_info
    assert stop.value.value.judgement == VerifierJudgement()


def test_one_registration_that_counts_is_enough() -> None:
    borrowed = info(REGISTER.registration(registration_claims(identifier=OTHER_ID)))
    assert resolve([borrowed, info(REGISTER.registration())]).judgement.standing is Standing.REGISTERED


@pytest.mark.clause("reg-5.2.2-typ", "vp-5.1-info-signature")
def test_another_jwt_of_the_registrar_is_no_registration() -> None:
    with pytest.raises(VerificationError, match="not of type"):
        verify_registration(REGISTER.registration(typ="JWT"), REGISTER.anchors, at=NOW)
    with pytest.raises(FalseRegistration):
        judged(typ="JWT")


@pytest.mark.clause("reg-5.2.4-end")
def test_a_registration_that_has_ended() -> None:
    judgement = judged(registration_claims(exp=int(NOW.timestamp())))
    assert judgement.standing is Standing.EXPIRED
    assert judgement.registration is not None
    assert judgement.registration.expires_at == NOW
    assert judgement.over_asked(parse_dcql_query(query(("address",)))) == ()


@pytest.mark.clause("reg-5.2.4-future")
def test_a_registration_of_the_future() -> None:
    later = registration_claims(iat=int((NOW + timedelta(minutes=6)).timestamp()))
    with pytest.raises(VerificationError, match="future"):
        verify_registration(REGISTER.registration(later), REGISTER.anchors, at=NOW)


@pytest.mark.clause("reg-5.2.4-life")
@pytest.mark.parametrize("life", [timedelta(days=367), timedelta()], ids=["long", "none"])
def test_a_registration_that_lives_too_long(life: timedelta) -> None:
    issued = NOW - timedelta(days=1)
    claims = registration_claims(iat=int(issued.timestamp()), exp=int((issued + life).timestamp()))
    with pytest.raises(MalformedError, match="twelve months"):
        verify_registration(REGISTER.registration(claims), REGISTER.anchors, at=NOW)


@pytest.mark.clause("reg-5.2.4-members")
@pytest.mark.parametrize(
    "changes",
    [
        {"sub": ...},
        {"sub": {"id": []}},
        {"name": ...},
        {"name": "x" * 1001},
        {"name": "\n"},
        {"name#en": 1},
        {"purpose": ...},
        {"purpose": []},
        {"purpose": ["x"]},
        {"purpose": [{"lang": "ko"}]},
        {"credentials": ...},
        {"credentials": ["x"]},
        {"credentials": [{"format": "dc+sd-jwt"}]},
        {"credentials": [{"format": "dc+sd-jwt", "meta": {"vct_values": [1]}}]},
        {"credentials": [{"format": "mso_mdoc", "meta": {}}]},
        {"credentials": [{"format": "dc+sd-jwt", "meta": {"vct_values": [VCT]}, "claim": [{"path": []}]}]},
        {"credentials": [{"format": "dc+sd-jwt", "meta": {"vct_values": [VCT]}, "claim": ["name"]}]},
        {"jigap_retention": 1},
        {"jigap_retention": {"days": -1, "text": [{"lang": "ko", "value": "x"}]}},
        {"jigap_retention": {"days": 1}},
        {"intended_use_id": 1},
        {"iat": ...},
        {"exp": ...},
        {"exp": True},
        {"exp": 1e300},
    ],
    ids=lambda changes: strict_json.dumps_text({k: v for k, v in changes.items() if v is not ...} or [*changes])[:60],
)
def test_a_registration_of_another_form_says_nothing(changes: dict[str, Any]) -> None:
    token = REGISTER.registration(registration_claims(**changes))
    with pytest.raises(MalformedError):
        verify_registration(token, REGISTER.anchors, at=NOW)
    assert resolve([info(token)]).judgement == VerifierJudgement()


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "e30.e30.e30"], ids=["empty", "x", "abc", "json"])
def test_a_text_that_is_no_registration_says_nothing(token: str) -> None:
    assert resolve([info(token or "-")]).judgement == VerifierJudgement()


def test_an_address_that_is_not_https_is_left_out() -> None:
    changed = registration_claims(privacy_policy="javascript:alert(1)", support_uri=[{"x": 1}])
    registration = verify_registration(REGISTER.registration(changed), REGISTER.anchors, at=NOW)
    assert (registration.privacy_policy, registration.support) == (None, None)


def test_a_registrar_whose_certificate_has_ended_says_nothing() -> None:
    later = NOW + timedelta(days=400)
    with pytest.raises(Expired):
        verify_registration(REGISTER.registration(), REGISTER.anchors, at=later)


@pytest.mark.parametrize(
    ("registered", "asked", "over"),
    [
        ([("name",)], [("name",), ("address",)], [("address",)]),
        ([("address", "region")], [("address",)], [("address",)]),
        ([("address",)], [("address", "region")], []),
        ([("classes", None)], [("classes", 0)], []),
        ([("classes", None)], [("classes", None)], []),
        ([("classes", 0)], [("classes", None)], [("classes", None)]),
        ([("classes", 0)], [("classes", 1)], [("classes", 1)]),
        ([("address", None)], [("address", "region")], [("address", "region")]),
        ([("name",)], [("address",), ("licence_no",)], [("address",), ("licence_no",)]),
    ],
    ids=range(9),
)
def test_each_claim_that_the_registration_does_not_cover(registered: Any, asked: Any, over: Any) -> None:
    judgement = judged(registration_claims(*registered))
    found = judgement.over_asked(parse_dcql_query(query(*asked)))
    assert [one.path for one in found] == over
    assert {one.query_id for one in found} <= {"licence"}


def test_a_registration_for_everything_of_an_mdl() -> None:
    paths = [(f"element_{n}",) for n in range(70)]
    judgement = judged(registration_claims(*paths))
    assert judgement.standing is Standing.REGISTERED
    assert judgement.over_asked(parse_dcql_query(query(*paths))) == ()


def test_another_type_or_format_is_over_asked_whole() -> None:
    judgement = judged(registration_claims(("name",)))
    both = query(("name",), meta={"vct_values": [VCT, "urn:other"]})
    assert [one.path for one in judgement.over_asked(parse_dcql_query(both))] == [("name",)]
    bare = query(meta={"vct_values": ["urn:other"]})
    assert [one.path for one in judgement.over_asked(parse_dcql_query(bare))] == [None]
    assert judgement.over_asked(parse_dcql_query(query())) == ()
    mdoc = {"id": "m", "format": "mso_mdoc", "meta": {"doctype_value": VCT}, "claims": [{"path": ["n", "name"]}]}
    assert [one.path for one in judgement.over_asked(parse_dcql_query({"credentials": [mdoc]}))] == [("n", "name")]


def test_a_registration_counts_for_the_credentials_it_is_about() -> None:
    two = {"credentials": [*query(("name",))["credentials"], {**query(("name",))["credentials"][0], "id": "second"}]}
    found = resolve([info(REGISTER.registration(), credential_ids=["second"])], two)
    assert [one.query_id for one in found.judgement.over_asked(found.request.dcql_query)] == ["licence"]
    assert ResolvedRequest.from_json(found.to_json()) == found


def test_registrations_of_several_uses_cover_together() -> None:
    infos = [info(REGISTER.registration(registration_claims((claim,)))) for claim in ("name", "address")]
    found = resolve(infos, query(("name",), ("address",), ("licence_no",)))
    assert [one.path for one in found.judgement.over_asked(found.request.dcql_query)] == [("licence_no",)]


def test_formats_that_are_not_known_here_are_registered_without_harm() -> None:
    claims = registration_claims()
    claims["credentials"].append({"format": "jwt_vc_json", "meta": {"type_values": [["X"]]}, "claim": []})
    assert judged(claims).standing is Standing.REGISTERED
    assert jws.parse(REGISTER.registration(claims)).header["typ"] == "rc-wrp+jwt"


@pytest.mark.parametrize(
    "value", ["x", {}, {"standing": "x", "uses": []}, {"standing": "expired", "uses": [1]}], ids=str
)
def test_a_stored_judgement_that_is_none(value: Any) -> None:
    with pytest.raises(MalformedError):
        VerifierJudgement.from_json(value)
