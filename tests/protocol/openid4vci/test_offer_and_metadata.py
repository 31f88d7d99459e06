import json
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.simulators.issuer import GRANT, ISSUER, metadata, offer
from wallet_core.encoding import strict_json
from wallet_core.errors import MalformedError
from wallet_core.keys.jwk import thumbprint
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.protocols.openid4vci.metadata import (
    create_credential_issuer_metadata,
    create_jwt_vc_issuer_metadata,
    metadata_locations,
    parse_credential_issuer_metadata,
)
from wallet_core.protocols.openid4vci.offer import (
    CredentialOffer,
    OfferReference,
    TxCodeInput,
    create_credential_offer,
    create_offer_link,
    create_reference_link,
    parse_credential_offer,
    parse_offer_link,
)
from wallet_core.protocols.openid4vci.proof_way import ProofWay, choose_proof_way

OURS = create_credential_offer(
    ISSUER,
    ["licence"],
    pre_authorized_code="c" * 43,
    tx_code=TxCodeInput(length=6, description="문자로 보낸 100% 숫자 & 6자리"),
)


@pytest.mark.parametrize("endpoint", ["openid-credential-offer://", "haip-vci://", "https://w.example/o?a=1"])
def test_an_offer_by_value_survives_its_link(endpoint):
    link = create_offer_link(OURS, endpoint=endpoint)
    assert link.isascii()
    assert parse_offer_link(link) == OURS
    assert strict_json.loads(parse_qs(urlsplit(link).query)["credential_offer"][0]) == OURS.to_json()


@pytest.mark.parametrize("endpoint", ["openid-credential-offer://", "openid-credential-offer:", "https://w.example/o"])
def test_an_offer_by_reference_survives_its_link(endpoint):
    url = f"{ISSUER}/offers/1"
    assert parse_offer_link(create_reference_link(url, endpoint=endpoint)) == OfferReference(url)


@pytest.mark.clause("vci-4.1.1-tx-code-object")
def test_unknown_members_and_grants_are_ignored():
    parsed = parse_credential_offer(offer())
    assert parsed == CredentialOffer(ISSUER, ("licence", "record"), "the-code", TxCodeInput(length=6))


@pytest.mark.clause("vci-4.1.1-tx-code-object")
def test_an_empty_tx_code_object_still_asks_for_a_code():
    value = offer()
    value["grants"][GRANT]["tx_code"] = {}
    assert parse_credential_offer(value).tx_code == TxCodeInput()


def broken(*path, value=None, drop=False):
    document = offer()
    target = document
    for step in path[:-1]:
        target = target[step]
    if drop:
        del target[path[-1]]
    else:
        target[path[-1]] = value
    return document


@pytest.mark.clause(
    "vci-4.1.1-unique",
    "vci-4.1.1-configurations",
    "vci-4.1.1-issuer",
    "vci-4.1.1-code",
    "vci-4.1.1-input-mode",
    "vci-4.1.1-description",
    "vci-4.1.1-issuer-state",
)
@pytest.mark.parametrize(
    "value",
    [
        [],
        None,
        broken("credential_issuer", drop=True),
        broken("credential_issuer", value="http://issuer.example"),
        broken("credential_issuer", value=f"{ISSUER}?a=1"),
        broken("credential_issuer", value=f"{ISSUER}#a"),
        broken("credential_issuer", value="https://user@issuer.example"),
        broken("credential_issuer", value="https://[::1"),
        broken("credential_issuer", value="https://"),
        broken("credential_issuer", value=7),
        broken("credential_configuration_ids", drop=True),
        broken("credential_configuration_ids", value=[]),
        broken("credential_configuration_ids", value=["a", "a"]),
        broken("credential_configuration_ids", value=[1]),
        broken("credential_configuration_ids", value=[str(n) for n in range(100)]),
        broken("grants", value=[]),
        broken("grants", GRANT, value=None),
        broken("grants", GRANT, "pre-authorized_code", drop=True),
        broken("grants", GRANT, "pre-authorized_code", value=""),
        broken("grants", GRANT, "tx_code", value=True),
        broken("grants", GRANT, "tx_code", value={"input_mode": "digits"}),
        broken("grants", GRANT, "tx_code", value={"input_mode": ["numeric"]}),
        broken("grants", GRANT, "tx_code", value={"length": 0}),
        broken("grants", GRANT, "tx_code", value={"length": "6"}),
        broken("grants", GRANT, "tx_code", value={"description": "x" * 301}),
        broken("grants", GRANT, "authorization_server", value="ftp://a"),
        broken("grants", "authorization_code", value=[]),
        broken("grants", "authorization_code", value={"issuer_state": 1}),
        broken("grants", "authorization_code", value={"issuer_state": "s", "authorization_server": "ftp://a"}),
    ],
)
def test_offers_that_are_refused(value):
    with pytest.raises(MalformedError):
        parse_credential_offer(value)


@pytest.mark.clause("vci-4.1-one-of", "vci-4.1.3-https")
@pytest.mark.parametrize(
    "link",
    [
        "",
        "openid-credential-offer://",
        "openid-credential-offer://?",
        "openid-credential-offer://?credential_offer=%7B%7D&credential_offer_uri=https%3A%2F%2Fa.example",
        "openid-credential-offer://?credential_offer=%7B%7D&credential_offer=%7B%7D",
        "openid-credential-offer://?credential_offer=%FF",
        "openid-credential-offer://?credential_offer={",
        "openid-credential-offer://?credential_offer_uri=http%3A%2F%2Fissuer.example%2Foffer",
        "openid-credential-offer://?credential_offer_uri=file%3A%2F%2F%2Fetc%2Fpasswd",
        "openid-credential-offer://?" + "&".join(f"a{n}=1" for n in range(80)),
        "openid-credential-offer://?credential_offer=" + "x" * 40_000,
    ],
)
def test_links_that_are_refused(link):
    with pytest.raises(MalformedError):
        parse_offer_link(link)


def test_an_offer_that_asks_to_log_in():
    made = create_credential_offer(ISSUER, ["a"], issuer_state="s")
    assert made.to_json()["grants"] == {"authorization_code": {"issuer_state": "s"}}
    assert parse_credential_offer(made.to_json()) == made
    bare = parse_credential_offer({**made.to_json(), "grants": {"authorization_code": {}}})
    assert (bare.authorization_code, bare.issuer_state, bare.pre_authorized_code) == (True, None, None)
    assert parse_credential_offer(bare.to_json()) == bare


@pytest.mark.parametrize("ids", [[], ["a", "a"]])
def test_offers_we_must_not_make(ids):
    with pytest.raises(ValueError, match="at least one"):
        create_credential_offer(ISSUER, ids, pre_authorized_code="c", tx_code=None)


@pytest.mark.clause("haip-4.1-nonce-endpoint")
def test_our_metadata_are_metadata():
    configurations = metadata()["credential_configurations_supported"]
    document = create_credential_issuer_metadata(
        ISSUER, configurations=configurations, display=[{"name": "시험용 경찰청", "locale": "ko"}]
    )
    parsed = parse_credential_issuer_metadata(json.loads(json.dumps(document)), credential_issuer=ISSUER)
    assert parsed.nonce_endpoint == f"{ISSUER}/nonce"
    assert parsed.batch_size == 10
    assert choose_proof_way(parsed.configurations["licence"]) == ProofWay("jwt", ("ES256",))
    assert parsed.deferred_endpoint == f"{ISSUER}/deferred"
    assert not [name for name in document if "encryption" in name]


def test_metadata_locations_keep_a_final_slash():
    assert metadata_locations("https://h.example/a/")[0] == "https://h.example/.well-known/openid-credential-issuer/a/"
    assert metadata_locations("https://h.example")[0] == "https://h.example/.well-known/openid-credential-issuer"


def test_the_key_metadata_name_keys_by_thumbprint():
    key = SoftwareSigner.generate().public_key
    document = create_jwt_vc_issuer_metadata(ISSUER, [key])
    assert document["issuer"] == ISSUER
    assert set(document["jwks"]["keys"][0]) == {"kty", "crv", "x", "y", "kid", "use", "alg"}
    assert len(thumbprint(key)) == 32


def changed(**members):
    return {**metadata(), **members}


def changed_configuration(drop: str = "", **members):
    document = metadata()
    entry = document["credential_configurations_supported"]["licence"]
    entry.update(members)
    entry.pop(drop, None)
    return document


@pytest.mark.clause(
    "vci-12.2.2-issuer",
    "vci-12.2.4-credential-endpoint",
    "vci-12.2.4-format",
    "vci-12.2.4-servers",
    "vci-12.2.4-batch-size",
    "vci-12.2.4-encryption-required",
    "vci-12.2.4-binding",
    "vci-A.3.2-vct",
    "vci-A.2.2-doctype",
)
@pytest.mark.parametrize(
    "document",
    [
        {},
        changed(credential_issuer="https://issuer.example/agencies/other"),
        changed(credential_endpoint="not a url"),
        changed(credential_endpoint=None),
        changed(nonce_endpoint=1),
        changed(authorization_servers=[]),
        changed(authorization_servers="https://a.example"),
        changed(batch_credential_issuance={"batch_size": 1}),
        changed(batch_credential_issuance={}),
        changed(batch_credential_issuance=5),
        changed(display={}),
        changed(credential_configurations_supported=[]),
        changed(credential_configurations_supported={"a": 1}),
        changed(credential_request_encryption={"jwks": []}),
        changed(credential_response_encryption={"enc_values_supported": ["A128GCM"], "encryption_required": False}),
        changed_configuration(drop="format"),
        changed_configuration(format=["dc+sd-jwt"]),
        changed_configuration(drop="vct"),
        changed_configuration(format="mso_mdoc", doctype=""),
        changed_configuration(format="mso_mdoc"),
        changed_configuration(drop="proof_types_supported"),
        changed_configuration(drop="cryptographic_binding_methods_supported"),
        changed_configuration(credential_metadata=[]),
        changed_configuration(scope=1),
    ],
)
def test_metadata_that_are_refused(document):
    with pytest.raises(MalformedError):
        parse_credential_issuer_metadata(document, credential_issuer=ISSUER)


def test_a_configuration_that_nobody_asked_for_stops_nothing():
    document = changed()
    others = {
        "older-draft": {"format": "vc+sd-jwt", "vct": "x", "credential_metadata": {"claims": {"given_name": {}}}},
        "half-bound": {"format": "dc+sd-jwt", "vct": "x", "cryptographic_binding_methods_supported": ["jwk"]},
        "nothing": None,
    }
    wanted = tuple(document["credential_configurations_supported"])
    document = {
        **document,
        "credential_configurations_supported": {**others, **document["credential_configurations_supported"]},
    }
    parsed = parse_credential_issuer_metadata(document, credential_issuer=ISSUER, only=wanted)
    assert tuple(parsed.configurations) == wanted
    for name in others:
        with pytest.raises(MalformedError):
            parse_credential_issuer_metadata(document, credential_issuer=ISSUER, only=[name])
