"""The steps that both kinds of manifest share: deploy the release, check the site, wait for the edge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from run402_cli import advice, deploy
from run402_cli.errors import Run402Error, ValidationError
from run402_cli.release.manifest import NormalizedManifest
from run402_cli.services import apply as deploys
from run402_cli.state.workspace import link_path
from run402_cli.up import edge
from run402_cli.up._options import Run, UpOptions
from run402_cli.up._project import Choice, missing_keys
from run402_cli.up._steps import Emit, Step
from run402_cli.up._verify import Verifier

Result = dict[str, Any]

_EVENT_KEYS = (
    *("id", "operation_id", "project_id", "phase", "status", "message"),
    *("created_at", "updated_at", "details", "duration_ms"),
)


def require_keys(run: Run, project_id: str) -> None:
    """Raises ValidationError RUN402_PROJECT_KEYS_REQUIRED unless this machine has the keys of the project."""
    if run.client.profile.keys.get(project_id) is None:
        raise ValidationError(
            f"The keys of {project_id} are not cached on this machine. Import its service key: "
            f"{advice.command('credentials', 'project-keys', 'import', '--project', project_id, '--service-key-stdin')}",
            code="RUN402_PROJECT_KEYS_REQUIRED",
            details={"project_id": project_id},
            next_actions=missing_keys(run, project_id),
        )


def plan(run: Run, step: Step, manifest: NormalizedManifest, choice: Choice) -> Result:
    """A reviewed plan, and the command line that deploys exactly it."""
    made = deploy.plan(run.client, manifest, _apply_options(run.options), _deploy_events(step))
    step.to("succeeded", plan_id=made.get("plan_id"))
    if not made.get("plan_id"):
        return made
    linked = run.link.project_id if run.link else None
    found = linked == choice.project_id or choice.source == "manifest"
    # What neither the link nor the manifest names is the project of this plan alone, and is linked by the deploy.
    project = [] if found else ["--project", choice.project_id, "--yes"]
    words = ["up", "--manifest", step.details["manifest_path"], *project]
    action = deploy.apply_reviewed(made, *words, kind="retry")
    agrees = {"confirms": True} if project and not run.options.yes else {}
    return {**made, "next_actions": [{**action, **agrees}]}


def apply(run: Run, step: Step, manifest: NormalizedManifest, choice: Choice) -> Result:
    """Deploy; the document of `deploy apply`."""
    try:
        done = deploy.apply(run.client, manifest, _apply_options(run.options), _deploy_events(step))
    except Run402Error as exc:
        if not _is_stale_link(exc, choice):
            raise
        raise _StaleLink(exc, run) from exc
    step.to("succeeded", release_id=done.get("release_id"), operation_id=done.get("operation_id"))
    return done


def _is_stale_link(exc: Run402Error, choice: Choice) -> bool:
    """Whether the gateway does not know the project that the link names: after a reset the link points at nothing."""
    return choice.source == "workspace_link" and exc.envelope().get("error") == "project_not_found"


class _StaleLink(Run402Error):
    """The gateway does not know the linked project."""

    def __init__(self, cause: Run402Error, run: Run) -> None:
        super().__init__(cause.message)
        self.cause = cause
        self._path = link_path(run.workspace)

    def envelope(self) -> dict[str, Any]:
        remove = advice.entry("run_command", advice.line("rm", self._path))
        hint = f"The workspace link {self._path} names a project that this gateway does not have. Remove the link."
        return {**self.cause.envelope(), "hint": hint, "next_actions": [remove]}


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
    """Deploy events as events of the deploy step; one that says what the one before it said is left out."""
    before: dict[str, Any] = {}

    def forward(event: dict[str, Any]) -> None:
        nonlocal before
        known = {f"deploy_{'event_id' if key == 'id' else key}": event[key] for key in _EVENT_KEYS if key in event}
        note = {"deploy_event": event.get("type"), **known}
        if note != before:
            step.note(**note)
        before = note

    return forward


def run_checks(
    run: Run, project_id: str, checks: list[Any], origin: str | None, *, fresh: frozenset[str] = frozenset()
) -> Result:
    """Step app.verify: {verification, verify}, and {next_actions} when a check failed."""
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
    found = {"verification": {"http": results}, "verify": rollup}
    if rollup["status"] != "failed":
        return found
    return {**found, "next_actions": [_check_again(run, project_id), *_seen(results, project_id)]}


def _seen(results: list[Any], project_id: str) -> list[Result]:
    """How the first page that failed its check is answered; a page at the project's own address, by what is deployed."""
    url = next((each["url"] for each in results if each["status"] == "failed" and each.get("url")), None)
    if url is None:
        return []
    own = f"/projects/v1/{project_id}/" in url
    words = ("deploy", "release", "active") if own else ("deploy", "diagnose", url)
    return [advice.run(*words, "--project", project_id, why="It shows what the release has for that page.")]


def _check_again(run: Run, project_id: str) -> Result:
    """The action after a failed check."""
    source = [] if run.options.source == "." else [run.options.source]
    manifest = ["--manifest", run.options.manifest] if run.options.manifest else []
    why = "The release is live. Change the page or the check, deploy again where the page changed, then check again."
    return advice.action("retry_verify", "up", "verify", *source, *manifest, "--project", project_id, why=why)


def require_checks(checks: list[Any], manifest_path: Path) -> None:
    """Raises ValidationError VERIFY_CHECKS_REQUIRED when there is nothing to check."""
    if not checks:
        raise ValidationError(
            f'{manifest_path} has no checks. Add some: "verify": {{"http": [{{"id": "home", "path": "/", "expect": '
            '{"status": 200}}]}',
            code="VERIFY_CHECKS_REQUIRED",
            details={"manifest_path": str(manifest_path)},
        )


def cached_site(run: Run, project_id: str) -> str | None:
    """The site's address as the key cache remembers it."""
    url = (run.client.profile.keys.get(project_id) or {}).get("site_url")
    return url if isinstance(url, str) and url else None


def site_of(run: Run, project_id: str) -> str | None:
    """The site's address as the gateway knows it, or None; a failure is no reason to stop."""
    try:
        answer = deploys.project(run.client, project_id)
    except Run402Error:
        return None
    url = answer.get("site_url") if isinstance(answer, dict) else None
    return url if isinstance(url, str) and url else None


def check_edge(run: Run, project_id: str, done: dict[str, Any], emit: Emit) -> Result:
    """With --verify: wait until the edges agree, {edge_coherence}. A Core gateway has no edge."""
    operation_id = str(done.get("operation_id") or "")
    if not run.options.verify_edge or not operation_id or operation_id.startswith("core:"):
        return {}
    budget = run.options.propagation_budget_s
    found = edge.wait_coherent(run.client, project_id, operation_id, timeout_s=budget, emit=emit)
    done["edge_coherence"] = found["report"]
    return {"edge_coherence": found}
