"""Errors of the release package in the envelopes of this program, and what every failed deploy says about going on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from run402_cli import advice
from run402_cli.deploy import _warnings
from run402_cli.errors import ApiError, DeployError, Interrupted, NetworkError, Run402Error, ValidationError
from run402_cli.release.errors import ReleaseError
from run402_cli.text_files import FileText

_PASSING = (408, 425, 429)
_WHY = "A second run sends only what is missing and applies nothing twice."


def from_release(error: ReleaseError) -> Run402Error:
    """ValidationError for the manifest and the files it names, DeployError for a spec that cannot be planned."""
    if error.phase is None:
        return ValidationError(error.message, code=error.code, details=error.details)
    return DeployError(
        error.message,
        code=error.code,
        phase=error.phase,
        resource=error.resource,
        details=dict(error.details) if error.details else None,
        fix=dict(error.fix) if error.fix else None,
        hint=error.hint,
        **dict(error.body or {}),
    )


@contextlib.contextmanager
def release_errors() -> Iterator[None]:
    """ReleaseErrors raised inside are reported in the shape of deploy errors."""
    try:
        yield
    except ReleaseError as exc:
        raise from_release(exc) from exc


@contextlib.contextmanager
def continued_by_rerun(command: str) -> Iterator[None]:
    """Failures inside end in our errors; those that a second run can cure name `command`."""
    actions = [advice.entry("retry", advice.parsed(command), why=_WHY)]
    try:
        yield
    except ReleaseError as exc:
        error = from_release(exc)
        if isinstance(error, DeployError) and exc.code == "CONTENT_CHANGED":
            error.fields["next_actions"] = actions
        raise error from exc
    except Interrupted as exc:
        exc.resume = exc.resume or command
        raise
    except NetworkError as exc:
        exc.extra.setdefault("next_actions", actions)
        raise
    except ApiError as exc:
        if exc.retryable or passes(exc):
            exc.extra.setdefault("next_actions", actions)
        raise
    except DeployError as exc:
        _warnings.add_guidance(exc)
        if curable(exc) and not exc.fields.get("next_actions"):
            exc.fields["next_actions"] = actions
        raise


@contextlib.contextmanager
def naming_sql_files(spec: Mapping[str, Any]) -> Iterator[None]:
    """A failure of a migration that came from a file says which: `file` in its details, `file:line` before its message."""
    try:
        yield
    except DeployError as exc:
        told = exc.fields.get("details")
        details: dict[str, Any] = dict(told) if isinstance(told, dict) else {}
        resource = str(exc.fields.get("resource") or "")
        named = details.get("migration_id") or exc.fields.get("migration_id")
        sql = _sql(spec, str(named or resource.removeprefix("database.migrations.")))
        if isinstance(sql, FileText):
            line, position = details.get("line"), details.get("position")
            if line is None and isinstance(position, int):
                line = sql.count("\n", 0, position - 1) + 1
            exc.fields["details"] = {**details, "file": sql.file, **({"line": line} if line is not None else {})}
            exc.message = f"{sql.file}:{f'{line}:' if line is not None else ''} {exc.message}"
        raise


def _sql(spec: Mapping[str, Any], migration_id: str) -> Any:
    database = spec.get("database")
    for entry in (database.get("migrations") or ()) if isinstance(database, dict) else ():
        named = entry.get("name")
        # A migration with a name has it and part of its checksum as its id.
        if entry.get("id") == migration_id or (named is not None and migration_id.rpartition("_")[0] == named):
            return entry.get("sql")
    return None


def passes(error: ApiError) -> bool:
    """Whether this kind of answer goes away by itself; the envelope then says so, unless the gateway denies it."""
    if error.http < 500 and error.http not in _PASSING:
        return False
    error.extra.setdefault("retryable", True)
    return True


def curable(error: DeployError) -> bool:
    """Whether going on may help: the error says so, or the answer made no sense, or a store refused the bytes."""
    refused_bytes = error.code == "CONTENT_UPLOAD_FAILED" and "http" in error.fields
    return error.retryable or error.code == "INTERNAL_ERROR" or refused_bytes


@contextlib.contextmanager
def left_behind(**known: str | None) -> Iterator[None]:
    """Failures inside name what they leave behind: `operation_id`, `plan_id`, and the `phase` they happened in."""
    facts = {key: value for key, value in known.items() if value}
    try:
        yield
    except (NetworkError, ApiError, Interrupted) as exc:
        exc.extra = {**facts, **exc.extra}
        raise
    except DeployError as exc:
        exc.fields = {**facts, **exc.fields}
        raise
