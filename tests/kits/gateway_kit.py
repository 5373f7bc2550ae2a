"""A gateway served by uvicorn on a thread of its own."""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

import uvicorn

from run402_cli.core.app import create_app
from run402_cli.core.compose import compose, start
from run402_cli.core.gateway import Gateway
from run402_cli.core.settings import Settings

T = TypeVar("T")


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
