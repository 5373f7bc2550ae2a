"""Files that are on the disk when a call returns, and what they hash to."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path
from typing import IO


def sync_file(handle: IO[bytes]) -> None:
    handle.flush()
    os.fsync(handle.fileno())


def sync_folder(folder: Path) -> None:
    # Windows cannot open a directory; there the rename itself is the strongest promise available.
    with contextlib.suppress(OSError, AttributeError):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def file_sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
