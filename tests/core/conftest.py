"""A real PostgreSQL for the session, and for each test a live gateway with a database of its own."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import socket
import sys
import tempfile
import threading
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psycopg
import pytest
import uvicorn

from run402_cli.core import postgres
from run402_cli.core.app import create_app
from run402_cli.core.bootstrap import bootstrap
from run402_cli.core.gateway import Gateway
from run402_cli.core.settings import Settings

T = TypeVar("T")
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def open_dir() -> Iterator[Path]:
    """A temporary directory that PostgreSQL's system user can traverse when the tests run as root."""
    path = Path(tempfile.mkdtemp(prefix="r402-")).resolve()
    path.chmod(0o711)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server(open_dir: Path) -> Iterator[postgres.EmbeddedPostgres]:
    with postgres.running(open_dir / "postgres", durable=False) as server:
        yield server


@pytest.fixture(scope="session")
def postgres_url(postgres_server: postgres.EmbeddedPostgres) -> str:
    """The maintenance database of the session's PostgreSQL, as superuser."""
    return postgres_server.url("postgres")


@pytest.fixture(scope="session")
def template_database(postgres_server: postgres.EmbeddedPostgres) -> str:
    """A bootstrapped database to copy: much quicker than bootstrapping one per test."""
    with psycopg.connect(postgres_server.url("postgres"), autocommit=True) as admin:
        admin.execute("CREATE DATABASE run402_template")

    async def prepare() -> None:
        url = postgres_server.url("run402_template")
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as conn:
            await bootstrap(conn)

    asyncio.run(prepare())
    return "run402_template"


@pytest.fixture
def database_url(postgres_server: postgres.EmbeddedPostgres, template_database: str) -> Iterator[str]:
    """A fresh database with roles, schemas and bookkeeping tables; superuser URL, usable with psycopg.connect."""
    name = f"run402_test_{next(_numbers)}"
    with psycopg.connect(postgres_server.url("postgres"), autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE {template_database}")
    yield postgres_server.url(name)
    with psycopg.connect(postgres_server.url("postgres"), autocommit=True) as admin:
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@dataclass(frozen=True)
class Live:
    """A gateway served by uvicorn on a thread of its own."""

    base_url: str
    gateway: Gateway
    database_url: str
    loop: asyncio.AbstractEventLoop

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the gateway's event loop (its pool belongs there) and wait for the result."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(timeout=60)


@pytest.fixture
def live(database_url: str, tmp_path: Path) -> Iterator[Live]:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    settings = Settings(
        data_dir=tmp_path / "gateway",
        jwt_secret="test-jwt-secret-" + "x" * 32,
        signed_read_secret="test-read-secret-" + "x" * 32,
        port=port,
        database_url=database_url,
    )
    settings.data_dir.mkdir()
    running = _Running(settings, database_url, listener)
    gateway = running.start()
    yield Live(settings.public_url, gateway, database_url, running.loop)
    running.stop()


class _Running:
    def __init__(self, settings: Settings, database_url: str, listener: socket.socket) -> None:
        self.settings, self.database_url, self.listener = settings, database_url, listener
        self.loop: asyncio.AbstractEventLoop = (
            asyncio.SelectorEventLoop() if sys.platform == "win32" else asyncio.new_event_loop()
        )
        self.ready = threading.Event()
        self.gateway: Gateway | None = None
        self.failure: BaseException | None = None
        self.server: uvicorn.Server | None = None
        self.thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> Gateway:
        self.thread.start()
        assert self.ready.wait(60), "the gateway did not start"
        if self.failure is not None:
            raise self.failure
        assert self.gateway is not None
        return self.gateway

    def stop(self) -> None:
        assert self.server is not None
        self.server.should_exit = True
        self.thread.join(30)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_until_complete(self._serve())
        except BaseException as exc:
            self.failure = exc
        finally:
            self.ready.set()
            self.loop.close()

    async def _serve(self) -> None:
        gateway = Gateway(self.settings, self.database_url)
        await gateway.open()
        try:
            app = create_app(gateway)
            self.server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off", access_log=False))
            serving = asyncio.create_task(self.server.serve(sockets=[self.listener]))
            while not self.server.started and not serving.done():
                await asyncio.sleep(0.005)
            self.gateway = gateway
            self.ready.set()
            await serving
        finally:
            await gateway.close()


@pytest.fixture
def gateway(live: Live) -> Gateway:
    return live.gateway


@pytest.fixture
def client(live: Live) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=live.base_url, timeout=30, trust_env=False) as session:
        yield session


@pytest.fixture
def project(client: httpx.Client) -> dict[str, Any]:
    """A new project: project_id, anon_key, service_key, schema_slot, public_id, endpoints..."""
    response = client.post("/projects/v1", json={"name": "test"})
    assert response.status_code == 201, response.text
    created: dict[str, Any] = response.json()
    return created


@pytest.fixture
def service(project: dict[str, Any]) -> dict[str, str]:
    """Headers of the project's service key."""
    return {"Authorization": f"Bearer {project['service_key']}"}
