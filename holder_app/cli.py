"""The ``jigap wallet`` commands: a wallet for one person in a folder, and the web wallet's server."""

import asyncio
import sys
import threading
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from holder_app.accounts.ports import Account
from holder_app.accounts.use_cases import create_person, create_sign_in_code, list_people
from holder_app.cli_views import Words, card_json, record_json
from holder_app.credentials.refreshing import Refreshed, refresh_card
from holder_app.credentials.status import check_cards_soon
from holder_app.credentials.use_cases import (
    MOST,
    delete_card,
    list_cards,
    page_history,
    show_card,
    show_record,
    view_card,
)
from holder_app.dependencies import Wallet, create_wallet
from holder_app.home import open_home
from holder_app.issuance.authorizing import LOGIN_TIME, exchange, start_login, take_answer
from holder_app.issuance.choosing import browse, choose
from holder_app.issuance.describe import describe_offer
from holder_app.issuance.receiving import IssuancePorts, keeps
from holder_app.issuance.states import Authorizing, Failed, Issuance, Kept, Preview, Reason, Reviewed, Signing, Waiting
from holder_app.issuance.use_cases import (
    UnfitCode,
    accept_offer,
    decline_offer,
    fetch_offer,
    keep_cards,
    list_unfinished,
    take_offer_link,
)
from holder_app.issuance.verification import NoAnchor
from holder_app.issuance.waiting import ask_again
from holder_app.loopback import LoopbackListener
from holder_app.presentation import states as presentation_states
from holder_app.presentation.choices import SHOWN_FIELD
from holder_app.presentation.describe import RequestView
from holder_app.presentation.sending import ShownChanged, reuse_field
from holder_app.presentation.states import Answered, Blocked, Presentation
from holder_app.presentation.use_cases import (
    answer_request,
    decline_request,
    fetch_request,
    review_request,
    take_request_link,
)
from holder_app.settings import WalletSettings
from holder_app.tables import APP_TABLES
from wallet_core.adapters import log
from wallet_core.adapters.cli import JsonFlag, out, say
from wallet_core.adapters.cli_jobs import jobs_commands
from wallet_core.adapters.migrations import migrate as run_migrations
from wallet_core.errors import (
    AccessDenied,
    AddressNotAllowed,
    AnswerTooLarge,
    MalformedError,
    QueryNotSatisfied,
    UntrustedError,
    WalletError,
)
from wallet_core.protocols.oauth2.authorization_response import parse_callback
from wallet_core.protocols.oauth2.identifiers import parse_identifier
from wallet_core.trust.anchors import AnchorPurpose
from wallet_core.types import CredentialIssuerId

T = TypeVar("T")

app = typer.Typer(no_args_is_help=True, help="Hold cards: receive, show, present; or serve the web wallet.")
people = typer.Typer(no_args_is_help=True, help="People of a demo's web wallet and their sign-in codes.")
app.add_typer(people, name="person")
app.add_typer(jobs_commands(APP_TABLES, lambda: _served().database), name="jobs")

DEFAULT_HOME = Path("~/.jigap/wallet")

_WITH_HOME = ("accept", "add", "check", "present", "list", "show", "refresh", "delete", "history")
Home = Annotated[Path, typer.Option("--home", help="Folder of the wallet.")]
Trust = Annotated[
    list[Path] | None, typer.Option("--trust", help="PEM file of roots, trust list or VICAL; may be repeated.")
]
Loopback = Annotated[
    bool,
    typer.Option(
        "--insecure-allow-loopback",
        envvar="JIGAP_WALLET_INSECURE_ALLOW_LOOPBACK",
        help="Admit http and private addresses: for one machine's own tests.",
    ),
]
Lang = Annotated[str, typer.Option("--lang", envvar="LANG", help="ko or en.")]
Paste = Annotated[
    bool, typer.Option("--paste", help="Open no browser: print the login address and ask for the one it leads to.")
]
Haip = Annotated[
    bool,
    typer.Option("--haip", envvar="JIGAP_WALLET_HAIP", help="Take only requests of the high-assurance profile (HAIP)."),
]
Yes = Annotated[bool, typer.Option("--yes", help="Ask nothing: I have decided.")]


class IssuanceFailed(WalletError):
    """The card could not be received; ``detail`` says which server answered what."""

    code = "issuance_failed"
    fault = "peer"


class WrongCode(WalletError):
    """The transaction code was wrong."""

    code = "wrong_tx_code"
    fault = "you"


class RefreshFailed(WalletError):
    """No new copies came; ``detail`` says why."""

    code = "refresh_failed"
    fault = "peer"


class PresentationFailed(WalletError):
    """The request breaks a rule, or the verifier did not take the answer; ``detail`` says what it answered."""

    code = "presentation_failed"
    fault = "peer"


@app.callback()
def wallet_group(
    context: typer.Context,
    home: Annotated[
        Path | None, typer.Option("--home", help="Folder of the wallet, for the command that follows.")
    ] = None,
) -> None:
    """Hold cards: receive, show, present; or serve the web wallet."""
    if home is not None:
        context.default_map = {command: {"home": str(home)} for command in _WITH_HOME}


@dataclass(frozen=True, slots=True)
class _Desk:
    """One command's wallet, person and language."""

    wallet: Wallet
    owner: Account
    words: Words


def _desk(home: Path, trust: list[Path] | None, lang: str, *, loopback: bool) -> _Desk:
    wallet, owner = open_home(home.expanduser(), trust=trust or (), allow_loopback=loopback)
    return _Desk(wallet, owner, Words(lang))


def _run(desk: _Desk, step: Coroutine[Any, Any, T]) -> T:
    """Take a step that talks to servers. Where an option is missing that admits it, the refusal names the option."""
    try:
        return asyncio.run(step)
    except (NoAnchor, AddressNotAllowed) as exc:
        raise _with_option(desk, exc) from exc


def _with_option(desk: _Desk, error: WalletError) -> WalletError:
    """Return the error, with the option that is missing if it is that."""
    if isinstance(error, NoAnchor):
        return NoAnchor(error.description, detail=desk.words.say("no_anchor", why=error.detail))
    if isinstance(error, AddressNotAllowed) and not desk.wallet.settings.insecure_allow_loopback:
        return AddressNotAllowed(error.description, detail=desk.words.say("loopback", why=error.detail))
    return error


@app.command()
def accept(
    uri: str,
    tx_code: Annotated[str | None, typer.Option("--tx-code", help="The code that came by another way.")] = None,
    paste: Paste = False,
    yes: Yes = False,
    home: Home = DEFAULT_HOME,
    trust: Trust = None,
    lang: Lang = "ko",
    loopback: Loopback = False,
    as_json: JsonFlag = False,
) -> None:
    """Receive the cards of a Credential Offer. Where it asks to log in, a browser is opened."""
    desk = _desk(home, trust, lang, loopback=loopback)
    issuance = _accept(desk, uri, tx_code, ask=not yes, paste=paste)
    _show_received(desk, issuance, as_json=as_json)


def _show_received(desk: _Desk, issuance: Issuance, *, as_json: bool) -> None:
    state = issuance.state
    card_ids = state.card_ids if isinstance(state, Kept | Waiting) else ()
    cards = [show_card(desk.wallet.card_ports(), desk.owner.id, card_id) for card_id in card_ids]
    waits = isinstance(state, Waiting)
    text = "\n".join([desk.words.say("deferred" if waits else "received"), *map(desk.words.card_line, cards)])
    out(as_json, {"cards": [card_json(card) for card in cards], "deferred": waits}, text)


def _accept(desk: _Desk, uri: str, tx_code: str | None, *, ask: bool, paste: bool) -> Issuance:
    # A question is asked outside of every event loop: within one the first Ctrl-C would wait for the answer.
    ports, owner = desk.wallet.issuance_ports(), desk.owner.id
    issuance = _checked(desk, _run(desk, fetch_offer(ports, owner, take_offer_link(ports, owner, uri).id)))
    if isinstance(issuance.state, Reviewed):
        say(desk.words.offer(describe_offer(issuance.state.offer, desk.wallet.catalogue, keeps(ports))))
        _agree(desk, issuance, "accept", ask=ask)
        if issuance.state.offer.has_code:
            issuance = _redeem(desk, issuance, tx_code, ask=ask)
        else:
            issuance = _log_in(desk, issuance, paste=paste)
    return _keep(desk, issuance, ask=ask)


def _keep(desk: _Desk, issuance: Issuance, *, ask: bool) -> Issuance:
    ports, owner = desk.wallet.issuance_ports(), desk.owner.id
    if isinstance(issuance.state, Preview):
        card_ports = desk.wallet.card_ports()
        say("\n".join(desk.words.card(view_card(card_ports, card)) for card in issuance.state.cards))
        try:
            _agree(desk, issuance, "keep", ask=ask)
        except typer.Abort:  # Ctrl-C: the offer is used up, and what came waits
            say(desk.words.say("not_kept_yet"))
            raise
        issuance = _run(desk, keep_cards(ports, owner, issuance.id))
    return issuance


@app.command()
def add(
    issuer: str,
    configuration: Annotated[
        list[str] | None, typer.Option("--configuration", help="What to ask for; may be repeated. Asked if left out.")
    ] = None,
    paste: Paste = False,
    yes: Yes = False,
    home: Home = DEFAULT_HOME,
    trust: Trust = None,
    lang: Lang = "ko",
    loopback: Loopback = False,
    as_json: JsonFlag = False,
) -> None:
    """Ask a Credential Issuer for a card: log in there with a browser, and come back."""
    desk = _desk(home, trust, lang, loopback=loopback)
    issuance = _add(desk, issuer, configuration or [], ask=not yes, paste=paste)
    _show_received(desk, issuance, as_json=as_json)


def _add(desk: _Desk, issuer: str, names: list[str], *, ask: bool, paste: bool) -> Issuance:
    ports = _known(desk.wallet.issuance_ports(), issuer)
    if not names:
        view = _run(desk, browse(ports, desk.owner.id, issuer))
        usable = [choice for choice in view.choices if choice.card.usable]
        if not usable:
            raise IssuanceFailed("unsupported: the issuer offers nothing for this wallet")
        say("\n".join(f"  [{number}] {desk.words.local(each.card.name)}" for number, each in enumerate(usable)))
        if ask:
            number = typer.prompt(desk.words.say("which_offer"), default=0, type=int, err=True)
        else:
            number = 0 if len(usable) == 1 else -1
        if not 0 <= number < len(usable):
            raise typer.BadParameter(desk.words.say("which_offer"), param_hint="--configuration")
        names = [usable[number].id]
    issuance = _run(desk, choose(ports, desk.owner.id, issuer, names))
    if isinstance(issuance.state, Reviewed):
        say(desk.words.offer(describe_offer(issuance.state.offer, desk.wallet.catalogue, keeps(ports))))
        _agree(desk, issuance, "accept", ask=ask)
    return _keep(desk, _log_in(desk, issuance, paste=paste), ask=ask)


@app.command()
def check(
    yes: Yes = False,
    home: Home = DEFAULT_HOME,
    trust: Trust = None,
    lang: Lang = "ko",
    loopback: Loopback = False,
    as_json: JsonFlag = False,
) -> None:
    """Ask the agencies that decide later whether they have decided, and finish receiving what was cut short."""
    desk = _desk(home, trust, lang, loopback=loopback)
    answers, failures = list[Issuance](), list[WalletError]()
    unfinished = list_unfinished(desk.wallet.issuance_ports(), desk.owner.id)
    # What needs no answer of the person first: Ctrl-C at a question ends the command.
    for each in sorted(unfinished, key=lambda each: not isinstance(each.state, Waiting)):
        try:
            answers.append(_go_on(desk, each, ask=not yes))
        except WalletError as exc:  # the next one is asked for all the same
            failures.append(exc)
    kept = {id_ for each in answers if isinstance(each.state, Kept) for id_ in each.state.card_ids}
    cards = [card for card in list_cards(desk.wallet.card_ports(), desk.owner.id) if card.id in kept]
    left = sum(isinstance(each.state, Waiting) for each in answers)
    ended = [f"{state.reason}: {state.detail}" for each in answers if isinstance(state := each.state, Failed)]
    failed = [f"{exc.code}: {exc.detail}" for exc in failures]
    lines = [*map(desk.words.card_line, cards), *(f"! {why}" for why in ended + failed)]
    text = "\n".join([*lines, desk.words.say("still_waiting", n=left)])
    told = {"cards": [card_json(card) for card in cards], "waiting": left, "ended": ended, "failed": failed}
    out(as_json, told, text)
    if ended or failed:
        raise typer.Exit(1)


def _go_on(desk: _Desk, issuance: Issuance, *, ask: bool) -> Issuance:
    if isinstance(issuance.state, Waiting):
        return _run(desk, ask_again(desk.wallet.issuance_ports(), desk.owner.id, issuance.id))
    return _keep(desk, _redeem(desk, issuance, None, ask=ask), ask=ask)


def _known(ports: IssuancePorts, issuer: str) -> IssuancePorts:
    """Let the person name any issuer: at the command line naming it is knowing it. Trust is asked for all the same."""
    identifier = CredentialIssuerId(parse_identifier(issuer, what="the issuer"))
    return replace(ports, identity=replace(ports.identity, issuers=(identifier,)))


def _log_in(desk: _Desk, issuance: Issuance, *, paste: bool) -> Issuance:
    """Send the person's browser to the login page and wait for what it brings back."""
    session = desk.wallet.random(16).hex()
    with LoopbackListener() as listener:
        ports = desk.wallet.issuance_ports()
        ports = replace(ports, identity=replace(ports.identity, redirect_uri=listener.redirect_uri))
        issuance = _checked(desk, _run(desk, start_login(ports, issuance, session)))
        if not isinstance(issuance.state, Authorizing):
            raise IssuanceFailed("login_refused")
        url = issuance.state.started.url
        say(desk.words.say("log_in_at", url=url))
        if paste:
            answer = typer.prompt(desk.words.say("paste_callback"), err=True)
            query: str | None = answer.partition("?")[2].partition("#")[0]
        else:
            typer.launch(url)
            query = listener.wait(LOGIN_TIME.total_seconds())
    if not query:
        raise IssuanceFailed("no_answer: nobody came back from the login page")
    issuance = take_answer(ports, desk.owner.id, session, parse_callback(query))
    issuance = _checked(desk, _run(desk, exchange(ports, issuance)))
    if isinstance(issuance.state, Reviewed):
        raise AccessDenied("the login was not finished", detail=issuance.state.notice)
    return issuance


def _redeem(desk: _Desk, issuance: Issuance, tx_code: str | None, *, ask: bool) -> Issuance:
    ports = desk.wallet.issuance_ports()
    while isinstance(state := issuance.state, Reviewed | Signing):
        if not (tx_code or "").strip() and isinstance(state, Reviewed) and state.offer.needs_tx_code:
            if not ask:
                raise typer.BadParameter(desk.words.say("tx_code_needed"), param_hint="--tx-code")
            tx_code = typer.prompt(desk.words.say("tx_code"), err=True)
        before = state.wrong_codes if isinstance(state, Reviewed) else 0
        try:
            issuance = _checked(desk, _run(desk, accept_offer(ports, desk.owner.id, issuance.id, tx_code)))
        except UnfitCode as exc:
            text = desk.words.code_rule(exc.wanted)
            if not ask:
                raise WrongCode("the transaction code is not as the offer describes it", detail=text) from exc
            say(text)
            tx_code = None
            continue
        if isinstance(issuance.state, Reviewed) and issuance.state.wrong_codes > before:
            text = desk.words.say("wrong_code", left=issuance.state.tries_left or "?")
            if not ask:
                raise WrongCode("the transaction code is wrong", detail=text)
            say(text)
            tx_code = None
    return issuance


def _agree(desk: _Desk, issuance: Issuance, question: str, *, ask: bool) -> None:
    if ask and not typer.confirm(desk.words.say(f"confirm_{question}"), err=True):
        _run(desk, decline_offer(desk.wallet.issuance_ports(), desk.owner.id, issuance.id))
        raise AccessDenied("declined")


def _checked(desk: _Desk, issuance: Issuance) -> Issuance:
    state = issuance.state
    if isinstance(state, Failed):
        if state.reason is Reason.NO_ANCHOR:
            raise _with_option(desk, NoAnchor(state.detail))
        if state.reason is Reason.UNTRUSTED:
            raise UntrustedError("the issuer is not trusted by this wallet", detail=state.detail)
        raise IssuanceFailed(f"{state.reason}: {state.detail}")
    return issuance


@app.command()
def present(
    uri: str,
    yes: Yes = False,
    choose: Annotated[
        list[str] | None,
        typer.Option(
            "--choose", help="A choice as the request lists it: group-0=1, send-1, extra-0-0-0=0, also-0-0-0-1."
        ),
    ] = None,
    haip: Haip = False,
    home: Home = DEFAULT_HOME,
    trust: Trust = None,
    lang: Lang = "ko",
    loopback: Loopback = False,
    as_json: JsonFlag = False,
) -> None:
    """Answer an Authorization Request with cards of this wallet."""
    desk = _desk(home, trust, lang, loopback=loopback)
    answers = dict(_pair(entry) for entry in choose or ())
    try:
        presentation = _present(desk, uri, answers, ask=not yes, haip=haip)
    except typer.Abort:  # Ctrl-C at a question: all of them come before anything is sent
        say(desk.words.say("nothing_sent"))
        raise
    state = presentation.state
    if not isinstance(state, Answered):
        raise PresentationFailed("the answer was not taken")
    record = show_record(desk.wallet.card_ports(), desk.owner.id, state.record_id)
    result = {"redirect_uri": state.redirect_uri, "record": record_json(record)}
    out(as_json, result, desk.words.say("sent") + (f"\n{state.redirect_uri}" if state.redirect_uri else ""))


def _present(desk: _Desk, uri: str, answers: dict[str, str], *, ask: bool, haip: bool) -> Presentation:
    ports, owner = replace(desk.wallet.presentation_ports(), haip=haip), desk.owner.id
    presentation = _run(desk, fetch_request(ports, owner, take_request_link(ports, owner, uri).id))
    if isinstance(presentation.state, Blocked):
        raise _blocked(desk, presentation.state)
    _run(desk, check_cards_soon(desk.wallet.card_ports, desk.wallet.fetch, desk.wallet.anchors, owner))
    view = review_request(ports, presentation)
    say(desk.words.request(view))
    if not view.satisfiable:
        # The verifier sees what it sees after a refusal: a person's answer in a person's time, or none at all. With
        # --yes there is no refusal that an answer at once could be taken for.
        # vp-15.4.1-no-match
        if ask and typer.confirm(desk.words.say("confirm_end"), default=True, err=True):
            _run(desk, decline_request(ports, owner, presentation.id))
        text = desk.words.say("unlike" if view.unlike else "no_match")
        raise QueryNotSatisfied("no card of this wallet answers the request", detail=text)
    # What was just printed says so: who goes on was told.
    picks = [pick for group in view.groups for alternative in group.alternatives for pick in alternative]
    answers |= {reuse_field(one.card_id): "on" for pick in picks for one in (pick, *pick.others) if one.used_up}
    if ask:
        answers |= _ask(desk, view)
        if not typer.confirm(desk.words.say("confirm_send"), err=True):
            _run(desk, decline_request(ports, owner, presentation.id))
            raise AccessDenied("declined")
    try:
        done = _run(desk, answer_request(ports, owner, presentation.id, {**answers, SHOWN_FIELD: view.shown}))
    except ShownChanged as exc:
        raise PresentationFailed("what was shown has changed", detail=desk.words.say("changed")) from exc
    except AnswerTooLarge as exc:
        raise AnswerTooLarge(exc.description, detail=desk.words.say("too_large")) from exc
    if isinstance(done.state, presentation_states.Failed):
        raise PresentationFailed(done.state.detail)
    return done


def _blocked(desk: _Desk, state: Blocked) -> WalletError:
    """Return why a request was blocked; where nobody at all is trusted to ask, with the option that changes that."""
    why = f"{state.reason}: {state.detail}"
    if state.reason != "untrusted":
        return PresentationFailed(why)
    trusted = desk.wallet.anchors.certificates(AnchorPurpose.VERIFIER_ACCESS)
    return UntrustedError(why, detail=why if trusted else desk.words.say("no_verifier_anchor", why=state.detail))


def _ask(desk: _Desk, view: RequestView) -> dict[str, str]:
    """Ask for what can be chosen; the answer to everything optional is no unless the person says yes."""
    answers: dict[str, str] = {}
    for group in view.groups:
        number = group.number
        if not group.required:
            if not typer.confirm(desk.words.say("confirm_optional", number=number), default=False, err=True):
                continue
            answers[f"send-{number}"] = "on"
        if len(group.alternatives) > 1:
            answers[f"group-{number}"] = typer.prompt(desk.words.say("which", number=number), default="0", err=True)
    return answers


def _pair(entry: str) -> tuple[str, str]:
    name, _, value = entry.partition("=")
    if not name.startswith(("group-", "send-", "extra-", "also-")):
        raise MalformedError("a choice looks like group-0=1, send-1, extra-0-0-0=0 or also-0-0-0-1")
    return name, value or "on"


@app.command("list")
def list_(home: Home = DEFAULT_HOME, lang: Lang = "ko", as_json: JsonFlag = False) -> None:
    """List the cards."""
    desk = _desk(home, None, lang, loopback=False)
    cards = list_cards(desk.wallet.card_ports(), desk.owner.id)
    text = "\n".join(map(desk.words.card_line, cards)) or desk.words.say("empty")
    out(as_json, {"cards": [card_json(card) for card in cards]}, text)


@app.command()
def show(card_id: str, home: Home = DEFAULT_HOME, lang: Lang = "ko", as_json: JsonFlag = False) -> None:
    """Show a card with everything in it."""
    desk = _desk(home, None, lang, loopback=False)
    card = show_card(desk.wallet.card_ports(), desk.owner.id, card_id)
    out(as_json, card_json(card), desk.words.card(card))


@app.command()
def delete(
    card_id: str, yes: Yes = False, home: Home = DEFAULT_HOME, lang: Lang = "ko", as_json: JsonFlag = False
) -> None:
    """Remove a card and its keys for good."""
    desk = _desk(home, None, lang, loopback=False)
    card = show_card(desk.wallet.card_ports(), desk.owner.id, card_id)
    if not yes and not typer.confirm(desk.words.say("confirm_delete", name=desk.words.local(card.name)), err=True):
        raise AccessDenied("declined")
    delete_card(desk.wallet.card_ports(), desk.owner.id, card_id)
    out(as_json, {"deleted": card_id}, desk.words.say("deleted"))


@app.command()
def refresh(
    card_id: str,
    home: Home = DEFAULT_HOME,
    trust: Trust = None,
    lang: Lang = "ko",
    loopback: Loopback = False,
    as_json: JsonFlag = False,
) -> None:
    """Get new copies of a card from its agency."""
    desk = _desk(home, trust, lang, loopback=loopback)
    wallet, owner = desk.wallet, desk.owner.id
    why: list[WalletError] = []
    step = refresh_card(wallet.card_ports, wallet.reissuer(), owner, card_id, asked=True, failed=why.append)
    if (done := _run(desk, step)) in {Refreshed.OVER, Refreshed.LATER, Refreshed.NO_GRANT}:
        text = desk.words.say(f"refreshed_{done}")
        reasons = [text, *(_with_option(desk, error).detail for error in why)]
        raise RefreshFailed(f"no new copies: {done}", detail=" ".join(reasons))
    card = show_card(wallet.card_ports(), owner, card_id)
    out(as_json, {"refreshed": done, "card": card_json(card)}, desk.words.say(f"refreshed_{done}"))


@app.command()
def history(
    home: Home = DEFAULT_HOME,
    before: Annotated[str, typer.Option("--before", help="Only what is older than the line with this id.")] = "",
    lang: Lang = "ko",
    as_json: JsonFlag = False,
) -> None:
    """List what came and went, 500 lines from the newest; the last line says how to see older ones."""
    desk = _desk(home, None, lang, loopback=False)
    records, older = page_history(desk.wallet.card_ports(), desk.owner.id, before=before, size=MOST)
    lines = [desk.words.record(record) for record in records]
    lines += [desk.words.say("older_history", id=older)] if older else []
    lines = lines or [desk.words.say("no_older_history" if before else "empty_history")]
    out(as_json, {"records": [record_json(record) for record in records], "next": older}, "\n".join(lines))


@people.command("add")
def person_add(
    name: str,
    account_id: Annotated[str | None, typer.Option("--id", help="Id of the account; a known one is kept.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Make a wallet for an invented person."""
    person = create_person(_demo_wallet().account_ports(), name, account_id)
    out(as_json, {"id": person.id, "name": person.name}, f"{person.id}  {person.name}")


@people.command("list")
def person_list(as_json: JsonFlag = False) -> None:
    """List the people."""
    found = list_people(_demo_wallet().account_ports())
    text = "\n".join(f"{person.id}  {person.name}" for person in found)
    out(as_json, {"people": [{"id": person.id, "name": person.name} for person in found]}, text)


@people.command("code")
def person_code(account_id: str, as_json: JsonFlag = False) -> None:
    """Print a new one-time sign-in code."""
    code = create_sign_in_code(_demo_wallet().account_ports(), account_id)
    out(as_json, {"account_id": account_id, "code": code}, code)


def _demo_wallet() -> Wallet:
    settings = WalletSettings.from_environment()
    if not settings.demo:
        raise AccessDenied("sign-in by printed code is for demos", detail="set JIGAP_WALLET_DEMO=true")
    return create_wallet(settings)


def _served() -> Wallet:
    return create_wallet(WalletSettings.from_environment())


@app.command()
def migrate() -> None:
    """Bring the web wallet's database up to date."""
    run_migrations(_served().database, "holder_app")
    say("the database is up to date")


@app.command()
def serve(
    host: str = "127.0.0.1",
    port: int = 8300,
    workers: int = 1,
    no_worker: Annotated[bool, typer.Option("--no-worker", help="Run no durable jobs beside the web workers.")] = False,
) -> None:
    """Serve the web wallet."""
    from holder_app.tasks import create_worker
    from wallet_core.adapters.web import serve as run_server

    log.configure()
    wallet = _served()
    run_migrations(wallet.database, "holder_app")
    work = None if no_worker else create_worker(wallet).run
    run_server("holder_app.app:create", host=host, port=port, workers=workers, work=work, tls=wallet.settings.tls)


@app.command()
def work() -> None:
    """Run durable jobs until interrupted."""
    from holder_app.tasks import create_worker

    log.configure()
    stop = threading.Event()
    try:
        create_worker(_served()).run(stop)
    except KeyboardInterrupt:
        stop.set()
        sys.exit(0)
