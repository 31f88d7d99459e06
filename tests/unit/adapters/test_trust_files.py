import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.trust import ListOperator, new_list
from tests.support.wallet_providers import CLIENT_ID, Provider
from wallet_core.adapters.trust_files import follow_issuer_policy, follow_wallet_providers, load_wallet_providers
from wallet_core.errors import Expired, MalformedError, UntrustedError
from wallet_core.trust.anchors import AnchorPurpose, TrustAnchor, TrustAnchors, format_trust_anchors
from wallet_core.trust.wallet_providers import WalletProviders

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
PROVIDER, BY_HAND = Provider(NOW), Provider(NOW, url="https://byhand.example")
OPERATOR = ListOperator(NOW)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, ...]:
    anchors = TrustAnchors([*OPERATOR.anchors.anchors, BY_HAND.anchor])
    (tmp_path / "roots.pem").write_text(format_trust_anchors(anchors))
    (tmp_path / "list.jwt").write_text(OPERATOR.sign(PROVIDER.listed()))
    return tmp_path / "roots.pem", tmp_path / "list.jwt"


def names(providers: WalletProviders) -> set[str]:
    return set(providers.wallets)


@pytest.mark.clause("tl-5-unlisted")
def test_roots_and_lists_make_one_policy(files: tuple[Path, ...]):
    providers = load_wallet_providers(files, now=NOW)
    assert providers.any
    for provider in (PROVIDER, BY_HAND):
        assert providers.verify_attester(provider.chain, at=NOW).uris == (provider.url,)
    listed = providers.verify_attester(PROVIDER.chain, at=NOW)
    assert providers.find_wallet(CLIENT_ID, listed, at=NOW) == PROVIDER.wallet()
    with pytest.raises(UntrustedError):
        providers.find_wallet(CLIENT_ID, providers.verify_attester(BY_HAND.chain, at=NOW), at=NOW)
    with pytest.raises(UntrustedError, match="not on the trust list"):
        providers.find_wallet("https://other.example", listed, at=NOW)
    with pytest.raises(Expired):
        providers.find_wallet(CLIENT_ID, listed, at=NOW + timedelta(days=1))
    assert {listed.anchor_sha256} == providers.listed
    assert not WalletProviders().any
    other = TrustAnchors([TrustAnchor(PROVIDER.ca.certificate, AnchorPurpose.VERIFIER_ACCESS)])
    assert not WalletProviders(other).any


def test_files_are_read_again_when_they_change(files: tuple[Path, ...]):
    followed = follow_wallet_providers(files, lambda: NOW)
    first = followed.current()
    assert names(first) == {CLIENT_ID}
    assert followed.current() is first
    files[1].write_text(OPERATOR.sign(PROVIDER.listed(PROVIDER.wallet(client_id="https://new.example"))))
    os.utime(files[1], ns=(1, 1))
    assert names(followed.current()) == {"https://new.example"}
    files[1].write_text("eyJ no list")
    assert names(followed.current()) == {"https://new.example"}, "what was good last counts on"
    files[1].unlink()
    assert names(followed.current()) == {"https://new.example"}


def test_issuers_on_a_renewed_list_are_trusted_without_restart(tmp_path: Path):
    (tmp_path / "lists.pem").write_text(format_trust_anchors(OPERATOR.anchors))
    (tmp_path / "list.jwt").write_text(OPERATOR.sign(new_list(NOW)))
    files = (tmp_path / "lists.pem", tmp_path / "list.jwt")
    followed = follow_issuer_policy(files, lambda: NOW)
    assert not followed.current().anchors.certificates(AnchorPurpose.CREDENTIAL_ISSUER)
    root = TrustAnchor(PROVIDER.ca.certificate, AnchorPurpose.CREDENTIAL_ISSUER)
    files[1].write_text(OPERATOR.sign(new_list(NOW, root)))
    os.utime(files[1], ns=(1, 1))
    assert followed.current().anchors.certificates(AnchorPurpose.CREDENTIAL_ISSUER)
    # At the start what cannot be used is told at once.
    files[1].write_text("eyJ no list")
    with pytest.raises(MalformedError):
        follow_issuer_policy(files, lambda: NOW)


def test_files_that_never_were_good_trust_nobody(tmp_path: Path):
    (tmp_path / "list.jwt").write_text(OPERATOR.sign(PROVIDER.listed()))
    assert not follow_wallet_providers([tmp_path / "list.jwt"], lambda: NOW).current().any
    assert not follow_wallet_providers([], lambda: NOW).current().any
