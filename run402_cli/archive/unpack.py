"""A tar archive as a directory. See docs/archives.md."""

from __future__ import annotations

import os
from pathlib import Path

from run402_cli.archive.diagnostics import ArchiveFault
from run402_cli.archive.source import Archive


def unpack(archive: Archive, folder: Path) -> None:
    """Write the files of a listed archive below an empty folder that nobody else can write to.

    The names were checked when the archive was listed. ArchiveFault for names that this system cannot tell apart or
    takes for something else; OSError when the disk refuses.
    """
    for entry in archive.entries.values():
        target = folder / entry.path
        # On Windows a colon can name a drive or a second stream of a file.
        if (os.name == "nt" and ":" in entry.path) or folder not in target.parents:
            raise ArchiveFault(
                "ARCHIVE_PATH_UNSAFE", f"This system cannot store {entry.path!r}.", "file", path=entry.path
            )
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            handle = target.open("xb")
        except (FileExistsError, NotADirectoryError) as exc:
            raise ArchiveFault(
                "ARCHIVE_DUPLICATE_PATH",
                f"{entry.path!r} and another file of the archive have one name on this system.",
                "file",
                path=entry.path,
                context={"path": entry.path},
            ) from exc
        with handle:
            for chunk in archive.chunks(entry):
                handle.write(chunk)
