"""The parts of one object, a few on their way at a time: while some travel, the next one is hashed."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from run402_cli.deploy._bytes import Content
from run402_cli.deploy._workers import Stopped, run_jobs

PARALLEL = 3


class Range(Protocol):
    """Bytes [start, start + length) of the object."""

    @property
    def start(self) -> int: ...
    @property
    def length(self) -> int: ...


P = TypeVar("P", bound=Range)


def send_parts(
    content: Content, parts: Sequence[P], send: Callable[[Content, P, str], None], *, checksums: bool = True
) -> None:
    """Call `send(content, part, checksum)` for each part, after the first at most 3 at a time.

    Checksums are base64 SHA-256. When the parts are the whole object, its digest is compared before the last one
    leaves. Without `checksums` (the store checks the whole object itself) they are empty, and each byte is read once.
    After a failure no part starts, those on their way are given up, and the failure is raised.
    """
    computed = _Checksums(content, parts) if checksums else None

    def work(index: int, stop: threading.Event) -> None:
        mine = content.within(stop)
        send(mine, parts[index], computed.of(mine, index, stop) if computed else "")

    # The first one alone: a store that refuses it, or that has no use for parts, is not sent more of them.
    for indexes in (range(1), range(1, len(parts))):
        run_jobs(indexes, work, workers=PARALLEL, finished=lambda _index: None, tick=lambda: None)


class _Checksums:
    """Checksums in the order of the parts, so that one pass also gives the digest of the whole."""

    def __init__(self, content: Content, parts: Sequence[Range]) -> None:
        self._content = content
        self._parts = parts
        self._complete = sum(part.length for part in parts) == content.item.size
        self._whole = hashlib.sha256()
        self._next = 0
        self._turn = threading.Condition()

    def of(self, content: Content, index: int, stop: threading.Event) -> str:
        with self._turn:
            while self._next != index:
                if stop.is_set():
                    raise Stopped
                self._turn.wait(0.2)
            part = self._parts[index]
            checksum = content.checksum(part.start, part.length, self._whole)
            if self._complete and index == len(self._parts) - 1:
                content.check_whole(self._whole)
            self._next += 1
            self._turn.notify_all()
            return checksum
