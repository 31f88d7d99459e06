"""Start-up warnings: which of our certificates and anchors end soon."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from cryptography import x509

from wallet_core.adapters import log
from wallet_core.adapters.keystore import KeyStore
from wallet_core.errors import KeyUnavailable
from wallet_core.trust.anchors import TrustAnchors
from wallet_core.trust.calendar import Ending, ending_soon


def warn_of_expiry(
    keys: KeyStore | None, anchors: TrustAnchors, *, now: datetime, within: timedelta, app: str
) -> list[Ending]:
    """Log a warning for every signing certificate in use and every anchor that ends within that time, and return them.

    Keys that were rotated out, or wait for their rotation, are not looked at: nothing is signed with them.
    """
    certificates = [*(_certificates(keys) if keys is not None else ()), *_anchors(anchors)]
    endings = ending_soon(certificates, now=now, within=within)
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


def _anchors(anchors: TrustAnchors) -> Iterator[tuple[str, x509.Certificate]]:
    for anchor in anchors.anchors:
        yield f"anchor for {anchor.purpose}: {anchor.certificate.subject.rfc4514_string()}", anchor.certificate
