"""Writes that a human must approve: which there are, and what a 403 says about going on. See docs/operator.md, "Approvals".

services/approvals.py asks the human.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from run402_cli import advice
from run402_cli.client import credentials
from run402_cli.errors import ApiError

# What `operator approve` can mint, and the kind of target that each is for.
ACTIONS = {
    "org.project.create": "org_id",
    "project.deploy": "project_id",
    "project.secret.write": "project_id",
}
STEP_UP = "run402 operator login --step-up"


def guidance(refusal: ApiError, auth: object) -> dict[str, Any]:
    """What a 403 says about going on, where the gateway says nothing: `hint` or `next_actions`."""
    if refusal.code == "STEP_UP_REQUIRED":
        return {"hint": f"This needs a fresh sign-in of a human: {STEP_UP}"}
    if not refusal.needs_operator_approval or refusal.fields.get("next_actions") is not None:
        return {}
    command = approve_command(*_wanted(refusal, auth))
    why = "A human must approve this write in a browser."
    return {"next_actions": [advice.entry("operator_approve", command, why=why)]} if command else {}


def _wanted(refusal: ApiError, auth: object) -> tuple[Any, Mapping[str, Any]]:
    """The capability and target of the call, else what the gateway names."""
    if isinstance(auth, credentials.Operator):
        return auth.capability, auth.target
    details = refusal.fields.get("details")
    return (details.get("capability"), details) if isinstance(details, dict) else (None, {})


def approve_command(action: Any, target: Mapping[str, Any]) -> advice.Command | None:
    """The command line that mints this approval; None when it cannot be minted or the target is unknown."""
    key = ACTIONS.get(action) if isinstance(action, str) else None
    value = target.get(key) if key else None
    if not isinstance(value, str) or not value:
        return None
    flag = "--org" if key == "org_id" else "--project"
    return advice.command("operator", "approve", "--action", str(action), flag, value)
