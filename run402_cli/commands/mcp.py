"""run402 mcp: the Model Context Protocol server, for agents that take tools rather than a shell."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from run402_cli import interpreter
from run402_cli.commands._command import CommandGroup
from run402_cli.errors import EnvironmentFault, FlagError

app = CommandGroup()


@app.command(
    "mcp",
    effect="write",
    auth=("principal", "service_key", "anon_key"),
    example=["run402 mcp", "claude mcp add run402 -- run402 mcp"],
)
def mcp(
    root: Annotated[
        str | None,
        typer.Option(
            "--root", metavar="DIR", help="Tools read and write local files below it. Default: the git work tree here."
        ),
    ] = None,
    allow_outside: Annotated[
        bool, typer.Option("--allow-outside", help="Tools may upload files from outside of the root, too.")
    ] = False,
    allow_programs: Annotated[
        bool,
        typer.Option(
            "--allow-programs", help="Tools may run manifests and build commands, and write code and settings."
        ),
    ] = False,
) -> None:
    """Serve the tools of Run402 over stdin and stdout (MCP), until stdin ends. An agent's client starts it.

    Started in a home directory or above one, tools take no local files without --root.
    RUN402_MCP_PROFILE=buyer offers only what a paying wallet needs. Needs the extra: pipx install 'run402[mcp]'.
    """
    if missing := [name for name in interpreter.closed if name != "stderr"]:
        raise EnvironmentFault(
            f"The MCP server speaks over stdin and stdout, and {' and '.join(missing)} is closed.",
            hint="An agent's client starts the server with both; do not close them.",
            details={"closed": missing},
        )
    if root is not None and not os.path.isdir(root):  # noqa: PTH112
        raise FlagError(f"--root: there is no directory {root!r}.", details={"flag": "--root", "value": root})
    try:
        from run402_cli.mcp.server import serve
    except ImportError as exc:
        from run402_cli.services import installation

        raise installation.missing_extra(
            "mcp", "The MCP server", code="MCP_DEPENDENCIES_MISSING", details={"missing": [exc.name]}
        ) from exc
    profile = os.environ.get("RUN402_MCP_PROFILE", "").strip() or None
    serve(profile, root=root, allow_outside=allow_outside, allow_programs=allow_programs)
