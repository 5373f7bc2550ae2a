"""The server: the tools behind the official MCP library, over stdin and stdout. See docs/how-to/mcp.md."""

from __future__ import annotations

import signal
from typing import Any

import anyio
import anyio.to_thread
import mcp_types as types
from mcp.server.lowlevel import NotificationOptions, Server
from mcp.server.stdio import stdio_server
from mcp.shared.exceptions import MCPError

from run402_cli._version import __version__
from run402_cli.mcp import profiles
from run402_cli.mcp._files import files
from run402_cli.mcp._run import Content, Toolbox
from run402_cli.mcp._tool import Tool
from run402_cli.mcp.tools import TOOLS

_INSTRUCTIONS = (
    "Run402 is a backend for applications: PostgreSQL with REST and row-level security, static sites, functions, files, "
    "e-mail. Begin with init (the Cloud) or a local gateway (run402 core start --use), then provision_postgres_project, "
    "run_sql, apply_expose, deploy_site. Amounts are USD micros: 1000000 is 1 USD."
)
_BUYER_INSTRUCTIONS = "Paid calls with a wallet of your own. Begin with init. Amounts are USD micros: 1000000 is 1 USD."


def serve(
    profile: str | None, *, root: str | None = None, allow_outside: bool = False, allow_programs: bool = False
) -> None:
    """Answer on stdin and stdout until stdin ends; local files lie below `root` (_files.py).

    EnvironmentFault for an unknown profile, before anything is read.
    """
    local = files(root, allow_outside=allow_outside, programs=allow_programs)
    toolbox = Toolbox(profiles.chosen(TOOLS, profile), limited=bool(profile), local=local)
    # A thread waits for the next line of stdin and cannot be woken, so a signal ends the process without unwinding.
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, signal.SIG_DFL)
    anyio.run(_serve, toolbox)


async def _serve(toolbox: Toolbox) -> None:
    server = build(toolbox)
    options = server.create_initialization_options(NotificationOptions(tools_changed=True))
    async with stdio_server() as (incoming, outgoing):
        await server.run(incoming, outgoing, options)


def build(toolbox: Toolbox) -> Server[Any]:
    """The MCP server of a toolbox. Calls run in threads of their own, so that a long one holds up no other."""

    async def list_tools(_context: Any, _params: Any) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[_described(tool) for tool in toolbox.tools.values()])

    async def call_tool(_context: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        tool = toolbox.tools.get(params.name)
        if tool is None:
            raise MCPError(types.INVALID_PARAMS, f"There is no tool {params.name[:100]!r}; tools/list has them.")
        content = await anyio.to_thread.run_sync(toolbox.call, tool, params.arguments or {}, abandon_on_cancel=True)
        return _answer(content)

    buyer = "provision_postgres_project" not in toolbox.tools
    return Server(
        "run402",
        version=__version__,
        instructions=_BUYER_INSTRUCTIONS if buyer else _INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


def _described(tool: Tool) -> types.Tool:
    return types.Tool(
        name=tool.name,
        description=tool.purpose,
        input_schema=tool.input_schema(),
        annotations=types.ToolAnnotations.model_validate(tool.hints()),
    )


def _answer(content: Content) -> types.CallToolResult:
    parts: list[Any] = [types.TextContent(type="text", text=content.text)]
    parts += [types.ImageContent(type="image", data=each.data, mime_type=each.mime_type) for each in content.images]
    return types.CallToolResult(content=parts, structured_content=content.structured, is_error=content.failed)
