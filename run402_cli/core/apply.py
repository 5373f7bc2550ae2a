"""Plan, commit and resume: the write side of apply v1, in both dialects."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from run402_cli import advice
from run402_cli.core import diffs, expose, migrations, operations, plans, releases
from run402_cli.core.auth import project_by_id
from run402_cli.core.ci import sessions as ci_sessions
from run402_cli.core.commit import check_expose, commit, missing_secrets
from run402_cli.core.content import public_base
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.gateway import Gateway, gateway_of
from run402_cli.core.http import iso, read_object, reply
from run402_cli.core.migrations import Migration
from run402_cli.core.plans import Plan
from run402_cli.core.projects import Project
from run402_cli.core.promote import promote
from run402_cli.core.sections import Planned, sections
from run402_cli.core.store import SHA256
from run402_cli.core.wire_spec import WireSpec, content_refs, read_spec, release_failure
from run402_cli.core.zero_downtime import refuse_downtime
from run402_cli.release.canonical import (
    REVIEWED_PLAN,
    apply_request_digest,
    canonical_json,
    digest,
    portable_manifest_digest,
)
from run402_cli.release.errors import ReleaseError
from run402_cli.release.state import materialize, state_digest

DDL = plans.DDL
SEMANTICS = "run402.release_planner.v1"
MAX_SPEC_BYTES = 64 * 1024**2
_NUL_ESCAPE = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
_SNAKE = {
    "contentType": "content_type",
    "timeoutSeconds": "timeout_seconds",
    "memoryMb": "memory_mb",
    "requireAuth": "require_auth",
    "requireRole": "require_role",
    "idColumn": "id_column",
    "roleColumn": "role_column",
    "cacheTtl": "cache_ttl",
    "onDeny": "on_deny",
    "signInPath": "sign_in_path",
    "defaultLocale": "default_locale",
    "unknownLocalePolicy": "unknown_locale_policy",
}
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


async def create_plan(request: Request) -> Response:
    """POST /apply/v1/plans[?dry_run=true] {spec, idempotency_key?, mode?, required_plan?, manifest_ref?}.

    `spec.project` (Core dialect) answers 201 with digests, `spec.project_id` (Cloud dialect) 200 with a plan_response.
    400 invalid_release_spec, 404 project_not_found, 409 release_not_found or MIGRATION_CHECKSUM_MISMATCH, 422
    unsupported_capability. docs/local-gateway.md
    """
    gateway = gateway_of(request)
    body = await read_object(request)
    dry_run = request.query_params.get("dry_run") == "true"
    document = await _document(gateway, body)
    dialect = "core" if "project" in document else "cloud"
    try:
        wire = read_spec(document)
        async with gateway.connection() as conn:
            project = await project_by_id(conn, wire.project_id)
            key = None if dry_run else _idempotency_key(body, document)
            evaluation = await evaluate(gateway, conn, project, wire, key)
            await ci_sessions.permit(conn, request, evaluation.plan)
            if not dry_run:
                evaluation = await _settled(gateway, conn, project, evaluation, body)
    except ReleaseError as exc:
        raise release_failure(exc, "core" if dialect == "core" else "cloud") from exc
    if wire.dialect == "core":
        return reply(core_answer(evaluation, dry_run), 201)
    return reply(cloud_answer(evaluation, dry_run))


async def _document(gateway: Gateway, body: dict[str, Any]) -> dict[str, Any]:
    """The spec of a plan request: inline, bare, or stored as content when it is too big to send inline."""
    document = body.get("spec", body)
    ref = body.get("manifest_ref")
    if ref is not None:
        document = await _stored_spec(gateway, document, ref)
    if not isinstance(document, dict):
        raise _invalid("`spec` must be an object.", "spec")
    try:
        text = json.dumps(document, ensure_ascii=False)
        text.encode()
    except (UnicodeEncodeError, RecursionError) as exc:
        raise _invalid("The spec contains text that is not valid Unicode, or is nested too deeply.", "spec") from exc
    if _NUL_ESCAPE.search(text):
        raise _invalid("The spec contains a NUL character (\\u0000). Remove it.", "spec")
    return document


async def _stored_spec(gateway: Gateway, outer: Any, ref: Any) -> dict[str, Any]:
    project_id = outer.get("project_id") if isinstance(outer, dict) else None
    sha256 = ref.get("sha256") if isinstance(ref, dict) else None
    if not isinstance(project_id, str) or not isinstance(sha256, str) or not SHA256.fullmatch(sha256):
        raise _invalid("manifest_ref needs a sha256, and spec the project_id that it was uploaded for.", "manifest_ref")
    async with gateway.connection() as conn:
        await project_by_id(conn, project_id)
    size = await asyncio.to_thread(gateway.store.project_size, project_id, sha256)
    if size is None:
        raise GatewayError(
            409,
            "content_digest_missing",
            f"The manifest {sha256} is not uploaded. Send it through POST /content/v1/plans, then plan again.",
            code="CONTENT_DIGEST_MISSING",
            phase="plan",
            resource="manifest_ref",
            retryable=True,
        )
    if size > MAX_SPEC_BYTES:
        raise _invalid(f"The manifest has {size} bytes; the limit is {MAX_SPEC_BYTES}.", "manifest_ref")
    try:
        document = json.loads(await asyncio.to_thread(gateway.store.read, sha256))
    except (ValueError, RecursionError) as exc:
        raise _invalid(f"The uploaded manifest is not JSON: {exc}.", "manifest_ref") from exc
    if not isinstance(document, dict) or document.get("project_id") != project_id:
        raise _invalid("The uploaded manifest names another project than the request.", "manifest_ref")
    return document


def _idempotency_key(body: Mapping[str, Any], document: Mapping[str, Any]) -> str | None:
    key = body.get("idempotency_key", document.get("idempotency_key"))
    if key is not None and (not isinstance(key, str) or not 0 < len(key) <= 512):
        raise _invalid("idempotency_key must be a string of 1 to 512 characters.", "idempotency_key")
    return key


async def evaluate(
    gateway: Gateway, conn: Connection, project: Project, wire: WireSpec, key: str | None = None
) -> Evaluation:
    """Work out what a spec would do to a project. Writes nothing. ReleaseError or GatewayError when it cannot be."""
    base_id, base_state = await _base(conn, project, wire)
    target = await asyncio.to_thread(materialize, base_state, wire.document)
    await releases.check_subdomains(conn, project.project_id, target["subdomains"]["names"])
    known = await migrations.recorded(conn, project.project_id)
    pending = migrations.pending(wire.migrations, known)
    texts = [(m, await asyncio.to_thread(m.text, gateway.store)) for m in pending]
    if (wire.document.get("database") or {}).get("zero_downtime"):
        refuse_downtime(texts)
    planned = tuple([await part.plan(gateway, conn, project, wire, target) for part in sections()])
    try:
        for part in sections():
            await part.refuse(gateway, conn, project, wire, target)
    except GatewayError as exc:
        exc.fields.setdefault("phase", "plan")
        raise
    present, missing_content = await _content(gateway, project, wire, pending, planned)
    diff = diffs.compare(base_state, target, present=present)
    warnings = diffs.plan_warnings(base_state, target, diff, texts)
    warnings += await _secret_warnings(conn, project, wire)
    warnings += [dict(warning) for part in planned for warning in part.warnings]
    expose_changes = await _expose_changes(conn, project, wire)
    if wire.expose is not None and all(text is not None for _, text in texts):
        found = await check_expose(conn, project, wire.expose, [text or "" for _, text in texts])
        warnings += [_expose_warning(issue) for issue in found]
    target_digest = state_digest(target)
    same = base_state is not None and target_digest == state_digest(base_state)
    plan_id, operation_id = plans.new_ids()
    plan = Plan(
        plan_id=plan_id,
        operation_id=operation_id,
        project_id=project.project_id,
        dialect=wire.dialect,
        spec=wire.document,
        release_spec_digest=apply_request_digest(wire.core_document),
        manifest_digest=portable_manifest_digest(wire.document),
        base_release_id=base_id,
        target_release_id=base_id if same and base_id else f"rel_{target_digest.partition(':')[2][:24]}",
        target_release_digest=target_digest,
        target_release=target,
        noop=same and not pending and not expose_changes and not any(part.changes for part in planned),
        idempotency_key=key,
        plan_fingerprint=None,
        expires_at=None,
        status="planned",
        created_at=plans.now(),
        remembered={key: value for part in planned for key, value in part.remember.items()},
    )
    skipped = [m for m in wire.migrations if m not in pending]
    return Evaluation(plan, diff, texts, skipped, missing_content, warnings, expose_changes, planned)


async def _base(conn: Connection, project: Project, wire: WireSpec) -> tuple[str | None, dict[str, Any] | None]:
    base_id = project.active_release_id
    if wire.base.get("release") == "empty":
        base_id = None
    elif "release_id" in wire.base:
        base_id = wire.base["release_id"]
    if base_id is None:
        return None, None
    release = await releases.find(conn, project.project_id, base_id)
    if release is None:
        raise releases.release_not_found(409, project.project_id, base_id)
    return base_id, release.state


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
            "code": "MISSING_REQUIRED_SECRET",
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


async def _settled(
    gateway: Gateway, conn: Connection, project: Project, evaluation: Evaluation, body: Mapping[str, Any]
) -> Evaluation:
    """The evaluation as stored: as a new plan, as the reviewed plan it must equal, or as the plan of an earlier try."""
    plan = evaluation.plan
    if body.get("required_plan") is not None:
        required = await _required(conn, project, evaluation, body["required_plan"])
        await _stage_inline_sql(gateway, evaluation.plan)
        return replace(evaluation, plan=required)
    if plan.idempotency_key is not None:
        earlier = await plans.repeated(
            conn,
            plan.project_id,
            plan.idempotency_key,
            plan.release_spec_digest,
            plan.base_release_id,
            project.active_release_id,
        )
        if earlier is not None:
            return replace(evaluation, plan=earlier)
    if body.get("mode") == "reviewed_plan":
        plan = replace(plan, plan_fingerprint=fingerprint(evaluation), expires_at=plans.now() + plans.REVIEW_LIFETIME)
    await plans.insert(conn, plan)
    return replace(evaluation, plan=plan)


async def _required(conn: Connection, project: Project, evaluation: Evaluation, required: Any) -> Plan:
    if not isinstance(required, dict) or not isinstance(required.get("plan_id"), str):
        raise _invalid("required_plan must be {plan_id, plan_fingerprint?}.", "required_plan")
    plan = await plans.fetch(conn, required["plan_id"])
    check_required(plan, required)
    same = neutral_spec(plan.spec) == neutral_spec(evaluation.plan.spec)
    if plan.project_id != project.project_id or not same:
        raise _stale("PLAN_MISMATCH", f"The manifest is not the one that {plan.plan_id} was made from.", plan)
    if plan.status == "planned" and plan.base_release_id != project.active_release_id:
        raise _stale("PLAN_STALE", f"Another release was activated after {plan.plan_id} was made.", plan)
    return plan


def neutral_spec(document: Any) -> Any:
    """A spec without what the two dialects write differently: reviewed in one, it may be applied in the other."""
    if isinstance(document, list):
        return [neutral_spec(item) for item in document]
    if not isinstance(document, dict):
        return document
    if "checksum" in document and "id" in document:
        return {key: document.get(key) for key in ("id", "checksum", "transaction")}
    own = ("project", "project_id", "idempotency_key")
    return {_SNAKE.get(key, key): neutral_spec(value) for key, value in document.items() if key not in own}


async def _stage_inline_sql(gateway: Gateway, plan: Plan) -> None:
    # The reviewed plan may refer to SQL by digest that came inline with this request, and will not be uploaded.
    for migration in plan.wire.migrations:
        if migration.sql is not None:
            verified = migration.text(gateway.store) or ""
            await asyncio.to_thread(gateway.store.put, plan.project_id, migration.checksum, verified.encode())


def check_required(plan: Plan, required: Mapping[str, Any]) -> None:
    """409 when a reviewed plan is not the one that was reviewed, or when the review is too old."""
    wanted = required.get("plan_fingerprint")
    if required.get("plan_id") != plan.plan_id or (wanted is not None and wanted != plan.plan_fingerprint):
        raise _stale(
            "PLAN_FINGERPRINT_MISMATCH", f"{plan.plan_id} does not have the required id and fingerprint.", plan
        )
    if plan.expires_at is not None and plan.expires_at < plans.now() and plan.status == "planned":
        raise _stale("PLAN_EXPIRED", f"The review of {plan.plan_id} ended at {iso(plan.expires_at)}.", plan)


def _stale(code: str, problem: str, plan: Plan) -> GatewayError:
    return GatewayError(
        409,
        code.lower(),
        f"{problem} Review again: `run402 deploy apply --plan`, then --require-plan with the new id.",
        code=code,
        phase="plan",
        resource="required_plan",
        plan_id=plan.plan_id,
        retryable=False,
        safe_to_retry=False,
    )


def fingerprint(evaluation: Evaluation) -> str:
    """What a reviewer agreed to: spec, base, warnings and removals; `run402-reviewed-plan-v1:<hex>`."""
    plan, diff = evaluation.plan, evaluation.diff
    warnings = [{k: w[k] for k in ("code", "severity", "details") if k in w} for w in evaluation.warnings]
    removals = [
        {"kind": "remove", "resource": name, "count": len(diff[name]["removed"])}
        for name in ("site", "functions", "secrets", "subdomains", "routes")
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
    """The Core dialect's plan, with three extras: `missing_content` and `operation_id` let a client skip what is there,
    `diff` and `warnings` say what the Cloud dialect says, so that nothing is removed unasked in either.
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
        "warnings": evaluation.warnings,
        "diff": {**_difference(evaluation), "warnings": evaluation.warnings},
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


def _added(evaluation: Evaluation) -> dict[str, Any]:
    return {key: value for part in evaluation.planned for key, value in part.answer.items()}


def cloud_answer(evaluation: Evaluation, dry_run: bool) -> dict[str, Any]:
    """The Cloud dialect's plan_response; null ids for a dry run."""
    plan = evaluation.plan
    answer = {
        "kind": "plan_response",
        "schema_version": releases.SCHEMA_VERSION,
        "plan_id": None if dry_run else plan.plan_id,
        "operation_id": None if dry_run else plan.operation_id,
        "base_release_id": plan.base_release_id,
        "target_release_id": plan.target_release_id,
        "manifest_digest": plan.manifest_digest,
        "expected_events": EXPECTED_EVENTS,
        "missing_content": evaluation.missing_content,
        "warnings": evaluation.warnings,
        "payment_required": None,
        **_difference(evaluation),
        "rehearsal": {
            "available": not dry_run,
            "rehearse_url": None if dry_run else f"/apply/v1/plans/{plan.plan_id}/rehearse",
        },
        **_added(evaluation),
    }
    return answer | _review(plan) if plan.plan_fingerprint else answer


def _review(plan: Plan) -> dict[str, Any]:
    command = advice.command(
        "deploy", "apply", "--require-plan", plan.plan_id, "--plan-fingerprint", plan.plan_fingerprint
    )
    return {
        "plan_fingerprint": plan.plan_fingerprint,
        "plan_expires_at": iso(plan.expires_at),
        "planner_semantics_version": SEMANTICS,
        "base_identity": {"release_id": plan.base_release_id},
        "next_actions": [advice.entry("run_command", command, why="apply exactly this plan")],
    }


async def commit_plan(request: Request) -> Response:
    """POST /apply/v1/plans/{plan_id}/commit {release_spec_digest?, idempotency_key?, required_plan?}.

    Runs to the end before it answers. Core: 200 {plan_id, project_id, release_id, release_digest, status}. Cloud: 200
    {operation_id, status: ready, release_id, urls, ...}. 400 MIGRATION_FAILED or invalid_expose_manifest, 404
    plan_not_found, 409 BASE_RELEASE_CONFLICT (safe to retry) or content_digest_missing, 422 missing_required_secret.
    docs/local-gateway.md
    """
    gateway = gateway_of(request)
    body = await read_object(request)
    async with gateway.connection() as conn:
        plan = await plans.fetch(conn, request.path_params["plan_id"])
        await ci_sessions.permit(conn, request, plan)
    _check_commit(plan, body)
    added = await commit(gateway, plan)
    if plan.dialect == "core":
        return reply(
            {
                "plan_id": plan.plan_id,
                "project_id": plan.project_id,
                "release_id": plan.target_release_id,
                "release_digest": plan.target_release_digest,
                "status": "noop" if plan.noop else "committed",
                "operation_id": plan.operation_id,
                **added,
            }
        )
    async with gateway.connection() as conn:
        project = await project_by_id(conn, plan.project_id)
        urls = await releases.release_urls(conn, project, plan.target_release_id, public_base(request))
        bindings = await releases.bindings(conn, plan.project_id)
    return reply(
        {
            "operation_id": plan.operation_id,
            "status": "ready",
            "release_id": plan.target_release_id,
            "urls": urls,
            "edge": {"state": "not_applicable", "expected_max_lag_seconds": None, "pointer_updates": {}},
            "subdomain_bindings": bindings,
            **added,
        }
    )


def _check_commit(plan: Plan, body: Mapping[str, Any]) -> None:
    given = body.get("release_spec_digest")
    if given is not None and given != plan.release_spec_digest:
        raise GatewayError(
            409,
            "release_spec_digest_mismatch",
            f"{plan.plan_id} was made from {plan.release_spec_digest}, the commit expects {given}. Plan again.",
            code="RELEASE_SPEC_DIGEST_MISMATCH",
            phase="commit",
        )
    required = body.get("required_plan")
    if required is not None:
        if not isinstance(required, dict):
            raise _invalid("required_plan must be {plan_id, plan_fingerprint?}.", "required_plan")
        check_required(plan, required)
    key = body.get("idempotency_key")
    if key is not None and plan.idempotency_key is not None and key != plan.idempotency_key:
        raise GatewayError(
            409,
            "idempotency_key_mismatch",
            f"{plan.plan_id} was made with another idempotency_key. Commit with the key of the plan, or plan again.",
            code="IDEMPOTENCY_KEY_MISMATCH",
            phase="commit",
        )


async def resume(request: Request) -> Response:
    """POST /apply/v1/operations/{operation_id}/resume: carry an interrupted or failed operation on. 200 snapshot.

    Migrations that are recorded as applied do not run again. 404 operation_not_found, 409 NOT_RESUMABLE, and
    whatever a commit answers. docs/local-gateway.md
    """
    gateway = gateway_of(request)
    async with gateway.connection() as conn:
        operation, project = await operations.visible(conn, request)
        # The plan of a finished operation may be gone: nothing of it is needed any more.
        over = operation.plan_id is None or operation.status == "ready"
        plan = None if over else await plans.fetch(conn, operation.plan_id or "")
    if operation.status == "planning":
        raise GatewayError(
            409,
            "not_resumable",
            f"{operation.operation_id} was planned and never committed. Run `run402 deploy apply` again.",
            code="NOT_RESUMABLE",
            phase="resume",
            operation_id=operation.operation_id,
            retryable=False,
        )
    if plan is not None:
        await commit(gateway, plan)
    async with gateway.connection() as conn:
        operation = await operations.fetch(conn, operation.operation_id)
        urls = await releases.release_urls(conn, project, operation.release_id, public_base(request))
    return reply(operation.snapshot(urls))


def _invalid(message: str, resource: str) -> GatewayError:
    return GatewayError(400, "invalid_request", message, code="INVALID_SPEC", phase="plan", resource=resource)


ROUTES = [
    Route("/apply/v1/plans", create_plan, methods=["POST"]),
    Route("/apply/v1/plans/{plan_id}/commit", commit_plan, methods=["POST"]),
    Route("/apply/v1/operations/{operation_id}/resume", resume, methods=["POST"]),
    Route("/apply/v1/releases/{release_id}/promote", promote, methods=["POST"]),
]
