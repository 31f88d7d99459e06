"""Rules of transaction types: what ``jigap catalogue check`` demands of ``transactions/*.toml``."""

from collections.abc import Sequence

from wallet_core.catalogue.source import Document
from wallet_core.catalogue.text import LANGUAGES
from wallet_core.catalogue.transaction import PROTOCOL_MEMBERS, TransactionType

TransactionFile = tuple[Document, TransactionType]


def check_transactions(files: Sequence[TransactionFile]) -> None:
    """Note every broken rule of the transaction types."""
    for member in ("id", "type"):
        seen: dict[str, str] = {}
        for document, each in files:
            value = str(getattr(each, member))
            if value in seen:
                document.report((member,), "unique", f"{value} is already used in {seen[value]}")
            seen.setdefault(value, document.file)
    for document, each in files:
        if not document.file.endswith(f"/{each.id}.toml"):
            document.report(("id",), "file-name", "the file is not named after its id")
        _check_members(document, each)
        _check_sentence(document, each)


def _check_members(document: Document, transaction: TransactionType) -> None:
    names: set[str] = set()
    labels: set[tuple[str, str]] = set()
    for index, member in enumerate(transaction.members):
        if member.name in PROTOCOL_MEMBERS:
            document.report(("members", index, "name"), "reserved", f"{member.name} is a member of the protocol")
        if member.name in names:
            document.report(("members", index, "name"), "unique", f"{member.name} stands twice")
        names.add(member.name)
        for language in LANGUAGES:
            label = (language, member.label.get(language))
            if label in labels:
                document.report(("members", index, "label"), "labels", f"another member is called {label[1]}")
            labels.add(label)
        if member.least > member.most:
            document.report(("members", index), "bounds", "the least is more than the most")
        elif (fault := member.fault(member.example)) is not None:
            document.report(("members", index, "example"), "example", fault)


def _check_sentence(document: Document, transaction: TransactionType) -> None:
    required = {member.name for member in transaction.members if member.required}
    for language, name in transaction.places():
        if name not in required:
            document.report(("sentence",), "sentence", f"{name} in {language} is no member that is always there")
