"""Forgeries, one after the other: each breaks one rule and no other, and the check of that rule must say no.

A company gets forged answers, an agency forged proofs, and the citizen's wallet forged requests and cards.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from demo.citizen import WalletRefusal
from demo.stage import BANK, CITIZEN, OTHER, REFUSED, SHOP, Line, Story, expect, refusal, refused_at
from demo.stranger import digest_of, select
from wallet_core.catalogue import Text
from wallet_core.encoding import base64url, strict_json
from wallet_core.http import HttpRequest, HttpResponse
from wallet_core.jose import jws
from wallet_core.keys.algorithms import PublicKey
from wallet_core.keys.jwk import parse_public_jwk
from wallet_core.keys.signer import CertifiedSigner, Signer, SoftwareSigner
from wallet_core.protocols.openid4vci.messages import create_answer, create_credential_response
from wallet_core.protocols.openid4vci.pending import ProofsToSign
from wallet_core.protocols.openid4vci.proof import proof_signing_input
from wallet_core.protocols.openid4vp.client_id import ClientIdPrefix, create_client_id
from wallet_core.protocols.openid4vp.pending import ResolvedRequest
from wallet_core.trust.x509 import format_x5c
from wallet_core.types import CredentialIssuerId, Json, JsonObject, Nonce

LICENCE: Final = "drivers-licence"
POLICY, ASKED = "adult-check", "adult_by_year"
BLOCKED: Final = Text("지갑이 막았어요", "the wallet blocked")
_LONG_AGO: Final = timedelta(days=31)
"""A licence lives 30 days."""


# --- a company gets answers


def refuse_forged_answers(story: Story) -> list[Line]:
    """Answers that break one rule each are refused, and the company's page names the check of that rule."""
    lines: list[Line] = []
    for number, (words, check, make) in enumerate(_answers(story)):
        request = story.request(SHOP, POLICY, f"forged-{number}")
        resolved = story.stranger.resolve(request["authorization_request"], now=story.clock.now())
        exchange = story.stranger.send(resolved, "licence", *make(resolved))
        said = refusal(exchange, words, {"invalid_request"}).words
        lines.append(Line(REFUSED, f"{said}, {refused_at(story, SHOP, request['id'], check)}"))
    return lines


def _answers(story: Story) -> list[tuple[str, str, Callable[[ResolvedRequest], list[str]]]]:
    now, licence = story.clock.now(), story.licence_of_the_other()
    shown, withheld = select(licence, [ASKED]), select(licence, [])
    police, agency = story.issuer_keys.signing_key("police"), _issuer(story, "police")
    bind = partial(story.stranger.bind, now=now)
    sign = partial(story.stranger.sign_as, credential_type=story.catalogue.types[LICENCE], issuer=agency)
    other = SoftwareSigner.generate()
    forged = select(sign(CertifiedSigner(other, police.chain), now=now), [ASKED])
    expired = select(sign(police, now=now - _LONG_AGO), [ASKED])
    bank = create_client_id(
        ClientIdPrefix.X509_HASH, leaf=story.verifier_keys.signing_key(BANK).chain[0], response_uri=agency
    )
    return [
        ("한 질문에 답 둘 · two answers to one question", "answer_fits_request", lambda r: [bind(r, shown)] * 2),
        ("다른 키로 서명한 카드 · a card signed by another key", "issuer_signed", lambda r: [bind(r, forged)]),
        ("기한이 지난 카드 · an expired card", "within_validity", lambda r: [bind(r, expired)]),
        (
            "다른 키로 증명한 사람 · bound by another key",
            "holder_present",
            lambda r: [bind(r, shown, signer=other)],
        ),
        (
            "다른 회사에 한 답 · an answer for another company",
            "holder_present",
            lambda r: [bind(r, shown, changes={"aud": bank.full})],
        ),
        (
            "다른 내용에 한 서명 · signed over something else",
            "holder_present",
            lambda r: [bind(r, shown, changes={"sd_hash": digest_of(withheld)})],
        ),
        (
            "묻지 않은 이름까지 · the name too, unasked",
            "only_what_was_asked",
            lambda r: [bind(r, select(licence, [ASKED, "name"]))],
        ),
        ("물은 것을 뺀 답 · what was asked is left out", "query_answered", lambda r: [bind(r, withheld)]),
    ]


# --- an agency gets proofs


def refuse_forged_proofs(story: Story) -> list[Line]:
    """A licence goes to a key that proves itself: to this agency, and once."""
    now, stranger = story.clock.now(), story.stranger
    offer = story.offer("police", LICENCE, OTHER)
    asked = stranger.ask(offer["uri"], offer["tx_code"], now=now)
    (proof,) = asked.proofs
    elsewhere = proof_signing_input(
        stranger.signer.public_key,
        audience=_issuer(story, "city"),
        nonce=Nonce(str(_claims(proof.signing_input)["nonce"])),
        issued_at=now,
    )
    bad = stranger.collect(asked, stranger.sign(asked, SoftwareSigner.generate()), now=now)
    lines = [refusal(bad, "다른 키로 서명한 증명 · a proof signed by another key", {"invalid_proof"})]
    for_city = _with_input(asked, elsewhere)
    wrong = stranger.collect(for_city, stranger.sign(for_city), now=now)
    lines.append(refusal(wrong, "다른 기관에 한 증명 · a proof for another agency", {"invalid_proof"}))
    taken = stranger.collect(asked, stranger.sign(asked), now=now)
    expect(taken.response.ok, f"the honest proof was refused with {taken.response.status} {taken.error}")
    lines.append(refusal(stranger.repeat(taken), "쓴 증명을 다시 · the same proof again", {"invalid_nonce"}))
    issued = [each for each in story.issued("police", OTHER) if each["offer_id"] == offer["id"]]
    expect(len(issued) == 1, f"the agency issued {len(issued)} licences")
    return lines


def _with_input(asked: ProofsToSign, signing_input: bytes) -> ProofsToSign:
    (proof,) = asked.proofs
    return replace(asked, proofs=(replace(proof, signing_input=signing_input),))


# --- the citizen's wallet gets requests and cards


def deceive_wallet(story: Story) -> list[Line]:
    """Her wallet believes no request and no card before it looked: nothing is shown to her, sent, or kept."""
    return [*_forge_requests(story), *_forge_cards(story)]


@dataclass(frozen=True, slots=True)
class _Asked:
    """A shop's real request: its link, its header and its content, to be changed."""

    link: str
    header: JsonObject
    claims: JsonObject
    key: CertifiedSigner
    now: datetime

    def signed(self, signer: Signer | None = None, header: JsonObject | None = None, **changes: Json) -> str:
        """Return a Request Object with some things changed; ``signer`` is another key than the shop's."""
        return jws.sign({**self.header, **(header or {})}, {**self.claims, **changes}, signer or self.key.signer)

    def link_with(self, **changes: str) -> str:
        """Return the link with some parameters changed."""
        scheme, _, query = self.link.partition("?")
        return f"{scheme}?{urlencode({**dict(parse_qsl(query)), **changes})}"


def _forge_requests(story: Story) -> list[Line]:
    """Requests that break one rule each are blocked before the citizen sees them, and the shop hears nothing."""
    request, now = story.request(SHOP, POLICY), story.clock.now()
    link = request["authorization_request"]
    story.stranger.resolve(link, now=now)
    fetched = story.client.last.response
    real = jws.parse(fetched.body.decode())
    asked = _Asked(link, real.header, real.claims(), story.verifier_keys.signing_key(SHOP), now)
    lines = []
    for number, (words, reason, forged_link, forged) in enumerate(_requests(story, asked), start=1):
        answer = HttpResponse(fetched.status, fetched.headers, forged.encode())
        with story.client.answering(_always(answer)), _refusing(words, reason):
            story.citizen.review(forged_link)
        lines.append(Line(BLOCKED, f"{words} → check {number}: {reason}"))
    state = story.result(SHOP, request["id"])["state"]
    expect(state == "retrieved", f"after requests that were blocked the shop's is {state}")
    return lines


def _requests(story: Story, asked: _Asked) -> list[tuple[str, str, str, str]]:
    """Return a forged request for each step of ``verify_request_object``: words, reason, link, Request Object."""
    uri = str(asked.claims["response_uri"])
    poser = story.stranger.pose_as_verifier(uri, now=asked.now)
    posed, bank = (
        create_client_id(ClientIdPrefix.X509_HASH, leaf=chain[0], response_uri=uri).full
        for chain in (poser.chain, story.verifier_keys.signing_key(BANK).chain)
    )
    yesterday = int((asked.now - timedelta(days=1)).timestamp())
    unknown = base64url.encode(strict_json.dumps({"type": "urn:example:anything", "credential_ids": ["licence"]}))
    link, posted = asked.link, asked.link_with(request_uri_method="post")
    return [
        (
            "다른 종류의 문서 · another kind of token",
            "the request is not a Request Object",
            link,
            asked.signed(header={"typ": "JWT"}),
        ),
        (
            "다른 회사 이름 · in another company's name",
            "the client_id inside the request is another one",
            link,
            asked.signed(client_id=bank),
        ),
        (
            "모르는 회사 · a company nobody knows",
            "no path to an anchor",
            asked.link_with(client_id=posed),
            asked.signed(poser.signer, {"x5c": [*format_x5c(poser.chain)]}, client_id=posed),
        ),
        (
            "다른 키로 서명한 요청 · signed by another key",
            "the signature does not verify",
            link,
            asked.signed(story.stranger.signer),
        ),
        (
            "다른 지갑이 받은 요청 · made for another wallet's nonce",
            "the request does not carry our wallet_nonce",
            posted,
            asked.signed(wallet_nonce="somebody-elses"),
        ),
        ("어제 요청 · yesterday's request", "the request has expired", link, asked.signed(exp=yesterday)),
        (
            "모르는 답하는 길 · to be answered another way",
            "response_mode is neither direct_post nor direct_post.jwt",
            link,
            asked.signed(response_mode="fragment"),
        ),
        (
            "지갑이 모르는 일에 동의 · to agree to something unknown",
            "the type of a transaction is not known",
            link,
            asked.signed(transaction_data=[unknown]),
        ),
    ]


def _forge_cards(story: Story) -> list[Line]:
    """An agency's answers that break one rule each: the wallet keeps none of these cards."""
    before = {card.id for card in story.citizen.cards()}
    lines = []
    for number, (words, reason, make) in enumerate(_cards(story), start=1):
        offer = story.offer("police", LICENCE, CITIZEN, name=str(number))
        with story.client.answering(partial(_answer_as_police, story, make)), _refusing(words, reason):
            story.citizen.accept(offer["uri"], offer["tx_code"])
        lines.append(Line(BLOCKED, f"{words} → check {number}: {reason}"))
    expect({card.id for card in story.citizen.cards()} == before, "the wallet kept a card that was refused")
    return lines


def _cards(story: Story) -> list[tuple[str, str, Callable[[PublicKey], str]]]:
    """Return how a card is forged for each step of ``verify_sd_jwt_vc``: words, reason, and card for a key."""
    now, stranger, licence = story.clock.now(), story.stranger, story.catalogue.types[LICENCE]
    police, city, agency = (*map(story.issuer_keys.signing_key, ("police", "city")), _issuer(story, "police"))
    sign = partial(stranger.sign_as, credential_type=licence, issuer=agency, now=now)
    other = CertifiedSigner(SoftwareSigner.generate(), police.chain)
    bound = jws.sign({"typ": "kb+jwt"}, {"iat": int(now.timestamp())}, stranger.signer)
    resident = story.catalogue.types["resident-certificate"]
    return [
        (
            "이미 서명이 붙은 카드 · a card somebody presents",
            "an issuer must not send a Key Binding JWT",
            lambda key: sign(police, holder=key) + bound,
        ),
        (
            "아무도 믿지 않는 발급기관 · an issuer nobody trusts",
            "no path to an anchor",
            lambda key: stranger.forge(licence, agency, now=now, holder=key),
        ),
        (
            "시청이 경찰 이름으로 서명 · the city signs as the police",
            "the certificate is not for this credential issuer",
            lambda key: sign(city, holder=key),
        ),
        (
            "다른 키로 서명한 카드 · a card signed by another key",
            "the signature does not verify",
            lambda key: sign(other, holder=key),
        ),
        (
            "다른 카드 · another card than offered",
            "the credential is of another type than asked for",
            lambda key: sign(police, credential_type=resident, holder=key),
        ),
        (
            "남의 열쇠에 묶인 카드 · a card for another key",
            "the credential is not bound to a key of this wallet",
            lambda _key: sign(police),
        ),
    ]


def _answer_as_police(story: Story, make: Callable[[PublicKey], str], request: HttpRequest) -> HttpResponse | None:
    """Answer a Credential Request with a forged card, bound to the first key that the wallet proved."""
    if not urlsplit(request.url).path.endswith("/credential"):
        return None
    asked = story.read_as_agency("police", request)
    key = parse_public_jwk(jws.parse(asked.proofs[0]).header["jwk"])
    return create_answer(create_credential_response([make(key)], notification_id=None), asked.response_encryption)


def _always(answer: HttpResponse) -> Callable[[HttpRequest], HttpResponse]:
    return lambda _request: answer


@contextlib.contextmanager
def _refusing(words: str, reason: str) -> Iterator[None]:
    """Expect the citizen's wallet to refuse what is done meanwhile, for this reason. Raises ``StoryFailed``."""
    try:
        yield
    except WalletRefusal as exc:
        expect(reason in exc.detail, f"{words}: refused because {exc.detail}")
    else:
        expect(False, f"{words}: the wallet took it")


def _issuer(story: Story, agency_id: str) -> CredentialIssuerId:
    return CredentialIssuerId(story.facts["issuer"]["agencies"][agency_id]["credential_issuer"])


def _claims(signing_input: bytes) -> JsonObject:
    payload = signing_input.decode("ascii").partition(".")[2]
    return strict_json.loads_object(base64url.decode(payload))
