"""What a wallet does with an SD-JWT: know what is in it, choose what to show, bind it to its key (RFC 9901 7.2).

The invariant: a presentation holds each Disclosure at most once, with those it hangs from, in the issuer's order.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import lru_cache

from wallet_core.encoding import base64url, strict_json
from wallet_core.encoding.claims_path import ConcretePath, value_at
from wallet_core.errors import MalformedError
from wallet_core.formats.sd_jwt.disclosure import digest_of, hash_function_of, open_disclosures
from wallet_core.formats.sd_jwt.verifier import parse_sd_jwt
from wallet_core.jose import jws
from wallet_core.keys.algorithms import SignatureAlgorithm
from wallet_core.spec_versions import TYP_KEY_BINDING
from wallet_core.types import HashFunction, Json, JsonObject, Nonce
from wallet_core.values import statically_frozen


@statically_frozen
class HeldSdJwt:
    """A credential as the wallet keeps it: everything in it, and which Disclosure opens what.

    Attributes:
        issuer_jwt: the Issuer-signed JWT with its tilde.
        disclosures: all Disclosures, encoded, in the issuer's order.
        numbers: for each path in ``claims`` that a Disclosure opens, the number of that Disclosure; in their order.
        header: the protected header of the Issuer-signed JWT.
        claims: all claims, as if everything were disclosed.
        hash_function: what ``_sd_alg`` names.
    """

    issuer_jwt: str
    disclosures: tuple[str, ...]
    numbers: Mapping[ConcretePath, int]
    header: JsonObject
    claims: JsonObject
    hash_function: HashFunction

    @property
    def paths(self) -> tuple[ConcretePath, ...]:
        """For each Disclosure, the path in ``claims`` it opens."""
        return tuple(self.numbers)

    @property
    def text(self) -> str:
        """The SD-JWT with all its Disclosures, as the issuer sent it."""
        return self.issuer_jwt + "".join(f"{disclosure}~" for disclosure in self.disclosures)

    def select(self, disclose: Collection[ConcretePath]) -> str:
        """Return the SD-JWT with only the Disclosures that show these elements (RFC 9901 7.2).

        It is a presentation without key binding. An element that is not selectively disclosable is shown anyway.

        Args:
            disclose: paths in ``claims``; each shows its element whole.

        Raises:
            ValueError: a path is not in this credential.
        """
        numbers = sorted({number for path in disclose for number in self.needed(path)})
        disclosures = self.disclosures
        return "~".join((self.issuer_jwt[:-1], *[disclosures[number] for number in numbers], ""))

    def needed(self, path: ConcretePath) -> list[int]:
        """Return the numbers of the Disclosures that show one element whole.

        They are those it hangs from, its own, and those below it.

        Raises:
            ValueError: the path is not in this credential.
        """
        if not path:
            raise ValueError("a path names an element; all of them are named one by one")
        numbers, length = self.numbers, len(path)
        try:
            value = value_at(self.claims, path)
        except MalformedError as exc:
            raise ValueError("there is no such path in the credential") from exc
        # rfc9901-7.2-parents
        found = [numbers[path[:end]] for end in range(1, length + 1) if path[:end] in numbers]
        if isinstance(value, (dict, list)):
            found += [number for place, number in numbers.items() if len(place) > length and place[:length] == path]
        return found


@statically_frozen
class KeyBindingToSign:
    """A presentation that lacks only the holder's signature.

    Attributes:
        sd_jwt: the SD-JWT with the chosen Disclosures, last tilde included.
        signing_input: the exact bytes to sign with the key that ``cnf`` names.
    """

    sd_jwt: str
    signing_input: bytes

    def attach(self, signature: bytes) -> str:
        """Return the SD-JWT+KB with the JOSE-form ``signature`` of :attr:`signing_input`."""
        return self.sd_jwt + jws.attach_signature(self.signing_input, signature)


def index_sd_jwt(text: str) -> HeldSdJwt:
    """Return what a wallet keeps of an SD-JWT it received.

    RFC 9901 7.2. Not done here: the issuer's signature, trust and times; see ``verifier.verify_sd_jwt``.

    Raises:
        MalformedError: not an SD-JWT, or one with a Key Binding JWT, which a holder must refuse from an issuer.
        VerificationError: Disclosures and Digests do not fit together; ``step`` as in ``verifier.verify_sd_jwt``.
    """
    sd_jwt = parse_sd_jwt(text)
    # RFC 9901 7.2: "the Holder MUST NOT accept an SD-JWT+KB from the Issuer".
    # rfc9901-7.2-no-kb-from-issuer
    if sd_jwt.key_binding_jwt is not None:
        raise MalformedError("an issuer must not send a Key Binding JWT", clause="RFC 9901 7.2")
    payload = sd_jwt.issuer_jws.claims()
    opened = open_disclosures(payload, sd_jwt.disclosures)
    return HeldSdJwt(
        issuer_jwt=text[: text.index("~") + 1],
        disclosures=sd_jwt.disclosures,
        numbers={path: number for number, path in enumerate(opened.paths)},
        header=sd_jwt.issuer_jws.header,
        claims=opened.claims,
        hash_function=hash_function_of(payload),
    )


def create_key_binding(
    held: HeldSdJwt,
    disclose: Collection[ConcretePath],
    *,
    audience: str,
    nonce: Nonce,
    issued_at: datetime,
    algorithm: SignatureAlgorithm,
    transaction_data_hashes: Sequence[str] = (),
    transaction_data_hashes_alg: str | None = None,
) -> KeyBindingToSign:
    """Return a presentation of the chosen claims, ready for the holder's key to sign (RFC 9901 4.3, 7.2).

    Args:
        held: the credential.
        disclose: paths in ``held.claims``; each shows its element whole. Empty shows what is never hidden.
        audience: the Verifier's full Client Identifier.
        nonce: the request's nonce.
        issued_at: now.
        algorithm: that of the holder's key.
        transaction_data_hashes: OpenID4VP B.3.3.
        transaction_data_hashes_alg: their algorithm, where the request named one.

    Raises:
        ValueError: a path is not in this credential.
    """
    sd_jwt = held.select(disclose)
    payload: dict[str, Json] = {
        "iat": int(issued_at.timestamp()),
        "aud": audience,
        "nonce": nonce,
        "sd_hash": digest_of(sd_jwt.encode("ascii"), held.hash_function),
    }
    if transaction_data_hashes:
        payload["transaction_data_hashes"] = [*transaction_data_hashes]
        if transaction_data_hashes_alg is not None:
            payload["transaction_data_hashes_alg"] = transaction_data_hashes_alg
    return KeyBindingToSign(sd_jwt, jws.signing_input_for(_encoded_header(algorithm), strict_json.dumps(payload)))


@lru_cache
def _encoded_header(algorithm: SignatureAlgorithm) -> str:
    return base64url.encode(strict_json.dumps({"alg": algorithm.value, "typ": TYP_KEY_BINDING}))
