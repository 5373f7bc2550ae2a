"""run402 rooms: presence and messages of those who work on the same project or organization."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from run402_cli import output
from run402_cli.commands._command import CommandGroup
from run402_cli.commands._options import ProjectOpt, comma_separated, integer, one_of
from run402_cli.commands._room_options import OrgOpt, RoomOpt, room_of
from run402_cli.services import rooms
from run402_cli.services.terminal import TerminalClient

app = CommandGroup()

Message = Annotated[str, typer.Argument(metavar="MESSAGE_ID", show_default=False)]
NameOpt = Annotated[
    str | None, typer.Option("--name", metavar="NAME", help="Name to ask for when this session enters the room.")
]
TaskOpt = Annotated[
    str | None, typer.Option("--task", metavar="TEXT", help="What this session works on, shown to the others.")
]


@app.command(
    "who",
    summary="Enter the room and list who is there.",
    effect="write",
    auth="principal",
    example='run402 rooms who --name Ada --task "checkout page" | jq -r .you.name',
)
def who(
    name: NameOpt = None,
    task: TaskOpt = None,
    all_: Annotated[bool, typer.Option("--all", help="Those whose presence has expired, too.")] = False,
    project: ProjectOpt = None,
    org: OrgOpt = None,
    room: RoomOpt = None,
) -> None:
    """Enter the room, unless this session is in it already, and list who is there."""
    with TerminalClient() as client:
        place = room_of(client, org, room, project)
        output.emit(rooms.who(client, place, output.notice, name=name, task=task, include_expired=all_))


@app.command(
    "send",
    summary="Post a message to the room.",
    effect="write",
    auth="principal",
    example=[
        'run402 rooms send "Deploying in five minutes"',
        'run402 rooms send "Please review migration 7" --to Ada,Grace --ack',
    ],
)
def send(
    body: Annotated[str, typer.Argument(metavar="BODY", show_default=False)],
    to: Annotated[str | None, typer.Option("--to", metavar="NAMES", help="Comma list of those it is for.")] = None,
    cc: Annotated[str | None, typer.Option("--cc", metavar="NAMES", help="Comma list of those it may concern.")] = None,
    ack: Annotated[bool, typer.Option("--ack", help="Ask the recipients to acknowledge it.")] = False,
    thread: Annotated[str | None, typer.Option("--thread", metavar="ID", help="Thread that it belongs to.")] = None,
    importance: Annotated[str | None, typer.Option("--importance", metavar="LEVEL", help="normal or high.")] = None,
    idempotency_key: Annotated[
        str | None, typer.Option("--idempotency-key", metavar="KEY", help="Repeating the key repeats no message.")
    ] = None,
    name: NameOpt = None,
    task: TaskOpt = None,
    project: ProjectOpt = None,
    org: OrgOpt = None,
    room: RoomOpt = None,
) -> None:
    """Post a message. The whole room can read it, whomever it is addressed to. One argument: quote it."""
    one_of("--importance", importance, rooms.IMPORTANCE)
    message: dict[str, Any] = {
        "body": body,
        "to": comma_separated(to or ""),
        "cc": comma_separated(cc or ""),
        "ack_required": ack,
    }
    extra = {"thread_id": thread, "importance": importance, "idempotency_key": idempotency_key}
    message |= {key: value for key, value in extra.items() if value}
    with TerminalClient() as client:
        place = room_of(client, org, room, project)
        output.emit(rooms.send(client, place, output.notice, message, name=name, task=task))


@app.command(
    "list", effect="read", auth="principal", example="run402 rooms list --unread | jq -r '.messages[].body_snippet'"
)
def list_(
    unread: Annotated[
        bool, typer.Option("--unread", help="Only those addressed to this session and not acknowledged.")
    ] = False,
    cursor: Annotated[
        str | None, typer.Option("--cursor", metavar="CURSOR", help="Start here; default: where the last read stopped.")
    ] = None,
    before: Annotated[
        str | None, typer.Option("--before", metavar="CURSOR", help="Older ones instead, newest first.")
    ] = None,
    thread: Annotated[str | None, typer.Option("--thread", metavar="ID", help="Only this thread.")] = None,
    limit: Annotated[str | None, typer.Option("--limit", metavar="N", help="Messages in a page, 1 to 200.")] = None,
    project: ProjectOpt = None,
    org: OrgOpt = None,
    room: RoomOpt = None,
) -> None:
    """Read messages from where this directory stopped. Every read, unless --before, moves that point on."""
    with TerminalClient() as client:
        place = room_of(client, org, room, project)
        count = integer("--limit", limit, high=200)
        answer = rooms.list_messages(
            client,
            place,
            output.notice,
            unread=unread,
            cursor=cursor,
            before=before,
            thread=thread,
            limit=count,
        )
        output.emit(answer)


@app.command("get", effect="read", auth="principal", example="run402 rooms get MESSAGE_ID | jq -r .body")
def get(message_id: Message, project: ProjectOpt = None, org: OrgOpt = None, room: RoomOpt = None) -> None:
    """Show one message with its whole body."""
    with TerminalClient() as client:
        output.emit(rooms.get(client, room_of(client, org, room, project), message_id))


@app.command(
    "ack", summary="Acknowledge a message.", effect="write", auth="principal", example="run402 rooms ack MESSAGE_ID"
)
def ack(message_id: Message, project: ProjectOpt = None, org: OrgOpt = None, room: RoomOpt = None) -> None:
    """Acknowledge a message that is addressed to this session."""
    with TerminalClient() as client:
        output.emit(rooms.ack(client, room_of(client, org, room, project), output.notice, message_id))
