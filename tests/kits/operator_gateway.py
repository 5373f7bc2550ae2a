"""A gateway's human side on a loopback port: logins, approvals and one write that needs them. PKCE is checked for real."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit


@dataclass
class Human:
    """What the human side knows and was asked. `stale` sessions get STEP_UP_REQUIRED; `deny` makes the human refuse."""

    stale: set[str] = field(default_factory=set)
    deny: bool = False
    foreign_confirm: bool = False
    calls: list[tuple[str, str]] = field(default_factory=list)
    writes: list[dict[str, str | None]] = field(default_factory=list)
    rounds: dict[str, dict[str, Any]] = field(default_factory=dict)
    approvals: dict[str, dict[str, Any]] = field(default_factory=dict)
    base: str = ""

    def redirect(self, redirect_uri: str, code: str, state: str) -> str:
        query = {"error": "access_denied", "state": state} if self.deny else {"code": code, "state": state}
        return f"{redirect_uri}?{urlencode(query)}"

    def proven(self, body: dict[str, Any]) -> dict[str, Any] | None:
        """The round of a code whose verifier and state fit; each code works once."""
        known = self.rounds.pop(body["code"], None)
        digest = base64.urlsafe_b64encode(hashlib.sha256(body["code_verifier"].encode()).digest()).rstrip(b"=")
        fits = known is not None and known["challenge"] == digest.decode() and known["state"] == body["state"]
        return known if fits else None


class _Handler(BaseHTTPRequestHandler):
    server: Any

    def do_GET(self) -> None:
        human: Human = self.server.human
        parts = urlsplit(self.path)
        human.calls.append(("GET", parts.path))
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        if parts.path == "/agent/v1/control-plane/cli/authorize":
            code = f"login{len(human.rounds)}"
            human.rounds[code] = {"challenge": query["code_challenge"], "state": query["state"]}
            self._redirect(human.redirect(query["redirect_uri"], code, query["state"]))
        elif parts.path.startswith("/confirm/"):
            code = parts.path.rpartition("/")[2]
            known = human.rounds[code]
            self._redirect(human.redirect(known["redirect_uri"], code, known["state"]))
        elif parts.path == "/agent/v1/control-plane/session":
            self._json(200, {"memberships": [{"org_id": "org_1", "role": "owner", "status": "active"}]})
        else:
            self._json(404, {"code": "NOT_FOUND"})

    def do_POST(self) -> None:
        human: Human = self.server.human
        human.calls.append(("POST", self.path))
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        session = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        if self.path == "/agent/v1/control-plane/cli/token":
            ok = human.proven(body) is not None
            self._json(200 if ok else 400, {"control_plane_session_token": "fresh", "expires_in": 900} if ok else {})
        elif self.path == "/agent/v1/control-plane/write-auth/challenges":
            self._challenge(human, session, body)
        elif self.path == "/agent/v1/control-plane/write-auth/cli/token":
            known = human.proven(body)
            if known is None:
                return self._json(400, {"code": "BAD_PROOF"})
            human.approvals["approved1"] = known
            self._json(200, {"write_auth_token": "approved1", "session": {}})
        elif self.path == "/projects/v1":
            self._write(human, session, body)
        else:
            self._json(404, {"code": "NOT_FOUND"})
        return None

    def _challenge(self, human: Human, session: str, body: dict[str, Any]) -> None:
        code = f"approve{len(human.rounds)}"
        human.rounds[code] = {
            "challenge": body["code_challenge"],
            "state": body["state"],
            "redirect_uri": body["cli_redirect_uri"],
            "session": session,
            "action": body["action"],
            "org_id": body.get("org_id"),
        }
        base = "http://evil.test" if human.foreign_confirm else human.base
        self._json(201, {"challenge_id": "c", "confirm_url": f"{base}/confirm/{code}"})

    def _write(self, human: Human, session: str, body: dict[str, Any]) -> None:
        token = (self.headers.get("X-Run402-Write-Auth") or "").removeprefix("Bearer ")
        human.writes.append({"session": session, "token": token, "key": self.headers.get("Idempotency-Key")})
        if session in human.stale:
            return self._json(403, {"code": "STEP_UP_REQUIRED", "message": "sign in again"})
        known = human.approvals.get(token, {})
        wanted = {"session": session, "action": "org.project.create", "org_id": body.get("org_id")}
        if {key: known.get(key) for key in wanted} != wanted:
            return self._json(403, {"code": "WRITE_AUTH_REQUIRED", "message": "approval missing"})
        return self._json(201, {"project_id": "prj_new", "anon_key": "a", "service_key": "s"})

    def _redirect(self, address: str) -> None:
        self.send_response(302)
        self.send_header("Location", address)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _json(self, status: int, value: Any) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


@contextmanager
def human_gateway() -> Iterator[Human]:
    """Serve until the block ends."""
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.human = Human(base=f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.human
    finally:
        server.shutdown()
        server.server_close()
