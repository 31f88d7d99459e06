"""The checking of files, put together from the parts of the verifier."""

import asyncio
import contextlib
from datetime import datetime, timedelta

from starlette.requests import HTTPConnection

from verifier.checks.ports import CheckPorts
from verifier.dependencies import STATUS_TIMEOUT, Verifier
from verifier.status.use_cases import RETRY_AFTER
from verifier.trust_lists.tasks import renew_trust_list
from wallet_core.adapters.qr import read_qr


class TrustRenewal:
    """Asks for the next trust list where ours is missing, or was accepted longer ago than lists are asked for."""

    def __init__(self, verifier: Verifier) -> None:
        self._verifier = verifier
        self._tried_at: datetime | None = None

    async def __call__(self) -> None:
        """Ask if it is time to. What goes wrong is in the log; the copy there is goes on counting."""
        now, source = self._verifier.clock.now(), self._verifier.trust_ports.source
        if source is None or self._is_fresh(now) or self._was_tried(now):
            return
        self._tried_at = now
        # A person waits. The thread goes on where it takes longer, and whoever comes next has its list.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.to_thread(renew_trust_list, self._verifier), STATUS_TIMEOUT)
        self._verifier.trust.look_again()

    def _is_fresh(self, now: datetime) -> bool:
        copy = self._verifier.trust.copy(now)
        kept = timedelta(seconds=self._verifier.settings.trust_list_seconds)
        return copy is not None and now < copy.fetched_at + kept

    def _was_tried(self, now: datetime) -> bool:
        return self._tried_at is not None and now < self._tried_at + RETRY_AFTER


def check_ports(verifier: Verifier) -> CheckPorts:
    """Return what the checking of files needs."""
    presentations = verifier.presentations
    return CheckPorts(
        policies=presentations.policies,
        verify_chain=presentations.verify_chain,
        verify_mdoc_chain=presentations.verify_mdoc_chain,
        may_issue=presentations.may_issue,
        trust_copy=verifier.trust.copy,
        renew_trust=TrustRenewal(verifier),
        statuses=verifier.status_lists,
        run=verifier.http,
        read_qr=read_qr,
        clock=verifier.clock,
        trust_lists=presentations.trust_lists,
        supertypes=presentations.supertypes,
    )


def checks_of(connection: HTTPConnection) -> CheckPorts:
    """Return what checks files in this app."""
    found: CheckPorts = connection.app.state.checks
    return found
