"""The MCP server: the service layer as tools for agents. Needs the extra `mcp`. See docs/how-to/mcp.md."""
