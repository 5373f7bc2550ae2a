"""The steps of a deploy, one function each, and the deploy that they work on. `_apply.py` puts them in order."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from run402_cli import advice
from run402_cli.client import Client
from run402_cli.deploy import _assets, _batches, _follow, _plans, _tier, _warnings
from run402_cli.deploy._options import ApplyOptions, Emit
from run402_cli.deploy._retry import patiently
from run402_cli.deploy._upload import missing_entries, send_missing
from run402_cli.deploy.errors import curable, left_behind
from run402_cli.errors import DeployError, NetworkError
from run402_cli.release.ci_rules import check_ci_spec
from run402_cli.release.spec import validate_spec
from run402_cli.release.wire import Dialect, WireRelease, to_wire
from run402_cli.services import apply as apply_service
from run402_cli.services.ci_session import CiClient

if TYPE_CHECKING:
    from run402_cli.release.manifest import NormalizedManifest


@dataclass
class Apply:
    """One deploy on its way. `release` and `plan` are filled in by the steps and made anew for each attempt."""

    client: Client
    manifest: NormalizedManifest
    options: ApplyOptions
    emit: Emit
    core: bool
    release: WireRelease = field(default_factory=lambda: WireRelease({}, {}, []))
    plan: _plans.Plan = field(default_factory=dict)
    batches: _batches.Limits | None = None

    @property
    def project(self) -> str:
        return self.manifest.project

    @property
    def plan_id(self) -> str | None:
        return _text(self.plan.get("plan_id"))

    @property
    def operation_id(self) -> str | None:
        return _text(self.plan.get("operation_id"))

    @property
    def idempotency_key(self) -> str | None:
        return self.options.idempotency_key or self.manifest.idempotency_key


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def prepare(state: Apply) -> None:
    """Validate the spec, hash everything it names, and check functions against the tier."""
    in_ci = isinstance(state.client, CiClient)
    if in_ci:
        validate_spec(state.manifest.spec)
        check_ci_spec(state.manifest.spec)
    dialect = Dialect.CORE if state.core else Dialect.CLOUD
    state.release = to_wire(state.manifest.spec, dialect, own=state.manifest.own, bounds=state.manifest.bounds)
    if not state.core and not in_ci:
        _tier.check(state.client, state.project, state.manifest.spec)


def request_plan(state: Apply) -> None:
    """Ask for an ordinary plan and keep it."""
    answer = _plans.request(
        state.client,
        state.project,
        state.release,
        core=state.core,
        idempotency_key=state.idempotency_key,
        required_plan=state.options.required_plan,
    )
    state.plan = normalized(state, answer)
    state.batches = _batches.limits(answer)


def require_consent(state: Apply) -> None:
    """Stop at warnings that nobody allowed. A reviewed plan was read with its warnings: naming it is the consent."""
    if state.options.require_plan is None:
        _warnings.gate(
            state.plan["warnings"],
            allow_all=state.options.allow_warnings,
            allowed=state.options.allow_warning_codes,
        )


def upload(state: Apply) -> None:
    """Send what the plan says is missing (Cloud dialect)."""
    entries = missing_entries(state.plan, state.release.objects, state.emit)
    with left_behind(phase="upload", operation_id=state.operation_id, plan_id=state.plan_id):
        send_missing(
            state.client,
            state.project,
            entries,
            state.release.objects,
            workers=state.options.concurrency,
            emit=state.emit,
            batches=state.batches,
        )


def commit(state: Apply, plan_id: str, *, required_plan: dict[str, str] | None) -> dict[str, Any]:
    """Send the commit. From here on the gateway may have the operation even when no answer arrives."""
    body: dict[str, Any] = {}
    if state.idempotency_key is not None:
        body["idempotency_key"] = state.idempotency_key
    if required_plan is not None:
        body["required_plan"] = required_plan
    with left_behind(phase="commit", operation_id=state.operation_id, plan_id=plan_id), _maybe_taken(state):
        answer = patiently(
            lambda: apply_service.commit(state.client, state.project, plan_id, body, operation_id=state.operation_id),
            phase="commit",
            emit=state.emit,
        )
        if not isinstance(answer, dict):
            raise DeployError("The gateway's commit answer is not a JSON object.", code="INTERNAL_ERROR")
    return answer


@contextlib.contextmanager
def _maybe_taken(state: Apply) -> Iterator[None]:
    """Without a usable answer nobody here knows whether the gateway took the commit. Running the deploy again is right
    in both cases; resuming the operation only when it did.
    """
    actions = [advice.entry("retry", advice.parsed(state.options.command), why=_RERUN_WHY)]
    if state.operation_id and _follow.may_resume(state.client):
        command = _follow.resume_command(state.operation_id, state.project)
        actions.append(advice.entry("resume_deploy", command, why=_RESUME_WHY))
    try:
        yield
    except NetworkError as exc:
        exc.extra.setdefault("next_actions", actions)
        raise
    except DeployError as exc:
        if curable(exc) and not exc.fields.get("next_actions"):
            exc.fields["next_actions"] = actions
        raise


_RERUN_WHY = "Sends only what is missing, and applies nothing twice whether or not the gateway took the commit."
_RESUME_WHY = "Continues this very operation; only when the gateway had taken the commit."


def announce_commit(state: Apply) -> None:
    slices = {"slice_kinds": state.release.slice_kinds} if state.release.slice_kinds else {}
    state.emit({"type": "commit.phase", "phase": "validate", "status": "started", **slices})


def followed(state: Apply, answer: dict[str, Any], plan_id: str) -> dict[str, Any]:
    """Follow a Cloud-shaped commit answer to the end and make the result."""
    snapshot = _follow.follow_commit(
        state.client,
        state.project,
        answer,
        plan_id=plan_id,
        emit=state.emit,
        slice_kinds=state.release.slice_kinds,
        rerun=state.options.command,
    )
    out = _follow.result(
        snapshot, operation_id=str(answer["operation_id"]), diff=state.plan["diff"], warnings=state.plan["warnings"]
    )
    assets = _assets.manifest(state.client, state.project, state.release, state.plan)
    return out if assets is None else {**out, "assets": assets}


def normalized(state: Apply, answer: Any) -> _plans.Plan:
    return _plans.normalized(answer, state.manifest.spec)
