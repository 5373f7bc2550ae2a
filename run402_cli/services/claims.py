"""Claims: what a session is working on, for others to see. Nothing is ever blocked. See docs/rooms.md, "Claims".

A claim: {claim_id, resource, mode: exclusive|shared, note, holder, expires_at, released_at?, created_at}.
"""

from __future__ import annotations

from typing import Any

from run402_cli.client import Client, with_query
from run402_cli.services.rooms import Room, Say, with_presence

Json = Any

MODES = ("exclusive", "shared")


def create(
    client: Client,
    room: Room,
    say: Say,
    resource: str,
    *,
    mode: str = "exclusive",
    ttl_s: int | None = None,
    note: str | None = None,
) -> Json:
    """POST .../claims {resource, mode, ttl_seconds?, note?, presence_id?} -> claim plus conflicts: [claim].

    Conflicts are told, not refused. One presence may hold 32; the gateway ends each after an hour unless told otherwise.
    """
    fields: dict[str, Json] = {"resource": resource, "mode": mode}
    fields |= {} if ttl_s is None else {"ttl_seconds": ttl_s}
    fields |= {} if note is None else {"note": note}

    def post(presence_id: str | None) -> Json:
        body = fields | ({"presence_id": presence_id} if presence_id else {})
        path = room.path("claims")
        return client.request("POST", path, context="declaring the claim", auth=client.principal(), body=body)

    return with_presence(client, room, say, post)


def list_claims(client: Client, room: Room, *, include_inactive: bool = False) -> Json:
    """GET .../claims?include_inactive=true|false -> {claims: [claim]}."""
    path = with_query(room.path("claims"), include_inactive="true" if include_inactive else "false")
    return client.request("GET", path, context="listing claims", auth=client.principal())


def release(client: Client, room: Room, claim_id: str) -> Json:
    """DELETE .../claims/{claim} as its holder -> {claim_id, released_at, already_released}."""
    path = room.path("claims", claim_id)
    return client.request("DELETE", path, context="releasing the claim", auth=client.principal())
