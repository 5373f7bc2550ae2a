"""The table of sign-in settings of a project."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from psycopg.rows import class_row

from run402_cli.core.db import Connection
from run402_cli.core.users.user_rows import User

DDL = """
CREATE TABLE IF NOT EXISTS internal.core_auth_settings (
  project_id text PRIMARY KEY REFERENCES internal.core_projects ON DELETE CASCADE,
  allow_password_set boolean NOT NULL,
  preferred_sign_in_method text,
  public_signup text NOT NULL,
  require_passkey_for_project_admin boolean NOT NULL,
  allowed_email_domains text[] NOT NULL
);
"""
_COLUMNS = (
    "allow_password_set, preferred_sign_in_method, public_signup, require_passkey_for_project_admin,"
    " allowed_email_domains"
)


@dataclass(frozen=True, slots=True)
class AuthSettings:
    allow_password_set: bool = False
    preferred_sign_in_method: str | None = None
    public_signup: str = "open"
    require_passkey_for_project_admin: bool = False
    allowed_email_domains: tuple[str, ...] | list[str] = ()

    @property
    def admits_anonymous(self) -> bool:
        """May anybody at all get an account, with no address to prove?"""
        return self.public_signup == "open" and not self.allowed_email_domains

    def admits(self, email: str, user: User | None) -> bool:
        """May this address sign in without an invitation of the owner? `user`: who has the address already."""
        if user is not None:
            known = user.email_verified_at is not None or user.invited_at is not None
            return known or self.public_signup != "invite_only"
        domain = email.rpartition("@")[2]
        return self.public_signup == "open" and (not self.allowed_email_domains or domain in self.allowed_email_domains)


async def of_project(conn: Connection, project_id: str) -> AuthSettings:
    """What the project has set, or the defaults."""
    query = f"SELECT {_COLUMNS} FROM internal.core_auth_settings WHERE project_id = %s"
    async with conn.cursor(row_factory=class_row(AuthSettings)) as cursor:
        return await (await cursor.execute(query, (project_id,))).fetchone() or AuthSettings()


async def save(conn: Connection, project_id: str, settings: AuthSettings) -> None:
    values = asdict(settings) | {"allowed_email_domains": list(settings.allowed_email_domains)}
    names = ", ".join(values)
    await conn.execute(
        f"INSERT INTO internal.core_auth_settings (project_id, {names})"
        f" VALUES (%(project_id)s, {', '.join(f'%({name})s' for name in values)}) ON CONFLICT (project_id)"
        f" DO UPDATE SET ({names}) = ROW({', '.join(f'excluded.{name}' for name in values)})".encode(),
        {"project_id": project_id, **values},
    )


async def copy(conn: Connection, project_id: str, branch_id: str) -> None:
    """A branch gets the settings of its parent."""
    await conn.execute(
        f"INSERT INTO internal.core_auth_settings (project_id, {_COLUMNS}) SELECT %s, {_COLUMNS}"
        " FROM internal.core_auth_settings WHERE project_id = %s",
        (branch_id, project_id),
    )
