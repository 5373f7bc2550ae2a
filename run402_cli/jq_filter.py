"""Compile and run a jq expression so that a signal can end it.

The binding stays inside C, where no signal handler runs, and an expression may never end. On POSIX a child of this process
does the work (a fork, a few milliseconds); elsewhere the system's own handlers are in force meanwhile.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any

import jq


def problem(expression: str) -> str | None:
    """What is wrong with an expression, or None."""

    def compile_it() -> str | None:
        try:
            jq.compile(expression)
        except ValueError as exc:
            return str(exc)
        return None

    found: str | None = _apart(compile_it)
    return found


def results(expression: str, value: Any) -> list[Any]:
    """Every value that the expression makes of `value`. ValueError with jq's text when it fails."""

    def run() -> dict[str, Any]:
        try:
            return {"values": list(jq.compile(expression).input_value(value))}
        except ValueError as exc:
            return {"problem": str(exc)}

    answer = _apart(run)
    if "problem" in answer:
        raise ValueError(answer["problem"])
    values: list[Any] = answer["values"]
    return values


def _apart(work: Callable[[], Any]) -> Any:
    """The JSON value that `work` returns. ValueError when it never came to its end, as for lack of memory."""
    if os.name != "posix":
        with _default_handlers():
            return work()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        _work(work, reader, writer)
    os.close(writer)
    try:
        with os.fdopen(reader, "rb") as answer:
            text = answer.read()
    except BaseException:
        os.kill(child, signal.SIGKILL)
        raise
    finally:
        os.waitpid(child, 0)
    if not text:
        raise ValueError("it was ended by the system, perhaps for lack of memory")
    return json.loads(text)


def _work(work: Callable[[], Any], reader: int, writer: int) -> None:
    """The child's life; does not return. Nothing of the parent's may run here: no handler, no flush at exit."""
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, signal.SIG_DFL)
        os.close(reader)
        _die_with_the_parent()
        with os.fdopen(writer, "wb") as answer:
            answer.write(json.dumps(work()).encode())
        status = 0
    finally:
        os._exit(status)


def _die_with_the_parent() -> None:
    # A parent that is killed outright can end nobody. Linux can be asked to; nothing else has such a call.
    if sys.platform == "linux":
        import ctypes

        set_death_signal = 1
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(set_death_signal, signal.SIGKILL)


@contextlib.contextmanager
def _default_handlers() -> Iterator[None]:
    before = {number: signal.signal(number, signal.SIG_DFL) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
