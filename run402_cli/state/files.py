"""Reading and writing small JSON state files: atomic, private, locked."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from run402_cli import advice, global_options, output
from run402_cli.errors import EnvironmentFault

_LOCK_WAIT_S = 0.02
_LOCK_TRIES = 200
_LOCK_STALE_S = 30.0
_ELSEWHERE = dict.fromkeys(("wallet", "base"), "Or set RUN402_CONFIG_DIR to a directory.")


def iso_of(moment: datetime) -> str:
    """A point in time as text: UTC, with milliseconds and Z."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def now_iso() -> str:
    """Now, as `iso_of` writes it."""
    return iso_of(datetime.now(UTC))


def time_of(text: str) -> datetime:
    """The point in time of an ISO text, which is UTC without a zone. ValueError when it is none."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class StateFile:
    """One kind of state file: how it must look. The table of all of them is state/catalogue.py.

    `place` is where it lies: wallet (its own directory), base (shared by all wallets), directory (the working directory or
    one above), workspace (`.run402` of the working directory). `variable` is the environment's own path for it. `types`
    are the known fields with what each may be; other fields are allowed, kept, and never a fault. `check` says what else is
    wrong with an object, or None. `secret` files are taken away from other users when they are read.
    """

    name: str
    holds: str
    place: str = "wallet"
    variable: str | None = None
    types: Mapping[str, tuple[type, ...]] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    check: Callable[[dict[str, Any]], str | None] | None = None
    version: int = 1
    secret: bool = False
    array: bool = False
    code: str = "BAD_ENV"
    shape_code: str | None = None  # recorded for JSON of another shape
    cure: str = ""


class DamagedState(EnvironmentFault):
    """A state file is there and cannot be read as what it is. It was left as it is, and is never taken for absent.

    `reason` is one sentence without its stop, `kind` one of unreadable, not_json, wrong_type, newer_version.
    """

    def __init__(self, path: Path, reason: str, *, kind: str, code: str | None = None, cure: str = "") -> None:
        away = advice.line("mv", path, _free_name(path))
        first = "Upgrade run402" if kind == "newer_version" else "Repair the file"
        super().__init__(
            f"{path} is damaged: {reason}."
            if kind != "newer_version"
            else f"{path} is not for this version: {reason}.",
            code=code,
            hint=f"It was left as it is. {first}, or move it away and start afresh: `{away}`.{f' {cure}' if cure else ''}",
            details={"path": str(path), "reason": kind},
            next_actions=[advice.entry("run_command", away, why="A missing file means the default.")],
        )
        self.path = path
        self.reason = reason


def _free_name(path: Path) -> Path:
    """A name beside it that nothing has yet: moving a file away must not replace what was moved away before."""
    number, free = 1, path.with_name(f"{path.name}.bad")
    while os.path.lexists(free):
        number += 1
        free = path.with_name(f"{path.name}.bad{number}")
    return free


def read_state(path: Path, kind: StateFile) -> dict[str, Any] | None:
    """The object in a state file; None only when no file is there. DamagedState for everything else that is no such object."""
    value = _parsed(path, kind)
    if value is None:
        return None
    if not isinstance(value, dict):
        raise _misshapen(path, kind, "it is not a JSON object")
    return value


def read_state_or_array(path: Path, kind: StateFile) -> dict[str, Any] | list[Any] | None:
    """Like `read_state`, for a file whose older form is an array."""
    value: dict[str, Any] | list[Any] | None = _parsed(path, kind)
    return value


def _parsed(path: Path, kind: StateFile) -> Any:
    data = _bytes(path, kind)
    if data is None:
        return None
    try:
        value = json.loads(data)
    except UnicodeDecodeError as exc:
        raise DamagedState(path, "it is not UTF-8", kind="not_json", code=kind.code, cure=kind.cure) from exc
    except ValueError as exc:
        reason = "it is not JSON" if data.strip() else "it is empty"
        raise DamagedState(path, reason, kind="not_json", code=kind.code, cure=kind.cure) from exc
    except RecursionError as exc:
        raise DamagedState(path, "it is nested too deeply", kind="not_json", code=kind.code, cure=kind.cure) from exc
    if isinstance(value, dict):
        _require_shape(path, kind, value)
    elif not (kind.array and isinstance(value, list)):
        raise _misshapen(path, kind, "it is not a JSON object")
    return value


def _bytes(path: Path, kind: StateFile) -> bytes | None:
    try:
        mode = path.stat().st_mode
        if stat.S_ISREG(mode):
            if kind.secret:
                tighten_mode(path)
            return path.read_bytes()
        what = "a directory" if stat.S_ISDIR(mode) else "no regular file"
        raise DamagedState(path, f"it is {what}", kind="wrong_type", code=kind.code, cure=kind.cure)
    except (FileNotFoundError, NotADirectoryError):
        _require_absent(path, kind)
        return None
    except OSError as exc:
        reason = f"it cannot be read ({exc.strerror or exc})"
        raise DamagedState(path, reason, kind="unreadable", code=kind.code, cure=kind.cure) from exc


def _require_absent(path: Path, kind: StateFile) -> None:
    """A link that leads nowhere, or a file in place of the directory, is not the same as no file."""
    if path.is_symlink():
        raise DamagedState(path, "it is a symbolic link to nothing", kind="wrong_type", code=kind.code, cure=kind.cure)
    for parent in path.parents:
        if parent.is_dir():
            return
        if os.path.lexists(parent):
            reason = f"it stands where the directory of {path.name} should be"
            raise DamagedState(parent, reason, kind="wrong_type", cure=_ELSEWHERE.get(kind.place, ""))


def _require_shape(path: Path, kind: StateFile, value: dict[str, Any]) -> None:
    for key in ("version", "schema_version", "format"):
        number = value.get(key)
        if isinstance(number, int) and not isinstance(number, bool) and number > kind.version:
            reason = f"it was written by a newer version ({key} {number}; this one reads {kind.version})"
            raise DamagedState(path, reason, kind="newer_version", code=kind.code, cure=kind.cure)
    for key in kind.required:
        if key not in value:
            raise _misshapen(path, kind, f"`{key}` is missing")
    for key, types in kind.types.items():
        found = value.get(key)
        if found is None and key not in kind.required:
            continue
        if not isinstance(found, types) or (isinstance(found, bool) and bool not in types):
            raise _misshapen(path, kind, f"`{key}` is not of its type")
    wrong = kind.check(value) if kind.check is not None else None
    if wrong is not None:
        raise _misshapen(path, kind, wrong)


def _misshapen(path: Path, kind: StateFile, reason: str) -> DamagedState:
    return DamagedState(path, reason, kind="wrong_type", code=kind.shape_code or kind.code, cure=kind.cure)


def rewritten(path: Path, kind: StateFile, fields: Mapping[str, Any]) -> dict[str, Any]:
    """`fields`, and what the old file holds beside the fields that are known here: a rewrite loses nothing of others."""
    old = read_state(path, kind) or {}
    return {**{key: value for key, value in old.items() if key not in kind.types}, **fields}


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
        global_options.about_to_write(path)
    text = json.dumps(value, indent=2, ensure_ascii=False) + ("\n" if newline else "")
    scratch = path.parent / f"{temp}.{os.urandom(4).hex()}.tmp"
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
            f"Another run of run402 holds the lock on {path.name}.",
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


def tighten_mode(path: Path) -> None:
    """Take group and other permissions off a secret file, and say so on stderr. No-op where modes do not exist."""
    if os.name != "posix":
        return
    with contextlib.suppress(OSError):
        mode = path.stat().st_mode & 0o777
        if mode & 0o077:
            path.chmod(0o600)
            output.notice(f"warning: {path} was readable by others (mode {mode:o}); changed to 600")
