"""Export: a project as one portable archive, of one moment. See docs/archives.md.

The database is read in one snapshot and under the project's lock, so no deploy can come in between; requests go on.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
import shutil
from pathlib import Path
from typing import Any

import psycopg.errors

from run402_cli.archive.verify import verify
from run402_cli.core.archives import rows
from run402_cli.core.archives.dumping import dump_database
from run402_cli.core.archives.files import file_of, sweep
from run402_cli.core.archives.picture import take
from run402_cli.core.archives.rows import ArchiveRecord
from run402_cli.core.archives.writing import CONSISTENCY, write
from run402_cli.core.copies.schemas import copying
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.gateway import ROWS_SECONDS, Gateway
from run402_cli.core.projects.locks import project_lock
from run402_cli.core.projects.rows import Project
from run402_cli.core.releases import operation_rows as operations

log = logging.getLogger("run402.core")

_running: dict[str, asyncio.Task[None]] = {}


async def begin(conn: Connection, project: Project, scope: str, auth: str, key: str | None) -> ArchiveRecord:
    """A new archive, running; or the one that an earlier request with this idempotency key began."""
    archive_id = f"arc_{secrets.token_hex(12)}"
    async with conn.transaction():
        if key is not None:
            await rows.lock_key(conn, key)
            known = await rows.find_by_key(conn, project.project_id, key)
            if known is not None:
                return known
        operation = await operations.record(conn, "export", project.project_id, f"Exports {archive_id}")
        return await rows.insert(
            conn,
            archive_id,
            project,
            operation_id=operation,
            key=key,
            scope=scope,
            auth_export=auth,
            consistency=CONSISTENCY,
        )


def carry_out(gateway: Gateway, record: ArchiveRecord) -> None:
    """Make a running archive in a task of its own, unless that is being done or was."""
    if record.status == "running" and record.archive_id not in _running:
        task = asyncio.create_task(_export(gateway, record))
        _running[record.archive_id] = task
        task.add_done_callback(lambda _task: _running.pop(record.archive_id, None))


async def fetch(conn: Connection, project_id: str, archive_id: str) -> ArchiveRecord:
    """The archive, or 404 ARCHIVE_NOT_FOUND; failed when whoever was making it is gone: a gateway that was stopped."""
    record = await rows.fetch(conn, project_id, archive_id)
    if record.status == "running" and archive_id not in _running:
        await rows.fail(conn, archive_id, _error("EXPORT_CONSISTENCY_UNAVAILABLE", "The gateway stopped meanwhile."))
        record = await rows.fetch(conn, project_id, archive_id)
    return record


async def _export(gateway: Gateway, record: ArchiveRecord) -> None:
    try:
        async with gateway.connection() as conn:
            await sweep(gateway, conn)
        await _make(gateway, record)
    except Exception as exc:
        log.error("export %s failed", record.archive_id, exc_info=exc)
        error = _failure(exc)
        async with gateway.connection() as conn:
            await rows.fail(conn, record.archive_id, error)


def _failure(exc: Exception) -> dict[str, Any]:
    if isinstance(exc, GatewayError):
        return _error(
            str(exc.fields.get("code", exc.error)), exc.message, retryable=exc.fields.get("retryable") is True
        )
    if isinstance(exc, OSError):
        return _error("STORAGE_UNAVAILABLE", f"The disk refused: {exc.strerror or exc}.", retryable=True)
    if isinstance(exc, psycopg.errors.OperationalError):
        return _error("DATABASE_UNAVAILABLE", "PostgreSQL went away meanwhile.", retryable=True)
    return _error("INTERNAL_ERROR", f"The export failed ({type(exc).__name__}); `run402 core logs` has the details.")


def _error(code: str, message: str, *, retryable: bool = True) -> dict[str, Any]:
    return {"code": code, "message": f"{message} Nothing was lost; start the export again.", "retryable": retryable}


async def _make(gateway: Gateway, record: ArchiveRecord) -> None:
    target = file_of(gateway, record.archive_id)
    scratch = target.with_suffix(".tmp")
    await asyncio.to_thread(scratch.mkdir, parents=True, mode=0o700)
    try:
        # Two connections, one view: the gateway's rows, and those of the project as the owner of its schema.
        async with project_lock(gateway, record.project_id) as conn, copying(conn) as snapshot:
            picture = await take(conn, record)
            project = picture.project
            session = gateway.owner_connection(project.roles, seconds=ROWS_SECONDS)
            async with session as owner, copying(owner, snapshot) as same:
                database = await dump_database(gateway, owner, project, same, scratch)
        file = scratch / "archive.tar"
        facts = await asyncio.to_thread(write, gateway.store, file, record, picture, database)
        await asyncio.to_thread(_check, file)
        size, digest = await asyncio.to_thread(_measure, file)
        await asyncio.to_thread(file.replace, target)
    finally:
        await asyncio.to_thread(shutil.rmtree, scratch, True)
    async with gateway.connection() as conn:
        release_id = picture.project.active_release_id
        await rows.finish(conn, record.archive_id, facts=facts, size=size, sha256=digest, release_id=release_id)


def _measure(file: Path) -> tuple[int, str]:
    with file.open("rb") as handle:
        return file.stat().st_size, hashlib.file_digest(handle, "sha256").hexdigest()


def _check(file: Path) -> None:
    """An archive that our own verifier refuses (too large, say) is none."""
    found = verify(file)
    if not found.ok:
        first = next(item for item in found.diagnostics if item.get("severity") == "blocking")
        raise GatewayError(422, "archive_not_portable", str(first["message"]), code=str(first["code"]), retryable=False)
