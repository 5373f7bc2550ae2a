"""E-mail triggers of functions: an event of a mailbox becomes a durable run. See docs/local-gateway-users.md, "Mail"."""

from __future__ import annotations

import logging
from typing import Any

from run402_cli.core.db import Connection, is_away, reason_of
from run402_cli.core.functions import runs
from run402_cli.core.mail.mailbox_rows import Mailbox
from run402_cli.core.sites.lookup import live_sites

log = logging.getLogger("run402.core.mail")


async def start_runs(conn: Connection, mailbox: Mailbox, event: str, facts: dict[str, Any]) -> None:
    """Make the runs that the active release's triggers want for an event. The caller wakes the dispatcher."""
    site = await live_sites.active(conn, mailbox.project_id)
    if site is None:
        return
    for entry in site.state["functions"]:
        for trigger in entry.get("triggers") or ():
            if trigger["type"] == "email" and event in trigger["events"] and _is(mailbox, trigger["mailbox"]):
                try:
                    async with conn.transaction():
                        await _enqueue(conn, mailbox, entry["name"], trigger, event, facts)
                except Exception as exc:
                    # The mail has come, whatever is wrong with a trigger of the project that gets it.
                    if is_away(exc) or conn.closed:
                        raise
                    place = (trigger["id"], entry["name"], mailbox.project_id, reason_of(exc))
                    log.warning("the trigger %.80s of %s in %s made no run: %s", *place)


def _is(mailbox: Mailbox, named: str) -> bool:
    return named in (mailbox.mailbox_id, mailbox.slug, mailbox.address)


async def _enqueue(
    conn: Connection, mailbox: Mailbox, function: str, trigger: dict[str, Any], event: str, facts: dict[str, Any]
) -> None:
    wanted = trigger["run"]
    wish = runs.Wish(
        event_type=wanted["event_type"],
        idempotency_key=":".join(("email", facts["message_id"], event, function, trigger["id"])),
        payload={**(wanted.get("payload") or {}), "event": event, "message": facts},
        retry=runs.retry_of(wanted.get("retry")),
    )
    source = {
        "type": "email",
        "trigger_id": trigger["id"],
        "event": event,
        "mailbox_id": mailbox.mailbox_id,
        "message_id": facts["message_id"],
    }
    await runs.create(conn, mailbox.project_id, function, wish, source)
