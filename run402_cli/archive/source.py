"""The files of an archive, whether it is a directory or a tar: listed first, read on demand, never followed elsewhere.

Listing reads tar headers and directory entries only, so that an archive that breaks a limit is refused before any of
its content is read. See docs/protocol/archive-format.md, "Transport".
"""

from __future__ import annotations

import errno
import os
import posixpath
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final, Literal

from run402_cli.archive.diagnostics import ArchiveFault
from run402_cli.archive.format import DEFAULT_LIMITS, Limits

BLOCK: Final = 512
CHUNK_BYTES: Final = 1 << 18
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_OCTAL: Final = re.compile(rb"[0-7]+")
# What JavaScript's trim() removes, which is how names in headers have always been read.
_SPACES: Final = " \t\n\r\v\f\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"  # noqa: E501
_MAGIC: Final = b"ustar"
_FILE, _DIRECTORY = (b"0", b"\0"), b"5"


@dataclass(frozen=True, slots=True)
class Entry:
    """A regular file: where it begins in the tar (0 in a directory) and how many bytes it has."""

    path: str
    size: int
    offset: int = 0


@dataclass(slots=True)
class Archive:
    """The listed files of an archive, by path."""

    location: Path
    transport: Literal["directory", "tar"]
    limits: Limits = DEFAULT_LIMITS
    entries: dict[str, Entry] = field(default_factory=dict)
    total_bytes: int = 0

    @contextmanager
    def opened(self, entry: Entry) -> Iterator[BinaryIO]:
        """The file positioned at the entry's first byte. ArchiveFault when it is no longer the listed one."""
        if self.transport == "tar":
            try:
                opened = _open_tar(self.location)
            except OSError as exc:
                raise _changed(entry) from exc
            with opened as handle:
                handle.seek(entry.offset)
                yield handle
            return
        try:
            descriptor = os.open(self.location / entry.path, _READ_ONLY)
        except OSError as exc:
            raise _changed(entry) from exc
        with os.fdopen(descriptor, "rb") as handle:
            status = os.fstat(handle.fileno())
            if not stat.S_ISREG(status.st_mode) or status.st_size != entry.size:
                raise _changed(entry)
            yield handle

    def chunks(self, entry: Entry) -> Iterator[memoryview]:
        """The bytes of an entry, a few at a time; each view holds only until the next one."""
        buffer = bytearray(min(CHUNK_BYTES, max(entry.size, 1)))
        view = memoryview(buffer)
        left = entry.size
        with self.opened(entry) as handle:
            while left:
                count = handle.readinto(view[: min(left, len(buffer))])  # type: ignore[attr-defined]
                if not count:
                    raise _changed(entry)
                left -= count
                yield view[:count]

    def read(self, entry: Entry) -> bytes:
        """All bytes of an entry; only for those that the limits keep small."""
        return b"".join(bytes(chunk) for chunk in self.chunks(entry))

    def add(self, entry: Entry) -> None:
        """List one more file. ArchiveFault ARCHIVE_DUPLICATE_PATH or a limit's code."""
        kind, limits = _kind(self.transport), self.limits
        if entry.path in self.entries:
            raise ArchiveFault(
                "ARCHIVE_DUPLICATE_PATH",
                f"The archive has two files {entry.path!r}.",
                kind,
                path=entry.path,
                context={"path": entry.path},
            )
        if len(self.entries) >= limits.files:
            raise _over_count(limits, kind)
        total = self.total_bytes + entry.size
        if entry.size > limits.file_bytes:
            raise _over_size(entry, kind, f"has {entry.size} bytes", "A file", limits.file_bytes)
        if total > limits.total_bytes:
            raise _over_size(entry, kind, f"brings the archive to {total} bytes", "An archive", limits.total_bytes)
        self.entries[entry.path] = entry
        self.total_bytes = total


_READ_ONLY: Final = (
    os.O_RDONLY
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0)
)


def _open_tar(location: Path) -> BinaryIO:
    """A tar file for reading. OSError for what has become something else than a regular file since it was listed."""
    handle = os.fdopen(os.open(location, _READ_ONLY), "rb")
    if not stat.S_ISREG(os.fstat(handle.fileno()).st_mode):
        handle.close()
        raise OSError(errno.EINVAL, "it is no regular file", str(location))
    return handle


def _kind(transport: str) -> str:
    return "tar" if transport == "tar" else "file"


def _changed(entry: Entry) -> ArchiveFault:
    return ArchiveFault(
        "ARCHIVE_SIZE_MISMATCH",
        f"{entry.path} changed while it was read. Verify again when nothing writes to the archive.",
        "file",
        path=entry.path,
        context={"path": entry.path},
    )


def _over_count(limits: Limits, kind: str) -> ArchiveFault:
    return ArchiveFault(
        "ARCHIVE_FILE_COUNT_LIMIT_EXCEEDED",
        f"The archive has more than {limits.files} entries, which is the limit.",
        kind,
        context={"limit": limits.files},
    )


def _over_size(entry: Entry, kind: str, fact: str, what: str, limit: int) -> ArchiveFault:
    return ArchiveFault(
        "ARCHIVE_SIZE_LIMIT_EXCEEDED",
        f"{entry.path} {fact}. {what} may have {limit}; `archives verify --max-bytes N` allows more.",
        kind,
        path=entry.path,
        context={"path": entry.path, "size": entry.size, "limit": limit},
    )


def unsafe_path(path: str) -> bool:
    """Could this name lead out of the archive, or mean different files to different programs?"""
    return (
        not path
        or path.startswith("/")
        or "\\" in path
        or _CONTROL.search(path) is not None
        or _SURROGATE.search(path) is not None
        or posixpath.normpath(path) != path
        or any(segment in ("", ".", "..") for segment in path.split("/"))
    )


def _safe(path: str) -> str:
    if unsafe_path(path):
        raise ArchiveFault(
            "ARCHIVE_PATH_UNSAFE",
            f"The archive names a file {path!r}. Only plain relative paths are accepted.",
            "file",
            path=path,
            context={"path": path},
        )
    return path


def _unsupported_type(path: str | None, kind: str, what: str, type_: str) -> ArchiveFault:
    context = {"type": type_} if path is None else {"path": path, "type": type_}
    return ArchiveFault("ARCHIVE_ENTRY_TYPE_UNSUPPORTED", what, kind, path=path, context=context)


def open_archive(location: str | Path, limits: Limits = DEFAULT_LIMITS) -> Archive:
    """List an archive. ArchiveFault with the code of what is wrong; for a path that cannot be read, its system error."""
    path = Path(location)
    try:
        mode = os.lstat(path).st_mode
        if stat.S_ISDIR(mode):
            return _list_directory(path, limits)
        if stat.S_ISREG(mode):
            return _list_tar(path, str(location), limits)
    except OSError as exc:
        code = errno.errorcode.get(exc.errno or 0, "EIO")
        raise ArchiveFault(code, f"Cannot read {str(location)!r}: {exc.strerror or exc}.", "archive") from exc
    except ValueError as exc:
        raise ArchiveFault("ENOENT", f"There is no file {str(location)!r}: {exc}.", "archive") from exc
    what = "a symbolic link" if stat.S_ISLNK(mode) else "neither a file nor a directory"
    raise _unsupported_type(None, "archive", f"{str(location)!r} is {what}. Name the archive itself.", "special")


# -- directory ----------------------------------------------------------------------------------------------------------


def _list_directory(root: Path, limits: Limits) -> Archive:
    archive = Archive(root, "directory", limits)
    waiting, seen = [""], 0
    while waiting:
        prefix = waiting.pop()
        with os.scandir(root / prefix) as found:
            for item in found:
                seen += 1
                if seen > 2 * limits.files:
                    raise _over_count(limits, "file")
                path = _safe(f"{prefix}/{item.name}" if prefix else item.name)
                status = item.stat(follow_symlinks=False)
                if stat.S_ISDIR(status.st_mode):
                    waiting.append(path)
                else:
                    archive.add(_file_entry(path, item, status))
    return archive


def _file_entry(path: str, item: os.DirEntry[str], status: os.stat_result) -> Entry:
    if not stat.S_ISREG(status.st_mode):
        kind = "symlink" if stat.S_ISLNK(status.st_mode) else "special"
        raise _unsupported_type(path, "file", f"{path} is a link or device. Only files are accepted.", kind)
    # On Windows a directory listing does not count links.
    links = status.st_nlink if os.name != "nt" else os.lstat(item.path).st_nlink
    if links > 1:
        raise _unsupported_type(path, "file", f"{path} is a hard link of another file. Copy the archive.", "hardlink")
    return Entry(path, status.st_size)


# -- tar ----------------------------------------------------------------------------------------------------------------


def _list_tar(location: Path, shown: str, limits: Limits) -> Archive:
    archive = Archive(location, "tar", limits)
    folders = 0
    with _open_tar(location) as handle:
        end = os.fstat(handle.fileno()).st_size
        position = 0
        while position + BLOCK <= end:
            header = handle.read(BLOCK)
            if position == 0 and header[:2] == b"\x1f\x8b":
                message = "The archive is compressed. Decompress it first: gzip -d"
                raise _unsupported_type(shown, "tar", message, "gzip")
            if len(header) < BLOCK or not header.strip(b"\0"):
                break
            entry, is_file, position = _header(header, position + BLOCK, end, shown)
            if is_file:
                archive.add(entry)
            else:
                folders += 1
                if folders > limits.files:
                    raise _over_count(limits, "tar")
            handle.seek(position)
    return archive


def _header(header: bytes, start: int, end: int, archive: str) -> tuple[Entry, bool, int]:
    """(entry, whether it is a file, where the next header begins). `archive` is named where these bytes are no header."""
    name, prefix = _text(header[0:100]), _text(header[345:500])
    path = f"{prefix}/{name}" if prefix else name
    digits = header[124:136].partition(b"\0")[0].strip(b" ")
    if not _OCTAL.fullmatch(digits):
        if header[257:262] != _MAGIC:  # another kind of file, a list of passwords perhaps: nothing of it is repeated
            raise _malformed(archive, f"{archive!r} is no tar file: at byte {start - BLOCK} there is no header.")
        raise _malformed(path, f"The header of {path!r} holds no size.")
    size = int(digits, 8)
    _safe(path)
    following = start + -(-size // BLOCK) * BLOCK
    if following > end:
        raise _malformed(path, f"{path} should have {size} bytes, and the archive ends before that.")
    type_ = header[156:157]
    if type_ not in _FILE and type_ != _DIRECTORY:
        shown = type_.decode("latin-1")
        message = f"{path} is an entry of type {shown!r}. Only files and directories are accepted."
        raise _unsupported_type(path, "tar", message, shown)
    return Entry(path, size, start), type_ in _FILE, following


def _text(raw: bytes) -> str:
    return raw.partition(b"\0")[0].decode("utf-8", "replace").strip(_SPACES)


def _malformed(path: str, message: str) -> ArchiveFault:
    return ArchiveFault("ARCHIVE_MALFORMED_TAR", message, "tar", path=path, context={"path": path})
