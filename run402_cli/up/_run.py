"""The two runs, `up` and `up verify`, as sequences of steps."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

from run402_cli.client import Client
from run402_cli.client.budget import FLAG, Budget
from run402_cli.deploy.errors import from_release
from run402_cli.errors import CommandError, Interrupted, Run402Error, UsageError
from run402_cli.release.errors import ReleaseError
from run402_cli.release.manifest import NormalizedManifest, printable
from run402_cli.state.workspace import read_link
from run402_cli.up import _app, _manifest, _prerequisites, _project, _release
from run402_cli.up._options import Run, UpOptions
from run402_cli.up._source import Source, open_source
from run402_cli.up._steps import ActionError, Emit, StepLog
from run402_cli.up._verify import fresh_hosts

Result = dict[str, Any]


def up(client: Client, options: UpOptions, emit: Emit) -> Result:
    """See `run402_cli.up.up`."""
    if options.max_spend_usd is None:
        return _logged(client, options, emit, _deploy)
    if options.mode in ("check", "printSpec"):
        raise UsageError(
            f"{FLAG} limits what a deploy may cost, and nothing is sent here, so that nothing is paid.",
            hint=f"Leave {FLAG} out.",
            details={"flag": FLAG, "mode": options.mode},
        )
    return _logged(_within(client, Budget(options.max_spend_usd)), options, emit, _deploy)


def _within(client: Client, budget: Budget) -> Client:
    """The client, with payments that count against a budget; another object, for others may use that one meanwhile."""
    _ = client.http  # they share its connections, which the client closes
    limited = copy.copy(client)
    limited.budget = budget
    return limited


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
            run.source = _shown_source(source)
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


def _shown_source(source: Source) -> Result:
    where = {"kind": "local", "path": str(source.workspace)}
    if source.repo_url is not None:
        where = {"kind": "repo", "repo_url": source.repo_url}
    return where if source.commit is None else {**where, "commit": source.commit}


def _as_run402(exc: Run402Error | ReleaseError | OSError) -> Run402Error:
    if isinstance(exc, Run402Error):
        return exc
    if isinstance(exc, ReleaseError):
        return from_release(exc)
    where = f" ({exc.filename})" if exc.filename else ""
    return CommandError(f"The system refused: {exc.strerror or exc}{where}.", code="LOCAL_ERROR")


def _deploy(run: Run, emit: Emit) -> Result:
    found, manifest = _manifest.discover(run)
    if run.options.mode not in ("check", "printSpec"):
        read_link(run.workspace)  # a damaged link is said before a wallet is made or anybody is asked
    if manifest is None:
        return _app.install(run, found, emit)
    result: Result = {"project_id": manifest.project, "manifest_path": str(found.path)}
    if run.options.mode in ("check", "printSpec"):
        return {**result, "spec": printable(manifest.spec)} if run.options.mode == "printSpec" else result
    _prerequisites.ensure(run)
    choice = _project.resolve(run, found)
    manifest = found.normalized(choice.project_id)
    result["project_id"] = run.log.project_id = choice.project_id
    if (link := _project.link_workspace(run, choice)) is not None:
        result["workspace_link_path"] = link
    step = run.log.plan(
        "deploy.apply",
        mutation=run.options.mode != "plan",
        auto=False,
        project_id=choice.project_id,
        manifest_path=str(found.path),
    )
    if run.options.dry_run:
        return result
    _release.require_keys(run, choice.project_id)
    step.to("running")
    if run.options.mode == "plan":
        result["plan"] = _release.plan(run, step, manifest, choice)
        return result
    result["deploy"] = _release.apply(run, step, manifest, choice)
    result |= _check_site(run, manifest, result["deploy"])
    return result | _release.check_edge(run, choice.project_id, result["deploy"], emit)


def _check_site(run: Run, manifest: NormalizedManifest, done: Mapping[str, Any]) -> Result:
    """The manifest's HTTP checks against the site that was just deployed."""
    checks = _checks(manifest)
    if not checks:
        return {}
    urls = done.get("urls")
    urls = urls if isinstance(urls, Mapping) else {}
    origin = urls.get("site") or urls.get("subdomain") or _release.cached_site(run, manifest.project)
    return _release.run_checks(run, manifest.project, checks, origin, fresh=fresh_hosts(manifest.spec, done, origin))


def _checks(manifest: NormalizedManifest) -> list[Any]:
    return list((manifest.verify or {}).get("http") or [])


def _verify_only(run: Run, _emit: Emit) -> Result:
    found, manifest = _manifest.discover(run)
    if manifest is None:
        return _app.verify(run, found)
    checks = _checks(manifest)
    _release.require_checks(checks, found.path)
    choice = _project.resolve_for_verify(run, found)
    run.client.profile.keys.require(choice.project_id)
    origin = _release.cached_site(run, choice.project_id) or _release.site_of(run, choice.project_id)
    return {
        "project_id": choice.project_id,
        "manifest_path": str(found.path),
        **_release.run_checks(run, choice.project_id, checks, origin),
    }
