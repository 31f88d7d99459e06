"""Orders to replace the copies of many people: every state with every input."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from issuer.issuance.bulk import (
    BulkOrder,
    Cancelled,
    Done,
    Paused,
    Progress,
    Running,
    bulk_from_json,
    bulk_kind,
    bulk_to_json,
    cancel,
    go_on,
    pause,
    resume,
)
from wallet_core.encoding import strict_json
from wallet_core.errors import StateConflict, WalletError

numbers = st.integers(0, 10**9)
texts = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\x00"), max_size=20)
orders = st.builds(
    BulkOrder, texts, st.integers(0, 90).map(lambda n: timedelta(days=n)), texts, texts, numbers, numbers
)
progress = st.builds(Progress, texts, numbers, numbers)
states = st.one_of([st.builds(kind, orders, progress) for kind in (Running, Paused, Done, Cancelled)])

INPUTS = {
    "chunk": lambda state: go_on(state, cursor="p", subjects=1, copies=2),
    "last": lambda state: go_on(state, cursor=None, subjects=1, copies=2),
    "pause": pause,
    "resume": resume,
    "cancel": cancel,
}
MOVES = {
    ("running", "chunk"): "running",
    ("running", "last"): "done",
    ("running", "pause"): "paused",
    ("running", "resume"): "running",
    ("running", "cancel"): "cancelled",
    ("paused", "pause"): "paused",
    ("paused", "resume"): "running",
    ("paused", "cancel"): "cancelled",
    ("cancelled", "cancel"): "cancelled",
}


@pytest.mark.parametrize("name", INPUTS)
@given(state=states)
def test_every_state_and_input_is_in_the_table(name, state):
    try:
        outcome = bulk_kind(INPUTS[name](state))
    except WalletError as error:
        outcome = type(error)
    assert outcome == MOVES.get((bulk_kind(state), name), StateConflict)


@given(states)
def test_states_survive_storage(state):
    body = strict_json.loads_object(strict_json.dumps(bulk_to_json(state)))
    assert bulk_from_json(bulk_kind(state), body) == state


@given(orders, progress)
def test_progress_adds_up_and_the_last_chunk_keeps_its_place(order, before):
    after = go_on(Running(order, before), cursor=None, subjects=3, copies=9)
    assert after == Done(order, Progress(before.cursor, before.subjects + 3, before.copies + 9))
