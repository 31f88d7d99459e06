"""What the conformance suite looks at in an issuer, beyond what ``test_issuance`` shows."""

from pathlib import Path
from typing import Any

import pytest

from issuer.agencies.use_cases import register_agency
from tests.support.issuing import HOST, LICENCE, IssuerUnderTest, add_signing_key, start_issuer
from wallet_core.adapters.keystore import KeyStore
from wallet_core.errors import InvalidRequest
from wallet_core.formats.sd_jwt.holder import index_sd_jwt
from wallet_core.jose import jws
from wallet_core.keys.jwk import public_jwk
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.types import AgencyId

KEYS = [SoftwareSigner.generate() for _ in range(3)]
POLICE = f"{HOST}/agencies/police"


@pytest.mark.clause("vci-7.2-no-store")
def test_no_cache_keeps_a_nonce_and_no_two_are_the_same(sqlite_issuer: IssuerUnderTest) -> None:
    answers = [sqlite_issuer.client.post(f"{POLICE}/nonce") for _ in range(3)]
    assert {answer.headers["cache-control"] for answer in answers} == {"no-store"}
    assert {answer.headers["content-type"] for answer in answers} == {"application/json"}
    assert len({answer.json()["c_nonce"] for answer in answers}) == 3


@pytest.mark.clause("vci-7.2-no-store")
@pytest.mark.parametrize("path", ["oauth/token", "credential", "notification"])
def test_no_cache_keeps_an_error(sqlite_issuer: IssuerUnderTest, path: str) -> None:
    answer = sqlite_issuer.client.post(f"{POLICE}/{path}", content=b"")
    assert answer.status_code in {400, 401}
    assert answer.headers["cache-control"] == "no-store"
    assert set(answer.json()) <= {"error", "error_description"}


@pytest.mark.clause("vci-7.2-no-store")
def test_no_cache_keeps_an_answer_without_body(sqlite_issuer: IssuerUnderTest) -> None:
    issued = sqlite_issuer.receive(sqlite_issuer.proofs(sqlite_issuer.offer()["uri"], KEYS[:1]), KEYS[:1])
    answer = sqlite_issuer.client.post(
        f"{POLICE}/notification",
        json={"notification_id": issued.batches[0].notification_id, "event": "credential_accepted"},
        headers={"Authorization": f"Bearer {issued.token.access_token}"},
    )
    assert (answer.status_code, answer.headers["cache-control"]) == (204, "no-store")


@pytest.mark.parametrize("path", ["oauth/token", "nonce", "credential", "notification"])
def test_secrets_are_never_asked_for_by_get(sqlite_issuer: IssuerUnderTest, path: str) -> None:
    assert sqlite_issuer.client.get(f"{POLICE}/{path}").status_code == 405


def test_copies_of_one_credential_share_nothing_but_what_they_say(sqlite_issuer: IssuerUnderTest) -> None:
    issued = sqlite_issuer.receive(sqlite_issuer.proofs(sqlite_issuer.offer()["uri"], KEYS), KEYS)
    held = [index_sd_jwt(text) for text in issued.batches[0].credentials]
    disclosures = [text for one in held for text in one.disclosures]
    assert len(set(disclosures)) == len(disclosures)
    keys = [one.claims["cnf"]["jwk"]["x"] for one in held]
    assert len(set(keys)) == 3
    places = [one.claims["status"]["status_list"]["idx"] for one in held]
    assert len(set(places)) == 3
    rest = [{name: value for name, value in one.claims.items() if name not in {"cnf", "status"}} for one in held]
    assert rest[0] == rest[1] == rest[2]
    assert all(rest[0][name] % 3600 == 0 for name in ("iat", "exp"))


@pytest.mark.clause("haip-4.1-scope", "haip-4.1-nonce-endpoint")
def test_metadata_name_one_text_for_each_language_and_only_https(sqlite_issuer: IssuerUnderTest) -> None:
    document = sqlite_issuer.client.get(f"{HOST}/.well-known/openid-credential-issuer/agencies/police").json()
    assert all(document[name].startswith(POLICE) for name in document if name.endswith("_endpoint"))
    assert document["nonce_endpoint"] == f"{POLICE}/nonce"
    displays = [document["display"]]
    for configuration in document["credential_configurations_supported"].values():
        assert ("proof_types_supported" in configuration) == (
            "cryptographic_binding_methods_supported" in configuration
        )
        assert configuration["scope"]
        assert not set(configuration["scope"]) & set(' "\\')
        metadata = configuration["credential_metadata"]
        displays += [metadata["display"], *(claim["display"] for claim in metadata["claims"] if "display" in claim)]
    for display in displays:
        locales = [entry["locale"] for entry in display]
        assert len(set(locales)) == len(locales)


@pytest.mark.clause("sdjwtvc-3.5-certificate-uri")
def test_an_agency_with_the_certificate_of_another_is_not_registered(tmp_path: Path) -> None:
    under_test = start_issuer(tmp_path, f"sqlite:///{tmp_path}/issuer.db", agencies=("police",))
    issuer, unit = under_test.issuer, under_test.issuer.database.unit()
    assert isinstance(issuer.keys, KeyStore)
    add_signing_key(issuer.keys, under_test.ca, "city-tax", public_url="https://other.example")
    with pytest.raises(InvalidRequest, match="URI name"):
        register_agency(
            unit,
            issuer.agencies(unit),
            issuer.api_keys(unit),
            issuer.keys,
            issuer.catalogue,
            AgencyId("city-tax"),
            public_url=HOST,
            now=under_test.clock.now(),
        )
    under_test.client.close()
    issuer.database.close()


def signed(under_test: IssuerUnderTest, nonce: str | None, *, by: SoftwareSigner = KEYS[0], **claims: Any) -> str:
    """A key proof that names the first key; ``by`` another one and ``claims`` make it a bad one."""
    header = {"typ": "openid4vci-proof+jwt", "jwk": public_jwk(KEYS[0].public_key)}
    body = {"aud": POLICE, "iat": int(under_test.clock.now().timestamp()), "nonce": nonce, **claims}
    return jws.sign(header, {name: value for name, value in body.items() if value is not None}, by)


ATTACKS = {
    "proofs are missing": (lambda under_test, nonce: {}, "invalid_proof"),
    "proofs are empty": (lambda under_test, nonce: {"proofs": {"jwt": []}}, "invalid_proof"),
    "a singular proof, as drafts had it": (
        lambda under_test, nonce: {"proof": {"proof_type": "jwt", "jwt": signed(under_test, nonce)}},
        "invalid_proof",
    ),
    "the signature is another key's": (
        lambda under_test, nonce: {"proofs": {"jwt": [signed(under_test, nonce, by=KEYS[1])]}},
        "invalid_proof",
    ),
    "the nonce is missing": (
        lambda under_test, nonce: {"proofs": {"jwt": [signed(under_test, None)]}},
        "invalid_proof",
    ),
    "the nonce is not ours": (
        lambda under_test, nonce: {"proofs": {"jwt": [signed(under_test, "LarRGSbmUPYtRYO6BQ4yn8")]}},
        "invalid_nonce",
    ),
    "aud is the endpoint": (
        lambda under_test, nonce: {"proofs": {"jwt": [signed(under_test, nonce, aud=f"{POLICE}/credential")]}},
        "invalid_proof",
    ),
    "iss under anonymous access": (
        lambda under_test, nonce: {"proofs": {"jwt": [signed(under_test, nonce, iss="wallet")]}},
        "invalid_proof",
    ),
    "the proof is a year old": (
        lambda under_test, nonce: {
            "proofs": {"jwt": [signed(under_test, nonce, iat=int(under_test.clock.now().timestamp()) - 31_536_000)]}
        },
        "invalid_proof",
    ),
    "one bad proof among good ones": (
        lambda under_test, nonce: {
            "proofs": {"jwt": [signed(under_test, nonce), signed(under_test, nonce, by=KEYS[1])]}
        },
        "invalid_proof",
    ),
    "an encrypted answer is wanted": (
        lambda under_test, nonce: {
            "proofs": {"jwt": [signed(under_test, nonce)]},
            "credential_response_encryption": {"jwk": {}, "enc": "A128GCM"},
        },
        "invalid_encryption_parameters",
    ),
    "an unknown configuration": (
        lambda under_test, nonce: {
            "proofs": {"jwt": [signed(under_test, nonce)]},
            "credential_configuration_id": "nothing-here",
        },
        "unknown_credential_configuration",
    ),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_credential_request_that_breaks_one_rule(sqlite_issuer: IssuerUnderTest, attack: str) -> None:
    pending = sqlite_issuer.proofs(sqlite_issuer.offer()["uri"], KEYS[:1])
    nonce = sqlite_issuer.client.post(f"{POLICE}/nonce").json()["c_nonce"]
    make, code = ATTACKS[attack]

    def ask(members: dict[str, Any]) -> Any:
        return sqlite_issuer.client.post(
            f"{POLICE}/credential",
            json={"credential_configuration_id": LICENCE, **members},
            headers={"Authorization": f"Bearer {pending.token.access_token}"},
        )

    refused = ask(make(sqlite_issuer, nonce))
    assert (refused.status_code, refused.json()["error"]) == (400, code)
    assert set(refused.json()) <= {"error", "error_description"}
    assert refused.headers["content-type"] == "application/json"
    # What is refused spends nothing.
    assert ask({"proofs": {"jwt": [signed(sqlite_issuer, nonce)]}}).status_code == 200
