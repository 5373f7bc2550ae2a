"""A migration, what is run of it (its SQL in pieces of bounded length, without the transaction around it), and its errors.

Touches no database.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import psycopg

from run402_cli.core.content.store import ContentStore
from run402_cli.core.errors import GatewayError, run_command
from run402_cli.core.sql import script as scripts
from run402_cli.core.sql.lexer import SqlTextError, Token, each_statement
from run402_cli.core.sql.locks import LOCK_SECONDS
from run402_cli.core.sql.script import Rows, Script
from run402_cli.core.sql.shared import SharedNameError

# PostgreSQL reads all that it is sent at once, into some twenty times as much memory.
PIECE_CHARS: Final = 1024 * 1024
_TRANSACTION_WORDS = ("begin", "start", "commit", "end", "rollback", "abort", "savepoint", "release", "prepare")


@dataclass(frozen=True, slots=True)
class Migration:
    """One entry of database.migrations; exactly one of `sql` and `sql_sha256` (staged content) is set."""

    id: str
    checksum: str
    sql: str | None
    sql_sha256: str | None
    transactional: bool

    @classmethod
    def from_wire(cls, entry: Mapping[str, Any]) -> Migration:
        ref = entry.get("sql_ref")
        return cls(
            id=entry["id"],
            checksum=entry["checksum"],
            sql=entry.get("sql"),
            sql_sha256=ref["sha256"] if ref else None,
            transactional=entry.get("transaction") != "none",
        )

    def text(self, store: ContentStore) -> str | None:
        """The SQL, or None while its content is not staged. GatewayError when it is not what the checksum says."""
        if self.sql is not None:
            data = self.sql.encode()
        elif self.sql_sha256 is not None and store.size(self.sql_sha256) is not None:
            data = store.read(self.sql_sha256)
        else:
            return None
        actual = hashlib.sha256(data).hexdigest()
        if actual != self.checksum:
            raise changed(
                "migration_checksum_mismatch",
                f"Migration {self.id} declares checksum {self.checksum}, but its SQL hashes to {actual}. "
                "Remove `checksum` to have it computed, or restore the SQL.",
                self.id,
            )
        try:
            return data.decode().removeprefix(scripts.BOM)
        except UnicodeDecodeError as exc:
            raise invalid_sql(self, f"its SQL is not UTF-8 (byte {exc.start})", "Save the file as UTF-8.") from exc


@dataclass(frozen=True, slots=True)
class Step:
    """SQL that is sent in one go, and where it stands in the migration; `rows` are for the COPY that ends it."""

    sql: str
    start: int
    rows: Rows | None = None


def readable(text: str) -> str:
    """The SQL of a migration for who only reads it: without rows of a dump. The text itself where it will be refused."""
    try:
        return scripts.read(text).sql
    except SharedNameError:
        return text


def prepared(migration: Migration, text: str) -> tuple[Script, str]:
    """What is run of a migration, and the SQL of it that is read, as `readable`.

    GatewayError 400 MIGRATION_FAILED when it names what it may not.
    """
    try:
        found = scripts.read(text)
        return scripts.prepared(found), found.sql
    except SharedNameError as exc:
        raise invalid_sql(migration, str(exc), exc.hint) from exc


def in_transaction(migration: Migration, script: Script) -> list[Step]:
    """Without a BEGIN...COMMIT around all of it; other control of transactions is refused."""
    steps: list[Step] = []
    for piece in _without_outer_transaction(migration, script).pieces:
        begin = 0
        for end in [*_cuts(piece.sql), len(piece.sql)]:
            rows = piece.rows if end == len(piece.sql) else None
            steps.append(Step(piece.sql[begin:end], piece.start + begin, rows))
            begin = end
    return [step for step in steps if step.rows is not None or step.sql.strip()]


def one_by_one(migration: Migration, script: Script) -> list[Step]:
    """Each statement by itself."""
    steps: list[Step] = []
    for piece in script.pieces:
        try:
            found = [
                Step(piece.sql[tokens[0].start : tokens[-1].end], piece.start + tokens[0].start)
                for tokens in each_statement(piece.sql)
            ]
        except SqlTextError:
            # PostgreSQL reads it too, and says better what is wrong.
            found = [Step(piece.sql, piece.start)]
        if piece.rows is not None:
            found[-1:] = [Step(found[-1].sql, found[-1].start, piece.rows)]
        steps += found
    return steps


def _cuts(text: str) -> Iterator[int]:
    """Beginnings of statements, where a long text is cut."""
    last = 0
    if len(text) <= PIECE_CHARS:
        return
    try:
        for tokens in each_statement(text, repeats=False):
            if tokens[0].start - last >= PIECE_CHARS:
                last = tokens[0].start
                yield last
    except SqlTextError:
        return


def _without_outer_transaction(migration: Migration, script: Script) -> Script:
    """With the BEGIN and COMMIT around all of it blanked, so positions stay."""
    control: list[tuple[int, int, Token, Token]] = []
    number = 0
    try:
        for index, piece in enumerate(script.pieces):
            for tokens in each_statement(piece.sql, repeats=False):
                if tokens[0].is_word(*_TRANSACTION_WORDS) and not _is_prepared_query(tokens):
                    control.append((number, index, tokens[0], tokens[-1]))
                number += 1
    except SqlTextError:
        return script
    outer = [control[0], control[-1]] if len(control) >= 2 else []
    around = bool(outer) and (outer[0][0], outer[1][0]) == (0, number - 1)
    if around and outer[0][2].is_word("begin", "start") and outer[1][2].is_word("commit", "end"):
        control = control[1:-1]
        for _, index, first, last in outer:
            script = script.blanked(index, first.start, last.end)
    if control:
        _, index, first, _ = control[0]
        piece = script.pieces[index]
        line = piece.line + piece.sql.count("\n", 0, first.start)
        raise invalid_sql(
            migration,
            f"it contains {first.text.upper()} (line {line}), and a migration runs in one "
            "transaction together with its bookkeeping",
            "Remove it, split the migration, or set `transaction` to `none`.",
        )
    return script


def _is_prepared_query(tokens: list[Token]) -> bool:
    return tokens[0].is_word("prepare") and len(tokens) > 1 and not tokens[1].is_word("transaction")


def sql_failure(migration: Migration, sql: str, exc: psycopg.Error, *, offset: int = 0) -> GatewayError:
    """PostgreSQL's refusal as the API's MIGRATION_FAILED."""
    diag = exc.diag
    position = int(diag.statement_position) + offset if diag.statement_position else None
    fields: dict[str, Any] = {
        "sqlstate": exc.sqlstate,
        "position": position,
        "line": sql.count("\n", 0, position - 1) + 1 if position else None,
        "detail": diag.message_detail,
        "hint": diag.message_hint,
        "context": diag.context,
    }
    known = {key: value for key, value in fields.items() if value is not None}
    where = f" at line {known['line']}" if "line" in known else ""
    message = diag.message_primary or str(exc).strip()
    stays = "It was rolled back." if migration.transactional else "Statements before the failing one stay."
    return GatewayError(
        400,
        "migration_failed",
        f"Migration {migration.id} failed{where}: {message}. {stays} Correct the SQL and deploy again.",
        phase="migrate",
        resource=f"database.migrations.{migration.id}",
        migration_id=migration.id,
        postgres_message=message,
        retryable=False,
        safe_to_retry=False,
        rolled_back=migration.transactional,
        **known,
        details={"migration_id": migration.id, "postgres_message": message, **known},
    )


def invalid_sql(migration: Migration, problem: str, remedy: str) -> GatewayError:
    return GatewayError(
        400,
        "migration_failed",
        f"Migration {migration.id} cannot run: {problem}. {remedy}",
        phase="migrate",
        resource=f"database.migrations.{migration.id}",
        migration_id=migration.id,
        retryable=False,
        rolled_back=True,
    )


def locked(migration: Migration, exc: psycopg.Error, patience: float) -> GatewayError:
    """503: what it wants is held by others, for longer than requests may take."""
    where = "It was rolled back." if migration.transactional else "Statements before that one stay."
    return GatewayError(
        503,
        "migration_locked",
        f"Migration {migration.id} found what it changes in use again and again, for {patience:.0f} seconds: "
        f"{exc.diag.message_primary or exc}. {where} A long query, an open transaction or a function holds it. "
        f"So that requests are served, it waits {LOCK_SECONDS:.0f} seconds at a time. Deploy again when that has ended.",
        phase="migrate",
        resource=f"database.migrations.{migration.id}",
        migration_id=migration.id,
        sqlstate=exc.sqlstate,
        context=exc.diag.context,
        retryable=True,
        safe_to_retry=True,
        rolled_back=migration.transactional,
        retry_after_seconds=5,
        next_actions=[run_command("deploy", "apply")],
    )


def changed(error: str, message: str, migration_id: str) -> GatewayError:
    """409: the SQL is not what the checksum says, or not what was applied."""
    return GatewayError(
        409,
        error,
        message,
        code="MIGRATION_CHECKSUM_MISMATCH",
        phase="plan",
        resource=f"database.migrations.{migration_id}",
        migration_id=migration_id,
        retryable=False,
    )
