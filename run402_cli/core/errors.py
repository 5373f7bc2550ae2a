"""The one error that gateway code raises; app.py turns it into the JSON error body."""

from __future__ import annotations

from typing import Any


class GatewayError(Exception):
    """An HTTP error answer: `{"error": code, "message": ..., **fields}`.

    `error` is the lower_snake_case word of the gateway dialect; pass `code="UPPER_SNAKE"` in fields where the
    Cloud dialect has one. Other useful fields: `details`, `hint`, `next_actions`, `resource`, `retryable`.
    """

    def __init__(self, status: int, error: str, message: str, **fields: Any) -> None:
        super().__init__(message)
        self.status = status
        self.error = error
        self.message = message
        self.fields = fields

    def body(self) -> dict[str, Any]:
        return {"error": self.error, "message": self.message, **self.fields}
