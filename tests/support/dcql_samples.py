"""Random DCQL queries, whole and slightly broken, with small random holdings to ask (OpenID4VP 6 and 7)."""

from collections.abc import Iterator
from copy import deepcopy
from random import Random
from typing import Any

_NAMES = ("name", "age", "address", "list", "nat", "deg")
_KEYS = ("a", "b", "c")
_SCALARS = ("x", "y", "", 1, 0, 2, True, False, None, 1.5, "1")
_TYPES = ("urn:a", "urn:b", "urn:c")
_DOCTYPES = ("org.doc.1", "org.doc.2")
_NAMESPACES = ("ns.1", "ns.2")
_ODD = (
    *(None, 0, -1, 1.5, "", "a b", "x", True, [], {}, [[]], [None], ["x"], [1], {"a": 1}),
    *("vc+sd-jwt", "ldp_vc", "other", ["c0", "nowhere"]),
)
_MEMBERS = (
    *("claims", "claim_sets", "values", "id", "meta", "extra", "required", "credential_sets"),
    *("trusted_authorities", "purpose"),
)


def dcql_samples(seed: int, count: int) -> Iterator[dict[str, Any]]:
    """Return pairs of ``query`` and ``credentials``, these as npm ``dcql`` wants them; each third query is changed."""
    random = Random(seed)  # noqa: S311 - samples, no secrets
    for number in range(count):
        query = _query(random)
        if number % 3 == 2:
            query = _changed(random, query)
        yield {"query": query, "credentials": [_credential(random) for _ in range(random.randint(1, 4))]}


def _query(random: Random) -> dict[str, Any]:
    made: dict[str, Any] = {
        "credentials": [_credential_query(random, number) for number in range(random.randint(1, 3))]
    }
    if random.random() < 0.4:
        ids = [each["id"] for each in made["credentials"]]
        made["credential_sets"] = [_set(random, ids) for _ in range(random.randint(1, 2))]
    return made


def _set(random: Random, ids: list[str]) -> dict[str, Any]:
    made: dict[str, Any] = {"options": [_some(random, ids) for _ in range(random.randint(1, 2))]}
    if random.random() < 0.5:
        made["required"] = random.random() < 0.5
    return made


def _credential_query(random: Random, number: int) -> dict[str, Any]:
    mdoc = random.random() < 0.4
    made: dict[str, Any] = {"id": f"q{number}", "format": "mso_mdoc" if mdoc else "dc+sd-jwt"}
    made["meta"] = {"doctype_value": random.choice(_DOCTYPES)} if mdoc else {"vct_values": _some(random, _TYPES)}
    if random.random() < 0.2:
        made["multiple"] = random.random() < 0.5
    if random.random() < 0.25:
        made["require_cryptographic_holder_binding"] = random.random() < 0.4
    if random.random() < 0.2:
        made["trusted_authorities"] = [{"type": "aki", "values": _some(random, ("AQID", "BAUG", "CgsM"))}]
    if random.random() < 0.8:
        sets = random.random() < 0.35
        made["claims"] = [_claim(random, each, mdoc=mdoc, named=sets) for each in range(random.randint(1, 4))]
        if sets:
            ids = [each["id"] for each in made["claims"]]
            made["claim_sets"] = [_some(random, ids) for _ in range(random.randint(1, 3))]
    return made


def _claim(random: Random, number: int, *, mdoc: bool, named: bool) -> dict[str, Any]:
    path = [random.choice(_NAMESPACES), random.choice(_KEYS)] if mdoc else _path(random)
    made: dict[str, Any] = {"path": path}
    if named or random.random() < 0.3:
        made["id"] = f"c{number}"
    if random.random() < 0.25:
        made["values"] = [random.choice(["x", "y", 1, 2, True, False, "1"]) for _ in range(random.randint(1, 3))]
    return made


def _path(random: Random) -> list[Any]:
    path: list[Any] = [random.choice(_NAMES)]
    while random.random() < 0.5 and len(path) < 4:
        path.append(random.choice([None, 0, 1, *_KEYS]))
    return path


def _credential(random: Random) -> dict[str, Any]:
    made: dict[str, Any] = {"cryptographic_holder_binding": random.random() < 0.8}
    if random.random() < 0.5:
        made["authority"] = {"type": "aki", "values": _some(random, ("AQID", "BAUG", "BwgJ"))}
    if random.random() < 0.6:
        claims = {name: _value(random) for name in _NAMES if random.random() < 0.7}
        return {**made, "credential_format": "dc+sd-jwt", "vct": random.choice(_TYPES), "claims": claims}
    spaces = {
        space: {key: random.choice(["x", 1, True, "y", False, 2]) for key in _KEYS if random.random() < 0.6}
        for space in _NAMESPACES
        if random.random() < 0.8
    }
    return {**made, "credential_format": "mso_mdoc", "doctype": random.choice(_DOCTYPES), "namespaces": spaces}


def _value(random: Random, depth: int = 0) -> Any:
    kind = random.random()
    if depth < 3 and kind < 0.25:
        return {key: _value(random, depth + 1) for key in _KEYS if random.random() < 0.6}
    if depth < 3 and kind < 0.5:
        return [_value(random, depth + 1) for _ in range(random.randrange(4))]
    return random.choice(_SCALARS)


def _some(random: Random, among: Any) -> list[Any]:
    return random.sample(list(among), random.randint(1, len(among)))


def _changed(random: Random, query: dict[str, Any]) -> dict[str, Any]:
    """The query with one place taken out, doubled, added to or replaced."""
    changed = deepcopy(query)
    parent, place = random.choice(list(_places(changed)))
    kind = random.random()
    if kind < 0.3:
        del parent[place]
    elif kind < 0.4 and isinstance(parent, list):
        parent.append(deepcopy(parent[place]))
    elif kind < 0.5 and isinstance(parent, dict):
        parent[random.choice(_MEMBERS)] = deepcopy(random.choice(_ODD))
    else:
        parent[place] = deepcopy(random.choice(_ODD))
    return changed


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for place, child in children:
        yield value, place
        yield from _places(child)
