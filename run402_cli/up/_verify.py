"""The manifest's HTTP checks, run against the deployed site, and the wait for the edge. See docs/up.md, "Checks"."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urljoin, urlsplit

from run402_cli import advice
from run402_cli.client import Client, redirects
from run402_cli.client.http import httpx
from run402_cli.client.transport import reason
from run402_cli.errors import NetworkError, Run402Error
from run402_cli.services import apply as deploys

_NOT_THERE_YET = {"SUBDOMAIN_NOT_CONFIGURED", "HOST_NOT_CONFIGURED", "NO_SITE_DEPLOYED"}
_EDGE_MISSES = {"kvs-miss", "kv-miss"}
_FRESH_S = 300.0
_BODY_LIMIT = 4096
_RETRY_S = 1.0
_MAX_WAIT_S = 10.0
_TIMEOUT = httpx.Timeout(30.0)

Check = Mapping[str, Any]


@dataclass(slots=True)
class Answer:
    """One GET: its status, or the transport error instead of one."""

    status: int | None
    body: str = ""
    edge: str | None = None
    error: str | None = None


@dataclass(slots=True)
class Verifier:
    """Runs checks one after the other; the propagation budget (seconds) is shared by all of them."""

    client: Client
    project_id: str
    origin: str | None
    budget_s: float
    wait: bool
    fresh_hosts: frozenset[str] = frozenset()
    warnings: list[dict[str, Any]] = field(default_factory=list)
    waited_ms: int = 0

    def run(self, checks: list[Check]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """(check results, rollup). The rollup's status is verified, propagation_pending or failed."""
        results = [self._check(check) for check in checks]
        states = {result["status"] for result in results}
        status = "failed" if "failed" in states else "verified"
        if status == "verified" and "propagation_pending" in states:
            status = "propagation_pending"
        action = None
        if status == "propagation_pending":
            action = {
                "type": "retry_verify",
                "code": "VERIFY_PROPAGATION_PENDING",
                "message": "The release is live and still spreading. Check again in a minute.",
                **advice.shown(advice.command("up", "verify")),
            }
        rollup = {
            "status": status,
            "warnings": self.warnings,
            "next_action": action,
            "propagation_wait_ms": self.waited_ms,
        }
        return results, rollup

    def _check(self, check: Check) -> dict[str, Any]:
        expected = check["expect"]["status"]
        result: dict[str, Any] = {"id": check["id"], "status": "failed"}
        if "path" in check:
            result["path"] = check["path"]
        url = self._url(check)
        if url is None:
            return {**result, "expected_status": expected, "actual_status": None, "diagnostic": _NO_ORIGIN}
        result |= {"url": url, "expected_status": expected}
        waited_before = self.waited_ms
        outcome = self._until_settled(url, expected, attempts=max(1, check.get("retries", 1)))
        if self.waited_ms > waited_before:
            outcome["propagation_wait_ms"] = self.waited_ms - waited_before
        return {**result, **outcome}

    def _url(self, check: Check) -> str | None:
        if "url" in check:
            return str(check["url"])
        return site_url(self.origin, check["path"]) if self.origin else None

    def _until_settled(self, url: str, expected: int, *, attempts: int) -> dict[str, Any]:
        waits = 0
        failures = 0
        while True:
            answer = self._get(url)
            if answer.status == expected:
                return {"status": "succeeded", "actual_status": answer.status}
            resolve = self._resolve(url)
            edge = resolve.get("edge_propagation") if resolve else None
            if self._is_propagating(url, answer, edge):
                waits += 1
                if not self._pause(waits):
                    return self._pending(url, expected, answer)
                continue
            failures += 1
            if failures >= attempts:
                return self._failed(url, expected, answer, resolve, edge)
            time.sleep(_RETRY_S)

    def _get(self, url: str) -> Answer:
        try:
            named = redirects.named_by(self.client.api_base, anywhere=False)
            response = self.client.http.get(url, timeout=_TIMEOUT, extensions=named)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, NetworkError) as exc:
            return Answer(None, error=reason(exc))
        return Answer(response.status_code, response.text[:_BODY_LIMIT], response.headers.get("x-run402-edge"))

    def _resolve(self, url: str) -> dict[str, Any] | None:
        parts = urlsplit(url)
        try:
            answer = deploys.resolve(
                self.client, self.project_id, host=parts.hostname or "", path=parts.path or "/", method="GET"
            )
        except (Run402Error, ValueError):
            return None
        return answer if isinstance(answer, dict) else None

    def _is_propagating(self, url: str, answer: Answer, edge: Any) -> bool:
        if isinstance(edge, dict) and edge.get("status") not in (None, "settled"):
            return True
        fresh = urlsplit(url).hostname in self.fresh_hosts
        return fresh and (answer.edge in _EDGE_MISSES or _error_code(answer.body) in _NOT_THERE_YET)

    def _pause(self, turn: int) -> bool:
        """Wait for the edge; False when the budget is used up or waiting is not wanted."""
        left = self.budget_s - self.waited_ms / 1000
        if not self.wait or left <= 0:
            return False
        pause = min(left, min(_MAX_WAIT_S, 2.0 ** min(4, turn - 1)) + random.random() * 0.25)
        time.sleep(pause)
        self.waited_ms += max(1, round(pause * 1000))
        return True

    def _pending(self, url: str, expected: int, answer: Answer) -> dict[str, Any]:
        warning = {
            "code": "VERIFY_PROPAGATION_PENDING",
            "message": f"{url} does not show the new release everywhere yet.",
            "severity": "warning",
            "details": {"url": url, "expected_status": expected, "actual_status": answer.status},
        }
        self.warnings.append(warning)
        return {"status": "propagation_pending", "actual_status": answer.status, "diagnostic": warning}

    def _failed(
        self, url: str, expected: int, answer: Answer, resolve: dict[str, Any] | None, edge: Any
    ) -> dict[str, Any]:
        diagnostic = {"error": answer.error, "edge_propagation": edge, "resolve": resolve}
        if answer.error is None:
            del diagnostic["error"]
        details = {"url": url, "expected_status": expected, "actual_status": answer.status}
        self.warnings.append(
            {
                "code": "VERIFY_FAILED",
                "message": f"{url} answered {answer.status or 'nothing'}, not {expected}.",
                "severity": "error",
                "details": {**details, **{key: value for key, value in diagnostic.items() if value is not None}},
            }
        )
        return {"status": "failed", "actual_status": answer.status, "diagnostic": diagnostic}


_NO_ORIGIN = {
    "error": "missing_public_origin",
    "message": "The project has no public address yet, so a path cannot be checked.",
    "hint": "Deploy a site first, or give the check a full url.",
}


def site_url(origin: str, path: str) -> str:
    """The address of a path on the site; a site below a path of its gateway keeps that prefix."""
    if urlsplit(origin).path.strip("/"):
        return origin.rstrip("/") + "/" + path.lstrip("/")
    return urljoin(origin, path)


def fresh_hosts(spec: Mapping[str, Any], deploy: Mapping[str, Any], origin: str | None) -> frozenset[str]:
    """Hosts that may not be known at the edge yet: claimed by this deploy, its origin, or bound within 5 minutes."""
    hosts = {urlsplit(origin).hostname or ""} if origin else set()
    subdomains = spec.get("subdomains")
    if isinstance(subdomains, Mapping):
        names = [name for key in ("set", "add") for name in subdomains.get(key) or []]
        hosts |= {f"{name}.run402.com" for name in names}
    for binding in deploy.get("subdomain_bindings") or []:
        if isinstance(binding, Mapping) and _age_s(binding.get("claimed_at")) < _FRESH_S:
            hosts.add(str(binding.get("host")))
    return frozenset(hosts)


def _age_s(stamp: Any) -> float:
    try:
        moment = datetime.fromisoformat(str(stamp))
        return (datetime.now(UTC) - moment).total_seconds()
    except (ValueError, TypeError):
        return float("inf")


def _error_code(body: str) -> str | None:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    inner = value.get("error") if isinstance(value, dict) else None
    codes = [value.get("code")] if isinstance(value, dict) else []
    codes += [inner.get("code")] if isinstance(inner, dict) else []
    return next((code for code in codes if isinstance(code, str)), None)
