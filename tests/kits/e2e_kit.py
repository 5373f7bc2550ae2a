"""Runs the real command line as a subprocess and reads what it prints."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import forked_kit
from schema_kit import problems
from secret_watch import WATCH, Watched

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
        WATCH.configs.add(self.config)
        WATCH.data_dirs.add(self.data_dir)
        own = {"RUN402_CONFIG_DIR": str(self.config), "RUN402_CORE_DATA_DIR": str(self.data_dir)}
        return {**kept, **own, **self.env}

    def __call__(self, *args: str, stdin: str | bytes | None = None, cwd: Path | None = None) -> Done:
        data = stdin.encode() if isinstance(stdin, str) else stdin
        if args[:2] == ("core", "reset"):
            WATCH.read_files()
        environment = self.environment()
        done = forked_kit.run(args, env=environment, cwd=cwd or self.cwd, data=data or b"", timeout=TIMEOUT_S)
        WATCH.saw(args, done.stdout, done.stderr)
        found = problems(args, done.returncode, done.stdout.decode())
        assert not found, f"stdout differs from the output schema (docs/how-to/schema.md): {found}"
        return Done(done.returncode, done.stdout.decode(), done.stderr.decode())

    def ok(self, *args: str, stdin: str | bytes | None = None, cwd: Path | None = None) -> Any:
        """The JSON of a command that must succeed."""
        return self(*args, stdin=stdin, cwd=cwd).json

    def start(self, *args: str, cwd: Path | None = None) -> subprocess.Popen[bytes]:
        """The command in the background; the test must wait for it or kill it."""
        return Watched(
            [sys.executable, "-m", "run402_cli", *args],
            env=self.environment(),
            cwd=cwd or self.cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )


def make(tmp: Path, data_dir: Path) -> Cli:
    (tmp / "cwd").mkdir(parents=True, exist_ok=True)
    return Cli(config=tmp / "config", cwd=tmp / "cwd", data_dir=data_dir)
