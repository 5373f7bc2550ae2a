"""Deploy calls of the gateway: plans, operations, releases. See docs/protocol/deploy.md.

Plan, commit, rehearse, resume and promote act as the principal. Reads add the project's cached anon key. Failures are
DeployError with the step as `phase` where a step is being made, else ApiError; no answer is NetworkError.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from run402_cli.client import Client, segment, with_query
from run402_cli.client.http import httpx
from run402_cli.errors import DeployError
from run402_cli.services import prices
from run402_cli.services.deploy_errors import deploy_step

Body = Mapping[str, Any]
NOT_REVERSIBLE = "MIGRATIONS_NOT_REVERSIBLE"


def _deployer(client: Client, project_id: str | None) -> httpx.Auth | None:
    target = {"project_id": project_id} if project_id else None
    return client.principal(capability="project.deploy", target=target)


def plan(client: Client, project_id: str, body: Body, *, dry_run: bool = False) -> Any:
    """POST /apply/v1/plans[?dry_run=true] {spec, idempotency_key?, mode?, required_plan?, manifest_ref?} -> plan
    response.
    """
    with deploy_step("plan"):
        return client.request(
            "POST",
            with_query("/apply/v1/plans", dry_run="true" if dry_run else None),
            context="planning the deploy",
            auth=_deployer(client, project_id),
            body=body,
            priced=None if dry_run else prices.UNPUBLISHED,
        )


def commit(client: Client, project_id: str, plan_id: str, body: Body, *, operation_id: str | None = None) -> Any:
    """POST /apply/v1/plans/{plan_id}/commit {idempotency_key?, required_plan?} -> {operation_id, status, release_id?,
    ...}.
    """
    with deploy_step("commit", plan_id=plan_id, operation_id=operation_id):
        return client.request(
            "POST",
            f"/apply/v1/plans/{segment(plan_id)}/commit",
            context="committing the deploy",
            auth=_deployer(client, project_id),
            body=body,
            priced=prices.UNPUBLISHED,
        )


def rehearse(client: Client, project_id: str | None, plan_id: str, body: Body) -> Any:
    """POST /apply/v1/plans/{plan_id}/rehearse {teardown?} -> {operation_id, status, poll_url, report}."""
    with deploy_step("rehearsal", plan_id=plan_id):
        return client.request(
            "POST",
            f"/apply/v1/plans/{segment(plan_id)}/rehearse",
            context="rehearsing the plan",
            auth=_deployer(client, project_id),
            body=body,
        )


def operation(client: Client, project_id: str, operation_id: str) -> Any:
    """Show one deploy operation.

    GET /apply/v1/operations/{id} -> operation snapshot.
    """
    return client.request(
        "GET",
        f"/apply/v1/operations/{segment(operation_id)}",
        context="reading the deploy operation",
        auth=client.deploy_reader(project_id),
    )


def operation_events(
    client: Client, project_id: str, operation_id: str, *, limit: int | None = None, cursor: str | None = None
) -> Any:
    """GET /apply/v1/operations/{id}/events[?limit=&cursor=] -> {events: [...], cursor?}."""
    with deploy_step("events", operation_id=operation_id):
        return client.request(
            "GET",
            with_query(f"/apply/v1/operations/{segment(operation_id)}/events", limit=limit, cursor=cursor),
            context="reading deploy events",
            auth=client.deploy_reader(project_id),
        )


def operations(client: Client, project_id: str, *, limit: int | None = None, cursor: str | None = None) -> Any:
    """GET /apply/v1/operations[?limit=&cursor=] -> {operations: [snapshot], cursor?}."""
    return client.request(
        "GET",
        with_query("/apply/v1/operations", limit=limit, cursor=cursor),
        context="listing deploy operations",
        auth=client.deploy_reader(project_id),
    )


def resume(client: Client, project_id: str, operation_id: str) -> Any:
    """POST /apply/v1/operations/{id}/resume, no body -> operation snapshot."""
    with deploy_step("resume", operation_id=operation_id):
        return client.request(
            "POST",
            f"/apply/v1/operations/{segment(operation_id)}/resume",
            context="resuming the deploy operation",
            auth=_deployer(client, project_id),
        )


def edge_coherence(client: Client, project_id: str, operation_id: str) -> Any:
    """GET /apply/v1/operations/{id}/edge-coherence -> {coherent, paths: [...], pending_count, ...}."""
    with deploy_step("edge-coherence", operation_id=operation_id):
        return client.request(
            "GET",
            f"/apply/v1/operations/{segment(operation_id)}/edge-coherence",
            context="checking the edge",
            auth=client.deploy_reader(project_id),
        )


def promote(
    client: Client,
    project_id: str,
    release_id: str,
    *,
    allow_warning_codes: Sequence[str] = (),
    allow_warnings: bool = False,
) -> Any:
    """POST /apply/v1/releases/{id}/promote {project, allow_warning_codes} -> {release_id, operation_id, ...}.

    `allow_warnings` agrees to every warning. The wire knows codes only: the known one is sent, and what the gateway
    then asks for besides (PROMOTE_WARNING_REQUIRES_ACK) is agreed to in a second call.
    """
    codes = [NOT_REVERSIBLE] if allow_warnings else list(allow_warning_codes)
    try:
        return _promote(client, project_id, release_id, codes)
    except DeployError as exc:
        asked = [w.get("code") for w in exc.fields.get("warnings") or () if isinstance(w, dict)]
        more = [code for code in asked if isinstance(code, str) and code not in codes]
        if not (allow_warnings and more and exc.code == "PROMOTE_WARNING_REQUIRES_ACK"):
            raise
    return _promote(client, project_id, release_id, [*codes, *more])


def _promote(client: Client, project_id: str, release_id: str, codes: list[str]) -> Any:
    with deploy_step("promote"):
        return client.request(
            "POST",
            f"/apply/v1/releases/{segment(release_id)}/promote",
            context="promoting the release",
            auth=_deployer(client, project_id),
            body={"project": project_id, "allow_warning_codes": codes},
        )


def release(client: Client, project_id: str, release_id: str, *, site_limit: int | None = None) -> Any:
    """GET /apply/v1/releases/{id|active}[?site_limit=] -> release inventory; "active" is the live one.

    The command prints {release: it}.
    """
    return client.request(
        "GET",
        with_query(f"/apply/v1/releases/{segment(release_id)}", site_limit=site_limit),
        context="reading the release",
        auth=client.deploy_reader(project_id),
    )


def release_active(client: Client, project_id: str, *, site_limit: int | None = None) -> Any:
    """GET /apply/v1/releases/active[?site_limit=] -> release inventory. The command prints {release: it}."""
    return release(client, project_id, "active", site_limit=site_limit)


def release_diff(client: Client, project_id: str, *, old: str, new: str, limit: int | None = None) -> Any:
    """GET /apply/v1/releases/diff?from=&to=[&limit=] -> release diff. `old` may be empty or active, `new` active.

    The command prints {diff: it}.
    """
    return client.request(
        "GET",
        with_query("/apply/v1/releases/diff", **{"from": old, "to": new, "limit": limit}),
        context="comparing releases",
        auth=client.deploy_reader(project_id),
    )


def resolve(client: Client, project_id: str, *, host: str, path: str | None = None, method: str | None = None) -> Any:
    """GET /apply/v1/resolve?host=[&path=][&method=] -> how the live release answers that address.

    The command prints it as `resolution`, with what it means: see `diagnose`.
    """
    return client.request(
        "GET",
        with_query("/apply/v1/resolve", host=host, path=path, method=method),
        context="resolving the address",
        auth=client.deploy_reader(project_id),
    )


def tier_status(client: Client) -> Any:
    """GET /tiers/v1/status -> {tier, ...limits}."""
    return client.request("GET", "/tiers/v1/status", context="reading the tier", auth=client.principal())


def project(client: Client, project_id: str) -> Any:
    """GET /projects/v1/{id} -> {endpoints: {static_base_url, rest_url, storage_base_url}, ...} of a Core gateway."""
    return client.request(
        "GET", f"/projects/v1/{segment(project_id)}", context="reading the project", auth=client.principal()
    )


def require_operation_id(operation_id: str) -> None:
    """DeployError OPERATION_NOT_FOUND for a word that cannot be an operation id; nothing is sent for it."""
    if not operation_id.startswith("op_"):
        raise DeployError(
            f"{operation_id!r} is not a deploy operation: their ids start with op_. List them: run402 deploy list",
            code="OPERATION_NOT_FOUND",
        )
