"""Files written into a work tree, which may be a stranger's: no directory on the way is a link to elsewhere."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from run402_cli import advice
from run402_cli.errors import CommandError

_DESCRIPTORS = os.open in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW") and hasattr(os, "O_DIRECTORY")


def linked(base: Path, path: Path) -> Path | None:
    """The first link (or junction) among the names from a directory down to `path`, its own included, or None."""
    place = base
    for part in path.relative_to(base).parts:
        place = place / part
        is_junction = getattr(place, "is_junction", None)
        if place.is_symlink() or (is_junction is not None and is_junction()):
            return place
    return None


def require_own(base: Path, folder: Path) -> None:
    """CommandError PATH_OUTSIDE_WORKSPACE when a directory below `base`, down to `folder`, is a link."""
    link = linked(base, folder)
    if link is not None:
        raise CommandError(
            f"{link} is a symbolic link (to {os.path.realpath(link)}), and this command writes into directories of {base} "
            "only. Nothing was written.",
            code="PATH_OUTSIDE_WORKSPACE",
            hint=f"Remove the link if you did not make it: {advice.line('rm', str(link))}",
            details={"path": str(link), "resolved_path": os.path.realpath(link), "workspace": str(base)},
            next_actions=[advice.entry("run_command", advice.line("rm", str(link)))],
        )


def base_of(path: Path) -> Path:
    """Where an absolute path that was typed begins: the working directory, else the git work tree, else its own."""
    here = Path.cwd()
    if path.is_relative_to(here):
        return here
    return next((place for place in path.parents if (place / ".git").exists()), path.parent)


def write(base: Path, path: Path, content: bytes, *, replace: bool = True, mode: int | None = None) -> None:
    """Write a file below `base`; missing directories are made, and a link at `path` is replaced, not followed.

    Raises like `require_own`; FileExistsError when something is there, unless `replace`; OSError.
    """
    require_own(base, path.parent)
    handle = _opened(base, path.parent)
    scratch = f".run402-{os.urandom(8).hex()}.tmp"
    try:
        # Where directories cannot be held open, their names have to do.
        within = scratch if handle is not None else str(path.parent / scratch)
        name = path.name if handle is not None else str(path)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        descriptor = os.open(within, flags, 0o666, dir_fd=handle)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                if mode is not None and hasattr(os, "fchmod"):
                    os.fchmod(file.fileno(), mode)
                os.fsync(file.fileno())
            if not replace:
                # Takes the name, or fails: what is replaced then is this empty file.
                os.close(os.open(name, flags, 0o666, dir_fd=handle))
            os.replace(within, name, src_dir_fd=handle, dst_dir_fd=handle)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(within, dir_fd=handle)
            raise
    finally:
        if handle is not None:
            os.close(handle)


def _opened(base: Path, folder: Path) -> int | None:
    """A descriptor of a directory that was reached through no link, made where it is missing; None where there are none."""
    if not _DESCRIPTORS:
        folder.mkdir(parents=True, exist_ok=True)
        return None
    handle = os.open(base, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in folder.relative_to(base).parts:
            with contextlib.suppress(FileExistsError):
                os.mkdir(part, dir_fd=handle)
            deeper = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=handle)
            os.close(handle)
            handle = deeper
    except BaseException:
        os.close(handle)
        raise
    return handle
