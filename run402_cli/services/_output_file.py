"""What writing the file that a caller named does to the one that stands there. See docs/protocol/conventions.md, "Files".

`assets get` alone refuses an existing file (FILE_EXISTS, --overwrite). The other commands replace it, as recorded, and their
answer says so with `replaced`.
"""

from __future__ import annotations

import hashlib
from pathlib import Path


def replaces(path: Path, sha256: str) -> bool:
    """Whether a file with other bytes stands at `path`; the same bytes again, as after a repeated run, replace nothing.

    `sha256` (hex) is that of the new bytes. Ask before they are written.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() != sha256
    except OSError:
        return path.is_file()
