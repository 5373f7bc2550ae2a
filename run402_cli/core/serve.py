"""The gateway process: `python -m run402_cli.core.serve --data-dir <dir> --port <n>`. See docs/local-gateway.md.

Prints one JSON line when it is ready, or one with the reason why not; `core start` waits for that line. An external
database comes in RUN402_CORE_DATABASE_URL, because arguments of a process can be read by everybody.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import logging
import logging.handlers
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

import psycopg
import uvicorn
from psycopg_pool import PoolTimeout

from run402_cli import advice
from run402_cli._version import __version__
from run402_cli.core import tasks
from run402_cli.core.app import create_app
from run402_cli.core.compose import compose, start
from run402_cli.core.daemon import datadir
from run402_cli.core.daemon.batched_log import BatchedLog
from run402_cli.core.daemon.listening import listening
from run402_cli.core.daemon.postgres import EmbeddedPostgres, make_cluster_parent
from run402_cli.core.daemon.postgres_watch import Supervisor
from run402_cli.core.daemon.run_lock import RunLock
from run402_cli.core.errors import CoreProcessError
from run402_cli.core.gateway import Gateway
from run402_cli.core.purge import purge
from run402_cli.core.releases import take_backs
from run402_cli.core.settings import STATEMENT_SECONDS, Settings
from run402_cli.core.web.instants import iso
from run402_cli.core.web.patience import patient_protocol
from run402_cli.proxies import is_loopback

log = logging.getLogger("run402.core")

LOG_BYTES = 2_000_000
OLDEST_POSTGRES = 16
DRAIN_SECONDS = 10
CONNECTIONS = 1000  # the system gives a process about as many descriptors


@dataclass(frozen=True, slots=True)
class ServeOptions:
    data_dir: Path
    port: int
    database_url: str | None = None
    log_to_stderr: bool = False
    require_payment: bool = False
    open: bool = False
    statement_seconds: int = STATEMENT_SECONDS


def run(options: ServeOptions, on_ready: Callable[[dict[str, Any]], None]) -> None:
    """Serve until SIGINT or SIGTERM. Raises CoreProcessError when the gateway cannot start."""
    # Logs, built functions, archives: nothing that the gateway or its functions write is for other users.
    os.umask(0o077)
    if sys.platform == "win32":
        # psycopg's async mode cannot use the default loop there.
        asyncio.set_event_loop_policy(asyncio.WindowsSelectorEventLoopPolicy())
    asyncio.run(_Process(options, on_ready).run())


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the process's business: uvicorn would raise them again after the shutdown."""
        yield


class _Process:
    def __init__(self, options: ServeOptions, on_ready: Callable[[dict[str, Any]], None]) -> None:
        self.options = options
        self.on_ready = on_ready
        self.data_dir = options.data_dir
        self.server: _Server | None = None
        self.stop_requested = False
        self.database_tls: bool | None = None
        self.lock = RunLock(options.data_dir)

    async def run(self) -> None:
        for name in ("SIGINT", "SIGTERM", "SIGBREAK"):
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), self._request_stop)
        if not self.lock.take():
            raise CoreProcessError(
                "CORE_ALREADY_RUNNING",
                f"Another gateway process uses {self.data_dir}.",
                hint=f"Run: {advice.command('core', 'status')}. To end it: {advice.command('core', 'stop')}",
                next_actions=[
                    advice.action("run_command", "core", "status"),
                    advice.action("run_command", "core", "stop"),
                ],
            )
        try:
            set_up_logging(self.options)
            with listening(self.options.port) as listeners:
                await self._serve(listeners)
        finally:
            self.lock.release()

    def _request_stop(self, number: int = 0, frame: FrameType | None = None) -> None:
        self.stop_requested = True
        if self.server is not None:
            self.server.should_exit = True

    async def _serve(self, listeners: list[socket.socket]) -> None:
        secrets = datadir.load_secrets(self.data_dir)
        settings = Settings(
            data_dir=self.data_dir,
            jwt_secret=secrets.jwt_secret,
            signed_read_secret=secrets.signed_read_secret,
            control_token=secrets.control_token,
            port=listeners[0].getsockname()[1],
            database_url=self.options.database_url,
            require_payment=self.options.require_payment,
            open=self.options.open,
            statement_seconds=self.options.statement_seconds,
        )
        async with self._database(secrets) as (url, postgres):
            gateway = compose(settings, url)
            await open_gateway(gateway)
            datadir.tie(self.data_dir, external=postgres is None, port=settings.port)
            try:
                await purge(gateway)
                async with supervised(Supervisor(gateway, postgres), self._request_stop):
                    await self._answer(gateway, listeners)
            finally:
                await gateway.close()
                log.info("gateway stopped")

    @contextlib.asynccontextmanager
    async def _database(self, secrets: datadir.Secrets) -> AsyncIterator[tuple[str, EmbeddedPostgres | None]]:
        if self.options.database_url:
            self.database_tls = await check_external(self.options.database_url)
            yield self.options.database_url, None
            return
        postgres = EmbeddedPostgres(make_cluster_parent(self.data_dir), password=secrets.postgres_password)
        try:
            await asyncio.to_thread(postgres.start)
            yield postgres.url(), postgres
        finally:
            await asyncio.to_thread(postgres.stop)

    async def _answer(self, gateway: Gateway, listeners: list[socket.socket]) -> None:
        config = uvicorn.Config(
            create_app(gateway),
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            # A header is anybody's word: it would choose whose wrong passwords are counted, and who is at this machine.
            proxy_headers=False,
            timeout_graceful_shutdown=DRAIN_SECONDS,
            http=patient_protocol(),
            limit_concurrency=CONNECTIONS,
        )
        self.server = _Server(config)
        self.server.should_exit = self.stop_requested
        # What is there from here to the end need not be looked through for garbage again and again.
        gc.collect()
        gc.freeze()
        serving = asyncio.create_task(self.server.serve(sockets=listeners))
        while not self.server.started and not serving.done():
            await asyncio.sleep(0.005)
        state = {**describe(gateway), "database_tls": self.database_tls}
        state_path = self.data_dir / datadir.STATE
        with datadir.reporting_os_errors(self.data_dir):
            self.lock.tell(state)
            # Programs of this user find here what opens the control plane; the note of the lock does without.
            datadir.write_private(state_path, {**state, "control_token": gateway.settings.control_token})
        settling: asyncio.Task[None] | None = None
        try:
            log.info("gateway %s ready on %s", __version__, gateway.settings.public_url)
            self.on_ready(state)
            settling = asyncio.create_task(take_backs.work(gateway))
            await serving
        finally:
            if settling is not None:
                await tasks.end(settling)
            state_path.unlink(missing_ok=True)


@contextlib.asynccontextmanager
async def supervised(supervisor: Supervisor, end: Callable[[], None]) -> AsyncIterator[None]:
    """Watch over data directory and PostgreSQL during the block; `end` is called when that is no use any more.

    Raises what the supervisor ended with: CORE_DATA_DIR_GONE.
    """
    task = asyncio.create_task(supervisor.run())
    task.add_done_callback(lambda _: end())
    try:
        yield
    finally:
        supervisor.stop()
        await task


_RIGHTS = (
    "The role of --database-url needs CREATEROLE, and CREATE on its database; no superuser. What to grant: "
    "run402 docs local-gateway"
)
_HELD = (
    "Another gateway is starting on this database, or a session or a prepared transaction holds its tables. Start again; if "
    "that fails too, look into pg_stat_activity and pg_prepared_xacts and end what is there."
)


async def open_gateway(gateway: Gateway) -> None:
    """Connect and bootstrap. CORE_DATABASE_UNUSABLE with PostgreSQL's words when that fails."""
    try:
        await start(gateway)
    except CoreProcessError:
        await gateway.close()
        raise
    except (psycopg.Error, PoolTimeout) as exc:
        await gateway.close()
        raise CoreProcessError(
            "CORE_DATABASE_UNUSABLE",
            f"The database cannot be prepared: {str(exc).strip()}",
            hint=_HELD if isinstance(exc, psycopg.errors.LockNotAvailable) else _RIGHTS,
        ) from exc


async def check_external(url: str) -> bool | None:
    """Is this a PostgreSQL that we can use? CORE_DATABASE_UNUSABLE otherwise.

    Whether the connection is encrypted; None on this machine, where it need not be.
    """
    try:
        async with await psycopg.AsyncConnection.connect(url, autocommit=True, connect_timeout=10) as conn:
            version = conn.info.server_version // 10000
            host = conn.info.hostaddr or conn.info.host
            encrypted = None if host.startswith("/") or is_loopback(host) else conn.pgconn.ssl_in_use
    except (psycopg.Error, UnicodeError) as exc:
        # A parse error quotes the connection string, password included; this text also goes to the log.
        readable = isinstance(exc, psycopg.OperationalError)
        reason = str(exc).strip() if readable else "it is not a connection string that PostgreSQL can read"
        raise CoreProcessError(
            "CORE_DATABASE_UNUSABLE",
            f"The database of --database-url does not answer: {reason}.",
            hint="Check host, port, user and database name: postgresql://user@host:5432/name",
        ) from exc
    if version < OLDEST_POSTGRES:
        raise CoreProcessError(
            "CORE_DATABASE_UNUSABLE",
            f"PostgreSQL {version} is too old; {OLDEST_POSTGRES} or newer is needed.",
            hint="Leave --database-url out to use the embedded PostgreSQL.",
        )
    return encrypted


def describe(gateway: Gateway) -> dict[str, Any]:
    """What `core status` shows: written into the run lock's note, and into the state file for other programs."""
    settings = gateway.settings
    return {
        "pid": os.getpid(),
        "port": settings.port,
        "url": settings.public_url,
        "started_at": iso(datetime.now(UTC)),
        "version": __version__,
        "data_dir": str(settings.data_dir),
        "database": "external" if settings.database_url else "embedded",
        "require_payment": settings.require_payment,
        "open": settings.open,
        "statement_timeout_seconds": settings.statement_seconds,
        "database_upgraded": gateway.database_upgraded,
    }


def set_up_logging(options: ServeOptions) -> None:
    """One file of bounded size, plus stderr in the foreground."""
    # A full disk must not turn every log line into a traceback on stderr.
    logging.raiseExceptions = False
    file = logging.handlers.RotatingFileHandler(
        options.data_dir / datadir.LOG, maxBytes=LOG_BYTES, backupCount=1, encoding="utf-8", delay=True
    )
    handlers: list[logging.Handler] = [BatchedLog(file)]
    if options.log_to_stderr:
        handlers.append(logging.StreamHandler(sys.stderr))
    logging.basicConfig(
        level=logging.INFO, handlers=handlers, format="%(asctime)s %(levelname)s %(message)s", force=True
    )
    logging.getLogger("uvicorn").setLevel(logging.WARNING)


def main() -> int:
    """The daemon's entry point. The only line on stdout is `{"ready": ...}` or `{"error": ...}`."""
    parser = argparse.ArgumentParser(prog="run402_cli.core.serve")
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--require-payment", action="store_true")
    parser.add_argument("--open", action="store_true")
    parser.add_argument("--statement-timeout", type=int, default=STATEMENT_SECONDS)
    arguments = parser.parse_args()
    url = os.environ.pop("RUN402_CORE_DATABASE_URL", None) or None
    try:
        options = ServeOptions(
            arguments.data_dir,
            arguments.port,
            url,
            require_payment=arguments.require_payment,
            open=arguments.open,
            statement_seconds=arguments.statement_timeout,
        )
        run(options, lambda state: _report({"ready": state}))
    except CoreProcessError as exc:
        log.error("%s: %s", exc.code, exc.message)
        _report({"error": exc.as_dict()})
        return 1
    return 0


def _report(line: dict[str, Any]) -> None:
    """Tell the waiting `core start`, then let go of its pipe: it is gone in a moment."""
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()
        with Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
