"""Parties in memory that misbehave by one attribute, and the driver that runs a flow against one."""

from collections.abc import Callable
from typing import TypeVar

from wallet_core.http import Flow, HttpRequest, HttpResponse

T = TypeVar("T")


def run_flow(flow: Flow[T], answer: Callable[[HttpRequest], HttpResponse]) -> T:
    """Run ``flow`` against a function that answers each request."""
    try:
        request = next(flow)
        while True:
            request = flow.send(answer(request))
    except StopIteration as stop:
        return stop.value
