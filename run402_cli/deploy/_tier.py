"""Check functions against the project's tier before a plan is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from run402_cli.client import Client
from run402_cli.errors import Run402Error
from run402_cli.release import tier
from run402_cli.services import apply as apply_service


def check(client: Client, project_id: str, spec: Mapping[str, Any]) -> None:
    """Raise ReleaseError BAD_FIELD for a function that the tier does not allow. An unknown tier checks nothing."""
    if not tier.needs_tier(spec):
        return
    try:
        limits = tier.limits_of(apply_service.tier_status(client))
    except Run402Error:
        return
    if limits is None:
        return
    # The counts of the spec alone come first; the inventory costs a request.
    tier.check_tier(spec, limits)
    if tier.needs_inventory(spec):
        active = _active_release(client, project_id)
        if active is not None:
            tier.check_tier(spec, limits, active)


def _active_release(client: Client, project_id: str) -> Mapping[str, Any] | None:
    try:
        release = apply_service.release(client, project_id, "active", site_limit=1)
    except Run402Error:
        return None
    return release if isinstance(release, Mapping) else None
