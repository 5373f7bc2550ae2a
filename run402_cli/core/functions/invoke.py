"""One call of a function: body, gates, secrets, worker, log, response."""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import jwt
from starlette.requests import Request
from starlette.responses import Response

from run402_cli import advice
from run402_cli.core.diagnostics.redaction import redact
from run402_cli.core.errors import GatewayError
from run402_cli.core.functions.frames import CallFailed, Reply
from run402_cli.core.functions.gates import Caller
from run402_cli.core.functions.logs import CallLog
from run402_cli.core.gateway import Gateway
from run402_cli.core.projects.keys import SERVICE_KEY_PREFIX
from run402_cli.core.projects.rows import Project
from run402_cli.local_gateway import CONTROL_HEADER

if TYPE_CHECKING:
    from run402_cli.core.sites.lookup import Site

MAX_BODY_BYTES = 6 * 1024**2
Kind = Literal["routed_http", "direct", "scheduled", "function_run"]
# On every answer that a function made, and on no other: what it says are its own words, not the gateway's.
ANSWERED_BY = "x-run402-answered-by"
HOP_BY_HOP = frozenset(
    {
        *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te"),
        *("trailer", "transfer-encoding", "upgrade", "expect"),
    }
)
_CREDENTIALS = frozenset({"sign-in-with-x", "apikey", "x-admin-mode", CONTROL_HEADER.lower()})
_ADMIN_COOKIE = "run402_admin="
# Project keys, issued credentials and CI sessions; delegate tokens and sessions as the hosted control plane makes them.
_TOKEN_PREFIXES = ("r402", "run402_", "dlg_", "cps_")
_HOST = re.compile(r"[A-Za-z0-9._-]+(?::\d{1,5})?|\[[0-9a-fA-F:.]+\](?::\d{1,5})?")
_FAILURES: Mapping[str, tuple[int, str, str]] = {
    "timeout": (504, "dynamic_runtime_timeout", "The function took too long and was stopped."),
    "too_large": (502, "response_body_too_large", f"The function's response is larger than {MAX_BODY_BYTES} bytes."),
    "invalid": (502, "local_executor_failed", "The function's process sent what is no answer, and was stopped."),
}
_FAILED = (500, "local_executor_failed", "The function failed.")


@dataclass(frozen=True, slots=True)
class Call:
    """A request for a function. `route` says how it came: pattern, kind of pattern."""

    kind: Kind
    method: str = "POST"
    url: str = ""
    path: str = ""
    raw_query: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    route_pattern: str | None = None
    route_kind: str = "exact"
    host: str = "localhost"
    proto: str = "http"
    caller: Caller | None = None
    plain: bool = False
    locale: str | None = None
    default_locale: str | None = None
    request_id: str = field(default_factory=lambda: f"req_{secrets.token_hex(12)}")

    @property
    def facts(self) -> dict[str, Any]:
        """What the log says about the call."""
        told: dict[str, Any] = {"invocation_kind": self.kind}
        if not self.plain:
            told |= {"method": self.method, "path": self.path}
        return told | ({"routePattern": self.route_pattern} if self.route_pattern else {})


@dataclass(frozen=True, slots=True)
class Outcome:
    reply: Reply
    request_id: str
    duration_ms: int
    log: CallLog


async def invoke(gateway: Gateway, project: Project, site: Site, name: str, call: Call) -> Outcome:
    """Run a function and note it. GatewayError carries `request_id`; `details` and the log say what went wrong."""
    runtime = gateway.functions
    noted = CallLog(project.project_id, site.release_id, name, call.request_id, ())
    started = time.perf_counter()
    try:
        loaded = await runtime.load(project, site, name)
        noted.secrets = loaded.hidden
        noted.platform("function_invocation_started", **call.facts)
        reply = await runtime.workers.call(
            loaded.pool,
            loaded.program,
            _frame(call, project, site, name),
            call.body,
            loaded.bundle.entry["timeout_seconds"],
            noted.printed,
        )
        if len(reply.body) > MAX_BODY_BYTES:
            raise CallFailed("too_large", "the response is too large")
    except CallFailed as exc:
        if exc.stack:
            noted.printed("stderr", exc.stack.rstrip() + "\n")
        error = _failure(exc, call.request_id, project.project_id)
        _note_failure(noted, call, error, started)
        # Command lines print this and runs keep it, so it is held to the rule of the log.
        error.fields["details"]["message"] = redact(exc.message, noted.secrets)
        raise error from exc
    except GatewayError as exc:
        exc.fields.setdefault("request_id", call.request_id)
        _note_failure(noted, call, exc, started)
        raise
    else:
        duration = _milliseconds(started)
        noted.platform("function_invocation_completed", status=reply.status, duration_ms=duration, **call.facts)
        return Outcome(reply, call.request_id, duration, noted)
    finally:
        runtime.logs.add(noted.entries)


def _note_failure(noted: CallLog, call: Call, error: GatewayError, started: float) -> None:
    details = error.fields.get("details") or {}
    noted.platform(
        "function_invocation_failed",
        level="error",
        error=error.error,
        status=error.status,
        reason=details.get("message") or error.message,
        cause=details.get("cause"),
        duration_ms=_milliseconds(started),
        **call.facts,
    )


def _milliseconds(started: float) -> int:
    return round((time.perf_counter() - started) * 1000)


def _failure(exc: CallFailed, request_id: str, project_id: str) -> GatewayError:
    status, error, message = _FAILURES.get(exc.cause, _FAILED)
    command = advice.command("logs", "--request-id", request_id, "--project", project_id)
    return GatewayError(
        status,
        error,
        f"{message} `{command}` shows what it said.",
        request_id=request_id,
        next_actions=[advice.entry("run_command", command, why="what the function printed, and its stack")],
        details={"cause": exc.cause, "message": exc.message},
    )


def _frame(call: Call, project: Project, site: Site, name: str) -> dict[str, Any]:
    head: dict[str, Any] = {
        "request_id": call.request_id,
        "kind": call.kind,
        "actor": call.caller.actor if call.caller else None,
    }
    if call.plain:
        actor = {"actor": {"id": call.caller.claims["sub"], "role": call.caller.role}} if call.caller else {}
        head["input"] = {
            "projectId": project.project_id,
            "releaseId": site.release_id,
            "functionName": name,
            "invocationKind": call.kind,
            "requestId": call.request_id,
            **actor,
        }
        return head
    head["request"] = {
        "method": call.method,
        "url": call.url,
        "path": call.path,
        "raw_query": call.raw_query,
        "headers": [*call.headers, *_own_headers(call, project, site, name)],
        "context": {
            "source": "route",
            "projectId": project.project_id,
            "releaseId": site.release_id,
            "deploymentId": None,
            "host": call.host,
            "proto": call.proto,
            "routePattern": call.route_pattern,
            "routeKind": call.route_kind,
            "routeTarget": {"type": "function", "name": name},
            "requestId": call.request_id,
            "locale": call.locale,
            "defaultLocale": call.default_locale,
        },
    }
    return head


def _own_headers(call: Call, project: Project, site: Site, name: str) -> list[tuple[str, str]]:
    headers = {
        "x-run402-project-id": project.project_id,
        "x-run402-release-id": site.release_id,
        "x-run402-request-id": call.request_id,
        "x-run402-function-name": name,
        "x-run402-host": call.host,
    }
    if call.route_pattern:
        headers["x-run402-route-pattern"] = call.route_pattern
    if call.caller is not None:
        headers["x-run402-user-id"] = call.caller.claims["sub"]
        # The helper library's db() speaks for the user with this.
        headers["x-run402-actor-token"] = call.caller.token
        if call.caller.role is not None:
            headers["x-run402-user-role"] = call.caller.role
    if call.locale is not None:
        headers |= {"x-run402-locale": call.locale, "x-run402-default-locale": call.default_locale or ""}
    if key := dict(call.headers).get("idempotency-key"):
        headers["x-run402-idempotency-key"] = key
    return [(key, value) for key, value in headers.items() if value.isascii()]


async def call_from(request: Request, kind: Kind, path: str, **more: Any) -> Call:
    """The call that an HTTP request makes. `path` is percent-encoded, as the function shall see it. 413 over 6 MiB."""
    host = request.headers.get("host", "")
    host = host if _HOST.fullmatch(host) else "localhost"
    proto = "https" if request.headers.get("x-forwarded-proto") == "https" else "http"
    query = (request.scope.get("query_string") or b"").decode("latin-1")
    return Call(
        kind=kind,
        method=request.method,
        url=f"{proto}://{host}{path}{'?' + query if query else ''}",
        path=path,
        raw_query=query,
        headers=tuple(seen_headers(request.headers.items())),
        body=await _body(request),
        host=host,
        proto=proto,
        **more,
    )


def seen_headers(received: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """The headers of a request as a function may see them: what proves something to the platform is not among them.

    A function is code that somebody else may have written; with a signature, a service key or a deploy token it could act
    for the caller. What belongs to the app stays: its users' tokens, its own cookies, an Authorization of its own making.
    """
    for name, value in received:
        if name in HOP_BY_HOP or name in _CREDENTIALS or name.startswith("x-run402-"):
            continue
        if name == "authorization" and _is_platform_token(value):
            continue
        if name == "cookie":
            parts = value.split(";")
            kept = [
                part for part in parts if not part.strip().startswith(_ADMIN_COOKIE) and SERVICE_KEY_PREFIX not in part
            ]
            value = ";".join(kept).strip()
            if not value:
                continue
        if SERVICE_KEY_PREFIX in value:
            continue  # whatever the header is called
        yield name, value


def _is_platform_token(authorization: str) -> bool:
    token = authorization.rpartition(" ")[2]
    if token.startswith(_TOKEN_PREFIXES):
        return True
    try:
        claims = jwt.decode(token, options={"verify_signature": False})
    except jwt.PyJWTError:
        return False
    # Whoever signed it: a token that says so is the service's and not a user's.
    return bool(claims.get("role") == "service_role")


async def _body(request: Request) -> bytes:
    declared = request.headers.get("content-length", "0")
    if declared.isdigit() and int(declared[:12]) > MAX_BODY_BYTES:
        raise _body_too_large()
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > MAX_BODY_BYTES:
            raise _body_too_large()
        parts.append(part)
    return b"".join(parts)


def _body_too_large() -> GatewayError:
    return GatewayError(
        413,
        "request_body_too_large",
        f"A function takes at most {MAX_BODY_BYTES} bytes in a request. Upload bigger files as assets.",
    )


def respond(outcome: Outcome, method: str) -> Response:
    """The function's response as ours: its headers but for hop-by-hop ones, several cookies kept apart, not cacheable."""
    reply = outcome.reply
    dropped = HOP_BY_HOP | {"content-length", "x-run402-request-id", ANSWERED_BY}
    headers = [(name, value) for name, value in reply.headers if name.lower() not in dropped]
    headers += [("x-run402-request-id", outcome.request_id), (ANSWERED_BY, "function")]
    if not any(name.lower() == "cache-control" for name, _ in headers):
        headers += [("cache-control", "private, no-store"), ("x-run402-cache", "dynamic-bypass")]
    body = b"" if reply.status in (204, 205, 304) else reply.body
    if reply.status not in (204, 304):
        told = next((value for name, value in reply.headers if name.lower() == "content-length"), "0")
        headers.append(("content-length", told if method == "HEAD" and not body else str(len(body))))
    response = Response(b"" if method == "HEAD" else body, reply.status)
    response.raw_headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    return response


def refusal(error: GatewayError, *, owner: bool) -> Response:
    """A failed call as an answer; strangers do not learn what the function's own error was."""
    body = error.body()
    if not owner:
        body.pop("details", None)
        body.pop("next_actions", None)  # only the owner may read the logs
    headers = {"x-run402-request-id": body["request_id"]} if "request_id" in body else {}
    if "retry_after_seconds" in body:
        headers["retry-after"] = str(body["retry_after_seconds"])
    data = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    return Response(data, error.status, headers, media_type="application/json; charset=utf-8")
