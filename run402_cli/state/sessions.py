"""Human sessions in the base directory, shared by all wallets: operator (read) and control-plane (write)."""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from run402_cli.errors import EnvironmentFault
from run402_cli.state.files import read_json, tighten_mode
from run402_cli.state.profile import base_dir

_SKEW_S = 10.0
_LOGIN = "run402 operator login"


@dataclass(frozen=True, slots=True)
class Session:
    """A bearer token that is live now. `fields` is the whole file."""

    token: str = field(repr=False)
    fields: dict[str, Any] = field(default_factory=dict, repr=False)


def _path(variable: str, name: str) -> Path:
    explicit = os.environ.get(variable)
    return Path(explicit) if explicit else base_dir() / name


def _load(variable: str, name: str, token_key: str, *, wallets: bool = False) -> Session | None:
    path = _path(variable, name)
    if not path.exists():
        return None
    tighten_mode(path)
    value = read_json(path)
    if value is None:
        return None
    expires_at = value.get("expires_at") if isinstance(value, dict) else None
    shaped = (
        isinstance(value, dict)
        and isinstance(value.get(token_key), str)
        and value[token_key]
        and isinstance(expires_at, int | float)
        and not isinstance(expires_at, bool)
        and (not wallets or isinstance(value.get("wallets"), list))
    )
    if not shaped:
        raise EnvironmentFault(
            f"{path} is not a session file.",
            hint=f"Delete it and sign in again: {_LOGIN}",
            details={"path": str(path)},
        )
    if (time.time() + _SKEW_S) * 1000 >= value["expires_at"]:
        return None
    return Session(value[token_key], value)


def control_plane_session() -> Session | None:
    """The live control-plane session, or None. Raises EnvironmentFault for a file of the wrong shape."""
    return _load("RUN402_CONTROL_PLANE_SESSION_PATH", "control-plane-session.json", "control_plane_session_token")


def operator_session() -> Session | None:
    """The live operator read session, or None."""
    return _load("RUN402_OPERATOR_SESSION_PATH", "operator-session.json", "operator_session_token", wallets=True)


def write_auth_token(session: Session, *, api_origin: str, action: str, target: dict[str, str]) -> str | None:
    """The approval token that matches origin, session, action and target exactly and is live, or None."""
    path = _path("RUN402_WRITE_AUTH_SESSION_PATH", "write-auth-session.json")
    if not path.exists():
        return None
    tighten_mode(path)
    value = read_json(path)
    if value is None:
        return None
    approvals = value.get("approvals") if isinstance(value, dict) else None
    if not isinstance(approvals, list):
        raise EnvironmentFault(
            f"{path} is not an approvals file.",
            hint="Delete it and approve again: run402 operator approve",
            details={"path": str(path)},
        )
    wanted = {
        "api_origin": api_origin,
        "control_plane_session_hash": hashlib.sha256(session.token.encode()).hexdigest()[:32],
        "action": action,
        "org_id": target.get("org_id"),
        "project_id": target.get("project_id"),
    }
    for entry in approvals:
        if isinstance(entry, dict) and all(entry.get(key) == item for key, item in wanted.items()) and _is_live(entry):
            token = entry.get("write_auth_token")
            if isinstance(token, str) and token:
                return token
    return None


def _is_live(entry: dict[str, Any]) -> bool:
    expires_at = entry.get("expires_at")
    return isinstance(expires_at, int | float) and (time.time() + _SKEW_S) * 1000 < expires_at
