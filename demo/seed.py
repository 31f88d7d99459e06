"""Fills a new demo: keys and certificates, agencies with their records, companies, people of the web wallet."""

import csv
import os
import shutil
from contextlib import closing
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from demo.deployment import APPS, DATA, LOGIN_KEY, Deployment
from demo.servers import DemoError
from demo.tls import make_certificates
from holder_app.accounts.use_cases import create_person, create_sign_in_code
from holder_app.dependencies import Wallet, create_wallet
from holder_app.settings import WalletSettings
from issuer.agencies.use_cases import credential_issuer_id, register_agency
from issuer.dependencies import Issuer, build_issuer
from issuer.login.ports import Citizen
from issuer.login.presentation.ports import POLICY as LOGIN_POLICY
from issuer.login.use_cases.by_code import create_one_time_code
from issuer.records.use_cases import check_records, import_records
from issuer.settings import IssuerSettings
from verifier.dependencies import build_verifier
from verifier.relying_parties.ports import PartyId, RelyingParty
from verifier.relying_parties.use_cases import file_registration, register_party
from verifier.settings import VerifierSettings
from verifier.trust_lists.tasks import renew_trust_list
from wallet_core import spec_versions as spec
from wallet_core.adapters.clock import SystemClock
from wallet_core.adapters.config import load_trust_anchors
from wallet_core.adapters.keystore import KeyStore, new_key_text
from wallet_core.adapters.migrations import migrate
from wallet_core.adapters.trust_files import list_agencies
from wallet_core.catalogue import Catalogue, Policy, Text
from wallet_core.keys.algorithms import PublicKey
from wallet_core.keys.signer import CertifiedSigner, SoftwareSigner
from wallet_core.protocols.openid4vp.registration import create_registration_certificate, registration_of_policy
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
)
from wallet_core.trust.profiles import CertificateRole
from wallet_core.trust.trust_list import ListedWallet, TrustList, create_trust_list
from wallet_core.types import AgencyId

FILES: Final = {
    "police": "licences.csv",
    "city": "households.csv",
    "national-tax": "taxes.csv",
    "health-insurance": "health_insurance.csv",
}
"""Which agency holds which file."""

HAIP: Final = ("national-tax",)
"""Agencies that serve only wallets of the high-assurance profile; the others take any."""

POLICIES: Final = ("account-opening", "adult-check", "car-rental", "tax-payment")
"""The policies whose sample parties ask in the demo: a bank, a convenience store, a car-rental firm, a tax window."""

MAX_AGE: Final = timedelta(days=330)
"""How long a demo's folder is good: its certificates live a year, its licences 30 days."""

CA_PURPOSES: Final = (
    AnchorPurpose.CREDENTIAL_ISSUER,
    AnchorPurpose.VERIFIER_ACCESS,
    AnchorPurpose.TRUST_LIST_OPERATOR,
    AnchorPurpose.WALLET_PROVIDER,
    AnchorPurpose.REGISTRAR,
)
"""What the demo's certification authorities are for, in the order of their anchor files."""

PEOPLE: Final = ("p02", "p04", "p05", "p12", "p18")
"""Who can sign in to the web wallet: a worker, a graduate, a woman over 65, a foreigner, one of 18 years."""


def seed(deployment: Deployment) -> dict[str, Any]:
    """Return what ``demo.json`` holds, with new sign-in codes; a new folder is filled first.

    Raises:
        DemoError: the folder was made for other ports, or long ago.
        WalletError: something in it cannot be used.
    """
    facts = deployment.read()
    if not facts:
        facts = _fill(deployment)
    if facts["issuer"]["url"] != deployment.url("issuer"):
        raise DemoError(
            "the demo's folder is for other addresses",
            detail=f"{deployment.folder} was made for {facts['issuer']['url']}, and its identifiers hold that address, "
            f"not {deployment.url('issuer')}: use it again{_again(facts['issuer']['url'])}, "
            "or forget the last run (FRESH=1)",
        )
    if SystemClock().now() - datetime.fromisoformat(facts["made_at"]) > MAX_AGE:
        raise DemoError(
            "the demo's certificates are about to end", detail=f"{deployment.folder} is old: forget it (FRESH=1)"
        )
    agencies = facts["issuer"]["agencies"]
    whole = deployment.registrars.exists() and len(facts["verifier"]["parties"]) >= len(POLICIES)
    if not whole or not all(agencies[each].get("haip") for each in HAIP):
        raise DemoError(
            "the demo's folder is of an earlier version",
            detail=f"{deployment.folder} lacks a key or an agency's profile: forget it (FRESH=1)",
        )
    _invite(deployment, facts)
    deployment.write_settings()
    deployment.write(facts)
    return facts


def _again(url: str) -> str:
    """Return the variables of ``make demo`` that give an issuer this address."""
    parts = urlsplit(url)
    tls = "TLS=1 " if parts.scheme == "https" else ""
    host = f"ADDRESS={parts.hostname} " if parts.hostname != "localhost" else ""
    return f" ({tls}{host}BASE_PORT={parts.port})"


def _fill(deployment: Deployment) -> dict[str, Any]:
    now = SystemClock().now()
    # demo.json is written last: without it, what lies here is of a filling that was cut short.
    if deployment.folder.exists():
        shutil.rmtree(deployment.folder)
    deployment.folder.mkdir(mode=0o700, parents=True)
    for app in APPS:
        deployment.keys(app).mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_secret(deployment.sealing_key(app), new_key_text())
    if deployment.tls:
        make_certificates(deployment, now)
    deployment.write_clients()
    issuers, verifiers, lists, wallets, registrars = _certification_authorities(deployment, now)
    iaca = _issuing_authority(deployment, now)
    issuer = _unfinished_issuer(deployment)
    with closing(issuer.database):
        agencies = _agencies(deployment, issuer, issuers, now)
    _document_signers(deployment, issuer, iaca, now)
    _wallet_provider(deployment, wallets, now)
    registrar = _registrar(deployment, registrars, now)
    _login_key(deployment, issuer, verifiers, registrar, now)
    _trust_list(deployment, issuer, lists, now)
    return {
        "notice": {
            "ko": "시험용: 사람과 번호는 모두 지어낸 거예요.",
            "en": "Test data: all people and numbers are invented.",
        },
        "base_port": deployment.base_port,
        "made_at": now.isoformat(),
        "trust_anchors": [str(path.resolve()) for path in deployment.trust_anchors],
        "issuer": {"url": deployment.url("issuer"), "agencies": agencies},
        "verifier": {
            "url": deployment.url("verifier"),
            "parties": _parties(deployment, verifiers, registrar, issuer.catalogue, now),
        },
        "wallet": {"url": deployment.url("wallet")},
        "people": [],
    }


def _unfinished_issuer(deployment: Deployment) -> Issuer:
    """Return the issuer before its keys and the trust list are made, without the login that needs both."""
    settings = deployment.environment("issuer")
    del settings["JIGAP_ISSUER_LOGIN_KEY"]
    return build_issuer(IssuerSettings.from_environment(settings))


def _registrar(deployment: Deployment, ca: CertificateAuthority, now: datetime) -> CertifiedSigner:
    """Make the register of companies: the key that signs who may ask for what."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = create_operator_certificate(
        ca,
        CertificateRole.REGISTRAR,
        operator="https://register.example",
        organization="Jigap 시험용 등록부",
        public_key=PublicKey(key.public_key()),
        now=now,
        random=os.urandom,
    )
    chain = [certificate.public_bytes(Encoding.DER)]
    KeyStore(deployment.ca_keys).add("registrar", key, chain)
    return CertifiedSigner(SoftwareSigner.from_key(key), tuple(chain))


def _registration(
    registrar: CertifiedSigner, policy: Policy, number: str, now: datetime, name: Text | None = None
) -> str:
    """Return what the register says of whoever has this number, for as long as the folder is good."""
    site = f"https://{policy.party.id}.example"
    registration = registration_of_policy(
        policy,
        identifier=number,
        issued_at=now,
        expires_at=now + MAX_AGE,
        registry_uri="https://register.example",
        privacy_policy=f"{site}/privacy",
        support=f"{site}/help",
        name=name,
    )
    return create_registration_certificate(registration, registrar)


def _login_key(
    deployment: Deployment, issuer: Issuer, ca: CertificateAuthority, registrar: CertifiedSigner, now: datetime
) -> None:
    """Give the issuer its own access key: at a login it asks for a card as companies do, registered like them."""
    number, policy = registered_number(0), issuer.catalogue.policies[LOGIN_POLICY]
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = create_verifier_certificate(
        ca,
        response_uri=deployment.url("issuer"),
        organization="기관 로그인 (시험용)",
        public_key=PublicKey(key.public_key()),
        now=now,
        random=os.urandom,
        organization_id=number,
    )
    issuer.keys.add(LOGIN_KEY, key, [certificate.public_bytes(Encoding.DER)])
    name = Text("기관 로그인 (시험용)", "Agency login (test)")
    registration = _registration(registrar, policy, number, now, name)
    issuer.keys.add_statement(LOGIN_KEY, f"registration.{policy.id}", registration)


def _certification_authorities(deployment: Deployment, now: datetime) -> tuple[CertificateAuthority, ...]:
    """Make one CA for each purpose, with its anchor file: who certifies companies must not make agencies."""
    made: list[CertificateAuthority] = []
    issuers, verifiers, _ = deployment.trust_anchors
    paths = (issuers, verifiers, deployment.list_operator, deployment.wallet_providers, deployment.registrars)
    for path, purpose in zip(paths, CA_PURPOSES, strict=True):
        name = path.name.removesuffix(".anchor.pem")
        ca = create_ca(
            organization="Jigap 시험용 인증기관",
            common_name=name,
            contact=deployment.url("issuer"),
            private_key=ec.generate_private_key(ec.SECP256R1()),
            now=now,
            random=os.urandom,
        )
        _add_ca(path, ca, purpose)
        made.append(ca)
    return tuple(made)


def _issuing_authority(deployment: Deployment, now: datetime) -> CertificateAuthority:
    """Make the IACA, which certifies those who sign mdocs and nobody else (decision 0056)."""
    iaca = create_iaca(
        organization="Jigap 시험용 인증기관",
        common_name="mdl",
        contact=deployment.url("issuer"),
        revocation_list=f"{deployment.url('issuer')}/crl",
        private_key=ec.generate_private_key(ec.SECP256R1()),
        now=now,
        random=os.urandom,
    )
    _add_ca(deployment.iaca, iaca, AnchorPurpose.MDL_ISSUER)
    return iaca


def _add_ca(path: Path, ca: CertificateAuthority, purpose: AnchorPurpose) -> None:
    name = path.name.removesuffix(".anchor.pem")
    KeyStore(path.parent).add(name, ca.private_key, [ca.certificate.public_bytes(Encoding.DER)])
    path.write_text(format_trust_anchors(TrustAnchors([TrustAnchor(ca.certificate, purpose)])), encoding="utf-8")


def _document_signers(deployment: Deployment, issuer: Issuer, iaca: CertificateAuthority, now: datetime) -> None:
    """Give every agency that issues a type as mdoc a second key with a certificate below the IACA."""
    for agency_id, entry in issuer.catalogue.agencies.items():
        formats = [each.format for one in issuer.catalogue.issued_by(agency_id) for each in one.formats]
        if spec.FORMAT_MDOC not in formats:
            continue
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = create_document_signer(
            iaca,
            issuer=credential_issuer_id(deployment.url("issuer"), agency_id),
            organization=entry.name.ko,
            public_key=PublicKey(key.public_key()),
            now=now,
            random=os.urandom,
        )
        issuer.keys.add(f"{agency_id}.mdoc", key, [certificate.public_bytes(Encoding.DER)])


def _trust_list(deployment: Deployment, issuer: Issuer, ca: CertificateAuthority, now: datetime) -> None:
    """Sign the list: agencies with what the catalogue lets them issue, our wallet. It counts as long as the folder."""
    operator, key = deployment.url("issuer"), ec.generate_private_key(ec.SECP256R1())
    certificate = create_operator_certificate(
        ca,
        CertificateRole.TRUST_LIST_SIGNER,
        operator=operator,
        organization="Jigap 시험용 신뢰 목록",
        public_key=PublicKey(key.public_key()),
        now=now,
        random=os.urandom,
    )
    chain = [certificate.public_bytes(Encoding.DER)]
    KeyStore(deployment.ca_keys).add("trust-list", key, chain)
    leaves = {agency_id: issuer.keys.published(agency_id) for agency_id in issuer.catalogue.agencies}
    files = [deployment.trust_anchors[0], deployment.iaca, deployment.wallet_providers, deployment.registrars]
    roots = load_trust_anchors(files).anchors
    agencies = list_agencies(issuer.catalogue, leaves)
    begin = now.replace(microsecond=0)
    content = TrustList(operator, 1, begin, begin + MAX_AGE, roots, agencies, (_listed_wallet(deployment),))
    signed = create_trust_list(content, signer=SoftwareSigner.from_key(key), chain=chain)
    deployment.trust_list.write_text(signed, encoding="ascii")


def _wallet_provider(deployment: Deployment, ca: CertificateAuthority, now: datetime) -> None:
    """Give the wallet the key with which it attests its instances and the keys they keep."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = create_wallet_provider_certificate(
        ca,
        provider=deployment.url("wallet"),
        organization="Jigap 시험용 지갑",
        public_key=PublicKey(key.public_key()),
        now=now,
        random=os.urandom,
    )
    KeyStore(deployment.keys("wallet")).add("wallet-provider", key, [certificate.public_bytes(Encoding.DER)])


def _listed_wallet(deployment: Deployment) -> ListedWallet:
    url = deployment.url("wallet")
    return ListedWallet(
        f"{url}/client", {"ko": "지갑 Jigap (시험용)", "en": "Jigap wallet (test)"}, url, (f"{url}/callback",)
    )


def _agencies(deployment: Deployment, issuer: Issuer, ca: CertificateAuthority, now: datetime) -> dict[str, Any]:
    migrate(issuer.database, "issuer")
    return {agency_id: _agency(deployment, issuer, ca, agency_id, now) for agency_id in issuer.catalogue.agencies}


def _agency(
    deployment: Deployment, issuer: Issuer, ca: CertificateAuthority, agency_id: AgencyId, now: datetime
) -> dict[str, Any]:
    entry = issuer.catalogue.agencies[agency_id]
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = create_issuer_certificate(
        ca,
        issuer=credential_issuer_id(deployment.url("issuer"), agency_id),
        organization=entry.name.ko,
        public_key=PublicKey(key.public_key()),
        now=now,
        random=os.urandom,
    )
    issuer.keys.add(agency_id, key, [certificate.public_bytes(Encoding.DER)])
    unit = issuer.database.unit()
    registered = register_agency(
        unit,
        issuer.agencies(unit),
        issuer.api_keys(unit),
        issuer.keys,
        issuer.catalogue,
        agency_id,
        public_url=deployment.url("issuer"),
        now=now,
        haip=agency_id in HAIP,
    )
    return {
        "name": {"ko": entry.name.ko, "en": entry.name.en},
        "haip": registered.agency.haip,
        "credential_issuer": registered.agency.credential_issuer,
        "api_key": registered.api_key,
        "records": _records(issuer, agency_id, now),
    }


def _records(issuer: Issuer, agency_id: AgencyId, now: datetime) -> int:
    if agency_id not in FILES:
        return 0
    unit, types = issuer.database.unit(), issuer.catalogue.issued_by(agency_id)
    report = check_records(types, (DATA / FILES[agency_id]).read_bytes(), now=now)
    result = import_records(unit, issuer.records(unit), issuer.agency(agency_id), report, dry_run=False, now=now)
    if result.report.problems:
        first = result.report.problems[0]
        raise DemoError(
            "the demo's records are not good",
            detail=f"{FILES[agency_id]} line {first.line}, {first.column}: {first.reason.en}",
        )
    return result.imported


def registered_number(position: int) -> str:
    """Return an invented number of the trade register (ETSI EN 319 412-1 5.1.4)."""
    return f"NTRKR-000000{position:07d}"


def _parties(
    deployment: Deployment,
    ca: CertificateAuthority,
    registrar: CertifiedSigner,
    catalogue: Catalogue,
    now: datetime,
) -> dict[str, Any]:
    verifier = build_verifier(VerifierSettings.from_environment(deployment.environment("verifier")))
    migrate(verifier.database, "verifier")
    made: dict[str, Any] = {}
    renew_trust_list(verifier)
    for position, policy_id in enumerate(POLICIES, start=1):
        policy, number = catalogue.policies[policy_id], registered_number(position)
        party = policy.party
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = create_verifier_certificate(
            ca,
            response_uri=deployment.url("verifier"),
            organization=party.name.ko,
            public_key=PublicKey(key.public_key()),
            now=now,
            random=os.urandom,
            organization_id=number,
        )
        verifier.keys.add(party.id, key, [certificate.public_bytes(Encoding.DER)])
        unit = verifier.database.unit()
        registered = register_party(
            unit,
            verifier.parties(unit),
            verifier.api_keys(unit),
            verifier.keys,
            RelyingParty(PartyId(party.id), party.name),
            anchors=verifier.anchors,
            public_url=deployment.url("verifier"),
            now=now,
        )
        file_registration(
            verifier.keys,
            registered.party,
            policy,
            _registration(registrar, policy, number, now),
            anchors=verifier.trust.policy(now).anchors,
            now=now,
        )
        made[party.id] = {
            "name": {"ko": party.name.ko, "en": party.name.en},
            "api_key": registered.api_key,
            "policy": policy_id,
        }
    return made


def _invite(deployment: Deployment, facts: dict[str, Any]) -> None:
    """Give everybody of :data:`PEOPLE` a wallet, and one-time codes for it and for logging in at agencies."""
    wallet = create_wallet(WalletSettings.from_environment(deployment.environment("wallet")))
    migrate(wallet.database, "holder_app")
    issuer = build_issuer(IssuerSettings.from_environment(deployment.environment("issuer")))
    migrate(issuer.database, "issuer")
    citizens = _citizens()
    with closing(wallet.database), closing(issuer.database):
        facts["people"] = [_person(wallet, issuer, subject_id, citizens[subject_id]) for subject_id in PEOPLE]


def _person(wallet: Wallet, issuer: Issuer, subject_id: str, citizen: Citizen) -> dict[str, str]:
    person = create_person(wallet.account_ports(), citizen.name, subject_id)
    return {
        "subject_id": subject_id,
        "name": person.name,
        "birth_date": citizen.birth_date.isoformat(),
        "sign_in_code": create_sign_in_code(wallet.account_ports(), person.id),
        "login_code": create_one_time_code(issuer.login, citizen),
    }


def _citizens() -> dict[str, Citizen]:
    with (DATA / FILES["city"]).open(encoding="utf-8", newline="") as file:
        return {
            row["subject_id"]: Citizen(row["name"], date.fromisoformat(row["birth_date"]))
            for row in csv.DictReader(file)
        }


def _write_secret(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
