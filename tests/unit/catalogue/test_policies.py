"""Every policy, as the protocol reads it: the published schema, our parser, and the matching of the examples."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jsonschema
import pytest

from tests.unit.trust.conftest import Pki, pki
from wallet_core.catalogue import Catalogue, CredentialType
from wallet_core.catalogue.policy import Policy
from wallet_core.formats.sd_jwt.holder import index_sd_jwt
from wallet_core.formats.sd_jwt.vc import issue_sd_jwt_vc
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.protocols.openid4vp.candidates import sd_jwt_candidate
from wallet_core.protocols.openid4vp.dcql import parse_dcql_query, validate_own_query
from wallet_core.protocols.openid4vp.matching import Candidate, default_choice, match
from wallet_core.types import CredentialIssuerId

__all__ = ["pki"]

NOW = datetime(2026, 11, 22, 1, tzinfo=UTC)
SCHEMA = Path(__file__).parents[2] / "vectors" / "data" / "openid4vp" / "schemas" / "dcql_request.schema.json"


def candidate(credential_type: CredentialType, catalogue: Catalogue, pki: Pki) -> Candidate:
    """The example of a type as a wallet holds it."""
    text = issue_sd_jwt_vc(
        vct=credential_type.vct,
        issuer=CredentialIssuerId(f"https://issuer.example/agencies/{credential_type.agency}"),
        claims=credential_type.prepare_claims(credential_type.example_record, today=catalogue.as_of),
        selectively_disclosable=credential_type.selectively_disclosable,
        holder_key=SoftwareSigner.generate().public_key,
        issued_at=NOW,
        expires_at=NOW + timedelta(days=1),
        signer=pki.issuer_signer,
        x5c=[pki.issuer_leaf],
        random=os.urandom,
    )
    return sd_jwt_candidate(credential_type.id, index_sd_jwt(text))


@pytest.fixture(scope="module")
def candidates(catalogue: Catalogue, pki: Pki) -> list[Candidate]:
    return [candidate(each, catalogue, pki) for each in catalogue.types.values()]


def policies() -> list[str]:
    folder = Path(__file__).parents[3] / "specs" / "catalogue" / "policies"
    return sorted(path.stem for path in folder.glob("*.json"))


@pytest.fixture(params=policies())
def policy(request: pytest.FixtureRequest, catalogue: Catalogue) -> Policy:
    return catalogue.policies[request.param]


def test_the_query_keeps_the_published_schema(policy: Policy) -> None:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.validate(policy.dcql_query, schema)


def test_our_own_rules_for_requests_hold(policy: Policy) -> None:
    validate_own_query(parse_dcql_query(policy.dcql_query))


def test_the_examples_answer(policy: Policy, candidates: list[Candidate]) -> None:
    matches = match(parse_dcql_query(policy.dcql_query), candidates)
    assert matches.satisfiable
    assert default_choice(matches)


def test_the_examples_of_the_first_card_are_needed(policy: Policy) -> None:
    assert not match(parse_dcql_query(policy.dcql_query), []).satisfiable
