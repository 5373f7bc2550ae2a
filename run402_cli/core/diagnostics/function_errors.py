"""Errors of functions, grouped: what went wrong is one row, however often it happens. See docs/diagnostics.md, "Errors".

The rows are made from what the log says about each call (functions/logs.py), in the transaction that stores the log.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from psycopg_pool import PoolTimeout
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from run402_cli import advice
from run402_cli.core.db import Connection
from run402_cli.core.diagnostics.events import service_project
from run402_cli.core.diagnostics.redaction import redact
from run402_cli.core.errors import GatewayError
from run402_cli.core.gateway import gateway_of
from run402_cli.core.projects.rows import Project
from run402_cli.core.web.http import reply
from run402_cli.core.web.instants import iso, parse_instant

DDL = """
CREATE TABLE IF NOT EXISTS internal.core_faults (
  project_id text NOT NULL REFERENCES internal.core_projects ON DELETE CASCADE,
  fingerprint_id text NOT NULL,
  identity text NOT NULL,
  function_name text NOT NULL,
  kind text NOT NULL,
  quality text NOT NULL,
  error_name text NOT NULL,
  message_template text NOT NULL,
  stable_frames jsonb NOT NULL,
  first_seen timestamptz NOT NULL,
  last_seen timestamptz NOT NULL,
  first_seen_release_id text,
  last_seen_release_id text,
  first_sample text NOT NULL,
  PRIMARY KEY (project_id, fingerprint_id)
);
CREATE TABLE IF NOT EXISTS internal.core_fault_occurrences (
  id bigserial PRIMARY KEY,
  project_id text NOT NULL,
  fingerprint_id text NOT NULL,
  at timestamptz NOT NULL,
  request_id text NOT NULL,
  release_id text,
  FOREIGN KEY (project_id, fingerprint_id) REFERENCES internal.core_faults ON DELETE CASCADE
);
CREATE INDEX IF NOT EXISTS core_fault_occurrences_time ON internal.core_fault_occurrences (project_id, at);
CREATE INDEX IF NOT EXISTS core_fault_occurrences_fault
  ON internal.core_fault_occurrences (project_id, fingerprint_id, id DESC);
CREATE TABLE IF NOT EXISTS internal.core_fault_calls (
  project_id text NOT NULL REFERENCES internal.core_projects ON DELETE CASCADE,
  minute timestamptz NOT NULL,
  function_name text NOT NULL,
  calls bigint NOT NULL,
  PRIMARY KEY (project_id, minute, function_name)
);
"""

log = logging.getLogger("run402.core.functions")

KINDS = ("uncaught", "boot_crash", "invoke_failed", "handled_5xx")
KEPT = timedelta(days=90)
MAX_OCCURRENCES = 10_000
SAMPLES = 10
DEFAULT_LIMIT, MAX_LIMIT = 50, 200
MAX_MESSAGE, MAX_FRAMES = 300, 12
_KIND_OF_CAUSE = {"thrown": "uncaught", "uncaught": "uncaught", "import": "boot_crash", "start": "boot_crash"}
_NAMED = re.compile(r"([A-Za-z_$][\w$.]{0,80}): (.*)", re.DOTALL)
_IDS = re.compile(
    r"\b(?:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|(?=[0-9a-f]*[0-9])[0-9a-f]{8,})\b",
    re.IGNORECASE,
)
_NUMBERS = re.compile(r"(?<![A-Za-z_<])-?\d+(?:\.\d+)?")
_FRAME = re.compile(r"^\s+at (?:async )?(?:(?P<name>.+?) \()?(?P<file>[^()\s]+?):\d+:\d+\)?$", re.MULTILINE)
_BUILD = re.compile(r"^.*/apps-[^/]+/[^/]+/")
_CURSOR = re.compile(r"erc_(\d{1,20})_(fp_[0-9a-f]{24})")


@dataclass(frozen=True, slots=True)
class Fault:
    """What went wrong in one call. Equal faults have equal fingerprints."""

    function: str
    kind: str
    quality: str
    error_name: str
    message: str
    frames: tuple[str, ...]

    @property
    def identity(self) -> str:
        """The same in every function."""
        return _digest(self.kind, self.error_name, self.message, *self.frames)

    @property
    def fingerprint_id(self) -> str:
        return f"fp_{_digest(self.function, self.identity)}"


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:24]


async def note(conn: Connection, entries: Iterable[Mapping[str, Any]]) -> None:
    """Record what new log entries tell: calls, and failed ones. Inside the transaction that stores them.

    The entries of one call must be together, as CallLog makes them. What cannot be recorded does not keep the log from being
    stored.
    """
    try:
        async with conn.transaction():
            await _note(conn, entries)
    except (psycopg.DataError, psycopg.IntegrityError, ValueError, KeyError):
        log.exception("errors of functions could not be recorded")


async def _note(conn: Connection, entries: Iterable[Mapping[str, Any]]) -> None:
    calls: Counter[tuple[str, str, datetime]] = Counter()
    stack = ""
    projects = set()
    for entry in entries:
        if entry["stream"] == "stderr":
            stack = entry["message"]
            continue
        facts = _facts(entry)
        if facts.get("event") not in ("function_invocation_completed", "function_invocation_failed"):
            continue
        minute = entry["timestamp"].replace(second=0, microsecond=0)
        calls[entry["project_id"], entry["function_name"], minute] += 1
        fault = fault_of(entry["function_name"], facts, stack)
        stack = ""
        if fault is not None:
            await _record(conn, entry, fault)
            projects.add(entry["project_id"])
    # In one order, so that two batches cannot wait for each other.
    for (project_id, name, minute), count in sorted(calls.items()):
        await conn.execute(
            "INSERT INTO internal.core_fault_calls (project_id, minute, function_name, calls) SELECT project_id, %s, %s, %s"
            " FROM internal.core_projects WHERE project_id = %s ON CONFLICT (project_id, minute, function_name)"
            " DO UPDATE SET calls = core_fault_calls.calls + excluded.calls",
            (minute, name, count, project_id),
        )
    for project_id in sorted(projects):
        await _prune(conn, project_id)


def _facts(entry: Mapping[str, Any]) -> dict[str, Any]:
    if entry["stream"] != "platform":
        return {}
    try:
        facts = json.loads(entry["message"])
    except ValueError:
        return {}
    return facts if isinstance(facts, dict) else {}


def fault_of(function: str, facts: Mapping[str, Any], stack: str) -> Fault | None:
    """The fault that a platform entry tells of; None for a call that went well. `stack` is what Node printed last."""
    status = facts.get("status")
    if facts["event"] == "function_invocation_completed":
        if not isinstance(status, int) or status < 500:
            return None
        place = facts.get("routePattern") or facts.get("invocation_kind")
        told = f"{facts.get('method', 'POST')} {place} answered {status}"
        return Fault(function, "handled_5xx", "message_only", f"HTTP {status}", told[:MAX_MESSAGE], ())
    kind = _KIND_OF_CAUSE.get(str(facts.get("cause")), "invoke_failed")
    reason = str(facts.get("reason", ""))
    named = _NAMED.fullmatch(reason) if kind != "invoke_failed" else None
    name, message = (named[1], named[2]) if named else (str(facts.get("error", "error")), reason)
    frames = _frames(stack) if named else ()
    return Fault(function, kind, "frame_names" if frames else "message_only", name, template(message), frames)


def template(message: str) -> str:
    """A message without what differs from call to call."""
    text = redact(message, ())
    return _NUMBERS.sub("<n>", _IDS.sub("<id>", text))[:MAX_MESSAGE]


def _frames(stack: str) -> tuple[str, ...]:
    found = []
    for match in _FRAME.finditer(stack):
        file = _BUILD.sub("", match["file"].removeprefix("file://"))
        if not file.startswith("node:") and not file.endswith("/runner.mjs"):
            found.append(f"{match['name'] or '<anonymous>'} ({file})")
    return tuple(found[:MAX_FRAMES])


async def _record(conn: Connection, entry: Mapping[str, Any], fault: Fault) -> None:
    values = {
        "project": entry["project_id"],
        "id": fault.fingerprint_id,
        "identity": fault.identity,
        "function": fault.function,
        "kind": fault.kind,
        "quality": fault.quality,
        "name": fault.error_name,
        "message": fault.message,
        "frames": Jsonb(list(fault.frames)),
        "at": entry["timestamp"],
        "release": entry["release_id"],
        "request": entry["request_id"],
    }
    # A project may have been deleted since.
    await conn.execute(
        "INSERT INTO internal.core_faults SELECT project_id, %(id)s, %(identity)s, %(function)s, %(kind)s, %(quality)s,"
        " %(name)s, %(message)s, %(frames)s, %(at)s, %(at)s, %(release)s, %(release)s, %(request)s"
        " FROM internal.core_projects WHERE project_id = %(project)s ON CONFLICT (project_id, fingerprint_id)"
        " DO UPDATE SET last_seen = excluded.last_seen, last_seen_release_id = excluded.last_seen_release_id",
        values,
    )
    await conn.execute(
        "INSERT INTO internal.core_fault_occurrences (project_id, fingerprint_id, at, request_id, release_id)"
        " SELECT project_id, fingerprint_id, %(at)s, %(request)s, %(release)s FROM internal.core_faults"
        " WHERE project_id = %(project)s AND fingerprint_id = %(id)s",
        values,
    )


async def _prune(conn: Connection, project_id: str) -> None:
    oldest = datetime.now(UTC) - KEPT
    await conn.execute(
        "DELETE FROM internal.core_fault_occurrences WHERE project_id = %(project)s AND (at < %(oldest)s OR id <="
        " (SELECT id FROM internal.core_fault_occurrences WHERE project_id = %(project)s"
        " ORDER BY id DESC OFFSET %(most)s LIMIT 1))",
        {"project": project_id, "oldest": oldest, "most": MAX_OCCURRENCES},
    )
    query = "DELETE FROM internal.core_fault_calls WHERE project_id = %s AND minute < %s"
    await conn.execute(query, (project_id, oldest))


@dataclass(frozen=True, slots=True)
class Window:
    """From `since` to `until`; `release` when only what is new in it counts."""

    project: Project
    since: datetime
    until: datetime
    release: str | None

    @property
    def values(self) -> dict[str, Any]:
        return {
            "project": self.project.project_id,
            "since": self.since,
            "until": self.until,
            "release": self.release,
        }


async def list_faults(request: Request) -> Response:
    """GET /projects/v1/{project_id}/errors?since&until&function&kind&fingerprint&new_in&limit&cursor (service key).

    `{verdict, errors, has_more, next_cursor?}`, the latest first; the window is the last 24 hours unless said otherwise. With
    `new_in` (a release, or `active`) only what was first seen in that release. 400 invalid_request; 403 forbidden for another
    project's key; 404 resource_not_found for an unknown release.
    """
    await _stored(request)
    async with gateway_of(request).connection() as conn:
        project = await service_project(conn, request)
        window = await _window(conn, request, project)
        limit = _limit(request)
        rows = await _rows(conn, request, window, limit + 1)
        shown = rows[:limit]
        body = {
            "verdict": await _verdict(conn, request, window),
            "errors": [await _view(conn, window.project, row) for row in shown],
            "has_more": len(rows) > limit,
        }
    if len(rows) > limit:
        last = shown[-1]
        body["next_cursor"] = f"erc_{_micros(last['seen'])}_{last['fingerprint_id']}"
    return reply(body)


async def _stored(request: Request) -> None:
    """What was logged a moment ago counts too. Before a connection is taken: this takes one of its own."""
    with contextlib.suppress(psycopg.Error, PoolTimeout):
        await gateway_of(request).functions.logs.flush()


async def _window(conn: Connection, request: Request, project: Project) -> Window:
    until = _instant(request, "until") or datetime.now(UTC)
    since = _instant(request, "since") or until - timedelta(hours=24)
    if since > until:
        raise _bad("since", "before `until`")
    wanted = request.query_params.get("new_in")
    if wanted is None:
        return Window(project, since, until, None)
    release = project.active_release_id if wanted == "active" else wanted
    cursor = await conn.execute(
        "SELECT 1 FROM internal.core_releases WHERE project_id = %s AND release_id = %s",
        (project.project_id, (release or "").replace("\0", "")),
    )
    if await cursor.fetchone() is None:
        raise _not_found(
            f"{project.project_id} has no {'active release' if wanted == 'active' else f'release {wanted}'}."
        )
    return Window(project, since, until, release)


def _instant(request: Request, name: str) -> datetime | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    # A + that was not escaped arrives as a space.
    found = parse_instant(text.replace(" ", "+"))
    if found is None:
        raise _bad(name, "a time such as 2026-01-31T12:00:00Z")
    return found


def _bad(field: str, wanted: str) -> GatewayError:
    return GatewayError(400, "invalid_request", f"`{field}` must be {wanted}.", code="INVALID_REQUEST", field=field)


def _not_found(message: str) -> GatewayError:
    return GatewayError(404, "resource_not_found", message, code="RESOURCE_NOT_FOUND")


def _limit(request: Request) -> int:
    text = request.query_params.get("limit", str(DEFAULT_LIMIT))
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= MAX_LIMIT:
        raise _bad("limit", f"a whole number from 1 to {MAX_LIMIT}")
    return int(text)


def _micros(moment: datetime) -> int:
    return round((moment - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1))


async def _rows(conn: Connection, request: Request, window: Window, limit: int) -> list[dict[str, Any]]:
    query = request.query_params
    kind = query.get("kind")
    if kind is not None and kind not in KINDS:
        raise _bad("kind", f"one of {', '.join(KINDS)}")
    after = query.get("cursor")
    place = _CURSOR.fullmatch(after) if after else None
    if after and place is None:
        raise _bad("cursor", "the next_cursor of an earlier page")
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            "SELECT f.*, count(*) AS count, max(o.at) AS seen FROM internal.core_faults f"
            " JOIN internal.core_fault_occurrences o USING (project_id, fingerprint_id)"
            " WHERE project_id = %(project)s AND o.at BETWEEN %(since)s AND %(until)s"
            " AND (%(release)s::text IS NULL OR f.first_seen_release_id = %(release)s)"
            " AND (%(function)s::text IS NULL OR f.function_name = %(function)s)"
            " AND (%(kind)s::text IS NULL OR f.kind = %(kind)s)"
            " AND (%(fingerprint)s::text IS NULL OR f.fingerprint_id = %(fingerprint)s)"
            " GROUP BY f.project_id, f.fingerprint_id HAVING %(id)s::text IS NULL"
            " OR (max(o.at), f.fingerprint_id) < (%(at)s::timestamptz, %(id)s)"
            " ORDER BY max(o.at) DESC, f.fingerprint_id DESC LIMIT %(limit)s",
            {
                **window.values,
                "function": _clean(query.get("function")),
                "kind": kind,
                "fingerprint": _clean(query.get("fingerprint")),
                "at": _moment(int(place[1])) if place else None,
                "id": place[2] if place else None,
                "limit": limit,
            },
        )
        return await cursor.fetchall()


def _moment(micros: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=min(micros, 250_000_000_000_000_000))


def _clean(value: str | None) -> str | None:
    return None if value is None else value.replace("\0", "")


async def _verdict(conn: Connection, request: Request, window: Window) -> dict[str, Any]:
    """The filters for functions and kinds do not count here: a verdict is about all of the project."""
    cursor = await conn.execute(
        "SELECT count(DISTINCT f.fingerprint_id) FILTER (WHERE CASE WHEN %(release)s::text IS NULL"
        " THEN f.first_seen >= %(since)s ELSE f.first_seen_release_id = %(release)s END),"
        " count(DISTINCT f.fingerprint_id) FROM internal.core_faults f"
        " JOIN internal.core_fault_occurrences o USING (project_id, fingerprint_id)"
        " WHERE project_id = %(project)s AND o.at BETWEEN %(since)s AND %(until)s",
        window.values,
    )
    counts: Any = await cursor.fetchone()
    cursor = await conn.execute(
        "SELECT (SELECT coalesce(sum(calls), 0)::bigint FROM internal.core_fault_calls WHERE project_id = %(project)s"
        " AND minute BETWEEN date_trunc('minute', %(since)s::timestamptz) AND %(until)s),"
        " (SELECT count(*) FROM internal.core_fault_occurrences WHERE project_id = %(project)s),"
        " (SELECT jsonb_array_length(state->'functions') FROM internal.core_releases r"
        " JOIN internal.core_projects p USING (project_id)"
        " WHERE project_id = %(project)s AND r.release_id = p.active_release_id),"
        " (SELECT release_id FROM internal.core_releases WHERE project_id = %(project)s AND activated_at <"
        " (SELECT activated_at FROM internal.core_releases WHERE project_id = %(project)s AND release_id = %(release)s)"
        " ORDER BY activated_at DESC LIMIT 1)",
        window.values,
    )
    facts: Any = await cursor.fetchone()
    return {
        "window": {"since": iso(window.since), "until": iso(window.until)},
        "compared_release_id": window.release,
        "baseline_release_id": facts[3],
        "new_fingerprints": counts[0],
        "recurring_fingerprints": counts[1] - counts[0],
        "invocations_in_window": facts[0],
        "coverage": {"full_fidelity_functions": facts[2] or 0, "coarse_functions": 0},
        "row_cap": {"limit": MAX_OCCURRENCES, "at_cap": facts[1] >= MAX_OCCURRENCES},
    }


async def _view(conn: Connection, project: Project, row: Mapping[str, Any]) -> dict[str, Any]:
    cursor = await conn.execute(
        "SELECT request_id, at, release_id FROM internal.core_fault_occurrences"
        " WHERE project_id = %s AND fingerprint_id = %s ORDER BY id DESC LIMIT %s",
        (project.project_id, row["fingerprint_id"], SAMPLES),
    )
    recent = [{"id": found[0], "at": iso(found[1]), "release_id": found[2]} for found in await cursor.fetchall()]
    first = {"id": row["first_sample"], "at": iso(row["first_seen"]), "release_id": row["first_seen_release_id"]}
    newest = recent[0]["id"] if recent else row["first_sample"]
    command = advice.command(
        "functions", "logs", row["function_name"], "--request-id", newest, "--project", project.project_id
    )
    return {
        "fingerprint_id": row["fingerprint_id"],
        "function": row["function_name"],
        "kind": row["kind"],
        "fingerprint_quality": row["quality"],
        "error_name": row["error_name"],
        "message_template": row["message_template"],
        "stable_frames": row["stable_frames"],
        "count": row["count"],
        "first_seen": iso(row["first_seen"]),
        "last_seen": iso(row["last_seen"]),
        "first_seen_release_id": row["first_seen_release_id"],
        "last_seen_release_id": row["last_seen_release_id"],
        "samples": {"first": first, "recent": recent},
        "next_actions": [advice.entry("fetch_logs", command, why="What the function said in that call.")],
    }


async def get_fault(request: Request) -> Response:
    """GET /projects/v1/{project_id}/errors/{fingerprint_id} (service key): one row, with `also_seen_in_functions`.

    `count` is over all that is kept (90 days). 404 resource_not_found.
    """
    await _stored(request)
    async with gateway_of(request).connection() as conn:
        project = await service_project(conn, request)
        fingerprint_id = request.path_params["fingerprint_id"]
        async with conn.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(
                "SELECT f.*, (SELECT count(*) FROM internal.core_fault_occurrences o WHERE o.project_id = f.project_id"
                " AND o.fingerprint_id = f.fingerprint_id) AS count, ARRAY(SELECT g.function_name"
                " FROM internal.core_faults g WHERE g.project_id = f.project_id AND g.identity = f.identity"
                " AND g.fingerprint_id <> f.fingerprint_id ORDER BY 1) AS also FROM internal.core_faults f"
                " WHERE f.project_id = %s AND f.fingerprint_id = %s",
                (project.project_id, fingerprint_id.replace("\0", "")),
            )
            row = await cursor.fetchone()
        if row is None:
            raise _not_found(f"{project.project_id} has no error {fingerprint_id}. `run402 errors` lists what it has.")
        return reply({**await _view(conn, project, row), "also_seen_in_functions": row["also"]})


ROUTES = [
    Route("/projects/v1/{project_id}/errors", list_faults, methods=["GET"]),
    Route("/projects/v1/{project_id}/errors/{fingerprint_id}", get_fault, methods=["GET"]),
]
