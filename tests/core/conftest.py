"""A real PostgreSQL for the session, and for each test a live gateway with a database of its own."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import forked_kit
import httpx
import psycopg
import pytest
from database_kit import Databases
from functions_kit import Functions
from gateway_kit import CONTROL, SETTINGS, Gateways, Live
from killable_kit import Killable

from run402_cli.core.bootstrap import bootstrap
from run402_cli.core.daemon import launcher, postgres
from run402_cli.core.daemon.launcher import StartOptions
from run402_cli.core.gateway import Gateway
from run402_cli.core.users import passwords


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


@pytest.fixture
def forked_daemons(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gateways that the launcher starts here are forked, except in the tests that the module names in FOR_REAL."""
    if hasattr(os, "fork") and request.node.originalname not in request.module.FOR_REAL:
        monkeypatch.setattr(launcher, "subprocess", forked_kit.daemons())


@pytest.fixture(scope="session")
def started_before(open_dir: Path) -> Callable[[Path], None]:
    """Makes a data directory that a gateway has started and stopped in: to copy one takes less than to make a cluster."""
    made = open_dir / "started-before"

    def copy(path: Path) -> None:
        if not made.exists():
            launcher.start(StartOptions(data_dir=made, port=0))
            launcher.stop(made)
        subprocess.run(["cp", "-a", made, path], check=True)

    return copy


@pytest.fixture(scope="session")
def postgres_url(postgres_server: postgres.EmbeddedPostgres) -> str:
    """The maintenance database of the session's PostgreSQL, as superuser."""
    return postgres_server.url("postgres")


@pytest.fixture(scope="session")
def databases(postgres_server: postgres.EmbeddedPostgres) -> Databases:
    """Copies of a bootstrapped database."""
    with psycopg.connect(postgres_server.url("postgres"), autocommit=True) as admin:
        admin.execute("CREATE DATABASE run402_template")

    async def prepare() -> None:
        url = postgres_server.url("run402_template")
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as conn:
            await bootstrap(conn, SETTINGS)

    asyncio.run(prepare())
    return Databases(postgres_server, "run402_template")


@pytest.fixture(scope="session")
def gateways(databases: Databases, open_dir: Path) -> Iterator[Gateways]:
    lending = Gateways(databases, open_dir)
    yield lending
    lending.close()


@pytest.fixture
def live(gateways: Gateways, monkeypatch: pytest.MonkeyPatch) -> Iterator[Live]:
    """A gateway as new. To hash a password takes a tenth of a second elsewhere."""
    monkeypatch.setattr(passwords, "_LOG_N", 8)
    with gateways.one() as lent:
        yield lent


@pytest.fixture
def database_url(live: Live) -> str:
    """The database of the gateway: superuser URL, usable with psycopg.connect."""
    return live.database_url


@pytest.fixture
def gateway(live: Live) -> Gateway:
    return live.gateway


@pytest.fixture
def client(live: Live) -> Iterator[httpx.Client]:
    """A client that holds the control token."""
    with httpx.Client(base_url=live.base_url, timeout=30, trust_env=False, headers=CONTROL) as session:
        yield session


@pytest.fixture
def stranger(live: Live) -> Iterator[httpx.Client]:
    """Anybody on this machine: a client without any credential."""
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


@pytest.fixture
def functions(client: httpx.Client, project: dict[str, Any]) -> Functions:
    """The project's functions, deployed and called over HTTP."""
    return Functions(client, project)


@pytest.fixture
def killable(databases: Databases, tmp_path: Path) -> Iterator[Killable]:
    (tmp_path / "data").mkdir()
    with databases.one() as url:
        gateway = Killable(url, tmp_path / "data")
        yield gateway
        gateway.kill()
        gateway.client.close()
