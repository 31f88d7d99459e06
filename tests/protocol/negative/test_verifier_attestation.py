"""Verifier Attestation JWTs that differ from a good one in one thing (OpenID4VP 5.9.3, 12)."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.support.presentations import NOW, RESPONSE_URI
from tests.support.registering import OTHER_ID, PARTY_ID, REGISTRAR, info, register, signer_below
from wallet_core.errors import (
    Expired,
    InvalidRequest,
    InvalidSignature,
    KeyUnavailable,
    MalformedError,
    NotYetValid,
    UntrustedError,
    VerificationError,
    WalletError,
)
from wallet_core.jose import jws
from wallet_core.keys.jwk import public_jwk
from wallet_core.keys.signer import CertifiedSigner, SoftwareSigner
from wallet_core.protocols.openid4vp import wallet
from wallet_core.protocols.openid4vp.asking import find_access_key
from wallet_core.protocols.openid4vp.client_id import ClientIdPrefix, create_client_id
from wallet_core.protocols.openid4vp.pending import ResolvedRequest
from wallet_core.protocols.openid4vp.request import parse_request_members
from wallet_core.protocols.openid4vp.request_object import create_request_object
from wallet_core.protocols.openid4vp.verifier_attestation import read_own_attestation
from wallet_core.protocols.openid4vp.verifier_info import Standing
from wallet_core.trust.profiles import CertificateRole

REGISTER = register()
TURNED = "Evil\u202eknaB"


def request_object(attestation: Any, *, signer: SoftwareSigner | None = None, infos: Any = None) -> str:
    """A Request Object that brings this attestation."""
    members = REGISTER.request(prefix=ClientIdPrefix.VERIFIER_ATTESTATION).to_json()
    request = parse_request_members({**members, "verifier_info": infos} if infos else members)
    return create_request_object(
        request,
        signer=signer or REGISTER.verifier.signer,
        chain=(),
        issued_at=NOW,
        expires_at=NOW + timedelta(minutes=5),
        attestation=attestation,
    )


def resolve(attestation: Any, **how: Any) -> ResolvedRequest:
    """What the wallet makes of it."""
    parameters = {"client_id": f"verifier_attestation:{PARTY_ID}", "request": request_object(attestation, **how)}
    flow = wallet.resolve_request(parameters, anchors=REGISTER.anchors, now=NOW, wallet_nonce="n")
    with pytest.raises(StopIteration) as stop:
        next(flow)
    found: ResolvedRequest = stop.value.value
    return found


def test_an_attested_verifier_is_known_by_the_name_its_attester_gave() -> None:
    found = resolve(REGISTER.attestation())
    assert (found.verifier.name, found.verifier.certificate_sha256) == (PARTY_ID, None)
    assert found.verifier.client_id == f"verifier_attestation:{PARTY_ID}"
    assert found.verifier.verified
    assert found.judgement.standing is Standing.UNREGISTERED
    assert ResolvedRequest.from_json(found.to_json()) == found


def test_its_registration_is_bound_by_the_same_number() -> None:
    found = resolve(REGISTER.attestation(), infos=[info(REGISTER.registration())])
    assert found.judgement.standing is Standing.REGISTERED


def test_the_wallet_says_that_it_takes_attestations() -> None:
    assert "verifier_attestation" in wallet.wallet_metadata()["client_id_prefixes_supported"]  # type: ignore[operator]


@pytest.mark.clause("vp-5.9.3-attestation-sent")
def test_a_request_object_is_not_made_without_the_attestation_of_its_prefix() -> None:
    with pytest.raises(ValueError, match="attestation"):
        request_object(None)
    with pytest.raises(ValueError, match="attestation"):
        create_request_object(
            REGISTER.request(),
            signer=REGISTER.verifier.signer,
            chain=REGISTER.verifier.chain,
            issued_at=NOW,
            expires_at=NOW,
            attestation="x",
        )
    header = jws.parse(request_object(REGISTER.attestation())).header
    assert "x5c" not in header
    assert isinstance(header["jwt"], str)


@pytest.mark.clause("vp-5.9.3-attestation-header")
@pytest.mark.parametrize("value", [["x"], {}, 1], ids=str)
def test_a_header_that_holds_no_attestation(value: Any) -> None:
    with pytest.raises(MalformedError, match="attestation"):
        resolve(value)


@pytest.mark.clause("vp-12-typ", "vp-5.9.3-attestation-signature")
def test_another_jwt_of_the_attester() -> None:
    with pytest.raises(VerificationError, match="not of type"):
        resolve(REGISTER.attestation(typ="JWT"))


@pytest.mark.clause("vp-5.9.3-attester")
def test_an_attester_whom_nobody_trusts() -> None:
    for ca, role in (
        (REGISTER.access_ca, CertificateRole.VERIFIER_ATTESTER),
        (REGISTER.registrar_ca, CertificateRole.VERIFIER_ATTESTER),
        (REGISTER.attester_ca, CertificateRole.REGISTRAR),
    ):
        with pytest.raises(UntrustedError):
            resolve(REGISTER.attestation(by=signer_below(ca, role, "https://attester.example")))


@pytest.mark.clause("vp-5.9.3-attestation-signature")
def test_an_attestation_that_was_changed() -> None:
    header, _, signature = REGISTER.attestation().split(".")
    other = REGISTER.attestation(sub=OTHER_ID).split(".")[1]
    with pytest.raises(InvalidSignature):
        resolve(f"{header}.{other}.{signature}")


@pytest.mark.clause("vp-5.9.3-attester-iss")
@pytest.mark.parametrize("iss", [..., REGISTRAR, None, 1], ids=str)
def test_an_issuer_that_is_not_the_one_of_the_certificate(iss: Any) -> None:
    with pytest.raises(UntrustedError, match="attester"):
        resolve(REGISTER.attestation(iss=iss))


@pytest.mark.clause("vp-12-sub")
@pytest.mark.parametrize("sub", [..., "", 1], ids=str)
def test_no_subject(sub: Any) -> None:
    with pytest.raises(MalformedError, match="sub"):
        resolve(REGISTER.attestation(sub=sub))


@pytest.mark.clause("vp-5.9.3-attested-sub")
def test_an_attestation_of_another_verifier() -> None:
    with pytest.raises(UntrustedError, match="another verifier"):
        resolve(REGISTER.attestation(sub=OTHER_ID))


@pytest.mark.clause("vp-12-cnf")
@pytest.mark.parametrize("cnf", [..., {}, {"kid": "x"}, "x", {"jwk": {"kty": "oct"}}], ids=str)
def test_no_key_is_confirmed(cnf: Any) -> None:
    with pytest.raises(MalformedError):
        resolve(REGISTER.attestation(cnf=cnf))


@pytest.mark.clause("vp-5.10.1-signature")
def test_a_stolen_attestation_without_its_key() -> None:
    with pytest.raises(InvalidSignature):
        resolve(REGISTER.attestation(), signer=SoftwareSigner.generate())
    other = SoftwareSigner.generate()
    with pytest.raises(InvalidSignature):
        resolve(REGISTER.attestation(cnf={"jwk": public_jwk(other.public_key)}))


@pytest.mark.clause("vp-12-exp")
@pytest.mark.parametrize("exp", [..., "x", True, 1e300], ids=str)
def test_no_end(exp: Any) -> None:
    with pytest.raises(MalformedError):
        resolve(REGISTER.attestation(exp=exp))


@pytest.mark.clause("vp-12-expired")
def test_an_attestation_that_has_ended() -> None:
    skew = timedelta(seconds=60)
    assert resolve(REGISTER.attestation(exp=int((NOW - skew).timestamp()) + 1))
    with pytest.raises(Expired):
        resolve(REGISTER.attestation(exp=int((NOW - skew).timestamp())))


@pytest.mark.clause("vp-12-nbf")
@pytest.mark.parametrize("member", ["nbf", "iat"])
def test_an_attestation_that_has_not_begun(member: str) -> None:
    assert resolve(REGISTER.attestation(**{member: int(NOW.timestamp()) + 60}))
    with pytest.raises(NotYetValid):
        resolve(REGISTER.attestation(**{member: int(NOW.timestamp()) + 61}))


@pytest.mark.clause("vp-5.9.3-attested-redirect")
@pytest.mark.parametrize("uris", [[], ["https://verifier.example/"], [f"{RESPONSE_URI}/"], [1]], ids=str)
def test_an_answer_that_would_go_elsewhere_than_attested(uris: Any) -> None:
    with pytest.raises(InvalidRequest, match="response_uri"):
        resolve(REGISTER.attestation(redirect_uris=uris))
    assert resolve(REGISTER.attestation(redirect_uris=["https://other.example/", RESPONSE_URI]))


@pytest.mark.parametrize("uris", ["x", None, ["x"] * 65], ids=["text", "null", "many"])
def test_redirect_uris_of_another_form(uris: Any) -> None:
    with pytest.raises(MalformedError, match="redirect_uris"):
        resolve(REGISTER.attestation(redirect_uris=uris))


def test_claims_that_nobody_knows_are_ignored() -> None:
    assert resolve(REGISTER.attestation(example={"a": [1]}))


@pytest.mark.clause("vp-5.9.3-must-sign")
def test_a_request_under_the_prefix_that_is_not_signed() -> None:
    members = REGISTER.request(prefix=ClientIdPrefix.VERIFIER_ATTESTATION).to_json()
    flow = wallet.resolve_request(
        {"client_id": str(members["client_id"])}, anchors=REGISTER.anchors, now=NOW, wallet_nonce="n"
    )
    with pytest.raises(InvalidRequest, match="signed"):
        next(flow)


def test_a_client_id_needs_an_attestation() -> None:
    with pytest.raises(ValueError, match="attestation"):
        create_client_id(ClientIdPrefix.VERIFIER_ATTESTATION, leaf=b"", response_uri=RESPONSE_URI)


@pytest.mark.clause("vp-5.9.3-attested-key")
def test_the_key_is_the_attested_one_also_after_a_rotation() -> None:
    client_id = REGISTER.request(prefix=ClientIdPrefix.VERIFIER_ATTESTATION).client_id
    attested = read_own_attestation(REGISTER.attestation()).key
    newer = CertifiedSigner(SoftwareSigner.generate(), REGISTER.verifier.chain)
    found = find_access_key(client_id, newer, lambda: [newer, REGISTER.verifier], attested=attested)
    assert found is REGISTER.verifier
    with pytest.raises(KeyUnavailable):
        find_access_key(client_id, newer, lambda: [newer], attested=attested)


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "e30.e30.e30"], ids=["empty", "x", "abc", "json"])
def test_a_file_that_is_no_attestation(token: str) -> None:
    with pytest.raises(WalletError):
        read_own_attestation(token)


def test_a_name_that_would_steer_the_reader_is_one_plain_line() -> None:
    request = replace(
        REGISTER.request(),
        client_id=create_client_id(
            ClientIdPrefix.VERIFIER_ATTESTATION, leaf=b"", response_uri=RESPONSE_URI, attested=TURNED
        ),
    )
    token = create_request_object(
        request,
        signer=REGISTER.verifier.signer,
        chain=(),
        issued_at=NOW,
        expires_at=NOW + timedelta(minutes=5),
        attestation=REGISTER.attestation(sub=TURNED),
    )
    parameters = {"client_id": f"verifier_attestation:{TURNED}", "request": token}
    flow = wallet.resolve_request(parameters, anchors=REGISTER.anchors, now=NOW, wallet_nonce="n")
    with pytest.raises(StopIteration) as stop:
        next(flow)
    assert stop.value.value.verifier.name == "Evil knaB"
    assert stop.value.value.verifier.client_id == f"verifier_attestation:{TURNED}"
