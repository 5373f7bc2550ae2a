"""Organizations, members, invites, audit. With the caller's own credential. See docs/organizations.md."""

from __future__ import annotations

from typing import Any

from run402_cli.client import Client, segment, with_query

Json = Any


def _path(org_id: str, *tail: str) -> str:
    return "/".join(["/orgs/v1", segment(org_id), *map(segment, tail)])


def create(client: Client, *, name: str | None = None) -> Json:
    """POST /orgs/v1 {display_name?} -> {org_id, display_name, tier, lease_started_at, lease_expires_at}.

    The caller becomes the owner. Calling it twice makes two organizations.
    """
    body = {} if name is None else {"display_name": name}
    return client.request("POST", "/orgs/v1", context="creating the organization", auth=client.principal(), body=body)


def list_orgs(client: Client) -> dict[str, Json]:
    """GET /orgs/v1 -> {orgs: [{org_id, display_name, role, status}]}: those that the caller belongs to."""
    answer = client.request("GET", "/orgs/v1", context="listing organizations", auth=client.principal())
    return {"orgs": _rows(answer, "orgs")}


def _rows(answer: Json, key: str) -> list[Json]:
    rows = answer.get(key) if isinstance(answer, dict) else None
    return rows if isinstance(rows, list) else []


def get(client: Client, org_id: str) -> Json:
    """GET /orgs/v1/{org} -> the organization with the caller's role. An unknown id is ApiError 403 NOT_AUTHORIZED."""
    return client.request("GET", _path(org_id), context="reading the organization", auth=client.principal())


def rename(client: Client, org_id: str, name: str | None) -> Json:
    """PATCH /orgs/v1/{org} {display_name}; None clears it. For owners; ApiError 403 STEP_UP_REQUIRED in old sessions."""
    body = {"display_name": name}
    context = "renaming the organization"
    return client.request("PATCH", _path(org_id), context=context, auth=client.principal(), body=body)


def set_payout_wallet(client: Client, org_id: str, address: str | None) -> Json:
    """PATCH /orgs/v1/{org}/payout-wallet {wallet_address}; None clears it. For owners and admins.

    Returns {status, org_id, default_payout_wallet, previous_default_payout_wallet, recovery}.
    """
    return client.request(
        "PATCH",
        _path(org_id, "payout-wallet"),
        context="setting the payout wallet",
        auth=client.principal(),
        body={"wallet_address": address},
    )


def whoami(client: Client) -> Json:
    """GET /agent/v1/whoami -> {principal, memberships, authenticator_id, active_authenticator, linked_identities}."""
    return client.request("GET", "/agent/v1/whoami", context="reading the principal", auth=client.principal())


def audit(
    client: Client, org_id: str, *, limit: int | None = None, after: str | None = None, before: str | None = None
) -> dict[str, Json]:
    """GET /orgs/v1/{org}/audit[?limit=1..1000&after&before] -> {events, has_more, next_cursor}."""
    path = with_query(_path(org_id, "audit"), limit=limit, after=after, before=before)
    answer = client.request("GET", path, context="reading the audit trail", auth=client.principal())
    page: dict[str, Json] = answer if isinstance(answer, dict) else {}
    return {
        "events": _rows(page, "events"),
        "has_more": page.get("has_more") or False,
        "next_cursor": page.get("next_cursor"),
    }


# -- members ------------------------------------------------------------------------------------------------------------


def list_members(client: Client, org_id: str) -> dict[str, Json]:
    """GET /orgs/v1/{org}/members -> {members: [{principal_id, role, status}]}."""
    path = _path(org_id, "members")
    return {
        "members": _rows(client.request("GET", path, context="listing members", auth=client.principal()), "members")
    }


def add_member(client: Client, org_id: str, wallet: str, *, role: str | None = None) -> Json:
    """POST /orgs/v1/{org}/members {wallet, role?} -> {status, principal_id, role}. The gateway's default is developer."""
    body = {"wallet": wallet} if role is None else {"wallet": wallet, "role": role}
    path = _path(org_id, "members")
    return client.request("POST", path, context="adding the member", auth=client.principal(), body=body)


def change_role(client: Client, org_id: str, principal_id: str, role: str) -> Json:
    """PATCH /orgs/v1/{org}/members/{principal} {role} -> {status, principal_id, role}. ApiError 409 LAST_OWNER."""
    path = _path(org_id, "members", principal_id)
    return client.request("PATCH", path, context="changing the role", auth=client.principal(), body={"role": role})


def remove_member(client: Client, org_id: str, principal_id: str) -> Json:
    """DELETE /orgs/v1/{org}/members/{principal} -> {status, principal_id}. ApiError 409 LAST_OWNER."""
    path = _path(org_id, "members", principal_id)
    return client.request("DELETE", path, context="removing the member", auth=client.principal())


# -- invites ------------------------------------------------------------------------------------------------------------


def list_invites(client: Client, org_id: str) -> dict[str, Json]:
    """GET /orgs/v1/{org}/invites -> {invites: [{principal_id, invited_email, role, invite_expires_at, ...}]}."""
    path = _path(org_id, "invites")
    return {
        "invites": _rows(client.request("GET", path, context="listing invites", auth=client.principal()), "invites")
    }


def invite(client: Client, org_id: str, email: str, *, role: str = "developer", ttl_hours: int | None = None) -> Json:
    """POST /orgs/v1/{org}/invites {email, role, invite_ttl_hours? (1-8760)} -> the invite. For owners."""
    body: dict[str, Json] = {"email": email, "role": role}
    if ttl_hours is not None:
        body["invite_ttl_hours"] = ttl_hours
    path = _path(org_id, "invites")
    return client.request("POST", path, context="inviting the member", auth=client.principal(), body=body)


def revoke_invite(client: Client, org_id: str, principal_id: str) -> Json:
    """DELETE /orgs/v1/{org}/invites/{principal} -> {status, principal_id}."""
    path = _path(org_id, "invites", principal_id)
    return client.request("DELETE", path, context="revoking the invite", auth=client.principal())
