"""Content-addressed files below the data directory. Every byte is stored once; a project sees only what it staged."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from run402_cli.core.content.files import sync_file, sync_file_system, sync_folder
from run402_cli.core.content.journal import Entry, Journal
from run402_cli.core.errors import GatewayError

SHA256 = re.compile(r"[0-9a-f]{64}")
PROJECT_ID = re.compile(r"prj_[a-z0-9_]{1,96}")

# Abandoned temporary files are only those of a killed gateway or of a client that went away for good.
ABANDONED_AFTER_SECONDS = 48 * 3600
# To sync so many one by one takes longer than whatever else waits to be written.
MANY_FOLDERS = 64


class ContentStore:
    """`cas/<2 hex>/<sha256>` holds bytes once; `refs/<project>/<2 hex>/<sha256>` says which project staged them.

    Bytes reach their final name only by a rename of a complete, verified and synced temporary file, so a killed
    process never leaves half an object behind. Methods block; call them from a thread for anything big. See
    docs/local-gateway.md.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.journal = Journal(root / "batches")

    def path(self, sha256: str) -> Path:
        return self.root / "cas" / _checked(sha256)[:2] / sha256

    def ref_path(self, project_id: str, sha256: str) -> Path:
        return self._refs(project_id) / sha256[:2] / sha256

    def _refs(self, project_id: str) -> Path:
        if not PROJECT_ID.fullmatch(project_id):
            raise ValueError(f"not a project id: {project_id!r}")
        return self.root / "refs" / project_id

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
        # Plain texts: making a Path of each takes longer than to look for the file.
        staged, stored = f"{self._refs(project_id)}{os.sep}", f"{self.root / 'cas'}{os.sep}"
        found: dict[str, int | None] = {}
        for sha256 in digests:
            name = f"{_checked(sha256)[:2]}{os.sep}{sha256}"
            found[sha256] = _size(stored + name) if os.path.exists(staged + name) else None  # noqa: PTH110
        return found

    def staged_bytes(self, project_id: str) -> int:
        """Bytes of all that a project staged."""
        total = 0
        for folder in self._refs(project_id).glob("*"):
            stored = f"{self.root / 'cas' / folder.name}{os.sep}"
            total += sum(_size(stored + name) or 0 for name in os.listdir(folder))  # noqa: PTH208
        return total

    def read(self, sha256: str) -> bytes:
        return self.path(sha256).read_bytes()

    def put(self, project_id: str, sha256: str, data: bytes | bytearray) -> None:
        """Store verified bytes for a project. The caller has compared the digest."""
        temporary = self.temporary()
        try:
            with temporary.open("wb") as handle:
                handle.write(data)
                sync_file(handle)
            self.adopt(project_id, sha256, temporary)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    def temporary(self, name: str | None = None) -> Path:
        """A path for an upload in progress, on the same file system as the final place."""
        folder = self.root / "tmp"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{name or secrets.token_hex(12)}.part"

    def adopt(self, project_id: str, sha256: str, temporary: Path) -> None:
        """Give a complete, synced temporary file its final name and note that the project staged it."""
        final = str(self.path(sha256))
        if _size(final) is None:
            _moved(str(temporary), final)
        else:
            temporary.unlink(missing_ok=True)
        _refer(str(self.ref_path(project_id, sha256)), final)

    def put_batch(self, project_id: str, batch: bytes, objects: Sequence[Entry]) -> None:
        """Store the verified objects of a batch: one sync for all of them, and none is lost when it returns."""
        with self.journal.holding(project_id, batch, [entry.sha256 for entry in objects]):
            self._place(project_id, objects)

    def recover(self) -> None:
        """Store again what is in batches that a killed gateway left. Before anything else reads or writes here."""
        for project_id, objects in self.journal.left_behind():
            for entry in objects:
                final = self.path(entry.sha256)
                # The machine may have stopped before the bytes of a file were written.
                if final.exists() and final.read_bytes() != entry.data:
                    final.unlink()
            self._place(project_id, objects)
        self.settle()

    def settle(self) -> None:
        """Sync what came in batches, which are forgotten then. OSError: they are kept."""
        self.journal.settle(
            self.root, lambda project_id, sha256: (self.path(sha256), self.ref_path(project_id, sha256))
        )

    def _place(self, project_id: str, objects: Sequence[Entry]) -> None:
        """Make files of objects that a batch keeps safe: whole when they have their names, and not synced."""
        staged, stored = f"{self._refs(project_id)}{os.sep}", f"{self.root / 'cas'}{os.sep}"
        temporary = self.temporary()
        try:
            for entry in objects:
                name = f"{entry.sha256[:2]}{os.sep}{entry.sha256}"
                if _size(stored + name) != len(entry.data):
                    temporary.write_bytes(entry.data)
                    _moved(str(temporary), stored + name)
                _refer(staged + name, stored + name)
        finally:
            temporary.unlink(missing_ok=True)

    def sync(self, project_id: str, digests: list[str]) -> None:
        """Make the directory entries of these objects durable: one fsync per directory, or one sync of everything."""
        covered = self.journal.covered(project_id)
        left = [sha256 for sha256 in digests if sha256 not in covered]
        folders = {self.path(d).parent for d in left} | {self.ref_path(project_id, d).parent for d in left}
        if len(folders) > MANY_FOLDERS and self.root.exists() and sync_file_system(self.root):
            return
        for folder in sorted(folders):
            sync_folder(folder)

    def share(self, project_id: str, other_id: str) -> None:
        """Let another project see everything that this one staged."""
        for ref in (self.root / "refs" / project_id).glob("*/*"):
            with contextlib.suppress(FileNotFoundError):  # what is not stored is of no use to it
                _refer(str(self.ref_path(other_id, ref.name)), str(self.path(ref.name)))

    def forget(self, project_id: str) -> None:
        """Remove what says that a project staged anything; the bytes stay for others until they are swept."""
        self.settle()  # a batch would bring it back, and keeps bytes that others may have staged since
        shutil.rmtree(self.root / "refs" / project_id, ignore_errors=True)

    def sweep(self) -> None:
        """Remove temporary files that nobody will finish."""
        limit = time.time() - ABANDONED_AFTER_SECONDS
        for path in (self.root / "tmp").glob("*.part"):
            with contextlib.suppress(OSError):
                if path.stat().st_mtime < limit:
                    path.unlink()


def _checked(sha256: str) -> str:
    if not SHA256.fullmatch(sha256):
        raise ValueError(f"not a SHA-256 in lower-case hex: {sha256!r}")
    return sha256


def _size(path: str) -> int | None:
    try:
        return os.stat(path).st_size  # noqa: PTH116
    except FileNotFoundError:
        return None


def _moved(temporary: str, final: str) -> None:
    try:
        os.replace(temporary, final)  # noqa: PTH105
    except FileNotFoundError:
        os.makedirs(os.path.dirname(final), exist_ok=True)  # noqa: PTH103, PTH120
        os.replace(temporary, final)  # noqa: PTH105


def _refer(ref: str, final: str) -> None:
    """Note at `ref` that a project staged an object, now."""
    try:
        os.utime(ref)
    except FileNotFoundError:
        try:
            _name(ref, final)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(ref), exist_ok=True)  # noqa: PTH103, PTH120
            _name(ref, final)
        os.utime(ref)


def _name(ref: str, final: str) -> None:
    """Another name for the object's own file: to make a new one costs many times as much."""
    try:
        os.link(final, ref)
    except FileNotFoundError:
        raise
    except FileExistsError:
        pass  # another request has just noted it
    except OSError:
        Path(ref).touch()  # a file system without second names, or a file that has as many as it may


def storage_failure(exc: OSError) -> GatewayError:
    """The answer for a disk that refuses a write."""
    return GatewayError(
        507,
        "storage_unavailable",
        f"The gateway could not write to its content directory: {exc.strerror or exc}. "
        "Free space on that disk (or check its permissions) and send the request again.",
        retryable=True,
    )
