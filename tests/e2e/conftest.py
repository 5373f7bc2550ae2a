"""The real console script as a subprocess, against a real local gateway with its real PostgreSQL."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

TIMEOUT_S = 120


@dataclass
class Done:
    """A finished command: exit code, stdout, stderr."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.code == 0, self.err
        return json.loads(self.out)

    @property
    def envelope(self) -> dict[str, Any]:
        """The error envelope of a command that failed and printed nothing on stdout."""
        assert (self.code, self.out) == (1, ""), (self.code, self.out, self.err)
        return dict(json.loads(self.err.splitlines()[-1]))

    @property
    def events(self) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.err.splitlines() if line.startswith("{")]
        return [line for line in lines if line.get("status") != "error"]


@dataclass
class Cli:
    """run402 with its own config directory, talking to one gateway."""

    config: Path
    cwd: Path
    data_dir: Path
    env: dict[str, str] = field(default_factory=dict)

    def environment(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("RUN402_")}
        own = {"RUN402_CONFIG_DIR": str(self.config), "RUN402_CORE_DATA_DIR": str(self.data_dir)}
        return {**kept, **own, **self.env}

    def __call__(self, *args: str, stdin: str | bytes | None = None, cwd: Path | None = None) -> Done:
        data = stdin.encode() if isinstance(stdin, str) else stdin
        done = subprocess.run(
            [sys.executable, "-m", "run402_cli", *args],
            env=self.environment(),
            cwd=cwd or self.cwd,
            input=data if data is not None else b"",
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        return Done(done.returncode, done.stdout.decode(), done.stderr.decode())

    def ok(self, *args: str, stdin: str | bytes | None = None, cwd: Path | None = None) -> Any:
        """The JSON of a command that must succeed."""
        return self(*args, stdin=stdin, cwd=cwd).json

    def start(self, *args: str, cwd: Path | None = None) -> subprocess.Popen[bytes]:
        """The command in the background; the test must wait for it or kill it."""
        return subprocess.Popen(
            [sys.executable, "-m", "run402_cli", *args],
            env=self.environment(),
            cwd=cwd or self.cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _make(tmp: Path, data_dir: Path) -> Cli:
    (tmp / "cwd").mkdir(parents=True, exist_ok=True)
    return Cli(config=tmp / "config", cwd=tmp / "cwd", data_dir=data_dir)


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """One running gateway for the session: {url, pid, data_dir, ...}; stopped at the end, whatever happens."""
    root = tmp_path_factory.mktemp("gateway")
    cli = _make(root, root / "data")
    try:
        yield dict(cli("core", "start", "--port", str(free_port())).json)
    finally:
        cli("core", "stop")


@pytest.fixture
def cli(tmp_path: Path, gateway: dict[str, Any]) -> Cli:
    """A fresh user of the session's gateway."""
    made = _make(tmp_path, Path(gateway["data_dir"]))
    made.ok("init", f"--api-base={gateway['url']}")
    return made


@pytest.fixture
def own_gateway(tmp_path: Path) -> Iterator[Cli]:
    """A user with a gateway of its own that the test may kill."""
    made = _make(tmp_path, tmp_path / "data")
    try:
        made.ok("core", "start", "--use", "--port", str(free_port()))
        yield made
    finally:
        made("core", "stop")


@pytest.fixture
def project(cli: Cli) -> dict[str, Any]:
    """A fresh project, active."""
    return dict(cli("projects", "provision").json)


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=30) as client:
        yield client
