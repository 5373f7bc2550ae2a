"""run402 claims: say what this session is working on. Nothing is ever blocked."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from run402_cli import output
from run402_cli.commands._command import CommandGroup
from run402_cli.commands._options import ProjectOpt, integer, one_of
from run402_cli.commands._room_options import OrgOpt, RoomOpt, room_of
from run402_cli.services import claims
from run402_cli.services.terminal import TerminalClient

app = CommandGroup()


@app.command(
    "create",
    summary="Declare a claim.",
    effect="write",
    auth="principal",
    example=["run402 claims create deploy --ttl 600", "run402 claims create 'repo:src/pay/**' --mode shared"],
)
def create(
    resource: Annotated[str, typer.Argument(metavar="RESOURCE", show_default=False)],
    mode: Annotated[str, typer.Option("--mode", metavar="MODE", help="exclusive or shared.")] = "exclusive",
    ttl: Annotated[
        str | None, typer.Option("--ttl", metavar="SECONDS", help="How long it stands, 1 to 86400; default 3600.")
    ] = None,
    note: Annotated[str | None, typer.Option("--note", metavar="TEXT", help="Shown to the others.")] = None,
    project: ProjectOpt = None,
    org: OrgOpt = None,
    room: RoomOpt = None,
) -> None:
    """Declare a claim: repo:<glob>, function:<name>, table:<name>, deploy, or any text.

    Claims of others on the same thing are in `conflicts` and on stderr.
    """
    one_of("--mode", mode, claims.MODES)
    seconds = integer("--ttl", ttl, high=86_400)
    with TerminalClient() as client:
        place = room_of(client, org, room, project)
        answer = claims.create(client, place, output.notice, resource, mode=mode, ttl_s=seconds, note=note)
        _tell_conflicts(answer)
        output.emit(answer)


def _tell_conflicts(answer: Any) -> None:
    conflicts = answer.get("conflicts") if isinstance(answer, dict) else None
    if isinstance(conflicts, list) and conflicts:
        holders = sorted({str(row.get("holder")) for row in conflicts if isinstance(row, dict) and row.get("holder")})
        output.notice(
            f"{len(conflicts)} other claim(s) overlap{', held by ' + ', '.join(holders) if holders else ''}. Claims are "
            'advisory, nothing is blocked; talk to them: run402 rooms send "..."'
        )


@app.command("list", effect="read", auth="principal", example="run402 claims list | jq -r '.claims[].resource'")
def list_(
    all_: Annotated[bool, typer.Option("--all", help="Released and expired ones, too.")] = False,
    project: ProjectOpt = None,
    org: OrgOpt = None,
    room: RoomOpt = None,
) -> None:
    """List the claims in the room."""
    with TerminalClient() as client:
        output.emit(claims.list_claims(client, room_of(client, org, room, project), include_inactive=all_))


@app.command(
    "release", summary="Release a claim.", effect="write", auth="principal", example="run402 claims release CLAIM_ID"
)
def release(
    claim_id: Annotated[str, typer.Argument(metavar="CLAIM_ID", show_default=False)],
    project: ProjectOpt = None,
    org: OrgOpt = None,
    room: RoomOpt = None,
) -> None:
    """Release a claim, with the credential that made it."""
    with TerminalClient() as client:
        output.emit(claims.release(client, room_of(client, org, room, project), claim_id))
