"""The one writer of what --output names: a new file beside it that gets its name when it is whole.

A file that is there is refused before anything is asked for or paid (FILE_EXISTS, --overwrite), and again at the end when one
has appeared meanwhile. A link is never written through. See docs/protocol/conventions.md, "Files".
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from run402_cli.errors import CommandError

_HOW = "Add --overwrite to replace it, or choose another --output."
# What is open already, under names that are links of the system. Other links are replaced, not followed.
_OPEN = ("/dev/std", "/dev/fd/", "/proc/self/fd/")
_FLAGS = os.O_WRONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


def require_free(path: Path, *, overwrite: bool, how: str = _HOW) -> None:
    """CommandError FILE_EXISTS when a file is at `path` and may not be replaced. A pipe or device is written to."""
    if overwrite or not os.path.lexists(path):
        return
    is_link = path.is_symlink() and not str(path).startswith(_OPEN)
    if path.is_file() or (is_link and not path.is_dir()):
        raise _taken(path, how)


def _taken(path: Path, how: str) -> CommandError:
    return CommandError(f"{path} exists already.", code="FILE_EXISTS", hint=how, details={"path": str(path)})


def is_device(path: Path) -> bool:
    """Whether `path` is a pipe or device, which is written to as it is."""
    try:
        if str(path).startswith(_OPEN):
            return not stat.S_ISDIR(path.stat().st_mode)
        mode = path.lstat().st_mode
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode))


class Output:
    """A file that is being written: its size and digest so far; `replaced` when it is done."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._sha256 = hashlib.sha256()
        self.size = 0
        self.replaced = False

    def write(self, data: bytes) -> None:
        self._file.write(data)
        self._sha256.update(data)
        self.size += len(data)

    @property
    def sha256(self) -> str:
        return self._sha256.hexdigest()


@contextlib.contextmanager
def written(path: Path, *, overwrite: bool) -> Iterator[Output]:
    """A file that stands at `path` when the block has ended well, and not at all otherwise. Raises like `settle`."""
    if is_device(path):
        with os.fdopen(os.open(path, _FLAGS), "wb") as file:
            yield Output(file)
        return
    scratch = path.with_name(f".run402-{os.urandom(8).hex()}.part")
    descriptor = os.open(scratch, _FLAGS | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with os.fdopen(descriptor, "wb") as file:
            output = Output(file)
            yield output
        output.replaced = settle(scratch, path, output.sha256, overwrite=overwrite)
    finally:
        with contextlib.suppress(OSError):
            scratch.unlink(missing_ok=True)


def settle(scratch: Path, path: Path, sha256: str, *, overwrite: bool) -> bool:
    """Give a whole file its name: whether one with other bytes was replaced. A link at `path` is replaced, not followed.

    CommandError FILE_EXISTS for whatever has appeared there, unless `overwrite`; OSError.
    """
    if overwrite:
        replaced = _replaces(path, sha256)
        if replaced and not path.is_symlink():
            with contextlib.suppress(OSError):  # a private file stays private
                scratch.chmod(stat.S_IMODE(path.lstat().st_mode) & 0o777)
        scratch.replace(path)
        return replaced
    try:
        os.link(scratch, path)
    except FileExistsError as exc:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a directory", str(path)) from exc
        raise _taken(path, _HOW) from exc
    except OSError:
        # A file system without hard links: the name is taken first.
        try:
            os.close(os.open(path, _FLAGS | os.O_CREAT | os.O_EXCL, 0o666))
        except FileExistsError as exc:
            raise _taken(path, _HOW) from exc
        scratch.replace(path)
    else:
        scratch.unlink()
    return False


def _replaces(path: Path, sha256: str) -> bool:
    """Whether a file with other bytes, or a link, stands at `path`; the same bytes again replace nothing."""
    try:
        mode = path.lstat().st_mode
        if not stat.S_ISREG(mode):
            return stat.S_ISLNK(mode)
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() != sha256
    except OSError:
        return path.is_file()
