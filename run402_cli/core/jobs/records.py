"""The table of jobs, and a job as the API shows it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from run402_cli.core.web.instants import iso

DDL = """
CREATE TABLE IF NOT EXISTS internal.core_jobs (
  job_id text PRIMARY KEY,
  project_id text NOT NULL REFERENCES internal.core_projects ON DELETE CASCADE,
  job_type text NOT NULL,
  input jsonb NOT NULL,
  max_cost_usd_micros bigint NOT NULL,
  idempotency_key text,
  request_sha256 text NOT NULL,
  status text NOT NULL DEFAULT 'queued',
  artifacts jsonb,
  error jsonb,
  attempts int NOT NULL DEFAULT 0,
  wall_seconds double precision,
  created_at timestamptz NOT NULL DEFAULT now(),
  started_at timestamptz,
  completed_at timestamptz,
  callback_url text,
  callback_due_at timestamptz,
  callback_attempts int NOT NULL DEFAULT 0,
  UNIQUE (project_id, idempotency_key)
);
CREATE INDEX IF NOT EXISTS core_jobs_active ON internal.core_jobs (created_at) WHERE status IN ('queued', 'running');
CREATE TABLE IF NOT EXISTS internal.core_job_logs (
  id bigserial PRIMARY KEY,
  job_id text NOT NULL REFERENCES internal.core_jobs ON DELETE CASCADE,
  timestamp timestamptz NOT NULL DEFAULT now(),
  message text NOT NULL
);
CREATE INDEX IF NOT EXISTS core_job_logs_job ON internal.core_job_logs (job_id, id);
"""
ACTIVE = ("queued", "running")


def new_job_id() -> str:
    return f"job_{secrets.token_hex(12)}"


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
