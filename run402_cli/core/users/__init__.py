"""The users of a project's own application: accounts, passwords, sessions, sign-in mails. See docs/local-gateway-users.md."""
