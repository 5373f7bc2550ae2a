"""Errors of a project's functions, grouped by fingerprint, and the verdict on a release. See docs/diagnostics.md, "Errors".

Requests carry the service key as `apikey` and nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from run402_cli.client import Client, credentials, segment, with_query
from run402_cli.errors import ApiError, CommandError, NetworkError, Run402Error

Json = Any

KINDS = ("uncaught", "boot_crash", "invoke_failed", "handled_5xx")
_FAILURES = 3
_PASSING = (408, 429)


def _auth_of(client: Client, project_id: str) -> credentials.ProjectKey:
    return credentials.ProjectKey(client.profile.keys.cached_key(project_id, "service_key"), bearer=False, apikey=True)


def page(client: Client, project_id: str, **filters: Json) -> Json:
    """GET /projects/v1/{id}/errors[?since&until&function&kind&fingerprint&new_in&limit&cursor].

    Returns {verdict: {window, compared_release_id, baseline_release_id, new_fingerprints, recurring_fingerprints,
    invocations_in_window, coverage, row_cap}, errors: [fingerprint], has_more, next_cursor?}.
    """
    path = with_query(f"/projects/v1/{segment(project_id)}/errors", **filters)
    return client.request("GET", path, context="reading errors", auth=_auth_of(client, project_id))


def detail(client: Client, project_id: str, fingerprint_id: str) -> Json:
    """Show one error in detail.

    GET /projects/v1/{id}/errors/{fingerprint_id} -> the fingerprint, with also_seen_in_functions.
    """
    path = f"/projects/v1/{segment(project_id)}/errors/{segment(fingerprint_id)}"
    return client.request("GET", path, context="reading the error", auth=_auth_of(client, project_id))


def new_count(answer: Json) -> int | None:
    """How many new identities the server counted; None when its answer does not say."""
    verdict = answer.get("verdict") if isinstance(answer, Mapping) else None
    count = verdict.get("new_fingerprints") if isinstance(verdict, Mapping) else None
    return count if isinstance(count, int) and not isinstance(count, bool) else None


def watch(
    client: Client,
    project_id: str,
    new_in: str,
    *,
    window_s: int,
    interval_s: int = 15,
    stop_on_new: bool = False,
    report: Callable[[int, float, int | None], None] | None = None,
) -> tuple[Json, int]:
    """Read the page of `new_in` every `interval_s` seconds for `window_s` seconds; the last page and the number of reads.

    A read made after the window is the last one. `stop_on_new` ends at the first page with new identities. `report` is told
    (number of the read, seconds elapsed, new identities). Lost connections, 408, 429 and server errors are tolerated: three
    in a row end the watch with the last of them, as does a window without any answer.
    """
    began = time.monotonic()
    polls = failures = 0
    last: Json = None
    error: Run402Error | None = None
    while True:
        elapsed = time.monotonic() - began
        polls += 1
        try:
            answer = page(client, project_id, new_in=new_in)
        except Run402Error as exc:
            failures, error = failures + 1, exc
            if not _passing(exc) or failures == _FAILURES:
                raise
        else:
            failures, error, last = 0, None, (answer,)
            count = new_count(answer)
            if report is not None:
                report(polls, time.monotonic() - began, count)
            if stop_on_new and count:
                return answer, polls
        if elapsed >= window_s:
            break
        time.sleep(interval_s)
    if last is None:
        assert error is not None
        raise error
    return last[0], polls


def _passing(exc: Run402Error) -> bool:
    return isinstance(exc, NetworkError) or (isinstance(exc, ApiError) and (exc.http in _PASSING or exc.http >= 500))


def no_verdict(cause: Run402Error | None) -> CommandError:
    """VERDICT_UNAVAILABLE (exit 2): the gate could not be asked, so it neither passes nor fails."""
    envelope = cause.envelope() if cause is not None else {}
    why = cause.message if cause is not None else "The gateway's answer has no verdict."
    return CommandError(
        f"There is no verdict on the release: {why}",
        code="VERDICT_UNAVAILABLE",
        hint="Treat the release as unchecked, and run the same command again.",
        details={"http": envelope.get("http"), "underlying_code": envelope.get("code")},
        retryable=True,
        exit_code=2,
    )
