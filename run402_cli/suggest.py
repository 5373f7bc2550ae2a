"""Did-you-mean: the closest known word within three edits. The first of equals wins."""

from __future__ import annotations

from collections.abc import Iterable

_MAX_DISTANCE = 3


def closest(word: str, candidates: Iterable[str]) -> list[str]:
    """`[candidate]`, or `[]` when nothing is near enough."""
    best: str | None = None
    best_distance = _MAX_DISTANCE + 1
    for candidate in candidates:
        if abs(len(candidate) - len(word)) < best_distance:
            distance = _levenshtein(word, candidate)
            if distance < best_distance:
                best, best_distance = candidate, distance
    return [best] if best is not None else []


def did_you_mean(found: list[str]) -> str:
    """ " Did you mean X?" or nothing."""
    return f" Did you mean {found[0]}?" if found else ""


def _levenshtein(a: str, b: str) -> int:
    row = list(range(len(b) + 1))
    for i, char in enumerate(a, 1):
        previous, row[0] = row[0], i
        for j, other in enumerate(b, 1):
            cost = previous if char == other else 1 + min(previous, row[j], row[j - 1])
            previous, row[j] = row[j], cost
    return row[-1]
