"""All tools, by name."""

from __future__ import annotations

from run402_cli.mcp._tool import Tool
from run402_cli.mcp.tools import (
    account,
    assets,
    copies,
    deploys,
    email,
    functions,
    money,
    organizations,
    projects,
    rooms,
    users,
)

TOOLS: dict[str, Tool] = {
    tool.name: tool
    for module in (
        *(projects, money, deploys, functions, assets, copies, users, email, rooms),
        *(organizations, account),
    )
    for tool in module.TOOLS
}
