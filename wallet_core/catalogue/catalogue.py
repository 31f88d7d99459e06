"""The catalogue as a whole: credential types, policies and agencies, read from texts and checked."""

import hashlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date

from wallet_core.catalogue.credential_type import CredentialType
from wallet_core.catalogue.parsing import (
    Agency,
    parse_agency,
    parse_credential_type,
    parse_policy,
    parse_transaction_type,
)
from wallet_core.catalogue.policy import Policy
from wallet_core.catalogue.policy_checks import check_policies
from wallet_core.catalogue.source import CatalogueError, CatalogueProblem, Document, Unreadable, parse_document
from wallet_core.catalogue.transaction import TransactionType
from wallet_core.catalogue.transaction_checks import check_transactions
from wallet_core.catalogue.type_checks import check_types
from wallet_core.errors import NotFound, UnknownCredentialConfiguration
from wallet_core.types import AgencyId, CredentialConfigurationId, Vct

AGENCIES_FILE = "agencies.toml"


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Everything under ``specs/catalogue``.

    Attributes:
        types: credential types by id.
        policies: verifier policies by id.
        agencies: agencies by id.
        as_of: the day on which the examples hold.
        transactions: transaction types by id.
    """

    types: Mapping[str, CredentialType]
    policies: Mapping[str, Policy]
    agencies: Mapping[AgencyId, Agency]
    as_of: date
    transactions: Mapping[str, TransactionType] = field(default_factory=dict)

    @property
    def transaction_types(self) -> Mapping[str, TransactionType]:
        """The transaction types by the value of ``type`` in transaction data: what a wallet understands."""
        return {each.type: each for each in self.transactions.values()}

    def goes_with(self, policy: Policy, transaction_types: Collection[str]) -> bool:
        """Return whether transactions of these types, and no others, are agreed to under a policy (none under most)."""
        accepted = {self.transactions[each].type for each in policy.transactions}
        return accepted.issuperset(transaction_types) and bool(accepted) == bool(transaction_types)

    def by_vct(self, vct: Vct) -> CredentialType:
        """Return the type with ``vct``. Raises ``NotFound`` if there is none."""
        for credential_type in self.types.values():
            if credential_type.vct == vct:
                return credential_type
        raise NotFound("no such credential type")

    def by_doctype(self, doctype: str) -> CredentialType:
        """Return the type whose mdoc form has this document type. Raises ``NotFound``."""
        for credential_type in self.types.values():
            if credential_type.mdoc is not None and credential_type.mdoc.doctype == doctype:
                return credential_type
        raise NotFound("no such credential type")

    def by_configuration(self, configuration_id: CredentialConfigurationId) -> CredentialType:
        """Return the type of which ``configuration_id`` names a form.

        Raises:
            UnknownCredentialConfiguration: there is none (OpenID4VCI 8.3.1.2).
        """
        for credential_type in self.types.values():
            if any(entry.configuration_id == configuration_id for entry in credential_type.formats):
                return credential_type
        raise UnknownCredentialConfiguration("no such credential configuration", clause="OpenID4VCI 8.3.1.2")

    def supertypes(self) -> dict[str, frozenset[str]]:
        """Return all types that each ``vct`` extends, nearest or not (SD-JWT VC 4); without those that extend none."""
        parents = {each.vct: each.extends for each in self.types.values() if each.extends is not None}
        return {vct: frozenset(_line(vct, parents)) for vct in parents}

    def issued_by(self, agency: AgencyId) -> tuple[CredentialType, ...]:
        """Return the types that ``agency`` issues."""
        return tuple(each for each in self.types.values() if each.agency == agency)


def _line(vct: Vct, parents: Mapping[Vct, Vct]) -> Iterator[Vct]:
    while vct in parents:
        vct = parents[vct]
        yield vct


def parse_catalogue(texts: Mapping[str, str | Unreadable]) -> Catalogue:
    """Return the catalogue of ``texts``.

    Args:
        texts: file name below the catalogue folder → content: ``agencies.toml``, ``credentials/*.toml``,
            ``policies/*.json``, ``transactions/*.toml``, or why it has none. Other names are ignored.

    Raises:
        CatalogueError: with every problem, its file and line.
    """
    problems: list[CatalogueProblem] = []
    documents = {name: parse_document(name, text, problems) for name, text in sorted(texts.items()) if _is_ours(name)}
    if AGENCIES_FILE not in documents:
        problems.append(CatalogueProblem(AGENCIES_FILE, 1, "missing", "the file is missing"))
    parsed = {name: document for name, document in documents.items() if document is not None}
    agencies, as_of = _agencies(parsed.pop(AGENCIES_FILE, None))
    types = [
        (document, parse_credential_type(document.root)) for name, document in parsed.items() if "credentials/" in name
    ]
    policies = [
        (document, replace(parse_policy(document.root), digest=_digest(texts[name])))
        for name, document in parsed.items()
        if "policies/" in name
    ]
    transactions = [
        (document, parse_transaction_type(document.root))
        for name, document in parsed.items()
        if "transactions/" in name
    ]
    catalogue = Catalogue(
        types={each.id: each for _, each in types},
        policies={each.id: each for _, each in policies},
        agencies=agencies,
        as_of=as_of,
        transactions={each.id: each for _, each in transactions},
    )
    # The rules between the parts speak of parts that are whole.
    if not problems:
        check_types(types, frozenset(agencies), as_of)
        check_transactions(transactions)
        check_policies(policies, types, frozenset(catalogue.transactions))
    if problems:
        raise CatalogueError(problems)
    return catalogue


def _digest(text: str | Unreadable) -> bytes:
    if isinstance(text, Unreadable):
        raise TypeError("a file without text has no document")
    return hashlib.sha256(text.encode(errors="surrogatepass")).digest()


def _is_ours(name: str) -> bool:
    return (
        name == AGENCIES_FILE
        or (name.startswith("credentials/") and name.endswith(".toml"))
        or (name.startswith("policies/") and name.endswith(".json"))
        or (name.startswith("transactions/") and name.endswith(".toml"))
    )


def _agencies(document: Document | None) -> tuple[dict[AgencyId, Agency], date]:
    if document is None:
        return {}, date.min
    root = document.root
    root.value("notice")
    as_of = root.value("as_of")
    if type(as_of) is not date:
        root.report("type", "as_of is not a day", "as_of")
        as_of = date.min
    nodes = root.tables("agencies")
    agencies: dict[AgencyId, Agency] = {}
    for node in nodes:
        agency = parse_agency(node)
        if agency.id in agencies:
            node.report("unique", f"another agency has the id {agency.id}", "id")
        agencies[agency.id] = agency
    root.close()
    return agencies, as_of
