"""How far a request reaches on the control plane: what opens it, and which projects that is for.

Loopback proves nothing: other users, functions and whatever fetches an address for somebody else come from there too. So the
control plane wants the token of the data directory, a key of the project, or a wallet that the token's holder admitted. See
docs/local-gateway.md, "Who may call".
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from run402_cli.core.callers import siwx, wallet_rows
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.projects import rows
from run402_cli.core.projects.rows import Project


@dataclass(frozen=True, slots=True)
class Reach:
    """`everything`: the token was sent, or the gateway is open. `project_id`: of the key that was sent, and of no other; with
    `keyed` that key opens it (a service key, a CI session), without it something else has to.
    """

    everything: bool = False
    project_id: str | None = None
    keyed: bool = False
    wallet: str | None = None


# Owns nothing.
_NO_WALLET = ""
# None: nobody is asked. So it is on public routes, and in what the gateway does by itself.
reach: ContextVar[Reach | None] = ContextVar("run402_reach", default=None)


async def check(conn: Connection, project_id: str) -> None:
    """403 unless the request reaches this project: with its key, with a wallet that owns it, with the token."""
    found = reach.get()
    if found is None:
        await siwx.check_owner(conn, project_id)
        return
    if found.project_id not in (None, project_id):
        raise GatewayError(
            403,
            "project_mismatch",
            f"The key sent belongs to {found.project_id}, and this is about {project_id}. Send the key of that project.",
        )
    if found.everything or found.keyed:
        await siwx.check_owner(conn, project_id)
    elif found.wallet is None or await wallet_rows.owner_of(conn, project_id) != found.wallet:
        raise siwx.not_the_owner(project_id, found.wallet)


def unowned() -> bool:
    """Whether the caller sees projects that no wallet owns: not with a wallet alone."""
    found = reach.get()
    return found is not None and found.everything


async def includes(conn: Connection, project_id: str) -> bool:
    """Whether `check` would pass."""
    try:
        await check(conn, project_id)
    except GatewayError:
        return False
    return True


async def called(conn: Connection, name: str, *, but: str | None = None) -> Project | None:
    """The project that has the name already, among those that the caller could mean by it; `but` does not count.

    A key tells no wallet, and no wallet does not mean all of them: there it is the projects of the owner of `but`.
    """
    found = reach.get()
    if found is None:
        return None
    wallet, unowned = found.wallet, found.everything
    if wallet is None and not found.everything:
        owner = await wallet_rows.owner_of(conn, but or "")
        wallet, unowned = owner or _NO_WALLET, owner is None
    return await rows.called(conn, wallet, name, but=but, unowned=unowned)


async def visible(conn: Connection, *, name: str | None = None, **page: Any) -> list[Project]:
    """The projects that the request reaches, oldest first; those of a name where it is given. Nothing proved: none of them."""
    found = reach.get()
    if found is None:
        return []
    if found.everything or (found.wallet is not None and not found.keyed):
        return await rows.visible(conn, found.wallet, name=name, unowned=found.everything, **page)
    own = await rows.find(conn, found.project_id) if found.project_id is not None else None
    return [own] if own is not None and name in (None, own.name) else []
