"""Mailboxes whose mail goes to a local outbox, never to the network. See docs/local-gateway-users.md, "Mail"."""
