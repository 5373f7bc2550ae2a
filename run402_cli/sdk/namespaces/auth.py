"""Users of the project's own application.

Made by docs/generate_sdk.py; edit that, or the functions that are called here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from run402_cli.sdk._namespace import Id, Namespace, of_project
from run402_cli.services import auth as _auth

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


class ProjectAuth(Namespace[Id]):
    """Users of the project's own application. `project.auth` fills in `project_id`."""

    @of_project
    def magic_link(
        self,
        project_id: str,
        *,
        email: str,
        delivery: str = "link",
        redirect_url: str | None = None,
        intent: str | None = None,
        state: str | None = None,
    ) -> dict[str, Any]:
        """Mail a sign-in link, a six-digit code, or both.

        POST /auth/v1/magic-link {email, redirect_url?, delivery, intent?, client_state?}: mail a link, a code, or both.

        Returns {email, delivery, redirect_url?, intent, accepted, message, warnings?, challenge_id?}; accepted is not
        delivered. Codes and links work once, for 15 minutes. An invite is sent by the owner, with password_removed and
        note as `create_user`. Raises ValidationError LOCAL_ERROR for an impossible address or URL; ApiError 429 after
        five mails an hour to one address.
        """
        return self._call(
            _auth.magic_link,
            project_id,
            email=email,
            delivery=delivery,
            redirect_url=redirect_url,
            intent=intent,
            state=state,
        )

    @of_project
    def verify(
        self, project_id: str, *, token: str | None = None, challenge_id: str | None = None, code: str | None = None
    ) -> Any:
        """Exchange a link's token, or a mailed code, for a session.

        `verify_link` with a token, else `verify_code` with a challenge_id and its code.
        """
        return self._call(_auth.verify, project_id, token=token, challenge_id=challenge_id, code=code)

    @of_project
    def verify_link(self, project_id: str, token: str) -> Any:
        """Exchange the token of a mailed link for a session.

        POST /auth/v1/token?grant_type=magic_link {token} -> a session. Creates the user the first time.
        """
        return self._call(_auth.verify_link, project_id, token)

    @of_project
    def verify_code(self, project_id: str, *, challenge_id: str, code: str) -> Any:
        """Exchange a mailed code for a session.

        POST /auth/v1/token?grant_type=email_code {challenge_id, code} -> a session. Raises ValidationError LOCAL_ERROR.
        """
        return self._call(_auth.verify_code, project_id, challenge_id=challenge_id, code=code)

    @of_project
    def providers(self, project_id: str) -> Any:
        """List the ways in which users of the project can sign in.

        GET /auth/v1/providers -> the sign-in methods; magic_link: {enabled, deliveryModes, delivery_modes}.
        """
        return self._call(_auth.providers, project_id)

    @of_project
    def create_user(
        self,
        project_id: str,
        *,
        email: str,
        invite: bool = False,
        redirect_url: str | None = None,
        is_admin: bool | None = None,
        state: str | None = None,
    ) -> Any:
        """Create or update a user of the project, with the service key.

        POST /auth/v1/admin/users {email, is_admin?, send_invite, redirect_url?, client_state?}: create or update a
        user.

        Returns {id, email, is_admin, email_verified_at, created, invite_sent}; password_removed and note where a
        password that somebody had set before the address was proven was removed. Raises ValidationError LOCAL_ERROR.
        """
        return self._call(
            _auth.put_user,
            project_id,
            email=email,
            invite=invite,
            redirect_url=redirect_url,
            is_admin=is_admin,
            state=state,
        )

    put_user = create_user  # the older name

    @of_project
    def invite_user(
        self, project_id: str, *, email: str, redirect_url: str, is_admin: bool | None = None, state: str | None = None
    ) -> Any:
        """Create or update a user of the project and mail an invite, with the service key.

        As `create_user`, and the user gets a mail with a link to `redirect_url`.
        """
        return self._call(
            _auth.invite_user, project_id, email=email, redirect_url=redirect_url, is_admin=is_admin, state=state
        )

    @of_project
    def set_password(self, project_id: str, token: str, *, new: str, current: str | None = None) -> dict[str, Any]:
        """Set, reset or change a user's password, as that user.

        POST /auth/v1/user/password {new_password, current_password?} as the user -> {project_id, password_set}.
        """
        return self._call(_auth.set_password, project_id, token, new=new, current=current)

    @of_project
    def settings(self, project_id: str, settings: dict[str, Any]) -> dict[str, Any]:
        """Change how users sign up and sign in.

        PATCH /auth/v1/settings -> the settings sent, overlaid with the answer.

        `settings`: some of allow_password_set, preferred_sign_in_method (None clears), public_signup,
        require_passkey_for_project_admin, allowed_email_domains ([] allows all).
        """
        return self._call(_auth.change_settings, project_id, settings)

    change_settings = settings  # the older name

    @of_project
    def passkey_register_options(self, project_id: str, token: str, *, app_origin: str) -> Any:
        """Begin to register a passkey: the challenge that the browser's WebAuthn call takes.

        POST /auth/v1/passkeys/register/options {app_origin} as the user -> {challenge_id, options}.
        """
        return self._call(_auth.passkey_register_options, project_id, token, app_origin=app_origin)

    @of_project
    def passkey_register_verify(
        self, project_id: str, token: str, *, challenge_id: str, response: Any, label: str | None = None
    ) -> Any:
        """Finish registering a passkey with what the browser returned.

        POST /auth/v1/passkeys/register/verify {challenge_id, response, label?} as the user -> the passkey.
        """
        return self._call(
            _auth.passkey_register_verify, project_id, token, challenge_id=challenge_id, response=response, label=label
        )

    @of_project
    def passkey_login_options(self, project_id: str, *, app_origin: str, email: str | None = None) -> Any:
        """Begin to sign in with a passkey: the challenge that the browser's WebAuthn call takes.

        POST /auth/v1/passkeys/login/options {app_origin, email?} -> {challenge_id, options}.
        """
        return self._call(_auth.passkey_login_options, project_id, app_origin=app_origin, email=email)

    @of_project
    def passkey_login_verify(self, project_id: str, *, challenge_id: str, response: Any) -> Any:
        """Finish signing in with a passkey.

        POST /auth/v1/passkeys/login/verify {challenge_id, response} -> a session, and what a higher role would need.
        """
        return self._call(_auth.passkey_login_verify, project_id, challenge_id=challenge_id, response=response)

    @of_project
    def passkeys(self, project_id: str, token: str) -> Any:
        """List the passkeys of the signed-in user.

        GET /auth/v1/passkeys as the user -> {passkeys: [{id, label, created_at, ...}]}.
        """
        return self._call(_auth.list_passkeys, project_id, token)

    @of_project
    def delete_passkey(self, project_id: str, token: str, passkey_id: str) -> dict[str, Any]:
        """Delete a passkey of the signed-in user.

        DELETE /auth/v1/passkeys/{passkey} as the user -> {passkey_id, deleted}.
        """
        return self._call(_auth.delete_passkey, project_id, token, passkey_id)


class Auth(ProjectAuth[None]):
    """Users of the project's own application."""

    def scaffold_roles(
        self,
        *,
        table: str = "app_roles",
        user_column: str = "user_id",
        role_column: str = "role",
        roles: Sequence[str] = ("operator",),
        cache_ttl: int = 60,
    ) -> dict[str, Any]:
        """Print what a role gate of functions needs: a migration, the gate, and the first row.

        What a role gate needs, without any request: {table, migration, gate, bootstrap, notes}. `cache_ttl` in seconds.

        `gate` goes into a function's `requireRole`. Names must be plain SQL identifiers. docs/auth-users.md, "Roles".
        """
        return self._call_plain(
            _auth.scaffold_roles,
            table=table,
            user_column=user_column,
            role_column=role_column,
            roles=roles,
            cache_ttl=cache_ttl,
        )
