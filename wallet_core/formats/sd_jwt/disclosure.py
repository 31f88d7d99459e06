"""Disclosures and Digests, and putting the former where the latter stand (RFC 9901 sections 4.2 and 7.1).

The invariant: a claim appears in :attr:`OpenedPayload.claims` only if it stood in the signed payload or hangs from it
by a chain of Digests, each met exactly once.
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Final, cast

from wallet_core.encoding import base64url, strict_json
from wallet_core.encoding.claims_path import ConcretePath
from wallet_core.errors import MalformedError, VerificationError
from wallet_core.types import HashFunction, Json, JsonObject
from wallet_core.values import statically_frozen

MAX_DISCLOSURES: Final = 1000
"""Disclosures of one SD-JWT: the largest example of the catalogue has 71; long lists of family or grades have more."""

SD: Final = "_sd"
SD_ALG: Final = "_sd_alg"
DOTS: Final = "..."
RESERVED_NAMES: Final = frozenset({SD, SD_ALG, DOTS})
"""Names that no claim may have (RFC 9901 4.1)."""

DEFAULT_DIGEST_ALGORITHM: Final = "sha-256"

_CONTAINERS: Final[frozenset[type]] = frozenset({dict, list})


# RFC 9901 9.4: the registry holds truncated hashes too, so the acceptable ones are listed, never looked up.
DIGEST_ALGORITHMS: Final[dict[str, HashFunction]] = {
    "sha-256": hashlib.sha256,
    "sha-384": hashlib.sha384,
    "sha-512": hashlib.sha512,
}
"""Acceptable values of ``_sd_alg`` (names of the IANA registry "Named Information Hash Algorithm")."""


@statically_frozen
class OpenedPayload:
    """A payload with every disclosed claim in its place and no trace of the rest.

    Attributes:
        claims: the Processed SD-JWT Payload (RFC 9901 7.1).
        paths: for each Disclosure, in the order of the SD-JWT, the path of the claim it opens in ``claims``.
        gaps: for each array that lost undisclosed elements, by its path in ``claims``: the index that each element left
            had in the signed payload.
        hiding: the top-level members that have a place for a Digest somewhere in them.
    """

    claims: JsonObject
    paths: tuple[ConcretePath, ...]
    gaps: dict[ConcretePath, tuple[int, ...]]
    hiding: frozenset[str | int]


def digest_of(text: bytes, hash_function: HashFunction) -> str:
    """Return the Digest of a Disclosure, or the ``sd_hash`` of a presentation (RFC 9901 4.2.3, 4.3.1).

    Args:
        text: the ASCII bytes of the text; the hash is over its characters, not over what they encode.
        hash_function: one of :data:`DIGEST_ALGORITHMS`.
    """
    return base64url.encode(hash_function(text).digest())


def hash_function_of(payload: JsonObject) -> HashFunction:
    """Return the hash function that the payload of an Issuer-signed JWT names (RFC 9901 4.1.1).

    Raises:
        VerificationError: ``_sd_alg`` is not one of :data:`DIGEST_ALGORITHMS`.
    """
    name = payload.get(SD_ALG, DEFAULT_DIGEST_ALGORITHM)
    # rfc9901-4.1.1-sd-alg
    if not isinstance(name, str) or name not in DIGEST_ALGORITHMS:
        raise VerificationError("the digest algorithm of the SD-JWT is not acceptable", step=2, clause="RFC 9901 7.1")
    return DIGEST_ALGORITHMS[name]


def open_disclosures(payload: JsonObject, disclosures: Sequence[str]) -> OpenedPayload:
    """Put every Disclosure where its Digest stands and remove what is left of the mechanism.

    RFC 9901 7.1, steps 2.d to 5. The steps below are numbered as in ``verifier.verify_sd_jwt``, which this is part of.

    Steps:
        2. ``_sd_alg`` is acceptable.
        3. Every Disclosure is well-formed, fits its place, and brings no name that is reserved or taken.
        4. No Digest occurs twice.
        5. Every Disclosure was referenced by a Digest.

    Not done here: signature and validity times.

    Raises:
        VerificationError: a step failed; ``step`` is its number.
    """
    opening = _Opening(disclosures, hash_function_of(payload))
    claims = opening.open_object(payload, ())
    claims.pop(SD_ALG, None)
    # 5. Whatever was sent but hangs from no Digest was not signed by the issuer.
    paths = tuple([path for path in opening.paths if path is not None])
    # rfc9901-7.1-unreferenced
    if len(paths) != len(disclosures):
        raise VerificationError("a Disclosure is not referenced by any Digest", step=5, clause="RFC 9901 7.1")
    return OpenedPayload(claims, paths, opening.gaps, frozenset(opening.hiding))


def refuse_reserved_names(value: Json) -> None:
    """Check that claims about to be issued use none of the names RFC 9901 4.1 reserves.

    Raises:
        ValueError: one of them does.
    """
    elements: Iterable[Json] = ()
    if isinstance(value, dict):
        if SD in value or DOTS in value or SD_ALG in value:
            raise ValueError("claims may not use the names _sd, _sd_alg and ... (RFC 9901 4.1)")
        elements = value.values()
    elif isinstance(value, list):
        elements = value
    # One look for all of them first: most objects hold no other.
    if _CONTAINERS.isdisjoint(map(type, elements)):
        return
    for element in elements:
        if isinstance(element, (dict, list)):
            refuse_reserved_names(element)


class _Opening:
    """One walk through a payload; ``paths`` fills up as Digests are met."""

    __slots__ = ("_contents", "_numbers", "_seen", "gaps", "hiding", "paths")

    def __init__(self, texts: Sequence[str], hash_function: HashFunction) -> None:
        self._contents = _parse_disclosures(texts)
        digests = base64url.encode_each([hash_function(text.encode("ascii")).digest() for text in texts])
        self._numbers = {digest: number for number, digest in enumerate(digests)}
        # RFC 9901 7.2: a Disclosure must not be sent more than once.
        # rfc9901-7.2-disclosure-once
        if len(self._numbers) != len(texts):
            raise VerificationError("a Disclosure was sent twice", step=4, clause="RFC 9901 7.2")
        self._seen: set[str] = set()
        self.paths: list[ConcretePath | None] = [None] * len(texts)
        self.gaps: dict[ConcretePath, tuple[int, ...]] = {}
        self.hiding: set[str | int] = set()

    def _open_value(self, value: JsonObject | list[Json], path: ConcretePath) -> Json:
        return self.open_object(value, path) if isinstance(value, dict) else self._open_array(value, path)

    def open_object(self, source: JsonObject, path: ConcretePath) -> JsonObject:
        if len(path) > strict_json.MAX_DEPTH:
            raise _too_deep()
        # RFC 9901 4.2.4.2: "..." stands only in an array, alone in its object.
        # rfc9901-4.2.4.2-dots-in-array
        if DOTS in source:
            raise VerificationError("a claim is named ...", step=3, clause="RFC 9901 4.2.4.2")
        # RFC 9901 4.1.1: only at the top level.
        # rfc9901-4.1.1-top-level
        if path and SD_ALG in source:
            raise VerificationError("_sd_alg stands below the top level", step=3, clause="RFC 9901 4.1.1")
        result: JsonObject = {}
        for name, value in source.items():
            if name == SD:
                continue
            if isinstance(value, dict):
                result[name] = self.open_object(value, (*path, name))
            else:
                result[name] = self._open_array(value, (*path, name)) if isinstance(value, list) else value
        if SD in source:
            self.hiding.update(path[:1])
            self._open_members(source[SD], result, path)
        return result

    def _open_members(self, digests: Json, result: JsonObject, path: ConcretePath) -> None:
        # RFC 9901 4.2.4.1: an array of strings, possibly empty.
        # rfc9901-4.2.4.1-array
        if not isinstance(digests, list):
            raise VerificationError("_sd is not an array", step=3, clause="RFC 9901 4.2.4.1")
        contents = self._contents
        for number in self._find(digests):
            name, value = _member(contents[number])
            # 7.1, step 3.c.ii: a name that is not reserved and not taken at this level.
            # rfc9901-7.1-name
            if name in RESERVED_NAMES or name in result:
                raise VerificationError("a Disclosure brings a reserved or taken name", step=3, clause="RFC 9901 7.1")
            self.paths[number] = place = (*path, name)
            result[name] = self._open_value(value, place) if isinstance(value, (dict, list)) else value

    def _open_array(self, source: list[Json], path: ConcretePath) -> list[Json]:
        if len(path) > strict_json.MAX_DEPTH:
            raise _too_deep()
        result: list[Json] = []
        kept: list[int] = []
        for index, element in enumerate(source):
            place = (*path, len(result))
            if isinstance(element, dict) and DOTS in element:
                self.hiding.update(path[:1])
                # RFC 9901 4.2.4.2: no other member may stand beside "...".
                # rfc9901-4.2.4.2-dots-alone
                if len(element) != 1:
                    raise VerificationError("a member stands beside ...", step=3, clause="RFC 9901 4.2.4.2")
                found = self._find([element[DOTS]])
                # 7.1, step 3.d: an element whose Digest was not found is removed.
                # rfc9901-7.1-undisclosed
                if not found:
                    continue
                self.paths[found[0]] = place
                element = _element(self._contents[found[0]])  # noqa: PLW2901 - the Digest stands for this
            result.append(self._open_value(element, place) if isinstance(element, (dict, list)) else element)
            kept.append(index)
        if len(kept) != len(source):
            self.gaps[path] = tuple(kept)
        return result

    def _find(self, digests: list[Json]) -> list[int]:
        """Return the numbers of the Disclosures with these Digests; those that are withheld, and decoys, have none."""
        # rfc9901-4.2.3-digest
        if not {*map(type, digests)} <= {str}:
            raise VerificationError("a Digest is not a string", step=3, clause="RFC 9901 4.2.4")
        here = set(cast("list[str]", digests))
        # 4. Also among Digests whose Disclosure is not here, and inside Disclosures.
        # rfc9901-7.1-digest-twice
        if len(here) != len(digests) or not here.isdisjoint(self._seen):
            raise VerificationError("a Digest occurs twice", step=4, clause="RFC 9901 7.1")
        self._seen |= here
        numbers = self._numbers
        return [numbers[digest] for digest in cast("list[str]", digests) if digest in numbers]


def _too_deep() -> VerificationError:
    # Each text is shallow by itself; Disclosures nested in each other could still exhaust the stack.
    return VerificationError(f"claims are nested deeper than {strict_json.MAX_DEPTH} levels", step=3)


def _parse_disclosures(texts: Sequence[str]) -> list[list[Json]]:
    try:
        decoded = [base64url.decode(text, what="a Disclosure") for text in texts]
        values = strict_json.loads_each(decoded, what="a Disclosure")
    except MalformedError as exc:
        raise VerificationError(exc.description, step=3, clause="RFC 9901 4.2") from exc
    for value in values:
        # RFC 9901 4.2.1, 4.2.2: an array that begins with the salt, a string.
        # rfc9901-4.2-salt
        if not isinstance(value, list) or not value or not isinstance(value[0], str):
            raise VerificationError("a Disclosure does not begin with a salt", step=3, clause="RFC 9901 4.2")
    return cast("list[list[Json]]", values)


def _member(contents: list[Json]) -> tuple[str, Json]:
    # 7.1, step 3.c.ii: three elements, the name a string (4.2.1).
    # rfc9901-4.2.1-member
    if len(contents) == 3 and isinstance(contents[1], str):
        return contents[1], contents[2]
    raise VerificationError("a Disclosure of a member is no [salt, name, value]", step=3, clause="RFC 9901 7.1")


def _element(contents: list[Json]) -> Json:
    # 7.1, step 3.c.iii.
    # rfc9901-4.2.2-element
    if len(contents) != 2:
        raise VerificationError("a Disclosure of an element is no [salt, value]", step=3, clause="RFC 9901 7.1")
    return contents[1]
