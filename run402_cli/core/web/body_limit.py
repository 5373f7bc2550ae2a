"""How large the body of a request may be, known before it is read: each route says it. See docs/local-gateway.md, "Limits of
a request".
"""

from __future__ import annotations

from typing import Final

from starlette.types import Message, Receive, Scope

from run402_cli.core.errors import GatewayError

MIB: Final = 1 << 20
DEFAULT: Final = 8 * MIB
DEPLOY: Final = 64 * MIB
# The handler streams the body, or stops reading, under a limit of its own.
STREAMED: Final = None
_LIMIT: Final = "run402.body_limit"


def limited(scope: Scope, receive: Receive, most: int | None) -> Receive:
    """`receive` that ends with 413 once the body is larger than `most` bytes; that at once when the request says so."""
    scope[_LIMIT] = most
    if most is None:
        return receive
    declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    if declared.isdigit() and int(declared[:20]) > most:
        raise too_large(most)
    size = 0

    async def counted() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > most:
            raise too_large(most)
        return message

    return counted


def of(scope: Scope) -> int:
    """The limit of the route that was asked for."""
    return scope.get(_LIMIT) or DEFAULT


def too_large(most: int) -> GatewayError:
    return GatewayError(
        413,
        "request_too_large",
        f"A request to this route may have {most} bytes. Send less at a time; files go up as content or assets.",
        max_bytes=most,
    )
