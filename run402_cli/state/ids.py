"""The form of the ids that a gateway gives to projects. What has another one is not kept: ids are used in paths and shells."""

from __future__ import annotations

import re

from run402_cli import advice
from run402_cli.errors import CommandError

_ID = re.compile("[A-Za-z0-9][A-Za-z0-9_-]{0,127}")


def require_id(project_id: str) -> None:
    """CommandError BAD_PROJECT_ID for what cannot be the id of a project, typed or answered."""
    if _ID.fullmatch(project_id) is None:
        raise CommandError(
            f"{project_id!r} is not an id of a project: that is letters, digits, - and _. It was not stored.",
            code="BAD_PROJECT_ID",
            hint="List the ids: run402 projects list. When this one came from the gateway, look at which gateway that is: "
            "run402 status",
            details={"value": project_id},
            next_actions=[advice.action("run_command", "status", why="It names the gateway.")],
        )
