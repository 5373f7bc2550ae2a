"""Which gateway requests go to: RUN402_API_BASE, else target.json of the wallet, else the Cloud."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from run402_cli import output
from run402_cli.errors import EnvironmentFault
from run402_cli.state.files import now_iso, read_object, write_json

CLOUD_API_BASE = "https://api.run402.com"
_KINDS = ("cloud", "core", "unknown")


@dataclass(frozen=True, slots=True)
class Target:
    """`source` is argument, env, profile or default; `kind` is what target.json says (cloud, core or unknown)."""

    api_base: str
    source: str
    kind: str
    is_core: bool

    @property
    def is_saved_core(self) -> bool:
        """A self-hosted gateway that was chosen on purpose (`core start --use`, `init --api-base`)."""
        return self.is_core and self.kind == "core"

    @property
    def effective_kind(self) -> str:
        """core or cloud: the stored kind when it speaks of this base, else told from the address."""
        return "core" if self.is_core else "cloud"


def resolve_target(folder: Path) -> Target:
    """The effective target. Raises EnvironmentFault (BAD_ENV) when the address is not an http(s) URL."""
    stored = load_target(folder)
    kind = stored.get("target_kind", "unknown")
    stored_base = stored.get("api_base")
    if "RUN402_API_BASE" in os.environ:
        base = os.environ["RUN402_API_BASE"].strip()
        if not base:
            output.notice("warning: RUN402_API_BASE is set but empty; using the default API")
            base = CLOUD_API_BASE
        return _named(checked_base(base, "RUN402_API_BASE"), "env", stored)
    if stored_base:
        base = checked_base(stored_base, str(folder / "target.json"))
        return Target(base, "profile", kind, kind == "core")
    return Target(CLOUD_API_BASE, "default", kind, False)


def explicit_target(folder: Path, address: str) -> Target:
    """The target for an address that the caller gave, whatever RUN402_API_BASE and target.json say."""
    return _named(checked_base(address.strip(), "api_base"), "argument", load_target(folder))


def _named(base: str, source: str, stored: dict[str, Any]) -> Target:
    kind = stored.get("target_kind", "unknown")
    stored_core = kind == "core" and stored.get("api_base") == base
    plain_http = base.startswith("http:") and base != CLOUD_API_BASE
    return Target(base, source, kind, stored_core or plain_http)


def checked_base(base: str, origin: str) -> str:
    """The address without trailing slashes; BAD_ENV unless it is an absolute http(s) URL."""
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
    return base.rstrip("/")


def load_target(folder: Path) -> dict[str, Any]:
    """target.json; a wrong type anywhere makes the whole file count as absent."""
    stored = read_object(folder / "target.json")
    texts = all(
        isinstance(stored.get(key, ""), str) for key in ("api_base", "updated_at", "health_status", "health_error")
    )
    if not texts or stored.get("target_kind", "unknown") not in _KINDS:
        return {}
    return stored


def save_target(folder: Path, *, api_base: str, kind: str, health: dict[str, str]) -> None:
    """Write target.json; `health` holds health_status or health_error."""
    fields = {"api_base": api_base.rstrip("/"), "target_kind": kind, "updated_at": now_iso(), **health}
    write_json(folder / "target.json", fields, temp=".target")
