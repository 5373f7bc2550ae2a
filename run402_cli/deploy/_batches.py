"""Small objects, many in one request: our own gateway says in its plan that it takes them so, and how many.

See docs/protocol/deploy.md, "Batches".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from run402_cli.deploy._bytes import PIECE_BYTES, Content

if TYPE_CHECKING:
    from run402_cli.release.content import ContentObject


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one request: bytes of its body, objects, and bytes of each."""

    max_bytes: int
    max_objects: int
    max_object_bytes: int


def limits(plan: Mapping[str, Any]) -> Limits | None:
    """What a plan's `content_batches` says; None from a gateway that takes objects one by one."""
    said = plan.get("content_batches")
    values = [said.get(name) for name in Limits.__slots__] if isinstance(said, dict) else []
    whole = [value for value in values if isinstance(value, int) and not isinstance(value, bool) and value > 0]
    return Limits(*whole) if len(whole) == len(Limits.__slots__) else None


def grouped(
    items: Sequence[ContentObject], most: Limits | None
) -> tuple[list[list[ContentObject]], list[ContentObject]]:
    """The objects that go in batches, by batch, and those that go alone."""
    batches: list[list[ContentObject]] = []
    alone: list[ContentObject] = []
    left = 0
    for item in items:
        length = len(_head(item)) + item.size
        if most is None or item.size > most.max_object_bytes or length > most.max_bytes:
            alone.append(item)
            continue
        if not batches or length > left or len(batches[-1]) == most.max_objects:
            batches.append([])
            left = most.max_bytes
        batches[-1].append(item)
        left -= length
    return batches, alone


def length_of(batch: Sequence[ContentObject]) -> int:
    """Bytes of a batch as it is sent."""
    return sum(len(_head(item)) + item.size for item in batch)


def body(contents: Sequence[Content]) -> Iterator[bytes]:
    """The bytes of a batch, in pieces. Raises ContentChangedError, and Stopped when another upload failed."""
    piece = bytearray()
    for content in contents:
        piece += _head(content.item)
        piece += content.whole()
        if len(piece) >= PIECE_BYTES:
            yield bytes(piece)
            piece.clear()
    if piece:
        yield bytes(piece)


def _head(item: ContentObject) -> bytes:
    return f"{item.sha256} {item.size}\n".encode()
