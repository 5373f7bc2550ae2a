"""A log whose lines are written together, by another thread: no request waits for the file."""

from __future__ import annotations

import logging
import threading
from collections import deque
from typing import Final

PAUSE_SECONDS: Final = 0.2
MOST_LINES: Final = 5_000


class BatchedLog(logging.Handler):
    """Hands lines on to `target` a moment later; at once what is a warning, and when there are many."""

    def __init__(self, target: logging.Handler) -> None:
        super().__init__()
        self._target = target
        # Other threads log too: it is changed by one call at a time.
        self._lines: deque[logging.LogRecord] = deque()
        self._some = threading.Event()
        threading.Thread(target=self._write, name="log", daemon=True).start()

    def setFormatter(self, fmt: logging.Formatter | None) -> None:
        self._target.setFormatter(fmt)

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(record)
        if record.levelno >= logging.WARNING or len(self._lines) >= MOST_LINES:
            self.flush()
        elif len(self._lines) == 1:
            self._some.set()

    def flush(self) -> None:
        """Also at the end of the process."""
        with self._target.lock or threading.RLock():
            while self._lines:
                self._target.handle(self._lines.popleft())

    def close(self) -> None:
        self.flush()
        self._target.close()
        super().close()

    def _write(self) -> None:
        while self._some.wait():
            self._some.clear()
            threading.Event().wait(PAUSE_SECONDS)
            self.flush()
