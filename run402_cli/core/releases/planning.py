"""What a spec would do to a project: the engine behind a plan, its fingerprint, and its answers in both dialects."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from run402_cli import advice
from run402_cli.core import expose
from run402_cli.core.content.journal import LIMITS
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.gateway import Gateway
from run402_cli.core.projects.rows import Project
from run402_cli.core.releases import diffs, migrations, plans
from run402_cli.core.releases import inventory as inventories
from run402_cli.core.releases import rows as releases
from run402_cli.core.releases.commit import check_expose, missing_secrets
from run402_cli.core.releases.migration_scripts import Migration, readable
from run402_cli.core.releases.plans import Plan
from run402_cli.core.releases.section_list import SECTIONS
from run402_cli.core.releases.sections import Planned
from run402_cli.core.releases.wire_spec import WireSpec, content_refs
from run402_cli.core.releases.zero_downtime import refuse_downtime
from run402_cli.core.web.instants import iso
from run402_cli.release.canonical import REVIEWED_PLAN, canonical_json, digest
from run402_cli.release.digests import spec_digests
from run402_cli.release.sections import SNAKE
from run402_cli.release.state import materialize, materialized_digest, state_digest

SEMANTICS = "run402.release_planner.v1"
MISSING_SECRET = "MISSING_REQUIRED_SECRET"
EXPECTED_EVENTS = ["commit.phase.detail", "ready"]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A plan with everything that its answer tells besides."""

    plan: Plan
    diff: dict[str, Any]
    pending: list[tuple[Migration, str | None]]
    skipped: list[Migration]
    missing_content: list[dict[str, Any]]
    warnings: list[dict[str, Any]]
    expose_changes: bool
    planned: tuple[Planned, ...] = ()


async def evaluate(
    gateway: Gateway, conn: Connection, project: Project, wire: WireSpec, key: str | None = None
) -> Evaluation:
    """Work out what a spec would do to a project. Writes nothing. ReleaseError or GatewayError when it cannot be."""
    base = await _base(conn, project, wire)
    base_id, base_state = (base.release_id, base.state) if base else (None, None)
    target = await asyncio.to_thread(materialize, base_state, wire.document)
    await releases.check_subdomains(conn, project.project_id, target["subdomains"]["names"])
    known = await migrations.recorded(conn, project.project_id)
    pending = migrations.pending(wire.migrations, known)
    texts = [(m, await asyncio.to_thread(_readable, m, gateway)) for m in pending]
    if (wire.document.get("database") or {}).get("zero_downtime"):
        await asyncio.to_thread(refuse_downtime, texts)
    planned = tuple([await part.plan(gateway, conn, project, wire, target) for part in SECTIONS])
    try:
        for part in SECTIONS:
            await part.refuse(gateway, conn, project, wire, target)
    except GatewayError as exc:
        exc.fields.setdefault("phase", "plan")
        raise
    present, missing_content = await _content(gateway, project, wire, pending, planned)
    diff = await asyncio.to_thread(diffs.compare, base_state, target, present=present)
    warnings = await asyncio.to_thread(diffs.plan_warnings, base_state, target, diff, texts)
    warnings += await _secret_warnings(conn, project, wire)
    warnings += [dict(warning) for part in planned for warning in part.warnings]
    expose_changes = await _expose_changes(conn, project, wire)
    if wire.expose is not None and all(text is not None for _, text in texts):
        found = await check_expose(conn, project, wire.expose, [text or "" for _, text in texts])
        warnings += [_expose_warning(issue) for issue in found]
    digests = await asyncio.to_thread(_Digests.of, wire, target, base)
    plan_id, operation_id = plans.new_ids()
    plan = Plan(
        plan_id=plan_id,
        operation_id=operation_id,
        project_id=project.project_id,
        dialect=wire.dialect,
        spec=wire.document,
        release_spec_digest=digests.request,
        manifest_digest=digests.manifest,
        base_release_id=base_id,
        target_release_id=base_id if digests.same and base_id else f"rel_{digests.target.partition(':')[2][:24]}",
        target_release_digest=digests.target,
        target_release=target,
        noop=digests.same and not pending and not expose_changes and not any(part.changes for part in planned),
        idempotency_key=key,
        plan_fingerprint=None,
        expires_at=None,
        status="planned",
        created_at=plans.now(),
        remembered={key: value for part in planned for key, value in part.remember.items()},
        # The commit refuses a missing secret by itself, and says how to set it.
        warned=[w for w in warnings if w["requires_confirmation"] and w["code"] != MISSING_SECRET],
    )
    skipped = [m for m in wire.migrations if m not in pending]
    return Evaluation(plan, diff, texts, skipped, missing_content, warnings, expose_changes, planned)


def _readable(migration: Migration, gateway: Gateway) -> str | None:
    text = migration.text(gateway.store)
    return None if text is None else readable(text)


@dataclass(frozen=True, slots=True)
class _Digests:
    """Those of a plan. `same`: the target is the release that the plan starts from."""

    request: str
    manifest: str
    target: str
    same: bool

    @classmethod
    def of(cls, wire: WireSpec, target: Mapping[str, Any], base: releases.Release | None) -> _Digests:
        request, manifest = spec_digests(wire.core_document)
        if base is not None and _are_alike(target, base.state):
            return cls(request, manifest, base.digest, True)
        made = materialized_digest(target)
        # The digest of a release that an older gateway made may lack sections that there are by now.
        same = base is not None and (made == base.digest or made == state_digest(base.state))
        return cls(request, manifest, made, same)


def _are_alike(target: Mapping[str, Any], state: Mapping[str, Any]) -> bool:
    """Whether two states are the same without a doubt: what is long has only texts and whole numbers."""
    long = ("site", "static_manifest")
    rest, before = ({key: value for key, value in each.items() if key not in long} for each in (target, state))
    same = all(target[key] == state.get(key) for key in long)
    return same and canonical_json(rest) == canonical_json(before)


async def _base(conn: Connection, project: Project, wire: WireSpec) -> releases.Release | None:
    base_id = project.active_release_id
    if wire.base.get("release") == "empty":
        base_id = None
    elif "release_id" in wire.base:
        base_id = wire.base["release_id"]
    if base_id is None:
        return None
    release = await releases.find(conn, project.project_id, base_id)
    if release is None:
        raise releases.release_not_found(409, project.project_id, base_id)
    return release


async def _content(
    gateway: Gateway, project: Project, wire: WireSpec, pending: list[Migration], planned: tuple[Planned, ...]
) -> tuple[set[str], list[dict[str, Any]]]:
    wanted = dict(content_refs(wire, pending))
    for part in planned:
        wanted |= part.content
    stored = await asyncio.to_thread(gateway.store.sizes, project.project_id, list(wanted))
    present = {sha256 for sha256, size in wanted.items() if stored[sha256] == size}
    listed = [{"sha256": s, "size": wanted[s], "present": s in present} for s in sorted(wanted)]
    return present, listed


async def _secret_warnings(conn: Connection, project: Project, wire: WireSpec) -> list[dict[str, Any]]:
    required = (wire.document.get("secrets") or {}).get("require") or []
    missing = await missing_secrets(conn, project.project_id, required)
    if not missing:
        return []
    return [
        {
            "code": MISSING_SECRET,
            "severity": "high",
            "requires_confirmation": True,
            "message": f"Required secrets that are not set: {', '.join(missing)}. The commit will be refused.",
            "affected": missing,
        }
    ]


async def _expose_changes(conn: Connection, project: Project, wire: WireSpec) -> bool:
    if wire.expose is None:
        return False
    current = await expose.current(conn, project)
    wanted = {"version": "1", **{name: wire.expose.get(name) or [] for name in ("tables", "views", "rpcs")}}
    return current["source"] != "applied" or canonical_json(current["manifest"]) != canonical_json(wanted)


def _expose_warning(issue: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "code": f"EXPOSE_{issue['type'].replace('-', '_').upper()}",
        "severity": "warn",
        "requires_confirmation": False,
        "message": issue["detail"],
        **({"details": {"fix": issue["fix"]}} if "fix" in issue else {}),
    }


def neutral_spec(document: Any) -> Any:
    """A spec without what the two dialects write differently: reviewed in one, it may be applied in the other."""
    if isinstance(document, list):
        return [neutral_spec(item) for item in document]
    if not isinstance(document, dict):
        return document
    if "checksum" in document and "id" in document:
        return {key: document.get(key) for key in ("id", "checksum", "transaction")}
    own = ("project", "project_id", "idempotency_key")
    return {SNAKE.get(key, key): neutral_spec(value) for key, value in document.items() if key not in own}


def fingerprint(evaluation: Evaluation) -> str:
    """What a reviewer agreed to: spec, base, warnings and removals; `run402-reviewed-plan-v1:<hex>`."""
    plan, diff = evaluation.plan, evaluation.diff
    warnings = [{k: w[k] for k in ("code", "severity", "details") if k in w} for w in evaluation.warnings]
    removals = [
        {"kind": "remove", "resource": name, "count": len(diff[name]["removed"])}
        for name in diffs.BUCKETS
        if diff[name]["removed"]
    ]
    return digest(
        REVIEWED_PLAN,
        {
            "release_spec_digest": plan.release_spec_digest,
            "concrete_base_identity": plan.base_release_id or "empty",
            "planner_semantics_version": SEMANTICS,
            "warnings": sorted(warnings, key=canonical_json),
            "destructive_actions": sorted(removals, key=canonical_json),
            "materialized_release_digest": plan.target_release_digest,
        },
    )


def core_answer(evaluation: Evaluation, dry_run: bool) -> dict[str, Any]:
    """The Core dialect's plan, with extras: `missing_content` and `operation_id` let a client skip what is there,
    `content_batches` lets it send the rest together, `diff` and `warnings` say what the Cloud dialect says, so that nothing
    is removed unasked in either.
    """
    plan = evaluation.plan
    return {
        "plan_id": None if dry_run else plan.plan_id,
        "project_id": plan.project_id,
        "release_spec_digest": plan.release_spec_digest,
        "base_release_id": plan.base_release_id,
        "target_release_id": plan.target_release_id,
        "target_release_digest": plan.target_release_digest,
        "storage_effects": {"noop": True, "puts": [], "deletes": [], "sync_prune": None},
        "noop": plan.noop,
        "status": plan.status,
        "created_at": iso(plan.created_at),
        "operation_id": None if dry_run else plan.operation_id,
        "missing_content": evaluation.missing_content,
        "content_batches": LIMITS,
        "warnings": evaluation.warnings,
        "diff": {**_difference(evaluation), "warnings": evaluation.warnings},
        **_unread(evaluation),
        **_added(evaluation),
    }


def _difference(evaluation: Evaluation) -> dict[str, Any]:
    """What a plan changes: is_noop, summary, migrations and the buckets of `diffs.compare`, the same in both dialects."""
    new = [
        {"id": m.id, "checksum_hex": m.checksum, "transaction": "default" if m.transactional else "none"}
        for m, _ in evaluation.pending
    ]
    added = [part.summary for part in evaluation.planned]
    return {
        "is_noop": evaluation.plan.noop,
        "summary": diffs.summary(evaluation.diff, len(new), evaluation.expose_changes, added),
        "migrations": {
            "new": new,
            "noop": [{"id": m.id, "checksum_hex": m.checksum} for m in evaluation.skipped],
        },
        **evaluation.diff,
    }


def _unread(evaluation: Evaluation) -> dict[str, Any]:
    """`unread_migrations`: those whose SQL is not here, so that the warnings say nothing of them. Send it, plan again."""
    unread = [m.id for m, text in evaluation.pending if text is None]
    return {"unread_migrations": unread} if unread else {}


def _added(evaluation: Evaluation) -> dict[str, Any]:
    return {key: value for part in evaluation.planned for key, value in part.answer.items()}


def cloud_answer(evaluation: Evaluation, dry_run: bool) -> dict[str, Any]:
    """The Cloud dialect's plan_response; null ids for a dry run."""
    plan = evaluation.plan
    answer = {
        "kind": "plan_response",
        "schema_version": inventories.SCHEMA_VERSION,
        "plan_id": None if dry_run else plan.plan_id,
        "operation_id": None if dry_run else plan.operation_id,
        "base_release_id": plan.base_release_id,
        "target_release_id": plan.target_release_id,
        "manifest_digest": plan.manifest_digest,
        "expected_events": EXPECTED_EVENTS,
        "missing_content": evaluation.missing_content,
        "content_batches": LIMITS,
        "warnings": evaluation.warnings,
        "payment_required": None,
        **_difference(evaluation),
        "rehearsal": {
            "available": not dry_run,
            "rehearse_url": None if dry_run else f"/apply/v1/plans/{plan.plan_id}/rehearse",
        },
        **_unread(evaluation),
        **_added(evaluation),
    }
    return answer | _review(plan) if plan.plan_fingerprint else answer


def _review(plan: Plan) -> dict[str, Any]:
    reviewed = ("--require-plan", plan.plan_id, "--plan-fingerprint", plan.plan_fingerprint)
    agreed = {"confirms": True} if plan.warned else {}
    return {
        "plan_fingerprint": plan.plan_fingerprint,
        "plan_expires_at": iso(plan.expires_at),
        "planner_semantics_version": SEMANTICS,
        "base_identity": {"release_id": plan.base_release_id},
        "next_actions": [
            advice.run(
                *("deploy", "apply", "--manifest", advice.Blank("file"), *reviewed),
                why="apply exactly this plan",
                **agreed,
            )
        ],
    }
