"""run402 core: the embedded local gateway as a background process, and imports into self-hosted gateways."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import unquote, urlsplit

import typer

from run402_cli import advice, as_typed, global_options, output, secrecy
from run402_cli.commands._command import CommandGroup
from run402_cli.commands._options import integer, no_more
from run402_cli.errors import CommandError, FlagError, UsageError, Verdict

app = CommandGroup()

_DEFAULT_LINES = 200

DataDirOpt = Annotated[
    str | None,
    typer.Option("--data-dir", metavar="DIR", help="Default: RUN402_CORE_DATA_DIR, then the user data directory."),
]
OpenOpt = Annotated[
    bool, typer.Option("--open", help="Ask no local program for a credential: for clients that know no control token.")
]
TimeoutOpt = Annotated[
    str | None,
    typer.Option(
        "--statement-timeout",
        metavar="SECONDS",
        help="What a statement of a request may take at most, 1 to 300. Default: 30.",
    ),
]


@app.command(
    "start",
    summary="Start the local gateway and wait until it is healthy.",
    effect="write",
    auth=(),
    example=[
        "run402 core start --use",
        "run402 core start --port 4021 --data-dir ./gateway",
        "run402 core start --require-payment",
    ],
)
def start(
    port: Annotated[
        str | None,
        typer.Option("--port", metavar="N", help="Port on 127.0.0.1. Default: the last one, else 4020; 0: a free one."),
    ] = None,
    data_dir: DataDirOpt = None,
    database_url: Annotated[
        str | None,
        typer.Option("--database-url", metavar="URL", help="Use this PostgreSQL (16 or newer), not the embedded one."),
    ] = None,
    require_payment: Annotated[
        bool,
        typer.Option("--require-payment", help="Charge for new projects by x402; verified here, on no chain."),
    ] = False,
    open_: OpenOpt = False,
    statement_timeout: TimeoutOpt = None,
    foreground: Annotated[
        bool, typer.Option("--foreground", help="Stay in the foreground until Ctrl-C or SIGTERM.")
    ] = False,
    use: Annotated[
        bool, typer.Option("--use", help="Also point the active wallet at it, as init --api-base does.")
    ] = False,
) -> None:
    """Start the local gateway with its PostgreSQL; return when it is healthy. A second start reports the running one."""
    number = integer("--port", port, low=0, high=65535)
    seconds = integer("--statement-timeout", statement_timeout, low=1, high=300)
    global_options.about_to_write(data_dir or "the gateway's data directory")

    def ready(state: dict[str, Any]) -> None:
        _warn_if_open(state)
        output.emit({**state, "use": _point_at(state)} if use else {**state, **_not_used(state, data_dir)})

    if use:
        _require_target_writable()
    with _core_errors(database_url):
        from run402_cli.core.daemon import launcher

        options = launcher.StartOptions(
            port=number,
            data_dir=_path(data_dir),
            database_url=database_url,
            require_payment=require_payment,
            open=open_,
            statement_seconds=seconds,
        )
        if foreground:
            launcher.run_foreground(options, ready)
        else:
            ready(launcher.start(options))


@app.command("stop", summary="Stop the local gateway.", effect="write", auth=(), example="run402 core stop")
def stop(data_dir: DataDirOpt = None) -> None:
    """Stop the local gateway and its PostgreSQL. Harmless when nothing runs."""
    with _core_errors():
        from run402_cli.core.daemon import launcher

        global_options.about_to_write(launcher.status(_path(data_dir))["data_dir"])
        output.emit(launcher.stop(_path(data_dir)))


@app.command(
    "status",
    summary="Whether the local gateway runs, and where.",
    effect="read",
    auth=(),
    example="run402 core status | jq .running",
)
def status(data_dir: DataDirOpt = None) -> None:
    """Whether the local gateway runs, is healthy, and where. Changes nothing."""
    with _core_errors():
        from run402_cli.core.daemon import launcher

        state = launcher.status(_path(data_dir))
        _warn_if_open(state)
        output.emit(state)


@app.command(
    "logs",
    summary="The last lines of the gateway log.",
    effect="read",
    auth=(),
    example="run402 core logs --lines 50 | jq -r '.lines[]'",
)
def logs(
    data_dir: DataDirOpt = None,
    lines: Annotated[
        str | None, typer.Option("--lines", metavar="N", help=f"How many lines. Default: {_DEFAULT_LINES}.")
    ] = None,
    postgres: Annotated[bool, typer.Option("--postgres", help="The log of its PostgreSQL instead.")] = False,
) -> None:
    """The last lines of the gateway's log."""
    count = integer("--lines", lines)
    with _core_errors():
        from run402_cli.core.daemon import launcher

        source: Any = "postgres" if postgres else "gateway"
        output.emit(launcher.logs(_path(data_dir), lines=_DEFAULT_LINES if count is None else count, source=source))


@app.command(
    "reset",
    summary="Stop the gateway and delete all of its data.",
    effect="destructive",
    auth=(),
    example="run402 core reset --yes",
)
def reset(
    data_dir: DataDirOpt = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Confirm: every project, row and file is deleted.")] = False,
) -> None:
    """Stop the local gateway and delete all of its data. Only what the gateway made is deleted."""
    if not yes:
        raise CommandError(
            "This deletes every project, row and file of the local gateway.",
            code="CONFIRMATION_REQUIRED",
            hint="If that is what you want: run402 core reset --yes",
            details={"flag": "--yes"},
            next_actions=[advice.action("run_command", "core", "reset", "--yes")],
        )
    with _core_errors():
        from run402_cli.core.daemon import launcher

        global_options.about_to_write(launcher.status(_path(data_dir))["data_dir"])
        output.emit(launcher.reset(_path(data_dir)))


@app.command("projects apply", example="run402 core projects import backup.r402ar --name shop", hidden=True)
@app.command(
    "projects import",
    summary="Import a portable archive as a new project.",
    effect="write",
    auth=(),
    example=[
        "run402 core projects import backup.r402ar --name shop",
        "run402 core projects import backup.r402ar --env-file required.env --require-runnable",
    ],
)
def import_project(
    words: Annotated[list[str] | None, typer.Argument(metavar="ARCHIVE_PATH", show_default=False)] = None,
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="Name of the new project.")] = "imported-project",
    env_file: Annotated[
        str | None, typer.Option("--env-file", metavar="FILE", help="Secret values, one NAME=value a line; - is stdin.")
    ] = None,
    secret: Annotated[
        list[str] | None, typer.Option("--secret", metavar="NAME=VALUE", help="One secret value; may be repeated.")
    ] = None,
    core_url: Annotated[
        str | None,
        typer.Option(
            "--core-url",
            metavar="URL",
            help="Default: RUN402_CORE_URL, the active local target, the gateway that runs here.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Let the gateway check the archive, import nothing.")
    ] = False,
    require_runnable: Annotated[
        bool, typer.Option("--require-runnable", help="Refuse while a required secret has no value.")
    ] = False,
    json_stream: Annotated[
        bool, typer.Option("--json-stream", help="Progress events on stdout, one JSON line each.")
    ] = False,
) -> None:
    """Import a portable archive into a self-hosted gateway as a new project."""
    if not words or not words[0]:
        raise UsageError("The archive's path is missing.", hint="run402 core projects import backup.r402ar")
    no_more(words[1:])
    secrets = dict(_secret(text) for text in secret or [])
    from run402_cli.services import archive_import
    from run402_cli.services.terminal import TerminalClient

    wish = archive_import.Import(words[0], name, env_file, secrets, core_url, dry_run, require_runnable)
    with TerminalClient() as client:
        result, done = archive_import.import_archive(client, wish, output.emit_line if json_stream else None)
    if not json_stream:
        output.emit({"ok": done, "import": result})
    if not done:
        found = [each for each in result.get("diagnostics") or [] if isinstance(each, dict)]
        why = next((each["message"] for each in found if isinstance(each.get("message"), str)), "Nothing was imported.")
        raise Verdict(1, why, _next(words[0], {each.get("code") for each in found}))


def _next(archive: str, codes: set[Any]) -> advice.Command:
    if "PROJECT_ALREADY_EXISTS" not in codes:
        return advice.command("archives", "verify", archive)
    told = secrecy.CommandLine(as_typed.words())
    return advice.command(*told.without_flag("--name"), "--name", advice.Blank("name"))


def _secret(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        # What stands where the name should be may be the secret.
        raise FlagError("--secret takes NAME=VALUE.", details={"flag": "--secret", "value": "[redacted]"})
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise FlagError(
            f"--secret: {name!r} cannot name a variable: letters, digits and _, not starting with a digit.",
            details={"flag": "--secret", "value": name},
        )
    return name, value


def _warn_if_open(state: dict[str, Any]) -> None:
    if state.get("open"):
        message = (
            f"The gateway on {state['url']} is open: every user and program of this machine may do everything on it. "
            f"To close it: {advice.command('core', 'stop')}, then {advice.command('core', 'start')}"
        )
        output.event({"type": "warning", "code": "GATEWAY_OPEN", "message": message})


def _path(data_dir: str | None) -> Path | None:
    return None if data_dir is None else Path(data_dir)


def _require_target_writable() -> None:
    """A target.json that cannot be replaced is said before a gateway is started for it."""
    from run402_cli.state.profile import current
    from run402_cli.state.target import load_target

    load_target(current().dir)


def _point_at(state: dict[str, Any]) -> dict[str, Any]:
    from run402_cli.services import target
    from run402_cli.services.terminal import TerminalClient

    with TerminalClient() as client:
        # In the foreground this runs inside the gateway's own loop, where a request to it would wait for itself.
        pointed = target.point_at(
            client, state["url"], known_healthy=state["healthy"], data_dir=Path(state["data_dir"])
        )
    return {**pointed, "payment_required": bool(state.get("require_payment"))}


def _not_used(state: dict[str, Any], data_dir: str | None) -> dict[str, Any]:
    """{target, next_actions} when the requests of the active wallet go somewhere else than to this gateway."""
    from run402_cli.services import target
    from run402_cli.state.profile import current

    chosen = target.elsewhere(current().dir, state["url"])
    if chosen is None:
        return {}
    where = [] if data_dir is None else ["--data-dir", data_dir]
    why = f"Requests go to {chosen['api_base']}; this points the active wallet at the gateway that was started."
    return {"target": chosen, "next_actions": [advice.run("core", "start", "--use", *where, why=why)]}


@contextlib.contextmanager
def _core_errors(database_url: str | None = None) -> Iterator[None]:
    """Failures of the gateway's process as command errors; the password of a database URL is taken out of them."""
    from run402_cli.core.errors import CoreProcessError

    try:
        yield
    except ImportError as exc:
        raise _missing({"missing": [exc.name]}) from exc
    except CoreProcessError as exc:
        if exc.code == "CORE_DEPENDENCIES_MISSING":
            raise _missing(exc.details) from exc
        hide = _secrets(database_url)
        raise CommandError(
            _hidden(exc.message, hide),
            code=exc.code,
            hint=_hidden(exc.hint, hide),
            details=_hidden(exc.details, hide) or None,
            next_actions=exc.next_actions,
        ) from None


def _missing(details: Any) -> CommandError:
    from run402_cli.services import installation

    return installation.missing_extra("core", "The local gateway", code="CORE_DEPENDENCIES_MISSING", details=details)


def _secrets(database_url: str | None) -> list[str]:
    """What must not be shown of a database URL: itself, and its password as written and as meant."""
    if not database_url:
        return []
    try:
        password = urlsplit(database_url).password
    except ValueError:
        password = None
    return [database_url, *(sorted({password, unquote(password)}, key=len, reverse=True) if password else [])]


def _hidden(value: Any, hide: list[str]) -> Any:
    if isinstance(value, str):
        for secret in hide:
            value = value.replace(secret, "***")
        return value
    if isinstance(value, dict):
        return {key: _hidden(item, hide) for key, item in value.items()}
    return [_hidden(item, hide) for item in value] if isinstance(value, list) else value
