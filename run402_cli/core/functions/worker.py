"""One Node process that runs a function: what it is told, what it answers, how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from run402_cli.core.functions import frames
from run402_cli.core.functions.frames import CallFailed, Cause

STDERR_LINES = 60
END_SECONDS, LOOK_SECONDS, TOLD_SECONDS = 5.0, 0.02, 1.0
# What an idle worker began to send has to come whole within this.
REST_SECONDS = 0.2
FRAME_BYTES, FRAMES_IN_A_TURN = 64, 100
OnLog = Callable[[str, str], None]


@dataclass(frozen=True, slots=True)
class Program:
    """What a worker loads. `env` is set inside the process, so it never shows in arguments or to Node's start-up."""

    name: str
    entry: Path
    handler: str
    library: Path | None
    memory_mb: int
    env: Mapping[str, str]


async def _until(true: Callable[[], bool], seconds: float) -> None:
    """Returns when it is true, or the time is over."""
    deadline = time.monotonic() + seconds
    while not true() and time.monotonic() < deadline:
        await asyncio.sleep(LOOK_SECONDS)


@dataclass(slots=True, eq=False)
class Worker:
    """One process. `kill` is safe at any time; a call in progress then fails with the cause given."""

    process: subprocess.Popen[bytes]
    home: Path
    memory_mb: int
    stderr: deque[str] = field(default_factory=lambda: deque(maxlen=STDERR_LINES))
    # Reads stderr.
    listening: threading.Thread | None = None
    reader: asyncio.StreamReader | None = None
    writer: asyncio.StreamWriter | None = None
    # The project whose function it runs.
    owner: str = ""
    killed_for: Cause | None = None
    idle_since: float = 0.0

    async def send(self, head: dict[str, Any], body: bytes = b"") -> None:
        assert self.writer is not None
        text = json.dumps(head, separators=(",", ":")).encode()
        self.writer.write(frames.LENGTHS.pack(len(text), len(body)) + text + body)
        await self.writer.drain()

    async def receive(self) -> tuple[dict[str, Any], bytes]:
        """The next frame; CallFailed when it is none."""
        assert self.reader is not None
        return await self._rest(await self.reader.readexactly(frames.LENGTHS.size))

    async def _rest(self, lengths: bytes) -> tuple[dict[str, Any], bytes]:
        assert self.reader is not None
        head, body = frames.sizes(lengths)
        return frames.head_of(await self.reader.readexactly(head)), await self.reader.readexactly(body)

    async def result(self, wanted: str, call: str | None, on_log: OnLog) -> tuple[dict[str, Any], bytes]:
        """The frame of type `wanted` for a call; logs on the way go to `on_log`. CallFailed when something else comes."""
        logs = _Logs(on_log)
        try:
            while True:
                head, body = await self.receive()
                if head["type"] == "log":
                    await logs.take(head)
                elif head["type"] == "error" and head.get("call") in (call, None):
                    raise frames.failure(head)
                elif head.get("call") != call:
                    raise frames.invalid("the answer of another call")
                elif head["type"] == wanted:
                    return head, body
                else:
                    raise frames.invalid(f"a frame of the type {head['type'][:40]!a}")
        except (asyncio.IncompleteReadError, ConnectionError, OSError) as exc:
            raise await self.ended() from exc

    async def quiet(self, on_log: OnLog) -> bool:
        """Whether it sent nothing but logs since its last call: an answer that nobody asked for would go to the next one."""
        assert self.reader is not None
        logs = _Logs(on_log)
        while True:
            try:
                async with asyncio.timeout(0):
                    lengths = await self.reader.readexactly(frames.LENGTHS.size)
            except TimeoutError:
                return True
            except (asyncio.IncompleteReadError, OSError):
                return False
            try:
                async with asyncio.timeout(REST_SECONDS):
                    head, _ = await self._rest(lengths)
                if head["type"] != "log":
                    return False
                await logs.take(head)
            except (asyncio.IncompleteReadError, OSError, CallFailed):
                return False

    async def ended(self) -> CallFailed:
        """Why the process is gone."""
        # Without a thread: those are shared by all, and the process may close its socket and live on.
        await _until(lambda: self.process.poll() is not None, END_SECONDS)
        # What it said at last is read by a thread; a process that it has begun may hold the pipe open.
        await _until(lambda: self.listening is None or not self.listening.is_alive(), TOLD_SECONDS)
        code = self.process.poll()
        told = "\n".join(self.stderr)
        if self.killed_for == "memory" or "heap out of memory" in told or "heap limit" in told:
            return CallFailed("memory", f"the function used more memory than its {self.memory_mb} MB and was stopped")
        if self.killed_for is not None:
            return CallFailed(self.killed_for, "the worker was stopped")
        return CallFailed("exited", f"the function ended its process with exit code {code}", told or None)

    def _wait(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.process.wait(5)
        return None

    def kill(self, cause: Cause | None = None) -> None:
        self.killed_for = self.killed_for or cause
        if self.process.poll() is None:
            if sys.platform == "win32":
                self.process.kill()
            else:
                # What the function started goes with it.
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self.process.pid, signal.SIGKILL)
        if self.writer is not None:
            self.writer.close()
        threading.Thread(target=self._clean_up, daemon=True).start()

    def _clean_up(self) -> None:
        self._wait()
        for stream in (self.process.stdin, self.process.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        shutil.rmtree(self.home, ignore_errors=True)

    @property
    def alive(self) -> bool:
        return self.process.poll() is None and self.reader is not None and not self.reader.at_eof()


class _Logs:
    """What a worker prints during one call: so much of it, and with turns for others in between."""

    def __init__(self, on_log: OnLog) -> None:
        self.on_log, self.frames, self.room = on_log, 0, frames.MAX_LOG_BYTES

    async def take(self, head: Mapping[str, Any]) -> None:
        stream, text = frames.printed(head)
        self.frames += 1
        self.room -= len(text) + FRAME_BYTES
        if self.room < 0:
            raise frames.invalid(f"more than {frames.MAX_LOG_BYTES} bytes of logs in one call")
        if self.frames % FRAMES_IN_A_TURN == 0:
            # Reading what is there already does not wait for anything.
            await asyncio.sleep(0)
        self.on_log(stream, text)
