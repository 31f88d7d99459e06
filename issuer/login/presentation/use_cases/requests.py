"""Asking for a card: the two requests beside each other, and forgetting them (protocols.md M23)."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec

from issuer.agencies.ports import Agency
from issuer.login.ports import LoginMethod
from issuer.login.presentation.ports import LoginRequest, LoginRequestStorage, PresentationLoginPorts
from wallet_core.catalogue.credential_type import CredentialType
from wallet_core.catalogue.text import Text
from wallet_core.errors import NotFound
from wallet_core.protocols.openid4vp import presentation as states
from wallet_core.protocols.openid4vp.asking import create_response_encryption, new_secret, private_key_to_bytes
from wallet_core.protocols.openid4vp.client_id import ClientIdPrefix, create_client_id
from wallet_core.protocols.openid4vp.dcql import DcqlQuery, parse_dcql_query, validate_own_query
from wallet_core.protocols.openid4vp.presentation import PresentationFlow, Requested, Terms
from wallet_core.protocols.openid4vp.request import AuthorizationRequest
from wallet_core.protocols.openid4vp.verifier_info import registration_info
from wallet_core.types import Json, JsonObject, Nonce

METHOD: Final = LoginMethod(
    "presentation",
    Text("지갑의 신분증으로 로그인", "Show a card of your wallet"),
    Text(
        "운전면허증이나 주민등록증을 지갑에서 보여 줘요.",
        "Show your driving licence or resident card from your wallet.",
    ),
)
"""This method as the page that lets the person choose shows it."""

KEPT: Final = timedelta(minutes=5)
"""How long an answer waits for its browser, and a refusal for being read; then the row goes."""

PAGE_PATH: Final = "/login/presentation"
"""Below an agency's address: the page of this login."""

BATCH: Final = 200
"""Requests that one job deletes."""


def start(
    ports: PresentationLoginPorts, agency: Agency, login_id: str, *, types: Collection[str], until: datetime
) -> None:
    """Make the two requests of a login's page; those of an earlier try are forgotten (M23).

    Args:
        ports: what is needed.
        agency: at whose authorization endpoint.
        login_id: of the login session.
        types: ids of the credential types that are good enough for what the wallet asked for.
        until: when the login session ends.

    Raises:
        NotFound: none is.
        KeyUnavailable: the issuer has no access key.
    """
    names = {name for each in types if each in ports.types for name in _names(ports.types[each])}
    query = parse_dcql_query(narrow_query(ports.policy.dcql_query, names))
    validate_own_query(query)
    storage = ports.storage()
    with storage.unit:
        storage.requests.delete_of_login(login_id)
        for flow in (PresentationFlow.CROSS_DEVICE, PresentationFlow.SAME_DEVICE):
            storage.requests.add(_new_request(ports, agency, login_id, query, flow, until))


def delete_old(storage: LoginRequestStorage, *, now: datetime) -> int:
    """Delete requests whose time is over, at most :data:`BATCH`, in the caller's unit of work; return how many."""
    return storage.requests.delete_old(now=now, limit=BATCH)


def narrow_query(query: JsonObject, names: Collection[str]) -> JsonObject:
    """Return the policy's query for these types only, by ``vct`` and doctype; the whole one is returned as it is.

    Raises:
        NotFound: it asks for none of them.
    """
    entries = query["credentials"]
    fitting = {str(each["id"]): each for each in _objects(entries) if not _named(each).isdisjoint(names)}
    if len(fitting) == len(_objects(entries)):
        return query
    options: list[Json] = [[name] for name in fitting]
    if not options:
        raise NotFound("no card is good enough for what the wallet asked for")
    return {**query, "credentials": [*fitting.values()], "credential_sets": [{"options": options}]}


def key_context(request_id: str) -> str:
    """Return what the private key of an answer is sealed for."""
    return f"issuer_login_request.sealed_key:{request_id}"


def _names(of: CredentialType) -> tuple[str, ...]:
    return (of.vct, *(entry.doctype for entry in of.formats if entry.doctype))


def _named(entry: JsonObject) -> set[str]:
    meta = entry["meta"]
    if not isinstance(meta, dict):
        return set()
    types = meta.get("vct_values")
    return {str(each) for each in types} if isinstance(types, list) else {str(meta.get("doctype_value"))}


def _objects(entries: Json) -> list[JsonObject]:
    return [each for each in entries if isinstance(each, dict)] if isinstance(entries, list) else []


def _new_request(
    ports: PresentationLoginPorts,
    agency: Agency,
    login_id: str,
    query: DcqlQuery,
    flow: PresentationFlow,
    until: datetime,
) -> LoginRequest:
    now, request_id = ports.clock.now(), new_secret(ports.random)
    answer_to = f"{agency.credential_issuer}/openid4vp/responses/{request_id}"
    leaf = ports.keys.signing_key(ports.key_name).chain[0]
    private_key = ec.generate_private_key(ec.SECP256R1())
    request = AuthorizationRequest(
        client_id=create_client_id(ClientIdPrefix.X509_HASH, leaf=leaf, response_uri=answer_to),
        response_uri=answer_to,
        # vp-5.2-fresh-nonce
        nonce=Nonce(new_secret(ports.random)),
        dcql_query=query,
        state=request_id,
        encryption=create_response_encryption(private_key, request_id),
        verifier_info=registration_info(ports.keys.statement(ports.key_name, f"registration.{ports.policy.id}")),
    )
    expires_at = min(now + ports.lifetime, until)
    here = flow is PresentationFlow.SAME_DEVICE
    terms = Terms(
        request,
        flow,
        "get",
        # 13.3, protocols 24: without a way back the answer could never be redeemed.
        f"{agency.credential_issuer}{PAGE_PATH}/return" if here else None,
        created_at=now,
        expires_at=expires_at,
        keep_for=KEPT,
    )
    sealed = ports.seal.seal(private_key_to_bytes(private_key), key_context(request_id))
    return LoginRequest(
        request_id, login_id, agency.id, 1, Requested(terms), sealed, expires_at + states.REDEEM_WITHIN + KEPT
    )
