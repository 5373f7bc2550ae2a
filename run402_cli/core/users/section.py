"""What a branch takes along of a project's users: accounts and settings, but no session and no mail."""

from __future__ import annotations

from run402_cli.core.db import Connection
from run402_cli.core.gateway import Gateway
from run402_cli.core.releases.sections import Section
from run402_cli.core.users import setting_rows, user_rows


class UsersSection(Section):
    """The rows of a branch belong to the same user ids, so the same people must be able to sign in there."""

    async def branched(self, gateway: Gateway, conn: Connection, project_id: str, branch_id: str) -> None:
        await user_rows.copy(conn, project_id, branch_id)
        await setting_rows.copy(conn, project_id, branch_id)


SECTION = UsersSection()
