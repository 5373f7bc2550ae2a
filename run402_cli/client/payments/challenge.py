"""Whether a 402 asks for a payment. Light on purpose: the payment modules are imported only when one does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from run402_cli.client.http import httpx
from run402_cli.client.transport import NEAR

CHALLENGE = "payment-required"
_MAX_BODY = 1 << 20


def read_402(response: httpx.Response) -> httpx.Response:
    """The answer with at most 1 MiB of its body, read; the rest of a larger one is never fetched."""
    data = bytearray()
    try:
        for chunk in _chunks(response):
            data += chunk
            if len(data) > _MAX_BODY:
                break
    finally:
        response.close()
    dropped = ("content-encoding", "content-length", "transfer-encoding")
    headers = [(key, value) for key, value in response.headers.multi_items() if key not in dropped]
    found = httpx.Response(
        response.status_code, headers=headers, content=bytes(data[:_MAX_BODY]), request=response.request
    )
    found.extensions[NEAR] = response.extensions.get(NEAR, False)
    return found


def _chunks(response: httpx.Response) -> Iterator[bytes]:
    return response.iter_bytes(65_536)


def carries_challenge(response: httpx.Response) -> bool:
    """A PAYMENT-REQUIRED header, a version 1 body, or a challenge of the mpp rail."""
    return CHALLENGE in response.headers or v1_body(response) is not None or _asks_mpp(response)


def v1_body(response: httpx.Response) -> dict[str, Any] | None:
    """The body when it is a version 1 challenge."""
    if b'"x402Version"' not in response.content:
        return None
    try:
        fields = json.loads(response.content)
    except (ValueError, RecursionError):
        return None
    if isinstance(fields, dict) and fields.get("x402Version") == 1 and isinstance(fields.get("accepts"), list):
        return fields
    return None


def _asks_mpp(response: httpx.Response) -> bool:
    return any(value.lower().startswith("payment ") for value in response.headers.get_list("www-authenticate"))
