"""The rows of an answer as they come, one at a time: how many there are does not matter."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from typing import Any

from run402_cli import exact_json
from run402_cli.client.bounded import MOST_BYTES, NotJson, TooLarge

_PIECE = 1 << 16
_BLANK = " \t\r\n"


class Rows:
    """The items of a JSON array that comes in pieces, or of the member `name` of an object; `around` has what is around it.

    NotJson for what is none or was cut, TooLarge for one row that no command could keep.
    """

    def __init__(self, pieces: Iterable[bytes], name: str | None = None) -> None:
        self.around: dict[str, Any] = {}
        self._pieces = iter(pieces)
        self._name = name
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._text, self._at, self._ended = "", 0, False
        self._reader = exact_json.reader("")

    def is_list(self) -> bool:
        """Whether the answer is an array; to be asked before it is read."""
        return self._next() == "["

    def whole(self) -> Any:
        """The answer in one piece."""
        value = self._value()
        self._end()
        return value

    def __iter__(self) -> Iterator[Any]:
        yield from self._items() if self._name is None else self._members(self._name)
        self._end()

    def _members(self, name: str) -> Iterator[Any]:
        self._take("{")
        while self._next() != "}":
            key = self._value()
            self._take(":")
            if key == name and self._next() == "[":
                yield from self._items()
            else:
                self.around[str(key)] = self._value()
            if self._next() != "}":
                self._take(",")
        self._take("}")

    def _items(self) -> Iterator[Any]:
        self._take("[")
        while self._next() != "]":
            yield self._value()
            if self._next() != "]":
                self._take(",")
        self._take("]")

    def _value(self) -> Any:
        self._next()
        while True:
            try:
                value, end = exact_json.first(self._text, self._at, self._reader)
            except (ValueError, RecursionError) as exc:
                if self._more():
                    continue
                raise NotJson("the answer says that it is JSON and is none, or it was cut") from exc
            # The digits of a number may go on in the next piece.
            if end < len(self._text) or not self._more():
                self._at = end
                return value

    def _next(self) -> str:
        """The next sign, which is not taken; empty at the end."""
        while True:
            while self._at < len(self._text):
                if self._text[self._at] not in _BLANK:
                    return self._text[self._at]
                self._at += 1
            if not self._more():
                return ""

    def _take(self, sign: str) -> None:
        if self._next() != sign:
            raise NotJson(f"the answer says that it is JSON and is none, or it was cut: {sign} is missing")
        self._at += 1

    def _end(self) -> None:
        if self._next():
            raise NotJson("the answer goes on after its end")

    def _more(self) -> bool:
        """Whether there was more; as much again as waits, so that a long row is not begun too often."""
        waiting = len(self._text) - self._at
        if waiting > MOST_BYTES:
            raise TooLarge(f"a row is larger than {MOST_BYTES >> 20} MiB")
        parts, size = [self._text[self._at :]], 0
        try:
            while not self._ended and size < max(waiting, _PIECE):
                piece = next(self._pieces, None)
                self._ended = piece is None
                parts.append(self._decoder.decode(piece or b"", final=self._ended))
                size += len(parts[-1])
        except UnicodeDecodeError as exc:
            raise NotJson(f"the answer is no UTF-8: {exc}") from exc
        self._text, self._at = "".join(parts), 0
        self._reader = exact_json.reader(self._text)
        return size > 0
