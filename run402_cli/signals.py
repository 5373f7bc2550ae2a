"""SIGINT and SIGTERM: every command ends within a second, with its own exit code. docs/protocol/conventions.md, "Signals".

Python runs a handler between two steps of its own, so a call that stays inside the system (a name that is looked up, a
file system that hangs) would hold the signal up. A thread hears of it as well, and ends the process when the command
has not.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import threading
import time
from collections.abc import Iterator

from run402_cli.errors import Interrupted

TYPE_CHECKING = False
if TYPE_CHECKING:  # on every command's path
    import subprocess

CODES = {signal.SIGTERM: ("SIGTERM", 143), signal.SIGINT: ("SIGINT", 130)}
# Time to tidy up: to delete a half-written file, to end a child. The whole must stay below a second.
PATIENCE_S = 0.7
_watching = False


def install(*, watch: bool) -> None:
    """From here on either signal raises Interrupted in the main thread; with `watch` (a process of our own, no caller's)
    the process ends soon whatever that thread does."""

    def stop(number: int, _frame: object) -> None:
        # A second Ctrl-C must not cut the error envelope of the first one short.
        for each in CODES:
            signal.signal(each, signal.SIG_IGN)
        raise Interrupted(*CODES[signal.Signals(number)])

    for each in CODES:
        signal.signal(each, stop)
    if watch and os.name == "posix":
        _watch()


@contextlib.contextmanager
def patient() -> Iterator[None]:
    """Inside, the block itself sees to it that the command ends: it has a child of its own to wait for."""
    fd = signal.set_wakeup_fd(-1)  # in the main thread, as signal.signal
    try:
        yield
    finally:
        signal.set_wakeup_fd(fd, warn_on_full_buffer=False)


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Inside, a signal waits: a child that the block starts is known to the caller, who ends it, before Interrupted comes."""
    arrived: list[int] = []
    ours = threading.current_thread() is threading.main_thread()  # Python runs handlers nowhere else
    before = {each: handler for each in CODES if ours and callable(handler := signal.getsignal(each))}
    for each in before:
        signal.signal(each, lambda number, _frame: arrived.append(number))
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
        if arrived:
            signal.raise_signal(arrived[0])


def end_session(child: subprocess.Popen[bytes]) -> None:
    """Kill a child that leads a session of its own (start_new_session) and all that it started."""
    if os.name == "posix":
        with contextlib.suppress(OSError):
            os.killpg(child.pid, signal.SIGKILL)
    elif child.poll() is None:
        child.kill()
    child.wait()


def _watch() -> None:
    global _watching
    if _watching:
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    threading.Thread(target=_end_soon, args=(reader,), daemon=True).start()
    _watching = True


def _end_soon(reader: int) -> None:
    while True:
        number = os.read(reader, 1)
        if not number:
            return
        if number[0] in CODES:
            break
    time.sleep(PATIENCE_S)
    interrupted = Interrupted(*CODES[signal.Signals(number[0])])
    line = json.dumps(interrupted.envelope(), separators=(",", ":")).encode() + b"\n"
    with contextlib.suppress(OSError, ValueError):
        # The main thread may hold the streams, or wait for a reader who has stopped reading.
        if select.select([], [2], [], 0)[1]:
            os.write(2, line)
    os._exit(interrupted.exit_code)
