"""Put an offer into words: who offers which cards, with which claims. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from holder_app.credentials.describe import Text, card_name, credential_type, label_of, name_of, published_display
from holder_app.credentials.ports import Card
from holder_app.links import host_of
from wallet_core.catalogue import Catalogue, CredentialType
from wallet_core.protocols.openid4vci.metadata import CredentialConfiguration, CredentialIssuerMetadata
from wallet_core.protocols.openid4vci.offer import TxCodeInput
from wallet_core.protocols.openid4vci.pending import ResolvedOffer
from wallet_core.spec_versions import FORMAT_MDOC
from wallet_core.types import Json, JsonObject


@dataclass(frozen=True, slots=True)
class OfferedCard:
    """One card of an offer. ``usable`` tells whether this wallet can keep it."""

    name: Text
    cloth: str
    claims: tuple[Text, ...]
    validity_days: int | None
    usable: bool = True


@dataclass(frozen=True, slots=True)
class OfferView:
    """An offer in words. ``issuer_name`` is what the issuer calls itself; nothing has proven it yet.

    ``has_code`` tells that it can be had without logging in, ``login_host`` where one can log in; empty if nowhere.
    """

    issuer_name: Text
    issuer: str
    host: str
    cards: tuple[OfferedCard, ...]
    tx_code: TxCodeInput | None
    has_code: bool
    login_host: str

    @property
    def code_rule(self) -> str:
        """As :func:`code_rule`; empty where no code is needed."""
        return "" if self.tx_code is None else code_rule(self.tx_code)


def describe_offer(
    offer: ResolvedOffer, catalogue: Catalogue, keeps: Callable[[CredentialConfiguration], bool] = lambda _: True
) -> OfferView:
    """Return what the person decides about. ``keeps`` tells what this wallet can keep."""
    issuer = offer.offer.credential_issuer
    cards = tuple(offered_card(each, catalogue, usable=keeps(each)) for each in offer.configurations)
    login = host_of(offer.server.authorization_endpoint or "") if offer.can_authorize else ""
    return OfferView(issuer_display(offer), issuer, host_of(issuer), cards, offer.offer.tx_code, offer.has_code, login)


def code_rule(wanted: TxCodeInput) -> str:
    """Return the name of the text that says what a transaction code looks like; it takes the length as ``n``."""
    return ("digits" if wanted.input_mode == "numeric" else "characters") + ("" if wanted.length is None else "_n")


def issuer_display(offer: ResolvedOffer) -> Text:
    """Return the name the issuer gives itself in its metadata; its host where it gives none (OpenID4VCI 12.2.4)."""
    return issuer_name(offer.issuer)


def issuer_name(issuer: CredentialIssuerMetadata) -> Text:
    """Return the name an issuer gives itself; its host where it gives none. Nothing has proven it."""
    host = host_of(issuer.credential_issuer)
    name = published_display({"credential_metadata": {"display": issuer.document.get("display")}})["name"]
    return {str(k): str(v) for k, v in name.items()} if isinstance(name, dict) and name else {"ko": host, "en": host}


def configuration_display(configuration: CredentialConfiguration) -> JsonObject:
    """Return name and labels that the issuer publishes for a configuration."""
    return published_display(configuration.document)


def describe_receipt(offer: ResolvedOffer, cards: Sequence[Card], catalogue: Catalogue) -> JsonObject:
    """Return what the history keeps: who gave, or wanted to give, which cards. The content stays with the cards."""
    issuer = offer.offer.credential_issuer
    names = [name_of(card, catalogue) for card in cards]
    if not cards:
        names = [card.name for card in describe_offer(offer, catalogue).cards]
    verified = cards[0].issuer_name if cards else None
    return {
        "peer": {"name": dict(issuer_display(offer)), "verified_name": verified, "host": host_of(issuer), "id": issuer},
        "cards": [{"name": dict(name), "issuer_name": verified or host_of(issuer)} for name in names],
    }


def offered_card(configuration: CredentialConfiguration, catalogue: Catalogue, *, usable: bool) -> OfferedCard:
    """Return a configuration in words."""
    type_ = configuration.document.get("doctype" if configuration.format == FORMAT_MDOC else "vct", "")
    known = credential_type(catalogue, configuration.format, str(type_))
    display = configuration_display(configuration)
    labels = tuple(label_of(path, known, display) for path in _offered_paths(configuration, known, display))
    return OfferedCard(
        card_name(known, display, configuration.format),
        known.cloth if known else "jjok",
        labels,
        known.validity_days if known else None,
        usable,
    )


def _offered_paths(
    configuration: CredentialConfiguration, known: CredentialType | None, display: JsonObject
) -> Sequence[tuple[str, ...]]:
    """Return one path for each line of the offer: the outermost claims, or the elements of an mdoc."""
    issued = [claim for claim in known.claims if claim.default_issue] if known else []
    if configuration.format == FORMAT_MDOC:
        elements = [(each.mdoc.namespace, each.mdoc.element) for each in issued if each.mdoc is not None]
        return elements or [(str(path[0]), str(path[1])) for path in _published_paths(display) if len(path) > 1]
    paths = [claim.path for claim in issued] if known else _published_paths(display)
    return [(name,) for name in dict.fromkeys(path[0] for path in paths) if isinstance(name, str)]


def _published_paths(display: JsonObject) -> list[tuple[Json, ...]]:
    claims = display.get("claims")
    paths = [entry.get("path") for entry in (claims if isinstance(claims, list) else []) if isinstance(entry, dict)]
    return [tuple(path) for path in paths if isinstance(path, list) and path]
