"""The gateway without free descriptors (F9): nothing is concluded from it, and it serves again when they are back."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from e2e_kit import Cli, make

from run402_cli.core.daemon.postgres import EmbeddedPostgres, cluster_directory

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(os.name == "nt", reason="limits of a process are POSIX")]
LIMIT = 256


@pytest.fixture
def limited(tmp_path: Path) -> Iterator[Cli]:
    """A user with a gateway that may open as few files as on a Mac."""
    cli = make(tmp_path, tmp_path / "data")
    script = f'ulimit -n {LIMIT}; exec "$@"'
    words = ["core", "start", "--use", "--port", "0"]
    command = ["sh", "-c", script, "sh", sys.executable, "-m", "run402_cli", *words]
    try:
        subprocess.run(command, env=cli.environment(), cwd=cli.cwd, capture_output=True, check=True, timeout=120)
        yield cli
    finally:
        cli("core", "reset", "--yes")


def postmaster(state: dict[str, Any]) -> int:
    found = EmbeddedPostgres(cluster_directory(Path(state["data_dir"])), password="").postmaster()
    assert found is not None
    return found.pid


def test_a_gateway_serves_again_after_a_shortage_of_descriptors(limited: Cli) -> None:
    state = limited.ok("core", "status")
    server = postmaster(state)
    process = psutil.Process(state["pid"])
    callers = [socket.create_connection(("127.0.0.1", state["port"])) for _ in range(LIMIT + 50)]
    try:
        deadline = time.monotonic() + 30
        while process.num_fds() < LIMIT:
            assert time.monotonic() < deadline, "the limit was not reached"
            time.sleep(0.05)
        # Several looks of the supervisor fall into the shortage.
        time.sleep(3)
    finally:
        for caller in callers:
            caller.close()
    deadline = time.monotonic() + 15
    while (answer := httpx.get(f"{state['url']}/health", trust_env=False, timeout=30)).status_code != 200:
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.2)
    assert limited.ok("projects", "provision", "--name", "after")["project_id"]
    assert limited.ok("core", "start")["healthy"] is True
    assert postmaster(state) == server
