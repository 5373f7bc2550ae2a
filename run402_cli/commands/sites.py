"""run402 sites: deploy a static site only."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import typer

from run402_cli import advice, as_typed, output
from run402_cli.client import Client
from run402_cli.commands._command import CommandGroup
from run402_cli.commands._deploy import events, require_deployer, this_command
from run402_cli.commands._options import (
    AllowOutsideOpt,
    AllowWarningOpt,
    AllowWarningsOpt,
    ProjectOpt,
    QuietOpt,
    load_json,
    read_text_file,
    resolve_project,
)
from run402_cli.errors import CommandError, FlagError, UsageError
from run402_cli.services.terminal import TerminalClient

app = CommandGroup()

_FEW_FILES = 5

TargetOpt = Annotated[
    str | None, typer.Option("--target", metavar="NAME", help="Refused: there is one target.", hidden=True)
]
InheritOpt = Annotated[bool, typer.Option("--inherit", help="Refused: the site is always replaced.", hidden=True)]


@app.command(
    "deploy",
    summary="Deploy files listed in a JSON manifest.",
    effect="write",
    auth=("principal", "anon_key"),
    spends=True,
    example=["run402 sites deploy --manifest site.json", "echo '{\"files\":[...]}' | run402 sites deploy"],
)
def deploy_manifest(
    manifest: Annotated[
        str | None, typer.Option("--manifest", metavar="FILE", help="JSON {files: [...]}. Default: standard input.")
    ] = None,
    project: ProjectOpt = None,
    allow_warning: AllowWarningOpt = None,
    allow_warnings: AllowWarningsOpt = False,
    allow_outside: AllowOutsideOpt = False,
    quiet: QuietOpt = False,
    target: TargetOpt = None,
    inherit: InheritOpt = False,
) -> None:
    """Replace the site by the files of a JSON manifest.

    Removing more than a tenth of the site's files, or its entry page, wants --allow-warning with the code that is named.
    The manifest is {"files": [{"file": "index.html", "data": "..."}, {"file": "logo.png", "path": "img/logo.png"}]};
    data is text, or base64 with "encoding": "base64".
    """
    from pathlib import Path
    from tempfile import TemporaryDirectory

    from run402_cli.services import sites

    if inherit:
        raise FlagError("--inherit is gone: a site deploy replaces the whole site.", details={"flag": "--inherit"})
    with TerminalClient() as client:
        project_id = resolve_project(client.profile, project)
        _refuse_target(target)
        name = manifest if manifest is not None else "-"
        document = _json("--manifest", name)
        require_deployer(client, saved_core=True)
        with TemporaryDirectory(prefix="run402-deploy-stage-") as folder:
            base_dir = None if name == "-" else Path(name).absolute().parent
            files = sites.site_files(document)
            sites.stage(files, Path(folder), base_dir=base_dir, allow_outside=allow_outside)
            agreed = Agreed(allow_warnings, tuple(allow_warning or ()))
            _deploy(client, project_id, Path(folder), "run402 sites deploy", agreed, quiet=quiet)


def _json(flag: str, name: str) -> Any:
    text = read_text_file(flag, name)
    try:
        return load_json(text)
    except (ValueError, RecursionError) as exc:
        raise CommandError(
            f"{flag}: {name} is not valid JSON: {exc}.",
            code="BAD_JSON",
            details={"source": "stdin" if name == "-" else "manifest", "parse_error": str(exc)},
        ) from exc


@app.command(
    "deploy-dir",
    summary="Deploy a directory as the whole site.",
    effect="write",
    auth=("principal", "anon_key"),
    spends=True,
    example="run402 sites deploy-dir ./dist > result.json",
)
def deploy_directory(
    path: Annotated[str, typer.Argument(metavar="PATH", show_default=False)],
    project: ProjectOpt = None,
    quiet: QuietOpt = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change; nothing is stored.")] = False,
    confirm_prune: Annotated[
        bool, typer.Option("--confirm-prune", help="Remove the site's other files, and deploy fewer than 5 files.")
    ] = False,
    allow_warning: AllowWarningOpt = None,
    allow_warnings: AllowWarningsOpt = False,
    target: TargetOpt = None,
    inherit: InheritOpt = False,
) -> None:
    """Replace the site by the files of a directory. Content that the gateway has already is not sent again.

    .git, node_modules, .DS_Store and credential files are left out; symbolic links are refused.
    """
    from pathlib import Path

    from run402_cli.deploy.errors import release_errors
    from run402_cli.release.sources import walk

    if inherit:
        raise UsageError("--inherit is gone: a site deploy replaces the whole site.", details={"flag": "--inherit"})
    with TerminalClient() as client:
        project_id = resolve_project(client.profile, project)
        _refuse_target(target)
        require_deployer(client, saved_core=True)
        folder = Path(path).absolute()
        with release_errors():
            count = len(walk(folder))
        if dry_run:
            output.emit(_dry_run(client, project_id, folder, count))
            return
        if count < _FEW_FILES and not confirm_prune:
            raise CommandError(
                f"{path} has {count} file(s), and this deploy removes every other file of the site.",
                code="PRUNE_CONFIRMATION_REQUIRED",
                hint="Check the path. Add --confirm-prune to go on, or --dry-run to see what would change.",
                details={"local_file_count": count, "threshold": _FEW_FILES, "dir": path},
                next_actions=[advice.action("run_command", *as_typed.again("--confirm-prune", project=project_id))],
            )
        agreed = Agreed(allow_warnings, tuple(allow_warning or ()), confirm_prune)
        _deploy(client, project_id, folder, "run402 sites deploy-dir <path>", agreed, quiet=quiet)


def _refuse_target(target: str | None) -> None:
    if target is not None:
        raise CommandError(
            "--target is gone: a project has one site.", code="UNSUPPORTED_OPTION", field="target", hint="Leave it out."
        )


def _release(project_id: str, folder: Any) -> Any:
    from run402_cli.release.manifest import NormalizedManifest

    files = {"__source": "local-dir", "path": str(folder)}
    return NormalizedManifest({"project": project_id, "site": {"replace": files}}, None, None)


class Agreed(NamedTuple):
    """Which plan warnings the caller has agreed to."""

    allow_warnings: bool = False
    allow_warning_codes: tuple[str, ...] = ()
    confirm_prune: bool = False


def _deploy(client: Client, project_id: str, folder: Any, name: str, agreed: Agreed, *, quiet: bool) -> None:
    from run402_cli import deploy

    command = this_command(name)
    done = deploy.replace_site(client, project_id, folder, command=command, emit=events(quiet), **agreed._asdict())
    output.emit(done)


def _dry_run(client: Client, project_id: str, folder: Any, count: int) -> dict[str, Any]:
    from run402_cli import deploy

    options = deploy.ApplyOptions(cloud_dialect=True, command=this_command("run402 sites deploy-dir <path>"))
    plan = deploy.dry_run(client, _release(project_id, folder), options)
    missing = [entry for entry in plan["missing_content"] if isinstance(entry, dict) and entry.get("present") is False]
    return {
        "dry_run": True,
        "local_file_count": count,
        "plan_id": plan.get("plan_id"),
        "operation_id": plan.get("operation_id"),
        "manifest_digest": plan.get("manifest_digest"),
        "diff": plan["diff"],
        "warnings": plan["warnings"],
        "expected_events": plan.get("expected_events") or [],
        "missing_content_count": len(missing),
    }
