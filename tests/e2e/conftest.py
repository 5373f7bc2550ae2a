"""The real console script as a subprocess, against a real local gateway with its real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from e2e_kit import Cli, make
from secret_watch import WATCH


@pytest.fixture(autouse=True)
def no_secret_gets_out() -> Iterator[None]:
    """Every test of this folder fails when a secret was printed or logged where it must not be."""
    WATCH.clear()
    yield
    leaks = WATCH.leaks()
    assert not leaks, "\n".join(leaks)


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """One running gateway for the session: {url, pid, data_dir, ...}; stopped at the end, whatever happens."""
    root = tmp_path_factory.mktemp("gateway")
    cli = make(root, root / "data")
    try:
        yield dict(cli("core", "start", "--port", "0").json)
    finally:
        cli("core", "reset", "--yes")


@pytest.fixture
def cli(tmp_path: Path, gateway: dict[str, Any]) -> Cli:
    """A fresh user of the session's gateway."""
    made = make(tmp_path, Path(gateway["data_dir"]))
    made.ok("init", f"--api-base={gateway['url']}")
    return made


@pytest.fixture
def own_gateway(tmp_path: Path) -> Iterator[Cli]:
    """A user with a gateway of its own that the test may kill."""
    made = make(tmp_path, tmp_path / "data")
    try:
        made.ok("core", "start", "--use", "--port", "0")
        yield made
    finally:
        made("core", "reset", "--yes")


@pytest.fixture
def project(cli: Cli) -> dict[str, Any]:
    """A fresh project, active."""
    return dict(cli("projects", "provision").json)


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=30) as client:
        yield client
