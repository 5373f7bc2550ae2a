"""Compile and run a jq expression in a process of its own, with bounds: it may never end, or take the process down with it.

The binding stays inside C, where no signal handler runs. On POSIX a child of this process does the work (a fork, a few
milliseconds), elsewhere a new one. Neither has an environment, for `env` and `$ENV` would print every secret of the shell.

The binding would make Python numbers of what the program gives, so the program itself writes JSON: jq keeps the digits of a
number that it only passes on. What it computes with is rounded to a double, as by jq itself.
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import os
import re
import select
import signal
import sys
import time
from typing import Any

import jq

from run402_cli import exact_json

SECONDS = 10.0
MOST_BYTES = 32 << 20
_MEMORY = 2 << 30
_SURROGATE = re.compile("[\ud800-\udfff]")
_TOO_DEEP = "a value is nested too deeply"
_TOO_LONG = f"it ran longer than {SECONDS:g} seconds"
_TOO_MUCH = f"it gives more than {MOST_BYTES >> 20} MiB"
_ENDED = "it was ended by the system, for lack of memory or a value that is nested too deeply"


def problem(expression: str) -> str | None:
    """What is wrong with an expression, or None."""
    found: str | None = _apart(expression, None).get("problem")
    return found


def results(expression: str, value: Any) -> list[Any]:
    """Every value that the expression makes of `value`. ValueError with jq's text when it fails, or goes beyond its bounds."""
    try:
        text = exact_json.dumps(value, ensure_ascii=False)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    # One half of a pair would keep jq from reading all the rest.
    answer = _apart(expression, _SURROGATE.sub("\ufffd", text))
    if "problem" in answer:
        raise ValueError(answer["problem"])
    values: list[Any] = answer["values"]
    return values


def _work(expression: str, text: str | None) -> str:
    """{values} or {problem} as JSON; without a text the expression is compiled only."""
    found: list[str] = []
    size = 0
    try:
        jq.compile(expression)
        for value in () if text is None else _printing(expression).input_text(text):
            found.append(value)
            size += len(value.encode("utf-8", "replace")) + 1
            if size > MOST_BYTES:
                return json.dumps({"problem": _TOO_MUCH})
    except RecursionError:
        return json.dumps({"problem": _TOO_DEEP})
    except MemoryError:
        return json.dumps({"problem": _ENDED})
    except ValueError as exc:
        return json.dumps({"problem": str(exc)})
    return f'{{"values": [{",".join(found)}]}}'


def _printing(expression: str) -> Any:
    """The program with `tojson` behind it. An end with an error, which the binding drops, is an error."""
    failing = "def halt_error(c): if c == 0 then halt else error end; def halt_error: error;"
    return jq.compile(f"{failing} ({expression}\n\n)|tojson")  # behind a comment, which may go on in the next line


def _apart(expression: str, text: str | None) -> dict[str, Any]:
    """What `_work` answers in another process. ValueError when it never came to its end."""
    answer = _forked(expression, text) if os.name == "posix" else _started(expression, text)
    if not answer:
        raise ValueError(_ENDED)
    try:
        read: dict[str, Any] = exact_json.loads(answer)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    return read


def _forked(expression: str, text: str | None) -> bytes:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        _live(expression, text, reader, writer)
    os.close(writer)
    try:
        return _received(reader)
    except BaseException:
        os.kill(child, signal.SIGKILL)
        raise
    finally:
        os.close(reader)
        os.waitpid(child, 0)


def _received(reader: int) -> bytes:
    """All that the child writes; its end is the end of the pipe."""
    deadline, data = time.monotonic() + SECONDS, bytearray()
    while (left := deadline - time.monotonic()) > 0:
        if not select.select([reader], [], [], left)[0]:
            break
        piece = os.read(reader, 1 << 20)
        if not piece:
            return bytes(data)
        data += piece
    raise ValueError(_TOO_LONG)


def _live(expression: str, text: str | None, reader: int, writer: int) -> None:
    """The child's life; does not return. Nothing of the parent's may run here: no handler, no flush at exit."""
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, signal.SIG_DFL)
        os.close(reader)
        _forget_environment()
        _confine()
        with os.fdopen(writer, "wb") as answer:
            answer.write(_work(expression, text).encode("utf-8", "surrogatepass"))
        status = 0
    finally:
        os._exit(status)


def _forget_environment() -> None:
    os.environ.clear()
    for name in ("LINES", "COLUMNS"):  # which readline sets behind Python's back
        os.unsetenv(name)
    faulthandler.disable()


def _confine() -> None:
    """Limits of the system for this process, which nothing it runs can lift."""
    if sys.platform == "win32":
        return
    import resource

    seconds = int(SECONDS) + 1
    for name, limit in (("RLIMIT_CPU", seconds), ("RLIMIT_CORE", 0), ("RLIMIT_AS", _MEMORY)):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            resource.setrlimit(getattr(resource, name), (limit, limit))
    # A parent that is killed outright can end nobody. Linux can be asked to; nothing else has such a call.
    if sys.platform == "linux":
        import ctypes

        set_death_signal = 1
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(set_death_signal, signal.SIGKILL)


def _started(expression: str, text: str | None) -> bytes:
    """The same where nothing can be forked."""
    import subprocess

    task = json.dumps([expression, text]).encode()
    kept = {name: value for name, value in os.environ.items() if name.upper() == "SYSTEMROOT"}
    try:
        return subprocess.run(
            [sys.executable, "-I", "-m", "run402_cli.jq_filter"],
            input=task,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=kept,
            timeout=SECONDS,
            check=False,
        ).stdout
    except subprocess.TimeoutExpired:
        raise ValueError(_TOO_LONG) from None


if __name__ == "__main__":
    os.environ.clear()
    sys.stdout.buffer.write(_work(*json.load(sys.stdin.buffer)).encode())
