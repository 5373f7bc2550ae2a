"""The Astro development server with the project's credentials in its environment. See docs/functions.md, "Astro"."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any

from run402_cli import signals, text_files
from run402_cli.errors import CommandError

_POLL_S = 0.1
_FORWARDED = [getattr(signal, name) for name in ("SIGINT", "SIGTERM") if hasattr(signal, name)]


def with_env_file(environ: Mapping[str, str], path: Path) -> tuple[dict[str, str], bool]:
    """The environment completed from a `.env.local`, and whether that file was read. Set variables are never replaced.

    One NAME=value a line; blank lines and # comments are skipped, one pair of quotes around a value is removed.
    """
    env = dict(environ)
    try:
        data = path.read_bytes()
    except OSError:
        return env, False
    text = text_files.decoded(data, str(path))
    for line in map(str.strip, text.splitlines()):
        name, equals, value = line.partition("=")
        name, value = name.strip(), value.strip()
        if not equals or not name or line.startswith("#") or "\0" in line:
            continue
        if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
            value = value[1:-1]
        if not env.get(name):
            env[name] = value
    return env, True


def run_astro(env: Mapping[str, str], *, port: str, host: str) -> int:
    """Run `npx astro dev --port <port> --host <host>` to its end; the exit code, negative for the signal that ended it.

    SIGINT and SIGTERM are passed on. Raises CommandError NPX_NOT_FOUND without npx, BAD_ENV when it cannot be started.
    """
    npx = shutil.which("npx", path=env.get("PATH"))
    if npx is None:
        raise CommandError(
            "npx was not found on PATH, and the Astro development server runs through it.",
            code="NPX_NOT_FOUND",
            hint="Install Node.js 22 (it brings npx), then run the command again.",
            next_actions=[{"type": "retry", "why": "Once npx is there."}],
        )
    stopped_at: list[float] = []

    def forward(number: int, _frame: FrameType | None) -> None:
        stopped_at.append(time.monotonic())
        # On Windows the console has told the child as well, and there is no other way to.
        if child is not None and child.poll() is None and not (os.name == "nt" and number == signal.SIGINT):
            child.send_signal(number)

    child: subprocess.Popen[bytes] | None = None
    before: dict[int, Any] = {}
    try:
        try:
            with signals.held():
                child = subprocess.Popen([npx, "astro", "dev", "--port", port, "--host", host], env=dict(env))
        except OSError as exc:
            raise CommandError(f"npx could not be started: {exc.strerror or exc}.", code="BAD_ENV") from exc
        for number in _FORWARDED:
            before[number] = signal.signal(number, forward)
        with signals.patient():
            return _ended(child, stopped_at)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if child is not None and child.poll() is None:  # stopped before it could be passed on
            child.kill()


def _ended(child: subprocess.Popen[bytes], stopped_at: list[float]) -> int:
    """Wait for the child, and kill it when it goes on after it was told to stop."""
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return child.wait(_POLL_S)
        if stopped_at and time.monotonic() - stopped_at[0] > signals.PATIENCE_S:
            child.kill()


def end_like(code: int) -> None:
    """End this process by the signal that ended the child, where the system has signals. Returns for an exit code."""
    if code < 0 and os.name != "nt":
        with contextlib.suppress(OSError):  # SIGKILL has no handler to reset
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
