"""``jigap keys new-… | next | rotate | show``: keys and certificates in a folder.

Private keys are PKCS#8 PEM, readable by their owner only, and are never overwritten; or, with ``--hsm``, made inside a
token that they never leave.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from inspect import Signature, signature
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from wallet_core.adapters.cli import JsonFlag, out
from wallet_core.adapters.cli_certificates import describe, in_words
from wallet_core.adapters.cli_registration import new_registration, new_verifier_attestation
from wallet_core.adapters.clock import SystemClock
from wallet_core.adapters.config import load_trust_anchors
from wallet_core.adapters.keystore import KeyStore, new_key_text, read_description, require_hsm_support
from wallet_core.errors import InvalidRequest, KeyUnavailable, MalformedError, WalletError
from wallet_core.keys.algorithms import PublicKey
from wallet_core.trust.anchors import AnchorPurpose, TrustAnchor, TrustAnchors, format_trust_anchors
from wallet_core.trust.certificates import (
    CertificateAuthority,
    create_ca,
    create_document_signer,
    create_iaca,
    create_issuer_certificate,
    create_operator_certificate,
    create_verifier_certificate,
    create_wallet_provider_certificate,
    renew_certificate,
)
from wallet_core.trust.profiles import CertificateRole, extension_of
from wallet_core.types import CredentialIssuerId

app = typer.Typer(no_args_is_help=True, help="Signing keys and certificates.")

app.command("new-registration")(new_registration)
app.command("new-verifier-attestation")(new_verifier_attestation)

Name = Annotated[str, typer.Argument(help="Name of the key in the store: a-z, 0-9, dot, hyphen, underscore.")]
Store = Annotated[Path, typer.Option("--store", help="Folder of keys; made if it is not there.")]
CaStore = Annotated[Path | None, typer.Option("--ca-store", help="Folder of the CA's key, if it is another one.")]
Ca = Annotated[str, typer.Option("--ca", help="Name of the CA's key.")]
Organization = Annotated[str, typer.Option("--organization", help="Name that people will read.")]
Operator = Annotated[str, typer.Option("--operator", help="URL that names who signs with it.")]
Hsm = Annotated[
    Path | None,
    typer.Option("--hsm", help="Description of a key in a token, as specs/key-stores.md has it: made there."),
]
Existing = Annotated[
    bool, typer.Option("--existing", help="With --hsm: the token has the key already, it is only certified.")
]
Days = Annotated[int, typer.Option("--days", help="How long the certificate lives.")]
CaDays = Annotated[int, typer.Option("--days", help="How long it lives, at most 20 years.")]
Contact = Annotated[str, typer.Option("--contact", help="Address of a page about the CA.")]
Issuer = Annotated[str, typer.Option("--issuer", help="Credential Issuer Identifier, as in its metadata.")]
Purposes = Annotated[
    list[AnchorPurpose], typer.Option("--purpose", help="What the CA is trusted for; can be repeated.")
]

_Create: TypeAlias = Callable[..., x509.Certificate]
"""Makes a certificate: takes what every certificate needs; the rest is bound to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Order:
    """How a key is to be made and certified: the options of every command that makes one."""

    name: Name
    store: Store
    ca: Ca
    ca_store: CaStore = None
    days: Days = 365
    hsm: Hsm = None
    existing: Existing = False
    as_json: JsonFlag = False


def _makes_key(command: str, *, at_most: int = 456) -> Callable[[Callable[..., _Create]], Callable[..., _Create]]:
    """Make a command with the options of the function, which returns how to certify, amid those of :class:`_Order`.

    ``at_most`` is how many days the profile of the certificate allows.
    """

    def add(find_create: Callable[..., _Create]) -> Callable[..., _Create]:
        shared = dict(signature(_Order).parameters)
        limited = typer.Option("--days", help=f"How long the certificate lives, at most {at_most}.")
        shared["days"] = shared["days"].replace(annotation=Annotated[int, limited])
        first = [each for each in shared.values() if each.default is each.empty]
        parameters = list(dict.fromkeys([*first, *signature(find_create).parameters.values(), *shared.values()]))

        def run(**options: Any) -> None:
            order = _Order(**{name: options.pop(name) for name in shared})
            _certify(order, find_create(**options))

        run.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {each.name: each.annotation for each in parameters}
        app.command(command, help=find_create.__doc__)(run)
        return find_create

    return add


@app.command("new-ca")
def new_ca(
    name: Name,
    *,
    store: Store,
    organization: Organization,
    purpose: Purposes,
    contact: Contact,
    country: Annotated[str, typer.Option("--country", help="Two capital letters.")] = "KR",
    days: CaDays = 9 * 365,
    as_json: JsonFlag = False,
) -> None:
    """Make a certification authority and its trust-anchor file NAME.anchor.pem."""
    create = partial(
        create_ca,
        organization=organization,
        common_name=name,
        contact=contact,
        country=country,
        life=timedelta(days=days),
    )
    _add_ca(store, name, create, purpose, as_json=as_json)


@_makes_key("new-issuer")
def new_issuer(*, issuer: Issuer, organization: Organization) -> _Create:
    """Make a key with which an agency signs credentials, and its certificate."""
    return partial(create_issuer_certificate, issuer=CredentialIssuerId(issuer), organization=organization)


@_makes_key("new-verifier")
def new_verifier(
    *,
    response_uri: Annotated[str, typer.Option("--response-uri", help="Where answers are sent; its host is certified.")],
    organization: Organization,
    identifier: Annotated[
        str | None,
        typer.Option(
            "--identifier", help="Its number in the register, like NTRKR-1101110000001: registrations need it."
        ),
    ] = None,
) -> _Create:
    """Make a key with which a relying party signs its requests, and its access certificate."""
    return partial(
        create_verifier_certificate, response_uri=response_uri, organization=organization, organization_id=identifier
    )


@_makes_key("new-wallet-provider")
def new_wallet_provider(
    *,
    provider: Annotated[str, typer.Option("--provider", help="URL that names the provider, as in the trust list.")],
    organization: Organization,
) -> _Create:
    """Make a key with which a wallet provider attests its wallets and their keys, and its certificate."""
    return partial(create_wallet_provider_certificate, provider=provider, organization=organization)


@app.command("new-iaca")
def new_iaca(
    name: Name,
    *,
    store: Store,
    organization: Organization,
    contact: Contact,
    revocation_list: Annotated[str, typer.Option("--revocation-list", help="Address of its revocation list.")],
    country: Annotated[str, typer.Option("--country", help="Two capital letters, as in the documents.")] = "KR",
    state: Annotated[str | None, typer.Option("--state", help="State or province, if it issues for one only.")] = None,
    days: CaDays = 9 * 365,
    as_json: JsonFlag = False,
) -> None:
    """Make an issuing authority CA for mdocs (ISO 18013-5 B.1.2) and its trust-anchor file NAME.anchor.pem."""
    create = partial(
        create_iaca,
        organization=organization,
        common_name=name,
        contact=contact,
        revocation_list=revocation_list,
        country=country,
        state=state,
        life=timedelta(days=days),
    )
    _add_ca(store, name, create, [AnchorPurpose.MDL_ISSUER], as_json=as_json)


@_makes_key("new-document-signer")
def new_document_signer(*, issuer: Issuer, organization: Organization) -> _Create:
    """Make a key with which an agency signs mdocs, and its certificate below an IACA; NAME is AGENCY.mdoc."""
    return partial(create_document_signer, issuer=CredentialIssuerId(issuer), organization=organization)


@_makes_key("new-list-signer", at_most=1186)
def new_list_signer(
    *,
    role: Annotated[
        CertificateRole, typer.Option("--role", help="trust_list_signer, vical_signer or status_list_signer.")
    ],
    operator: Operator,
    organization: Organization,
) -> _Create:
    """Make a key with which a trust list, a VICAL or status lists are signed, and its certificate."""
    return partial(create_operator_certificate, role=role, operator=operator, organization=organization)


@_makes_key("new-registrar")
def new_registrar(*, operator: Operator, organization: Organization) -> _Create:
    """Make a key with which a register signs registration certificates of relying parties, and its certificate."""
    role = CertificateRole.REGISTRAR
    return partial(create_operator_certificate, role=role, operator=operator, organization=organization)


@_makes_key("new-attester")
def new_attester(*, operator: Operator, organization: Organization) -> _Create:
    """Make a key with which somebody attests relying parties (verifier_attestation), and its certificate."""
    role = CertificateRole.VERIFIER_ATTESTER
    return partial(create_operator_certificate, role=role, operator=operator, organization=organization)


@app.command("new-sealing-key")
def new_sealing_key(
    file: Annotated[Path, typer.Argument(help="File to write; not overwritten.")], *, as_json: JsonFlag = False
) -> None:
    """Write a new key for ..._SEALING_KEY_FILE: it seals what must not lie in the database in the clear."""
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
            stream.write(new_key_text() + "\n")
    except OSError as exc:
        raise KeyUnavailable("the sealing key cannot be written", detail=f"{file.name}: {exc.strerror}") from exc
    out(as_json, {"file": str(file)}, f"Wrote a new sealing key to {file}. Without it what it sealed is lost.")


@app.command("next")
def next_key(
    name: Name,
    *,
    store: Store,
    ca: Ca,
    ca_store: CaStore = None,
    days: Days = 365,
    hsm: Hsm = None,
    existing: Existing = False,
    as_json: JsonFlag = False,
) -> None:
    """Make the next key of NAME, with a certificate that says what the current one says. It does not sign yet."""
    keys = KeyStore(store)
    current = x509.load_der_x509_certificate(keys.chain(name)[0])
    entry = f"{name}.{_number(name, keys.generations(name)[-1]) + 1}"
    order = _Order(
        name=entry, store=store, ca=ca, ca_store=ca_store, days=days, hsm=hsm, existing=existing, as_json=as_json
    )
    _certify(order, partial(renew_certificate, certificate=current))


@app.command("rotate")
def rotate(
    name: Name,
    *,
    store: Store,
    to: Annotated[str, typer.Option("--to", help="Which key; default: the newest one.")] = "",
    as_json: JsonFlag = False,
) -> None:
    """Sign with the next key of NAME from now on, in every running process. Older ones stay published till they end."""
    keys = KeyStore(store)
    before, entry = keys.current(name), to or keys.generations(name)[-1]
    if entry == before:
        raise KeyUnavailable("that key signs already", detail=f"{entry} signs for {name} already: jigap keys next")
    if entry not in keys.generations(name):
        raise KeyUnavailable("there is no such key", detail=f"{name} has no key {entry}")
    certificate, now = _read(store / f"{entry}.chain.pem")[0], SystemClock().now()
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        raise KeyUnavailable(
            "that key's certificate is not valid now", detail=f"the certificate of {entry} is not valid now"
        )
    keys.rotate(name, entry)
    out(as_json, {"name": name, "before": before, "current": entry}, f"{entry} signs for {name} now, {before} no more")


@app.command()
def show(
    what: Annotated[Path, typer.Argument(help="A PEM file of certificates or trust anchors, or a folder of keys.")],
    *,
    lang: Annotated[str, typer.Option("--lang", envvar="LANG", help="ko or en.")] = "en",
    as_json: JsonFlag = False,
) -> None:
    """Say in words whose the certificates of a file or folder are, for what, until when, and what is wrong."""
    described = _described(what)
    text = "\n\n".join(in_words(each, korean=lang.startswith("ko")) for each in described)
    out(as_json, {"certificates": described}, text or "There are no certificates here.")


def _described(what: Path) -> list[dict[str, Any]]:
    files = sorted(what.glob("*.chain.pem")) if what.is_dir() else [what]
    found = [(file.name, certificate) for file in files for certificate in _read(file)]
    others = [certificate for _, certificate in found]
    purposes = _purposes(sorted(what.glob("*.anchor.pem")) if what.is_dir() else [what])
    now = SystemClock().now()
    return [
        describe(
            certificate,
            name,
            now=now,
            issuer=_issuer_of(certificate, others),
            purposes=purposes.get(certificate.fingerprint(SHA256()), ()),
        )
        for name, certificate in found
    ]


def _purposes(files: Iterable[Path]) -> dict[bytes, list[AnchorPurpose]]:
    found: dict[bytes, list[AnchorPurpose]] = {}
    for file in files:
        # A file of other certificates has no purposes; what is in it is shown all the same.
        with suppress(WalletError):
            for anchor in load_trust_anchors([file]).anchors:
                found.setdefault(anchor.certificate.fingerprint(SHA256()), []).append(anchor.purpose)
    return found


def _issuer_of(certificate: x509.Certificate, others: Sequence[x509.Certificate]) -> x509.Certificate | None:
    for other in others:
        if other.subject == certificate.issuer:
            with suppress(InvalidSignature, ValueError, TypeError):
                certificate.verify_directly_issued_by(other)
                return other
    return None


def _number(name: str, entry: str) -> int:
    return int(entry.removeprefix(name).removeprefix(".") or 1)


@dataclass(frozen=True, slots=True)
class _NewKey:
    """A key to certify: ``add`` puts it into the store with its chain, ``undo`` takes it back."""

    public_key: PublicKey
    add: Callable[[Sequence[bytes]], None]
    undo: Callable[[], None]


def _certify(order: _Order, create: _Create) -> None:
    """Make a key and its certificate."""
    authority = _authority(order.ca_store or order.store, order.ca)
    with _new_key(KeyStore(order.store), order.name, order.hsm, existing=order.existing) as key:
        certificate = create(
            authority,
            public_key=key.public_key,
            now=SystemClock().now(),
            random=os.urandom,
            life=timedelta(days=order.days),
        )
        key.add([certificate.public_bytes(Encoding.DER)])
    _tell(order.name, order.store, certificate, as_json=order.as_json)


@contextmanager
def _new_key(keys: KeyStore, name: str, hsm: Path | None, *, existing: bool) -> Iterator[_NewKey]:
    """Make a key for the body to certify and add; if it fails, no key is left behind, in a token neither."""
    if existing and hsm is None:
        raise typer.BadParameter("--existing goes with --hsm")
    keys.require_free(name)
    key = _key_in_file(keys, name) if hsm is None else _key_in_token(keys, name, hsm, existing=existing)
    try:
        yield key
    except ValueError as exc:
        key.undo()
        raise typer.BadParameter(str(exc)) from exc
    except WalletError:
        key.undo()
        raise


def _key_in_file(keys: KeyStore, name: str) -> _NewKey:
    key = ec.generate_private_key(ec.SECP256R1())
    return _NewKey(PublicKey(key.public_key()), partial(keys.add, name, key), lambda: None)


def _key_in_token(keys: KeyStore, name: str, file: Path, *, existing: bool) -> _NewKey:
    require_hsm_support()
    from wallet_core.adapters.hsm import HsmKey, HsmSigner, create_hsm_key, destroy_hsm_key

    description = read_description(file)
    key = HsmKey.parse(description)
    add = partial(keys.add_description, name, description)
    if existing:
        return _NewKey(HsmSigner.open(key).public_key, add, lambda: None)
    return _NewKey(create_hsm_key(key, random=os.urandom).public_key, add, partial(destroy_hsm_key, key))


def _add_ca(
    store: Path,
    name: str,
    create: Callable[..., CertificateAuthority],
    purposes: Iterable[AnchorPurpose],
    *,
    as_json: bool,
) -> None:
    """Make a CA, its key and its anchor file. ``create`` takes what every CA needs; the rest is bound to it."""
    try:
        ca = create(private_key=ec.generate_private_key(ec.SECP256R1()), now=SystemClock().now(), random=os.urandom)
    except ValueError as exc:
        raise typer.BadParameter(str(exc)) from exc
    KeyStore(store).add(name, ca.private_key, [ca.certificate.public_bytes(Encoding.DER)])
    anchors = TrustAnchors(TrustAnchor(ca.certificate, each) for each in purposes)
    (store / f"{name}.anchor.pem").write_text(format_trust_anchors(anchors), encoding="utf-8")
    _tell(name, store, ca.certificate, as_json=as_json)


def _authority(store: Path, name: str) -> CertificateAuthority:
    keys = KeyStore(store)
    certificate = x509.load_der_x509_certificate(keys.chain(name)[0])
    constraints = extension_of(certificate, x509.BasicConstraints)
    # RFC 5280 4.2.1.9: without the extension it is none either, as a document signer's.
    if constraints is None or not constraints.ca:
        raise KeyUnavailable("that key is not a CA's", detail=f"{name} is not a CA: make one with jigap keys new-ca")
    return CertificateAuthority(certificate, keys.private_key(name))


def _read(file: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(file.read_bytes())
    except OSError as exc:
        raise InvalidRequest("the file cannot be read", detail=f"{file}: {exc.strerror}") from exc
    except ValueError as exc:
        raise MalformedError("the file holds no certificate", detail=f"{file} holds no PEM certificate") from exc


def _tell(name: str, store: Path, certificate: x509.Certificate, *, as_json: bool) -> None:
    said = describe(certificate, f"{name}.chain.pem", now=SystemClock().now())
    out(as_json, {"name": name, "store": str(store), **said}, in_words(said))
