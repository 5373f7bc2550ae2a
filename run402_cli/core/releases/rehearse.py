"""Rehearsal: a stored plan carried out on a branch of its project, and what came of it. See docs/local-gateway.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from starlette.requests import Request
from starlette.responses import Response

from run402_cli import advice
from run402_cli.core.callers.auth import project_by_id
from run402_cli.core.callers.policies import OWNER_OF_WHAT_IT_NAMES
from run402_cli.core.copies import branches
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError, run_command
from run402_cli.core.gateway import Gateway, gateway_of
from run402_cli.core.projects.locks import project_lock
from run402_cli.core.projects.rows import Project
from run402_cli.core.releases import migrations, plans
from run402_cli.core.releases import operation_rows as operations
from run402_cli.core.releases import rows as releases
from run402_cli.core.releases.checks import run_checks
from run402_cli.core.releases.commit import commit
from run402_cli.core.releases.planning import evaluate
from run402_cli.core.releases.plans import Plan
from run402_cli.core.releases.release_request import release_failure
from run402_cli.core.releases.section_checks import Check
from run402_cli.core.releases.wire_spec import WireSpec
from run402_cli.core.sites.lookup import Site, live_sites
from run402_cli.core.web.body_limit import DEPLOY
from run402_cli.core.web.http import public_base, read_object, reply
from run402_cli.core.web.instants import iso
from run402_cli.core.web.routing import Route
from run402_cli.release.errors import ReleaseError

TEARDOWN = ("keep", "on_pass", "always")
# A branch that is kept for a look is not kept for long.
KEPT_FOR = timedelta(days=1)
STATIC_CHECKS = 20


@dataclass(slots=True)
class _Run:
    """A rehearsal in progress: what its report will say."""

    plan: Plan
    branch: Project
    branch_plan: Plan | None = None
    error: dict[str, Any] | None = None
    migrations: list[dict[str, Any]] = field(default_factory=list)
    checks: list[dict[str, Any]] = field(default_factory=list)

    @property
    def status(self) -> Literal["passed", "failed"]:
        good = self.error is None and all(check["status"] == "passed" for check in self.checks)
        return "passed" if good else "failed"


async def rehearse(request: Request) -> Response:
    """POST /apply/v1/plans/{plan_id}/rehearse {teardown?: keep|on_pass|always}: {operation_id, status, poll_url, report}.

    Runs migrations, expose, site and checks on a branch with the project's data; the project and the plan stay as they
    are. on_pass (the default) keeps the branch of a failed rehearsal for a day. 404 plan_not_found, 409
    BASE_RELEASE_CONFLICT. docs/local-gateway.md
    """
    gateway = gateway_of(request)
    body = await read_object(request)
    policy = body.get("teardown", "on_pass")
    if policy not in TEARDOWN:
        raise GatewayError(400, "invalid_request", f"`teardown` must be one of {', '.join(TEARDOWN)}.")
    started = datetime.now(UTC)
    async with gateway.connection() as conn:
        plan = await plans.fetch(conn, request.path_params["plan_id"])
        await project_by_id(conn, plan.project_id)
        await branches.purge_expired(gateway, conn, plan.project_id)
    branch = await _branch(gateway, plan)
    try:
        run = await _carry_out(gateway, plan, branch)
    except BaseException:
        # Not a finding about the plan but a fault of ours: nobody will look at this branch.
        await branches.remove(gateway, branch.project_id)
        raise
    kept = policy == "keep" or (policy == "on_pass" and run.status == "failed")
    if not kept:
        await branches.remove(gateway, branch.project_id)
    report = _report(run, policy, kept=kept, started=started, base=public_base(request))
    async with gateway.connection() as conn:
        operation_id = await operations.record(
            conn, "rehearsal", plan.project_id, f"Rehearsal of {plan.plan_id} {run.status}", report=report
        )
    return reply(
        {
            "operation_id": operation_id,
            "status": "ready",
            "poll_url": f"/apply/v1/operations/{operation_id}",
            "report": {**report, "operation_id": operation_id},
        }
    )


async def _branch(gateway: Gateway, plan: Plan) -> Project:
    async with project_lock(gateway, plan.project_id) as conn:
        project = await project_by_id(conn, plan.project_id)
        if project.active_release_id != plan.base_release_id:
            raise GatewayError(
                409,
                "stale_plan",
                f"{plan.plan_id} starts from {plan.base_release_id or 'an empty project'}, and "
                f"{project.active_release_id or 'nothing'} is active now: committed or overtaken. Plan again.",
                code="BASE_RELEASE_CONFLICT",
                phase="rehearse",
                plan_id=plan.plan_id,
                retryable=False,
                next_actions=[run_command("deploy", "apply", "--rehearse")],
            )
        wish = branches.Wish(name=f"rehearsal of {plan.plan_id}", ttl=KEPT_FOR)
        return await branches.create(gateway, conn, project, wish)


async def _carry_out(gateway: Gateway, plan: Plan, branch: Project) -> _Run:
    run = _Run(plan, branch)
    wire = WireSpec(plan.dialect, branch.project_id, _spec_for(plan, branch.project_id))
    pending: set[str] = set()
    try:
        async with gateway.connection() as conn:
            evaluation = await evaluate(gateway, conn, branch, wire)
            pending = {migration.id for migration, _ in evaluation.pending}
            await plans.insert(conn, evaluation.plan)
        run.branch_plan = evaluation.plan
        await commit(gateway, evaluation.plan)
    except ReleaseError as exc:
        run.error = release_failure(exc, plan.dialect).body()
    except GatewayError as exc:
        if exc.status >= 500:
            raise
        run.error = exc.body()
    async with gateway.connection() as conn:
        run.migrations = await _migration_results(conn, run, wire, pending)
        site = await live_sites.active(conn, branch.project_id)
    if run.error is None and site is not None:
        run.checks += await run_checks(gateway, site, _static_checks(site), "static")
        declared = [Check.of(entry) for entry in plan.spec.get("checks") or ()]
        run.checks += await run_checks(gateway, site, declared)
    return run


def _spec_for(plan: Plan, branch_id: str) -> dict[str, Any]:
    """The plan's spec for the branch: without what reaches outside, and without checks, which the report runs itself."""
    spec = {key: value for key, value in plan.spec.items() if key not in ("base", "subdomains", "checks")}
    spec["project" if plan.dialect == "core" else "project_id"] = branch_id
    functions = spec.get("functions")
    if functions:
        spec["functions"] = {
            **functions,
            **({"replace": _quiet(functions["replace"])} if "replace" in functions else {}),
            **({"patch": _quiet_patch(functions["patch"])} if "patch" in functions else {}),
        }
    return spec


def _quiet_patch(patch: Mapping[str, Any]) -> dict[str, Any]:
    return {**patch, **({"set": _quiet(patch["set"])} if "set" in patch else {})}


def _quiet(functions: Mapping[str, Any]) -> dict[str, Any]:
    # A rehearsal starts no timers and answers no e-mail.
    return {
        name: {key: value for key, value in entry.items() if key not in ("triggers", "schedule")}
        for name, entry in functions.items()
    }


async def _migration_results(conn: Connection, run: _Run, wire: WireSpec, pending: set[str]) -> list[dict[str, Any]]:
    known = await migrations.recorded(conn, run.branch.project_id)
    failed = (run.error or {}).get("migration_id")
    results: list[dict[str, Any]] = []
    for migration in wire.migrations:
        if migration.id == failed and run.error is not None:
            results.append({"id": migration.id, "status": "failed", "error": run.error["message"]})
        else:
            applied = migration.id in known and known[migration.id].state == "applied"
            ran = migration.id in pending and applied
            results.append({"id": migration.id, "status": "passed" if ran else "skipped"})
    return results


def _static_checks(site: Site) -> list[Check]:
    paths = sorted(path for path, entry in site.files.items() if entry["direct"])
    first = [path for path in ("/",) if path in paths]
    chosen = [*first, *(path for path in paths if path not in first)][:STATIC_CHECKS]
    return [Check(f"GET {path}", path, expected=(200,)) for path in chosen]


def _report(run: _Run, policy: str, *, kept: bool, started: datetime, base: str) -> dict[str, Any]:
    ended = datetime.now(UTC)
    branch_id = run.branch.project_id
    return {
        "kind": "rehearsal_report",
        "status": run.status,
        "operation_id": None,
        "source_project_id": run.plan.project_id,
        "plan_id": run.plan.plan_id,
        "branch_project_id": branch_id if kept else None,
        "branch_url": releases.host_url(base, run.branch.public_id) if kept else None,
        "branch_plan_id": run.branch_plan.plan_id if run.branch_plan and kept else None,
        "branch_operation_id": run.branch_plan.operation_id if run.branch_plan and kept else None,
        "snapshot_id": None,
        "started_at": iso(started),
        "completed_at": iso(ended),
        "duration_ms": round((ended - started).total_seconds() * 1000),
        "migrations": run.migrations,
        "checks": run.checks,
        "teardown": {"policy": policy, "action": "kept" if kept else "deleted"},
        "next_actions": _next_actions(run, kept=kept),
        **({"error": run.error} if run.error else {}),
    }


def _next_actions(run: _Run, *, kept: bool) -> list[dict[str, Any]]:
    actions: list[dict[str, Any]] = []
    if run.status == "passed":
        seen = run.plan.plan_fingerprint
        reviewed = ("--plan-fingerprint", seen) if seen else ()
        required = advice.command("deploy", "apply", "--require-plan", run.plan.plan_id, *reviewed)
        actions.append(advice.entry("commit_plan", required, message="Apply what was rehearsed."))
    if kept:
        parent, branch_id = run.plan.project_id, run.branch.project_id
        actions += [
            advice.action(
                "keep_branch",
                "branches",
                "renew",
                "--project",
                parent,
                branch_id,
                message="The branch goes in a day; keep it for longer to look at it.",
            ),
            advice.action(
                "discard_branch", "branches", "delete", "--project", parent, branch_id, message="Remove the branch now."
            ),
        ]
    return actions


ROUTES = [
    Route("/apply/v1/plans/{plan_id}/rehearse", rehearse, methods=["POST"], who=OWNER_OF_WHAT_IT_NAMES, body=DEPLOY)
]
