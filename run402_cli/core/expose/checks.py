"""The manifest held against the names that exist: tables, columns, view bases and functions. Pure; see docs/expose.md."""

from __future__ import annotations

import re
from collections.abc import Iterable

from run402_cli import suggest
from run402_cli.core.expose import signatures
from run402_cli.core.expose.ddl_reader import Relation, Schema
from run402_cli.core.expose.model import UNRESTRICTED, ExposeReport, Manifest, Rpc, Table, View

_SENSITIVE = re.compile(
    r"(^|_)(password|passwd|pwd|passphrase|secret|token|api_?key|private_?key|ssn|iban|cvv|cvc|salt|hash|otp|mfa"
    r"|credit_?card|card_?number|is_?admin|is_?superuser|roles?|permissions?)(_|$)"
)


def check(manifest: Manifest, schema: Schema, report: ExposeReport, *, managed_views: Iterable[str] = ()) -> None:
    """Add to `report` what does not fit `schema`. `managed_views`: views that the last applied manifest made."""
    known = dict(schema.relations)
    managed = set(managed_views) | {view.name for view in manifest.views}
    for name in managed_views:
        known.pop(name, None)
    for table in manifest.tables:
        _table(table, known, schema, report)
    exposed = {table.name for table in manifest.tables if table.expose}
    for view in manifest.views:
        taken = schema.relations.get(view.name)
        if taken is not None and view.name not in set(managed_views):
            report.error(
                "schema-shape",
                f"The view {view.name} cannot be made: a {taken.kind} of that name exists already.",
                f"Choose another name, or drop the {taken.kind} in a migration first.",
            )
        _view(view, known, managed, exposed, schema, report)
    for rpc in manifest.rpcs:
        _rpc(rpc, schema, report)


def _missing(kind: str, detail: str, fix: str, schema: Schema, report: ExposeReport) -> None:
    """An error, or a warning where the SQL at hand may well create the thing."""
    if schema.doubts:
        report.warning("validation-inconclusive", f"{detail} It may still exist: {'; '.join(schema.doubts[:3])}.", fix)
    else:
        report.error(kind, detail, fix)


def _closest(name: str, names: Iterable[str]) -> str:
    near = suggest.alike(name, names)
    return f"{suggest.did_you_mean(near).lstrip()} " if near else ""


def _table(table: Table, known: dict[str, Relation], schema: Schema, report: ExposeReport) -> None:
    relation = known.get(table.name)
    if relation is None:
        tables = [name for name, other in known.items() if other.kind == "table"]
        fix = f"{_closest(table.name, tables)}Create the table in a migration, or remove the entry."
        _missing("missing-table", f"There is no table {table.name}.", fix, schema, report)
        return
    if relation.kind == "view":
        fix = "Declare it under views with its base and columns, so that it runs with its caller's rights."
        report.error("missing-table", f"{table.name} is a view, not a table.", fix)
        return
    if table.owner_column is not None:
        _owner(table, table.owner_column, relation, schema, report)
    sensitive = [column for column in relation.columns if _SENSITIVE.search(column.lower())]
    if table.expose and table.policy == UNRESTRICTED and sensitive:
        report.warning(
            "sensitive-column-public-write",
            f"Anyone may write {', '.join(sensitive)} of {table.name}.",
            "Move the column to a hidden table, or choose a policy without public writes.",
        )


def _owner(table: Table, owner: str, relation: Relation, schema: Schema, report: ExposeReport) -> None:
    if _has_column(table.name, relation, owner, schema, report):
        kind = relation.columns.get(owner, "")
        if table.expose and table.policy == "user_owns_rows" and not _holds_ids(kind):
            report.warning(
                "owner-column-type",
                f"{table.name}.{owner} is {kind}; it is compared as text with the user's id, which is a UUID.",
                "Make it `text not null default auth.uid()`, or uuid with default auth.uid()::uuid.",
            )


def _holds_ids(kind: str) -> bool:
    """Whether a column of this type can hold the id of a user; an unknown type may."""
    return kind in ("", "uuid", "citext") or kind.startswith(("text", "varchar", "character", "char"))


def _has_column(name: str, relation: Relation, column: str, schema: Schema, report: ExposeReport) -> bool:
    if column in relation.columns:
        return True
    detail = f"{name} has no column {column}."
    if relation.open:
        report.warning("validation-inconclusive", f"{detail} The migration SQL does not list all of its columns.")
        return False
    fix = f"{_closest(column, relation.columns)}Columns: {', '.join(relation.columns) or 'none'}."
    _missing("missing-column", detail, fix, schema, report)
    return False


def _view(
    view: View,
    known: dict[str, Relation],
    managed: set[str],
    exposed: set[str],
    schema: Schema,
    report: ExposeReport,
) -> None:
    relation = None if view.base in managed else known.get(view.base)
    if relation is None:
        fix = f"{_closest(view.base, known)}Name a table of the project, or create it in a migration."
        what = f"The base {view.base} of the view {view.name} "
        if view.base in managed:
            report.error("missing-view-base", f"{what}is itself a view of the manifest.", fix)
        else:
            _missing("missing-view-base", f"{what}does not exist.", fix, schema, report)
        return
    for column in view.select:
        _has_column(view.base, relation, column, schema, report)
    if view.expose and view.base not in exposed:
        report.warning(
            "view-base-hidden",
            f"The view {view.name} reads {view.base}, which is not exposed: a caller of the view gets a permission error.",
            f"Expose {view.base} with the policy that its readers need.",
        )


def _rpc(rpc: Rpc, schema: Schema, report: ExposeReport) -> None:
    candidates = schema.functions.get(rpc.name, [])
    fitting = signatures.matching(rpc.signature, candidates)
    shown = f"{rpc.name}{rpc.signature}"
    if not fitting:
        existing = ", ".join(f"{rpc.name}{candidate}" for candidate in candidates)
        fix = (
            f"Existing: {existing}."
            if existing
            else f"{_closest(rpc.name, schema.functions)}Create the function in a migration, or remove the entry."
        )
        _missing("missing-rpc", f"There is no function {shown}.", fix, schema, report)
    elif len(fitting) > 1:
        names = ", ".join(f"{rpc.name}({', '.join(candidate.types)})" for candidate in fitting)
        report.error("ambiguous-rpc", f"{shown} fits more than one function.", f"Write the types of one: {names}.")
