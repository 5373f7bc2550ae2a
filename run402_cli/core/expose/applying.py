"""Apply, re-apply and read the expose manifest of a project. See docs/expose.md.

One row of internal.core_expose per project: the manifest as it was sent, and the surface that it made, so that the
next run touches only what differs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import anyio.to_thread
import psycopg

from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.expose import rows, tables
from run402_cli.core.expose.catalog import read_schema
from run402_cli.core.expose.checks import check
from run402_cli.core.expose.ddl_reader import Schema, read_migrations
from run402_cli.core.expose.introspect import introspect
from run402_cli.core.expose.model import ExposeReport, Issue, Manifest, Table, parse
from run402_cli.core.expose.privileges import converge_privileges
from run402_cli.core.projects.rows import Project
from run402_cli.core.sql.meaning import own_meaning

_ISSUE_OF_SQLSTATE = {"42703": "missing-column", "42P01": "missing-table"}
OWN = rows.Own()
# Errors that the manifest's own SQL can cause; anything else is not the sender's fault and is passed on.
_SENDER_CLASSES = ("42", "0A", "2B", "22")
# Of the owner's tables, temporary ones too: what runs when a transaction ends, after everything else in it.
_DEFERRED = """
SELECT EXISTS (SELECT FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
  WHERE t.tgdeferrable AND c.relowner = (SELECT oid FROM pg_roles WHERE rolname = session_user))
"""


@dataclass(frozen=True, slots=True)
class _Applied:
    """The last applied manifest of a project; `raw` is None when there is none."""

    raw: dict[str, Any] | None
    manifest: Manifest
    surfaces: dict[str, str]


@dataclass(slots=True)
class _Outcome:
    """Items that PostgreSQL refused, by name, and why."""

    failed: set[str] = field(default_factory=set)
    issues: list[Issue] = field(default_factory=list)


async def validate(conn: Connection, project: Project, manifest: object, migration_sql: str | None) -> ExposeReport:
    """Findings about a manifest against the live schema plus what `migration_sql` would create. Writes nothing."""
    schema = await read_schema(conn, project.schema_slot)
    if migration_sql:
        # A migration may hold megabytes of rows; reading them must not hold up other requests.
        await anyio.to_thread.run_sync(partial(read_migrations, migration_sql, schema, own_schema=project.schema_slot))
    parsed, report = parse(manifest, schema_slot=project.schema_slot)
    applied = _applied(await rows.find(conn, project.project_id), project)
    check(parsed, schema, report, managed_views=[view.name for view in applied.manifest.views])
    return report


def validate_alone(manifest: object, migration_sql: str | None) -> ExposeReport:
    """Findings about a manifest without a project: names are checked only against what `migration_sql` creates."""
    parsed, report = parse(manifest)
    schema = Schema()
    if migration_sql:
        read_migrations(migration_sql, schema)
        check(parsed, schema, report)
    elif parsed.tables or parsed.views or parsed.rpcs:
        report.warning(
            "validation-inconclusive",
            "No project and no migration SQL was given, so table, column and function names were not checked.",
            "Pass --project, or the migration with --migration-file.",
        )
    return report


async def apply(
    conn: Connection, project: Project, manifest: object, *, records: rows.Records = OWN, revocable: bool = False
) -> dict[str, Any]:
    """Make the manifest the authorization of the project: `{applied, dropped[, warnings]}`, each with names per section.

    `conn` logged in as the owner of the project's schema. All or nothing, inside the caller's transaction (its own one
    when there is none). `revocable`: `undo` goes back to the manifest before, until `rows.keep`.
    400 invalid_expose_manifest / EXPOSE_MANIFEST_INVALID with every violation in `errors`.
    """
    async with conn.transaction(), own_meaning(conn):
        await _lock(conn, project, records)
        applied = _applied(await records.find(conn), project)
        parsed, report = parse(manifest, schema_slot=project.schema_slot)
        schema = await read_schema(conn, project.schema_slot)
        check(parsed, schema, report, managed_views=[view.name for view in applied.manifest.views])
        _refuse(report.errors)
        assert isinstance(manifest, dict)
        outcome = _Outcome()
        made = await _converge(conn, project, applied, parsed, schema, outcome)
        _refuse(outcome.issues)
        await converge_privileges(conn, project, parsed)
        await records.put(conn, _known_sections(manifest), made, revocable=revocable)
        result: dict[str, Any] = {"applied": _names(parsed), "dropped": _dropped(applied.manifest, parsed)}
        if report.warnings:
            result["warnings"] = report.warnings
        return result


async def reapply(conn: Connection, project: Project, *, records: rows.Records = OWN) -> bool:
    """After migrations or admin SQL: the public roles may use only what is declared. `conn` as of `apply`.

    Declared policies, triggers and views that were changed or lost come back. What can no longer be made, because
    its table or columns are gone, stays hidden. Whether the end of the transaction can run something of the project:
    then it has to be done again after it.
    """
    async with conn.transaction(), own_meaning(conn):
        await _lock(conn, project, records)
        applied = _applied(await records.find(conn), project)
        outcome = _Outcome()
        if applied.raw is not None and not await _as_left(conn, project, applied):
            schema = await read_schema(conn, project.schema_slot)
            made = await _converge(conn, project, applied, applied.manifest, schema, outcome)
            if made != applied.surfaces:
                await records.put_surfaces(conn, made)
        await converge_privileges(conn, project, applied.manifest, outcome.failed)
        row = await (await conn.execute(_DEFERRED)).fetchone()
        return row is not None and bool(row[0])


async def _as_left(conn: Connection, project: Project, applied: _Applied) -> bool:
    """Whether all that the manifest declares is as the last run left it: then there is nothing to make."""
    tables_of, views_of = applied.manifest.tables, applied.manifest.views
    names, views = [table.name for table in tables_of], [view.name for view in views_of]
    live = await tables.surfaces(conn, project.schema_slot, names, views)
    return live == applied.surfaces and all(name in live for name in (*names, *views))


async def undo(conn: Connection, project: Project) -> None:
    """Back to the manifest before a revocable apply; what its tables do not allow any more stays hidden."""
    async with conn.transaction(), own_meaning(conn):
        await _lock(conn, project, OWN)
        owed, before = await OWN.before(conn)
        if not owed:
            return
        manifest, _ = parse(before or {"version": "1"}, schema_slot=project.schema_slot)
        outcome = _Outcome()
        schema = await read_schema(conn, project.schema_slot)
        made = await _converge(conn, project, _applied(await OWN.find(conn), project), manifest, schema, outcome)
        await converge_privileges(conn, project, manifest, outcome.failed)
        await OWN.put(conn, _known_sections(before or {}), made)


async def current(conn: Connection, project: Project) -> dict[str, Any]:
    """`{source, manifest}`: the last applied manifest, or one rebuilt from the database when none was ever applied."""
    applied = _applied(await rows.find(conn, project.project_id), project)
    if applied.raw is None:
        return {"source": "introspected", "manifest": await introspect(conn, project.schema_slot)}
    return {"source": "applied", "manifest": _known_sections(applied.raw)}


def _known_sections(manifest: dict[str, Any]) -> dict[str, Any]:
    """The part that was checked; an unknown section could be of any depth and size."""
    return {"version": "1", **{section: manifest.get(section) or [] for section in ("tables", "views", "rpcs")}}


async def _lock(conn: Connection, project: Project, records: rows.Records) -> None:
    slot = await records.lock(conn)
    if slot is None:
        raise GatewayError(404, "project_not_found", f"{project.project_id} was deleted meanwhile.")
    # Restored meanwhile: then this schema is not the project's any more.
    if slot != project.schema_slot:
        raise GatewayError(
            503,
            "database_busy",
            "A snapshot of this project was restored at the same moment. Nothing was changed; repeat the request.",
            retryable=True,
        )


def _applied(row: tuple[dict[str, Any], dict[str, str]] | None, project: Project) -> _Applied:
    if row is None:
        return _Applied(None, Manifest(), {})
    manifest, _ = parse(row[0], schema_slot=project.schema_slot)
    return _Applied(row[0], manifest, row[1])


def _refuse(errors: list[Issue]) -> None:
    if errors:
        raise GatewayError(
            400,
            "invalid_expose_manifest",
            f"The expose manifest was not applied, {len(errors)} problem{'s' * (len(errors) > 1)}: {errors[0]['detail']}",
            code="EXPOSE_MANIFEST_INVALID",
            errors=errors,
            hint="Nothing was changed. Fix every entry of errors, then apply again; "
            "`run402 projects validate-expose` checks without applying.",
        )


def _names(manifest: Manifest) -> dict[str, list[str]]:
    return {
        "tables": [table.name for table in manifest.tables],
        "views": [view.name for view in manifest.views],
        "rpcs": [rpc.name for rpc in manifest.rpcs],
    }


def _dropped(before: Manifest, now: Manifest) -> dict[str, list[str]]:
    tables = {table.name for table in now.tables}
    views = {view.name for view in now.views}
    rpcs = {(rpc.name, rpc.signature.types) for rpc in now.rpcs}
    return {
        "tables": [table.name for table in before.tables if table.name not in tables],
        "views": [view.name for view in before.views if view.name not in views],
        "rpcs": [rpc.name for rpc in before.rpcs if (rpc.name, rpc.signature.types) not in rpcs],
    }


async def _converge(
    conn: Connection, project: Project, applied: _Applied, wanted: Manifest, schema: Schema, outcome: _Outcome
) -> dict[str, str]:
    """Bring tables and views from `applied` to `wanted`; items that are as they were left stay untouched."""
    slot = project.schema_slot
    before_tables = {table.name: table for table in applied.manifest.tables}
    before_views = {view.name: view for view in applied.manifest.views}
    names = {*before_tables, *(table.name for table in wanted.tables)}
    live = await tables.surfaces(conn, slot, names, before_views)
    intact = {name for name, surface in live.items() if applied.surfaces.get(name) == surface}
    kept = {v.name for v in wanted.views if before_views.get(v.name) == v and v.name in intact}
    for view in before_views.values():
        if view.name not in kept:
            await _guarded(conn, outcome, view.name, partial(tables.drop_view, conn, slot, view))
    for name, table in before_tables.items():
        if name not in {wanted_table.name for wanted_table in wanted.tables}:
            await _hide(conn, slot, table, schema, outcome)
    for table in wanted.tables:
        before = before_tables.get(table.name)
        if not (before == table and table.name in intact):
            await _guarded(conn, outcome, table.name, partial(_remake, conn, slot, table, before, schema))
    for view in wanted.views:
        if view.name not in kept and view.name not in outcome.failed:
            await _guarded(conn, outcome, view.name, partial(tables.make_view, conn, slot, view))
    return await tables.surfaces(
        conn, slot, [table.name for table in wanted.tables], [view.name for view in wanted.views]
    )


async def _hide(conn: Connection, slot: str, table: Table, schema: Schema, outcome: _Outcome) -> None:
    gone = table.name not in schema.relations or schema.relations[table.name].kind != "table"
    if gone:
        await _guarded(conn, outcome, table.name, partial(tables.drop_owner_function, conn, slot, table))
    else:
        await _guarded(conn, outcome, table.name, partial(tables.clear_table, conn, slot, table.name, table))


async def _remake(conn: Connection, slot: str, table: Table, before: Table | None, schema: Schema) -> None:
    relation = schema.relations.get(table.name)
    if relation is None or relation.kind != "table":
        return
    await tables.clear_table(conn, slot, table.name, before)
    if table.expose:
        await tables.make_table(conn, slot, table, relation.columns.get(table.owner_column or "", ""))


async def _guarded(conn: Connection, outcome: _Outcome, name: str, action: Callable[[], Awaitable[None]]) -> None:
    """Run one item in a savepoint; what PostgreSQL refuses about it becomes an issue and the other items go on."""
    try:
        async with conn.transaction():
            await action()
    except psycopg.Error as exc:
        state = exc.sqlstate or ""
        if not state.startswith(_SENDER_CLASSES):
            raise
        hint = exc.diag.message_hint
        issue = Issue(
            type=_ISSUE_OF_SQLSTATE.get(state, "schema-shape"),
            severity="error",
            detail=f"{name}: PostgreSQL refused it: {exc.diag.message_primary or exc} (SQLSTATE {state}).",
        )
        outcome.failed.add(name)
        outcome.issues.append(issue if not hint else Issue(**issue, fix=hint))
