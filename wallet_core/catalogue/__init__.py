"""The catalogue: credential types, verifier policies and agencies as data, parsed from texts."""

from wallet_core.catalogue.catalogue import Catalogue, parse_catalogue
from wallet_core.catalogue.credential_type import SEOUL, Claim, CredentialType, seoul_day
from wallet_core.catalogue.parsing import Agency
from wallet_core.catalogue.policy import Policy
from wallet_core.catalogue.source import CatalogueError, CatalogueProblem, Unreadable, parse_text
from wallet_core.catalogue.text import Text
from wallet_core.catalogue.transaction import TransactionType
from wallet_core.catalogue.validation import RecordProblem

__all__ = [
    "SEOUL",
    "Agency",
    "Catalogue",
    "CatalogueError",
    "CatalogueProblem",
    "Claim",
    "CredentialType",
    "Policy",
    "RecordProblem",
    "Text",
    "TransactionType",
    "Unreadable",
    "parse_catalogue",
    "parse_text",
    "seoul_day",
]
