"""run402 org: organizations, their members, invites and audit trail."""

from __future__ import annotations

from typing import Annotated

import typer

from run402_cli import advice, output
from run402_cli.commands._command import CommandGroup, needs_action
from run402_cli.commands._options import integer
from run402_cli.errors import UsageError
from run402_cli.services import org
from run402_cli.services.terminal import TerminalClient

app = CommandGroup()

Org = Annotated[str, typer.Argument(metavar="ORG_ID", show_default=False)]
PrincipalOpt = Annotated[
    str | None, typer.Option("--principal", metavar="ID", help="Principal id, from member list or invite list.")
]
RoleOpt = Annotated[
    str | None, typer.Option("--role", metavar="ROLE", help="owner, admin, developer, billing or viewer.")
]
ClearOpt = Annotated[bool, typer.Option("--clear", help="Take the present value away.")]
Action = Annotated[list[str] | None, typer.Argument(metavar="ACTION", show_default=False)]
PrincipalWords = Annotated[list[str] | None, typer.Argument(metavar="ORG_ID [PRINCIPAL_ID]", show_default=False)]


def _org_and_value(words: list[str] | None, value: str | None, what: str, usage: str) -> tuple[str, str]:
    """The organization, and a value that is a flag or the word after it."""
    given = words or []
    filled = [*given[:1], value, *given[1:]] if value is not None else given
    if not given:
        raise UsageError("The organization id is missing.", hint=usage)
    if len(filled) < 2 or filled[1] is None:
        raise UsageError(f"{what} is missing.", hint=usage)
    if len(filled) > 2:
        raise UsageError(f"Unexpected argument {filled[2]!r}.", hint=usage)
    return given[0], filled[1]


@app.command(
    "create",
    summary="Create an organization.",
    effect="write",
    auth="principal",
    example='run402 org create --name "Acme"',
)
def create(
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="Display name.")] = None,
) -> None:
    """Create an organization; you become its owner. Repeating the command creates another one."""
    with TerminalClient() as client:
        output.emit(org.create(client, name=name))


@app.command(
    "list",
    summary="List your organizations.",
    effect="read",
    auth="principal",
    example="run402 org list | jq -r '.orgs[].org_id'",
)
def list_() -> None:
    """List the organizations that you belong to, with your role in each."""
    with TerminalClient() as client:
        output.emit(org.list_orgs(client))


@app.command(
    "get", summary="Show one organization.", effect="read", auth="principal", example="run402 org get ORG_ID | jq .role"
)
def get(org_id: Org) -> None:
    """Show one organization: name, tier, lease, your role."""
    with TerminalClient() as client:
        output.emit(org.get(client, org_id))


@app.command(
    "rename",
    effect="write",
    auth="principal",
    example=['run402 org rename ORG_ID --name "Acme Ltd"', "run402 org rename ORG_ID --clear"],
)
def rename(
    words: Annotated[list[str] | None, typer.Argument(metavar="ORG_ID", show_default=False)] = None,
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="The new display name.")] = None,
    clear: ClearOpt = False,
) -> None:
    """Set or clear the display name. For owners; --clear wins over --name."""
    org_id, value = _changed(
        words, name, clear=clear, what="The name", usage="run402 org rename <org_id> --name <name>"
    )
    with TerminalClient() as client:
        output.emit(org.rename(client, org_id, value))


def _changed(
    words: list[str] | None, value: str | None, *, clear: bool, what: str, usage: str
) -> tuple[str, str | None]:
    """The organization and its new value: a flag or a second word; None with --clear."""
    given = words or []
    if clear and len(given) > 1:
        raise UsageError(f"Unexpected argument {given[1]!r} beside --clear.", hint=usage)
    if clear and given:
        return given[0], None
    return _org_and_value(words, value, what, usage)


@app.command(
    "payout-wallet",
    summary="Set or clear the wallet that priced routes pay to.",
    effect="write",
    auth="principal",
    example=[
        "run402 org payout-wallet ORG_ID 0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
        "run402 org payout-wallet ORG_ID --clear",
    ],
)
def payout_wallet(
    words: Annotated[list[str] | None, typer.Argument(metavar="ORG_ID [ADDRESS]", show_default=False)] = None,
    clear: ClearOpt = False,
) -> None:
    """Set or clear the wallet address that priced routes pay to. For owners and admins.

    The address is an argument: --wallet chooses the local wallet that signs, here as everywhere.
    """
    usage = "run402 org payout-wallet <org_id> <address>"
    org_id, value = _changed(words, None, clear=clear, what="The address", usage=usage)
    with TerminalClient() as client:
        output.emit(org.set_payout_wallet(client, org_id, value))


@app.command(
    "whoami",
    summary="Who the gateway takes you for.",
    effect="read",
    auth="principal",
    example="run402 org whoami | jq .principal.id",
)
def whoami() -> None:
    """Who the gateway takes you for: principal, memberships, linked identities."""
    with TerminalClient() as client:
        output.emit(org.whoami(client))


@app.command(
    "audit", summary="Who changed what.", effect="read", auth="principal", example="run402 org audit ORG_ID --limit 50"
)
def audit(
    org_id: Org,
    limit: Annotated[str | None, typer.Option("--limit", metavar="N", help="1 to 1000.")] = None,
    after: Annotated[
        str | None, typer.Option("--after", metavar="CURSOR", help="next_cursor of the page before.")
    ] = None,
    before: Annotated[str | None, typer.Option("--before", metavar="CURSOR", help="Older form of paging.")] = None,
) -> None:
    """Show who changed what in an organization, one page at a time."""
    count = integer("--limit", limit, high=1000)
    with TerminalClient() as client:
        output.emit(org.audit(client, org_id, limit=count, after=after, before=before))


# -- members ------------------------------------------------------------------------------------------------------------


@app.command("member", example="run402 org member list ORG_ID", hidden=True)
@app.command("members", example="run402 org members list ORG_ID", hidden=True)
def member(context: typer.Context, words: Action = None) -> None:
    """Members of an organization. Actions: list, add, role, rm; `run402 org member <action> --help` shows each."""
    _action(context, words, ("list", "add", "role", "rm"))


@app.command("invite", example="run402 org invite list ORG_ID", hidden=True)
@app.command("invites", example="run402 org invites list ORG_ID", hidden=True)
def invite(context: typer.Context, words: Action = None) -> None:
    """Invites to an organization. Actions: list, create, rm; `run402 org invite <action> --help` shows each."""
    _action(context, words, ("list", "create", "rm"))


def _action(context: typer.Context, words: list[str] | None, actions: tuple[str, ...]) -> None:
    """What is left of a group when no known action follows its name."""
    if words:
        raise UsageError(f"Unknown action {words[0]!r}.", hint=f"One of {', '.join(actions)}; --help shows them.")
    raise needs_action(context, actions, advice.Blank("org_id"))


@app.command(
    "member list", summary="List members.", effect="read", auth="principal", example="run402 org member list ORG_ID"
)
@app.command("members list", example="run402 org members list ORG_ID", hidden=True)
def member_list(org_id: Org) -> None:
    """List the members of an organization with their roles."""
    with TerminalClient() as client:
        output.emit(org.list_members(client, org_id))


@app.command(
    "member add",
    effect="write",
    auth="principal",
    example="run402 org member add ORG_ID 0x70997970C51812dc3A010C7d01b50e0d17dc79C8 --role developer",
)
@app.command("members add", example="run402 org members add ORG_ID ADDRESS", hidden=True)
def member_add(
    org_id: Org,
    address: Annotated[str, typer.Argument(metavar="ADDRESS", show_default=False)],
    role: RoleOpt = None,
) -> None:
    """Add a member by wallet address. For owners. Without --role the gateway makes a developer.

    The address is an argument: --wallet chooses the local wallet that signs, here as everywhere.
    """
    with TerminalClient() as client:
        output.emit(org.add_member(client, org_id, address, role=role))


@app.command(
    "member role",
    summary="Change a member's role.",
    effect="write",
    auth="principal",
    example="run402 org member role ORG_ID --principal PRINCIPAL_ID --role viewer",
)
@app.command("members role", example="run402 org members role ORG_ID PRINCIPAL_ID viewer", hidden=True)
def member_role(
    words: Annotated[list[str] | None, typer.Argument(metavar="ORG_ID", show_default=False)] = None,
    principal: PrincipalOpt = None,
    role: RoleOpt = None,
) -> None:
    """Change the role of a member. For owners; the last owner cannot step down."""
    given = words or []
    usage = "run402 org member role <org_id> --principal <principal_id> --role <role>"
    wanted = 3 - (principal is not None) - (role is not None)
    if len(given) < wanted:
        raise UsageError("The organization, the principal or the role is missing.", hint=usage)
    if len(given) > wanted:
        raise UsageError(f"Unexpected argument {given[wanted]!r}.", hint=usage)
    rest = iter(given[1:])
    who = principal if principal is not None else next(rest)
    what = role if role is not None else next(rest)
    with TerminalClient() as client:
        output.emit(org.change_role(client, given[0], who, what))


@app.command(
    "member rm",
    summary="Remove a member.",
    effect="destructive",
    auth="principal",
    example="run402 org member rm ORG_ID --principal PRINCIPAL_ID",
)
@app.command("members rm", example="run402 org members rm ORG_ID PRINCIPAL_ID", hidden=True)
def member_rm(words: PrincipalWords = None, principal: PrincipalOpt = None) -> None:
    """Remove a member at once. For owners; the last owner cannot be removed."""
    usage = "run402 org member rm <org_id> --principal <principal_id>"
    org_id, who = _org_and_value(words, principal, "The principal id", usage)
    with TerminalClient() as client:
        output.emit(org.remove_member(client, org_id, who))


# -- invites ------------------------------------------------------------------------------------------------------------


@app.command(
    "invite list",
    summary="List open invites.",
    effect="read",
    auth="principal",
    example="run402 org invite list ORG_ID",
)
@app.command("invites list", example="run402 org invites list ORG_ID", hidden=True)
def invite_list(org_id: Org) -> None:
    """List the invites that are still open."""
    with TerminalClient() as client:
        output.emit(org.list_invites(client, org_id))


@app.command(
    "invite create",
    effect="write",
    auth="principal",
    example="run402 org invite create ORG_ID --email ada@example.com --role developer",
)
@app.command("invites create", example="run402 org invites create ORG_ID ada@example.com", hidden=True)
def invite_create(
    words: Annotated[list[str] | None, typer.Argument(metavar="ORG_ID", show_default=False)] = None,
    email: Annotated[str | None, typer.Option("--email", metavar="ADDRESS", help="Whom to invite.")] = None,
    role: Annotated[
        str, typer.Option("--role", metavar="ROLE", help="owner, admin, developer, billing or viewer.")
    ] = "developer",
    ttl_hours: Annotated[
        str | None, typer.Option("--ttl-hours", metavar="N", help="Hours until the invite ends, 1 to 8760.")
    ] = None,
) -> None:
    """Invite a person by e-mail. For owners."""
    usage = "run402 org invite create <org_id> --email <address>"
    org_id, address = _org_and_value(words, email, "The e-mail address", usage)
    hours = integer("--ttl-hours", ttl_hours, high=8760)
    with TerminalClient() as client:
        output.emit(org.invite(client, org_id, address, role=role, ttl_hours=hours))


@app.command(
    "invite rm",
    summary="Take an invite back.",
    effect="destructive",
    auth="principal",
    example="run402 org invite rm ORG_ID --principal PRINCIPAL_ID",
)
@app.command("invites rm", example="run402 org invites rm ORG_ID PRINCIPAL_ID", hidden=True)
def invite_rm(words: PrincipalWords = None, principal: PrincipalOpt = None) -> None:
    """Take an open invite back."""
    usage = "run402 org invite rm <org_id> --principal <principal_id>"
    org_id, who = _org_and_value(words, principal, "The principal id", usage)
    with TerminalClient() as client:
        output.emit(org.revoke_invite(client, org_id, who))
