"""``jigap keys new-ca | new-issuer | new-verifier | new-sealing-key | show``: keys and certificates in a folder.

Private keys are PKCS#8 PEM, readable by their owner only, and are never overwritten.
"""

import os
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from wallet_core.adapters.cli import JsonFlag, out
from wallet_core.adapters.clock import SystemClock
from wallet_core.adapters.keystore import KeyStore, new_key_text
from wallet_core.errors import InvalidRequest, KeyUnavailable, MalformedError
from wallet_core.keys.algorithms import PublicKey
from wallet_core.trust.anchors import AnchorPurpose, TrustAnchor, TrustAnchors, format_trust_anchors
from wallet_core.trust.certificates import (
    CertificateAuthority,
    create_ca,
    create_issuer_certificate,
    create_verifier_certificate,
)
from wallet_core.trust.x509 import x509_hash
from wallet_core.types import CredentialIssuerId

app = typer.Typer(no_args_is_help=True, help="Signing keys and certificates.")

Name = Annotated[str, typer.Argument(help="Name of the key in the store: a-z, 0-9, dot, hyphen, underscore.")]
Store = Annotated[Path, typer.Option("--store", help="Folder of keys; made if it is not there.")]
CaStore = Annotated[Path | None, typer.Option("--ca-store", help="Folder of the CA's key, if it is another one.")]
Ca = Annotated[str, typer.Option("--ca", help="Name of the CA's key.")]
Organization = Annotated[str, typer.Option("--organization", help="Name that people will read.")]
Purposes = Annotated[
    list[AnchorPurpose], typer.Option("--purpose", help="What the CA is trusted for; can be repeated.")
]


@app.command("new-ca")
def new_ca(
    name: Name,
    *,
    store: Store,
    organization: Organization,
    purpose: Purposes,
    contact: Annotated[str, typer.Option("--contact", help="Address of a page about the CA.")],
    country: Annotated[str, typer.Option("--country", help="Two capital letters.")] = "KR",
    days: Annotated[int, typer.Option("--days", help="How long it lives, at most 20 years.")] = 9 * 365,
    as_json: JsonFlag = False,
) -> None:
    """Make a certification authority and its trust-anchor file NAME.anchor.pem."""
    key = ec.generate_private_key(ec.SECP256R1())
    try:
        ca = create_ca(
            organization=organization,
            common_name=name,
            contact=contact,
            private_key=key,
            now=SystemClock().now(),
            random=os.urandom,
            country=country,
            life=timedelta(days=days),
        )
    except ValueError as exc:
        raise typer.BadParameter(str(exc)) from exc
    KeyStore(store).add(name, key, [ca.certificate.public_bytes(Encoding.DER)])
    anchors = TrustAnchors(TrustAnchor(ca.certificate, each) for each in purpose)
    (store / f"{name}.anchor.pem").write_text(format_trust_anchors(anchors), encoding="utf-8")
    _tell(name, store, ca.certificate, as_json=as_json)


@app.command("new-issuer")
def new_issuer(
    name: Name,
    *,
    store: Store,
    ca: Ca,
    issuer: Annotated[str, typer.Option("--issuer", help="Credential Issuer Identifier, as in its metadata.")],
    organization: Organization,
    ca_store: CaStore = None,
    days: Annotated[int, typer.Option("--days", help="How long the certificate lives, at most 456.")] = 365,
    as_json: JsonFlag = False,
) -> None:
    """Make a key with which an agency signs credentials, and its certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    try:
        certificate = create_issuer_certificate(
            _authority(ca_store or store, ca),
            issuer=CredentialIssuerId(issuer),
            organization=organization,
            public_key=PublicKey(key.public_key()),
            now=SystemClock().now(),
            random=os.urandom,
            life=timedelta(days=days),
        )
    except ValueError as exc:
        raise typer.BadParameter(str(exc)) from exc
    KeyStore(store).add(name, key, [certificate.public_bytes(Encoding.DER)])
    _tell(name, store, certificate, as_json=as_json)


@app.command("new-verifier")
def new_verifier(
    name: Name,
    *,
    store: Store,
    ca: Ca,
    response_uri: Annotated[str, typer.Option("--response-uri", help="Where answers are sent; its host is certified.")],
    organization: Organization,
    ca_store: CaStore = None,
    days: Annotated[int, typer.Option("--days", help="How long the certificate lives, at most 456.")] = 365,
    as_json: JsonFlag = False,
) -> None:
    """Make a key with which a relying party signs its requests, and its access certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    try:
        certificate = create_verifier_certificate(
            _authority(ca_store or store, ca),
            response_uri=response_uri,
            organization=organization,
            public_key=PublicKey(key.public_key()),
            now=SystemClock().now(),
            random=os.urandom,
            life=timedelta(days=days),
        )
    except ValueError as exc:
        raise typer.BadParameter(str(exc)) from exc
    KeyStore(store).add(name, key, [certificate.public_bytes(Encoding.DER)])
    _tell(name, store, certificate, as_json=as_json)


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


@app.command()
def show(
    what: Annotated[Path, typer.Argument(help="A PEM file of certificates, or a folder of keys.")],
    *,
    as_json: JsonFlag = False,
) -> None:
    """Say in words what the certificates of a file or folder are."""
    files = sorted(what.glob("*.chain.pem")) if what.is_dir() else [what]
    described = [_describe(certificate, file.name) for file in files for certificate in _read(file)]
    text = "\n\n".join(_words(each) for each in described) or "There are no certificates here."
    out(as_json, {"certificates": described}, text)


def _authority(store: Path, name: str) -> CertificateAuthority:
    keys = KeyStore(store)
    certificate = x509.load_der_x509_certificate(keys.chain(name)[0])
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    if not constraints.ca:
        raise KeyUnavailable("that key is not a CA's", detail=f"{name} is not a CA: make one with jigap keys new-ca")
    return CertificateAuthority(certificate, keys.signer(name).private_key)


def _read(file: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(file.read_bytes())
    except OSError as exc:
        raise InvalidRequest("the file cannot be read", detail=f"{file}: {exc.strerror}") from exc
    except ValueError as exc:
        raise MalformedError("the file holds no certificate", detail=f"{file} holds no PEM certificate") from exc


def _tell(name: str, store: Path, certificate: x509.Certificate, *, as_json: bool) -> None:
    described = {"name": name, "store": str(store), **_describe(certificate, f"{name}.chain.pem")}
    out(as_json, described, _words(described))


def _describe(certificate: x509.Certificate, file: str) -> dict[str, Any]:
    der = certificate.public_bytes(Encoding.DER)
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        names = x509.SubjectAlternativeName([])
    return {
        "file": file,
        "subject": certificate.subject.rfc4514_string(),
        "issuer": certificate.issuer.rfc4514_string(),
        "self_signed": certificate.subject == certificate.issuer,
        "speaks_for": [str(each.value) for each in names],
        "valid_from": certificate.not_valid_before_utc.isoformat(),
        "valid_until": certificate.not_valid_after_utc.isoformat(),
        "x509_hash": x509_hash(der),
        "sha256": certificate.fingerprint(SHA256()).hex(),
    }


def _words(described: dict[str, Any]) -> str:
    kind = "A certification authority (trust anchor)" if described["self_signed"] else "A signing certificate"
    speaks_for = ", ".join(described["speaks_for"]) or "nobody by name"
    return "\n".join(
        (
            f"{described['file']}: {kind}",
            f"  of            {described['subject']}",
            f"  certified by  {'itself' if described['self_signed'] else described['issuer']}",
            f"  speaks for    {speaks_for}",
            f"  valid         {described['valid_from']} to {described['valid_until']}",
            f"  x509_hash     {described['x509_hash']}",
        )
    )
