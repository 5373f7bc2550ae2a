"""The build commands of an app manifest, run one after the other on this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from run402_cli import signals
from run402_cli.errors import CommandError
from run402_cli.up._app_graph import App

_SHOWN_OUTPUT = 2000


def run_commands(app: App, workspace: Path, environment: Mapping[str, str]) -> None:
    """Run every build command in its `cwd` below `workspace`, with the app's variables in its environment.

    Raises CommandError RUN402_ACTION_FAILED for the first that fails (details `{build_id, exit_code, output}`, the
    values of the variables left out), ValidationError APP_SPEC_INVALID for one with neither argv nor shell.
    """
    for index, command in enumerate(app.build["commands"]):
        if command.get("argv") is None and command.get("shell") is None:
            app.invalid("needs argv or shell", f"build.commands[{index}]")
        name = str(command.get("id", index))
        status, printed = _run(command, workspace / (command.get("cwd") or "."), environment)
        if status != 0:
            raise CommandError(
                f"The build command {name!r} failed ({status}). Correct it and run the command again.",
                code="RUN402_ACTION_FAILED",
                details={"build_id": name, "exit_code": status, "output": _redacted(printed, environment)},
            )


def _run(command: Mapping[str, Any], cwd: Path, environment: Mapping[str, str]) -> tuple[int | str, str]:
    """(exit status or the reason why it did not start, the end of what it printed)."""
    shell = command.get("shell")
    words = shell if shell is not None else _words(command["argv"])
    with tempfile.TemporaryFile() as printed:
        child = None
        try:
            try:
                with signals.held():
                    child = subprocess.Popen(
                        words,
                        shell=shell is not None,
                        cwd=cwd,
                        env={**os.environ, **environment},
                        stdin=subprocess.DEVNULL,
                        stdout=printed,
                        stderr=subprocess.STDOUT,
                        start_new_session=os.name == "posix",
                    )
            except (OSError, ValueError) as exc:
                return str(getattr(exc, "strerror", None) or exc), ""
            status = child.wait()
        except BaseException:
            if child is not None:
                signals.end_session(child)  # a build tool starts others, which would go on without it
            raise
        printed.seek(max(0, printed.seek(0, os.SEEK_END) - _SHOWN_OUTPUT))
        return status, printed.read().decode("utf-8", "replace").strip()


def _words(argv: list[str]) -> list[str]:
    # Windows finds npm.cmd and the like only by their full names.
    return [shutil.which(argv[0]) or argv[0], *argv[1:]] if Path(argv[0]).name == argv[0] else argv


def _redacted(text: str, environment: Mapping[str, str]) -> str:
    for name, value in environment.items():
        if value and ("KEY" in name or not name.startswith("RUN402_")):
            text = text.replace(value, "***")
    return text
