"""The embedded local gateway (extra `core`): one Starlette app in front of a real PostgreSQL.

Serves the Run402 HTTP API on loopback. Imports `release` and `archive` only; never commands, services or client.
See docs/local-gateway.md.
"""
