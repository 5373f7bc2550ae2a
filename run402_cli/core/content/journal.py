"""Batches of small objects as they arrived: one sync of one file makes all of them durable at once.

The objects are files of the store as all others, which the system writes when it likes. Until they are synced (`settle`),
the batch stays, and a gateway that was killed finds in it what its disk may lack (`batches`).
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from run402_cli.core.content.files import sync_file, sync_file_system, sync_folder

MAX_BYTES: Final = 4 << 20
MAX_OBJECTS: Final = 500
MAX_OBJECT_BYTES: Final = 256 << 10
# As a plan's answer says them.
LIMITS: Final = {"max_bytes": MAX_BYTES, "max_objects": MAX_OBJECTS, "max_object_bytes": MAX_OBJECT_BYTES}

_HEAD: Final = re.compile(rb"([0-9a-f]{64}) (0|[1-9][0-9]{0,8})\n")
_LONGEST_HEAD: Final = 75


class NoBatch(ValueError):
    """The bytes are not a sequence of objects; the text says where they stop to be one."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One object of a batch."""

    sha256: str
    data: memoryview


def entries(batch: bytes) -> Iterator[Entry]:
    """The objects of a batch: `<sha256> <size>` and a line feed before the bytes of each. NoBatch at what is not whole.

    What they hash to is not looked at.
    """
    whole, at = memoryview(batch), 0
    while at < len(batch):
        head = _HEAD.match(batch[at : at + _LONGEST_HEAD])
        if head is None:
            raise NoBatch(f"at byte {at} there is no line `<sha256> <size>`")
        at += head.end()
        size = int(head[2])
        if at + size > len(batch):
            raise NoBatch(f"{head[1].decode()} has {size} bytes, and {len(batch) - at} are left")
        yield Entry(head[1].decode(), whole[at : at + size])
        at += size


def is_whole(entry: Entry) -> bool:
    """Whether the bytes are those of the digest."""
    return hashlib.sha256(entry.data).hexdigest() == entry.sha256


class Journal:
    """The batches whose objects are not synced yet. Methods block."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # By batch: the project, and the digests.
        self._kept: dict[Path, tuple[str, frozenset[str]]] = {}
        self._lock = threading.Lock()
        self._settling = threading.Lock()

    @contextlib.contextmanager
    def holding(self, project_id: str, batch: bytes, digests: Iterable[str]) -> Iterator[None]:
        """The batch is durable when the block begins; at its end its objects are files. One that fails leaves no batch."""
        if not self.folder.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            sync_folder(self.folder.parent)
        path = self.folder / f"{project_id}.{secrets.token_hex(12)}"
        try:
            with path.open("wb") as handle:
                handle.write(batch)
                sync_file(handle)
            sync_folder(self.folder)
            yield
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        with self._lock:
            self._kept[path] = project_id, frozenset(digests)

    def covered(self, project_id: str) -> set[str]:
        """Digests of a project that a batch keeps safe."""
        with self._lock:
            return {sha256 for owner, digests in self._kept.values() if owner == project_id for sha256 in digests}

    def left_behind(self) -> Iterator[tuple[str, list[Entry]]]:
        """Project and whole objects of each batch that another process left. Whoever stored them again calls `keep`."""
        for path in sorted(self.folder.glob("*.*")) if self.folder.exists() else ():
            found: list[Entry] = []
            # A gateway that was killed while it wrote the batch has told nobody that it has it.
            with contextlib.suppress(NoBatch):
                found.extend(entry for entry in entries(path.read_bytes()) if is_whole(entry))
            project_id = path.name.partition(".")[0]
            yield project_id, found
            with self._lock:
                self._kept[path] = project_id, frozenset(entry.sha256 for entry in found)

    def settle(self, root: Path, files: Callable[[str, str], tuple[Path, Path]]) -> None:
        """Sync the objects of all batches, then forget the batches. `files` has the two files of a project's object."""
        with self._settling:
            with self._lock:
                taken = dict(self._kept)
            if not taken:
                return
            if root.exists() and not sync_file_system(root):
                _sync_each(files(owner, sha256) for owner, digests in taken.values() for sha256 in digests)
            for path in taken:
                path.unlink(missing_ok=True)
            with self._lock:
                for path in taken:
                    del self._kept[path]


def _sync_each(pairs: Iterable[tuple[Path, Path]]) -> None:
    folders: set[Path] = set()
    for pair in pairs:
        folders.update(path.parent for path in pair)
        for path in pair:
            # A purge or the end of a project may have taken it away.
            with contextlib.suppress(FileNotFoundError), path.open("r+b") as handle:
                sync_file(handle)
    for folder in sorted(folders):
        sync_folder(folder)
