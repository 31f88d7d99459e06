"""Transactions to be agreed to, for tests: the catalogue's types with invented values (시험용)."""

import hashlib
from functools import lru_cache
from typing import Any

from wallet_core.adapters.config import load_catalogue
from wallet_core.catalogue import TransactionType
from wallet_core.encoding import base64url, strict_json

BILL = "urn:jigap:transaction:bill-payment:1"
DOCUMENT = "urn:jigap:transaction:document-agreement:1"
REFUND = "urn:jigap:transaction:refund-account:1"


@lru_cache(maxsize=1)
def transaction_types() -> dict[str, TransactionType]:
    """The catalogue's transaction types by the value of ``type``."""
    return dict(load_catalogue().transaction_types)


def transaction(type_: str = BILL, *, without: tuple[str, ...] = (), **changes: Any) -> dict[str, Any]:
    """A transaction of the catalogue's own example, for the licence."""
    members = {"type": type_, "credential_ids": ["licence"], **transaction_types()[type_].example, **changes}
    return {name: value for name, value in members.items() if name not in without}


def encoded(members: Any) -> str:
    """An entry as it travels."""
    return base64url.encode(strict_json.dumps(members))


def digest(text: str, algorithm: str = "sha256") -> str:
    """What binds an entry: the hash of its text."""
    return base64url.encode(hashlib.new(algorithm, text.encode()).digest())
