"""Content read for sending, checked to be what was hashed."""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from run402_cli.deploy._workers import Stopped
from run402_cli.release.errors import ContentChangedError

if TYPE_CHECKING:
    from run402_cli.release.content import ContentObject

PIECE_BYTES = 192 * 1024
_UNCHANGED = "its content is not what it was, although its size and time are"


class Meter:
    """Bytes that left for the gateway, counted by several threads."""

    def __init__(self) -> None:
        self.sent = 0
        self._lock = threading.Lock()

    def add(self, count: int) -> None:
        with self._lock:
            self.sent += count


class Content:
    """One object's bytes, in pieces. The file is opened for each pass and must still be the one that was hashed."""

    def __init__(self, item: ContentObject, stop: threading.Event, meter: Meter | None = None) -> None:
        self.item = item
        self._stop = stop
        self._meter = meter
        self._sent = Meter()
        self._inner = stop

    def within(self, stop: threading.Event) -> Content:
        """The same object for one of several threads of an attempt that `stop` ends."""
        other = Content(self.item, self._stop, self._meter)
        other._sent, other._inner = self._sent, stop
        return other

    def wait(self, seconds: float) -> None:
        """Pause before another attempt. Raises Stopped as soon as another upload failed."""
        if self._stop.wait(seconds):
            raise Stopped

    def rewind(self) -> None:
        """Take back what an attempt that failed had counted."""
        if self._meter is not None:
            self._meter.add(-self._sent.sent)
        self._sent = Meter()

    def sending(self, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """`pieces`, counted as sent."""
        for data in self.pieces(start, length):
            yield data
            if self._meter is not None:
                self._sent.add(len(data))
                self._meter.add(len(data))

    def whole(self) -> bytes:
        """All of a small object at once, counted as sent: what it hashes to says that it is what was hashed.

        Raises like `pieces`.
        """
        if self._stop.is_set():
            raise Stopped
        with self.item.source.open() as handle:
            data = handle.read(self.item.size + 1)
        if len(data) != self.item.size or hashlib.sha256(data).hexdigest() != self.item.sha256:
            raise ContentChangedError(self.item.label, _UNCHANGED)
        if self._meter is not None:
            self._sent.add(len(data))
            self._meter.add(len(data))
        return data

    def pieces(self, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """`length` bytes from `start`, at most PIECE_BYTES at a time. A pass over everything also compares the
        digest.

        Raises ContentChangedError, and Stopped when another upload failed.
        """
        left = self.item.size if length is None else length
        whole = hashlib.sha256() if (start, left) == (0, self.item.size) else None
        with self.item.source.open() as handle:
            handle.seek(start)
            while left:
                if self._stop.is_set() or self._inner.is_set():
                    raise Stopped
                data = handle.read(min(PIECE_BYTES, left))
                if not data:
                    raise ContentChangedError(self.item.label, "it is shorter than it was")
                left -= len(data)
                if whole is not None:
                    whole.update(data)
                if not left:
                    self._finish(whole)
                yield data

    def _finish(self, whole: hashlib._Hash | None) -> None:
        # Before the last piece leaves: an upload that lacks it is never accepted.
        self.item.source.verify_unchanged()
        if whole is not None and whole.hexdigest() != self.item.sha256:
            raise ContentChangedError(self.item.label, _UNCHANGED)

    def checksum(self, start: int, length: int, whole: hashlib._Hash) -> str:
        """Base64 SHA-256 of a range; its bytes are also added to `whole`."""
        part = hashlib.sha256()
        for data in self.pieces(start, length):
            part.update(data)
            whole.update(data)
        return base64.b64encode(part.digest()).decode()

    def check_whole(self, whole: hashlib._Hash) -> None:
        """Compare the digest collected over all parts. Raises ContentChangedError."""
        if whole.hexdigest() != self.item.sha256:
            raise ContentChangedError(self.item.label, _UNCHANGED)


class Body:
    """A request body that can be sent again: each iteration reads anew."""

    def __init__(self, pieces: Callable[[], Iterator[bytes]]) -> None:
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces()
