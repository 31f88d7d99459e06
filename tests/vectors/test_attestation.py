"""Client attestation: the examples of drafts 07 and 10, and derived cases.

Their attestations name the attester's key by ``kid``. HAIP 4.4.1 asks for ``x5c``, so as printed they are refused. What
runs is the same header and claims, signed below a provider made here whose certificate stands in ``x5c``; the derived
cases keep their attester's key, which is published. Proofs of possession run as printed.
"""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support import vectors
from tests.support.wallet_providers import Provider
from wallet_core.errors import (
    InvalidClient,
    InvalidClientAttestation,
    InvalidSignature,
    UseAttestationChallenge,
    UseFreshAttestation,
    WalletError,
)
from wallet_core.http import HttpResponse
from wallet_core.jose import jws
from wallet_core.keys.jwk import parse_private_jwk, parse_public_jwk, public_jwk, thumbprint
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.protocols.oauth2.client_attestation import (
    AttestedClient,
    parse_challenge,
    parse_challenge_response,
    verify_client_attestation,
)
from wallet_core.trust.x509 import format_x5c

FOLDER = "attestation"
DERIVED = vectors.load(FOLDER, "derived_cases.json")
EXAMPLES = vectors.load(FOLDER, "examples.json")
DRAFT_07 = vectors.load(FOLDER, "examples_draft_07.json")
SERVER = DERIVED["server_settings"]
NOW = datetime.fromtimestamp(SERVER["now"], UTC)
ATTESTER = Provider(NOW, signer=SoftwareSigner.from_key(parse_private_jwk(DERIVED["attester_key"])))
AUDIENCE = "https://as.example.com"
CHALLENGE = SERVER["challenge"]

# What each derived case must be refused with, and a word that tells the reason from others of the same kind.
REFUSALS: dict[str, tuple[type[WalletError], str]] = {
    "attestation_bad_signature": (InvalidClientAttestation, "signature"),
    "attestation_expired": (UseFreshAttestation, "expired"),
    "attestation_no_sub": (InvalidClientAttestation, "no sub"),
    "attestation_no_exp": (InvalidClientAttestation, "no exp"),
    "attestation_no_cnf": (InvalidClientAttestation, "cnf of the client attestation"),
    "attestation_private_key_in_cnf": (InvalidClientAttestation, "private"),
    "attestation_wrong_typ": (InvalidClientAttestation, "typ"),
    "attestation_alg_none": (InvalidClientAttestation, "algorithm"),
    "client_id_differs_from_sub": (InvalidClient, "client_id"),
    "pop_bad_signature": (InvalidClientAttestation, "signature"),
    "pop_wrong_aud": (InvalidClient, "aud"),
    "pop_no_aud": (InvalidClient, "aud"),
    "pop_no_jti": (InvalidClientAttestation, "jti"),
    "pop_no_iat": (InvalidClientAttestation, "no iat"),
    "pop_old_iat": (InvalidClientAttestation, "just now"),
    "pop_wrong_challenge": (UseAttestationChallenge, "challenge"),
    "pop_no_challenge": (UseAttestationChallenge, "challenge"),
    "pop_wrong_typ": (InvalidClientAttestation, "typ"),
    "pop_alg_hs256": (InvalidClientAttestation, "algorithm"),
    "pop_missing": (InvalidClient, "exactly one"),
}


def with_certificate(printed: str, provider: Provider, *, signer: SoftwareSigner | None = None, **claims: Any) -> str:
    """Return an attestation again, its key named by ``x5c``; ``signer`` if another key than the certified one signs."""
    token = jws.parse(printed)
    header = {name: value for name, value in token.header.items() if name != "kid"}
    return jws.sign(header | {"x5c": format_x5c(provider.chain)}, token.claims() | claims, signer or provider.signer)


def verify(
    attestation: str, *pops: str, provider: Provider, now: datetime, client_id: str | None = None
) -> AttestedClient:
    def verify_challenge(challenge: str | None) -> None:
        if challenge != CHALLENGE:
            raise UseAttestationChallenge("another challenge, or none")

    return verify_client_attestation(
        [attestation],
        pops,
        audience=AUDIENCE,
        now=now,
        trust=provider.trusted(),
        verify_challenge=verify_challenge,
        client_id=client_id,
    )


def again(case: Any) -> str:
    if case["id"] == "attestation_alg_none":  # nothing to sign; the algorithm is looked at before x5c
        return str(case["client_attestation"])
    other = SoftwareSigner.generate() if case["id"] == "attestation_bad_signature" else None
    return with_certificate(case["client_attestation"], ATTESTER, signer=other)


@pytest.mark.parametrize("case", vectors.cases(FOLDER, "derived_cases.json", "cases"))
def test_derived_case(case: Any) -> None:
    pops = [case["client_attestation_pop"]] if case["client_attestation_pop"] else []

    def check() -> AttestedClient:
        return verify(again(case), *pops, provider=ATTESTER, now=NOW, client_id=case["request_client_id"])

    assert case["expect"].startswith("reject") == (case["id"] in REFUSALS)
    if case["id"] in REFUSALS:
        error, word = REFUSALS[case["id"]]
        with pytest.raises(error, match=word) as caught:
            check()
        assert type(caught.value) is error
        return
    client = check()
    instance = parse_public_jwk({name: value for name, value in DERIVED["instance_key"].items() if name != "d"})
    assert (client.client_id, client.instance) == (case["request_client_id"], thumbprint(instance))
    # A proof that comes twice is one and the same thing to remember: whoever serves the request refuses it by that.
    assert check().spent == client.spent


@pytest.mark.parametrize(
    ("printed", "pop"),
    [
        (DERIVED["cases"][0]["client_attestation"], DERIVED["cases"][0]["client_attestation_pop"]),
        (EXAMPLES["client_attestation"]["token"], EXAMPLES["pop"][0]["token"]),
        (DRAFT_07["client_attestation"][0]["token"], DRAFT_07["pop"][0]["token"]),
    ],
    ids=["derived", "draft-10", "draft-07"],
)
def test_an_attester_named_by_kid_is_refused(printed: str, pop: str) -> None:
    with pytest.raises(InvalidClientAttestation, match="x5c"):
        verify(printed, pop, provider=ATTESTER, now=NOW)


@pytest.mark.parametrize("number", range(len(EXAMPLES["pop"])), ids=lambda n: EXAMPLES["pop"][n]["audience_kind"])
def test_example_of_draft_10(number: int) -> None:
    pop, headers = EXAMPLES["pop"][number], EXAMPLES["headers"][number]
    assert headers["OAuth-Client-Attestation"] == EXAMPLES["client_attestation"]["token"]
    assert headers["OAuth-Client-Attestation-PoP"] == pop["token"]
    now = datetime.fromtimestamp(pop["payload"]["iat"], UTC)
    provider = Provider(now)
    attestation = with_certificate(headers["OAuth-Client-Attestation"], provider)
    if pop["payload"]["aud"] != AUDIENCE:
        with pytest.raises(InvalidClient, match="another server"):
            verify(attestation, pop["token"], provider=provider, now=now)
        return
    client = verify(attestation, pop["token"], provider=provider, now=now)
    assert client.client_id == EXAMPLES["client_attestation"]["payload"]["sub"]
    assert client.instance == thumbprint(parse_public_jwk(EXAMPLES["instance_public_key"]))


def test_challenge_of_draft_10() -> None:
    example = EXAMPLES["challenge"]
    answer = example["response"]
    response = HttpResponse(
        answer["status"],
        {name.lower(): value for name, value in answer["headers"].items()},
        json.dumps(answer["body"]).encode(),
    )
    challenge = answer["body"]["attestation_challenge"]
    assert parse_challenge_response(response) == challenge
    assert parse_challenge(example["response_header_form"]["OAuth-Client-Attestation-Challenge"]) == challenge


def test_example_of_draft_07() -> None:
    printed, pop = DRAFT_07["client_attestation"][0], DRAFT_07["pop"][0]
    proof = jws.parse(pop["token"])
    assert (proof.header, proof.claims()) == (pop["header"], pop["payload"])
    with pytest.raises(InvalidSignature):  # the printed proof is another key's
        jws.verify(proof, parse_public_jwk(printed["payload"]["cnf"]["jwk"]), typ="oauth-client-attestation-pop+jwt")
    # So a key of ours stands in for the instance's. The claims of the proof are older than the draft's own text, which
    # calls the nonce "challenge" and requires iat (5.2): refused as they are, accepted with these two.
    now = datetime.fromtimestamp(pop["payload"]["nbf"] + 1, UTC)
    provider, instance = Provider(now), SoftwareSigner.generate()
    attestation = with_certificate(printed["token"], provider, cnf={"jwk": public_jwk(instance.public_key)})

    def proven(**claims: Any) -> str:
        return jws.sign(pop["header"], pop["payload"] | claims, instance)

    with pytest.raises(UseAttestationChallenge):
        verify(attestation, proven(), provider=provider, now=now)
    with pytest.raises(InvalidClientAttestation, match="no iat"):
        verify(attestation, proven(challenge=pop["payload"]["nonce"]), provider=provider, now=now)
    whole = proven(challenge=pop["payload"]["nonce"], iat=pop["payload"]["nbf"])
    client = verify(attestation, whole, provider=provider, now=now, client_id=printed["payload"]["sub"])
    assert client.instance == thumbprint(instance.public_key)
