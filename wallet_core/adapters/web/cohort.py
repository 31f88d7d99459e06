"""Requests that came together take each step together.

A worker that serves one request to its end and then the next brings the code and tables of every step into the
processor's caches once for each request, and ECDSA throws them out again. At load it is cheaper to let all requests
at hand be read, then all judged, then all answered: each step finds warm what the request before it used (cohort
scheduling, decision 0115). A worker with one request at hand goes on at once.
"""

import asyncio
from functools import partial
from typing import Final

next_step: Final = partial(asyncio.sleep, 0)
"""``await next_step()``: first let the other requests of this worker come as far as this one."""
