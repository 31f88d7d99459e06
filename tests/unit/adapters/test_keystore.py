"""Sealing and the folder of keys."""

import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

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
