"""Import an archive into a self-hosted gateway: verify here, then let the gateway read it. See docs/archives.md."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from run402_cli import advice, global_options, output, secrecy, standard_input, uploads
from run402_cli.archive.diagnostics import ArchiveFault, diagnostic
from run402_cli.archive.format import IMPORT_RESULT_SCHEMA
from run402_cli.archive.site_keys import files_with_keys
from run402_cli.archive.unpack import unpack
from run402_cli.archive.verify import Verification, verify
from run402_cli.client import CLIENT_HEADER, Client, credentials, parse_body, running_gateway, segment
from run402_cli.client.http import httpx
from run402_cli.client.transport import reason, refused_directly
from run402_cli.client.urls import same_origin
from run402_cli.errors import CommandError, NetworkError, Run402Error
from run402_cli.proxies import is_loopback
from run402_cli.state.target import checked_base

DEFAULT_CORE_URL: Final = "http://127.0.0.1:4020"
_VARIABLES: Final = ("RUN402_CORE_URL", "CORE_GATEWAY_URL")
_ENV_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SENSITIVE: Final = re.compile(r"secret|token|password|credential|private", re.IGNORECASE)
_DONE: Final = ("imported", "dry_run")
_NO_VALUE: Final = "SECRET_VALUES_REQUIRED"
_NOT_SENT: Final = "ENV_NAMES_NOT_SENT"
_STUBS: Final = "AUTH_SUBJECT_STUBS_IMPORTED"
_SITE_KEYS: Final = "SITE_NAMES_SOURCE_PROJECT"
_SHOWN_FILES: Final = 20

Json = Any
Emit = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Import:
    """What to import, where to, and with which secret values: those that the archive asks for of `env_file`, and `secrets`.

    `bounds` are where the archive may be, `env_bounds` the env file. `own_only`: `core_url` is no word of the user, so it may
    only name a gateway that the user has chosen or that runs here.
    """

    archive: str
    name: str = "imported-project"
    env_file: str | None = None
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    core_url: str | None = None
    dry_run: bool = False
    require_runnable: bool = False
    bounds: uploads.Bounds = uploads.TYPED
    env_bounds: uploads.Bounds = uploads.SECRET
    own_only: bool = False


def import_archive(client: Client, wish: Import, emit: Emit | None = None) -> tuple[dict[str, Json], bool]:
    """Verify an archive, then POST {core}/archives/v1/import {archive_path, name, dry_run, require_runnable, secret_values}.

    Returns (import result, whether it was imported or would be). `emit` receives two progress events. A tar is
    unpacked to a temporary directory, which is always removed. CommandError INVALID_ENV_FILE or the system's error name
    for the env file, CORE_NOT_YOURS; NetworkError when the gateway does not answer. docs/archives.md
    """
    send = emit or (lambda _event: None)
    if wish.own_only:
        _require_own(client, wish.core_url)
    wanted = destination(client, wish.core_url)
    uploads.Gate(wish.bounds).check(Path(wish.archive))
    send(_started(wish))
    verification = verify(wish.archive)
    if verification.ok:
        result = _import_verified(client, wish, verification, wanted)
    else:
        result = _not_verified(verification)
    send(_complete(wish, result))
    return result, result.get("status") in _DONE


def _import_verified(client: Client, wish: Import, verification: Verification, wanted: Destination) -> dict[str, Json]:
    given = {} if wish.env_file is None else read_env_file(wish.env_file, wish.env_bounds)
    asked = {str(secret.get("name")) for secret in verification.required_secrets}
    values = {**{name: value for name, value in given.items() if name in asked}, **wish.secrets}
    found = _ours(client, wanted)
    with _as_directory(verification) as folder:
        body = {
            "archive_path": str(folder),
            "name": wish.name,
            "dry_run": wish.dry_run,
            "require_runnable": wish.require_runnable,
            "secret_values": values,
        }
        result = _result(_post(client, found.url, body), found.url, verification)
    result = _remember(client, found, _without_folder(result, str(folder), wish.archive))
    return _with_open_ends(result, verification, values, sorted(given.keys() - asked))


@dataclass(frozen=True, slots=True)
class Destination:
    """The gateway that imports. `told`: a flag, a variable or the saved target named it; else it was looked for."""

    url: str
    told: bool
    local: bool = False  # it runs from this user's data directory
    pid: int | None = None  # as which process


_DEFAULT: Final = Destination(DEFAULT_CORE_URL, told=False)


def destination(client: Client, flag: str | None) -> Destination:
    """Which gateway imports, for every way in: `flag`, RUN402_CORE_URL, CORE_GATEWAY_URL, the active target when it is a core
    gateway, the gateway that runs from this user's data directory, and only then the usual port.

    Raises EnvironmentFault for an address that is none and DamagedState for a file that should say it.
    """
    running = running_gateway.recorded()
    for name, value in (("--core-url", flag), *((name, os.environ.get(name)) for name in _VARIABLES)):
        if value and value.strip():
            client.uses_target = False
            return _told(checked_base(value.strip(), name), running)
    target = client.profile.target
    if target.is_core:
        return _told(target.api_base, running)
    client.uses_target = False
    return _DEFAULT if running is None else Destination(running[0], told=False, local=True, pid=running[1])


def _told(url: str, running: tuple[str, int] | None) -> Destination:
    return Destination(url, told=True, local=running is not None and running[0] == url)


def _require_own(client: Client, url: str | None) -> None:
    """CommandError CORE_NOT_YOURS for an address that neither the user has chosen nor a gateway of this user has."""
    if not url or not url.strip():
        return
    wanted = checked_base(url.strip(), "core_url")
    running, target = running_gateway.recorded(), client.profile.target
    own = [value.strip() for name in _VARIABLES if (value := os.environ.get(name)) and value.strip()]
    own += [target.api_base] if target.is_core else []
    own += [running[0]] if running is not None else []
    if any(same_origin(each, wanted) for each in own):
        return
    raise CommandError(
        f"{wanted} is no gateway that the user of this machine has chosen. Nothing was read or sent.",
        code="CORE_NOT_YOURS",
        hint="Leave core_url out. To import there, the user starts the server with RUN402_CORE_URL, or runs "
        f"{advice.command('core', 'projects', 'import', advice.Blank('archive_path'), '--core-url', wanted)}",
        details={"core_url": wanted},
    )


def _ours(client: Client, found: Destination) -> Destination:
    """An address that nobody named gets no archive and no secret unless a gateway of this user answers there."""
    if found.told or running_gateway.answers(client.http, found.url, pid=found.pid):
        return found
    if found is not _DEFAULT and running_gateway.answers(client.http, DEFAULT_CORE_URL):
        return _DEFAULT
    raise not_found(
        found.url,
        f"No gateway of yours answers at {found.url}, and no other was named. Nothing was sent.",
        f". Or name one: --core-url {advice.Blank('url')}",
    )


def not_found(url: str, message: str, otherwise: str = "") -> CommandError:
    """CORE_NOT_FOUND: no gateway of this user at an address. `otherwise`: what else there is to do than to start one."""
    start = advice.command("core", "start", "--use")
    return CommandError(
        message,
        code="CORE_NOT_FOUND",
        hint=f"Start one: {start}{otherwise}",
        details={"core_url": url},
        next_actions=[advice.entry("run_command", start)],
        retryable=True,
    )


@contextlib.contextmanager
def _as_directory(verification: Verification) -> Iterator[Path]:
    archive = verification.archive
    assert archive is not None
    if archive.transport == "directory":
        yield archive.location.absolute()
        return
    with tempfile.TemporaryDirectory(prefix="run402-archive-") as folder:
        try:
            unpack(archive, Path(folder))
        except ArchiveFault as fault:
            details = {"diagnostic": fault.diagnostic}
            raise CommandError(str(fault), code=fault.code, details=details) from fault
        yield Path(folder)


def _post(client: Client, base: str, body: dict[str, Json]) -> httpx.Response:
    headers = {"Content-Type": "application/json", "Run402-Client": CLIENT_HEADER}
    content = output.dumps(body, compact=True).encode()
    url = f"{base}/archives/v1/import"
    # The import of a large archive takes as long as it takes.
    limit = global_options.current.http_timeout
    timeout = httpx.Timeout(None, connect=30.0) if limit is None else httpx.Timeout(limit)
    asks = {credentials.SIGNED_URI: url}
    try:
        return client.http.post(url, content=content, headers=headers, timeout=timeout, extensions=asks)
    except (httpx.TransportError, httpx.TooManyRedirects, httpx.DecodingError, httpx.InvalidURL) as exc:
        remedy = []
        if refused_directly(exc) and is_loopback(urlsplit(base).hostname or ""):
            remedy = [advice.action("run_command", "core", "start", why=f"Nothing listens on {base}.")]
        message = f"No answer from {base} while importing the archive: {reason(exc)}"
        raise NetworkError(message, read=False, remedy=remedy) from exc


def _without_folder(value: Json, folder: str, archive: str) -> Json:
    """What the gateway says about the unpacked copy, which is gone by then, told of the archive that was given."""
    if isinstance(value, str):
        return value.replace(folder, archive)
    if isinstance(value, dict):
        return {key: _without_folder(item, folder, archive) for key, item in value.items()}
    return [_without_folder(item, folder, archive) for item in value] if isinstance(value, list) else value


def _remember(client: Client, found: Destination, result: dict[str, Json]) -> dict[str, Json]:
    """After an import: the keys of the new project are cached when the gateway runs here; else what to run for them."""
    project_id = result.get("project_id")
    if result.get("status") != "imported" or not isinstance(project_id, str) or not project_id:
        return result
    if found.local and _cache_keys(client, found.url, project_id):
        action = advice.action(
            "run_command", "projects", "use", project_id, why="Its keys are cached; make it the active one."
        )
        return {**result, "keys_cached": True, "next_actions": [action]}
    why = "No key of the new project is cached on this machine."
    action = advice.entry("run_command", advice.issue_key(project_id), why=why)
    return {**result, "keys_cached": False, "next_actions": [action]}


def _cache_keys(client: Client, base: str, project_id: str) -> bool:
    try:
        path = f"/projects/v1/{segment(project_id)}"
        answer = parse_body(
            client.send("GET", path, context="reading the new project", auth=client.principal(), base=base)
        )
        keys = {key: answer.get(key) for key in ("anon_key", "service_key")} if isinstance(answer, dict) else {}
        if not all(isinstance(value, str) and value for value in keys.values()) or not keys:
            return False
        client.profile.keys.upsert(project_id, keys)
    except Run402Error:
        return False
    return True


def _with_open_ends(
    result: dict[str, Json], verification: Verification, values: Mapping[str, str], unsent: list[str]
) -> dict[str, Json]:
    """After an import: `warnings`, what is not as it was in the source project, and the commands that set it right.

    `unsent` are names of the env file that the archive does not ask for.
    """
    if result.get("status") not in _DONE:
        return result
    project = result.get("project_id")
    project_id = project if isinstance(project, str) and project else advice.Blank("project_id")
    names = [str(secret["name"]) for secret in verification.required_secrets if secret.get("name") not in values]
    reported = [entry for entry in verification.diagnostics if entry["code"] not in (_NO_VALUE, _STUBS)]
    warnings = [_on_project(entry, project_id) for entry in reported]
    warnings += [_no_value(name, project_id) for name in names]
    warnings += [_not_sent(unsent)] if unsent else []
    if files := files_with_keys(verification):
        warnings.append(_site_keys(files, project_id))
    if verification.stubs:
        message = (
            f"{verification.stubs} users came as disabled stubs: their rows keep their owners, and "
            "they cannot sign in with the accounts that they had."
        )
        warnings.append(diagnostic(_STUBS, message, "auth_subject", severity="info", next_action={"type": "none"}))
    if not warnings:
        return result
    commands = [entry["next_action"] for entry in warnings if entry["next_action"].get("command")]
    actions = [{**action, "type": "edit_request" if "<" in action["command"] else "run_command"} for action in commands]
    return {**result, "warnings": warnings, "next_actions": [*result.get("next_actions", []), *actions]}


def _no_value(name: str, project_id: str) -> dict[str, Json]:
    command = advice.command("secrets", "set", name, advice.Blank("value"), "--project", project_id)
    return diagnostic(
        _NO_VALUE,
        f"The secret {name} has no value in the new project: an archive holds names only.",
        "secret",
        resource_id=name,
        severity="warning",
        next_action={"type": "set_secret", "env_var": name, **advice.shown(command)},
        retryable=True,
    )


def _not_sent(names: list[str]) -> dict[str, Json]:
    shown = ", ".join([*names[:_SHOWN_FILES], *(["..."] if len(names) > _SHOWN_FILES else [])])
    message = f"The archive has no secrets of these names, so what the env file says of them was not sent: {shown}."
    return diagnostic(_NOT_SENT, message, "secret", severity="info", next_action={"type": "none"})


def _site_keys(files: list[str], project_id: str) -> dict[str, Json]:
    shown = [*files[:_SHOWN_FILES], *(["..."] if len(files) > _SHOWN_FILES else [])]
    message = (
        f"Files of the site name the project that was exported, by a key or its id ({', '.join(shown)}): on the same "
        "gateway what they send, sign-ups and rows too, goes to that project, on another one it is refused. Put the "
        "anon key of the new project into their sources, and deploy those to it."
    )
    command = advice.command("credentials", "project-keys", "export", "--project", project_id, "--reveal")
    return diagnostic(
        _SITE_KEYS,
        message,
        "site",
        severity="warning",
        next_action={"type": "run_command", **advice.shown(command), "why": "Prints the anon key of the new project."},
        context={"files": files[:_SHOWN_FILES], "file_count": len(files)},
    )


def _on_project(entry: dict[str, Json], project_id: str) -> dict[str, Json]:
    """What the archive's own report says; a command of it is made anew, for the new project, or left out."""
    said = entry.get("next_action")
    action = (
        {key: said[key] for key in ("type", "message") if key in said} if isinstance(said, dict) else {"type": "none"}
    )
    name = entry.get("resource_id")
    if entry.get("resource_type") == "subdomain" and isinstance(name, str):
        # On this gateway the source project may hold the name still.
        action = advice.run("subdomains", "claim", advice.Blank("name"), "--project", project_id)
    return {**entry, "next_action": action}


# -- results ------------------------------------------------------------------------------------------------------------


def _result(response: httpx.Response, base: str, verification: Verification) -> dict[str, Json]:
    body = parse_body(response)
    if isinstance(body, str) or body is None:
        with contextlib.suppress(ValueError, RecursionError):
            body = response.json()
    body = secrecy.public(body)
    if isinstance(body, dict) and body.get("schema_version") == IMPORT_RESULT_SCHEMA:
        return body
    status = response.status_code
    fields = body if isinstance(body, dict) else {}
    if response.is_success:
        found = diagnostic(
            "IMPORT_CONFORMANCE_FAILED",
            f"{base} answered with something that is not an import result. Is it a Run402 gateway?",
            "core_import",
            next_action={"type": "contact_support"},
            context={"http_status": status, "core_url": base},
        )
        return _local_result(verification, [found], {"type": "contact_support"})
    later = status >= 500
    action = {"type": "retry_later" if later else "read_docs"}
    texts = [fields.get("message"), fields.get("error"), f"{base} refused the import with HTTP {status}."]
    found = diagnostic(
        _code(body),
        next(text for text in texts if isinstance(text, str) and text),
        "core_import",
        next_action=action,
        retryable=later or status == 429,
        context={"http_status": status, "core_url": base, "body": _redacted(body)},
    )
    return _local_result(verification, [found], action)


def _code(body: Json) -> str:
    if not isinstance(body, dict):
        return "NON_JSON_RESPONSE"
    candidates = (body.get("error"), body.get("code"), "IMPORT_CONFORMANCE_FAILED")
    return next(code for code in candidates if isinstance(code, str) and code)


def _redacted(body: Json) -> Json:
    details = body.get("details") if isinstance(body, dict) else None
    if not isinstance(details, dict):
        return body
    hidden = {key: "[redacted]" if _SENSITIVE.search(key) else value for key, value in details.items()}
    return {**body, "details": hidden}


def _not_verified(verification: Verification) -> dict[str, Json]:
    count = len(verification.diagnostics)
    message = f"The archive was not imported: verification found {count} problem{'s' if count != 1 else ''}."
    action = {"type": "run_command", "message": "Show them again: run402 archives verify <path>"}
    found = diagnostic(
        "IMPORT_VERIFY_FAILED", message, "archive", next_action=action, context={"diagnostic_count": count}
    )
    return _local_result(verification, [found, *verification.diagnostics], action)


def _local_result(verification: Verification, found: list[Json], next_action: Json) -> dict[str, Json]:
    return {
        "schema_version": IMPORT_RESULT_SCHEMA,
        "status": "failed",
        "archive_digest": verification.digest,
        "required_secrets": verification.required_secrets,
        "diagnostics": found,
        "next_action": next_action,
    }


# -- events -------------------------------------------------------------------------------------------------------------


def _started(wish: Import) -> dict[str, Json]:
    return {
        "event": "core_archive_import_started",
        "stage": "verify",
        "resource_type": "project_archive",
        "resource_id": wish.archive,
        "status": "running",
        "completed_units": 0,
        "total_units": 1,
        "code": None,
        "message": f"Verifying {wish.archive}.",
        "next_action": {"type": "none"},
        "retryable": False,
        "context": {"archive_path": wish.archive, "core_url": wish.core_url, "project_name": wish.name},
    }


def _complete(wish: Import, result: dict[str, Json]) -> dict[str, Json]:
    status = result.get("status")
    listed = result.get("diagnostics")
    found = [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
    blocking = [entry.get("code") for entry in found if entry.get("severity") == "blocking"]
    return {
        "event": "core_archive_import_complete",
        "stage": "complete",
        "resource_type": "project_archive",
        "resource_id": wish.archive,
        "status": status,
        "completed_units": int(status in _DONE),
        "total_units": 1,
        "code": blocking[0] if blocking else None,
        "message": f"Import of {wish.archive}: {status}.",
        "next_action": result.get("next_action"),
        "retryable": status == "failed" and any(entry.get("retryable") is True for entry in found),
        "result": result,
    }


# -- env file -----------------------------------------------------------------------------------------------------------


def _from_stdin() -> bytes:
    return standard_input.read("NAME=value lines", "Or pass --env-file <file>.")


def read_env_file(name: str, bounds: uploads.Bounds = uploads.SECRET) -> dict[str, str]:
    """NAME=value lines of a UTF-8 file (`-`: stdin). CommandError INVALID_ENV_FILE {path, line, key?}, or e.g. ENOENT."""
    shown = name if name == "-" else str(Path(name).absolute())
    try:
        data = _from_stdin() if name == "-" else uploads.read(Path(name), bounds)
    except (OSError, ValueError) as exc:
        code = errno.errorcode.get(getattr(exc, "errno", None) or errno.ENOENT, "EIO")
        reason = getattr(exc, "strerror", None) or exc
        raise CommandError(
            f"--env-file: cannot read {name!r}: {reason}.",
            code=code,
            hint="Check the path; it is relative to the current directory.",
            details={"flag": "--env-file", "path": shown},
        ) from exc
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise _invalid_env(name, shown, data.count(b"\n", 0, exc.start) + 1, "it is not UTF-8") from exc
    values = {}
    for number, line in enumerate(re.split(r"\r?\n", text), 1):
        pair = _env_pair(name, shown, number, line.strip())
        if pair is not None:
            values[pair[0]] = pair[1]
    return values


def _env_pair(name: str, shown: str, number: int, line: str) -> tuple[str, str] | None:
    if not line or line.startswith("#"):
        return None
    key, equals, value = line.removeprefix("export ").partition("=")
    key, value = key.strip(), value.strip()
    if not equals or not key:
        raise _invalid_env(name, shown, number, "it is not of the form NAME=value")
    if not _ENV_NAME.fullmatch(key):
        raise _invalid_env(name, shown, number, f"{key!r} cannot name a variable", key=key)
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
        return key, value[1:-1]
    return key, re.split(r"\s#", value, maxsplit=1)[0].strip()


def _invalid_env(name: str, shown: str, number: int, why: str, **more: str) -> CommandError:
    # The line itself is not shown: it may be a secret.
    return CommandError(
        f"--env-file: line {number} of {name!r} is not usable: {why}.",
        code="INVALID_ENV_FILE",
        hint="Write one NAME=value on each line; lines that start with # are comments. Nothing was sent.",
        details={"path": shown, "line": number, **more},
    )
