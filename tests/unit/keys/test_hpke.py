"""HPKE: the library held against RFC 9180, through a second writing of it that its vectors confirm."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support import hpke as second
from wallet_core.errors import VerificationError
from wallet_core.keys import hpke

# RFC 9180 A.3.1: DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-128-GCM in base mode.
INFO = bytes.fromhex("4f6465206f6e2061204772656369616e2055726e")
EPHEMERAL = ec.derive_private_key(0x4995788EF4B9D6132B249CE59A77281493EB39AF373D236A1FE415CB0C2D7BEB, ec.SECP256R1())
RECIPIENT = ec.derive_private_key(0xF3CE7FDAE57E1A310D87F1EBBDE6F328BE0A99CDBCADF4D6589CF29DE4B8FFD2, ec.SECP256R1())
ENC = bytes.fromhex(
    "04a92719c6195d5085104f469a8b9814d5838ff72b60501e2c4466e5e67b325"
    "ac98536d7b61a1af4b78e5b7f951c0900be863c403ce65c9bfcb9382657222d18c4"
)
SHARED_SECRET = "c0d26aeab536609a572b07695d933b589dcf363ff9d93c93adea537aeabb8cb8"
KEY, BASE_NONCE = "868c066ef58aae6dc589b6cfdd18f97e", "4e0bc5018beba4bf004cca59"
PLAINTEXT = bytes.fromhex("4265617574792069732074727574682c20747275746820626561757479")
CIPHERTEXTS = {
    0: "5ad590bb8baa577f8619db35a36311226a896e7342a6d836d8b7bcd2f20b6c7f9076ac232e3ab2523f39513434",
    1: "fa6f037b47fc21826b610172ca9637e82d6e5801eb31cbd3748271affd4ecb06646e0329cbdf3c3cd655b28e82",
    2: "895cabfac50ce6c6eb02ffe6c048bf53b7f7be9a91fc559402cbc5b8dcaeb52b2ccc93e466c28fb55fed7a7fec",
    4: "8787491ee8df99bc99a246c4b3216d3d57ab5076e18fa27133f520703bc70ec999dd36ce042e44f0c3169a6a8f",
    255: "2ad71c85bf3f45c6eca301426289854b31448bcf8a8ccb1deef3ebd87f60848aa53c538c30a4dac71d619ee2cd",
}


def test_the_vectors_of_rfc_9180() -> None:
    assert second.point(EPHEMERAL.public_key()) == ENC
    for made in (second.sender(EPHEMERAL, RECIPIENT.public_key(), INFO), second.receiver(ENC, RECIPIENT, INFO)):
        found = (made.shared_secret.hex(), made.key.hex(), made.base_nonce.hex())
        assert found == (SHARED_SECRET, KEY, BASE_NONCE)
        for sequence, ciphertext in CIPHERTEXTS.items():
            aad = b"Count-%d" % sequence
            assert made.seal(PLAINTEXT, aad, sequence).hex() == ciphertext
            assert made.open(bytes.fromhex(ciphertext), aad, sequence) == PLAINTEXT


@pytest.mark.parametrize("text", [b"", b"x", PLAINTEXT, bytes(70_000)], ids=["empty", "short", "vector", "long"])
def test_both_writings_read_each_other(text: bytes) -> None:
    sealed = hpke.seal(text, RECIPIENT.public_key(), info=INFO)
    assert second.receiver(sealed.enc, RECIPIENT, INFO).open(sealed.ciphertext) == text
    other = hpke.SealedText(ENC, second.sender(EPHEMERAL, RECIPIENT.public_key(), INFO).seal(text))
    assert hpke.open_sealed(other, RECIPIENT, info=INFO) == text


def test_each_sealing_has_its_own_key() -> None:
    first, again = (hpke.seal(PLAINTEXT, RECIPIENT.public_key(), info=INFO) for _ in range(2))
    assert first.enc != again.enc
    assert first.ciphertext != again.ciphertext


GOOD = hpke.seal(PLAINTEXT, RECIPIENT.public_key(), info=INFO)
CHANGED = {
    "ciphertext": hpke.SealedText(GOOD.enc, GOOD.ciphertext[:-1] + bytes([GOOD.ciphertext[-1] ^ 1])),
    "no tag": hpke.SealedText(GOOD.enc, b""),
    "another key": hpke.SealedText(ENC, GOOD.ciphertext),
    "no point": hpke.SealedText(b"\x04" + bytes(64), GOOD.ciphertext),
    "compressed": hpke.SealedText(b"\x02" + GOOD.enc[1:33], GOOD.ciphertext),
    "a byte moved": hpke.SealedText(GOOD.enc + GOOD.ciphertext[:1], GOOD.ciphertext[1:]),
    "nothing": hpke.SealedText(b"", b""),
}


@pytest.mark.clause("dcapi-C.4-hpke")
@pytest.mark.parametrize("change", CHANGED)
def test_what_was_changed_does_not_open(change: str) -> None:
    with pytest.raises(VerificationError):
        hpke.open_sealed(CHANGED[change], RECIPIENT, info=INFO)


def test_another_info_and_another_key_do_not_open() -> None:
    with pytest.raises(VerificationError):
        hpke.open_sealed(GOOD, RECIPIENT, info=INFO + b"x")
    with pytest.raises(VerificationError):
        hpke.open_sealed(GOOD, ec.generate_private_key(ec.SECP256R1()), info=INFO)


def test_a_key_on_another_curve_is_our_own_mistake() -> None:
    with pytest.raises(ValueError, match="P-256"):
        hpke.seal(b"x", ec.generate_private_key(ec.SECP384R1()).public_key(), info=b"")
