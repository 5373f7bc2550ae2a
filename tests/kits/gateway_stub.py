"""A gateway stub on a real socket: records every request, answers the deploy calls, and misbehaves when told to."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from run402_cli.deploy import ApplyOptions
from run402_cli.release.manifest import NormalizedManifest, normalize

PROJECT = "prj_test"
COMMAND = "run402 deploy apply --manifest app.json"


@dataclass
class Call:
    """One request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Reply:
    """An answer: JSON `body`, or None for a connection that is closed without one."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    hang_up: bool = False


Handler = Callable[[Call], Reply]


class StubGateway:
    """Answers like a Cloud gateway that has nothing yet. `on(...)` replaces one answer."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.stored: dict[str, bytes] = {}
        self._handlers: list[tuple[str, re.Pattern[str], Handler]] = []
        self._lock = threading.Lock()
        stub = self

        class Http(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                headers = {key.lower(): value for key, value in self.headers.items()}
                call = Call(self.command, self.path, headers, self.rfile.read(length))
                reply = stub._answer(call)
                if reply.hang_up:
                    self.close_connection = True
                    self.connection.close()
                    return
                data = b"" if reply.body is None else json.dumps(reply.body).encode()
                self.send_response(reply.status)
                if reply.body is not None:
                    self.send_header("content-type", "application/json")
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = handle_any

            def log_message(self, *_args: Any) -> None:
                pass

            def handle(self) -> None:
                try:
                    super().handle()
                except (ConnectionError, OSError):
                    self.close_connection = True

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Http)
        self._server.daemon_threads = True
        self.base = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self._defaults()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def on(self, method: str, path: str, answer: Reply | list[Reply] | Handler) -> None:
        """Answer requests whose path (with query) matches the pattern; a list is used up one by one, the last stays."""
        if isinstance(answer, Reply):
            handler: Handler = lambda _call: answer  # noqa: E731
        elif isinstance(answer, list):
            rest = list(answer)
            handler = lambda _call: rest.pop(0) if len(rest) > 1 else rest[0]  # noqa: E731
        else:
            handler = answer
        self._handlers.insert(0, (method, re.compile(path), handler))

    def _answer(self, call: Call) -> Reply:
        with self._lock:
            self.calls.append(call)
        for method, pattern, handler in self._handlers:
            if method == call.method and pattern.fullmatch(call.path):
                return handler(call)
        return Reply(404, {"code": "NO_ROUTE", "message": f"{call.method} {call.path}"})

    def sent(self, method: str, path: str = ".*") -> list[Call]:
        return [call for call in self.calls if call.method == method and re.fullmatch(path, call.path)]

    def _defaults(self) -> None:
        self.on("POST", "/apply/v1/plans", lambda call: Reply(200, self.plan(call.json["spec"])))
        self.on("POST", "/content/v1/plans", self._content_plan)
        self.on("PUT", "/put/.*", self._put)
        self.on("POST", "/content/v1/plans/cplan_1/commit", Reply(200, {}))
        self.on("POST", "/apply/v1/plans/plan_1/commit", Reply(200, ready()))
        self.on("GET", "/apply/v1/operations/op_1/events.*", Reply(200, {"events": []}))

    def plan(self, spec: dict[str, Any], **more: Any) -> dict[str, Any]:
        """A plan response that misses every site file not yet stored."""
        files = (spec.get("site") or {}).get("replace") or {}
        entries = {ref["sha256"]: ref["size"] for ref in files.values()}
        missing = [{"sha256": sha, "size": size, "present": sha in self.stored} for sha, size in entries.items()]
        plan = {
            "kind": "plan_response",
            "plan_id": "plan_1",
            "operation_id": "op_1",
            "is_noop": False,
            "summary": "changed",
            "warnings": [],
            "missing_content": missing,
        }
        return {**plan, **more}

    def _content_plan(self, call: Call) -> Reply:
        missing = [self.session(entry["sha256"], entry["size"]) for entry in call.json["content"]]
        return Reply(200, {"plan_id": "cplan_1", "missing": missing, "entries": []})

    def session(self, sha256: str, size: int, *, part_size: int | None = None) -> dict[str, Any]:
        """An upload session; multipart with `part_size`."""
        step = part_size or max(size, 1)
        starts = range(0, max(size, 1), step)
        parts = [
            {
                "part_number": number,
                "url": f"{self.base}/put/{sha256}/{number}",
                "byte_start": start,
                "byte_end": min(start + step, size) - 1,
            }
            for number, start in enumerate(starts, 1)
        ]
        return {"sha256": sha256, "mode": "multipart" if part_size else "single", "parts": parts}

    def _put(self, call: Call) -> Reply:
        sha256 = call.path.split("/")[2]
        with self._lock:
            self.stored[sha256] = self.stored.get(sha256, b"") + call.body
        return Reply(200, headers={"ETag": f'"{hashlib.md5(call.body).hexdigest()}"'})


def ready(**more: Any) -> dict[str, Any]:
    """A commit answer or operation snapshot that is done."""
    return {"operation_id": "op_1", "status": "ready", "release_id": "rel_1", "urls": {"project": "http://x"}, **more}


def manifest(base_dir: Path, **sections: Any) -> NormalizedManifest:
    return normalize({"project_id": PROJECT, **sections}, base_dir=base_dir, project=None)


def site(base_dir: Path, files: dict[str, bytes]) -> NormalizedManifest:
    """A manifest that deploys these files from disk."""
    for name, data in files.items():
        path = base_dir / "site" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return manifest(base_dir, site={"replace": {"__source": "local-dir", "path": "site"}})


def options(**given: Any) -> ApplyOptions:
    return ApplyOptions(command=COMMAND, **given)
