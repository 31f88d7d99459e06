"""Keys are rotated while servers run: with overlap, without restart, seen by both workers of a port."""

import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.support.issuer_program import IssuerProgram
from tests.support.issuing import HOST, LICENCE, IssuerUnderTest, add_signing_key, sign_proofs
from tests.support.verifying import PARTY, VerifierUnderTest, add_access_key
from verifier.presentations.use_cases.protocol import serve_request
from wallet_core.adapters.clock import SystemClock
from wallet_core.adapters.config import load_catalogue, load_trust_anchors
from wallet_core.adapters.http import HttpClient
from wallet_core.adapters.keystore import LOOK_AGAIN
from wallet_core.errors import KeyUnavailable
from wallet_core.formats.sd_jwt.verifier import parse_sd_jwt, verify_sd_jwt
from wallet_core.keys.jwk import parse_public_jwk
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.protocols.openid4vci.pending import IssuedCredentials
from wallet_core.protocols.openid4vci.wallet import receive_credentials, request_proofs, resolve_offer
from wallet_core.trust.anchors import AnchorPurpose
from wallet_core.trust.x509 import verify_chain, x509_hash

CLIENT = HttpClient(allow_loopback=True)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IssuerProgram]:
    folder = tmp_path_factory.mktemp("rotation")
    issuer = IssuerProgram(folder, f"sqlite:///{folder}/issuer.db")
    issuer.prepare("police")
    issuer.start()
    yield issuer
    issuer.stop(signal.SIGKILL)


def receive(issuer: IssuerProgram) -> str:
    """A credential, over a connection of its own, so that both workers get their part."""
    record = load_catalogue().types["drivers-licence"].example_record
    body = {"credential_configuration_ids": [LICENCE], "claims": {LICENCE: record}, "tx_code": False}
    resolved = CLIENT.run(resolve_offer(issuer.api("police", "/offers", body)["uri"]))
    keys, now = [SoftwareSigner.generate()], SystemClock().now()
    pending = CLIENT.run(request_proofs(resolved, {LICENCE: [key.public_key for key in keys]}, tx_code=None, now=now))
    issued = CLIENT.run(receive_credentials(pending, sign_proofs(pending, keys), now=now))
    assert isinstance(issued, IssuedCredentials)
    return issued.batches[0].credentials[0]


def leaf_of(credential: str) -> bytes:
    return parse_sd_jwt(credential).x5c()[0]


def published(issuer: IssuerProgram) -> set[str]:
    keys = httpx2.get(f"{issuer.url}/.well-known/jwt-vc-issuer/agencies/police").json()["jwks"]["keys"]
    return {key["kid"] for key in keys}


def at_once(call: Any, times: int = 8) -> list[Any]:
    with ThreadPoolExecutor(times) as threads:
        return [future.result() for future in [threads.submit(call) for _ in range(times)]]


def test_an_agency_rotates_its_key_under_two_workers(program: IssuerProgram) -> None:
    store = ["--store", str(program.folder / "keys")]
    old = receive(program)
    assert {leaf_of(each) for each in at_once(lambda: receive(program), 4)} == {leaf_of(old)}
    assert {len(each) for each in at_once(lambda: published(program))} == {1}

    # the next key is made known before it signs
    program.run("keys", "next", "police", *store, "--ca", "ca")
    assert {len(each) for each in at_once(lambda: published(program))} == {2}
    assert leaf_of(receive(program)) == leaf_of(old)

    assert program.run("keys", "rotate", "police", *store)["current"] == "police.2"
    time.sleep(LOOK_AGAIN)
    new = {leaf_of(each) for each in at_once(lambda: receive(program))}
    assert len(new) == 1
    assert new != {leaf_of(old)}

    # what the old key signed stays good: by certificate, and by the published keys
    anchors, now = load_trust_anchors([program.folder / "keys" / "ca.anchor.pem"]), SystemClock().now()
    trusted = verify_chain(parse_sd_jwt(old).x5c(), anchors, purpose=AnchorPurpose.CREDENTIAL_ISSUER, at=now)
    jwks = httpx2.get(f"{program.url}/.well-known/jwt-vc-issuer/agencies/police").json()["jwks"]["keys"]
    members = [{name: key[name] for name in ("kty", "crv", "x", "y")} for key in jwks]
    keys = [parse_public_jwk(key) for key in members]
    assert len(keys) == 2
    assert trusted.public_key in keys
    assert verify_sd_jwt(parse_sd_jwt(old), issuer_key=trusted.public_key, now=now)


def test_a_key_is_published_until_its_certificate_ends(sqlite_issuer: IssuerUnderTest) -> None:
    def kids() -> int:
        document = sqlite_issuer.client.get(f"{HOST}/.well-known/jwt-vc-issuer/agencies/police").json()
        return len(document["jwks"]["keys"])

    sqlite_issuer.clock.advance(timedelta(days=200).total_seconds())
    add_signing_key(sqlite_issuer.issuer.keys, sqlite_issuer.ca, "police.2", now=sqlite_issuer.clock.now())
    assert kids() == 2
    sqlite_issuer.issuer.keys.rotate("police", "police.2")
    assert kids() == 2
    sqlite_issuer.clock.advance(timedelta(days=166).total_seconds())
    assert kids() == 1


@pytest.mark.clause("vp-5.9.3-same-key")
def test_a_request_is_signed_under_the_certificate_it_names(sqlite_verifier: VerifierUnderTest) -> None:
    keys, world = sqlite_verifier.verifier.keys, sqlite_verifier.world
    before = sqlite_verifier.ask()
    add_access_key(keys, world.verifier_ca, f"{PARTY}.2")
    keys.rotate(PARTY, f"{PARTY}.2")
    after = sqlite_verifier.ask()
    hashes = [x509_hash(key.chain[0]) for key in keys.signing_keys(PARTY)]
    for made, expected in ((before, hashes[1]), (after, hashes[0])):
        assert sqlite_verifier.resolve(made["authorization_request"]).request.client_id.rest == expected
        assert sqlite_verifier.present(made["authorization_request"])
        assert sqlite_verifier.result(made["id"])["state"] == "verified"


def test_a_request_whose_key_is_gone_is_not_signed_by_another(
    sqlite_verifier: VerifierUnderTest, tmp_path: Path
) -> None:
    keys = sqlite_verifier.verifier.keys
    made = sqlite_verifier.ask()
    add_access_key(keys, sqlite_verifier.world.verifier_ca, f"{PARTY}.2")
    add_access_key(keys, sqlite_verifier.world.verifier_ca, f"{PARTY}.3")
    keys.rotate(PARTY, f"{PARTY}.3")
    # the first key was stolen, say: its files are replaced by those of the third
    for kind in ("key", "chain"):
        third = tmp_path / "keys" / f"{PARTY}.3.{kind}.pem"
        (tmp_path / "keys" / f"{PARTY}.{kind}.pem").write_bytes(third.read_bytes())
    keys._signers.clear()
    keys._chains.clear()
    with pytest.raises(KeyUnavailable, match="ask anew"):
        serve_request(sqlite_verifier.verifier.presentations, made["request_uri"].rsplit("/", 1)[1])
