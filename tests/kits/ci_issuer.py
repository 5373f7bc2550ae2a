"""A GitHub Actions token service on loopback: real RS256 tokens, and the keys to check them with."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

ISSUER = "https://token.actions.githubusercontent.com"
REQUEST_TOKEN = "request-token-of-the-job"


class Issuer:
    """Use as a context manager. `claims` are those of the workflow run that asks for a token."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.claims: dict[str, Any] = {
            "sub": "repo:tal/myapp:ref:refs/heads/main",
            "repository": "tal/myapp",
            "repository_id": "892341",
            "event_name": "push",
        }
        self.audiences: list[str | None] = []
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, body = issuer.answer(self.path, self.headers.get("Authorization"))
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    def __enter__(self) -> Issuer:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def jwks_url(self) -> str:
        return f"{self.url}/.well-known/jwks"

    def job(self) -> dict[str, str]:
        """The environment that GitHub gives a job with `id-token: write`."""
        return {
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"{self.url}/token?api-version=2.0",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": REQUEST_TOKEN,
        }

    def answer(self, target: str, authorization: str | None) -> tuple[int, dict[str, Any]]:
        parts = urlsplit(target)
        query = parse_qs(parts.query)
        if parts.path == "/.well-known/jwks":
            return 200, self.jwks()
        if parts.path != "/token" or query.get("api-version") != ["2.0"]:
            return 404, {}
        if authorization != f"Bearer {REQUEST_TOKEN}":
            return 401, {}
        audience = query.get("audience", [None])[0]
        self.audiences.append(audience)
        return 200, {"value": self.token(aud=audience)}

    def jwks(self) -> dict[str, Any]:
        public: dict[str, Any] = json.loads(RSAAlgorithm.to_jwk(self._key.public_key()))
        return {"keys": [{**public, "kid": "key-1", "alg": "RS256", "use": "sig"}]}

    def token(self, **claims: Any) -> str:
        now = int(time.time())
        times = {"iat": now, "nbf": now - 5, "exp": now + 300}
        payload = {"iss": ISSUER, "aud": "https://api.run402.com", **times, **self.claims, **claims}
        return jwt.encode(payload, self._key, algorithm="RS256", headers={"kid": "key-1"})
