"""The expose manifest as values, and the check of its form. Pure; see docs/expose.md."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict, TypeVar

from run402_cli import suggest
from run402_cli.core.expose import signatures
from run402_cli.core.expose.custom_sql import CustomPolicy, check_expression, read_custom_sql
from run402_cli.core.expose.signatures import Signature
from run402_cli.core.sql.lexer import SqlTextError

Severity = Literal["error", "warning"]
T = TypeVar("T")
H = TypeVar("H", bound=Hashable)
POLICIES = ("user_owns_rows", "public_read_authenticated_write", "public_read_write_UNRESTRICTED", "custom")
UNRESTRICTED = "public_read_write_UNRESTRICTED"
RPC_ROLES = ("anon", "authenticated", "service_role", "project_admin")
MAX_NAME_BYTES = 63

_TOP_KEYS = ("$schema", "version", "tables", "views", "rpcs")
_TABLE_KEYS = (
    *("name", "expose", "policy", "owner_column", "force_owner_on_insert"),
    *("i_understand_this_is_unrestricted", "custom_sql"),
)
_VIEW_KEYS = ("name", "base", "select", "filter", "expose", "security_invoker")
_RPC_KEYS = ("name", "signature", "grant_to")


class Issue(TypedDict, total=False):
    """One finding: `type` is the machine key, `detail` says what is wrong, `fix` what to write instead."""

    type: str
    severity: Severity
    detail: str
    fix: str


@dataclass(slots=True)
class ExposeReport:
    """Findings of a validation; `errors` stop an apply, `warnings` do not."""

    errors: list[Issue] = field(default_factory=list)
    warnings: list[Issue] = field(default_factory=list)

    def error(self, kind: str, detail: str, fix: str | None = None) -> None:
        self.errors.append(_issue(kind, "error", detail, fix))

    def warning(self, kind: str, detail: str, fix: str | None = None) -> None:
        self.warnings.append(_issue(kind, "warning", detail, fix))

    def body(self) -> dict[str, Any]:
        return {"hasErrors": bool(self.errors), "errors": self.errors, "warnings": self.warnings}


def _issue(kind: str, severity: Severity, detail: str, fix: str | None) -> Issue:
    issue = Issue(type=kind, severity=severity, detail=detail)
    if fix:
        issue["fix"] = fix
    return issue


@dataclass(frozen=True, slots=True)
class Table:
    name: str
    expose: bool
    policy: str | None = None
    owner_column: str | None = None
    force_owner_on_insert: bool = False
    custom_sql: str | None = None
    custom_policies: tuple[CustomPolicy, ...] = ()


@dataclass(frozen=True, slots=True)
class View:
    name: str
    base: str
    select: tuple[str, ...]
    filter: str | None = None
    expose: bool = True


@dataclass(frozen=True, slots=True)
class Rpc:
    name: str
    signature: Signature
    grant_to: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Manifest:
    tables: tuple[Table, ...] = ()
    views: tuple[View, ...] = ()
    rpcs: tuple[Rpc, ...] = ()


def parse(raw: object, *, schema_slot: str | None = None) -> tuple[Manifest, ExposeReport]:
    """The well-formed items of a manifest, and every violation of its form.

    `schema_slot`: the schema that `custom_sql` may name in front of its table.
    """
    report = ExposeReport()
    if not isinstance(raw, dict):
        report.error("schema-shape", "The manifest is not a JSON object.", 'Start from {"version": "1", "tables": []}.')
        return Manifest(), report
    if problem := _unstorable_text(raw):
        report.error("schema-shape", problem, "Remove the character.")
        return Manifest(), report
    if raw.get("version", "1") != "1":
        report.error(
            "schema-shape", f'version is {_shown(raw["version"])}, not the string "1".', 'Write "version": "1".'
        )
    for key in raw:
        if key not in _TOP_KEYS:
            report.warning(
                "schema-shape", f"The section {_shown(key)} is not known and has no effect.", _closest(key, _TOP_KEYS)
            )
    tables = _items(raw, "tables", _TABLE_KEYS, report, lambda item, at: _table(item, at, report, schema_slot))
    views = _items(raw, "views", _VIEW_KEYS, report, lambda item, at: _view(item, at, report))
    rpcs = _items(raw, "rpcs", _RPC_KEYS, report, lambda item, at: _rpc(item, at, report))
    manifest = Manifest(tuple(tables), tuple(views), tuple(rpcs))
    _duplicates(manifest, report)
    return manifest, report


def _items(
    raw: dict[str, Any],
    section: str,
    keys: Sequence[str],
    report: ExposeReport,
    read: Callable[[dict[str, Any], str], T | None],
) -> list[T]:
    value = raw.get(section)
    if value is None:
        return []
    if not isinstance(value, list):
        report.error("schema-shape", f"{section} is {_shown(value)}, not an array.", f'Write "{section}": [...].')
        return []
    found = []
    for index, item in enumerate(value):
        at = f"{section}[{index}]"
        if not isinstance(item, dict):
            report.error("schema-shape", f"{at} is {_shown(item)}, not an object.")
            continue
        for key in item:
            if key not in keys:
                fix = _closest(key, keys) or f"Known keys: {', '.join(keys)}."
                report.error("schema-shape", f"{at} has the unknown key {_shown(key)}.", fix)
        parsed = read({key: entry for key, entry in item.items() if entry is not None}, at)
        if parsed is not None:
            found.append(parsed)
    return found


def _table(item: dict[str, Any], at: str, report: ExposeReport, slot: str | None) -> Table | None:
    name = _name(item, "name", at, report)
    at = f"{at} ({name})" if name else at
    expose = item.get("expose")
    if not isinstance(expose, bool):
        missing = "is missing" if expose is None else f"is {_shown(expose)}, not true or false"
        report.error(
            "schema-shape", f"{at}: expose {missing}.", 'Write "expose": true, or false to keep the table hidden.'
        )
    owner = _name(item, "owner_column", at, report) if "owner_column" in item else None
    force = _flag(item, "force_owner_on_insert", at, report)
    acknowledged = _flag(item, "i_understand_this_is_unrestricted", at, report)
    if force and "owner_column" not in item:
        report.error(
            "force-owner-without-owner-column",
            f"{at}: force_owner_on_insert needs an owner_column to set.",
            "Add owner_column, or remove force_owner_on_insert.",
        )
    policy = _policy(item, at, report, required=expose is True)
    if policy == "user_owns_rows" and "owner_column" not in item:
        report.error(
            "schema-shape",
            f"{at}: policy user_owns_rows needs owner_column.",
            'Name the column that holds the user\'s id, e.g. "owner_column": "user_id".',
        )
    if policy == UNRESTRICTED and not acknowledged:
        report.error(
            "unrestricted-ack-required",
            f"{at}: with policy {UNRESTRICTED} anyone can read, change and delete every row.",
            'Add "i_understand_this_is_unrestricted": true, or choose another policy.',
        )
    custom = _custom(item, at, report, name, slot, required=policy == "custom")
    if name is None or not isinstance(expose, bool):
        return None
    return Table(name, expose, policy, owner, force, item.get("custom_sql") if custom else None, custom)


def _policy(item: dict[str, Any], at: str, report: ExposeReport, *, required: bool) -> str | None:
    policy = item.get("policy")
    allowed = "Use one of " + ", ".join(POLICIES) + "."
    if policy is None:
        if required:
            report.error("schema-shape", f"{at}: an exposed table needs a policy.", allowed)
        return None
    if policy not in POLICIES:
        fix = _closest(policy, POLICIES) or allowed
        report.error("schema-shape", f"{at}: policy {_shown(policy)} is not known.", fix)
        return None
    return str(policy)


def _custom(
    item: dict[str, Any], at: str, report: ExposeReport, name: str | None, slot: str | None, *, required: bool
) -> tuple[CustomPolicy, ...]:
    sql = item.get("custom_sql")
    if sql is None or sql == "":
        if required:
            report.error(
                "schema-shape",
                f"{at}: policy custom needs custom_sql.",
                f"Write CREATE POLICY ... ON {name or 'the_table'} ... statements in custom_sql.",
            )
        return ()
    if not isinstance(sql, str):
        report.error("schema-shape", f"{at}: custom_sql is {_shown(sql)}, not a string.")
        return ()
    if name is None:
        return ()
    policies, problems = read_custom_sql(sql, table=name, schema_slot=slot)
    for detail, fix in problems:
        report.error("schema-shape", f"{at}: {detail}", fix)
    return policies


def _view(item: dict[str, Any], at: str, report: ExposeReport) -> View | None:
    name = _name(item, "name", at, report)
    at = f"{at} ({name})" if name else at
    base = _name(item, "base", at, report)
    expose = _flag(item, "expose", at, report, default=True)
    if not _flag(item, "security_invoker", at, report, default=True):
        report.warning(
            "schema-shape",
            f"{at}: security_invoker false has no effect; a view always runs with the rights of its caller.",
            "Remove security_invoker.",
        )
    select = item.get("select")
    if not isinstance(select, list) or not select or any(_bad_name(column) for column in select):
        report.error("schema-shape", f"{at}: select is not a list of column names.", 'Write "select": ["column", ...].')
        select = None
    elif len(set(select)) != len(select):
        report.error("schema-shape", f"{at}: select names a column twice.", "Name each column once.")
    condition = item.get("filter")
    if condition is not None:
        try:
            if not isinstance(condition, str):
                raise SqlTextError("it is not a string")
            check_expression(condition)
        except SqlTextError as exc:
            report.error(
                "schema-shape", f"{at}: filter is not one SQL condition: {exc}.", 'E.g. "filter": "score > 0".'
            )
            condition = None
    if name is None or base is None or select is None:
        return None
    return View(name, base, tuple(select), condition, expose)


def _rpc(item: dict[str, Any], at: str, report: ExposeReport) -> Rpc | None:
    name = _name(item, "name", at, report)
    at = f"{at} ({name})" if name else at
    signature: Signature | None = None
    try:
        if not isinstance(item.get("signature"), str):
            raise SqlTextError("it is missing" if "signature" not in item else "it is not a string")
        signature = signatures.parse(item["signature"])
    except SqlTextError as exc:
        fix = 'Write the arguments in parentheses, e.g. "signature": "(user_id uuid)", or "()" for none.'
        report.error("schema-shape", f"{at}: signature: {exc}.", fix)
    roles = item.get("grant_to")
    if not isinstance(roles, list) or not roles or not all(isinstance(role, str) for role in roles):
        fix = 'Write e.g. "grant_to": ["authenticated"].'
        report.error("schema-shape", f"{at}: grant_to is not a list of roles with at least one entry.", fix)
        return None
    for role in roles:
        if role not in RPC_ROLES:
            known = "Use one of " + ", ".join(RPC_ROLES) + "."
            report.error(
                "grant-to-role-unknown", f"{at}: there is no role {_shown(role)}.", _closest(role, RPC_ROLES) or known
            )
    if name is None or signature is None:
        return None
    return Rpc(name, signature, tuple(dict.fromkeys(role for role in roles if role in RPC_ROLES)))


def _duplicates(manifest: Manifest, report: ExposeReport) -> None:
    relations = [*(("table", t.name) for t in manifest.tables), *(("view", v.name) for v in manifest.views)]
    for kind, name in _repeated(relations):
        report.error("schema-shape", f"The {kind} {name} is declared twice.", "Keep one declaration.")
    tables = {table.name for table in manifest.tables}
    for view in manifest.views:
        if view.name in tables:
            report.error(
                "schema-shape", f"{view.name} is declared as a table and as a view.", "Give the view another name."
            )
    for name, types in _repeated([(rpc.name, rpc.signature.types) for rpc in manifest.rpcs]):
        shown = f"{name}({', '.join(types)})"
        report.error("schema-shape", f"The function {shown} is declared twice.", "Merge their grant_to lists into one.")


def _repeated(values: Iterable[H]) -> list[H]:
    seen: set[H] = set()
    again: dict[H, None] = {}
    for value in values:
        if value in seen:
            again[value] = None
        seen.add(value)
    return list(again)


def _name(item: dict[str, Any], key: str, at: str, report: ExposeReport) -> str | None:
    value = item.get(key)
    problem = "is missing" if value is None else _bad_name(value)
    if problem:
        report.error("schema-shape", f"{at}: {key} {problem}.", f"Write the {key} as it is in the database.")
        return None
    return str(value)


def _bad_name(value: object) -> str | None:
    if not isinstance(value, str):
        return f"is {_shown(value)}, not a string"
    if not value:
        return "is empty"
    if len(value.encode()) > MAX_NAME_BYTES:
        return f"is longer than {MAX_NAME_BYTES} bytes, the most that PostgreSQL keeps"
    return None


def _flag(item: dict[str, Any], key: str, at: str, report: ExposeReport, *, default: bool = False) -> bool:
    value = item.get(key, default)
    if isinstance(value, bool):
        return value
    report.error(
        "schema-shape", f"{at}: {key} is {_shown(value)}, not true or false.", f'Write "{key}": true or false.'
    )
    return default


def _unstorable_text(value: object) -> str | None:
    """PostgreSQL text can hold neither U+0000 nor half of a surrogate pair."""
    # An explicit stack: how deep the document is nested is the sender's choice.
    pending = [value]
    while pending:
        current = pending.pop()
        if isinstance(current, dict):
            pending.extend([*current.keys(), *current.values()])
        elif isinstance(current, list):
            pending.extend(current)
        elif isinstance(current, str) and ("\0" in current or any("\ud800" <= c <= "\udfff" for c in current)):
            return "A text in the manifest contains U+0000 or half of a surrogate pair."
    return None


def _closest(word: object, known: Sequence[str]) -> str | None:
    return suggest.did_you_mean(suggest.alike(str(word), known)).lstrip() or None


def _shown(value: object) -> str:
    text = (
        repr(value)
        if isinstance(value, str)
        else str(type(value).__name__)
        if isinstance(value, dict | list)
        else repr(value)
    )
    return text if len(text) <= 80 else text[:77] + "..."
