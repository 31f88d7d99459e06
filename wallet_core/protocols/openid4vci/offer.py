"""Credential Offers, by value and by reference (OpenID4VCI 4).

An offer is never signed: it is a stranger's input until the metadata of the issuer it names have been fetched from that
issuer. Nothing here fetches.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import parse_qsl, quote

from wallet_core import spec_versions as spec
from wallet_core.encoding import strict_json
from wallet_core.errors import MalformedError
from wallet_core.protocols.oauth2.identifiers import parse_identifier, parse_url
from wallet_core.protocols.openid4vci import members
from wallet_core.types import CredentialConfigurationId, CredentialIssuerId, Json, JsonObject

MAX_LINK_CHARACTERS: Final = 32 * 1024
"""Longest link that is looked at: an offer by value with ten configurations is about 2 kB."""

MAX_CONFIGURATIONS: Final = 64
"""Most configurations one offer may name; a person accepts each of them."""

MAX_DESCRIPTION_CHARACTERS: Final = 300
"""OpenID4VCI 4.1.1: the description of a transaction code is at most 300 characters."""

InputMode = Literal["numeric", "text"]


@dataclass(frozen=True, slots=True)
class TxCodeInput:
    """What the wallet shows where the transaction code is typed (OpenID4VCI 4.1.1)."""

    input_mode: InputMode = "numeric"
    length: int | None = None
    description: str | None = None

    def admits(self, code: str) -> bool:
        """Return whether a code is of the length and the characters that the offer tells: others cannot be right."""
        # OpenID4VCI 4.1.1: "numeric (only digits)", and the length, where the wallet is told one.
        digits = self.input_mode != "numeric" or (code.isascii() and code.isdigit())
        return digits and (self.length is None or len(code) == self.length)

    def to_json(self) -> JsonObject:
        """Return the ``tx_code`` object of an offer."""
        value: JsonObject = {"input_mode": self.input_mode}
        if self.length is not None:
            value["length"] = self.length
        if self.description is not None:
            value["description"] = self.description
        return value


@dataclass(frozen=True, slots=True)
class CredentialOffer:
    """A Credential Offer. ``pre_authorized_code`` is None if the offer does not carry that grant.

    ``authorization_code`` says that it carries that one, ``issuer_state`` what goes into the authorization request.
    """

    credential_issuer: CredentialIssuerId
    configuration_ids: tuple[CredentialConfigurationId, ...]
    pre_authorized_code: str | None = None
    tx_code: TxCodeInput | None = None
    authorization_server: str | None = None
    authorization_code: bool = False
    issuer_state: str | None = None

    def to_json(self) -> JsonObject:
        """Return the offer as it goes on the wire (OpenID4VCI 4.1.1)."""
        offer: JsonObject = {
            "credential_issuer": self.credential_issuer,
            "credential_configuration_ids": list(self.configuration_ids),
        }
        grants: JsonObject = {}
        server: JsonObject = (
            {} if self.authorization_server is None else {"authorization_server": self.authorization_server}
        )
        if self.authorization_code:
            state: JsonObject = {} if self.issuer_state is None else {"issuer_state": self.issuer_state}
            grants[spec.GRANT_AUTHORIZATION_CODE] = {**state, **server}
        if self.pre_authorized_code is not None:
            grant: JsonObject = {"pre-authorized_code": self.pre_authorized_code}
            if self.tx_code is not None:
                grant["tx_code"] = self.tx_code.to_json()
            grants[spec.GRANT_PRE_AUTHORIZED_CODE] = {**grant, **server}
        return {**offer, "grants": grants} if grants else offer


@dataclass(frozen=True, slots=True)
class OfferReference:
    """Where an offer lies that came by reference (OpenID4VCI 4.1.3). Show its host before fetching it."""

    url: str


def create_offer_link(offer: CredentialOffer, *, endpoint: str = spec.OFFER_SCHEME) -> str:
    """Return the link that carries ``offer`` by value (OpenID4VCI 4.1.2)."""
    return _link(endpoint, "credential_offer", strict_json.dumps_text(offer.to_json()))


def create_reference_link(url: str, *, endpoint: str = spec.OFFER_SCHEME) -> str:
    """Return the link that carries an offer by reference (OpenID4VCI 4.1.3)."""
    return _link(endpoint, "credential_offer_uri", url)


def parse_offer_link(link: str) -> CredentialOffer | OfferReference:
    """Return what a link offers. Only the query counts, not the scheme: links to other wallets' endpoints work as well.

    Raises:
        MalformedError: not exactly one of ``credential_offer`` and ``credential_offer_uri``, or it does not parse.
    """
    if len(link) > MAX_LINK_CHARACTERS:
        raise MalformedError(f"the link is longer than {MAX_LINK_CHARACTERS} characters")
    _, _, query = link.strip().partition("?")
    try:
        pairs = parse_qsl(query.partition("#")[0], keep_blank_values=True, errors="strict", max_num_fields=64)
    except ValueError as exc:
        raise MalformedError("the link has a query that cannot be read", clause="OpenID4VCI 4.1") from exc
    found = [(name, value) for name, value in pairs if name in {"credential_offer", "credential_offer_uri"}]
    # OpenID4VCI 4.1: credential_offer and credential_offer_uri exclude each other; one of them must be there.
    # vci-4.1-one-of
    if len(found) != 1:
        raise MalformedError("the link holds no Credential Offer, or more than one", clause="OpenID4VCI 4.1")
    name, value = found[0]
    if name == "credential_offer_uri":
        # vci-4.1.3-https
        return OfferReference(parse_url(value, what="credential_offer_uri"))
    return parse_credential_offer(strict_json.loads(value, what="credential_offer"))


def parse_credential_offer(value: Json) -> CredentialOffer:
    """Return the Credential Offer in a JSON value. Unknown members and unknown grants are ignored (OpenID4VCI 4.1.1).

    Not done here: whether the issuer exists and offers these configurations.

    Raises:
        MalformedError: a member is missing or of the wrong type, or the configurations are empty or repeated.
    """
    if not isinstance(value, dict):
        raise MalformedError("the Credential Offer is not a JSON object", clause="OpenID4VCI 4.1.1")
    # vci-4.1.1-issuer
    issuer = parse_identifier(value.get("credential_issuer"), what="credential_issuer")
    # OpenID4VCI 4.1.1: a non-empty array of unique strings.
    # vci-4.1.1-configurations
    ids = members.strings(value, "credential_configuration_ids", clause="OpenID4VCI 4.1.1")
    # vci-4.1.1-unique
    if len(set(ids)) != len(ids) or len(ids) > MAX_CONFIGURATIONS:
        raise MalformedError("credential_configuration_ids repeat or are too many", clause="OpenID4VCI 4.1.1")
    grants = members.optional_object(value, "grants", clause="OpenID4VCI 4.1.1") or {}
    code, tx_code, server = _pre_authorized_grant(grants)
    has_code_flow, issuer_state, other_server = _authorization_code_grant(grants)
    return CredentialOffer(
        CredentialIssuerId(issuer),
        tuple(CredentialConfigurationId(i) for i in ids),
        code,
        tx_code,
        server or other_server,
        has_code_flow,
        issuer_state,
    )


def create_credential_offer(
    credential_issuer: CredentialIssuerId,
    configuration_ids: Sequence[CredentialConfigurationId],
    *,
    pre_authorized_code: str | None = None,
    tx_code: TxCodeInput | None = None,
    issuer_state: str | None = None,
) -> CredentialOffer:
    """Return an offer under the pre-authorized code grant, the authorization code grant, or both.

    Raises:
        ValueError: no configuration, or one twice.
    """
    if not configuration_ids or len(set(configuration_ids)) != len(configuration_ids):
        raise ValueError("an offer names at least one configuration, each once")
    return CredentialOffer(
        credential_issuer,
        tuple(configuration_ids),
        pre_authorized_code,
        tx_code,
        authorization_code=issuer_state is not None,
        issuer_state=issuer_state,
    )


def _pre_authorized_grant(grants: Mapping[str, Json]) -> tuple[str | None, TxCodeInput | None, str | None]:
    grant = members.optional_object(grants, spec.GRANT_PRE_AUTHORIZED_CODE, clause="OpenID4VCI 4.1.1")
    if grant is None:
        return None, None, None
    # OpenID4VCI 4.1.1: pre-authorized_code is REQUIRED within its grant.
    # vci-4.1.1-code
    code = members.string(grant, "pre-authorized_code", clause="OpenID4VCI 4.1.1")
    server = grant.get("authorization_server")
    return (
        code,
        _tx_code_input(grant),
        parse_identifier(server, what="authorization_server") if server is not None else None,
    )


def _authorization_code_grant(grants: Mapping[str, Json]) -> tuple[bool, str | None, str | None]:
    grant = members.optional_object(grants, spec.GRANT_AUTHORIZATION_CODE, clause="OpenID4VCI 4.1.1")
    if grant is None:
        return False, None, None
    # OpenID4VCI 4.1.1: issuer_state is OPTIONAL, and a string.
    # vci-4.1.1-issuer-state
    issuer_state = members.optional_string(grant, "issuer_state", clause="OpenID4VCI 4.1.1")
    server = grant.get("authorization_server")
    return True, issuer_state, None if server is None else parse_identifier(server, what="authorization_server")


def _tx_code_input(grant: Mapping[str, Json]) -> TxCodeInput | None:
    tx_code = members.optional_object(grant, "tx_code", clause="OpenID4VCI 4.1.1")
    # OpenID4VCI 4.1.1: its presence, even as an empty object, means that a transaction code is required.
    # vci-4.1.1-tx-code-object
    if tx_code is None:
        return None
    mode = tx_code.get("input_mode", "numeric")
    # vci-4.1.1-input-mode
    if not isinstance(mode, str) or mode not in {"numeric", "text"}:
        raise MalformedError("input_mode is neither numeric nor text", clause="OpenID4VCI 4.1.1")
    description = tx_code.get("description")
    # vci-4.1.1-description
    if description is not None and (not isinstance(description, str) or len(description) > MAX_DESCRIPTION_CHARACTERS):
        raise MalformedError("the description of tx_code is longer than 300 characters", clause="OpenID4VCI 4.1.1")
    length = members.integer(tx_code, "length", at_least=1, clause="OpenID4VCI 4.1.1") if "length" in tx_code else None
    return TxCodeInput("text" if mode == "text" else "numeric", length, description)


def _link(endpoint: str, name: str, value: str) -> str:
    # Everything but unreserved characters is encoded: a literal % or & breaks some parsers.
    return f"{endpoint}{'&' if '?' in endpoint else '?'}{name}={quote(value, safe='')}"
