"""The verifier with a trust list: who may issue what, renewed, kept, never brought back, never used beyond its time."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.presentations import AGENCY, NOW, VCT, World, new_world
from tests.support.trust import ListOperator, listed, new_list
from tests.support.verifying import VerifierUnderTest, start_verifier
from verifier.app import create_worker
from verifier.trust_lists.tasks import renew_trust_list
from verifier.trust_lists.use_cases import LOOK_AGAIN, CurrentTrust
from wallet_core.errors import UntrustedError
from wallet_core.trust.anchors import AnchorPurpose, TrustAnchor, TrustAnchors, format_trust_anchors
from wallet_core.trust.trust_list import TrustList

OPERATOR = ListOperator(NOW)
WORLD = new_world()
ROOT = TrustAnchor(WORLD.issuer_ca.certificate, AnchorPurpose.CREDENTIAL_ISSUER)
LIST = new_list(NOW, ROOT, agencies=(listed(AGENCY, VCT),))


def write(folder: Path, content: TrustList, operator: ListOperator = OPERATOR) -> None:
    (folder / "trust-list.jwt").write_text(operator.sign(content))


def start(folder: Path, database_url: str, *, by_hand: bool = False, **more: Any) -> VerifierUnderTest:
    """A verifier whose issuers come from the list alone, or from a root chosen by hand too."""
    anchors = OPERATOR.anchors + (WORLD.anchors if by_hand else only_verifiers(WORLD))
    (folder / "roots.pem").write_text(format_trust_anchors(anchors))
    source = {"trust_list": str(folder / "trust-list.jwt"), "trust_anchors": (folder / "roots.pem",)}
    return start_verifier(folder, database_url, world=WORLD, **(source | more))


def only_verifiers(world: World) -> TrustAnchors:
    return TrustAnchors(a for a in world.anchors.anchors if a.purpose is AnchorPurpose.VERIFIER_ACCESS)


@pytest.fixture
def verifier(tmp_path: Path, database_url: str) -> Iterator[VerifierUnderTest]:
    write(tmp_path, LIST)
    under_test = start(tmp_path, database_url)
    yield under_test
    under_test.client.close()
    under_test.verifier.database.close()


@pytest.fixture
def sqlite_verifier(tmp_path: Path) -> Iterator[VerifierUnderTest]:
    write(tmp_path, LIST)
    under_test = start(tmp_path, f"sqlite:///{tmp_path}/verifier.db")
    yield under_test
    under_test.client.close()
    under_test.verifier.database.close()


def answer(under_test: VerifierUnderTest) -> tuple[int, dict[str, Any]]:
    """Ask, answer, and return status and result."""
    made = under_test.ask()
    resolved = under_test.resolve(made["authorization_request"])
    posted = under_test.post(resolved, under_test.vp_token(under_test.prepare(resolved)))
    return posted.status_code, under_test.result(made["id"])


def failed(result: dict[str, Any]) -> tuple[list[str], str]:
    checks = [check for check in result["checks"] if check["ok"] is False]
    return [check["name"] for check in checks], checks[0]["detail"]


def later(under_test: VerifierUnderTest, by: timedelta = LOOK_AGAIN) -> None:
    under_test.clock.advance(by.total_seconds())


def test_a_listed_issuer_is_believed_once_the_list_is_there(verifier: VerifierUnderTest) -> None:
    # before the first list nobody may issue, and no root is known
    status, result = answer(verifier)
    assert (status, failed(result)[0]) == (400, ["issuer_trusted"])
    create_worker(verifier.verifier).run_due()
    later(verifier)
    status, result = answer(verifier)
    assert (status, result["state"]) == (200, "verified")
    assert result["checks"][-1]["name"] == "issuer_permitted"
    assert result["checks"][-1]["detail"] == "시험경찰청 (시험용)"


def test_an_issuer_outside_its_types_is_refused_with_that_reason(tmp_path: Path, database_url: str) -> None:
    write(tmp_path, replace(LIST, agencies=(listed(AGENCY, "urn:jigap:vct:resident-card:1"),)))
    under_test = start(tmp_path, database_url)
    renew_trust_list(under_test.verifier)
    status, result = answer(under_test)
    assert status == 400
    assert failed(result) == (["issuer_permitted"], "the issuer may not issue this type")
    under_test.client.close()
    under_test.verifier.database.close()


def test_a_root_chosen_by_hand_does_not_open_the_list(tmp_path: Path) -> None:
    write(tmp_path, replace(LIST, agencies=()))
    under_test = start(tmp_path, f"sqlite:///{tmp_path}/verifier.db", by_hand=True)
    for _ in range(2):
        status, result = answer(under_test)
        assert (status, failed(result)) == (400, (["issuer_permitted"], "the issuer is not on the trust list"))
        renew_trust_list(under_test.verifier)
        later(under_test)
    under_test.client.close()
    under_test.verifier.database.close()


def test_an_agency_struck_off_is_refused_within_seconds(sqlite_verifier: VerifierUnderTest, tmp_path: Path) -> None:
    renew_trust_list(sqlite_verifier.verifier)
    assert answer(sqlite_verifier)[0] == 200
    write(tmp_path, replace(LIST, sequence_number=8, agencies=()))
    renew_trust_list(sqlite_verifier.verifier)
    # what is in memory counts a few seconds more, the certificate's remembered verdict or not
    assert answer(sqlite_verifier)[0] == 200
    later(sqlite_verifier)
    status, result = answer(sqlite_verifier)
    assert (status, failed(result)[0]) == (400, ["issuer_permitted"])


@pytest.mark.clause("tl-3-sequence")
def test_an_older_list_does_not_come_back(sqlite_verifier: VerifierUnderTest, tmp_path: Path) -> None:
    write(tmp_path, replace(LIST, sequence_number=9, agencies=()))
    renew_trust_list(sqlite_verifier.verifier)
    write(tmp_path, LIST)
    fetched = renew_trust_list(sqlite_verifier.verifier)
    assert isinstance(fetched.problem, UntrustedError)
    later(sqlite_verifier)
    assert failed(answer(sqlite_verifier)[1])[0] == ["issuer_permitted"]
    stored = stored_list(sqlite_verifier)
    assert (stored.known.sequence_number, "rolled back" in stored.problem) == (9, True)


def stored_list(under_test: VerifierUnderTest) -> Any:
    verifier = under_test.verifier
    storage = verifier.trust_storage(verifier.database.reader())
    with storage.unit:
        return storage.lists.find(verifier.trust_ports.source)


@pytest.mark.parametrize("broken", ["", "no list", "a.b.c"])
def test_the_last_good_list_counts_while_no_good_one_comes(
    sqlite_verifier: VerifierUnderTest, tmp_path: Path, broken: str
) -> None:
    renew_trust_list(sqlite_verifier.verifier)
    (tmp_path / "trust-list.jwt").write_text(broken)
    create_worker(sqlite_verifier.verifier).run_due()
    later(sqlite_verifier)
    assert answer(sqlite_verifier)[0] == 200
    assert stored_list(sqlite_verifier).problem
    (tmp_path / "trust-list.jwt").unlink()
    assert renew_trust_list(sqlite_verifier.verifier).found is None
    assert answer(sqlite_verifier)[0] == 200


def test_a_stranger_signs_no_list(sqlite_verifier: VerifierUnderTest, tmp_path: Path) -> None:
    write(tmp_path, LIST, ListOperator(NOW))
    assert isinstance(renew_trust_list(sqlite_verifier.verifier).problem, UntrustedError)
    assert failed(answer(sqlite_verifier)[1])[0] == ["issuer_trusted"]


@pytest.mark.clause("tl-4-fresh")
@pytest.mark.parametrize("grace", [0, 6])
def test_no_list_counts_beyond_its_time_and_our_own_setting(tmp_path: Path, grace: int) -> None:
    write(tmp_path, LIST)
    database = f"sqlite:///{tmp_path}/verifier.db"
    under_test = start(tmp_path, database, trust_list_grace_hours=grace)
    renew_trust_list(under_test.verifier)
    later(under_test, timedelta(days=1) + timedelta(hours=grace) - timedelta(seconds=1))
    assert answer(under_test)[0] == 200
    later(under_test, timedelta(seconds=1))
    status, result = answer(under_test)
    assert (status, failed(result)) == (400, (["issuer_permitted"], "the trust list is out of date"))
    under_test.client.close()
    under_test.verifier.database.close()


def test_another_process_takes_the_list_from_the_database(verifier: VerifierUnderTest) -> None:
    other = CurrentTrust(verifier.verifier.trust_ports)
    assert not other.policy(NOW).by_issuer
    renew_trust_list(verifier.verifier)
    assert not other.policy(NOW + LOOK_AGAIN / 2).by_issuer
    found = other.policy(NOW + LOOK_AGAIN)
    assert AGENCY in found.by_issuer
    # nothing new: the very same policy, and no verification again
    assert other.policy(NOW + 3 * LOOK_AGAIN) is found


def test_between_two_looks_no_database_is_asked(verifier: VerifierUnderTest) -> None:
    renew_trust_list(verifier.verifier)
    trust = CurrentTrust(verifier.verifier.trust_ports)
    trust.policy(NOW)
    verifier.verifier.database.close()
    object.__setattr__(verifier.verifier.trust_ports, "reading", None)
    assert AGENCY in trust.policy(NOW + LOOK_AGAIN / 2).by_issuer


def test_a_list_whose_operator_is_no_anchor_any_more_permits_nothing(
    sqlite_verifier: VerifierUnderTest, tmp_path: Path
) -> None:
    renew_trust_list(sqlite_verifier.verifier)
    ports = replace(
        sqlite_verifier.verifier.trust_ports,
        by_hand=replace(sqlite_verifier.verifier.trust_ports.by_hand, anchors=WORLD.anchors),
    )
    policy = CurrentTrust(ports).policy(NOW)
    assert (policy.closed, policy.by_issuer) == (True, {})
    assert tmp_path


def test_of_two_workers_with_different_lists_the_newer_stays(verifier: VerifierUnderTest) -> None:
    from verifier.trust_lists.use_cases import Fetched, keep_trust_list
    from wallet_core.trust.trust_list import verify_trust_list

    one, part = verifier.verifier, []
    for number in (8, 7):
        text = OPERATOR.sign(replace(LIST, sequence_number=number))
        part.append(Fetched(text, verify_trust_list(text, OPERATOR.anchors, at=NOW)))
    for fetched in part:
        keep_trust_list(one.trust_storage(one.database.unit()), one.trust_ports.source, fetched, now=NOW)
    assert stored_list(verifier).known.sequence_number == 8


def test_the_mdocs_of_a_listed_iaca(sqlite_verifier: VerifierUnderTest, tmp_path: Path) -> None:
    from tests.unit.trust.test_profiles import der, new_iaca, new_signer

    iaca = new_iaca()
    root = TrustAnchor(iaca.certificate, AnchorPurpose.MDL_ISSUER)
    write(tmp_path, replace(LIST, authorities=(root,)))
    trust = sqlite_verifier.verifier.trust
    with pytest.raises(UntrustedError):
        trust.verify_mdoc_chain([der(new_signer(iaca))], NOW)
    renew_trust_list(sqlite_verifier.verifier)
    assert trust.verify_mdoc_chain([der(new_signer(iaca))], NOW + LOOK_AGAIN).uris
