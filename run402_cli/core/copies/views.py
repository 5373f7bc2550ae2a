"""Snapshots and branches as the API shows them."""

from __future__ import annotations

from typing import Any

from run402_cli import advice
from run402_cli.core.copies.branch_rows import Branch
from run402_cli.core.copies.snapshot_rows import Snapshot
from run402_cli.core.releases import rows as releases
from run402_cli.core.web.instants import iso


def snapshot_view(snapshot: Snapshot) -> dict[str, Any]:
    """The API's snapshot; size in bytes."""
    name = ("--project", snapshot.project_id, snapshot.snapshot_id)
    return {
        "snapshot_id": snapshot.snapshot_id,
        "operation_id": snapshot.operation_id,
        "project_id": snapshot.project_id,
        "kind": snapshot.kind,
        "profile": "snapshot",
        "status": "ready",
        "manifest_sha256": None,
        "size_bytes": snapshot.size_bytes,
        "live_release_id": snapshot.live_release_id,
        "captured_at": iso(snapshot.captured_at),
        "expires_at": iso(snapshot.expires_at),
        "error": None,
        "created_at": iso(snapshot.captured_at),
        "updated_at": iso(snapshot.updated_at),
        "next_actions": [
            advice.action(
                "restore_snapshot",
                "snapshots",
                "restore",
                *name,
                message="Show what a restore would lose, and get the token that confirms it.",
            ),
            advice.action(
                "create_branch",
                "branches",
                "create",
                "--project",
                snapshot.project_id,
                "--from-snapshot",
                snapshot.snapshot_id,
                message="Look at this data in a project of its own.",
            ),
            advice.action("delete_snapshot", "snapshots", "delete", *name, message="Free the space."),
        ],
    }


def branch_view(branch: Branch, base: str) -> dict[str, Any]:
    """The API's branch; `base` is the gateway's own URL."""
    name = ("--project", branch.parent_project_id, branch.branch_project_id)
    return {
        "branch_project_id": branch.branch_project_id,
        "parent_project_id": branch.parent_project_id,
        "name": branch.name,
        "branch_url": releases.host_url(base, branch.public_id),
        "subdomain": None,
        "status": "active",
        "email_mode": branch.email_mode,
        "enable_cron": branch.enable_cron,
        "data_from": {"snapshot_id": branch.snapshot_id, "captured_at": iso(branch.captured_at)},
        "release": {
            "parent_release_id": branch.parent_release_id,
            "branch_release_id": branch.branch_release_id,
        },
        "expires_at": iso(branch.expires_at),
        "created_at": iso(branch.created_at),
        "next_actions": [
            advice.action(
                "deploy_to_branch",
                "deploy",
                "apply",
                "--project",
                branch.branch_project_id,
                message="Try a release on the branch; its parent does not notice.",
            ),
            advice.action("renew_branch", "branches", "renew", *name, message="Keep it for longer."),
            advice.action("delete_branch", "branches", "delete", *name, message="Remove it with its data."),
        ],
    }
