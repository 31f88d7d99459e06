"""A batch of copies: nothing but the claims that are disclosed tells that two of them belong together."""

import secrets
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import combinations
from typing import Any

import pytest

from tests.support.issuing import LICENCE, NOW, IssuerUnderTest, add_document_signer, add_signing_key
from tests.support.linking import claim_values, values_of
from tests.support.mdoc_presentations import new_iaca
from wallet_core.adapters.keystore import KeyStore
from wallet_core.encoding import base64url
from wallet_core.errors import PeerRefusal
from wallet_core.formats.mdoc.holder import index_mdoc
from wallet_core.formats.sd_jwt.holder import index_sd_jwt
from wallet_core.formats.sd_jwt.verifier import parse_sd_jwt
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.protocols.openid4vci.metadata import BATCH_SIZE

MDOC = "drivers-licence-mdoc"
OTHER = {"name": "남궁민준", "birth_date": "1985-02-03", "licence_number": "26-11-654321-20"}
TECHNICAL = {"iss", "vct", "cnf", "iat", "nbf", "exp", "status", "_sd_alg"}


@pytest.fixture
def police(sqlite_issuer: IssuerUnderTest) -> IssuerUnderTest:
    """An agency that issues both formats."""
    add_document_signer(sqlite_issuer.issuer.keys, new_iaca(now=NOW), "police")
    return sqlite_issuer


def receive(issuer: IssuerUnderTest, configuration: str, copies: int, **changes: Any) -> Sequence[str]:
    keys = [SoftwareSigner.generate() for _ in range(copies)]
    claims = {configuration: {**issuer.record(configuration), **changes}}
    pending = issuer.proofs(issuer.offer(configuration=configuration, claims=claims)["uri"], keys)
    return issuer.receive(pending, keys).batches[0].credentials


def disclosed(text: str, configuration: str) -> frozenset[Any]:
    """Every value that the claims of a copy hold."""
    if configuration == MDOC:
        return claim_values(index_mdoc(base64url.decode(text)).claims)
    return claim_values({name: each for name, each in index_sd_jwt(text).claims.items() if name not in TECHNICAL})


def links(issuer: IssuerUnderTest, configuration: str, copies: int = 3) -> set[Any]:
    """What two copies of one person have in common, that is no claim and that a stranger's copy has not too."""
    batch = receive(issuer, configuration, copies)
    changes = {name: value for name, value in OTHER.items() if name in issuer.record(configuration)}
    (stranger,) = receive(issuer, configuration, 1, **changes)
    of_all = values_of(stranger, is_mdoc=configuration == MDOC)
    found: set[Any] = set()
    for one, other in combinations(batch, 2):
        shared = values_of(one, is_mdoc=configuration == MDOC) & values_of(other, is_mdoc=configuration == MDOC)
        found |= shared - of_all - disclosed(one, configuration)
    return found


@pytest.mark.clause("vci-M12-full-hour")
@pytest.mark.parametrize("configuration", [LICENCE, MDOC])
def test_nothing_but_the_claims_links_two_copies(police: IssuerUnderTest, configuration: str) -> None:
    police.clock.advance(17 * 60 + 31)
    assert links(police, configuration, BATCH_SIZE) == set()


@pytest.mark.parametrize("configuration", [LICENCE, MDOC])
def test_the_comparison_notices_what_would_link_them(police: IssuerUnderTest, configuration: str) -> None:
    ports = police.issuer.issuance

    def salts(size: int) -> bytes:
        # Each request has salts of its own, and all its copies the same: what a lazy issuer would do.
        return (seed * size)[:size] if size > 100 else secrets.token_bytes(size)

    seed = secrets.token_bytes(32)
    lazy = replace(police.issuer, issuance=replace(ports, random=salts))
    police.app.state.issuer = lazy
    batch = receive(police, configuration, 2)
    seed = secrets.token_bytes(32)
    one, other = (values_of(text, is_mdoc=configuration == MDOC) for text in batch)
    (stranger,) = receive(police, configuration, 1)
    assert (one & other) - values_of(stranger, is_mdoc=configuration == MDOC) - disclosed(batch[0], configuration)


@pytest.mark.clause("vci-M12-full-hour")
@pytest.mark.parametrize("minute", [0, 1, 34, 59])
def test_the_time_of_a_copy_is_that_of_all_copies_of_its_hour(police: IssuerUnderTest, minute: int) -> None:
    police.clock.time = NOW.replace(minute=minute, second=minute, microsecond=7)
    (text,) = receive(police, LICENCE, 1)
    (mdoc,) = receive(police, MDOC, 1)
    claims, validity = parse_sd_jwt(text).issuer_jws.claims(), index_mdoc(base64url.decode(mdoc)).mso.validity
    hour = NOW.replace(minute=0, second=0, microsecond=0)
    assert claims["iat"] == hour.timestamp()
    assert claims["exp"] % 3600 == 0
    assert (validity.signed, validity.valid_from) == (hour, hour)
    assert validity.valid_until.timestamp() % 3600 == 0


def test_the_places_of_a_batch_have_no_order_and_no_pattern(police: IssuerUnderTest) -> None:
    batch = receive(police, LICENCE, BATCH_SIZE)
    places = [parse_sd_jwt(text).issuer_jws.claims()["status"]["status_list"]["idx"] for text in batch]
    assert len(set(places)) == BATCH_SIZE
    # Ten places of 131,072 at random: that they lie in order, or close together, does not happen.
    assert places not in (sorted(places), sorted(places, reverse=True))
    assert max(places) - min(places) > 1000


def test_no_more_keys_than_the_metadata_promise(police: IssuerUnderTest) -> None:
    keys = [SoftwareSigner.generate() for _ in range(BATCH_SIZE + 1)]
    with pytest.raises(ValueError, match="1 to 10 keys"):
        police.proofs(police.offer()["uri"], keys)
    document = police.client.get("/.well-known/openid-credential-issuer/agencies/police").json()
    assert document["batch_credential_issuance"] == {"batch_size": BATCH_SIZE}


@pytest.mark.clause("vci-M12-signer-before")
@pytest.mark.parametrize("configuration", [LICENCE, MDOC])
def test_nothing_is_signed_before_the_certificate_was_valid_for_the_hour(
    police: IssuerUnderTest, configuration: str
) -> None:
    # Certificates made here begin a day before they are made, at a full hour.
    later = NOW + timedelta(days=1, hours=1)
    folder = police.issuer.settings.key_store
    assert folder
    for path in folder.glob("police*"):
        path.unlink()
    keys = KeyStore(folder)
    ports = replace(police.issuer.issuance, keys=keys)
    police.app.state.issuer = replace(police.issuer, keys=keys, issuance=ports)
    add_signing_key(keys, police.ca, "police", now=later)
    add_document_signer(keys, new_iaca(now=later - timedelta(days=2)), "police", now=later)
    with pytest.raises(PeerRefusal) as refusal:
        receive(police, configuration, 1)
    assert refusal.value.status == 503
    police.clock.advance(3600)
    assert receive(police, configuration, 1)
