"""A credential type of the catalogue: what may be in it, how it is shown, and how long it lives."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from enum import StrEnum
from functools import lru_cache
from typing import Final, Literal

from wallet_core.catalogue import derivation, elements, metadata, validation
from wallet_core.catalogue.derivation import Derivation
from wallet_core.catalogue.text import Text
from wallet_core.catalogue.validation import Members, RecordProblem
from wallet_core.encoding.claims_path import ConcretePath, resolve
from wallet_core.errors import Expired, MalformedError
from wallet_core.spec_versions import FORMAT_MDOC, FORMAT_SD_JWT_VC, PROOF_TYPE_JWT
from wallet_core.types import AgencyId, ClaimsPath, CredentialConfigurationId, Json, JsonObject, Vct

SEOUL: Final = timezone(timedelta(hours=9), "Asia/Seoul")
"""Korea has kept UTC+9 without summer time since 1988."""


class ClaimType(StrEnum):
    """What a claim's value is."""

    STRING = "string"
    DATE = "date"
    BOOLEAN = "boolean"
    INTEGER = "integer"
    OBJECT = "object"
    ARRAY = "array"
    IMAGE = "image"


class Sensitivity(StrEnum):
    """How much a claim tells; ``special`` are unique identifiers and sensitive data (PIPA 23, 24)."""

    NORMAL = "normal"
    PERSONAL = "personal"
    SPECIAL = "special"


class Mask(StrEnum):
    """How a claim is shortened in lists."""

    NONE = "none"
    NAME = "name"
    NUMBER = "number"
    YEAR = "year"
    REGION = "region"
    AMOUNT = "amount"
    COUNT = "count"
    PLATE = "plate"
    HIDDEN = "hidden"


@dataclass(frozen=True, slots=True)
class MdocElement:
    """Where the claim stands in the mdoc form: namespace, element and CBOR type."""

    namespace: str
    element: str
    cbor: str


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim of a type.

    Attributes:
        path: Claims Path Pointer; None is every element.
        type: of the value.
        items: of the elements of an array.
        label: for people.
        mandatory: always in the signed data; says nothing about disclosure.
        sd: whether it can be withheld (SD-JWT VC 4.5.4).
        element_sd: the same for the elements of an array.
        sensitivity: special claims get their own line at consent.
        mask: how lists show it.
        default_issue: False = not signed unless an issuing desk asks for it.
        codes: allowed values with their words; empty allows any.
        pattern: regular expression of the whole value.
        derived: how it is computed when signing; None for what the record gives.
        mdoc: None = not in the mdoc form.
        example: an invented value; None where there is none.
        note: for those who edit the file.
    """

    path: ClaimsPath
    type: ClaimType
    label: Text
    items: ClaimType | None = None
    mandatory: bool = False
    sd: Literal["always", "allowed", "never"] = "always"
    element_sd: Literal["always", "allowed", "never"] = "always"
    sensitivity: Sensitivity = Sensitivity.NORMAL
    mask: Mask = Mask.NONE
    default_issue: bool = True
    codes: Mapping[str | int, Text] = field(default_factory=dict)
    pattern: re.Pattern[str] | None = None
    derived: Derivation | None = None
    mdoc: MdocElement | None = None
    example: Json = None
    note: str = ""

    @property
    def computed(self) -> bool:
        """Whether its value is computed from other claims when signing, so that a record must not bring it."""
        return self.derived is not None and self.derived.rule != derivation.AGENCY


@dataclass(frozen=True, slots=True)
class FormatEntry:
    """One credential format in which a type is issued."""

    format: str
    configuration_id: CredentialConfigurationId
    scope: str
    status_bits: int
    doctype: str | None = None
    namespaces: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class IssuanceRules:
    """Who may ask for a credential, and how it is handed out.

    For readers, and enforced nowhere: ``who``, ``proxy``, ``identity_level``, ``ground``.
    """

    who: tuple[str, ...]
    proxy: str
    identity_level: int
    grants: tuple[str, ...]
    tx_code: Literal["required", "optional", "none"]
    login_by_credential: tuple[str, ...]
    copies: int
    clerk_decides: bool
    ground: Text


@dataclass(frozen=True, slots=True)
class KeyPolicy:
    """How well the holder's keys must be kept, and who must say so.

    Attributes:
        key_storage: levels of the storage that are good enough; a stronger one is too.
        user_authentication: the same for how the person unlocks the keys.
        attestation: who must attest it: ``none`` nobody, ``haip`` the wallet provider where the agency keeps to HAIP,
            ``required`` the wallet provider in every case (decision 0068).
        proof_types: proofs that are taken (OpenID4VCI F); ``attestation`` only where the type is attested.
    """

    key_storage: tuple[str, ...]
    user_authentication: tuple[str, ...]
    attestation: Literal["none", "haip", "required"] = "none"
    proof_types: tuple[str, ...] = (PROOF_TYPE_JWT,)

    def attested(self, *, haip: bool) -> bool:
        """Return whether keys must be attested at an agency that keeps to HAIP, or does not."""
        return self.attestation == "required" or (self.attestation == "haip" and haip)


@dataclass(frozen=True, slots=True)
class CredentialType:
    """A credential type, with everything that is derived from its file. ``extends`` is the type it is a kind of.

    For readers, and enforced nowhere: ``renew_on``, ``validity_ground``, ``edge_cases``.
    """

    id: str
    vct: Vct
    agency: AgencyId
    name: Text
    description: Text
    cloth: str
    front: tuple[ClaimsPath, ...]
    formats: tuple[FormatEntry, ...]
    validity_days: int
    not_after_claim: tuple[ClaimsPath, ...]
    renew_on: tuple[str, ...]
    validity_ground: Text
    revocable: bool
    suspendable: bool
    key_policy: KeyPolicy
    issuance: IssuanceRules
    claims: tuple[Claim, ...]
    edge_cases: tuple[str, ...] = ()
    extends: Vct | None = None
    _by_path: Mapping[ClaimsPath, Claim] = field(init=False, repr=False, compare=False)
    _by_element: Mapping[tuple[str, str], Claim] = field(init=False, repr=False, compare=False)
    _members: Members = field(init=False, repr=False, compare=False)
    _signing: derivation.SigningPlan = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Index the claims: an import looks them up for every cell."""
        object.__setattr__(self, "_by_path", {claim.path: claim for claim in self.claims})
        object.__setattr__(self, "_by_element", elements.element_claims(self))
        object.__setattr__(self, "_members", validation.members_of(self.claims))
        object.__setattr__(self, "_signing", derivation.plan_signing(self.claims))

    @property
    def sd_jwt(self) -> FormatEntry:
        """The SD-JWT VC form, which every type has."""
        return next(entry for entry in self.formats if entry.format == FORMAT_SD_JWT_VC)

    @property
    def mdoc(self) -> FormatEntry | None:
        """The mdoc form; None for a type that has none."""
        return next((entry for entry in self.formats if entry.format == FORMAT_MDOC), None)

    def name_as(self, format_: str) -> Text:
        """Return the name of a form: one person may hold both, so that of the mdoc says which it is."""
        if format_ != FORMAT_MDOC:
            return self.name
        return Text(f"{self.name.ko} (국제\N{NO-BREAK SPACE}규격)", f"{self.name.en} (ISO)")

    @property
    def configuration_id(self) -> CredentialConfigurationId:
        """``credential_configuration_id`` of the SD-JWT VC form."""
        return self.sd_jwt.configuration_id

    @property
    def scope(self) -> str:
        """OAuth scope of the SD-JWT VC form."""
        return self.sd_jwt.scope

    def claim(self, path: ClaimsPath) -> Claim | None:
        """Return the claim at ``path``; array indices stand for every element. None if there is none."""
        general = tuple(None if isinstance(part, int) else part for part in path)
        return self._by_path.get(general)

    @property
    def selectively_disclosable(self) -> tuple[ClaimsPath, ...]:
        """Paths of everything that hides by itself: claims, members of containers, elements of arrays."""
        paths: list[ClaimsPath] = []
        for claim in self.claims:
            if claim.sd != "never":
                paths.append(claim.path)
            if claim.type is ClaimType.ARRAY and claim.element_sd != "never":
                paths.append((*claim.path, None))
        return tuple(paths)

    @property
    def example_record(self) -> JsonObject:
        """The invented record of the examples, as an agency would hold it: without what is computed when signing."""
        return validation.example_record(self.claims)

    @property
    def record_columns(self) -> tuple[ClaimsPath, ...]:
        """Where an agency's record can hold a value, as columns of a CSV file; lists are as long as in the example."""
        return tuple(validation.record_columns(self._members, self.example_record))

    def validate_record(self, record: JsonObject, *, today: date) -> list[RecordProblem]:
        """Return everything that is wrong with an agency's ``record``; empty if it can be signed.

        Args:
            record: claims of one person, without those that are computed when signing.
            today: the day in Asia/Seoul.
        """
        return validation.validate_record(self._members, record, today=today)

    def prepare_claims(self, record: JsonObject, *, today: date, also: Collection[ClaimsPath] = ()) -> JsonObject:
        """Return the claims to sign: ``record`` with what is derived from it, in the catalogue's order.

        Args:
            record: one that :meth:`validate_record` finds no fault with.
            today: the day of signing in Asia/Seoul.
            also: claims with ``default_issue = false`` that the issuing desk turned on.
        """
        plan = derivation.plan_signing(self.claims, also=also) if also else self._signing
        return derivation.prepare_claims(plan, record, today=today)

    def expires_at(self, claims: JsonObject, *, today: date) -> datetime:
        """Return when a copy signed on ``today`` ends: the end of its last day in Asia/Seoul, a full hour in UTC (M12).

        Raises:
            Expired: the facts themselves have ended, as those of a licence past its last day.
        """
        last = today + timedelta(days=self.validity_days)
        for path in self.not_after_claim:
            for value in derivation.select(claims, path):
                last = min(last, date.fromisoformat(str(value)))
        if last < today:
            raise Expired("what the credential states is no longer valid", detail=f"{self.id}: past its last day")
        return _end_of_day(last)

    def element_claim(self, namespace: str, element: str) -> Claim | None:
        """Return the claim that a data element of the mdoc form states; None if there is none."""
        return self._by_element.get((namespace, element))

    def claim_at(self, path: ConcretePath) -> Claim | None:
        """Return the claim at a place in a credential: a path of an SD-JWT VC, namespace and element of an mdoc."""
        # No claim has the name of a namespace, which is a reversed domain name.
        element = self.element_claim(str(path[0]), str(path[1])) if len(path) > 1 else None
        return element or self.claim(path)

    def places(self, claims: JsonObject) -> Iterator[tuple[Claim, ConcretePath]]:
        """Yield each claim that stands in ``claims`` with its place, in the order of display.

        Containers of an SD-JWT VC are given by their members; an element of an mdoc is one, whatever is in it.
        """
        named = [claim for claim in self.claims if claim.path[-1] is not None]
        containers = {claim.path[:-1] for claim in named}
        for claim in named:
            if claim.path not in containers and (*claim.path, None) not in containers:
                yield from ((claim, path) for path in _resolved(claims, claim.path))
            if claim.mdoc is not None:
                yield from ((claim, path) for path in _resolved(claims, (claim.mdoc.namespace, claim.mdoc.element)))

    def data_elements(self, claims: JsonObject) -> elements.DataElements:
        """Return what :meth:`prepare_claims` gave as the data elements of the mdoc form, CBOR values by namespace."""
        return elements.data_elements(self, claims)

    def credential_configuration(self, entry: FormatEntry | None = None, *, haip: bool = False) -> JsonObject:
        """Return the entry of ``credential_configurations_supported`` of a form; of the SD-JWT VC form by default.

        ``haip`` says whether the agency keeps to HAIP: keys may have to be attested there.
        """
        return metadata.credential_configuration(self, entry or self.sd_jwt, haip=haip)

    def type_metadata(self) -> JsonObject:
        """Return the type metadata document (SD-JWT VC 4)."""
        return metadata.type_metadata(self)


@lru_cache(maxsize=1024)
def _end_of_day(last: date) -> datetime:
    return datetime.combine(last + timedelta(days=1), time.min, SEOUL).astimezone(UTC)


def _resolved(claims: JsonObject, path: ClaimsPath) -> tuple[ConcretePath, ...]:
    try:
        return resolve(claims, path)
    except MalformedError:  # another shape than the catalogue's stands there
        return ()


def seoul_day(now: datetime) -> date:
    """Return the calendar day in Asia/Seoul at ``now``."""
    return now.astimezone(SEOUL).date()
