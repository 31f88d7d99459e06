"""Whom to trust, from files: PEM of roots, trust lists, VICALs, told apart by what is in them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Generic, TypeVar

from wallet_core.adapters import log
from wallet_core.adapters.config import SettingsError
from wallet_core.adapters.http import HttpClient
from wallet_core.catalogue import Catalogue
from wallet_core.errors import MalformedError, NotFound, StorageError, WalletError
from wallet_core.trust.anchors import AnchorPurpose, TrustAnchors, parse_trust_anchors
from wallet_core.trust.policy import Grant, IssuerPolicy, create_issuer_policy
from wallet_core.trust.trust_list import (
    ListedAgency,
    PermittedType,
    TrustList,
    fetch_trust_list,
    verify_trust_list,
)
from wallet_core.trust.vical import verify_vical
from wallet_core.trust.wallet_providers import WalletProviders, create_wallet_providers
from wallet_core.trust.x509 import certificate_uris
from wallet_core.types import AgencyId, CredentialIssuerId

T = TypeVar("T")

_PEM = b"-----BEGIN"
_JWS = b"eyJ"  # a JSON object in base64url


def load_issuer_policy(
    paths: Iterable[Path],
    *,
    now: datetime,
    purposes: Sequence[AnchorPurpose] = (),
    grace: timedelta = timedelta(),
) -> IssuerPolicy:
    """Return whom the files make us trust: roots, and what trust lists and VICALs permit below theirs.

    Args:
        paths: PEM files, trust lists and VICALs; the roots of the lists' operators are in the PEM files.
        now: the time at which lists must be good.
        purposes: of certificates without a ``Purpose:`` line; none refuses them.
        grace: how long a list still counts after its end.

    Raises:
        SettingsError: a file cannot be read.
        MalformedError: it is none of the three, or a certificate in it has no purpose.
        VerificationError: a list is not signed under one of the roots, or its time is over.
    """
    contents = [(path.name, _read(path)) for path in paths]
    anchors = TrustAnchors()
    for name, data in contents:
        if _PEM in data:
            anchors += _pem_anchors(name, data, purposes)
    lists: list[TrustList] = []
    by_authority: dict[bytes, list[Grant]] = {}
    roots = anchors
    for name, data in contents:
        if _PEM in data:
            continue
        if data.lstrip().startswith(_JWS):
            lists.append(verify_trust_list(_text(name, data), roots, at=now, grace=grace).content)
        else:
            vical = verify_vical(data, roots, at=now, grace=grace)
            anchors += vical.anchors
            for root, grants in vical.grants(grace=grace).items():
                by_authority.setdefault(root, []).extend(grants)
    return create_issuer_policy(anchors, lists, grace=grace, by_authority=by_authority)


def load_roots(paths: Iterable[Path]) -> TrustAnchors:
    """Return the roots of the PEM files among ``paths``; trust lists and VICALs are left aside.

    Raises:
        SettingsError: a file cannot be read.
        MalformedError: a PEM file holds something else than certificates with purposes.
    """
    anchors = TrustAnchors()
    for path in paths:
        data = _read(path)
        if _PEM in data:
            anchors += _pem_anchors(path.name, data, ())
    return anchors


def load_wallet_providers(paths: Iterable[Path], *, now: datetime, grace: timedelta = timedelta()) -> WalletProviders:
    """Return whom the files make us trust to attest wallets and keys. Files for other purposes do no harm.

    Args:
        paths: PEM files and trust lists; the roots of the lists' operators are in the PEM files.
        now: the time at which lists must be good.
        grace: how long a list still counts after its end.

    Raises:
        SettingsError, MalformedError, VerificationError: as :func:`load_issuer_policy`.
    """
    files = tuple(paths)
    roots = load_roots(files)
    texts = ((path.name, data) for path in files if (data := _read(path)).lstrip().startswith(_JWS))
    lists = [verify_trust_list(_text(name, data), roots, at=now, grace=grace).content for name, data in texts]
    return create_wallet_providers(roots, lists, grace=grace)


class FollowedFiles(Generic[T]):
    """What is made of files, read when it is first needed and again when one of them was replaced.

    So a new list needs no restart. Files that cannot be used are told to the log: what was good last counts on until
    its end, and before that ``nobody``.
    """

    def __init__(self, paths: Sequence[Path], load: Callable[[Sequence[Path]], T], *, nobody: T) -> None:
        self._paths = tuple(paths)
        self._load = load
        self._stamps: list[tuple[int, int]] | None = None
        self._found = nobody

    def current(self) -> T:
        """Return what the files say now."""
        stamps = [_stamp(path) for path in self._paths]
        if stamps != self._stamps:
            try:
                self._found = self._load(self._paths)
            except WalletError as exc:
                log.get_logger("trust").error("trust files cannot be read", detail=exc.detail)
            self._stamps = stamps
        return self._found


def follow_wallet_providers(paths: Sequence[Path], now: Callable[[], datetime]) -> FollowedFiles[WalletProviders]:
    """Return the wallet providers of files (:func:`load_wallet_providers`)."""
    return FollowedFiles(paths, lambda files: load_wallet_providers(files, now=now()), nobody=WalletProviders())


def follow_issuer_policy(paths: Sequence[Path], now: Callable[[], datetime]) -> FollowedFiles[IssuerPolicy]:
    """Return the issuers that files make us trust (:func:`load_issuer_policy`).

    Raises:
        SettingsError, MalformedError, VerificationError: they cannot be used now; later that only stands in the log.
    """
    first = load_issuer_policy(paths, now=now())
    return FollowedFiles(paths, lambda files: load_issuer_policy(files, now=now()), nobody=first)


def _stamp(path: Path) -> tuple[int, int]:
    try:
        about = path.stat()
    except OSError:
        return 0, 0
    return about.st_mtime_ns, about.st_ino


def list_agencies(catalogue: Catalogue, leaves: Mapping[AgencyId, Iterable[bytes]]) -> tuple[ListedAgency, ...]:
    """Return the agencies of a trust list: what the catalogue lets each issue, by the names in their certificates.

    Args:
        catalogue: says which agency issues which types.
        leaves: signing certificates of each agency that is to be listed.

    Raises:
        NotFound: the catalogue has no such agency.
        MalformedError: a certificate does not parse.
    """
    return tuple(_listed_agency(catalogue, agency_id, certificates) for agency_id, certificates in leaves.items())


def _listed_agency(catalogue: Catalogue, agency_id: AgencyId, leaves: Iterable[bytes]) -> ListedAgency:
    agency = catalogue.agencies.get(agency_id)
    if agency is None:
        raise NotFound("the catalogue has no such agency", detail=f"no agency {agency_id}")
    issuers = dict.fromkeys(name for leaf in leaves for name in certificate_uris(leaf))
    types = tuple(
        PermittedType(entry.format, name)
        for each in catalogue.issued_by(agency_id)
        for entry in each.formats
        if (name := entry.doctype or each.vct)
    )
    return ListedAgency(
        id=agency_id,
        name={"ko": agency.name.ko, "en": agency.name.en},
        credential_issuers=tuple(CredentialIssuerId(name) for name in issuers),
        certificates=(),
        authorities=(),
        types=types,
    )


def read_trust_list(source: str, client: HttpClient) -> str:
    """Return the text behind ``source``: an address, or the path of a file.

    Raises:
        FetchError: the server was not reached, or did not answer with a list.
        StorageError: the file cannot be read.
    """
    if source.startswith(("https://", "http://")):
        return client.run(fetch_trust_list(source))
    try:
        return Path(source).read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as exc:
        raise StorageError(
            "the trust list cannot be read", detail=f"{Path(source).name}: {type(exc).__name__}"
        ) from exc


def _pem_anchors(name: str, data: bytes, purposes: Sequence[AnchorPurpose]) -> TrustAnchors:
    text = _text(name, data)
    try:
        return parse_trust_anchors(text)
    except MalformedError:
        if not purposes:
            raise
    anchors = TrustAnchors()
    for purpose in purposes:
        anchors += parse_trust_anchors(text, purpose=purpose)
    return anchors


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise SettingsError("a trust anchor file cannot be read", detail=f"{path.name}: {exc.strerror}") from exc


def _text(name: str, data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise SettingsError("a trust anchor file cannot be read", detail=f"{name} is not text") from exc
