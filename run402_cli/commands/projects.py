"""run402 projects: provision, select, query, expose, rename and delete projects."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, NoReturn

import click
import typer

from run402_cli import advice, as_typed, exact_json, global_options, output, standard_input
from run402_cli.client.row_stream import Rows
from run402_cli.commands._command import Command, CommandGroup
from run402_cli.commands._options import (
    OverwriteOpt,
    ProjectOpt,
    Words,
    bad_project_id,
    decode_text,
    file_pieces,
    integer,
    no_more,
    one_of,
    parse_json_flag,
    read_text_file,
    regular_file,
    take_project,
)
from run402_cli.errors import ApiError, CommandError, FlagError, UsageError, Verdict, no_allowance
from run402_cli.services import expose, projects
from run402_cli.services.terminal import TerminalClient
from run402_cli.state.profile import current

app = CommandGroup()

_WINDOWS = ("24h", "7d", "30d", "90d")
_PAYMENT_STATES = ("settling", "settled", "settle_failed", "ambiguous")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_NAME_MAX = 128
_HTTP_VALUE = re.compile(r"[!-~]([ -~]*[!-~])?")

ProjectWord = Annotated[list[str] | None, typer.Argument(metavar="[PROJECT]", show_default=False)]
UsedProject = Annotated[list[str] | None, typer.Argument(metavar="PROJECT", show_default=False)]
QueryWord = Annotated[list[str] | None, typer.Argument(metavar="[SQL]", show_default=False)]
LoadWords = Annotated[list[str] | None, typer.Argument(metavar="TABLE FILE", show_default=False)]
TableWords = Annotated[list[str] | None, typer.Argument(metavar="TABLE [QUERY]", show_default=False)]
ManifestWord = Annotated[list[str] | None, typer.Argument(metavar="[MANIFEST]", show_default=False)]
EmailWord = Annotated[list[str] | None, typer.Argument(metavar="EMAIL", show_default=False)]
FileOpt = Annotated[
    str | None, typer.Option("--file", metavar="FILE", help="Read it from a file, or from stdin with -.")
]


def _reject_bare(words: list[str]) -> None:
    if words and not words[0].startswith("prj_"):
        raise bad_project_id(words[0])
    no_more(words[1:])


def _reject_stray(words: list[str], project: str | None, file: str | None) -> None:
    """Without --project, a first word that is no project id must be the one inline text and nothing else."""
    inline = _without_project(words)
    if file is not None and inline:
        problem = f"The text {inline[0]!r} and --file {file} exclude each other: both say what to send."
        rest = advice.action("run_command", *as_typed.again(without=(inline[0],)))
        raise UsageError(problem, hint="Give one of them.", next_actions=[rest] if as_typed.words() else ())
    if project is None and words and not words[0].startswith("prj_") and len(words) > 1:
        raise bad_project_id(words[0])


def _without_project(words: list[str]) -> list[str]:
    return words[1:] if words and words[0].startswith("prj_") else words


def _project(project: str | None, words: list[str]) -> str:
    return take_project(current(), project, words)[0]


def _only_project(project: str | None, words: list[str] | None) -> str:
    """The project of a command that takes no other word."""
    _reject_bare(words or [])
    return _project(project, words or [])


# -- inventory ----------------------------------------------------------------------------------------------------------


@app.command(
    "quote", summary="Tier prices and limits.", effect="read", auth=(), example="run402 projects quote | jq .tiers"
)
def quote() -> None:
    """Prices and limits of the tiers. Free, needs no wallet."""
    with TerminalClient() as client:
        output.emit(projects.quote_tiers(client))


@app.command(
    "provision",
    summary="Create a project, cache its keys, make it active.",
    effect="write",
    auth="principal",
    spends=True,
    reveals=True,
    example=[
        "run402 projects provision --name my-app",
        "run402 projects provision --name my-app --fields project_id,anon_key",
    ],
)
def provision(
    tier: Annotated[str | None, typer.Option("--tier", metavar="TIER", help="Default: prototype.")] = None,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="Display name, at most 128 characters.")
    ] = None,
    org: Annotated[
        str | None, typer.Option("--org", metavar="ID", help="Existing organization. Default: your own.")
    ] = None,
    idempotency_key: Annotated[
        str | None,
        typer.Option(
            "--idempotency-key",
            metavar="KEY",
            help="The same key and body return the same project. Default with --name: provision:<name>.",
        ),
    ] = None,
) -> None:
    """Create a project: a PostgreSQL schema with its anon and service key. Caches the keys and makes the project active."""
    if org == "":
        raise UsageError(
            "--org is empty.", hint="Pass an organization id, or leave --org out.", details={"field": "--org"}
        )
    _check_name(name)
    _check_idempotency_key(idempotency_key)
    with TerminalClient() as client:
        output.emit(
            projects.provision(client, tier=tier, name=name, org_id=org, idempotency_key=idempotency_key or None)
        )


def _check_idempotency_key(key: str | None) -> None:
    if key and not _HTTP_VALUE.fullmatch(key):
        raise FlagError(
            "--idempotency-key may hold visible ASCII characters only.", details={"flag": "--idempotency-key"}
        )


def _check_name(name: str | None) -> None:
    if name is None:
        return
    length = len(name.encode("utf-16-le", "surrogatepass")) // 2
    if not name:
        problem, details = "is empty", {}
    elif length > _NAME_MAX:
        problem, details = f"has {length} characters; {_NAME_MAX} are allowed", {"length": length, "max": _NAME_MAX}
    elif _CONTROL.search(name):
        problem, details = "holds a control character", {}
    else:
        return
    raise CommandError(
        f"--name {problem}.",
        code="BAD_PROJECT_NAME",
        hint=f"Pass a name of 1 to {_NAME_MAX} characters, or leave --name out.",
        details={"field": "--name", **details},
    )


@app.command(
    "use",
    summary="Make a project the active one.",
    effect="write",
    auth="principal",
    example="run402 projects use prj_123",
)
def use(words: UsedProject = None) -> None:
    """Check a project, given its id, on the server and make it the active one. Needs no cached keys."""
    if not words:
        raise UsageError(
            "The project id is missing.", hint="run402 projects use <project_id>; ids: run402 projects list"
        )
    no_more(words[1:])
    with TerminalClient() as client:
        output.emit(projects.use(client, words[0]), compact=True)


@app.command(
    "list",
    summary="List projects on the server.",
    effect="read",
    auth="principal",
    example="run402 projects list | jq -r '.projects[].project_id'",
)
def list_(
    org: Annotated[str | None, typer.Option("--org", metavar="ID", help="Only this organization.")] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Projects of every wallet of the operator's e-mail address.")
    ] = False,
) -> None:
    """List projects on the server; `active` marks the one that commands use by default. At most one page of 50."""
    if everything and org is not None:
        raise UsageError("--all and --org exclude each other.", hint="Give one of them.")
    with TerminalClient() as client:
        output.emit(projects.list_projects(client, org_id=org, everything=everything))


@app.command(
    "get",
    summary="Read one project.",
    effect="read",
    auth="principal",
    example=["run402 projects get | jq .usage", "run402 projects get --fields project_id,name,tier,status"],
)
def get(words: ProjectWord = None, project: ProjectOpt = None) -> None:
    """Read one project: name, organization, tier, status, site, usage. No secrets, and no cached keys needed."""
    project_id = _only_project(project, words)
    with TerminalClient() as client:
        output.emit(projects.get(client, project_id))


@app.command(
    "current",
    summary="The active project, checked on the server.",
    effect="read",
    auth="principal",
    example=[
        "run402 projects current | jq .validation.ok",
        "run402 projects current --fields active_project_id,validation.ok",
    ],
)
def current_() -> None:
    """Show the active project and whether the server confirms it."""
    with TerminalClient() as client:
        output.emit(projects.current(client))


@app.command(
    "rename",
    summary="Change a project's display name.",
    effect="write",
    auth="principal",
    needed="--name",
    example='run402 projects rename --name "New name"',
)
def rename(
    words: ProjectWord = None,
    project: ProjectOpt = None,
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="The new display name.")] = None,
) -> None:
    """Change the display name of a project."""
    _reject_bare(words or [])
    if not name:
        raise UsageError("--name is missing.", hint="run402 projects rename --name <name>")
    project_id = _project(project, words or [])
    with TerminalClient() as client:
        output.emit(projects.rename(client, project_id, name))


@app.command(
    "tenant-payments",
    summary="Payments received on priced routes.",
    effect="read",
    auth="principal",
    example="run402 projects tenant-payments --status settled --limit 20",
)
def tenant_payments(
    words: ProjectWord = None,
    project: ProjectOpt = None,
    status: Annotated[
        str | None, typer.Option("--status", metavar="STATE", help=f"One of {', '.join(_PAYMENT_STATES)}.")
    ] = None,
    limit: Annotated[
        str | None, typer.Option("--limit", metavar="N", help="1 to 200. The server's default is 50.")
    ] = None,
    after: Annotated[
        str | None, typer.Option("--after", metavar="CURSOR", help="next_cursor of the page before.")
    ] = None,
) -> None:
    """List the payments received on the priced routes of a project. Amounts are USD micros."""
    _reject_bare(words or [])
    count = integer("--limit", limit, low=1, high=200)
    one_of("--status", status, _PAYMENT_STATES, key="flag")
    project_id = _project(project, words or [])
    with TerminalClient() as client:
        output.emit(projects.tenant_payments(client, project_id, limit=count, after=after, status=status))


@app.command(
    "costs",
    summary="Revenue and cost of a project (platform admins).",
    effect="read",
    auth="admin",
    example="run402 projects costs --window 7d",
)
def costs(
    words: ProjectWord = None,
    project: ProjectOpt = None,
    window: Annotated[str, typer.Option("--window", metavar="SPAN", help="24h, 7d, 30d or 90d.")] = "30d",
) -> None:
    """Revenue, direct cost and margin of a project in USD micros. For platform admins."""
    _reject_bare(words or [])
    one_of("--window", window, _WINDOWS, key="flag")
    project_id = _project(project, words or [])
    with TerminalClient() as client:
        output.emit(projects.costs(client, project_id, window=window))


@app.command(
    "usage",
    summary="API calls and storage against the limits.",
    effect="read",
    auth="service_key",
    example="run402 projects usage",
)
def usage(words: ProjectWord = None, project: ProjectOpt = None) -> None:
    """API calls and storage of a project against its limits."""
    project_id = _only_project(project, words)
    with TerminalClient() as client:
        output.emit(projects.usage(client, project_id))


# -- database -----------------------------------------------------------------------------------------------------------


@app.command(
    "sql",
    summary="Run SQL with the service key.",
    effect="destructive",
    auth="service_key",
    passes_on=True,
    example=[
        'run402 projects sql "select count(*) from items"',
        "run402 projects sql 'select * from items where id = $1' --params '[7]'",
        "run402 projects sql --file schema.sql",
        "generate-sql | run402 projects sql",
        "run402 projects sql 'insert into items select * from unnest($1::text[])' --params-file titles.json",
    ],
)
def sql(
    words: QueryWord = None,
    project: ProjectOpt = None,
    file: FileOpt = None,
    stdin: Annotated[bool, typer.Option("--stdin", help="Read the SQL from stdin, the same as --file -.")] = False,
    params: Annotated[
        str | None, typer.Option("--params", metavar="JSON", help="JSON array: values for $1, $2, ...")
    ] = None,
    params_file: Annotated[
        str | None, typer.Option("--params-file", metavar="FILE", help="The same from a file, or from stdin with -.")
    ] = None,
) -> None:
    """Run SQL with the service key: one or several statements, DDL too. Row-level security does not apply.

    The SQL is one quoted word, a file, or what is piped in. An error carries PostgreSQL's message, position and hint.
    GRANT, roles, extensions, schemas and search_path are blocked; tables become reachable through REST by an expose manifest.
    """
    given = words or []
    source = _sql_source(_without_project(given), file, stdin)
    if source == params_file == "-":
        raise UsageError("Only one of --file and --params-file can be stdin.", hint="Put one of them into a file.")
    _reject_stray(given, project, source)
    inline = _without_project(given)
    text = read_text_file("--file", source) if source is not None else inline[0] if inline else _piped("The SQL")
    if not text.strip():
        raise UsageError("There is no SQL to run.", hint='run402 projects sql "<sql>", or --file <path>, or --stdin')
    _check_utf8("The SQL", text)
    values = _params(params, params_file)
    project_id = _project(project, given)
    with TerminalClient() as client:
        if global_options.current.streams:
            with projects.sql_rows(client, project_id, text, values) as rows:
                output.emit_rows(rows, lambda: [field["name"] for field in rows.around.get("fields") or ()])
            for warning in rows.around.get("warnings", ()):
                output.notice(warning["message"])
        else:
            output.emit(projects.sql(client, project_id, text, values))


def _sql_source(inline: list[str], file: str | None, stdin: bool) -> str | None:
    if not stdin:
        return file
    if file is not None or inline:
        raise UsageError("--stdin excludes a query and --file.", hint="Give the SQL in one way.")
    return "-"


def _piped(what: str) -> str:
    """What another program pipes into a command whose data is missing; empty when nothing comes."""
    return decode_text(what, "standard input", standard_input.piped())


def _params(text: str | None, file: str | None) -> list[Any] | None:
    if text is not None and file is not None:
        raise UsageError("--params and --params-file exclude each other.", hint="Give one of them.")
    flag = "--params" if file is None else "--params-file"
    text = text if file is None else read_text_file(flag, file)
    if not text and file is None:
        return None
    values = parse_json_flag(flag, text or "")
    if not isinstance(values, list):
        raise UsageError(
            f"{flag} must be a JSON array.",
            hint='Such as [1, "two", null], a value for each $1, $2, ...',
            details={"flag": flag},
        )
    return values


def _check_utf8(what: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UsageError(f"{what} is not valid UTF-8.", hint="Save it as a UTF-8 file and pass --file.") from None


@app.command(
    "load",
    summary="Load rows of a CSV or NDJSON file into a table.",
    effect="write",
    auth="service_key",
    example=[
        "run402 projects load items items.csv",
        "generate-rows | run402 projects load items - --format ndjson",
    ],
)
def load(
    words: LoadWords = None,
    project: ProjectOpt = None,
    format_: Annotated[
        str | None,
        typer.Option("--format", metavar="csv|ndjson", help="How the rows are written. Default: by the file's name."),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Load it although the same content was loaded there within a day.")
    ] = False,
) -> None:
    """Load rows into a table by COPY, all or none. Needs a local gateway; `-` is stdin.

    CSV has a header line with names of columns; an empty cell is NULL, "" an empty text. NDJSON has an object a line. Columns
    that are left out get their default. Rows that are refused are told by line. Row-level security does not apply.
    """
    given = words or []
    if len(given) < 2:
        raise UsageError("Table and file are needed.", hint="run402 projects load <table> <file.csv|file.ndjson|->")
    no_more(given[2:])
    table, name = given
    kind = format_ or _rows_by_name(name)
    if kind == "jsonl":
        kind = "ndjson"
    if kind is None:
        raise UsageError(
            f"The name {name!r} does not say how the rows are written.", hint="Add --format csv or --format ndjson."
        )
    projects.one_of_formats(kind)
    rows = _pieces_of(name)
    project_id = _project(project, [])
    with TerminalClient() as client:
        try:
            output.emit(projects.load(client, project_id, table, rows, format=kind, again=again))
        except ApiError as exc:
            if exc.code == "ALREADY_LOADED":
                exc.extra["next_actions"] = [{**advice.run(*as_typed.again("--again")), "confirms": True}]
            if exc.code == "LOAD_REJECTED":
                why = "Once the lines of details.rejects are corrected."
                exc.extra["next_actions"] = [advice.action("edit_request", *as_typed.again(), why=why)]
            raise


def _rows_by_name(name: str) -> str | None:
    kinds = {".csv": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson"}
    return kinds.get(Path(name).suffix.lower())


def _pieces_of(name: str) -> Iterator[bytes]:
    """A file or stdin piece by piece; what cannot be read is told before anything is sent."""
    if name == "-":
        return standard_input.pieces("the rows", "Or name a file.")
    return file_pieces("FILE", name)


@app.command(
    "rest",
    summary="Read or write a table through REST.",
    effect="destructive",
    auth=("anon_key", "service_key"),
    passes_on=True,
    example=[
        'run402 projects rest items --query "select=id,title&order=id.desc&limit=10"',
        'run402 projects rest items --method POST --body \'{"title":"hello"}\'',
        'run402 projects rest items --method DELETE --query "id=eq.7" --key-type service',
        "run402 projects rest items --method POST --body-file rows.csv --key-type service --return minimal",
        'run402 projects rest rpc/add --method POST --body \'{"a":1,"b":2}\'',
    ],
)
def rest(
    words: TableWords = None,
    project: ProjectOpt = None,
    query: Annotated[
        str | None, typer.Option("--query", metavar="QUERY", help="PostgREST query string, passed on as it is.")
    ] = None,
    method: Annotated[str, typer.Option("--method", metavar="METHOD", help="GET, POST, PATCH or DELETE.")] = "GET",
    body: Annotated[str | None, typer.Option("--body", metavar="JSON", help="JSON body of a POST or PATCH.")] = None,
    body_file: Annotated[
        str | None,
        typer.Option("--body-file", metavar="FILE", help="The body from a JSON or .csv file, or from stdin with -."),
    ] = None,
    key_type: Annotated[
        str, typer.Option("--key-type", metavar="anon|service", help="anon: policies apply. service: they do not.")
    ] = "anon",
    returning: Annotated[
        str | None,
        typer.Option(
            "--return",
            metavar="minimal|representation",
            help="What a write answers: nothing, or the changed rows. Default: representation.",
        ),
    ] = None,
) -> None:
    """Read or write a table or view through REST, or call a function with `rpc/<name>`.

    The first word is the table; the query string may follow as a second word. With the anon key only what the expose
    manifest allows is visible. Writes return the changed rows, or an empty text with --return minimal. A .csv file has a
    header line with the names of the columns.
    """
    given = words or []
    rest_words = _without_project(given)
    if not rest_words:
        raise UsageError("The table is missing.", hint='run402 projects rest <table> --query "select=*&limit=10"')
    no_more(rest_words[2:])
    one_of("--method", method, projects.REST_METHODS, key="flag")
    one_of("--key-type", key_type, projects.KEY_TYPES, key="flag")
    text = _rest_body(method, body, body_file)
    media = "text/csv" if _is_csv(body_file) else "application/json"
    filters = query if query is not None else rest_words[1] if len(rest_words) > 1 else None
    project_id = _project(project, given)
    with TerminalClient() as client:
        if method == "GET" and returning is None and global_options.current.streams:
            path = projects.rest_path(rest_words[0], query=filters, key_type=key_type)
            with projects.rest_rows(client, project_id, path, key_type=key_type) as found:
                (output.emit_rows if isinstance(found, Rows) else output.emit)(found)
            return
        output.emit(
            projects.rest_query(
                client,
                project_id,
                rest_words[0],
                query=filters,
                method=method,
                body_text=text,
                media=media,
                key_type=key_type,
                returning=returning,
            )
        )


def _is_csv(name: str | None) -> bool:
    """Rows as CSV with a header line, told by the name of the file."""
    return name is not None and name.lower().endswith(".csv")


def _rest_body(method: str, body: str | None, body_file: str | None) -> str | None:
    if body is None and body_file is None:
        return None
    if body is not None and body_file is not None:
        raise UsageError("--body and --body-file exclude each other.", hint="Give one of them.")
    if method not in ("POST", "PATCH"):
        raise UsageError(f"{method} takes no body.", hint="Add --method POST or --method PATCH.")
    if body is not None:
        parse_json_flag("--body", body, exact_json.loads)
        _check_utf8("--body", body)
        return body
    text = read_text_file("--body-file", body_file or "-")
    if _is_csv(body_file):
        return text
    try:
        exact_json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise CommandError(
            f"--body-file is not JSON: {exc}.", code="BAD_JSON", field="--body-file", details={"parse_error": str(exc)}
        ) from exc
    return text


@app.command(
    "schema",
    summary="Tables, columns, constraints and policies.",
    effect="read",
    auth="service_key",
    example="run402 projects schema | jq '.tables[].name'",
)
def schema(words: ProjectWord = None, project: ProjectOpt = None) -> None:
    """Tables of a project with columns, constraints, and row-level security policies."""
    project_id = _only_project(project, words)
    with TerminalClient() as client:
        output.emit(projects.schema(client, project_id))


# -- expose -------------------------------------------------------------------------------------------------------------


@app.command(
    "apply-expose",
    summary="Apply an expose manifest.",
    effect="write",
    auth="service_key",
    example="run402 projects apply-expose --file expose.json",
)
def apply_expose(words: ManifestWord = None, project: ProjectOpt = None, file: FileOpt = None) -> None:
    """Apply an expose manifest: which tables, views and functions REST may reach, and for whom.

    The manifest (one word of JSON, or a file) is the whole desired surface: what it leaves out is closed again.
    """
    given = words or []
    _reject_stray(given, project, file)
    inline = _without_project(given)
    if file is None and not inline:
        raise UsageError("There is no manifest.", hint="run402 projects apply-expose --file <path>")
    text = read_text_file("--file", file) if file is not None else inline[0]
    manifest = _manifest(text)
    project_id = _project(project, given)
    with TerminalClient() as client:
        output.emit(expose.apply(client, project_id, manifest))


def _manifest(text: str) -> Any:
    try:
        return expose.parse_manifest(text)
    except (ValueError, RecursionError) as exc:
        raise UsageError(
            f"The manifest is not JSON: {exc}.",
            hint="Quote it as one word, or pass --file <path>.",
            details={"parse_error": str(exc)},
        ) from exc


@app.command(
    "validate-expose",
    summary="Check an expose manifest without applying it.",
    effect="read",
    auth=("service_key", "principal"),
    example="run402 projects validate-expose --file expose.json --migration-file schema.sql",
)
def validate_expose(
    words: ManifestWord = None,
    project: ProjectOpt = None,
    file: FileOpt = None,
    migration_file: Annotated[
        str | None, typer.Option("--migration-file", metavar="FILE", help="SQL for reference checks; never run.")
    ] = None,
    migration_sql: Annotated[
        str | None, typer.Option("--migration-sql", metavar="SQL", help="The same as text. Never run.")
    ] = None,
) -> None:
    """Check an expose manifest without applying it: a word of JSON, --file, or stdin.

    With a project (--project, a prj_ word, or the active one) it is checked against the live schema; without any, against the
    migration SQL alone.
    """
    named, inline = _split_words(words or [])
    if inline is not None and file is not None:
        raise UsageError("Give the manifest as a word or with --file, not both.")
    if migration_file is not None and migration_sql is not None:
        raise UsageError("--migration-file and --migration-sql exclude each other.", hint="Give one of them.")
    if file == "-" and migration_file == "-":
        raise UsageError("Only one of --file and --migration-file can be stdin.")
    if migration_file not in (None, "-"):
        regular_file("--migration-file", str(migration_file))
    text = inline if inline is not None else _manifest_text(file, stdin_taken=migration_file == "-")
    migration = read_text_file("--migration-file", migration_file) if migration_file is not None else migration_sql
    project_id = take_project(current(), project, [named])[0] if named else project or current().active.get()
    with TerminalClient() as client:
        if project_id is None and client.principal() is None:
            raise no_allowance()
        output.emit(expose.validate(client, text, project_id=project_id, migration_sql=migration))


def _split_words(words: list[str]) -> tuple[str | None, str | None]:
    """The project id and the manifest, which may come in either order."""
    named = next((word for word in words if word.startswith("prj_")), None)
    others = list(words)
    if named is not None:
        others.remove(named)
    if len(others) > 1:
        raise UsageError(f"Unexpected argument {others[1]!r}.", hint="Quote the manifest as one word, or use --file.")
    return named, others[0] if others else None


def _manifest_text(file: str | None, *, stdin_taken: bool) -> str:
    if file is not None:
        return read_text_file("--file", file)
    text = "" if stdin_taken or standard_input.is_terminal() else _piped_manifest()
    if not text:
        raise UsageError("There is no manifest.", hint="Pass it as one word of JSON, with --file <path>, or on stdin.")
    return text


def _piped_manifest() -> str:
    data = standard_input.read("the manifest", "Or pass --file <path>.")
    return decode_text("stdin", "-", data)


@app.command(
    "get-expose",
    summary="The expose manifest in force.",
    effect="read",
    auth="service_key",
    example="run402 projects get-expose | jq .manifest",
)
def get_expose(words: ProjectWord = None, project: ProjectOpt = None) -> None:
    """The expose manifest in force: the last one applied, or one rebuilt from the live database."""
    project_id = _only_project(project, words)
    with TerminalClient() as client:
        output.emit(expose.get(client, project_id))


# -- users, deletion, export --------------------------------------------------------------------------------------------


def _email(words: list[str], usage: str) -> str:
    rest = _without_project(words)
    if not rest or not rest[0]:
        raise UsageError("The e-mail address is missing.", hint=usage)
    no_more(rest[1:])
    return rest[0]


@app.command(
    "promote-user",
    summary="Give a user the project_admin role.",
    effect="write",
    auth="service_key",
    example="run402 projects promote-user ada@example.com",
)
def promote_user(words: EmailWord = None, project: ProjectOpt = None) -> None:
    """Give a user of the project, named by e-mail address, the role project_admin."""
    email = _email(words or [], "run402 projects promote-user <email>")
    project_id = _project(project, words or [])
    with TerminalClient() as client:
        output.emit(projects.promote_user(client, project_id, email), compact=True)


@app.command(
    "demote-user",
    summary="Take the project_admin role away.",
    effect="write",
    auth="service_key",
    example="run402 projects demote-user ada@example.com",
)
def demote_user(words: EmailWord = None, project: ProjectOpt = None) -> None:
    """Take the role project_admin away from a user of the project."""
    email = _email(words or [], "run402 projects demote-user <email>")
    project_id = _project(project, words or [])
    with TerminalClient() as client:
        output.emit(projects.demote_user(client, project_id, email), compact=True)


@app.command(
    "delete",
    summary="Delete a project and everything in it.",
    effect="destructive",
    auth="service_key",
    example="run402 projects delete --project prj_123 --confirm",
)
def delete(
    words: ProjectWord = None,
    project: ProjectOpt = None,
    confirm: Annotated[
        bool, typer.Option("--confirm", help="Confirm: nothing of the project can be brought back.")
    ] = False,
) -> None:
    """Delete a project with its database, functions, files, mailbox and secrets, and its cached keys."""
    project_id = _only_project(project, words)
    with TerminalClient() as client:
        output.emit(projects.delete(client, project_id, confirmed=confirm), compact=True)


@app.command("export", effect="write", auth="principal", example="run402 projects export --output backup.r402ar")
def export(
    words: ProjectWord = None,
    project: ProjectOpt = None,
    scope: Annotated[
        str, typer.Option("--scope", metavar="SCOPE", help="portable-runtime-v1.")
    ] = "portable-runtime-v1",
    auth: Annotated[str, typer.Option("--auth", metavar="MODE", help="Users: stubs or none.")] = "stubs",
    consistency: Annotated[
        str, typer.Option("--consistency", metavar="MODE", help="pause-writes or cloud_write_pause_v1.")
    ] = "pause-writes",
    idempotency_key: Annotated[
        str | None, typer.Option("--idempotency-key", metavar="KEY", help="The same key returns the same archive.")
    ] = None,
    output_file: Annotated[
        str | None, typer.Option("--output", metavar="FILE", help="Wait, and save the archive here.")
    ] = None,
    overwrite: OverwriteOpt = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the archive is ready.")] = False,
    poll_interval: Annotated[
        str, typer.Option("--poll-interval", metavar="MS", help="Time between looks, at least 100.")
    ] = "1000",
    timeout: Annotated[
        str, typer.Option("--timeout", metavar="MS", help="How long to wait, at least 1000.")
    ] = "600000",
    json_stream: Annotated[
        bool, typer.Option("--json-stream", help="Progress events on stdout, one JSON line each.")
    ] = False,
) -> None:
    """Export a project as a portable archive. Add --wait or --output to wait until it is ready."""
    from run402_cli.services import archives  # of this one command

    rest = _without_project(words or [])
    if rest:
        raise UsageError(f"Unexpected argument {rest[0]!r}.", hint="Name the project with --project.")
    one_of("--scope", scope, archives.SCOPES)
    one_of("--auth", auth, archives.AUTH_MODES)
    one_of("--consistency", consistency, archives.CONSISTENCY_MODES)
    _check_idempotency_key(idempotency_key)
    poll_ms, timeout_ms = integer("--poll-interval", poll_interval, low=100), integer("--timeout", timeout, low=1000)
    assert poll_ms is not None
    assert timeout_ms is not None
    spec = archives.Export(
        _project(project, words or []),
        scope=scope,
        auth=auth,
        consistency=consistency,
        idempotency_key=idempotency_key,
        wait=wait,
        output=_output_path(output_file),
        overwrite=overwrite,
        poll_interval_ms=poll_ms,
        timeout_ms=timeout_ms,
    )
    with TerminalClient() as client:
        document, _ended = archives.export(client, spec, output.emit_line if json_stream else None)
    if not json_stream:
        output.emit(document)
    if not document["ok"]:
        look = ("cloud", "archives", "status", document["archive_id"], "--project", document["project_id"])
        raise Verdict(1, f"The archive is {document['archive_status']}, not ready.", advice.command(*look))


def _output_path(name: str | None) -> Path | None:
    if name is None:
        return None
    path = Path(name).absolute()
    if path.is_dir():
        raise CommandError(f"--output: {name!r} is a directory.", code="NOT_A_FILE", field="--output")
    return path


# -- commands of older versions -----------------------------------------------------------------------------------------


def _moved(old: str, new: str) -> NoReturn:
    now = advice.command(*new.split(), "--project", advice.Blank("id"))
    raise CommandError(
        f"`{advice.command(*old.split())}` is now `{now}`: it reads the local key cache, not the server.",
        code="COMMAND_MOVED",
        hint=now,
        details={"old_command": old, "new_command": new, "source": "local_cache"},
        next_actions=[
            advice.run("credentials", "project-keys", "status", "--project", advice.Blank("id")),
            advice.run("credentials", "project-keys", "export", "--project", advice.Blank("id"), "--reveal"),
        ],
    )


@app.command("info", example="run402 credentials project-keys status --project prj_123", hidden=True)
def info(_words: Words = None) -> None:
    """Moved to credentials project-keys status."""
    _moved("projects info", "credentials project-keys status")


@app.command("keys", example="run402 credentials project-keys export --project prj_123 --reveal", hidden=True)
def keys(_words: Words = None) -> None:
    """Moved to credentials project-keys export."""
    _moved("projects keys", "credentials project-keys export --reveal")


class _Removed(Command):
    """A command that is gone: says so before it looks at any argument, --help included."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        raise CommandError(
            "`run402 projects pin` is gone: a lease belongs to the organization.",
            code="REMOVED_COMMAND",
            hint="run402 admin lease-perpetual <org_id> --enable",
        )


@typer.Typer.command(app, "pin", cls=_Removed, hidden=True)
def pin() -> None:
    """Gone; see admin lease-perpetual."""
