"""A step of the story: the bank keeps the record of a check, and an auditor looks at it without the bank."""

from demo.stage import BANK, CHECKED, Line, Story, StoryFailed, expect
from demo.stranger import select
from wallet_core.protocols.openid4vp.record import parse_record
from wallet_core.protocols.openid4vp.record_audit import Audit, AuditStep, Brought, Finding, audit_record

POLICY = "parcel-pickup"


def audit_record_of_a_check(story: Story) -> list[Line]:
    """The record of a check stands before an auditor who has the roots only; one changed byte is found out."""
    credential, now = story.licence_of_the_other(), story.clock.now()
    request = story.request(BANK, POLICY)
    resolved = story.stranger.resolve(request["authorization_request"], now=now)
    presentation, taken = story.stranger.present(resolved, "licence", select(credential, ["name"]), now=now)
    expect(taken.response.ok, f"the answer was refused with {taken.response.status} {taken.error}")
    record = story.company(BANK).download(f"/presentations/{request['id']}/record")
    status = story.client.last.response.status
    found = _audit(story, record, presentation)
    refused = found.refused_at
    expect(refused is None, f"the record was refused at step {refused.step if refused else 0}")
    claims = found.claims["licence"]
    # This policy keeps no claim.
    expect(claims == [{}] and not parse_record(record).disclosures, "the record shows more than the policy keeps")
    looked = sum(one.ok is True for one in found.findings)
    changed = _audit(story, _with_one_byte_changed(record), presentation).refused_at
    if changed is None or changed.step is not AuditStep.SEAL:
        raise StoryFailed("", "a changed byte was not noticed")
    return [
        Line(
            CHECKED,
            f"검증 기록: 감사인이 {looked}가지를 확인 · the record (HTTP {status}) stands, "
            f"{looked} of {len(found.findings)} steps",
        ),
        Line(CHECKED, f"한 글자 고치면 · one byte changed → {_refused(changed)}"),
    ]


def _refused(finding: Finding) -> str:
    """Return where an audit refused. It is a program at the auditor's, so there is no HTTP status."""
    return f"audit step {finding.step} {finding.step.name.lower()}: {finding.detail}"


def _audit(story: Story, record: str, presentation: str) -> Audit:
    brought = Brought(story.stranger.anchors, presentations=[presentation])
    return audit_record(record, brought, now=story.clock.now())


def _with_one_byte_changed(record: str) -> str:
    signed, tilde, rest = record.partition("~")
    head, letter = signed[:-10], signed[-10]
    return f"{head}{'A' if letter != 'A' else 'B'}{signed[-9:]}{tilde}{rest}"
