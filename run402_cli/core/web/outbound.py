"""HTTP requests that the gateway makes itself, for webhooks and callbacks: one JSON POST, no redirects, no proxy."""

from __future__ import annotations

import asyncio
import functools
import json
import re
import socket
import ssl
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

from run402_cli.core.callers.surfaces import LOOPBACK_HOST
from run402_cli.core.db import reason_of
from run402_cli.core.errors import bad_field

# From the look-up of the name to the last header of the answer, however it drips.
TIMEOUT_SECONDS = 10
MAX_URL = 2048
MAX_HEAD_BYTES = 64 * 1024

_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: [^\r\n]*)?\r?\n")
# A look-up cannot be called off. In threads of their own the slow ones keep nothing waiting but look-ups.
_lookups = ThreadPoolExecutor(16, "run402-lookup")


def checked_target(value: Any, field: str) -> str:
    """An https URL, or an http URL of this machine. 400 invalid_request."""
    try:
        parts = urlsplit(value if isinstance(value, str) else "")
        host = parts.hostname
        parts.port  # noqa: B018  # reading it is the check
    except ValueError:
        host = None
    good = host is not None and (
        parts.scheme == "https" or (parts.scheme == "http" and bool(LOOPBACK_HOST.fullmatch(parts.netloc)))
    )
    if not good or not value.isascii() or not value.isprintable() or " " in value or len(value) > MAX_URL:
        raise bad_field(field, "an https URL, or an http URL of this machine such as http://localhost:3000/hook")
    return str(value)


async def post_json(url: str, body: Mapping[str, Any], headers: Mapping[str, str]) -> tuple[int | None, str | None]:
    """Send it: (status, None) for any answer, (None, reason) for none within ten seconds, all in all."""
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS) as deadline:
            return await _post(url, json.dumps(body).encode(), headers), None
    except (OSError, ValueError) as exc:
        return None, f"no answer within {TIMEOUT_SECONDS} seconds" if deadline.expired() else reason_of(exc)


async def _post(url: str, data: bytes, headers: Mapping[str, str]) -> int:
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    own = {
        "Host": parts.netloc.rpartition("@")[2],
        "Content-Type": "application/json",
        "Content-Length": str(len(data)),
        "Connection": "close",
        "User-Agent": "run402-core",
    }
    lines = [f"POST {target} HTTP/1.1", *(f"{name}: {value}" for name, value in {**own, **headers}.items())]
    if any("\r" in line or "\n" in line for line in lines):
        raise ValueError("a header has a line break")
    reader, writer = await _connected(parts.hostname or "", parts.port, tls=parts.scheme == "https")
    try:
        writer.write("\r\n".join([*lines, "", ""]).encode("latin-1") + data)
        await writer.drain()
        status = await _status(reader)
        writer.close()
        return status
    except BaseException:
        writer.transport.abort()
        raise


async def _connected(host: str, port: int | None, *, tls: bool) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection to the first address of the host that takes one."""
    port = port or (443 if tls else 80)
    secure: dict[str, Any] = {"ssl": _tls(), "server_hostname": host} if tls else {}
    failure: OSError | None = None
    for address in await _addresses(host, port):
        try:
            return await asyncio.open_connection(address, port, limit=MAX_HEAD_BYTES, **secure)
        except OSError as exc:
            failure = failure or exc
    raise failure or OSError(f"{host} has no address")


async def _addresses(host: str, port: int) -> list[str]:
    # Names below localhost are this machine (RFC 6761), whatever its resolver says.
    if host.rstrip(".").endswith(".localhost"):
        return ["127.0.0.1"]
    look_up = functools.partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    found = await asyncio.get_running_loop().run_in_executor(_lookups, look_up)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


@functools.cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


async def _status(reader: asyncio.StreamReader) -> int:
    """The status of the answer, once its headers have come. What comes before the final one is passed over."""
    room = MAX_HEAD_BYTES
    while True:
        line = await reader.readline()
        found = _STATUS.fullmatch(line)
        if found is None:
            raise ValueError("the answer is not HTTP" if line else "the receiver hung up without an answer")
        while line.strip():
            room -= len(line)
            if room < 0:
                raise ValueError(f"the headers of the answer have more than {MAX_HEAD_BYTES} bytes")
            line = await reader.readline()
        if int(found[1]) >= 200:
            return int(found[1])
