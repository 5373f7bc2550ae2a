"""The routes of mail; the outbox first, because its path looks like a mailbox's. See docs/local-gateway-users.md, "Mail"."""

from __future__ import annotations

from run402_cli.core.mail import mailboxes, message_routes, outbox, webhook_routes

ROUTES = [*outbox.ROUTES, *mailboxes.ROUTES, *message_routes.ROUTES, *webhook_routes.ROUTES]
