"""Sealing and the folder of keys."""

import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from wallet_core.adapters import keystore
from wallet_core.adapters.keystore import KeyStore, Sealer, new_key_text
from wallet_core.errors import KeyUnavailable
from wallet_core.keys.signer import SoftwareSigner

KEY = bytes(range(32))


@given(st.binary(max_size=200), st.text(max_size=40))
def test_what_was_sealed_opens_again(data: bytes, context: str) -> None:
    sealer = Sealer({1: KEY})
    assert sealer.open(sealer.seal(data, context), context) == data


def test_a_sealed_value_opens_nowhere_else_and_not_when_changed() -> None:
    sealer = Sealer({1: KEY})
    sealed = sealer.seal(b"secret", "offer/1")
    assert sealed != sealer.seal(b"secret", "offer/1")
    changed = [sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :] for place in range(len(sealed))]
    for value in [*changed, sealed[:-1], sealed + b"x", b"", b"\0", sealed[:10]]:
        with pytest.raises(KeyUnavailable):
            sealer.open(value, "offer/1")
    with pytest.raises(KeyUnavailable):
        sealer.open(sealed, "offer/2")


def test_after_a_rotation_old_values_open_and_new_ones_use_the_new_key() -> None:
    old, new = new_key_text(), new_key_text().replace("1:", "2:")
    sealed = Sealer.from_text(old).seal(b"x", "a")
    both = Sealer.from_text(f"{new}\n{old}\n")
    assert both.open(sealed, "a") == b"x"
    assert Sealer.from_text(new).open(both.seal(b"y", "a"), "a") == b"y"
    with pytest.raises(KeyUnavailable):
        Sealer.from_text(new).open(sealed, "a")
    assert both.derive("nonce") == Sealer.from_text(old).derive("nonce") != both.derive("other")


@pytest.mark.parametrize("text", ["", "1:", "x:AAAA", "1:AAAA", "0:" + "A" * 43, "70000:" + "A" * 43, "1:" + "%" * 43])
def test_a_sealing_key_that_is_none(text: str) -> None:
    with pytest.raises(KeyUnavailable):
        Sealer.from_text(text)


def test_a_key_is_kept_and_signs(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    KeyStore(tmp_path / "keys").add("bank", key)
    store = KeyStore(tmp_path / "keys")
    assert store.names() == ["bank"]
    store.signer("bank").public_key.verify(store.signer("bank").sign(b"data"), b"data")
    assert stat.S_IMODE((tmp_path / "keys" / "bank.key.pem").stat().st_mode) == 0o600
    with pytest.raises(KeyUnavailable):
        store.add("bank", ec.generate_private_key(ec.SECP256R1()))
    assert store.signer("bank").public_key.raw == key.public_key()
    with pytest.raises(KeyUnavailable):
        store.chain("bank")


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", "A", "a b", "-a", "a" * 101, "a\n"])
def test_a_name_never_leaves_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(KeyUnavailable):
        KeyStore(tmp_path).signer(name)


def test_keys_that_are_missing_broken_or_of_another_kind(tmp_path: Path) -> None:
    (tmp_path / "broken.key.pem").write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    other = rsa.generate_private_key(65537, 2048)
    pem = other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "rsa.key.pem").write_bytes(pem)
    for name in ("missing", "broken", "rsa"):
        with pytest.raises(KeyUnavailable):
            KeyStore(tmp_path).signer(name)
    store = KeyStore(tmp_path)
    store.add("own", SoftwareSigner.generate().private_key)
    (tmp_path / "own.chain.pem").write_text("no certificate")
    with pytest.raises(KeyUnavailable):
        store.chain("own")


# --- rotation ---------------------------------------------------------------------------------------------------------
def certified(store: KeyStore, name: str) -> SoftwareSigner:
    """Add a key with a certificate of its own."""
    import os

    from tests.unit.trust.conftest import ISSUER, NOW, new_ca
    from wallet_core.trust.certificates import create_issuer_certificate

    signer = SoftwareSigner.generate()
    leaf = create_issuer_certificate(
        new_ca(), issuer=ISSUER, organization="O", public_key=signer.public_key, now=NOW, random=os.urandom
    )
    store.add(name, signer.private_key, [leaf.public_bytes(Encoding.DER)])
    return signer


@pytest.fixture
def looking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every store looks at every look-up whether a key was rotated."""
    monkeypatch.setattr(keystore, "LOOK_AGAIN", 0.0)


def test_another_process_goes_by_a_rotation_after_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(keystore, "monotonic", lambda: now[0])
    one, other = KeyStore(tmp_path), KeyStore(tmp_path)
    certified(one, "police")
    certified(one, "police.2")
    assert one.current("police") == other.current("police") == "police"
    one.rotate("police", "police.2")
    assert one.current("police") == "police.2"
    now[0] += 0.9
    assert other.current("police") == "police"
    now[0] += 0.1
    assert other.current("police") == "police.2"


@pytest.mark.usefixtures("looking")
def test_a_rotation_is_seen_by_every_store_and_keeps_the_older_key(tmp_path: Path) -> None:
    one, other = KeyStore(tmp_path), KeyStore(tmp_path)
    first, second = certified(one, "police"), certified(one, "police.2")
    assert one.current("police") == "police"
    assert other.signing_key("police").signer.public_key == first.public_key
    one.rotate("police", "police.2")
    for store in (one, other, KeyStore(tmp_path)):
        assert store.current("police") == "police.2"
        assert store.signer("police").public_key == second.public_key
        assert store.signing_key("police").chain == store.chain("police") == store.chain("police.2")
        assert [key.signer.public_key for key in store.signing_keys("police")] == [second.public_key, first.public_key]
        assert len(store.published("police")) == 2
    # and back, if the new one turns out to be bad
    other.rotate("police", "police")
    assert one.signer("police").public_key == first.public_key
    assert not list(tmp_path.glob("*.draft"))


def test_generations_are_of_one_owner_and_in_order(tmp_path: Path) -> None:
    store = KeyStore(tmp_path)
    for name in ("police", "police.10", "police.2", "police.mdoc", "police.mdoc.2", "police-2", "police.02"):
        store.add(name, SoftwareSigner.generate().private_key)
    assert store.generations("police") == ["police", "police.2", "police.10"]
    assert store.generations("police.mdoc") == ["police.mdoc", "police.mdoc.2"]


@pytest.mark.parametrize("pointer", ["", "bank", "police.3", "../police", "police\nbank", "\u00e9"])
def test_a_pointer_to_nothing_signs_nothing(tmp_path: Path, pointer: str) -> None:
    store = KeyStore(tmp_path)
    certified(store, "police")
    certified(store, "bank")
    (tmp_path / "police.current").write_text(pointer)
    with pytest.raises(KeyUnavailable):
        store.signing_key("police")
    with pytest.raises(KeyUnavailable):
        store.rotate("police", "bank")


def test_only_a_key_with_its_chain_is_rotated_to(tmp_path: Path) -> None:
    store = KeyStore(tmp_path)
    certified(store, "police")
    store.add("police.2", SoftwareSigner.generate().private_key)
    with pytest.raises(KeyUnavailable):
        store.rotate("police", "police.2")
    assert store.current("police") == "police"


@pytest.mark.usefixtures("looking")
def test_a_key_and_its_chain_belong_together_while_keys_are_rotated(tmp_path: Path) -> None:
    import threading

    from cryptography import x509

    store = KeyStore(tmp_path)
    certified(store, "police")
    certified(store, "police.2")
    stop = threading.Event()

    def rotate() -> None:
        writer = KeyStore(tmp_path)
        while not stop.is_set():
            for entry in ("police.2", "police"):
                writer.rotate("police", entry)

    thread = threading.Thread(target=rotate)
    thread.start()
    try:
        seen = set()
        for _ in range(3000):
            key = store.signing_key("police")
            leaf = x509.load_der_x509_certificate(key.chain[0])
            assert leaf.public_key() == key.signer.public_key.raw
            seen.add(key.chain[0])
    finally:
        stop.set()
        thread.join()
    assert len(seen) == 2
