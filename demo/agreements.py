"""What is agreed to with a card: a tax bill is paid, and an answer that agrees to another sum is refused."""

from typing import Any, Final

from demo.stage import CHECKED, WINDOW, Line, Story, expect, nothing_learnt, present, refusal
from demo.stranger import select
from wallet_core.catalogue import Text
from wallet_core.encoding import base64url, strict_json

BILL: Final = "bill-payment"
POLICY: Final = "tax-payment"
AGREED: Final = Text("동의했어요", "agreed")
AMOUNT: Final = 184_000
LESS: Final = 1_000


def pay_tax(story: Story) -> list[Line]:
    """The citizen agrees to pay a bill of the tax window: she reads for whom and how much, and her licence signs it."""
    request = _ask(story, "honest")
    lines = present(story, WINDOW, request, {"licence": {("name",)}}, {})
    record = story.citizen.latest()
    agreed: Any = record.body["transactions"]
    sentence = agreed[0]["sentence"]
    expect(f"{AMOUNT:,}원" in sentence["ko"], f"the wallet's receipt says: {sentence['ko']}")
    result = story.result(WINDOW, request["id"])
    (transaction,) = result["transaction_data"]
    expect(transaction["agreed_with"] == "licence", f"it was agreed with {transaction['agreed_with']}")
    expect(transaction["transaction"]["amount"] == AMOUNT, "the window's bill is another one now")
    check = result["checks"][-1]
    expect(check["name"] == "transaction_data_agreed" and check["ok"], "the window did not check what was agreed to")
    checked = Line(CHECKED, f"check {check['step']} {check['name']}: {check['detail']}")
    return [Line(AGREED, f"{sentence['ko']} · {sentence['en']}"), *lines, checked]


def refuse_changed_payment(story: Story) -> list[Line]:
    """Whoever agrees to a smaller sum than the bill's, or to nothing, has not agreed: the window refuses the answer."""
    now, shown = story.clock.now(), select(story.licence_of_the_other(), ["name"])
    lines: list[Line] = []
    for words, changed in (("금액을 고친 동의 · another sum", True), ("동의 없는 답 · nothing agreed to", False)):
        request = _ask(story, "changed" if changed else "nothing")
        resolved = story.stranger.resolve(
            request["authorization_request"], now=now, transaction_types=story.catalogue.transaction_types
        )
        (entry,) = resolved.request.transaction_data
        agreed = [base64url.encode(strict_json.dumps({**entry.members, "amount": LESS}))] if changed else []
        _, answer = story.stranger.present(resolved, "licence", shown, now=now, agreed=agreed)
        lines.append(refusal(answer, words, {"invalid_request"}))
        lines.append(nothing_learnt(story, WINDOW, request["id"], "transaction_data_agreed"))
    return lines


def _ask(story: Story, name: str) -> dict[str, Any]:
    """Return the tax window's request to agree to a bill."""
    bill = story.catalogue.transactions[BILL]
    transaction = {"type": bill.type, **bill.example, "amount": AMOUNT}
    body = {"policy": POLICY, "transaction_data": [transaction]}
    return story.company(WINDOW).post("/presentations", body, key=f"{story.attempt}-{name}")
