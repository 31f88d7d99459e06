"""Keys at rest: a folder of signing keys with their certificate chains, and the sealing of everything else."""

import importlib.util
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import monotonic
from typing import Final, Self

from cryptography import x509
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from wallet_core.encoding import base64url
from wallet_core.errors import KeyUnavailable, MalformedError
from wallet_core.keys.algorithms import RawPrivateKey, algorithm_of
from wallet_core.keys.signer import CertifiedSigner, Signer, SoftwareSigner

KEY_BYTES = 32
"""AES-256."""

NONCE_BYTES = 12
"""Nonce of AES-GCM (NIST SP 800-38D 8.2.2: random, so at most 2^32 seals under one key version)."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}\Z")
_VERSION_BYTES = 2
_KEY_ENDINGS = (".key.pem", ".hsm.toml")
_STATEMENT = ".jwt"
_POINTER = "current"

LOOK_AGAIN: Final = 1.0
"""Seconds after which a process that signs looks whether its keys were rotated: one look for some thousand signatures,
and nobody who rotates keys counts in less."""

_LATER = re.compile(r"\.[1-9][0-9]{0,5}\Z")


class Sealer:
    """Encrypts what must not lie in the clear, bound to where it belongs.

    AES-256-GCM; the context (table, column and id, say) is authenticated, so a sealed value moved to another row does
    not open. A sealed value names the version of its key: after a rotation old ones still open.

    Args:
        keys: version (1 to 65535) to key; the highest version seals.
    """

    def __init__(self, keys: Mapping[int, bytes]) -> None:
        if not keys or any(len(key) != KEY_BYTES or not 0 < version < 1 << 16 for version, key in keys.items()):
            raise KeyUnavailable(f"a sealing key has {KEY_BYTES} bytes and a version from 1 to 65535")
        self._keys = dict(keys)
        self._ciphers = {version: AESGCM(key) for version, key in keys.items()}
        self._current = max(keys)

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read ``KEY`` or ``VERSION:KEY VERSION:KEY …``, each key 32 bytes in base64url (see :func:`new_key_text`)."""
        keys: dict[int, bytes] = {}
        for entry in text.replace(",", " ").split():
            version, _, key = entry.rpartition(":")
            try:
                keys[int(version or 1)] = base64url.decode(key.rstrip("="))
            except (ValueError, MalformedError) as exc:
                raise KeyUnavailable("the sealing key is not VERSION:KEY with the key in base64url") from exc
        return cls(keys)

    def seal(self, data: bytes, context: str) -> bytes:
        """Return ``data`` sealed for ``context``: key version (2 bytes), nonce (12), ciphertext with tag."""
        version = self._current.to_bytes(_VERSION_BYTES, "big")
        nonce = os.urandom(NONCE_BYTES)
        return version + nonce + self._ciphers[self._current].encrypt(nonce, data, version + context.encode())

    def open(self, sealed: bytes, context: str) -> bytes:
        """Return what was sealed for ``context``.

        Raises:
            KeyUnavailable: sealed under a key we do not have, for another context, or changed since.
        """
        version, rest = sealed[:_VERSION_BYTES], sealed[_VERSION_BYTES:]
        cipher = self._ciphers.get(int.from_bytes(version, "big"))
        if cipher is None or len(rest) < NONCE_BYTES:
            raise KeyUnavailable("a sealed value cannot be opened", detail="its key version is not configured")
        try:
            return cipher.decrypt(rest[:NONCE_BYTES], rest[NONCE_BYTES:], version + context.encode())
        except InvalidTag as exc:
            raise KeyUnavailable(
                "a sealed value cannot be opened", detail="wrong sealing key or context, or the value was changed"
            ) from exc

    def derive(self, purpose: str, version: int = 1) -> bytes:
        """Return 32 bytes for ``purpose``, the secret of a MAC. Rotations leave it: it comes from key ``version``."""
        key = self._keys.get(version) or self._keys[min(self._keys)]
        return HKDF(hashes.SHA256(), KEY_BYTES, salt=None, info=purpose.encode()).derive(key)


def new_key_text() -> str:
    """Return a new sealing key as :meth:`Sealer.from_text` reads it."""
    return f"1:{base64url.encode(os.urandom(KEY_BYTES))}"


class KeyStore:
    """A folder with the signing keys of several owners, each kept as its owner chose.

    ``NAME.key.pem`` (PKCS#8) is a key, or ``NAME.hsm.toml`` says in which token it is (specs/key-stores.md);
    ``NAME.chain.pem`` is its certificate chain, leaf first. What is signed with is read once; add an entry and the next
    look-up finds it.

    An owner's later keys are the entries ``NAME.2``, ``NAME.3`` and so on; the file ``NAME.current`` says which signs.
    It is looked at again after :data:`LOOK_AGAIN`, so a rotation needs no restart, and every process goes by it soon.

    ``NAME.KIND.jwt`` is a statement that somebody else signed about the owner: a registration, say. It is read anew
    each time, so a new one counts at once.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._signers: dict[str, Signer] = {}
        self._chains: dict[str, tuple[bytes, ...]] = {}
        self._current: dict[str, tuple[tuple[int, int], str]] = {}
        self._seen: dict[str, tuple[float, str]] = {}

    def names(self) -> list[str]:
        """Return the names of all keys, sorted."""
        found = [(ending, path.name) for ending in _KEY_ENDINGS for path in self._folder.glob(f"*{ending}")]
        return sorted({name.removesuffix(ending) for ending, name in found})

    def signer(self, name: str) -> Signer:
        """Return the signer of that name: of its current key.

        Raises:
            KeyUnavailable: there is no such key, it does not parse, or there are two; if its token is away,
                ``HsmUnavailable``.
        """
        return self._signer_of(self.current(name))

    def signing_key(self, name: str) -> CertifiedSigner:
        """Return the current key of that name with its chain, both of one key. Raises as :meth:`chain`."""
        return self._certified(self.current(name))

    def signing_keys(self, name: str) -> list[CertifiedSigner]:
        """Return every key of that name with its chain: the current one first, then the others, newest first.

        Raises:
            KeyUnavailable: as :meth:`chain`, for any of them.
        """
        current = self.current(name)
        others = [entry for entry in reversed(self.generations(name)) if entry != current]
        return [self._certified(entry) for entry in (current, *others)]

    def published(self, name: str) -> list[bytes]:
        """Return the leaf certificates of every key of that name, oldest first: what others may still meet, or soon.

        Raises:
            KeyUnavailable: there is none, or one does not parse. No key is opened for it.
        """
        return [self.published_chain(entry)[0] for entry in self.generations(name)]

    def published_chain(self, entry: str) -> tuple[bytes, ...]:
        """Return the certificates of one entry without opening its key. Raises ``KeyUnavailable``."""
        return read_chain(self._path(entry, "chain.pem"))

    def owners(self) -> list[str]:
        """Return the names of all keys without those that are only an owner's later keys, sorted."""
        every = self.names()
        return [name for name in every if not (match := _LATER.search(name)) or name[: match.start()] not in every]

    def generations(self, name: str) -> list[str]:
        """Return the entries of that name, oldest first: ``NAME``, ``NAME.2`` and so on."""
        later = re.compile(rf"{re.escape(name)}\.([1-9][0-9]{{0,5}})\Z")
        numbered = [(int(match[1]), entry) for entry in self.names() if (match := later.match(entry))]
        return [name, *(entry for _, entry in sorted(numbered))]

    def current(self, name: str) -> str:
        """Return the entry that signs for ``name``: what its pointer says, or said less than :data:`LOOK_AGAIN` ago.

        Without a pointer it is ``name`` itself.

        Raises:
            KeyUnavailable: the pointer names no entry of ``name``.
        """
        time = monotonic()
        seen = self._seen.get(name)
        if seen is None or time >= seen[0] + LOOK_AGAIN:
            seen = self._seen[name] = time, self._pointed_at(name)
        return seen[1]

    def _pointed_at(self, name: str) -> str:
        pointer = self._path(name, _POINTER)
        try:
            found = pointer.stat()
        except FileNotFoundError:
            return name
        seen = (found.st_mtime_ns, found.st_ino)
        known = self._current.get(name)
        if known is None or known[0] != seen:
            # Rotated: the pointer is replaced as a whole, so its inode or time is another.
            known = self._current[name] = (seen, self._read_pointer(name, pointer))
        return known[1]

    def rotate(self, name: str, entry: str) -> None:
        """Let ``entry`` sign for ``name`` from now on, in every process. The other keys stay where they are.

        Raises:
            KeyUnavailable: there is no such entry of ``name``, its chain does not fit, or the store cannot be written.
        """
        if entry not in self.generations(name):
            raise KeyUnavailable("there is no such key", detail=f"{name} has no key {entry}")
        self._certified(entry)
        draft = self._path(name, f"{_POINTER}.draft")
        try:
            draft.write_text(f"{entry}\n", encoding="ascii")
            draft.replace(self._path(name, _POINTER))
            self._seen.pop(name, None)
        except OSError as exc:
            raise KeyUnavailable("the key store cannot be written", detail=f"{name}: {exc.strerror}") from exc

    def private_key(self, name: str) -> RawPrivateKey:
        """Return the key itself, for what only a key in a file can do: a CA's certificates.

        Raises:
            KeyUnavailable: as :meth:`signer`, or it stays in a token.
        """
        signer = self.signer(name)
        if not isinstance(signer, SoftwareSigner):
            raise KeyUnavailable(
                "that key stays in its token", detail=f"{name} stays in its token; a key file is needed"
            )
        return signer.private_key

    def chain(self, name: str) -> tuple[bytes, ...]:
        """Return the DER certificates of that key, leaf first, without the root.

        Raises:
            KeyUnavailable: there is no chain, it does not parse, or its leaf is for another key.
        """
        return self._chain_of(self.current(name))

    def add(self, name: str, key: RawPrivateKey, chain: Sequence[bytes] = ()) -> None:
        """Write a key, readable by its owner only, and its chain of DER certificates. An existing key is kept.

        Raises:
            KeyUnavailable: there is a key of that name, or the folder cannot be written.
        """
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self._add(name, self._path(name, "key.pem"), pem, chain)

    def add_description(self, name: str, description: str, chain: Sequence[bytes] = ()) -> None:
        """Write where a key in a token is, and its chain. An existing key is kept.

        Raises:
            KeyUnavailable: as :meth:`add`.
        """
        self._add(name, self._path(name, "hsm.toml"), description.encode(), chain)

    def statement(self, name: str, kind: str) -> str | None:
        """Return what somebody signed about the owner; None if nothing of that kind is here.

        Raises:
            KeyUnavailable: it cannot be read.
        """
        path = self._statement_path(name, kind)
        return read_statement(path) if path.exists() else None

    def add_statement(self, name: str, kind: str, text: str) -> None:
        """Write what somebody signed about the owner, whole or not at all; an earlier one is replaced.

        Raises:
            KeyUnavailable: the folder cannot be written.
        """
        path = self._statement_path(name, kind)
        draft = path.with_suffix(".draft")
        try:
            draft.write_text(f"{text}\n", encoding="ascii")
            draft.replace(path)
        except OSError as exc:
            raise KeyUnavailable("the key store cannot be written", detail=f"{path.name}: {exc.strerror}") from exc

    def statements(self) -> list[tuple[str, str]]:
        """Return all that others signed about the owners here, with ``NAME.KIND``, sorted by it.

        Raises:
            KeyUnavailable: one cannot be read.
        """
        paths = sorted(self._folder.glob(f"*{_STATEMENT}"))
        return [(path.name.removesuffix(_STATEMENT), read_statement(path)) for path in paths]

    def require_free(self, name: str) -> None:
        """Raise ``KeyUnavailable`` if there is a key of that name, or there can be none."""
        if any(self._path(name, ending[1:]).exists() for ending in _KEY_ENDINGS):
            raise KeyUnavailable(
                "there is a key of that name already", detail=f"there is already a key {name}; it is kept"
            )

    def _certified(self, entry: str) -> CertifiedSigner:
        return CertifiedSigner(self._signer_of(entry), self._chain_of(entry))

    def _signer_of(self, entry: str) -> Signer:
        if entry not in self._signers:
            self._signers[entry] = self._open(entry)
        return self._signers[entry]

    def _chain_of(self, entry: str) -> tuple[bytes, ...]:
        if entry not in self._chains:
            self._chains[entry] = _read_chain(self._path(entry, "chain.pem"), self._signer_of(entry))
        return self._chains[entry]

    def _read_pointer(self, name: str, pointer: Path) -> str:
        try:
            entry = pointer.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as exc:
            raise KeyUnavailable("the current key is not known", detail=pointer.name) from exc
        if entry not in self.generations(name):
            raise KeyUnavailable("the current key is not known", detail=f"{pointer.name} names no key of {name}")
        return entry

    def _add(self, name: str, path: Path, content: bytes, chain: Sequence[bytes]) -> None:
        self.require_free(name)
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            # The chain first: whoever sees the key can rely on its chain.
            if chain:
                self._path(name, "chain.pem").write_bytes(b"".join(map(_certificate_pem, chain)))
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(content)
        except OSError as exc:
            raise KeyUnavailable("the key store cannot be written", detail=f"{name}: {exc.strerror}") from exc

    def _open(self, name: str) -> Signer:
        description, key = self._path(name, "hsm.toml"), self._path(name, "key.pem")
        if not description.exists():
            return SoftwareSigner.from_key(_read_private_key(key))
        if key.exists():
            raise KeyUnavailable(
                "there are two keys of that name", detail=f"{description.name} and {key.name}: keep one"
            )
        return open_hsm_signer(read_description(description))

    def _statement_path(self, name: str, kind: str) -> Path:
        if not _NAME.match(kind):
            raise KeyUnavailable("the kind of a statement has only a-z, 0-9, dot, hyphen and underscore")
        return self._path(name, f"{kind}{_STATEMENT}")

    def _path(self, name: str, ending: str) -> Path:
        if not _NAME.match(name):
            raise KeyUnavailable("the name of a key has only a-z, 0-9, dot, hyphen and underscore")
        return self._folder / f"{name}.{ending}"


def read_description(path: Path) -> str:
    """Return the text of a description of a key in a token. Raises ``KeyUnavailable`` if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise KeyUnavailable("the description of a key cannot be read", detail=f"{path}: {type(exc).__name__}") from exc


def read_statement(path: Path) -> str:
    """Return the text of a file with something signed: a registration, an attestation. Raises ``KeyUnavailable``."""
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise KeyUnavailable("a signed statement cannot be read", detail=f"{path}: {type(exc).__name__}") from exc


def open_hsm_signer(description: str) -> Signer:
    """Return the signer of a key in a token.

    Raises:
        KeyUnavailable: the description does not fit, python-pkcs11 is not installed, or the key cannot be used; if its
            token is away, ``HsmUnavailable``.
    """
    require_hsm_support()
    from wallet_core.adapters.hsm import HsmKey, HsmSigner

    return HsmSigner.open(HsmKey.parse(description))


def require_hsm_support() -> None:
    """Raise ``KeyUnavailable`` if the extra for keys in a token is not installed."""
    if importlib.util.find_spec("pkcs11") is None:
        raise KeyUnavailable("keys in a token need python-pkcs11", detail="install jigap with its extra: jigap[hsm]")


def _certificate_pem(der: bytes) -> bytes:
    return x509.load_der_x509_certificate(der).public_bytes(serialization.Encoding.PEM)


def _read_private_key(path: Path) -> RawPrivateKey:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as exc:
        raise KeyUnavailable("a signing key cannot be read", detail=f"{path.name}: {type(exc).__name__}") from exc
    algorithm_of(key)
    return key  # type: ignore[return-value]  # algorithm_of refuses the other kinds


def _read_chain(path: Path, signer: Signer) -> tuple[bytes, ...]:
    chain = read_chain(path)
    if x509.load_der_x509_certificate(chain[0]).public_key() != signer.public_key.raw:
        raise KeyUnavailable("the certificate chain is for another key", detail=path.name)
    return chain


def read_chain(path: Path) -> tuple[bytes, ...]:
    """Return the DER certificates of a PEM file, leaf first. Raises ``KeyUnavailable`` if there is none."""
    try:
        certificates = x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError) as exc:
        raise KeyUnavailable("a certificate chain cannot be read", detail=path.name) from exc
    return tuple(certificate.public_bytes(serialization.Encoding.DER) for certificate in certificates)
