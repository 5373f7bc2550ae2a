"""Restore points: the snapshot that a deploy takes by itself before migrations that could lose something.

See docs/local-gateway.md, "Snapshots and branches".
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from itertools import pairwise
from typing import Any, Final

import psycopg

from run402_cli.core.copies import snapshots
from run402_cli.core.copies.schemas import schema_bytes
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.gateway import Gateway
from run402_cli.core.projects.rows import Project
from run402_cli.core.sql.lexer import SqlTextError, Token, each_statement

log = logging.getLogger("run402.core")

# A copy of more than this would make a deploy wait for too long.
LIMIT_BYTES: Final = 256 * 1024**2
KEPT: Final = 5
# Statements that only add: what was there before them is there after them.
_ADDING: Final = ("create", "insert", "comment", "grant", "select", "set", "analyze")


async def restore_point(gateway: Gateway, conn: Connection, project: Project, scripts: Iterable[str]) -> dict[str, Any]:
    """What the commit's answer says: {restore_point: {snapshot_id, restore_url}}, {snapshot_skipped_reason}, or nothing.

    Nothing when no migration can lose anything. A snapshot that fails does not stop the deploy. The caller holds the
    project's lock and is in no transaction.
    """
    if await asyncio.to_thread(lambda: all(map(only_adds, scripts))):
        return {}
    size = await schema_bytes(conn, project.schema_slot)
    if size == 0 or size > LIMIT_BYTES:
        return {"snapshot_skipped_reason": "too_large" if size else "no_data"}
    try:
        snapshot = await snapshots.capture(gateway, conn, project, "pre_migration")
    except (GatewayError, psycopg.errors.DatabaseError):
        if conn.closed:
            raise
        log.exception("no snapshot of %s before its migrations", project.project_id)
        return {"snapshot_skipped_reason": "failed"}
    await snapshots.keep_latest(conn, project.project_id, "pre_migration", KEPT)
    url = f"/projects/v1/{project.project_id}/snapshots/{snapshot.snapshot_id}/restore"
    return {"restore_point": {"snapshot_id": snapshot.snapshot_id, "restore_url": url}}


def only_adds(script: str) -> bool:
    """Whether no statement of a script can change or remove what exists."""
    try:
        return all(map(_adds, each_statement(script, repeats=False)))
    except SqlTextError:
        return False


def _adds(tokens: list[Token]) -> bool:
    replaces = any(a.is_word("or") and b.is_word("replace") for a, b in pairwise(tokens))
    conflict = any(a.is_word("do") and b.is_word("update") for a, b in pairwise(tokens))
    return tokens[0].is_word(*_ADDING) and not replaces and not conflict
