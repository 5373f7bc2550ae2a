"""Checks of a release: requests that it must answer as declared before it goes live. See docs/local-gateway.md."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterable, Mapping
from types import SimpleNamespace
from typing import Any, Final
from urllib.parse import quote, unquote

from starlette.requests import Request
from starlette.types import Message

from run402_cli.core.errors import GatewayError
from run402_cli.core.gateway import Gateway
from run402_cli.core.releases.section_checks import Check
from run402_cli.core.sites import static
from run402_cli.core.sites.lookup import Site

TIMEOUT_SECONDS: Final = 30


async def run_checks(
    gateway: Gateway, site: Site, checks: Iterable[Check], kind: str = "declared"
) -> list[dict[str, Any]]:
    """Ask the release `site`, live or not, and report: {name, type, status: passed|failed, target, method, ...}.

    Nothing leaves the process: each request goes to the code that serves the site. Durations in milliseconds.
    """
    return [await _run(gateway, site, check, kind) for check in checks]


async def _run(gateway: Gateway, site: Site, check: Check, kind: str) -> dict[str, Any]:
    started = time.perf_counter()
    actual, problem = await _ask(gateway, site, check)
    passed = actual is not None and check.accepts(actual)
    if not passed and problem is None:
        wanted = " or ".join(map(str, check.expected)) or "a status below 400"
        problem = f"{check.method} {check.path} answered {actual}, not {wanted}."
    expected: Any = check.expected[0] if len(check.expected) == 1 else list(check.expected)
    return {
        "name": check.name,
        "type": kind,
        "status": "passed" if passed else "failed",
        "target": check.path,
        "method": check.method,
        **({"expected_status": expected} if check.expected else {}),
        "actual_status": actual,
        "duration_ms": round((time.perf_counter() - started) * 1000),
        **({} if passed else {"error": problem}),
    }


async def _ask(gateway: Gateway, site: Site, check: Check) -> tuple[int | None, str | None]:
    request = _request(gateway, check)
    path = static.raw_path(request.scope).decode("latin-1")
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            answer = await static.serve(request, site, path, f"project {site.project_id}")
            if answer.status_code == 308 and not path.endswith("/"):
                # A directory named without its slash: what is checked is the page that a browser ends up with.
                answer = await static.serve(request, site, f"{path}/", f"project {site.project_id}")
    except GatewayError as exc:
        return exc.status, None
    except TimeoutError:
        return None, f"{check.method} {check.path} did not answer within {TIMEOUT_SECONDS} seconds."
    return answer.status_code, None


def _request(gateway: Gateway, check: Check) -> Request:
    path, _, query = check.path.partition("?")
    raw = quote(path, safe="/%:@!$&'()*+,;=~-._")

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope: dict[str, Any] = {
        "type": "http",
        "http_version": "1.1",
        "method": check.method,
        "scheme": "http",
        "path": unquote(raw),
        "raw_path": raw.encode(),
        "root_path": "",
        "query_string": quote(query, safe="/%:@!$&'()*+,;=?~-._").encode(),
        "headers": [(b"host", f"localhost:{gateway.settings.port}".encode()), (b"user-agent", b"run402-checks")],
        "client": ("127.0.0.1", 0),
        "server": ("127.0.0.1", gateway.settings.port),
        "app": SimpleNamespace(state=SimpleNamespace(gateway=gateway)),
    }
    return Request(scope, receive)


def refuse_failed(results: Collection[Mapping[str, Any]]) -> None:
    """422 CHECKS_FAILED when any check did not pass."""
    failed = [result for result in results if result["status"] != "passed"]
    if failed:
        raise GatewayError(
            422,
            "checks_failed",
            f"{len(failed)} of {len(results)} checks failed, first {failed[0]['name']}: {failed[0]['error']} The release "
            "that was active stays active; migrations stay applied. Correct the release, then deploy again.",
            resource="checks",
            checks=list(results),
            retryable=False,
        )
