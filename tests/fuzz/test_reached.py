"""Every public function that reads what comes from outside is called by a fuzz target, or says why it needs none."""

import importlib
import inspect
import pkgutil
import re
import sys
from collections.abc import Callable, Iterator
from types import CodeType, FrameType
from typing import Any

import pytest

import wallet_core
from tests.fuzz.guided_targets import TARGETS

READING = re.compile(r"(parse|read|verify|open|decrypt|loads?|decode|decompress|recognise|resolve)(_|$)")
"""How the names of functions begin that are given what somebody else wrote."""

FILES_OF_THE_OPERATOR = (
    "opens files that whoever runs the server wrote; what they hold is read by a function with a target"
)
NOT_FROM_OUTSIDE = {
    "adapters.config.load_catalogue": FILES_OF_THE_OPERATOR,
    "adapters.config.load_trust_anchors": FILES_OF_THE_OPERATOR,
    "adapters.config.read_catalogue_texts": FILES_OF_THE_OPERATOR,
    "adapters.keystore.open_hsm_signer": "opens a token that whoever runs the server described",
    "adapters.keystore.read_chain": FILES_OF_THE_OPERATOR,
    "adapters.keystore.read_description": FILES_OF_THE_OPERATOR,
    "adapters.keystore.read_statement": FILES_OF_THE_OPERATOR,
    "adapters.trust_files.load_issuer_policy": FILES_OF_THE_OPERATOR,
    "adapters.trust_files.load_roots": FILES_OF_THE_OPERATOR,
    "adapters.trust_files.load_wallet_providers": FILES_OF_THE_OPERATOR,
    "adapters.trust_files.read_trust_list": FILES_OF_THE_OPERATOR,
    "adapters.ui.messages.load_messages": "opens our own translations",
    "encoding.strict_json.loads_own": "reads only what we wrote into the database",
    "protocols.oauth2.authorization_states.open_request": "a transition: of a state and a time, nothing is read",
}


def functions() -> Iterator[tuple[str, Any]]:
    """Every function of a module of the core, by the names of both; one that is cached as what caches it."""
    for found in pkgutil.walk_packages(wallet_core.__path__, "wallet_core."):
        for name, value in vars(importlib.import_module(found.name)).items():
            function = inspect.unwrap(value) if callable(value) else None
            if inspect.isfunction(function) and function.__module__ == found.name:
                yield f"{found.name.removeprefix('wallet_core.')}.{name}", value


ALL = dict(functions())
FUNCTIONS = {
    name: inspect.unwrap(function).__code__ for name, function in ALL.items() if READING.match(name.rpartition(".")[2])
}


def called_by_targets() -> frozenset[CodeType]:
    """What the seeds of all targets call: each of them is a good message."""
    called: set[CodeType] = set()
    # Other tests of this process may have asked the same before.
    for function in ALL.values():
        if hasattr(function, "cache_clear"):
            function.cache_clear()

    def note(frame: FrameType, event: str, _argument: Any) -> None:
        if event == "call":
            called.add(frame.f_code)

    before: Callable[[FrameType, str, Any], object] | None = sys.getprofile()
    sys.setprofile(note)
    try:
        for target in TARGETS.values():
            for seed in target.seeds:
                target.run(seed)
    finally:
        sys.setprofile(before)
    return frozenset(called)


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
def test_every_function_that_reads_is_called_by_a_target() -> None:
    called = called_by_targets()
    missed = {name for name, code in FUNCTIONS.items() if code not in called}
    assert missed - NOT_FROM_OUTSIDE.keys() == set(), "write a target in tests/fuzz, or say why none is needed"
    assert NOT_FROM_OUTSIDE.keys() - missed == set(), "these need no excuse, or are no more"


def test_functions_are_found() -> None:
    assert {"encoding.cbor.loads", "jose.jwe.decrypt", "protocols.openid4vp.standalone.recognise"} <= FUNCTIONS.keys()
    assert len(FUNCTIONS) > 170
