import json
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from wallet_core.adapters.cli_keys import app as keys_app
from wallet_core.adapters.cli_trust import app
from wallet_core.adapters.clock import SystemClock
from wallet_core.adapters.config import SettingsError, load_trust_anchors
from wallet_core.adapters.http import HttpClient
from wallet_core.adapters.keystore import KeyStore
from wallet_core.adapters.trust_files import load_issuer_policy, load_roots, read_trust_list
from wallet_core.errors import Expired, MalformedError, NotFound, StorageError, UntrustedError, VerificationError
from wallet_core.trust.anchors import AnchorPurpose
from wallet_core.trust.trust_list import verify_trust_list
from wallet_core.trust.x509 import verify_chain

POLICE = "http://localhost:8100/agencies/police"
VCT = "urn:jigap:vct:drivers-licence:1"
MDL = "org.iso.18013.5.1.mDL"
OPERATOR = "https://trust.example"


def run(program, *words: str) -> Result:
    return CliRunner().invoke(program, list(words))


def made(program, *words: str) -> dict:
    result = run(program, *words, "--json")
    assert result.exit_code == 0, result.stderr or result.exception
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two roots of agencies, an operator, and an agency with a key for each format."""
    folder = tmp_path_factory.mktemp("trust")
    ca, keys = ["--store", str(folder / "ca")], ["--store", str(folder / "keys"), "--ca-store", str(folder / "ca")]
    people = ["--organization", "시험용", "--contact", "https://ca.example"]
    made(keys_app, "new-ca", "issuers", *ca, *people, "--purpose", "credential_issuer")
    made(keys_app, "new-iaca", "mdl", *ca, *people, "--revocation-list", "https://ca.example/crl")
    made(keys_app, "new-ca", "lists", *ca, *people, "--purpose", "trust_list_operator", "--purpose", "vical_provider")
    agency = ["--issuer", POLICE, "--organization", "경찰 (시험용)"]
    made(keys_app, "new-issuer", "police", *keys, "--ca", "issuers", *agency)
    made(keys_app, "new-document-signer", "police.mdoc", *keys, "--ca", "mdl", *agency)
    made(keys_app, "next", "police", *keys, "--ca", "issuers")
    for role, name in (("trust_list_signer", "list"), ("vical_signer", "vical")):
        made(
            keys_app, "new-list-signer", name, *ca, "--ca", "lists", "--role", role, "--operator", OPERATOR,
            "--organization", "시험용",
        )  # fmt: skip
    return folder


def authorities(folder: Path) -> list[str]:
    return [word for name in ("issuers", "mdl") for word in ("--authority", str(folder / "ca" / f"{name}.anchor.pem"))]


def sign(folder: Path, out: Path, *more: str) -> dict:
    draft = out.with_suffix(".json")
    made(
        app, "draft", "--operator", OPERATOR, *authorities(folder), "--issuer-store", str(folder / "keys"),
        "--out", str(draft),
    )  # fmt: skip
    return made(app, "sign", str(draft), "--store", str(folder / "ca"), "--key", "list", "--out", str(out), *more)


def roots(folder: Path) -> Path:
    return folder / "ca" / "lists.anchor.pem"


def test_a_list_from_key_store_and_catalogue(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "list.jwt"
    first = sign(folder, out)
    (agency,) = first["agencies"]
    assert (agency["id"], agency["credential_issuers"]) == ("police", [POLICE])
    assert {f"dc+sd-jwt {VCT}", f"mso_mdoc {MDL}"} <= set(agency["types"])
    assert (first["sequence_number"], sign(folder, out)["sequence_number"]) == (1, 2)
    assert sign(folder, out, "--sequence", "9")["sequence_number"] == 9
    shown = made(app, "show", str(out), "--trust", str(roots(folder)))
    assert shown["sequence_number"] == 9
    words = run(app, "show", str(out), "--trust", str(roots(folder))).stderr
    assert "Trust list 9 of https://trust.example" in words
    wrong = run(app, "show", str(out), "--trust", str(folder / "ca" / "issuers.anchor.pem"))
    assert isinstance(wrong.exception, UntrustedError)


def test_a_draft_may_be_changed_before_it_is_signed(folder: Path, tmp_path: Path) -> None:
    draft, out = tmp_path / "list.json", tmp_path / "list.jwt"
    sign(folder, out)
    payload = json.loads(draft.read_text())
    payload["agencies"][0]["types"] = []
    draft.write_text(json.dumps(payload))
    signed = made(app, "sign", str(draft), "--store", str(folder / "ca"), "--key", "list", "--out", str(out))
    assert signed["agencies"][0]["types"] == []
    assert "police (" in run(app, "show", str(out), "--trust", str(roots(folder))).stderr
    draft.write_text("{}")
    bad = run(app, "sign", str(draft), "--store", str(folder / "ca"), "--key", "list", "--out", str(out))
    assert isinstance(bad.exception, MalformedError)


def test_a_list_of_wallets(folder: Path, tmp_path: Path) -> None:
    wallets, draft, out = tmp_path / "wallets.json", tmp_path / "list.json", tmp_path / "list.jwt"
    wallet = {"client_id": "https://wallet.example", "name": {"ko": "지갑"}, "provider": "https://provider.example"}
    wallets.write_text(json.dumps([{**wallet, "redirect_uris": ["https://wallet.example/callback"]}]))
    words = ["draft", "--operator", OPERATOR, *authorities(folder), "--issuer-store", str(folder / "keys")]
    made(app, *words, "--out", str(draft), "--wallets", str(wallets))
    signed = made(app, "sign", str(draft), "--store", str(folder / "ca"), "--key", "list", "--out", str(out))
    assert signed["wallets"] == [{name: wallet[name] for name in ("client_id", "provider")}]
    shown = run(app, "show", str(out), "--trust", str(roots(folder))).stderr
    assert "wallet https://wallet.example, attested by" in shown
    wallets.write_text(json.dumps([wallet, wallet]))
    assert isinstance(run(app, *words, "--out", str(draft), "--wallets", str(wallets)).exception, MalformedError)


def test_a_vical_of_iacas(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "list.vical"
    words = ["--provider", "시험용", "--store", str(folder / "ca"), "--key", "vical", "--out", str(out)]
    assert made(app, "new-vical", *authorities(folder), *words, "--issue", "4")["issue_id"] == 4
    shown = made(app, "show", str(out), "--trust", str(roots(folder)))
    assert shown["certificates"][0]["doctypes"] == [MDL]
    assert "VICAL 4 of" in run(app, "show", str(out), "--trust", str(roots(folder))).stderr
    none = run(app, "new-vical", "--authority", str(folder / "ca" / "issuers.anchor.pem"), *words, "--issue", "5")
    assert isinstance(none.exception, NotFound)


def test_files_of_every_kind_make_one_policy(folder: Path, tmp_path: Path) -> None:
    now = SystemClock().now()
    sign(folder, tmp_path / "list.jwt")
    words = ["--provider", "시험용", "--store", str(folder / "ca"), "--key", "vical", "--issue", "1"]
    vical = tmp_path / "iacas"
    made(app, "new-vical", "--authority", str(folder / "ca" / "mdl.anchor.pem"), *words, "--out", str(vical))
    store = KeyStore(folder / "keys")
    # the VICAL alone: mdocs; the list: both
    only_vical = load_issuer_policy([roots(folder), vical], now=now)
    signer = verify_chain(store.chain("police.mdoc"), only_vical.anchors, purpose=AnchorPurpose.MDL_ISSUER, at=now)
    asked = {"issuer": None, "format": "mso_mdoc", "at": now}
    assert only_vical.validate_may_issue(signer, type=MDL, **asked)
    with pytest.raises(UntrustedError):
        only_vical.validate_may_issue(signer, type="org.iso.23220.photoid.1", **asked)
    with pytest.raises(UntrustedError):
        verify_chain(store.chain("police"), only_vical.anchors, purpose=AnchorPurpose.CREDENTIAL_ISSUER, at=now)
    every = load_issuer_policy([vical, tmp_path / "list.jwt", roots(folder)], now=now)
    police = verify_chain(store.chain("police"), every.anchors, purpose=AnchorPurpose.CREDENTIAL_ISSUER, at=now)
    assert every.validate_may_issue(police, issuer=POLICE, format="dc+sd-jwt", type=VCT, at=now)
    with pytest.raises(UntrustedError):
        every.validate_may_issue(police, issuer=POLICE, format="dc+sd-jwt", type="urn:x", at=now)
    later = now + timedelta(days=8)
    with pytest.raises(Expired):
        load_issuer_policy([roots(folder), vical], now=later)
    assert load_issuer_policy([roots(folder), vical], now=later, grace=timedelta(days=2))


def test_roots_alone(folder: Path, tmp_path: Path) -> None:
    sign(folder, tmp_path / "list.jwt")
    found = load_roots([tmp_path / "list.jwt", roots(folder)])
    assert [anchor.purpose for anchor in found.anchors] == [
        AnchorPurpose.TRUST_LIST_OPERATOR,
        AnchorPurpose.VICAL_PROVIDER,
    ]


def test_certificates_without_purpose_take_what_the_caller_says(folder: Path, tmp_path: Path) -> None:
    now, bare = SystemClock().now(), tmp_path / "bare.pem"
    bare.write_bytes((folder / "ca" / "issuers.chain.pem").read_bytes())
    with pytest.raises(MalformedError):
        load_issuer_policy([bare], now=now)
    policy = load_issuer_policy([bare], now=now, purposes=[AnchorPurpose.CREDENTIAL_ISSUER, AnchorPurpose.MDL_ISSUER])
    assert {anchor.purpose for anchor in policy.anchors.anchors} == {
        AnchorPurpose.CREDENTIAL_ISSUER,
        AnchorPurpose.MDL_ISSUER,
    }


@pytest.mark.parametrize("content", [b"", b"eyJ", b"eyJ\xff", b"\x84", b"no list", b"-----BEGIN\xff"])
def test_files_that_are_none_of_these(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises((MalformedError, SettingsError, VerificationError)):
        load_issuer_policy([tmp_path / "x"], now=SystemClock().now())


def test_missing_files(tmp_path: Path) -> None:
    with pytest.raises(SettingsError):
        load_issuer_policy([tmp_path / "x"], now=SystemClock().now())
    for source in (tmp_path / "x", tmp_path):
        with pytest.raises(StorageError):
            read_trust_list(str(source), HttpClient(allow_loopback=False))


def test_a_list_is_read_from_a_file(folder: Path, tmp_path: Path) -> None:
    sign(folder, tmp_path / "list.jwt")
    text = read_trust_list(str(tmp_path / "list.jwt"), HttpClient(allow_loopback=False))
    assert verify_trust_list(text, load_trust_anchors([roots(folder)]), at=SystemClock().now())


def test_a_list_in_a_file_counts_for_the_grace_and_no_longer(folder: Path, tmp_path: Path) -> None:
    sign(folder, tmp_path / "list.jwt")
    text = (tmp_path / "list.jwt").read_text()
    listed = verify_trust_list(text, load_trust_anchors([roots(folder)]), at=SystemClock().now())
    files, end, grace = [roots(folder), tmp_path / "list.jwt"], listed.content.next_update, timedelta(hours=2)
    with pytest.raises(Expired):
        load_issuer_policy(files, now=end)
    assert load_issuer_policy(files, now=end + timedelta(hours=1), grace=grace)
    with pytest.raises(Expired):
        load_issuer_policy(files, now=end + grace, grace=grace)
