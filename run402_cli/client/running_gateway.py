"""The local gateway that runs from this user's data directory: where it says it is, and whether it answers there."""

from __future__ import annotations

import os
from typing import Any

from run402_cli.client.http import httpx
from run402_cli.client.urls import same_origin
from run402_cli.local_gateway import default_data_dir
from run402_cli.state.catalogue import GATEWAY
from run402_cli.state.files import DamagedState, read_state


def recorded() -> tuple[str, int] | None:
    """(address, process id) in gateway.json of the data directory. DamagedState when it cannot be read."""
    state = read_state(default_data_dir() / GATEWAY.name, GATEWAY)
    return None if state is None else (state["url"].rstrip("/"), state["pid"])


def answers(http: httpx.Client, url: str, *, pid: int | None = None) -> bool:
    """GET {url}/health: whether a Run402 gateway answers there, and as the process `pid` when one is given."""
    try:
        body = http.get(f"{url}/health", timeout=httpx.Timeout(10.0)).json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, RecursionError):
        return False
    health = body if isinstance(body, dict) else {}
    if health.get("mode") != "core":
        return False
    return health.get("pid") == pid if pid is not None else not _is_strangers(health.get("pid"))


def elsewhere(http: httpx.Client, api_base: str) -> str | None:
    """The address of the gateway that runs here when it is another one than `api_base`; None when none answers."""
    try:
        found = recorded()
    except DamagedState:
        return None
    if found is None or same_origin(found[0], api_base) or not answers(http, found[0], pid=found[1]):
        return None
    return found[0]


def _is_strangers(pid: Any) -> bool:
    """Whether a process is known to belong to another user of this machine."""
    if os.name != "posix" or not isinstance(pid, int) or pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return False
