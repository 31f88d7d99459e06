"""Issuing: claims become Digests in a signed payload, and Disclosures beside it (RFC 9901 sections 4 and 6).

The invariant: the order of the Digests says nothing about the order of the claims (they are sorted), and every salt is
fresh: 144 random bits, all salts of a credential from one call.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from wallet_core.encoding import base64url, strict_json
from wallet_core.formats.sd_jwt.disclosure import (
    DEFAULT_DIGEST_ALGORITHM,
    DIGEST_ALGORITHMS,
    DOTS,
    SD,
    SD_ALG,
    digest_of,
    refuse_reserved_names,
)
from wallet_core.jose import jws
from wallet_core.keys.signer import Signer
from wallet_core.types import ClaimsPath, Json, JsonObject, RandomBytes

SALT_BYTES: Final = 18
"""RFC 9901 9.3 recommends at least 16; 18 bytes are 24 characters of base64url with nothing left over."""

_SALT_CHARACTERS: Final = 24
_PLAN_CACHE: Final = 512


@dataclass(frozen=True, slots=True)
class _Plan:
    """What to hide below one place: the selectively disclosable paths as a tree."""

    hidden: bool = False
    children: "dict[str | int | None, _Plan]" = field(default_factory=dict)


_NOTHING: Final = _Plan()


def create_sd_jwt(
    *,
    claims: JsonObject,
    selectively_disclosable: Sequence[ClaimsPath],
    encoded_header: str,
    signer: Signer,
    random: RandomBytes,
    decoys: int = 0,
    digest_algorithm: str = DEFAULT_DIGEST_ALGORITHM,
) -> str:
    """Return an SD-JWT: the Issuer-signed JWT and all its Disclosures, each followed by a tilde (RFC 9901 4).

    Args:
        claims: the payload in clear.
        selectively_disclosable: which claims become Disclosures. None stands for every element of an array. A path
            whose parent is selectively disclosable too gives a recursive Disclosure (4.2.6). A path that does not occur
            in ``claims`` is passed over.
        encoded_header: the protected header as ``jws.encode_header`` gives it.
        signer: the issuer's key.
        random: source of salts and decoys.
        decoys: decoy Digests in every object that has Digests (4.2.5).
        digest_algorithm: one of ``DIGEST_ALGORITHMS``.

    Raises:
        ValueError: reserved names in ``claims``, or a path that meets a value of another type: what it meant to hide
            would otherwise be signed in clear.
        KeyUnavailable: the signer cannot sign now.
    """
    # rfc9901-4.1-reserved-names
    refuse_reserved_names(claims)
    plan = _plan(tuple(selectively_disclosable))
    concealer = _Concealer(_count(claims, plan, decoys), random, digest_algorithm, decoys)
    payload = concealer.conceal_object(claims, plan)
    if concealer.disclosures:
        payload[SD_ALG] = digest_algorithm
    data = jws.signing_input_for(encoded_header, strict_json.dumps(payload))
    issuer_jwt = b"%b.%b" % (data, base64url.encode_to_bytes(signer.sign(data)))
    return b"~".join((issuer_jwt, *concealer.disclosures, b"")).decode("ascii")


class _Concealer:
    """One walk through claims; ``disclosures`` fills up, children before their parents."""

    __slots__ = ("_decoys", "_hash_function", "_salts", "disclosures")

    def __init__(self, salts: int, random: RandomBytes, digest_algorithm: str, decoys: int) -> None:
        text = base64url.encode(random(SALT_BYTES * salts)) if salts else ""
        self._salts = iter([text[at : at + _SALT_CHARACTERS] for at in range(0, len(text), _SALT_CHARACTERS)])
        self._hash_function = DIGEST_ALGORITHMS[digest_algorithm]
        self._decoys = decoys
        self.disclosures: list[bytes] = []

    def conceal_object(self, source: JsonObject, plan: _Plan) -> JsonObject:
        visible: JsonObject = {}
        hidden: list[tuple[Json, ...]] = []
        children, salts = plan.children, self._salts
        for name, value in source.items():
            child = children.get(name)
            if child is None:
                visible[name] = value
                continue
            concealed = self._conceal(value, child) if child.children else value
            if child.hidden:
                hidden.append((next(salts), name, concealed))
            else:
                visible[name] = concealed
        if hidden:
            hash_function = self._hash_function
            digests = base64url.encode_each([hash_function(each).digest() for each in self._hide(hidden)])
            # 4.2.5: a decoy is the digest of something random, so that nobody can tell it from a withheld claim.
            # rfc9901-4.2.5-decoys
            digests += [digest_of(next(salts).encode("ascii"), hash_function) for _ in range(self._decoys)]
            # 4.2.4.1: the order must not give away that of the claims.
            # rfc9901-4.2.4.1-order
            visible[SD] = [*sorted(digests)]
        return visible

    def _conceal(self, value: Json, plan: _Plan) -> Json:
        if not plan.children:
            return value
        if isinstance(value, dict):
            return self.conceal_object(value, plan)
        assert isinstance(value, list)  # noqa: S101 - _count went the same way and refused everything else
        return [self._conceal_element(item, _element_plan(plan, index)) for index, item in enumerate(value)]

    def _conceal_element(self, value: Json, plan: _Plan) -> Json:
        concealed = self._conceal(value, plan)
        if not plan.hidden:
            return concealed
        [disclosure] = self._hide([(next(self._salts), concealed)])
        return {DOTS: digest_of(disclosure, self._hash_function)}

    def _hide(self, contents: list[tuple[Json, ...]]) -> list[bytes]:
        """Return the Disclosures of ``contents``, and keep them."""
        disclosures = base64url.encode_all(strict_json.dumps_each(contents))
        self.disclosures += disclosures
        return disclosures


@lru_cache(maxsize=_PLAN_CACHE)
def _plan(paths: tuple[ClaimsPath, ...]) -> _Plan:
    """Return the tree of ``paths``. A credential type has one list, so this is computed once for each type."""
    root = _Plan()
    for path in paths:
        _insert(root, path)
    return root


def _insert(plan: _Plan, path: ClaimsPath) -> None:
    first, *rest = path
    child = plan.children.get(first, _Plan())
    plan.children[first] = child = _Plan(child.hidden or not rest, child.children)
    if rest:
        _insert(child, tuple(rest))


def _element_plan(plan: _Plan, index: int) -> _Plan:
    """Return what to hide at one index of an array: what was said of it and what was said of every element."""
    every, this = plan.children.get(None), plan.children.get(index)
    if every is None or this is None:
        return every or this or _NOTHING
    return _merge(every, this)


def _merge(one: _Plan, other: _Plan) -> _Plan:
    children = dict(one.children)
    for key, child in other.children.items():
        children[key] = _merge(children[key], child) if key in children else child
    return _Plan(one.hidden or other.hidden, children)


def _count(value: Json, plan: _Plan, decoys: int) -> int:
    """Return how many salts it takes to conceal ``value``; refuse a plan that does not fit it (ValueError)."""
    if not plan.children:
        return 0
    if isinstance(value, dict):
        return _count_members(value, plan, decoys)
    if not isinstance(value, list) or any(isinstance(key, str) for key in plan.children):
        raise ValueError("a selectively disclosable path does not fit the claims")
    plans = [_element_plan(plan, index) for index in range(len(value))]
    return sum(child.hidden + _count(item, child, decoys) for item, child in zip(value, plans, strict=True))


def _count_members(value: JsonObject, plan: _Plan, decoys: int) -> int:
    count = hidden = 0
    for name, child in plan.children.items():
        if not isinstance(name, str):
            raise ValueError("a selectively disclosable path does not fit the claims")  # noqa: TRY004 - of the caller
        if name in value:
            hidden += child.hidden
            if child.children:
                count += _count(value[name], child, decoys)
    return count + hidden + (decoys if hidden else 0)
