"""The story: what a citizen, her agencies and those who ask do, and what must be refused. Each step stands alone."""

import contextlib
import time
from collections.abc import Iterable, Mapping
from typing import Any, Final

from demo.agreements import pay_tax, refuse_changed_payment
from demo.audit import audit_record_of_a_check
from demo.deployment import STATUS_TTL_SECONDS
from demo.errands import ask_for_tax_certificate, change_address, use_up_copies, wait_for_clerk
from demo.exchanges import Exchange
from demo.forgeries import deceive_wallet, refuse_forged_answers, refuse_forged_proofs
from demo.shops import catch_over_asking
from demo.stage import (
    BANK,
    CHECKED,
    CITIZEN,
    GOT,
    HELD,
    OTHER,
    PAUSE,
    RENTAL,
    SHOP,
    Line,
    Path,
    Step,
    Story,
    StoryFailed,
    Told,
    expect,
    failed_check,
    nothing_learnt,
    present,
    refusal,
    tell_step,
    times,
)
from demo.stranger import change, change_element, select
from demo.web_wallet import use_web_wallet
from holder_app.credentials.ports import Card, RecordKind
from holder_app.credentials.use_cases import open_copy
from wallet_core.catalogue import Text
from wallet_core.encoding import base64url
from wallet_core.formats.mdoc.holder import HeldMdoc
from wallet_core.spec_versions import FORMAT_MDOC, FORMAT_SD_JWT_VC, NAMESPACE_MDL, NAMESPACE_MDL_KR
from wallet_core.types import CredentialIssuerId

__all__ = ["STEPS", "Step", "Story", "StoryFailed", "Told", "tell"]

MAX_TRIES: Final = 12
"""Wrong transaction codes after which the story gives up waiting for the code to die."""


def tell(story: Story, steps: Iterable[Step] | None = None) -> Iterable[Told]:
    """Yield each step as soon as it held.

    Raises:
        StoryFailed: a step did not hold.
    """
    for step in steps or STEPS:
        yield tell_step(story, step)


# --- what is done


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
    label = HELD if held else GOT
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
    return [Line(label, words), *([times(story)] if label is GOT else [])]


def _contents(card: Card) -> str:
    """Return how much there is to choose from in a card."""
    held = open_copy(card, card.copies[0])
    if isinstance(held, HeldMdoc):
        return f"{len(held.items)} data elements (mdoc)"
    return f"{len(held.paths)} disclosures"


def prove_to_bank(story: Story) -> list[Line]:
    """The citizen opens an account: two cards of two agencies in one consent, the second one because she adds it."""
    wanted: dict[str, set[Path]] = {
        "licence": {("name",), ("document_number",), ("age_over_19",)},
        "resident_certificate": {("name",), ("address", "full")},
    }
    return present(story, BANK, story.request(BANK, "account-opening"), wanted, {"send-1": "on"})


def prove_to_shop(story: Story) -> list[Line]:
    """The citizen proves to a convenience store that she is an adult, and nothing else."""
    return present(story, SHOP, story.request(SHOP, "adult-check"), {"licence": {("adult_by_year",)}}, {})


def prove_to_rental(story: Story) -> list[Line]:
    """The citizen shows a car-rental firm that she may drive: of her two licences, the mdoc."""
    asked: set[Path] = {
        (NAMESPACE_MDL_KR, "may_drive_ordinary_car"),
        (NAMESPACE_MDL, "expiry_date"),
        (NAMESPACE_MDL, "portrait"),
    }
    return present(story, RENTAL, story.request(RENTAL, "car-rental"), {"licence_mdoc": asked}, {}, FORMAT_MDOC)


# --- what must be refused


def refuse_wrong_code(story: Story) -> list[Line]:
    """Wrong transaction codes are refused and counted; then the code is dead, and the right one is refused too."""
    offer = story.offer("police", "drivers-licence", OTHER)
    resolved = story.stranger.resolve_offer(offer["uri"])
    wrong = _other_digits(offer["tx_code"])
    lines: list[Line] = []
    for number in range(1, MAX_TRIES + 1):
        lines.append(
            refusal(story.stranger.redeem(resolved, wrong), f"{number}번째 틀린 코드 · wrong code", {"invalid_grant"})
        )
        if story.agency("police").get(f"/offers/{offer['id']}")["state"] == "refused":
            break
    state = story.agency("police").get(f"/offers/{offer['id']}")["state"]
    expect(state == "refused", f"after {MAX_TRIES} wrong codes the offer is {state}")
    last = story.stranger.redeem(resolved, offer["tx_code"])
    return [*lines, refusal(last, "그다음 맞는 코드 · then the right one", {"invalid_grant"})]


def refuse_replay(story: Story) -> list[Line]:
    """An answer is taken once: neither the same bytes again nor the same presentation for another request."""
    now, credential = story.clock.now(), story.licence_of_the_other()
    shown = select(credential, ["adult_by_year"])
    first = story.stranger.resolve(story.request(SHOP, "adult-check", "1")["authorization_request"], now=now)
    presentation, taken = story.stranger.present(first, "licence", shown, now=now)
    expect(taken.response.ok, f"the honest answer was refused with {taken.response.status} {taken.error}")
    again = refusal(story.stranger.repeat(taken), "같은 답을 다시 · the same bytes again", {"invalid_request"})
    request = story.request(SHOP, "adult-check", "2")
    second = story.stranger.resolve(request["authorization_request"], now=now)
    elsewhere = story.stranger.send(second, "licence", presentation)
    line = refusal(elsewhere, "같은 답을 다른 요청에 · for another request", {"invalid_request"})
    return [again, line, nothing_learnt(story, SHOP, request["id"], "holder_present")]


def refuse_changed_claim(story: Story) -> list[Line]:
    """A holder who writes another name into her own card is found out."""
    now, credential = story.clock.now(), story.licence_of_the_other()
    forged = change(select(credential, ["name"]), "name", "한지우")
    request = story.request(SHOP, "parcel-pickup")
    resolved = story.stranger.resolve(request["authorization_request"], now=now)
    _, exchange = story.stranger.present(resolved, "licence", forged, now=now)
    line = refusal(exchange, "이름을 고친 운전면허증 · a changed name", {"invalid_request"})
    return [line, nothing_learnt(story, SHOP, request["id"], "content_unchanged")]


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
        refusal(changed, "이름을 고친 국제 규격 면허증 · a changed name in an mdoc", {"invalid_request"}),
        nothing_learnt(story, SHOP, requests[0]["id"], "content_unchanged"),
        refusal(elsewhere, "다른 요청에 서명한 답 · signed for another request", {"invalid_request"}),
        nothing_learnt(story, SHOP, requests[1]["id"], "holder_present"),
    ]


def refuse_untrusted_issuer(story: Story) -> list[Line]:
    """A licence that says it is the police's, under a certificate nobody trusts, is refused."""
    now = story.clock.now()
    issuer = CredentialIssuerId(story.facts["issuer"]["agencies"]["police"]["credential_issuer"])
    forged = story.stranger.forge(story.catalogue.types["drivers-licence"], issuer, now=now)
    request = story.request(SHOP, "adult-check")
    resolved = story.stranger.resolve(request["authorization_request"], now=now)
    _, exchange = story.stranger.present(resolved, "licence", select(forged, ["adult_by_year"]), now=now)
    line = refusal(exchange, "아무도 믿지 않는 발급기관 · nobody trusts the issuer", {"invalid_request"})
    return [line, nothing_learnt(story, SHOP, request["id"], "issuer_trusted")]


def refuse_lost_licence(story: Story) -> list[Line]:
    """A licence that was reported lost is refused at the bank as soon as the bank's copy of the list is used up."""
    offer = story.offer("police", "drivers-licence", OTHER)
    credential = story.stranger.receive(offer["uri"], offer["tx_code"], now=story.clock.now())
    first, taken = _ask_bank(story, credential, "before")
    expect(taken.response.ok, f"a good licence was refused with {taken.response.status} {taken.error}")
    checked = next(check for check in story.result(BANK, first)["checks"] if check["name"] == "not_withdrawn")
    lines = [Line(CHECKED, f"check {checked['step']} not_withdrawn: {checked['detail']}")]
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
        time.sleep(PAUSE)
    words = f"분실 신고 {waited:.0f}초 뒤 은행 (ttl {STATUS_TTL_SECONDS}) · {waited:.0f} s after it was reported lost"
    return [
        *lines,
        refusal(answer, words, {"invalid_request"}),
        nothing_learnt(story, BANK, request, "not_withdrawn"),
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
    found = [each for each in story.issued("police", OTHER) if each["offer_id"] == offer_id]
    expect(found, "the agency does not know what it issued")
    return str(found[0]["credential_id"])


def refuse_other_types(story: Story) -> list[Line]:
    """A real agency that signs a licence, which only the police may issue, is refused: the trust list decides."""
    now = story.clock.now()
    city = CredentialIssuerId(story.facts["issuer"]["agencies"]["city"]["credential_issuer"])
    licence = story.catalogue.types["drivers-licence"]
    signed = story.stranger.sign_as(story.issuer_keys.signing_key("city"), licence, city, now=now)
    request = story.request(SHOP, "adult-check", "other-type")
    resolved = story.stranger.resolve(request["authorization_request"], now=now)
    _, exchange = story.stranger.present(resolved, "licence", select(signed, ["adult_by_year"]), now=now)
    line = refusal(exchange, "시청이 서명한 운전면허증 · a licence signed by the city", {"invalid_request"})
    return [line, nothing_learnt(story, SHOP, request["id"], "issuer_permitted")]


def _other_digits(code: str) -> str:
    return "".join(str((int(digit) + 1) % 10) for digit in code)


def verify_without_issuer(story: Story) -> list[Line]:
    """A licence is verified at the bank as a text; and again, from the bank's copies, with the issuer stopped."""
    credential = story.licence_of_the_other()
    first = _verify(story, credential, offline=False)
    lines = [Line(CHECKED, _how_old(first))]
    issuer = story.servers.get("issuer")
    with contextlib.nullcontext() if issuer is None else issuer.away():
        expect(issuer is None or not issuer.answers, "the issuer still answers")
        for offline in (True, False):
            again = _verify(story, credential, offline=offline)
            expect(again["credential"]["claims"] == first["credential"]["claims"], "it says something else now")
            lines.append(Line(CHECKED, f"발급기관이 꺼진 채 · issuer stopped: {_how_old(again)}"))
        forged = _verify(story, change(credential, "name", "한지우"), offline=True, state="refused")
        failed = failed_check(forged)
        expect(failed.get("name") == "content_unchanged", f"refused at {failed.get('name')}")
        answer = story.client.last
        words = f"이름을 고친 운전면허증 · a changed name → HTTP {answer.response.status}, error {forged['error']}"
        lines.append(Line(CHECKED, f"{words}, state refused, check {failed['step']} {failed['name']}"))
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
    """Nothing was lost: all cards, the presentations in the history, all issuances on the agencies' lists."""
    cards = sorted(card.configuration_id for card in story.good_cards())
    expect(
        cards
        == [
            "drivers-licence-mdoc",
            "drivers-licence-sd-jwt",
            "health-insurance-eligibility-sd-jwt",
            "income-certificate-sd-jwt",
            "resident-certificate-sd-jwt",
        ],
        f"the wallet holds {cards}",
    )
    ports = story.citizen.wallet.card_ports()
    with ports.unit:
        kinds = [record.kind for record in ports.history.of_account(story.citizen.owner.id)]
    sent = sum(kind in {RecordKind.SENT, RecordKind.SENDING} for kind in kinds)
    expect(sent >= 3, f"the history knows {sent} presentations")
    issued = {each: len(story.issued(each, CITIZEN)) for each in ("police", "city", "national-tax", "health-insurance")}
    expect(all(issued.values()), f"the agencies know of {issued}")
    total = sum(issued.values())
    return [Line(CHECKED, f"{len(cards)} cards, {sent} presentations in the history, {total} copies on the lists")]


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
    Step(
        "bank",
        Text("두 카드로 한 번에 계좌를 열어요", "A bank account is opened: two cards in one consent"),
        prove_to_bank,
    ),
    Step("shop", Text("편의점에 성인인 것만 보여줘요", "A shop learns only: adult"), prove_to_shop),
    Step(
        "over_asking",
        Text("편의점이 더 물으면 지갑이 알려 줘요", "A shop that asks for too much is caught"),
        catch_over_asking,
    ),
    Step("rental", Text("차를 빌려요 (mdoc)", "A car is rented, with the mdoc"), prove_to_rental),
    Step(
        "tax",
        Text(
            "면허증으로 로그인해서 소득금액증명을 받아요", "An income certificate, asked for with the licence as login"
        ),
        ask_for_tax_certificate,
    ),
    Step("used_up", Text("등본은 한 장씩만 쓰고 다시 채워요", "Each copy once; then new copies come"), use_up_copies),
    Step("clerk", Text("담당자가 보고 나서 발급해요", "A clerk decides first"), wait_for_clerk),
    Step(
        "record",
        Text("감사인이 은행의 검증 기록을 확인해요", "An auditor looks at the bank's record of a check"),
        audit_record_of_a_check,
    ),
    Step(
        "web_wallet",
        Text("웹 지갑에서도 받고 보여줘요", "In the web wallet, over its pages: received, and shown to the shop"),
        use_web_wallet,
    ),
    Step("payment", Text("자동차세를 내기로 해요", "A tax payment is agreed to"), pay_tax),
    Step("wrong_code", Text("틀린 코드는 안 돼요", "A wrong transaction code is refused"), refuse_wrong_code),
    Step("replay", Text("한 번 보낸 답은 또 못 써요", "A replayed presentation is refused"), refuse_replay),
    Step("changed_claim", Text("고친 정보는 안 돼요", "A changed claim is refused"), refuse_changed_claim),
    Step("changed_mdoc", Text("고친 mdoc도 안 돼요", "Nor is a changed mdoc"), refuse_changed_mdoc),
    Step(
        "untrusted_issuer", Text("모르는 발급기관은 안 돼요", "An untrusted issuer is refused"), refuse_untrusted_issuer
    ),
    Step(
        "forged_answers",
        Text("꾸민 답은 하나하나 거절돼요", "Forged answers, one after the other"),
        refuse_forged_answers,
    ),
    Step(
        "forged_proofs",
        Text("꾸민 증명으로는 발급받지 못해요", "Forged proofs get no card"),
        refuse_forged_proofs,
    ),
    Step(
        "deceived_wallet",
        Text("지갑은 꾸민 요청도 카드도 믿지 않아요", "A wallet believes no forged request, and keeps no forged card"),
        deceive_wallet,
    ),
    Step("lost_licence", Text("잃어버린 면허증은 안 돼요", "A licence reported lost is refused"), refuse_lost_licence),
    Step(
        "changed_payment",
        Text("금액을 고친 동의는 안 돼요", "Agreeing to another sum is refused"),
        refuse_changed_payment,
    ),
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
    Step(
        "new_address",
        Text("이사하면 등본이 모두 바뀌어요", "After a change of address every copy is new"),
        change_address,
    ),
    Step("look_back", Text("잃은 것이 없어요", "Nothing was lost"), look_back),
)
