"""SQL of a manifest held to its one purpose: `custom_sql` to CREATE POLICY on the table that declares it, `filter` to one
condition. Pure; see docs/expose.md.
"""

from __future__ import annotations

from dataclasses import dataclass

from run402_cli.core.sql.lexer import SqlTextError, Token, statements, tokenize

RESERVED_PREFIX = "run402_"


@dataclass(frozen=True, slots=True)
class CustomPolicy:
    """One CREATE POLICY statement, verbatim."""

    name: str
    sql: str


def read_custom_sql(
    sql: str, *, table: str, schema_slot: str | None
) -> tuple[tuple[CustomPolicy, ...], list[tuple[str, str]]]:
    """The policies that the text creates, and (problem, fix) pairs for everything else in it."""
    try:
        found = statements(sql)
    except SqlTextError as exc:
        return (), [(f"custom_sql could not be read: {exc}.", "Close every quote and comment.")]
    if not found:
        return (), [("custom_sql contains no statement.", f"Write CREATE POLICY ... ON {table} ....")]
    policies: list[CustomPolicy] = []
    problems: list[tuple[str, str]] = []
    for tokens in found:
        try:
            beginning = sql[tokens[0].start : tokens[min(2, len(tokens) - 1)].end][:60]
            name = _policy_name(tokens, beginning, table, schema_slot)
        except _Refused as refusal:
            problems.append((refusal.detail, refusal.fix))
            continue
        if any(name == known.name for known in policies):
            problems.append((f"custom_sql creates the policy {name} twice.", "Give each policy its own name."))
        policies.append(CustomPolicy(name, sql[tokens[0].start : tokens[-1].end]))
    return tuple(policies), problems


class _Refused(Exception):
    def __init__(self, detail: str, fix: str) -> None:
        super().__init__(detail)
        self.detail = detail
        self.fix = fix


def _policy_name(tokens: list[Token], beginning: str, table: str, schema_slot: str | None) -> str:
    if not (len(tokens) > 2 and tokens[0].is_word("create") and tokens[1].is_word("policy") and tokens[2].is_name):
        raise _Refused(
            f"custom_sql may only contain CREATE POLICY statements, not `{beginning}`.",
            "Put other statements into a migration. Policies of an earlier apply are dropped for you.",
        )
    name = tokens[2].text
    if name.startswith(RESERVED_PREFIX):
        raise _Refused(
            f"The policy name {name} begins with {RESERVED_PREFIX}, which is kept for generated policies.",
            "Choose another name.",
        )
    target = _target(tokens, beginning)
    if target not in ([table], [schema_slot, table]):
        raise _Refused(
            f"The policy {name} is on {'.'.join(str(part) for part in target)}, not on {table}.",
            f"Write ON {table}; policies of another table belong to that table's entry.",
        )
    if any(token.kind == "param" for token in tokens):
        raise _Refused(f"The policy {name} contains a $1-style parameter.", "Write the value itself.")
    return name


def _target(tokens: list[Token], beginning: str) -> list[str]:
    if len(tokens) < 5 or not tokens[3].is_word("on") or not tokens[4].is_name:
        raise _Refused(f"`{beginning}` does not say ON which table.", "Write CREATE POLICY name ON table ....")
    target = [tokens[4].text]
    at = 5
    while at + 1 < len(tokens) and tokens[at].is_punct(".") and tokens[at + 1].is_name:
        target.append(tokens[at + 1].text)
        at += 2
    return target


def check_expression(sql: str) -> None:
    """SqlTextError unless the text can only be one expression when put between parentheses."""
    depth = 0
    tokens = tokenize(sql)
    if not tokens:
        raise SqlTextError("the condition is empty")
    for token in tokens:
        if token.is_punct(";"):
            raise SqlTextError("a condition cannot contain `;`")
        if token.kind == "param":
            raise SqlTextError(f"a condition cannot contain the parameter {token.text}")
        depth += token.is_punct("(") - token.is_punct(")")
        if depth < 0:
            raise SqlTextError("a `)` closes nothing")
    if depth:
        raise SqlTextError("a `(` is never closed")
