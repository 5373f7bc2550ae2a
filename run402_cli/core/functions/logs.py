"""Logs of functions: what they print, and what the gateway notes about each call. Redacted before they are stored."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import logging
import re
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from run402_cli.core.db import Connection, is_away, reason_of
from run402_cli.core.diagnostics import function_errors
from run402_cli.core.diagnostics.redaction import redact, redact_values, without_cut_value
from run402_cli.core.functions import log_rows
from run402_cli.core.gateway import Gateway
from run402_cli.core.web.instants import iso

log = logging.getLogger("run402.core.functions")

ENTRY_CHARS = 16 * 1024
CALL_CHARS = 64 * 1024
PRUNE_SECONDS = 60.0
FLUSH_SECONDS = 0.05
MAX_PENDING = 20_000
DEFAULT_TAIL = 100
# The runner writes the same words.
TRUNCATED = "...[truncated]"
# What a text of PostgreSQL does not hold: NUL, and halves of surrogate pairs.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


@dataclass(slots=True)
class CallLog:
    """The log of one call. `secrets` are values that must not be stored; entries carry what identifies the call."""

    project_id: str
    release_id: str | None
    function_name: str
    request_id: str
    secrets: tuple[str, ...]
    entries: list[dict[str, Any]] = field(default_factory=list)
    room: int = CALL_CHARS

    def printed(self, stream: str, text: str) -> None:
        """Something that the function wrote to stdout or stderr; a stream of another name is its stdout."""
        stream = "stderr" if stream == "stderr" else "stdout"
        if self.room <= 0:
            return
        if len(text) > ENTRY_CHARS + 64:
            text = text[:ENTRY_CHARS] + TRUNCATED
        self.room -= len(text)
        head, mark, tail = text.rpartition(TRUNCATED)
        clean = redact(without_cut_value(head, self.secrets) + mark + tail if mark else text, self.secrets)
        self._add(stream, "error" if stream == "stderr" else "info", clean, redacted=clean != text)

    def platform(self, event: str, *, level: str = "info", **facts: Any) -> None:
        """Something that the gateway notes, as JSON with sorted keys."""
        text = json.dumps({"event": event, **facts}, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        clean = redact_values(text, self.secrets)
        self._add("platform", level, clean, redacted=clean != text)

    def _add(self, stream: str, level: str, message: str, *, redacted: bool) -> None:
        self.entries.append(
            {
                "timestamp": datetime.now(UTC),
                "request_id": self.request_id,
                "project_id": self.project_id,
                "release_id": self.release_id,
                "function_name": self.function_name,
                "stream": stream,
                "level": level,
                "message": _UNSTORABLE.sub("\ufffd", message),
                "redacted": redacted,
            }
        )


class LogStore:
    """Writes entries to the database in batches, off the path of the call; one that cannot be stored is dropped alone."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self._pending: list[dict[str, Any]] = []
        self._filled = asyncio.Event()
        self._lock = asyncio.Lock()
        self._pruned: dict[str, float] = {}

    def add(self, entries: list[dict[str, Any]]) -> None:
        self._pending = bounded([*self._pending, *entries])
        self._filled.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._filled.wait()
            await asyncio.sleep(FLUSH_SECONDS)
            try:
                await self.flush()
            except Exception as exc:
                if not is_away(exc):
                    log.exception("function logs: entries were lost")
                else:
                    log.warning("function logs wait for the database: %s", exc)
                await asyncio.sleep(1)

    async def flush(self) -> None:
        """Everything added so far is stored."""
        async with self._lock:
            entries, self._pending = self._pending, []
            self._filled.clear()
            if not entries:
                return
            try:
                await self._store_all(entries)
            except BaseException as exc:
                if is_away(exc) or not isinstance(exc, Exception):
                    self._pending = bounded([*entries, *self._pending])
                    self._filled.set()
                raise

    async def _store_all(self, entries: list[dict[str, Any]]) -> None:
        """In one transaction; where that is refused, each call in one, and what is refused then each entry in one."""
        async with self.gateway.connection() as conn:
            if await self._stored(conn, entries):
                return
            for _, call in itertools.groupby(entries, key=lambda entry: (entry["project_id"], entry["request_id"])):
                together = list(call)
                if await self._stored(conn, together):
                    continue
                for entry in together:
                    # Only the entry: what it says of the call may be what is refused.
                    if not await self._stored(conn, [entry], alone=True):
                        log.warning("a log entry of %s in %s was dropped", entry["function_name"], entry["project_id"])

    async def _stored(self, conn: Connection, entries: list[dict[str, Any]], *, alone: bool = False) -> bool:
        """Whether the database took them. Raises when it is away."""
        try:
            async with conn.transaction():
                await log_rows.insert(conn, entries)
                if not alone:
                    await function_errors.note(conn, entries)
                    await self._prune(conn, {entry["project_id"] for entry in entries})
        except Exception as exc:
            if is_away(exc) or conn.closed:
                raise
            log.warning("function logs: the database did not take %s entries: %s", len(entries), reason_of(exc))
            return False
        return True

    async def _prune(self, conn: Connection, projects: set[str]) -> None:
        now = time.monotonic()
        for project_id in projects:
            if now - self._pruned.get(project_id, -PRUNE_SECONDS) < PRUNE_SECONDS:
                continue
            self._pruned[project_id] = now
            await log_rows.prune(conn, project_id)


def bounded(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A database that is away for long costs old entries of those who have most, not memory without end."""
    if len(entries) <= MAX_PENDING:
        return entries
    share = MAX_PENDING // len({entry["project_id"] for entry in entries})
    room: dict[str, int] = {}
    kept = []
    for entry in reversed(entries):
        left = room[entry["project_id"]] = room.get(entry["project_id"], share) - 1
        if left >= 0:
            kept.append(entry)
    kept.reverse()
    return kept


async def read(
    gateway: Gateway,
    project_id: str,
    *,
    function_name: str | None = None,
    request_id: str | None = None,
    since: datetime | None = None,
    tail: int = DEFAULT_TAIL,
) -> list[dict[str, Any]]:
    """The newest `tail` entries that fit, oldest first. `since` is inclusive."""
    with contextlib.suppress(Exception):
        await gateway.functions.logs.flush()
    async with gateway.connection() as conn:
        rows = await log_rows.newest(
            conn, project_id, function_name=function_name, request_id=request_id, since=since, limit=tail
        )
    return [
        {"timestamp": iso(row.pop("timestamp")), "event_id": f"fnlog_{row.pop('id')}", **row} for row in reversed(rows)
    ]
