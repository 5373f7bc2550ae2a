"""REST errors: `{code, details, hint, message}`, from our own checks or from PostgreSQL."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

import psycopg

from run402_cli import advice, suggest
from run402_cli.core.projects.rows import Project

# PostgREST's table: SQLSTATE, or its first two characters, to HTTP status. The rest is 400.
_EXACT = {
    "21000": 500,
    "23503": 409,
    "23505": 409,
    "25006": 405,
    "42883": 404,
    "42P01": 404,
    "42P17": 500,
    "53400": 500,
    "P0001": 400,
}
_CLASS = {
    "08": 503,
    "09": 500,
    "0L": 403,
    "0P": 403,
    "25": 500,
    "28": 403,
    "2D": 500,
    "38": 500,
    "39": 500,
    "3B": 500,
    "40": 500,
    "53": 503,
    "54": 500,
    "55": 500,
    "57": 500,
    "58": 500,
    "F0": 500,
    "HV": 500,
    "P0": 500,
    "XX": 500,
}


_DENIED = {
    "anon": "The anon key reaches what the project's expose manifest opens to anon: see `run402 projects get-expose`. "
    "Send a user's token as bearer if this needs a user.",
    "authenticated": "A user reaches what the project's expose manifest and its policies open: "
    "see `run402 projects get-expose`.",
}
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_FRAMING_HEADERS = frozenset({"content-length", "transfer-encoding", "connection"})


class RestError(Exception):
    """One REST error answer. `code` is a PGRST code or a SQLSTATE; `extra` are further keys of the body."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        details: Any = None,
        hint: str | None = None,
        headers: dict[str, str] | None = None,
        extra: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.details = details
        self.hint = hint
        self.headers = headers or {}
        self.extra = extra or {}

    def body(self) -> dict[str, Any]:
        return {"code": self.code, "details": self.details, "hint": self.hint, "message": self.message, **self.extra}


def parse_error(where: str, text: str, position: int, expected: str) -> RestError:
    """PGRST100: a part of the query string does not follow the grammar. `position` counts characters from 0."""
    shown = text if len(text) <= 200 else text[:200] + "..."
    seen = f'"{text[position]}"' if position < len(text) else "the end"
    return RestError(
        400,
        "PGRST100",
        f"Cannot read {where}: {json.dumps(shown, ensure_ascii=False)}",
        details=f"At character {position + 1}: found {seen}, expected {expected}.",
    )


def from_database(error: psycopg.Error, role: str) -> RestError:
    """What PostgreSQL said, with PostgREST's status for its SQLSTATE. `role` is the role the statement ran as."""
    state = error.sqlstate
    if state is None:
        return RestError(400, "22021", f"PostgreSQL cannot take a value of this request: {error}")
    diag = error.diag
    message = diag.message_primary or str(error)
    if state == "PGRST":
        return _raised_answer(message, diag.message_detail)
    if state.startswith("PT"):
        # RAISE ... USING ERRCODE = 'PT402' is how a function picks its own status.
        number = int(state[2:]) if state[2:].isdigit() else 500
        return RestError(
            number if 200 <= number <= 599 else 500,
            state,
            message,
            details=diag.message_detail,
            hint=diag.message_hint,
        )
    if state == "42501":
        return denied(role, message, details=diag.message_detail, hint=diag.message_hint)
    status = _EXACT.get(state) or _CLASS.get(state[:2], 400)
    return RestError(status, state, message, details=diag.message_detail, hint=diag.message_hint)


def denied(role: str, message: str, *, details: str | None = None, hint: str | None = None) -> RestError:
    """What PostgreSQL does not permit the role: 401 for anon, who may be somebody else with a token, 403 for the others."""
    status, headers = (401, {"WWW-Authenticate": "Bearer"}) if role == "anon" else (403, {})
    ours = None if hint else _DENIED.get(role)
    see = {"next_actions": [advice.run("projects", "get-expose")]} if ours else None
    return RestError(status, "42501", message, details=details, hint=hint or ours, headers=headers, extra=see)


def _raised_answer(message: str, detail: str | None) -> RestError:
    """RAISE sqlstate 'PGRST': the message is the JSON body, the detail is `{"status": ..., "headers": {...}}`."""
    try:
        body, answer = json.loads(message), json.loads(detail or "")
        return RestError(
            checked_status(str(answer["status"])),
            str(body["code"]),
            str(body["message"]),
            details=body.get("details"),
            hint=body.get("hint"),
            headers=dict(checked_headers(answer.get("headers", {}).items())),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return RestError(
            500,
            "PGRST121",
            "A function raised SQLSTATE 'PGRST' with a message or detail that is not the expected JSON.",
            hint='Raise MESSAGE \'{"code":"...","message":"..."}\' with DETAIL \'{"status":402,"headers":{}}\'.',
        )


def checked_status(text: str) -> int:
    """A status that a function chose. ValueError unless it is 200..599."""
    if not re.fullmatch("[2-5][0-9]{2}", text, re.ASCII):
        raise ValueError(f"{text[:50]!r} is not a status from 200 to 599")
    return int(text)


def checked_headers(pairs: Iterable[tuple[object, object]]) -> list[tuple[str, str]]:
    """Headers that a function chose, without those that frame the message. ValueError for one that could break out."""
    found = [(str(name), str(value)) for name, value in pairs]
    for name, value in found:
        if not _HEADER_NAME.fullmatch(name) or not (value.isascii() and value.isprintable()):
            raise ValueError(f"{name[:50]!r} is not a header of printable ASCII")
    return [(name, value) for name, value in found if name.lower() not in _FRAMING_HEADERS]


def unknown_relation(project: Project, name: str, known: list[str]) -> RestError:
    """PGRST205: no table or view of that name in the project's schema."""
    close = suggest.alike(name, known)
    hint = f"Perhaps you meant the table '{project.schema_slot}.{close[0]}'" if close else None
    message = f"Could not find the table '{project.schema_slot}.{name}' in the schema cache"
    return RestError(404, "PGRST205", message, hint=hint)
