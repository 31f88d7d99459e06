"""What time alone does at the issuer, and that the tables are those of the code."""

from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from cryptography.hazmat.primitives.asymmetric import ec

from issuer.agencies.use_cases import register_agency
from issuer.app import create_worker
from issuer.issuance.ports import RENEWAL_TIME
from issuer.issuance.use_cases.expiry import BATCH, expire_offers
from issuer.tables import IssuerBase
from tests.support.issuing import HOST, NOW, IssuerUnderTest, add_signing_key
from tests.support.tables import own_tables
from wallet_core.errors import InvalidRequest
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.protocols.openid4vci.pending import IssuedCredentials
from wallet_core.types import AgencyId

KEY = SoftwareSigner.generate()


def stored(issuer: IssuerUnderTest) -> dict[str, tuple[str, bool, bool]]:
    with issuer.issuer.database.reader() as unit:
        rows = unit.connection.exec_driver_sql(
            "SELECT id, kind, sealed IS NOT NULL, token_digest IS NOT NULL FROM issuer_offer"
        )
        return {row[0]: (row[1], bool(row[2]), bool(row[3])) for row in rows}


def test_the_data_of_ended_offers_are_deleted(issuer: IssuerUnderTest) -> None:
    unused, authorized, used = (issuer.offer() for _ in range(3))
    issuer.proofs(authorized["uri"], [KEY])
    assert isinstance(issuer.receive(issuer.proofs(used["uri"], [KEY]), [KEY]), IssuedCredentials)
    create_worker(issuer.issuer).run_due()
    assert all(sealed for _, sealed, _ in stored(issuer).values())
    issuer.clock.advance(1801)
    with issuer.issuer.database.unit() as unit:
        # For whom the unused one was is kept until nobody asks for a new code any more.
        assert expire_offers(issuer.issuer.storage(unit), now=issuer.clock.now()) == 2
    assert stored(issuer)[unused["id"]] == ("offered", True, False)
    issuer.clock.advance(RENEWAL_TIME.total_seconds())
    kept = issuer.offer()
    with issuer.issuer.database.unit() as unit:
        assert expire_offers(issuer.issuer.storage(unit), now=issuer.clock.now()) == 1
        assert expire_offers(issuer.issuer.storage(unit), now=issuer.clock.now()) == 0
    assert stored(issuer) == {
        unused["id"]: ("expired", False, False),
        authorized["id"]: ("expired", False, False),
        used["id"]: ("issued", False, False),
        kept["id"]: ("offered", True, False),
    }
    assert len(issuer.api("GET", "/credentials").json()["credentials"]) == 1
    assert BATCH >= 100


def test_the_tables_are_those_of_the_code(issuer: IssuerUnderTest) -> None:
    with issuer.issuer.database.reader() as unit:
        context = MigrationContext.configure(unit.connection, opts=own_tables("issuer", "issuer"))
        assert compare_metadata(context, IssuerBase.metadata) == []


@pytest.mark.parametrize(
    ("different", "words"),
    [({"public_url": "https://other.example"}, "no URI name"), ({"curve": ec.SECP384R1()}, "metadata say ES256")],
)
def test_an_agency_signs_only_under_its_own_name_and_as_it_says(
    sqlite_issuer: IssuerUnderTest, different: dict[str, Any], words: str
) -> None:
    under_test = sqlite_issuer
    add_signing_key(under_test.issuer.keys, under_test.ca, "pension", **different)
    unit = under_test.issuer.database.unit()
    with pytest.raises(InvalidRequest, match=words):
        register_agency(
            unit,
            under_test.issuer.agencies(unit),
            under_test.issuer.api_keys(unit),
            under_test.issuer.keys,
            under_test.issuer.catalogue,
            AgencyId("pension"),
            public_url=HOST,
            now=NOW,
        )
    assert under_test.client.get(f"{HOST}/.well-known/jwt-vc-issuer/agencies/pension").status_code == 404
