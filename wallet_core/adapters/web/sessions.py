"""Sessions in a sealed cookie, and the CSRF tokens bound to them.

The cookie holds a random id, when it ends, and a few small values; nothing is kept in memory, so any worker serves any
request. A session that must be ended before its time needs a row of the app's own, looked up by ``Session.id``.
"""

import hmac
import secrets
from dataclasses import dataclass, field
from datetime import timedelta

from starlette.requests import HTTPConnection, Request
from starlette.types import Scope

from wallet_core.adapters.web.context import WebContext, context
from wallet_core.encoding import base64url, strict_json
from wallet_core.errors import AccessDenied, KeyUnavailable, MalformedError
from wallet_core.types import Json, JsonObject

LIFETIME = timedelta(hours=8)
"""A working day: after that one signs in again."""

MAX_COOKIE_CHARACTERS = 3800
"""Characters of the sealed value; browsers keep 4096 bytes of a cookie with its name."""

CSRF_FIELD = "csrf_token"
CSRF_HEADER = "x-csrf-token"

_SCOPE_KEY = "jigap.session"
_SEAL_CONTEXT = "session cookie"
_FORM_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data")
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(slots=True)
class Session:
    """One browser's session. A change is sent back with the answer.

    ``is_new``: the browser has no cookie of it yet; what it sent, if anything, does not open.
    """

    id: str
    expires_at: int
    values: JsonObject = field(default_factory=dict)
    is_new: bool = False
    changed: bool = False
    ended: bool = False

    def get(self, name: str) -> Json:
        """Return a value, or None."""
        return self.values.get(name)

    def set(self, name: str, value: Json) -> None:
        """Keep a small value: some tens of bytes, nothing personal beyond an id."""
        self.values[name] = value
        self.changed = True

    def pop(self, name: str) -> Json:
        """Remove a value and return it, or None."""
        self.changed = self.changed or name in self.values
        return self.values.pop(name, None)

    def end(self) -> None:
        """Forget everything: at sign-out."""
        self.id = secrets.token_urlsafe(24)
        self.changed = True
        self.values.clear()
        self.ended = True


def session(request: HTTPConnection) -> Session:
    """Return the session of this request; a new, empty one if there is none that is good."""
    found = request.scope.get(_SCOPE_KEY)
    if not isinstance(found, Session):
        web = context(request)
        found = _open(web, request.cookies.get(web.session_cookie)) or _new(web)
        request.scope[_SCOPE_KEY] = found
    return found


def renew_session(request: HTTPConnection) -> Session:
    """Return the session of this request under a new id and with all its time ahead: at every sign-in.

    So an id that was planted before it is worth nothing, and nobody is signed out after some minutes.
    """
    current, anew = session(request), _new(context(request))
    current.id, current.expires_at, current.changed = anew.id, anew.expires_at, True
    return current


def session_cookie(scope: Scope, web: WebContext) -> str | None:
    """Return the ``Set-Cookie`` value that this answer needs, if any."""
    found = scope.get(_SCOPE_KEY)
    if not isinstance(found, Session) or not found.changed:
        return None
    seconds = 0 if found.ended else found.expires_at - int(web.clock.now().timestamp())
    value = "" if found.ended else _seal(web, found)
    secure = "; Secure" if web.settings.secure else ""
    return f"{web.session_cookie}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}"


def csrf_token(request: HTTPConnection) -> str:
    """Return the token that forms of this session carry. It starts a session if there is none."""
    current = session(request)
    current.changed = current.changed or current.is_new
    return _token(context(request), current)


async def check_csrf(request: Request) -> None:
    """Refuse a form that did not come from a page of this session; a dependency of every page router.

    Two independent checks: what the browser says about the origin, and the token.

    Raises:
        AccessDenied: from another site, or without the token of this session.
    """
    if request.method in _SAFE_METHODS:
        return
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    same = site == "same-origin" if site is not None else origin in {None, context(request).settings.public_url}
    if not same:
        raise AccessDenied("the form was not sent from this site")
    given = request.headers.get(CSRF_HEADER) or await _field(request)
    if not hmac.compare_digest(given.encode(), _token(context(request), session(request)).encode()):
        raise AccessDenied("the form is too old, or was not sent from this site")


async def _field(request: Request) -> str:
    if not request.headers.get("content-type", "").startswith(_FORM_TYPES):
        return ""
    # Starlette keeps the parsed form, so the endpoint reads the same one.
    value = (await request.form()).get(CSRF_FIELD)
    return value if isinstance(value, str) else ""


def _token(web: WebContext, current: Session) -> str:
    return base64url.encode(hmac.digest(web.sealer.derive("csrf"), current.id.encode(), "sha256"))


def _new(web: WebContext) -> Session:
    return Session(secrets.token_urlsafe(24), int((web.clock.now() + LIFETIME).timestamp()), is_new=True)


def _seal(web: WebContext, current: Session) -> str:
    members: JsonObject = {"id": current.id, "exp": current.expires_at, "v": current.values}
    text = base64url.encode(web.sealer.seal(strict_json.dumps(members), _SEAL_CONTEXT + web.name))
    if len(text) > MAX_COOKIE_CHARACTERS:
        raise ValueError("the session holds more than a cookie does")
    return text


def _open(web: WebContext, cookie: str | None) -> Session | None:
    if not cookie:
        return None
    try:
        members = strict_json.loads_object(web.sealer.open(base64url.decode(cookie), _SEAL_CONTEXT + web.name))
    except (MalformedError, KeyUnavailable):
        return None  # changed, or of an earlier sealing key: as if there were none
    match members:
        case {"id": str(session_id), "exp": int(expires), "v": dict(values)} if expires > web.clock.now().timestamp():
            return Session(session_id, expires, values)
        case _:
            return None
