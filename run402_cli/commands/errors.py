"""run402 errors: grouped errors of a project, and the verdict on a release."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from run402_cli import advice, global_options, output
from run402_cli.client import Client
from run402_cli.commands import _errors_text as text
from run402_cli.commands._command import CommandGroup
from run402_cli.commands._options import ProjectOpt, instant, integer, one_of, resolve_project
from run402_cli.errors import FlagError, Run402Error, UsageError, Verdict
from run402_cli.services import errors as errors_service
from run402_cli.services.terminal import TerminalClient
from run402_cli.state.profile import current

app = CommandGroup()

_DURATION = re.compile(r"(\d{1,9})([smh]?)", re.ASCII)
_UNIT_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600}
_MAX_LIMIT = 200
_INTERVAL_S = 15
_FLOOR_S = 5


@dataclass(frozen=True, slots=True)
class Watch:
    """How long to watch and how often to look, in seconds."""

    window_s: int
    interval_s: int


@app.command(
    "errors",
    effect="read",
    auth="service_key",
    example=[
        "run402 errors --since 1h --function hello",
        "run402 errors --new-in active --watch 10m --fail-on-new",
    ],
)
def errors(
    fingerprint_id: Annotated[str | None, typer.Argument(metavar="[FINGERPRINT_ID]", show_default=False)] = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--since", metavar="TIME", help="Start of the window, or a span: 1h. Default: 24 hours before its end."
        ),
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="TIME", help="End of the window. Default: now.")
    ] = None,
    function: Annotated[str | None, typer.Option("--function", metavar="NAME", help="Only of this function.")] = None,
    kind: Annotated[
        str | None, typer.Option("--kind", metavar="KIND", help=f"One of: {', '.join(errors_service.KINDS)}.")
    ] = None,
    fingerprint: Annotated[
        str | None, typer.Option("--fingerprint", metavar="ID", help="Only this identity, as a list.")
    ] = None,
    new_in: Annotated[
        str | None,
        typer.Option("--new-in", metavar="RELEASE", help="What is new in this release; `active` is the live one."),
    ] = None,
    limit: Annotated[str | None, typer.Option("--limit", metavar="N", help="Rows, 1 to 200. Default: 50.")] = None,
    cursor: Annotated[
        str | None, typer.Option("--cursor", metavar="CURSOR", help="`next_cursor` of the page before.")
    ] = None,
    watch: Annotated[
        str | None, typer.Option("--watch", metavar="DURATION", help="Keep looking for this long: 90, 90s, 10m, 1h.")
    ] = None,
    interval: Annotated[
        str | None,
        typer.Option("--interval", metavar="DURATION", help="With --watch: pause between looks, at least 5s."),
    ] = None,
    fail_on_new: Annotated[
        bool, typer.Option("--fail-on-new", help="Exit 1 when the release has new errors, 2 without a verdict.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the gateway's page instead of text.")] = False,
    project: ProjectOpt = None,
) -> None:
    """Show the errors of a project's functions by identity, one of them in detail, or the verdict on a release.

    Prints text for people; --json prints the document.
    """
    filters = {
        "since": instant("--since", since),
        "until": instant("--until", until),
        "function": function,
        "kind": kind,
        "fingerprint": fingerprint,
        "new_in": new_in,
        "limit": limit,
        "cursor": cursor,
    }
    _check_combinations(fingerprint_id, [*filters.values(), watch, interval], new_in, watch, fail_on_new=fail_on_new)
    one_of("--kind", kind, errors_service.KINDS)
    query: dict[str, Any] = {**filters, "limit": integer("--limit", limit, high=_MAX_LIMIT)}
    watching = None if watch is None else Watch(_seconds("--watch", watch), _interval(interval))
    project_id = resolve_project(current(), project)
    with TerminalClient() as client:
        if fingerprint_id is not None:
            found = errors_service.detail(client, project_id, fingerprint_id)
            _show(found, as_json, text.detail(found))
        elif fail_on_new:
            _gate(client, project_id, query, watching, as_json=as_json)
        else:
            page = _page(client, project_id, query, watching)[0]
            _show(page, as_json, text.listing(page))


def _check_combinations(
    fingerprint_id: str | None,
    list_flags: list[str | None],
    new_in: str | None,
    watch: str | None,
    *,
    fail_on_new: bool,
) -> None:
    if fingerprint_id is not None and (fail_on_new or any(value is not None for value in list_flags)):
        raise UsageError(
            "A fingerprint id shows one error in detail; the filters belong to the list.",
            hint=f"`{advice.command('errors', fingerprint_id)}`, or with filters: "
            f"{advice.command('errors', '--fingerprint', fingerprint_id)}",
        )
    if fail_on_new and new_in is None:
        error = UsageError("--fail-on-new needs a release to judge.", hint="Add --new-in active, or a release id.")
        error.exit_code = 2
        raise error
    if watch is not None and new_in is None:
        raise UsageError("--watch needs a release to watch.", hint="Add --new-in active, or a release id.")


def _seconds(flag: str, value: str) -> int:
    match = _DURATION.fullmatch(value.strip().lower())
    seconds = int(match[1]) * _UNIT_SECONDS[match[2]] if match else 0
    if seconds <= 0:
        raise FlagError(
            f"{flag} takes a duration above 0 such as 90s, 10m or 1h, not {value!r}.",
            details={"flag": flag, "value": value},
        )
    return seconds


def _interval(value: str | None) -> int:
    seconds = _INTERVAL_S if value is None else _seconds("--interval", value)
    if seconds < _FLOOR_S:
        output.notice(f"--interval {value} is raised to {_FLOOR_S}s, the shortest pause.")
    return max(seconds, _FLOOR_S)


def _page(
    client: Client, project_id: str, query: dict[str, Any], watching: Watch | None, *, stop_on_new: bool = False
) -> tuple[Any, int]:
    if watching is None:
        return errors_service.page(client, project_id, **query), 1

    def report(number: int, elapsed: float, new: int | None) -> None:
        output.notice(f"poll {number}, {elapsed:.0f}s of {watching.window_s}s: {'?' if new is None else new} new")

    return errors_service.watch(
        client,
        project_id,
        query["new_in"],
        window_s=watching.window_s,
        interval_s=watching.interval_s,
        stop_on_new=stop_on_new,
        report=report,
    )


def _gate(client: Client, project_id: str, query: dict[str, Any], watching: Watch | None, *, as_json: bool) -> None:
    try:
        page, polls = _page(client, project_id, query, watching, stop_on_new=True)
    except Run402Error as exc:
        raise errors_service.no_verdict(exc) from exc
    new = errors_service.new_count(page)
    if new is None:
        raise errors_service.no_verdict(None)
    if new:
        _show(page, as_json, text.gate_failed(page, query["new_in"]))
        release = query["new_in"]
        raise Verdict(1, f"{new} new error identities in {release}.", advice.command("errors", "--new-in", release))
    watched = None if watching is None else (watching.window_s, polls)
    _show(page, as_json, text.gate_passed(page, query["new_in"], watched))


def _show(document: Any, as_json: bool, rendered: str) -> None:
    if as_json or global_options.current.reshapes or global_options.current.format_given:
        output.emit(document)
    else:
        output.emit_text(rendered)
