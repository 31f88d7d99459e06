"""A wallet behind the Digital Credentials API for tests: our wallet core, asked as a platform asks (시험용)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from wallet_core.formats.mdoc.holder import HeldMdoc
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.protocols.iso18013 import dc_api as iso
from wallet_core.protocols.openid4vp import dc_api_wallet as wallet
from wallet_core.protocols.openid4vp.candidates import HeldCredential, candidate_of
from wallet_core.protocols.openid4vp.matching import approve, match
from wallet_core.spec_versions import DC_API_ISO_MDOC
from wallet_core.trust.anchors import TrustAnchors

ORIGIN = "https://verifier.example"


@dataclass
class PlatformWallet:
    """Cards, and the key they are bound to. ``transaction_types`` are those that it understands."""

    anchors: TrustAnchors
    holder: SoftwareSigner
    now: datetime
    cards: Mapping[str, HeldCredential] = field(default_factory=dict)
    transaction_types: Mapping[str, Any] = field(default_factory=dict)
    seen: list[Any] = field(default_factory=list)

    def answer(self, protocol: str, data: Any, origin: str = ORIGIN) -> dict[str, Any]:
        """What the platform gives to the page: the person agrees to everything that is asked."""
        if protocol == DC_API_ISO_MDOC:
            return self._answer_iso(data, origin)
        types = {"transaction_types": self.transaction_types}
        resolved = wallet.resolve_dc_api_request(
            protocol, data, origin=origin, anchors=self.anchors, now=self.now, **types
        )
        resolved = wallet.ResolvedDcApiRequest.from_json(resolved.to_json())
        self.seen.append(resolved)
        approved = approve(match(resolved.request.dcql_query, [candidate_of(*each) for each in self.cards.items()]))
        pending = wallet.create_dc_api_presentation(resolved, approved, self.cards, now=self.now, **types)
        pending = wallet.DcApiPresentationToSign.from_json(pending.to_json())
        signatures = [self.holder.sign(item.signing_input) for item in pending.to_sign if item.signing_input]
        return wallet.create_dc_api_answer(pending, signatures)

    def _answer_iso(self, data: Any, origin: str) -> dict[str, Any]:
        request = iso.parse_request_data(data, origin=origin, anchors=self.anchors, now=self.now)
        self.seen.append(request)
        mdocs = {card.doc_type: card for card in self.cards.values() if isinstance(card, HeldMdoc)}
        choice = {
            place: {
                name_space: [element for element in elements if (name_space, element) in mdocs[each.doc_type].items]
                for name_space, elements in each.name_spaces.items()
            }
            for place, each in enumerate(request.asked)
            if each.doc_type in mdocs
        }
        approved = iso.approve(request, choice)
        documents = [
            each.attach_to_document(self.holder.sign(each.signing_input))
            for each in iso.create_documents_to_sign(approved, mdocs)
        ]
        return iso.create_answer(request, approved, documents)


def requests_of(made: dict[str, Any]) -> dict[str, Any]:
    """``data`` by protocol of what our API returned for the page."""
    return {each["protocol"]: each["data"] for each in made["dc_api_request"]["digital"]["requests"]}
