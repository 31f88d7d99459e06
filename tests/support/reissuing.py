"""What tests of re-issuance have in common: people on record, and a wallet that asks again under its token."""

from dataclasses import dataclass
from typing import Any

from tests.support.issuing import HOST, LICENCE, IssuerUnderTest
from wallet_core.catalogue.records import Record, format_records
from wallet_core.encoding import base64url
from wallet_core.formats.sd_jwt.holder import index_sd_jwt
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.protocols.openid4vci.pending import ProofsToSign
from wallet_core.protocols.openid4vci.proof import proof_signing_input

TYPE = "drivers-licence"


def put_on_record(issuer: IssuerUnderTest, *subjects: str, **changes: Any) -> None:
    """Import the example's record for some people, with changes."""
    known = issuer.issuer.catalogue.types[TYPE]
    record = {**known.example_record, **changes}
    rows = [Record(number, subject, known.id, record) for number, subject in enumerate(subjects, 2)]
    answer = issuer.api("POST", "/records", content=format_records(rows).encode(), headers={"Content-Type": "text/csv"})
    assert answer.status_code == 200, answer.text


@dataclass
class HeldByWallet:
    """A wallet in a test: the token it got, and the copies it has."""

    issuer: IssuerUnderTest
    pending: ProofsToSign
    copies: list[str]

    def ask(self, count: int = 2) -> list[str]:
        """Ask for new copies under the same token and return them."""
        self.issuer.clock.advance(1)
        answer = self.request(count)
        assert answer.status_code == 200, answer.text
        return [each["credential"] for each in answer.json()["credentials"]]

    def request(self, count: int = 1) -> Any:
        """Ask for new copies and return the answer."""
        url = f"{HOST}/agencies/police"
        nonce = self.issuer.client.post(f"{url}/nonce").json()["c_nonce"]
        keys = [SoftwareSigner.generate() for _ in range(count)]
        now, proofs = self.issuer.clock.now(), []
        for key in keys:
            data = proof_signing_input(key.public_key, audience=url, nonce=nonce, issued_at=now)
            proofs.append(f"{data.decode()}.{base64url.encode(key.sign(data))}")
        body = {"credential_configuration_id": self.configuration, "proofs": {"jwt": proofs}}
        token = {"Authorization": f"Bearer {self.pending.token.access_token}"}
        return self.issuer.client.post(f"{url}/credential", json=body, headers=token)

    @property
    def configuration(self) -> str:
        """What it holds copies of."""
        return self.pending.proofs[0].configuration_id


def receive(issuer: IssuerUnderTest, subject: str, *, copies: int = 2, configuration: str = LICENCE) -> HeldByWallet:
    """Give a person on record a card, in a wallet of its own."""
    keys = [SoftwareSigner.generate() for _ in range(copies)]
    pending = issuer.proofs(issuer.offer(subject_id=subject, configuration=configuration)["uri"], keys)
    issued = issuer.receive(pending, keys)
    # Credentials are listed in the order of their time of issue.
    issuer.clock.advance(1)
    return HeldByWallet(issuer, pending, list(issued.batches[0].credentials))


def statuses(issuer: IssuerUnderTest, subject: str) -> list[str]:
    """The statuses of what a person has, in the order of issue."""
    answer = issuer.api("GET", "/credentials", params={"subject_id": subject})
    return [each["status"] for each in answer.json()["credentials"]]


def claim(text: str, name: str) -> Any:
    """A claim of an SD-JWT VC."""
    return index_sd_jwt(text).claims[name]
