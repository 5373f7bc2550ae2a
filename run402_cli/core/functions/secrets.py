"""Secrets of functions; values leave the database only into a function's environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.functions import secret_rows
from run402_cli.core.gateway import Gateway
from run402_cli.core.web.instants import iso

SECRET_NAME = re.compile(r"[A-Z_][A-Z0-9_]{0,127}")
MAX_VALUE_BYTES = 4096


async def values_for(gateway: Gateway, conn: Connection, project_id: str, function_name: str) -> dict[str, str]:
    """What a function finds in its environment; its own value beats the project's."""
    found: dict[str, str] = {}
    vault = gateway.functions.vault
    for name, scope, owner, sealed in await secret_rows.of_function(conn, project_id, function_name):
        value = vault.open((project_id, name, scope, owner), sealed)
        if value is not None:
            found[name] = value
    return found


async def copy_secrets(gateway: Gateway, conn: Connection, source_id: str, target_id: str) -> None:
    """Give one project the secrets of another; each is sealed for its own project."""
    vault = gateway.functions.vault
    for name, scope, owner, sealed in await secret_rows.of_project(conn, source_id):
        value = vault.open((source_id, name, scope, owner), sealed)
        if value is not None:
            own = vault.seal((target_id, name, scope, owner), value)
            await secret_rows.add(conn, target_id, name, scope, owner, own)


async def save_secret(
    gateway: Gateway,
    conn: Connection,
    project_id: str,
    name: Any,
    value: Any,
    *,
    scope: str = "project",
    owner: str = "",
) -> Mapping[str, Any]:
    """Create or overwrite one secret; what is shown of it. 400 invalid_secret_name or invalid_request."""
    check_secret(name, value)
    sealed = gateway.functions.vault.seal((project_id, name, scope, owner), value)
    created, updated = await secret_rows.put(conn, project_id, name, scope, owner, sealed)
    return view(project_id, name, scope, owner, created, updated)


def check_secret(name: Any, value: Any) -> None:
    """400 invalid_secret_name or invalid_request for what cannot be a secret."""
    if not isinstance(name, str) or not SECRET_NAME.fullmatch(name) or name.startswith("RUN402_"):
        raise GatewayError(
            400,
            "invalid_secret_name",
            f"{name!r} cannot name a secret: capital letters, digits and _, not starting with a digit or RUN402_. "
            "Example: STRIPE_KEY",
        )
    if not isinstance(value, str) or "\x00" in value:
        raise GatewayError(
            400, "invalid_request", f"The value of {name} must be text without NUL characters.", code=None
        )
    if len(value.encode(errors="surrogatepass")) > MAX_VALUE_BYTES:
        raise GatewayError(
            400, "invalid_request", f"The value of {name} is longer than {MAX_VALUE_BYTES} bytes.", code=None
        )


def view(project_id: str, name: str, scope: str, owner: str, created: datetime, updated: datetime) -> Mapping[str, Any]:
    return {
        "project_id": project_id,
        "name": name,
        "key": name,
        "scope": scope,
        "function_name": owner or None,
        "created_at": iso(created),
        "updated_at": iso(updated),
    }
