"""Between judging an answer and noting it other answers are looked at: what is noted is what it was judged under."""

from dataclasses import replace
from pathlib import Path

from tests.bench.verifying import VerifierWorld
from verifier.presentations.use_cases import protocol
from wallet_core.encoding import strict_json
from wallet_core.protocols.openid4vp.statuses import StatusLook


def test_a_trust_list_that_comes_after_the_judgement_is_not_noted(tmp_path: Path) -> None:
    world = VerifierWorld(tmp_path, f"sqlite:///{tmp_path}/verifier.db", "http://localhost:8199")
    (post,) = world.posts(1, in_memory=False)
    counting = [{"anchors_sha256": "first", "list": None}, {"anchors_sha256": "second", "list": None}]
    ports = replace(world.verifier.presentations, trust_version=lambda _now: counting.pop(0))
    with (storage := ports.looking()).unit:
        stored = storage.presentations.by_request_id(post.path.rpartition("/")[2])
    answer = protocol.read_answer(ports, stored, post.media_type, post.body.encode())
    judged = protocol.judge_answer(ports, answer, StatusLook(world.verifier.status_lists))
    verdict = protocol.conclude(ports, judged)
    assert verdict.error is None
    noted = strict_json.loads_own(verdict.notes.body)
    assert (noted["trust"], noted["answer"]["received_at"]) == (
        {"anchors_sha256": "first", "list": None},
        int(judged.at.timestamp()),
    )
