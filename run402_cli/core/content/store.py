"""Content-addressed files below the data directory. Every byte is stored once; a project sees only what it staged."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import shutil
import time
from pathlib import Path
from typing import IO

from run402_cli.core.errors import GatewayError

SHA256 = re.compile(r"[0-9a-f]{64}")
PROJECT_ID = re.compile(r"prj_[a-z0-9_]{1,96}")

# Abandoned temporary files are only those of a killed gateway or of a client that went away for good.
ABANDONED_AFTER_SECONDS = 48 * 3600
COPY_BYTES = 1 << 20


class ContentStore:
    """`cas/<2 hex>/<sha256>` holds bytes once; `refs/<project>/<2 hex>/<sha256>` says which project staged them.

    Bytes reach their final name only by a rename of a complete, verified and synced temporary file, so a killed
    process never leaves half an object behind. Methods block; call them from a thread for anything big. See
    docs/local-gateway.md.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, sha256: str) -> Path:
        if not SHA256.fullmatch(sha256):
            raise ValueError(f"not a SHA-256 in lower-case hex: {sha256!r}")
        return self.root / "cas" / sha256[:2] / sha256

    def ref_path(self, project_id: str, sha256: str) -> Path:
        if not PROJECT_ID.fullmatch(project_id):
            raise ValueError(f"not a project id: {project_id!r}")
        return self.root / "refs" / project_id / sha256[:2] / sha256

    def size(self, sha256: str) -> int | None:
        """Stored length in bytes, or None when the bytes are not there."""
        try:
            return self.path(sha256).stat().st_size
        except FileNotFoundError:
            return None

    def project_size(self, project_id: str, sha256: str) -> int | None:
        """Like `size`, but only for content that this project staged."""
        return self.size(sha256) if self.ref_path(project_id, sha256).exists() else None

    def sizes(self, project_id: str, digests: list[str]) -> dict[str, int | None]:
        """`project_size` of many digests in one call, for one trip to a worker thread."""
        return {sha256: self.project_size(project_id, sha256) for sha256 in digests}

    def read(self, sha256: str) -> bytes:
        return self.path(sha256).read_bytes()

    def put(self, project_id: str, sha256: str, data: bytes) -> None:
        """Store verified bytes for a project. The caller has compared the digest."""
        temporary = self.temporary()
        with temporary.open("wb") as handle:
            handle.write(data)
            sync_file(handle)
        self.adopt(project_id, sha256, temporary)

    def temporary(self, name: str | None = None) -> Path:
        """A path for an upload in progress, on the same file system as the final place."""
        folder = self.root / "tmp"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{name or secrets.token_hex(12)}.part"

    def adopt(self, project_id: str, sha256: str, temporary: Path) -> None:
        """Give a complete, synced temporary file its final name and note that the project staged it."""
        final = self.path(sha256)
        ref = self.ref_path(project_id, sha256)
        if final.exists():
            temporary.unlink(missing_ok=True)
        else:
            final.parent.mkdir(parents=True, exist_ok=True)
            temporary.replace(final)
        ref.parent.mkdir(parents=True, exist_ok=True)
        ref.touch()

    def sync(self, project_id: str, digests: list[str]) -> None:
        """Make the directory entries of these objects durable (one fsync per directory, not per object)."""
        folders = {self.path(d).parent for d in digests} | {self.ref_path(project_id, d).parent for d in digests}
        for folder in sorted(folders):
            sync_folder(folder)

    def share(self, project_id: str, other_id: str) -> None:
        """Let another project see everything that this one staged."""
        for ref in (self.root / "refs" / project_id).glob("*/*"):
            copy = self.ref_path(other_id, ref.name)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.touch()

    def forget(self, project_id: str) -> None:
        """Remove what says that a project staged anything; the bytes stay for others until they are swept."""
        shutil.rmtree(self.root / "refs" / project_id, ignore_errors=True)

    def sweep(self) -> None:
        """Remove temporary files that nobody will finish."""
        limit = time.time() - ABANDONED_AFTER_SECONDS
        for path in (self.root / "tmp").glob("*.part"):
            with contextlib.suppress(OSError):
                if path.stat().st_mtime < limit:
                    path.unlink()


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


def storage_failure(exc: OSError) -> GatewayError:
    """The answer for a disk that refuses a write."""
    return GatewayError(
        507,
        "storage_unavailable",
        f"The gateway could not write to its content directory: {exc.strerror or exc}. "
        "Free space on that disk (or check its permissions) and send the request again.",
        retryable=True,
    )
