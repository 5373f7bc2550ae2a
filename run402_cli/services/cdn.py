"""Whether a public asset URL serves what it should. With the project's service key. See docs/domains.md."""

from __future__ import annotations

import time
from typing import Any

from run402_cli.client import Client, with_query
from run402_cli.errors import Run402Error

_VANTAGE = "gateway-us-east-1"
_FIRST_DELAY = 0.1
_LONGEST_DELAY = 1.0

Json = Any


def wait_fresh(client: Client, project_id: str, url: str, *, sha256: str, timeout_s: int = 60) -> dict[str, Json]:
    """Repeat GET /storage/v1/blobs/diagnose?url= until the URL serves the content, or the time is over.

    `sha256` is 64 lowercase hex digits, `timeout_s` seconds. Returns {fresh, observedSha256, attempts, elapsedMs, vantage}
    and, when the last look failed, lastError {code, message}. One place looks; other edges may lag. A failed look is repeated.
    Raises CommandError PROJECT_CREDENTIAL_NOT_FOUND without cached keys. See docs/domains.md.
    """
    auth = client.service_key(project_id, apikey=True)
    path = with_query("/storage/v1/blobs/diagnose", url=url)
    started = time.monotonic()
    result: dict[str, Json] = {"fresh": False, "observedSha256": None, "attempts": 0, "elapsedMs": 0}
    result["vantage"] = _VANTAGE
    delay = _FIRST_DELAY
    while True:
        result["attempts"] += 1
        result.pop("lastError", None)
        try:
            _observe(result, client.request("GET", path, context="looking at the asset", auth=auth))
        except Run402Error as exc:
            result["lastError"] = {key: exc.envelope().get(key) for key in ("code", "message")}
        elapsed = time.monotonic() - started
        result["elapsedMs"] = round(elapsed * 1000)
        result["fresh"] = result["observedSha256"] == sha256
        if result["fresh"] or elapsed >= timeout_s:
            return result
        time.sleep(min(delay, timeout_s - elapsed))
        delay = min(delay * 2, _LONGEST_DELAY)


def _observe(result: dict[str, Json], answer: Json) -> None:
    found: dict[str, Json] = answer if isinstance(answer, dict) else {}
    seen = found.get("observed_sha256") or found.get("observedSha256")
    result["observedSha256"] = seen.lower() if isinstance(seen, str) else None
    if isinstance(found.get("vantage"), str):
        result["vantage"] = found["vantage"]
