"""Parties in memory that misbehave by one attribute, and the driver that runs a flow against one."""

from collections.abc import Callable
from typing import TypeVar

from wallet_core.errors import FetchError
from wallet_core.http import Flow, HttpRequest, HttpResponse

T = TypeVar("T")


def run_flow(flow: Flow[T], answer: Callable[[HttpRequest], HttpResponse]) -> T:
    """Run ``flow`` against a function that answers each request."""
    try:
        request = next(flow)
        while True:
            try:
                response = answer(request)
            except FetchError as exc:
                request = flow.throw(exc)
            else:
                request = flow.send(response)
    except StopIteration as stop:
        return stop.value
