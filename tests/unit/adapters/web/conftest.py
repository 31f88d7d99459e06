"""A small app over the real parts."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, ClassVar

import pytest
from fastapi import APIRouter, Body, Depends, FastAPI, Form
from pydantic import BaseModel
from sqlalchemy import MetaData
from starlette.requests import Request
from starlette.responses import Response
from starlette.testclient import TestClient

from wallet_core.adapters import api_keys, web
from wallet_core.adapters.api_keys import ApiKey
from wallet_core.adapters.app_tables import AppTables, app_tables
from wallet_core.adapters.config import AppSettings
from wallet_core.adapters.idempotency import Answer
from wallet_core.adapters.keystore import new_key_text
from wallet_core.adapters.sql import Database
from wallet_core.errors import InvalidToken, StorageError, UseDpopNonce

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
KEY = new_key_text()


class FixedClock:
    def __init__(self) -> None:
        self.time = NOW

    def now(self) -> datetime:
        return self.time


class SampleSettings(AppSettings):
    prefix: ClassVar[str] = "JIGAP_SAMPLE_"


class Order(BaseModel):
    item: str
    count: int


def _pages() -> APIRouter:
    pages = web.page_router()

    @pages.get("/form")
    async def form(request: Request) -> Response:
        return web.html(request, "form.html", form_action=["https://other.example"])

    @pages.post("/form")
    async def sent(request: Request, note: Annotated[str, Form()]) -> Response:
        web.session(request).set("note", note)
        return web.see_other("/note")

    @pages.get("/note")
    async def note(request: Request) -> Response:
        return web.protocol_json({"note": web.session(request).get("note")})

    @pages.post("/sign-in")
    async def sign_in(request: Request) -> Response:
        web.renew_session(request).set("note", "in")
        return web.see_other("/note")

    @pages.post("/leave")
    async def leave(request: Request) -> Response:
        web.session(request).end()
        return web.see_other("/note")

    return pages


def _api(tables: AppTables) -> APIRouter:
    api = APIRouter()
    made: list[str] = []

    @api.post("/api/v1/owners/{owner}/orders")
    async def order(
        owner: str,
        request: Request,
        body: Annotated[Order, Body()],
        key: Annotated[ApiKey, Depends(web.require_api_key("orders", owner_path="owner"))],
    ) -> Response:
        def create() -> Answer:
            if body.count < 0:
                raise StorageError("no")
            made.append(body.item)
            return Answer(201, {"number": len(made), "item": body.item})

        return await web.idempotent(request, web.context(request).database.unit(), key, create)

    @api.get("/bug")
    async def bug() -> None:
        raise KeyError("홍길동")

    @api.get("/wire")
    async def wire() -> None:
        raise InvalidToken("no token", clause="RFC 6750 3.1")

    @api.get("/again")
    async def again() -> None:
        raise UseDpopNonce("a nonce of this server is needed in the DPoP proof")

    @api.get("/api/v1/wire")
    async def own() -> None:
        raise InvalidToken("no token", clause="RFC 6750 3.1")

    return api


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
def make_app(tmp_path: Path, clock: FixedClock) -> Callable[..., FastAPI]:
    def make(
        public_url: str = "https://sample.example", *, insecure: bool = False, name: str = "wallet", proxies: str = ""
    ) -> FastAPI:
        (tmp_path / "form.html").write_text('<form><input value="{{ csrf_token }}"></form>')
        metadata = MetaData()
        tables = app_tables("sample", metadata)
        database = Database(f"sqlite:///{tmp_path}/sample.db")
        metadata.create_all(database.engine)
        settings = SampleSettings(
            public_url=public_url,
            database_url="sqlite://",
            sealing_key=KEY,  # type: ignore[arg-type]
            insecure_allow_loopback=insecure,
            trusted_proxies=proxies,  # type: ignore[arg-type]
        )
        return web.create_app(
            settings,
            name=name,
            title="Sample",
            database=database,
            tables=tables,
            clock=clock,
            template_folders=[tmp_path],
            protocol_paths=["/wire", "/.well-known/.*"],
            guarded_paths=["/wire", "/note", "/again"],
            routers=[_pages(), _api(tables)],
        )

    return make


@pytest.fixture
def app(make_app: Callable[..., FastAPI]) -> FastAPI:
    return make_app()


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, base_url="https://sample.example", follow_redirects=False) as opened:
        yield opened


@pytest.fixture
def api_key(app: FastAPI) -> str:
    context = app.state.web
    with context.database.unit() as unit:
        _, text = api_keys.create_api_key(
            unit.connection, context.tables, owner="a", label="test", scopes=["orders"], now=NOW
        )
    return text
