"""Export: a project as one portable archive, of one moment. See docs/archives.md.

The database is read in one snapshot and under the project's lock, so no deploy can come in between; requests go on.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psycopg.errors
from psycopg.types.json import Jsonb
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from run402_cli import advice
from run402_cli.archive.diagnostics import diagnostic
from run402_cli.archive.format import (
    AUTH_SCHEMA,
    CAPABILITIES,
    COPY_TYPE,
    EXPORT_REPORT_SCHEMA,
    FACTS_SCHEMA,
    PORTABILITY_SCHEMA,
    RUNTIME_SCHEMA,
    SECRETS_SCHEMA,
    SEQUENCES_SCHEMA,
    STORAGE_SCHEMA,
    TABLES_SCHEMA,
)
from run402_cli.archive.verify import verify
from run402_cli.archive.writer import ArchiveWriter
from run402_cli.core.archives.dumping import DumpedDatabase, dump_database
from run402_cli.core.archives.records import COLUMNS, LIFETIME, ArchiveRecord, fail, fetch, file_of, find_by_key, sweep
from run402_cli.core.archives.release import spec_of
from run402_cli.core.callers.auth import project_by_id
from run402_cli.core.content.store import ContentStore
from run402_cli.core.copies.schemas import copying
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.functions import bundle_rows
from run402_cli.core.functions.bundle_rows import Bundle
from run402_cli.core.functions.spec import code_content
from run402_cli.core.gateway import Gateway, gateway_of
from run402_cli.core.projects.locks import project_lock
from run402_cli.core.projects.rows import Project
from run402_cli.core.releases import operation_rows as operations
from run402_cli.core.releases import rows as releases
from run402_cli.core.storage.object_rows import COLUMNS as OBJECT_COLUMNS
from run402_cli.core.storage.object_rows import StoredObject
from run402_cli.core.web.http import read_object, reply
from run402_cli.release.state import empty_state

log = logging.getLogger("run402.core")

SCOPE: Final = "portable-runtime-v1"
AUTH_MODES: Final = ("stubs", "none")
CONSISTENCY: Final = "cloud_write_pause_v1"
CONSISTENCY_MODES: Final = ("pause-writes", CONSISTENCY)
_SSR: Final = "run402.core.astro-ssr.v1"
_running: dict[str, asyncio.Task[None]] = {}


@dataclass(frozen=True, slots=True)
class Picture:
    """A project as it is at one moment, apart from its content and its rows."""

    project: Project
    state: dict[str, Any]
    bundles: dict[str, Bundle]
    objects: list[StoredObject]
    subjects: list[dict[str, Any]]
    secrets: list[dict[str, Any]]
    expose: Any
    postgres_version: str
    subdomains: list[str]


# -- routes -------------------------------------------------------------------------------------------------------------


async def create_archive(request: Request) -> Response:
    """POST /projects/v1/{project_id}/archives {scope?, auth?, consistency?}: 202 archive, status running.

    A repeated Idempotency-Key returns the first archive. 400 EXPORT_SCOPE_UNSUPPORTED or EXPORT_CONSISTENCY_UNAVAILABLE.
    docs/archives.md
    """
    gateway = gateway_of(request)
    body = await read_object(request)
    scope, auth = body.get("scope", SCOPE), body.get("auth", "stubs")
    consistency = body.get("consistency", CONSISTENCY)
    _refuse_other("scope", scope, (SCOPE,), "EXPORT_SCOPE_UNSUPPORTED")
    _refuse_other("auth", auth, AUTH_MODES, "EXPORT_SCOPE_UNSUPPORTED")
    _refuse_other("consistency", consistency, CONSISTENCY_MODES, "EXPORT_CONSISTENCY_UNAVAILABLE")
    key = request.headers.get("idempotency-key")
    async with gateway.connection() as conn:
        project = await project_by_id(conn, request.path_params["project_id"])
        record = await _start(conn, project, scope, auth, key)
    if record.status == "running" and record.archive_id not in _running:
        task = asyncio.create_task(_export(gateway, record))
        _running[record.archive_id] = task
        task.add_done_callback(lambda _task: _running.pop(record.archive_id, None))
    return reply(record.view(), 202)


def _refuse_other(field: str, value: Any, allowed: tuple[str, ...], code: str) -> None:
    if value not in allowed:
        raise GatewayError(
            400, code.lower(), f"{field} must be {' or '.join(allowed)}, not {value!r}.", code=code, field=field
        )


async def _start(conn: Connection, project: Project, scope: str, auth: str, key: str | None) -> ArchiveRecord:
    archive_id = f"arc_{secrets.token_hex(12)}"
    async with conn.transaction():
        if key is not None:
            await conn.execute("SELECT pg_advisory_xact_lock(hashtextextended('run402-export:' || %s, 0))", (key,))
            known = await find_by_key(conn, project.project_id, key)
            if known is not None:
                return known
        operation = await operations.record(conn, "export", project.project_id, f"Exports {archive_id}")
        cur = await conn.execute(
            "INSERT INTO internal.core_archives (archive_id, project_id, operation_id, idempotency_key, scope,"
            " auth_export, consistency_mode, active_release_id, expires_at)"
            f" VALUES (%s, %s, %s, %s, %s, %s, %s, %s, now() + %s) RETURNING {COLUMNS}",
            (
                *(archive_id, project.project_id, operation, key, scope, auth, CONSISTENCY),
                *(project.active_release_id, LIFETIME),
            ),
        )
        row: Any = await cur.fetchone()
    return ArchiveRecord(*row)


async def get_archive(request: Request) -> Response:
    """GET /projects/v1/{project_id}/archives/{archive_id}: the archive. 404 archive_not_found."""
    return reply((await _find(request)).view())


async def _find(request: Request) -> ArchiveRecord:
    gateway, archive_id = gateway_of(request), request.path_params["archive_id"]
    async with gateway.connection() as conn:
        project = await project_by_id(conn, request.path_params["project_id"])
        record = await fetch(conn, project.project_id, archive_id)
        if record.status == "running" and archive_id not in _running:
            # Whoever was making it is gone: a gateway that was stopped or killed.
            await fail(conn, archive_id, _error("EXPORT_CONSISTENCY_UNAVAILABLE", "The gateway stopped meanwhile."))
            record = await fetch(conn, project.project_id, archive_id)
    return record


async def download_archive(request: Request) -> Response:
    """GET /projects/v1/{project_id}/archives/{archive_id}/download: the tar. 409 archive_not_ready, 410 archive_expired."""
    record = await _find(request)
    file = file_of(gateway_of(request), record.archive_id)
    again = f"Make a new one: {advice.command('cloud', 'archives', 'create', '--project', record.project_id, '--wait')}"
    if record.status == "expired" or (record.status == "ready" and not file.exists()):
        raise GatewayError(
            410, "archive_expired", f"{record.archive_id} has expired. {again}", code="ARCHIVE_EXPIRED", retryable=False
        )
    if record.status != "ready":
        raise GatewayError(
            409,
            "archive_not_ready",
            f"{record.archive_id} is {record.status}.",
            code="ARCHIVE_NOT_READY",
            details={"archive_id": record.archive_id, "status": record.status},
            retryable=record.status == "running",
        )
    return FileResponse(
        file,
        media_type="application/x-tar",
        filename=file.name,
        headers={"X-Run402-Content-Sha256": record.sha256 or "", "Cache-Control": "private, no-store"},
    )


# -- the work -----------------------------------------------------------------------------------------------------------


async def _export(gateway: Gateway, record: ArchiveRecord) -> None:
    try:
        async with gateway.connection() as conn:
            await sweep(gateway, conn)
        await _make(gateway, record)
    except Exception as exc:
        log.error("export %s failed", record.archive_id, exc_info=exc)
        error = _failure(exc)
        async with gateway.connection() as conn:
            await fail(conn, record.archive_id, error)


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
        async with project_lock(gateway, record.project_id) as conn, copying(conn):
            picture = await _picture(conn, record)
            database = await dump_database(gateway, conn, picture.project.schema_slot, scratch)
        file = scratch / "archive.tar"
        facts = await asyncio.to_thread(_write, gateway.store, file, record, picture, database)
        await asyncio.to_thread(_check, file)
        size, digest = await asyncio.to_thread(_measure, file)
        await asyncio.to_thread(file.replace, target)
    finally:
        await asyncio.to_thread(shutil.rmtree, scratch, True)
    async with gateway.connection() as conn:
        await conn.execute(
            "UPDATE internal.core_archives SET status = 'ready', facts = %s, byte_count = %s, sha256 = %s,"
            " active_release_id = %s, completed_at = now(), updated_at = now() WHERE archive_id = %s",
            (Jsonb(facts), size, digest, picture.project.active_release_id, record.archive_id),
        )


def _measure(file: Path) -> tuple[int, str]:
    with file.open("rb") as handle:
        return file.stat().st_size, hashlib.file_digest(handle, "sha256").hexdigest()


def _check(file: Path) -> None:
    """An archive that our own verifier refuses (too large, say) is none."""
    found = verify(file)
    if not found.ok:
        first = next(item for item in found.diagnostics if item.get("severity") == "blocking")
        raise GatewayError(422, "archive_not_portable", str(first["message"]), code=str(first["code"]), retryable=False)


async def _picture(conn: Connection, record: ArchiveRecord) -> Picture:
    project = await project_by_id(conn, record.project_id)
    release = await releases.find(conn, project.project_id, project.active_release_id or "")
    state = json.loads(json.dumps(release.state)) if release else empty_state()
    subdomains = state["subdomains"]["names"]
    state["subdomains"] = {"names": []}
    cur = await conn.execute("SHOW server_version")
    version: Any = await cur.fetchone()
    cur = await conn.execute(
        f"SELECT {OBJECT_COLUMNS} FROM internal.core_storage_objects WHERE project_id = %s ORDER BY key",
        (project.project_id,),
    )
    stored = [StoredObject(*row) for row in await cur.fetchall()]
    expose = await _expose(conn, project)
    return Picture(
        project=project,
        state=state,
        bundles=await bundle_rows.load(conn, project.project_id, project.active_release_id),
        objects=stored,
        subjects=await _subjects(conn, project, expose) if record.auth_export == "stubs" else [],
        secrets=await _secrets(conn, project, state),
        expose=expose,
        postgres_version=str(version[0]),
        subdomains=subdomains,
    )


async def _expose(conn: Connection, project: Project) -> Any:
    cur = await conn.execute(
        "SELECT manifest::text FROM internal.core_expose WHERE project_id = %s", (project.project_id,)
    )
    row = await cur.fetchone()
    return json.loads(row[0].replace(f"{project.schema_slot}.", "")) if row else None


async def _subjects(conn: Connection, project: Project, expose: Any) -> list[dict[str, Any]]:
    owned = [
        f"{table['name']}.{table['owner_column']}"
        for table in (expose or {}).get("tables") or ()
        if isinstance(table, dict) and isinstance(table.get("owner_column"), str)
    ]
    cur = await conn.execute(
        "SELECT subject_id, subject_references FROM internal.core_auth_subject_stubs WHERE project_id = %(project)s"
        " UNION ALL SELECT user_id, NULL FROM internal.core_auth_users u WHERE project_id = %(project)s"
        " AND NOT EXISTS (SELECT 1 FROM internal.core_auth_subject_stubs s"
        " WHERE s.project_id = u.project_id AND s.subject_id = u.user_id) ORDER BY 1",
        {"project": project.project_id},
    )
    return [
        {"subject_id": subject, "disabled": True, "references": owned if references is None else references}
        for subject, references in await cur.fetchall()
    ]


async def _secrets(conn: Connection, project: Project, state: Mapping[str, Any]) -> list[dict[str, Any]]:
    cur = await conn.execute(
        "SELECT name, array_agg(DISTINCT function_name ORDER BY function_name)"
        " FROM internal.core_function_secrets WHERE project_id = %s GROUP BY name ORDER BY name",
        (project.project_id,),
    )
    owners = {row[0]: [owner for owner in row[1] if owner] for row in await cur.fetchall()}
    required = set(state["secrets"]["keys"])
    found = []
    for name in sorted({*owners, *required}):
        targets = [f"function:{owner}" for owner in owners.get(name, [])]
        found.append({"name": name, "required": name in required, **({"targets": targets} if targets else {})})
    return found


# -- writing (in a thread) ----------------------------------------------------------------------------------------------


def _write(
    store: ContentStore, file: Path, record: ArchiveRecord, picture: Picture, database: DumpedDatabase
) -> dict[str, Any]:
    consistency = {
        "mode": CONSISTENCY,
        "pinned_release_id": picture.project.active_release_id,
        "database": {"postgres_version": picture.postgres_version},
        "storage": {"mutation_pause": "not_applicable"},
        "runtime": {"artifact_capture": "captured" if picture.bundles else "not_applicable"},
    }
    portability = {"schema_version": PORTABILITY_SCHEMA, "entries": _portability(picture)}
    export_report = _export_report(record, picture, database)
    with ArchiveWriter(file) as writer:
        codes = {name: bundle.code for name, bundle in picture.bundles.items()}
        spec = spec_of(picture.project.name, picture.state, codes)
        if picture.expose is not None:
            spec["database"] = {"expose": picture.expose}
        writer.add_json("release_spec", spec)
        writer.add_json("portable_release_state", picture.state)
        writer.add_json("fact_set", {"schema_version": FACTS_SCHEMA, "facts": _facts(picture)})
        writer.add_json("portability_report", portability)
        writer.add_json("export_report", export_report)
        _write_database(writer, database)
        _write_auth(writer, record, picture)
        _write_content(writer, store, picture)
        _write_secrets(writer, picture)
        ssr = any(entry.get("class") == "ssr" for entry in picture.state["functions"])
        writer.finish(
            core_compatibility={"runtime_kernel": ">=0.1.5", "release_spec": "run402.release_spec.v1"},
            source={"platform": "run402-core", "label": picture.project.name},
            required_capabilities=[name for name in CAPABILITIES if ssr or name != _SSR],
            consistency=consistency,
        )
    return {"consistency": consistency, "export_report": export_report, "portability_report": portability}


def _write_database(writer: ArchiveWriter, database: DumpedDatabase) -> None:
    writer.add_bytes("database.pre_data_sql", database.pre_data.encode())
    tables = [table.entry for table in database.tables]
    writer.add_json("database.tables", {"schema_version": TABLES_SCHEMA, "tables": tables})
    for table in database.tables:
        name = f"database.data.{table.entry['id']}"
        writer.add_file(name, table.entry["copy_path"], COPY_TYPE, table.file)
    writer.add_json("database.sequences", {"schema_version": SEQUENCES_SCHEMA, "sequences": database.sequences})
    writer.add_bytes("database.post_data_sql", database.post_data.encode())


def _write_auth(writer: ArchiveWriter, record: ArchiveRecord, picture: Picture) -> None:
    config = {
        "schema_version": AUTH_SCHEMA,
        "auth_export": record.auth_export,
        "subject_id_namespace": "run402-auth-subject",
    }
    writer.add_json("auth.config", config)
    lines = [json.dumps(subject, ensure_ascii=False, separators=(",", ":")) + "\n" for subject in picture.subjects]
    writer.add_bytes("auth.subjects", "".join(lines).encode())


def _write_content(writer: ArchiveWriter, store: ContentStore, picture: Picture) -> None:
    stored = []
    for item in picture.objects:
        stored.append(
            {
                "key": item.key,
                "visibility": item.visibility,
                "content_type": item.content_type,
                "immutable": item.immutable,
                "size": item.size_bytes,
                "digest": f"sha256:{item.sha256}",
                "blob_path": _blob(writer, store, item.sha256),
                **({"metadata": item.metadata} if item.metadata else {}),
            }
        )
    writer.add_json("storage.index", {"schema_version": STORAGE_SCHEMA, "objects": stored})
    for entry in picture.state["site"]["paths"]:
        _blob(writer, store, entry["content_sha256"])
    functions = [_runtime_entry(writer, store, picture, bundle) for bundle in picture.bundles.values()]
    ssr = next((entry["name"] for entry in picture.state["functions"] if entry.get("class") == "ssr"), None)
    astro = {"enabled": ssr is not None, **({"function": ssr} if ssr else {})}
    writer.add_json("runtime.index", {"schema_version": RUNTIME_SCHEMA, "functions": functions, "astro_ssr": astro})


def _blob(writer: ArchiveWriter, store: ContentStore, sha256: str) -> str:
    try:
        return writer.add_blob(sha256, store.path(sha256))
    except (FileNotFoundError, ValueError) as exc:
        raise GatewayError(
            409,
            "storage_object_digest_mismatch",
            f"The content {sha256} is missing from the content directory, or damaged. Deploy it again.",
            code="STORAGE_OBJECT_DIGEST_MISMATCH",
        ) from exc


def _runtime_entry(writer: ArchiveWriter, store: ContentStore, picture: Picture, bundle: Bundle) -> dict[str, Any]:
    for sha256 in code_content(bundle.code):
        _blob(writer, store, sha256)
    files = bundle.code["files"]
    main = files.get((bundle.code["entrypoint"] or "").partition("#")[0].removeprefix("./"), bundle.code["source"])
    artifact = bundle.code["source"] or main or next(iter(files.values()))
    return {
        "name": bundle.name,
        "runtime": "node22",
        "entrypoint": bundle.code["entrypoint"] or "default",
        "artifact_digest": f"sha256:{artifact['sha256']}",
        "artifact_path": f"blobs/sha256/{artifact['sha256']}",
        "required_secrets": list(picture.state["secrets"]["keys"]),
        "class": bundle.entry.get("class") or "standard",
        # Beyond the format, for functions of several files and with packages; other importers pass it over.
        "bundle": {**bundle.code, "lock": bundle.lock},
    }


def _write_secrets(writer: ArchiveWriter, picture: Picture) -> None:
    writer.add_json("secret_requirements", {"schema_version": SECRETS_SCHEMA, "secrets": picture.secrets})
    template = "".join(f"{secret['name']}=\n" for secret in picture.secrets)
    writer.add_bytes("secret_env_template", template.encode())


def _facts(picture: Picture) -> list[dict[str, str]]:
    found = {f"static:{entry['path']}": entry["content_sha256"] for entry in picture.state["site"]["paths"]}
    found |= {f"function:{entry['name']}": entry["code_hash"] for entry in picture.state["functions"]}
    return [
        {"protocol": "run402.fact.content.v1", "resource": resource, "digest": f"sha256:{digest}"}
        for resource, digest in found.items()
    ]


def _portability(picture: Picture) -> list[dict[str, Any]]:
    entries = []
    if picture.subjects:
        entries.append(
            diagnostic(
                "AUTH_SUBJECT_STUBS_IMPORTED",
                "Users come as disabled stubs: rows keep their owners, and nobody can sign in with them.",
                "auth_subject",
                severity="info",
                next_action={"type": "none"},
            )
        )
    for secret in picture.secrets:
        entries.append(
            diagnostic(
                "SECRET_VALUES_REQUIRED",
                f"{secret['name']} has a value in the source project, which is not in the archive.",
                "secret",
                resource_id=secret["name"],
                severity="warning",
                next_action={"type": "set_secret", "env_var": secret["name"]},
                retryable=True,
            )
        )
    for name in picture.subdomains:
        entries.append(
            diagnostic(
                "CLOUD_ONLY_FEATURE_EXCLUDED",
                f"The subdomain {name} stays with the source project. Claim a name for the new one.",
                "subdomain",
                resource_id=name,
                severity="warning",
                next_action=advice.action("run_command", "subdomains", "claim", name),
            )
        )
    return entries


def _export_report(record: ArchiveRecord, picture: Picture, database: DumpedDatabase) -> dict[str, Any]:
    code: dict[str, int] = {}
    for bundle in picture.bundles.values():
        code |= code_content(bundle.code)
    return {
        "schema_version": EXPORT_REPORT_SCHEMA,
        "export_scope": SCOPE,
        "auth_export": record.auth_export,
        "consistency": CONSISTENCY,
        "omitted_sensitive_resource_count": len(picture.secrets),
        "unsupported_resource_count": len(picture.subdomains),
        "counts": {
            "tables": len(database.tables),
            "rows": database.rows,
            "storage_objects": len(picture.objects),
            "functions": len(picture.bundles),
            "auth_subject_stubs": len(picture.subjects),
        },
        "bytes": {
            "storage": sum(item.size_bytes for item in picture.objects),
            "runtime": sum(code.values()),
        },
    }
