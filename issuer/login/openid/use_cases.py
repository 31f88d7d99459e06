"""Login at an outside OpenID provider: what is remembered of a login that began, and what its answer proves.

``state``, ``nonce`` and ``code_verifier`` lie sealed in the login session, which is bound to the browser by its cookie,
and are taken out once, before anything is asked of the provider.
"""

import hmac
from collections.abc import Mapping
from typing import Final

from issuer.agencies.ports import Agency
from issuer.login.citizens import create_citizen
from issuer.login.openid.ports import OpenIdLoginPorts
from issuer.login.ports import Choosing, LoginMethod, LoginSession
from issuer.login.use_cases import remember
from issuer.records.ports import Citizen
from wallet_core.catalogue.text import Text
from wallet_core.encoding import base64url, strict_json
from wallet_core.errors import MalformedError, StateConflict
from wallet_core.http import Flow
from wallet_core.protocols.oauth2.openid_connect import (
    AuthenticationRequest,
    IdentityClaims,
    OpenIdClient,
    create_authentication_request,
    parse_authentication_response,
    redeem_code,
    resolve_provider,
)

METHOD: Final = "openid"
"""Id of this method, and the place of its memo in a session."""

_SEALED: Final = "sealed"


def method(provider: Text) -> LoginMethod:
    """Return this method as the page that lets the person choose shows it."""
    return LoginMethod(
        METHOD,
        provider,
        Text("이 기관의 계정으로 누구인지 확인해요.", "Your account there tells us who you are."),
    )


CALLBACK_PATH: Final = "/login/openid/callback"
"""Below an agency's address: where the provider sends the browser back. To be registered there for each agency."""


def begin(ports: OpenIdLoginPorts, agency: Agency) -> Flow[AuthenticationRequest]:
    """Return what to remember and where the browser goes; the provider's metadata are fetched.

    Raises:
        WalletError: the provider cannot be reached, or its metadata break a rule.
        KeyUnavailable: our key there is gone.
    """
    provider = yield from resolve_provider(ports.account.issuer)
    return create_authentication_request(provider, _client(ports, agency), random=ports.random)


def remember_request(ports: OpenIdLoginPorts, session: LoginSession, request: AuthenticationRequest) -> None:
    """Keep what the answer will be compared with; an earlier try of the same session is forgotten.

    Raises:
        NotFound: somebody has logged in meanwhile.
        StateConflict: another request moved the session meanwhile.
    """
    kept = {"state": request.state, "nonce": request.nonce, "code_verifier": request.code_verifier}
    sealed = base64url.encode(ports.seal.seal(strict_json.dumps(kept), _context(session)))
    remember(ports.login, session, METHOD, {_SEALED: sealed})


def take_request(
    ports: OpenIdLoginPorts, session: LoginSession, state: str
) -> tuple[AuthenticationRequest, LoginSession]:
    """Return what was remembered, once, and the session without it: of two answers one finds nothing.

    An answer with another ``state`` takes nothing away: any page can send this browser to our address.

    Raises:
        StateConflict: this session awaits no answer, or not this one.
    """
    memo = session.state.memo.get(METHOD) if isinstance(session.state, Choosing) else None
    sealed = memo.get(_SEALED) if isinstance(memo, dict) else None
    if not isinstance(sealed, str):
        raise StateConflict("this login awaits no answer")
    kept = strict_json.loads_object(ports.seal.open(base64url.decode(sealed), _context(session)), what="a stored login")
    # oidc-10.12-bound
    if not hmac.compare_digest(str(kept["state"]).encode(), state.encode("utf-8", "surrogatepass")):
        raise StateConflict("this login awaits another answer", clause="RFC 6749 10.12")
    moved = remember(ports.login, session, METHOD, {})
    return AuthenticationRequest(str(kept["state"]), str(kept["nonce"]), str(kept["code_verifier"]), ""), moved


def finish(
    ports: OpenIdLoginPorts, agency: Agency, request: AuthenticationRequest, parameters: Mapping[str, str]
) -> Flow[Citizen]:
    """Return who the provider says it is.

    Args:
        ports: what is needed.
        agency: at whose authorization endpoint.
        request: from :func:`take_request`.
        parameters: of the answer's address.

    Raises:
        AccessDenied: the person or the provider said no.
        MalformedError: name or date of birth is missing.
        WalletError: a rule is broken, or the provider cannot be reached.
    """
    provider = yield from resolve_provider(ports.account.issuer)
    code = parse_authentication_response(parameters, state=request.state, provider=provider)
    claims = yield from redeem_code(
        provider,
        _client(ports, agency),
        code,
        code_verifier=request.code_verifier,
        nonce=request.nonce,
        now=ports.clock.now(),
        random=ports.random,
    )
    return read_citizen(claims)


def read_citizen(claims: IdentityClaims) -> Citizen:
    """Return the person of an ID Token.

    Raises:
        MissingClaims: the provider does not say name, or the whole date of birth (it may say the year alone).
    """
    citizen = create_citizen(claims.name, claims.birthdate)
    if citizen is None:
        raise MissingClaims("the OpenID provider did not say name and date of birth", clause="OpenID Connect Core 5.1")
    return citizen


class MissingClaims(MalformedError):
    """The provider logged the person in and did not say who it is."""


def _client(ports: OpenIdLoginPorts, agency: Agency) -> OpenIdClient:
    account = ports.account
    signer = account.signer() if account.signer else None
    redirect_uri = f"{agency.credential_issuer}{CALLBACK_PATH}"
    return OpenIdClient(account.client_id, redirect_uri, account.secret, signer, account.key_id)


def _context(session: LoginSession) -> str:
    return f"issuer_login_session.memo.openid:{session.id}"
