"""The story: what a citizen, two agencies and three companies do, and what must be refused. Each step stands alone.

A step raises if anything does not hold. Where a server was not reached meanwhile, the step is told anew for 20 s: a
server that died must come back, and nothing that was finished may be lost.
"""

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, TypeAlias

from demo.citizen import Citizen, WalletRefusal
from demo.deployment import STATUS_TTL_SECONDS, Deployment
from demo.desks import Console, Desk
from demo.exchanges import Exchange, RecordingClient
from demo.servers import Server
from demo.stranger import Stranger, change, change_element, select
from holder_app.credentials.ports import Card, RecordKind
from holder_app.credentials.use_cases import open_copy
from wallet_core.adapters.clock import SystemClock
from wallet_core.adapters.config import load_catalogue, load_trust_anchors
from wallet_core.adapters.keystore import KeyStore
from wallet_core.catalogue import Catalogue, Text
from wallet_core.encoding import base64url
from wallet_core.errors import WalletError
from wallet_core.formats.mdoc.holder import HeldMdoc
from wallet_core.spec_versions import FORMAT_MDOC, FORMAT_SD_JWT_VC, NAMESPACE_MDL, NAMESPACE_MDL_KR
from wallet_core.types import CredentialIssuerId, JsonObject

RETRY_SECONDS: Final = 20.0
CITIZEN: Final = "p02"
OTHER: Final = "p04"
BANK, SHOP, RENTAL = "dodam-bank", "corner-store", "wind-rental"
MAX_TRIES: Final = 12
"""Wrong transaction codes after which the story gives up waiting for the code to die."""

_PAUSE = 0.3
_LIST_OUT_OF_REACH: Final = "the status of the credential cannot be looked up now"
"""How a verifier says at its check that no list could be had."""

Path: TypeAlias = tuple[str, ...]
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
    clock: SystemClock = field(default_factory=SystemClock)
    attempt: str = ""
    servers: Mapping[str, Server] = field(default_factory=dict)
    """The running servers, for the step that stops one; without them nothing is stopped."""

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
        citizen = Citizen.open(deployment.folder / "citizen", trust=trust, client=wire)
        stranger, keys = Stranger(wire, load_trust_anchors(trust)), KeyStore(deployment.keys("issuer"))
        return cls(facts, wire, citizen, stranger, load_catalogue(), keys, servers=servers or {})

    def agency(self, agency_id: str) -> Desk:
        """Return an agency's desk."""
        issuer = self.facts["issuer"]
        key = issuer["agencies"][agency_id]["api_key"]
        return Desk(self.client, f"{issuer['url']}/api/v1/agencies/{agency_id}", key)

    def console(self, agency_id: str) -> Console:
        """Return an agency's console, signed in."""
        issuer = self.facts["issuer"]
        console = Console(self.client, issuer["url"])
        console.sign_in(issuer["agencies"][agency_id]["api_key"])
        return console

    def company(self, party_id: str) -> Desk:
        """Return a company's desk."""
        verifier = self.facts["verifier"]
        return Desk(self.client, f"{verifier['url']}/api/v1", verifier["parties"][party_id]["api_key"])

    def offer(self, agency_id: str, type_id: str, subject_id: str, format_: str = FORMAT_SD_JWT_VC) -> dict[str, Any]:
        """Return a new offer of an agency to one person."""
        entry = next(each for each in self.catalogue.types[type_id].formats if each.format == format_)
        order = {
            "credential_configuration_ids": [entry.configuration_id],
            "subject_id": subject_id,
            "tx_code": True,
        }
        return self.agency(agency_id).post("/offers", order, key=f"{self.attempt}-{agency_id}-{subject_id}-{format_}")

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

    def licence_of_the_other(self, format_: str = FORMAT_SD_JWT_VC) -> str:
        """Return a real licence of another citizen, bound to the stranger's key."""
        offer = self.offer("police", "drivers-licence", OTHER, format_)
        return self.stranger.receive(offer["uri"], offer["tx_code"], now=self.clock.now())


def expect(holds: object, reason: str) -> None:
    """Go on if something holds. Raises ``StoryFailed`` with the reason if it does not."""
    if not holds:
        raise StoryFailed("", reason)


def tell(story: Story, steps: Iterable[Step] | None = None) -> Iterable[Told]:
    """Yield each step as soon as it held.

    Raises:
        StoryFailed: a step did not hold.
    """
    for step in steps or STEPS:
        yield _tell_step(story, step)


def _tell_step(story: Story, step: Step) -> Told:
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
            time.sleep(_PAUSE)
        else:
            return Told(step, tuple(lines), (time.perf_counter() - start) * 1000, attempts)


# --- what is done

_SENT = Text("보냈어요", "sent")
_HIDDEN = Text("숨겼어요", "hidden")
_GOT = Text("받았어요", "received")
_HELD = Text("이미 갖고 있어요", "held already")
_CHECKED = Text("확인했어요", "checked")
_REFUSED = Text("거절됐어요", "refused")


def receive_licence(story: Story) -> list[Line]:
    """The police issue a driver's licence to the citizen."""
    return _receive(story, "police", "drivers-licence")


def receive_certificate(story: Story) -> list[Line]:
    """The city issues a resident certificate to the citizen."""
    return _receive(story, "city", "resident-certificate")


def receive_mdoc(story: Story) -> list[Line]:
    """The police issue the same licence as an mdoc, which readers of other countries know."""
    return _receive(story, "police", "drivers-licence", FORMAT_MDOC)


def _receive(story: Story, agency_id: str, type_id: str, format_: str = FORMAT_SD_JWT_VC) -> list[Line]:
    credential_type = story.catalogue.types[type_id]
    (entry,) = (each for each in credential_type.formats if each.format == format_)
    held = [card for card in story.good_cards() if card.configuration_id == entry.configuration_id]
    label = _HELD if held else _GOT
    if not held:
        offer = story.offer(agency_id, type_id, CITIZEN, format_)
        expect(offer["tx_code"], "the offer has no transaction code")
        held = story.citizen.accept(offer["uri"], offer["tx_code"])
        state = story.agency(agency_id).get(f"/offers/{offer['id']}")["state"]
        expect(state == "issued", f"the agency says the offer is {state}")
    type_ = entry.doctype or credential_type.vct
    expect(len(held) == 1 and held[0].type == type_, "not exactly one card of that kind came")
    card = held[0]
    agency = story.catalogue.agencies[credential_type.agency]
    until = f"{card.expires_at:%Y-%m-%d}" if card.expires_at else "-"
    words = f"{agency.name.ko} → 지갑: {_contents(card)}, {len(card.copies)} copies, until {until}"
    return [Line(label, words), *([_times(story)] if label is _GOT else [])]


def _contents(card: Card) -> str:
    """Return how much there is to choose from in a card."""
    held = open_copy(card, card.copies[0])
    if isinstance(held, HeldMdoc):
        return f"{len(held.items)} data elements (mdoc)"
    return f"{len(held.paths)} disclosures"


def prove_to_bank(story: Story) -> list[Line]:
    """The citizen proves age, name and address to a bank."""
    wanted: dict[str, set[Path]] = {
        "licence": {("name",), ("document_number",), ("age_over_19",)},
        "resident_certificate": {("name",), ("address", "full")},
    }
    return _present(story, BANK, "account-opening", wanted, {"send-1": "on"})


def prove_to_shop(story: Story) -> list[Line]:
    """The citizen proves to a convenience store that she is an adult, and nothing else."""
    return _present(story, SHOP, "adult-check", {"licence": {("adult_by_year",)}}, {})


def prove_to_rental(story: Story) -> list[Line]:
    """The citizen shows a car-rental firm that she may drive: of her two licences, the mdoc."""
    asked: set[Path] = {
        (NAMESPACE_MDL_KR, "may_drive_ordinary_car"),
        (NAMESPACE_MDL, "expiry_date"),
        (NAMESPACE_MDL, "portrait"),
    }
    return _present(story, RENTAL, "car-rental", {"licence_mdoc": asked}, {"group-0": "1"})


def _present(
    story: Story, party_id: str, policy_id: str, wanted: Mapping[str, set[Path]], answers: Mapping[str, str]
) -> list[Line]:
    """Answer a company, and see that what left the wallet and what the company keeps are what was asked, no more."""
    request = story.request(party_id, policy_id)
    try:
        record = story.citizen.present(request["authorization_request"], answers)
    except WalletRefusal:
        # The company did not reach the agency's status list: that is an interruption too, though not one of ours.
        failed = _failed_check(story.result(party_id, request["id"]))
        story.client.interrupted |= failed.get("detail") == _LIST_OUT_OF_REACH
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
    return [*_disclosure(cards), Line(_CHECKED, words), _times(story)]


def _failed_check(result: Mapping[str, Any]) -> Mapping[str, Any]:
    return next((check for check in result["checks"] if check["ok"] is False), {})


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
        lines.append(Line(_SENT, f"{name}: {', '.join(sent)}"))
        lines.append(Line(_HIDDEN, f"{name}: {', '.join(hidden[:6])} … ({len(hidden)})"))
    return lines


def _times(story: Story) -> Line:
    exchanges = story.client.exchanges
    parts = [f"{each.request.method} {_path(each.request.url)} {each.milliseconds:.0f}" for each in exchanges]
    return Line(Text("걸린 시간", "ms"), " · ".join(parts))


def _path(url: str) -> str:
    parts = url.partition("://")[2].partition("/")[2].split("?")[0].split("/")
    return "/" + "/".join(part if len(part) < 24 else "…" for part in parts[-2:])


# --- what must be refused


def refuse_wrong_code(story: Story) -> list[Line]:
    """Wrong transaction codes are refused and counted; then the code is dead, and the right one is refused too."""
    offer = story.offer("police", "drivers-licence", OTHER)
    resolved = story.stranger.resolve_offer(offer["uri"])
    wrong = _other_digits(offer["tx_code"])
    lines: list[Line] = []
    for number in range(1, MAX_TRIES + 1):
        lines.append(
            _refusal(story.stranger.redeem(resolved, wrong), f"{number}번째 틀린 코드 · wrong code", {"invalid_grant"})
        )
        if story.agency("police").get(f"/offers/{offer['id']}")["state"] == "refused":
            break
    state = story.agency("police").get(f"/offers/{offer['id']}")["state"]
    expect(state == "refused", f"after {MAX_TRIES} wrong codes the offer is {state}")
    last = story.stranger.redeem(resolved, offer["tx_code"])
    return [*lines, _refusal(last, "그다음 맞는 코드 · then the right one", {"invalid_grant"})]


def refuse_replay(story: Story) -> list[Line]:
    """An answer is taken once: neither the same bytes again nor the same presentation for another request."""
    now, credential = story.clock.now(), story.licence_of_the_other()
    shown = select(credential, ["adult_by_year"])
    first = story.stranger.resolve(story.request(SHOP, "adult-check", "1")["authorization_request"], now=now)
    presentation, taken = story.stranger.present(first, "licence", shown, now=now)
    expect(taken.response.ok, f"the honest answer was refused with {taken.response.status} {taken.error}")
    again = _refusal(story.stranger.repeat(taken), "같은 답을 다시 · the same bytes again", None)
    request = story.request(SHOP, "adult-check", "2")
    second = story.stranger.resolve(request["authorization_request"], now=now)
    elsewhere = story.stranger.send(second, "licence", presentation)
    line = _refusal(elsewhere, "같은 답을 다른 요청에 · for another request", {"invalid_request"})
    return [again, line, _nothing_learnt(story, SHOP, request["id"], "holder_present")]


def refuse_changed_claim(story: Story) -> list[Line]:
    """A holder who writes another name into her own card is found out."""
    now, credential = story.clock.now(), story.licence_of_the_other()
    forged = change(select(credential, ["name"]), "name", "한지우")
    request = story.request(SHOP, "parcel-pickup")
    resolved = story.stranger.resolve(request["authorization_request"], now=now)
    _, exchange = story.stranger.present(resolved, "licence", forged, now=now)
    line = _refusal(exchange, "이름을 고친 운전면허증 · a changed name", {"invalid_request"})
    return [line, _nothing_learnt(story, SHOP, request["id"], "content_unchanged")]


def refuse_changed_mdoc(story: Story) -> list[Line]:
    """The same with an mdoc; and what its device signed for one request is worth nothing for another."""
    now, credential = story.clock.now(), story.licence_of_the_other(FORMAT_MDOC)
    name = (NAMESPACE_MDL_KR, "name")
    requests = [story.request(SHOP, "parcel-pickup", f"mdoc-{number}") for number in (1, 2)]
    first, second = (story.stranger.resolve(each["authorization_request"], now=now) for each in requests)
    honest = story.stranger.show(first, credential, [name])
    forged = base64url.encode(change_element(honest, name[1], "한지우"))
    changed = story.stranger.send(first, "licence_mdoc", forged)
    elsewhere = story.stranger.send(second, "licence_mdoc", base64url.encode(honest))
    return [
        _refusal(changed, "이름을 고친 국제 규격 면허증 · a changed name in an mdoc", {"invalid_request"}),
        _nothing_learnt(story, SHOP, requests[0]["id"], "content_unchanged"),
        _refusal(elsewhere, "다른 요청에 서명한 답 · signed for another request", {"invalid_request"}),
        _nothing_learnt(story, SHOP, requests[1]["id"], "holder_present"),
    ]


def refuse_untrusted_issuer(story: Story) -> list[Line]:
    """A licence that says it is the police's, under a certificate nobody trusts, is refused."""
    now = story.clock.now()
    issuer = CredentialIssuerId(story.facts["issuer"]["agencies"]["police"]["credential_issuer"])
    forged = story.stranger.forge(story.catalogue.types["drivers-licence"], issuer, now=now)
    request = story.request(SHOP, "adult-check")
    resolved = story.stranger.resolve(request["authorization_request"], now=now)
    _, exchange = story.stranger.present(resolved, "licence", select(forged, ["adult_by_year"]), now=now)
    line = _refusal(exchange, "아무도 믿지 않는 발급기관 · nobody trusts the issuer", {"invalid_request"})
    return [line, _nothing_learnt(story, SHOP, request["id"], "issuer_trusted")]


def refuse_lost_licence(story: Story) -> list[Line]:
    """A licence that was reported lost is refused at the bank as soon as the bank's copy of the list is used up."""
    offer = story.offer("police", "drivers-licence", OTHER)
    credential = story.stranger.receive(offer["uri"], offer["tx_code"], now=story.clock.now())
    first, taken = _ask_bank(story, credential, "before")
    expect(taken.response.ok, f"a good licence was refused with {taken.response.status} {taken.error}")
    checked = next(check for check in story.result(BANK, first)["checks"] if check["name"] == "not_withdrawn")
    lines = [Line(_CHECKED, f"check {checked['step']} not_withdrawn: {checked['detail']}")]
    card = f"/credentials/{_issued_on(story, offer['id'])}"
    form = f"/console{card}/status"
    story.console("police").submit(f"{form}?to=suspended", form, {"to": "suspended", "reason": "분실 신고 (시험용)"})
    suspended = story.agency("police").get(card)["status"]
    expect(suspended == "suspended", f"after the report the agency calls the licence {suspended}")
    begun = time.monotonic()
    while True:
        # An agency that is down meanwhile tells nobody; then the step is told anew.
        story.agency("police").get(card)
        request, answer = _ask_bank(story, credential, f"{time.monotonic():.3f}")
        waited = time.monotonic() - begun
        if not answer.response.ok:
            break
        expect(waited < STATUS_TTL_SECONDS + 1, f"{waited:.0f} s after the report the bank still takes the licence")
        time.sleep(_PAUSE)
    words = f"분실 신고 {waited:.0f}초 뒤 은행 (ttl {STATUS_TTL_SECONDS}) · {waited:.0f} s after it was reported lost"
    return [
        *lines,
        _refusal(answer, words, {"invalid_request"}),
        _nothing_learnt(story, BANK, request, "not_withdrawn"),
    ]


def _ask_bank(story: Story, credential: str, name: str) -> tuple[str, Exchange]:
    """Show a licence to the bank, and return the bank's number of it with the answer."""
    vct = story.catalogue.types["drivers-licence"].vct
    query = {"id": "licence", "format": "dc+sd-jwt", "meta": {"vct_values": [vct]}, "claims": [{"path": ["name"]}]}
    body = {"dcql_query": {"credentials": [query]}}
    request = story.company(BANK).post("/presentations", body, key=f"{story.attempt}-{name}")
    resolved = story.stranger.resolve(request["authorization_request"], now=story.clock.now())
    shown = select(credential, ["name"])
    return request["id"], story.stranger.present(resolved, "licence", shown, now=story.clock.now())[1]


def _issued_on(story: Story, offer_id: str) -> str:
    """Return the number that the agency gave to the credential of an offer."""
    cursor = ""
    while True:
        page = story.agency("police").get(f"/credentials?subject_id={OTHER}&cursor={cursor}")
        for credential in page["credentials"]:
            if credential["offer_id"] == offer_id:
                return str(credential["credential_id"])
        expect(page["next_cursor"], "the agency does not know what it issued")
        cursor = page["next_cursor"]


def refuse_other_types(story: Story) -> list[Line]:
    """A real agency that signs a licence, which only the police may issue, is refused: the trust list decides."""
    now = story.clock.now()
    city = CredentialIssuerId(story.facts["issuer"]["agencies"]["city"]["credential_issuer"])
    licence = story.catalogue.types["drivers-licence"]
    signed = story.stranger.sign_as(story.issuer_keys.signing_key("city"), licence, city, now=now)
    request = story.request(SHOP, "adult-check", "other-type")
    resolved = story.stranger.resolve(request["authorization_request"], now=now)
    _, exchange = story.stranger.present(resolved, "licence", select(signed, ["adult_by_year"]), now=now)
    line = _refusal(exchange, "시청이 서명한 운전면허증 · a licence signed by the city", {"invalid_request"})
    return [line, _nothing_learnt(story, SHOP, request["id"], "issuer_permitted")]


def _refusal(exchange: Exchange, what: str, errors: set[str] | None) -> Line:
    status, error = exchange.response.status, exchange.error
    expect(400 <= status < 500, f"{what}: answered {status} instead of a refusal")
    expect(error and (errors is None or error in errors), f"{what}: refused with {status} {error or 'without a code'}")
    return Line(_REFUSED, f"{what} → HTTP {status} {error}")


def _nothing_learnt(story: Story, party_id: str, presentation_id: str, failing: str) -> Line:
    """The company learns that it was refused, at which check, and nothing else."""
    result = story.result(party_id, presentation_id)
    expect(result["state"] == "refused" and not result.get("credentials"), f"the result is {result['state']}")
    failed = _failed_check(result)
    expect(failed.get("name") == failing, f"refused at {failed.get('name')} instead of {failing}")
    return Line(_CHECKED, f"state {result['state']}, check {failed['step']} {failing}")


def _other_digits(code: str) -> str:
    return "".join(str((int(digit) + 1) % 10) for digit in code)


def verify_without_issuer(story: Story) -> list[Line]:
    """A licence is verified at the bank as a text; and again, from the bank's copies, with the issuer stopped."""
    credential = story.licence_of_the_other()
    first = _verify(story, credential, offline=False)
    lines = [Line(_CHECKED, _how_old(first))]
    issuer = story.servers.get("issuer")
    with contextlib.nullcontext() if issuer is None else issuer.away():
        expect(issuer is None or not issuer.answers, "the issuer still answers")
        for offline in (True, False):
            again = _verify(story, credential, offline=offline)
            expect(again["credential"]["claims"] == first["credential"]["claims"], "it says something else now")
            lines.append(Line(_CHECKED, f"발급기관이 꺼진 채 · issuer stopped: {_how_old(again)}"))
        forged = _verify(story, change(credential, "name", "한지우"), offline=True, state="refused")
        failed = _failed_check(forged)
        expect(failed.get("name") == "content_unchanged", f"refused at {failed.get('name')}")
        lines.append(Line(_CHECKED, f"state refused, check {failed['step']} {failed['name']}"))
    return lines


def _verify(story: Story, credential: str, *, offline: bool, state: str = "verified") -> dict[str, Any]:
    key = f"{story.attempt}-{offline}-{state}"
    result = story.company(BANK).post("/verify", {"text": credential, "offline": offline}, key=key)
    # As above: the bank did not reach the agency's list.
    story.client.interrupted |= result["state"] == "not_verified"
    expect(result["state"] == state, f"the bank says {result['state']}: {result['error_description']}")
    expect(result["holder_binding"] == "not_proven", "a bare licence proves nothing about its holder")
    return result


def _how_old(result: Mapping[str, Any]) -> str:
    check = next(each for each in result["checks"] if each["name"] == "not_withdrawn")
    return f"check {check['step']} not_withdrawn: {check['detail']}"


def look_back(story: Story) -> list[Line]:
    """Nothing was lost: two cards, three presentations in the history, both issuances on the agencies' lists."""
    cards = sorted(card.configuration_id for card in story.good_cards())
    expect(
        cards == ["drivers-licence-mdoc", "drivers-licence-sd-jwt", "resident-certificate-sd-jwt"],
        f"the wallet holds {cards}",
    )
    ports = story.citizen.wallet.card_ports()
    with ports.unit:
        kinds = [record.kind for record in ports.history.of_account(story.citizen.owner.id)]
    sent = sum(kind in {RecordKind.SENT, RecordKind.SENDING} for kind in kinds)
    expect(sent >= 3, f"the history knows {sent} presentations")
    issued = 0
    for agency_id in ("police", "city"):
        issued += len(story.agency(agency_id).get(f"/credentials?subject_id={CITIZEN}")["credentials"])
    expect(issued >= 2, f"the agencies know of {issued} credentials")
    return [Line(_CHECKED, f"{len(cards)} cards, {sent} presentations in the history, {issued} copies on the lists")]


STEPS: Final = (
    Step("licence", Text("경찰이 운전면허증을 발급해요", "The police issue a driver's licence"), receive_licence),
    Step(
        "certificate",
        Text("시가 등본을 발급해요", "The city issues a resident certificate"),
        receive_certificate,
    ),
    Step(
        "mdl",
        Text("같은 면허증을 국제 규격으로도 받아요", "The same licence comes as an mdoc, which readers abroad know"),
        receive_mdoc,
    ),
    Step("bank", Text("은행에 나이와 주소를 증명해요", "Age and address are proven to a bank"), prove_to_bank),
    Step("shop", Text("편의점에 성인인 것만 보여줘요", "A shop learns only: adult"), prove_to_shop),
    Step("rental", Text("차를 빌려요 (mdoc)", "A car is rented, with the mdoc"), prove_to_rental),
    Step("wrong_code", Text("틀린 코드는 안 돼요", "A wrong transaction code is refused"), refuse_wrong_code),
    Step("replay", Text("한 번 보낸 답은 또 못 써요", "A replayed presentation is refused"), refuse_replay),
    Step("changed_claim", Text("고친 정보는 안 돼요", "A changed claim is refused"), refuse_changed_claim),
    Step("changed_mdoc", Text("고친 mdoc도 안 돼요", "Nor is a changed mdoc"), refuse_changed_mdoc),
    Step(
        "untrusted_issuer", Text("모르는 발급기관은 안 돼요", "An untrusted issuer is refused"), refuse_untrusted_issuer
    ),
    Step("lost_licence", Text("잃어버린 면허증은 안 돼요", "A licence reported lost is refused"), refuse_lost_licence),
    Step(
        "issuer_stopped",
        Text("발급기관이 꺼져도 확인돼요", "Verified again with the issuer stopped"),
        verify_without_issuer,
    ),
    Step(
        "other_type",
        Text("기관은 맡은 것만 발급해요", "An agency that issues what is not its own is refused"),
        refuse_other_types,
    ),
    Step("look_back", Text("잃은 것이 없어요", "Nothing was lost"), look_back),
)
