"""The table of branches: which project is a contained copy of which, and for how long."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from run402_cli import advice
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError

DDL = """
CREATE TABLE IF NOT EXISTS internal.core_branches (
  branch_project_id text PRIMARY KEY REFERENCES internal.core_projects ON DELETE CASCADE,
  parent_project_id text NOT NULL REFERENCES internal.core_projects ON DELETE CASCADE,
  operation_id text NOT NULL,
  name text NOT NULL,
  email_mode text NOT NULL,
  enable_cron boolean NOT NULL,
  snapshot_id text,
  captured_at timestamptz NOT NULL,
  parent_release_id text,
  branch_release_id text,
  expires_at timestamptz NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS core_branches_parent ON internal.core_branches (parent_project_id);
"""
_COLUMNS = (
    "b.branch_project_id, b.parent_project_id, b.operation_id, b.name, b.email_mode, b.enable_cron, b.snapshot_id,"
    " b.captured_at, b.parent_release_id, b.branch_release_id, b.expires_at, b.created_at, p.public_id"
)
_SELECT = (
    f"SELECT {_COLUMNS} FROM internal.core_branches b"
    " JOIN internal.core_projects p ON p.project_id = b.branch_project_id WHERE b.expires_at > now()"
)


@dataclass(frozen=True, slots=True)
class Branch:
    """A row of internal.core_branches, with the public id of its project."""

    branch_project_id: str
    parent_project_id: str
    operation_id: str
    name: str
    email_mode: str
    enable_cron: bool
    snapshot_id: str | None
    captured_at: datetime
    parent_release_id: str | None
    branch_release_id: str | None
    expires_at: datetime
    created_at: datetime
    public_id: str


async def insert(
    conn: Connection,
    *,
    branch_id: str,
    parent_id: str,
    operation_id: str,
    name: str,
    email_mode: str,
    enable_cron: bool,
    snapshot_id: str | None,
    captured_at: datetime,
    parent_release_id: str | None,
    branch_release_id: str | None,
    expires_at: datetime,
) -> None:
    await conn.execute(
        "INSERT INTO internal.core_branches (branch_project_id, parent_project_id, operation_id, name, email_mode,"
        " enable_cron, snapshot_id, captured_at, parent_release_id, branch_release_id, expires_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            *(branch_id, parent_id, operation_id, name, email_mode, enable_cron, snapshot_id),
            *(captured_at, parent_release_id, branch_release_id, expires_at),
        ),
    )


async def fetch(conn: Connection, parent_id: str, branch_id: str) -> Branch:
    """The branch, or 404 BRANCH_NOT_FOUND (also when its time is over)."""
    cur = await conn.execute(
        f"{_SELECT} AND b.parent_project_id = %s AND b.branch_project_id = %s", (parent_id, branch_id)
    )
    row = await cur.fetchone()
    if row is None:
        command = advice.command("branches", "list", "--project", parent_id)
        raise GatewayError(
            404,
            "branch_not_found",
            f"Project {parent_id} has no branch {branch_id}; its time may be over. `{command}` prints the ones it has.",
            branch_project_id=branch_id,
            next_actions=[advice.entry("run_command", command)],
        )
    return Branch(*row)


async def of_parent(conn: Connection, parent_id: str) -> list[Branch]:
    """The branches of a project, oldest first."""
    cur = await conn.execute(
        f"{_SELECT} AND b.parent_project_id = %s ORDER BY b.created_at, b.branch_project_id", (parent_id,)
    )
    return [Branch(*row) for row in await cur.fetchall()]


async def parent_of(conn: Connection, project_id: str) -> str | None:
    """The project that this one is a branch of; None for one that is none."""
    cur = await conn.execute(
        "SELECT parent_project_id FROM internal.core_branches WHERE branch_project_id = %s", (project_id,)
    )
    row = await cur.fetchone()
    return None if row is None else row[0]


async def renew(conn: Connection, branch_id: str, expires_at: datetime) -> None:
    """A renewal never shortens."""
    await conn.execute(
        "UPDATE internal.core_branches SET expires_at = greatest(expires_at, %s) WHERE branch_project_id = %s",
        (expires_at, branch_id),
    )


async def expired(conn: Connection, parent_id: str | None) -> list[str]:
    """The branches whose time is over, of one project or of all."""
    cur = await conn.execute(
        "SELECT branch_project_id FROM internal.core_branches WHERE expires_at <= now()"
        " AND (%(parent)s::text IS NULL OR parent_project_id = %(parent)s)",
        {"parent": parent_id},
    )
    return [row[0] for row in await cur.fetchall()]


async def copy_records(conn: Connection, parent_id: str, branch_id: str) -> None:
    """A new branch gets the migration registry and the expose manifest of its parent."""
    values = {"parent": parent_id, "branch": branch_id}
    await conn.execute(
        "INSERT INTO internal.core_applied_migrations (project_id, migration_id, checksum_hex, state, applied_at)"
        " SELECT %(branch)s, migration_id, checksum_hex, state, applied_at FROM internal.core_applied_migrations"
        " WHERE project_id = %(parent)s",
        values,
    )
    await conn.execute(
        "INSERT INTO internal.core_expose (project_id, manifest, surfaces) SELECT %(branch)s, manifest, surfaces"
        " FROM internal.core_expose WHERE project_id = %(parent)s",
        values,
    )
