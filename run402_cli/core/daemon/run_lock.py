"""Which process is the gateway of a data directory: the one that holds its run lock, whatever any file says.

The lock is the operating system's and goes with its holder. What the holder wrote into the lock file (its pid, when that
process began, and its state once it is ready) is believed only while the lock is held. Imports nothing heavy.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from run402_cli.core.daemon import datadir
from run402_cli.core.errors import CannotLook
from run402_cli.file_lock import FileLock, is_held

if TYPE_CHECKING:
    import psutil

LINUX = sys.platform == "linux"
# Long enough for those who only look (file_lock.is_held) to be gone again.
ACQUIRE_SECONDS = 3
_NOTE_SECONDS = 0.5
_NOTE_BYTES = 4000


@dataclass(frozen=True, slots=True)
class Holder:
    """The gateway. `pid` None: it runs where we cannot see it (another container). `state` None: it is not ready yet."""

    pid: int | None
    state: dict[str, Any] | None = None


class RunLock(FileLock):
    """Held by a gateway for as long as it lives."""

    def __init__(self, data_dir: Path) -> None:
        super().__init__(data_dir / datadir.RUN_LOCK)

    def take(self) -> bool:
        """False when another gateway has it."""
        taken = self.acquire(ACQUIRE_SECONDS)
        if taken:
            self.tell(None)
        return taken

    def tell(self, state: dict[str, Any] | None) -> None:
        """Write down who we are, and `state` once we are ready."""
        # The reader knows the path; a long one would not fit into the note.
        said = {name: value for name, value in state.items() if name != "data_dir"} if state else None
        self._leave_note({"pid": os.getpid(), "began": began(os.getpid()), "state": said})

    def _leave_note(self, note: dict[str, Any]) -> None:
        """What _read_note() gives to others while we hold the lock. One write, so that nobody reads half of it."""
        assert self._descriptor is not None
        # The first byte is the one that is locked, and on Windows nobody else can read a locked byte.
        text = (" " + json.dumps(note)).encode()
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        os.write(self._descriptor, text.ljust(_NOTE_BYTES) + b"\n")


def holder(data_dir: Path) -> Holder | None:
    """The gateway of this directory; None when none runs. Raises CannotLook."""
    path = data_dir / datadir.RUN_LOCK
    deadline = time.monotonic() + _NOTE_SECONDS
    try:
        while is_held(path):
            note = _read_note(path)
            if note is not None and _wrote_it(note):
                state = note.get("state")
                return Holder(note["pid"], {**state, "data_dir": str(data_dir)} if isinstance(state, dict) else None)
            if time.monotonic() > deadline:
                return _search(data_dir)
            # Taken a moment ago: the note of the holder before it is still there.
            time.sleep(0.05)
    except OSError as exc:
        raise CannotLook(data_dir, exc) from exc
    return None


def began(pid: int) -> float | None:
    """When a process began, by a clock that nobody sets (Linux: ticks since boot); None when it is not alive."""
    if LINUX:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        return None if fields[0] in "ZX" else float(fields[19])
    import psutil

    try:
        return psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return None


def _read_note(path: Path) -> dict[str, Any] | None:
    """The note that the lock's holder left; None when there is no readable one. OSError: cannot look."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.lseek(descriptor, 1, os.SEEK_SET)
        found = json.loads(os.read(descriptor, _NOTE_BYTES))
    except ValueError:
        return None
    finally:
        os.close(descriptor)
    return found if isinstance(found, dict) else None


def _wrote_it(note: dict[str, Any]) -> bool:
    pid = note.get("pid")
    return type(pid) is int and note.get("began") is not None and began(pid) == note["began"]


def _search(data_dir: Path) -> Holder:
    """The holder of a lock without a note: an earlier version, or the note was overwritten."""
    import psutil

    try:
        state = json.loads((data_dir / datadir.STATE).read_text())
        said = state if isinstance(state["pid"], int) and isinstance(state["port"], int) else {}
    except (OSError, ValueError, KeyError, TypeError):
        said = {}
    for process in sorted(psutil.process_iter(["pid"]), key=lambda found: found.pid != said.get("pid")):
        if _has_open(process, data_dir / datadir.RUN_LOCK):
            return Holder(process.pid, said if said.get("pid") == process.pid else None)
    return Holder(None)


def _has_open(process: psutil.Process, path: Path) -> bool:
    import psutil

    try:
        return process.pid != os.getpid() and any(file.path == str(path) for file in process.open_files())
    except (psutil.Error, OSError):
        return False
