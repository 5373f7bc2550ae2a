"""Reading and writing small JSON state files: atomic, private, locked."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from run402_cli import invocation, output
from run402_cli.errors import CommandError, EnvironmentFault

_LOCK_WAIT_S = 0.02
_LOCK_TRIES = 200
_LOCK_STALE_S = 30.0


def now_iso() -> str:
    """Now, UTC, with milliseconds and Z."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def read_json(path: Path) -> Any:
    """The file's JSON value; None when it is missing, unreadable, not UTF-8 or not JSON."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None


def read_object(path: Path) -> dict[str, Any]:
    """Like read_json, but anything that is not an object counts as empty."""
    value = read_json(path)
    return value if isinstance(value, dict) else {}


def make_private_dir(path: Path) -> None:
    """Create a directory and its missing parents, new ones with mode 0700."""
    if not path.is_dir():
        if not path.parent.is_dir():
            make_private_dir(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)


def write_json(path: Path, value: Any, *, temp: str, newline: bool = False, housekeeping: bool = False) -> None:
    """Replace `path` in one step with 2-space JSON, mode 0600: a reader sees the old file or the new one.

    `temp` is the stem of the sibling temporary file, e.g. ".state" gives ".state.<8 hex>.tmp". Under --dry-run only
    `housekeeping` is written: what every command does to old files, whatever it was asked for.
    """
    if not housekeeping:
        invocation.about_to_write(path)
    text = json.dumps(value, indent=2, ensure_ascii=False) + ("\n" if newline else "")
    scratch = path.parent / f"{temp}.{secrets.token_hex(4)}.tmp"
    try:
        make_private_dir(path.parent)
        fd = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(text.encode("utf-8", "surrogatepass"))
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    except BaseException as exc:
        with contextlib.suppress(OSError):
            scratch.unlink()
        if isinstance(exc, OSError):
            raise _unwritable(path, exc) from exc
        raise
    with contextlib.suppress(OSError):
        path.chmod(0o600)
    _sweep(path.parent, temp)


def _sweep(folder: Path, temp: str) -> None:
    """Remove temporary files that a killed process left behind: they may hold secrets."""
    with contextlib.suppress(OSError):
        for leftover in folder.glob(f"{temp}.*.tmp"):
            if _is_stale(leftover):
                leftover.unlink(missing_ok=True)


def _unwritable(path: Path, exc: OSError) -> EnvironmentFault:
    return EnvironmentFault(
        f"Cannot write {path}: {exc.strerror or exc}.",
        hint="Nothing was changed. Check the permissions and free space of that directory, or set RUN402_CONFIG_DIR.",
        details={"path": str(path)},
    )


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the cross-process lock of a state file: the directory `<file>.lock`, shared with the Node CLI.

    A lock whose directory is older than 30 seconds was left by a killed process and is taken over: no writer holds it
    for longer than one read and one write.
    """
    lock = path.with_name(path.name + ".lock")
    try:
        make_private_dir(lock.parent)
    except OSError as exc:
        raise _unwritable(path, exc) from exc
    for _ in range(_LOCK_TRIES):
        try:
            lock.mkdir(mode=0o700)
            break
        except FileExistsError:
            _drop_stale(lock)
        except OSError as exc:
            # Windows answers PermissionError while a removal is pending; elsewhere it means that we may not write here.
            if os.name != "nt" or not isinstance(exc, PermissionError):
                raise _unwritable(path, exc) from exc
        time.sleep(_LOCK_WAIT_S)
    else:
        raise EnvironmentFault(
            f"Another run402 process holds the lock on {path.name}.",
            hint=f"Retry. If no run402 is running, remove the directory {lock}",
            details={"path": str(lock)},
        )
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            lock.rmdir()


def _drop_stale(lock: Path) -> None:
    if not _is_stale(lock):
        return
    # One taker at a time, and look again: two waiters could remove the lock that the first one has just taken.
    taker = lock.with_name(lock.name + ".taker")
    with contextlib.suppress(OSError):
        if _is_stale(taker):
            taker.rmdir()
        taker.mkdir(mode=0o700)
        try:
            if _is_stale(lock):
                lock.rmdir()
        finally:
            taker.rmdir()


def _is_stale(lock: Path) -> bool:
    try:
        return time.time() - lock.stat().st_mtime > _LOCK_STALE_S
    except OSError:
        return False


def refuse_damaged(path: Path) -> None:
    """Stop a write that would replace a file which exists but cannot be read as a JSON object."""
    if not path.exists():
        return
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as exc:
        raise _damaged(path, str(exc)) from exc
    if not isinstance(value, dict):
        raise _damaged(path, "it is not a JSON object")


def _damaged(path: Path, reason: str) -> CommandError:
    return EnvironmentFault(
        f"{path} is damaged ({reason}); it was left as it is and nothing was written.",
        hint=f"Repair the file, or move it away to start afresh: mv '{path}' '{path}.bad'",
        details={"path": str(path)},
    )


def tighten_mode(path: Path) -> None:
    """Take group and other permissions off a secret file, and say so on stderr. No-op where modes do not exist."""
    if os.name != "posix":
        return
    with contextlib.suppress(OSError):
        mode = path.stat().st_mode & 0o777
        if mode & 0o077:
            path.chmod(0o600)
            output.notice(f"warning: {path} was readable by others (mode {mode:o}); changed to 600")
