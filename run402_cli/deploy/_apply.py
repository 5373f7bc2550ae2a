"""A full deploy, step by step: validate and hash, plan, warnings, upload, commit, follow."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from run402_cli.client import Client
from run402_cli.deploy import _plans, _staging, _steps
from run402_cli.deploy._options import ApplyOptions, Emit, silent
from run402_cli.deploy._retry import Failure, announcing, retrying
from run402_cli.deploy._steps import Apply
from run402_cli.deploy.errors import continued_by_rerun, naming_sql_files
from run402_cli.errors import DeployError

if TYPE_CHECKING:
    from run402_cli.release.manifest import NormalizedManifest

_ATTEMPTS = 3
_FIRST_DELAY_MS = 250
_JITTER_MS = 100


def run(client: Client, manifest: NormalizedManifest, options: ApplyOptions, emit: Emit) -> dict[str, Any]:
    """See `run402_cli.deploy.apply`."""
    return carry_out(start(client, manifest, options, emit))


def start(client: Client, manifest: NormalizedManifest, options: ApplyOptions, emit: Emit) -> Apply:
    """A deploy that has done nothing yet."""
    return Apply(client, manifest, options, emit, client.is_core and not options.cloud_dialect)


def carry_out(state: Apply) -> dict[str, Any]:
    """The whole deploy; afterwards `state` has the plan and the release that became live."""
    with continued_by_rerun(state.options.command), naming_sql_files(state.manifest.spec):
        return retrying(
            lambda: _attempt(state),
            lambda exc, attempt: _until_planned_anew(state, exc, attempt),
            announcing(state.emit, attempts=_ATTEMPTS),
        )


def reviewed_plan(client: Client, manifest: NormalizedManifest, options: ApplyOptions, emit: Emit) -> dict[str, Any]:
    """See `run402_cli.deploy.plan`."""
    state = Apply(client, manifest, options, emit, core=False)
    with continued_by_rerun(options.command), naming_sql_files(manifest.spec):
        _steps.prepare(state)
        return _steps.normalized(
            state, _plans.request(client, state.project, state.release, core=False, mode="reviewed_plan")
        )


def dry_run(client: Client, manifest: NormalizedManifest, options: ApplyOptions) -> dict[str, Any]:
    """See `run402_cli.deploy.dry_run`."""
    state = Apply(client, manifest, options, silent, core=False)
    with continued_by_rerun(options.command), naming_sql_files(manifest.spec):
        _steps.prepare(state)
        return _steps.normalized(state, _plans.request(client, state.project, state.release, core=False, dry_run=True))


def _attempt(state: Apply) -> dict[str, Any]:
    state.emit({"type": "plan.started"})
    _steps.prepare(state)
    _steps.request_plan(state)
    _announce_plan(state)
    _steps.require_consent(state)
    plan_id = _plans.committable(state.plan, core=state.core)
    if state.core:
        return _staging.finish(state, plan_id)
    _steps.upload(state)
    _steps.announce_commit(state)
    answer = _steps.commit(state, plan_id, required_plan=state.options.required_plan)
    return _steps.followed(state, answer, plan_id)


def _announce_plan(state: Apply) -> None:
    state.emit({"type": "plan.diff", "diff": state.plan["diff"]})
    if state.plan["warnings"]:
        state.emit({"type": "plan.warnings", "warnings": state.plan["warnings"]})
    payment = state.plan.get("payment_required")
    if isinstance(payment, dict):
        state.emit({"type": "payment.required", **payment})


def _until_planned_anew(state: Apply, exc: Failure, attempt: int) -> float | None:
    """Seconds until a plan on the base that is live by then; None for another failure, and for the last, which says so."""
    if not (isinstance(exc, DeployError) and _base_moved(exc, state.manifest.spec.get("base"))):
        return None
    if attempt == _ATTEMPTS:
        exc.fields |= {"attempts": _ATTEMPTS, "max_retries": _ATTEMPTS - 1, "last_retry_code": exc.code}
        return None
    return (_FIRST_DELAY_MS * 2.0 ** (attempt - 1) + random.randint(0, _JITTER_MS)) / 1000


def _base_moved(exc: DeployError, base: Any) -> bool:
    return (
        exc.code.upper() == "BASE_RELEASE_CONFLICT"
        and exc.fields.get("safe_to_retry") is True
        and base in (None, {"release": "current"})
    )
