"""Pointing a wallet at a gateway. See docs/local-gateway.md, "Pointing run402 at a gateway"."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from run402_cli import advice
from run402_cli.client import CLIENT_HEADER, Client, own_gateway, parse_body
from run402_cli.client.http import httpx
from run402_cli.client.transport import reason
from run402_cli.client.urls import same_origin
from run402_cli.errors import EnvironmentFault
from run402_cli.state.files import DamagedState
from run402_cli.state.target import CLOUD_API_BASE, checked_base, load_target, resolve_target, save_target

_TIMEOUT = httpx.Timeout(10.0)
_CREATE = advice.entry(
    "create_project",
    advice.parsed('run402 projects provision --name "my-app"'),
    why="The gateway is set; a project holds the database, the site and the keys.",
)


def point_at(
    client: Client, api_base: str, *, known_healthy: bool = False, data_dir: Path | None = None
) -> dict[str, Any]:
    """GET {api_base}/health without credentials, then save the gateway in target.json of the active wallet.

    Returns {config_dir, api_base, api_base_source, target: {kind, health_status | health_error}, payment_required,
    next_actions, next_step}. A gateway that does not answer is saved too. `known_healthy`: the caller has just started this
    local gateway, so nobody is asked. `data_dir` is the one of that gateway. Raises EnvironmentFault
    (BAD_ENV) unless it is an http(s) URL.
    """
    base = checked_base(api_base, "--api-base")
    profile = client.profile
    load_target(profile.dir)  # a file that cannot be replaced is said before anybody is asked
    is_core, health = (True, {"health_status": "ok"}) if known_healthy else _probe(client, base)
    kind = "core" if is_core or not same_origin(base, CLOUD_API_BASE) else "cloud"
    save_target(
        profile.dir, api_base=base, kind=kind, health=health, data_dir=data_dir or own_gateway.directory_at(base)
    )
    profile.__dict__.pop("target", None)  # read it again: the profile keeps what it has seen
    return {
        "config_dir": str(profile.dir),
        "api_base": base,
        "api_base_source": "profile",
        "target": {"kind": kind, **health},
        "payment_required": kind == "cloud",
        "next_actions": [_CREATE],
        "next_step": _CREATE["command"],
    }


def elsewhere(folder: Path, url: str) -> dict[str, str] | None:
    """{api_base, api_base_source} of the wallet's target when it is saved, or the default, and another gateway than `url`.

    None for one that RUN402_API_BASE names, or that cannot be read: nothing that is saved would change that.
    """
    try:
        target = resolve_target(folder)
    except (EnvironmentFault, DamagedState):
        return None
    if target.source == "env" or same_origin(target.api_base, url):
        return None
    return {"api_base": target.api_base, "api_base_source": target.source}


def _probe(client: Client, base: str) -> tuple[bool, dict[str, str]]:
    """(the gateway calls itself core, {health_status} or {health_error})."""
    try:
        response = client.http.get(base + "/health", headers={"Run402-Client": CLIENT_HEADER}, timeout=_TIMEOUT)
    except (httpx.HTTPError, httpx.InvalidURL) as exc:
        return False, {"health_error": reason(exc)}
    body = parse_body(response)
    fields = body if isinstance(body, dict) else {}
    if not response.is_success:
        texts = [fields.get("message"), fields.get("error"), f"HTTP {response.status_code}"]
        return False, {"health_error": next(text for text in texts if isinstance(text, str) and text)}
    status = fields.get("status")
    return fields.get("mode") == "core", {"health_status": status if isinstance(status, str) else "ok"}
