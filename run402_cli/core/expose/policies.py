"""A table's policy as row-level-security statements. Pure: values in, SQL out; names are stable. See docs/expose.md."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from psycopg import sql

from run402_cli.core.expose.model import MAX_NAME_BYTES, UNRESTRICTED, Table, View

ANON, USER = "anon", "authenticated"
READ = frozenset({"SELECT"})
WRITE = frozenset({"INSERT", "UPDATE", "DELETE"})
COMMANDS = ("SELECT", "INSERT", "UPDATE", "DELETE")

_PREFIX = {
    "user_owns_rows": "run402_user_owns_rows",
    "public_read_authenticated_write": "run402_public_read_authenticated_write",
    UNRESTRICTED: "run402_public_read_write",
}
_UUID = "^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$"


@dataclass(frozen=True, slots=True)
class Policy:
    """One generated policy; `roles` and `command` as in CREATE POLICY, `own` = rows of the caller instead of all rows."""

    name: str
    command: str
    roles: tuple[str, ...]
    own: bool


def raw(text: str) -> sql.SQL:
    """SQL text that was checked elsewhere, or that the catalog printed with its own quoting."""
    return sql.SQL(text)


def generated_policies(table: Table) -> list[Policy]:
    """The policies of a built-in policy word; none for `custom` and for a hidden table."""
    if not table.expose or table.policy not in _PREFIX:
        return []
    prefix = _PREFIX[table.policy]
    own = table.policy == "user_owns_rows"
    found = []
    for command in COMMANDS:
        public = table.policy == UNRESTRICTED or (command == "SELECT" and not own)
        found.append(Policy(f"{prefix}_{command.lower()}", command, (ANON, USER) if public else (USER,), own))
    return found


def table_grants(table: Table) -> dict[str, frozenset[str]]:
    """Role -> privileges of a built-in policy word. `custom` gets what its policies name, see privileges.py."""
    grants: dict[str, frozenset[str]] = {}
    for policy in generated_policies(table):
        for role in policy.roles:
            grants[role] = grants.get(role, frozenset()) | {policy.command}
    return grants


def own_id(owner_type: str) -> sql.SQL:
    """The caller's id in the type of the owner column; an id that is no UUID owns nothing in a uuid column."""
    if owner_type == "uuid":
        return raw(f"CASE WHEN auth.uid() ~ '{_UUID}' THEN auth.uid()::uuid END")
    return sql.SQL("auth.uid()")


def policy_statement(policy: Policy, slot: str, table: Table, owner_type: str) -> sql.Composed:
    condition: sql.Composable = sql.SQL("true")
    if policy.own and table.owner_column is not None:
        column: sql.Composable = sql.Identifier(table.owner_column)
        if owner_type != "uuid":
            column = sql.SQL("{}::text").format(column)
        # The sub-select is evaluated once per statement, not once per row, and still lets an index be used.
        condition = sql.SQL("{} = (SELECT {})").format(column, own_id(owner_type))
    using = sql.SQL("") if policy.command == "INSERT" else sql.SQL(" USING ({})").format(condition)
    check = sql.SQL("") if policy.command in ("SELECT", "DELETE") else sql.SQL(" WITH CHECK ({})").format(condition)
    return sql.SQL("CREATE POLICY {} ON {} FOR {} TO {}{}{}").format(
        sql.Identifier(policy.name),
        sql.Identifier(slot, table.name),
        raw(policy.command),
        sql.SQL(", ").join(sql.Identifier(role) for role in policy.roles),
        using,
        check,
    )


def policy_names(table: Table) -> list[str]:
    """Every policy that applying this entry makes, so that the next apply can take it away."""
    return [policy.name for policy in generated_policies(table)] + [
        policy.name for policy in table.custom_policies if table.expose and table.policy == "custom"
    ]


def derived_name(base: str, suffix: str) -> str:
    """`base + suffix`, shortened with a digest where PostgreSQL would cut it off."""
    name = base + suffix
    if len(name.encode()) <= MAX_NAME_BYTES:
        return name
    digest = "_" + hashlib.sha256(base.encode()).hexdigest()[:8]
    room = MAX_NAME_BYTES - len((digest + suffix).encode())
    return base.encode()[:room].decode(errors="ignore") + digest + suffix


def owner_trigger_names(table: str) -> tuple[str, str]:
    """Trigger and function of force_owner_on_insert."""
    return derived_name(table, "_set_owner"), derived_name(table, "_set_owner_fn")


def owner_trigger_statements(slot: str, table: Table, owner_type: str) -> list[sql.Composed]:
    """The function that fills an empty owner with the caller's id, and its trigger."""
    if table.owner_column is None:
        return []
    trigger, function = owner_trigger_names(table.name)
    body = sql.SQL("BEGIN IF NEW.{c} IS NULL THEN NEW.{c} := {own}; END IF; RETURN NEW; END").format(
        c=sql.Identifier(table.owner_column), own=own_id(owner_type)
    )
    return [
        sql.SQL("CREATE FUNCTION {}() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS {}").format(
            sql.Identifier(slot, function), sql.Literal(body.as_string())
        ),
        sql.SQL("CREATE TRIGGER {} BEFORE INSERT ON {} FOR EACH ROW EXECUTE FUNCTION {}()").format(
            sql.Identifier(trigger), sql.Identifier(slot, table.name), sql.Identifier(slot, function)
        ),
    ]


def view_statement(slot: str, view: View) -> sql.Composed:
    """A view that runs with its caller's rights. The line break ends a comment at the end of the filter."""
    where = sql.SQL("") if view.filter is None else raw(" WHERE (" + view.filter + "\n)")
    return sql.SQL("CREATE VIEW {} WITH (security_invoker = true) AS SELECT {} FROM {}{}").format(
        sql.Identifier(slot, view.name),
        sql.SQL(", ").join(sql.Identifier(column) for column in view.select),
        sql.Identifier(slot, view.base),
        where,
    )
