"""The ``jigap verifier`` commands. Settings come from ``JIGAP_VERIFIER_…``."""

import threading
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from verifier.app import run_workers
from verifier.checks.cli import fill, verify
from verifier.dependencies import Verifier, build_verifier
from verifier.presentations.answers import created_json, result_json
from verifier.presentations.cli import audit
from verifier.presentations.use_cases.requests import PresentationOrder, create_presentation
from verifier.presentations.use_cases.results import show_presentation
from verifier.relying_parties.cli import app as key_app
from verifier.relying_parties.ports import PartyId, RelyingParty
from verifier.relying_parties.use_cases import file_attestation, file_registration, register_party
from verifier.settings import VerifierSettings
from verifier.tables import APP_TABLES
from verifier.trust_lists.tasks import renew_trust_list
from verifier.webhooks.cli import webhook
from wallet_core import spec_versions as spec
from wallet_core.adapters import log
from wallet_core.adapters.cli import JsonFlag, out
from wallet_core.adapters.cli_jobs import jobs_commands
from wallet_core.adapters.expiry import warn_of_expiry
from wallet_core.adapters.keystore import read_statement
from wallet_core.adapters.migrations import migrate
from wallet_core.adapters.web import serve as serve_app
from wallet_core.catalogue import Policy, Text
from wallet_core.encoding import strict_json
from wallet_core.errors import InvalidRequest, NotFound
from wallet_core.protocols.openid4vp.client_id import ClientIdPrefix
from wallet_core.protocols.openid4vp.dc_api import DcApiProtocol
from wallet_core.protocols.openid4vp.presentation import PresentationFlow

app = typer.Typer(no_args_is_help=True, help="The companies' side: ask for presentations and check them.")
party_app = typer.Typer(no_args_is_help=True, help="Relying parties that ask here.")
request_app = typer.Typer(no_args_is_help=True, help="Requests for presentations.")
app.add_typer(party_app, name="party")
app.add_typer(request_app, name="request")
party_app.command("webhook")(webhook)
party_app.add_typer(key_app, name="key")
app.add_typer(jobs_commands(APP_TABLES, lambda: _verifier().database), name="jobs")
app.command("verify")(verify)
app.command("cache")(fill)
app.command("audit")(audit)

PartyOption = Annotated[str, typer.Option("--party", help="Id of the relying party.")]


@app.command()
def serve(
    *,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8200,
    workers: Annotated[int, typer.Option(help="Processes behind the port.")] = 1,
    no_worker: Annotated[bool, typer.Option("--no-worker", help="Run no durable jobs beside the web.")] = False,
) -> None:
    """Serve the verifier; migrates its tables first."""
    log.configure()
    verifier = _verifier()
    migrate(verifier.database, "verifier")
    # So that the first answer does not wait for the worker's first job.
    renew_trust_list(verifier)
    now = verifier.clock.now()
    within = timedelta(days=verifier.settings.expiry_warning_days)
    warn_of_expiry(verifier.keys, verifier.trust.policy(now).anchors, now=now, within=within, app="verifier")
    work = None if no_worker else partial(run_workers, verifier)
    serve_app("verifier.app:create", host=host, port=port, workers=workers, work=work, tls=verifier.settings.tls)


@app.command()
def work() -> None:
    """Run durable jobs until interrupted."""
    log.configure()
    stop = threading.Event()
    try:
        run_workers(_verifier(), stop)
    except KeyboardInterrupt:
        stop.set()


@app.command("migrate")
def migrate_tables(*, as_json: JsonFlag = False) -> None:
    """Bring the database's tables up to date."""
    verifier = _verifier()
    migrate(verifier.database, "verifier")
    out(as_json, {"migrated": True}, "the verifier's tables are up to date")


@app.command("trust-list")
def trust_list(*, as_json: JsonFlag = False) -> None:
    """Ask for the next trust list now, and show which one counts."""
    verifier = _verifier()
    fetched = renew_trust_list(verifier)
    if fetched is None:
        raise InvalidRequest("no trust list is configured", detail="set JIGAP_VERIFIER_TRUST_LIST to a file or URL")
    if fetched.found is None:
        raise fetched.problem or InvalidRequest("the trust list was not renewed")
    content = fetched.found.content
    answer = {
        "operator": content.operator,
        "sequence_number": content.sequence_number,
        "next_update": content.next_update.isoformat(),
        "agencies": len(content.agencies),
    }
    words = f"list {content.sequence_number} of {content.operator}: {len(content.agencies)} agencies"
    out(as_json, answer, f"{words}, until {content.next_update.isoformat()}")


@party_app.command("add")
def add_party(
    party: Annotated[str, typer.Argument(help="Short name (a-z, 0-9, hyphen), also of its key in the key store.")],
    *,
    name_ko: Annotated[str, typer.Option("--name-ko", help="Name in Korean; default: a sample party's.")] = "",
    name_en: Annotated[str, typer.Option("--name-en", help="Name in English; default: a sample party's.")] = "",
    as_json: JsonFlag = False,
) -> None:
    """Register a relying party and print an API key, which is shown this once."""
    verifier = _verifier()
    unit = verifier.database.unit()
    registered = register_party(
        unit,
        verifier.parties(unit),
        verifier.api_keys(unit),
        verifier.keys,
        RelyingParty(PartyId(party), _name(verifier, party, name_ko, name_en)),
        anchors=verifier.anchors,
        public_url=verifier.settings.public_url,
        now=verifier.clock.now(),
    )
    key = registered.api_key
    answer = {"id": party, "api_key_id": registered.api_key_id, "api_key": key}
    out(as_json, answer, f"{registered.party.name.en} ({party})\nAPI key (shown this once): {key}")


@party_app.command("register")
def register(
    party: Annotated[str, typer.Argument(help="Id of the relying party.")],
    policy: Annotated[str, typer.Argument(help="Id of the policy that it is registered for.")],
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The registration certificate (JWT).")],
    *,
    as_json: JsonFlag = False,
) -> None:
    """Keep a registration certificate: it goes with every request that the party makes under the policy."""
    verifier = _verifier()
    now = verifier.clock.now()
    registered = file_registration(
        verifier.keys,
        verifier.party(party),
        _policy(verifier, policy),
        read_statement(file),
        anchors=verifier.trust.policy(now).anchors,
        now=now,
    )
    until = registered.expires_at.isoformat()
    answer = {"party": party, "policy": policy, "identifier": registered.identifier, "until": until}
    out(as_json, answer, f"{party} asks for {policy} as {registered.identifier}, registered until {until}")


@party_app.command("attest")
def attest(
    party: Annotated[str, typer.Argument(help="Id of the relying party.")],
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The Verifier Attestation JWT.")],
    *,
    as_json: JsonFlag = False,
) -> None:
    """Keep a verifier attestation: with it the party can ask under the prefix verifier_attestation."""
    verifier = _verifier()
    now = verifier.clock.now()
    attested = file_attestation(
        verifier.keys,
        verifier.party(party),
        read_statement(file),
        anchors=verifier.trust.policy(now).anchors,
        now=now,
    )
    until = attested.expires_at.isoformat()
    answer = {"party": party, "client_id": f"{ClientIdPrefix.VERIFIER_ATTESTATION}:{attested.subject}", "until": until}
    out(as_json, answer, f"{party} can ask as {answer['client_id']} until {until}")


@request_app.command("create")
def create_request(
    *,
    party: PartyOption,
    policy: Annotated[str | None, typer.Option("--policy", help="Id of a policy of the catalogue.")] = None,
    query: Annotated[
        Path | None, typer.Option("--query", exists=True, dir_okay=False, help="File with a DCQL query.")
    ] = None,
    prefix: Annotated[ClientIdPrefix, typer.Option("--prefix", help="How the party identifies itself.")] = (
        ClientIdPrefix.X509_HASH
    ),
    post: Annotated[bool, typer.Option("--post", help="Wallets fetch the request by POST.")] = False,
    plain: Annotated[bool, typer.Option("--plain", help="The answer is not encrypted (direct_post).")] = False,
    redirect_uri: Annotated[
        str | None, typer.Option("--redirect-uri", help="Same device: where the browser comes back.")
    ] = None,
    endpoint: Annotated[str, typer.Option("--endpoint", help="The wallet's address or scheme.")] = spec.REQUEST_SCHEME,
    registration: Annotated[
        str | None,
        typer.Option("--registration", help="With --query: the policy under whose registration it is asked."),
    ] = None,
    origin: Annotated[
        list[str] | None,
        typer.Option("--origin", help="Ask over the Digital Credentials API: origin of the page; may be repeated."),
    ] = None,
    protocol: Annotated[
        list[DcApiProtocol] | None,
        typer.Option("--protocol", help="With --origin: exchange protocol that is offered; may be repeated."),
    ] = None,
    transaction: Annotated[
        list[Path] | None,
        typer.Option("--transaction", exists=True, dir_okay=False, help="File with a transaction to be agreed to."),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Ask for a presentation and print the link, or what a page passes to navigator.credentials.get."""
    if protocol and not origin:
        raise InvalidRequest("--protocol goes with --origin")
    verifier = _verifier()
    order = PresentationOrder(
        policy=policy,
        dcql_query=strict_json.loads_object(query.read_bytes(), what="the query") if query else None,
        encrypted=not plain,
        client_id_prefix=prefix,
        request_uri_method="post" if post else "get",
        flow=PresentationFlow.SAME_DEVICE if redirect_uri else PresentationFlow.CROSS_DEVICE,
        redirect_uri=redirect_uri,
        authorization_endpoint=endpoint,
        registration=registration,
        expected_origins=tuple(origin or ()),
        dc_api_protocols=tuple(protocol) if protocol else None,
        transaction_data=tuple(
            strict_json.loads_object(each.read_bytes(), what="the transaction") for each in transaction or ()
        ),
    )
    storage = verifier.presentations.storage()
    made = create_presentation(verifier.presentations, storage, verifier.party(party), order)
    call = "" if made.dc_api_request is None else strict_json.dumps_text(made.dc_api_request)
    words = f"{made.authorization_request or call}\nid {made.id}, until {made.expires_at.isoformat()}"
    out(as_json, created_json(made), words)


@request_app.command("show")
def show_request(
    presentation: Annotated[str, typer.Argument(help="Id of the presentation.")],
    *,
    party: PartyOption,
    as_json: JsonFlag = False,
) -> None:
    """Show what became of a presentation."""
    verifier = _verifier()
    result = show_presentation(verifier.presentations, verifier.party(party), presentation)
    marks = {True: "ok", False: "FAILED", None: "-"}
    parts = [(f"{one.step}. {one.name}: {marks[one.ok]}", one.query_id, one.detail) for one in result.checks]
    lines = [" ".join(part for part in each if part) for each in parts]
    lines += [f"{entry.type}: agreed with {agreed or '-'}" for entry, agreed in result.transactions]
    problem = f" ({result.error}: {result.error_description})" if result.error else ""
    out(as_json, result_json(result), "\n".join([f"{result.state}{problem}", *lines]))


def _name(verifier: Verifier, party: str, korean: str, english: str) -> Text:
    if korean and english:
        return Text(korean, english)
    for policy in verifier.catalogue.policies.values():
        if policy.party.id == party:
            return policy.party.name
    raise InvalidRequest("give --name-ko and --name-en", detail=f"the catalogue has no sample party {party}")


def _policy(verifier: Verifier, policy: str) -> Policy:
    found = verifier.catalogue.policies.get(policy)
    if found is None:
        raise NotFound(
            "the catalogue has no such policy", detail=f"there are: {', '.join(verifier.catalogue.policies)}"
        )
    return found


def _verifier() -> Verifier:
    return build_verifier(VerifierSettings.from_environment())
