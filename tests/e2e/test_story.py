"""The demo's story holds; and it stops holding as soon as any one check is taken out of a server."""

import json
import re
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from demo.citizen import Citizen
from demo.deployment import Deployment
from demo.seed import seed
from demo.servers import DemoError, Server, check_ports, running
from demo.story import STEPS, Step, Story, StoryFailed, tell
from holder_app.credentials.repository import SqlCards
from tests.support.commands import printed_by
from tests.support.demo_program import Sabotage, Saboteur, break_in_process, copy_tree
from tests.support.network import free_base_port
from wallet_core.adapters.config import child_environment

SABOTAGES = [
    Sabotage("verifier", "replay", "rfc9901-7.3-nonce", check="answer 6"),
    Sabotage("verifier", "changed_claim", "rfc9901-7.1-unreferenced", check="answer 4"),
    Sabotage(
        "verifier",
        "untrusted_issuer",
        "x509-6.1-path",
        "wallet_core/trust/x509.py",
        ("path = verifier.verify(certificates[0], certificates[1:]).chain", "path = [*certificates, certificates[0]]"),
        check="answer 2",
    ),
    Sabotage(
        "verifier",
        "payment",
        "vp-B.3.3.1-over-the-text",
        "wallet_core/protocols/openid4vp/transaction_data.py",
        ('hashlib.new(HASHES[algorithm], entry.text.encode("ascii"))', "hashlib.new(HASHES[algorithm], b'')"),
        check="answer 11",
    ),
    Sabotage(
        "verifier",
        "changed_payment",
        "vp-B.3.3.1-only-asked",
        "wallet_core/protocols/openid4vp/transaction_data.py",
        (
            "    by_hash = {_hash(entry, algorithm): entry for entry in entries}",
            "    by_hash = dict(zip(hashes, entries, strict=False))",
        ),
    ),
    Sabotage("issuer", "wrong_code", "vci-6.3-tx-code-wrong"),
    Sabotage("verifier", "other_type", "tl-4-type", check="answer 10"),
    Sabotage("verifier", "issuer_stopped", "rfc9901-7.1-unreferenced"),
    Sabotage(
        "verifier",
        "lost_licence",
        "tsl-8.3-status",
        "wallet_core/trust/status_list/judging.py",
        ("    status = status_list.status(reference)", "    status = status_list.status(reference) * 0"),
        check="answer 7",
    ),
    Sabotage(
        "verifier",
        "over_asking",
        "a registration goes with every request made under it",
        "verifier/presentations/use_cases/requests.py",
        ("    return registration_info(token)", "    return ()"),
    ),
    Sabotage("verifier", "changed_mdoc", "mdoc-18013.9.3.1-digest"),
    Sabotage("verifier", "changed_mdoc", "mdoc-18013.9.1.3.6-device-signature"),
    Sabotage("issuer", "wrong_code", "vci-13.6-tries"),
    Sabotage("issuer", "wrong_code", "vci-6.3-once"),
    Sabotage(
        "issuer",
        "bank",
        "vci-8.3-hides",
        "issuer/issuance/use_cases/copies.py",
        ("selectively_disclosable=issued.selectively_disclosable,", "selectively_disclosable=(),"),
    ),
    Sabotage(
        "issuer",
        "licence",
        "sdjwtvc-3.5-issuer-name",
        "issuer/issuance/use_cases/copies.py",
        ("        issuer=agency.credential_issuer,\n", "        issuer=issued.type.vct,\n"),
    ),
    Sabotage("issuer", "tax", "haip-4.4-client"),
    Sabotage("issuer", "tax", "dpop-9449.11.1-replay"),
    Sabotage("issuer", "tax", "oauth-6749.4.1.2-once"),
    Sabotage(
        "issuer",
        "tax",
        "a code that came twice ends what it gave",
        "issuer/issuance/use_cases/token.py",
        ("            storage.offers.forget(offer, revoke(offer.state))", "            pass"),
    ),
    Sabotage(
        "issuer",
        "tax",
        "keys are attested where a type asks for it",
        "wallet_core/catalogue/credential_type.py",
        ('        return self.attestation == "required" or', "        return False and"),
    ),
    Sabotage(
        "issuer",
        "used_up",
        "every copy has a place of its own",
        "issuer/issuance/use_cases/copies.py",
        ("tuple(create(key, place.reference) for", "tuple(create(key, places[0].reference) for"),
    ),
    Sabotage(
        "issuer",
        "used_up",
        "a refresh token is bound to a key",
        "wallet_core/protocols/openid4vci/issuance.py",
        ("    check_binding(state.holder.instance, state.holder.dpop, instance", "    dict(instance"),
    ),
    Sabotage(
        "issuer",
        "used_up",
        "vci-M9-earlier-copies-stay",
        "issuer/issuance/use_cases/reissuance.py",
        (
            "    old = storage.credentials.to_replace(offer.agency_id, offer.id, configuration_id)",
            "    old = storage.credentials.live(offer.agency_id, now=ports.clock.now(), offer_ids=[offer.id])",
        ),
    ),
    Sabotage(
        "issuer",
        "clerk",
        "nothing is signed unasked",
        "issuer/issuance/use_cases/deferring.py",
        ("    return issued.type.issuance.clerk_decides or", "    return False and"),
    ),
    Sabotage(
        "issuer",
        "clerk",
        "nothing is signed before the decision",
        "issuer/issuance/use_cases/deferred.py",
        ("        if not ports.deferral.approve_at_once:", "        if ports.deferral.approve_at_once:"),
    ),
    Sabotage("issuer", "clerk", "vci-9.3-unknown"),
    Sabotage("issuer", "clerk", "vci-9.2-once"),
    Sabotage(
        "issuer",
        "new_address",
        "old copies end in the step that gives new ones",
        "issuer/issuance/use_cases/copies.py",
        ("    replace_old_copies(ports, storage, offer, configuration_id)", "    pass"),
    ),
    Sabotage(
        "verifier",
        "record",
        "a record has no claim that the policy does not keep",
        "wallet_core/protocols/openid4vp/record.py",
        ("            hidden.append(next(digests))", "            visible[name] = value"),
    ),
    Sabotage(
        "verifier",
        "record",
        "every check stands in the record",
        "wallet_core/protocols/openid4vp/record.py",
        (
            'body["checks"] = strict_json.prepared(validated.checks.json)',
            'body["checks"] = [check.to_json() for check in validated.checks[1:]]',
        ),
    ),
    Sabotage(
        "verifier",
        "bank",
        "both cards of one consent count",
        "wallet_core/protocols/openid4vp/validation.py",
        ("    for query, (credential, _) in good:", "    for query, (credential, _) in good[:1]:"),
    ),
    Sabotage(
        "verifier",
        "new_address",
        "tsl-8.3-status",
        "wallet_core/trust/status_list/judging.py",
        ("    status = status_list.status(reference)", "    status = status_list.status(reference) * 0"),
    ),
    # --- of forged answers, one after the other
    Sabotage(
        "verifier", "forged_answers", "vp-8.1-asked-and-single", check="answer 1", words="two answers to one question"
    ),
    Sabotage(
        "verifier", "forged_answers", "jose-7515.5.2-signature", check="answer 3", words="a card signed by another key"
    ),
    Sabotage("verifier", "forged_answers", "rfc9901-7.1-exp", check="answer 5", words="an expired card"),
    Sabotage(
        "verifier",
        "forged_answers",
        "rfc9901-7.3-key-binding-signature",
        "wallet_core/formats/sd_jwt/verifier.py",
        (
            "verified = jws.verify(key_binding_jwt, holder_key, typ=TYP_KEY_BINDING)",
            "verified, _ = key_binding_jwt, holder_key",
        ),
        check="answer 6",
        words="bound by another key",
    ),
    Sabotage("verifier", "forged_answers", "rfc9901-7.3-aud", check="answer 6", words="an answer for another company"),
    Sabotage("verifier", "forged_answers", "rfc9901-7.3-sd-hash", check="answer 6", words="signed over something else"),
    Sabotage(
        "verifier",
        "forged_answers",
        "dcql-6.4-only-asked",
        "wallet_core/protocols/openid4vp/validation_sd_jwt.py",
        check="answer 8",
        words="the name too, unasked",
    ),
    Sabotage("verifier", "forged_answers", "dcql-6.4.1-checked", check="answer 9", words="what was asked is left out"),
    # --- of forged proofs
    Sabotage("issuer", "forged_proofs", "jose-7515.5.2-signature", words="a proof signed by another key"),
    Sabotage("issuer", "forged_proofs", "vci-F.1-aud", words="a proof for another agency"),
    Sabotage("issuer", "forged_proofs", "vci-8.3.1.2-nonce-spent", words="the same proof again"),
    # --- of the wallet: requests and cards
    Sabotage("wallet", "deceived_wallet", "vp-5.4-typ", check="request 1", words="another kind of token"),
    Sabotage("wallet", "deceived_wallet", "vp-5.10.1-client-id", check="request 2", words="another company's name"),
    Sabotage(
        "wallet",
        "deceived_wallet",
        "x509-6.1-path",
        "wallet_core/trust/x509.py",
        ("path = verifier.verify(certificates[0], certificates[1:]).chain", "path = [*certificates, certificates[0]]"),
        check="request 3",
        words="a company nobody knows",
    ),
    Sabotage("wallet", "deceived_wallet", "vp-5.10.1-signature", check="request 4", words="signed by another key"),
    Sabotage("wallet", "deceived_wallet", "vp-5.10.1-wallet-nonce", check="request 5", words="another wallet's nonce"),
    Sabotage("wallet", "deceived_wallet", "vp-5.10.1-expired", check="request 6", words="yesterday's request"),
    Sabotage(
        "wallet", "deceived_wallet", "vp-5.2-response-mode", check="request 7", words="to be answered another way"
    ),
    Sabotage("wallet", "deceived_wallet", "vp-8.4-transaction-data", check="request 8"),
    Sabotage(
        "wallet",
        "deceived_wallet",
        "rfc9901-7.2-no-kb-from-issuer",
        check="card 1",
        words="a card somebody presents",
    ),
    Sabotage(
        "wallet",
        "deceived_wallet",
        "sdjwtvc-3.5-chain",
        "holder_app/issuance/verification.py",
        (
            "x509.verify_chain(chain, anchors, purpose=AnchorPurpose.CREDENTIAL_ISSUER, at=now)",
            "x509._trusted(leaf := x509.load_certificate(chain[0]), [leaf], AnchorPurpose.CREDENTIAL_ISSUER, chain)",
        ),
        check="card 2",
        words="an issuer nobody trusts",
    ),
    Sabotage(
        "wallet",
        "deceived_wallet",
        "sdjwtvc-3.5-issuer-name",
        "wallet_core/trust/x509.py",
        check="card 3",
        words="the city signs as the police",
    ),
    Sabotage(
        "wallet",
        "deceived_wallet",
        "the issuer's signature",
        "wallet_core/formats/sd_jwt/verifier.py",
        (
            "verified = jws.verify(sd_jwt.issuer_jws, issuer_key, typ=None)",
            "verified = sd_jwt.issuer_jws",
        ),
        check="card 4",
        words="a card signed by another key",
    ),
    Sabotage("wallet", "deceived_wallet", "vci-A.3.4-type", check="card 5", words="another card than offered"),
    Sabotage(
        "wallet",
        "deceived_wallet",
        "vci-8.3-our-key",
        "holder_app/issuance/verification.py",
        (
            "signers.get(thumbprint(content.holder_key)) if content.holder_key is not None else None",
            "next(iter(signers.values()))",
        ),
        check="card 6",
        words="a card for another key",
    ),
]
"""Each check of an answer, a request and a card stands here at least once: ``tests/unit/test_sabotages.py``."""


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    # The story is told over https; `make demo` and the killed servers speak http.
    return Deployment(tmp_path_factory.mktemp("demo") / "state", free_base_port(), tls=True)


@pytest.fixture(scope="module")
def facts(deployment: Deployment) -> dict[str, Any]:
    return seed(deployment)


@pytest.fixture(scope="module")
def servers(deployment: Deployment, facts: dict[str, Any]) -> Iterator[dict[str, Server]]:
    with running(deployment) as started:
        yield started


@pytest.fixture(scope="module")
def saboteur(
    servers: dict[str, Server], deployment: Deployment, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Saboteur]:
    found = Saboteur(deployment, servers, copy_tree(tmp_path_factory.mktemp("tree")))
    yield found
    found.mend()


def new_story(deployment: Deployment, facts: dict[str, Any], home: Path) -> Story:
    """A story with a citizen whose wallet is empty."""
    story = Story.begin(deployment, facts)
    citizen = Citizen.open(home, deployment, client=story.client)
    return replace(story, citizen=citizen)


def steps_up_to(name: str) -> list[Step]:
    """The step, and before it what it stands on: the cards it shows."""
    cards = {step.name: step for step in STEPS if step.name in {"licence", "certificate"}}
    found = next(step for step in STEPS if step.name == name)
    if name in {"bank", "shop", "rental", "payment"}:
        return [*cards.values(), found]
    needed = {
        "tax": ["licence"],
        "over_asking": ["licence"],
        "used_up": ["certificate"],
        "new_address": ["certificate"],
    }.get(name, [])
    return [*(cards[each] for each in needed), found]


def test_the_story_holds_and_holds_again(
    servers: dict[str, Server], deployment: Deployment, facts: dict[str, Any]
) -> None:
    for _ in range(2):  # the second time on what the first one left
        told = list(tell(Story.begin(deployment, facts, servers=servers)))
        assert [each.step.name for each in told] == [step.name for step in STEPS]
        assert all(each.attempts == 1 for each in told)
        refusals = [line.words for each in told for line in each.lines if line.label.en == "refused"]
        assert len(refusals) >= 35
        assert all("HTTP 4" in words for words in refusals)


@pytest.mark.parametrize(
    "sabotage", sorted(SABOTAGES, key=lambda each: each.app), ids=lambda each: f"{each.step}-{each.clause}"
)
def test_a_check_taken_out_is_noticed(
    saboteur: Saboteur,
    deployment: Deployment,
    facts: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    sabotage: Sabotage,
) -> None:
    # Where a check is missing the database may refuse, which looks like an interruption for ever.
    monkeypatch.setattr("demo.stage.RETRY_SECONDS", 3.0)
    if sabotage.app == "wallet":  # the citizen's runs in this process
        saboteur.mend()
        break_in_process(sabotage, monkeypatch)
    else:
        saboteur.sabotage(sabotage)
    story = new_story(deployment, facts, tmp_path / "citizen")
    with pytest.raises(StoryFailed) as caught:
        list(tell(story, steps_up_to(sabotage.step)))
    assert caught.value.step == sabotage.step
    assert sabotage.words in caught.value.detail


def test_a_wallet_that_forgets_what_it_showed_is_noticed(
    saboteur: Saboteur,
    deployment: Deployment,
    facts: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    saboteur.mend()
    monkeypatch.setattr(SqlCards, "take", lambda *_: True)
    with pytest.raises(StoryFailed) as caught:
        list(tell(new_story(deployment, facts, tmp_path / "citizen"), steps_up_to("used_up")))
    assert caught.value.step == "used_up"


def test_a_server_that_never_comes_back_fails_the_story(
    deployment: Deployment, facts: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("demo.stage.RETRY_SECONDS", 0.5)
    away = {**facts, "verifier": {**facts["verifier"], "url": "http://localhost:9"}}
    story = new_story(deployment, away, tmp_path / "citizen")
    with pytest.raises(StoryFailed) as caught:
        list(tell(story, steps_up_to("untrusted_issuer")))
    assert caught.value.step == "untrusted_issuer"


def test_what_scripts_read_is_for_its_owner_only(deployment: Deployment, facts: dict[str, Any]) -> None:
    written = json.loads(deployment.file.read_text(encoding="utf-8"))
    assert written == facts
    assert stat.S_IMODE(deployment.file.stat().st_mode) == 0o600
    assert {each["name"] for each in written["people"]} >= {"한지우", "문하람"}
    assert [agency["records"] for agency in written["issuer"]["agencies"].values() if agency["records"]]


def test_commands_work_on_the_demos_apps(saboteur: Saboteur, deployment: Deployment) -> None:
    saboteur.mend()
    jigap = Path(sys.executable).parent / "jigap"
    offer = f"{jigap} issuer offer create drivers-licence-sd-jwt --agency police --subject p04 --json"
    accept = f'{jigap} wallet accept "$uri" --tx-code "$code" --yes --home {deployment.folder}/by-hand --json'
    trust = " ".join(f"--trust {path}" for path in deployment.trust_anchors)
    script = f"""set -eu
    . {deployment.settings_file("issuer")}
    offer=$({offer})
    uri=$(echo "$offer" | {sys.executable} -c "import json, sys; print(json.load(sys.stdin)['uri'])")
    code=$(echo "$offer" | {sys.executable} -c "import json, sys; print(json.load(sys.stdin)['tx_code'])")
    {accept} {trust} --insecure-allow-loopback
    """
    done = subprocess.run(["sh", "-c", script], env=child_environment({}), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [card["name"]["ko"] for card in json.loads(done.stdout)["cards"]] == ["모바일 운전면허증"]


def test_other_ports_than_the_folders_are_refused(deployment: Deployment, facts: dict[str, Any]) -> None:
    with pytest.raises(DemoError) as caught:
        seed(replace(deployment, base_port=deployment.base_port + 1))
    assert "FRESH=1" in caught.value.detail


def test_a_filling_that_was_cut_short_is_begun_anew(tmp_path: Path) -> None:
    cut = Deployment(tmp_path / "state", free_base_port())
    seed(cut)
    cut.file.unlink()
    assert seed(cut)["people"]


def test_a_busy_port_is_named_with_what_to_do(servers: dict[str, Server], deployment: Deployment) -> None:
    with pytest.raises(DemoError) as caught:
        check_ports(deployment)
    assert f"port {deployment.port('issuer')} of the issuer is in use" in caught.value.detail
    assert "BASE_PORT=" in caught.value.detail


def test_ended_from_outside_it_leaves_no_server_and_no_folder(tmp_path: Path) -> None:
    port = free_base_port()
    command = [str(Path(sys.executable).parent / "jigap"), "demo", "--once", "--base-port", str(port)]
    process = subprocess.Popen(
        command, cwd=tmp_path, env=child_environment({"TMPDIR": str(tmp_path)}), stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    for line in process.stdout:
        if "starting three servers" in line:
            break
    for _ in range(3):  # timeout(1) and shells send it more than once
        process.terminate()
        time.sleep(0.3)
    process.communicate(timeout=60)
    assert process.returncode == 143
    check_ports(Deployment(tmp_path, port))
    assert list(tmp_path.iterdir()) == []


def test_the_command_tells_the_story_once_and_leaves_nothing(tmp_path: Path) -> None:
    command = [str(Path(sys.executable).parent / "jigap"), "demo", "--once", "--base-port", str(free_base_port())]
    environment = child_environment({"TMPDIR": str(tmp_path)})
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "모두 맞았어요" in done.stdout
    # Times differ, and steps that had to be tried again say so behind them.
    told = {re.sub(r"  \d+ ms.*", "", line) for line in done.stdout.splitlines()}
    shown = {re.sub(r"  \d+ ms$", "", line) for line in printed_by("make demo")}
    assert shown - told == set(), "the README shows lines that the story does not print"
    assert list(tmp_path.iterdir()) == []
