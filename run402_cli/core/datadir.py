"""The data directory of a gateway: whose it is, its secrets, its locks. Imports nothing heavy. docs/local-gateway.md."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from run402_cli.core.errors import CoreProcessError, run_command

MARKER = "run402-core.json"
STATE = "gateway.json"
LOG = "gateway.log"
STDERR_LOG = "gateway.stderr.log"
RUN_LOCK = "gateway.lock"
START_LOCK = "start.lock"
LOCK_TIMEOUT_SECONDS = 180
# All that the gateway ever puts here: reset deletes these names and nothing else.
OWN_ENTRIES = (
    STATE,
    LOG,
    f"{LOG}.1",
    STDERR_LOG,
    "archives",
    "content",
    "private",
    "functions",
    "postgres",
    "postgres.new",
    "postgres.pw",
    RUN_LOCK,
    START_LOCK,
    MARKER,
)
# A fresh file system has this in its root; such a directory still counts as empty.
HARMLESS_ENTRIES = frozenset({"lost+found", ".DS_Store"})


@dataclass(frozen=True, slots=True)
class Secrets:
    """Random, made once per data directory."""

    jwt_secret: str
    signed_read_secret: str
    postgres_password: str


def default_data_dir() -> Path:
    """RUN402_CORE_DATA_DIR, else `core` below the user's data directory."""
    override = os.environ.get("RUN402_CORE_DATA_DIR")
    if override:
        return Path(override)
    import platformdirs

    return Path(platformdirs.user_data_dir("run402", appauthor=False)) / "core"


def resolve(data_dir: Path | None) -> Path:
    """The absolute path of a data directory, without symbolic links."""
    return (data_dir or default_data_dir()).expanduser().resolve()


def is_ours(data_dir: Path) -> bool:
    """Did a gateway make (or adopt, when empty) this directory?"""
    try:
        return bool(json.loads((data_dir / MARKER).read_text())["kind"] == "run402-core-data")
    except (OSError, ValueError, KeyError, TypeError):
        return False


def identity(data_dir: Path) -> str:
    """The random id in the marker: tells a directory from an earlier one at the same path. CORE_DATA_DIR_INVALID."""
    try:
        found = json.loads((data_dir / MARKER).read_text())["id"]
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise invalid(data_dir, f"its {MARKER} is damaged") from exc
    if not isinstance(found, str) or not found.isalnum():
        raise invalid(data_dir, f"its {MARKER} is damaged")
    return found


@contextlib.contextmanager
def locked(data_dir: Path) -> Iterator[None]:
    """One start, stop or reset at a time; inside, the directory exists and is ours.

    Raises CORE_DATA_DIR_INVALID, CORE_DISK_FULL, CORE_BUSY.
    """
    lock = FileLock(data_dir / START_LOCK)
    with reporting_os_errors(data_dir):
        # Before the lock file is put there; and after, because a reset may have removed everything while we waited.
        _check_claimable(data_dir)
        acquired = lock.acquire(LOCK_TIMEOUT_SECONDS)
    if not acquired:
        raise CoreProcessError(
            "CORE_BUSY",
            f"Another `run402 core` command has been working on {data_dir} for {LOCK_TIMEOUT_SECONDS} seconds.",
            hint="Wait for it or end it, then repeat.",
        )
    try:
        prepare(data_dir)
        yield
    finally:
        lock.release()


def prepare(data_dir: Path) -> None:
    """Create the directory, or check that it is ours. Call it with the lock held."""
    with reporting_os_errors(data_dir):
        _check_claimable(data_dir)
        if not is_ours(data_dir):
            created = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            marker = {"kind": "run402-core-data", "format": 1, "id": secrets.token_hex(10), "created_at": created}
            write_private(data_dir / MARKER, marker)
        # As root, PostgreSQL's own user has to pass through on the way to its cluster; nothing else is readable.
        data_dir.chmod(0o711 if sys.platform != "win32" and os.geteuid() == 0 else 0o700)
        for name in ("private", "content"):
            (data_dir / name).mkdir(mode=0o700, exist_ok=True)


def _check_claimable(data_dir: Path) -> None:
    """The directory is there, and is ours or empty."""
    if data_dir.exists() and not data_dir.is_dir():
        raise invalid(data_dir, "it is not a directory")
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Another start may be claiming it: its temporary marker is no stranger, and whatever else it makes comes after the
    # marker, so then the directory is ours by now.
    strangers = [
        entry.name
        for entry in data_dir.iterdir()
        if entry.name not in {*HARMLESS_ENTRIES, START_LOCK, MARKER} and not entry.name.startswith(f".{MARKER}.")
    ]
    if strangers and not is_ours(data_dir):
        raise invalid(data_dir, f"it holds files that no gateway made (there is no valid {MARKER})")


def invalid(data_dir: Path, reason: str) -> CoreProcessError:
    return CoreProcessError(
        "CORE_DATA_DIR_INVALID",
        f"{data_dir} cannot be the gateway's data directory: {reason}. It was left as it is.",
        hint="Choose an empty or new directory: run402 core start --data-dir <path>",
        details={"data_dir": str(data_dir)},
        next_actions=[run_command("run402 core start --data-dir <path>")],
    )


@contextlib.contextmanager
def reporting_os_errors(data_dir: Path) -> Iterator[None]:
    """A full disk or a closed directory as an error that says what to do."""
    try:
        yield
    except OSError as exc:
        if exc.errno in (errno.ENOSPC, errno.EDQUOT if hasattr(errno, "EDQUOT") else errno.ENOSPC):
            raise CoreProcessError(
                "CORE_DISK_FULL",
                f"The disk under {data_dir} is full.",
                hint="Free space there and repeat, or choose another directory with --data-dir.",
                details={"data_dir": str(data_dir)},
            ) from exc
        raise invalid(data_dir, exc.strerror or str(exc)) from exc


def load_secrets(data_dir: Path) -> Secrets:
    """The secrets of this directory, made on first use. A damaged file is reported and left in place."""
    path = data_dir / "private" / "secrets.json"
    if not path.exists():
        with reporting_os_errors(data_dir):
            fresh = {name: secrets.token_hex(32) for name in Secrets.__slots__}
            write_private(path, fresh)
    try:
        found = json.loads(path.read_text())
        values = {name: found[name] for name in Secrets.__slots__}
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise invalid(
            data_dir, f"{path} is damaged ({type(exc).__name__}); remove that file to make new secrets"
        ) from exc
    return Secrets(**values)


def write_private(path: Path, value: dict[str, Any]) -> None:
    """JSON into a 0600 file: all of it or nothing, also after a power cut."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(json.dumps(value, indent=2) + "\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def delete_own_entries(data_dir: Path) -> tuple[list[str], list[str]]:
    """Delete what a gateway made, then the directory if nothing else is in it. (deleted, kept) names."""
    deleted = []
    # The marker goes last: after an interruption the rest is still known to be ours.
    for name in OWN_ENTRIES:
        path = data_dir / name
        if name == START_LOCK and sys.platform == "win32":
            continue  # We hold it, and an open file cannot be deleted there.
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.exists() or path.is_symlink():
            path.unlink()
        else:
            continue
        deleted.append(name)
    kept = sorted(entry.name for entry in data_dir.iterdir())
    if not kept:
        # A mount point cannot be removed; being empty is as good.
        with contextlib.suppress(OSError):
            data_dir.rmdir()
    return deleted, kept


class FileLock:
    """An advisory lock that the operating system releases when its holder dies."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def acquire(self, timeout_seconds: float) -> bool:
        """True when the lock is ours; False when somebody else kept it for all of the timeout."""
        deadline = time.monotonic() + timeout_seconds
        while True:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
            if _try_lock(descriptor) and self._still_at_path(descriptor):
                self._descriptor = descriptor
                return True
            os.close(descriptor)
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.05)

    def _still_at_path(self, descriptor: int) -> bool:
        # A reset may have deleted the file between open and lock; then this lock protects nothing.
        try:
            return os.path.samestat(os.fstat(descriptor), self.path.stat())
        except OSError:
            return False

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _try_lock(descriptor: int) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
