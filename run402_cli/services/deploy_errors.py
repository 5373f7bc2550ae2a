"""How a failed deploy call becomes an error. See docs/protocol/errors.md, "Deploy errors".

A body with a code keeps that code and all of its fields. Authorization (401, 403), payment (402) and transfer
refusals stay the common API error. A client error without a code is API_ERROR, an answer that makes no sense
INTERNAL_ERROR.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from run402_cli.errors import ApiError, DeployError, NetworkError, Run402Error

_OUTER = (
    *("category", "retryable", "safe_to_retry", "mutation_state", "trace_id", "details", "next_actions"),
    # Not part of the inner object either, and needed to continue the operation.
    *("operation_id", "plan_id"),
)
_FROM_DETAILS = ("phase", "resource", "operation_id", "plan_id", "fix", "logs", "rolled_back")
_COMMON = (401, 402, 403)
_PASSING = (408, 425, 429)


@contextlib.contextmanager
def deploy_step(phase: str, *, operation_id: str | None = None, plan_id: str | None = None) -> Iterator[None]:
    """Turn an ApiError into the DeployError of this step and let a NetworkError say which operation it hit."""
    ids = {"operation_id": operation_id, "plan_id": plan_id}
    try:
        yield
    except ApiError as exc:
        error = from_answer(exc, phase=phase, **ids)
        error.retry_after = exc.retry_after
        raise error from exc
    except NetworkError as exc:
        exc.extra = {"phase": phase, **{key: value for key, value in ids.items() if value}, **exc.extra}
        raise


def from_answer(
    exc: ApiError, *, phase: str, operation_id: str | None = None, plan_id: str | None = None
) -> Run402Error:
    """The error of a deploy call that the gateway refused."""
    if exc.http in _COMMON or exc.fields.get("code") == "PROJECT_HAS_PENDING_TRANSFER":
        return exc
    ids = {"operation_id": operation_id, "plan_id": plan_id}
    if (coded := coded_body(exc.body)) is not None:
        return from_body(coded, phase=phase, fallback=exc.message, **ids)
    fields = {key: value for key, value in exc.fields.items() if key not in ("status", "code", "message", "http")}
    if isinstance(exc.body, str):
        fields["body_preview"] = exc.body[:500]
    ours = {"phase": phase, "retryable": exc.http >= 500 or exc.http in _PASSING, **ids}
    fields = {**{key: value for key, value in ours.items() if value is not None}, **fields}
    code = "INTERNAL_ERROR" if exc.http >= 500 else "API_ERROR"
    return DeployError(exc.message, code=code, http=exc.http, **fields)


def coded_body(body: Any) -> dict[str, Any] | None:
    """The part of an error body that has a code: the body itself, or its `error` object with the outer hints."""
    if not isinstance(body, dict):
        return None
    inner = body.get("error")
    if isinstance(inner, dict) and _text(inner.get("code")):
        outer = {key: body[key] for key in _OUTER if body.get(key) is not None}
        return {**outer, **{key: value for key, value in inner.items() if value is not None}}
    return dict(body) if _text(body.get("code")) else None


def from_body(
    body: dict[str, Any],
    *,
    phase: str,
    fallback: str,
    operation_id: str | None = None,
    plan_id: str | None = None,
) -> DeployError:
    """A DeployError from an error object with a code; what it does not say comes from its details, then from here."""
    raw = body.get("details")
    details: dict[str, Any] = raw if isinstance(raw, dict) else {}
    fields = {
        key: value for key, value in body.items() if key not in ("status", "code", "message") and value is not None
    }
    for key in _FROM_DETAILS:
        if key not in fields and details.get(key) is not None:
            fields[key] = details[key]
    message = _text(body.get("message")) or _text(body.get("error")) or _text(details.get("message")) or fallback
    for key, value in {"phase": phase, "operation_id": operation_id, "plan_id": plan_id}.items():
        if value is not None:
            fields.setdefault(key, value)
    return DeployError(message, code=str(body["code"]), **fields)


def from_snapshot(error: Any, *, status: str, phase: str, operation_id: str | None, plan_id: str | None) -> DeployError:
    """The error of an operation that ended in `status`; `error` is the snapshot's, which may be missing."""
    ids = {"operation_id": operation_id, "plan_id": plan_id}
    fallback = f"The deploy operation ended as {status} without saying why."
    coded = coded_body(error) or coded_body({"error": error})
    if coded is None:
        text = _text(error.get("message")) if isinstance(error, dict) else _text(error)
        return DeployError(
            text or fallback, code="INTERNAL_ERROR", phase=phase, rolled_back=status == "rolled_back", **ids
        )
    if status == "rolled_back":
        coded.setdefault("rolled_back", True)
    return from_body(coded, phase=phase, fallback=fallback, **ids)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
