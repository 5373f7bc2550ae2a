"""Plans as stored: a checked spec, the release it leads to, and what it was planned against."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg.types.json import Jsonb

from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.releases.wire_spec import Dialect, WireSpec

DDL = """
CREATE TABLE IF NOT EXISTS internal.core_apply_plans (
  plan_id text PRIMARY KEY,
  operation_id text NOT NULL,
  project_id text NOT NULL REFERENCES internal.core_projects ON DELETE CASCADE,
  dialect text NOT NULL,
  spec jsonb NOT NULL,
  release_spec_digest text NOT NULL,
  manifest_digest text NOT NULL,
  base_release_id text,
  target_release_id text NOT NULL,
  target_release_digest text NOT NULL,
  target_release jsonb NOT NULL,
  noop boolean NOT NULL,
  idempotency_key text,
  plan_fingerprint text,
  expires_at timestamptz,
  status text NOT NULL DEFAULT 'planned' CHECK (status IN ('planned', 'committed')),
  created_at timestamptz NOT NULL DEFAULT now(),
  committed_at timestamptz
);
ALTER TABLE internal.core_apply_plans ADD COLUMN IF NOT EXISTS remembered jsonb NOT NULL DEFAULT '{}';
ALTER TABLE internal.core_apply_plans ADD COLUMN IF NOT EXISTS warned jsonb NOT NULL DEFAULT '[]';
CREATE INDEX IF NOT EXISTS core_apply_plans_idempotency
  ON internal.core_apply_plans (project_id, idempotency_key) WHERE idempotency_key IS NOT NULL;
"""

REVIEW_LIFETIME = timedelta(hours=24)
COLUMNS = (
    "plan_id, operation_id, project_id, dialect, spec, release_spec_digest, manifest_digest, base_release_id,"
    " target_release_id, target_release_digest, target_release, noop, idempotency_key, plan_fingerprint, expires_at,"
    " status, created_at, remembered, warned"
)


@dataclass(frozen=True, slots=True)
class Plan:
    """A row of internal.core_apply_plans; `target_release` is the release state that a commit makes active. The row of a
    plan that changes nothing has none: it is that of the base.

    `warned` are the warnings that its reader was told: a commit does nothing that deserves another one.
    """

    plan_id: str
    operation_id: str
    project_id: str
    dialect: Dialect
    spec: dict[str, Any]
    release_spec_digest: str
    manifest_digest: str
    base_release_id: str | None
    target_release_id: str
    target_release_digest: str
    target_release: dict[str, Any]
    noop: bool
    idempotency_key: str | None
    plan_fingerprint: str | None
    expires_at: datetime | None
    status: str
    created_at: datetime
    remembered: dict[str, Any]
    warned: list[dict[str, Any]]

    @property
    def wire(self) -> WireSpec:
        return WireSpec(self.dialect, self.project_id, self.spec, self.remembered)


def new_ids() -> tuple[str, str]:
    """Ids of a plan and of its operation."""
    return f"plan_{secrets.token_hex(12)}", f"op_{secrets.token_hex(12)}"


async def insert(conn: Connection, plan: Plan) -> None:
    """Store a plan and its operation, both or neither."""
    async with conn.transaction():
        await conn.execute(
            f"INSERT INTO internal.core_apply_plans ({COLUMNS})"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            (
                plan.plan_id,
                plan.operation_id,
                plan.project_id,
                plan.dialect,
                Jsonb(plan.spec),
                plan.release_spec_digest,
                plan.manifest_digest,
                plan.base_release_id,
                plan.target_release_id,
                plan.target_release_digest,
                Jsonb({} if plan.noop else plan.target_release),
                plan.noop,
                plan.idempotency_key,
                plan.plan_fingerprint,
                plan.expires_at,
                plan.status,
                plan.created_at,
                Jsonb(plan.remembered),
                Jsonb(plan.warned),
            ),
        )
        await conn.execute(
            "INSERT INTO internal.core_operations"
            " (operation_id, project_id, plan_id, status, base_release_id, target_release_id)"
            " VALUES (%s, %s, %s, 'planning', %s, %s)",
            (plan.operation_id, plan.project_id, plan.plan_id, plan.base_release_id, plan.target_release_id),
        )


async def fetch(conn: Connection, plan_id: str) -> Plan:
    """The plan, or 404 plan_not_found."""
    found = await _select(conn, "plan_id = %s", (plan_id,))
    if found is None:
        raise GatewayError(
            404,
            "plan_not_found",
            f"There is no plan {plan_id} here. Make one with `run402 deploy apply --plan`.",
            phase="plan",
            plan_id=plan_id,
        )
    return found


async def repeated(
    conn: Connection, project_id: str, key: str, spec_digest: str, base_release_id: str | None, active: str | None
) -> Plan | None:
    """The plan that the same idempotency key, spec and base led to, while its outcome still stands."""
    return await _select(
        conn,
        "project_id = %s AND idempotency_key = %s AND release_spec_digest = %s"
        " AND base_release_id IS NOT DISTINCT FROM %s AND (status = 'planned' OR target_release_id = %s)",
        (project_id, key, spec_digest, base_release_id, active),
    )


async def tell(conn: Connection, plan_id: str, warned: list[dict[str, Any]]) -> None:
    """Note that the reader of an earlier plan is told these warnings now."""
    await conn.execute("UPDATE internal.core_apply_plans SET warned = %s WHERE plan_id = %s", (Jsonb(warned), plan_id))


def refuse_untold(plan: Plan, warnings: Iterable[Mapping[str, Any]], phase: str) -> None:
    """409 PLAN_STALE when something that wants a confirmation is not among the warnings of the plan.

    A plan that could not read its SQL yet, or was made before a restore, agrees to nothing that it did not show.
    """
    told = {(w["code"], name) for w in plan.warned for name in (None, *w.get("affected", ()))}
    untold = [
        dict(w)
        for w in warnings
        if w["requires_confirmation"] and not {(w["code"], name) for name in (None, *w.get("affected", ()))} <= told
    ]
    if untold:
        texts = " ".join(str(w["message"]) for w in untold)
        raise stale(
            "plan_stale",
            f"{plan.plan_id} did not say what it would do now, and nothing was changed: {texts}",
            plan,
            phase=phase,
            warnings=untold,
            unacknowledged_warning_codes=sorted({w["code"] for w in untold}),
        )


def stale(error: str, problem: str, plan: Plan, *, phase: str = "plan", **fields: Any) -> GatewayError:
    """The 409 of a plan that cannot be committed any more, or not as it was reviewed."""
    return GatewayError(
        409,
        error,
        f"{problem} Review again: `run402 deploy apply --manifest <file> --plan`, then --require-plan with the new id.",
        phase=phase,
        resource="required_plan",
        plan_id=plan.plan_id,
        retryable=False,
        safe_to_retry=False,
        **fields,
    )


async def mark_committed(conn: Connection, plan_id: str) -> None:
    await conn.execute(
        "UPDATE internal.core_apply_plans SET status = 'committed', committed_at = now() WHERE plan_id = %s", (plan_id,)
    )


async def _select(conn: Connection, condition: str, values: tuple[object, ...]) -> Plan | None:
    query = f"SELECT {COLUMNS} FROM internal.core_apply_plans WHERE {condition} ORDER BY created_at DESC LIMIT 1"
    cur = await conn.execute(query.encode(), values)
    row = await cur.fetchone()
    return None if row is None else Plan(*row)


def now() -> datetime:
    return datetime.now(UTC)
