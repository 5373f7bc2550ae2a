"""Locks that the operating system keeps on an open file for a process, and drops when the process ends, however it ends.

Not the library `filelock`: it locks a file that it opens itself, and always exclusively. Here the locked file is also the
part of a download or the note of a gateway, and who only looks takes the lock shared, on a descriptor that cannot write.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import time
from pathlib import Path

_POLL_SECONDS = 0.05
_HELD = (errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK)


class FileLock:
    """The exclusive lock of a file that is there for nothing else."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def acquire(self, timeout_seconds: float) -> bool:
        """True when the lock is ours; False when somebody else kept it for all of the timeout. OSError: cannot look."""
        deadline = time.monotonic() + timeout_seconds
        while True:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                if try_lock(descriptor) and self._still_at_path(descriptor):
                    self._descriptor, descriptor = descriptor, -1
                    return True
            finally:
                if descriptor >= 0:
                    os.close(descriptor)
            if time.monotonic() >= deadline:
                return False
            time.sleep(_POLL_SECONDS)

    def _still_at_path(self, descriptor: int) -> bool:
        # The file may have been deleted between open and lock; then this lock protects nothing.
        try:
            return os.path.samestat(os.fstat(descriptor), self.path.stat())
        except FileNotFoundError:
            return False

    def release(self, *, remove: bool = False) -> None:
        """Let go; with `remove` the file goes too, where an open file can be deleted."""
        if self._descriptor is None:
            return
        if remove:
            # While it is held: who waits with the old file open sees that it is gone, and starts over.
            with contextlib.suppress(OSError):
                self.path.unlink()
        os.close(self._descriptor)
        self._descriptor = None


def is_held(path: Path) -> bool:
    """Does a living process hold the lock of this file? OSError: cannot look. Changes nothing."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        # Shared, so that two who look do not see each other.
        return not try_lock(descriptor, shared=True)
    finally:
        os.close(descriptor)


def try_lock(descriptor: int, *, shared: bool = False, offset: int = 0) -> bool:
    """Lock an open file until it is closed. False when somebody else holds it; any other failure is an OSError.

    Windows locks the byte at `offset`, which may be beyond the end, never shared: nobody else can read or write it.
    """
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(descriptor, offset, os.SEEK_SET)
            try:
                msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
            finally:
                os.lseek(descriptor, 0, os.SEEK_SET)
        else:
            import fcntl

            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as exc:
        if exc.errno in _HELD:
            return False
        raise
    return True
