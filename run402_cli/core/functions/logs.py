"""Logs of functions: what they print, and what the gateway notes about each call. Redacted before they are stored."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg_pool import PoolTimeout
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from run402_cli.core.callers.auth import require_service_key
from run402_cli.core.db import Connection
from run402_cli.core.diagnostics import function_errors
from run402_cli.core.diagnostics.redaction import redact, redact_values, without_cut_value
from run402_cli.core.errors import GatewayError
from run402_cli.core.functions.bundles import require_deployed
from run402_cli.core.functions.spec import NAME
from run402_cli.core.gateway import Gateway, gateway_of
from run402_cli.core.web.http import instant_of, reply
from run402_cli.core.web.instants import iso

DDL = """
CREATE TABLE IF NOT EXISTS internal.core_function_logs (
  id bigserial PRIMARY KEY,
  timestamp timestamptz NOT NULL,
  request_id text NOT NULL,
  project_id text NOT NULL REFERENCES internal.core_projects ON DELETE CASCADE,
  release_id text,
  function_name text NOT NULL,
  stream text NOT NULL,
  level text NOT NULL,
  message text NOT NULL,
  redacted boolean NOT NULL
);
CREATE INDEX IF NOT EXISTS core_function_logs_time ON internal.core_function_logs (project_id, timestamp);
CREATE INDEX IF NOT EXISTS core_function_logs_request ON internal.core_function_logs (request_id);
"""

log = logging.getLogger("run402.core.functions")

ENTRY_CHARS = 16 * 1024
CALL_CHARS = 64 * 1024
KEEP = timedelta(hours=24)
KEEP_BYTES = 10 * 1024**2
PRUNE_SECONDS = 60.0
FLUSH_SECONDS = 0.05
MAX_PENDING = 20_000
DEFAULT_TAIL, MAX_TAIL = 100, 1000
REQUEST_ID = re.compile(r"(?:req|fnrun|fnatt)_[A-Za-z0-9_-]{4,128}")
# The runner writes the same words.
TRUNCATED = "...[truncated]"


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
        """Something that the function wrote to stdout or stderr."""
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
                "message": message.replace("\x00", "\ufffd"),
                "redacted": redacted,
            }
        )


class LogStore:
    """Writes entries to the database in batches, off the path of the call."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self._pending: list[dict[str, Any]] = []
        self._filled = asyncio.Event()
        self._lock = asyncio.Lock()
        self._pruned: dict[str, float] = {}

    def add(self, entries: list[dict[str, Any]]) -> None:
        self._pending += entries
        # A database that is away for long costs old log entries, not memory without end.
        del self._pending[:-MAX_PENDING]
        self._filled.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._filled.wait()
            await asyncio.sleep(FLUSH_SECONDS)
            try:
                await self.flush()
            except (psycopg.Error, PoolTimeout, GatewayError) as exc:
                log.warning("function logs wait for the database: %s", exc)
                await asyncio.sleep(1)
            except Exception:
                # Whatever cannot be stored must not hold up what comes after it.
                log.exception("function logs: %s entries were lost", len(self._pending))
                self._pending.clear()

    async def flush(self) -> None:
        """Everything added so far is stored."""
        async with self._lock:
            entries, self._pending = self._pending, []
            self._filled.clear()
            if not entries:
                return
            try:
                async with self.gateway.connection() as conn, conn.transaction():
                    await _insert(conn, entries)
                    await function_errors.note(conn, entries)
                    await self._prune(conn, {entry["project_id"] for entry in entries})
            except BaseException:
                self._pending = entries + self._pending
                self._filled.set()
                raise

    async def _prune(self, conn: Connection, projects: set[str]) -> None:
        now = time.monotonic()
        for project_id in projects:
            if now - self._pruned.get(project_id, -PRUNE_SECONDS) < PRUNE_SECONDS:
                continue
            self._pruned[project_id] = now
            await conn.execute(
                "DELETE FROM internal.core_function_logs WHERE project_id = %(project)s AND (timestamp < %(oldest)s"
                " OR id <= coalesce((SELECT max(id) FROM (SELECT id, sum(octet_length(message)) OVER"
                " (ORDER BY id DESC) AS total FROM internal.core_function_logs WHERE project_id = %(project)s) AS sizes"
                " WHERE total > %(bytes)s), -1))",
                {"project": project_id, "oldest": datetime.now(UTC) - KEEP, "bytes": KEEP_BYTES},
            )


async def _insert(conn: Connection, entries: list[dict[str, Any]]) -> None:
    # A project may have been deleted since; its entries go with it.
    async with conn.cursor() as cursor:
        await cursor.executemany(
            "INSERT INTO internal.core_function_logs (timestamp, request_id, project_id, release_id, function_name,"
            " stream, level, message, redacted) SELECT %(timestamp)s, %(request_id)s, project_id, %(release_id)s,"
            " %(function_name)s, %(stream)s, %(level)s, %(message)s, %(redacted)s FROM internal.core_projects"
            " WHERE project_id = %(project_id)s",
            entries,
        )


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
    with contextlib.suppress(psycopg.Error, PoolTimeout):
        await gateway.functions.logs.flush()
    async with gateway.connection() as conn:
        cursor = await conn.execute(
            "SELECT id, timestamp, request_id, project_id, release_id, function_name, stream, level, message, redacted"
            " FROM internal.core_function_logs WHERE project_id = %(project)s"
            " AND (%(name)s::text IS NULL OR function_name = %(name)s)"
            " AND (%(request)s::text IS NULL OR request_id = %(request)s)"
            " AND (%(since)s::timestamptz IS NULL OR timestamp >= %(since)s) ORDER BY timestamp DESC, id DESC LIMIT %(tail)s",
            {"project": project_id, "name": function_name, "request": request_id, "since": since, "tail": tail},
        )
        rows = await cursor.fetchall()
    names = ("request_id", "project_id", "release_id", "function_name", "stream", "level", "message", "redacted")
    return [
        {"timestamp": iso(row[1]), "event_id": f"fnlog_{row[0]}", **dict(zip(names, row[2:], strict=True))}
        for row in reversed(rows)
    ]


def tail_of(request: Request) -> int:
    """`tail` of the query; above the limit means the limit. 400 invalid_request."""
    text = request.query_params.get("tail", str(DEFAULT_TAIL))
    if not text.isascii() or not text.isdigit() or int(text[:9]) < 1:
        raise GatewayError(400, "invalid_request", f"tail must be a whole number from 1 to {MAX_TAIL}.", field="tail")
    return min(int(text[:9]), MAX_TAIL)


async def function_logs(request: Request) -> Response:
    """GET /projects/v1/admin/{id}/functions/{name}/logs?tail&since&request_id and .../functions/logs (service key).

    200 `{logs: [{timestamp, message, stream, level, request_id, ...}]}`, oldest first. 400 invalid_request,
    invalid_request_id, invalid_timestamp, invalid_function_name. 404 function_not_found when there is neither a line nor
    such a function. docs/local-gateway-functions.md
    """
    gateway = gateway_of(request)
    async with gateway.connection() as conn:
        project = await require_service_key(conn, request, request.path_params["project_id"])
    name = request.path_params.get("name") or request.query_params.get("function_name")
    if name is not None and not NAME.fullmatch(name):
        raise GatewayError(400, "invalid_function_name", f"{name!r} is not the name of a function.")
    request_id = request.query_params.get("request_id")
    if request_id is not None and not REQUEST_ID.fullmatch(request_id):
        raise GatewayError(400, "invalid_request_id", "request_id must begin with req_, fnrun_ or fnatt_.")
    entries = await read(
        gateway,
        project.project_id,
        function_name=name,
        request_id=request_id,
        since=instant_of(request, "since"),
        tail=tail_of(request),
    )
    gone = name is not None and not entries and not await read(gateway, project.project_id, function_name=name, tail=1)
    if name is not None and gone:  # one that is no longer deployed has left its lines
        async with gateway.connection() as conn:
            await require_deployed(conn, project, name)
    return reply({"logs": entries})


ROUTES = [
    Route("/projects/v1/admin/{project_id}/functions/{name}/logs", function_logs, methods=["GET"]),
    Route("/projects/v1/{project_id}/functions/logs", function_logs, methods=["GET"]),
]
