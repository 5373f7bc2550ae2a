"""Node processes that run functions: started on demand, kept warm, one call at a time each, killed when they misbehave.

A worker connects back to a loopback listener of the gateway and proves itself with a token; `runner.mjs` has the frames.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from run402_cli.core.clean_environment import clean
from run402_cli.core.errors import GatewayError
from run402_cli.core.functions import frames
from run402_cli.core.functions.frames import CallFailed, Reply
from run402_cli.core.functions.node import find_node
from run402_cli.core.functions.worker import OnLog, Program, Worker

log = logging.getLogger("run402.core.functions")

RUNNER = Path(__file__).with_name("runner.mjs")
NODE_FLAGS = ("--enable-source-maps", "--disable-warning=ExperimentalWarning")
PER_FUNCTION = 4
MAX_WAITING = 16
# Of all functions of all projects, and of those of one project.
MAX_WORKERS, SHARE = 32, 16
START_SECONDS = 10.0
IDLE_SECONDS = 300.0
WATCH_SECONDS = 0.2
MIN_HEAP_MB = 64
# What Node itself needs besides the heap: code, stacks, buffers of the sockets.
RSS_OVERHEAD = 128 * 1024**2


class Workers:
    """Every worker of a gateway, in one pool per function."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._pools: dict[tuple[str, ...], _Pool] = {}
        self._busy: set[Worker] = set()
        self._count: Counter[str] = Counter()
        self._expected: dict[str, asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]]] = {}
        self._listener: asyncio.Server | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()

    async def call(
        self, key: tuple[str, ...], program: Program, head: dict[str, Any], body: bytes, seconds: float, on_log: OnLog
    ) -> Reply:
        """One call of the function `key`. CallFailed, or 503 dynamic_runtime_busy when too many wait already."""
        pool = self._pools.get(key)
        if pool is None:
            pool = self._pools[key] = _Pool(key[0])
        if pool.waiting >= MAX_WAITING:
            raise busy(program.name)
        pool.waiting += 1
        try:
            await pool.slots.acquire()
        finally:
            pool.waiting -= 1
        try:
            return await self._run(pool, program, head, body, seconds, on_log)
        finally:
            pool.slots.release()

    async def _run(
        self, pool: _Pool, program: Program, head: dict[str, Any], body: bytes, seconds: float, on_log: OnLog
    ) -> Reply:
        generation = pool.generation
        worker = await self._take(pool, program, on_log)
        keep = False
        call = secrets.token_hex(8)
        self._busy.add(worker)
        try:
            try:
                async with asyncio.timeout(seconds):
                    await worker.send({"type": "call", "call": call, **head}, body)
                    reply = frames.response(*await worker.result("response", call, on_log))
            except TimeoutError:
                raise CallFailed("timeout", f"the function gave no response within {seconds:g} seconds") from None
            except (ConnectionError, OSError) as exc:
                raise await worker.ended() from exc
            except CallFailed as exc:
                keep = exc.cause in ("thrown", "too_large")
                raise
            keep = True
            return reply
        finally:
            self._busy.discard(worker)
            # After a cancelled call the worker is still at it: it is no use to the next one.
            if keep and pool.generation == generation and worker.alive:
                worker.idle_since = time.monotonic()
                pool.idle.append(worker)
            else:
                self._drop(worker)

    async def _take(self, pool: _Pool, program: Program, on_log: OnLog) -> Worker:
        while pool.idle:
            worker = pool.idle.pop()
            fit = False
            try:
                fit = worker.alive and await worker.quiet(on_log)
            finally:
                if not fit:
                    self._drop(worker)
            if fit:
                return worker
        if self._count[pool.owner] >= SHARE and not self._retire_oldest(pool.owner):
            raise all_busy(f"{SHARE} calls of functions of this project are running")
        if self._count.total() >= MAX_WORKERS and not self._retire_oldest():
            raise all_busy(f"{MAX_WORKERS} calls of functions are running")
        return await self._start(pool.owner, program, on_log)

    def _retire_oldest(self, owner: str | None = None) -> bool:
        """End the worker that idles longest, of a project or of those that have most."""
        idle = [
            (-self._count[pool.owner], worker.idle_since, id(worker), pool, worker)
            for pool in self._pools.values()
            for worker in pool.idle
            if owner in (None, pool.owner)
        ]
        if not idle:
            return False
        *_, pool, worker = min(idle)
        pool.idle.remove(worker)
        self._drop(worker)
        return True

    def _drop(self, worker: Worker) -> None:
        self._leave(worker.owner)
        worker.kill()

    def _leave(self, owner: str) -> None:
        self._count[owner] -= 1
        if not self._count[owner]:
            del self._count[owner]

    async def _start(self, owner: str, program: Program, on_log: OnLog) -> Worker:
        port = await self._listen()
        token = secrets.token_hex(16)
        connected = self._expected[token] = asyncio.get_running_loop().create_future()
        self._count[owner] += 1
        worker: Worker | None = None
        try:
            worker = await asyncio.to_thread(self._spawn, program, port, token)
            worker.owner = owner
            async with asyncio.timeout(START_SECONDS):
                worker.reader, worker.writer = await self._connection(worker, connected)
                await worker.send(
                    {
                        "type": "init",
                        "env": dict(program.env),
                        "entry": str(program.entry),
                        "handler": program.handler,
                        "library": str(program.library) if program.library else None,
                    }
                )
                await worker.result("ready", None, on_log)
            return worker
        except BaseException as exc:
            self._leave(owner)
            if worker is not None:
                worker.kill()
            if isinstance(exc, TimeoutError):
                text = f"the module was not loaded within {START_SECONDS:g} seconds; look for a top-level await or loop"
                raise CallFailed("timeout", text) from None
            raise
        finally:
            self._expected.pop(token, None)

    async def _connection(
        self, worker: Worker, connected: asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]]
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while not connected.done():
            await asyncio.wait([connected], timeout=0.5)
            if not connected.done() and worker.process.poll() is not None:
                failed = await worker.ended()
                raise CallFailed("start", f"Node did not start: {failed.message}", failed.stack)
        return connected.result()

    def _spawn(self, program: Program, port: int, token: str) -> Worker:
        self.folder.mkdir(parents=True, exist_ok=True)
        home = Path(tempfile.mkdtemp(prefix="worker-", dir=self.folder))
        heap = max(MIN_HEAP_MB, program.memory_mb)
        process = subprocess.Popen(
            [str(find_node().path), f"--max-old-space-size={heap}", *NODE_FLAGS, str(RUNNER), str(port)],
            cwd=home,
            env=_environment(home, token),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=sys.platform != "win32",
        )
        worker = Worker(process, home, program.memory_mb)
        worker.listening = threading.Thread(target=_read_stderr, args=(worker,), daemon=True)
        worker.listening.start()
        return worker

    async def _listen(self) -> int:
        async with self._lock:
            if self._listener is None:
                self._listener = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=frames.MAX_BODY)
                self._watcher = asyncio.create_task(self._watch())
        port: int = self._listener.sockets[0].getsockname()[1]
        return port

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(Exception):
            async with asyncio.timeout(START_SECONDS):
                head, body = frames.LENGTHS.unpack(await reader.readexactly(frames.LENGTHS.size))
                if head <= 1024 and body == 0:
                    hello = json.loads(await reader.readexactly(head))
                    expected = self._expected.pop(hello["token"], None)
                    if expected is not None and not expected.done():
                        expected.set_result((reader, writer))
                        return
        writer.close()

    async def _watch(self) -> None:
        """Stop workers that outgrow their memory, and those that nobody called for a while."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            for worker in list(self._busy):
                with _logged(worker):
                    if _rss(worker) > _limit(worker):
                        worker.kill("memory")
            oldest = time.monotonic() - IDLE_SECONDS
            for pool in self._pools.values():
                for worker in [worker for worker in pool.idle if worker.idle_since < oldest]:
                    pool.idle.remove(worker)
                    with _logged(worker):
                        self._drop(worker)

    def retire(self, *prefix: str) -> None:
        """The functions whose key begins with `prefix` start afresh; calls in progress end undisturbed."""
        for key in [key for key in self._pools if key[: len(prefix)] == prefix]:
            pool = self._pools.pop(key)
            pool.generation += 1
            while pool.idle:
                self._drop(pool.idle.pop())

    async def close(self) -> None:
        self.retire()
        for worker in list(self._busy):
            worker.kill()
        if self._watcher is not None:
            self._watcher.cancel()
        if self._listener is not None:
            self._listener.close()
        await asyncio.to_thread(shutil.rmtree, self.folder, True)


class _Pool:
    def __init__(self, owner: str) -> None:
        # The project, first part of the key.
        self.owner = owner
        self.idle: list[Worker] = []
        self.slots = asyncio.Semaphore(PER_FUNCTION)
        self.waiting = 0
        # Goes up when the code or environment changed: workers of before are not used again.
        self.generation = 0


@contextlib.contextmanager
def _logged(worker: Worker) -> Iterator[None]:
    """One worker that cannot be looked at, or ended, keeps none of the others from it."""
    try:
        yield
    except Exception:
        log.exception("the process %s of a function of %s cannot be watched", worker.process.pid, worker.owner)


def busy(name: str) -> GatewayError:
    return all_busy(f"{PER_FUNCTION} calls of {name} are running and {MAX_WAITING} wait already")


def all_busy(why: str) -> GatewayError:
    return GatewayError(
        503,
        "dynamic_runtime_busy",
        f"{why}. Repeat in a moment.",
        retryable=True,
        retry_after_seconds=1,
    )


def _rss(worker: Worker) -> int:
    try:
        return int(psutil.Process(worker.process.pid).memory_info().rss)
    except psutil.Error:
        return 0


def _limit(worker: Worker) -> int:
    return max(MIN_HEAP_MB, worker.memory_mb) * 1024**2 + RSS_OVERHEAD


def _read_stderr(worker: Worker) -> None:
    """What Node itself says when it dies. Bounded: a flood only replaces what came before."""
    assert worker.process.stderr is not None
    with contextlib.suppress(OSError, ValueError):
        while line := worker.process.stderr.readline(4096):
            worker.stderr.append(line.decode(errors="replace").rstrip())


def _environment(home: Path, token: str) -> dict[str, str]:
    own = dict.fromkeys(("HOME", "USERPROFILE", "TMPDIR", "TEMP", "TMP"), str(home))
    return clean(**own, NODE_ENV="production", RUN402_WORKER_TOKEN=token)
