"""What writing the file that a caller named does to the one that stands there. See docs/protocol/conventions.md, "Files".

A file that is there is refused before anything is asked for or paid (FILE_EXISTS, --overwrite); an answer says with `replaced`
what became of one that was allowed to go.
"""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from run402_cli.errors import CommandError

_HOW = "Add --overwrite to replace it, or choose another --output."


def require_free(path: Path, *, overwrite: bool, how: str = _HOW) -> None:
    """CommandError FILE_EXISTS when a file is at `path` and may not be replaced. A pipe or device is written to."""
    if overwrite or not os.path.lexists(path):
        return
    mode = path.lstat().st_mode
    if stat.S_ISREG(mode) or (stat.S_ISLNK(mode) and not path.exists()) or path.is_file():
        raise CommandError(f"{path} exists already.", code="FILE_EXISTS", hint=how, details={"path": str(path)})


def replaces(path: Path, sha256: str) -> bool:
    """Whether a file with other bytes stands at `path`; the same bytes again, as after a repeated run, replace nothing.

    `sha256` (hex) is that of the new bytes. Ask before they are written.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() != sha256
    except OSError:
        return path.is_file()
