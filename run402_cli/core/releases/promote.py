"""Promote: make an earlier release active again. The pointer moves; the database stays as it is."""

from __future__ import annotations

import secrets
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from run402_cli.core.callers.auth import caller_project, project_by_id
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError, run_command
from run402_cli.core.gateway import Gateway, gateway_of
from run402_cli.core.projects.locks import project_lock
from run402_cli.core.projects.rows import Project
from run402_cli.core.releases import migrations, operation_rows
from run402_cli.core.releases import rows as releases
from run402_cli.core.releases.diffs import removals
from run402_cli.core.releases.operation_rows import advance
from run402_cli.core.releases.rows import Release
from run402_cli.core.releases.section_list import SECTIONS
from run402_cli.core.web.http import read_object, reply

IRREVERSIBLE = "MIGRATIONS_NOT_REVERSIBLE"


async def promote(request: Request) -> Response:
    """POST /apply/v1/releases/{release_id}/promote {project, allow_warning_codes}: 200 {status, release_id, ...}.

    404 PROMOTE_TARGET_NOT_FOUND, 400 PROMOTE_PROJECT_MISMATCH, 409 PROMOTE_NO_OP, PROMOTE_WARNING_REQUIRES_ACK.
    docs/local-gateway.md
    """
    gateway = gateway_of(request)
    release_id = request.path_params["release_id"]
    body = await read_object(request)
    allowed = body.get("allow_warning_codes") or []
    if not isinstance(allowed, list):
        raise GatewayError(400, "invalid_request", "allow_warning_codes must be an array of codes.")
    async with gateway.connection() as conn:
        named = await caller_project(conn, request, body.get("project", body.get("project_id")))
    async with project_lock(gateway, named.project_id) as conn:
        project = await project_by_id(conn, named.project_id)
        target = await _target(conn, project, release_id)
        current = await releases.find(conn, project.project_id, project.active_release_id or "")
        there = migrations.applied(await migrations.recorded(conn, project.project_id))
        difference, warnings = compare(current.state if current else None, target.state, there)
        _acknowledged(release_id, warnings, allowed)
        operation_id = await _move(gateway, conn, project, target)
    return reply(
        {
            "status": "ok",
            "release_id": release_id,
            "operation_id": operation_id,
            "previous_release_id": project.active_release_id,
            "diff": difference,
            "warnings": warnings,
        }
    )


async def _target(conn: Connection, project: Project, release_id: str) -> Release:
    release = await releases.find(conn, project.project_id, release_id)
    if release is None:
        if await releases.owners(conn, release_id):
            raise _refused(
                400,
                "promote_project_mismatch",
                f"{release_id} is a release of another project, not of {project.project_id}. Name its project.",
            )
        raise _refused(
            404,
            "promote_target_not_found",
            f"{project.project_id} has no release {release_id}. `run402 deploy list` shows the releases of its deploys.",
        )
    if release_id == project.active_release_id:
        raise _refused(409, "promote_no_op", f"{release_id} is already the active release. Nothing was changed.")
    return release


def compare(
    current: dict[str, Any] | None, target: dict[str, Any], there: set[str]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What the promotion changes, and the warnings about it.

    `there` are the migrations that the database has: after a restore they are not those of the release that is live.
    """
    now, then = _names(current), _names(target)
    files = {e["path"]: e["content_sha256"] for e in (current or {}).get("site", {}).get("paths", [])}
    codes = {e["name"]: e["code_hash"] for e in (current or {}).get("functions", [])}
    difference: dict[str, Any] = {
        "functions": {
            "only_in_current": sorted(now["functions"] - then["functions"]),
            "only_in_target": sorted(then["functions"] - now["functions"]),
            "changed": sorted(e["name"] for e in target["functions"] if codes.get(e["name"], "") != e["code_hash"]),
        },
        "migrations": {
            "only_in_current": sorted(there - then["migrations"]),
            "only_in_target": sorted(then["migrations"] - there),
        },
        "site_paths": {
            "added_in_current": len(now["paths"] - then["paths"]),
            "removed_in_current": len(then["paths"] - now["paths"]),
            "changed": sum(
                files.get(e["path"], e["content_sha256"]) != e["content_sha256"] for e in target["site"]["paths"]
            ),
        },
    }
    newer = difference["migrations"]["only_in_current"]
    lost = removals(current, target)
    if not newer:
        return difference, lost
    warning = {
        "code": IRREVERSIBLE,
        "severity": "high",
        "requires_confirmation": True,
        "message": f"{len(newer)} migrations applied since then stay applied: {', '.join(newer[:10])}.",
        "affected": newer,
    }
    return difference, [warning, *lost]


def _names(state: dict[str, Any] | None) -> dict[str, set[str]]:
    if state is None:
        return {"functions": set(), "migrations": set(), "paths": set()}
    return {
        "functions": {entry["name"] for entry in state["functions"]},
        "migrations": {entry["migration_id"] for entry in state["migrations"]},
        "paths": {entry["path"] for entry in state["site"]["paths"]},
    }


def _acknowledged(release_id: str, warnings: list[dict[str, Any]], allowed: list[Any]) -> None:
    left = [w for w in warnings if w["requires_confirmation"] and w["code"] not in allowed]
    if left:
        allow = [word for w in left for word in ("--allow-warning", w["code"])]
        raise _refused(
            409,
            "promote_warning_requires_ack",
            f"{' '.join(w['message'] for w in left)} Repeat with {' '.join(allow)} if the older release is wanted like that.",
            warnings=warnings,
            unacknowledged_warning_codes=[w["code"] for w in left],
            next_actions=[run_command("deploy", "promote", release_id, *allow)],
        )


async def _move(gateway: Gateway, conn: Connection, project: Project, target: Release) -> str:
    operation_id = f"op_{secrets.token_hex(12)}"
    async with conn.transaction():
        await operation_rows.begin_promotion(conn, operation_id, project, target.release_id)
        await releases.reactivate(conn, project.project_id, target.release_id)
        await releases.point_at(conn, project.project_id, target.release_id, target.state["subdomains"]["names"])
        for part in SECTIONS:
            await part.switched(gateway, conn, project.project_id, target.state)
        message = f"Promoted {target.release_id}"
        await advance(conn, operation_id, "ready", "ready", "done", message, {"release_id": target.release_id})
    return operation_id


def _refused(status: int, error: str, message: str, **fields: Any) -> GatewayError:
    return GatewayError(status, error, message, phase="promote", retryable=False, **fields)
