"""A job as the API shows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from run402_cli.core.web.instants import iso


def view(public_url: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """The job as the API shows it; a job on this machine costs nothing."""
    base = f"{public_url}/jobs/v1/runs/{row['job_id']}/artifacts"
    shown: dict[str, Any] = {
        "job_id": row["job_id"],
        "project_id": row["project_id"],
        "job_type": row["job_type"],
        "status": row["status"],
        "created_at": iso(row["created_at"]),
        "started_at": iso(row["started_at"]),
        "completed_at": iso(row["completed_at"]),
        "max_cost_usd_micros": row["max_cost_usd_micros"],
        "metadata": {
            "wall_seconds": row["wall_seconds"],
            "attempt_count": row["attempts"],
            "cost_usd_micros": 0,
            "billing_status": "not_billed",
        },
    }
    if row["artifacts"]:
        shown["artifacts"] = {name: {"url": f"{base}/{name}", **facts} for name, facts in row["artifacts"].items()}
    return shown | ({"error": row["error"]} if row["error"] else {})
