"""What pages are shown with when no app runs: one context per template, and empty and odd ones. Invented data."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from issuer.login.presentation.use_cases.results import LoginView
from issuer.login.use_cases.session import TEST
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


def offer(state: str, **changes: Any) -> dict[str, Any]:
    """Return an offer as the console shows it."""
    return {
        "id": "o-8k2d", "subject": "한지우", "types": [LICENCE], "state": state, "created_at": NOW,
        "expires_at": NOW + timedelta(minutes=10), "tx_code": "493536", "uri": OFFER_URI,
        "wallet_uri": "http://localhost:8300/credential-offer", "reason": "",
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
        "id": "c-3c91", "policy": POLICY, "state": state, "created_at": NOW, "at": NOW,
        "expires_at": NOW + timedelta(minutes=5), "uri": REQUEST,
        "wallet_uri": "http://localhost:8300/authorize", "match_number": "82", "browser": CALL,
        "kept_until": date(2027, 2, 20), "declined": False, "elsewhere": False,
        "passed": state == "verified", "credentials": [], "checks": [],
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
REPORT = {"rows": 12_480, "good": 12_431, "bad": 49, "faults": 60}
GOOD_REPORT = {"rows": 50, "good": 50, "bad": 0, "faults": 0}
ROW = {"id": "o-1", "subject": "한*우", "types": [LICENCE], "state": "issued", "created_at": NOW}
ISSUED = {
    "id": "i-1",
    "subject": "한*우",
    "type": LICENCE,
    "issued_at": NOW,
    "expires_at": NOW,
    "state": "valid",
    "event": None,
}
FAILED = ISSUED | {"event": "credential_failure"}
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
    "offers": ("offers.html", {"offers": [ROW, ROW | {"state": "offered", "subject": ""}], "next_cursor": "x"}),
    "offers-empty": ("offers.html", {"offers": []}),
    "credentials": (
        "credentials.html",
        {"credentials": [ISSUED, ISSUED | {"state": "over", "subject": LONG_NAME}, FAILED | {"state": "suspended"}]},
    ),
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
    "records": ("records.html", {"types": [TYPE | {"count": 50}], "empty": False}),
    "records-empty": ("records.html", {"types": [TYPE | {"count": 0}], "empty": True}),
    "records-bad": ("records_check.html", {"report": REPORT, "problems": PROBLEMS, "csv": "", "stored": False}),
    "records-file": (
        "records_check.html",
        {"report": REPORT | {"bad": 0}, "problems": PROBLEMS, "csv": "", "stored": False},
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
    **{
        f"offer-{state}": ("offer.html", {"offer": offer(state)})
        for state in ("offered", "authorized", "deferred", "issued", "refused", "expired")
    },
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
BILL = load_catalogue().transactions["bill-payment"]
TRANSACTION_FORM = {
    "name": BILL.name,
    "fields": [{"name": each.name, "member": each, "value": each.example} for each in BILL.members],
}


def transaction(*, agreed: bool) -> dict[str, Any]:
    """Return a transaction as the desk shows it."""
    values = BILL.values(BILL.example)
    return {"agreed": agreed, "sentence": BILL.words(values), "lines": BILL.lines(values), "fields": []}


VERIFIER: dict[str, tuple[str, dict[str, Any]]] = {
    "landing": ("landing.html", {"policies": [POLICY]}),
    "landing-empty": ("landing.html", {"policies": []}),
    "sign-in": ("sign_in.html", {"demo": True}),
    "sign-in-refused": ("sign_in.html", {"error": True}),
    "choose": ("choose.html", {"policies": [POLICY]}),
    "choose-empty": ("choose.html", {"policies": []}),
    "policy": ("policy.html", {"policy": POLICY}),
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
    "result-gone": ("result.html", {"check": check("verified")}),
    "result-refused": ("result.html", {"check": check("refused", checks=BROKEN, kept_until=None)}),
    "result-declined": ("result.html", {"check": check("refused", declined=True, kept_until=None)}),
    "counter-ask": ("counter.html", {"kind": "ask", "policy": POLICY, "error": True}),
    "counter-wait": ("counter.html", {"kind": "wait", "link": REQUEST, "state": "requested"}),
    **{f"counter-{kind}": ("counter.html", {"kind": kind}) for kind in ("done", "ended")},
    "counter-sign": (
        "counter_sign.html",
        {"policy": POLICY, "link": "https://verifier.example/counter/corner-store/adult-check", "code": "0472"},
    ),
    "result-elsewhere": (
        "result.html",
        {"check": check("refused", elsewhere=True, checks=PASSED, kept_until=None)},
    ),
    "result-expired": ("result.html", {"check": check("expired", kept_until=None)}),
    "checks": (
        "checks.html",
        {
            "checks": [
                {"id": "c-1", "name": POLICY.name, "state": "verified", "at": NOW},
                {"id": "", "name": POLICY.name, "state": "expired", "at": NOW},
            ]
        },
    ),
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
