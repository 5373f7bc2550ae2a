"""Options of the commands that address a room or an organization, and how they are resolved."""

from __future__ import annotations

from typing import Annotated

import typer

from run402_cli.client import Client
from run402_cli.commands._options import resolve_project
from run402_cli.services import escalations, rooms

OrgOpt = Annotated[
    str | None, typer.Option("--org", metavar="ID", help="Organization id; default: the project's organization.")
]
RoomOpt = Annotated[
    str | None,
    typer.Option("--room", metavar="KEY", help="A named room of --org; default: RUN402_ROOM, the project's."),
]


def room_of(client: Client, org: str | None, room: str | None, project: str | None) -> rooms.Room:
    """The room of `--org` with `--room`, of RUN402_ROOM, or of the project."""
    return rooms.find_room(client, org=org, room=room, project=lambda: resolve_project(client.profile, project))


def org_of(client: Client, org: str | None, project: str | None) -> str:
    """The organization of `--org`, of RUN402_ORG, or of the project."""
    return escalations.find_org(client, org=org, project=lambda: resolve_project(client.profile, project))
