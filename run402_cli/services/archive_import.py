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

from run402_cli import output, standard_input
from run402_cli.archive.diagnostics import ArchiveFault, diagnostic
from run402_cli.archive.format import IMPORT_RESULT_SCHEMA
from run402_cli.archive.unpack import unpack
from run402_cli.archive.verify import Verification, verify
from run402_cli.client import Client
from run402_cli.client._client import CLIENT_HEADER, parse_body
from run402_cli.client._httpx import httpx
from run402_cli.errors import CommandError, NetworkError

DEFAULT_CORE_URL: Final = "http://127.0.0.1:4020"
_ENV_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SENSITIVE: Final = re.compile(r"secret|token|password|credential|private", re.IGNORECASE)
_DONE: Final = ("imported", "dry_run")

Json = Any
Emit = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Import:
    """What to import, where to, and with which secret values. `secrets` override those of `env_file`."""

    archive: str
    name: str = "imported-project"
    env_file: str | None = None
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    core_url: str | None = None
    dry_run: bool = False
    require_runnable: bool = False


def import_archive(client: Client, wish: Import, emit: Emit | None = None) -> tuple[dict[str, Json], bool]:
    """Verify an archive, then POST {core}/archives/v1/import {archive_path, name, dry_run, require_runnable, secret_values}.

    Returns (import result, whether it was imported or would be). `emit` receives two progress events. A tar is
    unpacked to a temporary directory, which is always removed. CommandError INVALID_ENV_FILE or the system's error name
    for the env file; NetworkError when the gateway does not answer. No credential is sent. docs/archives.md
    """
    send = emit or (lambda _event: None)
    send(_started(wish))
    verification = verify(wish.archive)
    if verification.ok:
        result = _import_verified(client, wish, verification)
    else:
        result = _not_verified(verification)
    send(_complete(wish, result))
    return result, result.get("status") in _DONE


def _import_verified(client: Client, wish: Import, verification: Verification) -> dict[str, Json]:
    values = {**(read_env_file(wish.env_file) if wish.env_file is not None else {}), **wish.secrets}
    with _as_directory(verification) as folder:
        body = {
            "archive_path": str(folder),
            "name": wish.name,
            "dry_run": wish.dry_run,
            "require_runnable": wish.require_runnable,
            "secret_values": values,
        }
        base = core_url(wish.core_url)
        return _result(_post(client, base, body), base, verification)


def core_url(flag: str | None) -> str:
    """--core-url, else RUN402_CORE_URL, else CORE_GATEWAY_URL, else the local gateway; without trailing slashes."""
    found = flag or os.environ.get("RUN402_CORE_URL") or os.environ.get("CORE_GATEWAY_URL") or DEFAULT_CORE_URL
    return found.rstrip("/")


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
    try:
        # The import of a large archive takes as long as it takes.
        return client.http.post(
            f"{base}/archives/v1/import", content=content, headers=headers, timeout=httpx.Timeout(None, connect=30.0)
        )
    except (httpx.TransportError, httpx.TooManyRedirects, httpx.DecodingError, httpx.InvalidURL) as exc:
        remedy = []
        if isinstance(exc, httpx.ConnectError) and base == DEFAULT_CORE_URL:
            remedy = [{"type": "run_command", "command": "run402 core start", "why": f"Nothing listens on {base}."}]
        message = f"No answer from {base} while importing the archive: {exc or type(exc).__name__}"
        raise NetworkError(message, read=False, remedy=remedy) from exc


# -- results ------------------------------------------------------------------------------------------------------------


def _result(response: httpx.Response, base: str, verification: Verification) -> dict[str, Json]:
    body = parse_body(response)
    if isinstance(body, str) or body is None:
        with contextlib.suppress(ValueError, RecursionError):
            body = response.json()
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


def read_env_file(name: str) -> dict[str, str]:
    """NAME=value lines of a UTF-8 file (`-`: stdin). CommandError INVALID_ENV_FILE {path, line, key?}, or e.g. ENOENT."""
    shown = name if name == "-" else str(Path(name).absolute())
    try:
        data = _from_stdin() if name == "-" else Path(name).read_bytes()
    except (OSError, ValueError) as exc:
        code = errno.errorcode.get(getattr(exc, "errno", None) or errno.ENOENT, "EIO")
        reason = getattr(exc, "strerror", None) or exc
        raise CommandError(
            f"--env-file: cannot read {name!r}: {reason}.",
            code=code,
            hint="Check the path; it is relative to the current directory.",
            details={"path": shown},
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
