"""Waiting until gateway and edge agree on a release. See docs/up.md, "The edge"."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from run402_cli.client import Client
from run402_cli.services import apply as deploys

_INTERVAL_S = 1.0
_PATH_KEYS = (
    *("path", "host", "state", "observed_confidence", "expected_release_id", "observed_release_id"),
    *("expected_release_generation", "observed_release_generation", "status", "x_cache", "age_seconds", "error"),
)
_COUNTS = ("pending_count", "path_count", "total_path_count", "paths_truncated")


def wait_coherent(
    client: Client, project_id: str, operation_id: str, *, timeout_s: float, emit: Callable[[dict[str, Any]], None]
) -> dict[str, Any]:
    """Ask once a second until the edges are coherent or the time is over: {coherent, attempts, elapsedMs, report}."""
    started = time.monotonic()
    attempts = 0
    while True:
        attempts += 1
        report = deploys.edge_coherence(client, project_id, operation_id)
        report = report if isinstance(report, dict) else {}
        elapsed = time.monotonic() - started
        emit(_poll_event(report, attempts, round(elapsed * 1000)))
        if report.get("coherent") is True or elapsed >= timeout_s:
            return {
                "coherent": report.get("coherent") is True,
                "attempts": attempts,
                "elapsedMs": round(elapsed * 1000),
                "report": report,
            }
        time.sleep(min(_INTERVAL_S, max(0.0, timeout_s - elapsed)))


def coherence(
    client: Client,
    project_id: str,
    operation_id: str,
    *,
    timeout_s: float | None,
    emit: Callable[[dict[str, Any]], None],
) -> dict[str, Any]:
    """Whether the edges agree on an operation's release, asked once, or with `timeout_s` until they do.

    Returns {status: coherent|not_coherent, coherent, operation_id, project_id, attempts, elapsed_ms, report}.
    """
    if timeout_s is None:
        report = deploys.edge_coherence(client, project_id, operation_id)
        attempts, elapsed_ms = 1, 0
    else:
        waited = wait_coherent(client, project_id, operation_id, timeout_s=timeout_s, emit=emit)
        report, attempts, elapsed_ms = waited["report"], waited["attempts"], waited["elapsedMs"]
    found = report if isinstance(report, dict) else {}
    coherent = found.get("coherent") is True
    return {
        "status": "coherent" if coherent else "not_coherent",
        "coherent": coherent,
        "operation_id": found.get("operation_id", operation_id),
        "project_id": found.get("project_id", project_id),
        "attempts": attempts,
        "elapsed_ms": elapsed_ms,
        "report": report,
    }


def _poll_event(report: Mapping[str, Any], attempts: int, elapsed_ms: int) -> dict[str, Any]:
    paths = [path for path in report.get("paths") or [] if isinstance(path, Mapping)]
    return {
        "type": "deploy.verify.poll",
        "coherent": report.get("coherent") is True,
        "attempts": attempts,
        "elapsed_ms": elapsed_ms,
        **{key: report[key] for key in _COUNTS if key in report},
        "paths": [{key: path[key] for key in _PATH_KEYS if key in path} for path in paths],
    }
