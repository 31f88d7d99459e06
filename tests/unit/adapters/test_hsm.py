"""Keys in a token, with SoftHSM for the token."""

import json
import multiprocessing
import os
import stat
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pkcs11
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from pkcs11 import Attribute, ObjectClass
from pkcs11.util.ec import encode_named_curve_parameters
from typer.testing import CliRunner, Result

from tests.support.softhsm import PIN, SoftHsm, sign_in_child
from wallet_core.adapters import hsm
from wallet_core.adapters.cli_keys import app
from wallet_core.adapters.hsm import HsmKey, HsmSigner, create_hsm_key, destroy_hsm_key
from wallet_core.adapters.keystore import KeyStore
from wallet_core.errors import HsmUnavailable, KeyUnavailable, WalletError
from wallet_core.jose import jws
from wallet_core.keys.algorithms import SignatureAlgorithm
from wallet_core.keys.signer import SoftwareSigner

GOOD = {"module": "/lib/m.so", "token": "police", "key": "signing", "pin_file": "/run/police.pin"}
MESSAGE = b"header.payload"


def toml(members: dict[str, str | None]) -> str:
    return "".join(f"{name} = {json.dumps(value)}\n" for name, value in members.items() if value is not None)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Moves the clock that tells when a token that failed is tried again."""
    passed = 0.0
    real = hsm.monotonic
    monkeypatch.setattr(hsm, "monotonic", lambda: real() + passed)

    def advance(seconds: float) -> None:
        nonlocal passed
        passed += seconds

    return advance


@pytest.fixture
def key(softhsm: SoftHsm) -> HsmKey:
    softhsm.add_token("police")
    return HsmKey.parse(softhsm.describe("police"))


def check(signer: HsmSigner, message: bytes = MESSAGE) -> None:
    signer.public_key.verify(signer.sign(message), message)


@pytest.mark.parametrize("curve", ["P-256", "P-384", "P-521", "Ed25519"])
def test_a_key_made_in_the_token_signs(key: HsmKey, curve: str) -> None:
    signer = create_hsm_key(key, random=os.urandom, curve=curve)
    algorithm = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512", "Ed25519": "EdDSA"}[curve]
    assert signer.public_key.algorithm is SignatureAlgorithm(algorithm)
    check(signer)
    token = jws.sign({"typ": "test+jwt"}, {"a": 1}, signer)
    assert jws.verify(jws.parse(token), signer.public_key, typ="test+jwt").payload == b'{"a":1}'
    assert HsmSigner.open(key).public_key == signer.public_key


def test_the_key_cannot_be_taken_out(softhsm: SoftHsm, key: HsmKey) -> None:
    create_hsm_key(key, random=os.urandom)
    hsm.close_all()
    library = pkcs11.lib(str(softhsm.module))
    with library.get_token(token_label="police").open(rw=True, user_pin=PIN) as session:
        private = session.get_key(object_class=ObjectClass.PRIVATE_KEY, label="signing")
        for attribute, expected in {
            Attribute.SENSITIVE: True,
            Attribute.EXTRACTABLE: False,
            Attribute.ALWAYS_SENSITIVE: True,
            Attribute.NEVER_EXTRACTABLE: True,
            Attribute.LOCAL: True,
            Attribute.SIGN: True,
            Attribute.DECRYPT: False,
            Attribute.DERIVE: False,
            Attribute.UNWRAP: False,
        }.items():
            assert private[attribute] is expected, attribute
        with pytest.raises(pkcs11.AttributeSensitive):
            private[Attribute.VALUE]
        with pytest.raises(pkcs11.PKCS11Error):
            private[Attribute.EXTRACTABLE] = True
        wrapping = session.generate_key(pkcs11.KeyType.AES, 256)
        with pytest.raises(pkcs11.PKCS11Error):
            wrapping.wrap_key(private)
    library.finalize()


def test_a_key_is_found_by_label_by_id_and_by_both(softhsm: SoftHsm) -> None:
    softhsm.add_token("police")
    made = {
        name: create_hsm_key(HsmKey.parse(softhsm.describe("police", key=label, key_id=name)), random=os.urandom)
        for name, label in (("01", "old"), ("02", "new"), ("03", "new"))
    }
    for name, label in (("01", ""), ("02", ""), ("03", "new")):
        found = HsmSigner.open(HsmKey.parse(softhsm.describe("police", key=label, key_id=name)))
        assert found.public_key == made[name].public_key
    assert HsmSigner.open(HsmKey.parse(softhsm.describe("police", key="old"))).public_key == made["01"].public_key
    for description in (softhsm.describe("police", key="new"), softhsm.describe("police", key="none")):
        hsm.close_all()
        with pytest.raises(HsmUnavailable, match="where one is expected"):
            HsmSigner.open(HsmKey.parse(description))


def test_a_key_that_is_there_is_kept(key: HsmKey) -> None:
    first = create_hsm_key(key, random=os.urandom)
    with pytest.raises(KeyUnavailable, match="kept"):
        create_hsm_key(key, random=os.urandom)
    assert HsmSigner.open(key).public_key == first.public_key


def test_threads_share_a_token(key: HsmKey) -> None:
    signer = create_hsm_key(key, random=os.urandom)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda n: check(signer, b"%d" % n), range(400)))


@pytest.mark.parametrize("method", ["spawn", "fork"])
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_children_open_sessions_of_their_own(key: HsmKey, method: str) -> None:
    signer = create_hsm_key(key, random=os.urandom)
    check(signer)
    context = multiprocessing.get_context(method)
    results = context.Queue()
    # A forked child inherits the signer; a spawned one opens its own.
    what = signer if method == "fork" else key
    # A lock that some thread of the parent holds at the fork must not stop the child.
    with hsm._module(key.module):
        children = [context.Process(target=sign_in_child, args=(what, MESSAGE, results)) for _ in range(2)]
        for child in children:
            child.start()
        signatures = [results.get(timeout=60) for _ in children]
    for child in children:
        child.join(10)
    for signature in signatures:
        signer.public_key.verify(signature, MESSAGE)
    check(signer)


def test_a_token_that_went_away_is_found_again(softhsm: SoftHsm, key: HsmKey, clock: Callable[[float], None]) -> None:
    signer = create_hsm_key(key, random=os.urandom)
    softhsm.take_away("police")
    for _ in range(3):
        with pytest.raises(HsmUnavailable) as refused:
            signer.sign(MESSAGE)
        assert (refused.value.code, refused.value.http_status) == ("temporarily_unavailable", 503)
        assert "key signing of token police" in refused.value.detail
        clock(hsm.PAUSE_SECONDS)
    with pytest.raises(HsmUnavailable):
        HsmSigner.open(key)
    softhsm.put_back("police")
    with pytest.raises(HsmUnavailable, match="a moment ago"):
        signer.sign(MESSAGE)
    clock(hsm.PAUSE_SECONDS)
    check(signer)


def test_one_token_away_leaves_the_others_usable(softhsm: SoftHsm, key: HsmKey, clock: Callable[[float], None]) -> None:
    signer = create_hsm_key(key, random=os.urandom)
    softhsm.add_token("city", "31415926")
    hsm.close_all()
    other = create_hsm_key(HsmKey.parse(softhsm.describe("city")), random=os.urandom)
    check(signer)
    softhsm.take_away("police")
    for _ in range(2):
        with pytest.raises(HsmUnavailable):
            signer.sign(MESSAGE)
        check(other)
        clock(hsm.PAUSE_SECONDS)
    softhsm.put_back("police")
    check(signer)
    check(other)


def test_a_key_that_is_not_there_does_not_stop_the_others_in_its_token(softhsm: SoftHsm, key: HsmKey) -> None:
    signer = create_hsm_key(key, random=os.urandom)
    for _ in range(2):
        with pytest.raises(HsmUnavailable):
            HsmSigner.open(HsmKey.parse(softhsm.describe("police", key="absent")))
        check(signer)


def test_two_names_of_one_module(softhsm: SoftHsm, key: HsmKey, tmp_path: Path) -> None:
    signer = create_hsm_key(key, random=os.urandom)
    (tmp_path / "link.so").symlink_to(softhsm.module)
    other = create_hsm_key(
        HsmKey.parse(softhsm.describe("police", key="other", module=str(tmp_path / "link.so"))), random=os.urandom
    )
    for each in (signer, other, signer):
        check(each)


def test_a_module_that_was_stopped_under_us_is_started_again(
    softhsm: SoftHsm, key: HsmKey, caplog: pytest.LogCaptureFixture
) -> None:
    signer = create_hsm_key(key, random=os.urandom)
    pkcs11.lib(str(softhsm.module)).finalize()
    with caplog.at_level("WARNING"):
        check(signer)
    assert "key signing of token police is in use again" in caplog.text


def test_another_key_by_that_name_signs_nothing(softhsm: SoftHsm, key: HsmKey) -> None:
    signer = create_hsm_key(key, random=os.urandom)
    destroy_hsm_key(key)
    other = create_hsm_key(key, random=os.urandom)
    for _ in range(2):
        with pytest.raises(KeyUnavailable, match="another key now"):
            signer.sign(MESSAGE)
        check(other)
        hsm.close_all()


def test_halves_that_differ_are_refused(softhsm: SoftHsm, key: HsmKey) -> None:
    first = create_hsm_key(HsmKey.parse(softhsm.describe("police", key="first")), random=os.urandom)
    create_hsm_key(HsmKey.parse(softhsm.describe("police", key="second")), random=os.urandom)
    hsm.close_all()
    library = pkcs11.lib(str(softhsm.module))
    with library.get_token(token_label="police").open(rw=True, user_pin=PIN) as session:
        session.get_key(object_class=ObjectClass.PRIVATE_KEY, label="first").destroy()
        session.get_key(object_class=ObjectClass.PRIVATE_KEY, label="second")[Attribute.LABEL] = "first"
    library.finalize()
    with pytest.raises(KeyUnavailable, match="halves differ"):
        HsmSigner.open(HsmKey.parse(softhsm.describe("police", key="first")))
    assert first.public_key


def test_a_key_of_another_kind_is_refused(softhsm: SoftHsm, key: HsmKey) -> None:
    library = pkcs11.lib(str(softhsm.module))
    with library.get_token(token_label="police").open(rw=True, user_pin=PIN) as session:
        session.generate_keypair(pkcs11.KeyType.RSA, 2048, label="signing", store=True)
        curve = {Attribute.EC_PARAMS: encode_named_curve_parameters("1.3.132.0.10")}
        parameters = session.create_domain_parameters(pkcs11.KeyType.EC, curve, local=True)
        parameters.generate_keypair(label="bitcoin", store=True)
        curve = {Attribute.EC_PARAMS: encode_named_curve_parameters("1.2.840.10045.3.1.7")}
        parameters = session.create_domain_parameters(pkcs11.KeyType.EC, curve, local=True)
        parameters.generate_keypair(label="agreeing", store=True, capabilities=pkcs11.MechanismFlag.DERIVE)
    library.finalize()
    for label, words in {"signing": "a kind", "bitcoin": "a kind", "agreeing": "CKA_SIGN"}.items():
        with pytest.raises(KeyUnavailable, match=words) as refused:
            HsmSigner.open(HsmKey.parse(softhsm.describe("police", key=label)))
        assert refused.value.http_status == 500


def test_a_pin_that_is_refused_is_not_tried_again(softhsm: SoftHsm, key: HsmKey) -> None:
    create_hsm_key(key, random=os.urandom)
    hsm.close_all()
    softhsm.pin_file("police").write_text("wrong-98765")
    for words in ("PinIncorrect", "not tried again", "not tried again"):
        with pytest.raises(HsmUnavailable, match=words) as refused:
            HsmSigner.open(key)
        assert "98765" not in f"{refused.value!r} {refused.value.detail} {refused.value.__cause__!r}"
    softhsm.pin_file("police").write_text(PIN)
    check(HsmSigner.open(key))


def test_a_pin_from_the_environment(softhsm: SoftHsm, monkeypatch: pytest.MonkeyPatch) -> None:
    softhsm.add_token("police")
    key = HsmKey.parse(softhsm.describe("police", pin_file="", pin_variable="POLICE_PIN"))
    with pytest.raises(HsmUnavailable, match="POLICE_PIN holds no PIN"):
        create_hsm_key(key, random=os.urandom)
    monkeypatch.setenv("POLICE_PIN", PIN)
    check(create_hsm_key(key, random=os.urandom))


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe", b"1234\x005678", b"7" * 256, None])
def test_a_file_that_holds_no_pin(softhsm: SoftHsm, key: HsmKey, content: bytes | None) -> None:
    file = softhsm.pin_file("police")
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(HsmUnavailable) as refused:
        HsmSigner.open(key)
    assert refused.value.__cause__ is None
    assert "777" not in refused.value.detail


def test_a_module_that_is_not_there_or_is_none(softhsm: SoftHsm, tmp_path: Path) -> None:
    softhsm.add_token("police")
    for module in (tmp_path / "absent.so", softhsm.configuration):
        key = HsmKey.parse(softhsm.describe("police", module=str(module)))
        with pytest.raises(HsmUnavailable):
            HsmSigner.open(key)


def test_a_module_that_hangs_is_waited_for_only_so_long(key: HsmKey, monkeypatch: pytest.MonkeyPatch) -> None:
    signer = create_hsm_key(key, random=os.urandom)
    monkeypatch.setattr(hsm, "LOCK_SECONDS", 0.05)
    held, done = threading.Event(), threading.Event()

    def hang() -> None:
        with hsm._module(key.module):
            held.set()
            done.wait(10)

    thread = threading.Thread(target=hang)
    thread.start()
    held.wait(10)
    with pytest.raises(HsmUnavailable, match="busy"):
        signer.sign(MESSAGE)
    done.set()
    thread.join()
    check(signer)


@pytest.mark.parametrize(
    "members",
    [
        {"module": None}, {"module": "m.so"}, {"token": None}, {"token": ""}, {"key": None}, {"key_id": "xyz"},
        {"key_id": " "}, {"pin_file": None}, {"pin_variable": "PIN"}, {"pin_file": None, "pin_variable": "1234"},
        {"pin_file": "police.pin"}, {"pin": "1234"}, {"token": "a\0b"},
    ],
)  # fmt: skip
def test_descriptions_that_do_not_fit(members: dict[str, str | None]) -> None:
    HsmKey.parse(toml(GOOD))
    with pytest.raises(KeyUnavailable):
        HsmKey.parse(toml({**GOOD, **members}))


def test_the_description_on_the_page_is_one() -> None:
    page = (Path(__file__).parents[3] / "specs" / "key-stores.md").read_text(encoding="utf-8")
    found = HsmKey.parse(page.partition("```toml\n")[2].partition("```")[0])
    assert (found.token, found.label, found.key_id) == ("police", "signing-2026", b"\x0a\x1b")


@given(st.one_of(st.text(max_size=200), st.dictionaries(st.sampled_from(sorted(hsm._MEMBERS)), st.text()).map(toml)))
def test_only_our_errors_leave_a_description(text: str) -> None:
    with suppress(WalletError):
        HsmKey.parse(text)


@dataclass
class PublicObject:
    """A public key as python-pkcs11 shows one."""

    parameters: bytes
    point: bytes
    key_type: pkcs11.KeyType = pkcs11.KeyType.EC

    def __getitem__(self, attribute: Attribute) -> bytes:
        return self.parameters if attribute is Attribute.EC_PARAMS else self.point


@pytest.mark.parametrize("curve", ["P-256", "P-384", "P-521", "Ed25519"])
@pytest.mark.parametrize("wrapped", [True, False])
def test_a_point_with_and_without_its_octet_string(*, curve: str, wrapped: bool) -> None:
    made = hsm._CURVES[curve]
    if made.curve is None:
        key = ed25519.Ed25519PrivateKey.generate().public_key()
        point = key.public_bytes_raw()
    else:
        key = ec.generate_private_key(made.curve).public_key()
        point = key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    length = bytes([len(point)]) if len(point) < 128 else bytes([0x81, len(point)])
    public = PublicObject(made.parameters, b"\x04" + length + point if wrapped else point, made.key_type)
    assert hsm._read_public_key(public).raw == key


@given(st.sampled_from(sorted(hsm._BY_PARAMETERS)) | st.binary(max_size=20), st.binary(max_size=140))
def test_only_our_errors_leave_a_public_key(parameters: bytes, point: bytes) -> None:
    size = hsm._BY_PARAMETERS[parameters].point_bytes if parameters in hsm._BY_PARAMETERS else 0
    for each in (point, point.ljust(size, b"\0")[:size], b"\x04" + point.ljust(size, b"\0")[:size]):
        with suppress(WalletError):
            hsm._read_public_key(PublicObject(parameters, each))


def jigap_keys(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


@pytest.fixture
def store(tmp_path: Path) -> Path:
    made = tmp_path / "keys"
    result = jigap_keys(
        "new-ca", "ca", "--store", str(made), "--organization", "시험 인증기관", "--purpose", "credential_issuer",
        "--contact", "https://ca.example",
    )  # fmt: skip
    assert result.exit_code == 0
    return made


def new_issuer(store: Path, description: Path, *more: str, name: str = "police") -> Result:
    return jigap_keys(
        "new-issuer", name, "--store", str(store), "--ca", "ca", "--issuer", "https://issuer.example/agencies/police",
        "--organization", "경찰 (시험용)", "--hsm", str(description), "--json", *more,
    )  # fmt: skip


@pytest.fixture
def description(softhsm: SoftHsm, tmp_path: Path) -> Path:
    softhsm.add_token("police")
    file = tmp_path / "police.toml"
    file.write_text("# 경찰의 서명 열쇠\n" + softhsm.describe("police"))
    return file


def test_an_issuers_key_is_made_in_the_token(softhsm: SoftHsm, store: Path, description: Path) -> None:
    result = new_issuer(store, description)
    assert result.exit_code == 0, result.exception
    assert sorted(path.name for path in store.glob("police.*")) == ["police.chain.pem", "police.hsm.toml"]
    assert (store / "police.hsm.toml").read_text() == description.read_text()
    assert stat.S_IMODE((store / "police.hsm.toml").stat().st_mode) == 0o600
    keys = KeyStore(store)
    assert keys.names() == ["ca", "police"]
    certificate = x509.load_der_x509_certificate(keys.chain("police")[0])
    assert certificate.public_key() == keys.signer("police").public_key.raw
    check(keys.signer("police"))
    assert PIN not in result.stdout + result.stderr
    with pytest.raises(KeyUnavailable, match="stays in its token"):
        keys.private_key("police")


def test_a_relying_partys_key_too(store: Path, description: Path) -> None:
    result = jigap_keys(
        "new-verifier", "bank", "--store", str(store), "--ca", "ca", "--response-uri", "https://bank.example/response",
        "--organization", "도담은행 (시험용)", "--hsm", str(description),
    )  # fmt: skip
    assert result.exit_code == 0, result.exception
    keys = KeyStore(store)
    assert x509.load_der_x509_certificate(keys.chain("bank")[0]).public_key() == keys.signer("bank").public_key.raw
    check(keys.signer("bank"))


def test_a_key_that_the_token_has_is_certified(store: Path, description: Path) -> None:
    made = create_hsm_key(HsmKey.parse(description.read_text()), random=os.urandom)
    refused = new_issuer(store, description)
    assert isinstance(refused.exception, KeyUnavailable)
    assert new_issuer(store, description, "--existing").exit_code == 0
    assert KeyStore(store).signer("police").public_key == made.public_key
    without = jigap_keys(
        "new-issuer", "x", "--store", str(store), "--ca", "ca", "--issuer", "https://i.example", "--organization", "x",
        "--existing",
    )  # fmt: skip
    assert without.exit_code == 2


def test_what_fails_leaves_nothing_behind(softhsm: SoftHsm, store: Path, description: Path) -> None:
    before = sorted(path.name for path in store.iterdir())
    assert new_issuer(store, description, "--days", "9999").exit_code == 2
    assert isinstance(new_issuer(store, description, "--ca", "nobody").exception, KeyUnavailable)
    softhsm.take_away("police")
    assert isinstance(new_issuer(store, description).exception, HsmUnavailable)
    softhsm.put_back("police")
    hsm.close_all()
    with pytest.raises(HsmUnavailable, match="no public keys"):
        HsmSigner.open(HsmKey.parse(description.read_text()))
    assert sorted(path.name for path in store.iterdir()) == before
    hsm.close_all()
    assert new_issuer(store, description).exit_code == 0


def test_an_entry_is_a_file_or_a_token_not_both(store: Path, description: Path) -> None:
    assert new_issuer(store, description).exit_code == 0
    keys = KeyStore(store)
    with pytest.raises(KeyUnavailable, match="kept"):
        keys.add("police", ec.generate_private_key(ec.SECP256R1()))
    KeyStore(store / "other").add("police", SoftwareSigner.generate().private_key)
    (store / "other" / "police.key.pem").rename(store / "police.key.pem")
    with pytest.raises(KeyUnavailable, match="keep one"):
        KeyStore(store).signer("police")


def test_a_chain_for_another_key_is_refused(store: Path, description: Path) -> None:
    assert new_issuer(store, description).exit_code == 0
    (store / "police.chain.pem").write_bytes((store / "ca.chain.pem").read_bytes())
    with pytest.raises(KeyUnavailable):
        KeyStore(store).chain("police")


def test_without_the_extra_it_says_what_to_install(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (store / "police.hsm.toml").write_text(toml(GOOD))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(KeyUnavailable, match=r"jigap\[hsm\]"):
        KeyStore(store).signer("police")
