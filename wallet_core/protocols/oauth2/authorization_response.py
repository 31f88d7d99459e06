"""What comes back to the wallet's ``redirect_uri``: the code, or why there is none (RFC 6749 4.1.2, RFC 9207).

The invariant: whoever sent the browser here is a stranger until ``state`` and ``iss`` are what they must be.
"""

import hmac
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl

from wallet_core.errors import MalformedError, PeerRefusal, UntrustedError

MAX_QUERY_CHARACTERS: Final = 16 * 1024
"""Longest query of a callback that is looked at; an honest one is below 1 kB."""

MAX_PARAMETERS: Final = 32
MAX_CODE_CHARACTERS: Final = 4096


def parse_callback(query: str) -> dict[str, str]:
    """Return the parameters of the callback's query.

    Raises:
        MalformedError: it cannot be read, is too long, or has a parameter twice.
    """
    if len(query) > MAX_QUERY_CHARACTERS:
        raise MalformedError(f"the callback is longer than {MAX_QUERY_CHARACTERS} characters")
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=MAX_PARAMETERS)
    except ValueError as exc:
        raise MalformedError("the callback has a query that cannot be read", clause="RFC 6749 B") from exc
    # RFC 6749 3.1: parameters MUST NOT be included more than once.
    # oauth-6749.3.1-once-callback
    if len({name for name, _ in pairs}) != len(pairs):
        raise MalformedError("a parameter of the callback is there twice", clause="RFC 6749 3.1")
    return dict(pairs)


def validate_authorization_response(
    callback: Mapping[str, str], *, state: str, issuer: str, iss_promised: bool, who: str = "the authorization server"
) -> str:
    """Return the authorization code of a callback.

    Args:
        callback: its parameters, as :func:`parse_callback` returns them.
        state: what the request carried.
        issuer: the authorization server it went to.
        iss_promised: whether that server's metadata say that it always sends ``iss``.
        who: the server's name in errors.

    Steps:
        1. ``state`` is the one of the request (RFC 6749 10.12).
        2. ``iss`` is the server the request went to; it is there if the metadata promise it (RFC 9207 2.4).
        3. It is no error (RFC 6749 4.1.2.1), and there is a code.

    Raises:
        UntrustedError: step 1 or 2 failed: the answer to another request, or of another server.
        PeerRefusal: the server answered with an error, for example ``access_denied``.
        MalformedError: neither code nor error.
    """
    # 1.
    # oauth-6749.10.12-state
    if not hmac.compare_digest(callback.get("state", "").encode("utf-8", "surrogatepass"), state.encode()):
        raise UntrustedError("the answer is not to this request: state differs", step=1, clause="RFC 6749 10.12")
    # 2. Before anything else of the answer is believed, errors too: a mix-up would send the code to the wrong server.
    iss = callback.get("iss")
    # oauth-9207.2.4-missing
    if iss is None and iss_promised:
        raise UntrustedError("the answer does not say which server it is from", step=2, clause="RFC 9207 2.4")
    # oauth-9207.2.4-differs
    if iss is not None and iss != issuer:
        raise UntrustedError("the answer is from another server than was asked", step=2, clause="RFC 9207 2.4")
    # 3.
    # oauth-6749.4.1.2.1-error
    if callback.get("error"):
        raise PeerRefusal(
            who,
            status=303,
            error=callback["error"][:300],
            error_description=callback.get("error_description", "")[:300],
        )
    code = callback.get("code", "")
    # oauth-6749.4.1.2-code
    if not 0 < len(code) <= MAX_CODE_CHARACTERS:
        raise MalformedError("the answer holds no authorization code", clause="RFC 6749 4.1.2")
    return code
