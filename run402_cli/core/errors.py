"""The two errors of the gateway: one answers a request, the other stops a command before there is a gateway."""

from __future__ import annotations

from typing import Any

from run402_cli import advice


class GatewayError(Exception):
    """An HTTP error answer: `{"error": ..., "message": ..., "code": ..., **fields}`.

    `error` is the lower_snake_case word of the gateway dialect, `code` the word of the Cloud dialect: `error` in capitals
    where it is not given, none in the answer for `code=None`. Other useful fields: `details`, `hint`, `next_actions`,
    `resource`, `retryable`.
    """

    def __init__(self, status: int, error: str, message: str, **fields: Any) -> None:
        super().__init__(message)
        self.status = status
        self.error = error
        self.message = message
        fields = fields if "code" in fields else {"code": error.upper(), **fields}
        self.fields = {name: value for name, value in fields.items() if name != "code" or value is not None}
        wait = fields.get("retry_after_seconds")
        self.headers: dict[str, str] | None = None if wait is None else {"Retry-After": str(wait)}

    def body(self) -> dict[str, Any]:
        return {"error": self.error, "message": self.message, **self.fields}


def bad_field(field: str, wanted: str) -> GatewayError:
    """400 invalid_request: what a field of the request must be."""
    return GatewayError(400, "invalid_request", f"`{field}` must be {wanted}.", code=None, field=field)


class CoreProcessError(Exception):
    """Starting, stopping or finding the gateway failed. `code` is CORE_*; `details` never holds a secret."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        hint: str | None = None,
        details: dict[str, Any] | None = None,
        next_actions: list[dict[str, Any]] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.details = details or {}
        self.next_actions = next_actions or []

    def as_dict(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
            "details": self.details,
            "next_actions": self.next_actions,
        }


class CannotLook(CoreProcessError):
    """CORE_STATE_UNKNOWN: what runs in a directory cannot be told. Never a reason to remove, end or start anything."""

    def __init__(self, directory: object, reason: BaseException) -> None:
        words = (reason.strerror if isinstance(reason, OSError) else None) or str(reason) or type(reason).__name__
        super().__init__(
            "CORE_STATE_UNKNOWN",
            f"What runs in {directory} cannot be told: {words}. Nothing was changed.",
            hint="Allow more open files (ulimit -n) or run as the user who started it, then repeat.",
            details={"directory": str(directory), "reason": words},
        )


def run_command(*words: object) -> dict[str, Any]:
    """A next action: what to type after `run402`."""
    return advice.action("run_command", *words)
