"""Gateways served by uvicorn, each on a thread of its own; and the lending of one to test after test."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import sys
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import uvicorn
from database_kit import Databases

from run402_cli.core.app import create_app
from run402_cli.core.compose import compose, start
from run402_cli.core.gateway import Gateway
from run402_cli.core.settings import Settings

T = TypeVar("T")
TOKEN = "test-control-token-" + "x" * 32
# What the holder of the control token sends; a test that is about who may call leaves it out.
CONTROL = {"Run402-Control-Token": TOKEN}
# For what needs secrets and no gateway.
SETTINGS = Settings(data_dir=Path("nowhere"), jwt_secret="x" * 32, signed_read_secret="x" * 32)


def control(state: dict[str, Any]) -> dict[str, str]:
    """The header for a gateway that `core start` has started."""
    told = json.loads((Path(state["data_dir"]) / "gateway.json").read_text())
    return {"Run402-Control-Token": told["control_token"]}


@dataclass(frozen=True)
class Live:
    """A gateway served by uvicorn on a thread of its own."""

    base_url: str
    gateway: Gateway
    database_url: str
    loop: asyncio.AbstractEventLoop

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the gateway's event loop (its pool belongs there) and wait for the result."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(timeout=60)


class Server(uvicorn.Server):
    """Ends when it is told to, not at its next look in a tenth of a second."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ended = asyncio.Event()

    async def main_loop(self) -> None:
        await self.on_tick(0)
        await self.ended.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's, without its pause of a tenth of a second."""
        for listening in [*self.servers, *(sockets or [])]:
            listening.close()
        while self.server_state.connections or self.server_state.tasks:
            # Also those that came in the meantime.
            for connection in list(self.server_state.connections):
                connection.shutdown()
            await asyncio.sleep(0.002)


class Running:
    def __init__(self, settings: Settings, database_url: str, listener: socket.socket) -> None:
        self.settings, self.database_url, self.listener = settings, database_url, listener
        self.loop: asyncio.AbstractEventLoop = (
            asyncio.SelectorEventLoop() if sys.platform == "win32" else asyncio.new_event_loop()
        )
        self.ready = threading.Event()
        self.gateway: Gateway | None = None
        self.failure: BaseException | None = None
        self.server: Server | None = None
        self.thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> Gateway:
        self.thread.start()
        assert self.ready.wait(60), "the gateway did not start"
        if self.failure is not None:
            raise self.failure
        assert self.gateway is not None
        return self.gateway

    def stop(self) -> None:
        assert self.server is not None
        self.loop.call_soon_threadsafe(self.server.ended.set)
        self.thread.join(30)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_until_complete(self._serve())
        except BaseException as exc:
            self.failure = exc
        finally:
            self.ready.set()
            self.loop.close()

    async def _serve(self) -> None:
        gateway = compose(self.settings, self.database_url)
        await start(gateway)
        try:
            app = create_app(gateway)
            self.server = Server(uvicorn.Config(app, log_level="warning", lifespan="off", access_log=False))
            serving = asyncio.create_task(self.server.serve(sockets=[self.listener]))
            while not self.server.started and not serving.done():
                await asyncio.sleep(0.005)
            self.gateway = gateway
            self.ready.set()
            await serving
        finally:
            await gateway.close()


class Gateways:
    """`one()` lends a gateway with an empty database and data directory.

    To start one takes a tenth of a second. So it goes on to the next test, unless the test left something in progress or
    changed the gateway itself.
    """

    def __init__(self, databases: Databases, root: Path) -> None:
        self.databases, self.root = databases, root
        self.free: list[_Lent] = []
        self.count = 0

    @contextmanager
    def one(self) -> Iterator[Live]:
        lent = self.free.pop() if self.free else self._new()
        try:
            yield lent.live
        finally:
            backends = lent.empty()
            if backends is not None and self.databases.cleaned(lent.database, backends):
                self.free.append(lent)
            else:
                self._end(lent)

    def close(self) -> None:
        while self.free:
            self._end(self.free.pop())

    def _new(self) -> _Lent:
        self.count += 1
        database = self.databases.take()
        url = self.databases.server.url(database)
        return _Lent(database, prepared(self.root / f"gateway-{self.count}", url))

    def _end(self, lent: _Lent) -> None:
        lent.running.stop()
        self.databases.drop(lent.database)
        shutil.rmtree(lent.running.settings.data_dir, ignore_errors=True)


def prepared(data_dir: Path, database_url: str, *, secrets: str = "test") -> Running:
    """A gateway that has not started yet, on a port and in a data directory of its own."""
    # Named protocol: asyncio turns Nagle's delay (40 ms per answer) off only for sockets that say TCP.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    settings = Settings(
        data_dir=data_dir,
        jwt_secret=f"{secrets}-jwt-secret-" + "x" * 32,
        signed_read_secret=f"{secrets}-read-secret-" + "x" * 32,
        control_token=TOKEN,
        port=listener.getsockname()[1],
        database_url=database_url,
    )
    data_dir.mkdir(exist_ok=True)
    return Running(settings, database_url, listener)


class _Lent:
    def __init__(self, database: str, running: Running) -> None:
        self.database, self.running = database, running
        gateway = running.start()
        self.live = Live(running.settings.public_url, gateway, str(running.settings.database_url), running.loop)
        self.made = self._parts()
        self.tasks = self.live.run(_tasks())

    def empty(self) -> list[int] | None:
        """Forget what the test did; the backends of the pool. None when it cannot go on."""
        if not self.running.thread.is_alive() or self._parts() != self.made:
            return None
        backends = self.live.run(self._quiet())
        if backends is not None:
            shutil.rmtree(self.running.settings.data_dir, ignore_errors=True)
            self.running.settings.data_dir.mkdir()
        return backends

    def _parts(self) -> list[tuple[str, int]]:
        """What the gateway and its workers are made of: a test may have put something else in its place."""
        gateway = self.live.gateway
        owners = (gateway, gateway.functions, gateway.functions.workers, gateway.mail, gateway.jobs, gateway.store)
        volatile = {"staged", "_loaded", "_count", "_running", "_recovered", "_tasks"}
        return [(name, id(part)) for owner in owners for name, part in vars(owner).items() if name not in volatile]

    async def _quiet(self) -> list[int] | None:
        gateway = self.live.gateway
        for _ in range(20):
            if await _tasks() <= self.tasks and _idle(gateway):
                break
            await asyncio.sleep(0.005)
        else:
            return None
        await gateway.logins.forget("")
        # The database is emptied without a word.
        gateway.changes.forget()
        listening: Any = gateway.changes._conn
        functions: Any = gateway.functions
        gateway.attempts.forget()
        functions.staged.clear()
        functions._loaded.clear()
        functions.logs._pending.clear()
        functions.logs._pruned.clear()
        if listening is None or not gateway.changes._hears():
            return None
        return [conn.info.backend_pid for conn in (*gateway.pool._pool, listening)]


async def _tasks() -> set[asyncio.Task[Any]]:
    """What runs on this loop, but for this and what tasks only wait for."""
    waits = ("Event.wait", "_tasks", "_Lent._quiet")
    return {task for task in asyncio.all_tasks() if getattr(task.get_coro(), "__qualname__", "") not in waits}


def _idle(gateway: Gateway) -> bool:
    pool = gateway.pool.get_stats()
    return (
        gateway.afterwards.unfinished == 0
        and pool["pool_available"] == pool["pool_size"]
        and not pool.get("requests_waiting", 0)
    )
