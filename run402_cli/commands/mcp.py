"""run402 mcp: the Model Context Protocol server, for agents that take tools rather than a shell."""

from __future__ import annotations

import os

from run402_cli import interpreter
from run402_cli.commands._command import CommandGroup
from run402_cli.errors import EnvironmentFault

app = CommandGroup()


@app.command(
    "mcp",
    effect="write",
    auth=("principal", "service_key", "anon_key"),
    example=["run402 mcp", "claude mcp add run402 -- run402 mcp"],
)
def mcp() -> None:
    """Serve the tools of Run402 over stdin and stdout (MCP), until stdin ends. An agent's client starts it.

    RUN402_MCP_PROFILE=buyer offers only what a paying wallet needs. Needs the extra: pipx install 'run402[mcp]'.
    """
    if missing := [name for name in interpreter.closed if name != "stderr"]:
        raise EnvironmentFault(
            f"The MCP server speaks over stdin and stdout, and {' and '.join(missing)} is closed.",
            hint="An agent's client starts the server with both; do not close them.",
            details={"closed": missing},
        )
    try:
        from run402_cli.mcp.server import serve
    except ImportError as exc:
        from run402_cli.services import installation

        raise installation.missing_extra(
            "mcp", "The MCP server", code="MCP_DEPENDENCIES_MISSING", details={"missing": [exc.name]}
        ) from exc
    serve(os.environ.get("RUN402_MCP_PROFILE", "").strip() or None)
