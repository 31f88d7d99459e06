"""The authorization code flow of the wallet against scripted issuers: one test per rule (OpenID4VCI 5, 6, 8, 9)."""

import json
from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qsl, quote, urlsplit

import pytest

from tests.protocol.oauth2.test_client import Counter
from tests.simulators import run_flow
from tests.simulators.authorizing import CODE, AuthorizingIssuer, claims_of, plain_server
from tests.simulators.issuer import GRANT, ISSUER, NOW
from wallet_core.encoding import base64url
from wallet_core.errors import FetchError, MalformedError, PeerRefusal, UntrustedError
from wallet_core.http import HttpResponse
from wallet_core.keys.jwk import thumbprint
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.protocols.oauth2.authorization_response import parse_callback
from wallet_core.protocols.oauth2.client import ClientInstance
from wallet_core.protocols.openid4vci.messages import NotificationEvent
from wallet_core.protocols.openid4vci.wallet import (
    IssuedCredentials,
    ProofsToSign,
    ResolvedOffer,
    attach_key_attestations,
    finish_authorization,
    notify,
    poll_deferred,
    receive_credentials,
    refresh_access,
    request_more_proofs,
    request_proofs,
    resolve_catalogue,
    resolve_choice,
    resolve_offer,
    start_authorization,
)

KEYS = [SoftwareSigner.generate() for _ in range(4)]
CLIENT = ClientInstance(
    "https://wallet.example/client", "https://wallet.example/callback", SoftwareSigner.generate(), "the-attestation"
)
WANTED = {"licence": KEYS[:2]}


def stored(value):
    return type(value).from_json(json.loads(json.dumps(value.to_json())))


def choose(issuer, *names: str) -> ResolvedOffer:
    return stored(run_flow(resolve_choice(ISSUER, names or ("licence",)), issuer))


def start(issuer, offer=None, names=("licence",), client=CLIENT):
    offer = offer or choose(issuer, *names)
    flow = start_authorization(offer, client, configuration_ids=names, now=NOW, random=Counter())
    return stored(run_flow(flow, issuer))


def finish(issuer, started, query=None, keys=None, client=CLIENT) -> ProofsToSign:
    callback = parse_callback(issuer.approve(started.url) if query is None else query)
    public = {name: [key.public_key for key in group] for name, group in (keys or WANTED).items()}
    flow = finish_authorization(started, callback, public, client, now=NOW, random=Counter())
    return stored(run_flow(flow, issuer))


def receive(issuer, pending, client=CLIENT, keep=None):
    signers = {thumbprint(signer.public_key): signer for signer in KEYS}
    signatures = [signers[thumbprint(proof.key)].sign(proof.signing_input) for proof in pending.proofs]
    flow = receive_credentials(pending, signatures, keep=keep, now=NOW, client=client, random=Counter())
    return stored(run_flow(flow, issuer))


def poll(issuer, waiting, keep=lambda _: None) -> IssuedCredentials:
    return stored(run_flow(poll_deferred(waiting, keep=keep, now=NOW, client=CLIENT, random=Counter()), issuer))


def offered(issuer, grants, ids=("licence",)) -> ResolvedOffer:
    offer = {"credential_issuer": ISSUER, "credential_configuration_ids": list(ids)}
    if grants is not None:
        offer["grants"] = grants
    link = f"haip-vci://?credential_offer={quote(json.dumps(offer))}"
    return stored(run_flow(resolve_offer(link), issuer))


@pytest.mark.clause("haip-4-par-wallet", "haip-4.1-scope-wallet")
def test_the_whole_high_assurance_flow_through_stored_values():
    issuer = AuthorizingIssuer(dpop_nonces=["as-1"], resource_nonce="rs-1", challenge="a-long-challenge-1")
    started = start(issuer)
    assert dict(parse_qsl(urlsplit(started.url).query)) == {
        "client_id": CLIENT.client_id,
        "request_uri": "urn:pushed:1",
    }
    assert issuer.pushed.keys() == {
        "response_type",
        "client_id",
        "redirect_uri",
        "state",
        "code_challenge",
        "code_challenge_method",
        "scope",
    }
    assert issuer.pushed["scope"] == "licence"
    issued = receive(issuer, finish(issuer, started))
    assert isinstance(issued, IssuedCredentials)
    assert issued.batches[0].credentials == ("licence-0", "licence-1")
    assert issued.token.refresh_token == "refresh"
    flow = notify(issued, NotificationEvent.CREDENTIAL_ACCEPTED, now=NOW, client=CLIENT, random=Counter())
    run_flow(flow, issuer)
    assert issuer.seen[-1].headers["Authorization"] == "DPoP token"
    for headers in issuer.headers_of("/oauth/par") + issuer.headers_of("/oauth/token"):
        assert headers["OAuth-Client-Attestation"] == "the-attestation"
        assert claims_of(headers["OAuth-Client-Attestation-PoP"])["aud"] == ISSUER
    assert not any("OAuth-Client-Attestation" in headers for headers in issuer.headers_of("/credential"))


def test_everything_goes_through_the_browser_where_the_server_takes_no_pushed_request():
    issuer = AuthorizingIssuer(server=plain_server())
    issuer.token_response["token_type"] = "Bearer"
    started = start(issuer)
    parameters = dict(parse_qsl(urlsplit(started.url).query))
    assert parameters["code_challenge_method"] == "S256"
    assert parameters["redirect_uri"] == CLIENT.redirect_uri
    assert parameters["client_id"] == CLIENT.client_id
    assert "dpop_jkt" not in parameters
    issued = receive(issuer, finish(issuer, started))
    assert len(issued.batches[0].credentials) == 2


@pytest.mark.clause("dpop-9449.10-jkt")
def test_a_plain_request_names_the_key_that_the_code_is_bound_to():
    issuer = AuthorizingIssuer()
    issuer.server["require_pushed_authorization_requests"] = False
    del issuer.server["pushed_authorization_request_endpoint"]
    parameters = dict(parse_qsl(urlsplit(start(issuer).url).query))
    assert parameters["dpop_jkt"] == base64url.encode(thumbprint(CLIENT.signer.public_key))


def test_an_authorization_endpoint_may_have_a_query_of_its_own():
    issuer = AuthorizingIssuer()
    issuer.server["authorization_endpoint"] = f"{ISSUER}/authorize?tenant=1"
    assert start(issuer).url.startswith(f"{ISSUER}/authorize?tenant=1&client_id=")


def test_state_and_verifier_differ_each_time_and_the_verifier_stays_here():
    issuer = AuthorizingIssuer(server=plain_server())
    issuer.token_response["token_type"] = "Bearer"
    random, offer = Counter(), choose(issuer)
    flows = [
        run_flow(start_authorization(offer, CLIENT, configuration_ids=["licence"], now=NOW, random=random), issuer)
        for _ in range(2)
    ]
    assert len({flow.state for flow in flows} | {flow.code_verifier for flow in flows}) == 4
    assert all(flow.code_verifier not in flow.url for flow in flows)
    assert flows[0].expires_at > NOW + timedelta(minutes=10)


@pytest.mark.clause("vci-5.1.3-issuer-state")
def test_issuer_state_of_the_offer_is_copied():
    issuer = AuthorizingIssuer()
    offer = offered(issuer, {CODE: {"issuer_state": "opaque&state"}})
    assert offer.can_authorize
    assert not offer.has_code
    start(issuer, offer)
    assert issuer.pushed["issuer_state"] == "opaque&state"


@pytest.mark.clause("vci-4.1.1-no-grants")
@pytest.mark.parametrize("grants", [None, {}])
def test_an_offer_without_grants_leaves_them_to_the_metadata(grants):
    offer = offered(AuthorizingIssuer(), grants)
    assert offer.can_authorize
    assert not offer.has_code


@pytest.mark.clause("vci-4.1.1-no-grants")
def test_an_offer_with_both_grants_leaves_the_choice_to_the_wallet():
    both = {CODE: {"issuer_state": "s"}, GRANT: {"pre-authorized_code": "the-code"}}
    offer = offered(AuthorizingIssuer(), both)
    assert (offer.can_authorize, offer.has_code) == (True, True)
    only = offered(AuthorizingIssuer(), {GRANT: {"pre-authorized_code": "the-code"}})
    assert (only.can_authorize, only.has_code) == (False, True)


def without_endpoint(issuer):
    del issuer.server["authorization_endpoint"]


def without_grant(issuer):
    issuer.server["grant_types_supported"] = [GRANT]


@pytest.mark.clause("vci-4.1.1-usable-grant")
@pytest.mark.parametrize("misbehave", [without_endpoint, without_grant])
@pytest.mark.parametrize("grants", [None, {CODE: {}}])
def test_an_issuer_that_cannot_ask_anybody_is_not_asked(misbehave, grants):
    issuer = AuthorizingIssuer()
    misbehave(issuer)
    with pytest.raises(MalformedError, match="grant"):
        offered(issuer, grants)


@pytest.mark.clause("vci-4.1.1-no-endpoint")
def test_an_offer_for_a_code_only_starts_no_login():
    issuer = AuthorizingIssuer()
    with pytest.raises(MalformedError, match="cannot be used"):
        start(issuer, offered(issuer, {GRANT: {"pre-authorized_code": "the-code"}}))


@pytest.mark.clause("vci-4.1.1-issuer-state")
@pytest.mark.parametrize("grant", [{"issuer_state": 1}, {"issuer_state": ""}, {"authorization_server": "http://x"}, []])
def test_an_authorization_code_grant_that_is_malformed(grant):
    with pytest.raises(MalformedError):
        offered(AuthorizingIssuer(), {CODE: grant})


@pytest.mark.clause("vci-4.1.1-server-listed")
def test_a_server_that_the_issuer_does_not_list_is_not_asked():
    with pytest.raises(MalformedError, match="does not list"):
        offered(AuthorizingIssuer(), {CODE: {"authorization_server": "https://elsewhere.example"}})


def test_of_several_servers_the_first_that_has_the_grant_is_taken():
    issuer = AuthorizingIssuer()
    other = "https://issuer.example/other"
    issuer.metadata["authorization_servers"] = [other, ISSUER]
    lacking = {**issuer.server, "issuer": other, "grant_types_supported": [GRANT]}
    issuer.refuse["/.well-known/oauth-authorization-server/other"] = issuer.reply(lacking)
    assert choose(issuer).server.issuer == ISSUER


@pytest.mark.clause("vci-5.1.2-resource", "vci-5.1.1-locations", "vci-5.1.1-details-supported", "haip-4.1-scope-wallet")
def test_scope_where_there_is_one_and_authorization_details_for_the_rest():
    issuer = AuthorizingIssuer()
    issuer.metadata["authorization_servers"] = [ISSUER]
    del issuer.metadata["credential_configurations_supported"]["record"]["scope"]
    start(issuer, names=("licence", "record"))
    assert issuer.pushed["scope"] == "licence"
    assert issuer.pushed["resource"] == ISSUER
    assert json.loads(issuer.pushed["authorization_details"]) == [
        {"type": "openid_credential", "credential_configuration_id": "record", "locations": [ISSUER]}
    ]
    issuer.server["authorization_details_types_supported"] = []
    with pytest.raises(MalformedError, match="no way"):
        start(issuer, names=("record",))


@pytest.mark.clause("haip-4.1-scope-wallet")
def test_a_scope_that_would_be_two_is_refused():
    issuer = AuthorizingIssuer()
    issuer.metadata["credential_configurations_supported"]["licence"]["scope"] = "licence admin"
    with pytest.raises(MalformedError, match="space"):
        start(issuer)


@pytest.mark.clause("vci-6.2-details-answered")
def test_authorization_details_must_be_answered_with_identifiers():
    issuer = AuthorizingIssuer()
    del issuer.metadata["credential_configurations_supported"]["licence"]["scope"]
    with pytest.raises(MalformedError, match="authorization_details"):
        finish(issuer, start(issuer))
    issuer.token_response["authorization_details"] = [
        {"type": "openid_credential", "credential_configuration_id": "licence", "credential_identifiers": ["id-1"]}
    ]
    receive(issuer, finish(issuer, start(issuer)))
    assert json.loads(issuer.seen[-1].body)["credential_identifier"] == "id-1"


def no_s256(issuer):
    issuer.server["code_challenge_methods_supported"] = ["plain"]


def wants_what_it_has_not(issuer):
    del issuer.server["pushed_authorization_request_endpoint"]


def no_lifetime(issuer):
    issuer.refuse["/agencies/police/oauth/par"] = issuer.reply({"request_uri": "urn:x"}, 201)


def no_reference(issuer):
    issuer.refuse["/agencies/police/oauth/par"] = issuer.reply({"expires_in": 90}, 201)


@pytest.mark.clause("oauth-7636.4.2-s256-wallet", "oauth-9126.5-required", "oauth-9126.2.2-expires")
@pytest.mark.parametrize("misbehave", [no_s256, wants_what_it_has_not, no_lifetime, no_reference])
def test_servers_that_the_browser_is_not_sent_to(misbehave):
    issuer = AuthorizingIssuer()
    misbehave(issuer)
    with pytest.raises(MalformedError):
        start(issuer)


def test_a_refused_push_says_why():
    issuer = AuthorizingIssuer(refuse_attestation="use_fresh_attestation")
    with pytest.raises(PeerRefusal) as caught:
        start(issuer)
    assert caught.value.error == "use_fresh_attestation"


@pytest.mark.parametrize("names", [(), ("unknown",)])
def test_configurations_that_are_not_in_the_offer_are_our_own_mistake(names):
    issuer = AuthorizingIssuer()
    offer = choose(issuer)
    with pytest.raises(ValueError, match="configuration"):
        run_flow(start_authorization(offer, CLIENT, configuration_ids=names, now=NOW, random=Counter()), issuer)


@pytest.mark.clause("oauth-6749.10.12-state", "oauth-9207.2.4-differs", "oauth-9207.2.4-missing")
@pytest.mark.parametrize(
    ("answer", "step"),
    [
        ({"state": "another"}, 1),
        ({"state": None}, 1),
        ({"iss": "https://issuer.example/agencies/other"}, 2),
        ({"iss": f"{ISSUER}/"}, 2),
        ({"iss": None}, 2),
        ({"iss": "https://honest.example", "code": None, "error": "access_denied"}, 2),
        ({"iss": None, "code": None, "error": "access_denied"}, 2),
    ],
)
def test_an_answer_of_another_server_or_to_another_request_costs_no_code(answer, step):
    issuer = AuthorizingIssuer(answer=answer)
    started = start(issuer)
    before = len(issuer.seen)
    with pytest.raises(UntrustedError) as caught:
        finish(issuer, started)
    assert caught.value.step == step
    assert len(issuer.seen) == before


def test_a_server_that_promises_no_iss_may_leave_it_out_but_not_lie():
    issuer = AuthorizingIssuer(answer={"iss": None})
    del issuer.server["authorization_response_iss_parameter_supported"]
    assert finish(issuer, start(issuer)).token.access_token == "token"
    issuer.answer["iss"] = "https://honest.example"
    with pytest.raises(UntrustedError):
        finish(issuer, start(issuer))


@pytest.mark.clause("oauth-6749.4.1.2.1-error", "oauth-6749.4.1.2-code")
def test_errors_and_answers_without_code():
    issuer = AuthorizingIssuer(answer={"code": None, "error": "access_denied", "error_description": "cancelled"})
    with pytest.raises(PeerRefusal) as caught:
        finish(issuer, start(issuer))
    assert (caught.value.error, caught.value.error_description) == ("access_denied", "cancelled")
    issuer.answer = {"code": None}
    with pytest.raises(MalformedError, match="no authorization code"):
        finish(issuer, start(issuer))
    issuer.answer = {"code": "c" * 5000}
    with pytest.raises(MalformedError, match="no authorization code"):
        finish(issuer, start(issuer))


@pytest.mark.clause("oauth-6749.3.1-once-callback")
@pytest.mark.parametrize("query", ["state=a&state=b", "code=%FF", "&".join(f"a{n}=1" for n in range(99)), "a" * 20_000])
def test_callbacks_that_cannot_be_read(query):
    with pytest.raises(MalformedError):
        parse_callback(query)


def test_the_code_is_redeemed_last_so_that_its_answer_cannot_be_lost():
    issuer = AuthorizingIssuer()
    finish(issuer, start(issuer))
    assert [request.url.removeprefix(ISSUER) for request in issuer.seen[-2:]] == ["/nonce", "/oauth/token"]
    assert issuer.forms[-1] == {
        "grant_type": CODE,
        "code": "the-code",
        "redirect_uri": CLIENT.redirect_uri,
        "code_verifier": issuer.forms[-1]["code_verifier"],
        "client_id": CLIENT.client_id,
    }


@pytest.mark.clause("oauth-9449.5-no-downgrade")
def test_a_bearer_token_in_place_of_a_bound_one_is_refused():
    issuer = AuthorizingIssuer()
    issuer.token_response["token_type"] = "Bearer"
    with pytest.raises(MalformedError, match="type"):
        finish(issuer, start(issuer))


@pytest.mark.parametrize("refresh_token", [1, "", "r" * 9000])
def test_a_refresh_token_that_is_none(refresh_token):
    issuer = AuthorizingIssuer()
    issuer.token_response["refresh_token"] = refresh_token
    with pytest.raises(MalformedError, match="refresh_token"):
        finish(issuer, start(issuer))


@pytest.mark.clause("vci-6.1-anonymous-wallet")
def test_a_pre_authorized_code_is_redeemed_by_nobody_in_particular_where_that_is_allowed():
    issuer = AuthorizingIssuer(tx_code="123456")
    issuer.server["grant_types_supported"] = [GRANT]
    offer = offered(issuer, {GRANT: {"pre-authorized_code": "the-code", "tx_code": {}}})
    public = {"licence": [KEYS[0].public_key]}
    arguments = {"tx_code": "123456", "now": NOW, "client": CLIENT, "random": Counter()}
    pending = stored(run_flow(request_proofs(offer, public, **arguments), issuer))
    assert "client_id" not in issuer.seen[-1].body.decode()
    assert "OAuth-Client-Attestation" not in issuer.seen[-1].headers
    assert pending.token.is_bound
    assert receive(issuer, pending).batches
    issuer.server["grant_types_supported"] = [GRANT, "refresh_token"]
    offer = offered(issuer, {GRANT: {"pre-authorized_code": "the-code", "tx_code": {}}})
    run_flow(request_proofs(offer, public, **arguments), issuer)
    assert "client_id" in issuer.seen[-1].body.decode()
    assert "OAuth-Client-Attestation" in issuer.seen[-1].headers


@pytest.mark.clause("vci-6.1-unknown-wallet")
def test_a_server_that_does_not_know_the_wallet_serves_nobody_in_particular():
    issuer = AuthorizingIssuer(tx_code="123456")
    issuer.server["grant_types_supported"] = [GRANT, "refresh_token"]
    offer = offered(issuer, {GRANT: {"pre-authorized_code": "the-code", "tx_code": {}}})
    asked = []

    def stranger(request):
        if request.url.endswith("/token"):
            asked.append("client_id" in request.body.decode())
            if asked[-1]:
                return HttpResponse(401, {"content-type": "application/json"}, b'{"error": "invalid_client"}')
        return issuer(request)

    public = {"licence": [KEYS[0].public_key]}
    arguments = {"tx_code": "123456", "now": NOW, "client": CLIENT, "random": Counter()}
    pending = run_flow(request_proofs(offer, public, **arguments), stranger)
    assert asked == [True, False]
    assert pending.token.is_bound
    issuer.server["pre-authorized_grant_anonymous_access_supported"] = False
    offer = offered(issuer, {GRANT: {"pre-authorized_code": "the-code", "tx_code": {}}})
    with pytest.raises(PeerRefusal, match="invalid_client"):
        run_flow(request_proofs(offer, public, **arguments), stranger)
    assert asked == [True, False, True]


def test_a_client_without_randomness_is_our_own_mistake():
    issuer = AuthorizingIssuer()
    pending = finish(issuer, start(issuer))
    with pytest.raises(ValueError, match="randomness"):
        run_flow(receive_credentials(pending, [b""] * 2, now=NOW, client=CLIENT), issuer)


def demand_attestation(issuer, proof_type="jwt"):
    configuration = issuer.metadata["credential_configurations_supported"]["licence"]
    required = {"key_storage": ["iso_18045_moderate"]}
    configuration["proof_types_supported"] = {
        proof_type: {"proof_signing_alg_values_supported": ["ES256"], "key_attestations_required": required}
    }


@pytest.mark.clause("vci-12.2.4-attestation-demanded", "haip-4.5.1-batch")
def test_where_keys_must_be_attested_the_flow_ends_for_the_wallet_provider():
    issuer = AuthorizingIssuer()
    demand_attestation(issuer)
    pending = finish(issuer, start(issuer))
    assert pending.proofs == ()
    (wanted,) = pending.unattested
    assert wanted.nonce == "nonce-1"
    assert wanted.requirements.key_storage == ("iso_18045_moderate",)
    assert len(wanted.keys) == 2
    with pytest.raises(ValueError, match="attestation"):
        receive(issuer, pending)
    with pytest.raises(ValueError, match="attestation"):
        attach_key_attestations(pending, {}, now=NOW)
    attested = stored(attach_key_attestations(pending, {"licence": "the.key.attestation"}, now=NOW))
    assert len(attested.proofs) == 1
    assert attested.key_count("licence") == 2
    receive(issuer, attested)
    (proof,) = json.loads(issuer.seen[-1].body)["proofs"]["jwt"]
    header = json.loads(base64url.decode(proof.split(".")[0]))
    assert header["key_attestation"] == "the.key.attestation"
    assert claims_of(proof)["nonce"] == "nonce-1"


@pytest.mark.clause("vci-12.2.4-attestation-demanded", "haip-4.5.1-batch")
def test_the_attestation_proof_has_no_signature_of_the_keys():
    issuer = AuthorizingIssuer()
    demand_attestation(issuer, "attestation")
    pending = finish(issuer, start(issuer))
    attested = stored(attach_key_attestations(pending, {"licence": "the.key.attestation"}, now=NOW))
    assert attested.proofs == ()
    receive(issuer, attested)
    assert json.loads(issuer.seen[-1].body)["proofs"] == {"attestation": ["the.key.attestation"]}


@pytest.mark.clause("vci-8.3.1.2-fresh-nonce")
def test_a_fresh_nonce_needs_a_fresh_key_attestation():
    issuer = AuthorizingIssuer()
    demand_attestation(issuer)
    pending = attach_key_attestations(finish(issuer, start(issuer)), {"licence": "first"}, now=NOW)
    issuer.refuse["/agencies/police/credential"] = issuer.reply({"error": "invalid_nonce"}, 400)
    again = receive(issuer, pending)
    assert isinstance(again, ProofsToSign)
    assert again.renewed
    (wanted,) = again.unattested
    assert wanted.nonce == "nonce-2"
    assert [thumbprint(key) for key in wanted.keys] == [thumbprint(key.public_key) for key in KEYS[:2]]


def test_a_proof_type_that_nobody_here_has_is_said_so():
    issuer = AuthorizingIssuer()
    licence = issuer.metadata["credential_configurations_supported"]["licence"]
    licence["proof_types_supported"] = {"di_vp": {"proof_signing_alg_values_supported": ["ES256"]}}
    with pytest.raises(MalformedError, match="no key proof"):
        finish(issuer, start(issuer))


@pytest.mark.clause("vci-8.3-deferred", "vci-9.3-final")
def test_a_deferred_credential_is_asked_for_until_it_comes():
    issuer = AuthorizingIssuer(deferrals=2)
    waiting = receive(issuer, finish(issuer, start(issuer)))
    assert waiting.batches == ()
    (deferred,) = waiting.deferred
    assert (deferred.transaction_id, deferred.interval, deferred.keys) == ("t-1", 60, 2)
    issuer.interval = 120
    waiting = poll(issuer, waiting)
    assert waiting.deferred[0].interval == 120
    done = poll(issuer, waiting)
    assert done.deferred == ()
    assert done.batches[0].credentials == ("later-0",)
    assert issuer.headers_of("/deferred")[0]["Authorization"] == "DPoP token"


def test_what_came_at_once_stays_while_the_rest_is_waited_for():
    issuer = AuthorizingIssuer(deferrals=1)
    keys = {"licence": KEYS[:1], "record": KEYS[1:2]}
    waiting = receive(issuer, finish(issuer, start(issuer, names=("licence", "record")), keys=keys))
    assert [batch.configuration_id for batch in waiting.batches] == ["record"]
    done = poll(issuer, waiting)
    assert [batch.configuration_id for batch in done.batches] == ["record", "licence"]


def test_an_access_token_that_is_over_is_renewed_while_waiting():
    issuer = AuthorizingIssuer(deferrals=1)
    waiting = receive(issuer, finish(issuer, start(issuer)))
    issuer.expired.add("token")
    done = poll(issuer, waiting)
    assert done.batches[0].credentials == ("later-0",)
    assert (done.token.access_token, done.token.refresh_token) == ("fresh", "refresh")


def test_a_renewed_token_is_kept_before_anything_else_is_sent():
    issuer = AuthorizingIssuer(deferrals=1, rotates=True)
    waiting = receive(issuer, finish(issuer, start(issuer)))
    issuer.expired.add("token")
    issuer.issue_later = lambda: HttpResponse(500)
    kept = []
    with pytest.raises(PeerRefusal):
        poll(issuer, waiting, lambda token: kept.append((token.refresh_token, issuer.seen[-1].url)))
    assert kept == [("refresh+", f"{ISSUER}/oauth/token")]
    assert len(issuer.headers_of("/deferred")) == 2


def test_a_token_that_is_over_is_renewed_while_receiving():
    issuer = AuthorizingIssuer(rotates=True, expired={"token"})
    pending = finish(issuer, start(issuer))
    kept = []
    issued = receive(issuer, pending, keep=lambda token: kept.append((token.refresh_token, issuer.seen[-1].url)))
    assert kept == [("refresh+", f"{ISSUER}/oauth/token")]
    assert (issued.token.access_token, issued.token.refresh_token) == ("fresh", "refresh+")


def test_a_token_that_nobody_could_keep_is_not_renewed():
    issuer = AuthorizingIssuer(rotates=True, expired={"token"})
    with pytest.raises(PeerRefusal, match="401"):
        receive(issuer, finish(issuer, start(issuer)))
    assert issuer.refresh_token == "refresh"


def test_keys_are_attested_anew_for_what_is_left():
    issuer = AuthorizingIssuer()
    demand_attestation(issuer)
    names = ("record", "licence")
    pending = finish(issuer, start(issuer, names=names), keys={"record": KEYS[2:3], "licence": KEYS[:2]})
    honest, issued = issuer._credential, []

    def one_only(request):
        if issued:
            raise FetchError("the other server could not be reached")
        issued.append(honest(request))
        return issued[0]

    issuer._credential = one_only
    left = receive(issuer, attach_key_attestations(pending, {"licence": "first"}, now=NOW))
    assert (left.pending, left.proofs) == (("licence",), ())
    assert [keys.configuration_id for keys in left.unattested] == ["licence"]
    issuer._credential = honest
    assert len(receive(issuer, attach_key_attestations(left, {"licence": "second"}, now=NOW)).batches) == 2


@pytest.mark.clause("vci-9.3-final")
@pytest.mark.parametrize("error", ["credential_request_denied", "invalid_transaction_id"])
def test_a_final_refusal_ends_the_waiting(error):
    issuer = AuthorizingIssuer(deferrals=1)
    waiting = receive(issuer, finish(issuer, start(issuer)))
    issuer.refuse["/agencies/police/deferred"] = issuer.reply({"error": error}, 400)
    done = poll(issuer, waiting)
    assert done.deferred == ()
    assert error in done.failures["licence"]


@pytest.mark.clause("vci-9.3-final", "vci-9.2-same-transaction", "vci-8.3-interval")
@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (500, {}, PeerRefusal),
        (429, {"error": "slow_down"}, PeerRefusal),
        (202, {"transaction_id": "another", "interval": 5}, MalformedError),
        (202, {"transaction_id": "t-1", "interval": 0}, MalformedError),
        (202, {"transaction_id": "t-1"}, MalformedError),
        (200, {"credentials": []}, MalformedError),
    ],
)
def test_an_answer_that_may_pass_leaves_it_waiting(status, body, error):
    issuer = AuthorizingIssuer(deferrals=1)
    waiting = receive(issuer, finish(issuer, start(issuer)))
    issuer.refuse["/agencies/police/deferred"] = issuer.reply(body, status)
    with pytest.raises(error):
        poll(issuer, waiting)


@pytest.mark.clause("vci-12.2.4-deferred-endpoint", "vci-8.3-interval")
@pytest.mark.parametrize("change", ["no endpoint", "no interval", "no id"])
def test_a_deferral_that_cannot_be_followed_up(change):
    issuer = AuthorizingIssuer(deferrals=1)
    if change == "no endpoint":
        del issuer.metadata["deferred_credential_endpoint"]
    pending = finish(issuer, start(issuer))
    if change != "no endpoint":
        body = {"interval": 5} if change == "no id" else {"transaction_id": "t", "interval": "5"}
        issuer.refuse["/agencies/police/credential"] = issuer.reply(body, 202)
    with pytest.raises(MalformedError):
        receive(issuer, pending)


def test_refreshing_and_asking_for_more_copies():
    issuer = AuthorizingIssuer()
    issued = receive(issuer, finish(issuer, start(issuer)))
    flow = refresh_access(issued.offer, issued.token, CLIENT, now=NOW, random=Counter(), memory=issued.memory)
    token, memory = run_flow(flow, issuer)
    assert (token.access_token, token.refresh_token) == ("fresh", "refresh")
    assert "OAuth-Client-Attestation" in issuer.seen[-1].headers
    public = {"licence": [KEYS[3].public_key]}
    flow = request_more_proofs(issued.offer, token, public, CLIENT, now=NOW, random=Counter(), memory=memory)
    more = receive(issuer, stored(run_flow(flow, issuer)))
    assert more.batches[0].credentials == ("licence-0",)
    spent = replace(token, refresh_token=None)
    with pytest.raises(ValueError, match="no refresh token"):
        run_flow(refresh_access(issued.offer, spent, CLIENT, now=NOW, random=Counter()), issuer)


def test_everything_that_an_issuer_offers():
    issuer = AuthorizingIssuer()
    assert set(run_flow(resolve_catalogue(ISSUER), issuer).configurations) == {"licence", "record"}


def test_an_issuer_that_asks_for_a_nonce_in_every_answer_gets_the_newest():
    issuer = AuthorizingIssuer(dpop_nonces=["as-1"])
    started = start(issuer)
    assert started.memory.dpop_nonces == {"https://issuer.example": "as-1"}
    finish(issuer, started)
    assert len(issuer.headers_of("/oauth/token")) == 1


def test_a_stored_authorization_that_does_not_fit_is_refused():
    value = start(AuthorizingIssuer()).to_json()
    for change in ({"expires_at": "soon"}, {"configuration_ids": ["other"]}, {"state": ""}, {"resolved": {}}):
        with pytest.raises(MalformedError):
            type(start(AuthorizingIssuer())).from_json({**value, **change})


def test_a_broken_answer_of_the_challenge_endpoint_ends_it():
    issuer = AuthorizingIssuer(refuse={"/agencies/police/oauth/challenge": HttpResponse(503)})
    with pytest.raises(PeerRefusal):
        start(issuer)
