"""Errors of functions, grouped: what went wrong is one row, however often it happens. See docs/diagnostics.md, "Errors".

The rows are made from what the log says about each call (functions/logs.py), in the transaction that stores the log.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from run402_cli import advice
from run402_cli.core.db import Connection
from run402_cli.core.diagnostics import fault_rows
from run402_cli.core.diagnostics.fault_rows import Fault, Window
from run402_cli.core.diagnostics.redaction import redact
from run402_cli.core.web.instants import iso

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


async def note(conn: Connection, entries: Iterable[Mapping[str, Any]]) -> None:
    """Record what new log entries tell: calls, and failed ones. Inside the transaction that stores them.

    The entries of one call must be together, as CallLog makes them.
    """
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
            await fault_rows.record(conn, entry, fault)
            projects.add(entry["project_id"])
    # In one order, so that two batches cannot wait for each other.
    for (project_id, name, minute), count in sorted(calls.items()):
        await fault_rows.count_calls(conn, project_id, minute, name, count)
    for project_id in sorted(projects):
        await fault_rows.prune(conn, project_id)


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


async def verdict(conn: Connection, window: Window) -> dict[str, Any]:
    """The filters for functions and kinds do not count here: a verdict is about all of the project."""
    new, occurred = await fault_rows.counts_in(conn, window)
    calls, kept, functions, baseline = await fault_rows.around(conn, window)
    return {
        "window": {"since": iso(window.since), "until": iso(window.until)},
        "compared_release_id": window.release,
        "baseline_release_id": baseline,
        "new_fingerprints": new,
        "recurring_fingerprints": occurred - new,
        "invocations_in_window": calls,
        "coverage": {"full_fidelity_functions": functions, "coarse_functions": 0},
        "row_cap": {"limit": fault_rows.MAX_OCCURRENCES, "at_cap": kept >= fault_rows.MAX_OCCURRENCES},
    }


async def view(conn: Connection, project_id: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """A fault as the API shows it, with samples."""
    latest = await fault_rows.samples(conn, project_id, row["fingerprint_id"])
    recent = [{"id": request_id, "at": iso(at), "release_id": release_id} for request_id, at, release_id in latest]
    first = {"id": row["first_sample"], "at": iso(row["first_seen"]), "release_id": row["first_seen_release_id"]}
    newest = recent[0]["id"] if recent else row["first_sample"]
    command = advice.command("functions", "logs", row["function_name"], "--request-id", newest, "--project", project_id)
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
