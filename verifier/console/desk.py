"""Who sits at the desk, and what its pages show of a check."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from starlette.exceptions import HTTPException
from starlette.requests import Request

from verifier.checks.use_cases import FileResult
from verifier.console.calendar import statement_entries
from verifier.console.use_cases import AskedQuery
from verifier.dependencies import Verifier, verifier_of
from verifier.presentations.use_cases.results import Result
from verifier.relying_parties.ports import RelyingParty, registration_of
from verifier.relying_parties.use_cases import show_api_key
from wallet_core.adapters.ui.claims import claim_lines
from wallet_core.adapters.web import session
from wallet_core.catalogue import CredentialType, Policy, Text
from wallet_core.catalogue.transaction import TransactionLine, TransactionMember, TransactionType
from wallet_core.errors import AccessDenied, InvalidTransactionData, KeyUnavailable, NotFound
from wallet_core.protocols.openid4vp.presented import PresentedCredential
from wallet_core.protocols.openid4vp.transaction_data import TransactionData, understand
from wallet_core.spec_versions import FORMAT_MDOC
from wallet_core.types import Json, JsonObject, Vct

SIGN_IN = "/console/sign-in"
RETURN = "/console/return"
SESSION_PARTY = "party"
SESSION_KEY = "key"
SESSION_CHECK = "check"
_WALLET_PATH = "/authorize"
Caution = Literal["", "none", "over", "broken"]
_OWN_QUERY = Text("직접 만든 질문", "A query of its own")


@dataclass(frozen=True, slots=True)
class Desk:
    """One relying party's console; ``key_id`` is of the API key that opened it."""

    verifier: Verifier
    party: RelyingParty
    key_id: str

    @property
    def policies(self) -> Sequence[Policy]:
        """What the party can ask: its own policies of the catalogue first, then the others."""
        asked = asked_by_companies(self.verifier.catalogue.policies.values())
        return sorted(asked, key=lambda policy: (policy.party.id != self.party.id, policy.id))

    @property
    def cautioned_policies(self) -> Sequence[tuple[Policy, Caution]]:
        """The same, each with its :meth:`caution`, and what it is registered for before all others."""
        cautions = self._cautions()
        return sorted(((each, cautions[each.id]) for each in self.policies), key=lambda one: bool(one[1]))

    def caution(self, policy: Policy) -> Caution:
        """Return what a customer's wallet warns of, if a party with registrations asks this: none, or one that is over.

        "broken" where the one that is kept cannot be read; "" for what it is registered for, and for a party that has
        no registration at all.
        """
        return self._cautions()[policy.id]

    @property
    def own_query_caution(self) -> Caution:
        """What a customer's wallet warns of where the party asks a query of its own, which no registration covers."""
        return "none" if any(self._registered(each.id) is not None for each in self.policies) else ""

    def _cautions(self) -> Mapping[str, Caution]:
        """Return the caution of each policy; every registration is read once."""
        found = {each.id: self._registered(each.id) for each in self.policies}
        unregistered: Caution = "none" if any(one is not None for one in found.values()) else ""
        return {policy_id: unregistered if one is None else one for policy_id, one in found.items()}

    def _registered(self, policy_id: str) -> Caution | None:
        """Return the caution of a policy for which a registration is kept; None where there is none."""
        try:
            text = self.verifier.keys.statement(self.party.id, registration_of(policy_id))
        except KeyUnavailable:
            return "broken"
        for line in statement_entries("registration", policy_id, text):
            return "" if line.urgency(self.verifier.clock.now()) in {"soon", "later"} else "over"
        return None if text is None else "broken"

    def policy(self, policy_id: str) -> Policy:
        """Return a policy. Raises ``NotFound``."""
        found = self.verifier.catalogue.policies.get(policy_id)
        if found is None or found.is_for_logins:
            raise NotFound("there is no such policy")
        return found

    def forms(self, policy: Policy, fields: Mapping[str, str] | None = None) -> list[Mapping[str, Any]]:
        """Return what is to be filled in for each transaction of a policy, with what was filled in before."""
        given = fields or {}
        return [
            {
                "name": found.name,
                "fields": [
                    {"name": (name := _field(found, member)), "member": member, "value": given.get(name, "")}
                    for member in found.members
                ],
            }
            for found in (self.verifier.catalogue.transactions[each] for each in policy.transactions)
        ]

    def read_transactions(self, policy: Policy, fields: Mapping[str, str]) -> tuple[JsonObject, ...]:
        """Return the transactions that a form's fields make; a member left empty is not there."""
        made: list[JsonObject] = []
        for found in (self.verifier.catalogue.transactions[each] for each in policy.transactions):
            filled = {
                member.name: _typed(member, text)
                for member in found.members
                if (text := fields.get(_field(found, member), "").strip())
            }
            if filled:
                made.append({"type": found.type, **filled})
        return tuple(made)

    def _transaction(self, entry: TransactionData, agreed: str | None) -> Mapping[str, Any]:
        shown: dict[str, Any] = {"agreed": agreed is not None}
        try:
            (found,) = understand([entry], self.verifier.catalogue.transaction_types)
        except InvalidTransactionData:
            # The catalogue has changed since it was asked: then the members speak for themselves.
            members = [TransactionLine(Text(name, name), Text(str(v), str(v))) for name, v in entry.members.items()]
            return {**shown, "sentence": Text(entry.type, entry.type), "lines": members, "fields": []}
        type_ = found.type
        return {
            **shown,
            "sentence": type_.words(found.values),
            "lines": type_.lines(found.values),
            "fields": [
                (_field(type_, member), found.values[member.name])
                for member in type_.members
                if member.name in found.values
            ],
        }

    @property
    def wallet_endpoint(self) -> str | None:
        """Authorization Endpoint of the web wallet that pages offer; None if there is none (protocols.md 25)."""
        wallet = self.verifier.settings.wallet
        return f"{wallet}{_WALLET_PATH}" if wallet else None

    def shown(self, check_id: str, result: Result) -> Mapping[str, Any]:
        """Return a check as its pages show it."""
        groups = result.credentials or {}
        return {
            "id": check_id,
            "answered": result.id,
            "policy": self.policy(result.policy_id or ""),
            "state": result.state,
            "credentials": [self._credential(one) for group in groups.values() for one in group],
            "checks": result.checks,
            "status": _status([one for group in groups.values() for one in group], result),
            "passed": result.state == "verified",
            "declined": result.error == "access_denied" and not result.checks,
            # Nothing failed but the way back (HAIP 5.1).
            "elsewhere": result.state == "refused" and bool(result.checks) and all(one.ok for one in result.checks),
            "at": result.ended_at or result.created_at,
            "kept_until": result.claims_until,
            "transactions": [self._transaction(entry, agreed) for entry, agreed in result.transactions],
            "portrait_matches": result.portrait_matches,
        }

    def row(self, result: Result) -> Mapping[str, Any]:
        """Return a check as lists show it."""
        return {
            "href": page_of(result),
            "alone": result.check_id is None,
            "name": self._name(result),
            "state": _listed_state(result),
            "at": result.ended_at or result.created_at,
        }

    def shown_claims(self, result: Result) -> Mapping[str, Any]:
        """Return a presentation as the page shows it that asks whether its claims are to be deleted."""
        policy = self.verifier.catalogue.policies.get(result.policy_id or "")
        return {
            "id": result.id,
            "page": page_of(result),
            "name": self._name(result),
            "promised": policy.retention if policy else None,
            "at": result.ended_at or result.created_at,
            "kept_until": result.claims_until,
            "record_until": result.record_until,
            "credentials": [self._credential(one) for group in (result.credentials or {}).values() for one in group],
        }

    def shown_asked(self, asked: AskedQuery) -> Mapping[str, Any]:
        """Return a presentation that stands alone as its page shows it."""
        result, groups = asked.result, asked.result.credentials or {}
        credentials = [one for group in groups.values() for one in group]
        return {
            "id": result.id,
            "name": self._name(result),
            "state": result.state,
            "link": asked.link,
            "query": json.dumps(asked.query, ensure_ascii=False, indent=2),
            "credentials": [self._credential(one) for one in credentials],
            "checks": result.checks,
            "status": _status(credentials, result),
            "error": result.error,
            "transactions": [self._transaction(entry, agreed) for entry, agreed in result.transactions],
            "reason": result.error_description,
            "clause": result.clause,
            "created_at": result.created_at,
            "expires_at": result.expires_at,
            "at": result.ended_at or result.created_at,
            "kept_until": result.claims_until,
            "record_until": result.record_until,
        }

    def shown_file(self, result: FileResult) -> Mapping[str, Any]:
        """Return what was found of a file as its page shows it."""
        return {
            "state": result.state,
            "kind": result.kind,
            "holder": result.holder,
            "credential": None if result.credential is None else self._credential(result.credential),
            "checks": result.checks,
            "trust_list": result.copies.trust_list,
            "status_list": result.copies.status_list,
            "offline": result.offline,
            "at": result.checked_at,
        }

    def _name(self, result: Result) -> Text:
        policy = self.verifier.catalogue.policies.get(result.policy_id or "")
        return policy.name if policy else _OWN_QUERY

    def _credential(self, credential: PresentedCredential) -> Mapping[str, Any]:
        known = self._type(credential)
        return {
            "name": known.name if known else Text(credential.type, credential.type),
            "cloth": known.cloth if known else "jjok",
            "issuer": credential.issuer_name,
            "claims": claim_lines(known, credential.claims, is_mdoc=credential.format == FORMAT_MDOC),
            "valid_until": credential.valid_until,
        }

    def _type(self, credential: PresentedCredential) -> CredentialType | None:
        catalogue = self.verifier.catalogue
        try:
            if credential.format == FORMAT_MDOC:
                return catalogue.by_doctype(credential.type)
            return catalogue.by_vct(Vct(credential.type))
        except NotFound:
            return None


def _listed_state(result: Result) -> str:
    """Return the state as lists show it: what machines verified is not passed where staff saw another face."""
    if result.stopped:
        return "stopped"
    return "different" if result.portrait_matches is False else result.state


def has_portrait(check: Mapping[str, Any]) -> bool:
    """Return whether a check as :meth:`Desk.shown` returns it holds a picture of a person's face."""
    return any(line.is_image for credential in check["credentials"] for line in credential["claims"])


def page_of(result: Result) -> str:
    """Return the address of the page of a presentation, or of the check that it belongs to."""
    return f"/console/asked/{result.id}" if result.check_id is None else f"/console/checks/{result.check_id}"


def _field(transaction: TransactionType, member: TransactionMember) -> str:
    return f"{transaction.id}.{member.name}"


def _typed(member: TransactionMember, text: str) -> Json:
    """Return what was typed as the member's JSON: what is no number stays text, and is refused as that."""
    digits = text.replace(",", "")
    return int(digits) if member.is_number and digits.isascii() and digits.isdigit() else text


def asked_by_companies(policies: Iterable[Policy]) -> list[Policy]:
    """Return the policies of a catalogue without those of the agencies' own logins."""
    return [policy for policy in policies if not policy.is_for_logins]


def _status(credentials: Sequence[PresentedCredential], result: Result) -> Mapping[str, Any]:
    """Return what the page says of check 7: of the card whose status is known least, and how old that knowledge is."""
    found = sorted(
        (one.status for one in credentials), key=lambda finding: ("unknown", "valid", "none").index(finding.status)
    )
    if not found:
        return {"kind": "", "seconds": None}
    age = None if found[0].checked_at is None or result.ended_at is None else result.ended_at - found[0].checked_at
    return {"kind": found[0].status, "seconds": None if age is None else max(0, int(age.total_seconds()))}


def check_open(request: Request) -> Verifier:
    """Return the verifier if its console may be used.

    Raises:
        AccessDenied: consoles open by API key only in a demo, until staff have accounts.
    """
    verifier = verifier_of(request)
    if not verifier.settings.demo:
        raise AccessDenied("the console is open only in a demo")
    return verifier


async def staff(request: Request) -> Desk:
    """Return the desk of whoever is signed in; others are sent to sign in."""
    verifier, current = check_open(request), session(request)
    party_id, key_id = current.get(SESSION_PARTY), current.get(SESSION_KEY)
    if not isinstance(party_id, str) or not isinstance(key_id, str):
        raise HTTPException(303, "sign in first", {"Location": SIGN_IN})
    party = verifier.party(party_id)
    # A revoked or rotated key closes the desk that it opened, in every browser.
    unit = verifier.database.reader()
    if show_api_key(unit, verifier.api_keys(unit), party, key_id).state(verifier.clock.now()) in {"expired", "revoked"}:
        raise HTTPException(303, "sign in again", {"Location": SIGN_IN})
    return Desk(verifier, party, key_id)


def session_digest(request: Request) -> bytes:
    """Return what is stored of this browser's session, to recognise it when it comes back (protocols.md 24)."""
    return hashlib.sha256(session(request).id.encode()).digest()
