"""run402 auth: the users of a project's own application. The CLI's own sign-in is the wallet."""

from __future__ import annotations

import re
from typing import Annotated, Any

import typer

from run402_cli import advice, output
from run402_cli.commands._command import CommandGroup
from run402_cli.commands._options import ProjectOpt, comma_separated, integer, load_json, one_of, resolve_project
from run402_cli.errors import CommandError, FlagError, UsageError
from run402_cli.services import auth
from run402_cli.services.terminal import TerminalClient

app = CommandGroup()

EmailOpt = Annotated[str | None, typer.Option("--email", metavar="ADDRESS", help="E-mail address of the user.")]
RedirectOpt = Annotated[
    str | None, typer.Option("--redirect", metavar="URL", help="Page of the app that the link opens.")
]
StateOpt = Annotated[
    str | None, typer.Option("--state", metavar="TEXT", help="Opaque text that the app gets back after sign-in.")
]
AdminOpt = Annotated[
    str | None, typer.Option("--admin", metavar="true|false", help="Whether the user has the project_admin role.")
]
TokenOpt = Annotated[
    str | None, typer.Option("--token", metavar="TOKEN", help="The user's access_token, from verify or a login.")
]
OriginOpt = Annotated[
    str | None, typer.Option("--app-origin", metavar="ORIGIN", help="Exact origin of the app, https://app.example.com.")
]
ChallengeOpt = Annotated[
    str | None, typer.Option("--challenge", metavar="ID", help="challenge_id of the options answer.")
]
ResponseOpt = Annotated[
    str | None, typer.Option("--response", metavar="JSON", help="What the browser's WebAuthn call returned.")
]
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def _required(flag: str, value: str | None, usage: str) -> str:
    """The value of a flag that the command needs; an empty one counts as missing."""
    if not value:
        raise UsageError(f"{flag} is missing.", hint=advice.parsed("run402 auth " + usage))
    return value


def _true_or_false(flag: str, value: str | None) -> bool | None:
    one_of(flag, value, ("true", "false"), key="flag")
    return None if value is None else value == "true"


def _json(flag: str, text: str | None, usage: str) -> Any:
    try:
        return load_json(_required(flag, text, usage))
    except (ValueError, RecursionError) as exc:
        raise CommandError(f"{flag} is not valid JSON.", code="BAD_JSON", hint=str(exc), field=flag) from None


# -- sign-in ------------------------------------------------------------------------------------------------------------


@app.command(
    "magic-link",
    summary="Mail a sign-in link or code.",
    effect="write",
    auth=("anon_key", "service_key"),
    needed="--email",
    example=[
        "run402 auth magic-link --email ada@example.com --redirect https://app.example.com/welcome",
        "run402 auth magic-link --email ada@example.com --delivery code",
    ],
)
def magic_link(
    email: EmailOpt = None,
    delivery: Annotated[str, typer.Option("--delivery", metavar="HOW", help="link, code or both.")] = "link",
    redirect: RedirectOpt = None,
    intent: Annotated[
        str | None, typer.Option("--intent", metavar="WHY", help="signin (default), invite, claim or recovery.")
    ] = None,
    state: StateOpt = None,
    project: ProjectOpt = None,
) -> None:
    """Mail a sign-in link, a six-digit code, or both. Accepted does not mean delivered; each works once, for 15 minutes."""
    usage = "magic-link --email <address> --redirect <url>, or --delivery code"
    with TerminalClient() as client:
        project_id = resolve_project(client.profile, project)
        address = _required("--email", email, usage)
        how = delivery or "link"
        one_of("--delivery", how, auth.DELIVERIES, key="flag")
        if how != "code":
            _required("--redirect", redirect, usage)
        one_of("--intent", intent or None, auth.INTENTS, key="flag")
        answer = auth.magic_link(
            client,
            project_id,
            email=address,
            delivery=how,
            redirect_url=redirect,
            intent=intent or None,
            state=state or None,
        )
        output.emit(answer, compact=True)


@app.command(
    "verify",
    summary="Exchange a link's token or a code for a session.",
    effect="write",
    auth="anon_key",
    reveals=True,
    example=[
        "run402 auth verify --token LINK_TOKEN | jq -r .access_token",
        "run402 auth verify --challenge-id CHALLENGE_ID --code 123456",
    ],
)
def verify(
    token: Annotated[str | None, typer.Option("--token", metavar="TOKEN", help="The token in a mailed link.")] = None,
    challenge_id: Annotated[
        str | None, typer.Option("--challenge-id", metavar="UUID", help="challenge_id of magic-link, with --code.")
    ] = None,
    code: Annotated[str | None, typer.Option("--code", metavar="DIGITS", help="The six digits of the mail.")] = None,
    project: ProjectOpt = None,
) -> None:
    """Exchange a link's token, or a mailed code, for a session. Prints its tokens; the first time creates the user."""
    hint = "run402 auth verify --token <token>, or --challenge-id <uuid> --code <digits>"
    if bool(token) == bool(challenge_id or code):
        raise UsageError("Give either --token, or --challenge-id with --code.", hint=hint)
    if not token and not (challenge_id and code):
        raise UsageError("--challenge-id and --code go together.", hint=hint)
    with TerminalClient() as client:
        project_id = resolve_project(client.profile, project)
        answer = auth.verify(client, project_id, token=token, challenge_id=challenge_id, code=code)
        output.emit(answer, compact=True)


@app.command(
    "providers",
    summary="List the project's sign-in methods.",
    effect="read",
    auth="anon_key",
    example="run402 auth providers | jq .magic_link",
)
def providers(project: ProjectOpt = None) -> None:
    """List the ways in which users of the project can sign in."""
    with TerminalClient() as client:
        output.emit(auth.providers(client, resolve_project(client.profile, project)))


# -- users --------------------------------------------------------------------------------------------------------------


@app.command(
    "create-user",
    summary="Create or update a user.",
    effect="write",
    auth=("anon_key", "service_key"),
    needed="--email",
    example=[
        "run402 auth create-user --email ada@example.com --admin true",
        "run402 auth create-user --email ada@example.com --invite --redirect https://app.example.com/welcome",
    ],
)
def create_user(
    email: EmailOpt = None,
    admin: AdminOpt = None,
    invite: Annotated[bool, typer.Option("--invite", help="Mail an invite; needs --redirect.")] = False,
    redirect: RedirectOpt = None,
    state: StateOpt = None,
    project: ProjectOpt = None,
) -> None:
    """Create or update a user of the project, with the service key."""
    usage = "create-user --email <address>"
    is_admin = _true_or_false("--admin", admin or None)
    address = _required("--email", email, usage)
    if invite:
        _required("--redirect", redirect, f"{usage} --invite --redirect <url>")
    _put_user(project, address, invite=invite, redirect=redirect, is_admin=is_admin, state=state)


@app.command(
    "invite-user",
    summary="Create or update a user and mail an invite.",
    effect="write",
    auth=("anon_key", "service_key"),
    needed=("--email", "--redirect"),
    example="run402 auth invite-user --email ada@example.com --redirect https://app.example.com/welcome",
)
def invite_user(
    email: EmailOpt = None,
    redirect: RedirectOpt = None,
    admin: AdminOpt = None,
    state: StateOpt = None,
    project: ProjectOpt = None,
) -> None:
    """Create or update a user of the project and mail an invite, with the service key."""
    usage = "invite-user --email <address> --redirect <url>"
    is_admin = _true_or_false("--admin", admin or None)
    address = _required("--email", email, usage)
    _required("--redirect", redirect, usage)
    _put_user(project, address, invite=True, redirect=redirect, is_admin=is_admin, state=state)


def _put_user(
    project: str | None, email: str, *, invite: bool, redirect: str | None, is_admin: bool | None, state: str | None
) -> None:
    with TerminalClient() as client:
        answer = auth.put_user(
            client,
            resolve_project(client.profile, project),
            email=email,
            invite=invite,
            redirect_url=redirect,
            is_admin=is_admin,
            state=state or None,
        )
        output.emit(answer, compact=True)


@app.command(
    "set-password",
    summary="Set, reset or change a user's password.",
    effect="write",
    auth=("anon_key", "user_token"),
    needed=("--token", "--new"),
    example='run402 auth set-password --token "$ACCESS_TOKEN" --new "$PASSWORD"',
)
def set_password(
    token: TokenOpt = None,
    new: Annotated[str | None, typer.Option("--new", metavar="PASSWORD", help="The new password.")] = None,
    current: Annotated[
        str | None,
        typer.Option("--current", metavar="PASSWORD", help="The present one; not for a first password or a reset."),
    ] = None,
    project: ProjectOpt = None,
) -> None:
    """Set, reset or change a user's password, as that user. After a sign-in by mail no --current is needed."""
    usage = "set-password --token <access_token> --new <password>"
    user, password = _required("--token", token, usage), _required("--new", new, usage)
    with TerminalClient() as client:
        project_id = resolve_project(client.profile, project)
        output.emit(auth.set_password(client, project_id, user, new=password, current=current), compact=True)


@app.command(
    "settings",
    effect="write",
    auth=("anon_key", "service_key"),
    example=[
        "run402 auth settings --public-signup invite_only",
        "run402 auth settings --allowed-email-domains example.com,example.org",
    ],
)
def settings(
    allow_password_set: Annotated[
        str | None, typer.Option("--allow-password-set", metavar="true|false", help="Users may set a password.")
    ] = None,
    preferred: Annotated[
        str | None,
        typer.Option("--preferred", metavar="METHOD", help="password, magic_link, oauth_google, passkey; null clears."),
    ] = None,
    public_signup: Annotated[
        str | None, typer.Option("--public-signup", metavar="POLICY", help="open, known_email or invite_only.")
    ] = None,
    require_admin_passkey: Annotated[
        str | None,
        typer.Option("--require-admin-passkey", metavar="true|false", help="Project admins sign in with a passkey."),
    ] = None,
    allowed_email_domains: Annotated[
        str | None,
        typer.Option("--allowed-email-domains", metavar="DOMAINS", help="Comma list; the word none allows all."),
    ] = None,
    project: ProjectOpt = None,
) -> None:
    """Change how users sign up and sign in. Only what is given changes; the answer shows all settings."""
    chosen: dict[str, Any] = {
        "allow_password_set": _true_or_false("--allow-password-set", allow_password_set or None),
        "require_passkey_for_project_admin": _true_or_false("--require-admin-passkey", require_admin_passkey or None),
        "allowed_email_domains": _domains(allowed_email_domains) if allowed_email_domains else None,
        "public_signup": public_signup or None,
        "preferred_sign_in_method": preferred or None,
    }
    changes = {key: value for key, value in chosen.items() if value is not None}
    if not changes:
        raise UsageError(
            "There is no setting to change.", hint="run402 auth settings --public-signup <open|known_email|invite_only>"
        )
    one_of("--preferred", preferred or None, auth.PREFERRED, key="flag")
    one_of("--public-signup", public_signup or None, auth.SIGNUP, key="flag")
    if preferred == "null":
        changes["preferred_sign_in_method"] = None
    with TerminalClient() as client:
        output.emit(auth.change_settings(client, resolve_project(client.profile, project), changes), compact=True)


def _domains(text: str) -> list[str]:
    return [] if text.strip().lower() == "none" else comma_separated(text)


# -- passkeys -----------------------------------------------------------------------------------------------------------


@app.command(
    "passkey-register-options",
    summary="Begin to register a passkey.",
    effect="write",
    auth=("anon_key", "user_token"),
    needed=("--token", "--app-origin"),
    example='run402 auth passkey-register-options --token "$ACCESS_TOKEN" --app-origin https://app.example.com',
)
def passkey_register_options(token: TokenOpt = None, app_origin: OriginOpt = None, project: ProjectOpt = None) -> None:
    """Begin to register a passkey: the challenge that the browser's WebAuthn call takes."""
    usage = "passkey-register-options --token <access_token> --app-origin <origin>"
    user, origin = _required("--token", token, usage), _required("--app-origin", app_origin, usage)
    with TerminalClient() as client:
        project_id = resolve_project(client.profile, project)
        output.emit(auth.passkey_register_options(client, project_id, user, app_origin=origin))


@app.command(
    "passkey-register-verify",
    summary="Finish registering a passkey.",
    effect="write",
    auth=("anon_key", "user_token"),
    needed=("--token", "--challenge", "--response"),
    example='run402 auth passkey-register-verify --token "$ACCESS_TOKEN" --challenge ID --response "$RESPONSE"',
)
def passkey_register_verify(
    token: TokenOpt = None,
    challenge: ChallengeOpt = None,
    response: ResponseOpt = None,
    label: Annotated[
        str | None, typer.Option("--label", metavar="NAME", help="A name for the passkey, such as laptop.")
    ] = None,
    project: ProjectOpt = None,
) -> None:
    """Finish registering a passkey with what the browser returned."""
    usage = "passkey-register-verify --token <access_token> --challenge <id> --response <json>"
    user, challenge_id = _required("--token", token, usage), _required("--challenge", challenge, usage)
    value = _json("--response", response, usage)
    with TerminalClient() as client:
        project_id = resolve_project(client.profile, project)
        answer = auth.passkey_register_verify(
            client, project_id, user, challenge_id=challenge_id, response=value, label=label
        )
        output.emit(answer, compact=True)


@app.command(
    "passkey-login-options",
    summary="Begin to sign in with a passkey.",
    effect="write",
    auth="anon_key",
    needed="--app-origin",
    example="run402 auth passkey-login-options --app-origin https://app.example.com",
)
def passkey_login_options(app_origin: OriginOpt = None, email: EmailOpt = None, project: ProjectOpt = None) -> None:
    """Begin to sign in with a passkey: the challenge that the browser's WebAuthn call takes."""
    origin = _required("--app-origin", app_origin, "passkey-login-options --app-origin <origin>")
    with TerminalClient() as client:
        project_id = resolve_project(client.profile, project)
        output.emit(auth.passkey_login_options(client, project_id, app_origin=origin, email=email))


@app.command(
    "passkey-login-verify",
    effect="write",
    auth="anon_key",
    needed=("--challenge", "--response"),
    reveals=True,
    example='run402 auth passkey-login-verify --challenge ID --response "$RESPONSE"',
)
def passkey_login_verify(
    challenge: ChallengeOpt = None, response: ResponseOpt = None, project: ProjectOpt = None
) -> None:
    """Finish signing in with a passkey. Prints the session with its tokens."""
    usage = "passkey-login-verify --challenge <id> --response <json>"
    challenge_id = _required("--challenge", challenge, usage)
    value = _json("--response", response, usage)
    with TerminalClient() as client:
        project_id = resolve_project(client.profile, project)
        answer = auth.passkey_login_verify(client, project_id, challenge_id=challenge_id, response=value)
        output.emit(answer, compact=True)


@app.command(
    "passkeys",
    summary="List the user's passkeys.",
    effect="read",
    auth=("anon_key", "user_token"),
    needed="--token",
    example='run402 auth passkeys --token "$ACCESS_TOKEN"',
)
def passkeys(token: TokenOpt = None, project: ProjectOpt = None) -> None:
    """List the passkeys of the signed-in user."""
    user = _required("--token", token, "passkeys --token <access_token>")
    with TerminalClient() as client:
        output.emit(auth.list_passkeys(client, resolve_project(client.profile, project), user))


@app.command(
    "delete-passkey",
    summary="Delete a passkey.",
    effect="destructive",
    auth=("anon_key", "user_token"),
    needed=("--token", "--id"),
    example='run402 auth delete-passkey --token "$ACCESS_TOKEN" --id PASSKEY_ID',
)
def delete_passkey(
    token: TokenOpt = None,
    id_: Annotated[str | None, typer.Option("--id", metavar="ID", help="The passkey, from `auth passkeys`.")] = None,
    project: ProjectOpt = None,
) -> None:
    """Delete a passkey of the signed-in user."""
    usage = "delete-passkey --token <access_token> --id <passkey_id>"
    user, passkey_id = _required("--token", token, usage), _required("--id", id_, usage)
    with TerminalClient() as client:
        project_id = resolve_project(client.profile, project)
        output.emit(auth.delete_passkey(client, project_id, user, passkey_id), compact=True)


# -- roles --------------------------------------------------------------------------------------------------------------


@app.command(
    "scaffold-roles",
    summary="Print a role table and the gate for functions.",
    effect="read",
    auth=(),
    example="run402 auth scaffold-roles --roles operator,viewer | jq -r .migration > migrations/001_roles.sql",
)
def scaffold_roles(
    table: Annotated[str, typer.Option("--table", metavar="NAME", help="The table.")] = "app_roles",
    user_col: Annotated[str, typer.Option("--user-col", metavar="NAME", help="Its user column.")] = "user_id",
    role_col: Annotated[str, typer.Option("--role-col", metavar="NAME", help="Its role column.")] = "role",
    roles: Annotated[str, typer.Option("--roles", metavar="NAMES", help="Roles that may pass.")] = "operator",
    cache_ttl: Annotated[
        str, typer.Option("--cache-ttl", metavar="SECONDS", help="How long a role is remembered, 0 to 600.")
    ] = "60",
) -> None:
    """Print what a role gate of functions needs: a migration, the gate, and the first row. Nothing is sent or written."""
    for flag, name in (("--table", table), ("--user-col", user_col), ("--role-col", role_col)):
        if not _IDENTIFIER.fullmatch(name):
            raise FlagError(
                f"{flag} takes a plain SQL name (letters, digits, _), not {name!r}.",
                details={"flag": flag, "value": name},
            )
    names = comma_separated(roles)
    if not names:
        raise FlagError("--roles names no role.", hint="--roles operator", details={"flag": "--roles", "value": roles})
    ttl = integer("--cache-ttl", cache_ttl, low=0, high=600)
    assert ttl is not None
    scaffold = auth.scaffold_roles(table=table, user_column=user_col, role_column=role_col, roles=names, cache_ttl=ttl)
    output.emit(scaffold, compact=True)
