"""Apps: browse, fork and publish. See docs/apps.md.

An app: {id (ver_...), project_id, version, name, description, visibility: public|unlisted|private, fork_allowed,
fork_pricing?, min_tier, status, table_count, function_count, site_file_count, site_total_bytes (bytes), required_secrets,
required_actions, tags, live_url, bootstrap_variables, created_at, compatibility_warnings}.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from run402_cli import advice
from run402_cli.client import Client, segment
from run402_cli.services import prices
from run402_cli.state.keys import saving

Json = Any

VISIBILITIES = ("public", "unlisted", "private")


def _versions(project_id: str, version_id: str | None = None) -> str:
    path = f"/projects/v1/admin/{segment(project_id)}/versions"
    return path if version_id is None else f"{path}/{segment(version_id)}"


def browse(client: Client, *, tags: Sequence[str] = ()) -> Json:
    """GET /apps/v1[?tag=...&tag=...] without a credential -> {apps: [app], total}: those with any of the tags."""
    query = "&".join(f"tag={segment(tag)}" for tag in tags)
    return client.request("GET", f"/apps/v1?{query}" if query else "/apps/v1", context="browsing apps")


def inspect(client: Client, version_id: str) -> Json:
    """GET /apps/v1/{version} without a credential -> one app. ApiError 404 for an unknown version."""
    return client.request("GET", f"/apps/v1/{segment(version_id)}", context="reading the app")


def fork(client: Client, version_id: str, *, name: str, subdomain: str | None = None) -> Json:
    """POST /fork/v1 {version_id, name, subdomain?}: a new project with the version's schema, site and functions.

    Returns {project_id, anon_key, service_key, schema_slot, site_url?, subdomain_url?, functions?, bootstrap_result?,
    bootstrap_error?}; the keys are cached and the project becomes the active one. May cost money: a 402 is paid by the wallet.
    Raises CommandError NO_ALLOWANCE without a wallet. Calling it twice makes two projects.
    """
    client.require_wallet()
    client.profile.keys.ensure_writable()
    client.profile.active.ensure_writable()
    body = {"version_id": version_id, "name": name, **({"subdomain": subdomain} if subdomain else {})}
    answer = client.request(
        "POST",
        "/fork/v1",
        context="forking the app",
        auth=client.principal(),
        body=body,
        reveals=True,
        priced=prices.UNPUBLISHED,
    )
    _remember(client, answer)
    return answer


def _remember(client: Client, answer: Json) -> None:
    project_id = answer.get("project_id") if isinstance(answer, dict) else None
    if not isinstance(project_id, str) or not project_id:
        return
    entry = {
        "anon_key": answer.get("anon_key"),
        "service_key": answer.get("service_key"),
        "site_url": answer.get("site_url") or answer.get("subdomain_url"),
    }
    hint = f"Solve that, then: {advice.issue_key(project_id)}"
    with saving(project_id, f"The fork became project {project_id}", hint=hint):
        client.profile.keys.upsert(project_id, entry)
        client.profile.active.set(project_id)


def publish(client: Client, project_id: str, fields: dict[str, Json] | None = None) -> Json:
    """POST /projects/v1/admin/{id}/publish {description?, tags?, visibility?, fork_allowed?} with the service key -> app."""
    path = f"/projects/v1/admin/{segment(project_id)}/publish"
    auth = client.service_key(project_id)
    return client.request("POST", path, context="publishing the app", auth=auth, body=fields or {})


def versions(client: Client, project_id: str) -> Json:
    """GET /projects/v1/admin/{id}/versions with the service key.

    Returns {versions: [{id, description, tags, visibility, fork_allowed, created_at}]}.
    """
    auth = client.service_key(project_id)
    return client.request("GET", _versions(project_id), context="listing versions", auth=auth)


def update(client: Client, project_id: str, version_id: str, fields: dict[str, Json] | None = None) -> dict[str, Json]:
    """PATCH /projects/v1/admin/{id}/versions/{version} with the service key: {project_id, version_id, updated}.

    `fields` as in `publish`; what is left out stays.
    """
    auth = client.service_key(project_id)
    path = _versions(project_id, version_id)
    client.request("PATCH", path, context="changing the version", auth=auth, body=fields or {})
    return {"project_id": project_id, "version_id": version_id, "updated": True}


def delete(client: Client, project_id: str, version_id: str) -> dict[str, Json]:
    """DELETE /projects/v1/admin/{id}/versions/{version} with the service key: {project_id, version_id, deleted}."""
    auth = client.service_key(project_id)
    client.request("DELETE", _versions(project_id, version_id), context="deleting the version", auth=auth)
    return {"project_id": project_id, "version_id": version_id, "deleted": True}
