"""GET /apply/v1/resolve: how a public URL would be answered, and why."""

from __future__ import annotations

import asyncio
import re
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from run402_cli.core.callers.auth import caller_project
from run402_cli.core.callers.policies import DEPLOYER_OF_WHAT_IT_NAMES
from run402_cli.core.content.store import ContentStore
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.gateway import gateway_of
from run402_cli.core.projects.rows import Project
from run402_cli.core.sites.lookup import Found, Site, live_sites, look_up, project_of_host
from run402_cli.core.web.http import reply
from run402_cli.core.web.routing import Route
from run402_cli.proxies import is_loopback
from run402_cli.release.static_manifest import cache_control, static_manifest_sha256

_STATIC_PATH = re.compile(r"/projects/v1/(prj_[a-z0-9_]{1,96})/static(?=/|$)")
_METHOD = re.compile(r"[A-Z][A-Z0-9!#$%&'*+.^_`|~-]*")
_STATUS = {"path_error": 400, "none": 404, "route_method_miss": 405}


async def resolve(request: Request) -> Response:
    """GET /apply/v1/resolve?host&path&method (apikey): the resolution of a URL against the active release.

    Hosts are `<subdomain or public id>.localhost`, and 127.0.0.1 or localhost for paths of a project's static prefix
    (any other path there means the caller's own site). docs/local-gateway.md
    """
    gateway = gateway_of(request)
    host = request.query_params.get("host", "").strip().lower().rstrip(".")
    path = request.query_params.get("path", "/")
    method = request.query_params.get("method", "GET").upper()
    if not host or not path.startswith("/") or not _METHOD.fullmatch(method):
        raise GatewayError(
            400, "invalid_request", "Give `host`, a `path` that starts with /, and a `method` such as GET."
        )
    async with gateway.connection() as conn:
        caller = await caller_project(conn, request, request.query_params.get("project_id"))
        bound, site_path = await _binding(conn, caller, host, path)
        # What another project serves is public, how it is configured is not.
        site = await live_sites.active(conn, caller.project_id) if bound == caller.project_id else None
    base = {"hostname": host, "normalized_path": site_path, "fallback_state": "unavailable", "authorized": False}
    if bound != caller.project_id:
        other = {"binding_status": "another_project"} if bound is not None else {}
        return reply({**base, "match": "host_missing", "result": 404, "error_code": "host_missing", **other})
    base |= {"project_id": caller.project_id, "binding_status": "active", "channel": "production"}
    if site is None:
        missing = {"match": "active_release_missing", "authorization_result": "active_release_missing"}
        return reply({**base, **missing, "fallback_state": "active_release_missing", "result": 404})
    found = look_up(site, site_path, method)
    body = base | _release_facts(site) | _match_facts(found)
    if found.entry is not None:
        body |= await _file_facts(gateway.store, found)
    return reply(body)


async def _binding(conn: Connection, caller: Project, host: str, path: str) -> tuple[str | None, str]:
    """The project that the host (and path) belongs to, and the path within its site."""
    if not host.endswith(".localhost") and is_loopback(host.strip("[]")):
        prefix = _STATIC_PATH.match(path)
        return (prefix.group(1), path[prefix.end() :] or "/") if prefix else (caller.project_id, path)
    label, _, rest = host.partition(".")
    return (await project_of_host(conn, label) if rest == "localhost" else None), path


def _release_facts(site: Site) -> dict[str, Any]:
    return {
        "release_id": site.release_id,
        "route_manifest_sha256": site.state["routes"]["manifest_sha256"],
        "static_manifest_sha256": static_manifest_sha256(site.state["static_manifest"]),
    }


def _match_facts(found: Found) -> dict[str, Any]:
    missed = found.kind in _STATUS
    facts: dict[str, Any] = {
        "normalized_path": found.path,
        "match": found.kind,
        "result": _STATUS.get(found.kind, 200),
        "authorized": not missed,
        "authorization_result": {"path_error": "path_error", "none": "not_public"}.get(found.kind, "authorized"),
        "fallback_state": {
            "path_error": "path_error",
            "none": "not_configured",
            "route_method_miss": "method_not_static",
        }.get(found.kind, "not_used"),
    }
    if found.allow:
        facts["allow"] = list(found.allow)
    if found.route is not None:
        target = found.route["target"]
        facts |= {
            "route": {"pattern": found.route["pattern"], "methods": found.route["methods"], "target": target},
            "route_pattern": found.route["pattern"],
            "target_type": target["type"],
            **({"target_name": target["name"]} if "name" in target else {"target_file": target["file"]}),
        }
    return facts


async def _file_facts(store: ContentStore, found: Found) -> dict[str, Any]:
    entry = found.entry or {}
    actual = await asyncio.to_thread(store.size, entry["sha256"])
    cas = {"sha256": entry["sha256"], "exists": actual is not None, "expected_size": entry["size"]}
    facts = {
        "asset_path": entry["asset_path"],
        "reachability_authority": entry["authority"],
        "direct": entry["direct"],
        "static_sha256": entry["sha256"],
        "content_type": entry["content_type"],
        "cache_class": entry["cache_class"],
        "cache_policy": cache_control(entry["cache_class"]),
        "cas_object": cas if actual is None else {**cas, "actual_size": actual},
    }
    if actual != entry["size"]:
        reason = "missing_cas_object" if actual is None else "size_mismatch"
        facts |= {"authorized": False, "authorization_result": reason, "result": 409}
    return facts


ROUTES = [Route("/apply/v1/resolve", resolve, methods=["GET"], who=DEPLOYER_OF_WHAT_IT_NAMES)]
