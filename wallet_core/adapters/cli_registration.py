"""``jigap keys new-registration | new-verifier-attestation``: what others sign about relying parties, as files."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer
from cryptography import x509

from wallet_core.adapters.cli import JsonFlag, out
from wallet_core.adapters.clock import SystemClock
from wallet_core.adapters.config import load_catalogue
from wallet_core.adapters.keystore import KeyStore, read_chain
from wallet_core.catalogue.text import Text
from wallet_core.errors import InvalidRequest, KeyUnavailable, NotFound
from wallet_core.keys.algorithms import PublicKey, public_key
from wallet_core.protocols.openid4vp.registration import create_registration_certificate, registration_of_policy
from wallet_core.protocols.openid4vp.verifier_attestation import create_verifier_attestation
from wallet_core.trust.profiles import organization_id_of
from wallet_core.trust.x509 import certificate_uris

File = Annotated[Path, typer.Argument(help="File to write; an earlier one is replaced.")]
Store = Annotated[Path, typer.Option("--store", help="Folder with the key of whoever signs.")]
Certificate = Annotated[
    Path,
    typer.Option("--certificate", exists=True, dir_okay=False, help="The party's access certificate, PARTY.chain.pem."),
]


def new_registration(
    file: File,
    *,
    store: Store,
    registrar: Annotated[str, typer.Option("--registrar", help="Name of the registrar's key.")],
    certificate: Certificate,
    policy: Annotated[
        str, typer.Option("--policy", help="Id of the policy: purpose, retention and what may be asked.")
    ],
    privacy_policy: Annotated[str, typer.Option("--privacy-policy", help="Address of the party's privacy policy.")],
    support: Annotated[str, typer.Option("--support", help="Address where the party helps people.")],
    name_ko: Annotated[str, typer.Option("--name-ko", help="Name in Korean; default: the policy's sample party.")] = "",
    name_en: Annotated[str, typer.Option("--name-en", help="Name in English; default: likewise.")] = "",
    catalogue: Annotated[Path | None, typer.Option("--catalogue", help="Another catalogue than the product's.")] = None,
    days: Annotated[int, typer.Option("--days", help="How long it counts, at most 366.")] = 365,
    as_json: JsonFlag = False,
) -> None:
    """Register a relying party for a policy: write its registration certificate (ETSI TS 119 475)."""
    found = load_catalogue(catalogue).policies.get(policy)
    if found is None:
        raise NotFound("the catalogue has no such policy", detail=f"no policy {policy}")
    leaf, now = _leaf(certificate), SystemClock().now()
    identifier = organization_id_of(leaf)
    if identifier is None:
        raise InvalidRequest(
            "the access certificate has no registered number",
            detail="make it with jigap keys new-verifier --identifier",
        )
    signer = KeyStore(store).signing_key(registrar)
    registration = registration_of_policy(
        found,
        identifier=identifier,
        issued_at=now,
        expires_at=now + timedelta(days=days),
        registry_uri=_name_of(signer.chain[0]),
        privacy_policy=privacy_policy,
        support=support,
        name=Text(name_ko, name_en) if name_ko and name_en else None,
    )
    _write(file, create_registration_certificate(registration, signer))
    until = registration.expires_at.isoformat()
    answer = {"file": str(file), "identifier": identifier, "policy": policy, "until": until}
    out(as_json, answer, f"{registration.name['ko']} ({identifier}) is registered for {policy} until {until}: {file}")


def new_verifier_attestation(
    file: File,
    *,
    store: Store,
    attester: Annotated[str, typer.Option("--attester", help="Name of the attester's key.")],
    certificate: Certificate,
    subject: Annotated[
        str, typer.Option("--subject", help="Who it is (sub); default: the number in the certificate.")
    ] = "",
    redirect_uri: Annotated[
        list[str] | None, typer.Option("--redirect-uri", help="Where answers may go; can be repeated.")
    ] = None,
    days: Annotated[int, typer.Option("--days", help="How long it counts.")] = 90,
    as_json: JsonFlag = False,
) -> None:
    """Attest the key of a relying party: write its Verifier Attestation JWT (OpenID4VP 12)."""
    leaf, now = _leaf(certificate), SystemClock().now()
    who = subject or organization_id_of(leaf)
    if not who:
        raise InvalidRequest("the access certificate has no registered number: give --subject")
    signer = KeyStore(store).signing_key(attester)
    until = now + timedelta(days=days)
    token = create_verifier_attestation(
        signer,
        issuer=_name_of(signer.chain[0]),
        subject=who,
        key=_key(leaf),
        issued_at=now,
        expires_at=until,
        redirect_uris=redirect_uri or (),
    )
    _write(file, token)
    client_id = f"verifier_attestation:{who}"
    answer = {"file": str(file), "client_id": client_id, "until": until.isoformat()}
    out(as_json, answer, f"{client_id} is attested until {until.isoformat()}: {file}")


def _leaf(path: Path) -> x509.Certificate:
    return x509.load_der_x509_certificate(read_chain(path)[0])


def _key(leaf: x509.Certificate) -> PublicKey:
    return public_key(leaf.public_key())


def _name_of(der: bytes) -> str:
    names = certificate_uris(der)
    if not names:
        raise InvalidRequest("the certificate of whoever signs names no address: make it with --operator")
    return names[0]


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(f"{text}\n", encoding="ascii")
    except OSError as exc:
        raise KeyUnavailable("the file cannot be written", detail=f"{file.name}: {exc.strerror}") from exc
