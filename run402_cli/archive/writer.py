"""Write an archive as a tar, file by file, with the index that describes it. See docs/protocol/archive-format.md."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final

from run402_cli.archive.format import (
    BLOB_FOLDER,
    BLOB_TYPE,
    INDEX_PATH,
    INDEX_SCHEMA,
    INDEX_TYPE,
    LAYOUT_PATH,
    LAYOUT_SCHEMA,
    LAYOUT_TYPE,
    VERSION,
    WELL_KNOWN,
)
from run402_cli.archive.logical import archive_digest

_COPY_BYTES: Final = 1 << 18
_NO_IDENTITY: Final = frozenset({"export_report"})


class ArchiveWriter:
    """A new archive at a path; leave the `with` block after `finish`. Equal content gives equal bytes."""

    def __init__(self, path: Path) -> None:
        self.total_bytes = 0
        self.files = 0
        self._tar = tarfile.open(path, "w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115 - closed by __exit__
        self._descriptors: dict[str, dict[str, Any]] = {}
        self._blobs: set[str] = set()

    def __enter__(self) -> ArchiveWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._tar.close()

    def add_json(self, name: str, document: Any) -> None:
        """A descriptor of the format whose file is JSON."""
        self.add_bytes(name, _pretty(document))

    def add_bytes(self, name: str, data: bytes) -> None:
        """A descriptor of the format with a small file."""
        path, media_type = WELL_KNOWN[name]
        self._write(path, data)
        self._describe(name, path, media_type, hashlib.sha256(data).hexdigest(), len(data))

    def add_file(self, name: str, path: str, media_type: str, source: Path) -> str:
        """Copy a file in under a path; its SHA-256 in hex. Nothing else may write to it meanwhile."""
        digest = hashlib.sha256()
        size = source.stat().st_size
        with source.open("rb") as handle:
            self._entry(path, size, _Hashing(handle, digest))
        self._describe(name, path, media_type, digest.hexdigest(), size)
        return digest.hexdigest()

    def add_blob(self, sha256: str, source: Path) -> str:
        """Copy content in once, however often it is used; its path. ValueError when it is not what its name says."""
        path = f"{BLOB_FOLDER}/{sha256}"
        if sha256 not in self._blobs:
            self._blobs.add(sha256)
            actual = self.add_file(f"blob.{sha256}", path, BLOB_TYPE, source)
            if actual != sha256:
                raise ValueError(f"{source} has the SHA-256 {actual}")
        return path

    def finish(
        self,
        *,
        core_compatibility: Mapping[str, str],
        source: Mapping[str, str],
        required_capabilities: Sequence[str],
        consistency: Mapping[str, Any],
    ) -> str:
        """Write layout and index; the archive digest."""
        index: dict[str, Any] = {
            "schema_version": INDEX_SCHEMA,
            "archive_version": VERSION,
            "mediaType": INDEX_TYPE,
            "core_compatibility": dict(core_compatibility),
            "source": dict(source),
            "required_capabilities": list(required_capabilities),
            "identity_descriptors": [name for name in self._descriptors if name not in _NO_IDENTITY],
            "descriptors": self._descriptors,
            "consistency": dict(consistency),
        }
        index["archive_digest"] = archive_digest(index)
        layout = {
            "schema_version": LAYOUT_SCHEMA,
            "archive_version": VERSION,
            "mediaType": LAYOUT_TYPE,
            "index": INDEX_PATH,
            "blobs": BLOB_FOLDER,
            "transports": ["directory", "tar"],
            "checksum_lists_authoritative": False,
        }
        self._write(LAYOUT_PATH, _pretty(layout))
        self._write(INDEX_PATH, _pretty(index))
        return str(index["archive_digest"])

    def _describe(self, name: str, path: str, media_type: str, sha256: str, size: int) -> None:
        self._descriptors[name] = {"mediaType": media_type, "path": path, "digest": f"sha256:{sha256}", "size": size}

    def _write(self, path: str, data: bytes) -> None:
        self._entry(path, len(data), io.BytesIO(data))

    def _entry(self, path: str, size: int, content: Any) -> None:
        entry = tarfile.TarInfo(path)
        entry.size = size
        entry.mode = 0o644
        self._tar.addfile(entry, content)
        self.files += 1
        self.total_bytes += size


class _Hashing:
    """A file that is hashed while the tar reads it."""

    def __init__(self, handle: BinaryIO, digest: Any) -> None:
        self._handle, self._digest = handle, digest

    def read(self, size: int = _COPY_BYTES) -> bytes:
        data = self._handle.read(size)
        self._digest.update(data)
        return data


def _pretty(document: Any) -> bytes:
    return json.dumps(document, indent=2, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"
