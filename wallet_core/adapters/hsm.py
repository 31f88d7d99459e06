"""Keys that stay in a token (an HSM, reached over PKCS#11), and the file that says which key it is.

python-pkcs11 starts a module without locking (``C_Initialize`` without arguments), and PKCS#11 then forbids two calls
at once: each process has one lock for each module and one session for each token. Spawned workers open their own; a
forked child forgets its parent's. specs/key-stores.md is the page for people.

A token that does not answer is tried once more after the module was started anew, then not again with that key for
:data:`PAUSE_SECONDS`. A PIN that was refused is not tried again: tokens lock after a few wrong ones.
"""

import hashlib
import logging
import os
import re
import threading
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any, Final, Self, TypeAlias, TypeVar

import pkcs11
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from pkcs11 import Attribute, KeyType, Mechanism, MechanismFlag, ObjectClass, PKCS11Error
from pkcs11.exceptions import PinIncorrect, PinInvalid, PinLenRange, PinLocked, UserAlreadyLoggedIn

from wallet_core.adapters.config import environment_secret
from wallet_core.errors import HsmUnavailable, InvalidSignature, KeyUnavailable
from wallet_core.keys.algorithms import PublicKey, SignatureAlgorithm, signature_bytes
from wallet_core.types import RandomBytes

PAUSE_SECONDS: Final = 1.0
"""Seconds for which a key that failed is left alone: trying again costs the module's other keys their sessions."""

LOCK_SECONDS: Final = 10.0
"""Seconds a signature waits for its turn. A call of PKCS#11 cannot be broken off: one that hangs holds the lock."""

MAX_PIN_CHARACTERS: Final = 255
"""SoftHSM's longest; a longer text is some other file."""

_PIN_REFUSED = (PinIncorrect, PinInvalid, PinLenRange, PinLocked)
_MEMBERS = frozenset({"module", "token", "key", "key_id", "pin_file", "pin_variable"})
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]{0,99}\Z")
_KEY_ID_BYTES = 16
_PROBE = b"does the private key fit the public key?"

# Not structlog: in a command, which does not configure it, its lines would stand among the answer.
_logger = logging.getLogger(__name__)

_Handle: TypeAlias = Any  # python-pkcs11 makes the class of a key that can sign when it finds the key
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Curve:
    """How PKCS#11 names a curve: CKA_KEY_TYPE, CKA_EC_PARAMS, and the length of a point."""

    key_type: KeyType
    parameters: bytes
    point_bytes: int
    curve: ec.EllipticCurve | None  # None: Ed25519


# PKCS #11 3.0, EC public key objects: the parameters are an object identifier in DER, or the name as a PrintableString.
_CURVES: Final = {
    "P-256": _Curve(KeyType.EC, bytes.fromhex("06082a8648ce3d030107"), 65, ec.SECP256R1()),
    "P-384": _Curve(KeyType.EC, bytes.fromhex("06052b81040022"), 97, ec.SECP384R1()),
    "P-521": _Curve(KeyType.EC, bytes.fromhex("06052b81040023"), 133, ec.SECP521R1()),
    "Ed25519": _Curve(KeyType.EC_EDWARDS, bytes.fromhex("06032b6570"), 32, None),
}
_BY_PARAMETERS = {curve.parameters: curve for curve in _CURVES.values()} | {b"\x13\x0cedwards25519": _CURVES["Ed25519"]}

# CKM_ECDSA signs a hash that we compute; CKM_EDDSA hashes for itself.
_HASHES: Final[dict[SignatureAlgorithm, Callable[[bytes], Any]]] = {
    SignatureAlgorithm.ES256: hashlib.sha256,
    SignatureAlgorithm.ES384: hashlib.sha384,
    SignatureAlgorithm.ES512: hashlib.sha512,
}


@dataclass(frozen=True, slots=True)
class HsmKey:
    """Where a key is: the file ``NAME.hsm.toml`` of a key store. It holds no secret.

    Attributes:
        module: path of the PKCS#11 library.
        token: label of the token.
        label: label of the key (CKA_LABEL).
        key_id: identifier of the key (CKA_ID), where labels repeat.
        pin_file: file with the PIN, or
        pin_variable: name of the environment variable that has it.
    """

    module: str
    token: str
    label: str | None
    key_id: bytes | None
    pin_file: Path | None
    pin_variable: str | None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a description.

        Raises:
            KeyUnavailable: it is not TOML, has an unknown member, lacks one, or one does not fit.
        """
        try:
            members = tomllib.loads(text)
        except (ValueError, RecursionError) as exc:
            raise _unfit("it is not TOML") from exc
        if unknown := members.keys() - _MEMBERS:
            raise _unfit(f"unknown: {', '.join(sorted(unknown))}; there are: {', '.join(sorted(_MEMBERS))}")
        texts = {name: _text(members, name) for name in _MEMBERS}
        pin_file = _absolute(texts["pin_file"], "pin_file")
        if (texts["pin_file"] is None) == (texts["pin_variable"] is None):
            raise _unfit("give pin_file or pin_variable, one of them")
        if texts["pin_variable"] is not None and not _VARIABLE.match(texts["pin_variable"]):
            raise _unfit("pin_variable is the name of a variable in capitals, not the PIN")
        if texts["key"] is None and texts["key_id"] is None:
            raise _unfit("give key, key_id or both")
        module = _absolute(texts["module"], "module")
        if module is None or texts["token"] is None:
            raise _unfit("give module and token")
        key_id = _hex(texts["key_id"])
        return cls(str(module), texts["token"], texts["key"], key_id, pin_file, texts["pin_variable"])

    def __str__(self) -> str:
        names = [self.label, self.key_id and self.key_id.hex()]
        return f"key {' '.join(name for name in names if name)} of token {self.token}"

    def pin(self) -> str:
        """Return the PIN, read anew each time. Raises ``HsmUnavailable`` if it is not there or is none."""
        try:
            text = self.pin_file.read_text("utf-8") if self.pin_file else environment_secret(self.pin_variable or "")
        except (OSError, UnicodeDecodeError) as exc:
            # Not "from exc": an error of decoding carries what it could not decode.
            reason = f"{self.pin_file} cannot be read ({type(exc).__name__})"
            raise HsmUnavailable("the signing key cannot be used now", detail=f"{self}: {reason}") from None
        pin = (text or "").rstrip("\r\n")
        if not pin or len(pin) > MAX_PIN_CHARACTERS or not pin.isprintable():
            where = self.pin_file or self.pin_variable
            raise HsmUnavailable("the signing key cannot be used now", detail=f"{self}: {where} holds no PIN")
        return pin


@dataclass(frozen=True, slots=True)
class HsmSigner:
    """Signs with a key that stays in its token."""

    key: HsmKey
    public_key: PublicKey

    @classmethod
    def open(cls, key: HsmKey) -> Self:
        """Return the signer of ``key``.

        Raises:
            HsmUnavailable: the module, the token or the key cannot be found, or the PIN is refused.
            KeyUnavailable: the key is of a kind that is not supported here.
        """
        with _module(key.module) as module:
            return cls(key, module.attempt(key, lambda: module.find(key)).public_key)

    def sign(self, data: bytes) -> bytes:
        """Return the JOSE-form signature of ``data``.

        Raises:
            HsmUnavailable: the token is away or does not let us in; the next call tries again.
            KeyUnavailable: the token now holds another key by that name.
        """
        with _module(self.key.module) as module:
            return module.attempt(self.key, lambda: module.find(self.key, self.public_key).sign(data))


def create_hsm_key(key: HsmKey, *, random: RandomBytes, curve: str = "P-256") -> HsmSigner:
    """Make a key pair inside the token: sensitive, not extractable, for signatures only.

    Args:
        key: token, label and identifier of the new key; an identifier is drawn if it names none.
        random: for that identifier.
        curve: ``P-256``, ``P-384``, ``P-521`` or ``Ed25519``.

    Raises:
        HsmUnavailable: the token cannot be reached, or cannot make such a key.
        KeyUnavailable: the token has a key of that name, which is kept.
    """
    chosen = _CURVES[curve]
    with _module(key.module) as module:
        module.attempt(key, lambda: module.generate(key, chosen, key.key_id or random(_KEY_ID_BYTES)))
    return HsmSigner.open(key)


def destroy_hsm_key(key: HsmKey) -> None:
    """Destroy a key pair in its token: one just made, for which no certificate could be had.

    Raises:
        HsmUnavailable: the token cannot be reached.
    """
    with _module(key.module) as module:
        module.attempt(key, lambda: module.destroy(key))


def close_all() -> None:
    """Close every session of this process and forget every module; the next use begins anew."""
    with _registry_lock:
        modules = list(_modules.values())
        _modules.clear()
    for module in modules:
        with module.lock:
            module.stop()


@dataclass(frozen=True, slots=True)
class _OpenKey:
    """A key found in a session, with its public half."""

    handle: _Handle
    public_key: PublicKey

    def sign(self, data: bytes) -> bytes:
        algorithm = self.public_key.algorithm
        if algorithm is SignatureAlgorithm.EDDSA:
            signature = bytes(self.handle.sign(data, mechanism=Mechanism.EDDSA))
        else:
            # PKCS #11 3.0, EC signatures: r and s of fixed length one after the other, as RFC 7518 3.4 has them.
            signature = bytes(self.handle.sign(_HASHES[algorithm](data).digest(), mechanism=Mechanism.ECDSA))
        if len(signature) != signature_bytes(algorithm):
            raise KeyUnavailable("the token signs in a form that is not supported here")
        return signature


class _Module:
    """One PKCS#11 library in one process. Its methods are called by who holds ``lock``."""

    def __init__(self, path: str) -> None:
        self.lock = threading.Lock()
        self._path = path
        self._library: Any = None
        self._sessions: dict[str, pkcs11.Session] = {}
        self._keys: dict[HsmKey, _OpenKey] = {}
        self._pauses: dict[HsmKey, float] = {}
        self._refused: set[tuple[str, bytes]] = set()

    def attempt(self, key: HsmKey, work: Callable[[], T]) -> T:
        """Do ``work``; where the token fails, once more after a new start. Raises ``HsmUnavailable``."""
        if monotonic() < self._pauses.get(key, 0):
            raise _away(key, "it did not answer a moment ago")
        try:
            return work()
        except _PIN_REFUSED as exc:
            raise _away(key, f"its PIN is refused ({type(exc).__name__}) and not tried again until it changes") from exc
        except PKCS11Error as exc:
            failure = type(exc).__name__
        try:
            self._start()
            done = work()
        except PKCS11Error as exc:
            self._pauses[key] = monotonic() + PAUSE_SECONDS
            raise _away(key, str(exc) or type(exc).__name__) from exc
        _logger.warning("%s is in use again after %s", key, failure)
        return done

    def find(self, key: HsmKey, expected: PublicKey | None = None) -> _OpenKey:
        """Return the key, found once for each session. Raises ``KeyUnavailable`` if it is not the expected one."""
        if key not in self._keys:
            session = self._session(key)
            public_key = _read_public_key(_one(session, key, ObjectClass.PUBLIC_KEY))
            opened = _OpenKey(_one(session, key, ObjectClass.PRIVATE_KEY), public_key)
            _check_halves(opened, key)
            self._keys[key] = opened
        found = self._keys[key]
        if expected is not None and found.public_key != expected:
            raise KeyUnavailable("the token holds another key by that name", detail=f"{key} is another key now")
        return found

    def generate(self, key: HsmKey, curve: _Curve, key_id: bytes) -> None:
        """Make a key pair in the token."""
        with self._writing(key) as session:
            if any(_found(session, key, kind) for kind in (ObjectClass.PRIVATE_KEY, ObjectClass.PUBLIC_KEY)):
                raise KeyUnavailable("the token has a key of that name already", detail=f"there is {key}; it is kept")
            parameters = session.create_domain_parameters(
                curve.key_type, {Attribute.EC_PARAMS: curve.parameters}, local=True
            )
            parameters.generate_keypair(
                id=key_id,
                label=key.label or key_id.hex(),
                store=True,
                capabilities=MechanismFlag.SIGN | MechanismFlag.VERIFY,
                private_template={Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False, Attribute.PRIVATE: True},
            )

    def destroy(self, key: HsmKey) -> None:
        """Destroy a key pair in the token."""
        self._keys.pop(key, None)
        with self._writing(key) as session:
            for kind in (ObjectClass.PRIVATE_KEY, ObjectClass.PUBLIC_KEY):
                for found in _found(session, key, kind):
                    found.destroy()

    def stop(self) -> None:
        """Close the library with all its sessions."""
        self._sessions.clear()
        self._keys.clear()
        if self._library is not None:
            with suppress(PKCS11Error):
                self._library.finalize()
        self._library = None

    def _start(self) -> None:
        self._library = pkcs11.lib(self._path)
        # Also what a parent process left here, or a token that was away when the library looked for tokens.
        self.stop()
        self._library = pkcs11.lib(self._path)

    def _session(self, key: HsmKey) -> pkcs11.Session:
        if key.token not in self._sessions:
            self._sessions[key.token] = self._open(key, writing=False)
        return self._sessions[key.token]

    @contextmanager
    def _writing(self, key: HsmKey) -> Iterator[pkcs11.Session]:
        session = self._open(key, writing=True)
        try:
            yield session
        finally:
            with suppress(PKCS11Error):
                session.close()

    def _open(self, key: HsmKey, *, writing: bool) -> pkcs11.Session:
        if self._library is None:
            self._start()
        token: pkcs11.Token = self._library.get_token(token_label=key.token)
        pin = key.pin()
        tried = key.token, hashlib.sha256(pin.encode()).digest()
        if tried in self._refused:
            raise _away(key, "its PIN was refused and is not tried again until it changes")
        try:
            return token.open(rw=writing, user_pin=pin)
        except UserAlreadyLoggedIn:
            # PKCS #11 3.0, C_Login: the login is that of the process, not of the session.
            return token.open(rw=writing)
        except _PIN_REFUSED:
            self._refused.add(tried)
            raise


_registry_lock = threading.Lock()
_modules: dict[str, _Module] = {}


def _forget() -> None:
    """In a forked child: the parent's sessions are not ours, and its locks may be held by threads we have not."""
    global _registry_lock  # noqa: PLW0603 - the lock of a process
    _registry_lock = threading.Lock()
    _modules.clear()


os.register_at_fork(after_in_child=_forget)


@contextmanager
def _module(path: str) -> Iterator[_Module]:
    # One library, one lock: two names for it would start it twice, which it refuses.
    real = os.path.realpath(path)
    with _registry_lock:
        module = _modules.setdefault(real, _Module(real))
    if not module.lock.acquire(timeout=LOCK_SECONDS):
        raise HsmUnavailable("the signing key cannot be used now", detail=f"{path} has been busy for {LOCK_SECONDS} s")
    try:
        yield module
    finally:
        module.lock.release()


def _away(key: HsmKey, reason: str) -> HsmUnavailable:
    return HsmUnavailable("the signing key cannot be used now", detail=f"{key}: {reason}")


def _found(session: pkcs11.Session, key: HsmKey, kind: ObjectClass) -> list[_Handle]:
    names = {Attribute.LABEL: key.label, Attribute.ID: key.key_id}
    wanted = {attribute: value for attribute, value in names.items() if value is not None}
    return list(session.get_objects({Attribute.CLASS: kind, **wanted}))


def _one(session: pkcs11.Session, key: HsmKey, kind: ObjectClass) -> _Handle:
    found = _found(session, key, kind)
    if len(found) != 1:
        half = "private" if kind is ObjectClass.PRIVATE_KEY else "public"
        raise PKCS11Error(f"it has {len(found) or 'no'} {half} keys of that name, where one is expected")
    return found[0]


def _check_halves(found: _OpenKey, key: HsmKey) -> None:
    if not isinstance(found.handle, pkcs11.SignMixin):
        raise KeyUnavailable("the key in the token may not sign", detail=f"{key} has not CKA_SIGN")
    try:
        found.public_key.verify(found.sign(_PROBE), _PROBE)
    except InvalidSignature as exc:
        raise KeyUnavailable("the halves of a key differ", detail=f"{key}: private and public halves differ") from exc


def _read_public_key(public: _Handle) -> PublicKey:
    elliptic = public.key_type in {KeyType.EC, KeyType.EC_EDWARDS}
    curve = _BY_PARAMETERS.get(bytes(public[Attribute.EC_PARAMS])) if elliptic else None
    if curve is None:
        raise KeyUnavailable("the key in the token is of a kind that is not supported here")
    point, size = bytes(public[Attribute.EC_POINT]), curve.point_bytes
    # PKCS #11 3.0, EC public key objects: a DER OCTET STRING around the point; some tokens leave it out.
    header = bytes([4, size]) if size < 0x80 else bytes([4, 0x81, size])
    bare = point if len(point) == size else point.removeprefix(header)
    try:
        if curve.curve is None:
            return PublicKey(ed25519.Ed25519PublicKey.from_public_bytes(bare))
        return PublicKey(ec.EllipticCurvePublicKey.from_encoded_point(curve.curve, bare))
    except ValueError as exc:
        raise KeyUnavailable("the token's public key is not a point of its curve") from exc


def _text(members: dict[str, Any], name: str) -> str | None:
    value = members.get(name)
    if value is not None and (not isinstance(value, str) or not value or "\0" in value):
        raise _unfit(f"{name} is a text that is not empty")
    return value


def _absolute(text: str | None, name: str) -> Path | None:
    if text is not None and not Path(text).is_absolute():
        raise _unfit(f"{name} is a path from the root")
    return None if text is None else Path(text)


def _hex(text: str | None) -> bytes | None:
    try:
        key_id = None if text is None else bytes.fromhex(text)
    except ValueError as exc:
        raise _unfit("key_id is in hexadecimal") from exc
    if key_id == b"":
        raise _unfit("key_id is in hexadecimal")
    return key_id


def _unfit(reason: str) -> KeyUnavailable:
    return KeyUnavailable("the description of a key in a token does not fit", detail=f"hsm.toml: {reason}")
