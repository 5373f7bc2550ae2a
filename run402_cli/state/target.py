"""Which gateway requests go to: RUN402_API_BASE, else target.json of the wallet, else the Cloud."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from run402_cli import output
from run402_cli.errors import EnvironmentFault
from run402_cli.state.catalogue import TARGET
from run402_cli.state.files import DamagedState, now_iso, read_state, rewritten, write_json

CLOUD_API_BASE = "https://api.run402.com"


class Target(NamedTuple):
    """`source` is argument, env, profile or default; `kind` is what target.json says (cloud, core or unknown).

    `data_dir`: of the local gateway of this user that the address was saved for.
    """

    api_base: str
    source: str
    kind: str
    is_core: bool
    data_dir: str | None = None

    @property
    def is_saved_core(self) -> bool:
        """A self-hosted gateway that was chosen on purpose (`core start --use`, `init --api-base`)."""
        return self.is_core and self.kind == "core"

    @property
    def effective_kind(self) -> str:
        """core or cloud: the stored kind when it speaks of this base, else told from the address."""
        return "core" if self.is_core else "cloud"


def resolve_target(folder: Path) -> Target:
    """The effective target. Raises EnvironmentFault (BAD_ENV) when the address is not an http(s) URL.

    An address in the environment decides alone. Without one a target.json that cannot be read is DamagedState: nobody is
    sent to another gateway than the one that was chosen. An empty variable counts as unset, with a warning.
    """
    named = os.environ.get("RUN402_API_BASE")
    if named is not None and named.strip():
        return _named(checked_base(named.strip(), "RUN402_API_BASE"), "env", _if_readable(folder))
    target = _saved(folder)
    if named is not None:
        _warn_of_empty_variable(target)
    return target


def _saved(folder: Path) -> Target:
    stored = load_target(folder)
    kind = stored.get("target_kind") or "unknown"
    if stored.get("api_base"):
        base = checked_base(stored["api_base"], str(folder / "target.json"))
        return Target(base, "profile", kind, kind == "core", stored.get("data_dir"))
    return Target(CLOUD_API_BASE, "default", kind, False)


def _warn_of_empty_variable(target: Target) -> None:
    chosen = "the saved gateway" if target.source == "profile" else "the default"
    output.event(
        {
            "type": "warning",
            "code": "EMPTY_VARIABLE",
            "message": f"RUN402_API_BASE is set but empty; it counts as unset: requests go to {target.api_base}, {chosen}.",
            "variable": "RUN402_API_BASE",
            "api_base": target.api_base,
            "api_base_source": target.source,
        }
    )


def explicit_target(folder: Path, address: str) -> Target:
    """The target for an address that the caller gave, whatever RUN402_API_BASE and target.json say."""
    return _named(checked_base(address.strip(), "api_base"), "argument", _if_readable(folder))


def _named(base: str, source: str, stored: dict[str, Any]) -> Target:
    kind = stored.get("target_kind") or "unknown"
    stored_core = kind == "core" and stored.get("api_base") == base
    plain_http = base.startswith("http:") and base != CLOUD_API_BASE
    data_dir = stored.get("data_dir") if stored.get("api_base") == base else None
    return Target(base, source, kind, stored_core or plain_http, data_dir)


def checked_base(base: str, origin: str) -> str:
    """The address without trailing slashes, user and password (no request has those); BAD_ENV unless it is an http(s) URL."""
    try:
        parts = urlsplit(base)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname)
        _ = parts.port
    except ValueError:
        valid = False
    if not valid:
        raise EnvironmentFault(
            f"{origin} is not a usable API address: it must be an http:// or https:// URL.",
            hint=f"Set {origin} to an address such as http://127.0.0.1:4020, or unset it to use {CLOUD_API_BASE}.",
            details={"origin": origin},
        )
    return (
        parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl().rstrip("/") if "@" in base else base.rstrip("/")
    )


def load_target(folder: Path) -> dict[str, Any]:
    """target.json; empty when there is none. Raises DamagedState when it cannot be read as what it is."""
    return read_state(folder / "target.json", TARGET) or {}


def _if_readable(folder: Path) -> dict[str, Any]:
    """What the file knows of an address that was given in another way: nothing, when it cannot be read."""
    try:
        return load_target(folder)
    except DamagedState:
        return {}


def save_target(
    folder: Path, *, api_base: str, kind: str, health: dict[str, str], data_dir: Path | None = None
) -> None:
    """Write target.json; `health` holds health_status or health_error, `data_dir` is of the local gateway that it is.

    A damaged file is not replaced: DamagedState.
    """
    path = folder / "target.json"
    fields = {"api_base": api_base.rstrip("/"), "target_kind": kind, "updated_at": now_iso(), **health}
    if data_dir is not None:
        fields["data_dir"] = str(data_dir)
    write_json(path, rewritten(path, TARGET, fields), temp=".target")
