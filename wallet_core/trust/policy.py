"""Who may issue what: trust lists and VICALs made ready for look-ups (``specs/trust-list.md`` section 4).

The invariant: asking costs a few look-ups in dictionaries, no I/O; what no list permits is refused where a list speaks.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, TypeVar

from cryptography.hazmat.primitives.hashes import SHA256

from wallet_core.errors import Expired, UntrustedError
from wallet_core.trust.anchors import TrustAnchors
from wallet_core.trust.trust_list import ListedAgency, Period, TrustList
from wallet_core.trust.x509 import TrustedCertificate
from wallet_core.types import CredentialIssuerId

_SHA256: Final = SHA256()
_CLAUSE = "specs/trust-list.md 4"
_Key = TypeVar("_Key")


@dataclass(frozen=True, slots=True)
class Grant:
    """What one list lets one issuer issue.

    Attributes:
        name: whose it is, for people and logs.
        types: when it may issue which type, by format and ``vct`` or doctype.
        period: when it may issue at all.
        fresh_until: until when the list counts.
        authorities: SHA-256 of the anchors below which the issuer's name counts.
        names: ``name`` by language, as far as the list has it.
    """

    name: str
    types: Mapping[tuple[str, str], Period]
    period: Period
    fresh_until: datetime | None
    authorities: frozenset[bytes] = frozenset()
    names: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class IssuerPolicy:
    """Whom we trust to issue, and what.

    Attributes:
        anchors: roots chosen by hand and those of the lists.
        closed: whether issuers that no list names are refused; else a root chosen by hand may certify every type.
        listed: SHA-256 of the roots that some list names: below them only listed issuers count, closed or not.
        by_certificate: grants by SHA-256 of a signing certificate.
        by_issuer: grants by Credential Issuer Identifier.
        by_authority: grants by SHA-256 of a root.
        entries: SHA-256 of the roots and signing certificates on each trust list, by its identifier, ``iss``.
    """

    anchors: TrustAnchors
    closed: bool = False
    listed: frozenset[bytes] = frozenset()
    by_certificate: Mapping[bytes, Sequence[Grant]] = field(default_factory=dict)
    by_issuer: Mapping[str, Sequence[Grant]] = field(default_factory=dict)
    by_authority: Mapping[bytes, Sequence[Grant]] = field(default_factory=dict)
    entries: Mapping[str, frozenset[bytes]] = field(default_factory=dict)

    def lists_of(self, certificate: TrustedCertificate) -> frozenset[str]:
        """Return the identifiers of the trust lists on which ``certificate``, or the root it leads to, stands."""
        # OpenID4VP 6.1.1.2: the trust chain has a certificate that is an entry of the list.
        # dcql-6.1.1.2-list
        own = {certificate.sha256, certificate.anchor_sha256}
        return frozenset(name for name, entries in self.entries.items() if not entries.isdisjoint(own))

    def validate_may_issue(
        self,
        certificate: TrustedCertificate,
        *,
        issuer: CredentialIssuerId | None,
        format: str,  # noqa: A002 - the specifications' word
        type: str,  # noqa: A002 - the same
        at: datetime,
    ) -> str:
        """Return which listed issuer may issue credentials of ``type``: its name, empty if no list has to be asked.

        Args:
            certificate: under which the credential is signed.
            issuer: ``iss``, already compared with the certificate; None where the certificate alone names the issuer.
            format: Credential Format Identifier.
            type: ``vct`` or doctype.
            at: the time.

        Raises:
            UntrustedError: the issuer is on no list, may issue at another time only, or not this type.
            Expired: its list is out of date.
        """
        grants = self._grants(certificate, issuer)
        if not grants:
            # tl-4-unlisted
            if self.closed or certificate.anchor_sha256 in self.listed:
                raise UntrustedError("the issuer is not on the trust list", clause=_CLAUSE)
            return ""
        refusals: list[Expired | UntrustedError] = []
        for grant in grants:
            refusal = _refusal(grant, format, type, at)
            if refusal is None:
                return grant.name
            refusals.append(refusal)
        raise refusals[0]

    def _grants(self, certificate: TrustedCertificate, issuer: CredentialIssuerId | None) -> Sequence[Grant]:
        """The narrowest name first: the certificate itself, then whom it names, then the root above it."""
        own = self.by_certificate.get(certificate.sha256)
        if own:
            return own
        names = certificate.uris if issuer is None else (issuer,)
        named = [
            grant
            for name in names
            for grant in self.by_issuer.get(name, ())
            # A name counts only below a root of the list that gives it: another root may certify anything.
            # tl-4-root
            if certificate.anchor_sha256 in grant.authorities
        ]
        return named or self.by_authority.get(certificate.anchor_sha256, ())


def create_issuer_policy(
    anchors: TrustAnchors,
    lists: Iterable[TrustList] = (),
    *,
    closed: bool = False,
    grace: timedelta = timedelta(),
    by_authority: Mapping[bytes, Sequence[Grant]] | None = None,
) -> IssuerPolicy:
    """Return the policy that roots and lists make.

    Args:
        anchors: roots chosen by hand, or brought by VICALs.
        lists: trust lists.
        closed: refuse issuers that no list names.
        grace: how long a list still counts after its ``next_update``.
        by_authority: what VICALs permit below each root.
    """
    named = by_authority or {}
    base = IssuerPolicy(anchors, listed=frozenset(named), by_authority=named)
    return extend_issuer_policy(base, lists, closed=closed, grace=grace)


def extend_issuer_policy(
    policy: IssuerPolicy, lists: Iterable[TrustList] = (), *, closed: bool, grace: timedelta = timedelta()
) -> IssuerPolicy:
    """Return ``policy`` with more trust lists. Arguments as for :func:`create_issuer_policy`."""
    anchors, listed = policy.anchors, set(policy.listed)
    certificates = {key: list(grants) for key, grants in policy.by_certificate.items()}
    issuers = {key: list(grants) for key, grants in policy.by_issuer.items()}
    authorities = {key: list(grants) for key, grants in policy.by_authority.items()}
    entries = dict(policy.entries)
    for content in lists:
        anchors += TrustAnchors(content.authorities)
        roots = frozenset(anchor.certificate.fingerprint(_SHA256) for anchor in content.authorities)
        listed |= roots
        certified = roots.union(*(agency.certificates for agency in content.agencies))
        entries[content.operator] = entries.get(content.operator, frozenset()) | certified
        for agency in content.agencies:
            grant = _grant(agency, content, roots, grace)
            _add(certificates, agency.certificates, grant)
            _add(issuers, map(str, agency.credential_issuers), grant)
            _add(authorities, roots.intersection(agency.authorities), grant)
    return IssuerPolicy(
        anchors, policy.closed or closed, frozenset(listed), certificates, issuers, authorities, entries
    )


def _grant(agency: ListedAgency, content: TrustList, roots: frozenset[bytes], grace: timedelta) -> Grant:
    name = agency.name.get("ko") or next(iter(agency.name.values()))
    types = {(each.format, each.type): each.period for each in agency.types}
    return Grant(name, types, agency.period, content.next_update + grace, roots, agency.name)


def _add(grants: dict[_Key, list[Grant]], keys: Iterable[_Key], grant: Grant) -> None:
    for key in keys:
        grants.setdefault(key, []).append(grant)


def _refusal(grant: Grant, format_: str, type_: str, at: datetime) -> Expired | UntrustedError | None:
    # tl-4-fresh
    if grant.fresh_until is not None and at >= grant.fresh_until:
        return Expired("the trust list is out of date", clause=_CLAUSE)
    # tl-4-agency-period
    if not grant.period.holds(at):
        return UntrustedError("the issuer may not issue at this time", clause=_CLAUSE)
    permitted = grant.types.get((format_, type_))
    # tl-4-type
    if permitted is None:
        return UntrustedError(
            "the issuer may not issue this type",
            detail=f"the issuer may not issue this type: {format_} {type_}",
            clause=_CLAUSE,
        )
    # tl-4-type-period
    if not permitted.holds(at):
        return UntrustedError("the issuer may not issue this type at this time", clause=_CLAUSE)
    return None
