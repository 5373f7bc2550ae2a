"""The client of the command line. Nobody else sits at a terminal: Python code, the MCP server and CI use others."""

from __future__ import annotations

from run402_cli.client import Client, credentials
from run402_cli.errors import ApiError


class TerminalClient(Client):
    """A client that asks the human at this terminal for the approval that a write needs (docs/operator.md, "Approvals")."""

    def approval(self, refusal: ApiError, auth: credentials.Operator) -> credentials.Operator | None:
        from run402_cli.services import approvals  # with it comes a web server, for the browser's answer

        return approvals.ask(self, refusal, auth)
