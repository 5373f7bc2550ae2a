"""The apply engine: plan, upload, commit, follow, resume. See docs/deploy.md.

Progress goes out through `emit`, called with one event object at a time from the caller's thread; nothing is printed
here. Every function raises DeployError, ValidationError, ApiError or NetworkError; Interrupted passes through with
the command that continues.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from run402_cli.deploy._options import ApplyOptions, Emit, silent
from run402_cli.uploads import TYPED, Bounds

if TYPE_CHECKING:
    from run402_cli.client import Client
    from run402_cli.release.manifest import NormalizedManifest

__all__ = [
    "ApplyOptions",
    "Emit",
    "apply",
    "apply_reviewed",
    "dry_run",
    "patch_functions",
    "plan",
    "rehearse",
    "replace_site",
    "resume",
    "silent",
]


def apply(client: Client, manifest: NormalizedManifest, options: ApplyOptions, emit: Emit) -> dict[str, Any]:
    """Make the manifest the live release: plan, warnings gate, upload, commit, follow until it is ready.

    Speaks the Core dialect to a Core gateway unless `options.cloud_dialect`. A base that moved meanwhile is planned
    anew, up to 3 attempts. Returns {release_id, operation_id, urls, diff, warnings, subdomain_bindings?, edge?,
    restore_point?, assets?}.
    """
    from run402_cli.deploy import _apply

    return _apply.run(client, manifest, options, emit)


def plan(client: Client, manifest: NormalizedManifest, options: ApplyOptions, emit: Emit = silent) -> dict[str, Any]:
    """A reviewed plan: stored by the gateway, nothing committed, and nothing uploaded but SQL that it could not read.

    Returns the plan response with `diff`.
    """
    from run402_cli.deploy import _apply

    return _apply.reviewed_plan(client, manifest, options, emit)


def apply_reviewed(plan: dict[str, Any], *words: str, kind: str = "run_command") -> dict[str, Any]:
    """The action that deploys a reviewed plan: the command of `words` with the plan's id and fingerprint.

    Naming a plan agrees to the warnings that it lists: with such warnings the action has `confirms`.
    """
    from run402_cli.deploy import _plans

    return _plans.reviewed(plan, *words, kind=kind)


def dry_run(client: Client, manifest: NormalizedManifest, options: ApplyOptions) -> dict[str, Any]:
    """A plan that the gateway does not store: `plan_id` and `operation_id` are null. Returns the plan response."""
    from run402_cli.deploy import _apply

    return _apply.dry_run(client, manifest, options)


def rehearse(client: Client, manifest: NormalizedManifest, options: ApplyOptions, emit: Emit) -> dict[str, Any]:
    """Plan, upload, run the plan on a contained branch; with `options.commit_rehearsed` commit it when it passed.

    Returns {ok, project_id, plan, rehearsal, commit_command | commit} or, not passed, {ok: false, project_id,
    plan_id, ...}.
    """
    from run402_cli.deploy import rehearsals

    return rehearsals.run(client, manifest, options, emit)


def patch_functions(
    client: Client, project_id: str, patch: dict[str, Any], *, command: str, emit: Emit = silent
) -> dict[str, Any]:
    """A release that changes only the functions of `patch` (services/functions.py, `release_patch`). Result as `apply`."""
    from run402_cli.release.manifest import NormalizedManifest

    manifest = NormalizedManifest({"project": project_id, "functions": patch}, None, None)
    # A gateway that is only known by its address is asked in the Cloud dialect, which our own gateway speaks as well.
    options = ApplyOptions(cloud_dialect=client.profile.target.kind != "core", command=command)
    return apply(client, manifest, options, emit)


def replace_site(
    client: Client,
    project_id: str,
    folder: Path,
    *,
    command: str,
    emit: Emit,
    confirm_prune: bool = False,
    allow_warnings: bool = False,
    allow_warning_codes: Sequence[str] = (),
    bounds: Bounds = TYPED,
) -> dict[str, Any]:
    """A release whose site is the files of a directory, in short: see services/sites.py, `short_result`.

    The deployment is noted in the key cache as the project's last one. `confirm_prune` agrees to the removal of whatever
    files the site has and the directory has not; without it the plan's warning about them stops the deploy. `bounds` are where
    the files may be.
    """
    from run402_cli.deploy._warnings import SITE_REMOVALS
    from run402_cli.release.manifest import NormalizedManifest
    from run402_cli.services import sites

    client.profile.keys.ensure_writable()
    files = {"__source": "local-dir", "path": str(folder)}
    manifest = NormalizedManifest({"project": project_id, "site": {"replace": files}}, None, None, bounds=bounds)
    options = ApplyOptions(
        cloud_dialect=True,
        command=command,
        allow_warnings=allow_warnings,
        allow_warning_codes=(*allow_warning_codes, *(SITE_REMOVALS if confirm_prune else ())),
    )
    result = sites.short_result(apply(client, manifest, options, emit))
    if result["deployment_id"]:
        client.profile.keys.update(project_id, {"last_deployment_id": result["deployment_id"]})
    return result


def resume(client: Client, project_id: str, operation_id: str, emit: Emit) -> dict[str, Any]:
    """Push a stopped operation forward and follow it. Returns the apply result with an empty diff and no warnings."""
    from run402_cli.deploy import _follow

    return _follow.resume(client, project_id, operation_id, emit)
