"""Snapshots: a project's database as it was, kept as a schema of its own. See docs/local-gateway.md."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from run402_cli import advice
from run402_cli.core import expose
from run402_cli.core.copies import snapshot_rows
from run402_cli.core.copies.schemas import (
    drop_schema,
    new_copy,
    new_slot,
    rename_schema,
    schema_bytes,
)
from run402_cli.core.copies.snapshot_rows import Kind, Snapshot
from run402_cli.core.db import Connection
from run402_cli.core.gateway import Gateway
from run402_cli.core.projects import role_rows
from run402_cli.core.projects import rows as project_rows
from run402_cli.core.projects.rows import Project
from run402_cli.core.releases import migrations
from run402_cli.core.releases import operation_rows as operations


async def capture(gateway: Gateway, conn: Connection, project: Project, kind: Kind) -> Snapshot:
    """Copy the project's schema into a snapshot. The caller holds the project's lock and is in no transaction."""
    snapshot_id = snapshot_rows.new_id()
    operation_id = await operations.record(conn, "snapshot", project.project_id, f"Captured {snapshot_id}")
    async with new_copy(gateway, conn, project, "snapshot") as slot, conn.transaction():
        size = await schema_bytes(conn, slot)
        await snapshot_rows.insert(conn, project, snapshot_id, operation_id, kind, slot, [], size)
        await project_rows.end_schema(conn, slot)
    return await snapshot_rows.fetch(conn, project.project_id, snapshot_id)


async def drop(conn: Connection, snapshot_id: str, slot: str) -> None:
    """Remove a snapshot with its schema."""
    async with conn.transaction():
        await drop_schema(conn, slot)
        await snapshot_rows.delete(conn, snapshot_id)


async def keep_latest(conn: Connection, project_id: str, kind: Kind, count: int) -> None:
    """Remove all but the latest `count` snapshots of a kind."""
    for snapshot_id, slot in await snapshot_rows.older(conn, project_id, kind, count):
        await drop(conn, snapshot_id, slot)


async def restore(gateway: Gateway, conn: Connection, project: Project, snapshot: Snapshot) -> dict[str, Any]:
    """Move the project to a copy of the snapshot. The caller holds the project's lock and is in no transaction."""
    old_slot = new_slot("snapshot")
    old_id = snapshot_rows.new_id()
    operation_id = await operations.record(
        conn, "restore", project.project_id, f"Restored {snapshot.snapshot_id}; before that: {old_id}"
    )
    before = migrations.applied(await migrations.recorded(conn, project.project_id))
    source = (snapshot.schema_slot, snapshot.former_slots)
    async with new_copy(gateway, conn, project, "project", snapshot=source) as slot, conn.transaction():
        await role_rows.open_schema(conn, slot, project.roles)
        size = await schema_bytes(conn, project.schema_slot)
        await snapshot_rows.insert(
            conn, project, old_id, operation_id, "pre_restore", old_slot, [project.schema_slot], size
        )
        # Renamed, not copied: even a row that is being written at this moment stays with the old tables.
        await rename_schema(conn, project.schema_slot, old_slot)
        await role_rows.close_schema(conn, old_slot, project.roles)
        await project_rows.set_schema(conn, project.project_id, slot)
        rows = await snapshot_rows.copy_records(conn, snapshot.snapshot_id, project.project_id)
        await snapshot_rows.mark_restored(conn, snapshot.snapshot_id)
        await project_rows.end_schema(conn, slot)
    async with gateway.owner_connection(project.roles) as owner:
        await expose.reapply(owner, replace(project, schema_slot=slot))
    gone = sorted(before - migrations.applied(await migrations.recorded(conn, project.project_id)))
    undo = advice.command("snapshots", "restore", "--project", project.project_id, old_id)
    then, now = snapshot.live_release_id, project.active_release_id
    promote = advice.command("deploy", "promote", str(then), "--project", project.project_id)
    why = f"The data is as it was while {then} was live; {now} stays live. This makes {then} live again."
    return {
        "operation_id": operation_id,
        "project_id": project.project_id,
        "snapshot_id": snapshot.snapshot_id,
        "pre_restore_snapshot_id": old_id,
        "old_schema_slot": project.schema_slot,
        "new_schema_slot": slot,
        "migration_registry_rows": rows,
        "migrations_taken_out": gone,
        "status": "ready",
        "release": {"snapshot_live_release_id": then, "current_live_release_id": now},
        "next_actions": [
            advice.entry("restore_snapshot", undo, message="Go back to before this restore."),
            *([advice.entry("run_command", promote, message=why)] if then and then != now else []),
            *([_runs_again(project, gone)] if gone else []),
        ],
    }


def _runs_again(project: Project, gone: list[str]) -> dict[str, Any]:
    words = ("deploy", "apply", "--project", project.project_id, "--manifest", advice.Blank("file"), "--plan")
    message = (
        f"The restore took out what these migrations did: {', '.join(gone[:10])}. The next up or deploy apply of a manifest "
        "that has them runs them again; this shows what it would do."
    )
    return advice.run(*words, message=message)
