"""What the story is told with: everybody in it, what they know, how a step is told, and what is shown of it.

A step raises if anything does not hold. Where a server was not reached meanwhile, the step is told anew for 20 s: a
server that died must come back, and nothing that was finished may be lost.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, TypeAlias

from demo.citizen import Citizen, WalletRefusal
from demo.deployment import Deployment
from demo.desks import Console, Desk
from demo.exchanges import Exchange, RecordingClient
from demo.servers import Server
from demo.stranger import Stranger
from holder_app.credentials.ports import Card
from issuer.dependencies import build_issuer
from issuer.issuance.use_cases.encryption import decryption_of
from issuer.settings import IssuerSettings
from wallet_core.adapters.clock import SystemClock
from wallet_core.adapters.config import load_catalogue, load_trust_anchors
from wallet_core.adapters.keystore import KeyStore
from wallet_core.catalogue import Catalogue, Text
from wallet_core.errors import WalletError
from wallet_core.http import HttpRequest
from wallet_core.protocols.openid4vci.messages import CredentialRequest, parse_credential_request
from wallet_core.spec_versions import FORMAT_SD_JWT_VC
from wallet_core.types import AgencyId, JsonObject

RETRY_SECONDS: Final = 20.0
CITIZEN: Final = "p02"
OTHER: Final = "p04"
BANK, SHOP, RENTAL, WINDOW = "dodam-bank", "corner-store", "wind-rental", "local-tax-window"

PAUSE: Final = 0.3
"""Seconds between two looks at something that takes a while."""

LIST_OUT_OF_REACH: Final = "the status of the credential cannot be looked up now"
"""How a verifier says at its check that no list could be had."""

Path: TypeAlias = tuple[str, ...]
_NAMED: Final = 6
"""How many of the hidden things are named."""
_NEVER_HIDDEN: Final = frozenset({("issuing_country",), ("issuing_authority",)})


class StoryFailed(WalletError):
    """Something did not hold. ``step`` is the name of the step."""

    code = "story_failed"

    def __init__(self, step: str, reason: str) -> None:
        self.step = step
        super().__init__("the story did not hold", detail=f"{step}: {reason}")


@dataclass(frozen=True, slots=True)
class Line:
    """One line under a step: what kind of line, and its words."""

    label: Text
    words: str


@dataclass(frozen=True, slots=True)
class Step:
    """One step: its name, what it is called, and what it does."""

    name: str
    title: Text
    run: Callable[["Story"], list[Line]]


@dataclass(frozen=True, slots=True)
class Told:
    """A step that held: its lines, how long the last telling took, and how often it was begun."""

    step: Step
    lines: tuple[Line, ...]
    milliseconds: float
    attempts: int


@dataclass(slots=True)
class Story:
    """Everybody in the story, and what they know."""

    facts: Mapping[str, Any]
    client: RecordingClient
    citizen: Citizen
    stranger: Stranger
    catalogue: Catalogue
    issuer_keys: KeyStore
    verifier_keys: KeyStore
    clock: SystemClock = field(default_factory=SystemClock)
    attempt: str = ""
    servers: Mapping[str, Server] = field(default_factory=dict)
    """The running servers, for the step that stops one; without them nothing is stopped."""
    issuer_environment: Mapping[str, str] = field(default_factory=dict)
    """The issuer's settings: an agency can read what a wallet encrypted to it."""
    wallet_environment: Mapping[str, str] = field(default_factory=dict)
    """The web wallet's settings: its operator gives out one-time codes."""
    web_account: str = "story"
    """Whose account it is in the web wallet."""
    web_code: str = ""
    """The transaction code of what she receives there."""
    web_requests: list[str] = field(default_factory=list)
    """What the shop asked her there, also in a telling that was interrupted."""

    @classmethod
    def begin(
        cls,
        deployment: Deployment,
        facts: Mapping[str, Any],
        client: RecordingClient | None = None,
        servers: Mapping[str, Server] | None = None,
    ) -> "Story":
        """Return a story that can be told on this deployment."""
        wire = client or RecordingClient(tls_roots=deployment.tls_roots if deployment.tls else None)
        trust = deployment.trust_anchors
        citizen = Citizen.open(deployment.folder / "citizen", deployment, client=wire)
        stranger = Stranger(wire, load_trust_anchors(trust))
        issuers, verifiers = (KeyStore(deployment.keys(app)) for app in ("issuer", "verifier"))
        story = cls(facts, wire, citizen, stranger, load_catalogue(), issuers, verifiers, servers=servers or {})
        story.issuer_environment = deployment.environment("issuer")
        story.wallet_environment = deployment.environment("wallet")
        return story

    def agency(self, agency_id: str) -> Desk:
        """Return an agency's desk."""
        issuer = self.facts["issuer"]
        key = issuer["agencies"][agency_id]["api_key"]
        return Desk(self.client, f"{issuer['url']}/api/v1/agencies/{agency_id}", key)

    def read_as_agency(self, agency_id: str, request: HttpRequest) -> CredentialRequest:
        """Return a Credential Request as the agency reads it: with its own keys, where the wallet encrypted it."""
        issuer = build_issuer(IssuerSettings.from_environment(self.issuer_environment))
        with closing(issuer.database):
            decryption = decryption_of(issuer.issuance, issuer.agency(AgencyId(agency_id)))
        media_type = next(value for name, value in request.headers.items() if name.lower() == "content-type")
        return parse_credential_request(media_type, request.body, decryption)

    def console(self, agency_id: str) -> Console:
        """Return an agency's console, signed in."""
        issuer = self.facts["issuer"]
        console = Console.at(self.client, issuer["url"])
        console.sign_in(issuer["agencies"][agency_id]["api_key"])
        return console

    def company(self, party_id: str) -> Desk:
        """Return a company's desk."""
        verifier = self.facts["verifier"]
        return Desk(self.client, f"{verifier['url']}/api/v1", verifier["parties"][party_id]["api_key"])

    def offer(
        self,
        agency_id: str,
        type_id: str,
        subject_id: str,
        format_: str = FORMAT_SD_JWT_VC,
        *,
        deferred: bool = False,
        name: str = "",
    ) -> dict[str, Any]:
        """Return a new offer of an agency to one person; ``deferred``: somebody decides before anything is signed.

        ``name`` tells the offers of one step apart.
        """
        entry = next(each for each in self.catalogue.types[type_id].formats if each.format == format_)
        order = {
            "credential_configuration_ids": [entry.configuration_id],
            "subject_id": subject_id,
            "tx_code": True,
            "deferred": deferred,
        }
        key = f"{self.attempt}-{agency_id}-{subject_id}-{format_}-{name}"
        return self.agency(agency_id).post("/offers", order, key=key)

    def issued(self, agency_id: str, subject_id: str) -> list[dict[str, Any]]:
        """Return what the agency issued to a person, in order of issue."""
        found: list[dict[str, Any]] = []
        cursor = ""
        while True:
            page = self.agency(agency_id).get(f"/credentials?subject_id={subject_id}&cursor={cursor}")
            found += page["credentials"]
            if not (cursor := page["next_cursor"] or ""):
                return found

    def request(self, party_id: str, policy_id: str, name: str = "") -> dict[str, Any]:
        """Return a company's new request under a policy of the catalogue."""
        body = {"policy": policy_id, "flow": "cross_device"}
        return self.company(party_id).post("/presentations", body, key=f"{self.attempt}-{party_id}-{policy_id}-{name}")

    def result(self, party_id: str, presentation_id: str) -> dict[str, Any]:
        """Return what the company knows of its request."""
        return self.company(party_id).get(f"/presentations/{presentation_id}")

    def good_cards(self) -> list[Card]:
        """Return the citizen's cards that have not expired: a demo that is told again next month asks for new ones."""
        soon = self.clock.now() + timedelta(hours=1)
        return [card for card in self.citizen.cards() if card.expires_at is None or card.expires_at > soon]

    def card(self, configuration_id: str) -> Card:
        """Return the citizen's one good card of a configuration. Raises ``StoryFailed``."""
        found = [card for card in self.good_cards() if card.configuration_id == configuration_id]
        expect(len(found) == 1, f"the wallet holds {len(found)} cards of {configuration_id}")
        return found[0]

    def licence_of_the_other(self, format_: str = FORMAT_SD_JWT_VC) -> str:
        """Return a real licence of another citizen, bound to the stranger's key."""
        offer = self.offer("police", "drivers-licence", OTHER, format_)
        return self.stranger.receive(offer["uri"], offer["tx_code"], now=self.clock.now())


def expect(holds: object, reason: str) -> None:
    """Go on if something holds. Raises ``StoryFailed`` with the reason if it does not."""
    if not holds:
        raise StoryFailed("", reason)


def tell_step(story: Story, step: Step) -> Told:
    """Return the step, told until it held or could not. Raises ``StoryFailed``."""
    deadline = time.monotonic() + RETRY_SECONDS
    attempts = 0
    while True:
        attempts += 1
        story.client.forget()
        story.attempt = f"{step.name}-{story.clock.now().timestamp():.6f}"
        start = time.perf_counter()
        try:
            lines = step.run(story)
        except WalletError as error:
            # Only what an interruption can explain is told again.
            if not story.client.interrupted or time.monotonic() > deadline:
                raise StoryFailed(step.name, error.detail) from error
            time.sleep(PAUSE)
        else:
            return Told(step, tuple(lines), (time.perf_counter() - start) * 1000, attempts)


# --- what is shown

SENT = Text("보냈어요", "sent")
HIDDEN = Text("숨겼어요", "hidden")
GOT = Text("받았어요", "received")
HELD = Text("이미 갖고 있어요", "held already")
CHECKED = Text("확인했어요", "checked")
REFUSED = Text("거절됐어요", "refused")


def present(
    story: Story,
    party_id: str,
    request: Mapping[str, Any],
    wanted: Mapping[str, set[Path]],
    answers: Mapping[str, str],
    form: str = FORMAT_SD_JWT_VC,
) -> list[Line]:
    """Answer a company, and see that what left the wallet and what the company keeps are what was asked, no more."""
    story.citizen.refill()
    try:
        record = story.citizen.present(request["authorization_request"], answers, form)
    except WalletRefusal:
        # The company did not reach the agency's status list: that is an interruption too, though not one of ours.
        failed = failed_check(story.result(party_id, request["id"]))
        story.client.interrupted |= failed.get("detail") == LIST_OUT_OF_REACH
        raise
    cards: Any = record.body["cards"]
    sent = sorted(sorted(tuple(each["path"]) for each in card["sent"]) for card in cards)
    expect(sent == sorted(map(sorted, wanted.values())), "the wallet sent other claims than asked")
    anyway = {tuple(each["path"]) for card in cards for each in card["anyway"]}
    expect(anyway <= _NEVER_HIDDEN, "cards show more than was asked, whatever the citizen chooses")
    result = story.result(party_id, request["id"])
    expect(result["state"] == "verified", f"the company's result is {result['state']}")
    expect(all(check["ok"] for check in result["checks"]), "a check failed")
    got = {query: set(_paths(found[0]["claims"])) for query, found in result["credentials"].items()}
    expect(got == wanted, "the company did not get the claims it asked for, and only those")
    words = f"{story.facts['verifier']['parties'][party_id]['name']['ko']}: {len(result['checks'])} checks"
    return [*_disclosure(cards), Line(CHECKED, words), times(story)]


def _paths(claims: JsonObject, before: Path = ()) -> Iterator[Path]:
    for name, value in claims.items():
        if isinstance(value, dict):
            yield from _paths(value, (*before, name))
        else:
            yield (*before, name)


def _disclosure(cards: Any) -> list[Line]:
    lines: list[Line] = []
    for card in cards:
        name = card["name"]["ko"]
        sent = [each["label"]["ko"] for each in (*card["sent"], *card["anyway"])]
        hidden = [each["label"]["ko"] for each in card["hidden"]]
        lines.append(Line(SENT, f"{name}: {', '.join(sent)}"))
        lines.append(Line(HIDDEN, f"{name}: {_some(hidden)}"))
    return lines


def _some(labels: Sequence[str]) -> str:
    """Return the first of many labels, and how many more there are."""
    first, more = ", ".join(labels[:_NAMED]), len(labels) - _NAMED
    return first if more <= 0 else f"{first} 외 {more}개 · and {more} more"


def failed_check(result: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the check at which a company refused; empty if it did not."""
    return next((check for check in result["checks"] if check["ok"] is False), {})


def times(story: Story) -> Line:
    """Return every request of the step with its milliseconds."""
    exchanges = story.client.exchanges
    parts = [f"{each.request.method} {_path(each.request.url)} {each.milliseconds:.0f}" for each in exchanges]
    return Line(Text("걸린 시간", "ms"), " · ".join(parts))


def _path(url: str) -> str:
    parts = url.partition("://")[2].partition("/")[2].split("?")[0].split("/")
    return "/" + "/".join(part if len(part) < 24 else "…" for part in parts[-2:])


def refusal(exchange: Exchange, what: str, errors: set[str]) -> Line:
    """Return the line of a refusal with status and error code. Raises ``StoryFailed`` if it is none of ``errors``."""
    status, error = exchange.response.status, exchange.error
    expect(400 <= status < 500, f"{what}: answered {status} instead of a refusal")
    expect(error in errors, f"{what}: refused with {status} {error or 'without a code'}")
    return Line(REFUSED, f"{what} → HTTP {status} {error}")


def nothing_learnt(story: Story, party_id: str, presentation_id: str, failing: str) -> Line:
    """The company learns that it was refused, at which check, and nothing else."""
    return Line(CHECKED, f"state refused, {refused_at(story, party_id, presentation_id, failing)}")


def refused_at(story: Story, party_id: str, presentation_id: str, failing: str) -> str:
    """Return number and name of the check ``failing``, at which a company refused. Raises ``StoryFailed``."""
    result = story.result(party_id, presentation_id)
    expect(result["state"] == "refused" and not result.get("credentials"), f"the result is {result['state']}")
    failed = failed_check(result)
    expect(failed.get("name") == failing, f"refused at {failed.get('name')} instead of {failing}")
    return f"check {failed['step']} {failing}"
