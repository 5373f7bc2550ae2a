"""The pages of the console that belong to no project, and what all its pages share."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlencode

import htpy as h
from starlette.requests import Request
from starlette.responses import Response

from run402_cli.core.callers import payment_rows
from run402_cli.core.callers.payments import required
from run402_cli.core.console import inside
from run402_cli.core.gateway import gateway_of
from run402_cli.core.web.instants import iso
from run402_cli.core.web.pages import links, mail, page, root, table

PAGE_SIZE = 50
LAST_PAGE = 100_000


def address(*words: str, **query: Any) -> str:
    """The address of a page of the console, and its query."""
    asked = {name: value for name, value in query.items() if value not in (None, "")}
    return root() + "/".join(words) + (f"?{urlencode(asked)}" if asked else "")


def page_number(request: Request) -> int:
    """`page` of the query, from 1; anything else counts as the first."""
    text = request.query_params.get("page", "")
    return min(max(int(text), 1), LAST_PAGE) if re.fullmatch(r"[0-9]{1,6}", text) else 1


def pager(number: int, more: bool, *words: str, **query: Any) -> h.Node:
    """Links to the pages before and after this one."""
    offered = [("← Back", address(*words, **query, page=number - 1))] if number > 1 else []
    offered += [("Next →", address(*words, **query, page=number + 1))] if more else []
    return h.p(".more")[links(offered)] if offered else None


def forward(cursor: str | None, started: bool, name: str, *words: str) -> h.Node:
    """The same for lists that know only what comes next."""
    offered = [("First page", address(*words))] if started else []
    offered += [("Next →", address(*words, **{name: cursor}))] if cursor else []
    return h.p(".more")[links(offered)] if offered else None


def said(title: str, message: str, status: int) -> Response:
    """A page that shows no data."""
    ways = [("All projects", root()), ("Mail", mail()), ("Payments", address("payments"))]
    return page(title, h.p[message], h.p(".more")[links(ways)], status=status)


async def projects(request: Request) -> Response:
    """/_run402/: every project of the gateway, oldest first."""
    after = request.query_params.get("after") or None
    found = await inside.get(request, "/projects/v1", limit=PAGE_SIZE, after=after)
    rows = [
        (
            h.a(href=address("projects", row["project_id"]))[row["name"]],
            h.code[row["project_id"]],
            h.a(href=row["site_url"], rel="noreferrer")["Site"] if row["site_url"] else None,
            row["created_at"],
        )
        for row in found["projects"]
    ]
    empty = "No project yet. In the directory of an app: run402 up --yes. Without one: run402 projects provision --name demo"
    return page(
        "Projects",
        table(("Name", "Id", "Deployed", "Made"), rows, empty=empty),
        forward(found["next_cursor"], after is not None, "after", ""),
        here=root(),
    )


async def payments(request: Request) -> Response:
    """/_run402/payments: what was paid to this gateway, newest first."""
    number = page_number(request)
    async with gateway_of(request).connection() as conn:
        found = await payment_rows.newest(conn, limit=PAGE_SIZE + 1, offset=(number - 1) * PAGE_SIZE)
    rows = [
        (iso(row["settled_at"]), row["purpose"], f"{row['amount_usd_micros'] / 1e6:.2f} USD", h.code[row["payer"]])
        for row in found[:PAGE_SIZE]
    ]
    charges = "Started with --require-payment: new projects cost money here."
    free = "This gateway charges nothing. One that does: run402 core start --require-payment"
    return page(
        "Payments",
        h.p(".dim")[charges if required(request) else free, " No money moves: payments are checked on no chain."],
        table(("When", "For", "Amount", "Payer"), rows, empty="Nothing was paid."),
        pager(number, len(found) > PAGE_SIZE, "payments"),
        here=address("payments"),
    )


async def unknown(request: Request) -> Response:
    """Any other address below /_run402/."""
    return said("Not found", f"The console has no page {request.url.path}.", 404)
