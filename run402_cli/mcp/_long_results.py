"""Long lists that a tool showed only the beginning of, kept in this process for expand_result."""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from run402_cli.errors import ValidationError

MAX_ENTRIES = 32
TTL_S = 30 * 60.0
WINDOW = 20


@dataclass(frozen=True, slots=True)
class _Entry:
    items: Sequence[Any]
    stored_at: float


class Store:
    """At most 32 lists, each for half an hour from when it was stored; the oldest goes first. Never for secrets."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._clock = clock
        self._lock = threading.Lock()

    def keep(self, items: Sequence[Any]) -> str:
        """Store a list; returns its ref."""
        ref = f"res_{secrets.token_hex(8)}"
        with self._lock:
            self._entries[ref] = _Entry(tuple(items), self._clock())
            while len(self._entries) > MAX_ENTRIES:
                self._entries.popitem(last=False)
        return ref

    def read(self, ref: str, *, offset: int, limit: int) -> dict[str, Any]:
        """{ref, offset, shown, total, items, next_offset}. ValidationError RESULT_NOT_FOUND for a ref that is not there."""
        with self._lock:
            entry = self._entries.get(ref)
            if entry is not None and self._clock() - entry.stored_at >= TTL_S:
                del self._entries[ref]
                entry = None
        if entry is None:
            raise ValidationError(
                f"There is no stored result {ref!r}: results are kept for half an hour. Call the tool again that made it.",
                code="RESULT_NOT_FOUND",
                details={"ref": ref},
            )
        items = list(entry.items[offset : offset + limit])
        end = offset + len(items)
        total = len(entry.items)
        following = end if end < total else None
        return {
            "ref": ref,
            "offset": offset,
            "shown": len(items),
            "total": total,
            "next_offset": following,
            "items": items,
        }


def windowed(store: Store, value: Any) -> tuple[Any, list[dict[str, Any]]]:
    """`value` with each list of more than WINDOW entries cut there, and where the rest of each is: path, shown, total, ref."""
    cuts: list[dict[str, Any]] = []

    def walk(part: Any, path: str) -> Any:
        if isinstance(part, dict):
            return {key: walk(item, f"{path}.{key}" if path else key) for key, item in part.items()}
        if not isinstance(part, list):
            return part
        if len(part) > WINDOW:
            cuts.append({"path": path or "result", "shown": WINDOW, "total": len(part), "ref": store.keep(part)})
        return [walk(item, f"{path}[]") for item in part[:WINDOW]]

    return walk(value, ""), cuts
