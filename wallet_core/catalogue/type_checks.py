"""Rules between the parts of credential types: what ``jigap catalogue check`` demands of ``credentials/*.toml``."""

from collections.abc import Collection, Iterator, Sequence
from datetime import date
from typing import Final

from wallet_core.catalogue.credential_type import Claim, ClaimType, CredentialType, Sensitivity
from wallet_core.catalogue.derivation import DATE_RULES, derive, plan_signing, prepare_claims
from wallet_core.catalogue.paths import path_text, select
from wallet_core.catalogue.source import Document
from wallet_core.catalogue.text import LANGUAGES
from wallet_core.catalogue.validation import value_problems
from wallet_core.spec_versions import DOCTYPE_MDL, FORMAT_SD_JWT_VC, MDL_MANDATORY
from wallet_core.types import AgencyId, ClaimsPath

# RFC 7519 4.1, SD-JWT VC 3.2.2.2, RFC 9901 4.2.4.1 and 4.2.4.2: names with a meaning of their own.
_EVERYWHERE: Final = frozenset({"_sd", "..."})
_AT_THE_TOP: Final = frozenset(
    {"iss", "sub", "aud", "iat", "nbf", "exp", "jti", "cnf", "vct", "vct#integrity", "aka_vcts", "status", "_sd_alg"}
)
NEVER_HIDDEN: Final = frozenset({"issuing_country", "issuing_authority"})
_DEGREE: Final = {each: degree for degree, each in enumerate(Sensitivity)}

TypeFile = tuple[Document, CredentialType]


def check_types(files: Sequence[TypeFile], agencies: Collection[AgencyId], as_of: date) -> None:
    """Note every broken rule of the credential types; ``as_of`` is the day on which the examples hold."""
    for member in ("id", "vct"):
        _unique([(document, (member,), str(getattr(each, member))) for document, each in files])
    for member in ("configuration_id", "scope"):
        entries = [(document, index, entry) for document, each in files for index, entry in enumerate(each.formats)]
        _unique([(document, ("formats", i, member), str(getattr(entry, member))) for document, i, entry in entries])
    _check_extends(files)
    for document, credential_type in files:
        _check_head(document, credential_type, agencies)
        # Examples are read by the claims' own rules: only by those that hold.
        if _check_claims(document, credential_type):
            _check_examples(document, credential_type, as_of)


def _unique(values: Sequence[tuple[Document, tuple[str | int, ...], str]]) -> None:
    first: dict[str, str] = {}
    for document, location, value in values:
        if value in first:
            document.report(location, "unique", f"{value} is already used in {first[value]}")
        first.setdefault(value, document.file)


def _check_extends(files: Sequence[TypeFile]) -> None:
    parents = {each.vct: each.extends for _, each in files}
    for document, credential_type in files:
        seen, above = {credential_type.vct}, credential_type.extends
        while above is not None:
            # A type that extends itself, or one that nobody here describes, inherits nothing that can be relied on.
            # sdjwtvc-4-extends
            if above in seen or above not in parents:
                document.report(("extends",), "extends", f"{above} is no other type of the catalogue")
                break
            seen.add(above)
            above = parents[above]


def _check_head(document: Document, credential_type: CredentialType, agencies: Collection[AgencyId]) -> None:
    if not document.file.endswith(f"/{credential_type.id}.toml"):
        document.report(("id",), "file-name", "the file is not named after its id")
    if credential_type.agency not in agencies:
        document.report(("agency",), "agency", f"{credential_type.agency} is not among the agencies")
    if [each.format for each in credential_type.formats].count(FORMAT_SD_JWT_VC) != 1:
        document.report(("formats",), "formats", f"exactly one of the formats is {FORMAT_SD_JWT_VC}")
    for index, path in enumerate(credential_type.front):
        if credential_type.claim(path) is None:
            document.report(("display", "front", index), "path", f"there is no claim {path_text(path)}")
    for index, path in enumerate(credential_type.not_after_claim):
        claim = credential_type.claim(path)
        if claim is None or claim.type is not ClaimType.DATE:
            document.report(("validity", "not_after_claim", index), "path", f"{path_text(path)} is not a date claim")
    _check_mdl(document, credential_type)


def _check_mdl(document: Document, credential_type: CredentialType) -> None:
    for index, entry in enumerate(credential_type.formats):
        if entry.doctype != DOCTYPE_MDL:
            continue
        elements = {claim.mdoc.element for claim in credential_type.claims if claim.mdoc and claim.mandatory}
        for missing in sorted(MDL_MANDATORY - elements):
            document.report(("formats", index), "mdl", f"the mandatory mDL element {missing} is not a mandatory claim")


def _check_claims(document: Document, credential_type: CredentialType) -> bool:
    """Note what is wrong with the claims; whether their examples can be read by them."""
    claims = credential_type.claims
    _check_repeats(document, claims)
    by_path = {claim.path: claim for claim in claims}
    faults = [(index, fault) for index, claim in enumerate(claims) for fault in _claim_faults(claim, by_path)]
    for index, (key, rule, reason) in faults:
        document.report(("claims", index, key), rule, reason)
    return not faults


def _check_repeats(document: Document, claims: Sequence[Claim]) -> None:
    paths: set[ClaimsPath] = set()
    labels: set[tuple[str, str]] = set()
    for index, claim in enumerate(claims):
        if claim.path in paths:
            document.report(("claims", index, "path"), "unique", f"{path_text(claim.path)} stands twice")
        paths.add(claim.path)
        for language in LANGUAGES:
            label = (language, claim.label.get(language))
            if label in labels:
                document.report(("claims", index, "label"), "labels", f"another claim is called {label[1]}")
            labels.add(label)


def _claim_faults(claim: Claim, by_path: dict[ClaimsPath, Claim]) -> Iterator[tuple[str, str, str]]:
    name = path_text(claim.path)
    reserved = _EVERYWHERE | _AT_THE_TOP if len(claim.path) == 1 else _EVERYWHERE
    if claim.path[-1] in reserved or claim.path[-1] is None:
        yield "path", "reserved", f"{name} cannot be the name of a claim"
    if claim.sd == "never" and name not in NEVER_HIDDEN:
        yield "sd", "sd", f"only {' and '.join(sorted(NEVER_HIDDEN))} may be impossible to hide"
    if claim.mandatory and not claim.default_issue:
        yield "mandatory", "mandatory", f"{name} is mandatory, yet not issued by default"
    if len(claim.path) > 1:
        yield from _member_faults(claim, by_path)
    if claim.computed and claim.derived is not None:
        if None in claim.path:
            yield "derived", "derived", "a claim inside an array cannot be computed: use the rule agency"
        by = claim.derived.parameters.get("by")
        for source in (*claim.derived.sources, *([by] if by else [])):
            if source not in by_path:
                yield "derived", "derived", f"it is computed from {path_text(source)}, which is no claim here"
            elif claim.derived.rule in DATE_RULES and by_path[source].type is not ClaimType.DATE:
                yield "derived", "derived", f"it is computed from {path_text(source)}, which is no date"


def _member_faults(claim: Claim, by_path: dict[ClaimsPath, Claim]) -> Iterator[tuple[str, str, str]]:
    in_array = claim.path[-2] is None
    container = by_path.get(claim.path[:-2] if in_array else claim.path[:-1])
    fits = container is not None and (
        container.items is ClaimType.OBJECT if in_array else container.type is ClaimType.OBJECT
    )
    if container is None or not fits:
        yield "path", "container", f"the container of {path_text(claim.path)} is not described as one"
        return
    if claim.mandatory and not container.mandatory:
        yield "mandatory", "mandatory", f"{path_text(claim.path)} is mandatory, its container is not"
    if claim.default_issue and _DEGREE[claim.sensitivity] > _DEGREE[container.sensitivity]:
        yield "sensitivity", "sensitivity", f"{path_text(claim.path)} is more sensitive than its container"


def _check_examples(document: Document, credential_type: CredentialType, as_of: date) -> None:
    faults = list(_example_faults(credential_type, as_of)) or list(_computed_faults(credential_type, as_of))
    for index, reason in faults:
        document.report(("claims", index, "example"), "example", reason)


def _example_faults(credential_type: CredentialType, as_of: date) -> Iterator[tuple[int, str]]:
    claims = credential_type.claims
    for index, claim in enumerate(claims):
        if claim.example is None and claim.default_issue:
            yield index, f"{path_text(claim.path)} has no example"
        elif claim.example is not None:
            for problem in value_problems(claim, claim.example):
                yield index, f"{problem.path}: {problem.reason.en}"
    place = {claim.path: index for index, claim in enumerate(claims)}
    for problem in credential_type.validate_record(credential_type.example_record, today=as_of):
        yield place.get((problem.path.partition(".")[0],), 0), f"{problem.path}: {problem.reason.en}"


def _computed_faults(credential_type: CredentialType, as_of: date) -> Iterator[tuple[int, str]]:
    """Yield the claims whose example differs from what the rules make of the other examples."""
    claims = credential_type.claims
    signed = prepare_claims(plan_signing(claims), credential_type.example_record, today=as_of)
    for index, claim in enumerate(claims):
        if claim.computed and claim.derived is not None:
            if derive(claim.derived, signed, as_of) != claim.example:
                yield index, f"the rule {claim.derived.rule} does not give the example"
        elif len(claim.path) == 1 and claim.default_issue and next(select(signed, claim.path), None) != claim.example:
            yield index, f"{path_text(claim.path)}: its computed members differ"
