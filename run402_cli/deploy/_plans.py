"""The plan request, and its answer in one shape for both dialects and for older gateways."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from run402_cli import advice
from run402_cli.client import Client
from run402_cli.deploy._options import silent
from run402_cli.deploy._upload import send_missing, stage_all
from run402_cli.deploy._warnings import blocks, unknown_removals
from run402_cli.deploy.errors import left_behind
from run402_cli.errors import DeployError
from run402_cli.release.ci_rules import oversized_in_ci
from run402_cli.release.content import ContentObject
from run402_cli.release.routes import readonly_wildcard_warning
from run402_cli.release.wire import WireRelease, is_oversized, manifest_object, oversized_error, sql_by_ref
from run402_cli.services import apply as apply_service
from run402_cli.services.ci_session import CiClient

_DIFF_KEYS = (
    *("is_noop", "summary", "warnings", "migrations", "site", "functions", "secrets", "subdomains", "routes"),
    "static_assets",
)

Plan = dict[str, Any]


def request(
    client: Client,
    project_id: str,
    release: WireRelease,
    *,
    core: bool,
    idempotency_key: str | None = None,
    mode: str | None = None,
    required_plan: Mapping[str, str] | None = None,
    dry_run: bool = False,
) -> Any:
    """Send the plan request; a spec that is too large for a request body is stored before, or its SQL is.

    A gateway that could not read a migration, because it has the digest alone, is sent the SQL and asked again: the
    warnings are part of the plan.
    """
    body: dict[str, Any] = {"spec": release.spec}
    if idempotency_key is not None:
        body["idempotency_key"] = idempotency_key
    if mode is not None:
        body["mode"] = mode
    if required_plan is not None:
        body["required_plan"] = dict(required_plan)
    if is_oversized(body):
        if isinstance(client, CiClient):
            raise oversized_in_ci()
        if dry_run and client.is_core:
            raise oversized_error("DRY_RUN_REQUIRES_INLINE_SPEC")
        if not core and (dry_run or mode is not None or required_plan is not None):
            raise oversized_error("PLAN_REQUIRES_INLINE_SPEC")
        body |= _spec_by_ref(client, project_id, release, core=core)
    answer = apply_service.plan(client, project_id, body, dry_run=dry_run)
    sql = _unread_sql(answer, release)
    if not sql:
        return answer
    with left_behind(phase="plan", operation_id=answer.get("operation_id"), plan_id=answer.get("plan_id")):
        send_missing(client, project_id, [item.entry() for item in sql.values()], sql, workers=1, emit=silent)
    return apply_service.plan(client, project_id, body, dry_run=dry_run)


def _unread_sql(answer: Any, release: WireRelease) -> dict[str, ContentObject]:
    """The SQL of the plan's `unread_migrations`, as far as its bytes are here."""
    unread = answer.get("unread_migrations") if isinstance(answer, dict) else None
    if not isinstance(unread, list):
        return {}
    entries = (release.spec.get("database") or {}).get("migrations") or []
    digests = [entry["sql_ref"]["sha256"] for entry in entries if entry["id"] in unread and "sql_ref" in entry]
    return {sha256: release.objects[sha256] for sha256 in digests if sha256 in release.objects}


def _spec_by_ref(client: Client, project_id: str, release: WireRelease, *, core: bool) -> dict[str, Any]:
    """What stands for the spec when most of it has been uploaded: the local gateway is sent the SQL, and the rest inline."""
    if not core:
        manifest = _store_manifest(client, project_id, release)
        return {"spec": {"project_id": project_id}, "manifest_ref": manifest}
    smaller = sql_by_ref(release)
    sql = {sha256: item for sha256, item in smaller.objects.items() if sha256 not in release.objects}
    stage_all(client, project_id, list(sql.values()), workers=1, emit=silent, contents=sql)
    return {"spec": smaller.spec}


def _store_manifest(client: Client, project_id: str, release: WireRelease) -> dict[str, Any]:
    item = manifest_object(release.spec)
    send_missing(client, project_id, [item.entry()], {item.sha256: item}, workers=1, emit=silent)
    return item.entry()


def normalized(answer: Any, spec: Mapping[str, Any]) -> Plan:
    """The plan response with `warnings`, `missing_content`, `diff` and `payment_required` always there.

    The client's own warnings about `spec` are added unless the gateway gave one with the same code for the same things.
    """
    if not isinstance(answer, dict):
        raise DeployError("The gateway's plan is not a JSON object.", code="INTERNAL_ERROR", phase="plan")
    # How to upload, which nobody reads.
    plan = {key: value for key, value in answer.items() if key != "content_batches"}
    ours = (readonly_wildcard_warning(spec), unknown_removals(answer, spec))
    for key in ("warnings", "missing_content"):
        if not isinstance(plan.get(key), list):
            plan[key] = []
    if plan.get("kind") == "plan_response":
        plan["diff"] = {key: plan[key] for key in _DIFF_KEYS if plan.get(key) is not None}
        plan.setdefault("payment_required", None)
    elif not isinstance(plan.get("diff"), dict):
        plan["diff"] = {}
    missing = [dict(w) for w in ours if w is not None and not any(_same(warning, w) for warning in plan["warnings"])]
    plan["warnings"] = [*plan["warnings"], *missing]
    return plan


def _same(warning: Any, other: Mapping[str, Any]) -> bool:
    return (
        isinstance(warning, dict)
        and warning.get("code") == other["code"]
        and warning.get("affected") == other["affected"]
    )


def reviewed(plan: Plan, *words: str, kind: str = "run_command") -> dict[str, Any]:
    """The action that deploys a reviewed plan: `words` and its id. `confirms` when that agrees to warnings."""
    fingerprint = plan.get("plan_fingerprint")
    seen = ("--plan-fingerprint", fingerprint) if isinstance(fingerprint, str) and fingerprint else ()
    codes = sorted({str(w.get("code")) for w in plan["warnings"] if isinstance(w, dict) and blocks(w)})
    why = "Deploys exactly the plan that was reviewed"
    agreed = {"confirms": True} if codes else {}
    why += f", and agrees to its warnings: {', '.join(codes)}." if codes else "."
    return advice.action(kind, *words, "--require-plan", plan["plan_id"], *seen, why=why, **agreed)


# A plan that is not stored: this is another gateway than the one that is meant, or another version.
NOT_STORED = advice.action("run_command", "doctor", why="It checks the gateway and the versions.")


def committable(plan: Plan, *, core: bool) -> str:
    """The plan's id. Raises DeployError DRY_RUN_PLAN_NOT_COMMITTABLE when the gateway did not store the plan."""
    plan_id, operation_id = plan.get("plan_id"), plan.get("operation_id")
    if isinstance(plan_id, str) and plan_id and (core or (isinstance(operation_id, str) and operation_id)):
        return plan_id
    raise DeployError(
        "The gateway answered with a plan that it did not store, so it cannot be committed.",
        code="DRY_RUN_PLAN_NOT_COMMITTABLE",
        phase="plan",
        plan_id=plan_id or None,
        next_actions=[NOT_STORED],
    )
