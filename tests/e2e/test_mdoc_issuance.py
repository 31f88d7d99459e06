"""The same licence in both formats: an agency with a document signer issues mdocs that readers accept."""

from datetime import datetime, timedelta

import pytest

from holder_app.issuance.verification import verify_issued
from issuer.records.ports import SubjectRecord
from tests.simulators import run_flow
from tests.support.issuing import HOST, NOW, IssuerUnderTest, add_document_signer, issuer_anchors, start_issuer
from tests.support.mdoc_presentations import new_iaca
from wallet_core.encoding import base64url
from wallet_core.errors import HolderBindingError, PeerRefusal, UntrustedError
from wallet_core.formats.mdoc.holder import index_mdoc
from wallet_core.formats.mdoc.mdl import lint_mdl, mso_size
from wallet_core.formats.mdoc.structures import parse_issuer_signed
from wallet_core.keys.jwk import thumbprint
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.protocols.openid4vci.metadata import parse_credential_issuer_metadata
from wallet_core.protocols.openid4vci.wallet import resolve_credential_issuer, resolve_offer
from wallet_core.spec_versions import NAMESPACE_MDL, NAMESPACE_MDL_KR
from wallet_core.trust.anchors import AnchorPurpose, TrustAnchor, TrustAnchors
from wallet_core.types import AgencyId

MDOC, SD_JWT = "drivers-licence-mdoc", "drivers-licence-sd-jwt"
ISSUER = f"{HOST}/agencies/police"


@pytest.fixture
def iaca():
    return new_iaca(now=NOW)


@pytest.fixture
def issuer(tmp_path, database_url, iaca) -> IssuerUnderTest:
    started = start_issuer(tmp_path, database_url)
    add_document_signer(started.issuer.keys, iaca, "police")
    return started


def receive(issuer: IssuerUnderTest, count: int = 2) -> tuple[list[str], list[SoftwareSigner]]:
    keys = [SoftwareSigner.generate() for _ in range(count)]
    pending = issuer.proofs(issuer.offer(configuration=MDOC)["uri"], keys)
    (batch,) = issuer.receive(pending, keys).batches
    return list(batch.credentials), keys


def verify(issuer: IssuerUnderTest, text: str, keys, anchors: TrustAnchors):
    metadata = run_flow(resolve_credential_issuer(ISSUER), issuer.send)
    return verify_issued(
        text,
        issuer=ISSUER,
        configuration=metadata.configurations[MDOC],
        signers={thumbprint(key.public_key): key for key in keys},
        anchors=anchors,
        now=NOW,
    )


def mdl_anchors(iaca) -> TrustAnchors:
    return TrustAnchors([TrustAnchor(iaca.certificate, AnchorPurpose.MDL_ISSUER)])


def test_an_mdl_is_issued_and_accepted(issuer, iaca) -> None:
    texts, keys = receive(issuer)
    verified = [verify(issuer, text, keys, mdl_anchors(iaca)) for text in texts]
    assert {one.type for one in verified} == {"org.iso.18013.5.1.mDL"}
    assert {thumbprint(one.signer.public_key) for one in verified} == {thumbprint(key.public_key) for key in keys}


def test_what_is_in_it(issuer) -> None:
    texts, _ = receive(issuer)
    held = [index_mdoc(base64url.decode(text)) for text in texts]
    assert lint_mdl(held[0].claims) == ()
    assert held[0].claims[NAMESPACE_MDL_KR]["name"] == "한지우"
    assert set(held[0].claims) == {NAMESPACE_MDL, NAMESPACE_MDL_KR}
    # Copies cannot be linked: fresh salts and digestIDs, hours without minutes, a place of its own in the status list.
    assert held[0].items[(NAMESPACE_MDL, "sex")] != held[1].items[(NAMESPACE_MDL, "sex")]
    assert held[0].mso.validity.signed.minute == held[0].mso.validity.valid_until.minute == 0
    first, second = (one.mso.status["status_list"] for one in held)
    assert first["idx"] != second["idx"]


HANGUL = "family_name is not a Latin-1 text of at most 150 characters"


def put_record(issuer: IssuerUnderTest, **changes: str) -> None:
    """Put a person's record, which the catalogue allows and a reader of licences may not."""
    record = SubjectRecord("p1", {**issuer.record(MDOC), **changes}, None)
    unit = issuer.issuer.database.unit()
    with unit:
        issuer.issuer.records(unit).put(AgencyId("police"), "drivers-licence", [record], now=NOW)


@pytest.mark.clause("mdoc-18013.7.2.1-values")
def test_an_mdl_that_no_reader_takes_is_not_offered(issuer) -> None:
    claims = {**issuer.record(MDOC), "family_name": "한"}
    body = {"credential_configuration_ids": [MDOC], "tx_code": False, "claims": {MDOC: claims}}
    refused = issuer.api("POST", "/offers", json=body)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_request")
    assert HANGUL in refused.json()["error_description"]
    assert issuer.api("GET", "/offers").json()["offers"] == []
    # The same person's SD-JWT VC is no concern of that standard.
    assert issuer.offer(configuration=SD_JWT, claims={SD_JWT: claims})["uri"]


@pytest.mark.clause("mdoc-18013.7.2.1-values")
def test_a_record_that_no_longer_makes_an_mdl_spends_nothing(issuer) -> None:
    put_record(issuer)
    keys = [SoftwareSigner.generate()]
    pending = issuer.proofs(issuer.offer(configuration=MDOC, subject_id="p1")["uri"], keys)
    put_record(issuer, family_name="한")
    with pytest.raises(PeerRefusal) as refusal:
        issuer.receive(pending, keys)
    assert (refusal.value.status, refusal.value.error) == (400, "credential_request_denied")
    assert "한" not in str(refusal.value)
    assert issuer.api("GET", "/credentials").json()["credentials"] == []
    # The agency mends the record, and the same proof is good: its nonce was not spent.
    put_record(issuer)
    assert issuer.receive(pending, keys).batches


@pytest.mark.clause("mdoc-18013.9.1.2.4-signer-end")
def test_an_mdl_does_not_outlive_its_signer(issuer, iaca) -> None:
    issuer.clock.time = NOW + timedelta(days=350)
    texts, _ = receive(issuer, count=1)
    held = index_mdoc(base64url.decode(texts[0]))
    assert held.mso.validity.valid_until <= NOW + timedelta(days=365)
    # The agency's own record says the same end.
    (record,) = issuer.api("GET", "/credentials").json()["credentials"]
    assert datetime.fromisoformat(record["expires_at"]) == held.mso.validity.valid_until


def test_an_agency_whose_document_signer_ended_offers_no_mdl(issuer) -> None:
    issuer.clock.time = NOW + timedelta(days=366)
    metadata = run_flow(resolve_credential_issuer(ISSUER), issuer.send)
    assert MDOC not in metadata.configurations
    assert SD_JWT in metadata.configurations


def test_in_its_last_hour_a_document_signer_signs_no_more(issuer) -> None:
    keys = [SoftwareSigner.generate()]
    issuer.clock.time = NOW + timedelta(days=365) - timedelta(minutes=5)
    pending = issuer.proofs(issuer.offer(configuration=MDOC)["uri"], keys)
    with pytest.raises(PeerRefusal) as refusal:
        issuer.receive(pending, keys)
    assert (refusal.value.status, refusal.value.error) == (503, "temporarily_unavailable")


def test_how_large_the_signed_part_is(issuer) -> None:
    texts, _ = receive(issuer, count=1)
    size = mso_size(parse_issuer_signed(base64url.decode(texts[0])))
    assert size.fits_zero_knowledge_circuits, size


@pytest.mark.clause("mdoc-18013.9.3.1-chain-wallet")
def test_the_wallet_trusts_no_other_root(issuer) -> None:
    texts, keys = receive(issuer, count=1)
    with pytest.raises(UntrustedError):
        verify(issuer, texts[0], keys, issuer_anchors(issuer.ca))


@pytest.mark.clause("vci-8.3-our-device-key")
def test_an_mdl_for_another_key(issuer, iaca) -> None:
    texts, _ = receive(issuer, count=1)
    with pytest.raises(HolderBindingError):
        verify(issuer, texts[0], [SoftwareSigner.generate()], mdl_anchors(iaca))


@pytest.mark.clause("mdoc-18013.9.3.1-issuer-asked")
def test_an_mdl_under_another_agencys_signer(issuer, iaca) -> None:
    add_document_signer(issuer.issuer.keys, iaca, "city-tax")
    for ending in ("key.pem", "chain.pem"):
        folder = issuer.issuer.settings.key_store
        (folder / f"police.mdoc.{ending}").write_bytes((folder / f"city-tax.mdoc.{ending}").read_bytes())
    texts, keys = receive(issuer, count=1)
    with pytest.raises(UntrustedError):
        verify(issuer, texts[0], keys, mdl_anchors(iaca))


def test_both_formats_in_one_offer(issuer) -> None:
    record = issuer.record(MDOC)
    order = {"credential_configuration_ids": [SD_JWT, MDOC], "claims": {SD_JWT: record, MDOC: record}, "tx_code": False}
    answer = issuer.api("POST", "/offers", json=order)
    assert answer.status_code == 201, answer.text
    resolved = run_flow(resolve_offer(answer.json()["uri"]), issuer.send)
    assert [each.format for each in resolved.configurations] == ["dc+sd-jwt", "mso_mdoc"]


def test_an_agency_without_a_document_signer_offers_no_mdocs(tmp_path, database_url) -> None:
    bare = start_issuer(tmp_path, database_url)
    document = bare.client.get(f"{HOST}/.well-known/openid-credential-issuer/agencies/police").json()
    assert MDOC not in parse_credential_issuer_metadata(document, credential_issuer=ISSUER).configurations
    answer = bare.api("POST", "/offers", json={"credential_configuration_ids": [MDOC], "subject_id": "x"})
    assert (answer.status_code, answer.json()["error"]) == (400, "unknown_credential_configuration")
