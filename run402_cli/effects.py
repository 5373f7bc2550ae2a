"""What each command may do and whose credentials it sends: the static part of `run402 schema` and of MCP annotations.

effect     read: changes nothing, here or there; write: adds, changes or starts something; destructive: deletes something,
           ends it for good (a key that is in use, a running job), or gives it away.
auth       the credentials that requests of the command carry (docs/how-to/schema.md, "Auth classes"); empty: none.
spends     may pay from the wallet when the service or a seller asks for money. No other command does, whoever asks; what it
           calls is marked `priced` in its service.
reveals    made to print a secret: a key or token once, or what this machine holds. Every other answer goes through
           secrecy.public.
passes_on  prints what the user's own data, functions or sellers answer, as it is.

Commands declare them, beside `needed`: the flags without which they stop, as no other word can stand in for them (a
confirmation is not among them); help, llms-cli.txt and `schema` show those without brackets. Tests compare what is declared
with the requests of recorded runs.
"""

from __future__ import annotations

from typing import NamedTuple

from run402_cli.command_table import COMMANDS

READ, WRITE, DESTRUCTIVE = "read", "write", "destructive"
AUTH_CLASSES = {
    "principal": "delegate token (RUN402_DELEGATE_TOKEN), else the wallet's signature, else a control-plane session",
    "wallet": "the wallet's signature only",
    "service_key": "the project's service key from the local cache",
    "anon_key": "the project's anon key from the local cache",
    "user_token": "access token of a user of the project's application, given with --token",
    "operator_session": "session of a human operator: run402 operator login",
    "control_plane_session": "control-plane session of a human operator",
    "ci_session": "GitHub Actions identity, exchanged for a short session (instead of the principal)",
    "admin": "the principal together with X-Admin-Mode: 1; platform admins only",
}


class Surface(NamedTuple):
    effect: str
    auth: tuple[str, ...] = ()
    spends: bool = False


_ROWS = {f"{group} {path}".strip(): row for group, rows in COMMANDS.items() for path, row in rows.items()}
SURFACE: dict[str, Surface] = {
    name: Surface(effect, tuple(auth.split()), "spends" in marks) for name, (effect, auth, marks, _) in _ROWS.items()
}


def effect_of(command: str) -> str | None:
    """The effect of a command by its name, or another name that it has; None for what is no command."""
    from run402_cli.registry import GROUPS

    group, _, rest = command.partition(" ")
    aliases = GROUPS[group].aliases if group in GROUPS else {}
    row = SURFACE.get(f"{group} {aliases.get(rest, rest)}".strip())
    return None if row is None else row.effect


REVEALS = frozenset(name for name, (_, _, marks, _) in _ROWS.items() if "reveals" in marks)
PASSES_ON = frozenset(name for name, (_, _, marks, _) in _ROWS.items() if "passes_on" in marks)
