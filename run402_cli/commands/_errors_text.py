"""What `run402 errors` prints for people. Everything in a page comes from outside and is made printable first."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from run402_cli import advice
from run402_cli.services import instants

_MESSAGE = 100
_SHOWN = 10
_JUST_NOW_S = 45
_NEAR_NOW_S = 120


def listing(page: Any) -> str:
    """The verdict, then one line per identity, then how to go on."""
    rows = _rows(page)
    lines = [*verdict_lines(page), ""]
    if not rows:
        lines += _nothing(page)
    lines += [_row(row) for row in rows]
    if _get(page, "has_more") is True:
        cursor = _plain(_get(page, "next_cursor"))
        lines += [
            "",
            f"There is more: {advice.command('errors', '--cursor', cursor)} with the same filters",
        ]
    if rows and (command := _logs_command(rows[0])):
        lines += ["", f"Logs of the first: {command}"]
    return "\n".join(lines)


def detail(found: Any) -> str:
    """Everything about one identity, and the logs command of each sample."""
    if not isinstance(found, Mapping):
        return "The gateway answered without an error."
    samples = found.get("samples")
    first = _get(samples, "first")
    recent = _get(samples, "recent")
    lines = [
        f"{_plain(found.get('fingerprint_id'))}  {_plain(found.get('kind'))}  x{_number(found.get('count'))}",
        f"{_plain(found.get('error_name'))}: {_plain(found.get('message_template'))}",
        f"function: {_plain(found.get('function'))}",
        f"quality: {_plain(found.get('fingerprint_quality'))}",
        f"first seen: {_ago(found.get('first_seen'))} in release {_plain(found.get('first_seen_release_id'), 'unknown')}",
        f"last seen: {_ago(found.get('last_seen'))} in release {_plain(found.get('last_seen_release_id'), 'unknown')}",
    ]
    if others := _list(found.get("also_seen_in_functions")):
        lines.append("also seen in: " + ", ".join(map(_plain, others)))
    if frames := _list(found.get("stable_frames")):
        lines += ["frames:", *(f"  {_plain(frame)}" for frame in frames)]
    for title, group in (("first sample", [first]), ("recent samples", _list(recent))):
        shown = [sample for sample in group if isinstance(sample, Mapping)]
        if shown:
            lines += [f"{title}:", *(line for sample in shown for line in _sample(found, sample))]
    return "\n".join(lines)


def gate_failed(page: Any, release: str) -> str:
    """Which identities are new."""
    new = _get(_get(page, "verdict"), "new_fingerprints")
    rows = _rows(page)
    lines = [f"FAIL: {_number(new)} new error identities in release {_release(page, release)}"]
    for row in rows[:_SHOWN]:
        sample = _newest_sample(row)
        lines.append(_row(row))
        lines.append(f"  sample {_plain(_get(sample, 'id'))}: {_logs_command(row) or 'no logs command'}")
    hidden = (new if isinstance(new, int) else 0) - min(len(rows), _SHOWN)
    if hidden > 0:
        lines.append(
            f"{_number(hidden)} more are not shown: {advice.command('errors', '--new-in', release, '--limit', '200')}"
        )
    return "\n".join(lines)


def gate_passed(page: Any, release: str, watched: tuple[int, int] | None) -> str:
    """That nothing is new, and what that rests on. `watched` is (seconds, number of polls)."""
    how = f", watched for {watched[0]}s in {watched[1]} polls" if watched else ""
    return "\n".join((f"PASS: no new error identities in release {_release(page, release)}{how}", *verdict_lines(page)))


def verdict_lines(page: Any) -> list[str]:
    """Window, releases, counts, coverage, and the row cap when it was reached."""
    verdict = _get(page, "verdict")
    lines = [_window(_get(verdict, "window"))]
    if compared := _get(verdict, "compared_release_id"):
        baseline = _plain(_get(verdict, "baseline_release_id"), "none")
        lines.append(f"release {_plain(compared)}, compared with {baseline}")
    counts = (
        ("new", "new_fingerprints"),
        ("recurring", "recurring_fingerprints"),
        ("invocations", "invocations_in_window"),
    )
    lines.append(", ".join(f"{_number(_get(verdict, key))} {name}" for name, key in counts))
    coverage = _get(verdict, "coverage")
    coarse = _get(coverage, "coarse_functions")
    full = _number(_get(coverage, "full_fidelity_functions"))
    redeploy = "; deploy those again for exact fingerprints" if isinstance(coarse, int) and coarse > 0 else ""
    lines.append(f"coverage: {full} functions in full, {_number(coarse)} coarse{redeploy}")
    cap = _get(verdict, "row_cap")
    if _get(cap, "at_cap") is True:
        lines.append(
            f"The server stopped counting at {_number(_get(cap, 'limit'))} identities: the counts are at least these."
        )
    return lines


def _window(window: Any) -> str:
    start, end = _moment(_get(window, "since")), _moment(_get(window, "until"))
    if start is None or end is None:
        return "Errors"
    if abs(time.time() - end / 1000) <= _NEAR_NOW_S:
        return f"Errors, last {_span((end - start) // 1000)}"
    return f"Errors, {_plain(_get(window, 'since'))} to {_plain(_get(window, 'until'))}"


def _span(seconds: int) -> str:
    for size, name in ((2 * 86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= size:
            unit = 86400 if name == "days" else size
            return f"{round(seconds / unit)} {name}"
    return f"{seconds} seconds"


def _nothing(page: Any) -> list[str]:
    invocations = _get(_get(page, "verdict"), "invocations_in_window")
    lines = [f"No errors in {_number(invocations)} invocations."]
    if not invocations:
        lines.append("Without traffic this proves nothing: call the functions, then look again.")
    return lines


def _row(row: Mapping[str, Any]) -> str:
    message = _plain(row.get("message_template"))
    short = message if len(message) <= _MESSAGE else message[: _MESSAGE - 1] + "…"
    coarse = "  [coarse]" if row.get("fingerprint_quality") == "coarse" else ""
    return (
        f"{_plain(row.get('fingerprint_id'))}  {_plain(row.get('kind'))}  x{_number(row.get('count'))}  "
        f"{_plain(row.get('error_name'))}  fn:{_plain(row.get('function'))}  {short}  {_ago(row.get('last_seen'))}{coarse}"
    )


def _sample(row: Mapping[str, Any], sample: Mapping[str, Any]) -> list[str]:
    release = _plain(sample.get("release_id"), "unknown")
    lines = [f"  {_plain(sample.get('id'))}  {_plain(sample.get('at'))}  release {release}"]
    if command := _request_logs(row, sample):
        lines.append(f"    {command}")
    return lines


def _logs_command(row: Mapping[str, Any]) -> str | None:
    for action in _list(row.get("next_actions")):
        if _get(action, "type") == "fetch_logs" and isinstance(_get(action, "command"), str):
            return _plain(action["command"])
    return _request_logs(row, _newest_sample(row))


def _newest_sample(row: Mapping[str, Any]) -> Any:
    samples = row.get("samples")
    recent = _list(_get(samples, "recent"))
    return recent[0] if recent else _get(samples, "first")


def _request_logs(row: Mapping[str, Any], sample: Any) -> str | None:
    function, request_id = row.get("function"), _get(sample, "id")
    if not isinstance(function, str) or not isinstance(request_id, str):
        return None
    return advice.command("functions", "logs", _plain(function), "--request-id", _plain(request_id))


def _release(page: Any, asked: str) -> str:
    return _plain(_get(_get(page, "verdict"), "compared_release_id"), asked)


def _rows(page: Any) -> list[Mapping[str, Any]]:
    return [row for row in _list(_get(page, "errors")) if isinstance(row, Mapping)]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _get(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, Mapping) else None


def _number(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else "?"


def _plain(value: Any, missing: str = "?") -> str:
    """One line of printable text: error messages are written by strangers and may hold terminal control sequences."""
    if value is None or value == "":
        return missing
    return "".join(char if char.isprintable() else " " for char in str(value))


def _moment(value: Any) -> int | None:
    return instants.epoch_ms(value) if isinstance(value, str) else None


def _ago(value: Any) -> str:
    moment = _moment(value)
    if moment is None:
        return _plain(value)
    seconds = time.time() - moment / 1000
    if seconds < _JUST_NOW_S:
        return "just now"
    for size, name in ((86400, "d"), (3600, "h")):
        if seconds >= size:
            return f"{seconds / size:.0f}{name} ago"
    return f"{max(1, round(seconds / 60))}m ago"
