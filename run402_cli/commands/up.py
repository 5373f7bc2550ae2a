"""run402 up, run402 up verify: from a directory to a checked deployment."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

from run402_cli import advice, as_typed, output, secrecy, standard_input
from run402_cli.commands._command import CommandGroup
from run402_cli.commands._options import AllowOutsideOpt, one_of
from run402_cli.errors import CommandError, FlagError, UsageError, Verdict
from run402_cli.services.terminal import TerminalClient
from run402_cli.up import UpOptions
from run402_cli.up import up as run_up
from run402_cli.up import verify as run_verify
from run402_cli.uploads import TYPED

app = CommandGroup()

_TIERS = ("prototype", "hobby", "team")
_BUILD_MODES = ("local", "remote", "sandbox")
_DEFAULT_BUDGET_S = 120.0

SourceArg = Annotated[
    str | None, typer.Argument(metavar="[SOURCE]", help="Directory or repository URL. Default: the current directory.")
]
DirOpt = Annotated[str | None, typer.Option("--dir", metavar="DIR", help="The same as SOURCE.")]
ManifestOpt = Annotated[
    str | None,
    typer.Option(
        "--manifest", metavar="FILE", help="Default: run402.json, run402.deploy.json or app.json of the directory."
    ),
]
NameOpt = Annotated[str | None, typer.Option("--name", metavar="NAME", help="Create a project with this name.")]
ProjectOpt = Annotated[str | None, typer.Option("--project", metavar="ID", help="Deploy to this project.")]
KeyOpt = Annotated[str | None, typer.Option("--idempotency-key", metavar="KEY", help="Makes a repeated run safe.")]
BudgetOpt = Annotated[
    str | None,
    typer.Option("--propagation-budget-s", metavar="SECONDS", help="How long to wait for the edge (default 120)."),
]
NoWaitOpt = Annotated[bool, typer.Option("--no-propagation-wait", help="Do not wait for the edge.")]
HumanOpt = Annotated[bool, typer.Option("--human", help="Print the outcome as plain text.")]
StreamOpt = Annotated[bool, typer.Option("--json-stream", help="Print events and the result as JSON lines on stdout.")]
QuietOpt = Annotated[bool, typer.Option("--quiet", "--final-only", help="No events on stderr.")]
JsonOpt = Annotated[bool, typer.Option("--json", help="JSON is the default; this changes nothing.")]


@app.command(
    "up",
    effect="write",
    auth=("principal", "anon_key"),
    spends=True,
    example=["run402 up --name my-app --yes", "run402 up ./site --project prj_123 --yes", "run402 up verify"],
)
def up(
    source: SourceArg = None,
    name: NameOpt = None,
    project: ProjectOpt = None,
    manifest: ManifestOpt = None,
    dir_: DirOpt = None,
    tier: Annotated[
        str | None, typer.Option("--tier", metavar="TIER", help="prototype (default), hobby or team; Cloud only.")
    ] = None,
    idempotency_key: KeyOpt = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Agree to every change that is asked for.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Check the manifest; send nothing.")] = False,
    print_spec: Annotated[bool, typer.Option("--print-spec", help="Print the release; send nothing.")] = False,
    plan: Annotated[bool, typer.Option("--plan", help="Make a plan to review; change nothing.")] = False,
    require_plan: Annotated[
        str | None, typer.Option("--require-plan", metavar="PLAN", help="Deploy exactly this reviewed plan.")
    ] = None,
    plan_fingerprint: Annotated[
        str | None, typer.Option("--plan-fingerprint", metavar="FP", help="The reviewed plan's fingerprint.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the steps; change nothing.")] = False,
    allow_warning: Annotated[
        list[str] | None, typer.Option("--allow-warning", metavar="CODE", help="Accept this warning. Repeatable.")
    ] = None,
    allow_warnings: Annotated[bool, typer.Option("--allow-warnings", help="Accept every warning.")] = False,
    allow_prune: Annotated[bool, typer.Option("--allow-prune", help="App manifests: recorded as agreed.")] = False,
    max_spend_usd: Annotated[
        str | None,
        typer.Option("--max-spend-usd", metavar="USD", help="All payments of the run together cost no more."),
    ] = None,
    build_mode: Annotated[
        str | None, typer.Option("--build-mode", metavar="MODE", help="App manifests: local, remote or sandbox.")
    ] = None,
    allow_shell_build: Annotated[
        bool, typer.Option("--allow-shell-build", help="App manifests: build commands may run in a shell.")
    ] = False,
    allow_env: Annotated[
        list[str] | None,
        typer.Option("--allow-env", metavar="NAME", help="App manifests: a secret may be taken from it. Repeatable."),
    ] = None,
    allow_outside: AllowOutsideOpt = False,
    propagation_budget_s: BudgetOpt = None,
    no_propagation_wait: NoWaitOpt = False,
    verify: Annotated[bool, typer.Option("--verify", help="After the deploy, wait until the edges agree.")] = False,
    human: HumanOpt = False,
    json_stream: StreamOpt = False,
    quiet: QuietOpt = False,
    json_: JsonOpt = False,
) -> None:
    """Deploy the app in a directory or repository: make sure of the project, link the directory, deploy, check.

    Every step is an event on stderr. Steps that change something ask first; --yes agrees to all of them. `run402 up verify`
    runs the manifest's HTTP checks again.
    """
    _one_source(source, dir_)
    if name is not None and not name.strip():
        raise CommandError(
            "--name is empty.", code="BAD_PROJECT_NAME", hint="Write --name my-app.", details={"field": "--name"}
        )
    one_of("--tier", tier, _TIERS, key="flag")
    one_of("--build-mode", build_mode, _BUILD_MODES, key="flag")
    spend = _amount("--max-spend-usd", max_spend_usd)
    budget = _amount("--propagation-budget-s", propagation_budget_s)
    if plan_fingerprint is not None and require_plan is None:
        raise UsageError("--plan-fingerprint belongs to --require-plan.", hint="Add --require-plan <plan id>.")
    mode = _mode(check=check, print_spec=print_spec, plan=plan, reviewed=require_plan is not None)
    _refuse_mixed_output(human=human, json_=json_, json_stream=json_stream)
    if dry_run and mode != "apply":
        raise UsageError(f"--dry-run and {_FLAGS[mode]} exclude each other.", details={"flag": "--dry-run"})
    mode = "legacyDryRun" if dry_run else mode
    if verify and mode not in ("apply", "applyReviewed"):
        raise UsageError("--verify needs a deploy.", details={"flag": "--verify", "mode": mode})
    if require_plan is not None and (allow_warning or allow_warnings):
        raise UsageError(
            "--require-plan deploys what was reviewed: warnings were accepted then.", details={"flag": "--require-plan"}
        )
    options = UpOptions(
        source=source or dir_ or ".",
        directory=dir_,
        name=name,
        project=project,
        manifest=manifest,
        tier=tier,
        idempotency_key=idempotency_key,
        yes=yes,
        confirm=_confirm if standard_input.is_terminal() and sys.stderr.isatty() else None,
        mode=mode,
        require_plan=require_plan,
        plan_fingerprint=plan_fingerprint,
        allow_warnings=allow_warnings,
        allow_warning_codes=tuple(allow_warning or ()),
        propagation_budget_s=_DEFAULT_BUDGET_S if budget is None else budget,
        propagation_wait=not no_propagation_wait,
        verify_edge=verify,
        allow_prune=allow_prune,
        bounds=TYPED if allow_outside else None,
        max_spend_usd=spend,
        build_mode=build_mode,
        allow_shell_build=allow_shell_build,
        allow_env=tuple(allow_env or ()),
        own_manifest=True,
        command=_typed("up", source or dir_, name=name, project=project, manifest=manifest) + (" --yes" if yes else ""),
    )
    with TerminalClient() as client:
        result = run_up(client, options, _emitter(json_stream=json_stream, quiet=quiet))
    _print(result, human=human, json_stream=json_stream)
    _exit_by_checks(result)
    if result["result"].get("edge_coherence", {}).get("coherent") is False:
        deploy = result["result"]["deploy"]
        again = advice.command(
            "deploy", "verify", deploy["operation_id"], "--project", result["result"]["project_id"], "--wait"
        )
        raise Verdict(2, "Deployed, but not every edge serves the release yet.", again)


@app.command(
    "verify",
    summary="Run the manifest's HTTP checks again without deploying.",
    effect="write",
    auth="principal",
    example="run402 up verify --project prj_123",
)
def verify(
    source: SourceArg = None,
    project: ProjectOpt = None,
    manifest: ManifestOpt = None,
    dir_: DirOpt = None,
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="App manifests only.")] = None,
    idempotency_key: Annotated[
        str | None, typer.Option("--idempotency-key", metavar="KEY", help="Accepted; nothing is written.")
    ] = None,
    propagation_budget_s: BudgetOpt = None,
    no_propagation_wait: NoWaitOpt = False,
    human: HumanOpt = False,
    json_stream: StreamOpt = False,
    quiet: QuietOpt = False,
    json_: JsonOpt = False,
) -> None:
    """Run the manifest's HTTP checks against the deployed site; nothing is deployed."""
    _one_source(source, dir_)
    budget = _amount("--propagation-budget-s", propagation_budget_s)
    _refuse_mixed_output(human=human, json_=json_, json_stream=json_stream)
    options = UpOptions(
        source=source or dir_ or ".",
        directory=dir_,
        name=name,
        project=project,
        manifest=manifest,
        idempotency_key=idempotency_key,
        propagation_budget_s=_DEFAULT_BUDGET_S if budget is None else budget,
        propagation_wait=not no_propagation_wait,
        command=_typed("up verify", source or dir_, name=name, project=project, manifest=manifest),
    )
    with TerminalClient() as client:
        result = run_verify(client, options, _emitter(json_stream=json_stream, quiet=quiet))
    _print(result, human=human and "app_result" in result["result"], json_stream=json_stream)
    _exit_by_checks(result)


_FLAGS = {
    "check": "--check",
    "printSpec": "--print-spec",
    "plan": "--plan",
    "applyReviewed": "--require-plan",
}


def _one_source(source: str | None, dir_: str | None) -> None:
    if source is not None and dir_ is not None:
        raise UsageError(
            f"SOURCE {source!r} and --dir {dir_!r} both name the app.",
            hint="Give only one of them.",
            details={"source": source, "dir": dir_},
        )


def _amount(flag: str, text: str | None) -> float | None:
    """The value of a flag that takes a number of 0 or more; BAD_FLAG otherwise."""
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < 0:
        raise FlagError(
            f"{flag} takes a number of 0 or more, not {text!r}.",
            hint=f"For example: {flag} 30",
            details={"flag": flag, "value": text},
        )
    return value


def _mode(*, check: bool, print_spec: bool, plan: bool, reviewed: bool) -> str:
    given = dict(zip(_FLAGS, (check, print_spec, plan, reviewed), strict=True))
    modes = [mode for mode, is_given in given.items() if is_given]
    if len(modes) > 1:
        flags = " and ".join(_FLAGS[mode] for mode in modes)
        raise UsageError(f"{flags} exclude each other.", hint="Give only one of them.", details={"modes": modes})
    return modes[0] if modes else "apply"


def _refuse_mixed_output(*, human: bool, json_: bool, json_stream: bool) -> None:
    flags = [flag for flag, given in (("--json", json_), ("--json-stream", json_stream)) if given]
    if human and flags:
        raise UsageError(
            f"--human and {flags[0]} exclude each other.",
            hint="Give only one of them.",
            details={"flags": ["--human", *flags]},
        )


def _typed(command: str, source: str | None, **flags: str | None) -> str:
    """The command line that continues this run."""
    if as_typed.words():
        return advice.command(*as_typed.words())
    words = [*command.split(), *([source] if source else [])]
    for flag, value in flags.items():
        words += [f"--{flag}", value] if value is not None else []
    return advice.command(*words)


def _confirm(question: str) -> bool:
    output.notice(f"{question} Go on? [y/N]")
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _emitter(*, json_stream: bool, quiet: bool) -> Callable[[dict[str, Any]], None]:
    if json_stream:
        return lambda event: output.emit_line({"type": "action.event", "event": event})
    return (lambda _event: None) if quiet else output.event


def _print(result: dict[str, Any], *, human: bool, json_stream: bool) -> None:
    if json_stream:
        output.emit_line({"type": "run402.up.result", "result": result})
    elif result["mode"] == "printSpec":
        output.emit(result["result"]["spec"])
    elif human and "app_result" in result["result"]:
        output.emit_text(_report(result["result"]["app_result"]))
    elif human and result["mode"] == "apply" and "deploy" in result["result"]:
        output.emit_text(_sentence(result["result"]["deploy"]))
    else:
        output.emit(result)


def _sentence(deploy: dict[str, Any]) -> str:
    urls = deploy.get("urls") or {}
    url = next((urls[key] for key in ("site", "subdomain", "deployment") if urls.get(key)), None)
    where = f"Deployed: {url}" if url else "Deployed."
    return f"{where}\nRelease {deploy.get('release_id')}"


_STATUS_LINES = {
    "planned": "The plan is ready; nothing was changed.",
    "blocked": "Blocked: nothing was changed.",
    "propagation_pending": "Deployed; the address is still spreading.",
    "deployed_unverified": "Deployed, but a check failed.",
}


def _report(app: dict[str, Any]) -> str:
    """What came of an app manifest, for a person."""
    origin = app["project"]["public_origin"]
    done = f"Installed: {origin}" if origin else "Installed."
    lines = [_STATUS_LINES.get(app["status"], done)]
    lines += [f"- {reason['message']}" for reason in app["diagnostics"]]
    for action in app["next_actions"]:
        lines.append(f"Next: {action.get('message', '')}")
        lines += [f"  {action['command']}"] if action.get("command") else []
    return "\n".join(lines)


def _exit_by_checks(result: dict[str, Any]) -> None:
    outcome = result["result"]
    unverified = outcome.get("app_result", {}).get("status") == "deployed_unverified"
    if result["mode"] == "apply" and (unverified or outcome.get("verify", {}).get("status") == "failed"):
        failed = [warning["message"] for warning in outcome["verify"]["warnings"]]
        actions = outcome.get("next_actions") or outcome["app_result"]["next_actions"]
        lines = [line for action in actions if (line := as_typed.line_of(action)) is not None]
        told = secrecy.CommandLine(as_typed.words()).path
        other = next((advice.command(*line.words) for line in lines if line.path != told), actions[0]["command"])
        raise Verdict(1, " ".join(failed), other)
