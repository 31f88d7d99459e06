"""A Credential Issuer of somebody else, over real HTTP, written with PyJWT and jwcrypto and none of our code.

It differs from ours wherever OpenID4VCI 1.0 lets it: an authorization server of its own on the same host, what is asked
for named by ``authorization_details``, identifiers in the token response, media types with parameters, errors without
descriptions, nonces that change with every answer, unknown members everywhere. What a wallet sends is checked as the
specifications say; the first thing wrong with it stands in ``complaints``.
"""

import base64
import hashlib
import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwcrypto import jwe, jwk

PRE_AUTHORIZED = "urn:ietf:params:oauth:grant-type:pre-authorized_code"
CONFIGURATION = "MembershipOfTheLibrary_v2"
JSON = "application/json; charset=utf-8"
JWT = "application/jwt"
FORM = "application/x-www-form-urlencoded"

Form = dict[str, str]


@dataclass
class Answer:
    """What is sent back."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    media_type: str = JSON


class Refusal(Exception):
    """An OAuth error."""

    def __init__(self, error: str, status: int = 400, **headers: str) -> None:
        super().__init__(error)
        self.answer = Answer({"error": error}, status, {name.replace("_", "-"): text for name, text in headers.items()})


@dataclass
class Asked:
    """One request of a wallet."""

    method: str
    path: str
    query: Form
    headers: dict[str, str]
    body: bytes

    @property
    def form(self) -> Form:
        """The parameters of a form; each is there once."""
        assert self.headers["content-type"] == FORM
        pairs = parse_qsl(self.body.decode(), keep_blank_values=True, strict_parsing=True)
        assert len(dict(pairs)) == len(pairs)
        return dict(pairs)


@dataclass
class Stranger:
    """The issuer; each attribute is one thing the specification lets it choose.

    Attributes:
        key, chain: what it signs with, and the certificates of that key.
        vct: what it issues.
        now: its clock.
        pushed: whether there is a PAR endpoint; it is demanded then.
        dpop: whether tokens are bound, with nonces.
        batch: most proofs in a request; 1 publishes none.
        deferrals: how often it answers "later".
        encryption: empty for none, ``offered`` or ``demanded``.
        compressed: whether it takes and sends ``zip``.
        tx_code: the transaction code; empty for none.
        stale_nonces: how many nonces are too old as soon as they are given out.
    """

    key: ec.EllipticCurvePrivateKey
    vct: str
    now: Callable[[], datetime]
    chain: tuple[bytes, ...] = ()
    pushed: bool = True
    dpop: bool = True
    batch: int = 4
    deferrals: int = 0
    encryption: str = ""
    compressed: bool = False
    tx_code: str = "7341"
    stale_nonces: int = 0
    host: str = ""
    complaints: list[str] = field(default_factory=list)
    seen: list[Asked] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    in_clear: int = 0
    encryption_key: jwk.JWK = field(default_factory=lambda: jwk.JWK.generate(kty="EC", crv="P-256", kid="2026-11"))
    _requests: dict[str, Form] = field(default_factory=dict)
    _codes: dict[str, Form] = field(default_factory=dict)
    _tokens: dict[str, str] = field(default_factory=dict)
    _refresh: set[str] = field(default_factory=set)
    _nonces: set[str] = field(default_factory=set)
    _stale: set[str] = field(default_factory=set)
    _jtis: set[str] = field(default_factory=set)
    _dpop_nonce: str = "first"
    _held: dict[str, list[Any]] = field(default_factory=dict)
    _notify: set[str] = field(default_factory=set)
    _offer_code: str = ""

    # Where things are.

    @property
    def issuer(self) -> str:
        """The Credential Issuer Identifier."""
        return f"{self.host}/library"

    @property
    def server(self) -> str:
        """The issuer identifier of the authorization server."""
        return f"{self.host}/login/realms/city"

    def metadata(self) -> dict[str, Any]:
        """Credential Issuer metadata."""
        found: dict[str, Any] = {
            "credential_issuer": self.issuer,
            "authorization_servers": [self.server],
            "credential_endpoint": f"{self.host}/vci/credentials",
            "nonce_endpoint": f"{self.host}/vci/fresh",
            "deferred_credential_endpoint": f"{self.host}/vci/later",
            "notification_endpoint": f"{self.host}/vci/tell",
            "display": [{"name": "시립도서관 (시험용)", "locale": "ko-KR", "logo": {"uri": f"{self.host}/logo.png"}}],
            "credential_configurations_supported": {
                CONFIGURATION: {
                    "format": "dc+sd-jwt",
                    "vct": self.vct,
                    "cryptographic_binding_methods_supported": ["did:key", "jwk"],
                    "credential_signing_alg_values_supported": ["ES256"],
                    "proof_types_supported": {
                        "jwt": {"proof_signing_alg_values_supported": ["ES384", "ES256"]},
                        "di_vp": {"proof_signing_alg_values_supported": ["ecdsa-rdfc-2019"]},
                    },
                    "credential_metadata": {"display": [{"name": "Library card", "locale": "en"}]},
                    "of_a_later_version": [1],
                },
                "OfAnotherKind": {"format": "ldp_vc", "credential_definition": {"type": ["VerifiableCredential"]}},
            },
        }
        if self.batch > 1:
            found["batch_credential_issuance"] = {"batch_size": self.batch}
        if self.encryption:
            ways = {"enc_values_supported": ["A128GCM", "A128CBC-HS256"]}
            if self.compressed:
                ways["zip_values_supported"] = ["DEF"]
            demanded = self.encryption == "demanded"
            public = {**self.encryption_key.export_public(as_dict=True), "use": "enc", "alg": "ECDH-ES"}
            found["credential_request_encryption"] = {
                **ways,
                "jwks": {"keys": [public]},
                "encryption_required": demanded,
            }
            found["credential_response_encryption"] = {
                **ways,
                "alg_values_supported": ["RSA-OAEP-256", "ECDH-ES"],
                "encryption_required": demanded,
            }
        return found

    def server_metadata(self) -> dict[str, Any]:
        """Authorization server metadata."""
        found: dict[str, Any] = {
            "issuer": self.server,
            "authorization_endpoint": f"{self.server}/auth?theme=dark",
            "token_endpoint": f"{self.server}/token",
            "grant_types_supported": ["authorization_code", "refresh_token", "password", PRE_AUTHORIZED],
            "response_types_supported": ["code", "code id_token"],
            "code_challenge_methods_supported": ["plain", "S256"],
            "token_endpoint_auth_methods_supported": ["private_key_jwt", "none"],
            "authorization_details_types_supported": ["payment", "openid_credential"],
        }
        if self.pushed:
            found["pushed_authorization_request_endpoint"] = f"{self.server}/par"
            found["require_pushed_authorization_requests"] = True
        if self.dpop:
            found["dpop_signing_alg_values_supported"] = ["ES384", "ES256"]
        return found

    def offer(self, grant: str) -> str:
        """A link with an offer by reference."""
        self._offer_code = f"{grant} {secrets.token_urlsafe(12)}"
        where = quote(f"{self.host}/o/{quote(grant, safe='')}", safe="")
        return f"openid-credential-offer://?credential_offer_uri={where}"

    # The endpoints.

    def answer(self, asked: Asked) -> Answer:
        """Answer one request."""
        self.seen.append(asked)
        endpoint = self._endpoints().get((asked.method, asked.path))
        if endpoint is None:
            return Answer({"error": "not_found"}, 404)
        try:
            return endpoint(asked)
        except Refusal as refusal:
            return refusal.answer
        except (AssertionError, KeyError, ValueError, jwt.InvalidTokenError) as exc:
            self.complaints.append(f"{asked.path}: {exc!r}")
            return Answer({"error": "invalid_request"}, 400)

    def _endpoints(self) -> dict[tuple[str, str], Callable[[Asked], Answer]]:
        realm = urlsplit(self.server).path
        grants = {
            PRE_AUTHORIZED: {"pre-authorized_code": self._offer_code, **self._tx_code_object()},
            "authorization_code": {"issuer_state": self._offer_code, "authorization_server": self.server},
        }
        offers: dict[tuple[str, str], Callable[[Asked], Answer]] = {
            ("GET", f"/o/{quote(name, safe='')}"): lambda _, name=name, grant=grant: Answer(
                {
                    "credential_issuer": self.issuer,
                    "credential_configuration_ids": [CONFIGURATION],
                    "grants": {name: grant, "of_tomorrow": {}},
                }
            )
            for name, grant in grants.items()
        }
        return offers | {
            ("GET", "/.well-known/openid-credential-issuer/library"): lambda _: Answer(self.metadata()),
            # As many servers do: only where OpenID Connect puts it.
            ("GET", f"{realm}/.well-known/openid-configuration"): lambda _: Answer(self.server_metadata()),
            ("POST", f"{realm}/par"): self._par,
            ("GET", f"{realm}/auth"): self._auth,
            ("POST", f"{realm}/token"): self._token,
            ("POST", "/vci/fresh"): self._fresh,
            ("POST", "/vci/credentials"): self._credential,
            ("POST", "/vci/later"): self._later,
            ("POST", "/vci/tell"): self._tell,
        }

    def _tx_code_object(self) -> dict[str, Any]:
        return {"tx_code": {"input_mode": "numeric", "length": 4}} if self.tx_code else {}

    def _par(self, asked: Asked) -> Answer:
        self._proved(asked)
        form = asked.form
        assert "request_uri" not in form
        self._check_request(form)
        reference = f"urn:ietf:params:oauth:request_uri:{secrets.token_urlsafe(16)}"
        self._requests[reference] = form
        return Answer({"request_uri": reference, "expires_in": 60}, 201)

    def _auth(self, asked: Asked) -> Answer:
        """The login page, where everybody is let in."""
        query = dict(asked.query)
        assert query.pop("theme") == "dark"
        if self.pushed:
            assert set(query) == {"client_id", "request_uri"}
            form = self._requests.pop(query["request_uri"])
            assert form["client_id"] == query["client_id"]
        else:
            form = query
            self._check_request(form)
        code = secrets.token_urlsafe(16)
        self._codes[code] = form
        answer = urlencode({"state": form["state"], "code": code, "session_state": "of OpenID Connect"})
        return Answer(None, 302, {"Location": f"{form['redirect_uri']}?{answer}"})

    def _check_request(self, form: Form) -> None:
        assert form["response_type"] == "code"
        assert form["code_challenge_method"] == "S256"
        assert len(form["code_challenge"]) == 43
        (detail,) = json.loads(form["authorization_details"])
        assert detail == {
            "type": "openid_credential",
            "credential_configuration_id": CONFIGURATION,
            "locations": [self.issuer],
        }
        if "issuer_state" in form:
            assert form["issuer_state"] == self._offer_code

    def _token(self, asked: Asked) -> Answer:
        bound = self._proved(asked)
        form = asked.form
        grant = form["grant_type"]
        if grant == PRE_AUTHORIZED:
            if form["pre-authorized_code"] != self._offer_code or form.get("tx_code", "") != self.tx_code:
                raise Refusal("invalid_grant")
            self._offer_code = "spent"
        elif grant == "authorization_code":
            first = self._codes.pop(form["code"])
            assert first["redirect_uri"] == form["redirect_uri"]
            assert first["client_id"] == form["client_id"]
            assert first["code_challenge"] == encoded(hashlib.sha256(form["code_verifier"].encode()).digest())
        else:
            assert grant == "refresh_token"
            if form["refresh_token"] not in self._refresh:
                raise Refusal("invalid_grant")
            self._refresh.remove(form["refresh_token"])
        token = secrets.token_urlsafe(24)
        self._tokens[token] = bound
        identified = {
            "type": "openid_credential",
            "credential_configuration_id": CONFIGURATION,
            "credential_identifiers": ["Card#1", "Card#2"],
        }
        body = {
            "access_token": token,
            "token_type": "dpop" if self.dpop else "bearer",
            "expires_in": "600",
            "authorization_details": [identified],
            "scope": "",
        }
        if self.dpop:
            again = secrets.token_urlsafe(24)
            self._refresh.add(again)
            body["refresh_token"] = again
        return Answer(body, headers={"Cache-Control": "no-store"} | self._next_dpop_nonce())

    def _fresh(self, asked: Asked) -> Answer:
        assert asked.body == b""
        nonce = secrets.token_urlsafe(16)
        self._nonces.add(nonce)
        if self.stale_nonces:
            self.stale_nonces -= 1
            self._stale.add(nonce)
        return Answer({"c_nonce": nonce, "c_nonce_expires_in": 60}, headers={"Cache-Control": "no-store"})

    def _credential(self, asked: Asked) -> Answer:
        self._at_resource(asked)
        request = self._opened(asked)
        # OpenID4VCI 8.2: identifiers were given, so they are used, and the configuration is not named beside them.
        assert request["credential_identifier"] == "Card#1"
        assert "credential_configuration_id" not in request
        (kind, proofs), *more = request["proofs"].items()
        assert (kind, more) == ("jwt", [])
        assert 1 <= len(proofs) <= self.batch
        keys = [self._proven(proof) for proof in proofs]
        assert len({json.dumps(key, sort_keys=True) for key in keys}) == len(keys)
        if self.deferrals:
            self.deferrals -= 1
            transaction = secrets.token_urlsafe(16)
            self._held[transaction] = keys
            return self._sealed(request, {"transaction_id": transaction, "interval": 5}, 202)
        return self._sealed(request, self._issued(keys))

    def _later(self, asked: Asked) -> Answer:
        self._at_resource(asked)
        request = self._opened(asked)
        transaction = request["transaction_id"]
        if transaction not in self._held:
            raise Refusal("invalid_transaction_id")
        if self.deferrals:
            self.deferrals -= 1
            return self._sealed(request, {"transaction_id": transaction, "interval": 5}, 202)
        return self._sealed(request, self._issued(self._held.pop(transaction)))

    def _tell(self, asked: Asked) -> Answer:
        self._at_resource(asked)
        told = json.loads(asked.body)
        if told["notification_id"] not in self._notify:
            raise Refusal("invalid_notification_id")
        self.events.append(told["event"])
        # 11.2: any 2xx is success.
        return Answer({"thank": "you"}, 202)

    # What a wallet proves.

    def _proved(self, asked: Asked) -> str:
        """The thumbprint of the DPoP key at the authorization server; empty without DPoP."""
        if not self.dpop:
            assert "dpop" not in asked.headers
            return ""
        return self._dpop(asked, None, status=400)

    def _dpop(self, asked: Asked, token: str | None, *, status: int) -> str:
        proof = asked.headers["dpop"]
        header = jwt.get_unverified_header(proof)
        assert header["typ"] == "dpop+jwt"
        key = public_only(header["jwk"])
        claims = verified(proof, key)
        assert claims["htm"] == asked.method
        assert claims["htu"] == f"{self.host}{asked.path}"
        assert abs(claims["iat"] - self.now().timestamp()) < 60
        assert claims["jti"] not in self._jtis
        self._jtis.add(claims["jti"])
        assert claims.get("ath") == (None if token is None else encoded(hashlib.sha256(token.encode()).digest()))
        if claims.get("nonce") != self._dpop_nonce:
            asking = {"WWW-Authenticate": 'DPoP algs="ES256", error="use_dpop_nonce"'} if status == 401 else {}
            refusal = Refusal("use_dpop_nonce", status)
            refusal.answer.headers |= asking | self._next_dpop_nonce()
            raise refusal
        return key.thumbprint()

    def _next_dpop_nonce(self) -> dict[str, str]:
        self._dpop_nonce = secrets.token_urlsafe(12)
        return {"DPoP-Nonce": self._dpop_nonce}

    def _at_resource(self, asked: Asked) -> None:
        scheme, _, token = asked.headers["authorization"].partition(" ")
        assert scheme.lower() == ("dpop" if self.dpop else "bearer")
        assert token in self._tokens
        if self.dpop:
            assert self._dpop(asked, token, status=401) == self._tokens[token]

    def _proven(self, proof: str) -> dict[str, Any]:
        header = jwt.get_unverified_header(proof)
        assert header["typ"] == "openid4vci-proof+jwt"
        assert not {"kid", "x5c"} & set(header)
        key = public_only(header["jwk"])
        claims = verified(proof, key)
        assert claims["aud"] == self.issuer
        assert abs(claims["iat"] - self.now().timestamp()) < 60
        if claims["nonce"] in self._stale or claims["nonce"] not in self._nonces:
            raise Refusal("invalid_nonce")
        found: dict[str, Any] = key.export_public(as_dict=True)
        return found

    # Encryption, both ways.

    def _opened(self, asked: Asked) -> dict[str, Any]:
        media_type = asked.headers["content-type"]
        if media_type == "application/json":
            assert self.encryption != "demanded"
            self.in_clear += 1
            body: dict[str, Any] = json.loads(asked.body)
            # 8.2: whoever wants the answer encrypted encrypts the question.
            assert "credential_response_encryption" not in body
            return body
        assert media_type == JWT
        assert self.encryption
        token = jwe.JWE()
        token.deserialize(asked.body.decode())
        header = json.loads(token.objects["protected"])
        assert (header["alg"], header["enc"], header["kid"]) == ("ECDH-ES", "A128GCM", self.encryption_key["kid"])
        assert self.compressed or "zip" not in header
        token.decrypt(self.encryption_key)
        opened: dict[str, Any] = json.loads(token.payload)
        return opened

    def _sealed(self, request: dict[str, Any], body: dict[str, Any], status: int = 200) -> Answer:
        how = request.get("credential_response_encryption")
        if how is None:
            return Answer(body, status, self._next_dpop_nonce())
        key = how["jwk"]
        header = {"alg": key["alg"], "enc": how["enc"], "kid": key["kid"]}
        if "zip" in how:
            header["zip"] = how["zip"]
        token = jwe.JWE(json.dumps(body).encode(), json.dumps(header))
        token.add_recipient(jwk.JWK(**key))
        return Answer(token.serialize(compact=True), status, self._next_dpop_nonce(), JWT)

    # What it issues.

    def _issued(self, keys: list[Any]) -> dict[str, Any]:
        told = secrets.token_urlsafe(8)
        self._notify.add(told)
        credentials = [{"credential": self.sign(key), "of_a_later_version": 1} for key in keys]
        return {"credentials": credentials, "notification_id": told, "of_a_later_version": {}}

    def sign(self, holder: dict[str, Any]) -> str:
        """One SD-JWT VC for a key, by hand (RFC 9901 4)."""
        disclosures = [
            encoded(json.dumps([secrets.token_urlsafe(16), name, value], ensure_ascii=False).encode())
            for name, value in {"name": "홍시험", "licence_no": "LIB-0001"}.items()
        ]
        digests = sorted(encoded(hashlib.sha256(each.encode()).digest()) for each in disclosures)
        now = self.now()
        claims = {
            "iss": self.issuer,
            "vct": self.vct,
            "iat": int((now - timedelta(hours=1)).timestamp()),
            "exp": int((now + timedelta(days=30)).timestamp()),
            "cnf": {"jwk": holder},
            "_sd_alg": "sha-256",
            "_sd": digests,
        }
        header = {"typ": "dc+sd-jwt", "x5c": [base64.b64encode(each).decode() for each in self.chain]}
        return "~".join([jwt.encode(claims, self.key, algorithm="ES256", headers=header), *disclosures, ""])

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Serve until the block ends."""
        httpd = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.host = f"http://localhost:{httpd.server_port}"
        thread = Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield
        finally:
            httpd.shutdown()
            httpd.server_close()
            thread.join()


def encoded(data: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def public_only(members: dict[str, Any]) -> jwk.JWK:
    """A public key, and nothing private beside it."""
    assert not {"d", "k"} & set(members)
    return jwk.JWK(**members)


def verified(token: str, key: jwk.JWK) -> dict[str, Any]:
    """The claims of a JWT signed with ES256; its times are looked at elsewhere, by the test's clock."""
    unchecked = {"verify_aud": False, "verify_iat": False, "verify_exp": False}
    pem = key.export_to_pem()
    claims: dict[str, Any] = jwt.decode(token, pem, algorithms=["ES256"], options=unchecked)
    return claims


def _handler(stranger: Stranger) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            """Say nothing."""

        def _do(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(self.command, parts.path, dict(parse_qsl(parts.query)), headers, body)
            answer = stranger.answer(asked)
            sent = answer.body if isinstance(answer.body, str) else json.dumps(answer.body, ensure_ascii=False)
            data = b"" if answer.body is None else sent.encode()
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Type", answer.media_type)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = _do  # noqa: N815 - the standard library's names

    return Handler
