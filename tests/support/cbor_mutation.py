"""Small random changes to valid CBOR: in its structure, through embedded items, and in its bytes."""

from random import Random
from typing import Any

from tests.support import mdoc as samples
from wallet_core.cose import mac0, sign1
from wallet_core.encoding import cbor
from wallet_core.encoding.cbor import Tagged
from wallet_core.errors import WalletError
from wallet_core.formats.mdoc.structures import DIGEST_ALGORITHMS

DEEP: Any = None
for _ in range(20):
    DEEP = [DEEP]

ODD_VALUES: list[Any] = [
    None, True, False, 0, -1, 1, 24, 255, 2**31, 2**64 - 1, -(2**64), 1.5, float("nan"), float("-inf"), cbor.Undefined,
    "", "A", "1.0", "가", "\0", b"", b"\x00", b"\xa0", b"A" * 3000, [], {}, [[]], {1: 2}, {"a": {}}, {-1: b"x"}, DEEP,
    Tagged(0, "2026-11-27T00:00:00Z"), Tagged(0, []), Tagged(24, b""), Tagged(24, b"\xa0"), Tagged(24, {}),
    Tagged(1004, "2026-02-30"), Tagged(2, b"\x01"), Tagged(2, 5), Tagged(18, [b"", {}, b"", b""]), Tagged(28, [1]),
    Tagged(29, 0), Tagged(35, "("), Tagged(258, [1]), Tagged(55799, {}), [0] * 40,
]  # fmt: skip


def copied(value: Any) -> Any:
    """Return a copy whose arrays and maps are its own; tags cannot be copied by the standard library."""
    if isinstance(value, dict):
        return {key: copied(element) for key, element in value.items()}
    if isinstance(value, list):
        return [copied(element) for element in value]
    return Tagged(value.tag, copied(value.value)) if isinstance(value, Tagged) else value


def mutate_cbor(random: Random, value: Any) -> Any:
    """Return a copy of ``value`` with one to three nodes replaced, removed, doubled, retagged or renamed."""
    changed = copied(value)
    for _ in range(random.randint(1, 3)):
        changed = _mutate_node(random, changed)
    return changed


def _mutate_node(random: Random, value: Any) -> Any:
    if isinstance(value, Tagged) and random.random() < 0.9:
        return _mutate_tagged(random, value)
    if isinstance(value, bytes) and len(value) > 1 and random.random() < 0.5:
        return _mutate_embedded(random, value)
    if not isinstance(value, dict | list) or not value or random.random() < 0.1:
        return copied(random.choice(ODD_VALUES))
    key = random.choice(list(value)) if isinstance(value, dict) else random.randrange(len(value))
    kind = random.random()
    if kind < 0.6:
        value[key] = _mutate_node(random, value[key])
    elif kind < 0.7:
        del value[key]
    elif kind < 0.85:
        value[key] = copied(random.choice(ODD_VALUES))
    elif isinstance(value, dict):
        value[random.choice(["", 0, 1, -1, -4, True, b"k", "가", 2, 33])] = copied(value[key])
    else:
        value.append(copied(value[key]))
    return value


def _mutate_tagged(random: Random, value: Tagged) -> Any:
    if random.random() < 0.1:
        return Tagged(random.choice([0, 1, 2, 18, 23, 24, 28, 35, 1004, 2**32]), value.value)
    return Tagged(value.tag, _mutate_node(random, value.value))


def _mutate_embedded(random: Random, value: bytes) -> bytes:
    """Return bytes with the CBOR inside them changed, or with octets changed."""
    try:
        return encode(random, _mutate_node(random, cbor.loads(value)))
    except Exception:  # noqa: BLE001 - whatever does not decode is changed as bytes
        return mutate_bytes(random, value)


def mutate_bytes(random: Random, data: bytes) -> bytes:
    """Return ``data`` with one to three slices removed, doubled or replaced."""
    changed = bytearray(data)
    for _ in range(random.randint(1, 3)):
        start = random.randrange(len(changed) + 1)
        end = min(len(changed), start + random.choice([0, 1, 1, 2, 9]))
        changed[start:end] = random.choice([random.randbytes(random.randint(0, 2)), bytes(changed[start:end]) * 2])
    return bytes(changed)


def encode(random: Random, value: Any) -> bytes:
    """Return the encoding of ``value``; now and then with an indefinite length outside."""
    data = cbor.dumps(value)
    if random.random() < 0.05 and isinstance(value, dict | list) and len(value) < 24:
        return bytes((data[0] | 0x1F,)) + data[1:] + b"\xff"
    return data


class CborBytes:
    """CBOR with nodes or octets changed."""

    def __init__(self, valid: bytes) -> None:
        self.valid = valid

    def __call__(self, random: Random) -> bytes:
        if random.random() < 0.3:
            return mutate_bytes(random, self.valid)
        return encode(random, mutate_cbor(random, cbor.loads(self.valid)))


class CborValue:
    """A parsed CBOR value with nodes changed, for functions that are given what was parsed already."""

    def __init__(self, valid: Any) -> None:
        self.valid = valid

    def __call__(self, random: Random) -> Any:
        try:
            return cbor.loads(cbor.dumps(mutate_cbor(random, self.valid)))
        except WalletError:
            # Only what the reader lets through reaches those functions.
            return None


def as_mdoc(random: Random) -> bytes:
    """A DeviceResponse with changed items or MSO, whose digests and signatures fit again."""
    parsed = cbor.loads(samples.ISSUER_SIGNED)
    protected, unprotected, payload, _ = parsed["issuerAuth"]
    mso = cbor.loads(cbor.loads(payload).value)
    if random.random() < 0.6:
        name_space = random.choice(list(parsed["nameSpaces"]))
        items = parsed["nameSpaces"][name_space]
        at = random.randrange(len(items))
        number = samples.item(items[at])["digestID"]
        items[at] = Tagged(24, cbor.dumps(mutate_cbor(random, samples.item(items[at]))))
        mso["valueDigests"][name_space][number] = DIGEST_ALGORITHMS["SHA-256"](cbor.dumps(items[at])).digest()
    else:
        mso = mutate_cbor(random, mso)
    data = cbor.embed(cbor.dumps(mso))
    parsed["issuerAuth"] = [
        protected,
        unprotected,
        data,
        samples.ISSUER.sign(sign1.sig_structure(protected, data)),
    ]
    return as_response(random, parsed)


def as_response(random: Random, issuer_signed: Any) -> bytes:
    """Return a DeviceResponse around an IssuerSigned, signed by the device, perhaps with elements of its own."""
    name_spaces = Tagged(24, cbor.dumps({} if random.random() < 0.7 else mutate_cbor(random, {"kr.example": {"a": 1}})))
    authentication = ["DeviceAuthentication", cbor.loads(samples.TRANSCRIPT), samples.MDL, name_spaces]
    data = cbor.embed(cbor.dumps(authentication))
    protected = cbor.dumps({1: -7})
    signature = [protected, {}, None, samples.DEVICE.sign(sign1.sig_structure(protected, data))]
    document = {
        "docType": samples.MDL,
        "issuerSigned": issuer_signed,
        "deviceSigned": {"nameSpaces": name_spaces, "deviceAuth": {"deviceSignature": signature}},
    }
    return cbor.dumps({"version": "1.0", "documents": [document], "status": 0})


def as_sign1(random: Random) -> bytes:
    """A COSE_Sign1 with changed headers, signed again."""
    protected = encode(random, mutate_cbor(random, {1: -7, 16: "application/x", 33: [b"a", b"b"]}))
    unprotected = mutate_cbor(random, {4: b"kid"}) if random.random() < 0.3 else {}
    signature = samples.ISSUER.sign(sign1.sig_structure(protected, b"content"))
    return cbor.dumps([protected, unprotected, b"content", signature])


def verify_sign1(data: bytes) -> None:
    """Read and verify a COSE_Sign1, and look at its certificates."""
    message = sign1.parse(data, tagged=False)
    message.x5chain()
    sign1.verify(message, samples.ISSUER.public_key)


def verify_mac0(data: bytes) -> None:
    """Read and verify a COSE_Mac0."""
    mac0.verify(mac0.parse(data, tagged=False), bytes(32))
