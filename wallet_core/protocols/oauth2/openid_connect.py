"""A Relying Party of OpenID Connect: who does an outside provider say that this person is?

OpenID Connect Core 1.0 (authorization code flow), Discovery 1.0, RFC 7636, RFC 9207, RFC 8725. The provider is one that
the operator named; its keys sign with algorithms of its kind (RSA too), which is why its tokens are verified by PyJWT.

The invariant: only :func:`verify_id_token` makes :class:`IdentityClaims`, and the token never chooses key or algorithm.
"""

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import quote_plus, urlencode

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from jwt.algorithms import RSAAlgorithm

from wallet_core import spec_versions as spec
from wallet_core.encoding import base64url, strict_json
from wallet_core.errors import (
    AccessDenied,
    Expired,
    InvalidSignature,
    MalformedError,
    NotYetValid,
    PeerRefusal,
    VerificationError,
)
from wallet_core.http import Flow, HttpRequest, get, post_form
from wallet_core.jose import jws
from wallet_core.keys.signer import Signer
from wallet_core.protocols.oauth2.answers import parse_answer
from wallet_core.protocols.oauth2.identifiers import appended_location, parse_identifier, parse_url
from wallet_core.protocols.oauth2.pkce import METHOD, code_challenge, create_code_verifier
from wallet_core.types import Json, JsonObject, RandomBytes

ALGORITHMS: Final = ("RS256", "PS256", "ES256", "ES384", "ES512", "EdDSA")
"""The closed list of what an ID Token may be signed with: no MAC, no ``none``."""

LEEWAY: Final = timedelta(seconds=60)
"""How far the clocks of the provider and ours may differ."""

MAX_AGE: Final = timedelta(minutes=10)
"""How old an ID Token may be: it was made for the code that was redeemed a second ago."""

MAX_KEYS: Final = 64
"""Keys of a provider: two or three at a time, more while they are rotated."""

LEAST_RSA_BITS: Final = 2048
"""RFC 7518 3.3: "A key of size 2048 bits or larger MUST be used"."""

MAX_ID_TOKEN_CHARACTERS: Final = 16 * 1024
"""Characters of an ID Token: those of real providers have one or two thousand."""

MAX_TEXT_CHARACTERS: Final = 512
"""Characters of a name, a subject or a code that comes from outside."""

_SECRET_BYTES: Final = 24
_SCOPE: Final = "openid profile"
_ASSERTION_LIFE: Final = timedelta(seconds=60)
_ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_CURVES: Final[Mapping[str, str]] = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}
_MAX_DOCUMENT_BYTES: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class OpenIdProvider:
    """What the metadata of a provider say (Discovery 3). ``iss_in_answers``: its answers carry ``iss`` (RFC 9207)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None
    auth_methods: tuple[str, ...]
    iss_in_answers: bool
    takes_claims: bool


@dataclass(frozen=True, slots=True)
class OpenIdClient:
    """Us at the provider, proved by ``secret`` or by ``signer`` (``private_key_jwt``); ``key_id`` is its ``kid``."""

    client_id: str
    redirect_uri: str
    secret: str | None = None
    signer: Signer | None = None
    key_id: str | None = None


@dataclass(frozen=True, slots=True)
class AuthenticationRequest:
    """What must be remembered of a login that began, and where the browser goes."""

    state: str
    nonce: str
    code_verifier: str
    url: str


@dataclass(frozen=True, slots=True)
class IdentityClaims:
    """What the provider says of the person. ``name`` and ``birthdate`` are None where it does not say."""

    subject: str
    name: str | None
    birthdate: str | None

    @property
    def complete(self) -> bool:
        """Whether both are there."""
        return self.name is not None and self.birthdate is not None


def resolve_provider(issuer: str) -> Flow[OpenIdProvider]:
    """Return the provider's metadata (Discovery 4).

    Raises:
        WalletError: it cannot be reached, or its metadata break a rule.
    """
    document = parse_answer(
        (yield get(appended_location(issuer, spec.WELL_KNOWN_OPENID_CONFIGURATION), accept=spec.JSON)),
        who="the OpenID provider",
    )
    return parse_provider_metadata(document, issuer=issuer)


def parse_provider_metadata(document: Mapping[str, Json], *, issuer: str) -> OpenIdProvider:
    """Return what the metadata of ``issuer`` say. Unknown members are ignored.

    Raises:
        MalformedError: a member is missing or of the wrong type, the document speaks of another issuer, or the provider
            cannot do what we need.
    """
    # Discovery 4.3: "The issuer value returned MUST be identical to the Issuer URL that was used as the prefix".
    # oidc-4.3-issuer
    if parse_identifier(document.get("issuer"), what="issuer of the OpenID provider") != issuer:
        raise MalformedError("the metadata name another OpenID provider", clause="OpenID Connect Discovery 4.3")
    methods = _texts(document, "code_challenge_methods_supported")
    # RFC 8414 2: absent means no PKCE, but Discovery does not know the member: only what is said counts.
    # oidc-7636.4.2-method
    if methods is not None and METHOD not in methods:
        raise MalformedError("the OpenID provider does not support PKCE with S256", clause="RFC 7636 4.2")
    userinfo = document.get("userinfo_endpoint")
    return OpenIdProvider(
        issuer,
        parse_url(document.get("authorization_endpoint"), what="authorization_endpoint"),
        parse_url(document.get("token_endpoint"), what="token_endpoint"),
        parse_url(document.get("jwks_uri"), what="jwks_uri"),
        None if userinfo is None else parse_url(userinfo, what="userinfo_endpoint"),
        # Discovery 3: "If omitted, the default is client_secret_basic".
        _texts(document, "token_endpoint_auth_methods_supported") or ("client_secret_basic",),
        document.get("authorization_response_iss_parameter_supported") is True,
        document.get("claims_parameter_supported") is True,
    )


def create_authentication_request(
    provider: OpenIdProvider, client: OpenIdClient, *, random: RandomBytes
) -> AuthenticationRequest:
    """Return the Authentication Request (Core 3.1.2.1) with PKCE, ``state`` and ``nonce``, all fresh."""
    state, nonce = (base64url.encode(random(_SECRET_BYTES)) for _ in range(2))
    verifier = create_code_verifier(random)
    parameters = {
        "response_type": "code",
        "scope": _SCOPE,
        "client_id": client.client_id,
        "redirect_uri": client.redirect_uri,
        "state": state,
        "nonce": nonce,
        "code_challenge": code_challenge(verifier),
        "code_challenge_method": METHOD,
    }
    # Core 5.5: the least, by name, where the provider understands it.
    if provider.takes_claims:
        wanted: JsonObject = {"name": {"essential": True}, "birthdate": {"essential": True}}
        parameters["claims"] = strict_json.dumps_text({"id_token": wanted})
    endpoint = provider.authorization_endpoint
    url = f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(parameters)}"
    return AuthenticationRequest(state, nonce, verifier, url)


def parse_authentication_response(parameters: Mapping[str, str], *, state: str, provider: OpenIdProvider) -> str:
    """Return the code of an Authentication Response (Core 3.1.2.5, RFC 9207 2.4).

    Steps:
        1. ``state`` is the one of this login (RFC 6749 10.12).
        2. ``iss``, if there or promised, is the provider (RFC 9207 2.4).
        3. It is no error response, and has a code.

    Raises:
        VerificationError: step 1 or 2 failed.
        AccessDenied: the provider said no, or the person did.
        MalformedError: there is no code.
    """
    # 1.
    # oidc-10.12-state
    if not _same(parameters.get("state", ""), state):
        raise VerificationError("the answer is for another login", step=1, clause="RFC 6749 10.12")
    # 2.
    issuer = parameters.get("iss")
    # oidc-9207.2.4-iss
    if (issuer is None and provider.iss_in_answers) or issuer not in {None, provider.issuer}:
        raise VerificationError("the answer comes from another provider", step=2, clause="RFC 9207 2.4")
    # 3.
    if "error" in parameters:
        raise AccessDenied("the OpenID provider did not log the person in", detail=parameters["error"][:100])
    code = parameters.get("code", "")
    # oidc-3.1.2.5-code
    if not 0 < len(code) <= MAX_TEXT_CHARACTERS * 4:
        raise MalformedError("the answer of the OpenID provider has no code", clause="OpenID Connect Core 3.1.2.5")
    return code


def redeem_code(
    provider: OpenIdProvider,
    client: OpenIdClient,
    code: str,
    *,
    code_verifier: str,
    nonce: str,
    now: datetime,
    random: RandomBytes,
) -> Flow[IdentityClaims]:
    """Redeem the code, fetch the provider's keys, and return what its ID Token says (Core 3.1.3).

    Where the ID Token lacks a claim, the UserInfo Endpoint is asked, whose answer must be of the same subject (5.3.2).

    Raises:
        WalletError: a request failed, or a rule is broken.
    """
    answer = parse_answer(
        (yield _token_request(provider, client, code, code_verifier, now=now, random=random)),
        who="the OpenID provider",
    )
    token, access_token = answer.get("id_token"), answer.get("access_token")
    # oidc-3.1.3.3-id-token
    if not isinstance(token, str):
        raise MalformedError("the OpenID provider gave no ID Token", clause="OpenID Connect Core 3.1.3.3")
    keys = parse_provider_keys(
        parse_answer(
            (yield get(provider.jwks_uri, accept=spec.JSON, response_limit=_MAX_DOCUMENT_BYTES)),
            who="the OpenID provider",
        )
    )
    claims = verify_id_token(token, keys, issuer=provider.issuer, client_id=client.client_id, nonce=nonce, now=now)
    if claims.complete or provider.userinfo_endpoint is None or not isinstance(access_token, str):
        return claims
    return (yield from _ask_userinfo(provider.userinfo_endpoint, access_token, claims))


def parse_provider_keys(document: Mapping[str, Json]) -> tuple[JsonObject, ...]:
    """Return the signature keys of a JWK Set (RFC 7517 5); keys for another use are passed over.

    Raises:
        MalformedError: it is none, or holds too many.
    """
    keys = document.get("keys")
    # oidc-7517.5-keys
    if not isinstance(keys, list) or len(keys) > MAX_KEYS:
        raise MalformedError("the keys of the OpenID provider are no JWK Set", clause="RFC 7517 5")
    return tuple(key for key in keys if isinstance(key, dict) and key.get("use", "sig") == "sig")


def verify_id_token(
    token: str, keys: Sequence[JsonObject], *, issuer: str, client_id: str, nonce: str, now: datetime
) -> IdentityClaims:
    """Return what an ID Token says of the person (Core 3.1.3.7).

    Steps:
        1. A key of the provider is the one that ``kid`` names, or its only one (Core 10.1).
        2. ``alg`` is that of the key and on our list; no critical extension; the signature verifies (RFC 8725 3.1).
        3. ``iss`` is the provider.
        4. ``aud`` is us and nobody else; ``azp``, if there, is us.
        5. ``exp`` has not come, ``iat`` is a moment ago, ``nbf``, if there, has come.
        6. ``nonce`` is the one of this login.
        7. ``sub`` names somebody.

    Raises:
        MalformedError: it is no JWT.
        VerificationError: a step failed; ``step`` is its number.
    """
    parsed = jws.parse(token, what="ID Token", max_characters=MAX_ID_TOKEN_CHARACTERS)
    # 1.
    key = _choose_key(keys, parsed.header.get("kid"))
    # 2.
    _verify_signature(token, parsed, key)
    claims = parsed.claims()
    # 3.
    # oidc-3.1.3.7-iss
    if claims.get("iss") != issuer:
        raise VerificationError("the ID Token is of another provider", step=3, clause="OpenID Connect Core 3.1.3.7")
    # 4. Rejected "if it contains additional audiences not trusted by the Client": we trust none.
    # oidc-3.1.3.7-aud
    if claims.get("aud") not in (client_id, [client_id]):
        raise VerificationError("the ID Token is for another client", step=4, clause="OpenID Connect Core 3.1.3.7")
    # oidc-3.1.3.7-azp
    if claims.get("azp", client_id) != client_id:
        raise VerificationError("the ID Token is for another party", step=4, clause="OpenID Connect Core 3.1.3.7")
    # 5.
    _validate_times(claims, now)
    # 6.
    found = claims.get("nonce")
    # oidc-3.1.3.7-nonce
    if not isinstance(found, str) or not _same(found, nonce):
        raise VerificationError("the ID Token is of another login", step=6, clause="OpenID Connect Core 3.1.3.7")
    # 7.
    subject = _text(claims, "sub")
    # oidc-2-sub
    if subject is None:
        raise VerificationError("the ID Token names nobody", step=7, clause="OpenID Connect Core 2")
    return IdentityClaims(subject, _text(claims, "name"), _text(claims, "birthdate"))


def _same(found: str, expected: str) -> bool:
    # A stranger's text may hold lone surrogates, which are no UTF-8.
    return hmac.compare_digest(found.encode("utf-8", "surrogatepass"), expected.encode())


def _choose_key(keys: Sequence[JsonObject], key_id: Json) -> JsonObject:
    fitting = list(keys) if key_id is None else [key for key in keys if key.get("kid") == key_id]
    # oidc-10.1-kid
    if len(fitting) != 1:
        raise VerificationError(
            "the ID Token is signed by no key of the provider", step=1, clause="OpenID Connect Core 10.1"
        )
    return fitting[0]


def _verify_signature(token: str, parsed: jws.UnverifiedJws, key: JsonObject) -> None:
    algorithm = _algorithm_of(key)
    # oidc-8725.3.1-alg
    if algorithm not in ALGORITHMS or parsed.header.get("alg") != algorithm:
        raise VerificationError(
            "the ID Token is signed with an algorithm of another key", step=2, clause="RFC 8725 3.1"
        )
    # oidc-7515.4.1.11-crit
    if "crit" in parsed.header:
        raise VerificationError("the ID Token asks for an unknown extension", step=2, clause="RFC 7515 4.1.11")
    try:
        material = jwt.PyJWK(_public_members(key), algorithm=algorithm)
        # oidc-7518.3.3-size
        if isinstance(material.Algorithm, RSAAlgorithm) and material.key.key_size < LEAST_RSA_BITS:
            raise VerificationError("the key of the OpenID provider is too short", step=2, clause="RFC 7518 3.3")
        # oidc-3.1.3.7-signature
        jwt.api_jws.decode(token, material, algorithms=[algorithm])
    except (jwt.PyJWTError, UnsupportedAlgorithm, ValueError, TypeError, KeyError, ArithmeticError) as exc:
        raise InvalidSignature(
            "the signature of the ID Token does not verify", step=2, clause="OpenID Connect Core 3.1.3.7"
        ) from exc


def _algorithm_of(key: JsonObject) -> str:
    """Return the one algorithm of a key: what it says, else what its kind is for (Core 2: RS256 is the default)."""
    kind, curve = key.get("kty"), key.get("crv")
    if kind == "RSA":
        said = key.get("alg", "RS256")
        return said if said in {"RS256", "PS256"} else ""
    usual = _CURVES.get(curve, "") if kind == "EC" and isinstance(curve, str) else ""
    if kind == "OKP" and curve == "Ed25519":
        usual = "EdDSA"
    return usual if key.get("alg", usual) == usual else ""


def _public_members(key: JsonObject) -> dict[str, Any]:
    return {name: key[name] for name in ("kty", "crv", "x", "y", "n", "e") if name in key}


def _validate_times(claims: JsonObject, now: datetime) -> None:
    present = now.timestamp()
    expires_at, issued_at = _number(claims, "exp"), _number(claims, "iat")
    # oidc-3.1.3.7-exp
    if present >= expires_at + LEEWAY.total_seconds():
        raise Expired("the ID Token has expired", step=5, clause="OpenID Connect Core 3.1.3.7")
    # oidc-3.1.3.7-iat
    if not present - MAX_AGE.total_seconds() <= issued_at <= present + LEEWAY.total_seconds():
        raise VerificationError("the ID Token was not made just now", step=5, clause="OpenID Connect Core 3.1.3.7")
    # oidc-7519.4.1.5-nbf
    if "nbf" in claims and present < _number(claims, "nbf") - LEEWAY.total_seconds():
        raise NotYetValid("the ID Token is not valid yet", step=5, clause="RFC 7519 4.1.5")


def _number(claims: JsonObject, name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise VerificationError(f"{name} of the ID Token is missing", step=5, clause="OpenID Connect Core 2")
    return value


def _text(claims: Mapping[str, Json], name: str) -> str | None:
    value = claims.get(name)
    return value.strip() if isinstance(value, str) and 0 < len(value.strip()) <= MAX_TEXT_CHARACTERS else None


def _texts(document: Mapping[str, Json], member: str) -> tuple[str, ...] | None:
    value = document.get(member)
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise MalformedError(f"{member} is not an array of strings", clause="OpenID Connect Discovery 3")
    return tuple(str(item) for item in value)


def _token_request(
    provider: OpenIdProvider,
    client: OpenIdClient,
    code: str,
    code_verifier: str,
    *,
    now: datetime,
    random: RandomBytes,
) -> HttpRequest:
    fields = {
        "grant_type": spec.GRANT_AUTHORIZATION_CODE,
        "code": code,
        "redirect_uri": client.redirect_uri,
        "code_verifier": code_verifier,
    }
    if client.signer is not None:
        # Core 9, private_key_jwt.
        assertion = _client_assertion(provider, client, client.signer, now=now, random=random)
        fields |= {
            "client_id": client.client_id,
            "client_assertion_type": _ASSERTION_TYPE,
            "client_assertion": assertion,
        }
        return post_form(provider.token_endpoint, fields)
    secret = client.secret or ""
    if "client_secret_basic" in provider.auth_methods or "client_secret_post" not in provider.auth_methods:
        # RFC 6749 2.3.1: both are form-encoded first.
        pair = f"{quote_plus(client.client_id)}:{quote_plus(secret)}"
        return post_form(provider.token_endpoint, fields, headers={"Authorization": f"Basic {_base64(pair)}"})
    return post_form(provider.token_endpoint, {**fields, "client_id": client.client_id, "client_secret": secret})


def _client_assertion(
    provider: OpenIdProvider, client: OpenIdClient, signer: Signer, *, now: datetime, random: RandomBytes
) -> str:
    issued_at = int(now.timestamp())
    claims: JsonObject = {
        "iss": client.client_id,
        "sub": client.client_id,
        # RFC 9700 2.4 and the draft that follows: the issuer, as the only value; endpoints can be mixed up.
        "aud": provider.issuer,
        "jti": base64url.encode(random(_SECRET_BYTES)),
        "iat": issued_at,
        "exp": issued_at + int(_ASSERTION_LIFE.total_seconds()),
    }
    header: JsonObject = {} if client.key_id is None else {"kid": client.key_id}
    return jws.sign(header, claims, signer)


def _base64(text: str) -> str:
    # RFC 7617 2: the other base64, with padding.
    encoded = base64url.encode(text.encode()).replace("-", "+").replace("_", "/")
    return encoded + "=" * (-len(encoded) % 4)


def _ask_userinfo(endpoint: str, access_token: str, claims: IdentityClaims) -> Flow[IdentityClaims]:
    headers = {"Accept": spec.JSON, "Authorization": f"Bearer {access_token}"}
    if not access_token.isascii() or any(character <= " " for character in access_token):
        raise MalformedError("the access token of the OpenID provider is no token", clause="RFC 6750 2.1")
    try:
        answer = parse_answer(
            (yield HttpRequest("GET", endpoint, headers, response_limit=_MAX_DOCUMENT_BYTES)),
            who="the OpenID provider",
        )
    except PeerRefusal:
        return claims
    # Core 5.3.2: sub "MUST be verified to exactly match the sub Claim in the ID Token".
    # oidc-5.3.2-sub
    if answer.get("sub") != claims.subject:
        raise VerificationError("the provider tells of another person", step=7, clause="OpenID Connect Core 5.3.2")
    return replace(
        claims,
        name=claims.name or _text(answer, "name"),
        birthdate=claims.birthdate or _text(answer, "birthdate"),
    )
