"""Somebody who does not keep the rules: forges, changes and replays with nothing but the core's building blocks."""

import contextlib
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from demo.exchanges import Exchange, RecordingClient
from wallet_core import spec_versions as spec
from wallet_core.catalogue import CredentialType, seoul_day
from wallet_core.encoding import base64url, cbor, strict_json
from wallet_core.errors import FetchError, PeerRefusal, WalletError
from wallet_core.formats.mdoc.holder import index_mdoc
from wallet_core.formats.sd_jwt.vc import issue_sd_jwt_vc
from wallet_core.http import HttpRequest, post_form
from wallet_core.jose import jws
from wallet_core.keys.algorithms import PublicKey
from wallet_core.keys.signer import CertifiedSigner, SoftwareSigner
from wallet_core.protocols.openid4vci import wallet as issuing
from wallet_core.protocols.openid4vci.pending import ProofsToSign, ResolvedOffer
from wallet_core.protocols.openid4vp.mdoc import create_document_to_sign, request_transcript
from wallet_core.protocols.openid4vp.pending import ResolvedRequest
from wallet_core.protocols.openid4vp.response import create_response
from wallet_core.protocols.openid4vp.transaction_data import NO_TYPES, TransactionTypes
from wallet_core.protocols.openid4vp.wallet import resolve_request
from wallet_core.trust.anchors import TrustAnchors
from wallet_core.trust.certificates import (
    CertificateAuthority,
    create_ca,
    create_issuer_certificate,
    create_verifier_certificate,
)
from wallet_core.types import CredentialIssuerId, Json, JsonObject, QueryId


@dataclass(frozen=True, slots=True)
class Stranger:
    """Has a key of his own, and knows who the real verifiers are."""

    client: RecordingClient
    anchors: TrustAnchors
    signer: SoftwareSigner = field(default_factory=SoftwareSigner.generate)

    def resolve_offer(self, link: str) -> ResolvedOffer:
        """Return an offer with the issuer's metadata. Raises ``WalletError``."""
        return self.client.run(issuing.resolve_offer(link))

    def redeem(self, offer: ResolvedOffer, tx_code: str) -> Exchange:
        """Try a transaction code at the token endpoint, and return what came back, good or bad.

        Raises:
            FetchError: the server was not reached, or cannot answer now.
        """
        fields = {
            "grant_type": spec.GRANT_PRE_AUTHORIZED_CODE,
            "pre-authorized_code": offer.offer.pre_authorized_code or "",
            "tx_code": tx_code,
        }
        return self._sent(post_form(offer.server.token_endpoint, fields))

    def receive(self, link: str, tx_code: str | None, *, now: datetime) -> str:
        """Return a real credential, bound to the stranger's own key: he may have a card of his own like anybody else.

        Raises:
            WalletError: the issuer refused.
        """
        pending = self.ask(link, tx_code, now=now)
        issued = self.client.run(issuing.receive_credentials(pending, self.sign(pending), now=now))
        if isinstance(issued, ProofsToSign):
            raise WalletError("the issuer wants the proofs once more")
        return issued.batches[0].credentials[0]

    def ask(self, link: str, tx_code: str | None, *, now: datetime) -> ProofsToSign:
        """Redeem an offer, and return what its keys must sign before the issuer gives anything.

        Raises:
            WalletError: the issuer refused.
        """
        offer = self.resolve_offer(link)
        keys = {configuration.id: [self.signer.public_key] for configuration in offer.configurations}
        return self.client.run(issuing.request_proofs(offer, keys, tx_code=tx_code, now=now))

    def sign(self, pending: ProofsToSign, signer: SoftwareSigner | None = None) -> list[bytes]:
        """Return a signature for each proof, by the stranger's key or another one."""
        return [(signer or self.signer).sign(proof.signing_input) for proof in pending.proofs]

    def collect(self, pending: ProofsToSign, signatures: Sequence[bytes], *, now: datetime) -> Exchange:
        """Send the proofs, and return what came back, good or bad.

        Raises:
            FetchError: the server was not reached, or cannot answer now.
        """
        with contextlib.suppress(PeerRefusal):
            self.client.run(issuing.receive_credentials(pending, signatures, now=now))
        return self._answered(self.client.last)

    def forge(
        self,
        credential_type: CredentialType,
        issuer: CredentialIssuerId,
        *,
        now: datetime,
        holder: PublicKey | None = None,
    ) -> str:
        """Return a credential in the name of ``issuer``, signed under a certificate of the stranger's own CA."""
        ca = _own_ca(now)
        forger = SoftwareSigner.generate()
        leaf = create_issuer_certificate(
            ca, issuer=issuer, organization="Police", public_key=forger.public_key, now=now, random=os.urandom
        )
        own = CertifiedSigner(forger, (leaf.public_bytes(Encoding.DER),))
        return self.sign_as(own, credential_type, issuer, now=now, holder=holder)

    def sign_as(
        self,
        key: CertifiedSigner,
        credential_type: CredentialType,
        issuer: CredentialIssuerId,
        *,
        now: datetime,
        holder: PublicKey | None = None,
    ) -> str:
        """Return a credential of any type signed with an agency's key, as if the stranger worked there.

        It is bound to his own key, or to ``holder``.
        """
        today = seoul_day(now)
        hour = now.replace(minute=0, second=0, microsecond=0)
        return issue_sd_jwt_vc(
            vct=credential_type.vct,
            issuer=issuer,
            claims=credential_type.prepare_claims(credential_type.example_record, today=today),
            selectively_disclosable=credential_type.selectively_disclosable,
            holder_key=holder or self.signer.public_key,
            issued_at=hour,
            expires_at=hour + timedelta(days=30),
            signer=key.signer,
            x5c=key.chain,
            random=os.urandom,
        )

    def pose_as_verifier(self, response_uri: str, *, now: datetime) -> CertifiedSigner:
        """Return a key with a certificate for whoever answers at ``response_uri``, of the stranger's own CA."""
        poser = SoftwareSigner.generate()
        leaf = create_verifier_certificate(
            _own_ca(now),
            response_uri=response_uri,
            organization="Shop",
            public_key=poser.public_key,
            now=now,
            random=os.urandom,
        )
        return CertifiedSigner(poser, (leaf.public_bytes(Encoding.DER),))

    def resolve(self, link: str, *, now: datetime, transaction_types: TransactionTypes = NO_TYPES) -> ResolvedRequest:
        """Return a verifier's request, as any wallet reads it. Raises ``WalletError``."""
        nonce = base64url.encode(os.urandom(16))
        flow = resolve_request(
            link, anchors=self.anchors, now=now, wallet_nonce=nonce, transaction_types=transaction_types
        )
        return self.client.run(flow)

    def present(
        self, resolved: ResolvedRequest, query: str, sd_jwt: str, *, now: datetime, agreed: Sequence[str] = ()
    ) -> tuple[str, Exchange]:
        """Bind ``sd_jwt`` to the request with the stranger's key, send it, and return it with the answer.

        ``agreed`` are entries of transaction data that the key agrees to, whatever was asked.

        Raises:
            FetchError: the verifier was not reached, or cannot answer now.
        """
        hashes: list[Json] = [digest_of(entry) for entry in agreed]
        changes: JsonObject = {"transaction_data_hashes": hashes} if hashes else {}
        presentation = self.bind(resolved, sd_jwt, now=now, changes=changes)
        return presentation, self.send(resolved, query, presentation)

    def bind(
        self,
        resolved: ResolvedRequest,
        sd_jwt: str,
        *,
        now: datetime,
        signer: SoftwareSigner | None = None,
        changes: JsonObject | None = None,
    ) -> str:
        """Return ``sd_jwt`` bound to the request with the stranger's key.

        ``signer`` is another key to sign with, ``changes`` what the Key Binding JWT says instead or as well.
        """
        header = {"alg": "ES256", "typ": spec.TYP_KEY_BINDING}
        request = resolved.request
        payload: JsonObject = {
            "iat": int(now.timestamp()),
            "aud": request.client_id.full,
            "nonce": request.nonce,
            "sd_hash": digest_of(sd_jwt),
            **(changes or {}),
        }
        return sd_jwt + jws.sign(header, payload, signer or self.signer)

    def show(self, resolved: ResolvedRequest, credential: str, elements: Sequence[tuple[str, str]]) -> bytes:
        """Return these elements of an mdoc, signed with the stranger's key for this request: a DeviceResponse."""
        held = index_mdoc(base64url.decode(credential, what="credential"))
        document = create_document_to_sign(request_transcript(resolved.request), held, elements)
        return document.attach(self.signer.sign(document.signing_input))

    def send(self, resolved: ResolvedRequest, query: str, *presentations: str) -> Exchange:
        """Send any presentations as the answer to a request. Raises ``FetchError``."""
        fields = create_response(resolved.request, {QueryId(query): presentations})
        return self._sent(post_form(resolved.request.response_uri, fields))

    def repeat(self, exchange: Exchange) -> Exchange:
        """Send the very bytes of an earlier request once more. Raises ``FetchError``."""
        return self._sent(exchange.request)

    def _sent(self, request: HttpRequest) -> Exchange:
        self.client.send(request)
        return self._answered(self.client.last)

    def _answered(self, exchange: Exchange) -> Exchange:
        status = exchange.response.status
        if status >= 500:
            raise FetchError("a server cannot answer now", detail=f"{exchange.request.url} answered {status}")
        return exchange


def _own_ca(now: datetime) -> CertificateAuthority:
    return create_ca(
        organization="Nobody",
        common_name="Nobody's CA",
        contact="https://nobody.example",
        private_key=ec.generate_private_key(ec.SECP256R1()),
        now=now,
        random=os.urandom,
    )


def digest_of(text: str) -> str:
    """Return the digest by which a Key Binding JWT names an SD-JWT, or what is agreed to."""
    return base64url.encode(hashlib.sha256(text.encode("ascii")).digest())


def select(credential: str, names: Sequence[str]) -> str:
    """Return the SD-JWT with the Disclosures of these top-level claims only, closing tilde included."""
    issuer_jwt, *disclosures = credential.rstrip("~").split("~")
    chosen = [text for text in disclosures if _name(text) in names]
    return "~".join([issuer_jwt, *chosen, ""])


def change(sd_jwt: str, name: str, value: str) -> str:
    """Return the SD-JWT with another value in the Disclosure of ``name``."""
    issuer_jwt, *disclosures = sd_jwt.rstrip("~").split("~")
    changed = [_changed(text, value) if _name(text) == name else text for text in disclosures]
    return "~".join([issuer_jwt, *changed, ""])


def change_element(device_response: bytes, name: str, value: str) -> bytes:
    """Return the DeviceResponse with another value of one element; the device's signature does not cover those."""
    response = cbor.loads(device_response)
    name_spaces = response["documents"][0]["issuerSigned"]["nameSpaces"]
    for items in name_spaces.values():
        items[:] = [_changed_item(item, name, value) for item in items]
    return cbor.dumps(response)


def _changed_item(item: cbor.Tagged, name: str, value: str) -> cbor.Tagged:
    members = cbor.loads(item.value)
    if members["elementIdentifier"] != name:
        return item
    return cbor.Tagged(item.tag, cbor.dumps({**members, "elementValue": value}))


def _parts(disclosure: str) -> list[object]:
    parts = strict_json.loads(base64url.decode(disclosure))
    return list(parts) if isinstance(parts, list) else []


def _name(disclosure: str) -> object:
    parts = _parts(disclosure)
    return parts[1] if len(parts) == 3 else None


def _changed(disclosure: str, value: str) -> str:
    salt, name, _ = _parts(disclosure)
    return base64url.encode(strict_json.dumps([salt, name, value]))
