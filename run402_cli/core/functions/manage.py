"""What is deployed: list it, change its settings, remove it, build it again."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from run402_cli.core.callers.auth import project_by_id
from run402_cli.core.callers.policies import OWNER, SERVICE_KEY
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.functions import bundle_rows
from run402_cli.core.functions.build import LIBRARY_VERSION
from run402_cli.core.functions.bundle_rows import Bundle, function_not_found
from run402_cli.core.functions.functions_request import SCHEDULE_TRIGGER
from run402_cli.core.functions.schedules import metas
from run402_cli.core.gateway import Gateway, gateway_of
from run402_cli.core.projects.locks import project_lock
from run402_cli.core.projects.rows import Project
from run402_cli.core.releases import plans
from run402_cli.core.releases.commit import commit
from run402_cli.core.releases.planning import evaluate
from run402_cli.core.releases.release_request import read_spec, release_failure
from run402_cli.core.web.http import public_base, read_object, reply
from run402_cli.core.web.instants import iso, parse_instant
from run402_cli.core.web.routing import Route, admitted
from run402_cli.release.errors import ReleaseError


async def list_functions(request: Request) -> Response:
    """GET /projects/v1/admin/{project_id}/functions (service key): the functions of the active release.

    200 `{functions: [{name, url, runtime, timeout (s), memory (MB), schedule, schedule_meta, triggers, deps_resolved,
    runtime_version, created_at, updated_at, ...}]}`. docs/local-gateway-functions.md
    """
    project = admitted(request, Project)
    async with gateway_of(request).connection() as conn:
        found = await bundle_rows.load(conn, project.project_id, project.active_release_id)
        meta = await metas(conn, project.project_id)
    base = f"{public_base(request)}/functions/v1"
    return reply({"functions": [_view(bundle, base, meta) for bundle in found.values()]})


def _view(bundle: Bundle, base: str, meta: dict[tuple[str, str], dict[str, Any]]) -> dict[str, Any]:
    entry = bundle.entry
    triggers = [
        {**trigger, **({"schedule_meta": meta[key]} if (key := (bundle.name, trigger["id"])) in meta else {})}
        for trigger in entry.get("triggers") or ()
    ]
    return {
        "name": bundle.name,
        "url": f"{base}/{bundle.name}",
        **_settings(bundle, meta),
        "triggers": triggers,
        "require_auth": entry["require_auth"],
        "require_role": entry["require_role"],
        "deps": list(entry["deps"]),
        "code_hash": entry["code_hash"],
        "created_at": _time(bundle.created_at),
        "runtime_current_version": LIBRARY_VERSION,
        "runtime_minimum_version": LIBRARY_VERSION,
        "runtime_stale": bundle.runtime_version != LIBRARY_VERSION,
    }


def _settings(bundle: Bundle, meta: dict[tuple[str, str], dict[str, Any]]) -> dict[str, Any]:
    entry = bundle.entry
    return {
        "runtime": entry["runtime"],
        "timeout": entry["timeout_seconds"],
        "memory": entry["memory_mb"],
        "schedule": entry["schedule"],
        "schedule_meta": meta.get((bundle.name, SCHEDULE_TRIGGER)) if entry["schedule"] else None,
        "updated_at": _time(bundle.updated_at),
        "runtime_version": bundle.runtime_version,
        "deps_resolved": bundle.deps_resolved,
    }


def _time(text: str | None) -> str | None:
    return iso(parse_instant(text.replace(" ", "T", 1) + ("" if text[-3] == ":" else ":00"))) if text else None


async def _deployed(conn: Connection, project: Project, name: str) -> Bundle:
    found = await bundle_rows.load(conn, project.project_id, project.active_release_id)
    if name not in found:
        raise function_not_found(project, name, list(found))
    return found[name]


async def update_function(request: Request) -> Response:
    """PATCH /projects/v1/admin/{project_id}/functions/{name} {schedule?, config?: {timeout?, memory?}} (service key).

    Makes a release that differs in these settings only. 200 with the function's settings; 400 invalid_release_spec,
    404 function_not_found, 422 invalid_function_schedule. docs/local-gateway-functions.md
    """
    gateway = gateway_of(request)
    body = await read_object(request)
    config = body.get("config") or {}
    if not isinstance(config, dict) or not ({"schedule"} & body.keys() or {"timeout", "memory"} & config.keys()):
        raise GatewayError(
            400, "invalid_request", "Give at least one of schedule, config.timeout, config.memory.", code=None
        )
    name = request.path_params["name"]
    project = admitted(request, Project)
    async with gateway.connection() as conn:
        spec = _spec_of(await _deployed(conn, project, name))
        for key, setting in (("timeout", "timeout_seconds"), ("memory", "memory_mb")):
            if key in config:
                spec["config"][setting] = config[key]
        if "schedule" in body:
            spec["schedule"] = body["schedule"] or None
    await _deploy(gateway, project, {"patch": {"set": {name: spec}}})
    async with gateway.connection() as conn:
        project = await project_by_id(conn, project.project_id)
        bundle = await _deployed(conn, project, name)
        return reply({"name": name, **_settings(bundle, await metas(conn, project.project_id))})


def _spec_of(bundle: Bundle) -> dict[str, Any]:
    """The function as a release spec would bring it."""
    entry, code = bundle.entry, bundle.code
    spec = {
        "runtime": entry["runtime"],
        "config": {"timeout_seconds": entry["timeout_seconds"], "memory_mb": entry["memory_mb"]},
        "deps": list(entry["deps"]),
        "schedule": entry["schedule"],
        "require_auth": entry["require_auth"],
        "require_role": entry["require_role"],
        "triggers": list(entry.get("triggers") or ()),
        **{key: entry[key] for key in ("class", "capabilities") if key in entry},
    }
    return spec | {key: code[key] for key in ("source", "files", "entrypoint") if code[key]}


async def delete_function(request: Request) -> Response:
    """DELETE /projects/v1/admin/{project_id}/functions/{name} (service key): a release without it. `{status, name}`.

    404 function_not_found, 409 function_in_use while a route leads to it. docs/local-gateway-functions.md
    """
    gateway = gateway_of(request)
    name = request.path_params["name"]
    project = admitted(request, Project)
    async with gateway.connection() as conn:
        await _deployed(conn, project, name)
    await _deploy(gateway, project, {"patch": {"delete": [name]}})
    return reply({"status": "deleted", "name": name})


async def _deploy(gateway: Gateway, project: Project, section: dict[str, Any]) -> None:
    try:
        wire = read_spec({"project_id": project.project_id, "functions": section})
        async with gateway.connection() as conn:
            evaluation = await evaluate(gateway, conn, await project_by_id(conn, project.project_id), wire)
            await plans.insert(conn, evaluation.plan)
    except ReleaseError as exc:
        if exc.resource == "routes":
            raise GatewayError(
                409, "function_in_use", f"{exc.message} Deploy without that route first.", resource="routes"
            ) from exc
        raise release_failure(exc, "cloud") from exc
    await commit(gateway, evaluation.plan)


async def rebuild_function(request: Request) -> Response:
    """POST /projects/v1/{project_id}/functions/{name}/rebuild: its stored source, built again on the present runtime.

    200 `{name, rebuilt, old_fingerprint, new_fingerprint, runtime_version_before, runtime_version_after, code_hash}`;
    packages stay at their locked versions. 404 function_not_found. docs/local-gateway-functions.md
    """
    gateway = gateway_of(request)
    async with project_lock(gateway, request.path_params["project_id"]) as conn:
        project = await project_by_id(conn, request.path_params["project_id"])
        await _deployed(conn, project, request.path_params["name"])
        return reply(await _rebuild(gateway, conn, project, request.path_params["name"]))


async def rebuild_all(request: Request) -> Response:
    """POST /projects/v1/{project_id}/functions/rebuild: every function. 200 `{rebuilt_count, total, results}`."""
    gateway = gateway_of(request)
    async with project_lock(gateway, request.path_params["project_id"]) as conn:
        project = await project_by_id(conn, request.path_params["project_id"])
        results: list[dict[str, Any]] = []
        for name in await bundle_rows.load(conn, project.project_id, project.active_release_id):
            try:
                results.append(await _rebuild(gateway, conn, project, name))
            except GatewayError as exc:
                code = exc.fields.get("code", exc.error)
                results.append({"name": name, "rebuilt": False, "code": code, "error": exc.message})
    done = sum(result["rebuilt"] for result in results)
    return reply({"rebuilt_count": done, "total": len(results), "results": results})


async def _rebuild(gateway: Gateway, conn: Connection, project: Project, name: str) -> dict[str, Any]:
    assert project.active_release_id is not None
    found = await bundle_rows.load(conn, project.project_id, project.active_release_id)
    before = found[name]
    folder = gateway.functions.builder.root / before.build_key
    wanted = replace(before, runtime_version=LIBRARY_VERSION, updated_at=None)
    # Put aside, not deleted: a build that fails must leave the old one working.
    aside = folder.with_name(f".old-{folder.name}")
    await asyncio.to_thread(_rename, folder, aside)
    try:
        built, _ = await gateway.functions.builder.build(wanted)
    except BaseException:
        await asyncio.to_thread(_rename, aside, folder)
        raise
    await asyncio.to_thread(shutil.rmtree, aside, True)
    async with conn.transaction():
        await bundle_rows.save(conn, project.project_id, project.active_release_id, {**found, name: built})
    gateway.functions.forget(project.project_id)
    return {
        "name": name,
        "rebuilt": True,
        "old_fingerprint": before.fingerprint(),
        "new_fingerprint": built.fingerprint(),
        "runtime_version_before": before.runtime_version,
        "runtime_version_after": built.runtime_version,
        "code_hash": before.entry["code_hash"],
    }


def _rename(source: Any, target: Any) -> None:
    if source.exists():
        shutil.rmtree(target, ignore_errors=True)
        source.rename(target)


ROUTES = [
    Route("/projects/v1/admin/{project_id}/functions", list_functions, methods=["GET"], who=SERVICE_KEY),
    Route("/projects/v1/admin/{project_id}/functions/{name}", update_function, methods=["PATCH"], who=SERVICE_KEY),
    Route("/projects/v1/admin/{project_id}/functions/{name}", delete_function, methods=["DELETE"], who=SERVICE_KEY),
    Route("/projects/v1/{project_id}/functions/rebuild", rebuild_all, methods=["POST"], who=OWNER),
    Route("/projects/v1/{project_id}/functions/{name}/rebuild", rebuild_function, methods=["POST"], who=OWNER),
]
