"""Portable archives of a project, made by the gateway: export, wait, download. See docs/archives.md."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from run402_cli import advice, as_typed, global_options
from run402_cli.client import Client, segment
from run402_cli.errors import CommandError, EnvironmentFault, ValidationError
from run402_cli.services.output_file import require_free, written

SCOPES = ("portable-runtime-v1",)
AUTH_MODES = ("stubs", "none")
CONSISTENCY_MODES = ("pause-writes", "cloud_write_pause_v1")
CAPABILITY = "project.archives.export"
_FINAL = ("ready", "failed", "expired")
_SHA256 = re.compile(r"[0-9a-f]{64}")

Archive = dict[str, Any]
Emit = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Export:
    """What to export and how long to wait. `output` implies waiting; times are milliseconds.

    `overwrite`: a file that stands at `output` may be replaced; without it FILE_EXISTS, before anything is asked for.
    """

    project_id: str
    scope: str = "portable-runtime-v1"
    auth: str = "stubs"
    consistency: str = "pause-writes"
    idempotency_key: str | None = None
    wait: bool = False
    output: Path | None = None
    poll_interval_ms: int = 1000
    timeout_ms: int = 600_000
    overwrite: bool = False


def _path(project_id: str, archive_id: str | None = None) -> str:
    base = f"/projects/v1/{segment(project_id)}/archives"
    return base if archive_id is None else f"{base}/{segment(archive_id)}"


def _auth(client: Client, project_id: str) -> Any:
    return client.principal(capability=CAPABILITY, target={"project_id": project_id})


def create(client: Client, spec: Export) -> Archive:
    """POST /projects/v1/{id}/archives {scope, auth, consistency} -> archive {archive_id, status: running|ready|..., ...}."""
    body = {"scope": spec.scope, "auth": spec.auth, "consistency": spec.consistency}
    headers = {"Idempotency-Key": spec.idempotency_key} if spec.idempotency_key else None
    auth, context = _auth(client, spec.project_id), "starting the export"
    return _archive(
        client.request("POST", _path(spec.project_id), context=context, auth=auth, body=body, headers=headers)
    )


def status(client: Client, project_id: str, archive_id: str) -> Archive:
    """GET /projects/v1/{id}/archives/{archive} -> archive; byte_count in bytes, sha256 of the file when known."""
    path = _path(project_id, archive_id)
    return _archive(client.request("GET", path, context="reading the archive", auth=_auth(client, project_id)))


def _archive(answer: Any) -> Archive:
    if not isinstance(answer, dict) or not isinstance(answer.get("archive_id"), str):
        raise ValidationError("The gateway answered with something that is not an archive.", code="INTERNAL_ERROR")
    return answer


def download(
    client: Client, project_id: str, archive: Archive, output: Path, *, overwrite: bool = False
) -> tuple[int, bool]:
    """GET /projects/v1/{id}/archives/{archive}/download into `output`: (bytes, whether a file with others was replaced).

    The file appears under its name only when it is complete and has the announced SHA-256: CommandError
    ARCHIVE_DIGEST_MISMATCH otherwise, FILE_EXISTS unless `overwrite`. Parent directories are made. EnvironmentFault when the
    disk refuses.
    """
    global_options.about_to_write(output)
    path = f"{_path(project_id, archive['archive_id'])}/download"
    chunks = client.download(path, context="downloading the archive", auth=_auth(client, project_id))
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with written(output, overwrite=overwrite) as file:
            for chunk in chunks:
                file.write(chunk)
            expected = archive.get("sha256")
            if isinstance(expected, str) and _SHA256.fullmatch(expected) and file.sha256 != expected:
                raise CommandError(
                    f"The downloaded archive has the SHA-256 {file.sha256}, not {expected} as announced.",
                    code="ARCHIVE_DIGEST_MISMATCH",
                    hint="Nothing was kept. Run the command again.",
                    details={"expected_digest": expected, "actual_digest": file.sha256},
                    retryable=True,
                )
    except OSError as exc:
        raise EnvironmentFault(
            f"Cannot write {output}: {exc.strerror or exc}.",
            hint="The archive is still on the server. Give another --output path and run the command again.",
            details={"path": str(output)},
        ) from exc
    return file.size, file.replaced


def export(client: Client, spec: Export, emit: Emit | None = None) -> tuple[dict[str, Any], bool]:
    """Start an export, wait for it and save it as `spec` says. Returns (result document, whether it came to an end).

    `emit` receives progress events; the last one, archive_export_complete, holds the document, except when waiting ended in
    failed or expired: then the second value is False and no such event is sent. Raises CommandError ARCHIVE_WAIT_TIMEOUT.
    """
    if spec.output is not None:
        require_free(spec.output, overwrite=spec.overwrite)
    send = emit or (lambda _event: None)
    archive = create(client, spec)
    code = _error_code(archive) or "ARCHIVE_EXPORT_FAILED" if archive.get("status") == "failed" else None
    send(_event("archive_export_created", "create", spec, archive, code=code))
    waited = (spec.wait or spec.output is not None) and archive.get("status") != "ready"
    if waited:
        archive = _wait(client, spec, archive["archive_id"], send)
    written, replaced = 0, False
    if spec.output is not None and archive.get("status") == "ready":
        archive = status(client, spec.project_id, archive["archive_id"])
        written, replaced = _download_ready(client, spec, archive, send)
    ready = archive.get("status") == "ready"
    document = {**_document(spec, archive, written), "replaced": replaced}
    if waited and not ready:
        return document, False
    event = _event("archive_export_complete", "complete", spec, archive, retryable=False)
    event.update({"status": "complete" if ready else archive.get("status"), "completed_units": int(ready)})
    send({**event, "result": document})
    return document, True


def _download_ready(client: Client, spec: Export, archive: Archive, send: Emit) -> tuple[int, bool]:
    assert spec.output is not None
    if archive.get("status") != "ready":
        return 0, False
    written, replaced = download(client, spec.project_id, archive, spec.output, overwrite=spec.overwrite)
    event = _event("archive_export_downloaded", "download", spec, archive, retryable=False)
    send({**event, "context": {"output_path": str(spec.output), "bytes_written": written}})
    return written, replaced


def _wait(client: Client, spec: Export, archive_id: str, send: Emit) -> Archive:
    started = time.monotonic()
    while True:
        archive = status(client, spec.project_id, archive_id)
        context = {key: archive.get(key) for key in ("byte_count", "sha256", "expires_at")}
        code = _error_code(archive) if archive.get("status") == "failed" else None
        send({**_event("archive_export_status", "wait", spec, archive, code=code), "context": context})
        if archive.get("status") in _FINAL:
            return archive
        if (time.monotonic() - started) * 1000 >= spec.timeout_ms:
            raise CommandError(
                f"The archive {archive_id} was not ready after {spec.timeout_ms} ms; the export goes on.",
                code="ARCHIVE_WAIT_TIMEOUT",
                hint="Look again later: "
                + advice.command("cloud", "archives", "status", archive_id, "--project", spec.project_id),
                details={"archive_id": archive_id, "timeout_ms": spec.timeout_ms},
                retryable=True,
            )
        time.sleep(spec.poll_interval_ms / 1000)


def _error_code(archive: Archive) -> str | None:
    error = archive.get("error")
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, str) else None


def _event(
    name: str, stage: str, spec: Export, archive: Archive, *, code: str | None = None, retryable: bool | None = None
) -> dict[str, Any]:
    state = archive.get("status")
    return {
        "event": name,
        "stage": stage,
        "resource_type": "project_archive",
        "resource_id": archive["archive_id"],
        "project_id": spec.project_id,
        "status": state,
        "completed_units": int(state in _FINAL),
        "total_units": 1,
        "code": code,
        "message": f"Archive {archive['archive_id']}: {stage}, {state}.",
        "next_action": archive.get("next_action"),
        "retryable": state == "running" if retryable is None else retryable,
    }


def fetch(client: Client, project_id: str, archive_id: str, output: Path, *, overwrite: bool = False) -> dict[str, Any]:
    """Save one ready archive: {ok, project_id, archive_id, output_path, bytes_written, sha256, ..., archive}.

    CommandError FILE_EXISTS (unless `overwrite`), ARCHIVE_EXPIRED or ARCHIVE_NOT_READY before anything is downloaded; else as
    `download`.
    """
    require_free(output, overwrite=overwrite)
    archive = status(client, project_id, archive_id)
    state = archive.get("status")
    if state != "ready":
        again = advice.command("cloud", "archives", "status", archive_id, "--project", project_id)
        new = advice.command("cloud", "archives", "create", "--project", project_id, "--output", output)
        running = state == "running"
        raise CommandError(
            f"The archive {archive_id} is {state}.",
            code="ARCHIVE_EXPIRED" if state == "expired" else "ARCHIVE_NOT_READY",
            hint=f"Look again: {again}" if running else f"Make a new one: {new}",
            details={"archive_id": archive_id, "status": state},
            next_actions=[advice.entry("run_command", again if running else new)],
            retryable=running,
        )
    written, replaced = download(client, project_id, archive, output, overwrite=overwrite)
    saved = str(output)
    return {
        "ok": True,
        "project_id": project_id,
        "archive_id": archive["archive_id"],
        "output_path": saved,
        "bytes_written": written,
        "replaced": replaced,
        "sha256": archive.get("sha256"),
        "verify_command": _verify_command(saved),
        "import_command": _import_command(saved, archive),
        "archive": archive,
    }


def _verify_command(path: str) -> str:
    return f"{advice.command('archives', 'verify')} {_double_quoted(path)} --json"


def _import_command(path: str, archive: Archive) -> str:
    verb = advice.command("core", "projects", "import")
    report = archive.get("export_report")
    no_secrets = isinstance(report, dict) and report.get("omitted_sensitive_resource_count") == 0
    values = "" if no_secrets else " --env-file ./required.env"
    return f"{verb} {_double_quoted(path)} --name imported-project{values} --json"


def _next_action(archive: Archive, saved: str | None) -> Any:
    """What the gateway says; once the file is here, its download is no next step but its check."""
    said = archive.get("next_action")
    line = as_typed.line_of(said)
    if saved is None or line is None or line.path != ["cloud", "archives", "download"]:
        return said
    return advice.run("archives", "verify", saved)


def _double_quoted(path: str) -> str:
    # The recorded form of these two commands; inside double quotes a shell reads no more than these four.
    return '"' + re.sub(r'([\\"$`])', r"\\\1", path) + '"'


def _document(spec: Export, archive: Archive, written: int) -> dict[str, Any]:
    saved = str(spec.output) if spec.output is not None and written else None
    return {
        "ok": archive.get("status") == "ready",
        "project_id": spec.project_id,
        "archive_id": archive["archive_id"],
        "operation_id": archive.get("operation_id"),
        "created_archive_id": archive["archive_id"],
        "archive_status": archive.get("status"),
        "output_path": saved,
        "bytes_written": written,
        "sha256": archive.get("sha256"),
        "byte_count": archive.get("byte_count"),
        "expires_at": archive.get("expires_at"),
        "verify_command": _verify_command(saved) if saved else None,
        "import_command": _import_command(saved, archive) if saved else None,
        "next_action": _next_action(archive, saved),
        "portability_report": archive.get("portability_report"),
        "export_report": archive.get("export_report"),
        "archive": archive,
    }
