"""A wallet instance that proves itself with every request, by hand, so that a test can prove it wrongly."""

import os
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.support.issuing import HOST, NOW, FixedClock, IssuerUnderTest, start_issuer
from tests.support.trust import ListOperator
from tests.support.wallet_providers import CLIENT_ID, REDIRECT_URI, Provider
from wallet_core.jose import jws
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.protocols.oauth2.client_attestation import create_client_attestation_pop
from wallet_core.protocols.oauth2.dpop import create_dpop_proof
from wallet_core.protocols.openid4vci.proof import proof_signing_input
from wallet_core.trust.anchors import format_trust_anchors
from wallet_core.types import AgencyId

POLICE = f"{HOST}/agencies/police"
TAX = f"{HOST}/agencies/city-tax"
GRANT = "urn:ietf:params:oauth:grant-type:pre-authorized_code"
PROVIDER = Provider(NOW)
VERIFIER = "a" * 43
CODE_CHALLENGE = "ZtNPunH49FD35FWYhT5Tv8I7vRKQJ8uxMaL0_9eHjNA"
PUSHED = {
    "client_id": CLIENT_ID,
    "response_type": "code",
    "redirect_uri": REDIRECT_URI,
    "scope": "drivers-licence-sd-jwt",
    "state": "s",
    "code_challenge": CODE_CHALLENGE,
    "code_challenge_method": "S256",
}


def trust_files(folder: Path, *providers: Provider) -> tuple[Path, ...]:
    """The anchor of an operator and its list, which names the wallet of the first provider; anchors of the others."""
    operator = ListOperator(NOW)
    (folder / "lists.pem").write_text(format_trust_anchors(operator.anchors))
    (folder / "list.jwt").write_text(operator.sign(providers[0].listed()))
    return folder / "lists.pem", folder / "list.jwt"


def start_haip_issuer(folder: Path, database_url: str, **more: Any) -> IssuerUnderTest:
    """An issuer whose police keeps to HAIP, and whose city-tax does not."""
    started = start_issuer(folder, database_url, trust_anchors=trust_files(folder, PROVIDER), **more)
    police = AgencyId("police")
    started.issuer.known[police] = replace(started.issuer.agency(police), haip=True), NOW + timedelta(days=3650)
    return started


@dataclass
class Instance:
    """One instance of the wallet, at one issuer."""

    issuer: IssuerUnderTest
    agency: str = POLICE
    provider: Provider = field(default_factory=lambda: PROVIDER)
    key: SoftwareSigner = field(default_factory=SoftwareSigner.generate)
    dpop_key: SoftwareSigner | None = None
    attestation: str | None = None
    nonce: str | None = None
    challenge: str | None = None

    def __post_init__(self) -> None:
        self.attestation = self.attestation or self.provider.attest_instance(self.key)

    @property
    def clock(self) -> FixedClock:
        return self.issuer.clock

    def dpop(self, url: str, token: str | None = None, **changes: Any) -> str:
        terms = {"method": "POST", "url": url, "issued_at": self.clock.now(), "nonce": self.nonce}
        signer = changes.pop("signer", self.dpop_key or self.key)
        return create_dpop_proof(signer, random=os.urandom, access_token=token, **{**terms, **changes})

    def pop(self, **changes: Any) -> str:
        terms = {"audience": self.agency, "issued_at": self.clock.now(), "challenge": self.challenge}
        signer = changes.pop("signer", self.key)
        return create_client_attestation_pop(
            signer, client_id=self.provider.client_id, random=os.urandom, **{**terms, **changes}
        )

    def proving(self, url: str) -> dict[str, str]:
        """The headers of a request at the authorization server."""
        return {
            "DPoP": self.dpop(url),
            "OAuth-Client-Attestation": self.attestation or "",
            "OAuth-Client-Attestation-PoP": self.pop(),
        }

    def learn(self) -> "Instance":
        """Ask for a nonce and a challenge, as wallets do first."""
        answer = self.issuer.client.post(f"{self.agency}/oauth/challenge")
        assert answer.status_code == 200
        self.challenge, self.nonce = answer.json()["attestation_challenge"], answer.headers["dpop-nonce"]
        return self

    def post(self, path: str, headers: dict[str, str] | None = None, **options: Any) -> Any:
        url = f"{self.agency}{path}"
        return self.issuer.client.post(url, headers=self.proving(url) if headers is None else headers, **options)

    def push(self, headers: dict[str, str] | None = None, **changes: Any) -> Any:
        return self.post("/oauth/par", headers, data={**PUSHED, **changes})

    def token_form(self, **more: Any) -> dict[str, str]:
        made = self.issuer.offer(agency=self.agency.rpartition("/")[2], **more)
        code = made["credential_offer"]["grants"][GRANT]["pre-authorized_code"]
        return {"grant_type": GRANT, "pre-authorized_code": code}

    def token(self, **more: Any) -> str:
        answer = self.post("/oauth/token", data=self.token_form(**more))
        assert answer.status_code == 200, answer.text
        assert answer.json()["token_type"] == "DPoP"
        return str(answer.json()["access_token"])

    def authorized(self, path: str, token: str, body: Any, headers: dict[str, str] | None = None) -> Any:
        """Post with an access token and the proof that belongs to it."""
        url = f"{self.agency}{path}"
        proving = {"Authorization": f"DPoP {token}", "DPoP": self.dpop(url, token)}
        return self.issuer.client.post(url, headers=proving if headers is None else headers, json=body)

    def c_nonce(self) -> str:
        return str(self.issuer.client.post(f"{self.agency}/nonce").json()["c_nonce"])

    def key_proof(self, key: SoftwareSigner, nonce: str, attestation: str | None = None, **claims: Any) -> str:
        data = proof_signing_input(
            key.public_key,
            audience=self.agency,
            nonce=nonce,
            issued_at=self.clock.now(),
            client_id=claims.pop("client_id", self.provider.client_id),
            key_attestation=attestation,
        )
        return jws.attach_signature(data, key.sign(data))

    def licence_request(self, *keys: SoftwareSigner) -> dict[str, Any]:
        """A Credential Request whose keys are attested, all of them in one attestation, and the first one signs."""
        nonce = self.c_nonce()
        attestation = self.provider.attest_keys(*keys, nonce=nonce)
        proofs = {"jwt": [self.key_proof(keys[0], nonce, attestation)]}
        return {"credential_configuration_id": "drivers-licence-sd-jwt", "proofs": proofs}
