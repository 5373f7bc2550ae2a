"""JSON values that are nested deeper than anything a person reads: they would end the interpreter's stack."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

DEEPEST = 64
CUT = "..."


def cut(value: Any, deepest: int = DEEPEST) -> Any:
    """A JSON value whose objects and lists below `deepest` levels are the text `...`; itself where there are none."""
    if not _is_deeper(value, deepest):
        return value
    root: list[Any] = [value]
    places: list[tuple[Any, Any, int]] = [(root, 0, 0)]
    while places:
        holder, key, depth = places.pop()
        found = holder[key]
        if not isinstance(found, dict | list | tuple):
            continue
        if depth >= deepest:
            holder[key] = CUT
            continue
        copy: Any = dict(found) if isinstance(found, dict) else list(found)
        holder[key] = copy
        places += [(copy, name, depth + 1) for name in (copy if isinstance(copy, dict) else range(len(copy)))]
    return root[0]


def _is_deeper(value: Any, deepest: int) -> bool:
    level = [value]
    for _ in range(deepest + 1):
        level = [
            item
            for found in level
            if isinstance(found, dict | list | tuple)
            for item in (found.values() if isinstance(found, dict) else found)
            if isinstance(item, dict | list | tuple)
        ]
        if not level:
            return False
    return True
