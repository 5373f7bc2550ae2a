"""run402 deploy: plan, upload and commit a release from a manifest; follow and resume it.

`run402 apply` is `deploy apply`.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from run402_cli import advice, as_typed, output, standard_input, text_files
from run402_cli.client import Client
from run402_cli.commands._command import CommandGroup
from run402_cli.commands._deploy import command_errors, events, require_deployer, this_command
from run402_cli.commands._options import (
    AllowOutsideOpt,
    AllowWarningOpt,
    AllowWarningsOpt,
    ProjectOpt,
    QuietOpt,
    resolve_project,
)
from run402_cli.errors import CommandError, UsageError, Verdict
from run402_cli.secrecy import CommandLine
from run402_cli.services.terminal import TerminalClient
from run402_cli.state.profile import current
from run402_cli.uploads import TYPED, Bounds

if TYPE_CHECKING:
    from run402_cli.deploy import ApplyOptions, Emit
    from run402_cli.release.loading import Document, Source
    from run402_cli.release.manifest import NormalizedManifest

app = CommandGroup()

_TEARDOWN = ("keep", "on_pass", "always")
_MAX_WORKERS = 64

ManifestOpt = Annotated[
    list[str] | None,
    typer.Option("--manifest", metavar="FILE", help="JSON manifest (- is stdin), or a .js or .ts config."),
]
SpecOpt = Annotated[list[str] | None, typer.Option("--spec", metavar="JSON", help="Inline manifest.")]
DirOpt = Annotated[list[str] | None, typer.Option("--dir", metavar="PATH", help="Astro build output directory.")]
FinalOnlyOpt = Annotated[bool, typer.Option("--final-only", help="The same as --quiet.")]
OperationArg = Annotated[str, typer.Argument(metavar="OPERATION_ID", show_default=False)]


@dataclass(frozen=True, slots=True)
class Mode:
    """What `deploy apply` should do: check, printSpec, plan, rehearse, applyReviewed or (default) apply."""

    name: str = "apply"
    plan_id: str | None = None


def _apply(
    manifest: ManifestOpt = None,
    spec: SpecOpt = None,
    directory: DirOpt = None,
    project: ProjectOpt = None,
    check: Annotated[bool, typer.Option("--check", help="Stop after reading the manifest; no request.")] = False,
    print_spec: Annotated[bool, typer.Option("--print-spec", help="Print the normalized spec; no request.")] = False,
    plan: Annotated[bool, typer.Option("--plan", help="Store a plan for review; nothing is deployed.")] = False,
    rehearse: Annotated[bool, typer.Option("--rehearse", help="Try the plan on a contained branch first.")] = False,
    teardown: Annotated[
        str | None,
        typer.Option("--teardown", metavar="WHEN", help="The branch afterwards: keep (default), on_pass, always."),
    ] = None,
    commit: Annotated[bool, typer.Option("--commit", help="With --rehearse: deploy when it passed.")] = False,
    require_plan: Annotated[
        str | None, typer.Option("--require-plan", metavar="PLAN_ID", help="Deploy exactly this reviewed plan.")
    ] = None,
    plan_fingerprint: Annotated[
        str | None,
        typer.Option("--plan-fingerprint", metavar="FP", help="With --require-plan: the plan's fingerprint."),
    ] = None,
    allow_warning: AllowWarningOpt = None,
    allow_warnings: AllowWarningsOpt = False,
    allow_outside: AllowOutsideOpt = False,
    concurrency: Annotated[
        str | None, typer.Option("--concurrency", metavar="N", help="Parallel uploads, 1 to 64. Default: 8.")
    ] = None,
    quiet: QuietOpt = False,
    final_only: FinalOnlyOpt = False,
) -> None:
    """Deploy a manifest: plan it, send the content that is missing, commit, follow until it is live.

    The manifest comes from --manifest, --spec or standard input; a JavaScript or TypeScript config is run in Node.js for its
    value, and --dir adds an Astro build. Progress events are JSON lines on stderr, the result is one document on stdout.
    Plan warnings that need a decision stop the deploy before anything is uploaded.
    """
    _check_teardown(teardown)
    mode = _mode(check=check, print_spec=print_spec, plan=plan, rehearse=rehearse, require_plan=require_plan)
    _check_combinations(mode, commit=commit, fingerprint=plan_fingerprint, allows=bool(allow_warning) or allow_warnings)
    source = _source(
        _once("--manifest", manifest), _once("--spec", spec), _once("--dir", directory), outside=allow_outside
    )
    workers = _count("--concurrency", concurrency, _MAX_WORKERS) or 8
    document = _load(source)
    normalized = _normalized(document, project)
    if mode.name == "check":
        path = None if document.own is None else str(document.own)
        output.emit({"ok": True, "mode": "check", "project_id": normalized.project, "manifest_path": path})
        return
    if mode.name == "printSpec":
        from run402_cli.release.manifest import printable

        output.emit(printable(normalized.spec))
        return
    _require_agreed(document, project)
    from run402_cli import deploy

    options = deploy.ApplyOptions(
        allow_warnings=allow_warnings,
        allow_warning_codes=tuple(allow_warning or ()),
        require_plan=mode.plan_id,
        plan_fingerprint=plan_fingerprint,
        concurrency=workers,
        teardown=teardown or "keep",
        commit_rehearsed=commit,
        command=this_command("run402 deploy apply"),
    )
    if mode.name != "plan":
        from run402_cli.deploy import scan

        scan.require_clean(document.value, document.base_dir, tree=source.build, bounds=document.bounds)
    with _deployer(normalized.project) as client:
        _run(client, mode, normalized, options, events(quiet or final_only))


_EXAMPLE = [
    "run402 deploy apply --manifest run402.deploy.json",
    "run402 apply --manifest run402.deploy.json --plan | jq .diff",
]
app.command(
    "apply",
    summary="Deploy a manifest.",
    effect="destructive",
    auth=("principal", "anon_key", "ci_session"),
    spends=True,
    example=_EXAMPLE,
)(_apply)


@contextlib.contextmanager
def _deployer(project_id: str) -> Iterator[Client]:
    """The client that deploys: the CI session in a GitHub Actions job, else whoever is signed in here."""
    from run402_cli.services import ci_session

    if ci_session.in_github_actions():
        from run402_cli.deploy import ci

        with ci_session.CiClient(project_id) as client, ci.guided(project_id):
            yield client
        return
    with TerminalClient() as client:
        require_deployer(client, core=True, session=True)
        yield client


def _run(client: Client, mode: Mode, normalized: NormalizedManifest, options: ApplyOptions, emit: Emit) -> None:
    from run402_cli import deploy

    if mode.name == "plan":
        made = deploy.plan(client, normalized, options)
        output.emit({**made, "next_actions": [_deploy_it(made)]} if made.get("plan_id") else made)
    elif mode.name == "rehearse":
        result = deploy.rehearse(client, normalized, options, emit)
        output.emit(result)
        if not result["ok"]:
            raise _failed(result["rehearsal"], result["plan_id"])
    else:
        output.emit(deploy.apply(client, normalized, options, emit))


def _deploy_it(plan: dict[str, Any]) -> dict[str, Any]:
    """The action that deploys a reviewed plan, from the same source as it was made from."""
    from run402_cli import deploy

    typed = as_typed.less("--plan", "--allow-warning", "--allow-warnings")
    action = deploy.apply_reviewed(plan, *typed)
    if not {"--manifest", "--spec", "--dir"} & {*CommandLine(typed).given} or "-" in typed:
        action["why"] += " The manifest comes from standard input: pipe the same one into it again."
    return action


def _check_teardown(value: str | None) -> None:
    if value is not None and value not in _TEARDOWN:
        raise UsageError(
            f"--teardown must be one of {', '.join(_TEARDOWN)}, not {value!r}.",
            details={"flag": "--teardown", "value": value},
        )


def _mode(*, check: bool, print_spec: bool, plan: bool, rehearse: bool, require_plan: str | None) -> Mode:
    """The one mode that the flags ask for; BAD_USAGE when they ask for two."""
    flags = (
        ("--check", check, "check"),
        ("--print-spec", print_spec, "printSpec"),
        ("--plan", plan, "plan"),
        ("--rehearse", rehearse, "rehearse"),
        ("--require-plan", require_plan is not None, "applyReviewed"),
    )
    chosen = [(flag, Mode(name, require_plan if name == "applyReviewed" else None)) for flag, on, name in flags if on]
    if len(chosen) > 1:
        first, second = chosen[0], chosen[1]
        existing: Any = first[1].name
        if first[1].plan_id is not None:
            existing = {"kind": existing, "planId": first[1].plan_id}
        raise UsageError(
            f"{first[0]} and {second[0]} ask for different things.",
            hint="Give one of --check, --print-spec, --plan, --rehearse and --require-plan.",
            details={"existing_mode": existing, "flag": second[0]},
        )
    return chosen[0][1] if chosen else Mode()


def _check_combinations(mode: Mode, *, commit: bool, fingerprint: str | None, allows: bool) -> None:
    if fingerprint is not None and mode.plan_id is None:
        raise UsageError(
            "--plan-fingerprint belongs to --require-plan.",
            hint="Add --require-plan <plan_id>.",
            details={"flag": "--plan-fingerprint"},
        )
    if mode.plan_id is not None and allows:
        raise UsageError(
            "A reviewed plan has its warnings accepted already.",
            hint="Leave --allow-warning and --allow-warnings out.",
            details={"flag": "--require-plan"},
        )
    if commit and mode.name != "rehearse":
        raise UsageError(
            "--commit says what to do after a rehearsal.",
            hint="Add --rehearse, or leave --commit out: a plain apply commits anyway.",
            details={"flag": "--commit"},
        )


def _once(flag: str, values: list[str] | None) -> str | None:
    if values and len(values) > 1:
        raise UsageError(f"{flag} is given twice.", hint="Give it once.", details={"flag": flag})
    return values[0] if values else None


def _source(manifest: str | None, spec: str | None, directory: str | None, *, outside: bool) -> Source:
    """Where the manifest comes from; BAD_USAGE when the flags name none, or two that exclude each other."""
    from run402_cli.release.loading import Source

    bounds = TYPED if outside else None
    if manifest is not None and spec is not None:
        raise UsageError(
            "--manifest and --spec both name a manifest.",
            hint="Give one of them.",
            details={"sources": ["--manifest", "--spec"]},
        )
    if manifest is not None and manifest != "-":
        return _file(manifest, directory, bounds)
    if spec is not None:
        return Source("spec", text=spec, build=directory, bounds=bounds)
    if manifest is None and directory is not None:
        return Source("dir", build=directory, bounds=bounds)
    if manifest == "-" or _stdin_is_a_document():
        data = standard_input.read("the manifest", "Or pass --manifest <file> or --spec '<json>'.")
        return Source("stdin", text=text_files.decoded(data, "-"), build=directory, bounds=bounds)
    raise UsageError(
        "There is no manifest to deploy.",
        hint="Give --manifest <file>, --spec '<json>', or pipe a manifest into the command.",
        details={},
        next_actions=[advice.run(*as_typed.again("--manifest", advice.Blank("file")))],
    )


def _file(manifest: str, directory: str | None, bounds: Bounds | None) -> Source:
    from run402_cli.release.loading import Source

    source = Source("manifest", path=manifest, build=directory, bounds=bounds)
    if source.is_program and directory is not None:
        raise UsageError(
            "--dir cannot be combined with a configuration program.",
            hint="Write the manifest as JSON, or put the build into the program.",
            details={"flag": "--dir", "manifest": manifest},
        )
    return source


def _stdin_is_a_document() -> bool:
    """A pipe or a file on standard input; a terminal, a socket or /dev/null is none."""
    try:
        mode = os.fstat(0).st_mode if standard_input.is_open() else 0
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode)


def _load(source: Source) -> Document:
    from run402_cli.release import loading

    with command_errors():
        return loading.load(source, output.notice)


def _normalized(document: Document, flag: str | None) -> NormalizedManifest:
    """The release for the project of --project, of the manifest, or of this machine."""
    from run402_cli.deploy.errors import release_errors

    with release_errors():
        named = document.project
        if named is not None and flag is not None and named != flag:
            raise UsageError(
                f"The manifest is for project {named} and --project says {flag}.",
                hint="Leave --project out, or change the manifest.",
                details={"spec_project_id": named, "flag_project_id": flag},
            )
        return document.normalized(flag if flag is not None else named or _default_project())


def _require_agreed(document: Document, flag: str | None) -> None:
    """A manifest that came along chooses the project after the user agreed; --project agrees."""
    own, named = document.own, document.project
    if own is None or named is None:
        return
    from run402_cli.state import project_choice

    if flag is None:
        again = ("deploy", "apply", "--manifest", str(own), "--project", named)
        project_choice.require_agreed(current(), named, [own], *again)
    else:
        project_choice.remember(current(), named, [own])


def _default_project() -> str:
    from run402_cli.services.ci_session import in_github_actions

    profile = current()
    if not in_github_actions():
        return resolve_project(profile, None)
    project_id = profile.active.get() or os.environ.get("RUN402_PROJECT_ID")
    if not project_id:
        raise CommandError(
            "No project is selected for this CI deploy.",
            code="CI_PROJECT_REQUIRED",
            hint="Pass --project <id> in the workflow, or put project_id into the manifest.",
            next_actions=[advice.run(*as_typed.again("--project", advice.Blank("project_id")))],
            details={"sources": ["--project", "manifest.project_id", "active_project", "RUN402_PROJECT_ID"]},
        )
    return project_id


def _count(flag: str, text: str | None, high: int | None = None) -> int | None:
    """A positive whole number; this group reports a bad one as BAD_USAGE."""
    if text is None:
        return None
    value = int(text) if text.isascii() and text.isdigit() and len(text) <= 16 else 0
    if not 1 <= value <= min(high or 2**53 - 1, 2**53 - 1):
        most = f" and at most {high}" if high else ""
        raise UsageError(
            f"{flag} takes a whole number of at least 1{most}, not {text!r}.", details={"flag": flag, "value": text}
        )
    return value


@app.command(
    "resume",
    summary="Continue a deploy operation that stopped.",
    effect="write",
    auth=("principal", "anon_key"),
    example="run402 deploy resume op_123",
)
def resume(operation_id: OperationArg, project: ProjectOpt = None, quiet: QuietOpt = False) -> None:
    """Continue a deploy operation that stopped, and follow it to its end."""
    from run402_cli import deploy
    from run402_cli.services.apply import require_operation_id

    with TerminalClient() as client:
        project_id = resolve_project(client.profile, project)
        require_operation_id(operation_id)
        require_deployer(client, saved_core=True)
        output.emit(deploy.resume(client, project_id, operation_id, events(quiet)))


@app.command(
    "rehearse",
    summary="Try a stored plan on a contained branch.",
    effect="write",
    auth=("principal", "anon_key"),
    example="run402 deploy rehearse plan_123 --teardown on_pass",
)
def rehearse(
    plan_id: Annotated[str, typer.Argument(metavar="PLAN_ID", show_default=False)],
    project: Annotated[
        str | None, typer.Option("--project", metavar="ID", help="Project that an operator's approval must cover.")
    ] = None,
    teardown: Annotated[
        str | None, typer.Option("--teardown", metavar="WHEN", help="The branch afterwards: keep, on_pass or always.")
    ] = None,
) -> None:
    """Run a stored plan on a contained branch and report. The project is not touched."""
    from run402_cli.deploy import rehearsals
    from run402_cli.services import apply

    _check_teardown(teardown)
    with TerminalClient() as client:
        require_deployer(client, core=True, session=True)
        rehearsal = apply.rehearse(client, project, plan_id, {} if teardown is None else {"teardown": teardown})
    ok = rehearsals.passed(rehearsal)
    output.emit({"ok": ok, "rehearsal": rehearsal, "commit_command": rehearsals.commit_command(plan_id)})
    if not ok:
        raise _failed(rehearsal, plan_id)


def _failed(rehearsal: Any, plan_id: str) -> Verdict:
    report = rehearsal.get("report") if isinstance(rehearsal, dict) else None
    report = report if isinstance(report, dict) else {}
    parts = [each for key in ("migrations", "checks") for each in report.get(key) or [] if isinstance(each, dict)]
    failed = [str(each.get("id")) for each in parts if each.get("status") == "failed"]
    why = f"The rehearsal did not pass{': ' + ', '.join(failed) if failed else ''}; nothing was deployed."
    return Verdict(1, f"{why} Change the manifest, then rehearse it again.", _rehearse_again(plan_id))


def _rehearse_again(plan_id: str) -> str:
    if "--rehearse" in as_typed.words():
        return advice.command(*as_typed.words())
    return advice.command("deploy", "rehearse", plan_id)


@app.command(
    "promote",
    summary="Make an earlier release live again.",
    effect="destructive",
    auth="principal",
    example="run402 deploy promote rel_123 && run402 deploy verify <operation_id> --wait",
)
def promote(
    release_id: Annotated[str | None, typer.Argument(metavar="RELEASE_ID", show_default=False)] = None,
    project: ProjectOpt = None,
    allow_warning: AllowWarningOpt = None,
    allow_warnings: Annotated[
        bool, typer.Option("--allow-warnings", help="Go on although migrations stay, or something is removed.")
    ] = False,
    quiet: QuietOpt = False,
    final_only: FinalOnlyOpt = False,
) -> None:
    """Make an earlier release the live one again. Database migrations are not undone.

    What the live release has and the earlier one has not (functions, subdomains, files) goes: that wants --allow-warning.
    """
    from run402_cli.services import apply

    if release_id is None:
        raise UsageError(
            "Which release?", hint="run402 deploy promote rel_...", details={"example": "run402 deploy promote rel_123"}
        )
    if not release_id.startswith("rel_"):
        raise UsageError(
            f"{release_id!r} is not a release id: they start with rel_.",
            hint="See the live one: run402 deploy release active",
            details={"release_id": release_id},
        )
    from run402_cli.deploy.errors import continued_by_rerun

    with TerminalClient() as client, continued_by_rerun(this_command("run402 deploy promote")):
        project_id = resolve_project(client.profile, project)
        require_deployer(client, saved_core=True)
        codes = tuple(allow_warning or ())
        answer = apply.promote(client, project_id, release_id, allow_warning_codes=codes, allow_warnings=allow_warnings)
    if isinstance(answer, dict):
        keys = ("release_id", "previous_release_id", "operation_id", "warnings")
        events(quiet or final_only)({"type": "promote.committed", **{key: answer.get(key) for key in keys}})
    output.emit(answer)


@app.command(
    "list",
    summary="List deploy operations.",
    effect="read",
    auth=("principal", "anon_key"),
    example="run402 deploy list --limit 10",
)
def list_operations(
    project: ProjectOpt = None,
    limit: Annotated[str | None, typer.Option("--limit", metavar="N", help="At most this many.")] = None,
) -> None:
    """Deploy operations of the project, newest first."""
    from run402_cli.services import apply

    number = _count("--limit", limit)
    with TerminalClient() as client:
        project_id = resolve_project(client.profile, project)
        if client.delegate_token():
            raise CommandError(
                "A delegate token cannot list operations.",
                code="DELEGATE_SCOPE_INSUFFICIENT",
                hint="Read one operation by its id, or unset RUN402_DELEGATE_TOKEN.",
                details={
                    "command": "deploy list",
                    "credential": "delegate",
                    "route": "GET /apply/v1/operations",
                },
                next_actions=[advice.action("run_command", "deploy", "events", advice.Blank("operation_id"))],
            )
        require_deployer(client, saved_core=True)
        output.emit(apply.operations(client, project_id, limit=number))


@app.command(
    "events",
    summary="Recorded events of an operation.",
    effect="read",
    auth=("principal", "anon_key"),
    example="run402 deploy events op_123 | jq .events[].phase",
)
def operation_events(operation_id: OperationArg, project: ProjectOpt = None) -> None:
    """Recorded events of a deploy operation."""
    from run402_cli.services import apply

    with TerminalClient() as client:
        project_id = resolve_project(client.profile, project)
        apply.require_operation_id(operation_id)
        require_deployer(client, saved_core=True)
        output.emit(apply.operation_events(client, project_id, operation_id))


@app.command(
    "verify",
    summary="Whether gateway and edge agree on a release.",
    effect="read",
    auth=("principal", "anon_key"),
    example="run402 deploy verify op_123 --wait --timeout 120",
)
def verify(
    operation_id: Annotated[str | None, typer.Argument(metavar="OPERATION_ID", show_default=False)] = None,
    operation: Annotated[
        str | None, typer.Option("--operation", metavar="ID", help="The same as the argument.")
    ] = None,
    project: ProjectOpt = None,
    wait: Annotated[bool, typer.Option("--wait", help="Ask once a second until coherent.")] = False,
    timeout: Annotated[
        str | None, typer.Option("--timeout", metavar="SECONDS", help="With --wait: give up after. Default: 60.")
    ] = None,
) -> None:
    """Whether gateway and edge agree on the release of an operation."""
    if operation_id is not None and operation is not None and operation_id != operation:
        raise UsageError(
            "The argument and --operation name different operations.",
            hint="Give one of them.",
            details={"positional": operation_id, "operation": operation},
        )
    chosen = operation_id if operation_id is not None else operation
    if chosen is None:
        raise UsageError("Which operation?", hint="run402 deploy verify op_...")
    seconds = _count("--timeout", timeout) or _VERIFY_SECONDS
    with TerminalClient() as client:
        project_id = resolve_project(client.profile, project)
        from run402_cli.services.apply import require_operation_id
        from run402_cli.up import edge

        require_operation_id(chosen)
        require_deployer(client, saved_core=True)
        timeout_s = seconds if wait else None
        result = edge.coherence(client, project_id, chosen, timeout_s=timeout_s, emit=output.event)
    output.emit(result)
    if not result["coherent"]:
        pending = (result["report"] or {}).get("pending_count")
        why = (
            f"Not every edge serves the release of {chosen} yet{'' if pending is None else f': {pending} paths open'}."
        )
        again = ("deploy", "verify", chosen, "--project", project_id, "--wait")
        raise Verdict(2, why, advice.command(*again))


_VERIFY_SECONDS = 60


SiteLimitOpt = Annotated[
    str | None, typer.Option("--site-limit", metavar="N", help="At most this many site paths. Gateway default: 5000.")
]


@app.command(
    "release get",
    summary="What a release holds.",
    effect="read",
    auth=("principal", "anon_key"),
    example="run402 deploy release get rel_123",
)
def release_get(
    release_id: Annotated[str, typer.Argument(metavar="RELEASE_ID", show_default=False)],
    project: ProjectOpt = None,
    site_limit: SiteLimitOpt = None,
) -> None:
    """What a release holds: site paths, functions, secrets, subdomains, routes, migrations."""
    _print_release(release_id, project, site_limit)


@app.command(
    "release active",
    effect="read",
    auth=("principal", "anon_key"),
    example="run402 deploy release active | jq .release.site.paths",
)
def release_active(project: ProjectOpt = None, site_limit: SiteLimitOpt = None) -> None:
    """What the live release holds."""
    _print_release("active", project, site_limit)


def _print_release(release_id: str, project: str | None, site_limit: str | None) -> None:
    from run402_cli.services import apply

    limit = _count("--site-limit", site_limit)
    with TerminalClient() as client:
        project_id = resolve_project(client.profile, project)
        output.emit({"release": apply.release(client, project_id, release_id, site_limit=limit)})


@app.command(
    "release diff",
    effect="read",
    auth=("principal", "anon_key"),
    needed=("--from", "--to"),
    example="run402 deploy release diff --from rel_122 --to active",
)
def release_diff(
    old: Annotated[
        str | None, typer.Option("--from", metavar="RELEASE", help="Release id, active or empty. Required.")
    ] = None,
    new: Annotated[str | None, typer.Option("--to", metavar="RELEASE", help="Release id or active. Required.")] = None,
    project: ProjectOpt = None,
    limit: Annotated[
        str | None, typer.Option("--limit", metavar="N", help="At most this many site paths per kind of change.")
    ] = None,
) -> None:
    """What changed between two releases."""
    from run402_cli.services import apply

    number = _count("--limit", limit)
    if old is None or new is None:
        raise UsageError(
            "--from and --to are both needed.",
            hint="run402 deploy release diff --from empty --to active",
            details={"flag": "--from" if old is None else "--to"},
        )
    if new == "empty":
        raise UsageError(
            "--to cannot be empty: compare from empty to a release.", details={"flag": "--to", "value": "empty"}
        )
    with TerminalClient() as client:
        project_id = resolve_project(client.profile, project)
        output.emit({"diff": apply.release_diff(client, project_id, old=old, new=new, limit=number)})


MethodOpt = Annotated[str | None, typer.Option("--method", metavar="METHOD", help="HTTP method. Default: GET.")]


@app.command(
    "diagnose",
    summary="How the live release answers a URL.",
    effect="read",
    auth=("principal", "anon_key"),
    example="run402 deploy diagnose https://my-app.run402.com/about --method GET",
)
def diagnose(
    url: Annotated[str, typer.Argument(metavar="URL", show_default=False)],
    project: ProjectOpt = None,
    method: MethodOpt = None,
) -> None:
    """How the live release answers a public URL, and why."""
    _diagnose(project, url=url, host=None, path=None, method=method)


@app.command(
    "resolve",
    summary="The same, by URL or by host and path.",
    effect="read",
    auth=("principal", "anon_key"),
    example="run402 deploy resolve --host my-app.run402.com --path /about",
)
def resolve(
    url: Annotated[str | None, typer.Option("--url", metavar="URL", help="Absolute http(s) URL.")] = None,
    host: Annotated[str | None, typer.Option("--host", metavar="NAME", help="Host name, instead of --url.")] = None,
    path: Annotated[str | None, typer.Option("--path", metavar="PATH", help="With --host: absolute path.")] = None,
    project: ProjectOpt = None,
    method: MethodOpt = None,
) -> None:
    """The same as diagnose, by URL or by host and path."""
    if url is not None and (host is not None or path is not None):
        raise UsageError(
            "--url says host and path already.",
            hint="Give --url, or --host with --path.",
            details={"url": True, "host": host is not None, "path": path is not None},
        )
    if url is None and host is None:
        raise UsageError("Which address?", hint="Give --url <url>, or --host <name> with --path <path>.")
    _diagnose(project, url=url, host=host, path=path, method=method)


def _diagnose(project: str | None, *, url: str | None, host: str | None, path: str | None, method: str | None) -> None:
    from run402_cli.deploy import diagnosis

    with TerminalClient() as client:
        project_id = resolve_project(client.profile, project)
        found = diagnosis.diagnose(client, project_id, url=url, host=host, path=path, method=method)
    output.emit(found)
