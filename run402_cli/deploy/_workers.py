"""A bounded number of jobs at a time, on threads that never keep the process alive."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import TypeVar

J = TypeVar("J")

# Signals reach a waiting main thread on Windows only between waits.
_TICK_SECONDS = 0.2
# How long running jobs may take to notice that another one failed.
_GRACE_SECONDS = 5.0


class Stopped(Exception):
    """Raised inside a job that noticed `stop`."""


def run_jobs(
    jobs: Sequence[J],
    work: Callable[[J, threading.Event], None],
    *,
    workers: int,
    finished: Callable[[J], None],
    tick: Callable[[], None],
) -> None:
    """Run `work(job, stop)` for every job, at most `workers` at a time.

    `finished(job)` and, now and then, `tick()` are called in this thread.

    After the first failure no further job starts, the running ones see `stop` set, and that failure is raised. So it
    is for an exception that a signal raises in this thread.
    """
    waiting = deque(jobs)
    results: SimpleQueue[tuple[J | None, BaseException | None]] = SimpleQueue()
    stop = threading.Event()

    def loop() -> None:
        while not stop.is_set() and waiting:
            try:
                job = waiting.popleft()
            except IndexError:
                break
            try:
                work(job, stop)
                results.put((job, None))
            except BaseException as exc:
                results.put((job, exc))
                break
        results.put((None, None))

    running = min(workers, len(jobs))
    for number in range(running):
        threading.Thread(target=loop, name=f"run402-upload-{number}", daemon=True).start()
    try:
        _collect(results, running, stop, finished, tick)
    finally:
        stop.set()


def _collect(
    results: SimpleQueue[tuple[J | None, BaseException | None]],
    running: int,
    stop: threading.Event,
    finished: Callable[[J], None],
    tick: Callable[[], None],
) -> None:
    failure: BaseException | None = None
    give_up_at = float("inf")
    while running and time.monotonic() < give_up_at:
        try:
            job, problem = results.get(timeout=_TICK_SECONDS)
        except Empty:
            tick()
            continue
        if job is None:
            running -= 1
        elif problem is None:
            finished(job)
        else:
            stop.set()
            if failure is None or isinstance(failure, Stopped):
                failure = problem
            give_up_at = time.monotonic() + _GRACE_SECONDS
    if failure is not None:
        raise failure
