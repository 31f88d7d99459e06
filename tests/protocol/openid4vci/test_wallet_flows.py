import json

import pytest

from tests.simulators import run_flow
from tests.simulators.issuer import GRANT, ISSUER, NOW, SimulatedIssuer, configuration, metadata
from wallet_core.errors import FetchError, MalformedError, PeerRefusal
from wallet_core.http import HttpRequest, HttpResponse
from wallet_core.keys.jwk import thumbprint
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.protocols.openid4vci.messages import NotificationEvent
from wallet_core.protocols.openid4vci.resolving import resolve_today
from wallet_core.protocols.openid4vci.wallet import (
    IssuedCredentials,
    ProofsToSign,
    ResolvedOffer,
    notify,
    receive_credentials,
    request_proofs,
    resolve_offer,
)

LINK = "openid-credential-offer://?credential_offer_uri=https%3A%2F%2Fissuer.example%2Foffer"
KEYS = [SoftwareSigner.generate() for _ in range(4)]


def resolve(issuer: SimulatedIssuer) -> ResolvedOffer:
    return run_flow(resolve_offer(LINK), issuer)


def start(issuer: SimulatedIssuer, keys=None) -> ProofsToSign:
    wanted = {"licence": KEYS[:2], "record": KEYS[2:3]} if keys is None else keys
    public = {name: [signer.public_key for signer in group] for name, group in wanted.items()}
    return run_flow(request_proofs(resolve(issuer), public, tx_code="123456", now=NOW), issuer)


def sign(pending: ProofsToSign) -> list[bytes]:
    signers = {thumbprint(signer.public_key): signer for signer in KEYS}
    return [signers[thumbprint(proof.key)].sign(proof.signing_input) for proof in pending.proofs]


def receive(pending: ProofsToSign, issuer: SimulatedIssuer) -> IssuedCredentials | ProofsToSign:
    return run_flow(receive_credentials(pending, sign(pending), now=NOW), issuer)


def stored(value):
    return type(value).from_json(json.loads(json.dumps(value.to_json())))


@pytest.mark.clause("vci-8.2-use-identifiers")
def test_whole_issuance_through_stored_values():
    issuer = SimulatedIssuer()
    resolved = stored(resolve(issuer))
    assert resolved.needs_tx_code
    assert [c.id for c in resolved.configurations] == ["licence", "record"]
    public = {"licence": [k.public_key for k in KEYS[:2]], "record": [KEYS[2].public_key]}
    pending = stored(run_flow(request_proofs(resolved, public, tx_code="123456", now=NOW), issuer))
    issued = receive(pending, issuer)
    assert isinstance(issued, IssuedCredentials)
    issued = stored(issued)
    assert [batch.credentials for batch in issued.batches] == [("licence-0", "licence-1"), ("record-0",)]
    run_flow(notify(issued, NotificationEvent.CREDENTIAL_ACCEPTED), issuer)
    assert [json.loads(r.body)["notification_id"] for r in issuer.seen[-2:]] == ["n-licence", "n-record"]


def test_metadata_are_asked_for_at_the_inserted_location_first_and_only_there():
    issuer = SimulatedIssuer()
    resolve(issuer)
    assert [r.url for r in issuer.seen] == [
        "https://issuer.example/offer",
        "https://issuer.example/.well-known/openid-credential-issuer/agencies/police",
        "https://issuer.example/.well-known/oauth-authorization-server/agencies/police",
    ]


def test_the_code_is_redeemed_last_so_that_its_answer_cannot_be_lost():
    issuer = SimulatedIssuer()
    start(issuer)
    assert [r.url.removeprefix(ISSUER) for r in issuer.seen[-2:]] == ["/nonce", "/oauth/token"]


def test_other_locations_are_tried_after_404_only():
    issuer = SimulatedIssuer(
        metadata_at="/agencies/police/.well-known/openid-credential-issuer",
        server_at="/.well-known/openid-configuration/agencies/police",
    )
    assert resolve(issuer).server.issuer == ISSUER
    broken = SimulatedIssuer(
        metadata_at="/agencies/police/.well-known/openid-credential-issuer",
        refuse={"/.well-known/openid-credential-issuer/agencies/police": HttpResponse(500)},
    )
    with pytest.raises(PeerRefusal) as caught:
        resolve(broken)
    assert caught.value.status == 500
    assert len(broken.seen) == 2


def gone_for(issuer: SimulatedIssuer, name: str) -> list[str]:
    """Let the issuer be gone whenever a configuration is asked for that stands in the list."""
    gone, answer = [name], issuer._credential

    def credential(request: HttpRequest) -> HttpResponse:
        if json.loads(request.body)["credential_configuration_id"] in gone:
            raise FetchError("the other server could not be reached")
        return answer(request)

    issuer._credential = credential
    return gone


def test_what_came_before_the_issuer_was_gone_is_handed_back():
    issuer = SimulatedIssuer()
    gone = gone_for(issuer, "record")
    left = receive(start(issuer), issuer)
    assert isinstance(left, ProofsToSign)
    left = stored(left)
    assert (left.pending, [batch.configuration_id for batch in left.issued]) == (("record",), ["licence"])
    assert [proof.configuration_id for proof in left.proofs] == ["record"]
    # Still gone: nothing new came, so there is nothing to hand back.
    with pytest.raises(FetchError):
        receive(left, issuer)
    gone.clear()
    issued = receive(left, issuer)
    assert isinstance(issued, IssuedCredentials)
    assert [batch.configuration_id for batch in issued.batches] == ["licence", "record"]


def test_what_is_left_may_ask_for_a_fresh_nonce_of_its_own():
    issuer = SimulatedIssuer(good_nonces={"nonce-2", "nonce-3"})
    gone = gone_for(issuer, "record")
    left = receive(receive(start(issuer), issuer), issuer)
    assert [batch.configuration_id for batch in left.issued] == ["licence"]
    gone.clear()
    issuer.good_nonces = {"nonce-3"}
    again = receive(left, issuer)
    assert again.renewed
    assert len(receive(again, issuer).batches) == 2


def test_what_was_refused_is_asked_for_once_more_with_what_is_left():
    issuer = SimulatedIssuer(good_nonces={"nonce-2"})
    pending = start(issuer)
    answers = [{"error": "credential_request_denied"}, {"error": "invalid_nonce"}]
    honest, issuer._credential = issuer._credential, lambda _: issuer.reply(answers.pop(0), 400)
    again = receive(pending, issuer)
    assert again.pending == ("licence", "record")
    issuer._credential = honest
    assert len(receive(stored(again), issuer).batches) == 2


@pytest.mark.clause("vci-8.3.1.2-fresh-nonce")
def test_a_nonce_that_is_refused_is_renewed_once():
    issuer = SimulatedIssuer(good_nonces={"nonce-2"})
    again = receive(start(issuer), issuer)
    assert isinstance(again, ProofsToSign)
    assert again.renewed
    issued = receive(stored(again), issuer)
    assert isinstance(issued, IssuedCredentials)
    assert len(issued.batches) == 2


@pytest.mark.clause("vci-8.3.1.2-fresh-nonce")
def test_a_nonce_refused_twice_ends_the_issuance():
    issuer = SimulatedIssuer(good_nonces=set())
    again = receive(start(issuer), issuer)
    assert isinstance(again, ProofsToSign)
    with pytest.raises(PeerRefusal) as caught:
        receive(again, issuer)
    assert (caught.value.status, caught.value.error) == (400, "invalid_nonce")


def without_nonces(*refused: str) -> SimulatedIssuer:
    """An issuer without Nonce Endpoint that answers invalid_nonce to requests for these configurations."""

    class Nonceless(SimulatedIssuer):
        def _credential(self, request):
            name = json.loads(request.body)["credential_configuration_id"]
            credentials = {"credentials": [{"credential": f"{name}-0"}]}
            return self.reply({"error": "invalid_nonce"}, 400) if name in refused else self.reply(credentials)

    issuer = Nonceless()
    del issuer.metadata["nonce_endpoint"]
    return issuer


@pytest.mark.clause("vci-8.3.1.2-fresh-nonce")
def test_a_nonce_refused_by_an_issuer_that_gives_none_is_a_refusal():
    issuer = without_nonces("licence", "record")
    with pytest.raises(PeerRefusal) as caught:
        receive(start(issuer), issuer)
    assert (caught.value.status, caught.value.error) == (400, "invalid_nonce")


def test_what_came_beside_a_nonce_refused_by_an_issuer_that_gives_none_is_kept():
    issuer = without_nonces("record")
    issued = receive(start(issuer), issuer)
    assert isinstance(issued, IssuedCredentials)
    assert [batch.configuration_id for batch in issued.batches] == ["licence"]
    assert list(issued.failures) == ["record"]


def test_what_came_before_a_refused_nonce_is_kept_and_not_asked_for_again():
    issuer = SimulatedIssuer()
    pending = start(issuer)
    honest = issuer._credential
    calls = 0

    def second_call_forgets_nonces(request):
        nonlocal calls
        calls += 1
        return issuer.reply({"error": "invalid_nonce"}, 400) if calls == 2 else honest(request)

    issuer._credential = second_call_forgets_nonces
    again = receive(pending, issuer)
    assert isinstance(again, ProofsToSign)
    assert again.pending == ("record",)
    issued = receive(stored(again), issuer)
    assert [batch.configuration_id for batch in issued.batches] == ["licence", "record"]
    assert calls == 3


def test_one_refused_configuration_does_not_lose_the_others():
    issuer = SimulatedIssuer()
    pending = start(issuer)
    honest = issuer._credential

    def refuses_the_record(request):
        if b'"record"' in request.body:
            return issuer.reply({"error": "credential_request_denied"}, 400)
        return honest(request)

    issuer._credential = refuses_the_record
    issued = receive(pending, issuer)
    assert [batch.configuration_id for batch in issued.batches] == ["licence"]
    assert "credential_request_denied" in issued.failures["record"]


@pytest.mark.clause("vci-8.2-use-identifiers")
def test_credential_identifiers_of_the_token_response_are_used():
    issuer = SimulatedIssuer()
    issuer.token_response["authorization_details"] = [
        {"type": "openid_credential", "credential_configuration_id": "licence", "credential_identifiers": ["id-1"]}
    ]
    pending = stored(start(issuer, {"licence": KEYS[:1]}))
    receive(pending, issuer)
    assert set(json.loads(issuer.seen[-1].body)) == {"credential_identifier", "proofs"}
    assert json.loads(issuer.seen[-1].body)["credential_identifier"] == "id-1"


def test_without_nonce_endpoint_the_proof_has_no_nonce():
    issuer = SimulatedIssuer()
    del issuer.metadata["nonce_endpoint"]
    pending = start(issuer)
    assert all(b"nonce" not in proof.signing_input for proof in pending.proofs)


def test_without_notification_endpoint_nothing_is_sent():
    issuer = SimulatedIssuer()
    del issuer.metadata["notification_endpoint"]
    issued = receive(start(issuer), issuer)
    before = len(issuer.seen)
    run_flow(notify(issued, NotificationEvent.CREDENTIAL_ACCEPTED), issuer)
    assert len(issuer.seen) == before


def test_the_refusal_of_a_wrong_transaction_code_carries_status_and_error():
    issuer = SimulatedIssuer(tx_code="999999")
    with pytest.raises(PeerRefusal) as caught:
        start(issuer)
    assert (caught.value.status, caught.value.error) == (400, "invalid_grant")


def other_issuer(issuer):
    issuer.metadata["credential_issuer"] = "https://issuer.example/agencies/other"


def other_server(issuer):
    issuer.server["issuer"] = "https://issuer.example/agencies/other"


def unknown_configuration(issuer):
    issuer.offer["credential_configuration_ids"] = ["licence", "unknown"]


def no_code(issuer):
    del issuer.offer["grants"]


def unlisted_server(issuer):
    issuer.offer["grants"][GRANT]["authorization_server"] = "https://elsewhere.example"


def encryption_demanded(issuer):
    issuer.metadata["credential_response_encryption"] = {
        "alg_values_supported": ["ECDH-ES"],
        "enc_values_supported": ["A128GCM"],
        "encryption_required": True,
    }


def metadata_as_html(issuer):
    issuer.content_type = "text/html"


def plain_http_endpoint(issuer):
    issuer.metadata["credential_endpoint"] = "http://issuer.example/credential"


def no_configurations(issuer):
    del issuer.metadata["credential_configurations_supported"]


@pytest.mark.clause(
    "vci-4.1.1-known-configuration",
    "vci-4.1.1-server-listed",
    "vci-12.2.2-issuer",
    "vci-12.2.4-encryption-demanded",
    "vci-12.2.4-credential-endpoint",
    "oauth-8414.3.3-issuer",
    "oauth-6749.5.1-json",
)
@pytest.mark.parametrize(
    "misbehave",
    [
        other_issuer,
        other_server,
        unknown_configuration,
        no_code,
        unlisted_server,
        encryption_demanded,
        metadata_as_html,
        plain_http_endpoint,
        no_configurations,
    ],
)
def test_offers_that_are_refused(misbehave):
    issuer = SimulatedIssuer()
    misbehave(issuer)
    with pytest.raises(MalformedError):
        resolve(issuer)


@pytest.mark.clause("vci-6.2-identifiers", "oauth-6749.7.1-token-type")
@pytest.mark.parametrize(
    "token_response",
    [
        {"access_token": "token"},
        {"access_token": "token", "token_type": "N_A"},
        {"token_type": "Bearer"},
        {"access_token": 1, "token_type": "Bearer"},
        {"access_token": "to ken", "token_type": "Bearer"},
        {"access_token": "token", "token_type": "Bearer", "expires_in": 0},
        {"access_token": "token", "token_type": "Bearer", "authorization_details": [{"type": "openid_credential"}]},
        [],
    ],
)
def test_token_responses_that_are_refused(token_response):
    with pytest.raises(MalformedError):
        start(SimulatedIssuer(token_response=token_response))


@pytest.mark.clause("vci-8.3-no-more-than-keys")
def test_more_credentials_than_keys_are_refused():
    issuer = SimulatedIssuer(extra_credentials=1)
    with pytest.raises(MalformedError, match="more credentials than keys"):
        receive(start(issuer), issuer)


@pytest.mark.clause("vci-8.3-credentials", "vci-8.3-deferred")
@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (202, {"transaction_id": "t", "interval": 5}, MalformedError),
        (200, {"credentials": []}, MalformedError),
        (200, {"credentials": [{"credential": 1}]}, MalformedError),
        (200, {"credentials": ["text"]}, MalformedError),
        (200, {"credential": "old draft"}, MalformedError),
        (400, {"error": "invalid_proof"}, PeerRefusal),
        (401, {"error": "invalid_token"}, PeerRefusal),
        (500, "oops", PeerRefusal),
    ],
)
def test_credential_responses_that_are_refused(status, body, error):
    issuer = SimulatedIssuer()
    pending = start(issuer)
    issuer.refuse["/agencies/police/credential"] = issuer.reply(body, status)
    with pytest.raises(error):
        receive(pending, issuer)


@pytest.mark.clause("vci-8.2-batch-limit-wallet")
@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"unknown": KEYS[:1]},
        {"licence": []},
        {"licence": KEYS[:4]},
    ],
)
def test_keys_that_do_not_fit_are_our_own_mistake(keys):
    with pytest.raises(ValueError, match=r"keys|takes"):
        start(SimulatedIssuer(), keys)


def test_a_configuration_without_binding_needs_no_key():
    issuer = SimulatedIssuer()
    plain = configuration("record")
    del plain["cryptographic_binding_methods_supported"], plain["proof_types_supported"]
    issuer.metadata["credential_configurations_supported"]["record"] = plain
    issuer.extra_credentials = 1
    pending = start(issuer, {"record": []})
    issued = receive(pending, issuer)
    assert issued.batches[0].credentials == ("record-0",)
    assert "proofs" not in json.loads(issuer.seen[-1].body)


def test_signatures_must_fit_the_proofs():
    issuer = SimulatedIssuer()
    pending = start(issuer)
    with pytest.raises(ValueError, match="one signature"):
        run_flow(receive_credentials(pending, [], now=NOW), issuer)


@pytest.mark.clause("vci-10-current-key")
def test_what_an_offer_promised_is_kept_when_the_metadata_lack_it_by_now() -> None:
    issuer = SimulatedIssuer()
    then = resolve(issuer)
    issuer.metadata = metadata() | {"batch_credential_issuance": {"batch_size": 2}}
    assert run_flow(resolve_today(then), issuer).issuer.batch_size == 2
    issuer.metadata["credential_configurations_supported"].pop("record")
    assert run_flow(resolve_today(then), issuer) == then
