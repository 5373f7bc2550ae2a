"""Where the bytes of a release come from: inline text, inline bytes, files, directories.

Files are hashed in parallel with one fixed buffer per thread, and remembered well enough to notice later that
they changed. See docs/protocol/releases.md, "File entries" and "Directories".
"""

from __future__ import annotations

import base64
import contextlib
import errno
import hashlib
import os
import re
import stat
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, Final

from run402_cli.release.canonical import code_unit_key
from run402_cli.release.errors import LOCAL_ERROR, ContentChangedError, ReleaseError, os_failure
from run402_cli.secret_names import is_secret_name
from run402_cli.uploads import TYPED, VERSION_CONTROL, Bounds, Gate

BUFFER_BYTES: Final = 1024 * 1024
_FEW_BYTES: Final = 8 * 1024
_LOOKED_AT: Final = 32

# Version control, packages, and what this program keeps in a workspace: never part of what is deployed.
_SKIPPED: Final = VERSION_CONTROL | {"node_modules", ".DS_Store", ".run402"}


@dataclass(frozen=True, slots=True)
class BytesSource:
    """Content held in memory: inline text, decoded base64, SQL."""

    data: bytes

    def open(self) -> BinaryIO:
        return BytesIO(self.data)

    def verify_unchanged(self) -> None:
        """Memory does not change: never raises."""


@dataclass(frozen=True, slots=True)
class FileSource:
    """Content of a file on disk, as it was when it was hashed.

    `size` in bytes, `mtime_ns`, `inode` and `device` identify that moment; `follow` is false for files found by a
    directory walk, which must not have become symbolic links since. `gate` is that of the whole pass.
    """

    path: Path
    size: int
    mtime_ns: int
    inode: int
    device: int
    follow: bool = True
    gate: Gate = field(default_factory=Gate, compare=False, repr=False)

    def open(self) -> BinaryIO:
        """The file, opened for reading and checked to be the one that was hashed.

        Raises ContentChangedError when it is gone, replaced, resized or touched.
        """
        try:
            descriptor = self.gate.open(self.path, follow=self.follow)
        except OSError as error:
            raise ContentChangedError(str(self.path), error.strerror or str(error)) from error
        handle = os.fdopen(descriptor, "rb", buffering=0)
        try:
            self._compare(os.fstat(descriptor))
        except ContentChangedError:
            handle.close()
            raise
        return handle

    def verify_unchanged(self) -> None:
        """Raise ContentChangedError unless the file at the path is still the one that was hashed."""
        self.open().close()

    def _compare(self, found: os.stat_result) -> None:
        if found.st_size != self.size:
            raise ContentChangedError(str(self.path), f"{self.size} bytes became {found.st_size}")
        if (found.st_ino, found.st_dev) != (self.inode, self.device):
            raise ContentChangedError(str(self.path), "another file took its place")
        if found.st_mtime_ns != self.mtime_ns:
            raise ContentChangedError(str(self.path), "it was written to")


Source = BytesSource | FileSource


@dataclass(frozen=True, slots=True)
class HashedFile:
    """A file's digest (lowercase hex) and how to read the same bytes again."""

    sha256: str
    source: FileSource


@dataclass(frozen=True, slots=True)
class WalkedFile:
    """A file found by `walk`: its key in the release and its path on disk."""

    key: str
    path: Path


def hash_files(paths: Sequence[Path], *, follow: bool = True, bounds: Bounds = TYPED) -> list[HashedFile]:
    """SHA-256 of every file, in order, using all cores and one 1 MiB buffer per thread.

    Raises ReleaseError under the operating system's error name (ENOENT, EACCES, EISDIR, ...) for the first file in
    order that cannot be read, LOCAL_ERROR for one that is not a regular file, CONTENT_CHANGED for one that is
    written to meanwhile. CommandError of uploads.py for one that is not to be read.
    """
    gate = Gate(bounds)
    if not _are_small(paths):
        return _hash_together(paths, follow, gate)
    # Threads would take turns at each call of the system, which takes longer than to hash a few bytes.
    buffer = memoryview(bytearray(BUFFER_BYTES))
    hashed = [_hash_one(path, follow, buffer, gate, put_off=True) for path in paths]
    left = [path for path, found in zip(paths, hashed, strict=True) if found is None]
    large = iter(_hash_together(left, follow, gate))
    return [found or next(large) for found in hashed]


def _are_small(paths: Sequence[Path]) -> bool:
    """Whether most files have a few bytes, by a look at some of them."""
    some = paths[:: max(1, len(paths) // _LOOKED_AT)]
    sizes = []
    for path in some:
        with contextlib.suppress(OSError, ValueError):
            sizes.append(path.lstat().st_size)
    return len(sizes) > 1 and sum(sizes) <= len(sizes) * _FEW_BYTES


def _hash_together(paths: Sequence[Path], follow: bool, gate: Gate) -> list[HashedFile]:
    workers = min(os.cpu_count() or 1, 16)
    if workers == 1 or len(paths) < 2:
        return _hash_batch(paths, follow, gate)
    # Small batches even out the work when a few files are large; large ones would save little.
    size = max(1, min(32, len(paths) // (workers * 4)))
    batches = [paths[start : start + size] for start in range(0, len(paths), size)]
    with ThreadPoolExecutor(workers) as pool:
        results = pool.map(lambda batch: _hash_batch(batch, follow, gate), batches)
        return [hashed for batch in results for hashed in batch]


def _hash_batch(paths: Sequence[Path], follow: bool, gate: Gate) -> list[HashedFile]:
    buffer = memoryview(bytearray(BUFFER_BYTES))
    return [found for path in paths if (found := _hash_one(path, follow, buffer, gate))]


def _hash_one(path: Path, follow: bool, buffer: memoryview, gate: Gate, *, put_off: bool = False) -> HashedFile | None:
    """None: the file is large, and such are `put_off`."""
    try:
        descriptor = gate.open(path, follow=follow)
        try:
            before = os.fstat(descriptor)
            _require_regular(before, path)
            if put_off and before.st_size >= BUFFER_BYTES:
                return None
            if before.st_size < BUFFER_BYTES:
                data = os.read(descriptor, before.st_size + 1)
                gate.check_content(path, data)
                total, hexdigest = len(data), hashlib.sha256(data).hexdigest()
            else:
                total, hexdigest = _hash_stream(descriptor, buffer)
            after = os.fstat(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise os_failure(error, str(path), "the file") from error
    if total != before.st_size or after.st_mtime_ns != before.st_mtime_ns:
        raise ContentChangedError(str(path), "it was written to while it was read")
    source = FileSource(path, before.st_size, before.st_mtime_ns, before.st_ino, before.st_dev, follow, gate)
    return HashedFile(hexdigest, source)


def _hash_stream(descriptor: int, buffer: memoryview) -> tuple[int, str]:
    hasher, total = hashlib.sha256(), 0
    with os.fdopen(descriptor, "rb", buffering=0, closefd=False) as handle:
        while count := handle.readinto(buffer):
            hasher.update(buffer[:count])
            total += count
    return total, hasher.hexdigest()


def _require_regular(found: os.stat_result, path: Path) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, "it is a directory", str(path))
    if not stat.S_ISREG(found.st_mode):
        raise ReleaseError(
            f"{path} is not a regular file (a device, pipe or socket?). Point the manifest at a file.",
            details={"path": str(path)},
        )


def walk(
    root: Path,
    *,
    prefix: str | None = None,
    ignore: Iterable[str] = (),
    include_sensitive: bool = False,
    own: Path | None = None,
) -> list[WalkedFile]:
    """The files below `root` with their keys in the release, names in UTF-16 code unit order per directory.

    Skips folders of version control, node_modules, .DS_Store, this program's own files (.run402, .run402*.json, the
    manifest's usual names, and `own`, the manifest in use), the exact names in `ignore`, and credential files unless
    `include_sensitive`. `prefix` goes in front of every key. Raises ReleaseError: the operating system's error name
    for a root or directory that cannot be read, LOCAL_ERROR for a symbolic link, a root that is no directory, or no
    file at all. docs/protocol/releases.md, "Directories".
    """
    try:
        kind = root.lstat().st_mode
    except OSError as error:
        raise os_failure(error, str(root), "the directory") from error
    if stat.S_ISLNK(kind):
        raise _refused(root, "is a symbolic link. Name the directory it points to")
    if not stat.S_ISDIR(kind):
        raise _refused(root, "is not a directory. Name the directory to deploy")
    head = "" if not prefix else prefix if prefix.endswith("/") else f"{prefix}/"
    skipped = _SKIPPED | frozenset(ignore)
    files: list[WalkedFile] = []
    # A stack, not recursion: a directory tree may be nested deeper than Python calls may.
    pending = _entries(root, head)
    while pending:
        key, entry = pending.pop()
        if entry.name in skipped or _is_ours(entry.name) or (not include_sensitive and is_secret_name(entry.name)):
            continue
        if own is not None and entry.name == own.name and Path(entry.path).absolute() == own:
            continue
        if _is_link(entry):
            raise _refused(
                Path(entry.path), "is a symbolic link. Replace it with the file it points to, or add its name to ignore"
            )
        if entry.is_dir(follow_symlinks=False):
            pending += _entries(entry.path, f"{key}/")
        elif entry.is_file(follow_symlinks=False):
            files.append(WalkedFile(key, Path(entry.path)))
    if not files:
        raise _refused(root, "has no files to deploy. Build the site first, or name another directory")
    return files


def _entries(directory: Path | str, key_prefix: str) -> list[tuple[str, os.DirEntry[str]]]:
    try:
        with os.scandir(directory) as scan:
            entries = sorted(scan, key=lambda entry: code_unit_key(entry.name), reverse=True)
    except OSError as error:
        raise os_failure(error, str(directory), "the directory") from error
    for entry in entries:
        if not is_unicode(entry.name):
            raise _refused(Path(entry.path), "has a name that is not UTF-8. Rename it")
    return [(key_prefix + entry.name, entry) for entry in entries]


def is_unicode(name: str) -> bool:
    """Whether a file name can be written as UTF-8: no lone surrogate half, no undecoded byte."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_link(entry: os.DirEntry[str]) -> bool:
    # Junctions are the links of Windows that need no privilege; Python 3.11 cannot tell them apart.
    is_junction = getattr(entry, "is_junction", None)
    return entry.is_symlink() or bool(is_junction and is_junction())


def _is_ours(name: str) -> bool:
    """Whether a file of this name is a manifest or the state of this program: it tells about a deploy, to no visitor."""
    lowered = name.lower()
    if lowered.startswith(".run402"):
        return lowered.endswith(".json")
    return lowered == "run402.json" or lowered.startswith("run402.deploy.")


def _refused(path: Path, why: str) -> ReleaseError:
    return ReleaseError(f"{path} {why}.", code=LOCAL_ERROR, details={"path": str(path)})


def utf8(text: str) -> bytes:
    """UTF-8 bytes of `text`; a lone surrogate half becomes U+FFFD, as in a browser."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode()


def decode_base64(text: str) -> bytes:
    """The bytes of leniently written base64: either alphabet, padding optional, other characters ignored."""
    kept = re.sub("[^A-Za-z0-9+/]", "", text.partition("=")[0].replace("-", "+").replace("_", "/"))
    if len(kept) % 4 == 1:
        kept = kept[:-1]
    return base64.b64decode(kept + "=" * (-len(kept) % 4))


def is_content_ref(value: Any) -> bool:
    """Whether `value` names content that is already stored: a string sha256 and a numeric size."""
    return (
        isinstance(value, dict)
        and isinstance(value.get("sha256"), str)
        and isinstance(value.get("size"), (int, float))
        and not isinstance(value.get("size"), bool)
    )
