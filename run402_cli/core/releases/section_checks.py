"""One of the spec's `checks` as a value. Pure. See docs/local-gateway.md, "Checks"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Check:
    """One request and the statuses that pass; none listed means anything below 400."""

    name: str
    path: str
    method: str = "GET"
    expected: tuple[int, ...] = ()

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> Check:
        """A checked entry of the spec's `checks`."""
        http = entry["http"]
        status = (http.get("expect") or {}).get("status", [])
        expected = tuple(int(wanted) for wanted in (status if isinstance(status, list) else [status]))
        return cls(entry["name"], http["path"], http.get("method", "GET"), expected)

    def accepts(self, status: int) -> bool:
        return status in self.expected if self.expected else status < 400
