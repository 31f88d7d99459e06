"""What pages are shown with when no app runs: one context per template, and empty and odd ones. Invented data."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from issuer.login.presentation.use_cases.results import LoginView
from issuer.login.use_cases.session import TEST
from verifier.console.calendar import Entry
from verifier.relying_parties.ports import SCOPES, KeyView, PartyId
from verifier.webhooks.ports import Delivery
from wallet_core.adapters.config import load_catalogue
from wallet_core.adapters.ui.claims import ClaimLine
from wallet_core.catalogue import Text
from wallet_core.errors import VerificationError
from wallet_core.protocols.oauth2.clients import RegisteredClient
from wallet_core.protocols.openid4vp.checks import CHECKS, WHERE_ASKED, Check, CheckStep, ListCopy, failed_checks

NOW = datetime(2026, 11, 22, 2, 30, tzinfo=UTC)
LONG_NAME = "Maria-Theresia Wolfeschlegelsteinhausenbergerdorff van der Groenten"
REQUEST = "openid4vp://?client_id=x509_hash%3AkZ3n&request_uri=https%3A%2F%2Fverifier.example%2Frequests%2FabCd"
OFFER_URI = "openid-credential-offer://?credential_offer_uri=https%3A%2F%2Fissuer.example%2Foffers%2FabCd"
CALL = '{"digital":{"requests":[{"protocol":"openid4vp-v1-unsigned","data":{}}]}}'
LICENCE = {"ko": "모바일 운전면허증", "en": "Mobile driving licence"}
POLICE = {"ko": "서울특별시경찰청장 (시험용)", "en": "Seoul Metropolitan Police (test)"}
AGENCY = {"agency": {"id": "police", "name": POLICE}, "now": NOW, "csrf_token": "token"}
PARTY = {
    "party": {"id": "baram-rental", "name": {"ko": "바람렌터카 제주점 (시험용)", "en": "Baram Car Rental (test)"}},
    "now": NOW,
}


OFFER_STATES = (
    "offered", "authorized", "deferred", "sent", "unheard", "accepted", "partly", "declined", "failed", "refused",
    "withdrawn", "expired",
)  # fmt: skip


def offer(state: str, **changes: Any) -> dict[str, Any]:
    """Return an offer as the console shows it."""
    return {
        "id": "o-8k2d", "subject": "한지우", "types": [LICENCE], "state": state, "created_at": NOW,
        "expires_at": NOW + timedelta(minutes=10), "tx_code": "493536", "uri": OFFER_URI,
        "wallet_uri": "http://localhost:8300/credential-offer", "reason": "", "renewable": state == "offered",
    } | changes  # fmt: skip


POLICY = load_catalogue().policies["car-rental"]
PIXEL = "data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA="
CLAIMS = [
    ClaimLine(Text("이름", "Name"), "한지우", mask="name"),
    ClaimLine(Text("만 19세 이상", "Aged 19 or over"), True),
    ClaimLine(Text("사진", "Photograph"), PIXEL, is_image=True),
    ClaimLine(Text("면허 종류", "Class"), "2", Text("2종 보통", "Ordinary class 2")),
]


def check(state: str, **changes: Any) -> dict[str, Any]:
    """Return a check as the desk shows it."""
    return {
        "id": "c-3c91", "answered": "019aa6f1", "policy": POLICY, "state": state, "created_at": NOW, "at": NOW,
        "expires_at": NOW + timedelta(minutes=5), "uri": REQUEST,
        "wallet_uri": "http://localhost:8300/authorize", "match_number": "82", "browser": CALL,
        "kept_until": date(2027, 2, 20), "declined": False, "elsewhere": False,
        "passed": state == "verified", "credentials": [], "checks": [], "portrait_matches": None,
    } | changes  # fmt: skip


CREDENTIAL = {
    "name": LICENCE, "issuer": POLICE["ko"], "cloth": "jjok", "claims": CLAIMS, "valid_until": date(2029, 12, 31),
}  # fmt: skip
AGREED = [Check(step, name, clause, ok=True) for step, (name, clause) in CHECKS.items()]
PASSED = AGREED[: -len(WHERE_ASKED)]
OPEN = {
    CheckStep.ANSWER_FITS_REQUEST,
    CheckStep.HOLDER_PRESENT,
    CheckStep.ONLY_WHAT_WAS_ASKED,
    CheckStep.QUERY_ANSWERED,
}
FILE_CHECKS = [replace(one, ok=None if one.step in OPEN else True) for one in PASSED]


def reissuance(state: str) -> dict[str, Any]:
    """An order to replace everybody's copies."""
    done = 4 if state == "done" else 1
    return {
        "id": "r1", "type": TYPE["name"], "state": state, "progress": f"{state}-3", "reason": "주소 변경", "days": 14,
        "subjects": 1200, "copies": 12000, "subjects_done": 300 * done, "copies_done": 3000 * done, "created_at": NOW,
    }  # fmt: skip


BROKEN = failed_checks(VerificationError("the signature does not verify", step=CheckStep.ISSUER_SIGNED))
FOUND = {
    "state": "verified", "kind": "sd_jwt_vc", "holder": "not_proven", "checks": FILE_CHECKS,
    "credential": {**CREDENTIAL, "claims": CLAIMS * 4},
    "trust_list": ListCopy(NOW - timedelta(hours=2), NOW + timedelta(days=1)),
    "status_list": ListCopy(NOW - timedelta(minutes=5), NOW + timedelta(hours=20)), "offline": True, "at": NOW,
}  # fmt: skip
TYPE = {"id": "drivers-licence", "name": LICENCE, "cloth": "jjok", "validity_days": 30, "description": LICENCE}
PROBLEMS = [
    {
        "line": 412,
        "column": "birth_date",
        "reason": Text("없는 날이에요", "no such day"),
        "cure": Text("확인", "check"),
    },
    {
        "line": 1077,
        "column": LONG_NAME,
        "reason": Text("길어요", "too long " * 8),
        "cure": Text("줄여요", "shorten it"),
    },
]
REPORT = {"rows": 12_480, "good": 12_431, "bad": 49, "faults": 60, "new": 0, "replaced": 0}
FAULTS = {"problems": PROBLEMS, "faults": "줄,칸\r\n412,birth_date\r\n", "saved": 60}
GOOD_REPORT = {"rows": 50, "good": 50, "bad": 0, "faults": 0, "new": 12, "replaced": 38}
ROW = {"id": "o-1", "subject": "한*우", "types": [LICENCE], "state": "accepted", "created_at": NOW}
ISSUED = {
    "id": "i-1",
    "subject": "한*우",
    "type": LICENCE,
    "issued_at": NOW,
    "expires_at": NOW,
    "copies": 10,
    "state": "valid",
    "states": ["valid"],
    "event": None,
}
FAILED = ISSUED | {"event": "credential_failure"}
DECLINED = ISSUED | {"event": "credential_deleted"}
FIGURES = {"records": "39", "open": "1", "waiting": 2, "issued": "50+", "failed": 1}
WAITING = {"id": "d-1", "subject": "한*우", "type": LICENCE, "state": "waiting", "requested_at": NOW}


def deferred(state: str, *possible: str, **changes: Any) -> dict[str, Any]:
    """Return a deferred request as its own page shows it."""
    decided = state in ("ready", "denied", "delivered")
    return WAITING | {
        "state": state, "offer_id": "o-8k2d", "copies": 10,
        "expires_at": NOW if state in ("waiting", "ready") else None,
        "decided_at": NOW if decided else None, "decided_by": "console" if decided else "",
        "reason": LONG_NAME if state == "denied" else "", "claims": [] if state == "lapsed" else CLAIMS,
        "ended": False, "possible": possible,
    } | changes  # fmt: skip


def credential(state: str, *possible: str) -> dict[str, Any]:
    """Return an issued card as its own page shows it."""
    change = {
        "before": "valid", "after": "suspended", "reason": "분실 신고", "changed_by": "console", "changed_at": NOW
    }  # fmt: skip
    return ISSUED | {
        "state": state, "possible": possible, "ttl": 300, "history": [] if state == "valid" else [change],
        "replace_by": NOW if state == "valid" else None,
    }  # fmt: skip


CARD_LOGIN = {
    "agency": {"name": {"ko": "가람시 세무과 (시험용)", "en": "Garam City Tax Office (test)"}},
    "at": "/agencies/city-tax/login/presentation",
    "others": "/agencies/city-tax/login",
    "root": "/agencies/city-tax",
}


def awaited(state: str) -> LoginView:
    """Return a login that waits for a wallet."""
    return LoginView(
        state, REQUEST, "http://localhost:8300/authorize?client_id=x", "47", NOW, NOW + timedelta(minutes=5)
    )


LOGIN_METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "card": ("card.html", CARD_LOGIN | {"policy": load_catalogue().policies["issuer-login"]}),
    **{
        f"card-{state}": ("card_waiting.html", CARD_LOGIN | {"view": awaited(state)})
        for state in ("requested", "retrieved", "answered")
    },
    **{
        f"card-failed-{problem}": ("card_failed.html", CARD_LOGIN | {"problem": problem})
        for problem in ("declined", "expired", "withdrawn", "issuer", "browser", "late", "other")
    },
    **{f"card-{kind}": ("card_back.html", {"kind": kind}) for kind in ("elsewhere", "stranger", "over")},
    **{
        f"openid-{problem}": (
            "openid_failed.html",
            CARD_LOGIN | {"provider": {"ko": "바깥 인증 (시험용)", "en": "Outside log-in (test)"}, "problem": problem},
        )
        for problem in ("away", "declined", "missing", "refused", "over")
    },
}
ISSUER: dict[str, tuple[str, dict[str, Any]]] = {
    "landing": ("landing.html", {"agencies": [AGENCY["agency"] | {"types": [TYPE]}]}),
    "landing-empty": ("landing.html", {"agencies": []}),
    "sign-in": ("sign_in.html", {}),
    "sign-in-refused": ("sign_in.html", {"error": True, "demo": True}),
    "overview": (
        "overview.html",
        {"figures": FIGURES, "offers": [ROW]},
    ),
    "overview-empty": (
        "overview.html",
        {"figures": dict.fromkeys(FIGURES, 0), "offers": []},
    ),
    "offers": (
        "offers.html",
        {
            "offers": [ROW | {"state": each} for each in ("sent", "unheard", "declined", "failed")]
            + [ROW, ROW | {"state": "offered", "subject": ""}],
            "next_cursor": "x",
        },
    ),
    "offers-empty": ("offers.html", {"offers": []}),
    "credentials": (
        "credentials.html",
        {
            "credentials": [
                ISSUED,
                ISSUED | {"states": ["over"], "subject": LONG_NAME, "copies": 1},
                FAILED | {"states": ["suspended", "invalid"]},
                DECLINED,
            ],
            "query": "한",
            "next_cursor": "x",
            "most": 30,
        },
    ),
    "credentials-nobody": ("credentials.html", {"credentials": [], "query": "홍"}),
    "issuances": (
        "issuances.html",
        {"issuances": [WAITING, WAITING | {"subject": LONG_NAME}], "next_cursor": "x", "decided": False},
    ),
    "issuances-empty": ("issuances.html", {"issuances": [], "decided": False}),
    "issuances-decided": (
        "issuances.html",
        {
            "issuances": [WAITING | {"state": each} for each in ("ready", "denied", "delivered", "lapsed")],
            "next_cursor": "x",
            "decided": True,
        },
    ),
    "issuances-decided-empty": ("issuances.html", {"issuances": [], "decided": True}),
    **{
        f"issuance-{state}": ("issuance.html", {"issuance": deferred(state, *possible)})
        for state, possible in {
            "waiting": ("ready", "denied"),
            "ready": ("waiting",),
            "denied": (),
            "delivered": (),
            "lapsed": (),
        }.items()
    },
    "issuance-ended": ("issuance.html", {"issuance": deferred("waiting", "denied", ended=True)}),
    **{
        f"issuance-to-{to}": (
            "issuance_confirm.html",
            {"issuance": deferred("waiting", "ready", "denied"), "wanted": to},
        )
        for to in ("ready", "denied", "waiting")
    },
    "credentials-empty": ("credentials.html", {"credentials": []}),
    **{
        f"credential-{state}": ("credential.html", {"credential": credential(state, *possible)})
        for state, possible in {
            "valid": ("suspended", "invalid"),
            "suspended": ("valid", "invalid"),
            "invalid": (),
            "over": ("invalid",),
        }.items()
    },
    **{
        f"credential-to-{to}": (
            "credential_confirm.html",
            {"credential": credential("valid", "suspended", "invalid"), "wanted": to},
        )
        for to in ("valid", "suspended", "invalid")
    },
    "credential-declined": (
        "credential.html",
        {"credential": credential("valid", "invalid") | DECLINED | {"replace_by": None}},
    ),
    "credential-to-invalid-only": (
        "credential_confirm.html",
        {"credential": credential("valid", "invalid"), "wanted": "invalid"},
    ),
    "reissuances": ("reissuances.html", {"reissuances": [reissuance("running"), reissuance("done")]}),
    "reissuances-empty": ("reissuances.html", {"reissuances": []}),
    "reissuance-new": ("reissuance_new.html", {"types": [TYPE], "days": (14, 7, 30, 0)}),
    "reissuance-no-types": ("reissuance_new.html", {"types": [], "days": (14, 0)}),
    **{
        f"reissuance-confirm-{people}-{days}": (
            "reissuance_confirm.html",
            {
                "order": {
                    "type": TYPE,
                    "reason": LONG_NAME,
                    "days": days,
                    "counted": {"subjects": people, "copies": people * 10},
                }
            },
        )
        for people, days in ((0, 14), (1200, 14), (1200, 0))
    },
    **{
        f"reissuance-{state}": ("reissuance.html", {"reissuance": reissuance(state)})
        for state in ("running", "paused", "done", "cancelled")
    },
    **{
        f"person-{act}": (
            "person_confirm.html",
            {"credential": credential("valid", "suspended", "invalid"), "act": act, "days": (14, 0)},
        )
        for act in ("replace", "lost")
    },
    "records": (
        "records.html",
        {"types": [TYPE | {"count": 50, "columns": 43}, TYPE | {"count": 0, "columns": 9}], "empty": False},
    ),
    "records-empty": ("records.html", {"types": [TYPE | {"count": 0, "columns": 43}], "empty": True}),
    "records-bad": (
        "records_check.html",
        {"report": REPORT, "problems": PROBLEMS, **FAULTS, "csv": "", "stored": False},
    ),
    "records-very-bad": (
        "records_check.html",
        {
            "report": REPORT | {"faults": 90_000},
            "problems": PROBLEMS,
            **FAULTS,
            "saved": 50_000,
            "csv": "",
            "stored": False,
        },
    ),
    "records-file": (
        "records_check.html",
        {"report": REPORT | {"bad": 0}, **FAULTS, "csv": "", "stored": False},
    ),
    "records-good": ("records_check.html", {"report": GOOD_REPORT, "problems": [], "csv": "<b>,", "stored": False}),
    "records-stored": ("records_check.html", {"report": GOOD_REPORT, "problems": [], "csv": "", "stored": True}),
    "offer-type": ("offer_new.html", {"types": [TYPE]}),
    "offer-who": (
        "offer_new.html",
        {
            "type": TYPE,
            "subjects": [{"value": "p1", "text": "한*우", "sub": "1993-**-**", "mono": "한"}],
            "query": "한",
            "most": 1,
        },
    ),
    "offer-nobody": ("offer_new.html", {"type": TYPE, "subjects": [], "query": "홍", "most": 30}),
    "offer-confirm": (
        "offer_confirm.html",
        {
            "type": TYPE,
            "subject": {"id": "p1", "name": "한*우"},
            "claims": [*CLAIMS, ClaimLine(Text("이름 (로마자)", "Name in Latin letters"), LONG_NAME)],
            "forms": ["sd_jwt", "mdoc", "both"],
            "ended": False,
        },
    ),
    "offer-confirm-ended": (
        "offer_confirm.html",
        {"type": TYPE, "subject": {"id": "p1", "name": "한*우"}, "claims": CLAIMS, "forms": [], "ended": True},
    ),
    **{f"offer-{state}": ("offer.html", {"offer": offer(state), "renewed": ""}) for state in OFFER_STATES},
    "offer-renewable": ("offer.html", {"offer": offer("expired", renewable=True), "renewed": ""}),
    "offer-renewed": ("offer.html", {"offer": offer("offered"), "renewed": "new"}),
    "offer-taken": ("offer.html", {"offer": offer("authorized"), "renewed": "over"}),
    "offer-over": ("offer.html", {"offer": offer("expired"), "renewed": "over"}),
    "offer-no-data": ("offer.html", {"offer": offer("offered"), "renewed": "data"}),
}
WALLET_CLIENT = RegisteredClient(
    "https://wallet.example/client", "남의 지갑 (시험용)", LONG_NAME, ("https://wallet.example/callback",)
)
ASKED = [
    {"type": load_catalogue().by_configuration(each), "entry": load_catalogue().by_configuration(each).sd_jwt}
    for each in ("drivers-licence-sd-jwt", "income-certificate-sd-jwt")
]
SHOWN = {"client": WALLET_CLIENT, "issued": ASKED, "target": "https://wallet.example"}
TYPED = {"name": "한지우", "birth_date": "19930514", "left": None, "malformed": False}
LOGIN: dict[str, tuple[str, dict[str, Any]]] = {
    "choose": ("choose.html", {"shown": SHOWN, "methods": [TEST]}),
    "choose-nothing": ("choose.html", {"shown": SHOWN, "methods": []}),
    "by-code": ("by_code.html", TYPED | {"name": "", "birth_date": ""}),
    "by-code-wrong": ("by_code.html", TYPED | {"left": 4}),
    "by-code-malformed": ("by_code.html", TYPED | {"malformed": True}),
    "consent": ("consent.html", {"consent": {"shown": SHOWN, "given": ASKED, "missing": []}, "person": "한*우"}),
    "consent-some": (
        "consent.html",
        {"consent": {"shown": SHOWN, "given": ASKED[:1], "missing": ASKED[1:]}, "person": "한*우"},
    ),
    "consent-nothing": ("consent.html", {"consent": {"shown": SHOWN, "given": [], "missing": ASKED}, "person": "p02"}),
    "stranger": ("stranger.html", {}),
}
REFUSED = "the host of a URL has an address that is not allowed"
UNHEARD = Delivery(
    id="msg_1",
    party_id=PartyId("sample"),
    presentation_id="01a20132355a87bafcb77e61dc03bebacc3d",
    event="presentation.verified",
    url="https://shop.example/hooks/a-rather-long-address/with-several-parts",
    body=b"{}",
    created_at=NOW,
    turn=3,
    tries=2,
    next_at=NOW + timedelta(minutes=5),
    status=500,
    problem="answered 500",
    dead_at=None,
)
BILL = load_catalogue().transactions["bill-payment"]
TRANSACTION_FORM = {
    "name": BILL.name,
    "fields": [{"name": each.name, "member": each, "value": each.example} for each in BILL.members],
}


def transaction(*, agreed: bool) -> dict[str, Any]:
    """Return a transaction as the desk shows it."""
    values = BILL.values(BILL.example)
    return {"agreed": agreed, "sentence": BILL.words(values), "lines": BILL.lines(values), "fields": []}


FILTER = {"policies": [POLICY], "state": "", "policy": "", "own": "own", "next_cursor": "c"}
QUERY_TEXT = json.dumps(POLICY.dcql_query, ensure_ascii=False, indent=2)


def asked(state: str, **changes: Any) -> dict[str, Any]:
    """Return a presentation that stands alone as its page shows it."""
    return {
        "id": "019aa6f1c6400f1e2d3c4b5a69788796", "name": Text("직접 만든 질문", "A query of its own"), "state": state,
        "link": REQUEST, "query": QUERY_TEXT, "credentials": [], "checks": [], "status": {"kind": "", "seconds": None},
        "error": None, "reason": None, "clause": None, "created_at": NOW, "expires_at": NOW + timedelta(minutes=5),
        "at": NOW, "kept_until": None, "record_until": NOW + timedelta(days=90),
    } | changes  # fmt: skip


FORGET = {
    "id": "019aa6f1", "page": "/console/checks/c-3c91", "name": POLICY.name, "at": NOW,
    "promised": load_catalogue().policies["account-opening"].retention,
    "kept_until": NOW + timedelta(days=90), "record_until": NOW + timedelta(days=90),
    "credentials": [CREDENTIAL, CREDENTIAL],
}  # fmt: skip


def _key(label: str, state: str, *scopes: str, used: timedelta | None = None, days: int | None = None) -> Any:
    end = None if days is None else NOW + timedelta(days=days)
    revoked = NOW if state == "revoked" else None
    return (
        KeyView("0c4e7d1a5f9b2638", label, frozenset(scopes), NOW, end, revoked, None if used is None else NOW - used),
        state,
    )


SHOP_KEY = _key("web shop", "good", "presentations:write", "presentations:read", used=timedelta(minutes=3))[0]
KEYS = {
    "keys": [
        (replace(SHOP_KEY, id="first"), "good"),
        _key("제주점 창구", "ending", *SCOPES, used=timedelta(days=2), days=6),
        _key(LONG_NAME[:60], "expired", "presentations:read", days=-3),
        _key("old program", "revoked", "console"),
    ],
    "own": "first", "scopes": SCOPES, "chosen": [], "label": "", "error": False, "longest": 60, "ends": (90, 365, 0),
    "once": "3f",
}  # fmt: skip
CONFIRM = {"key": SHOP_KEY, "own": "first", "overlaps": (0, 1, 7, 30), "ends": (90, 365, 0), "once": "3f"}


def _entry(kind: Any, name: str, ends: int | None, renewal: Any) -> Any:
    end = None if ends is None else NOW + timedelta(days=ends)
    entry = Entry(kind, name, NOW - timedelta(days=300), end, renewal)
    return entry, entry.urgency(NOW), entry.days_left(NOW)


CALENDAR = [
    _entry("access", "baram-rental", -2, "signs"),
    _entry("api_key", "web shop", 6, "good"),
    _entry("access", "baram-rental.2", 340, "waits"),
    _entry("anchor", "credential_issuer: CN=시험용 발급 인증기관,O=시험용 발급 인증기관,C=KR", 3000, "trusted"),
    _entry("trust_list", "trust.example · 12", None, "failing"),
    _entry("registration", "car-rental", 200, "good"),
    _entry("attestation", "baram-rental", 12, "good"),
    _entry("access", "baram-rental.0", -40, "rotated_out"),
]

VERIFIER: dict[str, tuple[str, dict[str, Any]]] = {
    "landing": ("landing.html", {"policies": [POLICY]}),
    "landing-empty": ("landing.html", {"policies": []}),
    "sign-in": ("sign_in.html", {"demo": True}),
    "sign-in-refused": ("sign_in.html", {"error": True}),
    "choose": ("choose.html", {"policies": [(POLICY, "")]}),
    "choose-cautions": ("choose.html", {"policies": [(POLICY, ""), (POLICY, "none"), (POLICY, "over")]}),
    "choose-empty": ("choose.html", {"policies": []}),
    "policy": ("policy.html", {"policy": POLICY}),
    **{f"policy-{caution}": ("policy.html", {"policy": POLICY, "caution": caution}) for caution in ("none", "over")},
    "policy-unwarned": ("policy.html", {"policy": POLICY, "caution": "none", "unwarned": True, "posted": True}),
    "policy-transaction": (
        "policy.html",
        {"policy": POLICY, "transactions": [TRANSACTION_FORM], "fault": "amount is missing"},
    ),
    "check-transaction": ("check.html", {"check": check("requested", transactions=[transaction(agreed=False)])}),
    "result-agreed": (
        "result.html",
        {"check": check("verified", credentials=[CREDENTIAL], checks=AGREED, transactions=[transaction(agreed=True)])},
    ),
    "result-not-agreed": (
        "result.html",
        {"check": check("refused", checks=BROKEN, kept_until=None, transactions=[transaction(agreed=False)])},
    ),
    **{f"check-{state}": ("check.html", {"check": check(state)}) for state in ("requested", "retrieved", "answered")},
    "result-verified": ("result.html", {"check": check("verified", credentials=[CREDENTIAL], checks=PASSED)}),
    **{
        f"result-status-{kind}": (
            "result.html",
            {"check": check("verified", credentials=[CREDENTIAL], checks=PASSED, status={"kind": kind, "seconds": 3})},
        )
        for kind in ("none", "valid", "unknown")
    },
    "result-same-face": (
        "result.html",
        {"check": check("verified", credentials=[CREDENTIAL], checks=PASSED, portrait_matches=True)},
    ),
    "result-other-face": (
        "result.html",
        {"check": check("verified", credentials=[CREDENTIAL], checks=PASSED, portrait_matches=False)},
    ),
    "result-other-face-gone": ("result.html", {"check": check("verified", checks=PASSED, portrait_matches=False)}),
    "result-without-portrait": (
        "result.html",
        {"check": check("verified", credentials=[{**CREDENTIAL, "claims": CLAIMS[:2]}], checks=PASSED)},
    ),
    "result-gone": ("result.html", {"check": check("verified")}),
    "result-refused": ("result.html", {"check": check("refused", checks=BROKEN, kept_until=None)}),
    "result-declined": ("result.html", {"check": check("refused", declined=True, kept_until=None)}),
    "counter-ask": ("counter.html", {"kind": "ask", "policy": POLICY, "error": True}),
    "counter-wait": ("counter.html", {"kind": "wait", "link": REQUEST, "state": "requested"}),
    **{f"counter-{kind}": ("counter.html", {"kind": kind}) for kind in ("done", "ended")},
    "counter-sign": (
        "counter_sign.html",
        {
            "policy": POLICY,
            "link": "https://verifier.example/counter/corner-store/adult-check",
            "code": "047261",
            "caution": "none",
        },
    ),
    "result-elsewhere": (
        "result.html",
        {"check": check("refused", elsewhere=True, checks=PASSED, kept_until=None)},
    ),
    "stopped": ("stopped.html", {"check": check("expired")}),
    "result-expired": ("result.html", {"check": check("expired", kept_until=None)}),
    "checks": (
        "checks.html",
        {
            "checks": [
                {"href": "/console/checks/c-1", "alone": False, "name": POLICY.name, "state": "verified", "at": NOW},
                {"href": "/console/checks/c-2", "alone": False, "name": POLICY.name, "state": "different", "at": NOW},
                {"href": "/console/asked/p-1", "alone": True, "name": POLICY.name, "state": "expired", "at": NOW},
            ],
            **FILTER,
        },
    ),
    "webhooks": (
        "webhooks.html",
        {
            "deliveries": [
                UNHEARD,
                replace(UNHEARD, id="msg_2", event="presentation.refused", next_at=None, dead_at=NOW, problem=REFUSED),
            ],
            "sent": "1",
            "next_cursor": "msg_2",
        },
    ),
    "webhooks-empty": ("webhooks.html", {"deliveries": [], "sent": "", "next_cursor": None}),
    "checks-none-such": ("checks.html", {"checks": [], **FILTER, "state": "refused"}),
    "policies": ("policies.html", {"policies": [(POLICY, ""), (POLICY, "none"), (POLICY, "over")]}),
    "policies-empty": ("policies.html", {"policies": []}),
    "policy-detail": ("policy_detail.html", {"policy": POLICY, "query": QUERY_TEXT}),
    "policy-detail-none": ("policy_detail.html", {"policy": POLICY, "query": QUERY_TEXT, "caution": "none"}),
    "try": ("try.html", {"query": "", "problem": ""}),
    "try-problem": ("try.html", {"query": "{", "problem": "the query is not JSON"}),
    **{f"asked-{state}": ("asked.html", {"check": asked(state)}) for state in ("requested", "retrieved", "answered")},
    "asked-verified": ("asked.html", {"check": asked("verified", credentials=[CREDENTIAL], checks=PASSED)}),
    "asked-gone": ("asked.html", {"check": asked("verified", checks=PASSED)}),
    "asked-refused": (
        "asked.html",
        {
            "check": asked(
                "refused",
                checks=BROKEN,
                error="invalid_request",
                reason="the issuer is not trusted",
                clause="HAIP 6.1.1",
            )
        },
    ),
    "asked-declined": ("asked.html", {"check": asked("refused", error="access_denied")}),
    "forget-claims": ("forget_claims.html", {"check": FORGET}),
    "forget-claims-own": ("forget_claims.html", {"check": {**FORGET, "promised": None}}),
    "asked-expired": ("asked.html", {"check": asked("expired")}),
    "certificates": ("certificates.html", {"entries": CALENDAR}),
    "certificates-calm": ("certificates.html", {"entries": CALENDAR[2:5]}),
    "keys": ("keys.html", KEYS),
    "keys-repeated": ("keys.html", {**KEYS, "repeated": True}),
    "keys-bad": ("keys.html", {**KEYS, "error": True, "label": LONG_NAME, "chosen": ["console"]}),
    "key-made": (
        "key_made.html",
        {"key_id": "5b1f0c22a9d0e417", "api_key": "jgk_" + "Ab3_" * 10, "overlap": None, "posted": True},
    ),
    "key-rotated": ("key_made.html", {"key_id": "5b1f0c22a9d0e417", "api_key": "jgk_" + "Ab3_" * 10, "overlap": 7}),
    "key-rotate": ("key_confirm.html", {**CONFIRM, "what": "rotate"}),
    "key-revoke": ("key_confirm.html", {**CONFIRM, "what": "revoke"}),
    "key-revoke-own": ("key_confirm.html", {**CONFIRM, "what": "revoke", "own": SHOP_KEY.id}),
    "file": ("file.html", {"policies": [POLICY], "error": "", "text": ""}),
    **{
        f"file-{error.replace('_', '-')}": ("file.html", {"policies": [POLICY], "error": error, "text": "eyJ…"})
        for error in ("nothing", "unreadable", "session_bad")
    },
    "file-verified": ("file_result.html", {"check": FOUND}),
    "file-proven": (
        "file_result.html",
        {"check": {**FOUND, "kind": "sd_jwt_kb", "holder": "proven", "offline": False}},
    ),
    "file-not-verified": (
        "file_result.html",
        {
            "check": {
                **FOUND,
                "state": "not_verified",
                "holder": "not_checked",
                "status_list": None,
                "trust_list": None,
                "checks": [replace(one, ok=None) if one.name == "not_withdrawn" else one for one in FILE_CHECKS],
            }
        },
    ),
    "file-refused": (
        "file_result.html",
        {"check": {**FOUND, "state": "refused", "credential": None, "checks": BROKEN}},
    ),
    "checks-empty": ("checks.html", {"checks": []}),
    **{f"back-{kind}": ("back.html", {"kind": kind}) for kind in ("elsewhere", "stranger", "over")},
}
