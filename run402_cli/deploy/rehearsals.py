"""Rehearse a plan on a contained branch before it is committed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from run402_cli import advice
from run402_cli.client import Client
from run402_cli.deploy import _follow, _plans, _steps
from run402_cli.deploy._options import ApplyOptions, Emit
from run402_cli.deploy.errors import continued_by_rerun, naming_sql_files
from run402_cli.errors import DeployError
from run402_cli.services import apply as apply_service

if TYPE_CHECKING:
    from run402_cli.release.manifest import NormalizedManifest


def run(client: Client, manifest: NormalizedManifest, options: ApplyOptions, emit: Emit) -> dict[str, Any]:
    """See `run402_cli.deploy.rehearse`. Always in the Cloud dialect. Plan warnings stop it only when it would commit."""
    state = _steps.Apply(client, manifest, options, emit, core=False)
    with continued_by_rerun(options.command), naming_sql_files(manifest.spec):
        _steps.prepare(state)
        _steps.request_plan(state)
        plan_id = state.plan.get("plan_id")
        if not isinstance(plan_id, str) or not plan_id:
            raise DeployError(
                "The gateway did not store the plan, so there is nothing to rehearse.",
                code="DRY_RUN_PLAN_NOT_COMMITTABLE",
                phase="plan",
                details={"project_id": state.project},
                next_actions=[_plans.NOT_STORED],
            )
        if options.commit_rehearsed:
            _steps.require_consent(state)
        _steps.upload(state)
        rehearsal = apply_service.rehearse(client, state.project, plan_id, {"teardown": options.teardown})
        command = commit_command(plan_id, state.plan.get("plan_fingerprint"))
        if not passed(rehearsal):
            return {
                "ok": False,
                "project_id": state.project,
                "plan_id": plan_id,
                "rehearsal": rehearsal,
                "commit_command": command,
            }
        out = {"ok": True, "project_id": state.project, "plan": state.plan, "rehearsal": rehearsal}
        if not options.commit_rehearsed:
            return {**out, "commit_command": command}
        return {**out, "commit": _commit(state, plan_id)}


def _commit(state: _steps.Apply, plan_id: str) -> dict[str, Any]:
    answer = _steps.commit(state, plan_id, required_plan=None)
    snapshot = _follow.follow_commit(
        state.client,
        state.project,
        answer,
        plan_id=plan_id,
        emit=state.emit,
        slice_kinds=(),
        rerun=state.options.command,
    )
    return _follow.result(snapshot, operation_id=str(answer["operation_id"]), diff={}, warnings=[])


def passed(rehearsal: Any) -> bool:
    """Whether a rehearsal's report says `passed`."""
    report = rehearsal.get("report") if isinstance(rehearsal, dict) else None
    return isinstance(report, dict) and report.get("status") == "passed"


def commit_command(plan_id: str, fingerprint: Any = None) -> str:
    """The command that commits a rehearsed plan."""
    suffix = ("--plan-fingerprint", fingerprint) if isinstance(fingerprint, str) and fingerprint else ()
    return advice.command("deploy", "apply", "--require-plan", plan_id, *suffix)
