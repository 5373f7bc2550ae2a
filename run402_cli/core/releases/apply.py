"""Plan, commit and resume: the write side of apply v1, in both dialects."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from run402_cli.core.callers.auth import project_by_id
from run402_cli.core.callers.policies import DEPLOYER_OF_WHAT_IT_NAMES, OWNER_OF_WHAT_IT_NAMES
from run402_cli.core.ci import sessions as ci_sessions
from run402_cli.core.content.store import SHA256
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.gateway import Gateway, gateway_of
from run402_cli.core.projects.rows import Project
from run402_cli.core.releases import operation_rows as operations
from run402_cli.core.releases import plans
from run402_cli.core.releases import rows as releases
from run402_cli.core.releases.commit import commit
from run402_cli.core.releases.operations import visible
from run402_cli.core.releases.planning import Evaluation, cloud_answer, core_answer, evaluate, fingerprint, neutral_spec
from run402_cli.core.releases.plans import Plan
from run402_cli.core.releases.promote import promote
from run402_cli.core.releases.release_request import read_spec, release_failure
from run402_cli.core.web.body_limit import DEPLOY
from run402_cli.core.web.http import public_base, read_object, reply
from run402_cli.core.web.instants import iso
from run402_cli.core.web.routing import Route
from run402_cli.release.errors import ReleaseError

MAX_SPEC_BYTES = 64 * 1024**2
_NUL_ESCAPE = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


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
        wire = await asyncio.to_thread(read_spec, document)
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
    await asyncio.to_thread(_check_text, document)
    return document


def _check_text(document: dict[str, Any]) -> None:
    try:
        text = json.dumps(document, ensure_ascii=False)
        text.encode()
    except (UnicodeEncodeError, RecursionError) as exc:
        raise _invalid("The spec contains text that is not valid Unicode, or is nested too deeply.", "spec") from exc
    if "\\u0000" in text and _NUL_ESCAPE.search(text):
        raise _invalid("The spec contains a NUL character (\\u0000). Remove it.", "spec")


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


async def _settled(
    gateway: Gateway, conn: Connection, project: Project, evaluation: Evaluation, body: Mapping[str, Any]
) -> Evaluation:
    """The evaluation as stored: as a new plan, as the reviewed plan it must equal, or as the plan of an earlier try."""
    plan = evaluation.plan
    if body.get("required_plan") is not None:
        # Before the refusals: who is sent back to review again gets a plan that could read the SQL.
        await _stage_inline_sql(gateway, evaluation.plan)
        required = await _required(conn, project, evaluation, body["required_plan"])
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
            await plans.tell(conn, earlier.plan_id, plan.warned)
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
        raise plans.stale("plan_mismatch", f"The manifest is not the one that {plan.plan_id} was made from.", plan)
    if plan.status == "planned" and plan.base_release_id != project.active_release_id:
        raise plans.stale("plan_stale", f"Another release was activated after {plan.plan_id} was made.", plan)
    if plan.status == "planned":
        plans.refuse_untold(plan, evaluation.plan.warned, "plan")
    return plan


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
        raise plans.stale(
            "plan_fingerprint_mismatch", f"{plan.plan_id} does not have the required id and fingerprint.", plan
        )
    if plan.expires_at is not None and plan.expires_at < plans.now() and plan.status == "planned":
        raise plans.stale("plan_expired", f"The review of {plan.plan_id} ended at {iso(plan.expires_at)}.", plan)


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
        project = await project_by_id(conn, plan.project_id)
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
                "endpoints": releases.endpoints(gateway.settings.public_url, project),
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
            phase="commit",
        )


async def resume(request: Request) -> Response:
    """POST /apply/v1/operations/{operation_id}/resume: carry an interrupted or failed operation on. 200 snapshot.

    Migrations that are recorded as applied do not run again. 404 operation_not_found, 409 NOT_RESUMABLE, and
    whatever a commit answers. docs/local-gateway.md
    """
    gateway = gateway_of(request)
    async with gateway.connection() as conn:
        operation, project = await visible(conn, request)
        # The plan of a finished operation may be gone: nothing of it is needed any more.
        over = operation.plan_id is None or operation.status == "ready"
        plan = None if over else await plans.fetch(conn, operation.plan_id or "")
    if operation.status == "planning":
        raise GatewayError(
            409,
            "not_resumable",
            f"{operation.operation_id} was planned and never committed. Run `run402 deploy apply` again.",
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
    Route("/apply/v1/plans", create_plan, methods=["POST"], who=DEPLOYER_OF_WHAT_IT_NAMES, body=DEPLOY),
    Route(
        "/apply/v1/plans/{plan_id}/commit", commit_plan, methods=["POST"], who=DEPLOYER_OF_WHAT_IT_NAMES, body=DEPLOY
    ),
    Route(
        "/apply/v1/operations/{operation_id}/resume", resume, methods=["POST"], who=OWNER_OF_WHAT_IT_NAMES, body=DEPLOY
    ),
    Route(
        "/apply/v1/releases/{release_id}/promote", promote, methods=["POST"], who=OWNER_OF_WHAT_IT_NAMES, body=DEPLOY
    ),
]
