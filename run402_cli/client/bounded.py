"""The one reader of answers, with a limit for what they unpack to. See docs/protocol/conventions.md, "Bounds".

Each response of the kernel is a `Bounded`, so there is no other way to read one. What a command keeps has a limit; what goes
to a file is unpacked piece by piece, and its size does not matter.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterator
from typing import Any

from run402_cli import exact_json
from run402_cli.client import deadline, redirects
from run402_cli.client.http import httpx
from run402_cli.errors import NetworkError

# Of an answer that is kept: its unpacked bytes, and the memory that its JSON is estimated to take.
MOST_BYTES = 32 << 20
_MOST_MEMORY = 160 << 20
_WEIGHTS = {b"{": 200, b"[": 64, b",": 60}

# What servers are told that can be unpacked here; a decoder that happens to be installed is not used.
ENCODINGS = "gzip, deflate"
_WINDOW = {"gzip": 31, "x-gzip": 31, "deflate": 15}
_NEVER_ASKED_FOR = ("br", "zstd", "compress", "x-compress")
_PIECE = 65_536


class UnusableAnswer(httpx.ReadError):
    """An answer that is not read to its end: too large, or packed in a way that was not asked for."""

    code = "ANSWER_UNREADABLE"
    hint = "The server, or something on the way to it, answers as no Run402 gateway does. See where requests go: run402 status"


class TooLarge(UnusableAnswer):
    """More than MOST_BYTES, or more JSON values than may be held."""

    code = "ANSWER_TOO_LARGE"
    hint = "Ask for less at a time: a smaller --limit, fewer columns or rows; files are best fetched with --output."


def failure(exc: httpx.HTTPError, message: str, *, read: bool, remedy: Any = ()) -> NetworkError:
    """The error of a request that got no usable answer. A write whose answer is not usable may have been done."""
    if not isinstance(exc, UnusableAnswer):
        return NetworkError(message, read=read, remedy=remedy)
    extra = {"code": exc.code, "retryable": False, "safe_to_retry": read, "hint": exc.hint}
    return NetworkError(message, read=read, extra=extra)


class Client(httpx.Client):
    """httpx's client, with bounds for what it receives, a deadline for each call, and little trust in redirects."""

    def __init__(self, transport: httpx.BaseTransport, *, timeout: Any, **options: Any) -> None:
        super().__init__(transport=_Transport(transport), trust_env=False, timeout=timeout, **options)
        hooks = self.event_hooks
        self.event_hooks = {**hooks, "request": [redirects.keep_at_home, *hooks["request"]]}
        self.headers["Accept-Encoding"] = ENCODINGS

    def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        redirects.begin(request)
        deadline.begin(request)
        return super().send(request, **options)


class _Transport(httpx.BaseTransport):
    def __init__(self, inner: httpx.BaseTransport) -> None:
        self._inner = inner

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        got = self._inner.handle_request(request)
        return Bounded(got.status_code, headers=got.headers, stream=got.stream, extensions=got.extensions)

    def close(self) -> None:
        self._inner.close()


class Bounded(httpx.Response):
    """A response that never unpacks more than one piece at a time, and is kept only up to a limit."""

    _kept = False

    def read(self) -> bytes:
        """The whole unpacked body. TooLarge beyond the limit, UnusableAnswer when it cannot be unpacked."""
        self._kept = True
        body = super().read()
        if _memory(body) > _MOST_MEMORY:
            raise TooLarge("the answer has more values than a command can hold")
        return body

    def iter_bytes(self, chunk_size: int | None = None) -> Iterator[bytes]:
        """The unpacked body in pieces of at most `chunk_size` (else 64 KiB)."""
        if hasattr(self, "_content"):
            yield from super().iter_bytes(chunk_size)
            return
        size = 0
        for piece in self._unpacked(chunk_size or _PIECE):
            size += len(piece)
            if self._kept and size > MOST_BYTES:
                raise TooLarge(f"the answer is larger than {MOST_BYTES >> 20} MiB")
            yield piece

    def _unpacked(self, most: int) -> Iterator[bytes]:
        named = self.headers.get_list("content-encoding", split_commas=True)
        codings = [coding for word in named if (coding := word.strip().lower()) in (*_WINDOW, *_NEVER_ASKED_FOR)]
        if len(codings) > 1 or any(coding in _NEVER_ASKED_FOR for coding in codings):
            raise UnusableAnswer(f"the answer is packed as {', '.join(codings)}, and only {ENCODINGS} was asked for")
        raw = self.iter_raw()
        if codings:
            yield from _inflated(raw, codings[0], most)
            return
        for data in raw:
            for start in range(0, len(data), most):
                yield data[start : start + most]


def _inflated(raw: Iterator[bytes], coding: str, most: int) -> Iterator[bytes]:
    unpacker, fresh = zlib.decompressobj(_WINDOW[coding]), True
    for data in raw:
        while not unpacker.eof:
            try:
                piece = unpacker.decompress(data, most)
            except zlib.error as exc:
                if not fresh or coding != "deflate":
                    raise UnusableAnswer(f"the answer is no {coding}: {exc}") from exc
                unpacker, fresh = zlib.decompressobj(-zlib.MAX_WBITS), False  # as some servers understand "deflate"
                continue
            data, fresh = unpacker.unconsumed_tail, False
            if piece:
                yield piece
            if not data and len(piece) < most:
                break


def _memory(body: bytes) -> int:
    """About how many bytes Python needs for what is written in a JSON document; 0 for anything else."""
    if body.lstrip(b" \t\r\n\0\xef\xbb\xbf\xff\xfe")[:1] not in (b"{", b"["):
        return 0
    return sum(body.count(sign) * weight for sign, weight in _WEIGHTS.items())


class NotJson(UnusableAnswer):
    """The answer says that it is JSON, and is none."""

    hint = "Something may have cut or changed it on the way. See where requests go: run402 status"


def answered(response: httpx.Response) -> Any:
    """The JSON value of an answer, the text of another kind, None for an empty JSON answer. NotJson; UnusableAnswer for bytes.

    An answer to a GET that says it is JSON is not empty: it was cut.
    """
    if not is_json(response):
        text = text_of(response)
        if text is None:
            raise UnusableAnswer(f"the answer is {response.headers.get('content-type') or 'bytes'}, and no text")
        return text
    if not response.content and response.request.method != "GET":
        return None
    try:
        return exact_json.loads(response.content)
    except RecursionError:
        raise NotJson("the answer is nested too deeply to be read") from None
    except ValueError as exc:
        raise NotJson(f"the answer says that it is JSON and is none: {exc}") from exc


def body_of(response: httpx.Response) -> dict[str, Any]:
    """`body` as `answered`, and what is no text in base64 with `body_encoding` beside it: for what a user's code answers."""
    if is_json(response) or text_of(response) is not None:
        return {"body": answered(response)}
    return encoded(response)


def encoded(response: httpx.Response) -> dict[str, Any]:
    """Bytes in a JSON document."""
    return {"body": base64.b64encode(response.content).decode(), "body_encoding": "base64"}


def rest_body(response: httpx.Response) -> Any:
    """The same without the document around it where it is JSON or text."""
    found = body_of(response)
    return found if "body_encoding" in found else found["body"]


def text_of(response: httpx.Response) -> str | None:
    """The text of an answer in the charset that it names, else UTF-8; None when it is none."""
    try:
        return response.content.decode(response.charset_encoding or "utf-8")
    except (LookupError, UnicodeDecodeError):
        return None


def is_json(response: httpx.Response) -> bool:
    return "application/json" in response.headers.get("content-type", "")


def parse_body(response: httpx.Response) -> Any:
    """As `answered`, for an answer that may be anything: None for JSON that does not parse, bytes as far as they are text.

    A refusal is cut where it is nested deeper than an error is shown.
    """
    try:
        value = answered(response)
    except NotJson:
        return None
    except UnusableAnswer:
        return response.text
    if response.is_success:
        return value
    from run402_cli import nesting

    return nesting.cut(value)
