"""Start-up warnings: which of our certificates and anchors end soon."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from cryptography import x509

from wallet_core.adapters import log
from wallet_core.adapters.keystore import KeyStore
from wallet_core.errors import KeyUnavailable, WalletError
from wallet_core.jose import jws
from wallet_core.trust.anchors import TrustAnchors
from wallet_core.trust.calendar import Ending, ending_soon


def warn_of_expiry(
    keys: KeyStore | None, anchors: TrustAnchors, *, now: datetime, within: timedelta, app: str
) -> list[Ending]:
    """Log a warning for everything that ends within that time, and return it.

    That is signing certificates in use, anchors, and what others signed about the owners of our keys: registrations of
    relying parties, say. Keys that were rotated out, or wait for their rotation, are not looked at: nothing is signed
    with them.
    """
    certificates = [*(_certificates(keys) if keys is not None else ()), *_anchors(anchors)]
    statements = [] if keys is None else _statements(keys, now)
    endings = sorted(
        [*ending_soon(certificates, now=now, within=within), *(each for each in statements if each.left <= within)],
        key=lambda each: each.until,
    )
    for each in endings:
        log.get_logger(f"{app}.certificates").warning(
            "a certificate has expired" if each.left < timedelta() else "a certificate ends soon",
            name=each.name,
            until=each.until.isoformat(),
            days_left=each.days_left,
        )
    return endings


def _certificates(keys: KeyStore) -> Iterator[tuple[str, x509.Certificate]]:
    for name in keys.owners():
        try:
            chain = keys.published_chain(keys.current(name))
        except KeyUnavailable:
            # A key without a chain signs nothing that is shown to others; a broken one is reported when it is used.
            continue
        for der in chain:
            yield name, x509.load_der_x509_certificate(der)


def _statements(keys: KeyStore, now: datetime) -> list[Ending]:
    found: list[Ending] = []
    for name, text in keys.statements():
        # One that cannot be read is reported when it is used.
        with suppress(WalletError):
            end = jws.parse(text, what=name).claims().get("exp")
            if isinstance(end, int):
                until = datetime.fromtimestamp(end, UTC)
                found.append(Ending(name, until, until - now))
    return found


def _anchors(anchors: TrustAnchors) -> Iterator[tuple[str, x509.Certificate]]:
    for anchor in anchors.anchors:
        yield f"anchor for {anchor.purpose}: {anchor.certificate.subject.rfc4514_string()}", anchor.certificate
