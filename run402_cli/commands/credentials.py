"""run402 credentials: credentials of a project on the gateway, and the local cache of project keys."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from run402_cli import advice, output, standard_input
from run402_cli.commands._command import CommandGroup
from run402_cli.commands._options import ProjectOpt, instant, take_project
from run402_cli.errors import EnvironmentFault, UsageError
from run402_cli.services import credentials
from run402_cli.state.keys import KeyCache
from run402_cli.state.profile import current

if TYPE_CHECKING:
    from run402_cli.client import Client

app = CommandGroup()

ProjectWord = Annotated[list[str] | None, typer.Argument(hidden=True)]  # an older form of --project
CredentialWord = Annotated[list[str] | None, typer.Argument(metavar="CREDENTIAL_ID", show_default=False)]
_KINDS = ("anon", "service")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
KindOpt = Annotated[
    str | None, typer.Option("--kind", metavar="anon|service", help="Which key the credential stands for.")
]
CachedProjectOpt = Annotated[
    str | None, typer.Option("--project", metavar="ID", help="Project id. The active project is not used here.")
]


def _client() -> Client:
    # Imported here: the project-keys commands are local and need no HTTP client.
    from run402_cli.services.terminal import TerminalClient

    return TerminalClient()


def _project(flag: str | None, words: list[str] | None) -> tuple[str, list[str]]:
    return take_project(current(), flag, words or [])


def _no_words(words: list[str]) -> None:
    if words:
        raise UsageError(f"Unexpected argument {words[0]!r}.", hint="Add --help to the command to see its arguments.")


def _kind(value: str | None) -> str:
    if value not in _KINDS:
        given = "is missing" if value is None else f"must be anon or service, not {value!r}"
        raise UsageError(f"--kind {given}.", hint="Write --kind service (bypasses row-level security) or --kind anon.")
    return value


def _credential_id(words: list[str], usage: str) -> str:
    if not words:
        raise UsageError("The credential id is missing.", hint=f"{usage}; ids: run402 credentials list")
    _no_words(words[1:])
    return words[0]


def _shown_once(answer: Any) -> None:
    if isinstance(answer, dict) and answer.get("secret"):
        output.notice(
            "The secret is shown this one time and cannot be read again. Store it now; nothing is saved here."
        )


@app.command(
    "issue",
    summary="Mint a named credential; its secret is shown once.",
    effect="write",
    auth="principal",
    needed=("--kind", "--name"),
    reveals=True,
    example=[
        "run402 credentials issue --kind service --name ci",
        "run402 credentials issue --kind service --name laptop --project prj_123 --save",
    ],
)
def issue(
    words: ProjectWord = None,
    kind: KindOpt = None,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="Unique among the live credentials of the project.")
    ] = None,
    expires: Annotated[
        str | None,
        typer.Option("--expires", metavar="TIME", help="Time or span (30d), at most one year ahead. Default: never."),
    ] = None,
    project: ProjectOpt = None,
    save: Annotated[
        bool, typer.Option("--save", help="Put the secret into the key cache of this machine; do not print it.")
    ] = False,
) -> None:
    """Mint a named, revocable credential. Its secret is in the answer, once. Needs the project's owner."""
    project_id, rest = _project(project, words)
    _no_words(rest)
    checked = _kind(kind)
    expiry = instant("--expires", expires, ahead=True)
    if not name:
        raise UsageError("--name is missing.", hint="Give the credential a name: --name ci")
    with _client() as client:
        answer = credentials.issue(client, project_id, kind=checked, name=name, expires_at=expiry, save=save)
    _shown_once(answer)
    output.emit(answer)


@app.command(
    "list",
    summary="List credentials, metadata only.",
    effect="read",
    auth="principal",
    example="run402 credentials list --include-revoked",
)
def list_(
    words: ProjectWord = None,
    project: ProjectOpt = None,
    include_revoked: Annotated[bool, typer.Option("--include-revoked", help="List revoked ones too.")] = False,
) -> None:
    """List the credentials of a project: metadata only, never a secret."""
    project_id, rest = _project(project, words)
    _no_words(rest)
    with _client() as client:
        output.emit(credentials.list_credentials(client, project_id, include_revoked=include_revoked))


@app.command(
    "status",
    summary="Whether the project still depends on its derived keys.",
    effect="read",
    auth="principal",
    example="run402 credentials status | jq .state",
)
def status(words: ProjectWord = None, project: ProjectOpt = None) -> None:
    """Whether the project still depends on the keys derived when it was made (`legacy`), or on rotatable credentials."""
    project_id, rest = _project(project, words)
    _no_words(rest)
    with _client() as client:
        answer = credentials.status(client, project_id)
    if isinstance(answer, dict) and answer.get("state") == "legacy":
        output.notice(
            "This project still uses its derived keys, which cannot be rotated. Issue a credential: "
            f"{advice.command('credentials', 'issue', '--kind', 'service', '--name', 'main', '--project', project_id)}"
        )
    output.emit(answer)


@app.command(
    "rotate",
    summary="Replace a credential, keeping its name.",
    effect="destructive",
    auth="principal",
    reveals=True,
    example="run402 credentials rotate pcr_123",
)
def rotate(words: CredentialWord = None, project: ProjectOpt = None) -> None:
    """Replace a credential, given its id, keeping its name. The new secret is in the answer, once."""
    project_id, rest = _project(project, words)
    credential_id = _credential_id(rest, "run402 credentials rotate <credential_id>")
    with _client() as client:
        answer = credentials.rotate(client, project_id, credential_id)
    _shown_once(answer)
    output.emit(answer)


@app.command(
    "revoke",
    summary="Revoke a credential now.",
    effect="destructive",
    auth="principal",
    example="run402 credentials revoke pcr_123 --reason leaked",
)
def revoke(
    words: CredentialWord = None,
    project: ProjectOpt = None,
    reason: Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="Kept with the record.")] = None,
) -> None:
    """Revoke a credential, given its id, at once. There is no confirmation."""
    project_id, rest = _project(project, words)
    credential_id = _credential_id(rest, "run402 credentials revoke <credential_id>")
    with _client() as client:
        output.emit(credentials.revoke(client, project_id, credential_id, reason=reason))


@app.command(
    "token",
    summary="Mint a short-lived project token.",
    effect="write",
    auth="principal",
    reveals=True,
    example="run402 credentials token --kind anon",
)
def token(words: ProjectWord = None, kind: KindOpt = None, project: ProjectOpt = None) -> None:
    """Mint a short-lived project token (default kind: service). A delegate may do this too."""
    project_id, rest = _project(project, words)
    _no_words(rest)
    checked = "service" if kind is None else _kind(kind)
    with _client() as client:
        answer = credentials.token(client, project_id, kind=checked)
    if isinstance(answer, dict) and answer.get("secret"):
        output.notice(f"The token is shown this one time. It is valid for {answer.get('expires_in', '?')} seconds.")
    output.emit(answer)


# -- the local cache ----------------------------------------------------------------------------------------------------


def _keys() -> KeyCache:
    return current().keys


def _cached_project(words: list[str] | None, project: str | None) -> str:
    if words:
        # The word may be a key, given here by mistake: it is not repeated.
        raise UsageError(
            "Unexpected argument.", hint="Name the project with --project; keys are never taken as arguments."
        )
    if not project:
        raise UsageError(
            "--project is missing.", hint="Add --project <project_id>; the active project is not used here."
        )
    return project


@app.command(
    "project-keys list",
    summary="List cached keys, redacted.",
    effect="read",
    auth=(),
    example="run402 credentials project-keys list",
)
def keys_list(
    words: ProjectWord = None,
    project: Annotated[str | None, typer.Option("--project", metavar="ID", help="Accepted and ignored.")] = None,
) -> None:
    """List the cached keys of this wallet, redacted: prefixes and fingerprints only. Sends nothing."""
    _cached_project(words, project or "all")
    output.emit(credentials.cached_list(_keys()))


@app.command(
    "project-keys status",
    summary="One cached entry, redacted.",
    effect="read",
    auth=(),
    needed="--project",
    example="run402 credentials project-keys status --project prj_123",
)
def keys_status(words: ProjectWord = None, project: CachedProjectOpt = None) -> None:
    """Show one cached entry, redacted. `configured` is false when nothing is cached."""
    output.emit(credentials.project_keys_status(_keys(), _cached_project(words, project)))


@app.command(
    "project-keys import",
    summary="Write a key into the cache from stdin or an environment variable.",
    effect="write",
    auth=(),
    needed="--project",
    example=[
        "pass my-service-key | run402 credentials project-keys import --project prj_123 --service-key-stdin",
        "run402 credentials project-keys import --project prj_123 --service-key-env MY_KEY",
    ],
)
def keys_import(
    words: ProjectWord = None,
    project: CachedProjectOpt = None,
    service_key_stdin: Annotated[
        bool, typer.Option("--service-key-stdin", help="Read the service key from stdin.")
    ] = False,
    service_key_env: Annotated[
        str | None, typer.Option("--service-key-env", metavar="NAME", help="Environment variable with the service key.")
    ] = None,
    anon_key_env: Annotated[
        str | None, typer.Option("--anon-key-env", metavar="NAME", help="Environment variable with the anon key.")
    ] = None,
) -> None:
    """Write keys into the local cache. They come from stdin or the environment, never from the command line."""
    project_id = _cached_project(words, project)
    anon = None if anon_key_env is None else _from_env(anon_key_env)
    if service_key_env is not None and service_key_stdin:
        raise UsageError("Give --service-key-env or --service-key-stdin, not both.")
    service = None if service_key_env is None else _from_env(service_key_env).strip()
    if service_key_stdin:
        data = standard_input.read("the service key", "Or pass --service-key-env <NAME>.")
        service = data.decode("utf-8", "replace").strip()
    if service is None and anon is None:
        raise UsageError("No key is given.", hint="Add --service-key-stdin or --service-key-env <NAME>.")
    for flag, key in (("service", service), ("anon", anon)):
        _check_key(flag, key)
    try:
        output.emit(credentials.import_keys(_keys(), project_id, service_key=service, anon_key=anon))
    except UsageError as exc:
        exc.details = {**exc.details, "anon_key_env": anon_key_env}
        raise


def _from_env(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        shown = name if _VARIABLE.fullmatch(name) else "<not a variable name>"  # it may be a key, put there by mistake
        raise EnvironmentFault(
            f"The environment variable {shown} is empty or not set.",
            hint="The flag takes the name of a variable: export MY_KEY=..., then pass MY_KEY.",
            details={"env": shown},
        )
    return value


def _check_key(kind: str, key: str | None) -> None:
    """A key travels in a header: visible ASCII without spaces. The error does not repeat it."""
    if key == "":
        raise UsageError(f"The {kind} key is empty.", hint="Pass the key itself on stdin or in the variable.")
    if key is not None and not (key.isascii() and key.isprintable() and " " not in key):
        raise UsageError(
            f"The {kind} key holds a space or another character that no key has.", hint="Pass one key only."
        )


@app.command(
    "project-keys export",
    summary="Print cached keys in clear.",
    effect="read",
    auth=(),
    needed="--project",
    reveals=True,
    example="run402 credentials project-keys export --project prj_123 --reveal",
)
def keys_export(
    words: ProjectWord = None,
    project: CachedProjectOpt = None,
    reveal: Annotated[bool, typer.Option("--reveal", help="Confirm that the keys are printed in clear.")] = False,
) -> None:
    """Print the cached keys of one project in clear."""
    output.emit(credentials.export_keys(_keys(), _cached_project(words, project), reveal=reveal))


@app.command(
    "project-keys remove",
    effect="destructive",
    auth=(),
    needed="--project",
    example="run402 credentials project-keys remove --project prj_123",
)
def keys_remove(words: ProjectWord = None, project: CachedProjectOpt = None) -> None:
    """Delete a cached entry. The project itself, and which one is active, stay as they are."""
    output.emit(credentials.remove_keys(_keys(), _cached_project(words, project)))
