"""The data directory of a gateway: whose it is, its secrets, its locks. Imports nothing heavy. docs/local-gateway.md."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import secrets
import shutil
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from run402_cli import advice, local_gateway
from run402_cli._version import __version__
from run402_cli.core.errors import CannotLook, CoreProcessError
from run402_cli.core.web.instants import iso
from run402_cli.file_lock import FileLock
from run402_cli.ownership import belongs_to_another

# What the files of a data directory mean, written into its marker. 1: no `made_by`, perhaps no `id`. 2: `made_by`, `database`.
# A newer one is refused; an older one is brought up to date by the next start.
FORMAT = 2
MADE_BY = "run402 " + __version__
KIND = "run402-core-data"
START_ELSEWHERE = advice.command("core", "start", "--data-dir", advice.Blank("directory"))
MARKER = local_gateway.MARKER
STATE = local_gateway.STATE
LOG = "gateway.log"
STDERR_LOG = "gateway.stderr.log"
RUN_LOCK = local_gateway.RUN_LOCK
START_LOCK = "start.lock"
LOCK_TIMEOUT_SECONDS = 180
# Shortages of the machine: they say nothing about the file, and they pass.
PASSING = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EINTR, errno.EIO)
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
# What other users of the machine may not look into. The cluster is not among them: PostgreSQL itself sees to that.
OURS_ALONE = (LOG, f"{LOG}.1", STDERR_LOG, RUN_LOCK, START_LOCK, "archives", "content", "private", "functions")
# A fresh file system has this in its root; such a directory still counts as empty.
HARMLESS_ENTRIES = frozenset({"lost+found", ".DS_Store"})


@dataclass(frozen=True, slots=True)
class Secrets:
    """Random, made once per data directory."""

    jwt_secret: str
    signed_read_secret: str
    postgres_password: str
    control_token: str


def resolve(data_dir: Path | None) -> Path:
    """The absolute path of a data directory, without symbolic links. CORE_DATA_DIR_INVALID for another user's."""
    found = (data_dir or local_gateway.default_data_dir()).expanduser().resolve()
    with contextlib.suppress(OSError):
        _require_own(found, found)
    return found


def _require_own(data_dir: Path, place: Path) -> None:
    """What another user made says nothing about this user's gateway, and would give them its token. OSError."""
    if belongs_to_another(place):
        what = "it" if place == data_dir else place.name
        raise invalid(data_dir, f"{what} belongs to another user of this machine (uid {place.stat().st_uid})")


def read_marker(data_dir: Path) -> dict[str, Any] | None:
    """What the directory says about itself, {kind, format, id, created_at, made_by, ...}; None when no gateway made it.

    Raises CORE_DATA_DIR_INVALID for a marker that cannot be read (it is there, so it never counts as missing), and
    CORE_FORMAT_NEWER for one that a newer version wrote.
    """
    path = data_dir / MARKER
    try:
        found = json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as exc:
        if exc.errno in PASSING:
            raise CannotLook(data_dir, exc) from exc
        raise _unreadable(data_dir, exc.strerror or str(exc)) from exc
    except ValueError as exc:
        raise _unreadable(data_dir, "it is no JSON") from exc
    number = found.get("format", 1) if isinstance(found, dict) else None
    if not isinstance(found, dict) or found.get("kind") != KIND or type(number) is not int:
        raise _unreadable(data_dir, f"it is no marker of kind {KIND}")
    if number > FORMAT:
        made_by = str(found.get("made_by") or "a newer run402")
        raise newer_format(f"The data directory {data_dir}", made_by, number, FORMAT)
    return found


def newer_format(what: str, made_by: str, number: int, known: int) -> CoreProcessError:
    """The refusal of something that a newer version made."""
    return CoreProcessError(
        "CORE_FORMAT_NEWER",
        f"{what} was last written by {made_by} in format {number}; this is {MADE_BY}, which knows formats up to {known}. "
        "Nothing was changed.",
        hint=f"Use {made_by} or newer for it, or start with another directory: {START_ELSEWHERE}",
        details={"made_by": made_by, "format": number, "known_format": known, "version": __version__},
    )


def _unreadable(data_dir: Path, reason: str) -> CoreProcessError:
    path = data_dir / MARKER
    return CoreProcessError(
        "CORE_DATA_DIR_INVALID",
        f"{path} says what a gateway's data directory holds, and it cannot be used: {reason}. It was left as it is.",
        hint=f"Put the file back from a backup, make it readable, or use another directory: {START_ELSEWHERE}",
        details={"data_dir": str(data_dir), "file": str(path)},
    )


def is_ours(data_dir: Path) -> bool:
    """Did a gateway make (or adopt, when empty) this directory? Errors as read_marker()."""
    return read_marker(data_dir) is not None


def identity(data_dir: Path) -> str:
    """The random id in the marker: tells a directory from an earlier one at the same path. CORE_DATA_DIR_INVALID."""
    marker = read_marker(data_dir)
    found = None if marker is None else marker.get("id", _first_id(data_dir))
    if not isinstance(found, str) or not found.isalnum():
        raise _unreadable(data_dir, "it has no `id`")
    return found


def _first_id(data_dir: Path) -> str:
    """The id where the first version wrote none: by the path it named the directory of root's cluster."""
    return hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:20]


def check_still_there(data_dir: Path) -> None:
    """CORE_DATA_DIR_GONE when the directory was deleted under a running gateway; CannotLook when that cannot be told."""
    try:
        (data_dir / MARKER).stat()
    except (FileNotFoundError, NotADirectoryError):
        raise gone(data_dir) from None
    except OSError as exc:
        raise CannotLook(data_dir, exc) from exc


def gone(directory: Path) -> CoreProcessError:
    return CoreProcessError(
        "CORE_DATA_DIR_GONE",
        f"{directory} was deleted while the gateway ran; what was in it is lost, and the gateway ended.",
        hint=f"Put it back from a backup, or begin anew: {advice.command('core', 'start')}",
        details={"directory": str(directory)},
        next_actions=[advice.action("run_command", "core", "start")],
    )


@contextlib.contextmanager
def locked(data_dir: Path) -> Iterator[None]:
    """One start, stop or reset at a time; inside, the directory exists and is ours.

    Raises CORE_DATA_DIR_INVALID, CORE_FORMAT_NEWER, CORE_DISK_FULL, CORE_BUSY.
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
            created = iso(datetime.now(UTC))
            marker = {"kind": KIND, "format": FORMAT, "id": secrets.token_hex(10), "created_at": created}
            write_private(data_dir / MARKER, {**marker, "made_by": MADE_BY})
        # As root, PostgreSQL's own user has to pass through on the way to its cluster; nothing else is readable.
        data_dir.chmod(0o711 if sys.platform != "win32" and os.geteuid() == 0 else 0o700)
        for name in ("private", "content"):
            (data_dir / name).mkdir(mode=0o700, exist_ok=True)
        for name in OURS_ALONE:
            make_private(data_dir / name)


def upgrade(data_dir: Path, *, external: bool) -> dict[str, Any] | None:
    """Bring the marker up to date: {what, from, to} when it was of an older format. Call it with the lock held.

    CORE_DATA_DIR_INVALID when it was used with the other kind of database, see tie().
    """
    marker = read_marker(data_dir) or {}
    kind = _kind(external)
    used_with = marker.get("database") or ("embedded" if (data_dir / "postgres").exists() else kind)
    if used_with != kind:
        raise _other_database(data_dir, str(used_with))
    number = marker.get("format", 1)
    # What we do not know stays: a version that does may read it again.
    _rewrite(data_dir, {"id": _first_id(data_dir), **marker, "format": FORMAT, "made_by": MADE_BY})
    return None if number == FORMAT else {"what": "data_dir", "from": number, "to": FORMAT}


def tie(data_dir: Path, *, external: bool, port: int) -> None:
    """Write down the kind of database that these files belong to: with the rows of another one they mean nothing; and
    the port, which the next start takes again.

    For the gateway, once that database has answered: a URL that never worked binds nobody.
    """
    _rewrite(data_dir, {**(read_marker(data_dir) or {}), "database": _kind(external), "port": port})


def _kind(external: bool) -> str:
    return "external" if external else "embedded"


def _rewrite(data_dir: Path, marker: dict[str, Any]) -> None:
    if marker != read_marker(data_dir):
        with reporting_os_errors(data_dir):
            write_private(data_dir / MARKER, marker)


def _other_database(data_dir: Path, used_with: str) -> CoreProcessError:
    words = ["core", "start", "--data-dir", str(data_dir)]
    if used_with == "external":
        words += ["--database-url", advice.Blank("url")]
    return CoreProcessError(
        "CORE_DATA_DIR_INVALID",
        f"{data_dir} holds the files of an {used_with} database, which this start would not use. It was left as it is.",
        hint=f"Start it as before: {advice.command(*words)}. Or use another directory for the other database.",
        details={"data_dir": str(data_dir), "database": used_with},
        next_actions=[advice.action("run_command", *words)],
    )


def _check_claimable(data_dir: Path) -> None:
    """The directory is there, and is ours or empty."""
    if data_dir.exists() and not data_dir.is_dir():
        raise invalid(data_dir, "it is not a directory")
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Another start may be claiming it: its temporary marker is no stranger, and whatever else it makes comes after the
    # marker, so then the directory is ours by now.
    entries = list(data_dir.iterdir())
    strangers = [
        entry.name
        for entry in entries
        if entry.name not in {*HARMLESS_ENTRIES, START_LOCK, MARKER} and not entry.name.startswith(f".{MARKER}.")
    ]
    ours = is_ours(data_dir)
    if strangers and not ours:
        raise invalid(data_dir, f"it holds files that no gateway made (there is no valid {MARKER})")
    _require_own(data_dir, data_dir)
    for entry in entries:
        # PostgreSQL itself starts in no cluster of another user.
        if entry.name in OWN_ENTRIES and not entry.name.startswith("postgres"):
            with contextlib.suppress(FileNotFoundError):
                _require_own(data_dir, entry)


def invalid(data_dir: Path, reason: str) -> CoreProcessError:
    return CoreProcessError(
        "CORE_DATA_DIR_INVALID",
        f"{data_dir} cannot be the gateway's data directory: {reason}. It was left as it is.",
        hint=f"Choose an empty or new directory: {START_ELSEWHERE}",
        details={"data_dir": str(data_dir)},
        next_actions=[advice.action("run_command", "core", "start", "--data-dir", advice.Blank("directory"))],
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
        if isinstance(found, dict) and "control_token" not in found:  # made by a version that had none
            found["control_token"] = secrets.token_hex(32)
            write_private(path, found)
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


def make_private(path: Path) -> None:
    """Take away what others may do with a file or directory. Older versions made some with what the umask left."""
    with contextlib.suppress(FileNotFoundError):
        mode = path.lstat().st_mode
        if sys.platform != "win32" and not stat.S_ISLNK(mode) and mode & 0o077:
            path.chmod(stat.S_IMODE(mode) & 0o700)


def open_private(path: Path) -> BinaryIO:
    """An empty file that only its owner can read, for writing."""
    return open(path, "wb", opener=lambda name, flags: os.open(name, flags, 0o600))


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
