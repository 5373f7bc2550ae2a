"""The one reader of standard input, for every command that takes data from it. A closed one is an empty one.

`read` waits for the whole input, and says so on stderr when nothing comes for a while: a harness that keeps a pipe open
must not see a silent command. `piped` is for a command that was not told to read: what is there counts, but nothing that
comes later than that while. See docs/protocol/conventions.md, "Standard input".
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator
from typing import IO, Any

from run402_cli import output

PATIENCE_S = 2.5
_CHUNK = 1 << 16


def is_terminal() -> bool:
    """Whether a person may type into standard input."""
    stream = _stream()
    return stream is not None and stream.isatty()


def is_open() -> bool:
    """Whether there is a standard input at all."""
    return _stream() is not None


def read(what: str, instead: str, *, limit: int = -1) -> bytes:
    """All of standard input, at most `limit` bytes; empty when it is closed.

    When no byte has come after PATIENCE_S seconds a line on stderr says that it waits for `what`, and how to pass it
    `instead`; --quiet does not hide that.
    """
    with _waited_for(what, instead) as stream:
        return b"" if stream is None else stream.read(limit)


def pieces(what: str, instead: str) -> Iterator[bytes]:
    """As `read`, piece by piece: for what need not be held as a whole."""
    with _waited_for(what, instead) as stream:
        if stream is None:
            return
        while piece := stream.read(_CHUNK):
            yield piece


@contextlib.contextmanager
def _waited_for(what: str, instead: str) -> Iterator[IO[bytes] | None]:
    """Standard input, None when it is closed; the note is gone when its first byte is there."""
    stream = _stream()
    if stream is None:
        yield None
        return
    note = threading.Timer(PATIENCE_S, output.request, [f"run402 waits for {what} on standard input. {instead}"])
    note.daemon = True
    note.start()
    try:
        peek: Callable[[int], bytes] | None = getattr(stream, "peek", None)
        if peek is not None:
            peek(1)
            note.cancel()
        yield stream
    finally:
        note.cancel()


def piped(*, limit: int | None = None) -> bytes:
    """What another program pipes in, at most about `limit` bytes; empty for a terminal, and when nothing comes in time."""
    stream = _stream()
    if stream is None or stream.isatty():
        return b""
    try:
        number = stream.fileno()
    except (OSError, ValueError):  # a stand-in without a descriptor
        return stream.read(-1 if limit is None else limit)
    first: list[bytes] = []
    # A thread that blocks for ever must hold no lock of the interpreter's own stream, so it reads the descriptor.
    reader = threading.Thread(target=lambda: first.append(_chunk(number)), daemon=True)
    reader.start()
    reader.join(PATIENCE_S)
    if not first:
        return b""
    data = first[0]
    while data and (limit is None or len(data) < limit) and (more := _chunk(number)):
        data += more
    return data


def _chunk(number: int) -> bytes:
    try:
        return os.read(number, _CHUNK)
    except OSError:  # a descriptor that cannot be read, such as a directory, holds nothing
        return b""


def _stream() -> IO[bytes] | None:
    stream: Any = sys.stdin  # None when the caller has closed it
    return None if stream is None or stream.closed else getattr(stream, "buffer", stream)
