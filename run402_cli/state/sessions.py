"""Human sessions in the base directory, shared by all wallets: operator (read), control-plane (write), approvals.

See docs/operator.md, "Files". Times in the files are epoch milliseconds.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeGuard

from run402_cli import global_options
from run402_cli.state.catalogue import APPROVALS, CONTROL_PLANE_SESSION, OPERATOR_SESSION
from run402_cli.state.files import StateFile, iso_of, locked, read_state, rewritten, time_of, write_json
from run402_cli.state.profile import base_dir

_SKEW_S = 10.0
# A session or an approval whose answer does not say how long it lives.
_SESSION_S = 3600
_APPROVAL_S = 1800
_LATEST_MS = 253_402_300_799_000  # the last second of the year 9999

Fields = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Session:
    """A bearer token and the whole file that it came from."""

    token: str = field(repr=False)
    fields: Fields = field(default_factory=dict, repr=False)

    @property
    def hash(self) -> str:
        """What binds an approval to this session."""
        return hashlib.sha256(self.token.encode()).hexdigest()[:32]

    def is_live(self) -> bool:
        """Ten seconds before the end it counts as over; `absolute_expires_at` counts when it can be read."""
        limit = epoch_ms(self.fields.get("absolute_expires_at"))
        return _ahead(self.fields["expires_at"]) and (limit is None or _ahead(limit))


# -- times --------------------------------------------------------------------------------------------------------------


def now_ms() -> int:
    return round(time.time() * 1000)


def _ahead(moment_ms: float) -> bool:
    return now_ms() + _SKEW_S * 1000 < moment_ms


def iso(moment_ms: float) -> str:
    """Epoch milliseconds as UTC text with milliseconds and Z."""
    bounded = min(max(moment_ms, 0), _LATEST_MS)
    return iso_of(datetime.fromtimestamp(bounded / 1000, UTC))


def epoch_ms(value: Any) -> int | None:
    """Epoch milliseconds of an ISO text, or of a number: seconds, or milliseconds above 1e12. None for anything else."""
    if _is_number(value):
        return round(value if value > 1e12 else value * 1000)
    if not isinstance(value, str) or not value:
        return None
    try:
        return round(time_of(value).timestamp() * 1000)
    except (ValueError, OverflowError):
        return None


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and -1e18 < value < 1e18


def _expiry(answer: Mapping[str, Any]) -> int:
    seconds = answer.get("expires_in")
    return now_ms() + round((seconds if _is_number(seconds) else _SESSION_S) * 1000)


# -- reading ------------------------------------------------------------------------------------------------------------


def _path(variable: str, name: str) -> Path:
    explicit = os.environ.get(variable)
    return Path(explicit) if explicit else base_dir() / name


def operator_path() -> Path:
    return _path("RUN402_OPERATOR_SESSION_PATH", "operator-session.json")


def control_plane_path() -> Path:
    return _path("RUN402_CONTROL_PLANE_SESSION_PATH", "control-plane-session.json")


def approvals_path() -> Path:
    return _path("RUN402_WRITE_AUTH_SESSION_PATH", "write-auth-session.json")


def _load(path: Path, kind: StateFile, token_key: str) -> Session | None:
    """What the file holds, live or not; None when there is none. Raises DamagedState."""
    value = read_state(path, kind)
    return None if value is None else Session(value[token_key], value)


def control_plane_session() -> Session | None:
    """The live control-plane session, or None. Raises DamagedState for a file that is no session."""
    session = _load(control_plane_path(), CONTROL_PLANE_SESSION, "control_plane_session_token")
    return session if session is not None and session.is_live() else None


def stored_operator_session() -> Session | None:
    """The operator read session, live or not, or None. Raises DamagedState for a file that is no session."""
    return _load(operator_path(), OPERATOR_SESSION, "operator_session_token")


def operator_session() -> Session | None:
    """The live operator read session, or None."""
    session = stored_operator_session()
    return session if session is not None and session.is_live() else None


def approvals() -> list[Fields]:
    """The stored approvals that are well-formed and live, of any session and API. DamagedState for another file."""
    return [entry for entry in _stored_approvals() if _ahead(entry["expires_at"])]


def _stored_approvals() -> list[Fields]:
    value = read_state(approvals_path(), APPROVALS)
    return [] if value is None else [entry for entry in value["approvals"] if _is_approval(entry)]


def _is_approval(entry: Any) -> TypeGuard[Fields]:
    texts = ("write_auth_token", "action", "api_origin", "control_plane_session_hash")
    if not isinstance(entry, dict):
        return False
    return all(isinstance(entry.get(key), str) and entry[key] for key in texts) and _is_number(entry.get("expires_at"))


def _identity(entry: Mapping[str, Any]) -> tuple[Any, ...]:
    keys = ("api_origin", "control_plane_session_hash", "action", "org_id", "project_id")
    return tuple(entry.get(key) for key in keys)


def write_auth_token(session: Session, *, api_origin: str, action: str, target: Mapping[str, str]) -> str | None:
    """The approval token that matches origin, session, action and target exactly and is live, or None."""
    wanted = _identity(
        {"api_origin": api_origin, "control_plane_session_hash": session.hash, "action": action, **target}
    )
    return next((entry["write_auth_token"] for entry in approvals() if _identity(entry) == wanted), None)


def ensure_writable() -> None:
    """Fail before a sign-in whose sessions must be stored, when storing would be refused: DamagedState."""
    stored_operator_session()
    _load(control_plane_path(), CONTROL_PLANE_SESSION, "control_plane_session_token")
    approvals()


# -- writing ------------------------------------------------------------------------------------------------------------


def save_operator_session(answer: Mapping[str, Any]) -> Session:
    """Keep the answer of a device login: {operator_session_token, email, wallets, expires_in (s), ...}."""
    limit = answer.get("absolute_expires_at")
    fields: Fields = {
        "operator_session_token": answer["operator_session_token"],
        "token_type": answer.get("token_type") or "Bearer",
        "email": answer["email"],
        "wallets": [wallet for wallet in answer.get("wallets") or [] if isinstance(wallet, str)],
        "expires_at": _expiry(answer),
        "absolute_expires_at": limit if isinstance(limit, str) else "",
    }
    path = operator_path()
    write_json(path, rewritten(path, OPERATOR_SESSION, fields), temp=".operator-session")
    return Session(fields["operator_session_token"], fields)


def save_control_plane_session(answer: Mapping[str, Any]) -> Session:
    """Keep the answer of a browser login: {control_plane_session_token, expires_in (s), ...}.

    Approvals belong to the session before it, so they are forgotten first.
    """
    forget(approvals_path())
    amr = answer.get("amr")
    fields: Fields = {
        "control_plane_session_token": answer["control_plane_session_token"],
        "token_type": answer.get("token_type") or "Bearer",
        "provenance": answer.get("provenance") or "loopback_pkce",
        "principal_id": answer.get("principal_id") or "",
        "amr": [method for method in amr if isinstance(method, str)] if isinstance(amr, list) else [],
        "expires_at": _expiry(answer),
    }
    path = control_plane_path()
    write_json(path, rewritten(path, CONTROL_PLANE_SESSION, fields), temp=".control-plane-session")
    return Session(fields["control_plane_session_token"], fields)


def save_approval(
    session: Session, answer: Mapping[str, Any], *, api_origin: str, action: str, target: Mapping[str, str]
) -> Fields:
    """Keep an approval: {write_auth_token, session: {expires_at, absolute_expires_at, amr}}. Returns its entry.

    It replaces the one for the same API, session, action and target; half an hour without a stated end.
    """
    told = answer.get("session")
    limits = told if isinstance(told, dict) else {}
    ends = epoch_ms(limits.get("expires_at")) or epoch_ms(limits.get("absolute_expires_at"))
    entry: Fields = {
        "write_auth_token": answer["write_auth_token"],
        "token_type": answer.get("token_type") or "write_auth",
        "header": answer.get("header") or "X-Run402-Write-Auth",
        "action": action,
        **target,
        "expires_at": ends or now_ms() + _APPROVAL_S * 1000,
        "control_plane_session_hash": session.hash,
        "control_plane_principal_id": session.fields.get("principal_id") or "",
        "api_origin": api_origin,
        **({"amr": limits["amr"]} if isinstance(limits.get("amr"), list) else {}),
        "minted_at": now_ms(),
    }
    with locked(approvals_path()):
        path = approvals_path()
        stored = (read_state(path, APPROVALS) or {"approvals": []})["approvals"]
        kept = [other for other in stored if not (_is_approval(other) and _identity(other) == _identity(entry))]
        fields: Fields = {"approvals": [*kept, entry]}
        write_json(path, rewritten(path, APPROVALS, fields), temp=".write-auth-session")
    return entry


def forget(*paths: Path) -> None:
    """Delete session files; missing ones are fine."""
    global_options.about_to_write(*(path for path in paths if path.exists()))
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
