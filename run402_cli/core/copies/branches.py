"""Branches: contained copies of a project, with keys and an end of their own. See docs/local-gateway.md."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from run402_cli import advice
from run402_cli.core import expose
from run402_cli.core.callers.auth import existing_project
from run402_cli.core.copies import branch_rows, snapshot_rows
from run402_cli.core.copies.schemas import new_copy
from run402_cli.core.copies.snapshot_rows import Snapshot
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.gateway import Gateway
from run402_cli.core.projects import keys
from run402_cli.core.projects.locks import project_lock
from run402_cli.core.projects.rows import Project, drop_project, end_schema, insert_project
from run402_cli.core.releases import operation_rows as operations
from run402_cli.core.releases import rows as releases
from run402_cli.core.releases.section_list import SECTIONS
from run402_cli.release.state import normalize_state, state_digest

DEFAULT_TTL_DAYS = 7


@dataclass(frozen=True, slots=True)
class Wish:
    """What a branch should be like."""

    name: str
    email_mode: str = "sandbox"
    enable_cron: bool = False
    ttl: timedelta = timedelta(days=DEFAULT_TTL_DAYS)
    snapshot: Snapshot | None = None


async def create(gateway: Gateway, conn: Connection, parent: Project, wish: Wish) -> Project:
    """Make a branch; the caller holds the parent's lock and is in no transaction. 409 branch_of_branch.

    It gets the tables of the parent (or of one of its snapshots), the parent's active release without subdomains and
    without timers, its secrets, and sight of its content.
    """
    await _refuse_nesting(conn, parent)
    operation_id = await operations.record(conn, "branch", parent.project_id, f"Branched {parent.project_id}")
    snapshot = wish.snapshot
    source = (snapshot.schema_slot, snapshot.former_slots) if snapshot else None
    async with new_copy(gateway, conn, parent, "project", snapshot=source) as slot, conn.transaction():
        branch = await insert_project(conn, wish.name, keys.fresh(gateway.settings), slot=slot)
        await end_schema(conn, slot)
        await _copy_records(conn, parent, branch, snapshot)
        await asyncio.to_thread(gateway.store.share, parent.project_id, branch.project_id)
        for part in SECTIONS:
            await part.branched(gateway, conn, parent.project_id, branch.project_id)
        release_id = await _copy_release(gateway, conn, parent, branch, wish)
        await branch_rows.insert(
            conn,
            branch_id=branch.project_id,
            parent_id=parent.project_id,
            operation_id=operation_id,
            name=wish.name,
            email_mode=wish.email_mode,
            enable_cron=wish.enable_cron,
            snapshot_id=snapshot.snapshot_id if snapshot else None,
            captured_at=snapshot.captured_at if snapshot else datetime.now(UTC),
            parent_release_id=parent.active_release_id,
            branch_release_id=release_id,
            expires_at=datetime.now(UTC) + wish.ttl,
        )
    async with gateway.owner_connection(branch.roles) as owner:
        await expose.reapply(owner, branch)
    return replace(branch, active_release_id=release_id)


async def _refuse_nesting(conn: Connection, parent: Project) -> None:
    root = await branch_rows.parent_of(conn, parent.project_id)
    if root is not None:
        command = advice.command("branches", "create", "--project", root)
        raise GatewayError(
            409,
            "branch_of_branch",
            f"{parent.project_id} is a branch itself, and a branch has none. Branch its parent: `{command}`.",
            next_actions=[advice.entry("run_command", command)],
        )


async def _copy_records(conn: Connection, parent: Project, branch: Project, snapshot: Snapshot | None) -> None:
    if snapshot is not None:
        await snapshot_rows.copy_records(conn, snapshot.snapshot_id, branch.project_id)
        return
    await branch_rows.copy_records(conn, parent.project_id, branch.project_id)


async def _copy_release(gateway: Gateway, conn: Connection, parent: Project, branch: Project, wish: Wish) -> str | None:
    """The parent's active release as the branch's first one; its id there, None when nothing is active."""
    if parent.active_release_id is None:
        return None
    release = await releases.fetch(conn, parent.project_id, parent.active_release_id)
    state = contained_state(release.state, enable_cron=wish.enable_cron)
    digest = state_digest(state)
    release_id = f"rel_{digest.partition(':')[2][:24]}"
    await releases.insert_first(
        conn, branch.project_id, release_id, state, digest, manifest_digest=release.manifest_digest
    )
    await releases.point_at(conn, branch.project_id, release_id, [])
    for part in SECTIONS:
        await part.switched(gateway, conn, branch.project_id, state)
    return release_id


def contained_state(state: Mapping[str, Any], *, enable_cron: bool) -> dict[str, Any]:
    """A release state that acts on nothing outside: no subdomains, no e-mail triggers, no timers unless wanted."""
    functions = []
    for entry in state["functions"]:
        triggers = [t for t in entry.get("triggers") or () if enable_cron and t["type"] == "schedule"]
        schedule = entry.get("schedule") if enable_cron else None
        functions.append({**entry, "schedule": schedule, "triggers": triggers})
    return normalize_state({**state, "subdomains": {"names": []}, "functions": functions})


async def remove(gateway: Gateway, branch_id: str) -> None:
    """Delete a branch with everything in it, after a deploy to it that may be running."""
    async with project_lock(gateway, branch_id) as conn:
        project = await existing_project(conn, branch_id)
        async with conn.transaction():
            await drop_project(conn, project)
    await asyncio.to_thread(gateway.store.forget, branch_id)


async def purge_expired(gateway: Gateway, conn: Connection, parent_id: str) -> None:
    """Remove branches of a project whose time is over. Those of others are no business of its requests, which would wait
    for their deploys.
    """
    for branch_id in await branch_rows.expired(conn, parent_id):
        await remove(gateway, branch_id)
