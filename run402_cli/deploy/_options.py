"""What a caller may decide about a deploy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

Emit = Callable[[dict[str, Any]], None]


@runtime_checkable
class ByteWatcher(Protocol):
    """An `emit` that also wants to know, a few times a second during uploads, how many bytes have left."""

    def __call__(self, event: dict[str, Any], /) -> None: ...

    def bytes_sent(self, sent: int, total: int, files_done: int, files_total: int) -> None:
        """Bytes and objects sent so far, of how many. Called from the thread that emits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyOptions:
    """`command` is the shell command that started this deploy: errors name it as the way to continue.

    `require_plan` commits exactly the plan with this id (and `plan_fingerprint`). `idempotency_key` wins over the
    manifest's. `concurrency` bounds parallel uploads. `cloud_dialect` speaks Cloud to a Core gateway too. `teardown`
    (keep, on_pass, always) and `commit_rehearsed` belong to `rehearse`.
    """

    allow_warnings: bool = False
    allow_warning_codes: tuple[str, ...] = ()
    require_plan: str | None = None
    plan_fingerprint: str | None = None
    idempotency_key: str | None = None
    concurrency: int = 8
    cloud_dialect: bool = False
    teardown: str = "keep"
    commit_rehearsed: bool = False
    command: str = "run402 deploy apply"

    @property
    def required_plan(self) -> dict[str, str] | None:
        if self.require_plan is None:
            return None
        required = {"plan_id": self.require_plan}
        if self.plan_fingerprint is not None:
            required["plan_fingerprint"] = self.plan_fingerprint
        return required


def silent(_event: dict[str, Any]) -> None:
    """An `emit` that drops the event."""
