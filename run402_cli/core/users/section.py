"""What a branch takes along of a project's users: accounts and settings, but no session and no mail."""

from __future__ import annotations

from run402_cli.core.db import Connection
from run402_cli.core.gateway import Gateway
from run402_cli.core.releases.sections import Section

_USERS = (
    "user_id, email, role, created_at, email_verified_at, invited_at, password_hash, password_set_at,"
    " last_sign_in_at, data"
)
_SETTINGS = (
    "allow_password_set, preferred_sign_in_method, public_signup, require_passkey_for_project_admin,"
    " allowed_email_domains"
)


class UsersSection(Section):
    """The rows of a branch belong to the same user ids, so the same people must be able to sign in there."""

    async def branched(self, gateway: Gateway, conn: Connection, project_id: str, branch_id: str) -> None:
        for table, columns in (("core_auth_users", _USERS), ("core_auth_settings", _SETTINGS)):
            await conn.execute(
                f"INSERT INTO internal.{table} (project_id, {columns}) SELECT %s, {columns} FROM internal.{table}"
                " WHERE project_id = %s".encode(),
                (branch_id, project_id),
            )


SECTION = UsersSection()
