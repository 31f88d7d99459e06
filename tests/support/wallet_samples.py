"""What the wallet's pages of receiving, renewing and consenting are shown with when no wallet runs. Invented data."""

import base64
import io
from dataclasses import replace
from datetime import timedelta
from typing import Any

from PIL import Image

from holder_app.accounts.ports import Account, AccountId
from holder_app.credentials.describe import CardState, CardView, Field, texts
from holder_app.credentials.pages import FILTERS
from holder_app.credentials.ports import HistoryRecord, RecordKind
from holder_app.issuance.choosing import Choice, IssuerView, KnownIssuer
from holder_app.issuance.describe import OfferedCard, OfferView
from holder_app.presentation.describe import (
    Asked,
    ExtraView,
    GroupView,
    PickView,
    RequestView,
    TransactionView,
    UnlikeView,
)
from holder_app.presentation.standing import StandingView, UseView, Usual
from tests.support.page_samples import LICENCE, LONG_NAME, NOW, POLICE
from wallet_core.adapters.config import load_catalogue
from wallet_core.protocols.openid4vci.offer import TxCodeInput
from wallet_core.protocols.openid4vp.pending import VerifierIdentity
from wallet_core.protocols.openid4vp.verifier_info import Standing
from wallet_core.types import ClientId, CredentialConfigurationId, CredentialIssuerId, JsonObject


def picture() -> str:
    """Return a grey rectangle in the place of a face."""
    file = io.BytesIO()
    Image.new("RGB", (70, 90), "#cdd9e6").save(file, "JPEG")
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()


FACE = picture()
AT = "/offers/o-8k2d"
ISSUER = CredentialIssuerId("https://issuer.example/agencies/police")
KNOWN = KnownIssuer(ISSUER, POLICE, "issuer.example")
NAMED = (
    Field(("family_name",), {"ko": "이름", "en": "Name"}, LONG_NAME, "name"),
    Field(("driving_privileges",), {"ko": "면허 종류", "en": "Class"}, "2", codes={"2": {"ko": "2종 보통", "en": "2"}}),
    Field(("resident_address",), {"ko": "주소", "en": "Address"}, "가람시 한들로 27, 103동 1204호 (시험용)", "hidden"),
    Field(("age_over_19",), {"ko": "만 19세 이상", "en": "Aged 19 or over"}, value=True),
)
CARD = CardView(
    id="c-1", name=LICENCE, cloth="jjok", issuer_name=POLICE["ko"], received_at=NOW, expires_at=NOW + timedelta(30),
    state=CardState.USABLE, days_left=30, front=NAMED[:2], fields=NAMED, copies=10, status_checked_at=NOW,
    copies_left=7, can_refresh=True,
)  # fmt: skip
SHORT = replace(NAMED[0], value="한지우")
PORTRAIT = Field(("portrait",), {"ko": "사진", "en": "Portrait"}, FACE, is_image=True)
WITH_PORTRAIT = replace(CARD, front=(SHORT, NAMED[1]), fields=(*NAMED, PORTRAIT))
USED_UP = replace(CARD, copies_left=0)
UNREADABLE = replace(CARD, state=CardState.UNREADABLE, front=(), fields=(), copies=0, copies_left=0)
OFFERED = OfferedCard(LICENCE, "jjok", tuple(field.label for field in NAMED * 3), 30)
CERTIFICATE = OfferedCard({"ko": "소득금액증명", "en": "Income certificate"}, "ssuk", (NAMED[0].label,), None)
OFFER = OfferView(POLICE, ISSUER, "issuer.example", (OFFERED,), TxCodeInput("numeric", 6), True, "login.example")
LOGIN_OFFER = replace(OFFER, tx_code=None, has_code=False)
PARTLY = replace(OFFER, cards=(OFFERED, replace(CERTIFICATE, claims=(), usable=False)))


def choice(name: str, card: OfferedCard, *, usable: bool = True) -> Choice:
    """Return one thing that an issuer offers."""
    return Choice(CredentialConfigurationId(name), replace(card, usable=usable))


def record(kind: RecordKind, **body: Any) -> HistoryRecord:
    """Return a line of the history."""
    peer: JsonObject = {"name": POLICE, "verified_name": POLICE["ko"], "host": "issuer.example"}
    whole = {"peer": peer, "cards": [{"name": LICENCE, "issuer_name": POLICE["ko"]}], **body}
    return HistoryRecord("17", AccountId("a-1"), kind, NOW, whole)


CHANGED = record(RecordKind.UPDATED, changed=[field.label for field in NAMED[:3]])
RENEWED = record(RecordKind.UPDATED, changed=[])
SENT = record(RecordKind.SENT, cards=[{"name": LICENCE, "issuer_name": "", "sent": [NAMED[3].to_json()]}])


OVER_ASKED = record(
    RecordKind.REQUEST_DECLINED,
    peer={"name": "동네가게 (시험용)", "host": "verifier.example"},
    cards=[],
    registration={"standing": "registered", "over_asked": [field.label for field in NAMED[:2]]},
)


KEPT_USES = [
    {
        "claims": [NAMED[2].label],
        "purpose": {"ko": "새 상품과 할인을 알려 드려요.", "en": "To tell you of discounts."},
        "retention": None,
        "kept_until": NOW + timedelta(days=3650),
    },
    {
        "claims": [NAMED[3].label],
        "purpose": {"ko": "술과 담배를 팔 때 나이를 확인해야 해요.", "en": "Shops must check ages."},
        "retention": {"ko": "보관하지 않아요.", "en": "Not kept."},
        "kept_until": None,
    },
]
GUESSED = record(
    RecordKind.SENT,
    peer={"name": "도담은행 (시험용)", "host": "verifier.example"},
    cards=[{"name": LICENCE, "issuer_name": POLICE["ko"], "sent": [NAMED[3].to_json()]}],
    usual={
        "name": {"ko": "비대면 계좌 개설", "en": "Account opening at a distance"},
        "retention": {"ko": "5년 동안 보관해요. 계좌를 열지 않으면 그날 바로 지워요.", "en": "Kept for five years."},
    },
    registration={"standing": "unregistered", "over_asked": []},
)


def blocked(reason: str) -> tuple[str, dict[str, Any]]:
    """Return the page of a request that the wallet stopped."""
    return "request_blocked.html", {"reason": reason, "detail": "of another verifier", "host": "verifier.example"}


def waiting(**changes: Any) -> dict[str, Any]:
    """Return what the page tells of an agency that decides later."""
    state = {"since": NOW, "next_at": NOW + timedelta(minutes=10), "card_ids": (), "trouble": False} | changes
    return {"name": POLICE, "at": AT, "state": state, "asked": ""}


def consent(*, used_up: bool, can_refresh: bool = True) -> RequestView:
    """Return a request that a licence answers."""
    policy = load_catalogue().policies["adult-check"]
    shop = VerifierIdentity(ClientId("x509_hash:kZ3n"), "verifier.example", "동네가게 (시험용)", "kZ3n")
    pick = PickView(
        "c-1", LICENCE, POLICE["ko"], "jjok", NOW, (Asked(NAMED[3], {"ko": "생일", "en": "Date of birth"}),), (), (),
        NAMED[:3], used_up=used_up, can_refresh=can_refresh,
    )  # fmt: skip
    groups = (GroupView(0, True, ((pick,),)),)
    return RequestView(shop, policy, REGISTERED, groups, satisfiable=True, match_number="47")


def no_match(*unlike: UnlikeView) -> tuple[str, dict[str, Any]]:
    """Return the page of a request that nothing answers."""
    view = replace(consent(used_up=False), groups=(), satisfiable=False, unlike=unlike)
    return "no_match.html", {"view": view, "at": "/requests/r-1", "failed": False}


AGE_CHECK = UseView(
    (NAMED[3].label,),
    {
        "ko": "술과 담배를 팔 때 나이를 확인해야 해요.",
        "en": "Shops must check ages before they sell alcohol or tobacco.",
    },
    {"ko": "보관하지 않아요. 보고 바로 지워요.", "en": "Not kept; deleted once seen."},
    None,
    "https://shop.example/privacy",
    "https://shop.example/help",
)
MARKETING = UseView(
    (NAMED[0].label, NAMED[2].label),
    {"ko": "새 상품과 할인을 알려 드려요.", "en": "To tell you of new products and discounts."},
    {"ko": "10년 동안 보관해요.", "en": "Kept for ten years."},
    NOW + timedelta(days=3650),
    "https://shop.example/advertising",
    "https://shop.example/help",
)
REGISTERED = StandingView(
    Standing.REGISTERED,
    {"ko": "동네가게 (시험용)", "en": "Corner Shop (test)"},
    NOW + timedelta(days=200),
    (AGE_CHECK,),
)
"""A shop that is in the register."""

USUAL = Usual(
    {"ko": "비대면 계좌 개설", "en": "Account opening at a distance"},
    {
        "ko": "비대면으로 계좌를 열 때 본인인지 확인해야 해요.",
        "en": "Banks must check who you are before opening an account online.",
    },
    ({"ko": "금융실명법", "en": "Real Name Financial Transactions Act"}, {"ko": "특정금융정보법", "en": "AML Act"}),
    {"ko": "5년 동안 보관해요. 계좌를 열지 않으면 그날 바로 지워요.", "en": "Kept for five years."},
)
"""What the wallet guesses of somebody who is not in the register."""


def over_asking() -> RequestView:
    """Return a request of a registered shop that asks for name and address as well."""
    view = consent(used_up=False)
    ((pick,),) = view.groups[0].alternatives
    more = (Asked(NAMED[0], None, over_asked=True), Asked(NAMED[1], None, over_asked=True))
    pick = replace(pick, asked=(*pick.asked, *more), hidden=(), extras=(ExtraView(0, (NAMED[2],), over_asked=True),))
    labels = tuple(field.label for field in NAMED[:3])
    return replace(
        view,
        policy=None,
        standing=replace(REGISTERED, over_asked=labels),
        groups=(GroupView(0, True, ((pick,),)),),
    )


def two_uses() -> RequestView:
    """Return a request of a shop with two registrations, each of which covers something."""
    view = over_asking()
    ((pick,),) = view.groups[0].alternatives
    pick = replace(pick, asked=tuple(replace(asked, over_asked=False) for asked in pick.asked), extras=())
    standing = replace(REGISTERED, uses=(MARKETING, AGE_CHECK))
    return replace(view, standing=standing, groups=(GroupView(0, True, ((pick,),)),))


def of_standing(standing: StandingView, *, verified: bool = True) -> RequestView:
    """Return a request of somebody who is known otherwise."""
    view = consent(used_up=False)
    shop = view.verifier if verified else replace(view.verifier, name=None, certificate_sha256=None)
    return replace(view, verifier=shop, policy=None, standing=standing)


def transactions() -> tuple[TransactionView, ...]:
    """Return two transactions to agree to, in words."""
    catalogue = load_catalogue()
    views = []
    for each in ("bill-payment", "document-agreement"):
        type_ = catalogue.transactions[each]
        values = type_.values(type_.example)
        lines = tuple((texts(line.label), texts(line.value)) for line in type_.lines(values))
        views.append(TransactionView(texts(type_.name), texts(type_.words(values)), lines))
    return tuple(views)


def agreed() -> HistoryRecord:
    """Return the receipt of a request that was agreed to."""
    shown = [
        {"name": each.name, "sentence": each.sentence,
         "lines": [{"label": label, "value": value} for label, value in each.lines]}
        for each in transactions()[:1]
    ]  # fmt: skip
    return replace(SENT, body={**SENT.body, "transactions": shown})


def asked(view: RequestView, **changes: Any) -> tuple[str, dict[str, Any]]:
    """Return the consent page of a request."""
    notes = dict.fromkeys(("failed", "scanned", "used", "changed", "large"), False)
    return "consent.html", {"view": view, "at": "/requests/r-1", **notes, **changes}


def card(shown: CardView, refreshed: str = "", **changes: Any) -> tuple[str, dict[str, Any]]:
    """Return the page of a card."""
    return "card.html", {"card": shown, "records": [SENT], "changes": [], "refreshed": refreshed} | changes


MONTHS = [{"today": False, "year": 2026, "month": 3, "records": [SENT, SENT]}]
REASONS = (
    "untrusted", "bad_credential", "refused", "bad_answer", "code_gone", "unsupported", "bad_offer", "login_refused",
    "denied", "no_anchor",
)  # fmt: skip
BLOCKED: dict[str, Any] = {
    "reason": "bad_request",
    "detail": "OpenID4VP 8.2: redirect_uri is there although the answer is posted",
    "host": "verifier.example",
    "at": "/requests/r-1",
}
WALLET: dict[str, tuple[str, dict[str, Any]]] = {
    "issuers": (
        "issuers.html",
        {"issuers": [KNOWN, KnownIssuer(ISSUER, {"ko": LONG_NAME}, "a-very-long-host-name.of-an-agency.example")]},
    ),
    "issuers-empty": ("issuers.html", {"issuers": []}),
    "sign-out": ("sign_out.html", {"account": Account(AccountId("p02"), "한지우 (시험용)", NOW), "demo": True}),
    "sign-in-incomplete": (
        "sign_in.html",
        {"next_page": "/", "demo": True, "refused": "incomplete", "code": "1234-5678-901"},
    ),
    "no-match": no_match(),
    "no-match-unlike": no_match(UnlikeView(LICENCE, POLICE["ko"], (replace(NAMED[3], value=False),))),
    **{
        f"issuer-{name}": ("issuer.html", {"view": IssuerView(KNOWN, POLICE, choices), "chosen": chosen})
        for name, choices, chosen in (
            ("offers", (choice("licence", OFFERED), choice("income", CERTIFICATE)), True),
            ("nothing-chosen", (choice("licence", OFFERED), choice("income", CERTIFICATE)), False),
            ("unusable", (choice("licence", OFFERED, usable=False),), True),
        )
    },
    "issuer-silent": (
        "issuer_silent.html",
        {"host": "issuer.example", "again": "/add/issuer?id=x", "detail": "no answer within 5 seconds"},
    ),
    "offer": (
        "offer.html",
        {"offer": OFFER, "at": AT, "failed": False, "state": {"notice": "", "wrong_codes": 0, "tries_left": None}},
    ),
    "offer-unfit-code": (
        "offer.html",
        {
            "offer": OFFER,
            "at": AT,
            "failed": False,
            "typed": "1234",
            "state": {"notice": "", "wrong_codes": 0, "tries_left": None},
        },
    ),
    "offer-partly": (
        "offer.html",
        {"offer": PARTLY, "at": AT, "failed": False, "state": {"notice": "", "wrong_codes": 0, "tries_left": None}},
    ),
    **{
        f"offer-login{'-' * bool(notice)}{notice}": (
            "offer.html",
            {"offer": LOGIN_OFFER, "at": AT, "failed": False, "state": {"notice": notice, "wrong_codes": 0}},
        )
        for notice in ("", "cancelled")
    },
    "login-waiting": ("login_waiting.html", {"offer": LOGIN_OFFER, "at": AT, "failed": False}),
    "login-unreachable": ("login_waiting.html", {"offer": LOGIN_OFFER, "at": AT, "failed": True}),
    "login-lost": ("login_lost.html", {}),
    "receiving": ("offer_waiting.html", {"at": AT, "offer": None, "failed": True, "busy_until": None}),
    "receiving-busy": (
        "offer_waiting.html",
        {"at": AT, "offer": None, "failed": False, "busy_until": NOW, "again": True},
    ),
    "deferred": ("offer_deferred.html", waiting()),
    "deferred-asked": ("offer_deferred.html", waiting(card_ids=("c-1",)) | {"asked": "asked"}),
    "deferred-early": ("offer_deferred.html", waiting() | {"asked": "early"}),
    "deferred-trouble": ("offer_deferred.html", waiting(trouble=True)),
    "preview": ("offer_preview.html", {"cards": [CARD], "at": AT, "missing": 0, "waits": 0}),
    "preview-some": ("offer_preview.html", {"cards": [CARD, CARD], "at": AT, "missing": 1, "waits": 1}),
    "done": ("offer_done.html", {"card_ids": ["c-1"]}),
    **{
        f"ended-{reason}": ("offer_ended.html", {"reason": reason, "detail": "invalid_request"})
        for reason in ("declined", "mixed_up")
    },
    "card": card(CARD, changes=[CHANGED, RENEWED]),
    "card-portrait": card(WITH_PORTRAIT),
    "card-ends-soon": card(replace(WITH_PORTRAIT, state=CardState.ENDS_SOON, days_left=3)),
    **{f"card-{state}": card(replace(CARD, state=state)) for state in ("expired", "suspended", "revoked")},
    "card-used-up": card(USED_UP),
    "card-unreadable": card(UNREADABLE),
    "card-used-up-for-good": card(replace(USED_UP, can_refresh=False)),
    **{f"card-{refreshed}": card(CARD, refreshed) for refreshed in ("new", "over")},
    "home-waiting": (
        "home.html",
        {
            "account": {"name": LONG_NAME},
            "cards": [USED_UP, UNREADABLE, replace(CARD, state=CardState.REVOKED)],
            "records": [CHANGED, RENEWED, replace(SENT, body={}, is_readable=False)],
            "unfinished": [
                {"id": "o-1", "kind": kind, "state": {"since": NOW}, "name": POLICE, "until": NOW}
                for kind in ("preview", "signing", "waiting")
            ],
        },
    ),
    "history": (
        "history.html",
        {
            "months": [{"today": True, "records": [CHANGED, RENEWED, SENT, record(RecordKind.RECEIVED)]}],
            "filters": FILTERS,
            "kind": "",
            "before": "",
            "older": "17",
        },
    ),
    **{
        f"history-{name}": (
            "history.html",
            {"months": months, "filters": FILTERS, "kind": kind, "before": before, "older": older},
        )
        for name, kind, before, older, months in (
            ("middle", "sent", "17", "18", MONTHS),
            ("end", "", "17", None, MONTHS),
            ("past-the-end", "", "17", None, []),
            ("none-such", "deleted", "", None, []),
            ("empty", "", "", None, []),
        )
    },
    "record-updated": ("record.html", {"record": CHANGED, "uses": [], "back_to": ""}),
    "record-unreadable": (
        "record.html",
        {"record": replace(SENT, body={}, is_readable=False), "uses": [], "back_to": ""},
    ),
    "record-renewed": ("record.html", {"record": RENEWED, "uses": [], "back_to": ""}),
    "consent-transaction": asked(replace(consent(used_up=False), transactions=transactions())),
    "record-agreed": ("record.html", {"record": agreed(), "uses": [], "back_to": ""}),
    "consent-scanned": asked(consent(used_up=False), scanned=True),
    "consent-registered": asked(consent(used_up=False)),
    "consent-unregistered": asked(of_standing(StandingView())),
    "consent-two-uses": asked(two_uses()),
    "consent-unregistered-usual": asked(of_standing(StandingView(usual=USUAL))),
    "consent-registration-expired": asked(of_standing(StandingView(Standing.EXPIRED, until=NOW))),
    "consent-unknown": asked(of_standing(StandingView(), verified=False)),
    "consent-over-asking": asked(over_asking()),
    "request-given-unknown": (
        "request_given.html",
        {"host": "", "link": "openid4vp://?request=x", "action": "/requests", "failed": False},
    ),
    "request-blocked-unknown": (
        "request_blocked.html",
        {"reason": "untrusted", "detail": "no path", "host": "", "at": "/requests/r-1", "report": None},
    ),
    "request-blocked-untrusted": blocked("untrusted"),
    "request-blocked-registration": blocked("registration"),
    "request-blocked-profile": blocked("profile"),
    "record-usual": ("record.html", {"record": GUESSED, "uses": [], "back_to": ""}),
    "record-over-asked": ("record.html", {"record": OVER_ASKED, "uses": KEPT_USES, "back_to": ""}),
    "consent-used-up": asked(consent(used_up=True)),
    "consent-used-up-for-good": asked(consent(used_up=True, can_refresh=False)),
    "consent-changed-meanwhile": asked(consent(used_up=False), changed=True),
    "consent-used-meanwhile": asked(consent(used_up=True), used=True),
    "consent-too-large": asked(consent(used_up=False), large=True),
    "blocked-report": ("request_blocked.html", BLOCKED | {"report": True, "back_to": ""}),
    "blocked-reported": (
        "request_blocked.html",
        BLOCKED | {"report": None, "back_to": "https://verifier.example/back"},
    ),
    "scan-not-supported": ("scan.html", {"error": "not_supported", "link": "mdoc:owBjMS4w"}),
}
"""Every page, and every state that looks different."""
WALLET_WORDS: dict[str, tuple[str, dict[str, Any]]] = {
    "issuers-unnamed": ("issuers.html", {"issuers": [replace(KNOWN, name={})]}),
    "blocked-transaction": (
        "request_blocked.html",
        {"reason": "transaction", "detail": "", "host": "verifier.example"},
    ),
    **{f"ended-{reason}": ("offer_ended.html", {"reason": reason, "detail": ""}) for reason in REASONS},
    **{f"card-{refreshed}": card(CARD, refreshed) for refreshed in ("changed", "same", "later", "no_grant")},
    **{
        f"offer-login-{notice}": (
            "offer.html",
            {"offer": LOGIN_OFFER, "at": AT, "failed": False, "state": {"notice": notice, "wrong_codes": 0}},
        )
        for notice in ("unavailable", "late")
    },
}
"""The same pages with other words: looked at for their words alone."""
