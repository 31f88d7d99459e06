"""Who sits at the console, and what its pages show of the issuer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request

from issuer.agencies.ports import Agency
from issuer.console.use_cases import MAX_FOUND, find_people, find_person
from issuer.dependencies import Issuer, issuer_of
from issuer.issuance.use_cases.dataset import is_issued
from issuer.issuance.use_cases.issued_cards import IssuedCard
from issuer.issuance.use_cases.offers import OfferStatus
from wallet_core.adapters.ui.masking import mask
from wallet_core.adapters.web import session
from wallet_core.catalogue import CredentialType, Text
from wallet_core.errors import AccessDenied, NotFound, UnknownCredentialConfiguration
from wallet_core.types import CredentialConfigurationId

SIGN_IN = "/console/sign-in"
SESSION_AGENCY = "agency"
_WALLET_PATH = "/credential-offer"


@dataclass(frozen=True, slots=True)
class Desk:
    """One agency's console."""

    issuer: Issuer
    agency: Agency

    @property
    def types(self) -> Sequence[CredentialType]:
        """What the agency issues."""
        return self.issuer.catalogue.issued_by(self.agency.id)

    def type(self, type_id: str) -> CredentialType:
        """Return one of the agency's types. Raises ``NotFound``."""
        for each in self.types:
            if each.id == type_id:
                return each
        raise NotFound("the agency does not issue that")

    def type_names(self, configuration_ids: Sequence[CredentialConfigurationId]) -> list[Text]:
        """Return the names of cards by their configuration; the id itself for one that left the catalogue."""
        return [self._type_name(each) for each in configuration_ids]

    def _type_name(self, configuration_id: CredentialConfigurationId) -> Text:
        try:
            found = self.issuer.catalogue.by_configuration(configuration_id)
        except UnknownCredentialConfiguration:
            return Text(configuration_id, configuration_id)
        entry = next(each for each in found.formats if each.configuration_id == configuration_id)
        return found.name_as(entry.format)

    def forms(self, credential_type: CredentialType) -> Mapping[str, tuple[CredentialConfigurationId, ...]]:
        """Return in which forms the agency can offer a type: ``sd_jwt``; ``mdoc`` and ``both`` with a document signer.

        What each puts into the offer is its value.
        """
        entry = credential_type.mdoc
        forms = {"sd_jwt": (credential_type.configuration_id,)}
        if entry is None:
            return forms
        ports = self.issuer.issuance
        issued = ports.types.get(self.agency.id, {}).get(entry.configuration_id)
        if issued is None or not is_issued(ports, self.agency.id, issued):
            return forms
        mdoc = (entry.configuration_id,)
        return {**forms, "mdoc": mdoc, "both": forms["sd_jwt"] + mdoc}

    def person_name(self, subject_id: str | None, configuration_id: CredentialConfigurationId) -> str:
        """Return the covered name of a person on record; "" for one who is not."""
        if subject_id is None:
            return ""
        try:
            credential_type = self.issuer.catalogue.by_configuration(configuration_id)
        except UnknownCredentialConfiguration:
            return subject_id
        unit = self.issuer.database.reader()
        person = find_person(unit, self.issuer.records(unit), self.agency, credential_type, subject_id)
        return mask(person.name, "name", "ko") if person else subject_id

    def people(self, query: str) -> tuple[set[str], bool]:
        """Return the subject ids of people on record who fit ``query``, with ``query`` itself, and whether more do."""
        unit = self.issuer.database.reader()
        records = self.issuer.records(unit)
        found = [find_people(unit, records, self.agency, each, query) for each in self.types]
        subject_ids = {person.subject_id for people in found for person in people}
        # Whoever has left the records still has the card.
        return {*subject_ids, query.strip()}, any(len(people) == MAX_FOUND for people in found)

    def card_row(self, card: IssuedCard) -> Mapping[str, Any]:
        """Return an issued card as lists show it."""
        copy = card.newest
        return {
            "id": copy.id,
            "subject": self.person_name(copy.subject_id, copy.configuration_id),
            "type": self.type_names([copy.configuration_id])[0],
            "copies": card.copies,
            "issued_at": copy.issued_at,
            "expires_at": copy.expires_at,
            "states": card.statuses if copy.expires_at > self.issuer.clock.now() else ("over",),
            "event": copy.event,
        }

    def offer_row(self, status: OfferStatus) -> Mapping[str, Any]:
        """Return an offer as lists show it."""
        return {
            "id": status.id,
            "subject": self.person_name(status.subject_id, status.configuration_ids[0]),
            "types": self.type_names(status.configuration_ids),
            "state": status.outcome,
            "created_at": status.created_at,
            "renewable": status.renewable,
        }


def check_open(request: Request) -> Issuer:
    """Return the issuer if its console may be used.

    Raises:
        AccessDenied: consoles open by API key only in a demo, until staff have accounts.
    """
    issuer = issuer_of(request)
    if not issuer.settings.demo:
        raise AccessDenied("the console is open only in a demo")
    return issuer


async def staff(request: Request) -> Desk:
    """Return the desk of whoever is signed in; others are sent to sign in."""
    issuer = check_open(request)
    agency_id = session(request).get(SESSION_AGENCY)
    if not isinstance(agency_id, str):
        raise HTTPException(303, "sign in first", {"Location": SIGN_IN})
    return Desk(issuer, issuer.agency(agency_id))


def wallet_link(link: str, wallet: str | None) -> str:
    """Return an offer's ``link`` addressed to the web wallet at ``wallet`` (protocols.md 25); "" without one."""
    return f"{wallet}{_WALLET_PATH}?{urlsplit(link).query}" if wallet else ""
