"""The citizen's errands, in which nobody at a counter helps: she logs in with her licence, waits, and moves house.

Her wallet is attested, its tokens are bound to its key, and each copy of a card is shown once.
"""

import contextlib
import csv
import io
import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from demo.citizen import WalletRefusal
from demo.deployment import DATA, DEFERRED_INTERVAL_SECONDS, STATUS_TTL_SECONDS
from demo.desks import Browser
from demo.exchanges import Exchange
from demo.stage import (
    BANK,
    CHECKED,
    CITIZEN,
    GOT,
    OTHER,
    PAUSE,
    SENT,
    Line,
    Story,
    expect,
    nothing_learnt,
    present,
    refusal,
    times,
)
from demo.stranger import Stranger
from holder_app.credentials.ports import Card, CardCopy, Grant
from holder_app.credentials.refreshing import Refreshed
from holder_app.credentials.use_cases import claims_of
from holder_app.issuance import states as issuing
from wallet_core.encoding import strict_json
from wallet_core.errors import FetchError, PeerRefusal
from wallet_core.formats.sd_jwt.holder import index_sd_jwt
from wallet_core.formats.sd_jwt.verifier import parse_sd_jwt
from wallet_core.http import Flow, HttpRequest, post_form
from wallet_core.jose import jws
from wallet_core.keys.jwk import thumbprint
from wallet_core.protocols.oauth2.client import ClientInstance
from wallet_core.protocols.oauth2.token import BEARER, DPOP, TokenResponse
from wallet_core.protocols.openid4vci import wallet
from wallet_core.protocols.openid4vci.pending import AuthorizationStarted
from wallet_core.protocols.openid4vci.resolving import resolve_again
from wallet_core.spec_versions import PROOF_TYPE_ATTESTATION
from wallet_core.trust.status_list.reference import parse_status
from wallet_core.types import AgencyId, CredentialConfigurationId, JsonObject

TAX_AGENCY, TAX = "national-tax", "income-certificate"
CITY, RESIDENT = "city", "resident-certificate"
INSURER, INSURED = "health-insurance", "health-insurance-eligibility"

_WALLET_LINK: Final = re.compile(r'href="([^"]*[?&](?:amp;)?request_uri=[^"]*)"')
_PROVED: Final = ("DPoP", "OAuth-Client-Attestation", "OAuth-Client-Attestation-PoP")
_QUERY: Final = "resident_certificate"
_TEMPORARY: Final = 500


# --- an agency of the high-assurance profile, and the licence as login


def ask_for_tax_certificate(story: Story) -> list[Line]:
    """She asks the tax office for a certificate, and logs in there by showing her licence."""
    issuer = story.facts["issuer"]["agencies"][TAX_AGENCY]["credential_issuer"]
    lines = [_refuse_plain_wallet(story, issuer)]
    started = story.citizen.ask_for(issuer, _configuration(story, TAX)).started
    pushed = _latest(story, "/oauth/par")
    expect(set(_PROVED[1:]) <= set(pushed.request.headers), "the wallet did not prove itself at the pushed request")
    expect(set(_query(started.url)) == {"client_id", "request_uri"}, "the browser carries more than a reference")
    lines.append(Line(SENT, f"POST /oauth/par → HTTP {pushed.response.status}, client attestation"))
    home, shown = _log_in_by_licence(story, started.url)
    lines.append(shown)
    received = story.citizen.come_back(home)
    (card,) = story.citizen.keep(received)
    lines += [_bound_to_her_keys(story, card), *_steal(story, card, started, _query(home))]
    _forget_older(story, card)
    listed = [each for each in story.issued(TAX_AGENCY, CITIZEN) if each["status"] == "valid"]
    expect(len(listed) >= len(card.copies), "the tax office does not know what it issued")
    return [*lines, times(story)]


def _refuse_plain_wallet(story: Story, issuer: str) -> Line:
    """A wallet that does not prove who it is gets nothing at an agency of the profile."""
    fields = {"response_type": "code", "client_id": story.citizen.wallet.identity.client_id, "scope": TAX}
    story.client.send(post_form(f"{issuer}/oauth/par", fields))
    return refusal(story.client.last, "증명 없는 지갑 · a wallet nobody attests", {"invalid_client"})


def _log_in_by_licence(story: Story, url: str) -> tuple[str, Line]:
    """Go through the login's pages as a browser does; return where it is sent home to, and what was shown."""
    browser = Browser(story.client, story.facts["issuer"]["url"])
    path = f"/agencies/{TAX_AGENCY}/login"
    browser.open(url)
    browser.open(f"{browser.url}{path}/presentation")
    browser.submit(f"{path}/presentation", {})
    story.citizen.refill()
    record, back = story.citizen.show(browser.link(_WALLET_LINK), {}, same_device=True)
    shown: Any = record.body["cards"]
    (licence,) = shown
    sent = sorted(each["path"] for each in licence["sent"])
    expect(sent == [["birth_date"], ["name"]], f"the login asked for {sent}")
    browser.open(back)
    expect(browser.page.ok, "the login did not take the licence")
    home = browser.submit(f"{path}/consent", {"decision": "yes"})
    expect(home.startswith(story.citizen.wallet.identity.redirect_uri), "the browser was sent elsewhere")
    labels = ", ".join(each["label"]["ko"] for each in (*licence["sent"], *licence["anyway"]))
    return home, Line(SENT, f"로그인 · login: {licence['name']['ko']}: {labels}")


def _bound_to_her_keys(story: Story, card: Card) -> Line:
    """The token is bound to the wallet's key, the copies to keys that the wallet's provider attests."""
    token, credential = _latest(story, "/oauth/token"), _latest(story, "/credential")
    expect(set(_PROVED) <= set(token.request.headers), "the wallet did not prove itself at the token endpoint")
    answer = strict_json.loads_object(token.response.body)
    expect(answer["token_type"] == DPOP, f"the token is of type {answer['token_type']}")
    expect(credential.request.headers["Authorization"].startswith(f"{DPOP} "), "the token went as a bearer's")
    asked = story.read_as_agency(TAX_AGENCY, credential.request)
    attested = asked.proof_type == PROOF_TYPE_ATTESTATION or all(
        "key_attestation" in _header(each) for each in asked.proofs
    )
    expect(attested, "the keys are not attested")
    words = f"{len(card.copies)} copies, token_type {answer['token_type']}, key attestation"
    return Line(GOT, f"{story.catalogue.agencies[AgencyId(TAX_AGENCY)].name.ko} → 지갑: {words}")


def _steal(story: Story, card: Card, started: AuthorizationStarted, answer: Mapping[str, str]) -> list[Line]:
    """What went over the wire is of no use a second time; and a code that comes twice ends what it gave."""
    story.client.send(_latest(story, "/credential").request)
    lines = [refusal(story.client.last, "같은 DPoP 증명을 다시 · the same DPoP proof again", {"invalid_dpop_proof"})]
    grant = _grant(card)
    again = wallet.finish_authorization(
        started,
        answer,
        {card.configuration_id: [story.stranger.signer.public_key]},
        _instance(story, grant),
        now=story.clock.now(),
        random=os.urandom,
    )
    lines.append(_refused(story, again, "같은 코드를 다시 · the same authorization code again"))
    lines.append(_refused(story, _refresh(story, grant, _instance(story, grant)), "그 코드로 받은 권한 · what it gave"))
    return lines


# --- copies are used up, and come again


def use_up_copies(story: Story) -> list[Line]:
    """She shows her certificate until every copy was seen, and the wallet fetches new ones by itself."""
    name = _configuration(story, RESIDENT)
    before = story.card(name)
    shown = 0
    while story.card(name).unused:
        copy = story.card(name).next_copy
        present(story, BANK, _ask(story, f"copy-{shown}"), {_QUERY: {("name",), ("address", "full")}}, {})
        expect(_uses(story.card(name))[copy.id] == 1, "a copy was not counted as shown")
        shown += 1
    expect(set(_uses(story.card(name)).values()) == {1}, "a copy was shown twice")
    lines = [
        Line(SENT, f"{shown} times → {story.facts['verifier']['parties'][BANK]['name']['ko']}, each copy once"),
        _refuse_used_copy(story),
        _refused(
            story, _refresh(story, _grant(before), _thief(story, before)), "훔친 갱신 토큰 · a stolen refresh token"
        ),
    ]
    issued = {each["credential_id"]: each["status"] for each in story.issued(CITY, CITIZEN)}
    outcome = story.citizen.refresh(before)
    expect(outcome is Refreshed.NEW, f"the wallet got no new copies: {outcome}")
    asked = _latest(story, "/oauth/token")
    expect(dict(parse_qsl(asked.request.body.decode()))["grant_type"] == "refresh_token", "it was asked otherwise")
    after = story.card(name)
    expect(len(after.unused) == len(after.copies) == len(before.copies), "not all copies came again")
    _expect_unlinkable((*before.copies, *after.copies))
    now = {each["credential_id"]: each["status"] for each in story.issued(CITY, CITIZEN)}
    expect(issued.items() <= now.items(), "what was issued before is no longer what it was")
    words = f"POST /oauth/token refresh_token → HTTP {asked.response.status}, {len(after.copies)} new copies"
    return [*lines, Line(GOT, words), Line(CHECKED, _unlike(len(before.copies) + len(after.copies))), times(story)]


def _refuse_used_copy(story: Story) -> Line:
    """The wallet shows no copy twice unless she says so."""
    request = _ask(story, "used-up")
    try:
        story.citizen.present(request["authorization_request"], {})
    except WalletRefusal as exc:
        expect(exc.description == "every copy was shown before", exc.detail)
    else:
        expect(False, "the wallet showed a copy twice")
    state = story.result(BANK, request["id"])["state"]
    expect(state == "retrieved", f"the bank's request is {state}")
    return Line(CHECKED, "지갑이 두 번 보여주지 않아요 · the wallet shows no copy twice")


def _expect_unlinkable(copies: Sequence[CardCopy]) -> None:
    """No two copies have a key, a place in a status list, a salt or a signature in common."""
    marks = [mark for copy in copies for mark in _marks(copy)]
    expect(len(set(marks)) == len(marks), "two copies have something in common")


def _marks(copy: CardCopy) -> list[object]:
    issuer_jwt, *disclosures = copy.credential.rstrip("~").split("~")
    status = parse_status(parse_sd_jwt(copy.credential).issuer_jws.claims()["status"])
    return [thumbprint(copy.signer.public_key), (status.uri, status.idx), issuer_jwt.rpartition(".")[2], *disclosures]


def _unlike(count: int) -> str:
    return f"{count} copies: no key, salt, status place or signature twice"


# --- a clerk decides


def wait_for_clerk(story: Story) -> list[Line]:
    """The insurer has a clerk look first: the wallet is asked to come back, and gets the certificate when it may."""
    offer = story.offer(INSURER, INSURED, CITIZEN, deferred=True)
    waiting = story.citizen.apply(offer["uri"], offer["tx_code"])
    state = waiting.state
    if not isinstance(state, issuing.Waiting):
        raise WalletRefusal("the wallet does not wait", detail=type(state).__name__)
    lines = [_put_off(story, "/credential", state.issued.deferred[0].interval)]
    time.sleep(DEFERRED_INTERVAL_SECONDS)
    waiting = story.citizen.ask_again(waiting)
    lines.append(_put_off(story, "/deferred", state.issued.deferred[0].interval))
    expect(not _of_offer(story, offer["id"]), "something was signed before anybody decided")
    lines.append(_refuse_other_token(story, state.issued.deferred[0].transaction_id))
    lines.append(_approve(story, offer["id"]))
    time.sleep(DEFERRED_INTERVAL_SECONDS)
    (card,) = story.citizen.keep(story.citizen.ask_again(waiting))
    given = _latest(story, "/deferred")
    expect(len(_of_offer(story, offer["id"])) == len(card.copies), "the insurer does not know what it issued")
    lines.append(Line(GOT, f"POST /deferred → HTTP {given.response.status}, {len(card.copies)} copies"))
    client = _instance(story, _grant(card))
    again = wallet.poll_deferred(
        state.issued, keep=lambda _: None, now=story.clock.now(), client=client, random=os.urandom
    )
    story.client.run(again)
    lines.append(refusal(_latest(story, "/deferred"), "한 번 더 · once more", {"invalid_transaction_id"}))
    _forget_older(story, card)
    return [*lines, times(story)]


def _put_off(story: Story, end: str, interval: int) -> Line:
    """There is no answer yet. What is said is encrypted to the wallet, which then waits ``interval`` seconds."""
    exchange = _latest(story, end)
    expect(exchange.response.status == 202, f"{end} answered {exchange.response.status} before anybody decided")
    return Line(CHECKED, f"POST {end} → HTTP 202, interval {interval}")


def _refuse_other_token(story: Story, transaction_id: str) -> Line:
    """Who knows the number of a request, and has a token of his own, gets nothing."""
    offer = story.offer(INSURER, INSURED, OTHER)
    resolved = story.stranger.resolve_offer(offer["uri"])
    token = strict_json.loads_object(story.stranger.redeem(resolved, offer["tx_code"]).response.body)["access_token"]
    endpoint = f"{resolved.offer.credential_issuer}/deferred"
    headers = {"Authorization": f"{BEARER} {token}", "Content-Type": "application/json"}
    body = strict_json.dumps({"transaction_id": transaction_id})
    story.client.send(HttpRequest("POST", endpoint, headers, body))
    return refusal(story.client.last, "남의 접수 번호 · somebody else's transaction_id", {"invalid_transaction_id"})


def _approve(story: Story, offer_id: str) -> Line:
    (issuance,) = story.agency(INSURER).get(f"/offers/{offer_id}")["deferred"]
    form = f"/console/issuances/{issuance['id']}/decision"
    story.console(INSURER).submit(f"{form}?to=ready", form, {"to": "ready"})
    (decided,) = story.agency(INSURER).get(f"/offers/{offer_id}")["deferred"]
    expect(decided["state"] == "ready", f"after the approval the request is {decided['state']}")
    return Line(CHECKED, f"담당자 승인 · approved by a clerk: {decided['decided_by']}")


def _of_offer(story: Story, offer_id: str) -> list[dict[str, Any]]:
    return [each for each in story.issued(INSURER, CITIZEN) if each["offer_id"] == offer_id]


# --- she moves


def change_address(story: Story) -> list[Line]:
    """She moves: the city changes the record, all her copies are replaced, and the old ones are worth nothing."""
    name = _configuration(story, RESIDENT)
    before = story.card(name)
    address = _move(story)
    order = {"credential_type": RESIDENT, "reason": "전입신고 (시험용)", "grace_seconds": 86_400}
    marked = story.agency(CITY).post(f"/subjects/{CITIZEN}/reissue", order, key=f"{story.attempt}-reissue")
    live = [each for each in story.issued(CITY, CITIZEN) if each["status"] == "valid"]
    lines = [Line(CHECKED, f"POST /subjects/{CITIZEN}/reissue → {marked['copies']} copies to be replaced")]
    outcome = story.citizen.refresh(before)
    expect(outcome is Refreshed.CHANGED, f"the wallet noticed no change: {outcome}")
    after = story.card(name)
    claims: Any = claims_of(after)
    expect(claims["address"]["full"] == address, "the new copies have another address")
    expect(len(after.unused) == len(after.copies) == len(before.copies), "not all copies came again")
    revoked = _revoked(story, live)
    lines.append(Line(GOT, f"{len(after.copies)} copies: {address}; {revoked} old ones revoked"))
    lines += _refuse_old_copy(story, before.next_copy)
    request = _ask(story, "new")
    lines += present(story, BANK, request, {_QUERY: {("name",), ("address", "full")}}, {})
    shown = story.result(BANK, request["id"])["credentials"][_QUERY][0]["claims"]
    expect(shown["address"]["full"] == address, "the bank got another address")
    return lines


def _revoked(story: Story, live: Sequence[Mapping[str, Any]]) -> int:
    """See that what this wallet held has ended, and return how much; other wallets of hers ask by themselves."""
    now = {each["credential_id"]: each for each in story.issued(CITY, CITIZEN)}
    before = {each["credential_id"] for each in live}
    offers = {each["offer_id"] for number, each in now.items() if number not in before and each["status"] == "valid"}
    statuses = [now[each["credential_id"]]["status"] for each in live if each["offer_id"] in offers]
    expect(statuses and set(statuses) == {"invalid"}, "an old copy is still good at the city")
    return len(statuses)


def _move(story: Story) -> str:
    """Have the city store a new address of the citizen and return it."""
    with (DATA / "households.csv").open(encoding="utf-8", newline="") as file:
        row = next(each for each in csv.DictReader(file) if each["subject_id"] == CITIZEN)
    now = story.clock.now()
    detail = f"{now:%H%M%S}동 {now.microsecond}호"
    address = f"서울특별시 마포구 새집로 9999, {detail} (시험동)"
    row |= {"address.full": address, "address.road": "새집로", "address.detail": detail}
    table = io.StringIO()
    writer = csv.DictWriter(table, [*row])
    writer.writeheader()
    writer.writerow(row)
    stored = story.agency(CITY).upload("/records", table.getvalue(), key=f"{story.attempt}-records")
    expect(stored["imported"] == 1, "the city did not store the new address")
    return address


def _refuse_old_copy(story: Story, copy: CardCopy) -> list[Line]:
    """A copy from before is refused as soon as the bank's own copy of the status list is used up."""
    holder = replace(story.stranger, signer=copy.signer)
    begun = time.monotonic()
    while True:
        # An agency that is down meanwhile tells nobody; then the step is told anew.
        story.agency(CITY).get("/offers")
        request, answer = _show_old(story, holder, copy, f"{time.monotonic():.3f}")
        waited = time.monotonic() - begun
        if not answer.response.ok:
            break
        expect(waited < STATUS_TTL_SECONDS + 1, f"{waited:.0f} s after the move the bank still takes an old copy")
        time.sleep(PAUSE)
    words = f"이사 전 등본, {waited:.0f}초 뒤 · a copy from before, after {waited:.0f} s"
    return [refusal(answer, words, {"invalid_request"}), nothing_learnt(story, BANK, request, "not_withdrawn")]


def _show_old(story: Story, holder: Stranger, copy: CardCopy, name: str) -> tuple[str, Exchange]:
    request = _ask(story, name)
    resolved = holder.resolve(request["authorization_request"], now=story.clock.now())
    shown = index_sd_jwt(copy.credential).select([("name",), ("address", "full")])
    return request["id"], holder.present(resolved, _QUERY, shown, now=story.clock.now())[1]


# --- what several of them need


def _configuration(story: Story, type_id: str) -> CredentialConfigurationId:
    (entry,) = story.catalogue.types[type_id].formats
    return entry.configuration_id


def _ask(story: Story, name: str) -> dict[str, Any]:
    """Return the bank's request for name and address from the certificate of residence."""
    claims = [{"path": ["name"]}, {"path": ["address", "full"]}]
    vct = story.catalogue.types[RESIDENT].vct
    query = {"id": _QUERY, "format": "dc+sd-jwt", "meta": {"vct_values": [vct]}, "claims": claims}
    body = {"dcql_query": {"credentials": [query]}}
    return story.company(BANK).post("/presentations", body, key=f"{story.attempt}-{name}")


def _latest(story: Story, end: str) -> Exchange:
    """Return the step's latest request to an endpoint with its answer."""
    found = [each for each in story.client.exchanges if urlsplit(each.request.url).path.endswith(end)]
    expect(found, f"nobody asked {end}")
    return found[-1]


def _forget_older(story: Story, card: Card) -> None:
    """Delete what the new card replaces: a story that is told again leaves one card of each kind."""
    for each in story.citizen.cards():
        if each.configuration_id == card.configuration_id and each.id != card.id:
            story.citizen.delete(each)


def _grant(card: Card) -> Grant:
    """Return with what the wallet fetches new copies of a card. Raises ``StoryFailed`` if it got nothing for that."""
    grant = card.grant
    if grant is None:
        raise WalletRefusal("the agency gave no refresh token", detail=card.configuration_id)
    return grant


def _instance(story: Story, grant: Grant) -> ClientInstance:
    """Return the citizen's wallet as the agency of a grant knows it."""
    signer = story.citizen.wallet.identity.instance_key(story.citizen.owner.id, grant.issuer)
    provider = story.citizen.wallet.provider
    attestation = None if provider is None else provider.attest_instance(signer.public_key)
    return ClientInstance(story.citizen.wallet.identity.client_id, grant.redirect_uri, signer, attestation)


def _thief(story: Story, card: Card) -> ClientInstance:
    """Return somebody who says he is that wallet and has a key of his own."""
    return replace(_instance(story, _grant(card)), signer=story.stranger.signer, attestation=None)


def _refresh(story: Story, grant: Grant, client: ClientInstance) -> Flow[object]:
    """Ask for a new access token with a refresh token."""
    offer = yield from resolve_again(
        grant.issuer, grant.configuration_id, authorization_server=grant.authorization_server
    )
    token = TokenResponse("-", None, {}, DPOP, grant.refresh_token)
    return (yield from wallet.refresh_access(offer, token, client, now=story.clock.now(), random=os.urandom))


def _refused(story: Story, flow: Flow[object], what: str) -> Line:
    """Return the line of a flow that ends at a token endpoint with a refusal."""
    with contextlib.suppress(PeerRefusal):
        story.client.run(flow)
    if story.client.last.response.status >= _TEMPORARY:
        raise FetchError("a server cannot answer now", detail=what)
    return refusal(story.client.last, what, {"invalid_grant"})


def _uses(card: Card) -> dict[str, int]:
    return {copy.id: copy.uses for copy in card.copies}


def _header(proof: str) -> JsonObject:
    return jws.parse(proof).header


def _query(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query))
