"""Functions as a section of a release: planned, built before the switch, switched with everything else."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from run402_cli.core.db import Connection
from run402_cli.core.functions import bundle_rows, schedules
from run402_cli.core.functions.build import LIBRARY_VERSION, entry_of, invalid_bundle
from run402_cli.core.functions.bundle_rows import Bundle
from run402_cli.core.functions.functions_request import (
    check_functions,
    check_release_functions,
    code_content,
    code_of,
    given_functions,
)
from run402_cli.core.functions.secrets import copy_secrets
from run402_cli.core.gateway import Gateway
from run402_cli.core.projects import rows as projects
from run402_cli.core.projects.rows import Project
from run402_cli.core.releases.sections import Planned, Section
from run402_cli.core.releases.wire_spec import WireSpec
from run402_cli.release.state import state_digest


class FunctionsSection(Section):
    """The effects of `functions` (and of everything that carries them on). docs/local-gateway-functions.md"""

    name = "functions"

    def check(self, value: Any) -> None:
        if value is not None:
            check_functions(value)

    async def plan(
        self, gateway: Gateway, conn: Connection, project: Project, wire: WireSpec, target: Mapping[str, Any]
    ) -> Planned:
        check_release_functions(target["functions"])
        before = await bundle_rows.load(conn, project.project_id, project.active_release_id)
        bundles = wanted(before, wire, target)
        given = given_functions(wire.document.get("functions"))
        content: dict[str, int] = {}
        for name in given:
            content |= code_content(bundles[name].code)
        changes = {n: b.code for n, b in before.items()} != {n: b.code for n, b in bundles.items()}
        effects = _effects(bundles, target, noop=not changes) if bundles else None
        return Planned(
            changes=changes,
            content=content,
            answer={"function_effects": effects} if effects and wire.dialect == "core" else {},
        )

    async def refuse(
        self, gateway: Gateway, conn: Connection, project: Project, wire: WireSpec, target: Mapping[str, Any]
    ) -> None:
        before = await bundle_rows.load(conn, project.project_id, project.active_release_id)
        given = given_functions(wire.document.get("functions"))
        for name, bundle in wanted(before, wire, target).items():
            if name not in given:
                continue
            entry_of(bundle)
            if await _is_here(gateway, project, bundle):
                await gateway.functions.builder.check(bundle)

    async def stage(
        self, gateway: Gateway, conn: Connection, project: Project, wire: WireSpec, target: Mapping[str, Any]
    ) -> None:
        before = await bundle_rows.load(conn, project.project_id, project.active_release_id)
        bundles = wanted(before, wire, target)
        for name, bundle in bundles.items():
            # What is carried on was built when it was deployed.
            if name in given_functions(wire.document.get("functions")):
                bundles[name] = (await gateway.functions.builder.build(bundle))[0]
                gateway.functions.staged[project.project_id, name] = bundles[name]
        if wire.document.get("checks"):
            # The checks call the functions of this release before it is the active one.
            release_id = f"rel_{state_digest(target).partition(':')[2][:24]}"
            async with conn.transaction():
                await bundle_rows.save(conn, project.project_id, release_id, bundles)

    async def activate(
        self, gateway: Gateway, conn: Connection, project: Project, wire: WireSpec, target: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        before = await bundle_rows.load(conn, project.project_id, project.active_release_id)
        bundles = wanted(before, wire, target)
        for name, bundle in bundles.items():
            built = gateway.functions.staged.pop((project.project_id, name), None)
            if built is not None and built.code == bundle.code:
                bundles[name] = built
        active = await projects.find(conn, project.project_id)
        assert active is not None
        assert active.active_release_id is not None
        await bundle_rows.save(conn, project.project_id, active.active_release_id, bundles)
        return {}

    async def switched(self, gateway: Gateway, conn: Connection, project_id: str, state: Mapping[str, Any]) -> None:
        await adopt(conn, project_id, state)
        gateway.functions.forget(project_id)
        await schedules.replace(conn, project_id, state)

    async def branched(self, gateway: Gateway, conn: Connection, project_id: str, branch_id: str) -> None:
        await bundle_rows.copy(conn, project_id, branch_id)
        await copy_secrets(gateway, conn, project_id, branch_id)


SECTION = FunctionsSection()


async def _is_here(gateway: Gateway, project: Project, bundle: Bundle) -> bool:
    """Whether the project has uploaded everything of a function. Before the first plan it has not."""
    content = code_content(bundle.code)
    stored = await asyncio.to_thread(gateway.store.sizes, project.project_id, list(content))
    return all(stored[sha256] == size for sha256, size in content.items())


async def adopt(conn: Connection, project_id: str, state: Mapping[str, Any]) -> None:
    """Give the active release its rows when it came without them: a branch's release is its parent's, a little changed."""
    project = await projects.find(conn, project_id)
    release_id = project.active_release_id if project else None
    here = await bundle_rows.load(conn, project_id, release_id)
    missing = [entry for entry in state["functions"] if entry["name"] not in here]
    if release_id is None or not missing:
        return
    for entry in missing:
        found = await bundle_rows.load_by_code(conn, project_id, entry["name"], entry["code_hash"])
        if found is not None:
            here[entry["name"]] = replace(found, entry=entry)
    await bundle_rows.save(conn, project_id, release_id, here)


def wanted(before: Mapping[str, Bundle], wire: WireSpec, target: Mapping[str, Any]) -> dict[str, Bundle]:
    """The bundles of the target release: what the spec brings, and what is carried on from the release before."""
    given = given_functions(wire.document.get("functions"))
    bundles = {}
    for entry in target["functions"]:
        name = entry["name"]
        previous = before.get(name)
        code: Mapping[str, Any] | None = code_of(given[name]) if name in given else None
        if code is None:
            if previous is None:
                raise invalid_bundle(name, "missing_source_ref", "it has no `source` and no earlier deploy has one")
            code = previous.code
        same = previous is not None and previous.code == code and previous.entry == entry
        if previous is not None and same:
            bundles[name] = previous
            continue
        keeps_lock = previous is not None and previous.code == code and previous.entry["deps"] == entry["deps"]
        bundles[name] = Bundle(
            name=name,
            entry=entry,
            code=code,
            lock=previous.lock if previous and keeps_lock else None,
            runtime_version=LIBRARY_VERSION,
            created_at=previous.created_at if previous else None,
        )
    return bundles


def _effects(bundles: Mapping[str, Bundle], target: Mapping[str, Any], *, noop: bool) -> dict[str, Any]:
    secrets = target["secrets"]["keys"]
    return {
        "bundles": [_bundle_view(bundle, secrets) for bundle in bundles.values()],
        "dynamic_routes": [
            {**{key: route[key] for key in ("pattern", "kind", "prefix", "methods")}, "function_name": name}
            for route in target["routes"]["entries"]
            if (name := route["target"].get("name")) is not None
        ],
        "astro_ssr_fallback": None,
        "required_secrets": secrets,
        "dependency_mode": "npm_at_deploy",
        "noop": noop,
    }


def _bundle_view(bundle: Bundle, secrets: list[str]) -> dict[str, Any]:
    entry = bundle.entry
    return {
        "name": bundle.name,
        "runtime": entry["runtime"],
        "entrypoint": bundle.code["entrypoint"] or "default",
        "source": bundle.code["source"],
        "bundle_sha256": entry["code_hash"],
        "bundle_size_bytes": sum(code_content(bundle.code).values()),
        "dependency_mode": "npm_at_deploy" if entry["deps"] else "prebundled_no_external_deps",
        "dependency_lock_digest": None,
        "deps": list(entry["deps"]),
        "required_secrets": secrets,
        "timeout_ms": entry["timeout_seconds"] * 1000,
        "memory_bytes": entry["memory_mb"] * 1024**2,
        "require_auth": entry["require_auth"],
        "require_role": entry["require_role"],
        "schedule": entry["schedule"],
        "schedule_meta": None,
        "triggers": list(entry.get("triggers") or ()),
        "class": entry.get("class", "standard"),
        "capabilities": list(entry.get("capabilities") or ()),
    }
