"""run402 escalations: page the humans of an organization and wait for one."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from run402_cli import advice, output
from run402_cli.commands._command import CommandGroup
from run402_cli.commands._options import ProjectOpt, integer, one_of
from run402_cli.commands._room_options import OrgOpt, org_of
from run402_cli.errors import Verdict
from run402_cli.services import escalations
from run402_cli.services.terminal import TerminalClient

app = CommandGroup()

Escalation = Annotated[str, typer.Argument(metavar="ESCALATION_ID", show_default=False)]


@app.command(
    "raise",
    summary="Page a human.",
    effect="write",
    auth="principal",
    example=[
        'run402 escalations raise "The payment provider rejects our key" --severity high',
        'run402 escalations raise "May I drop table orders_old?" --wait --timeout-seconds 1800',
    ],
)
def raise_(
    reason: Annotated[str, typer.Argument(metavar="REASON", show_default=False)],
    severity: Annotated[str | None, typer.Option("--severity", metavar="LEVEL", help="normal or high.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until a human takes over.")] = False,
    poll_seconds: Annotated[
        str, typer.Option("--poll-seconds", metavar="N", help="Time between looks, 5 to 600; with --wait.")
    ] = "30",
    timeout_seconds: Annotated[
        str, typer.Option("--timeout-seconds", metavar="N", help="How long to wait, 60 to 86400; with --wait.")
    ] = "3600",
    presence_name: Annotated[
        str | None, typer.Option("--presence-name", metavar="NAME", help="Your name in the room, for the page.")
    ] = None,
    idempotency_key: Annotated[
        str | None, typer.Option("--idempotency-key", metavar="KEY", help="Repeating the key pages nobody again.")
    ] = None,
    project: ProjectOpt = None,
    org: OrgOpt = None,
) -> None:
    """Page a human of the organization. Silence is not consent."""
    one_of("--severity", severity, escalations.SEVERITIES)
    with TerminalClient() as client:
        org_id = org_of(client, org, project)
        poll_s = integer("--poll-seconds", poll_seconds, low=5, high=600) if wait else None
        timeout_s = integer("--timeout-seconds", timeout_seconds, low=60, high=86_400) if wait else None
        answer = escalations.raise_escalation(
            client,
            org_id,
            reason,
            severity=severity,
            project_id=project,
            presence_name=presence_name,
            idempotency_key=idempotency_key,
        )
        _tell_warnings(answer)
        if poll_s is not None and timeout_s is not None:
            _tell_waiting(answer)
            answer = escalations.wait(client, org_id, answer, poll_s=poll_s, timeout_s=timeout_s)
            _tell_outcome(answer)
        output.emit(answer)
    if wait and _field(answer, "status") == "open":
        look = advice.command("escalations", "get", _field(answer, "escalation_id"))
        raise Verdict(2, "Nobody has acknowledged it; it is still open. Silence is not consent.", look)


def _field(value: Any, *keys: str) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _tell_warnings(answer: Any) -> None:
    """One line for each warning; newer answers hold objects with a message."""
    for warning in _field(answer, "warnings") or []:
        output.notice(f"warning: {warning if isinstance(warning, str) else _field(warning, 'message') or warning}")


def _tell_waiting(answer: Any) -> None:
    paged = _field(answer, "delivery", "will_page")
    count = len(paged) if isinstance(paged, list) else 0
    level = _field(answer, "delivery", "level") or _field(answer, "level")
    output.notice(f"{_field(answer, 'escalation_id')}: paging {count} contact(s) of level {level}; waiting for one.")


def _tell_outcome(answer: Any) -> None:
    status = _field(answer, "status")
    if status == "open":
        return
    who = _field(answer, "acknowledged", "by_email") or _field(answer, "resolved", "by_email") or "somebody"
    output.notice(f"{_field(answer, 'escalation_id')} is {status} by {who}.")


@app.command(
    "list",
    summary="List escalations.",
    effect="read",
    auth="principal",
    example="run402 escalations list --status open | jq -r '.escalations[].reason'",
)
def list_(
    status: Annotated[
        str | None, typer.Option("--status", metavar="STATE", help="open, acknowledged or resolved.")
    ] = None,
    limit: Annotated[str | None, typer.Option("--limit", metavar="N", help="In a page, 1 to 200.")] = None,
    cursor: Annotated[
        str | None, typer.Option("--cursor", metavar="CURSOR", help="next_cursor of the page before.")
    ] = None,
    project: ProjectOpt = None,
    org: OrgOpt = None,
) -> None:
    """List escalations: all of the organization for members, a delegate's own otherwise (`scope`)."""
    one_of("--status", status, escalations.STATUSES)
    count = integer("--limit", limit, high=200)
    with TerminalClient() as client:
        org_id = org_of(client, org, project)
        output.emit(escalations.list_escalations(client, org_id, status=status, limit=count, cursor=cursor))


@app.command("get", effect="read", auth="principal", example="run402 escalations get ESCALATION_ID | jq .status")
def get(
    escalation_id: Escalation,
    delivery: Annotated[bool, typer.Option("--delivery", help="With every attempt to reach a contact.")] = False,
    project: ProjectOpt = None,
    org: OrgOpt = None,
) -> None:
    """Show one escalation."""
    with TerminalClient() as client:
        output.emit(escalations.get(client, org_of(client, org, project), escalation_id, delivery=delivery))


@app.command("ack", effect="write", auth="principal", example="run402 escalations ack ESCALATION_ID")
def ack(escalation_id: Escalation, project: ProjectOpt = None, org: OrgOpt = None) -> None:
    """Take an escalation over. For members of the organization."""
    with TerminalClient() as client:
        answer = escalations.ack(client, org_of(client, org, project), escalation_id)
        if _field(answer, "changed") is not True:
            before = _field(answer, "acknowledged", "by_email") or "somebody else"
            output.notice(f"Nothing changed: {before} had acknowledged {escalation_id} before.")
        output.emit(answer)


@app.command(
    "resolve",
    effect="write",
    auth="principal",
    example='run402 escalations resolve ESCALATION_ID --note "Key replaced"',
)
def resolve(
    escalation_id: Escalation,
    note: Annotated[str | None, typer.Option("--note", metavar="TEXT", help="What was decided or done.")] = None,
    project: ProjectOpt = None,
    org: OrgOpt = None,
) -> None:
    """Close an escalation. For members of the organization."""
    with TerminalClient() as client:
        output.emit(escalations.resolve(client, org_of(client, org, project), escalation_id, note=note))


# -- contacts -----------------------------------------------------------------------------------------------------------


@app.command(
    "contacts list",
    summary="Who is paged.",
    effect="read",
    auth="principal",
    example="run402 escalations contacts list",
)
def contacts_list(project: ProjectOpt = None, org: OrgOpt = None) -> None:
    """List who is paged, by level."""
    with TerminalClient() as client:
        output.emit(escalations.list_contacts(client, org_of(client, org, project)))


@app.command(
    "contacts add",
    effect="write",
    auth="principal",
    example="run402 escalations contacts add ada@example.com --level 1 --name Ada",
)
def contacts_add(
    email: Annotated[str, typer.Argument(metavar="EMAIL", show_default=False)],
    level: Annotated[
        str | None, typer.Option("--level", metavar="N", help="1 (paged first, the default) to 10.")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="Display name.")] = None,
    project: ProjectOpt = None,
    org: OrgOpt = None,
) -> None:
    """Add somebody to page. For owners, with a fresh sign-in."""
    number = integer("--level", level, high=10)
    with TerminalClient() as client:
        answer = escalations.add_contact(client, org_of(client, org, project), email, name=name, level=number)
        _tell_warnings(answer)
        output.emit(answer)


@app.command(
    "contacts remove",
    summary="Remove somebody.",
    effect="destructive",
    auth="principal",
    example="run402 escalations contacts remove CONTACT_ID",
)
def contacts_remove(
    contact_id: Annotated[str, typer.Argument(metavar="CONTACT_ID", show_default=False)],
    project: ProjectOpt = None,
    org: OrgOpt = None,
) -> None:
    """Remove somebody from those who are paged. For owners, with a fresh sign-in."""
    with TerminalClient() as client:
        output.emit(escalations.remove_contact(client, org_of(client, org, project), contact_id))
