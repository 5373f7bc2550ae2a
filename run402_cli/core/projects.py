"""Projects: rows of internal.core_projects, one PostgreSQL schema each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Project:
    project_id: str
    name: str
    schema_slot: str
    public_id: str
    anon_key: str
    service_key: str
    active_release_id: str | None
    created_at: datetime
