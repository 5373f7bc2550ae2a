"""run402 mcp: the Model Context Protocol server, for agents that take tools rather than a shell."""

from __future__ import annotations

import os

from run402_cli.commands._command import CommandGroup
from run402_cli.errors import CommandError

app = CommandGroup()

_INJECT = "pipx inject run402 'run402[mcp]'"
_INSTALL = "pipx install 'run402[mcp]'"


@app.command("mcp", example=["run402 mcp", "claude mcp add run402 -- run402 mcp"])
def mcp() -> None:
    """Serve the tools of Run402 over stdin and stdout (MCP), until stdin ends. An agent's client starts it.

    RUN402_MCP_PROFILE=buyer offers only what a paying wallet needs. Needs the extra: pipx install 'run402[mcp]'.
    """
    try:
        from run402_cli.mcp.server import serve
    except ImportError as exc:
        raise CommandError(
            "The MCP server is not installed: run402 was installed without its extra `mcp`.",
            code="MCP_DEPENDENCIES_MISSING",
            hint=f"{_INSTALL} (or, when run402 is there already: {_INJECT})",
            details={"missing": [exc.name]},
            next_actions=[{"type": "run_command", "command": _INJECT}],
        ) from exc
    serve(os.environ.get("RUN402_MCP_PROFILE", "").strip() or None)
