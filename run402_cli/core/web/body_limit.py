"""How large the body of a request may be, known before it is read. See docs/local-gateway.md, "Limits of a request"."""

from __future__ import annotations

import re

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from run402_cli.core.errors import GatewayError

MIB = 1 << 20
DEFAULT = 8 * MIB
# Of paths whose bodies are larger, the first that fits. None: the handler streams the body, under a limit of its own.
LIMITS: tuple[tuple[str, int | None], ...] = (
    (r"/content/v1/uploads/", None),
    (r"/projects/v1/[^/]+/storage/uploads/[^/]+/bytes$", None),
    (r"/apply/v1/service-asset-put$", None),
    (r"/rest/v1|/admin/v1/rest", None),
    (r"/functions/v1/(?!invoke$|runs$)[^/]+$", None),
    (r"/projects/v1/[^/]+/content$", 512 * MIB),  # 384 MiB as base64
    (r"/apply/v1/|/content/v1/", 64 * MIB),
    (r"/projects/v1/admin/[^/]+/sql$", 32 * MIB),
    (r"/mailboxes/v1/", 16 * MIB),
)
_LIMITS = tuple((re.compile(path), limit) for path, limit in LIMITS)


def limit_of(path: str) -> int | None:
    """The most bytes that a body sent to `path` may have; None where the handler has a limit of its own."""
    return next((limit for pattern, limit in _LIMITS if pattern.match(path)), DEFAULT)


class BodyLimit:
    """413 before a byte is read when a request says that it is too large, else as soon as it is."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        limit = limit_of(scope["path"]) if scope["type"] == "http" else None
        if limit is None:
            await self.app(scope, receive, send)
            return
        declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if declared.isdigit() and int(declared[:20]) > limit:
            raise too_large(limit)
        size = 0

        async def counted() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > limit:
                raise too_large(limit)
            return message

        await self.app(scope, counted, send)


def too_large(limit: int) -> GatewayError:
    return GatewayError(
        413,
        "request_too_large",
        f"A request to this route may have {limit} bytes. Send less at a time; files go up as content or assets.",
        max_bytes=limit,
    )
