"""Import: a verified archive becomes a new project, in one transaction. See docs/archives.md."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from run402_cli import advice
from run402_cli.archive.diagnostics import ArchiveFault, Diagnostic, diagnostic
from run402_cli.archive.format import IMPORT_RESULT_SCHEMA
from run402_cli.archive.source import Entry
from run402_cli.archive.verify import Verification, verify
from run402_cli.core import expose
from run402_cli.core.archives import rows
from run402_cli.core.archives.contents import Contents, read_contents, refused
from run402_cli.core.archives.loading import check_scripts, install_extensions, load_database
from run402_cli.core.archives.release import ImportedRelease, release_of
from run402_cli.core.content.files import sync_file
from run402_cli.core.copies.schemas import new_slot
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError, run_command
from run402_cli.core.expose import rows as expose_rows
from run402_cli.core.expose.introspect import introspect
from run402_cli.core.expose.tables import surfaces
from run402_cli.core.functions import bundle_rows
from run402_cli.core.functions.secrets import save_secret
from run402_cli.core.gateway import ROWS_SECONDS, Gateway
from run402_cli.core.projects import keys
from run402_cli.core.projects import rows as project_rows
from run402_cli.core.projects.rows import Project, begin_schema, drop_unfinished, end_schema, insert_project
from run402_cli.core.releases import migrations
from run402_cli.core.releases import operation_rows as operations
from run402_cli.core.releases import rows as releases
from run402_cli.core.releases.section_list import SECTIONS
from run402_cli.core.storage import images, object_rows
from run402_cli.core.storage.assets_request import Put, read


@dataclass(frozen=True, slots=True)
class Wish:
    """A checked request body."""

    path: Path
    name: str
    dry_run: bool
    require_runnable: bool
    secrets: Mapping[str, str] = field(repr=False)


class _DryRunDone(Exception):
    """Rolls the transaction of a dry run back."""


async def import_archive(gateway: Gateway, wish: Wish) -> tuple[int, dict[str, Any]]:
    """(HTTP status, import result). GatewayError 422 with an archive code leaves no trace."""
    verification = await asyncio.to_thread(verify, wish.path)
    if not verification.ok:
        return 422, _not_verified(verification, wish)
    missing = [s for s in verification.required_secrets if s.get("required") is True and s["name"] not in wish.secrets]
    if wish.require_runnable and missing:
        action = {"type": "set_secret", "message": "Give the values with --env-file or --secret and import again."}
        found = [_missing_secret(str(secret["name"])) for secret in missing]
        return 422, _result(verification, wish, "blocked", found, action)
    contents = await asyncio.to_thread(_contents, verification)
    await asyncio.to_thread(check_scripts, contents)
    work = _Import(gateway, wish, contents)
    problems = await work.run()
    if wish.require_runnable and problems:
        return 422, _result(verification, wish, "blocked", problems, {"type": "remove_unsupported_feature"})
    if wish.dry_run:
        action = {"type": "run_command", "message": "The archive can be imported: repeat without --dry-run."}
        return 200, _result(verification, wish, "dry_run", problems, action)
    assert work.project is not None
    more = {"project_id": work.project.project_id, "release_id": work.release.release_id if work.release else None}
    return 201, _result(verification, wish, "imported", problems, {"type": "none"}, **more)


def _contents(verification: Verification) -> Contents:
    try:
        return read_contents(verification)
    except ArchiveFault as fault:
        raise refused(fault.code, str(fault), path=fault.diagnostic.get("path")) from fault


class _Import:
    """One import of one archive."""

    def __init__(self, gateway: Gateway, wish: Wish, contents: Contents) -> None:
        self.gateway, self.wish, self.contents = gateway, wish, contents
        self.slot = new_slot("project")
        self.project: Project | None = None
        self.release: ImportedRelease | None = None

    async def run(self) -> list[Diagnostic]:
        """Import; what will not run although it was imported. With require_runnable such findings import nothing."""
        problems: list[Diagnostic] = []
        try:
            async with self.gateway.connection() as conn:
                await install_extensions(conn, self.contents)
                roles = await begin_schema(conn, self.slot, self.gateway.identity)
            async with self.gateway.connection() as conn, conn.transaction():
                if not self.wish.dry_run:
                    await self._claim_name(conn)
                stored = keys.fresh(self.gateway.settings)
                self.project = await insert_project(conn, self.wish.name, stored, slot=self.slot, roles=roles)
                problems = await self._fill(conn, self.project)
                if self.wish.dry_run or (self.wish.require_runnable and problems):
                    raise _DryRunDone
                await end_schema(conn, self.slot)
        except _DryRunDone:
            await self._forget()
        except BaseException:
            await self._forget()
            raise
        return problems

    async def _forget(self) -> None:
        """Nothing of it stays; what a dying gateway leaves goes at its next start."""
        async with self.gateway.connection() as conn:
            await drop_unfinished(conn, self.gateway.identity, self.slot)
        if self.project is not None:
            self.gateway.functions.forget(self.project.project_id)
            await asyncio.to_thread(self.gateway.store.forget, self.project.project_id)

    async def _claim_name(self, conn: Connection) -> None:
        await rows.lock_name(conn, self.wish.name)
        if await project_rows.has_name(conn, self.wish.name):
            raise refused(
                "PROJECT_ALREADY_EXISTS",
                f"This gateway has a project named {self.wish.name!r} already. Choose another --name.",
                name=self.wish.name,
            )

    async def _fill(self, conn: Connection, project: Project) -> list[Diagnostic]:
        records = expose_rows.Unborn(project.schema_slot)
        session = self.gateway.owner_connection(project.roles, name="run402-import", seconds=ROWS_SECONDS)
        async with session as owner, owner.transaction():
            await load_database(owner, project.schema_slot, self.contents)
            problems = await self._authorize(owner, project, records)
        if records.kept is not None:
            await expose_rows.put(conn, project.project_id, *records.kept)
        await self._store_objects(conn, project)
        self.release = release_of(self.contents, project.project_id)
        for name, value in self.wish.secrets.items():
            await save_secret(self.gateway, conn, project.project_id, name, value)
        await rows.add_subjects(conn, project.project_id, self.contents.subjects)
        if self.release is None:
            return problems
        await self._copy_content(project, self.release.content)
        problems += await self._build(self.release)
        await self._activate(conn, project, self.release)
        return problems

    # -- who may read what --------------------------------------------------------------------------------------------

    async def _authorize(self, owner: Connection, project: Project, records: expose_rows.Unborn) -> list[Diagnostic]:
        """Apply the archive's expose manifest, or keep the one that its own grants and policies amount to."""
        manifest = self.contents.expose
        if isinstance(manifest, dict) and manifest.get("version") == "1":
            # Without known surfaces all that it declares is made again, whatever the archive's SQL made.
            records.kept = manifest, {}
            return await _expose(owner, project, manifest, records)
        # Its expressions name the schema, which another export or restore would call otherwise.
        text = json.dumps(await introspect(owner, project.schema_slot))
        manifest = json.loads(text.replace(f"{project.schema_slot}.", ""))
        tables, views = ([item["name"] for item in manifest[kind]] for kind in ("tables", "views"))
        made = await surfaces(owner, project.schema_slot, tables, views)
        records.kept = manifest, made
        await expose.reapply(owner, project, records=records)
        return []

    # -- content ------------------------------------------------------------------------------------------------------

    async def _store_objects(self, conn: Connection, project: Project) -> None:
        puts = _puts(self.contents)
        await self._copy_content(project, {put.sha256: put.size_bytes for put in puts})
        store = self.gateway.store
        pictures = [(put, images.describe(store.path(put.sha256), put.content_type)) for put in puts]
        await object_rows.save(conn, project.project_id, pictures)

    async def _copy_content(self, project: Project, content: Mapping[str, int]) -> None:
        wanted = {sha256: self.contents.blob(sha256, size) for sha256, size in content.items()}
        await asyncio.to_thread(self._copy_blobs, project.project_id, wanted)

    def _copy_blobs(self, project_id: str, wanted: Mapping[str, Entry]) -> None:
        store = self.gateway.store
        for sha256, entry in wanted.items():
            temporary = store.temporary()
            digest = hashlib.sha256()
            with temporary.open("wb") as handle:
                for chunk in self.contents.archive.chunks(entry):
                    digest.update(chunk)
                    handle.write(chunk)
                sync_file(handle)
            if digest.hexdigest() != sha256:
                temporary.unlink()
                raise refused(
                    "STORAGE_OBJECT_DIGEST_MISMATCH", f"{entry.path} is not the content that it is named after."
                )
            store.adopt(project_id, sha256, temporary)
        store.sync(project_id, list(wanted))

    # -- release ------------------------------------------------------------------------------------------------------

    async def _build(self, release: ImportedRelease) -> list[Diagnostic]:
        problems = []
        severity = "blocking" if self.wish.require_runnable else "warning"
        for name, bundle in release.bundles.items():
            try:
                release.bundles[name] = (await self.gateway.functions.builder.build(bundle))[0]
            except GatewayError as exc:
                problems.append(
                    diagnostic(
                        "IMPORT_CONFORMANCE_FAILED",
                        f"The function {name} was imported, but it does not run here: {exc.message}",
                        "function",
                        resource_id=name,
                        severity=severity,
                        next_action={"type": "read_docs", "message": "Correct it and deploy the function."},
                        retryable=exc.status == 503,
                    )
                )
        return problems

    async def _activate(self, conn: Connection, project: Project, release: ImportedRelease) -> None:
        project_id = project.project_id
        operation = await operations.record(conn, "import", project_id, f"Imported {release.release_id}")
        await operations.set_release(conn, operation, release.release_id)
        await releases.insert_first(
            conn, project_id, release.release_id, release.state, release.digest, operation_id=operation
        )
        await migrations.record_applied(conn, project_id, release.state["migrations"])
        await bundle_rows.save(conn, project_id, release.release_id, release.bundles)
        await releases.point_at(conn, project_id, release.release_id, [])
        for part in SECTIONS:
            await part.switched(self.gateway, conn, project_id, release.state)


async def _expose(
    owner: Connection, project: Project, manifest: Mapping[str, Any], records: expose_rows.Unborn
) -> list[Diagnostic]:
    try:
        async with owner.transaction():
            await expose.apply(owner, project, manifest, records=records)
        return []
    except GatewayError as exc:
        # A project may outlive parts of its manifest: what still fits is opened, the rest stays hidden, as before.
        await expose.reapply(owner, project, records=records)
        problem = diagnostic(
            "DATABASE_RLS_IMPORT_UNSUPPORTED",
            f"Parts of the expose manifest do not fit the tables and stay hidden: {exc.message}",
            "expose",
            severity="warning",
            next_action=advice.action("run_command", "projects", "apply-expose"),
            context={"errors": exc.fields.get("errors", [])},
        )
        return [problem]


def _puts(contents: Contents) -> tuple[Put, ...]:
    entries = []
    for item in contents.storage:
        keys = ("key", "content_type", "visibility", "immutable", "metadata")
        given = {key: item[key] for key in keys if item.get(key) is not None}
        digest = str(item.get("digest")).removeprefix("sha256:")
        entries.append({**given, "sha256": digest, "size_bytes": item.get("size")})
    try:
        return read({"put": entries}).puts if entries else ()
    except Exception as exc:
        message = getattr(exc, "message", str(exc))
        raise refused("IMPORT_CONFORMANCE_FAILED", f"storage/index.json cannot be used: {message}") from exc


# -- results ------------------------------------------------------------------------------------------------------------


def _result(
    verification: Verification, wish: Wish, status: str, found: list[Diagnostic], action: Mapping[str, Any], **more: Any
) -> dict[str, Any]:
    return {
        "schema_version": IMPORT_RESULT_SCHEMA,
        "status": status,
        "archive_digest": verification.digest,
        "project_name": wish.name,
        **more,
        "required_secrets": verification.required_secrets,
        "diagnostics": found,
        "next_action": dict(action),
    }


def _not_verified(verification: Verification, wish: Wish) -> dict[str, Any]:
    action = run_command("archives", "verify", os.fspath(wish.path))
    count = len(verification.diagnostics)
    first = diagnostic(
        "IMPORT_VERIFY_FAILED",
        "The archive does not verify; nothing was imported.",
        "archive",
        context={"diagnostic_count": count},
        next_action=action,
    )
    return _result(verification, wish, "failed", [first, *verification.diagnostics], action)


def _missing_secret(name: str) -> Diagnostic:
    return diagnostic(
        "SECRET_VALUES_REQUIRED",
        f"{name} has no value, and the project cannot run without it.",
        "secret",
        resource_id=name,
        next_action={
            "type": "set_secret",
            "env_var": name,
            "message": f"Import with --secret {name}=... or --env-file.",
        },
        retryable=True,
    )
