"""One Node process that runs a function: what it is told, what it answers, how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

MAX_FRAME = 16 * 1024**2
STDERR_LINES = 60
_LONE_SURROGATE = re.compile(rb"(?<!\\)((?:\\\\)*)\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
LENGTHS = struct.Struct(">II")
Cause = Literal["thrown", "import", "uncaught", "exited", "memory", "timeout", "too_large", "start"]
OnLog = Callable[[str, str], None]


class CallFailed(Exception):
    """The function gave no response. `message` and `stack` are for its owner, not for its callers."""

    def __init__(self, cause: Cause, message: str, stack: str | None = None) -> None:
        super().__init__(message)
        self.cause, self.message, self.stack = cause, message, stack


@dataclass(frozen=True, slots=True)
class Program:
    """What a worker loads. `env` is set inside the process, so it never shows in arguments or to Node's start-up."""

    name: str
    entry: Path
    handler: str
    library: Path | None
    memory_mb: int
    env: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    headers: list[tuple[str, str]]
    body: bytes


@dataclass(slots=True, eq=False)
class Worker:
    """One process. `kill` is safe at any time; a call in progress then fails with the cause given."""

    process: subprocess.Popen[bytes]
    home: Path
    memory_mb: int
    stderr: deque[str] = field(default_factory=lambda: deque(maxlen=STDERR_LINES))
    reader: asyncio.StreamReader | None = None
    writer: asyncio.StreamWriter | None = None
    killed_for: Cause | None = None
    idle_since: float = 0.0

    async def send(self, head: dict[str, Any], body: bytes = b"") -> None:
        assert self.writer is not None
        text = json.dumps(head, separators=(",", ":")).encode()
        self.writer.write(LENGTHS.pack(len(text), len(body)) + text + body)
        await self.writer.drain()

    async def receive(self) -> tuple[dict[str, Any], bytes]:
        assert self.reader is not None
        head, body = LENGTHS.unpack(await self.reader.readexactly(8))
        if head > MAX_FRAME or body > MAX_FRAME:
            raise ConnectionError("the worker sent a frame that no runner sends")
        text = await self.reader.readexactly(head)
        # Half of a surrogate pair is fine in JavaScript; nothing that we write texts to takes it.
        return json.loads(_LONE_SURROGATE.sub(rb"\1\\ufffd", text)), await self.reader.readexactly(body)

    async def result(self, wanted: str, on_log: OnLog) -> tuple[dict[str, Any], bytes]:
        """The frame of type `wanted`; logs on the way go to `on_log`. CallFailed when something else comes."""
        try:
            while True:
                head, body = await self.receive()
                if head["type"] == "log":
                    on_log(head["stream"], head["text"])
                elif head["type"] == "error":
                    raise CallFailed(head["code"], f"{head['name']}: {head['message']}", head.get("stack"))
                elif head["type"] == wanted:
                    return head, body
        except (asyncio.IncompleteReadError, ConnectionError, OSError) as exc:
            raise await self.ended() from exc

    async def ended(self) -> CallFailed:
        """Why the process is gone."""
        code = await asyncio.to_thread(self._wait)
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
