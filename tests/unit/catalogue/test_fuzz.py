"""Whatever stands in a file, it gets a list of problems and nothing else."""

import json
import tomllib
from datetime import date
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.support.mutation import mutate_json
from wallet_core.catalogue import Catalogue
from wallet_core.catalogue.parsing import parse_credential_type, parse_policy, parse_transaction_type
from wallet_core.catalogue.policy_checks import check_policies
from wallet_core.catalogue.source import CatalogueProblem, Document
from wallet_core.catalogue.transaction_checks import check_transactions
from wallet_core.catalogue.type_checks import check_types

TODAY = date(2026, 11, 22)
POLICIES = ("account-opening", "adult-check", "used-car-sale")
TRANSACTIONS = ("bill-payment", "document-agreement", "refund-account")
TYPES = ("drivers-licence", "income-certificate", "resident-certificate")


@given(st.sampled_from(POLICIES), st.integers())
def test_changed_policies(texts: dict[str, str], catalogue: Catalogue, name: str, seed: int) -> None:
    file = f"policies/{name}.json"
    changed: Any = mutate_json(Random(seed), json.loads(texts[file]))  # noqa: S311 - nothing secret
    if not isinstance(changed, dict):
        return
    problems: list[CatalogueProblem] = []
    document = Document(file, changed, dict, problems)
    parsed = parse_policy(document.root)
    if not problems:
        check_policies([(document, parsed)], [(document, each) for each in catalogue.types.values()])


@given(st.sampled_from(TYPES), st.integers())
def test_changed_types(texts: dict[str, str], name: str, seed: int) -> None:
    file = f"credentials/{name}.toml"
    # TOML has no null; what would be one arrives as a missing key there, and as None here.
    changed: Any = mutate_json(Random(seed), tomllib.loads(texts[file]))  # noqa: S311 - nothing secret
    if not isinstance(changed, dict):
        return
    problems: list[CatalogueProblem] = []
    document = Document(file, changed, dict, problems)
    parsed = parse_credential_type(document.root)
    if not problems:
        check_types([(document, parsed)], [parsed.agency], TODAY)


@given(st.sampled_from(TRANSACTIONS), st.integers())
def test_changed_transactions(texts: dict[str, str], name: str, seed: int) -> None:
    file = f"transactions/{name}.toml"
    changed: Any = mutate_json(Random(seed), tomllib.loads(texts[file]))  # noqa: S311 - nothing secret
    if not isinstance(changed, dict):
        return
    problems: list[CatalogueProblem] = []
    document = Document(file, changed, dict, problems)
    parsed = parse_transaction_type(document.root)
    if not problems:
        check_transactions([(document, parsed)])
    if not problems:
        values = parsed.values(parsed.example)
        assert not list(parsed.faults(parsed.example))
        assert parsed.words(values).get("en")
        assert parsed.lines(values)
