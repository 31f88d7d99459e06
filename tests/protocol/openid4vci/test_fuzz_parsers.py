"""Only WalletError leaves a parser, whatever comes in."""

import contextlib
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.simulators.issuer import ISSUER, metadata, offer, server_metadata
from tests.support.proofs import verify_proof
from wallet_core.encoding import base64url
from wallet_core.errors import WalletError
from wallet_core.http import HttpResponse
from wallet_core.jose import jws
from wallet_core.keys.jwk import public_jwk
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.protocols.oauth2.form import parse_form
from wallet_core.protocols.oauth2.metadata import parse_authorization_server_metadata
from wallet_core.protocols.oauth2.token import (
    parse_access_token,
    parse_token_members,
    parse_token_request,
    parse_token_response,
)
from wallet_core.protocols.openid4vci.messages import (
    parse_credential_request,
    parse_credential_response,
    parse_nonce_response,
    parse_notification_request,
)
from wallet_core.protocols.openid4vci.metadata import parse_credential_issuer_metadata
from wallet_core.protocols.openid4vci.nonce import verify_c_nonce
from wallet_core.protocols.openid4vci.offer import parse_credential_offer, parse_offer_link
from wallet_core.protocols.openid4vci.pending import IssuedCredentials, ProofsToSign, ResolvedOffer

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.just("https://a.example"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMES = [
    "credential_issuer", "credential_configuration_ids", "grants", "tx_code", "pre-authorized_code", "format", "vct",
    "credential_configurations_supported", "batch_credential_issuance", "proofs", "jwt", "credential_identifier",
    "access_token", "token_type", "expires_in", "authorization_details", "credentials", "notification_id", "event",
    "resolved", "offer", "issuer", "server", "pending", "token", "batches", "display", "encryption_required",
]  # fmt: skip
objects = st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=4), values, max_size=6)


@st.composite
def mutated(draw, document):
    """An honest document in which one member anywhere is replaced or removed."""
    copy = json.loads(json.dumps(document))
    target = copy
    while True:
        keys = list(target) if isinstance(target, dict) else list(range(len(target)))
        key = draw(st.sampled_from(keys))
        if isinstance(target[key], dict | list) and target[key] and draw(st.booleans()):
            target = target[key]
            continue
        if draw(st.booleans()):
            target[key] = draw(values)
        else:
            del target[key]
        return copy


def attempt(call, *arguments, **named):
    with contextlib.suppress(WalletError):
        call(*arguments, **named)


@given(values | objects | mutated(offer()))
def test_offers(value):
    attempt(parse_credential_offer, value)


@given(
    st.text() | st.text().map(lambda t: f"x://?credential_offer={t}") | st.binary().map(lambda b: b.decode("latin-1"))
)
def test_links(text):
    attempt(parse_offer_link, text)


@given(objects | mutated(metadata()))
def test_issuer_metadata(document):
    attempt(parse_credential_issuer_metadata, document, credential_issuer=ISSUER)


@given(objects | mutated(server_metadata()))
def test_server_metadata(document):
    attempt(parse_authorization_server_metadata, document, issuer=ISSUER)


@given(objects)
def test_token_members(document):
    attempt(parse_token_members, document)


@given(objects)
@pytest.mark.parametrize("kind", [ResolvedOffer, ProofsToSign, IssuedCredentials])
def test_stored_values(kind, document):
    attempt(kind.from_json, document)


@given(st.binary() | objects.map(lambda o: json.dumps(o).encode()))
@pytest.mark.parametrize("parse", [parse_credential_request, parse_notification_request])
def test_request_bodies(parse, body):
    attempt(parse, "application/json", body)


@given(
    st.binary()
    | st.dictionaries(st.text(), st.text()).map(lambda d: "&".join(f"{k}={v}" for k, v in d.items()).encode())
)
def test_forms(body):
    def read(data):
        parse_token_request(parse_form("application/x-www-form-urlencoded", data), issuer="https://issuer.example")

    attempt(read, body)


@given(st.lists(st.text(), max_size=2))
def test_authorization_headers(values):
    attempt(parse_access_token, values)


@given(st.integers(100, 599), st.binary() | objects.map(lambda o: json.dumps(o).encode()), st.text())
@pytest.mark.parametrize("parse", [parse_token_response, parse_nonce_response, parse_credential_response])
def test_responses(parse, status, body, content_type):
    for given_type in (content_type, "application/json"):
        attempt(parse, HttpResponse(status, {"content-type": given_type}, body))


@given(st.text())
def test_nonces(text):
    attempt(verify_c_nonce, text, b"k", ISSUER, now=NOW)


@given(st.text() | st.lists(st.binary(), min_size=3, max_size=3).map(lambda p: ".".join(x.hex() for x in p)))
def test_proofs(text):
    attempt(verify_proof, text, audience=ISSUER, now=NOW)


KEY = SoftwareSigner.generate()
HEADER = {"typ": "openid4vci-proof+jwt", "alg": "ES256", "jwk": public_jwk(KEY.public_key)}
CLAIMS = {"aud": ISSUER, "iat": int(NOW.timestamp()), "nonce": "n"}


@given(st.just(HEADER) | mutated(HEADER), mutated(CLAIMS))
def test_signed_proofs(header, claims):
    # Written by the standard library: a stranger sends what our own writer refuses.
    parts = (base64url.encode(json.dumps(part).encode()) for part in (header, claims))
    data = ".".join(parts).encode()
    proof = jws.attach_signature(data, KEY.sign(data))
    attempt(verify_proof, proof, audience=ISSUER, now=NOW)
