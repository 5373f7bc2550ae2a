"""The one writer of stdout and stderr: JSON results, NDJSON events, the error envelope, plain notices."""

from __future__ import annotations

import contextlib
import sys
import threading

from run402_cli import control_characters, global_options
from run402_cli.errors import OutputLost

TYPE_CHECKING = False
if TYPE_CHECKING:  # root help must not pay for typing
    from collections.abc import Callable, Iterable
    from typing import Any, TextIO

    from run402_cli.progress import Display


def emit(value: Any, *, compact: bool = False) -> None:
    """Print the command's result on stdout: one JSON document, two-space indent unless `compact`."""
    if global_options.current.reshapes:
        _reshaped(value)
    else:
        _write(sys.stdout, dumps(value, compact=compact))


def emit_line(value: Any) -> None:
    """Print one NDJSON line on stdout (streaming commands) and flush it."""
    if global_options.current.reshapes:
        _reshaped(value, lines=True)
    else:
        _write(sys.stdout, dumps(value, compact=True))


def emit_rows(rows: Iterable[Any], columns: Callable[[], list[str]] = list) -> None:
    """Print rows as they come, in the format of lines that was asked for (`streams` of the global options).

    `columns` are those of the header where no row came, known by then.
    """
    if global_options.current.format == "csv":
        from run402_cli import csv_format

        lines = csv_format.streamed(rows, columns)
    else:
        lines = (dumps(row, compact=True) for row in rows)
    waiting: list[str] = []
    size = 0
    for line in lines:
        waiting.append(line)
        size += len(line)
        if size > _TOGETHER:
            _write(sys.stdout, "\n".join(waiting))
            waiting, size = [], 0
    if waiting:
        _write(sys.stdout, "\n".join(waiting))


_TOGETHER = 65_536


def _reshaped(value: Any, *, lines: bool = False) -> None:
    from run402_cli import projection

    if not lines:  # the lines of a stream differ from each other
        projection.check_fields(value, global_options.current)
    style = (lambda item, compact: dumps(item, compact=True)) if lines else dumps
    for text in projection.render(value, global_options.current, style, notice):
        _write(sys.stdout, text)


def emit_text(text: str) -> None:
    """Print help or another plain text on stdout."""
    _write(sys.stdout, text.rstrip("\n"))


def emit_bytes(data: bytes) -> None:
    """Write what a server sent to stdout, byte for byte; a terminal gets it as text without control characters."""
    if sys.stdout.isatty() or getattr(sys.stdout, "buffer", None) is None:
        _write(sys.stdout, data.decode("utf-8", "backslashreplace"))
        return
    event.settle()
    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.flush()
    except OSError as exc:
        raise OutputLost(exc) from exc


class _Events:
    """Progress on stderr, unless --quiet: one JSON line for each event, or drawn when stderr is a terminal."""

    def __init__(self) -> None:
        self._display: Display | None = None
        self._lock = threading.RLock()

    def __call__(self, event: Any) -> None:
        """Print or draw one event, without secrets."""
        if global_options.current.quiet:
            return
        from run402_cli import secrecy

        event = secrecy.public(event)
        display = self._drawn()
        if display is None:
            _say(dumps(event, compact=True))
            return
        with contextlib.suppress(OSError):  # the terminal may be gone
            if not (isinstance(event, dict) and display.show(event)):
                display.line(dumps(event, compact=True))

    def bytes_sent(self, sent: int, total: int, files_done: int, files_total: int) -> None:
        """Draw how far an upload is; lines of JSON say it file by file."""
        if not global_options.current.quiet and (display := self._drawn()) is not None:
            with contextlib.suppress(OSError):
                display.bytes_sent(sent, total, files_done, files_total)

    def settle(self) -> None:
        """Give the terminal back before anything else is written to it."""
        with self._lock:
            if self._display is not None:
                with contextlib.suppress(OSError):
                    self._display.close()
                self._display = None

    def _drawn(self) -> Display | None:
        if not sys.stderr.isatty():
            return None
        with self._lock:
            if self._display is None:
                from run402_cli.progress import Display

                self._display = Display(sys.stderr)
            return self._display


event = _Events()


def notice(text: str) -> None:
    """Print one plain line on stderr, unless --quiet: warnings and one-time-secret notes. Never a secret."""
    if not global_options.current.quiet:
        _write(sys.stderr, text)


def request(text: str) -> None:
    """Print one plain line on stderr that a person must act on, such as an address to open; --quiet does not hide it."""
    _write(sys.stderr, text)


def verdict(why: str, next_command: str) -> None:
    """Print why the answer is no and what to run, as one plain line on stderr; main prints it for each `Verdict`.

    The result is on stdout as always, but --jq, --fields and --human may show none of it; --quiet does not hide the line.
    """
    request(f"{why.rstrip('.')}. Next: {next_command}")


def error(envelope: dict[str, Any]) -> None:
    """Print the error envelope, with a next step and without secrets: the last JSON line of stderr."""
    from run402_cli import guidance

    _write(sys.stderr, dumps(guidance.finished(envelope), compact=True))


def plain(line: str) -> None:
    """Print one line on stderr that is known to be harmless, when nothing else works."""
    with contextlib.suppress(Exception):
        event.settle()
    with contextlib.suppress(Exception):
        _put(sys.stderr, line)


def dumps(value: Any, *, compact: bool) -> str:
    """JSON text, numbers with the digits that they came with. What JSON has no form for (infinite floats that were computed,
    lone surrogates) becomes null or escapes.
    """
    from run402_cli import exact_json  # with it come json and re, which root help needs as little

    style: dict[str, Any] = {"separators": (",", ":")} if compact else {"indent": 2}
    try:
        text = exact_json.dumps(value, ensure_ascii=False, allow_nan=False, **style)
        text.encode()
        return control_characters.escaped(text, control_characters.IN_JSON)
    except UnicodeEncodeError:
        return exact_json.dumps(value, ensure_ascii=True, **style)
    except ValueError:
        return exact_json.dumps(_finite(value), ensure_ascii=True, **style)
    except RecursionError:
        # The indenting encoder reaches less deep than the parser that read the value.
        return exact_json.dumps(value, ensure_ascii=True, separators=(",", ":"))


def _finite(value: Any) -> Any:
    if type(value) is float and (value != value or value in (float("inf"), float("-inf"))):
        return None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def _write(stream: TextIO, text: str) -> None:
    event.settle()
    if stream is sys.stderr:
        _say(text)
        return
    try:
        _put(stream, control_characters.escaped(text) if stream.isatty() else text)
    except OSError as exc:
        raise OutputLost(exc) from exc


def _say(text: str) -> None:
    # What is said on the side must not end a command, least of all one that is half done.
    try:
        _put(sys.stderr, control_characters.escaped(text))
    except OSError:
        abandon(sys.stderr)


def _put(stream: TextIO, text: str) -> None:
    # Bytes, so that a C locale or Windows code page cannot refuse or change a character.
    binary = getattr(stream, "buffer", None)
    if binary is None:
        stream.write(text + "\n")
    else:
        stream.flush()
        binary.write(text.encode("utf-8", "backslashreplace") + b"\n")
    stream.flush()


def abandon(stream: TextIO) -> None:
    """Let a stream that takes nothing more swallow the rest, or the interpreter complains of it at exit."""
    import os

    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
