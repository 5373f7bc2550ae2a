"""Ask the person in front of a browser, and wait for the answer on a loopback port (RFC 8252, RFC 7636).

The standard library's web server is imported only when a browser is asked. See docs/operator.md, "Browser logins".
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import os
import queue
import secrets
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from run402_cli import output

# Seconds that a person has to answer in the browser.
WAIT_S = 300.0
_SOCKET_S = 10.0
_SLICE_S = 0.5
_OPENER_S = 2.0
_PAGE = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><title>Run402</title>'
    "<body><p>{}</p><p>You can close this page and go back to the terminal.</p></body></html>"
)


class CallbackFailed(Exception):
    """The browser did not bring a usable code; the text says why."""


class ListenFailed(Exception):
    """No loopback port can be opened."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """One PKCE round: what is sent ahead, and the verifier that proves who sent it."""

    verifier: str = field(default_factory=lambda: _random(32), repr=False)
    state: str = field(default_factory=lambda: _random(16))
    nonce: str = field(default_factory=lambda: _random(16))

    @property
    def code_challenge(self) -> str:
        return _unpadded(hashlib.sha256(self.verifier.encode()).digest())


def _random(size: int) -> str:
    return _unpadded(secrets.token_bytes(size))


def _unpadded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Callback:
    """The loopback address of one answer. `wait` returns the code that came with the right state."""

    def __init__(self, server: _Server, state: str) -> None:
        self.redirect_uri = f"http://127.0.0.1:{server.server_address[1]}/callback"
        self._answers = server.answers
        self._state = state

    def wait(self) -> str:
        """The code of the first callback. CallbackFailed for a refusal, a foreign callback, or after WAIT_S seconds."""
        query = self._first_answer()
        if query.get("error"):
            raise CallbackFailed(f"the browser came back with {printable(query['error'])!r}")
        if not query.get("code"):
            raise CallbackFailed("the browser came back without a code")
        if not hmac.compare_digest(query.get("state", "").encode(), self._state.encode()):
            raise CallbackFailed("the browser's answer belongs to another attempt (its state is wrong)")
        return query["code"]

    def _first_answer(self) -> Mapping[str, str]:
        deadline = time.monotonic() + WAIT_S
        while (left := deadline - time.monotonic()) > 0:
            # In slices: on Windows Ctrl-C does not end a wait on a lock.
            with contextlib.suppress(queue.Empty):
                return self._answers.get(timeout=min(left, _SLICE_S))
        raise CallbackFailed(f"nobody answered in the browser within {WAIT_S:.0f} seconds")


@contextlib.contextmanager
def listening(challenge: Challenge) -> Iterator[Callback]:
    """A free port of 127.0.0.1 that takes one callback; closed at the end, open connections too. ListenFailed."""
    try:
        server = _Server(("127.0.0.1", 0), _Handler)
    except OSError as exc:
        raise ListenFailed(exc.strerror or str(exc)) from exc
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield Callback(server, challenge.state)
    finally:
        server.shutdown()
        server.server_close()


class _Server(ThreadingHTTPServer):
    # Browsers open connections ahead and keep them: none of them may hold up the callback or the end of the process.
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = False  # on Windows another process could take the port over

    def __init__(self, *args: Any) -> None:
        self.answers: queue.Queue[Mapping[str, str]] = queue.Queue()
        super().__init__(*args)

    def server_bind(self) -> None:
        """Without the base class's reverse look-up of the name, which may take seconds."""
        socketserver.TCPServer.server_bind(self)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that hangs up is no news."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = _SOCKET_S

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if parts.path != "/callback":
            self._answer(404, "Nothing is here.")
            return
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        refused = bool(query.get("error")) or not query.get("code")
        self._answer(200, "That did not work." if refused else "Run402 has your answer.")
        self.server.answers.put(query)

    def _answer(self, status: int, text: str) -> None:
        page = _PAGE.format(text).encode()
        self.send_response(status)
        for name, value in (
            ("Content-Type", "text/html; charset=utf-8"),
            ("Content-Length", str(len(page))),
            ("Cache-Control", "no-store"),
            ("Referrer-Policy", "no-referrer"),
            ("Connection", "close"),
        ):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(page)
        self.wfile.flush()
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Access logs would show the code."""


# One of them is there where xdg-open has something to open an address with.
_DESKTOP = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")


def show(url: str, what: str, *, may_open: bool) -> None:
    """Print an address that a person must open, and open it when a terminal is attached."""
    output.request(f"{what}: {url}")
    if may_open and sys.stderr.isatty():
        hand_over(url)


def hand_over(url: str) -> bool:
    """Hand an http(s) address to the desktop: whether it was taken. On a machine without a desktop nothing happens."""
    quiet: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    try:
        if sys.platform == "win32":
            os.startfile(url)
            return True
        if sys.platform != "darwin" and not any(os.environ.get(name) for name in _DESKTOP):
            return False
        # Other users see the words of a process. On Linux the gateway knows who comes with them.
        words, text = (["osascript", "-"], _script(url)) if sys.platform == "darwin" else (["xdg-open", url], b"")
        opener = subprocess.Popen(words, start_new_session=True, **{**quiet, "stdin": subprocess.PIPE})
        # Some openers stay as long as the browser does, so nobody waits for their end for long.
        opener.communicate(text, _OPENER_S)
        return opener.returncode == 0
    except subprocess.TimeoutExpired:
        return True
    except OSError:
        return False


def _script(url: str) -> bytes:
    quoted = url.replace("\\", "\\\\").replace('"', '\\"')
    return f'open location "{quoted}"\n'.encode()


def web_address(value: Any) -> str | None:
    """The value when it is an http(s) address that a terminal and a desktop can be given, else None."""
    if not isinstance(value, str) or not value.isascii() or not value.isprintable() or " " in value:
        return None
    try:
        parts = urlsplit(value)
        return value if parts.scheme in ("http", "https") and parts.hostname else None
    except ValueError:
        return None


def printable(value: Any, limit: int = 80) -> str:
    """A text of the gateway or the browser, without what moves a terminal's cursor."""
    return "".join(char for char in str(value)[:limit] if char.isprintable())
