"""Deploys of the Python API: the engine in run402_cli/deploy with the checks that the command line makes around it.

`manifest` is a mapping, or the path of a JSON manifest or of a configuration program (.ts, .js, .mjs, ...), which is then
run. `on_event` gets the progress events, one mapping each, in the calling thread.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from run402_cli.client import Client
from run402_cli.errors import CommandError, project_required

if TYPE_CHECKING:
    from run402_cli.release.manifest import NormalizedManifest

Manifest = Mapping[str, Any] | str | PathLike[str]
OnEvent = Callable[[dict[str, Any]], None]
_FEW_FILES = 5


def apply(
    client: Client,
    manifest: Manifest,
    *,
    project_id: str | None = None,
    base_dir: str | PathLike[str] | None = None,
    allow_warnings: bool = False,
    allow_warning_codes: Sequence[str] = (),
    require_plan: str | None = None,
    plan_fingerprint: str | None = None,
    idempotency_key: str | None = None,
    concurrency: int = 8,
    allow_outside: bool = False,
    on_event: OnEvent | None = None,
) -> dict[str, Any]:
    """Make the manifest the live release: plan, upload what is missing, commit, follow until it is ready.

    The project is the manifest's, else `project_id`, else the active one; what a file of a repository names has to be given
    as `project_id`, too, unless it is the active one or was confirmed. Relative paths start at `base_dir`: by default the
    manifest's own directory, or the current one for a mapping; files outside of the git work tree that holds it (without
    one, of the directory) are refused unless `allow_outside`. `require_plan` commits exactly a plan that was reviewed.
    In a GitHub Actions job, unless a wallet was named, the job's own identity deploys.

    Returns {release_id, operation_id, urls, diff, warnings, ...}. Raises DeployError (a warning that nobody allowed, a
    refused migration, ...), ValidationError for the manifest, ApiError and NetworkError. docs/deploy.md
    """
    from run402_cli import deploy

    normalized = _read(client, manifest, project_id, base_dir, outside=allow_outside)
    options = deploy.ApplyOptions(
        allow_warnings=allow_warnings,
        allow_warning_codes=tuple(allow_warning_codes),
        require_plan=require_plan,
        plan_fingerprint=plan_fingerprint,
        idempotency_key=idempotency_key,
        concurrency=concurrency,
    )
    with _deployer(client, normalized.project) as deployer:
        return deploy.apply(deployer, normalized, options, on_event or deploy.silent)


def plan(
    client: Client,
    manifest: Manifest,
    *,
    project_id: str | None = None,
    base_dir: str | PathLike[str] | None = None,
    allow_outside: bool = False,
) -> dict[str, Any]:
    """Store a plan for review; nothing is uploaded or deployed. Returns the plan with its `diff` and `warnings`.

    `apply(..., require_plan=plan["plan_id"])` deploys it. Errors as for `apply`. docs/deploy.md
    """
    from run402_cli import deploy

    normalized = _read(client, manifest, project_id, base_dir, outside=allow_outside)
    with _deployer(client, normalized.project) as deployer:
        return deploy.plan(deployer, normalized, deploy.ApplyOptions())


def rehearse(
    client: Client,
    manifest: Manifest,
    *,
    project_id: str | None = None,
    base_dir: str | PathLike[str] | None = None,
    teardown: str = "keep",
    commit: bool = False,
    allow_warnings: bool = False,
    allow_warning_codes: Sequence[str] = (),
    allow_outside: bool = False,
    on_event: OnEvent | None = None,
) -> dict[str, Any]:
    """Try the release on a contained branch first; with `commit`, deploy it when it passed.

    With `commit`, warnings that nobody allowed stop it as they stop `apply`. `teardown` says what becomes of the branch:
    keep, on_pass or always. Returns {ok, project_id, plan, rehearsal, ...}. Errors as for `apply`. docs/deploy.md
    """
    from run402_cli import deploy

    normalized = _read(client, manifest, project_id, base_dir, outside=allow_outside)
    options = deploy.ApplyOptions(
        teardown=teardown,
        commit_rehearsed=commit,
        allow_warnings=allow_warnings,
        allow_warning_codes=tuple(allow_warning_codes),
    )
    with _deployer(client, normalized.project) as deployer:
        return deploy.rehearse(deployer, normalized, options, on_event or deploy.silent)


def resume(client: Client, project_id: str, operation_id: str, *, on_event: OnEvent | None = None) -> dict[str, Any]:
    """Continue a deploy operation that stopped, and follow it to its end.

    Never pays. Returns the result of `apply` with an empty diff. Raises DeployError, ValidationError, ApiError, NetworkError.
    docs/deploy.md
    """
    from run402_cli import deploy
    from run402_cli.services.apply import require_operation_id

    require_operation_id(operation_id)
    return deploy.resume(client, project_id, operation_id, on_event or deploy.silent)


def diagnose(client: Client, project_id: str, url: str, *, method: str | None = None) -> dict[str, Any]:
    """How the live release answers a public URL, and why.

    Returns {would_serve, diagnostic_status, match, summary, request, warnings, resolution, next_steps, ...}. `method` is GET
    unless given. Raises UsageError for what is no absolute http(s) URL, ApiError, NetworkError. docs/deploy.md
    """
    from run402_cli.deploy import diagnosis

    return diagnosis.diagnose(client, project_id, url=url, method=method)


def deploy_function(
    client: Client,
    project_id: str,
    name: str,
    source: str,
    *,
    timeout: int | None = None,
    memory: int | None = None,
    deps: Sequence[str] = (),
    schedule: str | None = None,
    on_event: OnEvent | None = None,
) -> dict[str, Any]:
    """Add or replace one function by its source text; all others stay. `timeout` in seconds, `memory` in MB.

    `deps` are npm packages (name, name@version); `schedule` is a five-field cron expression, "" removes it. Returns {name,
    url, status, runtime, timeout, memory, schedule, ...}. Raises ValidationError for an unusable name, source or
    dependency, and what `deploy.apply` raises. docs/functions.md
    """
    from run402_cli import deploy
    from run402_cli.release.manifest import NormalizedManifest
    from run402_cli.services import functions

    patch = functions.release_patch(name, source, timeout=timeout, memory=memory, deps=list(deps), schedule=schedule)
    client.profile.keys.require(project_id)
    options = deploy.ApplyOptions(cloud_dialect=client.profile.target.kind != "core", command="run402 functions deploy")
    manifest = NormalizedManifest({"project": project_id, "functions": patch}, None, None)
    release = deploy.apply(client, manifest, options, on_event or deploy.silent)
    return functions.deployed(client, name, release, timeout=timeout, memory=memory, schedule=schedule)


def deploy_dir(
    client: Client,
    project_id: str,
    path: str | PathLike[str],
    *,
    confirm_prune: bool = False,
    allow_warnings: bool = False,
    allow_warning_codes: Sequence[str] = (),
    on_event: OnEvent | None = None,
) -> dict[str, Any]:
    """Replace the site by the files of a directory.

    Content that the gateway has already is not sent again. A directory of fewer than 5 files needs `confirm_prune`: every
    other file of the site goes. So does one without many of the site's files (or `allow_warning_codes` with the warning's
    code). Returns {deployment_id, url, bytes_uploaded?, bytes_total?}. Raises CommandError PRUNE_CONFIRMATION_REQUIRED, and
    what `deploy.apply` raises. docs/deploy.md
    """
    from run402_cli import deploy
    from run402_cli.release.sources import walk

    folder = Path(path).absolute()
    count = len(walk(folder))
    if count < _FEW_FILES and not confirm_prune:
        raise CommandError(
            f"{path} has {count} file(s), and this deploy removes every other file of the site.",
            code="PRUNE_CONFIRMATION_REQUIRED",
            hint="Check the path. Pass confirm_prune=True to go on.",
            details={"local_file_count": count, "threshold": _FEW_FILES, "dir": str(path)},
        )
    with _deployer(client, project_id) as deployer:
        return deploy.replace_site(
            deployer,
            project_id,
            folder,
            command="run402 sites deploy-dir <path>",
            emit=on_event or deploy.silent,
            confirm_prune=confirm_prune,
            allow_warnings=allow_warnings,
            allow_warning_codes=allow_warning_codes,
        )


def up(
    client: Client,
    source: str = ".",
    *,
    project_id: str | None = None,
    name: str | None = None,
    manifest: str | None = None,
    tier: str | None = None,
    idempotency_key: str | None = None,
    yes: bool = False,
    mode: str = "apply",
    allow_warnings: bool = False,
    allow_warning_codes: Sequence[str] = (),
    max_spend_usd: float | None = None,
    allow_outside: bool = False,
    allow_env: Sequence[str] = (),
    on_event: OnEvent | None = None,
) -> dict[str, Any]:
    """Make the project ready, deploy a directory or repository by its manifest, check it: `run402 up`.

    `yes` agrees to every change that would be asked about. `allow_outside` lets the manifest name files outside of its git
    work tree; `max_spend_usd` is what all payments of the call may cost together; `allow_env` are variables of the
    environment that an app manifest may take for its secrets. `mode` is apply, check, printSpec or plan. Returns {action,
    mode, dry_run, target, steps, result}. Raises ValidationError RUN402_APPROVAL_REQUIRED without `yes`, and what the steps
    raise.
    docs/up.md
    """
    from run402_cli import deploy
    from run402_cli.up import UpOptions
    from run402_cli.up import up as run
    from run402_cli.uploads import TYPED

    options = UpOptions(
        source=source,
        project=project_id,
        name=name,
        manifest=manifest,
        tier=tier,
        idempotency_key=idempotency_key,
        yes=yes,
        mode=mode,
        allow_warnings=allow_warnings,
        allow_warning_codes=tuple(allow_warning_codes),
        max_spend_usd=max_spend_usd,
        bounds=TYPED if allow_outside else None,
        allow_env=tuple(allow_env),
        own_manifest=True,
    )
    return run(client, options, on_event or deploy.silent)


def _read(
    client: Client,
    manifest: Manifest,
    project_id: str | None,
    base_dir: str | PathLike[str] | None,
    *,
    outside: bool,
) -> NormalizedManifest:
    """The checked manifest. Raises ReleaseError, which callers see as one of this program's errors."""
    from run402_cli.deploy import scan
    from run402_cli.release.loading import Source, load
    from run402_cli.uploads import TYPED

    folder = None if base_dir is None else Path(base_dir).absolute()
    bounds = TYPED if outside else None
    if isinstance(manifest, Mapping):
        document = load(Source("spec", value=manifest, base_dir=folder, bounds=bounds))
    else:
        document = load(Source("manifest", path=str(Path(manifest).absolute()), base_dir=folder, bounds=bounds))
    project = project_id or document.project or os.environ.get("RUN402_PROJECT_ID") or client.profile.active.get()
    if not project:
        raise project_required()
    normalized = document.normalized(project)
    if document.own is not None and project_id is None and document.project is not None:
        from run402_cli.state import project_choice

        again = ("deploy", "apply", "--manifest", str(document.own), "--project", project)
        project_choice.require_agreed(client.profile, project, [document.own], *again)
    scan.require_clean(document.value, document.base_dir, bounds=document.bounds)
    return normalized


@contextlib.contextmanager
def _deployer(client: Client, project_id: str) -> Iterator[Client]:
    """Who deploys: the CI session in a GitHub Actions job unless a wallet was named, else the client itself.

    Raises CommandError NO_ALLOWANCE when nobody is signed in and the gateway wants a signature.
    """
    from run402_cli.services import ci_session
    from run402_cli.state import sessions

    if ci_session.in_github_actions() and client.profile.selection.source != "flag":
        from run402_cli.deploy import ci

        with ci_session.CiClient(project_id) as session, ci.guided(project_id):
            yield session
        return
    if not (client.delegate_token() or client.is_core or sessions.control_plane_session() is not None):
        client.require_wallet()
    yield client
