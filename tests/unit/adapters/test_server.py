"""What the web server is told."""

from typing import Any

import pytest

from wallet_core.adapters.web import server


def test_idle_connections_outlive_those_of_proxies_and_of_wallets(monkeypatch: pytest.MonkeyPatch) -> None:
    """The JVM's HTTP client fails where it sends a POST at the moment in which the server closes."""
    given: dict[str, Any] = {}
    monkeypatch.setattr("uvicorn.run", lambda _factory, **options: given.update(options))
    monkeypatch.setattr("signal.signal", lambda *_: None)
    server.serve("app:create", host="127.0.0.1", port=8000)
    assert given["timeout_keep_alive"] > 60
