"""The ``jigap issuer`` commands. Settings come from ``JIGAP_ISSUER_…``."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from issuer import cli_reissue
from issuer.agencies.ports import SCOPES
from issuer.agencies.use_cases import create_api_key, demand_encryption, register_agency, revoke_api_key
from issuer.app import create_worker
from issuer.dependencies import Issuer, build_issuer
from issuer.issuance.answers import credential_status_json, issuance_json, offer_json
from issuer.issuance.use_cases.decisions import Decision, decide, list_decided, list_waiting
from issuer.issuance.use_cases.offers import OfferOrder, create_offer
from issuer.issuance.use_cases.withdrawal import change_credential_status
from issuer.login.ports import Citizen
from issuer.login.use_cases.by_code import create_one_time_code
from issuer.records.use_cases import check_records, delete_subject, import_records, template
from issuer.settings import IssuerSettings
from issuer.status.use_cases.changes import StatusOrder
from issuer.tables import APP_TABLES
from wallet_core import spec_versions as spec
from wallet_core.adapters import log
from wallet_core.adapters.cli import JsonFlag, out
from wallet_core.adapters.cli_jobs import jobs_commands
from wallet_core.adapters.expiry import warn_of_expiry
from wallet_core.adapters.migrations import migrate
from wallet_core.adapters.trust_files import load_roots
from wallet_core.adapters.web import serve as serve_app
from wallet_core.encoding import strict_json
from wallet_core.errors import AccessDenied
from wallet_core.types import AgencyId, CredentialConfigurationId

app = typer.Typer(no_args_is_help=True, help="The agencies' side: offers and credentials.")
agency_app = typer.Typer(no_args_is_help=True, help="Agencies that issue here.")
records_app = typer.Typer(no_args_is_help=True, help="The agencies' records of people.")
offer_app = typer.Typer(no_args_is_help=True, help="Credential Offers.")
issuance_app = typer.Typer(no_args_is_help=True, help="Deferred issuances: what waits for a decision.")
credential_app = typer.Typer(no_args_is_help=True, help="Issued credentials.")
app.add_typer(agency_app, name="agency")
app.add_typer(records_app, name="records")
app.add_typer(offer_app, name="offer")
app.add_typer(issuance_app, name="issuance")
app.add_typer(credential_app, name="credential")
app.add_typer(cli_reissue.app, name="reissue")
app.add_typer(jobs_commands(APP_TABLES, lambda: _issuer().database), name="jobs")

AgencyOption = Annotated[str, typer.Option("--agency", help="Id of the agency in the catalogue.")]

TxCodeOption = Annotated[
    bool | None,
    typer.Option("--tx-code/--no-tx-code", help="Ask for a transaction code; default as the catalogue says."),
]


@app.command()
def serve(
    *,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8100,
    workers: Annotated[int, typer.Option(help="Processes behind the port.")] = 1,
    no_worker: Annotated[bool, typer.Option("--no-worker", help="Run no durable jobs beside the web.")] = False,
) -> None:
    """Serve the issuer; migrates its tables first."""
    log.configure()
    issuer = _issuer()
    migrate(issuer.database, "issuer")
    warn_of_expiry(
        issuer.keys,
        load_roots(issuer.settings.trust_anchors),
        now=issuer.clock.now(),
        within=timedelta(days=issuer.settings.expiry_warning_days),
        app="issuer",
    )
    work = None if no_worker else create_worker(issuer).run
    serve_app("issuer.app:create", host=host, port=port, workers=workers, work=work, tls=issuer.settings.tls)


@app.command()
def work() -> None:
    """Run durable jobs until interrupted."""
    log.configure()
    create_worker(_issuer()).run_until_signal()


@app.command("migrate")
def migrate_tables(*, as_json: JsonFlag = False) -> None:
    """Bring the database's tables up to date."""
    issuer = _issuer()
    migrate(issuer.database, "issuer")
    out(as_json, {"migrated": True}, "the issuer's tables are up to date")


@agency_app.command("add")
def add_agency(
    agency: Annotated[str, typer.Argument(help="Id of the agency in the catalogue.")],
    *,
    haip: Annotated[bool, typer.Option("--haip", help="Serve only wallets of the high-assurance profile.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Register an agency and print an API key, which is shown this once."""
    issuer = _issuer()
    unit = issuer.database.unit()
    registered = register_agency(
        unit,
        issuer.agencies(unit),
        issuer.api_keys(unit),
        issuer.keys,
        issuer.catalogue,
        AgencyId(agency),
        public_url=issuer.settings.public_url,
        now=issuer.clock.now(),
        haip=haip,
    )
    identifier, key = registered.agency.credential_issuer, registered.api_key
    answer = {"id": agency, "credential_issuer": identifier, "api_key_id": registered.api_key_id, "api_key": key}
    out(as_json, answer, f"{registered.agency.name.en}: {identifier}\nAPI key (shown this once): {key}")


@agency_app.command("new-key")
def new_key(
    agency: Annotated[str, typer.Argument(help="Id of a registered agency.")],
    *,
    label: Annotated[str, typer.Option("--label", help="Whose or what for.")] = "",
    scope: Annotated[list[str], typer.Option("--scope", help="Can be repeated; default: all.")] = [],  # noqa: B006
    as_json: JsonFlag = False,
) -> None:
    """Print a new API key, which is shown this once."""
    issuer = _issuer()
    unit, found = issuer.database.unit(), issuer.agency(agency)
    key_id, key = create_api_key(
        unit, issuer.api_keys(unit), found, label=label, scopes=scope or SCOPES, now=issuer.clock.now()
    )
    out(as_json, {"api_key_id": key_id, "api_key": key}, f"API key {key_id} (shown this once): {key}")


@agency_app.command("revoke-key")
def revoke_key(key_id: Annotated[str, typer.Argument(help="Id of the API key.")], *, as_json: JsonFlag = False) -> None:
    """Make an API key useless from now on."""
    issuer = _issuer()
    unit = issuer.database.unit()
    revoke_api_key(unit, issuer.api_keys(unit), key_id, now=issuer.clock.now())
    out(as_json, {"api_key_id": key_id, "revoked": True}, f"API key {key_id} is revoked")


@records_app.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV file.")],
    *,
    agency: AgencyOption,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only report.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Import records, all of the file or nothing, and report every bad row; `template` writes a file to begin with."""
    issuer = _issuer()
    unit, found, now = issuer.database.unit(), issuer.agency(agency), issuer.clock.now()
    report = check_records(issuer.catalogue.issued_by(found.id), file.read_bytes(), now=now)
    result = import_records(unit, issuer.records(unit), found, report, dry_run=dry_run, now=now)
    problems = result.report.problems
    lines = [f"line {p.line}, {p.column or 'the row'}: {p.reason.en}; {p.cure.en}" for p in problems]
    people = "" if problems else f" ({result.new} new, {result.replaced} on record before)"
    summary = f"{result.report.rows} rows{people}, {len(problems)} faults, {result.imported} imported"
    out(as_json, result.to_json(), "\n".join([*lines, summary]))
    if problems:
        raise typer.Exit(1)


@records_app.command("delete")
def delete_records(
    *,
    agency: AgencyOption,
    subject: Annotated[str, typer.Option("--subject", help="The agency's own number of the person.")],
    yes: Annotated[bool, typer.Option("--yes", help="Ask nothing: I have decided.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Delete the records of a person, of all types. What was issued stays good until it is withdrawn."""
    issuer = _issuer()
    unit, found = issuer.database.unit(), issuer.agency(agency)
    if not yes and not typer.confirm(f"Delete all that {found.name.en} has on record of {subject}?", err=True):
        raise AccessDenied("declined")
    deleted = delete_subject(unit, issuer.records(unit), found, subject)
    out(as_json, {"deleted": deleted}, f"{deleted} records are deleted")


@records_app.command("template")
def write_template(
    *,
    agency: AgencyOption,
    type_id: Annotated[str | None, typer.Option("--type", help="One credential type; default: all.")] = None,
    file: Annotated[
        Path, typer.Option("--out", help="File to write, default records-template.csv; one that is there stays.")
    ] = Path("records-template.csv"),
    as_json: JsonFlag = False,
) -> None:
    """Write a CSV file with every column that `import` takes, and an example row to be replaced."""
    issuer = _issuer()
    text = template(issuer.catalogue.issued_by(issuer.agency(agency).id), type_id)
    try:
        # Whoever filled it in does not lose it.
        with file.open("xb") as target:
            target.write(text)
    except FileExistsError as exc:
        raise typer.BadParameter(f"{file} is there already", param_hint="--out") from exc
    out(as_json, {"file": str(file)}, f"written to {file}; replace the example row and import it")


@offer_app.command("create")
def create(
    configuration: Annotated[list[str], typer.Argument(help="Credential configuration ids.")],
    *,
    agency: AgencyOption,
    subject: Annotated[
        str | None, typer.Option("--subject", help="subject_id of the agency's record; needed unless people log in.")
    ] = None,
    grant: Annotated[
        str, typer.Option("--grant", help="pre-authorized_code, or authorization_code: the person logs in.")
    ] = "pre-authorized_code",
    tx_code: Annotated[
        bool | None, typer.Option("--tx-code/--no-tx-code", help="Default: as the catalogue says.")
    ] = None,
    by_value: Annotated[bool, typer.Option("--by-value", help="Carry the offer in the link.")] = False,
    endpoint: Annotated[str, typer.Option("--endpoint", help="The wallet's address or scheme.")] = spec.OFFER_SCHEME,
    deferred: Annotated[bool, typer.Option("--deferred", help="Somebody decides before anything is signed.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Create a Credential Offer and print its link."""
    if grant not in {"pre-authorized_code", "authorization_code"}:
        raise typer.BadParameter("pre-authorized_code or authorization_code", param_hint="--grant")
    issuer = _issuer()
    order = OfferOrder(
        tuple(CredentialConfigurationId(name) for name in configuration),
        tx_code=tx_code,
        subject_id=subject,
        by_reference=not by_value,
        credential_offer_endpoint=endpoint,
        authorization_code=grant == "authorization_code",
        deferred=deferred,
    )
    storage = issuer.storage(issuer.database.unit())
    made = create_offer(issuer.issuance, storage, issuer.agency(agency), order)
    code = f"\ntransaction code: {made.tx_code}" if made.tx_code else ""
    out(as_json, offer_json(made), f"{made.uri}{code}\nuntil {made.expires_at.isoformat()}")


@app.command("login-code")
def login_code(
    name: Annotated[str, typer.Argument(help="Name of a person of the demo.")],
    birth_date: Annotated[datetime, typer.Argument(formats=["%Y-%m-%d"], help="Their date of birth.")],
    *,
    as_json: JsonFlag = False,
) -> None:
    """Print a one-time code of the test login (시험용); an older one of the same person stops working."""
    code = create_one_time_code(_issuer().login, Citizen(name, birth_date.date()))
    out(as_json, {"code": code}, f"one-time code: {code}")


@issuance_app.command("list")
def list_issuances(
    *,
    agency: AgencyOption,
    decided: Annotated[bool, typer.Option("--decided", help="What was decided, newest first.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """List what waits for a decision, oldest first: the first 50."""
    issuer = _issuer()
    listing = list_decided if decided else list_waiting
    found, _ = listing(issuer.issuance, issuer.agency(agency))
    lines = [f"{each.id}  {each.state}  {each.configuration_id}  {each.subject_id or '-'}" for each in found]
    out(as_json, {"issuances": [issuance_json(each) for each in found]}, "\n".join(lines) or "nothing waits")


@issuance_app.command("decide")
def decide_issuance(
    issuance: Annotated[str, typer.Argument(help="Id of the deferred issuance.")],
    decision: Annotated[str, typer.Argument(help="ready, denied, or waiting to take a decision back.")],
    *,
    agency: AgencyOption,
    reason: Annotated[str, typer.Option("--reason", help="Why it is denied; only the agency reads it.")] = "",
    claims: Annotated[
        Path | None, typer.Option("--claims", exists=True, dir_okay=False, help="JSON file with other data to sign.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Decide a deferred issuance; the wallet learns it when it asks next."""
    if decision not in ("ready", "denied", "waiting"):
        raise typer.BadParameter("ready, denied or waiting", param_hint="DECISION")
    issuer = _issuer()
    data = None if claims is None else strict_json.loads_object(claims.read_bytes(), what=claims.name)
    order = Decision(decision, "command line", reason, data)  # type: ignore[arg-type]
    storage = issuer.storage(issuer.database.unit())
    found = decide(issuer.issuance, storage, issuer.agency(agency), issuance, order)
    out(as_json, issuance_json(found), f"{issuance} is {found.state}")


@agency_app.command("encryption")
def agency_encryption(
    agency: Annotated[str, typer.Argument(help="Id of a registered agency.")],
    demand: Annotated[str, typer.Argument(help="required, or optional.")],
    *,
    as_json: JsonFlag = False,
) -> None:
    """Let an agency answer only wallets that encrypt their messages, or all; in force after 10 seconds."""
    if demand not in ("required", "optional"):
        raise typer.BadParameter("required or optional", param_hint="DEMAND")
    issuer = _issuer()
    unit = issuer.database.unit()
    changed = demand_encryption(unit, issuer.agencies(unit), issuer.agency(agency), encrypted=demand == "required")
    out(as_json, {"id": agency, "encrypted": changed.encrypted}, f"{agency}: encryption is {demand}")


@credential_app.command("status")
def credential_status(
    credential: Annotated[str, typer.Argument(help="Id of the issued credential.")],
    status: Annotated[str, typer.Argument(help="valid, suspended or invalid.")],
    *,
    agency: AgencyOption,
    reason: Annotated[str, typer.Option("--reason", help="Why; only the agency reads it.")] = "",
    as_json: JsonFlag = False,
) -> None:
    """Suspend, reinstate or revoke a credential; known everywhere within the ttl of its status list."""
    issuer = _issuer()
    storage = issuer.storage(issuer.database.unit())
    order = StatusOrder(status, reason, "command line")
    changed = change_credential_status(issuer.issuance, storage, issuer.agency(agency), credential, order)
    seconds = issuer.settings.status_ttl_seconds
    text = f"{credential} is {changed.credential.status}; known everywhere within {seconds} s"
    out(as_json, credential_status_json(changed), text)


def _issuer() -> Issuer:
    return build_issuer(IssuerSettings.from_environment())
