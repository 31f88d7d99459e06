"""A verifier that asks for mdocs, over its whole app: what it believes, what it says of it, and what it refuses."""

import html as html_module
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.e2e.test_presentation_attacks import failed_step, refused
from tests.e2e.test_presentation_status import SIZE, URI, step
from tests.e2e.test_verifier_console import opened
from tests.simulators import run_flow
from tests.support.mdoc import NAME_SPACES, PORTRAIT
from tests.support.mdoc_presentations import CLASSES, NAME, MdocAgency, mdoc_query
from tests.support.presentations import NOW, VCT
from tests.support.verifying import HOST, VerifierUnderTest, catalogue, new_world, start_verifier
from verifier.app import create_app
from wallet_core.encoding import base64url, cbor
from wallet_core.errors import FetchError, PeerRefusal
from wallet_core.formats.mdoc.holder import HeldMdoc, create_document
from wallet_core.formats.mdoc.structures import KeyAuthorizations
from wallet_core.http import HttpRequest, HttpResponse
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.protocols.openid4vp import wallet
from wallet_core.protocols.openid4vp.candidates import HeldCredential, candidate_of
from wallet_core.protocols.openid4vp.matching import approve, match
from wallet_core.protocols.openid4vp.mdoc import request_transcript
from wallet_core.protocols.openid4vp.pending import PresentationToSign, ResolvedRequest
from wallet_core.spec_versions import DOCTYPE_MDL, NAMESPACE_MDL, NAMESPACE_MDL_KR
from wallet_core.trust.anchors import format_trust_anchors
from wallet_core.trust.status_list.array import new_array, with_statuses
from wallet_core.trust.status_list.cwt import create_status_list_cwt
from wallet_core.trust.status_list.reference import StatusReference
from wallet_core.trust.status_list.token import create_status_list_jwt, status_list_claims

CWT = "application/statuslist+cwt"
BORN = (NAMESPACE_MDL, "birth_date")
RENTAL = {
    **NAME_SPACES,
    NAMESPACE_MDL_KR: {"name": "시험하나", "may_drive_ordinary_car": True, "held_over_1_year": True},
}


@dataclass
class Scene:
    """A verifier that trusts an IACA, an agency below it, and a wallet of anybody's."""

    under_test: VerifierUnderTest
    agency: MdocAgency
    statuses: dict[int, int] = field(default_factory=dict)
    signer: Any = None
    as_jwt: bool = False
    bits: int = 1
    down: bool = False
    asked: list[tuple[str, str]] = field(default_factory=list)

    def held(self, **changes: Any) -> HeldMdoc:
        """An mdoc of the agency."""
        return self.agency.held(self.under_test.world.holder, **changes)

    def prepare(self, resolved: ResolvedRequest, *cards: HeldCredential) -> PresentationToSign:
        """What the holder agreed to."""
        held = {f"card-{number}": card for number, card in enumerate(cards or (self.held(),))}
        approved = approve(match(resolved.request.dcql_query, [candidate_of(*each) for each in held.items()]))
        return wallet.create_presentation(resolved, approved, held, now=self.under_test.clock.now())

    def show(self, *cards: HeldCredential, **members: Any) -> dict[str, Any]:
        """Ask, answer as our wallet does, and return what became of it."""
        made = self.under_test.ask(**members)
        pending = self.prepare(self.under_test.resolve(made["authorization_request"]), *cards)
        with suppress(PeerRefusal):
            run_flow(wallet.send_response(pending, self.under_test.sign(pending)), self.under_test.send)
        return self.under_test.result(made["id"])

    def attack(self, answer: Callable[[ResolvedRequest], Any], status: int = 400, **members: Any) -> list[int]:
        """Ask, answer with a VP Token of a stranger's making, and return the checks that failed."""
        made = self.under_test.ask(**{"dcql_query": mdoc_query(NAME), **members})
        resolved = self.under_test.resolve(made["authorization_request"])
        refused(self.under_test.post(resolved, answer(resolved)), status=status)
        return failed_step(self.under_test, made)

    def good(self, resolved: ResolvedRequest, held: HeldMdoc | None = None) -> dict[str, Any]:
        """The DeviceResponse an honest wallet would send, parsed."""
        (item,) = self.prepare(resolved, held or self.held()).items
        text = item.attach(self.under_test.world.holder.sign(item.signing_input or b""))
        found: dict[str, Any] = cbor.loads(base64url.decode(text))
        return found

    async def arun(self, flow: Any) -> Any:
        """The verifier's network: the agency's status list."""
        return run_flow(flow, self.answer)

    def answer(self, request: HttpRequest) -> HttpResponse:
        """Serve the list."""
        self.asked.append((request.url, request.headers["Accept"]))
        if self.down:
            raise FetchError("the other server could not be reached")
        array = with_statuses(bytes(new_array(SIZE, self.bits)), self.bits, self.statuses)
        now, signer = self.under_test.clock.now(), self.signer or self.agency
        terms = {"uri": URI, "issued_at": now, "expires_at": now + timedelta(hours=20), "ttl": timedelta(seconds=60)}
        claims = status_list_claims(array, self.bits, **terms)
        if self.as_jwt:
            token = create_status_list_jwt(claims, signer=signer.signer, x5c=signer.chain()).encode()
        else:
            token = create_status_list_cwt(claims, signer=signer.signer, x5chain=signer.chain())
        return HttpResponse(200, {"content-type": CWT}, token)

    def use(self, **changes: Any) -> None:
        """Change the verifier."""
        self.under_test.verifier = replace(self.under_test.verifier, **changes)
        self.under_test.app = create_app(self.under_test.verifier)
        self.under_test.client = TestClient(self.under_test.app, base_url=HOST, follow_redirects=False)


def new_scene(folder: Path, database_url: str) -> Scene:
    world, agency = new_world(), MdocAgency()
    (folder / "mdl.pem").write_text(format_trust_anchors(agency.anchors))
    trust = (folder / "anchors.pem", folder / "mdl.pem")
    scene = Scene(start_verifier(folder, database_url, world=world, trust_anchors=trust), agency)
    scene.use(http=scene)
    return scene


@pytest.fixture
def scene(tmp_path: Path, database_url: str) -> Iterator[Scene]:
    made = new_scene(tmp_path, database_url)
    yield made
    made.under_test.verifier.database.close()


@pytest.fixture
def sqlite_scene(tmp_path: Path) -> Iterator[Scene]:
    made = new_scene(tmp_path, f"sqlite:///{tmp_path}/verifier.db")
    yield made
    made.under_test.verifier.database.close()


# --- what is believed -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("mode", ["direct_post", "direct_post.jwt"])
def test_an_answer_and_what_the_company_reads(scene: Scene, mode: str) -> None:
    result = scene.show(dcql_query=mdoc_query(NAME, BORN, CLASSES), response_mode=mode)
    assert result["state"] == "verified"
    [credential] = result["credentials"]["mdl"]
    privileges = [{"vehicle_category_code": "B", "issue_date": "2020-05-11", "codes": [{"code": "78"}]}]
    shown = {"family_name": "SIHEOM", "birth_date": "1990-02-28", "driving_privileges": privileges}
    assert credential == {
        "format": "mso_mdoc",
        "type": DOCTYPE_MDL,
        "claims": {NAMESPACE_MDL: shown},
        "issuer": None,
        "issuer_name": scene.agency.name,
        "status": "none",
        "status_checked_at": None,
        "valid_until": (NOW + timedelta(days=30)).isoformat(),
    }
    assert [check["ok"] for check in result["checks"]] == [True] * 10
    # Each check names where it stands for an mdoc.
    assert {"ISO/IEC 18013-5 9.1.2.5, 9.3.1", "ISO/IEC 18013-5 9.1.3"} <= {
        check["clause"] for check in result["checks"]
    }
    assert not any("RFC 9901" in check["clause"] for check in result["checks"])
    assert scene.asked == []


@pytest.mark.parametrize("name_spaces", [RENTAL, {**RENTAL, NAMESPACE_MDL_KR: {"name": "시험하나"}}])
def test_a_policy_takes_an_mdoc_in_place_of_an_sd_jwt(scene: Scene, name_spaces: Any) -> None:
    result = scene.show(scene.held(name_spaces=name_spaces), policy="car-rental")
    assert result["state"] == "verified"
    assert set(result["credentials"]) == {"licence_mdoc"}
    [credential] = result["credentials"]["licence_mdoc"]
    assert credential["claims"][NAMESPACE_MDL]["portrait"] == base64url.encode(PORTRAIT)


def with_must_match(scene: Scene) -> str:
    """A policy that asks an SD-JWT VC and an mdoc for one person's birth date."""
    query = mdoc_query({"id": "born", "path": list(BORN)})
    other = {"id": "born", "path": ["birth_date"]}
    query["credentials"].append(
        {"id": "vc", "format": "dc+sd-jwt", "meta": {"vct_values": [VCT]}, "claims": [other]},
    )
    policy = replace(catalogue().policies["car-rental"], dcql_query=query, must_match=(("born",),))
    ports = scene.under_test.verifier.presentations
    scene.use(presentations=replace(ports, policies={policy.id: policy}))
    return policy.id


@pytest.mark.parametrize(("born", "state"), [("1990-02-28", "verified"), ("1990-02-27", "refused")])
def test_an_mdoc_and_an_sd_jwt_must_be_of_one_person(scene: Scene, born: str, state: str) -> None:
    policy = with_must_match(scene)
    vc = scene.under_test.world.held(claims={"birth_date": born}, selectively_disclosable=[("birth_date",)])
    result = scene.show(scene.held(), vc, policy=policy)
    assert result["state"] == state
    failing = [check["name"] for check in result["checks"] if check["ok"] is False]
    assert failing == ([] if state == "verified" else ["query_answered"])


def test_the_desk_shows_an_mdoc_in_words(sqlite_scene: Scene) -> None:
    staff = opened(sqlite_scene.under_test, demo=True, wallet="https://wallet.example")
    staff.sign_in()
    page = staff.post("/console/checks", "/console/ask?policy=car-rental", policy="car-rental").headers["location"]
    link = re.search(r"<code[^>]*>(openid4vp://[^<]+)</code>", staff.get(page))
    assert link
    held = sqlite_scene.held(name_spaces={**RENTAL, NAMESPACE_MDL_KR: {"name": "시험하나"}})
    pending = sqlite_scene.prepare(sqlite_scene.under_test.resolve(html_module.unescape(link[1])), held)
    run_flow(wallet.send_response(pending, sqlite_scene.under_test.sign(pending)), sqlite_scene.under_test.send)
    text = staff.get(page)
    assert "모두 통과" in text
    assert "2030년 12월 31일" in text
    assert "KR" in text
    assert NAMESPACE_MDL not in text
    [portrait] = re.findall(r'<img src="data:image/jpeg;base64,([^"]+)" alt="([^"]+)"', text)
    assert base64url.decode(portrait[0].rstrip("=").translate(str.maketrans("+/", "-_"))) == PORTRAIT
    assert portrait[1]


# --- status -----------------------------------------------------------------------------------------------------------
def listed(scene: Scene, index: int = 3) -> HeldMdoc:
    return scene.held(status=StatusReference(index, URI).to_json())


def test_a_status_list_of_mdocs_is_asked_as_cwt(scene: Scene) -> None:
    result = scene.show(listed(scene), dcql_query=mdoc_query(NAME))
    assert (result["state"], step(result)["detail"]) == ("verified", "checked 0 s ago")
    assert result["credentials"]["mdl"][0]["status"] == "valid"
    assert scene.asked == [(URI, CWT)]


def test_a_revoked_mdoc_is_refused(scene: Scene) -> None:
    scene.statuses = {3: 1}
    result = scene.show(listed(scene), dcql_query=mdoc_query(NAME))
    assert (result["state"], step(result)["ok"]) == ("refused", False)
    assert "was revoked" in step(result)["detail"]
    assert result["credentials"] is None


@pytest.mark.clause("tsl-5.2-mdoc")
def test_a_list_of_two_bits_is_none_for_mdocs(sqlite_scene: Scene) -> None:
    sqlite_scene.bits = 2
    result = sqlite_scene.show(listed(sqlite_scene), dcql_query=mdoc_query(NAME))
    assert (result["state"], step(result)["ok"]) == ("refused", False)


def test_a_list_out_of_reach_is_as_the_policy_says(sqlite_scene: Scene) -> None:
    scene = sqlite_scene
    scene.down = True
    refused_one = scene.show(listed(scene), dcql_query=mdoc_query(NAME))
    assert (refused_one["state"], step(refused_one)["ok"]) == ("refused", False)
    scene.under_test.clock.advance(60)
    for unknown, state in (("refuse", "refused"), ("accept_and_say_age", "verified")):
        policy = catalogue().policies["car-rental"]
        status = replace(policy.status, unknown=unknown)
        rule = replace(policy, dcql_query=mdoc_query(NAME), must_match=(), status=status)
        ports = scene.under_test.verifier.presentations
        scene.use(presentations=replace(ports, policies={rule.id: rule}))
        result = scene.show(listed(scene), policy=rule.id)
        assert result["state"] == state
        scene.under_test.clock.advance(60)
    assert result["credentials"]["mdl"][0]["status"] == "unknown"


@pytest.mark.parametrize(
    ("who", "words"),
    [
        ("another agency", "the status list is signed by another issuer"),
        ("another root", "the certificate chain leads to no trust anchor for this purpose"),
        ("the key for SD-JWT VCs", "the certificate chain leads to no trust anchor for this purpose"),
        ("a JWT", "Status List Token has bytes after its end"),
    ],
)
def test_a_list_of_another_signer_is_refused(sqlite_scene: Scene, who: str, words: str) -> None:
    scene = sqlite_scene
    if who == "another agency":
        scene.signer = MdocAgency(scene.agency.iaca, name="다른 기관", issuer="https://issuer.example/agencies/other")
    elif who == "another root":
        scene.signer = MdocAgency()
    elif who == "the key for SD-JWT VCs":
        scene.signer = scene.under_test.world.agency
    scene.as_jwt = who == "a JWT"
    result = scene.show(listed(scene), dcql_query=mdoc_query(NAME))
    assert (result["state"], step(result)["ok"]) == ("refused", False)
    assert step(result)["detail"] == words


# --- what a stranger's wallet may send --------------------------------------------------------------------------------
def token(response: dict[str, Any] | bytes) -> dict[str, list[str]]:
    data = response if isinstance(response, bytes) else cbor.dumps(response)
    return {"mdl": [base64url.encode(data)]}


def changed(change: Callable[[dict[str, Any]], object]) -> Callable[[Scene, ResolvedRequest], Any]:
    def answer(scene: Scene, resolved: ResolvedRequest) -> Any:
        response = scene.good(resolved)
        change(response)
        return token(response)

    return answer


def _with_a_mac(response: dict[str, Any]) -> None:
    signed = response["documents"][0]["deviceSigned"]
    protected, unprotected, _, _ = signed["deviceAuth"]["deviceSignature"]
    signed["deviceAuth"] = {"deviceMac": [cbor.dumps({1: 5}), unprotected, None, bytes(32)]}
    assert protected


def _unauthorised(scene: Scene, resolved: ResolvedRequest) -> Any:
    # Signed as the device's own word; the MSO of the first mdoc allows it, that of the second does not.
    allowed = KeyAuthorizations(frozenset({NAMESPACE_MDL}), frozenset())
    generous, plain = scene.held(key_authorizations=allowed), scene.held()
    response = device_signed(scene, resolved, generous)
    response["documents"][0]["issuerSigned"] = scene.good(resolved, plain)["documents"][0]["issuerSigned"]
    return token(response)


def device_signed(scene: Scene, resolved: ResolvedRequest, held: HeldMdoc) -> dict[str, Any]:
    pending = create_document(
        held,
        {NAME},
        session_transcript=request_transcript(resolved.request),
        algorithm=held.mso.device_key.algorithm,
        device_signed={NAMESPACE_MDL: {"age_over_65": True}},
    )
    found: dict[str, Any] = cbor.loads(pending.attach(scene.under_test.world.holder.sign(pending.signing_input)))
    return found


def _authorised_but_not_asked(scene: Scene, resolved: ResolvedRequest) -> Any:
    allowed = KeyAuthorizations(frozenset({NAMESPACE_MDL}), frozenset())
    return token(device_signed(scene, resolved, scene.held(key_authorizations=allowed)))


def _more_than_asked(scene: Scene, resolved: ResolvedRequest) -> Any:
    held = scene.held()
    pending = create_document(
        held,
        {NAME, BORN},
        session_transcript=request_transcript(resolved.request),
        algorithm=held.mso.device_key.algorithm,
    )
    return token(pending.attach(scene.under_test.world.holder.sign(pending.signing_input)))


def _another_signer(scene: Scene, resolved: ResolvedRequest) -> Any:
    (item,) = scene.prepare(resolved).items
    return {"mdl": [item.attach(SoftwareSigner.generate().sign(item.signing_input or b""))]}


def _for_another_request(scene: Scene, resolved: ResolvedRequest) -> Any:
    other = replace(resolved, request=replace(resolved.request, nonce="n-of-another-request-0123"))
    return token(scene.good(other))


def _changed_element(scene: Scene, resolved: ResolvedRequest) -> Any:
    return token(cbor.dumps(scene.good(resolved)).replace(b"SIHEOM", b"SIHEON"))


def _two_presentations(scene: Scene, resolved: ResolvedRequest) -> Any:
    (text,) = token(scene.good(resolved))["mdl"]
    return {"mdl": [text, text]}


def _padded(scene: Scene, resolved: ResolvedRequest) -> Any:
    (text,) = token(scene.good(resolved))["mdl"]
    return {"mdl": [text + "=" * (-len(text) % 4 or 4)]}


def _an_sd_jwt(scene: Scene, resolved: ResolvedRequest) -> Any:
    assert resolved
    return {"mdl": [scene.under_test.world.agency.issue(scene.under_test.world.holder)]}


@pytest.mark.clause("vp-B.2.6.1-handover")
@pytest.mark.parametrize(
    ("answer", "failing"),
    [
        pytest.param(changed(lambda r: r["documents"].append(r["documents"][0])), 1, id="two documents"),
        pytest.param(changed(lambda r: r.update(documents=[])), 1, id="no document"),
        pytest.param(changed(lambda r: r.update(status=10)), 1, id="an error beside a document"),
        pytest.param(changed(lambda r: (r.pop("documents"), r.update(status=10))), 1, id="an error"),
        pytest.param(changed(lambda r: r.update(version="2.0")), 1, id="another version"),
        pytest.param(changed(lambda r: r["documents"][0].update(docType="org.example.1")), 1, id="docType"),
        pytest.param(changed(_with_a_mac), 6, id="a MAC"),
        pytest.param(_unauthorised, 6, id="device-signed element that is not authorised"),
        pytest.param(_authorised_but_not_asked, 8, id="device-signed element that was not asked for"),
        pytest.param(_more_than_asked, 8, id="more than asked"),
        pytest.param(_another_signer, 6, id="another device"),
        pytest.param(_for_another_request, 6, id="for another request"),
        pytest.param(_changed_element, 4, id="a changed element"),
        pytest.param(_two_presentations, 1, id="two presentations"),
        pytest.param(_padded, 1, id="padding"),
        pytest.param(_an_sd_jwt, 1, id="an SD-JWT VC"),
    ],
)
def test_what_is_refused_and_at_which_check(sqlite_scene: Scene, answer: Any, failing: int) -> None:
    assert sqlite_scene.attack(lambda resolved: answer(sqlite_scene, resolved)) == [failing]


def test_an_mdoc_where_an_sd_jwt_was_asked_for(sqlite_scene: Scene) -> None:
    text = base64url.encode(sqlite_scene.agency.issue(sqlite_scene.under_test.world.holder))
    members = {"credentials": [{"id": "vc", "format": "dc+sd-jwt", "meta": {"vct_values": [VCT]}}]}
    assert len(sqlite_scene.attack(lambda _: {"vc": [text]}, dcql_query=members)) == 1


def test_the_document_type_differs_in_the_signed_part_alone(sqlite_scene: Scene) -> None:
    def answer(resolved: ResolvedRequest) -> Any:
        other = sqlite_scene.held(doc_type="org.iso.7367.1.mVRC")
        pending = create_document(
            replace(other, doc_type=DOCTYPE_MDL),  # type: ignore[arg-type]
            {NAME},
            session_transcript=request_transcript(resolved.request),
            algorithm=other.mso.device_key.algorithm,
        )
        return token(pending.attach(sqlite_scene.under_test.world.holder.sign(pending.signing_input)))

    assert len(sqlite_scene.attack(answer)) == 1


def test_five_megabytes_are_not_even_read(sqlite_scene: Scene) -> None:
    made = sqlite_scene.under_test.ask(dcql_query=mdoc_query(NAME), response_mode="direct_post")
    resolved = sqlite_scene.under_test.resolve(made["authorization_request"])
    answer = sqlite_scene.under_test.post(resolved, token(bytes(5_000_000)))
    assert answer.status_code in {400, 413}
    assert answer.json()["error"]
    assert sqlite_scene.under_test.result(made["id"])["state"] == "retrieved"
