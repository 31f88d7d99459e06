"""``jigap trust draft | sign | new-vical | show``: trust lists and VICALs.

A trust list is drafted as JSON, which a person may change, and then signed; each signing takes the next number.
"""

import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from wallet_core.adapters.cli import JsonFlag, out
from wallet_core.adapters.clock import SystemClock
from wallet_core.adapters.config import load_catalogue, load_trust_anchors
from wallet_core.adapters.keystore import KeyStore
from wallet_core.adapters.trust_files import list_agencies
from wallet_core.encoding import strict_json
from wallet_core.errors import MalformedError, NotFound, StorageError
from wallet_core.jose import jws
from wallet_core.trust.anchors import AnchorPurpose, TrustAnchors
from wallet_core.trust.trust_list import (
    LISTED_PURPOSES,
    MAX_BYTES,
    MAX_CHARACTERS,
    TrustList,
    create_trust_list,
    parse_trust_list,
    trust_list_payload,
    verify_trust_list,
)
from wallet_core.trust.vical import Vical, VicalCertificate, create_vical, verify_vical
from wallet_core.types import AgencyId

app = typer.Typer(no_args_is_help=True, help="Trust lists and VICALs: who may issue what.")

Store = Annotated[Path, typer.Option("--store", help="Folder of the operator's key.")]
Key = Annotated[str, typer.Option("--key", help="Name of the operator's key in it.")]
Out = Annotated[Path, typer.Option("--out", help="File to write; an earlier list there is replaced.")]
Days = Annotated[int, typer.Option("--days", min=1, max=400, help="How long the list counts.")]
Roots = Annotated[
    list[Path], typer.Option("--authority", help="Anchor file of a root that certifies agencies; can be repeated.")
]

_GENERATION = re.compile(r"\.[1-9][0-9]*\Z")
_MDOC = ".mdoc"


@app.command()
def draft(
    *,
    operator: Annotated[str, typer.Option("--operator", help="URL of the operator, as in its certificate.")],
    authority: Roots,
    issuer_store: Annotated[Path, typer.Option("--issuer-store", help="Key store with the agencies' certificates.")],
    out_file: Out,
    wallets: Annotated[Path | None, typer.Option("--wallets", help="JSON array of wallets to put in.")] = None,
    catalogue: Annotated[Path | None, typer.Option("--catalogue", help="Another catalogue folder.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Draft a trust list as JSON: the agencies of a key store, with the types that the catalogue lets them issue."""
    roots = load_trust_anchors(authority).anchors
    anchors = tuple(anchor for anchor in roots if anchor.purpose in LISTED_PURPOSES)
    now = _whole(SystemClock().now())
    known = load_catalogue(catalogue)
    # A CA's key may lie in the same folder.
    leaves = {name: found for name, found in _leaves(KeyStore(issuer_store)).items() if name in known.agencies}
    agencies = list_agencies(known, leaves)
    payload = trust_list_payload(TrustList(operator, 1, now, now + timedelta(days=1), anchors, agencies))
    if wallets is not None:
        payload["wallets"] = strict_json.loads(_read(wallets), what="wallets", max_bytes=MAX_BYTES)
    parse_trust_list(payload)
    _write(out_file, strict_json.dumps(payload))
    answer = {"file": str(out_file), "agencies": [agency.id for agency in agencies]}
    out(as_json, answer, f"Drafted {len(agencies)} agencies in {out_file}: look at it, then jigap trust sign")


@app.command()
def sign(
    draft_file: Annotated[Path, typer.Argument(help="A draft: JSON as specs/trust-list.md has it.")],
    *,
    store: Store,
    key: Key,
    out_file: Out,
    days: Days = 7,
    sequence_number: Annotated[int, typer.Option("--sequence", min=0, help="Default: one more than in --out.")] = 0,
    as_json: JsonFlag = False,
) -> None:
    """Sign a draft: with the time of now, the next sequence number, and an end after --days."""
    now = _whole(SystemClock().now())
    payload = strict_json.loads_object(_read(draft_file), what="draft", max_bytes=MAX_BYTES)
    number = sequence_number or _last_number(out_file) + 1
    payload |= {"iat": int(now.timestamp()), "next_update": int((now + timedelta(days=days)).timestamp())}
    content = parse_trust_list(payload | {"sequence_number": number})
    signing = KeyStore(store).signing_key(key)
    _write(out_file, create_trust_list(content, signer=signing.signer, chain=signing.chain).encode())
    out(as_json, _list_json(content), _list_words(content))


@app.command("new-vical")
def new_vical(
    *,
    authority: Roots,
    provider: Annotated[str, typer.Option("--provider", help="Name of who provides it.")],
    store: Store,
    key: Key,
    out_file: Out,
    doctype: Annotated[list[str], typer.Option("--doctype", help="What the IACAs are for; can be repeated.")] = [  # noqa: B006
        "org.iso.18013.5.1.mDL"
    ],
    issue: Annotated[int, typer.Option("--issue", min=1, help="Number of the issue; grows.")],
    days: Days = 7,
    as_json: JsonFlag = False,
) -> None:
    """Write a VICAL of IACAs (ISO 18013-5 annex C): every root of the files that is there for mdocs."""
    now, signing = _whole(SystemClock().now()), KeyStore(store).signing_key(key)
    roots = load_trust_anchors(authority).certificates(AnchorPurpose.MDL_ISSUER)
    certificates = tuple(VicalCertificate(root, tuple(doctype)) for root in roots)
    if not certificates:
        raise NotFound("there is no IACA", detail="no root in these files has the purpose mdl_issuer")
    content = Vical(provider, now, certificates, issue, now + timedelta(days=days))
    _write(out_file, create_vical(content, signer=signing.signer, chain=signing.chain))
    out(as_json, _vical_json(content), _vical_words(content))


@app.command()
def show(
    file: Annotated[Path, typer.Argument(help="A trust list or a VICAL.")],
    *,
    trust: Annotated[list[Path], typer.Option("--trust", help="PEM file with the operator's root; may be repeated.")],
    as_json: JsonFlag = False,
) -> None:
    """Verify a trust list or a VICAL, and say what it permits."""
    data, anchors, now = _read(file), load_trust_anchors(trust), SystemClock().now()
    answer, words = _shown(data, anchors, now)
    out(as_json, answer, words)


def _shown(data: bytes, anchors: TrustAnchors, now: datetime) -> tuple[dict[str, Any], str]:
    if data.lstrip().startswith(b"eyJ"):
        content = verify_trust_list(_ascii(data), anchors, at=now).content
        return _list_json(content), _list_words(content)
    vical = verify_vical(data, anchors, at=now).content
    return _vical_json(vical), _vical_words(vical)


def _leaves(keys: KeyStore) -> dict[AgencyId, list[bytes]]:
    """Return the certificates of each agency of a key store: of its keys for SD-JWT VC and for mdocs."""
    found: dict[AgencyId, list[bytes]] = {}
    for name in keys.names():
        if not _GENERATION.search(name):
            agency = AgencyId(name.removesuffix(_MDOC))
            found.setdefault(agency, []).extend(keys.published(name))
    return found


def _last_number(file: Path) -> int:
    if not file.exists():
        return 0
    payload = jws.parse(_ascii(_read(file)).strip(), what="the last list", max_characters=MAX_CHARACTERS).payload
    return parse_trust_list(
        strict_json.loads_object(payload, what="the last list", max_bytes=MAX_BYTES)
    ).sequence_number


def _list_json(content: TrustList) -> dict[str, Any]:
    return {
        "operator": content.operator,
        "sequence_number": content.sequence_number,
        "issued_at": content.issued_at.isoformat(),
        "next_update": content.next_update.isoformat(),
        "agencies": [
            {
                "id": agency.id,
                "name": {**agency.name},
                "credential_issuers": [*agency.credential_issuers],
                "types": [f"{each.format} {each.type}" for each in agency.types],
            }
            for agency in content.agencies
        ],
        "wallets": [{"client_id": each.client_id, "provider": each.provider} for each in content.wallets],
    }


def _list_words(content: TrustList) -> str:
    head = f"Trust list {content.sequence_number} of {content.operator}, until {content.next_update.isoformat()}"
    lines = [
        f"  {agency.id} ({agency.name.get('en') or next(iter(agency.name.values()))}): "
        + (", ".join(each.type for each in agency.types) or "nothing")
        for agency in content.agencies
    ]
    lines += [f"  wallet {each.client_id}, attested by {each.provider}" for each in content.wallets]
    return "\n".join([head, *lines])


def _vical_json(content: Vical) -> dict[str, Any]:
    return {
        "provider": content.provider,
        "issue_id": content.issue_id,
        "date": content.date.isoformat(),
        "next_update": content.next_update.isoformat() if content.next_update else None,
        "left_out": content.left_out,
        "certificates": [
            {"subject": each.certificate.subject.rfc4514_string(), "doctypes": [*each.doctypes]}
            for each in content.certificates
        ],
    }


def _vical_words(content: Vical) -> str:
    until = content.next_update.isoformat() if content.next_update else "no end is said"
    lines = [
        f"  {each.certificate.subject.rfc4514_string()}: {', '.join(each.doctypes)}" for each in content.certificates
    ]
    left_out = [f"  {content.left_out} entries cannot be used"] if content.left_out else []
    return "\n".join([f"VICAL {content.issue_id or ''} of {content.provider}, until {until}", *lines, *left_out])


def _whole(now: datetime) -> datetime:
    return now.replace(microsecond=0)


def _ascii(data: bytes) -> str:
    try:
        return data.decode("ascii")
    except UnicodeDecodeError as exc:
        raise MalformedError("the trust list is not a JWS") from exc


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as exc:
        raise StorageError("the file cannot be read", detail=f"{file}: {exc.strerror}") from exc


def _write(file: Path, data: bytes) -> None:
    draft = file.with_name(f"{file.name}.draft")
    try:
        draft.write_bytes(data)
        draft.replace(file)
    except OSError as exc:
        raise StorageError("the file cannot be written", detail=f"{file}: {exc.strerror}") from exc
