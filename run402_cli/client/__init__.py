"""The HTTP kernel: one sync client, one httpx.Auth class per way to authenticate, one error mapping."""

from run402_cli.client._client import Client, parse_body
from run402_cli.client._urls import segment, with_query

__all__ = ["Client", "parse_body", "segment", "with_query"]
