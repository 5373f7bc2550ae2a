"""The two runs, `up` and `up verify`, as sequences of steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from run402_cli import deploy
from run402_cli.client import Client
from run402_cli.deploy._errors import from_release
from run402_cli.errors import CommandError, Interrupted, Run402Error, ValidationError
from run402_cli.release.errors import ReleaseError
from run402_cli.release.manifest import NormalizedManifest
from run402_cli.services import apply as deploys
from run402_cli.state.workspace import link_path
from run402_cli.up import _edge, _manifest, _prerequisites, _project
from run402_cli.up._options import Run, UpOptions
from run402_cli.up._source import open_source
from run402_cli.up._steps import ActionError, Emit, Step, StepLog
from run402_cli.up._verify import Verifier, fresh_hosts

Result = dict[str, Any]

_EVENT_KEYS = (
    *("id", "operation_id", "project_id", "phase", "status", "message"),
    *("created_at", "updated_at", "details", "duration_ms"),
)


def up(client: Client, options: UpOptions, emit: Emit) -> Result:
    """See `run402_cli.up.up`."""
    return _logged(client, options, emit, _deploy)


def verify(client: Client, options: UpOptions, emit: Emit) -> Result:
    """See `run402_cli.up.verify`."""
    return _logged(client, options, emit, _verify_only)


def _logged(client: Client, options: UpOptions, emit: Emit, body: Callable[[Run, Emit], Result]) -> Result:
    """Run the steps; a failure is marked on its step and carries the steps so far."""
    log = StepLog(emit)
    _ = client.is_core  # an unusable API address is reported before any step
    try:
        with open_source(options.source, log) as source:
            run = Run(client, options, log, source.workspace)
            result = body(run, emit)
    except (Run402Error, ReleaseError, OSError) as exc:
        failure = _as_run402(exc)
        log.fail_last(failure.message)
        raise ActionError(failure, log) from exc
    except Interrupted as exc:
        log.fail_last(exc.message)
        exc.resume = exc.resume or options.command
        raise
    return {
        "action": "up",
        "mode": options.shown_mode,
        "dry_run": options.mode in ("check", "printSpec", "plan", "legacyDryRun"),
        "target": run.target,
        "steps": log.fields(),
        "result": result,
    }


def _as_run402(exc: Run402Error | ReleaseError | OSError) -> Run402Error:
    if isinstance(exc, Run402Error):
        return exc
    if isinstance(exc, ReleaseError):
        return from_release(exc)
    where = f" ({exc.filename})" if exc.filename else ""
    return CommandError(f"The system refused: {exc.strerror or exc}{where}.", code="LOCAL_ERROR")


def _deploy(run: Run, emit: Emit) -> Result:
    found, manifest = _manifest.discover(run)
    result: Result = {"project_id": manifest.project, "manifest_path": str(found.path)}
    if run.options.mode in ("check", "printSpec"):
        return {**result, "spec": manifest.spec} if run.options.mode == "printSpec" else result
    _prerequisites.ensure(run)
    choice = _project.resolve(run, found)
    manifest = found.normalized(choice.project_id)
    result["project_id"] = choice.project_id
    if (link := _project.link_workspace(run, choice)) is not None:
        result["workspace_link_path"] = link
    step = run.log.plan(
        "deploy.apply", mutation=True, auto=False, project_id=choice.project_id, manifest_path=str(found.path)
    )
    if run.options.dry_run:
        return result
    _require_keys(run, choice.project_id)
    step.to("running")
    if run.options.mode == "plan":
        result["plan"] = _plan(run, step, manifest)
        return result
    result["deploy"] = _apply(run, step, manifest, choice)
    result |= _check_site(run, manifest, result["deploy"])
    return result | _check_edge(run, choice.project_id, result["deploy"], emit)


def _require_keys(run: Run, project_id: str) -> None:
    if run.client.profile.keys.get(project_id) is None:
        raise ValidationError(
            f"The keys of {project_id} are not cached on this machine. Import its service key: "
            f"run402 credentials project-keys import --project {project_id} --service-key-stdin",
            code="RUN402_PROJECT_KEYS_REQUIRED",
            details={"project_id": project_id},
        )


def _plan(run: Run, step: Step, manifest: NormalizedManifest) -> Result:
    plan = deploy.plan(run.client, manifest, _apply_options(run.options), _deploy_events(step))
    step.to("succeeded", plan_id=plan.get("plan_id"))
    if not plan.get("plan_id"):
        return plan
    argv = ["run402", "up", "--manifest", step.details["manifest_path"], "--require-plan", str(plan["plan_id"])]
    if plan.get("plan_fingerprint"):
        argv += ["--plan-fingerprint", str(plan["plan_fingerprint"])]
    why = "Deploys exactly the plan that was reviewed."
    return {**plan, "next_actions": [{"type": "retry", "command": " ".join(argv), "argv": argv, "why": why}]}


def _apply(run: Run, step: Step, manifest: NormalizedManifest, choice: _project.Choice) -> Result:
    try:
        done = deploy.apply(run.client, manifest, _apply_options(run.options), _deploy_events(step))
    except Run402Error as exc:
        raise _explained(run, exc, choice) from exc
    step.to("succeeded", release_id=done.get("release_id"), operation_id=done.get("operation_id"))
    return done


def _explained(run: Run, exc: Run402Error, choice: _project.Choice) -> Run402Error:
    """Say where the project came from when the gateway does not know it: after a reset the link points at nothing."""
    code = exc.envelope().get("error")
    if choice.source != "workspace_link" or code != "project_not_found":
        return exc
    return _StaleLink(exc, run)


class _StaleLink(Run402Error):
    """The gateway does not know the linked project."""

    def __init__(self, cause: Run402Error, run: Run) -> None:
        super().__init__(cause.message)
        self.cause = cause
        self._path = link_path(run.workspace)

    def envelope(self) -> dict[str, Any]:
        command = f"rm '{self._path}'"
        hint = f"The workspace link {self._path} names a project that this gateway does not have. Remove the link."
        return {**self.cause.envelope(), "hint": hint, "next_actions": [{"type": "run_command", "command": command}]}


def _apply_options(options: UpOptions) -> deploy.ApplyOptions:
    return deploy.ApplyOptions(
        allow_warnings=options.allow_warnings,
        allow_warning_codes=options.allow_warning_codes,
        require_plan=options.require_plan,
        plan_fingerprint=options.plan_fingerprint,
        idempotency_key=options.idempotency_key,
        command=options.command,
    )


def _deploy_events(step: Step) -> Emit:
    """Deploy events as events of the deploy step."""

    def forward(event: dict[str, Any]) -> None:
        known = {f"deploy_{'event_id' if key == 'id' else key}": event[key] for key in _EVENT_KEYS if key in event}
        step.note(deploy_event=event.get("type"), **known)

    return forward


def _check_site(run: Run, manifest: NormalizedManifest, done: Mapping[str, Any]) -> Result:
    """Step app.verify: the manifest's HTTP checks against the site that was just deployed."""
    checks = _checks(manifest)
    if not checks:
        return {}
    urls = done.get("urls")
    urls = urls if isinstance(urls, Mapping) else {}
    origin = urls.get("site") or urls.get("subdomain") or _cached_site(run, manifest.project)
    return _run_checks(run, manifest.project, checks, origin, fresh=fresh_hosts(manifest.spec, done, origin))


def _run_checks(
    run: Run, project_id: str, checks: list[Any], origin: str | None, *, fresh: frozenset[str] = frozenset()
) -> Result:
    step = run.log.start("app.verify", origin=origin, checks=len(checks))
    verifier = Verifier(
        run.client,
        project_id,
        origin,
        budget_s=run.options.propagation_budget_s,
        wait=run.options.propagation_wait,
        fresh_hosts=fresh,
    )
    results, rollup = verifier.run(checks)
    step.to("succeeded" if rollup["status"] == "verified" else rollup["status"])
    return {"verification": {"http": results}, "verify": rollup}


def _checks(manifest: NormalizedManifest) -> list[Any]:
    return list((manifest.verify or {}).get("http") or [])


def _cached_site(run: Run, project_id: str) -> str | None:
    url = (run.client.profile.keys.get(project_id) or {}).get("site_url")
    return url if isinstance(url, str) and url else None


def _check_edge(run: Run, project_id: str, done: dict[str, Any], emit: Emit) -> Result:
    operation_id = str(done.get("operation_id") or "")
    if not run.options.verify_edge or not operation_id or operation_id.startswith("core:"):
        return {}
    budget = run.options.propagation_budget_s
    found = _edge.wait_coherent(run.client, project_id, operation_id, timeout_s=budget, emit=emit)
    done["edge_coherence"] = found["report"]
    return {"edge_coherence": found}


def _verify_only(run: Run, _emit: Emit) -> Result:
    found, manifest = _manifest.discover(run)
    checks = _checks(manifest)
    if not checks:
        raise ValidationError(
            f'{found.path} has no checks. Add some: "verify": {{"http": [{{"id": "home", "path": "/", "expect": '
            '{"status": 200}}]}',
            code="VERIFY_CHECKS_REQUIRED",
            details={"manifest_path": str(found.path)},
        )
    choice = _project.resolve_for_verify(run, found)
    run.client.profile.keys.require(choice.project_id)
    origin = _cached_site(run, choice.project_id) or _site_of(run, choice.project_id)
    return {
        "project_id": choice.project_id,
        "manifest_path": str(found.path),
        **_run_checks(run, choice.project_id, checks, origin),
    }


def _site_of(run: Run, project_id: str) -> str | None:
    try:
        answer = deploys.project(run.client, project_id)
    except Run402Error:
        return None
    url = answer.get("site_url") if isinstance(answer, dict) else None
    return url if isinstance(url, str) and url else None
