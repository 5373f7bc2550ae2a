"""Whether nobody but this user could have put a file where it is. See docs/protocol/local-state.md, "Wallet binding"."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path


def stranger(path: Path) -> str | None:
    """Why somebody else could have put a file there, or None: nobody could, or this system has no owners (Windows).

    Looks at the file, what a link leads to, and the directories above both. OSError when there is no such file.
    """
    if not hasattr(os, "geteuid"):
        return None
    return next((why for place in _places(path) if (why := _problem(place)) is not None), None)


def belongs_to_another(path: Path) -> bool:
    """Whether a file or directory, or what a link leads to, belongs to another user than this one and root.

    For root it must be root's. False where files have no owners (Windows). OSError when there is no such file.
    """
    return hasattr(os, "geteuid") and path.stat().st_uid not in (os.geteuid(), 0)


def _places(path: Path) -> Iterator[Path]:
    written, real = Path(os.path.abspath(path)), path.resolve(strict=True)  # noqa: PTH100 - the link counts, too
    yield from (written, *written.parents)
    if real != written:
        yield from (real, *real.parents)


def _problem(place: Path) -> str | None:
    found = place.lstat()
    if found.st_uid not in (os.geteuid(), 0):
        return f"{place} belongs to another user (uid {found.st_uid})"
    if stat.S_ISLNK(found.st_mode):
        return None
    if stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX:
        return None
    if found.st_mode & stat.S_IWOTH:
        return f"{place} can be written by every user"
    if found.st_mode & stat.S_IWGRP and not _is_private(found.st_gid):
        return f"{place} can be written by its group (gid {found.st_gid})"
    return None


def open_bits(place: Path) -> int:
    """What others may do with a file or directory itself, as mode bits (0o077); 0 for a link, or without modes (Windows).

    The group counts as others, unless it is this user's own. OSError when there is no such file.
    """
    found = place.lstat()
    if not hasattr(os, "geteuid") or stat.S_ISLNK(found.st_mode):
        return 0
    bits = found.st_mode & 0o077
    return bits & 0o007 if bits & 0o070 and _is_private(found.st_gid) else bits


def others_arrive(folder: Path) -> bool:
    """Whether other users get through all directories down to one, itself included."""
    real = folder.resolve()
    return all(place.stat().st_mode & 0o011 for place in (real, *real.parents))


def _is_private(gid: int) -> bool:
    """Whether the group is this user's own, as many systems give one to each user, or root's."""
    import grp
    import pwd

    try:
        group, user = grp.getgrgid(gid), pwd.getpwuid(os.geteuid())
    except KeyError:
        return False
    return group.gr_name in (user.pw_name, "root") and not set(group.gr_mem) - {user.pw_name, "root"}
