"""A real gateway for the tests that talk to one, started with the command line of this package."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp_kit import Agent, agent

from run402_cli.state import messaging


def run402(config: Path, data_dir: Path, *args: str) -> Any:
    """The JSON of a command that must succeed."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RUN402_")}
    own = {"RUN402_CONFIG_DIR": str(config), "RUN402_CORE_DATA_DIR": str(data_dir)}
    command = [sys.executable, "-m", "run402_cli", *args]
    done = subprocess.run(command, env={**kept, **own}, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


@pytest.fixture(scope="session")
def mcp_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """A local gateway, for the session, as `core start` describes it."""
    root = tmp_path_factory.mktemp("mcp-gateway")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    try:
        yield run402(root / "config", root / "data", "core", "start", "--port", str(port))
    finally:
        run402(root / "config", root / "data", "core", "reset", "--yes")


@pytest.fixture(autouse=True)
def rooms_in_the_file_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A toolbox keeps presences in the process, which other tests share."""
    monkeypatch.setattr(messaging, "_memory", None)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "agent-config"


@pytest.fixture
def user(tmp_path: Path, config: Path, mcp_gateway: dict[str, Any]) -> Iterator[Agent]:
    """An agent whose server was pointed at the local gateway, as `run402 init --api-base` does."""
    data_dir = Path(mcp_gateway["data_dir"])
    run402(config, data_dir, "init", f"--api-base={mcp_gateway['url']}")
    own = {"RUN402_CONFIG_DIR": str(config), "RUN402_CORE_DATA_DIR": str(data_dir)}
    with agent(tmp_path / "work", own) as made:
        yield made
