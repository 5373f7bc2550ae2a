"""The envelopes of failures that no command planned: a result that cannot be written, an error of the system.

main.py prints them. See docs/protocol/errors.md, "After the work".
"""

from __future__ import annotations

import errno
import json
import os
import re
from typing import Any

from run402_cli import global_options, output
from run402_cli.errors import EnvironmentFault, Interrupted, OutputLost, Run402Error

_CODE = re.compile(r"[A-Z][A-Z0-9_]{0,63}")


def unwritten(lost: OutputLost) -> dict[str, Any]:
    """The command was done, and nobody has its result: says so, what was paid, and whether it may be repeated."""
    run = global_options.current
    changed = _changes() and not run.dry_run
    safe = not changed and not run.payments
    details: dict[str, Any] = {"stream": "stdout", "errno": errno.errorcode.get(lost.cause.errno or 0)}
    if run.payments:
        details["payments"] = run.payments
    message = lost.message if not run.command else f"The command was done. {lost.message}"
    hint = (
        "Give it a stdout that can be written to, and run it again."
        if safe
        else "Do not repeat it: read what it made or changed with a command that only looks (get, list, status)."
    )
    envelope = EnvironmentFault(message, hint=hint, details=details, safe_to_retry=safe).envelope()
    return {**envelope, "mutation_state": "not_started" if safe else "committed"}


def _changes() -> bool:
    """Whether the running command may change something; no command, as for help, changes nothing."""
    from run402_cli.effects import READ, effect_of

    command = global_options.current.command
    return bool(command) and effect_of(command) != READ


def interrupted(stop: Interrupted) -> dict[str, Any]:
    """The envelope of a signal. What was sent may have been done: only what can be resumed is safe to repeat then."""
    envelope = stop.envelope()
    if stop.resume is None and global_options.current.wrote and _changes():
        hint = "The request had been sent: look at what it did before you repeat it."
        envelope |= {"retryable": False, "safe_to_retry": False, "hint": hint}
    return envelope


def unexpected(exc: Exception) -> dict[str, Any]:
    """Envelope for a failure that nobody planned; an exception's text may hold a secret, so only OS errors show it."""
    safe = not (global_options.current.wrote and _changes())
    message, hint = _explained(exc) or _defect(exc)
    if not safe:
        hint = f"The request had been sent: look at what it did before you repeat it. {hint}"
    return EnvironmentFault(message, hint=hint, safe_to_retry=safe).envelope()


def last_resort(exc: Exception) -> int:
    """Print an error that cannot be shown as it is, in as few words as are sure to work. Returns the exit code."""
    first: BaseException | None = exc
    while first is not None and not isinstance(first, Run402Error):
        first = first.__context__
    code = (
        first.code if first is not None and isinstance(first.code, str) and _CODE.fullmatch(first.code) else "BAD_ENV"
    )
    place = _place(exc)
    envelope = {
        "status": "error",
        "code": code,
        "message": f"The command failed, and the details of its error cannot be shown ({type(exc).__name__} at {place}).",
        "hint": "Run the command again with RUN402_DEBUG=1 to see the full traceback, and report it.",
        "retryable": False,
        "safe_to_retry": not global_options.current.wrote,
        "details": {},
        "next_actions": [],
    }
    output.plain(json.dumps(envelope, separators=(",", ":")))
    return first.exit_code if first is not None else 1


def _explained(exc: Exception) -> tuple[str, str] | None:
    """What happened and what to do, for the exceptions that come from outside the program."""
    if isinstance(exc, OSError):
        where = f" ({exc.filename})" if exc.filename else ""
        return (
            f"The system refused: {exc.strerror or type(exc).__name__}{where}.",
            "Check the permissions and free space of that path, then retry.",
        )
    if isinstance(exc, MemoryError):
        return (
            "There is not enough memory for this.",
            "Ask for less at a time (--limit), or give the process more memory.",
        )
    if isinstance(exc, RecursionError):
        return "A value is nested too deeply.", "Give a flatter JSON document."
    if isinstance(exc, UnicodeError):
        return (
            "A value that was given is not UTF-8 text.",
            "Check the words of the command line and the files it reads.",
        )
    return None


def _defect(exc: Exception) -> tuple[str, str]:
    return (
        f"run402 failed unexpectedly ({type(exc).__name__} at {_place(exc)}). This is a defect of run402.",
        "Run the command again with RUN402_DEBUG=1 to see the full traceback, and report it.",
    )


def _place(exc: Exception) -> str:
    frame = exc.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    return f"{os.path.basename(frame.tb_frame.f_code.co_filename)}:{frame.tb_lineno}" if frame else "unknown"  # noqa: PTH119
