"""Companies that ask for more than they may: what the wallet says of it, and what the company learns."""

from typing import Any, Final

from demo.stage import CHECKED, SHOP, Line, Story, expect, failed_check, times
from holder_app.presentation.describe import RequestView
from wallet_core.catalogue import Text
from wallet_core.protocols.openid4vp.verifier_info import Standing
from wallet_core.spec_versions import FORMAT_SD_JWT_VC
from wallet_core.types import JsonObject

POLICY: Final = "adult-check"
"""What the shop is registered for: whether somebody is an adult, and nothing else."""

WARNED: Final = Text("지갑이 알렸어요", "the wallet warned")
NOT_SENT: Final = Text("안 보냈어요", "declined")
_ALLOWED, _BEYOND = ["adult_by_year"], (["name"], ["address", "full"])


def catch_over_asking(story: Story) -> list[Line]:
    """A shop registered to ask whether somebody is an adult asks for name and address too, and learns nothing."""
    honest = _review(story, {"policy": POLICY})
    expect(honest.standing.standing is Standing.REGISTERED, f"the shop is {honest.standing.standing}")
    expect(not honest.standing.over_asked, "the wallet warns of what the shop is registered for")
    request = _ask(story, {"dcql_query": _query(story), "registration": POLICY})
    presentation_id, view = story.citizen.review(request["authorization_request"])
    expect(view.standing.standing is Standing.REGISTERED, f"the shop is {view.standing.standing}")
    (pick,) = view.groups[0].alternatives[0]
    over = {tuple(asked.field.path) for asked in pick.asked if asked.over_asked}
    expect(over == {tuple(path) for path in _BEYOND}, f"the wallet warns of {sorted(over)}")
    expect(len(view.standing.over_asked) == len(_BEYOND), "the summary does not name each claim")
    record = story.citizen.decline(presentation_id)
    kept: Any = record.body["registration"]
    expect(len(kept["over_asked"]) == len(_BEYOND), "the history does not keep what was asked beyond the registration")
    result = story.result(SHOP, request["id"])
    expect(result["state"] == "refused", f"the shop's result is {result['state']}")
    expect(result["error"] == "access_denied", f"the shop was told {result['error']}")
    expect(not result["credentials"] and not failed_check(result), "the shop learnt something")
    labels = ", ".join(label["ko"] for label in view.standing.over_asked)
    return [
        Line(WARNED, f"{view.name['ko']}: {labels}"),
        Line(NOT_SENT, f"the shop learns {result['error']}, and nothing else"),
        Line(CHECKED, f"registered for {POLICY} until {view.standing.until:%Y-%m-%d}"),
        times(story),
    ]


def _query(story: Story) -> JsonObject:
    paths = [_ALLOWED, *_BEYOND]
    vct = story.catalogue.types["drivers-licence"].vct
    claims: Any = [{"path": path} for path in paths]
    return {
        "credentials": [{"id": "licence", "format": FORMAT_SD_JWT_VC, "meta": {"vct_values": [vct]}, "claims": claims}]
    }


def _ask(story: Story, body: JsonObject) -> dict[str, Any]:
    key = f"{story.attempt}-{SHOP}-{'-'.join(body)}"
    return story.company(SHOP).post("/presentations", body, key=key)


def _review(story: Story, body: JsonObject) -> RequestView:
    return story.citizen.review(_ask(story, body)["authorization_request"])[1]
