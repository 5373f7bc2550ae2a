"""The official MCP client, driven from plain tests: a server process over stdio, or a toolbox in this process."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anyio.from_thread import BlockingPortal, start_blocking_portal

if TYPE_CHECKING:
    from mcp.client.client import Client


@dataclass
class Answer:
    """A tool's result: all of its text, the structured document, whether it failed."""

    text: str
    document: Any
    failed: bool
    parts: list[Any]


@dataclass
class Agent:
    """A connected client."""

    portal: BlockingPortal
    client: Client

    def __call__(self, tool: str, /, **arguments: Any) -> Answer:
        result = self.portal.call(self.client.call_tool, tool, arguments)
        text = "\n".join(part.text for part in result.content if part.type == "text")
        return Answer(text, result.structured_content, bool(result.is_error), list(result.content))

    def ok(self, tool: str, /, **arguments: Any) -> Any:
        """The document of a call that must succeed."""
        answer = self(tool, **arguments)
        assert not answer.failed, answer.text
        return answer.document

    def tools(self) -> dict[str, Any]:
        return {tool.name: tool for tool in self.portal.call(self.client.list_tools).tools}


@contextlib.contextmanager
def agent(folder: Path, env: Mapping[str, str], *, errlog: Any = None) -> Iterator[Agent]:
    """A server process with its own config directory in `folder`, and a client on it; both are gone afterwards."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RUN402_")}
    # To import it takes a second: whoever only collects tests does without.
    from mcp.client.client import Client
    from mcp.client.stdio import StdioServerParameters, stdio_client

    parameters = StdioServerParameters(
        command=sys.executable, args=["-m", "run402_cli", "mcp"], env={**kept, **env}, cwd=folder
    )
    transport = stdio_client(parameters) if errlog is None else stdio_client(parameters, errlog=errlog)
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(Client(transport)) as client:
        yield Agent(portal, client)
