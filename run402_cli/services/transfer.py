"""Hand a project over: to a wallet, an e-mail address, or an own organization. See docs/organizations.md.

Every function needs a wallet (CommandError NO_ALLOWANCE otherwise). An answer that carries keys is remembered: both are
cached and the project becomes active.
"""

from __future__ import annotations

from typing import Any

from run402_cli import advice
from run402_cli.client import Client, segment, with_query
from run402_cli.state.files import now_iso
from run402_cli.state.keys import Entry, saving

Json = Any


def _path(transfer_id: str, action: str | None = None) -> str:
    path = f"/agent/v1/transfers/{segment(transfer_id)}"
    return path if action is None else f"{path}/{action}"


def _ready_to_remember(client: Client) -> None:
    client.profile.keys.ensure_writable()
    client.profile.active.ensure_writable()


def init(client: Client, project_id: str, offer: dict[str, Json]) -> Json:
    """POST /projects/v1/{id}/transfers with one recipient: an offer, open for 72 hours, or an immediate move.

    `offer`: {to_wallet, billing_policy?, message?, kysigned_record_id?}, {to_email, message?, retain_collaborator?: {role}} or
    {to_org_id, message?}. The last one answers at once with the project's new keys. Raises ApiError 403 NOT_AUTHORIZED, 409.
    """
    client.require_wallet()
    path = f"/projects/v1/{segment(project_id)}/transfers"
    if "to_org_id" in offer:
        _ready_to_remember(client)
    answer = client.request(
        "POST", path, context="starting the transfer", auth=client.principal(), body=offer, reveals=True
    )
    _remember(client, answer)
    return answer


def preview(client: Client, transfer_id: str) -> Json:
    """GET /agent/v1/transfers/{transfer}: what changes hands: domains, functions, secret names, billing, CI bindings."""
    client.require_wallet()
    return client.request("GET", _path(transfer_id), context="reading the transfer", auth=client.principal())


def list_transfers(
    client: Client, *, outgoing: bool = False, limit: int | None = None, after: str | None = None
) -> dict[str, Json]:
    """GET /agent/v1/transfers/incoming|outgoing[?limit=1..1000&after] -> {direction, transfers, has_more, next_cursor}."""
    client.require_wallet()
    direction = "outgoing" if outgoing else "incoming"
    path = with_query(f"/agent/v1/transfers/{direction}", limit=limit, after=after)
    answer = client.request("GET", path, context="listing transfers", auth=client.principal())
    page: dict[str, Json] = answer if isinstance(answer, dict) else {"transfers": []}
    return {
        "direction": direction,
        **{key: page[key] for key in ("transfers", "has_more", "next_cursor") if key in page},
    }


def accept(client: Client, transfer_id: str) -> Json:
    """POST /agent/v1/transfers/{transfer}/accept {} -> {project_id, anon_key, service_key, secret_names_inherited, ...}.

    For the addressed wallet. Rotate the inherited secrets afterwards. Raises ApiError 409 TRANSFER_ALREADY_PROCESSED.
    """
    return _take(client, transfer_id, "accept", {}, "accepting the transfer")


def claim(
    client: Client, transfer_id: str, *, into_org: str | None = None, accept_retained_collaborator: bool = False
) -> Json:
    """POST /agent/v1/transfers/{transfer}/claim {org_id?, accept_retained_collaborator?}: as `accept`, for an e-mail offer.

    Without `into_org` the gateway makes a new organization.
    """
    body: dict[str, Json] = {} if into_org is None else {"org_id": into_org}
    if accept_retained_collaborator:
        body["accept_retained_collaborator"] = True
    return _take(client, transfer_id, "claim", body, "claiming the transfer")


def cancel(client: Client, transfer_id: str, *, reason: str | None = None) -> Json:
    """POST /agent/v1/transfers/{transfer}/cancel {reason?} -> {transfer_id, status, cancelled_by, cancelled_at, ...}."""
    client.require_wallet()
    body = {} if reason is None else {"reason": reason}
    path, auth = _path(transfer_id, "cancel"), client.principal()
    return client.request("POST", path, context="cancelling the transfer", auth=auth, body=body)


def _take(client: Client, transfer_id: str, action: str, body: dict[str, Json], context: str) -> Json:
    client.require_wallet()
    _ready_to_remember(client)
    path = _path(transfer_id, action)
    answer = client.request("POST", path, context=context, auth=client.principal(), body=body, reveals=True)
    _remember(client, answer)
    return answer


def _remember(client: Client, answer: Json) -> None:
    """Cache the keys of an answer that has them, keep what else is known of the project, and make it active."""
    if not isinstance(answer, dict):
        return
    project_id, anon, service = (answer.get(key) for key in ("project_id", "anon_key", "service_key"))
    if not all(isinstance(value, str) and value for value in (project_id, anon, service)):
        return

    def change(old: Entry | None) -> Entry:
        known = {key: value for key, value in (old or {}).items() if key != "source"}
        return {**known, "anon_key": anon, "service_key": service, "cached_at": now_iso()}

    assert isinstance(project_id, str)
    hint = f"Solve that, then: {advice.issue_key(project_id)}"
    with saving(project_id, f"Project {project_id} changed hands", hint=hint):
        client.profile.keys.rewrite(project_id, change)
        client.profile.active.set(project_id)
