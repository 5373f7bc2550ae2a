"""What verification finds, in the shape in which it is printed. See docs/protocol/archive-format.md, "Diagnostics"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

Diagnostic = dict[str, Any]
DOCS: Final = {"type": "read_docs", "message": "`run402 docs archives` explains each code."}


def diagnostic(
    code: str,
    message: str,
    resource_type: str,
    *,
    resource_id: str | None = None,
    path: str | None = None,
    severity: str = "blocking",
    context: Mapping[str, Any] | None = None,
    next_action: Mapping[str, Any] | None = None,
    retryable: bool = False,
) -> Diagnostic:
    """One finding, its keys in the order of the format; keys without a value are left out."""
    found: Diagnostic = {"code": code, "severity": severity, "resource_type": resource_type}
    if resource_id is not None:
        found["resource_id"] = resource_id
    if path is not None:
        found["path"] = path
    found |= {"message": message, "next_action": dict(next_action or DOCS), "retryable": retryable}
    if context is not None:
        found["context"] = dict(context)
    return found


def without_commands(said: Any) -> Any:
    """What an archive says of itself, without the commands that it would have its reader run."""
    if isinstance(said, list):
        return [without_commands(each) for each in said]
    if not isinstance(said, dict):
        return said
    return {key: _uncommanded(value) if key in _ACTIONS else without_commands(value) for key, value in said.items()}


_ACTIONS = ("next_action", "next_actions")


def _uncommanded(said: Any) -> Any:
    if isinstance(said, list):
        return [_uncommanded(each) for each in said]
    if not isinstance(said, dict):
        return {"type": "none"}
    return {key: value for key, value in said.items() if key in ("type", "env_var") and isinstance(value, str)}


class ArchiveFault(Exception):
    """The archive cannot be read, or not safely; `diagnostic` says why."""

    def __init__(
        self,
        code: str,
        message: str,
        resource_type: str,
        *,
        path: str | None = None,
        context: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.diagnostic = diagnostic(code, message, resource_type, path=path, context=context)
