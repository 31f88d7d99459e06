"""Nodes of catalogue files to credential types, policies and agencies. Faults are noted, never raised."""

import re
from dataclasses import dataclass
from typing import Any, Final

from wallet_core.catalogue.credential_type import (
    Claim,
    ClaimType,
    CredentialType,
    FormatEntry,
    IssuanceRules,
    KeyPolicy,
    Mask,
    MdocElement,
    Sensitivity,
)
from wallet_core.catalogue.derivation import AGENCY, PARAMETERS, RULES, Derivation
from wallet_core.catalogue.elements import CBOR_TYPES
from wallet_core.catalogue.metadata import CLOTHS
from wallet_core.catalogue.paths import parse_path_text
from wallet_core.catalogue.policy import (
    MAX_STATUS_AGE_HOURS,
    Ask,
    LegalGround,
    NotAsked,
    Policy,
    Retention,
    SampleParty,
    StatusRule,
)
from wallet_core.catalogue.source import Node
from wallet_core.catalogue.text import Text
from wallet_core.catalogue.transaction import MAX_TEXT, MAX_URL, MemberType, TransactionMember, TransactionType
from wallet_core.catalogue.validation import MAX_INTEGER
from wallet_core.errors import MalformedError
from wallet_core.spec_versions import (
    ATTACK_POTENTIALS,
    FORMAT_MDOC,
    FORMAT_SD_JWT_VC,
    PROOF_TYPE_ATTESTATION,
    PROOF_TYPE_JWT,
)
from wallet_core.types import AgencyId, ClaimsPath, CredentialConfigurationId, Json, Vct

IDENTIFIER: Final = re.compile(r"[A-Za-z0-9_-]+\Z")
_SD: Final = ("always", "allowed", "never")
_WHO: Final = ("self", "household_member", "spouse", "parent", "child", "guardian_of_minor")
_GRANTS: Final = ("authorization_code", "pre-authorized_code")
_CHANNELS: Final = ("counter_qr", "static_qr", "same_device", "dc_api", "proximity", "login")
_COUNTED_FROM: Final = ("answer", "last_use", "end_of_contract", "end_of_procedure")
_STRANGE_PATH: Final[ClaimsPath] = ("?",)
# Kept in the files for those who edit them; nothing is derived from them.
_FOR_READERS: Final = ("left_out", "korean_claim_map", "category_map", "first_issue")


@dataclass(frozen=True, slots=True)
class Agency:
    """An authority that owns data and asks the issuer to issue.

    For readers: ``code``, an invented one, and ``stands_for``.
    """

    id: AgencyId
    code: str
    name: Text
    stands_for: Text


def parse_credential_type(node: Node) -> CredentialType:
    """Return the credential type of one file; blanks stand where a problem was noted."""
    for key in _FOR_READERS:
        node.value(key)
    display, validity, status = node.table_at("display"), node.table_at("validity"), node.table_at("status")
    parsed = CredentialType(
        id=identifier(node, "id"),
        vct=Vct(_urn(node, "vct", "vct")),
        agency=AgencyId(node.text("agency")),
        name=bilingual(node, "name"),
        description=bilingual(node, "description"),
        cloth=display.choice("cloth", tuple(CLOTHS)),
        front=_paths(display, "front"),
        formats=tuple(_format(each) for each in node.tables("formats")),
        validity_days=validity.number("days", least=1),
        not_after_claim=_paths(validity, "not_after_claim", default=()),
        renew_on=validity.texts("renew_on", ()),
        validity_ground=bilingual(validity, "ground", marked=True),
        revocable=status.flag("revocable"),
        suspendable=status.flag("suspendable"),
        key_policy=_key_policy(node.table_at("key_policy")),
        issuance=_issuance(node.table_at("issuance")),
        claims=tuple(_claim(each) for each in node.tables("claims")),
        edge_cases=node.texts("edge_cases", ()),
        extends=Vct(node.text("extends")) if "extends" in node.table else None,
    )
    for each in (node, display, validity, status):
        each.close()
    return parsed


def parse_policy(node: Node) -> Policy:
    """Return the policy of one file; blanks stand where a problem was noted."""
    for key in ("second_factor", "threshold", "vehicle_class", "trust", "parameters"):
        node.value(key)
    party = node.table_at("sample_party")
    parsed = Policy(
        id=identifier(node, "id"),
        name=bilingual(node, "name"),
        purpose=bilingual(node, "purpose"),
        party=SampleParty(identifier(party, "id"), bilingual(party, "name"), node.text("party_kind")),
        channels=_among(node, "channels", _CHANNELS),
        legal_ground=tuple(_ground(each) for each in node.tables("legal_ground")),
        retention=_retention(node.table_at("retention")),
        dcql_query=node.table_at("dcql_query").table,
        asks=tuple(_ask(each) for each in node.tables("asks")),
        not_asked=tuple(_not_asked(each) for each in node.tables("not_asked")),
        must_match=_must_match(node),
        status=_status(node.table_at("status")),
        mixes_yes_no_and_identity=node.flag("mixes_yes_no_and_identity"),
        notes=node.texts("notes", ()),
        transactions=node.texts("transactions", ()),
    )
    party.close()
    node.close()
    return parsed


def parse_transaction_type(node: Node) -> TransactionType:
    """Return the transaction type of one file; blanks stand where a problem was noted."""
    parsed = TransactionType(
        id=identifier(node, "id"),
        type=_urn(node, "type", "transaction"),
        name=bilingual(node, "name"),
        sentence=bilingual(node, "sentence"),
        members=tuple(_member(each) for each in node.tables("members")),
        note=node.text("note", ""),
    )
    node.close()
    return parsed


def parse_agency(node: Node) -> Agency:
    """Return one agency; blanks stand where a problem was noted."""
    parsed = Agency(
        AgencyId(identifier(node, "id")), node.text("code"), bilingual(node, "name"), bilingual(node, "stands_for")
    )
    node.close()
    return parsed


def identifier(node: Node, key: str) -> str:
    """Return an id; it stands in URLs, so its characters are few."""
    value = node.text(key)
    if value and not IDENTIFIER.match(value):
        node.report("id", f"{key} has characters other than letters, digits, - and _", key)
    return value


def bilingual(node: Node, key: str, *, marked: bool = False) -> Text:
    """Return a text in both languages; ``marked`` allows a ``mark`` beside them."""
    table = node.table_at(key)
    if key not in node.table:
        return Text("", "")
    if marked:
        table.text("mark", "")
    text = Text(table.text("ko"), table.text("en"))
    table.close()
    return text


def _urn(node: Node, key: str, kind: str) -> str:
    value = node.text(key)
    if value and value != f"urn:jigap:{kind}:{node.table.get('id')}:{value.rpartition(':')[2]}":
        # M20: an https URL would have to be served at that address; a versioned urn: is the same in every deployment.
        node.report("vct" if key == "vct" else "urn", f"{key} is not urn:jigap:{kind}:<id>:<version>", key)
    return value


def _member(node: Node) -> TransactionMember:
    kind = MemberType(node.choice("type", tuple(MemberType)))
    number = kind in {MemberType.WON, MemberType.INTEGER}
    most = MAX_INTEGER if number else MAX_URL if kind is MemberType.URL else MAX_TEXT
    member = TransactionMember(
        name=identifier(node, "name"),
        type=kind,
        label=bilingual(node, "label"),
        required=node.flag("required", default=True),
        least=node.number("least", 0 if number else 1),
        most=node.number("most", most),
        pattern=_pattern(node),
        example=_example(node),
    )
    if member.most > most:
        node.report("bounds", f"most is more than {most}", "most")
    if member.pattern is not None and kind is not MemberType.TEXT:
        node.report("pattern", "only a text has a pattern", "pattern")
    node.close()
    return member


def _path(node: Node, key: str, text: Any, *below: int) -> ClaimsPath:
    try:
        return parse_path_text(str(text))
    except MalformedError as exc:
        node.report("path", exc.detail, key, *below)
        return _STRANGE_PATH


def _paths(node: Node, key: str, default: tuple[str, ...] | None = None) -> tuple[ClaimsPath, ...]:
    return tuple(_path(node, key, text, index) for index, text in enumerate(node.texts(key, default)))


def _key_policy(node: Node) -> KeyPolicy:
    policy = KeyPolicy(
        key_storage=_among(node, "key_storage", ATTACK_POTENTIALS),
        user_authentication=_among(node, "user_authentication", ATTACK_POTENTIALS),
        attestation=node.choice("attestation", ("none", "haip", "required"), "none"),  # type: ignore[arg-type]
        proof_types=_among(node, "proof_types", (PROOF_TYPE_JWT, PROOF_TYPE_ATTESTATION), (PROOF_TYPE_JWT,)),
    )
    for key in ("key_storage", "user_authentication", "proof_types"):
        if node.table.get(key) == []:
            node.report("empty", f"{key} has nothing in it", key)
    _check_proof_types(node, policy)
    node.close()
    return policy


def _check_proof_types(node: Node, policy: KeyPolicy) -> None:
    if len(set(policy.proof_types)) != len(policy.proof_types):
        node.report("unique", "a proof type is there twice", "proof_types")
    # Where no attestation is asked for, a jwt proof is the only one left.
    if policy.attestation == "none" and PROOF_TYPE_ATTESTATION in policy.proof_types:
        node.report("proof-type", "attestation proofs need attestation = haip or required", "proof_types")
    if policy.attestation == "haip" and PROOF_TYPE_JWT not in policy.proof_types:
        node.report("proof-type", "agencies that do not keep to HAIP need jwt proofs", "proof_types")


def _among(node: Node, key: str, allowed: tuple[str, ...], default: tuple[str, ...] | None = None) -> tuple[str, ...]:
    values = node.texts(key, default)
    for index, value in enumerate(values):
        if value not in allowed:
            node.report("choice", f"{key} has {value!r}, not one of {', '.join(allowed)}", key, index)
    return values


def _format(node: Node) -> FormatEntry:
    mdoc = node.table.get("format") == FORMAT_MDOC
    entry = FormatEntry(
        format=node.choice("format", (FORMAT_SD_JWT_VC, FORMAT_MDOC)),
        configuration_id=CredentialConfigurationId(identifier(node, "configuration_id")),
        scope=identifier(node, "scope"),
        status_bits=node.number("status_bits", least=1),
        doctype=node.text("doctype") if mdoc else None,
        namespaces=node.texts("namespaces") if mdoc else (),
    )
    if entry.scope != entry.configuration_id:
        node.report("scope", "scope differs from configuration_id: one scope per configuration (M17)", "scope")
    # An agency's credentials of one format share their status lists.
    if entry.status_bits != (1 if mdoc else 2):
        node.report("status", "the SD-JWT VC form has two status bits, the mdoc form one", "status_bits")
    node.close()
    return entry


def _issuance(node: Node) -> IssuanceRules:
    node.value("first_issue")
    rules = IssuanceRules(
        who=_among(node, "who", _WHO),
        proxy=node.choice("proxy", ("none", "guardian", "mandate")),
        identity_level=node.number("identity_level", least=1),
        grants=_among(node, "grants", _GRANTS),
        tx_code=node.choice("tx_code", ("required", "optional", "none")),  # type: ignore[arg-type]
        login_by_credential=node.texts("login_by_credential"),
        copies=node.number("copies", least=1),
        clerk_decides=node.flag("clerk_decides"),
        ground=bilingual(node, "ground", marked=True),
    )
    node.close()
    return rules


def _claim(node: Node) -> Claim:
    node.text("source", "")
    kind = ClaimType(node.choice("type", tuple(ClaimType)))
    claim = Claim(
        path=_path(node, "path", node.text("path")),
        type=kind,
        label=bilingual(node, "label"),
        items=ClaimType(node.choice("items", ("object", "string"))) if kind is ClaimType.ARRAY else None,
        mandatory=node.flag("mandatory", default=False),
        sd=node.choice("sd", _SD, "always"),  # type: ignore[arg-type]
        element_sd=node.choice("element_sd", _SD, "always"),  # type: ignore[arg-type]
        sensitivity=Sensitivity(node.choice("sensitivity", tuple(Sensitivity), "normal")),
        mask=Mask(node.choice("mask", tuple(Mask), "none")),
        default_issue=node.flag("default_issue", default=True),
        codes=_codes(node),
        pattern=_pattern(node),
        derived=_derivation(node),
        mdoc=_mdoc(node),
        example=_example(node),
        note=node.text("note", ""),
    )
    node.close()
    return claim


def _example(node: Node) -> Json:
    value: Json = node.value("example")
    return value


def _codes(node: Node) -> dict[str | int, Text]:
    codes: dict[str | int, Text] = {}
    for each in node.tables("codes", required=False):
        value = each.value("value")
        if not isinstance(value, str | int) or isinstance(value, bool) or value in codes:
            each.report("codes", "a code is neither a text nor a whole number, or stands twice")
        else:
            codes[value] = Text(each.text("ko"), each.text("en"))
        each.close() if value in codes else None
    return codes


def _pattern(node: Node) -> re.Pattern[str] | None:
    if not node.has("pattern"):
        return None
    try:
        return re.compile(node.text("pattern"))
    except re.error as exc:
        node.report("pattern", f"pattern is not a regular expression: {exc}", "pattern")
        return None


def _derivation(node: Node) -> Derivation | None:
    table = node.optional_table("derived")
    if table is None:
        return None
    rule = table.choice("rule", (AGENCY, *RULES))
    raw = table.value("from")
    sources = raw if isinstance(raw, list) else [] if raw is None else [raw]
    # The agency's own system knows more than the claims do: its sources are words for readers.
    paths = () if rule == AGENCY else tuple(_path(node, "derived", text) for text in sources)
    parameters = _parameters(node, table, rule)
    for key in table.table:
        if key not in {"rule", "from", *parameters}:
            node.report("unknown-key", f"{key} is no parameter of the rule {rule}", "derived")
    return Derivation(rule, paths, parameters)


def _parameters(node: Node, table: Node, rule: str) -> dict[str, Any]:
    if rule not in PARAMETERS:
        return {}
    key, kind = PARAMETERS[rule]
    value = table.value(key)
    if value is None:
        node.report("missing", f"the rule {rule} needs {key}", "derived")
    elif not isinstance(value, kind):
        node.report("type", f"{key} of the rule {rule} is of the wrong type", "derived")
    return {key: _path(node, "derived", value) if key == "by" else value}


def _mdoc(node: Node) -> MdocElement | None:
    table = node.optional_table("mdoc")
    if table is None:
        return None
    element = MdocElement(table.text("namespace"), table.text("element"), table.choice("cbor", CBOR_TYPES))
    table.close()
    return element


def _ground(node: Node) -> LegalGround:
    ground = LegalGround(
        basis=node.choice("basis", ("legal_duty", "contract", "consent", "law_in_force")),
        law=bilingual(node, "law") if node.has("law") else None,
        article=node.text("article", ""),
        rule=node.text("rule", ""),
        mark=node.text("mark", ""),
    )
    node.close()
    return ground


def _retention(node: Node) -> Retention:
    retention = Retention(
        claims_days=node.number("claims_days"),
        counted_from=node.choice("counted_from", _COUNTED_FROM),
        record_days=node.number("record_days"),
        text=bilingual(node, "text"),
        earlier=bilingual(node, "earlier") if node.has("earlier") else None,
    )
    node.close()
    return retention


def _ask(node: Node) -> Ask:
    ask = Ask(
        bilingual(node, "label"), node.texts("claims"), node.flag("required"), node.flag("kept"), node.text("note", "")
    )
    node.close()
    return ask


def _not_asked(node: Node) -> NotAsked:
    path = node.value("path")
    if not isinstance(path, list) or not all(isinstance(part, str | int) or part is None for part in path):
        node.report("path", "path is not a Claims Path Pointer", "path")
        path = _STRANGE_PATH
    line = NotAsked(node.text("type"), tuple(path), bilingual(node, "label"))
    node.close()
    return line


def _must_match(node: Node) -> tuple[tuple[str, ...], ...]:
    groups = node.value("must_match") or []
    if not isinstance(groups, list) or not all(isinstance(group, list) for group in groups):
        node.report("type", "must_match is not a list of lists of claim ids", "must_match")
        return ()
    return tuple(tuple(map(str, group)) for group in groups)


def _status(node: Node) -> StatusRule:
    hours = node.number("max_age_hours")
    if hours > MAX_STATUS_AGE_HOURS:
        node.report("bounds", f"max_age_hours is more than {MAX_STATUS_AGE_HOURS}, a year", "max_age_hours")
    rule = StatusRule(
        hours,
        node.choice("unknown", ("refuse", "ask_the_clerk", "accept_and_say_age")),  # type: ignore[arg-type]
    )
    node.close()
    return rule
