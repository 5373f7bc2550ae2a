"""A reverse proxy in front of a gateway that misbehaves at one chosen request: everything else passes unchanged."""

from __future__ import annotations

import http.client
import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

_OWN_HEADERS = {"connection", "transfer-encoding", "content-length", "keep-alive", "date", "server"}


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def json_answer(status: int, body: Any, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, {"Content-Type": "application/json", **named}, json.dumps(body).encode())


@dataclass
class Exchange:
    """One request on its way; `forward` hands it to the gateway. A behaviour returns the answer, or None to hang up."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    proxy: FaultyProxy

    def forward(self) -> Answer:
        connection = http.client.HTTPConnection(self.proxy.upstream, timeout=60)
        try:
            # With the Host that the client used, so that the gateway's upload addresses lead through here again.
            kept = {name: value for name, value in self.headers.items() if name.lower() not in ("connection",)}
            connection.request(self.method, self.path, body=self.body, headers=kept)
            response = connection.getresponse()
            kept = {name: value for name, value in response.getheaders() if name.lower() not in _OWN_HEADERS}
            return Answer(response.status, kept, response.read())
        finally:
            connection.close()


Behaviour = Callable[[Exchange], Answer | None]


@dataclass
class Rule:
    method: str
    path: re.Pattern[str]
    behave: Behaviour
    times: int | None
    hits: int = 0


@dataclass
class FaultyProxy:
    """`on` makes requests misbehave until `clear`; `always` changes answers for as long as the proxy lives."""

    upstream: str
    # What it adds to each request: the gateway's own clients hold a token, and do not know the gateway at this address.
    adds: dict[str, str] = field(default_factory=dict)
    rules: list[Rule] = field(default_factory=list)
    standing: list[Rule] = field(default_factory=list)
    reached: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)
    date: str | None = None

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.base = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def on(self, method: str, path: str, behave: Behaviour, *, times: int | None = None) -> Rule:
        rule = Rule(method, re.compile(path), behave, times)
        self.rules.append(rule)
        return rule

    def always(self, method: str, path: str, behave: Behaviour) -> None:
        self.standing.append(Rule(method, re.compile(path), behave, None))

    def clear(self) -> None:
        self.released.set()
        self.rules = []

    def close(self) -> None:
        self.clear()
        self._server.shutdown()
        self._server.server_close()

    def behaviour(self, method: str, target: str) -> Behaviour:
        path = urlsplit(target).path
        with self._lock:
            for rule in (*self.rules, *self.standing):
                spent = rule.times is not None and rule.hits >= rule.times
                if rule.method == method and rule.path.fullmatch(path) and not spent:
                    rule.hits += 1
                    return rule.behave
        return Exchange.forward


def _handler(proxy: FaultyProxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            exchange = Exchange(self.command, self.path, {**dict(self.headers.items()), **proxy.adds}, body, proxy)
            answer = proxy.behaviour(self.command, self.path)(exchange)
            if answer is None:
                self.close_connection = True
                return
            self.send_response_only(answer.status)
            self.send_header("Date", proxy.date or self.date_time_string())
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = pass_on

        def handle(self) -> None:
            try:
                super().handle()
            except OSError:
                self.close_connection = True

        def log_message(self, *_args: Any) -> None:
            pass

    return Handler


# -- behaviours


def drop_before(_exchange: Exchange) -> None:
    """The connection ends before the gateway sees the request."""


def drop_after(exchange: Exchange) -> None:
    """The gateway does what it is asked; its answer never arrives."""
    exchange.forward()


def busy(_exchange: Exchange) -> Answer:
    body = {"code": "RATE_LIMITED", "message": "Too many requests.", "retryable": True}
    return json_answer(429, body, Retry_After="1")


def server_error(_exchange: Exchange) -> Answer:
    return json_answer(500, {"message": "The gateway stumbled."})


def html(_exchange: Exchange) -> Answer:
    """What a hotel's network answers to everything."""
    page = b"<!doctype html><title>Sign in</title>"
    return Answer(200, {"Content-Type": "text/html"}, page)


def truncated(exchange: Exchange) -> Answer:
    """The gateway's answer, cut in the middle."""
    answer = exchange.forward()
    return Answer(answer.status, answer.headers, answer.body[: len(answer.body) // 2])


def hang_before(exchange: Exchange) -> None:
    """Nothing happens until the proxy is cleared."""
    exchange.proxy.reached.set()
    exchange.proxy.released.wait(60)


def hang_after(exchange: Exchange) -> None:
    """The gateway has done it, and the answer is held back until the proxy is cleared."""
    exchange.forward()
    hang_before(exchange)


def rewrite(change: Callable[[Any], Mapping[str, Any]]) -> Behaviour:
    """The gateway's JSON answer, changed."""

    def behave(exchange: Exchange) -> Answer:
        answer = exchange.forward()
        if answer.status != 200:
            return answer
        return Answer(answer.status, answer.headers, json.dumps(change(answer.json)).encode())

    return behave
