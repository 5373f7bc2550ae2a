"""Commit a plan: check content, run migrations, activate. Each step is recorded, so that a resume goes on from there."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from run402_cli import advice
from run402_cli.core import expose
from run402_cli.core.callers.auth import existing_project
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.expose import rows as expose_rows
from run402_cli.core.functions import secret_rows
from run402_cli.core.gateway import Gateway
from run402_cli.core.projects.locks import project_lock
from run402_cli.core.projects.rows import Project
from run402_cli.core.releases import migrating, migrations, plans
from run402_cli.core.releases import operation_rows as operations
from run402_cli.core.releases import rows as releases
from run402_cli.core.releases.checks import refuse_failed, run_checks
from run402_cli.core.releases.diffs import migration_warnings
from run402_cli.core.releases.migration_scripts import Migration, prepared
from run402_cli.core.releases.operation_rows import advance
from run402_cli.core.releases.plans import Plan
from run402_cli.core.releases.restore_points import restore_point
from run402_cli.core.releases.section_checks import Check
from run402_cli.core.releases.section_list import SECTIONS
from run402_cli.core.releases.wire_spec import content_refs
from run402_cli.core.sites.lookup import Site
from run402_cli.core.sql.locks import lock_option, patiently

log = logging.getLogger("run402.core")

TAKE_BACK_SECONDS = 30
_running: set[asyncio.Task[dict[str, Any]]] = set()


async def commit(gateway: Gateway, plan: Plan) -> dict[str, Any]:
    """Carry a plan to `ready`; returns at once when it is there already. GatewayError says why it is not.

    Goes on even when the client hangs up: a deploy is never left half done by an impatient caller. Returns what the
    sections have to add to the answer.
    """
    return await _shielded(_commit(gateway, plan))


async def _shielded(work: Coroutine[Any, Any, dict[str, Any]]) -> dict[str, Any]:
    task = asyncio.create_task(work)
    _running.add(task)
    task.add_done_callback(_running.discard)
    return await asyncio.shield(task)


async def _commit(gateway: Gateway, plan: Plan) -> dict[str, Any]:
    async with project_lock(gateway, plan.project_id) as conn:
        operation = await operations.fetch(conn, plan.operation_id)
        if operation.status == "ready":
            return await _recorded_restore_point(conn, plan)
        project = await existing_project(conn, plan.project_id)
        work = _Work(gateway, conn, plan, project)
        try:
            work.check_base(project.active_release_id)
            if plan.noop:
                await work.finish_noop()
                return {}
            await work.check_content()
            await work.check_secrets()
            await work.migrate()
            await work.stage()
            await work.check()
            return {**work.restore_point, **await work.activate()}
        except GatewayError as exc:
            await work.fail(exc)
            raise


async def _recorded_restore_point(conn: Connection, plan: Plan) -> dict[str, Any]:
    cur = await conn.execute(
        "SELECT details FROM internal.core_operation_events WHERE operation_id = %s"
        " AND details ?| '{restore_point,snapshot_skipped_reason}' ORDER BY id DESC LIMIT 1",
        (plan.operation_id,),
    )
    row = await cur.fetchone()
    return dict(row[0]) if row else {}


@dataclass(slots=True)
class _Work:
    """One run over one plan, under the project's lock."""

    gateway: Gateway
    conn: Connection
    plan: Plan
    project: Project
    phase: str = "stage"
    # What the answer says about the snapshot that was taken before the migrations.
    restore_point: dict[str, Any] = field(default_factory=dict)

    def check_base(self, active: str | None) -> None:
        if active == self.plan.base_release_id:
            return
        self.phase = "plan"
        based_on = self.plan.base_release_id or "an empty project"
        explicit = self.plan.wire.base.get("release", "current") != "current" or "release_id" in self.plan.wire.base
        raise GatewayError(
            409,
            "stale_plan",
            f"The plan was made against {based_on}, and {active or 'no release'} is active now: another deploy came "
            f"first. {_explicit_remedy(active) if explicit else 'Deploy again: the new plan starts from there.'}",
            code="BASE_RELEASE_CONFLICT",
            resource="base",
            retryable=True,
            safe_to_retry=True,
            details={"base_release_id": self.plan.base_release_id, "active_release_id": active},
        )

    async def finish_noop(self) -> None:
        async with self.conn.transaction():
            await self._ready("Nothing to change: this release is already active")

    async def check_content(self) -> None:
        """409 content_digest_missing unless every object of the plan is staged, whole; then make it durable."""
        await self._step("staging", "started", "Checking content")
        known = await migrations.recorded(self.conn, self.plan.project_id)
        wire = self.plan.wire
        wanted = dict(content_refs(wire, migrations.pending(wire.migrations, known)))
        for part in SECTIONS:
            planned = await part.plan(self.gateway, self.conn, self.project, wire, self.plan.target_release)
            wanted |= planned.content
        store, project_id = self.gateway.store, self.plan.project_id
        stored = await asyncio.to_thread(store.sizes, project_id, list(wanted))
        absent = sorted(sha256 for sha256, size in wanted.items() if stored[sha256] != size)
        if absent:
            raise GatewayError(
                409,
                "content_digest_missing",
                f"{len(absent)} of {len(wanted)} objects of this plan are not uploaded, or not with the planned size; "
                f"first {absent[0]}. Deploy again: what is missing is uploaded.",
                retryable=True,
                missing=absent[:100],
            )
        await asyncio.to_thread(store.sync, project_id, list(wanted))
        await self._step("staging", "done", f"{len(wanted)} objects present", {"objects": len(wanted)})

    async def check_secrets(self) -> None:
        required = (self.plan.spec.get("secrets") or {}).get("require") or []
        missing = await missing_secrets(self.conn, self.plan.project_id, required)
        if missing:
            raise missing_secret_error(self.plan.project_id, missing[0])

    async def migrate(self) -> None:
        """Verify every checksum, the expose manifest and what the plan said first; then run what is pending, in order."""
        self.phase = "migrate-gate"
        wire = self.plan.wire
        known = await migrations.recorded(self.conn, self.plan.project_id)
        pending = migrations.pending(wire.migrations, known)
        texts = {m.id: await asyncio.to_thread(self._text, m) for m in pending}
        opened = {m.id: await asyncio.to_thread(prepared, m, texts[m.id]) for m in pending}
        scripts = {name: script for name, (script, _) in opened.items()}
        texts = {name: text for name, (_, text) in opened.items()}
        if wire.expose is not None:
            await check_expose(self.conn, self.project, wire.expose, list(texts.values()))
        said = await asyncio.to_thread(lambda: list(migration_warnings([(m, texts[m.id]) for m in pending])))
        plans.refuse_untold(self.plan, said, self.phase)
        await self._step("gating", "done", "Migrations and expose manifest checked", {"pending": list(texts)})
        self.phase = "migrate"
        self.restore_point = await restore_point(self.gateway, self.conn, self.project, texts.values())
        if self.restore_point:
            taken = "Took a restore point" if "restore_point" in self.restore_point else "Took no restore point"
            await self._step("migrating", "started", taken, self.restore_point)
        if pending:
            await migrations.wait_for_former(self.conn, self.project)
        for migration in pending:
            await self._step("migrating", "started", f"Running {migration.id}", {"migration_id": migration.id})
            script = scripts[migration.id]
            await migrating.install_extensions(self.conn, migration, script.extensions)
            session = self.gateway.owner_connection(
                self.project.roles, name=migrations.SESSION, options=lock_option(), seconds=None
            )
            async with session as owner:
                record, patience = known.get(migration.id), self.gateway.settings.lock_patience
                await migrating.run(owner, self.project, migration, script, record, patience=patience)
            await self._step("migrating", "done", f"Applied {migration.id}", {"migration_id": migration.id})
        if not pending:
            await self._step("migrating", "skipped", "No new migrations")

    def _text(self, migration: Migration) -> str:
        text = migration.text(self.gateway.store)
        if text is None:
            raise GatewayError(
                409,
                "content_digest_missing",
                f"The SQL of migration {migration.id} is not uploaded. Deploy again: what is missing is uploaded.",
                code="MIGRATION_SQL_NOT_FOUND",
                retryable=True,
            )
        return text

    async def stage(self) -> None:
        """What the sections prepare before anything is switched."""
        self.phase = "stage"
        for part in SECTIONS:
            await part.stage(self.gateway, self.conn, self.project, self.plan.wire, self.plan.target_release)

    async def check(self) -> None:
        """422 CHECKS_FAILED unless the staged release answers its declared checks."""
        wanted = [Check.of(entry) for entry in self.plan.spec.get("checks") or ()]
        if not wanted:
            return
        site = Site.of(self.plan.project_id, self.plan.target_release_id, self.plan.target_release)
        results = await run_checks(self.gateway, site, wanted)
        refuse_failed(results)
        await self._step("gating", "done", f"{len(results)} checks passed", {"checks": results})

    async def activate(self) -> dict[str, Any]:
        """One transaction under a lock on the project row: base, subdomains, release, pointer; and expose, or neither."""
        self.phase = "activate"
        await self.conn.execute(
            "UPDATE internal.core_operations SET activate_attempts = activate_attempts + 1,"
            " last_activate_attempt_at = now() WHERE operation_id = %s",
            (self.plan.operation_id,),
        )
        await self._step("activating", "started", f"Activating {self.plan.target_release_id}")
        if self.plan.wire.expose is not None:
            await expose_rows.owe(self.conn, self.plan.project_id)
        try:
            async with self.conn.transaction():
                cur = await self.conn.execute(
                    "SELECT active_release_id FROM internal.core_projects WHERE project_id = %s FOR NO KEY UPDATE",
                    (self.plan.project_id,),
                )
                row = await cur.fetchone()
                self.check_base(row[0] if row else None)
                async with self._exposed() as exposed:
                    details = {"release_id": self.plan.target_release_id, **exposed}
                    await releases.activate_plan(self.conn, self.plan)
                    added = await self._sections()
                    await self._step("activating", "done", f"Activated {self.plan.target_release_id}", details)
                    await self._ready("Release is live")
                    await _give_up_others(self.conn, self.plan)
                await expose_rows.keep(self.conn, self.plan.project_id)
        except (GatewayError, psycopg.Error):
            # The grants may be there and the release not. A gateway that dies here does this when it has started again.
            if self.plan.wire.expose is not None:
                await take_back(self.gateway, self.project)
            raise
        return added

    @asynccontextmanager
    async def _exposed(self) -> AsyncIterator[dict[str, Any]]:
        """The manifest applied, by the schema's owner, whose transaction ends with the block, before that of the release."""
        if self.plan.wire.expose is None:
            yield {}
            return
        manifest = self.plan.wire.expose
        session = self.gateway.owner_connection(self.project.roles, options=lock_option())
        async with session as owner, owner.transaction():

            async def once() -> dict[str, Any]:
                async with owner.transaction():
                    return await expose.apply(owner, self.project, manifest, revocable=True)

            yield {"expose": await patiently(once, self.gateway.settings.lock_patience)}

    async def _sections(self) -> dict[str, Any]:
        target = self.plan.target_release
        added: dict[str, Any] = {}
        for part in SECTIONS:
            added |= await part.activate(self.gateway, self.conn, self.project, self.plan.wire, target)
            await part.switched(self.gateway, self.conn, self.plan.project_id, target)
        return added

    async def _ready(self, message: str) -> None:
        await plans.mark_committed(self.conn, self.plan.plan_id)
        await self.conn.execute(
            "UPDATE internal.core_operations SET release_id = %s, error = NULL WHERE operation_id = %s",
            (self.plan.target_release_id, self.plan.operation_id),
        )
        await advance(self.conn, self.plan.operation_id, "ready", "ready", "done", message)

    async def _step(self, status: str, event: str, message: str, details: dict[str, Any] | None = None) -> None:
        await advance(self.conn, self.plan.operation_id, status, self.phase, event, message, details)

    async def fail(self, exc: GatewayError) -> None:
        """Record the failure with the operation, and tell the answer which operation it was."""
        exc.fields.setdefault("phase", self.phase)
        exc.fields.setdefault("retryable", False)
        exc.fields["operation_id"] = self.plan.operation_id
        exc.fields["plan_id"] = self.plan.plan_id
        exc.fields.update(self.restore_point if "restore_point" in self.restore_point else {})
        body = exc.body()
        repair = body.get("code") == "MIGRATION_FAILED" and body.get("rolled_back") is False
        async with self.conn.transaction():
            await self.conn.execute(
                "UPDATE internal.core_operations SET error = %s WHERE operation_id = %s",
                (Jsonb(body), self.plan.operation_id),
            )
            status = "needs_repair" if repair else "failed"
            await advance(self.conn, self.plan.operation_id, status, self.phase, "failed", exc.message)


async def take_back(gateway: Gateway, project: Project) -> None:
    """Undo the manifest of a release that did not go live. Where that fails, requests of the project wait for another try.

    The caller holds the project's lock.
    """
    try:
        async with gateway.owner_connection(project.roles, seconds=TAKE_BACK_SECONDS) as owner:
            await expose.undo(owner, project)
        async with gateway.connection() as conn:
            # No manifest was ever applied.
            if await expose_rows.owed(conn, project.project_id):
                await expose_rows.keep(conn, project.project_id)
    except Exception:
        log.exception("could not take back the manifest of %s", project.project_id)
        gateway.unsettled.add(project.project_id)
    else:
        gateway.unsettled.remove(project.project_id)


def _explicit_remedy(active: str | None) -> str:
    wanted = f'"base": {{"release_id": "{active}"}}' if active else '"base": {"release": "empty"}'
    return f"The manifest's `base` asks for that start: remove it, or set {wanted}."


async def _give_up_others(conn: Connection, plan: Plan) -> None:
    """Operations that a killed gateway left behind can no longer win: the release they started from is not active."""
    error = {
        "error": "stale_plan",
        "code": "BASE_RELEASE_CONFLICT",
        "message": f"Another deploy ({plan.operation_id}) was activated before this one was finished. Deploy again.",
        "phase": "activate",
        "retryable": True,
        "safe_to_retry": True,
    }
    await conn.execute(
        "UPDATE internal.core_operations SET status = 'failed', error = %s, updated_at = now()"
        " WHERE project_id = %s AND operation_id <> %s AND status = ANY(%s)",
        (Jsonb(error), plan.project_id, plan.operation_id, list(operations.UNFINISHED)),
    )


async def missing_secrets(conn: Connection, project_id: str, required: list[str]) -> list[str]:
    """Names in `required` that the project has no value for, in any scope."""
    if not required:
        return []
    there = await secret_rows.set_among(conn, project_id, required)
    return [name for name in required if name not in there]


def missing_secret_error(project_id: str, name: str) -> GatewayError:
    command = advice.command("secrets", "set", project_id, name, "--stdin")
    return GatewayError(
        422,
        "missing_required_secret",
        f"The release requires the secret {name}, which is not set. Set it with `{command}`, then deploy again.",
        secret_name=name,
        resource="secrets.require",
        next_actions=[advice.entry("edit_request", command)],
    )


async def check_expose(conn: Connection, project: Project, manifest: dict[str, Any], scripts: list[str]) -> list[Any]:
    """Warnings about an expose manifest, given the SQL that will run before it; 400 with `errors` when it cannot hold."""
    report = await expose.validate(conn, project, manifest, "\n;\n".join(scripts) or None)
    if report.errors:
        first = report.errors[0]
        raise GatewayError(
            400,
            "invalid_expose_manifest",
            f"database.expose does not fit the schema ({len(report.errors)} errors), first: {first['detail']} "
            "Nothing was changed. Correct the manifest or add the migration, then deploy again.",
            code="EXPOSE_MANIFEST_INVALID",
            resource="database.expose",
            errors=report.errors,
            retryable=False,
        )
    return list(report.warnings)
