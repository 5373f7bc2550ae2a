"""The HTTP kernel: one sync client, one httpx.Auth class per way to authenticate, one error mapping."""

from run402_cli.client._client import CLIENT_HEADER, Client
from run402_cli.client.bounded import body_of, parse_body, rest_body
from run402_cli.client.urls import segment, with_query

__all__ = ["CLIENT_HEADER", "Client", "body_of", "parse_body", "rest_body", "segment", "with_query"]
