"""Pages of mail: `limit` and `after` of the query, and the newest messages that they ask for."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from run402_cli.core.db import Connection
from run402_cli.core.mail import message_rows
from run402_cli.core.mail.messages import view
from run402_cli.core.web.http import page, query_limit

DEFAULT_LIMIT, MAX_LIMIT = 50, 200


def limit_of(request: Request) -> int:
    """`limit` of the query; above the most it means the most. 400 invalid_request."""
    return query_limit(request, "limit", DEFAULT_LIMIT, MAX_LIMIT, code=None, field="limit")


def after_of(request: Request) -> str | None:
    """The id of the last entry seen."""
    return (request.query_params.get("after") or "").replace("\0", "") or None


async def messages_page(
    conn: Connection, request: Request, column: str, value: str, direction: str | None
) -> dict[str, Any]:
    """One page of the messages whose `column` (mailbox_id, project_id) has a value: `{messages, has_more, next_cursor}`."""
    limit = limit_of(request)
    rows = await message_rows.page(conn, column, value, direction=direction, after=after_of(request), limit=limit + 1)
    return page("messages", rows, limit, view, lambda row: row["message_id"])
